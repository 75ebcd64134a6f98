/*
 * Log reader: Kafka, by librdkafka's simple consumer.
 *
 * Each stream is partition 0 of a topic, read by offset: no group, nothing
 * committed.  A stream has a queue of its own, because the limits on what is
 * fetched ahead count per queue; how the loop wakes: cdc_kafka_ready.c.
 *
 * Two things in librdkafka 2.0 need help.  A partition whose queue is full
 * is taken out of the next Fetch, and nothing puts it back when the queue
 * has been emptied except the broker thread's own turn, up to a second later.
 * So every CDC_KAFKA_WAKE bytes taken we make the broker threads turn; the one
 * public call that does no more than that is rd_kafka_sasl_set_credentials().
 * And a message holds the whole Fetch answer that it came in: small ones are
 * copied, so that a tick which waits for its turn does not hold megabytes, and
 * larger ones while memory is tight (cdc_kafka_hand_out()).
 *
 * Out of reach: librdkafka re-connects by itself, but tells only that all
 * brokers are down.  While they are, a worker thread asks for metadata until
 * an answer comes.
 *
 * A position that is not there any more ends the stream with CDC_DECLINED,
 * after the broker's first and last offsets have been asked for, also on the
 * worker.  One behind the end means that the topic was made anew or that the
 * broker lost its tail: what is in its place is not what was read before, so
 * nothing may be skipped up to the position.  (A topic made anew that has
 * grown past the position is seen by who reads: "numbered".)  A topic that is
 * not there any more is asked for until it is.
 *
 * Nothing is on disk.  Messages must be released before close().
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cdc_kafka_int.h"


static cdc_log_reader_t *cdc_kafka_open(cdc_loop_t *loop, const void *conf,
    const cdc_log_handler_t *h, char *err);
static void cdc_kafka_close(cdc_log_reader_t *r);
static int cdc_kafka_ends(cdc_log_reader_t *r, const char *channel,
    unsigned ms, cdc_pos_t *first, cdc_pos_t *end, char *err);
static cdc_log_stream_t *cdc_kafka_start(cdc_log_reader_t *r,
    const char *channel, cdc_pos_t from, void *data, char *err);
static void cdc_kafka_stop(cdc_log_stream_t *s);
static void *cdc_kafka_data(cdc_log_stream_t *s);
static int cdc_kafka_next(cdc_log_stream_t *s, cdc_log_msg_t *msg, char *err);
static void cdc_kafka_release(cdc_log_msg_t *msg);
static uint64_t cdc_kafka_next_try(cdc_log_reader_t *r);


const cdc_log_reader_ops_t  cdc_kafka_reader = {
    "kafka",
    1,
    cdc_kafka_open,
    cdc_kafka_close,
    cdc_kafka_ends,
    cdc_log_parse_id,
    cdc_kafka_start,
    cdc_kafka_stop,
    cdc_kafka_data,
    cdc_kafka_next,
    cdc_kafka_release,
    cdc_kafka_at_end,
    cdc_kafka_next_try,
    cdc_kafka_end,
    cdc_kafka_retention,
    NULL,                                /* a broker does not say */
    cdc_kafka_all_ends
};


/* ---- the client --- */

/* any thread of librdkafka */

static void
cdc_kafka_log(const rd_kafka_t *rk, int level, const char *fac,
    const char *text)
{
    /* failures to connect come as errors too and are said there, once */

    cdc_log(level <= 2 ? CDC_LOG_ERR : CDC_LOG_DEBUG, 0, "kafka: %s: %s",
            fac, text);
}


static void
cdc_kafka_down(cdc_log_reader_t *r, const char *text)
{
    if (r->down) {
        return;
    }

    r->down = 1;

    (void) snprintf(r->text, sizeof(r->text), "kafka %.256s: %.512s",
                    r->brokers, text);

    if (r->handler.degraded != NULL) {
        r->handler.degraded(r->handler.arg, r->text);
    }

    cdc_timer_add(r->loop, &r->probe, CDC_KAFKA_PROBE_MS);
}


/* main thread, inside rd_kafka_poll() */

static void
cdc_kafka_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    cdc_log_reader_t  *r;

    r = opaque;

    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        cdc_kafka_down(r, r->cause[0] != '\0' ? r->cause : reason);
        return;
    }

    (void) snprintf(r->cause, sizeof(r->cause), "%.512s", reason);
    cdc_log(CDC_LOG_DEBUG, 0, "kafka: %s", reason);
}


