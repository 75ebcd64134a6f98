/*
 * Text that comes from elsewhere, for JSON (src/helper/cdc_text.c).
 */

#ifndef CDC_TEXT_H_INCLUDED
#define CDC_TEXT_H_INCLUDED

#include <jansson.h>


/* what is no UTF-8 gets a "?" for each byte above 0x7f */
void cdc_text_clean(char *s);
/* a copy of it, in JSON.  NULL: no memory */
json_t *cdc_text_json(const char *s);


#endif /* CDC_TEXT_H_INCLUDED */
