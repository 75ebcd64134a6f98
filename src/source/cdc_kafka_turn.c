/*
 * Log reader, Kafka: streams fetch in turns.
 *
 * What librdkafka fetches ahead counts for each partition by itself, at
 * least one message each, so many channels that are behind would hold many
 * times of what one does.  The streams that are behind share one limit; those
 * for which there is no room wait, in the order in which they were asked for.
 * A stream that has reached the end of its log holds nothing and costs
 * nothing: all of them fetch when live.
 *
 * One that waits gets the place of one that nobody takes from (the target is
 * slow) or that has had its share.  What that one had fetched is dropped and
 * fetched again in its next turn, so this is only done when another wants the
 * place, or messages turn out to be larger than was thought.
 *
 * Why each gets its turn.  A stream that does not fetch (no queue, or paused)
 * is one of these:
 *
 * - It is in the line.  Then the timer runs, at most CDC_KAFKA_TURN_MS away;
 *   the line is served in order, and places become free, as below.
 * - Nobody wants what it has.  It was paused while "full", which is set just
 *   before readable() and cleared when next() finds nothing: who reads has
 *   stopped of its own will, and will call next() when it goes on, which puts
 *   it in the line.  It may not want what comes then, and lose its turn again;
 *   the channel that is behind all others always does.
 * - Its range is asked for.  That goes on until there is an answer, and then
 *   it is put in the line, or fetches.
 *
 * A place becomes free when nobody took for CDC_KAFKA_TURN_MS; when it has
 * brought its share, or something for CDC_KAFKA_LONG_MS, without an end; and
 * when it has brought nothing for CDC_KAFKA_ANSWER_MS.  In the last case
 * the stream goes on to fetch: its topic is not there or may not be read, its
 * broker is away, or the line is slow, where an answer that is dropped would be
 * asked for again for ever.  What may come all the same is little, as a broker
 * answers one Fetch after the other, and has a place to find once it is there.
 *
 * What is live does not wait for what is behind.  A turn begins with the first
 * message that is taken since the stream was at its end: one that is read
 * loses nothing to one that waits.  One that was at its end in this turn and
 * has little to come, by its own messages, needs no place to go on; only if
 * that is not taken for CDC_KAFKA_LITTLE_MS, for the next may be larger than
 * any before, and a message holds all of the answer that it came in.  One that
 * was not at its end yet is not judged so: a log of ticks may have rows next.
 */

#include "cdc_kafka_int.h"


/*
 * The room is that of six streams of small messages, of three while memory is
 * tight, or of two whose messages have 4 MB: one is read while others fetch.
 * A share is larger, as much as a task holds unacknowledged (CDC_BUDGET), for
 * what a change of turns drops, a stream's part of the room, is fetched twice.
 *
 * A target that keeps up leaves nothing lying for 20 ms; one that does not has
 * enough of the others to go on with.  A broker answers after 100 ms
 * (fetch.wait.max.ms) at the latest: who has nothing after ten times that waits
 * for something else.  A log that brings no share in 10 s is slow, what waits
 * behind it need not be.  What is little fits, with 64 KB, beside anything, and
 * is taken within half a second unless reading has stopped.
 */

#define CDC_KAFKA_ROOM       (10 * 1024 * 1024)
#define CDC_KAFKA_SHARE      (16 * 1024 * 1024)
#define CDC_KAFKA_TURN_MS    20
#define CDC_KAFKA_ANSWER_MS  1000
#define CDC_KAFKA_LONG_MS    10000
#define CDC_KAFKA_LITTLE     (64 * 1024)
#define CDC_KAFKA_LITTLE_MS  500


static int cdc_kafka_turn_set(cdc_log_stream_t *s, unsigned paused);
static void cdc_kafka_turn_timer(cdc_timer_t *tm);


/*
 * What one may hold: a queue that is nearly full and one more answer, which
 * has at least one message.  How large those are is known of what was taken,
 * from any stream; at first they are thought to be large (r->largest).
 *
 * The buffer into which librdkafka decompresses is twice as large as what was
 * compressed.  Of a large one from the kernel that costs nothing, of a small
 * one from malloc's arenas it does: it is counted where memory is tight.
 */

static size_t
cdc_kafka_turn_size(const cdc_log_reader_t *r)
{
    size_t  times, answer;

    times = cdc_memory_is_tight() ? 2 : 1;
    answer = times * CDC_KAFKA_ANSWER;

    return times * CDC_KAFKA_PREFETCH * 1024
           + (r->largest > answer ? r->largest : answer);
}


void
cdc_kafka_turn_taken(cdc_log_stream_t *s, size_t len)
{
    cdc_log_reader_t  *r;

    r = s->reader;
    s->fetch_at = s->asked_at;

    if (s->turn == 0) {
        s->turn_at = s->asked_at;
    }

    s->turn += len;

    s->largest -= s->largest / 64;
    s->largest = len > s->largest ? len : s->largest;

    if (len > CDC_KAFKA_SMALL) {
        r->largest -= r->largest / 64;
        r->largest = len > r->largest ? len : r->largest;
    }
}


