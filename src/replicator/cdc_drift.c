/*
 * Drift: what somebody else has changed on the target.
 *
 * Every CDC_DRIFT_MS one collection is looked at: is it there under its name
 * and with its id, has it its partitions, and an index where the source has
 * one?  A look is three calls, so that none is looked at more often than every
 * CDC_DRIFT_SAME_MS, unless it was found changed or had no answer.  What is not
 * so is looked at once more, because the source's metadata may be ahead of the
 * operation that brings it, and is then named in the task's reason until it is
 * so again.
 * Nothing is put right: a collection or a partition that was dropped there has
 * lost its rows, and what follows of them must not look as if it were whole.
 *
 * Rows that somebody writes are not seen: the target counts them with ours,
 * and the source's count is nowhere in what is read here.
 *
 * A look runs on the ops thread between two operations, and not at all on a
 * collection that an operation waits for.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CDC_DRIFT_MS        2000
#define CDC_DRIFT_SAME_MS   10000
#define CDC_DRIFT_INDEXES   16


typedef struct {
    char               *field, *name;
} cdc_drift_index_t;

struct cdc_drift_s {
    cdc_repl_t         *repl;
    cdc_timer_t         timer;
    cdc_job_t           job;
    int64_t             id;              /* the source's: the one looked at */
    unsigned            again:1;         /* what was found has to be so twice */

    /* for the ops thread: copies, and what it found */
    int64_t             target_id;
    char               *db, *name;       /* on the target */
    char               *shown;           /* on the source, for the text */
    unsigned            nparts;
    int64_t            *part_ids;
    unsigned            nindexes;
    cdc_drift_index_t   indexes[CDC_DRIFT_INDEXES];
    int                 rc;              /* CDC_DECLINED: text says what */
    char                text[CDC_REASON_MAX];
};


static void
cdc_drift_clear(cdc_drift_t *d)
{
    while (d->nindexes) {
        d->nindexes--;
        free(d->indexes[d->nindexes].field);
        free(d->indexes[d->nindexes].name);
    }

    free(d->db);
    free(d->name);
    free(d->shown);
    free(d->part_ids);

    d->db = d->name = d->shown = NULL;
    d->part_ids = NULL;
    d->nparts = 0;
    d->text[0] = '\0';
}


/* ---- the look [ops thread] ------------------------------------------ */

static int
cdc_drift_parts(cdc_drift_t *d, const cdc_target_collection_t *found)
{
    unsigned  i, n;

    for (i = 0; i < d->nparts; i++) {
        for (n = 0; n < found->npartitions; n++) {
            if (found->partitions[n].id == d->part_ids[i]) {
                break;
            }
        }

        if (n == found->npartitions) {
            return CDC_DECLINED;
        }
    }

    return CDC_OK;
}


static int
cdc_drift_look(cdc_drift_t *d)
{
    int                       rc;
    unsigned                  i;
    cdc_repl_t               *r;
    cdc_target_error_t        err;
    cdc_target_collection_t  *found;

    r = d->repl;

    rc = r->target_ops->describe(r->target, d->db, d->name, 0, &found, &err);

    if (rc == CDC_DECLINED) {
        snprintf(d->text, sizeof(d->text), "\"%s\" is not there any more: "
                 "drop it on the source as well, or create the task again",
                 d->shown);
    }

    if (rc != CDC_OK) {
        return rc;
    }

    if (found->id != d->target_id) {
        rc = CDC_DECLINED;
        snprintf(d->text, sizeof(d->text), "\"%s\" is another collection than "
                 "the one that the task has filled: drop it there, and create "
                 "the task again", d->shown);

    } else if (cdc_drift_parts(d, found) != CDC_OK) {
        rc = CDC_DECLINED;
        snprintf(d->text, sizeof(d->text), "\"%s\" has lost a partition: drop "
                 "the collection there, and create the task again", d->shown);
    }

    cdc_target_collection_free(found);

    for (i = 0; rc == CDC_OK && i < d->nindexes; i++) {
        rc = r->target_ops->has_index(r->target, d->db, d->name,
                                      d->indexes[i].field,
                                      d->indexes[i].name, &err);

        if (rc == CDC_DECLINED) {
            snprintf(d->text, sizeof(d->text), "\"%s\" has no index \"%s\" on "
                     "\"%s\" any more, as the source has: create it there",
                     d->shown, d->indexes[i].name, d->indexes[i].field);
        }
    }

    return rc;
}


