/*
 * Handing a message over: whose it is, whether it may go, to which lanes.
 *
 * A message whose collection or partition is not on the target yet has to
 * wait; one of an object that is gone, or that the task does not follow, has
 * nothing to do there.  An id that the catalogue does not know is one or the
 * other: the catalogue is brought up to date first, and the channel waits.
 * Nothing is handed over beyond the reserve that is durable.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static void
cdc_channel_asked(cdc_channel_t *ch, cdc_item_t *item)
{
    for ( /* void */ ; item; item = item->next) {
        if (item->number < ch->sync_number) {
            item->asked = 1;
        }
    }
}


/* what was read after the question is not answered by it */

static void
cdc_channel_synced(void *arg)
{
    cdc_channel_t  *ch = arg;

    ch->syncing = 0;

    cdc_channel_asked(ch, ch->closed.head);
    cdc_channel_asked(ch, ch->open.head);

    cdc_repl_pump(ch->repl);
}


/* an id that the catalogue does not have: new, or dropped long ago? */

static int
cdc_channel_unknown(cdc_channel_t *ch, cdc_item_t *item)
{
    if (item->asked) {
        return CDC_DECLINED;
    }

    if (!ch->syncing
        && cdc_meta_sync(ch->repl->meta, cdc_channel_synced, ch) == CDC_OK)
    {
        ch->syncing = 1;
        ch->sync_number = ch->track.tail;
    }

    return CDC_AGAIN;
}


/* all partitions that it names are on the target */

static int
cdc_channel_resolve_import(cdc_channel_t *ch, cdc_coll_t *c,
    cdc_item_t *item)
{
    int64_t      ids[CDC_IMPORT_PARTITIONS];
    unsigned     i, n;
    cdc_part_t  *part;

    if (cdc_wire_import_partitions(&item->env, ids, CDC_IMPORT_PARTITIONS, &n)
        != CDC_OK)
    {
        return CDC_OK;                   /* the lane says what is wrong */
    }

    for (i = 0; i < n; i++) {
        part = cdc_coll_part(c, ids[i]);

        if (part == NULL) {
            return cdc_channel_unknown(ch, item);
        }

        if (part->gone || part->dropping) {
            return CDC_DECLINED;
        }

        if (part->target_id == 0) {
            return CDC_AGAIN;
        }
    }

    return CDC_OK;
}


static cdc_coll_t *
cdc_channel_whose(cdc_channel_t *ch, cdc_item_t *item)
{
    cdc_coll_t  *c;

    c = cdc_coll_by_id(ch->repl, item->env.collection_id);
    item->coll = c;

    /* one that was parked has been counted when it was read */

    if (c && item->parking == NULL) {
        c->count.rows_in += item->env.rows;
        c->count.bytes_in += item->bytes;
        c->counted = 1;
    }

    return c;
}


/* is the message behind the point at which the collection goes on? */

static int
cdc_channel_begun(cdc_channel_t *ch, cdc_coll_t *c, cdc_item_t *item,
    unsigned drop)
{
    unsigned      i, before;
    cdc_shard_t  *shard;

    before = 0;

    for (i = 0; i < c->nshards; i++) {
        shard = &c->shards[i];

        if (shard->ch != ch) {
            continue;
        }

        before |= cdc_pos_cmp(item->pos, shard->listed) < 0;

        if (cdc_pos_cmp(item->pos, shard->start) < 0
            || (shard->after_ts && !drop && item->env.ts <= shard->after_ts))
        {
            return CDC_DECLINED;
        }

        if (cdc_pos_cmp(item->pos, shard->settle_upto) < 0) {
            item->settle = 1;
        }
    }

    /* around "now" nobody can tell whether the target has a row: settled, it
     * is there once in either case.  What came to the log later is surely not
     * there, whatever the clocks say */

    if (c->from_ts && before) {
        if (item->env.ts + cdc_ms_tso(CDC_ADOPT_MS) < c->from_ts) {
            return CDC_DECLINED;
        }

        item->settle = 1;
    }

    return CDC_OK;
}


/* with "ignore_partition" the target has no such partition; its rows went to
 * the default one, and it is known until all of them have (cdc_forget.c) */

