/*
 * Chains of borrowed and owned bytes.
 *
 * Owned bytes live in chunks that never move, so spans may point into them;
 * an owned piece that follows the one before it in its chunk only lengthens
 * that one's span.  The first chunk and the first spans are part of the
 * chain: a small request is one allocation.
 *
 * open() cannot know the length that close() will write.  It leaves room for
 * the longest tag and length and starts an empty span right behind it; what
 * is added next, if owned, joins that span.  close() writes tag and length
 * against the start of the span and moves the start back over them.  Until
 * then the room holds what close() needs: the byte count so far and the
 * field number.
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_wire_int.h"


#define CDC_CHAIN_SPANS      8
#define CDC_CHAIN_INLINE     512
#define CDC_CHAIN_CHUNK      4096
#define CDC_CHAIN_CHUNK_MAX  65536
#define CDC_CHAIN_HOLDS      4
#define CDC_CHAIN_ROOM       16          /* >= 5 of tag + 10 of length */


typedef struct cdc_chunk_s  cdc_chunk_t;

struct cdc_chunk_s {
    cdc_chunk_t   *next;
    uint8_t        data[];
};

typedef struct {
    void         (*release)(void *data);
    void          *data;
} cdc_hold_t;

typedef struct {
    size_t         bytes;
    uint32_t       number;
} cdc_chain_room_t;

struct cdc_chain_s {
    atomic_uint    refs;

    cdc_span_t    *spans;
    size_t         nspans;
    size_t         cap;
    size_t         bytes;

    uint8_t       *pos;                  /* of the current chunk */
    uint8_t       *end;
    cdc_chunk_t   *chunks;
    size_t         chunk_size;           /* of the next one */

    cdc_hold_t    *holds;
    size_t         nholds;
    size_t         holds_cap;

    unsigned       starved:1;

    cdc_span_t     first[CDC_CHAIN_SPANS];
    uint8_t        data[CDC_CHAIN_INLINE];
};


static uint8_t *cdc_chain_take(cdc_chain_t *c, size_t len);
static int cdc_chain_push(cdc_chain_t *c, const uint8_t *data, size_t len);
static size_t cdc_chain_tag(uint8_t *p, uint32_t number, uint32_t wire_type);


cdc_chain_t *
cdc_chain_create(void)
{
    cdc_chain_t  *c;

    c = malloc(sizeof(cdc_chain_t));
    if (c == NULL) {
        return NULL;
    }

    atomic_init(&c->refs, 1);

    c->spans = c->first;
    c->nspans = 0;
    c->cap = CDC_CHAIN_SPANS;
    c->bytes = 0;

    c->pos = c->data;
    c->end = c->data + CDC_CHAIN_INLINE;
    c->chunks = NULL;
    c->chunk_size = CDC_CHAIN_CHUNK;

    c->holds = NULL;
    c->nholds = 0;
    c->holds_cap = 0;

    c->starved = 0;

    return c;
}


void
cdc_chain_ref(cdc_chain_t *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}


void
cdc_chain_unref(cdc_chain_t *c)
{
    size_t        i;
    cdc_chunk_t  *chunk, *next;

    if (c == NULL) {
        return;
    }

    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }

    for (i = 0; i < c->nholds; i++) {
        c->holds[i].release(c->holds[i].data);
    }

    for (chunk = c->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }

    if (c->spans != c->first) {
        free(c->spans);
    }

    free(c->holds);
    free(c);
}


int
cdc_chain_hold(cdc_chain_t *c, void (*release)(void *data), void *data)
{
    size_t       cap;
    cdc_hold_t  *holds;

    if (c->nholds == c->holds_cap) {
        cap = c->holds_cap ? 2 * c->holds_cap : CDC_CHAIN_HOLDS;

        holds = realloc(c->holds, cap * sizeof(cdc_hold_t));
        if (holds == NULL) {
            c->starved = 1;
            return CDC_ERROR;
        }

        c->holds = holds;
        c->holds_cap = cap;
    }

    c->holds[c->nholds].release = release;
    c->holds[c->nholds].data = data;
    c->nholds++;

    return CDC_OK;
}


int
cdc_chain_starved(const cdc_chain_t *c)
{
    return c->starved;
}


size_t
cdc_chain_bytes(const cdc_chain_t *c)
{
    return c->bytes;
}


size_t
cdc_chain_count(const cdc_chain_t *c)
{
    return c->nspans;
}


cdc_span_t
cdc_chain_span(const cdc_chain_t *c, size_t i)
{
    return c->spans[i];
}


int
cdc_chain_add(cdc_chain_t *c, cdc_span_t borrowed)
{
    if (borrowed.len == 0) {
        return CDC_OK;
    }

    if (cdc_chain_push(c, borrowed.data, borrowed.len) != CDC_OK) {
        return CDC_ERROR;
    }

    c->bytes += borrowed.len;

    return CDC_OK;
}


static int
cdc_chain_push(cdc_chain_t *c, const uint8_t *data, size_t len)
{
    size_t       cap;
    cdc_span_t  *spans;

    if (c->nspans == c->cap) {
        cap = 2 * c->cap;

        if (c->spans == c->first) {
            spans = malloc(cap * sizeof(cdc_span_t));

        } else {
            spans = realloc(c->spans, cap * sizeof(cdc_span_t));
        }

        if (spans == NULL) {
            c->starved = 1;
            return CDC_ERROR;
        }

        if (c->spans == c->first) {
            memcpy(spans, c->first, sizeof(c->first));
        }

        c->spans = spans;
        c->cap = cap;
    }

    c->spans[c->nspans++] = cdc_span_n(data, len);

    return CDC_OK;
}


