/*
 * Data channel messages (src/wire/cdc_wire_data.c, cdc_wire_settle.c).
 */

#include "test_wire.h"
#include "milvus_msg.pb-c.h"
#include "milvus_service.pb-c.h"


#define UNKNOWN  "\xf8\x06\x07" "\x82\xfa\x01\x03" "xyz"   /* 111, 4000 */

typedef Milvus__Msg__InsertRequest          insert_t;
typedef Milvus__Msg__DeleteRequest          delete_t;
typedef Milvus__Msg__DropCollectionRequest  drop_collection_t;
typedef Milvus__Msg__DropPartitionRequest   drop_partition_t;
typedef Milvus__Schema__FieldData           column_t;


static Milvus__Common__MsgBase      base;
static insert_t                     insert;
static column_t                     columns[3];
static Milvus__Schema__ScalarField  scalars[2];
static Milvus__Schema__VectorField  vectors;
static Milvus__Schema__LongArray    longs;
static Milvus__Schema__StringArray  strings;
static Milvus__Schema__FloatArray   floats;

static uint64_t  stamps[TEST_ROWS];
static int64_t   ids[TEST_ROWS], keys[TEST_ROWS];
static char      names[TEST_ROWS][16];
static char     *name_list[TEST_ROWS];
static float     values[TEST_ROWS * TEST_DIM];


static const cdc_rewrite_t  rewrite = {
    .db_name = { (const uint8_t *) "db2", 3 },
    .collection_name = { (const uint8_t *) "books", 5 },
    .partition_name = { (const uint8_t *) "part2", 5 },
    .shard_name = { (const uint8_t *) "t-dml_3_77v1", 12 },
    .collection_id = 447,
    .partition_id = 448,
};


/* as Milvus 2.3 writes an insert (proto-facts 8) */

static void
test_make_insert(void)
{
    size_t  i;

    static column_t  *list[3] = { &columns[0], &columns[1], &columns[2] };

    for (i = 0; i < TEST_ROWS; i++) {
        stamps[i] = TEST_TS;
        ids[i] = 446912345678900000 + (int64_t) i;
        keys[i] = (int64_t) (i * i) - 500;
        (void) snprintf(names[i], sizeof(names[i]), "key-%zu", i);
        name_list[i] = names[i];
    }

    for (i = 0; i < TEST_ROWS * TEST_DIM; i++) {
        values[i] = (float) i / 3;
    }

    milvus__common__msg_base__init(&base);
    base.msg_type = CDC_MSG_INSERT;
    base.msgid = 446912345678000001;
    base.timestamp = TEST_TS;
    base.sourceid = 1;

    milvus__schema__long_array__init(&longs);
    longs.n_data = TEST_ROWS;
    longs.data = keys;

    milvus__schema__string_array__init(&strings);
    strings.n_data = TEST_ROWS;
    strings.data = name_list;

    milvus__schema__float_array__init(&floats);
    floats.n_data = TEST_ROWS * TEST_DIM;
    floats.data = values;

    milvus__schema__scalar_field__init(&scalars[0]);
    scalars[0].data_case = MILVUS__SCHEMA__SCALAR_FIELD__DATA_LONG_DATA;
    scalars[0].long_data = &longs;

    milvus__schema__scalar_field__init(&scalars[1]);
    scalars[1].data_case = MILVUS__SCHEMA__SCALAR_FIELD__DATA_STRING_DATA;
    scalars[1].string_data = &strings;

    milvus__schema__vector_field__init(&vectors);
    vectors.dim = TEST_DIM;
    vectors.data_case = MILVUS__SCHEMA__VECTOR_FIELD__DATA_FLOAT_VECTOR;
    vectors.float_vector = &floats;

    for (i = 0; i < 3; i++) {
        milvus__schema__field_data__init(&columns[i]);
        columns[i].field_id = 100 + (int64_t) i;
        columns[i].field_name = i == 0 ? "id" : i == 1 ? "name" : "vec";
        columns[i].type = i == 0 ? 5 : i == 1 ? 21 : 101;
        columns[i].field_case = i == 2
                                ? MILVUS__SCHEMA__FIELD_DATA__FIELD_VECTORS
                                : MILVUS__SCHEMA__FIELD_DATA__FIELD_SCALARS;

        if (i == 2) {
            columns[i].vectors = &vectors;

        } else {
            columns[i].scalars = &scalars[i];
        }
    }

    milvus__msg__insert_request__init(&insert);
    insert.mbase = &base;
    insert.shardname = "by-dev-rootcoord-dml_0_446v0";
    insert.collection_name = "source";
    insert.partition_name = "_default";
    insert.collectionid = 446;
    insert.partitionid = 4461;
    insert.segmentid = 4462;
    insert.n_timestamps = TEST_ROWS;
    insert.timestamps = stamps;
    insert.n_rowids = TEST_ROWS;
    insert.rowids = ids;
    insert.n_fields_data = 3;
    insert.fields_data = list;
    insert.num_rows = TEST_ROWS;
    insert.version = 1;
}


