/*
 * One target channel, several processes: who sends, and the highest tick.
 *
 * Why.  A consumer of the target that seeks (a restart) takes up at a tick
 * and skips what is stamped at or below it; a tick sent back in time hides
 * rows.  So over all tasks of a target, on each of its channels: ticks never
 * go back, and no row follows a tick that is not below its stamp.
 *
 * The file, <state>/targets/<target>/<channel>, is mapped by each process;
 * what is in it changes only under its locks, which are OFD locks: the
 * kernel takes them from a process that dies, at whichever line.
 *
 *   byte 0, MODE     written: one process is alone.  read: they share
 *   byte 1, TURN     who holds it is the next to get CHANNEL
 *   byte 2, CHANNEL  who holds it may send (nobody needs it while alone)
 *
 * Alone costs nothing: no lock is taken or given for a request, and the one
 * thing looked at is a counter in memory, "knocks", which a process that
 * wants to join raises.  It then waits for MODE on a thread; the one that
 * was alone ends what relies on that (cdc_lane.c) and turns its MODE into
 * the shared kind.  It is tried the other way once a second.
 *
 * TURN makes CHANNEL fair.  Who leaves and wants in again finds TURN taken
 * by the one that waits for CHANNEL, and queues behind it: a backlog cannot
 * keep a live task out, nor the reverse.
 *
 * What a crash leaves.  MODE and CHANNEL are free at once.  "sending" says
 * that a request was on its way and may still reach the log of the target:
 * the next to enter gives it CDC_SHARE_QUIET_MS ("quiet_until", this boot's
 * monotonic clock, the same in all processes) to end, and so does a process
 * that gave up a connection.  "tick" was raised before the request left, so
 * it is never below what was sent; the rows in doubt are settled by their
 * own task at stamps above it.  A crash between put_tick() and the request
 * leaves it too high, which only raises a few stamps by one.
 *
 * Power loss.  The pages are the kernel's: they outlive any process, not the
 * machine.  A file of another boot gets the highest of its own tick, the
 * durable reserve of the task that enters first, and the target's clock,
 * which has passed all ticks of live sources while the machine was down.
 */

#include "cdc_share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>


#define CDC_SHARE_MAGIC    0x314b434e4e414843ULL
#define CDC_SHARE_MODE     0
#define CDC_SHARE_TURN     1
#define CDC_SHARE_CHANNEL  2


typedef enum {
    CDC_SHARE_OUT = 0,
    CDC_SHARE_ALONE,
    CDC_SHARE_SHARED
} cdc_share_mode_e;

typedef struct {
    uint64_t           magic;
    char               boot[40];
    uint64_t           tick;
    uint64_t           quiet_until;
    uint32_t           sending;
    uint32_t           knocks;           /* atomic; any process, any time */
} cdc_share_file_t;

struct cdc_share_s {
    cdc_loop_t        *loop;
    cdc_share_file_t  *file;
    int                fd;               /* -1: no file */
    char               boot[40];
    cdc_share_mode_e   mode;
    uint32_t           seen;             /* knocks */
    uint64_t           asked_at;
    uint64_t           looked_at;
    uint64_t           tick_before;      /* at enter() */
    void             (*ready)(void *arg);
    void              *arg;
    cdc_worker_t      *worker;           /* once there was need */
    cdc_job_t          job;
    cdc_timer_t        timer;
    int                wait_rc;
    unsigned           checked:1;
    unsigned           waiting:1;        /* the job */
    unsigned           locked:1;         /* CHANNEL */
    unsigned           entered:1;
    unsigned           used:1;           /* a request is on its way */
};


/* ---- locks ---- */

static int
cdc_share_lock(const cdc_share_t *s, int byte, int type, int wait)
{
    int           rc;
    struct flock  fl;

    memset(&fl, 0, sizeof(struct flock));
    fl.l_type = (short) type;
    fl.l_whence = SEEK_SET;
    fl.l_start = byte;
    fl.l_len = 1;

    do {
        rc = fcntl(s->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &fl);
    } while (rc == -1 && errno == EINTR);

    return rc == 0 ? CDC_OK
                   : errno == EAGAIN || errno == EACCES ? CDC_AGAIN
                                                        : CDC_ERROR;
}


static void
cdc_share_knock(cdc_share_t *s)
{
    (void) __atomic_add_fetch(&s->file->knocks, 1, __ATOMIC_SEQ_CST);
}


static void
cdc_share_look_later(cdc_share_t *s)
{
    if (s->fd != -1 && s->timer.slot == 0) {
        cdc_timer_add(s->loop, &s->timer, CDC_SHARE_LOOK_MS);
    }
}


