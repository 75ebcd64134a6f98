/*
 * RocksDB's write-ahead logs, read without RocksDB.  For cdc_rocksmq*.c and
 * their tests only; all of it belongs to the reader's thread.
 */

#ifndef CDC_ROCKSMQ_WAL_H_INCLUDED
#define CDC_ROCKSMQ_WAL_H_INCLUDED

#include "cdc_base.h"


#define CDC_ROCKSMQ_BLOCK    32768       /* of a log; no part crosses its end */
#define CDC_ROCKSMQ_HEADER   7           /* of a part */
#define CDC_ROCKSMQ_WINDOW   (4 * CDC_ROCKSMQ_BLOCK)
#define CDC_ROCKSMQ_KEY      1024        /* longer keys are not RocksMQ's */
#define CDC_ROCKSMQ_BUCKETS  256


/* ---- cdc_rocksmq_crc.c --- */

uint32_t cdc_rocksmq_crc(const uint8_t *p, size_t len);

/* the table's way, for CPUs without the instruction and for the tests */
uint32_t cdc_rocksmq_crc_table(const uint8_t *p, size_t len);

#if defined(__x86_64__)

/* what RocksDB calls: "crc" is of what comes before */
uint32_t cdc_rocksmq_crc_extend(uint32_t crc, const char *p, size_t len)
    __asm__("_ZN7rocksdb6crc32c6ExtendEjPKcm")
    __attribute__((weak, visibility("default")));

#endif


/* ---- cdc_rocksmq_log.c: the parts of a log, or of a MANIFEST --- */

enum {
    CDC_ROCKSMQ_FULL = 1,
    CDC_ROCKSMQ_FIRST,
    CDC_ROCKSMQ_MIDDLE,
    CDC_ROCKSMQ_LAST
};


typedef struct {
    int                  fd;
    uint64_t             off;            /* of the part that comes next */
    uint64_t             bad_ms;         /* since when it is wrong; 0: is not */
} cdc_rocksmq_file_t;


/* what has been read of a file, shared by all of them */

typedef struct {
    uint8_t             *data;           /* CDC_ROCKSMQ_WINDOW */
    size_t               len;
    uint64_t             off;
    int                  fd;
} cdc_rocksmq_window_t;


typedef struct {
    unsigned             type;
    const uint8_t       *data;           /* until the next call */
    size_t               len;
    uint64_t             off;            /* of data in the file */
} cdc_rocksmq_part_t;


int  cdc_rocksmq_window_init(cdc_rocksmq_window_t *w);
void cdc_rocksmq_window_free(cdc_rocksmq_window_t *w);

/*
 * CDC_AGAIN: there is no whole part yet, or one whose checksum is wrong
 * ("bad_ms" is set then).  CDC_ERROR: it stays wrong though more has been
 * written behind it, or is of a kind that is not read (err).
 */
int  cdc_rocksmq_part(cdc_rocksmq_file_t *f, cdc_rocksmq_window_t *w,
    cdc_rocksmq_part_t *part, char *err);


/* ---- cdc_rocksmq_batch.c: what a record of a log says --- */

typedef enum {
    CDC_ROCKSMQ_PUT,
    CDC_ROCKSMQ_RANGE                    /* keys that are deleted */
} cdc_rocksmq_kind_t;


/* of the column family "default" only; key and end until it returns */

typedef struct {
    cdc_rocksmq_kind_t   kind;
    cdc_span_t           key;
    cdc_span_t           end;            /* RANGE: behind the last one */
    uint64_t             off;            /* PUT: of the value in the file */
    uint64_t             len;
} cdc_rocksmq_op_t;

typedef int (*cdc_rocksmq_op_pt)(void *arg, const cdc_rocksmq_op_t *op);


typedef struct {
    cdc_rocksmq_op_pt    handler;
    void                *arg;

    unsigned             state;
    unsigned             tag;
    unsigned             shift;
    uint64_t             number;         /* a varint so far */
    uint64_t             cf;
    uint64_t             left;           /* of a key or a value */
    uint64_t             off, len;       /* of the value */
    size_t               nhead, nkey, nend;
    uint64_t             nops;

    uint8_t              head[12];
    uint8_t              key[CDC_ROCKSMQ_KEY];
    uint8_t              end[CDC_ROCKSMQ_KEY];
} cdc_rocksmq_batch_t;


