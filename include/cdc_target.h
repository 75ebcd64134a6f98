/*
 * A target: where changes are applied.  Milvus over gRPC now; other targets
 * are one more cdc_target_ops_t.
 *
 * The functions marked [blocks] make one or more calls and wait; they run on
 * a worker thread (replicator) or a probe thread (store), never on the main
 * thread.  Each returns CDC_OK or fills err and returns CDC_ERROR.  All
 * objects that come back are malloc()ed in one go and freed by their _free.
 */

#ifndef CDC_TARGET_H_INCLUDED
#define CDC_TARGET_H_INCLUDED

#include "cdc_base.h"
#include "cdc_runtime.h"
#include "cdc_wire.h"
#include "cdc_meta.h"


typedef enum {
    CDC_TARGET_RETRY = 1,     /* surely not applied, may work later: down,
                               * overloaded, not ready */
    CDC_TARGET_DOUBT,         /* may have been applied: broken connection,
                               * deadline */
    CDC_TARGET_REFUSED,       /* the server said no to this request */
    CDC_TARGET_NOT_FOUND,     /* database, collection, partition, index */
    CDC_TARGET_EXISTS,
    CDC_TARGET_DENIED,        /* login, rights, ttMsgEnabled: needs an
                               * operator; text holds the cure */
} cdc_target_class_e;

typedef struct {
    cdc_target_class_e  class;
    int32_t             code;            /* Status.code, else gRPC's */
    int32_t             error_code;      /* Status.error_code (legacy) */
    unsigned            transport:1;     /* the code is gRPC's */
    unsigned            large:1;         /* refused for its size */
    char                text[CDC_REASON_MAX];
} cdc_target_error_t;


/* "milvus_connect_param" of a create, either generation; strings owned */

typedef struct {
    char      *address;                  /* host:port */
    char      *identity;                 /* uri as given, or http(s)://h:p */
    char      *authorization;            /* base64(user:password or token) */
    char      *ca_path, *cert_path, *key_path, *server_name;
    unsigned   tls:1;
    unsigned   connect_timeout_ms;       /* 5000 when not given */
    unsigned   call_ms;                  /* at most, for a call that blocks;
                                          * 0: as the call has it */
} cdc_target_conf_t;

/* json: the object's text.  err: names the field and the cure */
int  cdc_target_conf_parse(cdc_target_conf_t *conf, const char *json,
    size_t len, char err[CDC_REASON_MAX]);
void cdc_target_conf_free(cdc_target_conf_t *conf);   /* wipes secrets */


#define CDC_SERVED_MS  400               /* served() takes no longer */

typedef struct cdc_target_s       cdc_target_t;
typedef struct cdc_target_lane_s  cdc_target_lane_t;

typedef struct {
    char       version[64];
    uint64_t   now;                      /* AllocTimestamp, */
    uint64_t   now_at;                   /* at cdc_now_ms(), ms: half way of
                                          * that call */
    unsigned   replicate:1;              /* answers ReplicateMessage */
    unsigned   distributed:1;            /* it says that it is, so its log is
                                          * no RocksMQ; 0: it is standalone,
                                          * or does not tell */
    char       why_not[CDC_REASON_MAX];  /* when not: the server's words */
} cdc_target_info_t;

typedef struct {
    int64_t    id;
    char      *name;
} cdc_target_partition_t;

typedef struct {
    int64_t    id;
    char      *db, *name;
    uint64_t   created_ts;
    unsigned   nshards;
    char     **vchannels, **pchannels;   /* in shard order, parallel */
    unsigned   npartitions;
    cdc_target_partition_t *partitions;
    uint8_t   *schema;                   /* CollectionSchema as answered */
    size_t     schema_len;
    int64_t    num_partitions;
    unsigned   naliases;
    char     **aliases;
} cdc_target_collection_t;

void cdc_target_collection_free(cdc_target_collection_t *c);

typedef struct {
    const char  *db, *name;
    cdc_span_t   schema;                 /* serialized CollectionSchema */
    cdc_span_t   properties;             /* serialized fields, number 7 */
    int32_t      shards;
    int32_t      consistency_level;
    int64_t      num_partitions;         /* 0: not a partition-key one */
    uint64_t     ts;                     /* replicateInfo.msgTimestamp */
} cdc_target_create_t;


