/*
 * An insert of TEST_ROWS rows, as Milvus 2.3 writes it: a
 * number, a string and a vector for each row.
 */

#ifndef TEST_WIRE_INSERT_H_INCLUDED
#define TEST_WIRE_INSERT_H_INCLUDED

#include "test_wire.h"
#include "milvus_msg.pb-c.h"


typedef Milvus__Msg__InsertRequest  insert_t;
typedef Milvus__Msg__DeleteRequest  delete_t;
typedef Milvus__Schema__FieldData   column_t;


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
    .msg_id = TEST_MSG_ID,
};


static void __attribute__((unused))
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


#endif /* TEST_WIRE_INSERT_H_INCLUDED */
