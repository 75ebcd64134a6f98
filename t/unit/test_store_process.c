/*
 * The store as a process: the test is its supervisor and its workers, and
 * the targets are of a kind of their own, so that a probe can be slow or
 * fail at will.  Real targets are tried by the suites of t/.
 */

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cdc_store.h"
#include "tap.h"


static char               dir[] = "/tmp/cdc-unit-XXXXXX";
static pid_t              store;
static int                control, stop_pipe;
static int                max_tasks = 3;
static cdc_frame_t        frame;         /* the last one read */
static uint8_t           *payload;
static cdc_task_record_t  record;        /* of the last TASK */


/* ---- targets: the host's name says how they behave --- */

struct cdc_target_s {
    char  host[64];
};


static cdc_target_t *
fake_open(const cdc_target_conf_t *conf, char *err)
{
    cdc_target_t  *t;

    (void) err;

    t = calloc(1, sizeof(cdc_target_t));
    (void) snprintf(t->host, sizeof(t->host), "%s", conf->address);

    return t;
}


static void
fake_close(cdc_target_t *t)
{
    free(t);
}


static int
fake_hello(cdc_target_t *t, cdc_target_info_t *info, cdc_target_error_t *err)
{
    (void) snprintf(info->version, sizeof(info->version), "v2.3.5-x");
    info->replicate = 1;

    if (strncmp(t->host, "slow", 4) == 0) {
        (void) usleep(300000);

    } else if (strncmp(t->host, "stuck", 5) == 0) {
        (void) usleep(3000000);

    } else if (strncmp(t->host, "denies", 6) == 0) {
        info->replicate = 0;

    } else if (strncmp(t->host, "new", 3) == 0) {
        (void) snprintf(info->version, sizeof(info->version), "2.6.0");
        info->replicate = 0;

    } else if (strncmp(t->host, "down", 4) == 0) {
        err->class = CDC_TARGET_RETRY;
        err->transport = 1;
        err->code = 14;
        return CDC_ERROR;

    } else if (strncmp(t->host, "login", 5) == 0) {
        err->class = CDC_TARGET_DENIED;
        err->transport = 1;
        err->code = 16;
        return CDC_ERROR;

    } else if (strncmp(t->host, "rights", 6) == 0) {
        info->replicate = 0;
        (void) snprintf(info->why_not, sizeof(info->why_not), "no privilege "
                        "(cure: give it the role admin)");

    } else if (strncmp(t->host, "odd", 3) == 0) {
        err->class = CDC_TARGET_REFUSED;
        err->transport = 1;
        err->code = 12;
        (void) snprintf(err->text, sizeof(err->text), "unknown method");
        return CDC_ERROR;
    }

    return CDC_OK;
}


static const cdc_target_ops_t  fake_target = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .hello = fake_hello
};


/* ---- the store's process --- */

static void
child_stop(cdc_event_t *ev, unsigned events)
{
    char         c;
    cdc_role_t  *role = ev->data;

    (void) events;

    if (read(ev->fd, &c, 1) == 1) {
        role->on_stop(role->data);
    }
}


static cdc_role_t  child_role;


static void
child_closed(cdc_conn_t *c)
{
    (void) c;
    child_role.on_stop(child_role.data);
}


static int
child_main(int fd, int pipe_fd)
{
    int           rc;
    char         *init;
    cdc_conn_t    conn;
    cdc_event_t   ev;

    cdc_log_init("", NULL, CDC_LOG_EMERG);
    cdc_probe_ops = &fake_target;
    (void) umask(077);
    (void) signal(SIGPIPE, SIG_IGN);

    memset(&conn, 0, sizeof(conn));
    memset(&ev, 0, sizeof(ev));
    memset(&child_role, 0, sizeof(child_role));

    if (asprintf(&init, "{\"state_dir\":\"%s\",\"max_tasks\":%d,"
                 "\"drain_timeout\":100,\"allow_target\":[],"
                 "\"sources\":{\"main\":{}}}", dir, max_tasks) == -1)
    {
        return 1;
    }

    child_role.loop = cdc_loop_create();
    child_role.control = &conn;
    child_role.init = init;
    child_role.init_len = strlen(init);

    (void) cdc_conn_open(&conn, child_role.loop, fd);
    conn.closed = child_closed;
    ev.fd = pipe_fd;
    ev.handler = child_stop;
    ev.data = &child_role;
    (void) cdc_event_add(child_role.loop, &ev, EPOLLIN);

    rc = cdc_store_main(&child_role);

    cdc_event_del(child_role.loop, &ev);
    cdc_conn_close(&conn);
    free(init);

    /* as in main(), the loop stays: a probe may still be running */

    return rc;
}


