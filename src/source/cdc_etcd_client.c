/*
 * One connection to etcd: endpoints, token, Range.
 *
 * A user means a token that Authenticate hands out and that etcd forgets when
 * it restarts or when its time is over; a call that is refused for it gets a
 * new one and is made again, once.  A server without authentication refuses
 * Authenticate itself: then calls go without a token.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cdc_etcd_int.h"


#define CDC_ETCD_UNAUTHENTICATED      16
#define CDC_ETCD_FAILED_PRECONDITION  9
#define CDC_ETCD_OUT_OF_RANGE         11
#define CDC_ETCD_INTERNAL             13


static int cdc_etcd_endpoint_parse(cdc_etcd_endpoint_t *e, const char *url,
    char *err);
static int cdc_etcd_string(const json_t *conf, const char *name, char **s);


int
cdc_etcd_client_init(cdc_etcd_client_t *c, const void *conf, char *err)
{
    size_t         i, n;
    const json_t  *list;
    const char    *url;

    memset(c, 0, sizeof(cdc_etcd_client_t));

    list = json_object_get(conf, "endpoints");
    n = json_array_size(list);

    if (n == 0) {
        (void) snprintf(err, CDC_REASON_MAX, "etcd: no endpoint is given");
        return CDC_ERROR;
    }

    c->endpoints = calloc(n, sizeof(cdc_etcd_endpoint_t));
    if (c->endpoints == NULL) {
        goto nomem;
    }

    for (i = 0; i < n; i++) {
        url = json_string_value(json_array_get(list, i));

        if (cdc_etcd_endpoint_parse(&c->endpoints[i], url ? url : "", err)
            != CDC_OK)
        {
            cdc_etcd_client_free(c);
            return CDC_ERROR;
        }

        c->n = i + 1;
    }

    if (cdc_etcd_string(conf, "user", &c->user) != CDC_OK
        || cdc_etcd_string(conf, "password", &c->password) != CDC_OK
        || cdc_etcd_string(conf, "ca", &c->ca) != CDC_OK
        || cdc_etcd_string(conf, "cert", &c->cert) != CDC_OK
        || cdc_etcd_string(conf, "key", &c->key) != CDC_OK)
    {
        goto nomem;
    }

    return CDC_OK;

nomem:

    (void) snprintf(err, CDC_REASON_MAX, "etcd: no memory");
    cdc_etcd_client_free(c);

    return CDC_ERROR;
}


static int
cdc_etcd_string(const json_t *conf, const char *name, char **s)
{
    const char  *value;

    value = json_string_value(json_object_get(conf, name));

    if (value == NULL || *value == '\0') {
        return CDC_OK;
    }

    *s = strdup(value);

    return *s != NULL ? CDC_OK : CDC_ERROR;
}


static int
cdc_etcd_endpoint_parse(cdc_etcd_endpoint_t *e, const char *url, char *err)
{
    size_t       len;
    const char  *p;

    p = url;

    if (strncmp(p, "http://", 7) == 0) {
        p += 7;

    } else if (strncmp(p, "https://", 8) == 0) {
        p += 8;
        e->tls = 1;
    }

    len = strlen(p);

    if (len != 0 && p[len - 1] == '/') {
        len--;
    }

    if (len == 0 || memchr(p, '/', len) != NULL
        || memchr(p, '@', len) != NULL || memchr(p, ':', len) == NULL)
    {
        (void) snprintf(err, CDC_REASON_MAX,
                        "etcd: the endpoint \"%.256s\" should be "
                        "http(s)://host:port", url);
        return CDC_ERROR;
    }

    e->address = strndup(p, len);

    if (e->address == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "etcd: no memory");
        return CDC_ERROR;
    }

    return CDC_OK;
}


static void
cdc_etcd_wipe(char *s)
{
    if (s != NULL) {
        explicit_bzero(s, strlen(s));
        free(s);
    }
}


void
cdc_etcd_client_free(cdc_etcd_client_t *c)
{
    size_t  i;

    if (c->g != NULL) {
        cdc_grpc_close(c->g);
    }

    for (i = 0; i < c->n; i++) {
        free(c->endpoints[i].address);
    }

    free(c->endpoints);
    free(c->user);
    free(c->ca);
    free(c->cert);
    free(c->key);
    cdc_etcd_wipe(c->password);
    cdc_etcd_wipe(c->token);

    memset(c, 0, sizeof(cdc_etcd_client_t));
}


void
cdc_etcd_client_rotate(cdc_etcd_client_t *c)
{
    if (c->g != NULL) {
        cdc_grpc_close(c->g);
        c->g = NULL;
    }

    c->at = (c->at + 1) % c->n;
}


int
cdc_etcd_client_connect(cdc_etcd_client_t *c, cdc_grpc_error_t *err)
{
    cdc_grpc_conf_t  conf;

    memset(&conf, 0, sizeof(cdc_grpc_conf_t));

    conf.address = c->endpoints[c->at].address;
    conf.tls = c->endpoints[c->at].tls;
    conf.ca_path = c->ca;
    conf.cert_path = c->cert;
    conf.key_path = c->key;
    conf.token = c->token;

    c->g = cdc_grpc_open(&conf, err);

    return c->g != NULL ? CDC_OK : CDC_ERROR;
}


cdc_chain_t *
cdc_etcd_pack(const ProtobufCMessage *msg)
{
    size_t        len;
    uint8_t      *p;
    cdc_chain_t  *chain;

    chain = cdc_chain_create();
    if (chain == NULL) {
        return NULL;
    }

    len = protobuf_c_message_get_packed_size(msg);

    if (len != 0) {
        p = cdc_chain_alloc(chain, len);
        if (p == NULL) {
            cdc_chain_unref(chain);
            return NULL;
        }

        (void) protobuf_c_message_pack(msg, p);
    }

    return chain;
}


static int
cdc_etcd_call(cdc_etcd_client_t *c, const char *method,
    const ProtobufCMessage *req, unsigned ms,
    const ProtobufCMessageDescriptor *type, ProtobufCMessage **res,
    cdc_grpc_error_t *err)
{
    int           rc;
    size_t        len;
    uint8_t      *answer;
    cdc_chain_t  *chain;

    chain = cdc_etcd_pack(req);
    if (chain == NULL) {
        goto nomem;
    }

    rc = cdc_grpc_call(c->g, method, chain, ms, &answer, &len, err);
    cdc_chain_unref(chain);

    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    *res = protobuf_c_message_unpack(type, NULL, len, answer);
    free(answer);

    if (*res != NULL) {
        return CDC_OK;
    }

nomem:

    err->status = CDC_ETCD_INTERNAL;
    (void) snprintf(err->text, sizeof(err->text),
                    "no memory, or an answer that is no etcd answer");
    return CDC_ERROR;
}


/* a token, when there is a user */

