/*
 * What the store keeps: records in LevelDB, and the tasks' directories.
 *
 *   format       "1"
 *   start        the present run of nginx (cdc_store_start.c)
 *   task/<id>    the record (cdc_store_task.c)
 *
 * A newer format ends the store with a message: an older program must not
 * guess.  Each change is one synced batch.
 *
 * <state>/tasks/<id> belongs to the task's replicator.  The rule that keeps
 * a task from meeting the checkpoints of a former one of its name: a record
 * is written only when no directory of that name exists.  So a delete erases
 * the record first, and the directory goes when the supervisor says that the
 * replicator has ended; what a crash leaves in between has no record, and is
 * swept at the next start, when no replicator runs yet.
 *
 * And the rule that keeps a task from beginning again when its checkpoints
 * have been lost: its directory, with the file "new", is made before the
 * record; the replicator removes that file with its first checkpoint, and
 * refuses to begin without both.  By the same token a store that would be a
 * new one beside directories of tasks has been lost: it is not begun, and
 * they are not swept.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc_store.h"


#define CDC_STORE_DIRTY_MS  2000         /* until it is tried again */


static const char  cdc_key_format[] = "format";
static const char  cdc_key_task[] = "task/";


/* ---- records --- */

static size_t
cdc_store_key(char key[CDC_TASK_ID_MAX + 8], const char *id)
{
    return (size_t) snprintf(key, CDC_TASK_ID_MAX + 8, "%s%s", cdc_key_task,
                             id);
}


int
cdc_store_put(const cdc_stored_t *t, cdc_db_batch_t *b)
{
    char    key[CDC_TASK_ID_MAX + 8], *text;
    size_t  len, keylen;

    text = cdc_stored_dump(t);

    if (text == NULL) {
        return CDC_ERROR;
    }

    len = strlen(text);
    keylen = cdc_store_key(key, t->id);

    cdc_db_batch_put(b, cdc_span_n(key, keylen), cdc_span_n(text, len));

    explicit_bzero(text, len);
    free(text);

    return CDC_OK;
}


int
cdc_store_write(cdc_store_t *s, const cdc_stored_t *t, char *err)
{
    int              rc;
    cdc_db_batch_t  *b;

    b = cdc_db_batch_create();

    if (b == NULL || cdc_store_put(t, b) != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "no memory");
        cdc_db_batch_destroy(b);
        return CDC_ERROR;
    }

    CDC_FAULT("store-before-write");
    rc = cdc_db_write(s->db, b, err);
    CDC_FAULT("store-after-write");
    cdc_db_batch_destroy(b);

    return rc;
}


int
cdc_store_erase(cdc_store_t *s, const cdc_stored_t *t, char *err)
{
    int              rc;
    char             key[CDC_TASK_ID_MAX + 8];
    size_t           keylen;
    cdc_db_batch_t  *b;

    b = cdc_db_batch_create();

    if (b == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "no memory");
        return CDC_ERROR;
    }

    keylen = cdc_store_key(key, t->id);

    cdc_db_batch_delete(b, cdc_span_n(key, keylen));
    rc = cdc_db_write(s->db, b, err);
    cdc_db_batch_destroy(b);

    return rc;
}


static void
cdc_store_dirty_handler(cdc_timer_t *tm)
{
    char           err[CDC_REASON_MAX];
    cdc_store_t   *s;
    cdc_stored_t  *t;

    s = tm->data;

    for (t = s->tasks; t != NULL; t = t->next) {

        if (!t->dirty) {
            continue;
        }

        if (cdc_store_write(s, t, err) != CDC_OK) {
            cdc_store_dirty(s);
            return;
        }

        t->dirty = 0;
    }
}


void
cdc_store_dirty(cdc_store_t *s)
{
    s->dirty_timer.handler = cdc_store_dirty_handler;
    s->dirty_timer.data = s;
    cdc_timer_add(s->loop, &s->dirty_timer, CDC_STORE_DIRTY_MS);
}


static int
cdc_store_any(void *arg, cdc_span_t key, cdc_span_t value)
{
    (void) key;
    (void) value;

    *(int *) arg = 1;

    return CDC_DONE;
}


/* checkpoints of tasks, of which no record is left */

