/*
 * The supervisor: nginx's cache manager process as the parent of the helpers.
 *
 * Life.  The core starts this process after the workers because our ngx_path_t
 * has a manager callback, starts it again when it dies, and on a reload starts
 * the next one 100 ms before it tells the former to quit.  The callback is
 * called at once and then every tick.
 *
 *   waiting    another supervisor, or one of its helpers, still has the lock
 *              on <state>/lock; tried again every 20 ms
 *   working    the lock is ours and is inherited by every helper, so that it
 *              is free only when all of them are gone; helpers are handled
 *              by events, not by the tick
 *   stopping   from atexit (the core just calls exit(0) here): replicators
 *              get TERM while their frames are still relayed, then the store;
 *              who is deaf is killed; all within milvus_cdc_drain_timeout
 *
 * A crash at any point.  Killed, we leave no helper: they have PDEATHSIG.  The
 * core starts another supervisor, which gets everything from the store again;
 * nothing is kept here that LevelDB does not hold.  A killed master shows as
 * a change of the parent process, within one tick.
 *
 * waitpid() is never called here: the core's SIGCHLD handler reaps, and
 * releases the zone's mutex that the dead one held.  A helper's death is the
 * end of file on its socket.
 */

#include "ngx_http_milvus_cdc_supervisor.h"

#include <poll.h>
#include <sys/file.h>


#define NGX_HTTP_MILVUS_CDC_TICK        500     /* ms */
#define NGX_HTTP_MILVUS_CDC_STORE_STOP  300     /* ms of the drain timeout */
#define NGX_HTTP_MILVUS_CDC_LOCK_WAIT   10000   /* ms: no reload takes that */


static ngx_int_t ngx_http_milvus_cdc_supervisor_init(
    ngx_http_milvus_cdc_main_conf_t *mcf);
static ngx_int_t ngx_http_milvus_cdc_supervisor_lock(
    ngx_http_milvus_cdc_supervisor_t *sv);
static void ngx_http_milvus_cdc_supervisor_reopen(
    ngx_http_milvus_cdc_supervisor_t *sv);
static void ngx_http_milvus_cdc_supervisor_poll(
    ngx_http_milvus_cdc_supervisor_t *sv, ngx_uint_t store, ngx_msec_t ms);
static void ngx_http_milvus_cdc_supervisor_polled(
    ngx_http_milvus_cdc_helper_t *h, const struct pollfd *pfd);


ngx_http_milvus_cdc_supervisor_t  ngx_http_milvus_cdc_sv;


ngx_msec_t
ngx_http_milvus_cdc_supervisor(void *data)
{
    ngx_http_milvus_cdc_supervisor_t  *sv;

    sv = &ngx_http_milvus_cdc_sv;

    if (sv->conf == NULL
        && ngx_http_milvus_cdc_supervisor_init(data) != NGX_OK)
    {
        return NGX_HTTP_MILVUS_CDC_TICK;
    }

    if (sv->stopping) {
        return NGX_HTTP_MILVUS_CDC_TICK;
    }

    if (ngx_process != NGX_PROCESS_SINGLE && getppid() != ngx_parent) {
        ngx_log_error(NGX_LOG_ALERT, sv->log, 0,
                      "milvus_cdc: the master process is gone, stopping");

        /* the core exits at the top of its loop, and atexit stops helpers */

        ngx_terminate = 1;
        return NGX_HTTP_MILVUS_CDC_TICK;
    }

    if (!sv->locked) {

        if (ngx_http_milvus_cdc_supervisor_lock(sv) != NGX_OK) {
            return NGX_HTTP_MILVUS_CDC_POLL;
        }

        ngx_log_error(NGX_LOG_NOTICE, sv->log, 0,
                      "milvus_cdc: supervisor %P works on \"%V\"",
                      sv->pid, &sv->conf->path->name);

        ngx_http_milvus_cdc_helper_start(&sv->store);
    }

    if (sv->synced) {
        ngx_http_milvus_cdc_table_beat(sv->conf->zone);
    }

    ngx_http_milvus_cdc_supervisor_reopen(sv);

    return NGX_HTTP_MILVUS_CDC_TICK;
}


