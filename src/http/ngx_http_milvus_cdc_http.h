/*
 * Request handling, private to src/http/.  Runs in workers and never blocks.
 *
 * A request of the API goes through these steps:
 *
 *   body -> JSON -> row of the type table -> decode (names, types) -> handler
 *
 * and its handler ends it by one of the answer functions, at once (validation
 * errors), after waiting for the zone (list, get), or after the store has
 * answered (create, pause, resume, delete).
 */

#ifndef NGX_HTTP_MILVUS_CDC_HTTP_H_INCLUDED
#define NGX_HTTP_MILVUS_CDC_HTTP_H_INCLUDED

#include "ngx_http_milvus_cdc.h"
#include "ngx_http_milvus_cdc_frames.h"
#include "ngx_http_milvus_cdc_table.h"

#include <ngx_event.h>
#include <jansson.h>


typedef struct ngx_http_milvus_cdc_ctx_s    ngx_http_milvus_cdc_ctx_t;
typedef struct ngx_http_milvus_cdc_field_s  ngx_http_milvus_cdc_field_t;


/* ---- text that grows: a chain of buffers (.._text.c) ------------------ */

typedef struct {
    ngx_pool_t                  *pool;
    ngx_chain_t                 *head;
    ngx_chain_t                **last;
    ngx_buf_t                   *buf;
    size_t                       size;
    ngx_uint_t                   failed;     /* no memory: send() says so */
} ngx_http_milvus_cdc_text_t;


void ngx_http_milvus_cdc_text_init(ngx_http_milvus_cdc_text_t *t,
    ngx_pool_t *pool);
void ngx_http_milvus_cdc_text_add(ngx_http_milvus_cdc_text_t *t,
    const void *data, size_t len);
void ngx_http_milvus_cdc_text_str(ngx_http_milvus_cdc_text_t *t,
    const char *s);

/* ngx_snprintf()'s formats; at most 1 kB each */
void ngx_http_milvus_cdc_text_printf(ngx_http_milvus_cdc_text_t *t,
    const char *fmt, ...);

/* a JSON string with its quotes; bytes that are no UTF-8 become "?" */
void ngx_http_milvus_cdc_text_json(ngx_http_milvus_cdc_text_t *t,
    const void *data, size_t len);

/* the other text, compressed (.._gzip.c); whether a client takes it so; what
 * then has to be in the answer's header */
ngx_uint_t ngx_http_milvus_cdc_gzip_wanted(ngx_http_request_t *r);
ngx_int_t ngx_http_milvus_cdc_gzip_header(ngx_http_request_t *r);
void ngx_http_milvus_cdc_text_gzip(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_text_t *from);

/* a copy of the other text */
void ngx_http_milvus_cdc_text_append(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_text_t *from);

/* the whole answer; the value for ngx_http_finalize_request() */
ngx_int_t ngx_http_milvus_cdc_text_send(ngx_http_milvus_cdc_text_t *t,
    ngx_http_request_t *r, ngx_uint_t status, const char *type);

/* another header of the answer; constants only */
ngx_int_t ngx_http_milvus_cdc_header(ngx_http_request_t *r, const char *name,
    const char *value);


/* ---- answers that are kept (.._kept.c) --------------------------------- */

typedef struct ngx_http_milvus_cdc_kept_data_s
    ngx_http_milvus_cdc_kept_data_t;

typedef struct {
    ngx_http_milvus_cdc_kept_data_t  *data;
    ngx_shm_zone_t                   *zone;
    uint64_t                          changes;
    ngx_msec_t                        at;
} ngx_http_milvus_cdc_kept_t;

/* NGX_OK: t, which is empty, is the answer now; NGX_DECLINED: it has to be
 * made from the table, and handed to put() before it is sent.  "changes" is
 * the table's, as it is now: another number makes another answer */
