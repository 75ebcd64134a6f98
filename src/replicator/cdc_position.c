/*
 * Positions as clients of the existing service give them: a source vchannel,
 * and the base64 text of a MsgPosition.
 */

#include "cdc_selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_wire.h"


#define CDC_POSITION_MSG_ID     2
#define CDC_POSITION_TIMESTAMP  4


static int
cdc_base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    return c == '+' ? 62 : c == '/' ? 63 : -1;
}


/* the standard alphabet with its padding; out has room for 3/4 of text */

static int
cdc_base64_decode(const char *text, uint8_t *out, size_t *len)
{
    int       v;
    size_t    i, n, pad;
    uint32_t  bits;

    n = strlen(text);
    pad = n >= 2 && text[n - 1] == '=' ? 1 + (text[n - 2] == '=') : 0;
    bits = 0;
    *len = 0;

    if (n % 4 != 0) {
        return CDC_ERROR;
    }

    for (i = 0; i < n; i++) {
        v = i < n - pad ? cdc_base64_value(text[i]) : 0;

        if (v == -1) {
            return CDC_ERROR;
        }

        bits = bits << 6 | (uint32_t) v;

        if (i % 4 == 3) {
            out[(*len)++] = (uint8_t) (bits >> 16);
            out[(*len)++] = (uint8_t) (bits >> 8);
            out[(*len)++] = (uint8_t) bits;
        }
    }

    *len -= pad;

    return CDC_OK;
}


static int
cdc_position_parse(cdc_span_t in, cdc_span_t *id, uint64_t *ts)
{
    int          rc;
    cdc_field_t  f;

    *id = cdc_span("");
    *ts = 0;

    while ((rc = cdc_wire_next(&in, &f)) == CDC_OK) {

        if (f.number == CDC_POSITION_MSG_ID && f.wire_type == 2) {
            *id = f.body;

        } else if (f.number == CDC_POSITION_TIMESTAMP && f.wire_type == 0) {
            *ts = f.value;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


int
cdc_position_decode(const char *text, uint8_t **id, size_t *len,
    uint64_t *ts, char err[CDC_REASON_MAX])
{
    size_t       n;
    uint8_t     *bytes;
    cdc_span_t   found;

    bytes = malloc(strlen(text) + 1);

    if (bytes == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "out of memory");
        return CDC_ERROR;
    }

    if (cdc_base64_decode(text, bytes, &n) != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "it is not base64");

    } else if (cdc_position_parse(cdc_span_n(bytes, n), &found, ts)
               != CDC_OK)
    {
        (void) snprintf(err, CDC_REASON_MAX, "it is not a MsgPosition");

    } else if (found.len == 0) {
        (void) snprintf(err, CDC_REASON_MAX, "it has no msgID");

    } else {
        memmove(bytes, found.data, found.len);
        *id = bytes;
        *len = found.len;

        return CDC_OK;
    }

    free(bytes);

    return CDC_ERROR;
}


int
cdc_position_vchannel(const char *name, int64_t *collection_id)
{
    char        *end;
    const char  *p;

    p = strrchr(name, '_');

    if (p == NULL || p == name || p[1] < '0' || p[1] > '9') {
        return CDC_ERROR;
    }

    /* an id of more than 63 bits becomes INT64_MAX, which is none */

    *collection_id = strtoll(p + 1, &end, 10);

    if (*collection_id == INT64_MAX || *end != 'v'
        || end[1] < '0' || end[1] > '9')
    {
        return CDC_ERROR;
    }

    return end[1 + strspn(end + 1, "0123456789")] == '\0' ? CDC_OK
                                                          : CDC_ERROR;
}
