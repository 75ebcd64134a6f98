/*
 * What is gone is forgotten: when, and when not yet.
 */

#include "order_bench.h"

#include <malloc.h>
#include <unistd.h>


#define ROUND   20


static int
known(int64_t id)
{
    return cdc_coll_by_id(&repl, id) != NULL;
}


static unsigned
count_colls(void)
{
    unsigned     n;
    cdc_coll_t  *c;

    for (c = repl.colls, n = 0; c; c = c->next) {
        n++;
    }

    return n;
}


static unsigned
count_keys(void)
{
    unsigned          n;
    cdc_db_batch_t   *b;

    b = cdc_db_batch_create();
    cdc_forget_put(&repl, b);
    cdc_db_batch_destroy(b);

    cdc_forget_written(&repl, CDC_ERROR);    /* and they are back */

    for (n = 0; repl.forgotten; n++) {
        b = cdc_db_batch_create();
        cdc_forget_put(&repl, b);
        cdc_db_batch_destroy(b);
        cdc_forget_written(&repl, CDC_OK);
    }

    return n;
}


/* the bench's log and record do not grow */

static void
wind(void)
{
    log_stream.base += log_stream.n;
    log_stream.n = log_stream.at = 0;
    nsent = 0;
    channel->upto.lo = log_stream.base + 1000000;
}


/* the ops thread has run all that may run now */

static void
run_ops(void)
{
    cdc_op_t  *op, *next;

    while (repl.ops) {
        for (op = repl.ops; op; op = next) {
            next = op->next;

            if (op->running) {
                op->rc = CDC_OK;
                op->job.done(&op->job);
            }
        }

        turn();
    }
}


static void
make_and_drop(int64_t first, uint64_t ms, unsigned n)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        (void) add_coll(first + i, CDC_COLL_LIVE);
        put_insert(first + i, MS(ms), (uint8_t) i);
    }

    put_tick(MS(ms + 1));
    turn();
    answer_all();

    for (i = 0; i < n; i++) {
        put_drop(first + i, MS(ms + 2));
    }

    put_tick(MS(ms + 3));
    turn();
    answer_all();
    run_ops();
    answer_all();

    put_tick(MS(ms + 4));
    turn();
    answer_all();
}


static void
test_thousands(void)
{
    size_t            before, after, most;
    unsigned          i, left;
    struct mallinfo2  info;

    set_up();
    before = most = 0;

    for (i = 0; i < 2000 / ROUND; i++) {
        make_and_drop(100 + i * ROUND, 1000 + i * 10, ROUND);
        cdc_forget(&repl);
        (void) count_keys();
        wind();

        left = count_colls();
        most = left > most ? left : most;
        info = mallinfo2();

        if (i == 5) {
            before = info.uordblks;
        }
    }

    after = info.uordblks;

    is_int((int64_t) most, 1, "2,000 are made and dropped: the one is left");
    ok(after <= before + 65536, "memory is what it was (%zu, %zu)", before,
       after);
    ok(known(1), "it is the one that lives");

    put_insert(1, MS(90000), 1);
    turn();
    is_int(nsent, 1, "and its rows go on");
    answer_all();

    tear_down();
}


static void
test_keys(void)
{
    set_up();
    make_and_drop(7, 1000, 1);
    cdc_forget(&repl);
    ok(!known(7), "a dropped one is forgotten");
    is_int((int64_t) count_colls(), 1, "in both places");
    ok(channel->shards == side->coll->shards && channel->shards->next == NULL,
       "its source channel does not know it");
    ok(lane->feeders == side->coll->shards
       && lane->feeders->next_feeder == NULL, "nor does the target's");
    ok(repl.forgotten != NULL, "the next batch will take it away");
    (void) count_keys();

    put_insert(7, MS(2000), 1);          /* as if the log were read again */
    put_drop(7, MS(2001));
    put_tick(MS(2002));
    turn();
    is_int(nsent > 0 && sent[nsent - 1].collection == 1007
           && sent[nsent - 1].type == CDC_MSG_INSERT, 0,
           "its rows are not sent");
    is_int(meta_synced, 1, "etcd is asked");
    channel->syncing = 0;
    channel->closed.head->asked = 1;
    turn();

    tear_down();
}


/* one reason after the other not to forget it yet */

