/*
 * main() of milvus-cdc-helper: what a helper owes to its supervisor.
 *
 * The supervisor (nginx's cache manager process) forks and execs us with
 * TERM, INT, QUIT, HUP and USR1 blocked, CDC_FD_CONTROL and CDC_FD_LOCK open.
 * They stay blocked for good, here and in every thread that a library will
 * start, and are read from a signalfd.
 *
 * We must not outlive the supervisor, because the next one waits for the
 * lock that we inherited: PDEATHSIG is SIGKILL, and the control socket's
 * peer, which made the socket, must still be our parent once that is set.
 *
 * The end is _exit(): libraries' exit handlers (gRPC's, for one) may wait for
 * threads that are stuck in a dead network.  What must be in order by then,
 * LevelDB, the role has closed.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "cdc_runtime.h"


typedef struct {
    cdc_role_t   role;
    cdc_conn_t   control;
    cdc_event_t  signals;
    char        *init;
} cdc_main_t;


static cdc_main_t  cdc_main;


static void
cdc_main_stop(void)
{
    if (cdc_main.role.on_stop != NULL) {
        cdc_main.role.on_stop(cdc_main.role.data);

    } else {
        cdc_loop_stop(cdc_main.role.loop);
    }
}


static void
cdc_main_control_closed(cdc_conn_t *c)
{
    (void) c;

    cdc_log(CDC_LOG_INFO, 0, "the supervisor closed the control socket");
    cdc_main_stop();
}


static void
cdc_main_signal(cdc_event_t *ev, unsigned events)
{
    struct signalfd_siginfo  si;

    (void) events;

    while (read(ev->fd, &si, sizeof(si)) == sizeof(si)) {

        switch (si.ssi_signo) {

        case SIGUSR1:
            cdc_log_reopen();
            break;

        case SIGHUP:
            break;

        default:
            cdc_log(CDC_LOG_INFO, 0, "signal %u, stopping", si.ssi_signo);
            cdc_main_stop();
            break;
        }
    }
}


static int
cdc_main_parent(void)
{
    socklen_t     len;
    struct ucred  peer;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1) {
        cdc_log(CDC_LOG_ALERT, errno, "prctl(PR_SET_PDEATHSIG) failed");
        return CDC_ERROR;
    }

    len = sizeof(struct ucred);

    if (getsockopt(CDC_FD_CONTROL, SOL_SOCKET, SO_PEERCRED, &peer, &len)
        == -1)
    {
        cdc_log(CDC_LOG_EMERG, errno, "descriptor %d is not the control "
                "socket; this program is started by nginx", CDC_FD_CONTROL);
        return CDC_ERROR;
    }

    if (peer.pid != getppid()) {
        cdc_log(CDC_LOG_NOTICE, 0, "the supervisor is gone already");
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_main_signals(void)
{
    sigset_t  set;

    (void) signal(SIGPIPE, SIG_IGN);

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGINT);
    (void) sigaddset(&set, SIGQUIT);
    (void) sigaddset(&set, SIGHUP);
    (void) sigaddset(&set, SIGUSR1);

    if (sigprocmask(SIG_SETMASK, &set, NULL) == -1) {
        cdc_log(CDC_LOG_ALERT, errno, "sigprocmask() failed");
        return CDC_ERROR;
    }

    cdc_main.signals.fd = signalfd(-1, &set, SFD_CLOEXEC|SFD_NONBLOCK);
    cdc_main.signals.handler = cdc_main_signal;

    if (cdc_main.signals.fd == -1) {
        cdc_log(CDC_LOG_ALERT, errno, "signalfd() failed");
        return CDC_ERROR;
    }

    return CDC_OK;
}


/*
 * Exactly "len" bytes of the control socket, before the loop has it: a frame
 * that follows INIT at once must stay in the socket for the role.
 * CDC_DONE: asked to stop, or the supervisor is gone.
 */

static int
cdc_main_read(void *buf, size_t len)
{
    size_t         at;
    ssize_t        n;
    struct pollfd  pfd[2];

    pfd[0].fd = CDC_FD_CONTROL;
    pfd[0].events = POLLIN;
    pfd[1].fd = cdc_main.signals.fd;
    pfd[1].events = POLLIN;

    for (at = 0; at < len; /* void */ ) {

        if (poll(pfd, 2, -1) == -1) {
            continue;
        }

        if (pfd[1].revents != 0) {
            return CDC_DONE;
        }

        n = recv(CDC_FD_CONTROL, (char *) buf + at, len - at, MSG_DONTWAIT);

        if (n == 0) {
            return CDC_DONE;
        }

        if (n == -1) {

            if (errno == EAGAIN || errno == EINTR) {
                continue;
            }

            cdc_log(CDC_LOG_ALERT, errno, "recv() of INIT failed");
            return CDC_ERROR;
        }

        at += (size_t) n;
    }

    return CDC_OK;
}


