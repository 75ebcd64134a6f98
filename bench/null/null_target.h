/*
 * A target that does nothing, as fast as it can: for measuring who feeds it.
 *
 *   null_target.c   gRPC server, command line, commands
 *   null_calls.c    what a Milvus answers: collections, partitions, versions
 *   null_count.c    ReplicateMessage: walks the envelopes, counts
 *   null_record.c   keeps the requests in a file
 */

#ifndef NULL_TARGET_H_INCLUDED
#define NULL_TARGET_H_INCLUDED

#include <grpc/byte_buffer.h>
#include <pthread.h>
#include <stdint.h>

#include "cdc_wire.h"


/* seconds of CLOCK_MONOTONIC, which every process of this machine shares */

typedef struct {
    uint64_t          requests, messages, ticks, bytes;
    uint64_t          rows, deletes;
    double            first_request, first_rows, last_rows, last_request;
} null_count_t;

/* one message, as it came */

typedef struct {
    double            at;
    uint64_t          ts;                /* of its first row, or the tick's */
    uint32_t          type, rows;
} null_trace_t;


double null_now(void);

/* null_count.c; any thread */
int null_count_request(grpc_byte_buffer *request);   /* -1: malformed or not
                                                      * for a channel */
null_count_t null_count_get(void);
/* waits until so many rows came; what there is by then */
null_count_t null_count_wait(uint64_t rows, double seconds);
void null_count_reset(void);
void null_count_print_trace(void);

/* null_record.c; any thread.  path NULL: no more; -1: not all is there */
int null_record(const char *path);
void null_record_request(grpc_byte_buffer *request);

/* null_calls.c; any thread.  The answer to a method's last word. */
void null_calls_init(unsigned channels);
/* 0: it says that it is standalone */
void null_calls_distributed(int distributed);
cdc_chain_t *null_calls_answer(const char *method, cdc_span_t request);
void null_calls_reset(void);


#endif /* NULL_TARGET_H_INCLUDED */
