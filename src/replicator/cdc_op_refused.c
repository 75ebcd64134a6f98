/*
 * Operations: what follows when the target did not do it.
 *
 * Out of reach or in doubt: again, with back-off, for ever; each is written
 * so that twice does no harm.  Refused: again in place, because an operation
 * that is still on its way may be what is missing; after CDC_REFUSED_MS the
 * task is degraded and the source's metadata decides.  After
 * CDC_REFUSED_MAX_MS the task pauses and names it; an operation of the
 * replicate channel is a message, and may be parked instead (cdc_parked.c).
 * The metadata's own load state, and the drop of a database, hold up nobody
 * and are tried for ever.  Not possible on this target at all: left out, and
 * said so.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <string.h>


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


int
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


/* what it is about will be dropped: its drop waits behind it */

static int
cdc_op_outlived(const cdc_op_t *op)
{
    switch (op->kind) {

    case CDC_OP_APPLY:
    case CDC_OP_RENAME_COLLECTION:
    case CDC_OP_ALTER_COLLECTION:
    case CDC_OP_ALTER_SCHEMA:
    case CDC_OP_ALIAS:
    case CDC_OP_LOAD:
        return cdc_op_source_gone(op);

    case CDC_OP_CREATE_COLLECTION:
        return op->looks && cdc_op_source_gone(op);

    default:
        return 0;
    }
}


/* the source did it while nothing was loaded */

static int
cdc_op_needs_release(const cdc_op_t *op)
{
    if (op->kind == CDC_OP_DROP_PARTITION) {
        return !cdc_meta_loaded(op->repl->meta, op->colls[0]->id,
                                op->part_id);
    }

    if (strstr(op->error.text, "loaded") == NULL) {
        return 0;
    }

    return op->kind == CDC_OP_ALTER_COLLECTION
           || op->kind == CDC_OP_ALTER_SCHEMA
           || (op->kind == CDC_OP_APPLY
               && (op->env.type == CDC_MSG_DROP_INDEX
                   || op->env.type == CDC_MSG_ALTER_INDEX));
}


/* skipped: what it would have changed is as it was, and nothing is made */

static void
cdc_op_skipped(cdc_op_t *op)
{
    cdc_coll_t  *c;

    if (op->kind == CDC_OP_RENAME_COLLECTION) {
        c = op->colls[0];
        (void) cdc_coll_named(c, c->db, c->name, c->target_db,
                              c->target_name);

    } else if (op->kind == CDC_OP_CREATE_COLLECTION) {
        cdc_coll_gone(op->colls[0]);
    }
}


/*
 * Refused for good.  One of the replicate channel is a message, and may be
 * parked; what the metadata tell, and drops of data channels, are states to
 * come to, and nothing goes on without.
 */

static int
cdc_op_poison(cdc_op_t *op)
{
    char          text[CDC_REASON_MAX];
    cdc_repl_t   *r;
    const char   *name;
    cdc_parked_t  what;

    r = op->repl;
    name = op->target_name ? op->target_name : "";

    snprintf(text, sizeof(text), "the target refuses %s on \"%.128s.%.128s\" "
             "(topic \"%.128s\", position %llu:%llu): %.384s; put the target "
             "right, then resume the task", cdc_op_name(op), op->target_db,
             name, op->topic ? op->topic : "metadata",
             (unsigned long long) op->pos.hi,
             (unsigned long long) op->pos.lo, op->error.text);

    if (!op->from_rchannel || op->kind != CDC_OP_APPLY) {
        cdc_repl_fail(r, "%s", text);
        return CDC_ERROR;
    }

    memset(&what, 0, sizeof(cdc_parked_t));
    what.pos = op->pos;
    what.channel = 1;
    snprintf(what.topic, sizeof(what.topic), "%s", op->topic);
    snprintf(what.operation, sizeof(what.operation), "%s", cdc_op_name(op));
    snprintf(what.collection, sizeof(what.collection), "%s.%s",
             op->ncolls ? op->colls[0]->db : op->db,
             op->ncolls ? op->colls[0]->name : "");
    snprintf(what.reason, sizeof(what.reason), "%.380s", op->error.text);

    return cdc_parked_add(r, &what, cdc_span_n(op->raw, op->raw_len), text);
}


/* what was asked for has no place any more */

static int
cdc_op_overtaken(cdc_op_t *op)
{
    if (cdc_op_outlived(op)) {
        cdc_log(CDC_LOG_NOTICE, 0, "%s on \"%s.%s\" was refused and is "
                "skipped, the source has dropped the collection since: %s",
                cdc_op_name(op), op->target_db, op->target_name,
                op->error.text);
        cdc_op_skipped(op);
        return 1;
    }

    /* an initial operation may have been overtaken by later ones that wait
     * behind it, or differ from what the target had already */

    if (op->initial
        && (op->colls[0]->adopted
            || (op->refused_at
                && cdc_now_ms() - op->refused_at > CDC_REFUSED_MS)))
    {
        cdc_log(CDC_LOG_WARN, 0, "%s on \"%s.%s\", of the first listing, was "
                "refused and is left out: %s",
                cdc_op_name(op), op->target_db, op->target_name,
                op->error.text);
        return 1;
    }

    return 0;
}


