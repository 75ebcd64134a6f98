/*
 * Indexes and load state as the requests that would make them.
 *
 * A user's own index parameters are what the request carried; the others are
 * what Milvus made of them (an AUTOINDEX has become an HNSW by then).  An
 * index on a scalar field that was made without parameters has none to send:
 * its "index_type" is Milvus's choice (seen on 2.3.5: Trie).
 *
 * A collection that was loaded as a whole has a load info for each of its
 * partitions (seen on 2.3.5); when one is missing, that partition has been
 * released since, and the load goes by partitions.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"
#include "cdc_wire.h"


typedef struct {
    int   (*fn)(void *arg, cdc_span_t request);
    void   *arg;
} cdc_meta_sink_t;


/* base{msg_type}, db_name, collection_name: the same three in each */

static cdc_chain_t *
cdc_meta_request(const cdc_meta_collection_t *c, int32_t type)
{
    int           rc;
    size_t        mark;
    cdc_chain_t  *chain;

    chain = cdc_chain_create();
    if (chain == NULL) {
        return NULL;
    }

    rc = cdc_chain_open(chain, 1, &mark);

    if (rc == CDC_OK) {
        rc = cdc_chain_varint_field(chain, 1, (uint64_t) type);
        cdc_chain_close(chain, mark);
    }

    if (rc != CDC_OK
        || cdc_chain_bytes_field(chain, 2, cdc_span_n(c->db, strlen(c->db)))
           != CDC_OK
        || cdc_chain_bytes_field(chain, 3,
                                 cdc_span_n(c->name, strlen(c->name)))
           != CDC_OK)
    {
        cdc_chain_unref(chain);
        return NULL;
    }

    return chain;
}


static int
cdc_meta_hand_out(cdc_chain_t *chain, int rc, const cdc_meta_sink_t *sink)
{
    size_t    len;
    uint8_t  *data;

    if (rc == CDC_OK) {
        data = cdc_chain_flatten(chain, &len);
        rc = data != NULL ? sink->fn(sink->arg, cdc_span_n(data, len))
                          : CDC_ERROR;
        free(data);
    }

    cdc_chain_unref(chain);

    return rc;
}


/* ---- indexes --- */

static int
cdc_meta_params(cdc_chain_t *chain, Milvus__Common__KeyValuePair **a,
    size_t n)
{
    size_t  i, mark;

    for (i = 0; i < n; i++) {
        if (cdc_chain_open(chain, 5, &mark) != CDC_OK
            || cdc_chain_bytes_field(chain, 1, cdc_span_n(a[i]->key,
                                                          strlen(a[i]->key)))
               != CDC_OK
            || cdc_chain_bytes_field(chain, 2,
                                     cdc_span_n(a[i]->value,
                                                strlen(a[i]->value)))
               != CDC_OK)
        {
            return CDC_ERROR;
        }

        cdc_chain_close(chain, mark);
    }

    return CDC_OK;
}


static int
cdc_meta_index_params(cdc_chain_t *chain, const Milvus__Meta__IndexInfo *info)
{
    size_t  i;

    if (info->n_user_index_params != 0) {
        return cdc_meta_params(chain, info->user_index_params,
                               info->n_user_index_params);
    }

    for (i = 0; i < info->n_index_params; i++) {
        if (strcmp(info->index_params[i]->key, "metric_type") == 0) {
            return cdc_meta_params(chain, info->index_params,
                                   info->n_index_params);
        }
    }

    return CDC_OK;
}


static int
cdc_meta_index(const cdc_meta_coll_t *c, const Milvus__Meta__IndexInfo *info,
    const cdc_meta_sink_t *sink)
{
    int           rc;
    cdc_span_t    field, name;
    cdc_chain_t  *chain;

    if (cdc_meta_field_name(c, info->fieldid, &field) != CDC_OK) {
        cdc_log(CDC_LOG_WARN, 0, "source: index %lld of collection %lld is "
                "on field %lld, which is not there",
                (long long) info->indexid, (long long) c->id,
                (long long) info->fieldid);
        return CDC_OK;
    }

    chain = cdc_meta_request(&c->pub, CDC_MSG_CREATE_INDEX);
    if (chain == NULL) {
        return CDC_ERROR;
    }

    name = cdc_span_n(info->index_name, strlen(info->index_name));

    rc = cdc_chain_bytes_field(chain, 4, field);

    if (rc == CDC_OK) {
        rc = cdc_meta_index_params(chain, info);
    }

    if (rc == CDC_OK) {
        rc = cdc_chain_bytes_field(chain, 6, name);
    }

    return cdc_meta_hand_out(chain, rc, sink);
}


