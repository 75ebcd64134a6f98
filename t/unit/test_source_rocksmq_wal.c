/*
 * RocksDB's write-ahead logs, read without RocksDB: against logs that RocksDB
 * has written, cut at each byte, damaged, and against batches made by hand.
 */

#include <stdarg.h>
#include <time.h>

#include "tap.h"
#include "rocksmq_writer.h"
#include "source/cdc_rocksmq_wal.h"


#define PLACES  64


static char           base[] = "/tmp/cdc-rocksmq-wal.XXXXXX";
static char           dir[64], copy[64];
static unsigned char  bytes[1 << 22];
static uint64_t       found[20000];
static size_t         nfound, ndeleted;


static void
fresh(void)
{
    remove_tree(dir);
    remove_tree(copy);
    (void) snprintf(dir, sizeof(dir), "%s/db", base);
    (void) snprintf(copy, sizeof(copy), "%s/copy", base);
    (void) mkdir(copy, 0755);
}


/* the newest log of dir; its number */

static uint64_t
newest(size_t *size)
{
    int                fd;
    char               path[96];
    ssize_t            n;
    cdc_rocksmq_wal_t  wal;
    uint64_t           number;

    (void) cdc_rocksmq_wal_init(&wal, dir);
    (void) cdc_rocksmq_wal_list(&wal, 0);
    number = wal.nlogs != 0 ? wal.logs[wal.nlogs - 1].number : 0;
    cdc_rocksmq_wal_free(&wal);

    (void) snprintf(path, sizeof(path), "%s/%06u.log", dir,
                    (unsigned) number);
    fd = open(path, O_RDONLY);
    n = read(fd, bytes, sizeof(bytes));
    (void) close(fd);
    *size = n > 0 ? (size_t) n : 0;

    return number;
}


static void
put_log(unsigned number, const void *data, size_t size)
{
    int   fd;
    char  path[96];

    (void) snprintf(path, sizeof(path), "%s/%06u.log", copy, number);
    fd = open(path, O_WRONLY|O_CREAT|O_TRUNC, 0644);

    if (write(fd, data, size) != (ssize_t) size) {
        ok(0, "write()");
    }

    (void) close(fd);
}


static cdc_rocksmq_topic_t *
topic(cdc_rocksmq_wal_t *wal, const char *name)
{
    return cdc_rocksmq_topic(&wal->topics, cdc_span_n(name, strlen(name)), 1);
}


/* messages of a topic and whether their bodies begin with their ids */

static size_t
messages(cdc_rocksmq_wal_t *wal, const char *name, int *good)
{
    char                        err[CDC_REASON_MAX];
    size_t                      n;
    uint8_t                    *body;
    uint64_t                    from;
    cdc_rocksmq_topic_t        *t;
    const cdc_rocksmq_entry_t  *e;

    t = topic(wal, name);
    from = 0;

    for (n = 0; (e = cdc_rocksmq_topic_next(t, from)) != NULL; n++) {
        body = malloc(e->len);

        *good &= cdc_rocksmq_wal_body(wal, e, body, err) == CDC_OK
                 && memcmp(body, &e->id, 8) == 0
                 && (e->len == 8 || body[e->len - 1] == 'x');
        from = e->id + 1;
        free(body);
    }

    return n;
}


/* small and large ones, batches over many blocks, and what comes later */