static void
test_not_yet(void)
{
    cdc_coll_t             *c;
    cdc_meta_collection_t   m;

    set_up();
    memset(&m, 0, sizeof(m));
    m.id = 7;
    meta_known = &m;

    c = add_coll(7, CDC_COLL_LIVE);
    put_insert(7, MS(1000), 1);
    put_tick(MS(1001));
    put_drop(7, MS(1002));
    put_insert(1, MS(1002), 2);
    put_tick(MS(1003));
    turn();
    answer_all();
    run_op();
    c->shards[0].owed = 1;               /* by the intent, were it written */
    is_int(c->state, CDC_COLL_GONE, "it is dropped on the target");

    m.gone = 1;
    cdc_forget(&repl);
    ok(known(7), "its message is on its way");

    answer(CDC_OK, 0);
    c->shards[0].farewell = MS(2000);    /* as if it had been raised */
    answer_all();
    lane->closed = lane->tick_sent = channel->tick_acked = MS(2000);
    cdc_forget(&repl);
    ok(known(7), "no tick is behind that");

    lane->closed = MS(2001);
    channel->tick_acked = MS(1999);
    cdc_forget(&repl);
    ok(known(7), "there may be more of it below the last tick");

    channel->tick_acked = MS(2000);
    m.gone = 0;
    cdc_forget(&repl);
    ok(known(7), "etcd has it still");

    m.dropping = 1;
    c->shards[0].owed = 1;
    cdc_forget(&repl);
    ok(known(7), "a message is owed to another channel");

    c->shards[0].owed = 0;
    cdc_forget(&repl);
    ok(!known(7), "then it is forgotten");

    meta_known = NULL;
    (void) count_keys();
    tear_down();
}


/* an operation, and a message that waits, refer to it */

static void
test_referred(void)
{
    cdc_op_t    *op;
    cdc_coll_t  *c;

    set_up();
    c = add_coll(7, CDC_COLL_NEW);
    c->target_id = 0;
    put_insert(7, MS(1000), 1);
    turn();
    is_int((int64_t) channel->open.n, 1, "a row waits for its collection");
    ok(channel->open.head->coll == c, "which it refers to");

    cdc_coll_gone(c);
    cdc_forget(&repl);
    ok(known(7), "it is not forgotten");

    turn();
    is_int((int64_t) channel->open.n, 0, "the row is skipped");

    op = cdc_op_new(&repl, CDC_OP_APPLY, MS(1001));
    (void) cdc_op_concern(op, c);
    op->next = repl.ops;
    repl.ops = op;
    cdc_forget(&repl);
    ok(known(7), "an operation refers to it");

    repl.ops = op->next;
    cdc_op_free(op);
    c->target_id = 1007;
    cdc_forget(&repl);
    ok(known(7), "its drop's message may come, if the target had it");

    c->target_id = 0;
    cdc_forget(&repl);
    ok(!known(7), "nothing does");

    (void) count_keys();
    tear_down();
}


/* ---- partitions ---- */

static void
put_drop_partition(int64_t id, int64_t part, uint64_t ts)
{
    cdc_chain_t  *c;

    c = base(CDC_MSG_DROP_PARTITION, ts);
    (void) cdc_chain_varint_field(c, 6, (uint64_t) id);
    (void) cdc_chain_varint_field(c, 7, (uint64_t) part);
    put(c);
}


/* what etcd has of the collection: so many partitions */

static void
know(cdc_meta_collection_t *m, cdc_meta_partition_t *parts, unsigned n)
{
    memset(m, 0, sizeof(*m));
    memset(parts, 0, n * sizeof(*parts));

    m->id = 1;
    m->partitions = parts;
    m->npartitions = n;
    meta_known = m;
}


/* of one collection, over and over */

static void
test_partitions(void)
{
    unsigned                i;
    uint64_t                ms;
    cdc_part_t             *p;
    cdc_meta_partition_t    parts[1];
    cdc_meta_collection_t   m;

    set_up();
    know(&m, parts, 1);

    for (i = 0; i < 200; i++) {
        ms = 1000 + i * 10;
        p = cdc_coll_part_add(coll, 500 + i, "p", MS(ms));
        p->target_id = 9000 + i;
        parts[0].id = 500 + i;
        parts[0].gone = parts[0].dropping = 0;

        put_drop_partition(1, 500 + i, MS(ms + 1));
        put_tick(MS(ms + 2));
        turn();
        answer_all();
        run_ops();

        if (i == 100) {
            parts[0].gone = 1;
            cdc_forget(&repl);
            is_int(coll->nparts, 2, "its drop's message is on its way");
        }

        answer_all();

        if (i == 100) {
            parts[0].gone = 0;
            cdc_forget(&repl);
            is_int(coll->nparts, 2, "etcd has it still");
        }

        parts[0].gone = i % 2;
        parts[0].dropping = 1;

        if (i == 100) {
            coll->parts[1].gone_ts = MS(ms + 9);
            cdc_forget(&repl);
            is_int(coll->nparts, 2, "another channel may not have come to it");
            coll->parts[1].gone_ts = MS(ms + 1);
        }

        cdc_forget(&repl);
        wind();
    }

    is_int(coll->nparts, 1, "of 200 partitions none is left");
    is_str(coll->parts[0].name, "_default", "but the one that lives");
    ok(coll->dirty, "which is written");

    meta_known = NULL;
    tear_down();
}


