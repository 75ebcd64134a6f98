/*
 * Pieces that data messages and operations are put together from.
 */

#include "cdc_wire_int.h"


static int cdc_wire_run(cdc_chain_t *out, const uint8_t *from,
    const uint8_t *to);


/*
 * Fields that stay side by side are one run, whatever they are and however
 * large: a message with its few changed fields at the front is one span.
 */

int
cdc_wire_splice(cdc_chain_t *out, cdc_span_t msg, uint64_t drop)
{
    int             rc;
    cdc_field_t     f;
    const uint8_t  *run;

    run = msg.data;

    while ((rc = cdc_wire_next(&msg, &f)) == CDC_OK) {

        if (f.number >= 64 || !(drop & cdc_wire_bit(f.number))) {
            continue;
        }

        if (cdc_wire_run(out, run, f.raw.data) != CDC_OK) {
            return CDC_ERROR;
        }

        run = msg.data;
    }

    if (rc != CDC_DONE) {
        return CDC_ERROR;
    }

    return cdc_wire_run(out, run, msg.data);
}


static int
cdc_wire_run(cdc_chain_t *out, const uint8_t *from, const uint8_t *to)
{
    size_t  len;

    if (from == to) {
        return CDC_OK;
    }

    len = (size_t) (to - from);

    if (len < CDC_WIRE_SMALL) {
        return cdc_chain_copy(out, cdc_span_n(from, len));
    }

    return cdc_chain_add(out, cdc_span_n(from, len));
}


int
cdc_wire_set_varint(cdc_chain_t *out, uint32_t number, uint64_t value)
{
    return value ? cdc_chain_varint_field(out, number, value) : CDC_OK;
}


int
cdc_wire_set_bytes(cdc_chain_t *out, uint32_t number, cdc_span_t bytes)
{
    return bytes.len ? cdc_chain_bytes_field(out, number, bytes) : CDC_OK;
}
