/*
 * What each operation does on the target.  [ops thread]
 *
 * Plain calls one after the other, on copies: nothing here touches the main
 * thread's objects.  Each may run again after a crash or a lost answer, so
 * each looks first, and a drop is sent only while the name still means the
 * target id that it is about; otherwise a drop sent twice would hit the
 * collection that was created after it.
 *
 * Timestamps: the lower of the source's and the target's own clock.  Of a
 * create ahead of the target's clock, by 22 ms, say, a drop that soon follows
 * is not kept: the collection is back when the target starts again.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static int
cdc_op_stamp(cdc_op_t *op, uint64_t *ts)
{
    uint64_t  now;

    if (op->target_ops->now(op->target, &now, &op->error) != CDC_OK) {
        return CDC_ERROR;
    }

    *ts = op->ts ? op->ts : now;

    if (*ts > now) {
        *ts = now;
    }

    return CDC_OK;
}


static int
cdc_op_describe(cdc_op_t *op)
{
    int  rc;

    if (op->found) {
        cdc_target_collection_free(op->found);
        op->found = NULL;
    }

    rc = op->target_ops->describe(op->target, op->target_db, op->target_name,
                                  0, &op->found, &op->error);

    if (rc != CDC_OK || strcmp(op->found->name, op->target_name) == 0) {
        return rc;
    }

    /* Milvus answers for an alias, too */

    op->error.class = CDC_TARGET_REFUSED;
    snprintf(op->error.text, CDC_REASON_MAX, "\"%s\" is an alias of \"%s\" on "
             "the target: drop the alias there", op->target_name,
             op->found->name);

    cdc_target_collection_free(op->found);
    op->found = NULL;

    return CDC_ERROR;
}


static int
cdc_op_not_found(cdc_op_t *op)
{
    op->error.class = CDC_TARGET_RETRY;
    snprintf(op->error.text, CDC_REASON_MAX, "the collection \"%s.%s\" is not "
             "there on the target", op->target_db, op->target_name);

    return CDC_ERROR;
}


