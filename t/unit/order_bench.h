/*
 * A bench for the replicator without a network: the real channels, lanes and
 * operations between a scripted log and a target that records what it gets.
 * The metadata is one collection that exists.  There may be two replicators
 * (side), as in two processes, and two source channels for each (from): names
 * below are of the side, and the channel, that was chosen last.
 */

#ifndef ORDER_BENCH_H_INCLUDED
#define ORDER_BENCH_H_INCLUDED

#include "cdc_replicator.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define MS(n)   cdc_ms_tso((uint64_t) (n))


/* ---- the scripted log ---- */

typedef struct {
    uint8_t       bytes[512];
    size_t        len;
    uint64_t      offset;
} message_t;

struct cdc_log_stream_s {
    message_t     messages[4096];
    size_t        n, at, base;           /* base: of offsets */
    void         *data;
};

typedef struct {
    struct cdc_log_stream_s   streams[2];
    cdc_channel_t            *channels[2];
    cdc_repl_t                replicator;
    cdc_lane_t               *lane;
    cdc_coll_t               *coll;
    void                    (*done)(void *arg, int rc,
                                    const cdc_target_error_t *err);
    void                     *arg;
    unsigned                  up:1;
} side_t;

static side_t    sides[2], *side = sides;
static unsigned  from;                   /* of the two source channels */
static unsigned  released;
static int       on_next;                /* to another target channel */
static int       ignores;                /* "ignore_partition" */

static cdc_channel_t  *channel;
static cdc_lane_t     *lane;
static cdc_coll_t     *coll;

#define log_stream    (side->streams[from])
#define repl          (side->replicator)
#define pending_done  (side->done)
#define pending_arg   (side->arg)


static void
use(unsigned n, unsigned nth)
{
    side = &sides[n];
    from = nth;
    channel = side->channels[nth];
    lane = side->lane;
    coll = side->coll;
}


static cdc_log_stream_t *
fake_start(cdc_log_reader_t *r, const char *name, cdc_pos_t pos, void *data,
    char *err)
{
    cdc_log_stream_t  *s;

    (void) r;
    (void) err;

    s = &side->streams[name[strlen(name) - 1] - '1'];
    s->data = data;

    for (s->at = 0; s->at < s->n; s->at++) {
        if (s->messages[s->at].offset >= pos.lo) {
            break;
        }
    }

    return s;
}


static void
fake_stop(cdc_log_stream_t *s)
{
    (void) s;
}


static void *
fake_data(cdc_log_stream_t *s)
{
    return s->data;
}


static int
fake_next(cdc_log_stream_t *s, cdc_log_msg_t *msg, char *err)
{
    message_t  *m;

    (void) err;

    if (s->at == s->n) {
        return CDC_AGAIN;
    }

    m = &s->messages[s->at++];
    msg->body = cdc_span_n(m->bytes, m->len);
    msg->pos = (cdc_pos_t) { 0, m->offset };
    msg->streaming = 0;
    msg->owner = m;

    return CDC_OK;
}


static void
fake_release(cdc_log_msg_t *msg)
{
    (void) msg;

    released++;
}


static int
fake_at_end(cdc_log_stream_t *s)
{
    return s->at == s->n;
}


static const cdc_log_reader_ops_t  fake_reader = {
    .name = "script", .start = fake_start, .stop = fake_stop,
    .data = fake_data, .next = fake_next, .release = fake_release,
    .at_end = fake_at_end
};


static cdc_conn_t  closed = { .event.fd = -1 };
static cdc_role_t  nobody = { .control = &closed };


/* ---- the recording target ---- */

typedef struct {
    int32_t       type;
    uint64_t      ts;
    int64_t       collection, partition;
    int64_t       key;
    unsigned      by;                    /* side */
} sent_t;

static sent_t      sent[4096];
static size_t      nsent;
static unsigned    requests;


/* the key of a test message is its one primary key */

static int64_t
message_key(cdc_span_t in, uint32_t field)
{
    cdc_field_t  f;

    while (cdc_wire_next(&in, &f) == CDC_OK) {
        if (f.number == field && f.wire_type == 2) {
            return f.body.len ? f.body.data[f.body.len - 1] : -1;
        }
    }

    return -1;
}


