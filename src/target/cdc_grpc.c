/*
 * Calls over gRPC's C core.
 *
 * A blocking call has a completion queue of its own and ends on the thread
 * that made it.  All asynchronous calls share one queue and one thread, which
 * only takes the answer out and posts the operation to the loop.
 *
 * A stream has no queue of its own either (cdc_grpc_stream.c): who waits in one
 * polls for all, and its thread would be woken by each answer only to wake this
 * one.  And while nobody waits for the answers, as of an idle task's ticks, all
 * that come within some milliseconds are taken at once: one wake-up here and
 * one of the loop.
 *
 * An operation is in its connection's list from its start until its result
 * has been delivered; cdc_grpc_close() cancels all of them and waits.  An
 * asynchronous one that ends meanwhile is not posted but delivered by close;
 * of one that was posted already, close delivers the result and leaves the
 * empty operation to the post's handler.
 *
 * "unsent" is certain knowledge: gRPC says that it found no connection to
 * give the request to, and no connection has had a part in the call.  A
 * deadline or a cancellation says nothing about it.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdc_grpc_int.h"


#define CDC_GRPC_QUOTA          (64 * 1024 * 1024)   /* what gRPC may hold by
                                          * itself, all connections */
#define CDC_GRPC_NAP_MS         4        /* while nobody is in a hurry: as long
                                          * as a look at RocksMQ may wait */
#define CDC_GRPC_GATHERED       64       /* answers at once, more than a task
                                          * has target channels as a rule */


struct cdc_grpc_op_s {
    cdc_grpc_end_t           end;
    cdc_grpc_op_t           *prev, *next;
    cdc_grpc_t              *g;          /* NULL: delivered by close */

    grpc_call               *call;
    cdc_grpc_headers_t       headers;
    grpc_byte_buffer        *request, *response;
    grpc_metadata_array      initial, trailing;
    grpc_status_code         status;
    grpc_slice               details;

    int                      rc;
    uint8_t                 *answer;
    size_t                   len;
    cdc_grpc_error_t         err;

    cdc_grpc_done_pt         done;       /* NULL: a blocking call */
    void                    *arg;
    cdc_post_t               post;
    unsigned                 ended:1;    /* the fields above are final */
    unsigned                 posted:1;
};


grpc_resource_quota           *cdc_grpc_quota;
grpc_completion_queue         *cdc_grpc_queue;

static cdc_loop_t             *cdc_grpc_loop;
static pthread_t               cdc_grpc_thread;
static int                     cdc_grpc_unhurried;       /* atomic */


static void *cdc_grpc_thread_cycle(void *data);
static void cdc_grpc_post_handler(cdc_post_t *post);
static void cdc_grpc_op_deliver(cdc_grpc_op_t *op);


/* gRPC's own words: its INFO and DEBUG would show headers, secrets too */

static void
cdc_grpc_log(gpr_log_func_args *args)
{
    if (args->severity == GPR_LOG_SEVERITY_ERROR) {
        cdc_log(CDC_LOG_DEBUG, 0, "grpc: %s", args->message);
    }
}


void
cdc_grpc_init(cdc_loop_t *loop)
{
    int       rc;
    sigset_t  all, old;

    (void) unsetenv("GRPC_TRACE");
    (void) unsetenv("GRPC_VERBOSITY");

    gpr_set_log_function(cdc_grpc_log);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);

    /* gRPC's threads are not to take the process's signals */

    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_BLOCK, &all, &old);

    grpc_init();

    cdc_grpc_quota = grpc_resource_quota_create("cdc");
    grpc_resource_quota_resize(cdc_grpc_quota, CDC_GRPC_QUOTA);

    /* without a loop, too: a stream's ends come on that thread */

    cdc_grpc_loop = loop;
    cdc_grpc_queue = grpc_completion_queue_create_for_next(NULL);

    rc = pthread_create(&cdc_grpc_thread, NULL, cdc_grpc_thread_cycle, NULL);
    if (rc != 0) {
        cdc_log(CDC_LOG_ALERT, rc, "pthread_create() failed for gRPC");

        grpc_completion_queue_shutdown(cdc_grpc_queue);
        grpc_completion_queue_destroy(cdc_grpc_queue);
        cdc_grpc_queue = NULL;

    } else {
        (void) pthread_setname_np(cdc_grpc_thread, "grpc-answers");
    }

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
}


