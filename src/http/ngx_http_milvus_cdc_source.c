/*
 * milvus_cdc_source: the cluster that is followed.
 */

#include "ngx_http_milvus_cdc.h"


typedef struct {
    ngx_str_t     name;
    char       *(*set)(ngx_conf_t *cf, ngx_str_t *value, void *field);
    ngx_uint_t    offset;
} ngx_http_milvus_cdc_option_t;


static char *ngx_http_milvus_cdc_source_option(ngx_conf_t *cf,
    ngx_command_t *dummy, void *conf);
static char *ngx_http_milvus_cdc_source_check(ngx_conf_t *cf,
    ngx_http_milvus_cdc_source_t *src);
static ngx_int_t ngx_http_milvus_cdc_source_defaults(ngx_conf_t *cf,
    ngx_http_milvus_cdc_source_t *src);

static char *ngx_http_milvus_cdc_option_str(ngx_conf_t *cf, ngx_str_t *value,
    void *field);
static char *ngx_http_milvus_cdc_option_path(ngx_conf_t *cf, ngx_str_t *value,
    void *field);
static char *ngx_http_milvus_cdc_option_file(ngx_conf_t *cf, ngx_str_t *value,
    void *field);
static char *ngx_http_milvus_cdc_option_dir(ngx_conf_t *cf, ngx_str_t *value,
    void *field);
static char *ngx_http_milvus_cdc_option_flag(ngx_conf_t *cf, ngx_str_t *value,
    void *field);
static char *ngx_http_milvus_cdc_option_mechanism(ngx_conf_t *cf,
    ngx_str_t *value, void *field);
static char *ngx_http_milvus_cdc_option_etcd(ngx_conf_t *cf, ngx_str_t *value,
    void *field);
static char *ngx_http_milvus_cdc_option_kafka(ngx_conf_t *cf, ngx_str_t *value,
    void *field);
static char *ngx_http_milvus_cdc_option_later(ngx_conf_t *cf, ngx_str_t *value,
    void *field);


#define ngx_http_milvus_cdc_option(name, set, field)                          \
    { ngx_string(name), ngx_http_milvus_cdc_option_##set,                     \
      offsetof(ngx_http_milvus_cdc_source_t, field) }


static ngx_http_milvus_cdc_option_t  ngx_http_milvus_cdc_options[] = {
    ngx_http_milvus_cdc_option("etcd", etcd, etcd),
    ngx_http_milvus_cdc_option("etcd_user", str, etcd_user),
    ngx_http_milvus_cdc_option("etcd_password", str, etcd_password),
    ngx_http_milvus_cdc_option("etcd_ca", file, etcd_ca),
    ngx_http_milvus_cdc_option("etcd_certificate", file, etcd_certificate),
    ngx_http_milvus_cdc_option("etcd_certificate_key", file,
                               etcd_certificate_key),
    ngx_http_milvus_cdc_option("root_path", path, root_path),
    ngx_http_milvus_cdc_option("meta_path", path, meta_path),
    ngx_http_milvus_cdc_option("replicate_channel", str, replicate_channel),
    ngx_http_milvus_cdc_option("kafka", kafka, kafka),
    ngx_http_milvus_cdc_option("kafka_user", str, kafka_user),
    ngx_http_milvus_cdc_option("kafka_password", str, kafka_password),
    ngx_http_milvus_cdc_option("kafka_mechanism", mechanism, kafka_mechanism),
    ngx_http_milvus_cdc_option("kafka_tls", flag, kafka_tls),
    ngx_http_milvus_cdc_option("kafka_ca", file, kafka_ca),
    ngx_http_milvus_cdc_option("kafka_certificate", file, kafka_certificate),
    ngx_http_milvus_cdc_option("kafka_certificate_key", file,
                               kafka_certificate_key),
    ngx_http_milvus_cdc_option("rocksmq", dir, rocksmq),
    ngx_http_milvus_cdc_option("pulsar", later, name),
    { ngx_null_string, NULL, 0 }
};


