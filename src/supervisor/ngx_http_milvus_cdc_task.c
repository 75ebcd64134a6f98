/*
 * Tasks, and the frames between store and replicators.
 *
 * The store is the truth and the supervisor its hands: a task exists here
 * from the first TASK frame to GONE.  Frames of a replicator that the store
 * must not miss (ASK, FAILED) are kept until their answer and sent again to
 * each new store, because a store may be killed with one in its socket.
 *
 * A replicator that has reported FAILED is not started again until the store
 * has sent a newer TASK: Paused with that reason, or Running after a resume.
 */

#include "ngx_http_milvus_cdc_supervisor.h"


static ngx_int_t ngx_http_milvus_cdc_on_task(
    ngx_http_milvus_cdc_supervisor_t *sv, cdc_frame_t *f, u_char *payload);
static void ngx_http_milvus_cdc_on_gone(ngx_http_milvus_cdc_supervisor_t *sv,
    cdc_frame_t *f, u_char *payload);
static void ngx_http_milvus_cdc_on_synced(
    ngx_http_milvus_cdc_supervisor_t *sv);
static void ngx_http_milvus_cdc_on_config(
    ngx_http_milvus_cdc_supervisor_t *sv, cdc_frame_t *f, u_char *payload);
static void ngx_http_milvus_cdc_on_status(
    ngx_http_milvus_cdc_supervisor_t *sv, ngx_http_milvus_cdc_task_t *task,
    cdc_task_status_t *st);
static ngx_int_t ngx_http_milvus_cdc_on_progress(
    ngx_http_milvus_cdc_supervisor_t *sv, ngx_http_milvus_cdc_task_t *task,
    cdc_frame_t *f, u_char *payload);
static void ngx_http_milvus_cdc_on_failed(
    ngx_http_milvus_cdc_supervisor_t *sv, ngx_http_milvus_cdc_task_t *task,
    cdc_frame_t *f, u_char *payload);
static void ngx_http_milvus_cdc_task_apply(ngx_http_milvus_cdc_task_t *task);
static void ngx_http_milvus_cdc_task_end(
    ngx_http_milvus_cdc_supervisor_t *sv, ngx_http_milvus_cdc_task_t *task);
static ngx_http_milvus_cdc_task_t *ngx_http_milvus_cdc_task_find(
    ngx_http_milvus_cdc_supervisor_t *sv, u_char *id);
static void ngx_http_milvus_cdc_task_free(ngx_http_milvus_cdc_task_t *task);


void
ngx_http_milvus_cdc_store_started(ngx_http_milvus_cdc_supervisor_t *sv)
{
    ngx_queue_t                 *q;
    ngx_http_milvus_cdc_task_t  *task;

    ngx_http_milvus_cdc_table_sync_begin(sv->conf->zone,
                                         sv->store.failures != 0);

    for (q = ngx_queue_head(&sv->tasks);
         q != ngx_queue_sentinel(&sv->tasks);
         q = ngx_queue_next(q))
    {
        task = ngx_queue_data(q, ngx_http_milvus_cdc_task_t, queue);
        task->seen = 0;

        if (task->asked) {
            (void) ngx_http_milvus_cdc_frames_send(&sv->store.frames,
                                   CDC_FRAME_ASK, task->ask_id,
                                   task->id.data, task->id.len);
        }

        if (task->failed.data) {
            (void) ngx_http_milvus_cdc_frames_send(&sv->store.frames,
                                   CDC_FRAME_FAILED, 0,
                                   task->failed.data, task->failed.len);
        }
    }
}


ngx_int_t
ngx_http_milvus_cdc_store_frame(ngx_http_milvus_cdc_frames_t *fr,
    cdc_frame_t *f, u_char *payload)
{
    ngx_http_milvus_cdc_supervisor_t  *sv;

    sv = &ngx_http_milvus_cdc_sv;

    switch (f->type) {

    case CDC_FRAME_TASK:
        if (ngx_http_milvus_cdc_on_task(sv, f, payload) != NGX_OK) {
            break;
        }

        return NGX_OK;

    case CDC_FRAME_GONE:
        ngx_http_milvus_cdc_on_gone(sv, f, payload);
        return NGX_OK;

    case CDC_FRAME_SYNCED:
        ngx_http_milvus_cdc_on_synced(sv);
        return NGX_OK;

    case CDC_FRAME_CONFIG:
        ngx_http_milvus_cdc_on_config(sv, f, payload);
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ALERT, sv->log, 0,
                  "milvus_cdc: bad frame of type %ui and %uD bytes from the "
                  "store", (ngx_uint_t) f->type, f->len);

    return NGX_OK;
}


