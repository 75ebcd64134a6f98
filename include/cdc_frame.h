/*
 * Frames between the processes of one nginx: worker <-> store over
 * <state>/api.sock, supervisor <-> helper over a socketpair (the helper's
 * end is descriptor CDC_FD_CONTROL).
 *
 *   cdc_frame_t, then "len" bytes of payload.  Host byte order: both ends
 *   run on one machine and come from one build (INIT checks the version).
 *
 *     worker      REQUEST {"request_type","request_data","source"}  -> store
 *     store       ANSWER  status = cdc_error_e (CDC_E_OK: payload is the
 *                         JSON of "data"; otherwise the message's text)
 *
 *     store       ACK     same id as REQUEST: it is at work, and waits for
 *                         the end of a replicator; ANSWER follows
 *
 *     supervisor  INIT    JSON, first frame to each helper (see below)
 *     store       TASK    cdc_task_record_t: create or change one task
 *     store       GONE    task id: the task was deleted
 *     store       SYNCED  no payload: every task of LevelDB has been sent
 *     supervisor  ACK     same id as TASK or GONE: the zone shows it
 *     replicator  ASK     task id: wants its configuration
 *     supervisor  ASK     the same, passed on to the store
 *     store       CONFIG  task id NUL JSON (secrets inside), passed on as
 *     supervisor  CONFIG  JSON to the replicator; kept by neither log nor
 *                         supervisor: {"task_id", "source", "revision",
 *                         "created_ms", "request_data": as it was created},
 *                         and "target_group", "target_ms", "source_ms",
 *                         "source_ends" where known
 *     replicator  STATUS  cdc_task_status_t
 *     replicator  PROGRESS cdc_task_progress_t, once a second
 *     replicator  EVENT   cdc_task_event_t
 *     replicator  FAILED  task id NUL reason: fatal, the task must pause
 *     supervisor  FAILED  the same, passed on to the store, which makes it
 *                         durable and sends TASK
 *     supervisor  STOPPED task id: its replicator has ended, or there was
 *                         none.  One follows every GONE (the store may
 *                         remove a deleted task's directory), and every TASK
 *                         that is not Running, with its revision as the id
 *                         (nothing is in flight any more)
 *
 * A create or change is durable in LevelDB, then shown in the zone (TASK,
 * ACK), then answered: a client that got 200 finds its task in any worker's
 * list.  The zone has one writer, the supervisor.
 *
 * INIT: {"version", "role": "store" | "replicate", "state_dir", "task_id"
 * (replicator), "start", "upgraded": bool (store; cdc_store_start.c),
 * "max_tasks", "max_name_length", "drain_timeout" (ms), "timeout" (ms),
 * "allow_target": [..], "sources": {"<name>": {"etcd": {"endpoints": [..],
 * "user", "password", "ca", "cert", "key"}, "root_path", "meta_path",
 * "replicate_channel", "kafka": {"brokers", "user", "password", "mechanism",
 * "tls": bool, "ca", "cert", "key"}}}}; in
 * place of "kafka" a source has "rocksmq": "<directory>" when that is its log
 */

#ifndef CDC_FRAME_H_INCLUDED
#define CDC_FRAME_H_INCLUDED

#include "cdc_base.h"


#define CDC_FD_CONTROL       3           /* helper's end of the socketpair */
#define CDC_FD_LOCK          4           /* flock of <state>/lock, inherited */
#define CDC_FRAME_MAX        (1024 * 1024)


enum {
    CDC_FRAME_REQUEST = 1,
    CDC_FRAME_ANSWER,
    CDC_FRAME_INIT,
    CDC_FRAME_TASK,
    CDC_FRAME_GONE,
    CDC_FRAME_SYNCED,
    CDC_FRAME_ACK,
    CDC_FRAME_ASK,
    CDC_FRAME_CONFIG,
    CDC_FRAME_STATUS,
    CDC_FRAME_FAILED,
    CDC_FRAME_STOPPED,
    CDC_FRAME_PROGRESS,
    CDC_FRAME_EVENT
};


typedef struct {
    uint32_t  len;                       /* of the payload */
    uint16_t  type;
    uint16_t  status;                    /* cdc_error_e of an ANSWER */
    uint64_t  id;                        /* chosen by the asker, echoed */
} cdc_frame_t;


#endif /* CDC_FRAME_H_INCLUDED */
