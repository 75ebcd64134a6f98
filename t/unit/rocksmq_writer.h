/*
 * A RocksMQ as Milvus writes it, in a process of its own, so that it can be
 * killed: messages and their properties in one RocksDB, pages in another one
 * beside it, ids from one allocator for all topics (2.3), or, with "at", from
 * one for each (2.4 and later).
 *
 * The test starts itself again with "writer"; commands come as lines:
 *
 *   put TOPIC N LEN     N messages; answers the first and the last id
 *   big TOPIC N LEN     the same, as one batch
 *   time TOPIC          a message that carries the time of its writing
 *   raw TOPIC HEX       a message of these bytes
 *   skip N              ids that nobody gets
 *   at ID               the next id, which another topic may have, too
 *   purge TOPIC ID      what retention does to a page that ends at ID
 *   flush | compact | mode OCTAL
 */

#ifndef ROCKSMQ_WRITER_H_INCLUDED
#define ROCKSMQ_WRITER_H_INCLUDED

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rocksdb/c.h>

#include "cdc_runtime.h"


#define WRITER_BASE    UINT64_C(450000000000000000)
#define WRITER_CRC32C  1                 /* of RocksDB's ChecksumType */


typedef struct {
    rocksdb_t                       *db, *meta;
    rocksdb_column_family_handle_t  *cf[2];
    rocksdb_writeoptions_t          *wo;
    const char                      *dir;
    uint64_t                         id;
    uint64_t                         n;  /* messages */
} writer_t;


typedef struct {
    pid_t   pid;
    FILE   *in, *out;
} writer_child_t;


static void
writer_check(char *status)
{
    if (status != NULL) {
        fprintf(stderr, "writer: %s\n", status);
        _exit(1);
    }
}


/* "zstd" is what Milvus 2.4 and later do: none on level 0, zstd below.  The
 * checksum is that of its RocksDB, too; ours would take a newer one. */

static rocksdb_options_t *
writer_options(const char *compression, size_t buffer)
{
    int                                   levels[3];
    rocksdb_options_t                    *o;
    rocksdb_block_based_table_options_t  *table;

    o = rocksdb_options_create();
    table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_checksum(table, WRITER_CRC32C);
    rocksdb_options_set_block_based_table_factory(o, table);
    rocksdb_block_based_options_destroy(table);

    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_write_buffer_size(o, buffer);

    levels[0] = rocksdb_no_compression;
    levels[1] = levels[2] = strcmp(compression, "zstd") == 0
                            ? rocksdb_zstd_compression
                            : rocksdb_no_compression;

    rocksdb_options_set_num_levels(o, 3);
    rocksdb_options_set_compression_per_level(o, levels, 3);

    return o;
}


/* ids go on behind the last one, as they do after a restart */

static uint64_t
writer_last_id(writer_t *w)
{
    size_t                  len;
    uint64_t                id, last;
    const char             *key, *p;
    rocksdb_iterator_t     *it;
    rocksdb_readoptions_t  *ro;

    last = 0;
    ro = rocksdb_readoptions_create();
    it = rocksdb_create_iterator_cf(w->db, ro, w->cf[0]);

    for (rocksdb_iter_seek_to_first(it);
         rocksdb_iter_valid(it);
         rocksdb_iter_next(it))
    {
        key = rocksdb_iter_key(it, &len);
        p = memchr(key, '/', len);
        id = p != NULL ? strtoull(p + 1, NULL, 10) : 0;
        last = id > last ? id : last;
    }

    rocksdb_iter_destroy(it);
    rocksdb_readoptions_destroy(ro);

    return last;
}


static void
writer_open(writer_t *w, const char *dir, const char *compression,
    size_t buffer, uint64_t base)
{
    char                     *status, meta[4096];
    const char               *names[2];
    rocksdb_options_t        *o;
    const rocksdb_options_t  *options[2];

    memset(w, 0, sizeof(writer_t));
    w->dir = dir;
    w->wo = rocksdb_writeoptions_create();

    o = writer_options(compression, buffer);
    names[0] = "default";
    names[1] = "properties";
    options[0] = options[1] = o;

    status = NULL;
    w->db = rocksdb_open_column_families(o, dir, 2, names, options, w->cf,
                                         &status);
    writer_check(status);

    (void) snprintf(meta, sizeof(meta), "%s_meta_kv", dir);
    w->meta = rocksdb_open(o, meta, &status);
    writer_check(status);
    rocksdb_options_destroy(o);

    w->id = writer_last_id(w) + 1;
    w->id = w->id < base ? base : w->id;
}