static int
cdc_store_lost(cdc_store_t *s)
{
    int             found;
    DIR            *dir;
    char            path[PATH_MAX];
    struct stat     st;
    struct dirent  *de;

    (void) snprintf(path, sizeof(path), "%s/tasks", s->dir);

    dir = opendir(path);

    if (dir == NULL) {
        return 0;
    }

    found = 0;

    while (!found && (de = readdir(dir)) != NULL) {
        found = cdc_stored_id_valid(de->d_name)
                && snprintf(path, sizeof(path), "%s/tasks/%s/CURRENT", s->dir,
                            de->d_name) < (int) sizeof(path)
                && stat(path, &st) == 0;
    }

    (void) closedir(dir);

    if (found) {
        cdc_log(CDC_LOG_EMERG, 0, "the task store \"%s/meta\" is missing, and "
                "\"%s\" holds checkpoints: put meta back from a copy of the "
                "state directory, or move tasks away to begin with no tasks",
                s->dir, path);
    }

    return found;
}


static int
cdc_store_check_format(cdc_store_t *s)
{
    int              rc, any;
    long             format;
    char            *end, text[16];
    size_t           len;
    uint8_t         *value;
    cdc_db_batch_t  *b;

    rc = cdc_db_get(s->db, cdc_span("format"), &value, &len);

    if (rc == CDC_OK) {
        format = strtol((char *) value, &end, 10);
        rc = len != 0 && *end == '\0' ? CDC_OK : CDC_ERROR;
        free(value);

        if (rc == CDC_OK && format == CDC_STORE_FORMAT) {
            return CDC_OK;
        }

        cdc_log(CDC_LOG_EMERG, 0, "the task store \"%s/meta\" has format "
                "%ld and this version reads %d: install the version that "
                "wrote it, or a newer one", s->dir, format, CDC_STORE_FORMAT);
        return CDC_ERROR;
    }

    if (rc != CDC_DECLINED) {
        return CDC_ERROR;
    }

    any = 0;
    rc = cdc_db_each(s->db, cdc_span(""), cdc_store_any, &any);

    if (rc == CDC_ERROR) {
        return CDC_ERROR;
    }

    if (any) {
        cdc_log(CDC_LOG_EMERG, 0, "\"%s/meta\" is not a task store: it has "
                "records and no format", s->dir);
        return CDC_ERROR;
    }

    if (cdc_store_lost(s)) {
        return CDC_ERROR;
    }

    b = cdc_db_batch_create();

    if (b == NULL) {
        return CDC_ERROR;
    }

    len = (size_t) snprintf(text, sizeof(text), "%d", CDC_STORE_FORMAT);

    cdc_db_batch_put(b, cdc_span_n(cdc_key_format, sizeof(cdc_key_format) - 1),
                     cdc_span_n(text, len));
    rc = cdc_db_write(s->db, b, NULL);
    cdc_db_batch_destroy(b);

    return rc;
}


static int
cdc_store_load_one(void *arg, cdc_span_t key, cdc_span_t value)
{
    cdc_store_t   *s;
    cdc_stored_t  *t;

    s = arg;

    key.data += sizeof(cdc_key_task) - 1;
    key.len -= sizeof(cdc_key_task) - 1;

    t = cdc_stored_load(key, value);

    if (t != NULL) {
        cdc_store_insert(s, t);
    }

    return CDC_OK;
}


int
cdc_store_load(cdc_store_t *s)
{
    if (cdc_store_check_format(s) != CDC_OK) {
        return CDC_ERROR;
    }

    return cdc_db_each(s->db, cdc_span_n(cdc_key_task,
                                         sizeof(cdc_key_task) - 1),
                       cdc_store_load_one, s);
}


/* ---- directories --- */

int
cdc_store_rmdir(cdc_store_t *s, const char *id, char *err)
{
    char  path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/tasks/%s", s->dir, id)
        >= (int) sizeof(path))
    {
        (void) snprintf(err, CDC_REASON_MAX, "the path of a task's directory "
                        "is too long");
        return CDC_ERROR;
    }

    return cdc_db_remove(path, err);
}


/* a name in a directory, as durable as a record that follows */