static void
start(void)
{
    int  fd[2], p[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1 || pipe(p) == -1) {
        abort();
    }

    (void) fflush(stdout);
    store = fork();

    if (store == 0) {
        close(fd[0]);
        close(p[1]);
        exit(child_main(fd[1], p[0]));
    }

    close(fd[1]);
    close(p[0]);
    control = fd[0];
    stop_pipe = p[1];
}


static int
ended(void)
{
    int  status;

    (void) waitpid(store, &status, 0);
    close(control);
    close(stop_pipe);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}


/* ---- frames --- */

static int
read_all(int fd, void *buf, size_t len, int ms)
{
    size_t         at;
    ssize_t        n;
    struct pollfd  pfd = { fd, POLLIN, 0 };

    for (at = 0; at < len; at += (size_t) n) {

        if (poll(&pfd, 1, ms) <= 0) {
            return CDC_AGAIN;
        }

        n = read(fd, (char *) buf + at, len - at);

        if (n <= 0) {
            return CDC_DONE;
        }
    }

    return CDC_OK;
}


static int
read_frame(int fd, int ms)
{
    int  rc;

    rc = read_all(fd, &frame, sizeof(frame), ms);

    if (rc != CDC_OK) {
        frame.type = 0;
        return rc;
    }

    payload = realloc(payload, frame.len + 1);
    payload[frame.len] = '\0';

    rc = read_all(fd, payload, frame.len, ms);

    if (frame.type == CDC_FRAME_TASK) {
        memcpy(&record, payload, sizeof(record));
    }

    return rc;
}


static void
write_frame(int fd, uint16_t type, uint64_t id, const void *data, size_t len)
{
    cdc_frame_t  f = { (uint32_t) len, type, 0, id };

    (void) !write(fd, &f, sizeof(f));
    (void) !write(fd, data, len);
}


static void
ack(void)
{
    write_frame(control, CDC_FRAME_ACK, frame.id, "", 0);
}


static void
stopped(const char *id)
{
    write_frame(control, CDC_FRAME_STOPPED, 0, id, strlen(id));
}


static int
client(void)
{
    int                 fd, i;
    struct sockaddr_un  sun = { .sun_family = AF_UNIX };

    (void) snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/api.sock", dir);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);

    for (i = 0; i < 1000; i++) {
        if (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) == 0) {
            return fd;
        }

        (void) usleep(2000);
    }

    return fd;
}


static void
request(int fd, uint64_t id, const char *type, const char *data)
{
    int    n;
    char  *text;

    n = asprintf(&text, "{\"request_type\":\"%s\",\"request_data\":%s,"
                 "\"source\":\"main\"}", type, data);
    write_frame(fd, CDC_FRAME_REQUEST, id, text, n);
    free(text);
}


static void
create(int fd, uint64_t id, const char *task, const char *host)
{
    char  *data;

    (void) !asprintf(&data, "{\"task_id\":\"%s\",\"milvus_connect_param\":"
                     "{\"uri\":\"http://%s:1\",\"token\":\"s3cret\","
                     "\"connect_timeout\":1},\"collection_infos\":"
                     "[{\"name\":\"*\"}]}", task, host);
    request(fd, id, "create", data);
    free(data);
}


