/*
 * Operations: one order for what comes from the catalogue, the data channels
 * and the replicate channel.
 *
 * r->ops is sorted by source timestamp.  An operation runs when
 *
 *   - the collections that it concerns are on the target, and no earlier
 *     operation on one of them is left;
 *   - everything of these collections up to its timestamp is acknowledged on
 *     their data channels (creates are exempt: rows wait for them);
 *   - a name that it creates is free: the former bearer has been dropped.
 *
 * A drop's own messages go to the target after it (cdc_channel_farewell).
 *
 * The replicate channel has no time ticks, so a drop may be tried before an
 * earlier release has been read.  The target refuses it then, and it is
 * tried again in place; after CDC_REFUSED_MS the source's metadata decides:
 * if the source no longer holds the partition loaded, we release it.
 *
 * Each runs on the ops thread (cdc_op_run.c), one after the other, and is
 * written so that running it twice does no harm: a crash between its end
 * and the checkpoint runs it again.  A message that it came from is done
 * when it is.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static void cdc_op_scan(cdc_post_t *post);
static void cdc_op_done(cdc_job_t *job);


static void
cdc_op_timer(cdc_timer_t *tm)
{
    cdc_op_t  *op = tm->data;

    op->sleeping = 0;
    cdc_op_kick(op->repl);
}


cdc_op_t *
cdc_op_new(cdc_repl_t *r, cdc_op_kind_e kind, uint64_t ts)
{
    cdc_op_t  *op;

    op = calloc(1, sizeof(cdc_op_t));
    if (op == NULL) {
        cdc_repl_fail(r, "out of memory");
        return NULL;
    }

    op->repl = r;
    op->kind = kind;
    op->ts = ts;
    op->number = ++r->op_number;
    op->target_ops = r->target_ops;
    op->target = r->target;
    cdc_list_init(&op->held);
    op->timer.handler = cdc_op_timer;
    op->timer.data = op;
    op->job.run = cdc_op_run;
    op->job.done = cdc_op_done;
    op->job.data = op;

    return op;
}


int
cdc_op_concern(cdc_op_t *op, cdc_coll_t *c)
{
    cdc_coll_t  **colls;

    colls = realloc(op->colls, (op->ncolls + 1) * sizeof(cdc_coll_t *));
    if (colls == NULL) {
        cdc_repl_fail(op->repl, "out of memory");
        return CDC_ERROR;
    }

    op->colls = colls;
    op->colls[op->ncolls++] = c;

    return CDC_OK;
}


void
cdc_op_queue(cdc_op_t *op)
{
    cdc_op_t  **last;

    for (last = &op->repl->ops; *last; last = &(*last)->next) {
        if ((*last)->ts > op->ts) {
            break;
        }
    }

    op->next = *last;
    *last = op;

    cdc_op_kick(op->repl);
}


void
cdc_op_kick(cdc_repl_t *r)
{
    if (r->op_posted) {
        return;
    }

    r->op_posted = 1;
    r->op_post.handler = cdc_op_scan;
    r->op_post.data = r;

    cdc_loop_defer(r->loop, &r->op_post);
}


void
cdc_op_free(cdc_op_t *op)
{
    cdc_item_t  *item;

    cdc_timer_del(op->repl->loop, &op->timer);

    while (op->held.head) {
        item = op->held.head;
        op->held.head = item->next;
        cdc_item_free(item);
    }

    if (op->found) {
        cdc_target_collection_free(op->found);
    }

    free(op->colls);
    free(op->db);
    free(op->raw);
    free(op->target_db);
    free(op->target_name);
    free(op->part_name);
    free(op->create_bytes);
    free(op->names);
    free(op);
}


/* a drop was read on one of the collection's channels; owns the item */

int
cdc_op_drop_read(cdc_coll_t *c, cdc_item_t *item)
{
    int64_t         part_id;
    cdc_op_t       *op;
    cdc_op_kind_e   kind;

    kind = item->env.type == CDC_MSG_DROP_COLLECTION
           ? CDC_OP_DROP_COLLECTION : CDC_OP_DROP_PARTITION;
    part_id = kind == CDC_OP_DROP_PARTITION ? item->env.partition_id : 0;

    for (op = c->repl->ops; op; op = op->next) {
        if (op->kind == kind && op->colls[0] == c && op->part_id == part_id
            && !op->running)
        {
            break;
        }
    }

    if (op == NULL) {
        op = cdc_op_new(c->repl, kind, item->env.ts);

        if (op == NULL || cdc_op_concern(op, c) != CDC_OK) {
            return CDC_ERROR;
        }

        op->part_id = part_id;
        op->topic = item->ch->name;
        op->pos = item->pos;
        cdc_op_queue(op);
    }

    cdc_list_push(&op->held, item);

    return CDC_OK;
}


