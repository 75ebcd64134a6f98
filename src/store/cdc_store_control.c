/*
 * What the store and the supervisor say to each other (cdc_frame.h).
 *
 * The supervisor acts on TASK frames in the order in which they come, and
 * acknowledges each once the zone shows it.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_store.h"


void
cdc_store_send_task(cdc_store_t *s, cdc_stored_t *t)
{
    size_t              need;
    cdc_task_record_t  *record;

    record = malloc(sizeof(cdc_task_record_t));

    if (record == NULL) {
        cdc_log(CDC_LOG_ALERT, errno, "no memory for a record");
        return;
    }

    /* a task was measured when it was created: an error is no memory, and
     * an empty document is shown then */

    if (cdc_stored_record(t, record, &need) != CDC_OK) {
        cdc_log(CDC_LOG_ALERT, 0, "task %s has no document", t->id);
    }

    t->seq = ++s->seq;

    (void) cdc_conn_send(s->control, CDC_FRAME_TASK, 0, t->seq, record,
                         sizeof(cdc_task_record_t));
    free(record);
}


uint64_t
cdc_store_send_gone(cdc_store_t *s, const char *id)
{
    s->seq++;

    (void) cdc_conn_send(s->control, CDC_FRAME_GONE, 0, s->seq, id,
                         strlen(id));

    return s->seq;
}


static void
cdc_store_ask(cdc_store_t *s, const cdc_frame_t *f, const char *id)
{
    char          *text, *buf;
    size_t         len, idlen;
    cdc_stored_t  *t;

    t = cdc_store_find(s, id);

    if (t == NULL || t->request == NULL) {
        cdc_log(CDC_LOG_NOTICE, 0, "a replicator of task %s asks, which is "
                "not there any more", id);
        return;
    }

    text = cdc_stored_config(t);

    if (text == NULL) {
        cdc_log(CDC_LOG_ALERT, 0, "no memory for the task's configuration");
        return;
    }

    idlen = strlen(id) + 1;
    len = strlen(text);
    buf = malloc(idlen + len);

    if (buf != NULL) {
        memcpy(buf, id, idlen);
        memcpy(buf + idlen, text, len);

        (void) cdc_conn_send(s->control, CDC_FRAME_CONFIG, 0, f->id, buf,
                             idlen + len);

        explicit_bzero(buf, idlen + len);
        free(buf);
    }

    explicit_bzero(text, len);
    free(text);
}


/*
 * The task shows as Paused even when that cannot be written now: its
 * replicator has given up.  The disk gets it as soon as it takes it again.
 */

static void
cdc_store_failed(cdc_store_t *s, const char *id, const char *reason)
{
    char           err[CDC_REASON_MAX];
    cdc_stored_t  *t;

    t = cdc_store_find(s, id);

    if (t == NULL || t->state == CDC_TASK_PAUSED) {
        return;
    }

    cdc_stored_set(t, CDC_TASK_PAUSED, reason);

    cdc_log(CDC_LOG_INFO, 0, "task %s is paused: %s", id, t->reason);

    if (cdc_store_write(s, t, err) != CDC_OK) {
        t->dirty = 1;
        cdc_store_dirty(s);
    }

    cdc_store_send_task(s, t);
}


void
cdc_store_control(cdc_conn_t *c, const cdc_frame_t *f, const uint8_t *payload)
{
    char         *text;
    size_t        n;
    cdc_store_t  *s;

    s = c->data;

    if (f->type == CDC_FRAME_ACK) {
        cdc_store_acked(s, f->id);
        return;
    }

    text = strndup((const char *) payload, f->len);

    if (text == NULL) {
        cdc_log(CDC_LOG_ALERT, errno, "no memory for a frame");
        return;
    }

    n = strlen(text);

    switch (f->type) {

    case CDC_FRAME_ASK:
        cdc_store_ask(s, f, text);
        break;

    case CDC_FRAME_STOPPED:
        cdc_store_ended(s, text, f->id);
        cdc_store_gone_stopped(s, text);
        break;

    case CDC_FRAME_FAILED:
        free(text);
        text = calloc(1, (size_t) f->len + 2);

        if (text != NULL) {
            memcpy(text, payload, f->len);
            cdc_store_failed(s, text, n < f->len ? text + n + 1 : "");
        }

        break;

    default:
        cdc_log(CDC_LOG_ALERT, 0, "unexpected frame %u of the supervisor",
                f->type);
        break;
    }

    free(text);
}
