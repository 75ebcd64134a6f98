/*
 * The RocksMQ reader against databases that a process of its own writes as
 * Milvus does.  TEST_CDC_ROCKSMQ_MS says for how long the source is busy with
 * flushes, compaction and retention (3000).
 */

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/inotify.h>
#include <time.h>

#include <jansson.h>

#include "tap.h"
#include "rocksmq_writer.h"
#include "cdc_log_reader.h"
#include "source/cdc_rocksmq_int.h"


#define OPS      (&cdc_rocksmq_reader)
#define STREAMS  16


typedef struct {
    size_t    got, bytes;
    uint64_t  first, last;
    unsigned  mixed;                     /* bodies that are not their id's */
    unsigned  unordered;
    unsigned  streaming;
    int       rc;
    char      err[CDC_REASON_MAX];
} seen_t;


typedef struct {
    cdc_loop_t        *loop;
    cdc_log_reader_t  *reader;
    cdc_timer_t        limit;
    seen_t             seen[STREAMS];
    size_t             want;             /* messages, all streams together */
    cdc_post_t         turn;             /* of the loop, with readable() */
    unsigned           turns;
    unsigned           within;           /* such a turn */
    unsigned           hold;             /* do not take anything */
    unsigned           stop_at_error;
    int                degraded, healthy;
    char               text[CDC_REASON_MAX];
    double             lag_max, lag_sum;
    unsigned           lags;
} run_t;


static run_t  run;
static char   base[] = "/tmp/cdc-rocksmq.XXXXXX";
static char   dir[128], own[128];


static size_t
total(void)
{
    int     i;
    size_t  n;

    for (i = 0, n = 0; i < STREAMS; i++) {
        n += run.seen[i].got;
    }

    return n;
}


static void
take(seen_t *seen, const cdc_log_msg_t *msg)
{
    uint64_t         id;
    struct timespec  now, then;

    memcpy(&id, msg->body.data, 8);

    if (msg->body.len == sizeof(struct timespec)) {
        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        memcpy(&then, msg->body.data, sizeof(then));

        run.lag_sum += (double) (now.tv_sec - then.tv_sec) * 1e3
                       + (double) (now.tv_nsec - then.tv_nsec) / 1e6;
        run.lag_max = run.lag_sum;
        run.lags++;

    } else {
        seen->mixed += id != msg->pos.lo;
    }

    if (seen->got == 0) {
        seen->first = msg->pos.lo;
    }

    seen->unordered += msg->pos.lo <= seen->last || msg->pos.hi != 0;
    seen->last = msg->pos.lo;
    seen->streaming += msg->streaming;
    seen->bytes += msg->body.len;
    seen->got++;
}


static void
turned(cdc_post_t *post)
{
    run.within = 0;
}


static void
readable(void *arg, cdc_log_stream_t *s)
{
    seen_t         *seen;
    cdc_log_msg_t   msg;

    seen = OPS->data(s);

    if (!run.within) {
        run.within = 1;
        run.turns++;
        run.turn.handler = turned;
        cdc_loop_defer(run.loop, &run.turn);
    }

    while (!run.hold) {
        seen->rc = OPS->next(s, &msg, seen->err);

        if (seen->rc != CDC_OK) {
            break;
        }

        take(seen, &msg);
        OPS->release(&msg);
    }

    if ((run.want != 0 && total() >= run.want)
        || seen->rc == CDC_DECLINED || seen->rc == CDC_ERROR)
    {
        cdc_loop_stop(run.loop);
    }
}


static void
degraded(void *arg, const char *text)
{
    if (text != NULL) {
        run.degraded++;
        (void) snprintf(run.text, sizeof(run.text), "%s", text);

    } else {
        run.healthy++;
    }

    if (run.want == 0) {
        cdc_loop_stop(run.loop);
    }
}


static void
expired(cdc_timer_t *tm)
{
    cdc_loop_stop(run.loop);
}


/* until so many messages have come, an error, or the time is over */

