/*
 * Fault points: a process that kills itself where the seed says.
 *
 * The environment variable CDC_FAULT names a directory of the test:
 *
 *   plan         what the test wants, read once by each life of a process:
 *                lines "lives ROLE FROM TO SEED POINT...": those lives of
 *                that role, TO not included, end at one of these points; a
 *                life that no line is about lives on
 *   life.ROLE    the number of the next life, kept by the processes
 *   deaths       a line for each fault, appended before it takes effect
 *
 * A life's fate comes from hash(SEED, life - FROM) alone: at which hit of
 * which point it ends, and how: at once; after up to 5 ms in which this
 * thread stands still while others (gRPC's, the disk's) go on; or up to 20 ms
 * later, wherever each thread is by then.  So a seed names the same point for
 * the same life in each run, as far as real servers allow: a point that does
 * not come within CDC_FAULT_PATIENCE gives way to the next that does, unless
 * the test itself brings it about ("most" is 0 in the table).
 */

#ifdef CDC_FAULTS

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cdc_fault.h"
#include "cdc_runtime.h"


#define CDC_FAULT_PATIENCE  2000         /* ms */
#define CDC_FAULT_POINTS    64
#define CDC_FAULT_HALT_US   5000
#define CDC_FAULT_LATER_US  20000


typedef struct {
    const char  *name;
    unsigned     most;                   /* hits that a life may have, so that
                                          * it ends within about a second; 0:
                                          * the first, whenever it comes */
} cdc_fault_point_t;


static const cdc_fault_point_t  cdc_fault_points[] = {

    /* replicator: the way of a message */

    { "go",                      1 },
    { "after-read",             40 },
    { "before-send",            30 },
    { "after-send",             30 },
    { "before-ack",             30 },
    { "after-ack",              30 },
    { "settling",               20 },
    { "settled",                20 },

    /* replicator: what is durable */

    { "checkpoint-before-write", 6 },
    { "checkpoint-after-write",  6 },
    { "checkpoint-effects",      6 },
    { "stop-before-write",       0 },
    { "stop-after-write",        0 },

    /* replicator: operations */

    { "operation-read",          2 },
    { "operation-intent",        2 },
    { "operation-before",        4 },
    { "operation-middle",        1 },
    { "operation-after",         4 },
    { "operation-done",          4 },
    { "farewell",                2 },
    { "farewell-acked",          2 },
    { "forgotten",               2 },

    /* replicator: the first look at what is there already */

    { "survey-taken",            1 },
    { "survey-before-write",     1 },
    { "survey-after-write",      1 },

    /* store */

    { "store-before-write",      0 },
    { "store-after-write",       0 },
    { "create-before-answer",    0 }
};

#define CDC_FAULT_TABLE                                                       \
    (sizeof(cdc_fault_points) / sizeof(cdc_fault_points[0]))


static struct {
    char         dir[PATH_MAX];
    char         role[16];
    unsigned     life;
    int          mortal;
    const char  *point;                  /* where it ends .. */
    unsigned     left;                   /* .. at which hit from now */
    unsigned     us;                     /* 0: at once */
    int          later;                  /* go on for so long */
    int          patient;
    uint64_t     begun;
    int          dying;
    int          lock;                   /* of left and dying */
} cdc_fault_life;


/* splitmix64 */

static uint64_t
cdc_fault_random(uint64_t *state)
{
    uint64_t  x;

    x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;

    return x ^ (x >> 31);
}


static void
cdc_fault_die(const char *why)
{
    (void) fprintf(stderr, "fault points: %s\n", why);
    abort();
}


static void
cdc_fault_path(char path[PATH_MAX], const char *name, const char *more)
{
    if (snprintf(path, PATH_MAX, "%s/%s%s", cdc_fault_life.dir, name, more)
        >= PATH_MAX)
    {
        cdc_fault_die("the path is too long");
    }
}


static const cdc_fault_point_t *
cdc_fault_find(const char *name)
{
    size_t  i;

    for (i = 0; i < CDC_FAULT_TABLE; i++) {
        if (strcmp(cdc_fault_points[i].name, name) == 0) {
            return &cdc_fault_points[i];
        }
    }

    (void) fprintf(stderr, "fault points: there is no \"%s\"\n", name);
    abort();
}


/* the number of this life; the file holds the next one */

static unsigned
cdc_fault_born(void)
{
    int       fd, n;
    char      path[PATH_MAX], text[16];
    unsigned  life;

    cdc_fault_path(path, "life.", cdc_fault_life.role);

    fd = open(path, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1 || flock(fd, LOCK_EX) == -1) {
        cdc_fault_die("the file of lives cannot be used");
    }

    memset(text, 0, sizeof(text));
    life = pread(fd, text, sizeof(text) - 1, 0) > 0
           ? (unsigned) strtoul(text, NULL, 10) : 0;

    n = snprintf(text, sizeof(text), "%u\n", life + 1);

    if (pwrite(fd, text, (size_t) n, 0) != n) {
        cdc_fault_die("the file of lives cannot be written");
    }

    (void) close(fd);

    return life;
}


/* the points of one "lives" line, if it is about this life; how many */

