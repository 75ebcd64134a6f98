/* test_target.c, the part that talks to servers */


#define T  (&cdc_milvus_target)

static cdc_target_t        *target;
static cdc_target_error_t   e;
static char                 db[32], name[32], version[64];


static cdc_target_t *
open_json(const char *json)
{
    char               err[CDC_REASON_MAX];
    cdc_target_t      *t;
    cdc_target_conf_t  conf;

    if (cdc_target_conf_parse(&conf, json, strlen(json), err) != CDC_OK) {
        printf("# %s\n", err);
        return NULL;
    }

    t = T->open(&conf, err);
    cdc_target_conf_free(&conf);

    return t;
}


static cdc_target_t *
open_uri(const char *uri, const char *token)
{
    char         json[1024], dial[512];
    const char  *ca;

    ca = getenv("TEST_CDC_TARGET_CA");
    dial[0] = '\0';

    if (ca != NULL) {
        (void) snprintf(dial, sizeof(dial),
                        ",\"dial_config\":{\"ca_pem_path\":\"%s\"}", ca);
    }

    (void) snprintf(json, sizeof(json), "{\"uri\":\"%s\",\"token\":\"%s\","
                    "\"connect_timeout\":5%s}", uri, token ? token : "",
                    strncmp(uri, "https", 5) == 0 ? dial : "");

    return open_json(json);
}


static void
test_away(void)
{
    cdc_target_t       *t;
    cdc_target_info_t   info;

    t = open_json("{\"uri\":\"http://127.0.0.1:1\",\"connect_timeout\":1}");
    is_int(T->hello(t, &info, &e), CDC_ERROR, "away: hello");
    is_int(e.class, CDC_TARGET_RETRY, "away: may come back");
    ok(e.transport && strstr(e.text, "refused") != NULL, "away: %s", e.text);
    T->close(t);
}


static void
test_hello(void)
{
    cdc_target_t       *t;
    const char         *token;
    cdc_target_info_t   info;

    if (!ok(T->hello(target, &info, &e) == CDC_OK, "hello: %s", e.text)) {
        exit(1);
    }

    ok(info.version[0] != '\0', "hello: %s", info.version);
    (void) snprintf(version, sizeof(version), "%s", info.version);
    ok(info.replicate, "hello: a follower");
    ok(cdc_tso_ms(info.now) + 60000 > cdc_wall_ms()
       && cdc_tso_ms(info.now) < cdc_wall_ms() + 60000, "hello: its clock");
    ok(info.now_at + 5000 > cdc_now_ms() && info.now_at <= cdc_now_ms(),
       "hello: when that was");

    if (getenv("TEST_CDC_SOURCE") != NULL) {
        t = open_uri(getenv("TEST_CDC_SOURCE"), NULL);
        is_int(T->hello(t, &info, &e), CDC_OK, "hello: a normal instance");
        ok(!info.replicate && strstr(info.why_not, "ttMsgEnabled") != NULL,
           "hello: %s", info.why_not);
        T->close(t);
    }

    token = getenv("TEST_CDC_TARGET_TOKEN");

    if (token != NULL) {
        t = open_uri(getenv("TEST_CDC_TARGET"), "root:wrong");
        is_int(T->hello(t, &info, &e), CDC_ERROR, "hello: wrong password");
        is_int(e.class, CDC_TARGET_DENIED, "hello: wrong password, denied");
        ok(strstr(e.text, "wrong") == NULL && strstr(e.text, "token") != NULL,
           "hello: %s", e.text);
        T->close(t);
    }
}


/* ---- definitions --------------------------------------------------- */

static uint64_t
now(void)
{
    uint64_t  tso = 0;

    (void) T->now(target, &tso, &e);

    return tso;
}