/* [its thread] waits, for the mode first */

static void
cdc_share_wait(cdc_job_t *job)
{
    cdc_share_t  *s = job->data;

    if (s->mode == CDC_SHARE_OUT) {
        s->wait_rc = cdc_share_lock(s, CDC_SHARE_MODE, F_RDLCK, 1);
        return;
    }

    s->wait_rc = cdc_share_lock(s, CDC_SHARE_TURN, F_WRLCK, 1);

    if (s->wait_rc == CDC_OK) {
        s->wait_rc = cdc_share_lock(s, CDC_SHARE_CHANNEL, F_WRLCK, 1);
        (void) cdc_share_lock(s, CDC_SHARE_TURN, F_UNLCK, 0);
    }
}


static void
cdc_share_unlock(cdc_share_t *s)
{
    if (s->locked) {
        s->locked = 0;
        (void) cdc_share_lock(s, CDC_SHARE_CHANNEL, F_UNLCK, 0);
    }
}


static void
cdc_share_go(cdc_share_t *s)
{
    s->ready(s->arg);

    if (!s->used) {
        s->entered = 0;
        cdc_share_unlock(s);
    }
}


static void
cdc_share_waited(cdc_job_t *job)
{
    cdc_share_t  *s = job->data;

    s->waiting = 0;

    if (s->wait_rc != CDC_OK) {
        cdc_share_look_later(s);         /* ENOLCK; tried again */
        return;
    }

    if (s->mode == CDC_SHARE_OUT) {
        s->mode = CDC_SHARE_SHARED;
        s->looked_at = cdc_now_ms();

    } else {
        s->locked = 1;
    }

    cdc_share_go(s);
}


static int
cdc_share_queue(cdc_share_t *s)
{
    if (s->worker == NULL) {
        s->worker = cdc_worker_create(s->loop, "share");
    }

    if (s->worker == NULL) {
        cdc_share_look_later(s);
        return CDC_AGAIN;
    }

    s->waiting = 1;
    cdc_worker_submit(s->worker, &s->job);

    return CDC_AGAIN;
}


/* ---- the file ---- */

/* under MODE (alone) or CHANNEL */

static void
cdc_share_check(cdc_share_t *s, uint64_t floor, uint64_t now)
{
    uint64_t           tick;
    cdc_share_file_t  *f;

    s->checked = 1;
    f = s->file;

    if (f->magic == CDC_SHARE_MAGIC
        && memcmp(f->boot, s->boot, sizeof(f->boot)) == 0)
    {
        return;
    }

    tick = 0;

    if (f->magic == CDC_SHARE_MAGIC && f->tick) {
        tick = f->tick > now ? f->tick : now;
    }

    f->tick = tick > floor ? tick : floor;
    f->quiet_until = 0;
    f->sending = 0;
    memcpy(f->boot, s->boot, sizeof(f->boot));
    f->magic = CDC_SHARE_MAGIC;
}


static void
cdc_share_read_boot(cdc_share_t *s)
{
    int      fd;
    ssize_t  n;

    fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    n = read(fd, s->boot, sizeof(s->boot) - 1);

    if (n < 0) {
        memset(s->boot, 0, sizeof(s->boot));
    }

    (void) close(fd);
}


/* any text as the name of one file */

static void
cdc_share_name(char *to, size_t size, const char *from)
{
    size_t  n;

    static const char  hex[] = "0123456789abcdef";

    for (n = 0; *from && n + 4 < size; from++) {

        if ((*from >= 'a' && *from <= 'z') || (*from >= '0' && *from <= '9')
            || *from == '-' || *from == '_' || *from == ':'
            || (*from == '.' && n))
        {
            to[n++] = *from;
            continue;
        }

        to[n++] = '%';
        to[n++] = hex[(uint8_t) *from >> 4];
        to[n++] = hex[(uint8_t) *from & 15];
    }

    to[n] = '\0';
}


