/*
 * Messages as Milvus 2.4 and 2.5 write them: what this project has no field
 * for has to arrive on the target byte for byte.
 */

#include "test_wire_insert.h"


#define ROWS  3

/* fields that come after those that we know: 16 namespace, 4000 */
#define LATER  "\x82\x01\x02" "ns" "\x82\xfa\x01\x03" "xyz"

typedef Milvus__Msg__ImportMsg  import_t;


static Milvus__Common__MsgBase        new_base;
static Milvus__Common__KeyValuePair   property;
static insert_t                       later;
static column_t                       later_columns[5];
static Milvus__Schema__ScalarField    later_scalars[3];
static Milvus__Schema__VectorField    later_vectors[2];


/* a key, a nullable number, $meta, a sparse vector, an int8 vector; a BM25
 * function's output is no part of the row, it is computed where it is read */

static void
test_make_columns(void)
{
    int  i;

    static const char    *titles[] = { "pk", "maybe", "$meta", "sparse",
                                       "int8" };
    static const int32_t  types[] = { 21, 5, 23, 104, 105 };

    for (i = 0; i < 5; i++) {
        milvus__schema__field_data__init(&later_columns[i]);
        later_columns[i].field_id = 100 + i;
        later_columns[i].field_name = (char *) titles[i];
        later_columns[i].type = types[i];

        if (i < 3) {
            milvus__schema__scalar_field__init(&later_scalars[i]);
            later_columns[i].scalars = &later_scalars[i];
            later_columns[i].field_case =
                                   MILVUS__SCHEMA__FIELD_DATA__FIELD_SCALARS;

        } else {
            milvus__schema__vector_field__init(&later_vectors[i - 3]);
            later_columns[i].vectors = &later_vectors[i - 3];
            later_columns[i].field_case =
                                   MILVUS__SCHEMA__FIELD_DATA__FIELD_VECTORS;
        }
    }

    later_columns[2].is_dynamic = 1;
}


static void
test_make_keys(int64_t *pks, char **text)
{
    static Milvus__Schema__LongArray    longs_of;
    static Milvus__Schema__StringArray  strings_of;

    milvus__schema__long_array__init(&longs_of);
    milvus__schema__string_array__init(&strings_of);

    if (pks) {
        longs_of.n_data = ROWS;
        longs_of.data = pks;
        later_scalars[0].data_case =
                                MILVUS__SCHEMA__SCALAR_FIELD__DATA_LONG_DATA;
        later_scalars[0].long_data = &longs_of;
        later_columns[0].type = 5;
        return;
    }

    strings_of.n_data = ROWS;
    strings_of.data = text;
    later_scalars[0].data_case =
                              MILVUS__SCHEMA__SCALAR_FIELD__DATA_STRING_DATA;
    later_scalars[0].string_data = &strings_of;
}


static void
test_make_values(void)
{
    int  i;

    static int64_t                   values[ROWS] = { 5, 0, 7 };
    static protobuf_c_boolean        valid[ROWS] = { 1, 0, 1 };
    static ProtobufCBinaryData       metas[ROWS], points[ROWS];
    static Milvus__Schema__LongArray         numbers;
    static Milvus__Schema__BytesArray        jsons;
    static Milvus__Schema__SparseFloatArray  sparse;

    milvus__schema__long_array__init(&numbers);
    milvus__schema__bytes_array__init(&jsons);
    milvus__schema__sparse_float_array__init(&sparse);

    for (i = 0; i < ROWS; i++) {
        metas[i].data = (uint8_t *) "{\"a\": 1}";
        metas[i].len = 8;
        points[i].data = (uint8_t *) "\x01\0\0\0\0\0\x80\x3f";
        points[i].len = 8;
    }

    numbers.n_data = ROWS;
    numbers.data = values;
    later_scalars[1].data_case = MILVUS__SCHEMA__SCALAR_FIELD__DATA_LONG_DATA;
    later_scalars[1].long_data = &numbers;
    later_columns[1].n_valid_data = ROWS;
    later_columns[1].valid_data = valid;

    jsons.n_data = ROWS;
    jsons.data = metas;
    later_scalars[2].data_case = MILVUS__SCHEMA__SCALAR_FIELD__DATA_JSON_DATA;
    later_scalars[2].json_data = &jsons;

    sparse.n_contents = ROWS;
    sparse.contents = points;
    sparse.dim = 2;
    later_vectors[0].dim = 2;
    later_vectors[0].data_case =
                       MILVUS__SCHEMA__VECTOR_FIELD__DATA_SPARSE_FLOAT_VECTOR;
    later_vectors[0].sparse_float_vector = &sparse;

    later_vectors[1].dim = 2;
    later_vectors[1].data_case =
                               MILVUS__SCHEMA__VECTOR_FIELD__DATA_INT8_VECTOR;
    later_vectors[1].int8_vector.data = (uint8_t *) "\1\2\3\4\5\6";
    later_vectors[1].int8_vector.len = 6;
}