static size_t
schema_of(const char *coll, uint8_t *buf)
{
    Milvus__Common__KeyValuePair       dim, *params[1];
    Milvus__Schema__CollectionSchema   s;
    Milvus__Schema__FieldSchema        f[2], *fields[2];

    milvus__common__key_value_pair__init(&dim);
    milvus__schema__collection_schema__init(&s);
    milvus__schema__field_schema__init(&f[0]);
    milvus__schema__field_schema__init(&f[1]);

    dim.key = (char *) "dim";
    dim.value = (char *) "4";
    params[0] = &dim;

    f[0].fieldid = 100;
    f[0].name = (char *) "id";
    f[0].data_type = 5;
    f[0].is_primary_key = 1;
    f[1].fieldid = 101;
    f[1].name = (char *) "v";
    f[1].data_type = 101;
    f[1].n_type_params = 1;
    f[1].type_params = params;
    fields[0] = &f[0];
    fields[1] = &f[1];

    s.name = (char *) coll;
    s.n_fields = 2;
    s.fields = fields;

    return milvus__schema__collection_schema__pack(&s, buf);
}


static void
test_definitions(void)
{
    int                       rc;
    uint8_t                   buf[512];
    cdc_target_create_t       c;
    cdc_target_collection_t  *d;

    static const uint8_t  ttl[] = "\x3a\x1e\x0a\x16" "collection.ttl.seconds"
                                  "\x12\x04" "3600";

    is_int(T->has_database(target, db, &e), CDC_DECLINED, "database: none");
    is_int(T->create_database(target, db, cdc_span(""), now(), &e), CDC_OK,
           "database: create");
    is_int(T->create_database(target, db, cdc_span(""), now(), &e),
           CDC_ERROR, "database: create again");
    is_int(e.class, CDC_TARGET_EXISTS, "database: exists");
    is_int(T->has_database(target, db, &e), CDC_OK, "database: is there");

    is_int(T->describe(target, db, name, 0, &d, &e), CDC_DECLINED,
           "describe: none");

    memset(&c, 0, sizeof(c));
    c.db = db;
    c.name = name;
    c.schema = cdc_span_n(buf, schema_of(name, buf));
    c.properties = cdc_span_n(ttl, sizeof(ttl) - 1);
    c.shards = 2;
    c.consistency_level = 3;
    c.ts = now();

    rc = T->create_collection(target, &c, &e);
    is_int(rc, CDC_OK, "create");
    is_int(T->create_collection(target, &c, &e), CDC_OK,
           "create: the same again is no error");
    c.shards = 1;
    is_int(T->create_collection(target, &c, &e), CDC_ERROR,
           "create: other parameters");
    is_int(e.class, CDC_TARGET_EXISTS, "create: exists");
    c.db = "nosuch_db";
    is_int(T->create_collection(target, &c, &e), CDC_ERROR,
           "create: no such database");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "create: not found");

    is_int(T->create_partition(target, db, name, "p1", now(), &e), CDC_OK,
           "partition: create");

    if (!ok(T->describe(target, db, name, 0, &d, &e) == CDC_OK, "describe")) {
        exit(1);
    }

    is_int((int64_t) d->created_ts, (int64_t) c.ts,
           "describe: created at the given timestamp");
    is_int(d->nshards, 2, "describe: shards");
    is_int(d->npartitions, 2, "describe: partitions");
    ok(strncmp(d->vchannels[1], d->pchannels[1], strlen(d->pchannels[1]))
       == 0, "describe: %s of %s", d->vchannels[1], d->pchannels[1]);
    is_str(d->name, name, "describe: name");
    cdc_target_collection_free(d);
}


/* ---- operations ---------------------------------------------------- */

static int
apply(cdc_chain_t *request)
{
    int                rc;
    size_t             len;
    uint8_t           *bytes;
    cdc_span_t         names[1];
    cdc_op_envelope_t  op;

    bytes = cdc_chain_flatten(request, &len);
    cdc_chain_unref(request);

    if (cdc_wire_op_envelope(cdc_span_n(bytes, len), &op) != CDC_OK) {
        free(bytes);
        return CDC_DONE;
    }

    names[0] = cdc_span_n(name, strlen(name));
    rc = T->apply(target, &op, now(), db, names, 1, &e);
    free(bytes);

    return rc;
}


