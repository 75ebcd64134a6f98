/*
 * How far back a survey reads (cdc_survey_back.c): the real RocksMQ reader on
 * a log of ticks that a process of its own writes as Milvus does.
 */

#include <time.h>

#include <jansson.h>

#include "tap.h"
#include "rocksmq_writer.h"
#include "replicator/cdc_survey_int.h"


#define FIRST    UINT64_C(1700000000000) /* ms of the first tick */
#define EVERY    100                     /* ms between two */
#define TICKS    7000
#define BASE     WRITER_BASE


static cdc_repl_t         repl;
static cdc_survey_back_t  back;
static cdc_survey_log_t   logs[3];
static writer_child_t     writer;
static char               base[] = "/tmp/cdc-survey.XXXXXX";
static unsigned           done;


static void
finished(void *arg)
{
    done++;
    cdc_loop_stop(arg);
}


static void
expired(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


static uint64_t
time_of(uint64_t n)
{
    return cdc_ms_tso(FIRST + n * EVERY);
}


/* a TimeTickMsg: base = 1 { msg_type = 1: 1200, timestamp = 3 } */

static void
tick(const char *topic, uint64_t ts)
{
    char      hex[64];
    size_t    n;
    unsigned  len;

    n = 0;

    for (len = 4; ts != 0; ts >>= 7, len++) {
        n += (size_t) snprintf(hex + n, sizeof(hex) - n, "%02x",
                               (unsigned) (ts & 0x7f)
                               | (ts >> 7 != 0 ? 0x80 : 0));
    }

    (void) writer_ask(&writer, "raw %s 0a%02x08b00918%s", topic, len, hex);
}


static void
look(const char *topic, int n, uint64_t first, uint64_t end, uint64_t floor)
{
    memset(&logs[n], 0, sizeof(cdc_survey_log_t));
    logs[n].name = (char *) topic;
    logs[n].first.lo = first;
    logs[n].end.lo = end;
    logs[n].floor.lo = floor;
    logs[n].wanted = 1;
}


static void
run_by(size_t n, uint64_t upto, uint64_t step)
{
    cdc_timer_t  limit;

    memset(&back, 0, sizeof(back));
    memset(&limit, 0, sizeof(limit));
    back.repl = &repl;
    back.logs = logs;
    back.n = n;
    back.upto = upto;
    back.step = step;
    back.done = finished;
    back.arg = repl.loop;
    done = 0;

    limit.handler = expired;
    limit.data = repl.loop;
    cdc_timer_add(repl.loop, &limit, 60000);
    cdc_survey_back(&back);

    if (!done) {
        (void) cdc_loop_run(repl.loop);
    }

    cdc_timer_del(repl.loop, &limit);
}


static void
run(size_t n, uint64_t upto)
{
    run_by(n, upto, 500);
}


static void
test_back(void)
{
    uint64_t  ends;

    ends = BASE + TICKS;

    look("a", 0, BASE, ends, BASE);
    run(1, time_of(TICKS - 10));
    is_int((int64_t) done, 1, "a time near the end");
    is_int(back.rc, CDC_OK, "is found");
    is_int((int64_t) logs[0].at.lo, (int64_t) ends - 500, "at the first look");
    ok(logs[0].ts == time_of(TICKS - 500), "which has seen what is there");

    look("a", 0, BASE, ends, BASE);
    run(1, time_of(3500));
    is_int((int64_t) logs[0].at.lo, (int64_t) ends - 4000,
           "an earlier one: back to what is older");
    ok(logs[0].ts == time_of(TICKS - 4000), "and not further");

    look("a", 0, BASE, ends, BASE);
    run(1, time_of(0) - 1);
    is_int((int64_t) logs[0].at.lo, BASE, "one that the log does not have");
    ok(logs[0].ts == time_of(0), "its first message is younger");

    look("a", 0, BASE, ends, BASE);
    look("b", 1, BASE + TICKS, BASE + TICKS + 9, BASE + TICKS);
    run_by(2, UINT64_MAX, 1);
    is_int((int64_t) logs[0].at.lo, (int64_t) ends - 1, "any time");
    ok(logs[0].ts == time_of(TICKS - 1), "is that of the last message");
    ok(logs[1].ts == time_of(1), "of each log");

    look("a", 0, BASE, ends, BASE + 500);
    look("b", 1, ends, ends + 10, ends);
    look("none", 2, 0, 0, 0);
    run(3, time_of(0) - 1);
    is_int((int64_t) done, 1, "several at once");
    is_int((int64_t) logs[0].at.lo, BASE + 500,
           "not before what somebody needs");
    ok(logs[0].ts == time_of(500), "and what is there");
    is_int((int64_t) logs[1].at.lo, (int64_t) ends,
           "what cannot be read says nothing");
    ok(logs[1].ts == time_of(1), "the next one does");
    ok(logs[2].at.lo == 0 && logs[2].ts == 0, "an empty one has nothing");
}


static void
test_gone(void)
{
    (void) writer_ask(&writer, "purge a %" PRIu64, BASE + 5999);

    look("b", 0, BASE + TICKS, BASE + TICKS + 10, BASE + TICKS);
    look("a", 1, BASE, BASE + TICKS, BASE);
    run(2, time_of(3500));
    is_int((int64_t) done, 1, "what was there is not any more");
    is_int(back.rc, CDC_ERROR, "nothing is said of it");
    ok(strstr(back.err, "\"a\"") != NULL, "but which topic it was");
    printf("# %s\n", back.err);
    ok(logs[0].stream == NULL && logs[1].stream == NULL, "nothing is read on");

    look("a", 0, BASE + 6000, BASE + TICKS, BASE + 6000);
    run(1, time_of(3500));
    is_int(back.rc, CDC_OK, "when that is known");
    is_int((int64_t) logs[0].at.lo, BASE + 6000, "its first one is it");
}


/* the time at which the task was created, by the source's clock, which is
 * "behind"; the survey comes "ago" ms after it */

static int64_t
from(int64_t behind, int64_t target, int64_t ago, int64_t stopped)
{
    cdc_survey_when_t  w;

    memset(&w, 0, sizeof(w));
    w.created = FIRST;
    w.wall = FIRST + ago;
    w.target = w.wall + target;
    w.newest = stopped < 0 ? 0 : w.wall - behind - stopped;
    cdc_survey_when(&w);

    return w.from - FIRST;
}


/* this machine's clock was "ahead" at the create, and is right again */

static int64_t
from_ahead(int64_t ahead, int64_t target, int64_t ago)
{
    cdc_survey_when_t  w;

    memset(&w, 0, sizeof(w));
    w.created = FIRST + ahead;
    w.created_target = FIRST + target;
    w.wall = FIRST + ago;
    w.target = w.wall + target;
    w.newest = w.wall;
    cdc_survey_when(&w);

    return w.from - FIRST;
}


static void
test_ahead(void)
{
    int64_t  ago, ahead, hour;

    hour = 3600000;

    for (ago = 100; ago < 30 * hour; ago *= 7) {
        for (ahead = 0; ahead < 20 * hour; ahead += ahead / 2 + 997) {
            if (from_ahead(ahead, 0, ago) > CDC_ADOPT_MS
                || from_ahead(ahead, hour, ago) > CDC_ADOPT_MS
                || from_ahead(ahead, -hour, ago) > CDC_ADOPT_MS)
            {
                goto lost;
            }
        }
    }

lost:

    ok(ago >= 30 * hour, "a create at which our clock was ahead by %lld ms, "
       "looked at %lld ms later: no row is taken for older",
       (long long) ahead, (long long) ago);
}


/*
 * A log that has lost its beginning: its first message came "begins" ms behind
 * the create, at which this machine's clock was "ahead"; it is right again
 * "ago" ms later, when the survey comes.  The target's clock is "target" ahead
 * all the time, the source's "behind".
 */

typedef struct {
    int64_t   ahead, still, behind, target, ago;
    unsigned  unknown:1;                 /* the record is an old one */
} clocks_t;


static int
after(clocks_t c, int64_t begins)
{
    cdc_survey_when_t  w;

    memset(&w, 0, sizeof(w));
    w.created = (int64_t) FIRST + c.ahead;
    w.created_target = c.unknown ? 0 : (int64_t) FIRST + c.target;
    w.wall = (int64_t) FIRST + c.ago + c.still;
    w.target = (int64_t) FIRST + c.ago + c.target;
    w.newest = (int64_t) FIRST + c.ago - c.behind - 100;
    cdc_survey_when(&w);

    return cdc_survey_after(&w, begins < 0 && c.ago + begins < 0 ? 0
                            : cdc_ms_tso((uint64_t) ((int64_t) FIRST - c.behind
                                                     + begins)));
}


/* 1: what came before is known to have, and what came behind it */

static int
tells(clocks_t c)
{
    int64_t  begins;

    for (begins = 2500; begins < c.ago; begins += begins / 3) {
        if (!after(c, begins)) {
            printf("# %lld ms behind the create: %lld ahead, %lld still, %lld "
                   "behind, target %lld\n", (long long) begins,
                   (long long) c.ahead, (long long) c.still,
                   (long long) c.behind, (long long) c.target);
            return 0;
        }
    }

    return !after(c, 0) && !after(c, -c.ago / 2);
}


static void
test_after(void)
{
    int64_t   ago, ms, hour;
    unsigned  right, set, ahead, behind, both, off;

    hour = 3600000;
    right = set = ahead = behind = both = off = 1;

    for (ago = 3000; ago < 30 * hour; ago *= 7) {
        right &= tells((clocks_t) { .ago = ago });
        right &= tells((clocks_t) { .ago = ago, .unknown = 1 });

        for (ms = 7; ms < 20 * hour; ms *= 3) {
            set &= tells((clocks_t) { .ahead = ms, .ago = ago });
            ahead &= tells((clocks_t) { .ahead = ms, .still = ms,
                                        .ago = ago });
            behind &= tells((clocks_t) { .behind = ms, .ago = ago });
            both &= tells((clocks_t) { .ahead = ms, .still = ms, .target = ms,
                                       .ago = ago });
            off &= tells((clocks_t) { .target = ms, .ago = ago })
                   & tells((clocks_t) { .target = -ms, .ago = ago });
        }
    }

    ok(right, "clocks that are right tell what a log has lost");
    ok(set, "one of ours that was ahead and has been set right");
    ok(ahead, "one of ours that is ahead");
    ok(both, "and the target's as well");
    ok(off, "the target's alone, one way or the other");
    ok(behind, "the source's that is behind");

    ok(!after((clocks_t) { .ahead = hour, .ago = 60000, .unknown = 1 }, 9000),
       "a time that nobody knows says nothing");
    ok(after((clocks_t) { .ahead = hour, .ago = 61000 }, -61001),
       "a log that is empty may have been emptied");
    ok(!after((clocks_t) { .ahead = hour, .ago = 59000 }, -59001),
       "not so fast");
    ok(!after((clocks_t) { .ahead = hour, .ago = 61000, .unknown = 1 },
              -61001), "nor if nobody knows");
}


/*
 * The same of a create that has seen the newest message, which was 100 ms old.
 * The source has stopped "stopped" ms before the survey (0: it has not), and
 * the target's clock was set by "set" between.
 */

static cdc_survey_when_t
seen(int64_t ago, int64_t behind, int64_t stopped, int64_t set)
{
    int64_t            at, now;
    cdc_survey_when_t  w;

    at = (int64_t) FIRST - behind - 100;
    now = (int64_t) FIRST + ago - stopped - behind - 100;

    memset(&w, 0, sizeof(w));
    w.created = w.created_target = (int64_t) FIRST;
    w.created_source = stopped > ago ? now : at;
    w.wall = (int64_t) FIRST + ago;
    w.target = w.wall + set;
    w.newest = now;
    cdc_survey_when(&w);

    return w;
}


/* does it tell a log that begins at the create, or long before, from one that
 * has lost something since? */

static int
tells_seen(int64_t ago, int64_t behind, int64_t stopped, int64_t set)
{
    int64_t            at;
    cdc_survey_when_t  w;

    w = seen(ago, behind, stopped, set);
    at = w.created_source;

    if (cdc_survey_after(&w, cdc_ms_tso((uint64_t) at))
        || cdc_survey_after(&w, cdc_ms_tso((uint64_t) (at - ago)))
        || !cdc_survey_after(&w, cdc_ms_tso((uint64_t) (at + 1500)))
        || w.from > at)
    {
        printf("# %lld ms ago, %lld behind, stopped %lld, set by %lld\n",
               (long long) ago, (long long) behind, (long long) stopped,
               (long long) set);
        return 0;
    }

    return 1;
}


static void
test_seen(void)
{
    int64_t            ago, ms, hour;
    unsigned           stopped, set, behind;
    cdc_survey_when_t  w;

    hour = 3600000;
    stopped = set = behind = 1;

    for (ago = 3000; ago < 30 * hour; ago *= 7) {
        for (ms = 7; ms < 20 * hour; ms *= 3) {
            stopped &= tells_seen(ago, 0, ms, 0);
            set &= tells_seen(ago, 0, 0, ms) & tells_seen(ago, 0, 0, -ms);
            behind &= tells_seen(ago, ms, 0, 0) & tells_seen(ago, -ms, 0, 0)
                      & tells_seen(ago, ms, ms / 2, -ms);
        }
    }

    ok(stopped, "a create that has seen the log: the source has stopped");
    ok(set, "the target's clock was set");
    ok(behind, "the source's clock is another");

    /* somebody's message, say; the log goes on below it */

    w = seen(60000, 0, 0, 0);
    w.created_source = w.newest + hour;
    cdc_survey_when(&w);
    ok(w.from <= (int64_t) FIRST
       && cdc_survey_after(&w, cdc_ms_tso(FIRST + 3000)),
       "what is younger than all that there is is not believed");
}


/*
 * The source's clock was set back at the create: its stamps stand still, and
 * say of whatever the log has lost since that it came before.  The place at
 * which it ended is "then"; it has first..end now.
 */

static int
cut(uint64_t then, uint64_t first, uint64_t end, int64_t begins, int numbered)
{
    cdc_survey_log_t   log;
    cdc_survey_when_t  w;

    memset(&log, 0, sizeof(log));
    log.noted = then != 0;
    log.then.lo = then;
    log.first.lo = first;
    log.end.lo = end;
    log.ts = first == end ? 0 : cdc_ms_tso((uint64_t) ((int64_t) FIRST
                                                       + begins));

    w = seen(120000, 0, 0, 0);
    w.created_source = w.newest = (int64_t) FIRST;
    cdc_survey_when(&w);

    return cdc_survey_cut(&w, &log, (unsigned) numbered);
}


static void
test_cut(void)
{
    int  n;

    for (n = 0; n < 2; n++) {
        is_int(cut(0, 11, 90, 3, n), 0, "stamps that stand still: nothing is "
               "seen of it");
        is_int(cut(10, 11, 90, 3, n), 1, "places tell what the log has lost");
        is_int(cut(10, 10, 90, 3, n), 0, "and that it has lost nothing");
        is_int(cut(10, 1, 90, 3, n), 0, "one that reaches back before it");
        is_int(cut(10, 90, 90, 0, n), 1, "one that was emptied since");
        is_int(cut(10, 10, 10, 0, n), 0, "one that was empty, and is");
        is_int(cut(10, 1, 9, 3, n), 1, "one that ends before is another");
        is_int(cut(10, 1, 9, -99999, n), 1, "whatever is in it");
    }

    is_int(cut(10, 1, 90, 9000, 1), 1, "one that begins later and counts on "
           "from the first number is another");
    is_int(cut(10, 1, 90, 9000, 0), 0, "where no number comes twice it has "
           "lost nothing");
}


/* a log that ends before where it did: a broker may know less for a moment */

static void
test_doubts(void)
{
    uint64_t           since;
    cdc_survey_log_t   logs[2];
    cdc_survey_back_t  back;

    memset(logs, 0, sizeof(logs));
    memset(&back, 0, sizeof(back));
    back.logs = logs;
    back.n = 2;
    logs[1].noted = 1;
    logs[1].then.lo = 10;
    since = 0;

    is_int(cdc_survey_doubts(&back, &since, 1000), 0, "a log that nobody "
           "needs");
    logs[1].wanted = 1;
    is_int(cdc_survey_doubts(&back, &since, 1000), 1, "one that ends before "
           "is looked at again");
    is_int(cdc_survey_doubts(&back, &since, 10900), 1, "for ten seconds");
    is_int(cdc_survey_doubts(&back, &since, 11100), 0, "then it is believed");
    logs[1].end.lo = 10;
    is_int(cdc_survey_doubts(&back, &since, 12000), 0, "it is there again");
    logs[1].end.lo = 0;
    is_int(cdc_survey_doubts(&back, &since, 13000), 1, "the next time counts "
           "anew");
}


static void
test_when(void)
{
    int64_t  ago, behind, hour, most;

    hour = 3600000;

    for (ago = 100; ago < 30 * hour; ago *= 7) {
        for (behind = 0; behind < 20 * hour; behind += behind / 2 + 997) {
            most = CDC_ADOPT_MS - behind;        /* some more is settled */

            if (from(behind, 0, ago, 0) > most
                || from(behind, hour, ago, 0) > most)
            {
                goto lost;
            }
        }
    }

lost:

    ok(ago >= 30 * hour, "a source that is behind by %lld ms, looked at %lld "
       "ms after the create: none of its rows is taken for older",
       (long long) behind, (long long) ago);

    ok(from(-hour, 0, 1000, 0) == 0, "one that is ahead: from the create");
    ok(from(0, 0, 1000, -1) == 0, "an empty log: from the create");
    ok(from(0, 0, 60000, (int64_t) FIRST + 59999) == hour - (int64_t) FIRST,
       "a newest message without a real time: from the first one");
    ok(from(0, 0, 60000, hour) == -hour, "one that stands still: before it");
    ok(from(0, -2 * hour, 1000, 0) == 1000 - 3 * hour,
       "a target that has not got there: the last hour");
}


int
main(int argc, char **argv)
{
    int                n;
    char               dir[64], own[64], err[CDC_REASON_MAX];
    json_t            *conf;
    cdc_log_handler_t  handler;

    if (argc > 1) {
        return writer_main(argv);
    }

    if (mkdtemp(base) == NULL) {
        return 1;
    }

    (void) snprintf(dir, sizeof(dir), "%s/log", base);
    (void) snprintf(own, sizeof(own), "%s/own", base);
    (void) writer_start(&writer, dir, "none", 1 << 20, BASE);

    for (n = 0; n < TICKS; n++) {
        tick("a", time_of((uint64_t) n));
    }

    for (n = 0; n < 10; n++) {
        if (n == 8) {
            tick("b", time_of(1));

        } else {
            (void) writer_ask(&writer, "raw b 00");
        }
    }

    memset(&handler, 0, sizeof(handler));
    handler.readable = cdc_channel_readable;
    handler.arg = &repl;

    conf = json_pack("{s:s, s:s}", "rocksmq", dir, "secondary_dir", own);
    repl.loop = cdc_loop_create();
    repl.reader_ops = &cdc_rocksmq_reader;
    repl.reader = repl.reader_ops->open(repl.loop, conf, &handler, err);
    ok(repl.reader != NULL, "the reader opens");

    test_when();
    test_ahead();
    test_after();
    test_seen();
    test_cut();
    test_doubts();
    test_back();
    test_gone();

    repl.reader_ops->close(repl.reader);
    cdc_loop_destroy(repl.loop);
    json_decref(conf);
    writer_end(&writer, 0);
    remove_tree(base);

    return done_testing();
}
