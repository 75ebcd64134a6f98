/*
 * A parked message that is tried again when what it is about is gone.
 */

#include "order_bench.h"

#include <unistd.h>


/* as cdc_parked_form.c writes it */

static json_t *
entry(const char *topic, int channel)
{
    return json_pack("{s:i, s:s, s:[i,i], s:i, s:i, s:b, s:b, s:s, s:s, s:s,"
                     " s:s}", "id", 1, "state", "retry", "position", 0, 7,
                     "at_ms", 1, "bytes", 1, "kept", 1, "channel", channel,
                     "topic", topic, "operation", "Insert",
                     "collection", "default.c", "reason", "too large");
}


static void
again(int gone)
{
    char             dir[] = "/tmp/test_parked_XXXXXX", err[CDC_REASON_MAX];
    char             key[CDC_PARKED_KEY_MAX], rm[64];
    size_t           len;
    json_t          *json;
    message_t       *m;
    cdc_db_batch_t  *b;

    set_up();
    ok(mkdtemp(dir) != NULL, "a directory");
    repl.db = cdc_db_open(dir, err);
    repl.dir = dir;

    put_insert(1, MS(950), 1);           /* its bytes; it is not in the log */
    m = &log_stream.messages[--log_stream.n];

    b = cdc_db_batch_create();
    len = cdc_parked_key(key, CDC_PARKED_DATA, 1);
    cdc_db_batch_put(b, cdc_span_n(key, len), cdc_span_n(m->bytes, m->len));
    ok(cdc_db_write(repl.db, b, err) == CDC_OK, "parked");
    cdc_db_batch_destroy(b);

    json = entry(channel->name, 0);
    ok(cdc_parked_load(&repl, json) == CDC_OK, "and read at the start");
    json_decref(json);

    cdc_parked_start(&repl);
    cdc_parked_again(&repl);
    ok(repl.again != NULL, "tried again");

    if (gone) {
        coll->state = CDC_COLL_GONE;
    }

    put_tick(MS(1000));
    turn();
    answer_all();
    ok(repl.again == NULL, "that has ended");
    is_int((int64_t) repl.status.parked, gone, gone
           ? "nothing was applied: it stays parked" : "applied: it goes");

    coll->state = CDC_COLL_LIVE;
    b = cdc_db_batch_create();           /* what has been written is freed */
    free(cdc_parked_put(&repl, b));
    cdc_db_batch_destroy(b);
    cdc_parked_written(&repl, CDC_OK);
    free(repl.parking);                  /* the only one, if it is there */
    repl.parking = NULL;

    cdc_db_close(repl.db);
    (void) snprintf(rm, sizeof(rm), "rm -r %s", dir);
    ok(system(rm) == 0, "clean");
    tear_down();
}


/* an operation, which ends without having been applied when all that it names
 * has gone, or the target cannot do it */

static void
again_operation(int applied)
{
    char             dir[] = "/tmp/test_parked_XXXXXX", rm[64];
    json_t          *json;
    cdc_op_t        *op;
    cdc_db_batch_t  *b;

    set_up();
    ok(mkdtemp(dir) != NULL, "a directory");
    repl.dir = dir;

    json = entry("rpc", 1);
    ok(cdc_parked_load(&repl, json) == CDC_OK, "an operation is parked");
    json_decref(json);
    cdc_parked_start(&repl);
    repl.again = repl.parking;           /* its bytes have been read */

    op = cdc_op_new(&repl, CDC_OP_APPLY, MS(1000));
    op->from_rchannel = 1;
    op->synced = 1;
    op->parking = repl.parking;
    op->rnumber = UINT64_MAX;
    op->done = 1;
    op->applied = !!applied;
    cdc_op_queue(op);
    turn();

    ok(repl.ops == NULL && repl.again == NULL, "tried again, it has ended");
    is_int((int64_t) repl.status.parked, !applied, applied
           ? "applied: it goes" : "nothing was applied: it stays parked");

    b = cdc_db_batch_create();
    free(cdc_parked_put(&repl, b));
    cdc_db_batch_destroy(b);
    cdc_parked_written(&repl, CDC_OK);
    free(repl.parking);
    repl.parking = NULL;

    (void) snprintf(rm, sizeof(rm), "rm -r %s", dir);
    ok(system(rm) == 0, "clean");
    tear_down();
}


int
main(void)
{
    again(0);
    again(1);
    again_operation(1);
    again_operation(0);

    return done_testing();
}