static delete_t
test_make_delete(Milvus__Common__MsgBase *b, Milvus__Schema__IDs *list)
{
    delete_t  del;

    milvus__common__msg_base__init(b);
    b->msg_type = CDC_MSG_DELETE;
    b->msgid = 77;
    b->timestamp = TEST_TS;

    milvus__schema__ids__init(list);
    list->id_field_case = MILVUS__SCHEMA__IDS__ID_FIELD_INT_ID;
    list->int_id = &longs;

    milvus__msg__delete_request__init(&del);
    del.mbase = b;
    del.shardname = "by-dev-rootcoord-dml_0_446v0";
    del.collection_name = "source";
    del.collectionid = 446;
    del.partitionid = -1;
    del.n_timestamps = TEST_ROWS;
    del.timestamps = stamps;
    del.num_rows = TEST_ROWS;
    del.primary_keys = list;

    return del;
}


static void
test_envelope(void)
{
    delete_t                 del;
    cdc_span_t               msg;
    cdc_envelope_t           env;
    Milvus__Schema__IDs      list;
    Milvus__Common__MsgBase  b;

    /* the sample of 17 bytes that a Milvus 2.3 sends */

    msg = cdc_span("\x0a\x0f\x08\xb0\x09\x18"
                   "\x83\xe0\xb5\xcf\x91\x8d\xf0\x99\x06"
                   "\x20\x01");

    ok(msg.len == 17 && cdc_wire_envelope(msg, &env) == CDC_OK, "a tick");
    is_int(env.type, CDC_MSG_TIME_TICK, "its type");
    ok(env.ts == TEST_TS, "its time");
    is_int(env.collection_id, 0, "no collection");

    msg = test_pack(&insert);
    ok(cdc_wire_envelope(msg, &env) == CDC_OK, "an insert");
    is_int(env.type, CDC_MSG_INSERT, "its type");
    ok(env.ts == TEST_TS, "its time");
    is_int(env.collection_id, 446, "its collection");
    is_int(env.partition_id, 4461, "its partition");
    is_int(env.rows, TEST_ROWS, "its rows");
    ok(test_span_is(env.shard_name, insert.shardname), "its shard");
    ok(env.raw.data == msg.data && env.raw.len == msg.len, "borrowed");
    test_drop(msg);

    insert.num_rows = 0;
    msg = test_pack(&insert);
    insert.num_rows = TEST_ROWS;
    ok(cdc_wire_envelope(msg, &env) == CDC_OK && env.rows == TEST_ROWS,
       "timestamps counted where num_rows is missing");
    test_drop(msg);

    del = test_make_delete(&b, &list);
    msg = test_pack(&del);
    ok(cdc_wire_envelope(msg, &env) == CDC_OK, "a delete");
    is_int(env.partition_id, -1, "no partition");
    is_int(env.collection_id, 446, "its collection");
    is_int(env.rows, TEST_ROWS, "its rows");
    test_drop(msg);

    /* rows as claimed, each at its own number */

    ok(cdc_wire_envelope(cdc_span("\x0a\x03\x08\x91\x03\x58\x07\x70\x09"),
                         &env) == CDC_OK && env.rows == 7, "a delete's rows");
    ok(cdc_wire_envelope(cdc_span("\x0a\x03\x08\x90\x03\x58\x07\x70\x09"),
                         &env) == CDC_OK && env.rows == 9, "an insert's");

    /* MsgType 1212, and one from the future */

    msg = cdc_span("\x0a\x05\x08\xbc\x09\x18\x05\x12\x01x");
    ok(cdc_wire_envelope(msg, &env) == CDC_OK && env.type == CDC_MSG_REPLICATE
       && env.ts == 5, "another type");
    is_int(cdc_wire_rewrite(NULL, &env, &rewrite), CDC_DECLINED,
           "is not rewritten");

    ok(cdc_wire_envelope(cdc_span(""), &env) == CDC_OK && env.type == 0,
       "an empty message has no type");

    is_int(cdc_wire_envelope(cdc_span("\x08\x01"), &env), CDC_ERROR,
           "base is no number");
    is_int(cdc_wire_envelope(cdc_span("\x0a\x03\x0a\x01x"), &env), CDC_ERROR,
           "nor is a type a string");
    is_int(cdc_wire_envelope(cdc_span("\x0a\x03\x08\x90\x03\x12\x01x\x38\x07"
                                      "\x42\x01x"), &env), CDC_ERROR,
           "nor a partition id");
}


