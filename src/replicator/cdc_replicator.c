/*
 * The replicator: one process for one running task.
 *
 * Life.  INIT has come; ASK the store, by way of the supervisor, for the
 * task; open LevelDB; greet the target until it answers; (new task: note the
 * end of the replicate channel); list the source's metadata and follow them;
 * (new task: survey); go.  From then on everything is driven by events: log
 * messages, acknowledgements, metadata, timers of retries.
 *
 * Threads: this one; "ops" for calls to the target that wait; "disk" for
 * LevelDB; those of gRPC, librdkafka and the etcd follower, which only post.
 *
 * A request in doubt (connection broken) takes the road of a crash without
 * dying: lanes and channels go back to the track (cdc_repl_reset), the
 * target is greeted until it answers, and what was in doubt is settled.
 *
 * Stop: nothing new is sent, what is in flight may still be acknowledged
 * until shortly before the supervisor would kill, and an operation that is
 * running may for a moment come to its end; then the last checkpoint.
 * A kill at any line leaves the former checkpoint and its reserves.
 *
 * Failure: FAILED to the store, which pauses the task durably; the
 * supervisor then ends this process.  That is for what only a person can put
 * right.  What may come back is tried again for ever, with the task degraded;
 * what this process lacks (memory, a thread) ends it, and the next one may
 * have it.
 */

#include "cdc_replicator.h"
#include "cdc_grpc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>


#define CDC_ENDS_MS         5000         /* to ask where a channel ends */
#define CDC_STOP_MARGIN_MS  500          /* of the drain time: a last batch */
#define CDC_OPEN_RETRY_MS   1000         /* a full disk, say */
#define CDC_STOP_OPS_MS     500          /* for the call of the ops thread */


static void cdc_repl_hello_timer(cdc_timer_t *tm);
static void cdc_repl_begin(cdc_repl_t *r);


void
cdc_repl_fail(cdc_repl_t *r, const char *fmt, ...)
{
    char     frame[CDC_TASK_ID_MAX + 1 + CDC_REASON_MAX];
    size_t   n;
    va_list  args;

    if (r->failed) {
        return;
    }

    r->failed = 1;

    n = strlen(r->task_id) + 1;
    memcpy(frame, r->task_id, n);

    va_start(args, fmt);
    vsnprintf(frame + n, CDC_REASON_MAX, fmt, args);
    va_end(args);

    cdc_log(CDC_LOG_ERR, 0, "the task pauses: %s", frame + n);

    r->status.error_ms = cdc_wall_ms();
    r->status.errors++;
    memcpy(r->status.error, frame + n, strlen(frame + n) + 1);
    cdc_repl_status(r);

    (void) cdc_conn_send(r->role->control, CDC_FRAME_FAILED, 0, 0, frame,
                         n + strlen(frame + n));
}


/*
 * What this process lacks, the one after it may have: it is started again, at
 * its checkpoint and with a back-off, and the task does not pause.
 */

void
cdc_repl_no_memory(void)
{
    cdc_log(CDC_LOG_CRIT, 0, "no memory: the replicator ends and is started "
            "again");

    _exit(EXIT_FAILURE);
}


void
cdc_repl_streaming(cdc_repl_t *r, const char *topic)
{
    cdc_repl_fail(r, "the source is Milvus 2.6 or later (topic \"%s\"): this "
                  "version follows 2.3 to 2.5; use the replication that is "
                  "built into Milvus 2.6, or keep the source at 2.5", topic);
}


static unsigned
cdc_repl_version(const char *v)
{
    unsigned  major, minor;

    if (sscanf(*v == 'v' ? v + 1 : v, "%u.%u", &major, &minor) != 2) {
        return 0;
    }

    return major * 100 + minor;
}


static void
cdc_repl_pump_all(cdc_post_t *post)
{
    cdc_repl_t     *r = post->data;
    cdc_channel_t  *ch;

    r->pump_posted = 0;

    for (ch = r->channels; ch && r->running && !r->failed; ch = ch->next) {
        if (ch->more) {
            cdc_channel_read(ch);

        } else {
            cdc_channel_pump(ch);
        }
    }
}


