/*
 * The Kafka reader.  What needs a broker runs when TEST_CDC_KAFKA names one
 * (host:port, no authentication); topics are made, and removed again.
 */

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "kafka_broker.h"
#include "tap.h"
#include "cdc_log_reader.h"


#define OPS  (&cdc_kafka_reader)


typedef struct {
    cdc_loop_t   *loop;
    cdc_timer_t   limit;
    size_t        want, got;
    uint64_t      first, last;           /* offsets */
    size_t        bytes;
    unsigned      streaming;
    unsigned      ordered:1;
    unsigned      expired:1;
    unsigned      want_end:1;
    int           rc;
    char          err[CDC_REASON_MAX];
    int           degraded, healthy;
    char          text[CDC_REASON_MAX];
    uint64_t      seen_ms;
} run_t;


static run_t        run;
static unsigned     hold;                /* nobody takes */
static rd_kafka_t  *producer;


static void
drain(void *arg, cdc_log_stream_t *s)
{
    cdc_log_msg_t  msg;

    if (hold) {
        return;
    }

    for ( ;; ) {
        run.rc = OPS->next(s, &msg, run.err);

        if (run.rc != CDC_OK) {
            break;
        }

        if (run.got == 0) {
            run.first = msg.pos.lo;

        } else if (msg.pos.lo <= run.last) {
            run.ordered = 0;
        }

        run.last = msg.pos.lo;
        run.bytes += msg.body.len;
        run.streaming += msg.streaming;
        run.got++;
        run.seen_ms = cdc_now_ms();
        OPS->release(&msg);
    }

    if (run.rc != CDC_AGAIN
        || (run.want != 0 && run.got >= run.want
            && (!run.want_end || OPS->at_end(s))))
    {
        cdc_loop_stop(run.loop);
    }
}


static void
degraded(void *arg, const char *text)
{
    if (text != NULL) {
        run.degraded++;
        (void) snprintf(run.text, sizeof(run.text), "%s", text);

    } else {
        run.healthy++;
    }

    cdc_loop_stop(run.loop);
}


static void
expired(cdc_timer_t *tm)
{
    run.expired = 1;
    cdc_loop_stop(run.loop);
}


static void
spin(size_t want, uint64_t ms)
{
    cdc_loop_t  *loop;

    loop = run.loop;
    memset(&run, 0, sizeof(run_t));
    run.loop = loop;
    run.want = want;
    run.ordered = 1;
    run.limit.handler = expired;

    cdc_timer_add(loop, &run.limit, ms);
    (void) cdc_loop_run(loop);
    cdc_timer_del(loop, &run.limit);
}


static void
produce(rd_kafka_topic_t *topic, size_t n, size_t len)
{
    char    *buf;
    size_t   i;

    buf = calloc(1, len);

    for (i = 0; i < n; i++) {
        memset(buf, (int) i, len);

        while (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, buf, len, NULL,
                                0, NULL) == -1)
        {
            (void) rd_kafka_poll(producer, 10);
        }
    }

    (void) rd_kafka_flush(producer, 20000);
    free(buf);
}


/* one message with one header */

static void
produce_marked(const char *topic, const char *header)
{
    (void) rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic),
                             RD_KAFKA_V_PARTITION(0),
                             RD_KAFKA_V_VALUE("x", 1),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_HEADER(header, "1", 1),
                             RD_KAFKA_V_END);
    (void) rd_kafka_flush(producer, 20000);
}


