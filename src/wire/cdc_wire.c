/*
 * Walking a protobuf message field by field.
 *
 * Nothing here knows a schema beyond common.MsgBase.  A message is read at
 * its top level only, a nested one when the caller asks for it, so depth is
 * the caller's and never the sender's choice.  Groups (wire types 3 and 4)
 * were never part of proto3: they are malformed input.
 *
 * A field that we read or replace and that arrives with another wire type is
 * malformed as well.  Decoders differ in what they make of it, and a message
 * that two readers understand differently must not be passed on.
 */

#include <endian.h>
#include <string.h>

#include "cdc_wire_int.h"


#define CDC_WIRE_NUMBER_MAX  ((1U << 29) - 1)

#define CDC_BASE_TYPE        1
#define CDC_BASE_TIMESTAMP   3


static int cdc_wire_take(cdc_span_t *in, uint64_t len, cdc_span_t *out);
static int cdc_wire_base_fields(cdc_span_t base, int32_t *type, uint64_t *ts);
static int cdc_wire_count_packed(cdc_span_t body, uint64_t *n);


int
cdc_wire_next(cdc_span_t *in, cdc_field_t *f)
{
    uint32_t     le32;
    uint64_t     tag, len, le64;
    cdc_span_t   part;

    if (in->len == 0) {
        return CDC_DONE;
    }

    f->raw = *in;
    f->value = 0;
    f->body = cdc_span_n(NULL, 0);

    if (cdc_wire_read_varint(in, &tag) != CDC_OK
        || tag >> 3 == 0
        || tag >> 3 > CDC_WIRE_NUMBER_MAX)
    {
        return CDC_ERROR;
    }

    f->number = (uint32_t) (tag >> 3);
    f->wire_type = tag & 7;

    switch (f->wire_type) {

    case CDC_WIRE_VARINT:
        if (cdc_wire_read_varint(in, &f->value) != CDC_OK) {
            return CDC_ERROR;
        }

        break;

    case CDC_WIRE_I64:
        if (cdc_wire_take(in, sizeof(le64), &part) != CDC_OK) {
            return CDC_ERROR;
        }

        memcpy(&le64, part.data, sizeof(le64));
        f->value = le64toh(le64);
        break;

    case CDC_WIRE_LEN:
        if (cdc_wire_read_varint(in, &len) != CDC_OK
            || cdc_wire_take(in, len, &f->body) != CDC_OK)
        {
            return CDC_ERROR;
        }

        break;

    case CDC_WIRE_I32:
        if (cdc_wire_take(in, sizeof(le32), &part) != CDC_OK) {
            return CDC_ERROR;
        }

        memcpy(&le32, part.data, sizeof(le32));
        f->value = le32toh(le32);
        break;

    default:
        return CDC_ERROR;
    }

    f->raw.len -= in->len;

    return CDC_OK;
}


int
cdc_wire_read_varint(cdc_span_t *in, uint64_t *value)
{
    size_t     i, n;
    uint8_t    byte;
    uint64_t   v;

    n = in->len < CDC_WIRE_VARINT_MAX ? in->len : CDC_WIRE_VARINT_MAX;
    v = 0;

    for (i = 0; i < n; i++) {
        byte = in->data[i];

        /* the tenth byte has room for one bit */

        if (i == CDC_WIRE_VARINT_MAX - 1 && byte > 1) {
            return CDC_ERROR;
        }

        v |= (uint64_t) (byte & 0x7f) << (7 * i);

        if (byte < 0x80) {
            in->data += i + 1;
            in->len -= i + 1;
            *value = v;

            return CDC_OK;
        }
    }

    return CDC_ERROR;
}


static int
cdc_wire_take(cdc_span_t *in, uint64_t len, cdc_span_t *out)
{
    if (len > in->len) {
        return CDC_ERROR;
    }

    *out = cdc_span_n(in->data, len);

    in->data += len;
    in->len -= len;

    return CDC_OK;
}


size_t
cdc_wire_varint(uint8_t *p, uint64_t value)
{
    size_t  n;

    for (n = 0; value >= 0x80; n++) {
        p[n] = (uint8_t) (value | 0x80);
        value >>= 7;
    }

    p[n++] = (uint8_t) value;

    return n;
}


/*
 * A singular message field that comes twice is merged by every decoder, so
 * the whole top level is walked: the last type and timestamp count.
 */

int
cdc_wire_base(cdc_span_t msg, int32_t *type, uint64_t *ts)
{
    int          rc;
    cdc_field_t  f;

    *type = 0;
    *ts = 0;

    while ((rc = cdc_wire_next(&msg, &f)) == CDC_OK) {

        if (f.number != 1) {
            continue;
        }

        if (f.wire_type != CDC_WIRE_LEN
            || cdc_wire_base_fields(f.body, type, ts) != CDC_OK)
        {
            return CDC_ERROR;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


static int
cdc_wire_base_fields(cdc_span_t base, int32_t *type, uint64_t *ts)
{
    int          rc;
    cdc_field_t  f;

    while ((rc = cdc_wire_next(&base, &f)) == CDC_OK) {

        if (f.number != CDC_BASE_TYPE && f.number != CDC_BASE_TIMESTAMP) {
            continue;
        }

        if (f.wire_type != CDC_WIRE_VARINT) {
            return CDC_ERROR;
        }

        if (f.number == CDC_BASE_TYPE) {
            *type = (int32_t) (uint32_t) f.value;

        } else {
            *ts = f.value;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


int
cdc_wire_count_varints(cdc_span_t msg, uint32_t number, uint64_t *n)
{
    int          rc;
    cdc_field_t  f;

    *n = 0;

    while ((rc = cdc_wire_next(&msg, &f)) == CDC_OK) {

        if (f.number != number) {
            continue;
        }

        if (f.wire_type == CDC_WIRE_VARINT) {
            *n += 1;

        } else if (f.wire_type != CDC_WIRE_LEN
                   || cdc_wire_count_packed(f.body, n) != CDC_OK)
        {
            return CDC_ERROR;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


/* adds to *n */

static int
cdc_wire_count_packed(cdc_span_t body, uint64_t *n)
{
    size_t     i;
    uint64_t   word;

    if (body.len == 0) {
        return CDC_OK;
    }

    if (body.data[body.len - 1] >= 0x80) {
        return CDC_ERROR;
    }

    /* each varint ends with the one byte whose high bit is clear */

    for (i = 0; body.len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, body.data + i, sizeof(word));
        *n += __builtin_popcountll(~word & 0x8080808080808080ULL);
    }

    for ( /* void */ ; i < body.len; i++) {
        *n += body.data[i] < 0x80;
    }

    return CDC_OK;
}
