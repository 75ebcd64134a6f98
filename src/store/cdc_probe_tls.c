/*
 * A look at the certificate of a server that speaks TLS, and at our own.
 *
 * gRPC and librdkafka say that a handshake failed, and not much about why:
 * so a check makes one itself.  It goes on where a real client stops, to say
 * who signed what it was shown, for which names, and until when.  Nothing is
 * sent after the handshake.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "cdc_check.h"
#include "cdc_runtime.h"


#define CDC_TLS_NAMES  400
#define CDC_TLS_HOST   256
#define CDC_TLS_CURE   1024


typedef struct {
    const cdc_tls_look_t  *look;
    json_t                *findings;
    uint64_t               end;          /* cdc_now_ms() */
    char                   host[CDC_TLS_HOST];
    SSL_CTX               *ctx;
    SSL                   *ssl;
    const char            *alert;        /* why the server ended it, or NULL */
    int                    fd;
    unsigned               asked:1;      /* for a certificate of ours */
} cdc_tls_t;


/* ---- the connection --- */

static int
cdc_tls_ready(cdc_tls_t *t, short events)
{
    uint64_t       now;
    struct pollfd  pfd;

    now = cdc_now_ms();

    pfd.fd = t->fd;
    pfd.events = events;
    pfd.revents = 0;

    return now < t->end && poll(&pfd, 1, (int) (t->end - now)) == 1
           ? CDC_OK : CDC_ERROR;
}


static int
cdc_tls_connect_one(cdc_tls_t *t, const struct addrinfo *ai)
{
    int        e;
    socklen_t  len;

    t->fd = socket(ai->ai_family, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (t->fd == -1) {
        return CDC_ERROR;
    }

    e = 0;
    len = sizeof(e);

    if (connect(t->fd, ai->ai_addr, ai->ai_addrlen) == 0
        || (errno == EINPROGRESS && cdc_tls_ready(t, POLLOUT) == CDC_OK
            && getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &len) == 0
            && e == 0))
    {
        return CDC_OK;
    }

    (void) close(t->fd);
    t->fd = -1;

    return CDC_ERROR;
}


static int
cdc_tls_connect(cdc_tls_t *t, const char *address)
{
    char             *port;
    size_t            n;
    struct addrinfo   hints, *res, *ai;

    (void) snprintf(t->host, sizeof(t->host), "%s", address);
    port = strrchr(t->host, ':');

    if (port == NULL) {
        return CDC_ERROR;
    }

    *port++ = '\0';
    n = strlen(t->host);

    if (t->host[0] == '[' && t->host[n - 1] == ']') {
        memmove(t->host, t->host + 1, n - 2);
        t->host[n - 2] = '\0';
    }

    memset(&hints, 0, sizeof(struct addrinfo));
    hints.ai_socktype = SOCK_STREAM;

    if (getaddrinfo(t->host, port, &hints, &res) != 0) {
        return CDC_ERROR;
    }

    for (ai = res; ai != NULL; ai = ai->ai_next) {
        if (cdc_tls_connect_one(t, ai) == CDC_OK) {
            break;
        }
    }

    freeaddrinfo(res);

    return t->fd != -1 ? CDC_OK : CDC_ERROR;
}


static int
cdc_tls_asked(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
    cdc_tls_t  *t;

    (void) cert;
    (void) key;

    t = SSL_get_app_data(ssl);
    t->asked = 1;

    return 0;                            /* none */
}


/* an alert: who sends one speaks TLS */

static const char *
cdc_tls_alert(void)
{
    unsigned long  e;

    e = ERR_peek_last_error();

    return ERR_GET_LIB(e) == ERR_LIB_SSL
           && ERR_GET_REASON(e) >= SSL_AD_REASON_OFFSET
           ? ERR_reason_error_string(e) : NULL;
}


/*
 * CDC_DECLINED: something answers that is no TLS, or ends it with an alert.
 * CDC_AGAIN: nothing does.
 */

static int
cdc_tls_handshake(cdc_tls_t *t, const char *name)
{
    int  rc;

    t->ssl = SSL_new(t->ctx);

    if (t->ssl == NULL || SSL_set_fd(t->ssl, t->fd) != 1) {
        return CDC_ERROR;
    }

    SSL_set_app_data(t->ssl, t);
    SSL_set_verify(t->ssl, SSL_VERIFY_NONE, NULL);
    (void) SSL_set_tlsext_host_name(t->ssl, name);

    for ( ;; ) {
        ERR_clear_error();
        rc = SSL_connect(t->ssl);

        if (rc == 1) {
            return CDC_OK;
        }

        switch (SSL_get_error(t->ssl, rc)) {

        case SSL_ERROR_WANT_READ:
            rc = cdc_tls_ready(t, POLLIN);
            break;

        case SSL_ERROR_WANT_WRITE:
            rc = cdc_tls_ready(t, POLLOUT);
            break;

        default:
            t->alert = cdc_tls_alert();
            return CDC_DECLINED;
        }

        if (rc != CDC_OK) {
            return CDC_AGAIN;
        }
    }
}