static int
cdc_main_read_init(void)
{
    int          rc;
    cdc_frame_t  f;

    rc = cdc_main_read(&f, sizeof(f));

    if (rc != CDC_OK) {
        return rc;
    }

    if (f.type != CDC_FRAME_INIT || f.len > CDC_FRAME_MAX) {
        cdc_log(CDC_LOG_ALERT, 0, "the first frame is not INIT (type %u)",
                f.type);
        return CDC_ERROR;
    }

    cdc_main.init = calloc(1, (size_t) f.len + 1);

    if (cdc_main.init == NULL) {
        cdc_log(CDC_LOG_ALERT, errno, "no memory for INIT");
        return CDC_ERROR;
    }

    cdc_main.role.init = cdc_main.init;
    cdc_main.role.init_len = f.len;

    return cdc_main_read(cdc_main.init, f.len);
}


static int
cdc_main_apply_init(const char *role, const char *task_id)
{
    int           level;
    json_t       *init;
    const char   *version, *name, *path;
    json_error_t  je;

    init = json_loadb(cdc_main.role.init, cdc_main.role.init_len, 0, &je);

    if (init == NULL) {
        cdc_log(CDC_LOG_ALERT, 0, "INIT is not JSON: %s", je.text);
        return CDC_ERROR;
    }

    version = NULL;
    name = NULL;
    path = NULL;
    level = CDC_LOG_NOTICE;

    (void) json_unpack(init, "{s?s, s?s, s?s, s?i}", "version", &version,
                       "role", &name, "error_log", &path,
                       "log_level", &level);

    cdc_log_init(task_id, path, level);

    if (version == NULL || strcmp(version, CDC_VERSION) != 0) {
        cdc_log(CDC_LOG_EMERG, 0, "the module is version %s and the helper "
                "is " CDC_VERSION ": install both from one build",
                version != NULL ? version : "unknown");
        json_decref(init);
        return CDC_ERROR;
    }

    if (name == NULL || strcmp(name, role) != 0) {
        cdc_log(CDC_LOG_ALERT, 0, "INIT is for the role \"%s\"",
                name != NULL ? name : "");
        json_decref(init);
        return CDC_ERROR;
    }

    json_decref(init);

    return CDC_OK;
}


static int
cdc_main_run(int (*role)(cdc_role_t *role))
{
    int          rc;
    cdc_loop_t  *loop;

    loop = cdc_loop_create();

    if (loop == NULL) {
        return EXIT_FAILURE;
    }

    cdc_main.role.loop = loop;
    cdc_main.role.control = &cdc_main.control;
    cdc_main.control.closed = cdc_main_control_closed;

    if (cdc_event_add(loop, &cdc_main.signals, EPOLLIN) != CDC_OK
        || cdc_conn_open(&cdc_main.control, loop, CDC_FD_CONTROL) != CDC_OK)
    {
        return EXIT_FAILURE;
    }

    rc = role(&cdc_main.role);

    /*
     * The loop stays: a thread that the role left behind may still post.  The
     * control socket stays as well: its end is the end of this process for the
     * supervisor, who makes sure of that with SIGKILL.
     */

    return rc;
}


int
main(int argc, char *argv[])
{
    int          rc;
    int        (*role)(cdc_role_t *role);
    const char  *task_id;

    if (argc == 2 && strcmp(argv[1], "-v") == 0) {
        (void) printf("milvus-cdc-helper " CDC_VERSION "\n");
        return EXIT_SUCCESS;
    }

    role = NULL;
    task_id = "";

    if (argc == 2 && strcmp(argv[1], "store") == 0) {
        role = cdc_store_main;

    } else if (argc == 3 && strcmp(argv[1], "replicate") == 0) {
        role = cdc_replicator_main;
        task_id = argv[2];
    }

    if (role == NULL) {
        (void) fprintf(stderr, "usage: milvus-cdc-helper -v | store | "
                       "replicate <task id>; started by nginx\n");
        return EXIT_FAILURE;
    }

    cdc_memory_init();
    cdc_log_init(task_id, NULL, CDC_LOG_NOTICE);

    (void) umask(077);
    CDC_FAULT_OPEN(argv[1]);
    (void) close_range(CDC_FD_LOCK + 1, ~0U, 0);

#ifndef CDC_DUMPABLE

    /* tasks' and sources' secrets are in our memory: no core, no ptrace */

    (void) prctl(PR_SET_DUMPABLE, 0);

#endif

    if (cdc_main_parent() != CDC_OK || cdc_main_signals() != CDC_OK) {
        _exit(EXIT_FAILURE);
    }

    rc = cdc_main_read_init();

    if (rc == CDC_DONE) {
        _exit(EXIT_SUCCESS);
    }

    if (rc != CDC_OK || cdc_main_apply_init(argv[1], task_id) != CDC_OK) {
        _exit(EXIT_FAILURE);
    }

    _exit(cdc_main_run(role));
}
