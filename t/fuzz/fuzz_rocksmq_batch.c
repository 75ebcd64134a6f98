/*
 * Write batches of RocksDB's, and the keys of RocksMQ in them.
 *
 * Input: a first byte, and the record.  With bit 0 the bytes are operations
 * ({kind, length of the key, of the value, both}) of which a batch is made,
 * which must be told as they were; else they are the record as it is.  However
 * it is cut into parts, the same is told.
 */

#include "fuzz_rocksmq.h"


#define FUZZ_OPS  256


typedef struct {
    cdc_rocksmq_kind_t  kind;
    cdc_span_t          key, end;        /* key and end are copies */
    uint64_t            off, len;
} fuzz_op_t;

typedef struct {
    size_t              n;
    fuzz_op_t           ops[FUZZ_OPS];
} fuzz_ops_t;


/* what is told of the whole, of the parts, and what a batch was made of */

static fuzz_ops_t  fuzz_whole, fuzz_cut, fuzz_made;


static void
fuzz_add(fuzz_ops_t *ops, cdc_rocksmq_kind_t kind, cdc_span_t key,
    cdc_span_t end, uint64_t off, uint64_t len)
{
    fuzz_op_t  *op;

    if (ops->n == FUZZ_OPS) {
        return;
    }

    op = &ops->ops[ops->n++];
    op->kind = kind;
    op->key = cdc_span_n(fuzz_copy(key, 0), key.len);
    op->end = cdc_span_n(fuzz_copy(end, 0), end.len);
    op->off = off;
    op->len = len;
}


static void
fuzz_clear(fuzz_ops_t *ops)
{
    while (ops->n != 0) {
        ops->n--;
        free((void *) (uintptr_t) ops->ops[ops->n].key.data);
        free((void *) (uintptr_t) ops->ops[ops->n].end.data);
    }
}


static void
fuzz_same(const fuzz_ops_t *a, const fuzz_ops_t *b, int places)
{
    size_t            i;
    const fuzz_op_t  *x, *y;

    fuzz_check(a->n == b->n);

    for (i = 0; i < a->n; i++) {
        x = &a->ops[i];
        y = &b->ops[i];

        fuzz_check(x->kind == y->kind && fuzz_equal(x->key, y->key));

        if (x->kind == CDC_ROCKSMQ_RANGE) {
            fuzz_check(fuzz_equal(x->end, y->end));

        } else {
            fuzz_check(x->len == y->len);
            fuzz_check(!places || x->off == y->off);
        }
    }
}


static int
fuzz_told(void *arg, const cdc_rocksmq_op_t *op)
{
    if (op->kind == CDC_ROCKSMQ_PUT) {
        fuzz_add(arg, op->kind, op->key, cdc_span(""), op->off, op->len);

    } else {
        fuzz_add(arg, op->kind, op->key, op->end, 0, 0);
    }

    return CDC_OK;
}


/* ---- batches --- */

/* in parts of up to "piece" bytes; 0: as one */

static int
fuzz_read(fuzz_ops_t *ops, cdc_span_t record, size_t piece, uint64_t *seq,
    uint64_t *count)
{
    size_t                off;
    uint8_t              *copy;
    cdc_span_t            part, in;
    cdc_rocksmq_batch_t  *b;

    b = malloc(sizeof(cdc_rocksmq_batch_t));     /* its arrays are the last */
    fuzz_check(b != NULL);
    b->handler = fuzz_told;
    b->arg = ops;
    cdc_rocksmq_batch_start(b);

    in = record;

    do {
        off = record.len - in.len;
        part = fuzz_take(&in, piece != 0 ? piece : record.len);
        copy = fuzz_copy(part, 0);

        if (cdc_rocksmq_batch_add(b, copy, part.len, 7 + off) != CDC_OK) {
            free(copy);
            free(b);
            return CDC_ERROR;
        }

        free(copy);

    } while (in.len != 0);

    if (cdc_rocksmq_batch_end(b, seq, count) != CDC_OK) {
        free(b);
        return CDC_ERROR;
    }

    free(b);

    return CDC_OK;
}


static size_t
fuzz_put_varint(uint8_t *p, uint64_t n)
{
    size_t  len;

    for (len = 0; n > 0x7f; n >>= 7) {
        p[len++] = (uint8_t) (n | 0x80);
    }

    p[len++] = (uint8_t) n;

    return len;
}


static size_t
fuzz_put_bytes(uint8_t *p, cdc_span_t s)
{
    size_t  n;

    n = fuzz_put_varint(p, s.len);

    if (s.len != 0) {
        memcpy(p + n, s.data, s.len);
    }

    return n + s.len;
}


/* a batch in fuzz_file, as RocksDB writes it */

