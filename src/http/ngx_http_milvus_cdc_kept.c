/*
 * Answers that many ask for (list, metrics, health), made once for all of them.
 *
 * Such an answer is good while the task table has not changed, and for 100 ms
 * at most, because silence grows old without a change.  For metrics and health
 * a report of figures is no change: it may wait for those 100 ms.  Each worker
 * keeps its own.  A request that is being answered holds a reference, so a
 * newer one does not pull the bytes away from a slow client.
 */

#include "ngx_http_milvus_cdc_http.h"


#define NGX_HTTP_MILVUS_CDC_KEPT_MS  100


struct ngx_http_milvus_cdc_kept_data_s {
    ngx_uint_t                        refs;
    size_t                            size;
    u_char                            bytes[1];
};


static void
ngx_http_milvus_cdc_kept_unref(void *data)
{
    ngx_http_milvus_cdc_kept_data_t  *kd = data;

    if (--kd->refs == 0) {
        ngx_free(kd);
    }
}


/* t becomes the answer that kd holds */

static ngx_int_t
ngx_http_milvus_cdc_kept_use(ngx_http_milvus_cdc_kept_data_t *kd,
    ngx_http_milvus_cdc_text_t *t)
{
    ngx_buf_t           *b;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(t->pool, 0);
    t->head = ngx_alloc_chain_link(t->pool);
    b = ngx_calloc_buf(t->pool);

    if (cln == NULL || t->head == NULL || b == NULL) {
        return NGX_ERROR;
    }

    kd->refs++;
    cln->handler = ngx_http_milvus_cdc_kept_unref;
    cln->data = kd;

    b->start = b->pos = kd->bytes;
    b->end = b->last = kd->bytes + kd->size;
    b->memory = 1;

    t->head->buf = b;
    t->head->next = NULL;
    t->last = &t->head->next;
    t->buf = b;
    t->size = kd->size;

    return NGX_OK;
}


ngx_int_t
ngx_http_milvus_cdc_kept_get(ngx_http_milvus_cdc_kept_t *k,
    ngx_shm_zone_t *zone, uint64_t changes, ngx_http_milvus_cdc_text_t *t)
{
    if (k->data && k->changes == changes && k->zone == zone
        && (ngx_msec_int_t) (ngx_current_msec - k->at)
           < NGX_HTTP_MILVUS_CDC_KEPT_MS)
    {
        return ngx_http_milvus_cdc_kept_use(k->data, t);
    }

    if (k->data) {
        ngx_http_milvus_cdc_kept_unref(k->data);
        k->data = NULL;
    }

    /* what it is made of is read from now on */

    k->changes = changes;
    k->zone = zone;
    k->at = ngx_current_msec;

    return NGX_DECLINED;
}


void
ngx_http_milvus_cdc_kept_put(ngx_http_milvus_cdc_kept_t *k,
    ngx_http_milvus_cdc_text_t *t)
{
    u_char                           *p;
    ngx_chain_t                      *cl;
    ngx_http_milvus_cdc_kept_data_t  *kd;

    if (t->failed) {
        return;
    }

    kd = ngx_alloc(offsetof(ngx_http_milvus_cdc_kept_data_t, bytes) + t->size,
                   ngx_cycle->log);
    if (kd == NULL) {
        return;
    }

    kd->refs = 1;
    kd->size = t->size;
    p = kd->bytes;

    for (cl = t->head; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    k->data = kd;
}
