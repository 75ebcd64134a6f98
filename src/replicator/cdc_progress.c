/*
 * What is measured to be shown: lag, backlog, rates, events.
 * Nothing here decides anything.
 *
 * Lag.  A collection's is the source's clock now, minus the newest tick up to
 * which everything of it is on the target; the task's is the largest one.
 * The source's clock is known from its ticks: how far the newest one was from
 * a clock of ours that nobody sets, when it was read at the log's end.  So the
 * lag of an idle task is the age of its last tick, and it grows by itself when
 * a channel, the log, the target or this process stands still.
 *
 * A tick without rows counts as acknowledged when it has been handed over,
 * because the target gets one a second only; a lane that has had no answer
 * for CDC_LANE_SILENT_MS counts with the last one that was, or that found
 * nothing of the lane left to do.  What is not on the target at all is behind
 * since it was created, on the source.
 *
 * A restart goes on with the ticks, the clock and the counters of the last
 * checkpoint; the zone keeps the rest until the first report.
 */

#include "cdc_replicator.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>


#define CDC_REPORT_QUEUE      (256 * 1024)   /* to a slow supervisor */
#define CDC_LANE_SILENT_MS    2000       /* for an answer */
#define CDC_SOURCE_SILENT_MS  5000       /* 25 ticks have not come */
#define CDC_CLOCK_WINDOW_MS   10000      /* the fastest tick of it counts */
#define CDC_CLOCK_MAX_MS      (1LL << 46)    /* all that a TSO has */
#define CDC_BEHIND_MS         10000      /* then "caught up" is worth a word */
#define CDC_CAUGHT_MS         1000       /* behind no more: it has caught up */
#define CDC_MEAN_BYTES        (64 * 1024 * 1024)
#define CDC_MEAN_LEAST        1024       /* less are ticks alone */
#define CDC_PACE_SHARE        64         /* of the old pace to one of the new */


/* ---- what is seen going by ---- */

void
cdc_progress_read(cdc_channel_t *ch, const cdc_log_msg_t *msg)
{
    if (ch->seen.lo && msg->pos.lo > ch->seen.lo
        && msg->pos.hi == ch->seen.hi)
    {
        ch->seen_span += msg->pos.lo - ch->seen.lo;
        ch->seen_bytes += msg->body.len;
    }

    ch->seen = msg->pos;

    if (ch->seen_bytes > CDC_MEAN_BYTES) {       /* the newer half counts */
        ch->seen_bytes /= 2;
        ch->seen_span /= 2;

        if (ch->end_ms) {
            ch->end_ms += (cdc_tso_ms(ch->tick_read) - ch->end_ms) / 2;
        }
    }
}


/*
 * What a position holds.  Most of an idle log are ticks, at a pace that is
 * learned at the log's end; what comes beyond that pace are rows, and how
 * large these are is learned from what is behind the last end: the backlog.
 */

static double
cdc_progress_mean(const cdc_channel_t *ch)
{
    double  rows;

    rows = (double) ch->seen_span;

    if (ch->end_ms && cdc_tso_ms(ch->tick_read) > ch->end_ms) {
        rows -= ch->idle * (double) (cdc_tso_ms(ch->tick_read) - ch->end_ms);
    }

    return ch->seen_bytes ? (double) ch->seen_bytes / (rows > 1 ? rows : 1)
                          : ch->mean;
}


static void
cdc_progress_end(cdc_channel_t *ch)
{
    double    pace;
    uint64_t  ms;

    ms = cdc_tso_ms(ch->tick_read);

    if (ch->end_ms && ms > ch->end_ms && ch->seen.lo > ch->end_lo) {
        pace = (double) (ch->seen.lo - ch->end_lo) / (double) (ms - ch->end_ms);

        /* rows make it larger: the least of a while */

        ch->idle = ch->idle == 0 || pace < ch->idle
                   ? pace : ch->idle + (pace - ch->idle) / CDC_PACE_SHARE;
    }

    if (ch->seen_bytes > CDC_MEAN_LEAST) {
        ch->mean = cdc_progress_mean(ch);
    }

    ch->seen_bytes = ch->seen_span = 0;
    ch->end_ms = ms;
    ch->end_lo = ch->seen.lo;
}


