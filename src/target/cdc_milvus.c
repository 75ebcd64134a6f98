/*
 * A Milvus cluster as the target: connections and the calls that change it.
 *
 * One connection serves all blocking calls; each lane has one of its own
 * (cdc_milvus_lane.c), because closing it must end what that lane had under
 * way and nothing else.
 *
 * The database goes into the request, which is where Milvus's tasks read it,
 * and into the header "dbname", which is where its check of privileges does.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_milvus_int.h"


cdc_grpc_t *
cdc_milvus_connect(const cdc_target_conf_t *conf, unsigned brief, char *err)
{
    cdc_grpc_t        *g;
    cdc_grpc_conf_t    gc;
    cdc_grpc_error_t   ge;

    memset(&gc, 0, sizeof(cdc_grpc_conf_t));

    gc.address = conf->address;
    gc.tls = conf->tls;
    gc.ca_path = conf->ca_path;
    gc.cert_path = conf->cert_path;
    gc.key_path = conf->key_path;
    gc.server_name = conf->server_name;
    gc.authorization = conf->authorization;
    gc.keepalive_ms = CDC_MILVUS_KEEPALIVE;
    gc.keepalive_idle = 1;
    gc.brief = brief;
    gc.connect_timeout_ms = conf->connect_timeout_ms;

    g = cdc_grpc_open(&gc, &ge);
    if (g == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "%s", ge.text);
    }

    return g;
}


static char *
cdc_milvus_copy(const char *s, int *rc)
{
    char  *copy;

    if (s == NULL) {
        return NULL;
    }

    copy = strdup(s);
    if (copy == NULL) {
        *rc = CDC_ERROR;
    }

    return copy;
}


static void
cdc_milvus_close(cdc_target_t *t)
{
    if (t->grpc != NULL) {
        cdc_grpc_close(t->grpc);
    }

    cdc_target_conf_free(&t->conf);
    free(t);
}


static cdc_target_t *
cdc_milvus_open(const cdc_target_conf_t *conf, char *err)
{
    int            rc;
    cdc_target_t  *t;

    t = calloc(1, sizeof(cdc_target_t));
    if (t == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "no memory");
        return NULL;
    }

    rc = CDC_OK;

    t->conf.tls = conf->tls;
    t->conf.connect_timeout_ms = conf->connect_timeout_ms;
    t->conf.call_ms = conf->call_ms;
    t->conf.address = cdc_milvus_copy(conf->address, &rc);
    t->conf.identity = cdc_milvus_copy(conf->identity, &rc);
    t->conf.authorization = cdc_milvus_copy(conf->authorization, &rc);
    t->conf.ca_path = cdc_milvus_copy(conf->ca_path, &rc);
    t->conf.cert_path = cdc_milvus_copy(conf->cert_path, &rc);
    t->conf.key_path = cdc_milvus_copy(conf->key_path, &rc);
    t->conf.server_name = cdc_milvus_copy(conf->server_name, &rc);

    if (rc != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "no memory");
        cdc_milvus_close(t);
        return NULL;
    }

    t->grpc = cdc_milvus_connect(&t->conf, 0, err);
    if (t->grpc == NULL) {
        cdc_milvus_close(t);
        return NULL;
    }

    return t;
}


/* ---- requests ------------------------------------------------------ */

cdc_chain_t *
cdc_milvus_request(int32_t type, unsigned replicate, uint64_t ts)
{
    int           rc;
    size_t        base, info;
    cdc_chain_t  *c;

    c = cdc_chain_create();
    if (c == NULL) {
        return NULL;
    }

    rc = cdc_chain_open(c, 1, &base);
    rc |= cdc_chain_varint_field(c, 1, (uint64_t) type);

    if (replicate) {
        rc |= cdc_chain_open(c, 7, &info);
        rc |= cdc_chain_varint_field(c, 1, 1);

        if (ts != 0) {
            rc |= cdc_chain_varint_field(c, 2, ts);
        }

        if (rc == CDC_OK) {
            cdc_chain_close(c, info);
        }
    }

    if (rc != CDC_OK) {
        cdc_chain_unref(c);
        return NULL;
    }

    cdc_chain_close(c, base);

    return c;
}


