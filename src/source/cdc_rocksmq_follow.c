/*
 * The thread that follows the source's RocksDB: the only one that touches it,
 * because each call may block on the disk.
 *
 * inotify tells that the source has written; no more often than each
 * CDC_ROCKSMQ_PACE_MS the logs are read on, and each stream that has room
 * is filled.  Time ticks come in bursts, one per channel, so an idle source
 * costs a few short reads each 200 ms: what inotify says until the next look
 * is left for then, and the main thread is woken once for all streams that
 * have got a few short messages.  The list of logs and the tables are looked
 * at when inotify tells that they have changed, each CDC_ROCKSMQ_IDLE_MS
 * without a word from it, and each CDC_ROCKSMQ_FOLLOW_MS whatever it says.
 * Where it cannot be had (its limits are per user), the paces are kept
 * blindly.
 *
 * States: closed (each CDC_ROCKSMQ_RETRY_MS it is tried again, and "text"
 * says why) and open.  Any error of RocksDB's leads from open to closed,
 * and back at once; a stream's position is its own and outlives that.  A log
 * that is damaged leaves it open: it heals when the source has its messages
 * in tables.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cdc_rocksmq_int.h"


#define CDC_ROCKSMQ_EVENTS  8192         /* bytes of them, read at once */


/* ---- what others are told --- */

static void
cdc_rocksmq_say(cdc_log_reader_t *r, const char *text)
{
    (void) pthread_mutex_lock(&r->mutex);

    if (strcmp(r->text, text) != 0) {
        (void) snprintf(r->text, CDC_REASON_MAX, "%s", text);
        cdc_loop_post(r->loop, &r->post);
    }

    (void) pthread_mutex_unlock(&r->mutex);
}


/* ---- inotify --- */

static void
cdc_rocksmq_watch(cdc_log_reader_t *r)
{
    if (r->inotify == -1) {
        r->inotify = inotify_init1(IN_CLOEXEC|IN_NONBLOCK);
    }

    if (r->inotify != -1 && r->watch == -1) {
        r->watch = inotify_add_watch(r->inotify, r->dir,
                                     IN_MODIFY|IN_CREATE|IN_MOVED_TO
                                     |IN_ONLYDIR);
    }

    if (r->watch == -1) {
        cdc_log(CDC_LOG_INFO, errno, "rocksmq \"%s\": no inotify, looking each "
                "%d ms", r->dir, CDC_ROCKSMQ_PACE_MS);
    }
}


static void
cdc_rocksmq_unwatch(cdc_log_reader_t *r)
{
    if (r->watch != -1) {
        (void) inotify_rm_watch(r->inotify, r->watch);
        r->watch = -1;
    }
}


/* a log or the MANIFEST; not RocksDB's "LOG", nor a table that is not part
 * of anything before the MANIFEST says so */

static void
cdc_rocksmq_event(cdc_log_reader_t *r, const struct inotify_event *ev)
{
    size_t  len;

    if (ev->mask & (IN_Q_OVERFLOW|IN_IGNORED)) {
        r->dirty = 1;
        r->changed = 1;
        return;
    }

    len = ev->len != 0 ? strlen(ev->name) : 0;

    if (len > 4 && strcmp(ev->name + len - 4, ".log") == 0) {
        r->dirty = 1;
        r->changed |= !(ev->mask & IN_MODIFY);

    } else if (len != 0 && (strncmp(ev->name, "MANIFEST", 8) == 0
                            || strcmp(ev->name, "CURRENT") == 0))
    {
        r->dirty = 1;
        r->changed = 1;
    }
}


static void
cdc_rocksmq_notified(cdc_log_reader_t *r)
{
    char                         *p;
    ssize_t                       n;
    const struct inotify_event   *ev;

    char  buf[CDC_ROCKSMQ_EVENTS]
          __attribute__((aligned(__alignof__(struct inotify_event))));

    do {
        n = read(r->inotify, buf, sizeof(buf));

        for (p = buf; p < buf + n; p += sizeof(*ev) + ev->len) {
            ev = (const struct inotify_event *) p;

            if (ev->wd != r->watch) {
                continue;                /* of one that was given up */
            }

            if (ev->mask & IN_IGNORED) {
                r->watch = -1;           /* the directory is gone */
            }

            cdc_rocksmq_event(r, ev);
        }

        /* with room left for the longest one, that was all */

    } while (n > CDC_ROCKSMQ_EVENTS - (ssize_t) sizeof(*ev) - NAME_MAX - 1);
}


/* ---- open and closed --- */

static void
cdc_rocksmq_later(cdc_log_reader_t *r)
{
    __atomic_store_n(&r->retry_ms, cdc_now_ms() + CDC_ROCKSMQ_RETRY_MS,
                     __ATOMIC_RELAXED);
}