static int
fake_send(cdc_target_lane_t *conn, cdc_chain_t *request,
    void (*done)(void *arg, int rc, const cdc_target_error_t *err), void *arg)
{
    size_t          len;
    uint8_t        *flat;
    cdc_span_t      in;
    cdc_field_t     f;
    cdc_envelope_t  env;

    use((unsigned) ((side_t *) conn - sides), 0);
    flat = cdc_chain_flatten(request, &len);
    in = cdc_span_n(flat, len);

    while (cdc_wire_next(&in, &f) == CDC_OK) {
        if (f.number != 5) {
            continue;
        }

        if (cdc_wire_envelope(f.body, &env) != CDC_OK) {
            ok(0, "a request holds a message that can be read");
            continue;
        }

        sent[nsent].type = env.type;
        sent[nsent].ts = env.ts;
        sent[nsent].collection = env.collection_id;
        sent[nsent].partition = env.partition_id;
        sent[nsent].key = message_key(f.body, env.type == CDC_MSG_INSERT
                                              ? 13 : 12);
        sent[nsent].by = (unsigned) (side - sides);
        nsent++;
    }

    free(flat);
    requests++;
    pending_done = done;
    pending_arg = arg;

    return CDC_OK;
}


static cdc_target_lane_t *
fake_lane_open(cdc_target_t *t, char *err)
{
    (void) t;
    (void) err;

    return (cdc_target_lane_t *) side;
}


static void
fake_lane_close(cdc_target_lane_t *conn)
{
    ((side_t *) conn)->done = NULL;
}


static const cdc_target_ops_t  fake_target = {
    .name = "record", .lane_open = fake_lane_open,
    .lane_close = fake_lane_close, .send = fake_send
};


/* ---- what the tested files call ---- */

static int      meta_synced;
static const cdc_meta_collection_t  *meta_known;    /* NULL: etcd is empty */
static char     failure[CDC_REASON_MAX];
static int      reset_asked;
static char     skipped[CDC_REASON_MAX];
static char     refused[CDC_REASON_MAX], stuck[CDC_REASON_MAX];
static unsigned said;                    /* what was stuck, or no more */
static unsigned checkpoints;
static const cdc_meta_collection_t  *catalogue;  /* NULL: it is dropped */

void
cdc_repl_degraded(cdc_repl_t *r, unsigned cause, const char *text)
{
    (void) r;

    if (text && cause == CDC_CAUSE_SKIPPED) {
        (void) snprintf(skipped, sizeof(skipped), "%s", text);
    }

    if (cause == CDC_CAUSE_TARGET) {
        said += (text == NULL) != (stuck[0] == '\0');
        (void) snprintf(stuck, sizeof(stuck), "%s", text ? text : "");
    }

    if (cause == CDC_CAUSE_OP) {
        (void) snprintf(refused, sizeof(refused), "%s", text ? text : "");
    }
}


void
cdc_repl_no_memory(void)
{
    abort();
}


void
cdc_repl_fail(cdc_repl_t *r, const char *fmt, ...)
{
    r->failed = 1;
    (void) snprintf(failure, sizeof(failure), "%s", fmt);
}


void
cdc_repl_pump(cdc_repl_t *r)
{
    (void) r;
}


void
cdc_repl_hello(cdc_repl_t *r)
{
    r->hello_again = 0;
}


void
cdc_repl_reset(cdc_repl_t *r, const char *why)
{
    (void) why;

    r->resetting = 1;
    reset_asked = 1;
}


void
cdc_checkpoint_soon(cdc_repl_t *r)
{
    (void) r;
}


void
cdc_checkpoint_idle(cdc_repl_t *r)
{
    (void) r;
}


void
cdc_checkpoint_now(cdc_repl_t *r)
{
    (void) r;

    checkpoints++;
}


int
cdc_checkpoint_barrier(cdc_repl_t *r, void (*done)(void *), void *arg)
{
    (void) r;
    (void) done;
    (void) arg;

    return CDC_OK;
}


