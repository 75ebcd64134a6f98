/*
 * Are these checkpoints the last ones that were written, or a copy?
 *
 * An older copy that is put back does not know what was sent after it was
 * made; sending that again would double rows.  Nothing that is copied along
 * can tell, so the checkpoints name something that no copy has: a file of
 * their directory by its inode and time of birth; the file says the same of
 * itself.
 *
 *   life      that file.  It is made anew at each start and at each orderly
 *             stop: a copy that is written over what is there keeps the
 *             inode, and what it says was said of another one.  (LevelDB
 *             then reads newer logs behind older tables: each record is one
 *             that was true some time, so that is like any older copy.)
 *   life.new  the next one; renamed when the batch that names it is durable.
 *             A crash in between leaves both, and either may be the right one
 *   new       made by the store with the task, removed when the first
 *             checkpoint is durable: without it, and without checkpoints,
 *             they have been lost
 *
 * Who moves a state directory to another disk has made a copy, too; it costs
 * some rows that are settled (cdc_restored.c).  A snapshot of the whole disk
 * that is put back is the one copy that cannot be seen: the README says to
 * remove "life" then.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "cdc_replicator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>


static void
cdc_life_path(const cdc_repl_t *r, const char *name, char path[4200])
{
    snprintf(path, 4200, "%.4095s/%s", r->dir, name);
}


static int
cdc_life_exists(const cdc_repl_t *r, const char *name)
{
    char  path[4200];

    cdc_life_path(r, name, path);

    return access(path, F_OK) == 0;
}


static int
cdc_life_read(const cdc_repl_t *r, const char *name, char life[CDC_LIFE_MAX])
{
    char          path[4200];
    struct statx  st;

    cdc_life_path(r, name, path);
    memset(&st, 0, sizeof(struct statx));

    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME,
              &st)
        == -1)
    {
        return CDC_DECLINED;
    }

    if (!(st.stx_mask & STATX_BTIME)) {
        memset(&st.stx_btime, 0, sizeof(st.stx_btime));
    }

    snprintf(life, CDC_LIFE_MAX, "%llu %lld.%09u",
             (unsigned long long) st.stx_ino,
             (long long) st.stx_btime.tv_sec, st.stx_btime.tv_nsec);

    return CDC_OK;
}


static void
cdc_life_sync(const cdc_repl_t *r)
{
    int  fd;

    fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd != -1) {
        (void) fsync(fd);
        (void) close(fd);
    }
}


static int
cdc_life_missing(const cdc_repl_t *r, char *err)
{
    snprintf(err, CDC_REASON_MAX, "the task's checkpoints are missing from "
             "\"%.512s\": put them back from a copy of the state directory "
             "and resume the task, or delete the task and create it again on "
             "an empty target", r->dir);

    return CDC_ERROR;
}


int
cdc_life_begin(cdc_repl_t *r, char *err)
{
    if (cdc_life_exists(r, "CURRENT") || cdc_life_exists(r, "new")) {
        return CDC_OK;
    }

    return cdc_life_missing(r, err);
}


int
cdc_life_load(cdc_repl_t *r, const json_t *json)
{
    if (!json_is_string(json) || json_string_length(json) >= CDC_LIFE_MAX) {
        return CDC_ERROR;
    }

    snprintf(r->life, CDC_LIFE_MAX, "%s", json_string_value(json));

    return CDC_OK;
}


static int
cdc_life_is(const cdc_repl_t *r, const char *name)
{
    int      fd;
    char     path[4200], life[CDC_LIFE_MAX], said[CDC_LIFE_MAX];
    ssize_t  n;

    cdc_life_path(r, name, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd == -1) {
        return 0;
    }

    n = read(fd, said, sizeof(said) - 1);
    (void) close(fd);

    said[n > 0 ? n : 0] = '\0';

    return cdc_life_read(r, name, life) == CDC_OK
           && strcmp(life, said) == 0 && strcmp(life, r->life) == 0;
}


int
cdc_life_check(cdc_repl_t *r, char *err)
{
    cdc_lane_t  *lane;

    if (!r->started && !cdc_life_exists(r, "new")) {
        return cdc_life_missing(r, err);
    }

    for (lane = r->lanes; lane; lane = lane->next) {
        if (lane->raise < r->raise) {
            lane->raise = r->raise;
            lane->used = r->raise;
        }
    }

    if (r->started) {
        cdc_life_started(r);
    }

    /* the second: checkpoints of a version that knew of none of this */

    if (cdc_life_is(r, "life") || cdc_life_is(r, "life.new")
        || (r->life[0] == '\0' && !cdc_life_exists(r, "life")))
    {
        return CDC_OK;
    }

    if (!r->started) {
        snprintf(err, CDC_REASON_MAX, "the task's checkpoints are a copy from "
                 "before the task had begun: delete the task and create it "
                 "again on an empty target");
        return CDC_ERROR;
    }

    r->copied = 1;

    return CDC_OK;
}


/* a file system that has no room for it: the former one holds */

void
cdc_life_next(cdc_repl_t *r)
{
    int   fd;
    char  path[4200];

    r->life_next[0] = '\0';
    cdc_life_path(r, "life.new", path);

    if (cdc_life_is(r, "life.new")) {
        cdc_life_moved(r);               /* a crash came between */
    }

    if (unlink(path) == -1 && errno != ENOENT) {
        return;
    }

    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd == -1) {
        return;
    }

    if (cdc_life_read(r, "life.new", r->life_next) != CDC_OK
        || write(fd, r->life_next, strlen(r->life_next))
           != (ssize_t) strlen(r->life_next)
        || fsync(fd) != 0)
    {
        r->life_next[0] = '\0';
    }

    (void) close(fd);

    cdc_life_sync(r);
}


void
cdc_life_moved(cdc_repl_t *r)
{
    char  from[4200], to[4200];

    cdc_life_path(r, "life.new", from);
    cdc_life_path(r, "life", to);

    if (r->life_next[0]) {
        memcpy(r->life, r->life_next, CDC_LIFE_MAX);
        r->life_next[0] = '\0';
    }

    if (rename(from, to) == -1 && errno != ENOENT) {
        cdc_log(CDC_LOG_ERR, errno, "rename() \"%s\" failed", from);
    }
}


void
cdc_life_started(cdc_repl_t *r)
{
    char  path[4200];

    cdc_life_path(r, "new", path);

    if (unlink(path) == -1 && errno != ENOENT) {
        cdc_log(CDC_LOG_ERR, errno, "unlink() \"%s\" failed", path);
    }
}
