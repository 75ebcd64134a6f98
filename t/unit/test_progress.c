/* what is measured to be shown: lag, backlog, first copy, the list */

#include "cdc_replicator.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define COLLS  70


static cdc_repl_t     repl;
static cdc_role_t     role;
static cdc_conn_t     conn;
static cdc_channel_t  channel;
static cdc_lane_t     lane;
static cdc_coll_t     colls[COLLS];
static cdc_shard_t    shards[COLLS];
static int            at_end;
static uint64_t       log_end;


static int
fake_at_end(cdc_log_stream_t *s)
{
    (void) s;

    return at_end;
}


static int
fake_end(cdc_log_stream_t *s, cdc_pos_t *pos)
{
    (void) s;

    *pos = (cdc_pos_t) { 0, log_end };

    return log_end ? CDC_OK : CDC_DECLINED;
}


static const cdc_log_reader_ops_t  fake_reader = {
    .name = "script", .at_end = fake_at_end, .end = fake_end
};


/* a TSO so many ms before now */

static uint64_t
ago(uint64_t ms)
{
    return cdc_ms_tso(cdc_wall_ms() - ms);
}


static void
setup(unsigned n)
{
    unsigned  i;

    memset(&repl, 0, sizeof(repl));
    memset(&role, 0, sizeof(role));
    memset(&conn, 0, sizeof(conn));
    memset(&channel, 0, sizeof(channel));
    memset(&lane, 0, sizeof(lane));
    memset(colls, 0, sizeof(colls));
    memset(shards, 0, sizeof(shards));

    conn.event.fd = -1;
    role.control = &conn;
    repl.role = &role;
    repl.reader_ops = &fake_reader;
    repl.reader = (cdc_log_reader_t *) &fake_reader;
    repl.started = repl.running = repl.went = 1;
    repl.channels = &channel;

    channel.repl = &repl;
    channel.name = (char *) "c";
    channel.users = 1;
    channel.stream = (cdc_log_stream_t *) &channel;
    channel.tick_at = cdc_now_ms();
    at_end = 1;
    log_end = 0;

    for (i = 0; i < n; i++) {
        colls[i].repl = &repl;
        colls[i].id = i + 1;
        colls[i].db = colls[i].target_db = (char *) "default";
        colls[i].name = colls[i].target_name = (char *) "books";
        colls[i].state = CDC_COLL_LIVE;
        colls[i].create_ts = ago(100000);
        colls[i].nshards = 1;
        colls[i].shards = &shards[i];
        shards[i].ch = &channel;
        shards[i].lane = &lane;
        colls[i].next = repl.colls;
        repl.colls = &colls[i];
    }
}


static void
lag_is(uint64_t ms, const char *name)
{
    cdc_progress_measure(&repl);

    if (!ok(repl.status.lag_ms >= ms && repl.status.lag_ms < ms + 500,
            "%s", name))
    {
        printf("#      got: %llu\n# expected: %llu\n",
               (unsigned long long) repl.status.lag_ms,
               (unsigned long long) ms);
    }
}


static void
test_lag(void)
{
    setup(1);
    repl.started = repl.went = 0;
    cdc_progress_measure(&repl);
    ok(repl.status.lag_ms == CDC_UNKNOWN, "nobody has looked: not known");

    setup(0);
    lag_is(0, "nothing is followed: no lag");

    setup(1);
    colls[0].state = CDC_COLL_NEW;
    colls[0].create_ts = ago(30000);
    channel.tick_acked = ago(100);
    lag_is(30000, "not on the target: behind since it was created");

    colls[0].from_ts = ago(20000);
    lag_is(20000, "or since what the target has");

    setup(1);
    channel.tick_acked = ago(5000);
    lane.acked_at = cdc_now_ms();
    lane.tick_sent = ago(6000);
    lag_is(5000, "a tick that was handed over counts");

    lane.acked_at = cdc_now_ms() - 3000;
    lag_is(6000, "but not while the target does not answer");

    lane.tick_clear = ago(5500);
    lag_is(5500, "if something was under way when it came");

    lane.tick_clear = 0;
    channel.stream = NULL;
    lag_is(6000, "nor does it matter whether the log is read");

    setup(2);
    colls[1].state = CDC_COLL_GONE;
    colls[1].create_ts = ago(90000);
    channel.tick_acked = ago(1000);
    lane.tick_sent = channel.tick_acked;
    lag_is(1000, "what is gone is not behind");
}


