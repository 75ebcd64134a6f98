/*
 * The supervisor's parts, private to src/supervisor/.  Everything here runs
 * in one process, the cache manager (or the only process of
 * "master_process off").
 */

#ifndef NGX_HTTP_MILVUS_CDC_SUPERVISOR_H_INCLUDED
#define NGX_HTTP_MILVUS_CDC_SUPERVISOR_H_INCLUDED

#include "ngx_http_milvus_cdc.h"
#include "ngx_http_milvus_cdc_frames.h"
#include "ngx_http_milvus_cdc_table.h"

#include <ngx_event.h>


typedef struct ngx_http_milvus_cdc_helper_s  ngx_http_milvus_cdc_helper_t;
typedef struct ngx_http_milvus_cdc_task_s    ngx_http_milvus_cdc_task_t;


/* a helper process, or the place for one */

struct ngx_http_milvus_cdc_helper_s {
    ngx_http_milvus_cdc_frames_t    frames;
    ngx_http_milvus_cdc_task_t     *task;        /* NULL: the store */
    ngx_event_t                     timer;       /* start later, or kill */
    ngx_msec_t                      started;
    ngx_uint_t                      failures;    /* in a row */
    ngx_pid_t                       pid;
    int                             pidfd;

    unsigned                        running:1;
    unsigned                        stopping:1;  /* TERM has been sent */
    unsigned                        odd:1;       /* its frames are not ours */
};


struct ngx_http_milvus_cdc_task_s {
    ngx_queue_t                     queue;
    ngx_http_milvus_cdc_helper_t    helper;
    ngx_str_t                       id;
    uint64_t                        revision;
    uint64_t                        ask_id;
    ngx_str_t                       failed;      /* FAILED, until the store
                                                    has sent a new TASK */
    unsigned                        wanted:1;    /* state is Running */
    unsigned                        seen:1;      /* by the current store */
    unsigned                        gone:1;
    unsigned                        restart:1;   /* changed while running */
    unsigned                        asked:1;     /* ASK without a CONFIG */
    unsigned                        fault:1;     /* ended by itself, is to
                                                    be started again */

    u_char                          name[CDC_TASK_ID_MAX + 1];
};


typedef struct {
    ngx_http_milvus_cdc_main_conf_t *conf;
    ngx_http_milvus_cdc_helper_t     store;
    ngx_queue_t                      tasks;
    ngx_log_t                       *log;
    ngx_pid_t                        pid;
    ino_t                            log_inode;
    ngx_msec_t                       lock_since; /* another one has it; 0: it
                                                    has not, or was named */
    ngx_err_t                        lock_err;
    int                              lock;

    unsigned                         locked:1;
    unsigned                         synced:1;   /* by the current store */
    unsigned                         stopping:1;
} ngx_http_milvus_cdc_supervisor_t;


/* ---- processes (.._process.c) ----------------------------------------- */

/* fork, exec and INIT; what fails is logged */
ngx_int_t ngx_http_milvus_cdc_helper_spawn(
    ngx_http_milvus_cdc_supervisor_t *sv, ngx_http_milvus_cdc_helper_t *h);

void ngx_http_milvus_cdc_helper_signal(ngx_http_milvus_cdc_helper_t *h,
    int signo);

/* after the end of file: makes sure that the process is gone, locks of its
 * files included; blocks for as long as the kernel needs for that */
void ngx_http_milvus_cdc_helper_reap(ngx_http_milvus_cdc_helper_t *h,
    ngx_log_t *log);

/* NULL when the error log is no file (syslog, memory) */
ngx_open_file_t *ngx_http_milvus_cdc_log_file(ngx_log_t *log);


/* ---- INIT (.._init.c) --------------------------------------------------- */

/* malloc()ed JSON, to be wiped and freed by the caller */
char *ngx_http_milvus_cdc_init_json(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_helper_t *h);


/* ---- helpers' lives (.._helper.c) --------------------------------------- */

void ngx_http_milvus_cdc_helper_init(ngx_http_milvus_cdc_supervisor_t *sv,
    ngx_http_milvus_cdc_helper_t *h, ngx_http_milvus_cdc_task_t *task);
void ngx_http_milvus_cdc_helper_start(ngx_http_milvus_cdc_helper_t *h);
void ngx_http_milvus_cdc_helper_stop(ngx_http_milvus_cdc_helper_t *h);


/* ---- tasks and frames (.._task.c) --------------------------------------- */

/* the store has been started: what it must hear again, and what it owes */
void ngx_http_milvus_cdc_store_started(ngx_http_milvus_cdc_supervisor_t *sv);

void ngx_http_milvus_cdc_task_started(ngx_http_milvus_cdc_task_t *task);

/* the task's replicator has ended, by request or by fault; NGX_OK: it is to
 * run again; NGX_DECLINED: it is not; NGX_DONE: the task is gone and freed */
ngx_int_t ngx_http_milvus_cdc_task_ended(ngx_http_milvus_cdc_task_t *task,
    ngx_uint_t by_request);

ngx_int_t ngx_http_milvus_cdc_store_frame(ngx_http_milvus_cdc_frames_t *fr,
    cdc_frame_t *f, u_char *payload);
ngx_int_t ngx_http_milvus_cdc_replicator_frame(
    ngx_http_milvus_cdc_frames_t *fr, cdc_frame_t *f, u_char *payload);


extern ngx_http_milvus_cdc_supervisor_t  ngx_http_milvus_cdc_sv;


#endif /* NGX_HTTP_MILVUS_CDC_SUPERVISOR_H_INCLUDED */
