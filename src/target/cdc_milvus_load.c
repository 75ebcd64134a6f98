/*
 * A Milvus cluster as the target: what is loaded.
 */

#include <stdlib.h>

#include "milvus_service.pb-c.h"

#include "cdc_milvus_int.h"


#define CDC_MILVUS_NOT_LOADED  1         /* common.LoadState */


int
cdc_milvus_loaded(cdc_target_t *t, const char *db, const char *name,
    const char *partition, int *loaded, cdc_target_error_t *err)
{
    int                                     rc;
    size_t                                  len;
    uint8_t                                *answer;
    cdc_chain_t                            *c;
    Milvus__Service__GetLoadStateResponse  *r;

    db = cdc_milvus_db(db);

    c = cdc_milvus_request(0, 0, 0);
    rc = cdc_milvus_string(c, 2, name);
    rc |= cdc_milvus_string(c, 3, partition);
    rc |= cdc_milvus_string(c, 4, db);

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "GetLoadState", db, c, rc,
                         CDC_MILVUS_NESTED, CDC_MILVUS_TIMEOUT, &answer, &len,
                         err);
    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    r = milvus__service__get_load_state_response__unpack(NULL, len, answer);
    free(answer);

    if (r == NULL) {
        return cdc_milvus_damaged(err, "GetLoadState");
    }

    *loaded = r->state > CDC_MILVUS_NOT_LOADED;
    milvus__service__get_load_state_response__free_unpacked(r, NULL);

    return CDC_OK;
}
