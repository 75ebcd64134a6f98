/*
 * An answer compressed once for all who ask.  Prometheus asks for it so, and
 * of the text of a hundred tasks a tenth is left to be sent; nginx's own gzip
 * would do it again for each request.
 */

#include "ngx_http_milvus_cdc_http.h"

#if (NGX_HTTP_GZIP)

#include <zlib.h>


#define NGX_HTTP_MILVUS_CDC_GZIP  (15 + 16)      /* window, and its header */


ngx_uint_t
ngx_http_milvus_cdc_gzip_wanted(ngx_http_request_t *r)
{
    return r == r->main && ngx_http_gzip_ok(r) == NGX_OK;
}


ngx_int_t
ngx_http_milvus_cdc_gzip_header(ngx_http_request_t *r)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "Content-Encoding");
    ngx_str_set(&h->value, "gzip");
    r->headers_out.content_encoding = h;

    return NGX_OK;
}


void
ngx_http_milvus_cdc_text_gzip(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_text_t *from)
{
    int           rc;
    size_t        size;
    u_char       *out;
    z_stream      z;
    ngx_chain_t  *cl;

    ngx_memzero(&z, sizeof(z_stream));
    rc = Z_OK;
    out = NULL;

    if (from->failed
        || deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, NGX_HTTP_MILVUS_CDC_GZIP,
                        8, Z_DEFAULT_STRATEGY) != Z_OK)
    {
        t->failed = 1;
        return;
    }

    size = deflateBound(&z, from->size);
    out = ngx_alloc(size, t->pool->log);

    z.next_out = out;
    z.avail_out = size;

    for (cl = from->head; cl && out && rc == Z_OK; cl = cl->next) {
        z.next_in = cl->buf->pos;
        z.avail_in = cl->buf->last - cl->buf->pos;
        rc = deflate(&z, cl->next ? Z_NO_FLUSH : Z_FINISH);
    }

    if (rc == Z_STREAM_END) {
        ngx_http_milvus_cdc_text_add(t, out, size - z.avail_out);

    } else {
        t->failed = 1;
    }

    (void) deflateEnd(&z);

    if (out) {
        ngx_free(out);
    }
}

#else

ngx_uint_t
ngx_http_milvus_cdc_gzip_wanted(ngx_http_request_t *r)
{
    return 0;
}


ngx_int_t
ngx_http_milvus_cdc_gzip_header(ngx_http_request_t *r)
{
    return NGX_ERROR;
}


void
ngx_http_milvus_cdc_text_gzip(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_text_t *from)
{
    t->failed = 1;
}

#endif