static void
test_clock(void)
{
    int64_t  saved;

    setup(1);
    channel.tick_read = cdc_ms_tso(cdc_wall_ms() + 3600000);
    cdc_progress_tick(&channel);
    channel.tick_acked = channel.tick_read - cdc_ms_tso(2000);
    lane.acked_at = cdc_now_ms();
    lag_is(2000, "the source's clock is an hour ahead: its own counts");

    channel.tick_read -= cdc_ms_tso(60000);
    at_end = 0;
    cdc_progress_tick(&channel);
    lag_is(2000, "a tick of a backlog sets no clock");

    saved = cdc_progress_clock(&repl);
    ok(saved > 3599000 && saved < 3601000, "what is kept of it");

    repl.measure.clock = 0;
    cdc_progress_clock_was(&repl, saved);
    lag_is(2000, "and taken up again");

    repl.measure.clock = 0;
    cdc_progress_clock_was(&repl, INT64_MAX);
    cdc_progress_clock_was(&repl, INT64_MIN);
    is_int(repl.measure.clock, 0, "but not what no clock says");

    repl.target_version = 203;
    repl.clock_offset = (int64_t) cdc_wall_ms() - (int64_t) cdc_now_ms()
                        + 3601000;
    lag_is(3000, "where there is none the target's stands in");
}


static void
test_backlog(void)
{
    unsigned       i;
    cdc_log_msg_t  msg;

    setup(1);
    channel.tick_acked = ago(3000);
    lane.tick_sent = channel.tick_acked;

    cdc_progress_measure(&repl);
    is_int(repl.status.backlog, 0, "at the end: none");
    is_int(repl.status.live, 0, "read, and not yet on the target: not live");

    channel.tick_acked = ago(100);
    lane.tick_sent = channel.tick_acked;
    cdc_progress_measure(&repl);
    is_int(repl.status.live, 1, "live");

    at_end = 0;
    cdc_progress_measure(&repl);
    ok(repl.status.backlog == CDC_UNKNOWN, "nothing was read: not known");
    is_int(repl.status.live, 0, "not live");

    memset(&msg, 0, sizeof(msg));
    msg.body.len = 200;

    for (i = 0; i <= 10; i++) {
        msg.pos.lo = 1000 + 2 * i;
        cdc_progress_read(&channel, &msg);
    }

    channel.track.next.lo = 1021;
    log_end = 1121;
    repl.buffered = 7;
    cdc_progress_measure(&repl);
    is_int(repl.status.backlog, 10007, "by the mean of what was read");

    at_end = 1;
    cdc_progress_measure(&repl);
    is_int(repl.status.source_ok, 1, "the source is well");

    channel.tick_at = cdc_now_ms() - 6000;
    cdc_progress_measure(&repl);
    is_int(repl.status.source_ok, 0, "no tick for 6 s: it is not");
    is_int(repl.status.live, 0, "nor is anything live");

    channel.tick_at = cdc_now_ms();
    repl.cause[CDC_CAUSE_TARGET][0] = 'x';
    cdc_progress_measure(&repl);
    is_int(repl.status.target_ok, 0, "the target");
    is_int(repl.status.source_ok, 1, "and not the source");
}


static void
test_copy(void)
{
    setup(2);
    colls[0].initial = 1;
    shards[0].start.lo = 100;
    shards[0].listed.lo = 200;
    channel.track.next.lo = 125;
    cdc_progress_measure(&repl);
    is_int(repl.status.copy, 250, "a quarter");

    colls[1].initial = 1;
    colls[1].state = CDC_COLL_CREATING;
    shards[1] = shards[0];
    cdc_progress_measure(&repl);
    is_int(repl.status.copy, 125, "of two, one is not on the target");

    colls[1].state = CDC_COLL_LIVE;
    channel.track.next.lo = 5000;
    cdc_progress_measure(&repl);
    is_int(repl.status.copy, 1000, "both are complete, and go on");
}


