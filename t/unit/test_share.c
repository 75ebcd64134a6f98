/*
 * The file that tasks of one target share: what is left of it when one of
 * them is killed, when the machine starts again, and whose turn it is.
 */

#include "cdc_share.h"
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>


static char         dir[64];
static cdc_loop_t  *loop;
static int          asked;


static void
ready(void *arg)
{
    (void) arg;

    asked++;
}


static cdc_share_t *
opened(void (*fn)(void *arg), void *arg)
{
    char          err[CDC_REASON_MAX];
    cdc_share_t  *s;

    s = cdc_share_open(loop, dir, "Target:19530", "by-dev/dml_0", fn, arg,
                       err);
    if (s == NULL) {
        printf("# %s\n", err);
        exit(1);
    }

    return s;
}


static void
stop(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


static void
run(unsigned ms)
{
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(tm));
    tm.handler = stop;
    tm.data = loop;
    cdc_timer_add(loop, &tm, ms);
    (void) cdc_loop_run(loop);
    cdc_timer_del(loop, &tm);
}


static void
unlinks(void)
{
    char  cmd[128];

    (void) snprintf(cmd, sizeof(cmd), "rm -rf '%s/targets'", dir);

    if (system(cmd) != 0) {
        exit(1);
    }
}


/* a process that enters, sends a tick, and says so; it is killed like that */

static pid_t
sender(uint64_t tick, int sending)
{
    int           fds[2];
    char          c;
    pid_t         pid;
    cdc_share_t  *s;

    if (pipe(fds) == -1) {
        exit(1);
    }

    (void) fflush(stdout);
    pid = fork();

    if (pid == 0) {
        loop = cdc_loop_create();
        s = opened(ready, NULL);

        while (cdc_share_enter(s, 1, 0, 0) != CDC_OK) {
            run(5);
        }

        cdc_share_put_tick(s, tick);

        if (sending) {
            cdc_share_sending(s);
        }

        (void) !write(fds[1], "x", 1);
        (void) pause();
        _exit(0);
    }

    (void) !read(fds[0], &c, 1);
    (void) close(fds[0]);
    (void) close(fds[1]);

    return pid;
}


static void
end(pid_t pid)
{
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
}


static void
test_killed(void)
{
    pid_t         pid;
    uint64_t      begin;
    cdc_share_t  *s;

    pid = sender(1000, 1);
    s = opened(ready, NULL);
    is_int(cdc_share_enter(s, 1, 0, 0), CDC_AGAIN, "another one is sending");
    asked = 0;
    run(50);
    is_int(asked, 0, "and one waits for it");

    end(pid);
    begin = cdc_now_ms();
    run(200);
    ok(asked >= 1, "killed: the next is asked at once");
    is_int(cdc_share_enter(s, 1, 0, 0), CDC_AGAIN, "but its request may live");
    asked = 0;

    while (asked == 0 && cdc_now_ms() < begin + 3000) {
        run(20);
    }

    ok(cdc_now_ms() - begin >= CDC_SHARE_QUIET_MS - 20,
       "it gets a second to end");
    is_int(cdc_share_enter(s, 1, 0, 0), CDC_OK, "then the next one enters");
    is_int(cdc_share_tick(s), 1000, "and knows its tick");
    cdc_share_put_tick(s, 900);
    is_int(cdc_share_tick(s), 1000, "which never goes back");
    cdc_share_leave(s, CDC_OK);
    cdc_share_close(s);

    pid = sender(2000, 0);
    end(pid);
    s = opened(ready, NULL);
    is_int(cdc_share_enter(s, 1, 0, 0), CDC_OK, "killed while it sent nothing");
    is_int(cdc_share_tick(s), 2000, "no wait, and its tick is known");
    cdc_share_close(s);
}


/* the file as the machine's last boot left it */

