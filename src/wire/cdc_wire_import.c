/*
 * Imports, Milvus 2.5 and later: a message names all partitions that the
 * files go to, in a list.  The files' rows are read by the target itself.
 */

#include "cdc_wire_int.h"


#define CDC_IMPORT_PARTITIONS  5


static int
cdc_wire_import_add(uint64_t value, int64_t *ids, unsigned max, unsigned *n)
{
    if (*n == max) {
        return CDC_DECLINED;
    }

    ids[(*n)++] = (int64_t) value;

    return CDC_OK;
}


static int
cdc_wire_import_packed(cdc_span_t body, int64_t *ids, unsigned max,
    unsigned *n)
{
    int       rc;
    uint64_t  value;

    while (body.len != 0) {

        if (cdc_wire_read_varint(&body, &value) != CDC_OK) {
            return CDC_ERROR;
        }

        rc = cdc_wire_import_add(value, ids, max, n);

        if (rc != CDC_OK) {
            return rc;
        }
    }

    return CDC_OK;
}


int
cdc_wire_import_partitions(const cdc_envelope_t *env, int64_t *ids,
    unsigned max, unsigned *n)
{
    int          rc;
    cdc_span_t   in;
    cdc_field_t  f;

    *n = 0;

    if (env->type != CDC_MSG_IMPORT) {
        return CDC_ERROR;
    }

    in = env->raw;

    while ((rc = cdc_wire_next(&in, &f)) == CDC_OK) {

        if (f.number != CDC_IMPORT_PARTITIONS) {
            continue;
        }

        if (f.wire_type == CDC_WIRE_VARINT) {
            rc = cdc_wire_import_add(f.value, ids, max, n);

        } else if (f.wire_type == CDC_WIRE_LEN) {
            rc = cdc_wire_import_packed(f.body, ids, max, n);

        } else {
            rc = CDC_ERROR;
        }

        if (rc != CDC_OK) {
            return rc;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


int
cdc_wire_import_rewrite(cdc_chain_t *out, const cdc_envelope_t *env,
    const cdc_rewrite_t *rw, uint64_t *drop)
{
    size_t    len, mark;
    uint8_t   buf[CDC_WIRE_VARINT_MAX];
    uint64_t  count;
    unsigned  i;

    /* a target that gets fewer partitions than were meant would lose rows */

    if (cdc_wire_count_varints(env->raw, CDC_IMPORT_PARTITIONS, &count)
        != CDC_OK
        || count != rw->npartition_ids)
    {
        return CDC_ERROR;
    }

    *drop |= cdc_wire_bit(CDC_IMPORT_PARTITIONS);

    if (count == 0) {
        return CDC_OK;
    }

    if (cdc_chain_open(out, CDC_IMPORT_PARTITIONS, &mark) != CDC_OK) {
        return CDC_ERROR;
    }

    for (i = 0; i < rw->npartition_ids; i++) {
        len = cdc_wire_varint(buf, (uint64_t) rw->partition_ids[i]);

        if (cdc_chain_copy(out, cdc_span_n(buf, len)) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    cdc_chain_close(out, mark);

    return CDC_OK;
}