static void
cdc_kafka_main_event(cdc_event_t *ev, unsigned events)
{
    uint64_t           n;
    cdc_log_reader_t  *r;

    r = ev->data;

    while (read(ev->fd, &n, sizeof(n)) == -1 && errno == EINTR) {
        /* again */
    }

    (void) rd_kafka_poll(r->rk, 0);
}


/* worker */

static void
cdc_kafka_probe_run(cdc_job_t *job)
{
    cdc_log_reader_t                *r;
    const struct rd_kafka_metadata  *md;

    r = job->data;

    r->probe_rc = rd_kafka_metadata(r->rk, 0, NULL, &md, CDC_KAFKA_ASK_MS);

    if (r->probe_rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(md);
    }
}


static void
cdc_kafka_probe_done(cdc_job_t *job)
{
    cdc_log_reader_t  *r;

    r = job->data;

    if (r->probe_rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        cdc_timer_add(r->loop, &r->probe, CDC_KAFKA_PROBE_MS);
        return;
    }

    r->down = 0;
    r->cause[0] = '\0';
    cdc_kafka_well(r);
}


static void
cdc_kafka_probe_timer(cdc_timer_t *tm)
{
    cdc_log_reader_t  *r;

    r = tm->data;

    r->probe_job.run = cdc_kafka_probe_run;
    r->probe_job.done = cdc_kafka_probe_done;
    r->probe_job.data = r;

    cdc_worker_submit(r->worker, &r->probe_job);
}


static cdc_log_reader_t *
cdc_kafka_open(cdc_loop_t *loop, const void *conf, const cdc_log_handler_t *h,
    char *err)
{
    char               text[512];
    uint64_t           one;
    rd_kafka_conf_t   *kc;
    cdc_log_reader_t  *r;

    r = calloc(1, sizeof(cdc_log_reader_t));
    if (r == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "kafka: no memory");
        return NULL;
    }

    (void) pthread_mutex_init(&r->pace_mutex, NULL);

    r->loop = loop;
    r->handler = *h;
    r->main.fd = -1;
    r->ready.fd = -1;
    r->nap.fd = -1;
    r->largest = CDC_KAFKA_LARGEST;
    r->probe.handler = cdc_kafka_probe_timer;
    r->probe.data = r;

    kc = cdc_kafka_conf(r, conf, err);
    if (kc == NULL) {
        cdc_kafka_close(r);
        return NULL;
    }

    rd_kafka_conf_set_opaque(kc, r);
    rd_kafka_conf_set_log_cb(kc, cdc_kafka_log);
    rd_kafka_conf_set_error_cb(kc, cdc_kafka_error);
    cdc_kafka_pace_conf(r, kc);

    r->rk = rd_kafka_new(RD_KAFKA_CONSUMER, kc, text, sizeof(text));
    if (r->rk == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "kafka: %s", text);
        rd_kafka_conf_destroy(kc);
        cdc_kafka_close(r);
        return NULL;
    }

    r->worker = cdc_worker_create(loop, "kafka");
    r->main.fd = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK);

    if (r->worker == NULL || r->main.fd == -1) {
        (void) snprintf(err, CDC_REASON_MAX, "kafka: no thread or eventfd");
        cdc_kafka_close(r);
        return NULL;
    }

    r->main.handler = cdc_kafka_main_event;
    r->main.data = r;

    if (cdc_event_add(loop, &r->main, EPOLLIN) != CDC_OK
        || cdc_kafka_ready_open(r) != CDC_OK)
    {
        (void) snprintf(err, CDC_REASON_MAX, "kafka: no descriptor");
        cdc_kafka_close(r);
        return NULL;
    }

    one = 1;
    r->main_queue = rd_kafka_queue_get_main(r->rk);
    rd_kafka_queue_io_event_enable(r->main_queue, r->main.fd, &one,
                                   sizeof(one));

    /* what came before that has woken nobody: look once */

    if (write(r->main.fd, &one, sizeof(one)) == -1) {
        cdc_log(CDC_LOG_ALERT, errno, "write() to an eventfd failed");
    }

    return r;
}