void
cdc_repl_pump(cdc_repl_t *r)
{
    if (r->pump_posted) {
        return;
    }

    r->pump_posted = 1;
    r->pump_post.handler = cdc_repl_pump_all;
    r->pump_post.data = r;

    cdc_loop_defer(r->loop, &r->pump_post);
}


/* ---- a broken connection ---- */

static void
cdc_repl_reset_step(cdc_post_t *post)
{
    cdc_lane_t     *lane;
    cdc_repl_t     *r = post->data;
    cdc_channel_t  *ch;

    r->reset_posted = 0;
    cdc_equal_forget(r);

    for (lane = r->lanes; lane; lane = lane->next) {
        cdc_lane_reset(lane);
    }

    if (cdc_op_busy_data(r) || r->failed || r->stopping) {
        return;                          /* its end calls again */
    }

    cdc_op_forget_data(r);

    for (ch = r->channels; ch; ch = ch->next) {
        cdc_channel_reset(ch);
    }

    r->reset_stepped = 1;

    /*
     * At once when the target has answered.  A connection that broke may have
     * left a request behind in a target that lives: it gets a second to end,
     * so that what settles it comes after it.  More when it happens again.
     */

    r->reset_at = cdc_now_ms();

    if (r->reset_backoff == 0) {
        r->reset_backoff = r->reset_wait ? CDC_RESET_WAIT_MS : CDC_BACKOFF_MIN;

        if (!r->reset_wait) {
            cdc_repl_hello(r);
            return;
        }
    }

    r->retry_timer.handler = cdc_repl_hello_timer;
    r->retry_timer.data = r;
    cdc_timer_add(r->loop, &r->retry_timer, r->reset_backoff);

    r->reset_backoff *= 2;
    if (r->reset_backoff > CDC_BACKOFF_MAX) {
        r->reset_backoff = CDC_BACKOFF_MAX;
    }
}


void
cdc_repl_reset(cdc_repl_t *r, const char *why)
{
    if (!r->resetting) {
        r->resetting = 1;
        r->reset_stepped = 0;
        r->status.retries++;
        cdc_repl_degraded(r, CDC_CAUSE_TARGET, why ? why : "reset");
    }

    if (r->reset_posted || r->reset_stepped) {
        return;
    }

    r->reset_posted = 1;
    r->reset_post.handler = cdc_repl_reset_step;
    r->reset_post.data = r;

    cdc_loop_defer(r->loop, &r->reset_post);
}


static void
cdc_repl_reset_end(cdc_repl_t *r)
{
    cdc_channel_t  *ch;

    r->resetting = 0;

    cdc_log(CDC_LOG_NOTICE, 0, "the target answers again: going on from the "
            "checkpoint");

    for (ch = r->channels; ch; ch = ch->next) {
        cdc_channel_open(ch);
    }

    cdc_parked_reset(r);
    cdc_parked_again(r);

    cdc_op_kick(r);
    cdc_repl_pump(r);
}


/* ---- start ---- */

/* a channel that no collection of the checkpoint needs: what lies between its
 * track and the next collection is nobody's, and may be gone */

void
cdc_repl_unneeded(cdc_repl_t *r)
{
    unsigned        i, needed;
    cdc_coll_t     *c;
    cdc_channel_t  *ch;

    for (ch = r->channels; ch; ch = ch->next) {
        needed = 0;

        for (c = r->colls; c && !needed; c = c->next) {
            for (i = 0; i < c->nshards; i++) {
                needed |= c->shards[i].ch == ch
                          && (c->state != CDC_COLL_GONE
                              || c->shards[i].owed);
            }
        }

        if (ch->loaded && !needed) {
            ch->loaded = 0;
            ch->placed = 0;
        }
    }
}


