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
 * So a shard is "read" when the target is known to read its channel for it,
 * and a channel is cold while none of its shards is, as far as this task
 * knows: what others load there it does not see.  The first load on a cold
 * channel keeps the others back (lane->cold, until):
 *
 *   while the target is about it    then, if it was refused, no longer
 *   until it is read                the target answers a query of it (it is
 *                                   loaded: where its consumers begin is
 *                                   settled), and then one as of a tick that
 *                                   came after that answer.  Only who reads
 *                                   knows that tick.  cdc_lane_hurry() makes
 *                                   it a short wait.
 *
 * When the last one that is read is released or dropped nobody knows what
 * else has begun with its consumer: the channel is cold, and loads wait for a
 * moment.  A target that may have started again reads nothing.
 *
 * Time has to do where our user may not query, and where the answer takes
 * long: a large collection is loaded in minutes, but its consumers are there
 * before that.
 *
 * Nothing of it is durable.  What has been loaded by a life before this one
 * counts as read.
 */

#include "cdc_replicator.h"

#include <stdlib.h>
#include <string.h>


#define CDC_COLD_READ_MS    10000        /* it has surely a consumer by then */
#define CDC_COLD_MOMENT_MS  1500         /* nobody can tell */
#define CDC_COLD_REFUSED_MS 2000         /* no two in that time */
#define CDC_COLD_ASK_MS     200
#define CDC_COLD_BLIND_MS   300000       /* rights may be given */


