/*
 * Feeds the catalogue with keys and values, and writes down what it tells.
 */

#ifndef SOURCE_FEED_H_INCLUDED
#define SOURCE_FEED_H_INCLUDED

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "source_sample.h"
#include "source/cdc_meta_int.h"
#include "milvus_service.pb-c.h"


static cdc_meta_t  m;
static char        log_[8192];           /* what the handlers were told */
static char        requests[2048];


static void __attribute__((format(printf, 1, 2)))
say(const char *fmt, ...)
{
    size_t   n;
    va_list  args;

    n = strlen(log_);

    va_start(args, fmt);
    (void) vsnprintf(log_ + n, sizeof(log_) - n, fmt, args);
    va_end(args);
}


static void
on_listed(void *arg)
{
    say("listed ");
}


static void
on_database(void *arg, const cdc_meta_db_t *db)
{
    say("%sdb:%s ", db->gone ? "-" : "+", db->name);
}


static void
on_collection(void *arg, const cdc_meta_collection_t *c)
{
    say("%s%s.%s ", c->gone ? "-" : "+", c->db, c->name);
}


static void
on_partition(void *arg, const cdc_meta_collection_t *c,
    const cdc_meta_partition_t *p)
{
    say("%s%s/%s ", p->gone ? "-" : "+", c->name, p->name);
}


static void
on_alias(void *arg, const cdc_meta_alias_t *a)
{
    if (a->collection_id == 0) {
        say("-%s.%s@%llu ", a->db, a->name, (unsigned long long) a->ts);
        return;
    }

    say("%s.%s=%d@%llu ", a->db, a->name, (int) (a->collection_id % 1000),
        (unsigned long long) a->ts);
}


static int
on_each_alias(void *arg, const cdc_meta_alias_t *a)
{
    on_alias(arg, a);

    return CDC_OK;
}


static void
on_rbac(void *arg, const cdc_meta_rbac_t *e)
{
    unsigned  i;

    say("%s", e->gone ? "-" : "+");

    switch (e->kind) {

    case CDC_META_USER:
        say("user:%s:%.9s ", e->user, e->password_hash);
        break;

    case CDC_META_ROLE:
        say("role:%s ", e->role);
        break;

    case CDC_META_PRIVILEGE_GROUP:
        say("group:%s", e->group);

        for (i = 0; i < e->nprivileges; i++) {
            say("%c%s", i == 0 ? ':' : ',', e->privileges[i]);
        }

        say(" ");
        break;

    case CDC_META_USER_ROLE:
        say("%s/%s ", e->user, e->role);
        break;

    case CDC_META_GRANT:
        say("%s:%s:%s.%s:%s:%s ", e->role, e->object_type, e->db, e->object,
            e->privilege, e->grantor);
    }
}


static int
on_each_rbac(void *arg, const cdc_meta_rbac_t *e)
{
    on_rbac(arg, e);

    return CDC_OK;
}


static void
on_released(void *arg, int64_t c, int64_t p)
{
    say("r%d%s ", (int) (c % 1000), p != 0 ? "p" : "");
}


static const cdc_meta_handler_t  handler = {
    .listed = on_listed,
    .database = on_database,
    .collection = on_collection,
    .partition = on_partition,
    .alias = on_alias,
    .rbac = on_rbac,
    .released = on_released
};


/* keys with a prefix in front, as etcd has them */

static cdc_etcd_kv_t *
kvs_of(const sample_t *s, size_t n, char **keys)
{
    size_t          i;
    cdc_etcd_kv_t  *kv;

    kv = calloc(n + 1, sizeof(cdc_etcd_kv_t));
    *keys = calloc(n + 1, 256);

    for (i = 0; i < n; i++) {
        (void) snprintf(*keys + i * 256, 256, "by-dev/meta/%s", s[i].key);
        kv[i].key = cdc_span_n(*keys + i * 256, strlen(*keys + i * 256));
        kv[i].value = cdc_span_n(s[i].value, s[i].len);
        kv[i].deleted = s[i].deleted;
    }

    return kv;
}