void cdc_rocksmq_batch_start(cdc_rocksmq_batch_t *b);

/* CDC_ERROR: it is not what RocksMQ writes, or the handler failed */
int  cdc_rocksmq_batch_add(cdc_rocksmq_batch_t *b, const uint8_t *p,
    size_t len, uint64_t off);

/* at its end: CDC_ERROR when something is missing */
int  cdc_rocksmq_batch_end(cdc_rocksmq_batch_t *b, uint64_t *seq,
    uint64_t *count);


/* ---- cdc_rocksmq_edit.c: from which log on a MANIFEST needs them --- */

typedef struct {
    char                 name[64];
    cdc_rocksmq_file_t   file;           /* fd -1: not open */
    uint8_t             *record;
    size_t               len, size;
    unsigned             within:1;       /* a record */
    uint64_t             next;           /* of a group that is not whole */
    uint64_t             log;            /* older ones are in tables */
    uint64_t             sequence;       /* of the last operation there */
} cdc_rocksmq_manifest_t;


void cdc_rocksmq_manifest_init(cdc_rocksmq_manifest_t *m);
void cdc_rocksmq_manifest_close(cdc_rocksmq_manifest_t *m);

/* reads on, of another file from its start; CDC_AGAIN: it is gone.
 * CDC_ERROR: err */
int  cdc_rocksmq_manifest_read(cdc_rocksmq_manifest_t *m, const char *dir,
    const char *name, cdc_rocksmq_window_t *w, char *err);

/* one edit of a MANIFEST; CDC_ERROR: it is not understood */
int  cdc_rocksmq_edit(cdc_rocksmq_manifest_t *m, const uint8_t *p,
    size_t len);


/* ---- cdc_rocksmq_topic.c: what lies in logs, by topic --- */

/* a message that lies in a log and has not been asked for */

typedef struct {
    uint64_t             id;
    uint64_t             off;
    uint32_t             len;
    uint32_t             log;            /* number */
} cdc_rocksmq_entry_t;


/* of a topic in one log */

typedef struct {
    uint64_t             log;
    uint64_t             first, last;
} cdc_rocksmq_ids_t;


typedef struct cdc_rocksmq_topic_s  cdc_rocksmq_topic_t;

struct cdc_rocksmq_topic_s {
    cdc_rocksmq_topic_t  *next;
    cdc_rocksmq_ids_t    *ids;           /* in the order of the logs */
    size_t                nids;
    uint64_t              purged;        /* those below it are deleted .. */
    uint64_t              purged_log;    /* .. as this log says */

    /* for a stream: messages from "from" on, entries[head .. tail) */
    cdc_rocksmq_entry_t  *entries;
    size_t                head, tail, size;
    uint64_t              from;
    uint64_t              lost;          /* 1 + the first one that went to
                                          * the tables; 0: none */
    uint64_t              pass;          /* when a stream last wanted it */
    unsigned              wanted:1;
    unsigned              fresh:1;       /* the logs are to be read again */

    size_t                len;
    char                  name[];
};


typedef struct {
    cdc_rocksmq_topic_t  *topics[CDC_ROCKSMQ_BUCKETS];
} cdc_rocksmq_topics_t;


int  cdc_rocksmq_digits(const uint8_t *p, size_t len, uint64_t *id);

/* "<topic>/<id>"; CDC_ERROR: it is another key */
int  cdc_rocksmq_key_parse(cdc_span_t key, cdc_span_t *topic, uint64_t *id);

/* NULL: no memory, or (create 0) there is none */
cdc_rocksmq_topic_t *cdc_rocksmq_topic(cdc_rocksmq_topics_t *topics,
    cdc_span_t name, int create);

/* CDC_ERROR: no memory */
int  cdc_rocksmq_topic_put(cdc_rocksmq_topic_t *t,
    const cdc_rocksmq_entry_t *e);
