/*
 * The replicator's own types: shared by the files of src/replicator/ only.
 * Everything runs on the main thread unless a function says otherwise.
 *
 *   cdc_replicator.c   life of the process: start, stop, failure
 *   cdc_status.c       what the supervisor is told
 *   cdc_progress.c     what is measured for that
 *   cdc_progress_list.c  the same of collections
 *   cdc_selection.c    which collections a task follows
 *   cdc_track.c        positions that are done, in order or not
 *   cdc_item.c         a message on its way
 *   cdc_count.c        rows that have arrived, each once
 *   cdc_channel.c      source channel: read, order by tick
 *   cdc_take.c         source channel: what a message is to us
 *   cdc_emit.c         source channel: hand over to lanes
 *   cdc_lane.c         target channel: queue, send, try again
 *   cdc_lane_stamp.c   target channel: what goes out next, at which stamp
 *   cdc_lane_build.c   target channel: the request
 *   cdc_share.c        target channel: shared with other processes
 *   cdc_equal.c        equal keys among what is settled
 *   cdc_object.c       collections and partitions: source id -> target id
 *   cdc_object_doc.c   their stored form
 *   cdc_forget.c       those that are gone are forgotten
 *   cdc_database.c     databases
 *   cdc_alias.c        aliases
 *   cdc_rbac.c         users, roles, privileges
 *   cdc_load.c         what is loaded
 *   cdc_load_cold.c    the first load on a target channel goes alone
 *   cdc_op.c           operations: the queue, from start to end
 *   cdc_op_ready.c     operations: when one may run
 *   cdc_op_done.c      operations: what follows when the target answered
 *   cdc_op_refused.c   operations: what follows when the target said no
 *   cdc_op_run.c       operations: what each does on the target [ops thread]
 *   cdc_rchannel.c     the replicate channel, where operations come from
 *   cdc_catalogue.c    what the source's metadata asks for
 *   cdc_change.c       renames, properties, schemas: what has changed
 *   cdc_survey.c       a new task: what the target holds already
 *   cdc_drift.c        what somebody else has changed on the target
 *   cdc_checkpoint.c   LevelDB: what is durable, and what was reserved
 *   cdc_life.c         are these checkpoints the last ones, or a copy?
 *   cdc_restored.c     a copy: what has been sent since is not known
 *   cdc_parked.c       messages that cannot be applied
 *   cdc_parked_form.c  their stored and shown form
 */

#ifndef CDC_REPLICATOR_H_INCLUDED
#define CDC_REPLICATOR_H_INCLUDED

#include <jansson.h>

#include "cdc_base.h"
#include "cdc_runtime.h"
#include "cdc_task.h"
#include "cdc_wire.h"
#include "cdc_target.h"
#include "cdc_log_reader.h"
#include "cdc_meta.h"
#include "cdc_share.h"
#include "cdc_track.h"
#include "cdc_measure.h"
#include "cdc_parked.h"


#define CDC_BUDGET          (16 * 1024 * 1024)  /* unacknowledged bytes */
#define CDC_BUDGET_MORE     (4 * 1024 * 1024)   /* to free what waits */
#define CDC_REQUEST_BYTES   (8 * 1024 * 1024)   /* one ReplicateMessage */
#define CDC_PACK_BYTES      (1024 * 1024)       /* between ticks, backlog */
#define CDC_SHARED_BYTES    (512 * 1024)        /* one ReplicateMessage while
                                                 * others wait to send */
#define CDC_CHECKPOINT_MS   200
#define CDC_CHECKPOINT_IDLE_MS  1000  /* half of CDC_RESERVE_MS at most */
#define CDC_IDLE_TICK_MS    1000
#define CDC_ADOPT_MS        5000      /* settled before an adopted one's
                                       * from_ts; clocks differ */
#define CDC_NUDGE_MS        5         /* see cdc_lane.c */
#define CDC_NUDGE_MSGS      12
#define CDC_NUDGE_MAX       20000
#define CDC_HURRY_MS        30000     /* after a failure, see cdc_lane.c */
#define CDC_HURRY_TICK_MS   50
#define CDC_RESERVE_MSGS    256                 /* positions, at least */
#define CDC_RESERVE_MS      2000                /* stamps */
#define CDC_RESERVE_RAISED_MS  100              /* while they are raised */
#define CDC_RESERVE_SHARED_MS  1000             /* above ticks of others */
#define CDC_YIELD_MS        2000      /* then a reset ends what is early */
#define CDC_REFUSED_MS      5000      /* then the source's metadata decides */
#define CDC_REFUSED_READ_MS 300       /* the same, with nothing to be read */
#define CDC_REFUSED_MAX_MS  60000     /* then the task pauses */
#define CDC_BACKOFF_MIN     100
#define CDC_BACKOFF_MAX     10000
#define CDC_RESET_WAIT_MS   1000      /* for a request left behind */
#define CDC_IMPORT_PARTITIONS  1024
#define CDC_COLL_ID_BITS    10        /* chains of collections by id */
#define CDC_LOG_GAP                                                          \
    "the source's log no longer holds what this task still needs; restore "  \
    "the target from a backup of the source, then create the task again"


typedef struct cdc_repl_s       cdc_repl_t;
typedef struct cdc_channel_s    cdc_channel_t;
typedef struct cdc_lane_s       cdc_lane_t;
typedef struct cdc_coll_s       cdc_coll_t;
typedef struct cdc_shard_s      cdc_shard_t;
typedef struct cdc_op_s         cdc_op_t;
typedef struct cdc_item_s       cdc_item_t;
typedef struct cdc_epoch_s      cdc_epoch_t;
typedef struct cdc_body_s       cdc_body_t;
typedef struct cdc_rbac_s       cdc_rbac_t;
typedef struct cdc_equal_s      cdc_equal_t;
typedef struct cdc_drift_s      cdc_drift_t;
typedef struct cdc_parking_s    cdc_parking_t;


