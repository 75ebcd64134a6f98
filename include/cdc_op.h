/*
 * Operations on the target's objects (cdc_op*.c): a part of cdc_replicator.h,
 * which has its types.  Main thread, unless it says otherwise.
 */

#ifndef CDC_OP_H_INCLUDED
#define CDC_OP_H_INCLUDED


typedef enum {
    CDC_OP_CREATE_DATABASE,
    CDC_OP_CREATE_COLLECTION,
    CDC_OP_CREATE_PARTITION,
    CDC_OP_DROP_COLLECTION,
    CDC_OP_DROP_PARTITION,
    CDC_OP_DROP_DATABASE,
    CDC_OP_ALTER_DATABASE,
    CDC_OP_RENAME_COLLECTION,
    CDC_OP_ALTER_COLLECTION,             /* properties */
    CDC_OP_ALTER_SCHEMA,
    CDC_OP_ALIAS,                        /* create, alter or drop */
    CDC_OP_LOAD,                         /* as the metadata has it */
    CDC_OP_APPLY                         /* an operation's own request */
} cdc_op_kind_e;

struct cdc_op_s {
    cdc_op_t           *next;            /* r->ops, by (ts, number) */
    cdc_repl_t         *repl;
    cdc_op_kind_e       kind;
    uint64_t            ts, number;
    cdc_coll_t        **colls;           /* that it concerns */
    unsigned            ncolls;
    int64_t             part_id;         /* source's */
    char               *db;
    uint8_t            *raw;             /* APPLY: the request; databases
                                          * and ALTER_*: what it will be */
    size_t              raw_len;
    int64_t             db_id;           /* databases: the source's */
    char               *alias;
    int64_t             alias_coll;      /* 0: no such alias any more */
    char               *new_db, *new_name;   /* RENAME: on the source */
    cdc_op_envelope_t   env;
    cdc_list_t          held;            /* messages of a drop: they follow
                                          * it, then they are done */
    uint64_t            rnumber;         /* in the replicate track */
    cdc_pos_t           pos;             /* where it was read, for reasons */
    const char         *topic;
    cdc_parking_t      *parking;         /* it is tried again, out of there */
    uint64_t            refused_at;      /* cdc_now_ms(); 0: not refused */
    unsigned            backoff;
    cdc_timer_t         timer;
    cdc_job_t           job;
    unsigned            from_rchannel:1;
    unsigned            initial:1;       /* of the first listing */
    unsigned            synced:1;        /* catalogue is as new as the op */
    unsigned            running:1;
    unsigned            sleeping:1;
    unsigned            done:1;
    unsigned            applied:1;       /* the target has done it */

    /* for the ops thread: copies, and what it found */
    const cdc_target_ops_t *target_ops;
    cdc_target_t       *target;
    char               *target_db, *target_name, *part_name;
    int64_t             source_id, target_id, target_part_id;
    unsigned            looks:1;         /* CREATE: who has the name? */
    unsigned            release_first:1;
    unsigned            lost:1;          /* gone before it was bound */
    unsigned            whole:1;         /* LOAD: all or nothing */
    unsigned            released:1;      /* LOAD: some of it */
    unsigned            aside:1;         /* RENAME: to a name of our own, two
                                          * have each other's */
    char               *to_db, *to_name; /* RENAME: on the target */
    cdc_blob_t          before;          /* ALTER_*: as the target has it */
    cdc_span_t         *names;           /* APPLY: as on the target */
    unsigned            nnames;
    cdc_target_create_t create;
    uint8_t            *create_bytes;    /* that create's spans point to */
    cdc_target_collection_t *found;
    int                 rc;
    cdc_target_error_t  error;
};

cdc_op_t *cdc_op_new(cdc_repl_t *r, cdc_op_kind_e kind, uint64_t ts);
void cdc_op_concern(cdc_op_t *op, cdc_coll_t *c);
void cdc_op_queue(cdc_op_t *op);
void cdc_op_kick(cdc_repl_t *r);         /* looks again, once per loop turn */
int  cdc_op_pending_on(const cdc_coll_t *c, cdc_op_kind_e kind);
/* the last of that kind that waits, about c (or NULL) */
cdc_op_t *cdc_op_last(const cdc_repl_t *r, cdc_op_kind_e kind,
    const cdc_coll_t *c);
int  cdc_op_concerns(const cdc_op_t *op, const cdc_coll_t *c);
void cdc_op_drop_read(cdc_coll_t *c, cdc_item_t *item);
void cdc_op_forget_data(cdc_repl_t *r);  /* before channels are reset */
int  cdc_op_busy_data(cdc_repl_t *r);
void cdc_op_free(cdc_op_t *op);
int  cdc_op_ready(const cdc_op_t *op);
int  cdc_op_moot(const cdc_op_t *op);    /* nothing is left to do */
/* the source drops or has dropped all that it is about */
int  cdc_op_source_gone(const cdc_op_t *op);
/* a name of our own, of a collection's id: for one that steps aside */
#define CDC_OP_ASIDE_MAX  64
void cdc_op_aside_name(char *name, size_t size, int64_t id);
/* its renaming goes round in a circle with those of others */
int  cdc_op_circle(const cdc_op_t *op);
void cdc_op_done(cdc_job_t *job);
void cdc_op_looked(cdc_op_t *op);        /* the name is free: goes on */
int  cdc_op_failed(cdc_op_t *op);        /* CDC_OK: it is ended all the same */
void cdc_op_recovered(cdc_op_t *op);     /* and others may still wait */
void cdc_op_run(cdc_job_t *job);         /* [ops thread] */
/* [ops thread] a load or release of a partition, or (NULL) the collection */
int  cdc_op_request(cdc_op_t *op, int32_t type, const char *partition,
    uint64_t ts);
int  cdc_op_release(cdc_op_t *op, const char *partition, uint64_t ts);
const char *cdc_op_name(const cdc_op_t *op);
void cdc_op_applied(const cdc_op_t *op);         /* logged, counted, shown */

/* cdc_load_cold.c: any operation.  Must it wait for another's load? */
int  cdc_load_waits(const cdc_op_t *op);
void cdc_load_starts(const cdc_op_t *op);
void cdc_load_tried(const cdc_op_t *op);         /* op->rc */
/* the target's readers of that channel may have begun anew */
void cdc_load_unread(cdc_lane_t *lane);
/* once the ops thread has ended; a replicator's process ends before */
void cdc_load_cold_free(cdc_repl_t *r);


#endif /* CDC_OP_H_INCLUDED */
