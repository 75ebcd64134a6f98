/*
 * Databases, by their ids: later ones have larger ids.  A dropped one is
 * remembered for as long as a collection or an alias is that was in it: their
 * names go by its name.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


/* nanoseconds here are above this, TSOs below it until the year 2090 */
#define CDC_META_NANOSECONDS  1000000000000000000ULL


/* how many have a smaller one */

static size_t
cdc_meta_db_before(const cdc_meta_t *m, int64_t id)
{
    size_t  low, high, i;

    for (low = 0, high = m->ndbs; low < high; /* void */ ) {
        i = low + (high - low) / 2;

        if (m->dbs[i]->pub.id < id) {
            low = i + 1;

        } else {
            high = i;
        }
    }

    return low;
}


cdc_meta_database_t *
cdc_meta_database(cdc_meta_t *m, int64_t id, int make)
{
    void                 *p;
    size_t                i;
    cdc_meta_database_t  *db;

    i = cdc_meta_db_before(m, id);

    if (i < m->ndbs && m->dbs[i]->pub.id == id) {
        return m->dbs[i];
    }

    if (!make) {
        return NULL;
    }

    p = cdc_meta_grow(m->dbs, m->ndbs, &m->dbs_cap,
                      sizeof(cdc_meta_database_t *));
    if (p == NULL) {
        m->oom = 1;
        return NULL;
    }

    m->dbs = p;

    db = calloc(1, sizeof(cdc_meta_database_t));
    if (db == NULL) {
        m->oom = 1;
        return NULL;
    }

    db->pub.id = id;
    memmove(&m->dbs[i + 1], &m->dbs[i],
            (m->ndbs++ - i) * sizeof(cdc_meta_database_t *));
    m->dbs[i] = db;

    return db;
}


static void
cdc_meta_db_destroy(cdc_meta_database_t *db)
{
    free(db->pub.name);
    free((void *) db->pub.properties.data);
    free(db);
}


void
cdc_meta_db_free(cdc_meta_t *m)
{
    size_t  i;

    for (i = 0; i < m->ndbs; i++) {
        cdc_meta_db_destroy(m->dbs[i]);
    }

    free(m->dbs);
}


/* ---- those that are gone --- */

static void
cdc_meta_db_hold(cdc_meta_t *m, int64_t id)
{
    cdc_meta_database_t  *db;

    db = cdc_meta_database(m, cdc_meta_db_id(id), 0);

    if (db != NULL) {
        db->held = 1;
    }
}


static void
cdc_meta_db_hold_coll(cdc_meta_t *m, const cdc_meta_coll_t *c)
{
    size_t                   i;
    const cdc_meta_items_t  *items;

    items = &c->items[CDC_META_INFO];

    for (i = 0; i < items->n; i++) {
        cdc_meta_db_hold(m, items->a[i].id);
    }

    for (i = 0; i < c->names.n; i++) {
        if (c->names.a[i].name != NULL) {
            cdc_meta_db_hold(m, c->names.a[i].id);
        }
    }
}


/* after a drop: only drops make them more */

static void
cdc_meta_db_forget(cdc_meta_t *m)
{
    size_t                i, n;
    cdc_meta_coll_t      *c;
    cdc_meta_database_t  *db;

    for (i = 0; i < m->ndbs; i++) {
        db = m->dbs[i];
        db->held = db->there || db->dirty;
    }

    for (i = 0; i < m->nbuckets; i++) {
        for (c = m->buckets[i]; c != NULL; c = c->next) {
            cdc_meta_db_hold_coll(m, c);
        }
    }

    for (i = 0; i < m->naliases; i++) {
        cdc_meta_db_hold(m, m->aliases[i]->db);
    }

    for (i = 0, n = 0; i < m->ndbs; i++) {
        db = m->dbs[i];

        if (db->held) {
            m->dbs[n++] = db;

        } else {
            cdc_meta_db_destroy(db);
        }
    }

    m->ndbs = n;
}


/* ---- what etcd says --- */

static void
cdc_meta_db_dirty(cdc_meta_t *m, cdc_meta_database_t *db)
{
    size_t             i, k;
    cdc_meta_coll_t   *c;
    cdc_meta_items_t  *items;

    db->dirty = 1;
    m->alias_dirty = 1;                  /* some may have waited for it */

    for (i = 0; i < m->nbuckets; i++) {
        for (c = m->buckets[i]; c != NULL; c = c->next) {
            items = &c->items[CDC_META_INFO];

            for (k = 0; k < items->n; k++) {
                if (cdc_meta_db_id(items->a[k].id) == db->pub.id) {
                    cdc_meta_coll_dirty(m, c);
                }
            }
        }
    }
}


static int
cdc_meta_db_same(const cdc_meta_db_t *db, const char *name,
    uint64_t created, cdc_span_t properties)
{
    return db->name != NULL && !db->gone && db->created_ts == created
           && strcmp(db->name, name) == 0
           && db->properties.len == properties.len
           && memcmp(db->properties.data, properties.data, properties.len)
              == 0;
}