/* the result holds what the source held but for what rw changes */

static void
test_check_insert(const cdc_chain_t *c, const cdc_rewrite_t *rw,
    const char *what)
{
    size_t      i, bad;
    insert_t   *got;
    cdc_span_t  a, b;

    got = test_unpack(&milvus__msg__insert_request__descriptor, c);

    if (!ok(got != NULL, "%s: is read by protobuf-c", what)) {
        return;
    }

    bad = strcmp(got->db_name, "db2") != 0;
    bad += strcmp(got->collection_name, "books") != 0;
    bad += strcmp(got->shardname, "t-dml_3_77v1") != 0;
    bad += strcmp(got->partition_name, "_default") != 0;
    bad += got->collectionid != 447;
    bad += got->partitionid != rw->partition_id;
    bad += got->segmentid != 4462;
    bad += got->num_rows != TEST_ROWS;
    bad += got->version != 1;
    bad += got->n_timestamps != TEST_ROWS;
    bad += got->n_rowids != TEST_ROWS;
    bad += got->n_fields_data != 3;
    is_int(bad, 0, what);

    for (i = 0; !bad && i < TEST_ROWS; i++) {
        bad += got->timestamps[i] != (rw->stamp ? rw->stamp : TEST_TS);
        bad += got->rowids[i] != ids[i];
    }

    for (i = 0; !bad && i < 3; i++) {
        a = test_pack(got->fields_data[i]);
        b = test_pack(&columns[i]);
        bad += a.len != b.len || memcmp(a.data, b.data, a.len) != 0;
        test_drop(a);
        test_drop(b);
    }

    is_int(bad, 0, "  its rows");

    ok(got->mbase && got->mbase->msg_type == CDC_MSG_INSERT
       && got->mbase->sourceid == 1
       && got->mbase->timestamp == (rw->stamp ? rw->stamp : TEST_TS)
       && (got->mbase->msgid == base.msgid) == (rw->stamp == 0), "  its base");

    test_free(got);
}


static void
test_rewrite_insert(void)
{
    int             once;
    size_t          i;
    cdc_span_t      msg, span;
    cdc_chain_t    *c;
    cdc_envelope_t  env;
    cdc_rewrite_t   rw;

    msg = test_pack(&insert);
    (void) cdc_wire_envelope(msg, &env);

    c = cdc_chain_create();
    is_int(cdc_wire_rewrite(c, &env, &rewrite), CDC_OK, "rewrite");
    test_check_insert(c, &rewrite, "an insert for the target");

    is_int(cdc_chain_count(c), 2, "in two spans");

    once = 0;

    for (i = 0; i < cdc_chain_count(c); i++) {
        span = cdc_chain_span(c, i);
        once += span.data >= msg.data && span.data < msg.data + msg.len
                && span.len > msg.len - 200;
    }

    ok(once == 1, "one of them the source's own memory");
    cdc_chain_unref(c);

    rw = rewrite;
    rw.stamp = TEST_STAMP;
    c = cdc_chain_create();
    is_int(cdc_wire_rewrite(c, &env, &rw), CDC_OK, "rewrite at a stamp");
    test_check_insert(c, &rw, "an insert at a stamp");
    cdc_chain_unref(c);

    test_drop(msg);
}


/* bytes: the message with its 1,000 timestamps in another form */