void
cdc_repl_go(cdc_repl_t *r)
{
    cdc_coll_t     *c;
    cdc_channel_t  *ch;

    if (r->running || r->failed || r->stopping) {
        return;
    }

    r->running = 1;

    cdc_repl_unneeded(r);

    if (cdc_database_start(r) != CDC_OK
        || cdc_meta_each_collection(r->meta, cdc_catalogue_each, r) != CDC_OK
        || cdc_alias_start(r) != CDC_OK || cdc_rbac_start(r) != CDC_OK)
    {
        cdc_repl_fail(r, "the source's metadata cannot be used");
        return;
    }

    cdc_catalogue_queue(r);

    for (c = r->colls; c; c = c->next) {
        (void) cdc_coll_start(c);

        if (c->state == CDC_COLL_LIVE) {
            cdc_coll_live(c);
        }
    }

    for (ch = r->channels; ch; ch = ch->next) {
        cdc_channel_open(ch);
    }

    cdc_coll_last_ticks(r);
    r->went = 1;
    cdc_forget_start(r);
    CDC_FAULT("go");

    cdc_log(CDC_LOG_NOTICE, 0, "replicating to %s", r->target_conf.identity);

    if (cdc_rchannel_start(r) == CDC_OK) {
        cdc_parked_again(r);
    }

    cdc_drift_start(r);
}


/* [ops thread] */

static void
cdc_repl_hello_run(cdc_job_t *job)
{
    cdc_pos_t    first;
    cdc_span_t   id;
    cdc_repl_t  *r = job->data;

    memset(&r->hello, 0, sizeof(cdc_target_info_t));
    memset(&r->hello_error, 0, sizeof(cdc_target_error_t));

    r->hello_cause = CDC_CAUSE_TARGET;
    r->hello_rc = r->target_ops->hello(r->target, &r->hello,
                                       &r->hello_error);
    r->hello_at = cdc_now_ms();

    if (r->hello_rc == CDC_OK && !r->hello.replicate) {
        snprintf(r->hello_error.text, CDC_REASON_MAX, "the target does not "
                 "take replicated messages: %.512s; set common.ttMsgEnabled: "
                 "false on the target and restart it", r->hello.why_not);
        r->hello_rc = CDC_ERROR;
    }

    if (r->hello_rc != CDC_OK || r->started || r->meta) {
        return;
    }

    /* before the metadata are listed: see cdc_survey.c */

    r->hello_cause = CDC_CAUSE_LOG;

    if (cdc_selection_rpc_position(r->selection, &id) == CDC_OK) {
        if (r->reader_ops->parse_id(id, &r->rtrack.next) != CDC_OK) {
            r->hello_rc = CDC_ERROR;
            snprintf(r->hello_error.text, CDC_REASON_MAX, "rpc_channel_info."
                     "position is not one of this source's log (%s)",
                     r->reader_ops->name);
        }

        return;
    }

    r->hello_rc = r->reader_ops->ends(r->reader, r->rchannel, CDC_ENDS_MS,
                                      &first, &r->rtrack.next,
                                      r->hello_error.text);
}


static void
cdc_repl_hello_timer(cdc_timer_t *tm)
{
    cdc_repl_hello(tm->data);
}


