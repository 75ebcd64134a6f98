/*
 * Answers: text that grows in a chain of buffers.
 */

#include "ngx_http_milvus_cdc_http.h"


#define NGX_HTTP_MILVUS_CDC_TEXT_BUF   16384
#define NGX_HTTP_MILVUS_CDC_TEXT_LINE  1024


void
ngx_http_milvus_cdc_text_init(ngx_http_milvus_cdc_text_t *t, ngx_pool_t *pool)
{
    ngx_memzero(t, sizeof(ngx_http_milvus_cdc_text_t));

    t->pool = pool;
    t->last = &t->head;
}


/* room for at least "len" bytes behind buf->last */

static ngx_int_t
ngx_http_milvus_cdc_text_room(ngx_http_milvus_cdc_text_t *t, size_t len)
{
    ngx_chain_t  *cl;

    if (t->buf && (size_t) (t->buf->end - t->buf->last) >= len) {
        return NGX_OK;
    }

    cl = ngx_alloc_chain_link(t->pool);
    if (cl == NULL) {
        t->failed = 1;
        return NGX_ERROR;
    }

    cl->buf = ngx_create_temp_buf(t->pool,
                                  ngx_max(len, NGX_HTTP_MILVUS_CDC_TEXT_BUF));
    if (cl->buf == NULL) {
        t->failed = 1;
        return NGX_ERROR;
    }

    cl->next = NULL;

    *t->last = cl;
    t->last = &cl->next;
    t->buf = cl->buf;

    return NGX_OK;
}


void
ngx_http_milvus_cdc_text_add(ngx_http_milvus_cdc_text_t *t, const void *data,
    size_t len)
{
    if (len == 0 || ngx_http_milvus_cdc_text_room(t, len) != NGX_OK) {
        return;
    }

    t->buf->last = ngx_cpymem(t->buf->last, data, len);
    t->size += len;
}


void
ngx_http_milvus_cdc_text_str(ngx_http_milvus_cdc_text_t *t, const char *s)
{
    ngx_http_milvus_cdc_text_add(t, s, ngx_strlen(s));
}


void
ngx_http_milvus_cdc_text_printf(ngx_http_milvus_cdc_text_t *t,
    const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    if (ngx_http_milvus_cdc_text_room(t, NGX_HTTP_MILVUS_CDC_TEXT_LINE)
        != NGX_OK)
    {
        return;
    }

    p = t->buf->last;

    va_start(args, fmt);
    t->buf->last = ngx_vslprintf(p, p + NGX_HTTP_MILVUS_CDC_TEXT_LINE, fmt,
                                 args);
    va_end(args);

    t->size += t->buf->last - p;
}


void
ngx_http_milvus_cdc_text_json(ngx_http_milvus_cdc_text_t *t, const void *data,
    size_t len)
{
    u_char    *p, *src, *end, *last;
    uintptr_t  n;

    src = ngx_pnalloc(t->pool, len + 1);
    if (src == NULL) {
        t->failed = 1;
        return;
    }

    if (len) {                           /* data may be NULL then */
        ngx_memcpy(src, data, len);
    }

    end = src + len;

    for (p = src; p < end; /* void */ ) {
        last = p;

        if (*p < 0x80) {
            p++;

        } else if (ngx_utf8_decode(&p, end - p) > 0x10ffff) {
            *last = '?';
            p = last + 1;
        }
    }

    n = ngx_escape_json(NULL, src, len);

    if (ngx_http_milvus_cdc_text_room(t, len + n + 2) != NGX_OK) {
        return;
    }

    *t->buf->last++ = '"';
    t->buf->last = (u_char *) ngx_escape_json(t->buf->last, src, len);
    *t->buf->last++ = '"';

    t->size += len + n + 2;
}


void
ngx_http_milvus_cdc_text_append(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_text_t *from)
{
    ngx_chain_t  *cl;

    for (cl = from->head; cl; cl = cl->next) {
        ngx_http_milvus_cdc_text_add(t, cl->buf->pos,
                                     cl->buf->last - cl->buf->pos);
    }

    t->failed |= from->failed;
}


ngx_int_t
ngx_http_milvus_cdc_text_send(ngx_http_milvus_cdc_text_t *t,
    ngx_http_request_t *r, ngx_uint_t status, const char *type)
{
    ngx_int_t  rc;

    if (t->failed || t->head == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = t->size;

    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    t->buf->last_buf = (r == r->main) ? 1 : 0;
    t->buf->last_in_chain = 1;

    return ngx_http_output_filter(r, t->head);
}


ngx_int_t
ngx_http_milvus_cdc_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = ngx_strlen(value);

    return NGX_OK;
}
