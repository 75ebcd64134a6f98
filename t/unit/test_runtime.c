/* the helper's runtime: loop, timers, posts, workers, frames, log */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc_runtime.h"
#include "cdc_text.h"
#include "tap.h"


static cdc_loop_t  *loop;
static char         trace[4096];
static int          count;


static void
note(const char *s)
{
    (void) strncat(trace, s, sizeof(trace) - strlen(trace) - 1);
}


/* ---- timers --- */

static void
timer_note(cdc_timer_t *tm)
{
    note(tm->data);
}


static void
timer_stop(cdc_timer_t *tm)
{
    (void) tm;
    cdc_loop_stop(loop);
}


static void
timer_again(cdc_timer_t *tm)
{
    if (++count < 1000) {
        cdc_timer_add(loop, tm, 0);
    }
}


static void
run_for(uint64_t ms)
{
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(tm));
    tm.handler = timer_stop;
    cdc_timer_add(loop, &tm, ms);
    (void) cdc_loop_run(loop);
    cdc_timer_del(loop, &tm);
}


static void
test_timers(void)
{
    int           i, sorted;
    uint64_t      start, t;
    cdc_timer_t   tm[4], many[500];
    static char  *names[] = { "a", "b", "c", "d" };

    memset(tm, 0, sizeof(tm));
    trace[0] = '\0';

    for (i = 0; i < 4; i++) {
        tm[i].handler = timer_note;
        tm[i].data = names[i];
    }

    cdc_timer_add(loop, &tm[0], 30);
    cdc_timer_add(loop, &tm[1], 10);
    cdc_timer_add(loop, &tm[2], 20);
    cdc_timer_add(loop, &tm[3], 15);
    cdc_timer_del(loop, &tm[3]);
    cdc_timer_del(loop, &tm[3]);
    cdc_timer_add(loop, &tm[1], 40);

    start = cdc_now_ms();
    run_for(60);
    t = cdc_now_ms() - start;

    is_str(trace, "cab", "timers fire in order; deleted and moved ones too");
    ok(t >= 60 && t < 1000, "the loop waits for timers (%d ms)", (int) t);

    memset(many, 0, sizeof(many));
    srand(1);

    for (i = 0; i < 500; i++) {
        many[i].handler = timer_note;
        many[i].data = "";
        cdc_timer_add(loop, &many[i], 1000 + rand() % 5000);
    }

    for (i = 0; i < 500; i += 3) {
        cdc_timer_del(loop, &many[i]);
    }

    for (i = 0, sorted = 1; i < 500; i++) {
        sorted &= i % 3 == 0 ? many[i].slot == 0 : many[i].slot != 0;
    }

    ok(sorted, "the heap knows which timers are armed");

    for (i = 0; i < 500; i++) {
        cdc_timer_del(loop, &many[i]);
    }

    count = 0;
    memset(tm, 0, sizeof(tm));
    tm[0].handler = timer_again;
    cdc_timer_add(loop, &tm[0], 0);
    run_for(50);
    is_int(count, 1000, "a timer may arm itself again with 0 ms");
}


/* ---- events --- */

static cdc_event_t  *victim;


static void
event_kill(cdc_event_t *ev, unsigned events)
{
    char  c;

    (void) events;

    count++;
    (void) !read(ev->fd, &c, 1);
    cdc_event_del(loop, victim);
}


static void
test_events(void)
{
    int          p[2][2];
    cdc_event_t  ev[2];

    memset(ev, 0, sizeof(ev));
    count = 0;

    if (pipe(p[0]) == -1 || pipe(p[1]) == -1) {
        ok(0, "pipe()");
        return;
    }

    /* both are ready in one batch, and whoever comes first ends the other */

    ev[0].fd = p[0][0];
    ev[1].fd = p[1][0];
    ev[0].handler = ev[1].handler = event_kill;
    (void) !write(p[0][1], "x", 1);
    (void) !write(p[1][1], "x", 1);
    (void) cdc_event_add(loop, &ev[0], EPOLLIN);
    (void) cdc_event_add(loop, &ev[1], EPOLLIN);
    victim = &ev[1];
    run_for(20);
    is_int(count, 1, "an event deleted within the batch is not called");

    cdc_event_del(loop, &ev[0]);

    close(p[0][0]);
    close(p[0][1]);
    close(p[1][0]);
    close(p[1][1]);
}


/* ---- posts --- */

#define THREADS  4
#define POSTS    5000