static void
cdc_kafka_close(cdc_log_reader_t *r)
{
    if (r == NULL) {
        return;
    }

    r->handler.degraded = NULL;

    while (r->streams != NULL) {
        cdc_kafka_stop(r->streams);
    }

    cdc_timer_del(r->loop, &r->turn);
    cdc_timer_del(r->loop, &r->probe);
    cdc_worker_destroy(r->worker);
    cdc_timer_del(r->loop, &r->keep_timer);
    cdc_timer_del(r->loop, &r->newest_timer);
    free(r->keep_topic);
    free(r->newest_topic);

    while (r->stopped != NULL) {
        cdc_kafka_stream_free(r->stopped);
    }

    if (r->main_queue != NULL) {
        rd_kafka_queue_io_event_enable(r->main_queue, -1, NULL, 0);
        rd_kafka_queue_destroy(r->main_queue);
    }

    if (r->main.fd != -1) {
        cdc_event_del(r->loop, &r->main);
        (void) close(r->main.fd);
    }

    if (r->rk != NULL) {
        rd_kafka_destroy_flags(r->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }

    cdc_kafka_ready_close(r);
    cdc_kafka_conf_free(r);
    (void) pthread_mutex_destroy(&r->pace_mutex);
    free(r);
}


/* ---- positions --- */

static int
cdc_kafka_ends(cdc_log_reader_t *r, const char *channel, unsigned ms,
    cdc_pos_t *first, cdc_pos_t *end, char *err)
{
    int64_t              lo, hi;
    rd_kafka_resp_err_t  rc;

    rc = rd_kafka_query_watermark_offsets(r->rk, channel, 0, &lo, &hi,
                                          (int) ms);

    switch (rc) {

    case RD_KAFKA_RESP_ERR_NO_ERROR:
        break;

    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        lo = 0;
        hi = 0;
        break;

    default:
        (void) snprintf(err, CDC_REASON_MAX, "kafka %.256s: topic %.256s: %s",
                        r->brokers, channel, rd_kafka_err2str(rc));
        return CDC_ERROR;
    }

    first->hi = 0;
    first->lo = (uint64_t) (lo > 0 ? lo : 0);
    end->hi = 0;
    end->lo = (uint64_t) (hi > 0 ? hi : 0);

    return CDC_OK;
}


/* ---- streams --- */

void
cdc_kafka_readable(cdc_log_stream_t *s)
{
    cdc_log_reader_t  *r;

    if (s->paused) {
        cdc_kafka_turn_drop(s);          /* an answer that came too late */
        return;
    }

    if (s->queue != NULL) {
        s->full = 1;
        s->asked_at = cdc_now_ms();
    }

    /* it may be stopped by who reads */

    r = s->reader;
    r->handler.readable(r->handler.arg, s);
    cdc_kafka_turn_full(r);
}


/* the fetcher's part of a stream: what a restart makes anew */

int
cdc_kafka_consume(cdc_log_stream_t *s, int64_t offset, char *err)
{
    cdc_log_reader_t  *r;

    r = s->reader;
    s->queue = rd_kafka_queue_new(r->rk);

    cdc_kafka_turn_new(s);
    cdc_kafka_ready_start(s);

    if (rd_kafka_consume_start_queue(s->topic, 0, offset, s->queue) == 0) {
        return CDC_OK;
    }

    (void) snprintf(err, CDC_REASON_MAX, "kafka %.256s: topic %.256s: %s",
                    r->brokers, s->channel,
                    rd_kafka_err2str(rd_kafka_last_error()));

    cdc_kafka_ready_stop(s);
    rd_kafka_queue_destroy(s->queue);
    s->queue = NULL;

    return CDC_ERROR;
}


void
cdc_kafka_unconsume(cdc_log_stream_t *s)
{
    if (s->queue == NULL) {
        return;
    }

    cdc_kafka_turn_none(s);
    cdc_kafka_ready_stop(s);
    (void) rd_kafka_consume_stop(s->topic, 0);
    rd_kafka_queue_destroy(s->queue);
    s->queue = NULL;
}


static void
cdc_kafka_unlink(cdc_log_stream_t **list, cdc_log_stream_t *s)
{
    while (*list != NULL && *list != s) {
        list = &(*list)->next;
    }

    if (*list != NULL) {
        *list = s->next;
    }
}


void
cdc_kafka_stream_free(cdc_log_stream_t *s)
{
    cdc_kafka_unlink(&s->reader->stopped, s);
    cdc_timer_del(s->reader->loop, &s->retry);

    if (s->topic != NULL) {
        rd_kafka_topic_destroy(s->topic);
    }

    free(s->channel);
    free(s);
}


static cdc_log_stream_t *
cdc_kafka_start(cdc_log_reader_t *r, const char *channel, cdc_pos_t from,
    void *data, char *err)
{
    cdc_log_stream_t  *s;

    for (s = r->streams; s != NULL; s = s->next) {
        if (strcmp(s->channel, channel) == 0) {
            (void) snprintf(err, CDC_REASON_MAX,
                            "kafka: topic %.256s is being read already",
                            channel);
            return NULL;
        }
    }

    s = calloc(1, sizeof(cdc_log_stream_t));
    if (s == NULL) {
        goto nomem;
    }

    s->reader = r;
    s->data = data;
    s->next_offset = (int64_t) from.lo;
    s->channel = strdup(channel);

    if (s->channel == NULL) {
        cdc_kafka_stream_free(s);
        goto nomem;
    }

    s->topic = rd_kafka_topic_new(r->rk, channel, NULL);

    if (s->topic == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "kafka: topic %.256s: %s",
                        channel, rd_kafka_err2str(rd_kafka_last_error()));
        cdc_kafka_stream_free(s);
        return NULL;
    }

    s->next = r->streams;
    r->streams = s;

    s->taken_ms = cdc_now_ms();
    cdc_kafka_keep_start(r, channel);
    cdc_kafka_newest_start(r);

    /* librdkafka says nothing of a topic that is not there: look first */

    if (s->next_offset > 0) {
        cdc_kafka_range_ask(s);

    } else {
        cdc_kafka_turn_ask(s);
    }

    return s;

nomem:

    (void) snprintf(err, CDC_REASON_MAX, "kafka: no memory");
    return NULL;
}


