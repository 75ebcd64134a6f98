/*
 * POST /cdc: the envelope of a request and of its answer.
 */

#include "ngx_http_milvus_cdc_http.h"

#include <stdarg.h>
#include <stdio.h>


#define NGX_HTTP_MILVUS_CDC_MESSAGE_MAX   8192
#define NGX_HTTP_MILVUS_CDC_SAME_MAX      8
#define NGX_HTTP_MILVUS_CDC_JSON          "application/json"


static void ngx_http_milvus_cdc_cleanup(void *data);
static ngx_int_t ngx_http_milvus_cdc_foreign(ngx_http_milvus_cdc_ctx_t *c,
    json_t *root);
static const ngx_http_milvus_cdc_type_t *ngx_http_milvus_cdc_find_type(
    json_t *type);
static ngx_int_t ngx_http_milvus_cdc_request_data(
    ngx_http_milvus_cdc_ctx_t *c, json_t *in);
static ngx_int_t ngx_http_milvus_cdc_bad_json(ngx_http_milvus_cdc_ctx_t *c,
    json_error_t *je);
static ngx_int_t ngx_http_milvus_cdc_complain(ngx_http_milvus_cdc_ctx_t *c,
    cdc_error_e err, const char *text, size_t len);
static void ngx_http_milvus_cdc_wait_handler(ngx_event_t *ev);