ngx_int_t ngx_http_milvus_cdc_kept_get(ngx_http_milvus_cdc_kept_t *k,
    ngx_shm_zone_t *zone, uint64_t changes, ngx_http_milvus_cdc_text_t *t);
void ngx_http_milvus_cdc_kept_put(ngx_http_milvus_cdc_kept_t *k,
    ngx_http_milvus_cdc_text_t *t);


/* ---- decoding (.._decode.c) -------------------------------------------- */

typedef enum {
    NGX_HTTP_MILVUS_CDC_STRING = 0,
    NGX_HTTP_MILVUS_CDC_SECRET,              /* a string not to be shown */
    NGX_HTTP_MILVUS_CDC_INT,
    NGX_HTTP_MILVUS_CDC_BOOL,
    NGX_HTTP_MILVUS_CDC_STRUCT,
    NGX_HTTP_MILVUS_CDC_LIST,                /* of STRUCT */
    NGX_HTTP_MILVUS_CDC_STRINGS,             /* list of strings */
    NGX_HTTP_MILVUS_CDC_MAP,                 /* name -> string */
    NGX_HTTP_MILVUS_CDC_MAP_LIST,            /* name -> LIST */
    NGX_HTTP_MILVUS_CDC_ANY_MAP              /* left as it is */
} ngx_http_milvus_cdc_kind_e;


struct ngx_http_milvus_cdc_field_s {
    const char                        *name; /* NULL: end of the table */
    ngx_http_milvus_cdc_kind_e         kind;
    const ngx_http_milvus_cdc_field_t *fields;
};


/* what is wrong with a request: it may be every item of a large one */

#define NGX_HTTP_MILVUS_CDC_ERRS_MAX     16
#define NGX_HTTP_MILVUS_CDC_IGNORED_MAX  8

typedef struct {
    json_t                            *texts;    /* of the first ones, ready
                                                  * for the answer */
    ngx_uint_t                         n;        /* of all */
    json_t                            *ignored;  /* [path, what is known
                                                  * there] of unknown names,
                                                  * the first ones; NULL: they
                                                  * do not matter */
} ngx_http_milvus_cdc_errs_t;


/*
 * A new object with the fields of the table only, names as in the table.
 * Errors are added to *errs.  NULL: no memory.
 */
json_t *ngx_http_milvus_cdc_decode(const ngx_http_milvus_cdc_field_t *fields,
    json_t *in, const char *path, ngx_http_milvus_cdc_errs_t *errs);

/* the value of that name, or of one that differs in case only */
json_t *ngx_http_milvus_cdc_member(json_t *obj, const char *name);


/* ---- one request ------------------------------------------------------- */

typedef struct {
    const char                        *name;
    ngx_int_t                        (*handler)(ngx_http_milvus_cdc_ctx_t *c);
    const ngx_http_milvus_cdc_field_t *fields;
    cdc_error_e                        done;     /* "it was done before", or
                                                    CDC_E_OK: no such error */
    ngx_uint_t                         changes;  /* for the audit log */
} ngx_http_milvus_cdc_type_t;


struct ngx_http_milvus_cdc_ctx_s {
    ngx_http_request_t                *request;
    ngx_http_milvus_cdc_main_conf_t   *mcf;
    ngx_http_milvus_cdc_loc_conf_t    *lcf;
    const ngx_http_milvus_cdc_type_t  *type;
    json_t                            *data;     /* decoded request_data */
    json_t                            *complaints;   /* of a check; NULL: it
                                                        is none */
    json_t                            *ignored;  /* of a create or check, or
                                                    NULL: see errs_t */
    ngx_event_t                        timer;
    ngx_msec_t                         deadline;

    /* waiting for the zone: what to try again */
    ngx_int_t                        (*retry)(ngx_http_milvus_cdc_ctx_t *c);

    /* the store */
    ngx_http_milvus_cdc_frames_t       frames;
    ngx_str_t                          frame;
    ngx_msec_t                         last;     /* no resend after it */
    unsigned                           resent:1;
    unsigned                           gathering:1;  /* a check's complaints */
    unsigned                           foreign:1;    /* a page of another site
                                                        sends it */