static void
cdc_kafka_stop(cdc_log_stream_t *s)
{
    cdc_log_reader_t  *r;

    r = s->reader;

    if (r->look == s) {
        r->look = s->next;
    }

    cdc_kafka_unlink(&r->streams, s);
    cdc_kafka_turn_leave(s);
    cdc_kafka_allowed(s);                /* nobody would say that it ended */
    cdc_kafka_unconsume(s);

    if (s->asking && s->retry.slot == 0) {
        s->stopped = 1;                  /* freed when the job has ended */
        s->next = r->stopped;
        r->stopped = s;
        return;
    }

    cdc_kafka_stream_free(s);
}


static void *
cdc_kafka_data(cdc_log_stream_t *s)
{
    return s->data;
}


/* ---- reading --- */

/* an error in place of a message: CDC_AGAIN to go on */

int
cdc_kafka_event_error(cdc_log_stream_t *s, const rd_kafka_message_t *rkm)
{
    switch (rkm->err) {

    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        s->end = 1;
        s->newest = 0;
        cdc_kafka_allowed(s);
        return CDC_AGAIN;

    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        cdc_kafka_range_ask(s);
        return CDC_AGAIN;

    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        cdc_kafka_denied(s);             /* librdkafka tries on */
        return CDC_AGAIN;

    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
        s->final = CDC_ERROR;
        (void) snprintf(s->text, sizeof(s->text),
                        "topic \"%.256s\" at offset %" PRId64 ": %.256s",
                        s->channel, s->next_offset,
                        rd_kafka_message_errstr(rkm));
        return CDC_ERROR;

    default:

        if (s->next_offset > 0 && cdc_kafka_unknown(rkm->err)) {
            cdc_kafka_range_ask(s);
            return CDC_AGAIN;
        }

        /* a topic that is not there yet, a leader that moves: librdkafka
         * tries again by itself, and says so each time */

        if (s->last_err != rkm->err) {
            s->last_err = rkm->err;
            cdc_log(CDC_LOG_WARN, 0, "kafka: topic \"%s\" at offset %" PRId64
                    ": %s", s->channel, s->next_offset,
                    rd_kafka_message_errstr(rkm));
        }

        return CDC_AGAIN;
    }
}


/* makes the broker threads look again at queues that were full */

void
cdc_kafka_wake(cdc_log_reader_t *r)
{
    rd_kafka_error_t  *e;

    e = rd_kafka_sasl_set_credentials(r->rk, r->user ? r->user : "",
                                      r->password ? r->password : "");
    if (e != NULL) {
        rd_kafka_error_destroy(e);
    }
}


static void
cdc_kafka_taken(cdc_log_stream_t *s, size_t len)
{
    s->taken += len;
    s->taken_n++;
    cdc_kafka_turn_taken(s, len);

    if (s->taken < CDC_KAFKA_WAKE && s->taken_n < CDC_KAFKA_WAKE_N) {
        return;
    }

    s->taken = 0;
    s->taken_n = 0;

    cdc_kafka_wake(s->reader);
}


/* Milvus 2.6 marks what is in its new format with a header */

static unsigned
cdc_kafka_streaming(const rd_kafka_message_t *rkm)
{
    size_t               len;
    const void          *value;
    rd_kafka_headers_t  *headers;

    return rd_kafka_message_headers(rkm, &headers)
           == RD_KAFKA_RESP_ERR_NO_ERROR
           && rd_kafka_header_get_last(headers, "_v", &value, &len)
              == RD_KAFKA_RESP_ERR_NO_ERROR;
}


