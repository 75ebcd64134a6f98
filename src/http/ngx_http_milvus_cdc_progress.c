/*
 * The request "progress": what the zone knows of a task, as JSON.
 *
 * null means: not known.  What a replicator told stays true for a moment
 * only.  When it ends or falls silent, the lag goes on growing from there, so
 * does that of a paused task; rates, backlog and the like are then not known.
 */

#include "ngx_http_milvus_cdc_http.h"


#define NGX_HTTP_MILVUS_CDC_LATE   900      /* ms: reports come each 500 ms */
#define NGX_HTTP_MILVUS_CDC_FRESH  3000


typedef struct {
    uint64_t                     created_ms;
    ngx_http_milvus_cdc_text_t   json;
} ngx_http_milvus_cdc_progress_t;


static void ngx_http_milvus_cdc_progress_state(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot);
static void ngx_http_milvus_cdc_progress_flow(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_uint_t fresh);
static void ngx_http_milvus_cdc_last_operation(ngx_http_milvus_cdc_text_t *t,
    const char *name, const char *object, uint64_t at_ms);
static void ngx_http_milvus_cdc_last_error(ngx_http_milvus_cdc_text_t *t,
    const char *text, uint64_t at_ms);
static void ngx_http_milvus_cdc_progress_ends(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_http_milvus_cdc_main_conf_t *mcf);
static void ngx_http_milvus_cdc_progress_colls(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_http_milvus_cdc_told_t *told,
    uint64_t lag);
static void ngx_http_milvus_cdc_progress_events(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot);
static int ngx_libc_cdecl ngx_http_milvus_cdc_cmp_progress(const void *one,
    const void *two);


static const char  *ngx_http_milvus_cdc_coll_states[] = {
    "creating", "copying", "live", "dropping"
};

static const char  *ngx_http_milvus_cdc_event_kinds[] = {
    "created", "started", "paused", "resumed", "restarted", "degraded",
    "recovered", "caught_up", "failed", "operation"
};


void
ngx_http_milvus_cdc_told(ngx_http_milvus_cdc_told_t *told,
    ngx_http_milvus_cdc_slot_t *slot)
{
    told->reported = slot->reported;
    told->up = slot->up && slot->record.state == CDC_TASK_RUNNING;
}


/* our cached time may be behind the supervisor's */

static uint64_t
ngx_http_milvus_cdc_report_age(ngx_http_milvus_cdc_told_t *told)
{
    return ngx_current_msec > told->reported
           ? ngx_current_msec - told->reported : 0;
}


/* ms since the last report, from when it is late; 0: it is of now */

static uint64_t
ngx_http_milvus_cdc_age(ngx_http_milvus_cdc_told_t *told)
{
    uint64_t  age;

    if (told->reported == 0) {
        return 0;
    }

    age = ngx_http_milvus_cdc_report_age(told);

    return told->up && age <= NGX_HTTP_MILVUS_CDC_LATE ? 0 : age;
}


uint64_t
ngx_http_milvus_cdc_lag(cdc_task_status_t *st,
    ngx_http_milvus_cdc_told_t *told)
{
    if (told->reported == 0 || st->lag_ms == CDC_UNKNOWN) {
        return CDC_UNKNOWN;
    }

    return st->lag_ms + ngx_http_milvus_cdc_age(told);
}


/* "lag" is the task's: no collection of it is farther behind */

uint64_t
ngx_http_milvus_cdc_coll_lag(cdc_progress_coll_t *c,
    ngx_http_milvus_cdc_told_t *told, uint64_t lag)
{
    if (c->lag_ms == CDC_UNKNOWN) {
        return CDC_UNKNOWN;
    }

    return ngx_min(c->lag_ms + ngx_http_milvus_cdc_age(told), lag);
}


ngx_uint_t
ngx_http_milvus_cdc_fresh(ngx_http_milvus_cdc_told_t *told)
{
    return told->reported && told->up
           && ngx_http_milvus_cdc_age(told) <= NGX_HTTP_MILVUS_CDC_FRESH;
}


/* what it told was of then: the lag has grown since */

ngx_uint_t
ngx_http_milvus_cdc_live(cdc_task_status_t *st,
    ngx_http_milvus_cdc_told_t *told)
{
    return ngx_http_milvus_cdc_fresh(told) && st->live
           && ngx_http_milvus_cdc_lag(st, told) < CDC_LIVE_MS;
}


