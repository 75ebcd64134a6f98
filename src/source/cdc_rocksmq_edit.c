/*
 * The MANIFEST: which logs are needed beside the tables.
 *
 * RocksDB's own secondary reads it for the tables, and does not tell from
 * which log on the column family "default" has messages that are in none.  (It
 * tells the oldest log that any family needs: the small properties of
 * messages may keep a gigabyte of logs whose messages are long in tables.)
 *
 * A record is an edit, fields with a tag before each.  Edits of a group count
 * when the group is whole.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc_rocksmq_wal.h"
#include "cdc_wire.h"


#define CDC_ROCKSMQ_EDIT_MAX  (64 * 1024 * 1024)

#define CDC_ROCKSMQ_LOG_TAG    2
#define CDC_ROCKSMQ_SEQ_TAG    4
#define CDC_ROCKSMQ_CF_TAG     200
#define CDC_ROCKSMQ_GROUP_TAG  300
#define CDC_ROCKSMQ_FILE_TAG   103
#define CDC_ROCKSMQ_SKIP_TAG   (1 << 13) /* those above may be unknown */


/* of each tag its fields: n a number, s bytes with their length before them */

static const struct {
    unsigned     tag;
    const char  *fields;
} cdc_rocksmq_edits[] = {
    { 1, "s" },                          /* comparator */
    { CDC_ROCKSMQ_LOG_TAG, "n" },
    { 3, "n" },                          /* next file */
    { CDC_ROCKSMQ_SEQ_TAG, "n" },        /* the last one in tables */
    { 5, "ns" },                         /* where compaction is */
    { 6, "nn" },                         /* a file that is deleted */
    { 7, "nnnss" },                      /* a new file, and ... */
    { 9, "n" },                          /* the log before */
    { 10, "n" },                         /* the oldest log needed */
    { 100, "nnnssnn" },                  /* ... in later forms */
    { 102, "nnnnssnn" },
    { CDC_ROCKSMQ_FILE_TAG, "nnnssnn" }, /* and fields of its own */
    { CDC_ROCKSMQ_CF_TAG, "n" },
    { 201, "s" },                        /* a family is new */
    { 202, "" },                         /* or dropped */
    { 203, "n" },                        /* the largest one */
    { CDC_ROCKSMQ_GROUP_TAG, "n" },      /* how many are to follow */
    { 8194, NULL },                      /* have no length before them */
    { 8195, NULL },
    { 8196, NULL },
    { 8197, NULL }
};

#define CDC_ROCKSMQ_EDITS                                                    \
    (sizeof(cdc_rocksmq_edits) / sizeof(cdc_rocksmq_edits[0]))


static int
cdc_rocksmq_edit_bytes(cdc_span_t *in)
{
    uint64_t  n;

    if (cdc_wire_read_varint(in, &n) != CDC_OK || n > in->len) {
        return CDC_ERROR;
    }

    in->data += n;
    in->len -= (size_t) n;

    return CDC_OK;
}


/* the last of its numbers */

