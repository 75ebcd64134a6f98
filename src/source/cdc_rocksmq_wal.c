/*
 * The write-ahead logs of the source.
 *
 * RocksDB's secondary instance would replay them into a memtable of ours: all
 * that the source holds in its own, copied, and each look for what is new a
 * search in there.  So it gets none to see, and they are read here, once:
 * of each message only the place is kept, and only for topics that a stream
 * reads and until it has been read.  Bodies are read when there is room.
 *
 * What is true at any time:
 *
 *   - Logs are read in the order in which they were written, each from its
 *     start to its end, and none is begun before the one before it has ended:
 *     RocksDB writes into a log only when it is done with the one before.
 *   - All logs that the tables do not hold are open here, from the oldest on,
 *     or were made after all those that are.  The caller sees to it: first
 *     list, then the state of the tables, then drop what these hold.  A log
 *     that has been deleted in between can be read to its end all the same.
 *   - So messages of the tables, and behind them those of the logs, are what
 *     the source held at one moment, with none left out.
 *
 * A record says which sequence number its first operation has, and each
 * operation takes one.  As long as they go on without a hole, and the tables
 * hold none that was not read, nothing that was written has been missed.  Else
 * (a log came and went between two looks, or the source is another one) "chain"
 * counts up, and streams then look into the tables again for what they may have
 * missed.
 *
 * A record without an end at the end of a log that is not the last one was
 * being written when the source was killed; it was never part of anything.
 *
 * Range deletions are retention's.  What a stream is still to read it reads
 * all the same as long as it is there; where a topic begins follows them.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc_rocksmq_wal.h"
#include "cdc_runtime.h"


#define CDC_ROCKSMQ_NUMBER_LEN  20       /* digits of a log's name at most */


static int cdc_rocksmq_wal_op(void *arg, const cdc_rocksmq_op_t *op);


int
cdc_rocksmq_wal_init(cdc_rocksmq_wal_t *wal, const char *dir)
{
    memset(wal, 0, sizeof(cdc_rocksmq_wal_t));
    wal->dir = dir;
    wal->batch.handler = cdc_rocksmq_wal_op;
    wal->batch.arg = wal;

    return cdc_rocksmq_window_init(&wal->window);
}


static void
cdc_rocksmq_wal_forget(cdc_rocksmq_wal_t *wal)
{
    size_t  i;

    for (i = 0; i < wal->nevents; i++) {
        free(wal->events[i].keys);
    }

    wal->nevents = 0;
    wal->within = 0;
}


void
cdc_rocksmq_wal_clear(cdc_rocksmq_wal_t *wal)
{
    size_t  i;

    for (i = 0; i < wal->nlogs; i++) {
        (void) close(wal->logs[i].file.fd);
    }

    cdc_rocksmq_wal_forget(wal);
    cdc_rocksmq_topics_free(&wal->topics);

    free(wal->logs);
    free(wal->events);

    wal->logs = NULL;
    wal->nlogs = 0;
    wal->current = 0;
    wal->events = NULL;
    wal->size = 0;
    wal->sequence = 0;
    wal->hole = 0;
    wal->window.len = 0;
    wal->chain++;
}


void
cdc_rocksmq_wal_free(cdc_rocksmq_wal_t *wal)
{
    cdc_rocksmq_wal_clear(wal);
    cdc_rocksmq_window_free(&wal->window);
}


/* ---- which logs there are --- */

static int
cdc_rocksmq_wal_number(const char *name, uint64_t *number)
{
    size_t  i;

    *number = 0;

    for (i = 0; name[i] >= '0' && name[i] <= '9'; i++) {
        *number = *number * 10 + (uint64_t) (name[i] - '0');
    }

    return i > 0 && i < CDC_ROCKSMQ_NUMBER_LEN && strcmp(name + i, ".log") == 0
           && *number <= UINT32_MAX;
}


/* CDC_DONE: it is open, or gone */

