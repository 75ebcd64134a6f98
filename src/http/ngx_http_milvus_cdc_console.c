/*
 * The console: a page and its files, which the build has put into the module.
 *
 * Nothing here knows tasks.  The page asks the API for them, like any other
 * client; all that it is told is where that is, in an attribute that is filled
 * in once, when the configuration is read.  Without such a path the page takes
 * the parent of its own address, which holds behind a proxy with a prefix, too.
 *
 * A page that can delete tasks must not be framed, and must not run what it
 * was not delivered with: hence the headers.  The API for its part refuses
 * what a page of another site sends (.._origin.c).
 */

#include "ngx_http_milvus_cdc_http.h"
#include "ngx_http_milvus_cdc_console.h"


#define NGX_HTTP_MILVUS_CDC_API_ATTRIBUTE  "data-api=\""

#define NGX_HTTP_MILVUS_CDC_CSP                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; "               \
    "connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "      \
    "base-uri 'none'; form-action 'none'; "                                   \
    "require-trusted-types-for 'script'"


static const ngx_http_milvus_cdc_asset_t *ngx_http_milvus_cdc_console_asset(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_milvus_cdc_console_headers(ngx_http_request_t *r,
    ngx_str_t *etag);


static const char  *ngx_http_milvus_cdc_console_header[][2] = {
    { "Content-Security-Policy", NGX_HTTP_MILVUS_CDC_CSP },
    { "X-Content-Type-Options", "nosniff" },
    { "X-Frame-Options", "DENY" },
    { "Referrer-Policy", "no-referrer" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
    { "Cross-Origin-Resource-Policy", "same-origin" },

    /* a new module brings a new page: the browser asks, and gets a 304 */

    { "Cache-Control", "no-cache" },
    { NULL, NULL }
};


/* the page with the paths, which are separated by blanks, in the attribute */

ngx_int_t
ngx_http_milvus_cdc_console_page(ngx_conf_t *cf,
    ngx_http_milvus_cdc_loc_conf_t *lcf, ngx_str_t *paths)
{
    u_char                             *p, *in, *at;
    size_t                              len, head, escaped;
    const ngx_http_milvus_cdc_asset_t  *page;

    page = &ngx_http_milvus_cdc_assets[0];
    len = sizeof(NGX_HTTP_MILVUS_CDC_API_ATTRIBUTE) - 1;
    in = (u_char *) page->data;

    at = ngx_strnstr(in, NGX_HTTP_MILVUS_CDC_API_ATTRIBUTE, page->len);
    if (at == NULL) {
        return NGX_ERROR;
    }

    head = at + len - in;
    escaped = ngx_escape_html(NULL, paths->data, paths->len) + paths->len;

    lcf->console_page.len = page->len + escaped;
    lcf->console_page.data = ngx_pnalloc(cf->pool, lcf->console_page.len);
    if (lcf->console_page.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(lcf->console_page.data, in, head);

    if (paths->len) {
        p = (u_char *) ngx_escape_html(p, paths->data, paths->len);
    }

    ngx_memcpy(p, in + head, page->len - head);

    lcf->console_hash = ngx_crc32_long(paths->data, paths->len);

    return NGX_OK;
}


ngx_int_t
ngx_http_milvus_cdc_console_handler(ngx_http_request_t *r)
{
    ngx_buf_t                          *b;
    ngx_int_t                           rc;
    ngx_str_t                           etag;
    ngx_chain_t                         out;
    ngx_http_milvus_cdc_loc_conf_t     *lcf;
    const ngx_http_milvus_cdc_asset_t  *a;

    rc = ngx_http_milvus_cdc_get_only(r);
    if (rc != NGX_OK) {
        return rc;
    }

    a = ngx_http_milvus_cdc_console_asset(r);
    if (a == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    b = ngx_calloc_buf(r->pool);
    etag.data = ngx_pnalloc(r->pool, 64);

    if (b == NULL || etag.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (a == ngx_http_milvus_cdc_assets) {
        lcf = ngx_http_get_module_loc_conf(r, ngx_http_milvus_cdc_module);

        b->pos = lcf->console_page.data;
        b->last = b->pos + lcf->console_page.len;
        etag.len = ngx_snprintf(etag.data, 64, "\"%s-%08xD\"", a->hash,
                                lcf->console_hash)
                   - etag.data;

    } else {
        b->pos = (u_char *) a->data;
        b->last = b->pos + a->len;
        etag.len = ngx_snprintf(etag.data, 64, "\"%s\"", a->hash) - etag.data;
    }

    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;
    r->headers_out.content_type.data = (u_char *) a->type;
    r->headers_out.content_type.len = ngx_strlen(a->type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_str_set(&r->headers_out.charset, "utf-8");

    if (ngx_http_milvus_cdc_console_headers(r, &etag) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* what follows the location's name: nothing is the page */

static const ngx_http_milvus_cdc_asset_t *
ngx_http_milvus_cdc_console_asset(ngx_http_request_t *r)
{
    ngx_str_t                           name;
    ngx_http_core_loc_conf_t           *clcf;
    const ngx_http_milvus_cdc_asset_t  *a;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->uri.len < clcf->name.len) {
        return NULL;
    }

    name.data = r->uri.data + clcf->name.len;
    name.len = r->uri.len - clcf->name.len;

    a = ngx_http_milvus_cdc_assets;

    if (name.len == 0) {
        return a;
    }

    for ( /* void */ ; a->name; a++) {
        if (name.len == ngx_strlen(a->name)
            && ngx_strncmp(name.data, a->name, name.len) == 0)
        {
            return a;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_milvus_cdc_console_headers(ngx_http_request_t *r, ngx_str_t *etag)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    for (i = 0; ngx_http_milvus_cdc_console_header[i][0]; i++) {
        if (ngx_http_milvus_cdc_header(r,
                                    ngx_http_milvus_cdc_console_header[i][0],
                                    ngx_http_milvus_cdc_console_header[i][1])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value = *etag;

    /* the core compares it with If-None-Match */

    r->headers_out.etag = h;

    return NGX_OK;
}
