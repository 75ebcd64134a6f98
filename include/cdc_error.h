/*
 * The one error table: what a client sees for each failure.
 *
 * Used by workers (stateless checks) and by the store (checks against the
 * other tasks); an answer frame carries the enum in its "status" field and
 * the finished message as payload.
 */

#ifndef CDC_ERROR_H_INCLUDED
#define CDC_ERROR_H_INCLUDED


/* the rows, X(name, code, HTTP status, format), and what they follow.  Keep
 * them and doc/errors.md in step. */

#include "cdc_error_table.h"


typedef enum {
#define CDC_ERROR_ENUM(name, code, http, text)  CDC_E_##name,
    CDC_ERROR_TABLE(CDC_ERROR_ENUM)
#undef CDC_ERROR_ENUM
    CDC_E_MAX
} cdc_error_e;


typedef struct {
    int          code;
    int          http;
    const char  *text;
} cdc_error_row_t;


/* any process; never NULL: an unknown value gives the row INTERNAL */
const cdc_error_row_t *cdc_error_row(unsigned err);


#endif /* CDC_ERROR_H_INCLUDED */
