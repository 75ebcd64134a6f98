/*
 * Messages that cannot be applied (cdc_parked.h): what the task does.
 *
 * An entry is in memory and in LevelDB.  It is written in the batch that
 * first has its message as done, so a crash finds the message either not
 * passed, and meets it again, or passed and its bytes kept.  Until then the
 * bytes count as read and not acknowledged, which bounds them.  A message is
 * known by its topic and position: one that is met again has its entry.
 *
 * In front of a message that stops the task nothing moves any more; the task
 * is reported as failed once the entry is durable, so that it can be shown
 * and dropped.  Where a resume gets the message through after all, the batch
 * that has it as done deletes the entry.
 *
 * What is to be applied again is taken up when the channels have been opened,
 * one after the other: a row as one that may have been sent before (settled),
 * an operation as the channel's.  It is applied now, after what followed it.
 * A reset forgets rows that are under way; they are taken up once more.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


struct cdc_parking_s {
    cdc_parking_t  *next;
    cdc_parked_t    p;
    uint8_t        *data;                /* not durable yet */
    unsigned        dirty:1;
    unsigned        writing:1;           /* in the batch under way */
    unsigned        gone:1;              /* to be deleted */
};


static void cdc_parked_again_release(cdc_log_msg_t *msg);


static const cdc_log_reader_ops_t  cdc_parked_bytes = {
    .name = "parked", .release = cdc_parked_again_release
};


static void
cdc_parked_count(cdc_repl_t *r)
{
    char            text[CDC_REASON_MAX];
    unsigned        aside;
    cdc_parking_t  *e, *last;

    last = NULL;
    aside = 0;
    r->status.parked = 0;

    for (e = r->parking; e; e = e->next) {
        if (e->gone || e->p.state == CDC_PARKED_DROP) {
            continue;
        }

        r->status.parked++;

        if (e->p.state != CDC_PARKED_HELD) {
            aside++;
            last = last == NULL || e->p.at_ms >= last->p.at_ms ? e : last;
        }
    }

    if (aside == 0) {
        cdc_repl_degraded(r, CDC_CAUSE_PARKED, NULL);
        return;
    }

    snprintf(text, sizeof(text), "%u message%s parked, the last: topic "
             "\"%s\", position %llu:%llu: %s; see the request \"parked\"",
             aside, aside > 1 ? "s are" : " is", last->p.topic,
             (unsigned long long) last->p.pos.hi,
             (unsigned long long) last->p.pos.lo, last->p.reason);

    cdc_repl_degraded(r, CDC_CAUSE_PARKED, text);
}


static cdc_parking_t *
cdc_parked_find(cdc_repl_t *r, const char *topic, cdc_pos_t pos)
{
    cdc_parking_t  *e;

    for (e = r->parking; e; e = e->next) {
        if (cdc_pos_cmp(e->p.pos, pos) == 0 && !e->gone
            && strcmp(e->p.topic, topic) == 0)
        {
            return e;
        }
    }

    return NULL;
}


static cdc_parking_t *
cdc_parked_new(cdc_repl_t *r)
{
    cdc_parking_t  *e, **last;

    e = calloc(1, sizeof(cdc_parking_t));

    if (e) {
        for (last = &r->parking; *last; last = &(*last)->next) { /* void */ }

        *last = e;
    }

    return e;
}


int
cdc_parked_load(cdc_repl_t *r, const json_t *json)
{
    cdc_parked_t    p;
    cdc_parking_t  *e;

    if (cdc_parked_parse(&p, json) != CDC_OK
        || (e = cdc_parked_new(r)) == NULL)
    {
        return CDC_ERROR;
    }

    e->p = p;
    r->parked_show = 1;

    if (p.id > r->parked_id) {
        r->parked_id = p.id;
    }

    return CDC_OK;
}