    /* .._body.c: what has come of it, and the room for that */
    ngx_str_t                          body;
    size_t                             room;

    /* .._audit.c */
    ngx_str_t                          task_id;
    ngx_uint_t                         code;     /* 0: no answer yet */
    unsigned                           accounted:1;
};


/* rows of the type table; each returns what finalize_request() takes, or
 * NGX_AGAIN when the request goes on */

ngx_int_t ngx_http_milvus_cdc_create(ngx_http_milvus_cdc_ctx_t *c);
ngx_int_t ngx_http_milvus_cdc_check(ngx_http_milvus_cdc_ctx_t *c);
ngx_int_t ngx_http_milvus_cdc_control(ngx_http_milvus_cdc_ctx_t *c);
ngx_int_t ngx_http_milvus_cdc_get(ngx_http_milvus_cdc_ctx_t *c);
ngx_int_t ngx_http_milvus_cdc_list(ngx_http_milvus_cdc_ctx_t *c);
ngx_int_t ngx_http_milvus_cdc_progress(ngx_http_milvus_cdc_ctx_t *c);
ngx_int_t ngx_http_milvus_cdc_position(ngx_http_milvus_cdc_ctx_t *c);
ngx_int_t ngx_http_milvus_cdc_maintenance(ngx_http_milvus_cdc_ctx_t *c);

extern const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_create_fields[];

/* the collections of a create (.._select.c); NGX_DECLINED: no objection */
ngx_int_t ngx_http_milvus_cdc_check_selection(ngx_http_milvus_cdc_ctx_t *c);

/* an absent field reads as "" */
const char *ngx_http_milvus_cdc_str(json_t *obj, const char *name);


/* {"code":200,"data":...}; NULL: {} */
ngx_int_t ngx_http_milvus_cdc_answer(ngx_http_milvus_cdc_ctx_t *c,
    const u_char *data, size_t len);

/* a finished answer with code 200 */
ngx_int_t ngx_http_milvus_cdc_send(ngx_http_milvus_cdc_ctx_t *c,
    ngx_http_milvus_cdc_text_t *t);

/* {"code":N,"message":"..."} from the error table; arguments as printf() */
ngx_int_t ngx_http_milvus_cdc_error(ngx_http_milvus_cdc_ctx_t *c,
    cdc_error_e err, ...);

/* the same with a finished text.  While a check gathers its complaints both
 * keep what was said for the answer, and return NGX_DECLINED */
ngx_int_t ngx_http_milvus_cdc_error_text(ngx_http_milvus_cdc_ctx_t *c,
    cdc_error_e err, const char *text, size_t len);

/* calls c->retry every 20 ms until milvus_cdc_timeout; NGX_AGAIN, or an
 * answer when that is over */
ngx_int_t ngx_http_milvus_cdc_wait(ngx_http_milvus_cdc_ctx_t *c);

/* sends {request_type, request_data, source} (and "complaints", of a check:
 * a list of [cdc_error_e, text]; and "ignored") and passes the answer on;
 * "extra" is what the store may take beside milvus_cdc_timeout */
ngx_int_t ngx_http_milvus_cdc_store(ngx_http_milvus_cdc_ctx_t *c,
    ngx_msec_t extra);

/* reads the body, then .._request(); for a content handler to return */
ngx_int_t ngx_http_milvus_cdc_read_body(ngx_http_milvus_cdc_ctx_t *c);

/* the body is there: its row's handler, or an answer's result */
ngx_int_t ngx_http_milvus_cdc_request(ngx_http_milvus_cdc_ctx_t *c);

/* ends the request from an event handler */
void ngx_http_milvus_cdc_finalize(ngx_http_milvus_cdc_ctx_t *c, ngx_int_t rc);

