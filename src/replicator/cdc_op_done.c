/*
 * Operations: what follows when the target has answered.
 *
 * Done: what the target has now is written down.  Found under the name of a
 * collection that is to be made: ours, behind the intent; before it, and when
 * another one of the source's still bears it, somebody else's.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <string.h>


static int
cdc_op_created(cdc_op_t *op)
{
    cdc_coll_t  *c;

    c = op->colls[0];
    c->state = CDC_COLL_LIVE;
    c->known = 1;

    if (cdc_blob_set(&c->schema, op->create.schema) != CDC_OK
        || cdc_blob_set(&c->properties, op->create.properties) != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_lane_hurry(c);
    cdc_coll_live(c);

    return CDC_OK;
}


static int
cdc_op_renamed(cdc_op_t *op)
{
    cdc_coll_t  *c;

    c = op->colls[0];

    if (op->aside) {
        return cdc_coll_named(c, c->db, c->name, op->to_db, op->to_name);
    }

    return cdc_coll_named(c, op->new_db, op->new_name, op->to_db,
                          op->to_name);
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

        if (op->kind == CDC_OP_CREATE_COLLECTION
            && cdc_op_created(op) != CDC_OK)
        {
            cdc_repl_no_memory();
        }

        break;

    case CDC_OP_DROP_COLLECTION:
        cdc_coll_gone(c);
        break;

    case CDC_OP_DROP_PARTITION:
        p = cdc_coll_part(c, op->part_id);
        if (p) {
            p->gone = 1;
            p->gone_ts = op->ts;
            c->dirty = 1;
        }

        if (op->release_first) {
            cdc_load_look(c, 1);
        }

        break;

    case CDC_OP_RENAME_COLLECTION:
        if (cdc_op_renamed(op) != CDC_OK) {
            cdc_repl_no_memory();
        }

        break;

    case CDC_OP_ALTER_COLLECTION:
    case CDC_OP_ALTER_SCHEMA:
        if (cdc_blob_set(op->kind == CDC_OP_ALTER_SCHEMA ? &c->schema
                                                         : &c->properties,
                         cdc_span_n(op->raw, op->raw_len)) != CDC_OK)
        {
            cdc_repl_no_memory();
        }

        c->dirty = 1;

        if (op->release_first) {
            cdc_load_look(c, 1);
        }

        break;

    case CDC_OP_CREATE_DATABASE:
    case CDC_OP_ALTER_DATABASE:
    case CDC_OP_DROP_DATABASE:
        cdc_database_done(op);
        break;

    case CDC_OP_ALIAS:
        cdc_alias_done(op);
        break;

    case CDC_OP_LOAD:
    case CDC_OP_APPLY:
        if (c) {
            cdc_load_done(op);
        }

        break;

    default:
        break;
    }
}


/* under that name the target has one that is another's, on its way out, or
 * nobody's of ours */

static int
cdc_op_found_other(cdc_op_t *op)
{
    cdc_coll_t  *other;

    if (op->kind != CDC_OP_CREATE_COLLECTION || op->found == NULL) {
        return 0;
    }

    other = cdc_coll_by_target(op->repl, op->found->id);

    if (other != NULL && other != op->colls[0]) {
        snprintf(op->error.text, CDC_REASON_MAX, "the target's \"%.200s."
                 "%.200s\" is still the collection \"%.200s.%.200s\" of the "
                 "source", op->target_db, op->target_name, other->db,
                 other->name);

    } else if (op->looks) {
        snprintf(op->error.text, CDC_REASON_MAX, "the target has a collection "
                 "\"%.200s.%.200s\" of its own: drop or rename it there; or "
                 "pause and resume the task, which takes it over if it has "
                 "the source's schema", op->target_db, op->target_name);

    } else {
        return 0;
    }

    op->error.class = CDC_TARGET_EXISTS;

    return 1;
}


void
cdc_op_done(cdc_job_t *job)
{
    cdc_op_t    *op = job->data;
    cdc_repl_t  *r;

    r = op->repl;
    op->running = 0;

    if (r->stopping || r->failed) {
        return;
    }

    if (r->resetting) {
        cdc_repl_reset(r, NULL);         /* it may have waited for this */
    }

    cdc_load_tried(op);

    if (op->rc == CDC_OK && cdc_op_found_other(op)) {
        op->rc = CDC_ERROR;
    }

    if (op->rc == CDC_OK && op->looks) {
        cdc_op_looked(op);
        return;
    }

    if (op->rc != CDC_OK) {
        if (cdc_op_failed(op) != CDC_OK) {
            cdc_op_kick(r);
            return;
        }

    } else {
        cdc_op_result(op);
        cdc_op_recovered(op);
        cdc_op_applied(op);
        op->applied = 1;
    }

    op->done = !op->aside;
    op->aside = 0;
    CDC_FAULT("operation-done");
    cdc_op_kick(r);
}
