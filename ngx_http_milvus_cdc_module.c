/*
 * ngx_http_milvus_cdc_module: makes one Milvus cluster follow another.
 *
 * Directives and wiring only.  The parts: request handling in src/http/, the
 * shared task table in src/table/, the helper processes in src/supervisor/.
 */

#include "ngx_http_milvus_cdc.h"
#include "ngx_http_milvus_cdc_table.h"


#define NGX_HTTP_MILVUS_CDC_ZONE_SIZE      (8 * 1024 * 1024)
#define NGX_HTTP_MILVUS_CDC_DRAIN_MAX      4000     /* systemd gives 5 s */


static void *ngx_http_milvus_cdc_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_milvus_cdc_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_milvus_cdc_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_milvus_cdc_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_milvus_cdc_init_process(ngx_cycle_t *cycle);
static void ngx_http_milvus_cdc_exit_process(ngx_cycle_t *cycle);

static char *ngx_http_milvus_cdc_path(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_milvus_cdc_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_milvus_cdc_allow_target(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_milvus_cdc_helper(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_milvus_cdc_audit_log(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_milvus_cdc(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_milvus_cdc_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_milvus_cdc_health(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_milvus_cdc_console(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static char *ngx_http_milvus_cdc_check_timeout(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_milvus_cdc_check_drain(ngx_conf_t *cf, void *post,
    void *data);

static ngx_int_t ngx_http_milvus_cdc_executable(ngx_str_t *name);
static ngx_int_t ngx_http_milvus_cdc_set_path(ngx_conf_t *cf,
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_str_t *name);
static ngx_int_t ngx_http_milvus_cdc_set_zone(ngx_conf_t *cf,
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_str_t *name, size_t size);
static void ngx_http_milvus_cdc_single(ngx_event_t *ev);


static ngx_conf_post_t  ngx_http_milvus_cdc_timeout_post = {
    ngx_http_milvus_cdc_check_timeout
};

static ngx_conf_post_t  ngx_http_milvus_cdc_drain_post = {
    ngx_http_milvus_cdc_check_drain
};

static ngx_conf_num_bounds_t  ngx_http_milvus_cdc_tasks_bounds = {
    ngx_conf_check_num_bounds, 1, CDC_MAX_TASKS
};

static ngx_conf_num_bounds_t  ngx_http_milvus_cdc_name_bounds = {
    ngx_conf_check_num_bounds, 1, CDC_MAX_NAME_LEN
};

static ngx_conf_enum_t  ngx_http_milvus_cdc_http_status[] = {
    { ngx_string("strict"), NGX_HTTP_MILVUS_CDC_STRICT },
    { ngx_string("compat"), NGX_HTTP_MILVUS_CDC_COMPAT },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_milvus_cdc_commands[] = {

    { ngx_string("milvus_cdc_path"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_milvus_cdc_path,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_milvus_cdc_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc_source"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_milvus_cdc_source,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc_max_tasks"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_milvus_cdc_main_conf_t, max_tasks),
      &ngx_http_milvus_cdc_tasks_bounds },

    { ngx_string("milvus_cdc_max_name_length"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_milvus_cdc_main_conf_t, max_name_length),
      &ngx_http_milvus_cdc_name_bounds },

    { ngx_string("milvus_cdc_helper"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_milvus_cdc_helper,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_milvus_cdc_main_conf_t, timeout),
      &ngx_http_milvus_cdc_timeout_post },

    { ngx_string("milvus_cdc_drain_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_milvus_cdc_main_conf_t, drain_timeout),
      &ngx_http_milvus_cdc_drain_post },

    { ngx_string("milvus_cdc_allow_target"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_milvus_cdc_allow_target,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc_audit_log"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_milvus_cdc_audit_log,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_milvus_cdc,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_milvus_cdc_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_milvus_cdc_health,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc_console"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_milvus_cdc_console,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("milvus_cdc_http_status"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_milvus_cdc_loc_conf_t, http_status),
      &ngx_http_milvus_cdc_http_status },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_milvus_cdc_module_ctx = {
    ngx_http_milvus_cdc_add_variables,     /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_milvus_cdc_create_main_conf,  /* create main configuration */
    ngx_http_milvus_cdc_init_main_conf,    /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_milvus_cdc_create_loc_conf,   /* create location configuration */
    ngx_http_milvus_cdc_merge_loc_conf     /* merge location configuration */
};


ngx_module_t  ngx_http_milvus_cdc_module = {
    NGX_MODULE_V1,
    &ngx_http_milvus_cdc_module_ctx,       /* module context */
    ngx_http_milvus_cdc_commands,          /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_milvus_cdc_init_process,      /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_milvus_cdc_exit_process,      /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* the manager's stand-in when the core runs no managers */

static ngx_event_t  ngx_http_milvus_cdc_single_event;


static void *
ngx_http_milvus_cdc_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_milvus_cdc_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_milvus_cdc_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&mcf->sources, cf->pool, 1,
                       sizeof(ngx_http_milvus_cdc_source_t *))
        != NGX_OK)
    {
        return NULL;
    }

    mcf->max_tasks = NGX_CONF_UNSET;
    mcf->max_name_length = NGX_CONF_UNSET;
    mcf->timeout = NGX_CONF_UNSET_MSEC;
    mcf->drain_timeout = NGX_CONF_UNSET_MSEC;

    return mcf;
}


static char *
ngx_http_milvus_cdc_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_milvus_cdc_main_conf_t *mcf = conf;

    size_t                          need;
    ngx_str_t                       name;
    ngx_http_milvus_cdc_source_t  **src;

    ngx_conf_init_value(mcf->max_tasks, CDC_MAX_TASKS);
    ngx_conf_init_value(mcf->max_name_length, CDC_MAX_NAME_LEN);
    ngx_conf_init_msec_value(mcf->timeout, 5000);
    ngx_conf_init_msec_value(mcf->drain_timeout, 3000);

    if (!mcf->enabled) {
        return NGX_CONF_OK;
    }

    if (mcf->helper.len == 0) {
        ngx_str_set(&mcf->helper, NGX_HTTP_MILVUS_CDC_HELPER);

        if (ngx_http_milvus_cdc_executable(&mcf->helper) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, ngx_errno,
                               "the helper \"%V\" cannot be executed, see "
                               "milvus_cdc_helper", &mcf->helper);
        }
    }

    if (mcf->path == NULL) {
        ngx_str_set(&name, NGX_HTTP_MILVUS_CDC_PATH);

        if (ngx_http_milvus_cdc_set_path(cf, mcf, &name) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_add_path(cf, &mcf->path) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (mcf->zone == NULL) {
        ngx_str_set(&name, "milvus_cdc");

        if (ngx_http_milvus_cdc_set_zone(cf, mcf, &name,
                                         NGX_HTTP_MILVUS_CDC_ZONE_SIZE)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    need = ngx_http_milvus_cdc_table_size(mcf->max_tasks);

    if (mcf->zone_size < need) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "milvus_cdc_zone \"%V\" is too small: %i tasks "
                           "(milvus_cdc_max_tasks) need %uzk",
                           &mcf->zone->shm.name, mcf->max_tasks,
                           (need + 1023) / 1024);
        return NGX_CONF_ERROR;
    }

    if (mcf->sources.nelts == 0) {
        src = ngx_array_push(&mcf->sources);
        if (src == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_str_set(&name, "main");

        *src = ngx_http_milvus_cdc_source_default(cf, &name);
        if (*src == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_milvus_cdc_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_milvus_cdc_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_milvus_cdc_loc_conf_t));
    if (lcf == NULL) {
        return NULL;
    }

    lcf->http_status = NGX_CONF_UNSET_UINT;

    return lcf;
}


static char *
ngx_http_milvus_cdc_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_milvus_cdc_loc_conf_t *prev = parent;
    ngx_http_milvus_cdc_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_uint_value(conf->http_status, prev->http_status,
                              NGX_HTTP_MILVUS_CDC_STRICT);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /*
     * "if" and "limit_except" have a configuration of their own while the
     * handler is that of their location; limit_except has to be told so.
     */

    if (clcf->noname && clcf->handler == NULL) {
        conf->handler = prev->handler;
        conf->source = prev->source;
        conf->console_page = prev->console_page;
        conf->console_hash = prev->console_hash;

        if (clcf->lmt_excpt) {
            clcf->handler = conf->handler;
        }
    }

    if (conf->handler != ngx_http_milvus_cdc_api_handler) {
        return NGX_CONF_OK;
    }

    if (conf->source == NULL) {
        conf->source = ngx_http_milvus_cdc_source_of(cf, &conf->source_name,
                                                     &clcf->name);
    }

    return conf->source ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_milvus_cdc_init_process(ngx_cycle_t *cycle)
{
    ngx_http_milvus_cdc_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_milvus_cdc_module);

    if (mcf == NULL || !mcf->enabled) {
        return NGX_OK;
    }

    ngx_http_milvus_cdc_single_event.handler = ngx_http_milvus_cdc_single;
    ngx_http_milvus_cdc_single_event.data = mcf;
    ngx_http_milvus_cdc_single_event.log = cycle->log;
    ngx_http_milvus_cdc_single_event.cancelable = 1;

    ngx_add_timer(&ngx_http_milvus_cdc_single_event, 1);

    return NGX_OK;
}


static void
ngx_http_milvus_cdc_single(ngx_event_t *ev)
{
    ngx_add_timer(ev, ngx_http_milvus_cdc_supervisor(ev->data));
}


static void
ngx_http_milvus_cdc_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_process == NGX_PROCESS_SINGLE) {
        ngx_http_milvus_cdc_supervisor_stop();
    }
}


static char *
ngx_http_milvus_cdc_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_milvus_cdc_main_conf_t *mcf = conf;

    ngx_str_t  *value;

    if (mcf->path) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "is empty";
    }

    if (ngx_http_milvus_cdc_set_path(cf, mcf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_milvus_cdc_set_path(ngx_conf_t *cf,
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_str_t *name)
{
    ngx_path_t  *path;

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NGX_ERROR;
    }

    path->name = *name;

    while (path->name.len > 1 && path->name.data[path->name.len - 1] == '/') {
        path->name.len--;
    }

    if (ngx_conf_full_name(cf->cycle, &path->name, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the socket's name has to fit into sockaddr_un */

    if (path->name.len + sizeof(NGX_HTTP_MILVUS_CDC_SOCKET)
        > sizeof(mcf->api.sun_path))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "milvus_cdc_path \"%V\" is longer than %uz "
                           "characters", &path->name,
                           sizeof(mcf->api.sun_path)
                           - sizeof(NGX_HTTP_MILVUS_CDC_SOCKET));
        return NGX_ERROR;
    }

    mcf->api.sun_family = AF_UNIX;

    (void) ngx_snprintf((u_char *) mcf->api.sun_path,
                        sizeof(mcf->api.sun_path), "%V%s%Z", &path->name,
                        NGX_HTTP_MILVUS_CDC_SOCKET);

    path->manager = ngx_http_milvus_cdc_supervisor;
    path->data = mcf;
    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;

    mcf->path = path;

    return NGX_OK;
}


static char *
ngx_http_milvus_cdc_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_milvus_cdc_main_conf_t *mcf = conf;

    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    if (mcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    name = value[1];
    size = NGX_ERROR;

    p = (u_char *) ngx_strchr(name.data, ':');

    if (p) {
        name.len = p - name.data;

        s.data = p + 1;
        s.len = value[1].data + value[1].len - s.data;

        size = ngx_parse_size(&s);
    }

    if (size == NGX_ERROR || name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\", it should be name:size",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if ((size_t) size < ngx_http_milvus_cdc_table_size(1)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "milvus_cdc_zone \"%V\" is too small: one task "
                           "needs %uzk", &name,
                           (ngx_http_milvus_cdc_table_size(1) + 1023) / 1024);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_milvus_cdc_set_zone(cf, mcf, &name, size) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_milvus_cdc_set_zone(ngx_conf_t *cf,
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_str_t *name, size_t size)
{
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, name, size, &ngx_http_milvus_cdc_module);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->init = ngx_http_milvus_cdc_table_init;
    zone->data = mcf;

    mcf->zone = zone;
    mcf->zone_size = size;

    return NGX_OK;
}


static char *
ngx_http_milvus_cdc_check_timeout(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *msp = data;

    if (*msp == 0) {
        return "must not be zero";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_milvus_cdc_check_drain(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *msp = data;

    if (*msp == 0) {
        return "must not be zero";
    }

    if (*msp > NGX_HTTP_MILVUS_CDC_DRAIN_MAX) {
        return "must not be more than 4s";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_milvus_cdc_allow_target(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_milvus_cdc_main_conf_t *mcf = conf;

    ngx_str_t   *value, *v, host;
    ngx_url_t    u;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (mcf->allow_target == NULL) {
        mcf->allow_target = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (mcf->allow_target == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        /* host, host:port, or either with *. before a domain */

        host = value[i];

        if (host.len > 2 && host.data[0] == '*' && host.data[1] == '.') {
            host.data += 2;
            host.len -= 2;
        }

        ngx_memzero(&u, sizeof(ngx_url_t));
        u.url = host;
        u.default_port = 19530;
        u.no_resolve = 1;

        if (host.len == 0 || strcspn((char *) host.data, "*,") < host.len
            || ngx_parse_url(cf->pool, &u) != NGX_OK
            || u.family == AF_UNIX || u.host.len == 0 || u.uri.len)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid target \"%V\", it should be host or "
                               "host:port; *.domain is what is below it; "
                               "blanks between several", &value[i]);
            return NGX_CONF_ERROR;
        }

        v = ngx_array_push(mcf->allow_target);
        if (v == NULL) {
            return NGX_CONF_ERROR;
        }

        *v = value[i];
    }

    return NGX_CONF_OK;
}


/* NGX_ERROR: ngx_errno; of a directory X means something else */

static ngx_int_t
ngx_http_milvus_cdc_executable(ngx_str_t *name)
{
    ngx_file_info_t  fi;

    if (ngx_file_info(name->data, &fi) == -1
        || access((char *) name->data, X_OK) == -1)
    {
        return NGX_ERROR;
    }

    if (ngx_is_dir(&fi)) {
        ngx_set_errno(NGX_EISDIR);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_http_milvus_cdc_helper(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_milvus_cdc_main_conf_t *mcf = conf;

    ngx_str_t  *value;

    if (mcf->helper.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "is empty";
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_milvus_cdc_executable(&value[1]) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the helper \"%V\" cannot be executed",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->helper = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_milvus_cdc_set_handler(ngx_conf_t *cf,
    ngx_http_milvus_cdc_loc_conf_t *lcf, ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_milvus_cdc_main_conf_t  *mcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == handler) {
        return "is duplicate";
    }

    if (lcf->handler) {
        return "conflicts with another milvus_cdc handler of this location";
    }

    clcf->handler = handler;
    lcf->handler = handler;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_milvus_cdc_module);
    mcf->enabled = 1;

    return NGX_CONF_OK;
}


static char *
ngx_http_milvus_cdc_audit_log(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_milvus_cdc_main_conf_t *mcf = conf;

    ngx_str_t  *value;

    if (mcf->audit) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "is empty";
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return "needs a file, it cannot be turned off";
    }

    mcf->audit = ngx_conf_open_file(cf->cycle, &value[1]);

    return mcf->audit ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_milvus_cdc(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_milvus_cdc_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (value[1].len == 0) {
            return "has an empty source name";
        }

        if (lcf->handler == NULL) {
            lcf->source_name = value[1];
        }
    }

    return ngx_http_milvus_cdc_set_handler(cf, lcf,
                                           ngx_http_milvus_cdc_api_handler);
}


static char *
ngx_http_milvus_cdc_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_milvus_cdc_set_handler(cf, conf,
                                       ngx_http_milvus_cdc_metrics_handler);
}


static char *
ngx_http_milvus_cdc_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_milvus_cdc_set_handler(cf, conf,
                                        ngx_http_milvus_cdc_health_handler);
}


static char *
ngx_http_milvus_cdc_console(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_milvus_cdc_loc_conf_t *lcf = conf;

    u_char                    *p;
    size_t                     len;
    ngx_str_t                 *value, paths;
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* its files are found by what follows the name */

    if (clcf->exact_match || clcf->named || clcf->name.len == 0
#if (NGX_PCRE)
        || clcf->regex
#endif
        || clcf->name.data[clcf->name.len - 1] != '/')
    {
        return "needs a location that is a prefix with a slash at its end, "
               "like \"/cdc/ui/\"";
    }

    len = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0 || value[i].data[0] != '/'
            || (value[i].len > 1 && value[i].data[1] == '/')
            || ngx_strlchr(value[i].data, value[i].data + value[i].len, ' ')
               != NULL)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid path \"%V\", it should be the path "
                               "of a location with \"milvus_cdc\"",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        len += value[i].len + 1;
    }

    paths.data = ngx_pnalloc(cf->pool, len + 1);
    if (paths.data == NULL) {
        return NGX_CONF_ERROR;
    }

    p = paths.data;

    for (i = 1; i < cf->args->nelts; i++) {
        p = ngx_cpymem(p, value[i].data, value[i].len);
        *p++ = ' ';
    }

    paths.len = p - paths.data - (p > paths.data);

    if (ngx_http_milvus_cdc_console_page(cf, lcf, &paths) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* "/cdc/ui" is sent on to "/cdc/ui/" */

    clcf->auto_redirect = 1;

    return ngx_http_milvus_cdc_set_handler(cf, lcf,
                                       ngx_http_milvus_cdc_console_handler);
}
