/*
 * For how long Kafka keeps what Milvus writes: "retention.ms" of a topic.
 *
 * Asked on the worker, once a stream has been started and each ten minutes
 * after that, of the first topic that is read: Milvus makes them all alike.
 * Who may not describe a topic's configuration gets no answer, and the task
 * shows none.  A limit in bytes is not looked at: it has no time.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_kafka_int.h"


#define CDC_KAFKA_KEEP_MS        600000  /* until it may be another */
#define CDC_KAFKA_KEEP_AGAIN_MS  30000   /* after no answer */


static int64_t
cdc_kafka_keep_of(const rd_kafka_ConfigResource_t *resource)
{
    size_t                          i, n;
    const char                     *value;
    const rd_kafka_ConfigEntry_t  **entries;

    entries = rd_kafka_ConfigResource_configs(resource, &n);

    for (i = 0; i < n; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "retention.ms")
            == 0)
        {
            value = rd_kafka_ConfigEntry_value(entries[i]);
            return value ? strtoll(value, NULL, 10) : -1;
        }
    }

    return -1;
}


/* worker */

static void
cdc_kafka_keep_run(cdc_job_t *job)
{
    size_t                               n;
    char                                 text[256];
    rd_kafka_queue_t                    *queue;
    rd_kafka_event_t                    *event;
    cdc_log_reader_t                    *r;
    rd_kafka_AdminOptions_t             *options;
    rd_kafka_ConfigResource_t           *resource;
    const rd_kafka_ConfigResource_t    **found;
    const rd_kafka_DescribeConfigs_result_t  *result;

    r = job->data;
    r->keep_asked = -1;
    r->keep_failed = 1;

    queue = rd_kafka_queue_new(r->rk);
    resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC,
                                           r->keep_topic);
    options = rd_kafka_AdminOptions_new(r->rk,
                                        RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);

    (void) rd_kafka_AdminOptions_set_request_timeout(options,
                                                     CDC_KAFKA_ASK_MS, text,
                                                     sizeof(text));

    rd_kafka_DescribeConfigs(r->rk, &resource, 1, options, queue);

    event = rd_kafka_queue_poll(queue, CDC_KAFKA_ASK_MS * 2);
    result = event ? rd_kafka_event_DescribeConfigs_result(event) : NULL;

    if (result && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        found = rd_kafka_DescribeConfigs_result_resources(result, &n);

        if (n == 1 && rd_kafka_ConfigResource_error(found[0])
                      == RD_KAFKA_RESP_ERR_NO_ERROR)
        {
            r->keep_asked = cdc_kafka_keep_of(found[0]);
            r->keep_failed = 0;
        }
    }

    if (event) {
        rd_kafka_event_destroy(event);
    }

    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_queue_destroy(queue);
}


static void
cdc_kafka_keep_done(cdc_job_t *job)
{
    cdc_log_reader_t  *r;

    r = job->data;

    if (!r->keep_failed) {
        r->keep = r->keep_asked;
    }

    cdc_timer_add(r->loop, &r->keep_timer, r->keep_failed
                                           ? CDC_KAFKA_KEEP_AGAIN_MS
                                           : CDC_KAFKA_KEEP_MS);
}


static void
cdc_kafka_keep_timer(cdc_timer_t *tm)
{
    cdc_log_reader_t  *r;

    r = tm->data;
    cdc_worker_submit(r->worker, &r->keep_job);
}


void
cdc_kafka_keep_start(cdc_log_reader_t *r, const char *channel)
{
    if (r->keep_topic != NULL) {
        return;
    }

    r->keep_topic = strdup(channel);

    if (r->keep_topic == NULL) {
        return;
    }

    r->keep = -1;
    r->keep_timer.handler = cdc_kafka_keep_timer;
    r->keep_timer.data = r;
    r->keep_job.run = cdc_kafka_keep_run;
    r->keep_job.done = cdc_kafka_keep_done;
    r->keep_job.data = r;

    cdc_timer_add(r->loop, &r->keep_timer, 1);
}


int
cdc_kafka_retention(cdc_log_stream_t *s, uint64_t *ms)
{
    if (s->reader->keep_topic == NULL || s->reader->keep < 0) {
        return CDC_DECLINED;
    }

    *ms = (uint64_t) s->reader->keep;

    return CDC_OK;
}
