/*
 * The source's log, as a create and a check look at it: does it reach back
 * far enough, and, for a check, is it the one that the source writes?
 *
 * A collection's channels have a tick every 200 ms, so a log that lacks them
 * is not that source's; the newest tick is the source's clock.  The replicate
 * channel may have nothing yet; but its name begins as theirs do.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdc_look.h"


#define CDC_LOOK_FIRST_MS  500           /* for the first message of a topic */
#define CDC_LOOK_TOPIC_MS  2000          /* for the first answer of a log */
#define CDC_LOOK_NEWEST_MS 1000          /* of the 3 s of a look */
#define CDC_LOOK_NOTE_MS   1000          /* the same */
#define CDC_LOOK_ALL_MS    700           /* all at once: one that does not
                                          * answer keeps the others' */
#define CDC_LOOK_OLD_MS    30000         /* the source stands still */
#define CDC_LOOK_MARK      "-rootcoord-dml_"


/* ---- does it reach back? --- */

typedef struct {
    cdc_look_t      *look;
    cdc_log_ends_t  *all;
    size_t           n;
} cdc_look_all_t;


static int
cdc_look_gather_one(void *arg, const cdc_meta_collection_t *m)
{
    size_t           i;
    unsigned         n;
    cdc_pos_t        pos;
    cdc_look_all_t  *a;
    cdc_log_ends_t  *all;

    a = arg;

    if (m->gone || m->dropping
        || !cdc_selected(a->look->probe->selection, m->db, m->name))
    {
        return CDC_OK;
    }

    for (n = 0; n < m->nshards; n++) {

        for (i = 0; i < a->n; i++) {
            if (strcmp(a->all[i].channel, m->shards[n].pchannel) == 0) {
                break;
            }
        }

        if (i < a->n
            || a->look->ops->parse_id(m->shards[n].start_id, &pos) != CDC_OK)
        {
            continue;
        }

        all = realloc(a->all, (i + 1) * sizeof(cdc_log_ends_t));

        if (all == NULL) {
            return CDC_ERROR;
        }

        a->all = all;
        memset(&all[i], 0, sizeof(cdc_log_ends_t));
        all[i].channel = m->shards[n].pchannel;
        a->n++;
    }

    return CDC_OK;
}


/* the channels of what is followed; their names belong to the metadata */

static cdc_look_all_t
cdc_look_gather(cdc_look_t *l)
{
    cdc_look_all_t  a;

    a.look = l;
    a.all = NULL;
    a.n = 0;

    if (l->meta != NULL) {
        (void) cdc_meta_each_collection(l->meta, cdc_look_gather_one, &a);
    }

    return a;
}


static cdc_look_channel_t *
cdc_look_add(cdc_look_t *l, const cdc_log_ends_t *e, uint64_t asked)
{
    cdc_look_channel_t  *ch;

    ch = realloc(l->channels, (l->nchannels + 1) * sizeof(*ch));

    if (ch == NULL) {
        return NULL;
    }

    l->channels = ch;
    ch += l->nchannels;
    memset(ch, 0, sizeof(*ch));
    ch->name = strdup(e->channel);

    if (ch->name == NULL) {
        return NULL;
    }

    ch->first = e->first;
    ch->end = e->end;
    ch->end_at = asked + (cdc_now_ms() - asked) / 2;
    l->nchannels++;

    return ch;
}


/* once, with the first of them: each alone takes its time */

static void
cdc_look_ask_all(cdc_look_t *l, uint64_t ms)
{
    size_t          i;
    uint64_t        asked;
    cdc_look_all_t  a;

    if (l->asked || l->ops->all_ends == NULL) {
        return;
    }

    l->asked = 1;
    a = cdc_look_gather(l);
    asked = cdc_now_ms();

    if (a.n > 1) {
        l->ops->all_ends(l->reader, a.all, a.n, (unsigned) ms);
    }

    for (i = 0; i < a.n; i++) {
        if (a.all[i].known) {
            (void) cdc_look_add(l, &a.all[i], asked);
        }
    }

    free(a.all);
}


