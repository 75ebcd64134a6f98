/*
 * The catalogue against arbitrary keys and values.
 *
 * Input: events, each {key, flags, length (2 bytes), value}: one of the keys
 * below, or from FUZZ_ANY on one that begins the value and has its length
 * before it, and whether it is a delete, the end of a revision, and that of a
 * list.  After each batch everything that can be asked is asked, and nothing
 * may be left to tell.  After a list of nothing there is nothing.
 */

#include "fuzz.h"
#include "source/cdc_meta_int.h"
#include "source_rbac_samples.h"
#include "source_samples.h"


#define FUZZ_EVENTS  64
#define FUZZ_ANY     200

#define FUZZ_SEEDS   64
#define FUZZ_SEED    (16 * 1024)
#define FUZZ_CHUNK   16                  /* samples in one seed */


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


/* what a Milvus wrote, some of it in each */

typedef struct {
    cdc_span_t   seeds[FUZZ_SEEDS];
    size_t       n;
} fuzz_seeds_t;


static void
fuzz_samples(fuzz_seeds_t *s, const sample_t *samples, size_t n, int list)
{
    size_t    i, len, size;
    uint8_t  *p;

    p = NULL;

    for (i = 0; i < n && s->n < FUZZ_SEEDS; i++) {
        if (p == NULL) {
            p = malloc(FUZZ_SEED);
            fuzz_check(p != NULL);
            s->seeds[s->n] = cdc_span_n(p, 0);
        }

        len = strlen(samples[i].key);
        size = 1 + len + samples[i].len;
        fuzz_check(s->seeds[s->n].len + size + 4 <= FUZZ_SEED);

        *p++ = FUZZ_ANY;
        *p++ = (uint8_t) ((samples[i].deleted ? 1 : 0) | (list ? 4 : 2));
        *p++ = (uint8_t) (size >> 8);
        *p++ = (uint8_t) size;
        *p++ = (uint8_t) len;
        memcpy(p, samples[i].key, len);
        memcpy(p + len, samples[i].value, samples[i].len);
        p += len + samples[i].len;
        s->seeds[s->n].len += size + 4;

        if (i % FUZZ_CHUNK == FUZZ_CHUNK - 1 || i == n - 1) {
            s->n++;
            p = NULL;
        }
    }
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_seeds_t  s;

    memset(&s, 0, sizeof(s));
    fuzz_samples(&s, sample_list, N(sample_list), 1);
    fuzz_samples(&s, sample_events, N(sample_events), 0);
    fuzz_samples(&s, rbac_events, N(rbac_events), 0);
    fuzz_samples(&s, life_events, N(life_events), 0);
    fuzz_samples(&s, swap_events, N(swap_events), 0);
    fuzz_seeds(*argc, *argv, s.seeds, s.n);

    while (s.n != 0) {
        free((void *) (uintptr_t) s.seeds[--s.n].data);
    }

    return 0;
}


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


/* a key's parts lie in it */

static void
fuzz_key(cdc_span_t key)
{
    cdc_meta_key_t  k;

    if (cdc_meta_key(key, &k) != CDC_OK) {
        return;
    }

    fuzz_check(k.db >= 0 && k.collection >= 0 && k.item >= 0);
    fuzz_check(k.name.len == 0
               || (k.name.data > key.data
                   && k.name.data + k.name.len <= key.data + key.len));
}


/* one event; both of its texts are blocks of their own, but for a value that is
 * empty, for which protobuf-c has none */

static void
fuzz_event(cdc_etcd_kv_t *kv, cdc_span_t *in, uint8_t *flags)
{
    size_t      key;
    cdc_span_t  k, value;

    key = fuzz_byte(in);
    *flags = (uint8_t) fuzz_byte(in);
    value = fuzz_block(in);

    if (key >= FUZZ_ANY) {
        k = fuzz_take(&value, fuzz_byte(&value));

    } else {
        key %= FUZZ_KEYS;
        k = cdc_span_n(fuzz_keys[key], strlen(fuzz_keys[key]));
    }

    kv->key = cdc_span_n(fuzz_copy(k, 0), k.len);
    kv->value = cdc_span_n(value.len != 0 ? fuzz_copy(value, 0) : NULL,
                           value.len);
    kv->deleted = (*flags & 1) != 0;

    fuzz_key(kv->key);
}


static void
fuzz_free(cdc_etcd_batch_t *b)
{
    size_t  i;

    for (i = 0; i < b->n; i++) {
        free((void *) (uintptr_t) b->kvs[i].key.data);
        free((void *) (uintptr_t) b->kvs[i].value.data);
    }
}


/* what it tells of */

static size_t
fuzz_count(cdc_meta_t *m)
{
    size_t  n;

    n = 0;
    (void) cdc_meta_each_alias(m, fuzz_alias, &n);
    (void) cdc_meta_each_rbac(m, fuzz_rbac, &n);
    (void) cdc_meta_each_operation(m, 100, fuzz_request, &n);

    return n;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               sum;
    uint8_t              flags;
    cdc_span_t           in;
    cdc_etcd_kv_t        kvs[FUZZ_EVENTS];
    cdc_meta_t           m;
    cdc_etcd_batch_t     b;
    cdc_meta_handler_t   h;

    sum = 0;

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
    b.first = b.last = 1;
    in = cdc_span_n(data, size);

    while (in.len >= 4) {
        fuzz_event(&kvs[b.n++], &in, &flags);

        if ((flags & 2) || b.n == FUZZ_EVENTS || in.len < 4) {
            b.kind = (flags & 4) ? CDC_ETCD_LIST : CDC_ETCD_EVENTS;
            cdc_meta_apply(&m, &b);
            fuzz_free(&b);
            fuzz_ask(&m, &sum);
            b.n = 0;
        }
    }

    b.kind = CDC_ETCD_LIST;
    cdc_meta_apply(&m, &b);
    fuzz_check(fuzz_count(&m) == 0);

    cdc_meta_destroy(&m);

    return sum == (size_t) -1;
}
