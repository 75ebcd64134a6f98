/*
 * The RocksMQ reader against a source that does all it can at full speed:
 * writes small and large messages, one by one and in batches, flushes,
 * compacts, purges what has been taken, closes and opens its database, and is
 * killed.  Each message carries its number: none may be missing, none come
 * twice.  TEST_CDC_ROCKSMQ_MS says for how long (3000), TEST_CDC_SEED how.
 */

#include <stdarg.h>
#include <sys/mman.h>
#include <time.h>

#include <jansson.h>

#include "tap.h"
#include "rocksmq_writer.h"
#include "cdc_log_reader.h"


#define OPS     (&cdc_rocksmq_reader)
#define TOPICS  3


typedef struct {
    volatile uint64_t  taken[TOPICS];    /* ids */
    volatile uint64_t  serial[TOPICS];   /* of the next message */
    volatile uint64_t  id;
    volatile uint64_t  did[6];
    volatile int       stop;
} shared_t;


typedef struct {
    uint64_t  last, serial;
    unsigned  wrong;
} taken_t;


static shared_t          *shared;
static int                shared_fd;
static taken_t            taken[TOPICS];
static cdc_log_stream_t  *streams[TOPICS];
static cdc_log_reader_t  *reader;
static cdc_loop_t        *loop;
static cdc_timer_t        limit;
static char               base[] = "/tmp/cdc-rocksmq-race.XXXXXX";
static char               dir[64], own[64];
static char               failure[CDC_REASON_MAX];
static unsigned           seed, hold;
static int                kills, reopened;


static unsigned
number(unsigned n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 8) % n;
}


/* ---- the source --- */

/* a message that was written just before the end has no serial yet */

static void
source_resume(writer_t *w)
{
    int                     i;
    char                    lower[64];
    size_t                  len;
    uint64_t                serial;
    const char             *p;
    rocksdb_iterator_t     *it;
    rocksdb_readoptions_t  *ro;

    ro = rocksdb_readoptions_create();
    it = rocksdb_create_iterator_cf(w->db, ro, w->cf[0]);

    for (i = 0; i < TOPICS; i++) {
        len = (size_t) snprintf(lower, sizeof(lower), "t%d:", i);
        rocksdb_iter_seek_for_prev(it, lower, len);

        if (rocksdb_iter_valid(it)) {
            p = rocksdb_iter_key(it, &len);

            if (memcmp(p, lower, 2) == 0) {
                memcpy(&serial, rocksdb_iter_value(it, &len) + 8, 8);
                shared->serial[i] = serial + 1;
            }
        }
    }

    rocksdb_iter_destroy(it);
    rocksdb_readoptions_destroy(ro);

    w->id = w->id < shared->id ? shared->id : w->id;
}


static void
source_open(writer_t *w)
{
    writer_open(w, dir, number(2) ? "zstd" : "none", 64 * 1024, WRITER_BASE);
    source_resume(w);
}


static void
source_close(writer_t *w)
{
    rocksdb_column_family_handle_destroy(w->cf[0]);
    rocksdb_column_family_handle_destroy(w->cf[1]);
    rocksdb_close(w->db);
    rocksdb_close(w->meta);
    rocksdb_writeoptions_destroy(w->wo);
}


static void
source_put(writer_t *w)
{
    int                    t, n;
    char                   topic[8];
    size_t                 len;
    uint64_t               serial;
    rocksdb_writebatch_t  *b;
    static uint8_t         body[2 << 20];

    t = (int) number(TOPICS);
    n = 1 + (int) number(8);
    b = rocksdb_writebatch_create();
    serial = shared->serial[t];
    (void) snprintf(topic, sizeof(topic), "t%d", t);

    while (n-- > 0) {
        len = 16 + number(number(200) == 0 ? 1 << 20
                          : number(20) == 0 ? 100000 : 500);
        w->id += number(3);              /* ids that nobody gets */
        memcpy(body, &w->id, 8);
        memcpy(body + 8, &serial, 8);
        serial++;
        shared->id = w->id + 1;
        writer_add(w, b, topic, body, len);
    }

    writer_batch(w, b);
    shared->serial[t] = serial;
}