static void
cdc_rocksmq_reopen(cdc_log_reader_t *r)
{
    char  err[CDC_REASON_MAX];

    if (cdc_now_ms() < r->retry_ms) {
        return;
    }

    cdc_rocksmq_unwatch(r);
    cdc_rocksmq_watch(r);                /* before anything is read */

    if (cdc_rocksmq_db_open(&r->db, err) != CDC_OK) {
        cdc_rocksmq_later(r);
        cdc_rocksmq_say(r, err);
        return;
    }

    r->changed = 1;
    r->seen_ms = 0;                      /* it may be another one */
}


static void
cdc_rocksmq_lost(cdc_log_reader_t *r, const char *err)
{
    cdc_log(CDC_LOG_INFO, 0, "opening anew: %s", err);

    /* at once, unless that is all that happens */

    if (r->trouble > 0) {
        cdc_rocksmq_later(r);
        cdc_rocksmq_say(r, err);
    }

    r->trouble++;
}


/* the logs cannot be read on; what has been read stays good */

static void
cdc_rocksmq_failed(cdc_log_reader_t *r, const char *err)
{
    if (r->db.db == NULL) {
        cdc_rocksmq_lost(r, err);
        return;
    }

    r->ill = 1;
    r->changed = 1;
    cdc_rocksmq_later(r);
    cdc_rocksmq_say(r, err);
}


/* 1 when there is a state to read */

static int
cdc_rocksmq_look(cdc_log_reader_t *r, int asked)
{
    int       rc;
    char      err[CDC_REASON_MAX];
    uint64_t  now;

    if (r->db.db == NULL) {
        cdc_rocksmq_reopen(r);

        if (r->db.db == NULL) {
            return 0;
        }
    }

    now = cdc_now_ms();

    if (r->ill && now < r->retry_ms) {
        return 0;
    }

    r->ill = 0;
    r->live = r->seen_ms != 0 && now - r->seen_ms <= CDC_ROCKSMQ_LIVE_MS;

    if (asked || r->changed || !r->db.steady) {
        r->changed = 0;
        r->dirty = 0;
        r->follow_ms = now;
        rc = cdc_rocksmq_db_follow(&r->db, err);

        if (rc == CDC_ERROR) {
            cdc_rocksmq_failed(r, err);
            return 0;
        }

        if (rc == CDC_AGAIN) {
            r->changed = 1;
            return 0;
        }

    } else if (!r->dirty || now - r->read_ms < CDC_ROCKSMQ_PACE_MS) {
        return 1;
    }

    r->dirty = 0;
    r->read_ms = now;
    rc = cdc_rocksmq_db_read(&r->db, err);

    if (rc == CDC_ERROR) {
        cdc_rocksmq_failed(r, err);
        return 0;
    }

    if (rc == CDC_AGAIN) {
        r->changed = 1;

    } else {
        r->seen_ms = now;
    }

    return 1;
}


/* ---- the streams --- */

/* nobody takes from it: only where its end is may be looked at */

static int
cdc_rocksmq_stuffed(const cdc_log_stream_t *s)
{
    return s->queue.bytes >= s->reader->prefetch / 2;
}


/* of those that are to be looked at in this pass, the one that was filled
 * the longest time ago */

static cdc_log_stream_t *
cdc_rocksmq_next_stream(cdc_log_reader_t *r)
{
    cdc_log_stream_t  *s, *first;

    first = NULL;

    for (s = r->streams; s != NULL; s = s->next) {

        if (s->pass == r->pass) {
            continue;
        }

        /* one without a topic is new: it has to wait for the next pass */

        if (s->final != 0 || s->topic == NULL
            || !(cdc_rocksmq_stuffed(s)
                 ? cdc_now_ms() - s->newest_ms >= CDC_ROCKSMQ_NEWEST_MS
                 : cdc_rocksmq_news(s)))
        {
            s->pass = r->pass;

        } else if (first == NULL || s->filled < first->filled) {
            first = s;
        }
    }

    if (first != NULL) {
        first->pass = r->pass;
    }

    return first;
}


/* the end that is far away: shown as the backlog, nothing depends on it */

static uint64_t
cdc_rocksmq_newest(cdc_log_stream_t *s, int rc)
{
    char      err[CDC_REASON_MAX];
    uint64_t  first, end;

    if (rc == CDC_DONE) {
        return s->last ? s->last + 1 : s->wanted;
    }

    if (rc != CDC_OK
        || cdc_now_ms() - s->newest_ms < CDC_ROCKSMQ_NEWEST_MS)
    {
        return 0;
    }

    s->newest_ms = cdc_now_ms();

    return cdc_rocksmq_range(s->reader, s->channel, &first, &end, err)
           == CDC_OK ? end : 0;
}


