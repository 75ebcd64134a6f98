/*
 * A task's public form: what list and get show of it.
 *
 * Only what is named here goes out; user names, passwords, tokens and the
 * rest of the request stay in the store.  A task keeps the form in which it
 * was made: "uri", or the earlier "host" and "port", to which get adds
 * "enable_tls".  What the documentation does not show is shown when it was
 * given, but for what the existing service hides: name_mapping,
 * rpc_channel_info, extra_info, exclude_collections, disable_auto_start.
 * State and reason are added by whoever shows the document.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdlib.h>
#include <string.h>

#include "cdc_store.h"


static const char  *cdc_doc_infos[] = {
    "name", "positions", "use_start_position", NULL
};


static json_t *
cdc_doc_int(const json_t *object, const char *key)
{
    return json_integer(json_integer_value(json_object_get(object, key)));
}


static json_t *
cdc_doc_connect(const cdc_stored_t *t, int get)
{
    json_t  *in, *out;

    out = json_object();
    in = json_object_get(t->request, "milvus_connect_param");

    if (in == NULL) {
        return out;
    }

    if (json_string_length(json_object_get(in, "uri")) != 0) {
        json_object_set_new(out, "uri", json_string(t->target));

    } else {
        if (get) {
            json_object_set_new(out, "enable_tls",
                             json_boolean(json_is_true(json_object_get(in,
                                                           "enable_tls"))));
        }

        json_object_set(out, "host", json_object_get(in, "host"));
        json_object_set_new(out, "port", cdc_doc_int(in, "port"));
    }

    json_object_set_new(out, "connect_timeout",
                        cdc_doc_int(in, "connect_timeout"));

    if (json_is_true(json_object_get(in, "ignore_partition"))) {
        json_object_set_new(out, "ignore_partition", json_true());
    }

    return out;
}


static json_t *
cdc_doc_collections(const json_t *in)
{
    size_t         i, k;
    json_t        *out, *to, *from, *value;

    out = json_array();

    json_array_foreach(in, i, from) {
        to = json_object();

        for (k = 0; cdc_doc_infos[k] != NULL; k++) {
            value = json_object_get(from, cdc_doc_infos[k]);

            if (value != NULL) {
                json_object_set(to, cdc_doc_infos[k], value);
            }
        }

        json_array_append_new(out, to);
    }

    return out;
}


static void
cdc_doc_selection(const cdc_stored_t *t, json_t *doc)
{
    json_t      *infos, *dbs, *out, *value;
    const char  *db;

    infos = json_object_get(t->request, "collection_infos");
    dbs = json_object_get(t->request, "db_collections");

    if (json_array_size(infos) != 0 || json_object_size(dbs) == 0) {
        json_object_set_new(doc, "collection_infos",
                            cdc_doc_collections(infos));
    }

    if (json_object_size(dbs) == 0) {
        return;
    }

    out = json_object();

    json_object_foreach(dbs, db, value) {
        json_object_set_new(out, db, cdc_doc_collections(value));
    }

    json_object_set_new(doc, "db_collections", out);
}


static void
cdc_doc_more(const cdc_stored_t *t, json_t *doc)
{
    json_t  *value;

    value = json_object_get(t->request, "log_gap");

    if (json_string_length(value) != 0) {
        json_object_set(doc, "log_gap", value);
    }

    value = json_object_get(t->request, "on_poison");

    if (json_string_length(value) != 0) {
        json_object_set(doc, "on_poison", value);
    }
}


static size_t
cdc_doc_dump(json_t *doc, size_t flags, char *buf, uint32_t *len)
{
    char    *text;
    size_t   n;

    text = json_dumps(doc, JSON_COMPACT|flags);
    json_decref(doc);

    if (text == NULL) {
        return SIZE_MAX;
    }

    n = strlen(text);

    if (n < CDC_DOC_MAX) {
        memcpy(buf, text, n + 1);
        *len = (uint32_t) n;
    }

    free(text);

    return n;
}


int
cdc_stored_record(const cdc_stored_t *t, cdc_task_record_t *record,
    size_t *need)
{
    size_t   list, get;
    json_t  *doc;

    memset(record, 0, sizeof(cdc_task_record_t));

    memcpy(record->task_id, t->id, sizeof(t->id));
    memcpy(record->reason, t->reason, sizeof(t->reason));

    record->revision = t->revision;
    record->created_ms = t->created_ms;
    record->state = t->state;

    doc = json_object();
    json_object_set_new(doc, "task_id", json_string(t->id));
    json_object_set_new(doc, "milvus_connect_param", cdc_doc_connect(t, 0));
    cdc_doc_selection(t, doc);
    cdc_doc_more(t, doc);
    list = cdc_doc_dump(doc, 0, record->list_doc, &record->list_len);

    /* in get the members are in alphabetical order, as documented */

    doc = json_object();
    json_object_set_new(doc, "task_id", json_string(t->id));
    json_object_set_new(doc, "milvus_connect_param", cdc_doc_connect(t, 1));
    cdc_doc_selection(t, doc);
    cdc_doc_more(t, doc);
    get = cdc_doc_dump(doc, JSON_SORT_KEYS, record->get_doc,
                       &record->get_len);

    *need = list > get ? list : get;

    if (*need == SIZE_MAX) {
        return CDC_ERROR;
    }

    return *need < CDC_DOC_MAX ? CDC_OK : CDC_DECLINED;
}
