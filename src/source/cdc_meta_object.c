/*
 * The catalogue's containers: collections by id, each with the values that
 * etcd holds for it, as they are.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


/* room for one element more */

void *
cdc_meta_grow(void *a, size_t n, size_t *cap, size_t size)
{
    void    *p;
    size_t   want;

    if (n < *cap) {
        return a;
    }

    want = *cap != 0 ? *cap * 2 : 4;

    p = realloc(a, want * size);
    if (p != NULL) {
        *cap = want;
    }

    return p;
}


/* ---- items --- */

static size_t
cdc_meta_item_find(const cdc_meta_items_t *items, int64_t id)
{
    size_t  lo, hi, mid;

    lo = 0;
    hi = items->n;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if (items->a[mid].id < id) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    return lo;
}


cdc_meta_item_t *
cdc_meta_item(const cdc_meta_items_t *items, int64_t id)
{
    size_t  i;

    i = cdc_meta_item_find(items, id);

    return i < items->n && items->a[i].id == id ? &items->a[i] : NULL;
}


/* CDC_AGAIN: it was there, with the same value */

int
cdc_meta_item_put(cdc_meta_items_t *items, int64_t id, cdc_span_t value,
    unsigned gen)
{
    size_t            i;
    uint8_t          *copy;
    cdc_meta_item_t  *a;

    i = cdc_meta_item_find(items, id);
    a = (i < items->n && items->a[i].id == id) ? &items->a[i] : NULL;

    if (a != NULL && a->len == value.len
        && (value.len == 0 || memcmp(a->value, value.data, value.len) == 0))
    {
        a->gen = gen;
        return CDC_AGAIN;
    }

    copy = malloc(value.len + 1);
    if (copy == NULL) {
        return CDC_ERROR;
    }

    if (value.len != 0) {
        memcpy(copy, value.data, value.len);
    }

    if (a == NULL) {
        a = cdc_meta_grow(items->a, items->n, &items->cap,
                          sizeof(cdc_meta_item_t));
        if (a == NULL) {
            free(copy);
            return CDC_ERROR;
        }

        items->a = a;
        memmove(&a[i + 1], &a[i], (items->n - i) * sizeof(cdc_meta_item_t));
        items->n++;

        a = &items->a[i];
        a->id = id;

    } else {
        free(a->value);
    }

    a->value = copy;
    a->len = value.len;
    a->gen = gen;

    return CDC_OK;
}


void
cdc_meta_item_del(cdc_meta_items_t *items, int64_t id)
{
    size_t  i;

    i = cdc_meta_item_find(items, id);

    if (i == items->n || items->a[i].id != id) {
        return;
    }

    free(items->a[i].value);
    items->n--;
    memmove(&items->a[i], &items->a[i + 1],
            (items->n - i) * sizeof(cdc_meta_item_t));
}


/* ---- collections --- */

static size_t
cdc_meta_bucket(int64_t id, size_t nbuckets)
{
    uint64_t  h;

    h = (uint64_t) id * 0x9e3779b97f4a7c15ULL;

    return (size_t) (h >> 32) & (nbuckets - 1);
}


static int
cdc_meta_rehash(cdc_meta_t *m)
{
    size_t             i, at, n;
    cdc_meta_coll_t   *c, *next, **buckets;

    n = m->nbuckets != 0 ? m->nbuckets * 2 : 64;

    buckets = calloc(n, sizeof(cdc_meta_coll_t *));
    if (buckets == NULL) {
        return CDC_ERROR;
    }

    for (i = 0; i < m->nbuckets; i++) {
        for (c = m->buckets[i]; c != NULL; c = next) {
            next = c->next;
            at = cdc_meta_bucket(c->id, n);
            c->next = buckets[at];
            buckets[at] = c;
        }
    }

    free(m->buckets);
    m->buckets = buckets;
    m->nbuckets = n;

    return CDC_OK;
}


cdc_meta_coll_t *
cdc_meta_coll(cdc_meta_t *m, int64_t id, int make)
{
    size_t            at;
    cdc_meta_coll_t  *c;

    if (m->nbuckets != 0) {
        for (c = m->buckets[cdc_meta_bucket(id, m->nbuckets)]; c != NULL;
             c = c->next)
        {
            if (c->id == id) {
                return c;
            }
        }
    }

    if (!make) {
        return NULL;
    }

    if (m->ncolls >= m->nbuckets && cdc_meta_rehash(m) != CDC_OK
        && m->nbuckets == 0)
    {
        m->oom = 1;
        return NULL;
    }

    c = calloc(1, sizeof(cdc_meta_coll_t));
    if (c == NULL) {
        m->oom = 1;
        return NULL;
    }

    c->id = id;
    at = cdc_meta_bucket(id, m->nbuckets);
    c->next = m->buckets[at];
    m->buckets[at] = c;
    m->ncolls++;

    return c;
}


void
cdc_meta_coll_dirty(cdc_meta_t *m, cdc_meta_coll_t *c)
{
    if (!c->dirty && !c->pub.gone) {
        c->dirty = 1;
        c->next_dirty = m->dirty;
        m->dirty = c;
    }
}


void
cdc_meta_items_free(cdc_meta_coll_t *c)
{
    size_t  i, k;

    for (k = 0; k < CDC_META_KINDS; k++) {
        for (i = 0; i < c->items[k].n; i++) {
            free(c->items[k].a[i].value);
        }

        free(c->items[k].a);
    }

    memset(c->items, 0, sizeof(c->items));
}


/* must be neither dirty nor in the list of those that are gone */

void
cdc_meta_coll_remove(cdc_meta_t *m, cdc_meta_coll_t *c)
{
    cdc_meta_coll_t  **p;

    p = &m->buckets[cdc_meta_bucket(c->id, m->nbuckets)];

    while (*p != c) {
        p = &(*p)->next;
    }

    *p = c->next;
    m->ncolls--;

    cdc_meta_items_free(c);
    cdc_meta_names_free(&c->names);
    cdc_meta_pub_free(&c->pub);

    if (c->info != NULL) {
        milvus__meta__collection_info__free_unpacked(c->info, NULL);
    }

    free(c);
}
