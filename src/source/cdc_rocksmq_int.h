/*
 * Shared by src/source/cdc_rocksmq*.c only.  "[thread]" marks what belongs to
 * the reader's own thread.
 */

#ifndef CDC_ROCKSMQ_INT_H_INCLUDED
#define CDC_ROCKSMQ_INT_H_INCLUDED

#include <pthread.h>
#include <sys/types.h>

#include "cdc_log_reader.h"
#include "cdc_rocksdb.h"
#include "cdc_rocksmq_wal.h"


/* bytes ahead: of a stream, from and to; of all of them (cdc_rocksmq_room.c) */
#define CDC_ROCKSMQ_PREFETCH    (1024 * 1024)
#define CDC_ROCKSMQ_MOST        (4 * 1024 * 1024)
#define CDC_ROCKSMQ_AHEAD       (8 * 1024 * 1024)
#define CDC_ROCKSMQ_LITTLE      (64 * 1024)     /* beyond that, of a stream */

#define CDC_ROCKSMQ_CACHE       (1024 * 1024)   /* of RocksDB's blocks */
#define CDC_ROCKSMQ_FILES       256      /* tables open at a time */

#define CDC_ROCKSMQ_PACE_MS     4        /* between two looks, while busy */
#define CDC_ROCKSMQ_IDLE_MS     200      /* without a word from inotify */
#define CDC_ROCKSMQ_FOLLOW_MS   1000     /* at most, while it speaks */
#define CDC_ROCKSMQ_LIVE_MS     250      /* since something came */
#define CDC_ROCKSMQ_RETRY_MS    200      /* until it is opened again */
#define CDC_ROCKSMQ_STEADY      50       /* tries to see a steady MANIFEST */
#define CDC_ROCKSMQ_TROUBLE     10       /* failed reads before a reopen */

#define CDC_ROCKSMQ_KEPT_MS     1000     /* memory that nobody asks for */
#define CDC_ROCKSMQ_NEWEST_MS   1000     /* between two looks at the end */

#define CDC_ROCKSMQ_ID_LEN      24       /* digits of an id, and more */


typedef struct cdc_rocksmq_msg_s  cdc_rocksmq_msg_t;

struct cdc_rocksmq_msg_s {
    cdc_rocksmq_msg_t   *next;
    uint64_t             id;
    size_t               len;
    size_t               size;           /* of its mapping; 0: malloc()'s */
    uint8_t              body[];
};


typedef struct {
    cdc_rocksmq_msg_t   *head;
    cdc_rocksmq_msg_t  **last;
    size_t               bytes;
} cdc_rocksmq_queue_t;


/* what tells that the source's files of metadata are as they were */

typedef struct {
    dev_t                dev;
    ino_t                dir;
    ino_t                manifest;
    off_t                size;
    char                 name[64];
} cdc_rocksmq_sign_t;


/* the source's database, as a secondary instance [thread] */

typedef struct {
    const char          *dir;            /* the source's, only read */
    const char          *own;            /* ours */
    rocksdb_options_t   *options;
    rocksdb_cache_t     *cache;
    rocksdb_t           *db;             /* NULL: not open */
    cdc_rocksmq_sign_t   sign;
    char                 identity[64];
    cdc_rocksmq_manifest_t  manifest;
    cdc_rocksmq_wal_t    wal;            /* what is not in tables yet */
    uint64_t             view;           /* counts states of the tables */
    unsigned             steady:1;       /* may be read */
    unsigned             known:1;        /* the tables are those of "sign" */
} cdc_rocksmq_db_t;


/* a question of ends(), on the stack of the thread that asks */

typedef struct cdc_rocksmq_ask_s  cdc_rocksmq_ask_t;

struct cdc_rocksmq_ask_s {
    cdc_rocksmq_ask_t   *next;
    const char          *channel;
    uint64_t             first, end;
    unsigned             taken:1;
    unsigned             done:1;
};


struct cdc_log_reader_s {
    cdc_loop_t          *loop;
    cdc_log_handler_t    handler;
    char                *dir, *own;
    size_t               prefetch;
    unsigned             fixed:1;        /* it was given */
    pthread_t            thread;
    int                  wake;           /* eventfd */
    cdc_post_t           post;
    char                 told[CDC_REASON_MAX];       /* main thread */

    pthread_mutex_t      mutex;          /* guards all down to "text" */
    pthread_cond_t       answered;
    cdc_log_stream_t    *streams;
    cdc_rocksmq_ask_t   *asks;
    size_t               bytes;          /* of all queues */
    unsigned             over:1;         /* they are to become less */
    unsigned             offered:1;      /* in this pass: "ask again" */
    unsigned             later:1;        /* who has something looks first */
    uint64_t             fills;          /* counts them; not 0 */
    unsigned             quit:1;
    char                 text[CDC_REASON_MAX];       /* what is wrong */

    cdc_rocksmq_db_t     db;             /* [thread], as the rest */
    int                  inotify;
    int                  watch;
    uint64_t             pass;
    uint64_t             retry_ms;       /* when to open again */
    int                  ill;            /* nothing to be read until then */
    unsigned             trouble;        /* failed reads in a row */
    uint64_t             read_ms;        /* when the logs were looked at */
    uint64_t             follow_ms;      /* and the tables */
    uint64_t             seen_ms;        /* when nothing more was to read */
    int                  live;           /* little time has passed since */
    int                  dirty;          /* something has been written */
    int                  changed;        /* logs or tables came or went */
    int                  untold;         /* a stream is ready */

    int                  started;        /* main thread */
};


struct cdc_log_stream_s {
    cdc_log_stream_t    *next;
    cdc_log_reader_t    *reader;
    void                *data;
    char                *channel;

