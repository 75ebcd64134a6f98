/*
 * etcd v3 over gRPC (src/source/cdc_etcd.c): the few calls we need.
 *
 * conf is the source's "etcd" object of INIT (json_t *): several endpoints,
 * user and password (Authenticate, renewed when the token ends), TLS.
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

typedef enum {
    CDC_ETCD_LIST,        /* kvs: all keys under the prefix at revision */
    CDC_ETCD_EVENTS,      /* kvs: every change of one whole revision */
    CDC_ETCD_SYNCED,      /* answers one cdc_etcd_sync() */
    CDC_ETCD_DOWN,        /* text: why; it retries by itself */
    CDC_ETCD_UP
} cdc_etcd_kind_e;

typedef struct {
    cdc_etcd_kind_e  kind;
    int64_t          revision;
    size_t           n;
    cdc_etcd_kv_t   *kvs;
    uint64_t         sync;               /* ticket of SYNCED */
    const char      *text;
} cdc_etcd_batch_t;

/*
 * One thread that lists a prefix at one revision and watches from the next,
 * for ever: re-connects with back-off (100 ms to 10 s), resumes the watch
 * after the last whole revision, lists again after a compaction.  handler()
 * runs on the main thread, in order; the batch is valid during the call.
 */
cdc_etcd_follow_t *cdc_etcd_follow(cdc_loop_t *loop, const void *conf,
    const char *prefix,
    void (*handler)(void *arg, const cdc_etcd_batch_t *batch), void *arg,
    char *err);
uint64_t cdc_etcd_sync(cdc_etcd_follow_t *f);    /* ticket, see SYNCED */
void cdc_etcd_close(cdc_etcd_follow_t *f);

/* [blocks] any thread: one range over a prefix, at most limit keys */
int  cdc_etcd_range(const void *conf, const char *prefix, int64_t limit,
    unsigned timeout_ms,
    int (*fn)(void *arg, const cdc_etcd_kv_t *kv), void *arg, char *err);


#endif /* CDC_ETCD_H_INCLUDED */
