/*
 * The one error table: what a client sees for each failure.
 *
 * Used by workers (stateless checks) and by the store (checks against the
 * other tasks); an answer frame carries the enum in its "status" field and
 * the finished message as payload.
 */

#ifndef CDC_ERROR_H_INCLUDED
#define CDC_ERROR_H_INCLUDED


/*
 * X(name, code, http status, format of the message)
 *
 * "code" is the body's code as the existing service answers it; the HTTP
 * status is api.md's.  Formats take printf arguments (%s, %d); the texts
 * that clients of the existing service may compare are kept word for word
 * (milvus-cdc-behaviour 1.2 to 1.5).  Keep this list and doc/errors.md in step.
 */

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
