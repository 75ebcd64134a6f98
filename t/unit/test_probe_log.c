/*
 * The source's clock, as a check tells it, is of the moment at which its log
 * was asked for its end: what is looked at after that, and the log's own
 * message, may take seconds, and a clock that is right is not called slow for
 * that.
 */

#include "source/cdc_meta_int.h"
#include "store/cdc_look.h"
#include "tap.h"
#include "test_wire.h"

#include "milvus_msg.pb-c.h"

#include <unistd.h>


#define SLOW_MS  1000
#define NEAR_MS  (CDC_CHECK_CLOCK_MS - SLOW_MS / 2)      /* not yet a warning */


/* ---- a log whose newest message is of the time at which it is asked --- */

static unsigned    slow_ends, slow_next;   /* ms */
static unsigned    asks, questions;        /* of one channel, of many */
static int64_t     off;                    /* the source's clock, ms */
static uint64_t    newest;
static int         kind;                   /* of the message */
static unsigned    streaming;
static cdc_span_t  tick;


static int
ends(cdc_log_reader_t *r, const char *channel, unsigned ms, cdc_pos_t *first,
    cdc_pos_t *end, char *err)
{
    asks++;

    if (strcmp(channel, "deaf") == 0) {
        return CDC_ERROR;
    }

    *first = (cdc_pos_t) { 0, 1 };
    *end = (cdc_pos_t) { 0, strcmp(channel, "empty") == 0 ? 0 : 8 };

    (void) usleep(slow_ends * 500);
    newest = cdc_ms_tso((uint64_t) ((int64_t) cdc_wall_ms() + off));
    (void) usleep(slow_ends * 500);

    return CDC_OK;
}


static int
parse_id(cdc_span_t id, cdc_pos_t *pos)
{
    *pos = (cdc_pos_t) { 0, 1 };

    return id.len == 16 ? CDC_ERROR : CDC_OK;
}


static cdc_log_stream_t *
open_stream(cdc_log_reader_t *r, const char *channel, cdc_pos_t from,
    void *data, char *err)
{
    is_int((int64_t) from.lo, 7, "the newest message is asked for");

    return (cdc_log_stream_t *) &newest;
}


static void
stop(cdc_log_stream_t *s)
{
    /* nothing to do */
}


static int
next(cdc_log_stream_t *s, cdc_log_msg_t *msg, char *err)
{
    Milvus__Common__MsgBase   base;
    Milvus__Msg__TimeTickMsg  m;

    (void) usleep(slow_next * 1000);

    milvus__common__msg_base__init(&base);
    milvus__msg__time_tick_msg__init(&m);
    base.msg_type = kind;
    base.timestamp = newest;
    m.mbase = &base;
    tick = test_pack(&m);
    msg->body = tick;
    msg->streaming = streaming;

    return CDC_OK;
}


static void
release(cdc_log_msg_t *msg)
{
    test_drop(tick);
}


static void
all_ends(cdc_log_reader_t *r, cdc_log_ends_t *all, size_t n, unsigned ms)
{
    questions++;

    while (n-- != 0) {
        all[n].first = (cdc_pos_t) { 0, 1 };
        all[n].end = (cdc_pos_t) { 0, strcmp(all[n].channel, "empty") == 0
                                      ? 0 : 8 };
        all[n].known = strcmp(all[n].channel, "deaf") != 0
                       && strcmp(all[n].channel, "slow") != 0;
    }
}


static const cdc_log_reader_ops_t  reader = {
    .name = "script", .ends = ends, .parse_id = parse_id,
    .start = open_stream, .stop = stop, .next = next, .release = release
};

static const cdc_log_reader_ops_t  at_once = {
    .name = "script", .ends = ends, .parse_id = parse_id,
    .start = open_stream, .stop = stop, .next = next, .release = release,
    .all_ends = all_ends
};


/* ---- what a check says --- */

static void
check(const char *text, const char *name)
{
    size_t                  i;
    json_t                 *f;
    cdc_look_t              l;
    const char             *said;
    cdc_probe_t             probe;
    cdc_meta_shard_t        shard;
    cdc_meta_collection_t   m;

    memset(&l, 0, sizeof(l));
    memset(&m, 0, sizeof(m));
    memset(&probe, 0, sizeof(probe));
    memset(&shard, 0, sizeof(shard));

    probe.findings = json_array();
    l.probe = &probe;
    l.ops = &reader;
    l.loop = cdc_loop_create();
    l.conf = json_pack("{s:s}", "rocksmq", "/nowhere");
    l.end = cdc_now_ms() + 60000;
    shard.pchannel = (char *) "by-dev-rootcoord-dml_0";
    shard.start_id = cdc_span("12345678");
    m.nshards = 1;
    m.shards = &shard;

    cdc_look_log_has(&l, &m);
    (void) usleep(slow_next * 1000);     /* other collections */
    cdc_look_log_end(&l);

    said = "nothing";

    json_array_foreach(probe.findings, i, f) {
        if (strcmp(json_string_value(json_object_get(f, "check")),
                   "source.clock")
            == 0)
        {
            said = json_string_value(json_object_get(f, "text"));
        }
    }

    ok(strstr(said, text) != NULL, "%s: %s", name, said);

    free(l.channels[0].name);
    free(l.channels);
    json_decref(l.conf);
    json_decref(probe.findings);
    cdc_loop_destroy(l.loop);
}


