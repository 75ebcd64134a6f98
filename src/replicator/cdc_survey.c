/*
 * A new task looks around before it starts: which collections of the source
 * does the target hold already, and where does the log end now?
 *
 * What the target holds, with the same schema, is taken over and goes on from
 * the time at which the task was created, by the source's timestamps, as far
 * back in the log as that is (cdc_survey_back.c): replaying more would double
 * the rows of a target that was restored from a backup.  All else is created
 * and replayed from its start position.  "positions" and "use_start_position"
 * say otherwise.
 * The result is durable, as one batch, before anything is sent; a crash before
 * that surveys again.
 *
 * The replicate channel's end was taken before the metadata were listed
 * (cdc_replicator.c), so each operation is in the listing, or is read.
 */

#include "cdc_survey_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CDC_SURVEY_TIMEOUT_MS  5000
#define CDC_SURVEY_STEP        500       /* messages */
#define CDC_SURVEY_ORDER_MS    30000       /* messages are out of order */


static void cdc_survey_newest(void *arg);
static void cdc_survey_backed(void *arg);
static void cdc_survey_synced(void *arg);


typedef struct {
    cdc_coll_t               *coll;
    char                     *db, *name;         /* copies, for the thread */
    size_t                   *logs;              /* of each shard */
    cdc_pos_t                *start;
    unsigned                  nshards;
    cdc_target_collection_t  *found;
} cdc_survey_row_t;

typedef struct {
    cdc_job_t                 job;
    cdc_repl_t               *repl;
    cdc_survey_row_t         *rows;
    size_t                    n, cap;
    cdc_survey_back_t         back;
    uint64_t                  from_ts;
    cdc_survey_when_t         when;
    uint64_t                  anew_at;   /* cdc_now_ms(); 0: it is not */
    unsigned                  cause;     /* whose fault it is */
    int                       rc;
    cdc_target_error_t        error;
    char                      err[CDC_REASON_MAX];
} cdc_survey_t;


static void
cdc_survey_free(cdc_survey_t *s)
{
    size_t             i;
    cdc_survey_row_t  *row;

    for (i = 0; i < s->n; i++) {
        row = &s->rows[i];

        if (row->found) {
            cdc_target_collection_free(row->found);
        }

        free(row->logs);
        free(row->start);
        free(row->db);
        free(row->name);
    }

    for (i = 0; i < s->back.n; i++) {
        free(s->back.logs[i].name);
    }

    free(s->back.logs);
    free(s->rows);
    free(s);
}


/* "positions" of the request; its timestamp filters what is there already */

static int
cdc_survey_given(cdc_coll_t *c, cdc_shard_t *shard)
{
    uint64_t     ts;
    cdc_span_t   id;
    cdc_repl_t  *r;

    r = c->repl;

    if (cdc_selection_position(r->selection, shard->source_vchannel, &id, &ts)
        != CDC_OK)
    {
        return CDC_OK;
    }

    if (r->reader_ops->parse_id(id, &shard->start) != CDC_OK) {
        cdc_repl_fail(r, "the position of \"%s\" in the request is not one of "
                      "this source's log (%s): take it from the same source",
                      shard->source_vchannel, r->reader_ops->name);
        return CDC_ERROR;
    }

    shard->after_ts = ts ? ts : 1;

    return CDC_OK;
}


static cdc_survey_log_t *
cdc_survey_log(cdc_survey_t *s, const cdc_survey_row_t *row, unsigned n)
{
    return &s->back.logs[row->logs[n]];
}


static void
cdc_survey_then(const cdc_repl_t *r, cdc_survey_log_t *log)
{
    json_t      *end;
    json_int_t   hi, lo;

    end = json_object_get(json_object_get(r->config, "source_ends"),
                          log->name);

    if (end && json_unpack(end, "[I, I!]", &hi, &lo) == 0) {
        log->then.hi = (uint64_t) hi;
        log->then.lo = (uint64_t) lo;
        log->noted = 1;
    }
}


