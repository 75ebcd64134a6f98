/*
 * The probe: may this target be followed into?
 *
 * It connects, asks the version, sees whether ReplicateMessage is answered,
 * and whether the target is the source, or a server that another task feeds
 * under another name.  It changes nothing there.
 *
 * A create ends with the first thing that is wrong; a check looks at all of
 * it (p->findings), and at some more, each with a deadline of its own.
 *
 * A target that is not up yet gets the whole connect_timeout, as with the
 * existing service; what went wrong in the meantime is logged, because the
 * answer must read as that service's.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc_allow.h"
#include "cdc_replicator.h"
#include "cdc_store.h"


#define CDC_PROBE_RETRY_MS       200     /* between two greetings */
#define CDC_PROBE_RESOLVE_MS     2000    /* for other tasks' names */

#define CDC_GRPC_UNIMPLEMENTED   12
#define CDC_GRPC_UNAUTHENTICATED 16

/* merr codes of Milvus that mean a wrong login (cdc_milvus_status.c) */

#define CDC_MERR_NOT_AUTHENTICATED   1400
#define CDC_MERR_INCORRECT_PASSWORD  1800


const cdc_target_ops_t  *cdc_probe_ops = &cdc_milvus_target;


static const char  *cdc_probe_codes[] = {
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded",
    "NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted",
    "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
    "Internal", "Unavailable", "DataLoss", "Unauthenticated"
};


cdc_probe_t *
cdc_probe_create(const json_t *connect_param, const char *name,
    const json_t *source, unsigned nothers, json_t *findings, int blind,
    char text[CDC_REASON_MAX])
{
    int           rc;
    char         *param;
    cdc_probe_t  *p;

    p = calloc(1, sizeof(cdc_probe_t));
    param = json_dumps(connect_param, JSON_COMPACT);

    if (p == NULL || param == NULL) {
        free(param);
        free(p);
        return NULL;
    }

    rc = cdc_target_conf_parse(&p->conf, param, strlen(param), text);

    explicit_bzero(param, strlen(param));
    free(param);

    if (rc != CDC_OK) {
        free(p);
        return NULL;
    }

    if (findings != NULL) {
        p->findings = findings;
        p->conf.call_ms = CDC_CHECK_CALL_MS;

        if (p->conf.connect_timeout_ms > CDC_CHECK_HELLO_MS) {
            p->conf.connect_timeout_ms = CDC_CHECK_HELLO_MS;
        }
    }

    p->source = source;
    p->name = strdup(name);
    p->others = calloc(nothers + 1, sizeof(cdc_probe_other_t));

    if (p->name != NULL && p->others != NULL && !blind) {
        p->target = cdc_probe_ops->open(&p->conf, text);
    }

    if (p->others == NULL || p->name == NULL
        || (!blind && p->target == NULL))
    {
        cdc_probe_free(p);
        return NULL;
    }

    return p;
}


void
cdc_probe_free(cdc_probe_t *p)
{
    unsigned  i;

    if (p == NULL) {
        return;
    }

    if (p->target != NULL) {
        cdc_probe_ops->close(p->target);
    }

    for (i = 0; i < p->nothers; i++) {
        free(p->others[i].address);
    }

    cdc_target_conf_free(&p->conf);
    json_decref(p->warnings);
    json_decref(p->source_ends);
    free(p->others);
    free(p->name);
    free(p);
}


/* ---- addresses --- */

static void
cdc_addrs_add(cdc_addrs_t *addrs, const struct sockaddr *sa)
{
    uint8_t                    *ip;
    const struct sockaddr_in   *sin;
    const struct sockaddr_in6  *sin6;

    ip = addrs->at[addrs->n].ip;
    memset(ip, 0, 16);

    switch (sa->sa_family) {

    case AF_INET:
        sin = (const struct sockaddr_in *) sa;
        memset(ip + 10, 0xff, 2);
        memcpy(ip + 12, &sin->sin_addr, 4);
        addrs->at[addrs->n].port = sin->sin_port;
        break;

    case AF_INET6:
        sin6 = (const struct sockaddr_in6 *) sa;
        memcpy(ip, &sin6->sin6_addr, 16);
        addrs->at[addrs->n].port = sin6->sin6_port;
        break;

    default:
        return;
    }

    /* every way to say "this host" is one */

    if (IN6_IS_ADDR_LOOPBACK((struct in6_addr *) ip)
        || IN6_IS_ADDR_UNSPECIFIED((struct in6_addr *) ip)
        || (IN6_IS_ADDR_V4MAPPED((struct in6_addr *) ip)
            && (ip[12] == 127 || ip[12] == 0)))
    {
        memset(ip, 0, 15);
        ip[15] = 1;
    }

    addrs->n++;
}


