/*
 * What lies in the source's logs, by topic: the ids of the first and the last
 * message in each log, how far retention has come, and for a topic that a
 * stream reads the place of each message that it has not read.
 *
 * A place takes 24 bytes.  What the source keeps in memory is in logs, so
 * there are no more of them than messages fit in there; a stream that is at
 * the end has none.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdlib.h>
#include <string.h>

#include "cdc_rocksmq_wal.h"


#define CDC_ROCKSMQ_ENTRIES  64          /* at first */


/* ---- keys --- */

int
cdc_rocksmq_digits(const uint8_t *p, size_t len, uint64_t *id)
{
    size_t    i;
    uint64_t  n;

    if (len == 0 || len > 19) {
        return CDC_ERROR;
    }

    for (i = 0, n = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return CDC_ERROR;
        }

        n = n * 10 + (uint64_t) (p[i] - '0');
    }

    *id = n;

    return CDC_OK;
}


int
cdc_rocksmq_key_parse(cdc_span_t key, cdc_span_t *topic, uint64_t *id)
{
    const uint8_t  *slash;

    slash = key.len != 0 ? memrchr(key.data, '/', key.len) : NULL;

    if (slash == NULL) {
        return CDC_ERROR;
    }

    *topic = cdc_span_n(key.data, (size_t) (slash - key.data));

    return cdc_rocksmq_digits(slash + 1,
                              (size_t) (key.data + key.len - slash - 1), id);
}


/* ---- topics --- */

cdc_rocksmq_topic_t *
cdc_rocksmq_topic(cdc_rocksmq_topics_t *topics, cdc_span_t name, int create)
{
    size_t                 i;
    uint32_t               h;
    cdc_rocksmq_topic_t   *t, **bucket;

    for (i = 0, h = 5381; i < name.len; i++) {
        h = h * 33 + name.data[i];
    }

    bucket = &topics->topics[(h ^ h >> 16) % CDC_ROCKSMQ_BUCKETS];

    for (t = *bucket; t != NULL; t = t->next) {
        if (t->len == name.len && memcmp(t->name, name.data, t->len) == 0) {
            return t;
        }
    }

    if (!create) {
        return NULL;
    }

    t = calloc(1, sizeof(cdc_rocksmq_topic_t) + name.len + 1);

    if (t != NULL) {
        t->len = name.len;
        memcpy(t->name, name.data, name.len);
        t->next = *bucket;
        *bucket = t;
    }

    return t;
}


static void
cdc_rocksmq_topic_free(cdc_rocksmq_topic_t *t)
{
    free(t->ids);
    free(t->entries);
    free(t);
}


void
cdc_rocksmq_topics_free(cdc_rocksmq_topics_t *topics)
{
    size_t                i;
    cdc_rocksmq_topic_t  *t;

    for (i = 0; i < CDC_ROCKSMQ_BUCKETS; i++) {
        while ((t = topics->topics[i]) != NULL) {
            topics->topics[i] = t->next;
            cdc_rocksmq_topic_free(t);
        }
    }
}


/* ---- messages --- */

int
cdc_rocksmq_topic_keep(cdc_rocksmq_topic_t *t, const cdc_rocksmq_entry_t *e)
{
    size_t                n;
    cdc_rocksmq_entry_t  *entries;

    if (e->id < t->from
        || (t->head != t->tail && t->entries[t->tail - 1].id >= e->id))
    {
        return CDC_OK;
    }

    if (t->tail == t->size && t->head >= t->size / 2 && t->head != 0) {
        t->tail -= t->head;
        memmove(t->entries, t->entries + t->head,
                t->tail * sizeof(cdc_rocksmq_entry_t));
        t->head = 0;
    }

    if (t->tail == t->size) {
        n = t->size != 0 ? t->size + t->size / 2 : CDC_ROCKSMQ_ENTRIES;
        entries = realloc(t->entries, n * sizeof(cdc_rocksmq_entry_t));

        if (entries == NULL) {
            return CDC_ERROR;
        }

        t->entries = entries;
        t->size = n;
    }

    t->entries[t->tail++] = *e;

    return CDC_OK;
}


int
cdc_rocksmq_topic_put(cdc_rocksmq_topic_t *t, const cdc_rocksmq_entry_t *e)
{
    cdc_rocksmq_ids_t  *ids;

    ids = t->nids != 0 ? &t->ids[t->nids - 1] : NULL;

    if (ids == NULL || ids->log != e->log) {
        ids = realloc(t->ids, (t->nids + 1) * sizeof(cdc_rocksmq_ids_t));

        if (ids == NULL) {
            return CDC_ERROR;
        }

        t->ids = ids;
        ids += t->nids++;
        ids->log = e->log;
        ids->first = e->id;
        ids->last = e->id;
    }

    ids->first = e->id < ids->first ? e->id : ids->first;
    ids->last = e->id > ids->last ? e->id : ids->last;

    if (e->id < t->purged) {             /* written after it */
        t->purged = e->id;
    }

    return t->wanted && !t->fresh ? cdc_rocksmq_topic_keep(t, e) : CDC_OK;
}


