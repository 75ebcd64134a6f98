/*
 * Whether large pieces come from the kernel or from malloc()'s arenas, and
 * that what is mapped of libraries goes back, and comes again.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "cdc_runtime.h"
#include "tap.h"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>


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


/* of an arena, once some pieces have come and gone: bytes from the kernel */

static size_t
kept(size_t mb)
{
    size_t  i;
    void   *p[32];

    for (i = 0; i < mb; i++) {
        p[i] = malloc(MB);
    }

    while (i > 0) {
        free(p[--i]);
    }

    return mallinfo2().arena;
}


static void
test_any(void)
{
    size_t  n;

    cdc_memory_init();
    ok(mapped(), "idle: from the kernel");

    cdc_memory_held(MB);
    ok(!mapped(), "rows come and go: from the arenas");

    n = kept(12);
    ok(n > 12 * MB, "where what a backlog needs stays: %zu kB", n / 1024);

    n = kept(30);
    ok(n < 20 * MB, "and no more: %zu kB", n / 1024);

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


/* kB of files that are mapped */

static long
of_files(void)
{
    long   kb;
    FILE  *f;
    char   line[256];

    kb = -1;
    f = fopen("/proc/self/status", "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        (void) sscanf(line, "RssFile: %ld", &kb);
    }

    if (f != NULL) {
        (void) fclose(f);
    }

    return kb;
}


/* reads all that is not written to, what a sanitizer has laid between as well;
 * a sum of it */

static int __attribute__((no_sanitize_address))
touch(struct dl_phdr_info *info, size_t size, void *data)
{
    int                      i;
    size_t                   n;
    unsigned                *sum;
    const ElfW(Phdr)        *ph;
    const volatile uint8_t  *p;

    sum = data;

    for (i = 0; i < info->dlpi_phnum; i++) {
        ph = &info->dlpi_phdr[i];

        if (ph->p_type == PT_LOAD && (ph->p_flags & PF_R)
            && !(ph->p_flags & PF_W)
            && strncmp(info->dlpi_name, "linux-", 6) != 0)
        {
            p = (const volatile uint8_t *) (info->dlpi_addr + ph->p_vaddr);

            for (n = 0; n < ph->p_filesz; n += 512) {
                *sum = *sum * 31 + p[n];
            }
        }
    }

    return 0;
}


/* what loading has written must stay as it is */

static int  shed_number = 7;

static int  *const volatile  shed_pointers[] = { &shed_number, &shed_number };


static void
test_shed(void)
{
    long      before, after;
    unsigned  one, two;

    one = two = 0;
    (void) dl_iterate_phdr(touch, &one);
    before = of_files();
    shed_number = 8;

    cdc_memory_shed();
    after = of_files();
    ok(before > 0 && after < before / 4 * 3, "of %ld kB of files %ld are left",
       before, after);

    (void) dl_iterate_phdr(touch, &two);
    ok(one == two, "and come again as they were");
    is_int(*shed_pointers[0] + *shed_pointers[1], 16,
           "what is written to stays");
}


/* libraries go back when much comes to be held, and not each time */

static void
test_much(void)
{
    long      before, after;
    unsigned  sum;

    sum = 0;
    cdc_memory_trim(1);
    (void) dl_iterate_phdr(touch, &sum);

    before = of_files();
    cdc_memory_held(MB);
    after = of_files();
    ok(after > before / 8 * 7, "little is held: of %ld kB %ld are left",
       before, after);

    cdc_memory_held(7 * MB);
    after = of_files();
    ok(after < before / 4 * 3, "much is: %ld", after);

    (void) dl_iterate_phdr(touch, &sum);
    cdc_memory_held(8 * MB);
    after = of_files();
    ok(after > before / 8 * 7, "it still is: %ld", after);

    cdc_memory_trim(0);
    cdc_memory_held(8 * MB);
    after = of_files();
    ok(after > before / 8 * 7, "for a while: %ld", after);

    /* a target that takes nothing: 8 MB stay, and nothing comes */

    cdc_memory_trim(1);
    cdc_memory_held(8 * MB);
    cdc_memory_trim(1);
    cdc_memory_held(8 * MB);
    after = of_files();
    ok(after > before / 8 * 7, "while it stays, and little comes: %ld", after);

    cdc_memory_held(0);
    cdc_memory_trim(1);
    cdc_memory_held(8 * MB);
    after = of_files();
    ok(after < before / 4 * 3, "after little has come and was held: %ld",
       after);
}


/* what a debugger has written into code, or whatever is not writable */

static const char  shed_text[65536] = "a page of its own: ";


static void
test_changed(void)
{
    int                   fd;
    const volatile char  *p;

    p = shed_text + sizeof(shed_text) / 2;
    fd = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);

    if (fd == -1 || pwrite(fd, "x", 1, (off_t) (uintptr_t) p) != 1) {
        ok(1, "nobody may write there");

    } else {
        is_int(*p, 'x', "a page that is not writable is changed");
        cdc_memory_shed();
        is_int(*p, 'x', "and stays so");
    }

    (void) close(fd);
}


/* a library that another thread loads is a mapping of all of it first, some of
 * which is written to a moment later: what is no library yet stays */

static void
test_loading(void)
{
    int                   fd;
    long                  page;
    uint64_t              there;
    const volatile char  *p;

    page = sysconf(_SC_PAGESIZE);
    fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    p = mmap(NULL, (size_t) page, PROT_READ, MAP_PRIVATE, fd, 0);
    (void) close(fd);
    is_int(*p, 127, "a file that is mapped");
    cdc_memory_shed();

    fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    if (fd == -1
        || pread(fd, &there, sizeof(there),
                 (off_t) ((uintptr_t) p / (uintptr_t) page * sizeof(there)))
           != sizeof(there))
    {
        ok(1, "nobody can tell");

    } else {
        is_int((int64_t) (there >> 63), 1, "and is no library: it stays");
    }

    (void) close(fd);
    (void) munmap((void *) (uintptr_t) p, (size_t) page);
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

    test_shed();
    test_much();
    test_changed();
    test_loading();

    return done_testing();
}
