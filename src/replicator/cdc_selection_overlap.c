/*
 * Which names of the target a selection writes, and whether two of them, or
 * one twice, write the same.
 *
 * A selection with wildcards writes names that nobody knows yet.  Still, it
 * treats all names alike that neither selection mentions, so it is enough to
 * try those that are mentioned, and one that cannot be a name, CDC_ANY, in
 * place of all the others.
 */

#include "cdc_replicator.h"
#include "cdc_selection_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CDC_ANY             "."
#define CDC_MAPPED_DBS_MAX  1024         /* each is tried with each name */


typedef struct {
    const cdc_selection_t  *a, *b;
    json_t                 *dbs;         /* of the target: name -> true */
    json_t                 *names;       /* wanted in all databases */
    char                   *where;
    int                     found;
} cdc_overlap_t;


/* ---- what a selection writes --- */

static int
cdc_overlap_from(const cdc_selection_t *s, const char *db, const char *name)
{
    size_t   i;
    json_t  *m, *back, *value;

    m = json_object_get(s->mapping, db);
    back = json_object_get(json_object_get(m, "back"), name);

    json_array_foreach(back, i, value) {
        if (cdc_selected(s, db, json_string_value(value))) {
            return 1;
        }
    }

    return json_object_get(json_object_get(m, "names"), name) == NULL
           && cdc_selected(s, db, name);
}


static int
cdc_overlap_writes(const cdc_selection_t *s, const char *db,
    const char *name)
{
    size_t   i;
    json_t  *dbs, *value;

    dbs = json_object_get(s->back, db);

    json_array_foreach(dbs, i, value) {
        if (cdc_overlap_from(s, json_string_value(value), name)) {
            return 1;
        }
    }

    return json_object_get(s->mapping, db) == NULL
           && cdc_overlap_from(s, db, name);
}


static void
cdc_overlap_try(cdc_overlap_t *o, const char *db, const char *name)
{
    if (o->found || !cdc_overlap_writes(o->a, db, name)
        || !cdc_overlap_writes(o->b, db, name))
    {
        return;
    }

    o->found = 1;

    (void) snprintf(o->where, CDC_REASON_MAX, "%.256s.%.256s",
                    strcmp(db, CDC_ANY) == 0 ? "*" : db,
                    strcmp(name, CDC_ANY) == 0 ? "*" : name);
}


/* ---- what is mentioned --- */

static void
cdc_overlap_db(cdc_overlap_t *o, const char *db)
{
    if (strcmp(db, "*") != 0) {
        (void) json_object_set_new(o->dbs, db, json_true());
    }
}


static int
cdc_overlap_name(void *arg, const char *db, const char *name)
{
    cdc_overlap_t  *o = arg;

    if (strcmp(db, "*") == 0) {
        if (strcmp(name, "*") != 0) {
            (void) json_object_set_new(o->names, name, json_true());
        }

        return CDC_OK;
    }

    /* one of the two asks for it, and trying both costs nothing */

    cdc_overlap_db(o, cdc_selection_target_db(o->a, db));
    cdc_overlap_db(o, cdc_selection_target_db(o->b, db));

    if (strcmp(name, "*") != 0) {
        cdc_overlap_try(o, cdc_selection_target_db(o->a, db),
                        cdc_selection_target_name(o->a, db, name));
        cdc_overlap_try(o, cdc_selection_target_db(o->b, db),
                        cdc_selection_target_name(o->b, db, name));
    }

    return CDC_OK;
}


static void
cdc_overlap_mentioned(cdc_overlap_t *o, const cdc_selection_t *s)
{
    json_t      *m, *names, *value;
    const char  *db, *name, *target;

    (void) cdc_selection_each(s, cdc_overlap_name, o);

    json_object_foreach(s->mapping, db, m) {
        target = json_string_value(json_object_get(m, "db"));
        names = json_object_get(m, "back");

        cdc_overlap_db(o, target);

        json_object_foreach(names, name, value) {
            cdc_overlap_try(o, target, name);
        }
    }
}


int
cdc_selection_overlap(const cdc_selection_t *a, const cdc_selection_t *b,
    char where[CDC_REASON_MAX])
{
    json_t         *t, *n;
    const char     *db, *name;
    cdc_overlap_t   o;

    memset(&o, 0, sizeof(cdc_overlap_t));

    o.a = a;
    o.b = b;
    o.where = where;
    o.dbs = json_object();
    o.names = json_object();

    cdc_overlap_mentioned(&o, a);
    cdc_overlap_mentioned(&o, b);

    (void) json_object_set_new(o.dbs, CDC_ANY, json_true());
    (void) json_object_set_new(o.names, CDC_ANY, json_true());

    json_object_foreach(o.dbs, db, t) {
        json_object_foreach(o.names, name, n) {
            cdc_overlap_try(&o, db, name);
        }
    }

    json_decref(o.dbs);
    json_decref(o.names);

    return o.found;
}


