/*
 * Requests about parked messages (cdc_parked.h).
 *
 *   parked         what is parked
 *   parked_retry   one is to be tried again when the task runs
 *   parked_drop    one is to be passed, or forgotten
 *
 * A running task's LevelDB belongs to its replicator, which leaves parked.json
 * beside it to be shown.  The other two want the task paused; they wait for
 * the end of its replicator and then work on LevelDB itself, synced before
 * the answer.  A crash in between has done it or not.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc_parked.h"
#include "cdc_store.h"


static const char *
cdc_store_parked_dir(cdc_store_t *s, const char *id, char path[PATH_MAX])
{
    (void) snprintf(path, PATH_MAX, "%s/tasks/%s", s->dir, id);

    return path;
}


static int
cdc_store_parked_one(void *arg, cdc_span_t key, cdc_span_t value)
{
    json_t        *json, *list = arg;
    cdc_parked_t   p;

    json = json_loadb((const char *) value.data, value.len, 0, NULL);

    if (json != NULL && cdc_parked_parse(&p, json) == CDC_OK) {
        (void) json_array_append_new(list, cdc_parked_show(&p));
    }

    json_decref(json);

    return CDC_OK;
}


/* NULL: the request has been answered */

static cdc_stored_t *
cdc_store_parked_task(cdc_store_t *s, cdc_store_wait_t *w)
{
    cdc_stored_t  *t;

    t = cdc_store_find(s, w->task);

    if (t == NULL) {
        cdc_store_failf(w, CDC_E_NOT_FOUND, w->task);
    }

    return t;
}


/* NULL: err says why.  A task that has never run has no LevelDB */

static json_t *
cdc_store_parked_list(cdc_db_t *db, char *err)
{
    json_t  *list;

    list = json_array();

    if (list != NULL && db != NULL
        && cdc_db_each(db, cdc_span(CDC_PARKED_KEY), cdc_store_parked_one,
                       list) == CDC_ERROR)
    {
        (void) snprintf(err, CDC_REASON_MAX, "the task's LevelDB cannot be "
                        "read");
        json_decref(list);
        return NULL;
    }

    return list;
}


/* CDC_DECLINED: there is none */

static int
cdc_store_parked_open(cdc_store_t *s, const char *id, cdc_db_t **db,
    char *err)
{
    char  dir[PATH_MAX], current[PATH_MAX + 16];

    (void) snprintf(current, sizeof(current), "%s/CURRENT",
                    cdc_store_parked_dir(s, id, dir));

    *db = NULL;

    if (access(current, F_OK) == -1 && errno == ENOENT) {
        return CDC_DECLINED;
    }

    *db = cdc_db_open(dir, err);

    return *db != NULL ? CDC_OK : CDC_ERROR;
}


/* the oldest come first; an answer that would not fit ends with what does */

static void
cdc_store_parked_answer(cdc_store_wait_t *w, json_t *list)
{
    char    *text;
    size_t   n;

    for ( ;; ) {
        text = json_dumps(list, JSON_COMPACT);
        n = json_array_size(list);

        if (text == NULL || n == 0 || strlen(text) < CDC_STORE_RECORD_MAX) {
            break;
        }

        free(text);

        for (n = n - n / 8 - 1; json_array_size(list) > n; /* void */ ) {
            (void) json_array_remove(list, json_array_size(list) - 1);
        }
    }

    if (text == NULL || asprintf(&w->more, "{\"parked\":%s}", text) == -1) {
        w->more = NULL;
        cdc_store_failf(w, CDC_E_INTERNAL);

    } else {
        cdc_store_done(w);
    }

    free(text);
    json_decref(list);
}


static void
cdc_store_parked_shown(cdc_store_t *s, cdc_store_wait_t *w, const char *id)
{
    char     dir[PATH_MAX], path[PATH_MAX + 16];
    json_t  *list;

    (void) snprintf(path, sizeof(path), "%s/" CDC_PARKED_FILE,
                    cdc_store_parked_dir(s, id, dir));

    list = json_load_file(path, 0, NULL);

    if (!json_is_array(list)) {
        json_decref(list);
        list = json_array();
    }

    cdc_store_parked_answer(w, list);
}


static void
cdc_store_parked_paused(cdc_store_t *s, cdc_store_wait_t *w)
{
    char           err[CDC_REASON_MAX];
    json_t        *list;
    cdc_db_t      *db;
    cdc_stored_t  *t;

    t = cdc_store_parked_task(s, w);

    if (t == NULL) {
        return;
    }

    if (t->state != CDC_TASK_PAUSED) {
        cdc_store_parked_shown(s, w, t->id);
        return;
    }

    list = NULL;

    if (cdc_store_parked_open(s, t->id, &db, err) != CDC_ERROR) {
        list = cdc_store_parked_list(db, err);
        cdc_db_close(db);
    }

    if (list == NULL) {
        cdc_store_failf(w, CDC_E_PARKED_FAILED, err);
        return;
    }

    cdc_store_parked_answer(w, list);
}


/* CDC_DECLINED: no such message */

