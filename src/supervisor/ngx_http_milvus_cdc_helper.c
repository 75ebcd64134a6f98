/*
 * The life of one helper process.
 *
 *   idle -> running              start(), or the back-off timer
 *   running -> stopping          stop(): TERM, and KILL by the timer
 *   running -> idle              end of file: a fault
 *   stopping -> idle             end of file: by request
 *
 * After a fault the first restart is immediate; the next ones wait 1 s, 2 s
 * and so on up to 60 s, until the helper has lived for a minute.
 */

#include "ngx_http_milvus_cdc_supervisor.h"


#define NGX_HTTP_MILVUS_CDC_BACKOFF_MAX  60000      /* ms */

/* a test that kills helpers by the hundred would wait most of its time */

#ifdef CDC_FAULTS
#define NGX_HTTP_MILVUS_CDC_HEALTHY      10         /* ms */
#else
#define NGX_HTTP_MILVUS_CDC_HEALTHY      60000      /* ms */
#endif


static void ngx_http_milvus_cdc_helper_closed(
    ngx_http_milvus_cdc_frames_t *fr);
static void ngx_http_milvus_cdc_helper_timer(ngx_event_t *ev);
static void ngx_http_milvus_cdc_helper_later(ngx_http_milvus_cdc_helper_t *h);


void
ngx_http_milvus_cdc_helper_init(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_helper_t *h, ngx_http_milvus_cdc_task_t *task)
{
    h->task = task;
    h->pid = NGX_INVALID_PID;
    h->pidfd = -1;

    h->frames.data = h;
    h->frames.closed = ngx_http_milvus_cdc_helper_closed;
    h->frames.handler = task ? ngx_http_milvus_cdc_replicator_frame
                             : ngx_http_milvus_cdc_store_frame;

    h->timer.handler = ngx_http_milvus_cdc_helper_timer;
    h->timer.data = h;
    h->timer.log = sv->log;
    h->timer.cancelable = 1;
}


void
ngx_http_milvus_cdc_helper_start(ngx_http_milvus_cdc_helper_t *h)
{
    ngx_http_milvus_cdc_supervisor_t  *sv;

    sv = &ngx_http_milvus_cdc_sv;

    if (h->running || sv->stopping) {
        return;
    }

    if (h->timer.timer_set) {
        ngx_del_timer(&h->timer);
    }

    h->started = ngx_current_msec;

    if (ngx_http_milvus_cdc_helper_spawn(sv, h) != NGX_OK) {
        ngx_http_milvus_cdc_helper_later(h);
        return;
    }

    h->running = 1;
    h->stopping = 0;
    h->odd = 0;

    if (h->task == NULL) {
        ngx_http_milvus_cdc_store_started(sv);

    } else {
        ngx_http_milvus_cdc_task_started(h->task);
    }
}


void
ngx_http_milvus_cdc_helper_stop(ngx_http_milvus_cdc_helper_t *h)
{
    if (h->stopping) {
        return;
    }

    if (h->timer.timer_set) {
        ngx_del_timer(&h->timer);
    }

    h->failures = 0;

    if (!h->running) {
        return;
    }

    h->stopping = 1;

    ngx_http_milvus_cdc_helper_signal(h, SIGTERM);
    ngx_add_timer(&h->timer, ngx_http_milvus_cdc_sv.conf->drain_timeout);
}


static void
ngx_http_milvus_cdc_helper_closed(ngx_http_milvus_cdc_frames_t *fr)
{
    ngx_int_t                          rc;
    ngx_uint_t                         by_request, level;
    ngx_http_milvus_cdc_helper_t      *h;
    ngx_http_milvus_cdc_supervisor_t  *sv;

    h = fr->data;
    sv = &ngx_http_milvus_cdc_sv;

    by_request = h->stopping;
    level = by_request ? NGX_LOG_INFO : NGX_LOG_ERR;

    if (h->task) {
        ngx_log_error(level, sv->log, 0,
                      "milvus_cdc: replicator %P of task %V has ended%s",
                      h->pid, &h->task->id, by_request ? "" : " by itself");

    } else {
        ngx_log_error(level, sv->log, 0,
                      "milvus_cdc: store %P has ended%s",
                      h->pid, by_request ? "" : " by itself");
    }

    ngx_http_milvus_cdc_helper_reap(h, sv->log);

    if (h->timer.timer_set) {
        ngx_del_timer(&h->timer);
    }

    h->running = 0;
    h->stopping = 0;

    if (h->task) {
        rc = ngx_http_milvus_cdc_task_ended(h->task, by_request);

        if (rc != NGX_OK) {
            return;
        }

    } else {
        sv->synced = 0;
    }

    if (sv->stopping) {
        return;
    }

    if (by_request) {
        ngx_http_milvus_cdc_helper_start(h);
        return;
    }

    if (ngx_current_msec - h->started >= NGX_HTTP_MILVUS_CDC_HEALTHY) {
        h->failures = 0;
    }

    if (h->failures == 0) {
        h->failures = 1;
        ngx_http_milvus_cdc_helper_start(h);
        return;
    }

    ngx_http_milvus_cdc_helper_later(h);
}


static void
ngx_http_milvus_cdc_helper_later(ngx_http_milvus_cdc_helper_t *h)
{
    ngx_msec_t  delay;

    delay = NGX_HTTP_MILVUS_CDC_BACKOFF_MAX;

    if (h->failures < 7) {
        delay = ngx_min(delay, (ngx_msec_t) 1000
                               << (h->failures ? h->failures - 1 : 0));
    }

    h->failures++;

    ngx_log_error(NGX_LOG_WARN, ngx_http_milvus_cdc_sv.log, 0,
                  "milvus_cdc: %s%s is started again in %M ms",
                  h->task ? "replicator of task " : "store",
                  h->task ? h->task->name : (u_char *) "", delay);

    ngx_add_timer(&h->timer, delay);
}


static void
ngx_http_milvus_cdc_helper_timer(ngx_event_t *ev)
{
    ngx_http_milvus_cdc_helper_t *h = ev->data;

    if (h->stopping) {
        ngx_log_error(NGX_LOG_WARN, ngx_http_milvus_cdc_sv.log, 0,
                      "milvus_cdc: process %P did not stop in time, killing "
                      "it", h->pid);

        ngx_http_milvus_cdc_helper_signal(h, SIGKILL);
        return;
    }

    ngx_http_milvus_cdc_helper_start(h);
}
