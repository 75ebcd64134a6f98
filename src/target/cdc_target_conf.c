/*
 * "milvus_connect_param": both generations of the API in one structure.
 *
 * An error names the field and what it must be, never its value: tokens and
 * passwords are among them.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cdc_target.h"


#define CDC_TARGET_PORT          19530
#define CDC_TARGET_TLS_PORT      443
#define CDC_TARGET_TIMEOUT       5
#define CDC_TARGET_TIMEOUT_MAX   86400
#define CDC_TARGET_HOST_MAX      253


typedef struct {
    const char  *host;                   /* without brackets */
    size_t       len;
    unsigned     port;
    unsigned     tls:1;
    unsigned     v6:1;
} cdc_target_address_t;


static int __attribute__((format(printf, 2, 3)))
cdc_target_conf_error(char *err, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(err, CDC_REASON_MAX, fmt, args);
    va_end(args);

    return CDC_ERROR;
}


/* a string member; *value is NULL when it is absent, null or empty */

static int
cdc_target_conf_string(json_t *object, const char *name, const char **value,
    char *err)
{
    json_t  *v;

    *value = NULL;

    v = json_object_get(object, name);
    if (v == NULL || json_is_null(v)) {
        return CDC_OK;
    }

    if (!json_is_string(v)) {
        return cdc_target_conf_error(err, "\"%s\" must be a string", name);
    }

    if (json_string_length(v) != 0) {
        *value = json_string_value(v);
    }

    return CDC_OK;
}


static char *
cdc_target_conf_base64(const char *user, const char *password)
{
    char           *in, *out, *p;
    size_t          i, n, left;
    uint32_t        v;
    const uint8_t  *src;

    static const char  digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789+/";

    n = strlen(user) + (password ? strlen(password) + 1 : 0);

    in = malloc(n + 1);
    out = malloc((n + 2) / 3 * 4 + 1);

    if (in == NULL || out == NULL) {
        free(in);
        free(out);
        return NULL;
    }

    (void) snprintf(in, n + 1, "%s%s%s", user, password ? ":" : "",
                    password ? password : "");

    src = (const uint8_t *) in;
    p = out;

    for (i = 0; i < n; i += 3) {
        left = n - i;
        v = (uint32_t) src[i] << 16;
        v |= left > 1 ? (uint32_t) src[i + 1] << 8 : 0;
        v |= left > 2 ? src[i + 2] : 0;

        *p++ = digits[v >> 18];
        *p++ = digits[(v >> 12) & 63];
        *p++ = left > 1 ? digits[(v >> 6) & 63] : '=';
        *p++ = left > 2 ? digits[v & 63] : '=';
    }

    *p = '\0';

    explicit_bzero(in, n);
    free(in);

    return out;
}


static int
cdc_target_conf_port(const char *p, size_t len, unsigned *port)
{
    size_t    i;
    unsigned  n;

    if (len == 0 || len > 5) {
        return CDC_ERROR;
    }

    for (i = 0, n = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return CDC_ERROR;
        }

        n = n * 10 + (unsigned) (p[i] - '0');
    }

    *port = n;

    return n >= 1 && n <= 65535 ? CDC_OK : CDC_ERROR;
}


