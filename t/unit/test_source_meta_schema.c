/*
 * What a collection's create would carry, and the requests that make its
 * indexes and load state: of 2.3 as a real one wrote it, of later versions
 * from keys built to their messages.
 */

#include "source_feed.h"
#include "source_rbac_samples.h"
#include "milvus_schema.pb-c.h"


#define R1  470621674258564966

#define KV_MAX  64


/* keys that are put together here */

static sample_t  kvs[KV_MAX];
static size_t    nkvs;


static void
put(const char *key, const void *value, size_t len)
{
    char  *copy;

    copy = malloc(len + 1);
    memcpy(copy, value, len);

    kvs[nkvs].key = strdup(key);
    kvs[nkvs].value = copy;
    kvs[nkvs].len = len;
    nkvs++;
}


/* a message, and bytes of fields that this build does not know */

static void
put_msg(const char *key, const void *msg, const char *more, size_t more_len)
{
    size_t    len;
    uint8_t  *buf;

    len = protobuf_c_message_get_packed_size(msg);
    buf = malloc(len + more_len + 1);

    (void) protobuf_c_message_pack(msg, buf);
    memcpy(buf + len, more, more_len);

    put(key, buf, len + more_len);
    free(buf);
}


static void
forget(void)
{
    while (nkvs != 0) {
        nkvs--;
        free((char *) kvs[nkvs].key);
        free((char *) kvs[nkvs].value);
    }
}


static void
list(void)
{
    log_[0] = '\0';
    feed(CDC_ETCD_LIST, kvs, nkvs, 1, 1);
}


/* ---- a collection --- */

static char  *vchannels[] = { "ch_0_7v0", "ch_1_7v1" };
static char  *pchannels[] = { "ch_0", "ch_1" };


static void
put_collection(const char *schema, size_t len, const char *more,
    size_t more_len)
{
    Milvus__Common__KeyValuePair   p1, p2, *props[2];
    Milvus__Meta__CollectionInfo   c;

    milvus__common__key_value_pair__init(&p1);
    milvus__common__key_value_pair__init(&p2);
    p1.key = "mmap.enabled";
    p1.value = "true";
    p2.key = "partitionkey.isolation";
    p2.value = "true";
    props[0] = &p1;
    props[1] = &p2;

    milvus__meta__collection_info__init(&c);
    c.id = 7;
    c.schema.data = (uint8_t *) schema;
    c.schema.len = len;
    c.create_time = 1000;
    c.n_virtual_channel_names = c.n_physical_channel_names = 2;
    c.virtual_channel_names = vchannels;
    c.physical_channel_names = pchannels;
    c.shards_num = 2;
    c.consistency_level = 3;
    c.n_properties = 2;
    c.properties = props;
    c.db_id = 1;

    put("root-coord/database/db-info/1", "\022\007default\030\001 \001", 13);
    put_msg("root-coord/database/collection-info/1/7", &c, more, more_len);
}


static void
put_partition(int64_t id, const char *name)
{
    char                          key[64];
    Milvus__Meta__PartitionInfo   p;

    milvus__meta__partition_info__init(&p);
    p.partitionid = id;
    p.partitionname = (char *) name;
    p.partition_created_timestamp = 1000;
    p.collection_id = 7;

    (void) snprintf(key, sizeof(key), "root-coord/partitions/7/%d", (int) id);
    put_msg(key, &p, "", 0);
}


static void
put_field(Milvus__Schema__FieldSchema *f, const char *more, size_t len)
{
    char  key[64];

    (void) snprintf(key, sizeof(key), "root-coord/fields/7/%d",
                    (int) f->fieldid);
    put_msg(key, f, more, len);
}


static Milvus__Schema__FieldSchema
field(int64_t id, const char *name, int32_t type)
{
    Milvus__Schema__FieldSchema  f;

    milvus__schema__field_schema__init(&f);
    f.fieldid = id;
    f.name = (char *) name;
    f.data_type = type;

    return f;
}