static void
test_read(void)
{
    int                good;
    char               err[CDC_REASON_MAX];
    uint64_t           first, last;
    writer_child_t     w;
    cdc_rocksmq_wal_t  wal;

    fresh();
    (void) writer_start(&w, dir, "none", 64 << 20, WRITER_BASE);
    (void) writer_ask(&w, "put a 100 60");
    (void) writer_ask(&w, "put b 30 32700");
    (void) writer_ask(&w, "big a 50 10000");
    (void) writer_ask(&w, "put b 3 3000000");

    (void) cdc_rocksmq_wal_init(&wal, dir);
    cdc_rocksmq_topic_want(topic(&wal, "a"), 0);
    is_int(cdc_rocksmq_wal_list(&wal, 0), CDC_OK, "the logs are there");
    is_int(cdc_rocksmq_wal_read(&wal, err), CDC_OK, "and can be read");
    cdc_rocksmq_topic_want(topic(&wal, "b"), WRITER_BASE + 101);
    is_int(cdc_rocksmq_wal_again(&wal, err), CDC_OK, "and read again");

    good = 1;
    is_int((int64_t) messages(&wal, "a", &good), 150, "all messages of one");
    is_int((int64_t) messages(&wal, "b", &good), 32, "those from an id on");
    is_int((int64_t) messages(&wal, "none", &good), 0, "none of a third");

    (void) writer_ask(&w, "put a 10 40000");
    (void) cdc_rocksmq_wal_read(&wal, err);
    is_int((int64_t) messages(&wal, "a", &good), 10, "what comes later");
    ok(good, "bodies are right");
    is_int((int64_t) wal.chain, 1, "sequence numbers go on");

    /* retention: 100 .. 149 of a are behind 30 of b */

    (void) writer_ask(&w, "purge a %" PRIu64, WRITER_BASE + 139);
    (void) cdc_rocksmq_wal_read(&wal, err);
    (void) cdc_rocksmq_wal_ends(&wal, topic(&wal, "a"), &first, &last, err);
    is_int((int64_t) first, (int64_t) WRITER_BASE + 140, "retention: first");
    is_int((int64_t) last, (int64_t) WRITER_BASE + 192, "and last");
    (void) writer_ask(&w, "purge a %" PRIu64, WRITER_BASE + 192);
    (void) cdc_rocksmq_wal_read(&wal, err);
    (void) cdc_rocksmq_wal_ends(&wal, topic(&wal, "a"), &first, &last, err);
    ok(first == 0 && last == 0, "all of it gone");
    (void) cdc_rocksmq_wal_ends(&wal, topic(&wal, "b"), &first, &last, err);
    is_int((int64_t) first, (int64_t) WRITER_BASE + 100, "nothing of another");
    (void) writer_ask(&w, "put a 1 8");
    (void) cdc_rocksmq_wal_read(&wal, err);
    (void) cdc_rocksmq_wal_ends(&wal, topic(&wal, "a"), &first, &last, err);
    ok(first == WRITER_BASE + 193 && last == first, "and one is new");

    cdc_rocksmq_wal_free(&wal);
    writer_end(&w, 0);
}


static unsigned
read_copy(cdc_rocksmq_wal_t *wal, int *rc, char *err)
{
    cdc_rocksmq_topic_t  *t;

    (void) cdc_rocksmq_wal_init(wal, copy);
    cdc_rocksmq_topic_want(topic(wal, "a"), 0);
    topic(wal, "a")->fresh = 0;
    (void) cdc_rocksmq_wal_list(wal, 0);
    *rc = cdc_rocksmq_wal_read(wal, err);
    t = topic(wal, "a");

    return (unsigned) (t->tail - t->head);
}


/* cut at each byte: whole records and nothing else; then the rest comes */

