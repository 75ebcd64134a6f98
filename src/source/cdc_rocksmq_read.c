/*
 * Reading one topic of a RocksMQ.
 *
 * A message is the key "<topic>/<id>" (decimal) with its body as the value;
 * ids grow.  Until Milvus 2.3 all topics share one allocator, so that the ids
 * of one topic have holes; later each topic counts for itself.
 *
 * Retention removes whole pages from the front of a topic, and what it
 * has removed leaves no trace.  So nothing is lost behind the wanted
 * position when
 *
 *   - a message before it is still there: what follows cannot be gone; or
 *   - the message with exactly that id is there; or
 *   - the state just before this one, a moment ago, was seen to end at the
 *     position, and one of these rules held then: nothing can have come, been
 *     read by Milvus itself and been removed since (retention counts in
 *     seconds); or
 *   - each id in between is a message of another topic: they were never ours.
 *
 * Otherwise it is a gap.  The last rule is for a position at the very end of
 * a page; it may call a hole that a restart of the source has left a gap,
 * never the other way round.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_rocksmq_int.h"


#define CDC_ROCKSMQ_HOLE  65536          /* ids that are looked for elsewhere */


void
cdc_rocksmq_queue_init(cdc_rocksmq_queue_t *q)
{
    q->head = NULL;
    q->last = &q->head;
    q->bytes = 0;
}


void
cdc_rocksmq_queue_clear(cdc_rocksmq_queue_t *q)
{
    cdc_rocksmq_msg_t  *m;

    while ((m = q->head) != NULL) {
        q->head = m->next;
        free(m);
    }

    cdc_rocksmq_queue_init(q);
}


int
cdc_rocksmq_stream_init(cdc_log_stream_t *s)
{
    size_t  len;

    len = strlen(s->channel);

    s->prefix = len + 1;
    s->key = malloc(len + 1 + CDC_ROCKSMQ_ID_LEN);
    s->lower = malloc(len + 2);
    s->upper = malloc(len + 2);
    s->options = rocksdb_readoptions_create();

    if (s->key == NULL || s->lower == NULL || s->upper == NULL) {
        return CDC_ERROR;
    }

    (void) snprintf(s->lower, len + 2, "%s/", s->channel);
    (void) snprintf(s->upper, len + 2, "%s%c", s->channel, '/' + 1);
    memcpy(s->key, s->lower, len + 1);

    rocksdb_readoptions_set_iterate_lower_bound(s->options, s->lower,
                                                s->prefix);
    rocksdb_readoptions_set_iterate_upper_bound(s->options, s->upper,
                                                s->prefix);

    return CDC_OK;
}


void
cdc_rocksmq_stream_free(cdc_log_stream_t *s)
{
    cdc_rocksmq_queue_clear(&s->queue);

    if (s->options != NULL) {
        rocksdb_readoptions_destroy(s->options);
    }

    free(s->key);
    free(s->lower);
    free(s->upper);
    free(s->channel);
    free(s);
}


/* ---- keys --- */

static int
cdc_rocksmq_id(const char *p, size_t len, uint64_t *id)
{
    size_t    i;
    uint64_t  n;

    if (len == 0 || len > 19) {
        return CDC_ERROR;
    }

    n = 0;

    for (i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return CDC_ERROR;
        }

        n = n * 10 + (uint64_t) (p[i] - '0');
    }

    *id = n;

    return CDC_OK;
}


/* the id that the iterator stands at; the bounds keep it inside the topic */

static int
cdc_rocksmq_at(const rocksdb_iterator_t *it, size_t prefix, uint64_t *id)
{
    size_t       len;
    const char  *key;

    if (!rocksdb_iter_valid(it)) {
        return CDC_DONE;
    }

    key = rocksdb_iter_key(it, &len);

    return cdc_rocksmq_id(key + prefix, len - prefix, id);
}


static size_t
cdc_rocksmq_key(cdc_log_stream_t *s, uint64_t id)
{
    return s->prefix + (size_t) snprintf(s->key + s->prefix,
                                         CDC_ROCKSMQ_ID_LEN, "%" PRIu64, id);
}


/* after the iterator has ended: CDC_DONE when that was the end */

