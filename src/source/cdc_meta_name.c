/*
 * Which name meant which collection, and since when.
 *
 * An operation of the log names its collection as of its own timestamp.  The
 * keys of snapshots/ tell when a name began and ended; where a Milvus keeps
 * none, a name begins with its creation, and a change is of the time that the
 * object itself tells, or a guess: the moment at which it is seen.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


static int
cdc_meta_name_is(const cdc_meta_name_t *rec, int64_t id, cdc_span_t name,
    int ended)
{
    if (ended || rec->name == NULL) {
        return ended && rec->name == NULL;
    }

    return rec->id == id && cdc_span_is(name, rec->name);
}


static int
cdc_meta_name_insert(cdc_meta_names_t *names, size_t i, uint64_t ts,
    int64_t id, char *copy)
{
    cdc_meta_name_t  *a;

    if (names->n == CDC_META_NAMES_MAX) {
        if (i == 0) {
            free(copy);
            return CDC_OK;               /* older than all that is kept */
        }

        free(names->a[0].name);
        memmove(&names->a[0], &names->a[1],
                --names->n * sizeof(cdc_meta_name_t));
        i--;
    }

    a = cdc_meta_grow(names->a, names->n, &names->cap,
                      sizeof(cdc_meta_name_t));
    if (a == NULL) {
        free(copy);
        return CDC_ERROR;
    }

    memmove(&a[i + 1], &a[i], (names->n - i) * sizeof(cdc_meta_name_t));

    names->a = a;
    names->n++;

    a[i].ts = ts;
    a[i].id = id;
    a[i].name = copy;
    a[i].guess = 0;

    return CDC_OK;
}


int
cdc_meta_names_add(cdc_meta_names_t *names, uint64_t ts, int64_t id,
    cdc_span_t name, int ended)
{
    char             *copy;
    size_t            i;
    cdc_meta_name_t  *rec, *next;

    for (i = names->n; i > 0 && names->a[i - 1].ts > ts; i--) {
        /* where it belongs */
    }

    rec = i > 0 ? &names->a[i - 1] : NULL;
    next = i < names->n ? &names->a[i] : NULL;

    if (rec != NULL && cdc_meta_name_is(rec, id, name, ended)) {
        return CDC_OK;
    }

    /* a move into another database ends and begins a name at one time */

    if (rec != NULL && rec->ts == ts && ended) {
        return CDC_OK;
    }

    /* seen before it was told */

    if (next != NULL && next->guess && (rec == NULL || rec->ts != ts)
        && cdc_meta_name_is(next, id, name, ended))
    {
        next->ts = ts;
        next->guess = 0;
        return CDC_OK;
    }

    copy = NULL;

    if (!ended) {
        copy = strndup((const char *) name.data, name.len);
        if (copy == NULL) {
            return CDC_ERROR;
        }
    }

    if (rec != NULL && rec->ts == ts) {
        free(rec->name);
        rec->name = copy;
        rec->id = id;
        rec->guess = 0;
        return CDC_OK;
    }

    return cdc_meta_name_insert(names, i, ts, id, copy);
}


int
cdc_meta_names_settle(cdc_meta_names_t *names, uint64_t created_ts,
    uint64_t changed_ts, int64_t id, cdc_span_t name, int ended)
{
    uint64_t          ts;
    cdc_meta_name_t  *last;

    if (names->n == 0) {
        return ended ? CDC_OK
                     : cdc_meta_names_add(names, created_ts, id, name, 0);
    }

    last = &names->a[names->n - 1];

    if (cdc_meta_name_is(last, id, name, ended)) {
        return CDC_OK;
    }

    if (changed_ts > last->ts) {
        return cdc_meta_names_add(names, changed_ts, id, name, ended);
    }

    ts = cdc_ms_tso(cdc_wall_ms());
    ts = ts > last->ts ? ts : last->ts + 1;

    if (cdc_meta_names_add(names, ts, id, name, ended) != CDC_OK) {
        return CDC_ERROR;
    }

    names->a[names->n - 1].guess = 1;

    return CDC_OK;
}


static const cdc_meta_name_t *
cdc_meta_names_find(const cdc_meta_names_t *names, uint64_t ts)
{
    size_t  i;

    for (i = names->n; i > 0; i--) {
        if (ts == 0 || names->a[i - 1].ts <= ts) {
            return &names->a[i - 1];
        }
    }

    return NULL;
}


const cdc_meta_name_t *
cdc_meta_names_at(const cdc_meta_names_t *names, uint64_t ts)
{
    const cdc_meta_name_t  *rec;

    rec = cdc_meta_names_find(names, ts);

    return rec != NULL && rec->name != NULL ? rec : NULL;
}


int
cdc_meta_names_ended(const cdc_meta_names_t *names, uint64_t ts)
{
    const cdc_meta_name_t  *rec;

    rec = cdc_meta_names_find(names, ts);

    return rec != NULL && rec->name == NULL;
}


uint64_t
cdc_meta_names_since(const cdc_meta_names_t *names)
{
    const cdc_meta_name_t  *rec;

    rec = cdc_meta_names_find(names, 0);

    return rec != NULL && !rec->guess ? rec->ts : 0;
}


void
cdc_meta_names_free(cdc_meta_names_t *names)
{
    size_t  i;

    for (i = 0; i < names->n; i++) {
        free(names->a[i].name);
    }

    free(names->a);
    memset(names, 0, sizeof(cdc_meta_names_t));
}