static int
farewells(void)
{
    int       n;
    unsigned  i;

    for (i = 0, n = 0; i < nsent; i++) {
        n += sent[i].type == CDC_MSG_DROP_PARTITION;
    }

    return n;
}


/* with "ignore_partition" nothing is dropped on the target */

static void
test_ignored(void)
{
    unsigned                i;
    uint64_t                ms;
    cdc_part_t             *p;
    cdc_meta_partition_t    parts[1];
    cdc_meta_collection_t   m;

    set_up();
    ignores = 1;
    know(&m, parts, 1);

    for (i = 0; i < 20; i++) {
        ms = 1000 + i * 10;
        p = cdc_coll_part_add(coll, 500 + i, "p", MS(ms));
        p->target_id = coll->parts[0].target_id;
        parts[0].id = 500 + i;
        parts[0].gone = 1;

        put_drop_partition(1, 500 + i, MS(ms + 1));
        turn();
        cdc_forget(&repl);
        is_int(coll->nparts, 2, "its drop is not covered by a tick");

        put_tick(MS(ms + 2));
        turn();
        cdc_forget(&repl);
        answer_all();
        ok(repl.ops == NULL, "its drop is passed over");
        wind();
    }

    is_int(coll->nparts, 1, "of 20 partitions that are ignored none is left");

    meta_known = NULL;
    ignores = 0;
    tear_down();
}


/* the tick that covers the drop is done before its message has followed: then
 * a connection breaks, or a crash comes */

static void
test_read_again(void)
{
    cdc_part_t             *p;
    cdc_meta_collection_t   m;

    set_up();
    memset(&m, 0, sizeof(m));
    m.id = 1;
    meta_known = &m;

    p = cdc_coll_part_add(coll, 500, "p", MS(1));
    p->target_id = 9000;

    put_drop_partition(1, 500, MS(1001));
    put_tick(MS(1002));
    turn();
    answer_all();
    run_op();
    is_int(channel->tick_acked == MS(1002), 1, "the tick is done");
    is_int(farewells(), 1, "the drop's message is on its way");

    answer(CDC_ERROR, CDC_TARGET_DOUBT);
    cdc_lane_reset(lane);
    cdc_channel_reset(channel);
    repl.resetting = 0;

    cdc_forget(&repl);
    is_int(coll->nparts, 2, "it will be read again: nothing is forgotten");

    cdc_channel_open(channel);
    turn();
    cdc_forget(&repl);
    is_int(coll->nparts, 2, "nor while it waits for its tick");

    put_tick(MS(1100));
    turn();
    answer_all();
    is_int(farewells(), 2, "it is sent again");

    put_tick(MS(1200));
    turn();
    answer_all();
    cdc_forget(&repl);
    is_int(coll->nparts, 1, "and the partition is forgotten");

    meta_known = NULL;
    (void) count_keys();
    tear_down();
}


/* a collection of both source channels */

static cdc_coll_t *
add_two(int64_t id)
{
    json_t      *json;
    cdc_coll_t  *c;

    json = json_pack("{s:I,s:I,s:s,s:s,s:i,s:I,s:I,s:I,s:b,s:b,"
                     "s:[{s:s,s:s,s:s,s:s,s:[i,i],s:[i,i]},"
                     "{s:s,s:s,s:s,s:s,s:[i,i],s:[i,i]}],"
                     "s:[{s:I,s:I,s:s,s:I,s:b}]}",
                     "id", (json_int_t) id, "target_id",
                     (json_int_t) (id + 1000), "db", "default", "name", "c",
                     "state", (int) CDC_COLL_LIVE, "created", (json_int_t) 1,
                     "pk", (json_int_t) 100, "num_partitions", (json_int_t) 0,
                     "initial", 0, "adopted", 0, "shards",
                     "source", "src_1v0", "channel", "src_1",
                     "target", "tgt_5v0", "lane", "tgt_5",
                     "start", 0, 0, "listed", 0, 0,
                     "source", "src_2v1", "channel", "src_2",
                     "target", "tgt_5v1", "lane", "tgt_5",
                     "start", 0, 0, "listed", 0, 0,
                     "partitions", "id", (json_int_t) 11,
                     "target_id", (json_int_t) 2011, "name", "_default",
                     "created", (json_int_t) 1, "gone", 0);
    (void) cdc_coll_load(&repl, json);
    json_decref(json);

    c = cdc_coll_by_id(&repl, id);
    (void) cdc_coll_start(c);

    side->channels[1] = c->shards[1].ch;
    side->channels[1]->upto = (cdc_pos_t) { 0, 1000000 };

    return c;
}


