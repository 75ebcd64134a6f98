/*
 * The INIT frame: what a helper needs of the configuration (cdc_frame.h).
 */

#include "ngx_http_milvus_cdc_supervisor.h"

#include <jansson.h>
#include <stdio.h>


static json_t *ngx_http_milvus_cdc_init_sources(
    ngx_http_milvus_cdc_main_conf_t *mcf);
static json_t *ngx_http_milvus_cdc_init_etcd(
    ngx_http_milvus_cdc_source_t *src);
static json_t *ngx_http_milvus_cdc_init_kafka(
    ngx_http_milvus_cdc_source_t *src);
static json_t *ngx_http_milvus_cdc_init_list(ngx_array_t *list);
static void ngx_http_milvus_cdc_init_start(json_t *init, ngx_log_t *log);


/* sets a string; absent when it is empty, -1 through *err when not UTF-8 */

static void
ngx_http_milvus_cdc_init_str(json_t *obj, const char *key, ngx_str_t *v,
    int *err)
{
    if (v->len) {
        *err |= json_object_set_new(obj, key,
                                    json_stringn((char *) v->data, v->len));
    }
}


char *
ngx_http_milvus_cdc_init_json(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_helper_t *h)
{
    int                               err;
    char                             *text;
    json_t                           *init;
    ngx_uint_t                        level;
    ngx_open_file_t                  *file;
    ngx_http_milvus_cdc_main_conf_t  *mcf;

    mcf = sv->conf;
    err = 0;

    level = ngx_min(sv->log->log_level, NGX_LOG_DEBUG);

    init = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o*, s:o*}",
                     "version", CDC_VERSION,
                     "role", h->task ? "replicate" : "store",
                     "max_tasks", (json_int_t) mcf->max_tasks,
                     "max_name_length", (json_int_t) mcf->max_name_length,
                     "drain_timeout", (json_int_t) mcf->drain_timeout,
                     "timeout", (json_int_t) mcf->timeout,
                     "log_level", (json_int_t) level,
                     "allow_target",
                     ngx_http_milvus_cdc_init_list(mcf->allow_target),
                     "sources", ngx_http_milvus_cdc_init_sources(mcf));

    if (json_object_get(init, "sources") == NULL
        || json_object_get(init, "allow_target") == NULL)
    {
        json_decref(init);
        return NULL;
    }

    ngx_http_milvus_cdc_init_str(init, "state_dir", &mcf->path->name, &err);

    if (h->task) {
        ngx_http_milvus_cdc_init_str(init, "task_id", &h->task->id, &err);

    } else {
        ngx_http_milvus_cdc_init_start(init, sv->log);
    }

    file = ngx_http_milvus_cdc_log_file(sv->log);

    if (file) {
        ngx_http_milvus_cdc_init_str(init, "error_log", &file->name, &err);
    }

    text = err ? NULL : json_dumps(init, JSON_COMPACT);

    json_decref(init);

    return text;
}


static json_t *
ngx_http_milvus_cdc_init_sources(ngx_http_milvus_cdc_main_conf_t *mcf)
{
    int                             err;
    json_t                         *obj, *all;
    ngx_uint_t                      i;
    ngx_http_milvus_cdc_source_t  **srcp, *src;

    err = 0;
    all = json_object();
    srcp = mcf->sources.elts;

    for (i = 0; i < mcf->sources.nelts; i++) {
        src = srcp[i];
        obj = json_object();

        err |= json_object_set_new(obj, "etcd",
                                   ngx_http_milvus_cdc_init_etcd(src));
        if (src->rocksmq.len) {
            ngx_http_milvus_cdc_init_str(obj, "rocksmq", &src->rocksmq, &err);

        } else {
            err |= json_object_set_new(obj, "kafka",
                                       ngx_http_milvus_cdc_init_kafka(src));
        }

        ngx_http_milvus_cdc_init_str(obj, "root_path", &src->root_path, &err);
        ngx_http_milvus_cdc_init_str(obj, "meta_path", &src->meta_path, &err);
        ngx_http_milvus_cdc_init_str(obj, "replicate_channel",
                                     &src->replicate_channel, &err);

        /* names come from the configuration and end with a zero byte */

        err |= json_object_set_new(all, (char *) src->name.data, obj);
    }

    if (err) {
        json_decref(all);
        return NULL;
    }

    return all;
}


