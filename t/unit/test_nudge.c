/*
 * After a burst the last tick is repeated, for a target that is standalone or
 * may be; not for one that has told that it is none.
 */

#include "order_bench.h"

#include <unistd.h>


#define BURST  100
#define LEAST  (BURST / CDC_NUDGE_MSGS)

static uint64_t  last;                   /* ms of the source's time */


static void
wait_ms(uint64_t ms)
{
    uint64_t  end;

    for (end = cdc_now_ms() + ms; cdc_now_ms() < end; ) {
        answer_all();
        turn();
    }
}


/* ticks that are sent after the rows of a burst, but for the first */

static size_t
burst(void)
{
    size_t   i, n;
    uint8_t  key;

    for (key = 0; key < BURST; key++) {
        put_insert(1, MS(++last), key);
    }

    put_tick(MS(++last));
    turn();
    answer_all();
    wait_ms(30 * CDC_NUDGE_MS);

    for (i = nsent, n = 0; i > 0 && sent[i - 1].type == CDC_MSG_TIME_TICK
                           && sent[i - 1].ts == MS(last); i--)
    {
        n++;
    }

    return n ? n - 1 : 4095;
}


static void
breaks(void)
{
    cdc_target_error_t  err;

    put_insert(1, MS(++last), 1);
    turn();

    memset(&err, 0, sizeof(err));
    err.class = CDC_TARGET_RETRY;
    err.transport = 1;
    pending_done(pending_arg, CDC_ERROR, &err);
    pending_done = NULL;
    ok(repl.hello_again, "a connection broke: it has to be asked what it is");

    (void) usleep(CDC_BACKOFF_MIN * 1000 + 20000);
    lane->hurry_until = 0;
    put_tick(MS(++last));
    turn();
    answer_all();
    wait_ms(30 * CDC_NUDGE_MS);
}


int
main(void)
{
    size_t  n;

    set_up();
    last = 1000;

    n = burst();
    ok(n >= LEAST - 1 && n <= LEAST, "%zu nudges for %d messages", n, BURST);
    is_int(burst(), n, "and for the next burst");

    repl.distributed = 1;
    is_int(burst(), 0, "none for a distributed target");
    is_int(burst(), 0, "nor for the next burst");

    /* it is told while there are some left to send */

    repl.distributed = 0;
    lane->owed = CDC_NUDGE_MAX;
    repl.distributed = 1;
    is_int(burst(), 0, "nor are there any left");
    is_int(lane->owed, 0, "to be sent later");

    cdc_lane_hurry(coll);
    n = nsent;
    wait_ms(3 * CDC_HURRY_TICK_MS);
    ok(nsent >= n + 2, "its hurry is another matter");
    lane->hurry_until = 0;

    breaks();
    ok(burst() >= LEAST - 1, "and may be another one until it has told");

    tear_down();

    return done_testing();
}
