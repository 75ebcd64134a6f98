/*
 * What the fuzz targets of src/wire share.
 */

#ifndef FUZZ_WIRE_H_INCLUDED
#define FUZZ_WIRE_H_INCLUDED

#include <protobuf-c/protobuf-c.h>

#include "cdc_wire.h"
#include "fuzz.h"


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


static __attribute__((unused)) void *
fuzz_unpack(const ProtobufCMessageDescriptor *d, cdc_span_t bytes)
{
    return protobuf_c_message_unpack(d, NULL, bytes.len, bytes.data);
}


#endif /* FUZZ_WIRE_H_INCLUDED */