void
cdc_parked_start(cdc_repl_t *r)
{
    r->skip_poison = cdc_parked_skips(json_object_get(r->config,
                                                      "request_data"));

    if (r->parking == NULL) {
        (void) cdc_parked_publish(r->dir, NULL);
        return;
    }

    cdc_parked_count(r);
    cdc_checkpoint_soon(r);              /* shows them */
}


static void
cdc_parked_gone(cdc_parking_t *e, const char *how)
{
    cdc_log(CDC_LOG_NOTICE, 0, "message %llu %s: topic \"%s\", position "
            "%llu:%llu", (unsigned long long) e->p.id, how, e->p.topic,
            (unsigned long long) e->p.pos.hi,
            (unsigned long long) e->p.pos.lo);

    e->gone = 1;
    e->dirty = 1;
}


int
cdc_parked_passes(cdc_repl_t *r, const char *topic, cdc_pos_t pos)
{
    cdc_parking_t  *e;

    e = r->parking ? cdc_parked_find(r, topic, pos) : NULL;

    if (e == NULL || e->p.state == CDC_PARKED_HELD) {
        return 0;
    }

    if (e->p.state == CDC_PARKED_DROP) {
        cdc_parked_gone(e, "is passed by request");
        cdc_parked_count(r);
        cdc_checkpoint_soon(r);
    }

    return 1;
}


/* is there room for one more?  Its bytes are kept if there is for them */

static int
cdc_parked_room(cdc_repl_t *r, cdc_parking_t *new, cdc_span_t body)
{
    size_t          n;
    uint64_t        bytes;
    cdc_parking_t  *e;

    n = 0;
    bytes = 0;

    for (e = r->parking; e; e = e->next) {
        n += !e->gone;
        bytes += e != new && !e->gone && e->p.kept ? e->p.bytes : 0;
    }

    if (new->p.kept) {
        return n <= CDC_PARKED_COUNT;
    }

    if (body.len > CDC_PARKED_MESSAGE || bytes + body.len > CDC_PARKED_BYTES) {
        return 0;
    }

    new->data = malloc(body.len + 1);
    if (new->data == NULL) {
        return 0;
    }

    memcpy(new->data, body.data, body.len);
    new->p.kept = 1;
    r->buffered += body.len;

    return n <= CDC_PARKED_COUNT;
}


/* it is durable that the task stands in front of it */

static void
cdc_parked_held(void *arg)
{
    cdc_repl_t  *r = arg;

    r->failed = 0;
    cdc_repl_fail(r, "%s", r->held);
}


static void
cdc_parked_hold(cdc_repl_t *r, const cdc_parking_t *e, const char *text)
{
    if (r->failed) {
        return;
    }

    snprintf(r->held, CDC_REASON_MAX, "%.700s%s; to go on without it: the "
             "request \"parked_drop\" with its id %llu, then resume", text,
             r->skip_poison ? "; there is no room to park it" : "",
             (unsigned long long) e->p.id);

    r->failed = 1;                       /* nothing moves */

    if (cdc_checkpoint_barrier(r, cdc_parked_held, r) != CDC_OK) {
        cdc_parked_held(r);
    }
}


int
cdc_parked_add(cdc_repl_t *r, const cdc_parked_t *what, cdc_span_t body,
    const char *text)
{
    int             room, passed;
    uint64_t        id;
    unsigned        kept;
    cdc_parking_t  *e;

    e = cdc_parked_find(r, what->topic, what->pos);
    passed = e && e->p.state != CDC_PARKED_HELD;

    if (e == NULL) {
        e = cdc_parked_new(r);
        if (e == NULL) {
            cdc_repl_no_memory();
        }

        e->p.id = ++r->parked_id;
    }

    id = e->p.id;
    kept = e->p.kept;
    e->p = *what;
    e->p.id = id;
    e->p.kept = kept;
    e->p.bytes = body.len;
    e->p.at_ms = cdc_wall_ms();
    e->p.state = CDC_PARKED_HELD;
    e->dirty = 1;

    room = cdc_parked_room(r, e, body);

    if (passed || (r->skip_poison && room)) {
        e->p.state = CDC_PARKED_ASIDE;
    }

    cdc_parked_count(r);

    if (e->p.state == CDC_PARKED_HELD) {
        cdc_parked_hold(r, e, text);
        return CDC_ERROR;
    }

    cdc_checkpoint_soon(r);

    if (r->again == e) {
        r->again = NULL;
        cdc_parked_again(r);
    }

    return CDC_OK;
}


