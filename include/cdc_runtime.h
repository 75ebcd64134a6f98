/*
 * The helper's runtime (src/helper/): log, event loop, worker threads,
 * frames, LevelDB.  Nothing here knows Milvus.
 *
 * Threads: everything that is not a job's run() happens on the main thread,
 * inside cdc_loop_run().  Other threads (jobs, gRPC, Kafka) reach the main
 * thread only through cdc_loop_post() or an eventfd.
 */

#ifndef CDC_RUNTIME_H_INCLUDED
#define CDC_RUNTIME_H_INCLUDED

#include <time.h>

#include "cdc_base.h"
#include "cdc_fault.h"
#include "cdc_frame.h"


/* ---- log ---------------------------------------------------------- */

/*
 * Lines look like nginx's own and go to the error log, which is descriptor 2
 * of a helper.  Any thread; one write(2) a line; never blocks for long.
 * "prefix" is the task id ("" for the store).  Reopened through SIGUSR1: the
 * path comes in INIT ("error_log", absent when the log is stderr).
 */

enum {                                   /* nginx's NGX_LOG_* numbers */
    CDC_LOG_EMERG = 1, CDC_LOG_ALERT, CDC_LOG_CRIT, CDC_LOG_ERR,
    CDC_LOG_WARN, CDC_LOG_NOTICE, CDC_LOG_INFO, CDC_LOG_DEBUG
};

void cdc_log_init(const char *prefix, const char *path, int level);
void cdc_log_reopen(void);
void cdc_log(int level, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));      /* err: errno or 0 */


/* ---- event loop --------------------------------------------------- */

typedef struct cdc_loop_s   cdc_loop_t;
typedef struct cdc_event_s  cdc_event_t;
typedef struct cdc_timer_s  cdc_timer_t;
typedef struct cdc_post_s   cdc_post_t;

/* embedded in the owner's struct; zero it before the first use */

struct cdc_event_s {
    int            fd;
    void         (*handler)(cdc_event_t *ev, unsigned events); /* EPOLL* */
    void          *data;
    unsigned       active:1;
};

struct cdc_timer_s {
    uint64_t       when;                 /* cdc_now_ms() clock */
    void         (*handler)(cdc_timer_t *tm);
    void          *data;
    size_t         slot;                 /* heap index + 1; 0: not armed */
};

struct cdc_post_s {
    cdc_post_t    *next;
    void         (*handler)(cdc_post_t *post);
    void          *data;
};

cdc_loop_t *cdc_loop_create(void);
void cdc_loop_destroy(cdc_loop_t *loop);
int  cdc_loop_run(cdc_loop_t *loop);     /* until cdc_loop_stop() */
void cdc_loop_stop(cdc_loop_t *loop);

int  cdc_event_add(cdc_loop_t *loop, cdc_event_t *ev, unsigned events);
int  cdc_event_mod(cdc_loop_t *loop, cdc_event_t *ev, unsigned events);
void cdc_event_del(cdc_loop_t *loop, cdc_event_t *ev);
void cdc_timer_add(cdc_loop_t *loop, cdc_timer_t *tm, uint64_t ms);
void cdc_timer_del(cdc_loop_t *loop, cdc_timer_t *tm);

/* the only function of the loop for any thread: runs post->handler on the
 * main thread; posts of one thread stay in order; a post that is queued
 * already stays where it is and runs once (zero it before the first use) */
void cdc_loop_post(cdc_loop_t *loop, cdc_post_t *post);

/* runs once after the current batch of events, however often it is asked
 * for: coalesces work such as "send what has gathered" */
void cdc_loop_defer(cdc_loop_t *loop, cdc_post_t *post);

/* main thread: takes back what was posted or deferred, if it has not run */
void cdc_loop_cancel(cdc_loop_t *loop, cdc_post_t *post);

uint64_t cdc_now_ms(void);               /* monotonic */
/* so many ms from now on that clock, for pthread_cond_timedwait() */
struct timespec cdc_deadline(unsigned ms);
uint64_t cdc_wall_ms(void);              /* Unix time */


/* ---- worker threads ----------------------------------------------- */

/*
 * One thread with a queue.  run() is called on it, in order, and may block;
 * done() is called on the main thread.  A job belongs to the worker from
 * submit to done().  destroy() waits for the running job and drops the
 * rest without done(); done() may destroy its own worker.
 */

typedef struct cdc_worker_s  cdc_worker_t;
typedef struct cdc_job_s     cdc_job_t;

struct cdc_job_s {
    void         (*run)(cdc_job_t *job);
    void         (*done)(cdc_job_t *job);
    void          *data;
    cdc_worker_t  *worker;               /* private, as the next one */
    cdc_job_t     *next;
};

