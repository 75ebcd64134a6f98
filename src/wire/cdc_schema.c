/*
 * Two schemas: do the rows of one fit the other?
 *
 * What the rows do not show is left out of it: descriptions, order, default
 * values (filled in before a row is written), index parameters.  Ids are not:
 * rows name their fields by id.  A string or an array may be longer on the
 * target than on the source, not shorter.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_wire.h"

#include "milvus_schema.pb-c.h"


#define CDC_SCHEMA_USER_FIELD  100       /* smaller ids are Milvus's own */
#define CDC_SCHEMA_FIELD_TEXT  160


typedef Milvus__Schema__CollectionSchema  cdc_schema_t;
typedef Milvus__Schema__FieldSchema       cdc_schema_field_t;
typedef Milvus__Schema__FunctionSchema    cdc_schema_function_t;

typedef struct {
    char     *text;
    size_t    len;
} cdc_schema_diff_t;

typedef struct {
    int32_t      type;
    const char  *name;
} cdc_schema_type_t;

static const cdc_schema_type_t  cdc_schema_types[] = {
    { 1, "Bool" },
    { 2, "Int8" },
    { 3, "Int16" },
    { 4, "Int32" },
    { 5, "Int64" },
    { 10, "Float" },
    { 11, "Double" },
    { 20, "String" },
    { 21, "VarChar" },
    { 22, "Array" },
    { 23, "JSON" },
    { 24, "Geometry" },
    { 25, "Text" },
    { 100, "BinaryVector" },
    { 101, "FloatVector" },
    { 102, "Float16Vector" },
    { 103, "BFloat16Vector" },
    { 104, "SparseFloatVector" },
    { 105, "Int8Vector" },
    { 0, NULL }
};

static const char *const  cdc_schema_limits[] = {
    "max_length", "max_capacity", NULL
};


static void __attribute__((format(printf, 2, 3)))
cdc_schema_say(cdc_schema_diff_t *d, const char *fmt, ...)
{
    int      n;
    size_t   room;
    va_list  args;

    room = CDC_REASON_MAX - d->len;

    va_start(args, fmt);
    n = vsnprintf(d->text + d->len, room, fmt, args);
    va_end(args);

    if (n < 0) {
        return;
    }

    if ((size_t) n < room) {
        d->len += (size_t) n;
        return;
    }

    memcpy(d->text + CDC_REASON_MAX - 4, "...", 4);
    d->len = CDC_REASON_MAX - 1;
}


static void
cdc_schema_next(cdc_schema_diff_t *d)
{
    if (d->len != 0) {
        cdc_schema_say(d, "; ");
    }
}


/* ---- fields -------------------------------------------------------- */

/* not given by those who made the collection */

static int
cdc_schema_own(const cdc_schema_field_t *f)
{
    return f->is_dynamic || strcmp(f->name, "$meta") == 0
           || (f->fieldid < CDC_SCHEMA_USER_FIELD
               && (strcmp(f->name, "RowID") == 0
                   || strcmp(f->name, "Timestamp") == 0));
}


static const cdc_schema_field_t *
cdc_schema_field(const cdc_schema_t *s, const char *name)
{
    size_t  i;

    for (i = 0; i < s->n_fields; i++) {
        if (strcmp(s->fields[i]->name, name) == 0) {
            return s->fields[i];
        }
    }

    return NULL;
}


/* NULL: not given */

static const char *
cdc_schema_param(const cdc_schema_field_t *f, const char *key)
{
    size_t  i;

    for (i = 0; i < f->n_type_params; i++) {
        if (strcmp(f->type_params[i]->key, key) == 0) {
            return f->type_params[i]->value;
        }
    }

    return NULL;
}


static const char *
cdc_schema_type(int32_t type, char *buf, size_t len)
{
    const cdc_schema_type_t  *t;

    for (t = cdc_schema_types; t->name != NULL; t++) {
        if (t->type == type) {
            return t->name;
        }
    }

    (void) snprintf(buf, len, "type %d", (int) type);

    return buf;
}


static void
cdc_schema_field_text(const cdc_schema_field_t *f,
    char text[CDC_SCHEMA_FIELD_TEXT])
{
    char         type[24], element[24];
    const char  *dim, *length, *capacity;

    dim = cdc_schema_param(f, "dim");
    length = cdc_schema_param(f, "max_length");
    capacity = cdc_schema_param(f, "max_capacity");

    (void) snprintf(text, CDC_SCHEMA_FIELD_TEXT,
                    "%s%s%s%s%.12s%s%.12s%s%.12s%s%s%s%s%s",
                    cdc_schema_type(f->data_type, type, sizeof(type)),
                    f->element_type ? " of " : "",
                    f->element_type ? cdc_schema_type(f->element_type,
                                              element, sizeof(element)) : "",
                    dim ? " dim " : "", dim ? dim : "",
                    length ? " max_length " : "", length ? length : "",
                    capacity ? " max_capacity " : "",
                    capacity ? capacity : "",
                    f->is_primary_key ? " primary key" : "",
                    f->autoid ? " auto id" : "",
                    f->is_partition_key ? " partition key" : "",
                    f->nullable ? " nullable" : "",
                    f->is_function_output ? " function output" : "");
}


/* neither has a limit, or theirs is no narrower */

static int
cdc_schema_limit_fits(const cdc_schema_field_t *mine,
    const cdc_schema_field_t *theirs, const char *key)
{
    const char  *a, *b;

    a = cdc_schema_param(mine, key);
    b = cdc_schema_param(theirs, key);

    if (a == NULL || b == NULL) {
        return a == b;
    }

    return strtoll(a, NULL, 10) <= strtoll(b, NULL, 10);
}


