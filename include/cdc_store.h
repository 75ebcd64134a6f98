/*
 * The store's own types: shared by the files of src/store/ only.  All of it
 * runs on the main thread, except cdc_probe_run().
 *
 *   cdc_store.c          life of the process: start, listening, stop
 *   cdc_store_client.c   connections of the workers, answers
 *   cdc_store_ends.c     those that wait for the end of a replicator
 *   cdc_store_parked.c   requests about messages that were set aside
 *   cdc_store_api.c      requests; pause, resume, delete
 *   cdc_store_create.c   create: checks, probe, checks again, record
 *   cdc_store_dry.c      check: the same with all findings and no record
 *   cdc_finding.c        what a check has found
 *   cdc_store_control.c  what is said with the supervisor
 *   cdc_store_disk.c     records in LevelDB, directories of tasks
 *   cdc_store_task.c     a task and its stored form
 *   cdc_store_doc.c      a task's public form
 *   cdc_store_select.c   which tasks exclude each other
 *   cdc_store_check.c    what a request says about collections
 *   cdc_store_start.c    tasks that do not start with nginx
 *   cdc_probe.c          looks at a target [a thread of its own]
 *   cdc_probe_source.c   is the target the source itself? [the same]
 *   cdc_probe_look.c     will the source's collections arrive whole? [same]
 *   cdc_probe_names.c    is there what the names say? [same]
 *   cdc_probe_log.c      its log; is it the one that we were told? [same]
 *   cdc_probe_etcd.c     the source's etcd, for a check [same]
 *   cdc_probe_tls.c      certificates, for a check [same]
 */

#ifndef CDC_STORE_H_INCLUDED
#define CDC_STORE_H_INCLUDED

#include <jansson.h>

#include "cdc_base.h"
#include "cdc_check.h"
#include "cdc_error.h"
#include "cdc_runtime.h"
#include "cdc_selection.h"
#include "cdc_target.h"
#include "cdc_task.h"


#define CDC_STORE_FORMAT       1         /* of the keys and values */
#define CDC_STORE_PROBES       16        /* that run at the same time */
#define CDC_STORE_CREATES      256       /* that wait or run, */
#define CDC_STORE_CREATES_MAX  (2 * 1024 * 1024)  /* and the bytes of their
                                          * requests; decoded, and with what
                                          * is made of them, 30 times that */
#define CDC_STORE_CLIENT_OUT   (4 * 1024 * 1024)  /* unread answers */
#define CDC_STORE_RECORD_MAX   (CDC_FRAME_MAX - 4096)


/* ---- network addresses of a target (cdc_probe.c) ------------------- */

#define CDC_ADDRS_MAX          8

typedef struct {
    unsigned   n;
    struct {
        uint8_t   ip[16];                /* IPv4 as mapped */
        uint16_t  port;
    } at[CDC_ADDRS_MAX];
} cdc_addrs_t;

/* [blocks: DNS] host:port, [ipv6]:port; n is 0 when it does not resolve */
void cdc_addrs_resolve(cdc_addrs_t *addrs, const char *address);
int  cdc_addrs_meet(const cdc_addrs_t *a, const cdc_addrs_t *b);


/* ---- a task ------------------------------------------------------- */

typedef struct cdc_stored_s  cdc_stored_t;

struct cdc_stored_s {
    cdc_stored_t      *next;             /* in order of creation */
    char               id[CDC_TASK_ID_MAX + 1];
    char               reason[CDC_REASON_MAX];
    char              *source;
    char              *target;           /* the uri, or one that is built
                                          * from host and port; no login */
    char              *address;          /* host:port */
    char              *group;            /* address under which this server
                                          * was known before; NULL: none */
    json_t            *request;          /* NULL: the record is damaged */
    json_t            *given;            /* exclude_collections, without what
                                          * was claimed by others */
    json_t            *warnings;         /* of its create, texts; NULL: none */
    cdc_selection_t   *selection;        /* of request; NULL: not yet made */
    cdc_addrs_t        addrs;            /* of tasks created since start */
    uint64_t           revision;
    uint64_t           created_ms;
    uint64_t           target_ms;        /* then, by the target's clock; 0:
                                          * not known */
    uint64_t           source_ms;        /* the same of the source's */
    json_t            *source_ends;      /* where the channels of its log
                                          * ended then; NULL: not known */
    uint64_t           seq;              /* of the last TASK sent */
    uint64_t           ended;            /* revision at which it is known to
                                          * have no process */
    cdc_task_state_e   state;
    unsigned           dirty:1;          /* to be written when possible */
};

