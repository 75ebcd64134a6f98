/*
 * What has been read of the source's logs, read again: the places for a
 * stream that begins, where a topic begins when retention has come into the
 * logs, and bodies.  Up to the last whole record only.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc_rocksmq_wal.h"


/* ---- messages --- */

/* CDC_OK: go on */
typedef int (*cdc_rocksmq_each_pt)(void *arg, cdc_span_t topic,
    const cdc_rocksmq_entry_t *e);

typedef struct {
    cdc_rocksmq_each_pt   handler;
    void                 *arg;
    uint32_t              log;
} cdc_rocksmq_each_t;


static int
cdc_rocksmq_each_op(void *arg, const cdc_rocksmq_op_t *op)
{
    cdc_span_t            name;
    cdc_rocksmq_each_t   *each;
    cdc_rocksmq_entry_t   e;

    each = arg;

    if (op->kind != CDC_ROCKSMQ_PUT || op->len > UINT32_MAX
        || cdc_rocksmq_key_parse(op->key, &name, &e.id) != CDC_OK)
    {
        return CDC_OK;
    }

    e.off = op->off;
    e.len = (uint32_t) op->len;
    e.log = each->log;

    return each->handler(each->arg, name, &e);
}


/* each message that lies in a log and was read: whole records only, that were
 * found good before */

static int
cdc_rocksmq_wal_each(cdc_rocksmq_wal_t *wal, cdc_rocksmq_each_pt handler,
    void *arg, char *err)
{
    size_t                i;
    cdc_rocksmq_file_t    file;
    cdc_rocksmq_part_t    part;
    cdc_rocksmq_each_t    each;
    cdc_rocksmq_batch_t   batch;

    each.handler = handler;
    each.arg = arg;
    batch.handler = cdc_rocksmq_each_op;
    batch.arg = &each;

    for (i = 0; i < wal->nlogs && i <= wal->current; i++) {
        file = wal->logs[i].file;
        file.off = 0;
        each.log = (uint32_t) wal->logs[i].number;

        while (file.off < wal->logs[i].end) {

            if (cdc_rocksmq_part(&file, &wal->window, &part, err) != CDC_OK) {
                (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.300s\": "
                                "%06" PRIu64 ".log has changed", wal->dir,
                                wal->logs[i].number);
                return CDC_ERROR;
            }

            if (part.type == CDC_ROCKSMQ_FULL
                || part.type == CDC_ROCKSMQ_FIRST)
            {
                cdc_rocksmq_batch_start(&batch);
            }

            if (cdc_rocksmq_batch_add(&batch, part.data, part.len, part.off)
                != CDC_OK)
            {
                (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");
                return CDC_ERROR;
            }
        }
    }

    return CDC_OK;
}


static int
cdc_rocksmq_again_one(void *arg, cdc_span_t name, const cdc_rocksmq_entry_t *e)
{
    cdc_rocksmq_topic_t  *t;

    t = cdc_rocksmq_topic(arg, name, 0);

    return t != NULL && t->fresh && e->id >= t->purged
           ? cdc_rocksmq_topic_keep(t, e) : CDC_OK;
}


int
cdc_rocksmq_wal_again(cdc_rocksmq_wal_t *wal, char *err)
{
    int                   rc;
    size_t                i, n;
    cdc_rocksmq_topic_t  *t;

    n = 0;

    for (i = 0; i < CDC_ROCKSMQ_BUCKETS; i++) {
        for (t = wal->topics.topics[i]; t != NULL; t = t->next) {
            n += t->fresh && t->nids != 0;
        }
    }

    rc = n != 0 ? cdc_rocksmq_wal_each(wal, cdc_rocksmq_again_one,
                                       &wal->topics, err) : CDC_OK;

    for (i = 0; rc == CDC_OK && i < CDC_ROCKSMQ_BUCKETS; i++) {
        for (t = wal->topics.topics[i]; t != NULL; t = t->next) {
            t->fresh = 0;
        }
    }

    return rc;
}


/* ---- where a topic begins and ends --- */

typedef struct {
    cdc_rocksmq_topic_t  *topic;
    uint64_t              first;
} cdc_rocksmq_first_t;


static int
cdc_rocksmq_first_one(void *arg, cdc_span_t name, const cdc_rocksmq_entry_t *e)
{
    cdc_rocksmq_first_t  *f;

    f = arg;

    if (name.len == f->topic->len
        && memcmp(name.data, f->topic->name, name.len) == 0
        && e->id >= f->topic->purged && (f->first == 0 || e->id < f->first))
    {
        f->first = e->id;
    }

    return CDC_OK;
}


int
cdc_rocksmq_wal_ends(cdc_rocksmq_wal_t *wal, cdc_rocksmq_topic_t *t,
    uint64_t *first, uint64_t *last, char *err)
{
    size_t                i;
    cdc_rocksmq_first_t   f;

    *first = 0;
    *last = 0;

    for (i = 0; t != NULL && i < t->nids; i++) {

        if (t->ids[i].last < t->purged) {
            continue;
        }

        if (*first == 0) {
            *first = t->ids[i].first;
        }

        *last = t->ids[i].last;
    }

    if (*first == 0 || *first >= t->purged) {
        return CDC_OK;
    }

    /* retention has come as far as into this log */

    f.topic = t;
    f.first = 0;

    if (cdc_rocksmq_wal_each(wal, cdc_rocksmq_first_one, &f, err) != CDC_OK) {
        return CDC_ERROR;
    }

    *first = f.first;

    for (i = 0; i < t->nids; i++) {      /* so that it need not be again */
        if (t->ids[i].last >= f.first && t->ids[i].first < f.first) {
            t->ids[i].first = f.first;
        }
    }

    return CDC_OK;
}


/* ---- bodies --- */

int
cdc_rocksmq_wal_body(cdc_rocksmq_wal_t *wal, const cdc_rocksmq_entry_t *e,
    uint8_t *body, char *err)
{
    int                    fd;
    size_t                 i, n, left;
    ssize_t                got;
    uint64_t               off;
    cdc_rocksmq_window_t  *w;

    for (i = 0; i < wal->nlogs && wal->logs[i].number != e->log; i++) {
        /* void */
    }

    fd = i < wal->nlogs ? wal->logs[i].file.fd : -1;
    off = e->off;

    /* a message that has just come, most often */

    w = &wal->window;

    if (fd != -1 && fd == w->fd && off >= w->off
        && off + e->len <= w->off + w->len
        && off % CDC_ROCKSMQ_BLOCK + e->len <= CDC_ROCKSMQ_BLOCK)
    {
        memcpy(body, w->data + (off - w->off), e->len);
        return CDC_OK;
    }

    for (left = e->len; left > 0; left -= (size_t) got, body += got) {

        n = CDC_ROCKSMQ_BLOCK - off % CDC_ROCKSMQ_BLOCK;
        n = n < left ? n : left;

        do {
            got = pread(fd, body, n, (off_t) off);
        } while (got == -1 && errno == EINTR);

        if (got <= 0) {
            (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.300s\": reading "
                            "%06u.log failed: %s", wal->dir, e->log,
                            got == 0 ? "it has been cut" : strerror(errno));
            return CDC_ERROR;
        }

        off += (uint64_t) got;

        if (off % CDC_ROCKSMQ_BLOCK == 0) {
            off += CDC_ROCKSMQ_HEADER;
        }
    }

    return CDC_OK;
}
