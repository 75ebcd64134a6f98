/*
 * Shared by src/source/cdc_meta*.c, their tests and the fuzzer only.
 */

#ifndef CDC_META_INT_H_INCLUDED
#define CDC_META_INT_H_INCLUDED

#include "cdc_etcd.h"
#include "cdc_meta.h"
#include "cdc_wire.h"
#include "milvus_meta.pb-c.h"


#define CDC_META_GONE_MAX    4096        /* collections that are remembered */
#define CDC_META_PARTS_MAX   1024        /* dropped partitions, of each */
#define CDC_META_NAMES_MAX   1024        /* names in a row, of each */
#define CDC_META_DEFAULT_DB  1
#define CDC_META_USER_FIELD  100         /* those below are Milvus's own */

#define CDC_META_CREATED     0           /* CollectionState and others */
#define CDC_META_CREATING    1
#define CDC_META_DB_DROPPING 3


/* ---- keys (cdc_meta_key.c) ---------------------------------------- */

typedef enum {
    CDC_META_INFO,                       /* item id: the database's */
    CDC_META_FIELD,
    CDC_META_FUNCTION,
    CDC_META_STRUCT,
    CDC_META_PARTITION,
    CDC_META_INDEX,                      /* the public form lacks those from
                                          * here on */
    CDC_META_LOAD,                       /* item id: 0 */
    CDC_META_PARTLOAD,
    CDC_META_REPLICA,
    CDC_META_KINDS,                      /* of a collection, up to here */

    CDC_META_DB,
    CDC_META_ALIAS,

    CDC_META_RAW_USER,                   /* users and roles, from here on */
    CDC_META_RAW_ROLE,
    CDC_META_RAW_MEMBER,
    CDC_META_RAW_GRANTEE,
    CDC_META_RAW_PRIVILEGE,
    CDC_META_RAW_GROUP
} cdc_meta_kind_e;

typedef struct {
    cdc_meta_kind_e    kind;
    int64_t            db;               /* INFO, DB, ALIAS; 0: a key of the
                                          * time before databases */
    int64_t            collection;
    int64_t            item;
    cdc_span_t         name;             /* ALIAS, RAW_* */
    uint64_t           ts;               /* not 0: a key of snapshots/ */
} cdc_meta_key_t;

/* key: without root and meta path; CDC_DECLINED: none of ours */
int  cdc_meta_key(cdc_span_t key, cdc_meta_key_t *k);
int  cdc_meta_tombstone(cdc_span_t value);
/* the order that names are kept in, as strcmp() */
int  cdc_meta_cmp(const char *a, cdc_span_t b);


/* ---- objects ------------------------------------------------------ */

typedef struct cdc_meta_coll_s  cdc_meta_coll_t;

typedef struct {
    int64_t            id;
    uint8_t           *value;            /* as etcd has it */
    size_t             len;
    unsigned           gen;              /* of the list that saw it last */
} cdc_meta_item_t;

typedef struct {
    cdc_meta_item_t   *a;                /* by id */
    size_t             n, cap;
} cdc_meta_items_t;

/* from ts on; name NULL (alias: collection 0): it has ended */

typedef struct {
    uint64_t           ts;
    int64_t            id;               /* database, or alias's collection */
    char              *name;
    unsigned           guess:1;          /* ts is when we saw it */
} cdc_meta_name_t;

typedef struct {
    cdc_meta_name_t   *a;                /* by ts */
    size_t             n, cap;
} cdc_meta_names_t;

struct cdc_meta_coll_s {
    cdc_meta_collection_t         pub;   /* valid when visible; first */
    int64_t                       id;
    cdc_meta_coll_t              *next;  /* in its bucket */
    cdc_meta_coll_t              *next_dirty;
    cdc_meta_coll_t              *next_gone;
    cdc_meta_items_t              items[CDC_META_KINDS];
    cdc_meta_names_t              names;
    Milvus__Meta__CollectionInfo *info;  /* what pub points into */
    uint64_t                      changed_ts;
    unsigned                      visible:1;
    unsigned                      dirty:1;
};

typedef struct {
    cdc_meta_db_t      pub;
    unsigned           gen;
    unsigned           dirty:1;
    unsigned           there:1;          /* etcd has its key */
    unsigned           held:1;           /* somebody knows it by its id */
} cdc_meta_database_t;

