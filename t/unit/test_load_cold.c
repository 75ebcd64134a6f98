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
    cdc_timer_del(repl.loop, &repl.cold_timer);
    free(repl.cold);
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
    ok(!cdc_load_waits(first), "it may be tried again");
    ok(cdc_load_waits(second), "another one waits");

    (void) waited(second, 500);
    is_int((int) questions(), 0, "nothing is asked before the target has "
           "taken it");

    cdc_load_started(first);
    ok(waited(second, 4000) >= 4000, "it waits for as long as the target "
       "does not serve the first");
    ok(questions() > 5, "which is asked");

    __atomic_store_n(&says, CDC_OK, __ATOMIC_RELEASE);
    ok(waited(second, 1000) >= 1000, "nor is one tick enough, which may be "
       "where its reader began");
    ok(asked_ts == MS(5000), "the one that the target has");

    n = questions();
    (void) waited(second, 1000);
    is_int((int) questions(), (int) n, "and the same is not asked again");

    lane->closed = MS(5200);
    ok(waited(second, 2000) < 1500, "with the next one the wait ends");
    ok(asked_ts == MS(5200), "when that has been read");

    cdc_load_starts(second);
    ok(!cdc_load_waits(third), "the channel has its reader: none waits");
    n = questions();
    cdc_load_started(second);
    (void) waited(first, 500);
    turn();
    is_int((int) questions(), (int) n, "nor is the target asked");

    cdc_load_starts(release);
    ok(cdc_load_waits(third), "the one that was read is released: cold");
    ok(!cdc_load_waits(first), "its own load goes on");
    n = waited(third, 4000);
    ok(n > 1000 && n < 3000, "for a moment");

    cdc_load_starts(third);
    ok(cdc_load_waits(second), "then the next one is the first");

    cdc_op_free(first);
    cdc_op_free(second);
    cdc_op_free(third);
    cdc_op_free(release);
    end();
}


static void
test_dropped(void)
{
    cdc_op_t  *first, *second, *drop;

    begin(CDC_OK, CDC_TARGET_REFUSED);

    first = op_of(coll, CDC_MSG_LOAD_COLLECTION);
    second = op_of(add_coll(2, CDC_COLL_LIVE), CDC_MSG_LOAD_COLLECTION);
    drop = cdc_op_new(&repl, CDC_OP_DROP_COLLECTION, MS(2000));
    cdc_op_concern(drop, coll);

    cdc_load_starts(first);
    cdc_load_started(first);
    (void) waited(second, 500);
    lane->closed = MS(5200);
    ok(waited(second, 2000) < 1500, "it is read");

    cdc_load_starts(drop);
    ok(cdc_load_waits(second), "a drop may end the reading");
    (void) waited(second, 3000);
    coll->state = CDC_COLL_GONE;

    cdc_load_starts(second);
    cdc_load_started(second);
    cdc_load_starts(first);
    ok(lane->cold == 2, "what is gone does not count");

    cdc_op_free(first);
    cdc_op_free(second);
    cdc_op_free(drop);
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

    cdc_load_starts(first);
    cdc_load_started(first);
    n = waited(second, 6000);
    ok(n > 1000 && n < 3500, "who may not ask waits for a moment");
    is_int((int) questions(), 1, "and has asked once");

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

    cdc_load_starts(first);
    n = waited(second, 9000);
    ok(n > 2000 && n < 4500, "a load that fails");

    cdc_load_starts(first);
    cdc_load_started(first);
    n = waited(second, 20000);
    ok(n > 9000 && n < 14000, "a load that is not served in 10 s");

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
    test_dropped();
    test_blind();
    test_never();
    test_moot();

    return done_testing();
}
