/*
 * "Has the handler had everything that etcd holds now?"
 *
 * etcd has a request for that, WatchProgressRequest, but servers before
 * 3.4.25 and 3.5.8 may answer it ahead of events that are older than the
 * answer.  So we ask what is certain: a linearizable Range, made after the
 * question, tells its revision R, the number of keys at R and which of them
 * changed after the revision S that the handler has had.  At a revision W,
 * W >= S, that the handler has had, everything up to R has been handled if
 *
 *     W >= R, or
 *     no key at R changed after W, and there are as many keys at R as at W.
 *
 * A change between W and R is a put, which the first part shows unless the
 * key was deleted again, or a delete of a key of W, which leaves fewer keys:
 * none can make up for it without being a put that is seen.  Only a key both
 * made and deleted in between goes unnoticed, and it left nothing behind.
 *
 * The calls are asynchronous, on a connection of their own; the token is
 * the one that the thread keeps fresh.  One round of questions at a time: a
 * ticket that is handed out during a round waits for the next one.
 */

#include <string.h>
#include <stdlib.h>

#include "cdc_etcd_int.h"


#define CDC_ETCD_SYNC_RETRY_MS  200


static void cdc_etcd_sync_start(cdc_etcd_follow_t *f);
static void cdc_etcd_sync_ask(cdc_etcd_follow_t *f);


uint64_t
cdc_etcd_sync(cdc_etcd_follow_t *f)
{
    f->tickets++;
    cdc_etcd_sync_start(f);

    return f->tickets;
}


static void
cdc_etcd_sync_timer(cdc_timer_t *tm)
{
    cdc_etcd_follow_t  *f;

    f = tm->data;

    if (f->rotate) {
        f->rotate = 0;
        cdc_etcd_client_rotate(&f->asker);
    }

    cdc_etcd_sync_start(f);
}


/* a new round, when there is a list and nothing is under way */

static void
cdc_etcd_sync_start(cdc_etcd_follow_t *f)
{
    if (f->sync != CDC_ETCD_SYNC_IDLE || f->seen == 0 || f->retry.slot != 0
        || f->answered == f->tickets)
    {
        return;
    }

    f->sync = CDC_ETCD_SYNC_ASKING;
    f->round = f->tickets;
    f->since = f->seen;
    f->at = 0;
    f->want = 0;
    f->want_mod = 0;
    f->want_count = 0;

    cdc_grpc_idle(0);                    /* an operation, or rows, wait */
    cdc_etcd_sync_ask(f);
}


static void
cdc_etcd_sync_failed(cdc_etcd_follow_t *f)
{
    f->sync = CDC_ETCD_SYNC_IDLE;

    f->retry.handler = cdc_etcd_sync_timer;
    f->retry.data = f;
    cdc_timer_add(f->loop, &f->retry, CDC_ETCD_SYNC_RETRY_MS);
}


static int
cdc_etcd_sync_take(cdc_etcd_follow_t *f, cdc_span_t answer)
{
    size_t                i;
    Etcd__RangeResponse  *res;

    res = etcd__range_response__unpack(NULL, answer.len, answer.data);

    if (res == NULL) {
        return CDC_ERROR;
    }

    if (res->header == NULL) {
        etcd__range_response__free_unpacked(res, NULL);
        return CDC_ERROR;
    }

    if (f->want == 0) {
        f->want = res->header->revision;
    }

    f->want_count += res->count;

    for (i = 0; i < res->n_kvs; i++) {
        if (res->kvs[i]->mod_revision > f->want_mod) {
            f->want_mod = res->kvs[i]->mod_revision;
        }
    }

    etcd__range_response__free_unpacked(res, NULL);

    return CDC_OK;
}


static void
cdc_etcd_sync_done(void *arg, int rc, cdc_span_t answer,
    const cdc_grpc_error_t *err)
{
    cdc_etcd_follow_t  *f;

    f = arg;

    if (f->closed) {
        return;
    }

    if (rc != CDC_OK || cdc_etcd_sync_take(f, answer) != CDC_OK) {

        /* the thread finds out why, says so and renews the token; the
         * connection cannot be closed inside of its own callback */

        f->rotate = (rc == CDC_OK || !cdc_etcd_bad_token(err));
        cdc_etcd_sync_failed(f);
        return;
    }

    f->at++;
    cdc_etcd_sync_ask(f);
}


static void
cdc_etcd_sync_token(cdc_etcd_follow_t *f)
{
    (void) pthread_mutex_lock(&f->mutex);

    if (f->token != NULL) {
        cdc_grpc_set_token(f->asker.g, f->token);
    }

    (void) pthread_mutex_unlock(&f->mutex);
}


/* the next range, or, when all have been asked, the verdict */

static void
cdc_etcd_sync_ask(cdc_etcd_follow_t *f)
{
    int                     rc;
    cdc_chain_t            *chain;
    cdc_grpc_error_t        err;
    Etcd__RangeRequest      req = ETCD__RANGE_REQUEST__INIT;
    const cdc_etcd_keys_t  *keys;

    while (f->at < f->nkeys && f->keys[f->at].side) {
        f->at++;
    }

    if (f->at == f->nkeys) {
        f->sync = CDC_ETCD_SYNC_WAITING;
        cdc_etcd_sync_check(f);
        return;
    }

    if (f->asker.g == NULL
        && cdc_etcd_client_connect(&f->asker, &err) != CDC_OK)
    {
        cdc_etcd_sync_failed(f);
        return;
    }

    cdc_etcd_sync_token(f);

    keys = &f->keys[f->at];

    req.key.data = (uint8_t *) keys->from;
    req.key.len = strlen(keys->from);
    req.range_end.data = (uint8_t *) keys->to;
    req.range_end.len = strlen(keys->to);
    req.revision = f->want;
    req.min_mod_revision = f->since + 1;
    req.keys_only = 1;

    chain = cdc_etcd_pack(&req.base);

    if (chain == NULL) {
        cdc_etcd_sync_failed(f);
        return;
    }

    rc = cdc_grpc_send(f->asker.g, "/etcdserverpb.KV/Range", chain,
                       CDC_ETCD_CALL_MS, cdc_etcd_sync_done, f);
    cdc_chain_unref(chain);

    if (rc != CDC_OK) {
        cdc_etcd_sync_failed(f);
    }
}


void
cdc_etcd_sync_check(cdc_etcd_follow_t *f)
{
    cdc_etcd_batch_t  batch;

    if (f->sync != CDC_ETCD_SYNC_WAITING) {
        cdc_etcd_sync_start(f);
        return;
    }

    if (f->seen < f->want
        && (f->want_mod > f->seen || f->want_count != f->seen_count))
    {
        return;
    }

    f->sync = CDC_ETCD_SYNC_IDLE;
    f->answered = f->round;

    memset(&batch, 0, sizeof(cdc_etcd_batch_t));
    batch.kind = CDC_ETCD_SYNCED;
    batch.revision = f->seen;
    batch.sync = f->round;

    f->handler(f->arg, &batch);

    if (!f->closed) {
        cdc_etcd_sync_start(f);
    }
}


void
cdc_etcd_sync_close(cdc_etcd_follow_t *f)
{
    cdc_timer_del(f->loop, &f->retry);

    if (f->asker.g != NULL) {
        cdc_grpc_close(f->asker.g);
        f->asker.g = NULL;
    }
}
