/*
 * What the source's metadata asks for: databases, collections, partitions to
 * create, and the index and load state that was there before the task.
 *
 * Creates come from here and not from the log, which has no whole schema and
 * may have lost the message.  Drops come from the data channels, in order
 * with the rows; a tombstone alone drops nothing, with two exceptions that no
 * row can tell: a database (cdc_database.c), and a collection that was gone
 * before we had created it.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/* NULL: there is none, or none any more */

static const cdc_meta_db_t *
cdc_catalogue_default(cdc_repl_t *r)
{
    const cdc_meta_db_t  *db;

    db = cdc_meta_db_by_name(r->meta, cdc_span(CDC_DEFAULT_DB));

    return db && !db->gone ? db : NULL;
}


/*
 * Metadata of another cluster say that all that this task follows is gone: it
 * would be released, its aliases and roles dropped on the target.  A Milvus
 * does not tell who it is, but the time at which its "default" was made stays.
 */

static int
cdc_catalogue_other(cdc_repl_t *r)
{
    uint64_t              created;
    const cdc_meta_db_t  *db;

    db = cdc_catalogue_default(r);
    created = db ? db->created_ts : 0;

    if (r->cluster && created && created != r->cluster) {
        return 1;
    }

    r->cluster = created ? created : r->cluster;

    return 0;
}


/*
 * Another path, or an etcd that has lost its data, says of everything that we
 * know that it is gone.  Every Milvus has the database "default": without it
 * nothing is taken away on the target.
 */

static int
cdc_catalogue_alive(cdc_repl_t *r)
{
    return cdc_catalogue_default(r) && !cdc_catalogue_other(r);
}


static void
cdc_catalogue_refuse(cdc_repl_t *r)
{
    cdc_repl_fail(r, "etcd holds the metadata of another Milvus than the one "
                  "that this task follows: correct the milvus_cdc_source block "
                  "\"%s\", reload, then resume the task; or delete the task "
                  "and create it again, on an empty target",
                  json_string_value(json_object_get(r->config, "source")));
}


/* once, when there is a Milvus's metadata to begin with */

static void
cdc_catalogue_begin(cdc_repl_t *r)
{
    if (!r->listed || r->begun) {
        return;
    }

    r->begun = 1;

    if (cdc_catalogue_other(r)) {
        cdc_catalogue_refuse(r);
        return;
    }

    if (r->copied) {
        cdc_restored_start(r);

    } else if (r->started) {
        cdc_repl_go(r);

    } else {
        cdc_survey_start(r);
    }
}


static void
cdc_catalogue_database(void *arg, const cdc_meta_db_t *db)
{
    cdc_repl_t  *r = arg;

    cdc_repl_degraded(r, CDC_CAUSE_SOURCE, NULL);

    /* it may be made anew while we watch: this is told before what is gone */

    if (r->running && cdc_catalogue_other(r)) {
        cdc_catalogue_refuse(r);
        return;
    }

    if (r->running && (!db->gone || cdc_catalogue_alive(r))) {
        cdc_database_changed(r, db);

    } else if (!r->running) {
        cdc_catalogue_begin(r);
    }
}


static void
cdc_catalogue_create_partition(cdc_coll_t *c, cdc_part_t *p)
{
    cdc_op_t  *op;

    if (p->target_id || p->gone || p->pending || c->num_partitions > 0
        || cdc_selection_ignore_partition(c->repl->selection))
    {
        return;
    }

    op = cdc_op_new(c->repl, CDC_OP_CREATE_PARTITION, p->created_ts);
    cdc_op_concern(op, c);

    op->part_id = p->id;
    p->pending = 1;

    cdc_op_queue(op);
}


static void
cdc_catalogue_create_collection(cdc_coll_t *c, const cdc_meta_collection_t *m)
{
    size_t     schema, properties, name;
    uint8_t   *p;
    cdc_op_t  *op;

    op = cdc_op_new(c->repl, CDC_OP_CREATE_COLLECTION, c->create_ts);
    cdc_op_concern(op, c);

    schema = m->schema.len;
    properties = m->properties.len;

    name = strlen(c->target_name);

    op->db = strdup(c->db);
    op->create_bytes = malloc(schema + properties + name + 16);

    if (op->db == NULL || op->create_bytes == NULL) {
        cdc_repl_no_memory();
    }

    memcpy(op->create_bytes, m->schema.data, schema);

    /* CollectionSchema.name has to be the request's; the last one counts */

    p = op->create_bytes + schema;
    *p++ = 1 << 3 | 2;                   /* number 1, by length */
    p += cdc_wire_varint(p, name);
    memcpy(p, c->target_name, name);
    p += name;
    schema = (size_t) (p - op->create_bytes);

    if (properties) {
        memcpy(p, m->properties.data, properties);
    }

    op->create.schema = cdc_span_n(op->create_bytes, schema);
    op->create.properties = cdc_span_n(p, properties);
    op->create.shards = c->nshards;
    op->create.consistency_level = m->consistency_level;
    op->create.num_partitions = m->num_partitions;

    cdc_op_queue(op);
}