static void
cdc_tls_close(cdc_tls_t *t)
{
    SSL_free(t->ssl);
    SSL_CTX_free(t->ctx);

    if (t->fd != -1) {
        (void) close(t->fd);
    }

    ERR_clear_error();
}


static int
cdc_tls_open(cdc_tls_t *t, unsigned ms)
{
    memset(t, 0, sizeof(cdc_tls_t));

    t->fd = -1;
    t->end = cdc_now_ms() + ms;
    t->ctx = SSL_CTX_new(TLS_client_method());

    return t->ctx != NULL ? CDC_OK : CDC_ERROR;
}


int
cdc_probe_speaks_tls(const char *address, unsigned ms)
{
    int        rc;
    cdc_tls_t  t;

    rc = cdc_tls_open(&t, ms);

    if (rc == CDC_OK) {
        rc = cdc_tls_connect(&t, address);
    }

    if (rc == CDC_OK) {
        rc = cdc_tls_handshake(&t, t.host);
    }

    cdc_tls_close(&t);

    return rc == CDC_OK || t.alert != NULL;
}


/* ---- what a certificate says --- */

static void
cdc_tls_names(X509 *cert, char names[CDC_TLS_NAMES])
{
    int             i;
    size_t          len;
    GENERAL_NAME   *gn;
    GENERAL_NAMES  *all;

    len = 0;
    names[0] = '\0';
    all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        gn = sk_GENERAL_NAME_value(all, i);

        if (gn->type == GEN_DNS && len < CDC_TLS_NAMES) {
            len += (size_t) snprintf(names + len, CDC_TLS_NAMES - len,
                       "%s\"%.*s\"", len ? ", " : "",
                       ASN1_STRING_length(gn->d.dNSName),
                       (const char *) ASN1_STRING_get0_data(gn->d.dNSName));
        }
    }

    GENERAL_NAMES_free(all);

    if (len == 0) {
        (void) snprintf(names, CDC_TLS_NAMES, "no host name");
    }
}


/* days until it ends, and none when it has */

static int
cdc_tls_days(const X509 *cert, int *ended)
{
    int  days, seconds;

    days = 0;
    seconds = 0;

    (void) ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert));

    *ended = days < 0 || seconds < 0;

    return days;
}


/* 1: a finding has been made */

static int
cdc_tls_end(cdc_tls_t *t, const X509 *cert, const char *whose)
{
    int   days, ended;
    char  cure[CDC_TLS_CURE];

    days = cdc_tls_days(cert, &ended);

    if (!ended && days >= CDC_CHECK_CERT_DAYS) {
        return 0;
    }

    (void) snprintf(cure, sizeof(cure), "renew %s%s", whose,
                    ended ? "" : " in time");

    if (ended) {
        cdc_finding(t->findings, t->look->check, CDC_FAULT, cure,
                    "%s has ended, %d days ago", whose, -days);

    } else {
        cdc_finding(t->findings, t->look->check, CDC_WARNING, cure,
                    "%s ends in %d days", whose, days);
    }

    return 1;
}


/* CDC_ERROR: there is none */

static int
cdc_tls_file(cdc_tls_t *t, const char *path, const char *option)
{
    char   whose[CDC_REASON_MAX], cure[CDC_TLS_CURE];
    int    e;
    FILE  *f;
    X509  *cert;

    f = fopen(path, "re");
    e = f != NULL ? 0 : errno;
    cert = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

    if (f != NULL) {
        (void) fclose(f);
    }

    if (cert == NULL) {
        (void) snprintf(cure, sizeof(cure), "put a PEM file that the user of "
                        "nginx's workers may read at %s", option);
        cdc_finding(t->findings, t->look->check, CDC_FAULT, cure,
                    "%s \"%.500s\" %s%s", option, path,
                    e ? "cannot be read: " : "is no certificate in PEM form",
                    e ? strerror(e) : "");
        return CDC_ERROR;
    }

    (void) snprintf(whose, sizeof(whose), "the certificate in %s \"%.500s\"",
                    option, path);
    (void) cdc_tls_end(t, cert, whose);
    X509_free(cert);

    return CDC_OK;
}


static void
cdc_tls_untrusted(cdc_tls_t *t, X509 *cert, long why)
{
    char  issuer[256], cure[CDC_TLS_CURE];

    (void) X509_NAME_oneline(X509_get_issuer_name(cert), issuer,
                             sizeof(issuer));

    (void) snprintf(cure, sizeof(cure), "set %s to a file with the "
                    "certificate of its authority, %.255s",
                    t->look->ca_option, issuer);

    cdc_finding(t->findings, t->look->check, CDC_FAULT, cure,
                "%s %s shows a certificate of an authority that is not "
                "trusted here (%s): %s", t->look->who, t->look->address,
                X509_verify_cert_error_string(why), issuer);
}