static int
cdc_kafka_turn_little(cdc_log_stream_t *s)
{
    cdc_pos_t  end;

    return s->live && s->largest != 0 && cdc_kafka_end(s, &end) == CDC_OK
           && (int64_t) end.lo - s->next_offset
              <= (int64_t) (CDC_KAFKA_LITTLE / s->largest);
}


static int
cdc_kafka_turn_behind(cdc_log_stream_t *s, uint64_t now)
{
    if (s->queue == NULL || s->paused || s->asking || s->final != 0) {
        return 0;
    }

    if (s->full) {
        return now >= s->asked_at + CDC_KAFKA_LITTLE_MS
               || !cdc_kafka_turn_little(s);
    }

    return now < s->fetch_at + CDC_KAFKA_ANSWER_MS && !cdc_kafka_at_end(s)
           && !cdc_kafka_turn_little(s);
}


/* is there room even if all that fetch hold as much as they may? */

static int
cdc_kafka_turn_all(const cdc_log_reader_t *r, unsigned more)
{
    unsigned           n;
    cdc_log_stream_t  *s;

    n = more;

    for (s = r->streams; s != NULL; s = s->next) {
        n += s->queue != NULL && !s->paused;
    }

    return n * cdc_kafka_turn_size(r) <= CDC_KAFKA_ROOM;
}


static int
cdc_kafka_turn_room(const cdc_log_reader_t *r, unsigned more, uint64_t now)
{
    unsigned           n;
    cdc_log_stream_t  *s;

    if (cdc_kafka_turn_all(r, more)) {
        return 1;
    }

    n = more;

    for (s = r->streams; s != NULL; s = s->next) {
        n += cdc_kafka_turn_behind(s, now);
    }

    return n <= 1 || n * cdc_kafka_turn_size(r) <= CDC_KAFKA_ROOM;
}


/* whose place another may have: who was asked the longest time ago */

static cdc_log_stream_t *
cdc_kafka_turn_over(const cdc_log_reader_t *r, uint64_t now)
{
    unsigned           left, had;
    cdc_log_stream_t  *s, *over;

    over = NULL;

    for (s = r->streams; s != NULL; s = s->next) {
        if (!cdc_kafka_turn_behind(s, now)) {
            continue;
        }

        left = s->full && now >= s->asked_at + CDC_KAFKA_TURN_MS;
        had = s->turn >= CDC_KAFKA_SHARE
              || (s->turn > 0 && now >= s->turn_at + CDC_KAFKA_LONG_MS);

        if ((left || had) && (over == NULL || s->asked_at < over->asked_at)) {
            over = s;
        }
    }

    return over;
}


/* the timer runs within that time */

static int
cdc_kafka_turn_due(const cdc_log_reader_t *r, uint64_t ms)
{
    return r->turn.slot != 0 && r->turn.when <= cdc_now_ms() + ms;
}


static void
cdc_kafka_turn_soon(cdc_log_reader_t *r, uint64_t ms)
{
    if (cdc_kafka_turn_due(r, ms)) {
        return;
    }

    r->turn.handler = cdc_kafka_turn_timer;
    r->turn.data = r;
    cdc_timer_add(r->loop, &r->turn, ms);
}


void
cdc_kafka_turn_new(cdc_log_stream_t *s)
{
    s->end = 0;
    s->full = 0;
    s->live = 0;
    s->turn = 0;
    s->asked_at = cdc_now_ms();
    s->fetch_at = s->asked_at;
}


/* no stream of this partition is to find it paused */

void
cdc_kafka_turn_none(cdc_log_stream_t *s)
{
    if (s->paused) {
        (void) cdc_kafka_turn_set(s, 0);
    }
}


/* it is asked for, and does not fetch */

void
cdc_kafka_turn_ask(cdc_log_stream_t *s)
{
    cdc_log_stream_t  **last;

    if (s->waits) {
        return;
    }

    for (last = &s->reader->waiting; *last; last = &(*last)->wait_next) {
        /* void */
    }

    *last = s;
    s->wait_next = NULL;
    s->waits = 1;

    cdc_kafka_turn_soon(s->reader, 0);
}


void
cdc_kafka_turn_leave(cdc_log_stream_t *s)
{
    cdc_log_stream_t  **link;

    for (link = &s->reader->waiting; *link; link = &(*link)->wait_next) {
        if (*link == s) {
            *link = s->wait_next;
            break;
        }
    }

    s->waits = 0;
}


/*
 * Something came: does it stay, and is it more than there is room for?  Or
 * will it be, if what is little now is not taken for long?
 */

