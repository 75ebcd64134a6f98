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
 * had for them then goes back by malloc_trim(), and so does, once, what the
 * start has left: half of an idle task's own, and most of what is mapped of its
 * libraries (cdc_memory_file.c).  These go back when much comes to be held,
 * too, the first time after little has come and was held: 5 of 16 MB.  Behind
 * a target that does not take anything little comes, but much stays.
 *
 * A source on RocksMQ has mappings of its own for what stays in memory
 * (cdc_rocksmq_msg.c).  RocksDB's blocks come and go one by one: with them the
 * arenas have large pieces also while much is held, unless it stays so for a
 * whole time between two calls of cdc_memory_trim(): the target is slow then.
 *
 * mallopt() sets plain numbers, which other threads read as they allocate:
 * they find the former one or the new one, and each is right.
 */

#include <malloc.h>
#include <stdint.h>

#include "cdc_runtime.h"


#define CDC_MEMORY_LARGE   (1024 * 1024)
#define CDC_MEMORY_MOST    (32 * 1024 * 1024)    /* that malloc() takes */
#define CDC_MEMORY_TOP     (16 * 1024 * 1024)
#define CDC_MEMORY_MUCH    (6 * 1024 * 1024)
#define CDC_MEMORY_LITTLE  (3 * 1024 * 1024)
#define CDC_MEMORY_FLOW    (64 * 1024)
#define CDC_MEMORY_QUIET   10            /* calls of cdc_memory_trim() */


static unsigned  cdc_memory_tight, cdc_memory_quiet, cdc_memory_short;
static unsigned  cdc_memory_slow;        /* much has been held all the time */
static unsigned  cdc_memory_left = 1;    /* since the last trim in quiet */
static unsigned  cdc_memory_filled;      /* since little was held last */
static size_t    cdc_memory_least = SIZE_MAX;    /* held since the last call
                                          * of cdc_memory_trim() */


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


int
cdc_memory_is_tight(void)
{
    return cdc_memory_tight;
}


void
cdc_memory_brief(void)
{
    cdc_memory_short = 1;
}


void
cdc_memory_held(size_t bytes)
{
    unsigned  may;

    if (bytes >= CDC_MEMORY_MUCH && !cdc_memory_filled) {
        cdc_memory_filled = 1;
        cdc_memory_shed();
    }

    may = cdc_memory_short && !cdc_memory_slow;
    cdc_memory_least = bytes < cdc_memory_least ? bytes : cdc_memory_least;

    if (bytes >= CDC_MEMORY_MUCH && !cdc_memory_tight && !may) {
        cdc_memory_set(1);

    } else if (bytes >= CDC_MEMORY_FLOW && cdc_memory_tight
               && (bytes < CDC_MEMORY_LITTLE || may))
    {
        cdc_memory_left = 1;
        cdc_memory_set(0);
    }
}


/* with nothing read since, it is as slow as it was */

static void
cdc_memory_pace(void)
{
    if (cdc_memory_least != SIZE_MAX) {
        cdc_memory_slow = cdc_memory_least >= CDC_MEMORY_MUCH;
        cdc_memory_least = SIZE_MAX;
    }

    if (cdc_memory_slow && !cdc_memory_tight) {
        cdc_memory_set(1);
    }
}


void
cdc_memory_trim(int quiet)
{
    if (quiet && cdc_memory_least < CDC_MEMORY_LITTLE) {
        cdc_memory_filled = 0;
    }

    cdc_memory_pace();

    cdc_memory_quiet = quiet ? cdc_memory_quiet + 1 : 0;

    if (quiet) {

        /* an insert now and then would have it both ways all the time */

        if (cdc_memory_quiet < CDC_MEMORY_QUIET || !cdc_memory_left) {
            return;
        }

        cdc_memory_quiet = 0;
        cdc_memory_left = 0;
        cdc_memory_set(1);
        cdc_memory_shed();

    } else if (!cdc_memory_tight) {
        return;
    }

    (void) malloc_trim(0);
}
