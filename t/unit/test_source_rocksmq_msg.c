/*
 * Memory of messages: large ones get what former ones had, as much as is not
 * too much, and what nobody wants goes back.
 */

#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "source/cdc_rocksmq_int.h"


#define MB     ((size_t) 1024 * 1024)
#define MANY   40


static size_t
kept(void)
{
    return cdc_rocksmq_msg_tidy(UINT64_MAX);
}


static void
test_again(void)
{
    cdc_rocksmq_msg_t  *a, *b, *c;

    a = cdc_rocksmq_msg_create(1, 100);
    ok(a != NULL && a->id == 1 && a->len == 100, "a small one");
    cdc_rocksmq_msg_free(a);
    is_int((int64_t) kept(), 0, "is not kept");

    a = cdc_rocksmq_msg_create(2, 2 * MB);
    memset(a->body, 1, a->len);
    cdc_rocksmq_msg_free(a);
    ok(kept() >= 2 * MB && kept() < 3 * MB, "a large one is");

    b = cdc_rocksmq_msg_create(3, 2 * MB - 70000);
    ok(b == a && b->id == 3 && b->len == 2 * MB - 70000, "for the next one");
    is_int((int64_t) kept(), 0, "so it is no longer there");

    c = cdc_rocksmq_msg_create(4, 2 * MB);
    ok(c != b, "another one has its own");
    memset(c->body, 2, c->len);
    memset(b->body, 3, b->len);
    is_int(c->body[c->len - 1], 2, "whole");

    cdc_rocksmq_msg_free(b);
    cdc_rocksmq_msg_free(c);

    a = cdc_rocksmq_msg_create(5, MB);
    ok(a != b && a != c, "one that is much smaller does not take it");
    cdc_rocksmq_msg_free(a);

    is_int((int64_t) cdc_rocksmq_msg_tidy(0), 0, "all goes at the end");
}


static void
test_bound(void)
{
    int                 i;
    size_t              most;
    cdc_rocksmq_msg_t  *m[MANY];

    for (i = 0; i < MANY; i++) {
        m[i] = cdc_rocksmq_msg_create((uint64_t) i, MB);
        memset(m[i]->body, i, m[i]->len);
    }

    for (i = 0, most = 0; i < MANY - 9; i++) {
        cdc_rocksmq_msg_free(m[i]);
        most = kept() > most ? kept() : most;
    }

    is_int((int64_t) most, 0, "while much is in use nothing is kept");

    for (; i < MANY; i++) {
        is_int(m[i]->body[MB - 1], i, "one that is in use is untouched");
        cdc_rocksmq_msg_free(m[i]);
        most = kept() > most ? kept() : most;
    }

    ok(most > 5 * MB && most <= 8 * MB, "then at most 8 MB: %zu", most);

    m[0] = cdc_rocksmq_msg_create(1, 4 * MB);
    ok(kept() <= 4 * MB, "less beside one that has no use for them: %zu",
       kept());
    cdc_rocksmq_msg_free(m[0]);

    m[0] = cdc_rocksmq_msg_create(1, 40 * MB);
    cdc_rocksmq_msg_free(m[0]);
    ok(kept() <= 8 * MB, "nor more when one is larger");
}


static void
test_tidy(void)
{
    cdc_rocksmq_msg_t  *m;

    m = cdc_rocksmq_msg_create(1, MB);
    cdc_rocksmq_msg_free(m);
    ok(cdc_rocksmq_msg_tidy(60000) > 0, "one of this minute stays");
    (void) usleep(20000);
    is_int((int64_t) cdc_rocksmq_msg_tidy(10), 0, "and is gone when nobody "
           "has asked for one in a while");
}


int
main(void)
{
    test_again();
    test_bound();
    test_tidy();

    return done_testing();
}