static size_t
writer_key(char *key, const char *topic, uint64_t id)
{
    return (size_t) snprintf(key, 512, "%s/%" PRIu64, topic, id);
}


static void
writer_batch(writer_t *w, rocksdb_writebatch_t *b)
{
    char  *status;

    status = NULL;
    rocksdb_write(w->db, w->wo, b, &status);
    writer_check(status);
    rocksdb_writebatch_destroy(b);
}


static void
writer_add(writer_t *w, rocksdb_writebatch_t *b, const char *topic,
    const void *body, size_t len)
{
    char    key[512];
    size_t  n;

    n = writer_key(key, topic, w->id);

    rocksdb_writebatch_put_cf(b, w->cf[0], key, n, body, len);
    rocksdb_writebatch_put_cf(b, w->cf[1], key, n, "{}", 2);

    w->id++;
    w->n++;
}


/* bodies begin with their id, so that a reader can tell */

static void
writer_put(writer_t *w, const char *topic, int n, size_t len, int one_batch)
{
    char                  *body;
    uint64_t               first;
    rocksdb_writebatch_t  *b;

    body = malloc(len + 8);
    memset(body, 'x', len + 8);
    first = w->id;
    b = NULL;

    while (n-- > 0) {
        b = b != NULL ? b : rocksdb_writebatch_create();
        memcpy(body, &w->id, 8);
        writer_add(w, b, topic, body, len < 8 ? 8 : len);

        if (!one_batch || n == 0) {
            writer_batch(w, b);
            b = NULL;
        }
    }

    free(body);
    printf("%" PRIu64 " %" PRIu64 "\n", first, w->id - 1);
}


/* one message for each of so many topics, all at once */

static void
writer_burst(writer_t *w, const char *prefix, int n)
{
    int                    i;
    char                   topic[300];
    rocksdb_writebatch_t  *b;

    b = rocksdb_writebatch_create();

    for (i = 0; i < n; i++) {
        (void) snprintf(topic, sizeof(topic), "%s%d", prefix, i);
        writer_add(w, b, topic, &w->id, 8);
    }

    writer_batch(w, b);
    printf("%" PRIu64 "\n", w->id - 1);
}


static void
writer_raw(writer_t *w, const char *topic, const void *body, size_t len)
{
    rocksdb_writebatch_t  *b;

    b = rocksdb_writebatch_create();
    writer_add(w, b, topic, body, len);
    writer_batch(w, b);
}


static void
writer_time(writer_t *w, const char *topic)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    writer_raw(w, topic, &ts, sizeof(ts));
}


static void
writer_purge(writer_t *w, const char *topic, uint64_t id)
{
    char                   first[512], last[512];
    size_t                 n, m;
    rocksdb_writebatch_t  *b;

    n = writer_key(first, topic, 0);
    m = writer_key(last, topic, id + 1);
    b = rocksdb_writebatch_create();
    rocksdb_writebatch_delete_range_cf(b, w->cf[0], first, n, last, m);
    writer_batch(w, b);
}


static void
writer_flush(writer_t *w)
{
    char                    *status;
    rocksdb_flushoptions_t  *fo;

    status = NULL;
    fo = rocksdb_flushoptions_create();
    rocksdb_flush_cf(w->db, fo, w->cf[0], &status);
    writer_check(status);
    rocksdb_flush_cf(w->db, fo, w->cf[1], &status);
    writer_check(status);
    rocksdb_flushoptions_destroy(fo);
}


static int
writer_unhex(const char *hex, uint8_t *out)
{
    int       n;
    unsigned  v;

    for (n = 0; sscanf(hex + 2 * n, "%2x", &v) == 1; n++) {
        out[n] = (uint8_t) v;
    }

    return n;
}


/* argv: writer DIR COMPRESSION BUFFER BASE */

