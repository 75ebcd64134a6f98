/*
 * What a message costs between the reader of the log and gRPC: taken, put in
 * order, handed over, stamped, built into a request, acknowledged.  The
 * channels and lanes are the real ones, on the bench of t/unit; log and
 * target cost next to nothing.
 *
 *     pack [COLLECTIONS...]      (1 100 1000 -10000)
 *
 * All collections are on one channel and their messages come in turn, a tick
 * after each 50.  Below zero: the messages are one's, and so many others are
 * on another channel, where nothing happens.  Each figure is the best of five
 * runs; beside it, how many messages of 64 kB memcpy() would have copied in
 * that time.
 */

#include "order_bench.h"

#include <time.h>


#define PACK_RUNS      5
#define PACK_MESSAGES  20000
#define PACK_TICK      50
#define PACK_BYTES     512
#define PACK_COPY      65536


static uint8_t   *pack_bytes;            /* of all messages */
static size_t     pack_len[PACK_MESSAGES + PACK_MESSAGES / PACK_TICK];
static size_t     pack_n, pack_at;
static uint64_t   pack_sent;


static double
pack_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


/* PACK_BYTES each: as the script of the bench would have it */

static void
pack_script(unsigned colls)
{
    unsigned  i;

    pack_n = 0;

    for (i = 0; i < PACK_MESSAGES; i++) {
        log_stream.n = 0;
        put_insert(1 + i % colls, MS(1000000 + i), (uint8_t) i);
        memcpy(pack_bytes + pack_n * PACK_BYTES, log_stream.messages[0].bytes,
               PACK_BYTES);
        pack_len[pack_n++] = log_stream.messages[0].len;

        if (i % PACK_TICK == PACK_TICK - 1) {
            log_stream.n = 0;
            put_tick(MS(1000000 + i));
            memcpy(pack_bytes + pack_n * PACK_BYTES,
                   log_stream.messages[0].bytes, PACK_BYTES);
            pack_len[pack_n++] = log_stream.messages[0].len;
        }
    }

    log_stream.n = 0;
    pack_at = 0;
}


static int
pack_next(cdc_log_stream_t *s, cdc_log_msg_t *msg, char *err)
{
    if (pack_at == pack_n) {
        return CDC_AGAIN;
    }

    msg->body = cdc_span_n(pack_bytes + pack_at * PACK_BYTES,
                           pack_len[pack_at]);
    msg->pos = (cdc_pos_t) { 0, pack_at++ };
    msg->streaming = 0;
    msg->owner = msg;

    return CDC_OK;
}


static int
pack_send(cdc_target_lane_t *conn, cdc_chain_t *request,
    void (*done)(void *arg, int rc, const cdc_target_error_t *err), void *arg)
{
    pack_sent += cdc_chain_bytes(request);
    pending_done = done;
    pending_arg = arg;

    return CDC_OK;
}


static void
pack_stop(cdc_post_t *post)
{
    cdc_loop_stop(post->data);
}


/* what was deferred runs first */

static void
pack_turn(void)
{
    cdc_post_t  post;

    memset(&post, 0, sizeof(cdc_post_t));
    post.handler = pack_stop;
    post.data = repl.loop;

    cdc_loop_defer(repl.loop, &post);
    (void) cdc_loop_run(repl.loop);
}


/* seconds for all messages */

static double
pack_run(unsigned colls, unsigned elsewhere)
{
    double                 start;
    unsigned               i;
    cdc_coll_t            *c;
    cdc_log_reader_ops_t   reader;
    cdc_target_ops_t       target;
    void                 (*done)(void *, int, const cdc_target_error_t *);

    set_up();
    reader = fake_reader;
    reader.next = pack_next;
    target = fake_target;
    target.send = pack_send;
    repl.reader_ops = &reader;
    repl.target_ops = &target;

    for (i = 1; i < colls; i++) {
        (void) add_coll(1 + i, CDC_COLL_LIVE);
    }

    from = on_next = 1;

    for (i = 0; i < elsewhere; i++) {
        c = add_coll(100000 + i, CDC_COLL_LIVE);
        c->shards[0].ch->stream = NULL;
        c->shards[0].ch->more = 0;
    }

    from = on_next = 0;

    pack_script(colls);
    channel->upto = (cdc_pos_t) { 0, UINT64_MAX / 2 };
    start = pack_now();

    do {
        cdc_channel_read(channel);
        pack_turn();

        while (pending_done) {
            done = pending_done;
            pending_done = NULL;
            done(pending_arg, CDC_OK, NULL);
            pack_turn();
        }
    } while (pack_at < pack_n || channel->bodies);

    start = pack_now() - start;
    tear_down_side(0);

    if (failure[0]) {
        (void) fprintf(stderr, "pack: %s\n", failure);
        exit(1);
    }

    return start;
}


/* seconds for one copy, of memory that no cache holds */

static double
pack_copy(void)
{
    double            start;
    size_t            i, n;
    uint8_t          *to;
    volatile uint8_t  sink;

    n = 1024;
    to = malloc(PACK_COPY * n * 2);
    if (to == NULL) {
        exit(1);
    }

    memset(to, 1, PACK_COPY * n * 2);
    start = pack_now();

    for (i = 0; i < n; i++) {
        memcpy(to + PACK_COPY * i, to + PACK_COPY * (n + i), PACK_COPY);
    }

    start = (pack_now() - start) / (double) n;
    sink = to[PACK_COPY * n - 1];
    (void) sink;
    free(to);

    return start;
}


int
main(int argc, char **argv)
{
    int       i, n, run;
    double    best, took, copy, one;

    static char  *usual[] = { NULL, "1", "100", "1000", "-10000" };

    if (argc < 2) {
        argv = usual;
        argc = 5;
    }

    pack_bytes = calloc(PACK_MESSAGES + PACK_MESSAGES / PACK_TICK, PACK_BYTES);
    if (pack_bytes == NULL) {
        return 1;
    }

    for (i = 1; i < argc; i++) {
        n = atoi(argv[i]);
        best = copy = 1e9;

        for (run = 0; run < PACK_RUNS; run++) {
            one = pack_copy();
            copy = one < copy ? one : copy;
            took = pack_run(n > 0 ? (unsigned) n : 1,
                            n < 0 ? (unsigned) -n : 0) / PACK_MESSAGES;
            best = took < best ? took : best;
        }

        (void) printf("%6d %s %10.3f us a message %10.2f x memcpy "
                      "of 64 kB\n", n < 0 ? -n : n,
                      n < 0 ? "elsewhere  " : "collections", best * 1e6,
                      best / copy);
    }

    free(pack_bytes);

    return 0;
}
