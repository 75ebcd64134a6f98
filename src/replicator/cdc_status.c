/*
 * What the supervisor is told: twice a second, and when a cause of
 * degradation appears or ends.
 */

#include "cdc_replicator.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>


#define CDC_STATUS_MS       500          /* between two reports */
#define CDC_CLOCK_MS        2000         /* behind, before it is said */
#define CDC_CLOCK_AGAIN_MS  10000        /* then the target's is asked again */
#define CDC_CLOCKS_MS       5            /* between two looks at a clock */
#define CDC_TRIM_BYTES      (16 * 1024 * 1024)
#define CDC_TRIM_QUIET      (1024 * 1024)    /* in CDC_STATUS_MS */


/* the nearer one of those that lie ahead */

static void
cdc_repl_sooner(uint64_t *next, uint64_t when)
{
    if (when > cdc_now_ms() && (*next == 0 || when < *next)) {
        *next = when;
    }
}


/* when what is wrong by that cause is tried again, cdc_now_ms(); 0: it is
 * being tried, or waits for something else than time */

static uint64_t
cdc_repl_next_try(cdc_repl_t *r, unsigned cause)
{
    uint64_t     next;
    cdc_op_t    *op;
    cdc_lane_t  *lane;

    next = 0;

    switch (cause) {

    case CDC_CAUSE_META:
    case CDC_CAUSE_SOURCE:
        cdc_repl_sooner(&next, r->meta ? cdc_meta_next_try(r->meta) : 0);
        break;

    case CDC_CAUSE_LOG:
        cdc_repl_sooner(&next, r->reader ? r->reader_ops->next_try(r->reader)
                                         : 0);

        if (!r->running) {               /* it is looked at before the start */
            cdc_repl_sooner(&next, r->retry_timer.slot ? r->retry_timer.when
                                                       : 0);
        }

        break;

    case CDC_CAUSE_TARGET:
        cdc_repl_sooner(&next, r->retry_timer.slot ? r->retry_timer.when : 0);

        for (lane = r->lanes; lane; lane = lane->next) {
            cdc_repl_sooner(&next, lane->retry_at);
        }

        break;

    case CDC_CAUSE_OP:
        for (op = r->ops; op; op = op->next) {
            cdc_repl_sooner(&next, op->sleeping ? op->timer.when : 0);
        }

        break;

    case CDC_CAUSE_DISK:
        if (r->db == NULL) {
            cdc_repl_sooner(&next, r->retry_timer.slot ? r->retry_timer.when
                                                       : 0);
            break;
        }

        cdc_repl_sooner(&next, r->checkpoint_timer.slot
                               ? r->checkpoint_timer.when : 0);
        break;

    default:
        break;
    }

    return next;
}


static void
cdc_repl_when(cdc_repl_t *r)
{
    unsigned  i;
    uint64_t  next;

    r->status.next_try_ms = 0;

    for (i = 0; i < CDC_CAUSES; i++) {
        if (r->cause[i][0]) {
            next = cdc_repl_next_try(r, i);

            if (next) {
                r->status.next_try_ms = cdc_wall_ms() + next - cdc_now_ms();
            }

            return;
        }
    }
}


/* nobody tries that again, so each counts: the first and the last one are
 * shown */

static void
cdc_repl_skipped(cdc_repl_t *r, const char *text)
{
    if (r->skips++ == 0) {
        snprintf(r->cause[CDC_CAUSE_SKIPPED], CDC_REASON_MAX, "%s", text);
        snprintf(r->skipped, sizeof(r->skipped), "%.400s", text);
        return;
    }

    snprintf(r->cause[CDC_CAUSE_SKIPPED], CDC_REASON_MAX, "%s; and %llu more, "
             "the last: %.500s", r->skipped,
             (unsigned long long) r->skips - 1, text);
}