static int
cdc_schema_field_fits(const cdc_schema_field_t *mine,
    const cdc_schema_field_t *theirs)
{
    const char         *a, *b;
    const char *const  *key;

    for (key = cdc_schema_limits; *key != NULL; key++) {
        if (!cdc_schema_limit_fits(mine, theirs, *key)) {
            return 0;
        }
    }

    a = cdc_schema_param(mine, "dim");
    b = cdc_schema_param(theirs, "dim");

    if (strcmp(a ? a : "", b ? b : "") != 0) {
        return 0;
    }

    return mine->data_type == theirs->data_type
           && mine->element_type == theirs->element_type
           && !mine->is_primary_key == !theirs->is_primary_key
           && !mine->autoid == !theirs->autoid
           && !mine->is_partition_key == !theirs->is_partition_key
           && !mine->nullable == !theirs->nullable
           && !mine->is_function_output == !theirs->is_function_output;
}


static void
cdc_schema_fields(const cdc_schema_t *mine, const cdc_schema_t *theirs,
    cdc_schema_diff_t *d)
{
    char                       a[CDC_SCHEMA_FIELD_TEXT];
    char                       b[CDC_SCHEMA_FIELD_TEXT];
    size_t                     i;
    const cdc_schema_field_t  *f, *other;

    for (i = 0; i < mine->n_fields; i++) {

        f = mine->fields[i];
        if (cdc_schema_own(f)) {
            continue;
        }

        other = cdc_schema_field(theirs, f->name);

        if (other == NULL) {
            cdc_schema_field_text(f, a);
            cdc_schema_next(d);
            cdc_schema_say(d, "field \"%s\" (%s) is not on the target",
                           f->name, a);

        } else if (!cdc_schema_field_fits(f, other)) {
            cdc_schema_field_text(f, a);
            cdc_schema_field_text(other, b);
            cdc_schema_next(d);
            cdc_schema_say(d, "field \"%s\" is %s on the source and %s on "
                           "the target", f->name, a, b);

        } else if (f->fieldid && other->fieldid
                   && f->fieldid != other->fieldid)
        {
            cdc_schema_next(d);
            cdc_schema_say(d, "field \"%s\" has id %lld on the source and "
                           "%lld on the target", f->name,
                           (long long) f->fieldid,
                           (long long) other->fieldid);
        }
    }

    for (i = 0; i < theirs->n_fields; i++) {

        f = theirs->fields[i];

        if (!cdc_schema_own(f) && cdc_schema_field(mine, f->name) == NULL) {
            cdc_schema_field_text(f, a);
            cdc_schema_next(d);
            cdc_schema_say(d, "field \"%s\" (%s) is on the target only",
                           f->name, a);
        }
    }
}


/* ---- functions ----------------------------------------------------- */

static const cdc_schema_function_t *
cdc_schema_function(const cdc_schema_t *s, const char *name)
{
    size_t  i;

    for (i = 0; i < s->n_functions; i++) {
        if (strcmp(s->functions[i]->name, name) == 0) {
            return s->functions[i];
        }
    }

    return NULL;
}


static int
cdc_schema_names_same(size_t n, char **a, size_t m, char **b)
{
    size_t  i;

    if (n != m) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        if (strcmp(a[i], b[i]) != 0) {
            return 0;
        }
    }

    return 1;
}


static void
cdc_schema_functions(const cdc_schema_t *mine, const cdc_schema_t *theirs,
    cdc_schema_diff_t *d)
{
    size_t                        i;
    const cdc_schema_function_t  *f, *g;

    for (i = 0; i < mine->n_functions; i++) {

        f = mine->functions[i];
        g = cdc_schema_function(theirs, f->name);

        if (g == NULL) {
            cdc_schema_next(d);
            cdc_schema_say(d, "function \"%s\" is not on the target",
                           f->name);

        } else if (f->type != g->type
                   || !cdc_schema_names_same(f->n_input_field_names,
                                             f->input_field_names,
                                             g->n_input_field_names,
                                             g->input_field_names)
                   || !cdc_schema_names_same(f->n_output_field_names,
                                             f->output_field_names,
                                             g->n_output_field_names,
                                             g->output_field_names))
        {
            cdc_schema_next(d);
            cdc_schema_say(d, "function \"%s\" is another on the target",
                           f->name);
        }
    }

    for (i = 0; i < theirs->n_functions; i++) {

        f = theirs->functions[i];

        if (cdc_schema_function(mine, f->name) == NULL) {
            cdc_schema_next(d);
            cdc_schema_say(d, "function \"%s\" is on the target only",
                           f->name);
        }
    }
}


int
cdc_schema_compare(cdc_span_t mine, cdc_span_t theirs,
    char diff[CDC_REASON_MAX])
{
    int                rc;
    cdc_schema_t      *a, *b;
    cdc_schema_diff_t  d;

    diff[0] = '\0';

    d.text = diff;
    d.len = 0;

    a = milvus__schema__collection_schema__unpack(NULL, mine.len, mine.data);
    b = milvus__schema__collection_schema__unpack(NULL, theirs.len,
                                                  theirs.data);

    if (a == NULL || b == NULL) {
        rc = CDC_ERROR;

    } else {

        cdc_schema_fields(a, b, &d);
        cdc_schema_functions(a, b, &d);

        if (!a->enable_dynamic_field != !b->enable_dynamic_field) {
            cdc_schema_next(&d);
            cdc_schema_say(&d, "dynamic fields are allowed on the %s only",
                           a->enable_dynamic_field ? "source" : "target");
        }

        rc = d.len ? CDC_DECLINED : CDC_OK;
    }

    milvus__schema__collection_schema__free_unpacked(a, NULL);
    milvus__schema__collection_schema__free_unpacked(b, NULL);

    return rc;
}
