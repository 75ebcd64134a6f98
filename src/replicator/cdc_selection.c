/*
 * Which databases and collections a task follows, and where they go.
 *
 * "collection_infos" with the name "*" is the whole cluster, all databases;
 * other names are collections of the default database.  "db_collections"
 * has names, or "*", by database; the database "*" is every one.
 * "exclude_collections" holds "db.name", either part may be "*"; the store
 * adds there what other tasks of the same target claimed before.
 *
 * "name_mapping" moves a database, all that is followed of it, and gives
 * collections other names: {"source_db", "target_db", "collection_mapping"}.
 * A name that it does not have stays as it is, in the target's database.
 *
 * The worker and the store have checked the request; what is read here was
 * accepted, or is the record of an earlier version.
 */

#include "cdc_replicator.h"
#include "cdc_selection_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static const char *
cdc_selection_db(const char *db)
{
    return *db == '\0' ? CDC_DEFAULT_DB : db;
}


/* the member of that name, made when it is not there */

static json_t *
cdc_selection_member(json_t *object, const char *key, json_t *(*make)(void))
{
    json_t  *value;

    value = json_object_get(object, key);

    if (value == NULL && json_object_set_new(object, key, make()) == 0) {
        value = json_object_get(object, key);
    }

    return value;
}


/* ---- names --- */

static int
cdc_selection_add_position(cdc_selection_t *s, const char *vchannel,
    const json_t *value, char *err)
{
    char                  text[CDC_REASON_MAX];
    const char           *base64;
    cdc_selection_pos_t  *p;

    p = realloc(s->positions, (s->npositions + 1) * sizeof(*p));

    if (p == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "out of memory");
        return CDC_ERROR;
    }

    s->positions = p;
    p += s->npositions;
    p->vchannel = vchannel;

    base64 = json_string_value(value);

    if (cdc_position_decode(base64 ? base64 : "", &p->id, &p->len, &p->ts,
                            text)
        != CDC_OK)
    {
        (void) snprintf(err, CDC_REASON_MAX, "the position of the channel "
                        "\"%.256s\" cannot be read: %.256s", vchannel, text);
        return CDC_ERROR;
    }

    s->npositions++;

    return CDC_OK;
}


static int
cdc_selection_add(cdc_selection_t *s, const char *db, json_t *infos,
    char *err)
{
    size_t       i;
    json_t      *info, *positions, *value;
    const char  *name, *vchannel;

    json_array_foreach(infos, i, info) {
        name = json_string_value(json_object_get(info, "name"));

        if (name == NULL) {
            continue;
        }

        /* without a database, "*" is the whole cluster */

        if (json_object_set(cdc_selection_member(s->names, db ? db
                                : strcmp(name, "*") == 0 ? "*"
                                                         : CDC_DEFAULT_DB,
                                json_object), name, info)
            != 0)
        {
            (void) snprintf(err, CDC_REASON_MAX, "out of memory");
            return CDC_ERROR;
        }

        positions = json_object_get(info, "positions");

        json_object_foreach(positions, vchannel, value) {
            if (cdc_selection_add_position(s, vchannel, value, err)
                != CDC_OK)
            {
                return CDC_ERROR;
            }
        }
    }

    return CDC_OK;
}