/* the target said no: CDC_OK when that ends the operation */

static int
cdc_op_refused(cdc_op_t *op)
{
    uint64_t     since, wait;
    unsigned     aside;
    cdc_repl_t  *r;

    if (cdc_op_overtaken(op)) {
        return CDC_OK;
    }

    r = op->repl;

    if (op->refused_at == 0) {
        op->refused_at = cdc_now_ms();
        cdc_log(CDC_LOG_WARN, 0, "%s on \"%s.%s\" is refused, trying again: "
                "%s", cdc_op_name(op), op->target_db,
                op->target_name ? op->target_name : "", op->error.text);
    }

    since = cdc_now_ms() - op->refused_at;

    /* an index may be on its way; what is in a database may be another
     * task's, and nothing waits for its end */

    aside = op->kind == CDC_OP_LOAD || op->kind == CDC_OP_DROP_DATABASE;

    if (since > CDC_REFUSED_MS) {

        if (aside && op->from_rchannel) {
            return CDC_OK;               /* the metadata's own goes on, and
                                          * the channel with it */
        }

        /* it may be long until the task pauses for it, if ever */

        cdc_repl_degraded(r, CDC_CAUSE_OP, op->error.text);
    }

    if (aside) {
        return CDC_AGAIN;
    }

    /* too few nodes, no such resource group, a partition that came and went:
     * what the metadata say of the load state takes over */

    if (since > CDC_REFUSED_MS && cdc_load_by_channel(op)) {
        cdc_log(CDC_LOG_WARN, 0, "%s on \"%s.%s\" was refused and is left to "
                "the load state of now: %s", cdc_op_name(op), op->target_db,
                op->target_name, op->error.text);
        cdc_load_done(op);
        return CDC_OK;
    }

    if (since > CDC_REFUSED_MAX_MS) {
        return cdc_op_poison(op);
    }

    /* at once when no release is on its way by the channel */

    wait = r->rstream && r->reader_ops->at_end(r->rstream)
           ? CDC_REFUSED_READ_MS : CDC_REFUSED_MS;

    if (since > wait && cdc_op_needs_release(op)) {
        op->release_first = 1;
    }

    return CDC_AGAIN;
}


/* a target may take one and still refuse another: a quota of partitions says
 * nothing about an index */

void
cdc_op_recovered(cdc_op_t *op)
{
    cdc_op_t    *other;
    const char  *why;

    op->backoff = 0;
    why = NULL;

    for (other = op->repl->ops; other; other = other->next) {
        if (other == op || other->done || other->backoff == 0
            || (other->refused_at
                && cdc_now_ms() - other->refused_at <= CDC_REFUSED_MS))
        {
            continue;
        }

        if (other->running) {
            return;                      /* its error is its thread's now,
                                          * and its end will say */
        }

        why = other->error.text;
        break;
    }

    cdc_repl_degraded(op->repl, CDC_CAUSE_OP, why);
}


int
cdc_op_failed(cdc_op_t *op)
{
    int       rc;
    unsigned  i;

    for (i = 0; i < op->ncolls; i++) {
        cdc_coll_error(op->colls[i], "%s: %s", cdc_op_name(op),
                       op->error.text);
    }

    if (op->rc == CDC_DECLINED) {
        cdc_log(CDC_LOG_WARN, 0, "%s on \"%s.%s\" is left out: %s",
                cdc_op_name(op), op->target_db,
                op->target_name ? op->target_name : "", op->error.text);
        cdc_repl_degraded(op->repl, CDC_CAUSE_SKIPPED, op->error.text);

        if (op->kind == CDC_OP_ALTER_DATABASE) {
            cdc_database_done(op);       /* what comes next is measured
                                          * against it */
        }

        return CDC_OK;
    }

    switch (op->error.class) {

    case CDC_TARGET_REFUSED:
    case CDC_TARGET_NOT_FOUND:
    case CDC_TARGET_EXISTS:
        rc = cdc_op_refused(op);
        break;

    default:
        op->refused_at = 0;
        op->repl->status.retries++;

        /* a rename may have come through, and its drop needs to know */

        if (op->kind != CDC_OP_RENAME_COLLECTION && cdc_op_outlived(op)) {
            cdc_op_skipped(op);
            rc = CDC_OK;
            break;
        }

        cdc_repl_degraded(op->repl, CDC_CAUSE_OP, op->error.text);
        rc = CDC_AGAIN;
        break;
    }

    if (rc == CDC_AGAIN) {
        cdc_op_sleep(op);

    } else if (rc == CDC_OK) {
        cdc_op_recovered(op);
    }

    return rc;
}