int  cdc_rocksmq_topic_keep(cdc_rocksmq_topic_t *t,
    const cdc_rocksmq_entry_t *e);
void cdc_rocksmq_topics_purge(cdc_rocksmq_topics_t *topics, cdc_span_t key,
    cdc_span_t end, uint64_t log);
void cdc_rocksmq_topics_drop(cdc_rocksmq_topics_t *topics, uint64_t log);
void cdc_rocksmq_topics_free(cdc_rocksmq_topics_t *topics);

/* keep its messages from this id on; or no longer */
void cdc_rocksmq_topic_want(cdc_rocksmq_topic_t *t, uint64_t from);
void cdc_rocksmq_topic_leave(cdc_rocksmq_topic_t *t);

/* the next one that is kept, or NULL */
const cdc_rocksmq_entry_t *cdc_rocksmq_topic_next(cdc_rocksmq_topic_t *t,
    uint64_t from);


/* ---- cdc_rocksmq_wal.c: all logs of a source --- */

typedef struct {
    uint64_t             number;
    uint64_t             end;            /* of the last whole record */
    cdc_rocksmq_file_t   file;
} cdc_rocksmq_log_t;


/* what a record says takes effect at its end */

typedef struct {
    cdc_rocksmq_topic_t  *topic;         /* NULL: of the range "keys" */
    cdc_rocksmq_entry_t   entry;
    char                 *keys;
    size_t                nkey, nend;
} cdc_rocksmq_event_t;


typedef struct {
    const char           *dir;
    cdc_rocksmq_window_t  window;

    cdc_rocksmq_log_t    *logs;          /* by number */
    size_t                nlogs;
    size_t                current;       /* the one that is read */
    uint64_t              at;            /* its number, while listing */

    cdc_rocksmq_batch_t   batch;
    unsigned              within:1;      /* a record */
    cdc_rocksmq_event_t  *events;
    size_t                nevents, size;

    uint64_t              sequence;      /* of the next record; 0: any */
    uint64_t              chain;         /* counts breaks in there */
    uint64_t              lists;         /* calls of list() */
    uint64_t              hole;          /* the one before a break; 0: none */

    cdc_rocksmq_topics_t  topics;
} cdc_rocksmq_wal_t;


int  cdc_rocksmq_wal_init(cdc_rocksmq_wal_t *wal, const char *dir);

/* as after init; "chain" goes on */
void cdc_rocksmq_wal_clear(cdc_rocksmq_wal_t *wal);
void cdc_rocksmq_wal_free(cdc_rocksmq_wal_t *wal);

/* opens the logs that are new, from number "from" on; CDC_ERROR: errno */
int  cdc_rocksmq_wal_list(cdc_rocksmq_wal_t *wal, uint64_t from);

/*
 * Reads on to the end of all logs that are open.  CDC_AGAIN: nothing more
 * before the next list() and drop().  CDC_ERROR: err.
 */
int  cdc_rocksmq_wal_read(cdc_rocksmq_wal_t *wal, char *err);

/* the tables hold what logs before this one say */
void cdc_rocksmq_wal_drop(cdc_rocksmq_wal_t *wal, uint64_t log);

/* they hold operations up to this one: has any of them not been read? */
void cdc_rocksmq_wal_check(cdc_rocksmq_wal_t *wal, uint64_t sequence);


/* ---- cdc_rocksmq_again.c --- */

/* what topics that are "fresh" keep; CDC_ERROR: err */
int  cdc_rocksmq_wal_again(cdc_rocksmq_wal_t *wal, char *err);

/* ids of the first message in logs that is left and of the last; 0: none */
int  cdc_rocksmq_wal_ends(cdc_rocksmq_wal_t *wal, cdc_rocksmq_topic_t *t,
    uint64_t *first, uint64_t *last, char *err);

/* the body of a message; CDC_ERROR: err */
int  cdc_rocksmq_wal_body(cdc_rocksmq_wal_t *wal,
    const cdc_rocksmq_entry_t *e, uint8_t *body, char *err);


#endif /* CDC_ROCKSMQ_WAL_H_INCLUDED */
