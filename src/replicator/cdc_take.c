/*
 * A message of a source channel as it was read: is it one for this task?
 *
 * Rows, deletes and drops are; creates come from the catalogue, which has
 * them whole; a tick closes what it covers (cdc_channel.c).  What is unknown
 * is named in the task's status and passed over: its position is kept there.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>


static cdc_item_t *
cdc_channel_item(cdc_channel_t *ch, cdc_log_msg_t *msg,
    const cdc_envelope_t *env)
{
    cdc_item_t  *item;

    item = calloc(1, sizeof(cdc_item_t));
    if (item == NULL) {
        return NULL;
    }

    item->body = calloc(1, sizeof(cdc_body_t));
    if (item->body == NULL) {
        free(item);
        return NULL;
    }

    item->body->refs = 1;
    item->body->msg = *msg;
    item->body->ops = ch->repl->reader_ops;
    item->ch = ch;
    item->env = *env;
    item->pos = msg->pos;
    item->bytes = msg->body.len;

    return item;
}


/* an import goes on only where the target takes it: Milvus 2.5 */

static int
cdc_channel_import(cdc_channel_t *ch, const cdc_envelope_t *env)
{
    char         text[CDC_REASON_MAX];
    cdc_coll_t  *c;

    c = cdc_coll_by_id(ch->repl, env->collection_id);

    if (c == NULL || c->state == CDC_COLL_GONE) {
        return 0;
    }

    if (ch->repl->target_version >= 205) {
        return 1;
    }

    snprintf(text, sizeof(text), "a bulk import into \"%.200s.%.200s\" is not "
             "carried, the target is older than Milvus 2.5: import the same "
             "files there", c->db, c->name);

    cdc_repl_degraded(ch->repl, CDC_CAUSE_SKIPPED, text);

    return 0;
}


/* what is known and not wanted says nothing; what is unknown is named */

static int
cdc_channel_wants(cdc_channel_t *ch, const cdc_envelope_t *env,
    cdc_pos_t pos)
{
    char  text[CDC_REASON_MAX];

    switch (env->type) {

    case CDC_MSG_INSERT:
    case CDC_MSG_DELETE:
    case CDC_MSG_DROP_COLLECTION:
    case CDC_MSG_DROP_PARTITION:
        return 1;

    case CDC_MSG_IMPORT:
        return cdc_channel_import(ch, env);

    case CDC_MSG_CREATE_COLLECTION:      /* from the catalogue, whole */
    case CDC_MSG_CREATE_PARTITION:
    case CDC_MSG_REPLICATE:
        return 0;

    default:
        snprintf(text, sizeof(text), "a message of the unknown type %d is not "
                 "carried: topic \"%.200s\", position %llu:%llu",
                 (int) env->type, ch->name, (unsigned long long) pos.hi,
                 (unsigned long long) pos.lo);

        cdc_repl_degraded(ch->repl, CDC_CAUSE_SKIPPED, text);
        return 0;
    }
}


void
cdc_take_anew(cdc_repl_t *r, const char *topic, const cdc_track_t *t,
    cdc_log_msg_t *msg)
{
    cdc_repl_fail(r, CDC_LOG_GAP ": topic \"%s\" holds another message at "
                  "offset %llu than when the task was there: it was deleted "
                  "and made anew, what it holds before offset %llu has not "
                  "been read", topic, (unsigned long long) msg->pos.lo,
                  (unsigned long long) t->next.lo);

    r->reader_ops->release(msg);
}


void
cdc_channel_take(cdc_channel_t *ch, cdc_log_msg_t *msg)
{
    uint64_t         number;
    cdc_repl_t      *r;
    cdc_item_t      *item;
    cdc_envelope_t   env;

    r = ch->repl;
    cdc_progress_read(ch, msg);

    switch (cdc_track_same(&ch->track, msg)) {

    case 1:
        r->reader_ops->release(msg);
        return;

    case -1:
        cdc_take_anew(r, ch->name, &ch->track, msg);
        return;
    }

    if (msg->streaming) {
        cdc_repl_streaming(r, ch->name);
        r->reader_ops->release(msg);
        return;
    }

    if (cdc_wire_envelope(msg->body, &env) != CDC_OK) {
        cdc_repl_fail(r, "a message that is not Milvus's own: topic \"%s\", "
                      "position %llu:%llu, %zu bytes", ch->name,
                      (unsigned long long) msg->pos.hi,
                      (unsigned long long) msg->pos.lo, msg->body.len);
        r->reader_ops->release(msg);
        return;
    }

    if (cdc_track_add(&ch->track, msg->pos, &number) != CDC_OK) {
        r->reader_ops->release(msg);
        cdc_repl_fail(r, "out of memory");
        return;
    }

    cdc_track_sum(&ch->track, number, msg->body);
    ch->reads++;

    if (env.type == CDC_MSG_TIME_TICK) {
        r->reader_ops->release(msg);
        cdc_channel_close(ch, env.ts, number, msg->pos);
        return;
    }

    if (!cdc_channel_wants(ch, &env, msg->pos)
        || cdc_track_known(&ch->track, msg->pos))
    {
        r->reader_ops->release(msg);
        cdc_track_done(&ch->track, number);
        return;
    }

    item = cdc_channel_item(ch, msg, &env);
    if (item == NULL) {
        r->reader_ops->release(msg);
        cdc_repl_fail(r, "out of memory");
        return;
    }

    item->number = number;
    item->settle = cdc_pos_cmp(msg->pos, ch->settle_upto) < 0;

    r->buffered += item->bytes;
    r->status.bytes_in += item->bytes;
    r->status.rows_in += env.rows;
    ch->bodies++;
    ch->drops += cdc_item_is_drop(item);

    cdc_list_push(&ch->open, item);
}