void
cdc_progress_tick(cdc_channel_t *ch)
{
    int64_t         ahead;
    uint64_t        now;
    cdc_repl_t     *r;
    cdc_measure_t  *m;

    r = ch->repl;
    m = &r->measure;
    now = cdc_now_ms();
    ch->tick_at = now;

    if (ch->stream == NULL || !r->reader_ops->at_end(ch->stream)) {
        return;                          /* an old one says nothing */
    }

    cdc_progress_end(ch);

    ahead = (int64_t) cdc_tso_ms(ch->tick_read) - (int64_t) now;

    /* the highest of a while: it was on its way for the shortest time */

    if (now >= m->clock_until) {
        if (m->clock_until) {
            m->clock = m->clock_best;
        }

        m->clock_until = now + CDC_CLOCK_WINDOW_MS;
        m->clock_best = ahead;
    }

    if (ahead > m->clock_best) {
        m->clock_best = ahead;
    }

    if (ahead > m->clock || !m->clock_known) {
        m->clock = ahead;
        m->clock_known = 1;
    }
}


/* before there was a tick the target's clock stands in for the source's; this
 * machine's may be wrong */

static uint64_t
cdc_progress_source_now(cdc_repl_t *r)
{
    int64_t  clock;

    clock = r->measure.clock;

    if (clock == 0) {
        clock = r->target_version ? r->clock_offset
                                  : (int64_t) cdc_wall_ms()
                                    - (int64_t) cdc_now_ms();
    }

    return (uint64_t) ((int64_t) cdc_now_ms() + clock);
}


/* for a checkpoint: against the clock that lasts; 0: not known */

int64_t
cdc_progress_clock(cdc_repl_t *r)
{
    if (r->measure.clock == 0) {
        return 0;
    }

    return r->measure.clock + (int64_t) cdc_now_ms() - (int64_t) cdc_wall_ms();
}


void
cdc_progress_clock_was(cdc_repl_t *r, int64_t clock)
{
    if (clock && clock > -CDC_CLOCK_MAX_MS && clock < CDC_CLOCK_MAX_MS) {
        r->measure.clock = clock + (int64_t) cdc_wall_ms()
                           - (int64_t) cdc_now_ms();
    }
}


void
cdc_repl_event(cdc_repl_t *r, cdc_event_kind_e kind, const char *fmt, ...)
{
    va_list           args;
    cdc_task_event_t  ev;

    memset(&ev, 0, sizeof(cdc_task_event_t));

    ev.at_ms = cdc_wall_ms();
    ev.kind = kind;

    va_start(args, fmt);
    vsnprintf(ev.text, sizeof(ev.text), fmt, args);
    va_end(args);

    (void) cdc_conn_send(r->role->control, CDC_FRAME_EVENT, 0, 0, &ev,
                         sizeof(cdc_task_event_t));
}


void
cdc_repl_operation(cdc_repl_t *r, const char *name, const char *object)
{
    cdc_task_status_t  *s;

    s = &r->status;
    s->operations++;
    s->operation_ms = cdc_wall_ms();

    snprintf(s->operation, sizeof(s->operation), "%s", name);
    snprintf(s->object, sizeof(s->object), "%s", object);

    cdc_repl_event(r, CDC_EVENT_OPERATION, "%s on \"%.100s\"", name, object);
}


/* ---- lag ---- */

static uint64_t
cdc_progress_shard_tick(const cdc_coll_t *c, const cdc_shard_t *s,
    uint64_t now)
{
    uint64_t  base, tick, known;

    base = c->from_ts ? c->from_ts : c->create_ts;
    base = s->after_ts > base ? s->after_ts : base;

    if (!cdc_coll_bound(c) || s->ch == NULL) {
        return base;
    }

    tick = s->ch->tick_acked;

    if (s->lane && now - s->lane->acked_at > CDC_LANE_SILENT_MS) {
        known = cdc_lane_known(s->lane);
        tick = known < tick ? known : tick;
    }

    return tick > base ? tick : base;
}


static uint64_t
cdc_progress_coll_lag(const cdc_coll_t *c, uint64_t now, uint64_t clock)
{
    unsigned  i;
    uint64_t  tick, oldest;

    oldest = UINT64_MAX;

    for (i = 0; i < c->nshards; i++) {
        tick = cdc_progress_shard_tick(c, &c->shards[i], now);
        oldest = tick < oldest ? tick : oldest;
    }

    if (oldest == UINT64_MAX || oldest == 0) {
        return CDC_UNKNOWN;
    }

    oldest = cdc_tso_ms(oldest);

    return clock > oldest ? clock - oldest : 0;
}