static int
cdc_op_database(cdc_op_t *op, const char *db, cdc_span_t properties)
{
    int       rc;
    uint64_t  ts;

    if (strcmp(db, CDC_DEFAULT_DB) == 0) {
        return CDC_OK;
    }

    rc = op->target_ops->has_database(op->target, db, &op->error);
    if (rc != CDC_DECLINED) {
        return rc;
    }

    if (cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    return op->target_ops->create_database(op->target, db, properties, ts,
                                           &op->error);
}


/* without an intent what has the name is somebody else's: found, if any */

static int
cdc_op_run_look(cdc_op_t *op)
{
    int  rc;

    rc = CDC_OK;

    if (strcmp(op->target_db, CDC_DEFAULT_DB) != 0) {
        rc = op->target_ops->has_database(op->target, op->target_db,
                                          &op->error);
    }

    if (rc == CDC_OK) {
        rc = cdc_op_describe(op);
    }

    return rc == CDC_DECLINED ? CDC_OK : rc;
}


static int
cdc_op_run_create_collection(cdc_op_t *op)
{
    int  rc;

    if (op->looks) {
        return cdc_op_run_look(op);
    }

    /* a database that was dropped and made again at once may be gone */

    rc = cdc_op_database(op, op->target_db, cdc_span_n(NULL, 0));
    if (rc != CDC_OK) {
        return rc;
    }

    rc = cdc_op_describe(op);
    if (rc != CDC_DECLINED) {
        return rc;
    }

    op->create.db = op->target_db;
    op->create.name = op->target_name;

    if (cdc_op_stamp(op, &op->create.ts) != CDC_OK) {
        return CDC_ERROR;
    }

    rc = op->target_ops->create_collection(op->target, &op->create,
                                           &op->error);
    if (rc != CDC_OK) {
        return rc;
    }

    CDC_FAULT("operation-middle");
    rc = cdc_op_describe(op);

    return rc == CDC_DECLINED ? cdc_op_not_found(op) : rc;
}


static int
cdc_op_run_create_partition(cdc_op_t *op)
{
    int       rc;
    uint64_t  ts;

    if (cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    rc = op->target_ops->create_partition(op->target, op->target_db,
                                          op->target_name, op->part_name, ts,
                                          &op->error);

    if (rc != CDC_OK && op->error.class != CDC_TARGET_EXISTS) {
        return rc;
    }

    rc = cdc_op_describe(op);

    return rc == CDC_DECLINED ? cdc_op_not_found(op) : rc;
}


/* is it there, under that name?  CDC_DECLINED: no */

static int
cdc_op_is_at(cdc_op_t *op, char *db, char *name)
{
    int    rc;
    char  *own_db, *own_name;

    own_db = op->target_db;
    own_name = op->target_name;

    op->target_db = db;
    op->target_name = name;

    rc = cdc_op_describe(op);

    op->target_db = own_db;
    op->target_name = own_name;

    if (rc == CDC_OK && op->target_id && op->found->id != op->target_id) {
        return CDC_DECLINED;
    }

    return rc;
}


/* a rename that a crash interrupted: it may have any of three names */

static int
cdc_op_run_drop_collection(cdc_op_t *op)
{
    int        rc;
    char      *db, *name, aside[CDC_OP_ASIDE_MAX];
    uint64_t   ts;

    db = op->target_db;
    name = op->target_name;

    rc = cdc_op_is_at(op, db, name);

    if (rc == CDC_DECLINED && op->to_name) {
        db = op->to_db;
        name = op->to_name;
        rc = cdc_op_is_at(op, db, name);

        if (rc == CDC_DECLINED) {
            cdc_op_aside_name(aside, sizeof(aside), op->source_id);
            db = op->target_db;
            name = aside;
            rc = cdc_op_is_at(op, db, name);
        }
    }

    if (rc == CDC_DECLINED) {
        return CDC_OK;
    }

    if (rc != CDC_OK || cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    return op->target_ops->drop_collection(op->target, db, name, ts,
                                           &op->error);
}


/* base{msg_type}, db_name 2, collection_name 3, partition_names 4 */

static int
cdc_op_request_chain(cdc_chain_t *chain, const cdc_op_t *op, int32_t type,
    const char *partition)
{
    size_t  mark;

    if (cdc_chain_open(chain, 1, &mark) != CDC_OK
        || cdc_chain_varint_field(chain, 1, (uint64_t) type) != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_chain_close(chain, mark);

    if (cdc_chain_bytes_field(chain, 2, cdc_span_n(op->target_db,
                                                   strlen(op->target_db)))
        != CDC_OK
        || cdc_chain_bytes_field(chain, 3,
                                 cdc_span_n(op->target_name,
                                            strlen(op->target_name)))
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    return partition ? cdc_chain_bytes_field(chain, 4,
                                             cdc_span_n(partition,
                                                        strlen(partition)))
                     : CDC_OK;
}


int
cdc_op_request(cdc_op_t *op, int32_t type, const char *partition, uint64_t ts)
{
    int                 rc;
    size_t              len;
    uint8_t            *raw;
    cdc_chain_t        *chain;
    cdc_op_envelope_t   env;

    chain = cdc_chain_create();
    if (chain == NULL) {
        return CDC_ERROR;
    }

    rc = CDC_ERROR;
    raw = NULL;

    if (cdc_op_request_chain(chain, op, type, partition) == CDC_OK) {
        raw = cdc_chain_flatten(chain, &len);
    }

    if (raw && cdc_wire_op_envelope(cdc_span_n(raw, len), &env) == CDC_OK) {
        rc = op->target_ops->apply(op->target, &env, ts, op->target_db, NULL,
                                   0, &op->error);
    }

    free(raw);
    cdc_chain_unref(chain);

    return rc;
}


int
cdc_op_release(cdc_op_t *op, const char *partition, uint64_t ts)
{
    int  rc;

    rc = cdc_op_request(op, partition ? CDC_MSG_RELEASE_PARTITIONS
                                      : CDC_MSG_RELEASE_COLLECTION,
                        partition, ts);

    return rc == CDC_ERROR && op->error.class == CDC_TARGET_NOT_FOUND
           ? CDC_OK : rc;
}


static int
cdc_op_run_drop_partition(cdc_op_t *op)
{
    int       rc;
    unsigned  i;
    uint64_t  ts;

    rc = cdc_op_describe(op);

    if (rc == CDC_DECLINED || (rc == CDC_OK && op->found->id != op->target_id))
    {
        return CDC_OK;
    }

    if (rc != CDC_OK) {
        return rc;
    }

    for (i = 0; i < op->found->npartitions; i++) {
        if (op->found->partitions[i].id == op->target_part_id) {
            break;
        }
    }

    if (i == op->found->npartitions) {
        return CDC_OK;
    }

    if (cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    if (op->release_first) {
        rc = cdc_op_release(op, op->part_name, ts);
        if (rc != CDC_OK) {
            return rc;
        }
    }

    return op->target_ops->drop_partition(op->target, op->target_db,
                                          op->target_name, op->part_name, ts,
                                          &op->error);
}


static int
cdc_op_run_drop_database(cdc_op_t *op)
{
    int       rc;
    uint64_t  ts;

    rc = op->target_ops->has_database(op->target, op->target_db, &op->error);
    if (rc != CDC_OK) {
        return rc == CDC_DECLINED ? CDC_OK : rc;
    }

    if (cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    return op->target_ops->drop_database(op->target, op->target_db, ts,
                                         &op->error);
}


static int
cdc_op_run_alter_database(cdc_op_t *op)
{
    uint64_t  ts;

    if (cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    return op->target_ops->alter_database(op->target, op->target_db,
                                          cdc_span_n(op->before.data,
                                                     op->before.len),
                                          cdc_span_n(op->raw, op->raw_len),
                                          ts, &op->error);
}


/* the former try may have come through */

static int
cdc_op_run_rename(cdc_op_t *op)
{
    int        rc;
    char      *name, *db, aside[CDC_OP_ASIDE_MAX];
    uint64_t   ts;

    name = op->target_name;
    db = op->target_db;

    rc = cdc_op_database(op, op->to_db, cdc_span_n(NULL, 0));

    if (rc != CDC_OK) {
        return rc;
    }

    rc = cdc_op_is_at(op, op->to_db, op->to_name);

    if (rc == CDC_OK) {
        return CDC_OK;
    }

    if (rc == CDC_DECLINED && op->found) {
        op->error.class = CDC_TARGET_EXISTS;
        snprintf(op->error.text, CDC_REASON_MAX, "another collection is "
                 "called \"%.200s.%.200s\" on the target: drop or rename it "
                 "there", op->to_db, op->to_name);
        return CDC_ERROR;
    }

    if (rc != CDC_DECLINED || cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    /* a crash may have left it under the name of our own */

    if (cdc_op_is_at(op, db, name) == CDC_DECLINED) {
        cdc_op_aside_name(aside, sizeof(aside), op->source_id);
        name = aside;
    }

    return op->target_ops->rename_collection(op->target, db, name, op->to_db,
                                             op->to_name, ts, &op->error);
}


static int
cdc_op_run_alter(cdc_op_t *op)
{
    uint64_t    ts;
    cdc_span_t  before, after;

    if (cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    if (op->release_first && cdc_op_release(op, NULL, ts) != CDC_OK) {
        return CDC_ERROR;
    }

    before = cdc_span_n(op->before.data, op->before.len);
    after = cdc_span_n(op->raw, op->raw_len);

    return op->kind == CDC_OP_ALTER_SCHEMA
           ? op->target_ops->alter_schema(op->target, op->target_db,
                                          op->target_name, before, after, ts,
                                          &op->error)
           : op->target_ops->alter_collection(op->target, op->target_db,
                                              op->target_name, before, after,
                                              ts, &op->error);
}


static int
cdc_op_run_alias(cdc_op_t *op)
{
    uint64_t  ts;

    if (cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    return op->target_ops->alias(op->target, op->target_db, op->alias,
                                 op->alias_coll ? op->target_name : NULL, ts,
                                 &op->error);
}


static int
cdc_op_run_load(cdc_op_t *op)
{
    int       rc;
    uint64_t  ts;

    rc = cdc_op_describe(op);

    if (rc == CDC_DECLINED || (rc == CDC_OK && op->found->id != op->target_id))
    {
        return cdc_op_not_found(op);     /* renamed, or dropped by now */
    }

    if (rc != CDC_OK || cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    return cdc_load_run(op, ts);
}


static int
cdc_op_run_apply(cdc_op_t *op)
{
    int       rc;
    uint64_t  ts;

    if (cdc_op_stamp(op, &ts) != CDC_OK) {
        return CDC_ERROR;
    }

    if (op->release_first) {
        rc = cdc_op_release(op, NULL, ts);
        if (rc != CDC_OK) {
            return rc;
        }
    }

    rc = op->target_ops->apply(op->target, &op->env, ts, op->target_db,
                               op->names, op->nnames, &op->error);

    if (rc == CDC_OK || op->error.class != CDC_TARGET_NOT_FOUND) {
        return rc;
    }

    switch (op->env.type) {

    case CDC_MSG_RELEASE_COLLECTION:
    case CDC_MSG_RELEASE_PARTITIONS:
    case CDC_MSG_DROP_INDEX:
    case CDC_MSG_DROP_ALIAS:
        return CDC_OK;                   /* it is not there: that was meant */

    default:
        return rc;
    }
}


void
cdc_op_run(cdc_job_t *job)
{
    cdc_op_t  *op = job->data;

    memset(&op->error, 0, sizeof(cdc_target_error_t));

    if (__atomic_load_n(&op->repl->quit, __ATOMIC_ACQUIRE)) {
        op->error.class = CDC_TARGET_RETRY;
        op->rc = CDC_ERROR;
        return;
    }

    CDC_FAULT("operation-before");

    switch (op->kind) {

    case CDC_OP_CREATE_DATABASE:
        op->rc = cdc_op_database(op, op->target_db,
                                 cdc_span_n(op->raw, op->raw_len));
        break;

    case CDC_OP_CREATE_COLLECTION:
        op->rc = cdc_op_run_create_collection(op);
        break;

    case CDC_OP_CREATE_PARTITION:
        op->rc = cdc_op_run_create_partition(op);
        break;

    case CDC_OP_DROP_COLLECTION:
        op->rc = cdc_op_run_drop_collection(op);
        break;

    case CDC_OP_DROP_PARTITION:
        op->rc = cdc_op_run_drop_partition(op);
        break;

    case CDC_OP_DROP_DATABASE:
        op->rc = cdc_op_run_drop_database(op);
        break;

    case CDC_OP_ALTER_DATABASE:
        op->rc = cdc_op_run_alter_database(op);
        break;

    case CDC_OP_RENAME_COLLECTION:
        op->rc = cdc_op_run_rename(op);
        break;

    case CDC_OP_ALTER_COLLECTION:
    case CDC_OP_ALTER_SCHEMA:
        op->rc = cdc_op_run_alter(op);
        break;

    case CDC_OP_ALIAS:
        op->rc = cdc_op_run_alias(op);
        break;

    case CDC_OP_LOAD:
        op->rc = cdc_op_run_load(op);
        break;

    case CDC_OP_APPLY:
        op->rc = cdc_op_run_apply(op);
        break;
    }

    CDC_FAULT("operation-after");
}


const char *
cdc_op_name(const cdc_op_t *op)
{
    static const char *const  names[] = {
        "CreateDatabase", "CreateCollection", "CreatePartition",
        "DropCollection", "DropPartition", "DropDatabase", "AlterDatabase",
        "RenameCollection", "AlterCollection", "AlterSchema", "Alias",
        "LoadState"
    };

    const cdc_op_row_t       *row;

    if (op->kind != CDC_OP_APPLY) {
        return names[op->kind];
    }

    row = cdc_wire_op_row(op->env.type);

    return row ? row->name : "operation";
}


void
cdc_op_applied(const cdc_op_t *op)
{
    char      object[CDC_MAX_NAME_LEN * 3];
    unsigned  i;

    snprintf(object, sizeof(object), "%s.%s%s%s", op->target_db,
             op->target_name ? op->target_name : "",
             op->part_name ? "/" : "", op->part_name ? op->part_name : "");

    cdc_log(CDC_LOG_INFO, 0, "%s on \"%s\"", cdc_op_name(op), object);
    cdc_repl_operation(op->repl, cdc_op_name(op), object);

    for (i = 0; i < op->ncolls; i++) {
        cdc_coll_operation(op->colls[i], cdc_op_name(op));
    }
}