static int
cdc_meta_indexes(const cdc_meta_coll_t *c, const cdc_meta_sink_t *sink)
{
    int                        rc;
    size_t                     i;
    const cdc_meta_items_t    *items;
    Milvus__Meta__FieldIndex  *index;

    items = &c->items[CDC_META_INDEX];
    rc = CDC_OK;

    for (i = 0; rc == CDC_OK && i < items->n; i++) {
        index = milvus__meta__field_index__unpack(NULL, items->a[i].len,
                                                  items->a[i].value);

        if (index == NULL || index->index_info == NULL) {
            cdc_log(CDC_LOG_WARN, 0, "source: index %lld of collection %lld "
                    "does not parse", (long long) items->a[i].id,
                    (long long) c->id);

        } else if (!index->deleted) {
            rc = cdc_meta_index(c, index->index_info, sink);
        }

        if (index != NULL) {
            milvus__meta__field_index__free_unpacked(index, NULL);
        }
    }

    return rc;
}


/* ---- load state --- */

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
cdc_meta_load_partitions(const cdc_meta_coll_t *c, int32_t replicas,
    const cdc_meta_sink_t *sink)
{
    int                           rc;
    size_t                        i, n;
    cdc_chain_t                  *chain;
    const cdc_meta_partition_t   *p;

    chain = cdc_meta_request(&c->pub, CDC_MSG_LOAD_PARTITIONS);
    if (chain == NULL) {
        return CDC_ERROR;
    }

    rc = CDC_OK;
    n = 0;

    for (i = 0; rc == CDC_OK && i < c->pub.npartitions; i++) {
        p = &c->pub.partitions[i];

        if (p->gone || cdc_meta_item(&c->items[CDC_META_PARTLOAD], p->id)
                       == NULL)
        {
            continue;
        }

        rc = cdc_chain_bytes_field(chain, 4,
                                   cdc_span_n(p->name, strlen(p->name)));
        n++;
    }

    if (n == 0) {
        cdc_chain_unref(chain);
        return rc;
    }

    if (rc == CDC_OK) {
        rc = cdc_chain_varint_field(chain, 5, (uint64_t) replicas);
    }

    return cdc_meta_hand_out(chain, rc, sink);
}


static int
cdc_meta_load(const cdc_meta_coll_t *c, const cdc_meta_sink_t *sink)
{
    int                                rc, whole;
    int32_t                            replicas;
    cdc_chain_t                       *chain;
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

    replicas = info->replica_number > 0 ? info->replica_number : 1;
    whole = info->load_type != 1 && info->n_released_partitions == 0
            && cdc_meta_load_whole(c);

    milvus__meta__collection_load_info__free_unpacked(info, NULL);

    if (!whole) {
        return cdc_meta_load_partitions(c, replicas, sink);
    }

    chain = cdc_meta_request(&c->pub, CDC_MSG_LOAD_COLLECTION);
    if (chain == NULL) {
        return CDC_ERROR;
    }

    rc = cdc_chain_varint_field(chain, 4, (uint64_t) replicas);

    return cdc_meta_hand_out(chain, rc, sink);
}


int
cdc_meta_each_operation(cdc_meta_t *m, int64_t collection_id,
    int (*fn)(void *arg, cdc_span_t request), void *arg)
{
    int               rc;
    cdc_meta_coll_t  *c;
    cdc_meta_sink_t   sink;

    c = cdc_meta_coll(m, collection_id, 0);

    if (c == NULL || !c->visible || c->pub.dropping) {
        return CDC_OK;
    }

    sink.fn = fn;
    sink.arg = arg;

    rc = cdc_meta_indexes(c, &sink);

    return rc == CDC_OK ? cdc_meta_load(c, &sink) : rc;
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