static int
cdc_share_map(cdc_share_t *s, const char *path)
{
    struct stat  st;

    s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (s->fd == -1 || fstat(s->fd, &st) == -1) {
        return CDC_ERROR;
    }

    /* two may do so at once: it is zeroes either way */

    if ((size_t) st.st_size < sizeof(cdc_share_file_t)
        && ftruncate(s->fd, sizeof(cdc_share_file_t)) == -1)
    {
        return CDC_ERROR;
    }

    /* a full disk must show here, not as a SIGBUS later */

    errno = posix_fallocate(s->fd, 0, sizeof(cdc_share_file_t));
    if (errno) {
        return CDC_ERROR;
    }

    s->file = mmap(NULL, sizeof(cdc_share_file_t), PROT_READ | PROT_WRITE,
                   MAP_SHARED, s->fd, 0);

    if (s->file == MAP_FAILED) {
        s->file = NULL;
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_share_open_file(cdc_share_t *s, const char *dir, const char *target,
    const char *channel, char *err)
{
    int       n, rc;
    size_t    at;
    char      path[4096], name[256];

    cdc_share_read_boot(s);

    n = snprintf(path, sizeof(path), "%s/targets", dir);
    rc = n > 0 && (size_t) n + 2 * sizeof(name) + 2 < sizeof(path)
         && (mkdir(path, 0700) == 0 || errno == EEXIST) ? CDC_OK : CDC_ERROR;

    if (rc == CDC_OK) {
        at = (size_t) n;
        cdc_share_name(name, sizeof(name), target);
        at += (size_t) snprintf(path + at, sizeof(path) - at, "/%s", name);
        rc = mkdir(path, 0700) == 0 || errno == EEXIST ? CDC_OK : CDC_ERROR;

        cdc_share_name(name, sizeof(name), channel);
        (void) snprintf(path + at, sizeof(path) - at, "/%s", name);
    }

    if (rc == CDC_OK) {
        rc = cdc_share_map(s, path);
    }

    if (rc != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "cannot open \"%.512s\": %s",
                        path, strerror(errno));
    }

    return rc;
}


/* ---- joining ---- */

static int
cdc_share_join(cdc_share_t *s)
{
    if (s->mode != CDC_SHARE_OUT) {
        return CDC_OK;
    }

    if (s->waiting) {
        return CDC_AGAIN;
    }

    s->seen = __atomic_load_n(&s->file->knocks, __ATOMIC_SEQ_CST);

    if (cdc_share_lock(s, CDC_SHARE_MODE, F_WRLCK, 0) == CDC_OK) {
        s->mode = CDC_SHARE_ALONE;
        cdc_share_look_later(s);
        return CDC_OK;
    }

    if (cdc_share_lock(s, CDC_SHARE_MODE, F_RDLCK, 0) == CDC_OK) {
        s->mode = CDC_SHARE_SHARED;
        s->looked_at = cdc_now_ms();
        return CDC_OK;
    }

    /* after the refusal: who became alone since then has not seen it yet */

    cdc_share_knock(s);
    cdc_share_look_later(s);

    return cdc_share_queue(s);
}


/* all others have gone: alone again */

static void
cdc_share_look(cdc_share_t *s)
{
    uint32_t  knocks;
    uint64_t  now;

    now = cdc_now_ms();

    if (now - s->looked_at < CDC_SHARE_LOOK_MS) {
        return;
    }

    s->looked_at = now;
    knocks = __atomic_load_n(&s->file->knocks, __ATOMIC_SEQ_CST);

    if (cdc_share_lock(s, CDC_SHARE_MODE, F_WRLCK, 0) == CDC_OK) {
        s->seen = knocks;
        s->mode = CDC_SHARE_ALONE;
        cdc_share_look_later(s);
    }
}


static void
cdc_share_timer(cdc_timer_t *tm)
{
    cdc_share_t  *s = tm->data;

    if (s->waiting && s->mode == CDC_SHARE_OUT) {
        cdc_share_knock(s);              /* see cdc_share_join() */
        cdc_share_look_later(s);
        return;
    }

    if (s->mode == CDC_SHARE_ALONE) {
        cdc_share_look_later(s);
    }

    if (!s->waiting && !s->used) {
        cdc_share_go(s);
    }
}


cdc_share_t *
cdc_share_open(cdc_loop_t *loop, const char *dir, const char *target,
    const char *channel, void (*ready)(void *arg), void *arg,
    char err[CDC_REASON_MAX])
{
    cdc_share_t  *s;

    s = calloc(1, sizeof(cdc_share_t));
    if (s == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "out of memory");
        return NULL;
    }

    s->fd = -1;
    s->loop = loop;
    s->ready = ready;
    s->arg = arg;
    s->job.run = cdc_share_wait;
    s->job.done = cdc_share_waited;
    s->job.data = s;
    s->timer.handler = cdc_share_timer;
    s->timer.data = s;

    if (dir) {
        if (cdc_share_open_file(s, dir, target, channel, err) != CDC_OK) {
            cdc_share_close(s);
            return NULL;
        }

        return s;
    }

    s->mode = CDC_SHARE_ALONE;
    s->checked = 1;
    s->file = calloc(1, sizeof(cdc_share_file_t));

    if (s->file == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "out of memory");
        free(s);
        return NULL;
    }

    return s;
}


