/*
 * Protobuf on the wire: walking envelopes and splicing messages without
 * decoding what they carry (src/wire/).
 *
 * Field numbers are those of proto/milvus_*.proto.  Everything here is pure
 * memory work: no I/O, no globals, safe on any thread as long as one object
 * is used by one thread at a time.  Input comes from the network: every
 * length is checked, nothing recurses, and a malformed message is CDC_ERROR
 * and leaves the outputs undefined.
 */

#ifndef CDC_WIRE_H_INCLUDED
#define CDC_WIRE_H_INCLUDED

#include "cdc_base.h"


/* common.MsgType, the values that we meet */

enum {
    CDC_MSG_CREATE_COLLECTION = 100,
    CDC_MSG_DROP_COLLECTION = 101,
    CDC_MSG_LOAD_COLLECTION = 106,
    CDC_MSG_RELEASE_COLLECTION = 107,
    CDC_MSG_CREATE_ALIAS = 108,
    CDC_MSG_DROP_ALIAS = 109,
    CDC_MSG_ALTER_ALIAS = 110,
    CDC_MSG_ALTER_COLLECTION = 111,
    CDC_MSG_RENAME_COLLECTION = 112,
    CDC_MSG_ALTER_COLLECTION_FIELD = 115,
    CDC_MSG_CREATE_PARTITION = 200,
    CDC_MSG_DROP_PARTITION = 201,
    CDC_MSG_LOAD_PARTITIONS = 205,
    CDC_MSG_RELEASE_PARTITIONS = 206,
    CDC_MSG_CREATE_INDEX = 300,
    CDC_MSG_DROP_INDEX = 302,
    CDC_MSG_ALTER_INDEX = 304,
    CDC_MSG_INSERT = 400,
    CDC_MSG_DELETE = 401,
    CDC_MSG_FLUSH = 402,
    CDC_MSG_IMPORT = 408,
    CDC_MSG_TIME_TICK = 1200,
    CDC_MSG_REPLICATE = 1212,
    CDC_MSG_RBAC_FIRST = 1500,           /* credentials, roles, privileges */
    CDC_MSG_RBAC_LAST = 1699,
    CDC_MSG_CREATE_DATABASE = 1801,
    CDC_MSG_DROP_DATABASE = 1802,
    CDC_MSG_ALTER_DATABASE = 1804,
    CDC_MSG_ADD_COLLECTION_FIELD = 1900
};


/* ---- primitive walking -------------------------------------------- */

typedef struct {
    uint32_t     number;
    uint32_t     wire_type;              /* 0 varint, 1 i64, 2 len, 5 i32 */
    uint64_t     value;                  /* of 0, 1 and 5 */
    cdc_span_t   body;                   /* of 2, without tag and length */
    cdc_span_t   raw;                    /* the whole field, tag included */
} cdc_field_t;

/* the next field at *in, which moves behind it; CDC_DONE at the end */
int  cdc_wire_next(cdc_span_t *in, cdc_field_t *f);

/* the varint at *in, which moves behind it; CDC_ERROR: there is none */
int  cdc_wire_read_varint(cdc_span_t *in, uint64_t *value);
/* writes a varint to p (10 bytes at most), returns its length */
size_t cdc_wire_varint(uint8_t *p, uint64_t value);


/* ---- chains ------------------------------------------------------- */

/*
 * Bytes to be sent: borrowed spans (of log messages) and small owned ones,
 * in order.  Reference-counted, because gRPC may hold slices for a moment
 * after a call has ended: release() of each holder runs when the last
 * reference goes, on whatever thread that happens.
 */

typedef struct cdc_chain_s  cdc_chain_t;

cdc_chain_t *cdc_chain_create(void);
void cdc_chain_ref(cdc_chain_t *c);
void cdc_chain_unref(cdc_chain_t *c);

/* after CDC_ERROR the caller still owns data: release() is not called */
int  cdc_chain_hold(cdc_chain_t *c, void (*release)(void *data), void *data);

/* true once something could not be added for want of memory: what a function
 * that adds to the chain says then is about that, not about the message */
int  cdc_chain_starved(const cdc_chain_t *c);

size_t cdc_chain_bytes(const cdc_chain_t *c);
size_t cdc_chain_count(const cdc_chain_t *c);
cdc_span_t cdc_chain_span(const cdc_chain_t *c, size_t i);

