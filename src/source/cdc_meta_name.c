/*
 * Which name meant which collection, and since when.
 *
 * An operation of the log names its collection as of its own timestamp.  The
 * keys of snapshots/ tell when a name began and ended; where a Milvus keeps
 * none, a name begins with its creation, and a change is taken to be of the
 * moment at which it is seen.
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

    return rec->id == id && strlen(rec->name) == name.len
           && memcmp(rec->name, name.data, name.len) == 0;
}


int
cdc_meta_names_add(cdc_meta_names_t *names, uint64_t ts, int64_t id,
    cdc_span_t name, int ended)
{
    char             *copy;
    size_t            i;
    cdc_meta_name_t  *a, *rec;

    for (i = names->n; i > 0 && names->a[i - 1].ts > ts; i--) {
        /* where it belongs */
    }

    rec = i > 0 ? &names->a[i - 1] : NULL;

    if (rec != NULL && cdc_meta_name_is(rec, id, name, ended)) {
        return CDC_OK;
    }

    /* a move into another database ends and begins a name at one time */

    if (rec != NULL && rec->ts == ts && ended) {
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
        return CDC_OK;
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

    return CDC_OK;
}


int
cdc_meta_names_settle(cdc_meta_names_t *names, uint64_t created_ts,
    int64_t id, cdc_span_t name, int ended)
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

    ts = cdc_ms_tso(cdc_wall_ms());

    return cdc_meta_names_add(names, ts > last->ts ? ts : last->ts + 1, id,
                              name, ended);
}


const cdc_meta_name_t *
cdc_meta_names_at(const cdc_meta_names_t *names, uint64_t ts)
{
    size_t  i;

    for (i = names->n; i > 0; i--) {
        if (ts == 0 || names->a[i - 1].ts <= ts) {
            return names->a[i - 1].name != NULL ? &names->a[i - 1] : NULL;
        }
    }

    return NULL;
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


cdc_meta_alias_entry_t *
cdc_meta_alias(cdc_meta_t *m, int64_t db, cdc_span_t name, int make)
{
    void              *p;
    size_t             i;
    cdc_meta_alias_entry_t  *a;

    for (i = 0; i < m->naliases; i++) {
        a = m->aliases[i];

        if (a->db == db && strlen(a->name) == name.len
            && memcmp(a->name, name.data, name.len) == 0)
        {
            return a;
        }
    }

    if (!make || memchr(name.data, '\0', name.len) != NULL) {
        return NULL;
    }

    p = cdc_meta_grow(m->aliases, m->naliases, &m->aliases_cap,
                      sizeof(cdc_meta_alias_entry_t *));
    if (p == NULL) {
        m->oom = 1;
        return NULL;
    }

    m->aliases = p;

    a = calloc(1, sizeof(cdc_meta_alias_entry_t));
    if (a == NULL) {
        m->oom = 1;
        return NULL;
    }

    a->db = db;
    a->name = strndup((const char *) name.data, name.len);

    if (a->name == NULL) {
        m->oom = 1;
        free(a);
        return NULL;
    }

    m->aliases[m->naliases++] = a;

    return a;
}
