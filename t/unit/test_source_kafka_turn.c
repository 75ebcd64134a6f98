/*
 * Kafka streams that are behind fetch in turns (src/source/cdc_kafka_turn.c):
 * what they hold does not grow with their number, each has its turn, and what
 * is live does not wait for them.  librdkafka's own broker has the topics.
 */

#include <malloc.h>

#include <jansson.h>

#include "kafka_broker.h"
#include "tap.h"
#include "cdc_log_reader.h"


#define OPS        (&cdc_kafka_reader)

#define LARGE      900000
#define SMALL      100
#define BEHIND     12                    /* topics t0, t1 ...: large ones */
#define BEHIND_N   5
#define MIXED      24                    /* m0, m1 ...: small ones, then */
#define MIXED_N    50                    /* two large ones */
#define STREAMS    25
#define HELD_MAX   (11 * 1024 * 1024)


static struct {
    cdc_loop_t        *loop;
    cdc_log_reader_t  *reader;
    cdc_timer_t        limit, often;
    rd_kafka_t        *client, *producer;

    cdc_log_stream_t  *s[STREAMS];
    size_t             got[STREAMS];
    unsigned           n;                /* streams */
    unsigned           most;             /* messages taken from each */
    unsigned           want, all;        /* of all of them */
    unsigned           slow:1;           /* one message is wanted each 10 ms */
    unsigned           room:1;           /* for that one */
    unsigned           waits:1;          /* for "want" */
    unsigned           gap:1;
    unsigned           mixed:1;

    cdc_log_stream_t  *live;
    unsigned           refused:1;        /* nobody takes from it */
    unsigned           beat;             /* calls of often() */
    unsigned           told;             /* that it may be read */
    size_t             before, held;     /* bytes: without a reader, most */
} turns;


/* bytes, more than without a reader */

static size_t
held(void)
{
    size_t            now;
    struct mallinfo2  m;

    m = mallinfo2();
    now = m.uordblks + m.hblkhd;

    return now > turns.before ? now - turns.before : 0;
}


static size_t
length(size_t offset)
{
    return turns.mixed && offset < MIXED_N ? SMALL : LARGE;
}


/* one message; whether there was one */

static int
take(cdc_log_stream_t *s)
{
    int            i;
    char           err[CDC_REASON_MAX];
    cdc_log_msg_t  msg;

    i = (int) (intptr_t) OPS->data(s);

    if (OPS->next(s, &msg, err) != CDC_OK) {
        return 0;
    }

    turns.gap |= msg.pos.lo != turns.got[i]
                 || msg.body.len != length(turns.got[i]);
    turns.got[i]++;
    turns.all++;
    OPS->release(&msg);

    if (turns.waits && turns.all == turns.want) {
        cdc_loop_stop(turns.loop);
    }

    return 1;
}


static void
readable(void *arg, cdc_log_stream_t *s)
{
    int            i;
    char           err[CDC_REASON_MAX];
    cdc_log_msg_t  msg;

    if (s == turns.live) {
        turns.told++;

        while (!turns.refused && OPS->next(s, &msg, err) == CDC_OK) {
            OPS->release(&msg);
        }

        return;
    }

    if (turns.slow) {
        turns.room = turns.room && !take(s);
        return;
    }

    i = (int) (intptr_t) OPS->data(s);

    while (turns.got[i] < turns.most && take(s)) {
        /* void */
    }
}


static void
degraded(void *arg, const char *text)
{
}


static void
expired(cdc_timer_t *tm)
{
    cdc_loop_stop(turns.loop);
}


static void
often(cdc_timer_t *tm)
{
    size_t    now;
    unsigned  i;

    now = held();
    turns.held = now > turns.held ? now : turns.held;

    turns.room = turns.slow;
    turns.beat++;

    for (i = 0; turns.room && i < turns.n; i++) {
        if (take(turns.s[(turns.beat + i) % turns.n])) {
            turns.room = 0;
        }
    }

    cdc_timer_add(turns.loop, tm, 10);
}


static void
spin(uint64_t ms)
{
    cdc_timer_add(turns.loop, &turns.limit, ms);
    (void) cdc_loop_run(turns.loop);
    cdc_timer_del(turns.loop, &turns.limit);
}


static void
wait_all(void)
{
    turns.waits = 1;

    if (turns.all < turns.want) {
        spin(20000);
    }

    turns.waits = 0;
}


static void
produce(const char *name, unsigned n, size_t len)
{
    static char  body[LARGE];

    for ( ; n > 0; n--) {
        (void) rd_kafka_producev(turns.producer, RD_KAFKA_V_TOPIC(name),
                                 RD_KAFKA_V_PARTITION(0),
                                 RD_KAFKA_V_VALUE(body, len),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_END);
    }
}


static void
flush(void)
{
    (void) rd_kafka_flush(turns.producer, 20000);
}