static void
test_torn(void)
{
    int                rc, good;
    char               err[CDC_REASON_MAX];
    size_t             size, cut, whole, ends[PLACES], n;
    unsigned           wrong, number;
    writer_child_t     w;
    cdc_rocksmq_wal_t  wal;

    fresh();
    (void) writer_start(&w, dir, "none", 64 << 20, WRITER_BASE);
    n = 0;

    for (whole = 0; whole < 6; whole++) {
        (void) writer_ask(&w, "big a %d %d", 2, whole == 3 ? 34000 : 40);
        (void) newest(&ends[n++]);
    }

    number = (unsigned) newest(&size);
    writer_end(&w, SIGKILL);
    wrong = 0;

    for (cut = 0; cut <= size; cut++) {

        if (cut > ends[2] + 200 && cut < ends[3] - 200 && cut % 997 != 0) {
            continue;
        }

        for (whole = 0; whole < n && ends[whole] <= cut; whole++) {
            /* void */
        }

        put_log(number, bytes, cut);
        wrong += read_copy(&wal, &rc, err) != 2 * whole || rc != CDC_OK;

        put_log(number, bytes, size);
        wrong += cdc_rocksmq_wal_read(&wal, err) != CDC_OK;
        good = 1;
        wrong += messages(&wal, "a", &good) != 2 * n || !good;
        wrong += wal.chain != 1;
        cdc_rocksmq_wal_free(&wal);
    }

    is_int(wrong, 0, "cut at each byte: whole records, and the rest when it "
           "comes");

    /* the source was killed there, and the next log goes on */

    put_log(number, bytes, ends[3] - 100);
    memset(bytes + ends[3], 0, 4096);
    put_log(number + 9, bytes, 0);
    is_int(read_copy(&wal, &rc, err), 6, "a torn record waits");
    is_int(wal.current, 0, "as long as the next log is empty");
    cdc_rocksmq_wal_free(&wal);

    put_log(number, bytes, ends[3] + 4096);
    is_int(read_copy(&wal, &rc, err), 8, "zeros at the end are nothing");
    is_int(rc, CDC_OK, "and no error");
    cdc_rocksmq_wal_free(&wal);
}


/* a byte that is wrong is waited for, and then an error, never passed over */

static void
test_damaged(void)
{
    int                rc, again;
    char               err[CDC_REASON_MAX];
    size_t             size, first, at, i;
    unsigned           number, wrong;
    writer_child_t     w;
    cdc_rocksmq_wal_t  wal;
    struct timespec    pause;

    fresh();
    (void) writer_start(&w, dir, "none", 64 << 20, WRITER_BASE);
    (void) writer_ask(&w, "put a 1 40");
    (void) newest(&first);
    (void) writer_ask(&w, "put a 5 40");
    number = (unsigned) newest(&size);
    writer_end(&w, SIGKILL);
    wrong = 0;

    for (at = first; at < first + (size - first) / 5; at++) {
        bytes[at] ^= 0x40;
        put_log(number, bytes, size);
        bytes[at] ^= 0x40;
        wrong += read_copy(&wal, &rc, err) != 1 || rc == CDC_ERROR;
        cdc_rocksmq_wal_free(&wal);
    }

    is_int(wrong, 0, "each byte of a record matters");

    bytes[first + 20] ^= 1;
    put_log(number, bytes, size);
    (void) read_copy(&wal, &rc, err);
    pause.tv_sec = 1;
    pause.tv_nsec = 100000000;
    (void) nanosleep(&pause, NULL);
    rc = cdc_rocksmq_wal_read(&wal, err);
    again = cdc_rocksmq_wal_read(&wal, err);
    ok(rc == CDC_ERROR && again == CDC_ERROR && strstr(err, "damaged"),
       "what stays wrong is an error: %s", err);
    bytes[first + 20] ^= 1;
    put_log(number, bytes, size);
    rc = cdc_rocksmq_wal_read(&wal, err);
    is_int(rc, CDC_OK, "until it is right");
    is_int((int64_t) (topic(&wal, "a")->tail - topic(&wal, "a")->head), 6,
           "and then all come");
    cdc_rocksmq_wal_free(&wal);

    /* a record is missing in the middle: the numbers tell */

    i = (size - first) / 5;
    memmove(bytes + first, bytes + first + i, size - first - i);
    put_log(number, bytes, size - i);
    is_int(read_copy(&wal, &rc, err), 1, "nothing behind a hole");
    is_int(rc, CDC_AGAIN, "before another look at what there is");
    is_int(cdc_rocksmq_wal_read(&wal, err), CDC_AGAIN, "however often");
    (void) cdc_rocksmq_wal_list(&wal, 0);
    is_int(cdc_rocksmq_wal_read(&wal, err), CDC_OK, "then it goes on");
    is_int((int64_t) wal.chain, 2, "and the hole is told");
    cdc_rocksmq_wal_free(&wal);
}


