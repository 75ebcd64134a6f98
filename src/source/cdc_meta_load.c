/*
 * A collection's load state as the request that would make it.
 *
 * A collection that was loaded as a whole has a load info for each of its
 * partitions (seen on 2.3.5); when one is missing, that partition has been
 * released since, and the load goes by partitions.
 *
 * Resource groups are those of the replicas.  A request names one for all of
 * them, or one for each; the default one, when it is the only one, goes
 * without saying.
 *
 * Milvus 2.5 keeps the fields that were asked for, and all of them, the
 * dynamic one included, when none was asked for.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


#define CDC_META_DEFAULT_GROUP  "__default_resource_group"


/* 1: each partition, and none is known to be released */

static int
cdc_meta_load_whole(const cdc_meta_coll_t *c)
{
    size_t                   i;
    const cdc_meta_items_t  *parts;

    parts = &c->items[CDC_META_PARTLOAD];

    for (i = 0; parts->n != 0 && i < c->pub.npartitions; i++) {
        if (!c->pub.partitions[i].gone
            && cdc_meta_item(parts, c->pub.partitions[i].id) == NULL)
        {
            return 0;
        }
    }

    return 1;
}


static int
cdc_meta_load_names(cdc_chain_t *chain, const cdc_meta_coll_t *c, size_t *n)
{
    size_t                       i;
    const cdc_meta_partition_t  *p;

    for (i = 0; i < c->pub.npartitions; i++) {
        p = &c->pub.partitions[i];

        if (p->gone || cdc_meta_item(&c->items[CDC_META_PARTLOAD], p->id)
                       == NULL)
        {
            continue;
        }

        if (cdc_chain_bytes_field(chain, 4,
                                  cdc_span_n(p->name, strlen(p->name)))
            != CDC_OK)
        {
            return CDC_ERROR;
        }

        (*n)++;
    }

    return CDC_OK;
}


/* ---- resource groups --- */

static int
cdc_meta_load_groups(cdc_chain_t *chain, const cdc_meta_coll_t *c,
    uint32_t number, size_t replicas)
{
    int                      rc;
    size_t                   i, n, same, send;
    const char              *name;
    Milvus__Meta__Replica  **r;
    const cdc_meta_items_t  *items;

    items = &c->items[CDC_META_REPLICA];

    r = calloc(items->n + 1, sizeof(Milvus__Meta__Replica *));
    if (r == NULL) {
        return CDC_ERROR;
    }

    for (i = 0, n = 0, same = 0; i < items->n; i++) {
        r[n] = milvus__meta__replica__unpack(NULL, items->a[i].len,
                                             items->a[i].value);
        if (r[n] == NULL) {
            cdc_log(CDC_LOG_WARN, 0, "source: replica %lld of collection "
                    "%lld does not parse", (long long) items->a[i].id,
                    (long long) c->id);
            continue;
        }

        same += (strcmp(r[n]->resource_group, r[0]->resource_group) == 0);
        n++;
    }

    rc = CDC_OK;
    send = 0;

    if (n != 0 && same == n) {
        name = r[0]->resource_group;
        send = (name[0] != '\0' && strcmp(name, CDC_META_DEFAULT_GROUP) != 0);

    } else if (n == replicas) {          /* else one is on its way */
        send = n;
    }

    for (i = 0; rc == CDC_OK && i < send; i++) {
        name = r[i]->resource_group;
        name = name[0] != '\0' ? name : CDC_META_DEFAULT_GROUP;
        rc = cdc_chain_bytes_field(chain, number,
                                   cdc_span_n(name, strlen(name)));
    }

    for (i = 0; i < n; i++) {
        milvus__meta__replica__free_unpacked(r[i], NULL);
    }

    free(r);

    return rc;
}


/* ---- fields --- */

static int
cdc_meta_load_has(const Milvus__Meta__CollectionLoadInfo *info, int64_t id)
{
    size_t  i;

    for (i = 0; i < info->n_load_fields; i++) {
        if (info->load_fields[i] == id) {
            return 1;
        }
    }

    return 0;
}


/* the fields by name, and whether the dynamic one is left out; nothing when
 * they are all there */