/* argv: source DIR FD SEED; what is shared is behind the descriptor */

static int
source_main(char **argv)
{
    int       t;
    char      topic[8];
    unsigned  n;
    writer_t  w;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) snprintf(dir, sizeof(dir), "%s", argv[2]);
    shared = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE, MAP_SHARED,
                  atoi(argv[3]), 0);
    seed = (unsigned) strtoul(argv[4], NULL, 10);
    source_open(&w);

    while (!shared->stop) {
        n = number(1000);

        if (n < 960) {
            source_put(&w);
            shared->did[0]++;

        } else if (n < 970) {
            writer_flush(&w);
            shared->did[1]++;

        } else if (n < 972) {
            rocksdb_compact_range_cf(w.db, w.cf[0], NULL, 0, NULL, 0);
            shared->did[2]++;

        } else if (n < 998) {
            t = (int) number(TOPICS);
            (void) snprintf(topic, sizeof(topic), "t%d", t);

            if (shared->taken[t] > WRITER_BASE) {
                writer_purge(&w, topic, shared->taken[t] - 1);
                shared->did[3]++;
            }

        } else {
            source_close(&w);
            source_open(&w);
            shared->did[4]++;
        }
    }

    source_close(&w);

    return 0;
}


static pid_t
source_start(void)
{
    char   fd[16], n[16];
    pid_t  pid;

    (void) snprintf(fd, sizeof(fd), "%d", shared_fd);
    (void) snprintf(n, sizeof(n), "%u", number(1 << 24));
    (void) fflush(stdout);
    pid = fork();

    if (pid == 0) {
        (void) execl("/proc/self/exe", "source", "source", dir, fd, n, NULL);
        _exit(127);
    }

    return pid;
}


/* ---- the reader --- */

static void
readable(void *arg, cdc_log_stream_t *s)
{
    int            rc;
    uint64_t       head[2];
    taken_t       *t;
    cdc_log_msg_t  msg;

    t = OPS->data(s);

    while (!hold) {
        rc = OPS->next(s, &msg, failure);

        if (rc != CDC_OK) {
            if (rc != CDC_AGAIN) {
                cdc_loop_stop(loop);
            }

            break;
        }

        memcpy(head, msg.body.data, 16);

        if (head[0] != msg.pos.lo || head[1] != t->serial
            || msg.pos.lo <= t->last)
        {
            if (t->wrong++ == 0) {
                printf("# topic %d: id %" PRIu64 ", number %" PRIu64
                       " instead of %" PRIu64 " after id %" PRIu64 "\n",
                       (int) (t - taken), msg.pos.lo, head[1], t->serial,
                       t->last);
            }
        }

        t->last = msg.pos.lo;
        t->serial = head[1] + 1;
        shared->taken[t - taken] = t->last;
        OPS->release(&msg);
    }
}


static void
degraded(void *arg, const char *text)
{
    if (text != NULL) {
        printf("# %s\n", text);
    }
}


static void
expired(cdc_timer_t *tm)
{
    cdc_loop_stop(loop);
}


static void
spin(uint64_t ms)
{
    limit.handler = expired;
    cdc_timer_add(loop, &limit, ms);
    (void) cdc_loop_run(loop);
    cdc_timer_del(loop, &limit);
}


static void
begin(int t)
{
    char       topic[8], err[CDC_REASON_MAX];
    cdc_pos_t  pos;

    pos.hi = 0;
    pos.lo = taken[t].last != 0 ? taken[t].last + 1 : 0;
    (void) snprintf(topic, sizeof(topic), "t%d", t);
    streams[t] = OPS->start(reader, topic, pos, &taken[t], err);
}