typedef struct cdc_cold_s {
    cdc_repl_t          *repl;
    int64_t              id;             /* of the collection asked for */
    uint64_t             ts;
    char                *db, *name;
    cdc_job_t            job;
    cdc_timer_t          timer;
    cdc_target_error_t   error;
    int                  rc;
    uint64_t             ask_at;         /* cdc_now_ms(); 0: not */
    uint64_t             blind_until;    /* the same: our user may not query */
    unsigned             busy:1;         /* it is with the ops thread */
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


/* once it runs: it may end the target's reading */

static int
cdc_load_ends(const cdc_op_t *op)
{
    return op->kind == CDC_OP_DROP_COLLECTION || op->release_first
           || (op->kind == CDC_OP_LOAD && op->raw_len == 0)
           || (cdc_load_by_channel(op) && !cdc_load_loads(op));
}


static int
cdc_cold_read(const cdc_coll_t *c)
{
    unsigned  i;

    for (i = 0; i < c->nshards; i++) {
        if (!c->shards[i].read) {
            return 0;
        }
    }

    return 1;
}


static int
cdc_cold_warm(const cdc_lane_t *lane)
{
    const cdc_shard_t  *shard;

    for (shard = lane->feeders; shard; shard = shard->next_feeder) {
        if (shard->read && shard->coll->state == CDC_COLL_LIVE) {
            return 1;
        }
    }

    return 0;
}


/* ms 0: for as long as the target is about it */

static void
cdc_cold_hold(cdc_lane_t *lane, int64_t id, unsigned loaded, unsigned ms)
{
    lane->cold = id;
    lane->cold_loaded = loaded;
    lane->cold_once = 0;
    lane->cold_until = ms ? cdc_now_ms() + ms : UINT64_MAX;
    cdc_cold_arm(lane->repl);
}


static void
cdc_cold_end(cdc_lane_t *lane)
{
    cdc_shard_t  *shard;

    for (shard = lane->cold_loaded ? lane->feeders : NULL; shard;
         shard = shard->next_feeder)
    {
        if (shard->coll->id == lane->cold) {
            shard->read = 1;
        }
    }

    lane->cold = 0;
    lane->cold_loaded = 0;
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
    cold->rc = CDC_ERROR;

    if (!__atomic_load_n(&r->quit, __ATOMIC_ACQUIRE)) {
        cold->rc = r->target_ops->served(r->target, cold->db, cold->name,
                                         cold->ts, &cold->error);
    }
}


static void
cdc_cold_done(cdc_job_t *job)
{
    unsigned     denied;
    cdc_cold_t  *cold = job->data;
    cdc_repl_t  *r = cold->repl;
    cdc_lane_t  *lane;

    cold->busy = 0;

    if (r->stopping || r->failed) {
        return;
    }

    denied = cold->rc != CDC_OK && cold->error.class == CDC_TARGET_DENIED;

    if (denied) {
        cold->blind_until = cdc_now_ms() + CDC_COLD_BLIND_MS;
    }

    for (lane = r->lanes; lane; lane = lane->next) {
        if (!lane->cold_loaded || lane->cold != cold->id) {
            continue;
        }

        if (denied) {
            cdc_cold_hold(lane, lane->cold, 1, CDC_COLD_MOMENT_MS);

        } else if (cold->rc != CDC_OK) {
            continue;

        } else if (!lane->cold_once) {
            lane->cold_once = 1;
            lane->cold_seen = lane->closed;

        } else if (cold->ts > lane->cold_seen) {
            cdc_cold_end(lane);
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


/* the collection that has not been asked for longest */

static void
cdc_cold_ask(cdc_repl_t *r)
{
    uint64_t     ts, oldest;
    cdc_coll_t  *c, *next;
    cdc_cold_t  *cold;
    cdc_lane_t  *lane;

    cold = r->cold;
    next = NULL;
    oldest = UINT64_MAX;

    for (lane = r->lanes; lane; lane = lane->next) {
        if (!lane->cold_loaded || lane->cold_asked >= oldest) {
            continue;
        }

        c = cdc_coll_by_id(r, lane->cold);
        ts = c && c->state == CDC_COLL_LIVE ? cdc_cold_tick(c) : 0;

        if (ts > (lane->cold_once ? lane->cold_seen : 0)) {
            next = c;
            oldest = lane->cold_asked;
            cold->ts = ts;
        }
    }

    if (next == NULL) {
        return;
    }

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->cold == next->id) {
            lane->cold_asked = cdc_now_ms();
        }
    }

    free(cold->db);
    free(cold->name);
    cold->db = strdup(next->target_db);
    cold->name = strdup(next->target_name);

    if (cold->db == NULL || cold->name == NULL) {
        cdc_repl_no_memory();
    }

    cold->id = next->id;
    cold->busy = 1;
    cdc_worker_submit(r->ops_worker, &cold->job);
}


static void
cdc_cold_timer(cdc_timer_t *tm)
{
    uint64_t     now;
    cdc_cold_t  *cold = tm->data;
    cdc_repl_t  *r = cold->repl;
    cdc_lane_t  *lane;

    if (r->stopping || r->failed) {
        return;
    }

    now = cdc_now_ms();

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->cold_until && lane->cold_until <= now) {
            cdc_cold_end(lane);
        }
    }

    if (cold->ask_at && cold->ask_at <= now) {
        cold->ask_at = 0;

        if (!r->resetting) {
            cdc_cold_ask(r);
        }
    }

    cdc_cold_arm(r);
    cdc_op_kick(r);
}


static cdc_cold_t *
cdc_cold_create(cdc_repl_t *r)
{
    cdc_cold_t  *cold;

    cold = calloc(1, sizeof(cdc_cold_t));

    if (cold == NULL) {
        cdc_repl_no_memory();
    }

    cold->repl = r;
    cold->job.run = cdc_cold_run;
    cold->job.done = cdc_cold_done;
    cold->job.data = cold;
    cold->timer.handler = cdc_cold_timer;
    cold->timer.data = cold;

    return cold;
}


/* for the next question, and for the channel that is the next to be free */

