/*
 * Check: the dry run of a create.
 *
 * It goes the way of a create (cdc_store_create.c), with an array for what is
 * found where a create ends with the first refusal, and ends in an answer
 * where a create ends in a record.  So it takes one of the same places in the
 * queue of probes, and nothing of it outlives the answer: no task, no claim
 * of names, no directory.  (A reader of RocksMQ has one for RocksDB's own log
 * while it looks, as in a create.)
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>

#include "cdc_store.h"


#define CDC_DRY_ID       32
#define CDC_DRY_MB       (1024 * 1024)
#define CDC_DRY_DISK     32              /* MB free: too little for a task */
#define CDC_DRY_DISK_LOW 256             /* MB free: little */
#define CDC_DRY_INODES   100


/* ---- what needs nobody's answer --- */

static void
cdc_dry_disk(cdc_store_t *s, json_t *findings)
{
    uint64_t        mb;
    cdc_finding_e   level;
    struct statvfs  st;

    if (statvfs(s->dir, &st) == -1) {
        cdc_finding(findings, "state.disk", CDC_FAULT, "see milvus_cdc_path "
                    "in nginx.conf", "the state directory \"%s\" cannot be "
                    "looked at: %s", s->dir, strerror(errno));
        return;
    }

    mb = (uint64_t) st.f_bavail * st.f_frsize / CDC_DRY_MB;
    level = CDC_FINE;

    if (mb < CDC_DRY_DISK
        || (st.f_files != 0 && st.f_favail < CDC_DRY_INODES))
    {
        level = CDC_FAULT;

    } else if (mb < CDC_DRY_DISK_LOW) {
        level = CDC_WARNING;
    }

    cdc_finding(findings, "state.disk", level, level == CDC_FINE
                ? NULL : "make room there, or set milvus_cdc_path to a larger "
                "disk", "the state directory \"%s\" has %llu MB and %llu files "
                "left", s->dir, (unsigned long long) mb,
                (unsigned long long) st.f_favail);
}


static void
cdc_dry_limit(cdc_store_t *s, json_t *findings)
{
    char  text[CDC_REASON_MAX];

    if (s->ntasks >= (unsigned) s->max_tasks) {
        cdc_store_format(text, CDC_E_TASK_LIMIT, s->max_tasks);
        cdc_finding_refusal(findings, CDC_E_TASK_LIMIT, text);
        return;
    }

    cdc_finding(findings, "tasks.limit", CDC_FINE, NULL,
                "tasks: %u, of at most %d", s->ntasks, s->max_tasks);
}


/* the worker's; 1: what the request says about collections is no good */

static int
cdc_dry_complaints(json_t *findings, const json_t *complaints)
{
    int           err, names;
    size_t        i;
    json_t       *one;
    const char   *text;

    names = 0;

    json_array_foreach(complaints, i, one) {
        if (json_unpack(one, "[i, s]", &err, &text) != 0 || err <= CDC_E_OK
            || err >= CDC_E_MAX)
        {
            continue;
        }

        cdc_finding_refusal(findings, (cdc_error_e) err, text);
        names |= err >= CDC_E_NO_COLLECTION && err <= CDC_E_COLLECTION_NAMES;
    }

    return names;
}


static void
cdc_dry_ignored(json_t *findings, const json_t *ignored)
{
    char         cure[CDC_REASON_MAX];
    size_t       i;
    json_t      *one;
    const char  *path, *known;

    json_array_foreach(ignored, i, one) {
        if (json_unpack(one, "[s, s]", &path, &known) != 0) {
            continue;
        }

        (void) snprintf(cure, sizeof(cure), "see its name; known there are "
                        "%s", known);
        cdc_finding(findings, "request.fields", CDC_WARNING, cure, "the field "
                    "\"%s\" is not known and is ignored", path);
    }
}


static void
cdc_dry_request(cdc_store_t *s, cdc_stored_t *t, json_t *findings)
{
    char          text[CDC_REASON_MAX];
    json_t       *source;
    cdc_error_e   err;

    source = json_object_get(s->sources, t->source);
    err = CDC_E_OK;

    if (source == NULL) {
        cdc_store_format(text, CDC_E_UNKNOWN_SOURCE, t->source);
        cdc_finding_refusal(findings, CDC_E_UNKNOWN_SOURCE, text);

    } else {
        err = cdc_stored_check(t, source, text);
    }

    if (err != CDC_E_OK) {
        cdc_finding_refusal(findings, err, text);
    }
}


/* ---- the end --- */

static void
cdc_dry_others(cdc_store_t *s, cdc_stored_t *t, const cdc_probe_t *p,
    json_t *findings)
{
    char           text[CDC_REASON_MAX];
    cdc_error_e    err;
    cdc_stored_t  *other;

    for (other = s->tasks; other != NULL; other = other->next) {
        err = cdc_create_against(t, other, p, text);

        if (err != CDC_E_OK) {
            cdc_finding_refusal(findings, err, text);
        }
    }

    if (!cdc_finding_has(findings, "tasks.overlap")) {
        cdc_finding(findings, "tasks.overlap", CDC_FINE, NULL,
                    "no other task writes the same");
    }

    err = cdc_create_check_size(t, text);

    if (err != CDC_E_OK) {
        cdc_finding_refusal(findings, err, text);
    }
}


