/*
 * A Milvus cluster as the target: is there an index?
 */

#include "cdc_milvus_int.h"


int
cdc_milvus_has_index(cdc_target_t *t, const char *db, const char *name,
    const char *field, const char *index, cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    db = cdc_milvus_db(db);

    c = cdc_milvus_request(0, 0, 0);
    rc = cdc_milvus_string(c, 2, db);
    rc |= cdc_milvus_string(c, 3, name);
    rc |= cdc_milvus_string(c, 4, field);
    rc |= cdc_milvus_string(c, 5, index);

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "DescribeIndex", db, c, rc,
                         CDC_MILVUS_NESTED, CDC_MILVUS_TIMEOUT, NULL, NULL,
                         err);

    if (rc == CDC_ERROR && err->class == CDC_TARGET_NOT_FOUND) {
        return CDC_DECLINED;
    }

    return rc;
}
