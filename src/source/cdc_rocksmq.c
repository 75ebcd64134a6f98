/*
 * Log reader: RocksMQ, the log that a standalone Milvus keeps in a RocksDB.
 *
 * cdc_rocksmq_follow.c has the thread that reads, cdc_rocksmq_db.c how the
 * source's database is followed without touching it, cdc_rocksmq_wal.c its
 * write-ahead logs, cdc_rocksmq_read.c the topics.  Here is the main thread's
 * part.
 *
 * A stream's queue is where the two meet: the thread appends as much as there
 * is room for (cdc_rocksmq_room.c), next() takes from it, and wakes the thread
 * when half is gone.
 * Bodies are copied once, out of RocksDB's blocks or the file of a log, so a
 * message that waits holds no more than itself.
 *
 * stop() never waits: a stream that the thread works on is freed by it.
 * Only RocksDB's own log is on disk, in a directory of ours.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <jansson.h>

#include "cdc_rocksmq_int.h"


static cdc_log_reader_t *cdc_rocksmq_open(cdc_loop_t *loop, const void *conf,
    const cdc_log_handler_t *h, char *err);
static void cdc_rocksmq_close(cdc_log_reader_t *r);
static int cdc_rocksmq_ends(cdc_log_reader_t *r, const char *channel,
    unsigned ms, cdc_pos_t *first, cdc_pos_t *end, char *err);
static cdc_log_stream_t *cdc_rocksmq_start(cdc_log_reader_t *r,
    const char *channel, cdc_pos_t from, void *data, char *err);
static void cdc_rocksmq_stop(cdc_log_stream_t *s);
static void *cdc_rocksmq_data(cdc_log_stream_t *s);
static int cdc_rocksmq_next(cdc_log_stream_t *s, cdc_log_msg_t *msg,
    char *err);
static void cdc_rocksmq_release(cdc_log_msg_t *msg);
static int cdc_rocksmq_at_end(cdc_log_stream_t *s);
static int cdc_rocksmq_end(cdc_log_stream_t *s, cdc_pos_t *pos);
static int cdc_rocksmq_left(cdc_log_stream_t *s, uint64_t *bytes);
static uint64_t cdc_rocksmq_next_try(cdc_log_reader_t *r);


const cdc_log_reader_ops_t  cdc_rocksmq_reader = {
    "rocksmq",
    0,
    cdc_rocksmq_open,
    cdc_rocksmq_close,
    cdc_rocksmq_ends,
    cdc_log_parse_id,
    cdc_rocksmq_start,
    cdc_rocksmq_stop,
    cdc_rocksmq_data,
    cdc_rocksmq_next,
    cdc_rocksmq_release,
    cdc_rocksmq_at_end,
    cdc_rocksmq_next_try,
    cdc_rocksmq_end,
    NULL,                                /* it is in the source's milvus.yaml */
    cdc_rocksmq_left,
    NULL
};


/* Milvus 2.6 puts its own envelope into RocksMQ and marks it with this */

static const uint8_t  cdc_rocksmq_streaming[] = {
    0xff, 0xfe, 0xfd, 0xfc, 'S', 'T', 'R', 'E', 'A', 'M'
};


static void
cdc_rocksmq_wake(cdc_log_reader_t *r)
{
    uint64_t  one;

    one = 1;

    if (write(r->wake, &one, sizeof(one)) == -1 && errno != EAGAIN) {
        cdc_log(CDC_LOG_ALERT, errno, "write() to an eventfd failed");
    }
}


/* ---- the reader --- */

static cdc_log_stream_t *
cdc_rocksmq_ready(cdc_log_reader_t *r)
{
    int                wake;
    cdc_log_stream_t  *s;

    wake = 0;

    (void) pthread_mutex_lock(&r->mutex);

    for (s = r->streams; s != NULL && !s->ready; s = s->next) {
        /* void */
    }

    if (s != NULL) {
        s->ready = 0;

    } else {
        wake = cdc_rocksmq_room_looked(r);
    }

    (void) pthread_mutex_unlock(&r->mutex);

    if (wake) {
        cdc_rocksmq_wake(r);
    }

    return s;
}


static void
cdc_rocksmq_post(cdc_post_t *post)
{
    int                changed;
    cdc_log_reader_t  *r;
    cdc_log_stream_t  *s;

    r = post->data;

    (void) pthread_mutex_lock(&r->mutex);

    changed = strcmp(r->told, r->text) != 0;
    memcpy(r->told, r->text, sizeof(r->told));

    (void) pthread_mutex_unlock(&r->mutex);

    if (changed && r->handler.degraded != NULL) {
        r->handler.degraded(r->handler.arg,
                            r->told[0] != '\0' ? r->told : NULL);
    }

    /* any stream may be stopped in there: from the start each time */

    while ((s = cdc_rocksmq_ready(r)) != NULL) {
        r->handler.readable(r->handler.arg, s);
    }
}


