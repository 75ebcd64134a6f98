/*
 * The task table.
 *
 * A fixed array of slots behind a header, both in one slab allocation.  The
 * number of slots follows from the zone's size alone, so that a reload may
 * change milvus_cdc_max_tasks and keep the zone.
 *
 * A writer makes "seq" odd, copies, and makes it even, all under the slab
 * mutex.  When it is killed in between, nginx's SIGCHLD handler releases the
 * mutex and the slot stays odd: readers then answer "not ready" until the
 * next supervisor's store has sent the task again, which is milliseconds.
 *
 * The table outlives its writer.  After a kill or a reload the old content
 * stays readable ("ready" is not taken back) while the new store sends its
 * tasks; sync_end() drops the ones that it did not name.
 */

#include "ngx_http_milvus_cdc_table.h"


#define NGX_HTTP_MILVUS_CDC_MAGIC  0x4344434d      /* "MCDC" */
#define NGX_HTTP_MILVUS_CDC_EVENTS_OF_KIND  8


typedef struct {
    uint32_t                     magic;
    uint32_t                     layout;
    uint32_t                     slot_size;
    uint32_t                     nslots;
    uint32_t                     epoch;
    uint32_t                     ready;
    uint64_t                     store_restarts;
    uint64_t                     takeovers;
    uint64_t                     beat;       /* ngx_current_msec; 0: none */
    volatile uint64_t            changes;    /* of slots */
    volatile uint64_t            turns;      /* but for reports */
    ngx_http_milvus_cdc_api_stat_t  api[NGX_HTTP_MILVUS_CDC_API_TYPES];
    ngx_http_milvus_cdc_slot_t   slots[1];
} ngx_http_milvus_cdc_table_t;


static ngx_http_milvus_cdc_slot_t *ngx_http_milvus_cdc_table_lookup(
    ngx_http_milvus_cdc_table_t *t, ngx_str_t *id);
static ngx_http_milvus_cdc_slot_t *ngx_http_milvus_cdc_table_open(
    ngx_shm_zone_t *zone, ngx_str_t *id);
static void ngx_http_milvus_cdc_table_close(ngx_shm_zone_t *zone,
    ngx_http_milvus_cdc_slot_t *slot);
static ngx_http_milvus_cdc_slot_t *ngx_http_milvus_cdc_slot_new(
    ngx_http_milvus_cdc_table_t *t, cdc_task_record_t *rec, uint64_t now);
static void ngx_http_milvus_cdc_slot_lag(ngx_http_milvus_cdc_slot_t *slot,
    cdc_task_status_t *st);
static void ngx_http_milvus_cdc_slot_changed(ngx_http_milvus_cdc_slot_t *slot,
    cdc_task_record_t *rec, uint64_t now);
static void ngx_http_milvus_cdc_slot_event(ngx_http_milvus_cdc_slot_t *slot,
    ngx_uint_t kind, uint64_t at_ms, const char *text);
static void ngx_http_milvus_cdc_slot_open(ngx_http_milvus_cdc_table_t *t,
    ngx_http_milvus_cdc_slot_t *slot);
static void ngx_http_milvus_cdc_slot_close(ngx_http_milvus_cdc_table_t *t,
    ngx_http_milvus_cdc_slot_t *slot);
static void ngx_http_milvus_cdc_slot_copy(ngx_http_milvus_cdc_slot_t *to,
    const ngx_http_milvus_cdc_slot_t *from);


#define ngx_http_milvus_cdc_pool(zone)   ((ngx_slab_pool_t *) (zone)->shm.addr)
#define ngx_http_milvus_cdc_table(zone)                                       \
    ((ngx_http_milvus_cdc_table_t *) ngx_http_milvus_cdc_pool(zone)->data)


static uint64_t
ngx_http_milvus_cdc_table_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


static size_t
ngx_http_milvus_cdc_table_bytes(ngx_uint_t slots)
{
    return offsetof(ngx_http_milvus_cdc_table_t, slots)
           + slots * sizeof(ngx_http_milvus_cdc_slot_t);
}


size_t
ngx_http_milvus_cdc_table_size(ngx_uint_t tasks)
{
    size_t  pages;

    /* the slab pool keeps a descriptor for each page, and its own header */

    pages = ngx_http_milvus_cdc_table_bytes(tasks) / ngx_pagesize + 1;

    return ngx_align((pages + 4) * ngx_pagesize
                     + pages * sizeof(ngx_slab_page_t), ngx_pagesize);
}