static void
spin(size_t want, uint64_t ms)
{
    run.want = want;

    if (want != 0 && total() >= want) {
        return;
    }

    run.limit.handler = expired;
    cdc_timer_add(run.loop, &run.limit, ms);
    (void) cdc_loop_run(run.loop);
    cdc_timer_del(run.loop, &run.limit);
}


static int
open_reader(size_t prefetch)
{
    char               err[CDC_REASON_MAX];
    json_t            *conf;
    cdc_loop_t        *loop;
    cdc_log_handler_t  handler;

    loop = run.loop;
    memset(&run, 0, sizeof(run_t));
    run.loop = loop;

    handler.readable = readable;
    handler.degraded = degraded;
    handler.arg = NULL;

    conf = json_pack("{s:s, s:s, s:I}", "rocksmq", dir, "secondary_dir", own,
                     "prefetch", (json_int_t) prefetch);

    if (cdc_log_reader_of(conf) != OPS) {
        json_decref(conf);
        return 0;
    }

    run.reader = OPS->open(run.loop, conf, &handler, err);
    json_decref(conf);

    if (run.reader == NULL) {
        printf("# %s\n", err);
    }

    return run.reader != NULL;
}


static cdc_log_stream_t *
start(int n, const char *topic, uint64_t from)
{
    char       err[CDC_REASON_MAX];
    cdc_pos_t  pos;

    pos.hi = 0;
    pos.lo = from;
    memset(&run.seen[n], 0, sizeof(seen_t));
    run.seen[n].rc = CDC_AGAIN;

    return OPS->start(run.reader, topic, pos, &run.seen[n], err);
}


static int
ends(const char *topic, uint64_t *first, uint64_t *end)
{
    int        rc;
    char       err[CDC_REASON_MAX];
    cdc_pos_t  a, b;

    rc = OPS->ends(run.reader, topic, 3000, &a, &b, err);
    *first = a.lo;
    *end = b.lo;

    if (rc != CDC_OK) {
        printf("# %s\n", err);
    }

    return rc;
}


static void
fresh(const char *name)
{
    (void) snprintf(dir, sizeof(dir), "%s/%s", base, name);
    (void) snprintf(own, sizeof(own), "%s/%s_own", base, name);
}


/* ---- tests --- */

static void
test_parse(void)
{
    cdc_pos_t      pos;
    const uint8_t  id[] = { 1, 0xc0, 0xda, 0xf9, 0xc9, 0xb8, 0x3e, 6 };
    const uint8_t  none[] = { 255, 255, 255, 255, 255, 255, 255, 255 };

    is_int(OPS->parse_id(cdc_span_n(id, 8), &pos), CDC_OK, "an id of 8 bytes");
    is_int((int64_t) pos.lo, INT64_C(0x63eb8c9f9dac001), "is little-endian");
    is_int(OPS->parse_id(cdc_span_n(none, 8), &pos), CDC_OK, "the id -1");
    ok(pos.hi == 0 && pos.lo == 0, "is before the first one");
    is_int(OPS->parse_id(cdc_span_n(id, 7), &pos), CDC_ERROR,
           "7 bytes are no id");
}