int  cdc_chain_add(cdc_chain_t *c, cdc_span_t borrowed);
int  cdc_chain_copy(cdc_chain_t *c, cdc_span_t bytes);   /* small ones */
uint8_t *cdc_chain_alloc(cdc_chain_t *c, size_t len);    /* owned, appended */

int  cdc_chain_varint_field(cdc_chain_t *c, uint32_t number, uint64_t value);
int  cdc_chain_bytes_field(cdc_chain_t *c, uint32_t number, cdc_span_t bytes);

/* a length-delimited field around all that is added until close */
int  cdc_chain_open(cdc_chain_t *c, uint32_t number, size_t *mark);
void cdc_chain_close(cdc_chain_t *c, size_t mark);

/* takes back all that was added since save(); no field opened in between may
 * be closed after that.  Spans and marks from before save() stay valid. */

typedef struct {
    size_t       nspans;
    size_t       last_len;               /* of the last span */
    size_t       bytes;
} cdc_chain_pos_t;

void cdc_chain_save(const cdc_chain_t *c, cdc_chain_pos_t *pos);
void cdc_chain_rollback(cdc_chain_t *c, const cdc_chain_pos_t *pos);

/* one contiguous malloc()ed copy, for small messages, tests, LevelDB */
uint8_t *cdc_chain_flatten(const cdc_chain_t *c, size_t *len);


/* ---- data channel messages ---------------------------------------- */

typedef struct {
    int32_t      type;                   /* CDC_MSG_* */
    uint64_t     ts;                     /* of the first row, if there is
                                          * one, else base.timestamp: an
                                          * upsert's insert has 0 there */
    int64_t      collection_id;          /* 0 when absent */
    int64_t      partition_id;           /* -1: none given; 0: absent */
    uint64_t     rows;                   /* insert, delete: as it claims */
    cdc_span_t   shard_name;
    cdc_span_t   raw;                    /* the whole message, borrowed */
} cdc_envelope_t;

/*
 * Reads base and the few top-level fields above; other fields are skipped by
 * their length.  Insert 400, Delete 401, DropCollection 101, DropPartition
 * 201, CreateCollection 100, CreatePartition 200, Import 408, TimeTick 1200;
 * of other types only type and ts are filled in.
 */
int  cdc_wire_envelope(cdc_span_t msg, cdc_envelope_t *env);


/*
 * What a message gets on the target.  Spans are copied.  stamp 0 keeps the
 * timestamps; otherwise base.timestamp and every row's timestamp become
 * stamp, and base.msgID is msg_id, one that no other message has: the
 * consumers of a Milvus drop, of two inserts or deletes with equal ids under
 * one tick, the second, which would be the restamped one.
 */

typedef struct {
    cdc_span_t   db_name;
    cdc_span_t   collection_name;
    cdc_span_t   partition_name;         /* DropPartition only */
    cdc_span_t   shard_name;
    int64_t      collection_id;
    int64_t      partition_id;
    const int64_t *partition_ids;        /* Import only: the target's, in the
                                          * order of the message's own */
    unsigned     npartition_ids;
    uint64_t     stamp;
    uint64_t     msg_id;                 /* with a stamp */
} cdc_rewrite_t;

/*
 * Appends the message (body only, no tag) with ids, names and shard replaced
 * per rw and everything else, unknown fields too, spliced from env->raw.
 * Insert's partition_name and Delete's stay as they are.  An empty name and
 * the id 0 are their field's default and therefore left out.
 *
 * Insert, Delete, DropCollection, CreatePartition, DropPartition, Import (its
 * partition ids by cdc_rewrite_t.partition_ids); other types are
 * CDC_DECLINED.  After anything but CDC_OK the chain is as before, so one
 * bad message does not spoil the request that it was meant for; this holds
 * for the other functions of this section and for operations, too.
 */
int  cdc_wire_rewrite(cdc_chain_t *out, const cdc_envelope_t *env,
    const cdc_rewrite_t *rw);

/*
 * For settling: appends a DeleteRequest of all primary keys of the insert
 * env at rw->stamp (which must not be 0), limited to rw->partition_id.
 * pk_field_id names the field; its values are spliced, not decoded.
 * CDC_DECLINED when the insert has no such field or no rows; CDC_ERROR when
 * it holds another number of keys than of rows.
 */
int  cdc_wire_delete_of_insert(cdc_chain_t *out, const cdc_envelope_t *env,
    const cdc_rewrite_t *rw, int64_t pk_field_id);

