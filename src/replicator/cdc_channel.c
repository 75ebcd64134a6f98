/*
 * A source channel: reads, orders by time tick, hands over to the lanes.
 *
 * A message goes through three lists.  "open": read, not covered by a tick.
 * A tick E closes what has a timestamp up to E: sorted by timestamp, deletes
 * before inserts on a tie, it moves to "closed", the tick itself behind it;
 * what is newer stays open.  "closed" is handed over strictly in order.
 *
 * Live means now: while nothing closed is waiting, rows are handed over from
 * "open" as they come (to "early"), because the target buffers by tick
 * itself; but not where one that is still to come might be raised past them
 * (cdc_lane_stamp.c).  They are not done, though, before the tick that
 * covers them is done: a delete read later may have a lower timestamp, and
 * if that delete gets in doubt and is sent again at a raised stamp
 * (cdc_lane.c), every row behind it must be sent again, too.  So "done" goes
 * by epoch: all messages that one tick closes become done together, in the
 * order of the ticks, when all of them are acknowledged.  A drop is done when
 * its operation is, and when its message has followed (cdc_op.c).
 *
 * Rows wait for their collection and partition to exist on the target; a
 * waiting row holds up its channel but not the reading, because the drop
 * that would free a name may lie behind it.
 *
 * What a crash leaves: the track of the last checkpoint and "upto".  What is
 * not done and before "upto" may have been sent and is settled; what lies
 * behind was surely not sent.  A broken connection takes the same way
 * (cdc_channel_reset), so there is one path for both.
 */

#include "cdc_replicator.h"

#include <stdlib.h>
#include <string.h>


#define CDC_READ_BATCH  64               /* messages, then it is others' turn */


static void cdc_channel_skip(cdc_item_t *item);


cdc_channel_t *
cdc_channel_find(const cdc_repl_t *r, const char *name)
{
    cdc_channel_t  *ch;

    for (ch = r->channels; ch; ch = ch->next) {
        if (strcmp(ch->name, name) == 0) {
            return ch;
        }
    }

    return NULL;
}


cdc_channel_t *
cdc_channel_get(cdc_repl_t *r, const char *name)
{
    cdc_channel_t  *ch;

    ch = cdc_channel_find(r, name);
    if (ch) {
        return ch;
    }

    ch = calloc(1, sizeof(cdc_channel_t));
    if (ch == NULL) {
        return NULL;
    }

    ch->name = strdup(name);
    if (ch->name == NULL) {
        free(ch);
        return NULL;
    }

    ch->repl = r;
    cdc_list_init(&ch->open);
    cdc_list_init(&ch->early);
    cdc_list_init(&ch->closed);
    ch->epochs_tail = &ch->epochs;

    ch->next = r->channels;
    r->channels = ch;

    return ch;
}


/*
 * A collection that is created while its channel is read needs no step back:
 * its rows cannot have been passed, an unknown id holds up the channel until
 * the catalogue has been asked.
 */

void
cdc_channel_start(cdc_channel_t *ch, cdc_pos_t from)
{
    /* nobody needed it for a while: what lies between is nobody's */

    if (ch->users == 0 && ch->repl->went && ch->stream == NULL
        && ch->track.head == ch->track.tail && ch->track.nknown == 0)
    {
        ch->loaded = 0;
        ch->placed = 0;
    }

    ch->users++;

    if (ch->stream || ch->loaded) {
        cdc_channel_open(ch);
        return;
    }

    if (!ch->placed || cdc_pos_cmp(from, ch->track.next) < 0) {
        cdc_track_place(&ch->track, from);
        ch->placed = 1;
        ch->dirty = 1;
    }

    cdc_channel_open(ch);
}


void
cdc_channel_open(cdc_channel_t *ch)
{
    char         err[CDC_REASON_MAX];
    cdc_repl_t  *r;

    r = ch->repl;

    if (ch->stream || !r->running || r->resetting || ch->users == 0) {
        return;
    }

    ch->stream = r->reader_ops->start(r->reader, ch->name,
                                      cdc_track_from(&ch->track,
                                                     r->reader_ops),
                                      ch, err);
    if (ch->stream == NULL) {
        cdc_repl_fail(r, "cannot read the channel \"%s\": %s", ch->name, err);
        return;
    }

    cdc_log(CDC_LOG_INFO, 0, "reading \"%s\" from %llu:%llu", ch->name,
            (unsigned long long) ch->track.next.hi,
            (unsigned long long) ch->track.next.lo);

    ch->more = 1;
    ch->tick_at = cdc_now_ms();
    cdc_repl_pump(r);
}


