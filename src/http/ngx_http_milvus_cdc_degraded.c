/*
 * What list and get add for a task that runs and does not replicate as it
 * should: since when, why, and when that is tried again.
 */

#include "ngx_http_milvus_cdc_http.h"


ngx_int_t
ngx_http_milvus_cdc_degraded(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_str_t *reason)
{
    uint64_t  since, next, now;

    if (slot->record.state != CDC_TASK_RUNNING || reason->len == 0) {
        return NGX_DECLINED;
    }

    /* no such report: it is the replicator that is silent, since its last */

    since = slot->status.degraded_since_ms;
    next = slot->status.next_try_ms;
    now = ngx_http_milvus_cdc_wall_ms();

    if (reason->data != (u_char *) slot->status.degraded) {
        since = ngx_max(slot->status.updated_ms, slot->since_ms);
        next = 0;
    }

    ngx_http_milvus_cdc_text_printf(t, "\"degraded\":{\"since_ms\":%uL,"
                                    "\"cause\":", since);
    ngx_http_milvus_cdc_text_json(t, reason->data, reason->len);

    /* one that has passed since the report is being made now */

    if (next > now) {
        ngx_http_milvus_cdc_text_printf(t, ",\"next_try_ms\":%uL}", next);

    } else {
        ngx_http_milvus_cdc_text_str(t, ",\"next_try_ms\":null}");
    }

    return NGX_OK;
}