ngx_int_t
ngx_http_milvus_cdc_table_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_uint_t                    n;
    ngx_slab_pool_t              *pool;
    ngx_http_milvus_cdc_table_t  *t;

    pool = ngx_http_milvus_cdc_pool(zone);

    /* on a reload this runs in the master while workers use the table */

    if (data || zone->shm.exists) {
        t = pool->data;

        if (t == NULL
            || t->magic != NGX_HTTP_MILVUS_CDC_MAGIC
            || t->layout != NGX_HTTP_MILVUS_CDC_TABLE_LAYOUT
            || t->slot_size != sizeof(ngx_http_milvus_cdc_slot_t))
        {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "milvus_cdc_zone \"%V\" was made by another version "
                          "of the module: restart or upgrade nginx instead of "
                          "reloading it, or name another zone",
                          &zone->shm.name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    for (n = CDC_MAX_TASKS; n > 1; n--) {
        if (ngx_http_milvus_cdc_table_size(n) <= zone->shm.size) {
            break;
        }
    }

    t = ngx_slab_calloc(pool, ngx_http_milvus_cdc_table_bytes(n));
    if (t == NULL) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "milvus_cdc_zone \"%V\" is too small",
                      &zone->shm.name);
        return NGX_ERROR;
    }

    t->magic = NGX_HTTP_MILVUS_CDC_MAGIC;
    t->layout = NGX_HTTP_MILVUS_CDC_TABLE_LAYOUT;
    t->slot_size = sizeof(ngx_http_milvus_cdc_slot_t);
    t->nslots = n;
    t->changes = ngx_http_milvus_cdc_table_now() << 20;
    t->turns = t->changes;

    pool->data = t;
    pool->log_nomem = 0;

    return NGX_OK;
}


ngx_uint_t
ngx_http_milvus_cdc_table_ready(ngx_shm_zone_t *zone)
{
    ngx_uint_t  ready;

    ngx_shmtx_lock(&ngx_http_milvus_cdc_pool(zone)->mutex);
    ready = ngx_http_milvus_cdc_table(zone)->ready;
    ngx_shmtx_unlock(&ngx_http_milvus_cdc_pool(zone)->mutex);

    return ready;
}


ngx_int_t
ngx_http_milvus_cdc_table_read(ngx_shm_zone_t *zone, ngx_uint_t i,
    ngx_http_milvus_cdc_slot_t *slot)
{
    ngx_int_t                     rc;
    ngx_slab_pool_t              *pool;
    ngx_http_milvus_cdc_table_t  *t;

    pool = ngx_http_milvus_cdc_pool(zone);
    t = ngx_http_milvus_cdc_table(zone);

    if (i >= t->nslots) {
        return NGX_DONE;
    }

    ngx_shmtx_lock(&pool->mutex);

    if (t->slots[i].seq & 1) {
        rc = NGX_AGAIN;

    } else if (!t->slots[i].in_use) {
        rc = NGX_DECLINED;

    } else {
        ngx_http_milvus_cdc_slot_copy(slot, &t->slots[i]);
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&pool->mutex);

    return rc;
}


ngx_int_t
ngx_http_milvus_cdc_table_find(ngx_shm_zone_t *zone, ngx_str_t *id,
    ngx_http_milvus_cdc_slot_t *slot)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_slab_pool_t              *pool;
    ngx_http_milvus_cdc_slot_t   *found;
    ngx_http_milvus_cdc_table_t  *t;

    pool = ngx_http_milvus_cdc_pool(zone);
    t = ngx_http_milvus_cdc_table(zone);
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&pool->mutex);

    found = ngx_http_milvus_cdc_table_lookup(t, id);

    if (found) {
        ngx_http_milvus_cdc_slot_copy(slot, found);
        rc = NGX_OK;

    } else {

        /* a torn slot may be the one that is asked for */

        for (i = 0; i < t->nslots; i++) {
            if (t->slots[i].seq & 1) {
                rc = NGX_AGAIN;
                break;
            }
        }
    }

    ngx_shmtx_unlock(&pool->mutex);

    return rc;
}


