/*
 * A clock that is set while a program runs: what is in the file JUMP_FILE,
 * 8 bytes, is added to the time of day, in seconds.  For LD_PRELOAD.
 *
 * The monotonic clock stays as it is.  Who waits until a time of day waits by
 * the kernel's clock, so those times are put back by the same seconds; they
 * are told from monotonic ones by their size.  libfaketime takes a wait on
 * the monotonic clock for one on the other and lets it end at once.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


#define JUMP_TIME_OF_DAY  1000000000


static const volatile int64_t  *jump_file;


static void  jump_init(void) __attribute__((constructor));

static void
jump_init(void)
{
    int          fd;
    void        *p;
    const char  *name;

    name = getenv("JUMP_FILE");
    fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;

    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);

    if (p != MAP_FAILED) {
        jump_file = p;
    }
}


static int64_t
jump(void)
{
    return jump_file ? *jump_file : 0;
}


static const struct timespec *
jump_back(const struct timespec *at, struct timespec *copy)
{
    if (at == NULL || at->tv_sec < JUMP_TIME_OF_DAY) {
        return at;
    }

    *copy = *at;
    copy->tv_sec -= jump();

    return copy;
}


static long
jump_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    static long  (*next)(long n, ...);

    if (next == NULL) {
        *(void **) &next = dlsym(RTLD_NEXT, "syscall");
    }

    return next(n, a, b, c, d, e, f);
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int  rc;

    rc = (int) jump_syscall(SYS_clock_gettime, id, (long) ts, 0, 0, 0, 0);

    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        ts->tv_sec += jump();
    }

    return rc;
}


int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec  ts;

    (void) tz;
    (void) clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}


time_t
time(time_t *t)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    if (t != NULL) {
        *t = ts.tv_sec;
    }

    return ts.tv_sec;
}


int
pthread_cond_timedwait(pthread_cond_t *restrict cond,
    pthread_mutex_t *restrict mutex, const struct timespec *restrict at)
{
    struct timespec  copy;

    static int  (*next)(pthread_cond_t *, pthread_mutex_t *,
                        const struct timespec *);

    if (next == NULL) {
        *(void **) &next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait",
                                  "GLIBC_2.3.2");
    }

    return next(cond, mutex, jump_back(at, &copy));
}


int
sem_timedwait(sem_t *restrict sem, const struct timespec *restrict at)
{
    struct timespec  copy;

    static int  (*next)(sem_t *, const struct timespec *);

    if (next == NULL) {
        *(void **) &next = dlsym(RTLD_NEXT, "sem_timedwait");
    }

    return next(sem, jump_back(at, &copy));
}


/* what waits on a futex by itself: absl, in gRPC */

long
syscall(long n, ...)
{
    long             a, b, c, d, e, f;
    va_list          args;
    struct timespec  copy;

    va_start(args, n);
    a = va_arg(args, long);
    b = va_arg(args, long);
    c = va_arg(args, long);
    d = va_arg(args, long);
    e = va_arg(args, long);
    f = va_arg(args, long);
    va_end(args);

    if (n == SYS_futex && (b & FUTEX_CLOCK_REALTIME)) {
        d = (long) jump_back((const struct timespec *) d, &copy);
    }

    return jump_syscall(n, a, b, c, d, e, f);
}