static int
cdc_rocksmq_wal_open(cdc_rocksmq_wal_t *wal, int dir, const char *name,
    uint64_t number)
{
    int                 fd;
    size_t              i;
    cdc_rocksmq_log_t  *logs;

    for (i = wal->nlogs; i > 0 && wal->logs[i - 1].number >= number; i--) {
        if (wal->logs[i - 1].number == number) {
            return CDC_DONE;
        }
    }

    /* files are numbered in the order in which they are made: this one
     * would have been seen before */

    if (number < wal->at) {
        errno = ESTALE;
        return CDC_ERROR;
    }

    fd = openat(dir, name, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return errno == ENOENT ? CDC_DONE : CDC_ERROR;
    }

    logs = realloc(wal->logs, (wal->nlogs + 1) * sizeof(cdc_rocksmq_log_t));

    if (logs == NULL) {
        (void) close(fd);
        errno = ENOMEM;
        return CDC_ERROR;
    }

    wal->logs = logs;

    memmove(&logs[i + 1], &logs[i],
            (wal->nlogs - i) * sizeof(cdc_rocksmq_log_t));
    memset(&logs[i], 0, sizeof(cdc_rocksmq_log_t));

    logs[i].number = number;
    logs[i].file.fd = fd;
    wal->nlogs++;
    wal->window.len = 0;                 /* a descriptor may come again */

    return CDC_OK;
}


/* CDC_DONE: none was new */

static int
cdc_rocksmq_wal_look(cdc_rocksmq_wal_t *wal, uint64_t from)
{
    int             fd, rc, done, e;
    DIR            *dir;
    uint64_t        number;
    struct dirent  *de;

    fd = open(wal->dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd == -1) {
        return CDC_ERROR;
    }

    dir = fdopendir(fd);

    if (dir == NULL) {
        e = errno;
        (void) close(fd);
        errno = e;
        return CDC_ERROR;
    }

    done = CDC_DONE;
    rc = CDC_DONE;

    while (rc != CDC_ERROR && (de = readdir(dir)) != NULL) {

        if (cdc_rocksmq_wal_number(de->d_name, &number) && number >= from) {
            rc = cdc_rocksmq_wal_open(wal, fd, de->d_name, number);
            done = rc == CDC_OK ? CDC_OK : done;
        }
    }

    e = errno;
    (void) closedir(dir);
    errno = e;

    return rc == CDC_ERROR ? rc : done;
}


int
cdc_rocksmq_wal_list(cdc_rocksmq_wal_t *wal, uint64_t from)
{
    int     rc;
    size_t  i;

    wal->at = wal->nlogs != 0 ? wal->logs[wal->current].number : 0;

    /* a directory that changes while it is read may show the newer one of
     * two files and not the older one: each time there is a new one it is
     * read once more */

    do {
        rc = cdc_rocksmq_wal_look(wal, from);
    } while (rc == CDC_OK);

    if (rc == CDC_ERROR) {
        return CDC_ERROR;
    }

    for (i = 0; i < wal->nlogs && wal->logs[i].number < wal->at; i++) {
        /* void */
    }

    wal->current = i;
    wal->lists++;

    return CDC_OK;
}


void
cdc_rocksmq_wal_drop(cdc_rocksmq_wal_t *wal, uint64_t log)
{
    size_t  n;

    for (n = 0; n < wal->nlogs && wal->logs[n].number < log; n++) {
        (void) close(wal->logs[n].file.fd);
    }

    if (n == 0) {
        return;
    }

    /* topics may go, so a record that is not whole is begun again */

    if (wal->within) {
        wal->logs[wal->current].file.off = wal->logs[wal->current].end;
        cdc_rocksmq_wal_forget(wal);
    }

    wal->nlogs -= n;
    memmove(wal->logs, wal->logs + n, wal->nlogs * sizeof(cdc_rocksmq_log_t));
    wal->window.len = 0;
    wal->current = wal->current < n ? 0 : wal->current - n;

    cdc_rocksmq_topics_drop(&wal->topics, log);
}