/* ---- retention --- */

/* how far the range [key, end) goes in the topic; 0: not at all */

static uint64_t
cdc_rocksmq_reach(const cdc_rocksmq_topic_t *t, cdc_span_t key,
    cdc_span_t end)
{
    int       ours, rc;
    size_t    len;
    uint64_t  to;

    len = key.len < t->len + 1 ? key.len : t->len + 1;
    rc = memcmp(key.data, t->name, len < t->len ? len : t->len);
    ours = rc == 0 && key.len > t->len && key.data[t->len] == '/';

    if (!ours && (rc > 0 || (rc == 0 && key.len > t->len
                             && key.data[t->len] > '/')))
    {
        return 0;                        /* it begins behind */
    }

    len = end.len < t->len ? end.len : t->len;
    rc = memcmp(end.data, t->name, len);

    if (rc != 0 || end.len <= t->len || end.data[t->len] != '/') {
        return rc > 0 || (rc == 0 && end.len > t->len
                          && end.data[t->len] > '/') ? UINT64_MAX : 0;
    }

    if (cdc_rocksmq_digits(end.data + t->len + 1, end.len - t->len - 1, &to)
        == CDC_OK)
    {
        return to;
    }

    return end.len > t->len + 1 && end.data[t->len + 1] > '9' ? UINT64_MAX : 0;
}


void
cdc_rocksmq_topics_purge(cdc_rocksmq_topics_t *topics, cdc_span_t key,
    cdc_span_t end, uint64_t log)
{
    size_t                i;
    uint64_t              id, to;
    cdc_span_t            name;
    cdc_rocksmq_topic_t  *t;

    /* it may be of one that has messages in tables only */

    if (cdc_rocksmq_key_parse(key, &name, &id) == CDC_OK) {
        (void) cdc_rocksmq_topic(topics, name, 1);
    }

    for (i = 0; i < CDC_ROCKSMQ_BUCKETS; i++) {
        for (t = topics->topics[i]; t != NULL; t = t->next) {

            to = cdc_rocksmq_reach(t, key, end);

            if (to == UINT64_MAX && t->nids != 0) {
                to = t->ids[t->nids - 1].last + 1;
            }

            if (to != 0) {
                t->purged = to > t->purged ? to : t->purged;
                t->purged_log = log;
            }
        }
    }
}


/* ---- logs that are in tables --- */

static void
cdc_rocksmq_topic_drop(cdc_rocksmq_topic_t *t, uint64_t log)
{
    size_t  n;

    for (n = 0; n < t->nids && t->ids[n].log < log; n++) {
        /* void */
    }

    t->nids -= n;

    if (n != 0) {
        memmove(t->ids, t->ids + n, t->nids * sizeof(cdc_rocksmq_ids_t));
    }

    if (t->purged_log < log) {
        t->purged = 0;
    }

    if (t->head != t->tail && t->entries[t->head].log < log
        && t->lost == 0)
    {
        t->lost = t->entries[t->head].id + 1;
    }

    while (t->head != t->tail && t->entries[t->head].log < log) {
        t->head++;
    }
}


void
cdc_rocksmq_topics_drop(cdc_rocksmq_topics_t *topics, uint64_t log)
{
    size_t                 i;
    cdc_rocksmq_topic_t   *t, **link;

    for (i = 0; i < CDC_ROCKSMQ_BUCKETS; i++) {
        link = &topics->topics[i];

        while ((t = *link) != NULL) {
            cdc_rocksmq_topic_drop(t, log);

            if (t->nids == 0 && t->purged == 0 && !t->wanted) {
                *link = t->next;
                cdc_rocksmq_topic_free(t);

            } else {
                link = &t->next;
            }
        }
    }
}


/* ---- of a stream --- */

void
cdc_rocksmq_topic_want(cdc_rocksmq_topic_t *t, uint64_t from)
{
    cdc_rocksmq_topic_leave(t);
    t->wanted = 1;
    t->fresh = 1;
    t->from = from;
}


void
cdc_rocksmq_topic_leave(cdc_rocksmq_topic_t *t)
{
    free(t->entries);
    t->entries = NULL;
    t->head = 0;
    t->tail = 0;
    t->size = 0;
    t->lost = 0;
    t->wanted = 0;
    t->fresh = 0;
}


const cdc_rocksmq_entry_t *
cdc_rocksmq_topic_next(cdc_rocksmq_topic_t *t, uint64_t from)
{
    while (t->head != t->tail && t->entries[t->head].id < from) {
        t->head++;
    }

    if (t->head != t->tail) {
        return &t->entries[t->head];
    }

    /* what a backlog needed is not kept */

    t->head = 0;
    t->tail = 0;

    if (t->size > CDC_ROCKSMQ_ENTRIES) {
        free(t->entries);
        t->entries = NULL;
        t->size = 0;
    }

    return NULL;
}
