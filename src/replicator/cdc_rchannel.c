/*
 * The replicate channel: operations that the source's proxies wrote after
 * they had succeeded (index, load, release, flush, databases).  What the
 * metadata tells as well comes from there (cdc_catalogue.c).
 *
 * It has no time ticks and its order is the order of sending.  A message
 * becomes an operation at once; on which collection is decided after the
 * catalogue has been brought up to date, by the name as it was at the
 * message's timestamp.  A new task begins at the end of the channel, taken
 * before the metadata were listed.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CDC_RCHANNEL_AHEAD  256          /* operations read and not done */


static void cdc_rchannel_take(cdc_repl_t *r, cdc_log_msg_t *msg);


int
cdc_rchannel_start(cdc_repl_t *r)
{
    char  err[CDC_REASON_MAX];

    r->rstream = r->reader_ops->start(r->reader, r->rchannel,
                                      cdc_track_from(&r->rtrack,
                                                     r->reader_ops),
                                      NULL, err);
    if (r->rstream == NULL) {
        cdc_repl_fail(r, "cannot read the channel \"%s\": %s", r->rchannel,
                      err);
        return CDC_ERROR;
    }

    cdc_rchannel_read(r);

    return CDC_OK;
}


void
cdc_rchannel_read(cdc_repl_t *r)
{
    int            rc;
    char           err[CDC_REASON_MAX];
    cdc_log_msg_t  msg;

    while (r->rstream && !r->failed && !r->stopping
           && r->rtrack.tail - r->rtrack.head < CDC_RCHANNEL_AHEAD)
    {
        rc = r->reader_ops->next(r->rstream, &msg, err);

        if (rc == CDC_AGAIN) {
            return;
        }

        if (rc == CDC_DECLINED && r->rtrack.ask) {
            r->reader_ops->stop(r->rstream);         /* as cdc_channel_read */
            r->rstream = NULL;
            r->rtrack.trust = 1;
            (void) cdc_rchannel_start(r);
            return;
        }

        if (rc != CDC_OK) {
            cdc_repl_fail(r, "%s: %s", rc == CDC_DECLINED
                          ? CDC_LOG_GAP : "cannot read the source's log", err);
            return;
        }

        CDC_FAULT("operation-read");

        rc = cdc_track_same(&r->rtrack, &msg);

        if (rc < 0) {
            cdc_take_anew(r, r->rchannel, &r->rtrack, &msg);
            return;
        }

        if (rc == 0) {
            cdc_rchannel_take(r, &msg);
        }

        r->reader_ops->release(&msg);
    }
}


void
cdc_rchannel_done(cdc_repl_t *r, uint64_t number)
{
    cdc_track_done(&r->rtrack, number);
    r->rdirty = 1;

    cdc_checkpoint_soon(r);
    cdc_rchannel_read(r);
}


/* names of other tasks, or of nothing any more: the operation is done */

static void
cdc_rchannel_resolve(cdc_op_t *op)
{
    unsigned                      i;
    cdc_coll_t                   *c;
    cdc_repl_t                   *r;
    const cdc_meta_collection_t  *m;

    r = op->repl;

    for (i = 0; i < op->env.nnames; i++) {
        m = cdc_meta_by_name(r->meta, op->env.db_name.len ? op->env.db_name
                             : cdc_span(CDC_DEFAULT_DB), op->env.names[i],
                             op->ts);
        c = m ? cdc_coll_by_id(r, m->id) : NULL;

        if (c) {
            cdc_op_concern(op, c);
        }
    }

    if (op->env.nnames && op->ncolls == 0) {
        cdc_log(CDC_LOG_INFO, 0, "%s on \"%.*s\" is skipped: not followed, or "
                "dropped since", cdc_op_name(op),
                (int) op->env.names[0].len, op->env.names[0].data);
        op->done = 1;
    }
}


static void
cdc_rchannel_synced(void *arg)
{
    cdc_op_t  *op = arg;

    op->synced = 1;

    cdc_rchannel_resolve(op);
    cdc_op_kick(op->repl);
}


/* told by the metadata too, in any version, and taken from there */

static int
cdc_rchannel_catalogue(int32_t type)
{
    switch (type) {

    case CDC_MSG_CREATE_ALIAS:
    case CDC_MSG_DROP_ALIAS:
    case CDC_MSG_ALTER_ALIAS:
    case CDC_MSG_ALTER_COLLECTION:
    case CDC_MSG_ALTER_COLLECTION_FIELD:
    case CDC_MSG_ADD_COLLECTION_FIELD:
    case CDC_MSG_RENAME_COLLECTION:
    case CDC_MSG_CREATE_DATABASE:
    case CDC_MSG_ALTER_DATABASE:
        return 1;

    default:
        return type >= CDC_MSG_RBAC_FIRST && type <= CDC_MSG_RBAC_LAST;
    }
}