static int
make_topic(const char *name)
{
    char                          err[256];
    size_t                        n;
    rd_kafka_queue_t             *q;
    rd_kafka_event_t             *ev;
    rd_kafka_NewTopic_t          *t;
    const rd_kafka_topic_result_t **res;

    q = rd_kafka_queue_new(producer);
    t = rd_kafka_NewTopic_new(name, 1, 1, err, sizeof(err));
    (void) rd_kafka_NewTopic_set_config(t, "max.message.bytes", "10485760");
    rd_kafka_CreateTopics(producer, &t, 1, NULL, q);
    ev = rd_kafka_queue_poll(q, 10000);

    res = rd_kafka_CreateTopics_result_topics(
                              rd_kafka_event_CreateTopics_result(ev), &n);
    n = (n == 1 && rd_kafka_topic_result_error(res[0]) == 0);

    rd_kafka_event_destroy(ev);
    rd_kafka_NewTopic_destroy(t);
    rd_kafka_queue_destroy(q);

    return n == 1;
}


static void
drop_topic(const char *name)
{
    rd_kafka_queue_t        *q;
    rd_kafka_event_t        *ev;
    rd_kafka_DeleteTopic_t  *t;

    q = rd_kafka_queue_new(producer);
    t = rd_kafka_DeleteTopic_new(name);
    rd_kafka_DeleteTopics(producer, &t, 1, NULL, q);
    ev = rd_kafka_queue_poll(q, 10000);

    if (ev != NULL) {
        rd_kafka_event_destroy(ev);
    }

    rd_kafka_DeleteTopic_destroy(t);
    rd_kafka_queue_destroy(q);
}


/* Kafka's retention, done by hand */

static int
delete_records(const char *name, int64_t before)
{
    int                                 rc;
    rd_kafka_queue_t                   *q;
    rd_kafka_event_t                   *ev;
    rd_kafka_DeleteRecords_t           *del;
    rd_kafka_topic_partition_list_t    *list;

    q = rd_kafka_queue_new(producer);
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name, 0)->offset = before;
    del = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(producer, &del, 1, NULL, q);
    ev = rd_kafka_queue_poll(q, 10000);
    rc = ev != NULL && rd_kafka_event_error(ev) == 0;

    rd_kafka_event_destroy(ev);
    rd_kafka_DeleteRecords_destroy(del);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(q);

    return rc;
}


static cdc_log_reader_t *
reader(json_t *conf, char *err)
{
    cdc_log_handler_t  h;

    h.readable = drain;
    h.degraded = degraded;
    h.arg = NULL;

    return OPS->open(run.loop, conf, &h, err);
}


static json_t *
conf_of(const char *brokers)
{
    return json_pack("{s{ss}}", "kafka", "brokers", brokers);
}


static void
test_ids(void)
{
    cdc_pos_t  pos;

    ok(OPS->parse_id(cdc_span("\x56\x27\0\0\0\0\0\0"), &pos) == CDC_OK
       && pos.hi == 0 && pos.lo == 10070, "a message id is an offset");
    ok(OPS->parse_id(cdc_span("\xff\xff\xff\xff\xff\xff\xff\xff"), &pos)
       == CDC_OK && pos.lo == 0, "-1 is the start");
    ok(OPS->parse_id(cdc_span("\x56\x27\0"), &pos) == CDC_ERROR,
       "three bytes are no message id");
    ok(OPS->parse_id(cdc_span(""), &pos) == CDC_ERROR,
       "nothing is no message id");
}


static void
test_conf(void)
{
    char     err[CDC_REASON_MAX];
    json_t  *conf;

    conf = json_pack("{s{}}", "kafka");
    ok(reader(conf, err) == NULL && strstr(err, "no broker") != NULL,
       "no broker: %s", err);
    json_decref(conf);

    conf = json_pack("{s{ssss}}", "kafka", "brokers", "127.0.0.1:1",
                     "prefetch", "x");
    json_object_set_new(json_object_get(conf, "kafka"), "tls", json_true());
    json_object_set_new(json_object_get(conf, "kafka"), "ca",
                        json_string("/nonexistent/ca.pem"));
    ok(reader(conf, err) == NULL && strstr(err, "ca") != NULL,
       "a CA file that is not there: %s", err);
    json_decref(conf);

    conf = json_pack("{s{ssssssss}}", "kafka", "brokers", "127.0.0.1:1",
                     "user", "u", "password", "s3cret", "mechanism", "NONE");
    ok(reader(conf, err) == NULL && strstr(err, "s3cret") == NULL,
       "an unknown mechanism: %s", err);
    json_decref(conf);
}


