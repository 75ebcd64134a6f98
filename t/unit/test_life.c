/* are these checkpoints the last ones, or a copy? */

#include "cdc_replicator.h"
#include "tap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>


static char        dir[] = "/tmp/cdc-unit-XXXXXX";
static char        task[64], err[CDC_REASON_MAX];
static cdc_repl_t  r;


static void __attribute__((format(printf, 1, 2)))
sh(const char *fmt, ...)
{
    char     command[512];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);

    if (system(command) != 0) {
        abort();
    }
}


/* a life of the task begins */

static int
life(void)
{
    memset(&r, 0, sizeof(cdc_repl_t));
    err[0] = '\0';
    r.dir = task;

    if (cdc_checkpoint_open(&r, err) != CDC_OK) {
        return CDC_ERROR;
    }

    if (!r.copied) {
        cdc_checkpoint_life(&r);
    }

    return CDC_OK;
}


/* and ends: killed, or by an orderly stop */

static void
ends(int stop)
{
    r.started = 1;

    if (stop) {
        (void) cdc_checkpoint_last(&r);
    }

    cdc_checkpoint_close(&r);
}


static int
refused(const char *text)
{
    int  rc;

    rc = life();
    ends(0);

    return rc == CDC_ERROR && strstr(err, text) != NULL;
}


static int
copied(void)
{
    int  is;

    is = life() == CDC_OK && r.copied;
    ends(0);

    return is;
}


static void
test_new(void)
{
    sh("mkdir %s", task);
    ok(refused("missing from"), "an empty directory is not a new task");

    sh("touch %s/new", task);
    is_int(life(), CDC_OK, "with the store's file it is");
    is_int(r.copied, 0, "and no copy");
    ends(0);
    sh("cp -a %s %s/early", task, dir);

    is_int(life(), CDC_OK, "a kill before it has begun");
    is_int(r.copied, 0, "changes nothing");
    ends(1);
    cdc_life_started(&r);
    ok(access(task, F_OK) == 0, "it has begun");

    is_int(life(), CDC_OK, "and goes on");
    is_int(r.started, 1, "as what it is");
    is_int(r.copied, 0, "no copy");
    ends(0);
    is_int(copied(), 0, "killed: no copy");
    (void) life();
    ends(1);
    is_int(copied(), 0, "stopped: no copy");
}


static void
test_copies(void)
{
    (void) life();
    ends(1);
    sh("cp -a %s %s/copy", task, dir);
    is_int(copied(), 0, "what was copied is none");

    sh("rm -r %s && cp -a %s/copy %s", task, dir, task);
    is_int(copied(), 1, "a copy in its place is one");
    is_int(copied(), 1, "and stays one until that is settled");

    (void) life();
    cdc_life_next(&r);
    ends(1);
    is_int(copied(), 0, "which makes this its place");

    /* cp writes into the files that are there: they keep their inodes */

    (void) life();
    ends(1);
    sh("rm -r %s/copy && cp -a %s %s/copy", dir, task, dir);
    (void) life();
    ends(0);
    sh("cp -a %s/copy/. %s", dir, task);
    is_int(copied(), 1, "one that is written over the former");

    (void) life();
    cdc_life_next(&r);
    ends(1);
    sh("mv %s %s/moved && mv %s/moved %s", task, dir, dir, task);
    is_int(copied(), 0, "a directory that is renamed is none");

    sh("rm %s/life", task);
    is_int(copied(), 1, "the administrator says that it is one");

    sh("rm -r %s && cp -a %s/early %s", task, dir, task);
    ok(refused("before the task had begun"),
       "one from before the task had begun is of no use");
}


/* a crash between the batch that names the next file and its new name */

static void
test_crash(void)
{
    sh("rm -r %s && mkdir %s && touch %s/new", task, task, task);
    (void) life();
    ends(1);
    sh("mv %s/life %s/life.new", task, task);
    is_int(copied(), 0, "the next file counts before it has its name");
    ok(access(task, F_OK) == 0, "and gets it");

    (void) life();
    ends(1);
    sh("touch %s/life.new", task);
    is_int(copied(), 0, "one that no batch names does not count");
}


static void
test_lost(void)
{
    (void) life();
    ends(1);
    sh("cp -a %s %s/whole", task, dir);

    sh("rm %s/CURRENT", task);
    ok(refused("missing from"), "without CURRENT it is not begun again");

    sh("touch %s/new", task);
    ok(refused("CURRENT is missing"), "not even as a new one");
    sh("ls %s/*.l* >/dev/null", task);
    ok(1,
       "and nothing of it is removed");

    sh("rm -r %s", task);
    ok(refused("missing from"), "nor without its directory");
    ok(access(task, F_OK) == -1, "which is not made");
}


/* a drop's message needs a tick behind it that the target has */

