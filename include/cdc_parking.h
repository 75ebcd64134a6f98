/*
 * Parked messages in the replicator (cdc_parked.c, cdc_parked.h): a part of
 * cdc_replicator.h, which has its types.  Main thread.
 */

#ifndef CDC_PARKING_H_INCLUDED
#define CDC_PARKING_H_INCLUDED


int  cdc_parked_load(cdc_repl_t *r, const json_t *json);
void cdc_parked_start(cdc_repl_t *r);
/* a message that is there already, or is to be dropped: the channel passes it
 * (call once for each message read) */
int  cdc_parked_passes(cdc_repl_t *r, const char *topic, cdc_pos_t pos);
/*
 * what: topic, position and so on; text: for the reason of a task that stops,
 * position included.  CDC_OK: parked, to be passed; CDC_ERROR: the task stops.
 */
int  cdc_parked_add(cdc_repl_t *r, const cdc_parked_t *what, cdc_span_t body,
    const char *text);
/* one that is not Milvus's own, as cdc_parked_add(); channel: 1 of the
 * replicate channel */
int  cdc_parked_garbage(cdc_repl_t *r, const char *topic, unsigned channel,
    const cdc_log_msg_t *msg);
/* all that has changed; the text of parked.json, or NULL: it is up to date */
char *cdc_parked_put(cdc_repl_t *r, cdc_db_batch_t *b);
void cdc_parked_written(cdc_repl_t *r, int rc);
/* takes up the next one that is to be applied again */
void cdc_parked_again(cdc_repl_t *r);
void cdc_parked_reset(cdc_repl_t *r);
void cdc_parked_applied(cdc_repl_t *r, cdc_parking_t *e);
/* it is left out: parked as before.  why "": it is about nothing of ours */
void cdc_parked_unapplied(cdc_repl_t *r, cdc_parking_t *e, const char *why);


#endif /* CDC_PARKING_H_INCLUDED */
