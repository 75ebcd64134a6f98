/*
 * The workers' connections on <state>/api.sock, and their answers.
 *
 * A wait stands for one request.  It ends in done() or fail(), at once or
 * after the supervisor's ACK; when its client goes away first, the wait goes
 * and the change that it asked for stays.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cdc_store.h"


#define CDC_STORE_BACKLOG    511
#define CDC_STORE_ACCEPT_MS  100


/* ---- answers --- */

cdc_store_wait_t *
cdc_store_wait(cdc_store_client_t *client, uint64_t id)
{
    cdc_store_wait_t  *w;

    w = calloc(1, sizeof(cdc_store_wait_t));

    if (w == NULL) {
        cdc_log(CDC_LOG_ALERT, errno, "no memory for a request");
        return NULL;
    }

    w->client = client;
    w->id = id;
    memcpy(w->data, "{}", sizeof("{}"));

    return w;
}


void
cdc_store_wait_ack(cdc_store_t *s, cdc_store_wait_t *w, uint64_t seq)
{
    if (seq <= s->acked) {
        cdc_store_done(w);
        return;
    }

    w->seq = seq;
    w->next = s->waits;
    s->waits = w;
}


void
cdc_store_acked(cdc_store_t *s, uint64_t seq)
{
    cdc_store_wait_t  *w, **link;

    if (seq > s->acked) {
        s->acked = seq;
    }

    for (link = &s->waits; (w = *link) != NULL; /* void */ ) {

        if (w->seq <= s->acked) {
            *link = w->next;
            cdc_store_done(w);

        } else {
            link = &w->next;
        }
    }
}


void
cdc_store_wait_free(cdc_store_wait_t *w)
{
    json_decref(w->ignored);
    free(w->more);
    free(w->arg);
    free(w);
}


void
cdc_store_done(cdc_store_wait_t *w)
{
    const char  *data;

    data = w->more != NULL ? w->more : w->data;

    (void) cdc_conn_send(&w->client->conn, CDC_FRAME_ANSWER, CDC_E_OK, w->id,
                         data, strlen(data));
    cdc_store_wait_free(w);
}


void
cdc_store_fail(cdc_store_wait_t *w, cdc_error_e err, const char *text)
{
    (void) cdc_conn_send(&w->client->conn, CDC_FRAME_ANSWER, err, w->id, text,
                         strlen(text));
    cdc_store_wait_free(w);
}


static void
cdc_store_vformat(char *text, cdc_error_e err, va_list args)
{
    (void) vsnprintf(text, CDC_REASON_MAX, cdc_error_row(err)->text, args);
}


void
cdc_store_format(char text[CDC_REASON_MAX], cdc_error_e err, ...)
{
    va_list  args;

    va_start(args, err);
    cdc_store_vformat(text, err, args);
    va_end(args);
}


void
cdc_store_failf(cdc_store_wait_t *w, cdc_error_e err, ...)
{
    char     text[CDC_REASON_MAX];
    va_list  args;

    va_start(args, err);
    cdc_store_vformat(text, err, args);
    va_end(args);

    cdc_store_fail(w, err, text);
}


/* ---- connections --- */

static void
cdc_store_client_closed(cdc_conn_t *c)
{
    cdc_store_t         *s;
    cdc_store_wait_t    *w, **link;
    cdc_store_client_t  *client;

    client = c->data;
    s = client->store;

    for (link = &s->waits; (w = *link) != NULL; /* void */ ) {

        if (w->client == client) {
            *link = w->next;
            cdc_store_wait_free(w);

        } else {
            link = &w->next;
        }
    }

    cdc_store_ends_forget(s, client);
    cdc_store_forget(s, client);

    *client->link = client->next;

    if (client->next != NULL) {
        client->next->link = client->link;
    }

    free(client);
}


static void
cdc_store_client_frame(cdc_conn_t *c, const cdc_frame_t *f,
    const uint8_t *payload)
{
    cdc_store_client_t  *client;

    client = c->data;

    /* shutdown() and not close(): the loop finds the end and frees it */

    if (f->type != CDC_FRAME_REQUEST) {
        cdc_log(CDC_LOG_ERR, 0, "a client sent a frame of type %u", f->type);
        (void) shutdown(c->event.fd, SHUT_RDWR);
        return;
    }

    if (c->out_len > CDC_STORE_CLIENT_OUT) {
        cdc_log(CDC_LOG_ERR, 0, "a client does not read its answers");
        (void) shutdown(c->event.fd, SHUT_RDWR);
        return;
    }

    client->store->last_heard = cdc_now_ms();

    cdc_store_request(client, f->id, payload, f->len);
}


