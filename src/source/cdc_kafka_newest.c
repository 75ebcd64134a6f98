/*
 * Where topics end that nobody takes messages from, to be shown as a backlog.
 *
 * librdkafka learns of a topic's end as it fetches, and it fetches nothing
 * while what it has is not taken: a task that waits for its target would show
 * the backlog of when it began to wait.  So the broker is asked then, on the
 * worker, one topic after the other.  Of a topic that is fetched each answer
 * says so, also where nothing is written: the replicate channel has no ticks.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_kafka_int.h"


#define CDC_KAFKA_NEWEST_MS  1500        /* ticks come each 200 ms */


/* worker */

static void
cdc_kafka_newest_run(cdc_job_t *job)
{
    int64_t            lo;
    cdc_log_reader_t  *r;

    r = job->data;

    if (rd_kafka_query_watermark_offsets(r->rk, r->newest_topic, 0, &lo,
                                         &r->newest, CDC_KAFKA_ASK_MS)
        != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        r->newest = -1;
    }
}


/* one whose queue was seen empty is being fetched */

static int
cdc_kafka_newest_stale(const cdc_log_stream_t *s)
{
    return s->queue == NULL || s->paused || s->full;
}


/* the next topic that is due; NULL: none is */

static cdc_log_stream_t *
cdc_kafka_newest_due(cdc_log_reader_t *r, uint64_t now)
{
    cdc_log_stream_t  *s, *due;

    due = NULL;

    for (s = r->streams; s != NULL && !r->down; s = s->next) {
        if (s->final == 0 && !s->asking && cdc_kafka_newest_stale(s)
            && now - s->taken_ms >= CDC_KAFKA_NEWEST_MS
            && now - s->newest_ms >= CDC_KAFKA_NEWEST_MS
            && (due == NULL || s->newest_ms < due->newest_ms))
        {
            due = s;
        }
    }

    return due;
}


static void
cdc_kafka_newest_next(cdc_log_reader_t *r)
{
    uint64_t           now;
    cdc_log_stream_t  *s;

    now = cdc_now_ms();
    s = cdc_kafka_newest_due(r, now);

    if (s == NULL || (r->newest_topic = strdup(s->channel)) == NULL) {
        cdc_timer_add(r->loop, &r->newest_timer, CDC_KAFKA_NEWEST_MS / 2);
        return;
    }

    s->newest_ms = now;
    cdc_worker_submit(r->worker, &r->newest_job);
}


static void
cdc_kafka_newest_done(cdc_job_t *job)
{
    cdc_log_reader_t  *r;
    cdc_log_stream_t  *s;

    r = job->data;

    for (s = r->streams; s != NULL; s = s->next) {
        if (r->newest >= 0 && strcmp(s->channel, r->newest_topic) == 0
            && s->taken_ms < s->newest_ms)
        {
            s->newest = r->newest;
        }
    }

    free(r->newest_topic);
    r->newest_topic = NULL;

    cdc_kafka_newest_next(r);
}


static void
cdc_kafka_newest_timer(cdc_timer_t *tm)
{
    cdc_kafka_newest_next(tm->data);
}


void
cdc_kafka_newest_start(cdc_log_reader_t *r)
{
    if (r->newest_job.run != NULL) {
        return;
    }

    r->newest_timer.handler = cdc_kafka_newest_timer;
    r->newest_timer.data = r;
    r->newest_job.run = cdc_kafka_newest_run;
    r->newest_job.done = cdc_kafka_newest_done;
    r->newest_job.data = r;

    cdc_timer_add(r->loop, &r->newest_timer, CDC_KAFKA_NEWEST_MS);
}
