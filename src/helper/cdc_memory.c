/*
 * What malloc() keeps.
 *
 * What is read and sent comes in pieces of up to some megabytes, allocated on
 * one thread and freed on another, some of it seconds later.  With an arena
 * for each thread a backlog held twice of what was in use.
 *
 * A large piece may be memory from the kernel that goes back to it: what lies
 * between two others cannot be used for one that is larger, and the buffer
 * into which librdkafka decompresses is twice as large as what it will hold,
 * of which one from the kernel costs only what was written.  Behind a slow
 * target the arenas held three times of what was in use.  But each such piece
 * is cleared by the kernel, page by page, and that was a fifth of the CPU time
 * of a backlog.  A target that keeps up leaves little in memory, and so little
 * to be lost in gaps.  So large pieces come from the arenas while rows come
 * and little of them is held, and from the kernel otherwise; what the arenas
 * had for them then goes back by malloc_trim().
 *
 * mallopt() sets plain numbers, which other threads read as they allocate:
 * they find the former one or the new one, and each is right.
 */

#include <malloc.h>

#include "cdc_runtime.h"


#define CDC_MEMORY_LARGE   (1024 * 1024)
#define CDC_MEMORY_MOST    (32 * 1024 * 1024)    /* that malloc() takes */
#define CDC_MEMORY_TOP     (8 * 1024 * 1024)
#define CDC_MEMORY_MUCH    (6 * 1024 * 1024)
#define CDC_MEMORY_LITTLE  (3 * 1024 * 1024)
#define CDC_MEMORY_FLOW    (64 * 1024)
#define CDC_MEMORY_QUIET   10            /* calls of cdc_memory_trim() */


static unsigned  cdc_memory_tight, cdc_memory_quiet;


static void
cdc_memory_set(unsigned tight)
{
    cdc_memory_tight = tight;

    (void) mallopt(M_MMAP_THRESHOLD, tight ? CDC_MEMORY_LARGE
                                           : CDC_MEMORY_MOST);
    (void) mallopt(M_TRIM_THRESHOLD, tight ? CDC_MEMORY_LARGE
                                           : CDC_MEMORY_TOP);
}


void
cdc_memory_init(void)
{
    (void) mallopt(M_ARENA_MAX, 2);
    cdc_memory_set(1);
}


void
cdc_memory_held(size_t bytes)
{
    if (bytes >= CDC_MEMORY_MUCH && !cdc_memory_tight) {
        cdc_memory_set(1);

    } else if (bytes >= CDC_MEMORY_FLOW && bytes < CDC_MEMORY_LITTLE
               && cdc_memory_tight)
    {
        cdc_memory_set(0);
    }
}


void
cdc_memory_trim(int quiet)
{
    cdc_memory_quiet = quiet ? cdc_memory_quiet + 1 : 0;

    if (quiet && !cdc_memory_tight) {

        /* an insert now and then would have it both ways all the time */

        if (cdc_memory_quiet < CDC_MEMORY_QUIET) {
            return;
        }

        cdc_memory_quiet = 0;
        cdc_memory_set(1);

    } else if (quiet || !cdc_memory_tight) {
        return;
    }

    (void) malloc_trim(0);
}