/* ---- what a create notes --- */

static uint64_t
noted(int check, unsigned times)
{
    uint64_t                ms;
    cdc_look_t              l;
    cdc_probe_t             probe;
    cdc_meta_shard_t        shard;
    cdc_meta_collection_t   m;

    memset(&l, 0, sizeof(l));
    memset(&m, 0, sizeof(m));
    memset(&probe, 0, sizeof(probe));
    memset(&shard, 0, sizeof(shard));

    probe.findings = check ? json_array() : NULL;
    l.probe = &probe;
    l.ops = &reader;
    l.loop = cdc_loop_create();
    l.end = cdc_now_ms() + 60000;
    m.nshards = 1;
    m.shards = &shard;
    shard.pchannel = (char *) "empty";

    while (times-- != 0) {
        cdc_look_newest(&l, &m);
        shard.pchannel = (char *) (times > 1 ? "deaf" : "a");
    }

    ms = probe.source_ms;

    while (l.nchannels-- != 0) {
        free(l.channels[l.nchannels].name);
    }

    free(l.channels);
    json_decref(probe.findings);
    cdc_loop_destroy(l.loop);

    return ms;
}


static void
test_noted(void)
{
    uint64_t  ms;

    off = -3600000;

    is_int((int64_t) noted(0, 1), 0, "a log that is empty says no time");
    is_int((int64_t) noted(1, 2), 0, "a check needs none");
    ms = noted(0, 2);
    is_int((int64_t) ms, (int64_t) cdc_tso_ms(newest),
           "a create notes the time of the newest message");
    is_int((int64_t) noted(0, 3), 0, "one that cannot be read is the last");

    streaming = 1;
    is_int((int64_t) noted(0, 2), 0, "not that of a message of Milvus 2.6");
    streaming = 0;
    kind = 0;
    is_int((int64_t) noted(0, 2), 0, "nor of one that is of no kind");
    kind = CDC_MSG_TIME_TICK;
    off = 0;
}


/* collections of two shards, of channels[]; one starts with "!": it is not
 * selected, with "?": its place is none of ours */

static json_t *
noted_ends(const cdc_log_reader_ops_t *ops, const char **channels, unsigned n,
    uint64_t left)
{
    char              err[CDC_REASON_MAX];
    json_t           *request;
    unsigned          i;
    cdc_look_t        l;
    cdc_meta_t        m;
    cdc_probe_t       probe;
    cdc_meta_coll_t  *bucket, colls[4];
    cdc_meta_shard_t  shards[8];

    memset(&l, 0, sizeof(l));
    memset(&m, 0, sizeof(m));
    memset(&probe, 0, sizeof(probe));
    memset(colls, 0, sizeof(colls));
    memset(shards, 0, sizeof(shards));

    bucket = colls;
    m.buckets = &bucket;
    m.nbuckets = 1;

    for (i = 0; i < n; i++) {
        shards[i].pchannel = (char *) channels[i] + (channels[i][0] == '!'
                                                     || channels[i][0] == '?');
        shards[i].start_id = channels[i][0] == '?'
                             ? cdc_span("segment0.entry00")
                             : cdc_span("12345678");
        colls[i / 2].visible = 1;
        colls[i / 2].next = i / 2 + 1 < (n + 1) / 2 ? &colls[i / 2 + 1] : NULL;
        colls[i / 2].pub.db = "default";
        colls[i / 2].pub.name = channels[i][0] == '!' ? "other" : "c";
        colls[i / 2].pub.shards = &shards[i / 2 * 2];
        colls[i / 2].pub.nshards = i % 2 + 1;
    }

    request = json_pack("{s:[{s:s}]}", "collection_infos", "name", "c");
    probe.selection = cdc_selection_create(request, err);
    l.probe = &probe;
    l.ops = ops;
    l.meta = &m;
    l.end = cdc_now_ms() + left;
    asks = questions = 0;

    cdc_look_note(&l);

    while (l.nchannels-- != 0) {
        free(l.channels[l.nchannels].name);
    }

    free(l.channels);
    cdc_selection_free((cdc_selection_t *) probe.selection);
    json_decref(request);

    return probe.source_ends;
}


static void
notes(const cdc_log_reader_ops_t *ops, const char **channels, unsigned n,
    uint64_t left, const char *want, const char *name)
{
    char    *text;
    json_t  *ends;

    ends = noted_ends(ops, channels, n, left);
    text = ends != NULL ? json_dumps(ends, JSON_COMPACT | JSON_SORT_KEYS)
                        : strdup("");
    is_str(text, want, name);
    free(text);
    json_decref(ends);
}