int
cdc_chain_copy(cdc_chain_t *c, cdc_span_t bytes)
{
    uint8_t  *p;

    if (bytes.len == 0) {
        return CDC_OK;
    }

    p = cdc_chain_alloc(c, bytes.len);
    if (p == NULL) {
        return CDC_ERROR;
    }

    memcpy(p, bytes.data, bytes.len);

    return CDC_OK;
}


uint8_t *
cdc_chain_alloc(cdc_chain_t *c, size_t len)
{
    uint8_t     *p;
    cdc_span_t  *last;

    p = cdc_chain_take(c, len);
    if (p == NULL || len == 0) {
        return p;
    }

    last = c->nspans ? &c->spans[c->nspans - 1] : NULL;

    if (last && last->data + last->len == p) {
        last->len += len;

    } else if (cdc_chain_push(c, p, len) != CDC_OK) {
        return NULL;
    }

    c->bytes += len;

    return p;
}


static uint8_t *
cdc_chain_take(cdc_chain_t *c, size_t len)
{
    size_t        size;
    uint8_t      *p;
    cdc_chunk_t  *chunk;

    if (len > (size_t) (c->end - c->pos)) {

        if (len > SIZE_MAX / 2) {
            return NULL;
        }

        size = len > c->chunk_size / 2 ? len : c->chunk_size;

        chunk = malloc(sizeof(cdc_chunk_t) + size);
        if (chunk == NULL) {
            c->starved = 1;
            return NULL;
        }

        chunk->next = c->chunks;
        c->chunks = chunk;

        /* a chunk for one large piece leaves the current one in use */

        if (size == len) {
            return chunk->data;
        }

        c->pos = chunk->data;
        c->end = chunk->data + size;

        if (c->chunk_size < CDC_CHAIN_CHUNK_MAX) {
            c->chunk_size *= 2;
        }
    }

    p = c->pos;
    c->pos += len;

    return p;
}


int
cdc_chain_varint_field(cdc_chain_t *c, uint32_t number, uint64_t value)
{
    size_t   n;
    uint8_t  buf[2 * CDC_WIRE_VARINT_MAX];

    n = cdc_chain_tag(buf, number, CDC_WIRE_VARINT);
    n += cdc_wire_varint(buf + n, value);

    return cdc_chain_copy(c, cdc_span_n(buf, n));
}


int
cdc_chain_bytes_field(cdc_chain_t *c, uint32_t number, cdc_span_t bytes)
{
    size_t    n;
    uint8_t   buf[2 * CDC_WIRE_VARINT_MAX], *p;

    n = cdc_chain_tag(buf, number, CDC_WIRE_LEN);
    n += cdc_wire_varint(buf + n, bytes.len);

    if (bytes.len > SIZE_MAX / 2) {
        return CDC_ERROR;
    }

    p = cdc_chain_alloc(c, n + bytes.len);
    if (p == NULL) {
        return CDC_ERROR;
    }

    memcpy(p, buf, n);

    if (bytes.len) {
        memcpy(p + n, bytes.data, bytes.len);
    }

    return CDC_OK;
}


static size_t
cdc_chain_tag(uint8_t *p, uint32_t number, uint32_t wire_type)
{
    return cdc_wire_varint(p, (uint64_t) number << 3 | wire_type);
}


int
cdc_chain_open(cdc_chain_t *c, uint32_t number, size_t *mark)
{
    uint8_t           *p;
    cdc_chain_room_t   room;

    p = cdc_chain_take(c, CDC_CHAIN_ROOM);
    if (p == NULL) {
        return CDC_ERROR;
    }

    memset(&room, 0, sizeof(room));
    room.bytes = c->bytes;
    room.number = number;

    memcpy(p, &room, sizeof(room));

    if (cdc_chain_push(c, p + CDC_CHAIN_ROOM, 0) != CDC_OK) {
        return CDC_ERROR;
    }

    *mark = c->nspans - 1;

    return CDC_OK;
}


void
cdc_chain_close(cdc_chain_t *c, size_t mark)
{
    size_t             n;
    uint8_t            buf[2 * CDC_WIRE_VARINT_MAX];
    cdc_span_t        *span;
    cdc_chain_room_t   room;

    _Static_assert(sizeof(room) <= CDC_CHAIN_ROOM, "the room is too small");

    span = &c->spans[mark];

    memcpy(&room, span->data - CDC_CHAIN_ROOM, sizeof(room));

    n = cdc_chain_tag(buf, room.number, CDC_WIRE_LEN);
    n += cdc_wire_varint(buf + n, c->bytes - room.bytes);

    span->data -= n;
    span->len += n;
    c->bytes += n;

    /* the room is the chain's own memory, const only to the readers */

    memcpy((uint8_t *) (uintptr_t) span->data, buf, n);
}


void
cdc_chain_save(const cdc_chain_t *c, cdc_chain_pos_t *pos)
{
    pos->nspans = c->nspans;
    pos->last_len = c->nspans ? c->spans[c->nspans - 1].len : 0;
    pos->bytes = c->bytes;
}


void
cdc_chain_rollback(cdc_chain_t *c, const cdc_chain_pos_t *pos)
{
    c->nspans = pos->nspans;
    c->bytes = pos->bytes;

    if (c->nspans) {
        c->spans[c->nspans - 1].len = pos->last_len;
    }
}


uint8_t *
cdc_chain_flatten(const cdc_chain_t *c, size_t *len)
{
    size_t    i;
    uint8_t  *flat, *p;

    flat = malloc(c->bytes ? c->bytes : 1);
    if (flat == NULL) {
        return NULL;
    }

    p = flat;

    for (i = 0; i < c->nspans; i++) {
        if (c->spans[i].len) {
            memcpy(p, c->spans[i].data, c->spans[i].len);
            p += c->spans[i].len;
        }
    }

    *len = c->bytes;

    return flat;
}