/* no channel that has something to read is behind this one in time */

static int
cdc_channel_oldest(const cdc_channel_t *ch)
{
    int                   before;
    const cdc_channel_t  *other;
    const cdc_repl_t     *r;

    r = ch->repl;
    before = 1;

    for (other = r->channels; other; other = other->next) {
        if (other == ch) {
            before = 0;
            continue;
        }

        if (other->stream && other->tick_read < ch->tick_read + before
            && !r->reader_ops->at_end(other->stream))
        {
            return 0;
        }
    }

    return 1;
}


/*
 * Over the budget reading goes on only where it may free what is held: for
 * a channel that holds nothing, one message; to the tick that open messages
 * wait for (a drop among them; while stamps are raised no row goes without
 * its tick); to the drop that frees the name which the oldest waits for.
 *
 * A little over it, any channel may.  Beyond, only the one that is behind all
 * others: what its closed messages wait for lies no later than its tick and
 * has been read everywhere, so they will leave, and its open ones need its
 * own tick.  So there is always one that goes on, and what is held does not
 * grow with the number of channels.
 */

static int
cdc_channel_may_read(cdc_channel_t *ch)
{
    size_t  held;

    held = ch->repl->buffered;

    if (held < CDC_BUDGET) {
        return 1;
    }

    if (ch->bodies != 0 && !ch->drops && !ch->open_waits
        && !(ch->closed.head && ch->closed.head->coll
             && cdc_coll_name_ends(ch->closed.head->coll)))
    {
        return 0;
    }

    return held < CDC_BUDGET + CDC_BUDGET_MORE || cdc_channel_oldest(ch);
}


void
cdc_channel_read(cdc_channel_t *ch)
{
    int            rc, n;
    char           err[CDC_REASON_MAX];
    uint64_t       tick;
    cdc_repl_t    *r;
    cdc_log_msg_t  msg;

    r = ch->repl;
    tick = ch->tick_read;

    for (n = 0; ch->stream && !r->failed && !r->stopping && !r->resetting;
         n++)
    {
        ch->more = 1;

        if (n == CDC_READ_BATCH) {
            cdc_repl_pump(r);
            break;
        }

        if (!cdc_channel_may_read(ch)) {
            break;
        }

        rc = r->reader_ops->next(ch->stream, &msg, err);

        if (rc == CDC_AGAIN) {
            ch->more = 0;
            break;
        }

        if (rc == CDC_DECLINED && ch->track.ask) {

            /* the one before what is needed is gone, which matters to
             * nobody; if more is, that will be said */

            r->reader_ops->stop(ch->stream);
            ch->stream = NULL;
            ch->track.trust = 1;
            cdc_channel_open(ch);
            break;
        }

        if (rc != CDC_OK) {
            cdc_repl_fail(r, "%s: %s", rc == CDC_DECLINED
                          ? CDC_LOG_GAP : "cannot read the source's log", err);
            return;
        }

        CDC_FAULT("after-read");
        cdc_channel_take(ch, &msg);
    }

    cdc_memory_held(r->buffered);

    /* over the budget another may be the one that is behind all others now */

    if (r->buffered >= CDC_BUDGET && (ch->tick_read != tick || !ch->more)) {
        cdc_repl_pump(r);
    }

    cdc_channel_pump(ch);
}


void
cdc_channel_readable(void *arg, cdc_log_stream_t *s)
{
    cdc_repl_t  *r = arg;

    if (!r->running) {
        cdc_survey_read(r->reader_ops->data(s));
        return;
    }

    if (s == r->rstream) {
        cdc_rchannel_read(r);
        return;
    }

    cdc_channel_read(r->reader_ops->data(s));
}


static int
cdc_channel_cmp(const void *one, const void *two)
{
    const cdc_item_t  *a = *(cdc_item_t *const *) one;
    const cdc_item_t  *b = *(cdc_item_t *const *) two;

    if (a->env.ts != b->env.ts) {
        return a->env.ts < b->env.ts ? -1 : 1;
    }

    if ((a->env.type == CDC_MSG_DELETE) != (b->env.type == CDC_MSG_DELETE)) {
        return a->env.type == CDC_MSG_DELETE ? -1 : 1;
    }

    return a->number < b->number ? -1 : 1;
}


