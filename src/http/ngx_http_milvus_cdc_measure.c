/*
 * Metrics of collections and of API requests.
 *
 * Collections are those of "progress", so they are bounded: those that are
 * behind most, CDC_PROGRESS_COLLS of each task.  Names and buckets of the API's
 * metrics are those of Milvus's own CDC service.
 */

#include "ngx_http_milvus_cdc_http.h"


/* samples of one name stand together */

typedef struct {
    ngx_http_milvus_cdc_text_t  *lag;
    ngx_http_milvus_cdc_text_t   in, out, operation, error;
} ngx_http_milvus_cdc_measures_t;


static void ngx_http_milvus_cdc_measure_coll(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, cdc_progress_coll_t *c,
    const char *name);


static void
ngx_http_milvus_cdc_measure_head(ngx_http_milvus_cdc_text_t *t,
    const char *name, const char *type, const char *help)
{
    ngx_http_milvus_cdc_text_printf(t, "# HELP milvus_cdc_%s %s\n"
                                    "# TYPE milvus_cdc_%s %s\n",
                                    name, help, name, type);
}


/* a label's value: only these three characters are special there */

static void
ngx_http_milvus_cdc_measure_label(ngx_http_milvus_cdc_text_t *t,
    const char *value)
{
    const char  *p;

    for (p = value; *p; p++) {
        switch (*p) {

        case '\\':
            ngx_http_milvus_cdc_text_str(t, "\\\\");
            break;

        case '"':
            ngx_http_milvus_cdc_text_str(t, "\\\"");
            break;

        case '\n':
            ngx_http_milvus_cdc_text_str(t, "\\n");
            break;

        default:
            ngx_http_milvus_cdc_text_add(t, p, 1);
        }
    }
}


static void
ngx_http_milvus_cdc_measure_coll(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, cdc_progress_coll_t *c,
    const char *name)
{
    const char  *db;

    db = slot->progress.names + c->names;

    ngx_http_milvus_cdc_text_printf(t, "milvus_cdc_%s{task_id=\"%s\","
                                    "database=\"", name,
                                    slot->record.task_id);
    ngx_http_milvus_cdc_measure_label(t, db);
    ngx_http_milvus_cdc_text_str(t, "\",collection_name=\"");
    ngx_http_milvus_cdc_measure_label(t, db + ngx_strlen(db) + 1);
    ngx_http_milvus_cdc_text_str(t, "\"} ");
}


/* as a time, and not in words: a label that changes is another series */

static void
ngx_http_milvus_cdc_measure_last(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, cdc_progress_coll_t *c,
    const char *name, uint64_t at_ms)
{
    if (at_ms) {
        ngx_http_milvus_cdc_measure_coll(t, slot, c, name);
        ngx_http_milvus_cdc_text_printf(t, "%.3f\n", (double) at_ms / 1000);
    }
}


static void
ngx_http_milvus_cdc_measure_begin(ngx_http_milvus_cdc_measures_t *m,
    ngx_http_milvus_cdc_text_t *t)
{
    m->lag = t;
    ngx_http_milvus_cdc_text_init(&m->in, t->pool);
    ngx_http_milvus_cdc_text_init(&m->out, t->pool);
    ngx_http_milvus_cdc_text_init(&m->operation, t->pool);
    ngx_http_milvus_cdc_text_init(&m->error, t->pool);

    ngx_http_milvus_cdc_measure_head(t, "collection_lag_seconds", "gauge",
                                     "As lag_seconds, of one collection; of "
                                     "the 64 of a task that are behind most.");
    ngx_http_milvus_cdc_measure_head(&m->in, "collection_rows_in_total",
                                     "counter", "Rows of the collection that "
                                     "were read from the source's log.");
    ngx_http_milvus_cdc_measure_head(&m->out, "collection_rows_out_total",
                                     "counter", "Rows of the collection that "
                                     "the target has acknowledged.");
    ngx_http_milvus_cdc_measure_head(&m->operation,
                             "collection_last_operation_timestamp_seconds",
                             "gauge", "When the last operation on the "
                             "collection was done on the target.");
    ngx_http_milvus_cdc_measure_head(&m->error,
                             "collection_last_error_timestamp_seconds",
                             "gauge", "When something last went wrong with "
                             "the collection.");
}