static void
by_id(int fd, uint64_t id, const char *type, const char *task)
{
    char  *data;

    (void) !asprintf(&data, "{\"task_id\":\"%s\"}", task);
    request(fd, id, type, data);
    free(data);
}


static void
answers(int fd, uint64_t id, cdc_error_e err, const char *text,
    const char *name)
{
    if (read_frame(fd, 5000) != CDC_OK || frame.type != CDC_FRAME_ANSWER) {
        ok(0, "%s: no answer", name);
        return;
    }

    is_int(frame.id, id, name);
    is_int(frame.status, err, name);
    is_str((char *) payload, text, name);
}


/* the next frame to the supervisor is a TASK in this state */

static void
shows(const char *id, cdc_task_state_e state, const char *reason,
    const char *name)
{
    if (read_frame(control, 5000) != CDC_OK || frame.type != CDC_FRAME_TASK) {
        ok(0, "%s: no TASK", name);
        return;
    }

    is_str(record.task_id, id, name);
    is_int(record.state, state, name);
    is_str(record.reason, reason, name);
}


static void
nothing(int fd, const char *name)
{
    is_int(read_frame(fd, 60), CDC_AGAIN, name);
}


static int
exists(const char *format, const char *arg)
{
    char         path[256];
    struct stat  st;

    (void) snprintf(path, sizeof(path), format, dir, arg);

    return stat(path, &st) == 0;
}


static void
make_dir(const char *id)
{
    char  path[256];

    (void) snprintf(path, sizeof(path), "%s/tasks", dir);
    (void) mkdir(path, 0700);
    (void) snprintf(path, sizeof(path), "%s/tasks/%s", dir, id);
    (void) mkdir(path, 0700);
}


/* ---- tests --- */

static void
test_create(int c)
{
    int       gone;
    uint64_t  id, seq;

    create(c, 1, "a", "one");
    shows("a", CDC_TASK_RUNNING, "", "create sends TASK");
    is_int(record.revision, 1, "revision 1");
    ok(memmem(&record, sizeof(record), "s3cret", 6) == NULL, "no secret");
    nothing(c, "no answer before the ACK");
    ack();
    answers(c, 1, CDC_E_OK, "{\"task_id\":\"a\"}", "created");

    create(c, 2, "a", "two");
    answers(c, 2, CDC_E_OK, "{\"task_id\":\"a\"}", "the same id again");
    nothing(control, "changes nothing");

    create(c, 3, "b", "one");
    answers(c, 3, CDC_E_DUPLICATE_COLLECTION, "the collection name is "
            "duplicate with existing task, [default.*]", "a duplicate");

    create(c, 4, "../b", "two");
    answers(c, 4, CDC_E_BAD_TASK_ID, "the task_id is invalid, it should be 1 "
            "to 255 characters of [A-Za-z0-9_.-]", "an id that is a path");

    /* the client goes away while the probe runs */

    gone = client();
    create(gone, 1, "b", "slow-b");
    (void) usleep(50000);
    close(gone);
    shows("b", CDC_TASK_RUNNING, "", "a create survives its client");
    ack();

    /* two at once for one target */

    create(c, 5, "c", "slow-c");
    (void) usleep(50000);                /* c comes first */
    create(c, 6, "d", "slow-c");
    create(c, 7, "c", "slow-c");
    shows("c", CDC_TASK_RUNNING, "", "one of two racing creates wins");
    seq = frame.id;
    answers(c, 6, CDC_E_DUPLICATE_COLLECTION, "the collection name is "
            "duplicate with existing task, [default.*]", "the other loses");
    /* in either order */

    frame.id = seq;
    ack();
    (void) read_frame(c, 5000);
    id = frame.id;
    ok(id == 5 || id == 7, "both that asked for it");
    is_str((char *) payload, "{\"task_id\":\"c\"}", "get the one id");
    answers(c, 12 - id, CDC_E_OK, "{\"task_id\":\"c\"}", "the second, too");

    create(c, 8, "e", "five");
    answers(c, 8, CDC_E_TASK_LIMIT, "the task num has reach the limit, 3",
            "the limit");
}


