/*
 * A thin cover over LevelDB's C API.
 *
 * Every write is synced: what cdc_db_write() has accepted survives a power
 * cut.  Checksums are verified on opening and on each read, so a damaged
 * file is an error with a name and never an empty answer.  File modes come
 * from the process's umask (077).
 *
 * After a failed write LevelDB's log may end in half a record, and LevelDB
 * would go on writing behind it: records that the next opening then finds
 * damaged.  So a failed write makes the next one close and open the database
 * first, which starts a new log; until that works (a full disk, say) every
 * write fails, and nothing that was accepted before is at risk.
 *
 * A database whose CURRENT is gone is refused: LevelDB would begin a new one
 * in its place, with what its log happens to hold, and remove the rest.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <leveldb/c.h>

#include "cdc_runtime.h"


/*
 * A key that is written twice is in the buffer twice, so it fills up in
 * minutes with the same few keys, and stays that large.
 */

#define CDC_DB_BUFFER  (256 * 1024)


struct cdc_db_s {
    leveldb_t               *db;
    leveldb_options_t       *options;
    leveldb_readoptions_t   *read;
    leveldb_writeoptions_t  *write;
    pthread_rwlock_t         lock;       /* written to while reopening */
    unsigned                 broken:1;
    char                     path[PATH_MAX];
};


struct cdc_db_batch_s {
    leveldb_writebatch_t    *batch;
};


/* logs, and hands the text to the caller who wants to show it */

static void __attribute__((format(printf, 2, 3)))
cdc_db_fail(char *err, const char *fmt, ...)
{
    char     text[CDC_REASON_MAX];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    cdc_log(CDC_LOG_CRIT, 0, "%s", text);

    if (err != NULL) {
        memcpy(err, text, sizeof(text));
    }
}


/* LevelDB gives text only: tell apart what an administrator acts upon */

static const char *
cdc_db_cure(const char *status)
{
    if (strncmp(status, "Corruption", 10) == 0) {
        return "is corrupt; restore the directory from a backup";
    }

    if (strstr(status, "lock") != NULL && strstr(status, "LOCK") != NULL
        && strstr(status, "ermission") == NULL)
    {
        return "is open in another process";
    }

    if (strstr(status, "ermission denied") != NULL) {
        return "is not accessible; give it to the user that nginx runs as";
    }

    if (strstr(status, "No space left") != NULL) {
        return "has no space left on its disk";
    }

    if (strstr(status, "Read-only file system") != NULL) {
        return "is on a disk that has become read-only";
    }

    return "failed";
}


static void
cdc_db_status(const char *path, char *err, char *status)
{
    cdc_db_fail(err, "LevelDB \"%s\" %s: %s", path, cdc_db_cure(status),
                status);
    leveldb_free(status);
}


static int
cdc_db_mkdir(const char *path, char *err)
{
    if (mkdir(path, 0700) == -1 && errno != EEXIST) {
        cdc_db_fail(err, "the directory \"%.512s\" cannot be made: %s", path,
                    strerror(errno));
        return CDC_ERROR;
    }

    return CDC_OK;
}


/* and the one above it */