static int
cdc_store_parked_get(cdc_db_t *db, uint64_t id, cdc_parked_t *p)
{
    int       rc;
    char      key[CDC_PARKED_KEY_MAX];
    size_t    len;
    json_t   *json;
    uint8_t  *value;

    len = cdc_parked_key(key, CDC_PARKED_KEY, id);
    rc = cdc_db_get(db, cdc_span_n(key, len), &value, &len);

    if (rc != CDC_OK) {
        return rc;
    }

    json = json_loadb((const char *) value, len, 0, NULL);
    free(value);

    rc = json != NULL ? cdc_parked_parse(p, json) : CDC_ERROR;
    json_decref(json);

    return rc;
}


/* what becomes of one in each state; CDC_PARKED_STATES: it goes */

static cdc_parked_state_e
cdc_store_parked_next(cdc_parked_state_e state, int drop)
{
    switch (state) {

    case CDC_PARKED_HELD:
    case CDC_PARKED_DROP:

        /* the replicator reads it again, and only then passes it */

        return drop ? CDC_PARKED_DROP : CDC_PARKED_HELD;

    default:
        return drop ? CDC_PARKED_STATES : CDC_PARKED_AGAIN;
    }
}


static int
cdc_store_parked_write(cdc_db_t *db, cdc_parked_t *p, int drop, char *err)
{
    int              rc;
    cdc_db_batch_t  *b;

    b = cdc_db_batch_create();
    rc = b != NULL ? CDC_OK : CDC_ERROR;
    p->state = cdc_store_parked_next(p->state, drop);

    if (rc == CDC_OK && p->state == CDC_PARKED_STATES) {
        cdc_parked_delete(b, p->id);

    } else if (rc == CDC_OK) {
        rc = cdc_parked_write(b, p);
    }

    if (rc == CDC_OK) {
        rc = cdc_db_write(db, b, err);

    } else {
        (void) snprintf(err, CDC_REASON_MAX, "no memory");
    }

    cdc_db_batch_destroy(b);

    return rc;
}


/* until its replicator has started again, parked.json is the store's */

static void
cdc_store_parked_publish(cdc_store_t *s, cdc_db_t *db, const char *id)
{
    char     dir[PATH_MAX], err[CDC_REASON_MAX], *text;
    json_t  *list;

    list = cdc_store_parked_list(db, err);
    text = list != NULL ? json_dumps(list, JSON_COMPACT) : NULL;

    (void) cdc_parked_publish(cdc_store_parked_dir(s, id, dir), text);

    json_decref(list);
    free(text);
}


static void
cdc_store_parked_change(cdc_store_t *s, cdc_store_wait_t *w, int drop)
{
    int            rc;
    char           err[CDC_REASON_MAX];
    uint64_t       id;
    cdc_db_t      *db;
    cdc_parked_t   p;
    cdc_stored_t  *t;

    t = cdc_store_parked_task(s, w);

    if (t == NULL) {
        return;
    }

    if (t->state != CDC_TASK_PAUSED) {
        cdc_store_failf(w, CDC_E_PARKED_RUNNING, w->task);
        return;
    }

    id = w->arg != NULL ? strtoull(w->arg, NULL, 10) : 0;
    rc = cdc_store_parked_open(s, t->id, &db, err);

    if (rc == CDC_OK) {
        (void) snprintf(err, sizeof(err), "its entry cannot be read");
        rc = cdc_store_parked_get(db, id, &p);
    }

    if (rc == CDC_OK) {
        rc = cdc_store_parked_write(db, &p, drop, err);

        if (rc == CDC_OK) {
            cdc_store_parked_publish(s, db, t->id);
        }
    }

    cdc_db_close(db);

    if (rc == CDC_DECLINED) {
        cdc_store_failf(w, CDC_E_PARKED_NOT_FOUND,
                        w->arg != NULL ? w->arg : "");

    } else if (rc != CDC_OK) {
        cdc_store_failf(w, CDC_E_PARKED_FAILED, err);

    } else {
        cdc_log(CDC_LOG_INFO, 0, "the parked message %s of task %s is %s by "
                "request", w->arg, t->id, drop ? "dropped" : "to be tried "
                "again");
        cdc_store_done(w);
    }
}


static void
cdc_store_parked_drop(cdc_store_t *s, cdc_store_wait_t *w)
{
    cdc_store_parked_change(s, w, 1);
}


static void
cdc_store_parked_retry(cdc_store_t *s, cdc_store_wait_t *w)
{
    cdc_store_parked_change(s, w, 0);
}


void
cdc_store_parked(cdc_store_t *s, cdc_store_wait_t *w, const char *type,
    const char *task, const json_t *data)
{
    char           id[24];
    cdc_stored_t  *t;

    (void) snprintf(w->task, sizeof(w->task), "%s", task);
    t = cdc_store_parked_task(s, w);

    if (t == NULL) {
        return;
    }

    (void) snprintf(id, sizeof(id), "%lld", (long long)
                    json_integer_value(json_object_get(data, "id")));
    w->arg = strdup(id);

    if (strcmp(type, "parked") == 0) {
        cdc_store_wait_end(s, w, t, cdc_store_parked_paused);

    } else if (strcmp(type, "parked_drop") == 0) {
        cdc_store_wait_end(s, w, t, cdc_store_parked_drop);

    } else {
        cdc_store_wait_end(s, w, t, cdc_store_parked_retry);
    }
}
