/*
 * Rows that the target has acknowledged, each counted once.
 *
 * A row is counted when it is acknowledged, and is done when its tick is, some
 * time later (cdc_channel.c).  What is in between is read again after a crash
 * or a broken connection, settled, and acknowledged once more.  How much that
 * is stands beside the count, in the same batch as the track that says what
 * is done ("open"; after a start, "again"), and of the rows that are settled
 * so many are not counted.  Which ones does not matter: all that was open is
 * among them, for it lies before "upto".
 *
 * Some may not come back: their partition has been dropped meanwhile.  So what
 * is left when a collection's channels are past what they had to settle is
 * void.
 *
 * A parked message that is tried again is in no track: it counts when it gets
 * through, which takes it out of the parked ones for good.
 */

#include "cdc_replicator.h"


static int
cdc_count_comes_back(const cdc_item_t *item)
{
    return item->coll && !item->poison && !item->held && !item->farewell
           && item->number != UINT64_MAX;
}


static uint64_t
cdc_count_less(uint64_t *again, uint64_t n)
{
    uint64_t  less;

    less = *again < n ? *again : n;
    *again -= less;

    return n - less;
}


void
cdc_count_acked(const cdc_item_t *item)
{
    uint64_t     rows, bytes;
    cdc_coll_t  *c;

    c = item->coll;
    rows = item->env.rows;
    bytes = item->bytes;

    if (c == NULL || item->poison || item->held) {
        return;
    }

    if (cdc_count_comes_back(item)) {
        c->open.rows_out += rows;
        c->open.bytes_out += bytes;

        if (item->settle) {
            rows = cdc_count_less(&c->again.rows_out, rows);
            bytes = cdc_count_less(&c->again.bytes_out, bytes);
        }
    }

    c->count.rows_out += rows;
    c->count.bytes_out += bytes;
    c->counted = 1;

    c->repl->status.rows_out += rows;
    c->repl->status.bytes_out += bytes;
}


void
cdc_count_end(const cdc_item_t *item, unsigned done)
{
    cdc_coll_t  *c;

    if (!item->acked || !cdc_count_comes_back(item)) {
        return;
    }

    c = item->coll;
    c->open.rows_out -= item->env.rows;
    c->open.bytes_out -= item->bytes;
    c->counted = 1;

    if (!done) {
        c->again.rows_out += item->env.rows;
        c->again.bytes_out += item->bytes;
    }
}


cdc_count_t
cdc_count_open(cdc_coll_t *c)
{
    unsigned        i, settling;
    cdc_count_t     count;
    cdc_channel_t  *ch;

    for (i = 0, settling = 0; i < c->nshards; i++) {
        ch = c->shards[i].ch;
        settling |= cdc_pos_cmp(ch->track.next, ch->settle_upto) < 0;
    }

    if (!settling) {
        c->again.rows_out = c->again.bytes_out = 0;
    }

    count = c->open;
    count.rows_out += c->again.rows_out;
    count.bytes_out += c->again.bytes_out;

    return count;
}