int  cdc_stored_id_valid(const char *id);

/*
 * A new task, Running, revision 1.  Takes a reference of request.  NULL: no
 * memory, or err says what the connect part lacks.
 */
cdc_stored_t *cdc_stored_create(const char *id, const char *source,
    json_t *request, char *err);

/* a record of LevelDB; one that cannot be read comes back as a Paused task
 * whose reason says so.  NULL: no memory, or no valid id */
cdc_stored_t *cdc_stored_load(cdc_span_t id, cdc_span_t value);

/* the record's text, malloc()ed; config: the form of CONFIG */
char *cdc_stored_dump(const cdc_stored_t *t);
char *cdc_stored_config(const cdc_stored_t *t);

void cdc_stored_set(cdc_stored_t *t, cdc_task_state_e state,
    const char *reason);

/* the field in which a create of the same id asks for something else, which
 * lives as long as both; NULL: none */
const char *cdc_stored_differs(const cdc_stored_t *t, json_t *request,
    const char *source);
void cdc_stored_free(cdc_stored_t *t);

/* the record as other processes see it; CDC_DECLINED: a document is larger
 * than CDC_DOC_MAX, *need says how large */
int  cdc_stored_record(const cdc_stored_t *t, cdc_task_record_t *record,
    size_t *need);

/* made from the request when it is needed; NULL: err says why */
const cdc_selection_t *cdc_stored_selection(cdc_stored_t *t,
    char err[CDC_REASON_MAX]);

/* what a new task asks for, without a look at others; source: the object of
 * INIT, or NULL.  CDC_E_OK, or what is wrong and the finished text */
cdc_error_e cdc_stored_check(cdc_stored_t *t, const json_t *source,
    char text[CDC_REASON_MAX]);

/*
 * CDC_E_OK, or why "t" cannot live beside "other" and the finished text.
 * What "other" claimed out of a wildcard of "t" goes into the request's
 * exclude_collections; unclaim() takes all such out again.
 */
cdc_error_e cdc_stored_conflict(cdc_stored_t *t, cdc_stored_t *other,
    int same_address, char text[CDC_REASON_MAX]);

/* tasks of one server have one group, by whatever names they call it: their
 * replicators share the target's channels.  CDC_ERROR: no memory */
int  cdc_stored_join(cdc_stored_t *t, const cdc_stored_t *other,
    int same_address);
void cdc_stored_unclaim(cdc_stored_t *t);


/* ---- the probe of a target ---------------------------------------- */

#define CDC_LOOK_SINCE_MAX     64

typedef struct cdc_look_s  cdc_look_t;

typedef struct {
    char               id[CDC_TASK_ID_MAX + 1];
    char              *address;
    unsigned           same:1;           /* answer: the same server */
} cdc_probe_other_t;