static int
cdc_tls_judge(cdc_tls_t *t, const char *name)
{
    long   why;
    char   names[CDC_TLS_NAMES], whose[CDC_REASON_MAX], cure[CDC_TLS_CURE];
    X509  *cert;

    cert = SSL_get1_peer_certificate(t->ssl);

    if (cert == NULL) {
        return CDC_ERROR;
    }

    (void) snprintf(whose, sizeof(whose), "the certificate of %s %.300s",
                    t->look->who, t->look->address);

    why = SSL_get_verify_result(t->ssl);

    if (cdc_tls_end(t, cert, whose) && why == X509_V_ERR_CERT_HAS_EXPIRED) {
        why = X509_V_OK;
    }

    if (why != X509_V_OK) {
        cdc_tls_untrusted(t, cert, why);
    }

    if (X509_check_host(cert, name, 0, 0, NULL) != 1
        && X509_check_ip_asc(cert, name, 0) != 1)
    {
        cdc_tls_names(cert, names);

        (void) snprintf(cure, sizeof(cure), "set %s to one of these names, "
                        "or use such a name in the address",
                        t->look->name_option);
        cdc_finding(t->findings, t->look->check, CDC_FAULT, cure,
                    "%s is for %s, not for \"%.200s\"", whose, names, name);
    }

    if (t->asked && t->look->cert == NULL) {
        cdc_finding(t->findings, t->look->check, CDC_WARNING,
                    t->look->cert_option, "%s %s asks for a certificate of "
                    "the client, and there is none", t->look->who,
                    t->look->address);
    }

    X509_free(cert);

    return CDC_OK;
}


static void
cdc_tls_ours(cdc_tls_t *t)
{
    const cdc_tls_look_t  *l;

    l = t->look;

    if (l->ca == NULL) {
        (void) SSL_CTX_set_default_verify_paths(t->ctx);

    } else {
        (void) cdc_tls_file(t, l->ca, l->ca_option);
        (void) SSL_CTX_load_verify_locations(t->ctx, l->ca, NULL);
    }

    if (l->cert == NULL) {
        SSL_CTX_set_client_cert_cb(t->ctx, cdc_tls_asked);
        return;
    }

    if (cdc_tls_file(t, l->cert, l->cert_option) == CDC_ERROR) {
        return;
    }

    if (SSL_CTX_use_certificate_chain_file(t->ctx, l->cert) != 1
        || SSL_CTX_use_PrivateKey_file(t->ctx, l->key, SSL_FILETYPE_PEM) != 1)
    {
        cdc_finding(t->findings, l->check, CDC_FAULT, l->cert_option,
                    "the key \"%.500s\" cannot be read, or does not belong "
                    "to the certificate \"%.500s\"", l->key, l->cert);
    }
}


/* the handshake has come to no end */

static void
cdc_tls_declined(cdc_tls_t *t)
{
    char                   cure[CDC_TLS_CURE];
    const cdc_tls_look_t  *l;

    l = t->look;

    if (t->alert == NULL) {
        cdc_finding(t->findings, l->check, CDC_FAULT, "use the port and the "
                    "scheme that fit: http:// and no \"enable_tls\" for a "
                    "server without TLS", "%s %s does not speak TLS there",
                    l->who, l->address);
        return;
    }

    if (t->asked && l->cert == NULL) {
        cdc_finding(t->findings, l->check, CDC_FAULT, l->cert_option,
                    "%s %s wants a certificate of the client, and there is "
                    "none (%s)", l->who, l->address, t->alert);
        return;
    }

    (void) snprintf(cure, sizeof(cure), "see what its own log says of it; the "
                    "certificate that it is shown is set with %s",
                    l->cert_option);
    cdc_finding(t->findings, l->check, CDC_FAULT, cure, "%s %s ends the TLS "
                "handshake: %s", l->who, l->address, t->alert);
}


int
cdc_probe_tls(const cdc_tls_look_t *look, unsigned ms, json_t *findings)
{
    int          rc;
    size_t       before;
    cdc_tls_t    t;
    const char  *name;

    before = json_array_size(findings);
    rc = cdc_tls_open(&t, ms);

    t.look = look;
    t.findings = findings;

    if (rc == CDC_OK) {
        cdc_tls_ours(&t);
        t.end = cdc_now_ms() + ms;       /* the system's roots take time */
        rc = cdc_tls_connect(&t, look->address);
    }

    if (rc != CDC_OK) {
        rc = cdc_now_ms() >= t.end ? CDC_AGAIN : CDC_ERROR;
        goto done;
    }

    name = look->server_name != NULL ? look->server_name : t.host;
    rc = cdc_tls_handshake(&t, name);

    if (rc == CDC_OK) {
        rc = cdc_tls_judge(&t, name);

    } else if (rc == CDC_DECLINED) {
        cdc_tls_declined(&t);

    } else if (rc == CDC_AGAIN) {
        cdc_finding(findings, look->check, CDC_WARNING, "see that it speaks "
                    "TLS there, and check again", "%s %s takes a connection "
                    "and does not answer to TLS in time", look->who,
                    look->address);
    }

    if (rc == CDC_OK && json_array_size(findings) == before) {
        cdc_finding(findings, look->check, CDC_FINE, NULL, "the certificate "
                    "of %s %s is trusted, and good for %d days or more",
                    look->who, look->address, CDC_CHECK_CERT_DAYS);
    }

done:

    cdc_tls_close(&t);

    return rc;
}