void
ngx_http_milvus_cdc_table_stat(ngx_shm_zone_t *zone,
    ngx_http_milvus_cdc_table_stat_t *st)
{
    ngx_uint_t                    i;
    ngx_slab_pool_t              *pool;
    ngx_http_milvus_cdc_table_t  *t;

    pool = ngx_http_milvus_cdc_pool(zone);
    t = ngx_http_milvus_cdc_table(zone);

    ngx_shmtx_lock(&pool->mutex);

    st->slots = t->nslots;
    st->used = 0;
    st->store_restarts = t->store_restarts;
    st->takeovers = t->takeovers;
    st->beat = t->beat;

    for (i = 0; i < t->nslots; i++) {
        st->used += t->slots[i].in_use;
    }

    ngx_shmtx_unlock(&pool->mutex);
}


uint64_t
ngx_http_milvus_cdc_table_changes(ngx_shm_zone_t *zone)
{
    return ngx_http_milvus_cdc_table(zone)->changes;
}


uint64_t
ngx_http_milvus_cdc_table_turns(ngx_shm_zone_t *zone)
{
    return ngx_http_milvus_cdc_table(zone)->turns;
}


void
ngx_http_milvus_cdc_table_sync_begin(ngx_shm_zone_t *zone, ngx_uint_t restart)
{
    ngx_slab_pool_t              *pool;
    ngx_http_milvus_cdc_table_t  *t;

    pool = ngx_http_milvus_cdc_pool(zone);
    t = ngx_http_milvus_cdc_table(zone);

    ngx_shmtx_lock(&pool->mutex);

    t->epoch++;

    if (restart) {
        t->store_restarts++;

    } else {
        t->takeovers++;
    }

    ngx_shmtx_unlock(&pool->mutex);
}


void
ngx_http_milvus_cdc_table_sync_end(ngx_shm_zone_t *zone)
{
    ngx_uint_t                    i;
    ngx_slab_pool_t              *pool;
    ngx_http_milvus_cdc_slot_t   *slot;
    ngx_http_milvus_cdc_table_t  *t;

    pool = ngx_http_milvus_cdc_pool(zone);
    t = ngx_http_milvus_cdc_table(zone);

    ngx_shmtx_lock(&pool->mutex);

    for (i = 0; i < t->nslots; i++) {
        slot = &t->slots[i];

        if ((slot->in_use || (slot->seq & 1)) && slot->epoch != t->epoch) {
            ngx_http_milvus_cdc_slot_open(t, slot);
            slot->in_use = 0;
            ngx_http_milvus_cdc_slot_close(t, slot);
        }
    }

    t->ready = 1;
    t->turns++;
    t->beat = ngx_current_msec;

    ngx_shmtx_unlock(&pool->mutex);
}


void
ngx_http_milvus_cdc_table_beat(ngx_shm_zone_t *zone)
{
    ngx_shmtx_lock(&ngx_http_milvus_cdc_pool(zone)->mutex);

    ngx_http_milvus_cdc_table(zone)->beat = ngx_current_msec;

    ngx_shmtx_unlock(&ngx_http_milvus_cdc_pool(zone)->mutex);
}


ngx_int_t
ngx_http_milvus_cdc_table_put(ngx_shm_zone_t *zone, cdc_task_record_t *rec)
{
    uint64_t                      now;
    ngx_str_t                     id;
    ngx_slab_pool_t              *pool;
    ngx_http_milvus_cdc_slot_t   *slot;
    ngx_http_milvus_cdc_table_t  *t;

    pool = ngx_http_milvus_cdc_pool(zone);
    t = ngx_http_milvus_cdc_table(zone);

    now = ngx_http_milvus_cdc_table_now();

    id.data = (u_char *) rec->task_id;
    id.len = ngx_strlen(rec->task_id);

    ngx_shmtx_lock(&pool->mutex);

    slot = ngx_http_milvus_cdc_table_lookup(t, &id);

    if (slot) {
        ngx_http_milvus_cdc_slot_open(t, slot);

        if (slot->record.state != rec->state) {
            ngx_http_milvus_cdc_slot_changed(slot, rec, now);

            /* what was wrong is for the next replicator to say again */

            slot->status.degraded_since_ms = 0;
            slot->status.next_try_ms = 0;
            slot->status.degraded[0] = '\0';
        }

    } else {
        slot = ngx_http_milvus_cdc_slot_new(t, rec, now);
    }

    if (slot) {
        ngx_memcpy(&slot->record, rec, sizeof(cdc_task_record_t));
        slot->epoch = t->epoch;
        ngx_http_milvus_cdc_slot_close(t, slot);
        t->turns++;
    }

    ngx_shmtx_unlock(&pool->mutex);

    return slot ? NGX_OK : NGX_DECLINED;
}


