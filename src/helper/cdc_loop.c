/*
 * The event loop: epoll for descriptors, a binary heap for timers, an
 * eventfd for what other threads post.
 *
 * One turn: wait, events, timers, posts, deferred work.  A handler may
 * delete any event, its own or another's: what the current batch still
 * holds of a deleted event is blanked, so a freed owner is never called.
 *
 * A post that waits in a list has a non-NULL "next" (the list ends in
 * cdc_loop_end, not in NULL), which is what makes a second request for the
 * same post a no-op.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "cdc_runtime.h"


#define CDC_LOOP_BATCH  64


typedef struct {
    cdc_post_t           *head;
    cdc_post_t           *tail;
} cdc_post_list_t;


struct cdc_loop_s {
    int                   epoll;
    int                   batch_n;
    int                   batch_at;
    unsigned              stop:1;

    struct epoll_event    batch[CDC_LOOP_BATCH];

    cdc_timer_t         **heap;
    size_t                heap_n;
    size_t                heap_cap;

    pthread_mutex_t       mutex;         /* guards posts */
    cdc_post_list_t       posts;
    cdc_event_t           wake;

    cdc_post_list_t       deferred;      /* main thread only */
    cdc_post_list_t       running;       /* taken out, not yet called */
};


static cdc_post_t  cdc_loop_end;


static void cdc_loop_wake_handler(cdc_event_t *ev, unsigned events);


uint64_t
cdc_now_ms(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


struct timespec
cdc_deadline(unsigned ms)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    ts.tv_sec += ms / 1000;
    ts.tv_nsec += (long) (ms % 1000) * 1000000;

    if (ts.tv_nsec >= 1000000000) {
        ts.tv_nsec -= 1000000000;
        ts.tv_sec++;
    }

    return ts;
}


uint64_t
cdc_wall_ms(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


cdc_loop_t *
cdc_loop_create(void)
{
    cdc_loop_t  *loop;

    loop = calloc(1, sizeof(cdc_loop_t));
    if (loop == NULL) {
        return NULL;
    }

    loop->posts.head = &cdc_loop_end;
    loop->deferred.head = &cdc_loop_end;
    loop->running.head = &cdc_loop_end;
    loop->wake.fd = -1;

    (void) pthread_mutex_init(&loop->mutex, NULL);

    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll == -1) {
        cdc_log(CDC_LOG_ALERT, errno, "epoll_create1() failed");
        goto failed;
    }

    loop->wake.fd = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK);
    if (loop->wake.fd == -1) {
        cdc_log(CDC_LOG_ALERT, errno, "eventfd() failed");
        goto failed;
    }

    loop->wake.handler = cdc_loop_wake_handler;
    loop->wake.data = loop;

    if (cdc_event_add(loop, &loop->wake, EPOLLIN) != CDC_OK) {
        goto failed;
    }

    return loop;

failed:

    cdc_loop_destroy(loop);

    return NULL;
}


void
cdc_loop_destroy(cdc_loop_t *loop)
{
    if (loop == NULL) {
        return;
    }

    if (loop->wake.fd != -1) {
        (void) close(loop->wake.fd);
    }

    if (loop->epoll != -1) {
        (void) close(loop->epoll);
    }

    (void) pthread_mutex_destroy(&loop->mutex);

    free(loop->heap);
    free(loop);
}


/* ---- descriptors --- */

static int
cdc_event_ctl(cdc_loop_t *loop, int op, cdc_event_t *ev, unsigned events)
{
    struct epoll_event  ee;

    ee.events = events;
    ee.data.ptr = ev;

    if (epoll_ctl(loop->epoll, op, ev->fd, &ee) == -1) {
        cdc_log(CDC_LOG_ALERT, errno, "epoll_ctl(%d, %d) failed", op, ev->fd);
        return CDC_ERROR;
    }

    return CDC_OK;
}


int
cdc_event_add(cdc_loop_t *loop, cdc_event_t *ev, unsigned events)
{
    if (cdc_event_ctl(loop, EPOLL_CTL_ADD, ev, events) != CDC_OK) {
        return CDC_ERROR;
    }

    ev->active = 1;

    return CDC_OK;
}


int
cdc_event_mod(cdc_loop_t *loop, cdc_event_t *ev, unsigned events)
{
    return cdc_event_ctl(loop, EPOLL_CTL_MOD, ev, events);
}


