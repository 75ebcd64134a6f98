/*
 *     null-target [-p PORT] [-c CHANNELS] [-t THREADS] [-d MS] [-D]
 *
 * listens on 127.0.0.1, says "port N" and takes commands, a line each.  It
 * says that it is standalone, with -D that it is distributed.
 *
 *     stats               what came so far, as JSON
 *     wait ROWS SECONDS   the same, as soon as so many rows came
 *     trace               "time type timestamp rows" of each message, then "."
 *     delay MS            before each answer to a ReplicateMessage
 *     record PATH         keeps the requests from now on; without PATH: no more
 *     forget              the counts
 *     reset               forgets collections and counts
 *
 * The end of its input is its end.  Times are seconds of CLOCK_MONOTONIC.
 *
 * A call is one object that goes round: asked for, read, answered.  Its only
 * pending batch is its tag, so any thread may take the next step.
 */

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "null_target.h"


#define NULL_THREADS_MAX  64


typedef struct null_call_s  null_server_call_t;

typedef enum {
    NULL_ASKED = 0,
    NULL_READ,
    NULL_ANSWERED
} null_state_e;

struct null_call_s {
    null_state_e          state;
    grpc_call            *call;
    grpc_call_details     details;
    grpc_metadata_array   headers;
    grpc_byte_buffer     *in, *out;
    int                   cancelled;
};


static grpc_server            *null_server;
static grpc_completion_queue  *null_queue;
static int                     null_delay;   /* ms; atomic */


static void
null_ask(void)
{
    null_server_call_t  *c;

    c = calloc(1, sizeof(null_server_call_t));
    if (c == NULL) {
        abort();
    }

    grpc_call_details_init(&c->details);
    grpc_metadata_array_init(&c->headers);

    if (grpc_server_request_call(null_server, &c->call, &c->details,
                                 &c->headers, null_queue, null_queue, c)
        != GRPC_CALL_OK)
    {
        abort();
    }
}


static void
null_free_call(null_server_call_t *c)
{
    grpc_call_details_destroy(&c->details);
    grpc_metadata_array_destroy(&c->headers);
    grpc_byte_buffer_destroy(c->in);
    grpc_byte_buffer_destroy(c->out);

    if (c->call) {
        grpc_call_unref(c->call);
    }

    free(c);
}


static void
null_batch(null_server_call_t *c, const grpc_op *ops, size_t n)
{
    if (grpc_call_start_batch(c->call, ops, n, c, NULL) != GRPC_CALL_OK) {
        abort();
    }
}


static void
null_read(null_server_call_t *c)
{
    grpc_op  ops[2];

    memset(ops, 0, sizeof(ops));
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_RECV_MESSAGE;
    ops[1].data.recv_message.recv_message = &c->in;

    c->state = NULL_READ;
    null_batch(c, ops, 2);
}


static grpc_byte_buffer *
null_bytes(const void *data, size_t len)
{
    grpc_slice         slice;
    grpc_byte_buffer  *buffer;

    slice = grpc_slice_from_copied_buffer(data, len);
    buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);

    return buffer;
}


/* ReplicateMessageResponse: all is well, or Status 1100 */

static grpc_byte_buffer *
null_replicate(null_server_call_t *c)
{
    int              delay;
    struct timespec  ts;

    static const char  refused[] = "\x0a\x14\x08\x05\x12\x0dno channel...\x18"
                                   "\xcc\x08";

    if (null_count_request(c->in) != 0) {
        return null_bytes(refused, sizeof(refused) - 1);
    }

    null_record_request(c->in);
    delay = __atomic_load_n(&null_delay, __ATOMIC_RELAXED);

    if (delay > 0) {
        ts.tv_sec = delay / 1000;
        ts.tv_nsec = (long) (delay % 1000) * 1000000;
        (void) nanosleep(&ts, NULL);
    }

    return null_bytes("", 0);
}


static grpc_byte_buffer *
null_other(null_server_call_t *c, const char *method)
{
    size_t                    len;
    uint8_t                  *flat;
    grpc_slice                slice;
    cdc_chain_t              *answer;
    grpc_byte_buffer         *out;
    grpc_byte_buffer_reader   reader;

    if (!grpc_byte_buffer_reader_init(&reader, c->in)) {
        abort();
    }

    slice = grpc_byte_buffer_reader_readall(&reader);
    answer = null_calls_answer(method,
                               cdc_span_n(GRPC_SLICE_START_PTR(slice),
                                          GRPC_SLICE_LENGTH(slice)));
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);

    flat = cdc_chain_flatten(answer, &len);
    if (flat == NULL) {
        abort();
    }

    out = null_bytes(flat, len);
    free(flat);
    cdc_chain_unref(answer);

    return out;
}


static void
null_answer(null_server_call_t *c)
{
    char         path[256], *method;
    grpc_op      ops[3];
    grpc_slice   details;

    (void) snprintf(path, sizeof(path), "%.*s",
                    (int) GRPC_SLICE_LENGTH(c->details.method),
                    (const char *) GRPC_SLICE_START_PTR(c->details.method));

    method = strrchr(path, '/');
    method = method ? method + 1 : path;

    c->out = strcmp(method, "ReplicateMessage") == 0
             ? null_replicate(c) : null_other(c, method);

    memset(ops, 0, sizeof(ops));
    details = grpc_empty_slice();
    ops[0].op = GRPC_OP_SEND_MESSAGE;
    ops[0].data.send_message.send_message = c->out;
    ops[1].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[1].data.send_status_from_server.status = GRPC_STATUS_OK;
    ops[1].data.send_status_from_server.status_details = &details;
    ops[2].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[2].data.recv_close_on_server.cancelled = &c->cancelled;

    c->state = NULL_ANSWERED;
    null_batch(c, ops, 3);
}


