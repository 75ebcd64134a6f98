/*
 * The first load on a target channel: others wait until the target's reader
 * of that channel has read a tick that is younger than the load.
 */

#include "order_bench.h"

#include <unistd.h>


static cdc_target_ops_t      target;
static int                   says;     /* of served() */
static cdc_target_class_e    refusal;
static unsigned              asked;
static uint64_t              asked_ts;
static cdc_meta_collection_t dropping;


static int
served(cdc_target_t *t, const char *db, const char *name, uint64_t ts,
    cdc_target_error_t *err)
{
    (void) t;
    (void) db;
    (void) name;

    asked_ts = ts;
    err->class = refusal;
    (void) __atomic_add_fetch(&asked, 1, __ATOMIC_ACQ_REL);

    return __atomic_load_n(&says, __ATOMIC_ACQUIRE);
}


static unsigned
questions(void)
{
    return __atomic_load_n(&asked, __ATOMIC_ACQUIRE);
}


static cdc_op_t *
op_of(cdc_coll_t *c, int32_t type)
{
    cdc_op_t  *op;

    op = cdc_op_new(&repl, CDC_OP_APPLY, MS(1000));
    op->env.type = type;
    cdc_op_concern(op, c);

    return op;
}


static void
begin(int rc, cdc_target_class_e class)
{
    set_up();

    target = fake_target;
    target.served = served;
    says = rc;
    refusal = class;
    asked = 0;

    repl.target_ops = &target;
    repl.ops_worker = cdc_worker_create(repl.loop, "ops");
    lane->closed = MS(5000);
}


static void
end(void)
{
    cdc_worker_destroy(repl.ops_worker);
    repl.ops_worker = NULL;
    cdc_load_cold_free(&repl);
    tear_down();
}


/* while it waits, but no longer than that; ms */

static unsigned
waited(const cdc_op_t *op, unsigned most)
{
    uint64_t  begun;

    begun = cdc_now_ms();

    while (cdc_load_waits(op) && cdc_now_ms() - begun < most) {
        turn();
        (void) usleep(5 * 1000);
    }

    return (unsigned) (cdc_now_ms() - begun);
}


/* as cdc_op_done() does */

static void
tried(cdc_op_t *op, int rc, cdc_target_class_e class)
{
    op->rc = rc;
    op->error.class = class;
    cdc_load_tried(op);
}


static void
load(cdc_op_t *op)
{
    cdc_load_starts(op);
    tried(op, CDC_OK, 0);
}


