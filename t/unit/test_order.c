/*
 * Order, settling and reserves of the replicator.
 *
 * What real servers do with these requests is tested end to end; here the
 * order that they get is, for the rare cases that cannot be timed there.
 */

#include "order_bench.h"


static void
test_live(void)
{
    set_up();

    put_insert(1, MS(1000), 7);
    turn();

    is_int(nsent, 1, "a row leaves before its tick");
    is_int(sent[0].ts, MS(1000), "at the source's own stamp");
    is_int(sent[0].collection, 1001, "with the target's collection");
    is_int(sent[0].partition, 2011, "and the target's partition");

    answer(CDC_OK, 0);
    is_int(channel->track.next.lo, 0, "acknowledged, but not done: no tick");
    is_int(repl.buffered, 0, "its bytes are free");

    put_tick(MS(1200));
    turn();
    is_int(sent[1].type, CDC_MSG_TIME_TICK, "the tick follows at once");
    is_int(sent[1].ts, MS(1200), "with its own time");
    answer_all();

    is_int(channel->track.next.lo, 2, "now the row is done");
    is_int(channel->tick_acked, MS(1200), "and the tick acknowledged");
    is_int(released, 2, "both messages are given back");

    put_tick(MS(1200));
    turn();
    is_int(nsent, 2, "a tick that repeats is not sent");
    is_int(channel->track.next.lo, 3, "but done");

    tear_down();
}


static void
test_tick_order(void)
{
    set_up();
    lane->reserve = 0;                   /* nothing may be sent yet */

    put_insert(1, MS(1100), 1);
    put_insert(1, MS(1300), 2);          /* newer than the tick to come */
    put_insert(1, MS(1000), 3);
    put_delete(1, MS(1100), 1);
    channel->upto.lo = 0;
    channel->upto.hi = 0;
    put_tick(MS(1200));
    turn();
    is_int(nsent, 0, "without a reserve nothing leaves");
    ok(checkpoints > 0, "a checkpoint is asked for");

    channel->upto.lo = 1000;
    lane->reserve = UINT64_MAX / 2;
    lane->wanting = 1;
    cdc_lane_wake(lane);
    turn();
    answer_all();

    is_int(sent[0].key, 3, "by timestamp: the oldest first");
    is_int(sent[1].type, CDC_MSG_DELETE, "a delete before the insert");
    is_int(sent[2].type, CDC_MSG_INSERT, "of the same time");
    is_int(sent[2].key, 1, "which follows");
    is_int(sent[nsent - 1].type == CDC_MSG_TIME_TICK
           || sent[nsent - 1].ts == MS(1300), 1, "newer rows and the tick");
    is_int(channel->open.n, 0, "nothing waits");
    is_int(channel->early.n, 1, "the newer row waits for its tick");
    is_int(channel->track.next.lo, 1, "done up to the newer row");
    ok(cdc_track_end(&channel->track).lo == 5, "all five were read");

    tear_down();
}


/* a tick that goes out with a row need not cover it: the next one is due */

static void
test_tick_due(void)
{
    set_up();

    put_tick(MS(900));
    turn();
    answer_all();
    lane->tick_at += 60000;              /* idle ticks go at one moment of each
                                          * second: it may be this one */
    put_tick(MS(950));                   /* held back */
    turn();
    is_int(nsent, 1, "idle ticks are thinned");

    put_insert(1, MS(1000), 1);
    turn();
    is_int(nsent, 3, "the row takes the waiting tick along");
    is_int(sent[1].ts, MS(950), "which does not cover it");
    is_int(sent[2].ts, MS(1000), "and stands before it");
    answer_all();

    put_tick(MS(1100));
    turn();
    is_int(nsent, 4, "the tick that does leaves at once");
    answer_all();

    tear_down();
}


/* a producer that had no answer has sent a message again */

static void
test_twice(void)
{
    size_t    i;
    unsigned  five, six;

    set_up();
    lane->reserve = 0;                   /* nothing may be sent yet */
    channel->upto.lo = channel->upto.hi = 0;

    put_insert(1, MS(1000), 5);
    put_insert(1, MS(1000), 6);
    put_insert(1, MS(1000), 5);
    put_delete(1, MS(1100), 7);
    put_delete(1, MS(1100), 7);
    put_insert(1, MS(1000), 5);
    put_tick(MS(1200));
    turn();

    channel->upto.lo = 1000;
    lane->reserve = UINT64_MAX / 2;
    lane->wanting = 1;
    cdc_lane_wake(lane);
    turn();
    answer_all();

    five = six = 0;

    for (i = 0; i < nsent; i++) {
        five += sent[i].type == CDC_MSG_INSERT && sent[i].key == 5;
        six += sent[i].type == CDC_MSG_INSERT && sent[i].key == 6;
    }

    is_int(five, 1, "a message that is in the log three times is sent once");
    is_int(six, 1, "another one of that time, too");
    is_int(nsent, 4, "so is a delete; and the tick");
    is_int(channel->track.next.lo, 7, "all of them are done");
    is_int(repl.buffered, 0, "their bytes are free");

    tear_down();
}


