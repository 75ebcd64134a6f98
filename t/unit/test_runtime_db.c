/* the cover over LevelDB */

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "cdc_runtime.h"
#include "tap.h"


static char  dir[] = "/tmp/cdc-unit-XXXXXX";
static char  trace[256];


static int
collect(void *arg, cdc_span_t key, cdc_span_t value)
{
    size_t  n = strlen(trace);

    (void) snprintf(trace + n, sizeof(trace) - n, "%.*s=%.*s ", (int) key.len,
                    key.data, (int) value.len, value.data);

    return arg != NULL ? CDC_DONE : CDC_OK;
}


static int
put(cdc_db_t *db, const char *key, const char *value, size_t len, char *err)
{
    int              rc;
    cdc_db_batch_t  *b;

    b = cdc_db_batch_create();
    cdc_db_batch_put(b, cdc_span_n(key, strlen(key)), cdc_span_n(value, len));
    rc = cdc_db_write(db, b, err);
    cdc_db_batch_destroy(b);

    return rc;
}


static void
test_basic(const char *path)
{
    char             err[CDC_REASON_MAX];
    size_t           len;
    uint8_t         *value;
    cdc_db_t        *db;
    struct stat      st;
    cdc_db_batch_t  *b;

    db = cdc_db_open(path, err);
    ok(db != NULL, "opens a new database, parents included");

    if (db == NULL) {
        return;
    }

    (void) stat(path, &st);
    is_int(st.st_mode & 0777, 0700, "the directory is 0700");

    err[0] = '\0';
    ok(cdc_db_open(path, err) == NULL, "a second opening fails");
    ok(strstr(err, "is open in another process") != NULL, "and says why");
    is_int(cdc_db_remove(path, err), CDC_ERROR,
           "an open database is not removed");
    ok(strstr(err, path) != NULL && strstr(err, "another process") != NULL,
       "and says which and why");

    b = cdc_db_batch_create();
    cdc_db_batch_put(b, cdc_span("a/2"), cdc_span("two"));
    cdc_db_batch_put(b, cdc_span("a/1"), cdc_span("one"));
    cdc_db_batch_put(b, cdc_span("b/1"), cdc_span("x"));
    cdc_db_batch_put(b, cdc_span("a/3"), cdc_span(""));
    cdc_db_batch_delete(b, cdc_span("b/1"));
    is_int(cdc_db_write(db, b, NULL), CDC_OK, "writes a batch");
    cdc_db_batch_destroy(b);

    is_int(cdc_db_get(db, cdc_span("a/1"), &value, &len), CDC_OK, "gets");
    is_str((char *) value, "one", "the value, terminated");
    free(value);
    is_int(cdc_db_get(db, cdc_span("a/3"), &value, &len), CDC_OK,
           "an empty value is a value");
    is_int(len, 0, "of length 0");
    free(value);
    is_int(cdc_db_get(db, cdc_span("b/1"), &value, &len), CDC_DECLINED,
           "no such key");

    is_int(cdc_db_each(db, cdc_span("a/"), collect, NULL), CDC_OK, "each");
    is_str(trace, "a/1=one a/2=two a/3= ", "in order");
    trace[0] = '\0';
    is_int(cdc_db_each(db, cdc_span(""), collect, db), CDC_DONE,
           "each stops when told");
    is_str(trace, "a/1=one ", "after the first");

    cdc_db_close(db);

    db = cdc_db_open(path, NULL);
    is_int(cdc_db_get(db, cdc_span("a/2"), &value, &len), CDC_OK,
           "there after reopening");
    free(value);
    cdc_db_close(db);
}


/* a file-size limit fails a write in its middle, as a full disk does */

static void
test_full(const char *path)
{
    int            i, rc, failed;
    char           err[CDC_REASON_MAX], key[16], *big;
    size_t         len;
    uint8_t       *value;
    cdc_db_t      *db;
    struct rlimit  rl, old;

    (void) signal(SIGXFSZ, SIG_IGN);

    db = cdc_db_open(path, err);
    big = calloc(1, 60000);

    (void) getrlimit(RLIMIT_FSIZE, &old);
    rl = old;
    rl.rlim_cur = 140000;
    (void) setrlimit(RLIMIT_FSIZE, &rl);

    err[0] = '\0';

    for (i = 0, failed = 0; i < 4; i++) {
        (void) snprintf(key, sizeof(key), "big%d", i);
        rc = put(db, key, big, 60000, err);

        if (i < 2) {
            is_int(rc, CDC_OK, "a write that fits");
        }

        failed += rc != CDC_OK;
        (void) setrlimit(RLIMIT_FSIZE, i == 2 ? &old : &rl);
    }

    is_int(failed, 1, "only the write that did not fit failed");
    ok(strstr(err, "LevelDB") != NULL, "with a text: %s", err);

    cdc_db_close(db);
    (void) setrlimit(RLIMIT_FSIZE, &old);

    err[0] = '\0';
    db = cdc_db_open(path, err);
    ok(db != NULL, "the database opens after it %s", err);

    if (db != NULL) {
        for (i = 0; i < 4; i++) {
            (void) snprintf(key, sizeof(key), "big%d", i);
            rc = cdc_db_get(db, cdc_span_n(key, strlen(key)), &value, &len);
            is_int(rc, i == 2 ? CDC_DECLINED : CDC_OK,
                   i == 2 ? "what failed is not there" : "accepted: there");

            if (rc == CDC_OK) {
                free(value);
            }
        }

        cdc_db_close(db);
    }

    free(big);
}