static int
cdc_etcd_client_authenticate(cdc_etcd_client_t *c, unsigned ms,
    cdc_grpc_error_t *err)
{
    int                          rc;
    ProtobufCMessage            *msg;
    Etcd__AuthenticateRequest    req = ETCD__AUTHENTICATE_REQUEST__INIT;
    Etcd__AuthenticateResponse  *res;

    if (c->user == NULL) {
        return CDC_OK;
    }

    req.name = c->user;
    req.password = c->password ? c->password : "";

    /* an old token is refused even here */
    cdc_grpc_set_token(c->g, NULL);

    rc = cdc_etcd_call(c, "/etcdserverpb.Auth/Authenticate", &req.base, ms,
                       &etcd__authenticate_response__descriptor, &msg, err);

    if (rc != CDC_OK) {
        return err->status == CDC_ETCD_FAILED_PRECONDITION
                   && strstr(err->text, "not enabled") != NULL
               ? CDC_OK : CDC_ERROR;
    }

    res = (Etcd__AuthenticateResponse *) msg;

    cdc_etcd_wipe(c->token);
    c->token = strdup(res->token);
    cdc_grpc_set_token(c->g, c->token);

    explicit_bzero(res->token, strlen(res->token));
    etcd__authenticate_response__free_unpacked(res, NULL);

    return CDC_OK;
}


int
cdc_etcd_bad_token(const cdc_grpc_error_t *err)
{
    return err->status == CDC_ETCD_UNAUTHENTICATED
           || strstr(err->text, "invalid auth token") != NULL
           || strstr(err->text, "auth store is old") != NULL
           || strstr(err->text, "user name is empty") != NULL;
}


