/*
 * Requests that the target does not take: what is said about it, and how the
 * lane goes on.
 */

#include "order_bench.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>


/* the answer to the request of one lane, while the other has none */

static void
reply(int rc, cdc_target_class_e class, unsigned large, const char *text)
{
    void               (*done)(void *, int, const cdc_target_error_t *);
    cdc_target_error_t   err;

    memset(&err, 0, sizeof(err));
    err.class = class;
    err.large = large;
    (void) snprintf(err.text, sizeof(err.text), "%s", text);
    done = pending_done;
    pending_done = NULL;

    if (done == NULL) {
        ok(0, "there is a request");
        return;
    }

    done(pending_arg, rc, &err);
}


/* another try, now */

static void
again(cdc_lane_t *one)
{
    one->retry_at = 0;
    one->wanting = 1;
    cdc_lane_wake(one);
    turn();
}


/* one channel of the target takes nothing, the other does */

static void
test_two(void)
{
    unsigned     n;
    cdc_coll_t  *c;
    cdc_lane_t  *second;

    set_up();
    on_next = 1;
    c = add_second(2);
    on_next = 0;
    second = c->shards[0].lane;
    second->reserve = UINT64_MAX / 2;
    use(0, 0);

    put_insert(1, MS(900), 1);
    turn();

    for (n = 0; n < 4; n++) {
        reply(CDC_ERROR, CDC_TARGET_RETRY, 0, "tgt_5 takes nothing");
        lane->retry_at = cdc_now_ms() + 100000;

        use(0, 1);
        put_insert(2, MS(901 + n), 2);
        turn();
        use(0, 0);
        ok(second->busy && !lane->busy, "a request of the other");
        reply(CDC_OK, 0, 0, "");
        is_str(stuck, "tgt_5 takes nothing", "the first is still stuck");
        again(lane);
    }

    is_int(said, 1, "which is said once");
    is_str(coll->last.error, "tgt_5 takes nothing", "of the collection, too");
    ok(c->last.error == NULL && c->last.error_ms == 0, "and of no other");
    reply(CDC_OK, 0, 0, "");
    is_str(stuck, "", "until it is not");
    is_int(said, 2, "and that, too");

    tear_down();
}


/* sends a row, and 20 more while that one is under way: how many requests do
 * the 20 take? */

static unsigned
burst(uint64_t ts)
{
    unsigned  i, before;

    put_insert(1, ts, 2);
    turn();

    for (i = 1; i <= 20; i++) {
        put_insert(1, ts + i, 3);
    }

    turn();
    before = requests;
    answer_all();

    return requests - before;
}


/* one that is refused and gone does not make the next ones go alone */

static void
test_single(void)
{
    set_up();
    put_insert(1, MS(900), 1);
    put_tick(MS(1000));
    turn();
    reply(CDC_ERROR, CDC_TARGET_REFUSED, 0, "no");
    is_int(lane->single, 1, "one message was refused");
    ok(coll->last.error == NULL, "which one is not known yet: no error of it");
    again(lane);
    answer_all();
    is_int(lane->single, 0, "it has gone");
    is_int(burst(MS(1100)), 1, "what gathers after it goes together");

    tear_down();
}


/* they wait for the answer about the one, and go together */

static void
twenty_behind_one(void)
{
    unsigned  i;

    set_up();
    put_tick(MS(1000));
    turn();
    answer_all();
    put_insert(1, MS(1100), 2);
    turn();

    for (i = 1; i <= 20; i++) {
        put_insert(1, MS(1100) + i, 3);
    }

    turn();
}


/* refused for its size: smaller ones, and no retry for each */

static void
test_large(void)
{
    unsigned  n;

    twenty_behind_one();
    answer(CDC_OK, 0);
    ok(pending_done != NULL, "20 are under way");
    nsent = 0;
    reply(CDC_ERROR, CDC_TARGET_REFUSED, 1, "larger than max");
    turn();
    n = requests;
    answer_all();
    is_int(requests - n, 2, "they go in three requests");
    is_int(lane->single, 0, "not one by one");
    is_str(stuck, "", "nothing is stuck");
    is_int(nsent, 20, "all of them, once");
    is_int(burst(MS(1200)), 3, "the next ones begin smaller");

    tear_down();
}


/* parked on the lane of another shard: it goes out on none */

static void
test_parked(void)
{
    size_t  i;

    set_up();
    put_tick(MS(1000));
    turn();
    answer_all();
    put_insert(1, MS(1100), 1);
    turn();
    put_insert(1, MS(1101), 2);
    put_insert(1, MS(1102), 3);
    put_tick(MS(1200));
    turn();
    ok(lane->queue && lane->queue->item, "two are queued");
    lane->queue->item->poison = 1;
    nsent = 0;
    answer_all();

    for (i = 0; i < nsent && sent[i].key != 2; i++) { /* void */ }

    is_int(i, nsent, "what is parked stays");
    is_int(sent[0].key, 3, "what is behind it goes");
    is_int(channel->tick_acked, MS(1200), "and all is done");
    is_int(coll->shards[0].sorted, 0, "nothing is left of it");

    tear_down();
}


/* for want of memory nothing is parked: the replicator ends */

#ifndef __SANITIZE_ADDRESS__

static size_t  starve;

void *__libc_malloc(size_t n);

void *
malloc(size_t n)
{
    return starve && n == starve ? NULL : __libc_malloc(n);
}


static void
test_starved(void)
{
    int    status;
    pid_t  pid;

    twenty_behind_one();
    pid = fork();

    if (pid == 0) {
        starve = 16 * sizeof(cdc_span_t);        /* a chain's second size */
        answer(CDC_OK, 0);
        _exit(0);
    }

    ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status)
       && WTERMSIG(status) == SIGABRT, "no memory is said to be that");

    answer_all();
    tear_down();
}

#endif


int
main(void)
{
    test_two();
    test_single();
    test_large();
    test_parked();
#ifndef __SANITIZE_ADDRESS__
    test_starved();
#endif

    return done_testing();
}