static cdc_span_t
test_other_stamps(cdc_span_t msg, int packed)
{
    int           rc;
    size_t        i, n, one;
    uint8_t       buf[16], *p, *all;
    cdc_span_t    out;
    cdc_field_t   f;
    cdc_chain_t  *c;

    c = cdc_chain_create();
    one = cdc_wire_varint(buf, TEST_TS);
    rc = CDC_OK;
    n = 0;

    while (cdc_wire_next(&msg, &f) == CDC_OK) {
        if (f.number != 10) {
            rc |= cdc_chain_add(c, f.raw);
        }
    }

    if (packed) {
        all = malloc(TEST_ROWS * one);

        for (i = 0; i < TEST_ROWS; i++) {
            memcpy(all + i * one, buf, one);
        }

        rc |= cdc_chain_bytes_field(c, 10, cdc_span_n(all, one * 400));
        rc |= cdc_chain_bytes_field(c, 10,
                                    cdc_span_n(all + one * 400, one * 600));
        free(all);

    } else {
        for (i = 0; i < TEST_ROWS; i++) {
            rc |= cdc_chain_varint_field(c, 10, TEST_TS);
        }
    }

    ok(rc == CDC_OK, "timestamps %s", packed ? "packed in two" : "one by one");

    p = cdc_chain_flatten(c, &n);
    out = cdc_span_n(p, n);
    cdc_chain_unref(c);

    return out;
}


static void
test_stamp_forms(void)
{
    int             packed;
    cdc_span_t      msg, other;
    cdc_chain_t    *c;
    cdc_envelope_t  env;
    cdc_rewrite_t   rw;

    msg = test_pack(&insert);

    for (packed = 0; packed < 2; packed++) {
        other = test_other_stamps(msg, packed);
        is_int(cdc_wire_envelope(other, &env), CDC_OK, "read");

        c = cdc_chain_create();
        (void) cdc_wire_rewrite(c, &env, &rewrite);
        test_check_insert(c, &rewrite, "kept");
        cdc_chain_unref(c);

        rw = rewrite;
        rw.stamp = TEST_STAMP;
        c = cdc_chain_create();
        (void) cdc_wire_rewrite(c, &env, &rw);
        test_check_insert(c, &rw, "stamped");
        cdc_chain_unref(c);

        test_drop(other);
    }

    /* a number of rows that is not there must not become an allocation */

    other = test_cat(msg, cdc_span("\x70\xff\xff\xff\xff\xff\xff\xff\x7f"));
    is_int(cdc_wire_envelope(other, &env), CDC_OK, "rows that are not there");
    rw.stamp = TEST_STAMP;
    c = cdc_chain_create();
    (void) cdc_chain_copy(c, cdc_span("before"));
    is_int(cdc_wire_rewrite(c, &env, &rw), CDC_ERROR, "cannot be stamped");
    is_int(cdc_wire_delete_of_insert(c, &env, &rw, 100), CDC_ERROR,
           "nor deleted");
    ok(test_same(c, cdc_span("before")), "and leave no trace");
    cdc_chain_unref(c);
    test_drop(other);
    test_drop(msg);
}


static void
test_unknown(void)
{
    int             i;
    size_t          nunknown;
    insert_t       *got;
    cdc_span_t      msg, pieces[3], all;
    cdc_chain_t    *c;
    cdc_envelope_t  env;
    cdc_rewrite_t   rw;

    /* unknown fields before base, behind it, and at the end; base at the
     * end, and twice; each replaced field twice, too */

    msg = test_pack(&insert);
    pieces[0] = test_cat(cdc_span(UNKNOWN), msg);
    pieces[1] = test_cat(msg, cdc_span(UNKNOWN "\x1a\x03old\x38\x05"));

    /* base{type 401, timestamp 5}, merged with what follows */

    pieces[2] = test_cat(cdc_span("\x12\x03old\x1a\x03old\x22\x03old\x38\x01"
                                  "\x40\x02\x0a\x05\x08\x91\x03\x18\x05"
                                  UNKNOWN), msg);

    for (i = 0; i < 3; i++) {
        all = pieces[i];
        rw = rewrite;
        rw.stamp = i == 1 ? TEST_STAMP : 0;

        c = cdc_chain_create();

        ok(cdc_wire_envelope(all, &env) == CDC_OK
           && env.type == CDC_MSG_INSERT && env.ts == TEST_TS
           && env.collection_id == (i == 1 ? 5 : 446), "the last one counts");
        is_int(cdc_wire_rewrite(c, &env, &rw), CDC_OK, "rewrite");
        test_check_insert(c, &rw, "with fields that we do not know");

        got = test_unpack(&milvus__msg__insert_request__descriptor, c);
        nunknown = got ? got->base.n_unknown_fields : 0;
        ok(nunknown == 2 && got->base.unknown_fields[0].tag == 111
           && got->base.unknown_fields[1].tag == 4000
           && memcmp(got->base.unknown_fields[1].data, "\x03xyz", 4) == 0,
           "  they survive");
        test_free(got);
        cdc_chain_unref(c);
    }

    for (i = 0; i < 3; i++) {
        test_drop(pieces[i]);
    }

    test_drop(msg);
}


