/*
 * What is gone is forgotten: collections, partitions, databases, aliases that
 * the target has dropped.  Otherwise a source that makes and drops one each
 * minute would make the task, each of its ticks and its checkpoint grow for
 * ever.
 *
 * What a dropped collection is still known for, and when that ends:
 *
 *   - its drop's message is owed to the target on each of its channels, also
 *     after a crash between the operation and the message.  "owed" is durable
 *     before the operation is sent and goes with the acknowledgement;
 *   - that message needs a tick behind it.  It has one when a tick above its
 *     stamp is acknowledged: the message was stamped above all ticks before.
 *     One that the target has and whose drop's message was never met (the
 *     source dropped it while the task looked for the first time) is kept:
 *     the message may come;
 *   - pointers.  All places that have one are looked at, at a moment when
 *     nothing is under way: messages of the channels (until the epoch that
 *     they are in is done), of the lanes, and operations.  The ops thread has
 *     copies, and its operation is in the queue;
 *   - the source's metadata may still show it as it was, and it would be
 *     taken for a new one.  So etcd must have it as Dropping, or not at all (a
 *     Milvus keeps the key for hours, until its segments are collected).  It
 *     does not go back from there, ids are not used again, revisions come in
 *     order and a list is linearizable: it does not come back, in this life or
 *     in a later one;
 *   - its messages may be met again.  What is done is in the track and is not
 *     (cdc_track.c), and up to a tick that is acknowledged all is done.  So
 *     none of it is met, unless the channel is read from elsewhere; then the
 *     rows and the drop are those of an id that is not there, and are passed
 *     over as if it were known (cdc_emit.c), perhaps after a question to etcd.
 *     Nothing would be wrong without the wait for the tick; the question,
 *     while etcd is away, would hold up the channel.
 *
 * What is in doubt is not done, hence behind that tick: settling needs nothing
 * of it, and would skip it.  A copy of the state directory that is older has
 * the collection as it was then, and reads its drop again; one that is newer
 * has a track that is as new.  Its counters go with it, the task's own stay.
 *
 * A dropped partition has no "owed": its place is known for the messages of
 * its drop, one on each channel.  They have one timestamp.  A tick up to there
 * is acknowledged before the farewell is, which is read once more after a
 * crash or a broken connection: so each has been read, in this life, when all
 * channels have such a tick and are past what had been read before, and has
 * been followed by its farewell when no drop of the collection is on its way.
 * Rows of it that went early stand before the farewell in their lane.
 *
 * A Milvus tells its channels one after the other.  One that ends or fails on
 * the way tells all of them again, seconds or hours later and with a later
 * timestamp, and only then (20 minutes later, when its segments are collected)
 * takes the partition out of etcd.  One whose drop has not been met on each
 * channel ("told") is kept, or data nodes of the target would keep its rows
 * for ever: until it is not in etcd and there is nothing more to be read, for
 * a task that is behind knows of the former long before it reads of the drop.
 * What a task was never told of (from before its start, say) ends there, too.
 *
 * One of a task with "ignore_partition" is not dropped on the target, which has
 * none; it has the timestamp of its drop all the same.
 *
 * What was forgotten is taken out of LevelDB by the next batch, which has the
 * tracks of that moment or newer ones; should the batch fail, by the one after
 * it.  It stands first there: an alias may be back by then.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CDC_FORGET_KEY  2048


struct cdc_forgotten_s {
    cdc_forgotten_t  *next;
    char              key[];
};


/* ---- LevelDB ---- */

void
cdc_forget_key(cdc_repl_t *r, const char *kind, const char *name)
{
    char              key[CDC_FORGET_KEY];
    size_t            len;
    cdc_forgotten_t  *f;

    len = (size_t) snprintf(key, sizeof(key), "%s%s", kind, name);

    if (len >= sizeof(key)) {
        return;                          /* it was never stored whole */
    }

    f = malloc(sizeof(cdc_forgotten_t) + len + 1);
    if (f == NULL) {
        cdc_repl_no_memory();
    }

    memcpy(f->key, key, len + 1);
    f->next = r->forgotten;
    r->forgotten = f;
}


/* those of a batch that failed are among them */

void
cdc_forget_put(cdc_repl_t *r, cdc_db_batch_t *b)
{
    cdc_forgotten_t  *f, **last;

    for (f = r->forgotten; f; f = f->next) {
        cdc_db_batch_delete(b, cdc_span_n(f->key, strlen(f->key)));
    }

    for (last = &r->forgetting; *last; last = &(*last)->next) { /* void */ }

    *last = r->forgotten;
    r->forgotten = NULL;
}


