/*
 * The first load on a target channel goes alone.
 *
 * Milvus 2.3 reads all loaded collections of a channel with one consumer.
 * One that is loaded starts with a consumer of its own, and joins that of
 * the channel when both stand at the same tick; before either has read
 * anything, that is the tick 0, and what lies before the common consumer is
 * lost to the one that joined (seen: many collections loaded at once on a
 * busy machine, the rows of one shard not to be found; later versions check).
 * With a consumer that has read its first tick this cannot happen.  So when
 * nothing is loaded on a channel, as far as this task knows, the first load
 * keeps the others of that channel back for a moment, in which the ticks of
 * cdc_lane_hurry() reach the target.
 *
 * Nothing of it is durable: a load too many on its own costs two seconds.
 */

#include "cdc_replicator.h"


#define CDC_COLD_START_MS  3000          /* if the first fails, no longer */
#define CDC_COLD_DONE_MS   1500


static int
cdc_load_loads(const cdc_op_t *op)
{
    return op->kind == CDC_OP_LOAD
           || (op->kind == CDC_OP_APPLY
               && (op->env.type == CDC_MSG_LOAD_COLLECTION
                   || op->env.type == CDC_MSG_LOAD_PARTITIONS));
}


/* has the target a consumer on that channel? */

static int
cdc_load_warm(const cdc_lane_t *lane, const cdc_coll_t *self)
{
    const cdc_coll_t   *c;
    const cdc_shard_t  *shard;

    for (shard = lane->feeders; shard; shard = shard->next_feeder) {
        c = shard->coll;

        if (c != self && c->load.len && cdc_coll_bound(c)) {
            return 1;
        }
    }

    return 0;
}


/* for the channel that is the next to be free */

static void
cdc_load_cold_arm(cdc_repl_t *r)
{
    uint64_t     now, next;
    cdc_lane_t  *lane;

    now = cdc_now_ms();
    next = UINT64_MAX;

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->cold_until > now && lane->cold_until < next) {
            next = lane->cold_until;
        }
    }

    if (next != UINT64_MAX) {
        cdc_timer_add(r->loop, &r->cold_timer, next - now);
    }
}


static void
cdc_load_cold_timer(cdc_timer_t *tm)
{
    cdc_repl_t  *r = tm->data;

    cdc_load_cold_arm(r);
    cdc_op_kick(r);
}


int
cdc_load_waits(const cdc_op_t *op)
{
    unsigned           i;
    uint64_t           now;
    const cdc_coll_t  *c;
    const cdc_lane_t  *lane;

    if (op->ncolls == 0 || !cdc_load_loads(op)) {
        return 0;
    }

    c = op->colls[0];

    if (c->load.len) {
        return 0;                        /* the target reads it already */
    }

    now = cdc_now_ms();

    for (i = 0; i < c->nshards; i++) {
        lane = c->shards[i].lane;

        if (lane && lane->cold_until > now && lane->cold != c->id) {
            return 1;
        }
    }

    return 0;
}


static void
cdc_load_hold(cdc_lane_t *lane, uint64_t ms)
{
    cdc_repl_t  *r;

    r = lane->repl;

    lane->cold_until = cdc_now_ms() + ms;

    r->cold_timer.handler = cdc_load_cold_timer;
    r->cold_timer.data = r;
    cdc_load_cold_arm(r);
}


void
cdc_load_starts(const cdc_op_t *op)
{
    unsigned     i;
    cdc_coll_t  *c;
    cdc_lane_t  *lane;

    if (op->ncolls == 0 || !cdc_load_loads(op) || op->colls[0]->load.len) {
        return;
    }

    c = op->colls[0];

    for (i = 0; i < c->nshards; i++) {
        lane = c->shards[i].lane;

        if (lane && cdc_now_ms() >= lane->cold_until
            && !cdc_load_warm(lane, c))
        {
            lane->cold = c->id;
            cdc_load_hold(lane, CDC_COLD_START_MS);
        }
    }
}


void
cdc_load_started(const cdc_op_t *op)
{
    unsigned     i;
    cdc_coll_t  *c;
    cdc_lane_t  *lane;

    if (!cdc_load_loads(op)) {
        return;
    }

    c = op->colls[0];

    for (i = 0; i < c->nshards; i++) {
        lane = c->shards[i].lane;

        if (lane && lane->cold == c->id && lane->cold_until > cdc_now_ms()) {
            cdc_load_hold(lane, CDC_COLD_DONE_MS);
        }
    }
}
