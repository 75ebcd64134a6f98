/*
 * Counting without copying: gRPC hands a request over as the pieces that it
 * was received in, and a cursor walks over them.  Of each message it reads
 * type, timestamp and number of rows, and steps over the rest, so that what
 * is measured is the sender.
 */

#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "null_target.h"


#define NULL_TRACE_MAX  2000000


typedef struct {
    grpc_byte_buffer_reader   reader;
    const uint8_t            *p, *end;   /* of the piece */
    size_t                    at;        /* in the request */
    int                       error;
} null_cursor_t;

typedef struct {
    uint64_t  type, ts, row_ts, insert_rows, delete_rows;
} null_message_t;


static pthread_mutex_t  null_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t   null_more;
static pthread_once_t   null_once = PTHREAD_ONCE_INIT;
static null_count_t     null_count;
static null_trace_t    *null_trace;
static size_t           null_ntrace, null_trace_size;


double
null_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


/* ---- the cursor --- */

static int
null_cursor_piece(null_cursor_t *c)
{
    grpc_slice  *slice;

    while (c->p == c->end) {
        if (!grpc_byte_buffer_reader_peek(&c->reader, &slice)) {
            return 0;
        }

        c->p = GRPC_SLICE_START_PTR(*slice);
        c->end = c->p + GRPC_SLICE_LENGTH(*slice);
    }

    return 1;
}


static uint64_t
null_cursor_varint(null_cursor_t *c)
{
    unsigned  shift;
    uint64_t  value;

    value = 0;

    for (shift = 0; shift < 70; shift += 7) {
        if (!null_cursor_piece(c)) {
            break;
        }

        c->at++;
        value |= (uint64_t) (*c->p & 0x7f) << (shift < 64 ? shift : 63);

        if (!(*c->p++ & 0x80)) {
            return value;
        }
    }

    c->error = 1;

    return 0;
}


static void
null_cursor_skip(null_cursor_t *c, uint64_t n)
{
    size_t  here;

    while (n != 0) {
        if (!null_cursor_piece(c)) {
            c->error = 1;
            return;
        }

        here = (size_t) (c->end - c->p);
        here = here < n ? here : (size_t) n;
        c->p += here;
        c->at += here;
        n -= here;
    }
}


/* the length of a length-delimited field; others are read or skipped */

static uint32_t
null_cursor_field(null_cursor_t *c, uint64_t *value)
{
    uint64_t  tag;

    tag = null_cursor_varint(c);
    *value = 0;

    switch (tag & 7) {

    case 0:
    case 2:
        *value = null_cursor_varint(c);
        break;

    case 1:
        null_cursor_skip(c, 8);
        break;

    case 5:
        null_cursor_skip(c, 4);
        break;

    default:
        c->error = 1;
    }

    return c->error ? 0 : (uint32_t) tag;
}


/* ---- messages --- */

#define NULL_VARINT(number)  ((number) << 3)
#define NULL_BYTES(number)   ((number) << 3 | 2)

static void
null_count_base(null_cursor_t *c, uint64_t len, null_message_t *m)
{
    size_t    end;
    uint32_t  tag;
    uint64_t  value;

    end = c->at + len;

    while (c->at < end && !c->error) {
        tag = null_cursor_field(c, &value);

        if (tag == NULL_VARINT(1)) {
            m->type = value;

        } else if (tag == NULL_VARINT(3)) {
            m->ts = value;

        } else if ((tag & 7) == 2) {
            null_cursor_skip(c, value);
        }
    }
}


static void
null_count_message(null_cursor_t *c, uint64_t len, null_message_t *m)
{
    size_t    end, field;
    uint32_t  tag;
    uint64_t  value;

    memset(m, 0, sizeof(null_message_t));
    end = c->at + len;

    while (c->at < end && !c->error) {
        tag = null_cursor_field(c, &value);

        if (tag == NULL_BYTES(1)) {
            null_count_base(c, value, m);

        } else if (tag == NULL_BYTES(10) && value != 0) {
            field = c->at + value;
            m->row_ts = null_cursor_varint(c);
            null_cursor_skip(c, field - c->at);

        } else if (tag == NULL_VARINT(14)) {
            m->insert_rows = value;

        } else if (tag == NULL_VARINT(11)) {
            m->delete_rows = value;

        } else if ((tag & 7) == 2) {
            null_cursor_skip(c, value);
        }
    }
}


