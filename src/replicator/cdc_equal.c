/*
 * Equal keys among what is settled.
 *
 * Milvus lets two plain inserts write one key twice, and has two rows then.
 * Settling takes away every row of a key that is older than the one settled
 * (cdc_lane_stamp.c), so of such rows one remains, and the source has more:
 * that is said, once, and counted.  What is seen here are keys inserted twice
 * within the settled messages, with no delete of them in between; a row of
 * that key from before those messages is not known here.
 *
 * The keys are kept as hashes, in a table that only lives while there is
 * something to settle and that never has more than CDC_EQUAL_MAX of them:
 * what is beyond goes uncounted.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>


#define CDC_EQUAL_FIRST     1024
#define CDC_EQUAL_MAX       (1 << 18)
#define CDC_EQUAL_TIRED_MS  60000        /* nothing was settled for so long */
#define CDC_EQUAL_FREE      0
#define CDC_EQUAL_TAKEN_OUT 1

struct cdc_equal_s {
    size_t      size;                    /* a power of 2 */
    size_t      used;                    /* taken out ones, too */
    uint64_t    at;                      /* cdc_now_ms(), of the last look */
    uint64_t    slots[];
};

typedef struct {
    cdc_repl_t *repl;
    cdc_coll_t *coll;
    int64_t     partition;
    uint64_t    equal;
} cdc_equal_pass_t;


/* FNV-1a, and a mix, because FNV alone leaves the high bits of short keys
 * alike */

static uint64_t
cdc_equal_hash(int64_t partition, cdc_span_t key)
{
    size_t    i;
    uint64_t  h;

    h = 0xcbf29ce484222325 ^ (uint64_t) partition * 0x9e3779b97f4a7c15;

    for (i = 0; i < key.len; i++) {
        h = (h ^ key.data[i]) * 0x100000001b3;
    }

    h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
    h ^= h >> 32;

    return h > CDC_EQUAL_TAKEN_OUT ? h : h + 2;
}


/* where it is, or where it would be */

static uint64_t *
cdc_equal_slot(cdc_equal_t *e, uint64_t hash)
{
    size_t  i;

    for (i = hash & (e->size - 1);
         e->slots[i] != CDC_EQUAL_FREE && e->slots[i] != hash;
         i = (i + 1) & (e->size - 1))
    {
        /* void */
    }

    return &e->slots[i];
}


/* room for one more; NULL: as full as it gets, or no memory */

static cdc_equal_t *
cdc_equal_room(cdc_repl_t *r)
{
    size_t        i, size;
    cdc_equal_t  *e, *more;

    e = r->equal;

    if (e && e->used * 2 < e->size) {
        return e;
    }

    size = e ? e->size * 2 : CDC_EQUAL_FIRST;

    if (size > CDC_EQUAL_MAX * 2) {
        return NULL;
    }

    more = calloc(1, sizeof(cdc_equal_t) + size * sizeof(uint64_t));
    if (more == NULL) {
        return NULL;
    }

    more->size = size;

    for (i = 0; e && i < e->size; i++) {
        if (e->slots[i] > CDC_EQUAL_TAKEN_OUT) {
            *cdc_equal_slot(more, e->slots[i]) = e->slots[i];
            more->used++;
        }
    }

    free(e);
    r->equal = more;

    return more;
}


static void
cdc_equal_inserted(void *arg, cdc_span_t key)
{
    uint64_t           hash, *slot;
    cdc_equal_t       *e;
    cdc_equal_pass_t  *pass = arg;

    hash = cdc_equal_hash(pass->partition, key);
    e = pass->repl->equal;

    if (e && *cdc_equal_slot(e, hash) == hash) {
        pass->equal++;
        return;
    }

    e = cdc_equal_room(pass->repl);
    if (e == NULL) {
        return;
    }

    slot = cdc_equal_slot(e, hash);
    *slot = hash;
    e->used++;
}


static void
cdc_equal_take_out(cdc_equal_t *e, uint64_t hash)
{
    uint64_t  *slot;

    slot = cdc_equal_slot(e, hash);

    if (*slot == hash) {
        *slot = CDC_EQUAL_TAKEN_OUT;
    }
}


/* a delete that names no partition is for each of them */

static void
cdc_equal_deleted(void *arg, cdc_span_t key)
{
    unsigned           i;
    cdc_coll_t        *c;
    cdc_equal_pass_t  *pass = arg;

    if (pass->partition > 0) {
        cdc_equal_take_out(pass->repl->equal,
                           cdc_equal_hash(pass->partition, key));
        return;
    }

    c = pass->coll;

    for (i = 0; i < c->nparts; i++) {
        cdc_equal_take_out(pass->repl->equal,
                           cdc_equal_hash(c->parts[i].id, key));
    }
}


static void
cdc_equal_say(cdc_repl_t *r, cdc_coll_t *c, uint64_t n)
{
    char  text[CDC_REASON_MAX];

    cdc_coll_error(c, "%llu rows of a key that another one has: one of each "
                   "is left", (unsigned long long) n);

    if (r->status.rows_equal == 0) {
        snprintf(text, sizeof(text), "\"%s.%s\" has several rows of one key "
                 "by plain insert: settled after a crash or a broken "
                 "connection, one of them is left on the target; use upsert "
                 "for keys that may be there", c->db, c->name);
        cdc_repl_degraded(r, CDC_CAUSE_SKIPPED, text);
    }

    r->status.rows_equal += n;
}


void
cdc_equal_look(const cdc_item_t *item)
{
    cdc_repl_t        *r;
    cdc_equal_pass_t   pass;

    r = item->ch->repl;

    pass.repl = r;
    pass.coll = item->coll;
    pass.partition = item->env.partition_id;
    pass.equal = 0;

    if (item->env.type == CDC_MSG_INSERT) {
        (void) cdc_wire_each_key(&item->env, item->coll->pk_field_id,
                                 cdc_equal_inserted, &pass);

    } else if (item->env.type == CDC_MSG_DELETE && r->equal) {
        (void) cdc_wire_each_key(&item->env, item->coll->pk_field_id,
                                 cdc_equal_deleted, &pass);
    }

    if (r->equal) {
        r->equal->at = cdc_now_ms();
    }

    if (pass.equal) {
        cdc_equal_say(r, item->coll, pass.equal);
    }
}


void
cdc_equal_forget(cdc_repl_t *r)
{
    free(r->equal);
    r->equal = NULL;
}


void
cdc_equal_tire(cdc_repl_t *r)
{
    if (r->equal && cdc_now_ms() > r->equal->at + CDC_EQUAL_TIRED_MS) {
        cdc_equal_forget(r);
    }
}
