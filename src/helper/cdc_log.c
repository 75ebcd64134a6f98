/*
 * The helper's log: lines like nginx's own on descriptor 2.
 *
 * A line is built in one buffer and leaves in one write(2), so lines of
 * several helpers that share the file (O_APPEND) do not mix, and no lock is
 * needed between threads.  Text that comes from elsewhere (a target's error
 * message) cannot forge a line: control characters become blanks.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cdc_runtime.h"


#define CDC_LOG_LINE  4096


static char         cdc_log_prefix[CDC_TASK_ID_MAX + 1];
static char         cdc_log_path[PATH_MAX];
static int          cdc_log_level = CDC_LOG_NOTICE;

static const char  *cdc_log_levels[] = {
    "emerg", "emerg", "alert", "crit", "error", "warn", "notice", "info",
    "debug"
};


void
cdc_log_init(const char *prefix, const char *path, int level)
{
    (void) snprintf(cdc_log_prefix, sizeof(cdc_log_prefix), "%s",
                    prefix != NULL ? prefix : "");
    (void) snprintf(cdc_log_path, sizeof(cdc_log_path), "%s",
                    path != NULL ? path : "");

    if (level >= CDC_LOG_EMERG && level <= CDC_LOG_DEBUG) {
        cdc_log_level = level;
    }
}


void
cdc_log_reopen(void)
{
    int  fd;

    if (cdc_log_path[0] == '\0') {
        return;
    }

    fd = open(cdc_log_path, O_WRONLY|O_APPEND|O_CREAT|O_CLOEXEC, 0644);

    if (fd == -1) {
        cdc_log(CDC_LOG_ERR, errno, "open() \"%s\" failed", cdc_log_path);
        return;
    }

    /* 1 as well: a library that prints must not keep the old file alive */

    if (dup2(fd, STDERR_FILENO) == -1 || dup2(fd, STDOUT_FILENO) == -1) {
        cdc_log(CDC_LOG_ERR, errno, "dup2() of \"%s\" failed", cdc_log_path);
    }

    (void) close(fd);
}


/* snprintf() returns what it would have written: keep the line's true end */

static size_t
cdc_log_end(size_t at, int n)
{
    if (n < 0) {
        return at;
    }

    at += (size_t) n;

    return at < CDC_LOG_LINE - 1 ? at : CDC_LOG_LINE - 2;
}


void
cdc_log(int level, int err, const char *fmt, ...)
{
    char       line[CDC_LOG_LINE], text[256];
    size_t     n, body;
    time_t     sec;
    va_list    args;
    struct tm  tm;

    if (level > cdc_log_level || level < CDC_LOG_EMERG) {
        return;
    }

    sec = time(NULL);
    (void) localtime_r(&sec, &tm);

    n = strftime(line, sizeof(line), "%Y/%m/%d %H:%M:%S", &tm);

    n = cdc_log_end(n, snprintf(line + n, sizeof(line) - 1 - n,
                                " [%s] %d#%ld: milvus_cdc: %s%s",
                                cdc_log_levels[level], (int) getpid(),
                                (long) syscall(SYS_gettid), cdc_log_prefix,
                                cdc_log_prefix[0] != '\0' ? ": " : ""));
    body = n;

    va_start(args, fmt);
    n = cdc_log_end(n, vsnprintf(line + n, sizeof(line) - 1 - n, fmt, args));
    va_end(args);

    if (err != 0) {
        n = cdc_log_end(n, snprintf(line + n, sizeof(line) - 1 - n,
                                    " (%d: %s)", err,
                                    strerror_r(err, text, sizeof(text))));
    }

    for ( /* void */ ; body < n; body++) {
        if ((unsigned char) line[body] < 0x20 || line[body] == 0x7f) {
            line[body] = ' ';
        }
    }

    line[n++] = '\n';

    /* nobody is left to be told when the log itself cannot be written */

    while (write(STDERR_FILENO, line, n) == -1 && errno == EINTR) {
        /* again */
    }
}