uint64_t
ngx_http_milvus_cdc_retention_left(cdc_task_status_t *st, uint64_t lag)
{
    if (st->updated_ms == 0 || st->retention_ms == 0
        || st->retention_ms == CDC_UNKNOWN || lag == CDC_UNKNOWN)
    {
        return CDC_UNKNOWN;
    }

    return st->retention_ms > lag ? st->retention_ms - lag : 0;
}


static void
ngx_http_milvus_cdc_seconds(ngx_http_milvus_cdc_text_t *t, const char *name,
    uint64_t ms)
{
    if (ms == CDC_UNKNOWN) {
        ngx_http_milvus_cdc_text_printf(t, ",\"%s\":null", name);
        return;
    }

    ngx_http_milvus_cdc_text_printf(t, ",\"%s\":%.3f", name,
                                    (double) ms / 1000);
}


static void
ngx_http_milvus_cdc_string(ngx_http_milvus_cdc_text_t *t, const char *name,
    const char *value)
{
    ngx_http_milvus_cdc_text_printf(t, "\"%s\":", name);

    if (value == NULL || value[0] == '\0') {
        ngx_http_milvus_cdc_text_str(t, "null");
        return;
    }

    ngx_http_milvus_cdc_text_json(t, value, ngx_strlen(value));
}


void
ngx_http_milvus_cdc_progress_json(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_http_milvus_cdc_main_conf_t *mcf)
{
    uint64_t                     now, lag;
    ngx_uint_t                   fresh;
    cdc_task_status_t           *st;
    ngx_http_milvus_cdc_told_t   told;

    st = &slot->status;
    now = ngx_http_milvus_cdc_wall_ms();

    ngx_http_milvus_cdc_told(&told, slot);
    lag = ngx_http_milvus_cdc_lag(st, &told);
    fresh = ngx_http_milvus_cdc_fresh(&told);

    ngx_http_milvus_cdc_text_str(t, "{\"task_id\":");
    ngx_http_milvus_cdc_text_json(t, slot->record.task_id,
                                  ngx_strlen(slot->record.task_id));

    ngx_http_milvus_cdc_progress_state(t, slot);

    ngx_http_milvus_cdc_text_printf(t, ",\"live\":%s",
                                    ngx_http_milvus_cdc_live(st, &told)
                                    ? "true" : "false");
    ngx_http_milvus_cdc_seconds(t, "lag_seconds", lag);

    ngx_http_milvus_cdc_progress_flow(t, slot, fresh);
    ngx_http_milvus_cdc_last_operation(t, st->operation, st->object,
                                       st->operation_ms);
    ngx_http_milvus_cdc_last_error(t, st->error, st->error_ms);

    ngx_http_milvus_cdc_seconds(t, "checkpoint_age_seconds",
                                st->checkpoint_ms && now > st->checkpoint_ms
                                ? now - st->checkpoint_ms : CDC_UNKNOWN);
    ngx_http_milvus_cdc_seconds(t, "report_age_seconds",
                                told.reported
                                ? ngx_http_milvus_cdc_report_age(&told)
                                : CDC_UNKNOWN);
    ngx_http_milvus_cdc_seconds(t, "retention_left_seconds",
                                ngx_http_milvus_cdc_retention_left(st, lag));

    if (slot->up) {
        ngx_http_milvus_cdc_text_printf(t, ",\"helper\":{\"pid\":%uD,"
                                        "\"rss_bytes\":%uL,"
                                        "\"cpu_seconds\":%.3f}", st->pid,
                                        st->rss, (double) st->cpu_ms / 1000);
    } else {
        ngx_http_milvus_cdc_text_str(t, ",\"helper\":null");
    }

    ngx_http_milvus_cdc_progress_ends(t, slot, mcf);

    ngx_http_milvus_cdc_text_printf(t, ",\"channels\":%uD,"
                                    "\"collections_total\":%uD",
                                    st->channels, st->collections);

    ngx_http_milvus_cdc_progress_colls(t, slot, &told, lag);
    ngx_http_milvus_cdc_progress_events(t, slot);

    ngx_http_milvus_cdc_text_str(t, "}");
}


