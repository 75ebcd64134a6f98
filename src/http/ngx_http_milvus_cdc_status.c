/*
 * Metrics (Prometheus text) and health, both from the zone alone.
 *
 * Labels are bounded: a task's id, and states; a task that is deleted takes
 * its series with it.  What is not known has no sample.
 */

#include "ngx_http_milvus_cdc_http.h"


#define NGX_HTTP_MILVUS_CDC_STORE_DOWN  10000   /* ms: beats come each 0.5 s */
#define NGX_HTTP_MILVUS_CDC_PROM        "text/plain; version=0.0.4; "         \
                                        "charset=utf-8"


/* what a scrape takes of a slot */

typedef struct {
    uint64_t                     restarts;
    uint64_t                     created_ms;
    ngx_uint_t                   state;
    ngx_uint_t                   known;      /* its figures are */
    ngx_uint_t                   degraded;
    ngx_http_milvus_cdc_told_t   told;
    cdc_task_status_t            status;
    char                         task_id[CDC_TASK_ID_MAX + 1];
} ngx_http_milvus_cdc_row_t;


typedef enum {
    NGX_HTTP_MILVUS_CDC_U64,                /* of the status, as it is */
    NGX_HTTP_MILVUS_CDC_U32,
    NGX_HTTP_MILVUS_CDC_LAG,                /* ms -> s, growing while silent */
    NGX_HTTP_MILVUS_CDC_AGE,                /* Unix ms -> s ago */
    NGX_HTTP_MILVUS_CDC_DEGRADED,
    NGX_HTTP_MILVUS_CDC_STATE,
    NGX_HTTP_MILVUS_CDC_RESTARTS,
    NGX_HTTP_MILVUS_CDC_NOW,                /* known while it reports */
    NGX_HTTP_MILVUS_CDC_NOW_MS,             /* the same, ms -> s */
    NGX_HTTP_MILVUS_CDC_NOW_FLAG,           /* the same of a 0 or 1 */
    NGX_HTTP_MILVUS_CDC_HELD,               /* nothing unless it reports */
    NGX_HTTP_MILVUS_CDC_PARTS,              /* thousandths -> 1 */
    NGX_HTTP_MILVUS_CDC_LIVE,
    NGX_HTTP_MILVUS_CDC_RETENTION,
    NGX_HTTP_MILVUS_CDC_UP
} ngx_http_milvus_cdc_metric_e;


typedef struct {
    const char                    *name;
    const char                    *type;
    const char                    *help;
    ngx_http_milvus_cdc_metric_e   kind;
    size_t                         offset;
} ngx_http_milvus_cdc_metric_t;


typedef struct {
    ngx_uint_t                     running;
    ngx_uint_t                     paused;
    ngx_uint_t                     bad;
    ngx_http_milvus_cdc_text_t     list;     /* of the bad ones */
} ngx_http_milvus_cdc_health_t;


static ngx_int_t ngx_http_milvus_cdc_health_text(ngx_shm_zone_t *zone,
    ngx_http_milvus_cdc_text_t *t, ngx_uint_t *status);
static ngx_int_t ngx_http_milvus_cdc_health_tasks(ngx_shm_zone_t *zone,
    ngx_http_milvus_cdc_health_t *h);
static ngx_uint_t ngx_http_milvus_cdc_store_up(
    ngx_http_milvus_cdc_table_stat_t *st);
static ngx_int_t ngx_http_milvus_cdc_metrics_text(ngx_http_request_t *r,
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_http_milvus_cdc_text_t *t);
static ngx_int_t ngx_http_milvus_cdc_rows(ngx_http_request_t *r,
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_http_milvus_cdc_row_t **rows);
static void ngx_http_milvus_cdc_metric(ngx_http_milvus_cdc_text_t *t,
    const ngx_http_milvus_cdc_metric_t *m, ngx_http_milvus_cdc_row_t *rows,
    ngx_uint_t n);
static void ngx_http_milvus_cdc_gauge(ngx_http_milvus_cdc_text_t *t,
    const char *name, const char *type, const char *help, uint64_t value);


#define ngx_http_milvus_cdc_status_field(field)                               \
    offsetof(cdc_task_status_t, field)