void
cdc_forget_written(cdc_repl_t *r, int rc)
{
    cdc_forgotten_t  *f;

    while (r->forgetting) {
        f = r->forgetting;
        r->forgetting = f->next;

        if (rc == CDC_OK) {
            free(f);
            continue;
        }

        f->next = r->forgotten;
        r->forgotten = f;
    }
}


/* ---- who refers to one ---- */

static void
cdc_forget_hold(cdc_coll_t *c, const cdc_item_t *item)
{
    if (c) {
        c->held = 1;
        c->part_held |= item == NULL || cdc_item_is_drop(item);
    }
}


/* a drop that has been read ahead of its tick has not been resolved yet */

static void
cdc_forget_hold_list(const cdc_item_t *item)
{
    cdc_coll_t  *c;

    for ( /* void */ ; item; item = item->next) {
        c = item->coll;

        if (c == NULL && cdc_item_is_drop(item)) {
            c = cdc_coll_by_id(item->ch->repl, item->env.collection_id);
        }

        cdc_forget_hold(c, item);
    }
}


static void
cdc_forget_hold_sends(const cdc_send_t *send)
{
    for ( /* void */ ; send; send = send->next) {
        if (send->item) {
            cdc_forget_hold(send->item->coll, send->item);
        }
    }
}


static void
cdc_forget_mark(cdc_repl_t *r)
{
    unsigned        i;
    cdc_op_t       *op;
    cdc_coll_t     *c;
    cdc_lane_t     *lane;
    cdc_epoch_t    *epoch;
    cdc_channel_t  *ch;

    for (c = r->colls; c; c = c->next) {
        c->held = 0;
        c->part_held = 0;
    }

    for (ch = r->channels; ch; ch = ch->next) {
        cdc_forget_hold_list(ch->open.head);
        cdc_forget_hold_list(ch->early.head);
        cdc_forget_hold_list(ch->closed.head);

        for (epoch = ch->epochs; epoch; epoch = epoch->next) {
            cdc_forget_hold_list(epoch->items);
        }
    }

    for (lane = r->lanes; lane; lane = lane->next) {
        cdc_forget_hold_sends(lane->queue);
        cdc_forget_hold_sends(lane->flight);
    }

    for (op = r->ops; op; op = op->next) {
        for (i = 0; i < op->ncolls; i++) {
            cdc_forget_hold(op->colls[i], NULL);
        }
    }
}


/* ---- a partition's farewells ---- */

static uint64_t
cdc_forget_bit(unsigned shard)
{
    return (uint64_t) 1 << shard % 64;   /* a Milvus makes no more of them */
}


void
cdc_forget_told(const cdc_item_t *item)
{
    unsigned     i;
    cdc_coll_t  *c;
    cdc_part_t  *p;

    c = item->coll;
    p = cdc_coll_part(c, item->env.partition_id);

    if (p == NULL) {
        return;
    }

    for (i = 0; i < c->nshards; i++) {
        if (c->shards[i].ch == item->ch) {
            p->told |= cdc_forget_bit(i);
        }
    }

    p->gone_ts = p->gone_ts > item->env.ts ? p->gone_ts : item->env.ts;
    c->dirty = 1;
}


static int
cdc_forget_all_told(const cdc_coll_t *c, const cdc_part_t *p)
{
    unsigned  i;

    for (i = 0; i < c->nshards; i++) {
        if (!(p->told & cdc_forget_bit(i))) {
            return 0;
        }
    }

    return 1;
}


/* ---- may it go? ---- */

static int
cdc_forget_shard(const cdc_coll_t *c, const cdc_shard_t *s)
{
    if (s->owed || s->started) {
        return 0;
    }

    if (s->farewell == 0) {
        return c->target_id == 0;        /* the target never had it */
    }

    if (s->lane && s->lane->closed <= s->farewell
        && s->lane->tick_sent <= s->farewell)
    {
        return 0;
    }

    /* a channel that nobody needs is not read on, nor again */

    return s->ch->users == 0 || s->ch->tick_acked >= s->farewell;
}


static int
cdc_forget_coll(const cdc_coll_t *c)
{
    unsigned                      i;
    const cdc_meta_collection_t  *m;

    if (c->state != CDC_COLL_GONE) {
        return 0;
    }

    m = cdc_meta_by_id(c->repl->meta, c->id);

    if (m && !m->gone && !m->dropping) {
        return 0;
    }

    for (i = 0; i < c->nshards; i++) {
        if (!cdc_forget_shard(c, &c->shards[i])) {
            return 0;
        }
    }

    return 1;
}


