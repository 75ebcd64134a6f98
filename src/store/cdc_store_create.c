/*
 * Create: the one request that takes time, because it looks at the target.
 *
 *   QUEUED -> PROBING -> PROBED -> a record, TASK, ACK, answer
 *
 * What can be said without the target is checked first and at once.  The
 * probe runs on a thread of its own, and looks at the source as well.
 * Meanwhile other creates may have become tasks, so the same checks are made
 * again before the record is written.  PROBED lasts while a deleted task of
 * the same id still has a replicator that is ending (cdc_store_disk.c says
 * why).
 *
 * A create is known by its task id: the same request again waits for the
 * same probe, or gets the task that there is and what its probe had to say,
 * so a worker may repeat a create when it lost the answer; another request
 * with that id is refused.  A client that goes away undoes nothing.  A crash
 * or a stop before the record leaves nothing behind.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_grpc.h"
#include "cdc_store.h"


static void cdc_create_finish(cdc_store_create_t *c);


/* ---- a create that ends --- */

void
cdc_create_free(cdc_store_create_t *c)
{
    cdc_store_t         *s;
    cdc_store_create_t  **link;

    s = c->store;

    for (link = &s->creates; *link != NULL; link = &(*link)->next) {
        if (*link == c) {
            *link = c->next;
            s->ncreates--;
            s->create_bytes -= c->bytes;
            break;
        }
    }

    cdc_probe_free(c->probe);
    cdc_stored_free(c->task);
    json_decref(c->findings);
    free(c);
}


static void
cdc_create_fail(cdc_store_create_t *c, cdc_error_e err, const char *text)
{
    cdc_store_wait_t  *w;

    cdc_log(CDC_LOG_NOTICE, 0, "task %s is not created: %s", c->task->id,
            text);

    while ((w = c->waits) != NULL) {
        c->waits = w->next;
        cdc_store_fail(w, err, text);
    }

    cdc_create_free(c);
}


void
cdc_store_forget(cdc_store_t *s, cdc_store_client_t *client)
{
    cdc_store_wait_t    *w, **link;
    cdc_store_create_t  *c;

    for (c = s->creates; c != NULL; c = c->next) {

        for (link = &c->waits; (w = *link) != NULL; /* void */ ) {

            if (w->client == client) {
                *link = w->next;
                cdc_store_wait_free(w);

            } else {
                link = &w->next;
            }
        }
    }
}


/* ---- checks that need nothing but the other tasks --- */

cdc_error_e
cdc_create_against(cdc_stored_t *t, cdc_stored_t *other,
    const cdc_probe_t *p, char text[CDC_REASON_MAX])
{
    unsigned     i, same;
    cdc_error_e  err;

    same = cdc_addrs_meet(&t->addrs, &other->addrs);

    for (i = 0; p != NULL && i < p->nothers; i++) {
        same |= p->others[i].same && strcmp(p->others[i].id, other->id) == 0;
    }

    err = cdc_stored_conflict(t, other, same, text);

    if (err == CDC_E_OK && cdc_stored_join(t, other, same) != CDC_OK) {
        cdc_store_format(text, CDC_E_INTERNAL);
        err = CDC_E_INTERNAL;
    }

    return err;
}


static cdc_error_e
cdc_create_check(cdc_store_t *s, cdc_stored_t *t, const cdc_probe_t *p,
    char text[CDC_REASON_MAX])
{
    cdc_error_e    err;
    cdc_stored_t  *other;

    /* the other tasks may not be those of the last check */

    cdc_stored_unclaim(t);
    free(t->group);
    t->group = NULL;

    for (other = s->tasks; other != NULL; other = other->next) {
        err = cdc_create_against(t, other, p, text);

        if (err != CDC_E_OK) {
            return err;
        }
    }

    if (s->ntasks >= (unsigned) s->max_tasks) {
        cdc_store_format(text, CDC_E_TASK_LIMIT, s->max_tasks);
        return CDC_E_TASK_LIMIT;
    }

    return CDC_E_OK;
}


/* what is stored must fit into the zone's slots and into one CONFIG frame */

