/*
 * The task table in the shared zone: a read cache of what the store holds.
 *
 * Workers read, the supervisor alone writes.  Every call takes the zone's
 * mutex for one slot's memory copy and nothing else; nothing here allocates
 * after the start.  Beside the table are the counters of API requests, which
 * workers add to.
 *
 * What a replicator told last stays shown while none runs: "up" says whether
 * one does, and has reported.
 */

#ifndef NGX_HTTP_MILVUS_CDC_TABLE_H_INCLUDED
#define NGX_HTTP_MILVUS_CDC_TABLE_H_INCLUDED

#include "ngx_http_milvus_cdc.h"


/* grows whenever a struct below, or one inside it, changes */
#define NGX_HTTP_MILVUS_CDC_TABLE_LAYOUT   9


typedef struct {
    uint64_t                    since_ms;    /* Unix ms of the last change
                                                of state, or of appearing */
    uint64_t                    seen;        /* of the last report, or of
                                                since_ms: ngx_current_msec, the
                                                same clock in all processes */
    uint64_t                    reported;    /* the same of the last report
                                                alone; 0: there was none */
    uint64_t                    lag_ms;      /* of a replicator before this
                                                one, while that is less */
    uint64_t                    lag_at;      /* when, ngx_current_msec */
    uint64_t                    restarts;    /* of its replicator, by fault */
    uint32_t                    in_use;
    uint32_t                    seq;         /* odd: a write is under way, or
                                                its writer was killed in it */
    uint32_t                    epoch;       /* of the last synchronization
                                                that named this task */
    uint32_t                    up;          /* its replicator reports */
    uint32_t                    born;        /* created since this table is:
                                                its counters began at 0 */
    uint32_t                    nevents;
    cdc_task_event_t            events[CDC_PROGRESS_EVENTS];
    cdc_task_status_t           status;
    cdc_task_progress_t         progress;
    cdc_task_record_t           record;
} ngx_http_milvus_cdc_slot_t;


typedef struct {
    ngx_uint_t                  slots;
    ngx_uint_t                  used;
    uint64_t                    store_restarts;
    uint64_t                    takeovers;
    uint64_t                    beat;        /* ngx_current_msec: a supervisor
                                                with a store in step said so */
} ngx_http_milvus_cdc_table_stat_t;


#define NGX_HTTP_MILVUS_CDC_API_TYPES    15      /* the last one: others */
#define NGX_HTTP_MILVUS_CDC_API_BUCKETS  8       /* up to 1, 2, 4 .. 128 ms */

typedef struct {
    ngx_atomic_t                failed;
    ngx_atomic_t                msec;        /* in all */
    ngx_atomic_t                count;
    ngx_atomic_t                bucket[NGX_HTTP_MILVUS_CDC_API_BUCKETS];
} ngx_http_milvus_cdc_api_stat_t;


/* ---- configuration, master ------------------------------------------- */

/* the least size of a zone for that many tasks */
size_t ngx_http_milvus_cdc_table_size(ngx_uint_t tasks);

/* the zone's init callback: builds the table or takes over the old one */
ngx_int_t ngx_http_milvus_cdc_table_init(ngx_shm_zone_t *zone, void *data);


/* ---- readers ---------------------------------------------------------- */

/* 1 when the table shows every task of the store */
ngx_uint_t ngx_http_milvus_cdc_table_ready(ngx_shm_zone_t *zone);

/*
 * Copies slot i; of documents and collections as much as there is.  NGX_OK;
 * NGX_DECLINED: free; NGX_AGAIN: torn, to be seen as a table that is not
 * ready; NGX_DONE: i is behind the last slot.
 */
ngx_int_t ngx_http_milvus_cdc_table_read(ngx_shm_zone_t *zone, ngx_uint_t i,
    ngx_http_milvus_cdc_slot_t *slot);

/* the same by task id; NGX_DECLINED: no such task */
ngx_int_t ngx_http_milvus_cdc_table_find(ngx_shm_zone_t *zone, ngx_str_t *id,
    ngx_http_milvus_cdc_slot_t *slot);

void ngx_http_milvus_cdc_table_stat(ngx_shm_zone_t *zone,
    ngx_http_milvus_cdc_table_stat_t *st);

/* another number after each change of a slot; no lock */
uint64_t ngx_http_milvus_cdc_table_changes(ngx_shm_zone_t *zone);

/* the same, but for reports that bring new figures and no other state */
uint64_t ngx_http_milvus_cdc_table_turns(ngx_shm_zone_t *zone);


/* one for each request type, to be read and added to at any time */
ngx_http_milvus_cdc_api_stat_t *ngx_http_milvus_cdc_table_api(
    ngx_shm_zone_t *zone);


/* ---- the writer -------------------------------------------------------- */

/* a new store speaks: what it does not name before sync_end() is dropped */
void ngx_http_milvus_cdc_table_sync_begin(ngx_shm_zone_t *zone,
    ngx_uint_t restart);
void ngx_http_milvus_cdc_table_sync_end(ngx_shm_zone_t *zone);

/* the store is in step, now */
void ngx_http_milvus_cdc_table_beat(ngx_shm_zone_t *zone);

/* NGX_DECLINED: no free slot */
ngx_int_t ngx_http_milvus_cdc_table_put(ngx_shm_zone_t *zone,
    cdc_task_record_t *rec);
void ngx_http_milvus_cdc_table_remove(ngx_shm_zone_t *zone, ngx_str_t *id);
void ngx_http_milvus_cdc_table_status(ngx_shm_zone_t *zone, ngx_str_t *id,
    cdc_task_status_t *st);
void ngx_http_milvus_cdc_table_progress(ngx_shm_zone_t *zone, ngx_str_t *id,
    cdc_task_progress_t *p);
void ngx_http_milvus_cdc_table_restarted(ngx_shm_zone_t *zone, ngx_str_t *id);

/* the replicator has ended: what it told is of the past from now */
void ngx_http_milvus_cdc_table_down(ngx_shm_zone_t *zone, ngx_str_t *id);

/* at_ms 0: now */
void ngx_http_milvus_cdc_table_event(ngx_shm_zone_t *zone, ngx_str_t *id,
    cdc_task_event_t *ev);


#endif /* NGX_HTTP_MILVUS_CDC_TABLE_H_INCLUDED */
