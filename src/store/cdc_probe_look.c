/*
 * Create's look at the source: will what the task is to follow arrive whole?
 *
 *   a collection that the target holds with another schema       refused
 *   one that it lacks, and the log no longer reaches back        log_gap
 *   two that would have one name there                           refused
 *   users whose password the target cannot take                  a warning
 *
 * The replicator asks the same when it starts, so this is the early answer
 * and no more: a source that does not answer in CDC_LOOK_MS is not looked at,
 * and create goes on.
 *
 * Catalogue and log reader want a loop; they get one of their own, which runs
 * on the probe's thread only while something is awaited.  Closing them may
 * take seconds, and nobody has to wait for that: cdc_look_close() is a job of
 * its own, after the answer.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cdc_replicator.h"
#include "cdc_store.h"


#define CDC_LOOK_MS        3000
#define CDC_LOOK_FIRST_MS  500           /* for the first message of a topic */
#define CDC_LOOK_SHOWN     10            /* names of one answer */
#define CDC_LOOK_WARNINGS  100


typedef struct {
    char                        *name;
    cdc_pos_t                    first, end;
    char                         since[CDC_LOOK_SINCE_MAX];   /* "": not read */
} cdc_look_channel_t;


struct cdc_look_s {
    cdc_probe_t                 *probe;
    const cdc_log_reader_ops_t  *ops;
    cdc_loop_t                  *loop;
    cdc_meta_t                  *meta;
    cdc_log_reader_t            *reader;
    json_t                      *conf;
    json_t                      *names;  /* on the target -> on the source */
    cdc_look_channel_t          *channels;
    size_t                       nchannels;
    cdc_timer_t                  timer;
    cdc_job_t                    job;    /* close() */
    uint64_t                     end;    /* cdc_now_ms() */
    char                         version[64];
    char                         why[CDC_REASON_MAX];  /* not looked at */
    char                         gaps[CDC_REASON_MAX / 2];
    unsigned                     ngaps, shown;
    unsigned                     listed:1;
};


/* ---- waiting --- */