static void
both(uint64_t ts, int64_t part, unsigned first, unsigned second)
{
    unsigned  nth;

    for (nth = 0; nth < 2; nth++) {
        use(0, nth);

        if (nth ? second : first) {
            put_drop_partition(7, part, ts);
        }

        put_tick(ts + 1);
    }

    use(0, 0);
    turn();
    answer_all();
    run_ops();
    answer_all();

    for (nth = 0; nth < 2; nth++) {
        use(0, nth);
        put_tick(ts + MS(1));
    }

    use(0, 0);
    turn();
    answer_all();
    cdc_forget(&repl);
}


/* the source ends between the first channel and the second, and tells both
 * again when it is back */

static void
test_told_later(void)
{
    int                     told;
    char                   *cause;
    json_t                 *saved;
    cdc_coll_t             *c;
    cdc_meta_partition_t    parts[1];
    cdc_meta_collection_t   m;

    set_up();
    know(&m, parts, 1);
    m.id = 7;
    parts[0].id = 500;
    parts[0].dropping = 1;
    c = add_two(7);
    cdc_coll_part_add(c, 500, "p", MS(1))->target_id = 9000;

    both(MS(1001), 500, 1, 0);
    is_int(farewells(), 1, "one channel of two tells of a drop");
    ok(c->nparts == 2 && c->parts[1].gone, "the partition is dropped, and "
       "kept for the other's message");

    saved = cdc_coll_save(c);
    is_int(json_integer_value(json_object_get(json_array_get(
           json_object_get(saved, "partitions"), 1), "told")), 1,
           "which a crash must know");
    json_decref(saved);

    both(MS(5001), 500, 1, 1);
    is_int(farewells(), 3, "both tell of it later: both lanes are told");
    is_int(c->nparts, 1, "and the partition is forgotten");

    cdc_coll_part_add(c, 501, "q", MS(1))->target_id = 9001;
    parts[0].id = 501;
    both(MS(6001), 501, 0, 1);
    is_int(c->nparts, 2, "another one");
    parts[0].gone = 1;
    cdc_forget(&repl);
    is_int(c->nparts, 1, "goes with its key in etcd");

    cdc_coll_part_add(c, 502, "r", MS(1))->target_id = 9002;
    parts[0].id = 502;
    parts[0].gone = 0;
    both(MS(7001), 502, 0, 1);
    use(0, 0);
    put_drop_partition(7, 502, MS(9001));
    parts[0].gone = 1;
    cdc_forget(&repl);
    is_int(c->nparts, 2, "not while the log has more");
    told = farewells();
    both(MS(9001), 502, 0, 1);
    is_int(farewells(), told + 2, "of which the first channel tells");
    is_int(c->nparts, 1, "then it is forgotten");

    cdc_coll_part_add(c, 503, "s", MS(1))->target_id = 9003;
    parts[0].id = 503;
    cause = repl.cause[CDC_CAUSE_LOG];
    (void) snprintf(cause, CDC_REASON_MAX, "out of reach");
    both(MS(10001), 503, 0, 1);
    is_int(c->nparts, 2, "nor while the log is out of reach");
    cause[0] = '\0';
    cdc_forget(&repl);
    is_int(c->nparts, 1, "but when it is back");

    meta_known = NULL;
    (void) count_keys();
    tear_down();
}


/* ---- aliases, databases ---- */

static void
load_alias(const char *name, int64_t id, int doubt)
{
    json_t  *json;

    json = json_pack("{s:s,s:s,s:I,s:b}", "db", "default", "name", name,
                     "collection", (json_int_t) id, "doubt", doubt);
    (void) cdc_alias_load(&repl, json);
    json_decref(json);
}