static int
cdc_target_conf_host(cdc_target_address_t *a)
{
    const char  *allowed;

    static const char  name[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    static const char  v6[] = "0123456789abcdefABCDEF:.";

    allowed = a->v6 ? v6 : name;

    return a->len != 0 && a->len <= CDC_TARGET_HOST_MAX
           && strspn(a->host, allowed) >= a->len ? CDC_OK : CDC_ERROR;
}


/* [http://|https://]host[:port][/] */

static int
cdc_target_conf_uri(const char *uri, cdc_target_address_t *a, char *err)
{
    size_t       n;
    const char  *p, *port;

    p = uri;

    if (strncasecmp(p, "https://", 8) == 0) {
        a->tls = 1;
        p += 8;

    } else if (strncasecmp(p, "http://", 7) == 0) {
        p += 7;

    } else if (strstr(p, "://") != NULL) {
        return cdc_target_conf_error(err, "\"uri\" must begin with http:// "
                                     "or https://");
    }

    if (strchr(p, '@') != NULL) {
        return cdc_target_conf_error(err, "\"uri\" must not hold a user: "
                                     "give \"token\" as user:password");
    }

    n = strcspn(p, "/?#");

    if (p[n] != '\0' && strcmp(p + n, "/") != 0) {
        return cdc_target_conf_error(err, "\"uri\" must end after the port");
    }

    a->host = p;
    port = memchr(p, ':', n);

    if (*p == '[') {
        a->v6 = 1;
        a->host = p + 1;
        port = memchr(p, ']', n);

        if (port == NULL) {
            return cdc_target_conf_error(err, "\"uri\" has \"[\" and no "
                                         "\"]\"");
        }

        a->len = (size_t) (port - a->host);
        port++;

        if (port == p + n) {
            port = NULL;
        }

    } else {
        a->len = port != NULL ? (size_t) (port - p) : n;
    }

    if (cdc_target_conf_host(a) != CDC_OK) {
        return cdc_target_conf_error(err, "\"uri\" holds no valid host");
    }

    a->port = a->tls ? CDC_TARGET_TLS_PORT : CDC_TARGET_PORT;

    if (port != NULL
        && (*port != ':' || cdc_target_conf_port(port + 1,
                                                 (size_t) (p + n - port - 1),
                                                 &a->port) != CDC_OK))
    {
        return cdc_target_conf_error(err, "\"uri\" holds no valid port");
    }

    return CDC_OK;
}


/* the earlier generation: "host", "port", "enable_tls" */

static int
cdc_target_conf_host_port(json_t *root, const char *host,
    cdc_target_address_t *a, char *err)
{
    json_t  *v;

    a->host = host;
    a->len = strlen(host);

    if (host[0] == '[' && host[a->len - 1] == ']') {
        a->v6 = 1;
        a->host++;
        a->len -= 2;

    } else if (strchr(host, ':') != NULL) {
        a->v6 = 1;
    }

    if (cdc_target_conf_host(a) != CDC_OK) {
        return cdc_target_conf_error(err, "\"host\" must be a host name or "
                                     "an address");
    }

    a->port = CDC_TARGET_PORT;

    v = json_object_get(root, "port");
    if (v == NULL || json_is_null(v)) {
        return CDC_OK;
    }

    if (!json_is_integer(v) || json_integer_value(v) < 1
        || json_integer_value(v) > 65535)
    {
        return cdc_target_conf_error(err, "\"port\" must be a number from 1 "
                                     "to 65535");
    }

    a->port = (unsigned) json_integer_value(v);

    return CDC_OK;
}


static int
cdc_target_conf_tls(cdc_target_conf_t *conf, json_t *root,
    cdc_target_address_t *a, char *err)
{
    json_t       *v;
    const char   *server, *ca, *cert, *key, *name;

    v = json_object_get(root, "enable_tls");
    if (v != NULL && !json_is_null(v) && !json_is_boolean(v)) {
        return cdc_target_conf_error(err, "\"enable_tls\" must be true or "
                                     "false");
    }

    conf->tls = a->tls || json_is_true(v);

    v = json_object_get(root, "dial_config");
    if (v == NULL || json_is_null(v)) {
        return CDC_OK;
    }

    if (!json_is_object(v)) {
        return cdc_target_conf_error(err, "\"dial_config\" must be an "
                                     "object");
    }

    if (cdc_target_conf_string(v, "server_pem_path", &server, err) != CDC_OK
        || cdc_target_conf_string(v, "ca_pem_path", &ca, err) != CDC_OK
        || cdc_target_conf_string(v, "client_pem_path", &cert, err) != CDC_OK
        || cdc_target_conf_string(v, "client_key_path", &key, err) != CDC_OK
        || cdc_target_conf_string(v, "server_name", &name, err) != CDC_OK)
    {
        return CDC_ERROR;
    }

    if ((cert == NULL) != (key == NULL)) {
        return cdc_target_conf_error(err, "\"client_pem_path\" and "
                                     "\"client_key_path\" go together");
    }

    /* a server's own certificate serves as the root that it is checked by */

    if (ca == NULL) {
        ca = server;
    }

    if (ca != NULL || cert != NULL) {
        conf->tls = 1;
    }

    if ((ca != NULL && (conf->ca_path = strdup(ca)) == NULL)
        || (cert != NULL && (conf->cert_path = strdup(cert)) == NULL)
        || (key != NULL && (conf->key_path = strdup(key)) == NULL)
        || (name != NULL && (conf->server_name = strdup(name)) == NULL))
    {
        return cdc_target_conf_error(err, "no memory");
    }

    return CDC_OK;
}


static int
cdc_target_conf_login(cdc_target_conf_t *conf, json_t *root, char *err)
{
    const char  *token, *user, *password;

    if (cdc_target_conf_string(root, "token", &token, err) != CDC_OK
        || cdc_target_conf_string(root, "username", &user, err) != CDC_OK
        || cdc_target_conf_string(root, "password", &password, err) != CDC_OK)
    {
        return CDC_ERROR;
    }

    if (token == NULL && user == NULL) {
        if (password != NULL) {
            return cdc_target_conf_error(err, "\"password\" needs "
                                         "\"username\"");
        }

        return CDC_OK;
    }

    if (token == NULL && password == NULL) {
        return cdc_target_conf_error(err, "\"username\" needs \"password\"");
    }

    conf->authorization = token ? cdc_target_conf_base64(token, NULL)
                                : cdc_target_conf_base64(user, password);

    return conf->authorization ? CDC_OK
                               : cdc_target_conf_error(err, "no memory");
}


static int
cdc_target_conf_names(cdc_target_conf_t *conf, const cdc_target_address_t *a,
    const char *uri, char *err)
{
    char  text[CDC_TARGET_HOST_MAX + 16];

    (void) snprintf(text, sizeof(text), a->v6 ? "[%.*s]:%u" : "%.*s:%u",
                    (int) a->len, a->host, a->port);

    conf->address = strdup(text);

    if (uri != NULL) {
        conf->identity = strdup(uri);

    } else if (conf->address != NULL
               && asprintf(&conf->identity, "%s://%s",
                           conf->tls ? "https" : "http", conf->address) < 0)
    {
        conf->identity = NULL;
    }

    return conf->address && conf->identity
           ? CDC_OK : cdc_target_conf_error(err, "no memory");
}


static int
cdc_target_conf_read(cdc_target_conf_t *conf, json_t *root, char *err)
{
    int                    rc;
    json_t                *v;
    const char            *uri, *host;
    cdc_target_address_t   a;

    memset(&a, 0, sizeof(a));

    if (!json_is_object(root)) {
        return cdc_target_conf_error(err, "\"milvus_connect_param\" must be "
                                     "an object");
    }

    if (cdc_target_conf_string(root, "uri", &uri, err) != CDC_OK
        || cdc_target_conf_string(root, "host", &host, err) != CDC_OK)
    {
        return CDC_ERROR;
    }

    if (uri == NULL && host == NULL) {
        return cdc_target_conf_error(err, "\"uri\" is missing: the target's "
                                     "address, http://host:port");
    }

    rc = uri != NULL ? cdc_target_conf_uri(uri, &a, err)
                     : cdc_target_conf_host_port(root, host, &a, err);

    if (rc != CDC_OK
        || cdc_target_conf_tls(conf, root, &a, err) != CDC_OK
        || cdc_target_conf_login(conf, root, err) != CDC_OK)
    {
        return CDC_ERROR;
    }

    conf->connect_timeout_ms = CDC_TARGET_TIMEOUT * 1000;

    v = json_object_get(root, "connect_timeout");

    if (v != NULL && !json_is_null(v)) {
        if (!json_is_integer(v) || json_integer_value(v) < 0
            || json_integer_value(v) > CDC_TARGET_TIMEOUT_MAX)
        {
            return cdc_target_conf_error(err, "\"connect_timeout\" must be a "
                                         "number of seconds from 0 to %d",
                                         CDC_TARGET_TIMEOUT_MAX);
        }

        if (json_integer_value(v) != 0) {
            conf->connect_timeout_ms =
                                  (unsigned) json_integer_value(v) * 1000;
        }
    }

    return cdc_target_conf_names(conf, &a, uri, err);
}


int
cdc_target_conf_parse(cdc_target_conf_t *conf, const char *json, size_t len,
    char err[CDC_REASON_MAX])
{
    int      rc;
    json_t  *root;

    memset(conf, 0, sizeof(cdc_target_conf_t));

    root = json_loadb(json, len, 0, NULL);
    if (root == NULL) {
        return cdc_target_conf_error(err, "\"milvus_connect_param\" is not "
                                     "valid JSON");
    }

    rc = cdc_target_conf_read(conf, root, err);

    json_decref(root);

    if (rc != CDC_OK) {
        cdc_target_conf_free(conf);
    }

    return rc;
}


void
cdc_target_conf_free(cdc_target_conf_t *conf)
{
    if (conf->authorization != NULL) {
        explicit_bzero(conf->authorization, strlen(conf->authorization));
    }

    free(conf->authorization);
    free(conf->address);
    free(conf->identity);
    free(conf->ca_path);
    free(conf->cert_path);
    free(conf->key_path);
    free(conf->server_name);

    memset(conf, 0, sizeof(cdc_target_conf_t));
}
