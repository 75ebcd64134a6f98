/*
 * Log reader, Kafka: does the log still hold where a stream begins?
 *
 * Asked before reading begins at any other place than the start, and when the
 * broker refuses the position.  On the reader's worker, because the question
 * blocks; until it is answered next() has nothing.  A topic that is not there,
 * or that our user may not read, is asked for again: both may change.
 *
 * Where many topics begin and end is asked in two questions, not two for each.
 */

#include <inttypes.h>
#include <stdio.h>

#include "cdc_kafka_int.h"


static void cdc_kafka_range_done(cdc_job_t *job);


/* worker */

static void
cdc_kafka_range_run(cdc_job_t *job)
{
    cdc_log_stream_t  *s;

    s = job->data;

    s->range_rc = rd_kafka_query_watermark_offsets(s->reader->rk, s->channel,
                                                   0, &s->lo, &s->hi,
                                                   CDC_KAFKA_ASK_MS);
}


void
cdc_kafka_range_ask(cdc_log_stream_t *s)
{
    s->asking = 1;
    s->job.run = cdc_kafka_range_run;
    s->job.done = cdc_kafka_range_done;
    s->job.data = s;

    cdc_worker_submit(s->reader->worker, &s->job);
}


static void
cdc_kafka_range_timer(cdc_timer_t *tm)
{
    cdc_kafka_range_ask(tm->data);
}


int
cdc_kafka_unknown(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
           || err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
           || err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}


static void
cdc_kafka_complain(const cdc_log_stream_t *s)
{
    char               text[CDC_REASON_MAX];
    cdc_log_reader_t  *r;

    r = s->reader;

    if (s->missing) {
        (void) snprintf(text, sizeof(text), "kafka %.256s: there is no topic "
                        "\"%.256s\" any more, it was read up to offset %"
                        PRId64, r->brokers, s->channel, s->next_offset);

    } else {
        (void) snprintf(text, sizeof(text), "kafka %.256s: topic \"%.256s\" "
                        "at offset %" PRId64 " may not be read: give "
                        "kafka_user the rights to describe and to read it",
                        r->brokers, s->channel, s->next_offset);
    }

    r->handler.degraded(r->handler.arg, text);
}


/* it is over for one stream, and said so when it is for all of them */

void
cdc_kafka_well(cdc_log_reader_t *r)
{
    cdc_log_stream_t  *s;

    if (r->down || r->handler.degraded == NULL) {
        return;
    }

    for (s = r->streams; s != NULL; s = s->next) {
        if (s->missing || s->denied) {
            cdc_kafka_complain(s);
            return;
        }
    }

    r->handler.degraded(r->handler.arg, NULL);
}


/* a topic that has been read is not there any more */

static void
cdc_kafka_missing(cdc_log_stream_t *s)
{
    cdc_log_reader_t  *r;

    r = s->reader;

    if (s->missing || r->down || r->handler.degraded == NULL) {
        return;
    }

    s->missing = 1;
    cdc_kafka_complain(s);
}


/* the rights of our user may be given back at any time */

void
cdc_kafka_denied(cdc_log_stream_t *s)
{
    if (s->denied || s->reader->handler.degraded == NULL) {
        return;
    }

    s->denied = 1;
    cdc_kafka_complain(s);
}


void
cdc_kafka_allowed(cdc_log_stream_t *s)
{
    if (s->denied || s->missing) {
        s->denied = 0;
        s->missing = 0;
        cdc_kafka_well(s->reader);
    }
}