static void
cdc_epoch_left(cdc_channel_t *ch, cdc_epoch_t *epoch)
{
    unsigned      rows;
    cdc_item_t   *item;
    cdc_epoch_t  *ep;

    epoch->left--;

    while (ch->epochs && ch->epochs->left == 0) {
        ep = ch->epochs;
        ch->epochs = ep->next;

        if (ch->epochs == NULL) {
            ch->epochs_tail = &ch->epochs;
        }

        rows = 0;

        while (ep->items) {
            item = ep->items;
            ep->items = item->next;
            rows |= !item->tick;
            cdc_count_end(item, 1);

            if (!item->held) {
                cdc_track_done(&ch->track, item->number);
            }

            free(item);
        }

        ch->tick_acked = ep->tick;
        ch->dirty = 1;
        free(ep);

        cdc_op_kick(ch->repl);

        if (rows) {
            cdc_checkpoint_soon(ch->repl);
        } else {
            cdc_checkpoint_idle(ch->repl);
        }
    }
}


/* splits what the tick covers off "early" (to the epoch) */

static void
cdc_channel_close_early(cdc_channel_t *ch, cdc_epoch_t *epoch)
{
    cdc_item_t  *item;
    cdc_list_t   rest;

    cdc_list_init(&rest);

    while (ch->early.head) {
        item = cdc_list_pop(&ch->early);

        if (item->env.ts > epoch->tick) {
            cdc_list_push(&rest, item);
            continue;
        }

        item->epoch = epoch;
        item->next = epoch->items;
        epoch->items = item;
        epoch->left += !item->acked;
    }

    cdc_list_move(&ch->early, &rest);
}


/*
 * A log may hold a message twice: its producer had no answer and sent it
 * again.  A Milvus that reads takes one of two with the same id under one
 * tick, and so does the target, unless they get ids of their own there
 * (cdc_lane_stamp.c).
 */

static int
cdc_channel_twice(cdc_item_t *const *sorted, size_t i)
{
    size_t             n;
    cdc_span_t         a, b;
    const cdc_item_t  *item, *prev;

    item = sorted[i];

    if (item->env.type != CDC_MSG_INSERT && item->env.type != CDC_MSG_DELETE)
    {
        return 0;
    }

    a = item->body->msg.body;

    for (n = i; n-- && sorted[n]->env.ts == item->env.ts; ) {
        prev = sorted[n];

        if (prev->env.type != item->env.type) {
            return 0;
        }

        b = prev->body->msg.body;

        if (a.len == b.len && memcmp(a.data, b.data, a.len) == 0) {
            return 1;
        }
    }

    return 0;
}


/* and off "open" (to "closed", in order) */

static int
cdc_channel_close_open(cdc_channel_t *ch, cdc_epoch_t *epoch)
{
    size_t        i, n;
    cdc_item_t   *item, **sorted;
    cdc_list_t    rest;

    if (ch->open.n == 0) {
        return CDC_OK;
    }

    sorted = malloc(ch->open.n * sizeof(cdc_item_t *));
    if (sorted == NULL) {
        return CDC_ERROR;
    }

    n = 0;
    cdc_list_init(&rest);

    while (ch->open.head) {
        item = cdc_list_pop(&ch->open);

        if (item->env.ts > epoch->tick) {
            cdc_list_push(&rest, item);
            continue;
        }

        ch->drops -= cdc_item_is_drop(item);
        ch->closed_drops += cdc_item_is_drop(item);
        sorted[n++] = item;
    }

    cdc_list_move(&ch->open, &rest);

    qsort(sorted, n, sizeof(cdc_item_t *), cdc_channel_cmp);

    for (i = 0; i < n; i++) {
        if (cdc_channel_twice(sorted, i)) {
            item = sorted[i];
            sorted[i] = sorted[i - 1];
            cdc_channel_skip(item);
            continue;
        }

        sorted[i]->epoch = epoch;
        epoch->left++;
        cdc_list_push(&ch->closed, sorted[i]);
    }

    free(sorted);

    return CDC_OK;
}