static void
put_system_fields(void)
{
    Milvus__Schema__FieldSchema  f;

    f = field(0, "RowID", 5);
    put_field(&f, "", 0);
    f = field(1, "Timestamp", 5);
    put_field(&f, "", 0);
}


static Milvus__Schema__CollectionSchema *
schema_of(int64_t id)
{
    const cdc_meta_collection_t  *c;

    c = cdc_meta_by_id(&m, id);

    return c != NULL
           ? milvus__schema__collection_schema__unpack(NULL, c->schema.len,
                                                       c->schema.data)
           : NULL;
}


static int
schema_has(int64_t id, const char *bytes, size_t len)
{
    const cdc_meta_collection_t  *c;

    c = cdc_meta_by_id(&m, id);

    return c != NULL
           && memmem(c->schema.data, c->schema.len, bytes, len) != NULL;
}


/* ---- 2.3, as it is --- */

static void
test_2_3(void)
{
    const cdc_meta_collection_t       *c;
    Milvus__Schema__FieldSchema      **f;
    Milvus__Schema__CollectionSchema  *s;

    start();
    put("root-coord/database/db-info/1", "\022\007default\030\001 \001", 13);
    list();
    feed_revisions(swap_events, N(swap_events), 227, 261);

    c = cdc_meta_by_id(&m, R1);
    s = schema_of(R1);

    if (!ok(c != NULL && s != NULL && s->n_fields == 4, "2.3")) {
        return;
    }

    f = s->fields;

    is_str(s->name, "r1", "name");
    is_str(s->description, "about r1", "description");
    is_int(s->enable_dynamic_field, 1, "dynamic");
    is_int(c->consistency_level, 0, "consistency level Strong");
    is_int(c->num_partitions, 3, "partitions of the partition key");
    ok(c->properties.len == 51
       && memmem(c->properties.data, c->properties.len, "mmap.enabled", 12)
       && memmem(c->properties.data, c->properties.len,
                 "collection.ttl.seconds", 22), "properties, mmap");
    is_str(f[0]->description, "the key", "a field's description");
    is_int(f[0]->is_primary_key, 1, "primary key");
    ok(f[1]->data_type == 22 && f[1]->element_type == 4
       && f[1]->n_type_params == 1
       && strcmp(f[1]->type_params[0]->key, "max_capacity") == 0,
       "an array of int32, its capacity");
    is_int(f[2]->is_partition_key, 1, "partition key");

    milvus__schema__collection_schema__free_unpacked(s, NULL);
    cdc_meta_destroy(&m);
    forget();
}


/* ---- 2.4: vectors of other types, clustering key --- */

static void
test_2_4(void)
{
    const cdc_meta_collection_t       *c;
    Milvus__Schema__FieldSchema        f;
    Milvus__Schema__CollectionSchema   head, *s;

    start();

    milvus__schema__collection_schema__init(&head);
    head.name = "c";
    head.autoid = 1;
    head.description = "2.4";

    {
        uint8_t  buf[64];
        size_t   len;

        len = milvus__schema__collection_schema__pack(&head, buf);
        put_collection((char *) buf, len, "", 0);
    }

    put_system_fields();

    f = field(100, "id", 5);
    f.is_primary_key = 1;
    f.autoid = 1;
    put_field(&f, "", 0);
    f = field(101, "sparse", 104);
    put_field(&f, "", 0);
    f = field(102, "half", 102);
    put_field(&f, "", 0);
    f = field(103, "when", 5);
    f.is_clustering_key = 1;
    put_field(&f, "", 0);
    put_partition(11, "_default");
    list();

    c = cdc_meta_by_id(&m, 7);
    s = schema_of(7);

    if (!ok(c != NULL && s != NULL && s->n_fields == 4, "2.4")) {
        return;
    }

    ok(s->autoid && s->fields[0]->autoid, "automatic ids");
    is_int(s->enable_dynamic_field, 0, "not dynamic");
    ok(s->fields[1]->data_type == 104 && s->fields[2]->data_type == 102,
       "sparse and half vectors");
    is_int(s->fields[3]->is_clustering_key, 1, "clustering key");
    is_int(c->consistency_level, 3, "consistency level Eventually");
    is_int(c->num_partitions, 0, "no partition key");
    ok(c->name_ts == 1000 && c->changed_ts == 0, "no history");
    ok(memmem(c->properties.data, c->properties.len,
              "partitionkey.isolation", 22) != NULL, "properties");

    milvus__schema__collection_schema__free_unpacked(s, NULL);
    cdc_meta_destroy(&m);
    forget();
}


