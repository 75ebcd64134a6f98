/*
 * What the files of the Milvus target share.
 */

#ifndef CDC_MILVUS_INT_H_INCLUDED
#define CDC_MILVUS_INT_H_INCLUDED

#include "cdc_grpc.h"
#include "cdc_target.h"


#define CDC_MILVUS_SERVICE     "/milvus.proto.milvus.MilvusService/"
#define CDC_MILVUS_TIMEOUT     30000     /* of a call that changes things */
#define CDC_MILVUS_KEEPALIVE   10000     /* Milvus allows one each 5 s */
#define CDC_MILVUS_MODE_MS     1000      /* to be told its deploy mode */

/* message types of calls that cdc_wire.h has no use for */

enum {
    CDC_MILVUS_DESCRIBE_COLLECTION = 103,
    CDC_MILVUS_SHOW_PARTITIONS = 204,
    CDC_MILVUS_RETRIEVE = 506,
    CDC_MILVUS_CONNECT = 1209,
    CDC_MILVUS_ALLOC_TIMESTAMP = 1211,
    CDC_MILVUS_DELETE_CREDENTIAL = 1502,
    CDC_MILVUS_LIST_CRED_USERS = 1504,
    CDC_MILVUS_CREATE_ROLE = 1600,
    CDC_MILVUS_DROP_ROLE = 1601,
    CDC_MILVUS_OPERATE_USER_ROLE = 1602,
    CDC_MILVUS_OPERATE_PRIVILEGE = 1606,
    CDC_MILVUS_CREATE_PRIVILEGE_GROUP = 1610,
    CDC_MILVUS_DROP_PRIVILEGE_GROUP = 1611,
    CDC_MILVUS_LIST_PRIVILEGE_GROUPS = 1612,
    CDC_MILVUS_OPERATE_PRIVILEGE_GROUP = 1613,
    CDC_MILVUS_OPERATE_PRIVILEGE_V2 = 1614,
    CDC_MILVUS_LIST_DATABASES = 1803,
    CDC_MILVUS_ADD_COLLECTION_FIELD = 1900
};

/* where the status is found in an answer, and what may follow from it */

typedef enum {
    CDC_MILVUS_PLAIN,                    /* the answer is the Status */
    CDC_MILVUS_NESTED,                   /* the answer holds it as field 1 */
    CDC_MILVUS_LANE                      /* nested, of ReplicateMessage */
} cdc_milvus_answer_e;


struct cdc_target_s {
    cdc_grpc_t         *grpc;            /* of the blocking calls */
    cdc_target_conf_t   conf;            /* for lanes; owned */
    int                 mode_told;       /* atomic; no lane has broken since */
    unsigned            distributed:1;   /* what it told */
};


/* ---- cdc_milvus_status.c: errors become classes -------------------- */

int  cdc_milvus_status(const uint8_t *answer, size_t len,
    cdc_milvus_answer_e kind, cdc_target_error_t *err);
void cdc_milvus_transport(const cdc_grpc_error_t *grpc,
    cdc_target_error_t *err);
void cdc_milvus_no_memory(cdc_target_error_t *err);

/* the answer to a call cannot be read: CDC_ERROR */
int  cdc_milvus_damaged(cdc_target_error_t *err, const char *call);

/* this Milvus has no such call */
int  cdc_milvus_lacks(const cdc_target_error_t *err);

