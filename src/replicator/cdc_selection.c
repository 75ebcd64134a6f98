/*
 * Which databases and collections a task follows.
 *
 * "collection_infos" with the name "*" is the whole cluster, all databases;
 * with another name it is that collection of the default database.
 * "db_collections" names one database (or "*") and one collection (or "*").
 * The worker has checked the request; what is read here was accepted.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


struct cdc_selection_s {
    char            *db, *name;          /* NULL: every one */
};


static char *
cdc_selection_name(const char *name)
{
    return strcmp(name, "*") == 0 ? NULL : strdup(name);
}


cdc_selection_t *
cdc_selection_create(const json_t *request, char *err)
{
    void             *iter;
    json_t           *infos, *dbs;
    const char       *db, *name;
    cdc_selection_t  *s;

    s = calloc(1, sizeof(cdc_selection_t));
    if (s == NULL) {
        snprintf(err, CDC_REASON_MAX, "out of memory");
        return NULL;
    }

    infos = json_object_get(request, "collection_infos");
    dbs = json_object_get(request, "db_collections");
    db = NULL;

    if (json_array_size(infos) == 0 && json_object_size(dbs) == 1) {
        iter = json_object_iter(dbs);
        db = json_object_iter_key(iter);
        infos = json_object_iter_value(iter);
    }

    name = json_string_value(json_object_get(json_array_get(infos, 0),
                                             "name"));

    if (json_array_size(infos) != 1 || name == NULL) {
        snprintf(err, CDC_REASON_MAX, "the task's stored selection cannot be "
                 "read: delete the task and create it again");
        free(s);
        return NULL;
    }

    s->name = cdc_selection_name(name);

    if (db == NULL) {
        db = s->name ? "default" : "*";
    }

    s->db = cdc_selection_name(db);

    return s;
}


void
cdc_selection_free(cdc_selection_t *s)
{
    free(s->db);
    free(s->name);
    free(s);
}


int
cdc_selected_db(const cdc_selection_t *s, const char *db)
{
    return s->db == NULL || strcmp(s->db, db) == 0;
}


int
cdc_selected(const cdc_selection_t *s, const char *db, const char *name)
{
    return cdc_selected_db(s, db)
           && (s->name == NULL || strcmp(s->name, name) == 0);
}


int
cdc_selected_whole_db(const cdc_selection_t *s, const char *db)
{
    return s->name == NULL && cdc_selected_db(s, db);
}


int
cdc_selected_all(const cdc_selection_t *s)
{
    return s->db == NULL && s->name == NULL;
}


const char *
cdc_selection_target_db(const cdc_selection_t *s, const char *db)
{
    (void) s;

    return db;
}


const char *
cdc_selection_target_name(const cdc_selection_t *s, const char *db,
    const char *name)
{
    (void) s;
    (void) db;

    return name;
}


int
cdc_selection_ignore_partition(const cdc_selection_t *s)
{
    (void) s;

    return 0;
}


int
cdc_selection_rbac(const cdc_selection_t *s)
{
    (void) s;

    return 0;
}


int
cdc_selection_earliest(const cdc_selection_t *s)
{
    (void) s;

    return 0;
}


int
cdc_selection_use_start(const cdc_selection_t *s, const char *db,
    const char *name)
{
    (void) s;
    (void) db;
    (void) name;

    return 0;
}


int
cdc_selection_position(const cdc_selection_t *s, const char *vchannel,
    cdc_span_t *id, uint64_t *ts)
{
    (void) s;
    (void) vchannel;
    (void) id;
    (void) ts;

    return CDC_DECLINED;
}


int
cdc_selection_rpc_position(const cdc_selection_t *s, cdc_span_t *id)
{
    (void) s;
    (void) id;

    return CDC_DECLINED;
}