static void
cdc_channel_ignore(cdc_coll_t *c, const cdc_item_t *item)
{
    cdc_part_t  *part;

    part = cdc_coll_part(c, item->env.partition_id);

    if (part && part->gone_ts < item->env.ts) {
        part->gone_ts = item->env.ts;
        c->dirty = 1;
    }
}


/* CDC_OK: item->coll is live and wants the message */

static int
cdc_channel_resolve(cdc_channel_t *ch, cdc_item_t *item)
{
    unsigned                      drop;
    cdc_coll_t                   *c;
    cdc_part_t                   *part;
    const cdc_meta_collection_t  *meta;

    c = item->coll;

    if (c == NULL) {
        c = cdc_channel_whose(ch, item);
    }

    if (c == NULL) {
        meta = cdc_meta_by_id(ch->repl->meta, item->env.collection_id);

        if (meta && (meta->gone || meta->dropping
                     || !cdc_selected(ch->repl->selection, meta->db,
                                      meta->name)))
        {
            return CDC_DECLINED;
        }

        return cdc_channel_unknown(ch, item);
    }

    drop = cdc_item_is_drop(item);

    if (!drop && (c->state == CDC_COLL_GONE
                  || c->state == CDC_COLL_DROPPING))
    {
        return CDC_DECLINED;
    }

    if (c->state == CDC_COLL_GONE) {
        return c->target_id && item->env.type == CDC_MSG_DROP_COLLECTION
               ? CDC_OK : CDC_DECLINED;
    }

    if (!cdc_coll_bound(c)) {
        return CDC_AGAIN;
    }

    if (cdc_channel_begun(ch, c, item, drop) != CDC_OK) {
        return CDC_DECLINED;
    }

    if (item->env.type == CDC_MSG_DROP_PARTITION
        && cdc_selection_ignore_partition(ch->repl->selection))
    {
        cdc_channel_ignore(c, item);
        return CDC_DECLINED;
    }

    if (item->env.type == CDC_MSG_IMPORT) {
        return cdc_channel_resolve_import(ch, c, item);
    }

    if (item->env.type == CDC_MSG_DROP_COLLECTION
        || item->env.partition_id <= 0)
    {
        return CDC_OK;
    }

    part = cdc_coll_part(c, item->env.partition_id);

    if (part == NULL) {
        return cdc_channel_unknown(ch, item);
    }

    if (!drop && (part->gone || part->dropping)) {
        return CDC_DECLINED;
    }

    return part->target_id ? CDC_OK : CDC_AGAIN;
}


/*
 * A drop's own message closes the target's channel for the collection, or
 * the partition: Flush would wait there for ever.  So the operation comes
 * first, in its order among the others, and the message is its farewell.
 * The target's data node needs both (RPC alone: the channel stays watched).
 */

void
cdc_channel_farewell(cdc_item_t *item)
{
    unsigned      i;
    cdc_coll_t   *c;
    cdc_shard_t  *shard;

    c = item->coll;
    item->farewell = 1;
    CDC_FAULT("farewell");

    for (i = 0; i < c->nshards; i++) {
        shard = &c->shards[i];

        if (shard->ch != item->ch || shard->lane == NULL) {
            continue;
        }

        shard->farewell = item->env.ts;

        if (cdc_lane_send(shard->lane, item, i) != CDC_OK) {
            cdc_repl_no_memory();
        }
    }

    if (item->env.type == CDC_MSG_DROP_PARTITION) {
        cdc_forget_told(item);
    }

    if (item->sends == 0) {
        cdc_channel_acked(item);
    }
}


static int
cdc_channel_emit_drop(cdc_coll_t *c, cdc_item_t *item)
{
    cdc_item_t  *copy;
    cdc_part_t  *part;

    copy = malloc(sizeof(cdc_item_t));
    if (copy == NULL) {
        cdc_repl_no_memory();
    }

    *copy = *item;
    copy->epoch = NULL;
    copy->next = NULL;

    __atomic_add_fetch(&item->body->refs, 1, __ATOMIC_RELAXED);
    item->ch->bodies++;
    c->repl->buffered += item->bytes;

    item->held = 1;

    part = item->env.type == CDC_MSG_DROP_PARTITION
           ? cdc_coll_part(c, item->env.partition_id) : NULL;

    /* a crash came between the operation and this */

    if (c->state == CDC_COLL_GONE || (part && part->gone)) {
        cdc_channel_farewell(copy);
        return CDC_OK;
    }

    cdc_op_drop_read(c, copy);

    return CDC_OK;
}