static cdc_look_channel_t *
cdc_look_find(cdc_look_t *l, const char *name)
{
    size_t  i;

    for (i = 0; i < l->nchannels; i++) {
        if (strcmp(l->channels[i].name, name) == 0) {
            return &l->channels[i];
        }
    }

    return NULL;
}


static cdc_look_channel_t *
cdc_look_channel(cdc_look_t *l, const char *name, uint64_t ms)
{
    uint64_t             asked, now;
    cdc_log_ends_t       e;
    cdc_look_channel_t  *ch;

    ch = cdc_look_find(l, name);

    if (ch != NULL) {
        return ch;
    }

    asked = cdc_now_ms();
    cdc_look_ask_all(l, ms / 2 < CDC_LOOK_ALL_MS ? ms / 2 : CDC_LOOK_ALL_MS);
    ch = cdc_look_find(l, name);

    if (ch != NULL) {
        return ch;
    }

    now = cdc_now_ms();
    ms = now - asked < ms ? ms - (now - asked) : 0;
    e.channel = name;

    if (l->ops->ends(l->reader, name, (unsigned) ms, &e.first, &e.end, l->why)
        != CDC_OK)
    {
        l->mute = 1;
        return NULL;
    }

    return cdc_look_add(l, &e, now);
}


/* RFC 3339; a tick is as good as any other message */

