/*
 * Messages of the data channels: what is read of them, and what is changed
 * on their way to the target.
 *
 * A rewritten message is: base, the replaced fields, then all others in one
 * run.  The order of fields means nothing in protobuf, and so an insert of
 * any size is two spans, of which the large one is the log's own memory.
 */

#include <string.h>

#include "cdc_wire_int.h"


#define CDC_BASE             1
#define CDC_BASE_TYPE        1
#define CDC_BASE_MSG_ID      2
#define CDC_BASE_TIMESTAMP   3
#define CDC_BASE_SOURCE_ID   4
#define CDC_BASE_REPLICATE   7

#define CDC_REPLICATE_IS     1

#define CDC_REQUEST_CHANNEL  2
#define CDC_REQUEST_BEGIN    3
#define CDC_REQUEST_END      4
#define CDC_REQUEST_MSGS     5


/* field numbers by type; 0: the type has no such field */

typedef struct {
    int32_t    type;
    uint8_t    shard;
    uint8_t    db;
    uint8_t    collection;
    uint8_t    partition;                /* name, where it is replaced */
    uint8_t    collection_id;
    uint8_t    partition_id;
    uint8_t    timestamps;
    uint8_t    rows;
    uint8_t    rewrite;
} cdc_layout_t;

static const cdc_layout_t  cdc_layouts[] = {
    { CDC_MSG_INSERT,            2, 3, 4, 0, 7, 8, 10, 14, 1 },
    { CDC_MSG_DELETE,            2, 3, 4, 0, 7, 8, 10, 11, 1 },
    { CDC_MSG_DROP_COLLECTION,   0, 2, 3, 0, 5, 0, 0,  0,  1 },
    { CDC_MSG_DROP_PARTITION,    0, 2, 3, 4, 6, 7, 0,  0,  1 },
    { CDC_MSG_CREATE_PARTITION,  0, 2, 3, 4, 6, 7, 0,  0,  1 },

    { CDC_MSG_IMPORT,            0, 2, 3, 0, 4, 0, 0,  0,  1 },

    /* what it holds beside the ids below is the source's own as well: its
     * channels */

    { CDC_MSG_CREATE_COLLECTION, 0, 0, 0, 0, 6, 7, 0,  0,  0 },
};


static const cdc_layout_t *cdc_wire_layout(int32_t type);
static int cdc_wire_envelope_field(cdc_envelope_t *env, const cdc_layout_t *l,
    const cdc_field_t *f);
static uint64_t cdc_wire_first_stamp(const cdc_field_t *f);
static int cdc_wire_rewrite_fields(cdc_chain_t *out,
    const cdc_envelope_t *env, const cdc_rewrite_t *rw,
    const cdc_layout_t *l);
static int cdc_wire_keep_base(cdc_chain_t *out, cdc_span_t msg);
static int cdc_wire_stamp_base(cdc_chain_t *out, cdc_span_t msg,
    const cdc_rewrite_t *rw);
static int cdc_wire_target(cdc_chain_t *out, const cdc_layout_t *l,
    const cdc_rewrite_t *rw);


static const cdc_layout_t *
cdc_wire_layout(int32_t type)
{
    size_t  i;

    for (i = 0; i < sizeof(cdc_layouts) / sizeof(cdc_layouts[0]); i++) {
        if (cdc_layouts[i].type == type) {
            return &cdc_layouts[i];
        }
    }

    return NULL;
}


int
cdc_wire_envelope(cdc_span_t msg, cdc_envelope_t *env)
{
    int                  rc;
    cdc_span_t           in;
    uint64_t             row;
    cdc_field_t          f;
    const cdc_layout_t  *l;

    memset(env, 0, sizeof(cdc_envelope_t));
    env->raw = msg;

    if (cdc_wire_base(msg, &env->type, &env->ts) != CDC_OK) {
        return CDC_ERROR;
    }

    l = cdc_wire_layout(env->type);
    if (l == NULL) {
        return CDC_OK;
    }

    in = msg;
    row = 0;

    while ((rc = cdc_wire_next(&in, &f)) == CDC_OK) {
        if (cdc_wire_envelope_field(env, l, &f) != CDC_OK) {
            return CDC_ERROR;
        }

        if (l->timestamps && f.number == l->timestamps && row == 0) {
            row = cdc_wire_first_stamp(&f);
        }
    }

    /* Milvus goes by the rows' time: the insert of an upsert has no other */

    if (row) {
        env->ts = row;
    }

    if (rc != CDC_DONE) {
        return CDC_ERROR;
    }

    if (l->timestamps && env->rows == 0) {
        return cdc_wire_count_varints(msg, l->timestamps, &env->rows);
    }

    return CDC_OK;
}