/* ---- bytes of our own (cdc_object_doc.c) --------------------------- */

typedef struct {
    uint8_t       *data;                 /* NULL: none, or empty */
    size_t         len;
} cdc_blob_t;

int  cdc_blob_set(cdc_blob_t *b, cdc_span_t span);       /* a copy */
int  cdc_blob_is(const cdc_blob_t *b, cdc_span_t span);
void cdc_blob_free(cdc_blob_t *b);
json_t *cdc_blob_json(const cdc_blob_t *b);
int  cdc_blob_from_json(cdc_blob_t *b, const json_t *json);


/* ---- messages on their way ---------------------------------------- */

/* the bytes of one log message; gRPC may hold them a little longer than we
 * do, hence the count (atomic, any thread) */

struct cdc_body_s {
    int                          refs;
    cdc_log_msg_t                msg;
    const cdc_log_reader_ops_t  *ops;
};

void cdc_body_unref(void *body);

struct cdc_item_s {
    cdc_item_t     *next;
    cdc_channel_t  *ch;
    cdc_coll_t     *coll;                /* NULL until resolved */
    cdc_epoch_t    *epoch;               /* once a tick has closed it */
    cdc_body_t     *body;                /* NULL once acknowledged */
    cdc_envelope_t  env;
    cdc_pos_t       pos;
    uint64_t        number;              /* in the channel's track */
    size_t          bytes;
    unsigned        sends;               /* requests not acknowledged */
    unsigned        tick:1;
    unsigned        settle:1;            /* may have been sent before */
    unsigned        acked:1;
    unsigned        held:1;              /* done by the farewell below */
    unsigned        farewell:1;          /* a drop's message on its own, sent
                                          * after its op */
    unsigned        asked:1;             /* catalogue was synced for it */
    unsigned        poison:1;            /* parked: it does not go out */
    cdc_parking_t  *parking;             /* it is tried again, out of there */
};

typedef struct {
    cdc_item_t     *head, **tail;
    size_t          n;
} cdc_list_t;

void cdc_list_init(cdc_list_t *l);
void cdc_list_push(cdc_list_t *l, cdc_item_t *item);
cdc_item_t *cdc_list_pop(cdc_list_t *l);
void cdc_list_move(cdc_list_t *to, cdc_list_t *from);    /* to was empty */
void cdc_item_drop_body(cdc_item_t *item);       /* its bytes are not needed */

/* all messages of a channel that one tick has closed */

struct cdc_epoch_s {
    cdc_epoch_t    *next;
    uint64_t        tick;
    cdc_item_t     *items;               /* by next; to be marked done */
    size_t          left;                /* not acknowledged, +1 until the
                                          * tick itself is handed over */
};


/* ---- source channels (cdc_channel.c) ------------------------------ */

struct cdc_channel_s {
    cdc_channel_t     *next;
    cdc_repl_t        *repl;
    char              *name;
    cdc_log_stream_t  *stream;
    cdc_track_t        track;
    cdc_pos_t          upto;             /* may send what is before: durable */
    cdc_pos_t          upto_next;        /* in the batch being written */
    cdc_pos_t          settle_upto;      /* in doubt since the last run */
    cdc_list_t         open;             /* read, no tick covers them yet */
    cdc_list_t         early;            /* as open, but emitted already */
    cdc_list_t         closed;           /* in order, ticks between */
    cdc_epoch_t       *epochs, **epochs_tail;
    cdc_pos_t          listed;           /* end at the first listing */
    uint64_t           listed_tick;      /* the first tick behind that */
    uint64_t           tick_read;        /* newest in the log */
    uint64_t           tick_at;          /* when, cdc_now_ms() */
    uint64_t           tick_closed;      /* all up to it handed over */
    uint64_t           tick_acked;       /* all up to it on the target */
    cdc_pos_t          emitted;          /* end of what was handed over */
    uint64_t           sync_number;      /* what is before was asked for */
    uint64_t           reads;            /* since the last checkpoint */
    cdc_pos_t          reserved_at;      /* where that was */
    cdc_pos_t          reread;           /* end of what was read before a
                                          * restart or a reset */
    unsigned           drops;            /* in open: a tick is awaited */
    unsigned           closed_drops;     /* in closed: may pass others */
    size_t             bodies;           /* messages held in memory */
    cdc_pos_t          seen;             /* of the last message read */
    uint64_t           seen_span, seen_bytes;    /* since the log's end .. */
    uint64_t           end_ms, end_lo;   /* .. was here */
    double             idle, mean;       /* see cdc_progress.c */
    unsigned           users;            /* collections that need it */
    cdc_shard_t       *shards;           /* of all collections, by next */
    unsigned           dirty:1;
    unsigned           wanting:1;        /* waits for a reserve */
    unsigned           syncing:1;        /* an unknown id: catalogue asked */
    unsigned           open_waits:1;     /* for a tick, which may be read */
    unsigned           open_acks:1;      /* for answers, which will come */
    unsigned           more:1;           /* not read to the end yet */
    unsigned           loaded:1;         /* the track is a checkpoint's */
    unsigned           placed:1;         /* track.next has been set */
};

