/*
 * Aliases.
 *
 * What is told of an alias is what it can be used for: one whose collection
 * is being dropped means nothing any more, though 2.3.5 keeps its key until
 * it cleans up minutes later (seen).  So a drop of a collection tells the end
 * of its aliases with the drop's own timestamp.
 *
 * An alias that has ended is forgotten with the last collection that it
 * meant.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


static int
cdc_meta_alias_cmp(const cdc_meta_alias_entry_t *a, int64_t db,
    cdc_span_t name)
{
    if (a->db != db) {
        return a->db < db ? -1 : 1;
    }

    return cdc_meta_cmp(a->name, name);
}


static size_t
cdc_meta_alias_find(const cdc_meta_t *m, int64_t db, cdc_span_t name)
{
    size_t  lo, hi, mid;

    lo = 0;
    hi = m->naliases;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if (cdc_meta_alias_cmp(m->aliases[mid], db, name) < 0) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    return lo;
}


static cdc_meta_alias_entry_t *
cdc_meta_alias(cdc_meta_t *m, int64_t db, cdc_span_t name, int make)
{
    void                    *p;
    size_t                   i;
    cdc_meta_alias_entry_t  *a;

    i = cdc_meta_alias_find(m, db, name);

    if (i < m->naliases && cdc_meta_alias_cmp(m->aliases[i], db, name) == 0) {
        return m->aliases[i];
    }

    if (!make) {
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

    memmove(&m->aliases[i + 1], &m->aliases[i],
            (m->naliases - i) * sizeof(cdc_meta_alias_entry_t *));
    m->aliases[i] = a;
    m->naliases++;

    return a;
}


static void
cdc_meta_alias_remove(cdc_meta_t *m, size_t i)
{
    cdc_meta_names_free(&m->aliases[i]->names);
    free(m->aliases[i]->name);
    free(m->aliases[i]);

    m->naliases--;
    memmove(&m->aliases[i], &m->aliases[i + 1],
            (m->naliases - i) * sizeof(cdc_meta_alias_entry_t *));
}


void
cdc_meta_alias_free(cdc_meta_t *m)
{
    while (m->naliases != 0) {
        cdc_meta_alias_remove(m, m->naliases - 1);
    }

    free(m->aliases);
}


/* ---- what etcd says --- */

void
cdc_meta_alias_set(cdc_meta_t *m, const cdc_meta_key_t *k, cdc_span_t value,
    int gone)
{
    int                       rc;
    int64_t                   id;
    uint64_t                  created;
    cdc_meta_alias_form_t    *form;
    cdc_meta_alias_entry_t   *a;
    Milvus__Meta__AliasInfo  *info;

    id = 0;
    created = 0;

    if (!gone) {
        info = milvus__meta__alias_info__unpack(NULL, value.len, value.data);

        if (info == NULL) {
            cdc_log(CDC_LOG_WARN, 0, "source: the metadata of alias \"%.*s\" "
                    "does not parse", (int) (k->name.len & 0xff),
                    (const char *) k->name.data);

            a = cdc_meta_alias(m, cdc_meta_db_id(k->db), k->name, 0);

            if (a != NULL && k->ts == 0) {
                form = k->db != 0 ? &a->now : &a->old;
                form->gen = m->gen;      /* it is there */
            }

            return;
        }

        id = info->state == CDC_META_CREATED ? info->collection_id : 0;
        created = info->created_time;
        milvus__meta__alias_info__free_unpacked(info, NULL);
    }

    a = cdc_meta_alias(m, cdc_meta_db_id(k->db), k->name, !gone);
    if (a == NULL) {
        return;
    }

    m->alias_dirty = 1;

    if (k->ts != 0) {
        rc = cdc_meta_names_add(&a->names, k->ts, id, k->name, id == 0);
        m->oom |= (rc != CDC_OK);
        return;
    }

    form = k->db != 0 ? &a->now : &a->old;

    form->collection = id;
    form->created_ts = created;
    form->gen = m->gen;
}


void
cdc_meta_alias_sweep(cdc_meta_t *m)
{
    size_t                   i;
    cdc_meta_alias_entry_t  *a;

    for (i = 0; i < m->naliases; i++) {
        a = m->aliases[i];

        if (a->now.gen != m->gen) {
            a->now.collection = 0;
        }

        if (a->old.gen != m->gen) {
            a->old.collection = 0;
        }
    }

    m->alias_dirty = 1;
}