/* [0, n of them) */

static unsigned
all_ends(cdc_log_reader_t *r, cdc_log_ends_t *all, unsigned ms)
{
    memset(all, 0, 4 * sizeof(cdc_log_ends_t));
    all[0].channel = "one";
    all[1].channel = "none";
    all[2].channel = "cut";
    all[3].channel = "denied";

    OPS->all_ends(r, all, 4, ms);

    return all[0].known + all[1].known * 10u + all[2].known * 100u
           + all[3].known * 1000u;
}


static void
test_all_ends(void)
{
    int                       i;
    char                      err[CDC_REASON_MAX];
    json_t                   *conf;
    uint64_t                  start;
    rd_kafka_t               *client, *producer;
    cdc_log_ends_t            all[4];
    rd_kafka_topic_t         *topic;
    cdc_log_reader_t         *r;
    rd_kafka_mock_cluster_t  *mock;

    mock = kafka_broker(&client);
    (void) rd_kafka_mock_topic_create(mock, "one", 1, 1);
    (void) rd_kafka_mock_topic_create(mock, "cut", 1, 1);
    (void) rd_kafka_mock_topic_create(mock, "denied", 1, 1);
    producer = kafka_producer(rd_kafka_mock_cluster_bootstraps(mock));
    topic = rd_kafka_topic_new(producer, "one", NULL);

    for (i = 0; i < 3; i++) {
        (void) rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, "m", 1, NULL, 0,
                                NULL);
    }

    (void) rd_kafka_flush(producer, 5000);
    rd_kafka_mock_topic_set_error(mock, "none",
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);

    conf = conf_of(rd_kafka_mock_cluster_bootstraps(mock));
    r = reader(conf, err);

    is_int(all_ends(r, all, 5000), 1111, "ends of topics in one question");
    ok(all[0].first.lo == 0 && all[0].end.lo == 3, "what is there");
    ok(all[1].first.lo == 0 && all[1].end.lo == 0, "and what is not");

    rd_kafka_mock_topic_set_error(mock, "denied",
                                  RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    OPS->close(r);
    r = reader(conf, err);
    is_int(all_ends(r, all, 5000), 111, "one that may not be read says "
           "nothing, the others do");
    OPS->close(r);
    json_decref(conf);

    conf = conf_of("127.0.0.1:1");
    r = reader(conf, err);
    start = cdc_now_ms();
    is_int(all_ends(r, all, 300), 0, "without a broker nobody does");
    ok(cdc_now_ms() - start < 3000, "within its time: %d ms",
       (int) (cdc_now_ms() - start));
    OPS->close(r);
    json_decref(conf);

    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(client);
}


static void
test_down(void)
{
    char               err[CDC_REASON_MAX];
    json_t            *conf;
    uint64_t           start;
    cdc_pos_t          pos, end;
    cdc_log_reader_t  *r;
    cdc_log_stream_t  *s;

    conf = conf_of("127.0.0.1:1");
    r = reader(conf, err);

    pos.hi = pos.lo = 0;
    s = OPS->start(r, "nothing", pos, NULL, err);
    ok(s != NULL, "a stream starts without a broker");

    spin(1, 5000);
    ok(run.degraded == 1 && strstr(run.text, "127.0.0.1:1") != NULL,
       "out of reach is told: %s", run.text);

    spin(1, 1500);
    is_int(run.degraded, 0, "and told once");

    ok(OPS->ends(r, "nothing", 300, &pos, &end, err) == CDC_ERROR,
       "ends() says why: %s", err);

    start = cdc_now_ms();
    OPS->stop(s);
    ok(cdc_now_ms() - start < 500, "stop() does not wait");

    start = cdc_now_ms();
    OPS->close(r);
    ok(cdc_now_ms() - start < 2500, "close() waits for the probe at most");

    json_decref(conf);
}