/* ---- 2.5: null, defaults, functions; and what is newer still --- */

static void
test_field_change(void)
{
    Milvus__Schema__FieldSchema  f;

    log_[0] = '\0';
    f = field(103, "stock", 5);
    f.nullable = 1;
    put_field(&f, "", 0);
    feed(CDC_ETCD_EVENTS, &kvs[nkvs - 1], 1, 0, 0);
    is_str(told(), "+default.c ", "a field changes");
    feed(CDC_ETCD_EVENTS, &kvs[nkvs - 1], 1, 0, 0);
    is_str(told(), "", "the same again");
}


static void
test_2_5(void)
{
    char                              *in[] = { "text" }, *out[] = { "bm25" };
    int64_t                            in_id = 101, out_id = 102;
    const cdc_meta_collection_t       *c;
    Milvus__Schema__ValueField         value;
    Milvus__Schema__FieldSchema        f;
    Milvus__Common__KeyValuePair       p, *params[1];
    Milvus__Schema__FunctionSchema     fn;
    Milvus__Schema__CollectionSchema  *s;

    /* CollectionSchema{name, dbName, version}, no enable_dynamic_field, and
     * CollectionInfo.UpdateTimestamp */

    static const char  head[] = "\012\001c\102\002d9\120\003";

    /* fields that this build does not know: type_schema, element_nullable */

    static const char  newer[] = "\222\001\002\010\005\230\001\001";

    start();
    put_collection(head, sizeof(head) - 1, "\200\001\320\017", 4);
    put_system_fields();

    milvus__common__key_value_pair__init(&p);
    p.key = "enable_analyzer";
    p.value = "true";
    params[0] = &p;

    f = field(100, "id", 21);
    f.is_primary_key = 1;
    put_field(&f, "", 0);
    f = field(101, "text", 21);
    f.n_type_params = 1;
    f.type_params = params;
    put_field(&f, "", 0);
    f = field(102, "bm25", 104);
    f.is_function_output = 1;
    put_field(&f, "", 0);

    milvus__schema__value_field__init(&value);
    value.data_case = MILVUS__SCHEMA__VALUE_FIELD__DATA_LONG_DATA;
    value.long_data = 0;
    f = field(103, "stock", 5);
    f.nullable = 1;
    f.default_value = &value;
    put_field(&f, newer, sizeof(newer) - 1);

    f = field(104, "$meta", 23);
    f.is_dynamic = 1;
    put_field(&f, "", 0);

    milvus__schema__function_schema__init(&fn);
    fn.name = "f";
    fn.id = 100;
    fn.type = 1;
    fn.n_input_field_names = fn.n_input_field_ids = 1;
    fn.input_field_names = in;
    fn.input_field_ids = &in_id;
    fn.n_output_field_names = fn.n_output_field_ids = 1;
    fn.output_field_names = out;
    fn.output_field_ids = &out_id;
    put_msg("root-coord/functions/7/100", &fn, "", 0);
    put_partition(11, "_default");
    list();

    c = cdc_meta_by_id(&m, 7);
    s = schema_of(7);

    if (!ok(c != NULL && s != NULL && s->n_fields == 4
            && s->n_functions == 1, "2.5"))
    {
        return;
    }

    is_int(s->enable_dynamic_field, 1, "dynamic, by its field");
    is_str(s->dbname, "", "its database is not part of the schema");
    is_str(s->fields[1]->type_params[0]->key, "enable_analyzer", "analyzer");
    ok(s->fields[2]->is_function_output, "a function's output field");
    ok(s->fields[3]->nullable && s->fields[3]->default_value != NULL
       && s->fields[3]->default_value->data_case
          == MILVUS__SCHEMA__VALUE_FIELD__DATA_LONG_DATA,
       "nullable, and a default that is zero");
    ok(strcmp(s->functions[0]->name, "f") == 0 && s->functions[0]->type == 1
       && strcmp(s->functions[0]->input_field_names[0], "text") == 0
       && strcmp(s->functions[0]->output_field_names[0], "bm25") == 0,
       "a function");
    ok(schema_has(7, newer, sizeof(newer) - 1) && schema_has(7, "\120\003", 2),
       "what is not known is kept");
    is_int((int64_t) c->changed_ts, 2000, "it tells when it was changed");

    milvus__schema__collection_schema__free_unpacked(s, NULL);
    test_field_change();
    cdc_meta_destroy(&m);
    forget();
}


