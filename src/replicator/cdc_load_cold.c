/*
 * The first load on a target channel goes alone.
 *
 * Milvus 2.3 reads all loaded collections of a channel with one consumer.
 * One that is loaded starts with a consumer of its own, and joins that of
 * the channel when both stand at the same tick; before either has read
 * anything, that is the tick 0, and what lies before the common consumer is
 * lost to the one that joined until it is loaded anew (seen: many collections
 * loaded at once on a busy machine, the rows of one shard not to be found;
 * later versions check).  With a consumer that has read its first tick this
 * cannot happen.
 *
 * So a channel is cold until a collection is known to be read on it.  The
 * first load there keeps the others of that channel back until the target
 * answers a query of it as of a tick that was sent after the load: only who
 * reads knows that tick.  It is asked for two ticks, as the first may be the
 * one where its consumer begins.  The ticks of cdc_lane_hurry() make that
 * short.  Where our user may not query, and where a large collection takes
 * long to be loaded (its consumer is there before), time has to do.
 *
 *   cold, until    others wait for this collection's load
 *   warm           this one is read.  When it is released or dropped nobody
 *                  knows whether it was the only one: cold again, and loads
 *                  that have just begun get a moment
 *
 * Nothing of it is durable: a load too many on its own costs two seconds.
 */

#include "cdc_replicator.h"

#include <stdlib.h>
#include <string.h>


#define CDC_COLD_START_MS   3000         /* if the first fails, no longer */
#define CDC_COLD_SERVED_MS  10000        /* nor if it cannot be queried */
#define CDC_COLD_MOMENT_MS  1500         /* nobody can tell */
#define CDC_COLD_ASK_MS     200


typedef struct cdc_cold_s {
    cdc_repl_t          *repl;
    int64_t              id;             /* of the collection asked for */
    uint64_t             ts;
    char                *db, *name;
    cdc_job_t            job;
    cdc_target_error_t   error;
    int                  rc;
    unsigned             busy:1;         /* it is with the ops thread */
    unsigned             blind:1;        /* our user may not query */
} cdc_cold_t;


static void cdc_cold_arm(cdc_repl_t *r);


static int
cdc_load_loads(const cdc_op_t *op)
{
    return op->kind == CDC_OP_LOAD
           || (op->kind == CDC_OP_APPLY
               && (op->env.type == CDC_MSG_LOAD_COLLECTION
                   || op->env.type == CDC_MSG_LOAD_PARTITIONS));
}


/* started: it may end the target's reading */

static int
cdc_load_ends(const cdc_op_t *op)
{
    return op->kind == CDC_OP_DROP_COLLECTION
           || (op->kind == CDC_OP_LOAD && op->raw_len == 0)
           || (op->kind == CDC_OP_APPLY
               && (op->env.type == CDC_MSG_RELEASE_COLLECTION
                   || op->env.type == CDC_MSG_RELEASE_PARTITIONS));
}


/* has the target a consumer on that channel that reads? */

static int
cdc_cold_warm(const cdc_lane_t *lane)
{
    const cdc_coll_t  *c;

    c = lane->warm ? cdc_coll_by_id(lane->repl, lane->warm) : NULL;

    return c && c->state == CDC_COLL_LIVE;
}


static void
cdc_cold_hold(cdc_lane_t *lane, int64_t id, uint64_t ms)
{
    if (lane->cold != id) {
        lane->cold = id;
        lane->cold_loaded = 0;
        lane->cold_seen = 0;
    }

    lane->cold_until = cdc_now_ms() + ms;
    cdc_cold_arm(lane->repl);
}


/* the time that it has is over, or it is known to be read */

static void
cdc_cold_end(cdc_lane_t *lane)
{
    if (lane->cold && lane->cold_loaded) {
        lane->warm = lane->cold;
    }

    lane->cold = 0;
    lane->cold_until = 0;
}


/* ---- asking --------------------------------------------------------- */

/* [ops thread] */

static void
cdc_cold_run(cdc_job_t *job)
{
    cdc_cold_t  *cold = job->data;
    cdc_repl_t  *r = cold->repl;

    memset(&cold->error, 0, sizeof(cdc_target_error_t));

    cold->rc = r->target_ops->served(r->target, cold->db, cold->name,
                                     cold->ts, &cold->error);
}


static void
cdc_cold_done(cdc_job_t *job)
{
    cdc_cold_t  *cold = job->data;
    cdc_repl_t  *r = cold->repl;
    cdc_lane_t  *lane;

    cold->busy = 0;

    if (r->stopping || r->failed) {
        return;
    }

    cold->blind = cold->rc != CDC_OK
                  && cold->error.class == CDC_TARGET_DENIED;

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->cold != cold->id || !lane->cold_loaded) {
            continue;
        }

        if (cold->blind) {
            cdc_cold_hold(lane, lane->cold, CDC_COLD_MOMENT_MS);

        } else if (cold->rc == CDC_OK && lane->cold_seen) {
            cdc_cold_end(lane);

        } else if (cold->rc == CDC_OK) {
            lane->cold_seen = cold->ts;
        }
    }

    cdc_cold_arm(r);
    cdc_op_kick(r);
}


/* a tick that all of its channels have had; 0: none */

