/*
 * Requests: pause, resume, delete; create and check have files of their own.
 *
 *   Running --pause, FAILED--> Paused --resume--> Running, delete from any
 *
 * A change is made in this order: LevelDB (synced), the supervisor (TASK or
 * GONE), its ACK, the answer.  When LevelDB refuses, nothing has changed
 * and the answer says why.  The answer to pause waits for the end of the
 * replicator as well.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdlib.h>
#include <string.h>

#include "cdc_store.h"


typedef struct {
    cdc_store_t       *store;
    cdc_store_wait_t  *wait;
    json_t            *data;             /* request_data */
    const char        *type;
    const char        *id;               /* its task_id, or "" */
    const char        *source;
    const json_t      *complaints;
    json_t            *ignored;          /* unknown fields */
} cdc_request_t;


static int
cdc_store_change(cdc_request_t *r, cdc_stored_t *t, cdc_task_state_e state,
    const char *reason)
{
    char           err[CDC_REASON_MAX];
    cdc_stored_t   before;

    before = *t;
    cdc_stored_set(t, state, reason);

    if (cdc_store_write(r->store, t, err) != CDC_OK) {
        t->state = before.state;
        t->revision = before.revision;
        memcpy(t->reason, before.reason, sizeof(t->reason));

        cdc_store_failf(r->wait, CDC_E_STORE_FAILED, err);
        return CDC_ERROR;
    }

    t->dirty = 0;

    cdc_log(CDC_LOG_INFO, 0, "task %s is %s by request", t->id,
            state == CDC_TASK_PAUSED ? "paused" : "resumed");

    cdc_store_send_task(r->store, t);

    return CDC_OK;
}


static void
cdc_store_paused(cdc_store_t *s, cdc_store_wait_t *w)
{
    cdc_store_done(w);
}


/* paused before, and all that was in flight has come to its end, too */

static void
cdc_store_paused_before(cdc_store_t *s, cdc_store_wait_t *w)
{
    cdc_store_failf(w, CDC_E_HAS_PAUSED, w->arg != NULL ? w->arg : "");
}


static void
cdc_store_pause(cdc_request_t *r)
{
    cdc_stored_t  *t;

    t = cdc_store_find(r->store, r->id);

    if (t == NULL) {
        cdc_store_failf(r->wait, CDC_E_NOT_FOUND, r->id);
        return;
    }

    if (t->state == CDC_TASK_PAUSED) {
        r->wait->arg = strdup(r->id);
        cdc_store_wait_end(r->store, r->wait, t, cdc_store_paused_before);
        return;
    }

    if (cdc_store_change(r, t, CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST)
        == CDC_OK)
    {
        cdc_store_wait_end(r->store, r->wait, t, cdc_store_paused);
    }
}


static void
cdc_store_resume(cdc_request_t *r)
{
    cdc_stored_t  *t;

    t = cdc_store_find(r->store, r->id);

    if (t == NULL) {
        cdc_store_failf(r->wait, CDC_E_NOT_FOUND, r->id);
        return;
    }

    if (t->request == NULL) {
        cdc_store_failf(r->wait, CDC_E_START_FAILED, t->reason);
        return;
    }

    if (t->state != CDC_TASK_PAUSED) {
        cdc_store_failf(r->wait, CDC_E_HAS_RUNNING, r->id);
        return;
    }

    if (cdc_store_change(r, t, CDC_TASK_RUNNING, "") == CDC_OK) {
        cdc_store_wait_ack(r->store, r->wait, t->seq);
        cdc_store_ended(r->store, t->id, UINT64_MAX);
    }
}


