/*
 * Following a real etcd: list, watch, compaction, restart, tokens, TLS.
 * Each etcd is our own, on free ports and in a folder of its own.
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "tap.h"
#include "grpc_server.h"
#include "cdc_etcd.h"
#include "cdc_grpc.h"


#define KEYS_MAX  8192


typedef struct {
    char       *key, *value;
    unsigned    gen;
} known_t;

typedef struct {
    cdc_loop_t  *loop;
    cdc_timer_t  limit;
    unsigned     expired:1;

    known_t       keys[KEYS_MAX];         /* what handler() has been told */
    size_t       nkeys;
    unsigned     gen;
    int          lists, pages, downs, ups;
    int          events;                 /* batches of EVENTS */
    size_t       largest;                /* changes in one of them */
    int64_t      revision;
    uint64_t     synced;
    char         text[CDC_REASON_MAX];
    int          (*until)(void);
} world_t;


static world_t  w;
static char     dir[256];
static pid_t    etcd_pid;
static int      port, peer;
static char     client[1280];            /* etcdctl with its options */


/* ---- an etcd of our own --- */

static int
free_port(void)
{
    int                 fd;
    socklen_t           len;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(sin);

    fd = socket(AF_INET, SOCK_STREAM, 0);
    (void) bind(fd, (struct sockaddr *) &sin, len);
    (void) getsockname(fd, (struct sockaddr *) &sin, &len);
    (void) close(fd);

    return ntohs(sin.sin_port);
}


static int __attribute__((format(printf, 1, 2)))
run(const char *fmt, ...)
{
    char     cmd[4096];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(cmd, sizeof(cmd), fmt, args);
    va_end(args);

    return system(cmd);
}


#define ctl(fmt, ...)  run("%s " fmt " > /dev/null 2>&1", client, ##__VA_ARGS__)


static void
etcd_start(const char *name, int tls)
{
    int   i, null;
    char  data[512], url[64], peer_url[64], cert[512], key[512], ca[512];
    char  initial[128];

    (void) snprintf(data, sizeof(data), "%s/%s", dir, name);
    (void) snprintf(url, sizeof(url), "http%s://127.0.0.1:%d", tls ? "s" : "",
                    port);
    (void) snprintf(peer_url, sizeof(peer_url), "http://127.0.0.1:%d", peer);
    (void) snprintf(initial, sizeof(initial), "default=%s", peer_url);
    (void) snprintf(cert, sizeof(cert), "--cert-file=%s/server.crt", dir);
    (void) snprintf(key, sizeof(key), "--key-file=%s/server.key", dir);
    (void) snprintf(ca, sizeof(ca), "--trusted-ca-file=%s/ca.crt", dir);

    etcd_pid = fork();

    if (etcd_pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        null = open("/dev/null", O_WRONLY);
        (void) dup2(null, STDOUT_FILENO);
        (void) dup2(null, STDERR_FILENO);
        execlp("etcd", "etcd", "--data-dir", data,
               "--listen-client-urls", url, "--advertise-client-urls", url,
               "--listen-peer-urls", peer_url,
               "--initial-advertise-peer-urls", peer_url,
               "--initial-cluster", initial, "--unsafe-no-fsync",
               tls ? cert : NULL, key, ca, "--client-cert-auth", NULL);
        _exit(127);
    }

    for (i = 0; i < 100 && ctl("endpoint health") != 0; i++) {
        (void) usleep(100000);
    }
}


static void
etcd_kill(void)
{
    if (etcd_pid > 0) {
        (void) kill(etcd_pid, SIGKILL);
        (void) waitpid(etcd_pid, NULL, 0);
        etcd_pid = 0;
    }
}


static void
etcd_client(const char *more)
{
    (void) snprintf(client, sizeof(client), "ETCDCTL_API=3 etcdctl "
                    "--command-timeout=2s --endpoints=http%s://127.0.0.1:%d "
                    "%s", strstr(more, "cacert") ? "s" : "", port, more);
}


/* ---- what the handler is told --- */

