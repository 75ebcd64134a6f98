/*
 * What is durable: <state>/tasks/<id>, a LevelDB of JSON values.
 *
 *   meta            {"format", "started", counters}
 *   chan/<name>     track, "read" (its end), "upto" (may have been sent up to
 *                   there), "settle" (of that, left from before), "tick"
 *   lane/<name>     "reserve" (stamps up to it may have been used), "raise",
 *                   "tick", "clear" (of tick_sent, tick_clear)
 *   coll/<id>       a collection (cdc_object_doc.c)
 *   stat/<id>       its counters, last operation and error
 *   db/<id>         a database
 *   alias/<db>/<a>  an alias
 *   rbac/<...>      a user, role, membership or grant
 *   rchan           track of the replicate channel
 *   life            where these checkpoints are at home (cdc_life.c)
 *   parked/<id>     a message that cannot be applied (cdc_parked.h), its
 *   ~parked/<id>    bytes
 *
 * One batch is written at a time, on the disk thread, with one fsync; it
 * holds all that changed since the last.  What is in a batch is a copy, so
 * the main thread goes on.  A reserve counts only when its batch is durable:
 * no message passes "upto" and no stamp "reserve" before that, which is why
 * a crash knows all that may have reached the target.  An orderly stop
 * writes both without the margin ahead: what was handed over, and no more.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CDC_CHECKPOINT_FORMAT    1
#define CDC_CHECKPOINT_RETRY_MS  1000    /* a batch that was not written */
#define CDC_CHECKPOINT_KEY       2048    /* bytes: a kind, and names */


typedef struct cdc_waiter_s  cdc_waiter_t;

struct cdc_waiter_s {
    cdc_waiter_t         *next;
    void                (*done)(void *arg);
    void                 *arg;
};

typedef struct cdc_checkpoint_s {
    cdc_job_t             job;
    cdc_repl_t           *repl;
    cdc_db_batch_t       *batch;
    char                 *parked;        /* of parked.json; NULL: as it is */
    int                   rc;
    int                   life;          /* the batch has a new one */
    char                  err[CDC_REASON_MAX];
    uint64_t              started_ms;
    uint64_t              due_ms;        /* of the timer */
    cdc_waiter_t         *waiting;       /* for the next batch */
    cdc_waiter_t         *writing;       /* for the one being written */
    unsigned              busy:1;
    unsigned              again:1;       /* start when this one has ended */
    unsigned              later;         /* ms after it has begun; 0: not */
    unsigned              failed:1;      /* the timer will try again */
} cdc_checkpoint_t;


static void cdc_checkpoint_start(cdc_repl_t *r);
static void cdc_checkpoint_within(cdc_repl_t *r, unsigned ms);


static void
cdc_checkpoint_put(cdc_db_batch_t *b, const char *kind, const char *name,
    json_t *value)
{
    char  *text, key[CDC_CHECKPOINT_KEY];

    snprintf(key, sizeof(key), "%s%s", kind, name);
    text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (text == NULL) {
        cdc_repl_no_memory();
    }

    cdc_db_batch_put(b, cdc_span_n(key, strlen(key)),
                     cdc_span_n(text, strlen(text)));

    free(text);
    json_decref(value);
}


static void
cdc_checkpoint_channel(cdc_db_batch_t *b, cdc_channel_t *ch, int last)
{
    json_t     *json;
    uint64_t    ahead;
    cdc_pos_t   upto, end;

    /* twice as far as since the last time: RocksMQ's ids are one sequence
     * for all channels, messages alone do not tell */

    end = cdc_track_end(&ch->track);
    ahead = ch->reads * 2;

    if (end.hi == ch->reserved_at.hi && end.lo > ch->reserved_at.lo
        && ahead < (end.lo - ch->reserved_at.lo) * 2
        && ch->reserved_at.lo)
    {
        ahead = (end.lo - ch->reserved_at.lo) * 2;
    }

    if (ahead < CDC_RESERVE_MSGS) {
        ahead = CDC_RESERVE_MSGS;
    }

    ch->reserved_at = end;
    upto = cdc_pos_next(end, ahead);

    if (cdc_pos_cmp(upto, ch->upto) < 0) {
        upto = ch->upto;
    }

    if (last) {
        upto = ch->emitted;
    }

    ch->upto_next = upto;
    ch->reads = 0;

    json = cdc_track_save(&ch->track);
    (void) json_object_set_new(json, "upto", cdc_pos_json(upto));
    (void) json_object_set_new(json, "settle", cdc_pos_json(ch->settle_upto));
    (void) json_object_set_new(json, "read",
                               cdc_pos_json(cdc_track_end(&ch->track)));
    (void) json_object_set_new(json, "tick",
                               json_integer((json_int_t) ch->tick_acked));

    cdc_checkpoint_put(b, "chan/", ch->name, json);
}