static cdc_chain_t *
operation(int32_t type)
{
    cdc_chain_t  *c;

    c = cdc_milvus_request(type, 0, 0);
    (void) cdc_milvus_string(c, 2, "other_db");
    (void) cdc_milvus_string(c, 3, "other_name");

    return c;
}


static cdc_chain_t *
create_index(void)
{
    int           i;
    size_t        mark;
    cdc_chain_t  *c;

    static const char  *kv[] = { "index_type", "FLAT", "metric_type", "L2",
                                 "params", "{}" };

    c = operation(CDC_MSG_CREATE_INDEX);
    (void) cdc_milvus_string(c, 4, "v");

    for (i = 0; i < 6; i += 2) {
        (void) cdc_chain_open(c, 5, &mark);
        (void) cdc_milvus_string(c, 1, kv[i]);
        (void) cdc_milvus_string(c, 2, kv[i + 1]);
        cdc_chain_close(c, mark);
    }

    (void) cdc_milvus_string(c, 6, "vi");

    return c;
}


static cdc_chain_t *
load(void)
{
    cdc_chain_t  *c;

    c = operation(CDC_MSG_LOAD_COLLECTION);
    (void) cdc_chain_varint_field(c, 4, 1);

    return c;
}


static void
test_operations(void)
{
    is_int(apply(load()), CDC_ERROR, "apply: load without an index");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "apply: no index");
    is_int(apply(create_index()), CDC_OK, "apply: create index");
    is_int(apply(create_index()), CDC_OK, "apply: create index again");
    is_int(apply(load()), CDC_OK, "apply: load");
}


/* ---- lanes --------------------------------------------------------- */

static struct {
    int                  ended, rc, running;
    cdc_target_error_t   err;
} sent;


static void
on_sent(void *arg, int rc, const cdc_target_error_t *err)
{
    sent.ended++;
    sent.rc = rc;

    if (err != NULL) {
        sent.err = *err;
    }

    if (sent.running) {
        cdc_loop_stop(loop);
    }
}


static int
send_request(cdc_target_lane_t *lane, cdc_chain_t *c)
{
    memset(&sent, 0, sizeof(sent));

    if (T->send(lane, c, on_sent, NULL) != CDC_OK) {
        cdc_chain_unref(c);
        return CDC_DECLINED;
    }

    cdc_chain_unref(c);
    sent.running = 1;
    (void) cdc_loop_run(loop);
    sent.running = 0;

    return sent.rc;
}


/* rows first..first + 9 as a source has them: with ids of its own */

