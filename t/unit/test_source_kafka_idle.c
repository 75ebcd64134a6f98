/*
 * The Kafka reader while nothing but ticks comes: how often it wakes the
 * loop, and how often it may ask the broker.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <jansson.h>

#include "kafka_broker.h"
#include "tap.h"
#include "cdc_log_reader.h"


#define OPS     (&cdc_kafka_reader)
#define TOPICS  8
#define TICK    25
#define ROW     100


typedef struct {
    cdc_loop_t        *loop;
    cdc_timer_t        tick, limit;
    rd_kafka_t        *producer;
    rd_kafka_topic_t  *topic[TOPICS];
    unsigned           n;                /* ticks written */
    unsigned           got, rows;
    unsigned           looks;
    uint64_t           look, least;      /* ms */
    cdc_post_t         turn;             /* ends a look */
    unsigned           wakes;            /* of the loop */
    unsigned           asked;            /* where a topic ends; any thread */
    unsigned           looking:1;
    unsigned           lazy:1;           /* nobody takes what comes */
    unsigned           counting:1;
} idle_t;


static idle_t  idle;


/* in place of the libraries' own, to be counted */

int
epoll_wait(int epfd, struct epoll_event *events, int n, int timeout)
{
    idle.wakes++;

    return (int) syscall(SYS_epoll_pwait, epfd, events, n, timeout, NULL, 8);
}


rd_kafka_resp_err_t
rd_kafka_query_watermark_offsets(rd_kafka_t *rk, const char *topic,
    int32_t partition, int64_t *low, int64_t *high, int timeout_ms)
{
    __atomic_add_fetch(&idle.asked, 1, __ATOMIC_SEQ_CST);

    return RD_KAFKA_RESP_ERR__TIMED_OUT;
}


static void
turn_ends(cdc_post_t *post)
{
    idle.looking = 0;
}


static void
readable(void *arg, cdc_log_stream_t *s)
{
    char           err[CDC_REASON_MAX];
    uint64_t       now;
    cdc_log_msg_t  msg;

    if (idle.lazy) {
        return;
    }

    now = cdc_now_ms();

    if (!idle.looking) {
        idle.looking = 1;
        cdc_loop_defer(idle.loop, &idle.turn);

        if (idle.counting && idle.looks++ > 0) {
            idle.least = now - idle.look < idle.least ? now - idle.look
                                                      : idle.least;
        }

        idle.look = now;
    }

    while (OPS->next(s, &msg, err) == CDC_OK) {
        idle.got++;

        if (msg.body.len == ROW) {
            idle.rows++;
            cdc_loop_stop(idle.loop);
        }

        OPS->release(&msg);
    }
}


static void
degraded(void *arg, const char *text)
{
}


static void
write_to(unsigned topic, size_t len)
{
    char  buf[ROW];

    memset(buf, 0, sizeof(buf));
    (void) rd_kafka_produce(idle.topic[topic], 0, RD_KAFKA_MSG_F_COPY, buf,
                            len, NULL, 0, NULL);
    (void) rd_kafka_poll(idle.producer, 0);
}


/* all topics' ticks, one behind the other */

static void
tick(cdc_timer_t *tm)
{
    write_to(idle.n++ % TOPICS, TICK);
    cdc_timer_add(idle.loop, tm, 1);
}


static void
expired(cdc_timer_t *tm)
{
    cdc_loop_stop(idle.loop);
}


static void
spin(uint64_t ms)
{
    cdc_timer_add(idle.loop, &idle.limit, ms);
    (void) cdc_loop_run(idle.loop);
    cdc_timer_del(idle.loop, &idle.limit);
}


/* connections of this process that may not send as they like */

static unsigned
paced(void)
{
    int        fd;
    unsigned   n, rate;
    socklen_t  len;

    for (n = 0, fd = 3; fd < 256; fd++) {
        len = sizeof(rate);

        if (getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len) == 0
            && rate != ~0U)
        {
            n++;
        }
    }

    return n;
}