/*
 * A message holds the buffer into which librdkafka has decompressed its batch,
 * of twice the size (cdc_kafka_turn_size()).  While memory is tight, as behind
 * a slow target, a copy of what is in it takes half.  A larger one stays: its
 * buffer is from the kernel then, and has the pages that were written.
 */

static int
cdc_kafka_hand_out(rd_kafka_message_t *rkm, cdc_log_msg_t *msg)
{
    cdc_kafka_copy_t  *copy;

    msg->pos.hi = 0;
    msg->streaming = cdc_kafka_streaming(rkm);
    msg->pos.lo = (uint64_t) rkm->offset;
    msg->copied = rkm->len <= CDC_KAFKA_SMALL
                  || (rkm->len <= CDC_KAFKA_COPIED && cdc_memory_is_tight());

    if (!msg->copied) {
        msg->body = cdc_span_n(rkm->payload, rkm->len);
        msg->owner = rkm;
        return CDC_OK;
    }

    copy = malloc(sizeof(cdc_kafka_copy_t) + rkm->len);
    if (copy == NULL) {
        return CDC_ERROR;
    }

    memcpy(copy->body, rkm->payload, rkm->len);
    msg->body = cdc_span_n(copy->body, rkm->len);
    msg->owner = copy;

    rd_kafka_message_destroy(rkm);

    return CDC_OK;
}


static int
cdc_kafka_next(cdc_log_stream_t *s, cdc_log_msg_t *msg, char *err)
{
    int                  rc;
    rd_kafka_message_t  *rkm;

    s->asked_at = cdc_now_ms();

    while (s->final == 0 && !s->asking) {
        if (s->queue == NULL || s->paused) {
            cdc_kafka_turn_ask(s);
            return CDC_AGAIN;
        }

        rkm = rd_kafka_consume_queue(s->queue, 0);

        if (rkm == NULL) {
            cdc_kafka_turn_empty(s);
            return CDC_AGAIN;
        }

        if (rkm->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            (void) cdc_kafka_event_error(s, rkm);
            rd_kafka_message_destroy(rkm);
            continue;
        }

        s->end = 0;
        s->taken_ms = cdc_now_ms();
        s->last_err = RD_KAFKA_RESP_ERR_NO_ERROR;
        cdc_kafka_allowed(s);
        cdc_kafka_ready_taken(s, rkm->len);
        cdc_kafka_taken(s, rkm->len);

        /* behind a position that was past the end; or no message at all */

        if (rkm->offset < s->next_offset || rkm->len == 0) {
            rd_kafka_message_destroy(rkm);
            continue;
        }

        s->next_offset = rkm->offset + 1;

        rc = cdc_kafka_hand_out(rkm, msg);

        if (rc == CDC_OK) {
            return CDC_OK;
        }

        rd_kafka_message_destroy(rkm);
        s->final = CDC_ERROR;
        (void) snprintf(s->text, sizeof(s->text), "kafka: no memory");
    }

    if (s->final == 0) {
        return CDC_AGAIN;
    }

    (void) snprintf(err, CDC_REASON_MAX, "%s", s->text);

    return s->final;
}


static void
cdc_kafka_release(cdc_log_msg_t *msg)
{
    if (msg->owner == NULL) {
        return;
    }

    if (msg->copied) {
        free(msg->owner);

    } else {
        rd_kafka_message_destroy(msg->owner);
    }

    msg->owner = NULL;
}


/* what the last Fetch answer said, no call to the broker */

int
cdc_kafka_end(cdc_log_stream_t *s, cdc_pos_t *pos)
{
    int64_t  lo, hi;

    if (rd_kafka_get_watermark_offsets(s->reader->rk, s->channel, 0, &lo, &hi)
        != RD_KAFKA_RESP_ERR_NO_ERROR || hi < 0)
    {
        return CDC_DECLINED;
    }

    hi = s->newest > hi ? s->newest : hi;

    pos->hi = 0;
    pos->lo = (uint64_t) hi;

    return CDC_OK;
}


int
cdc_kafka_at_end(cdc_log_stream_t *s)
{
    cdc_pos_t  end;

    if (s->newest > s->next_offset) {
        return 0;                        /* more came, and nobody took it */
    }

    return (s->end && !s->full)
           || (cdc_kafka_end(s, &end) == CDC_OK
               && (uint64_t) s->next_offset >= end.lo);
}


static uint64_t
cdc_kafka_next_try(cdc_log_reader_t *r)
{
    return r->probe.slot ? r->probe.when : 0;
}
