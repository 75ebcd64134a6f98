/*
 * A new task looks around before it starts: which collections of the source
 * does the target hold already, and where does the log end now?
 *
 * What the target holds is taken over and goes on from the time at which
 * the task was created, by the source's timestamps, in the last messages of
 * the log: replaying more would double the rows of a target that was restored
 * from a backup.  All else is created and replayed from its start position.
 * The result is durable, as one batch, before anything is sent; a crash before
 * that surveys again.
 *
 * The replicate channel's end was taken before the metadata were listed
 * (cdc_replicator.c), so each operation is in the listing, or is read.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CDC_SURVEY_TIMEOUT_MS  5000
#define CDC_SURVEY_BACK        ((uint64_t) 5000)    /* messages */


static void cdc_survey_synced(void *arg);


typedef struct {
    cdc_coll_t               *coll;
    char                     *db, *name;         /* copies, for the thread */
    char                    **channels;
    cdc_pos_t                *start, *first, *end;
    unsigned                  nshards;
    cdc_target_collection_t  *found;
} cdc_survey_row_t;

typedef struct {
    cdc_job_t                 job;
    cdc_repl_t               *repl;
    cdc_survey_row_t         *rows;
    size_t                    n, cap;
    int                       rc;
    cdc_target_error_t        error;
    char                      err[CDC_REASON_MAX];
} cdc_survey_t;


