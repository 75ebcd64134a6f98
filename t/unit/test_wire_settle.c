/*
 * The delete of an insert (src/wire/cdc_wire_settle.c).
 */

#include "test_wire_insert.h"


static void
test_delete_of_insert(void)
{
    int             field;
    size_t          i, bad;
    delete_t       *got;
    cdc_span_t      msg;
    cdc_chain_t    *c;
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
            bad += got->mbase->msgid != TEST_MSG_ID;
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


int
main(void)
{
    test_make_insert();
    test_delete_of_insert();
    test_key_forms();

    return done_testing();
}
