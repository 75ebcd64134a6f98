/*
 * The catalogue follows etcd.
 *
 * Each collection holds its values as etcd has them, by kind and id.  A batch
 * changes values and marks collections; when a revision, or a whole list, has
 * been taken in, each marked collection is put together anew and compared
 * with what the handler knows.  So the order of keys inside a revision does
 * not matter, a move between databases is no drop, and a collection whose
 * keys come in several transactions shows up when its state says Created.
 *
 * A list carries a number; what it did not touch is gone.
 *
 * A dropped collection passes through the state Dropping, in which its name
 * has ended; it is gone once its key is.  CDC_META_GONE_MAX dropped ones are
 * remembered, so that what is still on its way can be told from what never
 * was.
 *
 * A value that does not parse is logged and leaves its object as it was.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


int
cdc_meta_create(cdc_meta_t *m, const cdc_meta_handler_t *h,
    const char *prefix)
{
    memset(m, 0, sizeof(cdc_meta_t));

    m->handler = *h;
    m->gone_last = &m->gone;
    m->prefix_len = strlen(prefix);
    m->prefix = strdup(prefix);

    return m->prefix != NULL ? CDC_OK : CDC_ERROR;
}


void
cdc_meta_destroy(cdc_meta_t *m)
{
    size_t              i;
    cdc_meta_waiter_t  *w;

    for (i = 0; i < m->nbuckets; i++) {
        while (m->buckets[i] != NULL) {
            cdc_meta_coll_remove(m, m->buckets[i]);
        }
    }

    while (m->waiters != NULL) {
        w = m->waiters;
        m->waiters = w->next;
        free(w);
    }

    cdc_meta_db_free(m);
    cdc_meta_alias_free(m);
    cdc_meta_rbac_free(m);

    free(m->buckets);
    free(m->prefix);
}


/* ---- collections --- */

/* a load writes a key for each partition, again and again: what the public
 * form does not show needs no new one */

static void
cdc_meta_item_dirty(cdc_meta_t *m, cdc_meta_coll_t *c, cdc_meta_kind_e kind)
{
    if (kind < CDC_META_INDEX || !c->visible) {
        cdc_meta_coll_dirty(m, c);
    }
}


static void
cdc_meta_item_gone(cdc_meta_t *m, cdc_meta_coll_t *c, cdc_meta_kind_e kind,
    int64_t id)
{
    if (cdc_meta_item(&c->items[kind], id) == NULL) {
        return;
    }

    cdc_meta_item_del(&c->items[kind], id);
    cdc_meta_item_dirty(m, c, kind);

    if ((kind == CDC_META_LOAD || kind == CDC_META_PARTLOAD)
        && m->handler.released != NULL)
    {
        m->handler.released(m->handler.arg, c->id, id);
    }
}


static void
cdc_meta_item_set(cdc_meta_t *m, const cdc_meta_key_t *k, cdc_span_t value,
    int gone)
{
    int               rc;
    cdc_meta_coll_t  *c;

    c = cdc_meta_coll(m, k->collection, !gone);
    if (c == NULL) {
        return;
    }

    if (gone) {
        cdc_meta_item_gone(m, c, k->kind, k->item);
        return;
    }

    rc = cdc_meta_item_put(&c->items[k->kind], k->item, value, m->gen);

    if (rc == CDC_ERROR) {
        m->oom = 1;
        return;
    }

    /* a list may bring back nothing new, and yet end what was there */

    cdc_meta_item_dirty(m, c, k->kind);

    if ((k->kind == CDC_META_LOAD || k->kind == CDC_META_PARTLOAD)
        && m->handler.loaded != NULL)
    {
        m->handler.loaded(m->handler.arg, c->id);
    }
}


/* a key of snapshots/: since when a name is what it is */

static void
cdc_meta_history(cdc_meta_t *m, const cdc_meta_key_t *k, cdc_span_t value,
    int gone)
{
    cdc_span_t                     name;
    cdc_meta_coll_t               *c;
    Milvus__Meta__CollectionInfo  *info;

    c = cdc_meta_coll(m, k->collection, 0);
    if (c == NULL) {
        return;
    }

    if (k->ts > c->changed_ts) {
        c->changed_ts = k->ts;
    }

    info = NULL;
    name = cdc_span_n(NULL, 0);

    if (!gone) {
        info = milvus__meta__collection_info__unpack(NULL, value.len,
                                                     value.data);

        if (info == NULL
            || cdc_meta_schema_name(cdc_span_n(info->schema.data,
                                               info->schema.len),
                                    &name) != CDC_OK)
        {
            goto done;                   /* logged with the plain key */
        }

        gone = (info->state > CDC_META_CREATING);
    }

    m->oom |= cdc_meta_names_add(&c->names, k->ts, cdc_meta_db_id(k->db),
                                 name, gone)
              != CDC_OK;

done:

    if (info != NULL) {
        milvus__meta__collection_info__free_unpacked(info, NULL);
    }
}