/* NULL: the task has none of that name */
cdc_channel_t *cdc_channel_find(const cdc_repl_t *r, const char *name);
/* it is made if there is none; NULL: no memory */
cdc_channel_t *cdc_channel_get(cdc_repl_t *r, const char *name);
/* a collection needs the channel from there on; a channel that is being
 * read, or has a checkpoint, goes on where it is (see cdc_channel.c) */
void cdc_channel_start(cdc_channel_t *ch, cdc_pos_t from);
void cdc_channel_open(cdc_channel_t *ch);
void cdc_channel_read(cdc_channel_t *ch);
void cdc_channel_readable(void *arg, cdc_log_stream_t *s);
void cdc_channel_pump(cdc_channel_t *ch);        /* hands over what may go */
/* cdc_take.c; owns the message from now */
void cdc_channel_take(cdc_channel_t *ch, cdc_log_msg_t *msg);
/* fatal: the topic was deleted and made anew, msg is not the one before next */
void cdc_take_anew(cdc_repl_t *r, const char *topic, const cdc_track_t *t,
    cdc_log_msg_t *msg);
void cdc_channel_close(cdc_channel_t *ch, uint64_t tick, uint64_t number,
    cdc_pos_t pos);
/* cdc_take.c; owns msg->owner when it returns CDC_OK */
int  cdc_channel_again(cdc_repl_t *r, const char *topic, cdc_log_msg_t *msg,
    const cdc_log_reader_ops_t *ops, cdc_parking_t *e);
/* cdc_take.c; CDC_OK: it is parked, all goes on without it.  CDC_ERROR: the
 * task stops */
int  cdc_channel_poison(cdc_item_t *item, const char *why);
void cdc_channel_acked(cdc_item_t *item);
/* cdc_emit.c.  CDC_OK: handed over.  CDC_AGAIN: has to wait.  CDC_DECLINED:
 * nothing for the target.  CDC_DONE: an open drop, which others may pass. */
int  cdc_channel_emit(cdc_channel_t *ch, cdc_item_t *item, unsigned early);
void cdc_channel_farewell(cdc_item_t *item);     /* owns the item from now */
void cdc_item_free(cdc_item_t *item);
int  cdc_item_is_drop(const cdc_item_t *item);
int  cdc_item_concerns(const cdc_item_t *item, int64_t collection_id,
    int64_t part_id);
void cdc_channel_reset(cdc_channel_t *ch);       /* back to the track */
/* all messages of the collection up to ts have been read and are on the
 * target; of one partition only when part_id is not 0 */
int  cdc_channel_passed(const cdc_channel_t *ch, const cdc_coll_t *c,
    int64_t part_id, uint64_t ts);
void cdc_channel_free(cdc_channel_t *ch);


/* ---- target channels (cdc_lane.c, cdc_lane_stamp.c, cdc_lane_build.c) */

typedef struct cdc_send_s  cdc_send_t;

struct cdc_send_s {
    cdc_send_t         *next;            /* first: see cdc_lane_last() */
    cdc_item_t         *item;            /* NULL: a tick */
    unsigned            shard;
    uint64_t            tick;            /* the source's */
    uint64_t            most;            /* a tick's stamp, at most */
    uint64_t            stamp;           /* 0: the source's own */
    unsigned            early:1;         /* it goes before its tick */
};

struct cdc_lane_s {
    cdc_lane_t         *next;
    cdc_repl_t         *repl;
    char               *name;            /* target's physical channel */
    cdc_target_lane_t  *lane;
    cdc_share_t        *share;           /* from the first use on */
    cdc_send_t         *queue, **queue_tail, *flight;
    cdc_send_t         *marker;          /* the last tick in the queue */
    cdc_send_t         *last_early;      /* of the queue when the last early
                                          * row was closed */
    size_t              behind;          /* bytes since the one before */
    uint64_t            tick_want;       /* all up to it is in the queue */
    uint64_t            tick_sent;       /* of tick_want, acknowledged */
    uint64_t            tick_clear;      /* the newest before which no row was
                                          * left to send or unanswered */
    uint64_t            raise;           /* stamps up to it are taken: what
                                          * is older is raised above it */
    uint64_t            raised;          /* highest stamp that was raised */
    uint64_t            most;            /* of the ticks not answered yet */
    uint64_t            used;            /* highest stamp sent */
    uint64_t            reserve;         /* may be used: durable */
    uint64_t            reserve_next;
    uint64_t            newest;          /* highest stamp of a row sent */
    uint64_t            covered;         /* highest stamp of a tick sent */
    uint64_t            closed;          /* the same, acknowledged */
    uint64_t            tick_at;         /* cdc_now_ms() of the last one */
    uint64_t            acked_at;        /* the same of the last answer */
    uint64_t            nudge_at;        /* not before, cdc_now_ms() */
    unsigned            single;          /* messages of a request that was
                                          * refused: each alone */
    unsigned            owed;            /* messages to be nudged through */
    uint64_t            hurry_until;     /* cdc_now_ms() */
    int64_t             cold;            /* the collection for whose load the
                                          * others wait; 0: none */
    uint64_t            cold_until, cold_asked, cold_refused;   /* ms */
    uint64_t            cold_seen;       /* what is up to it was read, maybe */
    uint64_t            retry_at;        /* cdc_now_ms(); 0: at once */
    unsigned            backoff;
    char                error[CDC_REASON_MAX];   /* while it backs off */
    cdc_timer_t         timer;           /* idle tick, or the next try */
    cdc_post_t          flush;
    unsigned            busy:1;          /* a request is in flight */
    unsigned            deferred:1;
    unsigned            dirty:1;
    unsigned            wanting:1;
    unsigned            early:1;         /* rows went before their tick */
    unsigned            draining:1;      /* they are closed; last_early */
    unsigned            cold_loaded:1;   /* the target has taken its load, */
    unsigned            cold_once:1;     /* and told that it has it */
    uint64_t            seen;            /* of the last tick handed over */
    cdc_shard_t        *feeders;         /* by next_feeder */
};