static void
cdc_meta_db_put(cdc_meta_t *m, int64_t id, cdc_span_t value)
{
    char                         *name;
    uint64_t                      created;
    cdc_span_t                    properties;
    cdc_meta_database_t          *db;
    Milvus__Meta__DatabaseInfo   *info;

    info = milvus__meta__database_info__unpack(NULL, value.len, value.data);

    if (info == NULL || info->name[0] == '\0'
        || cdc_meta_retag(value, 6, 3, &properties) != CDC_OK)
    {
        cdc_log(CDC_LOG_WARN, 0, "source: the metadata of database %lld does "
                "not parse", (long long) id);

        db = cdc_meta_database(m, id, 0);

        if (db != NULL) {
            db->gen = m->gen;            /* it is there */
        }

        goto done;
    }

    db = cdc_meta_database(m, id, 1);
    name = strdup(info->name);

    if (db == NULL || name == NULL) {
        m->oom = 1;
        free(name);
        free((void *) properties.data);
        goto done;
    }

    created = info->created_time;

    if (created > CDC_META_NANOSECONDS) {
        created = cdc_ms_tso(created / 1000000);
    }

    if (!cdc_meta_db_same(&db->pub, name, created, properties)) {
        cdc_meta_db_dirty(m, db);
    }

    free(db->pub.name);
    free((void *) db->pub.properties.data);

    db->gen = m->gen;
    db->there = 1;
    db->pub.name = name;
    db->pub.properties = properties;
    db->pub.created_ts = created;

    /* in 2.3 a database has no states on the way; later ones do */
    db->pub.gone = (info->state >= CDC_META_DB_DROPPING);

done:

    if (info != NULL) {
        milvus__meta__database_info__free_unpacked(info, NULL);
    }
}


static void
cdc_meta_db_gone(cdc_meta_database_t *db)
{
    db->there = 0;

    if (!db->pub.gone) {
        db->pub.gone = 1;
        db->dirty = 1;
    }
}


void
cdc_meta_db_set(cdc_meta_t *m, const cdc_meta_key_t *k, cdc_span_t value,
    int gone)
{
    cdc_meta_database_t  *db;

    if (k->ts == 0 && !gone) {
        cdc_meta_db_put(m, k->db, value);
        return;
    }

    db = cdc_meta_database(m, k->db, 0);

    if (db == NULL) {
        return;
    }

    if (k->ts == 0) {
        cdc_meta_db_gone(db);

    } else if (k->ts > db->pub.changed_ts) {
        db->pub.changed_ts = k->ts;
    }
}


void
cdc_meta_db_sweep(cdc_meta_t *m)
{
    size_t  i;

    for (i = 0; i < m->ndbs; i++) {
        if (m->dbs[i]->gen != m->gen) {
            cdc_meta_db_gone(m->dbs[i]);
        }
    }
}


void
cdc_meta_db_tell(cdc_meta_t *m, unsigned gone)
{
    size_t                i;
    unsigned              told;
    cdc_meta_database_t  *db;

    told = 0;

    for (i = 0; i < m->ndbs; i++) {
        db = m->dbs[i];

        if (!db->dirty || db->pub.gone != gone) {
            continue;
        }

        db->dirty = 0;
        told = 1;

        if (m->handler.database != NULL) {
            m->handler.database(m->handler.arg, &db->pub);
        }
    }

    if (gone && told) {
        cdc_meta_db_forget(m);
    }
}


/* ---- lookups --- */

static int
cdc_meta_db_named(const cdc_meta_database_t *db, cdc_span_t name)
{
    if (name.len == 0) {
        name = cdc_span(CDC_DEFAULT_DB);
    }

    return cdc_span_is(name, db->pub.name);
}


int
cdc_meta_db_is(cdc_meta_t *m, int64_t id, cdc_span_t name)
{
    cdc_meta_database_t  *db;

    db = cdc_meta_database(m, id, 0);

    return db != NULL && cdc_meta_db_named(db, name);
}


const cdc_meta_db_t *
cdc_meta_db_by_name(cdc_meta_t *m, cdc_span_t name)
{
    size_t                i;
    cdc_meta_database_t  *db, *gone;

    gone = NULL;

    for (i = m->ndbs; i > 0; i--) {
        db = m->dbs[i - 1];

        if (!cdc_meta_db_named(db, name)) {
            continue;
        }

        if (!db->pub.gone) {
            return &db->pub;
        }

        gone = gone != NULL ? gone : db;
    }

    return gone != NULL ? &gone->pub : NULL;
}


int
cdc_meta_each_database(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_db_t *db), void *arg)
{
    int     rc;
    size_t  i;

    for (i = 0; i < m->ndbs; i++) {
        rc = m->dbs[i]->pub.gone ? CDC_OK : fn(arg, &m->dbs[i]->pub);

        if (rc != CDC_OK) {
            return rc;
        }
    }

    return CDC_OK;
}