void
cdc_event_del(cdc_loop_t *loop, cdc_event_t *ev)
{
    int  i;

    if (!ev->active) {
        return;
    }

    ev->active = 0;

    (void) cdc_event_ctl(loop, EPOLL_CTL_DEL, ev, 0);

    for (i = loop->batch_at; i < loop->batch_n; i++) {
        if (loop->batch[i].data.ptr == ev) {
            loop->batch[i].data.ptr = NULL;
        }
    }
}


/* ---- timers --- */

static void
cdc_heap_set(cdc_loop_t *loop, size_t i, cdc_timer_t *tm)
{
    loop->heap[i] = tm;
    tm->slot = i + 1;
}


static void
cdc_heap_up(cdc_loop_t *loop, size_t i, cdc_timer_t *tm)
{
    size_t  parent;

    while (i > 0) {
        parent = (i - 1) / 2;

        if (loop->heap[parent]->when <= tm->when) {
            break;
        }

        cdc_heap_set(loop, i, loop->heap[parent]);
        i = parent;
    }

    cdc_heap_set(loop, i, tm);
}


static void
cdc_heap_down(cdc_loop_t *loop, size_t i, cdc_timer_t *tm)
{
    size_t  child;

    while ((child = 2 * i + 1) < loop->heap_n) {

        if (child + 1 < loop->heap_n
            && loop->heap[child + 1]->when < loop->heap[child]->when)
        {
            child++;
        }

        if (tm->when <= loop->heap[child]->when) {
            break;
        }

        cdc_heap_set(loop, i, loop->heap[child]);
        i = child;
    }

    cdc_heap_set(loop, i, tm);
}


void
cdc_timer_add(cdc_loop_t *loop, cdc_timer_t *tm, uint64_t ms)
{
    size_t         cap;
    cdc_timer_t  **heap;

    cdc_timer_del(loop, tm);

    if (loop->heap_n == loop->heap_cap) {
        cap = loop->heap_cap != 0 ? loop->heap_cap * 2 : 16;

        heap = realloc(loop->heap, cap * sizeof(cdc_timer_t *));
        if (heap == NULL) {

            /* a timer that never fires hangs its owner: better to restart */

            cdc_log(CDC_LOG_EMERG, errno, "no memory for a timer");
            abort();
        }

        loop->heap = heap;
        loop->heap_cap = cap;
    }

    tm->when = cdc_now_ms() + ms;
    cdc_heap_up(loop, loop->heap_n++, tm);
}


void
cdc_timer_del(cdc_loop_t *loop, cdc_timer_t *tm)
{
    size_t        i;
    cdc_timer_t  *last;

    if (tm->slot == 0) {
        return;
    }

    i = tm->slot - 1;
    tm->slot = 0;

    last = loop->heap[--loop->heap_n];

    if (last == tm) {
        return;
    }

    if (i > 0 && last->when < loop->heap[(i - 1) / 2]->when) {
        cdc_heap_up(loop, i, last);

    } else {
        cdc_heap_down(loop, i, last);
    }
}


static void
cdc_loop_timers(cdc_loop_t *loop)
{
    size_t        n;
    uint64_t      now;
    cdc_timer_t  *tm;

    /* at most as many as were armed: a handler that arms itself again with
     * 0 ms cannot keep descriptors from being served */

    now = cdc_now_ms();

    for (n = loop->heap_n; n > 0 && loop->heap_n > 0; n--) {
        tm = loop->heap[0];

        if (tm->when > now) {
            break;
        }

        cdc_timer_del(loop, tm);
        tm->handler(tm);
    }
}


static int
cdc_loop_timeout(cdc_loop_t *loop)
{
    uint64_t  now, ms;

    if (loop->deferred.head != &cdc_loop_end) {
        return 0;
    }

    if (loop->heap_n == 0) {
        return -1;
    }

    now = cdc_now_ms();

    if (loop->heap[0]->when <= now) {
        return 0;
    }

    ms = loop->heap[0]->when - now;

    return ms < 60000 ? (int) ms : 60000;
}


/* ---- posts --- */

static int
cdc_post_push(cdc_post_list_t *list, cdc_post_t *post)
{
    if (post->next != NULL) {
        return CDC_DECLINED;
    }

    if (list->head == &cdc_loop_end) {
        list->head = post;

    } else {
        list->tail->next = post;
    }

    list->tail = post;
    post->next = &cdc_loop_end;

    return CDC_OK;
}


