/*
 * create: the checks of what is to be followed, in the order of the existing
 * service, which takes one collection of one database at a time where we take
 * any number.
 */

#include "ngx_http_milvus_cdc_http.h"

#include <stdarg.h>
#include <stdio.h>


#define NGX_HTTP_MILVUS_CDC_NAMES_MAX  2048


/* a list of names for an answer, cut when it is too long */

typedef struct {
    char                         text[NGX_HTTP_MILVUS_CDC_NAMES_MAX];
    size_t                       len;
} ngx_http_milvus_cdc_names_t;


static ngx_int_t ngx_http_milvus_cdc_check_dbs(ngx_http_milvus_cdc_ctx_t *c,
    json_t *dbs);
static ngx_int_t ngx_http_milvus_cdc_check_infos(
    ngx_http_milvus_cdc_ctx_t *c, json_t *infos);
static ngx_int_t ngx_http_milvus_cdc_check_info(ngx_http_milvus_cdc_ctx_t *c,
    json_t *infos, json_t *info, ngx_uint_t *told);
static ngx_int_t ngx_http_milvus_cdc_check_twice(
    ngx_http_milvus_cdc_ctx_t *c, json_t *seen, const char *db,
    json_t *infos);
static ngx_uint_t ngx_http_milvus_cdc_vchannel(const char *name);
static void ngx_http_milvus_cdc_names_add(ngx_http_milvus_cdc_names_t *n,
    const char *fmt, ...) __attribute__((format(printf, 2, 3)));


ngx_int_t
ngx_http_milvus_cdc_check_selection(ngx_http_milvus_cdc_ctx_t *c)
{
    json_t     *infos, *dbs, *seen;
    ngx_int_t   rc;

    infos = json_object_get(c->data, "collection_infos");
    dbs = json_object_get(c->data, "db_collections");

    if (json_array_size(infos) == 0 && json_object_size(dbs) == 0) {
        return ngx_http_milvus_cdc_error(c, CDC_E_NO_COLLECTION);
    }

    if (json_array_size(infos) && json_object_size(dbs)) {
        return ngx_http_milvus_cdc_error(c, CDC_E_ONE_SELECTION);
    }

    if (json_object_size(dbs)) {
        return ngx_http_milvus_cdc_check_dbs(c, dbs);
    }

    rc = ngx_http_milvus_cdc_check_infos(c, infos);

    if (rc == NGX_DECLINED) {
        seen = json_object();
        rc = ngx_http_milvus_cdc_check_twice(c, seen, "", infos);
        json_decref(seen);
    }

    return rc;
}