/* the next log is begun when it has something and this one is at its end */

static void
test_logs(void)
{
    int                  good;
    char                 err[CDC_REASON_MAX];
    size_t               n;
    uint64_t             number, first, last;
    writer_child_t       w;
    cdc_rocksmq_topic_t  *t;
    cdc_rocksmq_wal_t    wal;

    fresh();
    (void) writer_start(&w, dir, "none", 64 << 20, WRITER_BASE);
    (void) cdc_rocksmq_wal_init(&wal, dir);
    t = topic(&wal, "a");
    cdc_rocksmq_topic_want(t, 0);
    (void) cdc_rocksmq_wal_list(&wal, 0);
    (void) cdc_rocksmq_wal_again(&wal, err);
    (void) writer_put_n(&w, "a", 10, 100);
    (void) writer_ask(&w, "flush");      /* deletes what is open here */
    (void) writer_put_n(&w, "a", 10, 100);
    (void) cdc_rocksmq_wal_list(&wal, 0);
    is_int(cdc_rocksmq_wal_read(&wal, err), CDC_OK, "two logs are read");
    is_int((int64_t) (t->tail - t->head), 20, "one of them deleted");
    is_int((int64_t) wal.chain, 1, "without a hole");
    number = newest(&n);
    cdc_rocksmq_wal_drop(&wal, number);
    is_int((int64_t) (t->tail - t->head), 10, "those of the first are let "
           "go");
    is_int((int64_t) t->lost, (int64_t) WRITER_BASE + 1, "and which it was");
    (void) cdc_rocksmq_wal_ends(&wal, t, &first, &last, err);
    is_int((int64_t) first, (int64_t) WRITER_BASE + 10, "the logs begin "
           "behind them");

    good = 1;
    is_int((int64_t) messages(&wal, "a", &good), 10, "the others stay");
    ok(good, "whole");

    (void) writer_put_n(&w, "a", 10, 100);
    (void) writer_ask(&w, "flush");
    (void) writer_put_n(&w, "a", 10, 100);
    (void) writer_ask(&w, "flush");
    (void) writer_put_n(&w, "a", 10, 100);
    (void) cdc_rocksmq_wal_list(&wal, 0);
    is_int(cdc_rocksmq_wal_read(&wal, err), CDC_AGAIN, "one came and went");
    (void) cdc_rocksmq_wal_list(&wal, 0);
    is_int(cdc_rocksmq_wal_read(&wal, err), CDC_OK, "it is gone on");
    is_int((int64_t) wal.chain, 2, "and seen");

    cdc_rocksmq_wal_free(&wal);
    writer_end(&w, 0);
}


/* ---- batches by hand --- */

static int
hand_op(void *arg, const cdc_rocksmq_op_t *op)
{
    ndeleted += op->kind == CDC_ROCKSMQ_RANGE;

    if (op->kind == CDC_ROCKSMQ_PUT && nfound < 20000) {
        found[nfound++] = op->off << 8 | op->len;
    }

    return CDC_OK;
}


static int
by_hand(const char *body, size_t len, unsigned count, size_t step)
{
    uint8_t              head[12];
    size_t               i, n;
    uint64_t             seq, ops;
    cdc_rocksmq_batch_t  b;

    memset(head, 0, sizeof(head));
    head[0] = 7;
    head[8] = (uint8_t) count;
    b.handler = hand_op;
    nfound = 0;
    ndeleted = 0;
    cdc_rocksmq_batch_start(&b);
    (void) cdc_rocksmq_batch_add(&b, head, sizeof(head), 0);

    for (i = 0; i < len; i += n) {
        n = step < len - i ? step : len - i;

        if (cdc_rocksmq_batch_add(&b, (const uint8_t *) body + i, n, 100 + i)
            != CDC_OK)
        {
            return CDC_ERROR;
        }
    }

    return cdc_rocksmq_batch_end(&b, &seq, &ops) == CDC_OK && seq == 7
           ? CDC_OK : CDC_ERROR;
}

