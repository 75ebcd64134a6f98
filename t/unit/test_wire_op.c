/*
 * Operations of the replicate channel (src/wire/cdc_wire_op.c).
 */

#include "test_wire.h"
#include "milvus_service.pb-c.h"


typedef Milvus__Service__CreateIndexRequest     create_index_t;
typedef Milvus__Service__LoadPartitionsRequest  load_partitions_t;
typedef Milvus__Service__FlushRequest           flush_t;


static Milvus__Common__MsgBase       base;
static Milvus__Common__KeyValuePair  pair;
static Milvus__Common__KeyValuePair *pairs[1] = { &pair };


static void *
test_base(int32_t type)
{
    milvus__common__msg_base__init(&base);
    base.msg_type = type;
    base.msgid = 5;
    base.timestamp = TEST_TS;
    base.sourceid = 3;

    return &base;
}


/* what every rewritten operation starts with; nothing of the old base */

static int
test_base_is(const Milvus__Common__MsgBase *b, int32_t type)
{
    return b && b->msg_type == type && b->msgid == 0 && b->timestamp == 0
           && b->sourceid == 0 && b->replicateinfo
           && b->replicateinfo->isreplicate == 1
           && b->replicateinfo->msgtimestamp == TEST_STAMP;
}


static void
test_table(void)
{
    size_t               i, n;
    const char          *p;
    const cdc_op_row_t  *row;

    /* types, names and field numbers by hand from the reference */

    static const struct {
        int32_t      type;
        const char  *name;
        uint32_t     db, names, id;
    } want[] = {
        { 106, "LoadCollection",       2, 3, 0 },
        { 107, "ReleaseCollection",    2, 3, 0 },
        { 108, "CreateAlias",          2, 3, 0 },
        { 109, "DropAlias",            2, 3, 0 },
        { 110, "AlterAlias",           2, 3, 0 },
        { 111, "AlterCollection",      2, 3, 4 },
        { 112, "RenameCollection",     2, 3, 0 },
        { 115, "AlterCollectionField", 2, 3, 0 },
        { 205, "LoadPartitions",       2, 3, 0 },
        { 206, "ReleasePartitions",    2, 3, 0 },
        { 300, "CreateIndex",          2, 3, 0 },
        { 302, "DropIndex",            2, 3, 0 },
        { 304, "AlterIndex",           2, 3, 0 },
        { 402, "Flush",                2, 3, 0 },
        { 1801, "CreateDatabase",      2, 0, 0 },
        { 1802, "DropDatabase",        2, 0, 0 },
        { 1804, "AlterDatabase",       2, 0, 3 },
    };

    for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        row = cdc_wire_op_row(want[i].type);
        p = row ? strrchr(row->method, '/') : NULL;

        ok(p && strcmp(row->name, want[i].name) == 0
           && strcmp(p + 1, want[i].name) == 0
           && strncmp(row->method, "/milvus.proto.milvus.MilvusService/", 35)
              == 0
           && row->type == want[i].type && row->db_field == want[i].db
           && row->name_field == want[i].names && row->id_field == want[i].id
           && row->names_repeated == (want[i].type == 402)
           && row->status_nested == (want[i].type == 402),
           "%s", want[i].name);
    }

    for (n = 0, i = 0; i < 3000; i++) {
        n += cdc_wire_op_row((int32_t) i) != NULL;
    }

    is_int(n, sizeof(want) / sizeof(want[0]), "and no other");
}


static void
test_create_index(void)
{
    int                i;
    cdc_span_t         msg, all, name;
    cdc_chain_t       *c;
    create_index_t     req, *got;
    cdc_op_envelope_t  op;

    milvus__common__key_value_pair__init(&pair);
    pair.key = "index_type";
    pair.value = "HNSW";

    milvus__service__create_index_request__init(&req);
    req.mbase = test_base(CDC_MSG_CREATE_INDEX);
    req.collection_name = "source";
    req.field_name = "vec";
    req.n_extra_params = 1;
    req.extra_params = pairs;
    req.index_name = "idx";

    msg = test_pack(&req);
    all = test_cat(msg, cdc_span("\xf8\x06\x07"));
    test_drop(msg);

    is_int(cdc_wire_op_envelope(all, &op), CDC_OK, "create index");
    ok(op.known && op.type == CDC_MSG_CREATE_INDEX && op.ts == TEST_TS
       && op.db_name.len == 0 && op.nnames == 1
       && cdc_span_is(op.names[0], "source"), "its names");

    name = cdc_span("books");

    for (i = 0; i < 2; i++) {
        c = cdc_chain_create();
        is_int(cdc_wire_op_rewrite(c, &op, TEST_STAMP, cdc_span("db2"),
                                   i ? &name : NULL, 1), CDC_OK,
               i ? "rewrite" : "rewrite, the name stays");
        got = test_unpack(&milvus__service__create_index_request__descriptor,
                          c);
        ok(got && test_base_is(got->mbase, CDC_MSG_CREATE_INDEX)
           && strcmp(got->db_name, "db2") == 0
           && strcmp(got->collection_name, i ? "books" : "source") == 0
           && strcmp(got->field_name, "vec") == 0
           && strcmp(got->index_name, "idx") == 0
           && got->n_extra_params == 1
           && strcmp(got->extra_params[0]->value, "HNSW") == 0
           && got->base.n_unknown_fields == 1, "for the target");
        test_free(got);
        cdc_chain_unref(c);
    }

    c = cdc_chain_create();
    is_int(cdc_wire_op_rewrite(c, &op, TEST_STAMP, cdc_span("db2"), &name, 0),
           CDC_ERROR, "no name for an operation that takes one");
    is_int(cdc_wire_op_rewrite(c, &op, TEST_STAMP, cdc_span("db2"), &name, 2),
           CDC_ERROR, "nor two");
    is_int(cdc_chain_bytes(c), 0, "nothing added");
    cdc_chain_unref(c);
    test_drop(all);
}