static rd_kafka_mock_cluster_t *
broker(rd_kafka_t **client)
{
    int                       i;
    char                      name[16];
    rd_kafka_mock_cluster_t  *mock;

    mock = kafka_broker(client);
    idle.producer = kafka_producer(rd_kafka_mock_cluster_bootstraps(mock));

    for (i = 0; i < TOPICS; i++) {
        (void) snprintf(name, sizeof(name), "t%d", i);
        (void) rd_kafka_mock_topic_create(mock, name, 1, 1);
        idle.topic[i] = rd_kafka_topic_new(idle.producer, name, NULL);
    }

    return mock;
}


static void
test_idle(cdc_log_reader_t *r)
{
    int        i;
    char       err[CDC_REASON_MAX], name[16];
    unsigned   n;
    uint64_t   begin;
    cdc_pos_t  pos;

    pos.hi = pos.lo = 0;

    for (i = 0; i < TOPICS; i++) {
        (void) snprintf(name, sizeof(name), "t%d", i);
        (void) OPS->start(r, name, pos, NULL, err);
    }

    idle.least = 1000;
    begin = cdc_now_ms();
    cdc_timer_add(idle.loop, &idle.tick, 1);
    spin(300);
    n = paced();
    ok(n == 0 || cdc_now_ms() - begin > 900,
       "a source that may write rows is asked at once");

    for (i = 0; i < 100 && paced() == 0; i++) {
        spin(100);
    }

    spin(100);
    idle.counting = 1;
    spin(1000);
    ok(idle.looks > 1 && idle.least >= 7, "idle: %u ticks, %u looks, at least "
       "%u ms between two", idle.got, idle.looks, (unsigned) idle.least);
    ok(paced() > 0, "idle: the broker is asked less often");

    /* a tick is a message, and the end of its topic behind it */

    cdc_timer_del(idle.loop, &idle.tick);

    for (i = 0; i < 100 && idle.got < idle.n; i++) {
        spin(100);
    }

    spin(300);

    for (idle.wakes = 0, i = 0; i < 8; i++) {
        write_to((unsigned) i, TICK);
        spin(250);
    }

    ok(idle.wakes <= 8 * 3 + 8, "idle: %u wake-ups for 8 ticks, one by one",
       idle.wakes);

    /* some 1.5 s */

    is_int(__atomic_load_n(&idle.asked, __ATOMIC_SEQ_CST), 0,
           "nobody asks where a topic ends that is fetched");

    write_to(0, ROW);
    spin(10000);
    is_int(idle.rows, 1, "a row comes");
    is_int(paced(), 0, "and then the next is asked for at once");

    idle.lazy = 1;
    write_to(0, TICK);
    spin(4000);
    ok(__atomic_load_n(&idle.asked, __ATOMIC_SEQ_CST) > 0,
       "but where one does that nobody takes from");
}


int
main(void)
{
    int                       i;
    char                      err[CDC_REASON_MAX];
    json_t                   *conf;
    rd_kafka_t               *client;
    cdc_log_reader_t         *r;
    cdc_log_handler_t         h;
    rd_kafka_mock_cluster_t  *mock;

    cdc_log_init("", NULL, CDC_LOG_ERR);
    idle.loop = cdc_loop_create();
    idle.tick.handler = tick;
    idle.limit.handler = expired;
    idle.turn.handler = turn_ends;

    mock = broker(&client);
    conf = json_pack("{s{ss}}", "kafka", "brokers",
                     rd_kafka_mock_cluster_bootstraps(mock));
    h.readable = readable;
    h.degraded = degraded;
    h.arg = NULL;
    r = OPS->open(idle.loop, conf, &h, err);

    if (ok(r != NULL, "a reader")) {
        test_idle(r);
        OPS->close(r);
    }

    for (i = 0; i < TOPICS; i++) {
        rd_kafka_topic_destroy(idle.topic[i]);
    }

    rd_kafka_destroy(idle.producer);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(client);
    json_decref(conf);
    cdc_timer_del(idle.loop, &idle.tick);
    cdc_loop_destroy(idle.loop);

    return done_testing();
}
