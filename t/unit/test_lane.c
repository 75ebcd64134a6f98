/*
 * One target channel, several that feed it: source channels of one task, and
 * tasks in processes of their own.
 *
 * Whatever comes together, on the target channel ticks never go back and no
 * row is at or below a tick before it; and of one source channel, a delete
 * stays between what it deletes and what it does not.
 */

#include "order_bench.h"

#include <unistd.h>


static char  dir[64];


/* turns until something is true, a second at most */

#define UNTIL(cond)                                                           \
    for (int i_ = 0; i_ < 150 && !(cond); i_++) {                             \
        turn();                                                               \
    }


static void
check_order(const char *name)
{
    size_t    i;
    uint64_t  tick;

    tick = 0;

    for (i = 0; i < nsent; i++) {
        if (sent[i].type == CDC_MSG_TIME_TICK) {
            if (sent[i].ts < tick) {
                break;
            }

            tick = sent[i].ts;

        } else if (sent[i].ts <= tick) {
            break;
        }
    }

    ok(i == nsent, "%s", name);

    if (i < nsent) {
        printf("# %zu of %zu: type %d, %llu:%llu after a tick %llu:%llu\n", i,
               nsent, sent[i].type, (unsigned long long) sent[i].ts >> 18,
               (unsigned long long) sent[i].ts & 0x3ffff,
               (unsigned long long) tick >> 18,
               (unsigned long long) tick & 0x3ffff);
    }
}


/* until neither has anything to send, nor waits for the other */

static void
quiet(void)
{
    unsigned  n, idle;

    for (idle = 0; idle < 20; idle++) {
        turn();

        for (n = 0; n < 2; n++) {
            if (sides[n].up) {
                sides[n].lane->hurry_until = 0;
            }

            if (sides[n].done) {
                use(n, 0);
                answer(CDC_OK, 0);
                idle = 0;
            }
        }
    }
}


static size_t
find(unsigned by, int32_t type, int64_t key)
{
    size_t  i;

    for (i = nsent; i > 0; i--) {
        if (sent[i - 1].by == by && sent[i - 1].type == type
            && (type == CDC_MSG_TIME_TICK || sent[i - 1].key == key))
        {
            return i - 1;
        }
    }

    printf("# no message of type %d, key %lld by %u\n", type,
           (long long) key, by);

    return 4095;
}


/* a collection appears on a channel that was not read before, further back */

static void
test_joins(void)
{
    set_up();

    put_insert(1, MS(900), 1);
    put_tick(MS(1000));
    turn();
    answer_all();

    (void) add_second(2);
    put_insert(2, MS(500), 2);
    turn();
    is_int(nsent, 2, "behind the lane's last tick no row goes early");

    put_delete(2, MS(600), 2);
    put_tick(MS(700));
    turn();
    answer_all();

    is_int(sent[2].ts, MS(1000) + 1, "an older row is raised above the tick");
    is_int(sent[3].ts, MS(1000) + 2, "and what follows it above that");
    is_int(nsent, 4, "there is no tick to be had from it yet");

    put_insert(2, MS(1100), 3);
    put_tick(MS(1200));
    use(0, 0);
    put_tick(MS(1200));
    turn();
    answer_all();
    is_int(sent[4].ts, MS(1100), "past that tick it keeps its own stamps");
    is_int(sent[5].ts, MS(1200), "and ticks go on");
    check_order("rows are above the ticks before them");

    tear_down();
}


/* after a crash, both channels of a lane settle: each message at a stamp of
 * its own, or the target takes the second for a repeat of the first */

static void
test_settles_both(void)
{
    size_t  i, j, same;

    set_up();
    (void) add_second(2);
    lane->raise = lane->used = MS(2000);
    channel->settle_upto = (cdc_pos_t) { 0, 1000 };
    use(0, 0);
    channel->settle_upto = (cdc_pos_t) { 0, 1000 };

    for (i = 0; i < 3; i++) {
        use(0, 0);
        put_insert(1, MS(1000) + i, (uint8_t) (1 + i));
        use(0, 1);
        put_insert(2, MS(1000) + i, (uint8_t) (11 + i));
    }

    put_tick(MS(1100));
    use(0, 0);
    put_tick(MS(1100));
    turn();
    answer_all();

    for (i = 0, same = 0; i < nsent; i++) {
        for (j = i + 1; j < nsent; j++) {
            same += sent[i].type == CDC_MSG_INSERT
                    && sent[j].type == CDC_MSG_INSERT
                    && sent[i].ts == sent[j].ts;
        }
    }

    ok(nsent >= 12, "six inserts are settled, with their deletes");
    is_int(same, 0, "no two inserts have one stamp");
    check_order("rows are above the ticks before them");

    tear_down();
}


