/*
 * A gRPC server inside the test's process, on gRPC's C core as well: real
 * HTTP/2 on loopback, one thread for each call.
 *
 *   /t/Echo      answers with the request
 *   /t/Headers   answers with "authorization|token|dbname" as they came
 *   /t/Fail      status 5, "no such thing"
 *   /t/Empty     status 0 and no message at all
 *   /t/Hang      answers never; counts calls and those that were cancelled
 *   /t/Stream    echoes each message; "bye" ends it in order
 *
 * Anything else is an echo, or goes to the answer() of the server's owner.
 */

#ifndef GRPC_SERVER_H_INCLUDED
#define GRPC_SERVER_H_INCLUDED

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


typedef struct {
    grpc_server            *server;
    grpc_completion_queue  *queue;
    pthread_t               thread;
    int                     port;
    int                     hanging, cancelled, calls;  /* atomic */

    /* gRPC's status; a request of len bytes becomes an answer of *n; runs on
     * the call's thread */
    int  (*answer)(const char *method, const uint8_t *request, size_t len,
                   uint8_t *out, size_t *n);
} server_t;

#define SERVER_ANSWER_MAX  4096

typedef struct {
    server_t               *server;
    grpc_call              *call;
    grpc_call_details       details;
    grpc_metadata_array     headers;
    grpc_completion_queue  *queue;
} server_call_t;


static int
server_wait(grpc_completion_queue *queue)
{
    return grpc_completion_queue_next(queue,
                                      gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                      NULL).success;
}


static int
server_batch(server_call_t *c, grpc_op *ops, size_t n)
{
    if (grpc_call_start_batch(c->call, ops, n, c, NULL) != GRPC_CALL_OK) {
        abort();
    }

    return server_wait(c->queue);
}


static grpc_byte_buffer *
server_read(server_call_t *c)
{
    grpc_op            op;
    grpc_byte_buffer  *in;

    memset(&op, 0, sizeof(op));
    in = NULL;

    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &in;
    (void) server_batch(c, &op, 1);

    return in;
}


static void
server_start_answer(server_call_t *c)
{
    grpc_op  op;

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_INITIAL_METADATA;
    (void) server_batch(c, &op, 1);
}


static void
server_write(server_call_t *c, grpc_byte_buffer *out)
{
    grpc_op  op;

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = out;
    (void) server_batch(c, &op, 1);
}


static void
server_end(server_call_t *c, int status, const char *text)
{
    int         cancelled;
    grpc_op     op[2];
    grpc_slice  details;

    memset(op, 0, sizeof(op));
    details = grpc_slice_from_copied_string(text);

    op[0].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op[0].data.send_status_from_server.status = status;
    op[0].data.send_status_from_server.status_details = &details;
    op[1].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op[1].data.recv_close_on_server.cancelled = &cancelled;
    (void) server_batch(c, op, 2);

    grpc_slice_unref(details);
}


static grpc_byte_buffer *
server_headers(server_call_t *c)
{
    char                text[512];
    size_t              i, j, n;
    grpc_slice          s;
    grpc_byte_buffer   *out;
    const char         *names[] = { "authorization", "token", "dbname" };

    n = 0;

    for (j = 0; j < 3; j++) {
        for (i = 0; i < c->headers.count; i++) {
            if (grpc_slice_str_cmp(c->headers.metadata[i].key, names[j])
                == 0)
            {
                s = c->headers.metadata[i].value;
                memcpy(text + n, GRPC_SLICE_START_PTR(s),
                       GRPC_SLICE_LENGTH(s));
                n += GRPC_SLICE_LENGTH(s);
            }
        }

        text[n++] = j < 2 ? '|' : '\0';
    }

    s = grpc_slice_from_copied_string(text);
    out = grpc_raw_byte_buffer_create(&s, 1);
    grpc_slice_unref(s);

    return out;
}


static int
server_is_bye(grpc_byte_buffer *in)
{
    int                       bye;
    grpc_slice                s;
    grpc_byte_buffer_reader   reader;

    grpc_byte_buffer_reader_init(&reader, in);
    s = grpc_byte_buffer_reader_readall(&reader);
    bye = (grpc_slice_str_cmp(s, "bye") == 0);
    grpc_slice_unref(s);
    grpc_byte_buffer_reader_destroy(&reader);

    return bye;
}


static void
server_stream(server_call_t *c)
{
    int                bye;
    grpc_byte_buffer  *in;

    server_start_answer(c);

    for ( ;; ) {
        in = server_read(c);
        if (in == NULL) {
            break;
        }

        bye = server_is_bye(in);

        if (!bye) {
            server_write(c, in);
        }

        grpc_byte_buffer_destroy(in);

        if (bye) {
            break;
        }
    }

    server_end(c, 0, "");
}


static void
server_hang(server_call_t *c)
{
    int      cancelled;
    grpc_op  op;

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &cancelled;

    (void) __atomic_add_fetch(&c->server->hanging, 1, __ATOMIC_SEQ_CST);
    (void) server_batch(c, &op, 1);
    (void) __atomic_add_fetch(&c->server->cancelled, cancelled,
                              __ATOMIC_SEQ_CST);
}


