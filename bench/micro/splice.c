/*
 * What it costs to make an insert fit the target, beside memcpy() of it.
 *
 *     cc -O2 -D_GNU_SOURCE -Iinclude -o splice bench/micro/splice.c \
 *         src/wire/cdc_*.c && ./splice
 *
 * "splice" is what the replicator does for each message: read the envelope,
 * put the rewritten message into a request.  It does not touch what it
 * passes on, so its rate grows with the size; "stamped" writes a new
 * timestamp for each row, as settling does; "flat" is splice and one copy of
 * the whole request.  Each figure is the best of five runs.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdc_wire.h"


#define BENCH_RUNS   5
#define BENCH_BYTES  (512UL * 1024 * 1024)
#define BENCH_STAMP  446912345678901251ULL


typedef enum {
    BENCH_MEMCPY = 0,
    BENCH_SPLICE,
    BENCH_STAMPED,
    BENCH_FLAT,
    BENCH_MODES
} bench_mode_e;


static double
bench_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static void
bench_must(int rc)
{
    if (rc != CDC_OK) {
        (void) fprintf(stderr, "splice: failed\n");
        exit(1);
    }
}


/* an insert as Milvus 2.3 writes it: a key column and a vector column */

static cdc_span_t
bench_insert(size_t rows, size_t dim)
{
    int           rc;
    size_t        i, len, mark, column;
    uint8_t      *p, *longs, *vectors;
    cdc_chain_t  *c;

    c = cdc_chain_create();
    longs = malloc(rows * 10);
    vectors = calloc(rows * dim, 4);

    if (c == NULL || longs == NULL || vectors == NULL) {
        bench_must(CDC_ERROR);
    }

    for (i = 0, len = 0; i < rows; i++) {
        len += cdc_wire_varint(longs + len, BENCH_STAMP - i);
    }

    rc = cdc_chain_open(c, 1, &mark);
    rc |= cdc_chain_varint_field(c, 1, CDC_MSG_INSERT);
    rc |= cdc_chain_varint_field(c, 2, BENCH_STAMP);
    rc |= cdc_chain_varint_field(c, 3, BENCH_STAMP);
    rc |= cdc_chain_varint_field(c, 4, 1);
    cdc_chain_close(c, mark);

    rc |= cdc_chain_bytes_field(c, 2, cdc_span("by-dev-rootcoord-dml_0_446v0"));
    rc |= cdc_chain_bytes_field(c, 4, cdc_span("books"));
    rc |= cdc_chain_bytes_field(c, 5, cdc_span("_default"));
    rc |= cdc_chain_varint_field(c, 7, BENCH_STAMP);
    rc |= cdc_chain_varint_field(c, 8, BENCH_STAMP);
    rc |= cdc_chain_varint_field(c, 9, BENCH_STAMP);
    rc |= cdc_chain_bytes_field(c, 10, cdc_span_n(longs, len));
    rc |= cdc_chain_bytes_field(c, 11, cdc_span_n(longs, len));

    for (i = 0; i < 2; i++) {
        rc |= cdc_chain_open(c, 13, &column);
        rc |= cdc_chain_varint_field(c, 5, 100 + i);
        rc |= cdc_chain_open(c, i == 0 ? 3 : 4, &mark);
        rc |= i == 0 ? cdc_chain_bytes_field(c, 3, cdc_span_n(longs, len))
                     : cdc_chain_bytes_field(c, 2, cdc_span_n(vectors,
                                                   rows * dim * 4));
        cdc_chain_close(c, mark);
        cdc_chain_close(c, column);
    }

    rc |= cdc_chain_varint_field(c, 14, rows);
    rc |= cdc_chain_varint_field(c, 15, 1);
    bench_must(rc);

    p = cdc_chain_flatten(c, &len);
    bench_must(p == NULL ? CDC_ERROR : CDC_OK);

    cdc_chain_unref(c);
    free(longs);
    free(vectors);

    return cdc_span_n(p, len);
}


static size_t
bench_one(cdc_span_t msg, bench_mode_e mode, uint8_t *copy)
{
    int              rc;
    size_t           mark, len, i;
    cdc_span_t       span;
    cdc_chain_t     *c;
    cdc_rewrite_t    rw;
    cdc_envelope_t   env;

    if (mode == BENCH_MEMCPY) {
        memcpy(copy, msg.data, msg.len);
        return 1;
    }

    memset(&rw, 0, sizeof(rw));
    rw.db_name = cdc_span("default");
    rw.collection_name = cdc_span("books");
    rw.shard_name = cdc_span("target-rootcoord-dml_3_447v0");
    rw.collection_id = rw.partition_id = (int64_t) BENCH_STAMP;
    rw.stamp = mode == BENCH_STAMPED ? BENCH_STAMP : 0;

    c = cdc_chain_create();
    bench_must(c == NULL ? CDC_ERROR : CDC_OK);

    rc = cdc_wire_replicate_begin(c, cdc_span("target-rootcoord-dml_3"), 1, 2);
    rc |= cdc_wire_msg_open(c, &mark);
    rc |= cdc_wire_envelope(msg, &env);
    rc |= cdc_wire_rewrite(c, &env, &rw);
    bench_must(rc);
    cdc_wire_msg_close(c, mark);

    if (mode == BENCH_FLAT) {
        for (i = 0, len = 0; i < cdc_chain_count(c); i++) {
            span = cdc_chain_span(c, i);
            memcpy(copy + len, span.data, span.len);
            len += span.len;
        }
    }

    len = cdc_chain_bytes(c);
    cdc_chain_unref(c);

    return len;
}


/* seconds for one message */

static double
bench_mode(cdc_span_t msg, bench_mode_e mode)
{
    int              run;
    double           start, took, best;
    size_t           i, n;
    uint8_t         *copy;
    volatile size_t  sink;

    copy = malloc(msg.len + 4096);
    bench_must(copy == NULL ? CDC_ERROR : CDC_OK);
    memset(copy, 1, msg.len + 4096);

    n = BENCH_BYTES / msg.len;
    n = n < 200000 ? n : 200000;
    best = 1e9;
    sink = 0;

    for (run = 0; run < BENCH_RUNS; run++) {
        start = bench_now();

        for (i = 0; i < n; i++) {
            sink += bench_one(msg, mode, copy);
            sink += copy[i % msg.len];
        }

        took = (bench_now() - start) / (double) n;
        best = took < best ? took : best;
    }

    free(copy);
    (void) sink;

    return best;
}


int
main(void)
{
    int         mode;
    size_t      i;
    double      sec, base;
    cdc_span_t  msg;

    static const size_t  rows[] = { 1, 100, 2000, 10000, 20000 };

    static const char   *names[BENCH_MODES] = {
        "memcpy", "splice", "stamped", "flat"
    };

    base = 1;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        msg = bench_insert(rows[i], 128);

        (void) printf("insert of %zu rows x 128, %zu bytes\n", rows[i],
                      msg.len);

        for (mode = 0; mode < BENCH_MODES; mode++) {
            sec = bench_mode(msg, (bench_mode_e) mode);

            if (mode == BENCH_MEMCPY) {
                base = sec;
            }

            (void) printf("    %-8s %12.2f us %10.2f GB/s %10.2f x memcpy\n",
                          names[mode], sec * 1e6,
                          (double) msg.len / sec / 1e9, base / sec);
        }

        free((void *) (uintptr_t) msg.data);
    }

    return 0;
}