typedef struct {
    /* in: filled in by cdc_probe_create(), read-only while it runs */
    cdc_target_conf_t  conf;
    const json_t      *source;           /* object of INIT, NULL: no check */
    cdc_probe_other_t *others;
    unsigned           nothers;
    const cdc_selection_t *selection;    /* the task's; NULL: no look */
    const char        *dir;              /* of the state */
    const char        *id;               /* of the task */

    json_t            *findings;         /* of a check; NULL: a create, which
                                          * ends with the first refusal */
    uint64_t           end;              /* of a check, cdc_now_ms() */
    unsigned           blind:1;          /* keeps away from the target */

    cdc_target_t      *target;
    char              *name;             /* how the target is called */

    /* out */
    cdc_error_e        error;
    char               text[CDC_REASON_MAX];
    cdc_addrs_t        addrs;
    json_t            *warnings;         /* texts; NULL: none */
    uint64_t           target_ms;        /* the target's clock when it met us,
                                          * less cdc_now_ms(); 0: unknown */
    uint64_t           source_ms;        /* time of the newest message of the
                                          * source's log; 0: unknown */
    json_t            *source_ends;      /* "source_ends" of the record, or
                                          * NULL */
    cdc_look_t        *look;             /* to be closed; NULL: was not */
    unsigned           silent:1;         /* the source's etcd */
    unsigned           met:1;            /* the target has answered */
} cdc_probe_t;

/* the kind of target that is probed; a unit test has another */
extern const cdc_target_ops_t  *cdc_probe_ops;

/* main thread: opens the target (no connection is made), unless it is blind;
 * NULL with text.  findings: of a check, NULL for a create */
cdc_probe_t *cdc_probe_create(const json_t *connect_param, const char *name,
    const json_t *source, unsigned nothers, json_t *findings, int blind,
    char text[CDC_REASON_MAX]);
void cdc_probe_run(cdc_probe_t *p);      /* [blocks] */
void cdc_probe_free(cdc_probe_t *p);     /* main thread */

/* sets error and text, unless there is one already; a finding as well */
void cdc_probe_refuse(cdc_probe_t *p, cdc_error_e error, const char *text);

/* [blocks, 2 s] 1: the target is this source; 0: it is not, or nobody knows */
int  cdc_probe_is_source(cdc_probe_t *p);

/* [blocks, some 3 s] sets error and text, or warnings */
void cdc_probe_look(cdc_probe_t *p, const char *version);

/* [blocks, 2 s and a little; a check's] findings about the source's etcd and
 * its certificates; sets silent */
void cdc_probe_etcd(cdc_probe_t *p);
/* [blocks, ms] 1: the source's servers say that they are of a Milvus that is
 * not followed; a text with its cure */
int  cdc_probe_other_version(cdc_probe_t *p, unsigned ms,
    char text[CDC_REASON_MAX]);
/* main thread: in the background, on the worker, which goes then as well */
void cdc_look_close(cdc_look_t *l, cdc_worker_t *worker);

/* "v2.3.5-dev"; CDC_ERROR: a build of somebody's own */
int  cdc_probe_version(const char *version, int *major, int *minor);

/* is host:port in INIT's "allow_target"?  An empty list allows all */
int  cdc_probe_allowed(const json_t *allow, const char *address);


/* ---- the store ---------------------------------------------------- */

typedef struct cdc_store_s  cdc_store_t;

typedef struct cdc_store_client_s  cdc_store_client_t;

struct cdc_store_client_s {
    cdc_conn_t            conn;
    cdc_store_t          *store;
    cdc_store_client_t   *next, **link;
};


/* an answer that somebody waits for */

typedef struct cdc_store_wait_s  cdc_store_wait_t;

struct cdc_store_wait_s {
    cdc_store_wait_t     *next;
    cdc_store_client_t   *client;
    uint64_t              id;            /* of the request */
    size_t                bytes;         /* of it */
    uint64_t              seq;           /* ACK it waits for; 0: a probe */
    char                  data[CDC_TASK_ID_MAX + 32];   /* of the answer */
    char                 *more;          /* instead of data; NULL: that */
    json_t               *ignored;       /* of a create: unknown fields, each
                                          * [path, what is known there] */

    /* for the end of a task's process (cdc_store_ends.c) */
    void                (*then)(cdc_store_t *s, cdc_store_wait_t *w);
    char                 *arg;           /* its own, or NULL */
    uint64_t              revision;
    char                  task[CDC_TASK_ID_MAX + 1];
};


