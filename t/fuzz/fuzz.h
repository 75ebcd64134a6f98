/*
 * What the fuzz targets share.
 *
 * libFuzzer gives each input in a block of exactly its size, so that reading
 * past its end is found; parts of an input that a parser takes for a whole are
 * copied into such blocks (fuzz_copy()).
 */

#ifndef FUZZ_H_INCLUDED
#define FUZZ_H_INCLUDED

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_base.h"


#define fuzz_check(cond)                                                     \
    if (!(cond)) {                                                           \
        (void) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);    \
        abort();                                                             \
    }


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/*
 * Inputs to begin with, written to the corpus folder, which libFuzzer gets as
 * its first argument that is no option, before it reads that folder.
 */

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


/* up to n of the bytes that are left */

static cdc_span_t __attribute__((unused))
fuzz_take(cdc_span_t *in, size_t n)
{
    cdc_span_t  s;

    n = n < in->len ? n : in->len;
    s = cdc_span_n(in->data, n);
    *in = cdc_span_n(in->data + n, in->len - n);

    return s;
}


/* one of them, or 0 */

static unsigned __attribute__((unused))
fuzz_byte(cdc_span_t *in)
{
    cdc_span_t  s;

    s = fuzz_take(in, 1);

    return s.len != 0 ? s.data[0] : 0;
}


/* so many as two bytes say */

static cdc_span_t __attribute__((unused))
fuzz_block(cdc_span_t *in)
{
    size_t  n;

    n = fuzz_byte(in);

    return fuzz_take(in, n << 8 | fuzz_byte(in));
}


/* a block of exactly its size; with "zero" a zero byte follows */

static uint8_t * __attribute__((unused))
fuzz_copy(cdc_span_t s, unsigned zero)
{
    uint8_t  *p;

    p = malloc(s.len + zero);

    if (p == NULL && s.len + zero != 0) {
        abort();
    }

    if (s.len != 0) {
        memcpy(p, s.data, s.len);
    }

    if (zero) {
        p[s.len] = '\0';
    }

    return p;
}


static int __attribute__((unused))
fuzz_equal(cdc_span_t a, cdc_span_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


/* a text that is said to have room for CDC_REASON_MAX bytes */

static int __attribute__((unused))
fuzz_is_text(const char *s)
{
    return s[0] != '\0' && memchr(s, '\0', CDC_REASON_MAX) != NULL;
}


#endif /* FUZZ_H_INCLUDED */