static int
cdc_db_mkdirs(const char *path, char *err)
{
    char  *slash, parent[PATH_MAX];

    (void) snprintf(parent, sizeof(parent), "%s", path);

    slash = strrchr(parent, '/');

    if (slash != NULL && slash != parent) {
        *slash = '\0';

        if (cdc_db_mkdir(parent, err) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    return cdc_db_mkdir(path, err);
}


static int
cdc_db_start(cdc_db_t *db, char *err)
{
    char  *status;

    status = NULL;
    db->db = leveldb_open(db->options, db->path, &status);

    if (status != NULL) {
        cdc_db_status(db->path, err, status);
        db->db = NULL;
        return CDC_ERROR;
    }

    return CDC_OK;
}


/*
 * Files of a database, and none that says which of them count?  The first
 * manifest alone is what a kill leaves while LevelDB makes a new database:
 * it has CURRENT before it has a log.
 */

static int
cdc_db_headless(const char *path)
{
    int             found;
    DIR            *dir;
    char            current[PATH_MAX];
    const char     *dot;
    struct dirent  *de;

    (void) snprintf(current, sizeof(current), "%.*s/CURRENT",
                    (int) sizeof(current) - 16, path);

    if (access(current, F_OK) == 0) {
        return 0;
    }

    dir = opendir(path);

    if (dir == NULL) {
        return 0;
    }

    found = 0;

    while (!found && (de = readdir(dir)) != NULL) {
        dot = strrchr(de->d_name, '.');

        found = (strncmp(de->d_name, "MANIFEST-", 9) == 0
                 && strcmp(de->d_name, "MANIFEST-000001") != 0)
                || (dot != NULL && (strcmp(dot, ".log") == 0
                                    || strcmp(dot, ".ldb") == 0
                                    || strcmp(dot, ".sst") == 0));
    }

    (void) closedir(dir);

    return found;
}


int
cdc_db_passing(const char *err)
{
    return strstr(err, "No space left") != NULL
           || strstr(err, "Read-only file system") != NULL
           || strstr(err, "quota exceeded") != NULL
           || strstr(err, "File too large") != NULL
           || strstr(err, "Too many open files") != NULL;
}


cdc_db_t *
cdc_db_open(const char *path, char *err)
{
    cdc_db_t  *db;

    if (strlen(path) >= PATH_MAX) {
        cdc_db_fail(err, "the path of a LevelDB is too long");
        return NULL;
    }

    if (cdc_db_mkdirs(path, err) != CDC_OK) {
        return NULL;
    }

    if (cdc_db_headless(path)) {
        cdc_db_fail(err, "LevelDB \"%s\" is corrupt; restore the directory "
                    "from a backup: its file CURRENT is missing", path);
        return NULL;
    }

    db = calloc(1, sizeof(cdc_db_t));
    if (db == NULL) {
        cdc_db_fail(err, "no memory for a LevelDB");
        return NULL;
    }

    (void) snprintf(db->path, sizeof(db->path), "%s", path);

    (void) pthread_rwlock_init(&db->lock, NULL);

    db->options = leveldb_options_create();
    db->read = leveldb_readoptions_create();
    db->write = leveldb_writeoptions_create();

    leveldb_options_set_create_if_missing(db->options, 1);
    leveldb_options_set_paranoid_checks(db->options, 1);
    leveldb_options_set_write_buffer_size(db->options, CDC_DB_BUFFER);
    leveldb_options_set_max_open_files(db->options, 64);
    leveldb_readoptions_set_verify_checksums(db->read, 1);
    leveldb_writeoptions_set_sync(db->write, 1);

    if (cdc_db_start(db, err) != CDC_OK) {
        cdc_db_close(db);
        return NULL;
    }

    return db;
}


void
cdc_db_close(cdc_db_t *db)
{
    if (db == NULL) {
        return;
    }

    if (db->db != NULL) {
        leveldb_close(db->db);
    }

    leveldb_writeoptions_destroy(db->write);
    leveldb_readoptions_destroy(db->read);
    leveldb_options_destroy(db->options);

    (void) pthread_rwlock_destroy(&db->lock);

    free(db);
}


int
cdc_db_get(cdc_db_t *db, cdc_span_t key, uint8_t **value, size_t *len)
{
    char     *status, *data;
    uint8_t  *copy;

    (void) pthread_rwlock_rdlock(&db->lock);

    if (db->db == NULL) {
        (void) pthread_rwlock_unlock(&db->lock);
        return CDC_ERROR;
    }

    status = NULL;
    data = leveldb_get(db->db, db->read, (const char *) key.data, key.len,
                       len, &status);

    (void) pthread_rwlock_unlock(&db->lock);

    if (status != NULL) {
        cdc_db_status(db->path, NULL, status);
        return CDC_ERROR;
    }

    if (data == NULL) {
        return CDC_DECLINED;
    }

    copy = malloc(*len + 1);

    if (copy == NULL) {
        cdc_log(CDC_LOG_ALERT, errno, "malloc(%zu) failed", *len + 1);
        leveldb_free(data);
        return CDC_ERROR;
    }

    memcpy(copy, data, *len);
    copy[*len] = '\0';
    leveldb_free(data);

    *value = copy;

    return CDC_OK;
}


int
cdc_db_each(cdc_db_t *db, cdc_span_t prefix,
    int (*fn)(void *arg, cdc_span_t key, cdc_span_t value), void *arg)
{
    int                  rc;
    char                *status;
    cdc_span_t           key, value;
    leveldb_iterator_t  *it;

    (void) pthread_rwlock_rdlock(&db->lock);

    if (db->db == NULL) {
        (void) pthread_rwlock_unlock(&db->lock);
        return CDC_ERROR;
    }

    rc = CDC_OK;
    it = leveldb_create_iterator(db->db, db->read);

    for (leveldb_iter_seek(it, (const char *) prefix.data, prefix.len);
         leveldb_iter_valid(it);
         leveldb_iter_next(it))
    {
        key.data = (const uint8_t *) leveldb_iter_key(it, &key.len);

        if (key.len < prefix.len
            || (prefix.len != 0
                && memcmp(key.data, prefix.data, prefix.len) != 0))
        {
            break;
        }

        value.data = (const uint8_t *) leveldb_iter_value(it, &value.len);

        rc = fn(arg, key, value);

        if (rc != CDC_OK) {
            break;
        }
    }

    status = NULL;
    leveldb_iter_get_error(it, &status);
    leveldb_iter_destroy(it);

    (void) pthread_rwlock_unlock(&db->lock);

    if (status != NULL) {
        cdc_db_status(db->path, NULL, status);
        return CDC_ERROR;
    }

    return rc;
}


cdc_db_batch_t *
cdc_db_batch_create(void)
{
    cdc_db_batch_t  *b;

    b = malloc(sizeof(cdc_db_batch_t));

    if (b != NULL) {
        b->batch = leveldb_writebatch_create();
    }

    return b;
}


void
cdc_db_batch_put(cdc_db_batch_t *b, cdc_span_t key, cdc_span_t value)
{
    leveldb_writebatch_put(b->batch, (const char *) key.data, key.len,
                           (const char *) value.data, value.len);
}


void
cdc_db_batch_delete(cdc_db_batch_t *b, cdc_span_t key)
{
    leveldb_writebatch_delete(b->batch, (const char *) key.data, key.len);
}


void
cdc_db_batch_destroy(cdc_db_batch_t *b)
{
    if (b != NULL) {
        leveldb_writebatch_destroy(b->batch);
        free(b);
    }
}


static int
cdc_db_reopen(cdc_db_t *db, char *err)
{
    int  rc;

    (void) pthread_rwlock_wrlock(&db->lock);

    if (db->db != NULL) {
        leveldb_close(db->db);
        db->db = NULL;
    }

    rc = cdc_db_start(db, err);

    if (rc == CDC_OK) {
        db->broken = 0;
        cdc_log(CDC_LOG_NOTICE, 0, "LevelDB \"%s\" is open again", db->path);
    }

    (void) pthread_rwlock_unlock(&db->lock);

    return rc;
}


int
cdc_db_write(cdc_db_t *db, cdc_db_batch_t *b, char *err)
{
    char  *status;

    if (db->broken && cdc_db_reopen(db, err) != CDC_OK) {
        return CDC_ERROR;
    }

    status = NULL;
    leveldb_write(db->db, db->write, b->batch, &status);

    if (status != NULL) {
        db->broken = 1;
        cdc_db_status(db->path, err, status);
        return CDC_ERROR;
    }

    return CDC_OK;
}


/* what is left of a directory; links are removed and never followed */

static int
cdc_db_rmdir(int at, const char *name)
{
    int             fd, rc;
    DIR            *dir;
    struct dirent  *de;

    fd = openat(at, name, O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);

    if (fd == -1) {
        return errno == ENOENT ? CDC_OK : CDC_ERROR;
    }

    dir = fdopendir(fd);

    if (dir == NULL) {
        (void) close(fd);
        return CDC_ERROR;
    }

    rc = CDC_OK;

    while (rc == CDC_OK && (de = readdir(dir)) != NULL) {

        if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0) {
            continue;
        }

        if (unlinkat(fd, de->d_name, 0) == 0) {
            continue;
        }

        rc = errno == EISDIR || errno == EPERM ? cdc_db_rmdir(fd, de->d_name)
                                               : CDC_ERROR;
    }

    (void) closedir(dir);

    if (rc == CDC_OK && unlinkat(at, name, AT_REMOVEDIR) == -1
        && errno != ENOENT)
    {
        rc = CDC_ERROR;
    }

    return rc;
}


int
cdc_db_remove(const char *path, char *err)
{
    char               *status;
    struct stat         st;
    leveldb_options_t  *options;

    if (lstat(path, &st) == -1 && errno == ENOENT) {
        return CDC_OK;
    }

    /* takes LevelDB's own lock first: an open database is refused */

    status = NULL;
    options = leveldb_options_create();
    leveldb_destroy_db(options, path, &status);
    leveldb_options_destroy(options);

    if (status != NULL) {
        cdc_db_status(path, err, status);
        return CDC_ERROR;
    }

    if (cdc_db_rmdir(AT_FDCWD, path) != CDC_OK) {
        cdc_db_fail(err, "\"%.512s\" cannot be removed: %s", path,
                    strerror(errno));
        return CDC_ERROR;
    }

    return CDC_OK;
}
