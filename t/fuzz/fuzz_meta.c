/*
 * The catalogue against arbitrary keys and values.
 *
 * Input: events, each {key, flags, length (2 bytes), value}: one of the keys
 * below, and whether it is a delete, the end of a revision, and that of a
 * list.  After each batch everything that can be asked is asked, and nothing
 * may be left to tell.
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
    "snapshots/root-coord/database/aliases/1/a_ts6",
    "snapshots/root-coord/database/aliases/1/a_ts9",
    "snapshots/root-coord/database/collection-info/2/100_ts7",
    "snapshots/root-coord/database/db-info/1_ts8",
    "root-coord/collection/100",
    "root-coord/aliases/a",
    "root-coord/struct-array-fields/100/102",
    "querycoord-replica/100/3",
    "querycoord-replica/100/4",
    "root-coord/credential/users/u",
    "root-coord/credential/users/root",
    "root-coord/credential/roles/r",
    "root-coord/credential/user-role-mapping/u/r",
    "root-coord/credential/user-role-mapping/u",
    "root-coord/credential/grantee-privileges/r/Collection/c",
    "root-coord/credential/grantee-privileges/r/Collection/default.c",
    "root-coord/credential/grantee-privileges/public/Global/*.*",
    "root-coord/credential/grantee-privileges/r/",
    "root-coord/credential/grantee-id/1/PrivilegeLoad",
    "root-coord/credential/grantee-id/1/*",
    "root-coord/credential/grantee-id/2/PrivilegeGroupg",
    "root-coord/credential/grantee-id/2/",
    "root-coord/privilege-group/g"
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
fuzz_alias(void *arg, const cdc_meta_alias_t *a)
{
    *(size_t *) arg += fuzz_use(a->db) + fuzz_use(a->name) + 1;

    return CDC_OK;
}


static void
fuzz_alias_told(void *arg, const cdc_meta_alias_t *a)
{
    (void) fuzz_alias(arg, a);
}


static int
fuzz_rbac(void *arg, const cdc_meta_rbac_t *e)
{
    unsigned  i;

    *(size_t *) arg += fuzz_use(e->user) + fuzz_use(e->role)
                       + fuzz_use(e->group) + fuzz_use(e->object_type)
                       + fuzz_use(e->db) + fuzz_use(e->object)
                       + fuzz_use(e->privilege) + fuzz_use(e->grantor)
                       + fuzz_use(e->password_hash) + 1;

    for (i = 0; i < e->nprivileges; i++) {
        *(size_t *) arg += fuzz_use(e->privileges[i]);
    }

    return CDC_OK;
}


static void
fuzz_rbac_told(void *arg, const cdc_meta_rbac_t *e)
{
    (void) fuzz_rbac(arg, e);
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
    size_t  before;

    before = *sum;
    m->alias_dirty = 1;
    m->rights.dirty = 1;
    cdc_meta_alias_tell(m);
    cdc_meta_rbac_tell(m);

    if (*sum != before) {
        abort();
    }

    (void) cdc_meta_each_alias(m, fuzz_alias, sum);
    (void) cdc_meta_each_rbac(m, fuzz_rbac, sum);
    (void) cdc_meta_each_operation(m, 100, fuzz_request, sum);
    (void) cdc_meta_loaded(m, 100, 7);
    (void) cdc_meta_by_name(m, cdc_span("default"), cdc_span("a"), 0);
    (void) cdc_meta_by_name(m, cdc_span("default"), cdc_span("a"), 5);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               len, sum, n, key;
    uint8_t              flags;
    cdc_etcd_kv_t        kvs[FUZZ_EVENTS];
    cdc_meta_t           m;
    cdc_etcd_batch_t     b;
    cdc_meta_handler_t   h;

    sum = 0;
    n = 0;

    memset(&h, 0, sizeof(h));
    h.database = fuzz_database;
    h.collection = fuzz_collection;
    h.alias = fuzz_alias_told;
    h.rbac = fuzz_rbac_told;
    h.arg = &sum;

    cdc_log_init("", NULL, CDC_LOG_EMERG);

    if (cdc_meta_create(&m, &h, "") != CDC_OK) {
        return 0;
    }

    memset(&b, 0, sizeof(b));
    memset(kvs, 0, sizeof(kvs));
    b.kvs = kvs;

    while (size >= 4) {
        key = data[0] % FUZZ_KEYS;
        flags = data[1];
        len = (size_t) data[2] << 8 | data[3];
        data += 4;
        size -= 4;
        len = len < size ? len : size;

        kvs[n].key = cdc_span_n(fuzz_keys[key], strlen(fuzz_keys[key]));
        kvs[n].value = cdc_span_n(data, len);
        kvs[n].deleted = (flags & 1) != 0;
        n++;

        data += len;
        size -= len;

        if ((flags & 2) || n == FUZZ_EVENTS || size < 4) {
            b.kind = (flags & 4) ? CDC_ETCD_LIST : CDC_ETCD_EVENTS;
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
