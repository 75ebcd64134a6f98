/*
 * `milvus-cdc-helper store`: keeps the tasks.
 *
 * One process for each nginx (the supervisor's lock sees to that) owns
 * <state>/meta.  Workers send it what changes tasks, the supervisor gets
 * each change before the client gets its answer, and all of LevelDB at the
 * start, followed by SYNCED.
 *
 * LevelDB is the truth and everything else can be thrown away: a crash at
 * any point leaves a task with its former record or with its new one.  A
 * client that got no answer may see either, and may repeat a create.
 *
 * Stop: the socket goes first, so that new requests wait in their workers
 * for the next store; what has been sent to us is still served; answers
 * whose record is durable go out even when the supervisor's ACK does not
 * come any more.  This takes some 20 ms, and 150 ms at most.  Probes that
 * run are left to _exit().
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_store.h"


#define CDC_STORE_STOP_MS    150         /* after the last request, at most */
#define CDC_STORE_QUIET_MS   20          /* without one: no more will come */
#define CDC_STORE_STOP_TICK  5           /* ms */


/* ---- the list of tasks --- */

cdc_stored_t *
cdc_store_find(cdc_store_t *s, const char *id)
{
    cdc_stored_t  *t;

    for (t = s->tasks; t != NULL; t = t->next) {
        if (strcmp(t->id, id) == 0) {
            return t;
        }
    }

    return NULL;
}


void
cdc_store_insert(cdc_store_t *s, cdc_stored_t *t)
{
    cdc_stored_t  **link;

    for (link = &s->tasks; *link != NULL; link = &(*link)->next) {
        if ((*link)->created_ms > t->created_ms) {
            break;
        }
    }

    t->next = *link;
    *link = t;
    s->ntasks++;

    if (t->created_ms > s->last_created_ms) {
        s->last_created_ms = t->created_ms;
    }
}


void
cdc_store_remove(cdc_store_t *s, cdc_stored_t *t)
{
    cdc_stored_t  **link;

    for (link = &s->tasks; *link != NULL; link = &(*link)->next) {
        if (*link == t) {
            *link = t->next;
            s->ntasks--;
            return;
        }
    }
}


/* ---- stop --- */

static void
cdc_store_stop_handler(cdc_timer_t *tm)
{
    uint64_t      now;
    cdc_store_t  *s;

    s = tm->data;
    now = cdc_now_ms();

    if (now < s->stop_at
        && (s->waits != NULL || now - s->last_heard < CDC_STORE_QUIET_MS))
    {
        cdc_timer_add(s->loop, tm, CDC_STORE_STOP_TICK);
        return;
    }

    cdc_store_acked(s, s->seq);
    cdc_loop_stop(s->loop);
}


static void
cdc_store_on_stop(void *data)
{
    cdc_store_t  *s;

    s = data;

    if (s->control->event.fd == -1) {

        /* the supervisor is gone: nobody takes a TASK any more */

        cdc_loop_stop(s->loop);
        return;
    }

    if (s->stopping) {
        return;
    }

    s->stopping = 1;
    s->last_heard = cdc_now_ms();
    s->stop_at = s->last_heard + CDC_STORE_STOP_MS;

    cdc_store_unlisten(s);

    s->stop_timer.handler = cdc_store_stop_handler;
    s->stop_timer.data = s;
    cdc_timer_add(s->loop, &s->stop_timer, CDC_STORE_STOP_TICK);
}


/* ---- start --- */

static int
cdc_store_init(cdc_store_t *s)
{
    json_error_t  je;

    s->init = json_loadb(s->role->init, s->role->init_len, 0, &je);

    if (s->init == NULL) {
        cdc_log(CDC_LOG_ALERT, 0, "INIT is not JSON: %s", je.text);
        return CDC_ERROR;
    }

    s->max_tasks = CDC_MAX_TASKS;
    s->drain_ms = 4000;

    if (json_unpack_ex(s->init, &je, 0, "{s:s, s?i, s?i, s?o, s:o}",
                       "state_dir", &s->dir, "max_tasks", &s->max_tasks,
                       "drain_timeout", &s->drain_ms, "allow_target",
                       &s->allow, "sources", &s->sources)
        != 0)
    {
        cdc_log(CDC_LOG_ALERT, 0, "INIT cannot be read: %s", je.text);
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_store_open(cdc_store_t *s)
{
    char           path[PATH_MAX];
    cdc_stored_t  *t;

    (void) snprintf(path, sizeof(path), "%s/meta", s->dir);

    s->db = cdc_db_open(path, NULL);

    if (s->db == NULL || cdc_store_load(s) != CDC_OK) {
        return CDC_ERROR;
    }

    cdc_store_auto_start(s);

    s->control->handler = cdc_store_control;
    s->control->data = s;

    for (t = s->tasks; t != NULL; t = t->next) {
        cdc_store_send_task(s, t);
    }

    (void) cdc_conn_send(s->control, CDC_FRAME_SYNCED, 0, 0, NULL, 0);

    cdc_store_sweep(s);

    if (cdc_store_listen(s) != CDC_OK) {
        return CDC_ERROR;
    }

    cdc_log(CDC_LOG_INFO, 0, "the store is ready, %u tasks", s->ntasks);

    return CDC_OK;
}


static void
cdc_store_close(cdc_store_t *s)
{
    cdc_stored_t        *t;
    cdc_store_gone_t    *g;
    cdc_store_client_t  *client;

    cdc_store_unlisten(s);

    for (client = s->clients; client != NULL; client = client->next) {
        if (client->conn.out_len != 0) {
            (void) cdc_conn_flush(&client->conn, CDC_STORE_QUIET_MS);
        }
    }

    while (s->clients != NULL) {
        client = s->clients;
        cdc_conn_close(&client->conn);
        client->conn.closed(&client->conn);
    }

    if (s->control->event.fd != -1) {
        (void) cdc_conn_flush(s->control, CDC_STORE_QUIET_MS);
    }

    cdc_db_close(s->db);

    while ((t = s->tasks) != NULL) {
        s->tasks = t->next;
        cdc_stored_free(t);
    }

    while ((g = s->gone) != NULL) {
        s->gone = g->next;
        cdc_timer_del(s->loop, &g->timer);
        free(g);
    }

    cdc_timer_del(s->loop, &s->dirty_timer);
    cdc_timer_del(s->loop, &s->stop_timer);

    /* a probe that still runs reads what its create and INIT hold */

    if (s->creates == NULL) {
        json_decref(s->init);
        free(s);
    }
}


int
cdc_store_main(cdc_role_t *role)
{
    int           status;
    cdc_store_t  *s;

    s = calloc(1, sizeof(cdc_store_t));

    if (s == NULL) {
        return EXIT_FAILURE;
    }

    s->role = role;
    s->loop = role->loop;
    s->control = role->control;
    s->listener.fd = -1;

    status = EXIT_FAILURE;

    if (cdc_store_init(s) == CDC_OK && cdc_store_open(s) == CDC_OK) {
        role->on_stop = cdc_store_on_stop;
        role->data = s;

        if (cdc_loop_run(s->loop) == CDC_OK) {
            status = EXIT_SUCCESS;
        }
    }

    role->on_stop = NULL;
    role->data = NULL;

    cdc_store_close(s);

    return status;
}
