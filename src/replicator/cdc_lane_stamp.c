/*
 * What goes out next on a target channel, and at which stamp.
 *
 * Normally a message keeps its source timestamps.  It gets a higher stamp,
 * it is raised, when one up to its own may not be used any more:
 *
 *   - what is up to lane->raise was used before, by a request in doubt or by
 *     the process before this one;
 *   - what is up to the highest tick sent to this channel, by any task of
 *     the target, may be skipped by a consumer that seeks: a row must be
 *     above every tick before it, and ticks never go back;
 *   - what follows a raised message of its shard must not be passed by it:
 *     each shard counts up from its last (shard->raised).  A drop's message
 *     is no part of that order: what it is about has no rows behind it.
 *
 * When a request is in doubt (connection broken, process killed), its
 * messages are settled: an insert is sent as a delete of its keys and the
 * rows again, both at one new stamp, a delete alone at a new stamp.  Why the
 * result is equal:
 *
 *   - a settled insert removes whatever copy of its rows came through, at a
 *     stamp above every stamp used before, and writes them once;
 *   - every message of the same channel that follows it in timestamp order
 *     is stamped higher, too (settled, raised, or newer by itself), so a
 *     later delete still deletes and a later insert still stays;
 *   - nothing that precedes it in that order is done later than it: epochs
 *     (cdc_channel.c), and no row goes early while its channel raises;
 *   - settling twice (a crash in the middle) starts above "reserve", which
 *     was durable before any stamp up to it was used;
 *   - no two messages share a stamp that is not their own, whichever source
 *     channels they come from: a delete takes away what is below its stamp
 *     and leaves what has the same.  Nor do two share a msgID
 *     (cdc_lane_build.c), for the target drops the second of such.
 *
 * Two rows of one key by plain insert, which Milvus allows, become one by
 * settling; the README names that limit.
 *
 * Rows that go early, in the order in which they were read, keep their own
 * stamps, so nothing older of their channel may be raised past them later.
 * What is still to come is above the channel's last tick, so that holds if
 * nothing that decides about a raise gets past this tick:
 *
 *   - shard->raised: it is not past it when the row goes early, and nothing
 *     else of the shard may still get its stamp then (shard->sorted: what
 *     went behind its tick and is not acknowledged; being tried again, it
 *     may be stamped higher than before);
 *   - ticks of this process.  One is the lowest of the channels' ticks, but
 *     may have to be raised: it is let go when it would pass ("most").  One
 *     that was queued when no row was early, and may be raised as it must,
 *     is bounded when the first goes early behind it;
 *   - lane->raise: it changes by a reset alone;
 *   - ticks of another process.  A delete of stamp 10, read after the insert of
 *     stamp 12 of the same key went early, would be raised above a tick at
 *     15 of theirs and take the row away.  So rows go early only while the
 *     process is alone on the target channel.  While it is shared they leave
 *     with their own tick, in order, which the target waits for in any case.
 *
 * What a crash at any line leaves: "reserve" in LevelDB is at or above every
 * stamp and tick that this task ever sent; the highest tick of all tasks is
 * in cdc_share.c.
 */

#include "cdc_replicator.h"

#include <stdlib.h>


/* what a stamp has to be above */

uint64_t
cdc_lane_least(const cdc_lane_t *lane, const cdc_shard_t *shard)
{
    uint64_t  least, raised;

    least = cdc_share_tick(lane->share);
    raised = shard ? shard->raised : lane->raised;

    if (least < lane->raise) {
        least = lane->raise;
    }

    return least < raised ? raised : least;
}


uint64_t
cdc_lane_target_now(const cdc_lane_t *lane)
{
    return cdc_ms_tso(cdc_now_ms() + lane->repl->clock_offset);
}


/*
 * Raised stamps go up by one: a crash must not add seconds each time.  Ticks
 * of others move on with the time, and a reserve must not be used up by the
 * next of them before it is durable.
 */

