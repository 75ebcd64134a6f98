/*
 * etcd v3 over gRPC (src/source/cdc_etcd*.c): the few calls we need.
 *
 * conf is the source's "etcd" object of INIT (json_t *): several endpoints,
 * user and password (Authenticate, renewed when the token ends), TLS.  It is
 * copied.  cdc_grpc_init(loop) must have been called.
 */

#ifndef CDC_ETCD_H_INCLUDED
#define CDC_ETCD_H_INCLUDED

#include "cdc_base.h"
#include "cdc_runtime.h"


typedef struct cdc_etcd_follow_s  cdc_etcd_follow_t;

typedef struct {
    cdc_span_t   key, value;
    int64_t      mod_revision;
    unsigned     deleted:1;              /* a DELETE event */
} cdc_etcd_kv_t;

/* keys from "from" up to, not including, "to" */

typedef struct {
    const char  *from, *to;
    unsigned     side:1;                 /* cdc_etcd_sync() need not look at
                                          * it: changes with the others */
} cdc_etcd_keys_t;

typedef enum {
    CDC_ETCD_LIST,        /* kvs: a part of all keys at revision */
    CDC_ETCD_EVENTS,      /* kvs: every change of one whole revision */
    CDC_ETCD_SYNCED,      /* answers each cdc_etcd_sync() up to "sync" */
    CDC_ETCD_DOWN,        /* text: why; it retries by itself */
    CDC_ETCD_UP
} cdc_etcd_kind_e;

typedef struct {
    cdc_etcd_kind_e  kind;
    int64_t          revision;
    size_t           n;
    cdc_etcd_kv_t   *kvs;
    unsigned         first:1;            /* LIST: what came before it is void */
    unsigned         last:1;             /* LIST: it is complete */
    uint64_t         sync;               /* ticket of SYNCED */
    const char      *text;
} cdc_etcd_batch_t;

typedef void (*cdc_etcd_handler_pt)(void *arg, const cdc_etcd_batch_t *batch);

/*
 * One thread that lists some ranges of keys (in ascending order) at one
 * revision and watches them from the next, for ever: re-connects with
 * back-off (100 ms to 10 s), resumes the watch after the last whole revision,
 * lists again after a compaction.  handler() runs on the main thread, in
 * order; the batch is valid during the call.  A list comes in parts; one that
 * a failure cuts short begins anew with "first".
 */
cdc_etcd_follow_t *cdc_etcd_follow(cdc_loop_t *loop, const void *conf,
    const cdc_etcd_keys_t *keys, size_t n, cdc_etcd_handler_pt handler,
    void *arg, char *err);

/* any thread; while it is down: when it tries again, cdc_now_ms(); 0: now */
uint64_t cdc_etcd_next_try(cdc_etcd_follow_t *f);

/* main thread; a ticket: SYNCED comes once handler() has had every change
 * that etcd held at the time of this call */
uint64_t cdc_etcd_sync(cdc_etcd_follow_t *f);

/* [blocks] for the thread to end: at once, or up to 5 s when etcd hangs
 * in the middle of a call; not from inside handler() */
void cdc_etcd_close(cdc_etcd_follow_t *f);

/* [blocks] any thread: one range over a prefix, at most limit keys */
int  cdc_etcd_range(const void *conf, const char *prefix, int64_t limit,
    unsigned timeout_ms,
    int (*fn)(void *arg, const cdc_etcd_kv_t *kv), void *arg, char *err);

/* [blocks, ms] any thread: where Milvus clusters have their metadata; root
 * and meta as in a source's root_path and meta_path.  Until fn returns other
 * than CDC_OK.  What cannot be read is not there */
void cdc_etcd_roots(const void *conf, unsigned ms,
    int (*fn)(void *arg, const char *root, const char *meta), void *arg);


#endif /* CDC_ETCD_H_INCLUDED */
