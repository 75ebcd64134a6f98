/*
 * What the tests of src/wire share: generated code (protobuf-c) builds the
 * messages and reads the results, so that nothing is checked against itself.
 */

#ifndef TEST_WIRE_H_INCLUDED
#define TEST_WIRE_H_INCLUDED

#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "cdc_wire.h"
#include "tap.h"


#define TEST_ROWS    1000
#define TEST_DIM     8
#define TEST_TS      446912345678901251ULL
#define TEST_STAMP   446912345999999999ULL
#define TEST_MSG_ID  446912345000000777LL


/* malloc()ed to the byte, so that ASan sees a read behind the end */

static cdc_span_t __attribute__((unused))
test_exact(cdc_span_t from, size_t len)
{
    uint8_t  *p;

    p = malloc(len ? len : 1);
    memcpy(p, from.data, len);

    return cdc_span_n(p, len);
}


static cdc_span_t __attribute__((unused))
test_pack(void *message)
{
    size_t            len;
    uint8_t          *p;
    ProtobufCMessage *m;

    m = message;
    len = protobuf_c_message_get_packed_size(m);
    p = malloc(len ? len : 1);

    return cdc_span_n(p, protobuf_c_message_pack(m, p));
}


/* unpacks all bytes of a chain; NULL when they are no such message */

static __attribute__((unused)) void *
test_unpack(const ProtobufCMessageDescriptor *d, const cdc_chain_t *c)
{
    void     *m;
    size_t    len;
    uint8_t  *p;

    p = cdc_chain_flatten(c, &len);
    m = protobuf_c_message_unpack(d, NULL, len, p);
    free(p);

    return m;
}


static void __attribute__((unused))
test_free(void *message)
{
    if (message) {
        protobuf_c_message_free_unpacked(message, NULL);
    }
}


static void __attribute__((unused))
test_drop(cdc_span_t span)
{
    free((void *) (uintptr_t) span.data);
}


static cdc_span_t __attribute__((unused))
test_cat(cdc_span_t a, cdc_span_t b)
{
    uint8_t  *p;

    p = malloc(a.len + b.len + 1);

    if (a.len) {
        memcpy(p, a.data, a.len);
    }

    if (b.len) {
        memcpy(p + a.len, b.data, b.len);
    }

    return cdc_span_n(p, a.len + b.len);
}


/* c holds exactly these bytes */

static int __attribute__((unused))
test_same(const cdc_chain_t *c, cdc_span_t want)
{
    int       same;
    size_t    len;
    uint8_t  *p;

    p = cdc_chain_flatten(c, &len);
    same = len == want.len && cdc_chain_bytes(c) == len
           && (len == 0 || memcmp(p, want.data, len) == 0);
    free(p);

    return same;
}


#endif /* TEST_WIRE_H_INCLUDED */
