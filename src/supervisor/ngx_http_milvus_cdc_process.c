/*
 * fork and exec of a helper.
 *
 * Between fork() and exec() the child calls only what is safe after a fork,
 * with all signals blocked: the dispositions of nginx's handlers end with
 * exec(), and the helper unblocks or reads the signals once it is ready, so
 * that none is lost and none kills it in between.
 */

#include "ngx_http_milvus_cdc_supervisor.h"

#include <poll.h>
#include <sys/syscall.h>


#define NGX_HTTP_MILVUS_CDC_FD_FREE   16     /* above all fixed descriptors */
#define NGX_HTTP_MILVUS_CDC_EXIT      200    /* ms from end of file to exit */
#define NGX_HTTP_MILVUS_CDC_KILL      1000   /* ms from SIGKILL to exit */


static void ngx_http_milvus_cdc_helper_exec(
    ngx_http_milvus_cdc_supervisor_t *sv, char *const argv[], int control);
static ngx_int_t ngx_http_milvus_cdc_helper_send_init(
    ngx_http_milvus_cdc_supervisor_t *sv, ngx_http_milvus_cdc_helper_t *h);
static ngx_uint_t ngx_http_milvus_cdc_helper_wait(
    ngx_http_milvus_cdc_helper_t *h, int ms);


ngx_int_t
ngx_http_milvus_cdc_helper_spawn(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_helper_t *h)
{
    int         sp[2];
    char       *argv[4];
    sigset_t    set, old;
    ngx_pid_t   pid;

    argv[0] = "milvus-cdc-helper";
    argv[1] = h->task ? "replicate" : "store";
    argv[2] = h->task ? (char *) h->task->name : NULL;
    argv[3] = NULL;

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0, sp) == -1) {
        ngx_log_error(NGX_LOG_ALERT, sv->log, ngx_errno,
                      "socketpair() failed");
        return NGX_ERROR;
    }

    if (ngx_nonblocking(sp[0]) == -1) {
        ngx_log_error(NGX_LOG_ALERT, sv->log, ngx_errno,
                      ngx_nonblocking_n " failed");
        (void) close(sp[0]);
        (void) close(sp[1]);
        return NGX_ERROR;
    }

    (void) sigfillset(&set);
    (void) sigprocmask(SIG_SETMASK, &set, &old);

    pid = fork();

    if (pid == 0) {
        ngx_http_milvus_cdc_helper_exec(sv, argv, sp[1]);
        _exit(127);
    }

    if (pid == -1) {
        ngx_log_error(NGX_LOG_ALERT, sv->log, ngx_errno, "fork() failed");
    }

    /* before SIGCHLD can reap the child: its number is still its own */

    h->pid = pid;
    h->pidfd = -1;

#ifdef SYS_pidfd_open
    if (pid != -1) {
        h->pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
    }
#endif

    (void) sigprocmask(SIG_SETMASK, &old, NULL);
    (void) close(sp[1]);

    if (pid == -1) {
        (void) close(sp[0]);
        return NGX_ERROR;
    }

    if (h->task) {
        ngx_log_error(NGX_LOG_INFO, sv->log, 0,
                      "milvus_cdc: replicator %P of task %V has been started",
                      pid, &h->task->id);

    } else {
        ngx_log_error(NGX_LOG_INFO, sv->log, 0,
                      "milvus_cdc: store %P has been started", pid);
    }

    if (ngx_http_milvus_cdc_frames_open(&h->frames, sp[0], sv->log) != NGX_OK
        || ngx_http_milvus_cdc_helper_send_init(sv, h) != NGX_OK)
    {
        ngx_http_milvus_cdc_frames_close(&h->frames);
        ngx_http_milvus_cdc_helper_signal(h, SIGKILL);
        ngx_http_milvus_cdc_helper_reap(h, sv->log);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_milvus_cdc_helper_exec(ngx_http_milvus_cdc_supervisor_t *sv,
    char *const argv[], int control)
{
    int               fd, lock, log, null;
    ngx_log_t         plain;
    ngx_open_file_t  *file, err;

    file = ngx_http_milvus_cdc_log_file(sv->log);

    null = open("/dev/null", O_RDWR);
    log = file ? file->fd : null;

    /* first out of the way of the fixed numbers, then to them */

    null = fcntl(null, F_DUPFD, NGX_HTTP_MILVUS_CDC_FD_FREE);
    log = fcntl(log, F_DUPFD, NGX_HTTP_MILVUS_CDC_FD_FREE);
    control = fcntl(control, F_DUPFD, NGX_HTTP_MILVUS_CDC_FD_FREE);
    lock = fcntl(sv->lock, F_DUPFD, NGX_HTTP_MILVUS_CDC_FD_FREE);

    (void) dup2(log, 2);

    ngx_memzero(&plain, sizeof(ngx_log_t));
    ngx_memzero(&err, sizeof(ngx_open_file_t));
    err.fd = 2;
    plain.file = &err;
    plain.log_level = NGX_LOG_ERR;

    if (dup2(null, 0) == -1
        || dup2(log, 1) == -1
        || dup2(control, CDC_FD_CONTROL) == -1
        || dup2(lock, CDC_FD_LOCK) == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, &plain, ngx_errno,
                      "dup2() failed for a helper");
        return;
    }

#ifdef SYS_close_range
    if (syscall(SYS_close_range, CDC_FD_LOCK + 1, ~0U, 0) == -1)
#endif
    {
        for (fd = CDC_FD_LOCK + 1; fd < (int) sysconf(_SC_OPEN_MAX); fd++) {
            (void) close(fd);
        }
    }

    (void) execve((char *) sv->conf->helper.data, argv, environ);

    ngx_log_error(NGX_LOG_EMERG, &plain, ngx_errno,
                  "milvus_cdc: execve(\"%V\") failed, see "
                  "milvus_cdc_helper", &sv->conf->helper);
}


