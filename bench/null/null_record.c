/*
 * Keeps the requests as they came: 8 bytes of length in the machine's order,
 * then the request.  For bench/direct, which sends them again.
 */

#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <pthread.h>
#include <stdio.h>

#include "null_target.h"


static pthread_mutex_t   null_record_mutex = PTHREAD_MUTEX_INITIALIZER;
static FILE             *null_file;
static int               null_file_failed;


int
null_record(const char *path)
{
    int  rc;

    (void) pthread_mutex_lock(&null_record_mutex);

    rc = 0;

    if (null_file) {
        rc = fclose(null_file) != 0 || null_file_failed ? -1 : 0;
        null_file = NULL;
    }

    if (path) {
        null_file_failed = 0;
        null_file = fopen(path, "wb");
        rc = null_file ? rc : -1;
    }

    (void) pthread_mutex_unlock(&null_record_mutex);

    return rc;
}


void
null_record_request(grpc_byte_buffer *request)
{
    uint64_t                  len;
    grpc_slice               *slice;
    grpc_byte_buffer_reader   reader;

    (void) pthread_mutex_lock(&null_record_mutex);

    if (null_file == NULL
        || !grpc_byte_buffer_reader_init(&reader, request))
    {
        (void) pthread_mutex_unlock(&null_record_mutex);
        return;
    }

    len = grpc_byte_buffer_length(request);

    if (fwrite(&len, sizeof(len), 1, null_file) != 1) {
        null_file_failed = 1;
    }

    while (grpc_byte_buffer_reader_peek(&reader, &slice)) {
        if (fwrite(GRPC_SLICE_START_PTR(*slice), 1, GRPC_SLICE_LENGTH(*slice),
                   null_file)
            != GRPC_SLICE_LENGTH(*slice))
        {
            null_file_failed = 1;
        }
    }

    grpc_byte_buffer_reader_destroy(&reader);
    (void) pthread_mutex_unlock(&null_record_mutex);
}
