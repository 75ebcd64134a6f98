/*
 * The request of a target channel: what is in flight as one
 * ReplicateMessage, spliced out of the source's own bytes.
 *
 * What does not go at its own stamp gets an id that no other message has:
 * the target takes the second of two with one id, under one tick, for a
 * repeat and drops it.
 */

#include "cdc_grpc.h"
#include "cdc_replicator.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>


static int
cdc_lane_add_tick(cdc_chain_t *chain, cdc_send_t *send)
{
    size_t  mark;

    if (cdc_wire_msg_open(chain, &mark) != CDC_OK
        || cdc_wire_tick(chain, send->stamp ? send->stamp : send->tick)
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_wire_msg_close(chain, mark);

    return CDC_OK;
}


/*
 * Milvus's own ids are positive; this one is negative and, by its random
 * start, no other life's, task's or channel's.
 */

static uint64_t
cdc_lane_msg_id(cdc_repl_t *r)
{
    if (r->msg_id == 0
        && getrandom(&r->msg_id, sizeof(r->msg_id), 0) != sizeof(r->msg_id))
    {
        r->msg_id = cdc_wall_ms() << 20 ^ (uint64_t) getpid();
    }

    r->msg_id = (r->msg_id + 1) | (uint64_t) 1 << 63;

    return r->msg_id;
}


/* an import names its partitions: by the target's ids */

static int
cdc_lane_import(const cdc_item_t *item, cdc_rewrite_t *rw, int64_t *ids)
{
    unsigned     i, n;
    cdc_part_t  *part;

    if (cdc_wire_import_partitions(&item->env, ids, CDC_IMPORT_PARTITIONS, &n)
        != CDC_OK)
    {
        return CDC_ERROR;
    }

    for (i = 0; i < n; i++) {
        part = cdc_coll_part(item->coll, ids[i]);

        if (part == NULL || part->target_id == 0) {
            return CDC_ERROR;
        }

        ids[i] = part->target_id;
    }

    rw->partition_ids = ids;
    rw->npartition_ids = n;

    return CDC_OK;
}


/* how the target calls what the item is about */

static void
cdc_lane_names(const cdc_send_t *send, cdc_rewrite_t *rw)
{
    cdc_coll_t        *c;
    cdc_part_t        *part;
    const char        *shard;
    const cdc_item_t  *item;

    item = send->item;
    c = item->coll;
    shard = c->shards[send->shard].target_vchannel;
    part = cdc_coll_part(c, item->env.partition_id);

    memset(rw, 0, sizeof(cdc_rewrite_t));
    rw->collection_name = cdc_span_n(c->target_name, strlen(c->target_name));
    rw->shard_name = cdc_span_n(shard, strlen(shard));
    rw->collection_id = c->target_id;
    rw->partition_id = part ? part->target_id : item->env.partition_id;
    rw->stamp = send->stamp;

    if (strcmp(c->target_db, CDC_DEFAULT_DB) != 0) {
        rw->db_name = cdc_span_n(c->target_db, strlen(c->target_db));
    }

    if (part) {
        rw->partition_name = cdc_span_n(part->name, strlen(part->name));
    }
}


/* the rows may be there already: they go first, at the same stamp */

static int
cdc_lane_settle(cdc_lane_t *lane, cdc_chain_t *chain, const cdc_item_t *item,
    cdc_rewrite_t *rw)
{
    int     rc;
    size_t  mark;

    if (cdc_wire_msg_open(chain, &mark) != CDC_OK) {
        return CDC_ERROR;
    }

    rw->msg_id = cdc_lane_msg_id(lane->repl);

    rc = cdc_wire_delete_of_insert(chain, &item->env, rw,
                                   item->coll->pk_field_id);

    if (rc == CDC_OK) {
        cdc_wire_msg_close(chain, mark);
        CDC_FAULT("settling");
    }

    return rc;
}


static int
cdc_lane_add(cdc_lane_t *lane, cdc_chain_t *chain, cdc_send_t *send)
{
    int             rc;
    size_t          mark;
    int64_t         ids[CDC_IMPORT_PARTITIONS];
    cdc_item_t     *item;
    cdc_rewrite_t   rw;

    item = send->item;

    if (item == NULL) {
        return cdc_lane_add_tick(chain, send);
    }

    cdc_lane_names(send, &rw);

    __atomic_add_fetch(&item->body->refs, 1, __ATOMIC_RELAXED);

    if (cdc_chain_hold(chain, cdc_body_unref, item->body) != CDC_OK) {
        cdc_body_unref(item->body);
        return CDC_ERROR;
    }

    if (item->settle && item->env.type == CDC_MSG_INSERT && item->env.rows) {
        rc = cdc_lane_settle(lane, chain, item, &rw);

        if (rc != CDC_OK) {
            return rc;
        }
    }

    rw.msg_id = rw.stamp ? cdc_lane_msg_id(lane->repl) : 0;

    if (item->env.type == CDC_MSG_IMPORT
        && cdc_lane_import(item, &rw, ids) != CDC_OK)
    {
        return CDC_ERROR;
    }

    if (cdc_wire_msg_open(chain, &mark) != CDC_OK
        || cdc_wire_rewrite(chain, &item->env, &rw) != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_wire_msg_close(chain, mark);

    return CDC_OK;
}


/* of ticks alone nobody waits for the answers, while rows are far */

static void
cdc_lane_hasten(cdc_repl_t *r, unsigned rows)
{
    uint64_t  now;

    now = cdc_now_ms();

    if (rows) {
        r->rows_at = now;
    }

    cdc_grpc_idle(now >= r->rows_at + CDC_IDLE_TICK_MS);
}


cdc_chain_t *
cdc_lane_build(cdc_lane_t *lane)
{
    uint64_t      ts, begin, end;
    unsigned      rows;
    cdc_send_t   *send;
    cdc_chain_t  *chain;

    /*
     * The target gives out segments that are good for two seconds of its
     * clock, and holds EndTs against that: it is the time of the request,
     * neither that of old rows nor a stamp ahead of the clock.
     */

    end = cdc_lane_target_now(lane);
    begin = end;
    rows = 0;

    for (send = lane->flight; send; send = send->next) {
        ts = send->stamp ? send->stamp
                         : send->item ? send->item->env.ts : send->tick;
        begin = ts < begin ? ts : begin;
        rows |= send->item != NULL;
    }

    chain = cdc_chain_create();

    if (chain == NULL
        || cdc_wire_replicate_begin(chain, cdc_span_n(lane->name,
                                                      strlen(lane->name)),
                                    begin, end) != CDC_OK)
    {
        cdc_repl_no_memory();
    }

    for (send = lane->flight; send; send = send->next) {
        if (cdc_lane_add(lane, chain, send) != CDC_OK) {
            if (cdc_chain_starved(chain) || send->item == NULL) {
                cdc_repl_no_memory();
            }

            (void) cdc_lane_poison(lane, send, "it has no primary key that "
                                   "could be read, or it is malformed");
            goto failed;
        }
    }

    cdc_lane_hasten(lane->repl, rows);

    return chain;

failed:

    cdc_chain_unref(chain);

    return NULL;
}


/* the target will never take this one: out of the flight with it */

int
cdc_lane_poison(cdc_lane_t *lane, cdc_send_t *send, const char *why)
{
    cdc_item_t   *item;
    cdc_send_t  **link;

    item = send->item;

    if (cdc_channel_poison(item, why) != CDC_OK) {
        return CDC_ERROR;
    }

    for (link = &lane->flight; *link != send; link = &(*link)->next) {
        /* void */
    }

    *link = send->next;
    cdc_lane_drop(send);

    return CDC_OK;
}


/* it does not go out on this lane */

void
cdc_lane_drop(cdc_send_t *send)
{
    cdc_item_t  *item;

    item = send->item;
    cdc_lane_final(send);
    free(send);

    if (item && --item->sends == 0) {
        cdc_channel_acked(item);
    }
}
