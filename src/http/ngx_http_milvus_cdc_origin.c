/*
 * Who sent this request?  A browser that is inside the network, or signed in,
 * can be made to send a POST here by a page of any other site, and since the
 * API takes a body of any Content-Type, no preflight stands in between.  But
 * browsers say where a request comes from, and a page cannot change it:
 *
 *   Sec-Fetch-Site   on https and on localhost; "same-origin", or "none" for
 *                    what the user typed, else another site's
 *   Origin           with every POST; its host and port should be our Host
 *
 * Clients that are no browsers send neither.
 */

#include "ngx_http_milvus_cdc_http.h"


static ngx_uint_t ngx_http_milvus_cdc_origin_is_host(ngx_http_request_t *r,
    ngx_str_t *origin);
static ngx_uint_t ngx_http_milvus_cdc_is(ngx_str_t *s, const char *name);


ngx_uint_t
ngx_http_milvus_cdc_cross_site(ngx_http_request_t *r)
{
    ngx_str_t         key;
    ngx_uint_t        i, foreign;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    foreign = 0;
    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        key.len = h[i].key.len;
        key.data = h[i].lowcase_key;

        if (ngx_http_milvus_cdc_is(&key, "sec-fetch-site")) {

            /* it knows more than we do: a proxy may have changed the Host */

            return !ngx_http_milvus_cdc_is(&h[i].value, "same-origin")
                   && !ngx_http_milvus_cdc_is(&h[i].value, "none");
        }

        if (ngx_http_milvus_cdc_is(&key, "origin")) {
            foreign |= !ngx_http_milvus_cdc_origin_is_host(r, &h[i].value);
        }
    }

    return foreign;
}


/* "null", which is a page without an origin, is no host */

static ngx_uint_t
ngx_http_milvus_cdc_origin_is_host(ngx_http_request_t *r, ngx_str_t *origin)
{
    u_char     *p, *last;
    ngx_str_t  *host;

    if (r->headers_in.host == NULL) {
        return 0;
    }

    host = &r->headers_in.host->value;
    last = origin->data + origin->len;

    p = ngx_strlcasestrn(origin->data, last, (u_char *) "://", 3 - 1);
    if (p == NULL) {
        return 0;
    }

    p += 3;

    return (size_t) (last - p) == host->len
           && ngx_strncasecmp(p, host->data, host->len) == 0;
}


static ngx_uint_t
ngx_http_milvus_cdc_is(ngx_str_t *s, const char *name)
{
    return s->len == ngx_strlen(name)
           && ngx_strncmp(s->data, name, s->len) == 0;
}
