/*
 * How much the streams of a RocksMQ read ahead.
 *
 * Each has a limit, and all of them together CDC_ROCKSMQ_AHEAD: many channels
 * that are behind a slow target would else hold a message each at least.  When
 * they hold that much, nothing is read on before half of it has been taken,
 * but for one case: nobody may want what is held, because it is the turn of
 * another channel (cdc_channel_may_read()).  So a stream that is asked for a
 * message and has none gets a little at any time.
 *
 * Who has asked may not want it any more: then it would stay, and after a
 * while each stream would hold some.  So who waits is told to ask again, and
 * gets it when nothing has been read since he did.  A channel that is behind
 * all others always asks.
 *
 * And one at a time: while somebody has been given something and has not
 * looked at it, nobody else gets any.  All who had nothing would else ask, and
 * be given, faster than one looks: a message for each stream, of which most
 * are not wanted when their turn has come.  For the same reason a little ends
 * before a large message: the ticks before it may be all that is wanted.
 *
 * Nobody waits for ever.  A stream comes before those that were filled after
 * it; in a pass in which somebody has been told to ask nobody else gets a
 * little; and what is asked while another is filled counts as asked after it.
 * So whoever waits and asks is the next one.  Who has been given something is
 * told, so he looks, and the thread is woken after that.  And if no word came
 * through, the thread looks several times a second.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "cdc_rocksmq_int.h"


/*
 * Each time that a stream is filled, RocksDB reads and checks the message
 * before it once more: with room for one message that doubles the cost.
 */

void
cdc_rocksmq_room_share(cdc_log_reader_t *r)
{
    size_t             n;
    cdc_log_stream_t  *s;

    if (r->fixed) {
        return;
    }

    for (s = r->streams, n = 0; s != NULL; s = s->next) {
        n++;
    }

    r->prefetch = CDC_ROCKSMQ_AHEAD / n;

    if (r->prefetch > CDC_ROCKSMQ_MOST) {
        r->prefetch = CDC_ROCKSMQ_MOST;

    } else if (r->prefetch < CDC_ROCKSMQ_PREFETCH) {
        r->prefetch = CDC_ROCKSMQ_PREFETCH;
    }
}


void
cdc_rocksmq_room_pass(cdc_log_reader_t *r)
{
    r->offered = 0;
}


/* who has something, and has not looked since */

static int
cdc_rocksmq_room_given(const cdc_log_reader_t *r)
{
    const cdc_log_stream_t  *s;

    for (s = r->streams; s != NULL; s = s->next) {
        if (s->ready && s->queue.head != NULL) {
            return 1;
        }
    }

    return 0;
}


size_t
cdc_rocksmq_room(cdc_log_stream_t *s)
{
    size_t             room, all;
    cdc_log_reader_t  *r;

    r = s->reader;

    if (r->bytes >= CDC_ROCKSMQ_AHEAD) {
        r->over = 1;
    }

    if (!r->over) {
        room = r->prefetch - s->queue.bytes;
        all = CDC_ROCKSMQ_AHEAD - r->bytes;
        s->filled = ++r->fills;

        return room < all ? room : all;
    }

    if (s->queue.head != NULL || !s->waiting) {
        return 0;
    }

    /* ticks come on all channels at once: one in each pass, and all others
     * told to ask again, would cost their square */

    if (cdc_rocksmq_brief(s)) {
        return CDC_ROCKSMQ_LITTLE;
    }

    if (cdc_rocksmq_room_given(r)) {
        r->later = 1;
        return 0;
    }

    if (s->asked == r->fills && !r->offered) {
        s->filled = ++r->fills;
        return CDC_ROCKSMQ_LITTLE;
    }

    r->offered = 1;
    s->waiting = 0;
    s->ready = 1;
    r->untold = 1;

    return 0;
}


void
cdc_rocksmq_room_added(cdc_log_stream_t *s, size_t bytes)
{
    s->queue.bytes += bytes;
    s->reader->bytes += bytes;
}


int
cdc_rocksmq_room_taken(cdc_log_stream_t *s, size_t bytes)
{
    cdc_log_reader_t  *r;

    r = s->reader;
    s->queue.bytes -= bytes;
    r->bytes -= bytes;

    if (r->over) {

        if (r->bytes >= CDC_ROCKSMQ_AHEAD / 2) {
            return 0;
        }

        r->over = 0;

        return 1;
    }

    if (s->full && s->queue.bytes < r->prefetch / 2) {
        s->full = 0;
        return 1;
    }

    return 0;
}


int
cdc_rocksmq_room_looked(cdc_log_reader_t *r)
{
    int  later;

    later = r->later;
    r->later = 0;

    return later;
}


int
cdc_rocksmq_room_asked(cdc_log_stream_t *s)
{
    s->waiting = 1;
    s->asked = s->reader->fills;

    return s->reader->over && !s->end;
}
