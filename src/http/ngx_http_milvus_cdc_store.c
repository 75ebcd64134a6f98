/*
 * Asking the store over <state>/api.sock.
 *
 * While a reload or a restart of the store is under way the socket is absent
 * or refuses: tried again every 20 ms until milvus_cdc_timeout.
 *
 * A store that ends with a request in its socket may have done it or not.  The
 * request is sent again to the next one, because doing it twice is doing it
 * once: a create has its task id, and of the others only the answer differs
 * ("the task has paused").  That answer to a second sending is the success that
 * the first one could not report.
 */

#include "ngx_http_milvus_cdc_http.h"


#define NGX_HTTP_MILVUS_CDC_END_EXTRA   5000    /* ms, to kill and reap */


static ngx_int_t ngx_http_milvus_cdc_store_connect(
    ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_store_again(
    ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_store_answer(
    ngx_http_milvus_cdc_frames_t *fr, cdc_frame_t *f, u_char *payload);
static void ngx_http_milvus_cdc_store_closed(
    ngx_http_milvus_cdc_frames_t *fr);
static void ngx_http_milvus_cdc_store_timer(ngx_event_t *ev);


ngx_int_t
ngx_http_milvus_cdc_store(ngx_http_milvus_cdc_ctx_t *c, ngx_msec_t extra)
{
    char                *text;
    json_t              *req, *id;
    ngx_http_request_t  *r;

    r = c->request;

    req = json_pack("{s:s, s:O, s:s#}", "request_type", c->type->name,
                    "request_data", c->data, "source",
                    (char *) c->lcf->source->name.data,
                    (int) c->lcf->source->name.len);

    if (req && c->complaints) {
        (void) json_object_set(req, "complaints", c->complaints);
    }

    if (req && json_array_size(c->ignored)) {
        (void) json_object_set(req, "ignored", c->ignored);
    }

    text = req ? json_dumps(req, JSON_COMPACT) : NULL;

    json_decref(req);

    if (text == NULL) {
        return ngx_http_milvus_cdc_error(c, CDC_E_INTERNAL);
    }

    c->frame.len = ngx_strlen(text);
    c->frame.data = ngx_pnalloc(r->pool, c->frame.len + 1);

    if (c->frame.data) {
        ngx_memcpy(c->frame.data, text, c->frame.len + 1);
    }

    ngx_explicit_memzero(text, c->frame.len);
    free(text);

    if (c->frame.data == NULL) {
        c->frame.len = 0;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (c->frame.len > CDC_FRAME_MAX) {
        return ngx_http_milvus_cdc_error(c, CDC_E_BODY_TOO_LARGE);
    }

    /* many may wait, and decoded a request takes ten times its size */

    id = json_incref(json_object_get(c->data, "task_id"));

    json_decref(c->data);
    c->data = id ? json_pack("{s:o}", "task_id", id) : NULL;

    json_decref(c->complaints);
    c->complaints = NULL;

    c->deadline = ngx_current_msec + c->mcf->timeout;
    c->last = c->deadline + extra;

    c->timer.handler = ngx_http_milvus_cdc_store_timer;
    c->timer.data = c;
    c->timer.log = r->connection->log;

    return ngx_http_milvus_cdc_store_connect(c);
}


static ngx_int_t
ngx_http_milvus_cdc_store_connect(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_err_t         err;
    ngx_log_t        *log;
    ngx_socket_t      fd;
    ngx_msec_int_t    left;

    log = c->request->connection->log;

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (fd == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      ngx_socket_n " failed");
        return ngx_http_milvus_cdc_error(c, CDC_E_STORE_GONE);
    }

    /* a local stream socket connects at once or not at all */

    if (connect(fd, (struct sockaddr *) &c->mcf->api,
                sizeof(struct sockaddr_un)) == -1)
    {
        err = ngx_socket_errno;
        (void) close(fd);

        if (err == NGX_ENOENT || err == NGX_ECONNREFUSED || err == NGX_EAGAIN
            || err == NGX_ECONNRESET)
        {
            return ngx_http_milvus_cdc_store_again(c);
        }

        ngx_log_error(NGX_LOG_CRIT, log, err, "connect() to \"%s\" failed",
                      c->mcf->api.sun_path);
        return ngx_http_milvus_cdc_error(c, CDC_E_STORE_GONE);
    }

    c->frames.handler = ngx_http_milvus_cdc_store_answer;
    c->frames.closed = ngx_http_milvus_cdc_store_closed;
    c->frames.data = c;

    if (ngx_http_milvus_cdc_frames_open(&c->frames, fd, log) != NGX_OK
        || ngx_http_milvus_cdc_frames_send(&c->frames, CDC_FRAME_REQUEST, 1,
                                           c->frame.data, c->frame.len)
           != NGX_OK)
    {
        return ngx_http_milvus_cdc_error(c, CDC_E_STORE_GONE);
    }

    left = (ngx_msec_int_t) (c->last - ngx_current_msec);

    ngx_add_timer(&c->timer, left > 0 ? left : 1);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_milvus_cdc_store_again(ngx_http_milvus_cdc_ctx_t *c)
{
    if ((ngx_msec_int_t) (c->deadline - ngx_current_msec) <= 0) {
        ngx_log_error(NGX_LOG_ERR, c->request->connection->log, 0,
                      "milvus_cdc: no store at \"%s\" within %M ms",
                      c->mcf->api.sun_path, c->mcf->timeout);

        return ngx_http_milvus_cdc_error(c, CDC_E_STORE_GONE);
    }

    ngx_add_timer(&c->timer, NGX_HTTP_MILVUS_CDC_POLL);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_milvus_cdc_store_answer(ngx_http_milvus_cdc_frames_t *fr,
    cdc_frame_t *f, u_char *payload)
{
    ngx_int_t                   rc;
    ngx_http_milvus_cdc_ctx_t  *c;

    c = fr->data;

    if (f->type == CDC_FRAME_ACK && f->id == 1) {

        /* a replicator drains first, or is killed */

        c->last = ngx_current_msec + c->mcf->drain_timeout
                  + NGX_HTTP_MILVUS_CDC_END_EXTRA;

        ngx_add_timer(&c->timer, c->last - ngx_current_msec);
        return NGX_OK;
    }

    if (f->type != CDC_FRAME_ANSWER || f->id != 1) {
        ngx_log_error(NGX_LOG_ALERT, c->request->connection->log, 0,
                      "milvus_cdc: bad frame of type %ui from the store",
                      (ngx_uint_t) f->type);
        return NGX_OK;
    }

    if (f->status == CDC_E_OK) {
        rc = ngx_http_milvus_cdc_answer(c, payload, f->len);

    } else if (c->resent && f->status == c->type->done) {
        rc = ngx_http_milvus_cdc_answer(c, NULL, 0);

    } else {
        rc = ngx_http_milvus_cdc_error_text(c, f->status, (char *) payload,
                                            f->len);
    }

    ngx_http_milvus_cdc_finalize(c, rc);

    return NGX_DONE;
}


static void
ngx_http_milvus_cdc_store_closed(ngx_http_milvus_cdc_frames_t *fr)
{
    ngx_msec_int_t              left;
    ngx_http_milvus_cdc_ctx_t  *c;

    c = fr->data;

    if (c->timer.timer_set) {
        ngx_del_timer(&c->timer);
    }

    ngx_log_error(NGX_LOG_INFO, c->request->connection->log, 0,
                  "milvus_cdc: the store has ended before its answer, asking "
                  "the next one");

    c->resent = 1;

    /* once more from the start, but never beyond the last moment */

    left = (ngx_msec_int_t) (c->last - ngx_current_msec);

    c->deadline = ngx_current_msec
                  + ngx_max(ngx_min(left, (ngx_msec_int_t) c->mcf->timeout),
                            0);

    ngx_http_milvus_cdc_finalize(c, ngx_http_milvus_cdc_store_again(c));
}


static void
ngx_http_milvus_cdc_store_timer(ngx_event_t *ev)
{
    ngx_int_t                   rc;
    ngx_http_milvus_cdc_ctx_t  *c;

    c = ev->data;

    if (c->frames.connection) {
        ngx_log_error(NGX_LOG_ERR, c->request->connection->log, NGX_ETIMEDOUT,
                      "milvus_cdc: the store does not answer");
        rc = ngx_http_milvus_cdc_error(c, CDC_E_STORE_GONE);

    } else {
        rc = ngx_http_milvus_cdc_store_connect(c);
    }

    ngx_http_milvus_cdc_finalize(c, rc);
}