static void
test_read(const char *compression)
{
    uint64_t           last[2], first, end;
    const char        *answer;
    writer_child_t     w;
    cdc_log_stream_t  *s[2];

    fresh(compression);
    is_int(writer_start(&w, dir, compression, 1 << 16, WRITER_BASE), 0,
           "a RocksMQ is there");

    last[0] = writer_put_n(&w, "by-dev-rootcoord-dml_1", 3000, 200);
    last[1] = writer_put_n(&w, "by-dev-rootcoord-dml_10", 2000, 200);
    (void) writer_put_n(&w, "by-dev-rootcoord-dml_1", 1, 5000000);
    writer_ask(&w, "flush");
    writer_ask(&w, "compact");
    last[0] = writer_put_n(&w, "by-dev-rootcoord-dml_1", 100, 200);

    ok(open_reader(64 * 1024), "the reader opens");

    is_int(ends("by-dev-rootcoord-dml_1", &first, &end), CDC_OK, "ends()");
    is_int((int64_t) first, (int64_t) WRITER_BASE, "the first position");
    is_int((int64_t) end, (int64_t) last[0] + 1, "behind the last one");
    is_int(ends("by-dev-rootcoord-dml_0", &first, &end), CDC_OK,
           "ends() of a topic that is not there");
    ok(first == 0 && end == 0, "is nothing");

    s[0] = start(0, "by-dev-rootcoord-dml_1", WRITER_BASE + 10);
    s[1] = start(1, "by-dev-rootcoord-dml_10", 0);
    spin(3000 - 10 + 1 + 100 + 2000, 10000);

    is_int((int64_t) run.seen[0].got, 3000 - 10 + 101, "one topic");
    is_int((int64_t) run.seen[0].first, (int64_t) WRITER_BASE + 10,
           "from the position");
    is_int((int64_t) run.seen[0].last, (int64_t) last[0], "to the end");
    is_int((int64_t) run.seen[1].got, 2000, "the other topic");
    is_int((int64_t) run.seen[1].last, (int64_t) last[1], "to its end");
    ok(run.seen[0].mixed + run.seen[1].mixed == 0, "bodies are right");
    ok(run.seen[0].unordered + run.seen[1].unordered == 0, "in order");
    ok(OPS->at_end(s[0]) && OPS->at_end(s[1]), "both are at the end");
    is_int(run.degraded, 0, "nothing is degraded");

    answer = writer_ask(&w, "raw by-dev-rootcoord-dml_1 0a020801aabbccdd");
    spin(total() + 1, 2000);
    is_int(run.seen[0].streaming, 0, "not the format of 2.6");
    answer = writer_ask(&w, "raw by-dev-rootcoord-dml_1 "
                        "fffefdfc53545245414d0a00");
    spin(total() + 1, 2000);
    is_int(run.seen[0].streaming, 1, "the format of 2.6 is seen");
    is_int((int64_t) run.seen[0].last, (int64_t) strtoull(answer, NULL, 10),
           "live");

    is_int(access(own, F_OK), 0, "RocksDB's own log is in our directory");
    OPS->close(run.reader);
    is_int(access(own, F_OK), -1, "which is gone afterwards");

    writer_end(&w, 0);
}


/* the source may look away: nothing of its directory is touched */

static void
test_untouched(void)
{
    int                          fd;
    char                         buf[8192];
    ssize_t                      n;
    writer_child_t               w;

    fresh("untouched");
    (void) writer_start(&w, dir, "zstd", 1 << 16, WRITER_BASE);
    (void) writer_put_n(&w, "t", 2000, 200);
    writer_end(&w, 0);

    fd = inotify_init1(IN_NONBLOCK|IN_CLOEXEC);
    (void) inotify_add_watch(fd, dir, IN_MODIFY|IN_ATTRIB|IN_CREATE|IN_DELETE
                             |IN_MOVE|IN_DELETE_SELF|IN_MOVE_SELF
                             |IN_CLOSE_WRITE);
    (void) chmod(dir, 0555);
    n = read(fd, buf, sizeof(buf));      /* the chmod itself */
    ok(n > 0, "a change would be seen");

    ok(open_reader(0), "the reader opens");
    (void) start(0, "t", 0);
    spin(2000, 5000);
    is_int((int64_t) run.seen[0].got, 2000, "all of a read-only directory");
    OPS->close(run.reader);

    n = read(fd, buf, sizeof(buf));
    ok(n == -1 && errno == EAGAIN, "nothing was written into it");

    (void) chmod(dir, 0755);
    (void) close(fd);
}


/* retention has been there: start at "from" and see */

static int
starts(const char *topic, uint64_t from, size_t want)
{
    int                rc;
    uint64_t           first, end;
    cdc_log_stream_t  *s;

    (void) ends(topic, &first, &end);    /* looks at what there is now */

    s = start(0, topic, from);
    run.seen[1].got = run.seen[2].got = 0;
    spin(want != 0 ? want : 1, want != 0 ? 3000 : 300);
    rc = run.seen[0].rc;
    OPS->stop(s);

    return rc;
}