static void
cdc_repl_hello_done(cdc_job_t *job)
{
    char                 err[CDC_REASON_MAX];
    cdc_repl_t          *r = job->data;
    cdc_meta_handler_t   handler;

    r->hello_busy = 0;

    if (r->stopping || r->failed) {
        return;
    }

    /* asked before a reset that waits: what may be under way in the target is
     * to end first, and it is asked again then */

    if (r->resetting && r->retry_timer.slot != 0) {
        return;
    }

    if (r->hello_rc != CDC_OK && r->meta && !r->resetting) {
        r->hello_again = 1;              /* the lane tries on meanwhile */
        return;
    }

    if (r->hello_cause == CDC_CAUSE_LOG) {
        cdc_repl_degraded(r, CDC_CAUSE_TARGET, NULL);
    }

    if (r->hello_rc != CDC_OK) {
        cdc_repl_degraded(r, r->hello_cause, r->hello_error.text);

        r->retry_backoff = r->retry_backoff ? r->retry_backoff * 2
                                            : CDC_BACKOFF_MIN;
        if (r->retry_backoff > CDC_BACKOFF_MAX) {
            r->retry_backoff = CDC_BACKOFF_MAX;
        }

        r->retry_timer.handler = cdc_repl_hello_timer;
        r->retry_timer.data = r;
        cdc_timer_add(r->loop, &r->retry_timer, r->retry_backoff);
        return;
    }

    r->retry_backoff = 0;
    r->target_version = cdc_repl_version(r->hello.version);
    snprintf(r->status.version, sizeof(r->status.version), "%s",
             r->hello.version);
    r->clock_offset = (int64_t) cdc_tso_ms(r->hello.now)
                      - (int64_t) r->hello.now_at;
    r->distributed = r->hello.distributed && !r->hello_again;

    if (r->meta && !r->resetting) {
        return;                          /* it was about the clock */
    }

    cdc_repl_degraded(r, r->hello_cause, NULL);

    if (r->resetting) {
        if (r->reset_stepped) {
            cdc_repl_reset_end(r);
        }

        return;                          /* else it was sent before that */
    }

    r->rdirty = 1;
    handler = cdc_catalogue_handler;
    handler.arg = r;

    r->meta = cdc_meta_open(r->loop, r->source, &handler, err);
    if (r->meta == NULL) {
        cdc_repl_fail(r, "the source's metadata cannot be followed: %s", err);
    }
}


void
cdc_repl_hello(cdc_repl_t *r)
{
    if (r->hello_busy || r->stopping || r->failed) {
        return;
    }

    r->hello_busy = 1;
    r->hello_again = 0;
    r->hello_job.run = cdc_repl_hello_run;
    r->hello_job.done = cdc_repl_hello_done;
    r->hello_job.data = r;

    cdc_worker_submit(r->ops_worker, &r->hello_job);
}


/* now and then: a lane's connection broke, and the target is there again */

void
cdc_repl_hello_due(cdc_repl_t *r)
{
    if (r->hello_again && r->running && !r->resetting
        && r->cause[CDC_CAUSE_TARGET][0] == '\0')
    {
        cdc_repl_hello(r);
    }
}


static void
cdc_repl_log_degraded(void *arg, const char *text)
{
    cdc_repl_degraded(arg, CDC_CAUSE_LOG, text);
}


/* which reader, and where it may keep files: with all else of this task */

static int
cdc_repl_reader(cdc_repl_t *r, char *err)
{
    char  path[4096];

    r->reader_ops = cdc_log_reader_of(r->source);

    if (r->reader_ops == NULL) {
        snprintf(err, CDC_REASON_MAX, "the source's log is one that this "
                 "version cannot read");
        return CDC_ERROR;
    }

    snprintf(path, sizeof(path), "%s/%s", r->dir, r->reader_ops->name);

    if (json_object_set_new(r->source, "secondary_dir", json_string(path))
        != 0)
    {
        snprintf(err, CDC_REASON_MAX, "out of memory");
        return CDC_ERROR;
    }

    return CDC_OK;
}


/* again, too, after a failure: what is open stays so */

static int
cdc_repl_open(cdc_repl_t *r, unsigned *cause, char *err)
{
    cdc_log_handler_t  handler;

    *cause = CDC_CAUSE_DISK;

    if (r->db == NULL) {
        if (cdc_checkpoint_open(r, err) != CDC_OK) {
            return CDC_ERROR;
        }

        if (!r->copied) {
            cdc_checkpoint_life(r);
        }
    }

    *cause = CDC_CAUSE_TARGET;

    if (r->target == NULL) {
        r->target_ops = &cdc_milvus_target;
        r->target = r->target_ops->open(&r->target_conf, err);
        if (r->target == NULL) {
            return CDC_ERROR;
        }
    }

    *cause = CDC_CAUSE_LOG;

    if (r->reader == NULL) {
        handler.readable = cdc_channel_readable;
        handler.degraded = cdc_repl_log_degraded;
        handler.arg = r;

        r->reader = r->reader_ops->open(r->loop, r->source, &handler, err);
        if (r->reader == NULL) {
            return CDC_ERROR;
        }
    }

    r->ops_worker = cdc_worker_create(r->loop, "ops");
    r->disk_worker = cdc_worker_create(r->loop, "disk");

    if (r->ops_worker == NULL || r->disk_worker == NULL) {
        cdc_repl_no_memory();
    }

    return CDC_OK;
}