void
cdc_grpc_shutdown(void)
{
    if (cdc_grpc_queue != NULL) {
        grpc_completion_queue_shutdown(cdc_grpc_queue);
        (void) pthread_join(cdc_grpc_thread, NULL);
        grpc_completion_queue_destroy(cdc_grpc_queue);
    }

    grpc_resource_quota_unref(cdc_grpc_quota);

    cdc_grpc_queue = NULL;
    cdc_grpc_quota = NULL;
    cdc_grpc_loop = NULL;

    grpc_shutdown_blocking();
}


void
cdc_grpc_error_set(cdc_grpc_error_t *err, int status, const char *text)
{
    err->status = status;
    err->unsent = 1;
    (void) snprintf(err->text, sizeof(err->text), "%s", text);
}


/* the peer is an address once the server, or its connection, has spoken */

static int
cdc_grpc_reached(grpc_call *call)
{
    int    reached;
    char  *peer;

    peer = grpc_call_get_peer(call);
    if (peer == NULL) {
        return 1;
    }

    reached = (strncmp(peer, "ipv4:", 5) == 0
               || strncmp(peer, "ipv6:", 5) == 0);
    gpr_free(peer);

    return reached;
}


static int
cdc_grpc_unsent(const cdc_grpc_error_t *err, grpc_call *call)
{
    size_t  i;

    static const char  *words[] = {
        "failed to connect to all addresses",
        "DNS resolution failed"
    };

    if (err->status != GRPC_STATUS_UNAVAILABLE || cdc_grpc_reached(call)) {
        return 0;
    }

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strncmp(err->text, words[i], strlen(words[i])) == 0) {
            return 1;
        }
    }

    return 0;
}


void
cdc_grpc_error_fill(cdc_grpc_error_t *err, grpc_status_code status,
    grpc_slice details, grpc_call *call)
{
    size_t  n;

    n = GRPC_SLICE_LENGTH(details);
    if (n >= sizeof(err->text)) {
        n = sizeof(err->text) - 1;
    }

    if (n != 0) {
        memcpy(err->text, GRPC_SLICE_START_PTR(details), n);
    }

    err->text[n] = '\0';
    grpc_slice_unref(details);

    err->status = (int) status;
    err->unsent = cdc_grpc_unsent(err, call);
}


/* ---- operations ---------------------------------------------------- */

static void
cdc_grpc_release_chain(void *data)
{
    cdc_chain_unref(data);
}


/* short spans are copied into the slice itself, which is what gRPC does */

static grpc_byte_buffer *
cdc_grpc_request(cdc_chain_t *chain)
{
    size_t             i, n;
    cdc_span_t         span;
    grpc_slice        *slices;
    grpc_byte_buffer  *buffer;

    n = (chain != NULL) ? cdc_chain_count(chain) : 0;

    slices = calloc(n != 0 ? n : 1, sizeof(grpc_slice));
    if (slices == NULL) {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        span = cdc_chain_span(chain, i);

        if (span.len <= GRPC_SLICE_INLINED_SIZE) {
            slices[i] = grpc_slice_from_copied_buffer(
                                          (const char *) span.data, span.len);
            continue;
        }

        cdc_chain_ref(chain);
        slices[i] = grpc_slice_new_with_user_data((void *) span.data,
                                                  span.len,
                                                  cdc_grpc_release_chain,
                                                  chain);
    }

    buffer = grpc_raw_byte_buffer_create(slices, n);

    for (i = 0; i < n; i++) {
        grpc_slice_unref(slices[i]);
    }

    free(slices);

    return buffer;
}