/* an alias may have a key of its database and one of the time before; what
 * the former says counts */

typedef struct {
    int64_t            collection;       /* 0: none */
    uint64_t           created_ts;
    unsigned           gen;
} cdc_meta_alias_form_t;

typedef struct {
    int64_t                db;
    char                  *name;
    cdc_meta_alias_form_t  now, old;
    cdc_meta_names_t       names;
    int64_t                told;         /* collection the handler knows */
} cdc_meta_alias_entry_t;

/* users and roles: a key as it is, and what some make together */

typedef struct {
    cdc_meta_rbac_t    pub;              /* its strings follow */
    size_t             size;             /* of all */
    unsigned           own:1;            /* Milvus's own: public may see what
                                          * there is */
} cdc_meta_right_t;

typedef struct {
    cdc_meta_right_t **a;
    size_t             n, cap;
    unsigned           failed:1;
} cdc_meta_right_list_t;

typedef struct {
    cdc_meta_kind_e    kind;
    char              *name;             /* the key's rest */
    char              *value;            /* NUL-terminated as well */
    size_t             len;
    unsigned           gen;
} cdc_meta_raw_t;

typedef struct {
    cdc_meta_raw_t    *raw;              /* by kind and name */
    size_t             nraw, raw_cap;
    cdc_meta_right_t **told;             /* what the handler knows, in an
                                          * order that can be applied */
    size_t             ntold;
    unsigned           dirty:1;
    unsigned           listed:1;
} cdc_meta_rights_t;

typedef struct cdc_meta_waiter_s  cdc_meta_waiter_t;

struct cdc_meta_waiter_s {
    cdc_meta_waiter_t   *next;
    uint64_t             ticket;
    void               (*done)(void *arg);
    void                *arg;
};

struct cdc_meta_s {
    cdc_meta_handler_t    handler;
    cdc_etcd_follow_t    *follow;
    char                 *prefix;
    size_t                prefix_len;

    cdc_meta_coll_t     **buckets;
    size_t                nbuckets, ncolls;
    cdc_meta_coll_t      *dirty;
    cdc_meta_coll_t      *gone, **gone_last;
    size_t                ngone;

    cdc_meta_database_t **dbs;
    size_t                ndbs, dbs_cap;
    cdc_meta_alias_entry_t **aliases;    /* by database and name */
    size_t                naliases, aliases_cap;
    cdc_meta_rights_t     rights;

    cdc_meta_waiter_t    *waiters;
    unsigned              gen;
    unsigned              alias_dirty:1; /* or a collection, for an alias */
    unsigned              oom:1;
};


/* cdc_meta_apply.c: what etcd says; no I/O */
int  cdc_meta_create(cdc_meta_t *m, const cdc_meta_handler_t *h,
    const char *prefix);
void cdc_meta_destroy(cdc_meta_t *m);
void cdc_meta_apply(cdc_meta_t *m, const cdc_etcd_batch_t *batch);

/* cdc_meta_object.c */
cdc_meta_coll_t *cdc_meta_coll(cdc_meta_t *m, int64_t id, int make);
void cdc_meta_coll_dirty(cdc_meta_t *m, cdc_meta_coll_t *c);
void cdc_meta_coll_remove(cdc_meta_t *m, cdc_meta_coll_t *c);
cdc_meta_item_t *cdc_meta_item(const cdc_meta_items_t *items, int64_t id);
int  cdc_meta_item_put(cdc_meta_items_t *items, int64_t id, cdc_span_t value,
    unsigned gen);
void cdc_meta_item_del(cdc_meta_items_t *items, int64_t id);
void cdc_meta_items_free(cdc_meta_coll_t *c);
void *cdc_meta_grow(void *a, size_t n, size_t *cap, size_t size);

/* cdc_meta_db.c */
cdc_meta_database_t *cdc_meta_database(cdc_meta_t *m, int64_t id, int make);
int  cdc_meta_db_is(cdc_meta_t *m, int64_t id, cdc_span_t name);
void cdc_meta_db_set(cdc_meta_t *m, const cdc_meta_key_t *k, cdc_span_t value,
    int gone);
void cdc_meta_db_sweep(cdc_meta_t *m);
void cdc_meta_db_tell(cdc_meta_t *m, unsigned gone);
void cdc_meta_db_free(cdc_meta_t *m);

