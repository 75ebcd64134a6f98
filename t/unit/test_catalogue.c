/*
 * What the source's etcd says that is not to be believed: nothing is taken
 * away on the target because of it.
 */

#include "bare_replicator.h"
#include "tap.h"
#include "source/cdc_meta_int.h"

#include <stdio.h>
#include <string.h>


/* DatabaseInfo of two seconds in which "default" may have been made */

#define DEFAULT_A  "\022\007default\030\001(\200\200\200\200\100"
#define DEFAULT_B  "\022\007default\030\001(\200\200\200\200\110"
#define SHOP       "\022\004shop\030\002(\200\200\200\200\100"


static cdc_meta_t  meta;
static cdc_repl_t  r;


static void
list(const char *def, int shop)
{
    cdc_etcd_kv_t     kv[2];
    cdc_etcd_batch_t  b;

    memset(&b, 0, sizeof(b));
    memset(kv, 0, sizeof(kv));

    kv[0].key = cdc_span("by-dev/meta/root-coord/database/db-info/1");
    kv[0].value = cdc_span_n(def, strlen(def));
    kv[1].key = cdc_span("by-dev/meta/root-coord/database/db-info/2");
    kv[1].value = cdc_span(SHOP);

    b.kind = CDC_ETCD_LIST;
    b.kvs = kv;
    b.n = shop ? 2 : 1;
    b.first = 1;
    b.last = 1;

    cdc_meta_apply(&meta, &b);
}


static unsigned
drops(void)
{
    unsigned   n;
    cdc_op_t  *op;

    for (op = r.ops, n = 0; op; op = op->next) {
        n += op->kind == CDC_OP_DROP_DATABASE;
    }

    return n;
}


/* a collection in a log of another kind: it is not the metadata's fault */

static void
test_alien(void)
{
    cdc_repl_t             repl;
    cdc_meta_shard_t       shard;
    cdc_meta_collection_t  m;

    bare_begin(&repl);
    memset(&m, 0, sizeof(m));
    memset(&shard, 0, sizeof(shard));

    repl.reader_ops = &cdc_kafka_reader;
    m.id = 7;
    m.db = (char *) "default";
    m.name = (char *) "wood";
    m.shards = &shard;
    m.nshards = 1;
    shard.vchannel = (char *) "by-dev-rootcoord-dml_0_7v0";
    shard.pchannel = (char *) "by-dev-rootcoord-dml_0";
    shard.start_id = cdc_span("segment0.entry00");

    is_int(cdc_catalogue_each(&repl, &m), CDC_ERROR, "a place of another log");
    ok(repl.failed, "pauses the task");
    ok(strstr(repl.status.error, "\"default.wood\"") != NULL
       && strstr(repl.status.error, "not one of kafka") != NULL
       && strstr(repl.status.error, "Woodpecker") != NULL,
       "and says why: %s", repl.status.error);

    repl.failed = 0;
    shard.start_id.len = 0;
    is_int(cdc_catalogue_each(&repl, &m), CDC_ERROR, "no place at all");
    ok(repl.failed && strstr(repl.status.error, "\"default.wood\"") != NULL
       && strstr(repl.status.error, "do not say where") != NULL,
       "is said to be none: %s", repl.status.error);

    free(repl.channels->name);
    free(repl.channels);
    bare_end(&repl);
}


int
main(void)
{
    cdc_meta_handler_t  handler;

    bare_begin(&r);
    r.meta = &meta;
    r.begun = r.running = r.started = 1;

    handler = cdc_catalogue_handler;
    handler.arg = &r;

    if (cdc_meta_create(&meta, &handler, "by-dev/meta/") != CDC_OK) {
        abort();
    }

    list(DEFAULT_A, 1);
    ok(!r.failed && r.cluster != 0, "the cluster is known by its \"default\"");

    list(DEFAULT_A, 1);
    ok(!r.failed && drops() == 0, "listed again, it is the same");

    list(DEFAULT_B, 0);
    is_int(drops(), 0, "what another one has not is not taken away");
    ok(r.failed, "and the task pauses");
    ok(strstr(r.status.error, "another Milvus") != NULL, "and says why");

    cdc_meta_destroy(&meta);
    bare_end(&r);

    test_alien();

    return done_testing();
}
