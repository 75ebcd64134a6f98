/*
 * The names of milvus_cdc_allow_target: built into the module and into the
 * helper.  They are text, never resolved: what a name means to a resolver is
 * not for a client to choose.
 */

#include <strings.h>

#include "cdc_allow.h"


/* 0, which is no port, for what is no number */

static unsigned
cdc_allow_port(const uint8_t *p, const uint8_t *end)
{
    unsigned  n;

    for (n = 0; p < end; p++) {

        if (*p < '0' || *p > '9' || n > 65535) {
            return 0;
        }

        n = n * 10 + (*p - '0');
    }

    return n;
}


static int
cdc_allow_same(cdc_span_t a, const uint8_t *b)
{
    return strncasecmp((const char *) a.data, (const char *) b, a.len) == 0;
}


int
cdc_allow_match(cdc_span_t pattern, cdc_span_t host, unsigned port)
{
    const uint8_t  *p, *end;

    end = pattern.data + pattern.len;

    /* the last colon, unless it is inside an IPv6 address */

    for (p = end; p > pattern.data; p--) {
        if (p[-1] == ':' || p[-1] == ']') {
            break;
        }
    }

    if (p > pattern.data && p[-1] == ':') {

        if (cdc_allow_port(p, end) != port) {
            return 0;
        }

        pattern.len = (size_t) (p - 1 - pattern.data);
    }

    if (pattern.len > 1 && pattern.data[0] == '*') {

        /* any name below the domain, but not the domain itself */

        pattern.data++;
        pattern.len--;

        return host.len > pattern.len
               && cdc_allow_same(pattern,
                                 host.data + host.len - pattern.len);
    }

    return host.len == pattern.len && cdc_allow_same(pattern, host.data);
}