int
cdc_rchannel_again(cdc_repl_t *r, cdc_log_msg_t *msg, cdc_parking_t *e)
{
    (void) r;
    (void) msg;
    (void) e;

    return CDC_DECLINED;
}


void
cdc_rchannel_read(cdc_repl_t *r)
{
    (void) r;
}


void
cdc_rchannel_done(cdc_repl_t *r, uint64_t number)
{
    (void) r;
    (void) number;
}


void
cdc_coll_live(cdc_coll_t *c)
{
    (void) c;
}


void
cdc_coll_initial_done(cdc_coll_t *c)
{
    (void) c;
}


const cdc_meta_collection_t *
cdc_meta_by_id(cdc_meta_t *m, int64_t id)
{
    (void) m;

    return meta_known && meta_known->id == id ? meta_known : catalogue;
}


const cdc_meta_db_t *
cdc_meta_db_by_name(cdc_meta_t *m, cdc_span_t db)
{
    (void) m;
    (void) db;

    return NULL;
}


int
cdc_meta_each_database(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_db_t *db), void *arg)
{
    (void) m;
    (void) fn;
    (void) arg;

    return CDC_OK;
}


int
cdc_meta_each_alias(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_alias_t *a), void *arg)
{
    (void) m;
    (void) fn;
    (void) arg;

    return CDC_OK;
}


int
cdc_meta_each_operation(cdc_meta_t *m, int64_t collection_id,
    int (*fn)(void *arg, cdc_span_t request), void *arg)
{
    (void) m;
    (void) collection_id;
    (void) fn;
    (void) arg;

    return CDC_OK;
}


int
cdc_selection_ignore_partition(const cdc_selection_t *s)
{
    (void) s;

    return ignores;
}


int
cdc_selected_all(const cdc_selection_t *s)
{
    (void) s;

    return 1;
}


int
cdc_selected_whole_db(const cdc_selection_t *s, const char *db)
{
    (void) s;
    (void) db;

    return 1;
}


void
cdc_repl_streaming(cdc_repl_t *r, const char *topic)
{
    (void) topic;

    r->failed = 1;
}


int
cdc_meta_loaded(cdc_meta_t *m, int64_t collection_id, int64_t partition_id)
{
    (void) m;
    (void) collection_id;
    (void) partition_id;

    return 0;
}


int
cdc_meta_sync(cdc_meta_t *m, void (*done)(void *), void *arg)
{
    (void) m;
    (void) done;
    (void) arg;

    meta_synced++;

    return CDC_OK;
}


int
cdc_selected(const cdc_selection_t *s, const char *db, const char *name)
{
    (void) s;
    (void) db;
    (void) name;

    return 1;
}


const char *
cdc_selection_target_db(const cdc_selection_t *s, const char *db)
{
    (void) s;

    return db;
}


const char *
cdc_selection_target_name(const cdc_selection_t *s, const char *db,
    const char *name)
{
    (void) s;
    (void) db;

    return name;
}


void
cdc_target_collection_free(cdc_target_collection_t *c)
{
    (void) c;
}


/* ---- building messages ---- */

static cdc_chain_t *
base(int32_t type, uint64_t ts)
{
    size_t        mark;
    cdc_chain_t  *c;

    c = cdc_chain_create();
    (void) cdc_chain_open(c, 1, &mark);
    (void) cdc_chain_varint_field(c, 1, (uint64_t) type);
    (void) cdc_chain_varint_field(c, 3, ts);
    cdc_chain_close(c, mark);

    return c;
}


static void
put(cdc_chain_t *c)
{
    uint8_t    *flat;
    message_t  *m;

    m = &log_stream.messages[log_stream.n];
    m->offset = log_stream.base + log_stream.n++;
    flat = cdc_chain_flatten(c, &m->len);
    memcpy(m->bytes, flat, m->len);
    free(flat);
    cdc_chain_unref(c);
}


static void __attribute__((unused))
put_tick(uint64_t ts)
{
    put(base(CDC_MSG_TIME_TICK, ts));
}