/* ---- comparing --- */

static int
cdc_meta_same(const cdc_meta_collection_t *a, const cdc_meta_collection_t *b)
{
    return a->db_id == b->db_id
           && strcmp(a->db, b->db) == 0
           && strcmp(a->name, b->name) == 0
           && a->consistency_level == b->consistency_level
           && a->schema.len == b->schema.len
           && memcmp(a->schema.data, b->schema.data, a->schema.len) == 0
           && a->properties.len == b->properties.len
           && memcmp(a->properties.data, b->properties.data,
                     a->properties.len) == 0;
}


static void
cdc_meta_notify(cdc_meta_t *m, cdc_meta_coll_t *c,
    const cdc_meta_collection_t *old)
{
    size_t                       i;
    cdc_meta_partition_t        *p;
    const cdc_meta_partition_t  *was;

    if (old->name == NULL || !cdc_meta_same(old, &c->pub)) {
        if (m->handler.collection != NULL) {
            m->handler.collection(m->handler.arg, &c->pub);
        }
    }

    for (i = 0; old->name != NULL && i < c->pub.npartitions; i++) {
        p = &c->pub.partitions[i];
        was = cdc_meta_partition(old, p->id);

        if ((was == NULL || was->gone != p->gone)
            && m->handler.partition != NULL)
        {
            m->handler.partition(m->handler.arg, &c->pub, p);
        }
    }
}


/* ---- putting together --- */

static void
cdc_meta_coll_end(cdc_meta_t *m, cdc_meta_coll_t *c)
{
    cdc_meta_coll_t  *old;

    m->oom |= cdc_meta_names_settle(&c->names, 0, 0, 0, cdc_span_n(NULL, 0),
                                    1)
              != CDC_OK;
    m->alias_dirty = 1;

    c->pub.dropping = 1;
    c->pub.gone = 1;
    cdc_meta_items_free(c);
    *m->gone_last = c;
    m->gone_last = &c->next_gone;

    if (m->handler.collection != NULL) {
        m->handler.collection(m->handler.arg, &c->pub);
    }

    if (++m->ngone > CDC_META_GONE_MAX) {
        old = m->gone;                   /* never c, never dirty */
        m->gone = old->next_gone;
        m->ngone--;
        cdc_meta_coll_remove(m, old);
    }
}


/* the key of its database; during a move both are there for a moment */

static cdc_meta_item_t *
cdc_meta_info_item(cdc_meta_coll_t *c)
{
    cdc_meta_items_t  *items;

    items = &c->items[CDC_META_INFO];

    return items->n != 0 ? &items->a[items->n - 1] : NULL;
}


static void
cdc_meta_coll_state(cdc_meta_t *m, cdc_meta_coll_t *c,
    const cdc_meta_item_t *item, Milvus__Meta__CollectionInfo *info)
{
    int                    rc;
    cdc_span_t             name;
    cdc_meta_collection_t  pub, old;

    rc = cdc_meta_schema_name(cdc_span_n(info->schema.data,
                                         info->schema.len), &name);

    if (rc == CDC_OK) {
        m->oom |= cdc_meta_names_settle(&c->names, info->create_time,
                                        info->update_timestamp,
                                        cdc_meta_db_id(item->id), name,
                                        info->state > CDC_META_CREATING)
                  != CDC_OK;

        if (info->update_timestamp > c->changed_ts) {
            c->changed_ts = info->update_timestamp;
        }

        if (c->pub.dropping != (info->state > CDC_META_CREATING)) {
            c->pub.dropping = !c->pub.dropping;
            m->alias_dirty = 1;
        }

        rc = info->state == CDC_META_CREATED
             ? cdc_meta_build(m, c, item, info, &pub) : CDC_DECLINED;
    }

    if (rc != CDC_OK) {
        if (rc == CDC_ERROR) {
            cdc_log(CDC_LOG_WARN, 0, "source: the metadata of collection "
                    "%lld does not parse", (long long) c->id);
        }

        milvus__meta__collection_info__free_unpacked(info, NULL);
        return;
    }

    pub.name_ts = cdc_meta_names_since(&c->names);
    pub.changed_ts = c->changed_ts;

    old = c->pub;
    c->pub = pub;
    m->alias_dirty |= !c->visible;
    c->visible = 1;

    cdc_meta_notify(m, c, &old);

    cdc_meta_pub_free(&old);

    if (c->info != NULL) {
        milvus__meta__collection_info__free_unpacked(c->info, NULL);
    }

    c->info = info;
}