static known_t *
find(cdc_span_t key)
{
    size_t  i;

    for (i = 0; i < w.nkeys; i++) {
        if (strlen(w.keys[i].key) == key.len
            && memcmp(w.keys[i].key, key.data, key.len) == 0)
        {
            return &w.keys[i];
        }
    }

    return NULL;
}


static void
forget(known_t *k)
{
    free(k->key);
    free(k->value);
    *k = w.keys[--w.nkeys];
}


static void
take(const cdc_etcd_kv_t *kv)
{
    known_t  *k;

    k = find(kv->key);

    if (kv->deleted) {
        if (k != NULL) {
            forget(k);
        }

        return;
    }

    if (k == NULL) {
        k = &w.keys[w.nkeys++];
        k->key = strndup((const char *) kv->key.data, kv->key.len);

    } else {
        free(k->value);
    }

    k->value = strndup((const char *) kv->value.data, kv->value.len);
    k->gen = w.gen;
}


static void
handler(void *arg, const cdc_etcd_batch_t *b)
{
    size_t  i;

    switch (b->kind) {

    case CDC_ETCD_LIST:
        w.gen += b->first;
        w.pages++;

        for (i = 0; i < b->n; i++) {
            take(&b->kvs[i]);
        }

        for (i = w.nkeys; b->last && i > 0; i--) {
            if (w.keys[i - 1].gen != w.gen) {
                forget(&w.keys[i - 1]);
            }
        }

        w.lists += b->last;
        w.revision = b->revision;
        break;

    case CDC_ETCD_EVENTS:
        for (i = 0; i < b->n; i++) {
            take(&b->kvs[i]);

            if (b->kvs[i].mod_revision != b->revision) {
                ok(0, "a change of another revision in a batch");
            }
        }

        if (b->revision <= w.revision) {
            ok(0, "a revision that came before");
        }

        w.events++;
        w.largest = b->n > w.largest ? b->n : w.largest;
        w.revision = b->revision;
        break;

    case CDC_ETCD_SYNCED:
        w.synced = b->sync;
        break;

    case CDC_ETCD_DOWN:
        w.downs++;
        (void) snprintf(w.text, sizeof(w.text), "%s", b->text);
        break;

    case CDC_ETCD_UP:
        w.ups++;
    }

    if (w.until != NULL && w.until()) {
        cdc_loop_stop(w.loop);
    }
}


static void
expired(cdc_timer_t *tm)
{
    w.expired = 1;
    cdc_loop_stop(w.loop);
}


static int
spin(int (*until)(void), uint64_t ms)
{
    if (until != NULL && until()) {
        return 1;
    }

    w.until = until;
    w.expired = 0;
    w.limit.handler = expired;

    cdc_timer_add(w.loop, &w.limit, ms);
    (void) cdc_loop_run(w.loop);
    cdc_timer_del(w.loop, &w.limit);
    w.until = NULL;

    return !w.expired;
}


static void
reset(void)
{
    cdc_loop_t  *loop;

    while (w.nkeys > 0) {
        forget(&w.keys[0]);
    }

    loop = w.loop;
    memset(&w, 0, sizeof(w));
    w.loop = loop;
}


static uint64_t  want_sync;
static int       want_lists, want_downs, want_ups;


static int listed(void) { return w.lists >= want_lists; }
static int synced(void) { return w.synced >= want_sync; }
static int down(void) { return w.downs >= want_downs; }
static int up(void) { return w.ups >= want_ups; }


static cdc_etcd_follow_t *
follow(json_t *conf, char *err)
{
    static const cdc_etcd_keys_t  keys[] = {
        { "m/a/", "m/a0", 0 },
        { "m/c/", "m/c0", 0 },
        { "m/s/", "m/s0", 1 }
    };

    return cdc_etcd_follow(w.loop, conf, keys, 3, handler, NULL, err);
}


static json_t *
conf_of(const char *scheme)
{
    char  url[64];

    (void) snprintf(url, sizeof(url), "%s://127.0.0.1:%d", scheme, port);

    return json_pack("{s[s]}", "endpoints", url);
}