static size_t
cdc_fault_line(const char *line, uint64_t *seed,
    const cdc_fault_point_t **points)
{
    int       at;
    char      role[16], word[64];
    size_t    n;
    unsigned  from, to;

    if (sscanf(line, "lives %15s %u %u %" SCNu64 "%n", role, &from, &to, seed,
               &at) != 4
        || strcmp(role, cdc_fault_life.role) != 0
        || cdc_fault_life.life < from || cdc_fault_life.life >= to)
    {
        return 0;
    }

    *seed += (uint64_t) (cdc_fault_life.life - from) << 32;

    for (n = 0; n < CDC_FAULT_POINTS; n++) {
        line += at;

        if (sscanf(line, "%63s%n", word, &at) != 1) {
            break;
        }

        points[n] = cdc_fault_find(word);
    }

    return n;
}


static size_t
cdc_fault_plan(uint64_t *seed, const cdc_fault_point_t **points)
{
    char    path[PATH_MAX], line[2048];
    FILE   *plan;
    size_t  n;

    cdc_fault_path(path, "plan", "");

    plan = fopen(path, "re");
    if (plan == NULL) {
        return 0;                        /* the test has not begun */
    }

    n = 0;

    while (n == 0 && fgets(line, sizeof(line), plan) != NULL) {
        n = cdc_fault_line(line, seed, points);
    }

    (void) fclose(plan);

    return n;
}


void
cdc_fault_open(const char *role)
{
    size_t                    n;
    uint64_t                  state;
    const char               *dir;
    const cdc_fault_point_t  *points[CDC_FAULT_POINTS], *point;

    dir = getenv("CDC_FAULT");

    if (dir == NULL || dir[0] == '\0') {
        return;
    }

    (void) snprintf(cdc_fault_life.dir, PATH_MAX, "%s", dir);
    (void) snprintf(cdc_fault_life.role, sizeof(cdc_fault_life.role), "%s",
                    role);

    cdc_fault_life.life = cdc_fault_born();
    cdc_fault_life.begun = cdc_now_ms();

    state = 0;
    n = cdc_fault_plan(&state, points);

    if (n == 0) {
        return;
    }

    state = cdc_fault_random(&state);

    point = points[cdc_fault_random(&state) % n];

    cdc_fault_life.point = point->name;
    cdc_fault_life.left = point->most
                          ? 1 + cdc_fault_random(&state) % point->most : 1;
    cdc_fault_life.patient = point->most == 0;

    switch (cdc_fault_random(&state) % 4) {

    case 0:
        cdc_fault_life.us = 1 + cdc_fault_random(&state) % CDC_FAULT_HALT_US;
        break;

    case 1:
        cdc_fault_life.us = 1 + cdc_fault_random(&state) % CDC_FAULT_LATER_US;
        cdc_fault_life.later = 1;
        break;

    default:
        break;
    }

    cdc_fault_life.mortal = 1;
}


static void
cdc_fault_note(const char *point)
{
    int   fd, n;
    char  path[PATH_MAX], text[256];

    cdc_fault_path(path, "deaths", "");

    n = snprintf(text, sizeof(text), "%s %u %s %s %u ms=%u wanted=%s\n",
                 cdc_fault_life.role, cdc_fault_life.life, point,
                 cdc_fault_life.later ? "later" : cdc_fault_life.us ? "halt"
                 : "now", cdc_fault_life.us,
                 (unsigned) (cdc_now_ms() - cdc_fault_life.begun),
                 cdc_fault_life.point);

    fd = open(path, O_WRONLY|O_APPEND|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1 || write(fd, text, (size_t) n) != n) {
        cdc_fault_die("the file of deaths cannot be written");
    }

    (void) close(fd);
}


static void
cdc_fault_end(void)
{
    timer_t            timer;
    struct sigevent    event;
    struct itimerspec  when;

    if (!cdc_fault_life.later) {
        (void) usleep(cdc_fault_life.us);
        (void) raise(SIGKILL);
    }

    memset(&event, 0, sizeof(struct sigevent));
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;

    memset(&when, 0, sizeof(struct itimerspec));
    when.it_value.tv_nsec = (long) cdc_fault_life.us * 1000;

    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == -1
        || timer_settime(timer, 0, &when, NULL) == -1)
    {
        cdc_fault_die("no timer");
    }
}


void
cdc_fault(const char *point)
{
    int  hit;

    if (!cdc_fault_life.mortal) {
        return;
    }

    (void) cdc_fault_find(point);

    while (__atomic_exchange_n(&cdc_fault_life.lock, 1, __ATOMIC_ACQUIRE)) {
        (void) usleep(1);
    }

    hit = 0;

    if (!cdc_fault_life.dying) {
        hit = strcmp(point, cdc_fault_life.point) == 0
              ? --cdc_fault_life.left == 0
              : !cdc_fault_life.patient
                && cdc_now_ms() - cdc_fault_life.begun > CDC_FAULT_PATIENCE;
        cdc_fault_life.dying = hit;
    }

    __atomic_store_n(&cdc_fault_life.lock, 0, __ATOMIC_RELEASE);

    if (hit) {
        cdc_fault_note(point);
        cdc_fault_end();
    }
}

#endif
