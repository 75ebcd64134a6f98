/*
 * What the target has of its own under a name that the source uses, and a
 * drop of a database that waits for one of those.
 */

#include "order_bench.h"

#include <unistd.h>


static char                    *vchannels[] = { (char *) "tgt_5v0" };
static char                    *pchannels[] = { (char *) "tgt_5" };
static cdc_target_partition_t   partitions[] = { { 777, (char *) "_default" } };
static cdc_target_ops_t         target;
static int                      there, created, dropped;


static int
target_now(cdc_target_t *t, uint64_t *tso, cdc_target_error_t *err)
{
    (void) t;
    (void) err;

    *tso = MS(99999);

    return CDC_OK;
}


static int
target_describe(cdc_target_t *t, const char *db, const char *name, int64_t id,
    cdc_target_collection_t **found, cdc_target_error_t *err)
{
    static cdc_target_collection_t  c;

    (void) t;
    (void) id;
    (void) err;

    c.id = 4711;
    c.db = (char *) db;
    c.name = (char *) name;
    c.nshards = 1;
    c.vchannels = vchannels;
    c.pchannels = pchannels;
    c.npartitions = 1;
    c.partitions = partitions;

    *found = there ? &c : NULL;

    return there ? CDC_OK : CDC_DECLINED;
}


static int
target_create(cdc_target_t *t, const cdc_target_create_t *c,
    cdc_target_error_t *err)
{
    (void) t;
    (void) c;
    (void) err;

    created++;
    there = 1;

    return CDC_OK;
}


static int
target_drop(cdc_target_t *t, const char *db, const char *name, uint64_t ts,
    cdc_target_error_t *err)
{
    (void) t;
    (void) db;
    (void) name;
    (void) ts;
    (void) err;

    dropped++;
    there = 0;

    return CDC_OK;
}


static const cdc_meta_collection_t  alive;


static cdc_op_t *
begin(int found)
{
    cdc_op_t  *op;

    set_up();
    there = found;
    created = dropped = 0;

    target = fake_target;
    target.now = target_now;
    target.describe = target_describe;
    target.create_collection = target_create;
    target.drop_collection = target_drop;

    repl.target_ops = &target;
    repl.ops_worker = cdc_worker_create(repl.loop, "ops");

    coll->state = CDC_COLL_NEW;
    coll->target_id = 0;
    coll->parts[0].target_id = 0;

    op = cdc_op_new(&repl, CDC_OP_CREATE_COLLECTION, MS(900));
    cdc_op_concern(op, coll);
    op->db = strdup("default");
    op->create.schema = cdc_span("schema");
    op->create.shards = 1;
    cdc_op_queue(op);

    return op;
}


static void
end(void)
{
    cdc_worker_destroy(repl.ops_worker);
    repl.ops_worker = NULL;
    tear_down();
}


/* until the ops thread has answered */

static void
wait_for(int (*is)(const cdc_op_t *op), const cdc_op_t *op)
{
    int  i;

    for (i = 0; i < 500 && !is(op); i++) {
        turn();
        (void) usleep(10 * 1000);
    }
}


static int
is_refused(const cdc_op_t *op)
{
    return op->refused_at != 0;
}


static int
is_creating(const cdc_op_t *op)
{
    return op->colls[0]->state == CDC_COLL_CREATING;
}


static int
is_over(const cdc_op_t *op)
{
    (void) op;

    return repl.ops == NULL;
}


static void
test_taken(void)
{
    cdc_op_t  *op;

    op = begin(1);
    catalogue = &alive;
    wait_for(is_refused, op);

    ok(op->error.class == CDC_TARGET_EXISTS
       && strstr(op->error.text, "of its own") != NULL,
       "a collection of the target's own is in the way, and named");
    ok(coll->state == CDC_COLL_NEW && coll->target_id == 0,
       "it is not bound, and no intent says that it is ours");

    there = 0;                           /* somebody renames it */
    wait_for(is_creating, op);

    ok(is_creating(op) && created == 0, "without it the intent comes first");

    cdc_op_run(&op->job);                /* when that is durable */
    op->job.done(&op->job);

    catalogue = NULL;

    ok(created == 1 && coll->state == CDC_COLL_LIVE
       && coll->target_id == 4711, "and then the collection is made");

    end();
}


/* the source drops it (it is not in the catalogue): nothing to be done there */

static void
test_outlived(void)
{
    cdc_op_t  *op;

    op = begin(1);
    wait_for(is_over, op);

    ok(coll->state == CDC_COLL_GONE && repl.ops == NULL && dropped == 0
       && created == 0, "dropped on the source, the target keeps its own");

    end();
}


/* in doubt after the intent: what is found then is ours */

static void
test_again(void)
{
    cdc_op_t  *op;

    op = begin(0);
    wait_for(is_creating, op);

    there = 1;                           /* a create that nobody answered */
    cdc_op_run(&op->job);
    op->job.done(&op->job);

    ok(created == 0 && coll->state == CDC_COLL_LIVE
       && coll->target_id == 4711, "behind the intent what is there is ours");

    end();
}


static unsigned
drops(void)
{
    unsigned   n;
    cdc_op_t  *op;

    for (n = 0, op = repl.ops; op; op = op->next) {
        n += op->kind == CDC_OP_DROP_DATABASE;
    }

    return n;
}


static void
forget_ops(void)
{
    cdc_op_t  *op;

    while (repl.ops) {
        op = repl.ops;
        repl.ops = op->next;
        cdc_op_free(op);
    }
}


static void
forget_databases(void)
{
    cdc_dbase_t  *d;

    while (repl.databases) {
        d = repl.databases;
        repl.databases = d->next;
        free(d->name);
        free(d->properties.data);
        free(d);
    }
}


/* the last checkpoint of a stop has it, whether or not the drop came through */

static unsigned
drops_after_restart(void)
{
    json_t  *saved;

    saved = cdc_database_save(repl.databases);
    forget_ops();
    forget_databases();

    (void) cdc_database_load(&repl, "77", saved);
    json_decref(saved);
    (void) cdc_database_start(&repl);

    return drops();
}


static void
test_database(void)
{
    cdc_op_t       *op;
    cdc_meta_db_t   db;

    set_up();
    memset(&db, 0, sizeof(cdc_meta_db_t));
    db.id = 77;
    db.name = (char *) "d1";

    cdc_database_changed(&repl, &db);
    cdc_database_done(repl.ops);
    forget_ops();

    db.gone = 1;
    db.changed_ts = MS(1000);
    cdc_database_changed(&repl, &db);
    cdc_database_changed(&repl, &db);
    is_int(drops(), 1, "a drop of a database waits, once");

    is_int(drops_after_restart(), 1, "after a restart it still does");

    for (op = repl.ops; op->kind != CDC_OP_DROP_DATABASE; op = op->next) {
        /* void */
    }

    cdc_database_done(op);
    is_int(drops_after_restart(), 0, "until the target has done it");

    forget_databases();
    tear_down();
}


int
main(void)
{
    test_taken();
    test_outlived();
    test_again();
    test_database();

    return done_testing();
}
