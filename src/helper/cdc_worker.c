/*
 * Worker threads: one thread, one queue, results on the main thread.
 *
 * Finished jobs gather in a list of the worker, and one post carries the
 * whole list to the main thread: destroy() then has a single post to take
 * back, and no job of a worker that is gone can still reach its owner.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cdc_runtime.h"


typedef struct {
    cdc_job_t        *head;
    cdc_job_t       **last;
} cdc_job_queue_t;


struct cdc_worker_s {
    cdc_loop_t       *loop;
    pthread_t         thread;
    pthread_mutex_t   mutex;             /* guards all down to "stop" */
    pthread_cond_t    cond;
    cdc_job_queue_t   waiting;
    cdc_job_queue_t   finished;
    unsigned          stop:1;

    cdc_post_t        post;
    int              *gone;              /* of a done() that is under way */
};


static void
cdc_job_push(cdc_job_queue_t *queue, cdc_job_t *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
}


static cdc_job_t *
cdc_job_pop(cdc_job_queue_t *queue)
{
    cdc_job_t  *job;

    job = queue->head;

    if (job != NULL) {
        queue->head = job->next;

        if (queue->head == NULL) {
            queue->last = &queue->head;
        }
    }

    return job;
}


static void *
cdc_worker_thread(void *data)
{
    cdc_job_t     *job;
    cdc_worker_t  *worker;

    worker = data;

    (void) pthread_mutex_lock(&worker->mutex);

    while (!worker->stop) {

        job = cdc_job_pop(&worker->waiting);

        if (job == NULL) {
            (void) pthread_cond_wait(&worker->cond, &worker->mutex);
            continue;
        }

        (void) pthread_mutex_unlock(&worker->mutex);

        job->run(job);

        (void) pthread_mutex_lock(&worker->mutex);

        cdc_job_push(&worker->finished, job);
        cdc_loop_post(worker->loop, &worker->post);
    }

    (void) pthread_mutex_unlock(&worker->mutex);

    return NULL;
}


static void
cdc_worker_done(cdc_post_t *post)
{
    int            gone;
    cdc_job_t     *job;
    cdc_worker_t  *worker;

    worker = post->data;

    gone = 0;
    worker->gone = &gone;

    for ( ;; ) {
        (void) pthread_mutex_lock(&worker->mutex);
        job = cdc_job_pop(&worker->finished);
        (void) pthread_mutex_unlock(&worker->mutex);

        if (job == NULL) {
            break;
        }

        job->done(job);

        if (gone) {
            return;
        }
    }

    worker->gone = NULL;
}


cdc_worker_t *
cdc_worker_create(cdc_loop_t *loop, const char *name)
{
    int            err;
    char           title[16];
    cdc_worker_t  *worker;

    worker = calloc(1, sizeof(cdc_worker_t));
    if (worker == NULL) {
        return NULL;
    }

    worker->loop = loop;
    worker->waiting.last = &worker->waiting.head;
    worker->finished.last = &worker->finished.head;
    worker->post.handler = cdc_worker_done;
    worker->post.data = worker;

    (void) pthread_mutex_init(&worker->mutex, NULL);
    (void) pthread_cond_init(&worker->cond, NULL);

    err = pthread_create(&worker->thread, NULL, cdc_worker_thread, worker);

    if (err != 0) {
        cdc_log(CDC_LOG_ALERT, err, "pthread_create(\"%s\") failed", name);

        (void) pthread_cond_destroy(&worker->cond);
        (void) pthread_mutex_destroy(&worker->mutex);
        free(worker);

        return NULL;
    }

    (void) snprintf(title, sizeof(title), "%s", name);
    (void) pthread_setname_np(worker->thread, title);

    return worker;
}


void
cdc_worker_submit(cdc_worker_t *worker, cdc_job_t *job)
{
    job->worker = worker;

    (void) pthread_mutex_lock(&worker->mutex);

    cdc_job_push(&worker->waiting, job);
    (void) pthread_cond_signal(&worker->cond);

    (void) pthread_mutex_unlock(&worker->mutex);
}


void
cdc_worker_destroy(cdc_worker_t *worker)
{
    if (worker == NULL) {
        return;
    }

    (void) pthread_mutex_lock(&worker->mutex);

    worker->stop = 1;
    (void) pthread_cond_signal(&worker->cond);

    (void) pthread_mutex_unlock(&worker->mutex);

    (void) pthread_join(worker->thread, NULL);

    cdc_loop_cancel(worker->loop, &worker->post);

    if (worker->gone != NULL) {
        *worker->gone = 1;
    }

    (void) pthread_cond_destroy(&worker->cond);
    (void) pthread_mutex_destroy(&worker->mutex);

    free(worker);
}