static uint8_t *
insert(int64_t first, uint64_t ts, size_t *len)
{
    int                              i;
    float                            v[40];
    int64_t                          ids[10];
    uint8_t                         *bytes;
    uint64_t                         stamps[10];
    Milvus__Common__MsgBase          base;
    Milvus__Msg__InsertRequest       r;
    Milvus__Schema__FieldData        f[2], *fields[2];
    Milvus__Schema__LongArray        longs;
    Milvus__Schema__FloatArray       floats;
    Milvus__Schema__ScalarField      scalars;
    Milvus__Schema__VectorField      vectors;

    milvus__common__msg_base__init(&base);
    milvus__msg__insert_request__init(&r);
    milvus__schema__field_data__init(&f[0]);
    milvus__schema__field_data__init(&f[1]);
    milvus__schema__long_array__init(&longs);
    milvus__schema__float_array__init(&floats);
    milvus__schema__scalar_field__init(&scalars);
    milvus__schema__vector_field__init(&vectors);

    for (i = 0; i < 10; i++) {
        ids[i] = first + i;
        stamps[i] = ts;
    }

    for (i = 0; i < 40; i++) {
        v[i] = (float) i;
    }

    longs.n_data = 10;
    longs.data = ids;
    scalars.data_case = MILVUS__SCHEMA__SCALAR_FIELD__DATA_LONG_DATA;
    scalars.long_data = &longs;
    floats.n_data = 40;
    floats.data = v;
    vectors.dim = 4;
    vectors.data_case = MILVUS__SCHEMA__VECTOR_FIELD__DATA_FLOAT_VECTOR;
    vectors.float_vector = &floats;

    f[0].type = 5;
    f[0].field_name = (char *) "id";
    f[0].field_id = 100;
    f[0].field_case = MILVUS__SCHEMA__FIELD_DATA__FIELD_SCALARS;
    f[0].scalars = &scalars;
    f[1].type = 101;
    f[1].field_name = (char *) "v";
    f[1].field_id = 101;
    f[1].field_case = MILVUS__SCHEMA__FIELD_DATA__FIELD_VECTORS;
    f[1].vectors = &vectors;
    fields[0] = &f[0];
    fields[1] = &f[1];

    base.msg_type = CDC_MSG_INSERT;
    base.msgid = first + 1;
    base.timestamp = ts;
    base.sourceid = 1;
    r.mbase = &base;
    r.shardname = (char *) "source-dml_0_17v0";
    r.collection_name = (char *) "source_name";
    r.partition_name = (char *) "_default";
    r.collectionid = 17;
    r.partitionid = 18;
    r.n_timestamps = 10;
    r.timestamps = stamps;
    r.n_rowids = 10;
    r.rowids = ids;
    r.n_fields_data = 2;
    r.fields_data = fields;
    r.num_rows = 10;
    r.version = 1;

    *len = milvus__msg__insert_request__get_packed_size(&r);
    bytes = malloc(*len);
    (void) milvus__msg__insert_request__pack(&r, bytes);

    return bytes;
}


static int64_t
count(void)
{
    int                              rc;
    size_t                           len;
    int64_t                          n;
    uint8_t                         *answer;
    cdc_chain_t                     *c;
    Milvus__Service__QueryResults   *r;

    c = cdc_milvus_request(505, 0, 0);
    rc = cdc_milvus_string(c, 2, db);
    rc |= cdc_milvus_string(c, 3, name);
    rc |= cdc_milvus_string(c, 5, "count(*)");
    rc |= cdc_chain_varint_field(c, 8, 1);

    if (cdc_milvus_call(target, CDC_MILVUS_SERVICE "Query", db, c, rc,
                        CDC_MILVUS_NESTED, 30000, &answer, &len, &e)
        != CDC_OK)
    {
        return -1;
    }

    n = -2;
    r = milvus__service__query_results__unpack(NULL, len, answer);
    free(answer);

    if (r != NULL && r->n_fields_data == 1
        && r->fields_data[0]->scalars != NULL)
    {
        n = r->fields_data[0]->scalars->long_data->data[0];
    }

    milvus__service__query_results__free_unpacked(r, NULL);

    return n;
}


static int64_t
count_until(int64_t want)
{
    int      i;
    int64_t  n;

    for (i = 0, n = -3; i < 150 && n != want; i++) {
        n = count();

        if (n != want) {
            usleep(200000);
        }
    }

    return n;
}


static int
send_tick(cdc_target_lane_t *lane, const char *channel)
{
    size_t        mark;
    uint64_t      ts;
    cdc_chain_t  *c;

    ts = now();
    c = cdc_chain_create();
    (void) cdc_wire_replicate_begin(c, cdc_span_n(channel, strlen(channel)),
                                    ts, ts);
    (void) cdc_wire_msg_open(c, &mark);
    (void) cdc_wire_tick(c, ts);
    cdc_wire_msg_close(c, mark);

    return send_request(lane, c);
}