/* CDC_DECLINED, with what and the cure as err's text */
int  cdc_milvus_decline(cdc_target_error_t *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


/* ---- cdc_milvus.c -------------------------------------------------- */

/* "brief": its answers are short, and there are many */
cdc_grpc_t *cdc_milvus_connect(const cdc_target_conf_t *conf, unsigned brief,
    char *err);

/*
 * A chain that begins with the base: of a request that changes things when
 * "replicate" is set, at ts unless that is 0.  NULL: no memory.
 */
cdc_chain_t *cdc_milvus_request(int32_t type, unsigned replicate,
    uint64_t ts);
int  cdc_milvus_string(cdc_chain_t *c, uint32_t number, const char *value);

/* "default" when it has no name */
const char *cdc_milvus_db(const char *db);

/*
 * Sends and releases the chain; rc is the sum of what building it returned.
 * CDC_OK only when the status says success.  *answer (may be NULL) is
 * malloc()ed.
 */
int  cdc_milvus_call(cdc_target_t *t, const char *method, const char *db,
    cdc_chain_t *request, int rc, cdc_milvus_answer_e kind,
    unsigned timeout_ms, uint8_t **answer, size_t *len,
    cdc_target_error_t *err);


/* ---- cdc_milvus_meta.c --------------------------------------------- */

int  cdc_milvus_hello(cdc_target_t *t, cdc_target_info_t *info,
    cdc_target_error_t *err);
int  cdc_milvus_now(cdc_target_t *t, uint64_t *tso, cdc_target_error_t *err);
int  cdc_milvus_has_database(cdc_target_t *t, const char *db,
    cdc_target_error_t *err);
int  cdc_milvus_loaded(cdc_target_t *t, const char *db, const char *name,
    const char *partition, int *loaded, cdc_target_error_t *err);
int  cdc_milvus_served(cdc_target_t *t, const char *db, const char *name,
    uint64_t ts, cdc_target_error_t *err);
int  cdc_milvus_describe(cdc_target_t *t, const char *db, const char *name,
    int64_t id, cdc_target_collection_t **c, cdc_target_error_t *err);


int  cdc_milvus_has_index(cdc_target_t *t, const char *db, const char *name,
    const char *field, const char *index, cdc_target_error_t *err);


/* ---- cdc_milvus_change.c ------------------------------------------- */

int  cdc_milvus_rename_collection(cdc_target_t *t, const char *db,
    const char *name, const char *new_db, const char *new_name, uint64_t ts,
    cdc_target_error_t *err);
int  cdc_milvus_alias(cdc_target_t *t, const char *db, const char *alias,
    const char *name, uint64_t ts, cdc_target_error_t *err);
int  cdc_milvus_alter_collection(cdc_target_t *t, const char *db,
    const char *name, cdc_span_t before, cdc_span_t after, uint64_t ts,
    cdc_target_error_t *err);
int  cdc_milvus_alter_database(cdc_target_t *t, const char *db,
    cdc_span_t before, cdc_span_t after, uint64_t ts,
    cdc_target_error_t *err);

/* before and after: lists of KeyValuePair, as serialized fields of one number.
 * Adds the pairs that are new or differ, and the keys that are gone; n counts
 * them.  c may be NULL: CDC_ERROR */
int  cdc_milvus_kv_changed(cdc_chain_t *c, uint32_t out, cdc_span_t before,
    cdc_span_t after, uint32_t number, unsigned *n);
int  cdc_milvus_kv_removed(cdc_chain_t *c, uint32_t out, cdc_span_t before,
    cdc_span_t after, uint32_t number, unsigned *n);


/* ---- cdc_milvus_schema.c, cdc_milvus_rbac.c ------------------------ */

int  cdc_milvus_alter_schema(cdc_target_t *t, const char *db,
    const char *name, cdc_span_t before, cdc_span_t after, uint64_t ts,
    cdc_target_error_t *err);
int  cdc_milvus_has_user(cdc_target_t *t, const char *user,
    cdc_target_error_t *err);
int  cdc_milvus_rbac(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err);


/* ---- cdc_milvus_rights.c ------------------------------------------- */

int  cdc_milvus_rights(cdc_target_t *t, int rbac, char *lacks, size_t size,
    unsigned *n, cdc_target_error_t *err);


/* ---- cdc_milvus_lane.c --------------------------------------------- */

cdc_target_lane_t *cdc_milvus_lane_open(cdc_target_t *t, char *err);
void cdc_milvus_lane_close(cdc_target_lane_t *lane);
int  cdc_milvus_lane_send(cdc_target_lane_t *lane, cdc_chain_t *request,
    void (*done)(void *arg, int rc, const cdc_target_error_t *err),
    void *arg);


#endif /* CDC_MILVUS_INT_H_INCLUDED */
