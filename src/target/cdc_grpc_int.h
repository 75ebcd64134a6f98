/*
 * What the two halves of the gRPC cover share: cdc_grpc.c (connections,
 * calls) and cdc_grpc_stream.c.
 */

#ifndef CDC_GRPC_INT_H_INCLUDED
#define CDC_GRPC_INT_H_INCLUDED

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <pthread.h>

#include "cdc_grpc.h"


typedef struct cdc_grpc_op_s  cdc_grpc_op_t;
typedef struct cdc_grpc_end_s  cdc_grpc_end_t;

/* the tag of what ends on cdc_grpc_queue, whose thread calls it */

struct cdc_grpc_end_s {
    void            (*handler)(cdc_grpc_end_t *end, int success);
};

struct cdc_grpc_s {
    grpc_channel     *channel;
    pthread_mutex_t   mutex;             /* what follows */
    pthread_cond_t    done;              /* an operation has ended */
    cdc_grpc_op_t    *ops;               /* in flight or not delivered yet */
    char             *authorization;
    char             *token;
    unsigned          closing:1;
};

extern grpc_resource_quota    *cdc_grpc_quota;
extern grpc_completion_queue  *cdc_grpc_queue;   /* NULL: none */

void cdc_grpc_free(cdc_grpc_t *g);       /* nothing is under way any more */

/* the headers of one call: authorization, token and one of the call's own */

typedef struct {
    grpc_metadata     data[3];
    size_t            n;
} cdc_grpc_headers_t;

void cdc_grpc_headers_fill(cdc_grpc_headers_t *h, cdc_grpc_t *g,
    const char *const header[2]);
void cdc_grpc_headers_free(cdc_grpc_headers_t *h);

/* malloc()ed, with a NUL behind *len bytes; NULL: no memory, or damaged */
uint8_t *cdc_grpc_flatten(grpc_byte_buffer *buffer, size_t *len);

/* takes the details slice over */
void cdc_grpc_error_fill(cdc_grpc_error_t *err, grpc_status_code status,
    grpc_slice details, grpc_call *call);

void cdc_grpc_error_set(cdc_grpc_error_t *err, int status, const char *text);


#endif /* CDC_GRPC_INT_H_INCLUDED */