static void
test_rewrite_delete(void)
{
    int                      i, stamped;
    size_t                   bad, j;
    delete_t                 del, *got;
    cdc_span_t               msg;
    cdc_chain_t             *c;
    cdc_envelope_t           env;
    cdc_rewrite_t            rw;
    Milvus__Schema__IDs      list;
    Milvus__Common__MsgBase  b;

    del = test_make_delete(&b, &list);

    for (i = 0; i < 4; i++) {
        stamped = i & 1;

        if (i == 2) {
            /* the older form of the keys */
            del.primary_keys = NULL;
            del.n_int64_primary_keys = TEST_ROWS;
            del.int64_primary_keys = keys;
        }

        rw = rewrite;
        rw.partition_id = -1;
        rw.stamp = stamped ? TEST_STAMP : 0;

        msg = test_pack(&del);
        c = cdc_chain_create();
        is_int(cdc_wire_envelope(msg, &env), CDC_OK, "a delete");
        is_int(cdc_wire_rewrite(c, &env, &rw), CDC_OK, "rewrite");

        got = test_unpack(&milvus__msg__delete_request__descriptor, c);
        bad = got == NULL;

        if (!bad) {
            bad += got->partitionid != -1;
            bad += got->collectionid != 447;
            bad += got->num_rows != TEST_ROWS;
            bad += got->n_timestamps != TEST_ROWS;
            bad += strcmp(got->shardname, "t-dml_3_77v1") != 0;
            bad += got->mbase->timestamp != (stamped ? TEST_STAMP : TEST_TS);
            bad += (got->mbase->msgid == 77) == stamped;

            for (j = 0; !bad && j < TEST_ROWS; j++) {
                bad += got->timestamps[j] != (stamped ? TEST_STAMP : TEST_TS);
                bad += (i < 2 ? got->primary_keys->int_id->data
                              : got->int64_primary_keys)[j] != keys[j];
            }
        }

        is_int(bad, 0, "a delete for the target");

        test_free(got);
        cdc_chain_unref(c);
        test_drop(msg);
    }
}


static void
test_drops(void)
{
    cdc_span_t               msg;
    cdc_chain_t             *c;
    cdc_envelope_t           env;
    cdc_rewrite_t            rw;
    drop_partition_t         part, *got_part;
    drop_collection_t        coll, *got;
    Milvus__Common__MsgBase  b;

    milvus__common__msg_base__init(&b);
    b.timestamp = TEST_TS;
    b.msgid = 9;

    milvus__msg__drop_collection_request__init(&coll);
    b.msg_type = CDC_MSG_DROP_COLLECTION;
    coll.mbase = &b;
    coll.db_name = "default";
    coll.collectionname = "source";
    coll.dbid = 1;
    coll.collectionid = 446;

    msg = test_pack(&coll);
    c = cdc_chain_create();
    ok(cdc_wire_envelope(msg, &env) == CDC_OK
       && env.type == CDC_MSG_DROP_COLLECTION && env.collection_id == 446,
       "drop collection");
    is_int(cdc_wire_rewrite(c, &env, &rewrite), CDC_OK, "rewrite");
    got = test_unpack(&milvus__msg__drop_collection_request__descriptor, c);
    ok(got && strcmp(got->db_name, "db2") == 0
       && strcmp(got->collectionname, "books") == 0
       && got->collectionid == 447 && got->dbid == 1
       && got->base.n_unknown_fields == 0
       && got->mbase->timestamp == TEST_TS && got->mbase->msgid == 9,
       "for the target");
    test_free(got);
    cdc_chain_unref(c);
    test_drop(msg);

    milvus__msg__drop_partition_request__init(&part);
    b.msg_type = CDC_MSG_DROP_PARTITION;
    part.mbase = &b;
    part.partition_name = "p";
    part.collectionid = 446;
    part.partitionid = 4461;

    rw = rewrite;
    rw.stamp = TEST_STAMP;
    rw.db_name = cdc_span("");

    msg = test_pack(&part);
    c = cdc_chain_create();
    ok(cdc_wire_envelope(msg, &env) == CDC_OK && env.partition_id == 4461
       && env.collection_id == 446, "drop partition, no names given");
    is_int(cdc_wire_rewrite(c, &env, &rw), CDC_OK, "rewrite");
    got_part = test_unpack(&milvus__msg__drop_partition_request__descriptor,
                           c);
    ok(got_part && strcmp(got_part->db_name, "") == 0
       && strcmp(got_part->collection_name, "books") == 0
       && strcmp(got_part->partition_name, "part2") == 0
       && got_part->collectionid == 447 && got_part->partitionid == 448
       && got_part->mbase->timestamp == TEST_STAMP, "for the target");
    test_free(got_part);
    cdc_chain_unref(c);
    test_drop(msg);

    is_int(cdc_wire_envelope(cdc_span("\x0a\x02\x08\x64\x30\x05\x38\x06"),
                             &env), CDC_OK, "create collection");
    ok(env.type == CDC_MSG_CREATE_COLLECTION && env.collection_id == 5,
       "its id");
    is_int(cdc_wire_rewrite(NULL, &env, &rewrite), CDC_DECLINED,
           "is not rewritten");

    is_int(cdc_wire_envelope(cdc_span("\x0a\x03\x08\x98\x03\x20\x05\x2a\x02"
                                      "\x07\x08"), &env), CDC_OK, "import");
    ok(env.type == CDC_MSG_IMPORT && env.collection_id == 5, "its id");
    is_int(cdc_wire_rewrite(NULL, &env, &rewrite), CDC_DECLINED,
           "is not rewritten");
}