static int
cdc_rocksmq_edit_fields(cdc_span_t *in, const char *fields, uint64_t *number)
{
    *number = 0;

    for (; *fields != '\0'; fields++) {

        if ((*fields == 'n' ? cdc_wire_read_varint(in, number)
                            : cdc_rocksmq_edit_bytes(in)) != CDC_OK)
        {
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


static int
cdc_rocksmq_edit_tag(cdc_span_t *in, uint64_t tag, uint64_t *number)
{
    size_t    i;
    uint64_t  n;

    for (i = 0; i < CDC_ROCKSMQ_EDITS; i++) {
        if (cdc_rocksmq_edits[i].tag == tag) {
            break;
        }
    }

    if (i == CDC_ROCKSMQ_EDITS) {
        return (tag & CDC_ROCKSMQ_SKIP_TAG) ? cdc_rocksmq_edit_bytes(in)
                                            : CDC_ERROR;
    }

    if (cdc_rocksmq_edits[i].fields == NULL
        || cdc_rocksmq_edit_fields(in, cdc_rocksmq_edits[i].fields, number)
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    if (tag != CDC_ROCKSMQ_FILE_TAG) {
        return CDC_OK;
    }

    for ( ;; ) {

        if (cdc_wire_read_varint(in, &n) != CDC_OK) {
            return CDC_ERROR;
        }

        if (n == 1) {                    /* no more fields */
            return CDC_OK;
        }

        if (cdc_rocksmq_edit_bytes(in) != CDC_OK) {
            return CDC_ERROR;
        }
    }
}


int
cdc_rocksmq_edit(cdc_rocksmq_manifest_t *m, const uint8_t *p, size_t len)
{
    uint64_t    tag, number, cf, log, more;
    cdc_span_t  in;

    in = cdc_span_n(p, len);
    cf = 0;
    log = 0;
    more = 0;

    while (in.len > 0) {

        if (cdc_wire_read_varint(&in, &tag) != CDC_OK
            || cdc_rocksmq_edit_tag(&in, tag, &number) != CDC_OK)
        {
            return CDC_ERROR;
        }

        switch (tag) {

        case CDC_ROCKSMQ_LOG_TAG:
            log = number;
            break;

        case CDC_ROCKSMQ_SEQ_TAG:
            m->sequence = number > m->sequence ? number : m->sequence;
            break;

        case CDC_ROCKSMQ_CF_TAG:
            cf = number;
            break;

        case CDC_ROCKSMQ_GROUP_TAG:
            more = number;
            break;
        }
    }

    if (cf == 0 && log > m->next) {
        m->next = log;
    }

    if (more == 0) {
        m->log = m->next;
    }

    return CDC_OK;
}


/* ---- the file --- */

void
cdc_rocksmq_manifest_init(cdc_rocksmq_manifest_t *m)
{
    memset(m, 0, sizeof(cdc_rocksmq_manifest_t));
    m->file.fd = -1;
}


void
cdc_rocksmq_manifest_close(cdc_rocksmq_manifest_t *m)
{
    if (m->file.fd != -1) {
        (void) close(m->file.fd);
    }

    free(m->record);
    cdc_rocksmq_manifest_init(m);
}


static int
cdc_rocksmq_manifest_add(cdc_rocksmq_manifest_t *m,
    const cdc_rocksmq_part_t *part)
{
    void    *p;
    size_t   size;

    if (part->type == CDC_ROCKSMQ_FULL || part->type == CDC_ROCKSMQ_FIRST) {
        m->len = 0;
        m->within = 1;
    }

    if (!m->within || part->len > CDC_ROCKSMQ_EDIT_MAX - m->len) {
        return CDC_ERROR;
    }

    if (m->len + part->len > m->size) {
        size = m->size + part->len + CDC_ROCKSMQ_BLOCK;
        p = realloc(m->record, size);

        if (p == NULL) {
            return CDC_ERROR;
        }

        m->record = p;
        m->size = size;
    }

    if (part->len != 0) {
        memcpy(m->record + m->len, part->data, part->len);
        m->len += part->len;
    }

    if (part->type == CDC_ROCKSMQ_FIRST || part->type == CDC_ROCKSMQ_MIDDLE) {
        return CDC_OK;
    }

    m->within = 0;

    return cdc_rocksmq_edit(m, m->record, m->len);
}


int
cdc_rocksmq_manifest_read(cdc_rocksmq_manifest_t *m, const char *dir,
    const char *name, cdc_rocksmq_window_t *w, char *err)
{
    int                  rc;
    char                 path[4096], why[CDC_REASON_MAX];
    cdc_rocksmq_part_t   part;

    if (strcmp(m->name, name) != 0) {
        cdc_rocksmq_manifest_close(m);
        (void) snprintf(m->name, sizeof(m->name), "%s", name);
    }

    if (m->file.fd == -1) {
        (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
        m->file.fd = open(path, O_RDONLY|O_CLOEXEC);

        if (m->file.fd == -1 && errno == ENOENT) {
            return CDC_AGAIN;
        }

        if (m->file.fd == -1) {
            (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.300s\": open() "
                            "of \"%.64s\" failed: %s", dir, name,
                            strerror(errno));
            return CDC_ERROR;
        }

        w->len = 0;                      /* a descriptor may come again */
    }

    while ((rc = cdc_rocksmq_part(&m->file, w, &part, why)) == CDC_OK) {

        if (cdc_rocksmq_manifest_add(m, &part) != CDC_OK) {
            (void) snprintf(why, sizeof(why), "an edit is not understood");
            rc = CDC_ERROR;
            break;
        }
    }

    if (rc == CDC_AGAIN) {
        return CDC_OK;
    }

    (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.300s\": \"%.64s\": "
                    "%.400s", dir, name, why);
    cdc_rocksmq_manifest_close(m);

    return CDC_ERROR;
}
