/*
 * Answers that wait for the end of a task's replicator.
 *
 * Paused means that nothing is in flight: the supervisor says STOPPED once
 * the process is gone.  It names the revision that it acted upon, so that one
 * left over from a former pause does not count for the next.  Only from then
 * on may the store itself open the task's LevelDB.
 *
 * Nothing of this is durable.  A store that ends takes no answer back: the
 * worker asks the next one, which hears STOPPED again for each paused task.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <string.h>

#include "cdc_store.h"


void
cdc_store_wait_end(cdc_store_t *s, cdc_store_wait_t *w, cdc_stored_t *t,
    void (*then)(cdc_store_t *s, cdc_store_wait_t *w))
{
    if (t->state != CDC_TASK_PAUSED || t->ended >= t->revision) {
        then(s, w);
        return;
    }

    w->then = then;
    w->revision = t->revision;
    (void) snprintf(w->task, sizeof(w->task), "%s", t->id);

    w->next = s->ends;
    s->ends = w;

    /* it takes longer than a request may that is only about the store */

    (void) cdc_conn_send(&w->client->conn, CDC_FRAME_ACK, CDC_E_OK, w->id,
                         NULL, 0);
}


void
cdc_store_ended(cdc_store_t *s, const char *id, uint64_t revision)
{
    cdc_stored_t      *t;
    cdc_store_wait_t  *w, **link;

    t = cdc_store_find(s, id);

    if (t != NULL && revision != UINT64_MAX) {
        t->ended = revision;
    }

    for (link = &s->ends; (w = *link) != NULL; /* void */ ) {

        if (w->revision > revision || strcmp(w->task, id) != 0) {
            link = &w->next;
            continue;
        }

        *link = w->next;
        w->then(s, w);

        link = &s->ends;                 /* it may have changed the list */
    }
}


void
cdc_store_ends_forget(cdc_store_t *s, cdc_store_client_t *client)
{
    cdc_store_wait_t  *w, **link;

    for (link = &s->ends; (w = *link) != NULL; /* void */ ) {

        if (w->client == client) {
            *link = w->next;
            cdc_store_wait_free(w);

        } else {
            link = &w->next;
        }
    }
}