static ngx_int_t
ngx_http_milvus_cdc_helper_send_init(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_helper_t *h)
{
    char       *json;
    size_t      len;
    ngx_int_t   rc;

    json = ngx_http_milvus_cdc_init_json(sv, h);
    if (json == NULL) {
        ngx_log_error(NGX_LOG_ALERT, sv->log, 0,
                      "milvus_cdc: the configuration is no valid UTF-8");
        return NGX_ERROR;
    }

    len = ngx_strlen(json);

    rc = ngx_http_milvus_cdc_frames_send(&h->frames, CDC_FRAME_INIT, 0, json,
                                         len);
    ngx_explicit_memzero(json, len);
    free(json);

    return rc;
}


void
ngx_http_milvus_cdc_helper_signal(ngx_http_milvus_cdc_helper_t *h, int signo)
{
    if (h->pid == NGX_INVALID_PID) {
        return;
    }

    /* the core reaps children on its own: a number may be somebody else's */

#ifdef SYS_pidfd_send_signal
    if (h->pidfd != -1) {
        (void) syscall(SYS_pidfd_send_signal, h->pidfd, signo, NULL, 0);
        return;
    }
#endif

    (void) kill(h->pid, signo);
}


void
ngx_http_milvus_cdc_helper_reap(ngx_http_milvus_cdc_helper_t *h,
    ngx_log_t *log)
{
    if (h->pidfd == -1) {
        ngx_http_milvus_cdc_helper_signal(h, SIGKILL);
        h->pid = NGX_INVALID_PID;
        return;
    }

    /* the socket is closed a moment before the process is gone */

    if (!ngx_http_milvus_cdc_helper_wait(h, NGX_HTTP_MILVUS_CDC_EXIT)) {
        ngx_http_milvus_cdc_helper_signal(h, SIGKILL);

        if (!ngx_http_milvus_cdc_helper_wait(h, NGX_HTTP_MILVUS_CDC_KILL)) {
            ngx_log_error(NGX_LOG_ALERT, log, 0,
                          "milvus_cdc: process %P does not end", h->pid);
        }
    }

    (void) close(h->pidfd);

    h->pidfd = -1;
    h->pid = NGX_INVALID_PID;
}


static ngx_uint_t
ngx_http_milvus_cdc_helper_wait(ngx_http_milvus_cdc_helper_t *h, int ms)
{
    int            n;
    struct pollfd  pfd;

    pfd.fd = h->pidfd;
    pfd.events = POLLIN;
    pfd.revents = 0;

    do {
        n = poll(&pfd, 1, ms);
    } while (n == -1 && ngx_errno == NGX_EINTR);

    return n == 1;
}


ngx_open_file_t *
ngx_http_milvus_cdc_log_file(ngx_log_t *log)
{
    for ( /* void */ ; log; log = log->next) {
        if (log->file && log->file->fd != NGX_INVALID_FILE && !log->writer) {
            return log->file;
        }
    }

    return NULL;
}