static int
send_rows(cdc_target_lane_t *lane, const cdc_target_collection_t *d,
    unsigned shard, int64_t first, const char *channel)
{
    int              rc;
    size_t           len, mark;
    uint8_t         *bytes;
    uint64_t         ts;
    cdc_chain_t     *c;
    cdc_rewrite_t    rw;
    cdc_envelope_t   env;

    ts = now();
    bytes = insert(first, ts, &len);
    (void) cdc_wire_envelope(cdc_span_n(bytes, len), &env);

    memset(&rw, 0, sizeof(rw));
    rw.db_name = cdc_span_n(db, strlen(db));
    rw.collection_name = cdc_span_n(name, strlen(name));
    rw.shard_name = cdc_span_n(d->vchannels[shard],
                               strlen(d->vchannels[shard]));
    rw.collection_id = d->id;
    rw.partition_id = d->partitions[0].id;

    c = cdc_chain_create();
    (void) cdc_chain_hold(c, free, bytes);
    (void) cdc_wire_replicate_begin(c, cdc_span_n(channel, strlen(channel)),
                                    ts, ts);
    (void) cdc_wire_msg_open(c, &mark);
    rc = cdc_wire_rewrite(c, &env, &rw);
    cdc_wire_msg_close(c, mark);

    if (rc != CDC_OK) {
        cdc_chain_unref(c);
        return CDC_DONE;
    }

    return send_request(lane, c);
}


static void
test_lanes(void)
{
    char                      err[CDC_REASON_MAX];
    size_t                    mark;
    cdc_chain_t              *c;
    cdc_target_t             *normal;
    cdc_target_lane_t        *lane[2], *l;
    cdc_target_collection_t  *d;

    (void) T->describe(target, db, name, 0, &d, &e);
    lane[0] = T->lane_open(target, err);
    lane[1] = T->lane_open(target, err);

    is_int(send_tick(lane[0], d->pchannels[0]), CDC_OK, "lane 0: tick");
    is_int(send_tick(lane[1], d->pchannels[1]), CDC_OK, "lane 1: tick");
    is_int(count_until(0), 0, "loaded once the ticks are there");

    is_int(send_rows(lane[0], d, 0, 0, d->pchannels[0]), CDC_OK,
           "lane 0: rows");
    is_int(send_rows(lane[1], d, 1, 100, d->pchannels[1]), CDC_OK,
           "lane 1: rows");
    is_int(send_tick(lane[0], d->pchannels[0]), CDC_OK, "lane 0: tick");
    is_int(send_tick(lane[1], d->pchannels[1]), CDC_OK, "lane 1: tick");
    is_int(count_until(20), 20, "the rows are there");
    ok(apply(operation(CDC_MSG_FLUSH)) == CDC_OK, "apply: flush %s", e.text);

    is_int(send_rows(lane[0], d, 0, 0, ""), CDC_ERROR, "lane: no channel");
    is_int(sent.err.class, CDC_TARGET_REFUSED, "lane: refused for sure");

    c = cdc_chain_create();
    (void) cdc_wire_replicate_begin(c, cdc_span_n(d->pchannels[0],
                                          strlen(d->pchannels[0])), 1, 1);
    (void) cdc_wire_msg_open(c, &mark);
    (void) cdc_chain_copy(c, cdc_span("\x0a"));
    cdc_wire_msg_close(c, mark);
    is_int(send_request(lane[0], c), CDC_ERROR, "lane: damaged message");
    is_int(sent.err.class, CDC_TARGET_REFUSED,
           "lane: damaged, refused for sure");

    /* closed with a request under way */

    memset(&sent, 0, sizeof(sent));
    c = cdc_chain_create();
    (void) cdc_wire_replicate_begin(c, cdc_span("x"), 1, 1);
    is_int(T->send(lane[1], c, on_sent, NULL), CDC_OK, "lane: send");
    is_int(T->send(lane[1], c, on_sent, NULL), CDC_ERROR,
           "lane: one request at a time");
    cdc_chain_unref(c);
    T->lane_close(lane[1]);
    is_int(sent.ended, 1, "lane: done() has run when close() returns");
    T->lane_close(lane[0]);

    if (getenv("TEST_CDC_SOURCE") != NULL) {
        normal = open_uri(getenv("TEST_CDC_SOURCE"), NULL);
        l = T->lane_open(normal, err);
        is_int(send_rows(l, d, 0, 0, "x"), CDC_ERROR, "normal instance");
        is_int(sent.err.class, CDC_TARGET_DENIED, "normal instance: denied");
        is_int(sent.err.code, 1900, "normal instance: 1900");
        T->lane_close(l);
        T->close(normal);
    }

    cdc_target_collection_free(d);
}


