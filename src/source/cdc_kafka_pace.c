/*
 * An idle source is asked less often.
 *
 * All channels' ticks come within some 15 ms.  The broker answers a Fetch
 * with the first of them, the next Fetch with some more, and so on: with 16
 * channels half of an idle task's CPU time.  librdkafka has no setting
 * for the time between an answer and the next Fetch, but who gives it its
 * sockets can have the kernel pace what is sent.  So while nothing but ticks
 * comes, a connection may send one Fetch each CDC_KAFKA_PACE_MS: the first of
 * a burst goes out at once, and one that is held back finds the rest of the
 * burst.  With the first message that is more than a tick this ends.
 *
 * Pacing that a kernel does not do costs nothing but CPU time.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc_kafka_int.h"


#define CDC_KAFKA_PACE_MS  16
#define CDC_KAFKA_REQUEST  60            /* bytes of a Fetch, and for each */
#define CDC_KAFKA_ASKED    34            /* topic in it, besides its name */


static void
cdc_kafka_pace_set(int fd, unsigned rate)
{
    (void) setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate,
                      sizeof(rate));
}


/* a thread of librdkafka */

static int
cdc_kafka_pace_socket(int domain, int type, int protocol, void *data)
{
    int                fd;
    unsigned           i;
    cdc_log_reader_t  *r;

    r = data;
    fd = socket(domain, type|SOCK_CLOEXEC, protocol);

    if (fd == -1) {
        return -1;
    }

    (void) pthread_mutex_lock(&r->pace_mutex);

    /* a broker for whom there is no place is asked as often as always */

    for (i = 0; i < CDC_KAFKA_SOCKETS; i++) {
        if (r->sockets[i] == -1) {
            r->sockets[i] = fd;
            cdc_kafka_pace_set(fd, r->rate);
            break;
        }
    }

    (void) pthread_mutex_unlock(&r->pace_mutex);

    return fd;
}


/* the same; the number may be another file's as soon as it is closed */

static int
cdc_kafka_pace_closed(int fd, void *data)
{
    int                rc;
    unsigned           i;
    cdc_log_reader_t  *r;

    r = data;

    (void) pthread_mutex_lock(&r->pace_mutex);

    for (i = 0; i < CDC_KAFKA_SOCKETS; i++) {
        if (r->sockets[i] == fd) {
            r->sockets[i] = -1;
        }
    }

    rc = close(fd);

    (void) pthread_mutex_unlock(&r->pace_mutex);

    return rc;
}


void
cdc_kafka_pace_conf(cdc_log_reader_t *r, rd_kafka_conf_t *kc)
{
    unsigned  i;

    r->rate = CDC_KAFKA_UNPACED;

    for (i = 0; i < CDC_KAFKA_SOCKETS; i++) {
        r->sockets[i] = -1;
    }

    rd_kafka_conf_set_socket_cb(kc, cdc_kafka_pace_socket);
    rd_kafka_conf_set_closesocket_cb(kc, cdc_kafka_pace_closed);
}


/* bytes/s; as if one broker had all channels */

static unsigned
cdc_kafka_pace_rate(const cdc_log_reader_t *r)
{
    size_t             len;
    cdc_log_stream_t  *s;

    len = CDC_KAFKA_REQUEST;

    for (s = r->streams; s != NULL; s = s->next) {
        len += CDC_KAFKA_ASKED + strlen(s->channel);
    }

    return (unsigned) (len * 1000 / CDC_KAFKA_PACE_MS);
}


void
cdc_kafka_pace(cdc_log_reader_t *r, int idle)
{
    unsigned  i, rate;

    /* only this thread changes it; a stream that is started ends it */

    if (idle == (r->rate != CDC_KAFKA_UNPACED)) {
        return;
    }

    rate = idle ? cdc_kafka_pace_rate(r) : CDC_KAFKA_UNPACED;

    (void) pthread_mutex_lock(&r->pace_mutex);

    r->rate = rate;

    for (i = 0; i < CDC_KAFKA_SOCKETS; i++) {
        if (r->sockets[i] != -1) {
            cdc_kafka_pace_set(r->sockets[i], rate);
        }
    }

    (void) pthread_mutex_unlock(&r->pace_mutex);
}
