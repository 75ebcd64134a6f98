/*
 * The look at a server's TLS: one that ends the handshake speaks TLS, and is
 * told apart from one that does not.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "tap.h"
#include "cdc_check.h"


typedef struct {
    const char  *data;
    size_t       len;
} line_t;


static SSL_CTX  *ctx;                    /* NULL: says its line, and ends */
static int       bell;
static char      address[64];


static void
listen_anywhere(void)
{
    socklen_t           len;
    struct sockaddr_in  sin = { .sin_family = AF_INET };

    bell = socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0);
    len = sizeof(sin);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (bind(bell, (struct sockaddr *) &sin, len) == -1
        || listen(bell, 8) == -1
        || getsockname(bell, (struct sockaddr *) &sin, &len) == -1)
    {
        abort();
    }

    (void) snprintf(address, sizeof(address), "127.0.0.1:%d",
                    ntohs(sin.sin_port));
}


static void *
serve(void *arg)
{
    int            fd;
    SSL           *ssl;
    char           hello[4096];
    const line_t  *line;

    line = arg;

    fd = accept(bell, NULL, NULL);

    if (ctx == NULL) {
        (void) !read(fd, hello, sizeof(hello));
        (void) !write(fd, line->data, line->len);
        (void) shutdown(fd, SHUT_WR);
        (void) !read(fd, hello, sizeof(hello));

    } else {
        ssl = SSL_new(ctx);
        (void) SSL_set_fd(ssl, fd);
        (void) SSL_accept(ssl);
        SSL_free(ssl);
    }

    close(fd);

    return NULL;
}


/* an own certificate, for TLS before 1.3: there, a server that misses the
 * client's says so only after the handshake */

static void
tls_1_2(void)
{
    X509      *cert;
    EVP_PKEY  *key;

    key = EVP_EC_gen("P-256");
    cert = X509_new();
    (void) X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    (void) X509_gmtime_adj(X509_getm_notAfter(cert), 100 * 24 * 3600);
    (void) X509_set_pubkey(cert, key);
    (void) X509_sign(cert, key, EVP_sha256());

    ctx = SSL_CTX_new(TLS_server_method());
    (void) SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER|SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       NULL);

    if (SSL_CTX_use_certificate(ctx, cert) != 1
        || SSL_CTX_use_PrivateKey(ctx, key) != 1)
    {
        abort();
    }

    X509_free(cert);
    EVP_PKEY_free(key);
}


/* the text of the one finding there is to be */

static void
finds(const line_t *line, const char *text, const char *cure)
{
    json_t          *findings, *one;
    pthread_t        thread;
    const char      *got;
    cdc_tls_look_t   look = {
        .check = "target.tls", .who = "the target", .address = address,
        .ca_option = "ca", .cert_option = "client_pem_path",
        .name_option = "name"
    };

    findings = json_array();

    (void) pthread_create(&thread, NULL, serve, (void *) line);
    is_int(cdc_probe_tls(&look, 20000, findings), CDC_DECLINED, "declined");
    (void) pthread_join(thread, NULL);

    is_int((int64_t) json_array_size(findings), 1, "one finding");
    one = json_array_get(findings, 0);

    got = json_string_value(json_object_get(one, "text"));
    ok(got != NULL && strstr(got, text) != NULL, "\"%s\": %s", text, got);
    got = json_string_value(json_object_get(one, "cure"));
    ok(got != NULL && strstr(got, cure) != NULL, "\"%s\": %s", cure, got);

    json_decref(findings);
}


static void
speaks(const line_t *line, int want, const char *name)
{
    pthread_t  thread;

    (void) pthread_create(&thread, NULL, serve, (void *) line);
    is_int(cdc_probe_speaks_tls(address, 20000), want, name);
    (void) pthread_join(thread, NULL);
}


int
main(void)
{
    static const line_t  none = { "", 0 };
    static const line_t  http = { "HTTP/1.0 400 no\r\n\r\n", 19 };
    /* a record of TLS 1.2: fatal, unrecognized name */
    static const line_t  alert = { "\x15\x03\x03\x00\x02\x02\x70", 7 };

    (void) signal(SIGPIPE, SIG_IGN);
    listen_anywhere();

    speaks(&http, 0, "a server without TLS");
    finds(&http, "does not speak TLS there", "http://");
    finds(&none, "does not speak TLS there", "http://");

    speaks(&alert, 1, "a server that ends the handshake speaks TLS");
    finds(&alert, "ends the TLS handshake", "client_pem_path");

    tls_1_2();
    speaks(&none, 1, "so does one that wants a certificate");
    finds(&none, "wants a certificate of the client", "client_pem_path");

    SSL_CTX_free(ctx);
    close(bell);

    return done_testing();
}
