/*
 * The watch of cdc_etcd_follow().
 *
 * One watcher covers all ranges, from the first key to the last, and what is
 * in between is dropped here: only within one watcher does etcd keep the
 * changes of a revision together and the revisions in order.  With "fragment"
 * a response may end inside a revision; a revision is handed over when one
 * with a greater number begins or when a response ends that has no
 * continuation.
 *
 * A watch says nothing while nothing changes, so after CDC_ETCD_PROBE_MS of
 * silence a linearizable Range of one key shows whether this member still
 * answers and has a leader, and it renews a token that has ended.  A
 * connection's keepalive would tell neither.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_etcd_int.h"


/* events of a watch, until their revision is whole */

typedef struct {
    Etcd__WatchResponse  **held;         /* what kvs points into */
    size_t                 nheld, held_cap;
    cdc_etcd_kv_t         *kvs;
    size_t                 n, cap;
    int64_t                revision;
    int64_t                grown;        /* keys made less keys deleted */
} cdc_etcd_gather_t;


static void
cdc_etcd_gather_free(cdc_etcd_gather_t *g)
{
    size_t  i;

    for (i = 0; i < g->nheld; i++) {
        etcd__watch_response__free_unpacked(g->held[i], NULL);
    }

    free(g->held);
    free(g->kvs);
}


/* the revision that has been gathered is whole */

static int
cdc_etcd_gather_emit(cdc_etcd_follow_t *f, cdc_etcd_gather_t *g)
{
    int               rc;
    cdc_etcd_batch_t  batch;

    if (g->revision == 0) {
        return CDC_OK;
    }

    rc = CDC_OK;
    f->count += g->grown;

    if (g->n != 0) {
        memset(&batch, 0, sizeof(cdc_etcd_batch_t));
        batch.kind = CDC_ETCD_EVENTS;
        batch.revision = g->revision;
        batch.n = g->n;
        batch.kvs = g->kvs;

        rc = cdc_etcd_emit(f, &batch);
    }

    f->revision = g->revision;

    g->revision = 0;
    g->grown = 0;
    g->n = 0;

    return rc;
}


static int
cdc_etcd_key_cmp(cdc_span_t key, const char *s)
{
    int     rc;
    size_t  len;

    len = strlen(s);

    rc = memcmp(key.data, s, key.len < len ? key.len : len);

    return rc != 0 ? rc : (key.len > len) - (key.len < len);
}


static const cdc_etcd_keys_t *
cdc_etcd_keys_of(cdc_etcd_follow_t *f, cdc_span_t key)
{
    size_t  i;

    for (i = 0; i < f->nkeys; i++) {
        if (cdc_etcd_key_cmp(key, f->keys[i].from) >= 0
            && cdc_etcd_key_cmp(key, f->keys[i].to) < 0)
        {
            return &f->keys[i];
        }
    }

    return NULL;
}


static int
cdc_etcd_gather_event(cdc_etcd_follow_t *f, cdc_etcd_gather_t *g,
    const Etcd__Event *ev)
{
    int                     rc;
    size_t                  cap;
    cdc_span_t              key;
    cdc_etcd_kv_t          *kv;
    const cdc_etcd_keys_t  *keys;

    if (ev->kv == NULL || ev->kv->mod_revision <= f->revision) {
        return CDC_OK;                   /* sent twice */
    }

    if (ev->kv->mod_revision != g->revision) {
        rc = cdc_etcd_gather_emit(f, g);
        if (rc != CDC_OK) {
            return rc;
        }

        /* not etcd's order: only a list says what came out of it */

        if (ev->kv->mod_revision < f->revision) {
            return CDC_DECLINED;
        }

        g->revision = ev->kv->mod_revision;
    }

    key = cdc_span_n(ev->kv->key.data, ev->kv->key.len);
    keys = key.len != 0 ? cdc_etcd_keys_of(f, key) : NULL;

    if (keys == NULL) {
        return CDC_OK;
    }

    if (!keys->side) {
        g->grown += (ev->type != 0) ? -1 : ev->kv->version == 1;
    }

    if (g->n == g->cap) {
        cap = g->cap != 0 ? g->cap * 2 : 64;

        kv = realloc(g->kvs, cap * sizeof(cdc_etcd_kv_t));
        if (kv == NULL) {
            return CDC_ERROR;
        }

        g->kvs = kv;
        g->cap = cap;
    }

    kv = &g->kvs[g->n++];

    memset(kv, 0, sizeof(cdc_etcd_kv_t));
    kv->key = key;
    kv->value = cdc_span_n(ev->kv->value.data, ev->kv->value.len);
    kv->mod_revision = ev->kv->mod_revision;
    kv->deleted = (ev->type != 0);

    return CDC_OK;
}


/* takes res over */

static int
cdc_etcd_gather(cdc_etcd_follow_t *f, cdc_etcd_gather_t *g,
    Etcd__WatchResponse *res)
{
    int                    rc;
    size_t                 i, cap;
    Etcd__WatchResponse  **held;

    if (g->nheld == g->held_cap) {
        cap = g->held_cap != 0 ? g->held_cap * 2 : 4;

        held = realloc(g->held, cap * sizeof(Etcd__WatchResponse *));
        if (held == NULL) {
            etcd__watch_response__free_unpacked(res, NULL);
            return CDC_ERROR;
        }

        g->held = held;
        g->held_cap = cap;
    }

    g->held[g->nheld++] = res;
    rc = CDC_OK;

    for (i = 0; rc == CDC_OK && i < res->n_events; i++) {
        rc = cdc_etcd_gather_event(f, g, res->events[i]);
    }

    if (rc != CDC_OK || res->fragment) {
        return rc;
    }

    rc = cdc_etcd_gather_emit(f, g);

    for (i = 0; i < g->nheld; i++) {
        etcd__watch_response__free_unpacked(g->held[i], NULL);
    }

    g->nheld = 0;

    return rc;
}


