/* which messages of a channel are done: out of order, saved, read again */

#include "cdc_replicator.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>


static cdc_pos_t
at(uint64_t lo)
{
    return (cdc_pos_t) { 0, lo };
}


static uint64_t
add(cdc_track_t *t, uint64_t lo)
{
    uint64_t  n;

    if (cdc_track_add(t, at(lo), &n) != CDC_OK) {
        abort();
    }

    return n;
}


static void
test_order(void)
{
    uint64_t     a, b, c;
    cdc_track_t  t;

    memset(&t, 0, sizeof(t));
    t.next = at(100);

    is_int(cdc_track_end(&t).lo, 100, "nothing read: the end is next");

    a = add(&t, 100);
    b = add(&t, 101);
    c = add(&t, 105);

    is_int(cdc_track_end(&t).lo, 106, "the end is behind what was read");

    cdc_track_done(&t, b);
    is_int(t.next.lo, 100, "next does not pass an open message");

    cdc_track_done(&t, a);
    is_int(t.next.lo, 102, "next passes all that is done");

    cdc_track_done(&t, a);
    is_int(t.next.lo, 102, "done twice changes nothing");

    cdc_track_done(&t, c);
    is_int(t.next.lo, 106, "gaps between positions have no meaning");

    cdc_track_free(&t);
}


static void
test_save(void)
{
    char         *text;
    json_t       *json;
    uint64_t      n[10];
    unsigned      i;
    cdc_track_t   t, u;

    memset(&t, 0, sizeof(t));
    memset(&u, 0, sizeof(u));
    t.next = at(10);

    for (i = 0; i < 10; i++) {
        n[i] = add(&t, 10 + i);
    }

    /* open: 12, 15, 16, 19 */

    cdc_track_done(&t, n[0]);
    cdc_track_done(&t, n[1]);
    cdc_track_done(&t, n[3]);
    cdc_track_done(&t, n[4]);
    cdc_track_done(&t, n[7]);
    cdc_track_done(&t, n[8]);

    json = cdc_track_save(&t);
    text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    is_str(text, "{\"done\":[[0,13,0,14],[0,17,0,18]],\"next\":[0,12]}",
           "saved: next and the done stretches behind it");

    is_int(cdc_track_load(&u, json), CDC_OK, "loaded");
    is_int(u.next.lo, 12, "next is back");

    ok(!cdc_track_known(&u, at(12)), "12 was not done");
    ok(cdc_track_known(&u, at(13)), "13 was done");
    ok(cdc_track_known(&u, at(14)), "14 was done");
    ok(!cdc_track_known(&u, at(15)), "15 was not done");
    ok(cdc_track_known(&u, at(18)), "18 was done");
    ok(!cdc_track_known(&u, at(19)), "19 was not done");

    free(text);
    json_decref(json);

    /* a second crash before the stretches are reached again */

    n[0] = add(&u, 12);
    n[1] = add(&u, 13);
    cdc_track_done(&u, n[1]);

    json = cdc_track_save(&u);
    text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    is_str(text, "{\"done\":[[0,13,0,13],[0,14,0,14],[0,17,0,18]],"
           "\"next\":[0,12]}", "what was not reached again is kept");

    free(text);
    json_decref(json);

    cdc_track_free(&t);
    cdc_track_free(&u);
}


static void
test_rewind(void)
{
    uint64_t     a, b;
    cdc_track_t  t;

    memset(&t, 0, sizeof(t));
    t.next = at(5);

    a = add(&t, 5);
    b = add(&t, 6);
    (void) a;

    cdc_track_done(&t, b);
    cdc_track_rewind(&t);

    is_int(t.next.lo, 5, "rewound to the first that is not done");
    is_int(t.tail - t.head, 0, "nothing is read");
    ok(cdc_track_known(&t, at(6)), "what was done is known");
    ok(!cdc_track_known(&t, at(5)), "what was not is not");

    cdc_track_free(&t);
}


static void
test_grow(void)
{
    unsigned     i;
    uint64_t     first;
    cdc_track_t  t;

    memset(&t, 0, sizeof(t));
    first = add(&t, 1);

    for (i = 0; i < 100000; i++) {
        cdc_track_done(&t, add(&t, 2 + i));
    }

    is_int(t.next.lo, 0, "one open message holds next");
    cdc_track_done(&t, first);
    is_int(t.next.lo, 100002, "and frees a hundred thousand");

    cdc_track_free(&t);
}


/* the message before next tells whether the log is still the same one */

static void
test_before(void)
{
    json_t                *json;
    uint64_t               n;
    cdc_track_t            t;
    cdc_log_msg_t          msg;
    cdc_log_reader_ops_t   ops;

    memset(&t, 0, sizeof(t));
    memset(&msg, 0, sizeof(msg));
    memset(&ops, 0, sizeof(ops));
    ops.numbered = 1;
    cdc_track_place(&t, at(7));

    is_int(cdc_track_from(&t, &ops).lo, 7, "nothing was read before next");

    n = add(&t, 7);
    cdc_track_sum(&t, n, cdc_span("one message"));
    cdc_track_done(&t, n);

    json = cdc_track_save(&t);
    cdc_track_free(&t);
    memset(&t, 0, sizeof(t));
    is_int(cdc_track_load(&t, json), CDC_OK, "loaded");
    json_decref(json);

    is_int(cdc_track_from(&t, &ops).lo, 7, "the one before next is read");
    msg.pos = at(7);
    msg.body = cdc_span("one message");
    is_int(cdc_track_same(&t, &msg), 1, "it is as it was");
    is_int(cdc_track_same(&t, &msg), 0, "asked once");

    (void) cdc_track_from(&t, &ops);
    msg.body = cdc_span("one messagE");
    is_int(cdc_track_same(&t, &msg), -1, "it is another one");

    (void) cdc_track_from(&t, &ops);
    msg.pos = at(8);
    is_int(cdc_track_same(&t, &msg), 0, "it is not there any more");

    t.trust = 1;
    is_int(cdc_track_from(&t, &ops).lo, 8, "it is gone: from next");
    is_int(cdc_track_from(&t, &ops).lo, 7, "this time only");

    ops.numbered = 0;
    is_int(cdc_track_from(&t, &ops).lo, 8, "positions that never come again");

    cdc_track_free(&t);
}


int
main(void)
{
    test_order();
    test_save();
    test_rewind();
    test_grow();
    test_before();

    return done_testing();
}
