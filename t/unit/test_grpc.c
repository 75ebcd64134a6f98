/* connections, calls and streams over gRPC, against servers on loopback */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cdc_grpc.h"
#include "grpc_server.h"
#include "tap.h"


static cdc_loop_t        *loop;
static int                running;

static struct {
    int                   ended;
    int                   rc;
    size_t                len;
    char                  answer[64];
    cdc_grpc_error_t      err;
    pthread_t             thread;
} result;


static cdc_grpc_t *
open_name(const char *address)
{
    cdc_grpc_conf_t    conf;
    cdc_grpc_error_t   err;

    memset(&conf, 0, sizeof(conf));
    conf.address = address;
    conf.connect_timeout_ms = 1000;

    return cdc_grpc_open(&conf, &err);
}


static cdc_grpc_t *
open_plain(int port)
{
    char  address[64];

    (void) snprintf(address, sizeof(address), "127.0.0.1:%d", port);

    return open_name(address);
}


static cdc_chain_t *
chain(const char *text)
{
    cdc_chain_t  *c;

    c = cdc_chain_create();
    (void) cdc_chain_add(c, cdc_span_n(text, strlen(text)));

    return c;
}


static int
call(cdc_grpc_t *g, const char *method, const char *text, unsigned ms,
    char **answer, cdc_grpc_error_t *err)
{
    int           rc;
    size_t        len;
    uint8_t      *data;
    cdc_chain_t  *c;

    c = chain(text);
    memset(err, 0, sizeof(*err));
    *answer = NULL;

    rc = cdc_grpc_call(g, method, c, ms, &data, &len, err);
    cdc_chain_unref(c);

    if (rc == CDC_OK) {
        *answer = strndup((char *) data, len);
        free(data);
    }

    return rc;
}


/* ---- blocking calls ------------------------------------------------ */

static void
test_calls(server_t *s)
{
    int                rc;
    char              *answer;
    size_t             len;
    uint8_t           *data;
    cdc_grpc_t        *g;
    cdc_grpc_error_t   err;
    const char        *header[2] = { "dbname", "db1" };

    g = open_plain(s->port);

    is_int(call(g, "/t/Echo", "hello", 5000, &answer, &err), CDC_OK, "echo");
    is_str(answer, "hello", "echo: the answer");
    free(answer);

    is_int(call(g, "/t/Headers", "x", 5000, &answer, &err), CDC_OK,
           "headers: none given");
    is_str(answer, "||", "headers: none there");
    free(answer);

    cdc_grpc_set_token(g, "tok1");
    rc = cdc_grpc_call_with(g, "/t/Headers", header, NULL, 5000, &data, &len,
                            &err);
    is_int(rc, CDC_OK, "headers: a call without a request");
    is_str((char *) data, "|tok1|db1", "headers: token and one of the call");
    free(data);

    is_int(call(g, "/t/Fail", "x", 5000, &answer, &err), CDC_ERROR, "fail");
    is_int(err.status, 5, "fail: the server's status");
    is_str(err.text, "no such thing", "fail: the server's text");
    is_int(err.unsent, 0, "fail: it was sent");

    is_int(call(g, "/t/Empty", "x", 5000, &answer, &err), CDC_ERROR,
           "no message in the answer is an error");
    is_int(err.status, 13, "no message: INTERNAL");

    is_int(call(g, "/t/Hang", "x", 200, &answer, &err), CDC_ERROR, "hang");
    is_int(err.status, 4, "hang: DEADLINE_EXCEEDED");
    is_int(err.unsent, 0, "hang: it was sent");

    rc = cdc_grpc_call(g, "/t/Echo", NULL, 5000, &data, &len, &err);
    ok(rc == CDC_OK && len == 0 && data != NULL, "an empty message");
    free(data);

    cdc_grpc_close(g);
}


/* ---- no copies ----------------------------------------------------- */

static void
released(void *data)
{
    (void) __atomic_add_fetch((int *) data, 1, __ATOMIC_SEQ_CST);
}


static int
wait_for(int *what, int value, unsigned ms)
{
    while (__atomic_load_n(what, __ATOMIC_SEQ_CST) != value && ms-- > 0) {
        usleep(1000);
    }

    return __atomic_load_n(what, __ATOMIC_SEQ_CST);
}