/* a create on its way to being a record */

typedef struct cdc_store_create_s  cdc_store_create_t;

struct cdc_store_create_s {
    cdc_store_create_t   *next;
    cdc_store_t          *store;
    cdc_stored_t         *task;
    cdc_probe_t          *probe;
    cdc_worker_t         *worker;
    cdc_job_t             job;
    cdc_store_wait_t     *waits;
    size_t                bytes;         /* of the request */
    json_t               *findings;      /* of a check; NULL: a create */
    unsigned              blind:1;       /* keeps away from the target */
    unsigned              nameless:1;    /* what it says of collections is
                                          * no good */
    enum {
        CDC_CREATE_QUEUED = 0,           /* CDC_STORE_PROBES run already */
        CDC_CREATE_PROBING,
        CDC_CREATE_PROBED                /* its directory is still in use */
    } step;
};


/* a deleted task whose replicator may still be running */

typedef struct cdc_store_gone_s  cdc_store_gone_t;

struct cdc_store_gone_s {
    cdc_store_gone_t     *next;
    cdc_store_t          *store;
    cdc_timer_t           timer;
    uint64_t              seq;           /* of GONE */
    char                  id[CDC_TASK_ID_MAX + 1];
};


struct cdc_store_s {
    cdc_role_t           *role;
    cdc_loop_t           *loop;
    cdc_conn_t           *control;
    cdc_db_t             *db;
    json_t               *init;
    json_t               *sources;       /* of init, as the next one */
    json_t               *allow;
    const char           *dir;
    int                   max_tasks;
    int                   drain_ms;

    cdc_stored_t         *tasks;
    unsigned              ntasks;
    cdc_store_client_t   *clients;
    cdc_store_wait_t     *waits;         /* for ACKs */
    cdc_store_wait_t     *ends;          /* for ends of processes */
    cdc_store_create_t   *creates;
    unsigned              ncreates, nprobing;
    size_t                create_bytes;
    cdc_store_gone_t     *gone;

    cdc_event_t           listener;
    cdc_timer_t           accept_timer;
    cdc_timer_t           dirty_timer;
    cdc_timer_t           stop_timer;
    uint64_t              stop_at;       /* cdc_now_ms(), at the latest */
    uint64_t              last_heard;    /* the same clock; a request */
    uint64_t              seq, acked;
    uint64_t              last_created_ms;
    unsigned              stopping:1;
    unsigned              grpc:1;
};


/* cdc_store.c */
cdc_stored_t *cdc_store_find(cdc_store_t *s, const char *id);
void cdc_store_insert(cdc_store_t *s, cdc_stored_t *t);
void cdc_store_remove(cdc_store_t *s, cdc_stored_t *t);  /* not freed */

/* cdc_store_client.c */
int  cdc_store_listen(cdc_store_t *s);
void cdc_store_unlisten(cdc_store_t *s); /* takes what is in the queue */
cdc_store_wait_t *cdc_store_wait(cdc_store_client_t *client, uint64_t id);
void cdc_store_wait_ack(cdc_store_t *s, cdc_store_wait_t *w, uint64_t seq);
void cdc_store_acked(cdc_store_t *s, uint64_t seq);
void cdc_store_done(cdc_store_wait_t *w);                /* frees it */
void cdc_store_wait_free(cdc_store_wait_t *w);           /* no answer */
void cdc_store_fail(cdc_store_wait_t *w, cdc_error_e err, const char *text);
void cdc_store_failf(cdc_store_wait_t *w, cdc_error_e err, ...);
void cdc_store_format(char text[CDC_REASON_MAX], cdc_error_e err, ...);

/*
 * cdc_store_ends.c: then() once the paused task has no process any more, its
 * last acknowledgements in and its checkpoint synced; at once when that is so.
 * Also when somebody resumes or deletes it meanwhile: then() has to look.
 */