static void
test_states(int c)
{
    by_id(c, 1, "pause", "nope");
    answers(c, 1, CDC_E_NOT_FOUND, "not found the task, task_id: nope",
            "pause an unknown task");
    by_id(c, 2, "resume", "a");
    answers(c, 2, CDC_E_HAS_RUNNING, "the task has running, task_id: a",
            "resume a running task");

    by_id(c, 3, "pause", "a");
    shows("a", CDC_TASK_PAUSED, "manually pause through http interface",
          "pause");
    is_int(record.revision, 2, "grows the revision");
    nothing(c, "the answer waits for the ACK");
    ack();
    answers(c, 3, CDC_E_OK, "{}", "paused");

    by_id(c, 4, "pause", "a");
    answers(c, 4, CDC_E_HAS_PAUSED, "the task has paused, task_id: a",
            "pause a paused task");

    by_id(c, 5, "resume", "a");
    shows("a", CDC_TASK_RUNNING, "", "resume clears the reason");
    ack();
    answers(c, 5, CDC_E_OK, "{}", "resumed");

    write_frame(control, CDC_FRAME_FAILED, 0, "b\0topic x: gone", 15);
    shows("b", CDC_TASK_PAUSED, "topic x: gone", "FAILED pauses");
    ack();
    write_frame(control, CDC_FRAME_FAILED, 0, "b\0again", 7);
    nothing(control, "once");

    write_frame(control, CDC_FRAME_ASK, 4711, "a", 1);
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_CONFIG, "ASK is answered by CONFIG");
    is_int(frame.id, 4711, "with its id");
    is_str((char *) payload, "a", "the task's id first");
    ok(strstr((char *) payload + 2, "s3cret") != NULL, "and its secrets");

    by_id(c, 6, "frob", "a");
    answers(c, 6, CDC_E_REQUEST_TYPE,
            cdc_error_row(CDC_E_REQUEST_TYPE)->text, "an unknown request");
}


static void
test_delete(int c)
{
    make_dir("c");

    request(c, 1, "delete", "{\"task_id\":\"zz\"}");
    answers(c, 1, CDC_E_NOT_FOUND, "not found the task, task_id: zz",
            "delete an unknown task");
    request(c, 2, "delete",
            "{\"task_id\":\"zz\",\"ignore_not_found\":true}");
    answers(c, 2, CDC_E_OK, "{}", "which may be ignored");

    by_id(c, 3, "delete", "c");
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_GONE, "delete sends GONE");
    is_str((char *) payload, "c", "with the id");
    nothing(c, "the answer waits for the ACK");
    ack();
    answers(c, 3, CDC_E_OK, "{}", "deleted");
    ok(exists("%s/tasks/%s", "c"), "its directory waits for the replicator");

    /* the same id again, before the former one has ended */

    create(c, 4, "c", "three");
    nothing(control, "and so does a create of that id");
    stopped("c");
    shows("c", CDC_TASK_RUNNING, "", "until STOPPED");
    ack();
    answers(c, 4, CDC_E_OK, "{\"task_id\":\"c\"}", "then it is made");
    ok(!exists("%s/tasks/%s", "c"), "without the former directory");

    make_dir("c");
    stopped("c");
    (void) usleep(50000);
    ok(exists("%s/tasks/%s", "c"), "STOPPED of a living task removes nothing");
}


