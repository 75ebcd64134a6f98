/*
 * The error table: built into the module and into the helper.
 */

#include "cdc_error.h"


static const cdc_error_row_t  cdc_error_rows[] = {
#define CDC_ERROR_ROW(name, code, http, text)  { code, http, text },
    CDC_ERROR_TABLE(CDC_ERROR_ROW)
#undef CDC_ERROR_ROW
};


const cdc_error_row_t *
cdc_error_row(unsigned err)
{
    if (err >= CDC_E_MAX) {
        err = CDC_E_INTERNAL;
    }

    return &cdc_error_rows[err];
}
