/*
 * Databases.
 *
 * A database that the task follows as a whole is made on the target, altered
 * and, when the task follows all of them, dropped.  Each is durable with the
 * properties that the target has, so that what changed or went while nobody
 * looked is found at the next start.  The replicate channel tells of drops,
 * too, mostly earlier; the source does not check that send, which is why the
 * metadata has the last word.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CDC_DROP_DATABASE_WAIT_MS  5000  /* for the channel's message */


static cdc_dbase_t *
cdc_database_by_id(cdc_repl_t *r, int64_t id)
{
    cdc_dbase_t  *d;

    for (d = r->databases; d; d = d->next) {
        if (d->id == id) {
            return d;
        }
    }

    return NULL;
}


static cdc_dbase_t *
cdc_database_add(cdc_repl_t *r, int64_t id, const char *name)
{
    cdc_dbase_t  *d;

    d = calloc(1, sizeof(cdc_dbase_t));
    if (d == NULL) {
        return NULL;
    }

    d->id = id;
    d->name = strdup(name);

    if (d->name == NULL) {
        free(d);
        return NULL;
    }

    d->next = r->databases;
    r->databases = d;

    return d;
}


static void
cdc_database_queue(cdc_repl_t *r, cdc_op_kind_e kind, uint64_t ts,
    const cdc_meta_db_t *db, unsigned wait)
{
    cdc_op_t  *op;

    op = cdc_op_new(r, kind, ts);
    op->db_id = db->id;
    op->db = strdup(db->name);
    op->raw = malloc(db->properties.len + 1);

    if (op->db == NULL || op->raw == NULL) {
        cdc_repl_no_memory();
    }

    if (db->properties.len) {
        memcpy(op->raw, db->properties.data, db->properties.len);
    }

    op->raw_len = db->properties.len;

    if (wait) {
        op->sleeping = 1;
        cdc_timer_add(r->loop, &op->timer, wait);
    }

    cdc_op_queue(op);
}


static void
cdc_database_drop(cdc_repl_t *r, cdc_dbase_t *d, uint64_t ts)
{
    cdc_meta_db_t  gone;

    d->dropping = 1;

    memset(&gone, 0, sizeof(cdc_meta_db_t));
    gone.id = d->id;
    gone.name = d->name;

    /* the replicate channel's own message comes first, as a rule */

    cdc_database_queue(r, CDC_OP_DROP_DATABASE, ts, &gone,
                       CDC_DROP_DATABASE_WAIT_MS);
}


void
cdc_database_changed(cdc_repl_t *r, const cdc_meta_db_t *db)
{
    cdc_dbase_t  *d;

    if (!cdc_selected_whole_db(r->selection, db->name)) {
        return;
    }

    d = cdc_database_by_id(r, db->id);

    if (db->gone) {
        if (d && !d->dropping && cdc_selected_all(r->selection)) {
            cdc_database_drop(r, d, db->changed_ts);
        }

        return;
    }

    if (d == NULL) {
        d = cdc_database_add(r, db->id, db->name);

        if (d) {
            d->dirty = 1;
        }

        if (d == NULL) {
            cdc_repl_no_memory();
        }
    }

    if (strcmp(db->name, CDC_DEFAULT_DB) == 0 && !d->created) {
        d->created = 1;                  /* each Milvus has it, bare */
        d->dirty = 1;
    }

    if (d->pending) {
        return;                          /* looked at again when it is done */
    }

    if (!d->created) {
        d->pending = 1;
        cdc_database_queue(r, CDC_OP_CREATE_DATABASE, db->created_ts, db, 0);

    } else if (!cdc_blob_is(&d->properties, db->properties)) {
        d->pending = 1;
        cdc_database_queue(r, CDC_OP_ALTER_DATABASE, db->changed_ts, db, 0);
    }
}


static int
cdc_database_each(void *arg, const cdc_meta_db_t *db)
{
    cdc_database_changed(arg, db);

    return CDC_OK;
}