int
cdc_milvus_string(cdc_chain_t *c, uint32_t number, const char *value)
{
    if (c == NULL) {
        return CDC_ERROR;
    }

    if (value == NULL || value[0] == '\0') {
        return CDC_OK;
    }

    return cdc_chain_bytes_field(c, number,
                                 cdc_span_n(value, strlen(value)));
}


const char *
cdc_milvus_db(const char *db)
{
    return db != NULL && db[0] != '\0' ? db : CDC_DEFAULT_DB;
}


int
cdc_milvus_call(cdc_target_t *t, const char *method, const char *db,
    cdc_chain_t *request, int rc, cdc_milvus_answer_e kind,
    unsigned timeout_ms, uint8_t **answer, size_t *len,
    cdc_target_error_t *err)
{
    size_t             n;
    uint8_t           *data;
    const char        *header[2];
    cdc_grpc_error_t   ge;

    if (request == NULL || rc != CDC_OK) {
        cdc_milvus_no_memory(err);

        if (request != NULL) {
            cdc_chain_unref(request);
        }

        return CDC_ERROR;
    }

    if (t->conf.call_ms != 0 && timeout_ms > t->conf.call_ms) {
        timeout_ms = t->conf.call_ms;
    }

    header[0] = "dbname";
    header[1] = db;

    rc = cdc_grpc_call_with(t->grpc, method,
                            db != NULL && db[0] != '\0' ? header : NULL,
                            request, timeout_ms, &data, &n, &ge);

    cdc_chain_unref(request);

    if (rc != CDC_OK) {
        cdc_milvus_transport(&ge, err);
        return CDC_ERROR;
    }

    rc = cdc_milvus_status(data, n, kind, err);

    if (rc == CDC_OK && answer != NULL) {
        *answer = data;
        *len = n;
        return CDC_OK;
    }

    free(data);

    return rc;
}


/* ---- calls that change things -------------------------------------- */

static int
cdc_milvus_create_database(cdc_target_t *t, const char *db,
    cdc_span_t properties, uint64_t ts, cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MSG_CREATE_DATABASE, 1, ts);
    rc = cdc_milvus_string(c, 2, db);

    if (c != NULL && properties.len != 0) {
        rc |= cdc_chain_copy(c, properties);
    }

    return cdc_milvus_call(t, CDC_MILVUS_SERVICE "CreateDatabase", NULL, c,
                           rc, CDC_MILVUS_PLAIN, CDC_MILVUS_TIMEOUT, NULL,
                           NULL, err);
}


static int
cdc_milvus_drop_database(cdc_target_t *t, const char *db, uint64_t ts,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MSG_DROP_DATABASE, 1, ts);
    rc = cdc_milvus_string(c, 2, db);

    return cdc_milvus_call(t, CDC_MILVUS_SERVICE "DropDatabase", NULL, c, rc,
                           CDC_MILVUS_PLAIN, CDC_MILVUS_TIMEOUT, NULL, NULL,
                           err);
}


static int
cdc_milvus_create_collection(cdc_target_t *t, const cdc_target_create_t *cc,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MSG_CREATE_COLLECTION, 1, cc->ts);
    rc = cdc_milvus_string(c, 2, cc->db);
    rc |= cdc_milvus_string(c, 3, cc->name);

    if (c != NULL) {
        rc |= cdc_chain_bytes_field(c, 4, cc->schema);
        rc |= cdc_chain_varint_field(c, 5, (uint64_t) (int64_t) cc->shards);
        rc |= cdc_chain_varint_field(c, 6,
                                 (uint64_t) (int64_t) cc->consistency_level);

        if (cc->properties.len != 0) {
            rc |= cdc_chain_copy(c, cc->properties);
        }

        if (cc->num_partitions != 0) {
            rc |= cdc_chain_varint_field(c, 8, (uint64_t) cc->num_partitions);
        }
    }

    return cdc_milvus_call(t, CDC_MILVUS_SERVICE "CreateCollection", cc->db,
                           c, rc, CDC_MILVUS_PLAIN, CDC_MILVUS_TIMEOUT, NULL,
                           NULL, err);
}


/* drop of a collection, create and drop of a partition: alike */

