/*
 * What a Kafka source holds of compressed messages while memory is tight: the
 * buffers into which librdkafka decompresses are twice as large as they are.
 */

#include <malloc.h>

#include <jansson.h>

#include "kafka_broker.h"
#include "tap.h"
#include "cdc_log_reader.h"


#define OPS      (&cdc_kafka_reader)

#define MB       (1024 * 1024)
#define LEN      (200 * 1024)
#define TOPICS   20
#define READ     8                       /* of them, to know what comes */
#define EACH     22                      /* librdkafka's broker keeps 5 MB */
#define TAKEN    18


static struct {
    cdc_loop_t        *loop;
    cdc_log_reader_t  *reader;
    cdc_timer_t        limit;
    rd_kafka_t        *client, *producer;
    size_t             before;           /* bytes, without a reader */
    unsigned           n, want;          /* messages taken */
    unsigned           got[TOPICS], most;
    unsigned           past:1;           /* nothing of them is kept */
    cdc_log_msg_t      taken[EACH];
} tight;


/* bytes, more than without a reader */

static size_t
held(void)
{
    size_t            now;
    struct mallinfo2  m;

    m = mallinfo2();
    now = m.uordblks + m.hblkhd;

    return now > tight.before ? now - tight.before : 0;
}


/* a sanitizer's allocator does not say what it has */

static void
ok_held(size_t most, const char *what)
{
    if (tight.before == 0) {
        ok(1, "%s # SKIP this allocator does not count", what);
        return;
    }

    ok(held() < most, "%s: %u kB, less than %u", what,
       (unsigned) (held() / 1024), (unsigned) (most / 1024));
}


static void
readable(void *arg, cdc_log_stream_t *s)
{
    char            err[CDC_REASON_MAX];
    unsigned       *got;
    cdc_log_msg_t  *msg;

    got = &tight.got[(intptr_t) OPS->data(s)];

    while (*got < tight.most) {
        msg = &tight.taken[tight.past ? 0 : tight.n];

        if (OPS->next(s, msg, err) != CDC_OK) {
            return;
        }

        (*got)++;
        tight.n++;

        if (tight.past) {
            OPS->release(msg);
        }

        if (tight.n == tight.want) {
            cdc_loop_stop(tight.loop);
        }
    }
}


static void
degraded(void *arg, const char *text)
{
}


static void
expired(cdc_timer_t *tm)
{
    cdc_loop_stop(tight.loop);
}


static void
spin(uint64_t ms)
{
    cdc_timer_add(tight.loop, &tight.limit, ms);
    (void) cdc_loop_run(tight.loop);
    cdc_timer_del(tight.loop, &tight.limit);
}


/* what vectors are to zstd: an eighth to be gained */

static void
body(uint8_t *p, unsigned seed)
{
    size_t  i;

    srand(seed);

    for (i = 0; i < LEN; i++) {
        p[i] = (uint8_t) ((rand() >> 8) & 0x7f);
    }
}


static rd_kafka_mock_cluster_t *
broker(void)
{
    char                      name[16], err[256];
    unsigned                  i, n;
    static uint8_t            bytes[LEN];
    rd_kafka_topic_t         *topic;
    rd_kafka_topic_conf_t    *tc;
    rd_kafka_mock_cluster_t  *mock;

    mock = kafka_broker(&tight.client);
    tight.producer = kafka_producer(rd_kafka_mock_cluster_bootstraps(mock));

    for (i = 0; i < TOPICS; i++) {
        (void) snprintf(name, sizeof(name), "t%u", i);
        (void) rd_kafka_mock_topic_create(mock, name, 1, 1);

        tc = rd_kafka_topic_conf_new();
        (void) rd_kafka_topic_conf_set(tc, "compression.codec", "zstd", err,
                                       sizeof(err));
        topic = rd_kafka_topic_new(tight.producer, name, tc);

        for (n = 0; n < EACH; n++) {
            body(bytes, n);
            (void) rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, bytes, LEN,
                                    NULL, 0, NULL);
            (void) rd_kafka_flush(tight.producer, 20000);
        }

        rd_kafka_topic_destroy(topic);
    }

    rd_kafka_destroy(tight.producer);

    return mock;
}


static void
begin(const char *brokers)
{
    char               err[CDC_REASON_MAX];
    json_t            *conf;
    cdc_log_handler_t  h;

    h.readable = readable;
    h.degraded = degraded;
    h.arg = NULL;

    tight.n = 0;
    memset(tight.got, 0, sizeof(tight.got));
    tight.before = 0;
    tight.before = held();

    conf = json_pack("{s{ss}}", "kafka", "brokers", brokers);
    tight.reader = OPS->open(tight.loop, conf, &h, err);
    json_decref(conf);
}


/* that many messages of each of some topics, and then nobody takes any */

static void
take(unsigned first, unsigned last, unsigned most)
{
    char       err[CDC_REASON_MAX], name[16];
    cdc_pos_t  pos;

    pos.hi = pos.lo = 0;
    tight.most = most;
    tight.want = tight.n + (last - first) * most;

    for ( ; first < last; first++) {
        (void) snprintf(name, sizeof(name), "t%u", first);
        readable(NULL, OPS->start(tight.reader, name, pos,
                                  (void *) (intptr_t) first, err));
    }

    spin(20000);
    spin(1500);
}


static void
test_taken(const char *brokers)
{
    unsigned        i;
    static uint8_t  bytes[LEN];

    begin(brokers);
    take(0, 1, TAKEN);

    for (i = 0; i < tight.n; i++) {
        body(bytes, i);

        if (tight.taken[i].pos.lo != i || tight.taken[i].body.len != LEN
            || memcmp(tight.taken[i].body.data, bytes, LEN) != 0)
        {
            break;
        }
    }

    ok(i == TAKEN, "%u of %u messages are what was written", i, TAKEN);

    /* and the others, which wait, with twice their own */
    ok_held(TAKEN * LEN + (EACH - TAKEN) * 2 * LEN + MB,
            "they are held in their own size");

    /* how it was taken counts, not how it is now */

    cdc_memory_held(MB);
    ok(!cdc_memory_is_tight(), "memory is not tight any more");

    while (tight.n > 0) {
        OPS->release(&tight.taken[--tight.n]);
    }

    OPS->close(tight.reader);
    cdc_memory_init();
}


static void
test_waiting(const char *brokers)
{
    begin(brokers);
    tight.past = 1;
    take(0, READ, EACH);
    ok(tight.n == READ * EACH, "%u messages have been read", tight.n);

    take(READ, TOPICS, 1);

    /* three streams fetch, of which each has a MB: six would not be tight */
    ok_held(5 * MB, "what waits is counted as it is held");

    OPS->close(tight.reader);
}


int
main(void)
{
    const char               *brokers;
    rd_kafka_mock_cluster_t  *mock;

    cdc_log_init("", NULL, CDC_LOG_ERR);
    cdc_memory_init();
    ok(cdc_memory_is_tight(), "memory is tight");

    tight.loop = cdc_loop_create();
    tight.limit.handler = expired;

    mock = broker();
    brokers = rd_kafka_mock_cluster_bootstraps(mock);

    test_taken(brokers);
    test_waiting(brokers);

    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(tight.client);
    cdc_loop_destroy(tight.loop);

    return done_testing();
}