static const ngx_http_milvus_cdc_metric_t  ngx_http_milvus_cdc_metrics[] = {

    { "task_state", "gauge", "State of a task: 0 initial, 1 running, "
      "2 paused.", NGX_HTTP_MILVUS_CDC_STATE, 0 },

    { "lag_seconds", "gauge", "Time on the source's clock minus the time up to "
      "which the target has acknowledged.",
      NGX_HTTP_MILVUS_CDC_LAG, ngx_http_milvus_cdc_status_field(lag_ms) },

    { "rows_in_total", "counter", "Rows read from the source's log.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(rows_in) },

    { "rows_out_total", "counter", "Rows that the target has acknowledged.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(rows_out) },

    { "bytes_in_total", "counter", "Bytes read from the source's log.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(bytes_in) },

    { "bytes_out_total", "counter", "Bytes that the target has acknowledged.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(bytes_out) },

    { "requests_total", "counter", "Requests sent to the target.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(requests) },

    { "retries_total", "counter", "Requests to the target that were tried "
      "again.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(retries) },

    { "restarts_total", "counter", "Starts of a task's replicator after it "
      "had ended by itself.", NGX_HTTP_MILVUS_CDC_RESTARTS, 0 },

    { "operations_total", "counter", "Operations applied on the target, such "
      "as create, drop, index and load.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(operations) },

    { "rows_skipped_total", "counter", "Rows of collections and partitions "
      "that are gone.",
      NGX_HTTP_MILVUS_CDC_U64,
      ngx_http_milvus_cdc_status_field(rows_skipped) },

    { "rows_settled_total", "counter", "Rows sent again as delete and insert "
      "because their first sending was in doubt.",
      NGX_HTTP_MILVUS_CDC_U64,
      ngx_http_milvus_cdc_status_field(rows_settled) },

    { "rows_equal_total", "counter", "Settled rows whose key another one has "
      "by plain insert: one row of each key is left on the target.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(rows_equal) },

    { "requests_in_doubt_total", "counter", "Requests to the target that "
      "ended without an answer; their rows are settled.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(doubts) },

    { "parked", "gauge", "Messages that could not be applied and were set "
      "aside.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(parked) },

    { "buffered_bytes", "gauge", "Bytes read and not acknowledged yet.",
      NGX_HTTP_MILVUS_CDC_HELD, ngx_http_milvus_cdc_status_field(buffered) },

    { "checkpoint_age_seconds", "gauge", "Time since the last checkpoint.",
      NGX_HTTP_MILVUS_CDC_AGE,
      ngx_http_milvus_cdc_status_field(checkpoint_ms) },

    { "report_age_seconds", "gauge", "Time since the replicator's last "
      "report.",
      NGX_HTTP_MILVUS_CDC_AGE, ngx_http_milvus_cdc_status_field(updated_ms) },

    { "degraded", "gauge", "1 while a task is running and cannot proceed.",
      NGX_HTTP_MILVUS_CDC_DEGRADED, 0 },

    { "collections", "gauge", "Collections that a task follows.",
      NGX_HTTP_MILVUS_CDC_U32, ngx_http_milvus_cdc_status_field(collections) },

    { "channels", "gauge", "Channels of the source's log that a task reads.",
      NGX_HTTP_MILVUS_CDC_U32, ngx_http_milvus_cdc_status_field(channels) },

    { "live", "gauge", "1 when a task has no backlog, and no lag to speak of.",
      NGX_HTTP_MILVUS_CDC_LIVE, 0 },

    { "errors_total", "counter", "Times that a task became degraded, or "
      "paused by itself.",
      NGX_HTTP_MILVUS_CDC_U64, ngx_http_milvus_cdc_status_field(errors) },

    { "backlog_bytes", "gauge", "Bytes in the source's log that the target "
      "has not acknowledged, an estimate.",
      NGX_HTTP_MILVUS_CDC_NOW, ngx_http_milvus_cdc_status_field(backlog) },

    { "catch_up_seconds", "gauge", "Time until no backlog is left, at the "
      "pace of the last seconds.",
      NGX_HTTP_MILVUS_CDC_NOW_MS,
      ngx_http_milvus_cdc_status_field(catch_up_ms) },

    { "initial_copy_ratio", "gauge", "Part of what was in the log at the "
      "create that is on the target, 0 to 1.",
      NGX_HTTP_MILVUS_CDC_PARTS, ngx_http_milvus_cdc_status_field(copy) },

    { "retention_left_seconds", "gauge", "Time until the log loses what the "
      "target does not have yet, if nothing moves.",
      NGX_HTTP_MILVUS_CDC_RETENTION, 0 },

    { "source_up", "gauge", "0 when the source is what stops a task.",
      NGX_HTTP_MILVUS_CDC_NOW_FLAG,
      ngx_http_milvus_cdc_status_field(source_ok) },

    { "target_up", "gauge", "0 when the target is what stops a task.",
      NGX_HTTP_MILVUS_CDC_NOW_FLAG,
      ngx_http_milvus_cdc_status_field(target_ok) },

    { "helper_up", "gauge", "1 when the task's replicator runs and reports.",
      NGX_HTTP_MILVUS_CDC_UP, 0 },

    { "helper_resident_memory_bytes", "gauge", "Memory of a task's "
      "replicator.",
      NGX_HTTP_MILVUS_CDC_NOW, ngx_http_milvus_cdc_status_field(rss) },

    { "helper_cpu_seconds_total", "counter", "CPU time of a task's "
      "replicator, from its start.",
      NGX_HTTP_MILVUS_CDC_NOW_MS, ngx_http_milvus_cdc_status_field(cpu_ms) },

    { NULL, NULL, NULL, 0, 0 }
};


static ngx_http_milvus_cdc_kept_t  ngx_http_milvus_cdc_kept_metrics[2];
static ngx_http_milvus_cdc_kept_t  ngx_http_milvus_cdc_kept_health;
static ngx_uint_t                  ngx_http_milvus_cdc_kept_health_status;


ngx_int_t
ngx_http_milvus_cdc_metrics_handler(ngx_http_request_t *r)
{
    uint64_t                          turns;
    ngx_int_t                         rc;
    ngx_uint_t                        gzip;
    ngx_http_milvus_cdc_kept_t       *kept;
    ngx_http_milvus_cdc_text_t        t, zipped, *answer;
    ngx_http_milvus_cdc_main_conf_t  *mcf;

    rc = ngx_http_milvus_cdc_get_only(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_milvus_cdc_module);
    kept = ngx_http_milvus_cdc_kept_metrics;
    turns = ngx_http_milvus_cdc_table_turns(mcf->zone);
    gzip = ngx_http_milvus_cdc_gzip_wanted(r);

    ngx_http_milvus_cdc_text_init(&t, r->pool);
    ngx_http_milvus_cdc_text_init(&zipped, r->pool);

    answer = gzip ? &zipped : &t;

    rc = ngx_http_milvus_cdc_kept_get(&kept[gzip], mcf->zone, turns, answer);

    if (rc == NGX_DECLINED && gzip) {
        rc = ngx_http_milvus_cdc_kept_get(&kept[0], mcf->zone, turns, &t);
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_milvus_cdc_metrics_text(r, mcf, &t);

        if (rc == NGX_OK) {
            ngx_http_milvus_cdc_kept_put(&kept[0], &t);
        }
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (gzip && zipped.size == 0) {
        ngx_http_milvus_cdc_text_gzip(&zipped, &t);
        ngx_http_milvus_cdc_kept_put(&kept[1], &zipped);
        kept[1].at = kept[0].at;
    }

    if ((gzip && ngx_http_milvus_cdc_gzip_header(r) != NGX_OK)
        || ngx_http_milvus_cdc_header(r, "Vary", "Accept-Encoding") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_milvus_cdc_text_send(answer, r, NGX_HTTP_OK,
                                         NGX_HTTP_MILVUS_CDC_PROM);
}


static ngx_int_t
ngx_http_milvus_cdc_metrics_text(ngx_http_request_t *r,
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_http_milvus_cdc_text_t *t)
{
    ngx_int_t                            n;
    ngx_uint_t                           ready, states[3];
    ngx_http_milvus_cdc_row_t           *row, *rows;
    ngx_http_milvus_cdc_table_stat_t     st;
    const ngx_http_milvus_cdc_metric_t  *m;

    n = ngx_http_milvus_cdc_rows(r, mcf, &rows);
    if (n < 0) {
        return NGX_ERROR;
    }

    ngx_memzero(states, sizeof(states));

    for (row = rows; row < rows + n; row++) {
        states[row->state]++;
    }

    ready = ngx_http_milvus_cdc_table_ready(mcf->zone);
    ngx_http_milvus_cdc_table_stat(mcf->zone, &st);

    ngx_http_milvus_cdc_text_str(t, "# HELP milvus_cdc_info The module.\n"
                      "# TYPE milvus_cdc_info gauge\n"
                      "milvus_cdc_info{version=\"" CDC_VERSION "\"} 1\n");

    ngx_http_milvus_cdc_gauge(t, "ready", "gauge", "1 when the task table "
                              "shows every task of the store.", ready);

    ngx_http_milvus_cdc_text_printf(t,
                      "# HELP milvus_cdc_task_num Tasks by state.\n"
                      "# TYPE milvus_cdc_task_num gauge\n"
                      "milvus_cdc_task_num{task_state=\"Initial\"} %ui\n"
                      "milvus_cdc_task_num{task_state=\"Running\"} %ui\n"
                      "milvus_cdc_task_num{task_state=\"Paused\"} %ui\n",
                      states[CDC_TASK_INITIAL], states[CDC_TASK_RUNNING],
                      states[CDC_TASK_PAUSED]);

    ngx_http_milvus_cdc_gauge(t, "store_up", "gauge", "1 when the task store "
                              "runs and creates can be answered.",
                              ngx_http_milvus_cdc_store_up(&st));

    ngx_http_milvus_cdc_gauge(t, "zone_slots", "gauge", "Tasks that the zone "
                              "has room for.", st.slots);
    ngx_http_milvus_cdc_gauge(t, "zone_slots_used", "gauge", "Tasks in the "
                              "zone.", st.used);
    ngx_http_milvus_cdc_gauge(t, "store_restarts_total", "counter", "Starts "
                              "of the store after it had ended by itself.",
                              st.store_restarts);
    ngx_http_milvus_cdc_gauge(t, "supervisor_takeovers_total", "counter",
                              "Starts of a supervisor.", st.takeovers);

    for (m = ngx_http_milvus_cdc_metrics; m->name; m++) {
        ngx_http_milvus_cdc_metric(t, m, rows, n);
    }

    ngx_http_milvus_cdc_measure_colls(t, mcf->zone);
    ngx_http_milvus_cdc_measure_api(t, mcf->zone);

    return NGX_OK;
}


ngx_int_t
ngx_http_milvus_cdc_health_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_shm_zone_t                   *zone;
    ngx_http_milvus_cdc_text_t        t;
    ngx_http_milvus_cdc_main_conf_t  *mcf;

    rc = ngx_http_milvus_cdc_get_only(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_milvus_cdc_module);
    zone = mcf->zone;

    ngx_http_milvus_cdc_text_init(&t, r->pool);

    rc = ngx_http_milvus_cdc_kept_get(&ngx_http_milvus_cdc_kept_health, zone,
                                      ngx_http_milvus_cdc_table_turns(zone),
                                      &t);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_milvus_cdc_health_text(zone, &t,
                                     &ngx_http_milvus_cdc_kept_health_status);

        if (rc == NGX_OK) {
            ngx_http_milvus_cdc_kept_put(&ngx_http_milvus_cdc_kept_health, &t);
        }
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_milvus_cdc_text_send(&t, r,
                                     ngx_http_milvus_cdc_kept_health_status,
                                     "application/json");
}


/* NGX_AGAIN: the table cannot be read now, and the text says so */

static ngx_int_t
ngx_http_milvus_cdc_health_text(ngx_shm_zone_t *zone,
    ngx_http_milvus_cdc_text_t *t, ngx_uint_t *status)
{
    ngx_uint_t                        up;
    ngx_http_milvus_cdc_health_t      h;
    ngx_http_milvus_cdc_table_stat_t  st;

    ngx_memzero(&h, sizeof(ngx_http_milvus_cdc_health_t));
    ngx_http_milvus_cdc_text_init(&h.list, t->pool);

    ngx_http_milvus_cdc_table_stat(zone, &st);
    up = ngx_http_milvus_cdc_store_up(&st);

    *status = NGX_HTTP_SERVICE_UNAVAILABLE;

    if (!ngx_http_milvus_cdc_table_ready(zone)
        || ngx_http_milvus_cdc_health_tasks(zone, &h) != NGX_OK)
    {
        ngx_http_milvus_cdc_text_str(t, "{\"status\":\"starting\",\"reason\":"
                                     "\"the task store has not told all its "
                                     "tasks yet: if this lasts, nginx's error "
                                     "log says why\"}\n");
        return NGX_AGAIN;
    }

    if (up && h.bad == 0) {
        *status = NGX_HTTP_OK;
    }

    ngx_http_milvus_cdc_text_printf(t, "{\"status\":\"%s\",\"running\":%ui,"
                                    "\"paused\":%ui%s",
                                    *status == NGX_HTTP_OK ? "ok" : "degraded",
                                    h.running, h.paused,
                                    up ? "" : ",\"reason\":\"the task store "
                                              "is not running\"");

    if (h.bad) {
        ngx_http_milvus_cdc_text_str(t, ",\"tasks\":[");
        ngx_http_milvus_cdc_text_append(t, &h.list);
        ngx_http_milvus_cdc_text_str(t, "]");
    }

    ngx_http_milvus_cdc_text_str(t, "}\n");

    return NGX_OK;
}


/* NGX_AGAIN: the table cannot be read now */

static ngx_int_t
ngx_http_milvus_cdc_health_tasks(ngx_shm_zone_t *zone,
    ngx_http_milvus_cdc_health_t *h)
{
    ngx_int_t                    rc;
    ngx_str_t                    reason;
    ngx_uint_t                   i;
    ngx_http_milvus_cdc_slot_t  *slot;

    slot = &ngx_http_milvus_cdc_scratch;

    for (i = 0; /* void */ ; i++) {
        rc = ngx_http_milvus_cdc_table_read(zone, i, slot);

        if (rc == NGX_DONE) {
            return NGX_OK;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc != NGX_OK) {
            continue;
        }

        h->running += (slot->record.state == CDC_TASK_RUNNING);
        h->paused += (slot->record.state == CDC_TASK_PAUSED);

        ngx_http_milvus_cdc_reason(slot, &reason);

        if (reason.len == 0
            || (slot->record.state == CDC_TASK_PAUSED
                && cdc_reason_wanted((char *) reason.data)))
        {
            continue;
        }

        ngx_http_milvus_cdc_text_str(&h->list, h->bad++ ? ",{\"task_id\":"
                                                        : "{\"task_id\":");
        ngx_http_milvus_cdc_text_json(&h->list, slot->record.task_id,
                                      ngx_strlen(slot->record.task_id));
        ngx_http_milvus_cdc_text_printf(&h->list, ",\"state\":\"%s\","
                            "\"reason\":",
                            ngx_http_milvus_cdc_state(slot->record.state));
        ngx_http_milvus_cdc_text_json(&h->list, reason.data, reason.len);
        ngx_http_milvus_cdc_text_str(&h->list, "}");
    }
}


static ngx_uint_t
ngx_http_milvus_cdc_store_up(ngx_http_milvus_cdc_table_stat_t *st)
{
    return st->beat && ngx_current_msec
                       < st->beat + NGX_HTTP_MILVUS_CDC_STORE_DOWN;
}


ngx_int_t
ngx_http_milvus_cdc_get_only(ngx_http_request_t *r)
{
    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        if (ngx_http_milvus_cdc_header(r, "Allow", "GET, HEAD") != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    return ngx_http_discard_request_body(r);
}


/* the number of rows; torn slots are left out of a scrape */

static ngx_int_t
ngx_http_milvus_cdc_rows(ngx_http_request_t *r,
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_http_milvus_cdc_row_t **rows)
{
    ngx_int_t                    rc;
    ngx_str_t                    reason;
    ngx_uint_t                   i, n;
    ngx_http_milvus_cdc_row_t   *row;
    ngx_http_milvus_cdc_slot_t  *slot;

    slot = &ngx_http_milvus_cdc_scratch;

    *rows = ngx_palloc(r->pool,
                       CDC_MAX_TASKS * sizeof(ngx_http_milvus_cdc_row_t));
    if (*rows == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; n < CDC_MAX_TASKS; i++) {
        rc = ngx_http_milvus_cdc_table_read(mcf->zone, i, slot);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            continue;
        }

        row = &(*rows)[n++];
        row->restarts = slot->restarts;
        row->created_ms = slot->record.created_ms;
        ngx_http_milvus_cdc_told(&row->told, slot);
        row->state = ngx_min(slot->record.state, CDC_TASK_PAUSED);

        /* counters of a task that is older must not begin at 0 again */

        row->known = slot->born || slot->reported;

        ngx_http_milvus_cdc_reason(slot, &reason);
        row->degraded = row->state == CDC_TASK_RUNNING && reason.len;

        row->status = slot->status;
        ngx_memcpy(row->task_id, slot->record.task_id, CDC_TASK_ID_MAX + 1);
    }

    return n;
}


/* CDC_UNKNOWN: no sample; *ms: 1 for thousandths */

static uint64_t
ngx_http_milvus_cdc_metric_value(const ngx_http_milvus_cdc_metric_t *m,
    ngx_http_milvus_cdc_row_t *row, ngx_uint_t *ms)
{
    u_char      *p;
    uint64_t     v, now, lag;
    ngx_uint_t   fresh;

    p = (u_char *) &row->status + m->offset;
    now = ngx_http_milvus_cdc_wall_ms();
    lag = ngx_http_milvus_cdc_lag(&row->status, &row->told);
    fresh = ngx_http_milvus_cdc_fresh(&row->told);

    *ms = 0;

    switch (m->kind) {

    case NGX_HTTP_MILVUS_CDC_STATE:
        return row->state;

    case NGX_HTTP_MILVUS_CDC_RESTARTS:
        return row->restarts;

    case NGX_HTTP_MILVUS_CDC_UP:
        return fresh;

    case NGX_HTTP_MILVUS_CDC_LIVE:
        return ngx_http_milvus_cdc_live(&row->status, &row->told);

    case NGX_HTTP_MILVUS_CDC_U32:
        return row->known ? *(uint32_t *) p : CDC_UNKNOWN;

    case NGX_HTTP_MILVUS_CDC_DEGRADED:
        return row->degraded;

    case NGX_HTTP_MILVUS_CDC_NOW_FLAG:
        return fresh ? *(uint32_t *) p : CDC_UNKNOWN;

    case NGX_HTTP_MILVUS_CDC_HELD:
        return fresh ? *(uint64_t *) p : 0;

    case NGX_HTTP_MILVUS_CDC_NOW:
        return fresh ? *(uint64_t *) p : CDC_UNKNOWN;

    case NGX_HTTP_MILVUS_CDC_NOW_MS:
        *ms = 1;
        return fresh ? *(uint64_t *) p : CDC_UNKNOWN;

    case NGX_HTTP_MILVUS_CDC_PARTS:
        *ms = 1;
        return row->known ? *(uint32_t *) p : CDC_UNKNOWN;

    case NGX_HTTP_MILVUS_CDC_AGE:
        *ms = 1;
        v = *(uint64_t *) p;
        return v ? now - ngx_min(v, now) : CDC_UNKNOWN;

    case NGX_HTTP_MILVUS_CDC_RETENTION:
        *ms = 1;
        return ngx_http_milvus_cdc_retention_left(&row->status, lag);

    case NGX_HTTP_MILVUS_CDC_LAG:
        *ms = 1;

        /* a lag must not look healthy because nobody has measured it yet */

        return lag != CDC_UNKNOWN ? lag
                                  : now - ngx_min(now, row->created_ms);

    default:
        return row->known ? *(uint64_t *) p : CDC_UNKNOWN;
    }
}


static void
ngx_http_milvus_cdc_metric(ngx_http_milvus_cdc_text_t *t,
    const ngx_http_milvus_cdc_metric_t *m, ngx_http_milvus_cdc_row_t *rows,
    ngx_uint_t n)
{
    uint64_t    v;
    ngx_uint_t  i, ms;

    ngx_http_milvus_cdc_text_printf(t, "# HELP milvus_cdc_%s %s\n"
                                    "# TYPE milvus_cdc_%s %s\n",
                                    m->name, m->help, m->name, m->type);

    for (i = 0; i < n; i++) {
        v = ngx_http_milvus_cdc_metric_value(m, &rows[i], &ms);

        if (v == CDC_UNKNOWN) {
            continue;
        }

        ngx_http_milvus_cdc_text_printf(t, "milvus_cdc_%s{task_id=\"%s\"} ",
                                        m->name, rows[i].task_id);

        if (ms) {
            ngx_http_milvus_cdc_text_printf(t, "%.3f\n", (double) v / 1000);

        } else {
            ngx_http_milvus_cdc_text_printf(t, "%uL\n", v);
        }
    }
}


static void
ngx_http_milvus_cdc_gauge(ngx_http_milvus_cdc_text_t *t, const char *name,
    const char *type, const char *help, uint64_t value)
{
    ngx_http_milvus_cdc_text_printf(t, "# HELP milvus_cdc_%s %s\n"
                                    "# TYPE milvus_cdc_%s %s\n"
                                    "milvus_cdc_%s %uL\n",
                                    name, help, name, type, name, value);
}
