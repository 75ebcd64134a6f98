/*
 * What the fuzz targets of src/wire share.
 *
 * The seeds are written to the corpus folder, which libFuzzer gets as its
 * first argument that is no option, before it reads that folder.
 */

#ifndef FUZZ_WIRE_H_INCLUDED
#define FUZZ_WIRE_H_INCLUDED

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "cdc_wire.h"


#define fuzz_check(cond)                                                     \
    if (!(cond)) {                                                           \
        (void) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);    \
        abort();                                                             \
    }


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void __attribute__((unused))
fuzz_seeds(int argc, char **argv, const cdc_span_t *seeds, size_t n)
{
    int     i;
    char    path[4096];
    FILE   *f;
    size_t  k;

    for (i = 1; i < argc && argv[i][0] == '-'; i++) { /* void */ }

    if (i == argc) {
        return;
    }

    for (k = 0; k < n; k++) {
        (void) snprintf(path, sizeof(path), "%s/seed-%zu", argv[i], k);

        f = fopen(path, "wb");
        if (f == NULL) {
            return;
        }

        (void) fwrite(seeds[k].data, 1, seeds[k].len, f);
        (void) fclose(f);
    }
}


static cdc_span_t __attribute__((unused))
fuzz_flat(const cdc_chain_t *c)
{
    size_t    i, len, sum;
    uint8_t  *p;

    p = cdc_chain_flatten(c, &len);
    fuzz_check(p != NULL);

    for (i = 0, sum = 0; i < cdc_chain_count(c); i++) {
        sum += cdc_chain_span(c, i).len;
    }

    fuzz_check(sum == len && len == cdc_chain_bytes(c));

    return cdc_span_n(p, len);
}


static void __attribute__((unused))
fuzz_free(cdc_span_t span)
{
    free((void *) (uintptr_t) span.data);
}


static int __attribute__((unused))
fuzz_equal(cdc_span_t a, cdc_span_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


static __attribute__((unused)) void *
fuzz_unpack(const ProtobufCMessageDescriptor *d, cdc_span_t bytes)
{
    return protobuf_c_message_unpack(d, NULL, bytes.len, bytes.data);
}


#endif /* FUZZ_WIRE_H_INCLUDED */
