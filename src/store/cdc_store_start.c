/*
 * Tasks with disable_auto_start: after nginx has been started they are
 * Paused, whatever they were before.
 *
 * The store is started for other reasons as well: a reload, its own end, that
 * of the supervisor.  INIT's "start" tells them apart: it names the master
 * process, which lives as long as nginx runs.  LevelDB keeps the names of
 * the present run under "start".  A binary upgrade goes on with a run under
 * another name ("upgraded"), and may be taken back: both names count.
 *
 * The pauses and the name are one batch: a crash before it leaves the tasks
 * to the next start of the store, which finds the same.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_store.h"


#define CDC_STORE_STARTS_MAX  1024       /* bytes; upgrades of one run */


/* is id one of the words of known? */

static int
cdc_store_start_known(const char *known, const char *id)
{
    size_t       len;
    const char  *p;

    len = strlen(id);

    for (p = strstr(known, id); p != NULL; p = strstr(p + 1, id)) {
        if ((p == known || p[-1] == ' ')
            && (p[len] == '\0' || p[len] == ' '))
        {
            return 1;
        }
    }

    return 0;
}


static void
cdc_store_start_pause(cdc_store_t *s, cdc_db_batch_t *b)
{
    cdc_stored_t  *t;

    for (t = s->tasks; t != NULL; t = t->next) {

        if (t->state == CDC_TASK_PAUSED
            || !json_is_true(json_object_get(t->request,
                                             "disable_auto_start")))
        {
            continue;
        }

        cdc_stored_set(t, CDC_TASK_PAUSED, CDC_REASON_NO_START);

        if (cdc_store_put(t, b) != CDC_OK) {
            t->dirty = 1;
            cdc_store_dirty(s);
        }

        cdc_log(CDC_LOG_INFO, 0, "task %s is paused: %s", t->id, t->reason);
    }
}


void
cdc_store_auto_start(cdc_store_t *s)
{
    int              upgraded;
    char            *names;
    size_t           len;
    uint8_t         *known;
    const char      *id, *before;
    cdc_db_batch_t  *b;

    id = json_string_value(json_object_get(s->init, "start"));
    upgraded = json_is_true(json_object_get(s->init, "upgraded"));

    if (id == NULL || *id == '\0') {
        return;
    }

    if (cdc_db_get(s->db, cdc_span("start"), &known, &len) != CDC_OK) {
        known = NULL;
    }

    if (known != NULL && cdc_store_start_known((char *) known, id)) {
        free(known);
        return;
    }

    before = upgraded && known != NULL && len < CDC_STORE_STARTS_MAX
             ? (char *) known : "";

    b = cdc_db_batch_create();
    names = NULL;

    if (b != NULL
        && asprintf(&names, "%s%s%s", before, *before != '\0' ? " " : "", id)
           != -1)
    {
        if (!upgraded) {
            cdc_store_start_pause(s, b);
        }

        cdc_db_batch_put(b, cdc_span("start"),
                         cdc_span_n(names, strlen(names)));

        /* LevelDB has said why when not; the next start tries again */

        (void) cdc_db_write(s->db, b, NULL);
        free(names);
    }

    cdc_db_batch_destroy(b);
    free(known);
}