static void
test_boot(void)
{
    int           fd;
    char          path[160];
    cdc_share_t  *s;

    (void) snprintf(path, sizeof(path),
                    "%s/targets/%%54arget:19530/by-dev%%2fdml_0", dir);

    fd = open(path, O_RDWR);
    ok(fd != -1, "the file has a name that holds no other path");

    if (pwrite(fd, "another boot of it", 18, 8) != 18) {
        exit(1);
    }

    (void) close(fd);

    s = opened(ready, NULL);
    is_int(cdc_share_enter(s, 1, 500, 7000), CDC_OK, "after another boot");
    is_int(cdc_share_tick(s), 7000, "ticks go on at the target's clock");
    cdc_share_close(s);

    s = opened(ready, NULL);
    is_int(cdc_share_enter(s, 1, 500, 9000), CDC_OK, "in the same boot");
    is_int(cdc_share_tick(s), 7000, "the clock does not matter");
    cdc_share_close(s);

    unlinks();
    s = opened(ready, NULL);
    is_int(cdc_share_alone(s), 0, "nothing is early before it was checked");
    is_int(cdc_share_enter(s, 1, 500, 9000), CDC_OK, "a file that is new");
    is_int(cdc_share_tick(s), 500, "holds what its maker may have sent");
    cdc_share_leave(s, CDC_OK);
    is_int(cdc_share_alone(s), 1, "and it is alone");
    cdc_share_close(s);
}


/* two processes that always want in, the one for longer than the other */

typedef struct {
    cdc_share_t  *share;
    cdc_timer_t   timer;
    unsigned      hold, turns;
    unsigned     *inside;
} busy_t;

static void  work(void *arg);

static void
worked(cdc_timer_t *tm)
{
    busy_t  *b = tm->data;

    (void) __atomic_sub_fetch(b->inside, 1, __ATOMIC_SEQ_CST);
    b->turns++;
    cdc_share_leave(b->share, CDC_OK);
    work(b);
}


static void
work(void *arg)
{
    busy_t  *b = arg;

    if (cdc_share_enter(b->share, 1, 0, 0) != CDC_OK) {
        return;
    }

    if (__atomic_add_fetch(b->inside, 1, __ATOMIC_SEQ_CST) != 1) {
        b->inside[1]++;
    }

    cdc_share_sending(b->share);
    cdc_timer_add(loop, &b->timer, b->hold);
}


static unsigned
always(unsigned hold, unsigned *inside)
{
    busy_t  b;

    memset(&b, 0, sizeof(b));
    loop = cdc_loop_create();
    b.share = opened(work, &b);
    b.timer.handler = worked;
    b.timer.data = &b;
    b.hold = hold;
    b.inside = inside;

    work(&b);
    run(4000);

    return b.turns;
}


static void
test_fair(void)
{
    int        i;
    pid_t      pids[3];
    unsigned  *memory;

    unlinks();

    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        exit(1);
    }

    (void) fflush(stdout);

    for (i = 0; i < 3; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            memory[8 + i] = always(i ? 1 : 10, memory);
            _exit(0);
        }
    }

    for (i = 0; i < 3; i++) {
        (void) waitpid(pids[i], NULL, 0);
        printf("# holds it for %u ms: %u turns in 4 s\n", i ? 1 : 10,
               memory[8 + i]);
    }

    is_int(memory[1], 0, "never two at once");

    for (i = 1; i < 3; i++) {
        ok(memory[8 + i] * 3 > memory[8] && memory[8] * 3 > memory[8 + i]
           && memory[8] > 20, "the same number of turns, more or less");
    }

    (void) munmap(memory, 4096);
}


int
main(void)
{
    (void) snprintf(dir, sizeof(dir), "/tmp/test_share.XXXXXX");

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    loop = cdc_loop_create();

    test_killed();
    test_boot();
    test_fair();

    unlinks();
    (void) rmdir(dir);
    cdc_loop_destroy(loop);

    return done_testing();
}