static void
test_probes(int c)
{
    uint64_t  start_ms;

    by_id(c, 1, "delete", "b");
    (void) read_frame(control, 5000);
    ack();
    answers(c, 1, CDC_E_OK, "{}", "room for one");
    stopped("b");

    create(c, 2, "p", "denies");
    answers(c, 2, CDC_E_TARGET_DENIES, "the target http://denies:1 refuses "
            "replicated messages: set common.ttMsgEnabled: false in its "
            "milvus.yaml and restart it (a source cluster refuses them as "
            "well: check that the target is not the source)", "ttMsgEnabled");
    create(c, 3, "p", "new");
    answers(c, 3, CDC_E_TARGET_VERSION, "the target http://new:1 runs Milvus "
            "2.6.0, which does not take replicated messages: use a target of "
            "version 2.3 to 2.5", "version");
    create(c, 4, "p", "login");
    answers(c, 4, CDC_E_TARGET_AUTH, "the target http://login:1 refuses the "
            "user, password or token", "login");
    create(c, 5, "p", "rights");
    answers(c, 5, CDC_E_TARGET_DENIES, "the target http://rights:1 refuses "
            "replicated messages: no privilege (cure: give it the role "
            "admin)", "rights");
    create(c, 5, "p", "odd");
    answers(c, 5, CDC_E_CONNECT_FAILED, "fail to connect the milvus: rpc "
            "error: code = Unimplemented desc = unknown method", "no Milvus");

    /* a target that is down holds nobody up */

    start_ms = cdc_now_ms();
    create(c, 6, "p", "down");
    by_id(c, 7, "pause", "nope");
    answers(c, 7, CDC_E_NOT_FOUND, "not found the task, task_id: nope",
            "served meanwhile");
    ok(cdc_now_ms() - start_ms < 300, "at once");
    answers(c, 6, CDC_E_CONNECT_FAILED, "fail to connect the milvus: rpc "
            "error: code = DeadlineExceeded desc = context deadline "
            "exceeded", "down");
    ok(cdc_now_ms() - start_ms >= 700, "after connect_timeout");
}


static void
test_broken_clients(int c)
{
    int          i, fd;
    cdc_frame_t  f = { CDC_FRAME_MAX + 1, CDC_FRAME_REQUEST, 0, 1 };

    fd = client();
    (void) !write(fd, &f, sizeof(f));
    is_int(read_frame(fd, 5000), CDC_DONE, "too long a frame: closed");
    close(fd);

    fd = client();
    write_frame(fd, CDC_FRAME_TASK, 1, "x", 1);
    is_int(read_frame(fd, 5000), CDC_DONE, "a wrong frame: closed");
    close(fd);

    fd = client();
    write_frame(fd, CDC_FRAME_REQUEST, 1, "{\"x", 3);
    (void) read_frame(fd, 5000);
    is_int(frame.status, CDC_E_BODY_NOT_JSON, "no JSON: an error");
    close(fd);

    /* half a frame, and nothing more */

    fd = client();
    f.len = 100;
    (void) !write(fd, &f, sizeof(f));

    for (i = 0; i < 20; i++) {
        close(client());
    }

    by_id(c, 1, "pause", "nope");
    answers(c, 1, CDC_E_NOT_FOUND, "not found the task, task_id: nope",
            "others are served");
    close(fd);
}


static void
test_restart(void)
{
    int       c;
    uint64_t  created;

    /* killed: what was answered is there */

    (void) kill(store, SIGKILL);
    is_int(ended(), -SIGKILL, "killed");
    make_dir("orphan");
    start();

    shows("a", CDC_TASK_RUNNING, "", "every task is sent at the start");
    is_int(record.revision, 3, "as it was");
    created = record.created_ms;
    ack();
    shows("c", CDC_TASK_RUNNING, "", "in order of creation");
    ok(record.created_ms > created, "by time");
    ack();
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_SYNCED, "then SYNCED");

    c = client();
    ok(exists("%s/tasks/%s", "c"), "directories of tasks stay");
    ok(!exists("%s/tasks/%s", "orphan"), "orphans are swept");

    /* asked to stop with an answer on its way and a probe running */

    by_id(c, 1, "pause", "a");
    shows("a", CDC_TASK_PAUSED, CDC_STORE_BY_REQUEST, "a last change");
    create(c, 2, "p", "stuck");
    (void) usleep(20000);
    created = cdc_now_ms();
    (void) !write(stop_pipe, "x", 1);
    answers(c, 1, CDC_E_OK, "{}", "is answered without its ACK");
    is_int(read_frame(c, 5000), CDC_DONE, "the create is not");
    is_int(ended(), 0, "an orderly end");
    ok(cdc_now_ms() - created < 1500, "in time");
    ok(!exists("%s/%s", "api.sock"), "the socket is gone");
    close(c);
}