/* a free one, open, for a task that there was not; NULL: there is none */

static ngx_http_milvus_cdc_slot_t *
ngx_http_milvus_cdc_slot_new(ngx_http_milvus_cdc_table_t *t,
    cdc_task_record_t *rec, uint64_t now)
{
    ngx_uint_t                   i;
    ngx_http_milvus_cdc_slot_t  *slot;

    for (i = 0; i < t->nslots; i++) {
        slot = &t->slots[i];

        if (slot->in_use && !(slot->seq & 1)) {
            continue;
        }

        ngx_http_milvus_cdc_slot_open(t, slot);

        ngx_memzero(&slot->status, sizeof(cdc_task_status_t));
        ngx_memzero(&slot->progress, sizeof(cdc_task_progress_t));
        slot->restarts = 0;
        slot->nevents = 0;
        slot->up = 0;
        slot->born = t->ready;
        slot->reported = 0;
        slot->lag_ms = CDC_UNKNOWN;
        slot->since_ms = now;
        slot->seen = ngx_current_msec;
        slot->in_use = 1;

        ngx_http_milvus_cdc_slot_event(slot, CDC_EVENT_CREATED,
                                       rec->created_ms, "");
        return slot;
    }

    return NULL;
}


void
ngx_http_milvus_cdc_table_remove(ngx_shm_zone_t *zone, ngx_str_t *id)
{
    ngx_http_milvus_cdc_slot_t  *slot;

    slot = ngx_http_milvus_cdc_table_open(zone, id);

    if (slot) {
        slot->in_use = 0;
        ngx_http_milvus_cdc_table(zone)->turns++;
        ngx_http_milvus_cdc_table_close(zone, slot);
    }
}


/*
 * A replicator that begins has nothing yet, and then what was in the last
 * checkpoint: less than what one before it had reported.  Who adds up the
 * growth of a counter must not see it fall.
 */

static void
ngx_http_milvus_cdc_slot_totals(const cdc_task_status_t *was,
    cdc_task_status_t *st)
{
    size_t           i;
    const uint64_t  *old;
    uint64_t        *total;

    static const size_t  totals[] = {
        offsetof(cdc_task_status_t, rows_in),
        offsetof(cdc_task_status_t, rows_out),
        offsetof(cdc_task_status_t, bytes_in),
        offsetof(cdc_task_status_t, bytes_out),
        offsetof(cdc_task_status_t, requests),
        offsetof(cdc_task_status_t, retries),
        offsetof(cdc_task_status_t, rows_skipped),
        offsetof(cdc_task_status_t, rows_settled),
        offsetof(cdc_task_status_t, rows_equal),
        offsetof(cdc_task_status_t, doubts),
        offsetof(cdc_task_status_t, operations),
        offsetof(cdc_task_status_t, errors)
    };

    for (i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
        old = (const uint64_t *) ((const u_char *) was + totals[i]);
        total = (uint64_t *) ((u_char *) st + totals[i]);
        *total = ngx_max(*total, *old);
    }
}


void
ngx_http_milvus_cdc_table_status(ngx_shm_zone_t *zone, ngx_str_t *id,
    cdc_task_status_t *st)
{
    ngx_http_milvus_cdc_slot_t  *slot;

    slot = ngx_http_milvus_cdc_table_open(zone, id);

    if (slot == NULL) {
        return;
    }

    /* a replicator knows what it did itself, not what one before it did */

    if (st->operation_ms == 0) {
        st->operation_ms = slot->status.operation_ms;
        ngx_memcpy(st->operation, slot->status.operation,
                   sizeof(st->operation));
        ngx_memcpy(st->object, slot->status.object, sizeof(st->object));
    }

    if (st->error_ms == 0) {
        st->error_ms = slot->status.error_ms;
        ngx_memcpy(st->error, slot->status.error, sizeof(st->error));
    }

    if (slot->reported && slot->status.pid != st->pid) {
        slot->lag_ms = slot->status.lag_ms;
        slot->lag_at = slot->reported;
    }

    ngx_http_milvus_cdc_slot_lag(slot, st);
    ngx_http_milvus_cdc_slot_totals(&slot->status, st);

    if (!slot->up || slot->status.parked != st->parked
        || slot->status.degraded_since_ms != st->degraded_since_ms)
    {
        ngx_http_milvus_cdc_table(zone)->turns++;
    }

    ngx_memcpy(&slot->status, st, sizeof(cdc_task_status_t));
    slot->reported = slot->seen = ngx_current_msec;
    slot->up = 1;

    ngx_http_milvus_cdc_table_close(zone, slot);
}


