/*
 * Following a part of etcd: list at one revision, watch from the next.
 *
 *   list --> watch --(broken)--> wait --> watch from the last whole revision
 *    ^                                      |
 *    +------------(compacted)---------------+
 *
 * A thread of its own does it, because the watch is a stream that blocks.  It
 * hands a batch over to the main thread and waits until that has been
 * handled: one batch is in memory at a time and etcd's flow control does the
 * rest.  The keys of a batch lie in the answer that the thread still holds.
 *
 * Nothing is on disk: after a crash the next process lists again.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_etcd_int.h"


typedef struct {
    cdc_post_t          post;
    cdc_etcd_follow_t  *follow;
    cdc_etcd_batch_t    batch;
    int64_t             count;
} cdc_etcd_post_t;


static void *cdc_etcd_thread(void *data);


static int
cdc_etcd_copy_keys(cdc_etcd_follow_t *f, const cdc_etcd_keys_t *keys,
    size_t n)
{
    size_t  i;

    f->keys = calloc(n, sizeof(cdc_etcd_keys_t));
    if (f->keys == NULL) {
        return CDC_ERROR;
    }

    f->nkeys = n;

    for (i = 0; i < n; i++) {
        f->keys[i].from = strdup(keys[i].from);
        f->keys[i].to = strdup(keys[i].to);
        f->keys[i].side = keys[i].side;

        if (f->keys[i].from == NULL || f->keys[i].to == NULL) {
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


static void
cdc_etcd_free(cdc_etcd_follow_t *f)
{
    size_t  i;

    for (i = 0; i < f->nkeys; i++) {
        free((char *) f->keys[i].from);
        free((char *) f->keys[i].to);
    }

    cdc_etcd_client_free(&f->client);
    cdc_etcd_client_free(&f->asker);

    if (f->token != NULL) {
        explicit_bzero(f->token, strlen(f->token));
        free(f->token);
    }

    (void) pthread_mutex_destroy(&f->mutex);
    (void) pthread_cond_destroy(&f->cond);

    free(f->keys);
    free(f);
}


cdc_etcd_follow_t *
cdc_etcd_follow(cdc_loop_t *loop, const void *conf,
    const cdc_etcd_keys_t *keys, size_t n, cdc_etcd_handler_pt handler,
    void *arg, char *err)
{
    int                 rc;
    cdc_etcd_follow_t  *f;
    pthread_condattr_t  attr;

    f = calloc(1, sizeof(cdc_etcd_follow_t));
    if (f == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "etcd: no memory");
        return NULL;
    }

    f->loop = loop;
    f->handler = handler;
    f->arg = arg;
    f->refs = 1;

    (void) pthread_mutex_init(&f->mutex, NULL);
    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&f->cond, &attr);
    (void) pthread_condattr_destroy(&attr);

    if (cdc_etcd_client_init(&f->client, conf, err) != CDC_OK
        || cdc_etcd_client_init(&f->asker, conf, err) != CDC_OK)
    {
        cdc_etcd_free(f);
        return NULL;
    }

    if (cdc_etcd_copy_keys(f, keys, n) != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "etcd: no memory");
        cdc_etcd_free(f);
        return NULL;
    }

    rc = pthread_create(&f->thread, NULL, cdc_etcd_thread, f);

    if (rc != 0) {
        (void) snprintf(err, CDC_REASON_MAX, "etcd: pthread_create(): %d", rc);
        cdc_etcd_free(f);
        return NULL;
    }

    return f;
}


static void
cdc_etcd_unref(cdc_etcd_follow_t *f)
{
    unsigned  refs;

    (void) pthread_mutex_lock(&f->mutex);
    refs = --f->refs;
    (void) pthread_mutex_unlock(&f->mutex);

    if (refs == 0) {
        cdc_etcd_free(f);
    }
}


void
cdc_etcd_close(cdc_etcd_follow_t *f)
{
    if (f == NULL) {
        return;
    }

    f->closed = 1;
    cdc_etcd_sync_close(f);

    (void) pthread_mutex_lock(&f->mutex);

    f->stop = 1;

    if (f->stream != NULL) {
        cdc_grpc_stream_cancel(f->stream);
    }

    (void) pthread_cond_broadcast(&f->cond);
    (void) pthread_mutex_unlock(&f->mutex);

    (void) pthread_join(f->thread, NULL);

    cdc_etcd_unref(f);
}


/* ---- handing over --- */