static void
test_delete_of_insert(void)
{
    int             field;
    size_t          i, bad;
    delete_t       *got;
    cdc_span_t      msg;
    cdc_chain_t    *c, *again;
    insert_t       *moved;
    cdc_envelope_t  env;
    cdc_rewrite_t   rw;

    msg = test_pack(&insert);
    (void) cdc_wire_envelope(msg, &env);
    rw = rewrite;
    rw.stamp = TEST_STAMP;

    for (field = 100; field <= 101; field++) {
        c = cdc_chain_create();
        is_int(cdc_wire_delete_of_insert(c, &env, &rw, field), CDC_OK,
               field == 100 ? "delete by number" : "delete by string");

        got = test_unpack(&milvus__msg__delete_request__descriptor, c);
        bad = got == NULL;

        if (!bad) {
            bad += got->mbase->msg_type != CDC_MSG_DELETE;
            bad += got->mbase->timestamp != TEST_STAMP;
            bad += got->mbase->msgid >= 0;
            bad += strcmp(got->shardname, "t-dml_3_77v1") != 0;
            bad += strcmp(got->db_name, "db2") != 0;
            bad += strcmp(got->collection_name, "books") != 0;
            bad += got->collectionid != 447;
            bad += got->partitionid != 448;
            bad += got->num_rows != TEST_ROWS;
            bad += got->n_timestamps != TEST_ROWS;
            bad += got->primary_keys->id_field_case != (field == 100
                       ? MILVUS__SCHEMA__IDS__ID_FIELD_INT_ID
                       : MILVUS__SCHEMA__IDS__ID_FIELD_STR_ID);
        }

        for (i = 0; !bad && i < TEST_ROWS; i++) {
            bad += got->timestamps[i] != TEST_STAMP;
            bad += field == 100
                   ? got->primary_keys->int_id->data[i] != keys[i]
                   : strcmp(got->primary_keys->str_id->data[i], names[i]) != 0;
        }

        is_int(bad, 0, "all keys, all fields");

        again = cdc_chain_create();
        (void) cdc_wire_rewrite(again, &env, &rw);
        moved = test_unpack(&milvus__msg__insert_request__descriptor, again);
        ok(moved && got && moved->mbase->msgid != got->mbase->msgid
           && moved->mbase->msgid < 0,
           "an id other than that of the insert at the same stamp");
        test_free(moved);
        cdc_chain_unref(again);

        test_free(got);
        cdc_chain_unref(c);
    }

    c = cdc_chain_create();
    is_int(cdc_wire_delete_of_insert(c, &env, &rw, 99), CDC_DECLINED,
           "no such field");
    is_int(cdc_wire_delete_of_insert(c, &env, &rw, 102), CDC_DECLINED,
           "a vector is no key");
    rw.stamp = 0;
    is_int(cdc_wire_delete_of_insert(c, &env, &rw, 100), CDC_ERROR,
           "no stamp");
    is_int(cdc_chain_bytes(c), 0, "nothing added");
    cdc_chain_unref(c);
    test_drop(msg);
}