void
ngx_http_milvus_cdc_supervisor_stop(void)
{
    ngx_msec_t                         deadline, now, store;
    ngx_queue_t                       *q;
    ngx_http_milvus_cdc_task_t        *task;
    ngx_http_milvus_cdc_supervisor_t  *sv;

    sv = &ngx_http_milvus_cdc_sv;

    if (sv->conf == NULL || sv->pid != getpid() || sv->stopping) {
        return;
    }

    sv->stopping = 1;

    if (!sv->locked) {
        return;
    }

    ngx_time_update();

    store = ngx_min(NGX_HTTP_MILVUS_CDC_STORE_STOP,
                    sv->conf->drain_timeout / 2);
    deadline = ngx_current_msec + sv->conf->drain_timeout;

    for (q = ngx_queue_head(&sv->tasks);
         q != ngx_queue_sentinel(&sv->tasks);
         q = ngx_queue_next(q))
    {
        task = ngx_queue_data(q, ngx_http_milvus_cdc_task_t, queue);
        ngx_http_milvus_cdc_helper_stop(&task->helper);
    }

    ngx_http_milvus_cdc_supervisor_poll(sv, 0,
                                        sv->conf->drain_timeout - store);

    ngx_http_milvus_cdc_helper_stop(&sv->store);

    now = ngx_current_msec;
    ngx_http_milvus_cdc_supervisor_poll(sv, 1, (ngx_msec_int_t)
                                        (deadline - now) > 0 ? deadline - now
                                                             : 0);

    ngx_log_error(NGX_LOG_NOTICE, sv->log, 0,
                  "milvus_cdc: supervisor %P has stopped its helpers",
                  sv->pid);
}


static ngx_int_t
ngx_http_milvus_cdc_supervisor_init(ngx_http_milvus_cdc_main_conf_t *mcf)
{
    struct stat                        st;
    ngx_open_file_t                   *file;
    ngx_http_milvus_cdc_supervisor_t  *sv;

    sv = &ngx_http_milvus_cdc_sv;

    ngx_memzero(sv, sizeof(ngx_http_milvus_cdc_supervisor_t));

    sv->pid = getpid();
    sv->log = ngx_cycle->log;
    sv->lock = -1;

    ngx_queue_init(&sv->tasks);

    /*
     * In a process cycle of its own, the core ends us by exit(0) without any
     * hook.  A single process has exit_process, and destroys the cycle's pool
     * before it calls exit().
     */

    if (ngx_process != NGX_PROCESS_SINGLE
        && atexit(ngx_http_milvus_cdc_supervisor_stop) != 0)
    {
        ngx_log_error(NGX_LOG_ALERT, sv->log, 0,
                      "milvus_cdc: atexit() failed");
        return NGX_ERROR;
    }

    file = ngx_http_milvus_cdc_log_file(sv->log);

    if (file && fstat(file->fd, &st) == 0) {
        sv->log_inode = st.st_ino;
    }

    sv->conf = mcf;

    ngx_http_milvus_cdc_helper_init(sv, &sv->store, NULL);

    return NGX_OK;
}