ngx_int_t
ngx_http_milvus_cdc_replicator_frame(ngx_http_milvus_cdc_frames_t *fr,
    cdc_frame_t *f, u_char *payload)
{
    ngx_http_milvus_cdc_task_t        *task;
    ngx_http_milvus_cdc_helper_t      *h;
    ngx_http_milvus_cdc_supervisor_t  *sv;

    h = fr->data;
    task = h->task;
    sv = &ngx_http_milvus_cdc_sv;

    switch (f->type) {

    case CDC_FRAME_ASK:
        task->asked = 1;
        task->ask_id = f->id;

        (void) ngx_http_milvus_cdc_frames_send(&sv->store.frames,
                                               CDC_FRAME_ASK, f->id,
                                               task->id.data, task->id.len);
        return NGX_OK;

    case CDC_FRAME_STATUS:
        if (f->len != sizeof(cdc_task_status_t)) {
            break;
        }

        ngx_http_milvus_cdc_on_status(sv, task,
                                      (cdc_task_status_t *) payload);
        return NGX_OK;

    case CDC_FRAME_PROGRESS:
        if (ngx_http_milvus_cdc_on_progress(sv, task, f, payload) != NGX_OK) {
            break;
        }

        return NGX_OK;

    case CDC_FRAME_EVENT:
        if (f->len != sizeof(cdc_task_event_t)) {
            break;
        }

        ((cdc_task_event_t *) payload)->text[CDC_EVENT_TEXT - 1] = '\0';

        ngx_http_milvus_cdc_table_event(sv->conf->zone, &task->id,
                                        (cdc_task_event_t *) payload);
        return NGX_OK;

    case CDC_FRAME_FAILED:
        ngx_http_milvus_cdc_on_failed(sv, task, f, payload);
        return NGX_OK;
    }

    /* that of an update comes each second, and it is the same each time */

    if (!h->odd) {
        h->odd = 1;
        ngx_log_error(NGX_LOG_ALERT, sv->log, 0,
                      "milvus_cdc: bad frame of type %ui and %uD bytes from "
                      "the replicator of task %V: module and helper are not "
                      "of one build, restart or upgrade nginx",
                      (ngx_uint_t) f->type, f->len, &task->id);
    }

    return NGX_OK;
}


static void
ngx_http_milvus_cdc_on_status(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_task_t *task, cdc_task_status_t *st)
{
    st->degraded[sizeof(st->degraded) - 1] = '\0';
    st->source[sizeof(st->source) - 1] = '\0';
    st->version[sizeof(st->version) - 1] = '\0';
    st->operation[sizeof(st->operation) - 1] = '\0';
    st->object[sizeof(st->object) - 1] = '\0';
    st->error[sizeof(st->error) - 1] = '\0';

    ngx_http_milvus_cdc_table_status(sv->conf->zone, &task->id, st);
}


/* two strings, each with its end, lie there */

static ngx_uint_t
ngx_http_milvus_cdc_names(cdc_task_progress_t *p, uint32_t at)
{
    char  *end, *last;

    last = p->names + p->names_len;

    if (at >= p->names_len) {
        return 0;
    }

    end = memchr(p->names + at, '\0', last - (p->names + at));

    return end && memchr(end + 1, '\0', last - (end + 1)) != NULL;
}


/* readers of the zone trust what is in it */

static ngx_int_t
ngx_http_milvus_cdc_on_progress(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_task_t *task, cdc_frame_t *f, u_char *payload)
{
    ngx_uint_t            i;
    cdc_task_progress_t  *p;

    p = (cdc_task_progress_t *) payload;

    if (f->len != sizeof(cdc_task_progress_t)
        || p->ncolls > CDC_PROGRESS_COLLS
        || p->names_len > CDC_PROGRESS_NAMES
        || p->texts_len == 0 || p->texts_len > CDC_PROGRESS_TEXTS
        || p->texts[p->texts_len - 1] != '\0')
    {
        return NGX_ERROR;
    }

    for (i = 0; i < p->ncolls; i++) {
        if (!ngx_http_milvus_cdc_names(p, p->colls[i].names)
            || !ngx_http_milvus_cdc_names(p, p->colls[i].target)
            || p->colls[i].error >= p->texts_len)
        {
            return NGX_ERROR;
        }

        p->colls[i].operation[CDC_COLL_OPERATION - 1] = '\0';
    }

    ngx_http_milvus_cdc_table_progress(sv->conf->zone, &task->id, p);

    return NGX_OK;
}


void
ngx_http_milvus_cdc_task_started(ngx_http_milvus_cdc_task_t *task)
{
    cdc_task_event_t  ev;

    ev.at_ms = 0;
    ev.kind = task->fault ? CDC_EVENT_RESTARTED : CDC_EVENT_STARTED;

    (void) ngx_snprintf((u_char *) ev.text, CDC_EVENT_TEXT,
                        task->fault ? "the replicator had ended by itself, "
                                      "its follower is process %P%Z"
                                    : "replicator, process %P%Z",
                        task->helper.pid);

    task->fault = 0;

    ngx_http_milvus_cdc_table_event(ngx_http_milvus_cdc_sv.conf->zone,
                                    &task->id, &ev);
}