/* channels are read again from the track: so are the drops */

void
cdc_op_forget_data(cdc_repl_t *r)
{
    cdc_op_t  *op, **last;

    for (last = &r->ops; *last; /* void */ ) {
        op = *last;

        if (op->held.n == 0) {
            last = &op->next;
            continue;
        }

        *last = op->next;
        cdc_op_free(op);
    }
}


int
cdc_op_busy_data(cdc_repl_t *r)
{
    cdc_op_t  *op;

    for (op = r->ops; op; op = op->next) {
        if (op->running && op->held.n) {
            return 1;
        }
    }

    return 0;
}


static int
cdc_op_concerns(const cdc_op_t *op, const cdc_coll_t *c)
{
    unsigned  i;

    for (i = 0; i < op->ncolls; i++) {
        if (op->colls[i] == c) {
            return 1;
        }
    }

    return 0;
}


int
cdc_op_pending_on(const cdc_coll_t *c, cdc_op_kind_e kind)
{
    const cdc_op_t  *op;

    for (op = c->repl->ops; op; op = op->next) {
        if (op->kind == kind && cdc_op_concerns(op, c)) {
            return 1;
        }
    }

    return 0;
}


/* an operation before it, on the same collection, or not yet known on what */

static int
cdc_op_overtakes(const cdc_op_t *op)
{
    unsigned         i;
    const cdc_op_t  *prev;

    for (prev = op->repl->ops; prev && prev != op; prev = prev->next) {
        if (prev->from_rchannel && !prev->synced) {
            return 1;
        }

        for (i = 0; i < op->ncolls; i++) {
            if (cdc_op_concerns(prev, op->colls[i])) {
                return 1;
            }
        }
    }

    return 0;
}


static int
cdc_op_channels_passed(const cdc_op_t *op, const cdc_coll_t *c)
{
    int64_t             part_id;
    unsigned            i;
    const cdc_shard_t  *s;

    part_id = op->kind == CDC_OP_DROP_PARTITION ? op->part_id : 0;

    for (i = 0; i < c->nshards; i++) {
        s = &c->shards[i];

        if (op->initial) {
            if (s->ch->listed_tick == 0
                || s->ch->tick_acked < s->ch->listed_tick)
            {
                return 0;
            }

        } else if (!cdc_channel_passed(s->ch, c, part_id, op->ts)) {
            return 0;
        }
    }

    return 1;
}


static unsigned
cdc_op_distinct_channels(const cdc_coll_t *c)
{
    unsigned  i, j, n;

    for (i = 0, n = 0; i < c->nshards; i++) {
        for (j = 0; j < i && c->shards[j].ch != c->shards[i].ch; j++) {
            /* void */
        }

        n += j == i;
    }

    return n;
}


