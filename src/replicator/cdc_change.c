/*
 * What has changed about a collection that the target has: its name, its
 * properties, its schema.
 *
 * Milvus 2.3 writes none of these to the replicate channel, so they come
 * from the metadata, whoever tells first.  What the target has is durable
 * with the collection; the difference to the catalogue is an operation,
 * whether it arises now or was made while nobody looked.  One that waits
 * counts as done here: the next is measured against it.
 */

#include "cdc_replicator.h"

#include <stdlib.h>
#include <string.h>


static cdc_op_t *
cdc_change_op(cdc_coll_t *c, cdc_op_kind_e kind, uint64_t ts)
{
    cdc_op_t  *op;

    op = cdc_op_new(c->repl, kind, ts);
    cdc_op_concern(op, c);

    return op;
}


static void
cdc_change_queue(cdc_op_t *op, int complete)
{
    if (!complete) {
        cdc_repl_no_memory();
    }

    cdc_op_queue(op);
}


static void
cdc_change_rename(cdc_coll_t *c, const char *db, const char *name,
    uint64_t ts)
{
    cdc_op_t  *op;

    op = cdc_change_op(c, CDC_OP_RENAME_COLLECTION, ts);

    op->new_db = strdup(db);
    op->new_name = strdup(name);

    cdc_change_queue(op, op->new_db && op->new_name);
}


/* it may have come through: nobody can go on before that is known */

void
cdc_change_resume(cdc_coll_t *c)
{
    if (c->rename_name && c->state == CDC_COLL_LIVE) {
        cdc_change_rename(c, c->rename_db, c->rename_name, 0);
    }
}


static void
cdc_change_name(cdc_coll_t *c, const cdc_meta_collection_t *m)
{
    cdc_op_t    *op;
    const char  *db, *name;

    op = cdc_op_last(c->repl, CDC_OP_RENAME_COLLECTION, c);
    db = op ? op->new_db : c->db;
    name = op ? op->new_name : c->name;

    if (strcmp(m->db, db) != 0 || strcmp(m->name, name) != 0) {
        cdc_change_rename(c, m->db, m->name, m->name_ts);
    }
}


static void
cdc_change_alter(cdc_coll_t *c, const cdc_meta_collection_t *m,
    cdc_op_kind_e kind, cdc_span_t after)
{
    cdc_op_t  *op;

    op = cdc_change_op(c, kind, m->changed_ts);

    op->raw = malloc(after.len + 1);
    op->raw_len = after.len;

    if (op->raw && after.len) {
        memcpy(op->raw, after.data, after.len);
    }

    cdc_change_queue(op, op->raw != NULL);
}


static cdc_span_t
cdc_change_last(const cdc_coll_t *c, cdc_op_kind_e kind,
    const cdc_blob_t *has)
{
    cdc_op_t  *op;

    op = cdc_op_last(c->repl, kind, c);

    return op ? cdc_span_n(op->raw, op->raw_len)
              : cdc_span_n(has->data, has->len);
}


static int
cdc_change_same(cdc_span_t a, cdc_span_t b)
{
    return a.len == b.len
           && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


void
cdc_change_look(cdc_coll_t *c, const cdc_meta_collection_t *m)
{
    char        diff[CDC_REASON_MAX];
    cdc_span_t  last;

    if (c->state != CDC_COLL_LIVE || m->gone || m->dropping) {
        return;
    }

    cdc_change_name(c, m);

    if (!c->known) {
        return;                          /* another version made it */
    }

    last = cdc_change_last(c, CDC_OP_ALTER_COLLECTION, &c->properties);

    if (!cdc_change_same(last, m->properties)) {
        cdc_change_alter(c, m, CDC_OP_ALTER_COLLECTION, m->properties);
    }

    last = cdc_change_last(c, CDC_OP_ALTER_SCHEMA, &c->schema);

    if (!cdc_change_same(last, m->schema)
        && cdc_schema_compare(m->schema, last, diff) == CDC_DECLINED)
    {
        cdc_change_alter(c, m, CDC_OP_ALTER_SCHEMA, m->schema);
    }
}