static void
test_ticks(void)
{
    cdc_lane_t  *lane;

    sh("mkdir %s && touch %s/new", task, task);
    (void) life();
    lane = cdc_lane_get(&r, "by-dev-rootcoord-dml_0");
    lane->tick_sent = 1000;
    lane->tick_clear = 2000;             /* it was not sent */
    ends(1);
    cdc_lane_free(lane);

    (void) life();
    lane = r.lanes;
    is_int((int64_t) lane->tick_want, 1000, "what was sent is known");
    is_int((int64_t) cdc_lane_known(lane), 2000, "and what is there anyway");
    ends(0);
    cdc_lane_free(lane);
}


static void
halt(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


static void
run(unsigned ms)
{
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(cdc_timer_t));
    tm.handler = halt;
    tm.data = r.loop;
    cdc_timer_add(r.loop, &tm, ms);
    (void) cdc_loop_run(r.loop);
}


static int
load(int state)
{
    int      rc;
    json_t  *json;

    json = json_pack("{s:I,s:I,s:s,s:s,s:i,s:I,s:I,s:I,s:b,s:b,"
                     "s:[{s:s,s:s,s:s,s:s,s:[i,i],s:[i,i]}],s:[]}",
                     "id", (json_int_t) 7, "target_id", (json_int_t) 1007,
                     "db", "default", "name", "c",
                     "state", state, "created", (json_int_t) 1,
                     "pk", (json_int_t) 100, "num_partitions", (json_int_t) 0,
                     "initial", 0, "adopted", 0, "shards",
                     "source", "s_1v0", "channel", "s_1",
                     "target", "t_5v0", "lane", "t_5",
                     "start", 0, 0, "listed", 0, 0, "partitions");

    if (json == NULL) {
        abort();
    }

    rc = cdc_coll_load(&r, json);
    json_decref(json);

    return rc;
}


static cdc_coll_t *
collection(void)
{
    if (load(CDC_COLL_LIVE) != CDC_OK) {
        abort();
    }

    return cdc_coll_by_id(&r, 7);
}


static void
forget(void)
{
    cdc_lane_free(r.lanes);
    cdc_channel_free(r.channels);
    cdc_coll_free(r.colls);
}


/* nothing would ever be done about one whose state is none */

static void
test_states(void)
{
    memset(&r, 0, sizeof(cdc_repl_t));
    is_int(load(CDC_COLL_DROPPING + 1), CDC_ERROR, "a state that is none");
    is_int(load(-1), CDC_ERROR, "nor is that one");
    is_int(load(CDC_COLL_DROPPING), CDC_OK, "the last one is");
    forget();
}


/* a disk that is full for a moment: the next batch has all that it had */

static void
test_failed(void)
{
    int             fds[2];
    cdc_coll_t     *c;
    cdc_conn_t      control;
    cdc_role_t      role;
    cdc_channel_t  *ch;
    struct rlimit   old, rl;

    sh("rm -rf %s && mkdir %s && touch %s/new", task, task, task);
    (void) life();

    memset(&control, 0, sizeof(cdc_conn_t));
    memset(&role, 0, sizeof(cdc_role_t));
    r.loop = cdc_loop_create();

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, fds) == -1
        || cdc_conn_open(&control, r.loop, fds[0]) != CDC_OK)
    {
        abort();
    }

    role.control = &control;
    r.role = &role;
    r.disk_worker = cdc_worker_create(r.loop, "disk");
    r.started = 1;

    c = collection();
    c->dirty = 1;
    ch = c->shards[0].ch;
    ch->placed = ch->dirty = 1;
    c->count.rows_out = 100;
    c->counted = 1;
    cdc_checkpoint_now(&r);
    run(300);

    (void) signal(SIGXFSZ, SIG_IGN);
    (void) getrlimit(RLIMIT_FSIZE, &old);
    rl = old;
    rl.rlim_cur = 0;
    (void) setrlimit(RLIMIT_FSIZE, &rl);

    c->count.rows_out = 200;
    c->counted = 1;
    cdc_coll_operation(c, "CreateIndex");
    ch->dirty = 1;
    cdc_checkpoint_now(&r);
    run(300);
    ok(r.status.errors == 1, "a batch fails: %s", r.status.error);

    (void) setrlimit(RLIMIT_FSIZE, &old);
    run(1500);
    ok(r.cause[CDC_CAUSE_DISK][0] == '\0', "the next one does not");

    cdc_worker_destroy(r.disk_worker);
    r.disk_worker = NULL;
    cdc_checkpoint_close(&r);
    cdc_conn_close(&control);
    (void) close(fds[1]);
    forget();
    cdc_loop_destroy(r.loop);

    is_int(life(), CDC_OK, "the next life");
    c = cdc_coll_by_id(&r, 7);
    is_int((int64_t) c->count.rows_out, 200, "knows of the rows");
    is_str(c->last.operation, "CreateIndex", "and of the operation");
    ends(0);
    forget();
}


int
main(void)
{
    cdc_log_init("", NULL, CDC_LOG_EMERG);

    if (mkdtemp(dir) == NULL) {
        abort();
    }

    (void) snprintf(task, sizeof(task), "%s/task", dir);

    test_new();
    test_copies();
    test_crash();
    test_lost();
    test_ticks();
    test_states();
    test_failed();

    sh("rm -r %s", dir);

    return done_testing();
}
