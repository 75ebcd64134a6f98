/*
 * The primary keys of an insert or a delete: found, counted, and only for
 * settling looked at one by one.
 */

#include "cdc_wire_int.h"


#define CDC_INSERT_FIELDS        13
#define CDC_DELETE_KEYS          12
#define CDC_COLUMN_SCALARS       3
#define CDC_COLUMN_FIELD_ID      5
#define CDC_SCALAR_LONGS         3
#define CDC_SCALAR_STRINGS       6
#define CDC_LIST_DATA            1


static int cdc_wire_column(cdc_span_t column, int64_t *id,
    cdc_span_t *scalars);
static int cdc_wire_scalars(cdc_span_t scalars, cdc_keys_t *keys);
static int cdc_wire_count_keys(cdc_keys_t *keys);
static int cdc_wire_deleted_keys(cdc_span_t msg, cdc_keys_t *keys);
static int cdc_wire_packed_keys(cdc_span_t body, cdc_wire_key_pt fn,
    void *arg);


int
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
    cdc_span_t   in;
    cdc_field_t  f;

    if (keys->kind == CDC_IDS_INT) {
        return cdc_wire_count_varints(keys->list, CDC_LIST_DATA,
                                      &keys->count);
    }

    in = keys->list;
    keys->count = 0;

    while ((rc = cdc_wire_next(&in, &f)) == CDC_OK) {

        if (f.number != CDC_LIST_DATA) {
            continue;
        }

        if (f.wire_type != CDC_WIRE_LEN) {
            return CDC_ERROR;
        }

        keys->count++;
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


/* schema.IDs numbers its lists as CDC_IDS_* does */

static int
cdc_wire_deleted_keys(cdc_span_t msg, cdc_keys_t *keys)
{
    int          rc;
    cdc_span_t   in;
    cdc_field_t  f;

    keys->kind = 0;

    while ((rc = cdc_wire_next(&msg, &f)) == CDC_OK) {

        if (f.number != CDC_DELETE_KEYS || f.wire_type != CDC_WIRE_LEN) {
            continue;
        }

        in = f.body;

        while ((rc = cdc_wire_next(&in, &f)) == CDC_OK) {

            if ((f.number == CDC_IDS_INT || f.number == CDC_IDS_STR)
                && f.wire_type == CDC_WIRE_LEN)
            {
                keys->kind = f.number;
                keys->list = f.body;
            }
        }

        if (rc != CDC_DONE) {
            return CDC_ERROR;
        }
    }

    if (rc != CDC_DONE) {
        return CDC_ERROR;
    }

    return keys->kind ? CDC_OK : CDC_DECLINED;
}


static int
cdc_wire_packed_keys(cdc_span_t body, cdc_wire_key_pt fn, void *arg)
{
    uint64_t  key;

    while (body.len) {

        if (cdc_wire_read_varint(&body, &key) != CDC_OK) {
            return CDC_ERROR;
        }

        fn(arg, cdc_span_n(&key, sizeof(key)));
    }

    return CDC_OK;
}


int
cdc_wire_each_key(const cdc_envelope_t *env, int64_t pk_field_id,
    cdc_wire_key_pt fn, void *arg)
{
    int          rc;
    cdc_keys_t   keys;
    cdc_field_t  f;

    rc = env->type == CDC_MSG_INSERT
         ? cdc_wire_find_keys(env->raw, pk_field_id, &keys)
         : cdc_wire_deleted_keys(env->raw, &keys);

    if (rc != CDC_OK) {
        return rc;
    }

    while ((rc = cdc_wire_next(&keys.list, &f)) == CDC_OK) {

        if (f.number != CDC_LIST_DATA) {
            continue;
        }

        if (f.wire_type == CDC_WIRE_VARINT) {
            fn(arg, cdc_span_n(&f.value, sizeof(f.value)));

        } else if (f.wire_type != CDC_WIRE_LEN) {
            return CDC_ERROR;

        } else if (keys.kind == CDC_IDS_STR) {
            fn(arg, f.body);

        } else if (cdc_wire_packed_keys(f.body, fn, arg) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}