static void __attribute__((unused))
put_insert(int64_t id, uint64_t ts, uint8_t key)
{
    size_t        a, b, d;
    cdc_chain_t  *c;

    c = base(CDC_MSG_INSERT, ts);
    (void) cdc_chain_bytes_field(c, 2, from ? cdc_span("src_2v0")
                                            : cdc_span("src_1v0"));
    (void) cdc_chain_varint_field(c, 7, (uint64_t) id);
    (void) cdc_chain_varint_field(c, 8, 11);
    (void) cdc_chain_varint_field(c, 10, ts);
    (void) cdc_chain_open(c, 13, &a);            /* FieldData */
    (void) cdc_chain_varint_field(c, 1, 5);      /* Int64 */
    (void) cdc_chain_varint_field(c, 5, 100);    /* field_id */
    (void) cdc_chain_open(c, 3, &b);             /* scalars */
    (void) cdc_chain_open(c, 3, &d);             /* long_data */
    (void) cdc_chain_bytes_field(c, 1, cdc_span_n(&key, 1));
    cdc_chain_close(c, d);
    cdc_chain_close(c, b);
    cdc_chain_close(c, a);
    (void) cdc_chain_varint_field(c, 14, 1);
    put(c);
}


static void __attribute__((unused))
put_delete(int64_t id, uint64_t ts, uint8_t key)
{
    size_t        a, b;
    cdc_chain_t  *c;

    c = base(CDC_MSG_DELETE, ts);
    (void) cdc_chain_bytes_field(c, 2, from ? cdc_span("src_2v0")
                                            : cdc_span("src_1v0"));
    (void) cdc_chain_varint_field(c, 7, (uint64_t) id);
    (void) cdc_chain_varint_field(c, 8, (uint64_t) -1);
    (void) cdc_chain_varint_field(c, 10, ts);
    (void) cdc_chain_varint_field(c, 11, 1);
    (void) cdc_chain_open(c, 12, &a);
    (void) cdc_chain_open(c, 1, &b);
    (void) cdc_chain_bytes_field(c, 1, cdc_span_n(&key, 1));
    cdc_chain_close(c, b);
    cdc_chain_close(c, a);
    put(c);
}


static void __attribute__((unused))
put_drop(int64_t id, uint64_t ts)
{
    cdc_chain_t  *c;

    c = base(CDC_MSG_DROP_COLLECTION, ts);
    (void) cdc_chain_varint_field(c, 5, (uint64_t) id);
    put(c);
}


/* ---- the bench ---- */

static cdc_coll_t *
add_coll(int64_t id, cdc_coll_state_e state)
{
    json_t      *json;
    cdc_coll_t  *c;

    json = json_pack("{s:I,s:I,s:s,s:s,s:i,s:I,s:I,s:I,s:b,s:b,"
                     "s:[{s:s,s:s,s:s,s:s,s:[i,i],s:[i,i]}],"
                     "s:[{s:I,s:I,s:s,s:I,s:b}]}",
                     "id", (json_int_t) id, "target_id",
                     (json_int_t) (id + 1000), "db", "default", "name", "c",
                     "state", (int) state, "created", (json_int_t) 1,
                     "pk", (json_int_t) 100, "num_partitions", (json_int_t) 0,
                     "initial", 0, "adopted", 0, "shards",
                     "source", from ? "src_2v0" : "src_1v0",
                     "channel", from ? "src_2" : "src_1",
                     "target", on_next ? "tgt_6v0" : "tgt_5v0",
                     "lane", on_next ? "tgt_6" : "tgt_5",
                     "start", 0, 0, "listed", 0, 0,
                     "partitions", "id", (json_int_t) 11,
                     "target_id", (json_int_t) 2011, "name", "_default",
                     "created", (json_int_t) 1, "gone", 0);

    if (json == NULL || cdc_coll_load(&repl, json) != CDC_OK) {
        abort();
    }

    json_decref(json);
    c = cdc_coll_by_id(&repl, id);
    (void) cdc_coll_start(c);

    return c;
}


/* dir: where the sides share the target's channels */

