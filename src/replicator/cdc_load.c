/*
 * Load state.
 *
 * The replicate channel tells of LoadCollection and ReleaseCollection, in
 * order with the data; Milvus 2.3 does not write Load- and ReleasePartitions
 * there, nor are its sends checked.  The metadata has the load state as it
 * is now, without a timestamp.  So the two work together: what comes by the
 * channel runs in its order, and when that has been read to its end and
 * nothing of it is left for a collection (a loaded one refuses that an index
 * is dropped, say), the target is brought to what the metadata says
 * (CDC_OP_LOAD), partition by partition.  It looks first and asks only for
 * what differs.  A moment's wait leaves the channel, which was written first,
 * the time to be read first.
 *
 * "load" of a collection is the request that would make the state that the
 * target was brought to, durable; another one in the metadata, now or after a
 * restart, is the reason for the next operation.  It stands outside the
 * order of drops: one that the target refuses because something is still
 * loaded needs the release to pass it.
 */

#include "cdc_replicator.h"

#include <stdlib.h>
#include <string.h>


#define CDC_LOAD_WAIT_MS  300            /* the channel is read first */


static int
cdc_load_take(void *arg, cdc_span_t request)
{
    cdc_blob_t         *load = arg;
    cdc_op_envelope_t   env;

    if (cdc_wire_op_envelope(request, &env) != CDC_OK) {
        return CDC_ERROR;
    }

    if (env.type != CDC_MSG_LOAD_COLLECTION
        && env.type != CDC_MSG_LOAD_PARTITIONS)
    {
        return CDC_OK;
    }

    return cdc_blob_set(load, request);
}


/* the request that makes the source's state; empty: nothing is loaded */

static int
cdc_load_wanted(cdc_coll_t *c, cdc_blob_t *load)
{
    memset(load, 0, sizeof(cdc_blob_t));

    return cdc_meta_each_operation(c->repl->meta, c->id, cdc_load_take, load);
}


void
cdc_load_look(cdc_coll_t *c, int force)
{
    cdc_op_t    *op;
    cdc_blob_t   load;

    if (c->state != CDC_COLL_LIVE || c->initial || !c->repl->running) {
        return;                          /* looked at when it is */
    }

    op = cdc_op_last(c->repl, CDC_OP_LOAD, c);

    if (op && !op->running) {
        return;                          /* it looks when it starts */
    }

    if (cdc_load_wanted(c, &load) != CDC_OK) {
        cdc_repl_no_memory();
    }

    if (op == NULL && !force
        && cdc_blob_is(&c->load, cdc_span_n(load.data, load.len)))
    {
        cdc_blob_free(&load);
        return;
    }

    cdc_blob_free(&load);

    op = cdc_op_new(c->repl, CDC_OP_LOAD, 0);
    cdc_op_concern(op, c);
    op->sleeping = 1;
    cdc_timer_add(c->repl->loop, &op->timer, CDC_LOAD_WAIT_MS);
    cdc_op_queue(op);
}


/* by the channel, in order: it goes first */

int
cdc_load_by_channel(const cdc_op_t *op)
{
    if (op->kind != CDC_OP_APPLY) {
        return 0;
    }

    switch (op->env.type) {

    case CDC_MSG_LOAD_COLLECTION:
    case CDC_MSG_LOAD_PARTITIONS:
    case CDC_MSG_RELEASE_COLLECTION:
    case CDC_MSG_RELEASE_PARTITIONS:
        return 1;

    default:
        return 0;
    }
}


