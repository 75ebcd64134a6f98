/*
 * Frames over a non-blocking stream socket (cdc_frame.h).
 *
 * Reading: one read() a readiness event, so that one busy peer cannot hold
 * the loop, then every whole frame in the buffer.  The buffer holds one
 * frame beyond 4 KB of slack at most.
 *
 * Writing never calls closed(): whoever sends may be in the middle of its
 * own structures.  A failed write marks the connection broken and shuts the
 * socket down, and the loop then finds the end of file and says so.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc_runtime.h"


#define CDC_CONN_SLACK  4096


static void cdc_conn_event(cdc_event_t *ev, unsigned events);


int
cdc_conn_open(cdc_conn_t *c, cdc_loop_t *loop, int fd)
{
    int  flags;

    flags = fcntl(fd, F_GETFL);

    if (flags == -1 || fcntl(fd, F_SETFL, flags|O_NONBLOCK) == -1) {
        cdc_log(CDC_LOG_ALERT, errno, "fcntl(O_NONBLOCK) failed");
        return CDC_ERROR;
    }

    c->loop = loop;
    c->in = NULL;
    c->out = NULL;
    c->in_len = c->in_cap = c->out_len = c->out_cap = 0;

    memset(&c->event, 0, sizeof(cdc_event_t));

    c->event.fd = fd;
    c->event.handler = cdc_conn_event;
    c->event.data = c;

    if (cdc_event_add(loop, &c->event, EPOLLIN) != CDC_OK) {
        c->event.fd = -1;
        return CDC_ERROR;
    }

    return CDC_OK;
}


void
cdc_conn_close(cdc_conn_t *c)
{
    if (c->event.fd != -1) {
        cdc_event_del(c->loop, &c->event);
        (void) close(c->event.fd);
        c->event.fd = -1;
    }

    free(c->in);
    free(c->out);

    c->in = NULL;
    c->out = NULL;
    c->in_len = c->in_cap = c->out_len = c->out_cap = 0;
}


static void
cdc_conn_end(cdc_conn_t *c)
{
    cdc_conn_close(c);

    if (c->closed != NULL) {
        c->closed(c);
    }
}


static int
cdc_conn_grow(uint8_t **buf, size_t *cap, size_t need)
{
    size_t    size;
    uint8_t  *p;

    if (need <= *cap) {
        return CDC_OK;
    }

    for (size = CDC_CONN_SLACK; size < need; size *= 2) { /* void */ }

    p = realloc(*buf, size);

    if (p == NULL) {
        cdc_log(CDC_LOG_ALERT, errno, "realloc(%zu) failed", size);
        return CDC_ERROR;
    }

    *buf = p;
    *cap = size;

    return CDC_OK;
}


/* CDC_AGAIN: more is wanted; CDC_DONE: closed by the handler */

static int
cdc_conn_frames(cdc_conn_t *c)
{
    size_t       at;
    cdc_frame_t  f;

    at = 0;

    while (c->in_len - at >= sizeof(cdc_frame_t)) {

        memcpy(&f, c->in + at, sizeof(cdc_frame_t));

        if (f.len > CDC_FRAME_MAX) {
            cdc_log(CDC_LOG_ERR, 0, "a frame of %u bytes is too large", f.len);
            return CDC_ERROR;
        }

        if (c->in_len - at - sizeof(cdc_frame_t) < f.len) {
            break;
        }

        at += sizeof(cdc_frame_t);

        if (c->handler != NULL) {
            c->handler(c, &f, c->in + at);
        }

        if (c->event.fd == -1) {
            return CDC_DONE;
        }

        at += f.len;
    }

    if (at > 0) {
        memmove(c->in, c->in + at, c->in_len - at);
        c->in_len -= at;
    }

    return CDC_AGAIN;
}


