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


/* breaks: a lane's connection, while the target is asked */

static void
greet_as(cdc_repl_t *r, int breaks)
{
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(tm));
    tm.handler = stop;
    tm.data = r->loop;

    cdc_timer_del(r->loop, &r->retry_timer);
    cdc_repl_hello(r);
    r->hello_again |= breaks;

    do {
        cdc_timer_add(r->loop, &tm, 5);
        (void) cdc_loop_run(r->loop);
    } while (r->hello_busy);
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

    cdc_worker_destroy(r.ops_worker);
    cdc_timer_del(r.loop, &r.retry_timer);
    bare_end(&r);

    return done_testing();
}
