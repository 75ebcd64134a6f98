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
 *
 * Another thread may load a library meanwhile (a name is resolved, say): then
 * what the kernel has told of is something else by now, which is written to.
 * So only segments of libraries that are loaded, and cannot go as long as they
 * are looked at, and that are never writable.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cdc_runtime.h"


typedef struct {
    uintptr_t            from, to;
} cdc_memory_range_t;

typedef struct {
    cdc_memory_range_t  *a;              /* as in the file, by address */
    size_t               n, cap;
    cdc_memory_range_t   range;          /* that is being read of */
    unsigned long        own;            /* kB of it that are ours */
    unsigned             fixed:1;        /* of a file, and not writable */
} cdc_memory_maps_t;


static void
cdc_memory_add(cdc_memory_maps_t *m)
{
    size_t               cap;
    cdc_memory_range_t  *a;

    if (m->n == m->cap) {
        cap = m->cap ? m->cap * 2 : 64;
        a = realloc(m->a, cap * sizeof(cdc_memory_range_t));

        if (a == NULL) {
            return;                      /* that one stays */
        }

        m->a = a;
        m->cap = cap;
    }

    m->a[m->n++] = m->range;
}


/* "55d0-55d2 r--p 0 fe:00 24 /usr/lib/..", the first line of a mapping */

static void
cdc_memory_begins(cdc_memory_maps_t *m, const char *line)
{
    char           mode[5];
    unsigned long  node;

    m->own = 0;
    m->fixed = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %lu",
                      &m->range.from, &m->range.to, mode, &node) == 4
               && mode[1] != 'w' && mode[3] == 'p' && node != 0;
}


static void
cdc_memory_line(cdc_memory_maps_t *m, const char *line)
{
    unsigned long  kb;

    if (line[0] < 'A' || line[0] > 'Z') {
        cdc_memory_begins(m, line);

    } else if (sscanf(line, "Anonymous: %lu", &kb) == 1
               || sscanf(line, "Swap: %lu", &kb) == 1)
    {
        m->own += kb;

    } else if (m->fixed && m->own == 0 && strncmp(line, "VmFlags:", 8) == 0) {
        cdc_memory_add(m);
    }
}


static void
cdc_memory_segment(const cdc_memory_maps_t *m, uintptr_t from, uintptr_t to)
{
    size_t     i;
    uintptr_t  low, high;

    for (i = 0; i < m->n; i++) {
        low = from > m->a[i].from ? from : m->a[i].from;
        high = to < m->a[i].to ? to : m->a[i].to;

        if (low < high) {
            (void) madvise((void *) low, high - low, MADV_DONTNEED);
        }
    }
}


static int
cdc_memory_object(struct dl_phdr_info *info, size_t size, void *data)
{
    int                i;
    uintptr_t          page, at;
    const ElfW(Phdr)  *ph;

    page = (uintptr_t) sysconf(_SC_PAGESIZE);

    for (i = 0; i < info->dlpi_phnum; i++) {
        ph = &info->dlpi_phdr[i];

        if (ph->p_type == PT_LOAD && !(ph->p_flags & PF_W)) {
            at = info->dlpi_addr + ph->p_vaddr;

            /* whole pages: the next segment may have the rest of the last */

            cdc_memory_segment(data, (at + page - 1) & ~(page - 1),
                               (at + ph->p_filesz) & ~(page - 1));
        }
    }

    return 0;
}


void
cdc_memory_shed(void)
{
    char               *line;
    FILE               *f;
    size_t              size;
    cdc_memory_maps_t   m;

    f = fopen("/proc/self/smaps", "re");

    if (f == NULL) {
        return;
    }

    memset(&m, 0, sizeof(cdc_memory_maps_t));
    line = NULL;
    size = 0;

    while (getline(&line, &size, f) != -1) {
        cdc_memory_line(&m, line);
    }

    free(line);
    (void) fclose(f);

    (void) dl_iterate_phdr(cdc_memory_object, &m);
    free(m.a);
}
