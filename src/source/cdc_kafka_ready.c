/*
 * Which streams have something to take.
 *
 * librdkafka calls, on a thread of its own, when a queue stops being empty.
 * The stream is marked then, and the loop is woken once for all that are
 * marked until it has looked.
 *
 * Naps.  A source that nobody writes to has a tick on each channel five
 * times a second, all of them within some 15 ms, and librdkafka tells of the
 * end of the topic behind each.  Once nothing but ticks came for a while, the
 * loop looks again no sooner than CDC_KAFKA_NAP_MS after it has looked: nobody
 * waits for a tick that covers nothing, and a row that comes just then waits
 * for some milliseconds.  Who marks a stream during a nap sets a timer for its
 * end, so a nap in which nothing came wakes nobody.
 */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cdc_kafka_int.h"


#define CDC_KAFKA_TICK      64           /* a tick has some 25 bytes */
#define CDC_KAFKA_IDLE_MS   1000
#define CDC_KAFKA_NAP_MS    8


static void
cdc_kafka_ready_tell(cdc_log_reader_t *r)
{
    uint64_t  one;

    one = 1;

    while (write(r->ready.fd, &one, sizeof(one)) == -1 && errno == EINTR) {
        /* again */
    }
}


static int
cdc_kafka_ready_idle(const cdc_log_reader_t *r)
{
    return cdc_now_ms() >= r->busy_at + CDC_KAFKA_IDLE_MS;
}


/* main thread */

static void
cdc_kafka_ready_look(cdc_log_reader_t *r)
{
    int                idle;
    uint64_t           until;
    cdc_log_stream_t  *s;

    idle = cdc_kafka_ready_idle(r);
    until = idle ? cdc_now_ms() + CDC_KAFKA_NAP_MS : 0;

    /* what is marked from here on wakes again */

    __atomic_store_n(&r->nap_until, until, __ATOMIC_SEQ_CST);
    __atomic_store_n(&r->told, 0, __ATOMIC_SEQ_CST);

    r->look = r->streams;

    while (r->look != NULL) {
        s = r->look;
        r->look = s->next;

        if (__atomic_exchange_n(&s->ready, 0, __ATOMIC_SEQ_CST)) {
            cdc_kafka_readable(s);       /* may stop any of them */
        }
    }

    if (!idle) {
        return;
    }

    if (cdc_kafka_ready_idle(r)) {
        cdc_kafka_pace(r, 1);
        return;
    }

    /* rows have come: what was marked meanwhile is not to wait */

    __atomic_store_n(&r->nap_until, 0, __ATOMIC_SEQ_CST);
    cdc_kafka_ready_tell(r);
}


/* of both descriptors */

static void
cdc_kafka_ready_event(cdc_event_t *ev, unsigned events)
{
    uint64_t  n;

    while (read(ev->fd, &n, sizeof(n)) == -1 && errno == EINTR) {
        /* again */
    }

    cdc_kafka_ready_look(ev->data);
}


/* any thread of librdkafka, which holds the queue's lock */

static void
cdc_kafka_ready_mark(rd_kafka_t *rk, void *data)
{
    uint64_t            until;
    cdc_log_reader_t   *r;
    cdc_log_stream_t   *s;
    struct itimerspec   it;

    s = data;
    r = s->reader;

    __atomic_store_n(&s->ready, 1, __ATOMIC_SEQ_CST);

    if (__atomic_exchange_n(&r->told, 1, __ATOMIC_SEQ_CST)) {
        return;
    }

    until = __atomic_load_n(&r->nap_until, __ATOMIC_SEQ_CST);

    if (until <= cdc_now_ms()) {
        cdc_kafka_ready_tell(r);
        return;
    }

    memset(&it, 0, sizeof(struct itimerspec));
    it.it_value.tv_sec = (time_t) (until / 1000);
    it.it_value.tv_nsec = (long) (until % 1000) * 1000000;

    if (timerfd_settime(r->nap.fd, TFD_TIMER_ABSTIME, &it, NULL) == -1) {
        cdc_kafka_ready_tell(r);
    }
}


int
cdc_kafka_ready_open(cdc_log_reader_t *r)
{
    r->ready.handler = r->nap.handler = cdc_kafka_ready_event;
    r->ready.data = r->nap.data = r;
    r->ready.fd = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK);
    r->nap.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC|TFD_NONBLOCK);

    if (r->ready.fd == -1 || r->nap.fd == -1
        || cdc_event_add(r->loop, &r->ready, EPOLLIN) != CDC_OK)
    {
        return CDC_ERROR;
    }

    return cdc_event_add(r->loop, &r->nap, EPOLLIN);
}


static void
cdc_kafka_ready_end(cdc_log_reader_t *r, cdc_event_t *ev)
{
    if (ev->fd != -1) {
        cdc_event_del(r->loop, ev);
        (void) close(ev->fd);
        ev->fd = -1;
    }
}


/* nothing of librdkafka runs any more */

void
cdc_kafka_ready_close(cdc_log_reader_t *r)
{
    cdc_kafka_ready_end(r, &r->ready);
    cdc_kafka_ready_end(r, &r->nap);
}


void
cdc_kafka_ready_start(cdc_log_stream_t *s)
{
    s->reader->busy_at = cdc_now_ms();
    cdc_kafka_pace(s->reader, 0);
    rd_kafka_queue_cb_event_enable(s->queue, cdc_kafka_ready_mark, s);
}


/* under the queue's lock: no call is under way, none will come */

void
cdc_kafka_ready_stop(cdc_log_stream_t *s)
{
    rd_kafka_queue_cb_event_enable(s->queue, NULL, NULL);
    __atomic_store_n(&s->ready, 0, __ATOMIC_SEQ_CST);
}


void
cdc_kafka_ready_taken(cdc_log_stream_t *s, size_t len)
{
    if (len > CDC_KAFKA_TICK) {
        s->reader->busy_at = s->taken_ms;
        cdc_kafka_pace(s->reader, 0);
    }
}
