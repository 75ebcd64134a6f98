/*
 * Walking and chains (src/wire/cdc_wire.c, cdc_chain.c).
 */

#include "test_wire.h"
#include "wire/cdc_wire_int.h"


static void
test_varint(void)
{
    size_t       i, n, good;
    uint8_t      buf[16];
    cdc_span_t   in, all;
    cdc_field_t  f;

    static const uint64_t  values[] = {
        0, 1, 127, 128, 16383, 16384, 1 << 21, 1ULL << 35, TEST_TS,
        INT64_MAX, (uint64_t) INT64_MIN, UINT64_MAX
    };

    static const size_t  lengths[] = {
        1, 1, 1, 2, 2, 3, 4, 6, 9, 9, 10, 10
    };

    good = 0;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        buf[0] = 1 << 3;
        n = 1 + cdc_wire_varint(buf + 1, values[i]);
        in = test_exact(cdc_span_n(buf, n), n);
        all = in;

        good += n == 1 + lengths[i]
                && cdc_wire_next(&in, &f) == CDC_OK
                && f.number == 1 && f.wire_type == 0
                && f.value == values[i]
                && f.raw.data == all.data && f.raw.len == n
                && in.len == 0 && cdc_wire_next(&in, &f) == CDC_DONE;

        test_drop(all);
    }

    is_int(good, i, "varints come back, of the least length");

    /* not the shortest form, which is allowed */

    in = cdc_span("\x08\x81\x80\x80\x00");
    ok(cdc_wire_next(&in, &f) == CDC_OK && f.value == 1 && in.len == 0,
       "a padded varint");
}