/* an upsert comes as insert, then delete, both at one time (Milvus 2.3);
 * the connection breaks after the insert was acknowledged */

static void
test_settle(void)
{
    size_t    i, first;
    uint64_t  last;

    set_up();

    put_insert(1, MS(1000), 7);
    turn();
    answer(CDC_OK, 0);

    put_delete(1, MS(1000), 7);
    turn();
    is_int(sent[1].type, CDC_MSG_DELETE, "the delete is on its way");
    answer(CDC_ERROR, CDC_TARGET_DOUBT);
    is_int(reset_asked, 1, "in doubt: back to the track");

    cdc_lane_reset(lane);
    cdc_channel_reset(channel);
    ok(lane->raise >= MS(1000), "stamps that were used are taken");
    is_int(channel->track.next.lo, 0, "both are read again");

    repl.resetting = 0;
    first = nsent;
    last = lane->raise;
    cdc_channel_open(channel);
    turn();
    is_int(nsent, first, "nothing is settled before its tick");

    put_insert(1, MS(1001), 9);
    put_tick(MS(1200));
    turn();
    answer_all();

    is_int(sent[first].type, CDC_MSG_DELETE, "settled: the delete first");
    is_int(sent[first].key, 7, "of the key");
    is_int(sent[first + 1].type, CDC_MSG_DELETE, "the insert as a delete");
    is_int(sent[first + 2].type, CDC_MSG_INSERT, "and its rows");
    is_int(sent[first + 1].partition, 2011, "limited to its partition");
    is_int(sent[first + 1].ts, sent[first + 2].ts, "both at one stamp");
    ok(sent[first].ts > last, "a stamp that was never used");
    ok(sent[first + 2].ts > sent[first].ts, "and growing");
    is_int(sent[first + 3].ts, MS(1001), "a newer row has its own stamp");

    for (i = first + 1; i < nsent; i++) {
        if (sent[i].ts < sent[i - 1].ts) {
            break;
        }
    }

    is_int(i, nsent, "stamps never fall while settling");
    is_int(channel->track.next.lo, log_stream.n, "all is done");

    tear_down();
}


/* two rows of one key, which Milvus takes, become one: that is seen */

static void
test_equal_keys(void)
{
    set_up();

    put_insert(1, MS(1000), 7);
    put_insert(1, MS(1001), 7);
    put_insert(1, MS(1002), 8);
    put_delete(1, MS(1003), 8);
    put_insert(1, MS(1004), 8);
    put_insert(1, MS(1005), 9);
    put_tick(MS(1100));
    turn();
    answer(CDC_ERROR, CDC_TARGET_DOUBT);
    is_int(repl.status.doubts, 1, "a request without an answer is counted");

    begin_again();
    turn();
    answer_all();

    is_int(repl.status.rows_settled, 6, "all are settled");
    is_int(repl.status.rows_equal, 1, "one had the key of another; what was "
           "deleted in between had not");
    ok(strstr(skipped, "several rows of one key") != NULL,
       "it is said");

    cdc_equal_forget(&repl);
    tear_down();
}


/* a row older than what was sent before the crash is raised, not settled */

static void
test_raise(void)
{
    set_up();
    lane->raise = lane->used = MS(2000);

    put_insert(1, MS(1500), 1);
    turn();
    is_int(nsent, 0, "no row goes early while stamps are raised");

    put_delete(1, MS(1600), 1);
    put_tick(MS(1700));
    turn();
    answer_all();

    is_int(sent[0].ts, MS(2000) + 1, "raised above what was used");
    is_int(sent[1].ts, MS(2000) + 2, "in order");
    is_int(sent[2].type, CDC_MSG_TIME_TICK, "then the tick");
    is_int(sent[2].ts, MS(2000) + 3, "raised, too: it never falls");

    put_insert(1, MS(2500), 2);
    put_tick(MS(2600));
    turn();
    answer_all();
    is_int(sent[3].ts, MS(2500), "the source's stamps have passed it");
    is_int(sent[4].ts, MS(2600), "ticks, too");

    tear_down();
}