static const char *
value_of(const char *key)
{
    known_t  *k;

    k = find(cdc_span_n(key, strlen(key)));

    return k != NULL ? k->value : NULL;
}


/* 1: within ms */

static int
sync_now(cdc_etcd_follow_t *f, uint64_t ms)
{
    want_sync = cdc_etcd_sync(f);

    return spin(synced, ms);
}


/* ---- tests --- */

static void
test_conf(void)
{
    char     err[CDC_REASON_MAX];
    size_t   i;
    json_t  *conf;

    static const char *bad[] = {
        "", "http://", "http://host", "http://h:1/x", "ftp://h:1",
        "http://u:p@h:1"
    };

    conf = json_object();
    ok(follow(conf, err) == NULL && strstr(err, "endpoint"), "none: %s", err);
    json_decref(conf);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        conf = json_pack("{s[s]}", "endpoints", bad[i]);
        ok(follow(conf, err) == NULL, "\"%s\": %s", bad[i], err);
        json_decref(conf);
    }
}


static void
fill(const char *prefix, int n)
{
    int    i, k;
    char   cmd[1400];
    FILE  *p;

    (void) snprintf(cmd, sizeof(cmd), "%s txn > /dev/null 2>&1", client);

    /* 100 puts in a transaction */

    for (i = 0; i < n; i += 100) {
        p = popen(cmd, "w");
        (void) fprintf(p, "\n");

        for (k = i; k < i + 100 && k < n; k++) {
            (void) fprintf(p, "put %s%05d v%d\n", prefix, k, k);
        }

        (void) fprintf(p, "\n\n");
        (void) pclose(p);
    }
}


static void
test_follow(void)
{
    char                err[CDC_REASON_MAX];
    int                 i, late;
    json_t             *conf;
    uint64_t            start;
    cdc_etcd_follow_t  *f;

    fill("m/a/", 2500);
    fill("m/c/", 10);
    (void) ctl("put m/b/x no");
    (void) ctl("put m/d no");

    conf = conf_of("http");
    f = follow(conf, err);
    json_decref(conf);

    /* asked before there is a list */

    want_sync = cdc_etcd_sync(f);
    ok(spin(synced, 10000) && w.lists == 1, "synced after the list");
    ok(w.nkeys == 2510 && w.pages == 4, "2510 keys in four pages");
    is_str(value_of("m/a/02499"), "v2499", "the last one");
    is_str(value_of("m/b/x"), NULL, "nothing between the ranges");

    (void) ctl("put m/a/new 1");
    (void) ctl("put m/b/x no");
    (void) ctl("put m/s/side 7");        /* a sync does not wait for it */
    (void) ctl("del m/c/00003");
    ok(sync_now(f, 5000), "synced");
    is_str(value_of("m/a/new"), "1", "a put");
    is_str(value_of("m/c/00003"), NULL, "a delete");
    is_str(value_of("m/s/side"), "7", "the side range");
    is_str(value_of("m/b/x"), NULL, "still nothing between the ranges");
    is_int(w.events, 3, "three batches");

    w.largest = 0;
    fill("m/a/big", 100);
    ok(sync_now(f, 5000) && w.largest == 100, "a revision comes whole");

    /* an answer is never early: each put is there when it is synced */

    late = 0;

    for (i = 0; i < 100; i++) {
        (void) ctl("put m/a/seq %d", i);
        start = cdc_now_ms();

        if (!sync_now(f, 5000) || value_of("m/a/seq") == NULL
            || atoi(value_of("m/a/seq")) != i)
        {
            late++;
        }
    }

    ok(late == 0, "100 puts, each there when synced (the last in %d ms)",
       (int) (cdc_now_ms() - start));

    (void) ctl("del m/a/seq");
    ok(sync_now(f, 5000) && value_of("m/a/seq") == NULL,
       "so is a delete");

    /* what leaves no trace does not hold it up */

    (void) ctl("put m/z/elsewhere 1");
    (void) ctl("put m/a/brief 1");
    (void) ctl("del m/a/brief");
    ok(sync_now(f, 5000), "made and deleted");

    is_int(w.downs, 0, "never down");

    start = cdc_now_ms();
    cdc_etcd_close(f);
    start = cdc_now_ms() - start;
    ok(start < 500, "closed in %d ms", (int) start);
    (void) spin(NULL, 20);
}