/* dropped by the source before its drop could be followed in the log */

void
cdc_catalogue_lost(cdc_coll_t *c)
{
    cdc_op_t  *op;

    if (c->state == CDC_COLL_NEW) {
        cdc_coll_gone(c);
        return;
    }

    /* CREATING, without a target id: the drop takes whatever has the name,
     * which the intent made ours */

    op = cdc_op_new(c->repl, CDC_OP_DROP_COLLECTION, 0);
    cdc_op_concern(op, c);

    op->lost = 1;
    cdc_op_queue(op);
}


void
cdc_catalogue_queue(cdc_repl_t *r)
{
    unsigned                      i;
    cdc_coll_t                   *c;
    const cdc_meta_collection_t  *m;

    for (c = r->colls; c; c = c->next) {
        m = cdc_meta_by_id(r->meta, c->id);
        cdc_change_resume(c);

        switch (c->state) {

        case CDC_COLL_NEW:
        case CDC_COLL_CREATING:
            if (m && !m->gone) {
                cdc_catalogue_create_collection(c, m);
            } else {
                cdc_catalogue_lost(c);
            }

            break;

        case CDC_COLL_DROPPING:
            cdc_catalogue_lost(c);       /* its rows are all there */
            break;

        case CDC_COLL_LIVE:
            if (m) {
                cdc_coll_refresh(c, m);
            }

            for (i = 0; i < c->nparts; i++) {
                cdc_catalogue_create_partition(c, &c->parts[i]);
            }

            break;

        default:
            break;
        }
    }
}


static int
cdc_catalogue_passed(cdc_repl_t *r, const char *channel, uint64_t ts)
{
    cdc_channel_t  *ch;

    ch = cdc_channel_find(r, channel);

    return ch && ch->placed && ts <= ch->tick_acked;
}


/* renamed into what the task follows, from what it does not: its former rows
 * have been passed */

static int
cdc_catalogue_strayed(cdc_repl_t *r, const cdc_meta_collection_t *m)
{
    char      text[CDC_REASON_MAX];
    unsigned  i, passed;

    if (m->gone || m->dropping || m->name_ts <= m->create_ts
        || cdc_selected_all(r->selection)
        || !cdc_selected(r->selection, m->db, m->name))
    {
        return 0;
    }

    for (i = 0, passed = 0; i < m->nshards; i++) {
        passed |= cdc_catalogue_passed(r, m->shards[i].pchannel,
                                       m->create_ts);
    }

    if (!passed) {
        return 0;
    }

    snprintf(text, sizeof(text), "the collection \"%.200s.%.200s\" was renamed "
             "into what this task follows; its rows are not carried: delete "
             "the task and create it again", m->db, m->name);

    cdc_repl_degraded(r, CDC_CAUSE_SKIPPED, text);

    return 1;
}


/* a collection that came while we were away: cdc_catalogue_queue() next */

int
cdc_catalogue_each(void *arg, const cdc_meta_collection_t *m)
{
    cdc_repl_t  *r = arg;

    if (m->gone || m->dropping || cdc_coll_by_id(r, m->id)
        || !cdc_selected(r->selection, m->db, m->name)
        || cdc_catalogue_strayed(r, m))
    {
        return CDC_OK;
    }

    if (cdc_coll_add(r, m) == NULL) {
        cdc_repl_fail(r, "the metadata of the collection \"%s.%s\" cannot be "
                      "used", m->db, m->name);
        return CDC_ERROR;
    }

    return CDC_OK;
}


static void
cdc_catalogue_collection(void *arg, const cdc_meta_collection_t *m)
{
    cdc_coll_t  *c;
    cdc_repl_t  *r = arg;

    c = cdc_coll_by_id(r, m->id);

    if (c) {
        cdc_coll_refresh(c, m);

        if (r->running) {
            cdc_change_look(c, m);
        }

        return;
    }

    if (!r->running || cdc_catalogue_each(r, m) != CDC_OK) {
        return;
    }

    c = cdc_coll_by_id(r, m->id);

    if (c) {
        cdc_catalogue_create_collection(c, m);
        (void) cdc_coll_start(c);
        cdc_repl_pump(r);
    }
}


static void
cdc_catalogue_partition(void *arg, const cdc_meta_collection_t *m,
    const cdc_meta_partition_t *mp)
{
    cdc_coll_t  *c;
    cdc_part_t  *p;
    cdc_repl_t  *r = arg;

    c = cdc_coll_by_id(r, m->id);

    if (c == NULL || !r->running) {
        return;
    }

    cdc_coll_refresh(c, m);

    p = cdc_coll_part(c, mp->id);

    if (p && c->state == CDC_COLL_LIVE) {
        cdc_catalogue_create_partition(c, p);
    }

    cdc_op_kick(r);
    cdc_repl_pump(r);
}