uint8_t *
cdc_grpc_flatten(grpc_byte_buffer *buffer, size_t *len)
{
    size_t                    n, size;
    uint8_t                  *out;
    grpc_slice                slice;
    grpc_byte_buffer_reader   reader;

    if (!grpc_byte_buffer_reader_init(&reader, buffer)) {
        return NULL;
    }

    size = grpc_byte_buffer_length(reader.buffer_out);
    *len = 0;

    out = malloc(size + 1);

    while (out != NULL && grpc_byte_buffer_reader_next(&reader, &slice)) {
        n = GRPC_SLICE_LENGTH(slice);

        if (n != 0 && *len + n <= size) {
            memcpy(out + *len, GRPC_SLICE_START_PTR(slice), n);
            *len += n;
        }

        grpc_slice_unref(slice);
    }

    grpc_byte_buffer_reader_destroy(&reader);

    if (out != NULL) {
        out[*len] = '\0';
    }

    return out;
}


static void
cdc_grpc_op_free(cdc_grpc_op_t *op)
{
    cdc_grpc_headers_free(&op->headers);
    grpc_byte_buffer_destroy(op->request);
    grpc_byte_buffer_destroy(op->response);
    grpc_metadata_array_destroy(&op->initial);
    grpc_metadata_array_destroy(&op->trailing);

    if (op->call != NULL) {
        grpc_call_unref(op->call);
    }

    free(op->answer);
    free(op);
}


static cdc_grpc_op_t *
cdc_grpc_op_create(cdc_grpc_t *g, grpc_completion_queue *queue,
    const char *method, const char *const header[2], cdc_chain_t *request,
    unsigned timeout_ms)
{
    grpc_slice      name;
    gpr_timespec    deadline;
    cdc_grpc_op_t  *op;

    op = calloc(1, sizeof(cdc_grpc_op_t));
    if (op == NULL) {
        return NULL;
    }

    op->g = g;
    grpc_metadata_array_init(&op->initial);
    grpc_metadata_array_init(&op->trailing);
    cdc_grpc_headers_fill(&op->headers, g, header);

    op->request = cdc_grpc_request(request);
    if (op->request == NULL) {
        cdc_grpc_op_free(op);
        return NULL;
    }

    deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);

    if (timeout_ms != 0) {
        deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                gpr_time_from_millis(timeout_ms,
                                                     GPR_TIMESPAN));
    }

    name = grpc_slice_from_copied_string(method);
    op->call = grpc_channel_create_call(g->channel, NULL,
                                        GRPC_PROPAGATE_DEFAULTS, queue, name,
                                        NULL, deadline, NULL);
    grpc_slice_unref(name);

    return op;
}


static int
cdc_grpc_op_batch(cdc_grpc_op_t *op)
{
    grpc_op          ops[6];
    grpc_call_error  rc;

    memset(ops, 0, sizeof(ops));

    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.count = op->headers.n;
    ops[0].data.send_initial_metadata.metadata = op->headers.data;

    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = op->request;

    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;

    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &op->initial;

    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &op->response;

    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &op->trailing;
    ops[5].data.recv_status_on_client.status = &op->status;
    ops[5].data.recv_status_on_client.status_details = &op->details;

    rc = grpc_call_start_batch(op->call, ops, 6, &op->end, NULL);
    if (rc != GRPC_CALL_OK) {
        cdc_log(CDC_LOG_ALERT, 0, "grpc_call_start_batch() failed (%d)",
                (int) rc);
        return CDC_ERROR;
    }

    return CDC_OK;
}


/* adds to the list and starts, so that close() sees it or it sees close() */

static int
cdc_grpc_op_start(cdc_grpc_op_t *op)
{
    int          rc;
    cdc_grpc_t  *g;

    g = op->g;
    rc = CDC_ERROR;

    (void) pthread_mutex_lock(&g->mutex);

    if (!g->closing) {
        rc = cdc_grpc_op_batch(op);
    }

    if (rc == CDC_OK) {
        op->next = g->ops;

        if (g->ops != NULL) {
            g->ops->prev = op;
        }

        g->ops = op;
    }

    (void) pthread_mutex_unlock(&g->mutex);

    return rc;
}