static void
ngx_http_milvus_cdc_measure_one(ngx_http_milvus_cdc_measures_t *m,
    ngx_http_milvus_cdc_slot_t *slot, cdc_progress_coll_t *c,
    ngx_http_milvus_cdc_told_t *told, uint64_t task_lag)
{
    uint64_t  lag;

    if (c->lag_ms != CDC_UNKNOWN) {
        lag = ngx_http_milvus_cdc_coll_lag(c, told, task_lag);

        ngx_http_milvus_cdc_measure_coll(m->lag, slot, c,
                                         "collection_lag_seconds");
        ngx_http_milvus_cdc_text_printf(m->lag, "%.3f\n",
                                        (double) lag / 1000);
    }

    ngx_http_milvus_cdc_measure_coll(&m->in, slot, c,
                                     "collection_rows_in_total");
    ngx_http_milvus_cdc_text_printf(&m->in, "%uL\n", c->rows_in);
    ngx_http_milvus_cdc_measure_coll(&m->out, slot, c,
                                     "collection_rows_out_total");
    ngx_http_milvus_cdc_text_printf(&m->out, "%uL\n", c->rows_out);

    ngx_http_milvus_cdc_measure_last(&m->operation, slot, c,
                             "collection_last_operation_timestamp_seconds",
                             c->operation_ms);
    ngx_http_milvus_cdc_measure_last(&m->error, slot, c,
                             "collection_last_error_timestamp_seconds",
                             c->error_ms);
}


void
ngx_http_milvus_cdc_measure_colls(ngx_http_milvus_cdc_text_t *t,
    ngx_shm_zone_t *zone)
{
    uint64_t                         lag;
    ngx_int_t                        rc;
    ngx_uint_t                       i, n;
    ngx_http_milvus_cdc_slot_t      *slot;
    ngx_http_milvus_cdc_told_t       told;
    ngx_http_milvus_cdc_measures_t   m;

    slot = &ngx_http_milvus_cdc_scratch;
    ngx_http_milvus_cdc_measure_begin(&m, t);

    for (i = 0; /* void */ ; i++) {
        rc = ngx_http_milvus_cdc_table_read(zone, i, slot);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            continue;
        }

        ngx_http_milvus_cdc_told(&told, slot);
        lag = ngx_http_milvus_cdc_lag(&slot->status, &told);

        for (n = 0; n < slot->progress.ncolls; n++) {
            ngx_http_milvus_cdc_measure_one(&m, slot, &slot->progress.colls[n],
                                            &told, lag);
        }
    }

    ngx_http_milvus_cdc_text_append(t, &m.in);
    ngx_http_milvus_cdc_text_append(t, &m.out);
    ngx_http_milvus_cdc_text_append(t, &m.operation);
    ngx_http_milvus_cdc_text_append(t, &m.error);
}


void
ngx_http_milvus_cdc_measure_api(ngx_http_milvus_cdc_text_t *t,
    ngx_shm_zone_t *zone)
{
    ngx_uint_t                       i, n, below, failed, count;
    const char                      *name;
    ngx_http_milvus_cdc_api_stat_t  *st;

    st = ngx_http_milvus_cdc_table_api(zone);

    ngx_http_milvus_cdc_measure_head(t, "request_total", "counter",
                                     "API requests.");

    for (i = 0; i < NGX_HTTP_MILVUS_CDC_API_TYPES; i++) {
        name = ngx_http_milvus_cdc_type_name(i);

        if (name == NULL) {
            continue;
        }

        /* the failed ones first: never more than there are */

        failed = st[i].failed;
        count = st[i].count;

        ngx_http_milvus_cdc_text_printf(t,
            "milvus_cdc_request_total{request_type=\"%s\","
            "request_status=\"total\"} %ui\n"
            "milvus_cdc_request_total{request_type=\"%s\","
            "request_status=\"success\"} %ui\n"
            "milvus_cdc_request_total{request_type=\"%s\","
            "request_status=\"fail\"} %ui\n",
            name, count, name, count - failed, name, failed);
    }

    ngx_http_milvus_cdc_measure_head(t, "request_latency", "histogram",
                                     "Milliseconds from an API request's "
                                     "first byte to its answer.");

    for (i = 0; i < NGX_HTTP_MILVUS_CDC_API_TYPES; i++) {
        name = ngx_http_milvus_cdc_type_name(i);

        if (name == NULL) {
            continue;
        }

        below = 0;

        for (n = 0; n < NGX_HTTP_MILVUS_CDC_API_BUCKETS; n++) {
            below += st[i].bucket[n];

            ngx_http_milvus_cdc_text_printf(t,
                "milvus_cdc_request_latency_bucket{request_type=\"%s\","
                "le=\"%ui\"} %ui\n", name, (ngx_uint_t) 1 << n, below);
        }

        /* what is counted meanwhile must not stand below its buckets */

        count = ngx_max(below, (ngx_uint_t) st[i].count);

        ngx_http_milvus_cdc_text_printf(t,
            "milvus_cdc_request_latency_bucket{request_type=\"%s\","
            "le=\"+Inf\"} %ui\n"
            "milvus_cdc_request_latency_sum{request_type=\"%s\"} %ui\n"
            "milvus_cdc_request_latency_count{request_type=\"%s\"} %ui\n",
            name, count, name, (ngx_uint_t) st[i].msec, name, count);
    }
}
