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
 *     Where renames wait for each other in a circle (two names changed places
 *     while nobody looked), one steps aside to a name of our own first.
 *
 * A drop's own messages go to the target after it (cdc_channel_farewell).
 *
 * The replicate channel has no time ticks, so a drop may be tried before an
 * earlier release has been read.  The target refuses it then, and it is
 * tried again in place; when that channel has been read to its end, or after
 * CDC_REFUSED_MS, the source's metadata decides: if the source no longer
 * holds the partition loaded, we release it.
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


#define CDC_OP_RUNNING  8                /* with the ops thread at a time */


static void cdc_op_scan(cdc_post_t *post);
static void cdc_op_free_names(cdc_op_t *op);


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
        cdc_repl_no_memory();
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


void
cdc_op_concern(cdc_op_t *op, cdc_coll_t *c)
{
    cdc_coll_t  **colls;

    colls = realloc(op->colls, (op->ncolls + 1) * sizeof(cdc_coll_t *));
    if (colls == NULL) {
        cdc_repl_no_memory();
    }

    op->colls = colls;
    op->colls[op->ncolls++] = c;
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

    cdc_blob_free(&op->before);
    free(op->colls);
    free(op->db);
    free(op->raw);
    free(op->alias);
    free(op->new_db);
    free(op->new_name);
    free(op->to_db);
    free(op->to_name);
    free(op->target_db);
    free(op->target_name);
    free(op->part_name);
    free(op->create_bytes);
    cdc_op_free_names(op);
    free(op);
}


/* a drop was read on one of the collection's channels; owns the item */

void
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
        cdc_op_concern(op, c);

        op->part_id = part_id;
        op->topic = item->ch->name;
        op->pos = item->pos;
        cdc_op_queue(op);
    }

    cdc_list_push(&op->held, item);
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


int
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