static void
feed(cdc_etcd_kind_e kind, const sample_t *s, size_t n, int first, int last)
{
    char              *keys;
    cdc_etcd_batch_t   b;

    memset(&b, 0, sizeof(b));
    b.kind = kind;
    b.n = n;
    b.kvs = kvs_of(s, n, &keys);
    b.first = first;
    b.last = last;

    cdc_meta_apply(&m, &b);

    free(keys);
    free(b.kvs);
}


/* the events of these revisions, one after the other */

static void
feed_revisions(const sample_t *s, size_t n, int from, int to)
{
    size_t  i, k;

    for (i = 0; i < n; i = k) {
        for (k = i + 1; k < n && s[k].revision == s[i].revision; k++) {
            /* one revision */
        }

        if (s[i].revision >= from && s[i].revision <= to) {
            feed(CDC_ETCD_EVENTS, &s[i], k - i, 0, 0);
        }
    }
}


static void
start(void)
{
    log_[0] = '\0';
    (void) cdc_meta_create(&m, &handler, "by-dev/meta/");
}


/* what the handlers were told since the last time */

static __attribute__((unused)) const char *
told(void)
{
    static char  copy[sizeof(log_)];

    (void) snprintf(copy, sizeof(copy), "%s", log_);
    log_[0] = '\0';

    return copy;
}


static __attribute__((unused)) const char *
each_alias(void)
{
    log_[0] = '\0';
    (void) cdc_meta_each_alias(&m, on_each_alias, NULL);

    return told();
}


static __attribute__((unused)) const char *
each_rbac(void)
{
    log_[0] = '\0';
    (void) cdc_meta_each_rbac(&m, on_each_rbac, NULL);

    return told();
}


static __attribute__((unused)) const cdc_meta_collection_t *
named(const char *db, const char *name, uint64_t ts)
{
    return cdc_meta_by_name(&m, cdc_span_n(db, strlen(db)),
                            cdc_span_n(name, strlen(name)), ts);
}


/* ---- requests --- */

static int
on_request(void *arg, cdc_span_t r)
{
    size_t                                  i, n;
    cdc_op_envelope_t                       op;
    Milvus__Service__CreateIndexRequest    *ci;

    memset(&op, 0, sizeof(op));
    n = strlen(requests);

    if (cdc_wire_op_envelope(r, &op) != CDC_OK) {
        return CDC_ERROR;
    }

    n += (size_t) snprintf(requests + n, sizeof(requests) - n,
                           "%d %.*s.%.*s", op.type, (int) op.db_name.len,
                           (const char *) op.db_name.data,
                           (int) op.names[0].len,
                           (const char *) op.names[0].data);

    if (op.type == CDC_MSG_CREATE_INDEX) {
        ci = milvus__service__create_index_request__unpack(NULL, r.len,
                                                           r.data);

        n += (size_t) snprintf(requests + n, sizeof(requests) - n, " %s %s",
                               ci->field_name, ci->index_name);

        for (i = 0; i < ci->n_extra_params; i++) {
            n += (size_t) snprintf(requests + n, sizeof(requests) - n,
                                   " %s=%s", ci->extra_params[i]->key,
                                   ci->extra_params[i]->value);
        }

        milvus__service__create_index_request__free_unpacked(ci, NULL);

    } else {
        for (i = 0; i < r.len; i++) {
            n += (size_t) snprintf(requests + n, sizeof(requests) - n,
                                   "%s%02x", i == 0 ? " " : "", r.data[i]);
        }
    }

    (void) snprintf(requests + n, sizeof(requests) - n, "\n");

    return CDC_OK;
}


/* a revision of one change */

static __attribute__((unused)) const char *
one(int deleted, const char *key, size_t len, const char *value)
{
    sample_t  s;

    s.deleted = deleted;
    s.key = key;
    s.len = len;
    s.value = value;

    log_[0] = '\0';
    feed(CDC_ETCD_EVENTS, &s, 1, 0, 0);

    return told();
}


static __attribute__((unused)) const char *
requests_of(int64_t id)
{
    requests[0] = '\0';
    (void) cdc_meta_each_operation(&m, id, on_request, NULL);

    return requests;
}


#endif /* SOURCE_FEED_H_INCLUDED */