int
cdc_parked_garbage(cdc_repl_t *r, const char *topic, unsigned channel,
    const cdc_log_msg_t *msg)
{
    char          text[CDC_REASON_MAX];
    cdc_parked_t  what;

    memset(&what, 0, sizeof(cdc_parked_t));
    what.pos = msg->pos;
    what.channel = channel;
    snprintf(what.topic, sizeof(what.topic), "%s", topic);
    snprintf(what.reason, sizeof(what.reason), "it is not a message of "
             "Milvus's own: find who writes to that topic");

    snprintf(text, sizeof(text), "a message that is not Milvus's own: topic "
             "\"%.256s\", position %llu:%llu, %zu bytes: find who writes to "
             "that topic", topic, (unsigned long long) msg->pos.hi,
             (unsigned long long) msg->pos.lo, msg->body.len);

    return cdc_parked_add(r, &what, msg->body, text);
}


/* ---- checkpoints ---- */

static char *
cdc_parked_text(cdc_repl_t *r)
{
    char           *text;
    json_t         *list;
    cdc_parking_t  *e;

    list = json_array();

    for (e = r->parking; e; e = e->next) {
        if (!e->gone) {
            (void) json_array_append_new(list, cdc_parked_show(&e->p));
        }
    }

    text = json_dumps(list, JSON_COMPACT);
    json_decref(list);

    return text;
}


static int
cdc_parked_behind(cdc_repl_t *r, const cdc_parked_t *p)
{
    cdc_channel_t  *ch;

    if (p->channel) {
        return cdc_pos_cmp(r->rtrack.next, p->pos) > 0;
    }

    ch = cdc_channel_find(r, p->topic);

    return ch && ch->placed && cdc_pos_cmp(ch->track.next, p->pos) > 0;
}


/* a resume read what was held, and it went through: the cure was found */

static void
cdc_parked_cured(cdc_repl_t *r)
{
    unsigned        any;
    cdc_parking_t  *e;

    any = 0;

    for (e = r->parking; e; e = e->next) {
        if (e->gone || e->p.state != CDC_PARKED_HELD
            || !cdc_parked_behind(r, &e->p))
        {
            continue;
        }

        cdc_parked_gone(e, "was held and is done now");
        any = 1;
    }

    if (any) {
        cdc_parked_count(r);
    }
}


char *
cdc_parked_put(cdc_repl_t *r, cdc_db_batch_t *b)
{
    char            data[CDC_PARKED_KEY_MAX];
    size_t          len;
    unsigned        any;
    cdc_parking_t  *e;

    any = r->parked_show;
    r->parked_show = 0;

    cdc_parked_cured(r);

    for (e = r->parking; e; e = e->next) {
        if (!e->dirty) {
            continue;
        }

        if (e->gone) {
            cdc_parked_delete(b, e->p.id);

        } else if (cdc_parked_write(b, &e->p) != CDC_OK) {
            cdc_repl_no_memory();

        } else if (e->data) {
            len = cdc_parked_key(data, CDC_PARKED_DATA, e->p.id);
            cdc_db_batch_put(b, cdc_span_n(data, len),
                             cdc_span_n(e->data, e->p.bytes));
        }

        e->dirty = 0;
        e->writing = 1;
        any = 1;
    }

    return any ? cdc_parked_text(r) : NULL;
}


static void
cdc_parked_drop_data(cdc_repl_t *r, cdc_parking_t *e)
{
    if (e->data) {
        free(e->data);
        e->data = NULL;
        r->buffered -= e->p.bytes;
        cdc_repl_pump(r);
    }
}