void
ngx_http_milvus_cdc_table_progress(ngx_shm_zone_t *zone, ngx_str_t *id,
    cdc_task_progress_t *p)
{
    ngx_http_milvus_cdc_slot_t  *slot;

    slot = ngx_http_milvus_cdc_table_open(zone, id);

    if (slot) {
        ngx_memcpy(&slot->progress, p, sizeof(cdc_task_progress_t));
        ngx_http_milvus_cdc_table_close(zone, slot);
    }
}


void
ngx_http_milvus_cdc_table_down(ngx_shm_zone_t *zone, ngx_str_t *id)
{
    ngx_http_milvus_cdc_slot_t  *slot;

    slot = ngx_http_milvus_cdc_table_open(zone, id);

    if (slot) {
        slot->up = 0;
        ngx_http_milvus_cdc_table(zone)->turns++;
        ngx_http_milvus_cdc_table_close(zone, slot);
    }
}


void
ngx_http_milvus_cdc_table_event(ngx_shm_zone_t *zone, ngx_str_t *id,
    cdc_task_event_t *ev)
{
    ngx_http_milvus_cdc_slot_t  *slot;

    slot = ngx_http_milvus_cdc_table_open(zone, id);

    if (slot) {
        ngx_http_milvus_cdc_slot_event(slot, ev->kind, ev->at_ms, ev->text);
        ngx_http_milvus_cdc_table_close(zone, slot);
    }
}


/*
 * A replicator begins at the last checkpoint, and knows no lag before it has
 * looked.  What the one before it had acknowledged is on the target: from
 * there the lag goes on, until the new one is farther.
 */

static void
ngx_http_milvus_cdc_slot_lag(ngx_http_milvus_cdc_slot_t *slot,
    cdc_task_status_t *st)
{
    uint64_t  lag;

    if (slot->lag_ms == CDC_UNKNOWN) {
        return;
    }

    lag = slot->lag_ms + (ngx_current_msec - slot->lag_at);

    if (st->lag_ms > lag) {              /* CDC_UNKNOWN is, too */
        st->lag_ms = lag;

    } else {
        slot->lag_ms = CDC_UNKNOWN;
    }
}


/* the task is paused or resumed */

static void
ngx_http_milvus_cdc_slot_changed(ngx_http_milvus_cdc_slot_t *slot,
    cdc_task_record_t *rec, uint64_t now)
{
    ngx_uint_t  kind;

    slot->since_ms = now;
    slot->seen = ngx_current_msec;
    kind = CDC_EVENT_RESUMED;

    if (rec->state == CDC_TASK_PAUSED) {
        kind = cdc_reason_wanted(rec->reason) ? CDC_EVENT_PAUSED
                                              : CDC_EVENT_FAILED;
    }

    ngx_http_milvus_cdc_slot_event(slot, kind, now, rec->reason);
}


/*
 * The newest last.  Of one kind there are no more than a few, so that a
 * hundred operations do not push out the one restart.
 */

static void
ngx_http_milvus_cdc_slot_event(ngx_http_milvus_cdc_slot_t *slot,
    ngx_uint_t kind, uint64_t at_ms, const char *text)
{
    ngx_uint_t         i, n, first;
    cdc_task_event_t  *ev;

    n = 0;
    first = 0;

    for (i = slot->nevents; i > 0; i--) {
        if (slot->events[i - 1].kind == kind) {
            first = i - 1;
            n++;
        }
    }

    if (n < NGX_HTTP_MILVUS_CDC_EVENTS_OF_KIND) {
        first = 0;
    }

    if (n >= NGX_HTTP_MILVUS_CDC_EVENTS_OF_KIND
        || slot->nevents == CDC_PROGRESS_EVENTS)
    {
        slot->nevents--;
        ngx_memmove(&slot->events[first], &slot->events[first + 1],
                    (slot->nevents - first) * sizeof(cdc_task_event_t));
    }

    ev = &slot->events[slot->nevents++];
    ev->kind = kind;
    ev->at_ms = at_ms ? at_ms : ngx_http_milvus_cdc_table_now();

    ngx_cpystrn((u_char *) ev->text, (u_char *) text, CDC_EVENT_TEXT);
}