typedef struct {
    const char  *name;                   /* "milvus" */

    /* main thread; no connection is made yet.  Lanes are closed before it */
    cdc_target_t *(*open)(const cdc_target_conf_t *conf, char *err);
    void (*close)(cdc_target_t *t);

    /* [blocks] all of these */

    /* distributed is what Connect told (ServerInfo.deploy_mode), which is
     * asked for once, and again when a lane's request failed in gRPC: another
     * server may be there then.  No answer to that is no error */
    int  (*hello)(cdc_target_t *t, cdc_target_info_t *info,
        cdc_target_error_t *err);
    int  (*now)(cdc_target_t *t, uint64_t *tso, cdc_target_error_t *err);
    int  (*has_database)(cdc_target_t *t, const char *db,
        cdc_target_error_t *err);        /* CDC_DECLINED: no */
    int  (*create_database)(cdc_target_t *t, const char *db,
        cdc_span_t properties, uint64_t ts, cdc_target_error_t *err);
    int  (*drop_database)(cdc_target_t *t, const char *db, uint64_t ts,
        cdc_target_error_t *err);
    /* by name when name is not NULL, else by id; partitions included, by id
     * only when db is its database.  c->name is the collection's own, also
     * when name is an alias of it.  CDC_DECLINED: no such collection */
    int  (*describe)(cdc_target_t *t, const char *db, const char *name,
        int64_t id, cdc_target_collection_t **c, cdc_target_error_t *err);
    int  (*create_collection)(cdc_target_t *t, const cdc_target_create_t *c,
        cdc_target_error_t *err);
    int  (*drop_collection)(cdc_target_t *t, const char *db, const char *name,
        uint64_t ts, cdc_target_error_t *err);
    int  (*create_partition)(cdc_target_t *t, const char *db,
        const char *name, const char *partition, uint64_t ts,
        cdc_target_error_t *err);
    int  (*drop_partition)(cdc_target_t *t, const char *db, const char *name,
        const char *partition, uint64_t ts, cdc_target_error_t *err);
    /*
     * The following make something so, or find that it is so already: each
     * may be called again after a crash.  CDC_DECLINED: this target cannot
     * carry it (an older Milvus without that call), err.text says what and
     * the cure.
     */

    /* err EXISTS: another collection has that name; an alias, too */
    int  (*rename_collection)(cdc_target_t *t, const char *db,
        const char *name, const char *new_db, const char *new_name,
        uint64_t ts, cdc_target_error_t *err);
    /* name NULL: no such alias any more.  A collection that is called like
     * the alias is err EXISTS, and never touched */
    int  (*alias)(cdc_target_t *t, const char *db, const char *alias,
        const char *name, uint64_t ts, cdc_target_error_t *err);
    /* properties before and after, as in cdc_target_create_t: only what
     * differs is sent, and removed keys as delete_keys */
    int  (*alter_collection)(cdc_target_t *t, const char *db,
        const char *name, cdc_span_t before, cdc_span_t after, uint64_t ts,
        cdc_target_error_t *err);
    /* the same as fields number 3 */
    int  (*alter_database)(cdc_target_t *t, const char *db,
        cdc_span_t before, cdc_span_t after, uint64_t ts,
        cdc_target_error_t *err);
    /* GetLoadState: 1 when the partition is loaded or being loaded */
    int  (*loaded)(cdc_target_t *t, const char *db, const char *name,
        const char *partition, int *loaded, cdc_target_error_t *err);
    /* CDC_OK: it is loaded, and who reads its channels has read all of them
     * up to ts (a query as of ts).  Errors: not yet, too, within
     * CDC_SERVED_MS */
    int  (*served)(cdc_target_t *t, const char *db, const char *name,
        uint64_t ts, cdc_target_error_t *err);
    /* CDC_DECLINED: no such index on the field */
    int  (*has_index)(cdc_target_t *t, const char *db, const char *name,
        const char *field, const char *index, cdc_target_error_t *err);
    /* serialized CollectionSchemas: fields that are new (AddCollectionField)
     * and type parameters that differ (AlterCollectionField) */
    int  (*alter_schema)(cdc_target_t *t, const char *db, const char *name,
        cdc_span_t before, cdc_span_t after, uint64_t ts,
        cdc_target_error_t *err);
    /* of the calls that a task makes, which may its user not make?  n counts
     * them, lacks names them.  Nothing is changed.  rbac: those about users
     * and roles, too */
    int  (*rights)(cdc_target_t *t, int rbac, char *lacks, size_t size,
        unsigned *n, cdc_target_error_t *err);
    /* CDC_DECLINED: no */
    int  (*has_user)(cdc_target_t *t, const char *user,
        cdc_target_error_t *err);
    /* e->gone: makes it not so.  CDC_DECLINED for a user that the target
     * lacks and whose password cannot be carried.  err NOT_FOUND: a user,
     * role or collection that it is about is not there */
    int  (*rbac)(cdc_target_t *t, const cdc_meta_rbac_t *e,
        cdc_target_error_t *err);

    /* any row of the operation table; names as they are on the target */
    int  (*apply)(cdc_target_t *t, const cdc_op_envelope_t *op, uint64_t ts,
        const char *db, const cdc_span_t *names, unsigned nnames,
        cdc_target_error_t *err);

    /*
     * Main thread.  A lane is a connection of its own for the messages of
     * one target channel; one request at a time.  send() takes a
     * ReplicateMessageRequest; it has no deadline.  After lane_close() the
     * old connection is gone and done() has run: only then may what is in
     * doubt be settled on a new lane.
     */
    cdc_target_lane_t *(*lane_open)(cdc_target_t *t, char *err);
    void (*lane_close)(cdc_target_lane_t *lane);
    int  (*send)(cdc_target_lane_t *lane, cdc_chain_t *request,
        void (*done)(void *arg, int rc, const cdc_target_error_t *err),
        void *arg);
} cdc_target_ops_t;

extern const cdc_target_ops_t  cdc_milvus_target;


#endif /* CDC_TARGET_H_INCLUDED */
