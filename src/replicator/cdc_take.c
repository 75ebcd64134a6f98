/*
 * A message of a source channel as it was read: is it one for this task?
 *
 * Rows, deletes and drops are; creates come from the catalogue, which has
 * them whole; a tick closes what it covers (cdc_channel.c).  What is unknown
 * is named in the task's status and passed over: its position is kept there.
 * What cannot be a message of Milvus's is parked (cdc_parked.c).
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


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

    cdc_coll_error(c, "a bulk import is not carried");
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


/* done as soon as it is read: nothing of it goes to the target */

static void
cdc_channel_pass(cdc_channel_t *ch, cdc_log_msg_t *msg)
{
    uint64_t     number;
    cdc_repl_t  *r;

    r = ch->repl;

    if (cdc_track_add(&ch->track, msg->pos, &number) != CDC_OK) {
        cdc_repl_no_memory();
    }

    cdc_track_sum(&ch->track, number, msg->body);
    ch->reads++;
    ch->dirty = 1;
    cdc_track_done(&ch->track, number);
    cdc_checkpoint_soon(r);
}


/* not one of Milvus's */

static void
cdc_channel_garbage(cdc_channel_t *ch, cdc_log_msg_t *msg)
{
    if (cdc_track_known(&ch->track, msg->pos)
        || cdc_parked_garbage(ch->repl, ch->name, 0, msg) == CDC_OK)
    {
        cdc_channel_pass(ch, msg);
    }
}


static const char *
cdc_channel_type(int32_t type)
{
    switch (type) {

    case CDC_MSG_INSERT:
        return "Insert";

    case CDC_MSG_DELETE:
        return "Delete";

    case CDC_MSG_IMPORT:
        return "Import";

    case CDC_MSG_DROP_COLLECTION:
        return "DropCollection";

    case CDC_MSG_DROP_PARTITION:
        return "DropPartition";

    default:
        return "";
    }
}


int
cdc_channel_poison(cdc_item_t *item, const char *why)
{
    char          text[CDC_REASON_MAX];
    cdc_coll_t   *c;
    cdc_parked_t  what;

    c = item->coll;
    cdc_coll_error(c, "a message cannot be applied: %s", why);

    snprintf(text, sizeof(text), "a message cannot be applied: topic "
             "\"%.128s\", position %llu:%llu, %zu bytes, collection "
             "\"%.128s.%.128s\": %.256s", item->ch->name,
             (unsigned long long) item->pos.hi,
             (unsigned long long) item->pos.lo, item->bytes,
             c->db, c->name, why);

    /* a drop without its operation, or the reverse, is no state to leave */

    if (cdc_item_is_drop(item) || item->body == NULL) {
        cdc_repl_fail(c->repl, "%s", text);
        return CDC_ERROR;
    }

    memset(&what, 0, sizeof(cdc_parked_t));
    what.pos = item->pos;
    snprintf(what.topic, sizeof(what.topic), "%s", item->ch->name);
    snprintf(what.operation, sizeof(what.operation), "%s",
             cdc_channel_type(item->env.type));
    snprintf(what.collection, sizeof(what.collection), "%s.%s", c->db,
             c->name);
    snprintf(what.reason, sizeof(what.reason), "%s", why);

    if (cdc_parked_add(c->repl, &what, item->body->msg.body, text) != CDC_OK)
    {
        return CDC_ERROR;
    }

    item->poison = 1;

    return CDC_OK;
}


/* a parked message, from the start: behind what has gone since */

int
cdc_channel_again(cdc_repl_t *r, const char *topic, cdc_log_msg_t *msg,
    const cdc_log_reader_ops_t *ops, cdc_parking_t *e)
{
    cdc_item_t      *item;
    cdc_channel_t   *ch;
    cdc_envelope_t   env;

    ch = cdc_channel_find(r, topic);

    if (ch == NULL || ch->stream == NULL
        || cdc_wire_envelope(msg->body, &env) != CDC_OK
        || (env.type != CDC_MSG_INSERT && env.type != CDC_MSG_DELETE
            && env.type != CDC_MSG_IMPORT))
    {
        return CDC_DECLINED;
    }

    item = cdc_channel_item(ch, msg, &env);
    if (item == NULL) {
        return CDC_DECLINED;
    }

    item->body->ops = ops;
    item->parking = e;
    item->number = UINT64_MAX;           /* in no track */
    item->asked = 1;
    item->settle = 1;

    r->buffered += item->bytes;
    ch->bodies++;

    cdc_list_push(&ch->open, item);
    cdc_repl_pump(r);

    return CDC_OK;
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

    if (cdc_parked_passes(r, ch->name, msg->pos)) {
        cdc_channel_pass(ch, msg);
        r->reader_ops->release(msg);
        return;
    }

    if (cdc_wire_envelope(msg->body, &env) != CDC_OK || env.type <= 0) {
        cdc_channel_garbage(ch, msg);
        r->reader_ops->release(msg);
        return;
    }

    if (cdc_track_add(&ch->track, msg->pos, &number) != CDC_OK) {
        cdc_repl_no_memory();
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
        cdc_repl_no_memory();
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