static char *
cdc_dry_answer(json_t *findings)
{
    char    *text;
    json_t  *data;

    data = json_pack("{s:b, s:O}", "ok", cdc_finding_ok(findings, NULL),
                     "findings", findings);
    text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;

    json_decref(data);

    return text;
}


static void
cdc_dry_done(cdc_store_wait_t *w, json_t *findings)
{
    w->more = cdc_dry_answer(findings);

    if (w->more == NULL) {
        cdc_store_failf(w, CDC_E_INTERNAL);
        return;
    }

    cdc_store_done(w);
}


void
cdc_store_dry_end(cdc_store_create_t *c)
{
    char               text[CDC_REASON_MAX];
    cdc_store_wait_t  *w;

    c->task->addrs = c->probe->addrs;

    if (!c->nameless && cdc_stored_selection(c->task, text) != NULL) {
        cdc_dry_others(c->store, c->task, c->probe, c->findings);
    }

    cdc_log(CDC_LOG_INFO, 0, "a check of target %s: %s", c->task->target,
            cdc_finding_ok(c->findings, NULL) ? "it is well"
                                              : "it would not do");

    while ((w = c->waits) != NULL) {
        c->waits = w->next;
        cdc_dry_done(w, c->findings);
    }

    cdc_create_free(c);
}


/* ---- the request --- */

static int
cdc_dry_id(char id[CDC_DRY_ID + 1])
{
    size_t   i;
    uint8_t  random[CDC_DRY_ID / 2];

    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        cdc_log(CDC_LOG_ALERT, errno, "getrandom() failed");
        return CDC_ERROR;
    }

    for (i = 0; i < sizeof(random); i++) {
        (void) snprintf(id + 2 * i, 3, "%02x", random[i]);
    }

    return CDC_OK;
}


static void
cdc_dry_known(cdc_store_t *s, json_t *request, const char *source,
    json_t *findings)
{
    char           text[CDC_REASON_MAX];
    const char    *id, *field;
    cdc_stored_t  *t;

    id = json_string_value(json_object_get(request, "task_id"));
    t = id != NULL ? cdc_store_find(s, id) : NULL;

    if (t == NULL) {
        return;
    }

    field = cdc_stored_differs(t, request, source);

    if (field != NULL) {
        cdc_store_format(text, CDC_E_TASK_EXISTS, id, field);
        cdc_finding_refusal(findings, CDC_E_TASK_EXISTS, text);
        return;
    }

    cdc_finding(findings, "tasks.id", CDC_WARNING, "leave \"task_id\" "
                "out, or take another", "there is this task \"%s\" already: "
                "a create would answer it, and change nothing", id);
}


/* what can be looked at without an address of the target */

static void
cdc_dry_no_look(cdc_store_t *s, cdc_store_wait_t *w, json_t *findings,
    const char *cure, const char *why)
{
    cdc_dry_limit(s, findings);
    cdc_dry_disk(s, findings);

    cdc_finding(findings, "target.reachable", CDC_WARNING, cure, "neither "
                "target nor source was looked at, because %s", why);

    cdc_dry_done(w, findings);
}


void
cdc_store_dry(cdc_store_t *s, cdc_store_wait_t *w, json_t *request,
    const char *source, const json_t *complaints, const json_t *ignored)
{
    int            names, blind;
    char           id[CDC_DRY_ID + 1], text[CDC_REASON_MAX];
    json_t        *findings;
    cdc_error_e    err;
    cdc_stored_t  *t;

    if (s->stopping) {
        cdc_store_wait_free(w);          /* as with a create */
        return;
    }

    if (cdc_create_full(s, w) || cdc_dry_id(id) != CDC_OK) {
        cdc_store_failf(w, CDC_E_STORE_GONE);
        return;
    }

    findings = json_array();
    names = cdc_dry_complaints(findings, complaints);
    cdc_dry_ignored(findings, ignored);
    cdc_dry_known(s, request, source, findings);

    t = cdc_stored_create(id, source, request, text);

    if (t == NULL) {
        if (!cdc_finding_has(findings, "request.target")) {
            cdc_finding_refusal(findings, CDC_E_BAD_URI, text);
        }

        cdc_dry_no_look(s, w, findings, "check again with a valid address",
                        "the request does not say where the target is");
        json_decref(findings);
        return;
    }

    blind = !cdc_probe_allowed(s->allow, t->address);

    if (blind) {
        cdc_store_format(text, CDC_E_TARGET_NOT_ALLOWED, t->address);
        cdc_finding_refusal(findings, CDC_E_TARGET_NOT_ALLOWED, text);
    }

    err = cdc_create_check_size(t, text);

    if (err != CDC_E_OK) {
        cdc_finding_refusal(findings, err, text);

        /* nor is it kept for the time of a look: many may come at once */

        cdc_dry_no_look(s, w, findings, "check again with fewer names",
                        "the task is too large");
        cdc_stored_free(t);
        json_decref(findings);
        return;
    }

    if (!names) {
        cdc_dry_request(s, t, findings);
    }

    if (cdc_finding_ok(findings, NULL)) {
        cdc_finding(findings, "request", CDC_FINE, NULL,
                    "the request is in order");
    }

    cdc_dry_limit(s, findings);
    cdc_dry_disk(s, findings);

    cdc_create_add(s, w, t, findings, blind, names);
    json_decref(findings);
}