static int
cdc_repl_configure(cdc_repl_t *r, char *err)
{
    int          rc;
    char        *text;
    json_t      *request, *param;
    const char  *name;

    name = json_string_value(json_object_get(r->config, "source"));
    r->source = json_object_get(json_object_get(r->init, "sources"),
                                name ? name : "");
    request = json_object_get(r->config, "request_data");
    param = json_object_get(request, "milvus_connect_param");

    if (r->source == NULL) {
        snprintf(err, CDC_REASON_MAX, "the source \"%.200s\" is not declared "
                 "in nginx's configuration: add its milvus_cdc_source block, "
                 "reload, then resume the task", name ? name : "");
        return CDC_ERROR;
    }

    r->rchannel = json_string_value(json_object_get(r->source,
                                                    "replicate_channel"));

    if (param == NULL || r->rchannel == NULL) {
        snprintf(err, CDC_REASON_MAX, "the task's record is incomplete: "
                 "delete the task and create it again");
        return CDC_ERROR;
    }

    r->selection = cdc_selection_create(request, err);
    if (r->selection == NULL) {
        return CDC_ERROR;
    }

    text = json_dumps(param, JSON_COMPACT);
    if (text == NULL) {
        snprintf(err, CDC_REASON_MAX, "out of memory");
        return CDC_ERROR;
    }

    rc = cdc_target_conf_parse(&r->target_conf, text, strlen(text), err);

    explicit_bzero(text, strlen(text));
    free(text);

    return rc;
}


static void
cdc_repl_begin_timer(cdc_timer_t *tm)
{
    cdc_repl_begin(tm->data);
}


/* a full disk ends some day, and a certificate that is being replaced is there
 * again; damage stays */

static void
cdc_repl_begin(cdc_repl_t *r)
{
    char      err[CDC_REASON_MAX];
    unsigned  cause;

    if (r->stopping || r->failed) {
        return;
    }

    if (cdc_repl_open(r, &cause, err) == CDC_OK) {
        cdc_repl_degraded(r, CDC_CAUSE_DISK, NULL);
        cdc_repl_degraded(r, CDC_CAUSE_TARGET, NULL);
        cdc_repl_degraded(r, CDC_CAUSE_LOG, NULL);
        cdc_parked_start(r);
        cdc_repl_hello(r);
        return;
    }

    if (cause == CDC_CAUSE_DISK) {
        if (r->db != NULL || !cdc_db_passing(err)) {
            cdc_repl_fail(r, "%s", err);
            return;
        }

        cdc_checkpoint_close(r);
    }

    cdc_repl_degraded(r, cause, err);

    r->retry_timer.handler = cdc_repl_begin_timer;
    r->retry_timer.data = r;
    cdc_timer_add(r->loop, &r->retry_timer, CDC_OPEN_RETRY_MS);
}


static void
cdc_repl_start(cdc_repl_t *r)
{
    char  err[CDC_REASON_MAX];

    if (cdc_repl_configure(r, err) != CDC_OK
        || cdc_repl_reader(r, err) != CDC_OK)
    {
        cdc_repl_fail(r, "%s", err);
        return;
    }

    cdc_repl_status_start(r);

    cdc_repl_begin(r);
}


static void
cdc_repl_frame(cdc_conn_t *c, const cdc_frame_t *f, const uint8_t *payload)
{
    cdc_repl_t    *r = c->data;
    json_error_t   error;

    if (f->type != CDC_FRAME_CONFIG || r->config) {
        return;
    }

    r->config = json_loadb((const char *) payload, f->len, 0, &error);

    if (r->config == NULL) {
        cdc_repl_fail(r, "the task's record cannot be read: %s", error.text);
        return;
    }

    cdc_repl_start(r);
}