int
cdc_etcd_client_range(cdc_etcd_client_t *c, Etcd__RangeRequest *req,
    unsigned ms, Etcd__RangeResponse **res, cdc_grpc_error_t *err)
{
    int                rc;
    unsigned           again;
    ProtobufCMessage  *msg;

    again = 0;

    if (c->g == NULL) {
        if (cdc_etcd_client_connect(c, err) != CDC_OK) {
            return CDC_ERROR;
        }

        again = (c->user == NULL || c->token == NULL);

        if (again && cdc_etcd_client_authenticate(c, ms, err) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    for ( ;; ) {
        rc = cdc_etcd_call(c, "/etcdserverpb.KV/Range", &req->base, ms,
                           &etcd__range_response__descriptor, &msg, err);

        if (rc == CDC_OK) {
            *res = (Etcd__RangeResponse *) msg;

            /* etcd's begin with 1: what is watched, and put together by
             * its revision, relies on that */

            if ((*res)->header != NULL && (*res)->header->revision > 0) {
                return CDC_OK;
            }

            etcd__range_response__free_unpacked(*res, NULL);
            err->status = CDC_ETCD_INTERNAL;
            (void) snprintf(err->text, sizeof(err->text),
                            "an answer without a revision");
            return CDC_ERROR;
        }

        if (!again && c->user != NULL && cdc_etcd_bad_token(err)) {
            again = 1;

            if (cdc_etcd_client_authenticate(c, ms, err) != CDC_OK) {
                return CDC_ERROR;
            }

            continue;
        }

        return err->status == CDC_ETCD_OUT_OF_RANGE
                   && strstr(err->text, "compacted") != NULL
               ? CDC_DECLINED : CDC_ERROR;
    }
}


/* the first key behind all keys with that prefix */

static size_t
cdc_etcd_prefix_end(uint8_t *key, size_t len)
{
    while (len != 0 && key[len - 1] == 0xff) {
        len--;
    }

    if (len == 0) {
        key[0] = '\0';                   /* to etcd: everything */
        return 1;
    }

    key[len - 1]++;

    return len;
}


int
cdc_etcd_range(const void *conf, const char *prefix, int64_t limit,
    unsigned timeout_ms, int (*fn)(void *arg, const cdc_etcd_kv_t *kv),
    void *arg, char *err)
{
    int                   rc;
    size_t                i, len;
    uint8_t              *end;
    cdc_etcd_kv_t         kv;
    cdc_grpc_error_t      gerr;
    cdc_etcd_client_t     c;
    Etcd__RangeRequest    req = ETCD__RANGE_REQUEST__INIT;
    Etcd__RangeResponse  *res;

    if (cdc_etcd_client_init(&c, conf, err) != CDC_OK) {
        return CDC_ERROR;
    }

    len = strlen(prefix);

    end = malloc(len + 1);
    if (end == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "etcd: no memory");
        cdc_etcd_client_free(&c);
        return CDC_ERROR;
    }

    memcpy(end, prefix, len + 1);

    req.key.data = (uint8_t *) (len != 0 ? prefix : "\0");
    req.key.len = len != 0 ? len : 1;
    req.range_end.len = cdc_etcd_prefix_end(end, len);
    req.range_end.data = end;
    req.limit = limit;

    rc = CDC_ERROR;

    for (i = 0; i < c.n; i++) {
        rc = cdc_etcd_client_range(&c, &req, timeout_ms, &res, &gerr);

        if (rc == CDC_OK) {
            break;
        }

        (void) snprintf(err, CDC_REASON_MAX, "etcd %.256s: %.512s",
                        c.endpoints[c.at].address, gerr.text);
        cdc_etcd_client_rotate(&c);
    }

    if (rc == CDC_OK) {
        for (i = 0; rc == CDC_OK && i < res->n_kvs; i++) {
            memset(&kv, 0, sizeof(cdc_etcd_kv_t));
            kv.key = cdc_span_n(res->kvs[i]->key.data, res->kvs[i]->key.len);
            kv.value = cdc_span_n(res->kvs[i]->value.data,
                                  res->kvs[i]->value.len);
            kv.mod_revision = res->kvs[i]->mod_revision;

            rc = fn(arg, &kv);
        }

        rc = CDC_OK;
        etcd__range_response__free_unpacked(res, NULL);
    }

    free(end);
    cdc_etcd_client_free(&c);

    return rc;
}