static rd_kafka_mock_cluster_t *
broker(void)
{
    int                       i;
    char                      name[16];
    rd_kafka_mock_cluster_t  *mock;

    mock = kafka_broker(&turns.client);
    turns.producer = kafka_producer(rd_kafka_mock_cluster_bootstraps(mock));

    for (i = 0; i < BEHIND; i++) {
        (void) snprintf(name, sizeof(name), "t%d", i);
        (void) rd_kafka_mock_topic_create(mock, name, 1, 1);
        produce(name, BEHIND_N, LARGE);
    }

    for (i = 0; i < MIXED; i++) {
        (void) snprintf(name, sizeof(name), "m%d", i);
        (void) rd_kafka_mock_topic_create(mock, name, 1, 1);
        produce(name, MIXED_N, SMALL);
        produce(name, 2, LARGE);
    }

    (void) rd_kafka_mock_topic_create(mock, "live", 1, 1);
    produce("live", 1, SMALL);
    flush();

    for (i = 0; i < BEHIND; i++) {
        (void) snprintf(name, sizeof(name), "n%d", i);
        rd_kafka_mock_topic_set_error(mock, name,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    }

    return mock;
}


static cdc_log_stream_t *
start(const char *name, unsigned i)
{
    char       err[CDC_REASON_MAX];
    cdc_pos_t  pos;

    pos.hi = pos.lo = 0;

    return OPS->start(turns.reader, name, pos, (void *) (intptr_t) i, err);
}


/* a reader of its own for each case: the topics t0, t1 ... or m0, m1 ... */

static void
begin(const char *brokers, char letter, unsigned n)
{
    char                err[CDC_REASON_MAX], name[16];
    json_t             *conf;
    unsigned            i;
    cdc_log_handler_t   h;

    h.readable = readable;
    h.degraded = degraded;
    h.arg = NULL;

    conf = json_pack("{s{ss}}", "kafka", "brokers", brokers);
    turns.reader = OPS->open(turns.loop, conf, &h, err);
    json_decref(conf);

    memset(turns.got, 0, sizeof(turns.got));
    turns.all = turns.want = turns.most = turns.n = 0;
    turns.slow = 0;
    turns.mixed = letter == 'm';

    for (i = 0; i < n; i++) {
        (void) snprintf(name, sizeof(name), "%c%u", letter, i);
        turns.s[i] = start(name, i);
    }

    turns.n = n;
}


/* who reads wants so many of each, and then none for a while */

static void
some(unsigned most, uint64_t quiet)
{
    unsigned  i;

    turns.most = most;
    turns.want = turns.n * most;
    turns.held = 0;

    for (i = 0; i < turns.n; i++) {
        readable(NULL, turns.s[i]);
    }

    wait_all();
    spin(quiet);
    ok(turns.all == turns.want && !turns.gap, "%u of each, in order: %u of %u",
       most, turns.all, turns.want);
}


/* a sanitizer's allocator does not say what it has */

static void
ok_held(size_t n, const char *what)
{
    if (turns.before == 0) {
        ok(1, "%s # SKIP this allocator does not count", what);
        return;
    }

    ok(n < HELD_MAX, "%s: %u kB", what, (unsigned) (n / 1000));
}


static void
test_large(const char *brokers)
{
    begin(brokers, 't', BEHIND);
    some(1, 1500);
    ok_held(held(), "large ones are held while nobody takes");

    some(BEHIND_N, 0);
    OPS->close(turns.reader);
}


/*
 * What has come so far says nothing of what comes next: ticks are small, and
 * the first rows behind them are not.
 */

static void
test_mixed(const char *brokers)
{
    unsigned  most;

    begin(brokers, 'm', MIXED);

    for (most = 1; most < 4; most++) {
        some(most, 600);
        ok_held(turns.held, "small ones before large ones, at most");
    }

    some(MIXED_N + 2, 0);
    OPS->close(turns.reader);
}


/* who waits for a topic that is not there takes no place */

static void
test_missing(const char *brokers)
{
    char      name[16];
    unsigned  i;

    begin(brokers, 'n', BEHIND);

    for (i = 0; i < BEHIND; i++) {
        (void) snprintf(name, sizeof(name), "t%u", i);
        turns.s[i] = start(name, i);
    }

    some(BEHIND_N, 0);
    OPS->close(turns.reader);
}


/*
 * One that is live, and cannot be read for a moment, while others wait for
 * each place: it has its message still.
 */

static void
test_live(const char *brokers)
{
    char           err[CDC_REASON_MAX];
    unsigned       i;
    cdc_log_msg_t  msg;

    msg.owner = NULL;
    begin(brokers, 't', 0);
    turns.live = start("live", 0);

    for (i = 0; i < 100 && !OPS->at_end(turns.live); i++) {
        spin(20);
    }

    ok(OPS->at_end(turns.live), "one is live");

    turns.slow = 1;

    for (i = 0; i < BEHIND; i++) {
        (void) snprintf(err, sizeof(err), "t%u", i);
        turns.s[i] = start(err, i);
    }

    turns.n = BEHIND;
    turns.want = BEHIND;
    wait_all();
    turns.told = 0;
    turns.refused = 1;
    produce("live", 1, SMALL);
    flush();

    for (i = 0; i < 100 && turns.told == 0; i++) {
        spin(10);
    }

    spin(150);
    ok(turns.told > 0 && turns.all < BEHIND * BEHIND_N
       && OPS->next(turns.live, &msg, err) == CDC_OK,
       "it keeps what nobody took for 150 ms, others wait: %u taken",
       turns.all);
    OPS->release(&msg);

    turns.live = NULL;
    OPS->close(turns.reader);
}


int
main(void)
{
    const char               *brokers;
    rd_kafka_mock_cluster_t  *mock;

    cdc_log_init("", NULL, CDC_LOG_ERR);
    turns.loop = cdc_loop_create();
    turns.limit.handler = expired;
    turns.often.handler = often;

    mock = broker();
    brokers = rd_kafka_mock_cluster_bootstraps(mock);
    turns.before = held();
    cdc_timer_add(turns.loop, &turns.often, 10);

    test_large(brokers);
    test_mixed(brokers);
    test_missing(brokers);
    test_live(brokers);

    cdc_timer_del(turns.loop, &turns.often);
    rd_kafka_destroy(turns.producer);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(turns.client);
    cdc_loop_destroy(turns.loop);

    return done_testing();
}