cdc_error_e
cdc_create_check_size(const cdc_stored_t *t, char text[CDC_REASON_MAX])
{
    int                 rc;
    char               *dump;
    size_t              need, max;
    cdc_task_record_t  *record;

    max = CDC_DOC_MAX - 1;
    record = malloc(sizeof(cdc_task_record_t));
    dump = cdc_stored_dump(t);
    rc = CDC_ERROR;

    if (record != NULL && dump != NULL) {
        rc = cdc_stored_record(t, record, &need);

        if (rc == CDC_OK && strlen(dump) > CDC_STORE_RECORD_MAX) {
            rc = CDC_DECLINED;
            need = strlen(dump);
            max = CDC_STORE_RECORD_MAX;
        }
    }

    free(record);

    if (dump != NULL) {
        explicit_bzero(dump, strlen(dump));
        free(dump);
    }

    switch (rc) {

    case CDC_OK:
        return CDC_E_OK;

    case CDC_DECLINED:
        cdc_store_format(text, CDC_E_DOC_TOO_LARGE, (int) need, (int) max);
        return CDC_E_DOC_TOO_LARGE;

    default:
        cdc_store_format(text, CDC_E_INTERNAL);
        return CDC_E_INTERNAL;
    }
}


/* a task can do without them: the times tell as well, nearly */

void
cdc_create_ends(cdc_stored_t *t, json_t *ends)
{
    char  text[CDC_REASON_MAX];

    t->source_ends = json_incref(ends);

    if (ends != NULL && cdc_create_check_size(t, text) != CDC_E_OK) {
        json_decref(ends);
        t->source_ends = NULL;
    }
}


static cdc_error_e
cdc_create_check_all(cdc_store_t *s, cdc_stored_t *t,
    char text[CDC_REASON_MAX])
{
    json_t       *source;
    cdc_error_e   err;

    source = json_object_get(s->sources, t->source);

    if (source == NULL) {
        cdc_store_format(text, CDC_E_UNKNOWN_SOURCE, t->source);
        return CDC_E_UNKNOWN_SOURCE;
    }

    if (!cdc_probe_allowed(s->allow, t->address)) {
        cdc_store_format(text, CDC_E_TARGET_NOT_ALLOWED, t->address);
        return CDC_E_TARGET_NOT_ALLOWED;
    }

    /* first: what comes now compares all names with all others */

    err = cdc_create_check_size(t, text);

    if (err != CDC_E_OK) {
        return err;
    }

    err = cdc_stored_check(t, source, text);

    if (err != CDC_E_OK) {
        return err;
    }

    err = cdc_create_check(s, t, NULL, text);

    if (err != CDC_E_OK) {
        return err;
    }

    return cdc_create_check_size(t, text);
}


/* ---- the probe --- */

static void
cdc_create_run(cdc_job_t *job)
{
    cdc_store_create_t  *c;

    c = job->data;
    cdc_probe_run(c->probe);
}


static void
cdc_create_probed(cdc_job_t *job)
{
    cdc_store_t         *s;
    cdc_store_create_t  *c;

    c = job->data;
    s = c->store;

    if (c->probe->look != NULL) {
        cdc_look_close(c->probe->look, c->worker);

    } else {
        cdc_worker_destroy(c->worker);
    }

    c->worker = NULL;
    s->nprobing--;

    if (c->findings != NULL) {
        cdc_store_dry_end(c);

    } else if (c->probe->error != CDC_E_OK) {
        cdc_create_fail(c, c->probe->error, c->probe->text);

    } else {
        c->step = CDC_CREATE_PROBED;
        c->task->addrs = c->probe->addrs;
    }

    cdc_store_create_next(s);
}


static int
cdc_create_others(cdc_store_create_t *c)
{
    unsigned            n;
    cdc_stored_t       *t;
    cdc_probe_other_t  *other;

    n = 0;

    for (t = c->store->tasks; t != NULL; t = t->next) {

        /* one whose addresses are known is compared without a probe */

        if (t->address == NULL || t->addrs.n != 0) {
            continue;
        }

        other = &c->probe->others[n++];
        memcpy(other->id, t->id, sizeof(other->id));
        other->address = strdup(t->address);

        if (other->address == NULL) {
            return CDC_ERROR;
        }
    }

    c->probe->nothers = n;

    return CDC_OK;
}


static cdc_probe_t *
cdc_create_probe(cdc_store_create_t *c, int blind, char text[CDC_REASON_MAX])
{
    cdc_store_t  *s;

    s = c->store;

    return cdc_probe_create(json_object_get(c->task->request,
                                            "milvus_connect_param"),
                            c->task->target,
                            json_object_get(s->sources, c->task->source),
                            s->ntasks, c->findings, blind, text);
}


