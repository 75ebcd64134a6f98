/*
 * A two-way stream, for a thread of its own.
 *
 * Four operations, each with its tag: headers out, headers in, status in, one
 * write and one read at a time.  All their ends come from the stream's own
 * queue and are noted in "pending"; whoever waits, waits for a bit of it to
 * go, and may meet the end of another one meanwhile.  A read that timed out
 * goes on; read() starts one only when the former has been taken ("reading").
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_grpc_int.h"


#define CDC_GRPC_WRITE_MS  30000

enum {
    CDC_GRPC_OPENED = 1,
    CDC_GRPC_HEADERS = 2,
    CDC_GRPC_STATUS = 4,
    CDC_GRPC_WRITE = 8,
    CDC_GRPC_READ = 16
};


struct cdc_grpc_stream_s {
    grpc_call               *call;
    grpc_completion_queue   *queue;
    cdc_grpc_headers_t       headers;
    grpc_metadata_array      initial, trailing;
    grpc_byte_buffer        *out, *in;
    grpc_status_code         status;
    grpc_slice               details;
    cdc_grpc_error_t         err;        /* valid once STATUS has come */
    unsigned                 pending;
    unsigned                 failed;     /* of those that have ended */
    unsigned                 reading:1;  /* started, and not taken yet */
};


static int
cdc_grpc_stream_start(cdc_grpc_stream_t *s, const grpc_op *ops, size_t n,
    unsigned tag)
{
    grpc_call_error  rc;

    rc = grpc_call_start_batch(s->call, ops, n, (void *) (uintptr_t) tag,
                               NULL);
    if (rc != GRPC_CALL_OK) {
        cdc_log(CDC_LOG_ALERT, 0, "grpc_call_start_batch() failed (%d)",
                (int) rc);
        return CDC_ERROR;
    }

    s->pending |= tag;
    s->failed &= ~tag;

    return CDC_OK;
}


/* until "tag" has ended; CDC_AGAIN: the time is over */

static int
cdc_grpc_stream_wait(cdc_grpc_stream_t *s, unsigned tag,
    gpr_timespec deadline)
{
    unsigned    ended;
    grpc_event  ev;

    while (s->pending & tag) {
        ev = grpc_completion_queue_next(s->queue, deadline, NULL);

        if (ev.type != GRPC_OP_COMPLETE) {
            return CDC_AGAIN;
        }

        ended = (unsigned) (uintptr_t) ev.tag;
        s->pending &= ~ended;

        if (!ev.success) {
            s->failed |= ended;
        }

        if (ended == CDC_GRPC_STATUS) {
            cdc_grpc_error_fill(&s->err, s->status, s->details, s->call);
        }
    }

    return CDC_OK;
}


static gpr_timespec
cdc_grpc_stream_deadline(unsigned ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis(ms, GPR_TIMESPAN));
}


/* the stream is over: what the server, or the connection, said */

static int
cdc_grpc_stream_ended(cdc_grpc_stream_t *s, cdc_grpc_error_t *err)
{
    (void) cdc_grpc_stream_wait(s, CDC_GRPC_STATUS,
                                gpr_inf_future(GPR_CLOCK_MONOTONIC));
    *err = s->err;

    return CDC_ERROR;
}


cdc_grpc_stream_t *
cdc_grpc_stream_open(cdc_grpc_t *g, const char *method, cdc_grpc_error_t *err)
{
    grpc_op             op;
    grpc_slice          name;
    cdc_grpc_stream_t  *s;

    s = calloc(1, sizeof(cdc_grpc_stream_t));
    if (s == NULL) {
        cdc_grpc_error_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory");
        return NULL;
    }

    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    cdc_grpc_headers_fill(&s->headers, g, NULL);

    s->queue = grpc_completion_queue_create_for_next(NULL);

    name = grpc_slice_from_copied_string(method);
    s->call = grpc_channel_create_call(g->channel, NULL,
                                       GRPC_PROPAGATE_DEFAULTS, s->queue,
                                       name, NULL,
                                       gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                       NULL);
    grpc_slice_unref(name);

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_INITIAL_METADATA;
    op.data.send_initial_metadata.count = s->headers.n;
    op.data.send_initial_metadata.metadata = s->headers.data;

    if (cdc_grpc_stream_start(s, &op, 1, CDC_GRPC_OPENED) != CDC_OK) {
        goto failed;
    }

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_INITIAL_METADATA;
    op.data.recv_initial_metadata.recv_initial_metadata = &s->initial;

    if (cdc_grpc_stream_start(s, &op, 1, CDC_GRPC_HEADERS) != CDC_OK) {
        goto failed;
    }

    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &s->trailing;
    op.data.recv_status_on_client.status = &s->status;
    op.data.recv_status_on_client.status_details = &s->details;

    if (cdc_grpc_stream_start(s, &op, 1, CDC_GRPC_STATUS) != CDC_OK) {
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

    rc = cdc_grpc_stream_wait(s, CDC_GRPC_WRITE,
                              cdc_grpc_stream_deadline(CDC_GRPC_WRITE_MS));
    if (rc != CDC_OK) {
        goto late;
    }

    if (!(s->pending & CDC_GRPC_STATUS)) {
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

    if (cdc_grpc_stream_start(s, &op, 1, CDC_GRPC_WRITE) != CDC_OK) {
        cdc_grpc_error_set(err, GRPC_STATUS_INTERNAL,
                           "gRPC refused the message");
        return CDC_ERROR;
    }

    rc = cdc_grpc_stream_wait(s, CDC_GRPC_WRITE,
                              cdc_grpc_stream_deadline(CDC_GRPC_WRITE_MS));
    if (rc != CDC_OK) {
        goto late;
    }

    if (s->failed & CDC_GRPC_WRITE) {
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

        if (cdc_grpc_stream_start(s, &op, 1, CDC_GRPC_READ) != CDC_OK) {
            cdc_grpc_error_set(err, GRPC_STATUS_INTERNAL,
                               "gRPC refused to read");
            return CDC_ERROR;
        }

        s->reading = 1;
    }

    if (cdc_grpc_stream_wait(s, CDC_GRPC_READ,
                             cdc_grpc_stream_deadline(timeout_ms))
        != CDC_OK)
    {
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

    (void) cdc_grpc_stream_wait(s, ~0u, gpr_inf_future(GPR_CLOCK_MONOTONIC));

    grpc_byte_buffer_destroy(s->out);
    grpc_byte_buffer_destroy(s->in);
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    cdc_grpc_headers_free(&s->headers);
    grpc_call_unref(s->call);

    grpc_completion_queue_shutdown(s->queue);

    while (grpc_completion_queue_next(s->queue,
                                      gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                      NULL).type != GRPC_QUEUE_SHUTDOWN)
    {
        /* drained */
    }

    grpc_completion_queue_destroy(s->queue);
    free(s);
}
