/*
 * What a target answers.
 *
 * Input: which call, two schemas or lists of properties, and the answers
 * (fuzz_grpc.h).  A call that fails says of which class its error is, and why;
 * what it gives can be read to the end; a password's hash is in no error, and
 * a target is distributed only where it says that word.
 */

#include "fuzz_grpc.h"
#include "target/cdc_milvus_int.h"


#define FUZZ_SALT  "$2a$10$3iPMcRWjI"
#define FUZZ_HASH  FUZZ_SALT "yZGhGXZ0ZGaLuT5Ck9cIqk5QmGcWkCCbOe8TjEXAMPLE"


typedef struct {
    cdc_target_t        *t;
    cdc_target_error_t  *err;
    cdc_span_t           before, after;
} fuzz_call_t;


static const cdc_target_ops_t  *fuzz_ops = &cdc_milvus_target;


static void
fuzz_error(int rc, const cdc_target_error_t *err)
{
    fuzz_check(rc == CDC_OK || rc == CDC_ERROR || rc == CDC_DECLINED);

    if (rc == CDC_ERROR) {
        fuzz_check(err->class >= CDC_TARGET_RETRY
                   && err->class <= CDC_TARGET_DENIED);
        fuzz_check(fuzz_is_text(err->text));
    }
}


static int
fuzz_describe(fuzz_call_t *c, const char *name, int64_t id)
{
    int                       rc;
    size_t                    i, sum;
    cdc_target_collection_t  *coll;

    coll = NULL;
    rc = fuzz_ops->describe(c->t, "db", name, id, &coll, c->err);

    if (rc != CDC_OK) {
        return rc;
    }

    fuzz_check(coll != NULL && strcmp(coll->db, "db") == 0);
    sum = strlen(coll->name);

    for (i = 0; i < coll->nshards; i++) {
        sum += strlen(coll->vchannels[i]) + strlen(coll->pchannels[i]);
    }

    for (i = 0; i < coll->npartitions; i++) {
        sum += strlen(coll->partitions[i].name);
    }

    for (i = 0; i < coll->naliases; i++) {
        sum += strlen(coll->aliases[i]);
    }

    for (i = 0; i < coll->schema_len; i++) {
        sum += coll->schema[i];
    }

    cdc_target_collection_free(coll);
    fuzz_check(sum != (size_t) -1);

    return CDC_OK;
}


static int
fuzz_hello(fuzz_call_t *c)
{
    int                 rc;
    cdc_span_t          said;
    cdc_target_info_t   info;

    said = fuzz_answers;
    rc = fuzz_ops->hello(c->t, &info, c->err);

    if (rc == CDC_OK) {
        fuzz_check(memchr(info.version, '\0', sizeof(info.version)) != NULL);
        fuzz_check(info.replicate || fuzz_is_text(info.why_not));
        fuzz_check(!info.distributed
                   || (said.len && memmem(said.data, said.len, "DISTRIBUTED",
                                          11)));
    }

    return rc;
}


static int
fuzz_rights(fuzz_call_t *c, int rbac)
{
    int        rc;
    char      *lacks;
    unsigned   n;

    lacks = malloc(100);
    n = 0;
    rc = fuzz_ops->rights(c->t, rbac, lacks, 100, &n, c->err);

    if (rc == CDC_OK) {
        fuzz_check(memchr(lacks, '\0', 100) != NULL);
        fuzz_check((n != 0) == (lacks[0] != '\0'));
    }

    free(lacks);

    return rc;
}


static int
fuzz_rbac(fuzz_call_t *c, unsigned kind)
{
    int                 rc;
    cdc_meta_rbac_t     e;

    static const char  *privileges[] = { "Search", "Query" };

    memset(&e, 0, sizeof(e));
    e.kind = (cdc_meta_rbac_e) (CDC_META_USER + (kind & 7) % 5);
    e.gone = (kind & 8) != 0;
    e.user = "u";
    e.role = "r";
    e.group = "g";
    e.object_type = "Collection";
    e.db = "db";
    e.object = "c";
    e.privilege = "Search";
    e.grantor = "root";
    e.password_hash = FUZZ_HASH;
    e.privileges = privileges;
    e.nprivileges = 2;

    rc = fuzz_ops->rbac(c->t, &e, c->err);

    /* the second call is the one that has the hash */

    fuzz_check(rc == CDC_OK || e.kind != CDC_META_USER || e.gone
               || fuzz_calls < 2
               || strstr(c->err->text, FUZZ_SALT) == NULL);

    return rc;
}