static void
server_answer(server_call_t *c)
{
    int                       status;
    char                      method[128];
    size_t                    n;
    uint8_t                   out[SERVER_ANSWER_MAX];
    grpc_slice                s;
    grpc_byte_buffer         *in, *buf;
    grpc_byte_buffer_reader   reader;

    in = server_read(c);
    grpc_byte_buffer_reader_init(&reader, in);
    s = grpc_byte_buffer_reader_readall(&reader);

    (void) snprintf(method, sizeof(method), "%.*s",
                    (int) GRPC_SLICE_LENGTH(c->details.method),
                    (const char *) GRPC_SLICE_START_PTR(c->details.method));
    n = 0;
    status = c->server->answer(strrchr(method, '/') + 1,
                               GRPC_SLICE_START_PTR(s), GRPC_SLICE_LENGTH(s),
                               out, &n);
    grpc_slice_unref(s);
    grpc_byte_buffer_reader_destroy(&reader);

    server_start_answer(c);

    if (status == 0) {
        s = grpc_slice_from_copied_buffer((const char *) out, n);
        buf = grpc_raw_byte_buffer_create(&s, 1);
        grpc_slice_unref(s);
        server_write(c, buf);
        grpc_byte_buffer_destroy(buf);
    }

    server_end(c, status, status ? "unknown method" : "");
    grpc_byte_buffer_destroy(in);
}


static void *
server_serve(void *data)
{
    server_call_t     *c = data;
    grpc_byte_buffer  *in, *out;

#define IS(name)  (grpc_slice_str_cmp(c->details.method, name) == 0)

    if (c->server->answer != NULL) {
        server_answer(c);

    } else if (IS("/t/Stream")) {
        server_stream(c);

    } else if (IS("/t/Hang")) {
        server_hang(c);

    } else if (IS("/t/Fail")) {
        server_start_answer(c);
        server_end(c, 5, "no such thing");

    } else if (IS("/t/Empty")) {
        server_start_answer(c);
        server_end(c, 0, "");

    } else {
        in = server_read(c);
        out = IS("/t/Headers") ? server_headers(c) : NULL;
        server_start_answer(c);
        server_write(c, out ? out : in);
        server_end(c, 0, "");
        grpc_byte_buffer_destroy(in);
        grpc_byte_buffer_destroy(out);
    }

#undef IS

    grpc_call_details_destroy(&c->details);
    grpc_metadata_array_destroy(&c->headers);
    grpc_call_unref(c->call);

    grpc_completion_queue_shutdown(c->queue);
    (void) server_wait(c->queue);
    grpc_completion_queue_destroy(c->queue);
    (void) __atomic_sub_fetch(&c->server->calls, 1, __ATOMIC_SEQ_CST);
    free(c);

    return NULL;
}


static void *
server_accept(void *data)
{
    server_t        *s = data;
    pthread_t        thread;
    grpc_event       ev;
    server_call_t   *c;

    for ( ;; ) {
        c = calloc(1, sizeof(server_call_t));
        c->server = s;
        c->queue = grpc_completion_queue_create_for_next(NULL);
        grpc_call_details_init(&c->details);
        grpc_metadata_array_init(&c->headers);

        memset(&ev, 0, sizeof(ev));

        if (grpc_server_request_call(s->server, &c->call, &c->details,
                                     &c->headers, c->queue, s->queue, c)
            == GRPC_CALL_OK)
        {
            do {
                ev = grpc_completion_queue_next(s->queue,
                                     gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                     NULL);
            } while (ev.tag != c);       /* the end of the server: NULL */
        }

        if (!ev.success) {
            grpc_call_details_destroy(&c->details);
            grpc_metadata_array_destroy(&c->headers);
            grpc_completion_queue_shutdown(c->queue);
            (void) server_wait(c->queue);
            grpc_completion_queue_destroy(c->queue);
            free(c);
            return NULL;
        }

        (void) __atomic_add_fetch(&s->calls, 1, __ATOMIC_SEQ_CST);
        (void) pthread_create(&thread, NULL, server_serve, c);
        (void) pthread_detach(thread);
    }
}


/* creds NULL: without TLS; port 0: any */

static server_t *
server_start(grpc_server_credentials *creds, int port)
{
    char       address[64];
    server_t  *s;

    s = calloc(1, sizeof(server_t));
    s->queue = grpc_completion_queue_create_for_next(NULL);
    s->server = grpc_server_create(NULL, NULL);
    grpc_server_register_completion_queue(s->server, s->queue, NULL);

    if (creds == NULL) {
        creds = grpc_insecure_server_credentials_create();
    }

    (void) snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    s->port = grpc_server_add_http2_port(s->server, address, creds);
    grpc_server_credentials_release(creds);

    grpc_server_start(s->server);
    (void) pthread_create(&s->thread, NULL, server_accept, s);

    return s;
}


static void
server_stop(server_t *s)
{
    grpc_server_cancel_all_calls(s->server);
    grpc_server_shutdown_and_notify(s->server, s->queue, NULL);
    (void) pthread_join(s->thread, NULL);
    grpc_server_cancel_all_calls(s->server);

    while (__atomic_load_n(&s->calls, __ATOMIC_SEQ_CST) != 0) {
        usleep(1000);
    }

    grpc_completion_queue_shutdown(s->queue);

    while (grpc_completion_queue_next(s->queue,
                                      gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                      NULL).type != GRPC_QUEUE_SHUTDOWN)
    {
        /* drained */
    }

    grpc_server_destroy(s->server);
    grpc_completion_queue_destroy(s->queue);
    free(s);
}


#endif /* GRPC_SERVER_H_INCLUDED */