cdc_lane_t *cdc_lane_get(cdc_repl_t *r, const char *name);
int  cdc_lane_send(cdc_lane_t *lane, cdc_item_t *item, unsigned shard);
void cdc_lane_tick(cdc_lane_t *lane);    /* a feeder has moved */
/* the source's tick up to which surely all of it is on the target */
uint64_t cdc_lane_known(const cdc_lane_t *lane);
/* the target begins to read its channels for the collection */
void cdc_lane_hurry(cdc_coll_t *c);
void cdc_lane_wake(cdc_lane_t *lane);    /* the reserve has grown */
void cdc_lane_reset(cdc_lane_t *lane);   /* connection given up */
/* while true, the shard's rows wait for their tick; and while any is sorted,
 * for that */
int  cdc_lane_raising(const cdc_shard_t *shard);
/* how far ahead of what was used a reserve goes, as a TSO */
uint64_t cdc_lane_margin(const cdc_lane_t *lane);
void cdc_lane_free(cdc_lane_t *lane);

/* for the files of the lane only */
void cdc_lane_gather(cdc_lane_t *lane);
int  cdc_lane_nudge(cdc_lane_t *lane, uint64_t now);
uint64_t cdc_lane_least(const cdc_lane_t *lane, const cdc_shard_t *shard);
void cdc_lane_final(const cdc_send_t *send);
void cdc_lane_drop(cdc_send_t *send);
uint64_t cdc_lane_target_now(const cdc_lane_t *lane);
/* NULL: the task has failed, or what was wrong is not in flight any more */
cdc_chain_t *cdc_lane_build(cdc_lane_t *lane);
/* CDC_OK: the lane goes on without it.  CDC_ERROR: the task stops */
int  cdc_lane_poison(cdc_lane_t *lane, cdc_send_t *send, const char *why);


/* ---- what is settled (cdc_equal.c) -------------------------------- */

/* a settled message was acknowledged, in the order of its channel; its bytes
 * are still there */
void cdc_equal_look(const cdc_item_t *item);
/* all begins anew */
void cdc_equal_forget(cdc_repl_t *r);
/* the same when nothing has been settled for a while */
void cdc_equal_tire(cdc_repl_t *r);


/* ---- what has arrived (cdc_count.c) --------------------------------- */

void cdc_count_acked(const cdc_item_t *item);
/* it is done, or will be read again */
void cdc_count_end(const cdc_item_t *item, unsigned done);
/* of what has arrived, what may come again: for a checkpoint */
cdc_count_t cdc_count_open(cdc_coll_t *c);


/* ---- objects (cdc_object.c) --------------------------------------- */

typedef enum {
    CDC_COLL_NEW = 0,        /* seen, nothing done on the target */
    CDC_COLL_CREATING,       /* intent is durable: what is found is ours */
    CDC_COLL_LIVE,
    CDC_COLL_GONE,           /* dropped on the target */
    CDC_COLL_DROPPING        /* durable before the drop is sent: all of its
                              * rows are on the target, none is sent again */
} cdc_coll_state_e;

typedef struct {
    int64_t          id;                 /* source's */
    int64_t          target_id;          /* 0: not yet */
    char            *name;
    uint64_t         created_ts;
    uint64_t         gone_ts;            /* of its drop, once it is done, or
                                          * needs not be; 0: not known */
    uint64_t         told;               /* bits: shards with its message */
    unsigned         gone:1;             /* dropped on the target */
    unsigned         dropping:1;         /* as CDC_COLL_DROPPING */
    unsigned         pending:1;          /* its create op is queued */
} cdc_part_t;

struct cdc_shard_s {
    char            *source_vchannel;
    char            *target_vchannel;
    cdc_channel_t   *ch;
    cdc_lane_t      *lane;
    cdc_coll_t      *coll;
    cdc_shard_t     *next, *next_feeder;
    cdc_pos_t        start;              /* creation; if adopted, where what
                                          * is before is older than the task */
    cdc_pos_t        listed;             /* log end at the first listing */
    uint64_t         farewell;           /* stamp of its drop's message: the
                                          * lane needs a tick behind it */
    uint64_t         raised;             /* highest stamp given in place of
                                          * a row's own */
    unsigned         sorted;             /* requests of rows behind their
                                          * tick, not acknowledged */
    uint64_t         after_ts;           /* "positions": what is not newer
                                          * is there already */
    cdc_pos_t        settle_upto;        /* "use_start_position" on what the
                                          * target holds */
    unsigned         started:1;
    unsigned         read:1;             /* by the target: cdc_load_cold.c */
    unsigned         owed:1;             /* its drop's message has yet to go
                                          * to the target; durable */
};