/* the right to read a topic is taken away, and given back: librdkafka's own
 * broker answers so, by API key: 1 Fetch, 2 ListOffsets */

static void
test_denied(void)
{
    char                       err[CDC_REASON_MAX];
    size_t                     got;
    uint64_t                   first;
    json_t                    *conf;
    cdc_pos_t                  pos;
    rd_kafka_t                *client;
    rd_kafka_topic_t          *topic;
    cdc_log_reader_t          *r;
    cdc_log_stream_t          *s;
    rd_kafka_resp_err_t        no;
    rd_kafka_mock_cluster_t   *mock;

    no = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock = kafka_broker(&client);
    (void) rd_kafka_mock_topic_create(mock, "t", 1, 1);

    producer = kafka_producer(rd_kafka_mock_cluster_bootstraps(mock));
    topic = rd_kafka_topic_new(producer, "t", NULL);

    conf = conf_of(rd_kafka_mock_cluster_bootstraps(mock));
    r = reader(conf, err);
    produce(topic, 5, 20);

    pos.hi = pos.lo = 0;
    s = OPS->start(r, "t", pos, NULL, err);
    spin(5, 10000);
    is_int(run.got, 5, "denied: messages before");

    rd_kafka_mock_push_request_errors(mock, 1, 3, no, no, no);
    spin(1, 10000);
    ok(run.degraded == 1 && run.rc != CDC_ERROR
       && strstr(run.text, "\"t\" at offset 5 may not be read") != NULL,
       "denied: it is told, the stream goes on: %s", run.text);

    produce(topic, 1, 20);
    spin(1, 10000);

    if (run.got == 0) {
        spin(1, 10000);                  /* the end came before the message */
    }

    ok(run.got == 1 && run.first == 5 && run.rc == CDC_AGAIN
       && run.degraded == 0, "denied: and reads on when it may");
    OPS->stop(s);

    rd_kafka_mock_push_request_errors(mock, 2, 2, no, no);
    pos.lo = 3;
    s = OPS->start(r, "t", pos, NULL, err);
    spin(3, 10000);
    ok(run.degraded == 1 && run.got == 0, "denied at the start: it is told");
    spin(3, 10000);
    ok(run.healthy == 1, "denied at the start: that ends");

    /* what is there by then is read before the loop stops */

    got = run.got;
    first = run.first;

    if (got < 3) {
        spin(3 - got, 10000);
        first = got ? first : run.first;
        got += run.got;
    }

    ok(got == 3 && first == 3, "denied at the start: then it reads");

    OPS->stop(s);
    OPS->close(r);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(client);
    json_decref(conf);
}