static void
test_list(void)
{
    char                  name[250];
    unsigned              i, whole;
    const char           *db;
    cdc_task_progress_t  *p;

    setup(COLLS);
    p = &repl.measure.progress;

    for (i = 0; i < COLLS; i++) {
        colls[i].state = CDC_COLL_NEW;
        colls[i].create_ts = ago(1000000 + 5000 * (uint64_t) ((i * 7)
                                                              % COLLS));
    }

    colls[3].target_name = (char *) "novels";
    colls[3].state = CDC_COLL_DROPPING;
    channel.tick_acked = ago(9000000);
    colls[3].create_ts = ago(9000000);
    lane.tick_sent = channel.tick_acked;

    cdc_progress_timer(&repl);

    is_int(p->ncolls, CDC_PROGRESS_COLLS, "so many, and no more");
    is_str(p->names + p->colls[0].target + strlen("default") + 1, "novels",
           "the one that is behind most is the first");
    is_int(p->colls[0].state, CDC_PROGRESS_DROPPING, "its state");
    is_int(p->colls[1].target, p->colls[1].names,
           "names that are the same are there once");

    for (i = 1; i < p->ncolls; i++) {
        if (p->colls[i].lag_ms > p->colls[i - 1].lag_ms) {
            break;
        }
    }

    is_int(i, p->ncolls, "in the order of their lag");

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';

    for (i = 0; i < COLLS; i++) {
        colls[i].name = name;
        colls[i].target_name = (char *) "y";
    }

    cdc_progress_timer(&repl);
    cdc_progress_timer(&repl);

    whole = 0;

    for (i = 0; i < p->ncolls; i++) {
        db = p->names + p->colls[i].names;
        whole += strcmp(db, "default") == 0 && strcmp(db + 8, name) == 0
                 && strcmp(p->names + p->colls[i].target + 8, "y") == 0;
    }

    ok(p->ncolls > 30 && p->ncolls < CDC_PROGRESS_COLLS
       && p->names_len <= CDC_PROGRESS_NAMES,
       "long names: as many as there is room for (%u)", p->ncolls);
    is_int(whole, p->ncolls, "none of them is cut");
}


/* the last operation and error of each, within the room that there is */

static void
test_last(void)
{
    char                  text[CDC_COLL_ERROR * 2];
    unsigned              i, texts, at;
    json_t               *stat, *old;
    cdc_last_t           *last;
    cdc_task_progress_t  *p;

    setup(COLLS);
    p = &repl.measure.progress;
    channel.tick_acked = ago(100);
    lane.tick_sent = channel.tick_acked;
    cdc_progress_timer(&repl);

    is_int(p->colls[0].operation_ms, 0, "no operation yet");
    is_int(p->colls[0].error_ms, 0, "nor an error");
    is_int(p->texts_len, 1, "and no text");

    cdc_coll_operation(&colls[0], "CreatePartition");
    cdc_coll_error(&colls[1], "%s", "no");
    cdc_coll_error(&colls[2], "%s", "no");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cdc_coll_error(&colls[3], "first %s", text);
    cdc_progress_send(&repl);

    is_str(p->colls[0].operation, "CreatePartition", "an operation");
    ok(p->colls[0].operation_ms >= cdc_wall_ms() - 60000, "and when");
    is_str(p->texts + p->colls[1].error, "no", "an error");
    ok(p->colls[1].error_ms && !p->colls[0].error_ms, "of that one alone");
    is_int(p->colls[2].error, p->colls[1].error, "the same is there once");
    is_int(strlen(p->texts + p->colls[3].error), CDC_COLL_ERROR - 1,
           "a long one is cut");

    for (i = 0; i < COLLS; i++) {
        cdc_coll_error(&colls[i], "%u%s", i, text);
    }

    cdc_progress_send(&repl);

    for (i = texts = 0; i < p->ncolls; i++) {
        at = p->colls[i].error;
        texts += at != 0;

        if (!p->colls[i].error_ms || at >= p->texts_len
            || (at && (unsigned) atoi(p->texts + at) != i))
        {
            break;
        }
    }

    is_int(i, CDC_PROGRESS_COLLS, "too many: each has its own, or none");
    ok(texts == (CDC_PROGRESS_TEXTS - 1) / CDC_COLL_ERROR
       && p->texts_len <= CDC_PROGRESS_TEXTS, "as many as there is room for");

    /* over a restart */

    colls[0].count.rows_out = 7;
    cdc_coll_error(&colls[0], "caf\xc3");       /* cut in a character */
    is_int(colls[0].counted, 1, "it goes with the counters");
    stat = cdc_coll_save_stat(&colls[0]);
    old = json_pack("[i,i,i,i]", 1, 2, 3, 4);
    last = &colls[4].last;
    is_int(cdc_coll_load_stat(&colls[4], stat), CDC_OK, "and is read again");
    is_str(last->operation, "CreatePartition", "the operation");
    is_str(last->error, "caf?", "the error");
    ok(last->operation_ms == colls[0].last.operation_ms
       && last->error_ms == colls[0].last.error_ms
       && colls[4].count.rows_out == 7, "the times, the counters");
    is_int(cdc_coll_load_stat(&colls[5], old), CDC_OK,
           "as an earlier version wrote it");
    is_int(colls[5].count.bytes_out, 4, "the counters are there");
    json_array_append_new(old, json_true());
    is_int(cdc_coll_load_stat(&colls[5], old), CDC_ERROR, "what is no such");

    json_decref(stat);
    json_decref(old);

    for (i = 0; i < COLLS; i++) {
        free(colls[i].last.error);
    }
}