static void
is_out(uint64_t rows, uint64_t open, const char *name)
{
    json_t  *json;

    json = cdc_coll_save_stat(coll);
    is_int((int64_t) repl.status.rows_out, (int64_t) rows, name);
    is_int((int64_t) coll->count.rows_out, (int64_t) rows,
           "of the collection, too");
    is_int(json_integer_value(json_array_get(json, 8)), (int64_t) open,
           "what may come again stands beside it");
    json_decref(json);
}


/* what was acknowledged and is settled all the same is not counted twice */

static void
test_counted(void)
{
    json_t  *json;

    set_up();
    put_insert(1, MS(1000), 1);
    turn();
    answer(CDC_OK, 0);
    put_insert(1, MS(1001), 2);
    turn();
    answer(CDC_ERROR, CDC_TARGET_DOUBT); /* nobody knows of this one */
    is_out(1, 1, "an acknowledged row is counted");

    json = cdc_coll_save_stat(coll);
    begin_again();
    is_out(1, 1, "a connection breaks");
    turn();
    put_tick(MS(1100));
    turn();
    answer_all();
    is_int((int64_t) repl.status.rows_settled, 2, "both are settled");
    is_out(2, 0, "but the first counts no more");

    put_insert(1, MS(1200), 3);
    put_tick(MS(1300));
    turn();
    answer_all();
    is_out(3, 0, "and what is new does");
    cdc_equal_forget(&repl);
    tear_down();

    /* a crash: the same from the checkpoint */

    set_up();
    (void) cdc_coll_load_stat(coll, json);
    json_decref(json);
    repl.status.rows_out = 1;
    channel->settle_upto.lo = 2;
    put_insert(1, MS(1000), 1);
    put_insert(1, MS(1001), 2);
    put_tick(MS(1100));
    turn();
    is_out(1, 1, "after a crash it is what it was");
    answer_all();
    is_int((int64_t) repl.status.rows_settled, 2, "both are settled");
    is_out(2, 0, "and counted once");
    cdc_equal_forget(&repl);
    tear_down();

    /* what does not come again, its partition being gone */

    set_up();
    json = json_pack("[i,i,i,i,i,s,i,s,i,i]", 5, 5, 0, 0, 0, "", 0, "", 2,
                     0);
    (void) cdc_coll_load_stat(coll, json);
    json_decref(json);
    repl.status.rows_out = 5;
    channel->settle_upto.lo = 2;
    coll->parts[0].gone = 1;
    put_insert(1, MS(1000), 1);
    put_insert(1, MS(1001), 2);
    put_tick(MS(1100));
    turn();
    answer_all();
    coll->parts[0].gone = 0;
    is_out(5, 0, "is not waited for");
    tear_down();
}


/* the name lives again: rows of the new collection wait for the drop that
 * lies behind them in the log */

static void
test_drop_passes(void)
{
    set_up();
    (void) add_coll(2, CDC_COLL_NEW);

    put_insert(1, MS(1000), 1);
    put_insert(2, MS(1300), 2);          /* of the new one */
    put_drop(1, MS(1200));
    turn();
    is_int(nsent, 1, "the new one's row waits");
    is_int(sent[0].key, 1, "the old one's went");

    put_tick(MS(1400));
    turn();
    answer_all();

    ok(repl.ops != NULL && repl.ops->kind == CDC_OP_DROP_COLLECTION,
       "the drop passes the waiting row: its operation is queued");
    is_int(coll->state, CDC_COLL_DROPPING, "and about to run");
    is_int(nsent, 1, "its message waits for that");
    run_op();
    is_int(nsent, 2, "then it follows");
    is_int(sent[1].type, CDC_MSG_DROP_COLLECTION, "it is the drop");
    is_int(sent[1].collection, 1001, "of the old collection");
    answer_all();
    is_int(channel->tick_closed, 0, "the tick waits with the row");
    ok(!cdc_channel_passed(channel, cdc_coll_by_id(&repl, 2), 0, MS(1300)),
       "not so of the new one");

    tear_down();
}


/* Milvus stamps a drop after the client has gone on: the new collection's
 * rows may be older than the drop that they wait for */

