/*
 * A Milvus cluster as the target: the calls that only look.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milvus_service.pb-c.h"

#include "cdc_milvus_int.h"


typedef Milvus__Service__DescribeCollectionResponse  cdc_milvus_describe_t;
typedef Milvus__Service__ShowPartitionsResponse      cdc_milvus_partitions_t;


/* later than the attempt to connect, whose error says more */

static unsigned
cdc_milvus_hello_timeout(cdc_target_t *t)
{
    return t->conf.connect_timeout_ms + 500;
}


/* ---- hello --------------------------------------------------------- */

static int
cdc_milvus_version(cdc_target_t *t, cdc_target_info_t *info,
    cdc_target_error_t *err)
{
    int                                    rc;
    size_t                                 len;
    uint8_t                               *answer;
    cdc_chain_t                           *c;
    Milvus__Service__GetVersionResponse   *r;

    c = cdc_chain_create();             /* a request without fields */

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "GetVersion", NULL, c, CDC_OK,
                         CDC_MILVUS_NESTED, cdc_milvus_hello_timeout(t),
                         &answer, &len, err);
    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    r = milvus__service__get_version_response__unpack(NULL, len, answer);
    free(answer);

    if (r == NULL) {
        return cdc_milvus_damaged(err, "GetVersion");
    }

    (void) snprintf(info->version, sizeof(info->version), "%s", r->version);
    milvus__service__get_version_response__free_unpacked(r, NULL);

    return CDC_OK;
}


/*
 * A ReplicateMessage for no channel: a follower refuses the missing name, a
 * normal instance the call itself; neither does anything.
 */

static int
cdc_milvus_probe(cdc_target_t *t, cdc_target_info_t *info,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MSG_REPLICATE, 1, 0);

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "ReplicateMessage", NULL, c,
                         CDC_OK, CDC_MILVUS_LANE, cdc_milvus_hello_timeout(t),
                         NULL, NULL, err);

    if (rc == CDC_OK
        || (!err->transport && err->class == CDC_TARGET_REFUSED))
    {
        info->replicate = 1;
        return CDC_OK;
    }

    if (err->class == CDC_TARGET_DENIED) {
        (void) snprintf(info->why_not, sizeof(info->why_not), "%s",
                        err->text);
        return CDC_OK;
    }

    return CDC_ERROR;
}


/*
 * Connect answers with the deploy mode of the proxy's process, STANDALONE or
 * DISTRIBUTED (Milvus 2.3 to 2.6: cmd/roles/roles.go, internal/proxy/impl.go,
 * pkg/util/metricsinfo/metrics_info.go); a distributed one refuses to begin
 * with RocksMQ as its log (internal/util/dependency/factory.go, of 2.6
 * streamingutil/util/wal_selector.go).  Any other word, or none, says nothing.
 * It takes a millisecond and needs a login, but no rights (2.3.5).
 *
 * The proxy keeps a note of each call for a day, under an id that a client
 * might refer to (internal/proxy/connection/manager.go).  So there is one of
 * each cdc_target_t (also of one that a create opens for a look), and another
 * when a lane's request failed in gRPC: it may be another server then.
 */

static int
cdc_milvus_distributed(cdc_target_t *t)
{
    int                                rc;
    size_t                             len, mark;
    uint8_t                           *answer;
    cdc_chain_t                       *c;
    cdc_target_error_t                 err;
    Milvus__Service__ConnectResponse  *r;

    if (__atomic_exchange_n(&t->mode_told, 1, __ATOMIC_SEQ_CST)) {
        return t->distributed;
    }

    t->distributed = 0;

    c = cdc_milvus_request(CDC_MILVUS_CONNECT, 0, 0);
    rc = CDC_ERROR;

    if (c != NULL && cdc_chain_open(c, 2, &mark) == CDC_OK) {
        rc = cdc_milvus_string(c, 1, "nginx-milvus-cdc");
        cdc_chain_close(c, mark);
    }

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "Connect", NULL, c, rc,
                         CDC_MILVUS_NESTED, CDC_MILVUS_MODE_MS, &answer, &len,
                         &err);
    if (rc != CDC_OK) {
        __atomic_store_n(&t->mode_told, 0, __ATOMIC_SEQ_CST);
        return 0;
    }

    r = milvus__service__connect_response__unpack(NULL, len, answer);
    free(answer);

    if (r != NULL && r->server_info != NULL) {
        t->distributed = strcmp(r->server_info->deploy_mode,
                                "DISTRIBUTED") == 0;
    }

    milvus__service__connect_response__free_unpacked(r, NULL);

    return t->distributed;
}


int
cdc_milvus_hello(cdc_target_t *t, cdc_target_info_t *info,
    cdc_target_error_t *err)
{
    uint64_t  asked;

    memset(info, 0, sizeof(cdc_target_info_t));

    if (cdc_milvus_version(t, info, err) != CDC_OK) {
        return CDC_ERROR;
    }

    asked = cdc_now_ms();

    if (cdc_milvus_now(t, &info->now, err) != CDC_OK) {
        return CDC_ERROR;
    }

    info->now_at = asked + (cdc_now_ms() - asked) / 2;

    if (cdc_milvus_probe(t, info, err) != CDC_OK) {
        return CDC_ERROR;
    }

    info->distributed = info->replicate && cdc_milvus_distributed(t);

    return CDC_OK;
}


