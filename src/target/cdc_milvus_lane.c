/*
 * Lanes: ReplicateMessage over a connection of its own.
 *
 * No deadline: while the target works, the request is neither applied nor
 * lost.  When the connection breaks, it is in doubt; the keepalive finds a
 * dead one within twice its period.  Closing the lane ends the connection
 * first and then reports, so nothing of the old lane can be produced by a
 * request that has not been read by the target yet.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_milvus_int.h"


struct cdc_target_lane_s {
    cdc_target_t  *target;
    cdc_grpc_t    *grpc;
    void         (*done)(void *arg, int rc, const cdc_target_error_t *err);
    void          *arg;
    unsigned       busy:1;
};


static void cdc_milvus_lane_done(void *arg, int rc, cdc_span_t answer,
    const cdc_grpc_error_t *ge);


cdc_target_lane_t *
cdc_milvus_lane_open(cdc_target_t *t, char *err)
{
    cdc_target_lane_t  *lane;

    lane = calloc(1, sizeof(cdc_target_lane_t));
    if (lane == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "no memory");
        return NULL;
    }

    lane->target = t;
    lane->grpc = cdc_milvus_connect(&t->conf, 1, err);
    if (lane->grpc == NULL) {
        free(lane);
        return NULL;
    }

    return lane;
}


void
cdc_milvus_lane_close(cdc_target_lane_t *lane)
{
    cdc_grpc_close(lane->grpc);
    free(lane);
}


int
cdc_milvus_lane_send(cdc_target_lane_t *lane, cdc_chain_t *request,
    void (*done)(void *arg, int rc, const cdc_target_error_t *err), void *arg)
{
    int  rc;

    if (lane->busy) {
        cdc_log(CDC_LOG_ALERT, 0, "a lane got a second request at once");
        return CDC_ERROR;
    }

    lane->done = done;
    lane->arg = arg;

    rc = cdc_grpc_send(lane->grpc, CDC_MILVUS_SERVICE "ReplicateMessage",
                       request, 0, cdc_milvus_lane_done, lane);

    lane->busy = (rc == CDC_OK);

    return rc;
}


static void
cdc_milvus_lane_done(void *arg, int rc, cdc_span_t answer,
    const cdc_grpc_error_t *ge)
{
    cdc_target_lane_t   *lane;
    cdc_target_error_t   err;

    lane = arg;
    lane->busy = 0;

    if (rc == CDC_OK) {
        rc = cdc_milvus_status(answer.data, answer.len, CDC_MILVUS_LANE,
                               &err);

    } else {
        cdc_milvus_transport(ge, &err);
        __atomic_store_n(&lane->target->mode_told, 0, __ATOMIC_SEQ_CST);
    }

    lane->done(lane->arg, rc, rc == CDC_OK ? NULL : &err);
}
