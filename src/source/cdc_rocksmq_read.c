/*
 * Reading one topic of a RocksMQ.
 *
 * A message is the key "<topic>/<id>" (decimal) with its body as the value;
 * ids grow.  Until Milvus 2.3 all topics share one allocator, so that the ids
 * of one topic have holes; later each topic counts for itself.
 *
 * A stream begins in the tables.  When there is no more in there it goes on
 * with what the logs have, and stays there: each message that is written is
 * seen, none can be missed, and RocksDB has nothing to do.  It comes back to
 * the tables when what it has not read yet is moved into them, or when the
 * logs have a hole.
 *
 * Retention removes whole pages from the front of a topic, and what it
 * has removed leaves no trace.  So nothing is lost behind the wanted
 * position when
 *
 *   - a message before it is still there: what follows cannot be gone; or
 *   - the message with exactly that id is there; or
 *   - the logs have been read without a hole since one of these rules held
 *     and the stream was at the end (where a hole is, that was a moment ago:
 *     nothing can have come, been read by Milvus itself and been removed
 *     since, because retention counts in seconds).
 *
 * Otherwise it is a gap, also where other topics have the ids in between:
 * which allocator has given them cannot be told from them.  So a position at
 * the very end of a page, where the ids are shared or a restart of the source
 * has left a hole, may be called a gap that is none, never the other way
 * round.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_rocksmq_int.h"


#define CDC_ROCKSMQ_FEW    4             /* messages */
#define CDC_ROCKSMQ_SHORT  4096          /* bytes of all of them */


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
        cdc_rocksmq_msg_free(m);
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
    s->options = cdc_rocksdb.readoptions_create();

    if (s->key == NULL || s->lower == NULL || s->upper == NULL) {
        return CDC_ERROR;
    }

    (void) snprintf(s->lower, len + 2, "%s/", s->channel);
    (void) snprintf(s->upper, len + 2, "%s%c", s->channel, '/' + 1);
    memcpy(s->key, s->lower, len + 1);

    cdc_rocksdb.readoptions_set_iterate_lower_bound(s->options, s->lower,
                                                    s->prefix);
    cdc_rocksdb.readoptions_set_iterate_upper_bound(s->options, s->upper,
                                                    s->prefix);

    /* what is read once on the way to the end need not stay */
    cdc_rocksdb.readoptions_set_fill_cache(s->options, 0);

    return CDC_OK;
}


void
cdc_rocksmq_stream_free(cdc_log_stream_t *s)
{
    cdc_rocksmq_queue_clear(&s->queue);

    if (s->options != NULL) {
        cdc_rocksdb.readoptions_destroy(s->options);
    }

    free(s->key);
    free(s->lower);
    free(s->upper);
    free(s->channel);
    free(s);
}


/* ---- keys --- */

static cdc_span_t
cdc_rocksmq_name(const cdc_log_stream_t *s)
{
    return cdc_span_n(s->channel, s->prefix - 1);
}


/* the id that the iterator stands at; the bounds keep it inside the topic */

static int
cdc_rocksmq_at(const rocksdb_iterator_t *it, size_t prefix, uint64_t *id)
{
    size_t       len;
    const char  *key;

    if (!cdc_rocksdb.iter_valid(it)) {
        return CDC_DONE;
    }

    key = cdc_rocksdb.iter_key(it, &len);

    return cdc_rocksmq_digits((const uint8_t *) key + prefix, len - prefix,
                              id);
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
    cdc_rocksdb.iter_get_error(it, &status);

    if (status == NULL) {
        return CDC_DONE;
    }

    cdc_rocksmq_db_error(db, status, err);

    return CDC_ERROR;
}


/* ---- is it a gap? --- */

static int
cdc_rocksmq_gap(cdc_log_stream_t *s, uint64_t first, char *err)
{
    if (s->wanted == 0 || first == s->wanted) {
        return CDC_OK;
    }

    (void) snprintf(err, CDC_REASON_MAX, "topic \"%.256s\" no longer holds id "
                    "%" PRIu64 ": its first is %" PRIu64 " (the retention of "
                    "RocksMQ has removed what lies between)", s->channel,
                    s->wanted, first);

    return CDC_DECLINED;
}