static void
ngx_http_milvus_cdc_progress_state(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot)
{
    ngx_str_t  reason;

    ngx_http_milvus_cdc_reason(slot, &reason);

    ngx_http_milvus_cdc_text_printf(t, ",\"state\":\"%s\"",
                          ngx_http_milvus_cdc_state(slot->record.state));

    if (slot->record.state == CDC_TASK_PAUSED && reason.len) {
        ngx_http_milvus_cdc_text_str(t, ",\"reason\":");
        ngx_http_milvus_cdc_text_json(t, reason.data, reason.len);
    }

    ngx_http_milvus_cdc_text_printf(t, ",\"since_ms\":%uL,\"created_ms\":%uL,"
                                    "\"now_ms\":%uL,",
                                    slot->since_ms, slot->record.created_ms,
                                    ngx_http_milvus_cdc_wall_ms());

    if (ngx_http_milvus_cdc_degraded(t, slot, &reason) != NGX_OK) {
        ngx_http_milvus_cdc_text_str(t, "\"degraded\":null");
    }
}


static void
ngx_http_milvus_cdc_progress_flow(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_uint_t fresh)
{
    cdc_task_status_t  *st;

    st = &slot->status;

    ngx_http_milvus_cdc_text_printf(t, ",\"rows_in\":%uL,\"rows_out\":%uL,"
                                    "\"bytes_in\":%uL,\"bytes_out\":%uL",
                                    st->rows_in, st->rows_out, st->bytes_in,
                                    st->bytes_out);

    ngx_http_milvus_cdc_text_printf(t, ",\"rows_per_second\":%.1f,"
                                    "\"bytes_per_second\":%.1f",
                                    fresh ? (double) st->rows_rate / 1000 : 0,
                                    fresh ? (double) st->bytes_rate / 1000
                                          : 0);

    if (fresh && st->backlog != CDC_UNKNOWN) {
        ngx_http_milvus_cdc_text_printf(t, ",\"backlog_bytes\":%uL",
                                        st->backlog);
    } else {
        ngx_http_milvus_cdc_text_str(t, ",\"backlog_bytes\":null");
    }

    ngx_http_milvus_cdc_seconds(t, "catch_up_seconds",
                                fresh ? st->catch_up_ms : CDC_UNKNOWN);

    ngx_http_milvus_cdc_text_printf(t, ",\"initial_copy_percent\":%.1f,"
                                    "\"requests\":%uL,\"retries\":%uL,"
                                    "\"restarts\":%uL,\"operations\":%uL,"
                                    "\"errors\":%uL",
                                    (double) st->copy / 10, st->requests,
                                    st->retries, slot->restarts,
                                    st->operations, st->errors);

    ngx_http_milvus_cdc_text_printf(t, ",\"rows_skipped\":%uL,"
                                    "\"rows_settled\":%uL,\"parked\":%uL,"
                                    "\"buffered_bytes\":%uL",
                                    st->rows_skipped, st->rows_settled,
                                    st->parked, fresh ? st->buffered : 0);
}


/* object: NULL where it is what this is a member of */

static void
ngx_http_milvus_cdc_last_operation(ngx_http_milvus_cdc_text_t *t,
    const char *name, const char *object, uint64_t at_ms)
{
    if (at_ms == 0) {
        ngx_http_milvus_cdc_text_str(t, ",\"last_operation\":null");
        return;
    }

    ngx_http_milvus_cdc_text_str(t, ",\"last_operation\":{");
    ngx_http_milvus_cdc_string(t, "name", name);

    if (object) {
        ngx_http_milvus_cdc_text_str(t, ",");
        ngx_http_milvus_cdc_string(t, "object", object);
    }

    ngx_http_milvus_cdc_text_printf(t, ",\"at_ms\":%uL}", at_ms);
}


static void
ngx_http_milvus_cdc_last_error(ngx_http_milvus_cdc_text_t *t,
    const char *text, uint64_t at_ms)
{
    if (at_ms == 0) {
        ngx_http_milvus_cdc_text_str(t, ",\"last_error\":null");
        return;
    }

    ngx_http_milvus_cdc_text_str(t, ",\"last_error\":{");
    ngx_http_milvus_cdc_string(t, "text", text);
    ngx_http_milvus_cdc_text_printf(t, ",\"at_ms\":%uL}", at_ms);
}


