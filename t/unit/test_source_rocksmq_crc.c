/*
 * CRC-32C: both ways of it, whether RocksDB takes ours, and whether a table
 * that is damaged is still found out.
 */

#include <dirent.h>
#include <stdarg.h>
#include <time.h>

#include <jansson.h>

#include "tap.h"
#include "rocksmq_writer.h"
#include "cdc_log_reader.h"
#include "source/cdc_rocksmq_wal.h"


#define OPS       (&cdc_rocksmq_reader)
#define MESSAGES  20


static cdc_loop_t   *loop;
static cdc_timer_t   limit;
static char          base[] = "/tmp/cdc-rocksmq-crc.XXXXXX";
static char          dir[64], own[64], text[CDC_REASON_MAX];
static unsigned      got;


static void
test_sums(void)
{
    size_t    i, n;
    unsigned  differ;
    uint8_t   buf[16384];

    is_int(cdc_rocksmq_crc((const uint8_t *) "123456789", 9), 0xe3069283,
           "CRC-32C of the check string");
    is_int(cdc_rocksmq_crc_table((const uint8_t *) "123456789", 9),
           0xe3069283, "by the table, too");

    srand(1);

    for (i = 0; i < sizeof(buf); i++) {
        buf[i] = (uint8_t) (rand() >> 8);
    }

    for (n = 0, differ = 0; n <= sizeof(buf) - 8; n += n < 256 ? 1 : 31) {
        for (i = 0; i < 8; i++) {
            differ += cdc_rocksmq_crc(buf + i, n)
                      != cdc_rocksmq_crc_table(buf + i, n);
        }
    }

    is_int(differ, 0, "both ways agree at all places, short and long");
}


/* what the dynamic linker says of the name */

static void
test_lent(void)
{
#if defined(__x86_64__)
    int        found;
    char       line[4096], to[256], program[256];
    FILE      *f;
    size_t     n;
    uint8_t    buf[9000];
    uint32_t   sum;

    memset(buf, 0xa5, sizeof(buf));
    sum = cdc_rocksmq_crc_table(buf, sizeof(buf));

    for (n = 0, found = 0; n < sizeof(buf); n += 97) {
        found += cdc_rocksmq_crc_extend(cdc_rocksmq_crc(buf, n),
                                        (const char *) buf + n,
                                        sizeof(buf) - n) != sum;
    }

    is_int(found, 0, "a sum goes on from any place");

    n = (size_t) readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[n < sizeof(program) ? n : 0] = '\0';
    (void) snprintf(line, sizeof(line), "LD_BIND_NOW=1 LD_DEBUG=bindings "
                    "'%s' nothing 2>&1", program);
    f = popen(line, "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strstr(line, "/librocksdb.") != NULL
            && strstr(line, "`_ZN7rocksdb6crc32c6ExtendEjPKcm'") != NULL
            && sscanf(line, "%*[^]]] to %255s", to) == 1)
        {
            found = strcmp(to, program) == 0;
        }
    }

    (void) pclose(f);

    is_int(found, 1, "RocksDB has it from this program");
#endif
}


/* ---- a table that is damaged --- */

static void
readable(void *arg, cdc_log_stream_t *s)
{
    char           err[CDC_REASON_MAX];
    cdc_log_msg_t  msg;

    while (OPS->next(s, &msg, err) == CDC_OK) {
        got++;
        OPS->release(&msg);
    }

    if (got == MESSAGES) {
        cdc_loop_stop(loop);
    }
}


static void
degraded(void *arg, const char *why)
{
    if (why != NULL) {
        (void) snprintf(text, sizeof(text), "%s", why);
        cdc_loop_stop(loop);
    }
}


static void
expired(cdc_timer_t *tm)
{
    cdc_loop_stop(loop);
}


static void
drain(void)
{
    char                err[CDC_REASON_MAX];
    json_t             *conf;
    cdc_pos_t           pos;
    cdc_log_reader_t   *reader;
    cdc_log_handler_t   handler;

    got = 0;
    text[0] = '\0';
    memset(&pos, 0, sizeof(cdc_pos_t));
    memset(&handler, 0, sizeof(cdc_log_handler_t));
    handler.readable = readable;
    handler.degraded = degraded;

    conf = json_pack("{s:s, s:s}", "rocksmq", dir, "secondary_dir", own);
    reader = OPS->open(loop, conf, &handler, err);
    json_decref(conf);
    ok(reader != NULL, "the reader opens");

    if (reader == NULL) {
        return;
    }

    readable(NULL, OPS->start(reader, "t", pos, NULL, err));

    limit.handler = expired;
    cdc_timer_add(loop, &limit, 20000);
    (void) cdc_loop_run(loop);
    cdc_timer_del(loop, &limit);

    OPS->close(reader);
}


/* one bit of the table; 1 when there was one */

static int
flip(void)
{
    int             fd, done;
    char            c, path[512];
    DIR            *d;
    off_t           off;
    struct dirent  *de;

    done = 0;
    d = opendir(dir);

    while (d != NULL && (de = readdir(d)) != NULL) {

        if (strstr(de->d_name, ".sst") == NULL) {
            continue;
        }

        (void) snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
        fd = open(path, O_RDWR);
        off = lseek(fd, 0, SEEK_END) / 2;
        done = pread(fd, &c, 1, off) == 1;
        c ^= 1;
        done = done && pwrite(fd, &c, 1, off) == 1;
        (void) close(fd);
    }

    (void) closedir(d);

    return done;
}


static void
test_damaged(void)
{
    writer_child_t  w;

    (void) snprintf(dir, sizeof(dir), "%s/rocksmq", base);
    (void) snprintf(own, sizeof(own), "%s/own", base);

    (void) writer_start(&w, dir, "none", 64 << 20, WRITER_BASE);
    (void) writer_put_n(&w, "t", MESSAGES, 100000);
    writer_ask(&w, "flush");
    writer_end(&w, 0);

    drain();
    is_int(got, MESSAGES, "a table as Milvus writes it");

    is_int(flip(), 1, "one bit of it is changed");
    drain();
    ok(got > 0 && got < MESSAGES, "the messages before it come: %u", got);
    ok(strstr(text, "checksum mismatch") != NULL, "and the damage is told: %s",
       text);
}


int
main(int argc, char **argv)
{
    if (argc > 1) {
        return strcmp(argv[1], "writer") == 0 ? writer_main(argv) : 0;
    }

    (void) signal(SIGPIPE, SIG_IGN);
    cdc_log_init("", NULL, CDC_LOG_NOTICE);

    if (mkdtemp(base) == NULL) {
        return 1;
    }

    loop = cdc_loop_create();

    test_sums();
    test_lent();
    test_damaged();

    cdc_loop_destroy(loop);
    remove_tree(base);

    return done_testing();
}