static void
cdc_checkpoint_lane(cdc_db_batch_t *b, cdc_lane_t *lane, int last)
{
    uint64_t  reserve, used;

    reserve = lane->tick_want + cdc_ms_tso(CDC_RESERVE_MS);

    used = lane->used + cdc_lane_margin(lane);

    if (reserve < used) {
        reserve = used;
    }

    if (reserve < lane->reserve) {
        reserve = lane->reserve;
    }

    if (last) {
        reserve = lane->used;
    }

    lane->reserve_next = reserve;

    cdc_checkpoint_put(b, "lane/", lane->name,
                       json_pack("{s:I,s:I,s:I,s:I}",
                                 "reserve", (json_int_t) reserve,
                                 "raise", (json_int_t) lane->raise,
                                 "tick", (json_int_t) lane->tick_sent,
                                 "clear", (json_int_t) lane->tick_clear));
}


static void
cdc_checkpoint_rbac(void *arg, const char *key, json_t *value)
{
    cdc_checkpoint_put(arg, "rbac/", key, value);
}


static void
cdc_checkpoint_objects(cdc_db_batch_t *b, cdc_repl_t *r, int last)
{
    char          key[CDC_CHECKPOINT_KEY];
    cdc_coll_t   *c;
    cdc_alias_t  *a;
    cdc_dbase_t  *d;

    for (c = r->colls; c; c = c->next) {
        if (c->dirty || last) {
            snprintf(key, sizeof(key), "%lld", (long long) c->id);
            cdc_checkpoint_put(b, "coll/", key, cdc_coll_save(c));
            c->dirty = 0;
        }
    }

    for (d = r->databases; d; d = d->next) {
        if (d->dirty || last) {
            snprintf(key, sizeof(key), "%lld", (long long) d->id);
            cdc_checkpoint_put(b, "db/", key, cdc_database_save(d));
            d->dirty = 0;
        }
    }

    for (a = r->aliases; a; a = a->next) {
        if (a->dirty || last) {
            snprintf(key, sizeof(key), "%s/%s", a->db, a->name);
            cdc_checkpoint_put(b, "alias/", key, cdc_alias_save(a));
            a->dirty = 0;
        }
    }

    cdc_rbac_save(r, last, cdc_checkpoint_rbac, b);
}


static void
cdc_checkpoint_counts(cdc_db_batch_t *b, cdc_repl_t *r)
{
    char         key[CDC_CHECKPOINT_KEY];
    cdc_coll_t  *c;

    for (c = r->colls; c; c = c->next) {
        if (!c->counted) {
            continue;
        }

        snprintf(key, sizeof(key), "%lld", (long long) c->id);
        cdc_checkpoint_put(b, "stat/", key, cdc_coll_save_stat(c));
        c->counted = 0;
    }
}


