/*
 * A target channel: gathers what the source channels hand over into one
 * ReplicateMessage after the other, one at a time.
 *
 * A request takes all that has gathered while the last one was on its way,
 * up to CDC_REQUEST_BYTES: small when live, large in a backlog, and no timer
 * in between.  Ticks stand in the queue behind the rows that they cover; a
 * tick is the lowest of the newest ticks of the source channels that feed
 * this one, and idle ones go out once a second.  What each message is
 * stamped with, and why: cdc_lane_stamp.c.
 *
 * Several tasks may feed one target channel, each in a process of its own
 * and each with ticks of its own: a task in a backlog raises its stamps
 * above the ticks of a live one, it does not hold them back.  A request is
 * sent between cdc_share_enter() and cdc_share_leave(), which do nothing
 * while the process is alone there.  When another comes, rows go early no
 * longer; the lane yields as soon as those that did are closed by their
 * ticks, in order, and what was in the queue before is sent.  A source that
 * stands still closes nothing: then a reset, after which they are settled,
 * ends it.
 *
 * Nudges.  A consumer of RocksMQ, the log of a standalone Milvus, takes up to
 * 16 messages each time that one is written, and what a burst left behind
 * waits for the next write (seen: a minute of small inserts took three to
 * become visible).  So after a burst the last tick is repeated, which means
 * nothing to the target, every few milliseconds: once for each
 * CDC_NUDGE_MSGS messages; not when the target has told that it is no
 * standalone one, until a connection breaks: another may be there then.
 *
 * Hurry.  Milvus 2.3 reads all its collections on a channel with one
 * consumer; one that is watched starts with a consumer of its own, and the
 * two become one when they stand at the same tick.  For a second after both
 * have started, that may be the tick 0 (seen, with rows lost for good: the
 * target was killed, and each collection of a channel went on where the
 * other one did).  A source has a tick each 200 ms, so this does not happen
 * there; on a target all ticks are ours.  So for CDC_HURRY_MS after a
 * request failed, when the target may have been started, its channels get
 * the last tick again every CDC_HURRY_TICK_MS; those of a collection after it
 * was made and loaded as well (seen: four loaded at once, the rows of one
 * shard gone).
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static void cdc_lane_flush(cdc_post_t *post);
static void cdc_lane_requeue(cdc_lane_t *lane);
static void cdc_lane_again(cdc_lane_t *lane, const char *text);
static void cdc_lane_done(void *arg, int rc, const cdc_target_error_t *err);


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
    lane->raise = r->raise;
    lane->used = r->raise;
    lane->dirty = 1;

    lane->next = r->lanes;
    r->lanes = lane;

    return lane;
}


/* who shares it sent what can be: the process that left has its turn */

static void
cdc_lane_ready(void *arg)
{
    cdc_lane_t  *lane = arg;

    cdc_lane_flush(&lane->flush);
}


/* the tasks of one target are those of one address, or those that the store
 * has found to be one server */

static int
cdc_lane_share(cdc_lane_t *lane)
{
    char         err[CDC_REASON_MAX];
    cdc_repl_t  *r;
    const char  *dir, *target;

    if (lane->share) {
        return CDC_OK;
    }

    r = lane->repl;
    dir = json_string_value(json_object_get(r->init, "state_dir"));
    target = json_string_value(json_object_get(r->config, "target_group"));

    if (target == NULL) {
        target = r->target_conf.address ? r->target_conf.address : "";
    }

    lane->share = cdc_share_open(r->loop, dir, target, lane->name,
                                 cdc_lane_ready, lane, err);
    if (lane->share == NULL) {
        cdc_repl_degraded(r, CDC_CAUSE_DISK, err);
        cdc_timer_add(r->loop, &lane->timer, CDC_BACKOFF_MAX);
        return CDC_ERROR;
    }

    return CDC_OK;
}


/* why: cdc_lane_stamp.c */