static int
cdc_meta_load_fields(cdc_chain_t *chain, const cdc_meta_coll_t *c,
    const Milvus__Meta__CollectionLoadInfo *info, uint32_t number)
{
    int                      pass, dynamic;
    size_t                   i, missing, skip;
    cdc_span_t               name;
    const cdc_meta_items_t  *items;

    if (info->n_load_fields == 0) {
        return CDC_OK;
    }

    items = &c->items[CDC_META_FIELD];
    missing = 0;
    skip = 0;

    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < items->n; i++) {
            if (items->a[i].id < CDC_META_USER_FIELD
                || cdc_meta_field_name(c, items->a[i].id, &name, &dynamic)
                   != CDC_OK)
            {
                continue;
            }

            if (!cdc_meta_load_has(info, items->a[i].id)) {
                missing += !dynamic;
                skip |= dynamic;
                continue;
            }

            if (pass == 1 && !dynamic
                && cdc_chain_bytes_field(chain, number, name) != CDC_OK)
            {
                return CDC_ERROR;
            }
        }

        if (missing == 0) {
            break;
        }
    }

    return skip ? cdc_chain_varint_field(chain, number + 1, 1) : CDC_OK;
}


/* ---- the request --- */

static int
cdc_meta_load_finish(cdc_chain_t *chain, int rc, const cdc_meta_coll_t *c,
    const Milvus__Meta__CollectionLoadInfo *info, uint32_t number,
    const cdc_meta_sink_t *sink)
{
    uint64_t  replicas;

    replicas = info->replica_number > 0 ? (uint64_t) info->replica_number : 1;

    /* replica_number, resource_groups, refresh, load_fields,
     * skip_load_dynamic_field */

    if (rc == CDC_OK) {
        rc = cdc_chain_varint_field(chain, number, replicas);
    }

    if (rc == CDC_OK) {
        rc = cdc_meta_load_groups(chain, c, number + 1, replicas);
    }

    if (rc == CDC_OK) {
        rc = cdc_meta_load_fields(chain, c, info, number + 3);
    }

    return cdc_meta_hand_out(chain, rc, sink);
}


static int
cdc_meta_load_as(const cdc_meta_coll_t *c,
    const Milvus__Meta__CollectionLoadInfo *info,
    const cdc_meta_sink_t *sink)
{
    int           rc;
    size_t        n;
    cdc_chain_t  *chain;

    if (info->load_type != 1 && info->n_released_partitions == 0
        && cdc_meta_load_whole(c))
    {
        chain = cdc_meta_request(&c->pub, CDC_MSG_LOAD_COLLECTION);

        return chain != NULL
               ? cdc_meta_load_finish(chain, CDC_OK, c, info, 4, sink)
               : CDC_ERROR;
    }

    chain = cdc_meta_request(&c->pub, CDC_MSG_LOAD_PARTITIONS);
    if (chain == NULL) {
        return CDC_ERROR;
    }

    n = 0;
    rc = cdc_meta_load_names(chain, c, &n);

    if (n == 0) {
        cdc_chain_unref(chain);
        return rc;
    }

    return cdc_meta_load_finish(chain, rc, c, info, 5, sink);
}


int
cdc_meta_load(const cdc_meta_coll_t *c, const cdc_meta_sink_t *sink)
{
    int                                rc;
    cdc_meta_item_t                   *item;
    Milvus__Meta__CollectionLoadInfo  *info;

    item = cdc_meta_item(&c->items[CDC_META_LOAD], 0);

    if (item == NULL) {
        return CDC_OK;
    }

    info = milvus__meta__collection_load_info__unpack(NULL, item->len,
                                                      item->value);
    if (info == NULL) {
        cdc_log(CDC_LOG_WARN, 0, "source: the load state of collection %lld "
                "does not parse", (long long) c->id);
        return CDC_OK;
    }

    rc = cdc_meta_load_as(c, info, sink);

    milvus__meta__collection_load_info__free_unpacked(info, NULL);

    return rc;
}


int
cdc_meta_loaded(cdc_meta_t *m, int64_t collection_id, int64_t partition_id)
{
    cdc_meta_coll_t  *c;

    c = cdc_meta_coll(m, collection_id, 0);

    if (c == NULL || cdc_meta_item(&c->items[CDC_META_LOAD], 0) == NULL) {
        return 0;
    }

    if (partition_id == 0 || c->items[CDC_META_PARTLOAD].n == 0) {
        return 1;
    }

    return cdc_meta_item(&c->items[CDC_META_PARTLOAD], partition_id) != NULL;
}
