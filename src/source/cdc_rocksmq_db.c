/*
 * The source's RocksDB: its tables, opened as a secondary instance, and its
 * write-ahead logs beside them (cdc_rocksmq_wal.c).
 *
 * The secondary is shown an empty directory for its logs: else it keeps a
 * copy of the source's memory, and replays at the start each log that is still
 * there, also those whose messages are long in tables.  So it has a memtable
 * in which there is nothing, and is told to catch up only when the MANIFEST
 * has changed.
 *
 * A state counts only when the MANIFEST is the same before and after it was
 * read: RocksDB deletes a log or a table only after it has said so in there.
 * What is written moves from logs to tables, so the order of looks is: list
 * and open the logs, then the tables, then read the logs, then let go of those
 * that the MANIFEST no longer needs.  Whatever was written before the listing
 * lies in a table of that state or in a log that is open.  A new log is taken
 * in by the next such round.  The same holds when the source starts anew: it
 * writes a new MANIFEST, names it in CURRENT, and deletes after that.
 *
 * Another directory, another file as the MANIFEST of the same name or another
 * IDENTITY is another database: all is opened anew.
 *
 * Nothing is written into the source's directory.  RocksDB wants a directory
 * for its own log; it is emptied at each start and removed at the end.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc_rocksmq_int.h"


#define CDC_ROCKSDB_ERROR_LEVEL  3       /* of its InfoLogLevel */
#define CDC_ROCKSDB_NO_LOGS      "logs"  /* in our directory, empty */


/* what is ours: files of RocksDB's own log, and the empty directory */

static void
cdc_rocksmq_sweep(const char *path)
{
    int             fd;
    DIR            *dir;
    struct dirent  *de;

    fd = open(path, O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    dir = fdopendir(fd);

    if (dir == NULL) {
        (void) close(fd);
        return;
    }

    while ((de = readdir(dir)) != NULL) {
        (void) unlinkat(fd, de->d_name, 0);
    }

    (void) unlinkat(fd, CDC_ROCKSDB_NO_LOGS, AT_REMOVEDIR);

    (void) closedir(dir);
}


/* ---- what went wrong --- */

static void
cdc_rocksmq_denied(const char *dir, char *err)
{
    char           buf[1024];
    const char    *name;
    struct passwd  pw, *found;

    found = NULL;
    (void) getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found);
    name = found != NULL ? pw.pw_name : "the worker user";

    (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.300s\": the user "
                    "\"%.64s\" may not read it; as root: setfacl -R "
                    "-m u:%.64s:rX -m d:u:%.64s:rX \"%.300s\" (and x on the "
                    "directories above it)", dir, name, name, name, dir);
}


void
cdc_rocksmq_db_error(cdc_rocksmq_db_t *db, char *status, char *err)
{
    if (strstr(status, "ermission denied") != NULL) {
        cdc_rocksmq_denied(db->dir, err);

    } else {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.300s\": %.512s",
                        db->dir, status);
    }

    cdc_rocksdb.free(status);
}


static int
cdc_rocksmq_failed(const char *dir, const char *what, int e, char *err)
{
    switch (e) {

    case EACCES:
    case EPERM:
        cdc_rocksmq_denied(dir, err);
        break;

    case ENOENT:
    case ENOTDIR:
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.300s\": no RocksMQ "
                        "is there (yet); it has to be rocksmq.path of the "
                        "source's milvus.yaml, on this host", dir);
        break;

    default:
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.300s\": reading %s "
                        "failed: %s", dir, what, strerror(e));
    }

    return CDC_ERROR;
}


/* ---- is the MANIFEST as it was? --- */

/* the one line of CURRENT or IDENTITY */

static int
cdc_rocksmq_line(const char *dir, const char *file, char *line, size_t size,
    char *err)
{
    int      fd, e;
    char     path[4096];
    ssize_t  n;

    line[0] = '\0';
    (void) snprintf(path, sizeof(path), "%s/%s", dir, file);

    fd = open(path, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return cdc_rocksmq_failed(dir, file, errno, err);
    }

    n = read(fd, line, size - 1);
    e = errno;
    (void) close(fd);

    if (n <= 0) {
        return cdc_rocksmq_failed(dir, file, n == 0 ? ENOENT : e, err);
    }

    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';

    return CDC_OK;
}


static int
cdc_rocksmq_sign(const char *dir, cdc_rocksmq_sign_t *sign, char *err)
{
    char         path[4096];
    struct stat  st;

    memset(sign, 0, sizeof(cdc_rocksmq_sign_t));

    if (stat(dir, &st) == -1) {
        return cdc_rocksmq_failed(dir, "it", errno, err);
    }

    sign->dev = st.st_dev;
    sign->dir = st.st_ino;

    if (cdc_rocksmq_line(dir, "CURRENT", sign->name, sizeof(sign->name), err)
        != CDC_OK)
    {
        return CDC_ERROR;
    }

    (void) snprintf(path, sizeof(path), "%s/%s", dir, sign->name);

    if (stat(path, &st) == 0) {
        sign->manifest = st.st_ino;
        sign->size = st.st_size;

    } else if (errno != ENOENT) {        /* the next CURRENT names another */
        return cdc_rocksmq_failed(dir, "the MANIFEST", errno, err);
    }

    return CDC_OK;
}