static void
test_read(cdc_log_reader_t *r, const char *name)
{
    char               err[CDC_REASON_MAX];
    int                i;
    uint64_t           start, sum, worst, ms;
    cdc_pos_t          pos, first, end;
    cdc_log_ends_t     all[2];
    rd_kafka_topic_t  *topic;
    cdc_log_stream_t  *s;

    memset(all, 0, sizeof(all));
    pos.hi = pos.lo = 0;
    ok(OPS->ends(r, name, 5000, &first, &end, err) == CDC_OK
       && first.lo == 0 && end.lo == 0, "a topic that is not there is empty");

    s = OPS->start(r, name, pos, &run, err);
    ok(s != NULL && OPS->data(s) == &run, "a stream starts before its topic");
    ok(OPS->start(r, name, pos, NULL, err) == NULL, "but only once: %s", err);
    spin(1, 1000);
    ok(run.got == 0 && run.rc != CDC_ERROR, "nothing comes, no error either");

    /* it would say "exists" had the stream made it */

    ok(make_topic(name), "the topic is made");
    topic = rd_kafka_topic_new(producer, name, NULL);
    produce(topic, 100, 20);
    spin(100, 10000);
    ok(run.got == 100 && run.first == 0 && run.last == 99 && run.ordered
       && run.bytes == 2000, "100 messages, in order");

    worst = 0;
    sum = 0;

    for (i = 0; i < 20; i++) {
        start = cdc_now_ms();
        produce(topic, 1, 20);
        spin(1, 5000);
        ms = run.got == 1 ? run.seen_ms - start : 5000;
        sum += ms;
        worst = ms > worst ? ms : worst;
    }

    ok(sum / 20 < 100 && worst < 1000, "produced and read within %d ms on "
       "average, %d ms at worst", (int) (sum / 20), (int) worst);

    run.want_end = 1;
    spin(0, 300);
    ok(OPS->at_end(s) == 1, "at the end");

    OPS->stop(s);

    produce(topic, 1, 6 * 1024 * 1024);
    produce(topic, 1, 20);
    pos.lo = 60;
    s = OPS->start(r, name, pos, NULL, err);
    spin(62, 10000);
    ok(run.got == 62 && run.first == 60 && run.bytes
       == 61 * 20 + 6 * 1024 * 1024, "from offset 60, with one of 6 MB");

    produce_marked(name, "traceparent");
    spin(1, 5000);
    ok(run.got == 1 && run.streaming == 0, "not the format of 2.6");
    produce_marked(name, "_v");
    spin(1, 5000);
    ok(run.got == 1 && run.streaming == 1, "the format of 2.6 is seen");
    OPS->stop(s);

    ok(OPS->ends(r, name, 5000, &first, &end, err) == CDC_OK
       && first.lo == 0 && end.lo == 124, "ends");

    all[0].channel = name;
    all[1].channel = "nothing";
    OPS->all_ends(r, all, 2, 5000);
    ok(all[0].known && all[0].first.lo == 0 && all[0].end.lo == 124,
       "ends, asked for many");
    ok(all[1].known && all[1].end.lo == 0, "and one that is not there");

    rd_kafka_topic_destroy(topic);
}


static void
test_gap(cdc_log_reader_t *r, const char *name)
{
    char               err[CDC_REASON_MAX];
    cdc_pos_t          pos;
    rd_kafka_topic_t  *topic;
    cdc_log_stream_t  *s;

    topic = rd_kafka_topic_new(producer, name, NULL);

    ok(delete_records(name, 110), "retention removes up to 110");

    pos.hi = 0;
    pos.lo = 60;
    s = OPS->start(r, name, pos, NULL, err);
    spin(1, 10000);
    ok(run.rc == CDC_DECLINED && strstr(run.err, "60") != NULL
       && strstr(run.err, "110") != NULL && strstr(run.err, name) != NULL,
       "a gap is told: %s", run.err);
    OPS->stop(s);

    pos.lo = 110;
    s = OPS->start(r, name, pos, NULL, err);
    spin(14, 10000);
    ok(run.got == 14 && run.first == 110, "its very edge is no gap");
    OPS->stop(s);

    pos.lo = 127;                        /* the end is 124 */
    s = OPS->start(r, name, pos, NULL, err);
    spin(1, 1500);
    ok(run.got == 0 && run.rc == CDC_DECLINED
       && strstr(run.err, "124") != NULL && strstr(run.err, "127") != NULL
       && strstr(run.err, name) != NULL,
       "behind the end: what was there is lost: %s", run.err);
    OPS->stop(s);

    rd_kafka_topic_destroy(topic);
}


/* messages that a stream holds that nobody takes from */

static int
waiting(cdc_log_reader_t *r, const char *name)
{
    int                n;
    char               err[CDC_REASON_MAX];
    cdc_pos_t          pos;
    cdc_log_msg_t      msg;
    cdc_log_stream_t  *s;

    pos.hi = pos.lo = 0;
    hold = 1;
    s = OPS->start(r, name, pos, NULL, err);
    spin(0, 500);
    hold = 0;

    for (n = 0; n < 64 && OPS->next(s, &msg, err) == CDC_OK; n++) {
        OPS->release(&msg);
    }

    OPS->stop(s);

    return n;
}


