/*
 * A task as every process sees it: the record that the store sends to the
 * supervisor, and the status that a replicator reports.  Fixed-size, no
 * pointers: both travel in frames and lie in the shared zone as they are.
 */

#ifndef CDC_TASK_H_INCLUDED
#define CDC_TASK_H_INCLUDED

#include <string.h>

#include "cdc_base.h"
#include "cdc_progress.h"


#define CDC_OBJECT_MAX   320             /* "<database>.<name>", cut */

/* reasons of a pause that somebody wanted, in the existing service's words;
 * the console's task.js has them as well, and t/190 compares the two */

#define CDC_REASON_BY_REQUEST  "manually pause through http interface"
#define CDC_REASON_NO_START    "the task is disabled auto start"


typedef enum {
    CDC_TASK_INITIAL = 0,                /* values of the existing service */
    CDC_TASK_RUNNING = 1,
    CDC_TASK_PAUSED = 2
} cdc_task_state_e;


typedef struct {
    char      task_id[CDC_TASK_ID_MAX + 1];
    char      reason[CDC_REASON_MAX];    /* why paused; "" when running */
    uint64_t  revision;                  /* grows with each change of a task */
    uint64_t  created_ms;                /* list order; Unix ms */
    uint32_t  state;                     /* cdc_task_state_e */
    uint32_t  list_len;
    uint32_t  get_len;

    /*
     * The public JSON object of the task without "state" and "reason", in
     * two shapes (get adds "enable_tls" to the earlier form); made by the
     * store, secrets left out.
     */
    char      list_doc[CDC_DOC_MAX];
    char      get_doc[CDC_DOC_MAX];
} cdc_task_record_t;


/*
 * What a replicator reports, twice a second and at each change.
 *
 * lag_ms is the source's clock, as its time ticks show it, minus the newest
 * tick up to which all is acknowledged, of the channel that is behind most.
 * CDC_UNKNOWN stands for what is not known.
 */

#define CDC_LIVE_MS  2000                /* the lag of what is live is less */


typedef struct {
    uint64_t  updated_ms;                /* Unix ms of this report */
    uint64_t  lag_ms;
    uint64_t  checkpoint_ms;             /* Unix ms of the last checkpoint */
    uint64_t  rows_in, rows_out;         /* since the task was created */
    uint64_t  bytes_in, bytes_out;
    uint64_t  requests;                  /* to the target */
    uint64_t  retries;
    uint64_t  rows_skipped;              /* of objects that are gone */
    uint64_t  rows_settled;              /* sent again as delete + insert */
    uint64_t  rows_equal;                /* of these, whose key another has:
                                          * one of each is left */
    uint64_t  doubts;                    /* requests without an answer */
    uint64_t  operations;                /* DDL and such, applied */
    uint64_t  buffered;                  /* bytes read and not acknowledged */
    uint64_t  degraded_since_ms;         /* 0: healthy */
    uint64_t  next_try_ms;               /* Unix ms; 0: none is due, or it is
                                          * not known when */
    uint64_t  parked;                    /* messages, see cdc_parked.h */
    uint32_t  collections;               /* that are being followed */
    uint32_t  channels;
    uint32_t  live;                      /* 1: no backlog, and no lag to
                                          * speak of */
    uint32_t  pad;
    char      degraded[CDC_REASON_MAX];  /* cause while degraded, else "" */

    uint64_t  errors;                    /* causes of degradation, ever */
    uint64_t  backlog;                   /* bytes in the log, an estimate */
    uint64_t  catch_up_ms;
    uint64_t  retention_ms;              /* for how long the log keeps what
                                          * was written */
    uint64_t  rows_rate, bytes_rate;     /* out, thousandths per second */
    uint64_t  rss;                       /* bytes, of the replicator */
    uint64_t  cpu_ms;
    uint32_t  pid;
    uint32_t  copy;                      /* thousandths of the first copy */
    uint32_t  source_ok, target_ok;      /* 0: what is broken just now */
    char      source[CDC_MAX_NAME_LEN + 1];      /* name of its block */
    char      version[64];               /* the target's */
    uint64_t  operation_ms;              /* of the last one; 0: none */
    char      operation[32];
    char      object[CDC_OBJECT_MAX];
    uint64_t  error_ms;                  /* of the last one; 0: none */
    char      error[CDC_REASON_MAX];
} cdc_task_status_t;


/* 1: a task that is paused for that reason is well */

static inline int
cdc_reason_wanted(const char *reason)
{
    return strcmp(reason, CDC_REASON_BY_REQUEST) == 0
           || strcmp(reason, CDC_REASON_NO_START) == 0;
}


#endif /* CDC_TASK_H_INCLUDED */