/* ---- name_mapping --- */

typedef struct {
    const cdc_selection_t  *selection;
    json_t                 *taken;       /* "db.name" of the target -> "db.name"
                                          * of the source; "db" -> "db" */
    char                   *err;
} cdc_mapping_t;


/* CDC_ERROR: two sources for one name */

static int
cdc_mapping_take(cdc_mapping_t *m, const char *source, const char *target)
{
    int          order;
    json_t      *taken;
    const char  *other;

    taken = json_object_get(m->taken, target);

    if (taken == NULL) {
        (void) json_object_set_new(m->taken, target, json_string(source));
        return CDC_OK;
    }

    other = json_string_value(taken);
    order = strcmp(source, other);

    if (order == 0) {
        return CDC_OK;
    }

    (void) snprintf(m->err, CDC_REASON_MAX, "\"%.256s\" and \"%.256s\" would "
                    "both be \"%.256s\" on the target",
                    order < 0 ? source : other, order < 0 ? other : source,
                    target);

    return CDC_ERROR;
}


static int
cdc_mapping_name(void *arg, const char *db, const char *name)
{
    char            source[2 * CDC_MAX_NAME_LEN + 2];
    char            target[2 * CDC_MAX_NAME_LEN + 2];
    const char     *to;
    cdc_mapping_t  *m = arg;

    if (strcmp(db, "*") == 0) {
        return CDC_OK;
    }

    to = cdc_selection_target_db(m->selection, db);

    if (strcmp(name, "*") == 0) {
        return cdc_mapping_take(m, db, to);
    }

    if (!cdc_selected(m->selection, db, name)) {
        return CDC_OK;
    }

    (void) snprintf(source, sizeof(source), "%.256s.%.256s", db, name);
    (void) snprintf(target, sizeof(target), "%.256s.%.256s", to,
                    cdc_selection_target_name(m->selection, db, name));

    return cdc_mapping_take(m, source, target);
}


/* as Milvus has them; a source's name may be anything that exists there */

static int
cdc_mapping_valid(cdc_mapping_t *m, const char *name)
{
    static const char  letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz_";
    static const char  all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz_0123456789$";

    if (*name != '\0' && strchr(letters, *name) != NULL
        && name[strspn(name, all)] == '\0' && strlen(name) < CDC_MAX_NAME_LEN)
    {
        return 1;
    }

    (void) snprintf(m->err, CDC_REASON_MAX, "\"%.256s\" cannot be a name on "
                    "the target: it should begin with a letter or an "
                    "underscore, and have at most %d letters, digits, "
                    "underscores and dollar signs", name,
                    CDC_MAX_NAME_LEN - 1);

    return 0;
}


static int
cdc_mapping_db(cdc_mapping_t *m, const char *db, const json_t *entry)
{
    int          rc;
    json_t      *names, *value;
    const char  *name;

    if (!cdc_selected_db(m->selection, db)) {
        return CDC_DECLINED;
    }

    if (!cdc_mapping_valid(m, json_string_value(json_object_get(entry,
                                                                "db"))))
    {
        return CDC_ERROR;
    }

    rc = cdc_selected_whole_db(m->selection, db)
         ? cdc_mapping_name(m, db, "*") : CDC_OK;

    names = json_object_get(entry, "names");

    json_object_foreach(names, name, value) {

        if (rc != CDC_OK) {
            return rc;
        }

        if (!cdc_selected(m->selection, db, name)) {
            return CDC_DECLINED;
        }

        rc = cdc_mapping_valid(m, json_string_value(value))
             ? cdc_mapping_name(m, db, name) : CDC_ERROR;
    }

    return rc;
}


int
cdc_selection_mapping(const cdc_selection_t *s, char err[CDC_REASON_MAX])
{
    int             rc;
    json_t         *entry;
    const char     *db;
    cdc_mapping_t   m;

    if (json_object_size(s->mapping) > CDC_MAPPED_DBS_MAX) {
        (void) snprintf(err, CDC_REASON_MAX, "it has more than %d databases",
                        CDC_MAPPED_DBS_MAX);
        return CDC_ERROR;
    }

    m.selection = s;
    m.err = err;
    m.taken = json_object();

    rc = cdc_selection_each(s, cdc_mapping_name, &m);

    json_object_foreach(s->mapping, db, entry) {

        if (rc != CDC_OK) {
            break;
        }

        rc = cdc_mapping_db(&m, db, entry);
    }

    json_decref(m.taken);

    return rc;
}