static int
cdc_selection_names(cdc_selection_t *s, const json_t *request, char *err)
{
    json_t      *dbs, *infos;
    const char  *db;

    if (cdc_selection_add(s, NULL, json_object_get(request,
                                                   "collection_infos"), err)
        != CDC_OK)
    {
        return CDC_ERROR;
    }

    dbs = json_object_get(request, "db_collections");

    json_object_foreach(dbs, db, infos) {
        if (cdc_selection_add(s, cdc_selection_db(db), infos, err) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    if (json_object_size(s->names) == 0) {
        (void) snprintf(err, CDC_REASON_MAX, "the task's stored selection "
                        "cannot be read: delete the task and create it "
                        "again");
        return CDC_ERROR;
    }

    return CDC_OK;
}


/* ---- exclude_collections --- */

int
cdc_selection_split(const char *text, char db[CDC_MAX_NAME_LEN + 1],
    char name[CDC_MAX_NAME_LEN + 1])
{
    size_t       len;
    const char  *dot;

    dot = strchr(text, '.');

    if (dot == NULL || dot[1] == '\0' || strchr(dot + 1, '.') != NULL) {
        return CDC_ERROR;
    }

    len = (size_t) (dot - text);

    if (len > CDC_MAX_NAME_LEN || strlen(dot + 1) > CDC_MAX_NAME_LEN) {
        return CDC_ERROR;
    }

    memcpy(db, text, len);
    db[len] = '\0';
    (void) snprintf(name, CDC_MAX_NAME_LEN + 1, "%s", dot + 1);

    return CDC_OK;
}


static int
cdc_selection_exclude(cdc_selection_t *s, const json_t *request)
{
    char         db[CDC_MAX_NAME_LEN + 1], name[CDC_MAX_NAME_LEN + 1];
    size_t       i;
    json_t      *list, *value;
    const char  *text;

    list = json_object_get(request, "exclude_collections");

    json_array_foreach(list, i, value) {
        text = json_string_value(value);

        if (text == NULL || cdc_selection_split(text, db, name) != CDC_OK) {
            continue;
        }

        if (json_object_set_new(cdc_selection_member(s->excluded,
                                                     cdc_selection_db(db),
                                                     json_object),
                                name, json_true())
            != 0)
        {
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


/* ---- name_mapping --- */

/* one database goes to one place, and so does one collection */

static int
cdc_selection_map_db(cdc_selection_t *s, const char *source,
    const char *target, char *err)
{
    json_t      *m;
    const char  *db;

    m = json_object_get(s->mapping, source);

    if (m != NULL) {
        db = json_string_value(json_object_get(m, "db"));

        if (strcmp(db, target) == 0) {
            return CDC_OK;
        }

        (void) snprintf(err, CDC_REASON_MAX, "the database \"%.256s\" is "
                        "mapped to \"%.256s\" and to \"%.256s\": a database "
                        "goes to one other", source, db, target);
        return CDC_ERROR;
    }

    m = json_pack("{s:s, s:{}, s:{}}", "db", target, "names", "back");

    if (json_object_set_new(s->mapping, source, m) != 0
        || json_array_append_new(cdc_selection_member(s->back, target,
                                                      json_array),
                                 json_string(source))
           != 0)
    {
        (void) snprintf(err, CDC_REASON_MAX, "out of memory");
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_selection_map_name(json_t *m, const char *db, const char *from,
    json_t *value, char *err)
{
    json_t      *names, *other;
    const char  *to;

    to = json_string_value(value);

    if (to == NULL || (strcmp(from, "*") == 0 && strcmp(to, "*") == 0)) {
        return CDC_OK;                   /* the database: mapped as it is */
    }

    names = json_object_get(m, "names");
    other = json_object_get(names, from);

    if (other != NULL && strcmp(json_string_value(other), to) == 0) {
        return CDC_OK;
    }

    if (other != NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "the collection \"%.200s.%.200s\" "
                        "is mapped to \"%.200s\" and to \"%.200s\"", db, from,
                        json_string_value(other), to);
        return CDC_ERROR;
    }

    if (json_object_set(names, from, value) != 0
        || json_array_append_new(
               cdc_selection_member(json_object_get(m, "back"), to,
                                    json_array), json_string(from))
           != 0)
    {
        (void) snprintf(err, CDC_REASON_MAX, "out of memory");
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_selection_map(cdc_selection_t *s, const json_t *entry, char *err)
{
    json_t      *names, *value;
    const char  *source, *target, *from;

    source = json_string_value(json_object_get(entry, "source_db"));
    target = json_string_value(json_object_get(entry, "target_db"));
    source = cdc_selection_db(source ? source : "");
    target = cdc_selection_db(target ? target : "");

    if (cdc_selection_map_db(s, source, target, err) != CDC_OK) {
        return CDC_ERROR;
    }

    names = json_object_get(entry, "collection_mapping");

    json_object_foreach(names, from, value) {
        if (cdc_selection_map_name(json_object_get(s->mapping, source),
                                   source, from, value, err)
            != CDC_OK)
        {
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


/* ---- the whole --- */

static int
cdc_selection_parse(cdc_selection_t *s, const json_t *request, char *err)
{
    char         text[CDC_REASON_MAX];
    size_t       i;
    json_t      *list, *entry;
    uint64_t     ts;
    const char  *value;

    if (cdc_selection_names(s, request, err) != CDC_OK) {
        return CDC_ERROR;
    }

    if (cdc_selection_exclude(s, request) != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "out of memory");
        return CDC_ERROR;
    }

    list = json_object_get(request, "name_mapping");

    json_array_foreach(list, i, entry) {
        if (cdc_selection_map(s, entry, err) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    value = json_string_value(json_object_get(json_object_get(request,
                                  "rpc_channel_info"), "position"));

    if (value != NULL && *value != '\0'
        && cdc_position_decode(value, &s->rpc_id, &s->rpc_len, &ts, text)
           != CDC_OK)
    {
        (void) snprintf(err, CDC_REASON_MAX, "rpc_channel_info.position "
                        "cannot be read: %.256s", text);
        return CDC_ERROR;
    }

    value = json_string_value(json_object_get(request, "log_gap"));

    s->earliest = value != NULL && strcmp(value, "earliest") == 0;
    s->rbac = json_is_true(json_object_get(json_object_get(request,
                                               "extra_info"),
                                           "enable_user_role"));
    s->ignore_partition = json_is_true(json_object_get(
                              json_object_get(request,
                                              "milvus_connect_param"),
                              "ignore_partition"));

    return CDC_OK;
}


cdc_selection_t *
cdc_selection_create(const json_t *request, char *err)
{
    cdc_selection_t  *s;

    s = calloc(1, sizeof(cdc_selection_t));

    if (s == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "out of memory");
        return NULL;
    }

    s->names = json_object();
    s->excluded = json_object();
    s->mapping = json_object();
    s->back = json_object();

    if (cdc_selection_parse(s, request, err) != CDC_OK) {
        cdc_selection_free(s);
        return NULL;
    }

    return s;
}


void
cdc_selection_free(cdc_selection_t *s)
{
    size_t  i;

    if (s == NULL) {
        return;
    }

    for (i = 0; i < s->npositions; i++) {
        free(s->positions[i].id);
    }

    json_decref(s->names);
    json_decref(s->excluded);
    json_decref(s->mapping);
    json_decref(s->back);
    free(s->positions);
    free(s->rpc_id);
    free(s);
}


/* ---- what is followed --- */

/* the value that covers a pattern, the closest one first */

static json_t *
cdc_selection_find(const json_t *names, const char *db, const char *name)
{
    json_t  *own, *all, *value;

    own = json_object_get(names, db);
    all = json_object_get(names, "*");

    value = json_object_get(own, name);
    value = value ? value : json_object_get(own, "*");
    value = value ? value : json_object_get(all, name);

    return value ? value : json_object_get(all, "*");
}


int
cdc_selection_covers(const cdc_selection_t *s, const char *db,
    const char *name)
{
    return cdc_selection_find(s->names, cdc_selection_db(db), name) != NULL;
}


int
cdc_selection_excludes(const cdc_selection_t *s, const char *db,
    const char *name)
{
    return cdc_selection_find(s->excluded, cdc_selection_db(db), name)
           != NULL;
}


int
cdc_selected(const cdc_selection_t *s, const char *db, const char *name)
{
    return cdc_selection_covers(s, db, name)
           && !cdc_selection_excludes(s, db, name);
}


int
cdc_selected_db(const cdc_selection_t *s, const char *db)
{
    db = cdc_selection_db(db);

    return (json_object_get(s->names, db) != NULL
            || json_object_get(s->names, "*") != NULL)
           && !cdc_selection_excludes(s, db, "*");
}


/* single collections that are left out belong to another task of the same
 * target, and the database is nobody else's */

int
cdc_selected_whole_db(const cdc_selection_t *s, const char *db)
{
    return cdc_selected(s, db, "*");
}


int
cdc_selected_all(const cdc_selection_t *s)
{
    return cdc_selected(s, "*", "*");
}


int
cdc_selection_each(const cdc_selection_t *s,
    int (*fn)(void *arg, const char *db, const char *name), void *arg)
{
    int          rc;
    json_t      *names, *value;
    const char  *db, *name;

    json_object_foreach(s->names, db, names) {
        json_object_foreach(names, name, value) {
            rc = fn(arg, db, name);

            if (rc != CDC_OK) {
                return rc;
            }
        }
    }

    return CDC_OK;
}


/* ---- where it goes --- */

const char *
cdc_selection_target_db(const cdc_selection_t *s, const char *db)
{
    json_t  *m;

    m = json_object_get(s->mapping, cdc_selection_db(db));

    return m ? json_string_value(json_object_get(m, "db")) : db;
}


const char *
cdc_selection_target_name(const cdc_selection_t *s, const char *db,
    const char *name)
{
    json_t  *m, *value;

    m = json_object_get(s->mapping, cdc_selection_db(db));
    value = json_object_get(json_object_get(m, "names"), name);

    return value ? json_string_value(value) : name;
}


/* ---- how it starts, and the rest --- */

int
cdc_selection_ignore_partition(const cdc_selection_t *s)
{
    return s->ignore_partition;
}


int
cdc_selection_rbac(const cdc_selection_t *s)
{
    return s->rbac;
}


int
cdc_selection_earliest(const cdc_selection_t *s)
{
    return s->earliest;
}


int
cdc_selection_use_start(const cdc_selection_t *s, const char *db,
    const char *name)
{
    return json_is_true(json_object_get(
               cdc_selection_find(s->names, cdc_selection_db(db), name),
               "use_start_position"));
}


int
cdc_selection_position(const cdc_selection_t *s, const char *vchannel,
    cdc_span_t *id, uint64_t *ts)
{
    size_t  i;

    for (i = 0; i < s->npositions; i++) {

        if (strcmp(s->positions[i].vchannel, vchannel) == 0) {
            *id = cdc_span_n(s->positions[i].id, s->positions[i].len);
            *ts = s->positions[i].ts;

            return CDC_OK;
        }
    }

    return CDC_DECLINED;
}


int
cdc_selection_rpc_position(const cdc_selection_t *s, cdc_span_t *id)
{
    if (s->rpc_id == NULL) {
        return CDC_DECLINED;
    }

    *id = cdc_span_n(s->rpc_id, s->rpc_len);

    return CDC_OK;
}
