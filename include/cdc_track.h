/*
 * Positions of one channel: which of its messages are done, and whether the
 * log is still the same one (src/replicator/cdc_track.c).
 */

#ifndef CDC_TRACK_H_INCLUDED
#define CDC_TRACK_H_INCLUDED

#include <jansson.h>

#include "cdc_base.h"
#include "cdc_log_reader.h"


/*
 * Which messages of one channel are done.  A message gets a number when it
 * is read (add) and is done once its effect is on the target for good.
 * Everything before "next" is done.
 */

typedef struct {
    cdc_pos_t      pos;
    uint32_t       sum;                  /* of the message; 0: not known */
    unsigned       done:1;
} cdc_mark_t;

typedef struct {
    cdc_pos_t      first, last;
} cdc_interval_t;

typedef struct {
    cdc_pos_t      next;
    uint32_t       before;               /* sum of the message before next:
                                          * is the log still the same one? */
    unsigned       ask:1;                /* that one is read once more */
    unsigned       trust:1;              /* not this time: it is gone */
    cdc_mark_t    *ring;
    size_t         cap;                  /* a power of two */
    uint64_t       head, tail;           /* numbers; head is the oldest */
    cdc_interval_t *known;               /* done before, from a checkpoint */
    size_t         nknown;
} cdc_track_t;

int  cdc_track_add(cdc_track_t *t, cdc_pos_t pos, uint64_t *number);
void cdc_track_sum(cdc_track_t *t, uint64_t number, cdc_span_t body);
void cdc_track_place(cdc_track_t *t, cdc_pos_t next);
/* where to read from: at next, or at the message before it when the reader's
 * positions may mean another message after a while */
cdc_pos_t cdc_track_from(cdc_track_t *t, const cdc_log_reader_ops_t *ops);
/* 1: it is that message, as it was; 0: it is behind it; -1: another one */
int  cdc_track_same(cdc_track_t *t, const cdc_log_msg_t *msg);
void cdc_track_done(cdc_track_t *t, uint64_t number);
int  cdc_track_known(const cdc_track_t *t, cdc_pos_t pos);
cdc_pos_t cdc_track_end(const cdc_track_t *t);   /* behind what was read */
void cdc_track_free(cdc_track_t *t);

/* {"next": [hi, lo], "done": [[hi, lo, hi, lo], ..]} */
json_t *cdc_track_save(const cdc_track_t *t);
int  cdc_track_load(cdc_track_t *t, const json_t *json);
void cdc_track_rewind(cdc_track_t *t);   /* what is done becomes "known" */

json_t *cdc_pos_json(cdc_pos_t pos);
int  cdc_pos_from_json(const json_t *json, cdc_pos_t *pos);
cdc_pos_t cdc_pos_next(cdc_pos_t pos, uint64_t n);


#endif /* CDC_TRACK_H_INCLUDED */
