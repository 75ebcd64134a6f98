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


static char *
cdc_selection_name(const char *name)
{
    return strcmp(name, "*") == 0 ? NULL : strdup(name);
}


int
cdc_selection_parse(cdc_selection_t *s, const json_t *request, char *err)
{
    void        *iter;
    json_t      *infos, *dbs;
    const char  *db, *name;

    memset(s, 0, sizeof(cdc_selection_t));

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
        return CDC_ERROR;
    }

    s->name = cdc_selection_name(name);

    if (db == NULL) {
        db = s->name ? "default" : "*";
    }

    s->db = cdc_selection_name(db);

    return CDC_OK;
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