static uint64_t
cdc_cold_tick(const cdc_coll_t *c)
{
    uint64_t           ts;
    unsigned           i;
    const cdc_lane_t  *lane;

    ts = UINT64_MAX;

    for (i = 0; i < c->nshards; i++) {
        lane = c->shards[i].lane;

        if (lane == NULL) {
            return 0;
        }

        ts = ts < lane->closed ? ts : lane->closed;
    }

    return ts == UINT64_MAX ? 0 : ts;
}


static void
cdc_cold_ask(cdc_repl_t *r)
{
    uint64_t     ts, best_ts;
    cdc_coll_t  *c, *best;
    cdc_cold_t  *cold;
    cdc_lane_t  *lane, *first;

    cold = r->cold;
    best = NULL;
    best_ts = 0;
    first = NULL;

    for (lane = r->lanes; lane; lane = lane->next) {
        if (!lane->cold_loaded || lane->cold == 0
            || (first && first->cold_asked <= lane->cold_asked))
        {
            continue;
        }

        c = cdc_coll_by_id(r, lane->cold);
        ts = c && c->state == CDC_COLL_LIVE ? cdc_cold_tick(c) : 0;

        if (ts > lane->cold_seen) {
            first = lane;
            best = c;
            best_ts = ts;
        }
    }

    if (best == NULL) {
        return;
    }

    first->cold_asked = cdc_now_ms();

    free(cold->db);
    free(cold->name);
    cold->db = strdup(best->target_db);
    cold->name = strdup(best->target_name);

    if (cold->db == NULL || cold->name == NULL) {
        cdc_repl_no_memory();
    }

    cold->id = best->id;
    cold->ts = best_ts;
    cold->busy = 1;
    cdc_worker_submit(r->ops_worker, &cold->job);
}


static void
cdc_cold_timer(cdc_timer_t *tm)
{
    uint64_t     now;
    cdc_lane_t  *lane;
    cdc_repl_t  *r = tm->data;

    if (r->stopping || r->failed) {
        return;
    }

    now = cdc_now_ms();

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->cold_until && lane->cold_until <= now) {
            cdc_cold_end(lane);
        }
    }

    if (!r->cold->busy && !r->cold->blind) {
        cdc_cold_ask(r);
    }

    cdc_cold_arm(r);
    cdc_op_kick(r);
}


/* for the next question, and for the channel that is the next to be free */

static void
cdc_cold_arm(cdc_repl_t *r)
{
    uint64_t     now, next;
    cdc_lane_t  *lane;

    if (r->cold == NULL) {
        r->cold = calloc(1, sizeof(cdc_cold_t));

        if (r->cold == NULL) {
            cdc_repl_no_memory();
        }

        r->cold->repl = r;
        r->cold->job.run = cdc_cold_run;
        r->cold->job.done = cdc_cold_done;
        r->cold->job.data = r->cold;
        r->cold_timer.handler = cdc_cold_timer;
        r->cold_timer.data = r;
    }

    now = cdc_now_ms();
    next = UINT64_MAX;

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->cold_until && lane->cold_until < next) {
            next = lane->cold_until;
        }

        if (lane->cold_until && lane->cold_loaded && !r->cold->busy
            && !r->cold->blind && now + CDC_COLD_ASK_MS < next)
        {
            next = now + CDC_COLD_ASK_MS;
        }
    }

    if (next != UINT64_MAX) {
        cdc_timer_add(r->loop, &r->cold_timer, next > now ? next - now : 0);
    }
}


/* ---- operations ----------------------------------------------------- */

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


void
cdc_load_starts(const cdc_op_t *op)
{
    int          ends;
    unsigned     i;
    uint64_t     now;
    cdc_coll_t  *c;
    cdc_lane_t  *lane;

    if (op->ncolls == 0) {
        return;
    }

    now = cdc_now_ms();

    c = op->colls[0];
    ends = cdc_load_ends(op);

    if (!ends && (!cdc_load_loads(op) || c->load.len)) {
        return;
    }

    for (i = 0; i < c->nshards; i++) {
        lane = c->shards[i].lane;

        if (lane == NULL) {
            continue;
        }

        if (ends) {
            if (lane->warm == c->id || lane->cold == c->id) {
                lane->warm = 0;
                lane->cold = 0;
                cdc_cold_hold(lane, c->id, CDC_COLD_MOMENT_MS);
            }

            continue;
        }

        if (lane->cold_until > now) {
            continue;
        }

        cdc_cold_end(lane);

        if (!cdc_cold_warm(lane)) {
            cdc_cold_hold(lane, c->id, CDC_COLD_START_MS);
        }
    }
}


void
cdc_load_started(const cdc_op_t *op)
{
    unsigned     i;
    cdc_coll_t  *c;
    cdc_lane_t  *lane;

    if (!cdc_load_loads(op) || cdc_load_ends(op)) {
        return;
    }

    c = op->colls[0];

    for (i = 0; i < c->nshards; i++) {
        lane = c->shards[i].lane;

        if (lane && lane->cold == c->id && lane->cold_until > cdc_now_ms()) {
            lane->cold_loaded = 1;
            cdc_cold_hold(lane, c->id, lane->repl->cold->blind
                                       ? CDC_COLD_MOMENT_MS
                                       : CDC_COLD_SERVED_MS);
        }
    }
}