struct cdc_coll_s {
    cdc_coll_t      *next;
    cdc_coll_t      *next_id;            /* of r->coll_ids */
    cdc_repl_t      *repl;
    int64_t          id, target_id;
    char            *db, *name;          /* the source's, as applied */
    char            *target_db, *target_name;    /* as on the target now */
    cdc_coll_state_e state;
    char            *rename_db, *rename_name;    /* the source's new ones: on
                                          * the target it may have either;
                                          * durable before it is asked for */
    uint64_t         create_ts;
    uint64_t         from_ts;            /* rows before it were there */
    int64_t          pk_field_id;
    int64_t          num_partitions;     /* of a partition-key collection */
    unsigned         nshards;
    cdc_shard_t     *shards;
    unsigned         nparts;
    cdc_part_t      *parts;
    cdc_blob_t       schema, properties; /* as the target has them */
    cdc_blob_t       load;               /* the request for its load state */
    char            *drift;              /* how the target's differs */
    unsigned         initial_left;    /* operations of the listing */
    uint64_t         scan;               /* of the pass that met one on it */
    unsigned         initial:1;          /* there before the task */
    unsigned         adopted:1;          /* the target held it already */
    unsigned         known:1;            /* schema and properties are */
    unsigned         dirty:1;
    unsigned         counted:1;          /* "count" and "last" are not
                                          * durable yet */
    unsigned         held:1;             /* cdc_forget.c: referred to */
    unsigned         part_held:1;        /* the same, by a drop */
    cdc_count_t      count;              /* since the task was created */
    cdc_count_t      open, again;        /* cdc_count.c */
    cdc_last_t       last;
    uint64_t         lag_ms, drift_next; /* cdc_progress.c, cdc_drift.c */
};

cdc_coll_t *cdc_coll_by_id(cdc_repl_t *r, int64_t id);
int  cdc_coll_bound(const cdc_coll_t *c);        /* LIVE or DROPPING */
cdc_coll_t *cdc_coll_add(cdc_repl_t *r, const cdc_meta_collection_t *m);
void cdc_coll_refresh(cdc_coll_t *c, const cdc_meta_collection_t *m);
cdc_part_t *cdc_coll_part(cdc_coll_t *c, int64_t id);
/* the state that the target has: ids, channels, partitions */
int  cdc_coll_bind(cdc_coll_t *c, const cdc_target_collection_t *t, char *err);
int  cdc_coll_start(cdc_coll_t *c);      /* its readers */
void cdc_coll_gone(cdc_coll_t *c);
/* at the start: behind the messages of drops, as far as nobody knows of one */
void cdc_coll_last_ticks(cdc_repl_t *r);
/* the drop's message of the channel is on the target, or is not needed */
void cdc_coll_parted(cdc_coll_t *c, const cdc_channel_t *ch);
/* cdc_catalogue.c: it is on the target now; its index and load operations
 * of the first listing have all ended */
void cdc_coll_live(cdc_coll_t *c);
void cdc_coll_initial_done(cdc_coll_t *c);
/* an older collection or partition of that name is still on the target */
int  cdc_coll_name_taken(cdc_coll_t *c);
/* of ours that is this collection of the target; NULL: none */
cdc_coll_t *cdc_coll_by_target(cdc_repl_t *r, int64_t target_id);
/* who has that name on the target now, or is about to; not c itself */
cdc_coll_t *cdc_coll_bearer(cdc_repl_t *r, const cdc_coll_t *c,
    const char *target_db, const char *target_name);
int  cdc_coll_named(cdc_coll_t *c, const char *db, const char *name,
    const char *target_db, const char *target_name);
/* taken by one whose drop lies ahead in the log */
int  cdc_coll_name_ends(cdc_coll_t *c);
int  cdc_part_name_taken(cdc_coll_t *c, const cdc_part_t *p);
cdc_coll_t *cdc_coll_alloc(cdc_repl_t *r, const char *db, const char *name,
    const char *target_db, const char *target_name, unsigned nshards);
void cdc_coll_link(cdc_coll_t *c);       /* its id is known */
cdc_part_t *cdc_coll_part_add(cdc_coll_t *c, int64_t id, const char *name,
    uint64_t ts);
json_t *cdc_coll_save(const cdc_coll_t *c);
int  cdc_coll_load(cdc_repl_t *r, const json_t *json);
void cdc_coll_free(cdc_coll_t *c);
void cdc_coll_unchain(cdc_coll_t *c);    /* nobody finds it any more */
void cdc_coll_part_forget(cdc_coll_t *c, unsigned i);


/* ---- what is gone (cdc_forget.c) ------------------------------------ */

#ifdef CDC_FAULTS
#define CDC_FORGET_MS        50       /* lives are short there */
#else
#define CDC_FORGET_MS        2000
#endif

typedef struct cdc_forgotten_s  cdc_forgotten_t;

/* from now on, what is gone is forgotten once nothing needs it */
void cdc_forget_start(cdc_repl_t *r);
void cdc_forget(cdc_repl_t *r);          /* once; not from within a call */
void cdc_forget_told(const cdc_item_t *item);    /* a partition's farewell */
/* the next batch takes it away */
void cdc_forget_key(cdc_repl_t *r, const char *kind, const char *name);
/* first of all into a batch; that batch is durable, or is not */
void cdc_forget_put(cdc_repl_t *r, cdc_db_batch_t *b);
void cdc_forget_written(cdc_repl_t *r, int rc);


/* ---- databases (cdc_database.c) ------------------------------------ */

typedef struct cdc_dbase_s  cdc_dbase_t;

struct cdc_dbase_s {
    cdc_dbase_t     *next;
    int64_t          id;                 /* source's */
    char            *name;
    cdc_blob_t       properties;         /* as the target has them */
    unsigned         created:1;          /* on the target */
    unsigned         pending:1;          /* an operation is on its way */
    unsigned         dropping:1;         /* its drop waits, or is done */
    unsigned         gone:1;             /* the target has dropped it */
    unsigned         dirty:1;
};

