/*
 * Requests about tasks that exist: list and get from the zone; pause, resume
 * and delete by the store; and what is known but not done yet.
 */

#include "ngx_http_milvus_cdc_http.h"

#include <stdio.h>


#define NGX_HTTP_MILVUS_CDC_SILENT      30000   /* ms without a report */


typedef struct {
    uint64_t                     created_ms;
    ngx_str_t                    json;
} ngx_http_milvus_cdc_item_t;


static ngx_int_t ngx_http_milvus_cdc_list_items(ngx_http_milvus_cdc_ctx_t *c,
    ngx_http_milvus_cdc_item_t *items, ngx_uint_t *n);
static ngx_int_t ngx_http_milvus_cdc_task_json(ngx_pool_t *pool,
    ngx_http_milvus_cdc_slot_t *slot, const char *doc, size_t len,
    ngx_str_t *json);
static int ngx_libc_cdecl ngx_http_milvus_cdc_cmp_items(const void *one,
    const void *two);


ngx_http_milvus_cdc_slot_t  ngx_http_milvus_cdc_scratch;

static ngx_http_milvus_cdc_kept_t  ngx_http_milvus_cdc_kept_list;


ngx_int_t
ngx_http_milvus_cdc_control(ngx_http_milvus_cdc_ctx_t *c)
{
    const char  *id;

    id = ngx_http_milvus_cdc_str(c->data, "task_id");

    /* no task has an empty or such a long name */

    if (id[0] == '\0' || ngx_strlen(id) > CDC_TASK_ID_MAX) {

        if (ngx_strcmp(c->type->name, "delete") == 0
            && json_is_true(json_object_get(c->data, "ignore_not_found")))
        {
            return ngx_http_milvus_cdc_answer(c, NULL, 0);
        }

        return ngx_http_milvus_cdc_error(c, CDC_E_NOT_FOUND, id);
    }

    return ngx_http_milvus_cdc_store(c, 0);
}


