/*
 * Which tasks exclude each other.
 *
 * The existing service compares targets by their text and selections by the
 * string "db.collection": a task whose selection another task of the same
 * target covers already is a duplicate.  That answer is kept.  Beyond it, a
 * target has one owner for now (its channels' ticks must come from one
 * place), so any other task to the same target is refused too, even when the
 * target is spelled differently but has the same address.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_store.h"


typedef struct {
    const char  *db;                     /* as it is shown */
    const char  *name;
    int          all_dbs;
} cdc_select_t;


static void
cdc_select_of(const cdc_stored_t *t, cdc_select_t *s)
{
    void    *iter;
    json_t  *infos, *dbs;

    infos = json_object_get(t->request, "collection_infos");
    dbs = json_object_get(t->request, "db_collections");
    s->db = "default";

    if (json_array_size(infos) == 0) {
        iter = json_object_iter(dbs);

        if (iter != NULL) {
            s->db = json_object_iter_key(iter);
            infos = json_object_iter_value(iter);
        }

        s->all_dbs = strcmp(s->db, "*") == 0;

    } else {
        s->all_dbs = -1;
    }

    s->name = json_string_value(json_object_get(json_array_get(infos, 0),
                                                "name"));
    if (s->name == NULL) {
        s->name = "";
    }

    /* "collection_infos" with "*" is the whole cluster */

    if (s->all_dbs == -1) {
        s->all_dbs = strcmp(s->name, "*") == 0;
    }
}


static int
cdc_select_covers(const cdc_select_t *a, const cdc_select_t *b)
{
    if (!a->all_dbs && (b->all_dbs || strcmp(a->db, b->db) != 0)) {
        return 0;
    }

    return strcmp(a->name, "*") == 0 || strcmp(a->name, b->name) == 0;
}


cdc_error_e
cdc_stored_conflict(const cdc_stored_t *t, const cdc_stored_t *other,
    int same_address, char text[CDC_REASON_MAX])
{
    int           same;
    char          name[CDC_REASON_MAX / 2];
    cdc_select_t  a, b;

    if (other->request == NULL) {
        return CDC_E_OK;
    }

    same = strcmp(t->target, other->target) == 0;

    if (!same && !same_address) {
        return CDC_E_OK;
    }

    cdc_select_of(t, &a);
    cdc_select_of(other, &b);

    if (same && strcmp(t->source, other->source) == 0
        && cdc_select_covers(&b, &a))
    {
        (void) snprintf(name, sizeof(name), "%s.%s", a.db, a.name);
        cdc_store_format(text, CDC_E_DUPLICATE_COLLECTION, name);

        return CDC_E_DUPLICATE_COLLECTION;
    }

    cdc_store_format(text, CDC_E_TARGET_IN_USE, t->target, other->id);

    return CDC_E_TARGET_IN_USE;
}
