/*
 * Before a new task begins its target is greeted and its log is asked for its
 * end: what is out of reach is named, and not the other one.
 */

#include "bare_replicator.h"
#include "tap.h"

#include <stdio.h>
#include <string.h>


static unsigned  target_down, log_down;


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


static void
greet(cdc_repl_t *r)
{
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(tm));
    tm.handler = stop;
    tm.data = r->loop;

    cdc_timer_del(r->loop, &r->retry_timer);
    cdc_repl_hello(r);

    do {
        cdc_timer_add(r->loop, &tm, 5);
        (void) cdc_loop_run(r->loop);
    } while (r->hello_busy);
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

    cdc_worker_destroy(r.ops_worker);
    cdc_timer_del(r.loop, &r.retry_timer);
    bare_end(&r);

    return done_testing();
}