static void
test_reads(void)
{
    unsigned   n;
    cdc_op_t  *first, *second, *third, *release;

    begin(CDC_ERROR, CDC_TARGET_REFUSED);

    first = op_of(coll, CDC_MSG_LOAD_COLLECTION);
    second = op_of(add_coll(2, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);
    third = op_of(add_coll(3, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);
    release = op_of(coll, CDC_MSG_RELEASE_COLLECTION);

    ok(!cdc_load_waits(first), "a load on a channel that nobody reads");
    cdc_load_starts(first);
    ok(!cdc_load_waits(first), "may run");
    ok(waited(second, 2000) >= 2000, "another one waits, for as long as the "
       "target is about the first");
    is_int((int) questions(), 0, "nothing is asked before it has taken it");

    tried(first, CDC_OK, 0);
    ok(waited(second, 3000) >= 3000, "and for as long as it does not serve "
       "it");
    ok(questions() > 3, "which is asked");

    __atomic_store_n(&says, CDC_OK, __ATOMIC_RELEASE);
    ok(waited(second, 1000) >= 1000, "nor is one tick enough, which may be "
       "where its reader began");
    ok(asked_ts == MS(5000), "the one that the target has");

    n = questions();
    (void) waited(second, 1000);
    is_int((int) questions(), (int) n, "and the same is not asked again");

    lane->closed = MS(5200);
    ok(waited(second, 5000) < 3000, "with the next one the wait ends");
    ok(asked_ts == MS(5200), "when that has been read");

    n = questions();
    load(second);
    ok(!cdc_load_waits(third), "the channel has its reader: none waits");
    (void) waited(first, 500);
    turn();
    is_int((int) questions(), (int) n, "nor is the target asked");

    cdc_load_starts(release);
    tried(release, CDC_OK, 0);
    ok(!cdc_load_waits(third), "one is released: there is the other one");
    cdc_load_starts(first);
    tried(first, CDC_OK, 0);
    ok(!cdc_load_waits(third), "it is loaded again");

    cdc_op_free(first);
    cdc_op_free(second);
    cdc_op_free(third);
    cdc_op_free(release);
    end();
}


static void
test_ends(void)
{
    unsigned   n;
    cdc_op_t  *first, *second, *third, *drop, *release;

    begin(CDC_OK, 0);

    first = op_of(coll, CDC_MSG_LOAD_COLLECTION);
    second = op_of(add_coll(2, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);
    third = op_of(add_coll(3, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);
    release = op_of(coll, CDC_MSG_DROP_INDEX);
    release->release_first = 1;
    drop = cdc_op_new(&repl, CDC_OP_DROP_COLLECTION, MS(2000));
    cdc_op_concern(drop, coll);

    coll->shards[0].read = 1;
    cdc_load_starts(release);
    ok(cdc_load_waits(second), "the only one that was read is released");
    ok(!cdc_load_waits(first), "its own load goes on");
    ok(waited(second, 2500) >= 2500, "the others wait for as long as the "
       "target is about it");
    tried(release, CDC_OK, 0);
    n = waited(second, 6000);
    ok(n > 1000 && n < 4000, "and for a moment: %u ms", n);

    cdc_load_starts(release);
    ok(!cdc_load_waits(second), "tried again it keeps nobody back");
    tried(release, CDC_ERROR, CDC_TARGET_REFUSED);
    ok(!cdc_load_waits(second), "nor when that has ended");

    coll->shards[0].read = 1;
    cdc_load_starts(drop);
    tried(drop, CDC_OK, 0);
    ok(cdc_load_waits(second), "a drop may end the reading as well");
    n = waited(second, 6000);
    ok(n > 1000 && n < 4000, "for a moment");

    coll->shards[0].read = 1;
    coll->state = CDC_COLL_DROPPING;
    cdc_load_starts(second);
    ok(cdc_load_waits(third), "what is being dropped is not read");
    tried(second, CDC_ERROR, CDC_TARGET_REFUSED);
    (void) waited(third, 1000);
    coll->state = CDC_COLL_LIVE;
    cdc_load_starts(second);
    ok(!cdc_load_waits(third), "what lives is");

    cdc_load_unread(lane);
    cdc_load_starts(second);
    ok(cdc_load_waits(third), "nothing is when the target may have started "
       "again");
    tried(second, CDC_OK, 0);
    cdc_load_unread(lane);
    ok(cdc_load_waits(third), "one that was asked about keeps its time");
    lane->cold_until = cdc_now_ms();
    turn();
    cdc_load_starts(third);
    ok(cdc_load_waits(first), "the next load is the first again");

    cdc_op_free(first);
    cdc_op_free(second);
    cdc_op_free(third);
    cdc_op_free(release);
    cdc_op_free(drop);
    end();
}


/* it begins while another one is read, which is released before it is done */

static void
test_between(void)
{
    cdc_op_t  *first, *second, *release;

    begin(CDC_ERROR, CDC_TARGET_REFUSED);

    first = op_of(coll, CDC_MSG_LOAD_COLLECTION);
    second = op_of(add_coll(2, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);
    release = op_of(add_coll(3, CDC_COLL_LIVE), CDC_MSG_RELEASE_COLLECTION);

    release->colls[0]->shards[0].read = 1;
    cdc_load_starts(first);
    ok(!cdc_load_waits(second), "a load, one is read");
    cdc_load_starts(release);
    tried(release, CDC_OK, 0);
    tried(first, CDC_OK, 0);
    ok(waited(second, 3000) >= 3000 && questions() > 0, "that is released: "
       "the load is asked about");

    cdc_op_free(first);
    cdc_op_free(second);
    cdc_op_free(release);
    end();
}


static void
test_refused(void)
{
    cdc_op_t  *first, *second;

    begin(CDC_OK, 0);

    first = op_of(coll, CDC_MSG_LOAD_COLLECTION);
    second = op_of(add_coll(2, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);

    cdc_load_starts(first);
    ok(cdc_load_waits(second), "a load runs");
    tried(first, CDC_ERROR, CDC_TARGET_REFUSED);
    ok(waited(second, 2000) < 1000, "it is refused: the others' turn");
    ok(!coll->shards[0].read, "and it is not read");

    first->refused_at = cdc_now_ms();
    cdc_load_starts(first);
    ok(cdc_load_waits(second), "it is tried again");
    tried(first, CDC_ERROR, CDC_TARGET_REFUSED);
    ok(waited(second, 2000) < 1000, "refused again");
    cdc_load_starts(first);
    ok(!cdc_load_waits(second), "the next time it keeps nobody back");
    tried(first, CDC_OK, 0);
    ok(cdc_load_waits(second), "until it comes through");
    cdc_load_unread(lane);
    lane->cold_until = 0;

    first->refused_at = 0;
    cdc_load_starts(first);
    tried(first, CDC_ERROR, CDC_TARGET_DOUBT);
    ok(waited(second, 2500) >= 2500, "one that may have come through counts "
       "as one that has");

    cdc_op_free(first);
    cdc_op_free(second);
    end();
}


/* a query is as of a tick that all have: the channel that is ahead may have
 * had that one before the load */

static void
test_ahead(void)
{
    cdc_op_t      *first, *second;
    cdc_coll_t    *c;
    cdc_lane_t    *behind;
    cdc_shard_t    shards[2];

    begin(CDC_OK, 0);

    on_next = 1;
    c = add_coll(2, CDC_COLL_LIVE);
    on_next = 0;
    behind = c->shards[0].lane;
    behind->closed = MS(1000);
    lane->closed = MS(9000);

    /* a collection with a shard on each */

    shards[0] = coll->shards[0];
    shards[1] = c->shards[0];
    shards[1].coll = coll;
    behind->feeders = &shards[1];
    shards[1].next_feeder = NULL;
    lane->feeders = &shards[0];
    coll->nshards = 2;
    c->nshards = 0;

    {
        cdc_shard_t  *own = coll->shards;

        coll->shards = shards;
        first = op_of(coll, CDC_MSG_LOAD_COLLECTION);
        second = op_of(add_coll(3, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);
        load(first);
        (void) waited(second, 1000);
        behind->closed = MS(1200);
        ok(waited(second, 2000) >= 2000, "the channel that is ahead has to "
           "have read more than the one behind knows");
        ok(shards[1].read && !shards[0].read, "that one is read");
        behind->closed = lane->closed = MS(9200);
        ok(waited(second, 5000) < 3000, "till that has caught up");

        coll->shards = own;
        coll->nshards = 1;
        c->nshards = 1;
        behind->feeders = &c->shards[0];
        lane->feeders = &second->colls[0]->shards[0];
        lane->feeders->next_feeder = own;
    }

    cdc_op_free(first);
    cdc_op_free(second);
    end();
}


/* its user may not query: time has to do */

static void
test_blind(void)
{
    unsigned   n;
    cdc_op_t  *first, *second, *third;

    begin(CDC_ERROR, CDC_TARGET_DENIED);

    first = op_of(coll, CDC_MSG_LOAD_COLLECTION);
    second = op_of(add_coll(2, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);
    third = op_of(add_coll(3, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);

    load(first);
    n = waited(second, 8000);
    ok(n > 1000 && n < 5000, "who may not ask waits for a moment: %u ms", n);
    is_int((int) questions(), 1, "and has asked once");

    turn();
    cdc_load_starts(second);
    ok(!cdc_load_waits(third), "then the channel counts as read");

    cdc_op_free(first);
    cdc_op_free(second);
    cdc_op_free(third);
    end();
}


/* one that is never served does not keep the others back for ever */

static void
test_never(void)
{
    unsigned   n;
    cdc_op_t  *first, *second;

    begin(CDC_ERROR, CDC_TARGET_REFUSED);

    first = op_of(coll, CDC_MSG_LOAD_COLLECTION);
    second = op_of(add_coll(2, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);

    load(first);
    n = waited(second, 20000);
    ok(n > 9000 && n < 14000, "a load that is not served in 10 s: %u ms", n);

    cdc_op_free(first);
    cdc_op_free(second);
    end();
}


/* a drop releases: Milvus takes a second for each release */

static void
test_moot(void)
{
    cdc_op_t  *op;

    begin(CDC_OK, CDC_TARGET_REFUSED);

    op = cdc_op_new(&repl, CDC_OP_LOAD, 0);
    cdc_op_concern(op, coll);

    dropping.id = coll->id;
    meta_known = &dropping;
    ok(!cdc_op_moot(op), "the load state is looked at");
    dropping.dropping = 1;
    ok(cdc_op_moot(op), "unless the source drops the collection");
    meta_known = NULL;

    cdc_op_free(op);
    end();
}


int
main(void)
{
    test_reads();
    test_ends();
    test_between();
    test_refused();
    test_ahead();
    test_blind();
    test_never();
    test_moot();

    return done_testing();
}
