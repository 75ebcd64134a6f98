/*
 * A clock that is wrong by CLOCK_OFFSET seconds, for a program that is run
 * with this in LD_PRELOAD.
 *
 * A Go program asks the kernel's vDSO for the time and not libc, so what
 * libfaketime puts in libc's place never sees it.  This puts a jump in the
 * place of the vDSO's own functions, in this process's copy of that page.
 */

#define _GNU_SOURCE

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the jump is that of x86-64"
#endif


static long  offset;


/* not libc's syscall(): it sets errno, which a Go thread may not have */

static long
clock_syscall(long number, const void *a, const void *b)
{
    long  result;

    __asm__ volatile ("syscall"
                      : "=a" (result)
                      : "a" (number), "D" (a), "S" (b)
                      : "rcx", "r11", "memory");
    return result;
}


static int
clock_gettime_wrong(clockid_t id, struct timespec *ts)
{
    long  result;

    result = clock_syscall(SYS_clock_gettime, (void *) (long) id, ts);
    if (result == 0
        && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
    {
        ts->tv_sec += offset;
    }

    return (int) result;
}


static int
gettimeofday_wrong(struct timeval *tv, void *tz)
{
    long  result;

    result = clock_syscall(SYS_gettimeofday, tv, tz);
    if (result == 0 && tv != NULL) {
        tv->tv_sec += offset;
    }

    return (int) result;
}


static time_t
time_wrong(time_t *t)
{
    struct timeval  tv;

    (void) gettimeofday_wrong(&tv, NULL);
    if (t != NULL) {
        *t = tv.tv_sec;
    }

    return tv.tv_sec;
}


static const struct {
    const char  *name;
    void        *instead;
} functions[] = {
    { "__vdso_clock_gettime", (void *) clock_gettime_wrong },
    { "__vdso_gettimeofday", (void *) gettimeofday_wrong },
    { "__vdso_time", (void *) time_wrong }
};


static void
clock_fail(void)
{
    static const char  text[] = "clock.so: the vDSO cannot be changed\n";

    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
        _exit(98);
    }
    _exit(99);
}


static void
clock_patch(char *at, void *to)
{
    uint8_t  jump[12] = { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0 };

    /* mov $to, %rax; jmp *%rax */
    memcpy(jump + 2, &to, sizeof(to));
    memcpy(at, jump, sizeof(jump));
}


static void  clock_init(void) __attribute__((constructor));

static void
clock_init(void)
{
    char              *base;
    size_t             i, k, n, len, done;
    const char        *text, *names;
    const Elf64_Sym   *sym;
    const Elf64_Ehdr  *eh;
    const Elf64_Shdr  *sh;

    text = getenv("CLOCK_OFFSET");
    if (text == NULL) {
        return;
    }

    offset = atol(text);
    base = (char *) getauxval(AT_SYSINFO_EHDR);
    if (base == NULL) {
        clock_fail();
    }

    eh = (const Elf64_Ehdr *) base;
    sh = (const Elf64_Shdr *) (base + eh->e_shoff);
    done = 0;

    /* the kernel lets nobody split this mapping: all of its pages */
    len = (eh->e_shoff + eh->e_shnum * sizeof(Elf64_Shdr) + 4095)
          & ~(size_t) 4095;

    if (mprotect(base, len, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
        clock_fail();
    }

    for (i = 0; i < eh->e_shnum; i++) {
        if (sh[i].sh_type != SHT_DYNSYM) {
            continue;
        }

        sym = (const Elf64_Sym *) (base + sh[i].sh_offset);
        names = base + sh[sh[i].sh_link].sh_offset;

        for (n = 0; n < sh[i].sh_size / sizeof(Elf64_Sym); n++) {
            for (k = 0; k < sizeof(functions) / sizeof(functions[0]); k++) {
                if (strcmp(names + sym[n].st_name, functions[k].name) == 0) {
                    clock_patch(base + sym[n].st_value,
                                functions[k].instead);
                    done++;
                }
            }
        }
    }

    if (done != sizeof(functions) / sizeof(functions[0])
        || mprotect(base, len, PROT_READ | PROT_EXEC) != 0)
    {
        clock_fail();
    }
}