static void
cdc_post_remove(cdc_post_list_t *list, cdc_post_t *post)
{
    cdc_post_t  *prev, **p;

    prev = NULL;

    for (p = &list->head; *p != &cdc_loop_end; p = &prev->next) {

        if (*p == post) {
            *p = post->next;
            post->next = NULL;

            if (list->tail == post) {
                list->tail = prev;
            }

            return;
        }

        prev = *p;
    }
}


void
cdc_loop_post(cdc_loop_t *loop, cdc_post_t *post)
{
    int       rc, first;
    uint64_t  one;

    (void) pthread_mutex_lock(&loop->mutex);

    first = loop->posts.head == &cdc_loop_end;
    rc = cdc_post_push(&loop->posts, post);

    (void) pthread_mutex_unlock(&loop->mutex);

    /* the list is emptied after the eventfd: what is in it has woken */

    if (rc != CDC_OK || !first) {
        return;
    }

    one = 1;

    /* EAGAIN: the counter is full, so the loop will wake up anyway */

    while (write(loop->wake.fd, &one, sizeof(one)) == -1 && errno == EINTR) {
        /* again */
    }
}


void
cdc_loop_defer(cdc_loop_t *loop, cdc_post_t *post)
{
    (void) cdc_post_push(&loop->deferred, post);
}


void
cdc_loop_cancel(cdc_loop_t *loop, cdc_post_t *post)
{
    (void) pthread_mutex_lock(&loop->mutex);

    cdc_post_remove(&loop->posts, post);
    cdc_post_remove(&loop->running, post);
    cdc_post_remove(&loop->deferred, post);

    (void) pthread_mutex_unlock(&loop->mutex);
}


/*
 * Taken out under the mutex: another thread that posts this post now either
 * finds it still queued, and its call is yet to come, or queues it again.
 */

static cdc_post_t *
cdc_loop_next(cdc_loop_t *loop)
{
    cdc_post_t  *post;

    (void) pthread_mutex_lock(&loop->mutex);

    post = loop->running.head;

    if (post != &cdc_loop_end) {
        loop->running.head = post->next;
        post->next = NULL;

    } else {
        post = NULL;
    }

    (void) pthread_mutex_unlock(&loop->mutex);

    return post;
}


static void
cdc_loop_call(cdc_loop_t *loop)
{
    cdc_post_t  *post;

    while ((post = cdc_loop_next(loop)) != NULL) {
        post->handler(post);
    }
}


static void
cdc_loop_wake_handler(cdc_event_t *ev, unsigned events)
{
    uint64_t     n;
    cdc_loop_t  *loop;

    (void) events;

    loop = ev->data;

    (void) !read(ev->fd, &n, sizeof(n));

    (void) pthread_mutex_lock(&loop->mutex);

    loop->running = loop->posts;
    loop->posts.head = &cdc_loop_end;

    (void) pthread_mutex_unlock(&loop->mutex);

    cdc_loop_call(loop);
}


int
cdc_loop_run(cdc_loop_t *loop)
{
    cdc_event_t  *ev;

    while (!loop->stop) {

        loop->batch_n = epoll_wait(loop->epoll, loop->batch, CDC_LOOP_BATCH,
                                   cdc_loop_timeout(loop));

        if (loop->batch_n == -1) {
            loop->batch_n = 0;

            if (errno != EINTR) {
                cdc_log(CDC_LOG_ALERT, errno, "epoll_wait() failed");
                return CDC_ERROR;
            }
        }

        for (loop->batch_at = 0; loop->batch_at < loop->batch_n; /* void */ ) {

            ev = loop->batch[loop->batch_at].data.ptr;

            if (ev != NULL) {
                ev->handler(ev, loop->batch[loop->batch_at++].events);

            } else {
                loop->batch_at++;
            }
        }

        loop->batch_n = 0;

        cdc_loop_timers(loop);

        loop->running = loop->deferred;
        loop->deferred.head = &cdc_loop_end;

        cdc_loop_call(loop);
    }

    loop->stop = 0;

    return CDC_OK;
}


void
cdc_loop_stop(cdc_loop_t *loop)
{
    loop->stop = 1;
}