static void
test_large(server_t *s)
{
    int                rc, gone;
    size_t             i, len, n;
    uint8_t           *big, *data;
    cdc_grpc_t        *g;
    cdc_chain_t       *c;
    cdc_grpc_error_t   err;

    g = open_plain(s->port);
    n = 3000000;
    gone = 0;

    big = malloc(n);
    for (i = 0; i < n; i++) {
        big[i] = (uint8_t) (i * 2654435761u >> 13);
    }

    c = cdc_chain_create();
    (void) cdc_chain_hold(c, released, &gone);
    (void) cdc_chain_add(c, cdc_span_n(big, 1000000));
    (void) cdc_chain_add(c, cdc_span_n(big + 1000000, 10));
    (void) cdc_chain_add(c, cdc_span_n(big + 1000010, n - 1000010));

    rc = cdc_grpc_call(g, "/t/Echo", c, 20000, &data, &len, &err);

    is_int(rc, CDC_OK, "3 MB in three spans");
    ok(rc == CDC_OK && len == n && memcmp(data, big, n) == 0,
       "3 MB came back as they were");
    is_int(gone, 0, "the caller's reference holds the bytes");

    free(data);
    cdc_chain_unref(c);

    is_int(wait_for(&gone, 1, 2000), 1, "gRPC gave its references back");

    cdc_grpc_close(g);
    free(big);
}


/* ---- asynchronous calls -------------------------------------------- */

static void
on_done(void *arg, int rc, cdc_span_t answer, const cdc_grpc_error_t *err)
{
    result.ended++;
    result.rc = rc;
    result.err = *err;
    result.len = answer.len;
    result.thread = pthread_self();

    (void) snprintf(result.answer, sizeof(result.answer), "%.*s",
                    (int) answer.len,
                    answer.len ? (const char *) answer.data : "");

    if (running) {
        cdc_loop_stop(loop);
    }
}


static void
run(void)
{
    running = 1;
    (void) cdc_loop_run(loop);
    running = 0;
}


static void
send_text(cdc_grpc_t *g, const char *method, const char *text, unsigned ms)
{
    cdc_chain_t  *c;

    memset(&result, 0, sizeof(result));

    c = chain(text);
    is_int(cdc_grpc_send(g, method, c, ms, on_done, NULL), CDC_OK, "send");
    cdc_chain_unref(c);
}


static void
timer_stop(cdc_timer_t *tm)
{
    (void) tm;
    cdc_loop_stop(loop);
}


static void
run_for(uint64_t ms)
{
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(tm));
    tm.handler = timer_stop;
    cdc_timer_add(loop, &tm, ms);
    run();
    cdc_timer_del(loop, &tm);
}


static void
test_async(server_t *s)
{
    int          before;
    cdc_grpc_t  *g, *other;

    g = open_plain(s->port);
    other = open_plain(s->port);

    send_text(g, "/t/Echo", "later", 0);
    is_int(result.ended, 0, "async: done() never runs inside send()");
    run();

    is_int(result.rc, CDC_OK, "async: ok");
    is_str(result.answer, "later", "async: the answer");
    ok(pthread_equal(result.thread, pthread_self()),
       "async: done() runs on the main thread");

    send_text(g, "/t/Fail", "x", 0);
    run();
    is_int(result.err.status, 5, "async: a failure's status");

    send_text(g, "/t/Hang", "x", 100);
    run();
    is_int(result.err.status, 4, "async: a deadline");

    before = wait_for(&s->cancelled, s->hanging, 3000);

    send_text(g, "/t/Hang", "x", 0);
    run_for(200);
    is_int(result.ended, 0, "async: no deadline of its own");

    cdc_grpc_close(g);
    is_int(result.ended, 1, "close: done() has run when it returns");
    is_int(result.err.status, 1, "close: CANCELLED");
    is_int(result.err.unsent, 0, "close: it had been sent");
    is_int(wait_for(&s->cancelled, before + 1, 3000), before + 1,
           "close: the server saw it");

    send_text(other, "/t/Echo", "alive", 0);
    run();
    is_str(result.answer, "alive", "close: another connection lives on");

    /* ended, posted, not delivered: close() delivers, the post frees */

    send_text(other, "/t/Echo", "posted", 0);
    usleep(300000);
    cdc_grpc_close(other);
    is_int(result.ended, 1, "close: delivers what was posted");
    is_str(result.answer, "posted", "close: with its true result");
    run_for(50);
    is_int(result.ended, 1, "close: and does so once");
}


