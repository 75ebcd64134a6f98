/*
 * Indexes and load state (cdc_meta_load.c) as the requests that would make
 * them.
 *
 * A user's own index parameters are what the request carried; the others are
 * what Milvus made of them (an AUTOINDEX has become an HNSW by then).  An
 * automatic index without a user's parameters is asked for as such again, by
 * its metric type.  An index on a scalar field that was made without
 * parameters has none to send: its "index_type" is Milvus's choice (seen on
 * 2.3.5: Trie).
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


/* base{msg_type}, db_name, collection_name: the same three in each */

cdc_chain_t *
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


int
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
cdc_meta_param(cdc_chain_t *chain, const char *key, const char *value)
{
    size_t  mark;

    if (cdc_chain_open(chain, 5, &mark) != CDC_OK
        || cdc_chain_bytes_field(chain, 1, cdc_span_n(key, strlen(key)))
           != CDC_OK
        || cdc_chain_bytes_field(chain, 2, cdc_span_n(value, strlen(value)))
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_chain_close(chain, mark);

    return CDC_OK;
}


static int
cdc_meta_params(cdc_chain_t *chain, Milvus__Common__KeyValuePair **a,
    size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (cdc_meta_param(chain, a[i]->key, a[i]->value) != CDC_OK) {
            return CDC_ERROR;
        }
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
        if (strcmp(info->index_params[i]->key, "metric_type") != 0) {
            continue;
        }

        if (!info->is_auto_index) {
            return cdc_meta_params(chain, info->index_params,
                                   info->n_index_params);
        }

        if (cdc_meta_param(chain, "index_type", "AUTOINDEX") != CDC_OK) {
            return CDC_ERROR;
        }

        return cdc_meta_params(chain, &info->index_params[i], 1);
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

    if (cdc_meta_field_name(c, info->fieldid, &field, NULL)
        != CDC_OK) {
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
