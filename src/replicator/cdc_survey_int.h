/* the inside of a survey: cdc_survey.c, cdc_survey_back.c, cdc_survey_when.c */

#ifndef CDC_SURVEY_INT_H_INCLUDED
#define CDC_SURVEY_INT_H_INCLUDED

#include "cdc_replicator.h"


typedef struct cdc_survey_back_s  cdc_survey_back_t;

/* a channel's log */

typedef struct {
    cdc_survey_back_t  *back;
    cdc_log_stream_t   *stream;
    char               *name;
    cdc_pos_t           first, end;
    cdc_pos_t           then;            /* the end at the create */
    cdc_pos_t           floor;           /* nobody needs what is before */
    cdc_pos_t           at;              /* found: what is before is older */
    uint64_t            ts;              /* of the message there; 0: none */
    uint64_t            step;
    unsigned            noted:1;         /* "then" is known */
    unsigned            wanted:1;
    unsigned            busy:1;
} cdc_survey_log_t;

struct cdc_survey_back_s {
    cdc_repl_t         *repl;
    cdc_survey_log_t   *logs;
    size_t              n, left;
    uint64_t            upto;            /* what is older may be passed */
    uint64_t            step;            /* messages, at first */
    cdc_timer_t         timer;
    int                 rc;
    char                err[CDC_REASON_MAX];
    void              (*done)(void *arg);
    void               *arg;
};


/* times in ms, each by its own clock */

typedef struct {
    int64_t             created;         /* the task, by this machine's then */
    int64_t             created_target;  /* the same by the target's; 0: not
                                          * known */
    int64_t             created_source;  /* of the newest message of the
                                          * source's log then; 0: not known */
    int64_t             wall, target;    /* now */
    int64_t             newest;          /* of the source's log; 0: none */
    int64_t             from;            /* by the source: it was not created
                                          * before that, as far as known */
    int64_t             since;           /* the same, what has come later is
                                          * younger; INT64_MAX: not known */
    unsigned            late:1;          /* it is known to be a while ago */
} cdc_survey_when_t;

void cdc_survey_when(cdc_survey_when_t *w);
/* did a log whose first message has that timestamp (0: it has none) begin
 * after the create? */
int  cdc_survey_after(const cdc_survey_when_t *w, uint64_t ts);

/* is it another log than at the create? */
int  cdc_survey_anew(const cdc_survey_log_t *log);
/* is it, of one that is wanted, and must it be looked at again?  since:
 * cdc_now_ms() when it was seen first, 0 when it was not; as now */
int  cdc_survey_doubts(const cdc_survey_back_t *b, uint64_t *since,
    uint64_t now);
/* has it lost what came after the create?  numbered: of the reader's ops */
int  cdc_survey_cut(const cdc_survey_when_t *w, const cdc_survey_log_t *log,
    unsigned numbered);

/* of all logs that are wanted; done() when it is known, or rc says not */
void cdc_survey_back(cdc_survey_back_t *b);


#endif /* CDC_SURVEY_INT_H_INCLUDED */