static void
test_restart(void)
{
    char                err[CDC_REASON_MAX];
    int                 i, old, lists;
    json_t             *conf;
    uint64_t            start;
    cdc_etcd_follow_t  *f;

    reset();
    conf = conf_of("http");
    f = follow(conf, err);
    json_decref(conf);

    want_lists = 1;
    ok(spin(listed, 10000), "listed");

    etcd_kill();
    start = cdc_now_ms();
    want_downs = 1;
    i = spin(down, 5000);
    ok(i, "down after %d ms: %s", (int) (cdc_now_ms() - start), w.text);

    want_sync = cdc_etcd_sync(f);
    (void) spin(synced, 1500);
    ok(w.expired && w.downs == 1, "told once; nothing is synced meanwhile");

    etcd_start("a", 0);
    (void) ctl("put m/a/after 1");
    want_ups = 1;
    ok(spin(up, 12000), "up again");
    ok(spin(synced, 5000), "and synced");
    is_str(value_of("m/a/after"), "1", "the watch was resumed");
    is_int(w.lists, 1, "without a new list");

    /* gone, changed and compacted while the connection is down */

    etcd_kill();
    want_downs = 2;
    ok(spin(down, 5000), "down");

    old = port;                          /* where nobody follows it */
    port = free_port();
    etcd_client("");
    etcd_start("a", 0);
    (void) ctl("del m/a/after");
    (void) ctl("put m/a/new 2");
    (void) ctl("put m/z/last 1");
    (void) run("%s compact $(%s get m/z/last -w json | sed 's/.*revision\":"
               "\\([0-9]*\\),\"raft.*/\\1/') > /dev/null 2>&1", client,
               client);
    etcd_kill();
    port = old;
    etcd_client("");
    etcd_start("a", 0);

    lists = w.lists;
    want_lists = lists + 1;
    ok(spin(listed, 15000), "compacted: listed again");
    is_str(value_of("m/a/after"), NULL, "what was deleted is gone");
    is_str(value_of("m/a/new"), "2", "what was changed is there");
    ok(sync_now(f, 5000), "synced");

    (void) kill(etcd_pid, SIGSTOP);
    start = cdc_now_ms();
    want_downs = w.downs + 1;
    i = spin(down, 15000);
    ok(i, "one that hangs is seen after %d ms: %s",
       (int) (cdc_now_ms() - start), w.text);
    (void) kill(etcd_pid, SIGCONT);
    want_ups = w.ups + 1;
    ok(spin(up, 15000), "up again");

    /* data that was restored from a backup: lower revisions */

    etcd_kill();
    etcd_start("b", 0);
    (void) ctl("put m/c/only 1");
    want_lists = w.lists + 1;
    ok(spin(listed, 15000) && sync_now(f, 5000) && w.nkeys == 1,
       "an older state is listed anew");
    is_str(value_of("m/c/only"), "1", "and is all that is known");

    cdc_etcd_close(f);
    (void) spin(NULL, 20);

    etcd_kill();
    etcd_start("a", 0);
}