static cdc_db_batch_t *
cdc_checkpoint_build(cdc_repl_t *r, int last)
{
    cdc_lane_t         *lane;
    cdc_channel_t      *ch;
    cdc_db_batch_t     *b;
    cdc_task_status_t  *s;

    b = cdc_db_batch_create();
    if (b == NULL) {
        return NULL;
    }

    cdc_forget_put(r, b);

    for (ch = r->channels; ch; ch = ch->next) {
        if ((ch->dirty || ch->wanting || last) && ch->placed) {
            cdc_checkpoint_channel(b, ch, last);
            ch->dirty = 0;
        }
    }

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->dirty || lane->wanting || last) {
            cdc_checkpoint_lane(b, lane, last);
            lane->dirty = 0;
        }
    }

    cdc_checkpoint_objects(b, r, last);
    cdc_checkpoint_counts(b, r);

    free(r->checkpoint->parked);
    r->checkpoint->parked = cdc_parked_put(r, b);

    if (r->rdirty || last) {
        cdc_checkpoint_put(b, "rchan", "", cdc_track_save(&r->rtrack));
        r->rdirty = 0;
    }

    if (r->life_next[0]) {
        cdc_checkpoint_put(b, "life", "", json_string(r->life_next));
    }

    s = &r->status;

    cdc_checkpoint_put(b, "meta", "",
        json_pack("{s:i,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,"
                  "s:I,s:I,s:I}",
                  "format", CDC_CHECKPOINT_FORMAT, "started", r->started,
                  "raise", (json_int_t) r->raise,
                  "rows_in", (json_int_t) s->rows_in,
                  "rows_out", (json_int_t) s->rows_out,
                  "bytes_in", (json_int_t) s->bytes_in,
                  "bytes_out", (json_int_t) s->bytes_out,
                  "requests", (json_int_t) s->requests,
                  "retries", (json_int_t) s->retries,
                  "skipped", (json_int_t) s->rows_skipped,
                  "settled", (json_int_t) s->rows_settled,
                  "equal", (json_int_t) s->rows_equal,
                  "doubts", (json_int_t) s->doubts,
                  "operations", (json_int_t) s->operations,
                  "errors", (json_int_t) s->errors,
                  "clock", (json_int_t) cdc_progress_clock(r),
                  "cluster", (json_int_t) r->cluster));

    return b;
}


/* [disk thread, or at exit] the store shows this while LevelDB is ours */

static void
cdc_checkpoint_show(cdc_checkpoint_t *cp)
{
    if (cp->rc == CDC_OK && cp->parked) {
        (void) cdc_parked_publish(cp->repl->dir, cp->parked);
    }
}


static void
cdc_checkpoint_run(cdc_job_t *job)
{
    cdc_checkpoint_t  *cp = job->data;

    CDC_FAULT("checkpoint-before-write");
    cp->rc = cdc_db_write(cp->repl->db, cp->batch, cp->err);
    CDC_FAULT("checkpoint-after-write");
    cdc_checkpoint_show(cp);
}


/* what could not be written is dirty again */

static void
cdc_checkpoint_failed(cdc_checkpoint_t *cp)
{
    cdc_coll_t     *c;
    cdc_repl_t     *r;
    cdc_lane_t     *lane;
    cdc_alias_t    *a;
    cdc_dbase_t    *d;
    cdc_waiter_t  **last;
    cdc_channel_t  *ch;

    r = cp->repl;

    for (ch = r->channels; ch; ch = ch->next) {
        ch->dirty = 1;
    }

    for (lane = r->lanes; lane; lane = lane->next) {
        lane->dirty = 1;
    }

    for (c = r->colls; c; c = c->next) {
        c->dirty = 1;
        c->counted = 1;
    }

    for (d = r->databases; d; d = d->next) {
        d->dirty = 1;
    }

    for (a = r->aliases; a; a = a->next) {
        a->dirty = 1;
    }

    cdc_rbac_dirty(r);
    cdc_parked_written(r, CDC_ERROR);
    cdc_forget_written(r, CDC_ERROR);
    r->rdirty = 1;

    for (last = &cp->writing; *last; last = &(*last)->next) { /* void */ }

    *last = cp->waiting;
    cp->waiting = cp->writing;
    cp->writing = NULL;

    cp->failed = 1;
    cdc_repl_degraded(r, CDC_CAUSE_DISK, cp->err);
    cdc_timer_add(r->loop, &r->checkpoint_timer, CDC_CHECKPOINT_RETRY_MS);
}