static void
test_malformed(void)
{
    size_t       i;
    cdc_span_t   in, all;
    cdc_field_t  f;

    static const struct {
        const char  *what;
        cdc_span_t   bytes;
    } bad[] = {
#define BAD(what, s)  { what, { (const uint8_t *) s, sizeof(s) - 1 } }
        BAD("field number 0", "\x00\x01"),
        BAD("field number 2^29", "\x80\x80\x80\x80\x10\x01"),
        BAD("a tag of 64 bits", "\xf8\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        BAD("a group", "\x0b\x08\x01\x0c"),
        BAD("the end of a group", "\x0c"),
        BAD("wire type 6", "\x0e\x01"),
        BAD("wire type 7", "\x0f\x01"),
        BAD("a cut tag", "\x88"),
        BAD("no value", "\x08"),
        BAD("a cut value", "\x08\xff\xff"),
        BAD("a tenth byte of 2",
            "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        BAD("an eleventh byte",
            "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
        BAD("a length behind the end", "\x12\x03" "ab"),
        BAD("a length of 2^32", "\x12\x80\x80\x80\x80\x10" "ab"),
        BAD("a length of 2^64 - 1",
            "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "ab"),
        BAD("a cut fixed64", "\x09\x01\x02\x03\x04\x05\x06\x07"),
        BAD("a cut fixed32", "\x0d\x01\x02\x03"),
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        all = test_exact(bad[i].bytes, bad[i].bytes.len);
        in = all;
        is_int(cdc_wire_next(&in, &f), CDC_ERROR, bad[i].what);
        test_drop(all);
    }

    in = cdc_span("\xf8\xff\xff\xff\x0f\x01");
    ok(cdc_wire_next(&in, &f) == CDC_OK && f.number == (1 << 29) - 1,
       "the largest field number");

    in = cdc_span("\x09\x01\x02\x03\x04\x05\x06\x07\x88\x0d\x01\x02\x03\x84");
    ok(cdc_wire_next(&in, &f) == CDC_OK && f.value == 0x8807060504030201,
       "fixed64");
    ok(cdc_wire_next(&in, &f) == CDC_OK && f.value == 0x84030201, "fixed32");

    in = cdc_span("\x12\x00");
    ok(cdc_wire_next(&in, &f) == CDC_OK && f.body.len == 0 && f.raw.len == 2,
       "an empty body");
}


static void
test_count(void)
{
    size_t      i, len, size, good;
    uint8_t     buf[620], body[600];
    uint64_t    n;
    cdc_span_t  all;

    good = 0;
    len = 0;

    for (i = 0; i < 200; i++) {
        len += cdc_wire_varint(body + len, i * i % 3000);

        size = cdc_wire_varint(buf, 3 << 3 | CDC_WIRE_LEN);
        size += cdc_wire_varint(buf + size, len);
        memcpy(buf + size, body, len);

        all = test_exact(cdc_span_n(buf, size + len), size + len);
        good += cdc_wire_count_varints(all, 3, &n) == CDC_OK && n == i + 1;
        test_drop(all);
    }

    is_int(good, 200, "packed varints are counted");

    ok(cdc_wire_count_varints(cdc_span("\x18\x05\x1a\x02\x80\x01\x08\x07"
                                       "\x1a\x03\x01\x02\x03\x18\x80\x01"),
                              3, &n) == CDC_OK && n == 6,
       "in several fields, packed and not, beside others");
    ok(cdc_wire_count_varints(cdc_span("\x1a\x00\x08\x07"), 3, &n) == CDC_OK
       && n == 0, "none");
    is_int(cdc_wire_count_varints(cdc_span("\x1a\x02\x01\x80"), 3, &n),
           CDC_ERROR, "a packed field that ends within a varint");
    is_int(cdc_wire_count_varints(cdc_span("\x1d\x01\x02\x03\x04"), 3, &n),
           CDC_ERROR, "a field that is no varint");
    is_int(cdc_wire_count_varints(cdc_span("\x18\x05\x08"), 3, &n),
           CDC_ERROR, "a message that ends within another field");
}


static void
test_chain(void)
{
    int           rc;
    size_t        len;
    uint8_t      *p, *flat;
    cdc_span_t    s;
    cdc_chain_t  *c;

    c = cdc_chain_create();

    ok(cdc_chain_bytes(c) == 0 && cdc_chain_count(c) == 0, "an empty chain");

    flat = cdc_chain_flatten(c, &len);
    ok(flat != NULL && len == 0, "flattened");
    free(flat);

    rc = cdc_chain_copy(c, cdc_span("abc"));
    rc |= cdc_chain_copy(c, cdc_span("def"));
    rc |= cdc_chain_copy(c, cdc_span(""));
    ok(rc == CDC_OK && cdc_chain_count(c) == 1, "owned pieces join");

    s = cdc_span("borrowed");
    rc = cdc_chain_add(c, s);
    rc |= cdc_chain_add(c, cdc_span(""));
    ok(rc == CDC_OK && cdc_chain_count(c) == 2, "one span more");
    ok(cdc_chain_span(c, 1).data == s.data, "borrowed, not copied");

    p = cdc_chain_alloc(c, 3);
    memcpy(p, "ghi", 3);
    is_int(cdc_chain_count(c), 3, "owned behind borrowed");

    p = cdc_chain_alloc(c, 1000000);
    memset(p, 'x', 1000000);
    rc = cdc_chain_copy(c, cdc_span("end"));
    is_int(cdc_chain_bytes(c), 6 + 8 + 3 + 1000000 + 3, "bytes");

    flat = cdc_chain_flatten(c, &len);
    ok(rc == CDC_OK && len == cdc_chain_bytes(c)
       && memcmp(flat, "abcdefborrowedghixxx", 20) == 0
       && memcmp(flat + len - 4, "xend", 4) == 0, "all in order");
    free(flat);

    ok(cdc_chain_alloc(c, SIZE_MAX) == NULL
       && cdc_chain_alloc(c, SIZE_MAX - 8) == NULL, "no room for that");

    cdc_chain_unref(c);
}


/* many pieces: spans must not move under their readers' feet */

static void
test_chain_growth(void)
{
    int           bad;
    size_t        i, at;
    uint8_t      *p, *flat, *seen[300];
    cdc_chain_t  *c;

    c = cdc_chain_create();
    bad = 0;
    at = 0;

    for (i = 0; i < 300; i++) {
        seen[i] = p = cdc_chain_alloc(c, i * 7);
        memset(p, (int) i, i * 7);
        bad |= cdc_chain_add(c, cdc_span("|")) != CDC_OK;
    }

    flat = cdc_chain_flatten(c, &at);
    p = flat;

    for (i = 0; i < 300; i++) {
        bad |= i && (seen[i][0] != (uint8_t) i || p[0] != (uint8_t) i);
        bad |= p[i * 7] != '|';
        p += i * 7 + 1;
    }

    ok(!bad && p == flat + at, "300 owned pieces stay where they are");
    ok(cdc_chain_count(c) <= 600, "at most two spans for each");
    free(flat);

    cdc_chain_unref(c);
}


static void
test_nested(size_t len)
{
    int           rc;
    char         *big;
    size_t        i, outer, inner, n;
    uint8_t       buf[64], *flat;
    cdc_span_t    in;
    cdc_field_t   f, g;
    cdc_chain_t  *c;

    c = cdc_chain_create();
    big = malloc(len + 1);
    memset(big, 'b', len + 1);

    rc = cdc_chain_open(c, 5, &outer);
    rc |= cdc_chain_varint_field(c, 1, 150);
    rc |= cdc_chain_open(c, 536870911, &inner);
    rc |= cdc_chain_add(c, cdc_span_n(big, len));
    cdc_chain_close(c, inner);
    rc |= cdc_chain_bytes_field(c, 3, cdc_span("tail"));
    cdc_chain_close(c, outer);
    rc |= cdc_chain_bytes_field(c, 6, cdc_span(""));

    flat = cdc_chain_flatten(c, &n);
    in = cdc_span_n(flat, n);

    i = 0;

    if (rc == CDC_OK && cdc_wire_next(&in, &f) == CDC_OK && f.number == 5) {
        i += cdc_wire_next(&f.body, &g) == CDC_OK
             && g.number == 1 && g.value == 150;
        i += cdc_wire_next(&f.body, &g) == CDC_OK
             && g.number == 536870911 && g.body.len == len
             && memcmp(g.body.data, big, len) == 0;

        /* tag and length are of the least size */

        i += g.raw.len == len + cdc_wire_varint(buf, len) + 5;
        i += cdc_wire_next(&f.body, &g) == CDC_OK
             && g.number == 3 && cdc_span_is(g.body, "tail");
        i += cdc_wire_next(&f.body, &g) == CDC_DONE;
        i += cdc_wire_next(&in, &f) == CDC_OK
             && f.number == 6 && f.body.len == 0;
        i += cdc_wire_next(&in, &f) == CDC_DONE;
    }

    ok(i == 7, "fields within fields around %zu bytes", len);

    free(flat);
    free(big);
    cdc_chain_unref(c);
}


static void
test_rollback(void)
{
    int              rc;
    size_t           i, mark, inner;
    cdc_chain_t     *c;
    cdc_chain_pos_t  pos;

    c = cdc_chain_create();

    rc = cdc_chain_copy(c, cdc_span("\x08\x01"));
    rc |= cdc_chain_open(c, 2, &mark);
    rc |= cdc_chain_copy(c, cdc_span("a"));

    for (i = 0; i < 3; i++) {
        cdc_chain_save(c, &pos);
        rc |= cdc_chain_copy(c, cdc_span("lost"));
        rc |= cdc_chain_add(c, cdc_span("lost, too"));
        rc |= cdc_chain_open(c, 9, &inner);
        rc |= cdc_chain_alloc(c, 100000) == NULL;
        cdc_chain_rollback(c, &pos);
        rc |= cdc_chain_copy(c, cdc_span("b"));
    }

    cdc_chain_close(c, mark);
    rc |= cdc_chain_copy(c, cdc_span("\x18\x02"));

    ok(rc == CDC_OK && test_same(c, cdc_span("\x08\x01\x12\x04" "abbb"
                                              "\x18\x02")),
       "what was taken back leaves no trace");

    cdc_chain_save(c, &pos);
    rc = cdc_chain_add(c, cdc_span("more"));
    cdc_chain_rollback(c, &pos);
    ok(rc == CDC_OK && cdc_chain_bytes(c) == 10, "nor at the end");

    cdc_chain_unref(c);

    c = cdc_chain_create();
    cdc_chain_save(c, &pos);
    rc = cdc_chain_copy(c, cdc_span("more"));
    cdc_chain_rollback(c, &pos);
    ok(rc == CDC_OK && cdc_chain_bytes(c) == 0 && cdc_chain_count(c) == 0,
       "nor in an empty chain");
    cdc_chain_unref(c);
}


static char  released[32];

static void
test_release(void *data)
{
    strncat(released, data, sizeof(released) - strlen(released) - 1);
}


static void
test_hold(void)
{
    int           i, rc;
    cdc_chain_t  *c;

    static char  names[6][2] = { "a", "b", "c", "d", "e", "f" };

    c = cdc_chain_create();

    rc = CDC_OK;

    for (i = 0; i < 6; i++) {
        rc |= cdc_chain_hold(c, test_release, names[i]);
    }

    cdc_chain_ref(c);
    cdc_chain_unref(c);
    ok(rc == CDC_OK && released[0] == '\0', "held while referenced");

    cdc_chain_unref(c);
    is_str(released, "abcdef", "each released once, with the last reference");

    cdc_chain_unref(NULL);
}


int
main(void)
{
    size_t  i;

    static const size_t  sizes[] = {
        0, 1, 120, 127, 128, 16383, 16384, 3000000
    };

    test_varint();
    test_malformed();
    test_count();
    test_chain();
    test_chain_growth();

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        test_nested(sizes[i]);
    }

    test_rollback();
    test_hold();

    return done_testing();
}
