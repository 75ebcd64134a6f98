/*
 * What is mapped of the helper's own file and of its libraries.
 *
 * Loading looks into the names of all that a library has, the start runs much
 * that is never run again, and with a page the kernel maps those around it: of
 * an idle task's memory two thirds were such pages.  They are the page cache's
 * and shared, so that giving them back costs nothing, and one that is used
 * again is mapped again.
 *
 * Only what is as it is in the file may be dropped.  Loading writes addresses
 * into segments, some of which are not writable afterwards; a debugger, a
 * tracer or a live patch writes into code.  A page that was written to is the
 * process's own, so that a mapping without such pages, which nobody can write
 * to, is as the file.  Where the kernel does not tell, nothing is dropped.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cdc_runtime.h"


typedef struct {
    uintptr_t      from, to;
    unsigned long  own;                  /* kB of it that are ours */
    unsigned       fixed:1;              /* of a file, and not writable */
} cdc_memory_map_t;


/* "55d0-55d2 r--p 0 fe:00 24 /usr/lib/..", the first line of a mapping */

static void
cdc_memory_begins(cdc_memory_map_t *m, const char *line)
{
    char           mode[5];
    unsigned long  node;

    m->own = 0;
    m->fixed = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %lu",
                      &m->from, &m->to, mode, &node) == 4
               && mode[1] != 'w' && mode[3] == 'p' && node != 0;
}


static void
cdc_memory_line(cdc_memory_map_t *m, const char *line)
{
    unsigned long  kb;

    if (line[0] < 'A' || line[0] > 'Z') {
        cdc_memory_begins(m, line);

    } else if (sscanf(line, "Anonymous: %lu", &kb) == 1
               || sscanf(line, "Swap: %lu", &kb) == 1)
    {
        m->own += kb;

    } else if (m->fixed && m->own == 0 && strncmp(line, "VmFlags:", 8) == 0) {
        (void) madvise((void *) m->from, m->to - m->from, MADV_DONTNEED);
    }
}


void
cdc_memory_shed(void)
{
    char              *line;
    FILE              *f;
    size_t             size;
    cdc_memory_map_t   m;

    f = fopen("/proc/self/smaps", "re");

    if (f == NULL) {
        return;
    }

    memset(&m, 0, sizeof(cdc_memory_map_t));
    line = NULL;
    size = 0;

    while (getline(&line, &size, f) != -1) {
        cdc_memory_line(&m, line);
    }

    free(line);
    (void) fclose(f);
}
