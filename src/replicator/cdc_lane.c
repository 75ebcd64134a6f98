/*
 * A target channel: gathers what the source channels hand over into one
 * ReplicateMessage after the other, one at a time, and stamps it.
 *
 * A request takes all that has gathered while the last one was on its way,
 * up to CDC_REQUEST_BYTES: small when live, large in a backlog, and no timer
 * in between.  Ticks stand in the queue behind the rows that they cover; a
 * tick is the lowest of the newest ticks of the source channels that feed
 * this one, and idle ones go out once a second.
 *
 * Nudges.  A consumer of RocksMQ, the log of a standalone Milvus, takes up to
 * 16 messages each time that one is written, and what a burst left behind
 * waits for the next write (seen: a minute of small inserts took three to
 * become visible).  So after a burst the last tick is repeated, which means
 * nothing to the target, every few milliseconds: once for each
 * CDC_NUDGE_MSGS messages.
 *
 * Stamps.  Normally a message keeps its source timestamps.  When a request
 * is in doubt (connection broken, process killed), its messages are settled:
 * an insert is sent as a delete of its keys and the rows again, both at one
 * new stamp, a delete alone at a new stamp.  "raise" is the highest stamp
 * that may have been used before; what is not newer gets ++raise, in order,
 * until the source's timestamps have passed it.  Why the result is equal:
 *
 *   - a settled insert removes whatever copy of its rows came through, at a
 *     stamp above every stamp used before, and writes them once;
 *   - every message of the same channel that follows it in timestamp order
 *     is stamped higher, too (settled, raised, or newer by itself), so a
 *     later delete still deletes and a later insert still stays;
 *   - nothing that precedes it in that order is done later than it: epochs
 *     (cdc_channel.c), and no row goes early while its lane raises;
 *   - settling twice (a crash in the middle) starts above "reserve", which
 *     was durable before any stamp up to it was used.
 *
 * Two rows of one key by plain insert, which Milvus allows, become one by
 * settling; the README names that limit.
 *
 * What a crash at any line leaves: "reserve" in LevelDB is at or above every
 * stamp and tick that was ever sent.
 */

#include "cdc_replicator.h"

#include <stdlib.h>
#include <string.h>


struct cdc_send_s {
    cdc_send_t   *next;                  /* first: see cdc_lane_last() */
    cdc_item_t   *item;                  /* NULL: a tick */
    unsigned      shard;
    uint64_t      tick;                  /* the source's */
    uint64_t      stamp;                 /* 0: the source's own */
};


static void cdc_lane_flush(cdc_post_t *post);
static void cdc_lane_done(void *arg, int rc, const cdc_target_error_t *err);
static void cdc_lane_poison(const cdc_send_t *send, const char *why);


static void
cdc_lane_defer(cdc_lane_t *lane)
{
    if (!lane->deferred) {
        lane->deferred = 1;
        cdc_loop_defer(lane->repl->loop, &lane->flush);
    }
}


static void
cdc_lane_timer(cdc_timer_t *tm)
{
    cdc_lane_defer(tm->data);
}


cdc_lane_t *
cdc_lane_get(cdc_repl_t *r, const char *name)
{
    cdc_lane_t  *lane;

    for (lane = r->lanes; lane; lane = lane->next) {
        if (strcmp(lane->name, name) == 0) {
            return lane;
        }
    }

    lane = calloc(1, sizeof(cdc_lane_t));
    if (lane == NULL) {
        return NULL;
    }

    lane->name = strdup(name);
    if (lane->name == NULL) {
        free(lane);
        return NULL;
    }

    lane->repl = r;
    lane->queue_tail = &lane->queue;
    lane->flush.handler = cdc_lane_flush;
    lane->flush.data = lane;
    lane->timer.handler = cdc_lane_timer;
    lane->timer.data = lane;
    lane->dirty = 1;

    lane->next = r->lanes;
    r->lanes = lane;

    return lane;
}


/* while true, the channel's rows wait for their tick */

int
cdc_lane_raising(const cdc_lane_t *lane, const cdc_channel_t *ch)
{
    return ch->tick_closed <= lane->raise && lane->raise;
}