/* CDC_DECLINED: nothing for this task */

static int
cdc_rchannel_kind(cdc_repl_t *r, const cdc_op_envelope_t *env, cdc_pos_t pos,
    cdc_op_kind_e *kind)
{
    char  text[CDC_REASON_MAX];

    *kind = CDC_OP_APPLY;

    if (env->type == CDC_MSG_DROP_DATABASE) {
        *kind = CDC_OP_DROP_DATABASE;
        return cdc_selected_all(r->selection) ? CDC_OK : CDC_DECLINED;
    }

    if (cdc_rchannel_catalogue(env->type)) {
        return CDC_DECLINED;
    }

    if (!env->known) {
        snprintf(text, sizeof(text), "an operation of the unknown type %d is "
                 "not carried: topic \"%.200s\", position %llu:%llu",
                 (int) env->type, r->rchannel, (unsigned long long) pos.hi,
                 (unsigned long long) pos.lo);
        cdc_repl_degraded(r, CDC_CAUSE_SKIPPED, text);
        return CDC_DECLINED;
    }

    if (env->nnames == 0 && !cdc_selected_all(r->selection)) {
        return CDC_DECLINED;             /* about a database, not for us */
    }

    return CDC_OK;
}


static void
cdc_rchannel_queue(cdc_repl_t *r, cdc_log_msg_t *msg, cdc_op_kind_e kind,
    uint64_t ts, uint64_t number, cdc_parking_t *parking)
{
    cdc_op_t  *op;

    op = cdc_op_new(r, kind, ts);
    op->parking = parking;
    op->from_rchannel = 1;
    op->rnumber = number;
    op->topic = r->rchannel;
    op->pos = msg->pos;
    op->raw_len = msg->body.len;
    op->raw = malloc(op->raw_len + 1);

    if (op->raw == NULL) {
        cdc_repl_no_memory();
    }

    memcpy(op->raw, msg->body.data, op->raw_len);
    (void) cdc_wire_op_envelope(cdc_span_n(op->raw, op->raw_len), &op->env);

    op->db = op->env.db_name.len
             ? strndup((const char *) op->env.db_name.data,
                       op->env.db_name.len)
             : strdup(CDC_DEFAULT_DB);

    cdc_op_queue(op);

    if (op->db == NULL
        || cdc_meta_sync(r->meta, cdc_rchannel_synced, op) != CDC_OK)
    {
        cdc_repl_no_memory();
    }
}


static void
cdc_rchannel_take(cdc_repl_t *r, cdc_log_msg_t *msg)
{
    int                 rc, passes;
    uint64_t            number;
    cdc_op_kind_e       kind;
    cdc_op_envelope_t   env;

    if (msg->streaming) {
        cdc_repl_streaming(r, r->rchannel);
        return;
    }

    passes = cdc_parked_passes(r, r->rchannel, msg->pos);
    rc = cdc_wire_op_envelope(msg->body, &env);

    if (rc == CDC_DECLINED && !passes) {
        cdc_repl_degraded(r, CDC_CAUSE_SKIPPED, "a Flush of more than 64 "
                          "collections in one request is not carried; the "
                          "target flushes by itself");
        env.known = 0;

    } else if (!passes && (rc != CDC_OK || env.type <= 0)) {
        if (!cdc_track_known(&r->rtrack, msg->pos)
            && cdc_parked_garbage(r, r->rchannel, 1, msg) != CDC_OK)
        {
            return;
        }

        passes = 1;
    }

    if (cdc_track_add(&r->rtrack, msg->pos, &number) != CDC_OK) {
        cdc_repl_no_memory();
    }

    cdc_track_sum(&r->rtrack, number, msg->body);

    if (passes || cdc_track_known(&r->rtrack, msg->pos)
        || rc == CDC_DECLINED
        || cdc_rchannel_kind(r, &env, msg->pos, &kind) != CDC_OK)
    {
        cdc_track_done(&r->rtrack, number);
        r->rdirty = 1;

        if (passes) {
            cdc_checkpoint_soon(r);
        }

        return;
    }

    cdc_rchannel_queue(r, msg, kind, env.ts, number, NULL);
}


/* a parked one, before all that is to come on what it is about */

int
cdc_rchannel_again(cdc_repl_t *r, cdc_log_msg_t *msg, cdc_parking_t *e)
{
    cdc_op_kind_e       kind;
    cdc_op_envelope_t   env;

    if (cdc_wire_op_envelope(msg->body, &env) != CDC_OK || env.type <= 0
        || cdc_rchannel_kind(r, &env, msg->pos, &kind) != CDC_OK)
    {
        return CDC_DECLINED;
    }

    cdc_rchannel_queue(r, msg, kind, env.ts, UINT64_MAX, e);

    return CDC_OK;
}