static void
null_count_trace(const null_message_t *m, uint64_t rows, double now)
{
    null_trace_t  *t;

    if (null_ntrace == null_trace_size && null_ntrace < NULL_TRACE_MAX) {
        null_trace_size = null_trace_size ? null_trace_size * 2 : 4096;
        null_trace = realloc(null_trace,
                             null_trace_size * sizeof(null_trace_t));

        if (null_trace == NULL) {
            abort();
        }
    }

    if (null_ntrace == null_trace_size) {
        return;
    }

    t = &null_trace[null_ntrace++];
    t->at = now;
    t->type = (uint32_t) m->type;
    t->ts = m->row_ts ? m->row_ts : m->ts;
    t->rows = (uint32_t) rows;
}


/* under the mutex */

static void
null_count_add(const null_message_t *m, double now)
{
    uint64_t  rows;

    rows = 0;
    null_count.messages++;

    if (m->type == CDC_MSG_INSERT) {
        rows = m->insert_rows;
        null_count.rows += rows;
        null_count.last_rows = now;

        if (null_count.first_rows == 0) {
            null_count.first_rows = now;
        }

    } else if (m->type == CDC_MSG_DELETE) {
        rows = m->delete_rows;
        null_count.deletes += rows;

    } else if (m->type == CDC_MSG_TIME_TICK) {
        null_count.ticks++;
    }

    null_count_trace(m, rows, now);
}


static void
null_count_begin(void)
{
    pthread_condattr_t  attr;

    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&null_more, &attr);
    (void) pthread_condattr_destroy(&attr);
}


int
null_count_request(grpc_byte_buffer *request)
{
    int             channel;
    double          now;
    size_t          len;
    uint32_t        tag;
    uint64_t        value;
    null_cursor_t   c;
    null_message_t  m;

    (void) pthread_once(&null_once, null_count_begin);

    memset(&c, 0, sizeof(null_cursor_t));
    len = grpc_byte_buffer_length(request);
    now = null_now();
    channel = 0;

    if (!grpc_byte_buffer_reader_init(&c.reader, request)) {
        return -1;
    }

    (void) pthread_mutex_lock(&null_mutex);

    while (c.at < len && !c.error) {
        tag = null_cursor_field(&c, &value);

        if (tag == NULL_BYTES(5)) {
            null_count_message(&c, value, &m);
            null_count_add(&m, now);

        } else if ((tag & 7) == 2) {
            channel |= (tag == NULL_BYTES(2) && value != 0);
            null_cursor_skip(&c, value);
        }
    }

    if (channel && !c.error) {
        null_count.requests++;
        null_count.bytes += len;
        null_count.last_request = now;

        if (null_count.first_request == 0) {
            null_count.first_request = now;
        }
    }

    (void) pthread_cond_broadcast(&null_more);
    (void) pthread_mutex_unlock(&null_mutex);

    grpc_byte_buffer_reader_destroy(&c.reader);

    return channel && !c.error ? 0 : -1;
}


null_count_t
null_count_get(void)
{
    null_count_t  n;

    (void) pthread_mutex_lock(&null_mutex);
    n = null_count;
    (void) pthread_mutex_unlock(&null_mutex);

    return n;
}


null_count_t
null_count_wait(uint64_t rows, double seconds)
{
    null_count_t     n;
    struct timespec  end;

    (void) pthread_once(&null_once, null_count_begin);

    seconds += null_now();
    end.tv_sec = (time_t) seconds;
    end.tv_nsec = (long) ((seconds - (double) end.tv_sec) * 1e9);

    (void) pthread_mutex_lock(&null_mutex);

    while (null_count.rows < rows
           && pthread_cond_timedwait(&null_more, &null_mutex, &end) == 0)
    {
        /* some have come */
    }

    n = null_count;
    (void) pthread_mutex_unlock(&null_mutex);

    return n;
}


void
null_count_reset(void)
{
    (void) pthread_mutex_lock(&null_mutex);
    memset(&null_count, 0, sizeof(null_count_t));
    null_ntrace = 0;
    (void) pthread_mutex_unlock(&null_mutex);
}


void
null_count_print_trace(void)
{
    size_t  i;

    (void) pthread_mutex_lock(&null_mutex);

    for (i = 0; i < null_ntrace; i++) {
        (void) printf("%.6f %u %llu %u\n", null_trace[i].at,
                      null_trace[i].type,
                      (unsigned long long) null_trace[i].ts,
                      null_trace[i].rows);
    }

    (void) pthread_mutex_unlock(&null_mutex);
}