cdc_worker_t *cdc_worker_create(cdc_loop_t *loop, const char *name);
void cdc_worker_submit(cdc_worker_t *worker, cdc_job_t *job);
void cdc_worker_destroy(cdc_worker_t *worker);


/* ---- frames ------------------------------------------------------- */

/*
 * A framed, non-blocking stream socket.  handler() gets each whole frame
 * (payload valid during the call only, and not aligned: copy structs out);
 * closed() once, on end of file, error or a frame > CDC_FRAME_MAX, after
 * which the connection may be freed.  send() queues without a copy limit of
 * its own (look at out_len); CDC_ERROR once closed.  close() is the owner's:
 * it does not call closed(), and inside handler() the struct itself must
 * outlive the call.  open() owns fd when it returns CDC_OK.
 */

typedef struct cdc_conn_s  cdc_conn_t;

struct cdc_conn_s {
    cdc_event_t    event;
    cdc_loop_t    *loop;
    void         (*handler)(cdc_conn_t *c, const cdc_frame_t *f,
                            const uint8_t *payload);
    void         (*closed)(cdc_conn_t *c);
    void          *data;
    uint8_t       *in, *out;             /* private */
    size_t         in_len, in_cap, out_len, out_cap;
};

int  cdc_conn_open(cdc_conn_t *c, cdc_loop_t *loop, int fd);
int  cdc_conn_send(cdc_conn_t *c, uint16_t type, uint16_t status, uint64_t id,
    const void *payload, size_t len);
int  cdc_conn_flush(cdc_conn_t *c, unsigned ms);   /* blocks; at shutdown */
void cdc_conn_close(cdc_conn_t *c);


/* ---- LevelDB ------------------------------------------------------ */

/*
 * A thin cover over LevelDB's C API with paranoid checks on.  Any thread, but
 * one writer at a time by the callers' discipline (a write that follows a
 * failed one reopens the database; not inside each()).  Errors are logged here,
 * once, and put into err (CDC_REASON_MAX bytes) when it is not NULL.
 */

typedef struct cdc_db_s        cdc_db_t;
typedef struct cdc_db_batch_s  cdc_db_batch_t;

cdc_db_t *cdc_db_open(const char *path, char *err);
void cdc_db_close(cdc_db_t *db);

/* what err says ends by itself or by an administrator: a full disk, say */
int  cdc_db_passing(const char *err);

/* CDC_DECLINED: no such key.  *value is malloc()ed and NUL-terminated */
int  cdc_db_get(cdc_db_t *db, cdc_span_t key, uint8_t **value, size_t *len);

/* each key with that prefix, in order, until fn returns other than CDC_OK */
int  cdc_db_each(cdc_db_t *db, cdc_span_t prefix,
    int (*fn)(void *arg, cdc_span_t key, cdc_span_t value), void *arg);

cdc_db_batch_t *cdc_db_batch_create(void);
void cdc_db_batch_put(cdc_db_batch_t *b, cdc_span_t key, cdc_span_t value);
void cdc_db_batch_delete(cdc_db_batch_t *b, cdc_span_t key);
void cdc_db_batch_destroy(cdc_db_batch_t *b);

/* atomic and fsync()ed: blocks for a disk write */
int  cdc_db_write(cdc_db_t *db, cdc_db_batch_t *b, char *err);

/* removes a database that nobody has open, and its directory */
int  cdc_db_remove(const char *path, char *err);


/* ---- memory ------------------------------------------------------- */

/* Main thread.  What malloc() keeps, by how much is held (cdc_memory.c). */

void cdc_memory_init(void);
void cdc_memory_brief(void);             /* what stays is not malloc()'s */
void cdc_memory_held(size_t bytes);      /* read and not done with */
void cdc_memory_trim(int quiet);         /* now and then; few rows come */
int  cdc_memory_is_tight(void);          /* much is held: save it */

/* any thread: what has been mapped of files of code, and may be again */
void cdc_memory_shed(void);


/* ---- roles -------------------------------------------------------- */

/*
 * main() (src/helper/cdc_main.c): sets PDEATHSIG=SIGKILL, checks getppid(),
 * waits for INIT on CDC_FD_CONTROL, installs the signals, and calls one of
 * these; argv holds the role and, for a replicator, the task id only.
 * SIGTERM, SIGINT, SIGQUIT and end of file on CDC_FD_CONTROL: on_stop();
 * SIGUSR1: cdc_log_reopen().  Each returns the exit status.
 */

typedef struct {
    cdc_loop_t    *loop;
    cdc_conn_t    *control;              /* handler is the role's to set */
    const char    *init;                 /* JSON of the INIT frame */
    size_t         init_len;
    void         (*on_stop)(void *data); /* set by the role */
    void          *data;
} cdc_role_t;

int  cdc_store_main(cdc_role_t *role);
int  cdc_replicator_main(cdc_role_t *role);


#endif /* CDC_RUNTIME_H_INCLUDED */