int
cdc_lane_raising(const cdc_shard_t *shard)
{
    cdc_lane_t  *lane;

    lane = shard->lane;

    return cdc_lane_share(lane) != CDC_OK || !cdc_share_alone(lane->share)
           || shard->ch->tick_closed < cdc_lane_least(lane, shard);
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


/* no tick that is not answered yet may pass the last of this channel */

static void
cdc_lane_bound(cdc_lane_t *lane, uint64_t most)
{
    unsigned     i;
    cdc_send_t  *send;

    if (lane->most <= most) {
        return;
    }

    lane->most = most;

    for (i = 0; i < 2; i++) {
        send = i ? lane->queue : lane->flight;

        for ( /* void */ ; send; send = send->next) {
            if (send->item == NULL && send->most > most) {
                send->most = most;
            }
        }
    }
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

    if (item->epoch == NULL && !item->farewell) {
        send->early = lane->early = 1;
        cdc_lane_bound(lane, item->ch->tick_closed);

    } else {
        item->coll->shards[shard].sorted++;
    }

    return CDC_OK;
}


/*
 * The lowest of the newest ticks of the source channels that feed the lane.
 *
 * A dropped collection feeds it no more, but the target reads the drop's
 * message only with a tick behind it.  Where others feed the lane, theirs
 * come.  Where it was the last, the next one of its source channel is passed
 * on; a source channel that no collection uses has none (a Milvus stops
 * there), and one of our own follows the message.
 */

static uint64_t
cdc_lane_last_tick(const cdc_lane_t *lane, const cdc_shard_t *shard)
{
    if (shard->farewell == 0 || lane->covered > shard->farewell) {
        return 0;
    }

    if (shard->ch->tick_closed > shard->farewell) {
        return shard->ch->tick_closed;
    }

    return shard->ch->users == 0 ? shard->farewell + 1 : 0;
}


static uint64_t
cdc_lane_low(cdc_lane_t *lane, uint64_t *most)
{
    uint64_t      low, last, tick;
    cdc_shard_t  *shard;

    low = *most = UINT64_MAX;
    last = 0;

    for (shard = lane->feeders; shard; shard = shard->next_feeder) {
        if (shard->coll->state == CDC_COLL_GONE) {
            tick = cdc_lane_last_tick(lane, shard);
            last = tick > last ? tick : last;
        }

        if (!cdc_coll_bound(shard->coll)) {
            continue;
        }

        tick = shard->ch->tick_closed;
        low = tick < low ? tick : low;

        if (lane->early && tick < *most
            && tick >= cdc_lane_least(lane, shard))
        {
            *most = tick;
        }
    }

    return low == UINT64_MAX && last ? last : low;
}


void
cdc_lane_hurry(cdc_coll_t *c)
{
    unsigned     i;
    cdc_lane_t  *lane;

    for (i = 0; i < c->nshards; i++) {
        lane = c->shards[i].lane;

        if (lane) {
            lane->hurry_until = cdc_now_ms() + CDC_HURRY_MS;
            cdc_lane_defer(lane);
        }
    }
}


void
cdc_lane_tick(cdc_lane_t *lane)
{
    uint64_t     low, most;
    cdc_send_t  *send;

    if (cdc_lane_share(lane) != CDC_OK) {
        return;
    }

    low = cdc_lane_low(lane, &most);

    if (low == UINT64_MAX || low <= lane->tick_want) {
        return;
    }

    send = cdc_lane_last(lane);

    if (send == lane->queue && !(send && send->item) && lane->flight == NULL
        && lane->backoff == 0)
    {
        lane->tick_clear = low;
    }

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
        cdc_repl_no_memory();
    }

    send->tick = low;
    send->most = most;
    lane->most = most > lane->most ? most : lane->most;
    lane->tick_want = low;
    cdc_lane_defer(lane);
}


uint64_t
cdc_lane_known(const cdc_lane_t *lane)
{
    return lane->tick_clear > lane->tick_sent ? lane->tick_clear
                                              : lane->tick_sent;
}


void
cdc_lane_wake(cdc_lane_t *lane)
{
    if (lane->wanting) {
        lane->wanting = 0;
        cdc_lane_defer(lane);
    }
}


/* is a row out that went before its tick, which has not come yet? */

static int
cdc_lane_early_left(const cdc_lane_t *lane)
{
    unsigned        i;
    cdc_coll_t     *c;
    cdc_item_t     *item;
    cdc_channel_t  *ch;

    for (ch = lane->repl->channels; ch; ch = ch->next) {
        for (item = ch->early.head; item; item = item->next) {
            c = item->coll;

            for (i = 0; i < c->nshards; i++) {
                if (c->shards[i].ch == ch && c->shards[i].lane == lane) {
                    return 1;
                }
            }
        }
    }

    return 0;
}


/* nothing was sent that relies on being alone: others may send, too */

static int
cdc_lane_yields(cdc_lane_t *lane)
{
    uint64_t  asked;

    asked = cdc_share_asked(lane->share);

    if (asked == 0 || !lane->early) {
        return 1;
    }

    if (!lane->draining) {
        if (!cdc_lane_early_left(lane)) {
            lane->draining = 1;
            lane->last_early = cdc_lane_last(lane);

        } else if (cdc_now_ms() > asked + CDC_YIELD_MS) {
            cdc_repl_reset(lane->repl, "another task feeds the target's "
                           "channel, and the source stands still");
            return 0;
        }
    }

    if (lane->draining && lane->last_early == NULL) {
        lane->early = lane->draining = 0;
    }

    return !lane->early;
}