static void
cdc_drift_run(cdc_job_t *job)
{
    cdc_drift_t  *d = job->data;

    d->rc = cdc_drift_look(d);
}


/* ---- what it means --------------------------------------------------- */

/* the first one, and how many there are */

static void
cdc_drift_say(cdc_repl_t *r)
{
    char         text[CDC_REASON_MAX];
    unsigned     n;
    cdc_coll_t  *c, *first;

    n = 0;
    first = NULL;

    for (c = r->colls; c; c = c->next) {
        if (c->drift) {
            first = first ? first : c;
            n++;
        }
    }

    if (first == NULL) {
        cdc_repl_degraded(r, CDC_CAUSE_DRIFT, NULL);
        return;
    }

    snprintf(text, sizeof(text), "somebody has changed the target: %.800s",
             first->drift);

    if (n > 1) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 " (and %u more collections)", n - 1);
    }

    cdc_repl_degraded(r, CDC_CAUSE_DRIFT, text);
}


static void
cdc_drift_done(cdc_job_t *job)
{
    cdc_coll_t   *c;
    cdc_repl_t   *r;
    cdc_drift_t  *d = job->data;

    r = d->repl;
    c = cdc_coll_by_id(r, d->id);

    cdc_timer_add(r->loop, &d->timer, CDC_DRIFT_MS);

    if (c == NULL || r->resetting || c->target_id != d->target_id
        || (d->rc != CDC_OK && d->rc != CDC_DECLINED))
    {
        d->again = 0;
        return;
    }

    if (d->rc == CDC_DECLINED && c->drift == NULL && !d->again) {
        d->again = 1;
        return;
    }

    d->again = 0;
    c->drift_next = cdc_now_ms() + CDC_DRIFT_SAME_MS;

    if (d->rc == CDC_OK && c->drift == NULL) {
        return;
    }

    free(c->drift);
    c->drift = d->rc == CDC_DECLINED ? strdup(d->text) : NULL;

    if (c->drift) {
        cdc_coll_error(c, "somebody has changed the target: %s", c->drift);
    }

    cdc_drift_say(r);
}


/* ---- which one is next ----------------------------------------------- */

static int
cdc_drift_steady(cdc_repl_t *r, const cdc_coll_t *c)
{
    const cdc_op_t  *op;

    if (c->state != CDC_COLL_LIVE || c->target_id == 0 || c->initial
        || c->rename_name)
    {
        return 0;
    }

    for (op = r->ops; op; op = op->next) {
        if (cdc_op_concerns(op, c) || (op->from_rchannel && !op->synced)) {
            return 0;
        }
    }

    return 1;
}


static int
cdc_drift_due(cdc_repl_t *r, const cdc_coll_t *c)
{
    return (c->drift || cdc_now_ms() >= c->drift_next)
           && cdc_drift_steady(r, c);
}


/* the one after the last that was looked at, in the order of the ids */

static cdc_coll_t *
cdc_drift_next(cdc_drift_t *d)
{
    unsigned     round;
    cdc_coll_t  *c, *best;
    cdc_repl_t  *r;

    r = d->repl;
    best = NULL;

    if (d->again) {
        c = cdc_coll_by_id(r, d->id);

        if (c && cdc_drift_steady(r, c)) {
            return c;
        }

        d->again = 0;
    }

    for (round = 0; round < 2 && best == NULL; round++) {
        for (c = r->colls; c; c = c->next) {
            if (c->id > d->id && (best == NULL || c->id < best->id)
                && cdc_drift_due(r, c))
            {
                best = c;
            }
        }

        if (best == NULL) {
            d->id = 0;
        }
    }

    return best;
}