void
cdc_parked_written(cdc_repl_t *r, int rc)
{
    cdc_parking_t  *e, **link;

    for (link = &r->parking; (e = *link) != NULL; /* void */ ) {

        if (e->writing && rc != CDC_OK) {
            e->dirty = 1;                /* and shown when it is durable */

        } else if (e->writing) {
            cdc_parked_drop_data(r, e);
        }

        if (e->writing && rc == CDC_OK && e->gone && !e->dirty) {
            *link = e->next;
            free(e);
            continue;
        }

        e->writing = 0;
        link = &e->next;
    }
}


/* ---- once more ---- */

static void
cdc_parked_again_release(cdc_log_msg_t *msg)
{
    free(msg->owner);
}


/* what is wrong with it now */

static void
cdc_parked_aside(cdc_repl_t *r, cdc_parking_t *e, const char *why)
{
    e->p.state = CDC_PARKED_ASIDE;
    e->p.at_ms = cdc_wall_ms();
    e->dirty = 1;
    snprintf(e->p.reason, sizeof(e->p.reason), "%s", why);

    cdc_parked_count(r);
    cdc_checkpoint_soon(r);
}


static int
cdc_parked_again_one(cdc_repl_t *r, cdc_parking_t *e)
{
    int             rc;
    char            key[CDC_PARKED_KEY_MAX];
    size_t          len;
    uint8_t        *bytes;
    cdc_log_msg_t   msg;

    len = cdc_parked_key(key, CDC_PARKED_DATA, e->p.id);

    if (cdc_db_get(r->db, cdc_span_n(key, len), &bytes, &len) != CDC_OK) {
        cdc_parked_aside(r, e, "its bytes cannot be read");
        return CDC_DECLINED;
    }

    memset(&msg, 0, sizeof(cdc_log_msg_t));
    msg.body = cdc_span_n(bytes, len);
    msg.pos = e->p.pos;
    msg.owner = bytes;

    if (e->p.channel) {
        rc = cdc_rchannel_again(r, &msg, e);
        free(bytes);

    } else {
        rc = cdc_channel_again(r, e->p.topic, &msg, &cdc_parked_bytes, e);

        if (rc != CDC_OK) {
            free(bytes);
        }
    }

    if (rc != CDC_OK) {
        cdc_parked_aside(r, e, "it still cannot be read, or its channel is "
                         "not followed any more");
    }

    return rc;
}


void
cdc_parked_again(cdc_repl_t *r)
{
    cdc_parking_t  *e;

    if (r->again || !r->running || r->resetting || r->failed || r->stopping) {
        return;
    }

    for (e = r->parking; e; e = e->next) {
        if (e->gone || e->p.state != CDC_PARKED_AGAIN) {
            continue;
        }

        r->again = e;

        if (cdc_parked_again_one(r, e) == CDC_OK) {
            return;
        }

        r->again = NULL;
    }
}


/* rows that were under way are forgotten, operations are not */

void
cdc_parked_reset(cdc_repl_t *r)
{
    if (r->again && !r->again->p.channel) {
        r->again = NULL;
    }
}


void
cdc_parked_applied(cdc_repl_t *r, cdc_parking_t *e)
{
    if (e == NULL || r->again != e) {
        return;
    }

    cdc_parked_gone(e, "was parked and has been applied");
    r->again = NULL;

    cdc_parked_count(r);
    cdc_checkpoint_soon(r);
    cdc_parked_again(r);
}


void
cdc_parked_unapplied(cdc_repl_t *r, cdc_parking_t *e, const char *why)
{
    if (e == NULL || r->again != e) {
        return;
    }

    r->again = NULL;
    cdc_parked_aside(r, e, *why ? why : "the source has dropped its "
                     "collection or partition, or the task does not follow "
                     "it");
    cdc_parked_again(r);
}