/* 0 when there is none */

static uint64_t
cdc_wire_first_stamp(const cdc_field_t *f)
{
    uint64_t    ts;
    cdc_span_t  body;

    if (f->wire_type == CDC_WIRE_VARINT) {
        return f->value;
    }

    body = f->body;                      /* empty but of a packed field */

    return cdc_wire_read_varint(&body, &ts) == CDC_OK ? ts : 0;
}


static int
cdc_wire_envelope_field(cdc_envelope_t *env, const cdc_layout_t *l,
    const cdc_field_t *f)
{
    if (f->number == l->shard) {
        env->shard_name = f->body;
        return f->wire_type == CDC_WIRE_LEN ? CDC_OK : CDC_ERROR;
    }

    if (f->number == l->db
        || f->number == l->collection
        || f->number == l->partition)
    {
        return f->wire_type == CDC_WIRE_LEN ? CDC_OK : CDC_ERROR;
    }

    if (f->number == l->collection_id) {
        env->collection_id = (int64_t) f->value;

    } else if (f->number == l->partition_id) {
        env->partition_id = (int64_t) f->value;

    } else if (f->number == l->rows) {
        env->rows = f->value;

    } else {
        return CDC_OK;
    }

    return f->wire_type == CDC_WIRE_VARINT ? CDC_OK : CDC_ERROR;
}