static void *
null_serve(void *data)
{
    grpc_event           ev;
    null_server_call_t  *c;

    for ( ;; ) {
        ev = grpc_completion_queue_next(null_queue,
                                        gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                        NULL);
        c = ev.tag;

        if (c->state == NULL_ASKED && ev.success) {
            null_ask();
            null_read(c);

        } else if (c->state == NULL_READ && ev.success && c->in) {
            null_answer(c);

        } else if (c->state == NULL_READ) {
            grpc_call_cancel(c->call, NULL);
            null_free_call(c);

        } else {
            null_free_call(c);
        }
    }

    return data;
}


/* ---- commands --- */

static void
null_print(null_count_t n)
{
    (void) printf("{\"rows\": %llu, \"deletes\": %llu, \"bytes\": %llu, "
                  "\"requests\": %llu, \"messages\": %llu, \"ticks\": %llu, "
                  "\"first_request\": %.6f, \"last_request\": %.6f, "
                  "\"first_rows\": %.6f, \"last_rows\": %.6f}\n",
                  (unsigned long long) n.rows,
                  (unsigned long long) n.deletes,
                  (unsigned long long) n.bytes,
                  (unsigned long long) n.requests,
                  (unsigned long long) n.messages,
                  (unsigned long long) n.ticks,
                  n.first_request, n.last_request, n.first_rows,
                  n.last_rows);
}


static void
null_command(const char *line)
{
    int                 ms;
    char                path[256];
    double              seconds;
    unsigned long long  rows;

    if (strncmp(line, "stats", 5) == 0) {
        null_print(null_count_get());

    } else if (sscanf(line, "wait %llu %lf", &rows, &seconds) == 2) {
        null_print(null_count_wait(rows, seconds));

    } else if (strncmp(line, "trace", 5) == 0) {
        null_count_print_trace();
        (void) printf(".\n");

    } else if (sscanf(line, "delay %d", &ms) == 1) {
        __atomic_store_n(&null_delay, ms, __ATOMIC_RELAXED);
        (void) printf("ok\n");

    } else if (strncmp(line, "record", 6) == 0) {
        (void) printf("%s\n", null_record(sscanf(line, "record %255s", path)
                                          == 1 ? path : NULL) == 0
                              ? "ok" : "failed");

    } else if (strncmp(line, "forget", 6) == 0) {
        null_count_reset();
        (void) printf("ok\n");

    } else if (strncmp(line, "reset", 5) == 0) {
        null_calls_reset();
        null_count_reset();
        (void) printf("ok\n");

    } else {
        (void) printf("what is \"%.*s\"?\n", (int) strcspn(line, "\n"), line);
    }

    (void) fflush(stdout);
}


static int
null_listen(int port)
{
    char                      address[64];
    grpc_arg                  arg[2];
    grpc_channel_args         args;
    grpc_server_credentials  *creds;

    memset(arg, 0, sizeof(arg));
    arg[0].type = GRPC_ARG_INTEGER;
    arg[0].key = (char *) GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH;
    arg[0].value.integer = -1;
    arg[1].type = GRPC_ARG_INTEGER;
    arg[1].key = (char *) GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS;
    arg[1].value.integer = 1000;
    args.num_args = 2;
    args.args = arg;

    null_queue = grpc_completion_queue_create_for_next(NULL);
    null_server = grpc_server_create(&args, NULL);
    grpc_server_register_completion_queue(null_server, null_queue, NULL);

    (void) snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    creds = grpc_insecure_server_credentials_create();
    port = grpc_server_add_http2_port(null_server, address, creds);
    grpc_server_credentials_release(creds);

    if (port != 0) {
        grpc_server_start(null_server);
    }

    return port;
}


int
main(int argc, char **argv)
{
    int        opt, port, channels, threads;
    char       line[256];
    pthread_t  thread;

    port = 0;
    channels = 16;
    threads = 2;

    while ((opt = getopt(argc, argv, "p:c:t:d:D")) != -1) {
        switch (opt) {

        case 'p':
            port = atoi(optarg);
            break;

        case 'c':
            channels = atoi(optarg);
            break;

        case 't':
            threads = atoi(optarg);
            break;

        case 'd':
            null_delay = atoi(optarg);
            break;

        case 'D':
            null_calls_distributed(1);
            break;

        default:
            return 2;
        }
    }

    if (channels < 1 || threads < 1 || threads > NULL_THREADS_MAX) {
        (void) fprintf(stderr, "null-target: nonsense was given\n");
        return 2;
    }

    grpc_init();
    null_calls_init((unsigned) channels);
    port = null_listen(port);

    if (port == 0) {
        (void) fprintf(stderr, "null-target: the port is not free\n");
        return 1;
    }

    while (threads-- > 0) {
        null_ask();

        if (pthread_create(&thread, NULL, null_serve, NULL) != 0) {
            return 1;
        }
    }

    (void) printf("port %d\n", port);
    (void) fflush(stdout);

    while (fgets(line, sizeof(line), stdin)) {
        null_command(line);
    }

    _exit(0);                            /* calls may be under way */
}