void
cdc_rocksmq_wal_check(cdc_rocksmq_wal_t *wal, uint64_t sequence)
{
    if (sequence >= wal->sequence) {
        wal->sequence = sequence + 1;
        wal->chain++;
    }
}


/* ---- reading them --- */

static cdc_rocksmq_event_t *
cdc_rocksmq_wal_event(cdc_rocksmq_wal_t *wal)
{
    size_t                size;
    cdc_rocksmq_event_t  *events;

    if (wal->nevents == wal->size) {
        size = wal->size != 0 ? wal->size * 2 : 16;
        events = realloc(wal->events, size * sizeof(cdc_rocksmq_event_t));

        if (events == NULL) {
            return NULL;
        }

        wal->events = events;
        wal->size = size;
    }

    memset(&wal->events[wal->nevents], 0, sizeof(cdc_rocksmq_event_t));

    return &wal->events[wal->nevents++];
}


/* an operation of the record that is being read */

static int
cdc_rocksmq_wal_op(void *arg, const cdc_rocksmq_op_t *op)
{
    uint64_t              id;
    cdc_span_t            name;
    cdc_rocksmq_wal_t    *wal;
    cdc_rocksmq_event_t  *ev;
    cdc_rocksmq_topic_t  *t;

    wal = arg;

    if (op->kind == CDC_ROCKSMQ_RANGE) {
        ev = cdc_rocksmq_wal_event(wal);

        if (ev == NULL
            || (ev->keys = malloc(op->key.len + op->end.len + 1)) == NULL)
        {
            return CDC_ERROR;
        }

        memcpy(ev->keys, op->key.data, op->key.len);
        memcpy(ev->keys + op->key.len, op->end.data, op->end.len);
        ev->nkey = op->key.len;
        ev->nend = op->end.len;

        return CDC_OK;
    }

    if (op->len > UINT32_MAX
        || cdc_rocksmq_key_parse(op->key, &name, &id) != CDC_OK)
    {
        return CDC_OK;                   /* not a message */
    }

    t = cdc_rocksmq_topic(&wal->topics, name, 1);
    ev = t != NULL ? cdc_rocksmq_wal_event(wal) : NULL;

    if (ev == NULL) {
        return CDC_ERROR;
    }

    ev->topic = t;
    ev->entry.id = id;
    ev->entry.off = op->off;
    ev->entry.len = (uint32_t) op->len;
    ev->entry.log = (uint32_t) wal->logs[wal->current].number;

    return CDC_OK;
}