static int
cdc_lane_enter(cdc_lane_t *lane)
{
    int  yields;

    if (cdc_lane_share(lane) != CDC_OK) {
        return CDC_ERROR;
    }

    yields = cdc_lane_yields(lane);

    if (lane->repl->resetting) {
        return CDC_AGAIN;
    }

    return cdc_share_enter(lane->share, yields, lane->raise,
                           cdc_lane_target_now(lane));
}


/* the one request at a time, entered */

static int
cdc_lane_request(cdc_lane_t *lane)
{
    int           rc;
    char          err[CDC_REASON_MAX];
    cdc_repl_t   *r;
    cdc_chain_t  *chain;

    r = lane->repl;

    if (lane->lane == NULL) {
        lane->lane = r->target_ops->lane_open(r->target, err);
        if (lane->lane == NULL) {
            cdc_lane_again(lane, err);
            return CDC_ERROR;
        }
    }

    chain = cdc_lane_build(lane);
    if (chain == NULL) {
        cdc_lane_requeue(lane);
        return CDC_ERROR;
    }

    lane->busy = 1;
    r->status.requests++;
    cdc_share_sending(lane->share);

    CDC_FAULT("before-send");
    rc = r->target_ops->send(lane->lane, chain, cdc_lane_done, lane);
    CDC_FAULT("after-send");

    cdc_chain_unref(chain);

    if (rc != CDC_OK) {
        lane->busy = 0;
        cdc_repl_reset(r, "the request could not be started");
    }

    return rc;
}


static void
cdc_lane_flush(cdc_post_t *post)
{
    uint64_t     now;
    cdc_lane_t  *lane;
    cdc_repl_t  *r;

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

    if (cdc_lane_enter(lane) != CDC_OK) {
        return;
    }

    cdc_lane_gather(lane);

    if ((lane->flight == NULL && cdc_lane_nudge(lane, now) != CDC_OK)
        || cdc_lane_request(lane) != CDC_OK)
    {
        cdc_share_leave(lane->share, CDC_DECLINED);
    }
}


/* its stamp is what it will stay */

void
cdc_lane_final(const cdc_send_t *send)
{
    if (send->item && !send->early) {
        send->item->coll->shards[send->shard].sorted--;
    }
}


static void
cdc_lane_free_sends(cdc_send_t **list)
{
    cdc_send_t  *send;

    while (*list) {
        send = *list;
        *list = send->next;
        cdc_lane_final(send);

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
    lane->acked_at = cdc_now_ms();

    if (lane->acked_at - lane->repl->reset_at > CDC_BACKOFF_MAX) {
        lane->repl->reset_backoff = 0;
    }

    while (lane->flight) {
        send = lane->flight;
        lane->flight = send->next;
        cdc_lane_final(send);

        if (send->item == NULL) {
            lane->tick_sent = send->tick;
            lane->closed = send->stamp ? send->stamp : send->tick;

        } else {
            lane->single -= lane->single > 0;

            if (--send->item->sends == 0) {
                cdc_channel_acked(send->item);
            }
        }

        free(send);
    }
}


/* surely not applied: what is in flight goes out again */

static void
cdc_lane_requeue(cdc_lane_t *lane)
{
    cdc_send_t  **last;

    lane->covered = 0;

    for (last = &lane->flight; *last; last = &(*last)->next) { /* void */ }

    *last = lane->queue;

    if (lane->queue == NULL) {
        lane->queue_tail = lane->flight ? last : &lane->queue;
    }

    lane->queue = lane->flight;
    lane->flight = NULL;
    lane->draining = 0;
    lane->last_early = NULL;

    cdc_lane_defer(lane);
}


/* one lane says nothing about another: the target may take a channel's rows
 * and not those of the next.  What another does not take is said again. */

static void
cdc_lane_recovered(cdc_repl_t *r)
{
    cdc_lane_t  *lane;

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->backoff && lane->queue) {
            cdc_repl_degraded(r, CDC_CAUSE_TARGET, lane->error);
            return;
        }
    }

    cdc_repl_degraded(r, CDC_CAUSE_TARGET, NULL);
}


/* after a while */

static void
cdc_lane_again(cdc_lane_t *lane, const char *text)
{
    lane->repl->status.retries++;
    lane->backoff = lane->backoff ? lane->backoff * 2 : CDC_BACKOFF_MIN;

    if (lane->backoff > CDC_BACKOFF_MAX) {
        lane->backoff = CDC_BACKOFF_MAX;
    }

    lane->retry_at = cdc_now_ms() + lane->backoff;

    (void) snprintf(lane->error, sizeof(lane->error), "%s", text);

    cdc_lane_requeue(lane);
    cdc_repl_degraded(lane->repl, CDC_CAUSE_TARGET, text);

    /* the target's clock may have been set since it was read */

    if (lane->backoff > 1000) {
        cdc_repl_hello(lane->repl);
    }
}


/* the limit is the target's, for all of its channels, and stays; a message
 * that is larger than what was found goes alone */