/* with the mutex held; the stream may be gone after it */

static void
cdc_rocksmq_filled(cdc_log_stream_t *s, cdc_rocksmq_queue_t *q, int rc,
    const char *err)
{
    int                ended;
    cdc_log_reader_t  *r;

    r = s->reader;
    s->busy = 0;

    if (s->stopped) {
        cdc_rocksmq_queue_clear(q);
        cdc_rocksmq_stream_free(s);
        return;
    }

    if (q->head != NULL) {
        *s->queue.last = q->head;
        s->queue.last = q->last;
        cdc_rocksmq_room_added(s, q->bytes);
    }

    ended = rc == CDC_DONE && !s->end;
    s->end = rc == CDC_DONE;
    s->full = rc == CDC_OK;

    if (rc == CDC_DECLINED) {
        s->final = rc;
        (void) snprintf(s->text, CDC_REASON_MAX, "%s", err);
    }

    /* who found nothing, and that it was not at the end, looks again: other
     * channels wait for those that are not (cdc_channel_oldest()) */

    if (s->waiting && (s->queue.head != NULL || s->final != 0 || ended)) {
        s->waiting = 0;
        s->ready = 1;
        r->untold = 1;
    }
}


/* with or without the mutex */

static void
cdc_rocksmq_tell(cdc_log_reader_t *r)
{
    if (r->untold) {
        r->untold = 0;
        cdc_loop_post(r->loop, &r->post);
    }
}


/* each stream gets its topic, and topics without one keep nothing */

static int
cdc_rocksmq_attach_all(cdc_log_reader_t *r, char *err)
{
    int                   rc;
    size_t                i;
    cdc_log_stream_t     *s;
    cdc_rocksmq_topic_t  *t;

    rc = CDC_OK;
    r->pass++;

    (void) pthread_mutex_lock(&r->mutex);

    for (s = r->streams; s != NULL && rc == CDC_OK; s = s->next) {
        rc = cdc_rocksmq_attach(s, r->pass);
    }

    (void) pthread_mutex_unlock(&r->mutex);

    if (rc != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");
        return CDC_ERROR;
    }

    for (i = 0; i < CDC_ROCKSMQ_BUCKETS; i++) {
        for (t = r->db.wal.topics.topics[i]; t != NULL; t = t->next) {
            if (t->wanted && t->pass != r->pass) {
                cdc_rocksmq_topic_leave(t);
            }
        }
    }

    return cdc_rocksmq_wal_again(&r->db.wal, err);
}


static int
cdc_rocksmq_fill_all(cdc_log_reader_t *r, char *err)
{
    int                   rc, failed;
    char                  text[CDC_REASON_MAX];
    size_t                room;
    uint64_t              newest, left;
    cdc_log_stream_t     *s;
    cdc_rocksmq_queue_t   q;

    if (cdc_rocksmq_attach_all(r, err) != CDC_OK) {
        return CDC_ERROR;
    }

    failed = 0;

    (void) pthread_mutex_lock(&r->mutex);

    cdc_rocksmq_room_pass(r);

    while (!r->quit && !failed
           && (s = cdc_rocksmq_next_stream(r)) != NULL)
    {
        s->busy = 1;

        if (!cdc_rocksmq_brief(s)) {
            cdc_rocksmq_tell(r);         /* the others need not wait for it */
        }

        room = cdc_rocksmq_stuffed(s) ? 0 : cdc_rocksmq_room(s);

        (void) pthread_mutex_unlock(&r->mutex);

        cdc_rocksmq_queue_init(&q);
        rc = room == 0 ? CDC_OK : cdc_rocksmq_fill(s, &q, room, text);

        if (rc == CDC_ERROR) {
            (void) snprintf(err, CDC_REASON_MAX, "%s", text);
            failed = 1;
        }

        newest = cdc_rocksmq_newest(s, rc);
        left = newest ? cdc_rocksmq_behind(s) : 0;

        (void) pthread_mutex_lock(&r->mutex);

        if (newest) {
            s->newest = newest;
            s->left = left;

        } else {
            s->left -= q.bytes < s->left ? q.bytes : s->left;
        }

        cdc_rocksmq_filled(s, &q, rc, text);
    }

    (void) pthread_mutex_unlock(&r->mutex);

    /* not before: who is woken takes the mutex first */

    cdc_rocksmq_tell(r);

    return failed ? CDC_ERROR : CDC_OK;
}


/* ---- ends() --- */