/* ---- databases --- */

static void
test_database(void)
{
    const cdc_meta_db_t  *db;

    static const sample_t  made = {
        0, 0, "root-coord/database/db-info/5", 10,
        "\022\002d5\030\005 \001\050\007"
    };
    static const sample_t  changed[] = {
        { 0, 0, "root-coord/database/db-info/5", 18,
          "\022\002d5\030\005 \001\050\007\062\006\012\001k\022\001v" },
        { 0, 0, "snapshots/root-coord/database/db-info/5_ts77", 18,
          "\022\002d5\030\005 \001\050\007\062\006\012\001k\022\001v" }
    };

    start();
    feed(CDC_ETCD_LIST, &made, 1, 1, 1);
    is_str(told(), "+db:d5 listed ", "a database");
    feed(CDC_ETCD_EVENTS, changed, 2, 0, 0);
    is_str(told(), "+db:d5 ", "its properties change");

    db = cdc_meta_db_by_name(&m, cdc_span("d5"));
    ok(db->changed_ts == 77 && db->properties.len == 8
       && memcmp(db->properties.data, "\032\006\012\001k\022\001v", 8) == 0,
       "as fields 3, and since when");

    feed(CDC_ETCD_EVENTS, changed, 2, 0, 0);
    is_str(told(), "", "the same again");
    cdc_meta_destroy(&m);
}


/* ---- requests --- */

static void
put_index(int64_t id, int64_t field_id, const char *name, int automatic,
    const char *type, const char *metric)
{
    char                           key[64];
    size_t                         n;
    Milvus__Meta__FieldIndex       index;
    Milvus__Meta__IndexInfo        info;
    Milvus__Common__KeyValuePair   p1, p2, *params[2];

    milvus__common__key_value_pair__init(&p1);
    milvus__common__key_value_pair__init(&p2);
    p1.key = "index_type";
    p1.value = (char *) type;
    p2.key = "metric_type";
    p2.value = (char *) metric;
    params[0] = &p1;
    params[1] = &p2;
    n = metric != NULL ? 2 : 1;

    milvus__meta__index_info__init(&info);
    info.collectionid = 7;
    info.fieldid = field_id;
    info.index_name = (char *) name;
    info.indexid = id;
    info.n_index_params = n;
    info.index_params = params;
    info.is_auto_index = automatic;

    milvus__meta__field_index__init(&index);
    index.index_info = &info;

    (void) snprintf(key, sizeof(key), "field-index/7/%d", (int) id);
    put_msg(key, &index, "", 0);
}


static void
put_replica(int id, const char *group)
{
    char                    key[64];
    Milvus__Meta__Replica   r;

    milvus__meta__replica__init(&r);
    r.id = id;
    r.collectionid = 7;
    r.resource_group = (char *) group;

    (void) snprintf(key, sizeof(key), "querycoord-replica/7/%d", id);
    put_msg(key, &r, "", 0);
}


static void
put_load(int32_t type, int32_t replicas, int64_t *fields, size_t n)
{
    Milvus__Meta__CollectionLoadInfo  info;

    milvus__meta__collection_load_info__init(&info);
    info.collectionid = 7;
    info.replica_number = replicas;
    info.load_type = type;
    info.n_load_fields = n;
    info.load_fields = fields;

    put_msg("querycoord-collection-loadinfo/7", &info, "", 0);
}


