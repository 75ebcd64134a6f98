/*
 * Shared by src/source/cdc_kafka*.c only.
 */

#ifndef CDC_KAFKA_INT_H_INCLUDED
#define CDC_KAFKA_INT_H_INCLUDED

#include <pthread.h>

#include <librdkafka/rdkafka.h>

#include "cdc_log_reader.h"


#define CDC_KAFKA_PREFETCH  512          /* KB that may wait in a stream */
#define CDC_KAFKA_ANSWER    (1024 * 1024)        /* for it in one answer:
                                                 * cdc_kafka_conf.c */
#define CDC_KAFKA_LARGEST   (2 * 1024 * 1024)   /* until one is known */
#define CDC_KAFKA_SMALL     4096         /* messages up to it are copied */
#define CDC_KAFKA_COPIED    (512 * 1024) /* the same, memory is tight */
#define CDC_KAFKA_WAKE      (256 * 1024)
#define CDC_KAFKA_WAKE_N    256
#define CDC_KAFKA_PROBE_MS  500
#define CDC_KAFKA_ASK_MS    1000
#define CDC_KAFKA_SOCKETS   32           /* of them are paced */
#define CDC_KAFKA_UNPACED   (~0U)


typedef struct {
    void                *align;
    uint8_t              body[];
} cdc_kafka_copy_t;


struct cdc_log_reader_s {
    cdc_loop_t          *loop;
    cdc_log_handler_t    handler;
    rd_kafka_t          *rk;
    rd_kafka_queue_t    *main_queue;     /* errors come here */
    cdc_event_t          main;
    cdc_log_stream_t    *streams;
    cdc_log_stream_t    *stopped;        /* whose job still runs */
    cdc_event_t          ready;          /* cdc_kafka_ready.c */
    cdc_event_t          nap;            /* a timer's */
    cdc_log_stream_t    *look;           /* the next that is looked at */
    uint64_t             busy_at;        /* more than a tick was taken */
    uint64_t             nap_until;      /* any thread; 0: awake */
    int                  told;           /* any thread; "ready" is written, or
                                          * "nap" set */

    pthread_mutex_t      pace_mutex;     /* cdc_kafka_pace.c; guards */
    int                  sockets[CDC_KAFKA_SOCKETS];     /* -1: none */
    unsigned             rate;           /* bytes/s that each may send */

    cdc_log_stream_t    *waiting;        /* for their turn */
    cdc_timer_t          turn;
    size_t               largest;        /* of the last messages taken */
    cdc_worker_t        *worker;

    char                *brokers;
    char                *user, *password;

    cdc_timer_t          probe;          /* while down */
    cdc_job_t            probe_job;
    rd_kafka_resp_err_t  probe_rc;
    unsigned             down:1;

    char                *keep_topic;     /* cdc_kafka_keep.c */
    cdc_timer_t          keep_timer;
    cdc_job_t            keep_job;
    int64_t              keep, keep_asked;       /* ms; -1: not known */
    int                  keep_failed;

    char                *newest_topic;   /* cdc_kafka_newest.c; asked for */
    cdc_timer_t          newest_timer;
    cdc_job_t            newest_job;
    int64_t              newest;         /* -1: no answer */

    char                 cause[CDC_REASON_MAX];
    char                 text[CDC_REASON_MAX];
};


struct cdc_log_stream_s {
    cdc_log_stream_t    *next;
    cdc_log_reader_t    *reader;
    void                *data;
    char                *channel;
    rd_kafka_topic_t    *topic;
    rd_kafka_queue_t    *queue;
    int                  ready;          /* any thread; see there */
    int64_t              next_offset;    /* of the next message wanted */
    size_t               taken, taken_n; /* since the last wake-up */
    uint64_t             taken_ms;       /* when the last one was */
    uint64_t             newest_ms;      /* when "newest" was asked for */
    int64_t              newest;         /* offset of the next message that
                                          * is written; 0: see librdkafka */

    cdc_log_stream_t    *wait_next;      /* cdc_kafka_turn.c */
    uint64_t             asked_at;       /* next() was called, or might be */
    uint64_t             fetch_at;       /* its last answer was taken */
    uint64_t             turn_at;        /* the first of its turn was taken */
    size_t               turn;           /* bytes taken in it */
    size_t               largest;        /* of its last messages */