static void
cdc_meta_coll_refresh(cdc_meta_t *m, cdc_meta_coll_t *c)
{
    size_t                         k, n;
    cdc_meta_item_t               *item;
    Milvus__Meta__CollectionInfo  *info;

    if (c->visible && c->pub.gone) {
        return;                          /* ids are not used again */
    }

    item = cdc_meta_info_item(c);

    if (item != NULL) {
        info = milvus__meta__collection_info__unpack(NULL, item->len,
                                                     item->value);
        if (info == NULL) {
            cdc_log(CDC_LOG_WARN, 0, "source: the metadata of collection "
                    "%lld does not parse", (long long) c->id);
            return;
        }

        cdc_meta_coll_state(m, c, item, info);
        return;
    }

    if (c->visible) {
        cdc_meta_coll_end(m, c);
        return;
    }

    for (k = 0, n = 0; k < CDC_META_KINDS; k++) {
        n += c->items[k].n;
    }

    if (n == 0) {
        cdc_meta_coll_remove(m, c);      /* never came to be */
    }
}


/* a revision, or a list, is complete */

static void
cdc_meta_flush(cdc_meta_t *m)
{
    cdc_meta_coll_t  *c;

    cdc_meta_db_tell(m, 0);

    while (m->dirty != NULL) {
        c = m->dirty;
        m->dirty = c->next_dirty;
        c->dirty = 0;
        c->next_dirty = NULL;
        cdc_meta_coll_refresh(m, c);
    }

    cdc_meta_alias_tell(m);
    cdc_meta_db_tell(m, 1);              /* it was empty by then */
    cdc_meta_rbac_tell(m);
}


/* ---- batches --- */

/* what the list did not hold */

static void
cdc_meta_sweep(cdc_meta_t *m)
{
    size_t             b, i, k;
    cdc_meta_coll_t   *c;
    cdc_meta_items_t  *items;

    cdc_meta_db_sweep(m);
    cdc_meta_alias_sweep(m);
    cdc_meta_rbac_sweep(m);

    for (b = 0; b < m->nbuckets; b++) {
        for (c = m->buckets[b]; c != NULL; c = c->next) {
            for (k = 0; k < CDC_META_KINDS; k++) {
                items = &c->items[k];

                for (i = items->n; i > 0; i--) {
                    if (items->a[i - 1].gen != m->gen) {
                        cdc_meta_item_gone(m, c, (cdc_meta_kind_e) k,
                                           items->a[i - 1].id);
                    }
                }
            }
        }
    }
}


static void
cdc_meta_kv(cdc_meta_t *m, const cdc_etcd_kv_t *kv, int snapshots)
{
    int             gone;
    cdc_span_t      key;
    cdc_meta_key_t  k;

    if (kv->key.len < m->prefix_len
        || memcmp(kv->key.data, m->prefix, m->prefix_len) != 0)
    {
        return;
    }

    key = cdc_span_n(kv->key.data + m->prefix_len,
                     kv->key.len - m->prefix_len);

    if (cdc_meta_key(key, &k) != CDC_OK || (k.ts != 0) != snapshots) {
        return;
    }

    gone = kv->deleted || cdc_meta_tombstone(kv->value);

    if (k.ts != 0 && kv->deleted) {
        return;                          /* history that etcd forgets */
    }

    if (k.kind >= CDC_META_RAW_USER) {
        if (k.ts == 0) {
            cdc_meta_rbac_set(m, &k, kv->value, gone);
        }

        return;
    }

    switch (k.kind) {

    case CDC_META_DB:
        cdc_meta_db_set(m, &k, kv->value, gone);
        return;

    case CDC_META_ALIAS:
        cdc_meta_alias_set(m, &k, kv->value, gone);
        return;

    default:
        break;
    }

    if (k.ts == 0) {
        cdc_meta_item_set(m, &k, kv->value, gone);

    } else if (k.kind == CDC_META_INFO) {
        cdc_meta_history(m, &k, kv->value, gone);
    }
}


void
cdc_meta_apply(cdc_meta_t *m, const cdc_etcd_batch_t *batch)
{
    int     pass;
    size_t  i;

    if (batch->kind == CDC_ETCD_LIST && batch->first) {
        m->gen++;
    }

    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < batch->n; i++) {
            cdc_meta_kv(m, &batch->kvs[i], pass);
        }
    }

    if (batch->kind == CDC_ETCD_EVENTS) {
        cdc_meta_flush(m);

    } else if (batch->last) {
        cdc_meta_sweep(m);
        cdc_meta_flush(m);

        if (m->handler.listed != NULL) {
            m->handler.listed(m->handler.arg);
        }
    }

    if (m->oom) {

        /* a catalogue with holes would drop or skip data: start anew */

        cdc_log(CDC_LOG_EMERG, 0, "no memory for the source's catalogue");
        abort();
    }
}