static void
cdc_store_delete(cdc_request_t *r)
{
    char               err[CDC_REASON_MAX];
    uint64_t           seq;
    cdc_store_t       *s;
    cdc_stored_t      *t;
    cdc_store_gone_t  *g;

    s = r->store;
    t = cdc_store_find(s, r->id);

    if (t == NULL) {

        if (!json_is_true(json_object_get(r->data, "ignore_not_found"))) {
            cdc_store_failf(r->wait, CDC_E_NOT_FOUND, r->id);
            return;
        }

        g = cdc_store_gone_find(s, r->id);
        cdc_store_wait_ack(s, r->wait, g != NULL ? g->seq : 0);
        return;
    }

    if (cdc_store_erase(s, t, err) != CDC_OK) {
        cdc_store_failf(r->wait, CDC_E_STORE_FAILED, err);
        return;
    }

    cdc_log(CDC_LOG_INFO, 0, "task %s is deleted by request", t->id);

    seq = cdc_store_send_gone(s, t->id);
    cdc_store_gone_add(s, t->id, seq);

    cdc_store_remove(s, t);
    cdc_stored_free(t);

    cdc_store_wait_ack(s, r->wait, seq);
    cdc_store_ended(s, r->id, UINT64_MAX);
}


static void
cdc_store_create_request(cdc_request_t *r)
{
    r->wait->ignored = json_incref(r->ignored);
    cdc_store_create(r->store, r->wait, r->data, r->source);
}


static void
cdc_store_check_request(cdc_request_t *r)
{
    cdc_store_dry(r->store, r->wait, r->data, r->source, r->complaints,
                  r->ignored);
}


static void
cdc_store_parked_request(cdc_request_t *r)
{
    cdc_store_parked(r->store, r->wait, r->type, r->id, r->data);
}


static const struct {
    const char  *type;
    void       (*handler)(cdc_request_t *r);
} cdc_store_requests[] = {
    { "create", cdc_store_create_request },
    { "check", cdc_store_check_request },
    { "pause", cdc_store_pause },
    { "resume", cdc_store_resume },
    { "delete", cdc_store_delete },
    { "parked", cdc_store_parked_request },
    { "parked_retry", cdc_store_parked_request },
    { "parked_drop", cdc_store_parked_request },
};


static void
cdc_store_dispatch(cdc_request_t *r, const char *type)
{
    size_t  i, n;

    r->type = type;

    n = sizeof(cdc_store_requests) / sizeof(cdc_store_requests[0]);

    for (i = 0; i < n; i++) {
        if (strcmp(cdc_store_requests[i].type, type) == 0) {
            cdc_store_requests[i].handler(r);
            return;
        }
    }

    cdc_log(CDC_LOG_ALERT, 0, "a worker asked for \"%s\"", type);
    cdc_store_fail(r->wait, CDC_E_REQUEST_TYPE,
                   cdc_error_row(CDC_E_REQUEST_TYPE)->text);
}


void
cdc_store_request(cdc_store_client_t *client, uint64_t id,
    const uint8_t *payload, size_t len)
{
    json_t         *root, *empty;
    const char     *type;
    json_error_t    je;
    cdc_request_t   r;

    memset(&r, 0, sizeof(cdc_request_t));

    r.store = client->store;
    r.source = "";
    r.id = "";
    r.wait = cdc_store_wait(client, id);

    if (r.wait == NULL) {
        return;
    }

    r.wait->bytes = len;

    type = NULL;
    root = json_loadb((const char *) payload, len, 0, &je);

    if (root == NULL
        || json_unpack(root, "{s:s, s?o, s?s, s?o, s?o}", "request_type",
                       &type, "request_data", &r.data, "source", &r.source,
                       "complaints", &r.complaints, "ignored", &r.ignored)
           != 0)
    {
        cdc_log(CDC_LOG_ALERT, 0, "a worker's request cannot be read: %s",
                root == NULL ? je.text : "wrong fields");
        cdc_store_failf(r.wait, CDC_E_BODY_NOT_JSON, "wrong fields");
        json_decref(root);
        return;
    }

    empty = NULL;

    if (!json_is_object(r.data)) {
        r.data = empty = json_object();
    }

    (void) json_unpack(r.data, "{s?s}", "task_id", &r.id);

    cdc_store_dispatch(&r, type);

    json_decref(empty);
    json_decref(root);
}