static int
cdc_op_db_pending(const cdc_op_t *op, cdc_op_kind_e kind)
{
    const cdc_op_t  *prev;

    for (prev = op->repl->ops; prev; prev = prev->next) {
        if (prev != op && prev->kind == kind && prev->db
            && prev->number < op->number && strcmp(prev->db, op->db) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
cdc_op_db_in_use(const cdc_op_t *op)
{
    cdc_coll_t  *c;

    for (c = op->repl->colls; c; c = c->next) {
        if (c->state != CDC_COLL_GONE && strcmp(c->db, op->db) == 0
            && (op->ts == 0 || c->create_ts < op->ts))
        {
            return 1;
        }
    }

    return 0;
}


static int
cdc_op_create_ready(const cdc_op_t *op)
{
    cdc_coll_t  *c;
    cdc_part_t  *p;

    c = op->colls[0];

    if (op->kind == CDC_OP_CREATE_COLLECTION) {
        return !cdc_coll_name_taken(c)
               && !cdc_op_db_pending(op, CDC_OP_CREATE_DATABASE);
    }

    p = cdc_coll_part(c, op->part_id);

    return c->state == CDC_COLL_GONE || p == NULL || p->gone || p->target_id
           || (c->state == CDC_COLL_LIVE && !cdc_part_name_taken(c, p));
}


static int
cdc_op_ready(const cdc_op_t *op)
{
    unsigned  i;

    if (op->lost) {
        return 1;
    }

    switch (op->kind) {

    case CDC_OP_CREATE_DATABASE:
        return !cdc_op_db_pending(op, CDC_OP_DROP_DATABASE);

    case CDC_OP_CREATE_COLLECTION:
    case CDC_OP_CREATE_PARTITION:
        return cdc_op_create_ready(op);

    case CDC_OP_DROP_DATABASE:
        return !cdc_op_db_in_use(op) && !cdc_op_overtakes(op);

    case CDC_OP_DROP_COLLECTION:
        if (op->held.n < cdc_op_distinct_channels(op->colls[0])) {
            return 0;
        }

        break;

    default:
        break;
    }

    if (cdc_op_overtakes(op)) {
        return 0;
    }

    for (i = 0; i < op->ncolls; i++) {
        if (op->colls[i]->state == CDC_COLL_GONE) {
            continue;
        }

        if (!cdc_coll_bound(op->colls[i])
            || !cdc_op_channels_passed(op, op->colls[i]))
        {
            return 0;
        }
    }

    return 1;
}


/* off the queue: its messages are done */

static void
cdc_op_finish(cdc_op_t *op)
{
    cdc_op_t   **last;
    cdc_item_t  *item;
    cdc_repl_t  *r;

    r = op->repl;

    for (last = &r->ops; *last != op; last = &(*last)->next) { /* void */ }

    *last = op->next;

    while (op->held.head) {
        item = op->held.head;
        op->held.head = item->next;
        cdc_channel_farewell(item);
    }

    if (op->from_rchannel) {
        cdc_rchannel_done(r, op->rnumber);
    }

    if (op->initial) {
        cdc_coll_initial_done(op->colls[0]);
    }

    cdc_op_free(op);

    cdc_checkpoint_soon(r);
    cdc_op_kick(r);
    cdc_repl_pump(r);
}


/* nothing is left to do on the target */

static int
cdc_op_moot(const cdc_op_t *op)
{
    unsigned              i;
    cdc_part_t           *p;
    const cdc_meta_db_t  *db;

    if (op->kind == CDC_OP_CREATE_DATABASE) {
        return 0;
    }

    if (op->kind == CDC_OP_DROP_DATABASE) {

        /* the name lives again: what is in it now must stay */

        db = cdc_meta_db_by_name(op->repl->meta,
                                 cdc_span_n(op->db, strlen(op->db)));

        return db && !db->gone && (op->ts == 0 || db->created_ts > op->ts);
    }

    if (op->kind == CDC_OP_CREATE_COLLECTION) {
        return op->colls[0]->state != CDC_COLL_NEW
               && op->colls[0]->state != CDC_COLL_CREATING;
    }

    for (i = 0; i < op->ncolls; i++) {
        if (op->colls[i]->state == CDC_COLL_GONE) {
            return 1;
        }
    }

    if (op->kind == CDC_OP_CREATE_PARTITION) {
        p = cdc_coll_part(op->colls[0], op->part_id);
        return p == NULL || p->gone || p->target_id;
    }

    if (op->kind == CDC_OP_DROP_PARTITION) {
        p = cdc_coll_part(op->colls[0], op->part_id);
        return p == NULL || p->gone;
    }

    return 0;
}


static void
cdc_op_intent_durable(void *arg)
{
    cdc_op_t  *op = arg;

    cdc_worker_submit(op->repl->ops_worker, &op->job);
}


static int
cdc_op_copy_names(cdc_op_t *op)
{
    cdc_coll_t  *c;
    cdc_part_t  *p;

    free(op->target_db);
    free(op->target_name);
    free(op->part_name);
    op->target_db = op->target_name = op->part_name = NULL;

    c = op->ncolls ? op->colls[0] : NULL;
    op->target_db = strdup(c ? c->target_db : op->db
                           ? cdc_selection_target_db(op->repl->selection,
                                                     op->db) : "default");

    if (c) {
        op->target_name = strdup(c->target_name);
        op->target_id = c->target_id;
        p = cdc_coll_part(c, op->part_id);

        if (p) {
            op->part_name = strdup(p->name);
            op->target_part_id = p->target_id;
        }
    }

    if (op->target_db == NULL || (c && op->target_name == NULL)) {
        cdc_repl_fail(op->repl, "out of memory");
        return CDC_ERROR;
    }

    if (op->kind != CDC_OP_APPLY || op->ncolls == 0 || op->names) {
        return CDC_OK;
    }

    /* an alias in the request becomes the collection that it meant */

    op->names = calloc(op->ncolls, sizeof(cdc_span_t));
    if (op->names == NULL) {
        cdc_repl_fail(op->repl, "out of memory");
        return CDC_ERROR;
    }

    for (op->nnames = 0; op->nnames < op->ncolls; op->nnames++) {
        c = op->colls[op->nnames];
        op->names[op->nnames] = cdc_span_n(c->target_name,
                                              strlen(c->target_name));
    }

    return CDC_OK;
}


static void
cdc_op_start(cdc_op_t *op)
{
    cdc_coll_t  *c;
    cdc_part_t  *p;

    if (cdc_op_copy_names(op) != CDC_OK) {
        return;
    }

    op->running = 1;
    c = op->ncolls ? op->colls[0] : NULL;

    switch (op->kind) {

    case CDC_OP_CREATE_COLLECTION:
        if (c->state == CDC_COLL_NEW) {
            c->state = CDC_COLL_CREATING;
        }

        break;

    case CDC_OP_DROP_COLLECTION:
        if (c->state == CDC_COLL_LIVE) {
            c->state = CDC_COLL_DROPPING;
        }

        break;

    case CDC_OP_DROP_PARTITION:
        p = cdc_coll_part(c, op->part_id);
        if (p) {
            p->dropping = 1;
        }

        break;

    default:
        cdc_worker_submit(op->repl->ops_worker, &op->job);
        return;
    }

    c->dirty = 1;

    /* a crash must know what was meant before the target does */

    if (cdc_checkpoint_barrier(op->repl, cdc_op_intent_durable, op)
        != CDC_OK)
    {
        cdc_repl_fail(op->repl, "out of memory");
    }
}


static void
cdc_op_scan(cdc_post_t *post)
{
    cdc_op_t    *op;
    cdc_repl_t  *r = post->data;

    r->op_posted = 0;

    if (!r->running || r->stopping || r->failed) {
        return;
    }

    for (op = r->ops; op; op = op->next) {
        if (op->running || op->sleeping
            || (op->from_rchannel && !op->synced)
            || (r->resetting && op->held.n))
        {
            continue;
        }

        if (op->done || cdc_op_moot(op)) {
            cdc_op_finish(op);           /* which looks again */
            return;
        }

        if (cdc_op_ready(op)) {
            cdc_op_start(op);
        }
    }
}


static void
cdc_op_sleep(cdc_op_t *op)
{
    op->backoff = op->backoff ? op->backoff * 2 : CDC_BACKOFF_MIN;

    if (op->backoff > CDC_BACKOFF_MAX) {
        op->backoff = CDC_BACKOFF_MAX;
    }

    /* a refusal is worth a look more often: another operation ends it */

    if (op->refused_at && op->backoff > 500) {
        op->backoff = 500;
    }

    op->sleeping = 1;
    cdc_timer_add(op->repl->loop, &op->timer, op->backoff);
}


static int
cdc_op_source_gone(const cdc_op_t *op)
{
    unsigned                      i;
    const cdc_meta_collection_t  *m;

    for (i = 0; i < op->ncolls; i++) {
        m = cdc_meta_by_id(op->repl->meta, op->colls[i]->id);

        if (m && !m->gone && !m->dropping) {
            return 0;
        }
    }

    return op->ncolls > 0;
}


/* the target said no: CDC_OK when that ends the operation */

static int
cdc_op_refused(cdc_op_t *op)
{
    uint64_t     now;
    cdc_repl_t  *r;

    r = op->repl;
    now = cdc_now_ms();

    if (op->kind == CDC_OP_APPLY && cdc_op_source_gone(op)) {
        cdc_log(CDC_LOG_NOTICE, 0, "%s on \"%s.%s\" was refused and is "
                "skipped, the source has dropped the collection since: %s",
                cdc_op_name(op), op->target_db, op->target_name,
                op->error.text);
        return CDC_OK;
    }

    /* an initial operation may have been overtaken by later ones that wait
     * behind it, or differ from what the target had already */

    if (op->initial
        && (op->colls[0]->adopted
            || (op->refused_at && now - op->refused_at > CDC_REFUSED_MS)))
    {
        cdc_log(CDC_LOG_WARN, 0, "%s on \"%s.%s\", of the first listing, was "
                "refused and is left out: %s",
                cdc_op_name(op), op->target_db, op->target_name,
                op->error.text);
        return CDC_OK;
    }

    if (op->refused_at == 0) {
        op->refused_at = now;
        cdc_log(CDC_LOG_WARN, 0, "%s on \"%s.%s\" is refused, trying again: "
                "%s", cdc_op_name(op), op->target_db,
                op->target_name ? op->target_name : "", op->error.text);
    }

    if (now - op->refused_at > CDC_REFUSED_MAX_MS) {
        cdc_repl_fail(r, "the target refuses %s on \"%s.%s\" (topic \"%s\", "
                      "position %llu:%llu): %s; put the target right, then "
                      "resume the task", cdc_op_name(op), op->target_db,
                      op->target_name ? op->target_name : "",
                      op->topic ? op->topic : "metadata",
                      (unsigned long long) op->pos.hi,
                      (unsigned long long) op->pos.lo, op->error.text);
        return CDC_ERROR;
    }

    if (now - op->refused_at > CDC_REFUSED_MS
        && op->kind == CDC_OP_DROP_PARTITION
        && !cdc_meta_loaded(r->meta, op->colls[0]->id, op->part_id))
    {
        op->release_first = 1;
    }

    return CDC_AGAIN;
}


static int
cdc_op_failed(cdc_op_t *op)
{
    int  rc;

    switch (op->error.class) {

    case CDC_TARGET_REFUSED:
    case CDC_TARGET_NOT_FOUND:
    case CDC_TARGET_EXISTS:
        rc = cdc_op_refused(op);
        break;

    default:
        op->refused_at = 0;
        op->repl->status.retries++;

        if (op->kind == CDC_OP_APPLY && cdc_op_source_gone(op)) {
            rc = CDC_OK;                 /* its collection's drop waits */
            break;
        }

        cdc_repl_degraded(op->repl, CDC_CAUSE_OP, op->error.text);
        rc = CDC_AGAIN;
        break;
    }

    if (rc == CDC_AGAIN) {
        cdc_op_sleep(op);
    }

    return rc;
}


/* what the target has now is ours to know */

static void
cdc_op_result(cdc_op_t *op)
{
    char         err[CDC_REASON_MAX];
    cdc_coll_t  *c;
    cdc_part_t  *p;

    c = op->ncolls ? op->colls[0] : NULL;

    switch (op->kind) {

    case CDC_OP_CREATE_COLLECTION:
    case CDC_OP_CREATE_PARTITION:
        if (op->found && cdc_coll_bind(c, op->found, err) != CDC_OK) {
            cdc_repl_fail(op->repl, "%s", err);
            return;
        }

        if (op->kind == CDC_OP_CREATE_COLLECTION) {
            c->state = CDC_COLL_LIVE;
            cdc_coll_live(c);
        }

        break;

    case CDC_OP_DROP_COLLECTION:
        cdc_coll_gone(c);
        break;

    case CDC_OP_DROP_PARTITION:
        p = cdc_coll_part(c, op->part_id);
        if (p) {
            p->gone = 1;
            c->dirty = 1;
        }

        break;

    default:
        break;
    }
}


static void
cdc_op_done(cdc_job_t *job)
{
    cdc_op_t    *op;
    cdc_repl_t  *r;

    op = job->data;
    r = op->repl;
    op->running = 0;

    if (r->stopping || r->failed) {
        return;
    }

    if (r->resetting) {
        cdc_repl_reset(r, NULL);         /* it may have waited for this */
    }

    if (op->rc != CDC_OK) {
        if (cdc_op_failed(op) != CDC_OK) {
            cdc_op_kick(r);
            return;
        }

    } else {
        cdc_op_result(op);
        cdc_repl_degraded(r, CDC_CAUSE_OP, NULL);
        r->status.operations++;

        cdc_log(CDC_LOG_INFO, 0, "%s on \"%s.%s%s%s\"", cdc_op_name(op),
                op->target_db, op->target_name ? op->target_name : "",
                op->part_name ? "/" : "",
                op->part_name ? op->part_name : "");
    }

    op->done = 1;
    cdc_op_kick(r);
}