static int
cdc_rocksmq_wal_apply(cdc_rocksmq_wal_t *wal)
{
    size_t                i;
    cdc_rocksmq_event_t  *ev;

    for (i = 0; i < wal->nevents; i++) {
        ev = &wal->events[i];

        if (ev->topic == NULL) {
            cdc_rocksmq_topics_purge(&wal->topics,
                                     cdc_span_n(ev->keys, ev->nkey),
                                     cdc_span_n(ev->keys + ev->nkey,
                                                ev->nend),
                                     wal->logs[wal->current].number);

        } else if (cdc_rocksmq_topic_put(ev->topic, &ev->entry) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    cdc_rocksmq_wal_forget(wal);

    return CDC_OK;
}


/*
 * The record has come to its end.  Behind a hole nothing is read before the
 * tables and the list of logs are newer than what was seen: what is missing
 * may be in there.
 */

static int
cdc_rocksmq_wal_record(cdc_rocksmq_wal_t *wal, cdc_rocksmq_log_t *log)
{
    uint64_t  seq, count;

    if (cdc_rocksmq_batch_end(&wal->batch, &seq, &count) != CDC_OK) {
        return CDC_ERROR;
    }

    if (wal->sequence != 0 && seq != wal->sequence) {

        if (wal->hole == 0 || wal->hole == wal->lists) {
            wal->hole = wal->lists;
            log->file.off = log->end;
            cdc_rocksmq_wal_forget(wal);

            return CDC_AGAIN;
        }

        cdc_log(CDC_LOG_INFO, 0, "rocksmq \"%s\": log %" PRIu64 " goes on "
                "with sequence %" PRIu64 " instead of %" PRIu64, wal->dir,
                log->number, seq, wal->sequence);

        wal->chain++;

    } else if (wal->sequence == 0) {
        wal->chain++;                    /* who knows what came before it */
    }

    wal->hole = 0;
    wal->sequence = seq + count;
    log->end = log->file.off;

    return cdc_rocksmq_wal_apply(wal);
}


static int
cdc_rocksmq_wal_part(cdc_rocksmq_wal_t *wal, cdc_rocksmq_log_t *log,
    const cdc_rocksmq_part_t *part)
{
    int  first, last;

    first = part->type == CDC_ROCKSMQ_FULL || part->type == CDC_ROCKSMQ_FIRST;
    last = part->type == CDC_ROCKSMQ_FULL || part->type == CDC_ROCKSMQ_LAST;

    if (first == wal->within) {
        return CDC_ERROR;
    }

    if (first) {
        cdc_rocksmq_batch_start(&wal->batch);
        wal->within = 1;
    }

    if (cdc_rocksmq_batch_add(&wal->batch, part->data, part->len, part->off)
        != CDC_OK)
    {
        return CDC_ERROR;
    }

    return last ? cdc_rocksmq_wal_record(wal, log) : CDC_OK;
}


/* is there anything in the log behind this one? */

static int
cdc_rocksmq_wal_followed(const cdc_rocksmq_wal_t *wal)
{
    struct stat  st;

    return wal->current + 1 < wal->nlogs
           && fstat(wal->logs[wal->current + 1].file.fd, &st) == 0
           && st.st_size > 0;
}


static int
cdc_rocksmq_wal_failed(cdc_rocksmq_wal_t *wal, cdc_rocksmq_log_t *log,
    const char *why, char *err)
{
    (void) snprintf(err, CDC_REASON_MAX, "rocksmq \"%.300s\": %06" PRIu64
                    ".log: %.400s", wal->dir, log->number, why);

    return CDC_ERROR;
}


int
cdc_rocksmq_wal_read(cdc_rocksmq_wal_t *wal, char *err)
{
    int                  rc, followed;
    char                 why[CDC_REASON_MAX];
    cdc_rocksmq_log_t   *log;
    cdc_rocksmq_part_t   part;

    followed = 0;

    while (wal->current < wal->nlogs) {
        log = &wal->logs[wal->current];
        rc = cdc_rocksmq_part(&log->file, &wal->window, &part, why);

        if (rc == CDC_ERROR) {
            return cdc_rocksmq_wal_failed(wal, log, why, err);
        }

        if (rc == CDC_AGAIN) {

            if (log->file.bad_ms != 0) {
                return CDC_OK;
            }

            /* it has its end when the next one has a start, and not before:
             * so look once more */

            if (!followed) {
                followed = cdc_rocksmq_wal_followed(wal);

                if (!followed) {
                    return CDC_OK;
                }

                continue;
            }

            cdc_rocksmq_wal_forget(wal);
            wal->current++;
            followed = 0;
            continue;
        }

        rc = cdc_rocksmq_wal_part(wal, log, &part);

        if (rc == CDC_ERROR) {
            cdc_rocksmq_wal_forget(wal);
            log->file.off = log->end;

            return cdc_rocksmq_wal_failed(wal, log, "a record is not what "
                                          "RocksMQ writes, or there is no "
                                          "memory", err);
        }

        if (rc == CDC_AGAIN) {
            return CDC_AGAIN;
        }
    }

    return CDC_OK;
}