static void
cdc_look_timer(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


static void
cdc_look_wait(cdc_look_t *l, uint64_t ms)
{
    l->timer.handler = cdc_look_timer;
    l->timer.data = l->loop;

    cdc_timer_add(l->loop, &l->timer, ms);
    (void) cdc_loop_run(l->loop);
    cdc_timer_del(l->loop, &l->timer);
}


static uint64_t
cdc_look_left(const cdc_look_t *l)
{
    uint64_t  now;

    now = cdc_now_ms();

    return now < l->end ? l->end - now : 0;
}


static void
cdc_look_listed(void *arg)
{
    cdc_look_t  *l = arg;

    l->listed = 1;
    cdc_loop_stop(l->loop);
}


static void
cdc_look_degraded(void *arg, const char *text)
{
    cdc_look_t  *l = arg;

    if (text != NULL) {
        (void) snprintf(l->why, sizeof(l->why), "%s", text);
        cdc_loop_stop(l->loop);
    }
}


static void
cdc_look_readable(void *arg, cdc_log_stream_t *s)
{
    cdc_look_t  *l = arg;

    (void) s;

    cdc_loop_stop(l->loop);
}


/* ---- the log --- */

static cdc_look_channel_t *
cdc_look_channel(cdc_look_t *l, const char *name)
{
    size_t               i;
    cdc_look_channel_t  *ch;

    for (i = 0; i < l->nchannels; i++) {
        if (strcmp(l->channels[i].name, name) == 0) {
            return &l->channels[i];
        }
    }

    ch = realloc(l->channels, (l->nchannels + 1) * sizeof(*ch));

    if (ch == NULL) {
        return NULL;
    }

    l->channels = ch;
    ch += l->nchannels;
    memset(ch, 0, sizeof(*ch));
    ch->name = strdup(name);

    if (ch->name == NULL
        || l->ops->ends(l->reader, name, (unsigned) cdc_look_left(l),
                        &ch->first, &ch->end, l->why)
           != CDC_OK)
    {
        free(ch->name);
        return NULL;
    }

    l->nchannels++;

    return ch;
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


static void
cdc_look_since(cdc_look_t *l, cdc_look_channel_t *ch)
{
    int                rc;
    char               err[CDC_REASON_MAX];
    uint64_t           end;
    cdc_log_msg_t      msg;
    cdc_envelope_t     env;
    cdc_log_stream_t  *s;

    if (ch->since[0] != '\0') {
        return;
    }

    (void) snprintf(ch->since, sizeof(ch->since), "from position %llu:%llu",
                    (unsigned long long) ch->first.hi,
                    (unsigned long long) ch->first.lo);

    end = cdc_now_ms() + CDC_LOOK_FIRST_MS;
    s = cdc_look_left(l) != 0
        ? l->ops->start(l->reader, ch->name, ch->first, l, err) : NULL;

    if (s == NULL) {
        return;
    }

    while ((rc = l->ops->next(s, &msg, err)) == CDC_AGAIN
           && cdc_now_ms() < end)
    {
        cdc_look_wait(l, end - cdc_now_ms() + 1);
    }

    if (rc == CDC_OK) {
        if (cdc_wire_envelope(msg.body, &env) == CDC_OK && env.ts != 0) {
            cdc_look_time(env.ts, ch->since);
        }

        l->ops->release(&msg);
    }

    l->ops->stop(s);
}


static void
cdc_look_warn(cdc_look_t *l, const char *text)
{
    cdc_probe_t  *p;

    p = l->probe;

    if (p->warnings == NULL) {
        p->warnings = json_array();
    }

    if (json_array_size(p->warnings) < CDC_LOOK_WARNINGS) {
        (void) json_array_append_new(p->warnings, json_string(text));
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
        cdc_look_warn(l, text);
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


static void
cdc_look_refuse_gaps(cdc_look_t *l)
{
    char          more[32], text[CDC_REASON_MAX];
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

    p->error = CDC_E_LOG_GAP;
    cdc_store_format(p->text, p->error, text);
}


/* the first channel where it has to start before the first message */

static int
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

        ch = cdc_look_channel(l, m->shards[i].pchannel);

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


/* ---- what the target holds --- */

static int
cdc_look_refuse(cdc_look_t *l, cdc_error_e error, const char *text)
{
    l->probe->error = error;
    cdc_store_format(l->probe->text, error, text);

    return CDC_DONE;
}


static int
cdc_look_schema(cdc_look_t *l, const cdc_meta_collection_t *m,
    const char *db, const char *name, const cdc_target_collection_t *t)
{
    int   rc;
    char  diff[CDC_REASON_MAX], text[2 * CDC_REASON_MAX];

    if (strcmp(t->name, name) != 0) {
        (void) snprintf(text, sizeof(text), "\"%.200s.%.200s\" is an alias of "
                        "\"%.200s\" on the target: drop the alias there first",
                        db, name, t->name);
        return cdc_look_refuse(l, CDC_E_SCHEMA_DIFFERS, text);
    }

    rc = cdc_schema_compare(m->schema, cdc_span_n(t->schema, t->schema_len),
                            diff);

    if (rc == CDC_OK && t->nshards != m->nshards) {
        (void) snprintf(diff, sizeof(diff), "%u shards on the source, %u on "
                        "the target", m->nshards, t->nshards);
        rc = CDC_DECLINED;
    }

    if (rc == CDC_OK && m->num_partitions > 0 && t->num_partitions > 0
        && m->num_partitions != t->num_partitions)
    {
        (void) snprintf(diff, sizeof(diff), "%lld partitions of the partition "
                        "key on the source, %lld on the target",
                        (long long) m->num_partitions,
                        (long long) t->num_partitions);
        rc = CDC_DECLINED;
    }

    if (rc != CDC_DECLINED) {
        return CDC_OK;
    }

    (void) snprintf(text, sizeof(text), "the target holds a collection "
                    "\"%.200s.%.200s\" with another schema: %.500s; drop or "
                    "rename it there first", db, name, diff);

    return cdc_look_refuse(l, CDC_E_SCHEMA_DIFFERS, text);
}


static int
cdc_look_name(cdc_look_t *l, const cdc_meta_collection_t *m, const char *db,
    const char *name)
{
    char     source[2 * CDC_MAX_NAME_LEN + 2];
    char     target[2 * CDC_MAX_NAME_LEN + 2];
    char     text[CDC_REASON_MAX];
    json_t  *other;

    (void) snprintf(source, sizeof(source), "%.256s.%.256s", m->db, m->name);
    (void) snprintf(target, sizeof(target), "%.256s.%.256s", db, name);

    other = json_object_get(l->names, target);

    if (other == NULL) {
        (void) json_object_set_new(l->names, target, json_string(source));
        return CDC_OK;
    }

    (void) snprintf(text, sizeof(text), "\"%.300s\" and \"%.300s\" would both "
                    "be \"%.300s\" on the target", source,
                    json_string_value(other), target);

    return cdc_look_refuse(l, CDC_E_BAD_MAPPING, text);
}


static int
cdc_look_collection(void *arg, const cdc_meta_collection_t *m)
{
    int                       rc;
    const char               *db, *name;
    cdc_look_t               *l = arg;
    cdc_probe_t              *p;
    cdc_target_error_t        err;
    cdc_target_collection_t  *t;

    p = l->probe;

    if (m->gone || m->dropping || !cdc_selected(p->selection, m->db, m->name))
    {
        return CDC_OK;
    }

    if (cdc_look_left(l) == 0) {
        (void) snprintf(l->why, sizeof(l->why), "it takes too long");
        return CDC_ERROR;
    }

    db = cdc_selection_target_db(p->selection, m->db);
    name = cdc_selection_target_name(p->selection, m->db, m->name);

    rc = cdc_look_name(l, m, db, name);

    if (rc != CDC_OK) {
        return rc;
    }

    t = NULL;
    memset(&err, 0, sizeof(cdc_target_error_t));

    rc = cdc_probe_ops->describe(p->target, db, name, 0, &t, &err);

    if (rc == CDC_OK) {
        rc = cdc_look_schema(l, m, db, name, t);
        cdc_target_collection_free(t);
        return rc;
    }

    if (rc == CDC_ERROR && err.class != CDC_TARGET_NOT_FOUND) {
        (void) snprintf(l->why, sizeof(l->why), "%s", err.text);
        return CDC_ERROR;
    }

    return cdc_look_log(l, m);
}


/* ---- users --- */

static int
cdc_look_user(void *arg, const cdc_meta_rbac_t *e)
{
    int                  rc;
    char                 text[CDC_REASON_MAX];
    cdc_look_t          *l = arg;
    cdc_target_error_t   err;

    if (e->kind != CDC_META_USER || e->gone) {
        return CDC_OK;
    }

    if (cdc_look_left(l) == 0) {
        (void) snprintf(l->why, sizeof(l->why), "it takes too long");
        return CDC_ERROR;
    }

    memset(&err, 0, sizeof(cdc_target_error_t));
    rc = cdc_probe_ops->has_user(l->probe->target, e->user, &err);

    if (rc == CDC_ERROR) {
        (void) snprintf(l->why, sizeof(l->why), "%s", err.text);
        return CDC_ERROR;
    }

    if (rc == CDC_DECLINED) {
        (void) snprintf(text, sizeof(text), "the user \"%.200s\" is not on the "
                        "target, and Milvus %.60s cannot take over its "
                        "password (2.4 and later can): create it there with "
                        "the same password, its roles follow", e->user,
                        l->version);
        cdc_look_warn(l, text);
    }

    return CDC_OK;
}


/* ---- the whole --- */

static int
cdc_look_open(cdc_look_t *l)
{
    cdc_log_handler_t   log;
    cdc_meta_handler_t  meta;

    memset(&meta, 0, sizeof(cdc_meta_handler_t));
    meta.listed = cdc_look_listed;
    meta.degraded = cdc_look_degraded;
    meta.arg = l;

    memset(&log, 0, sizeof(cdc_log_handler_t));
    log.readable = cdc_look_readable;
    log.arg = l;

    l->meta = cdc_meta_open(l->loop, l->conf, &meta, l->why);

    if (l->meta == NULL) {
        return CDC_ERROR;
    }

    cdc_look_wait(l, cdc_look_left(l));

    if (!l->listed) {
        if (l->why[0] == '\0') {
            (void) snprintf(l->why, sizeof(l->why), "etcd does not answer");
        }

        return CDC_ERROR;
    }

    l->reader = l->ops->open(l->loop, l->conf, &log, l->why);

    return l->reader != NULL ? CDC_OK : CDC_ERROR;
}


static int
cdc_look_all(cdc_look_t *l)
{
    int  rc, major, minor;

    if (cdc_look_open(l) != CDC_OK) {
        return CDC_ERROR;
    }

    rc = cdc_meta_each_collection(l->meta, cdc_look_collection, l);

    if (rc == CDC_OK) {
        cdc_look_refuse_gaps(l);
    }

    if (rc != CDC_OK || l->probe->error != CDC_E_OK
        || !cdc_selection_rbac(l->probe->selection)
        || cdc_probe_ops->has_user == NULL
        || cdc_probe_version(l->version, &major, &minor) != CDC_OK
        || major != 2 || minor > 3)
    {
        return rc;
    }

    return cdc_meta_each_rbac(l->meta, cdc_look_user, l);
}


void
cdc_probe_look(cdc_probe_t *p, const char *version)
{
    char         dir[PATH_MAX];
    cdc_look_t  *l;

    if (p->selection == NULL || p->silent
        || json_object_get(p->source, "etcd") == NULL
        || cdc_log_reader_of(p->source) == NULL)
    {
        return;
    }

    l = calloc(1, sizeof(cdc_look_t));

    if (l == NULL) {
        return;
    }

    p->look = l;

    /* what a reader wants to keep beside a log; the sweep at the start of the
     * store removes what a crash has left there */

    (void) snprintf(dir, sizeof(dir), "%s/look", p->dir);

    if (mkdir(dir, 0700) == -1 && errno != EEXIST) {
        cdc_log(CDC_LOG_ERR, errno, "mkdir(\"%s\") failed", dir);
    }

    (void) snprintf(dir, sizeof(dir), "%s/look/%s", p->dir, p->id);
    (void) snprintf(l->version, sizeof(l->version), "%s", version);

    l->probe = p;
    l->ops = cdc_log_reader_of(p->source);
    l->conf = json_copy((json_t *) p->source);
    l->names = json_object();
    l->loop = cdc_loop_create();
    l->end = cdc_now_ms() + CDC_LOOK_MS;

    (void) json_object_set_new(l->conf, "secondary_dir", json_string(dir));

    if (l->loop == NULL || cdc_look_all(l) == CDC_ERROR) {

        /* what was found until then holds, so a gap is not overlooked */

        cdc_look_refuse_gaps(l);

        cdc_log(CDC_LOG_WARN, 0, "what the source holds was not wholly "
                "compared with the target %s: %s", p->name, l->why);
    }

    l->probe = NULL;
}


/* ---- the end --- */

static void
cdc_look_end(cdc_job_t *job)
{
    size_t       i;
    cdc_look_t  *l;

    l = job->data;

    cdc_meta_close(l->meta);

    if (l->reader != NULL) {
        l->ops->close(l->reader);
    }

    if (l->loop != NULL) {
        cdc_look_wait(l, 0);             /* posts that are under way */
        cdc_loop_destroy(l->loop);
    }

    for (i = 0; i < l->nchannels; i++) {
        free(l->channels[i].name);
    }

    free(l->channels);
    json_decref(l->conf);
    json_decref(l->names);
}


static void
cdc_look_ended(cdc_job_t *job)
{
    cdc_look_t  *l;

    l = job->data;

    cdc_worker_destroy(job->worker);
    free(l);
}


void
cdc_look_close(cdc_look_t *l, cdc_worker_t *worker)
{
    l->job.run = cdc_look_end;
    l->job.done = cdc_look_ended;
    l->job.data = l;

    cdc_worker_submit(worker, &l->job);
}