/* answers are gathered: none comes at once */

static void
test_idle(server_t *s)
{
    unsigned     i;
    uint64_t     start, took, least;
    cdc_grpc_t  *g;

    cdc_grpc_idle(1);

    g = open_plain(s->port);
    least = UINT64_MAX;

    for (i = 0; i < 8; i++) {
        start = cdc_now_ms();
        send_text(g, "/t/Echo", "no hurry", 0);
        run();
        took = cdc_now_ms() - start;
        least = took < least ? took : least;
        is_str(result.answer, "no hurry", "idle: the answer");
    }

    ok(least >= 3, "idle: after %d ms at least", (int) least);
    cdc_grpc_close(g);

    cdc_grpc_idle(0);
}


static void *
hang_thread(void *data)
{
    char              *answer;
    cdc_grpc_error_t   err;

    (void) call(data, "/t/Hang", "x", 0, &answer, &err);

    return (void *) (intptr_t) err.status;
}


static void
test_close_blocking(server_t *s)
{
    int          before;
    void        *status;
    pthread_t    thread;
    cdc_grpc_t  *g;

    g = open_plain(s->port);
    before = s->hanging;

    (void) pthread_create(&thread, NULL, hang_thread, g);
    is_int(wait_for(&s->hanging, before + 1, 3000), before + 1,
           "a blocking call hangs");

    cdc_grpc_close(g);
    (void) pthread_join(thread, &status);
    is_int((intptr_t) status, 1, "close: ends a blocking call");
}


/* ---- connections that fail ----------------------------------------- */

static int
listen_any(int *port)
{
    int                  fd;
    socklen_t            len;
    struct sockaddr_in   sin;

    fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(sin);

    (void) bind(fd, (struct sockaddr *) &sin, len);
    (void) listen(fd, 5);
    (void) getsockname(fd, (struct sockaddr *) &sin, &len);
    *port = ntohs(sin.sin_port);

    return fd;
}


/* greets as HTTP/2 does, reads until the request is there, breaks off */

static void *
break_thread(void *data)
{
    int      fd, listener;
    char     buf[4096];
    ssize_t  n;
    size_t   total;

    static const uint8_t  settings[9] = { 0, 0, 0, 4, 0, 0, 0, 0, 0 };

    listener = (int) (intptr_t) data;
    fd = accept(listener, NULL, NULL);
    total = (size_t) write(fd, settings, sizeof(settings));

    while (memmem(buf, total < sizeof(buf) ? total : sizeof(buf), "mark", 4)
           == NULL)
    {
        n = read(fd, buf, sizeof(buf));
        if (n <= 0) {
            break;
        }

        total = (size_t) n;
    }

    (void) close(fd);
    (void) close(listener);

    return NULL;
}


static void
test_broken(void)
{
    int                fd, port, rc;
    char              *answer;
    pthread_t          thread;
    cdc_grpc_t        *g;
    cdc_grpc_error_t   err;

    fd = listen_any(&port);
    (void) close(fd);

    g = open_plain(port);
    is_int(call(g, "/t/Echo", "x", 5000, &answer, &err), CDC_ERROR,
           "nobody listens");
    is_int(err.status, 14, "nobody listens: UNAVAILABLE");
    is_int(err.unsent, 1, "nobody listens: unsent");
    ok(strstr(err.text, "refused") != NULL, "nobody listens: %s", err.text);

    send_text(g, "/t/Echo", "x", 0);
    run();
    is_int(result.err.unsent, 1, "nobody listens: async, unsent");
    cdc_grpc_close(g);

    /* the kernel accepts, nobody answers: not a connection for gRPC */

    fd = listen_any(&port);
    g = open_plain(port);
    rc = call(g, "/t/Echo", "x", 0, &answer, &err);
    is_int(rc, CDC_ERROR, "silent: fails without a deadline");
    is_int(err.unsent, 1, "silent: unsent");
    cdc_grpc_close(g);
    g = open_plain(port);
    is_int(call(g, "/t/Echo", "x", 100, &answer, &err), CDC_ERROR,
           "silent: with a deadline");
    is_int(err.unsent, 0, "silent: a deadline proves nothing");
    cdc_grpc_close(g);
    (void) close(fd);

    g = open_name("nosuch.invalid:1");
    is_int(call(g, "/t/Echo", "x", 20000, &answer, &err), CDC_ERROR,
           "no such host");
    is_int(err.unsent, 1, "no such host: unsent");
    printf("# %s\n", err.text);
    cdc_grpc_close(g);

    fd = listen_any(&port);
    (void) pthread_create(&thread, NULL, break_thread,
                          (void *) (intptr_t) fd);
    g = open_plain(port);
    is_int(call(g, "/t/Echo", "mark", 5000, &answer, &err), CDC_ERROR,
           "broken off");
    is_int(err.status, 14, "broken off: UNAVAILABLE");
    is_int(err.unsent, 0, "broken off: in doubt");
    (void) pthread_join(thread, NULL);
    cdc_grpc_close(g);
}