ngx_int_t
ngx_http_milvus_cdc_get(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_int_t                    rc;
    ngx_str_t                    id, json;
    ngx_http_milvus_cdc_slot_t  *slot;
    ngx_http_milvus_cdc_text_t   t;

    slot = &ngx_http_milvus_cdc_scratch;

    id.data = (u_char *) ngx_http_milvus_cdc_str(c->data, "task_id");
    id.len = ngx_strlen(id.data);

    if (id.len == 0) {
        return ngx_http_milvus_cdc_error(c, CDC_E_EMPTY_TASK_ID);
    }

    c->retry = ngx_http_milvus_cdc_get;

    if (!ngx_http_milvus_cdc_table_ready(c->mcf->zone)) {
        return ngx_http_milvus_cdc_wait(c);
    }

    rc = ngx_http_milvus_cdc_table_find(c->mcf->zone, &id, slot);

    if (rc == NGX_AGAIN) {
        return ngx_http_milvus_cdc_wait(c);
    }

    if (rc != NGX_OK) {
        return ngx_http_milvus_cdc_error(c, CDC_E_GET_NOT_FOUND,
                                         (char *) id.data);
    }

    if (ngx_http_milvus_cdc_task_json(c->request->pool, slot,
                                      slot->record.get_doc,
                                      slot->record.get_len, &json)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_milvus_cdc_text_init(&t, c->request->pool);

    /* the documentation says Task, the service and its clients say task */

    ngx_http_milvus_cdc_text_str(&t, "{\"code\":200,\"data\":{\"Task\":");
    ngx_http_milvus_cdc_text_add(&t, json.data, json.len);
    ngx_http_milvus_cdc_text_str(&t, ",\"task\":");
    ngx_http_milvus_cdc_text_add(&t, json.data, json.len);
    ngx_http_milvus_cdc_text_str(&t, ",\"progress\":");
    ngx_http_milvus_cdc_progress_json(&t, slot, c->mcf);
    ngx_http_milvus_cdc_text_str(&t, "}}\n");

    return ngx_http_milvus_cdc_send(c, &t);
}


ngx_int_t
ngx_http_milvus_cdc_list(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_int_t                    rc;
    ngx_uint_t                   i, n;
    ngx_http_milvus_cdc_text_t   t;
    ngx_http_milvus_cdc_item_t   items[CDC_MAX_TASKS];

    c->retry = ngx_http_milvus_cdc_list;

    if (!ngx_http_milvus_cdc_table_ready(c->mcf->zone)) {
        return ngx_http_milvus_cdc_wait(c);
    }

    ngx_http_milvus_cdc_text_init(&t, c->request->pool);

    rc = ngx_http_milvus_cdc_kept_get(&ngx_http_milvus_cdc_kept_list,
                                      c->mcf->zone,
                                      ngx_http_milvus_cdc_table_changes(
                                                           c->mcf->zone), &t);
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_OK) {
        return ngx_http_milvus_cdc_send(c, &t);
    }

    rc = ngx_http_milvus_cdc_list_items(c, items, &n);

    if (rc == NGX_AGAIN) {
        return ngx_http_milvus_cdc_wait(c);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_milvus_cdc_text_str(&t, "{\"code\":200,\"data\":{\"tasks\":[");

    for (i = 0; i < n; i++) {
        if (i) {
            ngx_http_milvus_cdc_text_str(&t, ",");
        }

        ngx_http_milvus_cdc_text_add(&t, items[i].json.data,
                                     items[i].json.len);
    }

    ngx_http_milvus_cdc_text_str(&t, "]}}\n");
    ngx_http_milvus_cdc_kept_put(&ngx_http_milvus_cdc_kept_list, &t);

    return ngx_http_milvus_cdc_send(c, &t);
}


/* in the order of their creation */

static ngx_int_t
ngx_http_milvus_cdc_list_items(ngx_http_milvus_cdc_ctx_t *c,
    ngx_http_milvus_cdc_item_t *items, ngx_uint_t *n)
{
    ngx_int_t                    rc;
    ngx_uint_t                   i;
    ngx_http_milvus_cdc_slot_t  *slot;

    slot = &ngx_http_milvus_cdc_scratch;
    *n = 0;

    for (i = 0; *n < CDC_MAX_TASKS; i++) {
        rc = ngx_http_milvus_cdc_table_read(c->mcf->zone, i, slot);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc != NGX_OK) {
            continue;
        }

        items[*n].created_ms = slot->record.created_ms;

        if (ngx_http_milvus_cdc_task_json(c->request->pool, slot,
                                          slot->record.list_doc,
                                          slot->record.list_len,
                                          &items[*n].json)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        (*n)++;
    }

    ngx_qsort(items, *n, sizeof(ngx_http_milvus_cdc_item_t),
              ngx_http_milvus_cdc_cmp_items);

    return NGX_OK;
}


ngx_int_t
ngx_http_milvus_cdc_position(ngx_http_milvus_cdc_ctx_t *c)
{
    return ngx_http_milvus_cdc_error(c, CDC_E_NOT_SUPPORTED, "position",
                                     "see \"progress\" for how far a task is");
}


/*
 * Log levels and such are nginx's own (error_log).  The documented answer to
 * an operation that cannot be done is a State, never an error.
 */

ngx_int_t
ngx_http_milvus_cdc_maintenance(ngx_http_milvus_cdc_ctx_t *c)
{
    json_t                      *level;
    const char                  *op;
    ngx_http_milvus_cdc_text_t   t, state;

    op = json_string_value(json_object_get(c->data, "operation"));

    if (op == NULL || ngx_strlen(op) > CDC_MAX_NAME_LEN) {
        op = "";
    }

    level = ngx_http_milvus_cdc_member(json_object_get(c->data, "params"),
                                       "log_level");

    ngx_http_milvus_cdc_text_init(&state, c->request->pool);

    if (ngx_strcmp(op, "set_log_level") == 0 && !json_is_string(level)) {
        ngx_http_milvus_cdc_text_str(&state, "log_level is required");

    } else {
        ngx_http_milvus_cdc_text_str(&state, "unsupported operation: ");
        ngx_http_milvus_cdc_text_str(&state, op);
    }

    if (state.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_milvus_cdc_text_init(&t, c->request->pool);
    ngx_http_milvus_cdc_text_str(&t, "{\"code\":200,\"data\":{\"State\":");
    ngx_http_milvus_cdc_text_json(&t, state.head->buf->pos, state.size);
    ngx_http_milvus_cdc_text_str(&t, "}}\n");

    return ngx_http_milvus_cdc_send(c, &t);
}


const char *
ngx_http_milvus_cdc_state(ngx_uint_t state)
{
    switch (state) {

    case CDC_TASK_RUNNING:
        return "Running";

    case CDC_TASK_PAUSED:
        return "Paused";

    default:
        return "Initial";
    }
}


uint64_t
ngx_http_milvus_cdc_wall_ms(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


void
ngx_http_milvus_cdc_reason(ngx_http_milvus_cdc_slot_t *slot, ngx_str_t *reason)
{
    char  *text;

    text = "";

    if (slot->record.state == CDC_TASK_PAUSED) {
        text = slot->record.reason;

    } else if (slot->record.state == CDC_TASK_RUNNING) {

        /* a task that was just started owes no report yet */

        if (ngx_current_msec > slot->seen + NGX_HTTP_MILVUS_CDC_SILENT) {
            text = "its replicator does not report";

        } else if (slot->status.degraded_since_ms) {
            text = slot->status.degraded[0] ? slot->status.degraded
                                            : "degraded";
        }
    }

    reason->data = (u_char *) text;
    reason->len = ngx_strlen(text);
}


/*
 * The store's document, with "state" and, where there is one, "reason" before
 * "task_id" when that ends it (get: names in alphabetical order), else at the
 * end (list).
 */

static ngx_int_t
ngx_http_milvus_cdc_task_json(ngx_pool_t *pool,
    ngx_http_milvus_cdc_slot_t *slot, const char *doc, size_t len,
    ngx_str_t *json)
{
    u_char                      *p;
    size_t                       tail;
    ngx_int_t                    n;
    ngx_str_t                    reason;
    ngx_chain_t                 *cl;
    ngx_http_milvus_cdc_text_t   t;
    char                         id[CDC_TASK_ID_MAX + 16];

    if (len < 2 || doc[0] != '{' || doc[len - 1] != '}') {
        return NGX_ERROR;
    }

    ngx_http_milvus_cdc_reason(slot, &reason);
    ngx_http_milvus_cdc_text_init(&t, pool);

    n = snprintf(id, sizeof(id), "\"task_id\":\"%s\"}", slot->record.task_id);

    if (n > 0 && (size_t) n + 2 < len
        && ngx_memcmp(doc + len - n, id, n) == 0)
    {
        tail = n;
        ngx_http_milvus_cdc_text_add(&t, doc, len - tail);

    } else {
        tail = 1;
        ngx_http_milvus_cdc_text_add(&t, doc, len - tail);

        if (len > 2) {
            ngx_http_milvus_cdc_text_str(&t, ",");
        }
    }

    if (reason.len && tail > 1) {
        if (ngx_http_milvus_cdc_degraded(&t, slot, &reason) == NGX_OK) {
            ngx_http_milvus_cdc_text_str(&t, ",");
        }

        ngx_http_milvus_cdc_text_str(&t, "\"reason\":");
        ngx_http_milvus_cdc_text_json(&t, reason.data, reason.len);
        ngx_http_milvus_cdc_text_str(&t, ",");
    }

    ngx_http_milvus_cdc_text_printf(&t, "\"state\":\"%s\"",
                         ngx_http_milvus_cdc_state(slot->record.state));

    if (reason.len && tail == 1) {
        ngx_http_milvus_cdc_text_str(&t, ",\"reason\":");
        ngx_http_milvus_cdc_text_json(&t, reason.data, reason.len);

        if (slot->record.state == CDC_TASK_RUNNING) {
            ngx_http_milvus_cdc_text_str(&t, ",");
            (void) ngx_http_milvus_cdc_degraded(&t, slot, &reason);
        }
    }

    if (tail > 1) {
        ngx_http_milvus_cdc_text_str(&t, ",");
    }

    ngx_http_milvus_cdc_text_add(&t, doc + len - tail, tail);

    if (t.failed) {
        return NGX_ERROR;
    }

    json->len = t.size;
    json->data = ngx_pnalloc(pool, t.size);
    if (json->data == NULL) {
        return NGX_ERROR;
    }

    p = json->data;

    for (cl = t.head; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_milvus_cdc_cmp_items(const void *one, const void *two)
{
    const ngx_http_milvus_cdc_item_t *a = one;
    const ngx_http_milvus_cdc_item_t *b = two;

    if (a->created_ms == b->created_ms) {
        return 0;
    }

    return a->created_ms < b->created_ms ? -1 : 1;
}