static void
test_noted_ends(void)
{
    const char  *all[] = { "a", "b", "b", "empty", "!no", "!too", "?p", "c" };
    const char  *deaf[] = { "a", "deaf", "b", "c" };
    const char  *slow[] = { "a", "slow", "b", "c" };

    notes(&reader, all, 8, 3000, "{\"a\":[0,8],\"b\":[0,8],\"c\":[0,8]}",
          "a create notes where the channels of its collections end");
    is_int(asks, 4, "each is asked once");

    notes(&at_once, all, 8, 3000, "{\"a\":[0,8],\"b\":[0,8],\"c\":[0,8]}",
          "and all at once");
    ok(asks == 0 && questions == 1, "that is one question");

    notes(&at_once, slow, 4, 3000, "{\"a\":[0,8],\"b\":[0,8],\"c\":[0,8],"
          "\"slow\":[0,8]}", "one that is left out then");
    ok(asks == 1 && questions == 1, "is asked for itself");

    notes(&reader, deaf, 4, 3000, "{\"a\":[0,8]}",
          "a log that does not answer");
    is_int(asks, 2, "is not asked again");
    notes(&at_once, deaf + 1, 1, 3000, "", "nothing noted is nothing");

    slow_ends = 700;
    notes(&reader, slow, 4, 3000, "{\"a\":[0,8],\"slow\":[0,8]}",
          "a slow one: what there was time for");
    slow_ends = 0;
    notes(&reader, slow, 4, 0, "", "not when the time is over");
    is_int(asks, 0, "nobody is asked");
}


/* ---- places of a log of another kind --- */

static int
alien(int check, cdc_span_t start, const char *text)
{
    int                     said;
    size_t                  i;
    json_t                 *v;
    cdc_look_t              l;
    cdc_probe_t             probe;
    cdc_meta_shard_t        shard;
    cdc_meta_collection_t   m;

    memset(&l, 0, sizeof(l));
    memset(&m, 0, sizeof(m));
    memset(&probe, 0, sizeof(probe));
    memset(&shard, 0, sizeof(shard));

    probe.findings = check ? json_array() : NULL;
    l.probe = &probe;
    l.ops = &reader;
    l.loop = cdc_loop_create();
    l.conf = json_pack("{s:s}", "rocksmq", "/nowhere");
    l.end = cdc_now_ms() + 60000;
    m.nshards = 1;
    m.shards = &shard;
    shard.pchannel = (char *) "by-dev-rootcoord-dml_0";
    shard.start_id = start;
    m.db = (char *) "default";
    m.name = (char *) "c";

    cdc_look_log_has(&l, &m);

    if (check) {
        cdc_look_log_end(&l);

    } else {
        cdc_look_log_kind(&l);
    }

    said = 0;

    json_array_foreach(check ? probe.findings : probe.warnings, i, v) {
        said |= check
                ? !json_is_true(json_object_get(v, "ok"))
                  && strstr(json_string_value(json_object_get(v, "cure")),
                            text) != NULL
                : strstr(json_string_value(v), text) != NULL;
    }

    json_decref(l.conf);
    json_decref(probe.findings);
    json_decref(probe.warnings);
    cdc_loop_destroy(l.loop);

    return said;
}


static void
test_alien(void)
{
    cdc_span_t  place, none;

    place = cdc_span("segment0.entry00");
    none = cdc_span("");

    ok(alien(1, place, "Woodpecker"), "a log of another kind: a check says "
       "which");
    ok(alien(0, place, "script /nowhere: "), "a create warns that it is not "
       "ours");
    ok(alien(0, place, "Woodpecker"), "with the cure");

    ok(!alien(1, none, "Woodpecker") && !alien(0, none, "Woodpecker"),
       "metadata that name no place do not tell of another log");
    ok(alien(1, none, "exclude_collections"), "a check names the collection");
    ok(alien(0, none, "do not say where the collection \"default.c\""),
       "and a create as well");
}


int
main(void)
{
    cdc_log_init("", NULL, CDC_LOG_EMERG);

    kind = CDC_MSG_TIME_TICK;
    off = -NEAR_MS;
    check("host's agree", "a log that is quick");

    slow_next = SLOW_MS;
    check("host's agree", "one that is slow to give a message");

    /* nobody can know when within that call: half of it is the most */

    slow_next = 0;
    slow_ends = 2 * SLOW_MS;
    check("host's agree", "one that is slow to tell its end");

    slow_ends = 0;
    off = -20000;
    check("20 s behind", "a clock that is behind");
    off = 20000;
    check("20 s ahead", "a clock that is ahead");
    off = -40000;
    check("40 s old", "a source that stands still");

    test_noted();
    test_noted_ends();
    test_alien();

    return done_testing();
}