typedef struct {
    cdc_post_t   post;
    int          thread, n;
} numbered_t;

static int          last_seen[THREADS], disorder;
static numbered_t  *numbered;


static void
post_numbered(cdc_post_t *post)
{
    numbered_t  *p = post->data;

    disorder += p->n != last_seen[p->thread] + 1;
    last_seen[p->thread] = p->n;
    count++;
}


static void *
post_thread(void *data)
{
    int          i, thread = *(int *) data;
    numbered_t  *p;

    for (i = 0; i < POSTS; i++) {
        p = &numbered[thread * POSTS + i];
        p->post.handler = post_numbered;
        p->post.data = p;
        p->thread = thread;
        p->n = i + 1;
        cdc_loop_post(loop, &p->post);
    }

    return NULL;
}


static void
post_count(cdc_post_t *post)
{
    (void) post;
    count++;
}


static void
post_defer(cdc_post_t *post)
{
    if (++count < 5) {
        cdc_loop_defer(loop, post);
    }
}


static void
test_posts(void)
{
    int         i, ids[THREADS];
    cdc_post_t  post, other;
    pthread_t   threads[THREADS];

    count = 0;
    numbered = calloc(THREADS * POSTS, sizeof(numbered_t));

    for (i = 0; i < THREADS; i++) {
        ids[i] = i;
        (void) pthread_create(&threads[i], NULL, post_thread, &ids[i]);
    }

    for (i = 0; i < 100 && count < THREADS * POSTS; i++) {
        run_for(20);
    }

    for (i = 0; i < THREADS; i++) {
        (void) pthread_join(threads[i], NULL);
    }

    run_for(1);
    is_int(count, THREADS * POSTS, "every post of four threads arrives");
    is_int(disorder, 0, "posts of one thread stay in order");
    free(numbered);

    count = 0;
    memset(&post, 0, sizeof(post));
    memset(&other, 0, sizeof(other));
    post.handler = other.handler = post_count;

    cdc_loop_defer(loop, &post);
    cdc_loop_defer(loop, &post);
    cdc_loop_post(loop, &other);
    cdc_loop_post(loop, &other);
    run_for(5);
    is_int(count, 2, "a queued post and a deferred one run once each");

    count = 0;
    cdc_loop_defer(loop, &post);
    cdc_loop_post(loop, &other);
    cdc_loop_cancel(loop, &post);
    cdc_loop_cancel(loop, &other);
    run_for(5);
    is_int(count, 0, "cancelled posts do not run");

    post.handler = post_defer;
    cdc_loop_defer(loop, &post);
    run_for(20);
    is_int(count, 5, "a deferred post may defer itself again");
}


/* ---- workers --- */

static int  ran, done;


static void
job_run(cdc_job_t *job)
{
    __atomic_fetch_add(&ran, 1, __ATOMIC_SEQ_CST);
    *(int *) job->data += 1;
    usleep(1000);
}


static void
job_done(cdc_job_t *job)
{
    done++;
    *(int *) job->data += 10;
}


static void
job_last(cdc_job_t *job)
{
    done++;
    cdc_worker_destroy(job->worker);
}


static void
test_workers(void)
{
    int            i, sum, values[20];
    cdc_job_t      jobs[20];
    cdc_worker_t  *worker;

    memset(jobs, 0, sizeof(jobs));
    memset(values, 0, sizeof(values));

    worker = cdc_worker_create(loop, "unit-test-worker-long-name");
    ok(worker != NULL, "a worker starts");

    for (i = 0; i < 10; i++) {
        jobs[i].run = job_run;
        jobs[i].done = job_done;
        jobs[i].data = &values[i];
        cdc_worker_submit(worker, &jobs[i]);
    }

    for (i = 0; i < 100 && done < 10; i++) {
        run_for(10);
    }

    for (i = 0, sum = 0; i < 10; i++) {
        sum += values[i];
    }

    is_int(sum, 110, "each job ran once and was done once");

    ran = done = 0;

    for (i = 0; i < 20; i++) {
        jobs[i].run = job_run;
        jobs[i].done = job_done;
        jobs[i].data = &values[i];
        cdc_worker_submit(worker, &jobs[i]);
    }

    usleep(3000);
    cdc_worker_destroy(worker);
    run_for(20);
    ok(ran > 0 && ran < 20, "destroy() drops the rest (%d ran)", ran);
    is_int(done, 0, "no done() after destroy()");

    done = 0;
    worker = cdc_worker_create(loop, "own");
    jobs[0].done = job_last;
    cdc_worker_submit(worker, &jobs[0]);

    for (i = 0; i < 100 && done < 1; i++) {
        run_for(10);
    }

    is_int(done, 1, "done() may destroy its own worker");
}