static void
test_make_later(int64_t *pks, char **text)
{
    static uint64_t  times[ROWS] = { TEST_TS, TEST_TS, TEST_TS };
    static int64_t   rows[ROWS] = { 1, 2, 3 };
    static column_t *list[5] = { &later_columns[0], &later_columns[1],
                                 &later_columns[2], &later_columns[3],
                                 &later_columns[4] };
    static Milvus__Common__KeyValuePair  *properties[] = { &property };

    milvus__common__msg_base__init(&new_base);
    milvus__common__key_value_pair__init(&property);
    property.key = "k";
    property.value = "v";
    new_base.msg_type = CDC_MSG_INSERT;
    new_base.msgid = 450000000000000001;
    new_base.timestamp = TEST_TS;
    new_base.n_properties = 1;
    new_base.properties = properties;

    test_make_columns();
    test_make_keys(pks, text);
    test_make_values();

    milvus__msg__insert_request__init(&later);
    later.mbase = &new_base;
    later.shardname = "by-dev-rootcoord-dml_0_446v0";
    later.collection_name = "source";
    later.partition_name = "_default";
    later.dbid = 1;
    later.collectionid = 446;
    later.partitionid = 4461;
    later.n_timestamps = ROWS;
    later.timestamps = times;
    later.n_rowids = ROWS;
    later.rowids = rows;
    later.n_fields_data = 5;
    later.fields_data = list;
    later.num_rows = ROWS;
    later.version = 1;
}


/* columns byte for byte, unknown fields too */

static void
test_rows(const cdc_chain_t *c, const char *what)
{
    size_t       i, bad;
    insert_t    *got;
    cdc_span_t   a, b;

    got = test_unpack(&milvus__msg__insert_request__descriptor, c);

    if (!ok(got != NULL && got->n_fields_data == 5, "%s: is read", what)) {
        return;
    }

    for (i = 0, bad = 0; i < 5; i++) {
        a = test_pack(got->fields_data[i]);
        b = test_pack(&later_columns[i]);
        bad += a.len != b.len || memcmp(a.data, b.data, a.len) != 0;
        test_drop(a);
        test_drop(b);
    }

    is_int(bad, 0, "every column as it was");
    is_int(got->base.n_unknown_fields, 2, "fields of later versions as well");
    ok(got->mbase->n_properties == 1
       && strcmp(got->mbase->properties[0]->value, "v") == 0,
       "and properties of the base");
    ok(got->collectionid == 447 && got->partitionid == 448
       && strcmp(got->shardname, "t-dml_3_77v1") == 0, "the target's ids");
    test_free(got);
}


static void
test_insert(void)
{
    int64_t          pks[ROWS] = { 11, -12, 13 };
    cdc_span_t       msg, body;
    cdc_chain_t     *c;
    cdc_rewrite_t    rw;
    cdc_envelope_t   env;

    test_make_later(pks, NULL);
    body = test_pack(&later);
    msg = test_cat(body, cdc_span(LATER));
    test_drop(body);

    is_int(cdc_wire_envelope(msg, &env), CDC_OK, "an insert of 2.5");
    is_int(env.rows, ROWS, "its rows");

    rw = rewrite;
    c = cdc_chain_create();
    is_int(cdc_wire_rewrite(c, &env, &rw), CDC_OK, "rewritten");
    test_rows(c, "rewritten");
    cdc_chain_unref(c);

    rw.stamp = TEST_STAMP;
    c = cdc_chain_create();
    is_int(cdc_wire_rewrite(c, &env, &rw), CDC_OK, "rewritten at a stamp");
    test_rows(c, "at a stamp");
    cdc_chain_unref(c);
    test_drop(msg);
}