static void
test_restart(server_t *s)
{
    int                i, port, rc;
    char              *answer;
    cdc_grpc_t        *g;
    cdc_grpc_error_t   err;

    port = s->port;
    g = open_plain(port);

    is_int(call(g, "/t/Echo", "one", 5000, &answer, &err), CDC_OK,
           "restart: before");
    free(answer);

    server_stop(s);

    /* the first one may still be given to the connection that is ending */

    for (i = 0; i < 20; i++) {
        rc = call(g, "/t/Echo", "two", 2000, &answer, &err);

        if (rc == CDC_OK || err.unsent) {
            break;
        }
    }

    is_int(rc, CDC_ERROR, "restart: meanwhile");
    is_int(err.unsent, 1, "restart: meanwhile, unsent");

    s = server_start(NULL, port);
    rc = CDC_ERROR;

    for (i = 0; i < 50 && rc != CDC_OK; i++) {
        usleep(100000);
        rc = call(g, "/t/Echo", "three", 2000, &answer, &err);
    }

    is_int(rc, CDC_OK, "restart: afterwards, within 5 s");
    free(answer);

    cdc_grpc_close(g);
    server_stop(s);
}


/* ---- keepalive ----------------------------------------------------- */

/* a server process that is stopped: the kernel still takes what is sent */

static void
test_keepalive(void)
{
    int                fds[2], port, rc;
    char               address[64], *answer;
    pid_t              pid;
    uint64_t           start;
    cdc_grpc_t        *g;
    cdc_grpc_conf_t    conf;
    cdc_grpc_error_t   err;

    if (pipe(fds) != 0) {
        return;
    }

    pid = fork();

    if (pid == 0) {
        (void) execl("/proc/self/exe", "test_grpc", "--serve",
                     fds[1] == 9 ? "9" : (dup2(fds[1], 9), "9"), NULL);
        _exit(1);
    }

    (void) close(fds[1]);
    port = 0;
    ok(read(fds[0], &port, sizeof(port)) == sizeof(port) && port != 0,
       "keepalive: a server of its own");
    (void) close(fds[0]);

    memset(&conf, 0, sizeof(conf));
    (void) snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    conf.address = address;
    conf.keepalive_ms = 500;
    g = cdc_grpc_open(&conf, &err);

    is_int(call(g, "/t/Echo", "x", 5000, &answer, &err), CDC_OK,
           "keepalive: alive");
    free(answer);

    (void) kill(pid, SIGSTOP);
    start = cdc_now_ms();
    rc = call(g, "/t/Echo", "x", 0, &answer, &err);
    is_int(rc, CDC_ERROR, "keepalive: a dead server is found");
    is_int(err.unsent, 0, "keepalive: in doubt");
    ok(cdc_now_ms() - start < 5000, "keepalive: after %d ms: %s",
       (int) (cdc_now_ms() - start), err.text);

    cdc_grpc_close(g);
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
}


static int
serve(const char *fd)
{
    server_t  *s;

    grpc_init();
    s = server_start(NULL, 0);
    (void) !write(atoi(fd), &s->port, sizeof(s->port));
    (void) close(atoi(fd));
    (void) sleep(60);

    return 0;
}


/* ---- streams ------------------------------------------------------- */

static void *
cancel_thread(void *data)
{
    usleep(200000);
    cdc_grpc_stream_cancel(data);

    return NULL;
}


