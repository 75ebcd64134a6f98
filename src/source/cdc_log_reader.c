/*
 * The readers there are, and what they share.  A source's object has one
 * member that bears the name of its reader.
 */

#include <jansson.h>

#include "cdc_log_reader.h"


static const cdc_log_reader_ops_t  *cdc_log_readers[] = {
    &cdc_rocksmq_reader,
    &cdc_kafka_reader
};


const cdc_log_reader_ops_t *
cdc_log_reader_of(const void *conf)
{
    size_t  i;

    for (i = 0; i < sizeof(cdc_log_readers) / sizeof(cdc_log_readers[0]);
         i++)
    {
        if (json_object_get(conf, cdc_log_readers[i]->name) != NULL) {
            return cdc_log_readers[i];
        }
    }

    return NULL;
}


int
cdc_log_parse_id(cdc_span_t id, cdc_pos_t *pos)
{
    int       i;
    uint64_t  n;

    if (id.len != 8) {
        return CDC_ERROR;
    }

    n = 0;

    for (i = 7; i >= 0; i--) {
        n = n << 8 | id.data[i];
    }

    pos->hi = 0;
    pos->lo = (n >> 63) ? 0 : n;         /* -1: before the first one */

    return CDC_OK;
}
