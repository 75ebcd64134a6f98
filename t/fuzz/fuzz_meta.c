/*
 * The catalogue against arbitrary keys and values.
 *
 * Input: events, each {kind, length (2 bytes), value}.  The kind picks one of
 * the keys below and whether it is a delete, a list's part or the end of a
 * revision; values are often mutated real ones (the first input is the sample
 * that the unit test uses).  After each batch everything that can be asked is
 * asked.
 */

#include <stdlib.h>
#include <string.h>

#include "source/cdc_meta_int.h"


#define FUZZ_EVENTS  64


static const char  *fuzz_keys[] = {
    "root-coord/database/collection-info/1/100",
    "root-coord/database/collection-info/2/100",
    "root-coord/database/db-info/1",
    "root-coord/database/db-info/2",
    "root-coord/database/aliases/1/a",
    "root-coord/fields/100/0",
    "root-coord/fields/100/100",
    "root-coord/fields/100/101",
    "root-coord/functions/100/1",
    "root-coord/partitions/100/7",
    "root-coord/partitions/100/8",
    "field-index/100/9",
    "querycoord-collection-loadinfo/100",
    "querycoord-partition-loadinfo/100/7",
    "snapshots/root-coord/database/collection-info/1/100_ts5",
    "snapshots/root-coord/database/aliases/1/a_ts6"
};

#define FUZZ_KEYS  (sizeof(fuzz_keys) / sizeof(fuzz_keys[0]))


int  LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static size_t
fuzz_use(const char *s)
{
    return s != NULL ? strlen(s) : 0;
}


static void
fuzz_collection(void *arg, const cdc_meta_collection_t *c)
{
    size_t  i;

    *(size_t *) arg += fuzz_use(c->name) + fuzz_use(c->db) + c->schema.len;

    for (i = 0; i < c->nshards; i++) {
        *(size_t *) arg += fuzz_use(c->shards[i].vchannel)
                           + fuzz_use(c->shards[i].pchannel)
                           + c->shards[i].start_id.len;
    }

    for (i = 0; i < c->npartitions; i++) {
        *(size_t *) arg += fuzz_use(c->partitions[i].name);
    }
}


static void
fuzz_database(void *arg, const cdc_meta_db_t *db)
{
    *(size_t *) arg += fuzz_use(db->name) + db->properties.len;
}


static int
fuzz_request(void *arg, cdc_span_t request)
{
    *(size_t *) arg += request.data[request.len - 1];

    return CDC_OK;
}


static void
fuzz_ask(cdc_meta_t *m, size_t *sum)
{
    (void) cdc_meta_each_operation(m, 100, fuzz_request, sum);
    (void) cdc_meta_loaded(m, 100, 7);
    (void) cdc_meta_by_name(m, cdc_span("default"), cdc_span("a"), 0);
    (void) cdc_meta_by_name(m, cdc_span("default"), cdc_span("a"), 5);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               len, sum, n;
    uint8_t              kind;
    cdc_etcd_kv_t        kvs[FUZZ_EVENTS];
    cdc_meta_t           m;
    cdc_etcd_batch_t     b;
    cdc_meta_handler_t   h;

    sum = 0;
    n = 0;

    memset(&h, 0, sizeof(h));
    h.database = fuzz_database;
    h.collection = fuzz_collection;
    h.arg = &sum;

    cdc_log_init("", NULL, CDC_LOG_EMERG);

    if (cdc_meta_create(&m, &h, "") != CDC_OK) {
        return 0;
    }

    memset(&b, 0, sizeof(b));
    memset(kvs, 0, sizeof(kvs));
    b.kvs = kvs;

    while (size >= 3) {
        kind = data[0];
        len = (size_t) data[1] << 8 | data[2];
        data += 3;
        size -= 3;
        len = len < size ? len : size;

        kvs[n].key = cdc_span_n(fuzz_keys[kind % FUZZ_KEYS],
                                strlen(fuzz_keys[kind % FUZZ_KEYS]));
        kvs[n].value = cdc_span_n(data, len);
        kvs[n].deleted = (kind & 0x10) != 0;
        n++;

        data += len;
        size -= len;

        if ((kind & 0x20) || n == FUZZ_EVENTS || size < 3) {
            b.kind = (kind & 0x40) ? CDC_ETCD_LIST : CDC_ETCD_EVENTS;
            b.first = b.last = 1;
            b.n = n;
            cdc_meta_apply(&m, &b);
            fuzz_ask(&m, &sum);
            n = 0;
        }
    }

    cdc_meta_destroy(&m);

    return sum == (size_t) -1;
}
