/*
 * A Milvus cluster as the target: what is loaded.
 */

#include <stdlib.h>

#include "milvus_service.pb-c.h"

#include "cdc_milvus_int.h"


#define CDC_MILVUS_NOT_LOADED  1         /* common.LoadState */
#define CDC_MILVUS_CUSTOMIZED  4         /* common.ConsistencyLevel */


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


/*
 * QueryRequest of milvus.proto: it is answered when each shard has read a tick
 * of guarantee_timestamp (8) or later; what is counted does not matter.
 */

int
cdc_milvus_served(cdc_target_t *t, const char *db, const char *name,
    uint64_t ts, cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    db = cdc_milvus_db(db);

    c = cdc_milvus_request(CDC_MILVUS_RETRIEVE, 0, 0);
    rc = cdc_milvus_string(c, 2, db);
    rc |= cdc_milvus_string(c, 3, name);
    rc |= cdc_milvus_string(c, 5, "count(*)");

    if (c != NULL) {
        rc |= cdc_chain_varint_field(c, 8, ts);
        rc |= cdc_chain_varint_field(c, 11, CDC_MILVUS_CUSTOMIZED);
    }

    return cdc_milvus_call(t, CDC_MILVUS_SERVICE "Query", db, c, rc,
                           CDC_MILVUS_NESTED, CDC_SERVED_MS, NULL, NULL, err);
}