ngx_http_milvus_cdc_api_stat_t *
ngx_http_milvus_cdc_table_api(ngx_shm_zone_t *zone)
{
    return ngx_http_milvus_cdc_table(zone)->api;
}


void
ngx_http_milvus_cdc_table_restarted(ngx_shm_zone_t *zone, ngx_str_t *id)
{
    ngx_http_milvus_cdc_slot_t  *slot;

    slot = ngx_http_milvus_cdc_table_open(zone, id);

    if (slot) {
        slot->restarts++;
        ngx_http_milvus_cdc_table(zone)->turns++;
        ngx_http_milvus_cdc_table_close(zone, slot);
    }
}


/* the task's slot, open for writing and with the mutex held; or NULL */

static ngx_http_milvus_cdc_slot_t *
ngx_http_milvus_cdc_table_open(ngx_shm_zone_t *zone, ngx_str_t *id)
{
    ngx_http_milvus_cdc_slot_t  *slot;

    ngx_shmtx_lock(&ngx_http_milvus_cdc_pool(zone)->mutex);

    slot = ngx_http_milvus_cdc_table_lookup(ngx_http_milvus_cdc_table(zone),
                                            id);

    if (slot == NULL) {
        ngx_shmtx_unlock(&ngx_http_milvus_cdc_pool(zone)->mutex);
        return NULL;
    }

    ngx_http_milvus_cdc_slot_open(ngx_http_milvus_cdc_table(zone), slot);

    return slot;
}


static void
ngx_http_milvus_cdc_table_close(ngx_shm_zone_t *zone,
    ngx_http_milvus_cdc_slot_t *slot)
{
    ngx_http_milvus_cdc_slot_close(ngx_http_milvus_cdc_table(zone), slot);

    ngx_shmtx_unlock(&ngx_http_milvus_cdc_pool(zone)->mutex);
}


/* a torn slot is nobody's: its id may be half of another one */

static ngx_http_milvus_cdc_slot_t *
ngx_http_milvus_cdc_table_lookup(ngx_http_milvus_cdc_table_t *t, ngx_str_t *id)
{
    ngx_uint_t                   i;
    ngx_http_milvus_cdc_slot_t  *slot;

    if (id->len == 0 || id->len > CDC_TASK_ID_MAX) {
        return NULL;
    }

    for (i = 0; i < t->nslots; i++) {
        slot = &t->slots[i];

        if (slot->in_use && !(slot->seq & 1)
            && ngx_strncmp(slot->record.task_id, id->data, id->len) == 0
            && slot->record.task_id[id->len] == '\0')
        {
            return slot;
        }
    }

    return NULL;
}


static void
ngx_http_milvus_cdc_slot_open(ngx_http_milvus_cdc_table_t *t,
    ngx_http_milvus_cdc_slot_t *slot)
{
    slot->seq |= 1;
    t->changes++;
    ngx_memory_barrier();
}


static void
ngx_http_milvus_cdc_slot_close(ngx_http_milvus_cdc_table_t *t,
    ngx_http_milvus_cdc_slot_t *slot)
{
    ngx_memory_barrier();
    slot->seq++;
    t->changes++;
}


/* most of what a slot has room for is not there: documents, collections */

static void
ngx_http_milvus_cdc_slot_copy(ngx_http_milvus_cdc_slot_t *to,
    const ngx_http_milvus_cdc_slot_t *from)
{
    const cdc_task_progress_t  *p;

    p = &from->progress;

    ngx_memcpy(to, from, offsetof(ngx_http_milvus_cdc_slot_t, progress)
                         + offsetof(cdc_task_progress_t, colls));

    ngx_memcpy(to->progress.colls, p->colls,
               ngx_min(p->ncolls, CDC_PROGRESS_COLLS)
               * sizeof(cdc_progress_coll_t));
    ngx_memcpy(to->progress.names, p->names,
               ngx_min(p->names_len, CDC_PROGRESS_NAMES));
    ngx_memcpy(to->progress.texts, p->texts,
               ngx_min(p->texts_len, CDC_PROGRESS_TEXTS));

    ngx_memcpy(&to->record, &from->record,
               offsetof(cdc_task_record_t, list_doc));
    ngx_memcpy(to->record.list_doc, from->record.list_doc,
               ngx_min(from->record.list_len, CDC_DOC_MAX));
    ngx_memcpy(to->record.get_doc, from->record.get_doc,
               ngx_min(from->record.get_len, CDC_DOC_MAX));
}