void
cdc_addrs_resolve(cdc_addrs_t *addrs, const char *address)
{
    char             *host, *port, *at;
    struct addrinfo   hints, *res, *ai;

    memset(addrs, 0, sizeof(cdc_addrs_t));
    memset(&hints, 0, sizeof(struct addrinfo));

    hints.ai_socktype = SOCK_STREAM;

    at = host = strdup(address);
    port = host != NULL ? strrchr(host, ':') : NULL;

    if (port == NULL) {
        free(at);
        return;
    }

    *port++ = '\0';

    if (*host == '[' && port > host + 2 && port[-2] == ']') {
        port[-2] = '\0';
        host++;
    }

    if (getaddrinfo(host, port, &hints, &res) == 0) {

        for (ai = res; ai != NULL && addrs->n < CDC_ADDRS_MAX;
             ai = ai->ai_next)
        {
            cdc_addrs_add(addrs, ai->ai_addr);
        }

        freeaddrinfo(res);
    }

    free(at);
}


int
cdc_addrs_meet(const cdc_addrs_t *a, const cdc_addrs_t *b)
{
    unsigned  i, k;

    for (i = 0; i < a->n; i++) {
        for (k = 0; k < b->n; k++) {

            if (a->at[i].port == b->at[k].port
                && memcmp(a->at[i].ip, b->at[k].ip, 16) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


static void
cdc_probe_addresses(cdc_probe_t *p)
{
    unsigned     i;
    uint64_t     end;
    cdc_addrs_t  other;

    cdc_addrs_resolve(&p->addrs, p->conf.address);

    /* names that a dead DNS server knows must not hold a create up */

    end = cdc_now_ms() + CDC_PROBE_RESOLVE_MS;

    for (i = 0; i < p->nothers; i++) {

        if (strcmp(p->others[i].address, p->conf.address) == 0) {
            p->others[i].same = 1;
            continue;
        }

        if (cdc_now_ms() > end) {
            cdc_log(CDC_LOG_WARN, 0, "resolving names takes too long, so "
                    "whether %s is the target %s was not checked",
                    p->name, p->others[i].address);
            continue;
        }

        cdc_addrs_resolve(&other, p->others[i].address);
        p->others[i].same = !!cdc_addrs_meet(&p->addrs, &other);
    }
}


/* ---- milvus_cdc_allow_target --- */

int
cdc_probe_allowed(const json_t *allow, const char *address)
{
    size_t       i;
    json_t      *value;
    unsigned     port;
    cdc_span_t   host, pattern;
    const char  *colon;

    if (json_array_size(allow) == 0) {
        return 1;
    }

    colon = strrchr(address, ':');
    if (colon == NULL) {
        return 0;
    }

    host = cdc_span_n((const uint8_t *) address, (size_t) (colon - address));
    port = (unsigned) strtoul(colon + 1, NULL, 10);

    json_array_foreach(allow, i, value) {
        pattern = cdc_span_n((const uint8_t *) json_string_value(value),
                             json_string_length(value));

        if (pattern.len && cdc_allow_match(pattern, host, port)) {
            return 1;
        }
    }

    return 0;
}


/* ---- the probe itself --- */

void
cdc_probe_refuse(cdc_probe_t *p, cdc_error_e error, const char *text)
{
    if (p->error == CDC_E_OK) {
        p->error = error;
        (void) snprintf(p->text, sizeof(p->text), "%s", text);
    }

    cdc_finding_refusal(p->findings, error, text);
}


static void
cdc_probe_refusef(cdc_probe_t *p, cdc_error_e error, const char *one,
    const char *two)
{
    char  text[CDC_REASON_MAX];

    cdc_store_format(text, error, one, two);
    cdc_probe_refuse(p, error, text);
}


static void
cdc_probe_connect_failed(cdc_probe_t *p, const cdc_target_error_t *err)
{
    char          text[CDC_REASON_MAX + 64];
    unsigned      n;
    const char   *code;

    n = sizeof(cdc_probe_codes) / sizeof(cdc_probe_codes[0]);

    if (err->transport) {
        code = err->code >= 0 && (unsigned) err->code < n
               ? cdc_probe_codes[err->code] : "Unknown";

        (void) snprintf(text, sizeof(text), "rpc error: code = %s desc = %s",
                        code, err->text);

    } else {
        (void) snprintf(text, sizeof(text), "%s", err->text);
    }

    cdc_probe_refusef(p, CDC_E_CONNECT_FAILED, text, "");
}


static int
cdc_probe_login(const cdc_target_error_t *err)
{
    if (err->transport) {
        return err->code == CDC_GRPC_UNAUTHENTICATED;
    }

    return err->class == CDC_TARGET_DENIED
           && (err->code == CDC_MERR_NOT_AUTHENTICATED
               || err->code == CDC_MERR_INCORRECT_PASSWORD);
}


int
cdc_probe_version(const char *version, int *major, int *minor)
{
    if (*version == 'v') {
        version++;
    }

    return sscanf(version, "%d.%d", major, minor) == 2 ? CDC_OK : CDC_ERROR;
}


static int
cdc_probe_version_fits(const char *version)
{
    int  major, minor;

    /* a build of somebody's own may be called anything */

    if (cdc_probe_version(version, &major, &minor) != CDC_OK) {
        return 1;
    }

    return major == 2 && minor >= 3 && minor <= 5;
}


/* the existing service's answer has no more to say than this */

static void
cdc_probe_silent(cdc_probe_t *p, const cdc_target_error_t *err)
{
    char  text[CDC_REASON_MAX];

    cdc_log(CDC_LOG_NOTICE, 0, "target %s: %s", p->name, err->text);

    p->error = CDC_E_CONNECT_FAILED;
    cdc_store_format(p->text, p->error, "rpc error: code = DeadlineExceeded "
                     "desc = context deadline exceeded");

    (void) snprintf(text, sizeof(text), "the target %.256s does not answer: "
                    "%.640s", p->name, err->text);
    cdc_finding_refusal(p->findings, p->error, text);
}


/* it said which version it is, and then no, in whatever words: 2.2 does not
 * know the call, others say what sounds as if it would pass */

static int
cdc_probe_foreign(const cdc_target_info_t *info, const cdc_target_error_t *err)
{
    return info->version[0] != '\0' && !cdc_probe_version_fits(info->version)
           && (!err->transport || err->code == CDC_GRPC_UNIMPLEMENTED);
}


static int
cdc_probe_hello(cdc_probe_t *p, cdc_target_info_t *info)
{
    uint64_t            end;
    cdc_target_error_t  err;

    end = cdc_now_ms() + p->conf.connect_timeout_ms;

    for ( ;; ) {
        memset(&err, 0, sizeof(cdc_target_error_t));
        memset(info, 0, sizeof(cdc_target_info_t));

        if (cdc_probe_ops->hello(p->target, info, &err) == CDC_OK) {
            return CDC_OK;
        }

        if (cdc_probe_foreign(info, &err)
            || (err.class != CDC_TARGET_RETRY
                && err.class != CDC_TARGET_DOUBT))
        {
            break;
        }

        if (cdc_now_ms() + CDC_PROBE_RETRY_MS >= end) {
            cdc_probe_silent(p, &err);
            return CDC_ERROR;
        }

        (void) usleep(CDC_PROBE_RETRY_MS * 1000);
    }

    if (cdc_probe_login(&err)) {
        cdc_log(CDC_LOG_NOTICE, 0, "target %s: %s", p->name, err.text);

        cdc_probe_refusef(p, CDC_E_TARGET_AUTH, p->name, "");

    } else if (cdc_probe_foreign(info, &err)) {
        cdc_probe_refusef(p, CDC_E_TARGET_VERSION, p->name, info->version);

    } else {
        cdc_probe_connect_failed(p, &err);
    }

    return CDC_ERROR;
}


/* ttMsgEnabled is the usual reason, but rights are one, too */

static void
cdc_probe_refused(cdc_probe_t *p, const cdc_target_info_t *info)
{
    char  text[CDC_REASON_MAX];

    if (!cdc_probe_version_fits(info->version)) {
        cdc_probe_refusef(p, CDC_E_TARGET_VERSION, p->name, info->version);
        return;
    }

    if (info->why_not[0] == '\0'
        || strstr(info->why_not, "ttMsgEnabled") != NULL)
    {
        cdc_probe_refusef(p, CDC_E_TARGET_DENIES, p->name, "");
        return;
    }

    (void) snprintf(text, sizeof(text), "the target %.300s refuses "
                    "replicated messages: %.600s", p->name, info->why_not);
    cdc_probe_refuse(p, CDC_E_TARGET_DENIES, text);
}


/* ---- what only a check looks at --- */

/* 1: a check has no time left for what comes now, and says so */

static int
cdc_probe_late(cdc_probe_t *p)
{
    if (p->findings == NULL || cdc_now_ms() < p->end) {
        return 0;
    }

    cdc_finding(p->findings, "check", CDC_WARNING, "check again when the "
                "servers are less busy", "not all was looked at: the servers "
                "take too long to answer");

    return 1;
}


static void
cdc_probe_clock(cdc_probe_t *p, const cdc_target_info_t *info)
{
    int64_t  apart;

    if (info->now == 0) {
        return;
    }

    /* the source has been looked at since */

    apart = (int64_t) cdc_tso_ms(info->now)
            + (int64_t) (cdc_now_ms() - info->now_at)
            - (int64_t) cdc_wall_ms();

    if (apart < CDC_CHECK_CLOCK_MS && apart > -CDC_CHECK_CLOCK_MS) {
        cdc_finding(p->findings, "target.clock", CDC_FINE, NULL, "the clocks "
                    "of the target and of this host agree");
        return;
    }

    cdc_finding(p->findings, "target.clock", CDC_WARNING, "have all hosts "
                "keep their time by NTP (chrony, systemd-timesyncd)", "the "
                "target's clock is %lld s %s this host's",
                (long long) ((apart < 0 ? -apart : apart) + 500) / 1000,
                apart < 0 ? "behind" : "ahead of");
}


static void
cdc_probe_rights(cdc_probe_t *p)
{
    char                lacks[CDC_REASON_MAX / 2];
    unsigned            n;
    cdc_target_error_t  err;

    if (cdc_probe_ops->rights == NULL) {
        return;
    }

    if (cdc_probe_ops->rights(p->target, p->selection != NULL
                              && cdc_selection_rbac(p->selection), lacks,
                              sizeof(lacks), &n, &err)
        != CDC_OK)
    {
        cdc_finding(p->findings, "target.rights", CDC_WARNING, "check again",
                    "what the user may do on the target could not be asked: "
                    "%s", err.text);

    } else if (n != 0) {
        cdc_finding(p->findings, "target.rights", CDC_FAULT, "on the target, "
                    "give the user the role admin (add_user_to_role), or "
                    "take the user root", "the user may not do on the target "
                    "what the task has to do: %s", lacks);

    } else {
        cdc_finding(p->findings, "target.rights", CDC_FINE, NULL, "the user "
                    "may do on the target what a task does");
    }
}


static void
cdc_probe_target_tls(cdc_probe_t *p)
{
    cdc_tls_look_t  l;

    memset(&l, 0, sizeof(cdc_tls_look_t));

    l.check = "target.tls";
    l.who = "the target";
    l.address = p->conf.address;
    l.ca = p->conf.ca_path;
    l.cert = p->conf.cert_path;
    l.key = p->conf.key_path;
    l.server_name = p->conf.server_name;
    l.ca_option = "\"dial_config\":{\"ca_pem_path\":..}";
    l.cert_option = "\"dial_config\":{\"client_pem_path\":.., "
                    "\"client_key_path\":..}";
    l.name_option = "\"dial_config\":{\"server_name\":..}";

    if (p->conf.tls) {
        (void) cdc_probe_tls(&l, CDC_CHECK_TLS_MS, p->findings);
    }
}


/* a server that speaks TLS does not say so to one that does not */

static void
cdc_probe_unmet(cdc_probe_t *p)
{
    if (p->findings != NULL && !p->conf.tls
        && cdc_probe_speaks_tls(p->conf.address, CDC_CHECK_TLS_MS))
    {
        cdc_finding(p->findings, "target.tls", CDC_FAULT, "give the uri as "
                    "https://host:port (or \"enable_tls\":true), with "
                    "\"dial_config\":{\"ca_pem_path\":..}", "%s speaks TLS, "
                    "and is asked without", p->conf.address);
    }
}


static void
cdc_probe_fine(cdc_probe_t *p, const cdc_target_info_t *info)
{
    int  major, minor;

    cdc_finding(p->findings, "target.reachable", CDC_FINE, NULL,
                "the target %s answers", p->name);
    cdc_finding(p->findings, "target.login", CDC_FINE, NULL, "%s",
                p->conf.authorization != NULL
                ? "the target takes the login"
                : "the target asks for no login");

    if (cdc_probe_version(info->version, &major, &minor) != CDC_OK) {
        cdc_finding(p->findings, "target.version", CDC_NOTE, NULL, "the "
                    "target's version \"%s\" is not one of Milvus's own",
                    info->version);

    } else if (cdc_probe_version_fits(info->version)) {
        cdc_finding(p->findings, "target.version", CDC_FINE, NULL, "the "
                    "target runs Milvus %s", info->version);

    } else if (info->replicate) {
        cdc_finding(p->findings, "target.version", CDC_WARNING, "take a "
                    "target of Milvus 2.3, 2.4 or 2.5", "the target runs "
                    "Milvus %s, which this module does not know",
                    info->version);
    }

    if (info->replicate) {
        cdc_finding(p->findings, "target.replicate", CDC_FINE, NULL, "the "
                    "target takes replicated messages (common.ttMsgEnabled "
                    "is false)");
    }
}


/* ---- all of it --- */

/* CDC_ERROR: a create has seen enough */

static int
cdc_probe_target(cdc_probe_t *p, cdc_target_info_t *info)
{
    if (p->findings != NULL && !p->blind) {
        cdc_probe_target_tls(p);
    }

    if (p->target == NULL) {
        return CDC_OK;
    }

    if (cdc_probe_hello(p, info) != CDC_OK) {
        cdc_probe_unmet(p);
        return CDC_ERROR;
    }

    p->met = 1;
    p->target_ms = info->now != 0 ? cdc_tso_ms(info->now) - info->now_at : 0;
    cdc_probe_fine(p, info);

    return CDC_OK;
}


static int
cdc_probe_source(cdc_probe_t *p, const cdc_target_info_t *info)
{
    if (p->findings != NULL) {
        cdc_probe_etcd(p);
    }

    if (!p->met) {
        return CDC_ERROR;
    }

    /* first, because a source refuses ReplicateMessage as well */

    if (!p->silent && !cdc_probe_late(p) && cdc_probe_is_source(p)) {
        cdc_probe_refusef(p, CDC_E_TARGET_IS_SOURCE, p->name, "");
        p->met = 0;                      /* nothing to compare there */
        return CDC_ERROR;
    }

    if (!info->replicate) {
        cdc_log(CDC_LOG_NOTICE, 0, "target %s (%s) refuses ReplicateMessage: "
                "%s", p->name, info->version, info->why_not);

        cdc_probe_refused(p, info);
        return CDC_ERROR;
    }

    return CDC_OK;
}


void
cdc_probe_run(cdc_probe_t *p)
{
    int                rc;
    cdc_target_info_t  info;

    memset(&info, 0, sizeof(cdc_target_info_t));

    p->error = CDC_E_OK;
    p->end = cdc_now_ms() + CDC_CHECK_MS;

    rc = cdc_probe_target(p, &info);

    if (rc == CDC_OK || p->findings != NULL) {
        rc = cdc_probe_source(p, &info);
    }

    if (rc != CDC_OK && p->findings == NULL) {
        return;
    }

    if (p->met) {
        cdc_probe_addresses(p);
    }

    if (p->findings != NULL && p->met && !cdc_probe_late(p)) {
        cdc_probe_clock(p, &info);
        cdc_probe_rights(p);
    }

    cdc_probe_look(p, info.version);
}
