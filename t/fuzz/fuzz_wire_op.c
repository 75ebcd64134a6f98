/*
 * Envelope and rewrite of operations: the result must hold the new names and
 * nothing of the old base, and rewriting it again must change nothing.
 */

#include "fuzz_wire.h"
#include "milvus_common.pb-c.h"
#include "milvus_service.pb-c.h"


#define TS  446912345678901251ULL


static const cdc_span_t  seeds[] = {
#define SEED(s)  { (const uint8_t *) s, sizeof(s) - 1 }
    SEED("\x0a\x05\x08\xac\x02\x18\x09\x12\x01" "d\x1a\x06source\x22\x03vec"
         "\x2a\x06\x0a\x01k\x12\x01v\x32\x01i"),
    SEED("\x0a\x04\x08\x6a\x18\x09\x1a\x06source\x20\x01"),
    SEED("\x0a\x05\x08\x92\x03\x18\x09\x12\x01" "d\x1a\x01" "a\x1a\x01" "b"),
    SEED("\x0a\x05\x08\x8c\x0e\x18\x09\x12\x01" "d\x22\x02" "42\x2a\x01k"),
    SEED("\x0a\x04\x08\x6f\x18\x09\x1a\x01" "a\x20\x05\x2a\x04\x0a\x01k\x12"),
    SEED("\x0a\x05\x08\xdc\x0b\x18\x09\x12\x01u"),
};


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_seeds(*argc, *argv, seeds, sizeof(seeds) / sizeof(seeds[0]));

    return 0;
}


static void
check(const cdc_op_envelope_t *op, cdc_span_t out, const cdc_span_t *names,
    unsigned n)
{
    unsigned                          i;
    cdc_span_t                        again;
    cdc_chain_t                      *c;
    cdc_op_envelope_t                 got;
    const cdc_op_row_t               *row;
    const Milvus__Common__MsgBase    *b;
    Milvus__Common__MsgHeader        *h;

    row = cdc_wire_op_row(op->type);

    fuzz_check(cdc_wire_op_envelope(out, &got) == CDC_OK);
    fuzz_check(got.known && got.type == op->type && got.ts == 0);
    fuzz_check(fuzz_equal(got.db_name, cdc_span("db2")));
    fuzz_check(got.nnames == (names && row->name_field ? n : op->nnames));

    for (i = 0; i < got.nnames; i++) {
        fuzz_check(fuzz_equal(got.names[i], names ? names[i] : op->names[i]));
    }

    /* protobuf-c reads no tag of more than 5 bytes, Go and we do */

    h = fuzz_unpack(&milvus__common__msg_header__descriptor, op->raw);

    if (h) {
        protobuf_c_message_free_unpacked(&h->base, NULL);

        h = fuzz_unpack(&milvus__common__msg_header__descriptor, out);
        fuzz_check(h != NULL);
        b = h->mbase;
        fuzz_check(b && b->msg_type == op->type && b->msgid == 0
                   && b->n_properties == 0 && b->base.n_unknown_fields == 0
                   && b->replicateinfo && b->replicateinfo->isreplicate
                   && b->replicateinfo->msgtimestamp == TS);
        protobuf_c_message_free_unpacked(&h->base, NULL);
    }

    c = cdc_chain_create();
    fuzz_check(cdc_wire_op_rewrite(c, &got, TS, cdc_span("db2"), names, n)
               == CDC_OK);
    again = fuzz_flat(c);

    /* a name that came twice is behind the rest no more than once */

    fuzz_check(names == NULL ? again.len == out.len
                             : fuzz_equal(again, out));
    fuzz_free(again);
    cdc_chain_unref(c);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                  i, rc;
    unsigned             n;
    cdc_span_t           out, names[2];
    cdc_chain_t         *c;
    cdc_op_envelope_t    op;
    const cdc_op_row_t  *row;

    if (cdc_wire_op_envelope(cdc_span_n(data, size), &op) != CDC_OK) {
        return 0;
    }

    row = cdc_wire_op_row(op.type);
    fuzz_check(op.known == (row != NULL));

    names[0] = cdc_span("books");
    names[1] = cdc_span("more");

    for (i = 0; i < 2; i++) {
        n = row && row->names_repeated ? 2 : 1;

        c = cdc_chain_create();
        rc = cdc_wire_op_rewrite(c, &op, TS, cdc_span("db2"),
                                 i ? names : NULL, n);
        fuzz_check(rc == (row ? CDC_OK : CDC_DECLINED));

        out = fuzz_flat(c);

        if (rc == CDC_OK) {
            check(&op, out, i ? names : NULL, n);

        } else {
            fuzz_check(out.len == 0);
        }

        fuzz_free(out);
        cdc_chain_unref(c);
    }

    return 0;
}
