/*
 * The module's own types: configuration, and the parts' entry points.
 *
 * One configuration level each: what processes share (state directory, zone,
 * helper, limits, sources) is set once in http {}; a location only chooses
 * its handler, its source and how HTTP statuses are answered.
 */

#ifndef NGX_HTTP_MILVUS_CDC_H_INCLUDED
#define NGX_HTTP_MILVUS_CDC_H_INCLUDED

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "cdc_base.h"
#include "cdc_error.h"
#include "cdc_frame.h"
#include "cdc_task.h"


#define NGX_HTTP_MILVUS_CDC_PATH           "/var/lib/nginx/milvus-cdc"
#define NGX_HTTP_MILVUS_CDC_SOCKET         "/api.sock"
#define NGX_HTTP_MILVUS_CDC_LOCK           "/lock"
#define NGX_HTTP_MILVUS_CDC_POLL           20       /* ms */


/* a milvus_cdc_source block; unset strings have len 0 */

typedef struct {
    ngx_str_t                        name;

    ngx_array_t                     *etcd;          /* of ngx_str_t */
    ngx_str_t                        etcd_user;
    ngx_str_t                        etcd_password;
    ngx_str_t                        etcd_ca;
    ngx_str_t                        etcd_certificate;
    ngx_str_t                        etcd_certificate_key;

    ngx_str_t                        root_path;
    ngx_str_t                        meta_path;
    ngx_str_t                        replicate_channel;

    ngx_array_t                     *kafka;         /* of ngx_str_t */
    ngx_str_t                        kafka_user;
    ngx_str_t                        kafka_password;
    ngx_str_t                        kafka_mechanism;
    ngx_str_t                        kafka_ca;
    ngx_str_t                        kafka_certificate;
    ngx_str_t                        kafka_certificate_key;
    ngx_flag_t                       kafka_tls;

    ngx_str_t                        rocksmq;       /* in place of kafka */
} ngx_http_milvus_cdc_source_t;


typedef struct {
    ngx_path_t                      *path;
    ngx_shm_zone_t                  *zone;
    size_t                           zone_size;
    ngx_array_t                      sources;       /* of source_t * */
    ngx_array_t                     *allow_target;  /* of ngx_str_t */
    ngx_str_t                        helper;
    ngx_int_t                        max_tasks;
    ngx_int_t                        max_name_length;
    ngx_msec_t                       timeout;
    ngx_msec_t                       drain_timeout;
    ngx_uint_t                       enabled;       /* a location uses us */
    ngx_open_file_t                 *audit;         /* NULL: the error log */
    ngx_int_t                        request_id;    /* the variable's index */

    struct sockaddr_un               api;           /* <state>/api.sock */
} ngx_http_milvus_cdc_main_conf_t;


typedef struct {
    ngx_str_t                        source_name;
    ngx_http_milvus_cdc_source_t    *source;
    ngx_uint_t                       http_status;   /* _STRICT or _COMPAT */
    ngx_http_handler_pt              handler;       /* ours; NULL: none */
    ngx_str_t                        console_page;  /* milvus_cdc_console */
    uint32_t                         console_hash;  /* of its paths */
} ngx_http_milvus_cdc_loc_conf_t;


#define NGX_HTTP_MILVUS_CDC_STRICT         0
#define NGX_HTTP_MILVUS_CDC_COMPAT         1


extern ngx_module_t  ngx_http_milvus_cdc_module;


/* ---- configuration (src/http/ngx_http_milvus_cdc_source.c) ---------- */

/* the milvus_cdc_source block; a directive's set function */
char *ngx_http_milvus_cdc_source(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* a source with every default; NULL without memory */
ngx_http_milvus_cdc_source_t *ngx_http_milvus_cdc_source_default(
    ngx_conf_t *cf, ngx_str_t *name);

/* the declared source of that name, or NULL */
ngx_http_milvus_cdc_source_t *ngx_http_milvus_cdc_source_find(
    ngx_http_milvus_cdc_main_conf_t *mcf, ngx_str_t *name);

/* the source of a location's "milvus_cdc": the given one; with "" the only one,
 * else "main".  NULL: there is none, which has been logged */
ngx_http_milvus_cdc_source_t *ngx_http_milvus_cdc_source_of(ngx_conf_t *cf,
    ngx_str_t *given, ngx_str_t *location);

/* the console's page for a location; "paths": where the API is, "" or paths
 * with blanks between them */
ngx_int_t ngx_http_milvus_cdc_console_page(ngx_conf_t *cf,
    ngx_http_milvus_cdc_loc_conf_t *lcf, ngx_str_t *paths);


/* ---- request handling (src/http/), in workers, never blocking -------- */

ngx_int_t ngx_http_milvus_cdc_api_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_milvus_cdc_metrics_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_milvus_cdc_health_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_milvus_cdc_console_handler(ngx_http_request_t *r);

/* preconfiguration */
ngx_int_t ngx_http_milvus_cdc_add_variables(ngx_conf_t *cf);


/* ---- supervisor (src/supervisor/) ------------------------------------ */

/*
 * The ngx_path_t.manager callback; data is the main configuration.  Runs in
 * the cache manager process, or from a timer in a single process.  Returns
 * the milliseconds to its next call.
 */
ngx_msec_t ngx_http_milvus_cdc_supervisor(void *data);

/* orderly end of all helpers; blocks up to the drain timeout; no-op where
 * no supervisor runs */
void ngx_http_milvus_cdc_supervisor_stop(void);


#endif /* NGX_HTTP_MILVUS_CDC_H_INCLUDED */
