/*
 * The store as a process: the test is its supervisor and its workers, and
 * the targets are of a kind of their own, so that a probe can be slow or
 * fail at will.  Real targets are tried by the suites of t/.
 */

#ifndef STORE_PROCESS_H_INCLUDED
#define STORE_PROCESS_H_INCLUDED

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cdc_store.h"
#include "tap.h"


/* not every test needs all of it */
#pragma GCC diagnostic ignored "-Wunused-function"


static char               dir[] = "/tmp/cdc-unit-XXXXXX";
static pid_t              store;
static int                control, stop_pipe;
static int                max_tasks = 3;
static const char        *run = "";      /* INIT's members about the run */
static const char        *sources = "{\"main\":{}}";         /* and that */
static cdc_frame_t        frame;         /* the last one read */
static uint8_t           *payload;
static cdc_task_record_t  record;        /* of the last TASK */
static int                acks;          /* requests that wait for an end */


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

    } else if (strncmp(t->host, "later", 5) == 0) {
        info->now = cdc_ms_tso(cdc_wall_ms() - 6000);
        info->now_at = cdc_now_ms() - 6000;      /* much was asked since */

    } else if (strncmp(t->host, "denies", 6) == 0) {
        info->replicate = 0;

    } else if (strncmp(t->host, "new", 3) == 0) {
        (void) snprintf(info->version, sizeof(info->version), "2.6.0");
        info->replicate = 0;

    } else if (strncmp(t->host, "old", 3) == 0) {
        (void) snprintf(info->version, sizeof(info->version), "v2.2.9");
        err->class = CDC_TARGET_DENIED;
        err->transport = 1;
        err->code = 12;
        return CDC_ERROR;

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


/* a name server need not know of these targets, and one that is asked much lets
 * a create wait for seconds */

int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **res)
{
    struct addrinfo  numeric;
    int            (*real)(const char *, const char *,
                           const struct addrinfo *, struct addrinfo **);

    real = (__typeof__(real)) dlsym(RTLD_NEXT, "getaddrinfo");
    memset(&numeric, 0, sizeof(numeric));
    numeric = hints != NULL ? *hints : numeric;
    numeric.ai_flags |= AI_NUMERICHOST;

    return real(node, service, &numeric, res);
}


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
    (void) signal(SIGXFSZ, SIG_IGN);

    memset(&conn, 0, sizeof(conn));
    memset(&ev, 0, sizeof(ev));
    memset(&child_role, 0, sizeof(child_role));

    if (asprintf(&init, "{\"state_dir\":\"%s\",\"max_tasks\":%d,"
                 "\"drain_timeout\":100,\"allow_target\":[],%s"
                 "\"sources\":%s}", dir, max_tasks, run, sources) == -1)
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

    if (frame.type == CDC_FRAME_ACK) {
        acks++;                          /* the answer is still to come */
        return read_frame(fd, ms);
    }

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


/* the paused task of the last TASK has no process any more */

static void
drained(void)
{
    write_frame(control, CDC_FRAME_STOPPED, record.revision, record.task_id,
                strlen(record.task_id));
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


static void
touch(const char *id, const char *name)
{
    int   fd;
    char  path[256];

    (void) snprintf(path, sizeof(path), "%s/tasks/%s/%s", dir, id, name);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    (void) close(fd);
}


static void
begin(void)
{
    (void) signal(SIGPIPE, SIG_IGN);
    cdc_log_init("", NULL, CDC_LOG_EMERG);

    if (mkdtemp(dir) == NULL) {
        abort();
    }

    start();
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_SYNCED, "an empty store: SYNCED");
}


static void
finish(void)
{
    char  command[64];

    free(payload);
    (void) snprintf(command, sizeof(command), "rm -r %s", dir);
    is_int(system(command), 0, "clean-up");
}


#endif /* STORE_PROCESS_H_INCLUDED */