static int
cdc_survey_add_log(cdc_survey_t *s, const char *name, size_t *nth)
{
    size_t             i;
    cdc_survey_log_t  *logs;

    for (i = 0; i < s->back.n; i++) {
        if (strcmp(s->back.logs[i].name, name) == 0) {
            *nth = i;
            return CDC_OK;
        }
    }

    logs = realloc(s->back.logs, (i + 1) * sizeof(cdc_survey_log_t));
    if (logs == NULL) {
        return CDC_ERROR;
    }

    s->back.logs = logs;
    memset(&logs[i], 0, sizeof(cdc_survey_log_t));

    logs[i].name = strdup(name);
    if (logs[i].name == NULL) {
        return CDC_ERROR;
    }

    cdc_survey_then(s->repl, &logs[i]);

    *nth = i;
    s->back.n++;

    return CDC_OK;
}


static int
cdc_survey_add(void *arg, const cdc_meta_collection_t *m)
{
    unsigned           i;
    cdc_coll_t        *c;
    cdc_repl_t        *r;
    cdc_survey_t      *s = arg;
    cdc_survey_row_t  *row, *rows;

    r = s->repl;

    if (m->gone || m->dropping
        || !cdc_selected(r->selection, m->db, m->name))
    {
        return CDC_OK;
    }

    c = cdc_coll_by_id(r, m->id);
    if (c == NULL) {
        c = cdc_coll_add(r, m);
    }

    if (c == NULL) {
        return CDC_ERROR;
    }

    c->initial = 1;

    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        rows = realloc(s->rows, s->cap * sizeof(cdc_survey_row_t));
        if (rows == NULL) {
            return CDC_ERROR;
        }

        s->rows = rows;
    }

    row = &s->rows[s->n++];
    memset(row, 0, sizeof(cdc_survey_row_t));

    row->coll = c;
    row->nshards = c->nshards;
    row->db = strdup(c->target_db);
    row->name = strdup(c->target_name);
    row->logs = calloc(c->nshards, sizeof(size_t));
    row->start = calloc(c->nshards, sizeof(cdc_pos_t));

    if (row->db == NULL || row->name == NULL || row->logs == NULL
        || row->start == NULL)
    {
        return CDC_ERROR;
    }

    for (i = 0; i < c->nshards; i++) {
        if (cdc_survey_given(c, &c->shards[i]) != CDC_OK) {
            return CDC_ERROR;
        }

        row->start[i] = c->shards[i].start;

        if (cdc_survey_add_log(s, c->shards[i].ch->name, &row->logs[i])
            != CDC_OK)
        {
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


/* [ops thread] */

static void
cdc_survey_run(cdc_job_t *job)
{
    size_t             i;
    cdc_repl_t        *r;
    cdc_survey_t      *s = job->data;
    cdc_survey_log_t  *log;
    cdc_survey_row_t  *row;

    r = s->repl;
    s->cause = CDC_CAUSE_TARGET;

    for (i = 0; i < s->n; i++) {
        row = &s->rows[i];

        if (row->found) {
            cdc_target_collection_free(row->found);
            row->found = NULL;
        }

        s->rc = r->target_ops->describe(r->target, row->db, row->name, 0,
                                        &row->found, &s->error);

        if (s->rc == CDC_ERROR) {
            if (s->error.class == CDC_TARGET_NOT_FOUND) {
                continue;                /* not even the database */
            }

            snprintf(s->err, CDC_REASON_MAX, "%s", s->error.text);
            return;
        }
    }

    s->rc = CDC_OK;
    s->cause = CDC_CAUSE_LOG;

    for (i = 0; i < s->back.n && s->rc == CDC_OK; i++) {
        log = &s->back.logs[i];
        s->rc = r->reader_ops->ends(r->reader, log->name,
                                    CDC_SURVEY_TIMEOUT_MS, &log->first,
                                    &log->end, s->err);
    }
}


static void
cdc_survey_durable(void *arg)
{
    CDC_FAULT("survey-after-write");
    cdc_life_started(arg);
    cdc_repl_go(arg);
}


/* the first that is left, by the request's own word */

static void
cdc_survey_earliest(cdc_survey_row_t *row, unsigned n,
    const cdc_survey_log_t *log)
{
    char          text[CDC_REASON_MAX];
    cdc_shard_t  *shard;

    shard = &row->coll->shards[n];
    shard->start = log->first;

    snprintf(text, sizeof(text), "\"%.200s.%.200s\" %s the earliest message "
             "that the source's log still has (topic \"%.200s\", position "
             "%llu:%llu): what is older is not on the target", row->coll->db,
             row->coll->name, row->found ? "goes on with" : "starts with",
             log->name, (unsigned long long) log->first.hi,
             (unsigned long long) log->first.lo);

    cdc_coll_error(row->coll, "%s", text);
    cdc_repl_degraded(row->coll->repl, CDC_CAUSE_SKIPPED, text);
}


/* rows that the log has lost are never skipped in silence */

static int
cdc_survey_gap(cdc_survey_t *s, cdc_survey_row_t *row)
{
    unsigned           n;
    cdc_survey_log_t  *log;

    for (n = 0; n < row->nshards; n++) {
        log = cdc_survey_log(s, row, n);

        if (cdc_pos_cmp(log->first, row->coll->shards[n].start) <= 0) {
            continue;
        }

        if (cdc_selection_earliest(s->repl->selection)) {
            cdc_survey_earliest(row, n, log);
            continue;
        }

        cdc_repl_fail(row->coll->repl, "the source's log begins after the "
                      "collection \"%s.%s\": topic \"%s\" starts at "
                      "%llu:%llu, the collection at %llu:%llu; restore the "
                      "target from a backup of the source, then create the "
                      "task: what the target holds is not replayed; or create "
                      "it with \"log_gap\": \"earliest\"", row->coll->db,
                      row->coll->name, log->name,
                      (unsigned long long) log->first.hi,
                      (unsigned long long) log->first.lo,
                      (unsigned long long) row->start[n].hi,
                      (unsigned long long) row->start[n].lo);
        return CDC_ERROR;
    }

    return CDC_OK;
}


/* could its rows be rows of ours? */

static int
cdc_survey_same(cdc_survey_row_t *row, const cdc_meta_collection_t *m)
{
    int                       rc;
    char                      diff[CDC_REASON_MAX];
    cdc_coll_t               *c;
    cdc_target_collection_t  *t;

    c = row->coll;
    t = row->found;

    if (strcmp(t->name, c->target_name) != 0) {
        cdc_repl_fail(c->repl, "\"%s.%s\" is an alias of \"%s\" on the target: "
                      "drop the alias there, then resume the task",
                      c->target_db, c->target_name, t->name);
        return CDC_ERROR;
    }

    rc = m ? cdc_schema_compare(m->schema,
                                cdc_span_n(t->schema, t->schema_len), diff)
           : CDC_OK;

    if (rc == CDC_OK && m && m->num_partitions > 0 && t->num_partitions > 0
        && m->num_partitions != t->num_partitions)
    {
        snprintf(diff, sizeof(diff), "%lld partitions of the partition key "
                 "on the source, %lld on the target",
                 (long long) m->num_partitions,
                 (long long) t->num_partitions);
        rc = CDC_DECLINED;
    }

    if (rc != CDC_OK) {
        cdc_repl_fail(c->repl, "the target holds a collection \"%s.%s\" with "
                      "another schema: %s; drop or rename it there, then "
                      "resume the task", c->target_db, c->target_name,
                      rc == CDC_DECLINED ? diff : "it cannot be read");
        return CDC_ERROR;
    }

    return CDC_OK;
}


static void
cdc_survey_created(cdc_survey_t *s)
{
    size_t              i;
    int64_t             at;
    cdc_repl_t         *r;
    cdc_survey_when_t  *w;

    r = s->repl;
    w = &s->when;
    w->created = json_integer_value(json_object_get(r->config, "created_ms"));
    w->created_target = json_integer_value(json_object_get(r->config,
                                                           "target_ms"));
    w->created_source = json_integer_value(json_object_get(r->config,
                                                           "source_ms"));
    w->wall = (int64_t) cdc_wall_ms();
    w->target = (int64_t) cdc_now_ms() + r->clock_offset;
    w->newest = 0;

    for (i = 0; i < s->back.n; i++) {
        at = (int64_t) cdc_tso_ms(s->back.logs[i].ts);
        w->newest = w->newest < at ? at : w->newest;
    }

    cdc_survey_when(w);
    s->from_ts = cdc_ms_tso((uint64_t) w->from);
}


/* does it go on from when the task was created? */

static int
cdc_survey_by_time(const cdc_survey_row_t *row, unsigned n)
{
    const cdc_coll_t  *c;

    c = row->coll;

    return row->found && !c->shards[n].after_ts
           && !cdc_selection_use_start(c->repl->selection, c->db, c->name);
}


/* where its own messages begin, as far as the log has them */

static cdc_pos_t
cdc_survey_own(const cdc_survey_log_t *log, cdc_pos_t start)
{
    return cdc_pos_cmp(start, log->first) < 0
           || cdc_pos_cmp(start, log->end) > 0 ? log->first : start;
}


static void
cdc_survey_wanted(cdc_survey_t *s)
{
    size_t             i;
    unsigned           n;
    cdc_pos_t          own;
    cdc_survey_log_t  *log;
    cdc_survey_row_t  *row;

    for (i = 0; i < s->back.n; i++) {
        s->back.logs[i].wanted = 0;
        s->back.logs[i].floor = s->back.logs[i].end;
    }

    for (i = 0; i < s->n; i++) {
        row = &s->rows[i];

        for (n = 0; n < row->nshards; n++) {
            if (!cdc_survey_by_time(row, n)) {
                continue;
            }

            log = cdc_survey_log(s, row, n);
            log->wanted = 1;
            own = cdc_survey_own(log, row->start[n]);

            if (cdc_pos_cmp(own, log->floor) < 0) {
                log->floor = own;
            }
        }
    }
}


/* has it lost messages of the collection that are not older than the task? */

static int
cdc_survey_lost(const cdc_survey_t *s, const cdc_survey_log_t *log,
    cdc_pos_t start)
{
    if (!cdc_survey_anew(log) && log->end.lo != 0
        && cdc_pos_cmp(start, log->end) <= 0
        && cdc_pos_cmp(log->at, cdc_pos_next(start, 1)) <= 0)
    {
        return 0;
    }

    return cdc_survey_cut(&s->when, log, s->repl->reader_ops->numbered);
}


static void
cdc_survey_fail(cdc_survey_t *s, const cdc_survey_log_t *log,
    const cdc_coll_t *c)
{
    if (cdc_survey_anew(log)) {
        cdc_repl_fail(s->repl, CDC_LOG_GAP ", or create it with \"log_gap\": "
                      "\"earliest\": topic \"%s\" ends at %llu:%llu, before "
                      "%llu:%llu where it ended when the task was created, and "
                      "has lost what \"%s.%s\" got since (it was deleted and "
                      "made anew, or has lost its end)", log->name,
                      (unsigned long long) log->end.hi,
                      (unsigned long long) log->end.lo,
                      (unsigned long long) log->then.hi,
                      (unsigned long long) log->then.lo, c->db, c->name);
        return;
    }

    cdc_repl_fail(s->repl, CDC_LOG_GAP ", or create it with \"log_gap\": "
                  "\"earliest\": topic \"%s\" begins at %llu:%llu, which came "
                  "after the task was created, and has lost what \"%s.%s\" got "
                  "before", log->name, (unsigned long long) log->first.hi,
                  (unsigned long long) log->first.lo, c->db, c->name);
}


/*
 * Where it goes on: "positions"; or, with "use_start_position", from its
 * start, all that is in the log now as if in doubt, so that nothing doubles;
 * else from the time at which the task was created.
 */

static int
cdc_survey_place(cdc_survey_t *s, cdc_survey_row_t *row, unsigned n)
{
    cdc_pos_t          own;
    cdc_coll_t        *c;
    cdc_shard_t       *shard;
    cdc_survey_log_t  *log;

    c = row->coll;
    shard = &c->shards[n];
    log = cdc_survey_log(s, row, n);

    if (shard->after_ts) {
        return CDC_OK;
    }

    if (!cdc_survey_by_time(row, n)) {
        shard->settle_upto = log->end;
        return CDC_OK;
    }

    own = cdc_survey_own(log, row->start[n]);
    shard->start = cdc_pos_cmp(log->at, own) > 0 ? log->at : own;
    c->from_ts = s->from_ts;

    if (!cdc_survey_lost(s, log, row->start[n])) {
        return CDC_OK;
    }

    if (cdc_selection_earliest(s->repl->selection)) {
        cdc_survey_earliest(row, n, log);
        return CDC_OK;
    }

    cdc_survey_fail(s, log, c);

    return CDC_ERROR;
}


/* a collection's start is the last message before its own: nobody needs it,
 * and when it is gone reading cannot begin there */

static void
cdc_survey_begin(cdc_survey_t *s, cdc_survey_row_t *row, unsigned n)
{
    cdc_shard_t       *shard;
    cdc_survey_log_t  *log;

    shard = &row->coll->shards[n];
    log = cdc_survey_log(s, row, n);

    shard->listed = log->end;

    if (!shard->after_ts
        && cdc_pos_cmp(log->first, cdc_pos_next(shard->start, 1)) == 0)
    {
        shard->start = log->first;
    }
}


/* what the target holds has stamps up to now by its clock, ticks too: what is
 * settled, and each tick, has to be above them */

static void
cdc_survey_raise(cdc_coll_t *c)
{
    unsigned     n;
    uint64_t     now;
    cdc_lane_t  *lane;

    for (n = 0; n < c->nshards; n++) {
        lane = c->shards[n].lane;
        now = cdc_lane_target_now(lane);

        if (lane->raise < now) {
            lane->raise = now;
            lane->used = lane->used > now ? lane->used : now;
            lane->dirty = 1;
        }
    }
}


static int
cdc_survey_take(cdc_survey_t *s, cdc_survey_row_t *row)
{
    char                          err[CDC_REASON_MAX];
    unsigned                      n;
    cdc_coll_t                   *c;
    const cdc_meta_collection_t  *m;

    c = row->coll;
    m = cdc_meta_by_id(c->repl->meta, c->id);

    for (n = 0; n < c->nshards; n++) {
        cdc_survey_begin(s, row, n);
    }

    c->dirty = 1;

    if (row->found == NULL) {
        return cdc_survey_gap(s, row);
    }

    if (cdc_survey_same(row, m) != CDC_OK) {
        return CDC_ERROR;
    }

    if (cdc_coll_bind(c, row->found, err) != CDC_OK) {
        cdc_repl_fail(c->repl, "%s", err);
        return CDC_ERROR;
    }

    for (n = 0; n < c->nshards; n++) {
        if (cdc_survey_place(s, row, n) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    cdc_survey_raise(c);

    c->state = CDC_COLL_LIVE;
    c->adopted = 1;

    if (m && cdc_blob_set(&c->schema, m->schema) == CDC_OK
        && cdc_blob_set(&c->properties, m->properties) == CDC_OK)
    {
        c->known = 1;                    /* as compared; later changes count */
    }

    if (m == NULL || m->gone || m->dropping) {
        cdc_catalogue_lost(c);           /* its drop may lie before the end */
    }

    cdc_log(CDC_LOG_NOTICE, 0, "the target holds the collection \"%s.%s\" "
            "already: it is taken over and goes on from %s", c->target_db,
            c->target_name, c->from_ts ? "now"
                            : c->shards[0].after_ts ? "the positions given"
                                                    : "its start, settled");

    return CDC_OK;
}


static void
cdc_survey_retry(cdc_timer_t *tm)
{
    cdc_survey_t  *s = tm->data;

    cdc_worker_submit(s->repl->ops_worker, &s->job);
}


static void
cdc_survey_again(cdc_survey_t *s, const char *why)
{
    cdc_repl_t  *r;

    r = s->repl;

    cdc_repl_degraded(r, s->cause, why);
    r->retry_timer.handler = cdc_survey_retry;
    r->retry_timer.data = s;
    cdc_timer_add(r->loop, &r->retry_timer, 1000);
}


static void
cdc_survey_done(cdc_job_t *job)
{
    cdc_repl_t    *r;
    cdc_survey_t  *s = job->data;

    r = s->repl;

    if (r->stopping || r->failed) {
        return;
    }

    if (s->cause != CDC_CAUSE_TARGET) {
        cdc_repl_degraded(r, CDC_CAUSE_TARGET, NULL);
    }

    if (s->rc != CDC_OK) {
        cdc_survey_again(s, s->err);
        return;
    }

    cdc_survey_wanted(s);

    if (cdc_survey_doubts(&s->back, &s->anew_at, cdc_now_ms())) {
        s->cause = CDC_CAUSE_LOG;
        cdc_survey_again(s, "the source's log ends before where it ended when "
                         "the task was created; it is looked at again");
        return;
    }

    s->back.repl = r;
    s->back.upto = UINT64_MAX;           /* the last one, whatever it is */
    s->back.step = 1;
    s->back.done = cdc_survey_newest;
    s->back.arg = s;
    cdc_survey_back(&s->back);
}


static void
cdc_survey_newest(void *arg)
{
    cdc_survey_t  *s = arg;

    if (s->back.rc != CDC_OK) {
        cdc_survey_again(s, s->back.err);
        return;
    }

    cdc_survey_created(s);

    s->back.upto = s->from_ts - cdc_ms_tso(CDC_ADOPT_MS
                                           + CDC_SURVEY_ORDER_MS);
    s->back.step = CDC_SURVEY_STEP;
    s->back.done = cdc_survey_backed;
    cdc_survey_back(&s->back);
}


static void
cdc_survey_backed(void *arg)
{
    cdc_repl_t    *r;
    cdc_survey_t  *s = arg;

    r = s->repl;

    if (s->back.rc != CDC_OK) {
        cdc_survey_again(s, s->back.err);
        return;
    }

    cdc_repl_degraded(r, CDC_CAUSE_LOG, NULL);
    CDC_FAULT("survey-taken");

    /* what the source drops from now on, it drops behind these ends */

    if (cdc_meta_sync(r->meta, cdc_survey_synced, s) != CDC_OK) {
        cdc_repl_no_memory();
    }
}


static void
cdc_survey_synced(void *arg)
{
    size_t         i;
    cdc_coll_t    *c;
    cdc_repl_t    *r;
    cdc_survey_t  *s = arg;

    r = s->repl;

    for (i = 0; i < s->n && !r->failed; i++) {
        (void) cdc_survey_take(s, &s->rows[i]);
    }

    cdc_survey_free(s);

    if (r->failed) {
        return;
    }

    for (c = r->colls; c; c = c->next) {
        (void) cdc_coll_start(c);
    }

    r->started = 1;
    CDC_FAULT("survey-before-write");

    if (cdc_checkpoint_barrier(r, cdc_survey_durable, r) != CDC_OK) {
        cdc_repl_no_memory();
    }
}


void
cdc_survey_start(cdc_repl_t *r)
{
    cdc_survey_t  *s;

    s = calloc(1, sizeof(cdc_survey_t));

    if (s == NULL) {
        cdc_repl_no_memory();
    }

    s->repl = r;
    s->job.run = cdc_survey_run;
    s->job.done = cdc_survey_done;
    s->job.data = s;

    if (cdc_meta_each_collection(r->meta, cdc_survey_add, s) != CDC_OK) {
        cdc_survey_free(s);
        cdc_repl_fail(r, "the source's metadata cannot be used");
        return;
    }

    cdc_worker_submit(r->ops_worker, &s->job);
}
