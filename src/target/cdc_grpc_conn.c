/*
 * Connections over gRPC's C core.
 *
 * A connection is a channel with a subchannel pool of its own: two of them to
 * one address never share a socket, so closing one ends what it had under
 * way and nothing else.  gRPC repeats nothing by itself: whether a request
 * may be sent again is decided above.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_grpc_int.h"


#define CDC_GRPC_PEM_MAX        (1024 * 1024)    /* all CAs of a system have a
                                          * fifth of that */
/* a server that starts again is found soon; our own retries, which are further
 * apart, say what is wrong */
#define CDC_GRPC_BACKOFF_MIN    100
#define CDC_GRPC_BACKOFF_MAX    2000
#define CDC_GRPC_CONNECT_MS     5000     /* an attempt, where nobody says */


static char *
cdc_grpc_read_pem(const char *path, cdc_grpc_error_t *err)
{
    char    *pem;
    FILE    *f;
    size_t   n;

    f = fopen(path, "re");
    if (f == NULL) {
        err->status = GRPC_STATUS_INVALID_ARGUMENT;
        err->unsent = 1;
        (void) snprintf(err->text, sizeof(err->text),
                        "cannot open certificate or key \"%s\": %s", path,
                        strerrordesc_np(errno));
        return NULL;
    }

    pem = malloc(CDC_GRPC_PEM_MAX);
    n = (pem != NULL) ? fread(pem, 1, CDC_GRPC_PEM_MAX, f) : 0;
    (void) fclose(f);

    if (n == 0 || n == CDC_GRPC_PEM_MAX) {
        free(pem);
        err->status = GRPC_STATUS_INVALID_ARGUMENT;
        err->unsent = 1;
        (void) snprintf(err->text, sizeof(err->text),
                        "certificate or key \"%s\" is empty or too large",
                        path);
        return NULL;
    }

    pem[n] = '\0';

    return pem;
}


static grpc_channel_credentials *
cdc_grpc_credentials(const cdc_grpc_conf_t *conf, cdc_grpc_error_t *err)
{
    char                        *ca;
    grpc_channel_credentials    *creds;
    grpc_ssl_pem_key_cert_pair   pair;

    if (!conf->tls) {
        return grpc_insecure_credentials_create();
    }

    ca = NULL;
    creds = NULL;
    pair.cert_chain = NULL;
    pair.private_key = NULL;

    if (conf->ca_path != NULL) {
        ca = cdc_grpc_read_pem(conf->ca_path, err);
        if (ca == NULL) {
            return NULL;
        }
    }

    if (conf->cert_path != NULL && conf->key_path != NULL) {
        pair.cert_chain = cdc_grpc_read_pem(conf->cert_path, err);
        if (pair.cert_chain == NULL) {
            goto done;
        }

        pair.private_key = cdc_grpc_read_pem(conf->key_path, err);
        if (pair.private_key == NULL) {
            goto done;
        }
    }

    creds = grpc_ssl_credentials_create(ca, pair.cert_chain ? &pair : NULL,
                                        NULL, NULL);
    if (creds == NULL) {
        cdc_grpc_error_set(err, GRPC_STATUS_INVALID_ARGUMENT,
                           "certificate or key cannot be used");
    }

done:

    if (pair.private_key != NULL) {
        explicit_bzero((char *) pair.private_key, strlen(pair.private_key));
    }

    free(ca);
    free((char *) pair.cert_chain);
    free((char *) pair.private_key);

    return creds;
}


static grpc_arg
cdc_grpc_arg(const char *name, int value)
{
    grpc_arg  arg;

    arg.type = GRPC_ARG_INTEGER;
    arg.key = (char *) name;
    arg.value.integer = value;

    return arg;
}


