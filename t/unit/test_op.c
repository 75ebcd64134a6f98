/*
 * Operations against each other: those on one collection never run side by
 * side, and a thousand that wait cost next to nothing.
 */

#include "order_bench.h"

#include <time.h>
#include <unistd.h>


#define NAME  "a_name_of_some_length_to_be_seen_again"


static char              seen[256];
static int               applied;
static cdc_target_ops_t  slow_target;


static int
slow_now(cdc_target_t *t, uint64_t *tso, cdc_target_error_t *err)
{
    (void) t;
    (void) err;

    (void) usleep(200 * 1000);
    *tso = MS(99999);

    return CDC_OK;
}


static int
slow_apply(cdc_target_t *t, const cdc_op_envelope_t *op, uint64_t ts,
    const char *db, const cdc_span_t *names, unsigned nnames,
    cdc_target_error_t *err)
{
    (void) t;
    (void) op;
    (void) ts;
    (void) db;
    (void) err;

    if (nnames) {
        (void) snprintf(seen, sizeof(seen), "%.*s", (int) names[0].len,
                        (const char *) names[0].data);
    }

    __atomic_store_n(&applied, 1, __ATOMIC_RELEASE);

    return CDC_OK;
}


/* an operation comes by the channel while the rename that follows it, which
 * the metadata told first, is running */

static void
test_rename_runs(void)
{
    int        i;
    cdc_op_t  *rename, *apply;

    set_up();

    slow_target = fake_target;
    slow_target.now = slow_now;
    slow_target.apply = slow_apply;

    repl.target_ops = &slow_target;
    repl.ops_worker = cdc_worker_create(repl.loop, "ops");

    free(coll->target_name);
    coll->target_name = strdup(NAME);

    put_tick(MS(5000));
    turn();
    answer_all();

    rename = cdc_op_new(&repl, CDC_OP_RENAME_COLLECTION, MS(1006));
    (void) cdc_op_concern(rename, coll);
    rename->new_db = strdup("default");
    rename->new_name = strdup("b");
    cdc_op_queue(rename);
    turn();
    ok(rename->running, "a rename waits for its intent to be durable");

    apply = cdc_op_new(&repl, CDC_OP_APPLY, MS(1005));
    (void) cdc_op_concern(apply, coll);
    cdc_op_queue(apply);
    turn();
    ok(!apply->running, "an earlier one that comes now waits for it");

    rename->rc = CDC_OK;
    rename->job.done(&rename->job);

    for (i = 0; i < 200 && !__atomic_load_n(&applied, __ATOMIC_ACQUIRE); i++)
    {
        turn();
        (void) usleep(10 * 1000);
    }

    is_str(seen, "b", "and goes to the collection's new name");

    for (i = 0; i < 20 && repl.ops; i++) {
        turn();
        (void) usleep(10 * 1000);
    }

    cdc_worker_destroy(repl.ops_worker);
    repl.ops_worker = NULL;
    tear_down();
}


static double
seconds(void)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);

    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}


/* dropped collections are kept: ticks must not look at each for each */

static void
test_many(unsigned n)
{
    char         name[64];
    double       begin, few, many;
    unsigned     i;
    cdc_coll_t  *c;

    set_up();

    put_tick(MS(1000));
    begin = seconds();
    turn();
    few = seconds() - begin;
    answer_all();

    for (i = 0; i < n; i++) {
        c = add_coll(100 + i, CDC_COLL_GONE);
        (void) snprintf(name, sizeof(name), "collection_%u", i);
        free(c->target_name);
        c->target_name = strdup(name);
    }

    put_tick(MS(2000));
    begin = seconds();
    turn();
    many = seconds() - begin;
    answer_all();

    printf("# a tick: %.6f s, with %u dropped collections: %.6f s\n", few, n,
           many);
    ok(many < 0.05, "dropped collections do not weigh on a tick");

    tear_down();
}


int
main(void)
{
    test_rename_runs();
    test_many(5000);

    return done_testing();
}