static void
cdc_survey_free(cdc_survey_t *s)
{
    size_t             i;
    unsigned           n;
    cdc_survey_row_t  *row;

    for (i = 0; i < s->n; i++) {
        row = &s->rows[i];

        for (n = 0; row->channels && n < row->nshards; n++) {
            free(row->channels[n]);
        }

        if (row->found) {
            cdc_target_collection_free(row->found);
        }

        free(row->channels);
        free(row->start);
        free(row->first);
        free(row->end);
        free(row->db);
        free(row->name);
    }

    free(s->rows);
    free(s);
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
    row->channels = calloc(c->nshards, sizeof(char *));
    row->start = calloc(c->nshards, sizeof(cdc_pos_t));
    row->first = calloc(c->nshards, sizeof(cdc_pos_t));
    row->end = calloc(c->nshards, sizeof(cdc_pos_t));

    if (row->db == NULL || row->name == NULL || row->channels == NULL
        || row->start == NULL || row->first == NULL || row->end == NULL)
    {
        return CDC_ERROR;
    }

    for (i = 0; i < c->nshards; i++) {
        row->channels[i] = strdup(c->shards[i].ch->name);
        row->start[i] = c->shards[i].start;

        if (row->channels[i] == NULL) {
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
    unsigned           n;
    cdc_repl_t        *r;
    cdc_survey_t      *s = job->data;
    cdc_survey_row_t  *row;

    r = s->repl;

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

        for (n = 0; n < row->nshards; n++) {
            s->rc = r->reader_ops->ends(r->reader, row->channels[n],
                                        CDC_SURVEY_TIMEOUT_MS,
                                        &row->first[n], &row->end[n], s->err);
            if (s->rc != CDC_OK) {
                return;
            }
        }
    }

    s->rc = CDC_OK;
}


static void
cdc_survey_durable(void *arg)
{
    cdc_repl_go(arg);
}


/* rows that the log has lost are never skipped in silence */

static int
cdc_survey_gap(cdc_survey_row_t *row)
{
    unsigned  n;

    for (n = 0; n < row->nshards; n++) {

        /* the start is the last message before the collection's own */

        if (cdc_pos_cmp(row->first[n], cdc_pos_next(row->start[n], 1)) > 0) {
            cdc_repl_fail(row->coll->repl, "the source's log begins after the "
                          "collection \"%s.%s\": topic \"%s\" starts at "
                          "%llu:%llu, the collection at %llu:%llu; restore "
                          "the target from a backup of the source, then "
                          "create the task: what the target holds is not "
                          "replayed", row->db, row->name, row->channels[n],
                          (unsigned long long) row->first[n].hi,
                          (unsigned long long) row->first[n].lo,
                          (unsigned long long) row->start[n].hi,
                          (unsigned long long) row->start[n].lo);
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


static int
cdc_survey_take(cdc_survey_row_t *row)
{
    char                          err[CDC_REASON_MAX];
    unsigned                      n;
    cdc_coll_t                   *c;
    cdc_lane_t                   *lane;
    const cdc_meta_collection_t  *m;

    c = row->coll;

    for (n = 0; n < c->nshards; n++) {
        c->shards[n].listed = row->end[n];
    }

    c->dirty = 1;

    if (row->found == NULL) {
        return cdc_survey_gap(row);
    }

    if (strcmp(row->found->name, c->target_name) != 0) {
        cdc_repl_fail(c->repl, "\"%s.%s\" is an alias of \"%s\" on the target: "
                      "drop the alias there, then resume the task", c->db,
                      c->name, row->found->name);
        return CDC_ERROR;
    }

    if (cdc_coll_bind(c, row->found, err) != CDC_OK) {
        cdc_repl_fail(c->repl, "%s", err);
        return CDC_ERROR;
    }

    /* "now" is when the task was created: rows that came since are read */

    c->from_ts = cdc_ms_tso((uint64_t) json_integer_value(
                     json_object_get(c->repl->config, "created_ms")));

    for (n = 0; n < c->nshards; n++) {
        c->shards[n].start = row->end[n].lo > CDC_SURVEY_BACK
                             ? cdc_pos_next(row->end[n], -CDC_SURVEY_BACK)
                             : row->first[n];

        if (cdc_pos_cmp(c->shards[n].start, row->first[n]) < 0) {
            c->shards[n].start = row->first[n];
        }

        /* what the target holds has stamps up to now, ticks too: what is
         * settled, and each tick, has to be above them */

        lane = c->shards[n].lane;

        if (lane->raise < c->from_ts) {
            lane->raise = c->from_ts;
            lane->used = lane->used > c->from_ts ? lane->used : c->from_ts;
            lane->dirty = 1;
        }
    }

    c->state = CDC_COLL_LIVE;
    c->adopted = 1;

    m = cdc_meta_by_id(c->repl->meta, c->id);

    if (m == NULL || m->gone || m->dropping) {
        cdc_catalogue_lost(c);           /* its drop may lie before the end */
    }

    cdc_log(CDC_LOG_NOTICE, 0, "the target holds the collection \"%s.%s\" "
            "already: it is not replayed, it goes on from now", c->db,
            c->name);

    return CDC_OK;
}


static void
cdc_survey_retry(cdc_timer_t *tm)
{
    cdc_survey_t  *s = tm->data;

    cdc_worker_submit(s->repl->ops_worker, &s->job);
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

    if (s->rc != CDC_OK) {
        cdc_repl_degraded(r, CDC_CAUSE_TARGET, s->err);
        r->retry_timer.handler = cdc_survey_retry;
        r->retry_timer.data = s;
        cdc_timer_add(r->loop, &r->retry_timer, 1000);
        return;
    }

    cdc_repl_degraded(r, CDC_CAUSE_TARGET, NULL);

    /* what the source drops from now on, it drops behind these ends */

    if (cdc_meta_sync(r->meta, cdc_survey_synced, s) != CDC_OK) {
        cdc_repl_fail(r, "out of memory");
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
        (void) cdc_survey_take(&s->rows[i]);
    }

    cdc_survey_free(s);

    if (r->failed) {
        return;
    }

    for (c = r->colls; c; c = c->next) {
        (void) cdc_coll_start(c);
    }

    r->started = 1;

    if (cdc_checkpoint_barrier(r, cdc_survey_durable, r) != CDC_OK) {
        cdc_repl_fail(r, "out of memory");
    }
}


void
cdc_survey_start(cdc_repl_t *r)
{
    cdc_survey_t  *s;

    s = calloc(1, sizeof(cdc_survey_t));

    if (s == NULL) {
        cdc_repl_fail(r, "out of memory");
        return;
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
