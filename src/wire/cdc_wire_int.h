/*
 * What the files of src/wire/ share and nobody else needs.
 */

#ifndef CDC_WIRE_INT_H_INCLUDED
#define CDC_WIRE_INT_H_INCLUDED

#include "cdc_wire.h"


#define CDC_WIRE_VARINT  0
#define CDC_WIRE_I64     1
#define CDC_WIRE_LEN     2
#define CDC_WIRE_I32     5

#define CDC_WIRE_VARINT_MAX  10

/* a run that is shorter costs less as a copy than as a span (a slice) */
#define CDC_WIRE_SMALL   64


/* schema.IDs */
#define CDC_IDS_INT      1
#define CDC_IDS_STR      2


typedef struct {
    uint32_t     kind;                   /* CDC_IDS_* */
    uint64_t     count;
    cdc_span_t   list;                   /* LongArray or StringArray */
} cdc_keys_t;


#define cdc_wire_bit(number)  ((uint64_t) 1 << (number))


/* base (field 1) of any message: msg_type and timestamp */
int  cdc_wire_base(cdc_span_t msg, int32_t *type, uint64_t *ts);

/* the keys of an insert; CDC_DECLINED: it has no such field, or no keys */
int  cdc_wire_find_keys(cdc_span_t msg, int64_t field_id, cdc_keys_t *keys);

/* how many varints a repeated field of msg has, packed and one by one */
int  cdc_wire_count_varints(cdc_span_t msg, uint32_t number, uint64_t *n);

/* all of msg but the fields in drop (cdc_wire_bit), as few spans as possible */
int  cdc_wire_splice(cdc_chain_t *out, cdc_span_t msg, uint64_t drop);

/* the partitions of an import as rw has them; adds to drop what they replace.
 * CDC_ERROR: the message names another number of them */
int  cdc_wire_import_rewrite(cdc_chain_t *out, const cdc_envelope_t *env,
    const cdc_rewrite_t *rw, uint64_t *drop);

/* a field, left out when the value is the default */
int  cdc_wire_set_varint(cdc_chain_t *out, uint32_t number, uint64_t value);
int  cdc_wire_set_bytes(cdc_chain_t *out, uint32_t number, cdc_span_t bytes);

/* a packed field of n times the same timestamp */
int  cdc_wire_stamps(cdc_chain_t *out, uint32_t number, uint64_t stamp,
    uint64_t n);


#endif /* CDC_WIRE_INT_H_INCLUDED */