static void
set_up_side(unsigned n, const char *dir)
{
    memset(&sides[n], 0, sizeof(side_t));
    use(n, 0);
    side->up = 1;

    repl.loop = cdc_loop_create();
    repl.reader_ops = &fake_reader;
    repl.role = &nobody;                 /* what is reported goes nowhere */
    repl.target_ops = &fake_target;
    repl.running = 1;

    if (dir) {
        repl.init = json_pack("{s:s}", "state_dir", dir);
        repl.target_conf.address = (char *) "127.0.0.1:1";
    }

    side->coll = add_coll(1, CDC_COLL_LIVE);
    side->channels[0] = side->coll->shards[0].ch;
    side->lane = side->coll->shards[0].lane;
    use(n, 0);
    channel->upto = (cdc_pos_t) { 0, 1000000 };
    lane->reserve = UINT64_MAX / 2;
}


static void
set_up(void)
{
    nsent = requests = released = 0;
    reset_asked = meta_synced = 0;
    failure[0] = '\0';

    set_up_side(0, NULL);
}


/* the second source channel, with a collection on the same lane */

static __attribute__((unused)) cdc_coll_t *
add_second(int64_t id)
{
    cdc_coll_t  *c;

    from = 1;
    c = add_coll(id, CDC_COLL_LIVE);
    side->channels[1] = c->shards[0].ch;
    use((unsigned) (side - sides), 1);
    channel->upto = (cdc_pos_t) { 0, 1000000 };

    return c;
}


static void
tear_down_side(unsigned n)
{
    unsigned     i;
    cdc_op_t    *op;
    cdc_coll_t  *c;
    cdc_lane_t  *one, *next;

    use(n, 0);
    side->up = 0;
    pending_done = NULL;

    while (repl.ops) {
        op = repl.ops;
        repl.ops = op->next;
        cdc_op_free(op);
    }

    for (one = repl.lanes; one; one = next) {
        next = one->next;
        cdc_lane_free(one);
    }

    for (i = 0; i < 2; i++) {
        if (side->channels[i]) {
            cdc_channel_free(side->channels[i]);
        }
    }

    while (repl.colls) {
        c = repl.colls;
        repl.colls = c->next;
        cdc_coll_free(c);
    }

    cdc_equal_forget(&repl);
    json_decref(repl.init);
    cdc_loop_destroy(repl.loop);
}


static void __attribute__((unused))
tear_down(void)
{
    tear_down_side(0);
    is_str(failure, "", "no failure");
}


static void
stop_loop(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


/* one side reads all there is, and lets deferred work run */

static void
turn_side(unsigned n)
{
    unsigned      was, was_from;
    cdc_timer_t   tm;

    was = (unsigned) (side - sides);
    was_from = from;
    use(n, 0);

    memset(&tm, 0, sizeof(tm));
    tm.handler = stop_loop;
    tm.data = repl.loop;

    cdc_channel_read(side->channels[0]);

    if (side->channels[1]) {
        cdc_channel_read(side->channels[1]);
    }

    cdc_timer_add(repl.loop, &tm, 3);
    (void) cdc_loop_run(repl.loop);

    use(was, was_from);
}


static void
turn(void)
{
    unsigned  n;

    for (n = 0; n < 2; n++) {
        if (sides[n].up) {
            turn_side(n);
        }
    }
}


static void
answer(int rc, cdc_target_class_e class)
{
    void               (*done)(void *, int, const cdc_target_error_t *);
    cdc_target_error_t   err;

    memset(&err, 0, sizeof(err));
    err.class = class;
    done = pending_done;
    pending_done = NULL;

    if (done) {
        done(pending_arg, rc, &err);
    }

    turn();
}


/* the first operation, as if the ops thread had run it */

static void __attribute__((unused))
run_op(void)
{
    repl.ops->rc = CDC_OK;
    repl.ops->job.done(&repl.ops->job);
    turn();
}


static void __attribute__((unused))
answer_all(void)
{
    while (pending_done) {
        answer(CDC_OK, 0);
    }
}


/* what cdc_repl_reset() does, when the target has answered again */

static void __attribute__((unused))
begin_again(void)
{
    cdc_lane_reset(lane);
    cdc_channel_reset(channel);
    repl.resetting = 0;
    cdc_channel_open(channel);
}


#endif /* ORDER_BENCH_H_INCLUDED */
