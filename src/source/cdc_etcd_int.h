/*
 * Shared by src/source/cdc_etcd*.c only.
 */

#ifndef CDC_ETCD_INT_H_INCLUDED
#define CDC_ETCD_INT_H_INCLUDED

#include <pthread.h>

#include "cdc_etcd.h"
#include "cdc_grpc.h"
#include "etcd_rpc.pb-c.h"


#define CDC_ETCD_PAGE         2000       /* keys of one Range: etcd counts
                                          * all of them for each page */
#define CDC_ETCD_CALL_MS      5000
#define CDC_ETCD_PROBE_MS     2000       /* silence before we look */
#define CDC_ETCD_ANSWER_MS    3000       /* to that */
#define CDC_ETCD_BACKOFF_MIN  100
#define CDC_ETCD_BACKOFF_MAX  10000


/* ---- one connection (cdc_etcd_client.c) --------------------------- */

typedef struct {
    char                *address;
    unsigned             tls:1;
} cdc_etcd_endpoint_t;

typedef struct {
    cdc_etcd_endpoint_t *endpoints;
    size_t               n, at;
    char                *user, *password;
    char                *ca, *cert, *key;
    char                *token;
    cdc_grpc_t          *g;              /* NULL: not connected */
} cdc_etcd_client_t;

int  cdc_etcd_client_init(cdc_etcd_client_t *c, const void *conf, char *err);
void cdc_etcd_client_free(cdc_etcd_client_t *c);

/* makes c->g to the current endpoint; no network is touched */
int  cdc_etcd_client_connect(cdc_etcd_client_t *c, cdc_grpc_error_t *err);
/* closes, so that the next call goes to the next endpoint */
void cdc_etcd_client_rotate(cdc_etcd_client_t *c);

/* [blocks] connects, authenticates and authenticates anew as needed.
 * CDC_DECLINED: the revision asked for is compacted */
int  cdc_etcd_client_range(cdc_etcd_client_t *c, Etcd__RangeRequest *req,
    unsigned ms, Etcd__RangeResponse **res, cdc_grpc_error_t *err);

int  cdc_etcd_bad_token(const cdc_grpc_error_t *err);
cdc_chain_t *cdc_etcd_pack(const ProtobufCMessage *msg);


/* ---- following (cdc_etcd.c, cdc_etcd_sync.c) ---------------------- */

typedef enum {
    CDC_ETCD_SYNC_IDLE,
    CDC_ETCD_SYNC_ASKING,                /* Range calls are on their way */
    CDC_ETCD_SYNC_WAITING                /* for the watch to catch up */
} cdc_etcd_sync_e;

struct cdc_etcd_follow_s {
    cdc_loop_t          *loop;
    cdc_etcd_keys_t     *keys;           /* strings are ours */
    size_t               nkeys;
    cdc_etcd_handler_pt  handler;
    void                *arg;

    /* the thread's own */
    pthread_t            thread;
    cdc_etcd_client_t    client;
    int64_t              revision;       /* delivered whole; 0: list first */
    int64_t              count;          /* keys at revision, not side ones */
    unsigned             down:1;         /* DOWN has been said */
    unsigned             watching:1;     /* etcd has accepted the watch */

    pthread_mutex_t      mutex;          /* guards down to refs */
    pthread_cond_t       cond;
    cdc_grpc_stream_t   *stream;         /* for cancel() */
    char                *token;          /* the newest, for sync */
    uint64_t             posted, handled;
    unsigned             stop:1;
    unsigned             refs;           /* the owner, and each post */
    uint64_t             next_try;       /* cdc_now_ms() */

    /* main thread */
    unsigned             closed:1;
    unsigned             rotate:1;       /* the asker's endpoint is bad */
    int64_t              seen;           /* revision handler() has had */
    int64_t              seen_count;
    cdc_etcd_client_t    asker;
    cdc_timer_t          retry;
    cdc_etcd_sync_e      sync;
    uint64_t             tickets;        /* handed out */
    uint64_t             round;          /* tickets this round answers */
    uint64_t             answered;
    size_t               at;             /* range being asked */
    int64_t              since;          /* seen, when the round began */
    int64_t              want;           /* revision of the answers */
    int64_t              want_mod;       /* newest change among them */
    int64_t              want_count;
};

/* the thread's: waits until the main thread has handled it; CDC_DONE: told
 * to stop */
int  cdc_etcd_emit(cdc_etcd_follow_t *f, const cdc_etcd_batch_t *batch);
/* the same with DOWN and UP, once for each change */
int  cdc_etcd_say(cdc_etcd_follow_t *f, cdc_etcd_kind_e kind,
    const char *text);
/* every call of the thread that is not the stream goes through here: it
 * leaves the newest token for cdc_etcd_sync() */
int  cdc_etcd_ask(cdc_etcd_follow_t *f, Etcd__RangeRequest *req, unsigned ms,
    Etcd__RangeResponse **res, cdc_grpc_error_t *err);
/* until it breaks: CDC_ERROR, CDC_DECLINED (list again), CDC_DONE (stop) */
int  cdc_etcd_watch(cdc_etcd_follow_t *f, cdc_grpc_error_t *err);

void cdc_etcd_sync_check(cdc_etcd_follow_t *f);
void cdc_etcd_sync_close(cdc_etcd_follow_t *f);


#endif /* CDC_ETCD_INT_H_INCLUDED */
