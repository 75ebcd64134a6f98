/*
 * Memory for messages of a RocksMQ.
 *
 * RocksDB reads a block, most often one message, into memory of its own and
 * frees it with the next step; what outlives that is copied here.  Both from
 * malloc() leave gaps where large ones were, and both from the kernel, cleared
 * page by page, were two thirds of what reading costs.  So large messages
 * have mappings, which are used again for those that follow, and what malloc()
 * has for RocksDB is free again at once (cdc_memory_brief()).
 *
 * No mapping is kept that would make it more than CDC_ROCKSMQ_KEPT, with those
 * in use: behind a slow target nothing is.  Those that nobody has asked for in
 * a while go back.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdlib.h>
#include <sys/mman.h>

#include "cdc_rocksmq_int.h"


#define CDC_ROCKSMQ_LARGE  (256 * 1024)
#define CDC_ROCKSMQ_KEPT   (8 * 1024 * 1024)
#define CDC_ROCKSMQ_STEP   (64 * 1024)


/* of all readers, of which a helper has one: messages may outlive it */

static pthread_mutex_t     cdc_rocksmq_mutex = PTHREAD_MUTEX_INITIALIZER;
static cdc_rocksmq_msg_t  *cdc_rocksmq_spare;    /* the last one is first */
static size_t              cdc_rocksmq_kept;     /* bytes of them */
static size_t              cdc_rocksmq_used;     /* and of those in use */
static uint64_t            cdc_rocksmq_asked_ms;


static void
cdc_rocksmq_unmap(cdc_rocksmq_msg_t *m)
{
    cdc_rocksmq_msg_t  *next;

    for (; m != NULL; m = next) {
        next = m->next;
        (void) munmap(m, m->size);
    }
}


/* with the mutex held: the oldest ones, down to so many bytes */

static cdc_rocksmq_msg_t *
cdc_rocksmq_shed(size_t bytes)
{
    size_t               n;
    cdc_rocksmq_msg_t   *m, **link;

    n = 0;

    for (link = &cdc_rocksmq_spare; *link != NULL; link = &(*link)->next) {

        if (n + (*link)->size > bytes) {
            break;
        }

        n += (*link)->size;
    }

    m = *link;
    *link = NULL;
    cdc_rocksmq_kept = n;

    return m;
}


/* with the mutex held: what is too much beside those in use */

static cdc_rocksmq_msg_t *
cdc_rocksmq_surplus(void)
{
    return cdc_rocksmq_shed(cdc_rocksmq_used < CDC_ROCKSMQ_KEPT
                            ? CDC_ROCKSMQ_KEPT - cdc_rocksmq_used : 0);
}


/* one that is not much too large */

static cdc_rocksmq_msg_t *
cdc_rocksmq_reuse(size_t need)
{
    cdc_rocksmq_msg_t  *m, **link;

    for (link = &cdc_rocksmq_spare; (m = *link) != NULL; link = &m->next) {

        if (m->size >= need && m->size - need <= m->size / 4) {
            *link = m->next;
            cdc_rocksmq_kept -= m->size;
            return m;
        }
    }

    return NULL;
}


cdc_rocksmq_msg_t *
cdc_rocksmq_msg_create(uint64_t id, size_t len)
{
    size_t              need, size;
    cdc_rocksmq_msg_t  *m, *shed;

    need = sizeof(cdc_rocksmq_msg_t) + len;

    if (need < CDC_ROCKSMQ_LARGE) {
        size = 0;
        m = malloc(need);

    } else {
        (void) pthread_mutex_lock(&cdc_rocksmq_mutex);

        m = cdc_rocksmq_reuse(need);
        size = m != NULL ? m->size
                         : (need + CDC_ROCKSMQ_STEP - 1)
                           & ~(size_t) (CDC_ROCKSMQ_STEP - 1);
        cdc_rocksmq_used += size;
        cdc_rocksmq_asked_ms = cdc_now_ms();
        shed = cdc_rocksmq_surplus();

        (void) pthread_mutex_unlock(&cdc_rocksmq_mutex);

        cdc_rocksmq_unmap(shed);

        if (m == NULL) {
            m = mmap(NULL, size, PROT_READ|PROT_WRITE,
                     MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
        }

        if (m == MAP_FAILED) {
            (void) pthread_mutex_lock(&cdc_rocksmq_mutex);
            cdc_rocksmq_used -= size;
            (void) pthread_mutex_unlock(&cdc_rocksmq_mutex);

            return NULL;
        }
    }

    if (m != NULL) {
        m->next = NULL;
        m->id = id;
        m->len = len;
        m->size = size;
    }

    return m;
}


void
cdc_rocksmq_msg_free(cdc_rocksmq_msg_t *m)
{
    cdc_rocksmq_msg_t  *shed;

    if (m == NULL || m->size == 0) {
        free(m);
        return;
    }

    (void) pthread_mutex_lock(&cdc_rocksmq_mutex);

    cdc_rocksmq_used -= m->size;

    m->next = cdc_rocksmq_spare;
    cdc_rocksmq_spare = m;
    shed = cdc_rocksmq_surplus();

    (void) pthread_mutex_unlock(&cdc_rocksmq_mutex);

    cdc_rocksmq_unmap(shed);
}


size_t
cdc_rocksmq_msg_tidy(uint64_t ms)
{
    size_t              kept;
    cdc_rocksmq_msg_t  *shed;

    shed = NULL;

    (void) pthread_mutex_lock(&cdc_rocksmq_mutex);

    if (cdc_now_ms() - cdc_rocksmq_asked_ms >= ms) {
        shed = cdc_rocksmq_shed(0);
    }

    kept = cdc_rocksmq_kept;

    (void) pthread_mutex_unlock(&cdc_rocksmq_mutex);

    cdc_rocksmq_unmap(shed);

    return kept;
}
