/*
 * Aliases.
 *
 * Each is durable with the collection (of the source) that it means on the
 * target; "wanted" is what the last operation on its way will make of it.
 * The catalogue's word against that gives the next operation, now or after
 * a restart.  One that means a collection which the task does not follow is
 * as good as dropped.
 *
 * What is asked for is durable before the target knows ("doubt" after a
 * crash: either may be so, and it is asked again).  The operations stand in
 * line with those of both collections, by the alias's own timestamp.  When
 * the target drops a collection, its aliases go with it.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static cdc_alias_t *
cdc_alias_find(const cdc_repl_t *r, const char *db, const char *name)
{
    cdc_alias_t  *a;

    for (a = r->aliases; a; a = a->next) {
        if (strcmp(a->name, name) == 0 && strcmp(a->db, db) == 0) {
            return a;
        }
    }

    return NULL;
}


static cdc_alias_t *
cdc_alias_add(cdc_repl_t *r, const char *db, const char *name)
{
    cdc_alias_t  *a;

    a = calloc(1, sizeof(cdc_alias_t));
    if (a == NULL) {
        return NULL;
    }

    a->db = strdup(db);
    a->name = strdup(name);

    if (a->db == NULL || a->name == NULL) {
        free(a->db);
        free(a->name);
        free(a);
        return NULL;
    }

    a->next = r->aliases;
    r->aliases = a;

    return a;
}


/* the new collection first: its name is the one that the request takes */

static void
cdc_alias_concern(cdc_op_t *op, int64_t id)
{
    cdc_coll_t  *c;

    c = cdc_coll_by_id(op->repl, id);

    if (c) {
        cdc_op_concern(op, c);
    }
}


static void
cdc_alias_queue(cdc_repl_t *r, cdc_alias_t *a, int64_t id, uint64_t ts)
{
    cdc_op_t  *op;

    op = cdc_op_new(r, CDC_OP_ALIAS, ts);
    op->db = strdup(a->db);
    op->alias = strdup(a->name);
    op->alias_coll = id;

    if (op->db == NULL || op->alias == NULL) {
        cdc_repl_no_memory();
    }

    cdc_alias_concern(op, id);

    if (a->wanted && a->wanted != id) {
        cdc_alias_concern(op, a->wanted);
    }

    a->wanted = id;
    cdc_op_queue(op);
}


void
cdc_alias_changed(cdc_repl_t *r, const cdc_meta_alias_t *meta)
{
    int64_t       id;
    cdc_coll_t   *c;
    cdc_alias_t  *a;

    c = meta->collection_id ? cdc_coll_by_id(r, meta->collection_id) : NULL;
    id = c && c->state != CDC_COLL_GONE ? c->id : 0;
    a = cdc_alias_find(r, meta->db, meta->name);

    if (a == NULL && id) {
        a = cdc_alias_add(r, meta->db, meta->name);

        if (a == NULL) {
            cdc_repl_no_memory();
        }
    }

    /* one that goes with its collection has that drop's timestamp */

    if (a && (a->wanted != id || (a->doubt && !r->went))) {
        cdc_alias_queue(r, a, id, id || meta->ts == 0 ? meta->ts
                                                      : meta->ts - 1);
    }
}


static int
cdc_alias_each(void *arg, const cdc_meta_alias_t *meta)
{
    cdc_alias_changed(arg, meta);

    return CDC_OK;
}


typedef struct {
    const cdc_alias_t  *alias;
    unsigned            found:1;
} cdc_alias_find_t;


static int
cdc_alias_lives(void *arg, const cdc_meta_alias_t *meta)
{
    cdc_alias_find_t  *find = arg;

    find->found |= strcmp(meta->name, find->alias->name) == 0
                   && strcmp(meta->db, find->alias->db) == 0;

    return CDC_OK;
}


int
cdc_alias_start(cdc_repl_t *r)
{
    cdc_alias_t       *a;
    cdc_alias_find_t   find;

    for (a = r->aliases; a; a = a->next) {
        find.alias = a;
        find.found = 0;

        (void) cdc_meta_each_alias(r->meta, cdc_alias_lives, &find);

        if (!find.found && (a->wanted || a->doubt)) {
            cdc_alias_queue(r, a, 0, 0);
        }
    }

    return cdc_meta_each_alias(r->meta, cdc_alias_each, r);
}


void
cdc_alias_intent(const cdc_op_t *op)
{
    cdc_alias_t  *a;

    a = cdc_alias_find(op->repl, op->db, op->alias);

    if (a) {
        a->dirty = 1;
    }
}


void
cdc_alias_done(const cdc_op_t *op)
{
    cdc_alias_t  *a;

    a = cdc_alias_find(op->repl, op->db, op->alias);

    if (a) {
        a->collection_id = op->alias_coll;
        a->doubt = 0;
        a->dirty = 1;
    }
}


void
cdc_alias_coll_gone(cdc_coll_t *c)
{
    cdc_alias_t  *a;

    for (a = c->repl->aliases; a; a = a->next) {
        if (a->collection_id == c->id) {
            a->collection_id = 0;
            a->dirty = 1;
        }

        if (a->wanted == c->id) {
            a->wanted = 0;
        }
    }
}


int
cdc_alias_bears(const cdc_repl_t *r, const char *target_db,
    const char *target_name)
{
    const cdc_alias_t  *a;

    for (a = r->aliases; a; a = a->next) {
        if ((a->collection_id || a->doubt)
            && strcmp(a->name, target_name) == 0
            && strcmp(cdc_selection_target_db(r->selection, a->db), target_db)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


json_t *
cdc_alias_save(const cdc_alias_t *a)
{
    return json_pack("{s:s,s:s,s:I,s:b}", "db", a->db, "name", a->name,
                     "collection", (json_int_t) a->collection_id,
                     "doubt", a->doubt || a->wanted != a->collection_id);
}


int
cdc_alias_load(cdc_repl_t *r, const json_t *json)
{
    int           doubt;
    json_int_t    id;
    const char   *db, *name;
    cdc_alias_t  *a;

    if (json_unpack((json_t *) json, "{s:s,s:s,s:I,s:b}", "db", &db,
                    "name", &name, "collection", &id, "doubt", &doubt) != 0)
    {
        return CDC_ERROR;
    }

    a = cdc_alias_add(r, db, name);
    if (a == NULL) {
        return CDC_ERROR;
    }

    a->collection_id = id;
    a->wanted = id;
    a->doubt = doubt;

    return CDC_OK;
}


/* not on the target, and nothing on its way that would make it */

static int
cdc_alias_over(const cdc_repl_t *r, const cdc_alias_t *a)
{
    const cdc_op_t  *op;

    if (a->collection_id || a->wanted || a->doubt) {
        return 0;
    }

    for (op = r->ops; op; op = op->next) {
        if (op->kind == CDC_OP_ALIAS && strcmp(op->alias, a->name) == 0
            && strcmp(op->db, a->db) == 0)
        {
            return 0;
        }
    }

    return 1;
}


void
cdc_alias_forget(cdc_repl_t *r)
{
    char          key[CDC_REASON_MAX];
    cdc_alias_t  *a, **last;

    for (last = &r->aliases; *last; /* void */ ) {
        a = *last;

        if (!cdc_alias_over(r, a)) {
            last = &a->next;
            continue;
        }

        snprintf(key, sizeof(key), "%s/%s", a->db, a->name);
        cdc_forget_key(r, "alias/", key);

        *last = a->next;
        free(a->db);
        free(a->name);
        free(a);
    }
}