static int
cdc_rocksmq_same(const cdc_rocksmq_sign_t *a, const cdc_rocksmq_sign_t *b)
{
    return a->size == b->size && a->manifest == b->manifest
           && a->manifest != 0 && a->dir == b->dir && a->dev == b->dev
           && strcmp(a->name, b->name) == 0;
}


/* RocksDB would follow a MANIFEST of any name into another database */

static int
cdc_rocksmq_foreign(cdc_rocksmq_db_t *db, const cdc_rocksmq_sign_t *now)
{
    char  identity[sizeof(db->identity)], err[CDC_REASON_MAX];

    if (db->sign.dir != now->dir || db->sign.dev != now->dev) {
        return 1;
    }

    if (strcmp(db->sign.name, now->name) == 0) {
        return db->sign.manifest != now->manifest;
    }

    (void) cdc_rocksmq_line(db->dir, "IDENTITY", identity, sizeof(identity),
                            err);

    return strcmp(db->identity, identity) != 0;
}


/* ---- the database --- */

static void
cdc_rocksmq_options(cdc_rocksmq_db_t *db)
{
    char                                  path[4096];
    rocksdb_options_t                    *o;
    rocksdb_lru_cache_options_t          *lru;
    rocksdb_block_based_table_options_t  *table;

    /*
     * In one piece: a block may be a message of some megabytes, and of the
     * shards that are usual, each for half of one, none would keep it.  A
     * look for what is new passes by such blocks each time.
     */

    lru = cdc_rocksdb.lru_cache_options_create();
    cdc_rocksdb.lru_cache_options_set_capacity(lru, CDC_ROCKSMQ_CACHE);
    cdc_rocksdb.lru_cache_options_set_num_shard_bits(lru, 0);
    db->cache = cdc_rocksdb.cache_create_lru_opts(lru);
    cdc_rocksdb.lru_cache_options_destroy(lru);

    table = cdc_rocksdb.block_based_options_create();
    cdc_rocksdb.block_based_options_set_block_cache(table, db->cache);

    o = cdc_rocksdb.options_create();
    (void) snprintf(path, sizeof(path), "%s/" CDC_ROCKSDB_NO_LOGS, db->own);
    cdc_rocksdb.options_set_wal_dir(o, path);
    cdc_rocksdb.options_set_block_based_table_factory(o, table);
    cdc_rocksdb.block_based_options_destroy(table);

    /* a table that has been deleted meanwhile is an error, and looked for
     * again in the next state: no need to keep all of them open */
    cdc_rocksdb.options_set_max_open_files(o, CDC_ROCKSMQ_FILES);
    /* else 16 threads come and go each time, whether there is a new table or
     * not */
    cdc_rocksdb.options_set_max_file_opening_threads(o, 1);
    cdc_rocksdb.options_set_skip_stats_update_on_db_open(o, 1);
    cdc_rocksdb.options_set_stats_dump_period_sec(o, 0);
    cdc_rocksdb.options_set_stats_persist_period_sec(o, 0);
    cdc_rocksdb.options_set_info_log_level(o, CDC_ROCKSDB_ERROR_LEVEL);
    cdc_rocksdb.options_set_keep_log_file_num(o, 1);
    cdc_rocksdb.options_set_max_log_file_size(o, 256 * 1024);

    db->options = o;
}


static int
cdc_rocksmq_own(cdc_rocksmq_db_t *db, char *err)
{
    char  path[4096];

    if (mkdir(db->own, 0700) == -1 && errno != EEXIST) {
        (void) snprintf(err, CDC_REASON_MAX, "mkdir(\"%.512s\") failed: %s",
                        db->own, strerror(errno));
        return CDC_ERROR;
    }

    cdc_rocksmq_sweep(db->own);

    (void) snprintf(path, sizeof(path), "%s/" CDC_ROCKSDB_NO_LOGS, db->own);

    if (mkdir(path, 0700) == -1 && errno != EEXIST) {
        (void) snprintf(err, CDC_REASON_MAX, "mkdir(\"%.512s\") failed: %s",
                        path, strerror(errno));
        return CDC_ERROR;
    }

    if (db->wal.window.data == NULL
        && cdc_rocksmq_wal_init(&db->wal, db->dir) != CDC_OK)
    {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq: no memory");
        return CDC_ERROR;
    }

    return CDC_OK;
}