static void
cdc_progress_colls(cdc_repl_t *r)
{
    uint64_t            now, clock, worst, done, all;
    cdc_coll_t         *c;
    cdc_task_status_t  *s;

    s = &r->status;
    now = cdc_now_ms();
    clock = cdc_progress_source_now(r);
    worst = done = all = 0;
    s->collections = 0;

    for (c = r->colls; c; c = c->next) {
        if (c->state == CDC_COLL_GONE) {
            continue;
        }

        s->collections++;
        c->lag_ms = cdc_progress_coll_lag(c, now, clock);
        cdc_progress_copy(c, &done, &all);

        if (c->lag_ms != CDC_UNKNOWN && c->lag_ms > worst) {
            worst = c->lag_ms;
        }
    }

    s->lag_ms = worst;
    s->copy = cdc_progress_parts(done, all);

    if (!r->started && !r->went) {
        s->lag_ms = CDC_UNKNOWN;         /* nobody has looked yet */
        s->copy = 0;
    }
}


/* ---- the log ---- */

static uint64_t
cdc_progress_channel_backlog(const cdc_channel_t *ch, uint64_t clock)
{
    double                       left, mean;
    uint64_t                     ms, bytes;
    cdc_pos_t                    end, at;
    const cdc_log_reader_ops_t  *ops;

    ops = ch->repl->reader_ops;

    if (ch->stream == NULL) {
        return CDC_UNKNOWN;
    }

    if (ops->at_end(ch->stream)) {
        return 0;
    }

    /* it is not at the end: not nothing */

    if (ops->left && ops->left(ch->stream, &bytes) == CDC_OK) {
        return bytes ? bytes : 1;
    }

    mean = cdc_progress_mean(ch);

    if (ops->end == NULL || ops->end(ch->stream, &end) != CDC_OK
        || mean == 0)
    {
        return CDC_UNKNOWN;
    }

    at = cdc_track_end(&ch->track);

    if (at.hi != end.hi || at.lo >= end.lo) {
        return 0;
    }

    left = (double) (end.lo - at.lo);
    ms = cdc_tso_ms(ch->tick_read);

    if (ms && clock > ms) {
        left -= ch->idle * (double) (clock - ms);
    }

    return left > 1 ? (uint64_t) (left * mean) : 1;
}


static void
cdc_progress_channels(cdc_repl_t *r)
{
    int                 silent;
    unsigned            i;
    uint64_t            now, clock, n;
    cdc_channel_t      *ch;
    cdc_task_status_t  *s;

    s = &r->status;
    now = cdc_now_ms();
    clock = cdc_progress_source_now(r);
    silent = 0;

    s->channels = 0;
    s->live = r->running;
    s->backlog = r->running ? r->buffered : CDC_UNKNOWN;
    s->retention_ms = CDC_UNKNOWN;

    for (ch = r->channels; ch; ch = ch->next) {
        if (ch->users == 0) {
            continue;
        }

        n = cdc_progress_channel_backlog(ch, clock);

        s->live &= n == 0;
        s->backlog = n == CDC_UNKNOWN || s->backlog == CDC_UNKNOWN
                     ? CDC_UNKNOWN : s->backlog + n;

        if (ch->stream == NULL) {
            continue;
        }

        s->channels++;
        silent |= n == 0 && now - ch->tick_at > CDC_SOURCE_SILENT_MS;

        if (r->reader_ops->retention
            && r->reader_ops->retention(ch->stream, &n) == CDC_OK)
        {
            s->retention_ms = n;
        }
    }

    for (i = 0; i < CDC_CAUSE_PARKED; i++) {
        s->live &= r->cause[i][0] == '\0';
    }

    s->live &= !silent && s->lag_ms < CDC_LIVE_MS;

    s->source_ok = !silent && !r->cause[CDC_CAUSE_META][0]
                   && !r->cause[CDC_CAUSE_SOURCE][0]
                   && !r->cause[CDC_CAUSE_LOG][0];
    s->target_ok = !r->cause[CDC_CAUSE_TARGET][0]
                   && !r->cause[CDC_CAUSE_OP][0]
                   && !r->cause[CDC_CAUSE_CLOCK][0];
}