static int
cdc_etcd_probe(cdc_etcd_follow_t *f, cdc_grpc_error_t *err)
{
    int                   rc;
    Etcd__RangeRequest    req = ETCD__RANGE_REQUEST__INIT;
    Etcd__RangeResponse  *res;

    req.key.data = (uint8_t *) f->keys[0].from;
    req.key.len = strlen(f->keys[0].from);
    req.count_only = 1;

    rc = cdc_etcd_ask(f, &req, CDC_ETCD_ANSWER_MS, &res, err);

    if (rc == CDC_OK) {

        /* restored from a backup: our revision is one that it never had */

        if (res->header->revision < f->revision) {
            rc = CDC_DECLINED;
        }

        etcd__range_response__free_unpacked(res, NULL);
    }

    return rc;
}


static int
cdc_etcd_watch_create(cdc_etcd_follow_t *f, cdc_grpc_error_t *err)
{
    int                       rc;
    size_t                    len;
    uint8_t                  *buf;
    const char               *to;
    Etcd__WatchRequest        req = ETCD__WATCH_REQUEST__INIT;
    Etcd__WatchCreateRequest  create = ETCD__WATCH_CREATE_REQUEST__INIT;

    to = f->keys[f->nkeys - 1].to;

    create.key.data = (uint8_t *) f->keys[0].from;
    create.key.len = strlen(f->keys[0].from);
    create.range_end.data = (uint8_t *) to;
    create.range_end.len = strlen(to);
    create.start_revision = f->revision + 1;
    create.fragment = 1;

    req.request_union_case = ETCD__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
    req.create_request = &create;

    len = etcd__watch_request__get_packed_size(&req);

    buf = malloc(len);
    if (buf == NULL) {
        (void) snprintf(err->text, sizeof(err->text), "no memory");
        return CDC_ERROR;
    }

    (void) etcd__watch_request__pack(&req, buf);

    rc = cdc_grpc_stream_write(f->stream, cdc_span_n(buf, len), err);
    free(buf);

    return rc;
}


/* one response; CDC_DECLINED: what we want is compacted, or has no order */

static int
cdc_etcd_watch_answer(cdc_etcd_follow_t *f, cdc_etcd_gather_t *g,
    cdc_span_t msg, cdc_grpc_error_t *err)
{
    int                   rc;
    int64_t               compacted;
    Etcd__WatchResponse  *res;

    res = etcd__watch_response__unpack(NULL, msg.len, msg.data);

    if (res == NULL) {
        (void) snprintf(err->text, sizeof(err->text),
                        "an answer that is no WatchResponse");
        return CDC_ERROR;
    }

    if (res->canceled) {
        compacted = res->compact_revision;
        (void) snprintf(err->text, sizeof(err->text), "watch refused: %.512s",
                        res->cancel_reason);
        etcd__watch_response__free_unpacked(res, NULL);

        return compacted != 0 ? CDC_DECLINED : CDC_ERROR;
    }

    if (res->created) {
        f->watching = 1;
        rc = cdc_etcd_say(f, CDC_ETCD_UP, NULL);
        if (rc != CDC_OK) {
            etcd__watch_response__free_unpacked(res, NULL);
            return rc;
        }
    }

    rc = cdc_etcd_gather(f, g, res);

    if (rc == CDC_ERROR) {
        (void) snprintf(err->text, sizeof(err->text), "no memory");
    }

    return rc;
}


static int
cdc_etcd_stream_set(cdc_etcd_follow_t *f, cdc_grpc_stream_t *s)
{
    int  stop;

    (void) pthread_mutex_lock(&f->mutex);
    f->stream = s;
    stop = f->stop;
    (void) pthread_mutex_unlock(&f->mutex);

    return stop ? CDC_DONE : CDC_OK;
}


int
cdc_etcd_watch(cdc_etcd_follow_t *f, cdc_grpc_error_t *err)
{
    int                 rc;
    size_t              len;
    uint8_t            *msg;
    cdc_etcd_gather_t   g;
    cdc_grpc_stream_t  *s;

    rc = cdc_etcd_probe(f, err);         /* connected, with a good token */
    if (rc != CDC_OK) {
        return rc;
    }

    s = cdc_grpc_stream_open(f->client.g, "/etcdserverpb.Watch/Watch", err);
    if (s == NULL) {
        return CDC_ERROR;
    }

    memset(&g, 0, sizeof(cdc_etcd_gather_t));

    rc = cdc_etcd_stream_set(f, s);

    if (rc == CDC_OK) {
        rc = cdc_etcd_watch_create(f, err);
    }

    while (rc == CDC_OK) {
        rc = cdc_grpc_stream_read(s, CDC_ETCD_PROBE_MS, &msg, &len, err);

        if (rc == CDC_AGAIN) {
            rc = cdc_etcd_probe(f, err);
            continue;
        }

        if (rc == CDC_OK) {
            rc = cdc_etcd_watch_answer(f, &g, cdc_span_n(msg, len), err);
            free(msg);

        } else if (err->text[0] == '\0') {
            (void) snprintf(err->text, sizeof(err->text),
                            "the watch was ended");
        }
    }

    (void) cdc_etcd_stream_set(f, NULL);
    cdc_grpc_stream_close(s);
    cdc_etcd_gather_free(&g);

    return rc;
}