static void
test_stop_serves(void)
{
    int  c, late;

    start();
    shows("a", CDC_TASK_PAUSED, CDC_STORE_BY_REQUEST, "a is paused still");
    ack();
    shows("c", CDC_TASK_RUNNING, "", "c runs");
    ack();
    (void) read_frame(control, 5000);

    c = client();
    late = client();
    by_id(c, 1, "pause", "nope");
    answers(c, 1, CDC_E_NOT_FOUND, "not found the task, task_id: nope", "up");

    (void) !write(stop_pipe, "x", 1);
    (void) usleep(5000);
    by_id(late, 1, "resume", "a");
    shows("a", CDC_TASK_RUNNING, "", "a request during the stop");
    ack();
    answers(late, 1, CDC_E_OK, "{}", "is served");
    is_int(ended(), 0, "an orderly end");
    close(c);
    close(late);
}


/* in a process of its own: LevelDB's thread would not survive the fork that
 * makes the next store */

static void
put_raw(const char *key, const char *value)
{
    pid_t            pid;
    char             path[256];
    cdc_db_t        *db;
    cdc_db_batch_t  *b;

    (void) fflush(stdout);
    pid = fork();

    if (pid != 0) {
        (void) waitpid(pid, NULL, 0);
        return;
    }

    (void) snprintf(path, sizeof(path), "%s/meta", dir);
    db = cdc_db_open(path, NULL);
    b = cdc_db_batch_create();
    cdc_db_batch_put(b, cdc_span_n(key, strlen(key)),
                     cdc_span_n(value, strlen(value)));
    (void) cdc_db_write(db, b, NULL);
    cdc_db_batch_destroy(b);
    cdc_db_close(db);
    _exit(0);
}


static void
test_damage(void)
{
    int  c;

    put_raw("task/broken", "{\"state\":");
    put_raw("task/no/id", "{}");
    start();

    (void) read_frame(control, 5000);
    is_str(record.task_id, "broken", "a damaged record is shown");
    is_int(record.state, CDC_TASK_PAUSED, "as paused");
    ack();
    shows("a", CDC_TASK_RUNNING, "", "the others are there");
    ack();
    shows("c", CDC_TASK_RUNNING, "", "all of them");
    ack();
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_SYNCED, "and no more");

    c = client();
    by_id(c, 1, "resume", "broken");
    (void) read_frame(c, 5000);
    is_int(frame.status, CDC_E_START_FAILED, "it cannot be resumed");
    by_id(c, 2, "delete", "broken");
    (void) read_frame(control, 5000);
    ack();
    answers(c, 2, CDC_E_OK, "{}", "but deleted");
    close(c);

    (void) !write(stop_pipe, "x", 1);
    is_int(ended(), 0, "an orderly end");

    put_raw("format", "2");
    start();
    is_int(read_frame(control, 5000), CDC_DONE, "a newer format is refused");
    is_int(ended(), 1, "by an error");

    put_raw("format", "1");
    start();
    shows("a", CDC_TASK_RUNNING, "", "and nothing was lost");
    close(control);
    control = dup(stop_pipe);
    is_int(ended(), 0, "without a supervisor it ends");
}


int
main(void)
{
    int   c;
    char  command[64];

    (void) signal(SIGPIPE, SIG_IGN);
    cdc_log_init("", NULL, CDC_LOG_EMERG);

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    start();
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_SYNCED, "an empty store: SYNCED");

    c = client();
    test_create(c);
    test_states(c);
    test_delete(c);
    test_probes(c);
    test_broken_clients(c);
    close(c);
    test_restart();
    test_stop_serves();
    test_damage();

    free(payload);
    (void) snprintf(command, sizeof(command), "rm -r %s", dir);
    is_int(system(command), 0, "clean-up");

    return done_testing();
}