static void
load_database(const char *id, int gone)
{
    json_t  *json;

    json = json_pack("{s:s,s:b,s:b,s:s}", "name", id, "created", 1,
                     "gone", gone, "properties", "");
    (void) cdc_database_load(&repl, id, json);
    json_decref(json);
}


static void
test_others(void)
{
    cdc_op_t  *op;

    set_up();

    load_alias("lives", 1, 0);
    load_alias("doubt", 0, 1);
    load_alias("asked", 0, 0);
    load_alias("gone", 0, 0);
    load_database("3", 1);
    load_database("4", 0);
    load_database("5", 1);
    load_database("6", 0);
    repl.databases->dropping = 1;        /* the name lived again */

    op = cdc_op_new(&repl, CDC_OP_ALIAS, MS(1));
    op->db = strdup("default");
    op->alias = strdup("asked");
    op->db_id = 5;
    repl.ops = op;

    cdc_forget(&repl);
    is_str(repl.aliases->name, "asked", "an alias that is asked for stays");
    is_str(repl.aliases->next->name, "doubt", "and one in doubt");
    is_str(repl.aliases->next->next->name, "lives", "and one that lives");
    ok(repl.aliases->next->next->next == NULL, "one that is gone does not");
    is_str(repl.databases->name, "5", "a database that is being dropped stays");
    is_str(repl.databases->next->name, "4", "and one that lives");
    ok(repl.databases->next->next == NULL, "one that is gone does not");

    repl.ops = NULL;
    cdc_op_free(op);
    cdc_forget(&repl);
    is_str(repl.databases->name, "4", "nor one that has been dropped");
    is_str(repl.aliases->name, "doubt", "nor an alias");

    repl.databases->dropping = 1;
    repl.aliases->doubt = 0;
    repl.aliases->next->collection_id = repl.aliases->next->wanted = 0;
    cdc_forget(&repl);
    ok(repl.databases == NULL && repl.aliases == NULL, "and in the end none");

    (void) count_keys();
    tear_down();
}


/* ---- LevelDB ---- */

static int
join_key(void *arg, cdc_span_t key, cdc_span_t value)
{
    char    *all = arg;
    size_t   len;

    (void) value;

    len = strlen(all);
    (void) snprintf(all + len, 256 - len, "%.*s ", (int) key.len, key.data);

    return CDC_OK;
}


static void
write_batch(cdc_db_t *db, const char *put_key, int rc)
{
    cdc_db_batch_t  *b;

    b = cdc_db_batch_create();
    cdc_forget_put(&repl, b);

    if (put_key) {
        cdc_db_batch_put(b, cdc_span_n(put_key, strlen(put_key)),
                         cdc_span("1"));
    }

    if (rc == CDC_OK) {
        (void) cdc_db_write(db, b, NULL);
    }

    cdc_forget_written(&repl, rc);
    cdc_db_batch_destroy(b);
}


static void
test_batch(void)
{
    char       dir[] = "/tmp/cdc-forget-XXXXXX", err[CDC_REASON_MAX];
    char       path[64], all[256];
    cdc_db_t  *db;

    set_up();

    if (mkdtemp(dir) == NULL) {
        abort();
    }

    (void) snprintf(path, sizeof(path), "%s/db", dir);
    db = cdc_db_open(path, err);

    write_batch(db, "alias/default/a", CDC_OK);
    write_batch(db, "coll/7", CDC_OK);
    write_batch(db, "coll/8", CDC_OK);

    cdc_forget_key(&repl, "coll/", "7");
    cdc_forget_key(&repl, "alias/", "default/a");
    write_batch(db, NULL, CDC_ERROR);
    cdc_forget_key(&repl, "coll/", "8");
    write_batch(db, "alias/default/a", CDC_OK);

    all[0] = '\0';
    (void) cdc_db_each(db, cdc_span_n(NULL, 0), join_key, all);
    is_str(all, "alias/default/a ", "what a failed batch held goes with the "
           "next; what is back stays");
    ok(repl.forgotten == NULL && repl.forgetting == NULL, "once");

    cdc_db_close(db);
    (void) cdc_db_remove(path, NULL);
    (void) rmdir(dir);
    tear_down();
}


int
main(void)
{
    test_keys();
    test_not_yet();
    test_referred();
    test_partitions();
    test_ignored();
    test_read_again();
    test_told_later();
    test_others();
    test_batch();
    test_thousands();

    return done_testing();
}