static void
fuzz_sent(void *arg, int rc, const cdc_target_error_t *err)
{
    fuzz_check((rc == CDC_OK) == (err == NULL));

    if (err != NULL) {
        fuzz_error(rc, err);
    }

    *(int *) arg += 1;
}


static int
fuzz_lane(fuzz_call_t *c)
{
    int                 done;
    char                err[CDC_REASON_MAX];
    cdc_chain_t        *request;
    cdc_target_lane_t  *lane;

    lane = fuzz_ops->lane_open(c->t, err);
    done = 0;

    while (fuzz_answers.len != 0) {
        request = cdc_milvus_request(CDC_MSG_REPLICATE, 1, 5);
        fuzz_check(fuzz_ops->send(lane, request, fuzz_sent, &done) == CDC_OK);
        cdc_chain_unref(request);
        fuzz_deliver();
        fuzz_check(done == 1);
        done = 0;
    }

    fuzz_ops->lane_close(lane);

    return CDC_OK;
}


static int
fuzz_call(fuzz_call_t *c, unsigned which)
{
    int                   i;
    uint64_t              tso;
    cdc_target_error_t   *err = c->err;
    cdc_target_create_t   create;

    switch (which & 15) {

    case 0:
        return fuzz_hello(c);

    case 1:
        return fuzz_describe(c, "c", 0);

    case 2:
        return fuzz_describe(c, NULL, 7);

    case 3:
        return fuzz_ops->now(c->t, &tso, err);

    case 4:
        return fuzz_ops->has_database(c->t, "db", err);

    case 5:
        return fuzz_ops->rename_collection(c->t, "db", "c", "db2", "c2", 5,
                                           err);

    case 6:
        return fuzz_ops->alias(c->t, "db", "a", which & 16 ? "c" : NULL, 5,
                               err);

    case 7:
        return fuzz_ops->alter_collection(c->t, "db", "c", c->before,
                                          c->after, 5, err);

    case 8:
        return fuzz_ops->alter_database(c->t, "db", c->before, c->after, 5,
                                        err);

    case 9:
        return fuzz_ops->loaded(c->t, "db", "c", which & 16 ? "p" : NULL, &i,
                                err);

    case 10:
        return fuzz_ops->has_index(c->t, "db", "c", "f", "i", err);

    case 11:
        return fuzz_ops->alter_schema(c->t, "db", "c", c->before, c->after, 5,
                                      err);

    case 12:
        return fuzz_rights(c, (which & 16) != 0);

    case 13:
        return fuzz_rbac(c, which >> 4);

    case 14:
        return fuzz_lane(c);
    }

    memset(&create, 0, sizeof(create));
    create.db = "db";
    create.name = "c";
    create.schema = c->before;
    create.properties = c->after;
    create.shards = 1;
    create.ts = 5;

    return fuzz_ops->create_collection(c->t, &create, err);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                 rc;
    char                err[CDC_REASON_MAX];
    unsigned            which;
    uint8_t            *before, *after;
    cdc_span_t          in;
    fuzz_call_t         c;
    cdc_target_conf_t   conf;

    static char         address[] = "localhost:19530";

    cdc_log_init("", NULL, CDC_LOG_EMERG);
    memset(&conf, 0, sizeof(conf));
    conf.address = address;

    in = cdc_span_n(data, size);
    which = fuzz_byte(&in);
    c.before = fuzz_take(&in, fuzz_byte(&in));
    c.after = fuzz_take(&in, fuzz_byte(&in));
    before = fuzz_copy(c.before, 0);
    after = fuzz_copy(c.after, 0);
    c.before.data = before;
    c.after.data = after;

    fuzz_answers = in;
    fuzz_calls = 0;

    c.t = fuzz_ops->open(&conf, err);
    fuzz_check(c.t != NULL);

    c.err = malloc(sizeof(cdc_target_error_t));
    memset(c.err, 0xa5, sizeof(cdc_target_error_t));

    rc = fuzz_call(&c, which);
    fuzz_error(rc, c.err);
    fuzz_check(fuzz_calls <= size + 64);

    fuzz_ops->close(c.t);
    fuzz_check(fuzz_open == 0);

    free(c.err);
    free(before);
    free(after);

    return 0;
}
