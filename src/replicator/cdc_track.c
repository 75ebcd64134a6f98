/*
 * Which messages of one channel are done.
 *
 * Messages are numbered as they are read and may become done in any order:
 * a drop stays open until the target has run it, rows behind it do not
 * wait.  "next" only moves over a done message, so what a checkpoint holds
 * is "next" and the done stretches behind it.  A stretch joins messages
 * that were read one after the other; reading the channel again from "next"
 * meets the same messages, so positions between two of them need no meaning
 * of their own (offsets may have gaps, Pulsar's have no arithmetic).
 *
 * A Kafka topic that is deleted and made anew counts its offsets from 0 again.
 * Once it has grown past "next", reading on there would skip all that it holds
 * in silence.  So the sum of the message before "next" is kept, and reading
 * begins with that message: it must be the one that it was.
 */

#include "cdc_replicator.h"

#include <stdlib.h>


#define CDC_TRACK_MIN  1024              /* messages, at first */
#define CDC_TRACK_SUM  128               /* first bytes of a message */


static cdc_mark_t *
cdc_track_mark(const cdc_track_t *t, uint64_t number)
{
    return &t->ring[number & (t->cap - 1)];
}


static int
cdc_track_grow(cdc_track_t *t)
{
    size_t       cap;
    uint64_t     n;
    cdc_mark_t  *ring;

    cap = t->cap ? t->cap * 2 : CDC_TRACK_MIN;

    ring = malloc(cap * sizeof(cdc_mark_t));
    if (ring == NULL) {
        return CDC_ERROR;
    }

    for (n = t->head; n < t->tail; n++) {
        ring[n & (cap - 1)] = *cdc_track_mark(t, n);
    }

    free(t->ring);
    t->ring = ring;
    t->cap = cap;

    return CDC_OK;
}


int
cdc_track_add(cdc_track_t *t, cdc_pos_t pos, uint64_t *number)
{
    cdc_mark_t  *mark;

    if (t->tail - t->head == t->cap && cdc_track_grow(t) != CDC_OK) {
        return CDC_ERROR;
    }

    mark = cdc_track_mark(t, t->tail);
    mark->pos = pos;
    mark->sum = 0;
    mark->done = 0;

    *number = t->tail++;

    return CDC_OK;
}


void
cdc_track_done(cdc_track_t *t, uint64_t number)
{
    if (number < t->head || number >= t->tail) {
        return;
    }

    cdc_track_mark(t, number)->done = 1;

    while (t->head < t->tail && cdc_track_mark(t, t->head)->done) {
        t->next = cdc_pos_next(cdc_track_mark(t, t->head)->pos, 1);
        t->before = cdc_track_mark(t, t->head)->sum;
        t->head++;
    }
}


/* its first bytes: what kind, which id, when; FNV-1a */

static uint32_t
cdc_track_sum_of(cdc_span_t body)
{
    size_t    i;
    uint32_t  sum;

    sum = 2166136261 ^ (uint32_t) body.len;

    for (i = 0; i < body.len && i < CDC_TRACK_SUM; i++) {
        sum = (sum ^ body.data[i]) * 16777619;
    }

    return sum ? sum : 1;
}


void
cdc_track_sum(cdc_track_t *t, uint64_t number, cdc_span_t body)
{
    cdc_track_mark(t, number)->sum = cdc_track_sum_of(body);
}


void
cdc_track_place(cdc_track_t *t, cdc_pos_t next)
{
    t->next = next;
    t->before = 0;
    t->ask = 0;
}


cdc_pos_t
cdc_track_from(cdc_track_t *t, const cdc_log_reader_ops_t *ops)
{
    cdc_pos_t  from;

    from = t->next;
    t->ask = (ops->numbered && t->before && from.lo && !t->trust);
    t->trust = 0;

    if (t->ask) {
        from.lo--;
    }

    return from;
}


int
cdc_track_same(cdc_track_t *t, const cdc_log_msg_t *msg)
{
    if (!t->ask) {
        return 0;
    }

    t->ask = 0;

    if (cdc_pos_cmp(msg->pos, t->next) >= 0) {
        return 0;
    }

    return cdc_track_sum_of(msg->body) == t->before ? 1 : -1;
}


int
cdc_track_known(const cdc_track_t *t, cdc_pos_t pos)
{
    size_t  i;

    for (i = 0; i < t->nknown; i++) {
        if (cdc_pos_cmp(pos, t->known[i].first) >= 0
            && cdc_pos_cmp(pos, t->known[i].last) <= 0)
        {
            return 1;
        }
    }

    return 0;
}


