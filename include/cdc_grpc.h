/*
 * gRPC C core, made small: connections, calls that block, calls that report
 * to the event loop, and one kind of stream (src/target/cdc_grpc.c).
 *
 * cdc_grpc_init() once per process, before anything else here, on the main
 * thread; cdc_grpc_shutdown() last.
 */

#ifndef CDC_GRPC_H_INCLUDED
#define CDC_GRPC_H_INCLUDED

#include "cdc_base.h"
#include "cdc_runtime.h"
#include "cdc_wire.h"


typedef struct {
    const char  *address;                /* host:port */
    unsigned     tls:1;
    const char  *ca_path;                /* server's CA or certificate */
    const char  *cert_path, *key_path;   /* of the client, for mutual TLS */
    const char  *server_name;            /* overrides the name checked */
    const char  *authorization;          /* ready value of that header */
    const char  *token;                  /* etcd's "token" header */
    unsigned     keepalive_ms;           /* 0: none */
    unsigned     connect_timeout_ms;     /* 0: 5000 */
    unsigned     keepalive_idle:1;       /* pings between calls too; Milvus
                                          * allows it, etcd does not */
    unsigned     brief:1;                /* all answers are short */
} cdc_grpc_conf_t;

/* grpc_status_code of a call that failed, and its text */
typedef struct {
    int          status;                 /* 0 OK, 4 DEADLINE_EXCEEDED, ... */
    unsigned     unsent:1;               /* surely never reached the server */
    char         text[CDC_REASON_MAX];
} cdc_grpc_error_t;

typedef struct cdc_grpc_s  cdc_grpc_t;   /* one connection, of its own */
typedef struct cdc_grpc_stream_s  cdc_grpc_stream_t;

void cdc_grpc_init(cdc_loop_t *loop);    /* loop NULL: no cdc_grpc_send() */
void cdc_grpc_shutdown(void);

/* does not connect yet; NULL with err when a certificate cannot be read */
cdc_grpc_t *cdc_grpc_open(const cdc_grpc_conf_t *conf, cdc_grpc_error_t *err);

/*
 * Cancels and waits for its calls; each done() that has not run yet runs on
 * the calling (main) thread before this returns.  Streams must be closed.
 */
void cdc_grpc_close(cdc_grpc_t *g);
void cdc_grpc_set_token(cdc_grpc_t *g, const char *token);

/*
 * Blocks up to timeout_ms (0: no deadline); *answer is malloc()ed, not NULL
 * even when it is empty, with a NUL behind its len bytes.  Any thread;
 * request may be NULL (no fields).
 */
int  cdc_grpc_call(cdc_grpc_t *g, const char *method, cdc_chain_t *request,
    unsigned timeout_ms, uint8_t **answer, size_t *len, cdc_grpc_error_t *err);

/* the same with one more header, given as {name, value}; NULL: none */
int  cdc_grpc_call_with(cdc_grpc_t *g, const char *method,
    const char *const header[2], cdc_chain_t *request, unsigned timeout_ms,
    uint8_t **answer, size_t *len, cdc_grpc_error_t *err);

/*
 * Main thread; never blocks, no deadline (timeout_ms 0).  done() runs on the
 * main thread exactly once, later, with answer valid during the call only;
 * a call that cdc_grpc_close() cut short ends with status CANCELLED (1).
 * CDC_ERROR: nothing was started and done() will not run.
 * The chain's spans go to gRPC without a copy, each holding a reference.
 */
typedef void (*cdc_grpc_done_pt)(void *arg, int rc, cdc_span_t answer,
    const cdc_grpc_error_t *err);
int  cdc_grpc_send(cdc_grpc_t *g, const char *method, cdc_chain_t *request,
    unsigned timeout_ms, cdc_grpc_done_pt done, void *arg);

/*
 * Nobody waits for the answers of cdc_grpc_send(): they may come some
 * milliseconds late, together.  For the whole process, until it is said that
 * they are waited for again, and so it is at first.
 */
void cdc_grpc_idle(int idle);

/*
 * A two-way stream for a thread of its own (etcd's Watch).  open() does not
 * wait for the connection.  read() blocks up to timeout_ms (CDC_AGAIN when
 * that passes, the stream stays usable; CDC_ERROR is the stream's end, with
 * status 0 when the server ended it in order).  cancel() may be called from
 * another thread, until close(), and ends a blocked read() or write().
 */
cdc_grpc_stream_t *cdc_grpc_stream_open(cdc_grpc_t *g, const char *method,
    cdc_grpc_error_t *err);
int  cdc_grpc_stream_write(cdc_grpc_stream_t *s, cdc_span_t message,
    cdc_grpc_error_t *err);
int  cdc_grpc_stream_read(cdc_grpc_stream_t *s, unsigned timeout_ms,
    uint8_t **message, size_t *len, cdc_grpc_error_t *err);
void cdc_grpc_stream_cancel(cdc_grpc_stream_t *s);
void cdc_grpc_stream_close(cdc_grpc_stream_t *s);


#endif /* CDC_GRPC_H_INCLUDED */