static int
cdc_rocksmq_conf(cdc_log_reader_t *r, const json_t *conf, char *err)
{
    size_t       len;
    json_int_t   prefetch;
    const char  *dir, *own;

    dir = json_string_value(json_object_get(conf, "rocksmq"));
    own = json_string_value(json_object_get(conf, "secondary_dir"));

    if (dir == NULL || own == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no directory is given");
        return CDC_ERROR;
    }

    r->dir = strdup(dir);
    r->own = strdup(own);

    if (r->dir == NULL || r->own == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");
        return CDC_ERROR;
    }

    for (len = strlen(r->dir); len > 1 && r->dir[len - 1] == '/'; len--) {
        r->dir[len - 1] = '\0';
    }

    r->db.dir = r->dir;
    r->db.own = r->own;
    cdc_rocksmq_manifest_init(&r->db.manifest);

    prefetch = json_integer_value(json_object_get(conf, "prefetch"));
    r->prefetch = prefetch > 0 ? (size_t) prefetch : CDC_ROCKSMQ_PREFETCH;
    r->fixed = prefetch > 0;

    return CDC_OK;
}


static cdc_log_reader_t *
cdc_rocksmq_open(cdc_loop_t *loop, const void *conf,
    const cdc_log_handler_t *h, char *err)
{
    int                  rc;
    cdc_log_reader_t    *r;
    pthread_condattr_t   attr;

    if (cdc_rocksdb_load(err) != CDC_OK) {
        return NULL;
    }

    r = calloc(1, sizeof(cdc_log_reader_t));
    if (r == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");
        return NULL;
    }

    r->loop = loop;
    r->fills = 1;
    r->handler = *h;
    r->inotify = -1;
    r->watch = -1;
    r->post.handler = cdc_rocksmq_post;
    r->post.data = r;

    (void) pthread_mutex_init(&r->mutex, NULL);
    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&r->answered, &attr);
    (void) pthread_condattr_destroy(&attr);

    r->wake = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK);

    if (cdc_rocksmq_conf(r, conf, err) != CDC_OK) {
        cdc_rocksmq_close(r);
        return NULL;
    }

    rc = r->wake == -1 ? errno
                       : pthread_create(&r->thread, NULL, cdc_rocksmq_thread,
                                        r);

    if (rc != 0) {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no thread or eventfd: "
                        "%s", strerror(rc));
        cdc_rocksmq_close(r);
        return NULL;
    }

    r->started = 1;
    cdc_memory_brief();
    (void) pthread_setname_np(r->thread, "rocksmq");

    return r;
}


static void
cdc_rocksmq_close(cdc_log_reader_t *r)
{
    if (r == NULL) {
        return;
    }

    while (r->streams != NULL) {
        cdc_rocksmq_stop(r->streams);
    }

    if (r->started) {
        (void) pthread_mutex_lock(&r->mutex);
        r->quit = 1;
        (void) pthread_mutex_unlock(&r->mutex);

        cdc_rocksmq_wake(r);
        (void) pthread_join(r->thread, NULL);
    }

    cdc_loop_cancel(r->loop, &r->post);

    if (r->wake != -1) {
        (void) close(r->wake);
    }

    if (r->inotify != -1) {
        (void) close(r->inotify);
    }

    (void) pthread_cond_destroy(&r->answered);
    (void) pthread_mutex_destroy(&r->mutex);

    free(r->dir);
    free(r->own);
    free(r);
}


/* ---- positions --- */

static void
cdc_rocksmq_take_back(cdc_log_reader_t *r, cdc_rocksmq_ask_t *ask)
{
    cdc_rocksmq_ask_t  **link;

    for (link = &r->asks; *link != NULL; link = &(*link)->next) {
        if (*link == ask) {
            *link = ask->next;
            return;
        }
    }
}


static int
cdc_rocksmq_ends(cdc_log_reader_t *r, const char *channel, unsigned ms,
    cdc_pos_t *first, cdc_pos_t *end, char *err)
{
    int                  rc;
    struct timespec      until;
    cdc_rocksmq_ask_t    ask, **link;

    memset(&ask, 0, sizeof(cdc_rocksmq_ask_t));
    ask.channel = channel;

    until = cdc_deadline(ms);

    (void) pthread_mutex_lock(&r->mutex);

    for (link = &r->asks; *link != NULL; link = &(*link)->next) {
        /* void */
    }

    *link = &ask;
    cdc_rocksmq_wake(r);

    rc = 0;

    while (!ask.done && (rc == 0 || ask.taken)) {
        rc = pthread_cond_timedwait(&r->answered, &r->mutex, &until);
    }

    if (!ask.done) {
        cdc_rocksmq_take_back(r, &ask);

        (void) snprintf(err, CDC_REASON_MAX, "%.768s", r->text[0] != '\0'
                        ? r->text : "rocksmq: no answer in time");
    }

    (void) pthread_mutex_unlock(&r->mutex);

    first->hi = 0;
    first->lo = ask.done ? ask.first : 0;
    end->hi = 0;
    end->lo = ask.done ? ask.end : 0;

    return ask.done ? CDC_OK : CDC_ERROR;
}


/* ---- streams --- */

