/*
 * Many streams of a RocksMQ, of which few are taken from: what they hold is
 * bounded, and whichever is wanted goes on.
 */

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "tap.h"
#include "rocksmq_writer.h"
#include "cdc_log_reader.h"
#include "source/cdc_rocksmq_int.h"


#define OPS      (&cdc_rocksmq_reader)
#define MB       ((size_t) 1024 * 1024)
#define TOPICS   16
#define LARGE    8                       /* messages of 1 MB in each topic */
#define ROUNDS   300
#define LIVE     64                      /* topics with ticks only */


typedef struct {
    cdc_log_stream_t  *stream;
    unsigned           want;             /* so many more are taken */
    unsigned           got;
    uint64_t           last;
    unsigned           wrong;
    unsigned           calls;            /* of readable() */
    unsigned           ends;             /* in which it was at the end */
} taken_t;


static cdc_loop_t        *loop;
static cdc_log_reader_t  *reader;
static cdc_timer_t        tick, limit;
static taken_t            taken[TOPICS], live[LIVE];
static size_t             most;          /* bytes of all queues */
static unsigned           until = UINT32_MAX;    /* messages of all */
static int                slow;          /* who reads has other things to do */
static char               base[] = "/tmp/cdc-rocksmq-room.XXXXXX";
static char               dir[128], own[128];


static unsigned
total(void)
{
    int       t;
    unsigned  n;

    for (t = 0, n = 0; t < TOPICS; t++) {
        n += taken[t].got;
    }

    for (t = 0; t < LIVE; t++) {
        n += live[t].got;
    }

    return n;
}


static size_t
held(void)
{
    size_t             bytes;
    cdc_log_stream_t  *s;

    bytes = 0;

    (void) pthread_mutex_lock(&reader->mutex);

    for (s = reader->streams; s != NULL; s = s->next) {
        bytes += s->queue.bytes;
    }

    (void) pthread_mutex_unlock(&reader->mutex);

    most = bytes > most ? bytes : most;

    return bytes;
}


static void
readable(void *arg, cdc_log_stream_t *s)
{
    char            err[CDC_REASON_MAX];
    uint64_t        id;
    taken_t        *t;
    cdc_log_msg_t   msg;

    t = OPS->data(s);
    t->calls++;
    (void) held();

    if (slow) {
        (void) usleep(3000);
    }

    while (t->want > 0 && OPS->next(s, &msg, err) == CDC_OK) {
        memcpy(&id, msg.body.data, 8);
        t->wrong += id != msg.pos.lo || id <= t->last;
        t->last = id;
        t->got++;
        t->want--;
        OPS->release(&msg);
    }

    t->ends += OPS->at_end(s) != 0;

    if (total() >= until) {
        cdc_loop_stop(loop);
    }
}


static void
degraded(void *arg, const char *text)
{
    printf("# %s\n", text != NULL ? text : "well again");
}


static void
ticked(cdc_timer_t *tm)
{
    (void) held();
    cdc_timer_add(loop, &tick, 1);
}


static void
expired(cdc_timer_t *tm)
{
    cdc_loop_stop(loop);
}


static void
spin(unsigned want, uint64_t ms)
{
    if (total() >= want) {
        return;
    }

    until = want;

    tick.handler = ticked;
    limit.handler = expired;
    cdc_timer_add(loop, &tick, 1);
    cdc_timer_add(loop, &limit, ms);
    (void) cdc_loop_run(loop);
    cdc_timer_del(loop, &limit);
    cdc_timer_del(loop, &tick);
    until = UINT32_MAX;
}


/* until nothing moves any more */

static void
rest(void)
{
    int     n;
    size_t  before;

    for (n = 0; n < 2; n++) {
        before = held();
        spin(UINT32_MAX, 150);
        n = held() == before ? n : -1;
    }
}


static void
begin(writer_child_t *w, const char *name, size_t memtable, int n, size_t len)
{
    int                t;
    char               topic[32], err[CDC_REASON_MAX];
    json_t            *conf;
    cdc_pos_t          pos;
    cdc_log_handler_t  handler;

    (void) snprintf(dir, sizeof(dir), "%s/%s", base, name);
    (void) snprintf(own, sizeof(own), "%s/%s_own", base, name);
    (void) writer_start(w, dir, "zstd", memtable, WRITER_BASE);

    for (t = 0; t < TOPICS; t++) {
        (void) snprintf(topic, sizeof(topic), "dml_%d", t);
        (void) writer_put_n(w, topic, n, len);
    }

    handler.readable = readable;
    handler.degraded = degraded;
    handler.arg = NULL;

    conf = json_pack("{s:s, s:s}", "rocksmq", dir, "secondary_dir", own);
    reader = OPS->open(loop, conf, &handler, err);
    json_decref(conf);

    memset(taken, 0, sizeof(taken));
    memset(live, 0, sizeof(live));
    memset(&pos, 0, sizeof(pos));
    most = 0;

    for (t = 0; t < TOPICS; t++) {
        (void) snprintf(topic, sizeof(topic), "dml_%d", t);
        taken[t].stream = OPS->start(reader, topic, pos, &taken[t], err);
    }
}