void cdc_database_changed(cdc_repl_t *r, const cdc_meta_db_t *db);
int  cdc_database_start(cdc_repl_t *r);  /* compares with the catalogue */
void cdc_database_done(const cdc_op_t *op);
/* does another living database of the source go to the same place? */
int  cdc_database_shared(const cdc_op_t *op);
json_t *cdc_database_save(const cdc_dbase_t *d);
int  cdc_database_load(cdc_repl_t *r, const char *id, const json_t *json);
void cdc_database_forget(cdc_repl_t *r);


/* ---- aliases (cdc_alias.c) ----------------------------------------- */

typedef struct cdc_alias_s  cdc_alias_t;

struct cdc_alias_s {
    cdc_alias_t     *next;
    char            *db, *name;          /* the source's */
    int64_t          collection_id;      /* the source's, as on the target;
                                          * 0: not there */
    int64_t          wanted;             /* the same, as last asked for;
                                          * durable before it is asked */
    unsigned         doubt:1;            /* asked for by a life before this */
    unsigned         dirty:1;
};

void cdc_alias_changed(cdc_repl_t *r, const cdc_meta_alias_t *a);
int  cdc_alias_start(cdc_repl_t *r);     /* compares with the catalogue */
void cdc_alias_intent(const cdc_op_t *op);
void cdc_alias_done(const cdc_op_t *op);
void cdc_alias_coll_gone(cdc_coll_t *c);
/* the name is an alias on the target now */
int  cdc_alias_bears(const cdc_repl_t *r, const char *target_db,
    const char *target_name);
json_t *cdc_alias_save(const cdc_alias_t *a);
int  cdc_alias_load(cdc_repl_t *r, const json_t *json);
void cdc_alias_forget(cdc_repl_t *r);


/* ---- users and roles (cdc_rbac.c) ----------------------------------- */

void cdc_rbac_changed(cdc_repl_t *r, const cdc_meta_rbac_t *e);
int  cdc_rbac_start(cdc_repl_t *r);      /* compares with the catalogue */
int  cdc_rbac_load(cdc_repl_t *r, const char *key, const json_t *json);
void cdc_rbac_dirty(cdc_repl_t *r);      /* nothing of it is durable */
/* at exit: one of them is with the ops thread; wipes what is secret */
int  cdc_rbac_busy(cdc_repl_t *r);
void cdc_rbac_free(cdc_repl_t *r);
/* what has changed since the last batch; all: everything that is there */
void cdc_rbac_save(cdc_repl_t *r, int all,
    void (*put)(void *arg, const char *key, json_t *value), void *arg);


/* ---- load state (cdc_load.c) --------------------------------------- */

/* compares with the metadata; force: the target may have changed */
void cdc_load_look(cdc_coll_t *c, int force);
int  cdc_load_ready(const cdc_op_t *op);
int  cdc_load_by_channel(const cdc_op_t *op);    /* it is about load state */
int  cdc_load_start(cdc_op_t *op);       /* copies what is wanted now */
void cdc_load_done(cdc_op_t *op);        /* any operation with a collection */
int  cdc_load_run(cdc_op_t *op, uint64_t ts);    /* [ops thread] */


#include "cdc_op.h"


/* ---- replicate channel (cdc_rchannel.c) --------------------------- */

int  cdc_rchannel_start(cdc_repl_t *r);
void cdc_rchannel_read(cdc_repl_t *r);
void cdc_rchannel_done(cdc_repl_t *r, uint64_t number);
int  cdc_rchannel_again(cdc_repl_t *r, cdc_log_msg_t *msg, cdc_parking_t *e);


#include "cdc_parking.h"


/* ---- checkpoint (cdc_checkpoint.c) -------------------------------- */

int  cdc_checkpoint_open(cdc_repl_t *r, char *err);     /* loads, too */
void cdc_checkpoint_soon(cdc_repl_t *r);         /* within 200 ms */
/* nothing but ticks has come: reading those again does no harm */
void cdc_checkpoint_idle(cdc_repl_t *r);
void cdc_checkpoint_now(cdc_repl_t *r);          /* a reserve is awaited */
/* done() once everything that is dirty now is durable */
int  cdc_checkpoint_barrier(cdc_repl_t *r, void (*done)(void *arg),
    void *arg);
int  cdc_checkpoint_last(cdc_repl_t *r);         /* [blocks] at exit */
void cdc_checkpoint_life(cdc_repl_t *r);         /* [blocks] at the start */
void cdc_checkpoint_close(cdc_repl_t *r);


/* ---- a copy of checkpoints (cdc_life.c, cdc_restored.c) ------------- */

#define CDC_LIFE_MAX         80
#define CDC_RESTORED_MS      5000     /* stamps, above all clocks */

/* before LevelDB is opened: is there anything, or is the task new? */
int  cdc_life_begin(cdc_repl_t *r, char *err);
int  cdc_life_load(cdc_repl_t *r, const json_t *json);
/* after it was read; sets "copied" */
int  cdc_life_check(cdc_repl_t *r, char *err);
void cdc_life_next(cdc_repl_t *r);       /* [blocks] for the next batch */
void cdc_life_moved(cdc_repl_t *r);      /* that batch is durable */
void cdc_life_started(cdc_repl_t *r);    /* it is no new task any more */

/* in place of the survey; ends in go() */
void cdc_restored_start(cdc_repl_t *r);


/* ---- selection (cdc_selection.c) ---------------------------------- */

/*
 * What the request says about which collections, where they go and where
 * each starts.  Parsed once from request_data, which stays borrowed.
 */

typedef struct cdc_selection_s  cdc_selection_t;

cdc_selection_t *cdc_selection_create(const json_t *request, char *err);
void cdc_selection_free(cdc_selection_t *s);