static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_id_fields[] = {
    { "task_id", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "ignore_not_found", NGX_HTTP_MILVUS_CDC_BOOL, NULL },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_parked_id[] = {
    { "task_id", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "id", NGX_HTTP_MILVUS_CDC_INT, NULL },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_no_fields[] = {
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_op_fields[] = {
    { "operation", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "params", NGX_HTTP_MILVUS_CDC_ANY_MAP, NULL },
    { NULL, 0, NULL }
};


/* the request types: one row and one function each */

static const ngx_http_milvus_cdc_type_t  ngx_http_milvus_cdc_types[] = {

    { "create", ngx_http_milvus_cdc_create,
      ngx_http_milvus_cdc_create_fields, CDC_E_OK, 1 },

    { "check", ngx_http_milvus_cdc_check,
      ngx_http_milvus_cdc_create_fields, CDC_E_OK, 0 },

    { "delete", ngx_http_milvus_cdc_control,
      ngx_http_milvus_cdc_id_fields, CDC_E_NOT_FOUND, 1 },

    { "pause", ngx_http_milvus_cdc_control,
      ngx_http_milvus_cdc_id_fields, CDC_E_HAS_PAUSED, 1 },

    { "resume", ngx_http_milvus_cdc_control,
      ngx_http_milvus_cdc_id_fields, CDC_E_HAS_RUNNING, 1 },

    { "get", ngx_http_milvus_cdc_get,
      ngx_http_milvus_cdc_id_fields, CDC_E_OK, 0 },

    { "list", ngx_http_milvus_cdc_list,
      ngx_http_milvus_cdc_no_fields, CDC_E_OK, 0 },

    { "progress", ngx_http_milvus_cdc_progress,
      ngx_http_milvus_cdc_id_fields, CDC_E_OK, 0 },

    { "parked", ngx_http_milvus_cdc_control,
      ngx_http_milvus_cdc_parked_id, CDC_E_OK, 0 },

    { "parked_retry", ngx_http_milvus_cdc_control,
      ngx_http_milvus_cdc_parked_id, CDC_E_OK, 1 },

    { "parked_drop", ngx_http_milvus_cdc_control,
      ngx_http_milvus_cdc_parked_id, CDC_E_PARKED_NOT_FOUND, 1 },

    { "position", ngx_http_milvus_cdc_position,
      ngx_http_milvus_cdc_id_fields, CDC_E_OK, 0 },

    { "maintenance", ngx_http_milvus_cdc_maintenance,
      ngx_http_milvus_cdc_op_fields, CDC_E_OK, 0 },

    { NULL, NULL, NULL, CDC_E_OK, 0 }
};


ngx_uint_t
ngx_http_milvus_cdc_type_number(const ngx_http_milvus_cdc_type_t *type)
{
    ngx_uint_t  n;

    n = type ? (ngx_uint_t) (type - ngx_http_milvus_cdc_types)
             : NGX_HTTP_MILVUS_CDC_API_TYPES - 1;

    return ngx_min(n, NGX_HTTP_MILVUS_CDC_API_TYPES - 1);
}


const char *
ngx_http_milvus_cdc_type_name(ngx_uint_t number)
{
    ngx_uint_t  n;

    if (number == NGX_HTTP_MILVUS_CDC_API_TYPES - 1) {
        return "unknown";
    }

    n = sizeof(ngx_http_milvus_cdc_types)
        / sizeof(ngx_http_milvus_cdc_types[0]);

    return number < n ? ngx_http_milvus_cdc_types[number].name : NULL;
}


ngx_int_t
ngx_http_milvus_cdc_api_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_cleanup_t         *cln;
    ngx_http_milvus_cdc_ctx_t  *c;

    c = ngx_pcalloc(r->pool, sizeof(ngx_http_milvus_cdc_ctx_t));
    if (c == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    c->request = r;
    c->mcf = ngx_http_get_module_main_conf(r, ngx_http_milvus_cdc_module);
    c->lcf = ngx_http_get_module_loc_conf(r, ngx_http_milvus_cdc_module);

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_milvus_cdc_cleanup;
    cln->data = c;

    ngx_http_set_ctx(r, c, ngx_http_milvus_cdc_module);

    if (r->method != NGX_HTTP_POST) {
        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_milvus_cdc_error(c, CDC_E_METHOD);
    }

    c->foreign = ngx_http_milvus_cdc_cross_site(r);

    return ngx_http_milvus_cdc_read_body(c);
}


/* releases what is not in the request's pool; once the request ends, or before
 * that when the answer is known */

static void
ngx_http_milvus_cdc_cleanup(void *data)
{
    ngx_http_milvus_cdc_ctx_t *c = data;

    if (c->timer.timer_set) {
        ngx_del_timer(&c->timer);
    }

    ngx_http_milvus_cdc_frames_close(&c->frames);

    if (c->frame.len) {
        ngx_explicit_memzero(c->frame.data, c->frame.len);
        c->frame.len = 0;
    }

    ngx_http_milvus_cdc_account(c);

    json_decref(c->data);
    c->data = NULL;

    json_decref(c->complaints);
    c->complaints = NULL;

    json_decref(c->ignored);
    c->ignored = NULL;
}


void
ngx_http_milvus_cdc_finalize(ngx_http_milvus_cdc_ctx_t *c, ngx_int_t rc)
{
    ngx_connection_t    *pc;
    ngx_http_request_t  *r;

    if (rc == NGX_AGAIN) {
        return;
    }

    r = c->request;
    pc = r->connection;

    ngx_http_milvus_cdc_ended(c, rc);
    ngx_http_milvus_cdc_cleanup(c);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(pc);
}


ngx_int_t
ngx_http_milvus_cdc_request(ngx_http_milvus_cdc_ctx_t *c)
{
    json_t        *root, *type;
    ngx_int_t      rc;
    json_error_t   je;

    root = json_loadb((char *) c->body.data, c->body.len, JSON_DECODE_ANY,
                      &je);

    ngx_explicit_memzero(c->body.data, c->body.len);

    if (c->foreign) {
        rc = ngx_http_milvus_cdc_foreign(c, root);
        json_decref(root);
        return rc;
    }

    if (root == NULL) {
        return ngx_http_milvus_cdc_bad_json(c, &je);
    }

    if (!json_is_object(root) && !json_is_null(root)) {
        json_decref(root);
        return ngx_http_milvus_cdc_error(c, CDC_E_BODY_NOT_JSON,
                                         "the request is not a JSON object");
    }

    type = ngx_http_milvus_cdc_member(root, "request_type");

    if (type && !json_is_string(type) && !json_is_null(type)) {
        json_decref(root);
        return ngx_http_milvus_cdc_error(c, CDC_E_BODY_NOT_JSON,
                                         "'request_type' is not a string");
    }

    c->type = ngx_http_milvus_cdc_find_type(type);

    if (c->type == NULL) {
        json_decref(root);
        return ngx_http_milvus_cdc_error(c, CDC_E_REQUEST_TYPE);
    }

    rc = ngx_http_milvus_cdc_request_data(c,
                         ngx_http_milvus_cdc_member(root, "request_data"));
    json_decref(root);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return c->type->handler(c);
}


/* refused whatever it is, but the audit log tells what it was */

static ngx_int_t
ngx_http_milvus_cdc_foreign(ngx_http_milvus_cdc_ctx_t *c, json_t *root)
{
    ngx_http_milvus_cdc_errs_t   errs;

    c->type = ngx_http_milvus_cdc_find_type(
                         ngx_http_milvus_cdc_member(root, "request_type"));

    if (c->type) {
        errs.texts = json_array();
        errs.n = 0;
        errs.ignored = NULL;

        c->data = ngx_http_milvus_cdc_decode(c->type->fields,
                          ngx_http_milvus_cdc_member(root, "request_data"),
                          "", &errs);

        json_decref(errs.texts);
    }

    return ngx_http_milvus_cdc_error(c, CDC_E_CROSS_SITE);
}


static const ngx_http_milvus_cdc_type_t *
ngx_http_milvus_cdc_find_type(json_t *type)
{
    const ngx_http_milvus_cdc_type_t  *row;

    if (!json_is_string(type)) {
        return NULL;
    }

    for (row = ngx_http_milvus_cdc_types; row->name; row++) {
        if (ngx_strcmp(row->name, json_string_value(type)) == 0) {
            return row;
        }
    }

    return NULL;
}


/* NGX_DECLINED: decoded; otherwise an answer's result */

static ngx_int_t
ngx_http_milvus_cdc_request_data(ngx_http_milvus_cdc_ctx_t *c, json_t *in)
{
    json_t                      *e;
    size_t                       i;
    u_char                      *p;
    ngx_int_t                    rc;
    ngx_str_t                    text;
    ngx_http_milvus_cdc_errs_t   errs;
    ngx_http_milvus_cdc_text_t   t;

    if (in && !json_is_object(in) && !json_is_null(in)) {
        return ngx_http_milvus_cdc_error(c, CDC_E_BODY_NOT_JSON,
                                         "'request_data' is not an object");
    }

    /* a wrong name in a create may mean another one, that is then not given */

    if (c->type->fields == ngx_http_milvus_cdc_create_fields) {
        c->ignored = json_array();
    }

    errs.texts = json_array();
    errs.n = 0;
    errs.ignored = c->ignored;

    c->data = ngx_http_milvus_cdc_decode(c->type->fields, in, "", &errs);

    if (c->data == NULL || errs.n == 0) {
        json_decref(errs.texts);
        return c->data ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_milvus_cdc_text_init(&t, c->request->pool);
    ngx_http_milvus_cdc_text_printf(&t, "fail to decode the %s request, "
                                    "error: %ui error(s) decoding:\n",
                                    c->type->name, errs.n);

    json_array_foreach(errs.texts, i, e) {
        ngx_http_milvus_cdc_text_str(&t, "\n* ");
        ngx_http_milvus_cdc_text_str(&t, json_string_value(e));
    }

    if (errs.n > NGX_HTTP_MILVUS_CDC_ERRS_MAX) {
        ngx_http_milvus_cdc_text_str(&t, "\n* ...");
    }

    json_decref(errs.texts);

    /* 16 errors fit into the first buffer, or nearly */

    p = t.head ? t.head->buf->pos : NULL;

    if (t.failed || p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = p;
    text.len = t.head->buf->last - p;

    rc = ngx_http_milvus_cdc_error_text(c, CDC_E_DECODE, (char *) text.data,
                                        text.len);
    return rc;
}


/* jansson's own text quotes the source, which may be a secret */

static ngx_int_t
ngx_http_milvus_cdc_bad_json(ngx_http_milvus_cdc_ctx_t *c, json_error_t *je)
{
    char         text[128];
    const char  *what;

    switch (json_error_code(je)) {

    case json_error_premature_end_of_input:
        what = "unexpected end of JSON input";
        break;

    case json_error_invalid_utf8:
        what = "invalid UTF-8";
        break;

    case json_error_numeric_overflow:
        what = "number out of range";
        break;

    case json_error_stack_overflow:
        what = "too deeply nested";
        break;

    case json_error_null_character:
        what = "null character";
        break;

    case json_error_end_of_input_expected:
        what = "invalid character after top-level value";
        break;

    default:
        what = "invalid character";
        break;
    }

    (void) snprintf(text, sizeof(text), "%s (line %d, column %d)", what,
                    je->line, je->column);

    return ngx_http_milvus_cdc_error(c, CDC_E_BODY_NOT_JSON, text);
}


ngx_int_t
ngx_http_milvus_cdc_answer(ngx_http_milvus_cdc_ctx_t *c, const u_char *data,
    size_t len)
{
    ngx_http_milvus_cdc_text_t  t;

    if (len == 0) {
        data = (u_char *) "{}";
        len = 2;
    }

    ngx_http_milvus_cdc_text_init(&t, c->request->pool);
    ngx_http_milvus_cdc_text_str(&t, "{\"code\":200,\"data\":");
    ngx_http_milvus_cdc_text_add(&t, data, len);
    ngx_http_milvus_cdc_text_str(&t, "}\n");

    ngx_http_milvus_cdc_answered(c, NGX_HTTP_OK);

    return ngx_http_milvus_cdc_text_send(&t, c->request, NGX_HTTP_OK,
                                         NGX_HTTP_MILVUS_CDC_JSON);
}


ngx_int_t
ngx_http_milvus_cdc_send(ngx_http_milvus_cdc_ctx_t *c,
    ngx_http_milvus_cdc_text_t *t)
{
    ngx_http_milvus_cdc_answered(c, NGX_HTTP_OK);

    return ngx_http_milvus_cdc_text_send(t, c->request, NGX_HTTP_OK,
                                         NGX_HTTP_MILVUS_CDC_JSON);
}


ngx_int_t
ngx_http_milvus_cdc_error(ngx_http_milvus_cdc_ctx_t *c, cdc_error_e err, ...)
{
    int      n;
    char     text[NGX_HTTP_MILVUS_CDC_MESSAGE_MAX];
    va_list  args;

    va_start(args, err);
    n = vsnprintf(text, sizeof(text), cdc_error_row(err)->text, args);
    va_end(args);

    if (n < 0) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_milvus_cdc_error_text(c, err, text,
                                          ngx_min((size_t) n,
                                                  sizeof(text) - 1));
}


ngx_int_t
ngx_http_milvus_cdc_error_text(ngx_http_milvus_cdc_ctx_t *c, cdc_error_e err,
    const char *text, size_t len)
{
    size_t                       n;
    u_char                      *p, *message;
    ngx_uint_t                   status, level;
    ngx_http_request_t          *r;
    const cdc_error_row_t       *row;
    ngx_http_milvus_cdc_text_t   t;

    if (c->gathering) {
        return ngx_http_milvus_cdc_complain(c, err, text, len);
    }

    r = c->request;
    row = cdc_error_row(err);

    /* what a handler says is named so; the envelope's own texts are whole */

    n = 0;
    message = ngx_pnalloc(r->pool, len + 64);
    if (message == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = message;

    if (err >= CDC_E_EMPTY_ADDRESS && c->type) {
        p = ngx_snprintf(p, 64, "fail to handle the %s request, error: ",
                         c->type->name);
    }

    p = ngx_cpymem(p, text, len);
    n = p - message;

    ngx_http_milvus_cdc_text_init(&t, r->pool);
    ngx_http_milvus_cdc_text_printf(&t, "{\"code\":%d,\"message\":",
                                    row->code);
    ngx_http_milvus_cdc_text_json(&t, message, n);
    ngx_http_milvus_cdc_text_str(&t, "}\n");

    status = row->http;

    if (c->lcf->http_status == NGX_HTTP_MILVUS_CDC_COMPAT) {
        status = NGX_HTTP_OK;
    }

    if (row->http == NGX_HTTP_NOT_ALLOWED
        && ngx_http_milvus_cdc_header(r, "Allow", "POST") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (row->http == NGX_HTTP_SERVICE_UNAVAILABLE
        && ngx_http_milvus_cdc_header(r, "Retry-After", "1") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    level = (row->http >= NGX_HTTP_INTERNAL_SERVER_ERROR) ? NGX_LOG_WARN
                                                          : NGX_LOG_INFO;

    ngx_log_error(level, r->connection->log, 0,
                  "milvus_cdc: %s request refused with code %d",
                  c->type ? c->type->name : "invalid", row->code);

    ngx_http_milvus_cdc_answered(c, row->code);

    return ngx_http_milvus_cdc_text_send(&t, r, status,
                                         NGX_HTTP_MILVUS_CDC_JSON);
}


/* a request may be wrong in one way a hundred thousand times */

static ngx_int_t
ngx_http_milvus_cdc_complain(ngx_http_milvus_cdc_ctx_t *c, cdc_error_e err,
    const char *text, size_t len)
{
    size_t       i;
    json_t      *e;
    ngx_uint_t   same;

    same = 0;

    json_array_foreach(c->complaints, i, e) {
        same += json_integer_value(json_array_get(e, 0)) == (json_int_t) err;
    }

    if (same > NGX_HTTP_MILVUS_CDC_SAME_MAX) {
        return NGX_DECLINED;
    }

    if (same == NGX_HTTP_MILVUS_CDC_SAME_MAX) {
        e = json_string("there is more of this kind, which is left out");

    } else {
        e = json_stringn(text, len);     /* NULL: cut within a character */
    }

    e = json_pack("[i, o]", (int) err,
                  e ? e : json_string(cdc_error_row(err)->text));

    return json_array_append_new(c->complaints, e) == 0
           ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


ngx_int_t
ngx_http_milvus_cdc_wait(ngx_http_milvus_cdc_ctx_t *c)
{
    if (c->timer.handler == NULL) {
        c->timer.handler = ngx_http_milvus_cdc_wait_handler;
        c->timer.data = c;
        c->timer.log = c->request->connection->log;
        c->deadline = ngx_current_msec + c->mcf->timeout;
    }

    if ((ngx_msec_int_t) (c->deadline - ngx_current_msec) <= 0) {
        return ngx_http_milvus_cdc_error(c, CDC_E_STARTING);
    }

    ngx_add_timer(&c->timer, NGX_HTTP_MILVUS_CDC_POLL);

    return NGX_AGAIN;
}


static void
ngx_http_milvus_cdc_wait_handler(ngx_event_t *ev)
{
    ngx_http_milvus_cdc_ctx_t *c = ev->data;

    ngx_http_milvus_cdc_finalize(c, c->retry(c));
}