static void
cdc_checkpoint_done(cdc_job_t *job)
{
    cdc_repl_t        *r;
    cdc_lane_t        *lane;
    cdc_waiter_t      *w;
    cdc_channel_t     *ch;
    cdc_checkpoint_t  *cp = job->data;

    r = cp->repl;
    cp->busy = 0;

    cdc_db_batch_destroy(cp->batch);
    cp->batch = NULL;

    if (cp->rc != CDC_OK) {
        cdc_checkpoint_failed(cp);
        return;
    }

    CDC_FAULT("checkpoint-effects");

    if (cp->life) {
        cdc_life_moved(r);
    }

    cdc_repl_degraded(r, CDC_CAUSE_DISK, NULL);
    r->checkpoint_at = cdc_now_ms();
    cdc_parked_written(r, CDC_OK);
    cdc_forget_written(r, CDC_OK);

    for (ch = r->channels; ch; ch = ch->next) {
        if (cdc_pos_cmp(ch->upto_next, ch->upto) > 0) {
            ch->upto = ch->upto_next;

            if (ch->wanting) {
                ch->wanting = 0;
                cdc_repl_pump(r);
            }
        }
    }

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->reserve_next > lane->reserve) {
            lane->reserve = lane->reserve_next;
            cdc_lane_wake(lane);
        }
    }

    while (cp->writing) {
        w = cp->writing;
        cp->writing = w->next;
        w->done(w->arg);
        free(w);
    }

    if (cp->again || cp->waiting) {
        cdc_checkpoint_start(r);

    } else if (cp->later) {
        cdc_checkpoint_within(r, cp->later);
    }
}


static void
cdc_checkpoint_start(cdc_repl_t *r)
{
    cdc_checkpoint_t  *cp;

    cp = r->checkpoint;

    if (cp->busy) {
        cp->again = 1;
        return;
    }

    if (cp->failed) {
        return;
    }

    cdc_timer_del(r->loop, &r->checkpoint_timer);

    cp->batch = cdc_checkpoint_build(r, 0);
    if (cp->batch == NULL) {
        cdc_repl_no_memory();
    }

    cp->busy = 1;
    cp->again = 0;
    cp->later = 0;
    cp->life = r->life_next[0] != '\0';
    cp->started_ms = cdc_now_ms();
    cp->writing = cp->waiting;
    cp->waiting = NULL;

    cdc_worker_submit(r->disk_worker, &cp->job);
}


static void
cdc_checkpoint_timer(cdc_timer_t *tm)
{
    cdc_repl_t  *r = tm->data;

    r->checkpoint->failed = 0;
    cdc_checkpoint_start(r);
}


static void
cdc_checkpoint_within(cdc_repl_t *r, unsigned ms)
{
    uint64_t           now, due;
    cdc_checkpoint_t  *cp;

    cp = r->checkpoint;

    if (cp->busy) {
        cp->later = cp->later && cp->later < ms ? cp->later : ms;
        return;
    }

    due = cp->started_ms + ms;

    if (r->checkpoint_timer.slot && (cp->failed || cp->due_ms <= due)) {
        return;
    }

    now = cdc_now_ms();
    cp->due_ms = due;

    cdc_timer_add(r->loop, &r->checkpoint_timer, due > now ? due - now : 1);
}


void
cdc_checkpoint_soon(cdc_repl_t *r)
{
    cdc_checkpoint_within(r, CDC_CHECKPOINT_MS);
}


void
cdc_checkpoint_idle(cdc_repl_t *r)
{
    cdc_checkpoint_within(r, CDC_CHECKPOINT_IDLE_MS);
}


void
cdc_checkpoint_now(cdc_repl_t *r)
{
    cdc_checkpoint_start(r);
}


int
cdc_checkpoint_barrier(cdc_repl_t *r, void (*done)(void *arg), void *arg)
{
    cdc_waiter_t       *w, **last;
    cdc_checkpoint_t   *cp;

    w = malloc(sizeof(cdc_waiter_t));
    if (w == NULL) {
        return CDC_ERROR;
    }

    w->next = NULL;
    w->done = done;
    w->arg = arg;

    cp = r->checkpoint;

    for (last = &cp->waiting; *last; last = &(*last)->next) { /* void */ }

    *last = w;

    cdc_checkpoint_start(r);

    return CDC_OK;
}


/* the disk thread is idle by now (its worker has been destroyed) */

int
cdc_checkpoint_last(cdc_repl_t *r)
{
    int              rc;
    cdc_db_batch_t  *b;

    cdc_life_next(r);

    b = cdc_checkpoint_build(r, 1);
    if (b == NULL) {
        return CDC_ERROR;
    }

    CDC_FAULT("stop-before-write");
    rc = cdc_db_write(r->db, b, NULL);
    CDC_FAULT("stop-after-write");

    if (rc == CDC_OK) {
        cdc_life_moved(r);
    }

    r->checkpoint->rc = rc;
    cdc_checkpoint_show(r->checkpoint);

    cdc_db_batch_destroy(b);

    return rc;
}


