/*
 * What is told of API requests: variables for the access log, counters in the
 * zone, and the audit log.
 *
 * The audit log has one line of JSON for each request that changes something
 * or was refused to: who asked for what, and the answer's code; 499 when the
 * client had gone before there was one (it may have been done).  It goes to
 * milvus_cdc_audit_log, which the core reopens with all logs, or to the error
 * log at "notice".
 */

#include "ngx_http_milvus_cdc_http.h"


#define NGX_HTTP_MILVUS_CDC_GONE  499


static ngx_int_t ngx_http_milvus_cdc_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


enum {
    NGX_HTTP_MILVUS_CDC_VAR_TYPE = 0,
    NGX_HTTP_MILVUS_CDC_VAR_TASK,
    NGX_HTTP_MILVUS_CDC_VAR_CODE
};


static ngx_http_variable_t  ngx_http_milvus_cdc_vars[] = {

    { ngx_string("milvus_cdc_request_type"), NULL,
      ngx_http_milvus_cdc_variable, NGX_HTTP_MILVUS_CDC_VAR_TYPE,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("milvus_cdc_task_id"), NULL,
      ngx_http_milvus_cdc_variable, NGX_HTTP_MILVUS_CDC_VAR_TASK,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("milvus_cdc_code"), NULL,
      ngx_http_milvus_cdc_variable, NGX_HTTP_MILVUS_CDC_VAR_CODE,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_milvus_cdc_add_variables(ngx_conf_t *cf)
{
    ngx_str_t                         name;
    ngx_http_variable_t              *var, *v;
    ngx_http_milvus_cdc_main_conf_t  *mcf;

    for (v = ngx_http_milvus_cdc_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    /* indexed, it is the same in all that is said of a request */

    ngx_str_set(&name, "request_id");

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_milvus_cdc_module);
    mcf->request_id = ngx_http_get_variable_index(cf, &name);

    return mcf->request_id == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_milvus_cdc_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                     *p;
    ngx_str_t                   value;
    ngx_http_milvus_cdc_ctx_t  *c;

    c = ngx_http_get_module_ctx(r, ngx_http_milvus_cdc_module);

    ngx_str_null(&value);

    if (c && data == NGX_HTTP_MILVUS_CDC_VAR_TASK) {
        value = c->task_id;

    } else if (c && data == NGX_HTTP_MILVUS_CDC_VAR_TYPE && c->type) {
        value.data = (u_char *) c->type->name;
        value.len = ngx_strlen(c->type->name);

    } else if (c && data == NGX_HTTP_MILVUS_CDC_VAR_CODE && c->code) {
        p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        value.data = p;
        value.len = ngx_sprintf(p, "%ui", c->code) - p;
    }

    if (value.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = value.data;
    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* the request is answered: what outlives its data */

void
ngx_http_milvus_cdc_answered(ngx_http_milvus_cdc_ctx_t *c, ngx_uint_t code)
{
    size_t       n;
    const char  *id;

    c->code = code;

    id = ngx_http_milvus_cdc_str(c->data, "task_id");
    n = ngx_strlen(id);

    if (n && n <= CDC_TASK_ID_MAX) {
        c->task_id.data = ngx_pnalloc(c->request->pool, n);

        if (c->task_id.data) {
            ngx_memcpy(c->task_id.data, id, n);
            c->task_id.len = n;
        }
    }
}


/* nginx's own page for our failure: not a client that has gone */

void
ngx_http_milvus_cdc_ended(ngx_http_milvus_cdc_ctx_t *c, ngx_int_t rc)
{
    if (c->code == 0 && rc >= NGX_HTTP_SPECIAL_RESPONSE
        && !c->request->connection->error)
    {
        ngx_http_milvus_cdc_answered(c, rc);
    }
}


static void
ngx_http_milvus_cdc_audit(ngx_http_milvus_cdc_ctx_t *c)
{
    u_char                     *p;
    ngx_str_t                  *user;
    ngx_chain_t                *cl;
    ngx_http_request_t         *r;
    ngx_http_milvus_cdc_text_t  t;
    ngx_http_variable_value_t  *v;

    r = c->request;
    user = &r->headers_in.user;
    v = ngx_http_get_indexed_variable(r, c->mcf->request_id);

    ngx_http_milvus_cdc_text_init(&t, r->pool);

    ngx_http_milvus_cdc_text_str(&t, "{\"time\":\"");
    ngx_http_milvus_cdc_text_add(&t, ngx_cached_http_log_iso8601.data,
                                 ngx_cached_http_log_iso8601.len);
    ngx_http_milvus_cdc_text_str(&t, "\",\"address\":");
    ngx_http_milvus_cdc_text_json(&t, r->connection->addr_text.data,
                                  r->connection->addr_text.len);
    ngx_http_milvus_cdc_text_str(&t, ",\"user\":");

    /* set by what has checked the password before us */

    if (user->data && user->len) {
        ngx_http_milvus_cdc_text_json(&t, user->data, user->len);

    } else {
        ngx_http_milvus_cdc_text_str(&t, "null");
    }

    ngx_http_milvus_cdc_text_str(&t, ",\"request_id\":");
    ngx_http_milvus_cdc_text_json(&t, v && !v->not_found ? v->data
                                                         : (u_char *) "",
                                  v && !v->not_found ? v->len : 0);
    ngx_http_milvus_cdc_text_printf(&t, ",\"type\":\"%s\",\"task_id\":",
                                    c->type->name);
    ngx_http_milvus_cdc_text_json(&t, c->task_id.data, c->task_id.len);
    ngx_http_milvus_cdc_text_printf(&t, ",\"code\":%ui}\n", c->code);

    /* one write a line */

    p = t.failed ? NULL : ngx_pnalloc(r->pool, t.size);
    if (p == NULL) {
        return;
    }

    for (cl = t.head; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    p -= t.size;

    if (c->mcf->audit == NULL) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "milvus_cdc: audit: %*s", t.size - 1, p);
        return;
    }

    if (ngx_write_fd(c->mcf->audit->fd, p, t.size) != (ssize_t) t.size) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, ngx_errno,
                      ngx_write_fd_n " to \"%V\" failed",
                      &c->mcf->audit->name);
    }
}


/* once for each request, when it ends */

void
ngx_http_milvus_cdc_account(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_uint_t                       i;
    ngx_time_t                      *tp;
    ngx_msec_int_t                   ms;
    ngx_http_milvus_cdc_api_stat_t  *st;

    if (c->accounted) {
        return;
    }

    c->accounted = 1;

    tp = ngx_timeofday();

    ms = (tp->sec - c->request->start_sec) * 1000
         + ((ngx_msec_int_t) tp->msec
            - (ngx_msec_int_t) c->request->start_msec);
    ms = ngx_max(ms, 0);

    if (c->code == 0) {
        c->code = NGX_HTTP_MILVUS_CDC_GONE;
    }

    st = ngx_http_milvus_cdc_table_api(c->mcf->zone);
    st += ngx_http_milvus_cdc_type_number(c->type);

    (void) ngx_atomic_fetch_add(&st->count, 1);
    (void) ngx_atomic_fetch_add(&st->msec, ms);
    (void) ngx_atomic_fetch_add(&st->failed, c->code != 200);

    for (i = 0; i < NGX_HTTP_MILVUS_CDC_API_BUCKETS; i++) {
        if (ms <= (ngx_msec_int_t) 1 << i) {
            (void) ngx_atomic_fetch_add(&st->bucket[i], 1);
            break;
        }
    }

    if (c->type && c->type->changes) {
        ngx_http_milvus_cdc_audit(c);
    }
}