ngx_http_milvus_cdc_source_t *
ngx_http_milvus_cdc_source_find(ngx_http_milvus_cdc_main_conf_t *mcf,
    ngx_str_t *name)
{
    ngx_uint_t                      i;
    ngx_http_milvus_cdc_source_t  **src;

    src = mcf->sources.elts;

    for (i = 0; i < mcf->sources.nelts; i++) {
        if (src[i]->name.len == name->len
            && ngx_strncmp(src[i]->name.data, name->data, name->len) == 0)
        {
            return src[i];
        }
    }

    return NULL;
}


char *
ngx_http_milvus_cdc_source(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_milvus_cdc_main_conf_t *mcf = conf;

    char                           *rv;
    ngx_str_t                      *value;
    ngx_conf_t                      save;
    ngx_http_milvus_cdc_source_t   *src, **srcp;

    value = cf->args->elts;

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "the source has no name");
        return NGX_CONF_ERROR;
    }

    if (ngx_http_milvus_cdc_source_find(mcf, &value[1]) != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate milvus_cdc_source \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    src = ngx_pcalloc(cf->pool, sizeof(ngx_http_milvus_cdc_source_t));
    if (src == NULL) {
        return NGX_CONF_ERROR;
    }

    src->name = value[1];
    src->kafka_tls = NGX_CONF_UNSET;

    save = *cf;
    cf->handler = ngx_http_milvus_cdc_source_option;
    cf->handler_conf = (char *) src;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_milvus_cdc_source_check(cf, src);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_milvus_cdc_source_defaults(cf, src) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    srcp = ngx_array_push(&mcf->sources);
    if (srcp == NULL) {
        return NGX_CONF_ERROR;
    }

    *srcp = src;

    return NGX_CONF_OK;
}


ngx_http_milvus_cdc_source_t *
ngx_http_milvus_cdc_source_default(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_http_milvus_cdc_source_t  *src;

    src = ngx_pcalloc(cf->pool, sizeof(ngx_http_milvus_cdc_source_t));
    if (src == NULL) {
        return NULL;
    }

    src->name = *name;
    src->kafka_tls = NGX_CONF_UNSET;

    if (ngx_http_milvus_cdc_source_defaults(cf, src) != NGX_OK) {
        return NULL;
    }

    return src;
}


ngx_http_milvus_cdc_source_t *
ngx_http_milvus_cdc_source_of(ngx_conf_t *cf, ngx_str_t *given,
    ngx_str_t *location)
{
    ngx_str_t                         name;
    ngx_http_milvus_cdc_source_t     *src, **srcp;
    ngx_http_milvus_cdc_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_milvus_cdc_module);

    if (given->len == 0 && mcf->sources.nelts == 1) {
        srcp = mcf->sources.elts;
        return srcp[0];
    }

    name = *given;

    if (name.len == 0) {
        ngx_str_set(&name, "main");
    }

    src = ngx_http_milvus_cdc_source_find(mcf, &name);

    if (src != NULL) {
        return src;
    }

    if (given->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the \"milvus_cdc\" of location \"%V\" has to name "
                           "its source: there are %ui, and none of them is "
                           "\"main\"", location, mcf->sources.nelts);
        return NULL;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "milvus_cdc_source \"%V\" is not declared, which the "
                       "\"milvus_cdc\" of location \"%V\" needs",
                       &name, location);
    return NULL;
}


static char *
ngx_http_milvus_cdc_source_option(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf)
{
    char                          *rv, *field;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_milvus_cdc_option_t  *opt;

    value = cf->args->elts;

    for (opt = ngx_http_milvus_cdc_options; opt->name.len; opt++) {

        if (opt->name.len != value[0].len
            || ngx_strncmp(opt->name.data, value[0].data, value[0].len) != 0)
        {
            continue;
        }

        if (cf->args->nelts < 2
            || (cf->args->nelts > 2
                && opt->set != ngx_http_milvus_cdc_option_etcd
                && opt->set != ngx_http_milvus_cdc_option_kafka
                && opt->set != ngx_http_milvus_cdc_option_later))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of arguments in \"%V\" "
                               "directive", &value[0]);
            return NGX_CONF_ERROR;
        }

        field = (char *) conf + opt->offset;

        for (i = 1; i < cf->args->nelts; i++) {

            if (value[i].len == 0) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "empty value in \"%V\" directive",
                                   &value[0]);
                return NGX_CONF_ERROR;
            }

            rv = opt->set(cf, &value[i], field);

            if (rv == NGX_CONF_ERROR) {
                return rv;
            }

            if (rv != NGX_CONF_OK) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"%V\" directive %s", &value[0], rv);
                return NGX_CONF_ERROR;
            }
        }

        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown directive \"%V\" in milvus_cdc_source",
                       &value[0]);
    return NGX_CONF_ERROR;
}


