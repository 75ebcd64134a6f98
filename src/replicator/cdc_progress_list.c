/*
 * What is shown of collections: how much of the first copy is done, and what
 * happened to each last.
 *
 * An operation is noted when the target has done it.  An error is noted with
 * each collection that it concerns: that of an operation, those whose messages
 * were in a request that failed, the one that somebody has changed on the
 * target, and so on.  What is wrong with all of them at once, the source's log
 * for one, is the task's own and stands there.  Nothing is noted where all
 * goes well, and nothing is decided by it.
 *
 * Both are kept beside the counters in the checkpoints.  An error alone asks
 * for no checkpoint: it goes with the next one.
 */

#include "cdc_replicator.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_text.h"


/* ---- what happened last ---- */

void
cdc_coll_operation(cdc_coll_t *c, const char *name)
{
    c->last.operation_ms = cdc_wall_ms();
    c->counted = 1;

    snprintf(c->last.operation, sizeof(c->last.operation), "%s", name);
}


/* what is tried again fails with the same words each time */

static void
cdc_coll_error_text(cdc_coll_t *c, const char *text)
{
    char  *copy;

    if (c->last.error && strcmp(c->last.error, text) == 0) {
        return;
    }

    copy = strdup(text);

    if (copy) {
        free(c->last.error);
        c->last.error = copy;
    }
}


void
cdc_coll_error(cdc_coll_t *c, const char *fmt, ...)
{
    char     text[CDC_COLL_ERROR];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    c->last.error_ms = cdc_wall_ms();
    c->counted = 1;

    cdc_coll_error_text(c, text);
}


json_t *
cdc_coll_save_stat(cdc_coll_t *c)
{
    cdc_count_t  open;

    open = cdc_count_open(c);

    return json_pack("[I,I,I,I,I,s,I,o,I,I]",
                     (json_int_t) c->count.rows_in,
                     (json_int_t) c->count.rows_out,
                     (json_int_t) c->count.bytes_in,
                     (json_int_t) c->count.bytes_out,
                     (json_int_t) c->last.operation_ms, c->last.operation,
                     (json_int_t) c->last.error_ms,
                     cdc_text_json(c->last.error ? c->last.error : ""),
                     (json_int_t) open.rows_out, (json_int_t) open.bytes_out);
}


int
cdc_coll_load_stat(cdc_coll_t *c, const json_t *json)
{
    json_int_t   in, out, bin, bout, operation_ms, error_ms;
    const char  *operation, *error;

    /* the second half is absent in what an earlier version wrote */

    operation_ms = error_ms = 0;
    operation = error = "";

    if (json_unpack((json_t *) json, "[I,I,I,I]", &in, &out, &bin, &bout)
        != 0
        || (json_array_size(json) > 4
            && json_unpack((json_t *) json, "[I,I,I,I,I,s,I,s]", &in, &out,
                           &bin, &bout, &operation_ms, &operation, &error_ms,
                           &error) != 0))
    {
        return CDC_ERROR;
    }

    c->count.rows_in = in;
    c->count.rows_out = out;
    c->count.bytes_in = bin;
    c->count.bytes_out = bout;
    c->again.rows_out = json_integer_value(json_array_get(json, 8));
    c->again.bytes_out = json_integer_value(json_array_get(json, 9));
    c->last.operation_ms = operation_ms;
    c->last.error_ms = error_ms;

    snprintf(c->last.operation, sizeof(c->last.operation), "%s", operation);

    if (error_ms) {
        cdc_coll_error_text(c, error);
    }

    return CDC_OK;
}


/* ---- the first copy ---- */

/* thousandths of what was in the log when the task was new */

void
cdc_progress_copy(const cdc_coll_t *c, uint64_t *done, uint64_t *all)
{
    unsigned            i;
    uint64_t            span, at;
    const cdc_shard_t  *s;

    for (i = 0; i < c->nshards; i++) {
        s = &c->shards[i];

        if (!c->initial || s->listed.lo <= s->start.lo
            || s->listed.hi != s->start.hi)
        {
            continue;
        }

        span = s->listed.lo - s->start.lo;
        at = 0;

        if (cdc_coll_bound(c) && s->ch && s->ch->track.next.lo > s->start.lo) {
            at = s->ch->track.next.lo - s->start.lo;
        }

        *all += span;
        *done += at < span ? at : span;
    }
}


uint32_t
cdc_progress_parts(uint64_t done, uint64_t all)
{
    return all ? (uint32_t) ((double) done * 1000 / (double) all) : 1000;
}


/* ---- the report ---- */