static cdc_send_t *
cdc_lane_push(cdc_lane_t *lane)
{
    cdc_send_t  *send;

    send = calloc(1, sizeof(cdc_send_t));

    if (send) {
        *lane->queue_tail = send;
        lane->queue_tail = &send->next;
        cdc_lane_defer(lane);
    }

    return send;
}


static cdc_send_t *
cdc_lane_last(cdc_lane_t *lane)
{
    return lane->queue ? (cdc_send_t *) lane->queue_tail : NULL;
}


int
cdc_lane_send(cdc_lane_t *lane, cdc_item_t *item, unsigned shard)
{
    cdc_send_t  *send;

    send = cdc_lane_push(lane);
    if (send == NULL) {
        return CDC_ERROR;
    }

    send->item = item;
    send->shard = shard;
    item->sends++;
    lane->behind += item->bytes;

    return CDC_OK;
}


/* does the shard still feed its lane?  A dropped collection's does until a
 * tick has passed its drop's message, or the target would never read it. */

static int
cdc_lane_fed_by(const cdc_coll_t *c, const cdc_shard_t *shard)
{
    if (cdc_coll_bound(c)) {
        return 1;
    }

    return c->state == CDC_COLL_GONE && shard->farewell && shard->ch->stream
           && shard->lane->covered <= shard->farewell;
}


void
cdc_lane_tick(cdc_lane_t *lane)
{
    unsigned      i;
    uint64_t      low;
    cdc_coll_t   *c;
    cdc_send_t   *send;
    cdc_shard_t  *shard;

    low = UINT64_MAX;

    for (c = lane->repl->colls; c; c = c->next) {
        for (i = 0; i < c->nshards; i++) {
            shard = &c->shards[i];

            if (shard->lane == lane && shard->ch->tick_closed < low
                && cdc_lane_fed_by(c, shard))
            {
                low = shard->ch->tick_closed;
            }
        }
    }

    if (low == UINT64_MAX || low <= lane->tick_want) {
        return;
    }

    send = cdc_lane_last(lane);

    if (send == NULL || send->item) {

        /* in a backlog the target need not work through each small pack */

        if (lane->marker && lane->behind < CDC_PACK_BYTES) {
            lane->marker->tick = 0;

        } else {
            lane->behind = 0;
        }

        send = cdc_lane_push(lane);
        lane->marker = send;
    }

    if (send == NULL) {
        cdc_repl_fail(lane->repl, "out of memory");
        return;
    }

    send->tick = low;
    lane->tick_want = low;
    cdc_lane_defer(lane);
}


void
cdc_lane_wake(cdc_lane_t *lane)
{
    if (lane->wanting) {
        lane->wanting = 0;
        cdc_lane_defer(lane);
    }
}


/* is there a stamp for it that a crash will know of? */

static int
cdc_lane_reserved(cdc_lane_t *lane, uint64_t stamp)
{
    if (stamp + cdc_ms_tso(CDC_RESERVE_MS / 2) > lane->reserve) {
        lane->dirty = 1;
        cdc_checkpoint_soon(lane->repl);
    }

    if (stamp <= lane->reserve) {
        return 1;
    }

    lane->wanting = 1;

    if (stamp > lane->used) {
        lane->used = stamp;              /* what the reserve must cover */
    }

    cdc_checkpoint_now(lane->repl);

    return 0;
}


/* the stamp of the next send, 0: it has to wait */

static uint64_t
cdc_lane_stamp(cdc_lane_t *lane, cdc_send_t *send)
{
    uint64_t  own, stamp, now;

    own = send->item ? send->item->env.ts : send->tick;
    stamp = own;

    if (send->item == NULL) {
        now = cdc_now_ms();

        /* idle: the tick would cover nothing that has been sent */

        if (lane->flight == NULL && send->next == NULL && lane->owed == 0
            && lane->newest <= lane->covered
            && now < lane->tick_at + CDC_IDLE_TICK_MS)
        {
            cdc_timer_add(lane->repl->loop, &lane->timer,
                          lane->tick_at + CDC_IDLE_TICK_MS - now);
            return 0;
        }
    }

    if (stamp <= lane->raise) {
        stamp = lane->raise + 1;
    }

    if (!cdc_lane_reserved(lane, stamp)) {
        return 0;
    }

    send->stamp = 0;

    if (stamp != own || (send->item && send->item->settle)) {
        send->stamp = stamp;
        lane->raise = stamp;
    }

    return stamp;
}