int  cdc_selected(const cdc_selection_t *s, const char *db,
    const char *name);
int  cdc_selected_db(const cdc_selection_t *s, const char *db);
/* every collection of it: the database's own operations are ours, too */
int  cdc_selected_whole_db(const cdc_selection_t *s, const char *db);
/* everything: databases that come and go as well */
int  cdc_selected_all(const cdc_selection_t *s);

/* name_mapping: where it is on the target; pointers into s or to what was
 * given */
const char *cdc_selection_target_db(const cdc_selection_t *s,
    const char *db);
const char *cdc_selection_target_name(const cdc_selection_t *s,
    const char *db, const char *name);

int  cdc_selection_ignore_partition(const cdc_selection_t *s);
int  cdc_selection_rbac(const cdc_selection_t *s);
/* the policy "earliest" for collections that the log has lost part of */
int  cdc_selection_earliest(const cdc_selection_t *s);
int  cdc_selection_use_start(const cdc_selection_t *s, const char *db,
    const char *name);
/* "positions" of a source vchannel: the message id, as the reader's
 * parse_id() takes it, and its timestamp.  CDC_DECLINED: none given */
int  cdc_selection_position(const cdc_selection_t *s, const char *vchannel,
    cdc_span_t *id, uint64_t *ts);
/* the same for rpc_channel_info.position */
int  cdc_selection_rpc_position(const cdc_selection_t *s, cdc_span_t *id);


/* ---- what is shown (cdc_progress.c) ------------------------------- */

/* a message, and a tick, of a source channel was read */
void cdc_progress_read(cdc_channel_t *ch, const cdc_log_msg_t *msg);
void cdc_progress_tick(cdc_channel_t *ch);
/* the source's clock, in a checkpoint and from one */
int64_t cdc_progress_clock(cdc_repl_t *r);
void cdc_progress_clock_was(cdc_repl_t *r, int64_t clock);
/* to the supervisor; left out if it is slow: the next one says it all, too */
void cdc_progress_report(cdc_repl_t *r, uint16_t type, const void *report,
    size_t len);
/* fills in the status; the second one also what goes by the time */
void cdc_progress_measure(cdc_repl_t *r);
void cdc_progress_timer(cdc_repl_t *r);