static ngx_int_t
ngx_http_milvus_cdc_supervisor_lock(ngx_http_milvus_cdc_supervisor_t *sv)
{
    u_char      name[NGX_MAX_PATH];
    ngx_err_t   err;

    if (sv->lock == -1) {

        (void) ngx_snprintf(name, NGX_MAX_PATH, "%V%s%Z",
                            &sv->conf->path->name, NGX_HTTP_MILVUS_CDC_LOCK);
        name[NGX_MAX_PATH - 1] = '\0';

        sv->lock = open((char *) name, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

        if (sv->lock == -1) {
            err = ngx_errno;

            if (err != sv->lock_err) {
                ngx_log_error(NGX_LOG_EMERG, sv->log, err,
                              ngx_open_file_n " \"%s\" failed", name);
                sv->lock_err = err;
            }

            return NGX_ERROR;
        }
    }

    if (flock(sv->lock, LOCK_EX|LOCK_NB) == -1) {
        err = ngx_errno;

        if (err != sv->lock_err) {

            if (err == EWOULDBLOCK) {
                ngx_log_error(NGX_LOG_INFO, sv->log, 0,
                              "milvus_cdc: waiting for the former supervisor "
                              "of \"%V\"", &sv->conf->path->name);
                sv->lock_since = ngx_current_msec;

            } else {
                ngx_log_error(NGX_LOG_EMERG, sv->log, err,
                              "flock(\"%V%s\") failed", &sv->conf->path->name,
                              NGX_HTTP_MILVUS_CDC_LOCK);
            }

            sv->lock_err = err;

        } else if (sv->lock_since
                   && ngx_current_msec - sv->lock_since
                      > NGX_HTTP_MILVUS_CDC_LOCK_WAIT)
        {
            ngx_log_error(NGX_LOG_ERR, sv->log, 0,
                          "milvus_cdc: another nginx works on \"%V\": this one "
                          "waits until it has ended, or needs a "
                          "milvus_cdc_path of its own",
                          &sv->conf->path->name);
            sv->lock_since = 0;
        }

        return NGX_AGAIN;
    }

    sv->locked = 1;

    return NGX_OK;
}


/* the core handles USR1 in this process by itself and tells no module */

static void
ngx_http_milvus_cdc_supervisor_reopen(ngx_http_milvus_cdc_supervisor_t *sv)
{
    struct stat                  st;
    ngx_queue_t                 *q;
    ngx_open_file_t             *file;
    ngx_http_milvus_cdc_task_t  *task;

    file = ngx_http_milvus_cdc_log_file(sv->log);

    if (file == NULL || fstat(file->fd, &st) == -1
        || st.st_ino == sv->log_inode)
    {
        return;
    }

    sv->log_inode = st.st_ino;

    ngx_http_milvus_cdc_helper_signal(&sv->store, SIGUSR1);

    for (q = ngx_queue_head(&sv->tasks);
         q != ngx_queue_sentinel(&sv->tasks);
         q = ngx_queue_next(q))
    {
        task = ngx_queue_data(q, ngx_http_milvus_cdc_task_t, queue);
        ngx_http_milvus_cdc_helper_signal(&task->helper, SIGUSR1);
    }
}


/*
 * The event loop has ended when atexit runs: relay frames by hand until the
 * replicators (or the store) are gone, and kill who is not in time.
 */

static void
ngx_http_milvus_cdc_supervisor_poll(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_uint_t store, ngx_msec_t ms)
{
    ngx_uint_t                     i, n, waiting, kill;
    ngx_msec_t                     deadline;
    ngx_queue_t                   *q;
    ngx_msec_int_t                 left;
    struct pollfd                  fds[CDC_MAX_TASKS + 1];
    ngx_http_milvus_cdc_task_t    *task;
    ngx_http_milvus_cdc_helper_t  *h, *helpers[CDC_MAX_TASKS + 1];

    deadline = ngx_current_msec + ms;
    kill = 0;

    for ( ;; ) {
        n = 0;
        waiting = 0;
        h = &sv->store;
        q = ngx_queue_head(&sv->tasks);

        for ( ;; ) {

            if (h->frames.connection && n <= CDC_MAX_TASKS) {
                helpers[n] = h;
                fds[n].fd = h->frames.connection->fd;
                fds[n].events = POLLIN|(h->frames.out ? POLLOUT : 0);
                fds[n++].revents = 0;

                if ((h->task == NULL) == store) {
                    waiting++;

                    if (kill) {
                        ngx_http_milvus_cdc_helper_signal(h, SIGKILL);
                    }
                }
            }

            if (q == ngx_queue_sentinel(&sv->tasks)) {
                break;
            }

            task = ngx_queue_data(q, ngx_http_milvus_cdc_task_t, queue);
            h = &task->helper;
            q = ngx_queue_next(q);
        }

        left = (ngx_msec_int_t) (deadline - ngx_current_msec);

        /* even SIGKILL waits for a disk that hangs: PDEATHSIG remains */

        if (waiting == 0 || left < -NGX_HTTP_MILVUS_CDC_STORE_STOP) {
            return;
        }

        (void) poll(fds, n, 50);

        ngx_time_update();

        for (i = 0; i < n; i++) {
            ngx_http_milvus_cdc_supervisor_polled(helpers[i], &fds[i]);
        }

        if ((ngx_msec_int_t) (deadline - ngx_current_msec) <= 0) {
            kill = 1;
        }
    }
}


/* one that has been heard may have ended another one, and its connection */

static void
ngx_http_milvus_cdc_supervisor_polled(ngx_http_milvus_cdc_helper_t *h,
    const struct pollfd *pfd)
{
    ngx_connection_t  *c;

    c = h->frames.connection;

    if (c && c->fd == pfd->fd && (pfd->revents & POLLOUT)) {
        c->write->ready = 1;
        ngx_http_milvus_cdc_frames_write(c->write);
    }

    if (c && c->fd == pfd->fd && (pfd->revents & (POLLIN|POLLHUP|POLLERR))) {

        /* what epoll last said is over: or ngx_recv() trusts it */

        c->read->ready = 1;
        c->read->available = -1;
        ngx_http_milvus_cdc_frames_read(c->read);
    }
}