void
cdc_channel_close(cdc_channel_t *ch, uint64_t tick, uint64_t number,
    cdc_pos_t pos)
{
    cdc_item_t   *item;
    cdc_epoch_t  *epoch;

    if (tick <= ch->tick_read) {
        cdc_track_done(&ch->track, number);      /* ticks repeat */
        return;
    }

    epoch = calloc(1, sizeof(cdc_epoch_t));
    item = calloc(1, sizeof(cdc_item_t));

    if (epoch == NULL || item == NULL) {
        cdc_repl_no_memory();
    }

    ch->tick_read = tick;
    cdc_progress_tick(ch);

    if (ch->listed_tick == 0 && cdc_pos_cmp(pos, ch->listed) >= 0) {
        ch->listed_tick = tick;
    }

    epoch->tick = tick;
    epoch->left = 1;
    *ch->epochs_tail = epoch;
    ch->epochs_tail = &epoch->next;

    item->ch = ch;
    item->number = number;
    item->epoch = epoch;
    item->tick = 1;
    item->acked = 1;

    cdc_channel_close_early(ch, epoch);

    if (cdc_channel_close_open(ch, epoch) != CDC_OK) {
        cdc_repl_no_memory();
    }

    cdc_list_push(&ch->closed, item);

    cdc_op_kick(ch->repl);               /* one may wait for this tick */
}


/* the message has nothing to do on the target */

static void
cdc_channel_skip(cdc_item_t *item)
{
    cdc_epoch_t    *epoch;
    cdc_channel_t  *ch;

    ch = item->ch;
    epoch = item->epoch;

    ch->repl->status.rows_skipped += item->env.rows;

    cdc_parked_unapplied(ch->repl, item->parking, "");
    cdc_item_drop_body(item);
    cdc_track_done(&ch->track, item->number);
    free(item);

    if (epoch) {
        cdc_epoch_left(ch, epoch);
    }
}


static void
cdc_channel_emitted(cdc_item_t *item)
{
    cdc_pos_t       end;
    cdc_channel_t  *ch;

    ch = item->ch;
    end = cdc_pos_next(item->pos, 1);

    if (cdc_pos_cmp(end, ch->emitted) > 0) {
        ch->emitted = end;
    }

    if (item->epoch) {
        item->next = item->epoch->items;
        item->epoch->items = item;
        return;
    }

    cdc_list_push(&ch->early, item);
}


/* each lane has acknowledged it; the item may be freed here */

void
cdc_channel_acked(cdc_item_t *item)
{
    cdc_repl_t  *r;

    r = item->ch->repl;

    item->acked = 1;

    cdc_count_acked(item);

    if (!item->poison) {
        cdc_parked_applied(r, item->parking);
    }

    if (item->settle && !item->poison) {
        r->status.rows_settled += item->env.rows;
        cdc_equal_look(item);
        CDC_FAULT("settled");
    }

    cdc_item_drop_body(item);

    if (item->farewell) {
        if (item->env.type == CDC_MSG_DROP_COLLECTION) {
            cdc_coll_parted(item->coll, item->ch);
        }

        cdc_track_done(&item->ch->track, item->number);
        item->ch->dirty = 1;
        cdc_checkpoint_soon(r);
        free(item);
        CDC_FAULT("farewell-acked");

    } else if (item->epoch) {
        cdc_epoch_left(item->ch, item->epoch);
    }

    cdc_op_kick(r);
    cdc_repl_pump(r);
}


static void
cdc_channel_hand_tick(cdc_channel_t *ch, cdc_item_t *item)
{
    cdc_repl_t   *r;
    cdc_epoch_t  *epoch;
    cdc_shard_t  *shard;

    r = ch->repl;
    epoch = item->epoch;
    ch->tick_closed = epoch->tick;

    item->next = epoch->items;
    epoch->items = item;
    r->ticks++;

    for (shard = ch->shards; shard; shard = shard->next) {

        /* each lane once, it looks at all its feeders; one that is gone
         * and has said farewell feeds none */

        if (shard->lane && shard->lane->seen != r->ticks
            && (shard->coll->state != CDC_COLL_GONE || shard->farewell))
        {
            shard->lane->seen = r->ticks;
            cdc_lane_tick(shard->lane);
        }
    }

    cdc_epoch_left(ch, epoch);
}


/*
 * The head of "closed" waits for its collection or partition, which may wait
 * for a name that a drop behind it frees: Milvus stamps a drop after the
 * client has gone on.  A drop may pass what it is not about.
 */