uint64_t
cdc_lane_margin(const cdc_lane_t *lane)
{
    if (lane->raised < lane->used && lane->raise < lane->used) {
        return cdc_ms_tso(CDC_RESERVE_MS);
    }

    return lane->share && cdc_share_is_shared(lane->share)
           ? cdc_ms_tso(CDC_RESERVE_SHARED_MS)
           : cdc_ms_tso(CDC_RESERVE_RAISED_MS);
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


/*
 * When the next idle tick goes out: those of all lanes together, so that the
 * process wakes up once a second for them.  Other processes do so at another
 * time, or a target would have all of theirs at once.
 */

static uint64_t
cdc_lane_idle_at(const cdc_lane_t *lane)
{
    uint64_t  phase;

    phase = lane->repl->idle_phase;

    return (lane->tick_at + CDC_IDLE_TICK_MS - phase) / CDC_IDLE_TICK_MS
           * CDC_IDLE_TICK_MS + phase;
}


/* the next send gets its stamp.  CDC_AGAIN: it has to wait.  CDC_DECLINED: a
 * tick for which it is too early, and which comes again */

static int
cdc_lane_stamp(cdc_lane_t *lane, cdc_send_t *send, uint64_t *stamp)
{
    uint64_t      own, least, now;
    cdc_shard_t  *shard;

    shard = send->item ? &send->item->coll->shards[send->shard] : NULL;
    own = send->item ? send->item->env.ts : send->tick;

    if (send->item == NULL) {
        now = cdc_now_ms();

        /* idle: the tick would cover nothing that has been sent */

        if (lane->flight == NULL && send->next == NULL && lane->owed == 0
            && lane->newest <= lane->covered && now >= lane->hurry_until
            && now < cdc_lane_idle_at(lane))
        {
            cdc_timer_add(lane->repl->loop, &lane->timer,
                          cdc_lane_idle_at(lane) - now);
            return CDC_AGAIN;
        }
    }

    least = cdc_lane_least(lane, shard);

    /* what does not go as it is gets a stamp that no other raised one of the
     * lane has */

    if ((own <= least || (send->item && send->item->settle))
        && least < lane->raised)
    {
        least = lane->raised;
    }

    *stamp = own > least ? own : least + 1;

    /* nor its own: a copy of these checkpoints may not know that it was sent
     * (cdc_restored.c) */

    if (send->item && send->item->settle && *stamp == own) {
        *stamp = own + 1;
    }

    if (send->item == NULL && *stamp > send->most) {
        return CDC_DECLINED;
    }

    if (!cdc_lane_reserved(lane, *stamp)) {
        return CDC_AGAIN;
    }

    send->stamp = 0;

    if (*stamp == own) {
        return CDC_OK;
    }

    send->stamp = *stamp;

    if (*stamp > lane->raised) {
        lane->raised = *stamp;
    }

    if (shard && !send->item->farewell) {
        shard->raised = *stamp;
    }

    return CDC_OK;
}


/* it has its stamp and goes out */

static void
cdc_lane_stamped(cdc_lane_t *lane, cdc_send_t *send, uint64_t stamp)
{
    cdc_item_t  *item;

    item = send->item;

    if (stamp > lane->used) {
        lane->used = stamp;
    }

    if (item == NULL) {
        lane->covered = stamp;
        lane->tick_at = cdc_now_ms();
        cdc_share_put_tick(lane->share, stamp);
        return;
    }

    lane->newest = stamp > lane->newest ? stamp : lane->newest;
    lane->owed += 1 + item->settle;

    if (item->farewell) {
        item->coll->shards[send->shard].farewell = stamp;
    }
}


/* the head of the queue leaves it */

static cdc_send_t *
cdc_lane_pop(cdc_lane_t *lane)
{
    cdc_send_t  *send;

    send = lane->queue;
    lane->queue = send->next;
    send->next = NULL;

    if (lane->queue == NULL) {
        lane->queue_tail = &lane->queue;
    }

    if (send == lane->marker) {
        lane->marker = NULL;
    }

    if (send == lane->last_early) {
        lane->last_early = NULL;
    }

    return send;
}


/* takes sends off the queue into the flight and stamps them */

void
cdc_lane_gather(cdc_lane_t *lane)
{
    int          rc;
    size_t       bytes, len, most;
    uint64_t     stamp;
    cdc_send_t  *send, **tail;

    bytes = 0;
    tail = &lane->flight;
    most = cdc_share_is_shared(lane->share) ? CDC_SHARED_BYTES
                                            : CDC_REQUEST_BYTES;

    if (lane->repl->request_most && lane->repl->request_most < most) {
        most = lane->repl->request_most;
    }

    while (lane->queue) {
        send = lane->queue;

        /* a tick that is not needed, or what was parked on another lane */

        if (send->item ? send->item->poison : send->tick == 0) {
            cdc_lane_drop(cdc_lane_pop(lane));
            continue;
        }

        len = send->item ? send->item->bytes + 1 : 0;

        if (bytes && (lane->single || bytes + len > most)) {
            break;
        }

        rc = cdc_lane_stamp(lane, send, &stamp);

        if (rc == CDC_DECLINED) {
            lane->tick_want = lane->tick_sent;
            free(cdc_lane_pop(lane));
            continue;
        }

        if (rc != CDC_OK) {
            break;
        }

        cdc_lane_stamped(lane, send, stamp);

        *tail = cdc_lane_pop(lane);
        tail = &send->next;
        bytes += len;
    }

    if (lane->repl->distributed) {
        lane->owed = 0;

    } else if (lane->owed > CDC_NUDGE_MAX) {
        lane->owed = CDC_NUDGE_MAX;
    }
}


/* a flight of the last tick once more, when it is time for that */

int
cdc_lane_nudge(cdc_lane_t *lane, uint64_t now)
{
    int  hurry;

    if (lane->queue || lane->covered < lane->newest) {
        return CDC_DECLINED;
    }

    hurry = now < lane->hurry_until && lane->tick_sent;

    if (lane->owed <= CDC_NUDGE_MSGS) {
        lane->owed = 0;                  /* the tick has taken them along */

        if (!hurry) {
            return CDC_DECLINED;
        }
    }

    if (now < lane->nudge_at) {
        cdc_timer_add(lane->repl->loop, &lane->timer, lane->nudge_at - now);
        return CDC_AGAIN;
    }

    lane->flight = calloc(1, sizeof(cdc_send_t));
    if (lane->flight == NULL) {
        return CDC_ERROR;
    }

    /* the last tick of all: one of another task may have been higher */

    lane->flight->tick = lane->tick_sent;
    lane->flight->stamp = cdc_share_tick(lane->share);
    lane->nudge_at = now + (lane->owed ? CDC_NUDGE_MS : CDC_HURRY_TICK_MS);
    lane->owed -= lane->owed > CDC_NUDGE_MSGS ? CDC_NUDGE_MSGS : lane->owed;

    return CDC_OK;
}
