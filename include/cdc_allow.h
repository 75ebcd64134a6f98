/*
 * milvus_cdc_allow_target (src/http/cdc_allow.c): one matcher for the worker,
 * which refuses by it what a client asks for, and for the store, which asks
 * again before it connects to anything.
 */

#ifndef CDC_ALLOW_H_INCLUDED
#define CDC_ALLOW_H_INCLUDED

#include "cdc_base.h"


/*
 * Is the server host:port one that pattern means?  "host", "host:port", or
 * "*." before a domain in either, as the directive has checked it; an IPv6
 * address is in brackets, in host as well.
 */
int  cdc_allow_match(cdc_span_t pattern, cdc_span_t host, unsigned port);


#endif /* CDC_ALLOW_H_INCLUDED */
