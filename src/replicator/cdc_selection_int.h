/* the inside of a selection: cdc_selection.c and cdc_selection_overlap.c */

#ifndef CDC_SELECTION_INT_H_INCLUDED
#define CDC_SELECTION_INT_H_INCLUDED

#include "cdc_selection.h"


typedef struct {
    const char  *vchannel;               /* the request's */
    uint8_t     *id;
    size_t       len;
    uint64_t     ts;
} cdc_selection_pos_t;


struct cdc_selection_s {
    json_t               *names;         /* db -> name -> the request's own
                                          * object; "*": every one */
    json_t               *excluded;      /* db -> name -> true; the same */
    json_t               *mapping;       /* db -> {"db", "names": name ->
                                          * name, "back": name -> [names]} */
    json_t               *back;          /* target's db -> [mapped dbs] */
    cdc_selection_pos_t  *positions;
    size_t                npositions;
    uint8_t              *rpc_id;        /* NULL: not given */
    size_t                rpc_len;
    unsigned              ignore_partition:1;
    unsigned              rbac:1;
    unsigned              earliest:1;
};


#endif /* CDC_SELECTION_INT_H_INCLUDED */