/* a copy of the checkpoints may not know that a row was sent at its own stamp:
 * what is settled never has it, even where no clock has got there */

static void
test_settles_above(void)
{
    size_t  i;

    set_up();
    channel->settle_upto = (cdc_pos_t) { 0, 1000 };

    put_insert(1, MS(900), 1);
    put_tick(MS(1000));
    turn();
    answer_all();

    for (i = 0; i < nsent && sent[i].type != CDC_MSG_INSERT; i++) {
        /* void */
    }

    is_int(sent[i].ts, MS(900) + 1, "settled above its own stamp");
    ok(i > 0 && sent[i - 1].type == CDC_MSG_DELETE
       && sent[i - 1].ts == sent[i].ts, "with the delete of its keys");

    tear_down();
}


/* a tick of the first of two channels, which the second has not reached */

static void
second_begins(void)
{
    set_up();

    put_insert(1, MS(900), 1);
    put_tick(MS(1000));
    turn();
    answer_all();

    (void) add_second(2);
    turn();
    use(0, 0);
    put_tick(MS(1000) + 2);
}


/* a tick that had to be raised must not pass a channel whose rows went early:
 * its delete, still to come, would be raised above a newer row */

static void
test_tick_held(void)
{
    size_t  i;

    second_begins();
    put_insert(1, MS(1000) + 4, 7);
    turn();
    answer_all();
    is_int(sent[2].ts, MS(1000) + 4, "a row goes early");

    use(0, 1);

    for (i = 0; i < 5; i++) {
        put_insert(2, MS(500 + i), (uint8_t) (20 + i));
    }

    put_tick(MS(1000) + 1);
    turn();
    answer_all();
    is_int(nsent, 8, "older rows are raised past its stamp, without a tick");
    is_int(sent[7].ts, MS(1000) + 5, "by five");

    use(0, 0);
    put_delete(1, MS(1000) + 3, 7);
    turn();
    answer_all();
    is_int(sent[8].type, CDC_MSG_DELETE, "the delete comes");
    is_int(sent[8].ts, MS(1000) + 3, "at its own stamp, below the row's");

    put_tick(MS(1200));
    turn();
    answer_all();
    is_int(sent[9].type, CDC_MSG_TIME_TICK, "now the tick goes");
    is_int(sent[9].ts, MS(1000) + 6, "which covers all");
    check_order("rows are above the ticks before them");

    tear_down();
}


/* the same of a tick that was queued before any row went early */

static void
test_tick_bounded(void)
{
    size_t   i, n;
    uint8_t  key;

    second_begins();
    turn();
    answer_all();

    use(0, 1);
    put_insert(2, MS(400), 19);
    turn();

    for (key = 20; key < 24; key++) {
        put_insert(2, MS(500) + key, key);
    }

    put_tick(MS(1000) + 1);
    cdc_channel_read(channel);
    ok(!lane->early && lane->queue, "rows and a tick, none of them early");

    use(0, 0);
    put_insert(1, MS(1000) + 4, 7);
    turn();
    answer_all();
    put_delete(1, MS(1000) + 3, 7);
    put_tick(MS(1200));
    turn();
    answer_all();

    n = find(0, CDC_MSG_INSERT, 7);
    i = find(0, CDC_MSG_DELETE, 7);
    ok(i < nsent && n < nsent && sent[i].ts < sent[n].ts,
       "the older delete stays below the row");
    check_order("rows are above the ticks before them");

    tear_down();
}


/* alone, then another comes */