/* ---- reading --- */

/* the first message in the tables that retention has left */

static int
cdc_rocksmq_first(cdc_log_stream_t *s, rocksdb_iterator_t *it, uint64_t *id,
    char *err)
{
    int  rc;

    if (s->topic->purged == UINT64_MAX) {
        return CDC_DONE;
    }

    if (s->topic->purged == 0) {
        cdc_rocksdb.iter_seek_to_first(it);

    } else {
        cdc_rocksdb.iter_seek(it, s->key, cdc_rocksmq_key(s, s->topic->purged));
    }

    rc = cdc_rocksmq_at(it, s->prefix, id);

    if (rc == CDC_DONE) {
        return cdc_rocksmq_ended(&s->reader->db, it, err);
    }

    if (rc == CDC_ERROR) {
        (void) snprintf(err, CDC_REASON_MAX, "topic \"%.256s\" has a key that "
                        "is not RocksMQ's", s->channel);
    }

    return rc;
}


/* CDC_OK: the iterator stands at the next message.  CDC_DONE: there is none
 * in the tables. */

static int
cdc_rocksmq_seek(cdc_log_stream_t *s, rocksdb_iterator_t *it, char *err)
{
    int                rc;
    uint64_t           id, last;
    cdc_rocksmq_db_t  *db;

    db = &s->reader->db;

    /* nothing has changed since the last one was read: no need to read it
     * once more, it may be large */

    if (s->sure && s->view == db->view
        && cdc_rocksmq_key(s, s->last) == cdc_rocksmq_key(s, s->wanted))
    {
        cdc_rocksdb.iter_seek(it, s->key, cdc_rocksmq_key(s, s->wanted));
        return CDC_OK;
    }

    s->view = db->view;

    if (s->last != 0 && s->last >= s->topic->purged) {
        cdc_rocksdb.iter_seek(it, s->key, cdc_rocksmq_key(s, s->last));

        if (cdc_rocksmq_at(it, s->prefix, &id) == CDC_OK && id == s->last) {
            cdc_rocksdb.iter_next(it);
            s->sure = 1;
            return CDC_OK;
        }
    }

    rc = cdc_rocksmq_first(s, it, &id, err);

    if (rc == CDC_ERROR) {
        return rc;
    }

    if (rc == CDC_DONE) {

        if (cdc_rocksmq_wal_ends(&db->wal, s->topic, &id, &last, err)
            != CDC_OK)
        {
            return CDC_ERROR;
        }

        if (id == 0) {
            return CDC_DONE;             /* nobody knows */
        }
    }

    if (id >= s->wanted) {

        if (!s->sure && cdc_rocksmq_gap(s, id, err) != CDC_OK) {
            return CDC_DECLINED;
        }

        s->sure = 1;

        return rc;
    }

    s->sure = 1;

    if (rc == CDC_DONE) {
        return rc;
    }

    cdc_rocksdb.iter_seek_for_prev(it, s->key, cdc_rocksmq_key(s, s->wanted));

    if (cdc_rocksmq_at(it, s->prefix, &id) == CDC_OK && id < s->wanted) {
        cdc_rocksdb.iter_next(it);
    }

    return CDC_OK;
}


static cdc_rocksmq_msg_t *
cdc_rocksmq_msg(uint64_t id, size_t len, char *err)
{
    cdc_rocksmq_msg_t  *m;

    m = cdc_rocksmq_msg_create(id, len);

    if (m == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");
    }

    return m;
}


static void
cdc_rocksmq_append(cdc_log_stream_t *s, uint64_t id, cdc_rocksmq_msg_t *m,
    cdc_rocksmq_queue_t *q)
{
    if (m != NULL) {
        *q->last = m;
        q->last = &m->next;
        q->bytes += m->len + sizeof(cdc_rocksmq_msg_t);
    }

    s->last = id;
    s->wanted = id + 1;
}


/* a little is one message, or short ones: cdc_rocksmq_room.c */

static int
cdc_rocksmq_enough(const cdc_rocksmq_queue_t *q, size_t room, size_t len)
{
    return q->head != NULL && room <= CDC_ROCKSMQ_LITTLE
           && q->bytes + len > room;
}