static void
cdc_look_time(uint64_t tso, char text[CDC_LOOK_SINCE_MAX])
{
    char       buf[32];
    time_t     sec;
    struct tm  tm;

    sec = (time_t) (cdc_tso_ms(tso) / 1000);

    if (gmtime_r(&sec, &tm) == NULL
        || strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
    {
        return;
    }

    (void) snprintf(text, CDC_LOOK_SINCE_MAX, "since %s.%03uZ", buf,
                    (unsigned) (cdc_tso_ms(tso) % 1000));
}


/* of the first message at or behind a position; 0: none came */

static uint64_t
cdc_look_stamp(cdc_look_t *l, const char *channel, cdc_pos_t from)
{
    int                rc;
    char               err[CDC_REASON_MAX];
    uint64_t           end, ts;
    cdc_log_msg_t      msg;
    cdc_envelope_t     env;
    cdc_log_stream_t  *s;

    end = cdc_now_ms() + CDC_LOOK_FIRST_MS;
    ts = 0;
    s = cdc_look_left(l) != 0
        ? l->ops->start(l->reader, channel, from, l, err) : NULL;

    if (s == NULL) {
        return 0;
    }

    while ((rc = l->ops->next(s, &msg, err)) == CDC_AGAIN
           && cdc_now_ms() < end)
    {
        cdc_look_wait(l, end - cdc_now_ms() + 1);
    }

    if (rc == CDC_OK) {
        /* a message of Milvus 2.6 may look like one that has a stamp */

        if (!msg.streaming && cdc_wire_envelope(msg.body, &env) == CDC_OK
            && env.type > 0)
        {
            ts = env.ts;
        }

        l->ops->release(&msg);
    }

    l->ops->stop(s);

    return ts;
}


static void
cdc_look_since(cdc_look_t *l, cdc_look_channel_t *ch)
{
    uint64_t  ts;

    if (ch->since[0] != '\0') {
        return;
    }

    (void) snprintf(ch->since, sizeof(ch->since), "from position %llu:%llu",
                    (unsigned long long) ch->first.hi,
                    (unsigned long long) ch->first.lo);

    ts = cdc_look_stamp(l, ch->name, ch->first);

    if (ts != 0) {
        cdc_look_time(ts, ch->since);
    }
}


static void
cdc_look_gap(cdc_look_t *l, const cdc_meta_collection_t *m,
    cdc_look_channel_t *ch)
{
    char    text[CDC_REASON_MAX];
    size_t  len;

    l->ngaps++;

    if (cdc_selection_earliest(l->probe->selection)) {
        cdc_look_since(l, ch);

        (void) snprintf(text, sizeof(text), "the source's log no longer "
                        "reaches back to the start of the collection "
                        "\"%.200s.%.200s\": it starts with the earliest "
                        "message left, %s in topic \"%.200s\"; what is older "
                        "is not on the target", m->db, m->name, ch->since,
                        ch->name);
        cdc_look_warn(l, "collections.retention", "restore it to the target "
                      "from a backup first, if the older rows matter", text);
        return;
    }

    len = strlen(l->gaps);

    if (l->shown == CDC_LOOK_SHOWN
        || len + strlen(m->db) + strlen(m->name) + CDC_LOOK_SINCE_MAX + 24
           > sizeof(l->gaps))
    {
        return;
    }

    cdc_look_since(l, ch);
    l->shown++;

    (void) snprintf(l->gaps + len, sizeof(l->gaps) - len,
                    "%s\"%.200s.%.200s\" (it has them %s)",
                    len != 0 ? ", " : "", m->db, m->name, ch->since);
}


void
cdc_look_refuse_gaps(cdc_look_t *l)
{
    char          more[32], text[CDC_REASON_MAX], message[CDC_REASON_MAX];
    cdc_probe_t  *p;

    p = l->probe;

    if (l->ngaps == 0 || cdc_selection_earliest(p->selection)) {
        return;
    }

    more[0] = '\0';

    if (l->ngaps > l->shown) {
        (void) snprintf(more, sizeof(more), " and %u more",
                        l->ngaps - l->shown);
    }

    (void) snprintf(text, sizeof(text), "the source's log no longer reaches "
                    "back to the start of %s%s: restore these collections to "
                    "the target from a backup first, what the target holds "
                    "goes on from there; or create the task with "
                    "\"log_gap\":\"earliest\" to start with what is left",
                    l->gaps, more);

    cdc_store_format(message, CDC_E_LOG_GAP, text);
    cdc_probe_refuse(p, CDC_E_LOG_GAP, message);
}


/* the first channel where it has to start before the first message */

int
cdc_look_log(cdc_look_t *l, const cdc_meta_collection_t *m)
{
    unsigned             i;
    uint64_t             ts;
    cdc_pos_t            start;
    cdc_span_t           id;
    cdc_look_channel_t  *ch;

    for (i = 0; i < m->nshards; i++) {

        if (cdc_selection_position(l->probe->selection, m->shards[i].vchannel,
                                   &id, &ts)
            == CDC_OK)
        {
            if (l->ops->parse_id(id, &start) != CDC_OK) {
                continue;
            }

        } else {
            if (l->ops->parse_id(m->shards[i].start_id, &start) != CDC_OK) {
                continue;
            }

            /* it names the last message before the collection's own */

            start = cdc_pos_next(start, 1);
        }

        ch = cdc_look_channel(l, m->shards[i].pchannel, cdc_look_left(l));

        if (ch == NULL) {
            return CDC_ERROR;
        }

        if (cdc_pos_cmp(ch->first, start) > 0) {
            cdc_look_gap(l, m, ch);
            break;
        }
    }

    return CDC_OK;
}


/* of the last message; 0: none came */

static uint64_t
cdc_look_last(cdc_look_t *l, const cdc_look_channel_t *ch)
{
    cdc_pos_t  last;

    last = ch->end;
    last.lo--;

    return cdc_look_stamp(l, ch->name, last);
}


/*
 * A collection that the target has goes on from the create: what time is that
 * on the source (cdc_survey_when.c)?  All channels tick together, so one that
 * has a message tells; one that gives none is not waited for twice.  What else
 * there is to look at must not want for the time.
 */

void
cdc_look_newest(cdc_look_t *l, const cdc_meta_collection_t *m)
{
    uint64_t             left;
    cdc_look_channel_t  *ch;

    if (l->probe->findings != NULL || l->timed || m->nshards == 0) {
        return;
    }

    left = cdc_look_left(l);
    ch = cdc_look_channel(l, m->shards[0].pchannel,
                          left < CDC_LOOK_NEWEST_MS ? left
                                                    : CDC_LOOK_NEWEST_MS);

    if (ch == NULL || ch->end.lo != 0) {
        l->timed = 1;
    }

    if (ch != NULL && ch->end.lo != 0) {
        l->probe->source_ms = cdc_tso_ms(cdc_look_last(l, ch));
    }
}


/*
 * Where the channels end at the create: what a log that is read from later has
 * lost since is told by that (cdc_survey_when.c).  An empty one says nothing.
 */

void
cdc_look_note(cdc_look_t *l)
{
    size_t               i;
    json_t              *ends;
    uint64_t             now, until, left;
    cdc_look_all_t       a;
    cdc_look_channel_t  *ch;

    a = cdc_look_gather(l);
    now = cdc_now_ms();
    left = cdc_look_left(l);
    until = now + (left < CDC_LOOK_NOTE_MS ? left : CDC_LOOK_NOTE_MS);

    for (i = 0; i < a.n && !l->mute && now < until; i++) {
        (void) cdc_look_channel(l, a.all[i].channel, until - now);
        now = cdc_now_ms();
    }

    free(a.all);
    ends = json_object();

    for (i = 0; i < l->nchannels; i++) {
        ch = &l->channels[i];

        if (ch->end.lo != 0 || ch->end.hi != 0) {
            (void) json_object_set_new(ends, ch->name,
                                       json_pack("[I, I]",
                                                 (json_int_t) ch->end.hi,
                                                 (json_int_t) ch->end.lo));
        }
    }

    if (json_object_size(ends) == 0) {
        json_decref(ends);
        return;
    }

    l->probe->source_ends = ends;
}


/* ---- is it the source's? --- */

static const char *
cdc_look_where(cdc_look_t *l, char *where, size_t size)
{
    (void) snprintf(where, size, "%s %.300s", l->ops->name,
                    l->ops == &cdc_kafka_reader
                    ? json_string_value(json_object_get(json_object_get(
                                            l->conf, "kafka"), "brokers"))
                    : json_string_value(json_object_get(l->conf, "rocksmq")));

    return where;
}


static const char *
cdc_look_kind_cure(cdc_look_t *l)
{
    /* places of Kafka and of RocksMQ look alike */

    if (l->alien != 0) {
        return "the source keeps its log elsewhere: see mq.type of its "
               "milvus.yaml; on Pulsar, or on Woodpecker as Milvus 2.6 takes "
               "it by itself, it cannot be followed";
    }

    return l->ops == &cdc_kafka_reader
           ? "the source keeps its log elsewhere: see mq.type of its "
             "milvus.yaml; for rocksmq, say `rocksmq <its rocksmq.path>;` in "
             "place of `kafka` in milvus_cdc_source, for kafka, name the "
             "brokers of its kafka.brokerList"
           : "the source keeps its log elsewhere: see mq.type of its "
             "milvus.yaml; for kafka, say `kafka <its kafka.brokerList>;` in "
             "place of `rocksmq` in milvus_cdc_source, for rocksmq, name its "
             "rocksmq.path";
}


static void
cdc_look_log_deaf(cdc_look_t *l)
{
    const char  *cure;

    l->deaf = 1;

    if (l->ops == &cdc_kafka_reader) {
        cure = "see that Kafka runs, that `kafka` of milvus_cdc_source is "
               "kafka.brokerList of the source's milvus.yaml, that the "
               "brokers' advertised.listeners are reached from this host, and "
               "kafka_user, kafka_password, kafka_tls";

    } else {
        cure = "see that `rocksmq` of milvus_cdc_source is rocksmq.path of "
               "the source's milvus.yaml, on this host, and that the user of "
               "nginx's workers may read it (setfacl -R -m u:USER:rX -m "
               "d:u:USER:rX DIRECTORY); a source with mq.type kafka wants "
               "`kafka <brokers>;`";
    }

    cdc_finding(l->probe->findings, "source.log", CDC_FAULT, cure,
                "the source's log cannot be read: %s", l->why);
}


/* a reader says in its own time why it cannot */

void
cdc_look_log_open(cdc_look_t *l)
{
    char         err[CDC_REASON_MAX];
    cdc_pos_t    first, end;
    const char  *channel;

    channel = json_string_value(json_object_get(l->conf,
                                                "replicate_channel"));
    l->why[0] = '\0';

    if (channel == NULL
        || l->ops->ends(l->reader, channel, CDC_LOOK_TOPIC_MS, &first, &end,
                        err)
           == CDC_OK)
    {
        return;
    }

    cdc_look_wait(l, 20);

    if (l->why[0] == '\0') {
        (void) snprintf(l->why, sizeof(l->why), "%s", err);
    }

    cdc_look_log_deaf(l);
}


static void
cdc_look_startless(cdc_look_t *l, const cdc_meta_collection_t *m,
    const char *channel)
{
    char  text[CDC_REASON_MAX];

    (void) snprintf(text, sizeof(text), "the source's metadata do not say "
                    "where the collection \"%.200s.%.200s\" begins in the "
                    "channel \"%.200s\": a task with it pauses", m->db,
                    m->name, channel);

    if (l->probe->findings != NULL) {
        cdc_finding(l->probe->findings, "collections.start", CDC_FAULT,
                    "leave it out, with \"exclude_collections\"", "%s", text);
        return;
    }

    cdc_look_warn(l, "collections.start", NULL, text);
}


void
cdc_look_log_has(cdc_look_t *l, const cdc_meta_collection_t *m)
{
    unsigned   i;
    cdc_pos_t  pos;

    for (i = 0; i < m->nshards; i++) {

        if (m->shards[i].start_id.len == 0) {
            cdc_look_startless(l, m, m->shards[i].pchannel);
            return;
        }

        if (l->ops->parse_id(m->shards[i].start_id, &pos) != CDC_OK) {
            l->alien++;
            continue;
        }

        if (l->probe->findings == NULL || l->deaf) {
            continue;
        }

        if (cdc_look_channel(l, m->shards[i].pchannel, cdc_look_left(l))
            == NULL)
        {
            cdc_look_log_deaf(l);
            return;
        }
    }
}


/* CDC_OK: there is something in it */

static int
cdc_look_log_there(cdc_look_t *l, const char *channel)
{
    char       err[CDC_REASON_MAX];
    cdc_pos_t  first, end;

    return l->ops->ends(l->reader, channel, (unsigned) cdc_look_left(l),
                        &first, &end, err) == CDC_OK
           && (end.lo != 0 || end.hi != 0) ? CDC_OK : CDC_DECLINED;
}


static void
cdc_look_replicate(cdc_look_t *l)
{
    char         name[512], cure[700];
    json_t      *findings;
    const char  *channel, *p, *mark;

    findings = l->probe->findings;
    channel = json_string_value(json_object_get(l->conf,
                                                "replicate_channel"));
    p = l->nchannels != 0 ? l->channels[0].name : "";
    mark = strstr(p, CDC_LOOK_MARK);

    if (channel == NULL) {
        return;
    }

    if (cdc_look_log_there(l, channel) == CDC_OK) {
        cdc_finding(findings, "source.replicate_channel", CDC_FINE, NULL,
                    "the log has the channel \"%s\"", channel);
        return;
    }

    if (mark == NULL || (strncmp(channel, p, (size_t) (mark - p)) == 0
                         && channel[mark - p] == '-'))
    {
        cdc_finding(findings, "source.replicate_channel", CDC_NOTE, NULL,
                    "nothing is in the channel \"%s\" so far", channel);
        return;
    }

    (void) snprintf(name, sizeof(name), "%.*s-replicate-msg",
                    (int) (mark - p), p);
    (void) snprintf(cure, sizeof(cure), "in milvus_cdc_source, say "
                    "`replicate_channel %s;`: common.chanNamePrefix.cluster "
                    "and .replicateMsg of the source's milvus.yaml", name);

    cdc_finding(findings, "source.replicate_channel", CDC_FAULT, cure,
                "the log has nothing in \"%s\", and the source's channels "
                "begin with \"%.*s\"", channel, (int) (mark - p), p);
}


static void
cdc_look_clock(cdc_look_t *l, const cdc_look_channel_t *ch)
{
    int64_t    apart;
    uint64_t   ts;
    json_t    *findings;

    ts = cdc_look_last(l, ch);
    findings = l->probe->findings;

    if (ts == 0) {
        return;
    }

    /* the rest of the source has been looked at since */

    apart = (int64_t) cdc_wall_ms() - (int64_t) (cdc_now_ms() - ch->end_at)
            - (int64_t) cdc_tso_ms(ts);

    if (apart < -CDC_CHECK_CLOCK_MS) {
        cdc_finding(findings, "source.clock", CDC_WARNING, "have all hosts "
                    "keep their time by NTP (chrony, systemd-timesyncd)",
                    "the source's clock is %lld s ahead of this host's",
                    (long long) (500 - apart) / 1000);

    } else if (apart > CDC_LOOK_OLD_MS) {
        cdc_finding(findings, "source.clock", CDC_WARNING, "see that the "
                    "source runs and writes to this log, and that all hosts "
                    "keep their time by NTP", "the newest message in \"%s\" "
                    "is %lld s old: the source stands still, writes to "
                    "another log, or its clock is behind", ch->name,
                    (long long) (apart + 500) / 1000);

    } else if (apart > CDC_CHECK_CLOCK_MS) {
        cdc_finding(findings, "source.clock", CDC_WARNING, "have all hosts "
                    "keep their time by NTP (chrony, systemd-timesyncd)",
                    "the source's clock is %lld s behind this host's, or it "
                    "is slow to write", (long long) (apart + 500) / 1000);

    } else {
        cdc_finding(findings, "source.clock", CDC_FINE, NULL, "the source "
                    "writes, and its clock and this host's agree");
    }
}


/* a create's; where no channel could be asked its version may tell why */

void
cdc_look_log_kind(cdc_look_t *l)
{
    char  text[CDC_REASON_MAX], where[400];

    if (l->alien != 0) {
        (void) snprintf(text, sizeof(text), "the source notes places in its "
                        "log that are not of %s: %s",
                        cdc_look_where(l, where, sizeof(where)),
                        cdc_look_kind_cure(l));
        cdc_look_warn(l, "source.log", NULL, text);
    }

    if (l->nchannels == 0
        && cdc_probe_other_version(l->probe, CDC_CHECK_ETCD_MS, text))
    {
        cdc_look_warn(l, "source.version", NULL, text);
    }
}


static void
cdc_look_channels(cdc_look_t *l)
{
    char     names[CDC_REASON_MAX / 2], where[400];
    size_t   i, len;
    json_t  *findings;

    findings = l->probe->findings;
    len = 0;
    names[0] = '\0';

    for (i = 0; i < l->nchannels; i++) {
        if (l->channels[i].end.lo == 0 && l->channels[i].end.hi == 0
            && len < sizeof(names))
        {
            len += (size_t) snprintf(names + len, sizeof(names) - len,
                                     "%s\"%s\"", len ? ", " : "",
                                     l->channels[i].name);
        }
    }

    if (l->alien != 0) {
        cdc_finding(findings, "source.log", CDC_FAULT, cdc_look_kind_cure(l),
                    "the source notes places in its log that are not of %s",
                    cdc_look_where(l, where, sizeof(where)));

    } else if (len != 0) {
        cdc_finding(findings, "source.log", CDC_FAULT, cdc_look_kind_cure(l),
                    "%s holds nothing of channels that the source's "
                    "collections have: %s", cdc_look_where(l, where,
                    sizeof(where)), names);

    } else {
        cdc_finding(findings, "source.log", CDC_FINE, NULL, "%s holds the "
                    "channels of the source",
                    cdc_look_where(l, where, sizeof(where)));
    }
}


void
cdc_look_log_end(cdc_look_t *l)
{
    size_t  i;
    char    where[400];

    if (l->deaf) {
        return;
    }

    if (l->nchannels == 0 && l->alien == 0) {
        cdc_finding(l->probe->findings, "source.log", CDC_FINE, NULL, "%s "
                    "answers; without a collection nothing tells whether the "
                    "source writes there",
                    cdc_look_where(l, where, sizeof(where)));

    } else {
        cdc_look_channels(l);
        cdc_finding(l->probe->findings, "collections.channels", CDC_NOTE,
                    NULL, "channels of the collections: %zu; the target may "
                    "have any number of them", l->nchannels);
    }

    cdc_look_replicate(l);

    for (i = 0; i < l->nchannels; i++) {
        if (l->channels[i].end.lo != 0) {
            cdc_look_clock(l, &l->channels[i]);
            break;
        }
    }
}