static void
test_stream(server_t *s)
{
    size_t               len;
    uint8_t             *data;
    pthread_t            thread;
    cdc_grpc_t          *g;
    cdc_grpc_error_t     err;
    cdc_grpc_stream_t   *st;

    g = open_plain(s->port);
    data = NULL;
    len = 0;
    st = cdc_grpc_stream_open(g, "/t/Stream", &err);

    is_int(cdc_grpc_stream_read(st, 50, &data, &len, &err), CDC_AGAIN,
           "stream: nothing yet");
    is_int(cdc_grpc_stream_write(st, cdc_span("one"), &err), CDC_OK,
           "stream: write");
    is_int(cdc_grpc_stream_read(st, 20000, &data, &len, &err), CDC_OK,
           "stream: read after a timeout");
    ok(len == 3 && memcmp(data, "one", 3) == 0, "stream: the message");
    free(data);

    is_int(cdc_grpc_stream_write(st, cdc_span("two"), &err), CDC_OK, "two");
    is_int(cdc_grpc_stream_write(st, cdc_span(""), &err), CDC_OK, "empty");
    is_int(cdc_grpc_stream_read(st, 20000, &data, &len, &err), CDC_OK, "two");
    ok(len == 3 && memcmp(data, "two", 3) == 0, "stream: in order");
    free(data);
    is_int(cdc_grpc_stream_read(st, 20000, &data, &len, &err), CDC_OK,
           "stream: an empty message");
    is_int((int64_t) len, 0, "stream: is empty");
    free(data);

    is_int(cdc_grpc_stream_write(st, cdc_span("bye"), &err), CDC_OK, "bye");
    is_int(cdc_grpc_stream_read(st, 20000, &data, &len, &err), CDC_ERROR,
           "stream: its end");
    is_int(err.status, 0, "stream: in order");
    is_int(cdc_grpc_stream_write(st, cdc_span("x"), &err), CDC_ERROR,
           "stream: no write after the end");
    is_int(cdc_grpc_stream_read(st, 100, &data, &len, &err), CDC_ERROR,
           "stream: no read after the end");
    cdc_grpc_stream_close(st);

    st = cdc_grpc_stream_open(g, "/t/Stream", &err);
    is_int(cdc_grpc_stream_write(st, cdc_span("x"), &err), CDC_OK, "again");
    is_int(cdc_grpc_stream_read(st, 20000, &data, &len, &err), CDC_OK, "read");
    free(data);
    (void) pthread_create(&thread, NULL, cancel_thread, st);
    is_int(cdc_grpc_stream_read(st, 10000, &data, &len, &err), CDC_ERROR,
           "stream: cancelled by another thread");
    is_int(err.status, 1, "stream: CANCELLED");
    (void) pthread_join(thread, NULL);
    cdc_grpc_stream_close(st);

    st = cdc_grpc_stream_open(g, "/t/Stream", &err);
    (void) cdc_grpc_stream_read(st, 10, &data, &len, &err);
    cdc_grpc_stream_close(st);
    ok(1, "stream: closed with a read under way");

    cdc_grpc_close(g);
}


/* ---- TLS ----------------------------------------------------------- */

static char *
slurp(const char *dir, const char *name)
{
    char    path[256], *text;
    FILE   *f;
    size_t  n;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "re");
    text = calloc(1, 65536);
    n = f != NULL ? fread(text, 1, 65535, f) : 0;
    text[n] = '\0';

    if (f != NULL) {
        (void) fclose(f);
    }

    return text;
}


#define REQUIRE_CLIENT  \
    GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY


static server_t *
tls_server(const char *dir, int mutual)
{
    char                        *ca, *cert, *key;
    server_t                    *s;
    grpc_ssl_pem_key_cert_pair   pair;

    ca = slurp(dir, "ca.pem");
    cert = slurp(dir, mutual ? "server.pem" : "self.pem");
    key = slurp(dir, mutual ? "server.key" : "self.key");
    pair.cert_chain = cert;
    pair.private_key = key;

    s = server_start(grpc_ssl_server_credentials_create_ex(
                         mutual ? ca : NULL, &pair, 1,
                         mutual ? REQUIRE_CLIENT
                                : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
                         NULL), 0);
    free(ca);
    free(cert);
    free(key);

    return s;
}


