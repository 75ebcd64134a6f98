/*
 * A two-way stream, for a thread of its own.
 *
 * Four operations, each with its tag: headers out, headers in, status in, one
 * write and one read at a time.  Their ends come on the thread that takes all
 * answers and are noted in "pending"; who waits, waits for a bit of it to go.
 * A read that timed out goes on; read() starts one only when the former has
 * been taken ("reading").
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_grpc_int.h"


#define CDC_GRPC_WRITE_MS  30000         /* who takes no small request for so
                                          * long is gone */
#define CDC_GRPC_FOR_EVER  (~0u)

enum {
    CDC_GRPC_OPENED = 1,
    CDC_GRPC_HEADERS = 2,
    CDC_GRPC_STATUS = 4,
    CDC_GRPC_WRITE = 8,
    CDC_GRPC_READ = 16
};

#define CDC_GRPC_TAGS      5             /* of these */


typedef struct {
    cdc_grpc_end_t           end;
    cdc_grpc_stream_t       *stream;
} cdc_grpc_stream_end_t;


struct cdc_grpc_stream_s {
    grpc_call               *call;
    cdc_grpc_stream_end_t    ends[CDC_GRPC_TAGS];
    cdc_grpc_headers_t       headers;
    grpc_metadata_array      initial, trailing;
    grpc_byte_buffer        *out, *in;
    grpc_status_code         status;
    grpc_slice               details;
    unsigned                 reading:1;  /* started, and not taken yet */

    pthread_mutex_t          mutex;      /* what follows */
    pthread_cond_t           ended;
    cdc_grpc_error_t         err;        /* valid once STATUS has come */
    unsigned                 pending;
    unsigned                 failed;     /* of those that have ended */
};


/* the thread of the queue */

static void
cdc_grpc_stream_end(cdc_grpc_end_t *e, int success)
{
    unsigned                tag;
    cdc_grpc_stream_t      *s;
    cdc_grpc_stream_end_t  *end;

    end = (cdc_grpc_stream_end_t *) e;   /* its first member */
    s = end->stream;
    tag = 1u << (end - s->ends);

    (void) pthread_mutex_lock(&s->mutex);

    s->pending &= ~tag;

    if (!success) {
        s->failed |= tag;
    }

    if (tag == CDC_GRPC_STATUS) {
        cdc_grpc_error_fill(&s->err, s->status, s->details, s->call);
    }

    (void) pthread_cond_signal(&s->ended);
    (void) pthread_mutex_unlock(&s->mutex);
}


static int
cdc_grpc_stream_start(cdc_grpc_stream_t *s, const grpc_op *op, unsigned tag)
{
    grpc_call_error  rc;

    (void) pthread_mutex_lock(&s->mutex);

    s->pending |= tag;
    s->failed &= ~tag;

    (void) pthread_mutex_unlock(&s->mutex);

    rc = grpc_call_start_batch(s->call, op, 1, &s->ends[ffs((int) tag) - 1],
                               NULL);
    if (rc == GRPC_CALL_OK) {
        return CDC_OK;
    }

    (void) pthread_mutex_lock(&s->mutex);
    s->pending &= ~tag;
    (void) pthread_mutex_unlock(&s->mutex);

    cdc_log(CDC_LOG_ALERT, 0, "grpc_call_start_batch() failed (%d)",
            (int) rc);

    return CDC_ERROR;
}


/* until all of "tags" have ended; CDC_AGAIN: the time is over */

static int
cdc_grpc_stream_wait(cdc_grpc_stream_t *s, unsigned tags, unsigned ms)
{
    int              rc;
    struct timespec  until;

    until = cdc_deadline(ms);

    rc = 0;

    (void) pthread_mutex_lock(&s->mutex);

    while (s->pending & tags && rc != ETIMEDOUT) {
        rc = ms == CDC_GRPC_FOR_EVER
             ? pthread_cond_wait(&s->ended, &s->mutex)
             : pthread_cond_timedwait(&s->ended, &s->mutex, &until);
    }

    rc = s->pending & tags ? CDC_AGAIN : CDC_OK;

    (void) pthread_mutex_unlock(&s->mutex);

    return rc;
}


static int
cdc_grpc_stream_failed(cdc_grpc_stream_t *s, unsigned tag)
{
    int  failed;

    (void) pthread_mutex_lock(&s->mutex);
    failed = (s->failed & tag) != 0;
    (void) pthread_mutex_unlock(&s->mutex);

    return failed;
}


/* the stream is over: what the server, or the connection, said */

static int
cdc_grpc_stream_ended(cdc_grpc_stream_t *s, cdc_grpc_error_t *err)
{
    (void) cdc_grpc_stream_wait(s, CDC_GRPC_STATUS, CDC_GRPC_FOR_EVER);
    *err = s->err;

    return CDC_ERROR;
}