static void
cdc_etcd_post_handler(cdc_post_t *post)
{
    cdc_etcd_post_t    *p;
    cdc_etcd_follow_t  *f;

    p = post->data;
    f = p->follow;

    if (!f->closed) {
        f->handler(f->arg, &p->batch);

        if (p->batch.kind == CDC_ETCD_EVENTS
            || (p->batch.kind == CDC_ETCD_LIST && p->batch.last))
        {
            f->seen = p->batch.revision;
            f->seen_count = p->count;
            cdc_etcd_sync_check(f);
        }
    }

    (void) pthread_mutex_lock(&f->mutex);
    f->handled++;
    (void) pthread_cond_broadcast(&f->cond);
    (void) pthread_mutex_unlock(&f->mutex);

    cdc_etcd_unref(f);
    free(p);
}


int
cdc_etcd_emit(cdc_etcd_follow_t *f, const cdc_etcd_batch_t *batch)
{
    int               stop;
    uint64_t          ticket;
    cdc_etcd_post_t  *p;

    p = calloc(1, sizeof(cdc_etcd_post_t));
    if (p == NULL) {
        return CDC_ERROR;
    }

    p->post.handler = cdc_etcd_post_handler;
    p->post.data = p;
    p->follow = f;
    p->batch = *batch;
    p->count = f->count;

    (void) pthread_mutex_lock(&f->mutex);

    if (f->stop) {
        (void) pthread_mutex_unlock(&f->mutex);
        free(p);
        return CDC_DONE;
    }

    f->refs++;
    ticket = ++f->posted;
    cdc_loop_post(f->loop, &p->post);

    while (f->handled < ticket && !f->stop) {
        (void) pthread_cond_wait(&f->cond, &f->mutex);
    }

    stop = f->stop;

    (void) pthread_mutex_unlock(&f->mutex);

    return stop ? CDC_DONE : CDC_OK;
}


int
cdc_etcd_say(cdc_etcd_follow_t *f, cdc_etcd_kind_e kind, const char *text)
{
    cdc_etcd_batch_t  batch;

    if ((kind == CDC_ETCD_DOWN) == f->down) {
        return CDC_OK;
    }

    f->down = (kind == CDC_ETCD_DOWN);

    memset(&batch, 0, sizeof(cdc_etcd_batch_t));
    batch.kind = kind;
    batch.revision = f->revision;
    batch.text = text;

    return cdc_etcd_emit(f, &batch);
}


int
cdc_etcd_ask(cdc_etcd_follow_t *f, Etcd__RangeRequest *req, unsigned ms,
    Etcd__RangeResponse **res, cdc_grpc_error_t *err)
{
    int          rc;
    const char  *token;

    rc = cdc_etcd_client_range(&f->client, req, ms, res, err);
    token = f->client.token;

    if (rc == CDC_OK && token != NULL) {
        (void) pthread_mutex_lock(&f->mutex);

        if (f->token == NULL || strcmp(f->token, token) != 0) {
            if (f->token != NULL) {
                explicit_bzero(f->token, strlen(f->token));
            }

            free(f->token);
            f->token = strdup(token);
        }

        (void) pthread_mutex_unlock(&f->mutex);
    }

    return rc;
}


/* ---- list --- */

static int
cdc_etcd_emit_page(cdc_etcd_follow_t *f, const Etcd__RangeResponse *res,
    int64_t revision, unsigned first, unsigned last)
{
    int               rc;
    size_t            i;
    cdc_etcd_batch_t  batch;

    memset(&batch, 0, sizeof(cdc_etcd_batch_t));

    batch.kind = CDC_ETCD_LIST;
    batch.revision = revision;
    batch.first = first;
    batch.last = last;
    batch.n = res->n_kvs;
    batch.kvs = calloc(res->n_kvs + 1, sizeof(cdc_etcd_kv_t));

    if (batch.kvs == NULL) {
        return CDC_ERROR;
    }

    for (i = 0; i < res->n_kvs; i++) {
        batch.kvs[i].key = cdc_span_n(res->kvs[i]->key.data,
                                      res->kvs[i]->key.len);
        batch.kvs[i].value = cdc_span_n(res->kvs[i]->value.data,
                                        res->kvs[i]->value.len);
        batch.kvs[i].mod_revision = res->kvs[i]->mod_revision;
    }

    rc = cdc_etcd_emit(f, &batch);
    free(batch.kvs);

    return rc;
}


/* one range; *revision 0: now, and it is set to what "now" was */

