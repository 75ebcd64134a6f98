/*
 * The readers there are.  A source's object has one member that bears the
 * name of its reader.
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