/* ---- over time ---- */

/* what is left in bytes where that is known, else in time; and how fast it
 * gets less */

static uint64_t
cdc_progress_catch_up(const cdc_task_status_t *s, const cdc_sample_t *old,
    uint64_t ms)
{
    uint64_t  left, was;

    if (s->live) {
        return 0;
    }

    left = s->lag_ms;
    was = old->lag_ms;

    if (s->backlog != CDC_UNKNOWN && old->backlog != CDC_UNKNOWN) {
        left = s->backlog;
        was = old->backlog;
    }

    if (left == CDC_UNKNOWN || was == CDC_UNKNOWN || was <= left) {
        return CDC_UNKNOWN;
    }

    return (uint64_t) ((double) left * (double) ms / (double) (was - left));
}


static void
cdc_progress_sample(cdc_repl_t *r)
{
    uint64_t            ms;
    cdc_sample_t       *now, *old;
    cdc_measure_t      *m;
    cdc_task_status_t  *s;

    s = &r->status;
    m = &r->measure;

    now = &m->samples[m->nsamples++ % CDC_SAMPLES];

    /* the oldest is the one that is written over, next time */

    old = m->nsamples < CDC_SAMPLES ? &m->samples[0]
                                    : &m->samples[m->nsamples % CDC_SAMPLES];

    now->at = cdc_now_ms();
    now->rows = s->rows_out;
    now->bytes = s->bytes_out;
    now->backlog = s->backlog;
    now->lag_ms = s->lag_ms;

    ms = now->at - old->at;

    s->rows_rate = s->bytes_rate = 0;
    s->catch_up_ms = s->live ? 0 : CDC_UNKNOWN;

    if (ms == 0) {
        return;
    }

    s->rows_rate = (now->rows - old->rows) * 1000 * 1000 / ms;
    s->bytes_rate = (now->bytes - old->bytes) * 1000 * 1000 / ms;
    s->catch_up_ms = cdc_progress_catch_up(s, old, ms);
}


static void
cdc_progress_self(cdc_task_status_t *s)
{
    FILE               *f;
    unsigned long long  pages;
    struct rusage       ru;

    s->pid = (uint32_t) getpid();

    f = fopen("/proc/self/statm", "re");

    if (f) {
        if (fscanf(f, "%*u %llu", &pages) == 1) {
            s->rss = pages * (uint64_t) sysconf(_SC_PAGESIZE);
        }

        fclose(f);
    }

    if (getrusage(RUSAGE_SELF, &ru) == 0) {
        s->cpu_ms = (uint64_t) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000
                    + (uint64_t) (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec)
                      / 1000;
    }
}


/* ---- the whole ---- */

void
cdc_progress_report(cdc_repl_t *r, uint16_t type, const void *report,
    size_t len)
{
    if (r->role->control->out_len <= CDC_REPORT_QUEUE) {
        (void) cdc_conn_send(r->role->control, type, 0, 0, report, len);
    }
}


void
cdc_progress_measure(cdc_repl_t *r)
{
    const char         *name;
    cdc_task_status_t  *s;

    s = &r->status;
    cdc_progress_colls(r);

    if (r->reader) {
        cdc_progress_channels(r);
    }

    name = json_string_value(json_object_get(r->config, "source"));

    snprintf(s->source, sizeof(s->source), "%s", name ? name : "");
    s->buffered = r->buffered;
}


static void
cdc_progress_caught_up(cdc_repl_t *r)
{
    cdc_task_status_t  *s;

    s = &r->status;

    if (s->lag_ms == CDC_UNKNOWN || s->lag_ms > CDC_BEHIND_MS) {
        r->measure.behind = 1;

    } else if (r->measure.behind && s->live && s->lag_ms < CDC_CAUGHT_MS) {
        r->measure.behind = 0;
        cdc_log(CDC_LOG_INFO, 0, "caught up: the target is %llu ms behind",
                (unsigned long long) s->lag_ms);
        cdc_repl_event(r, CDC_EVENT_CAUGHT_UP, "live");
    }
}


void
cdc_progress_timer(cdc_repl_t *r)
{
    cdc_progress_measure(r);
    cdc_progress_sample(r);
    cdc_progress_self(&r->status);
    cdc_progress_caught_up(r);

    if (r->measure.nsamples & 1) {
        cdc_progress_send(r);
    }
}