int
cdc_milvus_now(cdc_target_t *t, uint64_t *tso, cdc_target_error_t *err)
{
    int                                        rc;
    size_t                                     len;
    uint8_t                                   *answer;
    cdc_chain_t                               *c;
    Milvus__Service__AllocTimestampResponse   *r;

    c = cdc_milvus_request(CDC_MILVUS_ALLOC_TIMESTAMP, 0, 0);

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "AllocTimestamp", NULL, c,
                         CDC_OK, CDC_MILVUS_NESTED,
                         cdc_milvus_hello_timeout(t), &answer, &len, err);
    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    r = milvus__service__alloc_timestamp_response__unpack(NULL, len, answer);
    free(answer);

    if (r == NULL) {
        return cdc_milvus_damaged(err, "AllocTimestamp");
    }

    *tso = r->timestamp;
    milvus__service__alloc_timestamp_response__free_unpacked(r, NULL);

    return CDC_OK;
}


int
cdc_milvus_has_database(cdc_target_t *t, const char *db,
    cdc_target_error_t *err)
{
    int                                       rc;
    size_t                                    i, len;
    uint8_t                                  *answer;
    cdc_chain_t                              *c;
    Milvus__Service__ListDatabasesResponse   *r;

    c = cdc_milvus_request(CDC_MILVUS_LIST_DATABASES, 0, 0);

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "ListDatabases", NULL, c,
                         CDC_OK, CDC_MILVUS_NESTED, CDC_MILVUS_TIMEOUT,
                         &answer, &len, err);
    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    r = milvus__service__list_databases_response__unpack(NULL, len, answer);
    free(answer);

    if (r == NULL) {
        return cdc_milvus_damaged(err, "ListDatabases");
    }

    rc = CDC_DECLINED;

    for (i = 0; i < r->n_db_names; i++) {
        if (strcmp(r->db_names[i], db) == 0) {
            rc = CDC_OK;
            break;
        }
    }

    milvus__service__list_databases_response__free_unpacked(r, NULL);

    return rc;
}


/* ---- describe ------------------------------------------------------ */

static char *
cdc_milvus_put(char **p, const char *s)
{
    char    *start;
    size_t   n;

    n = strlen(s) + 1;
    start = *p;

    memcpy(start, s, n);
    *p += n;

    return start;
}


static size_t
cdc_milvus_collection_size(const char *db, const char *name,
    const cdc_milvus_describe_t *d, const cdc_milvus_partitions_t *p)
{
    size_t  i, n;

    n = sizeof(cdc_target_collection_t);
    n += d->n_virtual_channel_names * 2 * sizeof(char *);
    n += d->n_aliases * sizeof(char *);
    n += p->n_partition_names * sizeof(cdc_target_partition_t);

    n += strlen(db) + 1 + strlen(name) + 1 + d->schema.len;

    for (i = 0; i < d->n_aliases; i++) {
        n += strlen(d->aliases[i]) + 1;
    }

    for (i = 0; i < d->n_virtual_channel_names; i++) {
        n += strlen(d->virtual_channel_names[i]) + 1;
        n += strlen(d->physical_channel_names[i]) + 1;
    }

    for (i = 0; i < p->n_partition_names; i++) {
        n += strlen(p->partition_names[i]) + 1;
    }

    return n;
}


/* one block: the structure, its arrays, its strings */

static cdc_target_collection_t *
cdc_milvus_collection(const char *db, const char *name,
    const cdc_milvus_describe_t *d, const cdc_milvus_partitions_t *p)
{
    char                     *text;
    size_t                    i, n;
    cdc_target_collection_t  *c;

    c = calloc(1, cdc_milvus_collection_size(db, name, d, p));
    if (c == NULL) {
        return NULL;
    }

    n = d->n_virtual_channel_names;

    c->id = d->collectionid;
    c->created_ts = d->created_timestamp;
    c->nshards = (unsigned) n;
    c->npartitions = (unsigned) p->n_partition_names;
    c->num_partitions = d->num_partitions;
    c->naliases = (unsigned) d->n_aliases;

    c->partitions = (cdc_target_partition_t *) (c + 1);
    c->vchannels = (char **) (c->partitions + c->npartitions);
    c->pchannels = c->vchannels + n;

    c->aliases = c->pchannels + n;

    text = (char *) (c->aliases + c->naliases);

    c->db = cdc_milvus_put(&text, db);
    c->name = cdc_milvus_put(&text, name);

    for (i = 0; i < c->naliases; i++) {
        c->aliases[i] = cdc_milvus_put(&text, d->aliases[i]);
    }

    for (i = 0; i < n; i++) {
        c->vchannels[i] = cdc_milvus_put(&text, d->virtual_channel_names[i]);
        c->pchannels[i] = cdc_milvus_put(&text, d->physical_channel_names[i]);
    }

    for (i = 0; i < c->npartitions; i++) {
        c->partitions[i].id = p->partitionids[i];
        c->partitions[i].name = cdc_milvus_put(&text, p->partition_names[i]);
    }

    c->schema = (uint8_t *) text;
    c->schema_len = d->schema.len;

    if (d->schema.len != 0) {
        memcpy(c->schema, d->schema.data, d->schema.len);
    }

    return c;
}


