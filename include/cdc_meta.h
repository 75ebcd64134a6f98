/*
 * The source's catalogue: databases, collections, partitions, aliases,
 * indexes, load state, users and roles as the source's etcd has them
 * (src/source/cdc_meta.c), kept by range at one revision and watch from the
 * next (cdc_etcd.h).
 *
 * The etcd thread hands over raw keys, a whole revision at a time; parsing
 * and all functions here run on the main thread and do not block.  Keys:
 * cdc_meta_key.c; messages: proto/milvus_meta.proto.
 * A collection is known by its id.  It becomes visible (handler) when it is
 * in state Created with all its fields and its partitions.
 *
 * collection() comes once with all partitions of that moment, again when
 * name, database, properties or schema have changed, and once with "gone";
 * a partition that is made or dropped later comes by partition().  One that
 * is being dropped is not gone before its key is.  All changes of one etcd
 * revision are applied before the first call.
 */

#ifndef CDC_META_H_INCLUDED
#define CDC_META_H_INCLUDED

#include "cdc_base.h"
#include "cdc_runtime.h"


typedef struct cdc_meta_s  cdc_meta_t;

typedef struct {
    int64_t      id;
    char        *name;
    uint64_t     created_ts;             /* TSO; 2.3 keeps no finer than ms */
    cdc_span_t   properties;             /* serialized KeyValuePair fields
                                          * of number 3 (CreateDatabase) */
    uint64_t     changed_ts;             /* newest snapshot; 0: none */
    unsigned     gone:1;
} cdc_meta_db_t;

typedef struct {
    int64_t      id;
    char        *name;
    uint64_t     created_ts;
    unsigned     dropping:1;
    unsigned     gone:1;
} cdc_meta_partition_t;

typedef struct {
    char        *vchannel, *pchannel;
    cdc_span_t   start_id;               /* KeyDataPair.data of pchannel */
} cdc_meta_shard_t;

typedef struct {
    int64_t      id, db_id;
    char        *db, *name;
    uint64_t     create_ts;
    uint64_t     name_ts;                /* since when it has this name and
                                          * database; 0: nobody knows */
    uint64_t     changed_ts;             /* newest snapshot of its info (a
                                          * change of a field writes one,
                                          * too); 0: none */
    int32_t      consistency_level;
    unsigned     nshards;
    cdc_meta_shard_t *shards;            /* in shard order */
    unsigned     npartitions;
    cdc_meta_partition_t *partitions;    /* "_default" included */
    cdc_span_t   schema;                 /* CollectionSchema for a create:
                                          * fields and functions in, system
                                          * fields and $meta out */
    cdc_span_t   properties;             /* KeyValuePair fields, number 7 */
    int64_t      num_partitions;         /* of a partition-key collection */
    int64_t      pk_field_id;
    unsigned     dropping:1;             /* the drop has been accepted and the
                                          * name has ended; 2.3.5 keeps the
                                          * key for minutes more */
    unsigned     gone:1;                 /* tombstone or DELETE seen */
} cdc_meta_collection_t;

typedef struct {
    const char  *db, *name;
    int64_t      collection_id;          /* 0: dropped, or its collection is
                                          * being dropped */
    uint64_t     ts;                     /* since when; 0: nobody knows */
} cdc_meta_alias_t;

/*
 * Users and roles: root-coord/credential/ and, 2.5, privilege groups.  They
 * have no snapshots and no timestamps; etcd's revisions order them among
 * themselves.  A string that a kind does not use is NULL.
 */

typedef enum {
    CDC_META_USER = 1,                   /* user, password_hash */
    CDC_META_ROLE,                       /* role */
    CDC_META_PRIVILEGE_GROUP,            /* group, privileges */
    CDC_META_USER_ROLE,                  /* user, role */
    CDC_META_GRANT                       /* role, object_type, db, object,
                                          * privilege as the API calls it:
                                          * "Search", "*" or a group's name;
                                          * grantor */
} cdc_meta_rbac_e;