static void
test_corrupt(const char *path)
{
    int             fd, n;
    DIR            *d;
    char            err[CDC_REASON_MAX], file[600];
    cdc_db_t       *db;
    struct dirent  *de;

    d = opendir(path);
    n = 0;

    while (d != NULL && (de = readdir(d)) != NULL) {
        if (strncmp(de->d_name, "MANIFEST", 8) == 0) {
            (void) snprintf(file, sizeof(file), "%s/%s", path, de->d_name);
            fd = open(file, O_RDWR);
            n += pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 8) == 8;
            close(fd);
        }
    }

    (void) closedir(d);
    is_int(n, 1, "the manifest is damaged now");

    err[0] = '\0';
    db = cdc_db_open(path, err);
    ok(db == NULL, "a damaged database does not open");
    ok(strstr(err, "is corrupt") != NULL, "and says so: %s", err);
    cdc_db_close(db);
}


static void
test_headless(const char *path)
{
    char         err[CDC_REASON_MAX], file[320];
    cdc_db_t    *db;
    struct stat  st;

    db = cdc_db_open(path, err);
    ok(db != NULL, "a new database");
    cdc_db_close(db);

    (void) snprintf(file, sizeof(file), "%s/CURRENT", path);
    is_int(unlink(file), 0, "its CURRENT is lost");

    db = cdc_db_open(path, err);
    ok(db == NULL, "it is not begun again");
    ok(strstr(err, "CURRENT is missing") != NULL, "but said: %s", err);
    is_int(stat(file, &st), -1, "and left as it is");
    cdc_db_close(db);

    ok(!cdc_db_passing(err), "which does not pass by itself");
    ok(cdc_db_passing("IO error: /x/1.log: No space left on device"),
       "as a full disk does");
}


static void
test_half_made(const char *path)
{
    int        fd;
    char       err[CDC_REASON_MAX], file[320];
    cdc_db_t  *db;

    is_int(mkdir(path, 0700), 0, "killed while it was made:");

    (void) snprintf(file, sizeof(file), "%s/MANIFEST-000001", path);
    fd = open(file, O_CREAT | O_WRONLY, 0600);
    ok(fd != -1 && write(fd, "x", 1) == 1, "half a manifest");
    (void) close(fd);

    db = cdc_db_open(path, err);
    ok(db != NULL, "it is made");
    cdc_db_close(db);

    (void) snprintf(file, sizeof(file), "%s/CURRENT", path);
    ok(unlink(file) == 0 && cdc_db_open(path, err) == NULL,
       "once only");
}


static void
test_no_directory(const char *path)
{
    char  err[CDC_REASON_MAX], sub[300], want[400];

    (void) snprintf(sub, sizeof(sub), "%s/none/one", path);
    (void) snprintf(want, sizeof(want), "the directory \"%s/none\" cannot be "
                    "made: No such file or directory", path);

    ok(cdc_db_open(sub, err) == NULL, "no directory for it");
    is_str(err, want, "which one, and why");
}


static void
test_remove(const char *path)
{
    char         sub[300], file[320], out[320];
    struct stat  st;

    (void) snprintf(sub, sizeof(sub), "%s/sub", path);
    (void) snprintf(file, sizeof(file), "%s/file", sub);
    (void) snprintf(out, sizeof(out), "%s/link", sub);
    (void) mkdir(sub, 0700);
    close(open(file, O_CREAT|O_WRONLY, 0600));
    (void) !symlink("/etc", out);

    is_int(cdc_db_remove(path, NULL), CDC_OK,
           "removes what is in the directory");
    is_int(stat(path, &st), -1, "and the directory");
    is_int(stat("/etc/passwd", &st), 0, "and follows no link");
    is_int(cdc_db_remove(path, NULL), CDC_OK, "removing nothing is fine");
}


int
main(void)
{
    char  path[256];

    cdc_log_init("", NULL, 1);

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    (void) umask(077);
    (void) snprintf(path, sizeof(path), "%s/tasks/one", dir);

    test_basic(path);
    test_full(path);
    test_corrupt(path);
    test_remove(path);
    test_headless(path);
    (void) cdc_db_remove(path, NULL);
    test_half_made(path);
    test_no_directory("/nowhere");
    (void) cdc_db_remove(path, NULL);

    (void) snprintf(path, sizeof(path), "%s/tasks", dir);
    (void) rmdir(path);
    (void) rmdir(dir);

    return done_testing();
}