/* an insert of one column, given as bytes, and of one or two rows */

static int
test_keys(cdc_span_t column, unsigned rows, cdc_chain_t *c)
{
    int             rc;
    uint8_t        *p;
    size_t          n;
    cdc_span_t      msg;
    cdc_chain_t    *m;
    cdc_envelope_t  env;
    cdc_rewrite_t   rw;

    m = cdc_chain_create();
    rc = cdc_chain_copy(m, cdc_span("\x0a\x03\x08\x90\x03"));
    rc |= cdc_chain_bytes_field(m, 10, cdc_span_n("\x05\x05", rows));
    rc |= cdc_chain_bytes_field(m, 13, column);
    p = cdc_chain_flatten(m, &n);
    msg = cdc_span_n(p, n);
    cdc_chain_unref(m);

    rw = rewrite;
    rw.stamp = 6;

    if (rc == CDC_OK) {
        rc = cdc_wire_envelope(msg, &env);
    }

    if (rc == CDC_OK) {
        rc = cdc_wire_delete_of_insert(c, &env, &rw, 7);
    }

    if (rc == CDC_OK) {
        p = cdc_chain_flatten(c, &n);     /* reads all spans */
        free(p);
    }

    free((void *) (uintptr_t) msg.data);

    return rc;
}


static void
test_key_forms(void)
{
    size_t        i;
    cdc_chain_t  *c;

    static const struct {
        const char  *what;
        int          rc;
        unsigned     rows;
        cdc_span_t   column;
    } forms[] = {
#define FORM(what, rc, rows, s)                                              \
    { what, rc, rows, { (const uint8_t *) s, sizeof(s) - 1 } }
        FORM("keys one by one", CDC_OK, 2,
             "\x28\x07\x1a\x06\x1a\x04\x08\x01\x08\x02"),
        FORM("field id before the keys, and twice", CDC_OK, 2,
             "\x28\x01\x28\x07\x1a\x06\x1a\x04\x0a\x02\x01\x02"),
        FORM("one key too few", CDC_ERROR, 2,
             "\x28\x07\x1a\x04\x1a\x02\x08\x01"),
        FORM("a string too many", CDC_ERROR, 1,
             "\x28\x07\x1a\x08\x32\x06\x0a\x01y\x0a\x01z"),
        FORM("a cut key", CDC_ERROR, 1,
             "\x28\x07\x1a\x05\x1a\x03\x0a\x01\x80"),
        FORM("the keys as fixed64", CDC_ERROR, 1,
             "\x28\x07\x1a\x0b\x1a\x09\x09\x01\x02\x03\x04\x05\x06\x07\x08"),
        FORM("strings as numbers", CDC_ERROR, 1,
             "\x28\x07\x1a\x04\x32\x02\x08\x01"),
        FORM("two lists", CDC_ERROR, 2,
             "\x28\x07\x1a\x08\x1a\x02\x08\x01\x1a\x02\x08\x02"),
        FORM("scalars twice", CDC_ERROR, 2,
             "\x28\x07\x1a\x04\x1a\x02\x08\x01\x1a\x04\x1a\x02\x08\x02"),
        FORM("a length behind the column's end", CDC_ERROR, 1,
             "\x28\x07\x1a\x05\x1a\x02\x08\x01"),
        FORM("no rows", CDC_DECLINED, 0, "\x28\x07\x1a\x02\x1a\x00"),
        FORM("floats", CDC_DECLINED, 1,
             "\x28\x07\x1a\x08\x22\x06\x0a\x04\x01\x02\x03\x04"),
        FORM("the field id as a string", CDC_ERROR, 1, "\x2a\x01\x07"),
    };

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        c = cdc_chain_create();
        is_int(test_keys(forms[i].column, forms[i].rows, c), forms[i].rc,
               forms[i].what);
        cdc_chain_unref(c);
    }
}


/* every prefix: what we call whole is what protobuf-c calls whole */