typedef struct {
    cdc_meta_rbac_e  kind;
    const char  *user, *role, *group;
    const char  *object_type, *db, *object, *privilege, *grantor;
    const char  *password_hash;          /* a secret: never logged, never
                                          * stored by the replicator */
    const char **privileges;             /* of a group */
    unsigned     nprivileges;
    unsigned     gone:1;
} cdc_meta_rbac_t;

/* objects stay valid until the handler returns or the catalogue changes:
 * copy what must stay */

typedef struct {
    /* a full list has been applied (first one, or after a compaction):
     * everything below has been called for what it changed */
    void (*listed)(void *arg);
    void (*database)(void *arg, const cdc_meta_db_t *db);
    void (*collection)(void *arg, const cdc_meta_collection_t *c);
    void (*partition)(void *arg, const cdc_meta_collection_t *c,
        const cdc_meta_partition_t *p);
    /* an alias is new, means another collection, or is gone; after the
     * collection() calls of the same revision */
    void (*alias)(void *arg, const cdc_meta_alias_t *a);
    /* what is gone before what depends on it: a grant before its role; what
     * is new, or has another password or other privileges, in the other
     * order */
    void (*rbac)(void *arg, const cdc_meta_rbac_t *e);
    /* the DELETE of a load info: partition_id 0 = the whole collection */
    void (*released)(void *arg, int64_t collection_id, int64_t partition_id);
    /* a load info was written, once for each key of it */
    void (*loaded)(void *arg, int64_t collection_id);
    /* etcd is out of reach (text) or back (NULL) */
    void (*degraded)(void *arg, const char *text);
    void  *arg;
} cdc_meta_handler_t;

/* conf: the source's object of INIT (json_t *), not kept; cdc_grpc_init(loop)
 * first.  close() waits as cdc_etcd_close() does; not from a handler. */
cdc_meta_t *cdc_meta_open(cdc_loop_t *loop, const void *conf,
    const cdc_meta_handler_t *h, char *err);
void cdc_meta_close(cdc_meta_t *m);

/* while it is degraded: when it tries again, cdc_now_ms(); 0: now */
uint64_t cdc_meta_next_try(cdc_meta_t *m);

/*
 * done() runs once the catalogue holds every change that etcd had when sync
 * was called (a linearizable read, then the watch up to that revision; never
 * early).  Retries by itself while etcd is away.
 */
int  cdc_meta_sync(cdc_meta_t *m, void (*done)(void *arg), void *arg);

const cdc_meta_collection_t *cdc_meta_by_id(cdc_meta_t *m, int64_t id);

/* the collection that had this name at ts (0: now), aliases too; NULL: none
 * known.  Ended names are kept as long as their collection is: the newest
 * 4096 dropped collections are. */
const cdc_meta_collection_t *cdc_meta_by_name(cdc_meta_t *m, cdc_span_t db,
    cdc_span_t name, uint64_t ts);
const cdc_meta_db_t *cdc_meta_db_by_name(cdc_meta_t *m, cdc_span_t db);

int  cdc_meta_each_database(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_db_t *db), void *arg);
int  cdc_meta_each_collection(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_collection_t *c), void *arg);

/* living ones only; rbac in an order that can be applied: users, roles,
 * privilege groups, memberships, grants.  The built-in ones (user root, roles
 * admin and public, root's membership of admin) are left out everywhere,
 * public's own grants here and of the first list: rbac() tells when one of
 * these is revoked. */
int  cdc_meta_each_alias(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_alias_t *a), void *arg);
int  cdc_meta_each_rbac(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_rbac_t *e), void *arg);

/*
 * What exists as indexes and load state, as the requests that would make it:
 * serialized CreateIndexRequest and LoadCollection/LoadPartitionsRequest
 * with base.msg_type set, ready for cdc_wire_op_envelope().  Indexes first.
 */
int  cdc_meta_each_operation(cdc_meta_t *m, int64_t collection_id,
    int (*fn)(void *arg, cdc_span_t request), void *arg);

/* 1 while the source holds the collection (or partition) loaded */
int  cdc_meta_loaded(cdc_meta_t *m, int64_t collection_id,
    int64_t partition_id);


#endif /* CDC_META_H_INCLUDED */
