/*
 * Envelope and rewrite of data channel messages.
 *
 * What is rewritten must be readable by protobuf-c if the input was, must
 * hold what was asked for, and rewriting it again must change nothing.
 */

#include "fuzz_wire.h"
#include "milvus_msg.pb-c.h"


#define STAMP  446912345678901251ULL
#define PARTS  16


static const int64_t  parts[PARTS] = { 1, -1, 3, 128, 5, 6, 7, 8 };


static const cdc_span_t  seeds[] = {
#define SEED(s)  { (const uint8_t *) s, sizeof(s) - 1 }
    SEED("\x0a\x0f\x08\xb0\x09\x18\x83\xe0\xb5\xcf\x91\x8d\xf0\x99\x06\x20"
         "\x01"),
    SEED("\x0a\x07\x08\x90\x03\x10\x07\x18\x05\x12\x02v0\x22\x01" "c\x2a\x01"
         "p\x38\x05\x40\x06\x48\x09\x52\x02\x05\x05\x5a\x02\x01\x02\x6a\x0f"
         "\x08\x05\x12\x02id\x28\x64\x1a\x05\x1a\x03\x0a\x01\x08\x70\x02\x78"
         "\x01"),
    SEED("\x0a\x05\x08\x91\x03\x18\x05\x12\x02v0\x38\x05\x40\xff\xff\xff\xff"
         "\xff\xff\xff\xff\xff\x01\x50\x05\x58\x01\x62\x05\x0a\x03\x0a\x01"
         "\x08"),
    SEED("\x0a\x02\x08\x65\x12\x01" "d\x1a\x01" "c\x20\x01\x28\x05"),
    SEED("\x0a\x03\x08\xc9\x01\x12\x01" "d\x1a\x01" "c\x22\x01p\x30\x05\x38"
         "\x06\xf8\x06\x01"),
    SEED("\x0a\x02\x08\x64\x30\x05\x42\x02\x01\x02"),
    SEED("\x0a\x03\x08\x98\x03\x20\x05\x2a\x02\x07\x08"),
};


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_seeds(*argc, *argv, seeds, sizeof(seeds) / sizeof(seeds[0]));

    return 0;
}


static const ProtobufCMessageDescriptor *
descriptor(int32_t type)
{
    switch (type) {

    case CDC_MSG_INSERT:
        return &milvus__msg__insert_request__descriptor;

    case CDC_MSG_DELETE:
        return &milvus__msg__delete_request__descriptor;

    case CDC_MSG_DROP_COLLECTION:
        return &milvus__msg__drop_collection_request__descriptor;

    case CDC_MSG_CREATE_PARTITION:
        return &milvus__msg__create_partition_request__descriptor;

    case CDC_MSG_DROP_PARTITION:
        return &milvus__msg__drop_partition_request__descriptor;

    case CDC_MSG_IMPORT:
        return &milvus__msg__import_msg__descriptor;
    }

    return NULL;
}


static void
check(const cdc_envelope_t *env, cdc_span_t out, const cdc_rewrite_t *rw)
{
    void            *in_msg, *out_msg;
    int64_t          ids[PARTS];
    unsigned         n;
    cdc_span_t       again;
    cdc_chain_t     *c;
    cdc_envelope_t   got;

    fuzz_check(cdc_wire_envelope(out, &got) == CDC_OK);
    fuzz_check(got.type == env->type);
    fuzz_check(got.ts == (rw->stamp ? rw->stamp : env->ts));
    fuzz_check(got.collection_id == rw->collection_id);
    fuzz_check(got.rows == env->rows);

    if (env->type == CDC_MSG_INSERT || env->type == CDC_MSG_DELETE) {
        fuzz_check(fuzz_equal(got.shard_name, rw->shard_name));
    }

    if (env->type == CDC_MSG_IMPORT) {
        fuzz_check(cdc_wire_import_partitions(&got, ids, PARTS, &n)
                   == CDC_OK);
        fuzz_check(n == rw->npartition_ids
                   && memcmp(ids, parts, n * sizeof(int64_t)) == 0);

    } else if (env->type != CDC_MSG_DROP_COLLECTION) {
        fuzz_check(got.partition_id == rw->partition_id);
    }

    c = cdc_chain_create();
    fuzz_check(cdc_wire_rewrite(c, &got, rw) == CDC_OK);
    again = fuzz_flat(c);
    fuzz_check(fuzz_equal(out, again));
    fuzz_free(again);
    cdc_chain_unref(c);

    in_msg = fuzz_unpack(descriptor(env->type), env->raw);

    if (in_msg) {
        out_msg = fuzz_unpack(descriptor(env->type), out);
        fuzz_check(out_msg != NULL);
        protobuf_c_message_free_unpacked(out_msg, NULL);
        protobuf_c_message_free_unpacked(in_msg, NULL);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              i, rc, list;
    int64_t          ids[PARTS];
    unsigned         n;
    cdc_span_t       out;
    cdc_chain_t     *c;
    cdc_rewrite_t    rw;
    cdc_envelope_t   env;

    if (cdc_wire_envelope(cdc_span_n(data, size), &env) != CDC_OK) {
        return 0;
    }

    n = 0;
    list = CDC_OK;

    if (env.type == CDC_MSG_IMPORT) {
        list = cdc_wire_import_partitions(&env, ids, PARTS, &n);
    }

    for (i = 0; i < 2; i++) {
        memset(&rw, 0, sizeof(rw));
        rw.db_name = cdc_span("db");
        rw.collection_name = cdc_span("books");
        rw.partition_name = cdc_span("part");
        rw.shard_name = cdc_span("dml_0_7v0");
        rw.collection_id = 7;
        rw.partition_id = i ? 8 : -1;
        rw.partition_ids = parts;
        rw.npartition_ids = n;
        rw.stamp = i ? STAMP : 0;

        c = cdc_chain_create();
        fuzz_check(cdc_chain_copy(c, cdc_span("x")) == CDC_OK);

        rc = cdc_wire_rewrite(c, &env, &rw);

        fuzz_check((rc == CDC_DECLINED) == (descriptor(env.type) == NULL));

        /* only false numbers of rows may stop a message that was read */

        fuzz_check(rc != CDC_ERROR || i == 1 || list != CDC_OK);
        fuzz_check(rc != CDC_OK || list == CDC_OK);

        out = fuzz_flat(c);
        fuzz_check(out.data[0] == 'x');

        if (rc == CDC_OK) {
            check(&env, cdc_span_n(out.data + 1, out.len - 1), &rw);

        } else {
            fuzz_check(out.len == 1);
        }

        fuzz_free(out);
        cdc_chain_unref(c);
    }

    return 0;
}