typedef struct {
    int64_t    id;
    unsigned   found:1;
} cdc_database_find_t;


static int
cdc_database_find(void *arg, const cdc_meta_db_t *db)
{
    cdc_database_find_t  *find = arg;

    find->found |= db->id == find->id && !db->gone;

    return CDC_OK;
}


int
cdc_database_start(cdc_repl_t *r)
{
    cdc_dbase_t          *d;
    cdc_database_find_t   find;

    for (d = r->databases; d; d = d->next) {
        find.id = d->id;
        find.found = 0;

        (void) cdc_meta_each_database(r->meta, cdc_database_find, &find);

        if (!find.found && !d->dropping && cdc_selected_all(r->selection)) {
            cdc_database_drop(r, d, 0);
        }
    }

    return cdc_meta_each_database(r->meta, cdc_database_each, r);
}


void
cdc_database_done(const cdc_op_t *op)
{
    cdc_dbase_t  *d;

    d = cdc_database_by_id(op->repl, op->db_id);
    if (d == NULL) {
        return;
    }

    if (op->kind == CDC_OP_DROP_DATABASE) {
        d->gone = 1;
        d->dirty = 1;
        return;
    }

    d->pending = 0;
    d->created = 1;
    d->dirty = 1;

    if (cdc_blob_set(&d->properties, cdc_span_n(op->raw, op->raw_len))
        != CDC_OK)
    {
        cdc_repl_no_memory();
    }

    (void) cdc_meta_each_database(op->repl->meta, cdc_database_each,
                                  op->repl);
}


int
cdc_database_shared(const cdc_op_t *op)
{
    cdc_dbase_t  *d;
    cdc_repl_t   *r;
    const char   *target;

    r = op->repl;
    target = cdc_selection_target_db(r->selection, op->db);

    for (d = r->databases; d; d = d->next) {
        if (!d->dropping && strcmp(d->name, op->db) != 0
            && strcmp(cdc_selection_target_db(r->selection, d->name), target)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


json_t *
cdc_database_save(const cdc_dbase_t *d)
{
    return json_pack("{s:s,s:b,s:b,s:o}", "name", d->name,
                     "created", d->created, "gone", d->gone,
                     "properties", cdc_blob_json(&d->properties));
}


int
cdc_database_load(cdc_repl_t *r, const char *id, const json_t *json)
{
    int           created, gone;
    const char   *name;
    cdc_dbase_t  *d;

    if (json_unpack((json_t *) json, "{s:s,s:b,s:b}", "name", &name,
                    "created", &created, "gone", &gone) != 0)
    {
        return CDC_ERROR;
    }

    d = cdc_database_add(r, strtoll(id, NULL, 10), name);
    if (d == NULL) {
        return CDC_ERROR;
    }

    d->created = created;
    d->dropping = d->gone = gone;

    return cdc_blob_from_json(&d->properties,
                              json_object_get(json, "properties"));
}


/* dropped at the source, and nothing is on its way any more; the drop may have
 * been left out, as its name lived again */

static int
cdc_database_over(cdc_repl_t *r, const cdc_dbase_t *d)
{
    const cdc_op_t       *op;
    cdc_database_find_t   find;

    if (!d->dropping) {
        return 0;
    }

    for (op = r->ops; op; op = op->next) {
        if (op->db_id == d->id) {
            return 0;
        }
    }

    find.id = d->id;
    find.found = 0;

    (void) cdc_meta_each_database(r->meta, cdc_database_find, &find);

    return !find.found;
}


void
cdc_database_forget(cdc_repl_t *r)
{
    char          key[32];
    cdc_dbase_t  *d, **last;

    for (last = &r->databases; *last; /* void */ ) {
        d = *last;

        if (!cdc_database_over(r, d)) {
            last = &d->next;
            continue;
        }

        snprintf(key, sizeof(key), "%lld", (long long) d->id);
        cdc_forget_key(r, "db/", key);

        *last = d->next;
        free(d->name);
        cdc_blob_free(&d->properties);
        free(d);
    }
}
