/*
 * Where in an etcd do Milvus clusters have their metadata?
 *
 * A cluster's keys are <root>/<meta>/root-coord/..., and there may be
 * millions of others.  So we jump: from the first key at or behind a place,
 * each folder on its way is asked for a "root-coord/" of its own; where there
 * is none, the next place is behind the key's folder, where there is one,
 * behind the whole cluster.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_etcd_int.h"


#define CDC_ETCD_ROOT_KEY    512         /* longer ones are none of these */
#define CDC_ETCD_ROOT_STEPS  200         /* calls */
#define CDC_ETCD_ROOT_MARK   "root-coord/"


typedef struct {
    cdc_etcd_client_t  client;
    uint64_t           end;              /* cdc_now_ms() */
    unsigned           steps;
} cdc_etcd_roots_t;


/* the first key from "from" up to "to"; CDC_DECLINED: none */

static int
cdc_etcd_root_first(cdc_etcd_roots_t *r, const char *from, const char *to,
    char key[CDC_ETCD_ROOT_KEY])
{
    int                   rc;
    uint64_t              now;
    cdc_grpc_error_t      err;
    Etcd__RangeRequest    req = ETCD__RANGE_REQUEST__INIT;
    Etcd__RangeResponse  *res;

    now = cdc_now_ms();

    if (now >= r->end || r->steps++ == CDC_ETCD_ROOT_STEPS) {
        return CDC_ERROR;
    }

    /* a NUL is the first key there can be, and to etcd the end of all */

    req.key.data = (uint8_t *) from;
    req.key.len = *from != '\0' ? strlen(from) : 1;
    req.range_end.data = (uint8_t *) to;
    req.range_end.len = *to != '\0' ? strlen(to) : 1;
    req.limit = 1;
    req.keys_only = 1;

    if (cdc_etcd_client_range(&r->client, &req, (unsigned) (r->end - now),
                              &res, &err)
        != CDC_OK)
    {
        return CDC_ERROR;
    }

    rc = CDC_DECLINED;

    if (res->n_kvs == 1) {
        rc = CDC_OK;
        (void) snprintf(key, CDC_ETCD_ROOT_KEY, "%.*s",
                        (int) res->kvs[0]->key.len,
                        (const char *) res->kvs[0]->key.data);
    }

    etcd__range_response__free_unpacked(res, NULL);

    return rc;
}


/* is there a root-coord/ in the folder that key[0 .. n) names? */

static int
cdc_etcd_root_here(cdc_etcd_roots_t *r, const char *key, size_t n)
{
    char  from[CDC_ETCD_ROOT_KEY + 16], to[CDC_ETCD_ROOT_KEY + 16];
    char  found[CDC_ETCD_ROOT_KEY];

    (void) snprintf(from, sizeof(from), "%.*s" CDC_ETCD_ROOT_MARK, (int) n,
                    key);
    (void) snprintf(to, sizeof(to), "%s", from);
    to[strlen(to) - 1] = '/' + 1;

    return cdc_etcd_root_first(r, from, to, found);
}


/* CDC_OK: *next is set; CDC_DONE: fn has had enough */

static int
cdc_etcd_root_look(cdc_etcd_roots_t *r, const char *key,
    char next[CDC_ETCD_ROOT_KEY],
    int (*fn)(void *arg, const char *root, const char *meta), void *arg)
{
    int          rc;
    char         root[CDC_ETCD_ROOT_KEY];
    char        *meta;
    size_t       n, last;
    const char  *p;

    last = 0;

    for (p = strchr(key, '/'); p != NULL; p = strchr(p + 1, '/')) {
        n = (size_t) (p - key) + 1;
        rc = cdc_etcd_root_here(r, key, n);

        if (rc == CDC_ERROR) {
            return CDC_ERROR;
        }

        last = n;

        if (rc == CDC_DECLINED) {
            continue;
        }

        (void) snprintf(root, sizeof(root), "%.*s", (int) n - 1, key);
        meta = strrchr(root, '/');

        if (meta != NULL) {
            *meta++ = '\0';

            if (fn(arg, root, meta) != CDC_OK) {
                return CDC_DONE;
            }
        }

        break;
    }

    /* behind the folder, or, beside all folders, behind the key */

    (void) snprintf(next, CDC_ETCD_ROOT_KEY, "%.*s",
                    (int) (last != 0 ? last : CDC_ETCD_ROOT_KEY - 2), key);
    n = strlen(next);

    if (last != 0) {
        next[n - 1] = '/' + 1;

    } else {
        next[n] = '\1';
        next[n + 1] = '\0';
    }

    return CDC_OK;
}


void
cdc_etcd_roots(const void *conf, unsigned ms,
    int (*fn)(void *arg, const char *root, const char *meta), void *arg)
{
    char              err[CDC_REASON_MAX];
    char              key[CDC_ETCD_ROOT_KEY], next[CDC_ETCD_ROOT_KEY];
    cdc_etcd_roots_t  r;

    memset(&r, 0, sizeof(cdc_etcd_roots_t));

    if (cdc_etcd_client_init(&r.client, conf, err) != CDC_OK) {
        return;
    }

    r.end = cdc_now_ms() + ms;
    next[0] = '\0';

    while (cdc_etcd_root_first(&r, next, "", key) == CDC_OK
           && cdc_etcd_root_look(&r, key, next, fn, arg) == CDC_OK)
    {
        /* the next one */
    }

    cdc_etcd_client_free(&r.client);
}
