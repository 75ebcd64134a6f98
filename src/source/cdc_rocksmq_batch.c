/*
 * A record of a write-ahead log: a write batch of RocksDB's.
 *
 *   sequence (8), count (4), then for each operation a tag, the column
 *   family (of the tags that have one), and key, value or both with their
 *   lengths before them
 *
 * It is read as its parts come, so that a batch of many megabytes needs no
 * room; of values only the place is kept.  Operations are told at once: the
 * caller lets them count when the record has come to its end.
 *
 * RocksMQ puts and deletes ranges.  Single deletes are passed over, since a
 * message is never deleted alone.  Transactions, merges and the rest in the
 * column family "default" are not RocksMQ's, and an error.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <string.h>

#include "cdc_rocksmq_wal.h"


enum {
    CDC_ROCKSMQ_IN_HEAD = 0,
    CDC_ROCKSMQ_IN_TAG,
    CDC_ROCKSMQ_IN_CF,
    CDC_ROCKSMQ_IN_KEY_LEN,
    CDC_ROCKSMQ_IN_KEY,
    CDC_ROCKSMQ_IN_VALUE_LEN,
    CDC_ROCKSMQ_IN_VALUE
};


#define CDC_ROCKSMQ_HAS_CF     1
#define CDC_ROCKSMQ_HAS_KEY    2
#define CDC_ROCKSMQ_HAS_VALUE  4
#define CDC_ROCKSMQ_KNOWN      8
#define CDC_ROCKSMQ_FOREIGN    16        /* only in other families */
#define CDC_ROCKSMQ_COUNTS     32


#define KEYS   (CDC_ROCKSMQ_KNOWN|CDC_ROCKSMQ_HAS_KEY|CDC_ROCKSMQ_COUNTS)
#define PAIRS  (KEYS|CDC_ROCKSMQ_HAS_VALUE)
#define OF_CF  CDC_ROCKSMQ_HAS_CF

static const uint8_t  cdc_rocksmq_tags[] = {
    KEYS,                                /* 0 deletion */
    PAIRS,                               /* 1 value */
    PAIRS|CDC_ROCKSMQ_FOREIGN,           /* 2 merge */
    CDC_ROCKSMQ_KNOWN|CDC_ROCKSMQ_HAS_KEY, /* 3 log data */
    KEYS|OF_CF,                          /* 4 */
    PAIRS|OF_CF,                         /* 5 */
    PAIRS|OF_CF|CDC_ROCKSMQ_FOREIGN,     /* 6 */
    KEYS,                                /* 7 single deletion */
    KEYS|OF_CF,                          /* 8 */
    0, 0, 0, 0,                          /* 9 .. 12 transactions */
    CDC_ROCKSMQ_KNOWN,                   /* 13 nothing */
    PAIRS|OF_CF,                         /* 14 range deletion */
    PAIRS                                /* 15 */
};

#undef KEYS
#undef PAIRS
#undef OF_CF


void
cdc_rocksmq_batch_start(cdc_rocksmq_batch_t *b)
{
    b->state = CDC_ROCKSMQ_IN_HEAD;
    b->nhead = 0;
    b->nops = 0;
}


/* CDC_AGAIN: more bytes of it are to come */

static int
cdc_rocksmq_varint(cdc_rocksmq_batch_t *b, const uint8_t **p,
    const uint8_t *end)
{
    uint8_t  c;

    while (*p < end) {
        c = *(*p)++;

        if (b->shift > 63) {
            return CDC_ERROR;
        }

        b->number |= (uint64_t) (c & 0x7f) << b->shift;
        b->shift += 7;

        if (!(c & 0x80)) {
            return CDC_OK;
        }
    }

    return CDC_AGAIN;
}


static void
cdc_rocksmq_enter(cdc_rocksmq_batch_t *b, unsigned state)
{
    b->state = state;
    b->number = 0;
    b->shift = 0;
}


static int
cdc_rocksmq_tag(cdc_rocksmq_batch_t *b, unsigned tag)
{
    unsigned  flags;

    flags = tag < sizeof(cdc_rocksmq_tags) ? cdc_rocksmq_tags[tag] : 0;

    if (flags == 0) {
        return CDC_ERROR;
    }

    b->tag = tag;
    b->cf = 0;
    b->nkey = 0;
    b->nend = 0;
    b->nops += (flags & CDC_ROCKSMQ_COUNTS) != 0;

    if (flags & CDC_ROCKSMQ_HAS_CF) {
        cdc_rocksmq_enter(b, CDC_ROCKSMQ_IN_CF);

    } else if (flags & CDC_ROCKSMQ_HAS_KEY) {
        cdc_rocksmq_enter(b, CDC_ROCKSMQ_IN_KEY_LEN);
    }

    return CDC_OK;
}


/* an operation is whole */