static void
test_auth(void)
{
    char                err[CDC_REASON_MAX];
    json_t             *conf, *wrong;
    cdc_etcd_follow_t  *f;

    reset();

    (void) ctl("user add root:rootpw");
    (void) ctl("user grant-role root root");
    (void) ctl("role add follower");
    (void) ctl("role grant-permission follower read m/ --prefix");
    (void) ctl("user add cdc:s3cret");
    (void) ctl("user grant-role cdc follower");
    ok(ctl("auth enable") == 0, "authentication is on");
    etcd_client("--user root:rootpw");

    wrong = conf_of("http");
    f = follow(wrong, err);
    want_downs = 1;
    ok(spin(down, 5000) && strstr(w.text, "user name is empty"),
       "without a user: %s", w.text);
    cdc_etcd_close(f);
    (void) spin(NULL, 20);

    reset();
    json_object_set_new(wrong, "user", json_string("cdc"));
    json_object_set_new(wrong, "password", json_string("wrong-pw"));
    f = follow(wrong, err);
    json_decref(wrong);
    want_downs = 1;
    ok(spin(down, 5000) && strstr(w.text, "wrong-pw") == NULL,
       "with a wrong password: %s", w.text);
    cdc_etcd_close(f);
    (void) spin(NULL, 20);

    reset();
    conf = conf_of("http");
    json_object_set_new(conf, "user", json_string("cdc"));
    json_object_set_new(conf, "password", json_string("s3cret"));
    f = follow(conf, err);
    json_decref(conf);

    want_lists = 1;
    ok(spin(listed, 5000), "with the right one");
    (void) ctl("put m/a/auth 1");
    ok(sync_now(f, 5000) && value_of("m/a/auth"), "watched and synced");

    /* a restart forgets all tokens */

    etcd_kill();
    want_downs = 1;
    ok(spin(down, 5000), "down");
    etcd_start("a", 0);
    (void) ctl("put m/a/auth 2");
    ok(sync_now(f, 20000), "a new token was taken");
    is_str(value_of("m/a/auth"), "2", "and the watch goes on");

    /* a token that ends while the watch is up */

    ok(run("echo s3cret | %s user passwd cdc --interactive=false "
           "> /dev/null 2>&1", client) == 0, "the tokens are void");
    (void) ctl("put m/a/auth 3");
    ok(sync_now(f, 15000), "synced after the tokens were made void");
    is_str(value_of("m/a/auth"), "3", "the watch goes on");

    cdc_etcd_close(f);
    (void) spin(NULL, 20);
}


static void
test_tls(void)
{
    char                err[CDC_REASON_MAX], more[1024], path[300];
    json_t             *conf;
    cdc_etcd_follow_t  *f;

    reset();
    etcd_kill();

    if (run("cd %s && exec > /dev/null 2>&1 &&"
            " openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca"
            " -keyout ca.key -out ca.crt && for n in server client; do"
            " openssl req -newkey rsa:2048 -nodes -subj /CN=$n"
            " -keyout $n.key -out $n.csr &&"
            " printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage="
            "serverAuth,clientAuth\\n' > ext &&"
            " openssl x509 -req -in $n.csr -CA ca.crt -CAkey ca.key"
            " -CAcreateserial -days 2 -extfile ext -out $n.crt || exit 1;"
            " done", dir) != 0)
    {
        ok(1, "TLS # SKIP no openssl");
        return;
    }

    (void) snprintf(more, sizeof(more), "--cacert=%s/ca.crt "
                    "--cert=%s/client.crt --key=%s/client.key", dir, dir,
                    dir);
    etcd_client(more);
    etcd_start("tls", 1);
    (void) ctl("put m/a/tls 1");

    conf = conf_of("https");
    (void) snprintf(path, sizeof(path), "%s/ca.crt", dir);
    json_object_set_new(conf, "ca", json_string(path));

    f = follow(conf, err);
    want_downs = 1;
    ok(spin(down, 8000), "without a client certificate: %s", w.text);
    cdc_etcd_close(f);
    (void) spin(NULL, 20);

    reset();
    (void) snprintf(path, sizeof(path), "%s/client.crt", dir);
    json_object_set_new(conf, "cert", json_string(path));
    (void) snprintf(path, sizeof(path), "%s/client.key", dir);
    json_object_set_new(conf, "key", json_string(path));

    f = follow(conf, err);
    ok(sync_now(f, 8000), "with one");
    is_str(value_of("m/a/tls"), "1", "listed by TLS");
    cdc_etcd_close(f);
    (void) spin(NULL, 20);
    json_decref(conf);
}


static int
count(void *arg, const cdc_etcd_kv_t *kv)
{
    ++*(int *) arg;

    return CDC_OK;
}