static void
test_gap(void)
{
    uint64_t        b, last, page;
    writer_child_t  w;

    fresh("gap");
    (void) writer_start(&w, dir, "none", 1 << 20, WRITER_BASE);
    ok(open_reader(0), "the reader opens");

    b = WRITER_BASE;
    (void) writer_put_n(&w, "a", 100, 100);              /* b .. b + 99 */
    (void) writer_put_n(&w, "b", 10, 100);               /* b + 100 .. 109 */
    (void) writer_put_n(&w, "a", 100, 100);              /* b + 110 .. 209 */
    writer_ask(&w, "skip 1000");
    last = writer_put_n(&w, "a", 100, 100);              /* b + 1210 .. */

    is_int(starts("a", b + 100, 200), CDC_AGAIN, "a hole in the ids");
    is_int((int64_t) run.seen[0].first, (int64_t) b + 110, "is passed over");

    page = b + 49;
    writer_ask(&w, "purge a %" PRIu64, page);

    is_int(starts("a", b + 50, 250), CDC_AGAIN, "the first one that is left");
    is_int(starts("a", b + 49, 0), CDC_DECLINED, "the last one that is gone");
    ok(strstr(run.seen[0].err, "\"a\"") != NULL, "the topic is named");
    ok(strstr(run.seen[0].err, "450000000000000049") != NULL,
       "and what was wanted");
    ok(strstr(run.seen[0].err, "450000000000000050") != NULL,
       "and what is first");
    printf("# %s\n", run.seen[0].err);

    is_int(starts("a", b + 60, 240), CDC_AGAIN, "one that is still there");

    page = b + 99;
    writer_ask(&w, "purge a %" PRIu64, page);
    is_int(starts("a", b + 100, 0), CDC_DECLINED,
           "whoever has the ids between, ours may be gone: a gap");
    is_int(starts("a", b + 110, 200), CDC_AGAIN, "the next one is there");

    page = b + 209;
    writer_ask(&w, "purge a %" PRIu64, page);
    is_int(starts("a", b + 210, 0), CDC_DECLINED,
           "nobody knows what lay between: a gap");
    is_int(starts("a", 0, 100), CDC_AGAIN, "from the start, wherever it is");
    is_int((int64_t) run.seen[0].first, (int64_t) b + 1210, "is that");

    writer_ask(&w, "purge a %" PRIu64, last);
    is_int(starts("a", last + 1, 0), CDC_AGAIN, "an empty topic waits");
    is_int(starts("a", last + 1000000, 0), CDC_AGAIN,
           "so does one that ends before the position");

    OPS->close(run.reader);
    writer_end(&w, 0);
}


/* each topic counts for itself, so that others have the ids that are gone:
 * beside what is left, or up to there */

static void
test_gap_own_ids(void)
{
    uint64_t        b;
    writer_child_t  w;

    fresh("ownids");
    (void) writer_start(&w, dir, "none", 1 << 20, WRITER_BASE);
    ok(open_reader(0), "the reader opens");

    b = WRITER_BASE;
    (void) writer_put_n(&w, "all", 300, 100);            /* b .. b + 299 */
    writer_ask(&w, "at %" PRIu64, b);
    (void) writer_put_n(&w, "a", 300, 100);
    writer_ask(&w, "purge a %" PRIu64, b + 199);

    is_int(starts("a", b + 100, 0), CDC_DECLINED,
           "another topic has each id that is gone: a gap");
    is_int((int64_t) run.seen[0].got, 0, "nothing behind it comes");
    is_int(starts("a", b + 200, 100), CDC_AGAIN, "what is left is none");

    writer_ask(&w, "purge all %" PRIu64, b + 299);
    writer_ask(&w, "at %" PRIu64, b);
    (void) writer_put_n(&w, "less", 200, 100);           /* b .. b + 199 */

    is_int(starts("a", b + 100, 0), CDC_DECLINED,
           "nor when no id is there twice");

    OPS->close(run.reader);
    writer_end(&w, 0);
}


/* a page ends with the last message, and all of the topic goes */

