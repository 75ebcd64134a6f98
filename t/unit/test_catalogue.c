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

    return done_testing();
}