static void
test_backlog(cdc_log_reader_t *r, const char *name)
{
    int                i;
    char               err[CDC_REASON_MAX];
    uint64_t           start, ms;
    cdc_pos_t          pos;
    rd_kafka_topic_t  *topic;
    cdc_log_stream_t  *s;

    ok(make_topic(name), "a topic for a backlog");
    topic = rd_kafka_topic_new(producer, name, NULL);
    produce(topic, 320, 512 * 1024);

    pos.hi = pos.lo = 0;
    start = cdc_now_ms();
    s = OPS->start(r, name, pos, NULL, err);
    spin(320, 30000);
    ms = cdc_now_ms() - start;
    ok(run.got == 320 && run.ordered, "160 MB in %d ms", (int) ms);

    OPS->stop(s);

    /* a queue that was full has room again: no second goes by */

    s = OPS->start(r, name, pos, NULL, err);
    ms = 0;

    for (i = 0; i < 20; i++) {
        (void) usleep(100000);
        start = cdc_now_ms();
        spin(8, 5000);
        ms += cdc_now_ms() - start;
    }

    ok(ms < 2000, "20 times out of a full queue and 4 MB on: %d ms",
       (int) ms);
    OPS->stop(s);

    i = waiting(r, name);
    ok(i >= 1 && i <= 6, "%d messages of 512 KB wait in a stream", i);

    rd_kafka_topic_destroy(topic);
}


/* an answer has several of some hundred KB: they go on together */

static void
test_answer(cdc_log_reader_t *r, const char *name)
{
    int                i;
    rd_kafka_topic_t  *topic;

    ok(make_topic(name), "a topic of batches with one message each");
    topic = rd_kafka_topic_new(producer, name, NULL);

    for (i = 0; i < 12; i++) {
        produce(topic, 1, 300 * 1024);
    }

    i = waiting(r, name);
    ok(i >= 3 && i <= 5, "%d messages of 300 KB wait in a stream", i);

    rd_kafka_topic_destroy(topic);
}


static void
test_broker(const char *brokers)
{
    char               err[CDC_REASON_MAX], one[64], two[80], three[80];
    json_t            *conf;
    rd_kafka_conf_t   *kc;
    cdc_log_reader_t  *r;

    (void) snprintf(one, sizeof(one), "src-test-%d-%d", (int) getpid(),
                    (int) time(NULL));
    (void) snprintf(two, sizeof(two), "%s-b", one);
    (void) snprintf(three, sizeof(three), "%s-c", one);

    kc = rd_kafka_conf_new();
    (void) rd_kafka_conf_set(kc, "bootstrap.servers", brokers, err,
                             sizeof(err));
    (void) rd_kafka_conf_set(kc, "message.max.bytes", "10000000", err,
                             sizeof(err));
    (void) rd_kafka_conf_set(kc, "linger.ms", "0", err, sizeof(err));
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, kc, err, sizeof(err));

    conf = conf_of(brokers);
    r = reader(conf, err);

    test_read(r, one);
    test_gap(r, one);
    test_backlog(r, two);
    test_answer(r, three);

    drop_topic(one);
    drop_topic(two);
    drop_topic(three);

    OPS->close(r);
    json_decref(conf);
    rd_kafka_destroy(producer);
}


int
main(void)
{
    const char  *brokers;

    cdc_log_init("", NULL, getenv("TEST_CDC_DEBUG") ? CDC_LOG_DEBUG
                                                    : CDC_LOG_ERR);
    run.loop = cdc_loop_create();

    test_ids();
    test_conf();
    test_down();
    test_all_ends();
    test_denied();

    brokers = getenv("TEST_CDC_KAFKA");

    if (brokers != NULL) {
        test_broker(brokers);

    } else {
        ok(1, "with a broker # SKIP TEST_CDC_KAFKA is not set");
    }

    cdc_loop_destroy(run.loop);

    return done_testing();
}