static void
cdc_create_start(cdc_store_create_t *c)
{
    char          text[CDC_REASON_MAX];
    cdc_store_t  *s;

    s = c->store;

    if (!s->grpc) {
        s->grpc = 1;
        cdc_grpc_init(NULL);
    }

    cdc_store_format(text, CDC_E_INTERNAL);

    c->probe = cdc_create_probe(c, c->blind, text);

    if (c->probe == NULL && c->findings != NULL) {

        /* a certificate's file, say: the rest can be looked at */

        cdc_finding_refusal(c->findings, CDC_E_BAD_URI, text);
        c->probe = cdc_create_probe(c, 1, text);
    }

    if (c->probe == NULL) {
        cdc_create_fail(c, CDC_E_BAD_URI, text);
        return;
    }

    c->probe->blind = c->blind;
    c->probe->selection = c->nameless ? NULL
                                      : cdc_stored_selection(c->task, text);
    c->probe->dir = s->dir;
    c->probe->id = c->task->id;

    c->worker = cdc_create_others(c) == CDC_OK
                ? cdc_worker_create(s->loop, "cdc-probe") : NULL;

    if (c->worker == NULL) {
        cdc_create_fail(c, CDC_E_INTERNAL, text);
        return;
    }

    c->step = CDC_CREATE_PROBING;
    s->nprobing++;

    c->job.run = cdc_create_run;
    c->job.done = cdc_create_probed;
    c->job.data = c;

    cdc_worker_submit(c->worker, &c->job);
}


void
cdc_store_create_next(cdc_store_t *s)
{
    cdc_store_create_t  *c, *next;

    for (c = s->creates; c != NULL; c = next) {
        next = c->next;

        if (c->step == CDC_CREATE_PROBED
            && cdc_store_gone_find(s, c->task->id) == NULL)
        {
            cdc_create_finish(c);

        } else if (c->step == CDC_CREATE_QUEUED
                   && s->nprobing < CDC_STORE_PROBES)
        {
            cdc_create_start(c);
        }
    }
}


/* ---- the record --- */

/* NULL: there is nothing to say beside the id */

static char *
cdc_create_answer(const cdc_stored_t *t, const cdc_store_wait_t *w)
{
    char        *text, line[CDC_REASON_MAX];
    size_t       i;
    json_t      *data, *all, *one;
    const char  *path, *known;

    all = json_array();

    json_array_foreach(w->ignored, i, one) {
        if (json_unpack(one, "[s, s]", &path, &known) == 0) {
            (void) snprintf(line, sizeof(line), "the field \"%s\" is not "
                            "known and was ignored: see its name; known there "
                            "are %s", path, known);
            (void) json_array_append_new(all, json_string(line));
        }
    }

    if (t->warnings != NULL) {
        (void) json_array_extend(all, t->warnings);
    }

    if (json_array_size(all) == 0) {
        json_decref(all);
        return NULL;
    }

    data = json_pack("{s:s, s:o}", "task_id", t->id, "warnings", all);
    text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;

    json_decref(data);

    return text;
}


static void
cdc_create_finish(cdc_store_create_t *c)
{
    char               text[CDC_REASON_MAX], err[CDC_REASON_MAX];
    uint64_t           now;
    cdc_error_e        rc;
    cdc_store_t       *s;
    cdc_stored_t      *t;
    cdc_store_wait_t  *w;

    s = c->store;
    t = c->task;

    rc = cdc_create_check(s, t, c->probe, text);

    if (rc == CDC_E_OK) {
        rc = cdc_create_check_size(t, text);     /* with what was claimed */
    }

    if (rc != CDC_E_OK) {
        cdc_create_fail(c, rc, text);
        return;
    }

    if (cdc_store_rmdir(s, t->id, err) != CDC_OK    /* of a former task */
        || cdc_store_mkdir(s, t->id, err) != CDC_OK)
    {
        cdc_store_format(text, CDC_E_STORE_FAILED, err);
        cdc_create_fail(c, CDC_E_STORE_FAILED, text);
        return;
    }

    /* two creates of one millisecond, or a clock that was set back, must
     * not change the order of the list */

    now = cdc_wall_ms();
    t->created_ms = now > s->last_created_ms ? now : s->last_created_ms + 1;
    t->target_ms = c->probe->target_ms != 0
                   ? c->probe->target_ms + cdc_now_ms() : 0;
    t->source_ms = c->probe->source_ms;
    cdc_create_ends(t, c->probe->source_ends);
    t->warnings = json_incref(c->probe->warnings);

    if (cdc_store_write(s, t, err) != CDC_OK) {
        cdc_store_format(text, CDC_E_STORE_FAILED, err);
        cdc_create_fail(c, CDC_E_STORE_FAILED, text);
        return;
    }

    c->task = NULL;
    cdc_store_insert(s, t);
    cdc_store_send_task(s, t);

    cdc_log(CDC_LOG_INFO, 0, "task %s is created: source %s, target %s",
            t->id, t->source, t->target);

    CDC_FAULT("create-before-answer");

    while ((w = c->waits) != NULL) {
        c->waits = w->next;
        w->more = cdc_create_answer(t, w);
        cdc_store_wait_ack(s, w, t->seq);
    }

    cdc_create_free(c);
}


