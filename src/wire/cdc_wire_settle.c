/*
 * The delete of what an insert holds, for settling (design 4.7).
 *
 * Both messages keep keys as a list of the same shape, an insert in the
 * column of the key field (schema.ScalarField), a delete in schema.IDs; so
 * the list is spliced as it is.  It is counted, not decoded: a delete whose
 * keys, timestamps and num_rows differ in number is fatal to a Milvus.
 */

#include "cdc_wire_int.h"


#define CDC_DELETE_BASE          1
#define CDC_DELETE_SHARD         2
#define CDC_DELETE_DB            3
#define CDC_DELETE_COLLECTION    4
#define CDC_DELETE_COLLECTION_ID 7
#define CDC_DELETE_PARTITION_ID  8
#define CDC_DELETE_TIMESTAMPS    10
#define CDC_DELETE_ROWS          11
#define CDC_DELETE_KEYS          12

#define CDC_BASE_TYPE            1
#define CDC_BASE_MSG_ID          2
#define CDC_BASE_TIMESTAMP       3


static int cdc_wire_delete(cdc_chain_t *out, const cdc_rewrite_t *rw,
    const cdc_keys_t *keys);


int
cdc_wire_delete_of_insert(cdc_chain_t *out, const cdc_envelope_t *env,
    const cdc_rewrite_t *rw, int64_t pk_field_id)
{
    int              rc;
    cdc_keys_t       keys;
    cdc_chain_pos_t  pos;

    if (env->type != CDC_MSG_INSERT || rw->stamp == 0) {
        return CDC_ERROR;
    }

    rc = cdc_wire_find_keys(env->raw, pk_field_id, &keys);
    if (rc != CDC_OK) {
        return rc;
    }

    if (keys.count != env->rows) {
        return CDC_ERROR;
    }

    if (keys.count == 0) {
        return CDC_DECLINED;
    }

    cdc_chain_save(out, &pos);

    if (cdc_wire_delete(out, rw, &keys) != CDC_OK) {
        cdc_chain_rollback(out, &pos);
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_wire_delete(cdc_chain_t *out, const cdc_rewrite_t *rw,
    const cdc_keys_t *keys)
{
    size_t  mark, list;

    if (cdc_chain_open(out, CDC_DELETE_BASE, &mark) != CDC_OK
        || cdc_chain_varint_field(out, CDC_BASE_TYPE, CDC_MSG_DELETE)
           != CDC_OK
        || cdc_chain_varint_field(out, CDC_BASE_MSG_ID, rw->msg_id) != CDC_OK
        || cdc_chain_varint_field(out, CDC_BASE_TIMESTAMP, rw->stamp)
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_chain_close(out, mark);

    if (cdc_wire_set_bytes(out, CDC_DELETE_SHARD, rw->shard_name) != CDC_OK
        || cdc_wire_set_bytes(out, CDC_DELETE_DB, rw->db_name) != CDC_OK
        || cdc_wire_set_bytes(out, CDC_DELETE_COLLECTION,
                              rw->collection_name) != CDC_OK
        || cdc_wire_set_varint(out, CDC_DELETE_COLLECTION_ID,
                               rw->collection_id) != CDC_OK
        || cdc_wire_set_varint(out, CDC_DELETE_PARTITION_ID,
                               rw->partition_id) != CDC_OK
        || cdc_wire_stamps(out, CDC_DELETE_TIMESTAMPS, rw->stamp,
                           keys->count) != CDC_OK
        || cdc_chain_varint_field(out, CDC_DELETE_ROWS, keys->count)
           != CDC_OK
        || cdc_chain_open(out, CDC_DELETE_KEYS, &mark) != CDC_OK
        || cdc_chain_open(out, keys->kind, &list) != CDC_OK
        || cdc_chain_add(out, keys->list) != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_chain_close(out, list);
    cdc_chain_close(out, mark);

    return CDC_OK;
}