    cdc_job_t            job;            /* asks for lo and hi */
    cdc_timer_t          retry;          /* of it */
    rd_kafka_resp_err_t  range_rc;
    int64_t              lo, hi;

    rd_kafka_resp_err_t  last_err;       /* that has been logged */
    unsigned             end:1;
    unsigned             full:1;         /* there may be something to take */
    unsigned             live:1;         /* was at its end in this turn */
    unsigned             waits:1;        /* for its turn */
    unsigned             paused:1;       /* its turn is over */
    unsigned             asking:1;
    unsigned             missing:1;      /* it was said that there is none */
    unsigned             denied:1;       /* that it may not be read */
    unsigned             stopped:1;
    int                  final;          /* what next() returns for ever */
    char                 text[CDC_REASON_MAX];
};


/* NULL with err; fills in brokers, user and password */
rd_kafka_conf_t *cdc_kafka_conf(cdc_log_reader_t *r, const void *conf,
    char *err);
void cdc_kafka_conf_free(cdc_log_reader_t *r);

/* a channel is read: how long are its messages kept? (cdc_kafka_keep.c) */
void cdc_kafka_keep_start(cdc_log_reader_t *r, const char *channel);
int  cdc_kafka_retention(cdc_log_stream_t *s, uint64_t *ms);

/* streams that nobody takes from: where does the log end? */
void cdc_kafka_newest_start(cdc_log_reader_t *r);

/* which streams have something to take; -1 in ready.fd before open */
int  cdc_kafka_ready_open(cdc_log_reader_t *r);
void cdc_kafka_ready_close(cdc_log_reader_t *r);
void cdc_kafka_ready_start(cdc_log_stream_t *s);
void cdc_kafka_ready_stop(cdc_log_stream_t *s);
void cdc_kafka_ready_taken(cdc_log_stream_t *s, size_t len);

/* how often a broker is asked (cdc_kafka_pace.c) */
void cdc_kafka_pace_conf(cdc_log_reader_t *r, rd_kafka_conf_t *kc);
void cdc_kafka_pace(cdc_log_reader_t *r, int idle);

/* cdc_kafka.c */
void cdc_kafka_readable(cdc_log_stream_t *s);    /* may stop any stream */
void cdc_kafka_wake(cdc_log_reader_t *r);
int  cdc_kafka_consume(cdc_log_stream_t *s, int64_t offset, char *err);
void cdc_kafka_unconsume(cdc_log_stream_t *s);
void cdc_kafka_stream_free(cdc_log_stream_t *s);

int  cdc_kafka_event_error(cdc_log_stream_t *s,
    const rd_kafka_message_t *rkm);
int  cdc_kafka_end(cdc_log_stream_t *s, cdc_pos_t *pos);
int  cdc_kafka_at_end(cdc_log_stream_t *s);

/* without a queue or paused, a stream does not fetch: next() asks for a
 * turn */
void cdc_kafka_turn_new(cdc_log_stream_t *s);
void cdc_kafka_turn_none(cdc_log_stream_t *s);
void cdc_kafka_turn_ask(cdc_log_stream_t *s);
void cdc_kafka_turn_leave(cdc_log_stream_t *s);
void cdc_kafka_turn_taken(cdc_log_stream_t *s, size_t len);
void cdc_kafka_turn_full(cdc_log_reader_t *r);
void cdc_kafka_turn_empty(cdc_log_stream_t *s);
void cdc_kafka_turn_drop(cdc_log_stream_t *s);

/* cdc_kafka_range.c: next() has nothing until the answer is there */
void cdc_kafka_range_ask(cdc_log_stream_t *s);
int  cdc_kafka_unknown(rd_kafka_resp_err_t err);
void cdc_kafka_denied(cdc_log_stream_t *s);      /* degraded, once */
void cdc_kafka_allowed(cdc_log_stream_t *s);     /* that ends, if it was so */
void cdc_kafka_well(cdc_log_reader_t *r);        /* unless others are not */
void cdc_kafka_all_ends(cdc_log_reader_t *r, cdc_log_ends_t *all, size_t n,
    unsigned ms);


#endif /* CDC_KAFKA_INT_H_INCLUDED */
