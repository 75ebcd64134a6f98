/*
 * Frames over a socket, as the helpers get and send them.
 *
 * Input: a first byte, and what is sent.  With bit 0 the bytes are payloads
 * ({type, length (2 bytes), payload}) that get heads; else they are sent as
 * they are.  They are sent in pieces.  Each whole frame must be told once, and
 * sent back it must be the same bytes; what no frame can be ends the
 * connection.
 */

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc_runtime.h"
#include "fuzz.h"


#define FUZZ_MAX  (16 * 1024)            /* a socket takes as much at once */


typedef struct {
    cdc_conn_t   conn;
    cdc_span_t   left;                   /* of what was sent: not told yet */
    int          closed;
} fuzz_conn_t;


static uint8_t  fuzz_sent[FUZZ_MAX], fuzz_back[FUZZ_MAX];


static void
fuzz_frame(cdc_conn_t *c, const cdc_frame_t *f, const uint8_t *payload)
{
    cdc_span_t    sent;
    cdc_frame_t   head;
    fuzz_conn_t  *fc = c->data;

    fuzz_check(fc->left.len >= sizeof(cdc_frame_t) + f->len);

    sent = fuzz_take(&fc->left, sizeof(cdc_frame_t));
    memcpy(&head, sent.data, sizeof(head));
    fuzz_check(f->len == head.len && f->type == head.type
               && f->status == head.status && f->id == head.id);

    sent = fuzz_take(&fc->left, f->len);
    fuzz_check(fuzz_equal(sent, cdc_span_n(payload, f->len)));

    fuzz_check(cdc_conn_send(c, f->type, f->status, f->id, payload, f->len)
               == CDC_OK);
}


static void
fuzz_closed(cdc_conn_t *c)
{
    fuzz_conn_t  *fc = c->data;

    fuzz_check(!fc->closed && c->event.fd == -1);
    fc->closed = 1;
}


static size_t
fuzz_make(cdc_span_t in)
{
    size_t       n;
    cdc_span_t   payload;
    cdc_frame_t  f;

    memset(&f, 0, sizeof(f));

    for (n = 0; in.len != 0; n += payload.len) {
        f.type = (uint16_t) fuzz_byte(&in);
        payload = fuzz_block(&in);
        f.len = (uint32_t) payload.len;
        f.id++;

        if (n + sizeof(f) + payload.len > FUZZ_MAX) {
            break;
        }

        memcpy(fuzz_sent + n, &f, sizeof(f));
        n += sizeof(f);

        if (payload.len != 0) {
            memcpy(fuzz_sent + n, payload.data, payload.len);
        }
    }

    return n;
}


/* is there a head at its front that no frame has? */

static int
fuzz_bad(cdc_span_t left)
{
    cdc_frame_t  head;

    if (left.len < sizeof(head)) {
        return 0;
    }

    memcpy(&head, left.data, sizeof(head));

    return head.len > CDC_FRAME_MAX;
}


static int
fuzz_part(cdc_span_t left)
{
    cdc_frame_t  head;

    if (left.len < sizeof(head)) {
        return 1;
    }

    memcpy(&head, left.data, sizeof(head));

    return left.len < sizeof(head) + head.len;
}


/*
 * What has come back of n bytes: all of it, once what the socket did not take
 * has been sent.  At its end a connection has no more to send.
 */

static size_t
fuzz_receive(fuzz_conn_t *fc, int fd, size_t n)
{
    size_t   i;
    ssize_t  got;

    for (i = 0; i < n; i += (size_t) got) {
        got = recv(fd, fuzz_back + i, n - i, MSG_DONTWAIT);

        if (got <= 0 && fc->closed) {
            return i;
        }

        if (got <= 0) {
            fc->conn.event.handler(&fc->conn.event, EPOLLOUT);
            got = recv(fd, fuzz_back + i, n - i, MSG_DONTWAIT);
            fuzz_check(got > 0);
        }
    }

    return n;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                 fds[2];
    size_t              i, n, piece;
    cdc_span_t          in, part;
    fuzz_conn_t         fc;

    static cdc_loop_t  *loop;

    if (size < 1 || size > FUZZ_MAX / 2) {
        return 0;
    }

    if (loop == NULL) {
        cdc_log_init("", NULL, CDC_LOG_EMERG);
        loop = cdc_loop_create();
    }

    memset(&fc, 0, sizeof(fc));
    fc.conn.handler = fuzz_frame;
    fc.conn.closed = fuzz_closed;
    fc.conn.data = &fc;

    in = cdc_span_n(data + 1, size - 1);

    if (data[0] & 1) {
        n = fuzz_make(in);

    } else {
        n = in.len;
        memcpy(fuzz_sent, in.data, n);
    }

    fuzz_check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    fuzz_check(cdc_conn_open(&fc.conn, loop, fds[0]) == CDC_OK);

    fc.left = cdc_span_n(fuzz_sent, n);
    in = fc.left;
    piece = 1 + (size_t) (data[0] >> 1) * 37;

    while (in.len != 0 && !fc.closed) {
        part = fuzz_take(&in, piece);
        fuzz_check(write(fds[1], part.data, part.len) == (ssize_t) part.len);

        /* a read has room for 4 KB at least */

        for (i = 0; i <= part.len / 4096 && !fc.closed; i++) {
            fc.conn.event.handler(&fc.conn.event, EPOLLIN);
        }
    }

    fuzz_check(fc.closed == fuzz_bad(fc.left));
    fuzz_check(fc.closed || fuzz_part(fc.left));

    n = fuzz_receive(&fc, fds[1], n - fc.left.len);
    fuzz_check(memcmp(fuzz_back, fuzz_sent, n) == 0);

    (void) close(fds[1]);

    if (!fc.closed) {
        fc.conn.event.handler(&fc.conn.event, EPOLLIN);
        fuzz_check(fc.closed);           /* the end of file */
    }

    cdc_conn_close(&fc.conn);

    return 0;
}