void cdc_store_wait_end(cdc_store_t *s, cdc_store_wait_t *w, cdc_stored_t *t,
    void (*then)(cdc_store_t *s, cdc_store_wait_t *w));
void cdc_store_ended(cdc_store_t *s, const char *id, uint64_t revision);
void cdc_store_ends_forget(cdc_store_t *s, cdc_store_client_t *client);

/* cdc_store_parked.c: "parked", "parked_retry", "parked_drop" */
void cdc_store_parked(cdc_store_t *s, cdc_store_wait_t *w, const char *type,
    const char *task, const json_t *data);

/* cdc_store_api.c */
void cdc_store_request(cdc_store_client_t *client, uint64_t id,
    const uint8_t *payload, size_t len);

/* cdc_store_create.c */
void cdc_store_create(cdc_store_t *s, cdc_store_wait_t *w, json_t *request,
    const char *source);
void cdc_store_create_next(cdc_store_t *s);     /* start what may start */
void cdc_store_forget(cdc_store_t *s, cdc_store_client_t *client);

/* parts of a create that a check has as well */
cdc_error_e cdc_create_against(cdc_stored_t *t, cdc_stored_t *other,
    const cdc_probe_t *p, char text[CDC_REASON_MAX]);
cdc_error_e cdc_create_check_size(const cdc_stored_t *t,
    char text[CDC_REASON_MAX]);
/* "source_ends", unless the record would be too large */
void cdc_create_ends(cdc_stored_t *t, json_t *ends);
/* 1: one more must not wait now */
int cdc_create_full(const cdc_store_t *s, const cdc_store_wait_t *w);
void cdc_create_add(cdc_store_t *s, cdc_store_wait_t *w, cdc_stored_t *t,
    json_t *findings, int blind, int nameless);
void cdc_create_free(cdc_store_create_t *c);

/* cdc_store_dry.c; complaints and ignored: the worker's */
void cdc_store_dry(cdc_store_t *s, cdc_store_wait_t *w, json_t *request,
    const char *source, const json_t *complaints, const json_t *ignored);
/* its probe is done: the answer; frees it */
void cdc_store_dry_end(cdc_store_create_t *c);

/* cdc_store_control.c */
void cdc_store_control(cdc_conn_t *c, const cdc_frame_t *f,
    const uint8_t *payload);
void cdc_store_send_task(cdc_store_t *s, cdc_stored_t *t);
uint64_t cdc_store_send_gone(cdc_store_t *s, const char *id);

/* cdc_store_start.c: after load(), before anybody is told */
void cdc_store_auto_start(cdc_store_t *s);

/*
 * cdc_store_disk.c: all but put() and dirty() wait for the disk, on the main
 * thread, and so does everybody whose request is behind: one synced write.
 * CDC_ERROR: nothing has changed, err (CDC_REASON_MAX bytes) or the log says
 * why.
 */
int  cdc_store_load(cdc_store_t *s);     /* at the start: the tasks */
int  cdc_store_put(const cdc_stored_t *t, cdc_db_batch_t *b);
int  cdc_store_write(cdc_store_t *s, const cdc_stored_t *t, char *err);
int  cdc_store_erase(cdc_store_t *s, const cdc_stored_t *t, char *err);
void cdc_store_dirty(cdc_store_t *s);    /* those marked so, later */
int  cdc_store_rmdir(cdc_store_t *s, const char *id, char *err);
/* for a new task: its directory, with the file "new"; durable */
int  cdc_store_mkdir(cdc_store_t *s, const char *id, char *err);
/* at the start: directories of tasks that there are not */
void cdc_store_sweep(cdc_store_t *s);

/* the directory of a deleted task: goes when STOPPED comes */
void cdc_store_gone_add(cdc_store_t *s, const char *id, uint64_t seq);
void cdc_store_gone_stopped(cdc_store_t *s, const char *id);
cdc_store_gone_t *cdc_store_gone_find(cdc_store_t *s, const char *id);


#endif /* CDC_STORE_H_INCLUDED */