static int
cdc_drift_index(void *arg, cdc_span_t request)
{
    cdc_span_t          field, name;
    cdc_drift_t        *d = arg;
    cdc_field_t         f;
    cdc_op_envelope_t   env;

    if (cdc_wire_op_envelope(request, &env) != CDC_OK
        || env.type != CDC_MSG_CREATE_INDEX
        || d->nindexes == CDC_DRIFT_INDEXES)
    {
        return CDC_OK;
    }

    field = name = cdc_span_n("", 0);

    while (cdc_wire_next(&request, &f) == CDC_OK) {
        field = f.number == 4 ? f.body : field;
        name = f.number == 6 ? f.body : name;
    }

    d->indexes[d->nindexes].field = strndup((const char *) field.data,
                                            field.len);
    d->indexes[d->nindexes].name = strndup((const char *) name.data, name.len);
    d->nindexes++;

    return CDC_OK;
}


static int
cdc_drift_copy(cdc_drift_t *d, cdc_coll_t *c)
{
    size_t    n;
    unsigned  i;

    n = strlen(c->db) + strlen(c->name) + 2;

    d->id = c->id;
    d->target_id = c->target_id;
    d->db = strdup(c->target_db);
    d->name = strdup(c->target_name);
    d->shown = malloc(n);
    d->part_ids = calloc(c->nparts + 1, sizeof(int64_t));

    if (d->db == NULL || d->name == NULL || d->shown == NULL
        || d->part_ids == NULL)
    {
        return CDC_ERROR;
    }

    snprintf(d->shown, n, "%s.%s", c->db, c->name);

    for (i = 0; i < c->nparts; i++) {
        if (!c->parts[i].gone && !c->parts[i].dropping
            && c->parts[i].target_id)
        {
            d->part_ids[d->nparts++] = c->parts[i].target_id;
        }
    }

    if (d->repl->target_ops->has_index) {
        (void) cdc_meta_each_operation(d->repl->meta, c->id, cdc_drift_index,
                                       d);
    }

    for (i = 0; i < d->nindexes; i++) {
        if (d->indexes[i].field == NULL || d->indexes[i].name == NULL) {
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


static void
cdc_drift_timer(cdc_timer_t *tm)
{
    cdc_coll_t   *c;
    cdc_repl_t   *r;
    cdc_drift_t  *d = tm->data;

    r = d->repl;

    if (r->stopping || r->failed) {
        return;
    }

    cdc_drift_clear(d);

    c = NULL;

    /* behind, the source's metadata tell of what is yet to come */

    if (!r->resetting && !r->cause[CDC_CAUSE_META][0]
        && !r->cause[CDC_CAUSE_SOURCE][0] && !r->cause[CDC_CAUSE_LOG][0])
    {
        c = cdc_drift_next(d);
    }

    if (c == NULL || cdc_drift_copy(d, c) != CDC_OK) {
        cdc_timer_add(r->loop, tm, CDC_DRIFT_MS);
        return;
    }

    d->job.run = cdc_drift_run;
    d->job.done = cdc_drift_done;
    d->job.data = d;

    cdc_worker_submit(r->ops_worker, &d->job);
}


void
cdc_drift_gone(cdc_coll_t *c)
{
    if (c->drift) {
        free(c->drift);
        c->drift = NULL;
        cdc_drift_say(c->repl);
    }
}


void
cdc_drift_start(cdc_repl_t *r)
{
    cdc_drift_t  *d;

    d = calloc(1, sizeof(cdc_drift_t));
    if (d == NULL) {
        cdc_repl_no_memory();
    }

    d->repl = r;
    d->timer.handler = cdc_drift_timer;
    d->timer.data = d;

    cdc_timer_add(r->loop, &d->timer, CDC_DRIFT_MS);
}
