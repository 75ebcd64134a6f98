/*
 * The Kafka reader says of all its streams together whether the log is well:
 * what is wrong with one ends when it ends for the last of them.  librdkafka's
 * own broker has topics that are not there.
 */

#include <jansson.h>

#include "kafka_broker.h"
#include "tap.h"
#include "cdc_log_reader.h"


#define OPS  (&cdc_kafka_reader)


static cdc_loop_t              *loop;
static cdc_log_reader_t        *reader;
static rd_kafka_mock_cluster_t *broker;
static char                     text[CDC_REASON_MAX];   /* "": it is well */
static unsigned                 told, waiting;


static void
readable(void *arg, cdc_log_stream_t *s)
{
    (void) arg;
    (void) s;
}


static void
degraded(void *arg, const char *why)
{
    (void) snprintf(text, sizeof(text), "%s", why ? why : "");
    told++;

    if (waiting) {
        cdc_loop_stop(arg);
    }
}


static void
expired(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


/* until something is said, or a minute is over */

static void
wait_told(void)
{
    cdc_timer_t  limit;

    told = 0;
    memset(&limit, 0, sizeof(limit));
    limit.handler = expired;
    limit.data = loop;

    cdc_timer_add(loop, &limit, 60000);
    waiting = 1;
    (void) cdc_loop_run(loop);
    waiting = 0;
    cdc_timer_del(loop, &limit);
}


static cdc_log_stream_t *
start_missing(const char *topic)
{
    char               err[CDC_REASON_MAX];
    cdc_pos_t          pos;
    cdc_log_stream_t  *s;

    (void) rd_kafka_mock_topic_create(broker, topic, 1, 1);
    rd_kafka_mock_topic_set_error(broker, topic,
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    pos.hi = 0;
    pos.lo = 3;
    s = OPS->start(reader, topic, pos, NULL, err);
    wait_told();
    ok(strstr(text, topic) != NULL, "\"%s\" is not there: %s", topic, text);

    return s;
}


static void
test_ill(void)
{
    cdc_log_stream_t  *one, *two;

    one = start_missing("one");
    two = start_missing("two");

    OPS->stop(one);
    ok(strstr(text, "two") != NULL,
       "one is not read any more: two is not there");

    one = start_missing("one");
    rd_kafka_mock_topic_set_error(broker, "one", RD_KAFKA_RESP_ERR_NO_ERROR);
    wait_told();
    ok(strstr(text, "two") != NULL, "one is there: two is not: %s", text);

    OPS->stop(two);
    is_str(text, "", "two is not read any more: the log is well");

    two = start_missing("two");
    rd_kafka_mock_topic_set_error(broker, "two", RD_KAFKA_RESP_ERR_NO_ERROR);
    wait_told();
    is_str(text, "", "two is there: the log is well");

    (void) start_missing("three");
    told = 0;
}


int
main(void)
{
    char               err[CDC_REASON_MAX];
    json_t            *conf;
    rd_kafka_t        *client;
    cdc_log_handler_t  h;

    broker = kafka_broker(&client);
    conf = json_pack("{s{ss}}", "kafka", "brokers",
                     rd_kafka_mock_cluster_bootstraps(broker));

    loop = cdc_loop_create();
    h.readable = readable;
    h.degraded = degraded;
    h.arg = loop;
    reader = OPS->open(loop, conf, &h, err);

    if (ok(reader != NULL, "a reader")) {
        test_ill();
        OPS->close(reader);
        is_int(told, 0, "a reader that is closed says nothing");
    }

    cdc_loop_destroy(loop);
    rd_kafka_mock_cluster_destroy(broker);
    rd_kafka_destroy(client);
    json_decref(conf);

    return done_testing();
}