static void
test_purge_live(void)
{
    uint64_t        last;
    writer_child_t  w;

    fresh("live");
    (void) writer_start(&w, dir, "none", 1 << 20, WRITER_BASE);
    last = writer_put_n(&w, "replicate-msg", 5, 100);

    ok(open_reader(0), "the reader opens");
    (void) start(0, "replicate-msg", last + 1);
    (void) start(1, "other", 0);
    (void) writer_put_n(&w, "other", 1, 100);
    spin(1, 3000);

    writer_ask(&w, "purge replicate-msg %" PRIu64, last);
    writer_ask(&w, "skip 100000");
    spin(1000, 300);
    last = writer_put_n(&w, "replicate-msg", 1, 100);
    spin(2, 3000);

    is_int(run.seen[0].rc, CDC_AGAIN, "no gap when all that went was seen");
    is_int((int64_t) run.seen[0].last, (int64_t) last, "and what comes, too");

    writer_ask(&w, "purge replicate-msg %" PRIu64, last);
    spin(1000, 300);
    writer_end(&w, SIGKILL);
    (void) writer_start(&w, dir, "none", 1 << 20, WRITER_BASE + 1000000);
    spin(1000, 300);
    last = writer_put_n(&w, "replicate-msg", 1, 100);
    spin(3, 3000);
    is_int(run.seen[0].rc, CDC_AGAIN, "nor when the source starts anew");
    is_int((int64_t) run.seen[0].last, (int64_t) last, "and goes on");

    OPS->close(run.reader);
    writer_end(&w, 0);
}


/* nobody takes anything: memory stays bounded, and what is left is known;
 * then all of it comes */

static void
test_bounded(const char *compression, size_t memtable, const char *name)
{
    int                i;
    size_t             held;
    uint64_t           left;
    writer_child_t     w;
    cdc_log_stream_t  *s;

    fresh(name);
    (void) writer_start(&w, dir, compression, memtable, WRITER_BASE);
    (void) writer_put_n(&w, "t", 5000, 10000);
    (void) writer_put_n(&w, "other", 500, 10000);

    ok(open_reader(100000), "the reader opens");
    run.hold = 1;
    s = start(0, "t", 0);

    for (i = 0, held = 0; i < 40 && held < 50000; i++) {
        spin(1, 500);

        (void) pthread_mutex_lock(&run.reader->mutex);
        held = s->queue.bytes;
        (void) pthread_mutex_unlock(&run.reader->mutex);
    }

    ok(held >= 50000 && held < 120000, "%zu bytes are held of 50 MB", held);
    ok(!OPS->at_end(s), "not at the end");
    is_int(OPS->left(s, &left), CDC_OK, "something is left");
    ok(left > 45000000 && left < 55000000, "%" PRIu64 " bytes, %s", left,
       name);

    run.hold = 0;
    run.want = 5000;
    readable(NULL, s);
    spin(5000, 60000);
    is_int((int64_t) run.seen[0].got, 5000, "all come when they are taken");

    for (i = 0; i < 40 && !OPS->at_end(s); i++) {
        spin(5001, 500);
    }

    is_int(OPS->left(s, &left), CDC_OK, "nothing is left");
    is_int((int64_t) left, 0, "no byte");
    is_int(run.seen[0].mixed, 0, "whole");

    OPS->close(run.reader);
    writer_end(&w, 0);
}


/* the source at work: tiny memtables, so that it flushes, changes its log
 * and compacts all the time, and retention right behind the reader */

