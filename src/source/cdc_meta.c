/*
 * The catalogue's interface: opening, looking up, waiting.
 *
 * Ranges: only what cdc_meta_key.c knows, and little beside it.  The segments
 * and binlogs of a Milvus (datacoord-meta/, segment-index/) can be a hundred
 * times as much and are never asked for; a watch spans all ranges and so sees
 * the changes of segment-index/ and session/ as well, which it drops.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cdc_meta_int.h"


static const cdc_etcd_keys_t  cdc_meta_ranges[] = {
    { "field-index/", "field-index0", 0 },
    { "querycoord-collection-loadinfo/", "querycoord-partition-loadinfo0",
      0 },
    { "querycoord-replica/", "querycoord-replica0", 1 },
    { "root-coord/", "root-coord0", 0 },
    { "snapshots/root-coord/database/", "snapshots/root-coord/database0", 1 }
};

#define CDC_META_RANGES  (sizeof(cdc_meta_ranges) / sizeof(cdc_meta_ranges[0]))


static void cdc_meta_batch(void *arg, const cdc_etcd_batch_t *batch);


static const char *
cdc_meta_setting(const json_t *conf, const char *name, const char *value)
{
    const char  *s;

    s = json_string_value(json_object_get(conf, name));

    return s != NULL ? s : value;
}


static int
cdc_meta_follow(cdc_meta_t *m, cdc_loop_t *loop, const json_t *conf,
    char *err)
{
    int              rc;
    char            *text, *p;
    size_t           i, len;
    cdc_etcd_keys_t  keys[CDC_META_RANGES];

    len = m->prefix_len + 64;

    text = malloc(2 * CDC_META_RANGES * len);
    if (text == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "source: no memory");
        return CDC_ERROR;
    }

    p = text;

    for (i = 0; i < CDC_META_RANGES; i++) {
        keys[i].side = cdc_meta_ranges[i].side;

        (void) snprintf(p, len, "%s%s", m->prefix, cdc_meta_ranges[i].from);
        keys[i].from = p;
        p += len;

        (void) snprintf(p, len, "%s%s", m->prefix, cdc_meta_ranges[i].to);
        keys[i].to = p;
        p += len;
    }

    m->follow = cdc_etcd_follow(loop, json_object_get(conf, "etcd"), keys,
                                CDC_META_RANGES, cdc_meta_batch, m, err);
    rc = m->follow != NULL ? CDC_OK : CDC_ERROR;

    free(text);

    return rc;
}


cdc_meta_t *
cdc_meta_open(cdc_loop_t *loop, const void *conf,
    const cdc_meta_handler_t *h, char *err)
{
    char         prefix[1024];
    cdc_meta_t  *m;

    (void) snprintf(prefix, sizeof(prefix), "%.500s/%.500s/",
                    cdc_meta_setting(conf, "root_path", "by-dev"),
                    cdc_meta_setting(conf, "meta_path", "meta"));

    m = malloc(sizeof(cdc_meta_t));

    if (m == NULL || cdc_meta_create(m, h, prefix) != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "source: no memory");
        free(m);
        return NULL;
    }

    if (cdc_meta_follow(m, loop, conf, err) != CDC_OK) {
        cdc_meta_close(m);
        return NULL;
    }

    return m;
}


void
cdc_meta_close(cdc_meta_t *m)
{
    if (m == NULL) {
        return;
    }

    cdc_etcd_close(m->follow);
    cdc_meta_destroy(m);
    free(m);
}


/* ---- what etcd says --- */

static void
cdc_meta_synced(cdc_meta_t *m, uint64_t ticket)
{
    cdc_meta_waiter_t  *w;

    /* a done() may ask again: its ticket is a later one */

    while (m->waiters != NULL && m->waiters->ticket <= ticket) {
        w = m->waiters;
        m->waiters = w->next;
        w->done(w->arg);
        free(w);
    }
}


static void
cdc_meta_batch(void *arg, const cdc_etcd_batch_t *batch)
{
    cdc_meta_t  *m;

    m = arg;

    switch (batch->kind) {

    case CDC_ETCD_LIST:
    case CDC_ETCD_EVENTS:
        cdc_meta_apply(m, batch);
        break;

    case CDC_ETCD_SYNCED:
        cdc_meta_synced(m, batch->sync);
        break;

    case CDC_ETCD_DOWN:
    case CDC_ETCD_UP:
        if (m->handler.degraded != NULL) {
            m->handler.degraded(m->handler.arg,
                                batch->kind == CDC_ETCD_DOWN ? batch->text
                                                             : NULL);
        }
    }
}


int
cdc_meta_sync(cdc_meta_t *m, void (*done)(void *arg), void *arg)
{
    cdc_meta_waiter_t  *w, **last;

    w = calloc(1, sizeof(cdc_meta_waiter_t));
    if (w == NULL) {
        return CDC_ERROR;
    }

    w->done = done;
    w->arg = arg;

    for (last = &m->waiters; *last != NULL; last = &(*last)->next) {
        /* in the order of tickets */
    }

    *last = w;
    w->ticket = cdc_etcd_sync(m->follow);

    return CDC_OK;
}


uint64_t
cdc_meta_next_try(cdc_meta_t *m)
{
    return cdc_etcd_next_try(m->follow);
}


/* ---- lookups --- */

const cdc_meta_collection_t *
cdc_meta_by_id(cdc_meta_t *m, int64_t id)
{
    cdc_meta_coll_t  *c;

    c = cdc_meta_coll(m, id, 0);

    return c != NULL && c->visible ? &c->pub : NULL;
}


/* the newest holder, should a name have been given on within one moment */

static const cdc_meta_coll_t *
cdc_meta_named(cdc_meta_t *m, cdc_span_t db, cdc_span_t name, uint64_t ts)
{
    size_t                  i;
    uint64_t                since;
    cdc_meta_coll_t        *c, *found;
    const cdc_meta_name_t  *rec;

    found = NULL;
    since = 0;

    for (i = 0; i < m->nbuckets; i++) {
        for (c = m->buckets[i]; c != NULL; c = c->next) {
            rec = c->visible ? cdc_meta_names_at(&c->names, ts) : NULL;

            if (rec == NULL || rec->ts < since
                || !cdc_span_is(name, rec->name)
                || !cdc_meta_db_is(m, rec->id, db))
            {
                continue;
            }

            found = c;
            since = rec->ts;
        }
    }

    return found;
}


const cdc_meta_collection_t *
cdc_meta_by_name(cdc_meta_t *m, cdc_span_t db, cdc_span_t name, uint64_t ts)
{
    const cdc_meta_coll_t  *c;

    c = cdc_meta_named(m, db, name, ts);

    return c != NULL ? &c->pub : cdc_meta_by_alias(m, db, name, ts);
}


int
cdc_meta_each_collection(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_collection_t *c), void *arg)
{
    int               rc;
    size_t            i;
    cdc_meta_coll_t  *c;

    for (i = 0; i < m->nbuckets; i++) {
        for (c = m->buckets[i]; c != NULL; c = c->next) {
            rc = c->visible && !c->pub.gone ? fn(arg, &c->pub) : CDC_OK;

            if (rc != CDC_OK) {
                return rc;
            }
        }
    }

    return CDC_OK;
}
