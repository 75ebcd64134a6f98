/*
 * The delete of what an insert holds, for settling (design 4.7).
 *
 * Both messages keep keys as a list of the same shape, an insert in the
 * column of the key field (schema.ScalarField), a delete in schema.IDs; so
 * the list is spliced as it is.  It is counted, not decoded: a delete whose
 * keys, timestamps and num_rows differ in number is fatal to a Milvus.
 */

#include "cdc_wire_int.h"


#define CDC_INSERT_FIELDS        13
#define CDC_COLUMN_SCALARS       3
#define CDC_COLUMN_FIELD_ID      5
#define CDC_SCALAR_LONGS         3
#define CDC_SCALAR_STRINGS       6
#define CDC_LIST_DATA            1

#define CDC_DELETE_BASE          1
#define CDC_DELETE_SHARD         2
#define CDC_DELETE_DB            3
#define CDC_DELETE_COLLECTION    4
#define CDC_DELETE_COLLECTION_ID 7
#define CDC_DELETE_PARTITION_ID  8
#define CDC_DELETE_TIMESTAMPS    10
#define CDC_DELETE_ROWS          11
#define CDC_DELETE_KEYS          12

#define CDC_IDS_INT              1
#define CDC_IDS_STR              2

#define CDC_BASE_TYPE            1
#define CDC_BASE_MSG_ID          2
#define CDC_BASE_TIMESTAMP       3


typedef struct {
    uint32_t     kind;                   /* CDC_IDS_* */
    uint64_t     count;
    cdc_span_t   list;                   /* LongArray or StringArray */
} cdc_keys_t;


static int cdc_wire_find_keys(cdc_span_t msg, int64_t field_id,
    cdc_keys_t *keys);
static int cdc_wire_column(cdc_span_t column, int64_t *id,
    cdc_span_t *scalars);
static int cdc_wire_scalars(cdc_span_t scalars, cdc_keys_t *keys);
static int cdc_wire_count_keys(cdc_keys_t *keys);
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
cdc_wire_find_keys(cdc_span_t msg, int64_t field_id, cdc_keys_t *keys)
{
    int          rc, found;
    int64_t      id;
    cdc_span_t   scalars, column;
    cdc_field_t  f;

    found = 0;
    column = cdc_span_n(NULL, 0);

    while ((rc = cdc_wire_next(&msg, &f)) == CDC_OK) {

        if (f.number != CDC_INSERT_FIELDS) {
            continue;
        }

        if (f.wire_type != CDC_WIRE_LEN
            || cdc_wire_column(f.body, &id, &scalars) != CDC_OK)
        {
            return CDC_ERROR;
        }

        if (id != field_id) {
            continue;
        }

        if (found) {
            return CDC_ERROR;
        }

        found = 1;
        column = scalars;
    }

    if (rc != CDC_DONE) {
        return CDC_ERROR;
    }

    if (!found) {
        return CDC_DECLINED;
    }

    rc = cdc_wire_scalars(column, keys);

    return rc == CDC_OK ? cdc_wire_count_keys(keys) : rc;
}


/*
 * Parts of one list that come apart (scalars or the list twice) would have
 * to be merged; nobody writes that, so it is refused.
 */

static int
cdc_wire_column(cdc_span_t column, int64_t *id, cdc_span_t *scalars)
{
    int          rc, found;
    cdc_field_t  f;

    *id = 0;
    *scalars = cdc_span_n(NULL, 0);
    found = 0;

    while ((rc = cdc_wire_next(&column, &f)) == CDC_OK) {

        if (f.number == CDC_COLUMN_FIELD_ID) {

            if (f.wire_type != CDC_WIRE_VARINT) {
                return CDC_ERROR;
            }

            *id = (int64_t) f.value;

        } else if (f.number == CDC_COLUMN_SCALARS) {

            if (f.wire_type != CDC_WIRE_LEN || found) {
                return CDC_ERROR;
            }

            found = 1;
            *scalars = f.body;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


static int
cdc_wire_scalars(cdc_span_t scalars, cdc_keys_t *keys)
{
    int          rc;
    cdc_field_t  f;

    keys->kind = 0;

    while ((rc = cdc_wire_next(&scalars, &f)) == CDC_OK) {

        if (f.number != CDC_SCALAR_LONGS && f.number != CDC_SCALAR_STRINGS) {
            continue;
        }

        if (f.wire_type != CDC_WIRE_LEN || keys->kind) {
            return CDC_ERROR;
        }

        keys->kind = f.number == CDC_SCALAR_LONGS ? CDC_IDS_INT : CDC_IDS_STR;
        keys->list = f.body;
    }

    if (rc != CDC_DONE) {
        return CDC_ERROR;
    }

    return keys->kind ? CDC_OK : CDC_DECLINED;
}


static int
cdc_wire_count_keys(cdc_keys_t *keys)
{
    int          rc;
    uint64_t     packed;
    cdc_span_t   in;
    cdc_field_t  f;

    in = keys->list;
    keys->count = 0;

    while ((rc = cdc_wire_next(&in, &f)) == CDC_OK) {

        if (f.number != CDC_LIST_DATA) {
            continue;
        }

        if (keys->kind == CDC_IDS_STR) {

            if (f.wire_type != CDC_WIRE_LEN) {
                return CDC_ERROR;
            }

            keys->count++;

        } else if (f.wire_type == CDC_WIRE_VARINT) {
            keys->count++;

        } else {

            if (f.wire_type != CDC_WIRE_LEN
                || cdc_wire_count_packed(f.body, &packed) != CDC_OK)
            {
                return CDC_ERROR;
            }

            keys->count += packed;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


static int
cdc_wire_delete(cdc_chain_t *out, const cdc_rewrite_t *rw,
    const cdc_keys_t *keys)
{
    size_t  mark, list;

    if (cdc_chain_open(out, CDC_DELETE_BASE, &mark) != CDC_OK
        || cdc_chain_varint_field(out, CDC_BASE_TYPE, CDC_MSG_DELETE)
           != CDC_OK
        || cdc_chain_varint_field(out, CDC_BASE_MSG_ID,
                                  rw->msg_id ? rw->msg_id
                                  : cdc_wire_stamp_delete_id(rw->stamp))
           != CDC_OK
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