static int
cdc_rocksmq_ended(cdc_rocksmq_db_t *db, rocksdb_iterator_t *it, char *err)
{
    char  *status;

    status = NULL;
    rocksdb_iter_get_error(it, &status);

    if (status == NULL) {
        return CDC_DONE;
    }

    cdc_rocksmq_db_error(db, status, err);

    return CDC_ERROR;
}


/* ---- is it a gap? --- */

/* messages of one other topic in [from, to); the iterator ends behind them */

static uint64_t
cdc_rocksmq_count(rocksdb_iterator_t *it, const char *topic, size_t prefix,
    uint64_t from, uint64_t to)
{
    char         key[CDC_MAX_NAME_LEN * 2 + CDC_ROCKSMQ_ID_LEN];
    size_t       len;
    uint64_t     id, n;
    const char  *p;

    if (prefix > CDC_MAX_NAME_LEN * 2) {
        return 0;
    }

    memcpy(key, topic, prefix);
    len = prefix + (size_t) snprintf(key + prefix, CDC_ROCKSMQ_ID_LEN,
                                     "%" PRIu64, from);

    n = 0;

    for (rocksdb_iter_seek(it, key, len);
         rocksdb_iter_valid(it);
         rocksdb_iter_next(it))
    {
        p = rocksdb_iter_key(it, &len);

        if (len <= prefix || memcmp(p, key, prefix) != 0
            || cdc_rocksmq_id(p + prefix, len - prefix, &id) != CDC_OK
            || id >= to)
        {
            break;
        }

        n++;
    }

    /* on to the next topic: '0' follows '/' */

    key[prefix - 1] = '/' + 1;
    rocksdb_iter_seek(it, key, prefix);

    return n;
}


/* 1 when each id in [from, to) is a message of some other topic */

static int
cdc_rocksmq_others(cdc_rocksmq_db_t *db, uint64_t from, uint64_t to)
{
    char                    topic[CDC_MAX_NAME_LEN * 2];
    size_t                  len, prefix;
    uint64_t                n;
    const char             *p, *slash;
    rocksdb_iterator_t     *it;
    rocksdb_readoptions_t  *options;

    if (to - from > CDC_ROCKSMQ_HOLE) {
        return 0;
    }

    n = 0;
    options = rocksdb_readoptions_create();
    it = rocksdb_create_iterator(db->db, options);

    rocksdb_iter_seek_to_first(it);

    while (rocksdb_iter_valid(it)) {
        p = rocksdb_iter_key(it, &len);
        slash = memchr(p, '/', len);
        prefix = slash != NULL ? (size_t) (slash - p) + 1 : 0;

        if (prefix == 0 || prefix > sizeof(topic)) {
            rocksdb_iter_next(it);
            continue;
        }

        memcpy(topic, p, prefix);        /* the key goes with the iterator */
        n += cdc_rocksmq_count(it, topic, prefix, from, to);
    }

    rocksdb_iter_destroy(it);
    rocksdb_readoptions_destroy(options);

    return n == to - from;
}


static int
cdc_rocksmq_gap(cdc_log_stream_t *s, uint64_t first, char *err)
{
    if (s->wanted == 0 || first == s->wanted
        || cdc_rocksmq_others(&s->reader->db, s->wanted, first))
    {
        return CDC_OK;
    }

    (void) snprintf(err, CDC_REASON_MAX, "topic \"%.256s\" no longer holds id "
                    "%" PRIu64 ": its first is %" PRIu64 " (the retention of "
                    "RocksMQ has removed what lies between)", s->channel,
                    s->wanted, first);

    return CDC_DECLINED;
}


/* ---- reading --- */

/* CDC_OK: the iterator stands at the next message, or at the end */