/* takes sends off the queue into the flight and stamps them */

static void
cdc_lane_gather(cdc_lane_t *lane)
{
    size_t       bytes, len;
    uint64_t     stamp;
    cdc_send_t  *send, **tail;

    bytes = 0;
    tail = &lane->flight;

    while (lane->queue) {
        send = lane->queue;

        if (send->item == NULL && send->tick == 0) {
            lane->queue = send->next;
            free(send);
            continue;
        }

        len = send->item ? send->item->bytes + 1 : 0;

        if (bytes && (lane->single || bytes + len > CDC_REQUEST_BYTES)) {
            break;
        }

        stamp = cdc_lane_stamp(lane, send);
        if (stamp == 0) {
            break;
        }

        if (stamp > lane->used) {
            lane->used = stamp;
        }

        if (send->item) {
            lane->newest = stamp > lane->newest ? stamp : lane->newest;
            lane->owed += 1 + send->item->settle;

        } else {
            lane->covered = stamp;
            lane->tick_at = cdc_now_ms();
        }

        if (send == lane->marker) {
            lane->marker = NULL;
        }

        lane->queue = send->next;
        send->next = NULL;
        *tail = send;
        tail = &send->next;
        bytes += len;
    }

    if (lane->queue == NULL) {
        lane->queue_tail = &lane->queue;
    }

    if (lane->owed > CDC_NUDGE_MAX) {
        lane->owed = CDC_NUDGE_MAX;
    }
}


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