static int
tls_call(int port, const char *dir, const char *ca, const char *name,
    const char *cert, cdc_grpc_error_t *err)
{
    int               rc;
    char              address[64], paths[3][256], *answer;
    cdc_grpc_t       *g;
    cdc_grpc_conf_t   conf;

    memset(&conf, 0, sizeof(conf));
    (void) snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    (void) snprintf(paths[0], sizeof(paths[0]), "%s/%s.pem", dir, ca);
    (void) snprintf(paths[1], sizeof(paths[1]), "%s/%s.pem", dir,
                    cert ? cert : "");
    (void) snprintf(paths[2], sizeof(paths[2]), "%s/%s.key", dir,
                    cert ? cert : "");

    conf.address = address;
    conf.tls = 1;
    conf.ca_path = paths[0];
    conf.server_name = name;
    conf.cert_path = cert ? paths[1] : NULL;
    conf.key_path = cert ? paths[2] : NULL;
    conf.authorization = "c2VjcmV0";
    conf.connect_timeout_ms = 3000;

    g = cdc_grpc_open(&conf, err);
    if (g == NULL) {
        return CDC_DECLINED;
    }

    rc = call(g, "/t/Headers", "x", 5000, &answer, err);

    if (rc == CDC_OK && strcmp(answer, "c2VjcmV0||") != 0) {
        rc = CDC_DONE;
    }

    free(answer);
    cdc_grpc_close(g);

    return rc;
}


static const char  tls_make[] =
    "cd %s && exec > log 2>&1 && R='openssl req -newkey rsa:2048 -nodes' && "
    "$R -x509 -keyout self.key -out self.pem -days 2 -subj /CN=me.test "
    "-addext subjectAltName=DNS:me.test && "
    "$R -x509 -keyout ca.key -out ca.pem -days 2 -subj /CN=ca && "
    "for n in server client; do $R -keyout $n.key -out $n.csr "
    "-subj /CN=$n.test && printf subjectAltName=DNS:$n.test,IP:127.0.0.1 > x "
    "&& openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key "
    "-CAcreateserial -days 2 -extfile x -out $n.pem || exit 1; done";


static void
test_tls(void)
{
    char               dir[] = "/tmp/test_grpc.XXXXXX", text[2048];
    server_t          *s;
    cdc_grpc_error_t   err;

    if (mkdtemp(dir) == NULL) {
        return;
    }

    (void) snprintf(text, sizeof(text), tls_make, dir);
    is_int(system(text), 0, "tls: certificates made");

    s = tls_server(dir, 0);
    is_int(tls_call(s->port, dir, "self", "me.test", NULL, &err), CDC_OK,
           "tls: the server's own certificate as the root");
    is_int(tls_call(s->port, dir, "self", NULL, NULL, &err), CDC_ERROR,
           "tls: another name in the certificate");
    is_int(err.unsent, 1, "tls: another name, unsent");
    printf("# %s\n", err.text);
    is_int(tls_call(s->port, dir, "ca", "me.test", NULL, &err), CDC_ERROR,
           "tls: another root");
    printf("# %s\n", err.text);
    is_int(tls_call(s->port, dir, "none", "me.test", NULL, &err),
           CDC_DECLINED, "tls: no such file");
    ok(strstr(err.text, "none.pem") != NULL, "tls: %s", err.text);
    is_int(tls_call(s->port, dir, "self", "me.test", "log", &err),
           CDC_DECLINED, "tls: no such key");
    server_stop(s);

    s = tls_server(dir, 1);
    is_int(tls_call(s->port, dir, "ca", NULL, "client", &err), CDC_OK,
           "tls: both sides, address in the certificate");
    is_int(tls_call(s->port, dir, "server", "server.test", "client", &err),
           CDC_OK, "tls: a leaf that is not self-signed as the root");
    is_int(tls_call(s->port, dir, "ca", NULL, NULL, &err), CDC_ERROR,
           "tls: no client certificate");
    printf("# %s\n", err.text);
    server_stop(s);

    (void) snprintf(text, sizeof(text), "rm -r %s", dir);
    (void) !system(text);
}


int
main(int argc, char **argv)
{
    server_t  *s;

    if (argc == 3) {
        return serve(argv[2]);
    }

    cdc_log_init("", NULL, CDC_LOG_NOTICE);

    grpc_init();
    s = server_start(NULL, 0);

    /* the store has no loop for it, and follows etcd all the same */

    cdc_grpc_init(NULL);
    test_stream(s);
    cdc_grpc_shutdown();

    loop = cdc_loop_create();
    cdc_grpc_init(loop);

    test_keepalive();

    test_calls(s);
    test_large(s);
    test_async(s);
    test_idle(s);
    test_close_blocking(s);
    test_stream(s);
    test_broken();
    test_restart(s);
    test_tls();

    cdc_grpc_shutdown();
    cdc_loop_destroy(loop);

    return done_testing();
}
