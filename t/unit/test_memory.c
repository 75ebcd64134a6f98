/*
 * Whether large pieces come from the kernel or from malloc()'s arenas.
 */

#include "cdc_runtime.h"
#include "tap.h"

#include <malloc.h>
#include <stdlib.h>


#define MB  ((size_t) 1024 * 1024)


static int
mapped(void)
{
    size_t           before, after;
    void  *volatile  p;

    (void) malloc_trim(0);               /* what is free there comes first */

    before = mallinfo2().hblks;
    p = malloc(2 * MB);
    after = mallinfo2().hblks;
    free(p);

    return p != NULL && after == before + 1;
}


static void
test_any(void)
{
    cdc_memory_init();
    ok(mapped(), "idle: from the kernel");

    cdc_memory_held(MB);
    ok(!mapped(), "rows come and go: from the arenas");

    cdc_memory_held(8 * MB);
    ok(mapped(), "much is held: from the kernel");

    cdc_memory_held(4 * MB);
    ok(mapped(), "somewhat less: still so");

    cdc_memory_held(MB);
    ok(!mapped(), "little: from the arenas");
}


/* what stays has mappings of its own */

static void
test_brief(void)
{
    cdc_memory_brief();

    cdc_memory_held(8 * MB);
    ok(!mapped(), "brief: much is held for a moment: from the arenas");

    cdc_memory_trim(0);
    cdc_memory_held(8 * MB);
    ok(!mapped(), "brief: there was less between");

    cdc_memory_trim(0);
    ok(mapped(), "brief: much all the time: from the kernel");

    cdc_memory_trim(0);
    ok(mapped(), "brief: nothing is read, because the target is slow");

    cdc_memory_held(7 * MB);
    ok(mapped(), "brief: nor is it faster");

    cdc_memory_held(MB);
    ok(!mapped(), "brief: little is held: from the arenas");
}


int
main(void)
{
    void  *volatile  p;

    p = malloc(1);
    free(p);

    /* a sanitizer's malloc() has no such settings */

    if (mallinfo2().arena != 0) {
        test_any();
        test_brief();
    } else {
        ok(1, "another malloc()");
    }

    return done_testing();
}