/* CDC_OK: there is no room for more.  CDC_DONE: that was all. */

static int
cdc_rocksmq_fill_tables(cdc_log_stream_t *s, cdc_rocksmq_queue_t *q,
    size_t room, char *err)
{
    int                  rc;
    size_t               len;
    uint64_t             id;
    const char          *body;
    cdc_rocksmq_msg_t   *m;
    rocksdb_iterator_t  *it;

    it = cdc_rocksdb.create_iterator(s->reader->db.db, s->options);

    rc = cdc_rocksmq_seek(s, it, err);

    while (rc == CDC_OK && q->bytes < room) {

        rc = cdc_rocksmq_at(it, s->prefix, &id);

        if (rc == CDC_DONE) {
            rc = cdc_rocksmq_ended(&s->reader->db, it, err);
            break;
        }

        if (rc == CDC_OK && id >= s->wanted) {
            body = cdc_rocksdb.iter_value(it, &len);

            if (cdc_rocksmq_enough(q, room, len)) {
                break;
            }

            m = len != 0 ? cdc_rocksmq_msg(id, len, err) : NULL;

            if (len != 0) {

                if (m == NULL) {
                    rc = CDC_ERROR;
                    break;
                }

                memcpy(m->body, body, len);
            }

            cdc_rocksmq_append(s, id, m, q);
        }

        rc = CDC_OK;                     /* or a key that is not a message */

        /* a step reads and checks a block, and one may be a message */

        if (q->bytes < room) {
            cdc_rocksdb.iter_next(it);
        }
    }

    cdc_rocksdb.iter_destroy(it);

    return rc;
}


static int
cdc_rocksmq_fill_logs(cdc_log_stream_t *s, cdc_rocksmq_queue_t *q, size_t room,
    char *err)
{
    cdc_rocksmq_msg_t          *m;
    const cdc_rocksmq_entry_t  *e;

    while (q->bytes < room) {

        e = cdc_rocksmq_topic_next(s->topic, s->wanted);

        if (e == NULL) {
            return CDC_DONE;
        }

        if (cdc_rocksmq_enough(q, room, e->len)) {
            break;
        }

        if (!s->sure) {

            if (cdc_rocksmq_gap(s, e->id, err) != CDC_OK) {
                return CDC_DECLINED;
            }

            s->sure = 1;
        }

        m = NULL;

        if (e->len != 0) {
            m = cdc_rocksmq_msg(e->id, e->len, err);

            if (m == NULL) {
                return CDC_ERROR;
            }

            if (cdc_rocksmq_wal_body(&s->reader->db.wal, e, m->body, err)
                != CDC_OK)
            {
                cdc_rocksmq_msg_free(m);
                return CDC_ERROR;
            }
        }

        cdc_rocksmq_append(s, e->id, m, q);
    }

    return CDC_OK;
}


int
cdc_rocksmq_attach(cdc_log_stream_t *s, uint64_t pass)
{
    cdc_rocksmq_wal_t    *wal;
    cdc_rocksmq_topic_t  *t;

    wal = &s->reader->db.wal;

    if (s->topic == NULL || s->chain != wal->chain) {

        t = cdc_rocksmq_topic(&wal->topics, cdc_rocksmq_name(s), 1);

        if (t == NULL) {
            return CDC_ERROR;
        }

        if (s->topic == NULL || !t->wanted) {
            cdc_rocksmq_topic_want(t, s->wanted);
        }

        s->topic = t;
        s->chain = wal->chain;

        /* one that was at the end a moment ago has lost nothing: retention
         * counts in seconds */

        s->sure = s->sure && s->end && !s->tables && s->reader->live;
        s->tables = 1;
    }

    s->topic->pass = pass;

    return CDC_OK;
}


int
cdc_rocksmq_news(const cdc_log_stream_t *s)
{
    return !s->end || s->tables || s->topic->lost != 0
           || s->topic->head != s->topic->tail;
}