/* all that the log had when etcd was as it is */

static int
cdc_forget_read(const cdc_coll_t *c)
{
    unsigned              i;
    const cdc_repl_t     *r;
    const cdc_channel_t  *ch;

    r = c->repl;

    for (i = 0; i < c->nshards; i++) {
        ch = c->shards[i].ch;

        if (ch->stream == NULL || !r->reader_ops->at_end(ch->stream)) {
            return 0;
        }
    }

    return r->cause[CDC_CAUSE_LOG][0] == '\0';
}


static int
cdc_forget_part(const cdc_coll_t *c, const cdc_part_t *p)
{
    unsigned                      i, told;
    const cdc_channel_t          *ch;
    const cdc_meta_partition_t   *mp;
    const cdc_meta_collection_t  *m;

    if (p->gone_ts == 0 || c->state != CDC_COLL_LIVE) {
        return 0;
    }

    for (i = 0; i < c->nshards; i++) {
        ch = c->shards[i].ch;

        if (ch->tick_acked < p->gone_ts
            || cdc_pos_cmp(cdc_track_end(&ch->track), ch->reread) < 0)
        {
            return 0;
        }
    }

    told = !p->gone || cdc_forget_all_told(c, p);
    m = cdc_meta_by_id(c->repl->meta, c->id);

    for (i = 0; m && i < m->npartitions; i++) {
        mp = &m->partitions[i];

        if (mp->id == p->id && !mp->gone) {
            return mp->dropping && told;
        }
    }

    return m && (told || cdc_forget_read(c));
}


static int
cdc_forget_any(const cdc_repl_t *r)
{
    unsigned           i;
    const cdc_coll_t  *c;

    for (c = r->colls; c; c = c->next) {
        if (cdc_forget_coll(c)) {
            return 1;
        }

        for (i = 0; i < c->nparts; i++) {
            if (cdc_forget_part(c, &c->parts[i])) {
                return 1;
            }
        }
    }

    return 0;
}


static unsigned
cdc_forget_parts(cdc_coll_t *c)
{
    unsigned  i, n;

    for (i = 0, n = 0; !c->part_held && i < c->nparts; /* void */ ) {
        if (cdc_forget_part(c, &c->parts[i])) {
            cdc_coll_part_forget(c, i);
            n++;

        } else {
            i++;
        }
    }

    return n;
}


static void
cdc_forget_colls(cdc_repl_t *r)
{
    char         id[32];
    unsigned     colls, parts;
    cdc_coll_t  *c, **last;

    colls = parts = 0;
    cdc_forget_mark(r);

    for (last = &r->colls; *last; /* void */ ) {
        c = *last;

        if (c->held || !cdc_forget_coll(c)) {
            parts += cdc_forget_parts(c);
            last = &c->next;
            continue;
        }

        snprintf(id, sizeof(id), "%lld", (long long) c->id);
        cdc_forget_key(r, "coll/", id);
        cdc_forget_key(r, "stat/", id);

        *last = c->next;
        cdc_coll_unchain(c);
        cdc_coll_free(c);
        colls++;
    }

    if (parts) {
        cdc_checkpoint_soon(r);          /* their collections are dirty */
    }

    if (colls || parts) {
        cdc_log(CDC_LOG_INFO, 0, "%u dropped collections and %u dropped "
                "partitions are forgotten", colls, parts);
    }
}


void
cdc_forget(cdc_repl_t *r)
{
    cdc_database_forget(r);
    cdc_alias_forget(r);

    if (cdc_forget_any(r)) {
        cdc_forget_colls(r);
    }

    if (r->forgotten) {
        CDC_FAULT("forgotten");
        cdc_checkpoint_soon(r);
    }
}


static void
cdc_forget_timer(cdc_timer_t *tm)
{
    cdc_repl_t  *r = tm->data;

    if (r->stopping || r->failed) {
        return;
    }

    /* while a connection is given up, nothing is known to be on its way */

    if (!r->resetting) {
        cdc_forget(r);
    }

    cdc_timer_add(r->loop, tm, CDC_FORGET_MS);
}


void
cdc_forget_start(cdc_repl_t *r)
{
    r->forget_timer.handler = cdc_forget_timer;
    r->forget_timer.data = r;

    cdc_timer_add(r->loop, &r->forget_timer, CDC_FORGET_MS);
}
