/*
 * Operations: when one may run, and whether there is anything left to do.
 *
 * Nothing here changes anything: the queue is looked at again after every
 * event that may matter (cdc_op.c).
 */

#include "cdc_replicator.h"

#include <string.h>


/* an operation before it, on the same collection, or not yet known on what:
 * what this pass over the queue has met so far (cdc_op.c) */

static int
cdc_op_overtakes(const cdc_op_t *op)
{
    unsigned  i;

    if (op->repl->scan_unknown) {
        return 1;
    }

    for (i = 0; i < op->ncolls; i++) {
        if (op->colls[i]->scan == op->repl->scan) {
            return 1;
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


static const char *
cdc_op_target_db(const cdc_op_t *op)
{
    return cdc_selection_target_db(op->repl->selection, op->db);
}


static int
cdc_op_db_pending(const cdc_op_t *op, cdc_op_kind_e kind)
{
    const cdc_op_t  *prev;

    for (prev = op->repl->ops; prev; prev = prev->next) {
        if (prev != op && prev->kind == kind && prev->db
            && prev->number < op->number
            && strcmp(cdc_op_target_db(prev), cdc_op_target_db(op)) == 0)
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
        if (c->state != CDC_COLL_GONE
            && strcmp(c->target_db, cdc_op_target_db(op)) == 0
            && (op->ts ? c->create_ts < op->ts : c->state != CDC_COLL_NEW))
        {
            return 1;
        }
    }

    return 0;
}


/* the name on the target that the operation is going to give */

static int
cdc_op_claims(const cdc_op_t *op, const char **db, const char **name)
{
    const cdc_selection_t  *s;

    s = op->repl->selection;

    switch (op->kind) {

    case CDC_OP_CREATE_COLLECTION:
        *db = op->colls[0]->target_db;
        *name = op->colls[0]->target_name;
        return 1;

    case CDC_OP_RENAME_COLLECTION:
        *db = cdc_selection_target_db(s, op->new_db);
        *name = cdc_selection_target_name(s, op->new_db, op->new_name);
        return 1;

    case CDC_OP_ALIAS:
        *db = cdc_op_target_db(op);
        *name = op->alias;
        return op->alias_coll != 0;

    default:
        return 0;
    }
}


/*
 * A name that one operation gives and takes away again is not free for a
 * later one before, even if nobody bears it yet: it would never be free for
 * the earlier then.
 */

static int
cdc_op_claimed_before(const cdc_op_t *op)
{
    const char      *db, *name, *prev_db, *prev_name;
    const cdc_op_t  *prev;

    (void) cdc_op_claims(op, &db, &name);

    for (prev = op->repl->ops; prev && prev != op; prev = prev->next) {
        if (!prev->done && cdc_op_claims(prev, &prev_db, &prev_name)
            && strcmp(prev_name, name) == 0 && strcmp(prev_db, db) == 0)
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
        return !cdc_coll_name_taken(c) && !cdc_op_claimed_before(op)
               && !cdc_alias_bears(op->repl, c->target_db, c->target_name)
               && !cdc_op_db_pending(op, CDC_OP_CREATE_DATABASE);
    }

    p = cdc_coll_part(c, op->part_id);

    return c->state == CDC_COLL_GONE || p == NULL || p->gone || p->target_id
           || (c->state == CDC_COLL_LIVE && !cdc_part_name_taken(c, p));
}


/* where a rename goes, on the target */

static cdc_coll_t *
cdc_op_in_the_way(const cdc_op_t *op)
{
    cdc_repl_t  *r;

    r = op->repl;

    return cdc_coll_bearer(r, op->colls[0],
                           cdc_selection_target_db(r->selection, op->new_db),
                           cdc_selection_target_name(r->selection, op->new_db,
                                                     op->new_name));
}


int
cdc_op_circle(const cdc_op_t *op)
{
    unsigned         n;
    cdc_coll_t      *c;
    const cdc_op_t  *next;

    next = op;

    for (n = 0; n < 1000; n++) {
        c = cdc_op_in_the_way(next);

        if (c == NULL) {
            return 0;
        }

        if (c == op->colls[0]) {
            return 1;
        }

        next = cdc_op_last(op->repl, CDC_OP_RENAME_COLLECTION, c);

        if (next == NULL) {
            return 0;
        }
    }

    return 0;
}


static int
cdc_op_rename_ready(const cdc_op_t *op)
{
    const char        *db, *name;
    const cdc_coll_t  *c;

    c = op->colls[0];
    (void) cdc_op_claims(op, &db, &name);

    return c->state == CDC_COLL_LIVE && !cdc_op_overtakes(op)
           && !cdc_op_claimed_before(op)
           && !cdc_alias_bears(op->repl, db, name)
           && (cdc_op_in_the_way(op) == NULL || cdc_op_circle(op));
}


static int
cdc_op_alias_ready(const cdc_op_t *op)
{
    unsigned     i;
    cdc_repl_t  *r;

    r = op->repl;

    for (i = 0; i < op->ncolls; i++) {
        if (op->colls[i]->id == op->alias_coll
            && !cdc_coll_bound(op->colls[i])
            && op->colls[i]->state != CDC_COLL_GONE)
        {
            return 0;
        }
    }

    return !cdc_op_overtakes(op)
           && (op->alias_coll == 0
               || (!cdc_op_claimed_before(op)
                   && cdc_coll_bearer(r, NULL, cdc_op_target_db(op),
                                      op->alias) == NULL));
}


int
cdc_op_ready(const cdc_op_t *op)
{
    unsigned  i;

    if (op->lost) {
        return 1;
    }

    if (cdc_load_waits(op)) {
        return 0;
    }

    switch (op->kind) {

    case CDC_OP_CREATE_DATABASE:
        return !cdc_op_db_pending(op, CDC_OP_DROP_DATABASE);

    case CDC_OP_CREATE_COLLECTION:
    case CDC_OP_CREATE_PARTITION:
        return cdc_op_create_ready(op);

    case CDC_OP_ALTER_DATABASE:
        return !cdc_op_db_pending(op, CDC_OP_CREATE_DATABASE);

    case CDC_OP_DROP_DATABASE:
        return !cdc_op_db_in_use(op) && !cdc_op_overtakes(op)
               && !cdc_op_db_pending(op, CDC_OP_CREATE_DATABASE);

    case CDC_OP_RENAME_COLLECTION:
        return cdc_op_rename_ready(op);

    case CDC_OP_ALTER_COLLECTION:
    case CDC_OP_ALTER_SCHEMA:
        return op->colls[0]->state == CDC_COLL_LIVE && !cdc_op_overtakes(op);

    case CDC_OP_ALIAS:
        return cdc_op_alias_ready(op);

    case CDC_OP_LOAD:
        return cdc_load_ready(op);

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


int
cdc_op_moot(const cdc_op_t *op)
{
    unsigned              i, gone;
    cdc_part_t           *p;
    const cdc_meta_db_t  *db;

    if (op->kind == CDC_OP_CREATE_DATABASE
        || op->kind == CDC_OP_ALTER_DATABASE || op->kind == CDC_OP_ALIAS)
    {
        return 0;
    }

    if (op->kind == CDC_OP_DROP_DATABASE) {

        /* the name lives again: what is in it now must stay */

        db = cdc_meta_db_by_name(op->repl->meta,
                                 cdc_span_n(op->db, strlen(op->db)));

        return (db && !db->gone
                && (op->ts == 0 || db->created_ts > op->ts))
               || cdc_database_shared(op);
    }

    if (op->kind == CDC_OP_CREATE_COLLECTION) {
        return op->colls[0]->state != CDC_COLL_NEW
               && op->colls[0]->state != CDC_COLL_CREATING;
    }

    /* its drop releases it as well; Milvus takes a second for a release, one
     * after the other */

    if (op->kind == CDC_OP_LOAD && cdc_op_source_gone(op)) {
        return 1;
    }

    for (i = 0, gone = 0; i < op->ncolls; i++) {
        gone += op->colls[i]->state == CDC_COLL_GONE;
    }

    if (gone && gone == op->ncolls) {
        return 1;
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


