/*
 * A record of the store's LevelDB: whatever its bytes are, it becomes a task
 * that can be shown, and one that was read is written as it was.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_store.h"


int  LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                      *text, *again;
    size_t                     need;
    cdc_stored_t              *t, *u;
    static cdc_task_record_t   record;

    cdc_log_init("", NULL, CDC_LOG_EMERG);

    t = cdc_stored_load(cdc_span("id"), cdc_span_n(data, size));

    if (t == NULL) {
        abort();
    }

    if (cdc_stored_record(t, &record, &need) == CDC_ERROR
        || record.list_len >= CDC_DOC_MAX
        || memchr(t->reason, '\0', sizeof(t->reason)) == NULL)
    {
        abort();
    }

    if (t->request != NULL) {
        text = cdc_stored_dump(t);
        u = cdc_stored_load(cdc_span("id"), cdc_span_n(text, strlen(text)));
        again = cdc_stored_dump(u);

        if (u->request == NULL || strcmp(text, again) != 0) {
            abort();
        }

        cdc_stored_free(u);
        free(again);
        free(text);
    }

    cdc_stored_free(t);

    return 0;
}