static int
cdc_conn_read(cdc_conn_t *c)
{
    size_t       need;
    ssize_t      n;
    cdc_frame_t  f;

    need = c->in_len + CDC_CONN_SLACK;

    if (c->in_len >= sizeof(cdc_frame_t)) {
        memcpy(&f, c->in, sizeof(cdc_frame_t));

        if (need < sizeof(cdc_frame_t) + f.len) {
            need = sizeof(cdc_frame_t) + f.len;
        }
    }

    if (cdc_conn_grow(&c->in, &c->in_cap, need) != CDC_OK) {
        return CDC_ERROR;
    }

    do {
        n = read(c->event.fd, c->in + c->in_len, c->in_cap - c->in_len);
    } while (n == -1 && errno == EINTR);

    if (n == -1) {

        if (errno == EAGAIN) {
            return CDC_AGAIN;
        }

        cdc_log(errno == ECONNRESET ? CDC_LOG_INFO : CDC_LOG_ERR, errno,
                "read() from a socket failed");
        return CDC_ERROR;
    }

    if (n == 0) {
        return CDC_ERROR;
    }

    c->in_len += (size_t) n;

    return cdc_conn_frames(c);
}


static int
cdc_conn_write(cdc_conn_t *c)
{
    size_t   at;
    ssize_t  n;

    for (at = 0; at < c->out_len; /* void */ ) {

        n = send(c->event.fd, c->out + at, c->out_len - at, MSG_NOSIGNAL);

        if (n == -1) {

            if (errno == EINTR) {
                continue;
            }

            if (errno == EAGAIN) {
                break;
            }

            cdc_log(errno == EPIPE || errno == ECONNRESET ? CDC_LOG_INFO
                                                          : CDC_LOG_ERR,
                    errno, "send() to a socket failed");

            c->out_len = 0;
            (void) shutdown(c->event.fd, SHUT_RDWR);

            return CDC_ERROR;
        }

        at += (size_t) n;
    }

    if (at > 0) {
        memmove(c->out, c->out + at, c->out_len - at);
        c->out_len -= at;
    }

    return c->out_len != 0 ? CDC_AGAIN : CDC_OK;
}


static void
cdc_conn_event(cdc_event_t *ev, unsigned events)
{
    int          rc;
    cdc_conn_t  *c;

    c = ev->data;

    if (events & (EPOLLIN|EPOLLHUP|EPOLLERR|EPOLLRDHUP)) {

        rc = cdc_conn_read(c);

        if (rc == CDC_DONE) {
            return;
        }

        if (rc == CDC_ERROR) {
            cdc_conn_end(c);
            return;
        }
    }

    if (c->out_len != 0 && cdc_conn_write(c) != CDC_AGAIN) {
        (void) cdc_event_mod(c->loop, ev, EPOLLIN);
    }
}


int
cdc_conn_send(cdc_conn_t *c, uint16_t type, uint16_t status, uint64_t id,
    const void *payload, size_t len)
{
    int          idle;
    cdc_frame_t  f;

    if (c->event.fd == -1) {
        return CDC_ERROR;
    }

    if (len > CDC_FRAME_MAX) {
        cdc_log(CDC_LOG_ALERT, 0, "a frame of %zu bytes was not sent", len);
        return CDC_ERROR;
    }

    idle = c->out_len == 0;

    if (cdc_conn_grow(&c->out, &c->out_cap, c->out_len + sizeof(f) + len)
        != CDC_OK)
    {
        return CDC_ERROR;
    }

    f.len = (uint32_t) len;
    f.type = type;
    f.status = status;
    f.id = id;

    memcpy(c->out + c->out_len, &f, sizeof(f));

    if (len > 0) {
        memcpy(c->out + c->out_len + sizeof(f), payload, len);
    }

    c->out_len += sizeof(f) + len;

    if (!idle) {
        return CDC_OK;
    }

    switch (cdc_conn_write(c)) {

    case CDC_OK:
        return CDC_OK;

    case CDC_AGAIN:
        return cdc_event_mod(c->loop, &c->event, EPOLLIN|EPOLLOUT);

    default:
        return CDC_ERROR;
    }
}


int
cdc_conn_flush(cdc_conn_t *c, unsigned ms)
{
    int            rc;
    uint64_t       now, end;
    struct pollfd  pfd;

    if (c->event.fd == -1) {
        return CDC_ERROR;
    }

    end = cdc_now_ms() + ms;

    while ((rc = cdc_conn_write(c)) == CDC_AGAIN) {

        now = cdc_now_ms();

        if (now >= end) {
            return CDC_AGAIN;
        }

        pfd.fd = c->event.fd;
        pfd.events = POLLOUT;

        (void) poll(&pfd, 1, (int) (end - now));
    }

    return rc;
}