ngx_int_t
ngx_http_milvus_cdc_task_ended(ngx_http_milvus_cdc_task_t *task,
    ngx_uint_t by_request)
{
    ngx_http_milvus_cdc_supervisor_t  *sv;

    sv = &ngx_http_milvus_cdc_sv;

    task->asked = 0;
    task->restart = 0;

    ngx_http_milvus_cdc_table_down(sv->conf->zone, &task->id);

    if (task->gone || !task->wanted) {
        ngx_http_milvus_cdc_task_end(sv, task);
        return NGX_DONE;
    }

    /* resumed, or changed, while it was draining */

    if (by_request) {
        return NGX_OK;
    }

    if (task->failed.data) {
        return NGX_DECLINED;
    }

    task->fault = 1;
    ngx_http_milvus_cdc_table_restarted(sv->conf->zone, &task->id);

    return NGX_OK;
}


static ngx_int_t
ngx_http_milvus_cdc_on_task(ngx_http_milvus_cdc_supervisor_t *sv,
    cdc_frame_t *f, u_char *payload)
{
    cdc_task_record_t           *rec;
    ngx_http_milvus_cdc_task_t  *task;

    rec = (cdc_task_record_t *) payload;

    if (f->len != sizeof(cdc_task_record_t)
        || rec->list_len > CDC_DOC_MAX || rec->get_len > CDC_DOC_MAX
        || rec->task_id[0] == '\0')
    {
        return NGX_ERROR;
    }

    rec->task_id[CDC_TASK_ID_MAX] = '\0';
    rec->reason[CDC_REASON_MAX - 1] = '\0';

    if (ngx_http_milvus_cdc_table_put(sv->conf->zone, rec) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, sv->log, 0,
                      "milvus_cdc: no room in milvus_cdc_zone for task %s, "
                      "which runs but is not shown: enlarge the zone",
                      rec->task_id);
    }

    (void) ngx_http_milvus_cdc_frames_send(&sv->store.frames, CDC_FRAME_ACK,
                                           f->id, NULL, 0);

    task = ngx_http_milvus_cdc_task_find(sv, (u_char *) rec->task_id);

    if (task == NULL) {
        task = ngx_calloc(sizeof(ngx_http_milvus_cdc_task_t), sv->log);
        if (task == NULL) {
            return NGX_OK;
        }

        ngx_memcpy(task->name, rec->task_id, CDC_TASK_ID_MAX + 1);
        task->id.data = task->name;
        task->id.len = ngx_strlen(task->name);

        ngx_http_milvus_cdc_helper_init(sv, &task->helper, task);
        ngx_queue_insert_tail(&sv->tasks, &task->queue);

    } else if (task->revision != rec->revision || task->gone) {

        /* the same id, made again after GONE, is another task */

        task->restart = task->helper.running && !task->helper.stopping;

        ngx_free(task->failed.data);
        ngx_str_null(&task->failed);
        task->gone = 0;
    }

    task->revision = rec->revision;
    task->wanted = (rec->state == CDC_TASK_RUNNING);
    task->seen = 1;

    ngx_http_milvus_cdc_task_apply(task);

    return NGX_OK;
}


static void
ngx_http_milvus_cdc_task_apply(ngx_http_milvus_cdc_task_t *task)
{
    ngx_http_milvus_cdc_helper_t  *h;

    h = &task->helper;

    /*
     * It has given up: what the store makes of that comes as a revision of
     * its own.  One that failed while it was being paused gets none, and
     * the next store, too, has to hear STOPPED.
     */

    if (task->failed.data && task->wanted) {
        return;
    }

    if (!task->wanted || task->restart) {
        task->restart = 0;
        ngx_http_milvus_cdc_helper_stop(h);

        if (!h->running) {
            ngx_http_milvus_cdc_task_end(&ngx_http_milvus_cdc_sv, task);
        }

        return;
    }

    /* stopping: started again when it has ended; a back-off goes on */

    if (!h->running && !h->timer.timer_set) {
        ngx_http_milvus_cdc_helper_start(h);
    }
}


