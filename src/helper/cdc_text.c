/*
 * Text that comes from elsewhere, for JSON.  jansson takes valid UTF-8 only; a
 * topic or a server's text may be anything, or have been cut in the middle of
 * a character.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdlib.h>
#include <string.h>

#include "cdc_text.h"


void
cdc_text_clean(char *s)
{
    json_t  *json;

    json = json_string(s);

    if (json != NULL) {
        json_decref(json);
        return;
    }

    for ( /* void */ ; *s != '\0'; s++) {
        if ((unsigned char) *s >= 0x80) {
            *s = '?';
        }
    }
}


json_t *
cdc_text_json(const char *s)
{
    char    *copy;
    json_t  *json;

    json = json_string(s);

    if (json != NULL || s == NULL) {
        return json;
    }

    copy = strdup(s);

    if (copy == NULL) {
        return NULL;
    }

    cdc_text_clean(copy);
    json = json_string(copy);
    free(copy);

    return json;
}