/* under the mutex */

static void
cdc_grpc_op_unlink(cdc_grpc_op_t *op)
{
    if (op->prev != NULL) {
        op->prev->next = op->next;

    } else {
        op->g->ops = op->next;
    }

    if (op->next != NULL) {
        op->next->prev = op->prev;
    }

    op->prev = NULL;
    op->next = NULL;
}


static void
cdc_grpc_op_finish(cdc_grpc_op_t *op)
{
    cdc_grpc_error_fill(&op->err, op->status, op->details, op->call);
    op->rc = CDC_ERROR;

    if (op->status != GRPC_STATUS_OK) {
        return;
    }

    if (op->response != NULL) {
        op->answer = cdc_grpc_flatten(op->response, &op->len);
    }

    if (op->answer == NULL) {
        op->err.status = GRPC_STATUS_INTERNAL;
        (void) snprintf(op->err.text, sizeof(op->err.text),
                        "the server's answer holds no message");
        return;
    }

    op->rc = CDC_OK;
}


int
cdc_grpc_call(cdc_grpc_t *g, const char *method, cdc_chain_t *request,
    unsigned timeout_ms, uint8_t **answer, size_t *len, cdc_grpc_error_t *err)
{
    return cdc_grpc_call_with(g, method, NULL, request, timeout_ms, answer,
                              len, err);
}


int
cdc_grpc_call_with(cdc_grpc_t *g, const char *method,
    const char *const header[2], cdc_chain_t *request, unsigned timeout_ms,
    uint8_t **answer, size_t *len, cdc_grpc_error_t *err)
{
    int                     rc;
    cdc_grpc_op_t          *op;
    grpc_completion_queue  *queue;

    rc = CDC_ERROR;
    queue = grpc_completion_queue_create_for_next(NULL);

    op = cdc_grpc_op_create(g, queue, method, header, request, timeout_ms);
    if (op == NULL) {
        cdc_grpc_error_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory");
        goto done;
    }

    if (cdc_grpc_op_start(op) != CDC_OK) {
        cdc_grpc_error_set(err, GRPC_STATUS_CANCELLED,
                           "the connection is being closed");
        cdc_grpc_op_free(op);
        goto done;
    }

    (void) grpc_completion_queue_next(queue,
                                      gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                      NULL);
    cdc_grpc_op_finish(op);

    rc = op->rc;
    *err = op->err;

    if (rc == CDC_OK) {
        *answer = op->answer;
        *len = op->len;
        op->answer = NULL;
    }

    /* close() may free g as soon as it sees this */

    (void) pthread_mutex_lock(&g->mutex);
    cdc_grpc_op_unlink(op);
    (void) pthread_cond_signal(&g->done);
    (void) pthread_mutex_unlock(&g->mutex);

    cdc_grpc_op_free(op);

done:

    grpc_completion_queue_shutdown(queue);

    while (grpc_completion_queue_next(queue,
                                      gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                      NULL).type != GRPC_QUEUE_SHUTDOWN)
    {
        /* drained */
    }

    grpc_completion_queue_destroy(queue);

    return rc;
}


int
cdc_grpc_send(cdc_grpc_t *g, const char *method, cdc_chain_t *request,
    unsigned timeout_ms, cdc_grpc_done_pt done, void *arg)
{
    cdc_grpc_op_t  *op;

    if (cdc_grpc_queue == NULL || cdc_grpc_loop == NULL) {
        return CDC_ERROR;
    }

    op = cdc_grpc_op_create(g, cdc_grpc_queue, method, NULL, request,
                            timeout_ms);
    if (op == NULL) {
        return CDC_ERROR;
    }

    op->done = done;
    op->arg = arg;
    op->post.handler = cdc_grpc_post_handler;
    op->post.data = op;

    if (cdc_grpc_op_start(op) != CDC_OK) {
        cdc_grpc_op_free(op);
        return CDC_ERROR;
    }

    return CDC_OK;
}