static void
cdc_channel_pass_drops(cdc_channel_t *ch)
{
    int          rc;
    int64_t      part_id;
    cdc_item_t  *item, *prev, **link;

    link = &ch->closed.head;

    while (ch->closed_drops && *link) {
        item = *link;

        if (item->tick || !cdc_item_is_drop(item)) {
            link = &item->next;
            continue;
        }

        part_id = item->env.type == CDC_MSG_DROP_PARTITION
                  ? item->env.partition_id : 0;

        for (prev = ch->closed.head; prev != item; prev = prev->next) {
            if (cdc_item_concerns(prev, item->env.collection_id, part_id))
            {
                break;
            }
        }

        rc = prev == item ? cdc_channel_emit(ch, item, 0) : CDC_AGAIN;

        if (rc == CDC_AGAIN) {
            link = &item->next;
            continue;
        }

        *link = item->next;
        ch->closed.n--;
        ch->closed_drops--;

        if (item->next == NULL) {
            ch->closed.tail = link;
        }

        if (rc == CDC_DECLINED) {
            cdc_channel_skip(item);
            continue;
        }

        cdc_channel_emitted(item);

        if (item->held) {
            cdc_channel_acked(item);
        }
    }
}


void
cdc_channel_pump(cdc_channel_t *ch)
{
    int          rc;
    cdc_item_t  *item;
    cdc_list_t   rest;
    cdc_repl_t  *r;

    r = ch->repl;
    ch->open_waits = ch->open_acks = 0;

    while (ch->closed.head) {
        if (r->resetting || r->stopping || r->failed) {
            return;
        }

        item = ch->closed.head;

        if (item->tick) {
            cdc_list_pop(&ch->closed);
            cdc_channel_hand_tick(ch, item);
            continue;
        }

        rc = cdc_channel_emit(ch, item, 0);
        if (rc == CDC_AGAIN) {
            cdc_channel_pass_drops(ch);
            return;
        }

        cdc_list_pop(&ch->closed);
        ch->closed_drops -= cdc_item_is_drop(item);

        if (rc == CDC_DECLINED) {
            cdc_channel_skip(item);
            continue;
        }

        cdc_channel_emitted(item);

        if (item->held) {
            cdc_channel_acked(item);     /* its farewell follows the op */
        }
    }

    cdc_list_init(&rest);
    rc = CDC_OK;

    while (ch->open.head) {
        item = cdc_list_pop(&ch->open);

        if (rc != CDC_AGAIN && !r->resetting && !r->stopping && !r->failed) {
            rc = cdc_channel_emit(ch, item, 1);
        } else {
            rc = CDC_AGAIN;
        }

        switch (rc) {

        case CDC_OK:
            cdc_channel_emitted(item);
            break;

        case CDC_DECLINED:
            cdc_channel_skip(item);
            break;

        case CDC_DONE:                   /* a drop: its tick will close it */
        default:
            cdc_list_push(&rest, item);
            break;
        }
    }

    cdc_list_move(&ch->open, &rest);

    ch->open_waits = ch->open.head != NULL && !ch->open_acks;
}


static void
cdc_channel_free_list(cdc_item_t *item)
{
    cdc_item_t  *next;

    for ( ; item; item = next) {
        next = item->next;
        cdc_count_end(item, 0);
        cdc_item_drop_body(item);
        free(item);
    }
}


/* only while no request holds an item: the lanes are reset first */

void
cdc_channel_reset(cdc_channel_t *ch)
{
    cdc_epoch_t  *epoch;

    if (ch->stream) {
        ch->repl->reader_ops->stop(ch->stream);
        ch->stream = NULL;
    }

    cdc_channel_free_list(ch->open.head);
    cdc_channel_free_list(ch->early.head);
    cdc_channel_free_list(ch->closed.head);

    cdc_list_init(&ch->open);
    cdc_list_init(&ch->early);
    cdc_list_init(&ch->closed);

    while (ch->epochs) {
        epoch = ch->epochs;
        ch->epochs = epoch->next;
        cdc_channel_free_list(epoch->items);
        free(epoch);
    }

    ch->epochs_tail = &ch->epochs;
    ch->drops = 0;
    ch->closed_drops = 0;
    ch->more = 0;

    if (cdc_pos_cmp(cdc_track_end(&ch->track), ch->reread) > 0) {
        ch->reread = cdc_track_end(&ch->track);
    }

    if (cdc_pos_cmp(ch->emitted, ch->settle_upto) > 0) {
        ch->settle_upto = ch->emitted;
    }

    /* numbers begin again: an answer to come is not about them, and the next
     * question waits for it */

    ch->sync_number = 0;

    cdc_track_rewind(&ch->track);
    ch->tick_read = ch->tick_closed = ch->tick_acked;
}


void
cdc_channel_free(cdc_channel_t *ch)
{
    cdc_channel_reset(ch);
    cdc_track_free(&ch->track);
    free(ch->name);
    free(ch);
}