static void
test_load_partitions(void)
{
    cdc_span_t          msg, name;
    cdc_chain_t        *c;
    load_partitions_t   req, *got;
    cdc_op_envelope_t   op;

    static char  *partitions[2] = { "p1", "p2" };

    milvus__service__load_partitions_request__init(&req);
    req.mbase = test_base(CDC_MSG_LOAD_PARTITIONS);
    req.db_name = "db1";
    req.collection_name = "source";
    req.n_partition_names = 2;
    req.partition_names = partitions;
    req.replica_number = 3;

    msg = test_pack(&req);
    is_int(cdc_wire_op_envelope(msg, &op), CDC_OK, "load partitions");
    ok(cdc_span_is(op.db_name, "db1"), "its database");

    c = cdc_chain_create();
    name = cdc_span("books");
    is_int(cdc_wire_op_rewrite(c, &op, TEST_STAMP, cdc_span(""), &name, 1),
           CDC_OK, "rewrite");
    got = test_unpack(&milvus__service__load_partitions_request__descriptor,
                      c);
    ok(got && test_base_is(got->mbase, CDC_MSG_LOAD_PARTITIONS)
       && strcmp(got->db_name, "") == 0
       && strcmp(got->collection_name, "books") == 0
       && got->n_partition_names == 2
       && strcmp(got->partition_names[1], "p2") == 0
       && got->replica_number == 3, "partitions and replicas stay");
    test_free(got);
    cdc_chain_unref(c);
    test_drop(msg);
}


static void
test_flush(void)
{
    size_t             i, bad;
    flush_t            req, *got;
    cdc_span_t         msg, names[3];
    cdc_chain_t       *c;
    cdc_op_envelope_t  op;

    static char   name[CDC_OP_NAMES_MAX + 1][8];
    static char  *list[CDC_OP_NAMES_MAX + 1];

    for (i = 0; i <= CDC_OP_NAMES_MAX; i++) {
        (void) snprintf(name[i], sizeof(name[i]), "c%zu", i);
        list[i] = name[i];
    }

    milvus__service__flush_request__init(&req);
    req.mbase = test_base(CDC_MSG_FLUSH);
    req.db_name = "default";
    req.n_collection_names = CDC_OP_NAMES_MAX;
    req.collection_names = list;

    msg = test_pack(&req);
    is_int(cdc_wire_op_envelope(msg, &op), CDC_OK, "flush");
    bad = op.nnames != CDC_OP_NAMES_MAX;

    for (i = 0; !bad && i < CDC_OP_NAMES_MAX; i++) {
        bad += !cdc_span_is(op.names[i], list[i]);
    }

    is_int(bad, 0, "all its names");

    names[0] = cdc_span("x");
    names[1] = cdc_span("y");
    names[2] = cdc_span("z");

    c = cdc_chain_create();
    is_int(cdc_wire_op_rewrite(c, &op, TEST_STAMP, cdc_span("default"), names,
                               3), CDC_OK, "rewrite");
    got = test_unpack(&milvus__service__flush_request__descriptor, c);
    ok(got && test_base_is(got->mbase, CDC_MSG_FLUSH)
       && got->n_collection_names == 3
       && strcmp(got->collection_names[0], "x") == 0
       && strcmp(got->collection_names[2], "z") == 0, "three names instead");
    test_free(got);
    cdc_chain_unref(c);

    c = cdc_chain_create();
    is_int(cdc_wire_op_rewrite(c, &op, TEST_STAMP, cdc_span("default"), NULL,
                               0), CDC_OK, "rewrite");
    got = test_unpack(&milvus__service__flush_request__descriptor, c);
    ok(got && got->n_collection_names == CDC_OP_NAMES_MAX
       && strcmp(got->collection_names[CDC_OP_NAMES_MAX - 1], "c63") == 0,
       "all names stay");
    test_free(got);
    cdc_chain_unref(c);
    test_drop(msg);

    req.n_collection_names = CDC_OP_NAMES_MAX + 1;
    msg = test_pack(&req);
    is_int(cdc_wire_op_envelope(msg, &op), CDC_DECLINED, "one name too many");
    test_drop(msg);
}