static void
test_busy(void)
{
    int             i, rounds;
    char            topic[16];
    uint64_t        until;
    size_t          put;
    const char     *ms;
    writer_child_t  w;

    ms = getenv("TEST_CDC_ROCKSMQ_MS");
    fresh("busy");
    (void) writer_start(&w, dir, "zstd", 64 * 1024, WRITER_BASE);
    ok(open_reader(64 * 1024), "the reader opens");

    for (i = 0; i < 3; i++) {
        (void) snprintf(topic, sizeof(topic), "t%d", i);
        (void) start(i, topic, 0);
    }

    put = 0;
    until = cdc_now_ms() + (ms != NULL ? strtoull(ms, NULL, 10) : 3000);

    for (rounds = 0; cdc_now_ms() < until; rounds++) {

        for (i = 0; i < 3; i++) {
            (void) snprintf(topic, sizeof(topic), "t%d", i);
            (void) writer_put_n(&w, topic, 20 + rounds % 50, 300);
            put += 20 + (size_t) rounds % 50;
        }

        if (rounds % 16 == 15) {
            writer_ask(&w, rounds % 64 == 63 ? "compact" : "flush");
        }

        if (rounds % 4 == 3) {
            spin(put, 5000);
        }

        for (i = 0; i < 3 && rounds % 8 == 7; i++) {
            writer_ask(&w, "purge t%d %" PRIu64, i,
                       run.seen[i].last > 100 ? run.seen[i].last - 100 : 0);
        }
    }

    spin(put, 10000);
    is_int((int64_t) total(), (int64_t) put, "each message has come, once");
    ok(run.seen[0].mixed + run.seen[1].mixed + run.seen[2].mixed
       + run.seen[0].unordered + run.seen[1].unordered
       + run.seen[2].unordered == 0, "whole and in order");
    is_int(run.degraded, 0, "nothing was degraded");
    printf("# %zu messages in %d rounds\n", put, rounds);

    OPS->close(run.reader);
    writer_end(&w, 0);
}


static void
test_killed(void)
{
    int             n;
    size_t          put;
    uint64_t        last;
    writer_child_t  w;

    fresh("killed");
    (void) writer_start(&w, dir, "none", 128 * 1024, WRITER_BASE);
    ok(open_reader(0), "the reader opens");
    (void) start(0, "t", 0);

    put = 0;
    last = 0;

    for (n = 0; n < 8; n++) {
        last = writer_put_n(&w, "t", 500 + n, 300);
        put += 500 + (size_t) n;

        if (n % 2 == 0) {
            spin(put, 5000);
        }

        writer_end(&w, SIGKILL);
        (void) writer_start(&w, dir, "none", 128 * 1024, WRITER_BASE);
        last = writer_put_n(&w, "t", 10, 300);
        put += 10;
    }

    spin(put, 10000);
    is_int((int64_t) total(), (int64_t) put,
           "killed 8 times: each message, once");
    is_int((int64_t) run.seen[0].last, (int64_t) last, "to the last");
    is_int(run.degraded, 0, "nothing was degraded");

    /* somebody throws all of it away and begins anew */

    writer_end(&w, SIGKILL);
    remove_tree(dir);
    run.seen[0].rc = CDC_AGAIN;
    (void) writer_start(&w, dir, "none", 128 * 1024, WRITER_BASE + 1000000);
    spin(put + 1, 600);                  /* it is seen, without a message */
    (void) writer_put_n(&w, "t", 10, 300);
    spin(put + 1, 5000);
    is_int(run.seen[0].rc, CDC_DECLINED, "a new RocksMQ is a gap");

    OPS->close(run.reader);
    writer_end(&w, 0);
}


static void
test_absent(void)
{
    uint64_t        first, end;
    writer_child_t  w;

    fresh("absent");
    ok(open_reader(0), "the reader opens without a RocksMQ");
    (void) start(0, "t", 0);
    spin(0, 2000);
    is_int(run.degraded, 1, "and says so");
    ok(strstr(run.text, dir) != NULL && strstr(run.text, "rocksmq.path"),
       "with the cure: %s", run.text);
    is_int(OPS->ends(run.reader, "t", 300, &(cdc_pos_t) { 0, 0 },
                     &(cdc_pos_t) { 0, 0 }, run.text), CDC_ERROR,
           "ends() fails");
    ok(strstr(run.text, "rocksmq.path") != NULL, "for the same reason");
    spin(0, 600);
    is_int(run.degraded, 1, "once");

    (void) writer_start(&w, dir, "none", 1 << 20, WRITER_BASE);
    (void) writer_put_n(&w, "t", 10, 100);
    spin(10, 5000);
    is_int((int64_t) total(), 10, "messages come when it is there");
    spin(11, 100);
    is_int(run.healthy, 1, "and it is well again");
    is_int(ends("t", &first, &end), CDC_OK, "ends() as well");
    is_int((int64_t) end, (int64_t) WRITER_BASE + 10, "with the right end");

    OPS->close(run.reader);
    writer_end(&w, 0);
}