/* ---- what is told --- */

/* the collection that it stands for, or NULL and what ended it */

static cdc_meta_coll_t *
cdc_meta_alias_means(cdc_meta_t *m, const cdc_meta_alias_entry_t *a,
    int64_t id, const cdc_meta_names_t **by)
{
    cdc_meta_coll_t  *c;

    c = id != 0 ? cdc_meta_coll(m, id, 0) : NULL;

    *by = &a->names;

    if (c == NULL || !c->visible) {
        return NULL;
    }

    if (c->pub.dropping) {
        *by = &c->names;
        return NULL;
    }

    return c;
}


static int
cdc_meta_alias_is_past(cdc_meta_t *m, const cdc_meta_alias_entry_t *a)
{
    size_t  i;

    if (a->now.collection != 0 || a->old.collection != 0) {
        return 0;
    }

    for (i = 0; i < a->names.n; i++) {
        if (a->names.a[i].name != NULL
            && cdc_meta_coll(m, a->names.a[i].id, 0) != NULL)
        {
            return 0;
        }
    }

    return 1;
}


static void
cdc_meta_alias_tell_one(cdc_meta_t *m, cdc_meta_alias_entry_t *a)
{
    int64_t                       id;
    cdc_meta_coll_t              *c;
    cdc_meta_alias_t              pub;
    const cdc_meta_names_t       *by;
    const cdc_meta_alias_form_t  *form;

    form = a->now.collection != 0 ? &a->now : &a->old;
    id = form->collection;

    m->oom |= cdc_meta_names_settle(&a->names, form->created_ts,
                                    form->created_ts, id,
                                    cdc_span_n(a->name, strlen(a->name)),
                                    id == 0)
              != CDC_OK;

    c = cdc_meta_alias_means(m, a, id, &by);
    id = c != NULL ? c->id : 0;

    if (id == a->told) {
        return;
    }

    a->told = id;

    if (m->handler.alias == NULL) {
        return;
    }

    pub.db = cdc_meta_database(m, a->db, 0)->pub.name;
    pub.name = a->name;
    pub.collection_id = id;
    pub.ts = cdc_meta_names_since(by);

    m->handler.alias(m->handler.arg, &pub);
}


void
cdc_meta_alias_tell(cdc_meta_t *m)
{
    size_t                   i;
    cdc_meta_alias_entry_t  *a;

    if (!m->alias_dirty) {
        return;
    }

    m->alias_dirty = 0;

    for (i = m->naliases; i > 0; i--) {
        a = m->aliases[i - 1];

        /* one that is there waits for its database; etcd's history has those
         * of databases that never come */

        if (cdc_meta_database(m, a->db, 0) != NULL) {
            cdc_meta_alias_tell_one(m, a);
        }

        if (cdc_meta_alias_is_past(m, a)) {
            cdc_meta_alias_remove(m, i - 1);
        }
    }
}


/* ---- lookups --- */

int
cdc_meta_each_alias(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_alias_t *a), void *arg)
{
    int                      rc;
    size_t                   i;
    cdc_meta_alias_t         pub;
    cdc_meta_alias_entry_t  *a;

    for (i = 0; i < m->naliases; i++) {
        a = m->aliases[i];

        if (a->told == 0) {
            continue;
        }

        pub.db = cdc_meta_database(m, a->db, 0)->pub.name;
        pub.name = a->name;
        pub.collection_id = a->told;
        pub.ts = cdc_meta_names_since(&a->names);

        rc = fn(arg, &pub);

        if (rc != CDC_OK) {
            return rc;
        }
    }

    return CDC_OK;
}


const cdc_meta_collection_t *
cdc_meta_by_alias(cdc_meta_t *m, cdc_span_t db, cdc_span_t name, uint64_t ts)
{
    size_t                   i;
    cdc_meta_coll_t         *c;
    const cdc_meta_name_t   *rec;
    cdc_meta_alias_entry_t  *a;

    for (i = 0; i < m->naliases; i++) {
        a = m->aliases[i];

        if (!cdc_span_is(name, a->name) || !cdc_meta_db_is(m, a->db, db)) {
            continue;
        }

        rec = cdc_meta_names_at(&a->names, ts);
        c = rec != NULL ? cdc_meta_coll(m, rec->id, 0) : NULL;

        if (c != NULL && c->visible && !cdc_meta_names_ended(&c->names, ts)) {
            return &c->pub;
        }
    }

    return NULL;
}