int
cdc_rocksmq_brief(const cdc_log_stream_t *s)
{
    size_t                i, bytes;
    cdc_rocksmq_topic_t  *t;

    t = s->topic;

    if (s->tables || t->lost != 0 || t->tail - t->head > CDC_ROCKSMQ_FEW) {
        return 0;
    }

    for (i = t->head, bytes = 0; i < t->tail; i++) {
        bytes += t->entries[i].len;
    }

    return bytes <= CDC_ROCKSMQ_SHORT;
}


int
cdc_rocksmq_fill(cdc_log_stream_t *s, cdc_rocksmq_queue_t *q, size_t room,
    char *err)
{
    int                   rc;
    cdc_rocksmq_topic_t  *t;

    t = s->topic;

    if (t->lost != 0) {

        /* of a stream that was done with the tables it is known which one
         * comes next */

        if (!s->tables && t->lost - 1 > s->wanted) {
            s->wanted = t->lost - 1;
        }

        s->tables = 1;
        s->sure = 0;
        t->lost = 0;
    }

    if (s->tables) {
        rc = cdc_rocksmq_fill_tables(s, q, room, err);

        if (rc != CDC_DONE) {
            return rc;
        }

        s->tables = 0;
    }

    return cdc_rocksmq_fill_logs(s, q, room, err);
}


uint64_t
cdc_rocksmq_behind(cdc_log_stream_t *s)
{
    char                 *status;
    size_t                i, len;
    uint64_t              bytes, size;
    const char           *from, *to;
    cdc_rocksmq_topic_t  *t;

    t = s->topic;
    bytes = 0;

    for (i = t->head; i != t->tail; i++) {
        bytes += t->entries[i].id >= s->wanted ? t->entries[i].len : 0;
    }

    if (s->tables || t->lost != 0) {
        status = NULL;
        size = 0;
        len = cdc_rocksmq_key(s, s->wanted);
        from = s->key;
        to = s->upper;

        cdc_rocksdb.approximate_sizes(s->reader->db.db, 1, &from, &len, &to,
                                      &s->prefix, &size, &status);
        cdc_rocksdb.free(status);
        bytes += size;
    }

    return bytes;
}


/* ---- where a topic begins and ends --- */

static int
cdc_rocksmq_range_of(cdc_log_stream_t *s, uint64_t *first, uint64_t *end,
    char *err)
{
    int                  rc;
    uint64_t             begin, last;
    cdc_rocksmq_db_t    *db;
    rocksdb_iterator_t  *it;

    db = &s->reader->db;

    if (cdc_rocksmq_wal_ends(&db->wal, s->topic, &begin, &last, err)
        != CDC_OK)
    {
        return CDC_ERROR;
    }

    it = cdc_rocksdb.create_iterator(db->db, s->options);

    rc = cdc_rocksmq_first(s, it, first, err);

    if (rc == CDC_OK && last == 0) {
        cdc_rocksdb.iter_seek_to_last(it);
        rc = cdc_rocksmq_at(it, s->prefix, &last);
        rc = rc == CDC_DONE ? cdc_rocksmq_ended(db, it, err) : rc;

    } else if (rc == CDC_DONE) {
        *first = begin;
        rc = CDC_OK;
    }

    *end = last != 0 ? last + 1 : 0;

    cdc_rocksdb.iter_destroy(it);

    return rc == CDC_ERROR ? rc : CDC_OK;
}


int
cdc_rocksmq_range(cdc_log_reader_t *r, const char *channel, uint64_t *first,
    uint64_t *end, char *err)
{
    int                rc;
    cdc_log_stream_t  *s;

    *first = 0;
    *end = 0;

    s = calloc(1, sizeof(cdc_log_stream_t));

    if (s == NULL || (s->channel = strdup(channel)) == NULL
        || cdc_rocksmq_stream_init(s) != CDC_OK
        || (s->topic = cdc_rocksmq_topic(&r->db.wal.topics,
                                         cdc_rocksmq_name(s), 1)) == NULL)
    {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");

        if (s != NULL) {
            cdc_rocksmq_stream_free(s);
        }

        return CDC_ERROR;
    }

    s->reader = r;
    rc = cdc_rocksmq_range_of(s, first, end, err);

    if (rc != CDC_OK) {
        *first = 0;
        *end = 0;
    }

    cdc_rocksmq_stream_free(s);

    return rc;
}