    /* guarded by the reader's mutex */
    cdc_rocksmq_queue_t  queue;
    unsigned             busy:1;         /* the thread works on it */
    unsigned             stopped:1;      /* freed when no longer busy */
    unsigned             waiting:1;      /* next() said CDC_AGAIN */
    unsigned             ready:1;        /* readable() is due */
    unsigned             full:1;         /* there is more than fits */
    unsigned             end:1;          /* there was no more */
    uint64_t             pass;
    uint64_t             filled;         /* the reader's "fills" then .. */
    uint64_t             asked;          /* .. and when next() had nothing */
    uint64_t             newest;         /* id behind the last message that
                                          * was seen; 0: none was */
    uint64_t             left;           /* bytes up to there, behind those
                                          * in the queue */
    int                  final;          /* what next() returns for ever */
    char                 text[CDC_REASON_MAX];

    /* [thread] */
    uint64_t             newest_ms;      /* when "newest" was looked for */
    uint64_t             wanted;         /* the id that comes next, or behind */
    uint64_t             last;           /* id of the last one read; 0: none */
    cdc_rocksmq_topic_t *topic;
    uint64_t             chain;          /* of the logs when it was seen */
    uint64_t             view;           /* of the tables, likewise */
    unsigned             tables:1;       /* there may be some in them */
    unsigned             sure:1;         /* none before "wanted" is lost */
    size_t               prefix;         /* length of "<channel>/" */
    char                *key;            /* room for it and an id */
    char                *lower, *upper;
    rocksdb_readoptions_t  *options;
};


/* ---- cdc_rocksmq_db.c [thread] --- */

/* CDC_ERROR: it cannot be read now, err says what to do about it */
int  cdc_rocksmq_db_open(cdc_rocksmq_db_t *db, char *err);
void cdc_rocksmq_db_close(cdc_rocksmq_db_t *db);

/*
 * The newest state of the tables, and all logs that are not in there.
 * CDC_AGAIN: the source's files change too fast just now, nothing may be read
 * until the next call.  CDC_ERROR: to be opened anew.
 */
int  cdc_rocksmq_db_follow(cdc_rocksmq_db_t *db, char *err);

/* what the logs have by now; CDC_AGAIN: follow first.  CDC_ERROR: err */
int  cdc_rocksmq_db_read(cdc_rocksmq_db_t *db, char *err);

/* a message of RocksDB's, freed, with the cure where there is one */
void cdc_rocksmq_db_error(cdc_rocksmq_db_t *db, char *status, char *err);


/* ---- cdc_rocksmq_msg.c, on any thread --- */

cdc_rocksmq_msg_t *cdc_rocksmq_msg_create(uint64_t id, size_t len);
void cdc_rocksmq_msg_free(cdc_rocksmq_msg_t *m);

/* what is kept goes when nobody has asked for any in so many ms; how many
 * bytes are left */
size_t cdc_rocksmq_msg_tidy(uint64_t ms);


/* ---- cdc_rocksmq_room.c, with the mutex held --- */

/* the streams have become more */
void   cdc_rocksmq_room_share(cdc_log_reader_t *r);

/* a pass over the streams begins */
void   cdc_rocksmq_room_pass(cdc_log_reader_t *r);

/* how many bytes may be added to its queue; 0: none now, and if somebody
 * waits for some, he has been told to ask (again) */
size_t cdc_rocksmq_room(cdc_log_stream_t *s);

void   cdc_rocksmq_room_added(cdc_log_stream_t *s, size_t bytes);

/* 1: the thread is to be woken */
int    cdc_rocksmq_room_taken(cdc_log_stream_t *s, size_t bytes);
int    cdc_rocksmq_room_asked(cdc_log_stream_t *s);
int    cdc_rocksmq_room_looked(cdc_log_reader_t *r);     /* all who were told */


/* ---- cdc_rocksmq_read.c [thread] --- */

int  cdc_rocksmq_stream_init(cdc_log_stream_t *s);
void cdc_rocksmq_stream_free(cdc_log_stream_t *s);
void cdc_rocksmq_queue_init(cdc_rocksmq_queue_t *q);
void cdc_rocksmq_queue_clear(cdc_rocksmq_queue_t *q);

/* its topic, the place of each message that comes; CDC_ERROR: no memory */
int  cdc_rocksmq_attach(cdc_log_stream_t *s, uint64_t pass);

/* is there anything that has not been read? */
int  cdc_rocksmq_news(const cdc_log_stream_t *s);

/* a few short messages of the logs at most: filled in no time */
int  cdc_rocksmq_brief(const cdc_log_stream_t *s);

/*
 * Appends to q up to "room" bytes, and the message that goes over it.
 * CDC_OK: there may be more.  CDC_DONE: there is none now.
 * CDC_DECLINED: a gap, err names it.  CDC_ERROR: reading failed (err); what
 * is in q is good all the same.
 */
int  cdc_rocksmq_fill(cdc_log_stream_t *s, cdc_rocksmq_queue_t *q, size_t room,
    char *err);

/* how many bytes that has; of what is in tables, as far as RocksDB knows */
uint64_t cdc_rocksmq_behind(cdc_log_stream_t *s);

/* ids of the first message and behind the last one; 0 both: there is none */
int  cdc_rocksmq_range(cdc_log_reader_t *r, const char *channel,
    uint64_t *first, uint64_t *end, char *err);


/* ---- cdc_rocksmq_follow.c --- */

void *cdc_rocksmq_thread(void *arg);


#endif /* CDC_ROCKSMQ_INT_H_INCLUDED */
