/*
 * The delete of an insert: what comes out must hold the same keys, as many
 * timestamps, and be readable by protobuf-c if the insert was.
 */

#include "fuzz_wire.h"
#include "milvus_msg.pb-c.h"


#define STAMP  446912345678901251ULL
#define FIELD  100


static const cdc_span_t  seeds[] = {
#define SEED(s)  { (const uint8_t *) s, sizeof(s) - 1 }
    SEED("\x0a\x05\x08\x90\x03\x18\x05\x52\x02\x05\x05\x6a\x10\x08\x05\x12"
         "\x02id\x28\x64\x1a\x06\x1a\x04\x0a\x02\x08\x09\x70\x02"),
    SEED("\x0a\x05\x08\x90\x03\x18\x05\x52\x02\x05\x05\x6a\x0e\x1a\x0a\x32"
         "\x08\x0a\x02id\x0a\x02xy\x28\x64\x70\x02"),
    SEED("\x0a\x05\x08\x90\x03\x18\x05\x52\x02\x05\x05\x6a\x0a\x1a\x06\x1a"
         "\x04\x08\x05\x08\x06\x28\x64\x6a\x04\x22\x00\x28\x65\x70\x02"),
};


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_seeds(*argc, *argv, seeds, sizeof(seeds) / sizeof(seeds[0]));

    return 0;
}


static void
check_keys(const Milvus__Msg__InsertRequest *in,
    const Milvus__Msg__DeleteRequest *out)
{
    size_t                              i, n;
    const Milvus__Schema__IDs          *ids;
    const Milvus__Schema__FieldData    *column;
    const Milvus__Schema__ScalarField  *keys;

    column = NULL;

    for (i = 0; i < in->n_fields_data; i++) {
        if (in->fields_data[i]->field_id == FIELD) {
            column = in->fields_data[i];
        }
    }

    fuzz_check(column != NULL);

    /* another member of the oneof, after the keys, takes their place */

    if (column->field_case != MILVUS__SCHEMA__FIELD_DATA__FIELD_SCALARS) {
        return;
    }

    keys = column->scalars;
    ids = out->primary_keys;
    n = out->n_timestamps;

    if (keys->data_case == MILVUS__SCHEMA__SCALAR_FIELD__DATA_LONG_DATA) {
        fuzz_check(ids->id_field_case
                   == MILVUS__SCHEMA__IDS__ID_FIELD_INT_ID);
        fuzz_check(ids->int_id->n_data == n && keys->long_data->n_data == n);
        fuzz_check(memcmp(ids->int_id->data, keys->long_data->data,
                          n * sizeof(int64_t)) == 0);
    }

    if (keys->data_case == MILVUS__SCHEMA__SCALAR_FIELD__DATA_STRING_DATA) {
        fuzz_check(ids->id_field_case
                   == MILVUS__SCHEMA__IDS__ID_FIELD_STR_ID);
        fuzz_check(ids->str_id->n_data == n
                   && keys->string_data->n_data == n);

        for (i = 0; i < n; i++) {
            fuzz_check(strcmp(ids->str_id->data[i],
                              keys->string_data->data[i]) == 0);
        }
    }
}


static void
check(cdc_span_t insert, cdc_span_t del, uint64_t rows)
{
    cdc_envelope_t               env;
    Milvus__Msg__InsertRequest  *in;
    Milvus__Msg__DeleteRequest  *out;

    fuzz_check(cdc_wire_envelope(del, &env) == CDC_OK);
    fuzz_check(env.type == CDC_MSG_DELETE && env.ts == STAMP);
    fuzz_check(env.rows == rows && rows > 0);
    fuzz_check(env.collection_id == 7 && env.partition_id == -1);

    in = fuzz_unpack(&milvus__msg__insert_request__descriptor, insert);
    if (in == NULL) {
        return;
    }

    out = fuzz_unpack(&milvus__msg__delete_request__descriptor, del);
    fuzz_check(out != NULL);
    fuzz_check(out->n_timestamps == rows && (uint64_t) out->num_rows == rows);
    fuzz_check(out->timestamps[0] == STAMP
               && out->timestamps[rows - 1] == STAMP);

    check_keys(in, out);

    protobuf_c_message_free_unpacked(&out->base, NULL);
    protobuf_c_message_free_unpacked(&in->base, NULL);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              rc;
    cdc_span_t       out;
    cdc_chain_t     *c;
    cdc_rewrite_t    rw;
    cdc_envelope_t   env;

    if (cdc_wire_envelope(cdc_span_n(data, size), &env) != CDC_OK) {
        return 0;
    }

    memset(&rw, 0, sizeof(rw));
    rw.collection_name = cdc_span("books");
    rw.shard_name = cdc_span("dml_0_7v0");
    rw.collection_id = 7;
    rw.partition_id = -1;
    rw.stamp = STAMP;

    c = cdc_chain_create();
    rc = cdc_wire_delete_of_insert(c, &env, &rw, FIELD);
    out = fuzz_flat(c);

    if (rc == CDC_OK) {
        fuzz_check(env.type == CDC_MSG_INSERT);
        check(env.raw, out, env.rows);

    } else {
        fuzz_check(out.len == 0);
    }

    fuzz_free(out);
    cdc_chain_unref(c);

    return 0;
}
