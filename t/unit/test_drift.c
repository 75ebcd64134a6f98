/*
 * How often the target is asked whether somebody has changed it: of one
 * collection seldom, soon again when something is wrong, until it is right.
 */

#include "bare_replicator.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>


static int64_t   there;                  /* the id of what has the name */
static unsigned  looks;
static int       rc = CDC_OK;            /* of a look */


static int
describe(cdc_target_t *t, const char *db, const char *name, int64_t id,
    cdc_target_collection_t **c, cdc_target_error_t *err)
{
    (void) t;
    (void) db;
    (void) name;
    (void) id;
    (void) err;

    __atomic_add_fetch(&looks, 1, __ATOMIC_SEQ_CST);

    if (rc != CDC_OK) {
        return rc;
    }

    *c = calloc(1, sizeof(cdc_target_collection_t));
    (*c)->id = there;

    return CDC_OK;
}


static const cdc_target_ops_t  target = {
    .name = "test", .describe = describe
};


static void
stop(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


static unsigned
looked(cdc_repl_t *r, unsigned ms)
{
    unsigned     before;
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(tm));
    tm.handler = stop;
    tm.data = r->loop;
    before = __atomic_load_n(&looks, __ATOMIC_SEQ_CST);

    cdc_timer_add(r->loop, &tm, ms);
    (void) cdc_loop_run(r->loop);

    return __atomic_load_n(&looks, __ATOMIC_SEQ_CST) - before;
}


int
main(void)
{
    unsigned     n;
    cdc_coll_t  *c;

    static cdc_repl_t  r;

    bare_begin(&r);
    r.ops_worker = cdc_worker_create(r.loop, "ops");
    r.target_ops = &target;

    c = cdc_coll_alloc(&r, "default", "c", "default", "c", 0);
    c->id = 1;
    c->target_id = there = 7;
    c->state = CDC_COLL_LIVE;
    cdc_coll_link(c);

    cdc_drift_start(&r);

    is_int(looked(&r, 5000), 1, "one that is well is not asked for each time");
    is_str(r.cause[CDC_CAUSE_DRIFT], "", "and nothing is said");

    rc = CDC_ERROR;
    c->drift_next = 0;
    n = looked(&r, 5000);
    rc = CDC_OK;
    ok(n >= 2, "a target that does not answer is asked again, soon (%u)", n);

    there = 8;
    c->drift_next = 0;
    n = looked(&r, 4000);
    ok(n >= 2, "one that is not is asked for again, soon (%u)", n);
    ok(strstr(r.cause[CDC_CAUSE_DRIFT], "another collection") != NULL,
       "and said to be another: %s", r.cause[CDC_CAUSE_DRIFT]);

    there = 7;
    (void) looked(&r, 2500);
    is_str(r.cause[CDC_CAUSE_DRIFT], "", "put right, it is well soon");

    /* a replicator ends with its process: what it has is its own until then */

    cdc_worker_destroy(r.ops_worker);

    return done_testing();
}