static void
test_denied(void)
{
    int             root;
    writer_child_t  w;

    fresh("denied");
    (void) writer_start(&w, dir, "none", 1 << 20, WRITER_BASE);
    (void) writer_put_n(&w, "t", 10, 100);
    root = geteuid() == 0;

    (void) chmod(base, 0777);
    writer_ask(&w, root ? "mode 700" : "mode 0");

    if (root && seteuid(65534) == -1) {
        ok(0, "seteuid() failed");
    }

    ok(open_reader(0), "the reader opens");
    (void) start(0, "t", 0);
    spin(0, 2000);
    ok(run.degraded == 1 && strstr(run.text, "setfacl") != NULL
       && strstr(run.text, dir) != NULL, "permission: %s", run.text);
    ok(!root || strstr(run.text, "nobody") != NULL, "of whom");

    writer_ask(&w, "mode 755");
    spin(10, 3000);
    is_int((int64_t) total(), 10, "it goes on as soon as that is mended");

    OPS->close(run.reader);

    if (root && seteuid(0) == -1) {
        ok(0, "seteuid() failed");
    }

    writer_end(&w, 0);
}


/* figures, and a limit that says "at once" */

static void
test_latency(void)
{
    int              n;
    double           cpu;
    writer_child_t   w;
    struct timespec  a, b, pause;

    fresh("latency");
    (void) writer_start(&w, dir, "zstd", 64 << 20, WRITER_BASE);
    ok(open_reader(0), "the reader opens");
    (void) start(0, "t", 0);
    (void) start(1, "u", 0);
    spin(1, 300);

    pause.tv_sec = 0;
    pause.tv_nsec = 3000000;

    for (n = 1; n <= 200; n++) {
        (void) writer_ask(&w, "time t");
        spin((size_t) n, 1000);
        (void) nanosleep(&pause, NULL);
    }

    ok(run.lags == 200 && run.lag_sum / 200 < 10,
       "seen after %.2f ms on average", run.lag_sum / 200);

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    spin(100000, 2000);
    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);

    cpu = (double) (b.tv_sec - a.tv_sec) * 1e3
          + (double) (b.tv_nsec - a.tv_nsec) / 1e6;
    ok(cpu < 100, "a source that is still: %.2f ms of 2 s", cpu);

    OPS->close(run.reader);
    writer_end(&w, 0);
}


/* what comes for all streams at once wakes up the main thread once */

static void
test_burst(void)
{
    int             n;
    char            topic[32];
    writer_child_t  w;

    fresh("burst");
    (void) writer_start(&w, dir, "zstd", 64 << 20, WRITER_BASE);
    ok(open_reader(0), "the reader opens");

    for (n = 0; n < STREAMS; n++) {
        (void) snprintf(topic, sizeof(topic), "dml_%d", n);
        (void) start(n, topic, 0);
    }

    (void) writer_ask(&w, "burst dml_ %d", STREAMS);
    spin(STREAMS, 10000);
    spin(0, 300);                        /* all of them wait */
    run.turns = 0;

    for (n = 2; n <= 51; n++) {
        (void) writer_ask(&w, "burst dml_ %d", STREAMS);
        spin((size_t) (STREAMS * n), 10000);
    }

    is_int((int64_t) total(), STREAMS * 51, "51 bursts on 16 channels");
    is_int(run.turns, 50, "each of 50 wakes up once");

    OPS->close(run.reader);
    writer_end(&w, 0);
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

    run.loop = cdc_loop_create();

    test_parse();
    test_read("none");
    test_read("zstd");
    test_untouched();
    test_gap();
    test_gap_own_ids();
    test_purge_live();
    test_bounded("none", 1 << 20, "in_tables");
    test_bounded("zstd", 100 << 20, "in_a_log");
    test_busy();
    test_killed();
    test_absent();
    test_denied();
    test_latency();
    test_burst();

    cdc_loop_destroy(run.loop);
    remove_tree(base);

    return done_testing();
}
