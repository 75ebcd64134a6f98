/*
 * What a request says about collections, beyond what the replicator asks of
 * it (cdc_replicator.h, "selection"): used by the store to accept a create
 * and to keep tasks apart.  Main thread; a selection that nobody changes may
 * be read by one other thread.
 *
 * A pattern is a database and a name, either of which may be "*".  The
 * default database is "default" here, however the request spells it.
 */

#ifndef CDC_SELECTION_H_INCLUDED
#define CDC_SELECTION_H_INCLUDED

#include <jansson.h>

#include "cdc_base.h"


typedef struct cdc_selection_s  cdc_selection_t;


/* every pattern that was asked for, until fn returns other than CDC_OK */
int  cdc_selection_each(const cdc_selection_t *s,
    int (*fn)(void *arg, const char *db, const char *name), void *arg);

/* does one of the patterns asked for, or of those that are left out, cover
 * all of this pattern? */
int  cdc_selection_covers(const cdc_selection_t *s, const char *db,
    const char *name);
int  cdc_selection_excludes(const cdc_selection_t *s, const char *db,
    const char *name);

/* "db.name", both parts of at most CDC_MAX_NAME_LEN, either may be "*";
 * CDC_ERROR: it is none */
int  cdc_selection_split(const char *text, char db[CDC_MAX_NAME_LEN + 1],
    char name[CDC_MAX_NAME_LEN + 1]);

/* do any two tasks of these selections write one collection of the target?
 * where: its name there, or the pattern */
int  cdc_selection_overlap(const cdc_selection_t *a, const cdc_selection_t *b,
    char where[CDC_REASON_MAX]);

/*
 * What is wrong with name_mapping: CDC_DECLINED, it maps what was not asked
 * for; CDC_ERROR, err says what (two sources for one name, say).
 */
int  cdc_selection_mapping(const cdc_selection_t *s, char err[CDC_REASON_MAX]);


/* ---- positions ---------------------------------------------------- */

/*
 * base64 of a MsgPosition (proto/milvus_msg.proto).  *id, its msgID, is
 * malloc()ed and not empty; CDC_ERROR: err says what is wrong.
 */
int  cdc_position_decode(const char *text, uint8_t **id, size_t *len,
    uint64_t *ts, char err[CDC_REASON_MAX]);

/* CDC_OK: <physical channel>_<collection id>v<shard> */
int  cdc_position_vchannel(const char *name, int64_t *collection_id);


#endif /* CDC_SELECTION_H_INCLUDED */
