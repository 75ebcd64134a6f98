/*
 * What a replicator measures to show it (src/replicator/cdc_progress.c).
 */

#ifndef CDC_MEASURE_H_INCLUDED
#define CDC_MEASURE_H_INCLUDED

#include "cdc_progress.h"


#define CDC_SAMPLES  11                  /* at two a second: five seconds */

typedef struct {
    uint64_t             at;             /* cdc_now_ms() */
    uint64_t             rows, bytes, backlog, lag_ms;
} cdc_sample_t;

typedef struct {
    int64_t              clock;          /* the source's - cdc_now_ms(); 0:
                                          * not known */
    int64_t              clock_best;     /* the same in this window */
    uint64_t             clock_until;    /* of the window, cdc_now_ms() */
    cdc_sample_t         samples[CDC_SAMPLES];
    size_t               nsamples;       /* ever */
    cdc_task_progress_t  progress;
    unsigned             clock_known:1;
    unsigned             behind:1;
} cdc_measure_t;

/* of one collection, since the task was created */

typedef struct {
    uint64_t         rows_in, rows_out;
    uint64_t         bytes_in, bytes_out;
} cdc_count_t;

/* what happened to it last; Unix ms, 0: nothing yet */

typedef struct {
    uint64_t         operation_ms, error_ms;
    char             operation[CDC_COLL_OPERATION];
    char            *error;              /* NULL: none */
} cdc_last_t;


#endif /* CDC_MEASURE_H_INCLUDED */