static void
ngx_http_milvus_cdc_progress_uri(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot)
{
    char         buf[CDC_MAX_NAME_LEN + 32];
    u_char      *p;
    json_t      *doc, *param;
    const char  *uri, *host;

    doc = json_loadb(slot->record.get_doc, slot->record.get_len, 0, NULL);
    param = json_object_get(doc, "milvus_connect_param");
    uri = json_string_value(json_object_get(param, "uri"));
    host = json_string_value(json_object_get(param, "host"));

    if (uri == NULL && host) {
        p = ngx_snprintf((u_char *) buf, sizeof(buf) - 1, "%s://%s:%L",
                         json_is_true(json_object_get(param, "enable_tls"))
                         ? "https" : "http", host,
                         (int64_t) json_integer_value(json_object_get(param,
                                                                "port")));
        *p = '\0';
        uri = buf;
    }

    ngx_http_milvus_cdc_string(t, "uri", uri);
    json_decref(doc);
}


static void
ngx_http_milvus_cdc_progress_ends(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_http_milvus_cdc_main_conf_t *mcf)
{
    ngx_str_t                       name;
    ngx_uint_t                      told;
    cdc_task_status_t              *st;
    ngx_http_milvus_cdc_source_t  **src, *found;

    st = &slot->status;
    told = (st->updated_ms != 0);
    src = mcf->sources.elts;

    name.data = (u_char *) st->source;
    name.len = ngx_strlen(st->source);
    found = ngx_http_milvus_cdc_source_find(mcf, &name);

    if (!told && mcf->sources.nelts == 1) {
        found = src[0];
        name = found->name;
    }

    ngx_http_milvus_cdc_text_str(t, ",\"source\":{\"name\":");

    if (name.len) {
        ngx_http_milvus_cdc_text_json(t, name.data, name.len);

    } else {
        ngx_http_milvus_cdc_text_str(t, "null");
    }

    ngx_http_milvus_cdc_text_printf(t, ",\"kind\":%s,\"ok\":%s},\"target\":{",
                                    found == NULL ? "null"
                                    : found->rocksmq.len ? "\"rocksmq\""
                                                         : "\"kafka\"",
                                    told && !st->source_ok ? "false"
                                                           : "true");

    ngx_http_milvus_cdc_progress_uri(t, slot);
    ngx_http_milvus_cdc_text_str(t, ",");
    ngx_http_milvus_cdc_string(t, "version", st->version);
    ngx_http_milvus_cdc_text_printf(t, ",\"ok\":%s}",
                                    told && !st->target_ok ? "false"
                                                           : "true");
}


static void
ngx_http_milvus_cdc_progress_colls(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_http_milvus_cdc_told_t *told,
    uint64_t lag)
{
    ngx_uint_t            i;
    const char           *name, *target;
    cdc_progress_coll_t  *c;
    cdc_task_progress_t  *p;

    p = &slot->progress;

    ngx_http_milvus_cdc_text_str(t, ",\"collections\":[");

    for (i = 0; i < p->ncolls; i++) {
        c = &p->colls[i];
        name = p->names + c->names;
        target = p->names + c->target;

        ngx_http_milvus_cdc_text_str(t, i ? ",{" : "{");
        ngx_http_milvus_cdc_string(t, "database", name);
        ngx_http_milvus_cdc_text_str(t, ",");
        ngx_http_milvus_cdc_string(t, "name", name + ngx_strlen(name) + 1);
        ngx_http_milvus_cdc_text_str(t, ",");
        ngx_http_milvus_cdc_string(t, "target_database", target);
        ngx_http_milvus_cdc_text_str(t, ",");
        ngx_http_milvus_cdc_string(t, "target_name",
                                   target + ngx_strlen(target) + 1);

        ngx_http_milvus_cdc_text_printf(t, ",\"state\":\"%s\","
                               "\"rows_in\":%uL,\"rows_out\":%uL,"
                               "\"bytes_in\":%uL,\"bytes_out\":%uL",
                               ngx_http_milvus_cdc_coll_states[c->state
                                                  % CDC_PROGRESS_STATES],
                               c->rows_in, c->rows_out, c->bytes_in,
                               c->bytes_out);

        ngx_http_milvus_cdc_seconds(t, "lag_seconds",
                                    ngx_http_milvus_cdc_coll_lag(c, told,
                                                                 lag));

        ngx_http_milvus_cdc_text_printf(t, ",\"initial_copy_percent\":%.1f",
                                        (double) c->copy / 10);

        ngx_http_milvus_cdc_last_operation(t, c->operation, NULL,
                                           c->operation_ms);
        ngx_http_milvus_cdc_last_error(t, p->texts + c->error, c->error_ms);
        ngx_http_milvus_cdc_text_str(t, "}");
    }

    ngx_http_milvus_cdc_text_str(t, "]");
}