/* ---- frames --- */

typedef struct {
    cdc_conn_t   c;
    int          frames, closed, bad;
    size_t       bytes;
    uint64_t     last_id;
} end_t;


static void
end_frame(cdc_conn_t *c, const cdc_frame_t *f, const uint8_t *payload)
{
    end_t     *e = c->data;
    uint32_t   i;

    e->frames++;
    e->bytes += f->len;
    e->bad += f->id != e->last_id + 1 || f->type != f->id % 7
              || f->status != 9;
    e->last_id = f->id;

    for (i = 0; i < f->len; i++) {
        e->bad += payload[i] != (uint8_t) (f->id + i);
    }
}


static void
end_closed(cdc_conn_t *c)
{
    ((end_t *) c->data)->closed++;
}


static void
end_frame_close(cdc_conn_t *c, const cdc_frame_t *f, const uint8_t *payload)
{
    (void) f;
    (void) payload;

    ((end_t *) c->data)->frames++;
    cdc_conn_close(c);
}


static void
pair(end_t *a, end_t *b)
{
    int  fd[2];

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0, fd) == -1) {
        abort();
    }

    memset(a, 0, sizeof(end_t));
    memset(b, 0, sizeof(end_t));

    a->c.handler = b->c.handler = end_frame;
    a->c.closed = b->c.closed = end_closed;
    a->c.data = a;
    b->c.data = b;

    if (cdc_conn_open(&a->c, loop, fd[0]) != CDC_OK
        || cdc_conn_open(&b->c, loop, fd[1]) != CDC_OK)
    {
        abort();
    }
}


static void
test_frames(void)
{
    int           i;
    end_t         a, b;
    size_t        total;
    uint8_t      *big;
    uint32_t      k;
    static int    sizes[] = { 0, 1, 17, 4096, 100000, CDC_FRAME_MAX, 3, 0 };

    pair(&a, &b);
    big = malloc(CDC_FRAME_MAX + 1);
    total = 0;

    for (i = 0; i < 8; i++) {
        for (k = 0; k < (uint32_t) sizes[i]; k++) {
            big[k] = (uint8_t) (i + 1 + k);
        }

        is_int(cdc_conn_send(&a.c, (i + 1) % 7, 9, i + 1, big, sizes[i]),
               CDC_OK, "send");
        total += sizes[i];
    }

    is_int(cdc_conn_send(&a.c, 1, 9, 1, big, CDC_FRAME_MAX + 1), CDC_ERROR,
           "a frame above the limit is refused");

    for (i = 0; i < 100 && b.frames < 8; i++) {
        run_for(5);
    }

    is_int(b.frames, 8, "every frame arrives");
    is_int(b.bytes, total, "with all bytes");
    is_int(b.bad, 0, "in order, and as they were sent");

    cdc_conn_close(&a.c);
    run_for(10);
    is_int(b.closed, 1, "closed() once at the end of file");
    is_int(a.closed, 0, "not for one's own close()");
    is_int(cdc_conn_send(&b.c, 1, 0, 1, "x", 1), CDC_ERROR,
           "no sending once closed");
    free(big);
}