static int
cdc_catalogue_initial(void *arg, cdc_span_t request)
{
    cdc_op_t    *op;
    cdc_coll_t  *c = arg;

    op = cdc_op_new(c->repl, CDC_OP_APPLY, 1);
    cdc_op_concern(op, c);

    op->initial = 1;
    op->raw = malloc(request.len);

    if (op->raw == NULL) {
        cdc_op_free(op);
        return CDC_ERROR;
    }

    memcpy(op->raw, request.data, request.len);
    op->raw_len = request.len;

    if (cdc_wire_op_envelope(cdc_span_n(op->raw, op->raw_len), &op->env)
        != CDC_OK)
    {
        cdc_op_free(op);
        return CDC_ERROR;
    }

    c->initial_left++;
    cdc_op_queue(op);

    return CDC_OK;
}


void
cdc_coll_live(cdc_coll_t *c)
{
    unsigned                      i;
    cdc_repl_t                   *r;
    const cdc_meta_collection_t  *m;

    r = c->repl;

    for (i = 0; i < c->nparts; i++) {
        cdc_catalogue_create_partition(c, &c->parts[i]);
    }

    m = cdc_meta_by_id(r->meta, c->id);

    if (m) {
        cdc_change_look(c, m);           /* since its create was queued */
    }

    if (c->initial && c->initial_left == 0) {
        if (cdc_meta_each_operation(r->meta, c->id, cdc_catalogue_initial, c)
            != CDC_OK)
        {
            cdc_repl_fail(r, "the index and load state of the collection "
                          "\"%s.%s\" cannot be read from the source's "
                          "metadata", c->db, c->name);
            return;
        }

        if (c->initial_left == 0) {
            c->initial = 0;
        }
    }

    cdc_load_look(c, 0);

    c->dirty = 1;
    cdc_checkpoint_soon(r);
    cdc_repl_pump(r);
}


void
cdc_coll_initial_done(cdc_coll_t *c)
{
    if (--c->initial_left == 0) {
        c->initial = 0;
        c->dirty = 1;
        cdc_load_look(c, 0);
    }
}


static int
cdc_catalogue_any(void *arg, const cdc_meta_db_t *db)
{
    (void) db;

    *(unsigned *) arg = 1;

    return CDC_DONE;
}


static void
cdc_catalogue_listed(void *arg)
{
    unsigned     any;
    cdc_repl_t  *r = arg;

    /* every Milvus has the database "default" */

    any = 0;
    (void) cdc_meta_each_database(r->meta, cdc_catalogue_any, &any);

    cdc_repl_degraded(r, CDC_CAUSE_SOURCE, any ? NULL
                      : "etcd holds no Milvus metadata under this path: check "
                        "root_path and meta_path of the source against "
                        "etcd.rootPath and etcd.metaSubPath of its "
                        "milvus.yaml");

    r->listed = 1;

    if (any) {
        cdc_catalogue_begin(r);
    }
}


static void
cdc_catalogue_alias(void *arg, const cdc_meta_alias_t *a)
{
    cdc_repl_t  *r = arg;

    if (r->running && (a->collection_id || cdc_catalogue_alive(r))) {
        cdc_alias_changed(r, a);
    }
}


static void
cdc_catalogue_rbac(void *arg, const cdc_meta_rbac_t *e)
{
    cdc_repl_t  *r = arg;

    if (r->running && (!e->gone || cdc_catalogue_alive(r))) {
        cdc_rbac_changed(r, e);
    }
}


/* a load info has come or gone, one call for each of its keys */

static void
cdc_catalogue_loaded(void *arg, int64_t collection_id)
{
    cdc_coll_t  *c;
    cdc_repl_t  *r = arg;

    c = cdc_coll_by_id(r, collection_id);

    if (c) {
        cdc_load_look(c, 0);
    }

    cdc_op_kick(r);                      /* a refused drop may look again */
}


static void
cdc_catalogue_released(void *arg, int64_t collection_id, int64_t partition_id)
{
    (void) partition_id;

    cdc_catalogue_loaded(arg, collection_id);
}


static void
cdc_catalogue_degraded(void *arg, const char *text)
{
    cdc_repl_degraded(arg, CDC_CAUSE_META, text);
}


const cdc_meta_handler_t  cdc_catalogue_handler = {
    .listed = cdc_catalogue_listed,
    .database = cdc_catalogue_database,
    .collection = cdc_catalogue_collection,
    .partition = cdc_catalogue_partition,
    .alias = cdc_catalogue_alias,
    .rbac = cdc_catalogue_rbac,
    .released = cdc_catalogue_released,
    .loaded = cdc_catalogue_loaded,
    .degraded = cdc_catalogue_degraded
};