void cdc_repl_event(cdc_repl_t *r, cdc_event_kind_e kind, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
/* one was applied on the target: counted, shown as the last one */
void cdc_repl_operation(cdc_repl_t *r, const char *name, const char *object);

/* cdc_progress_list.c */
void cdc_coll_operation(cdc_coll_t *c, const char *name);
void cdc_coll_error(cdc_coll_t *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* of its first copy, positions, added up; and that as thousandths */
void cdc_progress_copy(const cdc_coll_t *c, uint64_t *done, uint64_t *all);
uint32_t cdc_progress_parts(uint64_t done, uint64_t all);
/* those that are behind most, to the supervisor */
void cdc_progress_send(cdc_repl_t *r);
/* in a checkpoint and from one: rows and bytes, the last operation and error */
json_t *cdc_coll_save_stat(cdc_coll_t *c);
int  cdc_coll_load_stat(cdc_coll_t *c, const json_t *json);


/* ---- the whole ---------------------------------------------------- */

enum {
    CDC_CAUSE_META,                      /* etcd out of reach */
    CDC_CAUSE_SOURCE,                    /* etcd is not this source's */
    CDC_CAUSE_LOG,
    CDC_CAUSE_DRIFT,                     /* somebody changed the target */
    CDC_CAUSE_TARGET,
    CDC_CAUSE_OP,
    CDC_CAUSE_DISK,
    CDC_CAUSE_PARKED,                    /* messages that were passed; those
                                          * up to here stop the flow */
    CDC_CAUSE_SKIPPED,                   /* something is not carried */
    CDC_CAUSE_USERS,                     /* users that the target lacks */
    CDC_CAUSE_CLOCK,                     /* the target's is behind */
    CDC_CAUSES
};

struct cdc_repl_s {
    cdc_role_t                  *role;
    cdc_loop_t                  *loop;
    char                        *task_id;
    char                        *dir;    /* <state>/tasks/<id> */
    json_t                      *init, *config;
    json_t                      *source;      /* within init */
    cdc_selection_t             *selection;
    cdc_target_conf_t            target_conf;
    const cdc_target_ops_t      *target_ops;
    cdc_target_t                *target;
    const cdc_log_reader_ops_t  *reader_ops;
    cdc_log_reader_t            *reader;
    cdc_meta_t                  *meta;
    cdc_db_t                    *db;
    cdc_worker_t                *ops_worker, *disk_worker;

    cdc_channel_t               *channels;
    cdc_lane_t                  *lanes;
    cdc_coll_t                  *colls;
    cdc_coll_t                  *coll_ids[1 << CDC_COLL_ID_BITS];
    cdc_dbase_t                 *databases;
    cdc_alias_t                 *aliases;
    cdc_rbac_t                  *rbac;
    cdc_op_t                    *ops;
    uint64_t                     op_number;
    uint64_t                     scan;        /* passes over ops */
    uint64_t                     ticks;       /* handed over */
    cdc_post_t                   op_post, pump_post;

    /* replicate channel */
    const char                  *rchannel;
    cdc_log_stream_t            *rstream;
    cdc_track_t                  rtrack;

    /* messages that cannot be applied */
    cdc_parking_t               *parking, *again;
    uint64_t                     parked_id;   /* the last one given */
    char                         held[CDC_REASON_MAX];

    /* checkpoint */
    struct cdc_checkpoint_s     *checkpoint;
    cdc_timer_t                  checkpoint_timer, forget_timer;
    cdc_forgotten_t             *forgotten;   /* for the next batch */
    cdc_forgotten_t             *forgetting;  /* in the one being written */
    char                         life[CDC_LIFE_MAX];      /* LevelDB's */
    char                         life_next[CDC_LIFE_MAX]; /* "": none */
    uint64_t                     raise;       /* of lanes yet to come */
    uint64_t                     cluster;     /* the source: since when its
                                               * "default" is; 0: not known */

    cdc_timer_t                  status_timer, retry_timer;
    struct cdc_cold_s           *cold;        /* NULL: nothing was loaded */
    cdc_job_t                    hello_job;
    cdc_target_info_t            hello;
    cdc_target_error_t           hello_error;
    int                          hello_rc;
    unsigned                     hello_cause; /* of what it asked last */
    uint64_t                     hello_at;    /* cdc_now_ms() */
    uint64_t                     msg_id;      /* of the last restamped one */
    cdc_equal_t                 *equal;       /* NULL: nothing is settled */
    unsigned                     target_version;  /* 203 for 2.3; 0 before
                                              * the target has answered */
    cdc_post_t                   reset_post;
    cdc_task_status_t            status;
    cdc_measure_t                measure;
    char                         cause[CDC_CAUSES][CDC_REASON_MAX];
    char                         skipped[401];   /* the first one */
    uint64_t                     skips;
    size_t                       buffered;
    unsigned                     retry_backoff, reset_backoff, idle_phase;
    uint64_t                     rows_at;    /* some were sent last */
    size_t                       request_most; /* bytes that the target takes,
                                                * as far as known; 0: all */
    int64_t                      clock_offset; /* target's - cdc_now_ms() */
    uint64_t                     degraded_at; /* cdc_now_ms(); 0: healthy */
    uint64_t                     checkpoint_at;   /* the same clock */
    uint64_t                     reset_at;    /* cdc_now_ms() */
    uint64_t                     stop_at;     /* cdc_now_ms() */
    uint64_t                     trim_last;   /* bytes_in a second ago */
    uint64_t                     trimmed;     /* at the last trim */
    uint64_t                     stop_ops_at; /* the same */
    int                          quit;        /* atomic: the ops thread begins
                                              * nothing any more */

    unsigned                     started:1;   /* survey is durable */
    unsigned                     copied:1;    /* an older copy, perhaps */
    unsigned                     running:1;   /* the data plane moves */
    unsigned                     listed:1;    /* all metadata came once */
    unsigned                     begun:1;     /* survey, or go, has begun */
    unsigned                     resetting:1; /* a connection broke */
    unsigned                     stopping:1;
    unsigned                     failed:1;
    unsigned                     reset_wait:1;
    unsigned                     reset_stepped:1;  /* all is back, greeting */
    unsigned                     went:1;      /* all channels are placed */
    unsigned                     scan_unknown:1;  /* met one that is not
                                              * known to be on what */
    unsigned                     rdirty:1;
    unsigned                     op_posted:1, pump_posted:1;
    unsigned                     reset_posted:1, hello_busy:1, hello_again:1;
    unsigned                     distributed:1;   /* the target, surely */
    unsigned                     skip_poison:1;
    unsigned                     parked_show:1;   /* parked.json is older */
};

void cdc_repl_status_start(cdc_repl_t *r);
void cdc_repl_status(cdc_repl_t *r);     /* now */
/* a cause of degradation appears (text) or ends (NULL); logged once */
void cdc_repl_degraded(cdc_repl_t *r, unsigned cause, const char *text);
/* fatal: the task pauses with this reason */
void cdc_repl_fail(cdc_repl_t *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* this process ends, the task goes on in another */
void cdc_repl_no_memory(void) __attribute__((noreturn));
void cdc_repl_streaming(cdc_repl_t *r, const char *topic);   /* Milvus 2.6 */
void cdc_repl_pump(cdc_repl_t *r);       /* all channels, once per turn */
/* a request is in doubt: settle, from the track, on new connections */
void cdc_repl_reset(cdc_repl_t *r, const char *why);
/* everything that is needed is known: channels and operations move */
void cdc_repl_go(cdc_repl_t *r);
/* channels of the checkpoint that none of its collections needs */
void cdc_repl_unneeded(cdc_repl_t *r);

/* greets the target: does it answer, and what is its clock? */
void cdc_repl_hello(cdc_repl_t *r);
void cdc_repl_hello_due(cdc_repl_t *r);      /* again, after an outage */

void cdc_survey_start(cdc_repl_t *r);    /* cdc_survey.c; ends in go() */
void cdc_survey_read(void *data);        /* its streams, until it is done */

/* cdc_drift.c; gone: what was said about it is over */
void cdc_drift_start(cdc_repl_t *r);
void cdc_drift_gone(cdc_coll_t *c);

extern const cdc_meta_handler_t  cdc_catalogue_handler;  /* arg: repl */
void cdc_catalogue_queue(cdc_repl_t *r);         /* creates that are due */
void cdc_catalogue_lost(cdc_coll_t *c);  /* dropped before we followed it */
/* cdc_change.c: renamed, altered since? */
void cdc_change_look(cdc_coll_t *c, const cdc_meta_collection_t *m);
/* a rename that a crash interrupted comes first, whatever the source has */
void cdc_change_resume(cdc_coll_t *c);
int  cdc_catalogue_each(void *arg, const cdc_meta_collection_t *m);

#endif /* CDC_REPLICATOR_H_INCLUDED */