void
cdc_repl_degraded(cdc_repl_t *r, unsigned cause, const char *text)
{
    unsigned            i;
    cdc_task_status_t  *s;

    if (text == NULL && r->cause[cause][0] == '\0') {
        return;
    }

    if (text && (strcmp(text, r->cause[cause]) == 0
                 || (cause == CDC_CAUSE_SKIPPED
                     && strcmp(text, r->status.error) == 0)))
    {
        return;
    }

    /* what is skipped or parked is said each time */

    if (text && (r->cause[cause][0] == '\0' || cause == CDC_CAUSE_SKIPPED
                 || cause == CDC_CAUSE_PARKED))
    {
        cdc_log(CDC_LOG_WARN, 0, "degraded: %s", text);
        cdc_repl_event(r, CDC_EVENT_DEGRADED, "%s", text);
        r->status.errors++;
    }

    if (text) {
        r->status.error_ms = cdc_wall_ms();
        snprintf(r->status.error, CDC_REASON_MAX, "%s", text);

    } else {
        cdc_log(CDC_LOG_NOTICE, 0, "recovered from: %s", r->cause[cause]);
        cdc_repl_event(r, CDC_EVENT_RECOVERED, "%s", r->cause[cause]);
    }

    if (cause == CDC_CAUSE_SKIPPED && text) {
        cdc_repl_skipped(r, text);
    } else {
        snprintf(r->cause[cause], CDC_REASON_MAX, "%s", text ? text : "");
    }

    s = &r->status;
    s->degraded[0] = '\0';

    for (i = 0; i < CDC_CAUSES; i++) {
        if (r->cause[i][0]) {
            memcpy(s->degraded, r->cause[i], CDC_REASON_MAX);
            break;
        }
    }

    if (s->degraded[0] == '\0') {
        r->degraded_at = 0;

    } else if (r->degraded_at == 0) {
        r->degraded_at = cdc_now_ms();
    }

    cdc_repl_status(r);
}


/*
 * Milvus shows a row once its own clock has reached the row's time.  A target
 * whose clock is behind has all rows and shows the newest of them late.
 */

static void
cdc_repl_clock(cdc_repl_t *r)
{
    char            text[CDC_REASON_MAX];
    uint64_t        newest, now;
    cdc_channel_t  *ch;

    if (!r->running || r->resetting || r->target_version == 0) {
        return;
    }

    newest = 0;

    for (ch = r->channels; ch; ch = ch->next) {
        newest = ch->tick_acked > newest ? ch->tick_acked : newest;
    }

    newest = cdc_tso_ms(newest);
    now = cdc_now_ms() + (uint64_t) r->clock_offset;

    if (newest < now + CDC_CLOCK_MS) {
        cdc_repl_degraded(r, CDC_CAUSE_CLOCK, NULL);
        return;
    }

    /* the seconds would be another text each time */

    if (r->cause[CDC_CAUSE_CLOCK][0] == '\0') {
        snprintf(text, sizeof(text), "the target's clock is %llu s behind the "
                 "source's: rows are there, and shown only when it has got "
                 "to their time; set the clocks of both by NTP",
                 (unsigned long long) ((newest - now) / 1000));
        cdc_repl_degraded(r, CDC_CAUSE_CLOCK, text);
    }

    if (cdc_now_ms() > r->hello_at + CDC_CLOCK_AGAIN_MS) {
        cdc_repl_hello(r);               /* has it been set? */
    }
}


/* when that was by the clock of now: it may have been set since */

static void
cdc_repl_wall(uint64_t *wall, uint64_t at)
{
    uint64_t  then;

    then = at ? cdc_wall_ms() - (cdc_now_ms() - at) : 0;

    /* the two clocks are not read at one moment */

    if (then > *wall + CDC_CLOCKS_MS || *wall > then + CDC_CLOCKS_MS) {
        *wall = then;
    }
}


/* of what was measured just now */

static void
cdc_repl_report(cdc_repl_t *r)
{
    r->status.updated_ms = cdc_wall_ms();

    cdc_repl_wall(&r->status.degraded_since_ms, r->degraded_at);
    cdc_repl_wall(&r->status.checkpoint_ms, r->checkpoint_at);

    cdc_repl_when(r);

    cdc_progress_report(r, CDC_FRAME_STATUS, &r->status,
                        sizeof(cdc_task_status_t));
}


void
cdc_repl_status(cdc_repl_t *r)
{
    cdc_progress_measure(r);
    cdc_repl_report(r);
}


/* what a backlog has left free goes back to the kernel (cdc_memory.c) */

static void
cdc_repl_trim(cdc_repl_t *r)
{
    uint64_t  in;

    in = r->status.bytes_in;

    if (in < r->trim_last + CDC_TRIM_QUIET
        && in > r->trimmed + CDC_TRIM_BYTES)
    {
        r->trimmed = in;
        (void) malloc_trim(0);
    }

    cdc_memory_trim(in < r->trim_last + CDC_TRIM_QUIET);
    r->trim_last = in;
}


static void
cdc_repl_status_timer(cdc_timer_t *tm)
{
    cdc_repl_t  *r = tm->data;

    cdc_equal_tire(r);
    cdc_repl_clock(r);
    cdc_repl_hello_due(r);
    cdc_repl_trim(r);
    cdc_progress_timer(r);
    cdc_repl_report(r);
    cdc_timer_add(r->loop, tm, CDC_STATUS_MS);
}


void
cdc_repl_status_start(cdc_repl_t *r)
{
    r->status_timer.handler = cdc_repl_status_timer;
    r->status_timer.data = r;
    cdc_repl_status_timer(&r->status_timer);
}