static int
cdc_channel_feeds(const cdc_item_t *item, const cdc_shard_t *shard)
{
    return shard->ch == item->ch
           && (item->env.type == CDC_MSG_IMPORT
               || cdc_span_is(item->env.shard_name, shard->source_vchannel));
}


/* does it have to wait for its tick, or (ch->open_acks) for what is before it?
 * Asked before it goes to any shard */

static int
cdc_channel_late(cdc_channel_t *ch, const cdc_coll_t *c,
    const cdc_item_t *item)
{
    unsigned  i, sorted;

    sorted = 0;

    if (item->settle) {
        return 1;
    }

    for (i = 0; i < c->nshards; i++) {
        if (!cdc_channel_feeds(item, &c->shards[i])) {
            continue;
        }

        if (cdc_lane_raising(&c->shards[i])) {
            return 1;
        }

        sorted |= c->shards[i].sorted;
    }

    ch->open_acks = sorted != 0;

    return ch->open_acks;
}


int
cdc_channel_emit(cdc_channel_t *ch, cdc_item_t *item, unsigned early)
{
    int           rc;
    char          why[CDC_PARKED_TEXT_MAX];
    unsigned      i, drop, sent;
    cdc_coll_t   *c;
    cdc_shard_t  *shard;

    drop = cdc_item_is_drop(item);

    if (drop && early) {
        return CDC_DONE;
    }

    rc = cdc_channel_resolve(ch, item);
    if (rc != CDC_OK) {
        return rc;
    }

    if (cdc_pos_cmp(item->pos, ch->upto) >= 0) {
        ch->wanting = 1;
        cdc_checkpoint_now(ch->repl);
        return CDC_AGAIN;
    }

    c = item->coll;

    if (drop) {
        return cdc_channel_emit_drop(c, item);
    }

    if (early && cdc_channel_late(ch, c, item)) {
        return CDC_AGAIN;
    }

    sent = 0;

    for (i = 0; i < c->nshards; i++) {
        shard = &c->shards[i];

        if (!cdc_channel_feeds(item, shard)) {
            continue;
        }

        if (cdc_lane_send(shard->lane, item, i) != CDC_OK) {
            cdc_repl_no_memory();
        }

        sent++;
    }

    if (sent == 0) {
        snprintf(why, sizeof(why), "the shard \"%.*s\" is not one of the "
                 "collection", item->env.shard_name.len > 256
                               ? 256 : (int) item->env.shard_name.len,
                 item->env.shard_name.data);

        return cdc_channel_poison(item, why) == CDC_OK ? CDC_DECLINED
                                                       : CDC_AGAIN;
    }

    return CDC_OK;
}


static int
cdc_channel_waits(const cdc_item_t *item, const cdc_coll_t *c,
    int64_t part_id, uint64_t ts)
{
    for ( /* void */ ; item; item = item->next) {
        if (!item->acked && item->env.ts <= ts
            && cdc_item_concerns(item, c->id, part_id))
        {
            return 1;
        }
    }

    return 0;
}


/*
 * By collection, not by tick: the tick may wait for rows of a collection
 * that waits for this very operation.
 */

int
cdc_channel_passed(const cdc_channel_t *ch, const cdc_coll_t *c,
    int64_t part_id, uint64_t ts)
{
    cdc_epoch_t  *epoch;

    if (ch->tick_acked >= ts
        && cdc_pos_cmp(cdc_track_end(&ch->track), ch->reread) >= 0
        && ch->drops == 0 && ch->closed_drops == 0)
    {
        return 1;
    }

    if (ch->tick_read < ts
        || cdc_pos_cmp(cdc_track_end(&ch->track), ch->reread) < 0
        || cdc_channel_waits(ch->closed.head, c, part_id, ts)
        || cdc_channel_waits(ch->open.head, c, part_id, ts)
        || cdc_channel_waits(ch->early.head, c, part_id, ts))
    {
        return 0;
    }

    for (epoch = ch->epochs; epoch; epoch = epoch->next) {
        if (cdc_channel_waits(epoch->items, c, part_id, ts)) {
            return 0;
        }
    }

    return 1;
}