static cdc_log_stream_t *
cdc_rocksmq_start(cdc_log_reader_t *r, const char *channel, cdc_pos_t from,
    void *data, char *err)
{
    cdc_log_stream_t  *s;

    for (s = r->streams; s != NULL; s = s->next) {
        if (strcmp(s->channel, channel) == 0) {
            (void) snprintf(err, CDC_REASON_MAX, "rocksmq: topic %.256s is "
                            "being read already", channel);
            return NULL;
        }
    }

    s = calloc(1, sizeof(cdc_log_stream_t));
    if (s == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");
        return NULL;
    }

    s->reader = r;
    s->data = data;
    s->wanted = from.lo;
    s->waiting = 1;
    s->channel = strdup(channel);
    cdc_rocksmq_queue_init(&s->queue);

    if (s->channel == NULL || cdc_rocksmq_stream_init(s) != CDC_OK) {
        cdc_rocksmq_stream_free(s);
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");
        return NULL;
    }

    (void) pthread_mutex_lock(&r->mutex);

    s->next = r->streams;
    r->streams = s;
    cdc_rocksmq_room_share(r);

    (void) pthread_mutex_unlock(&r->mutex);

    cdc_rocksmq_wake(r);

    return s;
}


static void
cdc_rocksmq_stop(cdc_log_stream_t *s)
{
    int                 wake;
    cdc_log_reader_t   *r;
    cdc_log_stream_t  **link;

    r = s->reader;

    (void) pthread_mutex_lock(&r->mutex);

    for (link = &r->streams; *link != s; link = &(*link)->next) {
        /* void */
    }

    *link = s->next;
    wake = cdc_rocksmq_room_taken(s, s->queue.bytes);

    if (s->busy) {
        s->stopped = 1;

    } else {
        cdc_rocksmq_stream_free(s);
    }

    (void) pthread_mutex_unlock(&r->mutex);

    if (wake) {                          /* others have its room */
        cdc_rocksmq_wake(r);
    }
}


static void *
cdc_rocksmq_data(cdc_log_stream_t *s)
{
    return s->data;
}


/* ---- reading --- */

static int
cdc_rocksmq_next(cdc_log_stream_t *s, cdc_log_msg_t *msg, char *err)
{
    int                 rc, wake;
    cdc_rocksmq_msg_t  *m;
    cdc_log_reader_t   *r;

    r = s->reader;
    rc = CDC_OK;
    wake = 0;

    (void) pthread_mutex_lock(&r->mutex);

    m = s->queue.head;

    if (m != NULL) {
        s->queue.head = m->next;

        if (m->next == NULL) {
            s->queue.last = &s->queue.head;
        }

        wake = cdc_rocksmq_room_taken(s, m->len + sizeof(cdc_rocksmq_msg_t));

    } else if (s->final != 0) {
        rc = s->final;
        (void) snprintf(err, CDC_REASON_MAX, "%s", s->text);

    } else {
        wake = cdc_rocksmq_room_asked(s);
        rc = CDC_AGAIN;
    }

    (void) pthread_mutex_unlock(&r->mutex);

    if (wake) {
        cdc_rocksmq_wake(r);
    }

    if (rc != CDC_OK) {
        return rc;
    }

    memset(msg, 0, sizeof(cdc_log_msg_t));
    msg->pos.lo = m->id;
    msg->body = cdc_span_n(m->body, m->len);
    msg->owner = m;
    msg->streaming = m->len >= sizeof(cdc_rocksmq_streaming)
                     && memcmp(m->body, cdc_rocksmq_streaming,
                               sizeof(cdc_rocksmq_streaming)) == 0;

    return CDC_OK;
}


static void
cdc_rocksmq_release(cdc_log_msg_t *msg)
{
    cdc_rocksmq_msg_free(msg->owner);
    msg->owner = NULL;
}


static int
cdc_rocksmq_at_end(cdc_log_stream_t *s)
{
    int  end;

    (void) pthread_mutex_lock(&s->reader->mutex);

    end = s->end && s->queue.head == NULL;

    (void) pthread_mutex_unlock(&s->reader->mutex);

    return end;
}


static int
cdc_rocksmq_end(cdc_log_stream_t *s, cdc_pos_t *pos)
{
    (void) pthread_mutex_lock(&s->reader->mutex);

    pos->hi = 0;
    pos->lo = s->newest;

    (void) pthread_mutex_unlock(&s->reader->mutex);

    return pos->lo ? CDC_OK : CDC_DECLINED;
}


static int
cdc_rocksmq_left(cdc_log_stream_t *s, uint64_t *bytes)
{
    int  known;

    (void) pthread_mutex_lock(&s->reader->mutex);

    known = s->newest != 0;
    *bytes = s->left + s->queue.bytes;

    (void) pthread_mutex_unlock(&s->reader->mutex);

    return known ? CDC_OK : CDC_DECLINED;
}


static uint64_t
cdc_rocksmq_next_try(cdc_log_reader_t *r)
{
    return __atomic_load_n(&r->retry_ms, __ATOMIC_RELAXED);
}