static void
test_shares(void)
{
    size_t    n;
    uint64_t  tick;

    nsent = requests = 0;
    failure[0] = '\0';
    set_up_side(0, dir);

    put_insert(1, MS(1000), 1);
    put_tick(MS(1100));
    turn();
    answer_all();
    put_insert(1, MS(1150), 7);
    turn();
    answer_all();
    is_int(nsent, 3, "alone: a row goes early");

    set_up_side(1, dir);
    put_insert(1, MS(200), 50);
    put_insert(1, MS(300), 51);
    put_tick(MS(400));
    turn();
    turn();
    is_int(nsent, 3, "another has to wait for the tick of that row");

    use(0, 0);
    put_delete(1, MS(1140), 7);
    turn();
    is_int(nsent, 3, "and rows no longer go early");
    put_tick(MS(1200));
    UNTIL(nsent > 3);
    answer(CDC_OK, 0);
    is_int(sent[3].ts, MS(1140), "the delete is still below the row");
    is_int(sent[4].ts, MS(1200), "then the tick");

    use(1, 0);
    UNTIL(pending_done != NULL);
    is_int(sent[5].by, 1, "now it is the other's turn");
    is_int(sent[5].ts, MS(1200) + 1, "its row is above the tick");
    is_int(sent[6].ts, MS(1200) + 2, "the next, too");
    is_int(sent[7].ts, MS(1200) + 3, "and its tick covers them");

    use(0, 0);
    put_insert(1, MS(1200) + 2, 8);
    put_insert(1, MS(1250), 9);
    put_tick(MS(1300));
    n = nsent;
    turn();
    turn();
    is_int(nsent, n, "nobody sends while another does");

    use(1, 0);
    answer(CDC_OK, 0);
    use(0, 0);
    UNTIL(nsent > n);
    is_int(sent[n].ts, MS(1200) + 4, "a row below the other's tick is raised");
    is_int(sent[n + 1].ts, MS(1250), "a newer one is not");
    answer(CDC_OK, 0);
    tick = sent[nsent - 1].ts;
    is_int(tick, MS(1300), "neither is the tick");

    /* the other stops: alone again, in a second */

    quiet();
    tear_down_side(1);
    use(0, 0);
    put_tick(MS(1400));
    (void) usleep(CDC_SHARE_LOOK_MS * 1000);
    put_tick(MS(1500));
    UNTIL(sent[nsent - 1].ts >= MS(1500));
    answer_all();
    n = nsent;
    put_insert(1, MS(1600), 10);
    UNTIL(nsent > n);
    is_int(nsent, n + 1, "alone again: rows go early");
    answer_all();
    check_order("rows are above the ticks before them");

    tear_down();
}


static void
unlinks(void)
{
    char  cmd[128];

    (void) snprintf(cmd, sizeof(cmd), "rm -rf '%s/targets'", dir);

    if (system(cmd) != 0) {
        abort();
    }
}


/* both have much to send: each second request is the other's */

static void
test_turns(void)
{
    unsigned  i, n, runs, same, by;

    unlinks();
    nsent = requests = 0;

    for (n = 0; n < 2; n++) {
        set_up_side(n, dir);
        put_tick(MS(100));
    }

    UNTIL(0);

    for (n = 0; n < 2; n++) {
        use(n, 0);
        answer_all();
    }

    runs = same = 0;
    by = 2;

    for (i = 0; i < 40; i++) {
        for (n = 0; n < 2; n++) {
            use(n, 0);
            put_insert(1, MS(1000 + 10 * i), (uint8_t) i);
            put_tick(MS(1001 + 10 * i));
        }

        UNTIL(sides[0].done || sides[1].done);
        ok(!(sides[0].done && sides[1].done), "one at a time");
        use(sides[1].done != NULL, 0);
        same += (by == (unsigned) (side - sides));
        by = (unsigned) (side - sides);
        runs++;
        answer(CDC_OK, 0);
    }

    /* a busy machine may skip one; without turns it is all of them */

    ok(same <= 10, "in turns");
    printf("# %u of %u requests followed one of the same\n", same, runs);

    quiet();
    check_order("rows are above the ticks before them");

    tear_down_side(1);
    tear_down();
}


/* early rows, and a source that stands still */

static void
test_stands_still(void)
{
    unlinks();
    nsent = requests = 0;
    reset_asked = 0;
    set_up_side(0, dir);

    put_tick(MS(100));
    turn();
    answer_all();
    put_insert(1, MS(200), 1);
    turn();
    answer_all();
    is_int(nsent, 2, "a row went early");

    set_up_side(1, dir);
    put_insert(1, MS(150), 2);
    put_tick(MS(160));
    turn();
    (void) usleep(1100 * 1000);
    UNTIL(0);
    is_int(reset_asked, 0, "its tick is waited for");
    (void) usleep(1500 * 1000);
    UNTIL(reset_asked);
    is_int(reset_asked, 1, "but not for ever: what is early is settled");

    use(0, 0);
    begin_again();
    (void) usleep(1100 * 1000);
    UNTIL(sides[1].done);
    ok(sides[1].done != NULL, "the other goes on");
    use(1, 0);
    answer_all();

    use(0, 0);
    put_tick(MS(300));
    UNTIL(sides[0].done);
    is_int(sent[find(0, CDC_MSG_INSERT, 1)].ts
           > sent[find(1, CDC_MSG_TIME_TICK, 0)].ts, 1,
           "the row is settled above its tick");
    quiet();
    check_order("rows are above the ticks before them");

    tear_down_side(1);
    tear_down();
}


/* what becomes of the tick of a request that was not answered well */