/* ---- stop ---- */

static void
cdc_repl_stop_timer(cdc_timer_t *tm)
{
    unsigned     busy;
    cdc_op_t    *op;
    cdc_lane_t  *lane;
    cdc_repl_t  *r = tm->data;

    busy = 0;

    for (lane = r->lanes; lane; lane = lane->next) {
        busy += lane->busy;
    }

    /* once more does no harm: not worth a long stop */

    if (cdc_now_ms() < r->stop_ops_at) {
        for (op = r->ops; op; op = op->next) {
            busy += op->running;
        }
    }

    if (busy == 0 || cdc_now_ms() >= r->stop_at) {
        cdc_loop_stop(r->loop);
        return;
    }

    cdc_timer_add(r->loop, tm, 10);
}


static void
cdc_repl_on_stop(void *data)
{
    json_int_t   drain;
    cdc_repl_t  *r = data;

    if (r->stopping) {
        return;
    }

    r->stopping = 1;
    __atomic_store_n(&r->quit, 1, __ATOMIC_RELEASE);

    drain = json_integer_value(json_object_get(r->init, "drain_timeout"));
    r->stop_at = cdc_now_ms()
                 + (drain > 2 * CDC_STOP_MARGIN_MS
                    ? (uint64_t) drain - CDC_STOP_MARGIN_MS : 0);

    r->stop_ops_at = cdc_now_ms() + CDC_STOP_OPS_MS;

    r->retry_timer.handler = cdc_repl_stop_timer;
    r->retry_timer.data = r;
    cdc_repl_stop_timer(&r->retry_timer);
}


/*
 * The ops thread may be in a call that takes longer than the supervisor
 * waits; the process ends around it, what it does may run again.
 */

static int
cdc_repl_end(cdc_repl_t *r)
{
    if (r->disk_worker) {
        cdc_worker_destroy(r->disk_worker);
        r->disk_worker = NULL;
    }

    if (r->db && r->running) {
        (void) cdc_checkpoint_last(r);
    }

    cdc_checkpoint_close(r);
    cdc_target_conf_free(&r->target_conf);

    /* unless the ops thread is at work with one of them */

    if (r->rbac && !cdc_rbac_busy(r)) {
        cdc_rbac_free(r);
    }

    cdc_log(CDC_LOG_INFO, 0, "stopped");

    return 0;
}


int
cdc_replicator_main(cdc_role_t *role)
{
    char         path[4096];
    cdc_repl_t  *r;
    const char  *state;

    r = calloc(1, sizeof(cdc_repl_t));
    if (r == NULL) {
        return 1;
    }

    r->role = role;
    r->loop = role->loop;
    r->idle_phase = (unsigned) getpid() * 379 % CDC_IDLE_TICK_MS;
    r->init = json_loadb(role->init, role->init_len, 0, NULL);

    state = json_string_value(json_object_get(r->init, "state_dir"));
    r->task_id = (char *) json_string_value(json_object_get(r->init,
                                                            "task_id"));

    if (state == NULL || r->task_id == NULL) {
        cdc_log(CDC_LOG_ALERT, 0, "INIT lacks state_dir or task_id");
        return 1;
    }

    snprintf(path, sizeof(path), "%s/tasks", state);

    if (mkdir(path, 0700) == -1 && errno != EEXIST) {
        cdc_log(CDC_LOG_CRIT, errno, "mkdir(\"%s\") failed", path);
        return 1;
    }

    snprintf(path, sizeof(path), "%s/tasks/%s", state, r->task_id);
    r->dir = strdup(path);

    cdc_grpc_init(r->loop);

    role->control->handler = cdc_repl_frame;
    role->control->data = r;
    role->on_stop = cdc_repl_on_stop;
    role->data = r;

    (void) cdc_conn_send(role->control, CDC_FRAME_ASK, 0, 0, r->task_id,
                         strlen(r->task_id));

    (void) cdc_loop_run(r->loop);

    return cdc_repl_end(r);
}