static void
end(writer_child_t *w)
{
    OPS->close(reader);
    writer_end(w, SIGKILL);
    remove_tree(dir);
}


/* each one wants so many more */

static void
want_all(unsigned n)
{
    int  t;

    for (t = 0; t < TOPICS; t++) {
        taken[t].want = n;
        readable(NULL, taken[t].stream);
    }
}


static void
all_came(unsigned n, const char *name)
{
    int       t;
    unsigned  wrong;

    want_all(n);
    spin(TOPICS * n, 60000);

    for (t = 0, wrong = 0; t < TOPICS; t++) {
        wrong += taken[t].wrong + (taken[t].got != n);
    }

    is_int(wrong, 0, name);
}


/* nobody takes anything; then one after the other, each to its end */

static void
test_one(const char *name, size_t memtable)
{
    int             t;
    size_t          at_rest;
    unsigned        came;
    writer_child_t  w;

    begin(&w, name, memtable, LARGE, MB);

    for (t = 0; t < 300 && held() == 0; t++) {       /* a busy machine */
        spin(UINT32_MAX, 100);
    }

    rest();
    at_rest = held();
    ok(at_rest >= 4 * MB && at_rest <= 10 * MB,
       "%s: %zu bytes are held of 128 MB", name, at_rest);

    for (t = TOPICS - 1, came = 0; t >= 0; t--) {
        taken[t].want = LARGE;
        readable(NULL, taken[t].stream);
        spin(total() + LARGE - taken[t].got, 10000);
        came += taken[t].got == LARGE;
        rest();
    }

    is_int(came, TOPICS, "each can be read while nobody reads the others");
    ok(most <= 12 * MB, "%s: at most %zu bytes", name, most);
    all_came(LARGE, "whole and in order");

    end(&w);
}


/* now this one is wanted, and now that one; all asked for more before */

static void
test_change(void)
{
    int             i, t;
    unsigned        late;
    uint32_t        seed;
    writer_child_t  w;

    begin(&w, "change", 200 * MB, LARGE * 3, MB);
    seed = 1;

    /* under TSan on a busy machine one takes seconds: the first that does not
     * come ends it */

    for (i = 0, late = 0; i < ROUNDS && !late; i++) {

        seed = seed * 1103515245 + 12345;
        t = (int) (seed >> 16) % TOPICS;

        if (taken[t].got == LARGE * 3) {
            continue;
        }

        taken[t].want = 1;
        readable(NULL, taken[t].stream);
        spin(total() + taken[t].want, 60000);
        late = taken[t].want != 0;

        if (i % 50 == 49) {              /* they ask, and then do not want */
            want_all(1);
            want_all(0);
        }
    }

    is_int(late, 0, "what is wanted comes, whoever wanted something before");
    ok(most <= 12 * MB, "at most %zu bytes", most);

    end(&w);
}


/* all who have nothing ask at once, again and again, and are slow to look */

static void
test_asked(void)
{
    int             i, t;
    writer_child_t  w;

    begin(&w, "asked", 4 * MB, LARGE, MB);

    for (t = 0; t < 300 && held() == 0; t++) {
        spin(UINT32_MAX, 100);
    }

    rest();
    slow = 1;

    for (i = 0; i < LARGE; i++) {
        for (t = 0; t < TOPICS; t++) {
            if (taken[t].stream->queue.head == NULL && taken[t].got < LARGE) {
                taken[t].want = 1;
                readable(NULL, taken[t].stream);
            }
        }

        spin(UINT32_MAX, 300);
    }

    slow = 0;
    ok(total() >= TOPICS * LARGE / 4, "asked: %u have come", total());
    ok(most <= 12 * MB, "and at most %zu bytes were held", most);
    all_came(LARGE, "all come");

    end(&w);
}


/* only the short ones that stand before a large one are wanted */

static void
test_between(const char *name, size_t memtable)
{
    int             t;
    char            topic[32];
    writer_child_t  w;

    begin(&w, name, memtable, 2, MB);

    for (t = 0; t < TOPICS; t++) {
        (void) snprintf(topic, sizeof(topic), "dml_%d", t);
        (void) writer_put_n(&w, topic, 3, 20);
        (void) writer_put_n(&w, topic, 1, MB);
        (void) writer_put_n(&w, topic, 3, 20);
        (void) writer_put_n(&w, topic, 1, MB);
    }

    want_all(2);
    spin(TOPICS * 2, 60000);
    rest();
    most = 0;

    for (t = 0; t < TOPICS; t++) {
        taken[t].want = 3;
        readable(NULL, taken[t].stream);
        spin(TOPICS * 2 + 3 * ((unsigned) t + 1), 5000);
    }

    is_int(total(), TOPICS * 5, "they come");
    rest();
    ok(most <= 12 * MB, "%s: at most %zu bytes were held", name, most);
    all_came(10, name);

    end(&w);
}