static int
cdc_milvus_named(cdc_target_t *t, int32_t type, const char *method,
    const char *db, const char *name, const char *partition, uint64_t ts,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(type, 1, ts);
    rc = cdc_milvus_string(c, 2, db);
    rc |= cdc_milvus_string(c, 3, name);
    rc |= cdc_milvus_string(c, 4, partition);

    return cdc_milvus_call(t, method, db, c, rc, CDC_MILVUS_PLAIN,
                           CDC_MILVUS_TIMEOUT, NULL, NULL, err);
}


static int
cdc_milvus_drop_collection(cdc_target_t *t, const char *db, const char *name,
    uint64_t ts, cdc_target_error_t *err)
{
    return cdc_milvus_named(t, CDC_MSG_DROP_COLLECTION,
                            CDC_MILVUS_SERVICE "DropCollection", db, name,
                            NULL, ts, err);
}


static int
cdc_milvus_create_partition(cdc_target_t *t, const char *db,
    const char *name, const char *partition, uint64_t ts,
    cdc_target_error_t *err)
{
    return cdc_milvus_named(t, CDC_MSG_CREATE_PARTITION,
                            CDC_MILVUS_SERVICE "CreatePartition", db, name,
                            partition, ts, err);
}


static int
cdc_milvus_drop_partition(cdc_target_t *t, const char *db, const char *name,
    const char *partition, uint64_t ts, cdc_target_error_t *err)
{
    return cdc_milvus_named(t, CDC_MSG_DROP_PARTITION,
                            CDC_MILVUS_SERVICE "DropPartition", db, name,
                            partition, ts, err);
}


static int
cdc_milvus_apply(cdc_target_t *t, const cdc_op_envelope_t *op, uint64_t ts,
    const char *db, const cdc_span_t *names, unsigned nnames,
    cdc_target_error_t *err)
{
    int                  rc;
    cdc_chain_t         *c;
    const cdc_op_row_t  *row;

    row = cdc_wire_op_row(op->type);

    if (row == NULL) {
        memset(err, 0, sizeof(cdc_target_error_t));
        err->class = CDC_TARGET_REFUSED;
        (void) snprintf(err->text, sizeof(err->text),
                        "operation of unknown type %d", (int) op->type);
        return CDC_ERROR;
    }

    db = cdc_milvus_db(db);

    c = cdc_chain_create();
    rc = CDC_ERROR;

    if (c != NULL) {
        rc = cdc_wire_op_rewrite(c, op, ts, cdc_span_n(db, strlen(db)),
                                 names, nnames);
    }

    rc = cdc_milvus_call(t, row->method, row->name_field ? db : NULL, c, rc,
                         row->status_nested ? CDC_MILVUS_NESTED
                                            : CDC_MILVUS_PLAIN,
                         CDC_MILVUS_TIMEOUT, NULL, NULL, err);

    if (rc == CDC_ERROR && cdc_milvus_lacks(err)) {
        return cdc_milvus_decline(err, "the target's Milvus has no %s: "
                                  "upgrade the target", row->name);
    }

    return rc;
}


const cdc_target_ops_t  cdc_milvus_target = {
    .name = "milvus",
    .open = cdc_milvus_open,
    .close = cdc_milvus_close,
    .hello = cdc_milvus_hello,
    .now = cdc_milvus_now,
    .has_database = cdc_milvus_has_database,
    .create_database = cdc_milvus_create_database,
    .drop_database = cdc_milvus_drop_database,
    .describe = cdc_milvus_describe,
    .create_collection = cdc_milvus_create_collection,
    .drop_collection = cdc_milvus_drop_collection,
    .create_partition = cdc_milvus_create_partition,
    .drop_partition = cdc_milvus_drop_partition,
    .rename_collection = cdc_milvus_rename_collection,
    .alias = cdc_milvus_alias,
    .alter_collection = cdc_milvus_alter_collection,
    .alter_database = cdc_milvus_alter_database,
    .loaded = cdc_milvus_loaded,
    .served = cdc_milvus_served,
    .has_index = cdc_milvus_has_index,
    .alter_schema = cdc_milvus_alter_schema,
    .rights = cdc_milvus_rights,
    .has_user = cdc_milvus_has_user,
    .rbac = cdc_milvus_rbac,
    .apply = cdc_milvus_apply,
    .lane_open = cdc_milvus_lane_open,
    .lane_close = cdc_milvus_lane_close,
    .send = cdc_milvus_lane_send
};