static void
cdc_kafka_range_done(cdc_job_t *job)
{
    cdc_log_stream_t  *s;
    cdc_log_reader_t  *r;

    s = job->data;
    r = s->reader;

    if (s->stopped) {
        cdc_kafka_stream_free(s);
        return;
    }

    if (s->range_rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (cdc_kafka_unknown(s->range_rc)) {
            cdc_kafka_missing(s);

        } else if (s->range_rc
                   == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        {
            cdc_kafka_denied(s);
        }

        s->retry.handler = cdc_kafka_range_timer;
        s->retry.data = s;
        cdc_timer_add(r->loop, &s->retry, CDC_KAFKA_PROBE_MS);
        return;
    }

    s->asking = 0;
    cdc_kafka_allowed(s);

    if (s->next_offset < s->lo) {
        s->final = CDC_DECLINED;
        (void) snprintf(s->text, sizeof(s->text),
                        "topic \"%.256s\" no longer holds offset %" PRId64
                        ": its first is %" PRId64 " (Kafka's retention has "
                        "removed what lies between)",
                        s->channel, s->next_offset, s->lo);
        r->handler.readable(r->handler.arg, s);
        return;
    }

    if (s->next_offset > s->hi) {
        s->final = CDC_DECLINED;
        (void) snprintf(s->text, sizeof(s->text),
                        "topic \"%.256s\" ends at offset %" PRId64 ", before "
                        "offset %" PRId64 " where the task stands (it was "
                        "deleted and made anew, or Kafka has lost its end: "
                        "what it holds from offset %" PRId64 " on has not "
                        "been read)",
                        s->channel, s->hi, s->next_offset, s->lo);
        r->handler.readable(r->handler.arg, s);
        return;
    }

    cdc_kafka_unconsume(s);

    if (s->next_offset < s->hi) {
        cdc_kafka_turn_ask(s);
        return;
    }

    /* at the end nothing is held: there is room for any number of them */

    cdc_kafka_turn_leave(s);

    if (cdc_kafka_consume(s, s->next_offset, s->text) != CDC_OK) {
        s->final = CDC_ERROR;
        r->handler.readable(r->handler.arg, s);
    }
}


/* ---- of many topics --- */

/* RD_KAFKA_OFFSET_BEGINNING or _END of each: such a time is a place, in the
 * protocol as well */

static rd_kafka_topic_partition_list_t *
cdc_kafka_all_of(cdc_log_reader_t *r, const cdc_log_ends_t *all, size_t n,
    int64_t which, unsigned ms)
{
    size_t                            i;
    rd_kafka_topic_partition_list_t  *list;

    list = rd_kafka_topic_partition_list_new((int) n);

    for (i = 0; i < n; i++) {
        rd_kafka_topic_partition_list_add(list, all[i].channel, 0)->offset
            = which;
    }

    if (rd_kafka_offsets_for_times(r->rk, list, (int) ms)
        != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        rd_kafka_topic_partition_list_destroy(list);
        return NULL;
    }

    return list;
}


static int
cdc_kafka_all_one(const rd_kafka_topic_partition_list_t *list, size_t i,
    cdc_pos_t *pos)
{
    const rd_kafka_topic_partition_t  *tp;

    tp = &list->elems[i];
    pos->hi = 0;
    pos->lo = 0;

    if (cdc_kafka_unknown(tp->err)) {
        return 1;
    }

    if (tp->err != RD_KAFKA_RESP_ERR_NO_ERROR || tp->offset < 0) {
        return 0;
    }

    pos->lo = (uint64_t) tp->offset;

    return 1;
}


void
cdc_kafka_all_ends(cdc_log_reader_t *r, cdc_log_ends_t *all, size_t n,
    unsigned ms)
{
    size_t                            i;
    uint64_t                          now, until;
    rd_kafka_topic_partition_list_t  *first, *end;

    now = cdc_now_ms();
    until = now + ms;
    first = cdc_kafka_all_of(r, all, n, RD_KAFKA_OFFSET_BEGINNING, ms);
    now = cdc_now_ms();
    end = first != NULL && now < until
          ? cdc_kafka_all_of(r, all, n, RD_KAFKA_OFFSET_END,
                             (unsigned) (until - now))
          : NULL;

    for (i = 0; end != NULL && i < n; i++) {
        all[i].known = cdc_kafka_all_one(first, i, &all[i].first)
                       && cdc_kafka_all_one(end, i, &all[i].end);
    }

    if (first != NULL) {
        rd_kafka_topic_partition_list_destroy(first);
    }

    if (end != NULL) {
        rd_kafka_topic_partition_list_destroy(end);
    }
}
