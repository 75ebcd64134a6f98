/*
 * request_data against a table of fields.
 *
 * Names match exactly or, failing that, by case-insensitive comparison; null
 * is as good as absent; unknown names are ignored; types are strict.  So does
 * the existing service, and so read the error texts: clients see them.  What
 * they must not see is the value of a secret that has the wrong type.  That a
 * name was ignored is noted where somebody asks for it: it may be one that was
 * meant to be another.
 */

#include "ngx_http_milvus_cdc_http.h"

#include <stdarg.h>
#include <stdio.h>


#define NGX_HTTP_MILVUS_CDC_PATH_MAX   512


static json_t *ngx_http_milvus_cdc_decode_value(
    const ngx_http_milvus_cdc_field_t *f, json_t *in, const char *path,
    ngx_http_milvus_cdc_errs_t *errs);
static json_t *ngx_http_milvus_cdc_decode_list(
    const ngx_http_milvus_cdc_field_t *f, json_t *in, const char *path,
    ngx_http_milvus_cdc_errs_t *errs);
static json_t *ngx_http_milvus_cdc_decode_strings(json_t *in,
    const char *path, ngx_http_milvus_cdc_errs_t *errs);
static json_t *ngx_http_milvus_cdc_decode_map(
    const ngx_http_milvus_cdc_field_t *f, json_t *in, const char *path,
    ngx_http_milvus_cdc_errs_t *errs);
static void ngx_http_milvus_cdc_decode_ignored(
    const ngx_http_milvus_cdc_field_t *fields, json_t *in, const char *path,
    ngx_http_milvus_cdc_errs_t *errs);