static int
cdc_store_made(const char *path, int dir, char *err)
{
    int   fd, rc;
    char  parent[PATH_MAX];

    fd = dir ? mkdir(path, 0700)
             : open(path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (fd == -1 && errno != EEXIST) {
        (void) snprintf(err, CDC_REASON_MAX, "\"%.512s\" cannot be made: %s",
                        path, strerror(errno));
        cdc_log(CDC_LOG_CRIT, 0, "%s", err);
        return CDC_ERROR;
    }

    if (fd != -1 && !dir) {
        (void) close(fd);
    }

    (void) snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';

    fd = open(parent, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    rc = fd != -1 && fsync(fd) == 0 ? CDC_OK : CDC_ERROR;

    if (rc != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "fsync() of \"%.512s\" failed: "
                        "%s", parent, strerror(errno));
        cdc_log(CDC_LOG_CRIT, 0, "%s", err);
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return rc;
}


int
cdc_store_mkdir(cdc_store_t *s, const char *id, char *err)
{
    int   n;
    char  path[PATH_MAX];

    n = snprintf(path, sizeof(path), "%s/tasks", s->dir);

    if (n + CDC_TASK_ID_MAX + 8 >= (int) sizeof(path)) {
        (void) snprintf(err, CDC_REASON_MAX, "the path of a task's directory "
                        "is too long");
        return CDC_ERROR;
    }

    if (cdc_store_made(path, 1, err) != CDC_OK) {
        return CDC_ERROR;
    }

    n += snprintf(path + n, sizeof(path) - (size_t) n, "/%s", id);

    if (cdc_store_made(path, 1, err) != CDC_OK) {
        return CDC_ERROR;
    }

    (void) snprintf(path + n, sizeof(path) - (size_t) n, "/new");

    return cdc_store_made(path, 0, err);
}


/* only what can be ours: other names are somebody else's */

static void
cdc_store_sweep_dir(cdc_store_t *s, const char *name, unsigned tasks)
{
    DIR            *dir;
    char            path[PATH_MAX];
    struct dirent  *de;

    (void) snprintf(path, sizeof(path), "%s/%s", s->dir, name);

    dir = opendir(path);

    if (dir == NULL) {
        if (errno != ENOENT) {
            cdc_log(CDC_LOG_ERR, errno, "opendir() \"%s\" failed", path);
        }

        return;
    }

    while ((de = readdir(dir)) != NULL) {

        if (!cdc_stored_id_valid(de->d_name)
            || (tasks && cdc_store_find(s, de->d_name) != NULL)
            || snprintf(path, sizeof(path), "%s/%s/%s", s->dir, name,
                        de->d_name)
               >= (int) sizeof(path))
        {
            continue;
        }

        cdc_log(CDC_LOG_NOTICE, 0, "removing what is left of the %s %s",
                tasks ? "deleted task" : "create of task", de->d_name);
        (void) cdc_db_remove(path, NULL);
    }

    (void) closedir(dir);
}


void
cdc_store_sweep(cdc_store_t *s)
{
    cdc_store_sweep_dir(s, "tasks", 1);
    cdc_store_sweep_dir(s, "look", 0);   /* cdc_probe_look.c */
}


cdc_store_gone_t *
cdc_store_gone_find(cdc_store_t *s, const char *id)
{
    cdc_store_gone_t  *g;

    for (g = s->gone; g != NULL; g = g->next) {
        if (strcmp(g->id, id) == 0) {
            return g;
        }
    }

    return NULL;
}


/* STOPPED did not come, so its sender is in trouble; LevelDB's own lock
 * still keeps us from removing what is in use */

static void
cdc_store_gone_timeout(cdc_timer_t *tm)
{
    cdc_store_gone_t  *g;

    g = tm->data;

    cdc_log(CDC_LOG_WARN, 0, "the end of the deleted task %s was not "
            "reported", g->id);
    cdc_store_gone_stopped(g->store, g->id);
}


void
cdc_store_gone_add(cdc_store_t *s, const char *id, uint64_t seq)
{
    cdc_store_gone_t  *g;

    g = calloc(1, sizeof(cdc_store_gone_t));

    if (g == NULL) {
        return;
    }

    (void) snprintf(g->id, sizeof(g->id), "%s", id);
    g->seq = seq;
    g->store = s;
    g->timer.handler = cdc_store_gone_timeout;
    g->timer.data = g;
    g->next = s->gone;
    s->gone = g;

    cdc_timer_add(s->loop, &g->timer, (uint64_t) s->drain_ms + 5000);
}


void
cdc_store_gone_stopped(cdc_store_t *s, const char *id)
{
    char               err[CDC_REASON_MAX];
    cdc_store_gone_t  *g, **link;

    if (cdc_store_find(s, id) != NULL || !cdc_stored_id_valid(id)) {
        return;                          /* paused, or it lives again */
    }

    (void) cdc_store_rmdir(s, id, err);          /* the log says it */

    for (link = &s->gone; (g = *link) != NULL; link = &g->next) {

        if (strcmp(g->id, id) == 0) {
            *link = g->next;
            cdc_timer_del(s->loop, &g->timer);
            free(g);
            break;
        }
    }

    cdc_store_create_next(s);
}