/* what the source's channels carry: without it the data stays */

static void
test_drop_messages(const cdc_target_collection_t *d)
{
    char                err[CDC_REASON_MAX];
    unsigned            i;
    size_t              mark, base;
    uint64_t            ts;
    cdc_chain_t        *c;
    cdc_target_lane_t  *lane;

    lane = T->lane_open(target, err);

    for (i = 0; i < d->nshards; i++) {
        ts = now();
        c = cdc_chain_create();
        (void) cdc_wire_replicate_begin(c, cdc_span_n(d->pchannels[i],
                                            strlen(d->pchannels[i])), ts, ts);
        (void) cdc_wire_msg_open(c, &mark);
        (void) cdc_chain_open(c, 1, &base);
        (void) cdc_chain_varint_field(c, 1, CDC_MSG_DROP_COLLECTION);
        (void) cdc_chain_varint_field(c, 3, ts);
        cdc_chain_close(c, base);
        (void) cdc_milvus_string(c, 3, name);
        (void) cdc_chain_varint_field(c, 5, (uint64_t) d->id);
        cdc_wire_msg_close(c, mark);

        is_int(send_request(lane, c), CDC_OK, "drop: the message");
        is_int(send_tick(lane, d->pchannels[i]), CDC_OK, "drop: its tick");
    }

    T->lane_close(lane);
}


/* ---- the end ------------------------------------------------------- */

static void
test_drops(void)
{
    cdc_target_collection_t  *d, *gone;

    (void) T->describe(target, db, name, 0, &d, &e);

    is_int(T->drop_partition(target, db, name, "p1", now(), &e), CDC_ERROR,
           "drop a loaded partition");
    is_int(e.class, CDC_TARGET_REFUSED, "drop a loaded partition: refused");
    is_int(apply(operation(CDC_MSG_RELEASE_COLLECTION)), CDC_OK, "release");
    is_int(T->drop_partition(target, db, name, "p1", now(), &e), CDC_OK,
           "drop a partition");
    is_int(T->drop_partition(target, db, name, "p1", now(), &e), CDC_OK,
           "drop a partition again is no error");
    is_int(T->drop_database(target, db, now(), &e), CDC_ERROR,
           "drop a database that is not empty");
    is_int(e.class, CDC_TARGET_REFUSED, "drop a database: refused");
    is_int(T->drop_collection(target, db, name, now(), &e), CDC_OK, "drop");
    is_int(T->describe(target, db, name, 0, &gone, &e), CDC_DECLINED,
           "drop: gone");
    test_drop_messages(d);
    cdc_target_collection_free(d);
    is_int(T->drop_collection(target, db, name, now(), &e), CDC_OK,
           "drop again is no error");
    is_int(T->drop_database(target, db, now(), &e), CDC_OK,
           "drop the database");
}


#include "target_change.h"
#include "target_rbac.h"


static void
test_real(void)
{
    target = open_uri(getenv("TEST_CDC_TARGET"),
                      getenv("TEST_CDC_TARGET_TOKEN"));

    (void) snprintf(db, sizeof(db), "tgt_d%d_%d", (int) time(NULL),
                    (int) getpid());
    (void) snprintf(name, sizeof(name), "tgt_c%d_%d", (int) time(NULL),
                    (int) getpid());

    test_hello();
    test_definitions();
    test_changes();

    if (getenv("TEST_CDC_TARGET_TOKEN") != NULL) {
        test_rbac();
    }

    test_operations();
    test_lanes();
    test_drops();

    T->close(target);
}
