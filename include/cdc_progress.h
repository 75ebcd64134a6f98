/*
 * What a replicator tells beside its status: its collections, and what
 * happened.  Fixed-size as cdc_task.h: frames, and the shared zone.
 */

#ifndef CDC_PROGRESS_H_INCLUDED
#define CDC_PROGRESS_H_INCLUDED

#include "cdc_base.h"


#define CDC_PROGRESS_COLLS   64
#define CDC_PROGRESS_NAMES   12288       /* bytes for all their names */
#define CDC_PROGRESS_TEXTS   3072        /* the same for their errors */
#define CDC_PROGRESS_EVENTS  32
#define CDC_COLL_OPERATION   20
#define CDC_COLL_ERROR       160         /* longer ones are cut */
#define CDC_EVENT_TEXT       148

#define CDC_UNKNOWN          UINT64_MAX  /* of a number that is not known */


typedef enum {
    CDC_EVENT_CREATED = 0,
    CDC_EVENT_STARTED,
    CDC_EVENT_PAUSED,
    CDC_EVENT_RESUMED,
    CDC_EVENT_RESTARTED,
    CDC_EVENT_DEGRADED,
    CDC_EVENT_RECOVERED,
    CDC_EVENT_CAUGHT_UP,
    CDC_EVENT_FAILED,
    CDC_EVENT_OPERATION,
    CDC_EVENT_KINDS
} cdc_event_kind_e;


typedef enum {
    CDC_PROGRESS_CREATING = 0,           /* not on the target yet */
    CDC_PROGRESS_COPYING,                /* what was there before the task */
    CDC_PROGRESS_LIVE,
    CDC_PROGRESS_DROPPING,
    CDC_PROGRESS_STATES
} cdc_progress_state_e;


typedef struct {
    uint64_t  at_ms;                     /* Unix ms */
    uint32_t  kind;                      /* cdc_event_kind_e */
    char      text[CDC_EVENT_TEXT];
} cdc_task_event_t;


typedef struct {
    uint64_t  rows_in, rows_out;         /* since the task was created */
    uint64_t  bytes_in, bytes_out;
    uint64_t  lag_ms;
    uint32_t  copy;                      /* thousandths of the first copy */
    uint32_t  state;                     /* cdc_progress_state_e */
    uint32_t  names;                     /* within names[]: database and name,
                                          * each with its zero byte */
    uint32_t  target;                    /* the same on the target */
    uint64_t  operation_ms;              /* of the last one; 0: none */
    uint64_t  error_ms;                  /* of the last one; 0: none */
    uint32_t  error;                     /* within texts[] */
    char      operation[CDC_COLL_OPERATION];
} cdc_progress_coll_t;


/* those with the largest lag first; names are never cut: one whose names
 * find no more room is left out.  Texts that are the same are there once;
 * the one at 0 is "", and stands for those that find no more room */

typedef struct {
    uint64_t             updated_ms;
    uint32_t             ncolls;
    uint32_t             names_len;
    uint32_t             texts_len;
    uint32_t             pad;
    cdc_progress_coll_t  colls[CDC_PROGRESS_COLLS];
    char                 names[CDC_PROGRESS_NAMES];
    char                 texts[CDC_PROGRESS_TEXTS];
} cdc_task_progress_t;


#endif /* CDC_PROGRESS_H_INCLUDED */