static void
ngx_http_milvus_cdc_on_gone(ngx_http_milvus_cdc_supervisor_t *sv,
    cdc_frame_t *f, u_char *payload)
{
    ngx_str_t                    id;
    ngx_http_milvus_cdc_task_t  *task;

    id.data = payload;
    id.len = f->len;

    ngx_http_milvus_cdc_table_remove(sv->conf->zone, &id);

    (void) ngx_http_milvus_cdc_frames_send(&sv->store.frames, CDC_FRAME_ACK,
                                           f->id, NULL, 0);

    task = ngx_http_milvus_cdc_task_find(sv, payload);

    if (task == NULL) {
        (void) ngx_http_milvus_cdc_frames_send(&sv->store.frames,
                                               CDC_FRAME_STOPPED, 0,
                                               id.data, id.len);
        return;
    }

    task->gone = 1;
    task->wanted = 0;

    if (task->helper.running) {
        ngx_http_milvus_cdc_helper_stop(&task->helper);
        return;
    }

    ngx_http_milvus_cdc_task_end(sv, task);
}


/* the store has named every task that there is: forget the others */

static void
ngx_http_milvus_cdc_on_synced(ngx_http_milvus_cdc_supervisor_t *sv)
{
    ngx_queue_t                 *q, *next;
    ngx_http_milvus_cdc_task_t  *task;

    ngx_http_milvus_cdc_table_sync_end(sv->conf->zone);
    sv->synced = 1;

    for (q = ngx_queue_head(&sv->tasks);
         q != ngx_queue_sentinel(&sv->tasks);
         q = next)
    {
        next = ngx_queue_next(q);
        task = ngx_queue_data(q, ngx_http_milvus_cdc_task_t, queue);

        if (task->seen) {
            continue;
        }

        task->gone = 1;
        task->wanted = 0;

        if (task->helper.running) {
            ngx_http_milvus_cdc_helper_stop(&task->helper);

        } else {
            ngx_http_milvus_cdc_task_end(sv, task);
        }
    }

    ngx_log_error(NGX_LOG_INFO, sv->log, 0,
                  "milvus_cdc: the task table is in step with the store");
}


/*
 * Task id, zero byte, JSON: the JSON goes on to the replicator.  It has secrets
 * inside, and the frames' owner wipes it.
 */

static void
ngx_http_milvus_cdc_on_config(ngx_http_milvus_cdc_supervisor_t *sv,
    cdc_frame_t *f, u_char *payload)
{
    size_t                       len;
    ngx_http_milvus_cdc_task_t  *task;

    len = ngx_strlen(payload) + 1;

    if (len > f->len) {
        ngx_log_error(NGX_LOG_ALERT, sv->log, 0,
                      "milvus_cdc: bad CONFIG frame from the store");
        return;
    }

    task = ngx_http_milvus_cdc_task_find(sv, payload);

    if (task == NULL || !task->asked || !task->helper.running) {
        return;
    }

    task->asked = 0;

    (void) ngx_http_milvus_cdc_frames_send(&task->helper.frames,
                                           CDC_FRAME_CONFIG, f->id,
                                           payload + len, f->len - len);
}


static void
ngx_http_milvus_cdc_on_failed(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_task_t *task, cdc_frame_t *f, u_char *payload)
{
    size_t  len;

    len = ngx_min(f->len, sizeof(task->name) + CDC_REASON_MAX);

    ngx_free(task->failed.data);

    task->failed.len = len;
    task->failed.data = ngx_alloc(len + 1, sv->log);

    if (task->failed.data) {
        ngx_memcpy(task->failed.data, payload, len);
    }

    (void) ngx_http_milvus_cdc_frames_send(&sv->store.frames,
                                           CDC_FRAME_FAILED, f->id, payload,
                                           len);
}


/* no process is left of a task that is paused, by that revision, or gone */

static void
ngx_http_milvus_cdc_task_end(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_task_t *task)
{
    (void) ngx_http_milvus_cdc_frames_send(&sv->store.frames,
                                           CDC_FRAME_STOPPED, task->revision,
                                           task->id.data, task->id.len);

    if (task->gone) {
        ngx_http_milvus_cdc_task_free(task);
    }
}


static ngx_http_milvus_cdc_task_t *
ngx_http_milvus_cdc_task_find(ngx_http_milvus_cdc_supervisor_t *sv, u_char *id)
{
    ngx_queue_t                 *q;
    ngx_http_milvus_cdc_task_t  *task;

    for (q = ngx_queue_head(&sv->tasks);
         q != ngx_queue_sentinel(&sv->tasks);
         q = ngx_queue_next(q))
    {
        task = ngx_queue_data(q, ngx_http_milvus_cdc_task_t, queue);

        if (ngx_strcmp(task->name, id) == 0) {
            return task;
        }
    }

    return NULL;
}


static void
ngx_http_milvus_cdc_task_free(ngx_http_milvus_cdc_task_t *task)
{
    if (task->helper.timer.timer_set) {
        ngx_del_timer(&task->helper.timer);
    }

    ngx_queue_remove(&task->queue);

    ngx_free(task->failed.data);
    ngx_free(task);
}