/* fields id, vec, tag and the dynamic one */

static void
put_small(void)
{
    Milvus__Schema__FieldSchema  f;

    put_collection("\012\001c", 3, "", 0);
    f = field(100, "id", 5);
    f.is_primary_key = 1;
    put_field(&f, "", 0);
    f = field(101, "vec", 101);
    put_field(&f, "", 0);
    f = field(102, "tag", 21);
    put_field(&f, "", 0);
    f = field(103, "$meta", 23);
    f.is_dynamic = 1;
    put_field(&f, "", 0);
    put_partition(11, "_default");
}


/* the load request for this state, decoded */

static const char *
load(int32_t type, int32_t replicas, int64_t *fields, size_t n,
    const char *groups)
{
    int           id;
    const char   *hex;
    char          group[2] = "";
    static char   text[256];

    start();
    put_small();
    put_load(type, replicas, fields, n);

    for (id = 1; groups[id - 1] != '\0'; id++) {
        group[0] = groups[id - 1];
        put_replica(id, group[0] == '-' ? "__default_resource_group"
                                        : group);
    }

    if (type == 1) {
        put("querycoord-partition-loadinfo/7/11", "\010\007\020\013", 4);
    }

    list();
    hex = requests_of(7);

    /* what follows base, database and name */

    hex = strstr(hex, "1a0163");
    (void) snprintf(text, sizeof(text), "%s", hex != NULL ? hex + 6 : "none");

    cdc_meta_destroy(&m);
    forget();

    return text;
}


static void
test_load(void)
{
    int64_t  all[] = { 100, 101, 102, 103 }, some[] = { 100, 101, 103 },
             fixed[] = { 0, 1, 100, 101, 102 }, few[] = { 100, 101 };

    is_str(load(2, 0, NULL, 0, ""), "2001\n", "one replica");
    is_str(load(2, 2, NULL, 0, "--"), "2002\n", "the default group");
    is_str(load(2, 2, NULL, 0, "aa"), "20022a0161\n", "all in one group");
    is_str(load(2, 2, NULL, 0, "ab"), "20022a01612a0162\n", "in two groups");
    is_str(load(2, 2, NULL, 0, "a-"), "20022a01612a18"
           "5f5f64656661756c745f7265736f757263655f67726f7570\n",
           "one of which is the default one");
    is_str(load(2, 3, NULL, 0, "ab"), "2003\n", "a replica is on its way");
    is_str(load(2, 1, all, 4, ""), "2001\n", "all fields");
    is_str(load(2, 1, some, 3, ""), "20013a0269643a03766563\n",
           "some, and the dynamic one");
    is_str(load(2, 1, fixed, 5, ""), "20014001\n",
           "all but the dynamic one");
    is_str(load(2, 1, few, 2, "a"), "20012a01613a0269643a037665634001\n",
           "some, without the dynamic one, in a group");
    is_str(load(1, 1, few, 2, "a"),
           "22085f64656661756c742801320161420269644203766563"
           "4801\n", "a partition: the same, one number further");
}


static void
test_index(void)
{
    start();
    put_small();
    put_index(21, 101, "v", 1, "HNSW", "COSINE");
    put_index(22, 102, "t", 1, "INVERTED", NULL);
    list();
    is_str(requests_of(7),
           "300 default.c vec v index_type=AUTOINDEX metric_type=COSINE\n"
           "300 default.c tag t\n", "automatic indexes without parameters");
    cdc_meta_destroy(&m);
    forget();

    start();
    put_small();
    put_index(21, 101, "v", 0, "HNSW", "COSINE");
    list();
    is_str(requests_of(7),
           "300 default.c vec v index_type=HNSW metric_type=COSINE\n",
           "and one that is not");
    cdc_meta_destroy(&m);
    forget();
}


int
main(void)
{
    cdc_log_init("", NULL, CDC_LOG_ERR);

    test_2_3();
    test_2_4();
    test_2_5();
    test_database();
    test_load();
    test_index();

    return done_testing();
}