void
cdc_share_close(cdc_share_t *s)
{
    cdc_timer_del(s->loop, &s->timer);
    cdc_worker_destroy(s->worker);

    if (s->fd == -1) {
        free(s->file);

    } else {
        if (s->file) {
            (void) munmap(s->file, sizeof(cdc_share_file_t));
        }

        (void) close(s->fd);
    }

    free(s);
}


/* ---- what a lane asks ---- */

int
cdc_share_alone(cdc_share_t *s)
{
    return cdc_share_join(s) == CDC_OK && s->mode == CDC_SHARE_ALONE
           && s->checked && cdc_share_asked(s) == 0;
}


uint64_t
cdc_share_asked(cdc_share_t *s)
{
    if (s->mode != CDC_SHARE_ALONE
        || __atomic_load_n(&s->file->knocks, __ATOMIC_RELAXED) == s->seen)
    {
        s->asked_at = 0;

    } else if (s->asked_at == 0) {
        s->asked_at = cdc_now_ms();
    }

    return s->asked_at;
}


int
cdc_share_is_shared(const cdc_share_t *s)
{
    return s->mode == CDC_SHARE_SHARED;
}


static int
cdc_share_lock_channel(cdc_share_t *s)
{
    if (s->mode == CDC_SHARE_ALONE || s->locked) {
        return CDC_OK;
    }

    if (s->waiting) {
        return CDC_AGAIN;
    }

    if (cdc_share_lock(s, CDC_SHARE_TURN, F_WRLCK, 0) != CDC_OK) {
        return cdc_share_queue(s);
    }

    s->locked = cdc_share_lock(s, CDC_SHARE_CHANNEL, F_WRLCK, 0) == CDC_OK;

    (void) cdc_share_lock(s, CDC_SHARE_TURN, F_UNLCK, 0);

    return s->locked ? CDC_OK : cdc_share_queue(s);
}


int
cdc_share_enter(cdc_share_t *s, int yields, uint64_t floor, uint64_t now)
{
    uint64_t  ms;

    if (s->entered) {
        return CDC_OK;
    }

    if (cdc_share_join(s) != CDC_OK) {
        return CDC_AGAIN;
    }

    if (yields && cdc_share_asked(s)
        && cdc_share_lock(s, CDC_SHARE_MODE, F_RDLCK, 0) == CDC_OK)
    {
        s->mode = CDC_SHARE_SHARED;
        s->asked_at = 0;
        s->looked_at = cdc_now_ms();
    }

    if (s->mode == CDC_SHARE_SHARED && !s->locked && !s->waiting) {
        cdc_share_look(s);
    }

    if (cdc_share_lock_channel(s) != CDC_OK) {
        return CDC_AGAIN;
    }

    if (!s->checked) {
        cdc_share_check(s, floor, now);
    }

    ms = cdc_now_ms();

    if (s->file->sending) {              /* its sender died */
        s->file->sending = 0;
        s->file->quiet_until = ms + CDC_SHARE_QUIET_MS;
    }

    if (s->file->quiet_until > ms + CDC_SHARE_QUIET_MS) {
        s->file->quiet_until = 0;        /* of another boot after all */
    }

    if (ms < s->file->quiet_until) {
        cdc_timer_add(s->loop, &s->timer, s->file->quiet_until - ms);
        cdc_share_unlock(s);
        return CDC_AGAIN;
    }

    s->entered = 1;
    s->tick_before = s->file->tick;

    return CDC_OK;
}


uint64_t
cdc_share_tick(const cdc_share_t *s)
{
    return __atomic_load_n(&s->file->tick, __ATOMIC_RELAXED);
}


void
cdc_share_put_tick(cdc_share_t *s, uint64_t tick)
{
    if (tick > s->file->tick) {
        __atomic_store_n(&s->file->tick, tick, __ATOMIC_RELAXED);
    }
}


void
cdc_share_sending(cdc_share_t *s)
{
    s->used = 1;
    s->file->sending = 1;
}


void
cdc_share_leave(cdc_share_t *s, int rc)
{
    if (!s->entered) {
        return;
    }

    if (rc == CDC_DECLINED) {
        __atomic_store_n(&s->file->tick, s->tick_before, __ATOMIC_RELAXED);
    }

    if (rc == CDC_ERROR) {
        s->file->quiet_until = cdc_now_ms() + CDC_SHARE_QUIET_MS;
    }

    s->file->sending = 0;
    s->entered = 0;
    s->used = 0;

    cdc_share_unlock(s);
}