/*
 * Calls fn for each primary key of an insert or a delete, in order: 8 bytes
 * of a number, the text of a string; valid during the call.  CDC_DECLINED:
 * the insert has no such field, or the delete no keys.
 */
typedef void (*cdc_wire_key_pt)(void *arg, cdc_span_t key);

int  cdc_wire_each_key(const cdc_envelope_t *env, int64_t pk_field_id,
    cdc_wire_key_pt fn, void *arg);

/* the partition ids of an Import, in order; CDC_DECLINED: more than max */
int  cdc_wire_import_partitions(const cdc_envelope_t *env, int64_t *ids,
    unsigned max, unsigned *n);

/* appends a TimeTickMsg: base{type 1200, timestamp, sourceID -1} */
int  cdc_wire_tick(cdc_chain_t *out, uint64_t ts);


/* ---- ReplicateMessageRequest -------------------------------------- */

/*
 * begin: base{replicateInfo{isReplicate}}, channel_name, BeginTs, EndTs; then
 * each message between msg_open and msg_close (field 5).
 */
int  cdc_wire_replicate_begin(cdc_chain_t *out, cdc_span_t channel,
    uint64_t begin_ts, uint64_t end_ts);
int  cdc_wire_msg_open(cdc_chain_t *out, size_t *mark);
void cdc_wire_msg_close(cdc_chain_t *out, size_t mark);


/* ---- schemas ------------------------------------------------------ */

/*
 * Could the rows of a collection "mine" (the source's) be rows of "theirs"
 * (serialized CollectionSchemas)?  CDC_DECLINED: no, diff names each
 * difference: field by name, what it is in each.  System fields and $meta,
 * descriptions and the order of fields do not count; the ids of fields do,
 * where both have them, because rows name their fields by id.  A max_length
 * or max_capacity may be larger in theirs.  CDC_ERROR: one does not parse.
 */
int  cdc_schema_compare(cdc_span_t mine, cdc_span_t theirs,
    char diff[CDC_REASON_MAX]);


/* ---- operations (replicate channel) ------------------------------- */

#define CDC_OP_NAMES_MAX  64

typedef struct {
    int32_t      type;
    uint64_t     ts;
    cdc_span_t   db_name;                /* "" means "default" */
    cdc_span_t   names[CDC_OP_NAMES_MAX];  /* collections; several in Flush */
    unsigned     nnames;
    cdc_span_t   new_db, new_name;       /* RenameCollection; "": db_name.
                                          * rewrite() leaves these as they
                                          * are: where names differ on the
                                          * target, rename_collection() */
    unsigned     known:1;                /* a row of the operation table;
                                          * else only type and ts are set */
    cdc_span_t   raw;
} cdc_op_envelope_t;

/* one table in src/wire/cdc_wire_op.c: type, gRPC method, field numbers of
 * db_name and the collection name(s), the type of the answer */
typedef struct {
    int32_t      type;
    const char  *method;                 /* full gRPC path */
    const char  *name;                   /* for logs: "CreateIndex" */
    uint32_t     db_field;
    uint32_t     name_field;             /* 0: concerns a database only;
                                          * DropAlias: the alias */
    uint32_t     id_field;               /* the source's id of the object:
                                          * left out; 0: none.  2.4 and 2.5
                                          * give AlterDatabase's as text */
    unsigned     names_repeated:1;
    unsigned     status_nested:1;        /* answer holds status as field 1 */
} cdc_op_row_t;

const cdc_op_row_t *cdc_wire_op_row(int32_t type);

/* CDC_DECLINED: more than CDC_OP_NAMES_MAX names */
int  cdc_wire_op_envelope(cdc_span_t msg, cdc_op_envelope_t *op);

/*
 * Appends the request with base replaced by base{type, replicateInfo
 * {isReplicate, msgTimestamp = ts}}, db_name set, and (when names is not
 * NULL) the collection names replaced; the rest is spliced.  CDC_DECLINED:
 * op is not known.  CDC_ERROR: several names for an operation that takes one.
 */
int  cdc_wire_op_rewrite(cdc_chain_t *out, const cdc_op_envelope_t *op,
    uint64_t ts, cdc_span_t db_name, const cdc_span_t *names, unsigned nnames);


#endif /* CDC_WIRE_H_INCLUDED */
