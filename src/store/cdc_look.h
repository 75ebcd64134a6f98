/*
 * The look at what a source holds, private to src/store/cdc_probe_*.c: of a
 * create, and, with more to say, of a check (probe->findings).
 */

#ifndef CDC_LOOK_H_INCLUDED
#define CDC_LOOK_H_INCLUDED

#include "cdc_replicator.h"
#include "cdc_store.h"


#define CDC_LOOK_SHOWN     10            /* names of one answer */


typedef struct {
    char                        *name;
    cdc_pos_t                    first, end;
    uint64_t                     end_at; /* the end, at cdc_now_ms(): half way
                                          * of that call */
    char                         since[CDC_LOOK_SINCE_MAX];   /* "": not read */
} cdc_look_channel_t;


struct cdc_look_s {
    cdc_probe_t                 *probe;
    const cdc_log_reader_ops_t  *ops;
    cdc_loop_t                  *loop;
    cdc_meta_t                  *meta;
    cdc_log_reader_t            *reader;
    json_t                      *conf;
    json_t                      *names;  /* on the target -> on the source */
    cdc_look_channel_t          *channels;
    size_t                       nchannels;
    cdc_timer_t                  timer;
    cdc_job_t                    job;    /* close() */
    uint64_t                     end;    /* cdc_now_ms() */
    char                         version[64];
    char                         why[CDC_REASON_MAX];  /* not looked at */
    char                         gaps[CDC_REASON_MAX / 2];
    unsigned                     ngaps, shown;
    unsigned                     listed:1;
    unsigned                     timed:1;        /* the newest message has
                                          * been asked for */
    unsigned                     asked:1;        /* all channels, at once */
    unsigned                     mute:1; /* a channel was not told */

    /* a check's */
    unsigned                     matched, same, fresh;
    unsigned                     alien;  /* collections with positions of
                                          * another kind of log */
    unsigned                     users;
    unsigned                     deaf:1; /* the log does not answer */
};


/* cdc_probe_look.c */
void cdc_look_wait(cdc_look_t *l, uint64_t ms);
uint64_t cdc_look_left(const cdc_look_t *l);
/* a create's warning, a check's finding */
void cdc_look_warn(cdc_look_t *l, const char *check, const char *cure,
    const char *text);

/* cdc_probe_log.c: CDC_ERROR: l->why */
int  cdc_look_log(cdc_look_t *l, const cdc_meta_collection_t *m);
void cdc_look_refuse_gaps(cdc_look_t *l);
/* a create's: warnings of a log that cannot be read */
void cdc_look_log_kind(cdc_look_t *l);
/* a create's: probe->source_ms */
void cdc_look_newest(cdc_look_t *l, const cdc_meta_collection_t *m);
/* a create's: probe->source_ends */
void cdc_look_note(cdc_look_t *l);
/* is it of our kind, and, for a check, does it hold that collection's
 * channels? */
void cdc_look_log_has(cdc_look_t *l, const cdc_meta_collection_t *m);
/* a check's: does the log answer */
void cdc_look_log_open(cdc_look_t *l);
void cdc_look_log_end(cdc_look_t *l);

/* cdc_probe_names.c: warnings; of a check, findings */
void cdc_look_names(cdc_look_t *l);


#endif /* CDC_LOOK_H_INCLUDED */
