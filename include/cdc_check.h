/*
 * Findings: what a check has looked at, and how it was (src/store/).
 *
 * A finding is {"check", "ok", "level", "text", "cure"}.  "check" names what
 * was looked at (the list is in doc/check.md), "level" is
 *
 *   error     the task would be refused, or could not do its work
 *   warning   it works, but not as one may expect
 *   info      fine, or good to know
 *
 * What a create is refused for is an error with the words of that refusal:
 * both come from the same place in the code.
 */

#ifndef CDC_CHECK_H_INCLUDED
#define CDC_CHECK_H_INCLUDED

#include <jansson.h>

#include "cdc_base.h"
#include "cdc_error.h"


#define CDC_CHECK_MS           7000      /* nothing begins after that, but for
                                          * the last look, 3 s at most */
#define CDC_CHECK_HELLO_MS     4000
#define CDC_CHECK_CALL_MS      2000      /* each other call to the target */
#define CDC_CHECK_ETCD_MS      2000
#define CDC_CHECK_TLS_MS       2000      /* each server */
#define CDC_CHECK_FINDINGS     200
#define CDC_CHECK_CERT_DAYS    30
#define CDC_CHECK_CLOCK_MS     5000      /* apart */


typedef enum {
    CDC_FINE = 0,
    CDC_NOTE,                            /* "ok" as well */
    CDC_WARNING,
    CDC_FAULT
} cdc_finding_e;


/* findings: an array, or NULL: nothing is kept.  cure: NULL, none is needed.
 * Any thread, one at a time. */
void cdc_finding(json_t *findings, const char *check, cdc_finding_e level,
    const char *cure, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* what a create answers; check and cure are those of the error */
void cdc_finding_refusal(json_t *findings, cdc_error_e err, const char *text);

/* 1: none of that check, or of any (NULL), is an error */
int  cdc_finding_ok(const json_t *findings, const char *check);
/* 1: that check has a finding */
int  cdc_finding_has(const json_t *findings, const char *check);


/* ---- certificates (cdc_probe_tls.c) -------------------------------- */

typedef struct {
    const char  *check;                  /* the finding's name */
    const char  *who;                    /* "the target" */
    const char  *address;                /* host:port */
    const char  *ca, *cert, *key;        /* files, or NULL */
    const char  *server_name;            /* instead of the host's; or NULL */
    /* what these are called where one sets them */
    const char  *ca_option, *cert_option, *name_option;
} cdc_tls_look_t;

/* [blocks, ms] a handshake, and no more.  CDC_ERROR, CDC_AGAIN: no
 * connection, which is said by others; else there is a finding.  CDC_AGAIN:
 * it has taken all of ms */
int  cdc_probe_tls(const cdc_tls_look_t *look, unsigned ms,
    json_t *findings);

/* [blocks, ms] 1: something there speaks TLS */
int  cdc_probe_speaks_tls(const char *address, unsigned ms);


#endif /* CDC_CHECK_H_INCLUDED */