static int
writer_main(char **argv)
{
    int       n;
    char      line[1024], topic[256], hex[512];
    size_t    len;
    uint8_t   raw[256];
    uint64_t  id;
    writer_t  w;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    writer_open(&w, argv[2], argv[3], strtoul(argv[4], NULL, 10),
                strtoull(argv[5], NULL, 10));
    printf("ready\n");
    (void) fflush(stdout);

    while (fgets(line, sizeof(line), stdin) != NULL) {

        if (sscanf(line, "put %255s %d %zu", topic, &n, &len) == 3) {
            writer_put(&w, topic, n, len, 0);

        } else if (sscanf(line, "big %255s %d %zu", topic, &n, &len) == 3) {
            writer_put(&w, topic, n, len, 1);

        } else if (sscanf(line, "burst %255s %d", topic, &n) == 2) {
            writer_burst(&w, topic, n);

        } else if (sscanf(line, "time %255s", topic) == 1) {
            writer_time(&w, topic);
            printf("%" PRIu64 "\n", w.id - 1);

        } else if (sscanf(line, "raw %255s %511s", topic, hex) == 2) {
            writer_raw(&w, topic, raw, (size_t) writer_unhex(hex, raw));
            printf("%" PRIu64 "\n", w.id - 1);

        } else if (sscanf(line, "purge %255s %" SCNu64, topic, &id) == 2) {
            writer_purge(&w, topic, id);
            printf("ok\n");

        } else if (sscanf(line, "at %" SCNu64, &id) == 1) {
            w.id = id;
            printf("ok\n");

        } else if (sscanf(line, "skip %d", &n) == 1) {
            w.id += (uint64_t) n;
            printf("ok\n");

        } else if (sscanf(line, "mode %o", (unsigned *) &n) == 1) {
            printf("%d\n", chmod(w.dir, (mode_t) n));

        } else if (strcmp(line, "flush\n") == 0) {
            writer_flush(&w);
            printf("ok\n");

        } else if (strcmp(line, "compact\n") == 0) {
            rocksdb_compact_range_cf(w.db, w.cf[0], NULL, 0, NULL, 0);
            printf("ok\n");
        }

        (void) fflush(stdout);
    }

    rocksdb_column_family_handle_destroy(w.cf[0]);
    rocksdb_column_family_handle_destroy(w.cf[1]);
    rocksdb_close(w.db);
    rocksdb_close(w.meta);
    rocksdb_writeoptions_destroy(w.wo);

    return 0;
}


/* ---- the test's side --- */

static const char *
writer_ask(writer_child_t *c, const char *fmt, ...)
{
    va_list      args;
    static char  line[256];

    va_start(args, fmt);
    (void) vfprintf(c->in, fmt, args);
    va_end(args);

    (void) fputc('\n', c->in);
    (void) fflush(c->in);

    line[0] = '\0';

    return fgets(line, sizeof(line), c->out) != NULL ? line : "";
}


static int __attribute__((unused))
writer_start(writer_child_t *c, const char *dir, const char *compression,
    size_t buffer, uint64_t base)
{
    int    in[2], out[2];
    char   line[64], size[32], first[32];

    if (pipe2(in, O_CLOEXEC) == -1 || pipe2(out, O_CLOEXEC) == -1) {
        return -1;
    }

    (void) snprintf(size, sizeof(size), "%zu", buffer);
    (void) snprintf(first, sizeof(first), "%" PRIu64, base);

    c->pid = fork();

    if (c->pid == 0) {
        (void) dup2(in[0], 0);
        (void) dup2(out[1], 1);
        (void) close(in[1]);
        (void) close(out[0]);
        (void) execl("/proc/self/exe", "writer", "writer", dir, compression,
                     size, first, NULL);
        _exit(127);
    }

    (void) close(in[0]);
    (void) close(out[1]);
    c->in = fdopen(in[1], "w");
    c->out = fdopen(out[0], "r");

    return fgets(line, sizeof(line), c->out) != NULL
           && strcmp(line, "ready\n") == 0 ? 0 : -1;
}


static void __attribute__((unused))
writer_end(writer_child_t *c, int sig)
{
    if (sig != 0) {
        (void) kill(c->pid, sig);
    }

    (void) fclose(c->in);
    (void) waitpid(c->pid, NULL, 0);
    (void) fclose(c->out);
}


static uint64_t __attribute__((unused))
writer_put_n(writer_child_t *c, const char *topic, int n, size_t len)
{
    uint64_t  last;

    last = 0;
    (void) sscanf(writer_ask(c, "put %s %d %zu", topic, n, len),
                  "%*u %" SCNu64, &last);

    return last;
}


/* ---- what is left --- */

static int
writer_remove(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    return remove(path);
}


static void
remove_tree(const char *path)
{
    (void) nftw(path, writer_remove, 16, FTW_DEPTH|FTW_PHYS);
}


#endif /* ROCKSMQ_WRITER_H_INCLUDED */