static int
cdc_etcd_list_range(cdc_etcd_follow_t *f, const cdc_etcd_keys_t *keys,
    int64_t *revision, cdc_grpc_error_t *err)
{
    int                   rc, more, first, last;
    uint8_t              *next;
    Etcd__KeyValue       *kv;
    Etcd__RangeRequest    req = ETCD__RANGE_REQUEST__INIT;
    Etcd__RangeResponse  *res;

    req.key.data = (uint8_t *) keys->from;
    req.key.len = strlen(keys->from);
    req.range_end.data = (uint8_t *) keys->to;
    req.range_end.len = strlen(keys->to);
    req.limit = CDC_ETCD_PAGE;

    next = NULL;

    do {
        req.revision = *revision;

        rc = cdc_etcd_ask(f, &req, CDC_ETCD_CALL_MS, &res, err);
        free(next);
        next = NULL;

        if (rc != CDC_OK) {
            return rc;
        }

        first = (*revision == 0);
        *revision = first ? res->header->revision : *revision;

        more = res->more && res->n_kvs != 0;
        last = !more && keys == &f->keys[f->nkeys - 1];

        f->count += keys->side ? 0 : (int64_t) res->n_kvs;

        rc = cdc_etcd_emit_page(f, res, *revision, first, last);

        if (rc == CDC_OK && more) {
            kv = res->kvs[res->n_kvs - 1];
            next = malloc(kv->key.len + 1);

            if (next != NULL) {
                if (kv->key.len != 0) {
                    memcpy(next, kv->key.data, kv->key.len);
                }

                next[kv->key.len] = '\0';
                req.key.data = next;
                req.key.len = kv->key.len + 1;

            } else {
                rc = CDC_ERROR;
            }
        }

        etcd__range_response__free_unpacked(res, NULL);

    } while (rc == CDC_OK && more);

    if (rc == CDC_ERROR) {
        (void) snprintf(err->text, sizeof(err->text), "no memory");
    }

    return rc;
}


static int
cdc_etcd_list(cdc_etcd_follow_t *f, cdc_grpc_error_t *err)
{
    int      rc;
    size_t   i;
    int64_t  revision;

    rc = CDC_OK;
    revision = 0;
    f->count = 0;

    for (i = 0; rc == CDC_OK && i < f->nkeys; i++) {
        rc = cdc_etcd_list_range(f, &f->keys[i], &revision, err);
    }

    if (rc == CDC_OK) {
        f->revision = revision;
        cdc_log(CDC_LOG_INFO, 0, "etcd %s: %lld keys listed at revision %lld",
                f->client.endpoints[f->client.at].address,
                (long long) f->count, (long long) revision);
    }

    return rc;
}


/* ---- the thread --- */

/* 1: stop */

static int
cdc_etcd_wait(cdc_etcd_follow_t *f, unsigned ms)
{
    int              stop;
    struct timespec  ts;

    ts = cdc_deadline(ms);

    (void) pthread_mutex_lock(&f->mutex);

    f->next_try = ms ? cdc_now_ms() + ms : 0;

    while (!f->stop
           && pthread_cond_timedwait(&f->cond, &f->mutex, &ts) != ETIMEDOUT)
    {
        /* woken for something else */
    }

    stop = f->stop;

    (void) pthread_mutex_unlock(&f->mutex);

    return stop;
}


uint64_t
cdc_etcd_next_try(cdc_etcd_follow_t *f)
{
    uint64_t  when;

    (void) pthread_mutex_lock(&f->mutex);
    when = f->next_try;
    (void) pthread_mutex_unlock(&f->mutex);

    return when;
}


static void *
cdc_etcd_thread(void *data)
{
    int                 rc;
    char                text[CDC_REASON_MAX];
    unsigned            backoff;
    uint64_t            start;
    cdc_grpc_error_t    err;
    cdc_etcd_follow_t  *f;

    f = data;
    backoff = CDC_ETCD_BACKOFF_MIN;

    for ( ;; ) {
        memset(&err, 0, sizeof(cdc_grpc_error_t));
        rc = CDC_OK;
        start = cdc_now_ms();
        f->watching = 0;

        if (f->revision == 0) {
            rc = cdc_etcd_list(f, &err);
        }

        if (rc == CDC_OK) {
            rc = cdc_etcd_watch(f, &err);
        }

        if (rc == CDC_DONE || cdc_etcd_wait(f, 0)) {
            break;
        }

        if (rc == CDC_DECLINED) {
            cdc_log(CDC_LOG_NOTICE, 0, "etcd %s: cannot be followed from "
                    "revision %lld, listing again",
                    f->client.endpoints[f->client.at].address,
                    (long long) f->revision);
            f->revision = 0;

        } else {
            (void) snprintf(text, sizeof(text), "etcd %.256s: %.512s",
                            f->client.endpoints[f->client.at].address,
                            err.text);
            cdc_etcd_client_rotate(&f->client);

            if (cdc_etcd_say(f, CDC_ETCD_DOWN, text) == CDC_DONE) {
                break;
            }
        }

        if (f->watching && cdc_now_ms() - start > 1000) {
            backoff = CDC_ETCD_BACKOFF_MIN;
        }

        if (cdc_etcd_wait(f, backoff)) {
            break;
        }

        backoff = backoff * 2 < CDC_ETCD_BACKOFF_MAX ? backoff * 2
                                                     : CDC_ETCD_BACKOFF_MAX;
    }

    return NULL;
}
