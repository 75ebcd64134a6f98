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
 * loop looks again only CDC_KAFKA_NAP_MS after it has looked: nobody waits for
 * a tick that covers nothing, and a row that comes just then waits for some
 * milliseconds.  With 16 channels these are 15 wake-ups a second, not 110, and
 * none that finds the queue still locked by who has filled it.
 */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cdc_kafka_int.h"


#define CDC_KAFKA_TICK      64           /* a tick has some 25 bytes */
#define CDC_KAFKA_IDLE_MS   1000
#define CDC_KAFKA_NAP_MS    4


/* main thread */

static void
cdc_kafka_ready_look(cdc_log_reader_t *r)
{
    int                found;
    cdc_log_stream_t  *s;

    /* what is marked from here on wakes again */

    __atomic_store_n(&r->told, 0, __ATOMIC_SEQ_CST);

    found = 0;
    r->look = r->streams;

    while (r->look != NULL) {
        s = r->look;
        r->look = s->next;

        if (__atomic_exchange_n(&s->ready, 0, __ATOMIC_SEQ_CST)) {
            found = 1;
            cdc_kafka_readable(s);       /* may stop any of them */
        }
    }

    if (found && cdc_now_ms() >= r->busy_at + CDC_KAFKA_IDLE_MS) {
        __atomic_store_n(&r->told, 1, __ATOMIC_SEQ_CST);
        cdc_timer_add(r->loop, &r->nap, CDC_KAFKA_NAP_MS);
        cdc_kafka_pace(r, 1);
    }
}


static void
cdc_kafka_ready_event(cdc_event_t *ev, unsigned events)
{
    uint64_t           n;
    cdc_log_reader_t  *r;

    r = ev->data;

    while (read(ev->fd, &n, sizeof(n)) == -1 && errno == EINTR) {
        /* again */
    }

    /* written just before the nap began: its end finds the mark */

    if (r->nap.slot == 0) {
        cdc_kafka_ready_look(r);
    }
}


static void
cdc_kafka_ready_nap(cdc_timer_t *tm)
{
    cdc_kafka_ready_look(tm->data);
}


/* any thread of librdkafka, which holds the queue's lock */

static void
cdc_kafka_ready_mark(rd_kafka_t *rk, void *data)
{
    uint64_t           one;
    cdc_log_reader_t  *r;
    cdc_log_stream_t  *s;

    s = data;
    r = s->reader;

    __atomic_store_n(&s->ready, 1, __ATOMIC_SEQ_CST);

    if (__atomic_exchange_n(&r->told, 1, __ATOMIC_SEQ_CST)) {
        return;
    }

    one = 1;

    while (write(r->ready.fd, &one, sizeof(one)) == -1 && errno == EINTR) {
        /* again */
    }
}


int
cdc_kafka_ready_open(cdc_log_reader_t *r)
{
    r->nap.handler = cdc_kafka_ready_nap;
    r->nap.data = r;
    r->ready.handler = cdc_kafka_ready_event;
    r->ready.data = r;
    r->ready.fd = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK);

    return r->ready.fd == -1 ? CDC_ERROR
                             : cdc_event_add(r->loop, &r->ready, EPOLLIN);
}


/* nothing of librdkafka runs any more */

void
cdc_kafka_ready_close(cdc_log_reader_t *r)
{
    cdc_timer_del(r->loop, &r->nap);

    if (r->ready.fd != -1) {
        cdc_event_del(r->loop, &r->ready);
        (void) close(r->ready.fd);
        r->ready.fd = -1;
    }
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