static json_t *
ngx_http_milvus_cdc_init_etcd(ngx_http_milvus_cdc_source_t *src)
{
    int      err;
    json_t  *obj;

    err = 0;
    obj = json_object();

    err |= json_object_set_new(obj, "endpoints",
                               ngx_http_milvus_cdc_init_list(src->etcd));

    ngx_http_milvus_cdc_init_str(obj, "user", &src->etcd_user, &err);
    ngx_http_milvus_cdc_init_str(obj, "password", &src->etcd_password, &err);
    ngx_http_milvus_cdc_init_str(obj, "ca", &src->etcd_ca, &err);
    ngx_http_milvus_cdc_init_str(obj, "cert", &src->etcd_certificate, &err);
    ngx_http_milvus_cdc_init_str(obj, "key", &src->etcd_certificate_key, &err);

    if (err) {
        json_decref(obj);
        return NULL;
    }

    return obj;
}


static json_t *
ngx_http_milvus_cdc_init_kafka(ngx_http_milvus_cdc_source_t *src)
{
    int         err;
    size_t      len;
    u_char     *p, *brokers;
    json_t     *obj;
    ngx_str_t  *v;
    ngx_uint_t  i;

    v = src->kafka->elts;
    len = 0;

    for (i = 0; i < src->kafka->nelts; i++) {
        len += v[i].len + 1;
    }

    brokers = malloc(len);
    if (brokers == NULL) {
        return NULL;
    }

    p = brokers;

    for (i = 0; i < src->kafka->nelts; i++) {
        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, v[i].data, v[i].len);
    }

    err = 0;
    obj = json_object();

    err |= json_object_set_new(obj, "brokers",
                               json_stringn((char *) brokers, p - brokers));
    err |= json_object_set_new(obj, "tls", json_boolean(src->kafka_tls));

    ngx_http_milvus_cdc_init_str(obj, "user", &src->kafka_user, &err);
    ngx_http_milvus_cdc_init_str(obj, "password", &src->kafka_password, &err);
    ngx_http_milvus_cdc_init_str(obj, "mechanism", &src->kafka_mechanism,
                                 &err);
    ngx_http_milvus_cdc_init_str(obj, "ca", &src->kafka_ca, &err);
    ngx_http_milvus_cdc_init_str(obj, "cert", &src->kafka_certificate, &err);
    ngx_http_milvus_cdc_init_str(obj, "key", &src->kafka_certificate_key,
                                 &err);

    free(brokers);

    if (err) {
        json_decref(obj);
        return NULL;
    }

    return obj;
}


/* whole or not at all: an empty list of targets would allow any */

static json_t *
ngx_http_milvus_cdc_init_list(ngx_array_t *list)
{
    json_t      *arr;
    ngx_str_t   *v;
    ngx_uint_t   i;

    arr = json_array();

    if (list == NULL) {
        return arr;
    }

    v = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (json_array_append_new(arr, json_stringn((char *) v[i].data,
                                                    v[i].len))
            != 0)
        {
            json_decref(arr);
            return NULL;
        }
    }

    return arr;
}


/*
 * Which run of nginx this is: the master process outlives reloads and the end
 * of any other process.  Its id alone may come again, always in a container,
 * so the time of its start and the machine's boot go with it.
 */

static void
ngx_http_milvus_cdc_init_start(json_t *init, ngx_log_t *log)
{
    char        boot[64], name[64], stat[1024], start[160];
    char       *p;
    FILE       *f;
    int         n;
    ngx_pid_t   pid;

    pid = ngx_process == NGX_PROCESS_SINGLE ? ngx_pid : ngx_parent;

    boot[0] = '\0';
    stat[0] = '\0';

    f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (f) {
        (void) !fgets(boot, sizeof(boot), f);
        (void) fclose(f);
    }

    (void) snprintf(name, sizeof(name), "/proc/%d/stat", (int) pid);

    f = fopen(name, "re");
    if (f) {
        (void) !fgets(stat, sizeof(stat), f);
        (void) fclose(f);
    }

    /* field 22; the name before field 3 may hold anything */

    p = strrchr(stat, ')');

    for (n = 2; p && n < 22; n++) {
        p = strchr(p + 1, ' ');
    }

    if (p == NULL) {
        ngx_log_error(NGX_LOG_WARN, log, 0, "milvus_cdc: \"%s\" cannot be "
                      "read: tasks with disable_auto_start go on after a "
                      "start of nginx", name);
        return;
    }

    (void) snprintf(start, sizeof(start), "%.*s:%d:%.*s",
                    (int) strcspn(boot, "\n"), boot, (int) pid,
                    (int) strcspn(p + 1, " "), p + 1);

    (void) json_object_set_new(init, "start", json_string(start));
    (void) json_object_set_new(init, "upgraded", json_boolean(ngx_inherited));
}