static size_t
fuzz_make(cdc_span_t in)
{
    size_t      n, cf;
    unsigned    kind;
    uint32_t    count;
    cdc_span_t  key, value;

    memset(fuzz_file, 0x01, 12);

    for (n = 12, count = 0; in.len != 0 && n < FUZZ_MAX / 2; count++) {
        kind = fuzz_byte(&in);
        cf = kind >> 4 & 3;              /* of four families, 0 is "default" */
        key = fuzz_take(&in, fuzz_byte(&in));
        value = fuzz_block(&in);

        switch (kind & 3) {

        case 0:                          /* put */
            if (cf == 0) {
                fuzz_file[n++] = 1;

            } else {
                fuzz_file[n++] = 5;
                fuzz_file[n++] = (uint8_t) cf;
            }

            n += fuzz_put_bytes(fuzz_file + n, key);
            n += fuzz_put_bytes(fuzz_file + n, value);

            if (cf == 0) {
                fuzz_add(&fuzz_made, CDC_ROCKSMQ_PUT, key, cdc_span(""), 0,
                         value.len);
            }

            break;

        case 1:                          /* a range that is deleted */
            if (cf == 0 && (kind & 4)) {
                fuzz_file[n++] = 15;

            } else {
                fuzz_file[n++] = 14;
                fuzz_file[n++] = (uint8_t) cf;
            }

            value.len = value.len < CDC_ROCKSMQ_KEY ? value.len
                                                    : CDC_ROCKSMQ_KEY;
            n += fuzz_put_bytes(fuzz_file + n, key);
            n += fuzz_put_bytes(fuzz_file + n, value);

            if (cf == 0) {
                fuzz_add(&fuzz_made, CDC_ROCKSMQ_RANGE, key, value, 0, 0);
            }

            break;

        case 2:                          /* one that is deleted */
            fuzz_file[n++] = cf == 0 ? 7 : 8;

            if (cf != 0) {
                fuzz_file[n++] = (uint8_t) cf;
            }

            n += fuzz_put_bytes(fuzz_file + n, key);
            break;

        default:                         /* a word for the log */
            fuzz_file[n++] = 3;
            n += fuzz_put_bytes(fuzz_file + n, key);
            count--;
        }
    }

    memcpy(fuzz_file + 8, &count, sizeof(count));

    return n;
}


/* ---- keys --- */

static void
fuzz_key(cdc_span_t key)
{
    char        *text;
    size_t       len;
    uint64_t     id, again;
    cdc_span_t   topic, name;

    if (cdc_rocksmq_key_parse(key, &topic, &id) != CDC_OK) {
        return;
    }

    fuzz_check(topic.data == key.data && topic.len < key.len);
    fuzz_check(key.data[topic.len] == '/');

    text = malloc(topic.len + 32);
    fuzz_check(text != NULL);

    if (topic.len != 0) {
        memcpy(text, topic.data, topic.len);
    }

    len = topic.len + (size_t) snprintf(text + topic.len, 32, "/%llu",
                                        (unsigned long long) id);

    fuzz_check(cdc_rocksmq_key_parse(cdc_span_n(text, len), &name, &again)
               == CDC_OK);
    fuzz_check(again == id && fuzz_equal(name, topic));
    free(text);
}


/* what a range does to the topic whose keys it has */

static void
fuzz_purge(cdc_rocksmq_topics_t *topics, const fuzz_op_t *op)
{
    uint64_t              from, to;
    cdc_span_t            name, other;
    cdc_rocksmq_topic_t  *t;

    cdc_rocksmq_topics_purge(topics, op->key, op->end, 1);

    if (cdc_rocksmq_key_parse(op->key, &name, &from) == CDC_OK
        && cdc_rocksmq_key_parse(op->end, &other, &to) == CDC_OK
        && fuzz_equal(name, other))
    {
        t = cdc_rocksmq_topic(topics, name, 0);
        fuzz_check(t != NULL && t->purged >= to);
    }
}


static void
fuzz_topics(const fuzz_ops_t *ops)
{
    size_t                 i;
    cdc_span_t             name;
    const fuzz_op_t       *op;
    cdc_rocksmq_topic_t   *t;
    cdc_rocksmq_entry_t    e;
    cdc_rocksmq_topics_t   topics;

    memset(&topics, 0, sizeof(topics));
    memset(&e, 0, sizeof(e));

    for (i = 0; i < ops->n; i++) {
        op = &ops->ops[i];
        fuzz_key(op->key);
        fuzz_key(op->end);

        if (op->kind == CDC_ROCKSMQ_RANGE) {
            fuzz_purge(&topics, op);

        } else if (cdc_rocksmq_key_parse(op->key, &name, &e.id) == CDC_OK) {
            e.log = 1 + i / 8;
            t = cdc_rocksmq_topic(&topics, name, 1);
            fuzz_check(t != NULL && cdc_rocksmq_topic_put(t, &e) == CDC_OK);
            fuzz_check(t->purged <= e.id && t->nids != 0);
            fuzz_check(cdc_rocksmq_topic(&topics, name, 0) == t);
        }
    }

    cdc_rocksmq_topics_drop(&topics, 2);
    cdc_rocksmq_topics_free(&topics);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int         rc;
    size_t      piece;
    uint64_t    seq[2], count[2];
    cdc_span_t  record;

    if (size < 2 || size > FUZZ_MAX / 4) {
        return 0;
    }

    piece = 1 + (data[0] >> 1);
    record = cdc_span_n(data + 1, size - 1);

    if (data[0] & 1) {
        record = cdc_span_n(fuzz_file, fuzz_make(record));
    }

    rc = fuzz_read(&fuzz_whole, record, 0, &seq[0], &count[0]);
    fuzz_check(fuzz_read(&fuzz_cut, record, piece, &seq[1], &count[1]) == rc);
    fuzz_same(&fuzz_whole, &fuzz_cut, 1);

    if (rc == CDC_OK) {
        fuzz_check(seq[0] == seq[1] && count[0] == count[1]);
    }

    if (data[0] & 1) {
        fuzz_check(rc == CDC_OK);
        fuzz_same(&fuzz_whole, &fuzz_made, 0);
    }

    fuzz_topics(&fuzz_whole);

    fuzz_clear(&fuzz_whole);
    fuzz_clear(&fuzz_cut);
    fuzz_clear(&fuzz_made);

    return 0;
}
