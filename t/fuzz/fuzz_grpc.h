/*
 * A gRPC that answers what the input says (src/target/cdc_grpc*.c are not
 * linked then): for each call, on whichever connection, a byte and a text.
 * With bit 7 the call fails with the status of the low bits, and the text is
 * its own; else the text is the answer.  When there is no more, it fails.
 */

#ifndef FUZZ_GRPC_H_INCLUDED
#define FUZZ_GRPC_H_INCLUDED

#include <pthread.h>

#include "cdc_grpc.h"
#include "fuzz.h"


#define FUZZ_FAILS  0x80
#define FUZZ_OVER   14                   /* UNAVAILABLE */


struct cdc_grpc_s {
    int                 calls;
};

struct cdc_grpc_stream_s {
    int                 reads;
};


static cdc_span_t       fuzz_answers;    /* what is left */
static size_t           fuzz_calls;
static int              fuzz_open;       /* connections and streams */

/* of cdc_grpc_send(), until fuzz_deliver() */
static cdc_grpc_done_pt fuzz_done;
static void            *fuzz_done_arg;


static int
fuzz_answer(uint8_t **answer, size_t *len, cdc_grpc_error_t *err)
{
    unsigned    how;
    cdc_span_t  text;

    fuzz_calls++;
    memset(err, 0, sizeof(cdc_grpc_error_t));

    if (fuzz_answers.len == 0) {
        err->status = FUZZ_OVER;
        (void) snprintf(err->text, sizeof(err->text), "no more");

        return CDC_ERROR;
    }

    how = fuzz_byte(&fuzz_answers);
    text = fuzz_block(&fuzz_answers);

    if (!(how & FUZZ_FAILS)) {
        *answer = fuzz_copy(text, 1);
        *len = text.len;

        return CDC_OK;
    }

    err->status = 1 + (int) (how & 0x1f) % 16;
    err->unsent = (how & 0x40) != 0;
    (void) snprintf(err->text, sizeof(err->text), "%.*s",
                    (int) strnlen((const char *) text.data, text.len),
                    (const char *) text.data);

    return CDC_ERROR;
}


/* all of it can be read */

static void
fuzz_request(const cdc_chain_t *request)
{
    size_t    len;
    uint8_t  *p;

    if (request != NULL) {
        p = cdc_chain_flatten(request, &len);
        fuzz_check(p != NULL && len == cdc_chain_bytes(request));
        free(p);
    }
}


static void __attribute__((unused))
fuzz_deliver(void)
{
    int               rc;
    size_t            len;
    uint8_t          *answer;
    cdc_grpc_error_t  err;
    cdc_grpc_done_pt  done;

    done = fuzz_done;
    fuzz_done = NULL;

    if (done != NULL) {
        answer = NULL;
        len = 0;
        rc = fuzz_answer(&answer, &len, &err);
        done(fuzz_done_arg, rc, cdc_span_n(answer, len), &err);
        free(answer);
    }
}


/* ---- instead of cdc_grpc*.c --- */

cdc_grpc_t *
cdc_grpc_open(const cdc_grpc_conf_t *conf, cdc_grpc_error_t *err)
{
    fuzz_open++;

    return calloc(1, sizeof(cdc_grpc_t));
}


void
cdc_grpc_close(cdc_grpc_t *g)
{
    fuzz_open--;
    free(g);
}


void
cdc_grpc_set_token(cdc_grpc_t *g, const char *token)
{
}


int
cdc_grpc_call_with(cdc_grpc_t *g, const char *method,
    const char *const header[2], cdc_chain_t *request, unsigned timeout_ms,
    uint8_t **answer, size_t *len, cdc_grpc_error_t *err)
{
    g->calls++;
    fuzz_request(request);

    return fuzz_answer(answer, len, err);
}


int
cdc_grpc_call(cdc_grpc_t *g, const char *method, cdc_chain_t *request,
    unsigned timeout_ms, uint8_t **answer, size_t *len, cdc_grpc_error_t *err)
{
    return cdc_grpc_call_with(g, method, NULL, request, timeout_ms, answer,
                              len, err);
}


int
cdc_grpc_send(cdc_grpc_t *g, const char *method, cdc_chain_t *request,
    unsigned timeout_ms, cdc_grpc_done_pt done, void *arg)
{
    fuzz_check(fuzz_done == NULL);
    fuzz_request(request);
    fuzz_done = done;
    fuzz_done_arg = arg;

    return CDC_OK;
}


void
cdc_grpc_idle(int idle)
{
}


void
cdc_grpc_init(cdc_loop_t *loop)
{
}


void
cdc_grpc_shutdown(void)
{
}


cdc_grpc_stream_t *
cdc_grpc_stream_open(cdc_grpc_t *g, const char *method, cdc_grpc_error_t *err)
{
    fuzz_open++;

    return calloc(1, sizeof(cdc_grpc_stream_t));
}


int
cdc_grpc_stream_write(cdc_grpc_stream_t *s, cdc_span_t message,
    cdc_grpc_error_t *err)
{
    return CDC_OK;
}


int
cdc_grpc_stream_read(cdc_grpc_stream_t *s, unsigned timeout_ms,
    uint8_t **message, size_t *len, cdc_grpc_error_t *err)
{
    s->reads++;

    return fuzz_answer(message, len, err);
}


void
cdc_grpc_stream_cancel(cdc_grpc_stream_t *s)
{
}


void
cdc_grpc_stream_close(cdc_grpc_stream_t *s)
{
    fuzz_open--;
    free(s);
}


#endif /* FUZZ_GRPC_H_INCLUDED */