static int
cdc_rocksmq_done(cdc_rocksmq_batch_t *b)
{
    cdc_rocksmq_op_t  op;

    cdc_rocksmq_enter(b, CDC_ROCKSMQ_IN_TAG);

    if (b->cf != 0 || b->nkey > CDC_ROCKSMQ_KEY
        || b->nend > CDC_ROCKSMQ_KEY)
    {
        return CDC_OK;
    }

    if (cdc_rocksmq_tags[b->tag] & CDC_ROCKSMQ_FOREIGN) {
        return CDC_ERROR;
    }

    switch (b->tag) {

    case 1:
    case 5:
        op.kind = CDC_ROCKSMQ_PUT;
        break;

    case 14:
    case 15:
        op.kind = CDC_ROCKSMQ_RANGE;
        break;

    default:
        return CDC_OK;
    }

    op.key = cdc_span_n(b->key, b->nkey);
    op.end = cdc_span_n(b->end, b->nend);
    op.off = b->off;
    op.len = b->len;

    return b->handler(b->arg, &op);
}


/* bytes of a key, or of a value: those that are kept */

static int
cdc_rocksmq_bytes(cdc_rocksmq_batch_t *b, const uint8_t **p,
    const uint8_t *end)
{
    size_t    n, *have;
    uint8_t  *to;

    n = (size_t) (end - *p);
    n = b->left < n ? (size_t) b->left : n;

    to = NULL;
    have = &b->nkey;

    if (b->state == CDC_ROCKSMQ_IN_KEY) {
        to = b->key;

    } else if (b->tag == 14 || b->tag == 15) {
        to = b->end;
        have = &b->nend;
    }

    if (to != NULL) {

        if (*have + n <= CDC_ROCKSMQ_KEY) {
            memcpy(to + *have, *p, n);
            *have += n;

        } else {
            *have = CDC_ROCKSMQ_KEY + 1;
        }
    }

    *p += n;
    b->left -= n;

    if (b->left != 0) {
        return CDC_AGAIN;
    }

    if (b->state == CDC_ROCKSMQ_IN_KEY
        && (cdc_rocksmq_tags[b->tag] & CDC_ROCKSMQ_HAS_VALUE))
    {
        cdc_rocksmq_enter(b, CDC_ROCKSMQ_IN_VALUE_LEN);
        return CDC_OK;
    }

    return cdc_rocksmq_done(b);
}


/* a number has been read */

static int
cdc_rocksmq_number(cdc_rocksmq_batch_t *b)
{
    if (b->state == CDC_ROCKSMQ_IN_CF) {
        b->cf = b->number;
        cdc_rocksmq_enter(b, CDC_ROCKSMQ_IN_KEY_LEN);
        return CDC_OK;
    }

    b->left = b->number;

    if (b->state == CDC_ROCKSMQ_IN_KEY_LEN) {
        b->state = CDC_ROCKSMQ_IN_KEY;

    } else {
        b->state = CDC_ROCKSMQ_IN_VALUE;
        b->len = b->number;
        b->off = 0;
    }

    return CDC_OK;
}


int
cdc_rocksmq_batch_add(cdc_rocksmq_batch_t *b, const uint8_t *p, size_t len,
    uint64_t off)
{
    int             rc;
    const uint8_t  *start, *end;

    start = p;
    end = p + len;

    for ( ;; ) {

        /* a value without a byte ends without one */

        if (p == end && !(b->state >= CDC_ROCKSMQ_IN_KEY && b->left == 0
                          && (b->state == CDC_ROCKSMQ_IN_KEY
                              || b->state == CDC_ROCKSMQ_IN_VALUE)))
        {
            return CDC_OK;
        }

        switch (b->state) {

        case CDC_ROCKSMQ_IN_HEAD:
            b->head[b->nhead++] = *p++;

            if (b->nhead == sizeof(b->head)) {
                cdc_rocksmq_enter(b, CDC_ROCKSMQ_IN_TAG);
            }

            rc = CDC_OK;
            break;

        case CDC_ROCKSMQ_IN_TAG:
            rc = cdc_rocksmq_tag(b, *p++);
            break;

        case CDC_ROCKSMQ_IN_KEY:
            rc = cdc_rocksmq_bytes(b, &p, end);
            break;

        case CDC_ROCKSMQ_IN_VALUE:
            if (b->off == 0) {
                b->off = off + (uint64_t) (p - start);
            }

            rc = cdc_rocksmq_bytes(b, &p, end);
            break;

        default:
            rc = cdc_rocksmq_varint(b, &p, end);
            rc = rc == CDC_OK ? cdc_rocksmq_number(b) : rc;
        }

        if (rc == CDC_ERROR) {
            return CDC_ERROR;
        }
    }
}


int
cdc_rocksmq_batch_end(cdc_rocksmq_batch_t *b, uint64_t *seq, uint64_t *count)
{
    int  i;

    if (b->state != CDC_ROCKSMQ_IN_TAG) {
        return CDC_ERROR;
    }

    *seq = 0;
    *count = 0;

    for (i = 7; i >= 0; i--) {
        *seq = *seq << 8 | b->head[i];
    }

    for (i = 11; i >= 8; i--) {
        *count = *count << 8 | b->head[i];
    }

    return b->nops == *count ? CDC_OK : CDC_ERROR;
}