static int
cdc_checkpoint_load_channel(cdc_repl_t *r, const char *name, json_t *json)
{
    cdc_channel_t  *ch;

    ch = cdc_channel_get(r, name);

    if (ch == NULL || cdc_track_load(&ch->track, json) != CDC_OK
        || cdc_pos_from_json(json_object_get(json, "upto"),
                             &ch->settle_upto) != CDC_OK
        || cdc_pos_from_json(json_object_get(json, "settle"), &ch->emitted)
           != CDC_OK
        || cdc_pos_from_json(json_object_get(json, "read"), &ch->reread)
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    /* settling that a stop interrupted goes on */

    if (cdc_pos_cmp(ch->emitted, ch->settle_upto) > 0) {
        ch->settle_upto = ch->emitted;
    }

    ch->tick_acked = json_integer_value(json_object_get(json, "tick"));
    ch->tick_read = ch->tick_closed = ch->tick_acked;
    ch->loaded = 1;
    ch->placed = 1;

    return CDC_OK;
}


static int
cdc_checkpoint_load_lane(cdc_repl_t *r, const char *name, json_t *json)
{
    uint64_t     reserve;
    cdc_lane_t  *lane;

    lane = cdc_lane_get(r, name);
    if (lane == NULL) {
        return CDC_ERROR;
    }

    reserve = json_integer_value(json_object_get(json, "reserve"));

    lane->raise = json_integer_value(json_object_get(json, "raise"));
    lane->tick_sent = json_integer_value(json_object_get(json, "tick"));
    lane->tick_clear = json_integer_value(json_object_get(json, "clear"));
    lane->tick_want = lane->tick_sent;

    if (reserve > lane->raise) {
        lane->raise = reserve;
    }

    lane->used = lane->raise;

    return CDC_OK;
}


static int
cdc_checkpoint_load_meta(cdc_repl_t *r, json_t *json)
{
    int                 format, started;
    json_int_t          in, out, bin, bout, req, ret, skip, set, ops, equal;
    json_int_t          doubts, raise, errors, clock, cluster;
    cdc_task_status_t  *s;

    /* older ones have none */

    equal = doubts = raise = errors = clock = cluster = 0;

    if (json_unpack(json, "{s:i,s:b,s?I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,"
                    "s?I,s?I,s?I,s?I,s?I}",
                    "format", &format, "started", &started, "raise", &raise,
                    "rows_in", &in, "rows_out", &out, "bytes_in", &bin,
                    "bytes_out", &bout, "requests", &req, "retries", &ret,
                    "skipped", &skip, "settled", &set, "operations", &ops,
                    "equal", &equal, "doubts", &doubts,
                    "errors", &errors, "clock", &clock, "cluster", &cluster)
        != 0
        || format != CDC_CHECKPOINT_FORMAT)
    {
        return CDC_ERROR;
    }

    s = &r->status;
    s->rows_in = in;
    s->rows_out = out;
    s->bytes_in = bin;
    s->bytes_out = bout;
    s->requests = req;
    s->retries = ret;
    s->rows_skipped = skip;
    s->rows_settled = set;
    s->rows_equal = equal;
    s->doubts = doubts;
    s->operations = ops;
    s->errors = errors;
    cdc_progress_clock_was(r, clock);
    r->started = started;
    r->raise = raise;
    r->cluster = cluster;

    return CDC_OK;
}


/* behind the collections, in the order of the keys */

static int
cdc_checkpoint_load_count(cdc_repl_t *r, const char *id, json_t *json)
{
    cdc_coll_t  *c;

    c = cdc_coll_by_id(r, strtoll(id, NULL, 10));

    return c ? cdc_coll_load_stat(c, json) : CDC_OK;
}


static int
cdc_checkpoint_load(void *arg, cdc_span_t key, cdc_span_t value)
{
    int          rc;
    char         name[CDC_CHECKPOINT_KEY];
    json_t      *json;
    cdc_repl_t  *r = arg;

    if (key.len >= sizeof(name)) {
        return CDC_ERROR;
    }

    memcpy(name, key.data, key.len);
    name[key.len] = '\0';

    if (name[0] == CDC_PARKED_DATA[0]) {
        return CDC_DONE;                 /* bytes of messages, to the end */
    }

    json = json_loadb((const char *) value.data, value.len,
                      JSON_DECODE_ANY, NULL);

    if (json == NULL) {
        rc = CDC_ERROR;

    } else if (strncmp(name, "chan/", 5) == 0) {
        rc = cdc_checkpoint_load_channel(r, name + 5, json);

    } else if (strncmp(name, "lane/", 5) == 0) {
        rc = cdc_checkpoint_load_lane(r, name + 5, json);

    } else if (strncmp(name, "coll/", 5) == 0) {
        rc = cdc_coll_load(r, json);

    } else if (strncmp(name, "stat/", 5) == 0) {
        rc = cdc_checkpoint_load_count(r, name + 5, json);

    } else if (strncmp(name, "db/", 3) == 0) {
        rc = cdc_database_load(r, name + 3, json);

    } else if (strncmp(name, "alias/", 6) == 0) {
        rc = cdc_alias_load(r, json);

    } else if (strncmp(name, "rbac/", 5) == 0) {
        rc = cdc_rbac_load(r, name + 5, json);

    } else if (strncmp(name, CDC_PARKED_KEY, strlen(CDC_PARKED_KEY)) == 0) {
        rc = cdc_parked_load(r, json);

    } else if (strcmp(name, "rchan") == 0) {
        rc = cdc_track_load(&r->rtrack, json);

    } else if (strcmp(name, "meta") == 0) {
        rc = cdc_checkpoint_load_meta(r, json);

    } else if (strcmp(name, "life") == 0) {
        rc = cdc_life_load(r, json);

    } else {
        rc = CDC_OK;
    }

    json_decref(json);

    if (rc != CDC_OK) {
        cdc_log(CDC_LOG_CRIT, 0, "the checkpoint \"%s\" cannot be read", name);
    }

    return rc;
}


int
cdc_checkpoint_open(cdc_repl_t *r, char *err)
{
    cdc_checkpoint_t  *cp;

    if (cdc_life_begin(r, err) != CDC_OK) {
        return CDC_ERROR;
    }

    cp = calloc(1, sizeof(cdc_checkpoint_t));
    if (cp == NULL) {
        snprintf(err, CDC_REASON_MAX, "out of memory");
        return CDC_ERROR;
    }

    cp->repl = r;
    cp->job.run = cdc_checkpoint_run;
    cp->job.done = cdc_checkpoint_done;
    cp->job.data = cp;

    r->checkpoint = cp;
    r->checkpoint_timer.handler = cdc_checkpoint_timer;
    r->checkpoint_timer.data = r;

    r->db = cdc_db_open(r->dir, err);
    if (r->db == NULL) {
        return CDC_ERROR;
    }

    if (cdc_db_each(r->db, cdc_span_n(NULL, 0), cdc_checkpoint_load, r)
        == CDC_ERROR)
    {
        snprintf(err, CDC_REASON_MAX, "the task's checkpoints cannot be "
                 "read: restore the state directory from a copy, or delete "
                 "the task and create it again on an empty target");
        return CDC_ERROR;
    }

    return cdc_life_check(r, err);
}


/* [blocks] at the start, before anything else is written */

void
cdc_checkpoint_life(cdc_repl_t *r)
{
    cdc_db_batch_t  *b;

    cdc_life_next(r);
    b = cdc_db_batch_create();

    if (b && r->life_next[0]) {
        cdc_checkpoint_put(b, "life", "", json_string(r->life_next));

        /* when not, it has been logged, and the former one holds */

        if (cdc_db_write(r->db, b, NULL) == CDC_OK) {
            cdc_life_moved(r);
        }
    }

    cdc_db_batch_destroy(b);
}


void
cdc_checkpoint_close(cdc_repl_t *r)
{
    cdc_waiter_t      *w;
    cdc_checkpoint_t  *cp;

    cp = r->checkpoint;

    if (cp == NULL) {
        return;
    }

    while ((w = cp->waiting ? cp->waiting : cp->writing) != NULL) {
        if (w == cp->waiting) {
            cp->waiting = w->next;
        } else {
            cp->writing = w->next;
        }

        free(w);
    }

    if (cp->batch) {
        cdc_db_batch_destroy(cp->batch);
    }

    if (r->db) {
        cdc_db_close(r->db);
        r->db = NULL;
    }

    free(cp->parked);
    free(cp);
    r->checkpoint = NULL;
}