static int
cdc_rocksmq_seek(cdc_log_stream_t *s, rocksdb_iterator_t *it, char *err)
{
    int                rc, sure;
    uint64_t           id;
    cdc_rocksmq_db_t  *db;

    db = &s->reader->db;
    sure = s->sure && s->end && db->live && s->view + 1 == db->view;

    s->sure = 1;

    if (s->last != 0) {
        rocksdb_iter_seek(it, s->key, cdc_rocksmq_key(s, s->last));

        if (cdc_rocksmq_at(it, s->prefix, &id) == CDC_OK && id == s->last) {
            rocksdb_iter_next(it);
            return CDC_OK;
        }
    }

    rocksdb_iter_seek_to_first(it);

    rc = cdc_rocksmq_at(it, s->prefix, &id);

    if (rc == CDC_DONE) {
        s->sure = sure;
        return cdc_rocksmq_ended(db, it, err) == CDC_DONE ? CDC_OK
                                                          : CDC_ERROR;
    }

    if (rc == CDC_ERROR) {
        (void) snprintf(err, CDC_REASON_MAX, "topic \"%.256s\" has a key that "
                        "is not RocksMQ's", s->channel);
        return CDC_ERROR;
    }

    if (id >= s->wanted) {
        return sure ? CDC_OK : cdc_rocksmq_gap(s, id, err);
    }

    rocksdb_iter_seek_for_prev(it, s->key, cdc_rocksmq_key(s, s->wanted));

    if (cdc_rocksmq_at(it, s->prefix, &id) == CDC_OK && id < s->wanted) {
        s->last = id;
        rocksdb_iter_next(it);
    }

    return CDC_OK;
}


static int
cdc_rocksmq_append(cdc_log_stream_t *s, rocksdb_iterator_t *it, uint64_t id,
    cdc_rocksmq_queue_t *q)
{
    size_t              len;
    const char         *body;
    cdc_rocksmq_msg_t  *m;

    body = rocksdb_iter_value(it, &len);

    if (len != 0) {
        m = malloc(sizeof(cdc_rocksmq_msg_t) + len);
        if (m == NULL) {
            return CDC_ERROR;
        }

        m->next = NULL;
        m->id = id;
        m->len = len;
        memcpy(m->body, body, len);

        *q->last = m;
        q->last = &m->next;
        q->bytes += len + sizeof(cdc_rocksmq_msg_t);
    }

    s->last = id;
    s->wanted = id + 1;

    return CDC_OK;
}


int
cdc_rocksmq_fill(cdc_log_stream_t *s, cdc_rocksmq_queue_t *q, size_t room,
    char *err)
{
    int                  rc;
    uint64_t             id;
    rocksdb_iterator_t  *it;

    /* what is read once on the way to the end need not stay */
    rocksdb_readoptions_set_fill_cache(s->options, s->end);

    it = rocksdb_create_iterator(s->reader->db.db, s->options);

    rc = cdc_rocksmq_seek(s, it, err);

    while (rc == CDC_OK && q->bytes < room) {

        rc = cdc_rocksmq_at(it, s->prefix, &id);

        if (rc == CDC_DONE) {
            rc = cdc_rocksmq_ended(&s->reader->db, it, err);
            break;
        }

        if (rc == CDC_OK && cdc_rocksmq_append(s, it, id, q) != CDC_OK) {
            (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");
            rc = CDC_ERROR;
            break;
        }

        rc = CDC_OK;                     /* or a key that is not a message */

        /* a step reads and checks a block, and one may be a message */

        if (q->bytes < room) {
            rocksdb_iter_next(it);
        }
    }

    rocksdb_iter_destroy(it);

    return rc;
}


int
cdc_rocksmq_range(cdc_rocksmq_db_t *db, const char *channel, uint64_t *first,
    uint64_t *end, char *err)
{
    int                  rc;
    rocksdb_iterator_t  *it;
    cdc_log_stream_t    *s;

    *first = 0;
    *end = 0;

    s = calloc(1, sizeof(cdc_log_stream_t));

    if (s == NULL || (s->channel = strdup(channel)) == NULL
        || cdc_rocksmq_stream_init(s) != CDC_OK)
    {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");

        if (s != NULL) {
            cdc_rocksmq_stream_free(s);
        }

        return CDC_ERROR;
    }

    it = rocksdb_create_iterator(db->db, s->options);

    rocksdb_iter_seek_to_first(it);
    rc = cdc_rocksmq_at(it, s->prefix, first);

    if (rc == CDC_OK) {
        rocksdb_iter_seek_to_last(it);
        rc = cdc_rocksmq_at(it, s->prefix, end);
        *end += rc == CDC_OK;
    }

    if (rc != CDC_OK) {
        *first = 0;
        *end = 0;
        rc = cdc_rocksmq_ended(db, it, err) == CDC_ERROR ? CDC_ERROR : CDC_OK;
    }

    rocksdb_iter_destroy(it);
    cdc_rocksmq_stream_free(s);

    return rc;
}