#define HAND(s, count, step)  by_hand(s, sizeof(s) - 1, count, step)


static void
test_batch(void)
{
    size_t    step;
    unsigned  wrong;

    static const char  all[] = "\x01\x03" "a/1" "\x02" "xy"
                               "\x05\x01\x03" "a/2" "\x01" "z"
                               "\x00\x03" "a/3"
                               "\x03\x02" "hi"
                               "\x0d"
                               "\x07\x01" "k"
                               "\x0e\x00\x03" "a/0\x03" "a/9"
                               "\x05\x00\x03" "b/4" "\x00"
                               "\x0f\x01" "a\x01" "b"
                               "\x02\x01" "m" "\x00";

    wrong = 0;

    for (step = 1; step < sizeof(all); step++) {
        wrong += by_hand(all, sizeof(all) - 1 - 4, 7, step) != CDC_OK
                 || nfound != 2 || ndeleted != 2
                 || found[0] != ((106 << 8) | 2)
                 || (found[1] & 0xff) != 0;
    }

    is_int(wrong, 0, "operations of all kinds, in pieces of any size");
    is_int(by_hand(all, sizeof(all) - 1, 8, 9), CDC_ERROR,
           "a merge is not RocksMQ's");
    is_int(by_hand(all, sizeof(all) - 1 - 4, 6, 9), CDC_ERROR,
           "a wrong count");
    is_int(HAND("\x01\x03" "a/1" "\x05" "xy", 1, 3), CDC_ERROR,
           "a value without its end");
    is_int(HAND("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1, 4),
           CDC_ERROR, "a length without an end");
    is_int(HAND("\x09", 0, 1), CDC_ERROR, "a transaction");
    is_int(HAND("\x7f", 0, 1), CDC_ERROR, "an unknown tag");
    is_int(HAND("", 0, 1), CDC_OK, "an empty one");
}


static void
test_edit(void)
{
    cdc_rocksmq_manifest_t  m;

#define EDIT(s)  cdc_rocksmq_edit(&m, (const uint8_t *) s, sizeof(s) - 1)

    cdc_rocksmq_manifest_init(&m);
    is_int(EDIT("\x02\x0a\x03\x0c\x04\x05"), CDC_OK, "an edit");
    is_int((int64_t) m.log, 10, "and its log");
    is_int(EDIT("\xc8\x01\x01\x02\x63"), CDC_OK, "one of another family");
    is_int((int64_t) m.log, 10, "does not count");
    is_int(EDIT("\x67\x00\x0b\x20\x01k\x01l\x01\x02\x05\x01\xff\x01"
                "\x02\x0b"), CDC_OK, "with a table");
    is_int((int64_t) m.log, 11, "that has the log before");
    is_int(EDIT("\x02\x14\xac\x02\x01"), CDC_OK, "the first of a group");
    is_int((int64_t) m.log, 11, "does not count yet");
    is_int(EDIT("\xc8\x01\x01\x02\x15\xac\x02\x00"), CDC_OK, "the last");
    is_int((int64_t) m.log, 20, "makes it count");
    is_int(EDIT("\x81\x40\x02id\x88\x40\x01x"), CDC_OK, "fields that may be "
           "passed over");
    is_int(EDIT("\x90\x03\x01"), CDC_ERROR, "one that may not");
    is_int(EDIT("\x02"), CDC_ERROR, "one without its end");
    is_int(EDIT("\x01\x05" "ab"), CDC_ERROR, "or too short");
}


int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "writer") == 0) {
        return writer_main(argv);
    }

    (void) signal(SIGPIPE, SIG_IGN);
    cdc_log_init("", NULL, CDC_LOG_ERR);

    if (mkdtemp(base) == NULL) {
        return 1;
    }

    test_batch();
    test_edit();
    test_read();
    test_torn();
    test_damaged();
    test_logs();

    remove_tree(base);

    return done_testing();
}
