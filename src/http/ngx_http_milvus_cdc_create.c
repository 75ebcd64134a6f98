/*
 * create and check: the checks that need nothing but the request and the
 * configuration, in the order and with the texts of the existing service; then
 * what this version does not do is refused by name; then the store decides.
 *
 * A check goes through the same: it gathers what a create would be refused
 * for, all of it, and the store looks at the rest.
 */

#include "ngx_http_milvus_cdc_http.h"

#include <stdio.h>
#include <sys/random.h>

#include "cdc_allow.h"


#define NGX_HTTP_MILVUS_CDC_CONNECT_TIMEOUT  5000    /* ms, the default */
#define NGX_HTTP_MILVUS_CDC_PROBE_EXTRA      6000    /* ms: the source */
#define NGX_HTTP_MILVUS_CDC_CHECK_EXTRA      20000   /* ms: 10 s, and a queue */
#define NGX_HTTP_MILVUS_CDC_ADDRESS_MAX      512     /* no host is so long: the
                                                      * store refuses those */


/* NGX_DECLINED: no objection; anything else is the answer's result */

typedef ngx_int_t (*ngx_http_milvus_cdc_check_pt)(
    ngx_http_milvus_cdc_ctx_t *c);


static ngx_int_t ngx_http_milvus_cdc_check_connect(
    ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_check_kafka(
    ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_check_buffer(
    ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_check_rpc_channel(
    ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_check_policies(
    ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_check_supported(
    ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_target_url(
    ngx_http_milvus_cdc_ctx_t *c, json_t *m,
    char given[NGX_HTTP_MILVUS_CDC_ADDRESS_MAX], ngx_str_t *url,
    in_port_t *port);
static ngx_int_t ngx_http_milvus_cdc_check_target(
    ngx_http_milvus_cdc_ctx_t *c);
static ngx_int_t ngx_http_milvus_cdc_check_task_id(
    ngx_http_milvus_cdc_ctx_t *c);

static ngx_uint_t ngx_http_milvus_cdc_addressed(ngx_http_milvus_cdc_ctx_t *c);
static ngx_uint_t ngx_http_milvus_cdc_target_allowed(
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_str_t *host, in_port_t port);


static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_dial_fields[] = {
    { "server_name", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "server_pem_path", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "ca_pem_path", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "client_pem_path", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "client_key_path", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_milvus_fields[]
    = {
    { "uri", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "token", NGX_HTTP_MILVUS_CDC_SECRET, NULL },
    { "host", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "port", NGX_HTTP_MILVUS_CDC_INT, NULL },
    { "username", NGX_HTTP_MILVUS_CDC_SECRET, NULL },
    { "password", NGX_HTTP_MILVUS_CDC_SECRET, NULL },
    { "enable_tls", NGX_HTTP_MILVUS_CDC_BOOL, NULL },
    { "dial_config", NGX_HTTP_MILVUS_CDC_STRUCT,
      ngx_http_milvus_cdc_dial_fields },
    { "channel_num", NGX_HTTP_MILVUS_CDC_INT, NULL },
    { "ignore_partition", NGX_HTTP_MILVUS_CDC_BOOL, NULL },
    { "connect_timeout", NGX_HTTP_MILVUS_CDC_INT, NULL },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_sasl_fields[] = {
    { "username", NGX_HTTP_MILVUS_CDC_SECRET, NULL },
    { "password", NGX_HTTP_MILVUS_CDC_SECRET, NULL },
    { "mechanisms", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "security_protocol", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_kafka_fields[]
    = {
    { "address", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "topic", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "enable_sasl", NGX_HTTP_MILVUS_CDC_BOOL, NULL },
    { "sasl", NGX_HTTP_MILVUS_CDC_STRUCT, ngx_http_milvus_cdc_sasl_fields },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_info_fields[] = {
    { "name", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "positions", NGX_HTTP_MILVUS_CDC_MAP, NULL },
    { "use_start_position", NGX_HTTP_MILVUS_CDC_BOOL, NULL },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_rpc_fields[] = {
    { "name", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "position", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_extra_fields[]
    = {
    { "enable_user_role", NGX_HTTP_MILVUS_CDC_BOOL, NULL },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_buffer_fields[]
    = {
    { "period", NGX_HTTP_MILVUS_CDC_INT, NULL },
    { "size", NGX_HTTP_MILVUS_CDC_INT, NULL },
    { NULL, 0, NULL }
};

static const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_mapping_fields[]
    = {
    { "source_db", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "target_db", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "collection_mapping", NGX_HTTP_MILVUS_CDC_MAP, NULL },
    { NULL, 0, NULL }
};

const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_create_fields[] = {
    { "milvus_connect_param", NGX_HTTP_MILVUS_CDC_STRUCT,
      ngx_http_milvus_cdc_milvus_fields },
    { "kafka_connect_param", NGX_HTTP_MILVUS_CDC_STRUCT,
      ngx_http_milvus_cdc_kafka_fields },
    { "collection_infos", NGX_HTTP_MILVUS_CDC_LIST,
      ngx_http_milvus_cdc_info_fields },
    { "db_collections", NGX_HTTP_MILVUS_CDC_MAP_LIST,
      ngx_http_milvus_cdc_info_fields },
    { "rpc_channel_info", NGX_HTTP_MILVUS_CDC_STRUCT,
      ngx_http_milvus_cdc_rpc_fields },
    { "extra_info", NGX_HTTP_MILVUS_CDC_STRUCT,
      ngx_http_milvus_cdc_extra_fields },
    { "buffer_config", NGX_HTTP_MILVUS_CDC_STRUCT,
      ngx_http_milvus_cdc_buffer_fields },
    { "name_mapping", NGX_HTTP_MILVUS_CDC_LIST,
      ngx_http_milvus_cdc_mapping_fields },
    { "exclude_collections", NGX_HTTP_MILVUS_CDC_STRINGS, NULL },
    { "log_gap", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "on_poison", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "disable_auto_start", NGX_HTTP_MILVUS_CDC_BOOL, NULL },
    { "task_id", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { NULL, 0, NULL }
};


static const ngx_http_milvus_cdc_check_pt  ngx_http_milvus_cdc_checks[] = {
    ngx_http_milvus_cdc_check_connect,
    ngx_http_milvus_cdc_check_kafka,
    ngx_http_milvus_cdc_check_buffer,
    ngx_http_milvus_cdc_check_selection,
    ngx_http_milvus_cdc_check_rpc_channel,
    ngx_http_milvus_cdc_check_policies,
    ngx_http_milvus_cdc_check_supported,
    ngx_http_milvus_cdc_check_target,
    ngx_http_milvus_cdc_check_task_id,
    NULL
};


const char *
ngx_http_milvus_cdc_str(json_t *obj, const char *name)
{
    const char  *s;

    s = json_string_value(json_object_get(obj, name));

    return s ? s : "";
}


static json_int_t
ngx_http_milvus_cdc_int(json_t *obj, const char *name)
{
    return json_integer_value(json_object_get(obj, name));
}


ngx_int_t
ngx_http_milvus_cdc_create(ngx_http_milvus_cdc_ctx_t *c)
{
    json_t                              *connect;
    ngx_int_t                            rc;
    json_int_t                           timeout;
    ngx_msec_t                           extra;
    const ngx_http_milvus_cdc_check_pt  *check;

    for (check = ngx_http_milvus_cdc_checks; *check; check++) {
        rc = (*check)(c);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    connect = json_object_get(c->data, "milvus_connect_param");
    timeout = ngx_http_milvus_cdc_int(connect, "connect_timeout");

    extra = NGX_HTTP_MILVUS_CDC_PROBE_EXTRA;
    extra += timeout ? (ngx_msec_t) ngx_min(timeout, 86400) * 1000
                     : NGX_HTTP_MILVUS_CDC_CONNECT_TIMEOUT;

    return ngx_http_milvus_cdc_store(c, extra);
}


ngx_int_t
ngx_http_milvus_cdc_check(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_int_t                            rc;
    const ngx_http_milvus_cdc_check_pt  *check;

    c->complaints = json_array();

    if (c->complaints == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    c->gathering = 1;

    for (check = ngx_http_milvus_cdc_checks; *check; check++) {

        /* what has no address has no good one, either */

        if (*check == ngx_http_milvus_cdc_check_target
            && !ngx_http_milvus_cdc_addressed(c))
        {
            continue;
        }

        rc = (*check)(c);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    c->gathering = 0;

    return ngx_http_milvus_cdc_store(c, NGX_HTTP_MILVUS_CDC_CHECK_EXTRA);
}


static ngx_uint_t
ngx_http_milvus_cdc_addressed(ngx_http_milvus_cdc_ctx_t *c)
{
    json_t  *m;

    m = json_object_get(c->data, "milvus_connect_param");

    return ngx_http_milvus_cdc_str(m, "uri")[0] != '\0'
           || (ngx_http_milvus_cdc_str(m, "host")[0] != '\0'
               && ngx_http_milvus_cdc_int(m, "port") > 0);
}


/* address, login, timeout */

static ngx_int_t
ngx_http_milvus_cdc_check_connect(ngx_http_milvus_cdc_ctx_t *c)
{
    json_t      *m;
    ngx_uint_t   kafka, uri;
    json_int_t   port;
    const char  *host;

    m = json_object_get(c->data, "milvus_connect_param");

    kafka = ngx_http_milvus_cdc_str(json_object_get(c->data,
                                                    "kafka_connect_param"),
                                    "address")[0] != '\0';
    uri = ngx_http_milvus_cdc_str(m, "uri")[0] != '\0';
    host = ngx_http_milvus_cdc_str(m, "host");
    port = ngx_http_milvus_cdc_int(m, "port");

    if (!uri && host[0] == '\0' && port <= 0 && !kafka) {
        return ngx_http_milvus_cdc_error(c, CDC_E_EMPTY_ADDRESS);
    }

    if (kafka && (uri || host[0] != '\0' || port > 0)) {
        return ngx_http_milvus_cdc_error(c, CDC_E_MILVUS_AND_KAFKA);
    }

    if (kafka) {
        return NGX_DECLINED;
    }

    if (!uri && host[0] == '\0') {
        return ngx_http_milvus_cdc_error(c, CDC_E_EMPTY_HOST);
    }

    if (!uri && port <= 0) {
        return ngx_http_milvus_cdc_error(c, CDC_E_BAD_PORT);
    }

    if ((ngx_http_milvus_cdc_str(m, "username")[0] == '\0')
        != (ngx_http_milvus_cdc_str(m, "password")[0] == '\0'))
    {
        return ngx_http_milvus_cdc_error(c, CDC_E_ONE_CREDENTIAL);
    }

    if (ngx_http_milvus_cdc_int(m, "connect_timeout") < 0) {
        return ngx_http_milvus_cdc_error(c, CDC_E_CONNECT_TIMEOUT);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_milvus_cdc_check_kafka(ngx_http_milvus_cdc_ctx_t *c)
{
    json_t  *k;

    k = json_object_get(c->data, "kafka_connect_param");

    if (ngx_http_milvus_cdc_str(k, "address")[0] != '\0'
        && ngx_http_milvus_cdc_str(k, "topic")[0] == '\0')
    {
        return ngx_http_milvus_cdc_error(c, CDC_E_EMPTY_TOPIC);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_milvus_cdc_check_buffer(ngx_http_milvus_cdc_ctx_t *c)
{
    json_t  *b;

    b = json_object_get(c->data, "buffer_config");

    if (ngx_http_milvus_cdc_int(b, "period") < 0) {
        return ngx_http_milvus_cdc_error(c, CDC_E_BUFFER_PERIOD);
    }

    if (ngx_http_milvus_cdc_int(b, "size") < 0) {
        return ngx_http_milvus_cdc_error(c, CDC_E_BUFFER_SIZE);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_milvus_cdc_check_rpc_channel(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_str_t   *want;
    const char  *name;

    name = ngx_http_milvus_cdc_str(json_object_get(c->data,
                                                   "rpc_channel_info"),
                                   "name");
    want = &c->lcf->source->replicate_channel;

    if (name[0] != '\0'
        && (ngx_strlen(name) != want->len
            || ngx_strncmp(name, want->data, want->len) != 0))
    {
        return ngx_http_milvus_cdc_error(c, CDC_E_RPC_CHANNEL);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_milvus_cdc_check_policies(ngx_http_milvus_cdc_ctx_t *c)
{
    ngx_uint_t   i;
    const char  *policy;

    static const struct {
        const char   *field;
        const char   *values[2];
        cdc_error_e   error;
    } policies[] = {
        { "log_gap", { "refuse", "earliest" }, CDC_E_LOG_GAP_POLICY },
        { "on_poison", { "stop", "skip" }, CDC_E_POISON_POLICY }
    };

    for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        policy = ngx_http_milvus_cdc_str(c->data, policies[i].field);

        if (policy[0] != '\0'
            && ngx_strcmp(policy, policies[i].values[0]) != 0
            && ngx_strcmp(policy, policies[i].values[1]) != 0)
        {
            return ngx_http_milvus_cdc_error(c, policies[i].error, policy);
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_milvus_cdc_check_supported(ngx_http_milvus_cdc_ctx_t *c)
{
    if (ngx_http_milvus_cdc_str(json_object_get(c->data,
                                                "kafka_connect_param"),
                                "address")[0] != '\0')
    {
        return ngx_http_milvus_cdc_error(c, CDC_E_NOT_SUPPORTED,
                               "kafka_connect_param", "the target has to be "
                               "a Milvus, in milvus_connect_param");
    }

    return NGX_DECLINED;
}


/* the address, of either form, without its scheme; url->data NULL: an
 * objection, which may have been put with others */

static ngx_int_t
ngx_http_milvus_cdc_target_url(ngx_http_milvus_cdc_ctx_t *c, json_t *m,
    char given[NGX_HTTP_MILVUS_CDC_ADDRESS_MAX], ngx_str_t *url,
    in_port_t *port)
{
    const char  *uri, *host;

    uri = ngx_http_milvus_cdc_str(m, "uri");
    host = ngx_http_milvus_cdc_str(m, "host");

    ngx_str_null(url);
    *port = 19530;

    if (uri[0] == '\0') {
        if (ngx_http_milvus_cdc_int(m, "port") > 65535) {
            return ngx_http_milvus_cdc_error(c, CDC_E_BAD_URI,
                                             "the port exceeds 65535");
        }

        (void) snprintf(given, NGX_HTTP_MILVUS_CDC_ADDRESS_MAX,
                        strchr(host, ':') && host[0] != '[' ? "[%s]:%d"
                                                            : "%s:%d",
                        host, (int) ngx_http_milvus_cdc_int(m, "port"));

        url->data = (u_char *) given;

    } else if (ngx_strncasecmp((u_char *) uri, (u_char *) "http://", 7) == 0) {
        url->data = (u_char *) uri + 7;

    } else if (ngx_strncasecmp((u_char *) uri, (u_char *) "https://", 8)
               == 0)
    {
        url->data = (u_char *) uri + 8;
        *port = 443;

    } else {
        return ngx_http_milvus_cdc_error(c, CDC_E_BAD_URI,
                                         "it has no http:// or https://");
    }

    url->len = ngx_strlen(url->data);

    if (url->len && url->data[url->len - 1] == '/') {
        url->len--;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_milvus_cdc_check_target(ngx_http_milvus_cdc_ctx_t *c)
{
    char        given[NGX_HTTP_MILVUS_CDC_ADDRESS_MAX];
    char        shown[NGX_HTTP_MILVUS_CDC_ADDRESS_MAX];
    json_t     *m;
    ngx_int_t   rc;
    in_port_t   port;
    ngx_str_t   url;
    ngx_url_t   u;

    m = json_object_get(c->data, "milvus_connect_param");
    rc = ngx_http_milvus_cdc_target_url(c, m, given, &url, &port);

    if (url.data == NULL) {
        return rc;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = url;
    u.default_port = port;
    u.no_resolve = 1;

    /* what is put into the uri elsewhere; a login would be shown there */

    if (ngx_strlchr(url.data, url.data + url.len, '@') != NULL) {
        return ngx_http_milvus_cdc_error(c, CDC_E_BAD_URI,
                                         "a login belongs into \"token\"");
    }

    if (strcspn((char *) url.data, "/?#") < url.len) {
        return ngx_http_milvus_cdc_error(c, CDC_E_BAD_URI,
                           url.data != (u_char *) given
                           ? "nothing may follow the port (a database goes "
                             "into \"name_mapping\")"
                           : "\"host\" is a name or an address alone");
    }

    if (url.len == 0
        || ngx_strncasecmp(url.data, (u_char *) "unix:", 5) == 0
        || ngx_parse_url(c->request->pool, &u) != NGX_OK
        || u.host.len == 0)
    {
        return ngx_http_milvus_cdc_error(c, CDC_E_BAD_URI,
                                         u.err ? u.err : "no valid host");
    }

    if (!ngx_http_milvus_cdc_target_allowed(c->mcf, &u.host, u.port)) {
        (void) snprintf(shown, sizeof(shown), "%.*s:%d", (int) u.host.len,
                        u.host.data, (int) u.port);

        return ngx_http_milvus_cdc_error(c, CDC_E_TARGET_NOT_ALLOWED, shown);
    }

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_milvus_cdc_target_allowed(ngx_http_milvus_cdc_main_conf_t *mcf,
    ngx_str_t *host, in_port_t port)
{
    ngx_str_t   *pattern;
    ngx_uint_t   i;

    if (mcf->allow_target == NULL) {
        return 1;
    }

    pattern = mcf->allow_target->elts;

    for (i = 0; i < mcf->allow_target->nelts; i++) {

        if (cdc_allow_match(cdc_span_n(pattern[i].data, pattern[i].len),
                            cdc_span_n(host->data, host->len), port))
        {
            return 1;
        }
    }

    return 0;
}


/*
 * The caller's id, or a new one: with an id in the request, sending it again
 * to the next store is safe.
 */

static ngx_int_t
ngx_http_milvus_cdc_check_task_id(ngx_http_milvus_cdc_ctx_t *c)
{
    u_char       random[CDC_TASK_ID_LEN / 2];
    u_char       hex[CDC_TASK_ID_LEN];
    size_t       len;
    const char  *id;

    id = ngx_http_milvus_cdc_str(c->data, "task_id");
    len = ngx_strlen(id);

    if (len == 0) {

        if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
            ngx_log_error(NGX_LOG_ALERT, c->request->connection->log,
                          ngx_errno, "getrandom() failed");
            return ngx_http_milvus_cdc_error(c, CDC_E_INTERNAL);
        }

        ngx_hex_dump(hex, random, sizeof(random));

        if (json_object_set_new(c->data, "task_id",
                                json_stringn((char *) hex, sizeof(hex)))
            != 0)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_DECLINED;
    }

    /* it names a directory of the state */

    if (len > CDC_TASK_ID_MAX
        || strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                      "0123456789_.-") != len
        || ngx_strcmp(id, ".") == 0 || ngx_strcmp(id, "..") == 0)
    {
        return ngx_http_milvus_cdc_error(c, CDC_E_BAD_TASK_ID);
    }

    return NGX_DECLINED;
}
