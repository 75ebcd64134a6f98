/*
 * Which tasks exclude each other.
 *
 * Tasks of one target share it when they write different collections there.
 * As with the existing service, what another task of the same target follows
 * already is a duplicate, unless that task leaves it out; and a wildcard that
 * comes later leaves out what others claimed before: such names are stored
 * with the task, and stay there when the other task is deleted.
 *
 * That service compares targets by their text, so "localhost" and "127.0.0.1"
 * are two; here, the same server is the same target.  Beyond it, two tasks
 * that would write one collection of the target, under whatever names and
 * from whatever sources, are refused.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_replicator.h"
#include "cdc_store.h"


typedef struct {
    cdc_stored_t           *task;
    const cdc_selection_t  *mine, *theirs;
    json_t                 *claimed;     /* NULL: none */
    const char             *db, *name;   /* of theirs */
    char                    names[CDC_REASON_MAX / 2];   /* duplicates */
    size_t                  len;
} cdc_select_t;


const cdc_selection_t *
cdc_stored_selection(cdc_stored_t *t, char err[CDC_REASON_MAX])
{
    if (t->selection == NULL) {
        t->selection = cdc_selection_create(t->request, err);
    }

    return t->selection;
}


static void
cdc_stored_reselect(cdc_stored_t *t, json_t *excluded)
{
    if (excluded != NULL) {
        (void) json_object_set(t->request, "exclude_collections", excluded);

    } else {
        (void) json_object_del(t->request, "exclude_collections");
    }

    cdc_selection_free(t->selection);
    t->selection = NULL;
}


void
cdc_stored_unclaim(cdc_stored_t *t)
{
    if (json_object_get(t->request, "exclude_collections") != t->given) {
        cdc_stored_reselect(t, t->given);
    }
}


/* each pattern of mine that theirs covers */

static int
cdc_select_duplicate(void *arg, const char *db, const char *name)
{
    size_t         room;
    json_t        *infos;
    cdc_select_t  *s = arg;

    if (!cdc_selection_covers(s->theirs, db, name)
        || cdc_selection_excludes(s->theirs, db, name))
    {
        return CDC_OK;
    }

    /* the existing service shows the whole cluster's short form this way */

    infos = json_object_get(s->task->request, "collection_infos");

    if (json_array_size(infos) != 0) {
        db = CDC_DEFAULT_DB;
    }

    room = sizeof(s->names) - s->len;

    if (strlen(db) + strlen(name) + 3 <= room) {
        s->len += (size_t) snprintf(s->names + s->len, room, "%s%s.%s",
                                    s->len ? " " : "", db, name);
    }

    return CDC_OK;
}


/* one of theirs, one of mine: a wildcard of mine leaves theirs out */

static int
cdc_select_claim_one(void *arg, const char *db, const char *name)
{
    char           text[2 * CDC_MAX_NAME_LEN + 2];
    cdc_select_t  *s = arg;

    if ((strcmp(db, "*") != 0 && strcmp(s->db, "*") != 0
         && strcmp(db, s->db) != 0)
        || (strcmp(name, "*") != 0 && strcmp(s->name, "*") != 0
            && strcmp(name, s->name) != 0)
        || cdc_selection_excludes(s->theirs, db, name)
        || cdc_selection_excludes(s->theirs, s->db, s->name)
        || cdc_selection_excludes(s->mine, s->db, s->name))
    {
        return CDC_OK;
    }

    (void) snprintf(text, sizeof(text), "%.256s.%.256s", s->db, s->name);

    if (s->claimed == NULL) {
        s->claimed = json_array();
    }

    (void) json_array_append_new(s->claimed, json_string(text));

    return CDC_DONE;
}


static int
cdc_select_claim(void *arg, const char *db, const char *name)
{
    cdc_select_t  *s = arg;

    s->db = db;
    s->name = name;

    (void) cdc_selection_each(s->mine, cdc_select_claim_one, s);

    return CDC_OK;
}


static cdc_error_e
cdc_select_source(cdc_select_t *s, char err[CDC_REASON_MAX])
{
    json_t  *all;

    (void) cdc_selection_each(s->mine, cdc_select_duplicate, s);

    if (s->len != 0) {
        return CDC_E_DUPLICATE_COLLECTION;
    }

    (void) cdc_selection_each(s->theirs, cdc_select_claim, s);

    if (s->claimed == NULL) {
        return CDC_E_OK;
    }

    all = json_copy(json_object_get(s->task->request, "exclude_collections"));
    all = all != NULL ? all : json_array();

    (void) json_array_extend(all, s->claimed);
    cdc_stored_reselect(s->task, all);

    json_decref(all);
    json_decref(s->claimed);

    s->mine = cdc_stored_selection(s->task, err);

    return s->mine != NULL ? CDC_E_OK : CDC_E_INTERNAL;
}


cdc_error_e
cdc_stored_conflict(cdc_stored_t *t, cdc_stored_t *other, int same_address,
    char text[CDC_REASON_MAX])
{
    int           same;
    char          err[CDC_REASON_MAX];
    cdc_error_e   rc;
    cdc_select_t  s;

    if (other->request == NULL) {
        return CDC_E_OK;
    }

    same = strcmp(t->target, other->target) == 0;

    if (!same && !same_address) {
        return CDC_E_OK;
    }

    memset(&s, 0, sizeof(cdc_select_t));

    s.task = t;
    s.mine = cdc_stored_selection(t, err);
    s.theirs = cdc_stored_selection(other, err);

    if (s.mine == NULL || s.theirs == NULL) {
        cdc_store_format(text, CDC_E_INTERNAL);
        return CDC_E_INTERNAL;
    }

    if (cdc_selection_rbac(s.mine) && cdc_selection_rbac(s.theirs)) {
        cdc_store_format(text, CDC_E_DUPLICATE_ROLE);
        return CDC_E_DUPLICATE_ROLE;
    }

    rc = strcmp(t->source, other->source) == 0 ? cdc_select_source(&s, err)
                                               : CDC_E_OK;

    if (rc == CDC_E_DUPLICATE_COLLECTION && same) {
        cdc_store_format(text, rc, s.names);
        return rc;
    }

    if (rc == CDC_E_INTERNAL) {
        cdc_store_format(text, rc);
        return rc;
    }

    /* a duplicate by another name of the target says which task it means */

    if (cdc_selection_overlap(s.mine, s.theirs, err)) {
        cdc_store_format(text, CDC_E_TARGET_IN_USE, t->target, other->id,
                         err);
        return CDC_E_TARGET_IN_USE;
    }

    if (rc != CDC_E_OK) {
        cdc_store_format(text, rc, s.names);
    }

    return rc;
}


int
cdc_stored_join(cdc_stored_t *t, const cdc_stored_t *other, int same_address)
{
    const char  *group;

    if (other->address == NULL || t->address == NULL || t->group != NULL
        || (!same_address && strcmp(t->address, other->address) != 0))
    {
        return CDC_OK;
    }

    group = other->group != NULL ? other->group : other->address;

    if (strcmp(group, t->address) == 0) {
        return CDC_OK;
    }

    t->group = strdup(group);

    return t->group != NULL ? CDC_OK : CDC_ERROR;
}