static ngx_int_t
ngx_http_milvus_cdc_check_dbs(ngx_http_milvus_cdc_ctx_t *c, json_t *dbs)
{
    json_t                       *infos, *seen;
    ngx_int_t                     rc;
    const char                   *db;
    ngx_http_milvus_cdc_names_t   n;

    n.len = 0;

    json_object_foreach(dbs, db, infos) {
        ngx_http_milvus_cdc_names_add(&n, "%s%s", n.len ? " " : "", db);

        if (ngx_strlen(db) > (size_t) c->mcf->max_name_length) {
            return ngx_http_milvus_cdc_error(c, CDC_E_DB_NAME_LENGTH,
                                             (int) c->mcf->max_name_length,
                                             db);
        }

        rc = ngx_http_milvus_cdc_check_infos(c, infos);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (json_object_get(dbs, "*") && json_object_size(dbs) > 1) {
        return ngx_http_milvus_cdc_error(c, CDC_E_STAR_DATABASE, n.text);
    }

    rc = NGX_DECLINED;
    seen = json_object();

    json_object_foreach(dbs, db, infos) {
        rc = ngx_http_milvus_cdc_check_twice(c, seen, db, infos);

        if (rc != NGX_DECLINED) {
            break;
        }
    }

    json_decref(seen);

    return rc;
}


/* of one database */

static ngx_int_t
ngx_http_milvus_cdc_check_infos(ngx_http_milvus_cdc_ctx_t *c, json_t *infos)
{
    size_t                        i;
    json_t                       *info;
    ngx_int_t                     rc;
    ngx_uint_t                    empty, told;
    const char                   *name;
    ngx_http_milvus_cdc_names_t   n, text;

    n.len = 0;
    text.len = 0;
    empty = 0;
    told = 0;

    if (json_array_size(infos) == 0) {
        return ngx_http_milvus_cdc_error(c, CDC_E_EMPTY_COLLECTIONS);
    }

    json_array_foreach(infos, i, info) {
        rc = ngx_http_milvus_cdc_check_info(c, infos, info, &told);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        name = ngx_http_milvus_cdc_str(info, "name");

        if (name[0] == '\0') {
            empty = 1;

        } else if (ngx_strlen(name) > (size_t) c->mcf->max_name_length) {
            ngx_http_milvus_cdc_names_add(&n, "%s%s", n.len ? " " : "", name);
        }
    }

    if (empty) {
        ngx_http_milvus_cdc_names_add(&text, "there is a collection name that "
                                      "is empty. ");
    }

    if (n.len) {
        ngx_http_milvus_cdc_names_add(&text, "there are some collection names "
                                      "whose length exceeds %d characters, "
                                      "[%s]", (int) c->mcf->max_name_length,
                                      n.text);
    }

    if (text.len) {
        return ngx_http_milvus_cdc_error(c, CDC_E_COLLECTION_NAMES,
                                         text.text);
    }

    return NGX_DECLINED;
}


/* "told" of a "*" among names: a check goes on, and needs all names once */

static ngx_int_t
ngx_http_milvus_cdc_check_info(ngx_http_milvus_cdc_ctx_t *c, json_t *infos,
    json_t *info, ngx_uint_t *told)
{
    size_t                        i;
    json_t                       *positions, *v;
    ngx_uint_t                    star;
    const char                   *channel;
    ngx_http_milvus_cdc_names_t   n;

    star = ngx_strcmp(ngx_http_milvus_cdc_str(info, "name"), "*") == 0;
    positions = json_object_get(info, "positions");

    if (star && json_array_size(infos) > 1) {
        if (*told) {
            return NGX_DECLINED;
        }

        *told = 1;
        n.len = 0;

        json_array_foreach(infos, i, v) {
            ngx_http_milvus_cdc_names_add(&n, "%s%s", n.len ? " " : "",
                                          ngx_http_milvus_cdc_str(v, "name"));
        }

        return ngx_http_milvus_cdc_error(c, CDC_E_STAR_COLLECTION, n.text);
    }

    if (star && json_object_size(positions)) {
        return ngx_http_milvus_cdc_error(c, CDC_E_STAR_POSITIONS);
    }

    json_object_foreach(positions, channel, v) {
        if (!ngx_http_milvus_cdc_vchannel(channel)) {
            return ngx_http_milvus_cdc_error(c, CDC_E_NOT_VCHANNEL, channel);
        }
    }

    return NGX_DECLINED;
}


/* "" and "default" are one database */

static ngx_int_t
ngx_http_milvus_cdc_check_twice(ngx_http_milvus_cdc_ctx_t *c, json_t *seen,
    const char *db, json_t *infos)
{
    char         key[NGX_HTTP_MILVUS_CDC_NAMES_MAX];
    size_t       i;
    json_t      *info;

    db = db[0] ? db : CDC_DEFAULT_DB;

    json_array_foreach(infos, i, info) {
        (void) snprintf(key, sizeof(key), "%s.%s", db,
                        ngx_http_milvus_cdc_str(info, "name"));

        if (json_object_get(seen, key)) {
            return ngx_http_milvus_cdc_error(c, CDC_E_GIVEN_TWICE, key);
        }

        if (json_object_set_new_nocheck(seen, key, json_true()) != 0) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return NGX_DECLINED;
}


/* <physical channel>_<collection id>v<shard> */

static ngx_uint_t
ngx_http_milvus_cdc_vchannel(const char *name)
{
    const char  *p, *id;

    p = strrchr(name, '_');
    if (p == NULL || p == name) {
        return 0;
    }

    for (id = ++p; *p >= '0' && *p <= '9'; p++) { /* void */ }

    if (p == id || *p != 'v') {
        return 0;
    }

    for (id = ++p; *p >= '0' && *p <= '9'; p++) { /* void */ }

    return p != id && *p == '\0';
}


static void
ngx_http_milvus_cdc_names_add(ngx_http_milvus_cdc_names_t *n, const char *fmt,
    ...)
{
    int      len;
    size_t   room;
    va_list  args;

    room = sizeof(n->text) - n->len;

    va_start(args, fmt);
    len = vsnprintf(n->text + n->len, room, fmt, args);
    va_end(args);

    n->len += ngx_min(len < 0 ? 0 : (size_t) len, room - 1);
}