int
cdc_rocksmq_db_open(cdc_rocksmq_db_t *db, char *err)
{
    char                *status;
    cdc_rocksmq_sign_t   sign;

    if (cdc_rocksmq_sign(db->dir, &sign, err) != CDC_OK
        || cdc_rocksmq_line(db->dir, "IDENTITY", db->identity,
                            sizeof(db->identity), err) != CDC_OK)
    {
        return CDC_ERROR;
    }

    if (cdc_rocksmq_own(db, err) != CDC_OK) {
        return CDC_ERROR;
    }

    if (db->options == NULL) {
        cdc_rocksmq_options(db);
    }

    /* the messages lie in the column family "default"; others may exist and
     * are left alone */

    status = NULL;
    db->db = cdc_rocksdb.open_as_secondary(db->options, db->dir, db->own,
                                           &status);

    if (status != NULL) {
        cdc_rocksmq_db_error(db, status, err);
        db->db = NULL;
        return CDC_ERROR;
    }

    db->sign = sign;
    db->steady = 0;
    db->known = 0;

    return CDC_OK;
}


static void
cdc_rocksmq_db_forget(cdc_rocksmq_db_t *db)
{
    if (db->db != NULL) {
        cdc_rocksdb.close(db->db);
        db->db = NULL;
    }

    cdc_rocksmq_manifest_close(&db->manifest);

    if (db->wal.window.data != NULL) {
        cdc_rocksmq_wal_clear(&db->wal);
    }

    db->steady = 0;
}


void
cdc_rocksmq_db_close(cdc_rocksmq_db_t *db)
{
    cdc_rocksmq_db_forget(db);

    if (db->options != NULL) {
        cdc_rocksdb.options_destroy(db->options);
        cdc_rocksdb.cache_destroy(db->cache);
        db->options = NULL;
    }

    cdc_rocksmq_sweep(db->own);
    (void) rmdir(db->own);
}


/* one try; CDC_AGAIN: the MANIFEST has changed meanwhile */

static int
cdc_rocksmq_catch_up(cdc_rocksmq_db_t *db, char *err)
{
    int                  rc;
    char                *status;
    cdc_rocksmq_sign_t   before, after;

    if (cdc_rocksmq_sign(db->dir, &before, err) != CDC_OK) {
        return CDC_ERROR;
    }

    if (db->known && cdc_rocksmq_same(&before, &db->sign)) {
        return CDC_OK;
    }

    if (cdc_rocksmq_foreign(db, &before)) {
        (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.512s\": it is "
                        "another database now", db->dir);
        return CDC_ERROR;
    }

    db->known = 0;
    db->sign = before;

    if (before.manifest == 0) {
        return CDC_AGAIN;
    }

    status = NULL;
    cdc_rocksdb.try_catch_up_with_primary(db->db, &status);

    if (status != NULL) {
        cdc_rocksmq_db_error(db, status, err);
        return CDC_ERROR;
    }

    rc = cdc_rocksmq_manifest_read(&db->manifest, db->dir, before.name,
                                   &db->wal.window, err);
    if (rc != CDC_OK) {
        return rc;
    }

    if (cdc_rocksmq_sign(db->dir, &after, err) != CDC_OK) {
        return CDC_ERROR;
    }

    if (!cdc_rocksmq_same(&before, &after)) {
        return CDC_AGAIN;
    }

    db->known = 1;
    db->view++;

    return CDC_OK;
}


int
cdc_rocksmq_db_follow(cdc_rocksmq_db_t *db, char *err)
{
    int       n, rc;
    uint64_t  view;

    db->steady = 0;
    view = db->view;

    if (cdc_rocksmq_wal_list(&db->wal, db->manifest.log) != CDC_OK) {
        (void) cdc_rocksmq_failed(db->dir, "its logs", errno, err);
        cdc_rocksmq_db_forget(db);
        return CDC_ERROR;
    }

    rc = CDC_AGAIN;

    for (n = 0; rc == CDC_AGAIN && n < CDC_ROCKSMQ_STEADY; n++) {
        rc = cdc_rocksmq_catch_up(db, err);
    }

    if (rc == CDC_ERROR) {
        cdc_rocksmq_db_forget(db);
    }

    if (rc != CDC_OK) {
        return rc;
    }

    db->steady = 1;

    /* what is in tables need not be read; but when it has been begun, its
     * end shows that nothing is missing between the two */

    if (db->wal.sequence == 0) {
        cdc_rocksmq_wal_drop(&db->wal, db->manifest.log);
    }

    rc = cdc_rocksmq_wal_read(&db->wal, err);
    cdc_rocksmq_wal_drop(&db->wal, db->manifest.log);

    if (view != db->view) {
        cdc_rocksmq_wal_check(&db->wal, db->manifest.sequence);
    }

    return rc == CDC_ERROR ? rc : CDC_OK;
}


int
cdc_rocksmq_db_read(cdc_rocksmq_db_t *db, char *err)
{
    return cdc_rocksmq_wal_read(&db->wal, err);
}