static void
test_drop_is_newer(void)
{
    set_up();
    (void) add_coll(2, CDC_COLL_NEW);

    put_insert(2, MS(1200), 2);          /* of the new one */
    put_insert(1, MS(1100), 1);
    put_drop(1, MS(1300));
    put_tick(MS(1400));
    turn();
    is_int(nsent, 1, "the older row of the new one waits");
    is_int(sent[0].key, 1, "one of the old one's own does not");
    is_int(coll->state, CDC_COLL_LIVE, "the drop waits for it");
    answer_all();
    is_int(coll->state, CDC_COLL_DROPPING, "and for nothing else");
    run_op();
    is_int(sent[1].type, CDC_MSG_DROP_COLLECTION, "its message follows");
    answer_all();

    cdc_coll_by_id(&repl, 2)->state = CDC_COLL_LIVE;
    turn();
    answer_all();
    is_int(nsent, 4, "then the row and the tick follow");
    is_int(sent[2].key, 2, "the row");

    tear_down();
}


/* one operation gets through, another one still waits for a quota */

static void
test_two_causes(void)
{
    cdc_op_t  *one, *other;

    set_up();
    one = cdc_op_new(&repl, CDC_OP_APPLY, MS(1000));
    other = cdc_op_new(&repl, CDC_OP_APPLY, MS(1001));
    one->next = other;
    repl.ops = one;
    one->backoff = other->backoff = 100;
    (void) snprintf(other->error.text, CDC_REASON_MAX, "quota");

    (void) snprintf(refused, sizeof(refused), "rate");
    cdc_op_recovered(one);
    is_str(refused, "quota", "degraded by what the other one waits for");
    is_int(one->backoff, 0, "the one waits for nothing");

    (void) snprintf(refused, sizeof(refused), "before");
    other->running = 1;
    cdc_op_recovered(one);
    is_str(refused, "before", "while it is tried again, its end will say");

    other->running = 0;
    other->refused_at = cdc_now_ms();
    cdc_op_recovered(one);
    is_str(refused, "", "a refusal that another operation ends is no cause");

    other->refused_at -= CDC_REFUSED_MS + 1;
    cdc_op_recovered(one);
    is_str(refused, "quota", "one that lasts is");

    other->refused_at = 0;
    other->done = 1;
    (void) snprintf(refused, sizeof(refused), "quota");
    cdc_op_recovered(one);
    is_str(refused, "", "nor is one that is done");

    repl.ops = NULL;
    cdc_op_free(one);
    cdc_op_free(other);
    tear_down();
}


static void
test_unknown(void)
{
    set_up();

    put_insert(99, MS(1000), 1);
    put_insert(1, MS(1001), 2);
    turn();
    is_int(nsent, 0, "an unknown id holds the channel up");
    is_int(meta_synced, 1, "the catalogue is asked, once");

    tear_down();
}


static void
test_budget(void)
{
    unsigned  i;

    set_up();
    repl.buffered = CDC_BUDGET;

    for (i = 0; i < 10; i++) {
        put_insert(1, MS(1000 + i), i);
    }

    turn();
    is_int(channel->bodies, 1, "over the budget a channel keeps one message");

    answer(CDC_OK, 0);
    is_int(channel->bodies, 1, "and reads the next when that is gone");
    repl.buffered = 0;
    answer_all();
    is_int(log_stream.at, 10, "under the budget it reads on");
    repl.buffered = 0;

    tear_down();
}


static void
test_budget_of_many(void)
{
    cdc_channel_t  *first, *second;

    set_up();
    put_tick(MS(1000));
    turn();
    answer_all();
    put_insert(1, MS(1100), 1);
    first = channel;

    (void) add_second(2);
    put_insert(2, MS(900), 2);
    second = channel;

    repl.buffered = CDC_BUDGET + CDC_BUDGET_MORE;
    turn();
    is_int(second->bodies, 1, "far over it the channel that is behind reads");
    is_int(first->bodies, 0, "and no other");

    use(0, 1);
    put_tick(MS(1000));
    answer_all();
    turn();
    turn();                              /* cdc_repl_pump() */
    is_int(second->tick_read, MS(1000), "to its tick");
    is_int(first->bodies, 1, "then it is the other's turn");

    use(0, 1);
    put_insert(2, MS(1150), 3);
    repl.buffered = CDC_BUDGET;
    turn();
    is_int(second->bodies, 1, "a little over it each reads one message");

    repl.buffered = 0;
    answer_all();
    repl.buffered = 0;

    tear_down();
}


int
main(void)
{
    test_live();
    test_tick_order();
    test_tick_due();
    test_twice();
    test_settle();
    test_equal_keys();
    test_counted();
    test_raise();
    test_drop_passes();
    test_drop_is_newer();
    test_two_causes();
    test_unknown();
    test_budget();
    test_budget_of_many();

    return done_testing();
}
