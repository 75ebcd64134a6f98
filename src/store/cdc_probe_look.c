/*
 * Create's look at the source: will what the task is to follow arrive whole?
 *
 *   a collection that the target holds with another schema       refused
 *   one that it lacks, and the log no longer reaches back        log_gap
 *   two that would have one name there                           refused
 *   users whose password the target cannot take                  a warning
 *   a name that the source does not have                         a warning
 *
 * The replicator asks the same when it starts, so this is the early answer
 * and no more: a source that does not answer in CDC_LOOK_MS is not looked at,
 * and create goes on.
 *
 * A check sees all of it instead of the first refusal, what is fine as well,
 * and looks at the rest when the target or etcd does not answer.
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

#include "cdc_look.h"
#include "cdc_text.h"


#define CDC_LOOK_MS        3000          /* in all */
#define CDC_LOOK_WARNINGS  100           /* of one create */


/* ---- waiting --- */

static void
cdc_look_timer(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


void
cdc_look_wait(cdc_look_t *l, uint64_t ms)
{
    l->timer.handler = cdc_look_timer;
    l->timer.data = l->loop;

    cdc_timer_add(l->loop, &l->timer, ms);
    (void) cdc_loop_run(l->loop);
    cdc_timer_del(l->loop, &l->timer);
}


uint64_t
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


void
cdc_look_warn(cdc_look_t *l, const char *check, const char *cure,
    const char *text)
{
    cdc_probe_t  *p;

    p = l->probe;

    cdc_finding(p->findings, check, CDC_WARNING, cure, "%s", text);

    if (p->warnings == NULL) {
        p->warnings = json_array();
    }

    if (json_array_size(p->warnings) < CDC_LOOK_WARNINGS) {
        (void) json_array_append_new(p->warnings, cdc_text_json(text));
    }
}


/* ---- what the target holds --- */

static int
cdc_look_refuse(cdc_look_t *l, cdc_error_e error, const char *text)
{
    char  message[CDC_REASON_MAX];

    cdc_store_format(message, error, text);
    cdc_probe_refuse(l->probe, error, message);

    return l->probe->findings != NULL ? CDC_OK : CDC_DONE;
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
        l->same++;
        cdc_look_newest(l, m);
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
    char         source[2 * CDC_MAX_NAME_LEN + 2];
    char         target[2 * CDC_MAX_NAME_LEN + 2];
    char         text[CDC_REASON_MAX];
    json_t      *taken;
    const char  *other;

    (void) snprintf(source, sizeof(source), "%.256s.%.256s", m->db, m->name);
    (void) snprintf(target, sizeof(target), "%.256s.%.256s", db, name);

    taken = json_object_get(l->names, target);

    if (taken == NULL) {
        (void) json_object_set_new(l->names, target, json_string(source));
        return CDC_OK;
    }

    other = json_string_value(taken);

    /* in the order in which the request's own check has them: said once */

    (void) snprintf(text, sizeof(text), "\"%.256s\" and \"%.256s\" would both "
                    "be \"%.256s\" on the target",
                    strcmp(source, other) < 0 ? source : other,
                    strcmp(source, other) < 0 ? other : source, target);

    return cdc_look_refuse(l, CDC_E_BAD_MAPPING, text);
}


static int
cdc_look_compare(cdc_look_t *l, const cdc_meta_collection_t *m,
    const char *db, const char *name)
{
    int                       rc;
    cdc_target_error_t        err;
    cdc_target_collection_t  *t;

    t = NULL;
    memset(&err, 0, sizeof(cdc_target_error_t));

    rc = cdc_probe_ops->describe(l->probe->target, db, name, 0, &t, &err);

    if (rc == CDC_OK) {
        rc = cdc_look_schema(l, m, db, name, t);
        cdc_target_collection_free(t);
        return rc;
    }

    if (rc == CDC_ERROR && err.class != CDC_TARGET_NOT_FOUND) {
        (void) snprintf(l->why, sizeof(l->why), "%s", err.text);
        return CDC_ERROR;
    }

    l->fresh++;

    return l->deaf ? CDC_OK : cdc_look_log(l, m);
}


static int
cdc_look_collection(void *arg, const cdc_meta_collection_t *m)
{
    int           rc;
    const char   *db, *name;
    cdc_look_t   *l = arg;
    cdc_probe_t  *p;

    p = l->probe;

    if (m->gone || m->dropping || !cdc_selected(p->selection, m->db, m->name))
    {
        return CDC_OK;
    }

    if (cdc_look_left(l) == 0) {
        (void) snprintf(l->why, sizeof(l->why), "it takes too long");
        return CDC_ERROR;
    }

    l->matched++;
    cdc_look_log_has(l, m);

    db = cdc_selection_target_db(p->selection, m->db);
    name = cdc_selection_target_name(p->selection, m->db, m->name);

    rc = cdc_look_name(l, m, db, name);

    if (rc != CDC_OK) {
        return rc;
    }

    return p->met ? cdc_look_compare(l, m, db, name) : CDC_OK;
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

    l->users++;

    if (rc == CDC_DECLINED) {
        (void) snprintf(text, sizeof(text), "the user \"%.200s\" is not on the "
                        "target, and Milvus %.60s cannot take over its "
                        "password (2.4 and later can): create it there with "
                        "the same password, its roles follow", e->user,
                        l->version);
        cdc_look_warn(l, "users.passwords", "create the user on the target "
                      "with the same password", text);
    }

    return CDC_OK;
}


/* ---- the whole --- */

static int
cdc_look_open_meta(cdc_look_t *l)
{
    cdc_meta_handler_t  meta;

    memset(&meta, 0, sizeof(cdc_meta_handler_t));
    meta.listed = cdc_look_listed;
    meta.degraded = cdc_look_degraded;
    meta.arg = l;

    l->meta = cdc_meta_open(l->loop, l->conf, &meta, l->why);

    if (l->meta == NULL) {
        return CDC_ERROR;
    }

    cdc_look_wait(l, cdc_look_left(l));

    if (!l->listed && l->why[0] == '\0') {
        (void) snprintf(l->why, sizeof(l->why), "etcd does not answer");
    }

    return l->listed ? CDC_OK : CDC_ERROR;
}


static int
cdc_look_open_log(cdc_look_t *l)
{
    cdc_log_handler_t  log;

    memset(&log, 0, sizeof(cdc_log_handler_t));
    log.readable = cdc_look_readable;
    log.degraded = l->probe->findings != NULL ? cdc_look_degraded : NULL;
    log.arg = l;

    l->reader = l->ops->open(l->loop, l->conf, &log, l->why);

    return l->reader != NULL ? CDC_OK : CDC_ERROR;
}


static int
cdc_look_users(cdc_look_t *l)
{
    int  rc, major, minor;

    if (l->probe->error != CDC_E_OK && l->probe->findings == NULL) {
        return CDC_OK;
    }

    if (!l->probe->met || !cdc_selection_rbac(l->probe->selection)
        || cdc_probe_ops->has_user == NULL
        || cdc_probe_version(l->version, &major, &minor) != CDC_OK
        || major != 2 || minor > 3)
    {
        return CDC_OK;
    }

    rc = cdc_meta_each_rbac(l->meta, cdc_look_user, l);

    if (rc == CDC_OK && !cdc_finding_has(l->probe->findings,
                                         "users.passwords"))
    {
        cdc_finding(l->probe->findings, "users.passwords", CDC_FINE, NULL,
                    "the target has all users of the source: %u", l->users);
    }

    return rc;
}


static int
cdc_look_all(cdc_look_t *l)
{
    int  rc;

    if (cdc_look_open_meta(l) != CDC_OK || cdc_look_open_log(l) != CDC_OK) {
        return CDC_ERROR;
    }

    rc = cdc_meta_each_collection(l->meta, cdc_look_collection, l);

    if (rc == CDC_OK) {
        cdc_look_refuse_gaps(l);
        rc = cdc_look_users(l);
    }

    if (rc == CDC_OK && l->probe->error == CDC_E_OK) {
        cdc_look_names(l);
    }

    if (l->probe->error == CDC_E_OK) {
        cdc_look_log_kind(l);
    }

    return rc;
}


/* what a check says about it, whatever of it could be looked at */

static void
cdc_look_summary(cdc_look_t *l)
{
    json_t  *findings;

    findings = l->probe->findings;

    if (l->matched == 0) {
        return;
    }

    if (l->probe->met && cdc_finding_ok(findings, "collections.schema")) {
        cdc_finding(findings, "collections.schema", CDC_FINE, NULL,
                    "collections that will be created on the target: %u; that "
                    "are there with the same schema, and go on from now "
                    "without sending their rows again: %u", l->fresh, l->same);
    }

    if (l->probe->met && !l->deaf && l->alien == 0 && l->ngaps == 0) {
        cdc_finding(findings, "collections.retention", CDC_FINE, NULL,
                    "the source's log reaches back to the start of all that "
                    "the target lacks");
    }
}


static int
cdc_look_check(cdc_look_t *l)
{
    int  rc;

    if (cdc_look_open_log(l) == CDC_OK) {
        cdc_look_log_open(l);

    } else {
        cdc_finding(l->probe->findings, "source.log", CDC_FAULT, "see `kafka` "
                    "or `rocksmq` of milvus_cdc_source", "%s", l->why);
        l->deaf = 1;
    }

    /* etcd's own findings say why not */

    if (l->probe->silent || l->probe->selection == NULL) {
        cdc_look_log_end(l);
        return CDC_OK;
    }

    l->why[0] = '\0';
    l->end = cdc_now_ms() + CDC_LOOK_MS;
    rc = cdc_look_open_meta(l);

    if (rc == CDC_OK) {
        cdc_look_names(l);
        rc = cdc_meta_each_collection(l->meta, cdc_look_collection, l);
        cdc_look_log_end(l);
    }

    if (rc == CDC_OK) {
        cdc_look_refuse_gaps(l);
        cdc_look_summary(l);
        rc = cdc_look_users(l);
    }

    if (rc != CDC_OK) {
        cdc_finding(l->probe->findings, "collections", CDC_WARNING,
                    "check again when the rest is well", "what the source "
                    "holds was not wholly looked at: %s", l->why);
    }

    return rc;
}


void
cdc_probe_look(cdc_probe_t *p, const char *version)
{
    char         dir[PATH_MAX];
    cdc_look_t  *l;

    if ((p->findings == NULL && (p->selection == NULL || p->silent))
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

    if (l->loop != NULL && p->findings != NULL) {
        (void) cdc_look_check(l);

    } else if (l->loop == NULL || cdc_look_all(l) == CDC_ERROR) {

        /* what was found until then holds, so a gap is not overlooked */

        cdc_look_refuse_gaps(l);

        cdc_log(CDC_LOG_WARN, 0, "what the source holds was not wholly "
                "compared with the target %s: %s", p->name, l->why);
    }

    if (l->reader != NULL && p->findings == NULL && p->error == CDC_E_OK) {
        cdc_look_note(l);
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
