/*
 * A parked message that is tried again when its collection is gone.
 */

#include "order_bench.h"

#include <unistd.h>


/* as cdc_parked_form.c writes it */

static json_t *
entry(const char *topic)
{
    return json_pack("{s:i, s:s, s:[i,i], s:i, s:i, s:b, s:b, s:s, s:s, s:s,"
                     " s:s}", "id", 1, "state", "retry", "position", 0, 7,
                     "at_ms", 1, "bytes", 1, "kept", 1, "channel", 0,
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

    json = entry(channel->name);
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


int
main(void)
{
    again(0);
    again(1);

    return done_testing();
}