void
cdc_kafka_turn_full(cdc_log_reader_t *r)
{
    cdc_log_stream_t  *s;

    for (s = r->streams; s != NULL; s = s->next) {
        if (s->full && !s->paused) {
            break;
        }
    }

    if (s == NULL || cdc_kafka_turn_due(r, CDC_KAFKA_TURN_MS)
        || cdc_kafka_turn_all(r, 0))
    {
        return;
    }

    cdc_kafka_turn_soon(r, cdc_kafka_turn_room(r, 0, cdc_now_ms())
                           ? CDC_KAFKA_LITTLE_MS : CDC_KAFKA_TURN_MS);
}


/* its queue is empty: is there room for another? */

void
cdc_kafka_turn_empty(cdc_log_stream_t *s)
{
    s->full = 0;

    if (cdc_kafka_at_end(s)) {
        s->turn = 0;
        s->live = 1;

        if (s->reader->waiting != NULL) {
            cdc_kafka_turn_soon(s->reader, 0);
        }
    }
}


/*
 * A partition that is stopped would not do: librdkafka 2.0 takes the answer
 * that is under way for it, and keeps it for as long as it is stopped.
 */

static int
cdc_kafka_turn_set(cdc_log_stream_t *s, unsigned paused)
{
    rd_kafka_resp_err_t               rc;
    rd_kafka_topic_partition_list_t  *list;

    list = rd_kafka_topic_partition_list_new(1);
    (void) rd_kafka_topic_partition_list_add(list, s->channel, 0);

    if (paused) {
        rc = rd_kafka_pause_partitions(s->reader->rk, list);

    } else {
        rc = rd_kafka_resume_partitions(s->reader->rk, list);
    }

    rc = rc ? rc : list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);

    s->paused = paused;

    return rc == RD_KAFKA_RESP_ERR_NO_ERROR ? CDC_OK : CDC_DECLINED;
}


/*
 * librdkafka 2.0 means to empty the queue of what it pauses, but stops at the
 * mark that it has put at the head before.  All behind it is out of date now,
 * and is freed when the queue is looked into; the position goes back to what
 * was last taken.  An error without a date is one to act on.
 */

void
cdc_kafka_turn_drop(cdc_log_stream_t *s)
{
    rd_kafka_message_t  *rkm;

    while (s->final == 0 && !s->asking) {
        rkm = rd_kafka_consume_queue(s->queue, 0);

        if (rkm == NULL) {
            return;
        }

        if (rkm->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            (void) cdc_kafka_event_error(s, rkm);

        } else {
            cdc_kafka_range_ask(s);      /* begins again at next_offset */
        }

        rd_kafka_message_destroy(rkm);
    }

    if (s->final != 0) {
        s->reader->handler.readable(s->reader->handler.arg, s);
    }
}


static void
cdc_kafka_turn_end(cdc_log_stream_t *s)
{
    /* with nothing to take, readable() is what its reader waits for */

    if (!s->full) {
        cdc_kafka_turn_ask(s);
    }

    if (cdc_kafka_turn_set(s, 1) == CDC_OK) {
        cdc_kafka_turn_drop(s);

    } else {
        cdc_kafka_unconsume(s);          /* librdkafka does not know it */
    }
}


/*
 * The mark of librdkafka is in the queue of one that begins, or goes on, and
 * no eventfd is written for what comes behind it before it has been taken.
 * So who reads is to look: it finds nothing, and is woken when there is.  Or
 * it does not want any more: for all we know there is something that nobody
 * takes, and the place is soon another's.
 */

static int
cdc_kafka_turn_begin(cdc_log_stream_t *s)
{
    if (s->queue == NULL) {
        if (cdc_kafka_consume(s, s->next_offset, s->text) != CDC_OK) {
            return CDC_ERROR;
        }

    } else {
        cdc_kafka_turn_new(s);
        (void) cdc_kafka_turn_set(s, 0);
        cdc_kafka_wake(s->reader);
    }

    s->full = 1;
    s->reader->handler.readable(s->reader->handler.arg, s);

    return CDC_OK;
}


static void
cdc_kafka_turn_timer(cdc_timer_t *tm)
{
    uint64_t           now;
    cdc_log_reader_t  *r;
    cdc_log_stream_t  *s, *over;

    r = tm->data;
    now = cdc_now_ms();

    for ( ;; ) {
        s = r->waiting;

        if (!cdc_kafka_turn_room(r, s != NULL, now)) {
            over = cdc_kafka_turn_over(r, now);

            if (over == NULL) {
                cdc_kafka_turn_soon(r, CDC_KAFKA_TURN_MS);
                return;
            }

            cdc_kafka_turn_end(over);
            continue;
        }

        if (s == NULL) {
            cdc_kafka_turn_full(r);
            return;
        }

        cdc_kafka_turn_leave(s);

        if (cdc_kafka_turn_begin(s) != CDC_OK) {
            s->final = CDC_ERROR;
            r->handler.readable(r->handler.arg, s);
        }
    }
}