static int
cdc_progress_before(const cdc_coll_t *a, const cdc_coll_t *b)
{
    uint64_t  x, y;

    /* in seconds: they are all a little behind, and the list stands still */

    x = a->lag_ms == CDC_UNKNOWN ? CDC_UNKNOWN : a->lag_ms / 1000;
    y = b->lag_ms == CDC_UNKNOWN ? CDC_UNKNOWN : b->lag_ms / 1000;

    return x != y ? x > y : a->id < b->id;
}


static int
cdc_progress_names(cdc_task_progress_t *p, uint32_t *at, const char *db,
    const char *name)
{
    size_t  d, n;

    d = strlen(db) + 1;
    n = strlen(name) + 1;

    if (p->names_len + d + n > CDC_PROGRESS_NAMES) {
        return CDC_DECLINED;
    }

    *at = p->names_len;
    memcpy(p->names + p->names_len, db, d);
    memcpy(p->names + p->names_len + d, name, n);
    p->names_len += (uint32_t) (d + n);

    return CDC_OK;
}


/* 0: no room, or the text is empty */

static uint32_t
cdc_progress_text(cdc_task_progress_t *p, const char *text)
{
    size_t    n;
    uint32_t  at;

    for (at = 0; at < p->texts_len; at += strlen(p->texts + at) + 1) {
        if (strcmp(p->texts + at, text) == 0) {
            return at;
        }
    }

    n = strlen(text) + 1;

    if (at + n > CDC_PROGRESS_TEXTS) {
        return 0;
    }

    memcpy(p->texts + at, text, n);
    p->texts_len = (uint32_t) (at + n);

    return at;
}


static void
cdc_progress_last(cdc_task_progress_t *p, cdc_progress_coll_t *to,
    const cdc_last_t *last)
{
    to->operation_ms = last->operation_ms;
    to->error_ms = last->error_ms;

    memcpy(to->operation, last->operation, sizeof(to->operation));

    if (last->error) {
        to->error = cdc_progress_text(p, last->error);
    }
}


static void
cdc_progress_coll(cdc_task_progress_t *p, const cdc_coll_t *c)
{
    uint32_t              len;
    uint64_t              done, all;
    cdc_progress_coll_t  *to;

    to = &p->colls[p->ncolls];
    len = p->names_len;
    done = all = 0;

    if (cdc_progress_names(p, &to->names, c->db, c->name) != CDC_OK) {
        return;
    }

    to->target = to->names;

    if ((strcmp(c->db, c->target_db) != 0
         || strcmp(c->name, c->target_name) != 0)
        && cdc_progress_names(p, &to->target, c->target_db, c->target_name)
           != CDC_OK)
    {
        p->names_len = len;
        return;
    }

    p->ncolls++;

    to->rows_in = c->count.rows_in;
    to->rows_out = c->count.rows_out;
    to->bytes_in = c->count.bytes_in;
    to->bytes_out = c->count.bytes_out;
    to->lag_ms = c->lag_ms;

    cdc_progress_last(p, to, &c->last);
    cdc_progress_copy(c, &done, &all);
    to->copy = cdc_progress_parts(done, all);

    if (c->state == CDC_COLL_DROPPING) {
        to->state = CDC_PROGRESS_DROPPING;

    } else if (!cdc_coll_bound(c)) {
        to->state = CDC_PROGRESS_CREATING;

    } else {
        to->state = done < all ? CDC_PROGRESS_COPYING : CDC_PROGRESS_LIVE;
    }
}


void
cdc_progress_send(cdc_repl_t *r)
{
    size_t                i, n;
    cdc_coll_t           *c, *top[CDC_PROGRESS_COLLS];
    cdc_task_progress_t  *p;

    n = 0;

    for (c = r->colls; c; c = c->next) {
        if (c->state == CDC_COLL_GONE
            || (n == CDC_PROGRESS_COLLS
                && !cdc_progress_before(c, top[n - 1])))
        {
            continue;
        }

        i = n < CDC_PROGRESS_COLLS ? n++ : n - 1;

        for ( /* void */ ; i && cdc_progress_before(c, top[i - 1]); i--) {
            top[i] = top[i - 1];
        }

        top[i] = c;
    }

    p = &r->measure.progress;
    memset(p, 0, sizeof(cdc_task_progress_t));

    p->updated_ms = cdc_wall_ms();
    p->texts_len = 1;

    for (i = 0; i < n; i++) {
        cdc_progress_coll(p, top[i]);
    }

    cdc_progress_report(r, CDC_FRAME_PROGRESS, p,
                        sizeof(cdc_task_progress_t));
}