cdc_grpc_stream_t *
cdc_grpc_stream_open(cdc_grpc_t *g, const char *method, cdc_grpc_error_t *err)
{
    grpc_op             op;
    grpc_slice          name;
    unsigned            i;
    pthread_condattr_t  attr;
    cdc_grpc_stream_t  *s;

    s = cdc_grpc_queue ? calloc(1, sizeof(cdc_grpc_stream_t)) : NULL;
    if (s == NULL) {
        cdc_grpc_error_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED,
                           "no memory or no thread");
        return NULL;
    }

    for (i = 0; i < CDC_GRPC_TAGS; i++) {
        s->ends[i].end.handler = cdc_grpc_stream_end;
        s->ends[i].stream = s;
    }

    (void) pthread_mutex_init(&s->mutex, NULL);
    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&s->ended, &attr);
    (void) pthread_condattr_destroy(&attr);

    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    cdc_grpc_headers_fill(&s->headers, g, NULL);

    name = grpc_slice_from_copied_string(method);
    s->call = grpc_channel_create_call(g->channel, NULL,
                                       GRPC_PROPAGATE_DEFAULTS, cdc_grpc_queue,
                                       name, NULL,
                                       gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                       NULL);
    grpc_slice_unref(name);

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_INITIAL_METADATA;
    op.data.send_initial_metadata.count = s->headers.n;
    op.data.send_initial_metadata.metadata = s->headers.data;

    if (cdc_grpc_stream_start(s, &op, CDC_GRPC_OPENED) != CDC_OK) {
        goto failed;
    }

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_INITIAL_METADATA;
    op.data.recv_initial_metadata.recv_initial_metadata = &s->initial;

    if (cdc_grpc_stream_start(s, &op, CDC_GRPC_HEADERS) != CDC_OK) {
        goto failed;
    }

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &s->trailing;
    op.data.recv_status_on_client.status = &s->status;
    op.data.recv_status_on_client.status_details = &s->details;

    if (cdc_grpc_stream_start(s, &op, CDC_GRPC_STATUS) != CDC_OK) {
        goto failed;
    }

    return s;

failed:

    cdc_grpc_error_set(err, GRPC_STATUS_INTERNAL, "gRPC refused the stream");
    cdc_grpc_stream_close(s);

    return NULL;
}


int
cdc_grpc_stream_write(cdc_grpc_stream_t *s, cdc_span_t message,
    cdc_grpc_error_t *err)
{
    int         rc;
    grpc_op     op;
    grpc_slice  slice;

    /* one at a time: the former may be late, never lost */

    rc = cdc_grpc_stream_wait(s, CDC_GRPC_WRITE, CDC_GRPC_WRITE_MS);
    if (rc != CDC_OK) {
        goto late;
    }

    if (cdc_grpc_stream_wait(s, CDC_GRPC_STATUS, 0) == CDC_OK) {
        return cdc_grpc_stream_ended(s, err);
    }

    grpc_byte_buffer_destroy(s->out);

    slice = grpc_slice_from_copied_buffer((const char *) message.data,
                                          message.len);
    s->out = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = s->out;

    if (cdc_grpc_stream_start(s, &op, CDC_GRPC_WRITE) != CDC_OK) {
        cdc_grpc_error_set(err, GRPC_STATUS_INTERNAL,
                           "gRPC refused the message");
        return CDC_ERROR;
    }

    rc = cdc_grpc_stream_wait(s, CDC_GRPC_WRITE, CDC_GRPC_WRITE_MS);
    if (rc != CDC_OK) {
        goto late;
    }

    if (cdc_grpc_stream_failed(s, CDC_GRPC_WRITE)) {
        return cdc_grpc_stream_ended(s, err);
    }

    return CDC_OK;

late:

    cdc_grpc_error_set(err, GRPC_STATUS_DEADLINE_EXCEEDED,
                       "the server does not take the message");
    err->unsent = 0;

    return CDC_ERROR;
}


int
cdc_grpc_stream_read(cdc_grpc_stream_t *s, unsigned timeout_ms,
    uint8_t **message, size_t *len, cdc_grpc_error_t *err)
{
    grpc_op  op;

    if (!s->reading) {
        memset(&op, 0, sizeof(op));
        op.op = GRPC_OP_RECV_MESSAGE;
        op.data.recv_message.recv_message = &s->in;

        if (cdc_grpc_stream_start(s, &op, CDC_GRPC_READ) != CDC_OK) {
            cdc_grpc_error_set(err, GRPC_STATUS_INTERNAL,
                               "gRPC refused to read");
            return CDC_ERROR;
        }

        s->reading = 1;
    }

    if (cdc_grpc_stream_wait(s, CDC_GRPC_READ, timeout_ms) != CDC_OK) {
        return CDC_AGAIN;
    }

    s->reading = 0;

    if (s->in == NULL) {
        return cdc_grpc_stream_ended(s, err);
    }

    *message = cdc_grpc_flatten(s->in, len);

    grpc_byte_buffer_destroy(s->in);
    s->in = NULL;

    if (*message == NULL) {
        cdc_grpc_error_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory");
        err->unsent = 0;
        return CDC_ERROR;
    }

    return CDC_OK;
}


void
cdc_grpc_stream_cancel(cdc_grpc_stream_t *s)
{
    (void) grpc_call_cancel(s->call, NULL);
}


void
cdc_grpc_stream_close(cdc_grpc_stream_t *s)
{
    cdc_grpc_stream_cancel(s);

    (void) cdc_grpc_stream_wait(s, ~0u, CDC_GRPC_FOR_EVER);

    grpc_byte_buffer_destroy(s->out);
    grpc_byte_buffer_destroy(s->in);
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    cdc_grpc_headers_free(&s->headers);
    grpc_call_unref(s->call);

    (void) pthread_cond_destroy(&s->ended);
    (void) pthread_mutex_destroy(&s->mutex);
    free(s);
}