int
cdc_wire_rewrite(cdc_chain_t *out, const cdc_envelope_t *env,
    const cdc_rewrite_t *rw)
{
    cdc_chain_pos_t      pos;
    const cdc_layout_t  *l;

    l = cdc_wire_layout(env->type);

    if (l == NULL || !l->rewrite) {
        return CDC_DECLINED;
    }

    cdc_chain_save(out, &pos);

    if (cdc_wire_rewrite_fields(out, env, rw, l) != CDC_OK) {
        cdc_chain_rollback(out, &pos);
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_wire_rewrite_fields(cdc_chain_t *out, const cdc_envelope_t *env,
    const cdc_rewrite_t *rw, const cdc_layout_t *l)
{
    int       rc;
    uint64_t  n, drop;

    rc = rw->stamp ? cdc_wire_stamp_base(out, env->raw, rw)
                   : cdc_wire_keep_base(out, env->raw);

    if (rc != CDC_OK || cdc_wire_target(out, l, rw) != CDC_OK) {
        return CDC_ERROR;
    }

    drop = cdc_wire_bit(CDC_BASE)
           | cdc_wire_bit(l->shard)
           | cdc_wire_bit(l->db)
           | cdc_wire_bit(l->collection)
           | cdc_wire_bit(l->partition)
           | cdc_wire_bit(l->collection_id)
           | cdc_wire_bit(l->partition_id);

    if (rw->stamp && l->timestamps) {

        if (cdc_wire_count_varints(env->raw, l->timestamps, &n) != CDC_OK
            || n != env->rows
            || cdc_wire_stamps(out, l->timestamps, rw->stamp, n) != CDC_OK)
        {
            return CDC_ERROR;
        }

        drop |= cdc_wire_bit(l->timestamps);
    }

    if (env->type == CDC_MSG_IMPORT
        && cdc_wire_import_rewrite(out, env, rw, &drop) != CDC_OK)
    {
        return CDC_ERROR;
    }

    return cdc_wire_splice(out, env->raw, drop);
}


static int
cdc_wire_keep_base(cdc_chain_t *out, cdc_span_t msg)
{
    int          rc;
    cdc_field_t  f;

    while ((rc = cdc_wire_next(&msg, &f)) == CDC_OK) {
        if (f.number == CDC_BASE && cdc_chain_copy(out, f.raw) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


/* bases that come more than once are merged by joining their bodies */

static int
cdc_wire_stamp_base(cdc_chain_t *out, cdc_span_t msg,
    const cdc_rewrite_t *rw)
{
    int          rc;
    size_t       mark;
    uint64_t     drop;
    cdc_field_t  f;

    if (cdc_chain_open(out, CDC_BASE, &mark) != CDC_OK) {
        return CDC_ERROR;
    }

    drop = cdc_wire_bit(CDC_BASE_MSG_ID) | cdc_wire_bit(CDC_BASE_TIMESTAMP);

    while ((rc = cdc_wire_next(&msg, &f)) == CDC_OK) {

        if (f.number == CDC_BASE
            && cdc_wire_splice(out, f.body, drop) != CDC_OK)
        {
            return CDC_ERROR;
        }
    }

    if (rc != CDC_DONE
        || cdc_chain_varint_field(out, CDC_BASE_MSG_ID, rw->msg_id) != CDC_OK
        || cdc_chain_varint_field(out, CDC_BASE_TIMESTAMP, rw->stamp)
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_chain_close(out, mark);

    return CDC_OK;
}


static int
cdc_wire_target(cdc_chain_t *out, const cdc_layout_t *l,
    const cdc_rewrite_t *rw)
{
    if ((l->shard
         && cdc_wire_set_bytes(out, l->shard, rw->shard_name) != CDC_OK)
        || cdc_wire_set_bytes(out, l->db, rw->db_name) != CDC_OK
        || cdc_wire_set_bytes(out, l->collection, rw->collection_name)
           != CDC_OK
        || (l->partition
            && cdc_wire_set_bytes(out, l->partition, rw->partition_name)
               != CDC_OK)
        || cdc_wire_set_varint(out, l->collection_id, rw->collection_id)
           != CDC_OK
        || (l->partition_id
            && cdc_wire_set_varint(out, l->partition_id, rw->partition_id)
               != CDC_OK))
    {
        return CDC_ERROR;
    }

    return CDC_OK;
}


int
cdc_wire_stamps(cdc_chain_t *out, uint32_t number, uint64_t stamp,
    uint64_t n)
{
    size_t    head, one, done, len;
    uint8_t   buf[2 * CDC_WIRE_VARINT_MAX], varint[CDC_WIRE_VARINT_MAX], *p;

    if (n == 0) {
        return CDC_OK;
    }

    /* n was counted in a message, so this can be no overflow */

    one = cdc_wire_varint(varint, stamp);
    len = one * n;

    head = cdc_wire_varint(buf, (uint64_t) number << 3 | CDC_WIRE_LEN);
    head += cdc_wire_varint(buf + head, len);

    p = cdc_chain_alloc(out, head + len);
    if (p == NULL) {
        return CDC_ERROR;
    }

    memcpy(p, buf, head);
    p += head;

    memcpy(p, varint, one);

    for (done = one; done <= len - done; done *= 2) {
        memcpy(p + done, p, done);
    }

    memcpy(p + done, p, len - done);

    return CDC_OK;
}


int
cdc_wire_tick(cdc_chain_t *out, uint64_t ts)
{
    size_t           mark;
    cdc_chain_pos_t  pos;

    cdc_chain_save(out, &pos);

    if (cdc_chain_open(out, CDC_BASE, &mark) != CDC_OK
        || cdc_chain_varint_field(out, CDC_BASE_TYPE, CDC_MSG_TIME_TICK)
           != CDC_OK
        || cdc_wire_set_varint(out, CDC_BASE_TIMESTAMP, ts) != CDC_OK
        || cdc_chain_varint_field(out, CDC_BASE_SOURCE_ID, (uint64_t) -1)
           != CDC_OK)
    {
        cdc_chain_rollback(out, &pos);
        return CDC_ERROR;
    }

    cdc_chain_close(out, mark);

    return CDC_OK;
}


int
cdc_wire_replicate_begin(cdc_chain_t *out, cdc_span_t channel,
    uint64_t begin_ts, uint64_t end_ts)
{
    size_t           base, info;
    cdc_chain_pos_t  pos;

    cdc_chain_save(out, &pos);

    if (cdc_chain_open(out, CDC_BASE, &base) != CDC_OK
        || cdc_chain_open(out, CDC_BASE_REPLICATE, &info) != CDC_OK
        || cdc_chain_varint_field(out, CDC_REPLICATE_IS, 1) != CDC_OK)
    {
        goto failed;
    }

    cdc_chain_close(out, info);
    cdc_chain_close(out, base);

    if (cdc_wire_set_bytes(out, CDC_REQUEST_CHANNEL, channel) != CDC_OK
        || cdc_wire_set_varint(out, CDC_REQUEST_BEGIN, begin_ts) != CDC_OK
        || cdc_wire_set_varint(out, CDC_REQUEST_END, end_ts) != CDC_OK)
    {
        goto failed;
    }

    return CDC_OK;

failed:

    cdc_chain_rollback(out, &pos);

    return CDC_ERROR;
}


int
cdc_wire_msg_open(cdc_chain_t *out, size_t *mark)
{
    return cdc_chain_open(out, CDC_REQUEST_MSGS, mark);
}


void
cdc_wire_msg_close(cdc_chain_t *out, size_t mark)
{
    cdc_chain_close(out, mark);
}