cdc_pos_t
cdc_track_end(const cdc_track_t *t)
{
    if (t->tail == t->head) {
        return t->next;
    }

    return cdc_pos_next(cdc_track_mark(t, t->tail - 1)->pos, 1);
}


void
cdc_track_free(cdc_track_t *t)
{
    free(t->ring);
    free(t->known);

    t->ring = NULL;
    t->known = NULL;
    t->cap = t->nknown = 0;
    t->head = t->tail = 0;
}


json_t *
cdc_pos_json(cdc_pos_t pos)
{
    return json_pack("[I,I]", (json_int_t) pos.hi, (json_int_t) pos.lo);
}


int
cdc_pos_from_json(const json_t *json, cdc_pos_t *pos)
{
    json_t  *hi, *lo;

    hi = json_array_get(json, 0);
    lo = json_array_get(json, 1);

    if (!json_is_integer(hi) || !json_is_integer(lo)) {
        return CDC_ERROR;
    }

    pos->hi = (uint64_t) json_integer_value(hi);
    pos->lo = (uint64_t) json_integer_value(lo);

    return CDC_OK;
}


cdc_pos_t
cdc_pos_next(cdc_pos_t pos, uint64_t n)
{
    pos.lo += n;

    return pos;
}


static int
cdc_track_save_interval(json_t *array, cdc_pos_t first, cdc_pos_t last)
{
    return json_array_append_new(array,
                                 json_pack("[I,I,I,I]", (json_int_t) first.hi,
                                           (json_int_t) first.lo,
                                           (json_int_t) last.hi,
                                           (json_int_t) last.lo));
}


json_t *
cdc_track_save(const cdc_track_t *t)
{
    size_t       i;
    json_t      *json, *done;
    uint64_t     n;
    cdc_pos_t    first, last, end;
    cdc_mark_t  *mark;
    unsigned     open;

    done = json_array();
    end = cdc_track_end(t);
    first = last = end;
    open = 0;

    for (n = t->head; n < t->tail; n++) {
        mark = cdc_track_mark(t, n);

        if (mark->done) {
            first = open ? first : mark->pos;
            last = mark->pos;
            open = 1;
            continue;
        }

        if (open) {
            (void) cdc_track_save_interval(done, first, last);
            open = 0;
        }
    }

    if (open) {
        (void) cdc_track_save_interval(done, first, last);
    }

    /* known stretches that have not been reached again */

    for (i = 0; i < t->nknown; i++) {
        if (cdc_pos_cmp(t->known[i].last, end) >= 0) {
            first = t->known[i].first;

            if (cdc_pos_cmp(first, end) < 0) {
                first = end;
            }

            (void) cdc_track_save_interval(done, first, t->known[i].last);
        }
    }

    json = json_pack("{s:o,s:o}", "next", cdc_pos_json(t->next),
                     "done", done);

    if (t->before) {
        (void) json_object_set_new(json, "before", json_integer(t->before));
    }

    return json;
}


int
cdc_track_load(cdc_track_t *t, const json_t *json)
{
    size_t   i, n;
    json_t  *done, *row;

    done = json_object_get(json, "done");
    n = json_array_size(done);

    if (cdc_pos_from_json(json_object_get(json, "next"), &t->next)
        != CDC_OK)
    {
        return CDC_ERROR;
    }

    t->before = (uint32_t) json_integer_value(json_object_get(json,
                                                              "before"));
    t->head = t->tail = 0;
    free(t->known);
    t->known = n ? calloc(n, sizeof(cdc_interval_t)) : NULL;
    t->nknown = 0;

    if (n && t->known == NULL) {
        return CDC_ERROR;
    }

    for (i = 0; i < n; i++) {
        row = json_array_get(done, i);

        if (json_array_size(row) != 4) {
            return CDC_ERROR;
        }

        t->known[i].first.hi = json_integer_value(json_array_get(row, 0));
        t->known[i].first.lo = json_integer_value(json_array_get(row, 1));
        t->known[i].last.hi = json_integer_value(json_array_get(row, 2));
        t->known[i].last.lo = json_integer_value(json_array_get(row, 3));
        t->nknown++;
    }

    return CDC_OK;
}


void
cdc_track_rewind(cdc_track_t *t)
{
    json_t  *json;

    json = cdc_track_save(t);

    (void) cdc_track_load(t, json);

    json_decref(json);
}