static void
cdc_cold_arm(cdc_repl_t *r)
{
    uint64_t     now, next;
    cdc_cold_t  *cold;
    cdc_lane_t  *lane;

    if (r->cold == NULL) {
        r->cold = cdc_cold_create(r);
    }

    cold = r->cold;
    now = cdc_now_ms();
    next = UINT64_MAX;

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->cold_until && lane->cold_until < next) {
            next = lane->cold_until;
        }

        if (lane->cold_loaded && !cold->busy && cold->ask_at == 0
            && cold->blind_until <= now)
        {
            cold->ask_at = now + CDC_COLD_ASK_MS;
        }
    }

    if (cold->ask_at && cold->ask_at < next) {
        next = cold->ask_at;
    }

    if (next != UINT64_MAX) {
        cdc_timer_add(r->loop, &cold->timer, next > now ? next - now : 0);
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

    if (cdc_cold_read(c)) {
        return 0;
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


/* what the target read for it, it does not read any more: the others wait
 * while it is about that, and for a moment */

static void
cdc_cold_left(cdc_coll_t *c, unsigned ended)
{
    unsigned      i, read;
    cdc_lane_t   *lane;
    cdc_shard_t  *shard;

    for (i = 0; i < c->nshards; i++) {
        shard = &c->shards[i];
        lane = shard->lane;
        read = shard->read;
        shard->read = 0;

        if (lane == NULL) {
            continue;
        }

        if (lane->cold == c->id
            && (lane->cold_loaded || (ended && lane->cold_until == UINT64_MAX)))
        {
            read = 1;
            lane->cold_loaded = 0;
            cdc_cold_end(lane);
        }

        if (read && lane->cold_until <= cdc_now_ms() && !cdc_cold_warm(lane)) {
            cdc_cold_hold(lane, c->id, 0, ended ? CDC_COLD_MOMENT_MS : 0);
        }
    }
}


/*
 * Some are refused for ever, and there is always one of many that is to be
 * tried again: they must not take turns at holding others back.
 */

void
cdc_load_starts(const cdc_op_t *op)
{
    unsigned     i;
    uint64_t     now;
    cdc_coll_t  *c;
    cdc_lane_t  *lane;

    if (op->ncolls == 0) {
        return;
    }

    c = op->colls[0];

    if (cdc_load_ends(op)) {
        cdc_cold_left(c, 0);
        return;
    }

    if (!cdc_load_loads(op)) {
        return;
    }

    now = cdc_now_ms();

    for (i = 0; i < c->nshards; i++) {
        lane = c->shards[i].lane;

        if (lane == NULL || c->shards[i].read || lane->cold_loaded
            || (lane->cold_until > now && lane->cold != c->id)
            || (op->refused_at && lane->cold_refused > now)
            || cdc_cold_warm(lane))
        {
            continue;
        }

        if (op->refused_at) {
            lane->cold_refused = now + CDC_COLD_REFUSED_MS;
        }

        cdc_cold_hold(lane, c->id, 0, 0);
    }
}


void
cdc_load_tried(const cdc_op_t *op)
{
    unsigned      i, ms;
    uint64_t      now;
    cdc_coll_t   *c;
    cdc_lane_t   *lane;
    cdc_shard_t  *shard;

    if (op->ncolls == 0) {
        return;
    }

    c = op->colls[0];

    if (cdc_load_ends(op) || op->released) {
        cdc_cold_left(c, 1);
    }

    if (cdc_load_ends(op) || !cdc_load_loads(op)) {
        return;
    }

    now = cdc_now_ms();
    ms = op->repl->cold && op->repl->cold->blind_until > now
         ? CDC_COLD_MOMENT_MS : CDC_COLD_READ_MS;

    for (i = 0; i < c->nshards; i++) {
        shard = &c->shards[i];
        lane = shard->lane;

        if (lane == NULL || shard->read || lane->cold_loaded) {
            continue;
        }

        if (op->rc != CDC_OK) {
            if (lane->cold == c->id && lane->cold_until == UINT64_MAX) {
                cdc_cold_hold(lane, c->id, 0, op->error.class
                              == CDC_TARGET_DOUBT ? CDC_COLD_READ_MS : 1);
            }

        } else if (cdc_cold_warm(lane)) {
            shard->read = 1;

        } else if (lane->cold == c->id || lane->cold_until != UINT64_MAX) {
            cdc_cold_hold(lane, c->id, 1, ms);
        }
    }
}


/* it may have started again */

void
cdc_load_unread(cdc_lane_t *lane)
{
    cdc_shard_t  *shard;

    for (shard = lane->feeders; shard; shard = shard->next_feeder) {
        shard->read = 0;
    }

    lane->cold_loaded = 0;
}


void
cdc_load_cold_free(cdc_repl_t *r)
{
    if (r->cold == NULL) {
        return;
    }

    cdc_timer_del(r->loop, &r->cold->timer);
    free(r->cold->db);
    free(r->cold->name);
    free(r->cold);
    r->cold = NULL;
}
