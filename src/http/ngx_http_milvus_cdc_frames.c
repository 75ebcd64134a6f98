/*
 * Frames on an nginx connection.
 */

#include "ngx_http_milvus_cdc_frames.h"

#include <ngx_event.h>


struct ngx_http_milvus_cdc_out_s {
    ngx_http_milvus_cdc_out_t  *next;
    size_t                      size;
    size_t                      sent;
    u_char                      data[1];
};


static ngx_int_t ngx_http_milvus_cdc_frames_head(
    ngx_http_milvus_cdc_frames_t *fr);
static ngx_int_t ngx_http_milvus_cdc_frames_whole(
    ngx_http_milvus_cdc_frames_t *fr);
static void ngx_http_milvus_cdc_frames_broken(
    ngx_http_milvus_cdc_frames_t *fr);


ngx_int_t
ngx_http_milvus_cdc_frames_open(ngx_http_milvus_cdc_frames_t *fr,
    ngx_socket_t fd, ngx_log_t *log)
{
    ngx_connection_t  *c;

    fr->connection = NULL;
    fr->payload = NULL;
    fr->got = 0;
    fr->out = NULL;
    fr->last = &fr->out;

    c = ngx_get_connection(fd, log);
    if (c == NULL) {
        (void) close(fd);
        return NGX_ERROR;
    }

    c->data = fr;
    c->log = log;
    c->recv = ngx_recv;
    c->send = ngx_send;
    c->log_error = NGX_ERROR_INFO;

    c->read->log = log;
    c->write->log = log;
    c->read->handler = ngx_http_milvus_cdc_frames_read;
    c->write->handler = ngx_http_milvus_cdc_frames_write;
    c->write->ready = 1;

    fr->connection = c;

    if (ngx_add_conn) {
        if (ngx_add_conn(c) == NGX_ERROR) {
            ngx_http_milvus_cdc_frames_close(fr);
            return NGX_ERROR;
        }

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_milvus_cdc_frames_close(fr);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_milvus_cdc_frames_send(ngx_http_milvus_cdc_frames_t *fr,
    ngx_uint_t type, uint64_t id, const void *payload, size_t len)
{
    cdc_frame_t                 f;
    ngx_connection_t           *c;
    ngx_http_milvus_cdc_out_t  *out;

    c = fr->connection;

    if (c == NULL || len > CDC_FRAME_MAX) {
        return NGX_ERROR;
    }

    out = ngx_alloc(offsetof(ngx_http_milvus_cdc_out_t, data)
                    + sizeof(cdc_frame_t) + len, c->log);
    if (out == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&f, sizeof(cdc_frame_t));
    f.len = (uint32_t) len;
    f.type = (uint16_t) type;
    f.id = id;

    out->next = NULL;
    out->size = sizeof(cdc_frame_t) + len;
    out->sent = 0;

    ngx_memcpy(out->data, &f, sizeof(cdc_frame_t));

    if (len) {
        ngx_memcpy(out->data + sizeof(cdc_frame_t), payload, len);
    }

    *fr->last = out;
    fr->last = &out->next;

    if (c->write->ready) {
        ngx_http_milvus_cdc_frames_write(c->write);
    }

    return NGX_OK;
}


void
ngx_http_milvus_cdc_frames_write(ngx_event_t *wev)
{
    ssize_t                        n;
    ngx_connection_t              *c;
    ngx_http_milvus_cdc_out_t     *out;
    ngx_http_milvus_cdc_frames_t  *fr;

    c = wev->data;
    fr = c->data;

    while (fr->out) {
        out = fr->out;

        n = ngx_send(c, out->data + out->sent, out->size - out->sent);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {

            /* the reading side gets the end of file and tells the owner */

            c->read->ready = 1;
            c->read->available = -1;
            ngx_post_event(c->read, &ngx_posted_events);
            return;
        }

        out->sent += n;

        if (out->sent == out->size) {
            fr->out = out->next;

            if (fr->out == NULL) {
                fr->last = &fr->out;
            }

            ngx_explicit_memzero(out->data, out->size);
            ngx_free(out);
        }
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        c->read->ready = 1;
        c->read->error = 1;
        ngx_post_event(c->read, &ngx_posted_events);
    }
}


void
ngx_http_milvus_cdc_frames_read(ngx_event_t *rev)
{
    u_char                        *p;
    size_t                         size;
    ssize_t                        n;
    ngx_connection_t              *c;
    ngx_http_milvus_cdc_frames_t  *fr;

    c = rev->data;
    fr = c->data;

    if (rev->error) {
        ngx_http_milvus_cdc_frames_broken(fr);
        return;
    }

    for ( ;; ) {

        if (fr->got < sizeof(cdc_frame_t)) {
            p = (u_char *) &fr->in + fr->got;
            size = sizeof(cdc_frame_t) - fr->got;

        } else {
            p = fr->payload + fr->got - sizeof(cdc_frame_t);
            size = sizeof(cdc_frame_t) + fr->in.len - fr->got;
        }

        if (size) {
            n = ngx_recv(c, p, size);

            if (n == NGX_AGAIN) {
                if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                    ngx_http_milvus_cdc_frames_broken(fr);
                }

                return;
            }

            if (n == NGX_ERROR || n == 0) {
                ngx_http_milvus_cdc_frames_broken(fr);
                return;
            }

            fr->got += n;

            if ((size_t) n < size) {
                continue;
            }
        }

        if (fr->payload == NULL) {

            if (ngx_http_milvus_cdc_frames_head(fr) != NGX_OK) {
                ngx_http_milvus_cdc_frames_broken(fr);
                return;
            }

            continue;
        }

        if (ngx_http_milvus_cdc_frames_whole(fr) == NGX_DONE) {
            return;
        }
    }
}


/* the head of a frame is there: room for the rest */

static ngx_int_t
ngx_http_milvus_cdc_frames_head(ngx_http_milvus_cdc_frames_t *fr)
{
    if (fr->in.len > CDC_FRAME_MAX) {
        ngx_log_error(NGX_LOG_ALERT, fr->connection->log, 0,
                      "milvus_cdc: frame of %uD bytes refused", fr->in.len);
        return NGX_ERROR;
    }

    fr->payload = ngx_alloc(fr->in.len + 1, fr->connection->log);

    return fr->payload ? NGX_OK : NGX_ERROR;
}


/* the handler may end the life of fr: nothing of it is used then */

static ngx_int_t
ngx_http_milvus_cdc_frames_whole(ngx_http_milvus_cdc_frames_t *fr)
{
    u_char       *p;
    ngx_int_t     rc;
    cdc_frame_t   f;

    f = fr->in;
    p = fr->payload;
    p[f.len] = '\0';

    fr->payload = NULL;
    fr->got = 0;

    rc = fr->handler(fr, &f, p);

    ngx_explicit_memzero(p, f.len);
    ngx_free(p);

    return rc;
}


void
ngx_http_milvus_cdc_frames_close(ngx_http_milvus_cdc_frames_t *fr)
{
    ngx_http_milvus_cdc_out_t  *out;

    if (fr->connection == NULL) {
        return;
    }

    ngx_close_connection(fr->connection);
    fr->connection = NULL;

    if (fr->payload) {
        ngx_explicit_memzero(fr->payload, fr->in.len);
        ngx_free(fr->payload);
        fr->payload = NULL;
    }

    while (fr->out) {
        out = fr->out;
        fr->out = out->next;

        ngx_explicit_memzero(out->data, out->size);
        ngx_free(out);
    }

    fr->last = &fr->out;
    fr->got = 0;
}


static void
ngx_http_milvus_cdc_frames_broken(ngx_http_milvus_cdc_frames_t *fr)
{
    ngx_http_milvus_cdc_frames_close(fr);

    fr->closed(fr);
}