void
cdc_target_collection_free(cdc_target_collection_t *c)
{
    free(c);
}


static int
cdc_milvus_describe_call(cdc_target_t *t, const char *db, const char *name,
    int64_t id, cdc_milvus_describe_t **d, cdc_target_error_t *err)
{
    int           rc;
    size_t        len;
    uint8_t      *answer;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MILVUS_DESCRIBE_COLLECTION, 0, 0);
    rc = cdc_milvus_string(c, 2, db);

    if (name != NULL) {
        rc |= cdc_milvus_string(c, 3, name);

    } else if (c != NULL) {
        rc |= cdc_chain_varint_field(c, 4, (uint64_t) id);
    }

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "DescribeCollection", db, c,
                         rc, CDC_MILVUS_NESTED, CDC_MILVUS_TIMEOUT, &answer,
                         &len, err);
    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    *d = milvus__service__describe_collection_response__unpack(NULL, len,
                                                               answer);
    free(answer);

    if (*d == NULL
        || (*d)->n_virtual_channel_names != (*d)->n_physical_channel_names)
    {
        milvus__service__describe_collection_response__free_unpacked(*d,
                                                                     NULL);
        return cdc_milvus_damaged(err, "DescribeCollection");
    }

    return CDC_OK;
}


static int
cdc_milvus_partitions_call(cdc_target_t *t, const char *db, const char *name,
    int64_t id, cdc_milvus_partitions_t **p, cdc_target_error_t *err)
{
    int           rc;
    size_t        len;
    uint8_t      *answer;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MILVUS_SHOW_PARTITIONS, 0, 0);
    rc = cdc_milvus_string(c, 2, db);
    rc |= cdc_milvus_string(c, 3, name);

    if (c != NULL) {
        rc |= cdc_chain_varint_field(c, 4, (uint64_t) id);
    }

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "ShowPartitions", db, c, rc,
                         CDC_MILVUS_NESTED, CDC_MILVUS_TIMEOUT, &answer, &len,
                         err);
    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    *p = milvus__service__show_partitions_response__unpack(NULL, len, answer);
    free(answer);

    if (*p == NULL || (*p)->n_partition_names != (*p)->n_partitionids) {
        milvus__service__show_partitions_response__free_unpacked(*p, NULL);
        return cdc_milvus_damaged(err, "ShowPartitions");
    }

    return CDC_OK;
}


/*
 * The name in the schema is the collection's own: collection_name repeats
 * what was asked for, an alias or, asked by id, nothing (2.3.5).
 */

static char *
cdc_milvus_schema_name(const cdc_milvus_describe_t *d)
{
    cdc_span_t   in, name;
    cdc_field_t  f;

    in = cdc_span_n(d->schema.data, d->schema.len);
    name = cdc_span_n(d->collection_name, strlen(d->collection_name));

    while (cdc_wire_next(&in, &f) == CDC_OK) {
        if (f.number == 1 && f.wire_type == 2 && f.body.len != 0) {
            name = f.body;
        }
    }

    return strndup((const char *) name.data, name.len);
}


int
cdc_milvus_describe(cdc_target_t *t, const char *db, const char *name,
    int64_t id, cdc_target_collection_t **c, cdc_target_error_t *err)
{
    int                       rc;
    char                     *own;
    cdc_milvus_describe_t    *d;
    cdc_milvus_partitions_t  *p, none;

    db = cdc_milvus_db(db);

    if (cdc_milvus_describe_call(t, db, name, id, &d, err) != CDC_OK) {
        return err->class == CDC_TARGET_NOT_FOUND ? CDC_DECLINED : CDC_ERROR;
    }

    milvus__service__show_partitions_response__init(&none);

    p = NULL;
    *c = NULL;
    rc = CDC_ERROR;

    own = cdc_milvus_schema_name(d);

    if (own != NULL) {
        rc = cdc_milvus_partitions_call(t, db, own, d->collectionid, &p, err);
    }

    /* found by id in whatever database, and this is another one */

    if (rc == CDC_ERROR && own != NULL && name == NULL
        && err->class == CDC_TARGET_NOT_FOUND)
    {
        p = NULL;
        rc = CDC_OK;
    }

    if (rc == CDC_OK) {
        *c = cdc_milvus_collection(db, own, d, p ? p : &none);
        milvus__service__show_partitions_response__free_unpacked(p, NULL);
    }

    if (own == NULL || (rc == CDC_OK && *c == NULL)) {
        cdc_milvus_no_memory(err);
        rc = CDC_ERROR;
    }

    free(own);
    milvus__service__describe_collection_response__free_unpacked(d, NULL);

    if (rc == CDC_ERROR && err->class == CDC_TARGET_NOT_FOUND) {
        return CDC_DECLINED;
    }

    return rc;
}