/* cdc_meta_alias.c */
void cdc_meta_alias_set(cdc_meta_t *m, const cdc_meta_key_t *k,
    cdc_span_t value, int gone);
void cdc_meta_alias_sweep(cdc_meta_t *m);
void cdc_meta_alias_tell(cdc_meta_t *m);
void cdc_meta_alias_free(cdc_meta_t *m);
const cdc_meta_collection_t *cdc_meta_by_alias(cdc_meta_t *m, cdc_span_t db,
    cdc_span_t name, uint64_t ts);

/* cdc_meta_raw.c */
void cdc_meta_rbac_set(cdc_meta_t *m, const cdc_meta_key_t *k,
    cdc_span_t value, int gone);
void cdc_meta_rbac_sweep(cdc_meta_t *m);
size_t cdc_meta_raw_find(const cdc_meta_rights_t *rights,
    cdc_meta_kind_e kind, cdc_span_t name);
cdc_meta_raw_t *cdc_meta_raw(const cdc_meta_rights_t *rights,
    cdc_meta_kind_e kind, cdc_span_t name);
void cdc_meta_raw_free_all(cdc_meta_rights_t *rights);
/* a user's, from its JSON; the caller wipes it.  NULL: not there */
char *cdc_meta_hash(cdc_span_t value);

/* cdc_meta_right.c: all rights, in no order, and some twice */
void cdc_meta_rights_build(const cdc_meta_rights_t *rights,
    cdc_meta_right_list_t *list);
void cdc_meta_right_free(cdc_meta_right_t *r);

/* cdc_meta_rbac.c */
void cdc_meta_rbac_tell(cdc_meta_t *m);
void cdc_meta_rbac_free(cdc_meta_t *m);

/* cdc_meta_request.c, cdc_meta_load.c: fn() gets a finished request */
typedef struct {
    int   (*fn)(void *arg, cdc_span_t request);
    void   *arg;
} cdc_meta_sink_t;

cdc_chain_t *cdc_meta_request(const cdc_meta_collection_t *c, int32_t type);
int  cdc_meta_hand_out(cdc_chain_t *chain, int rc,
    const cdc_meta_sink_t *sink);
int  cdc_meta_load(const cdc_meta_coll_t *c, const cdc_meta_sink_t *sink);

/* cdc_meta_build.c: the public form of a collection; CDC_DECLINED: not
 * complete yet, CDC_ERROR: does not parse (logged) or no memory */
int  cdc_meta_build(cdc_meta_t *m, cdc_meta_coll_t *c,
    const cdc_meta_item_t *info_item, Milvus__Meta__CollectionInfo *info,
    cdc_meta_collection_t *pub);
void cdc_meta_pub_free(cdc_meta_collection_t *pub);
const cdc_meta_partition_t *cdc_meta_partition(
    const cdc_meta_collection_t *c, int64_t id);
int  cdc_meta_field_name(const cdc_meta_coll_t *c, int64_t id,
    cdc_span_t *name, int *dynamic);
int  cdc_meta_schema_name(cdc_span_t schema, cdc_span_t *name);
int  cdc_meta_retag(cdc_span_t msg, uint32_t from, uint32_t to,
    cdc_span_t *out);

/* cdc_meta_name.c: which name meant what, and when */
int  cdc_meta_names_add(cdc_meta_names_t *names, uint64_t ts, int64_t id,
    cdc_span_t name, int ended);
/* what is so now, when no snapshot has told since when: since created_ts,
 * where it is the first that is known, or changed_ts, where it is newer than
 * what was so before, or now */
int  cdc_meta_names_settle(cdc_meta_names_t *names, uint64_t created_ts,
    uint64_t changed_ts, int64_t id, cdc_span_t name, int ended);
const cdc_meta_name_t *cdc_meta_names_at(const cdc_meta_names_t *names,
    uint64_t ts);
int  cdc_meta_names_ended(const cdc_meta_names_t *names, uint64_t ts);
/* since when what is so now is so; 0: nobody knows */
uint64_t cdc_meta_names_since(const cdc_meta_names_t *names);
void cdc_meta_names_free(cdc_meta_names_t *names);


static inline int64_t
cdc_meta_db_id(int64_t id)
{
    return id != 0 ? id : CDC_META_DEFAULT_DB;
}


#endif /* CDC_META_INT_H_INCLUDED */