static int
cdc_lane_add(cdc_chain_t *chain, cdc_send_t *send)
{
    int              rc;
    size_t           mark;
    cdc_coll_t      *c;
    cdc_item_t      *item;
    cdc_part_t      *part;
    cdc_rewrite_t    rw;

    item = send->item;

    if (item == NULL) {
        return cdc_lane_add_tick(chain, send);
    }

    c = item->coll;
    part = cdc_coll_part(c, item->env.partition_id);

    memset(&rw, 0, sizeof(cdc_rewrite_t));
    rw.collection_name = cdc_span_n(c->target_name, strlen(c->target_name));
    rw.shard_name = cdc_span_n(c->shards[send->shard].target_vchannel,
                               strlen(c->shards[send->shard].target_vchannel));
    rw.collection_id = c->target_id;
    rw.partition_id = part ? part->target_id : item->env.partition_id;
    rw.stamp = send->stamp;

    if (strcmp(c->target_db, "default") != 0) {
        rw.db_name = cdc_span_n(c->target_db, strlen(c->target_db));
    }

    if (part) {
        rw.partition_name = cdc_span_n(part->name, strlen(part->name));
    }

    __atomic_add_fetch(&item->body->refs, 1, __ATOMIC_RELAXED);

    if (cdc_chain_hold(chain, cdc_body_unref, item->body) != CDC_OK) {
        cdc_body_unref(item->body);
        return CDC_ERROR;
    }

    if (item->settle && item->env.type == CDC_MSG_INSERT && item->env.rows) {
        if (cdc_wire_msg_open(chain, &mark) != CDC_OK) {
            return CDC_ERROR;
        }

        rc = cdc_wire_delete_of_insert(chain, &item->env, &rw,
                                       c->pk_field_id);
        if (rc != CDC_OK) {
            return rc;
        }

        cdc_wire_msg_close(chain, mark);
    }

    if (cdc_wire_msg_open(chain, &mark) != CDC_OK
        || cdc_wire_rewrite(chain, &item->env, &rw) != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_wire_msg_close(chain, mark);

    return CDC_OK;
}


static cdc_chain_t *
cdc_lane_build(cdc_lane_t *lane)
{
    uint64_t      ts, begin, end;
    cdc_send_t   *send;
    cdc_chain_t  *chain;

    /*
     * The target gives out segments that are good for two seconds of its
     * clock, and holds EndTs against that: it is the time of the request,
     * neither that of old rows nor a stamp ahead of the clock.
     */

    end = cdc_ms_tso(cdc_now_ms() + lane->repl->clock_offset);
    begin = end;

    for (send = lane->flight; send; send = send->next) {
        ts = send->stamp ? send->stamp
                         : send->item ? send->item->env.ts : send->tick;
        begin = ts < begin ? ts : begin;
    }

    chain = cdc_chain_create();

    if (chain == NULL
        || cdc_wire_replicate_begin(chain, cdc_span_n(lane->name,
                                                      strlen(lane->name)),
                                    begin, end) != CDC_OK)
    {
        cdc_repl_fail(lane->repl, "out of memory");
        goto failed;
    }

    for (send = lane->flight; send; send = send->next) {
        if (cdc_lane_add(chain, send) != CDC_OK) {
            cdc_lane_poison(send, "it has no primary key that could be read, "
                            "or it is malformed");
            goto failed;
        }
    }

    return chain;

failed:

    if (chain) {
        cdc_chain_unref(chain);
    }

    return NULL;
}


/* a flight of the last tick once more, when it is time for that */

static int
cdc_lane_nudge(cdc_lane_t *lane, uint64_t now)
{
    if (lane->queue || lane->covered < lane->newest) {
        return CDC_DECLINED;
    }

    if (lane->owed <= CDC_NUDGE_MSGS) {
        lane->owed = 0;                  /* the tick has taken them along */
        return CDC_DECLINED;
    }

    if (now < lane->nudge_at) {
        cdc_timer_add(lane->repl->loop, &lane->timer, lane->nudge_at - now);
        return CDC_AGAIN;
    }

    lane->flight = calloc(1, sizeof(cdc_send_t));
    if (lane->flight == NULL) {
        return CDC_ERROR;
    }

    lane->flight->tick = lane->tick_sent;
    lane->flight->stamp = lane->covered;
    lane->nudge_at = now + CDC_NUDGE_MS;
    lane->owed -= CDC_NUDGE_MSGS;

    return CDC_OK;
}


static void
cdc_lane_flush(cdc_post_t *post)
{
    int           rc;
    char          err[CDC_REASON_MAX];
    uint64_t      now;
    cdc_lane_t   *lane;
    cdc_repl_t   *r;
    cdc_chain_t  *chain;

    lane = post->data;
    lane->deferred = 0;
    r = lane->repl;

    if (lane->busy || !r->running || r->resetting || r->failed
        || r->stopping)
    {
        return;
    }

    now = cdc_now_ms();

    if (lane->retry_at > now) {
        cdc_timer_add(r->loop, &lane->timer, lane->retry_at - now);
        return;
    }

    cdc_lane_gather(lane);

    if (lane->flight == NULL && cdc_lane_nudge(lane, now) != CDC_OK) {
        return;
    }

    if (lane->lane == NULL) {
        lane->lane = r->target_ops->lane_open(r->target, err);
        if (lane->lane == NULL) {
            cdc_repl_fail(r, "cannot connect to the target: %s", err);
            return;
        }
    }

    chain = cdc_lane_build(lane);
    if (chain == NULL) {
        return;                          /* the task has failed */
    }

    lane->busy = 1;
    r->status.requests++;

    rc = r->target_ops->send(lane->lane, chain, cdc_lane_done, lane);

    cdc_chain_unref(chain);

    if (rc != CDC_OK) {
        lane->busy = 0;
        cdc_repl_reset(r, "the request could not be started");
    }
}


static void
cdc_lane_free_sends(cdc_send_t **list)
{
    cdc_send_t  *send;

    while (*list) {
        send = *list;
        *list = send->next;

        if (send->item && --send->item->sends == 0 && send->item->farewell) {
            cdc_item_free(send->item);
        }

        free(send);
    }
}


static void
cdc_lane_acked(cdc_lane_t *lane)
{
    cdc_send_t  *send;

    lane->backoff = 0;
    lane->retry_at = 0;

    if (cdc_now_ms() - lane->repl->reset_at > CDC_BACKOFF_MAX) {
        lane->repl->reset_backoff = 0;
    }

    while (lane->flight) {
        send = lane->flight;
        lane->flight = send->next;

        if (send->item == NULL) {
            lane->tick_sent = send->tick;

        } else if (--send->item->sends == 0) {
            cdc_channel_acked(send->item);
        }

        free(send);
    }
}


/* surely not applied: the same again, after a while */

static void
cdc_lane_retry(cdc_lane_t *lane, const cdc_target_error_t *err)
{
    cdc_send_t  **last;

    lane->repl->status.retries++;
    lane->backoff = lane->backoff ? lane->backoff * 2 : CDC_BACKOFF_MIN;

    if (lane->backoff > CDC_BACKOFF_MAX) {
        lane->backoff = CDC_BACKOFF_MAX;
    }

    lane->retry_at = cdc_now_ms() + lane->backoff;
    lane->covered = 0;

    for (last = &lane->flight; *last; last = &(*last)->next) { /* void */ }

    *last = lane->queue;

    if (lane->queue == NULL) {
        lane->queue_tail = lane->flight ? last : &lane->queue;
    }

    lane->queue = lane->flight;
    lane->flight = NULL;

    cdc_repl_degraded(lane->repl, CDC_CAUSE_TARGET, err->text);

    /* the target's clock may have been set since it was read */

    if (lane->backoff > 1000) {
        cdc_repl_hello(lane->repl);
    }

    cdc_lane_defer(lane);
}


/* the target will never take this one: the task pauses and names it */

static void
cdc_lane_poison(const cdc_send_t *send, const char *why)
{
    const cdc_item_t  *item;

    item = send->item;

    cdc_repl_fail(item->ch->repl, "a message cannot be applied: topic \"%s\", "
                  "position %llu:%llu, %zu bytes, collection \"%s.%s\": %s",
                  item->ch->name, (unsigned long long) item->pos.hi,
                  (unsigned long long) item->pos.lo, item->bytes,
                  item->coll->db, item->coll->name, why);
}


/* surely not applied, and no use to try again as it is: which one is it? */

static void
cdc_lane_refused(cdc_lane_t *lane, const cdc_target_error_t *err)
{
    cdc_send_t  *send;

    for (send = lane->flight; send && !send->item; send = send->next) {
        /* void */
    }

    if (lane->single && send) {
        cdc_lane_poison(send, err->text);
        return;
    }

    lane->single = 1;
    cdc_lane_retry(lane, err);
}


static void
cdc_lane_done(void *arg, int rc, const cdc_target_error_t *err)
{
    cdc_lane_t  *lane = arg;
    cdc_repl_t  *r;

    r = lane->repl;
    lane->busy = 0;

    if (rc == CDC_OK) {
        cdc_lane_acked(lane);
        cdc_repl_degraded(r, CDC_CAUSE_TARGET, NULL);
        cdc_lane_defer(lane);
        return;
    }

    if (r->resetting || r->stopping || r->failed) {
        return;                          /* stays in flight: in doubt */
    }

    if (err->class == CDC_TARGET_RETRY || err->class == CDC_TARGET_DENIED) {
        cdc_lane_retry(lane, err);
        return;
    }

    if (err->class == CDC_TARGET_REFUSED) {
        cdc_lane_refused(lane, err);
        return;
    }

    r->reset_wait = err->transport;
    cdc_repl_reset(r, err->text);
}


void
cdc_lane_reset(cdc_lane_t *lane)
{
    if (lane->lane) {
        lane->repl->target_ops->lane_close(lane->lane);
        lane->lane = NULL;
    }

    cdc_timer_del(lane->repl->loop, &lane->timer);
    cdc_lane_free_sends(&lane->flight);
    cdc_lane_free_sends(&lane->queue);

    lane->queue_tail = &lane->queue;
    lane->busy = 0;
    lane->backoff = 0;
    lane->retry_at = 0;
    lane->single = 0;
    lane->marker = NULL;
    lane->newest = lane->covered = 0;
    lane->owed = 0;
    lane->tick_want = lane->tick_sent;   /* what it promised is gone */

    if (lane->used > lane->raise) {
        lane->raise = lane->used;
    }
}


void
cdc_lane_free(cdc_lane_t *lane)
{
    cdc_lane_reset(lane);
    free(lane->name);
    free(lane);
}