static void
cdc_store_client_open(cdc_store_t *s, int fd)
{
    cdc_store_client_t  *client;

    client = calloc(1, sizeof(cdc_store_client_t));

    if (client == NULL) {
        (void) close(fd);
        return;
    }

    client->store = s;
    client->conn.handler = cdc_store_client_frame;
    client->conn.closed = cdc_store_client_closed;
    client->conn.data = client;

    if (cdc_conn_open(&client->conn, s->loop, fd) != CDC_OK) {
        (void) close(fd);
        free(client);
        return;
    }

    client->next = s->clients;
    client->link = &s->clients;

    if (client->next != NULL) {
        client->next->link = &client->next;
    }

    s->clients = client;
}


/* ---- the listening socket --- */

static void
cdc_store_accept_again(cdc_timer_t *tm)
{
    cdc_store_t  *s;

    s = tm->data;

    if (s->listener.fd != -1) {
        (void) cdc_event_add(s->loop, &s->listener, EPOLLIN);
    }
}


static void
cdc_store_accept(cdc_event_t *ev, unsigned events)
{
    int           fd;
    cdc_store_t  *s;

    (void) events;

    s = ev->data;

    for ( ;; ) {
        fd = accept4(ev->fd, NULL, NULL, SOCK_CLOEXEC|SOCK_NONBLOCK);

        if (fd != -1) {
            cdc_store_client_open(s, fd);
            continue;
        }

        if (errno == EINTR || errno == ECONNABORTED) {
            continue;
        }

        if (errno == EAGAIN) {
            return;
        }

        /* no descriptor is free: wait, or the loop would spin */

        cdc_log(CDC_LOG_CRIT, errno, "accept4() failed");

        cdc_event_del(s->loop, ev);
        s->accept_timer.handler = cdc_store_accept_again;
        s->accept_timer.data = s;
        cdc_timer_add(s->loop, &s->accept_timer, CDC_STORE_ACCEPT_MS);

        return;
    }
}


static int
cdc_store_address(cdc_store_t *s, struct sockaddr_un *sun)
{
    int  n;

    memset(sun, 0, sizeof(struct sockaddr_un));
    sun->sun_family = AF_UNIX;

    n = snprintf(sun->sun_path, sizeof(sun->sun_path), "%s/api.sock", s->dir);

    if (n >= (int) sizeof(sun->sun_path)) {
        cdc_log(CDC_LOG_EMERG, 0, "milvus_cdc_path \"%s\" is too long for a "
                "socket: %zu bytes at most", s->dir,
                sizeof(sun->sun_path) - sizeof("/api.sock"));
        return CDC_ERROR;
    }

    return CDC_OK;
}


int
cdc_store_listen(cdc_store_t *s)
{
    int                 fd;
    struct sockaddr_un  sun;

    if (cdc_store_address(s, &sun) != CDC_OK) {
        return CDC_ERROR;
    }

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0);

    if (fd == -1) {
        cdc_log(CDC_LOG_EMERG, errno, "socket() failed");
        return CDC_ERROR;
    }

    /* the lock that we inherited says that nobody else listens there */

    if (unlink(sun.sun_path) == -1 && errno != ENOENT) {
        cdc_log(CDC_LOG_EMERG, errno, "unlink() \"%s\" failed", sun.sun_path);
        goto failed;
    }

    if (bind(fd, (struct sockaddr *) &sun, sizeof(sun)) == -1
        || chmod(sun.sun_path, 0600) == -1
        || listen(fd, CDC_STORE_BACKLOG) == -1)
    {
        cdc_log(CDC_LOG_EMERG, errno, "listening on \"%s\" failed",
                sun.sun_path);
        goto failed;
    }

    s->listener.fd = fd;
    s->listener.handler = cdc_store_accept;
    s->listener.data = s;

    if (cdc_event_add(s->loop, &s->listener, EPOLLIN) == CDC_OK) {
        return CDC_OK;
    }

    s->listener.fd = -1;

failed:

    (void) close(fd);

    return CDC_ERROR;
}


void
cdc_store_unlisten(cdc_store_t *s)
{
    struct sockaddr_un  sun;

    if (s->listener.fd == -1) {
        return;
    }

    /* whoever comes now finds no socket and tries again, while those who
     * are in the queue believe that they are connected: they are served */

    if (cdc_store_address(s, &sun) == CDC_OK) {
        (void) unlink(sun.sun_path);
    }

    cdc_store_accept(&s->listener, EPOLLIN);

    cdc_timer_del(s->loop, &s->accept_timer);
    cdc_event_del(s->loop, &s->listener);
    (void) close(s->listener.fd);
    s->listener.fd = -1;
}