int
cdc_load_ready(const cdc_op_t *op)
{
    unsigned         i;
    cdc_coll_t      *c;
    cdc_repl_t      *r;
    const cdc_op_t  *other;

    r = op->repl;
    c = op->colls[0];

    if (c->state != CDC_COLL_LIVE || r->rstream == NULL
        || !r->reader_ops->at_end(r->rstream))
    {
        return 0;                        /* the next message looks again */
    }

    for (i = 0; i < c->nparts; i++) {
        if (c->parts[i].target_id == 0 && !c->parts[i].gone) {
            return 0;                    /* it may be the one to load */
        }
    }

    for (other = op->repl->ops; other; other = other->next) {
        if (other->from_rchannel && !other->synced) {
            return 0;
        }

        /* what is refused may be so because of what is loaded */

        if (other != op && cdc_op_concerns(other, c)
            && ((other->kind == CDC_OP_APPLY && other->refused_at == 0)
                || other->kind == CDC_OP_RENAME_COLLECTION
                || other->running))
        {
            return 0;
        }
    }

    return 1;
}


/* the state that counts is the one of now */

int
cdc_load_start(cdc_op_t *op)
{
    cdc_blob_t  load;

    if (cdc_load_wanted(op->colls[0], &load) != CDC_OK) {
        return CDC_ERROR;
    }

    free(op->raw);
    op->raw = load.data;
    op->raw_len = load.len;

    /* partitions that are not the target's: all or nothing */

    op->whole = cdc_selection_ignore_partition(op->repl->selection);

    if (op->raw_len == 0) {
        memset(&op->env, 0, sizeof(cdc_op_envelope_t));
        return CDC_OK;
    }

    return cdc_wire_op_envelope(cdc_span_n(op->raw, op->raw_len), &op->env);
}


void
cdc_load_done(cdc_op_t *op)
{
    cdc_coll_t  *c;

    c = op->colls[0];

    if (op->kind == CDC_OP_LOAD || cdc_load_by_channel(op)) {
        cdc_lane_hurry(c);
    }

    if (op->kind == CDC_OP_LOAD) {
        if (cdc_blob_set(&c->load, cdc_span_n(op->raw, op->raw_len))
            != CDC_OK)
        {
            cdc_repl_no_memory();
        }

        c->dirty = 1;
        return;
    }

    if (cdc_load_by_channel(op) || op->release_first) {
        cdc_load_look(c, 1);
    }
}


/* ---- [ops thread] ---- */

/* LoadPartitionsRequest.partition_names */

#define CDC_LOAD_PARTITION_NAMES  4

static int
cdc_load_wants(const cdc_op_t *op, const char *partition)
{
    size_t       len;
    cdc_span_t   in;
    cdc_field_t  f;

    if (op->env.type != CDC_MSG_LOAD_PARTITIONS || op->whole) {
        return op->raw_len != 0;
    }

    in = cdc_span_n(op->raw, op->raw_len);
    len = strlen(partition);

    while (cdc_wire_next(&in, &f) == CDC_OK) {
        if (f.number == CDC_LOAD_PARTITION_NAMES && f.body.len == len
            && memcmp(f.body.data, partition, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


int
cdc_load_run(cdc_op_t *op, uint64_t ts)
{
    int          rc, loaded, missing;
    unsigned     i;
    cdc_span_t   name;
    const char  *part;

    missing = 0;
    op->released = 0;

    for (i = 0; i < op->found->npartitions; i++) {
        part = op->found->partitions[i].name;

        rc = op->target_ops->loaded(op->target, op->target_db,
                                    op->target_name, part, &loaded,
                                    &op->error);
        if (rc != CDC_OK) {
            return rc;
        }

        if (loaded && !cdc_load_wants(op, part)) {
            rc = cdc_op_release(op, op->raw_len ? part : NULL, ts);
            op->released = 1;

            if (rc != CDC_OK || op->raw_len == 0) {
                return rc;               /* the whole of it */
            }
        }

        missing |= !loaded && cdc_load_wants(op, part);
    }

    if (!missing) {
        return CDC_OK;
    }

    if (op->whole) {
        return cdc_op_request(op, CDC_MSG_LOAD_COLLECTION, NULL, ts);
    }

    name = cdc_span_n(op->target_name, strlen(op->target_name));

    return op->target_ops->apply(op->target, &op->env, ts, op->target_db,
                                 &name, 1, &op->error);
}