static size_t
cdc_grpc_args(const cdc_grpc_conf_t *conf, grpc_arg *args)
{
    int     connect;
    size_t  n;

    n = 0;
    connect = conf->connect_timeout_ms ? (int) conf->connect_timeout_ms
                                       : CDC_GRPC_CONNECT_MS;

    args[n++] = cdc_grpc_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    args[n++] = cdc_grpc_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, -1);
    args[n++] = cdc_grpc_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
    args[n++] = cdc_grpc_arg(GRPC_ARG_ENABLE_RETRIES, 0);
    args[n++] = cdc_grpc_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    args[n++] = cdc_grpc_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    args[n++] = cdc_grpc_arg(GRPC_ARG_ENABLE_CHANNELZ, 0);
    args[n++] = cdc_grpc_arg(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE,
                             0);
    args[n++] = cdc_grpc_arg(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);

    /* the name of the first is misleading: how long one attempt may take */
    args[n++] = cdc_grpc_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, connect);
    args[n++] = cdc_grpc_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                             CDC_GRPC_BACKOFF_MIN);
    args[n++] = cdc_grpc_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                             CDC_GRPC_BACKOFF_MAX);

    if (conf->keepalive_ms != 0) {
        args[n++] = cdc_grpc_arg(GRPC_ARG_KEEPALIVE_TIME_MS,
                                 (int) conf->keepalive_ms);
        args[n++] = cdc_grpc_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                                 (int) conf->keepalive_ms);
        args[n++] = cdc_grpc_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS,
                                 conf->keepalive_idle);
        args[n++] = cdc_grpc_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    }

    /* each answer is measured by a ping, and another wake-up: it pays where
     * they are long */

    if (conf->brief) {
        args[n++] = cdc_grpc_arg(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    }

    args[n].type = GRPC_ARG_POINTER;
    args[n].key = (char *) GRPC_ARG_RESOURCE_QUOTA;
    args[n].value.pointer.p = cdc_grpc_quota;
    args[n++].value.pointer.vtable = grpc_resource_quota_arg_vtable();

    if (conf->tls && conf->server_name != NULL) {
        args[n].type = GRPC_ARG_STRING;
        args[n].key = (char *) GRPC_SSL_TARGET_NAME_OVERRIDE_ARG;
        args[n++].value.string = (char *) conf->server_name;
    }

    return n;
}


void
cdc_grpc_free(cdc_grpc_t *g)
{
    if (g->authorization != NULL) {
        explicit_bzero(g->authorization, strlen(g->authorization));
        free(g->authorization);
    }

    if (g->token != NULL) {
        explicit_bzero(g->token, strlen(g->token));
        free(g->token);
    }

    if (g->channel != NULL) {
        grpc_channel_destroy(g->channel);
    }

    (void) pthread_cond_destroy(&g->done);
    (void) pthread_mutex_destroy(&g->mutex);
    free(g);
}


cdc_grpc_t *
cdc_grpc_open(const cdc_grpc_conf_t *conf, cdc_grpc_error_t *err)
{
    grpc_arg                   arg[24];
    cdc_grpc_t                *g;
    grpc_channel_args          args;
    grpc_channel_credentials  *creds;

    creds = cdc_grpc_credentials(conf, err);
    if (creds == NULL) {
        return NULL;
    }

    g = calloc(1, sizeof(cdc_grpc_t));
    if (g == NULL) {
        goto failed;
    }

    (void) pthread_mutex_init(&g->mutex, NULL);
    (void) pthread_cond_init(&g->done, NULL);

    g->authorization = conf->authorization ? strdup(conf->authorization) : NULL;
    g->token = conf->token ? strdup(conf->token) : NULL;

    if ((conf->authorization != NULL && g->authorization == NULL)
        || (conf->token != NULL && g->token == NULL))
    {
        goto failed;
    }

    args.args = arg;
    args.num_args = cdc_grpc_args(conf, arg);

    g->channel = grpc_channel_create(conf->address, creds, &args);
    if (g->channel == NULL) {
        goto failed;
    }

    grpc_channel_credentials_release(creds);

    return g;

failed:

    cdc_grpc_error_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory");
    grpc_channel_credentials_release(creds);

    if (g != NULL) {
        cdc_grpc_free(g);
    }

    return NULL;
}


void
cdc_grpc_set_token(cdc_grpc_t *g, const char *token)
{
    char  *copy;

    copy = (token != NULL) ? strdup(token) : NULL;

    (void) pthread_mutex_lock(&g->mutex);

    if (g->token != NULL) {
        explicit_bzero(g->token, strlen(g->token));
        free(g->token);
    }

    g->token = copy;

    (void) pthread_mutex_unlock(&g->mutex);
}


void
cdc_grpc_headers_fill(cdc_grpc_headers_t *h, cdc_grpc_t *g,
    const char *const header[2])
{
    memset(h, 0, sizeof(cdc_grpc_headers_t));

    (void) pthread_mutex_lock(&g->mutex);

    if (g->authorization != NULL) {
        h->data[h->n].key = grpc_slice_from_static_string("authorization");
        h->data[h->n++].value = grpc_slice_from_copied_string(
                                                           g->authorization);
    }

    if (g->token != NULL) {
        h->data[h->n].key = grpc_slice_from_static_string("token");
        h->data[h->n++].value = grpc_slice_from_copied_string(g->token);
    }

    (void) pthread_mutex_unlock(&g->mutex);

    if (header != NULL) {
        h->data[h->n].key = grpc_slice_from_copied_string(header[0]);
        h->data[h->n++].value = grpc_slice_from_copied_string(header[1]);
    }
}


void
cdc_grpc_headers_free(cdc_grpc_headers_t *h)
{
    while (h->n != 0) {
        h->n--;
        grpc_slice_unref(h->data[h->n].key);
        grpc_slice_unref(h->data[h->n].value);
    }
}