static void
test_database(void)
{
    cdc_span_t         name;
    cdc_chain_t       *c;
    cdc_op_envelope_t  op;

    /* AlterDatabase{base{1804}, db_name "d", db_id "42", properties{"p"},
     * delete_keys "k"} */

    is_int(cdc_wire_op_envelope(cdc_span("\x0a\x05\x08\x8c\x0e\x18\x09"
                                         "\x12\x01" "d" "\x1a\x02" "42"
                                         "\x22\x03\x0a\x01p"
                                         "\x2a\x01k"), &op), CDC_OK,
           "alter database");
    ok(op.known && op.ts == 9 && op.nnames == 0
       && cdc_span_is(op.db_name, "d"), "its name");

    c = cdc_chain_create();
    name = cdc_span("not for this one");
    is_int(cdc_wire_op_rewrite(c, &op, 3, cdc_span("e"), &name, 1), CDC_OK,
           "rewrite");
    ok(test_same(c, cdc_span("\x0a\x09\x08\x8c\x0e\x3a\x04\x08\x01\x10\x03"
                             "\x12\x01" "e" "\x22\x03\x0a\x01p"
                             "\x2a\x01k")),
       "new name, its properties, no id of the source");
    cdc_chain_unref(c);
}


static void
test_rename(void)
{
    cdc_span_t         name;
    cdc_chain_t       *c;
    cdc_op_envelope_t  op;

    /* RenameCollection{base{112}, db_name "d", "o" to "n", newDBName "e"} */

    is_int(cdc_wire_op_envelope(cdc_span("\x0a\x04\x08\x70\x18\x09"
                                         "\x12\x01" "d" "\x1a\x01o"
                                         "\x22\x01n" "\x2a\x01" "e"), &op),
           CDC_OK, "rename");
    ok(op.known && cdc_span_is(op.db_name, "d") && op.nnames == 1
       && cdc_span_is(op.names[0], "o") && cdc_span_is(op.new_name, "n")
       && cdc_span_is(op.new_db, "e"), "from where to where");

    c = cdc_chain_create();
    name = cdc_span("t");
    is_int(cdc_wire_op_rewrite(c, &op, 3, cdc_span("u"), &name, 1), CDC_OK,
           "rewrite");
    ok(test_same(c, cdc_span("\x0a\x08\x08\x70\x3a\x04\x08\x01\x10\x03"
                             "\x12\x01" "u" "\x1a\x01t" "\x22\x01n"
                             "\x2a\x01" "e")), "the new name stays");
    cdc_chain_unref(c);

    ok(cdc_wire_op_envelope(cdc_span("\x0a\x02\x08\x70\x1a\x01o"
                                     "\x22\x01n"), &op) == CDC_OK
       && op.new_db.len == 0, "2.3: no other database");
    ok(cdc_wire_op_envelope(cdc_span("\x0a\x02\x08\x70\x20\x01"), &op)
       == CDC_ERROR, "a new name that is a number");
    ok(cdc_wire_op_envelope(cdc_span("\x0a\x03\x08\xac\x02\x22\x01n"), &op)
       == CDC_OK && op.new_name.len == 0, "an index is not renamed");
}


static void
test_odd(void)
{
    size_t             len, n, msg_len;
    cdc_span_t         part;
    cdc_chain_t       *c;
    cdc_op_envelope_t  op;

    static const char  msg[] = "\x0a\x05\x08\xac\x02\x18\x09\x12\x01" "d"
                               "\x1a\x06source\x22\x03vec";

    ok(cdc_wire_op_envelope(cdc_span("\x0a\x05\x08\xdc\x0b\x18\x05\x12\x80"),
                            &op) == CDC_ERROR, "cut behind base");

    ok(cdc_wire_op_envelope(cdc_span("\x0a\x05\x08\xdc\x0b\x18\x05\x12\x01x"),
                            &op) == CDC_OK && op.type == 1500 && op.ts == 5
       && !op.known && op.nnames == 0, "an operation that is not in the table");

    c = cdc_chain_create();
    is_int(cdc_wire_op_rewrite(c, &op, 1, cdc_span(""), NULL, 0),
           CDC_DECLINED, "is not rewritten");
    is_int(cdc_wire_op_envelope(cdc_span("\x0a\x03\x08\xac\x02\x10\x05"), &op),
           CDC_ERROR, "a name that is a number");
    ok(cdc_wire_op_envelope(cdc_span("\x1a\x01" "a" "\x1a\x01" "b"
                                     "\x0a\x03\x08\xac\x02"), &op) == CDC_OK
       && op.nnames == 1 && cdc_span_is(op.names[0], "b"),
       "base at the end, the name twice: the last one counts");

    msg_len = sizeof(msg) - 1;

    for (n = 0, len = 0; len <= msg_len; len++) {
        part = test_exact(cdc_span(msg), len);
        n += cdc_wire_op_envelope(part, &op) == CDC_OK;
        test_drop(part);
    }

    is_int(n, 5, "whole between fields only");
    cdc_chain_unref(c);
}


int
main(void)
{
    test_table();
    test_create_index();
    test_load_partitions();
    test_flush();
    test_database();
    test_rename();
    test_odd();

    return done_testing();
}