static void ngx_http_milvus_cdc_decode_error(
    ngx_http_milvus_cdc_errs_t *errs, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void ngx_http_milvus_cdc_decode_type(ngx_http_milvus_cdc_errs_t *errs,
    const char *path, const char *want, json_t *in, ngx_uint_t secret);


json_t *
ngx_http_milvus_cdc_member(json_t *obj, const char *name)
{
    json_t      *v;
    const char  *key;

    v = json_object_get(obj, name);
    if (v) {
        return v;
    }

    json_object_foreach(obj, key, v) {
        if (ngx_strcasecmp((u_char *) key, (u_char *) name) == 0) {
            return v;
        }
    }

    return NULL;
}


json_t *
ngx_http_milvus_cdc_decode(const ngx_http_milvus_cdc_field_t *fields,
    json_t *in, const char *path, ngx_http_milvus_cdc_errs_t *errs)
{
    char     sub[NGX_HTTP_MILVUS_CDC_PATH_MAX];
    json_t  *out, *v;

    out = json_object();
    if (out == NULL) {
        return NULL;
    }

    ngx_http_milvus_cdc_decode_ignored(fields, in, path, errs);

    for ( /* void */ ; fields->name; fields++) {
        v = ngx_http_milvus_cdc_member(in, fields->name);

        if (v == NULL || json_is_null(v)) {
            continue;
        }

        (void) snprintf(sub, sizeof(sub), "%s%s%s", path, path[0] ? "." : "",
                        fields->name);

        v = ngx_http_milvus_cdc_decode_value(fields, v, sub, errs);

        if (v && json_object_set_new(out, fields->name, v) != 0) {
            json_decref(out);
            return NULL;
        }
    }

    return out;
}


static void
ngx_http_milvus_cdc_decode_ignored(const ngx_http_milvus_cdc_field_t *fields,
    json_t *in, const char *path, ngx_http_milvus_cdc_errs_t *errs)
{
    char                                sub[NGX_HTTP_MILVUS_CDC_PATH_MAX];
    char                                known[NGX_HTTP_MILVUS_CDC_PATH_MAX];
    size_t                              n;
    json_t                             *v;
    const char                         *key;
    const ngx_http_milvus_cdc_field_t  *f;

    if (errs->ignored == NULL) {
        return;
    }

    json_object_foreach(in, key, v) {

        if (json_array_size(errs->ignored) == NGX_HTTP_MILVUS_CDC_IGNORED_MAX)
        {
            return;
        }

        n = 0;
        known[0] = '\0';

        for (f = fields; f->name; f++) {
            if (ngx_strcasecmp((u_char *) key, (u_char *) f->name) == 0) {
                break;
            }

            n += ngx_min((size_t) snprintf(known + n, sizeof(known) - n,
                                           "%s%s", n ? ", " : "", f->name),
                         sizeof(known) - n - 1);
        }

        if (f->name) {
            continue;
        }

        (void) snprintf(sub, sizeof(sub), "%s%s%.64s", path,
                        path[0] ? "." : "", key);

        /* NULL: cut within a character */

        v = json_string(sub);

        (void) json_array_append_new(errs->ignored,
                       json_pack("[o, s]", v ? v : json_string("?"), known));
    }
}


/* NULL: nothing to set, and an error noted */

static json_t *
ngx_http_milvus_cdc_decode_value(const ngx_http_milvus_cdc_field_t *f,
    json_t *in, const char *path, ngx_http_milvus_cdc_errs_t *errs)
{
    double       d;
    const char  *want;

    want = NULL;

    switch (f->kind) {

    case NGX_HTTP_MILVUS_CDC_STRING:
    case NGX_HTTP_MILVUS_CDC_SECRET:
        if (json_is_string(in)) {
            return json_incref(in);
        }

        want = "string";
        break;

    case NGX_HTTP_MILVUS_CDC_INT:
        if (json_is_integer(in)) {
            return json_incref(in);
        }

        if (json_is_real(in)) {
            d = json_real_value(in);

            if (d > -1e15 && d < 1e15) {
                return json_integer((json_int_t) d);
            }
        }

        want = "int";
        break;

    case NGX_HTTP_MILVUS_CDC_BOOL:
        if (json_is_boolean(in)) {
            return json_incref(in);
        }

        want = "bool";
        break;

    case NGX_HTTP_MILVUS_CDC_STRUCT:
        if (json_is_object(in)) {
            return ngx_http_milvus_cdc_decode(f->fields, in, path, errs);
        }

        break;

    case NGX_HTTP_MILVUS_CDC_STRINGS:
        return ngx_http_milvus_cdc_decode_strings(in, path, errs);

    case NGX_HTTP_MILVUS_CDC_LIST:
        return ngx_http_milvus_cdc_decode_list(f, in, path, errs);

    case NGX_HTTP_MILVUS_CDC_MAP:
    case NGX_HTTP_MILVUS_CDC_MAP_LIST:
        if (json_is_object(in)) {
            return ngx_http_milvus_cdc_decode_map(f, in, path, errs);
        }

        break;

    case NGX_HTTP_MILVUS_CDC_ANY_MAP:
        if (json_is_object(in)) {
            return json_incref(in);
        }

        break;
    }

    ngx_http_milvus_cdc_decode_type(errs, path, want, in,
                                    f->kind == NGX_HTTP_MILVUS_CDC_SECRET);
    return NULL;
}


static json_t *
ngx_http_milvus_cdc_decode_list(const ngx_http_milvus_cdc_field_t *f,
    json_t *in, const char *path, ngx_http_milvus_cdc_errs_t *errs)
{
    char     sub[NGX_HTTP_MILVUS_CDC_PATH_MAX];
    json_t  *out, *v;
    size_t   i;

    if (!json_is_array(in)) {
        ngx_http_milvus_cdc_decode_type(errs, path, "slice", in, 0);
        return NULL;
    }

    out = json_array();

    json_array_foreach(in, i, v) {
        (void) snprintf(sub, sizeof(sub), "%s[%zu]", path, i);

        if (json_is_null(v)) {
            v = json_object();

        } else if (json_is_object(v)) {
            v = ngx_http_milvus_cdc_decode(f->fields, v, sub, errs);

        } else {
            ngx_http_milvus_cdc_decode_type(errs, sub, NULL, v, 0);
            continue;
        }

        if (v == NULL || json_array_append_new(out, v) != 0) {
            json_decref(out);
            return NULL;
        }
    }

    return out;
}


static json_t *
ngx_http_milvus_cdc_decode_strings(json_t *in, const char *path,
    ngx_http_milvus_cdc_errs_t *errs)
{
    char     sub[NGX_HTTP_MILVUS_CDC_PATH_MAX];
    json_t  *v;
    size_t   i;

    if (!json_is_array(in)) {
        ngx_http_milvus_cdc_decode_type(errs, path, "slice", in, 0);
        return NULL;
    }

    json_array_foreach(in, i, v) {
        if (!json_is_string(v)) {
            (void) ngx_snprintf((u_char *) sub, sizeof(sub), "%s[%uz]%Z", path,
                                i);
            sub[sizeof(sub) - 1] = '\0';
            ngx_http_milvus_cdc_decode_type(errs, sub, "string", v, 0);
        }
    }

    return json_incref(in);
}


static json_t *
ngx_http_milvus_cdc_decode_map(const ngx_http_milvus_cdc_field_t *f,
    json_t *in, const char *path, ngx_http_milvus_cdc_errs_t *errs)
{
    char         sub[NGX_HTTP_MILVUS_CDC_PATH_MAX];
    json_t      *out, *v;
    const char  *key;

    out = json_object();

    json_object_foreach(in, key, v) {
        (void) ngx_snprintf((u_char *) sub, sizeof(sub), "%s[%s]%Z", path, key);
        sub[sizeof(sub) - 1] = '\0';

        if (f->kind == NGX_HTTP_MILVUS_CDC_MAP_LIST) {
            v = json_is_null(v)
                ? json_array()
                : ngx_http_milvus_cdc_decode_list(f, v, sub, errs);

        } else if (json_is_string(v)) {
            v = json_incref(v);

        } else {
            ngx_http_milvus_cdc_decode_type(errs, sub, "string", v, 0);
            v = NULL;
        }

        if (v) {
            (void) json_object_set_new(out, key, v);
        }
    }

    return out;
}


/* "want" NULL: an object */

static void
ngx_http_milvus_cdc_decode_type(ngx_http_milvus_cdc_errs_t *errs,
    const char *path, const char *want, json_t *in, ngx_uint_t secret)
{
    char         value[64];
    const char  *type;

    errs->n++;

    if (errs->n > NGX_HTTP_MILVUS_CDC_ERRS_MAX) {
        return;
    }

    value[0] = '\0';

    switch (json_typeof(in)) {

    case JSON_STRING:
        type = "string";
        (void) snprintf(value, sizeof(value), "%.40s", json_string_value(in));
        break;

    case JSON_INTEGER:
    case JSON_REAL:
        type = "float64";
        (void) snprintf(value, sizeof(value), "%.15g", json_number_value(in));
        break;

    case JSON_TRUE:
    case JSON_FALSE:
        type = "bool";
        (void) snprintf(value, sizeof(value), "%s",
                        json_is_true(in) ? "true" : "false");
        break;

    case JSON_ARRAY:
        type = "[]interface {}";
        (void) snprintf(value, sizeof(value), "[...]");
        break;

    default:
        type = "map[string]interface {}";
        (void) snprintf(value, sizeof(value), "map[...]");
        break;
    }

    if (want == NULL) {
        ngx_http_milvus_cdc_decode_error(errs, "'%s' expected a map, got '%s'",
                                         path, type);
        return;
    }

    if (ngx_strcmp(want, "slice") == 0) {
        ngx_http_milvus_cdc_decode_error(errs, "'%s': source data must be an "
                                         "array or slice, got %s", path, type);
        return;
    }

    ngx_http_milvus_cdc_decode_error(errs, "'%s' expected type '%s', got "
                                     "unconvertible type '%s', value: '%s'",
                                     path, want, type,
                                     secret ? "******" : value);
}


static void
ngx_http_milvus_cdc_decode_error(ngx_http_milvus_cdc_errs_t *errs,
    const char *fmt, ...)
{
    char     text[NGX_HTTP_MILVUS_CDC_PATH_MAX + 256];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    /* a cut may fall into a character: the answer's writer repairs that */

    (void) json_array_append_new(errs->texts,
                                 json_string_nocheck(text));
}
