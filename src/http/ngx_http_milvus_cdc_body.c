/*
 * The body of a request, in memory and nowhere else: it may hold passwords.
 *
 * By itself nginx writes to a file what its buffer does not hold, and all of
 * it where client_body_in_file_only is inherited.  Asked for the body as it
 * comes, it hands over each part and forgets it: no directive matters but
 * client_max_body_size, and no body is kept that is too large for us.
 */

#include "ngx_http_milvus_cdc_http.h"


#define NGX_HTTP_MILVUS_CDC_BODY_ROOM  4096


static void ngx_http_milvus_cdc_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_milvus_cdc_body_whole(ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_body_take(ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_body_part(ngx_http_milvus_cdc_ctx_t *c,
    ngx_buf_t *b);
static ngx_int_t ngx_http_milvus_cdc_body_grow(ngx_http_milvus_cdc_ctx_t *c,
    size_t n);


ngx_int_t
ngx_http_milvus_cdc_read_body(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = c->request;

    if (r->headers_in.content_length_n > CDC_FRAME_MAX) {
        rc = ngx_http_discard_request_body(r);

        if (rc == NGX_OK) {
            rc = ngx_http_milvus_cdc_error(c, CDC_E_BODY_TOO_LARGE);
        }

        ngx_http_milvus_cdc_ended(c, rc);
        return rc;
    }

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r,
                                           ngx_http_milvus_cdc_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_milvus_cdc_ended(c, rc);
        return rc;
    }

    return NGX_DONE;
}


/* with the first part, and for each event until the last one */

static void
ngx_http_milvus_cdc_body_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_milvus_cdc_ctx_t  *c;

    c = ngx_http_get_module_ctx(r, ngx_http_milvus_cdc_module);

    rc = ngx_http_milvus_cdc_body_whole(c);

    if (rc == NGX_AGAIN) {
        r->read_event_handler = ngx_http_milvus_cdc_body_handler;
        return;
    }

    r->read_event_handler = ngx_http_block_reading;

    if (rc == NGX_DECLINED) {
        rc = ngx_http_milvus_cdc_request(c);
    }

    if (rc == NGX_AGAIN) {

        /* the client's going away ends the request, and our cleanup */

        r->read_event_handler = ngx_http_test_reading;
        return;
    }

    ngx_http_milvus_cdc_ended(c, rc);
    ngx_http_finalize_request(r, rc);
}


/*
 * NGX_DECLINED: it is there; NGX_AGAIN: not yet; else an answer's result.
 * The parts below have it the same way.
 */

static ngx_int_t
ngx_http_milvus_cdc_body_whole(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = c->request;

    for ( ;; ) {
        rc = ngx_http_milvus_cdc_body_take(c);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        if (!r->reading_body) {
            return NGX_DECLINED;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            return rc;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return NGX_AGAIN;
        }
    }
}


static ngx_int_t
ngx_http_milvus_cdc_body_take(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_int_t            rc;
    ngx_chain_t         *cl, *next;
    ngx_http_request_t  *r;

    r = c->request;

    if (c->body.data == NULL
        && ngx_http_milvus_cdc_body_grow(c, 0) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->request_body == NULL) {
        return NGX_DECLINED;
    }

    for (cl = r->request_body->bufs; cl; cl = next) {
        next = cl->next;

        rc = ngx_http_milvus_cdc_body_part(c, cl->buf);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        /* what is empty is used again for what comes */

        cl->buf->pos = cl->buf->last;
        ngx_free_chain(r->pool, cl);

        r->request_body->bufs = next;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_milvus_cdc_body_part(ngx_http_milvus_cdc_ctx_t *c, ngx_buf_t *b)
{
    off_t    size;
    ssize_t  n;

    size = ngx_buf_size(b);

    if (size > (off_t) (CDC_FRAME_MAX - c->body.len)) {
        return ngx_http_milvus_cdc_error(c, CDC_E_BODY_TOO_LARGE);
    }

    if (ngx_http_milvus_cdc_body_grow(c, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(c->body.data + c->body.len, b->pos, size);

        /* secrets need not stay for as long as the connection does */

        ngx_explicit_memzero(b->pos, size);

    } else if (b->in_file) {

        /* "mirror" had the body read before us, its way */

        n = ngx_read_file(b->file, c->body.data + c->body.len, size,
                          b->file_pos);

        if (n != size) {
            return ngx_http_milvus_cdc_error(c, CDC_E_BODY_READ,
                                             "temporary file");
        }
    }

    c->body.len += size;

    return NGX_DECLINED;
}


/* room for n bytes more */

static ngx_int_t
ngx_http_milvus_cdc_body_grow(ngx_http_milvus_cdc_ctx_t *c, size_t n)
{
    size_t   room;
    u_char  *p;

    if (c->body.data && n <= c->room - c->body.len) {
        return NGX_OK;
    }

    room = ngx_max(c->body.len + n, 2 * c->room);
    room = ngx_max(room, NGX_HTTP_MILVUS_CDC_BODY_ROOM);

    if (c->request->headers_in.content_length_n > (off_t) room) {
        room = c->request->headers_in.content_length_n;
    }

    p = ngx_pnalloc(c->request->pool, room);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (c->body.data) {
        ngx_memcpy(p, c->body.data, c->body.len);
        ngx_explicit_memzero(c->body.data, c->body.len);
        (void) ngx_pfree(c->request->pool, c->body.data);
    }

    c->body.data = p;
    c->room = room;

    return NGX_OK;
}
