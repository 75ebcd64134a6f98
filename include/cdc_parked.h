/*
 * Messages that cannot be applied, kept aside: "parked".
 *
 * One that cannot be parsed, or that the target refuses for good.  What the
 * task does then is its policy ("on_poison"): "stop" (the default) pauses it
 * in front of the message (HELD), "skip" goes on behind it (ASIDE).
 *
 *   HELD    the message is read again at each resume, and the entry goes when
 *           it is done then; DROP passes it
 *   DROP    by request; goes when the replicator has passed the message
 *   ASIDE   passed; its bytes are kept until it is dropped or applied
 *   AGAIN   by request: ASIDE, to be applied when the task runs; then it goes,
 *           or is ASIDE again
 *
 * In the task's LevelDB: parked/<id> holds what can be shown, ~parked/<id>
 * the message's bytes (behind all other keys: a start does not read them).
 * The replicator writes them in the batch that passes the message.  While it
 * runs, LevelDB is its own; parked.json beside it is for the store to show.
 * While the task is paused LevelDB is the store's.
 */

#ifndef CDC_PARKED_H_INCLUDED
#define CDC_PARKED_H_INCLUDED

#include <jansson.h>

#include "cdc_base.h"
#include "cdc_runtime.h"


#define CDC_PARKED_KEY       "parked/"
#define CDC_PARKED_DATA      "~parked/"
#define CDC_PARKED_KEY_MAX   64
#define CDC_PARKED_FILE      "parked.json"

/* beyond these the task stops, whatever its policy */
#define CDC_PARKED_COUNT     1000
#define CDC_PARKED_MESSAGE   (16 * 1024 * 1024)
#define CDC_PARKED_BYTES     (256 * 1024 * 1024)

#define CDC_PARKED_TEXT_MAX  384         /* of a reason */


typedef enum {
    CDC_PARKED_HELD = 0,
    CDC_PARKED_DROP,
    CDC_PARKED_ASIDE,
    CDC_PARKED_AGAIN,
    CDC_PARKED_STATES
} cdc_parked_state_e;


typedef struct {
    uint64_t             id;
    cdc_parked_state_e   state;
    cdc_pos_t            pos;
    uint64_t             at_ms;          /* Unix ms */
    uint64_t             bytes;          /* of the message */
    unsigned             kept:1;         /* they are in LevelDB */
    unsigned             channel:1;      /* of the replicate channel */
    char                 topic[CDC_MAX_NAME_LEN + 1];
    char                 operation[64];  /* "Insert"; "": not known */
    char                 collection[2 * CDC_MAX_NAME_LEN + 2];  /* "db.c" */
    char                 reason[CDC_PARKED_TEXT_MAX];
} cdc_parked_t;


/* any thread, nothing blocks */

/* prefix is one of the two above; the length */
size_t cdc_parked_key(char key[CDC_PARKED_KEY_MAX], const char *prefix,
    uint64_t id);

/* "on_poison" of a create: 1 is skip */
int  cdc_parked_skips(const json_t *request);

/* CDC_ERROR: it is not one of ours */
int  cdc_parked_parse(cdc_parked_t *p, const json_t *json);
/* into a batch: its entry, without the bytes.  CDC_ERROR: no memory */
int  cdc_parked_write(cdc_db_batch_t *b, const cdc_parked_t *p);
/* entry and bytes */
void cdc_parked_delete(cdc_db_batch_t *b, uint64_t id);
/* as the API shows it */
json_t *cdc_parked_show(const cdc_parked_t *p);

/* [blocks] replaces <dir>/parked.json; text NULL: removes it.  Not synced */
int  cdc_parked_publish(const char *dir, const char *text);


#endif /* CDC_PARKED_H_INCLUDED */