static char *
ngx_http_milvus_cdc_source_check(ngx_conf_t *cf,
    ngx_http_milvus_cdc_source_t *src)
{
    char        *text;
    ngx_str_t   *url;
    ngx_uint_t   i, tls;

    text = NULL;
    tls = 0;

    if (src->etcd) {
        url = src->etcd->elts;
        tls = (url[0].data[4] == 's');

        for (i = 1; i < src->etcd->nelts; i++) {
            if ((url[i].data[4] == 's') != tls) {
                text = "etcd endpoints must be all http or all https";
            }
        }
    }

    if (!src->etcd_user.len != !src->etcd_password.len) {
        text = "etcd_user and etcd_password go together";
    }

    if (!src->etcd_certificate.len != !src->etcd_certificate_key.len) {
        text = "etcd_certificate and etcd_certificate_key go together";
    }

    if (!tls && (src->etcd_ca.len || src->etcd_certificate.len)) {
        text = "etcd_ca and etcd_certificate need https endpoints";
    }

    if (!src->kafka_user.len != !src->kafka_password.len) {
        text = "kafka_user and kafka_password go together";
    }

    if (src->kafka_mechanism.len && !src->kafka_user.len) {
        text = "kafka_mechanism needs kafka_user";
    }

    if (!src->kafka_certificate.len != !src->kafka_certificate_key.len) {
        text = "kafka_certificate and kafka_certificate_key go together";
    }

    if (src->kafka_tls != 1
        && (src->kafka_ca.len || src->kafka_certificate.len))
    {
        text = "kafka_ca and kafka_certificate need \"kafka_tls on\"";
    }

    if (src->rocksmq.len
        && (src->kafka || src->kafka_user.len
            || src->kafka_tls != NGX_CONF_UNSET))
    {
        text = "there is one log: either rocksmq or kafka";
    }

    if (text) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in milvus_cdc_source \"%V\"", text, &src->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_milvus_cdc_source_defaults(ngx_conf_t *cf,
    ngx_http_milvus_cdc_source_t *src)
{
    ngx_str_t  *v;

    if (src->etcd == NULL) {
        src->etcd = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
        if (src->etcd == NULL) {
            return NGX_ERROR;
        }

        v = ngx_array_push(src->etcd);
        ngx_str_set(v, "http://127.0.0.1:2379");
    }

    if (src->kafka == NULL && src->rocksmq.len == 0) {
        src->kafka = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
        if (src->kafka == NULL) {
            return NGX_ERROR;
        }

        v = ngx_array_push(src->kafka);
        ngx_str_set(v, "127.0.0.1:9092");
    }

    if (src->root_path.len == 0) {
        ngx_str_set(&src->root_path, "by-dev");
    }

    if (src->meta_path.len == 0) {
        ngx_str_set(&src->meta_path, "meta");
    }

    if (src->replicate_channel.len == 0) {
        ngx_str_set(&src->replicate_channel, "by-dev-replicate-msg");
    }

    if (src->kafka_user.len && src->kafka_mechanism.len == 0) {
        ngx_str_set(&src->kafka_mechanism, "PLAIN");
    }

    if (src->kafka_tls == NGX_CONF_UNSET) {
        src->kafka_tls = 0;
    }

    return NGX_OK;
}


static char *
ngx_http_milvus_cdc_option_str(ngx_conf_t *cf, ngx_str_t *value, void *field)
{
    ngx_str_t *p = field;

    if (p->len) {
        return "is duplicate";
    }

    *p = *value;

    return NGX_CONF_OK;
}


/* etcd key prefixes are joined by slashes: none at the ends */

static char *
ngx_http_milvus_cdc_option_path(ngx_conf_t *cf, ngx_str_t *value, void *field)
{
    if (value->data[0] == '/' || value->data[value->len - 1] == '/') {
        return "must not begin or end with a slash";
    }

    return ngx_http_milvus_cdc_option_str(cf, value, field);
}


static char *
ngx_http_milvus_cdc_option_file(ngx_conf_t *cf, ngx_str_t *value, void *field)
{
    if (ngx_conf_full_name(cf->cycle, value, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_milvus_cdc_option_str(cf, value, field);
}


/* where the source writes: nginx's own prefix has nothing to do with it */

static char *
ngx_http_milvus_cdc_option_dir(ngx_conf_t *cf, ngx_str_t *value, void *field)
{
    if (value->data[0] != '/') {
        return "must be an absolute path";
    }

    return ngx_http_milvus_cdc_option_str(cf, value, field);
}


static char *
ngx_http_milvus_cdc_option_flag(ngx_conf_t *cf, ngx_str_t *value, void *field)
{
    ngx_flag_t *p = field;

    if (*p != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (ngx_strcasecmp(value->data, (u_char *) "on") == 0) {
        *p = 1;

    } else if (ngx_strcasecmp(value->data, (u_char *) "off") == 0) {
        *p = 0;

    } else {
        return "must be \"on\" or \"off\"";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_milvus_cdc_option_mechanism(ngx_conf_t *cf, ngx_str_t *value,
    void *field)
{
    if (ngx_strcmp(value->data, "PLAIN") != 0
        && ngx_strcmp(value->data, "SCRAM-SHA-256") != 0
        && ngx_strcmp(value->data, "SCRAM-SHA-512") != 0)
    {
        return "must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
    }

    return ngx_http_milvus_cdc_option_str(cf, value, field);
}


/* names are resolved by the helper, when it connects */

static char *
ngx_http_milvus_cdc_option_endpoint(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *address, in_port_t port, ngx_array_t **list)
{
    ngx_str_t   *v;
    ngx_url_t    u;
    ngx_uint_t   i;

    /* not shown: this goes to the error log */

    if (ngx_strlchr(value->data, value->data + value->len, '@') != NULL) {
        return "takes no login: there are directives for user and password";
    }

    if (ngx_strlchr(value->data, value->data + value->len, ',') != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "comma in \"%V\": addresses "
                           "have blanks between them", value);
        return NGX_CONF_ERROR;
    }

    if (strcspn((char *) address->data, "/?#") < address->len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "nothing may follow the port "
                           "in \"%V\"", value);
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = *address;
    u.default_port = port;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.family == AF_UNIX
        || u.host.len == 0 || u.uri.len)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V\"",
                           u.err ? u.err : "invalid host and port", value);
        return NGX_CONF_ERROR;
    }

    if (*list == NULL) {
        *list = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
        if (*list == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    v = (*list)->elts;

    for (i = 0; i < (*list)->nelts; i++) {
        if (v[i].len == value->len
            && ngx_strncmp(v[i].data, value->data, value->len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate address \"%V\"", value);
            return NGX_CONF_ERROR;
        }
    }

    v = ngx_array_push(*list);
    if (v == NULL) {
        return NGX_CONF_ERROR;
    }

    *v = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_milvus_cdc_option_etcd(ngx_conf_t *cf, ngx_str_t *value, void *field)
{
    ngx_str_t  address;

    address = *value;

    if (address.len >= 7 && ngx_strncmp(address.data, "http://", 7) == 0) {
        address.data += 7;
        address.len -= 7;

    } else if (address.len >= 8
               && ngx_strncmp(address.data, "https://", 8) == 0)
    {
        address.data += 8;
        address.len -= 8;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "etcd endpoint \"%V\" must begin with http:// "
                           "or https://", value);
        return NGX_CONF_ERROR;
    }

    if (address.len && address.data[address.len - 1] == '/') {
        address.len--;
        value->len--;
    }

    return ngx_http_milvus_cdc_option_endpoint(cf, value, &address, 2379,
                                               field);
}


static char *
ngx_http_milvus_cdc_option_kafka(ngx_conf_t *cf, ngx_str_t *value, void *field)
{
    return ngx_http_milvus_cdc_option_endpoint(cf, value, value, 9092, field);
}


static char *
ngx_http_milvus_cdc_option_later(ngx_conf_t *cf, ngx_str_t *value, void *field)
{
    return "is not supported yet: this version reads the source's log from "
           "kafka or rocksmq";
}