/* ---- the request --- */

/* 1: the wait has found its create or its task, or has been refused */

static int
cdc_create_known(cdc_store_t *s, cdc_store_wait_t *w, const char *id,
    json_t *request, const char *source)
{
    const char          *field;
    cdc_stored_t        *t;
    cdc_store_create_t  *c;

    c = NULL;
    t = cdc_store_find(s, id);

    if (t == NULL) {
        for (c = s->creates; c != NULL; c = c->next) {
            if (strcmp(c->task->id, id) == 0) {
                break;
            }
        }

        if (c == NULL) {
            return 0;
        }

        t = c->task;
    }

    field = cdc_stored_differs(t, request, source);

    if (field != NULL) {
        cdc_store_failf(w, CDC_E_TASK_EXISTS, id, field);

    } else if (c != NULL) {
        w->next = c->waits;
        c->waits = w;

    } else {
        w->more = cdc_create_answer(t, w);
        cdc_store_wait_ack(s, w, t->seq);
    }

    return 1;
}


/* a common one is let in beside large ones, which may wait for long */

int
cdc_create_full(const cdc_store_t *s, const cdc_store_wait_t *w)
{
    return s->ncreates >= CDC_STORE_CREATES
           || (w->bytes > CDC_STORE_CREATES_MAX / CDC_STORE_CREATES
               && s->create_bytes + w->bytes > CDC_STORE_CREATES_MAX);
}


void
cdc_create_add(cdc_store_t *s, cdc_store_wait_t *w, cdc_stored_t *t,
    json_t *findings, int blind, int nameless)
{
    cdc_store_create_t  *c, **link;

    c = calloc(1, sizeof(cdc_store_create_t));

    if (c == NULL) {
        cdc_stored_free(t);
        cdc_store_failf(w, CDC_E_INTERNAL);
        return;
    }

    c->store = s;
    c->task = t;
    c->waits = w;
    c->bytes = w->bytes;
    c->findings = json_incref(findings);
    c->blind = !!blind;
    c->nameless = !!nameless;

    for (link = &s->creates; *link != NULL; link = &(*link)->next) {
        /* to the end */
    }

    *link = c;
    s->ncreates++;
    s->create_bytes += c->bytes;

    cdc_store_create_next(s);
}


void
cdc_store_create(cdc_store_t *s, cdc_store_wait_t *w, json_t *request,
    const char *source)
{
    char           text[CDC_REASON_MAX];
    const char    *id;
    cdc_error_e    err;
    cdc_stored_t  *t;

    id = json_string_value(json_object_get(request, "task_id"));

    /* a worker has made one where the client gave none */

    if (id == NULL || !cdc_stored_id_valid(id)) {
        cdc_store_failf(w, CDC_E_BAD_TASK_ID);
        return;
    }

    (void) snprintf(w->data, sizeof(w->data), "{\"task_id\":\"%s\"}", id);

    if (cdc_create_known(s, w, id, request, source)) {
        return;
    }

    if (s->stopping) {

        /* no time for a probe: the worker finds the end of the connection
         * and asks the next store */

        cdc_store_wait_free(w);
        return;
    }

    if (cdc_create_full(s, w)) {
        cdc_store_failf(w, CDC_E_STORE_GONE);
        return;
    }

    t = cdc_stored_create(id, source, request, text);

    if (t == NULL) {
        cdc_store_fail(w, CDC_E_BAD_URI, text);
        return;
    }

    err = cdc_create_check_all(s, t, text);

    if (err != CDC_E_OK) {
        cdc_stored_free(t);
        cdc_store_fail(w, err, text);
        return;
    }

    cdc_create_add(s, w, t, NULL, 0, 0);
}