static void
test_fails(void)
{
    size_t              n;
    uint64_t            begin;
    cdc_target_error_t  err;

    unlinks();
    nsent = requests = 0;
    set_up_side(0, dir);

    put_insert(1, MS(1000), 1);
    put_insert(1, MS(1000), 2);
    put_tick(MS(1100));
    turn();
    n = nsent;
    answer(CDC_ERROR, CDC_TARGET_RETRY);
    is_int(cdc_share_tick(lane->share), 0, "surely not sent: no tick");
    (void) usleep(120 * 1000);
    turn();
    is_int(sent[n].ts, MS(1000), "the same again, at the same stamp");
    is_int(cdc_share_tick(lane->share), MS(1100), "with its tick");

    set_up_side(1, dir);
    put_insert(1, MS(500), 3);
    put_tick(MS(600));
    turn();
    use(0, 0);
    memset(&err, 0, sizeof(err));
    err.class = CDC_TARGET_DOUBT;
    err.transport = 1;
    n = nsent;
    begin = cdc_now_ms();
    pending_done(pending_arg, CDC_ERROR, &err);
    pending_done = NULL;
    repl.running = 0;                    /* gives way, and waits */
    cdc_lane_reset(lane);
    cdc_channel_reset(channel);
    repl.resetting = 0;
    repl.running = 1;
    cdc_channel_open(channel);
    UNTIL(sides[1].done);
    use(1, 0);

    if (pending_done == NULL) {
        (void) usleep(1000 * 1000);
        UNTIL(sides[1].done);
    }

    ok(cdc_now_ms() - begin >= CDC_SHARE_QUIET_MS,
       "in doubt: nobody sends for a while");
    ok(sent[n].ts > MS(1100), "and then above that tick");
    quiet();

    tear_down_side(1);
    tear_down();
}


/* a tick without rows tells how far the target is, though it is not sent */

static void
test_known(void)
{
    size_t  n;

    set_up();

    put_insert(1, MS(1000), 1);
    put_tick(MS(1100));
    turn();
    answer_all();
    n = nsent;
    lane->tick_at += 60000;              /* all idle ticks go at one moment of
                                          * a second, and that may be now */
    put_tick(MS(1200));
    put_tick(MS(1300));
    turn();
    is_int(nsent, n, "idle ticks wait");
    is_int(cdc_lane_known(lane), MS(1300), "and no row is left below them");

    put_insert(1, MS(1400), 2);
    turn();
    put_tick(MS(1500));
    turn();
    is_int(cdc_lane_known(lane), MS(1300), "one is, under way");

    answer(CDC_ERROR, CDC_TARGET_RETRY);
    put_tick(MS(1600));
    turn();
    is_int(cdc_lane_known(lane), MS(1300), "and still, to be tried again");

    (void) usleep(CDC_BACKOFF_MIN * 1000 + 20000);
    turn();
    answer_all();
    is_int(cdc_lane_known(lane), MS(1600), "until that is answered");

    tear_down();
}


/* the target may have been started: it needs ticks, and soon */

static void
test_hurries(void)
{
    size_t              n;
    uint64_t            end;
    cdc_target_error_t  err;

    set_up();

    put_insert(1, MS(1000), 1);
    put_tick(MS(1100));
    turn();
    answer_all();
    n = nsent;
    (void) usleep(150 * 1000);
    turn();
    is_int(nsent, n, "idle: no tick is repeated");

    put_insert(1, MS(1200), 2);
    turn();
    memset(&err, 0, sizeof(err));
    err.class = CDC_TARGET_RETRY;
    err.transport = 1;
    pending_done(pending_arg, CDC_ERROR, &err);
    pending_done = NULL;
    n = nsent;

    for (end = cdc_now_ms() + 500; cdc_now_ms() < end; ) {
        answer_all();
        turn();
    }

    is_int(sent[n].key, 2, "the row goes again");
    is_int(nsent, n + 1, "and no tick passes it");

    put_tick(MS(1300));
    turn();
    answer_all();
    n = nsent;

    for (end = cdc_now_ms() + 500; cdc_now_ms() < end; ) {
        answer_all();
        turn();
    }

    ok(nsent >= n + 4 && nsent <= n + 11, "the last tick again and again");
    is_int(sent[nsent - 1].ts, MS(1300), "the same one");

    answer_all();
    put_tick(MS(1400));
    turn();
    answer(CDC_OK, 0);
    is_int(sent[nsent - 1].ts, MS(1400), "a new one is not held back");
    answer_all();

    tear_down();
}


int
main(void)
{
    (void) snprintf(dir, sizeof(dir), "/tmp/test_lane.XXXXXX");

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    test_joins();
    test_settles_both();
    test_settles_above();
    test_tick_held();
    test_tick_bounded();
    test_shares();
    test_turns();
    test_stands_still();
    test_fails();
    test_known();
    test_hurries();

    unlinks();
    (void) rmdir(dir);

    return done_testing();
}