static void
test_keys(int number)
{
    int             i, bad;
    char           *text[ROWS] = { "a", "", "long key" };
    int64_t         pks[ROWS] = { 11, -12, 13 };
    delete_t       *got;
    cdc_span_t      msg;
    cdc_chain_t    *c;
    cdc_rewrite_t   rw;
    cdc_envelope_t  env;

    test_make_later(number ? pks : NULL, text);
    msg = test_pack(&later);
    (void) cdc_wire_envelope(msg, &env);

    rw = rewrite;
    rw.stamp = TEST_STAMP;
    c = cdc_chain_create();
    is_int(cdc_wire_delete_of_insert(c, &env, &rw, 100), CDC_OK,
           number ? "keys of 2.5, numbers" : "keys of 2.5, strings");

    got = test_unpack(&milvus__msg__delete_request__descriptor, c);
    bad = got == NULL || got->num_rows != ROWS || got->n_timestamps != ROWS;

    for (i = 0; !bad && i < ROWS; i++) {
        bad += number ? got->primary_keys->int_id->data[i] != pks[i]
                      : strcmp(got->primary_keys->str_id->data[i],
                               text[i]) != 0;
    }

    is_int(bad, 0, "all of them");
    test_free(got);
    cdc_chain_unref(c);
    test_drop(msg);
}


/* 2.4 adds segment_id, later ones an expression: both go on */

static void
test_delete(void)
{
    delete_t         del, *got;
    cdc_span_t       msg, body;
    cdc_chain_t     *c;
    cdc_rewrite_t    rw;
    cdc_envelope_t   env;

    char                         *text[2] = { "a", "b" };
    uint64_t                      times[2] = { TEST_TS, TEST_TS };
    Milvus__Schema__IDs           list = MILVUS__SCHEMA__IDS__INIT;
    Milvus__Schema__StringArray   k = MILVUS__SCHEMA__STRING_ARRAY__INIT;

    k.n_data = 2;
    k.data = text;
    list.id_field_case = MILVUS__SCHEMA__IDS__ID_FIELD_STR_ID;
    list.str_id = &k;

    milvus__msg__delete_request__init(&del);
    new_base.msg_type = CDC_MSG_DELETE;
    del.mbase = &new_base;
    del.collectionid = 446;
    del.partitionid = -1;
    del.n_timestamps = 2;
    del.timestamps = times;
    del.num_rows = 2;
    del.primary_keys = &list;

    body = test_pack(&del);
    msg = test_cat(body, cdc_span("\x68\x07" "\x72\x03" "pln"));
    test_drop(body);

    is_int(cdc_wire_envelope(msg, &env), CDC_OK, "a delete of later versions");
    rw = rewrite;
    rw.partition_id = -1;
    c = cdc_chain_create();
    is_int(cdc_wire_rewrite(c, &env, &rw), CDC_OK, "rewritten");
    got = test_unpack(&milvus__msg__delete_request__descriptor, c);
    ok(got && got->base.n_unknown_fields == 2 && got->partitionid == -1
       && strcmp(got->primary_keys->str_id->data[1], "b") == 0,
       "keys and unknown fields as they were");
    test_free(got);
    cdc_chain_unref(c);
    test_drop(msg);
}


/* ---- import -------------------------------------------------------- */

