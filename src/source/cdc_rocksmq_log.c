/*
 * The format that RocksDB's write-ahead logs and its MANIFEST share.
 *
 * A file is blocks of 32 KiB; parts lie in them one behind the other and
 * never cross the end of one.  A part has a checksum (CRC-32C of the type and
 * the data, rotated and shifted), a length and a type; a record is one part,
 * or a first, any number of middle ones and a last one.  Less than a header
 * at the end of a block is filled up.
 *
 * The file grows while it is read.  What is not there yet, and zeros that
 * were laid out in advance, is nothing.  A part whose checksum is wrong may be
 * half written; it is an error only when it stays so for a while and more
 * lies behind it.  It is never passed over.
 *
 * Parts of recycled logs (types 5 to 8) and compressed records (9) are
 * refused: RocksMQ has no way to ask RocksDB for them.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc_rocksmq_wal.h"
#include "cdc_runtime.h"


#define CDC_ROCKSMQ_PATIENCE_MS  1000
#define CDC_ROCKSMQ_MASK         0xa282ead8
#define CDC_ROCKSMQ_IGNORED      0x80    /* types that may be passed over */


/* ---- the window --- */

int
cdc_rocksmq_window_init(cdc_rocksmq_window_t *w)
{
    w->fd = -1;
    w->len = 0;
    w->off = 0;
    w->data = malloc(CDC_ROCKSMQ_WINDOW);

    return w->data != NULL ? CDC_OK : CDC_ERROR;
}


void
cdc_rocksmq_window_free(cdc_rocksmq_window_t *w)
{
    free(w->data);
    w->data = NULL;
}


/* at least so many bytes at "off", read anew when they are not there */

static int
cdc_rocksmq_have(cdc_rocksmq_file_t *f, cdc_rocksmq_window_t *w, size_t need,
    char *err)
{
    ssize_t  n;

    if (w->fd == f->fd && f->off >= w->off
        && f->off + need <= w->off + w->len)
    {
        return CDC_OK;
    }

    do {
        n = pread(f->fd, w->data, CDC_ROCKSMQ_WINDOW, (off_t) f->off);
    } while (n == -1 && errno == EINTR);

    if (n == 0) {
        return CDC_AGAIN;                /* bodies may be read from it yet */
    }

    if (n == -1) {
        w->len = 0;
        (void) snprintf(err, CDC_REASON_MAX, "reading a log of RocksDB "
                        "failed: %s", strerror(errno));
        return CDC_ERROR;
    }

    w->fd = f->fd;
    w->off = f->off;
    w->len = (size_t) n;

    return w->len >= need ? CDC_OK : CDC_AGAIN;
}


/* ---- parts --- */

static int
cdc_rocksmq_wrong(cdc_rocksmq_file_t *f, cdc_rocksmq_window_t *w, size_t len,
    const char *what, char *err)
{
    uint64_t     now;
    struct stat  st;

    w->len = 0;                          /* what was read may be old */
    now = cdc_now_ms();

    if (f->bad_ms == 0) {
        f->bad_ms = now;
    }

    if (now - f->bad_ms < CDC_ROCKSMQ_PATIENCE_MS
        || fstat(f->fd, &st) == -1
        || (uint64_t) st.st_size <= f->off + len)
    {
        return CDC_AGAIN;
    }

    (void) snprintf(err, CDC_REASON_MAX, "%s at offset %llu of a log of "
                    "RocksDB, and more behind it: the file is damaged", what,
                    (unsigned long long) f->off);

    return CDC_ERROR;
}


static int
cdc_rocksmq_kind(cdc_rocksmq_part_t *part, char *err)
{
    if (part->type >= CDC_ROCKSMQ_FULL && part->type <= CDC_ROCKSMQ_LAST) {
        return CDC_OK;
    }

    if (part->type & CDC_ROCKSMQ_IGNORED) {
        return CDC_DECLINED;
    }

    (void) snprintf(err, CDC_REASON_MAX, "a log of RocksDB has a part of type "
                    "%u (it is recycled, compressed or of a newer RocksDB), "
                    "which RocksMQ does not ask for", part->type);

    return CDC_ERROR;
}


int
cdc_rocksmq_part(cdc_rocksmq_file_t *f, cdc_rocksmq_window_t *w,
    cdc_rocksmq_part_t *part, char *err)
{
    int             rc;
    char            kind[CDC_REASON_MAX];
    size_t          room;
    uint32_t        crc, sum;
    const uint8_t  *p;

    for ( ;; ) {
        room = CDC_ROCKSMQ_BLOCK - f->off % CDC_ROCKSMQ_BLOCK;

        if (room < CDC_ROCKSMQ_HEADER) {
            f->off += room;
            continue;
        }

        rc = cdc_rocksmq_have(f, w, CDC_ROCKSMQ_HEADER, err);
        if (rc != CDC_OK) {
            return rc;
        }

        p = w->data + (f->off - w->off);
        part->len = (size_t) p[4] | (size_t) p[5] << 8;
        part->type = p[6];

        if (part->type == 0 && part->len == 0) {
            w->len = 0;
            return CDC_AGAIN;
        }

        if (part->len > room - CDC_ROCKSMQ_HEADER) {
            return cdc_rocksmq_wrong(f, w, room, "a length that is wrong",
                                     err);
        }

        rc = cdc_rocksmq_have(f, w, CDC_ROCKSMQ_HEADER + part->len, err);
        if (rc != CDC_OK) {
            return rc;
        }

        p = w->data + (f->off - w->off);
        crc = cdc_rocksmq_crc(p + 6, part->len + 1);
        crc = (crc >> 15 | crc << 17) + CDC_ROCKSMQ_MASK;
        sum = (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16
              | (uint32_t) p[3] << 24;

        if (crc != sum) {
            rc = cdc_rocksmq_wrong(f, w, CDC_ROCKSMQ_HEADER + part->len,
                                   "a checksum that is wrong", err);

            /* of a kind that is not read, the sum is made another way */

            return rc == CDC_ERROR && cdc_rocksmq_kind(part, kind) == rc
                   ? cdc_rocksmq_kind(part, err) : rc;
        }

        rc = cdc_rocksmq_kind(part, err);
        if (rc == CDC_ERROR) {
            return CDC_ERROR;
        }

        part->data = p + CDC_ROCKSMQ_HEADER;
        part->off = f->off + CDC_ROCKSMQ_HEADER;

        f->off += CDC_ROCKSMQ_HEADER + part->len;
        f->bad_ms = 0;

        if (rc == CDC_OK) {
            return CDC_OK;
        }
    }
}