/* small ones: nobody goes short while all are taken */

static void
test_small(void)
{
    writer_child_t  w;

    begin(&w, "small", 4 * MB, 3000, 1000);
    rest();
    ok(held() <= 10 * MB, "small: %zu bytes are held of 48 MB", held());
    all_came(3000, "small: all come, whole and in order");
    end(&w);
}


/* others hold what there is room for: one that was at its end is not now */

static void
test_end(void)
{
    int             i, t;
    writer_child_t  w;

    begin(&w, "end", 200 * MB, 1, 100);
    want_all(1);
    spin(TOPICS, 10000);

    for (i = 0; i < 50 && !OPS->at_end(taken[3].stream); i++) {
        spin(UINT32_MAX, 100);
    }

    ok(OPS->at_end(taken[3].stream), "at the end");

    for (t = 4; t < TOPICS; t++) {
        (void) snprintf(dir, sizeof(dir), "dml_%d", t);
        (void) writer_put_n(&w, dir, 4, MB);
    }

    rest();
    (void) writer_put_n(&w, "dml_3", 1, MB);

    for (i = 0; i < 50 && OPS->at_end(taken[3].stream); i++) {
        spin(UINT32_MAX, 100);
    }

    ok(!OPS->at_end(taken[3].stream), "no longer, though there is no room");
    taken[3].want = 1;
    readable(NULL, taken[3].stream);
    spin(total() + 1, 5000);
    is_int(taken[3].got, 2, "and what has come can be had");

    for (t = 4; t < TOPICS; t++) {       /* what they held is free again */
        OPS->stop(taken[t].stream);
    }

    (void) writer_put_n(&w, "dml_2", 20, MB);
    rest();
    ok(held() >= MB / 2, "who is left has their room: %zu", held());
    taken[2].want = 20;
    readable(NULL, taken[2].stream);
    spin(total() + 20, 10000);
    is_int(taken[2].got, 21, "and is read to its end");

    (void) snprintf(dir, sizeof(dir), "%s/end", base);
    end(&w);
}


/* others hold what there is room for, and the ticks of those that hold
 * nothing come, all at once, as they do */

static void
test_live(void)
{
    int              i, t;
    char             topic[32], err[CDC_REASON_MAX];
    unsigned         n, calls;
    uint64_t         at;
    cdc_pos_t        pos;
    writer_child_t   w;
    struct timespec  a, b;

    begin(&w, "live", 200 * MB, 2, MB);
    rest();
    memset(&pos, 0, sizeof(pos));

    for (t = 0; t < LIVE; t++) {
        (void) snprintf(topic, sizeof(topic), "live_%d", t);
        live[t].want = UINT32_MAX;
        live[t].stream = OPS->start(reader, topic, pos, &live[t], err);
        readable(NULL, live[t].stream);
    }

    rest();
    (void) writer_ask(&w, "burst live_ %d", LIVE);
    spin(total() + LIVE, 5000);
    rest();

    for (t = 0; t < LIVE; t++) {
        live[t].calls = 0;
    }

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    at = cdc_now_ms();

    for (i = 0; i < 10; i++) {
        (void) writer_ask(&w, "burst live_ %d", LIVE);
        spin(total() + LIVE, 5000);
    }

    at = cdc_now_ms() - at;
    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);

    for (t = 0, n = 0, calls = 0; t < LIVE; t++) {
        n += live[t].got == 11;
        calls += live[t].calls;
    }

    is_int(n, LIVE, "ticks come");
    ok(calls <= LIVE * 30, "%u calls of readable() for %u ticks, %u ms, "
       "%ld us of CPU", calls, LIVE * 10, (unsigned) at,
       (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);

    end(&w);
}


/* who found nothing is told when that was the end: others wait for it */

static void
test_told(void)
{
    int             t;
    writer_child_t  w;

    begin(&w, "told", 200 * MB, 2, MB);
    rest();

    for (t = 0; t < 2; t++) {
        taken[t].want = UINT32_MAX;
        readable(NULL, taken[t].stream);
        spin(total() + 2 - taken[t].got, 5000);
        rest();
        ok(OPS->at_end(taken[t].stream), "at the end");
        ok(taken[t].ends > 0, "and it is said");
    }

    end(&w);
}


int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "writer") == 0) {
        return writer_main(argv);
    }

    (void) signal(SIGPIPE, SIG_IGN);
    cdc_log_init("", NULL, CDC_LOG_NOTICE);

    if (mkdtemp(base) == NULL) {
        return 1;
    }

    loop = cdc_loop_create();

    test_one("tables", 4 * MB);
    test_one("logs", 200 * MB);
    test_change();
    test_asked();
    test_between("between, logs", 200 * MB);
    test_between("between, tables", 4 * MB);
    test_small();
    test_end();
    test_live();
    test_told();

    cdc_loop_destroy(loop);
    remove_tree(base);

    return done_testing();
}