/* 1: a browser sends it for a page of another site */
ngx_uint_t ngx_http_milvus_cdc_cross_site(ngx_http_request_t *r);

/* NGX_OK for GET and HEAD, whose body is dropped; else an answer's result */
ngx_int_t ngx_http_milvus_cdc_get_only(ngx_http_request_t *r);


/* which row of the table of types it is; NULL: the number of others */
ngx_uint_t ngx_http_milvus_cdc_type_number(
    const ngx_http_milvus_cdc_type_t *type);
/* of that number; NULL: none */
const char *ngx_http_milvus_cdc_type_name(ngx_uint_t number);


/* ---- what is told of requests (.._audit.c) ---------------------------- */

/* an answer goes out */
void ngx_http_milvus_cdc_answered(ngx_http_milvus_cdc_ctx_t *c,
    ngx_uint_t code);

/* the request ends with that, maybe without an answer of ours */
void ngx_http_milvus_cdc_ended(ngx_http_milvus_cdc_ctx_t *c, ngx_int_t rc);

void ngx_http_milvus_cdc_account(ngx_http_milvus_cdc_ctx_t *c);


/* ---- progress (.._progress.c) ------------------------------------------ */

/* one object of the answer to "progress" */
void ngx_http_milvus_cdc_progress_json(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_http_milvus_cdc_main_conf_t *mcf);

/* what a slot says of how old its status is */
typedef struct {
    uint64_t                     reported;   /* 0: there is none */
    ngx_uint_t                   up;         /* one that is told of now */
} ngx_http_milvus_cdc_told_t;

void ngx_http_milvus_cdc_told(ngx_http_milvus_cdc_told_t *told,
    ngx_http_milvus_cdc_slot_t *slot);

/* ms, or CDC_UNKNOWN */
uint64_t ngx_http_milvus_cdc_lag(cdc_task_status_t *st,
    ngx_http_milvus_cdc_told_t *told);
uint64_t ngx_http_milvus_cdc_coll_lag(cdc_progress_coll_t *c,
    ngx_http_milvus_cdc_told_t *told, uint64_t lag);
uint64_t ngx_http_milvus_cdc_retention_left(cdc_task_status_t *st,
    uint64_t lag);

/* 1 while a replicator tells, so that what it told is of now */
ngx_uint_t ngx_http_milvus_cdc_fresh(ngx_http_milvus_cdc_told_t *told);
/* 1 when the task has read its log to the end, and nothing holds it up */
ngx_uint_t ngx_http_milvus_cdc_live(cdc_task_status_t *st,
    ngx_http_milvus_cdc_told_t *told);


/* ---- metrics of more than tasks (.._measure.c) ------------------------- */

void ngx_http_milvus_cdc_measure_colls(ngx_http_milvus_cdc_text_t *t,
    ngx_shm_zone_t *zone);
void ngx_http_milvus_cdc_measure_api(ngx_http_milvus_cdc_text_t *t,
    ngx_shm_zone_t *zone);


/* ---- the table as text (.._task.c) ------------------------------------- */

/* why the task does not replicate as it should, or an empty string */
void ngx_http_milvus_cdc_reason(ngx_http_milvus_cdc_slot_t *slot,
    ngx_str_t *reason);
const char *ngx_http_milvus_cdc_state(ngx_uint_t state);

/* {"since_ms":..,"cause":..,"next_try_ms":..}, NGX_DECLINED: none is due */
ngx_int_t ngx_http_milvus_cdc_degraded(ngx_http_milvus_cdc_text_t *t,
    ngx_http_milvus_cdc_slot_t *slot, ngx_str_t *reason);

/* one scratch slot for each process: they are too large for a stack */
extern ngx_http_milvus_cdc_slot_t  ngx_http_milvus_cdc_scratch;

uint64_t ngx_http_milvus_cdc_wall_ms(void);


#endif /* NGX_HTTP_MILVUS_CDC_HTTP_H_INCLUDED */
