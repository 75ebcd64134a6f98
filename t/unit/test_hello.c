/*
 * Before a new task begins its target is greeted and its log is asked for its
 * end: what is out of reach is named, and not the other one.  What the target
 * tells about itself is kept until it may be another one.
 */

#include "bare_replicator.h"
#include "tap.h"

#include <stdio.h>
#include <string.h>


static unsigned  target_down, log_down, distributed;


static int
hello(cdc_target_t *t, cdc_target_info_t *info, cdc_target_error_t *err)
{
    (void) t;

    if (target_down) {
        err->class = CDC_TARGET_RETRY;
        (void) snprintf(err->text, sizeof(err->text), "no target");
        return CDC_ERROR;
    }

    info->replicate = 1;
    info->distributed = distributed;
    info->now = cdc_ms_tso(cdc_wall_ms());
    info->now_at = cdc_now_ms();
    (void) snprintf(info->version, sizeof(info->version), "v2.3.5");

    return CDC_OK;
}


static int
ends(cdc_log_reader_t *r, const char *channel, unsigned ms, cdc_pos_t *first,
    cdc_pos_t *end, char *err)
{
    (void) r;
    (void) channel;
    (void) ms;

    if (log_down) {
        (void) snprintf(err, CDC_REASON_MAX, "no log");
        return CDC_ERROR;
    }

    memset(first, 0, sizeof(cdc_pos_t));
    memset(end, 0, sizeof(cdc_pos_t));

    return CDC_OK;
}


static uint64_t
next_try(cdc_log_reader_t *r)
{
    (void) r;

    return 0;
}


static const cdc_target_ops_t  target = { .name = "test", .hello = hello };

static const cdc_log_reader_ops_t  reader = {
    .name = "test", .ends = ends, .next_try = next_try
};


static void
stop(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


/* until it is answered */

static void
finish(cdc_repl_t *r)
{
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(tm));
    tm.handler = stop;
    tm.data = r->loop;

    do {
        cdc_timer_add(r->loop, &tm, 5);
        (void) cdc_loop_run(r->loop);
    } while (r->hello_busy);
}


/* breaks: a lane's connection, while the target is asked */

static void
greet_as(cdc_repl_t *r, int breaks)
{
    cdc_timer_del(r->loop, &r->retry_timer);
    cdc_repl_hello(r);
    r->hello_again |= breaks;
    finish(r);
}


static void
greet(cdc_repl_t *r)
{
    greet_as(r, 0);
}


/* what the target is, is renewed with each greeting that it answers */

static void
test_distributed(cdc_repl_t *r)
{
    r->meta = (cdc_meta_t *) r;          /* never looked into: the task runs */
    r->failed = 0;
    ok(!r->distributed, "it has not told that it is distributed");

    distributed = 1;
    r->hello_again = 1;
    greet(r);
    ok(r->distributed, "now it has");
    ok(!r->hello_again, "and need not be asked again");

    target_down = 1;
    greet(r);
    ok(r->distributed, "it stays so as long as nothing is known");
    ok(r->hello_again, "but it is asked again");

    target_down = 0;
    greet_as(r, 1);
    ok(!r->distributed, "an answer of before a connection broke is none");
    ok(r->hello_again, "it has to be asked again");

    greet(r);
    ok(r->distributed, "and is");

    distributed = 0;
    greet(r);
    ok(!r->distributed, "another one has come in its place");
}


static int
is_due(cdc_repl_t *r)
{
    int  due;

    cdc_repl_hello_due(r);
    due = r->hello_busy;

    if (due) {
        finish(r);
        r->hello_again = 1;
    }

    return due;
}


/* when it is well again, and nothing else asks it */

static void
test_due(cdc_repl_t *r)
{
    r->hello_again = 0;
    r->running = 1;
    ok(!is_due(r), "nothing broke");

    r->hello_again = 1;
    ok(is_due(r), "a connection broke: it is asked again");

    cdc_repl_degraded(r, CDC_CAUSE_TARGET, "away");
    ok(!is_due(r), "not before it answers");
    cdc_repl_degraded(r, CDC_CAUSE_TARGET, NULL);

    r->resetting = 1;
    ok(!is_due(r), "nor in a reset, which asks by itself");

    r->resetting = r->running = 0;
    ok(!is_due(r), "nor before the task runs");
}


/* a reset waits for what may be under way: an answer to a question of before
 * it does not end that, nor does no answer make it shorter */

static void
test_reset(cdc_repl_t *r)
{
    uint64_t  when;

    cdc_repl_hello(r);
    r->resetting = r->reset_stepped = 1;
    r->retry_timer.handler = stop;
    r->retry_timer.data = r->loop;
    cdc_timer_add(r->loop, &r->retry_timer, 60000);
    when = r->retry_timer.when;

    finish(r);
    ok(r->resetting, "it waits on when the target has answered meanwhile");

    target_down = 1;
    cdc_repl_hello(r);
    finish(r);
    target_down = 0;
    ok(r->resetting && r->retry_timer.slot && r->retry_timer.when == when,
       "and as long when it has not");

    greet(r);                            /* its time has come */
    ok(!r->resetting, "its end is the answer after that");
}


int
main(void)
{
    cdc_repl_t  r;

    bare_begin(&r);
    r.ops_worker = cdc_worker_create(r.loop, "ops");
    r.target_ops = &target;
    r.reader_ops = &reader;
    r.reader = (cdc_log_reader_t *) &r;  /* never looked into */
    r.rchannel = "rpc";

    target_down = log_down = 1;
    greet(&r);
    is_str(r.cause[CDC_CAUSE_TARGET], "no target", "the target is away");
    ok(!r.status.target_ok && r.status.source_ok, "that is what stops it");

    target_down = 0;
    greet(&r);
    is_str(r.cause[CDC_CAUSE_LOG], "no log", "then the log is");
    is_str(r.cause[CDC_CAUSE_TARGET], "", "and the target is well");
    ok(r.status.target_ok && !r.status.source_ok, "so the source stops it");
    cdc_repl_status(&r);
    ok(r.status.next_try_ms != 0, "and it is tried again");

    log_down = 0;
    greet(&r);
    is_str(r.cause[CDC_CAUSE_LOG], "", "until it answers");
    is_str(r.cause[CDC_CAUSE_TARGET], "", "as the target does");

    test_distributed(&r);
    test_due(&r);
    test_reset(&r);

    cdc_worker_destroy(r.ops_worker);
    cdc_timer_del(r.loop, &r.retry_timer);
    bare_end(&r);

    return done_testing();
}