static void
test_truncated(void)
{
    size_t          len, agree, whole;
    insert_t       *got;
    cdc_span_t      msg, part;
    cdc_chain_t    *c;
    cdc_envelope_t  env;
    cdc_rewrite_t   rw;

    insert.n_timestamps = insert.n_rowids = insert.num_rows = 3;
    longs.n_data = strings.n_data = 3;
    floats.n_data = 3 * TEST_DIM;

    msg = test_pack(&insert);
    rw = rewrite;
    rw.stamp = TEST_STAMP;
    agree = whole = 0;

    for (len = 0; len <= msg.len; len++) {
        part = test_exact(msg, len);
        c = cdc_chain_create();

        got = milvus__msg__insert_request__unpack(NULL, part.len, part.data);

        if (cdc_wire_envelope(part, &env) == CDC_OK) {
            whole++;
            agree += got != NULL
                     && (env.type == 0
                         || (cdc_wire_rewrite(c, &env, &rewrite) == CDC_OK));
            (void) cdc_wire_rewrite(c, &env, &rw);
            (void) cdc_wire_delete_of_insert(c, &env, &rw, 100);

        } else {
            agree += got == NULL;
        }

        test_free(got);
        cdc_chain_unref(c);
        test_drop(part);
    }

    is_int(agree, msg.len + 1, "a cut message is known for one");
    ok(whole > 8 && whole < 20, "but for cuts between fields: %zu", whole);
    test_drop(msg);

    insert.n_timestamps = insert.n_rowids = insert.num_rows = TEST_ROWS;
    longs.n_data = strings.n_data = TEST_ROWS;
    floats.n_data = TEST_ROWS * TEST_DIM;
}


static void
test_request(void)
{
    int                                       rc;
    size_t                                    mark, i;
    insert_t                                 *in;
    cdc_span_t                                msg;
    cdc_chain_t                              *c;
    cdc_envelope_t                            env;
    Milvus__Msg__TimeTickMsg                 *tick;
    Milvus__Service__ReplicateMessageRequest *got;

    msg = test_pack(&insert);
    (void) cdc_wire_envelope(msg, &env);

    c = cdc_chain_create();
    rc = cdc_wire_replicate_begin(c, cdc_span("t-rootcoord-dml_3"), 7,
                                  TEST_STAMP);

    for (i = 0; i < 20; i++) {
        rc |= cdc_wire_msg_open(c, &mark);
        rc |= cdc_wire_rewrite(c, &env, &rewrite);
        cdc_wire_msg_close(c, mark);
    }

    rc |= cdc_wire_msg_open(c, &mark);
    rc |= cdc_wire_tick(c, TEST_STAMP);
    cdc_wire_msg_close(c, mark);

    ok(rc == CDC_OK, "a request of 20 inserts and a tick");
    ok(cdc_chain_count(c) <= 48, "in %zu spans", cdc_chain_count(c));

    got = test_unpack(&milvus__service__replicate_message_request__descriptor,
                      c);
    ok(got && got->n_msgs == 21 && strcmp(got->channel_name,
                                          "t-rootcoord-dml_3") == 0
       && got->begints == 7 && got->endts == TEST_STAMP
       && got->mbase && got->mbase->replicateinfo
       && got->mbase->replicateinfo->isreplicate, "read by protobuf-c");

    rc = 0;

    for (i = 0; got && i < 20; i++) {
        in = milvus__msg__insert_request__unpack(NULL, got->msgs[i].len,
                                                 got->msgs[i].data);
        rc += in && in->num_rows == TEST_ROWS && in->collectionid == 447;
        test_free(in);
    }

    is_int(rc, 20, "20 inserts");

    tick = got ? milvus__msg__time_tick_msg__unpack(NULL, got->msgs[20].len,
                                                    got->msgs[20].data) : NULL;
    ok(tick && tick->mbase->msg_type == CDC_MSG_TIME_TICK
       && tick->mbase->timestamp == TEST_STAMP && tick->mbase->sourceid == -1,
       "and the tick");

    test_free(tick);
    test_free(got);
    cdc_chain_unref(c);
    test_drop(msg);
}


int
main(void)
{
    test_make_insert();
    test_envelope();
    test_rewrite_insert();
    test_stamp_forms();
    test_unknown();
    test_rewrite_delete();
    test_drops();
    test_delete_of_insert();
    test_key_forms();
    test_truncated();
    test_request();

    return done_testing();
}
