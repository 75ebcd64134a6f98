/*
 * Data channel messages (src/wire/cdc_wire_data.c).
 */

#include "test_wire_insert.h"
#include "milvus_service.pb-c.h"


#define UNKNOWN  "\xf8\x06\x07" "\x82\xfa\x01\x03" "xyz"   /* 111, 4000 */

typedef Milvus__Msg__DropCollectionRequest  drop_collection_t;
typedef Milvus__Msg__DropPartitionRequest   drop_partition_t;


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
    ok(cdc_span_is(env.shard_name, insert.shardname), "its shard");
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
       && got->mbase->msgid == (rw->stamp ? TEST_MSG_ID : base.msgid),
       "  its base");

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
            bad += got->mbase->msgid != (stamped ? TEST_MSG_ID : 77);

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
    test_truncated();
    test_request();

    return done_testing();
}
