/*
 * TAP for the C unit tests: ok(), is_int(), is_str(), done_testing().
 * Not thread-safe: check on the main thread.
 */

#ifndef TAP_H_INCLUDED
#define TAP_H_INCLUDED

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>


static int  tap_n;
static int  tap_failed;


static int __attribute__((format(printf, 2, 3), unused))
ok(int cond, const char *fmt, ...)
{
    va_list  args;

    tap_n++;
    tap_failed += !cond;

    printf("%sok %d - ", cond ? "" : "not ", tap_n);

    va_start(args, fmt);
    (void) vprintf(fmt, args);
    va_end(args);

    printf("\n");
    (void) fflush(stdout);

    return cond;
}


static int __attribute__((unused))
is_int(int64_t got, int64_t want, const char *name)
{
    if (!ok(got == want, "%s", name)) {
        printf("#      got: %lld\n# expected: %lld\n", (long long) got,
               (long long) want);
    }

    return got == want;
}


static int __attribute__((unused))
is_str(const char *got, const char *want, const char *name)
{
    int  same;

    same = got != NULL && want != NULL ? strcmp(got, want) == 0 : got == want;

    if (!ok(same, "%s", name)) {
        printf("#      got: %s\n# expected: %s\n", got != NULL ? got : "NULL",
               want != NULL ? want : "NULL");
    }

    return same;
}


static int __attribute__((unused))
done_testing(void)
{
    printf("1..%d\n", tap_n);

    return tap_failed != 0;
}


#endif /* TAP_H_INCLUDED */