cdc_op_t *
cdc_op_last(const cdc_repl_t *r, cdc_op_kind_e kind, const cdc_coll_t *c)
{
    cdc_op_t  *op, *last;

    last = NULL;

    for (op = r->ops; op; op = op->next) {
        if (op->kind == kind && !op->done
            && (c == NULL || cdc_op_concerns(op, c)))
        {
            last = op;
        }
    }

    return last;
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
        if (op->applied) {
            cdc_parked_applied(r, op->parking);
        } else {
            cdc_parked_unapplied(r, op->parking, op->error.text);
        }

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


static void
cdc_op_intent_durable(void *arg)
{
    cdc_op_t  *op = arg;

    CDC_FAULT("operation-intent");
    cdc_worker_submit(op->repl->ops_worker, &op->job);
}


/* a crash must know what was meant before the target does */

static void
cdc_op_intent_write(cdc_op_t *op)
{
    if (cdc_checkpoint_barrier(op->repl, cdc_op_intent_durable, op)
        != CDC_OK)
    {
        cdc_repl_no_memory();
    }
}


static void
cdc_op_free_names(cdc_op_t *op)
{
    while (op->nnames) {
        free((uint8_t *) op->names[--op->nnames].data);
    }

    free(op->names);
    op->names = NULL;
}


static void
cdc_op_copy_names(cdc_op_t *op)
{
    char        *name;
    unsigned     i;
    cdc_coll_t  *c;
    cdc_part_t  *p;

    free(op->target_db);
    free(op->target_name);
    free(op->part_name);
    op->target_db = op->target_name = op->part_name = NULL;

    c = op->ncolls ? op->colls[0] : NULL;
    op->target_db = strdup(c ? c->target_db : op->db
                           ? cdc_selection_target_db(op->repl->selection,
                                                     op->db) : CDC_DEFAULT_DB);

    if (c) {
        op->target_name = strdup(c->target_name);
        op->target_id = c->target_id;
        op->source_id = c->id;
        p = cdc_coll_part(c, op->part_id);

        if (p) {
            op->part_name = strdup(p->name);
            op->target_part_id = p->target_id;

            if (op->part_name == NULL) {
                cdc_repl_no_memory();
            }
        }
    }

    if (op->target_db == NULL || (c && op->target_name == NULL)) {
        cdc_repl_no_memory();
    }

    if (op->kind != CDC_OP_APPLY || op->ncolls == 0) {
        return;
    }

    /* an alias in the request becomes the collection that it meant */

    cdc_op_free_names(op);
    op->names = calloc(op->ncolls, sizeof(cdc_span_t));
    if (op->names == NULL) {
        cdc_repl_no_memory();
    }

    for (i = 0; i < op->ncolls; i++) {
        c = op->colls[i];

        if (c->state == CDC_COLL_GONE) {
            continue;                    /* one of several in a Flush */
        }

        /* copies: a rename may come to its end meanwhile */

        name = strdup(c->target_name);
        if (name == NULL) {
            cdc_repl_no_memory();
        }

        op->names[op->nnames++] = cdc_span_n(name, strlen(name));
    }
}


void
cdc_op_aside_name(char *name, size_t size, int64_t id)
{
    snprintf(name, size, "milvus_cdc_aside_%lld", (long long) id);
}


static int
cdc_op_copy_target(cdc_op_t *op, const char *db, const char *name)
{
    free(op->to_db);
    free(op->to_name);
    op->to_db = strdup(db);
    op->to_name = strdup(name);

    return op->to_db && op->to_name ? CDC_OK : CDC_ERROR;
}


/* where a rename goes; aside when two have each other's names */

static int
cdc_op_copy_new_names(cdc_op_t *op)
{
    char         aside[CDC_OP_ASIDE_MAX];
    cdc_coll_t  *c;
    cdc_repl_t  *r;
    const char  *db, *name;

    r = op->repl;
    c = op->colls[0];
    op->aside = cdc_op_circle(op);

    if (op->aside) {
        cdc_op_aside_name(aside, sizeof(aside), c->id);
        db = c->target_db;
        name = aside;

    } else {
        db = cdc_selection_target_db(r->selection, op->new_db);
        name = cdc_selection_target_name(r->selection, op->new_db,
                                         op->new_name);
    }

    return cdc_op_copy_target(op, db, name);
}


/* what else the ops thread has to know */

static int
cdc_op_copy_more(cdc_op_t *op)
{
    cdc_coll_t   *c;
    cdc_dbase_t  *db;

    c = op->ncolls ? op->colls[0] : NULL;

    switch (op->kind) {

    case CDC_OP_RENAME_COLLECTION:
        return cdc_op_copy_new_names(op);

    case CDC_OP_DROP_COLLECTION:
        return c->rename_name
               ? cdc_op_copy_target(op,
                     cdc_selection_target_db(op->repl->selection,
                                             c->rename_db),
                     cdc_selection_target_name(op->repl->selection,
                                               c->rename_db, c->rename_name))
               : CDC_OK;

    case CDC_OP_ALTER_COLLECTION:
        return cdc_blob_set(&op->before, cdc_span_n(c->properties.data,
                                                    c->properties.len));

    case CDC_OP_ALTER_SCHEMA:
        return cdc_blob_set(&op->before, cdc_span_n(c->schema.data,
                                                    c->schema.len));

    case CDC_OP_LOAD:
        return cdc_load_start(op);

    case CDC_OP_ALTER_DATABASE:
        for (db = op->repl->databases; db; db = db->next) {
            if (db->id == op->db_id) {
                return cdc_blob_set(&op->before,
                                    cdc_span_n(db->properties.data,
                                               db->properties.len));
            }
        }

        return CDC_OK;

    default:
        return CDC_OK;
    }
}


/* what a crash must know; CDC_DECLINED: nothing, it can be found again */

static int
cdc_op_intent(cdc_op_t *op, cdc_coll_t *c)
{
    unsigned     i;
    cdc_part_t  *p;

    switch (op->kind) {

    case CDC_OP_CREATE_COLLECTION:
        if (c->state == CDC_COLL_NEW) {
            c->state = CDC_COLL_CREATING;
        }

        break;

    case CDC_OP_CREATE_PARTITION:
        break;                           /* that it exists */

    case CDC_OP_DROP_COLLECTION:
        if (c->state == CDC_COLL_LIVE) {
            c->state = CDC_COLL_DROPPING;
        }

        for (i = 0; i < c->nshards && op->held.n; i++) {
            c->shards[i].owed = 1;
        }

        break;

    case CDC_OP_DROP_PARTITION:
        p = cdc_coll_part(c, op->part_id);
        if (p) {
            p->dropping = 1;
        }

        break;

    case CDC_OP_RENAME_COLLECTION:
        free(c->rename_db);
        free(c->rename_name);
        c->rename_db = strdup(op->new_db);
        c->rename_name = strdup(op->new_name);

        if (c->rename_db == NULL || c->rename_name == NULL) {
            cdc_repl_no_memory();
        }

        break;

    case CDC_OP_CREATE_DATABASE:
        return CDC_OK;                   /* it is dirty since it is known */

    case CDC_OP_ALIAS:
        cdc_alias_intent(op);
        return CDC_OK;

    default:
        return CDC_DECLINED;
    }

    c->dirty = 1;

    return CDC_OK;
}


static void
cdc_op_start(cdc_op_t *op)
{
    cdc_coll_t  *c;

    cdc_op_copy_names(op);

    if (cdc_op_copy_more(op) != CDC_OK) {
        cdc_repl_no_memory();
    }

    op->running = 1;
    cdc_load_starts(op);
    c = op->ncolls ? op->colls[0] : NULL;

    op->looks = op->kind == CDC_OP_CREATE_COLLECTION
                && c->state == CDC_COLL_NEW;

    if (op->looks || cdc_op_intent(op, c) != CDC_OK) {
        cdc_worker_submit(op->repl->ops_worker, &op->job);
        return;
    }

    cdc_op_intent_write(op);
}


/* the name is free: what is found there from now on is ours */

void
cdc_op_looked(cdc_op_t *op)
{
    op->looks = 0;
    op->running = 1;

    (void) cdc_op_intent(op, op->colls[0]);
    cdc_op_intent_write(op);
}


/* those behind it, on the same collections, have to wait */

static void
cdc_op_mark(const cdc_op_t *op)
{
    unsigned     i;
    cdc_repl_t  *r;

    r = op->repl;

    if (op->from_rchannel && !op->synced) {
        r->scan_unknown = 1;
    }

    /* the load state stands outside the order */

    for (i = 0; i < op->ncolls && op->kind != CDC_OP_LOAD; i++) {
        op->colls[i]->scan = r->scan;
    }
}


/*
 * One pass over the queue.  The ops thread takes one after the other, so a
 * few that wait for it are enough; with thousands in the queue the others
 * need not be looked at before.
 */

static void
cdc_op_scan(cdc_post_t *post)
{
    unsigned     running;
    cdc_op_t    *op, *next;
    cdc_repl_t  *r = post->data;

    r->op_posted = 0;

    if (!r->running || r->stopping || r->failed) {
        return;
    }

    r->scan++;
    r->scan_unknown = 0;
    running = 0;

    /* one that runs holds up what came after it and stands before it */

    for (op = r->ops; op; op = op->next) {
        if (op->running) {
            running++;
            cdc_op_mark(op);
        }
    }

    for (op = r->ops; op && !r->failed; op = next) {
        next = op->next;

        if (op->running) {
            continue;
        }

        if ((op->from_rchannel && !op->synced)
            || (r->resetting && op->held.n))
        {
            cdc_op_mark(op);
            continue;
        }

        if (op->done || cdc_op_moot(op)) {
            if (op->backoff) {
                cdc_op_recovered(op);    /* it is not wanted any more */
            }

            cdc_op_finish(op);
            continue;
        }

        if (op->sleeping) {
            cdc_op_mark(op);
            continue;
        }

        if (running < CDC_OP_RUNNING && cdc_op_ready(op)) {
            cdc_op_start(op);
            running++;
        }

        cdc_op_mark(op);
    }
}