/* ticks come while nobody reads, and are not as large as what was read */

static void
test_idle_backlog(void)
{
    unsigned       i;
    cdc_log_msg_t  msg;

    setup(1);
    channel.tick_acked = ago(100);
    memset(&msg, 0, sizeof(msg));

    for (i = 0; i <= 50; i++) {
        msg.pos.lo = 1000 + i;
        msg.body.len = 50;
        channel.tick_read = ago(10000 - 200 * i);
        cdc_progress_read(&channel, &msg);
        cdc_progress_tick(&channel);
    }

    /* that was 20 s ago, and then came ten messages */

    at_end = 0;
    channel.tick_read = ago(20000);
    channel.end_ms = cdc_tso_ms(channel.tick_read);

    for (i = 1; i <= 5; i++) {
        msg.pos.lo = 1050 + i;
        msg.body.len = 1000000;
        cdc_progress_read(&channel, &msg);
    }

    channel.track.next.lo = 1056;
    log_end = 1056 + 5 + 100;
    cdc_progress_measure(&repl);
    ok(repl.status.backlog > 4500000 && repl.status.backlog < 5500000,
       "ticks of an idle time count as ticks: %llu",
       (unsigned long long) repl.status.backlog);

    log_end = 1056 + 100;
    cdc_progress_measure(&repl);
    ok(repl.status.backlog < 1000000, "and alone they are little: %llu",
       (unsigned long long) repl.status.backlog);
}


static void
test_rate(void)
{
    unsigned  i, n;

    setup(1);
    channel.tick_acked = ago(100);
    at_end = 0;
    log_end = 100000;
    channel.seen_span = 1;
    channel.seen_bytes = 100;

    for (i = 0; i < CDC_SAMPLES; i++) {
        repl.status.rows_out = 1000 * i;
        channel.track.next.lo = 1000 * i;
        cdc_progress_timer(&repl);

        /* as if it had been half a second ago */

        for (n = 0; n <= i && i + 1 < CDC_SAMPLES; n++) {
            repl.measure.samples[n].at -= 500;
        }
    }

    ok(repl.status.rows_rate > 1900000 && repl.status.rows_rate < 2100000,
       "rows a second");
    ok(repl.status.catch_up_ms > 40000 && repl.status.catch_up_ms < 50000,
       "90000 positions are left, 2000 go in a second");
}


int
main(void)
{
    test_lag();
    test_clock();
    test_backlog();
    test_idle_backlog();
    test_copy();
    test_list();
    test_last();
    test_rate();

    return done_testing();
}