void
cdc_grpc_idle(int idle)
{
    __atomic_store_n(&cdc_grpc_unhurried, idle, __ATOMIC_RELAXED);
}


/* of streams the ends are taken on the way.  NULL: not until the deadline; or
 * the queue is shut down */

static cdc_grpc_op_t *
cdc_grpc_next(gpr_timespec deadline)
{
    grpc_event       ev;
    cdc_grpc_end_t  *end;

    for ( ;; ) {
        ev = grpc_completion_queue_next(cdc_grpc_queue, deadline, NULL);

        if (ev.type != GRPC_OP_COMPLETE) {
            return NULL;
        }

        end = ev.tag;

        if (end->handler == NULL) {
            return (cdc_grpc_op_t *) end;        /* its first member */
        }

        end->handler(end, ev.success);
    }
}


static void
cdc_grpc_answered(cdc_grpc_op_t *op)
{
    cdc_grpc_t  *g;

    g = op->g;

    cdc_grpc_op_finish(op);

    (void) pthread_mutex_lock(&g->mutex);

    op->ended = 1;

    if (g->closing) {
        (void) pthread_cond_signal(&g->done);

    } else {
        op->posted = 1;
        cdc_loop_post(cdc_grpc_loop, &op->post);
    }

    (void) pthread_mutex_unlock(&g->mutex);
}


static void *
cdc_grpc_thread_cycle(void *data)
{
    size_t           i, n;
    gpr_timespec     until;
    cdc_grpc_op_t   *op, *ops[CDC_GRPC_GATHERED];
    struct timespec  nap;

    nap.tv_sec = 0;
    nap.tv_nsec = CDC_GRPC_NAP_MS * 1000000;

    do {
        n = 0;
        until = gpr_inf_future(GPR_CLOCK_MONOTONIC);

        while (n < CDC_GRPC_GATHERED && (op = cdc_grpc_next(until)) != NULL) {
            ops[n++] = op;

            if (!__atomic_load_n(&cdc_grpc_unhurried, __ATOMIC_RELAXED)) {
                break;
            }

            if (n == 1) {
                (void) nanosleep(&nap, NULL);
                until = gpr_inf_past(GPR_CLOCK_MONOTONIC);
            }
        }

        for (i = 0; i < n; i++) {
            cdc_grpc_answered(ops[i]);
        }

    } while (n > 0);

    return NULL;
}


/* runs done(), after which g may be gone */

static void
cdc_grpc_op_deliver(cdc_grpc_op_t *op)
{
    cdc_grpc_t  *g;

    g = op->g;

    (void) pthread_mutex_lock(&g->mutex);
    cdc_grpc_op_unlink(op);
    op->g = NULL;
    (void) pthread_mutex_unlock(&g->mutex);

    op->done(op->arg, op->rc, cdc_span_n(op->answer, op->len), &op->err);
}


static void
cdc_grpc_post_handler(cdc_post_t *post)
{
    cdc_grpc_op_t  *op;

    op = post->data;

    if (op->g != NULL) {
        cdc_grpc_op_deliver(op);
    }

    cdc_grpc_op_free(op);
}


void
cdc_grpc_close(cdc_grpc_t *g)
{
    int             posted;
    cdc_grpc_op_t  *op;

    (void) pthread_mutex_lock(&g->mutex);

    g->closing = 1;

    for (op = g->ops; op != NULL; op = op->next) {
        (void) grpc_call_cancel(op->call, NULL);
    }

    while (g->ops != NULL) {
        for (op = g->ops; op != NULL && !op->ended; op = op->next) {
            /* one that has ended; blocking ones unlink themselves */
        }

        if (op == NULL) {
            (void) pthread_cond_wait(&g->done, &g->mutex);
            continue;
        }

        posted = op->posted;
        (void) pthread_mutex_unlock(&g->mutex);

        cdc_grpc_op_deliver(op);

        if (!posted) {
            cdc_grpc_op_free(op);
        }

        (void) pthread_mutex_lock(&g->mutex);
    }

    (void) pthread_mutex_unlock(&g->mutex);

    cdc_grpc_free(g);
}
