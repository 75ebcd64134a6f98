/*
 * What is mapped of the helper's own file and of its libraries.
 *
 * Loading looks into the names of all that a library has, the start runs much
 * that is never run again, and with a page the kernel maps those around it: of
 * an idle task's memory two thirds were such pages.  They are the page cache's
 * and shared, so that giving them back costs nothing, and one that is used
 * again is mapped again.
 *
 * Only what is never written to may be dropped: a segment that is writable, or
 * was while it was loaded, has addresses in it that are not in the file.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cdc_runtime.h"


/* has loading written into segments that are not writable? */

static int
cdc_memory_patched(const struct dl_phdr_info *info)
{
    int               i;
    const ElfW(Dyn)  *d;

    for (i = 0; i < info->dlpi_phnum; i++) {

        if (info->dlpi_phdr[i].p_type != PT_DYNAMIC) {
            continue;
        }

        d = (const ElfW(Dyn) *) (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);

        for (; d->d_tag != DT_NULL; d++) {
            if (d->d_tag == DT_TEXTREL
                || (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
            {
                return 1;
            }
        }
    }

    return 0;
}


static int
cdc_memory_object(struct dl_phdr_info *info, size_t size, void *data)
{
    int                i;
    uintptr_t          page, from, to;
    const ElfW(Phdr)  *ph;

    /* the kernel's own is no file */

    if (strncmp(info->dlpi_name, "linux-", 6) == 0
        || cdc_memory_patched(info))
    {
        return 0;
    }

    page = (uintptr_t) sysconf(_SC_PAGESIZE);

    for (i = 0; i < info->dlpi_phnum; i++) {
        ph = &info->dlpi_phdr[i];

        if (ph->p_type != PT_LOAD || (ph->p_flags & PF_W)) {
            continue;
        }

        /* whole pages: the next segment may have the rest of the last one */

        from = (info->dlpi_addr + ph->p_vaddr + page - 1) & ~(page - 1);
        to = (info->dlpi_addr + ph->p_vaddr + ph->p_filesz) & ~(page - 1);

        if (from < to) {
            (void) madvise((void *) from, to - from, MADV_DONTNEED);
        }
    }

    return 0;
}


void
cdc_memory_shed(void)
{
    (void) dl_iterate_phdr(cdc_memory_object, NULL);
}