static void
ngx_http_milvus_cdc_progress_events(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot)
{
    ngx_uint_t         i;
    cdc_task_event_t  *ev;

    ngx_http_milvus_cdc_text_str(t, ",\"events\":[");

    for (i = 0; i < slot->nevents; i++) {
        ev = &slot->events[i];

        ngx_http_milvus_cdc_text_printf(t, "%s{\"at_ms\":%uL,\"kind\":\"%s\","
                                        "\"text\":", i ? "," : "", ev->at_ms,
                                        ngx_http_milvus_cdc_event_kinds[
                                              ev->kind % CDC_EVENT_KINDS]);
        ngx_http_milvus_cdc_text_json(t, ev->text, ngx_strlen(ev->text));
        ngx_http_milvus_cdc_text_str(t, "}");
    }

    ngx_http_milvus_cdc_text_str(t, "]");
}


/* one task, or all of them, in the order of list */

ngx_int_t
ngx_http_milvus_cdc_progress(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_int_t                        rc;
    ngx_str_t                        id;
    ngx_uint_t                       i, n;
    ngx_http_milvus_cdc_slot_t      *slot;
    ngx_http_milvus_cdc_text_t       t;
    ngx_http_milvus_cdc_progress_t   items[CDC_MAX_TASKS];

    slot = &ngx_http_milvus_cdc_scratch;
    id.data = (u_char *) ngx_http_milvus_cdc_str(c->data, "task_id");
    id.len = ngx_strlen(id.data);

    c->retry = ngx_http_milvus_cdc_progress;

    if (!ngx_http_milvus_cdc_table_ready(c->mcf->zone)) {
        return ngx_http_milvus_cdc_wait(c);
    }

    n = 0;

    for (i = 0; n < CDC_MAX_TASKS; i++) {

        if (id.len) {
            rc = i ? NGX_DONE : ngx_http_milvus_cdc_table_find(c->mcf->zone,
                                                               &id, slot);
        } else {
            rc = ngx_http_milvus_cdc_table_read(c->mcf->zone, i, slot);
        }

        if (rc == NGX_DONE) {
            break;
        }

        if (rc == NGX_AGAIN) {
            return ngx_http_milvus_cdc_wait(c);
        }

        if (rc != NGX_OK) {
            continue;
        }

        items[n].created_ms = slot->record.created_ms;
        ngx_http_milvus_cdc_text_init(&items[n].json, c->request->pool);
        ngx_http_milvus_cdc_progress_json(&items[n++].json, slot, c->mcf);
    }

    if (n == 0 && id.len) {
        return ngx_http_milvus_cdc_error(c, CDC_E_GET_NOT_FOUND,
                                         (char *) id.data);
    }

    ngx_qsort(items, n, sizeof(ngx_http_milvus_cdc_progress_t),
              ngx_http_milvus_cdc_cmp_progress);

    ngx_http_milvus_cdc_text_init(&t, c->request->pool);
    ngx_http_milvus_cdc_text_str(&t, "{\"code\":200,\"data\":{\"tasks\":[");

    for (i = 0; i < n; i++) {
        ngx_http_milvus_cdc_text_str(&t, i ? "," : "");
        ngx_http_milvus_cdc_text_append(&t, &items[i].json);
    }

    ngx_http_milvus_cdc_text_str(&t, "]}}\n");

    return ngx_http_milvus_cdc_send(c, &t);
}


static int ngx_libc_cdecl
ngx_http_milvus_cdc_cmp_progress(const void *one, const void *two)
{
    const ngx_http_milvus_cdc_progress_t *a = one;
    const ngx_http_milvus_cdc_progress_t *b = two;

    if (a->created_ms == b->created_ms) {
        return 0;
    }

    return a->created_ms < b->created_ms ? -1 : 1;
}