static void
test_range(void)
{
    int      n, rc;
    char     err[CDC_REASON_MAX];
    json_t  *conf;

    conf = conf_of("http");

    n = 0;
    rc = cdc_etcd_range(conf, "m/a/", 0, 2000, count, &n, err);
    ok(rc == CDC_OK && n >= 2500, "range: %d keys", n);
    n = 0;
    ok(cdc_etcd_range(conf, "m/a/", 7, 2000, count, &n, err) == CDC_OK
       && n == 7, "at most 7");
    json_decref(conf);

    conf = json_pack("{s[s]}", "endpoints", "127.0.0.1:1");
    ok(cdc_etcd_range(conf, "m/", 0, 500, count, &n, err) == CDC_ERROR,
       "no etcd: %s", err);
    json_array_append_new(json_object_get(conf, "endpoints"),
                          json_sprintf("http://127.0.0.1:%d", port));
    n = 0;
    ok(cdc_etcd_range(conf, "m/a/", 7, 2000, count, &n, err) == CDC_OK
       && n == 7, "the second endpoint answers");
    json_decref(conf);
}


/* ---- what is no etcd --- */

static uint8_t  revision_answer[16];
static size_t   revision_len;


static int
revision_of(const char *method, const uint8_t *request, size_t len,
    uint8_t *out, size_t *n)
{
    memcpy(out, revision_answer, revision_len);
    *n = revision_len;

    return 0;
}


static int
revision_none(void *arg, const cdc_etcd_kv_t *kv)
{
    return CDC_OK;
}


/* events are put together by their revisions, and 0 means none */

static void
test_revision(void)
{
    int        rc;
    char       err[CDC_REASON_MAX], url[64];
    json_t    *conf;
    server_t  *server;

    server = server_start(NULL, 0);
    server->answer = revision_of;
    (void) snprintf(url, sizeof(url), "http://127.0.0.1:%d", server->port);
    conf = json_pack("{s:[s]}", "endpoints", url);

    /* a header whose field 3 is 9, then none, then -5 */

    revision_len = 4;
    memcpy(revision_answer, "\x0a\x02\x18\x09", 4);
    rc = cdc_etcd_range(conf, "m/", 1, 5000, revision_none, NULL, err);
    is_int(rc, CDC_OK, "an answer with a revision");

    revision_len = 2;
    memcpy(revision_answer, "\x0a\x00", 2);
    rc = cdc_etcd_range(conf, "m/", 1, 5000, revision_none, NULL, err);
    is_int(rc, CDC_ERROR, "without one it is no answer of etcd's");

    revision_len = 13;
    memcpy(revision_answer, "\x0a\x0b\x18\xfb\xff\xff\xff\xff\xff\xff\xff"
           "\xff\x01", 13);
    rc = cdc_etcd_range(conf, "m/", 1, 5000, revision_none, NULL, err);
    is_int(rc, CDC_ERROR, "nor with one below 1");
    ok(strstr(err, "revision") != NULL, "which is said: %s", err);

    json_decref(conf);
    server_stop(server);
}


int
main(void)
{
    cdc_log_init("", NULL, getenv("TEST_CDC_DEBUG") ? CDC_LOG_DEBUG
                                                    : CDC_LOG_ERR);
    w.loop = cdc_loop_create();
    cdc_grpc_init(w.loop);

    (void) snprintf(dir, sizeof(dir), "%s/cdc-etcd-XXXXXX",
                    getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");

    test_conf();
    test_revision();

    if (mkdtemp(dir) != NULL && run("etcd --version > /dev/null 2>&1") == 0) {
        port = free_port();
        peer = free_port();
        etcd_client("");
        etcd_start("a", 0);

        test_follow();
        test_range();
        test_restart();
        test_auth();
        test_tls();

        etcd_kill();
        (void) run("rm -rf '%s'", dir);

    } else {
        ok(1, "with an etcd # SKIP etcd is not installed");
    }

    reset();
    cdc_grpc_shutdown();
    cdc_loop_destroy(w.loop);

    return done_testing();
}
