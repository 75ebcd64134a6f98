/*
 * Basic types of the helper, and the limits that module and helper share.
 *
 * Included by both sides: nothing here needs nginx or any library.
 */

#ifndef CDC_BASE_H_INCLUDED
#define CDC_BASE_H_INCLUDED

#include <stddef.h>
#include <stdint.h>
#include <string.h>


#define CDC_VERSION          "0.1.0"


/* return codes of the helper's functions, as nginx's NGX_* ones */

#define CDC_OK           0
#define CDC_ERROR       -1
#define CDC_AGAIN       -2
#define CDC_DONE        -4
#define CDC_DECLINED    -5


/* limits that the on-disk and in-zone layouts depend on */

#define CDC_TASK_ID_LEN      32          /* lower-case hexadecimal digits */
#define CDC_TASK_ID_MAX      255         /* an id that the caller chose */
#define CDC_REASON_MAX       1024
#define CDC_DOC_MAX          16384       /* public JSON of one task */
#define CDC_MAX_TASKS        128
#define CDC_MAX_NAME_LEN     256


#define CDC_DEFAULT_DB       "default"   /* every Milvus has it; "" is the same
                                          * where a database is named */


/* bytes that somebody else owns; not NUL-terminated */

typedef struct {
    const uint8_t  *data;
    size_t          len;
} cdc_span_t;


#define cdc_span(s)        (cdc_span_t) { (const uint8_t *) (s), sizeof(s) - 1 }
#define cdc_span_n(p, n)   (cdc_span_t) { (const uint8_t *) (p), (n) }


static inline int
cdc_span_is(cdc_span_t s, const char *text)
{
    return s.len == strlen(text)
           && (s.len == 0 || memcmp(s.data, text, s.len) == 0);
}


/*
 * A position in one channel of a source's log.  Comparable as (hi, lo):
 * Kafka {0, offset}; RocksMQ {0, id}; Pulsar {ledger, entry << 16 | batch}.
 */

typedef struct {
    uint64_t        hi;
    uint64_t        lo;
} cdc_pos_t;


static inline int
cdc_pos_cmp(cdc_pos_t a, cdc_pos_t b)
{
    if (a.hi != b.hi) {
        return a.hi < b.hi ? -1 : 1;
    }

    return a.lo < b.lo ? -1 : a.lo > b.lo;
}


/* TSO, a Milvus's timestamp: Unix ms << 18 | logical counter */

#define cdc_tso_ms(tso)     ((tso) >> 18)
#define cdc_ms_tso(ms)      ((uint64_t) (ms) << 18)


#endif /* CDC_BASE_H_INCLUDED */