static cdc_span_t
test_make_import(void)
{
    import_t    m;
    cdc_span_t  msg, all;

    static char     *paths[] = { "files/1.parquet" };
    static int64_t   partitions[] = { 4461, 4462, 4463 };

    static Milvus__Msg__ImportFile           file, *files[] = { &file };
    static Milvus__Common__KeyValuePair      option, *options[] = { &option };
    static Milvus__Schema__CollectionSchema  schema;

    milvus__msg__import_file__init(&file);
    file.id = 9;
    file.n_paths = 1;
    file.paths = paths;
    milvus__common__key_value_pair__init(&option);
    option.key = "timeout";
    option.value = "1h";
    milvus__schema__collection_schema__init(&schema);
    schema.name = "source";

    milvus__msg__import_msg__init(&m);
    new_base.msg_type = CDC_MSG_IMPORT;
    m.mbase = &new_base;
    m.db_name = "db1";
    m.collection_name = "source";
    m.collectionid = 446;
    m.n_partitionids = 3;
    m.partitionids = partitions;
    m.n_options = 1;
    m.options = options;
    m.n_files = 1;
    m.files = files;
    m.schema = &schema;
    m.jobid = 77;

    msg = test_pack(&m);
    all = test_cat(msg, cdc_span("\x52\x01x"));
    test_drop(msg);

    return all;
}


static void
test_import(void)
{
    int              i;
    int64_t          ids[3];
    unsigned         n;
    import_t        *got;
    cdc_span_t       msg;
    cdc_chain_t     *c;
    cdc_rewrite_t    rw;
    cdc_envelope_t   env;

    static const int64_t  theirs[] = { 91, 92, 93 };

    msg = test_make_import();
    is_int(cdc_wire_envelope(msg, &env), CDC_OK, "an import");
    is_int(env.collection_id, 446, "its collection");
    is_int(cdc_wire_import_partitions(&env, ids, 3, &n), CDC_OK,
           "its partitions");
    ok(n == 3 && ids[0] == 4461 && ids[1] == 4462 && ids[2] == 4463,
       "in order");
    is_int(cdc_wire_import_partitions(&env, ids, 2, &n), CDC_DECLINED,
           "more than there is room for");

    rw = rewrite;
    rw.partition_ids = theirs;

    for (i = 2; i <= 4; i++) {
        rw.npartition_ids = (unsigned) i;
        c = cdc_chain_create();
        is_int(cdc_wire_rewrite(c, &env, &rw), i == 3 ? CDC_OK : CDC_ERROR,
               i == 3 ? "rewritten" : "another number of partitions");

        if (i != 3) {
            is_int(cdc_chain_bytes(c), 0, "nothing added");
            cdc_chain_unref(c);
            continue;
        }

        got = test_unpack(&milvus__msg__import_msg__descriptor, c);
        ok(got && strcmp(got->db_name, "db2") == 0
           && strcmp(got->collection_name, "books") == 0
           && got->collectionid == 447 && got->n_partitionids == 3
           && got->partitionids[0] == 91 && got->partitionids[2] == 93
           && got->mbase->timestamp == TEST_TS, "for the target");
        ok(got && strcmp(got->files[0]->paths[0], "files/1.parquet") == 0
           && strcmp(got->options[0]->value, "1h") == 0 && got->jobid == 77
           && strcmp(got->schema->name, "source") == 0
           && got->base.n_unknown_fields == 1, "the rest as it was");
        test_free(got);
        cdc_chain_unref(c);
    }

    test_drop(msg);

    /* unpacked, and one at a time with packed ones */

    msg = cdc_span("\x0a\x03\x08\x98\x03" "\x28\x05" "\x2a\x02\x06\x07");
    ok(cdc_wire_envelope(msg, &env) == CDC_OK
       && cdc_wire_import_partitions(&env, ids, 3, &n) == CDC_OK
       && n == 3 && ids[0] == 5 && ids[1] == 6 && ids[2] == 7,
       "either way of writing a list");

    msg = cdc_span("\x0a\x03\x08\x98\x03" "\x2a\x02\x06\x87");
    ok(cdc_wire_envelope(msg, &env) == CDC_OK
       && cdc_wire_import_partitions(&env, ids, 3, &n) == CDC_ERROR,
       "a damaged list");

    test_make_later(ids, NULL);
    msg = test_pack(&later);
    (void) cdc_wire_envelope(msg, &env);
    is_int(cdc_wire_import_partitions(&env, ids, 3, &n), CDC_ERROR,
           "no import");
    test_drop(msg);
}


int
main(void)
{
    test_insert();
    test_keys(1);
    test_keys(0);
    test_delete();
    test_import();

    return done_testing();
}