static void
test_broken_frames(void)
{
    int           i;
    end_t         a, b;
    size_t        n;
    uint8_t      *big;
    cdc_frame_t   f;

    /* byte by byte */

    pair(&a, &b);
    f.len = 3;
    f.type = 1;
    f.status = 9;
    f.id = 1;

    for (n = 0; n < sizeof(f); n++) {
        (void) !write(a.c.event.fd, (char *) &f + n, 1);
        run_for(1);
    }

    is_int(b.frames, 0, "half a frame is no frame");
    (void) !write(a.c.event.fd, "\1\2\3", 3);
    run_for(5);
    is_int(b.frames, 1, "a frame in single bytes");
    is_int(b.bad, 0, "with its payload");

    f.len = CDC_FRAME_MAX + 1;
    (void) !write(a.c.event.fd, &f, sizeof(f));
    run_for(5);
    is_int(b.closed, 1, "a length above the limit ends the connection");
    run_for(5);
    is_int(a.closed, 1, "and the peer sees it");

    /* closing in the handler, with more frames behind */

    pair(&a, &b);
    b.c.handler = end_frame_close;
    (void) cdc_conn_send(&a.c, 1, 0, 1, "x", 1);
    (void) cdc_conn_send(&a.c, 1, 0, 2, "x", 1);
    run_for(5);
    is_int(b.frames, 1, "close() within the handler ends it");
    is_int(b.closed, 0, "without closed()");

    /* the peer may not have seen that yet: open, it would be told of in the
     * place of the next one */

    cdc_conn_close(&a.c);

    /* a peer that is gone: send() fails, closed() comes from the loop */

    pair(&a, &b);
    (void) close(b.c.event.fd);
    b.c.event.active = 0;
    b.c.event.fd = -1;
    (void) cdc_conn_send(&a.c, 1, 0, 1, "x", 1);
    is_int(a.closed, 0, "send() does not call closed()");
    run_for(5);
    is_int(a.closed, 1, "the loop does");

    /* flush against a reader that does not read */

    big = calloc(1, CDC_FRAME_MAX);
    pair(&a, &b);

    for (i = 0; i < 4; i++) {
        (void) cdc_conn_send(&a.c, 1, 0, 1, big, CDC_FRAME_MAX);
    }

    is_int(cdc_conn_flush(&a.c, 20), CDC_AGAIN, "flush() has a limit");
    ok(a.c.out_len > 0, "and keeps the rest");
    cdc_conn_close(&a.c);
    cdc_conn_close(&b.c);

    free(big);
}


/* ---- log --- */

static void
test_log(void)
{
    int       fd, saved[2];
    char      path[] = "/tmp/cdc-unit-XXXXXX", moved[64], text[16384];
    char      huge[6000];
    ssize_t   n;

    fd = mkstemp(path);
    saved[0] = dup(STDOUT_FILENO);
    saved[1] = dup(STDERR_FILENO);

    cdc_log_init("task1", path, CDC_LOG_INFO);
    cdc_log_reopen();

    cdc_log(CDC_LOG_WARN, ENOENT, "open \"%s\" failed", "x\ny");
    cdc_log(CDC_LOG_DEBUG, 0, "not shown");
    memset(huge, 'h', sizeof(huge));
    huge[sizeof(huge) - 1] = '\0';
    cdc_log(CDC_LOG_ERR, ENOENT, "%s", huge);

    (void) snprintf(moved, sizeof(moved), "%s.1", path);
    (void) rename(path, moved);
    cdc_log_reopen();
    cdc_log(CDC_LOG_NOTICE, 0, "after");

    (void) dup2(saved[0], STDOUT_FILENO);
    (void) dup2(saved[1], STDERR_FILENO);
    close(saved[0]);
    close(saved[1]);

    n = read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fd);

    ok(strstr(text, "[warn]") && strstr(text, "milvus_cdc: task1: open \"x y\""
              " failed (2: No such file or directory)\n"),
       "a line like nginx's, which no text can forge");
    ok(strstr(text, "not shown") == NULL, "the level holds");
    ok(n > 4096 && text[n - 1] == '\n' && strlen(strchr(text, '\n') + 1)
           <= 4096, "a long line is cut and ended");
    ok(strstr(text, "after") == NULL, "the renamed file gets no more");

    fd = open(path, O_RDONLY);
    n = fd != -1 ? read(fd, text, sizeof(text) - 1) : 0;
    text[n > 0 ? n : 0] = '\0';
    ok(strstr(text, "after\n") != NULL, "the new one does");
    close(fd);

    (void) unlink(path);
    (void) unlink(moved);
    cdc_log_init("", NULL, CDC_LOG_NOTICE);
}


static void
test_text(void)
{
    json_t  *json;
    char     cut[] = "caf\xc3\xa9 \xc3", whole[] = "caf\xc3\xa9";

    json = cdc_text_json(whole);
    is_str(json_string_value(json), whole, "UTF-8 stays");
    json_decref(json);

    json = cdc_text_json(cut);
    is_str(json_string_value(json), "caf?? ?", "what was cut within a "
           "character becomes text all the same");
    json_decref(json);

    is_str(cut, "caf\xc3\xa9 \xc3", "what was given is as it was");
    cdc_text_clean(cut);
    is_str(cut, "caf?? ?", "or in place");
}


int
main(void)
{
    loop = cdc_loop_create();

    test_timers();
    test_events();
    test_posts();
    test_workers();
    test_frames();
    test_broken_frames();
    test_log();
    test_text();

    cdc_loop_destroy(loop);

    return done_testing();
}