static void
cdc_lane_smaller(cdc_repl_t *r, size_t bytes, const char *why)
{
    if (r->request_most == 0) {
        cdc_log(CDC_LOG_NOTICE, 0, "requests are made smaller: %s", why);
    }

    if (r->request_most == 0 || bytes < r->request_most) {
        r->request_most = bytes ? bytes : 1;
    }
}


/* surely not applied, and no use to try again as it is: which one is it? */

static void
cdc_lane_refused(cdc_lane_t *lane, const cdc_target_error_t *err)
{
    size_t       bytes;
    unsigned     n;
    cdc_send_t  *send;

    for (send = lane->flight; send && !send->item; send = send->next) {
        /* void */
    }

    if (lane->single && send) {
        if (cdc_lane_poison(lane, send, err->text) == CDC_OK) {
            lane->single = 0;
            lane->backoff = 0;
            cdc_lane_requeue(lane);
            cdc_lane_recovered(lane->repl);
        }

        return;
    }

    for (n = 0, bytes = 0; send; send = send->next) {
        if (send->item) {
            bytes += send->item->bytes;
            n++;
        }
    }

    if (err->large && n > 1) {
        cdc_lane_smaller(lane->repl, bytes / 2, err->text);
        cdc_lane_requeue(lane);
        return;
    }

    lane->single = n;
    cdc_lane_again(lane, err->text);
}


static int
cdc_lane_unapplied(const cdc_target_error_t *err)
{
    return err->class == CDC_TARGET_RETRY || err->class == CDC_TARGET_DENIED
           || err->class == CDC_TARGET_REFUSED;
}


/* what is answered is over; what is not may still be under way */

static int
cdc_lane_left(int rc, const cdc_target_error_t *err)
{
    if (rc == CDC_OK) {
        return CDC_OK;
    }

    if (cdc_lane_unapplied(err)) {
        return CDC_DECLINED;
    }

    return err->transport ? CDC_ERROR : CDC_OK;
}


/* of those whose messages were in the request */

static void
cdc_lane_error(cdc_lane_t *lane, const char *text)
{
    cdc_coll_t  *c;
    cdc_send_t  *send;

    c = NULL;

    for (send = lane->flight; send; send = send->next) {
        if (send->item && send->item->coll && send->item->coll != c) {
            c = send->item->coll;
            cdc_coll_error(c, "%s", text);
        }
    }
}


static void
cdc_lane_done(void *arg, int rc, const cdc_target_error_t *err)
{
    cdc_lane_t  *lane = arg;
    cdc_repl_t  *r;

    r = lane->repl;
    lane->busy = 0;

    cdc_share_leave(lane->share, cdc_lane_left(rc, err));

    if (rc == CDC_OK) {
        CDC_FAULT("before-ack");
        cdc_lane_acked(lane);
        CDC_FAULT("after-ack");
        cdc_lane_recovered(r);
        cdc_lane_defer(lane);
        return;
    }

    if (err->transport) {
        lane->hurry_until = cdc_now_ms() + CDC_HURRY_MS;
        r->hello_again = 1;
        r->distributed = 0;
        cdc_load_unread(lane);
    }

    if (!cdc_lane_unapplied(err)) {
        r->status.doubts++;
    }

    if (err->class != CDC_TARGET_REFUSED) {
        cdc_lane_error(lane, err->text); /* else it is not known whose */
    }

    if (r->resetting || r->stopping || r->failed) {
        return;                          /* stays in flight: in doubt */
    }

    if (err->class == CDC_TARGET_REFUSED) {
        cdc_lane_refused(lane, err);
        return;
    }

    if (cdc_lane_unapplied(err)) {
        cdc_lane_again(lane, err->text);
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

    if (lane->share) {
        cdc_share_leave(lane->share, CDC_ERROR);
    }

    lane->repl->status.doubts += lane->busy;

    cdc_timer_del(lane->repl->loop, &lane->timer);
    cdc_lane_free_sends(&lane->flight);
    cdc_lane_free_sends(&lane->queue);

    lane->queue_tail = &lane->queue;
    lane->busy = 0;
    lane->backoff = 0;
    lane->retry_at = 0;
    lane->single = 0;
    lane->marker = lane->last_early = NULL;
    lane->early = lane->draining = 0;
    lane->newest = lane->covered = 0;
    lane->owed = 0;
    cdc_load_unread(lane);
    lane->most = 0;
    lane->tick_want = lane->tick_sent;   /* what it promised is gone */

    if (lane->used > lane->raise) {
        lane->raise = lane->used;
    }
}


void
cdc_lane_free(cdc_lane_t *lane)
{
    cdc_lane_reset(lane);

    if (lane->share) {
        cdc_share_close(lane->share);
    }

    free(lane->name);
    free(lane);
}