static void
open_reader(void)
{
    int                t;
    char               err[CDC_REASON_MAX];
    json_t            *conf;
    cdc_log_handler_t  handler;

    handler.readable = readable;
    handler.degraded = degraded;
    handler.arg = NULL;

    conf = json_pack("{s:s, s:s, s:i}", "rocksmq", dir, "secondary_dir", own,
                     "prefetch", 64 * 1024);
    reader = OPS->open(loop, conf, &handler, err);
    json_decref(conf);

    for (t = 0; t < TOPICS; t++) {
        begin(t);
    }
}


static void
take_held(void)
{
    int  t;

    hold = 0;

    for (t = 0; t < TOPICS; t++) {
        readable(NULL, streams[t]);
    }
}


static uint64_t
behind(void)
{
    int       t;
    uint64_t  n;

    for (t = 0, n = 0; t < TOPICS; t++) {
        n += shared->serial[t] - taken[t].serial;
    }

    return n;
}


static void
disturb(pid_t *source)
{
    int  t;

    switch (number(30)) {

    case 0:
        (void) kill(*source, SIGKILL);
        (void) waitpid(*source, NULL, 0);
        *source = source_start();
        kills++;
        break;

    case 1:
        t = (int) number(TOPICS);
        OPS->stop(streams[t]);
        begin(t);
        break;

    case 2:
        OPS->close(reader);
        open_reader();
        reopened++;
        break;

    case 3:                              /* the reader falls far behind */
        hold = 1;
        spin(200);
        take_held();
    }
}


int
main(int argc, char **argv)
{
    int          t, status;
    pid_t        pid;
    uint64_t     until, total;
    const char  *ms, *s;

    if (argc > 1) {
        return strcmp(argv[1], "source") == 0 ? source_main(argv)
                                              : writer_main(argv);
    }

    ms = getenv("TEST_CDC_ROCKSMQ_MS");
    s = getenv("TEST_CDC_SEED");
    seed = s != NULL ? (unsigned) strtoul(s, NULL, 10)
                     : (unsigned) (getpid() * 7919) ^ (unsigned) time(NULL);
    printf("# TEST_CDC_SEED=%u\n", seed);

    cdc_log_init("", NULL, CDC_LOG_ERR);

    if (mkdtemp(base) == NULL) {
        return 1;
    }

    (void) snprintf(dir, sizeof(dir), "%s/db", base);
    (void) snprintf(own, sizeof(own), "%s/own", base);
    shared_fd = memfd_create("race", 0);

    if (shared_fd == -1 || ftruncate(shared_fd, sizeof(shared_t)) == -1) {
        return 1;
    }

    shared = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE, MAP_SHARED,
                  shared_fd, 0);
    loop = cdc_loop_create();
    pid = source_start();
    open_reader();
    until = cdc_now_ms() + (ms != NULL ? strtoull(ms, NULL, 10) : 3000);

    while (cdc_now_ms() < until && failure[0] == '\0') {

        hold = number(3) == 0;
        spin(1 + number(60));
        take_held();

        disturb(&pid);
    }

    shared->stop = 1;
    (void) waitpid(pid, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the source ends well");

    until = cdc_now_ms() + 20000;

    while (behind() != 0 && cdc_now_ms() < until && failure[0] == '\0') {
        spin(20);
    }

    for (t = 0, total = 0; t < TOPICS; t++) {
        ok(taken[t].serial == shared->serial[t] && taken[t].wrong == 0,
           "topic %d: each of %" PRIu64 " messages has come once, in order "
           "(%" PRIu64 ")", t, shared->serial[t], taken[t].serial);
        total += taken[t].serial;
    }

    is_str(failure, "", "and nothing was called a gap");
    printf("# %" PRIu64 " messages, %" PRIu64 " writes, %" PRIu64 " flushes, "
           "%" PRIu64 " compactions, %" PRIu64 " purges, opened anew %" PRIu64
           " times, killed %d times; reader anew %d times\n", total,
           shared->did[0], shared->did[1], shared->did[2], shared->did[3],
           shared->did[4], kills, reopened);

    OPS->close(reader);
    cdc_loop_destroy(loop);
    remove_tree(base);

    return done_testing();
}