static int
cdc_rocksmq_answer(cdc_log_reader_t *r, char *err)
{
    int                 rc;
    cdc_rocksmq_ask_t  *ask;

    rc = CDC_OK;

    (void) pthread_mutex_lock(&r->mutex);

    while (rc == CDC_OK && (ask = r->asks) != NULL) {

        ask->taken = 1;

        (void) pthread_mutex_unlock(&r->mutex);

        rc = cdc_rocksmq_range(r, ask->channel, &ask->first, &ask->end, err);

        (void) pthread_mutex_lock(&r->mutex);

        ask->taken = 0;

        if (rc == CDC_OK) {
            r->asks = ask->next;
            ask->done = 1;
        }

        (void) pthread_cond_broadcast(&r->answered);
    }

    (void) pthread_mutex_unlock(&r->mutex);

    return rc;
}


/* ---- the thread --- */

/* is it only for the next look that it waits? */

static int
cdc_rocksmq_paced(cdc_log_reader_t *r)
{
    return r->db.db != NULL && !r->ill && r->db.steady && !r->changed
           && (r->dirty || r->watch == -1);
}


static int
cdc_rocksmq_wait_ms(cdc_log_reader_t *r)
{
    uint64_t  now, passed;

    now = cdc_now_ms();

    if (r->db.db == NULL || r->ill) {
        return r->retry_ms > now ? (int) (r->retry_ms - now) : 0;
    }

    if (r->changed || !r->db.steady) {
        return 1;
    }

    if (!r->dirty) {
        return r->watch != -1 ? CDC_ROCKSMQ_IDLE_MS : CDC_ROCKSMQ_PACE_MS;
    }

    passed = now - r->read_ms;

    return passed < CDC_ROCKSMQ_PACE_MS ? (int) (CDC_ROCKSMQ_PACE_MS - passed)
                                        : 0;
}


static void
cdc_rocksmq_wait(cdc_log_reader_t *r)
{
    int            n, paced;
    uint64_t       count, since;
    struct pollfd  fds[2];

    paced = cdc_rocksmq_paced(r);

    fds[0].fd = r->wake;
    fds[0].events = POLLIN;
    fds[1].fd = paced ? -1 : r->inotify; /* -1 is passed over */
    fds[1].events = POLLIN;
    fds[0].revents = fds[1].revents = 0;

    n = poll(fds, 2, cdc_rocksmq_wait_ms(r));

    if (n > 0 && (fds[0].revents & POLLIN)) {
        (void) !read(r->wake, &count, sizeof(count));
    }

    if ((n > 0 && (fds[1].revents & POLLIN))
        || (n == 0 && paced && r->inotify != -1))
    {
        cdc_rocksmq_notified(r);

    } else if (r->watch != -1 && !r->changed && !r->dirty && !r->ill
               && r->db.steady)
    {
        r->seen_ms = cdc_now_ms();       /* nothing has been written */
    }

    if (n == 0) {                        /* inotify is not all there is */
        since = cdc_now_ms() - r->follow_ms;
        r->dirty = 1;
        r->changed |= since >= (paced && r->watch != -1
                                ? CDC_ROCKSMQ_FOLLOW_MS
                                : CDC_ROCKSMQ_IDLE_MS);
    }
}


void *
cdc_rocksmq_thread(void *arg)
{
    int                asked, quit;
    char               err[CDC_REASON_MAX];
    cdc_log_reader_t  *r;

    r = arg;

    for ( ;; ) {
        (void) pthread_mutex_lock(&r->mutex);

        quit = r->quit;
        asked = r->asks != NULL;

        (void) pthread_mutex_unlock(&r->mutex);

        if (quit) {
            break;
        }

        if (cdc_rocksmq_look(r, asked)) {

            if ((asked && cdc_rocksmq_answer(r, err) != CDC_OK)
                || cdc_rocksmq_fill_all(r, err) != CDC_OK)
            {
                /* most often a table that is gone: the next state has
                 * another one in its place */

                r->db.steady = 0;

                if (++r->trouble % CDC_ROCKSMQ_TROUBLE == 0) {
                    cdc_rocksmq_db_close(&r->db);
                    cdc_rocksmq_lost(r, err);
                }

            } else {
                r->trouble = 0;
                cdc_rocksmq_say(r, "");
            }
        }

        (void) cdc_rocksmq_msg_tidy(CDC_ROCKSMQ_KEPT_MS);
        cdc_rocksmq_wait(r);
    }

    (void) cdc_rocksmq_msg_tidy(0);

    cdc_rocksmq_unwatch(r);
    cdc_rocksmq_db_close(&r->db);

    if (r->db.wal.window.data != NULL) {
        cdc_rocksmq_wal_free(&r->db.wal);
    }

    return NULL;
}
