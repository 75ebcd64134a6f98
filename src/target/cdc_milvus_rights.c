/*
 * What may the task's user do on the target?
 *
 * Milvus checks the privilege of a call before it looks at its arguments.  So
 * each call that a task needs is made without a name: who may not make it is
 * told so, and for all others the name is missing.  Nothing can be done to
 * what has no name.  (Seen on 2.3.5; where no authorization is on, no call is
 * denied.)
 */

#include <stdio.h>
#include <string.h>

#include "cdc_milvus_int.h"


#define CDC_MILVUS_RIGHTS_MS   2000      /* all calls */
#define CDC_MILVUS_GRPC_DENIED 7
#define CDC_MILVUS_MERR_DENIED 1401


typedef struct {
    const char  *call;
    int32_t      type;
    unsigned     rbac:1;                 /* needed for users and roles only */
} cdc_milvus_right_t;


static const cdc_milvus_right_t  cdc_milvus_rights_needed[] = {
    { "CreateDatabase", CDC_MSG_CREATE_DATABASE, 0 },
    { "CreateCollection", CDC_MSG_CREATE_COLLECTION, 0 },
    { "DropCollection", CDC_MSG_DROP_COLLECTION, 0 },
    { "CreatePartition", CDC_MSG_CREATE_PARTITION, 0 },
    { "LoadCollection", CDC_MSG_LOAD_COLLECTION, 0 },
    { "ReleaseCollection", CDC_MSG_RELEASE_COLLECTION, 0 },
    { "CreateRole", CDC_MILVUS_CREATE_ROLE, 1 }
};

#define CDC_MILVUS_NRIGHTS                                                    \
    (sizeof(cdc_milvus_rights_needed) / sizeof(cdc_milvus_rights_needed[0]))


int
cdc_milvus_rights(cdc_target_t *t, int rbac, char *lacks, size_t size,
    unsigned *n, cdc_target_error_t *err)
{
    int                        rc;
    char                       method[128];
    size_t                     i, len;
    uint64_t                   now, end;
    cdc_chain_t               *c;
    const cdc_milvus_right_t  *right;

    *n = 0;
    lacks[0] = '\0';
    len = 0;
    end = cdc_now_ms() + CDC_MILVUS_RIGHTS_MS;

    for (i = 0; i < CDC_MILVUS_NRIGHTS; i++) {
        right = &cdc_milvus_rights_needed[i];

        if (right->rbac && !rbac) {
            continue;
        }

        (void) snprintf(method, sizeof(method), "%s%s", CDC_MILVUS_SERVICE,
                        right->call);

        now = cdc_now_ms();
        c = cdc_milvus_request(right->type, 0, 0);
        rc = cdc_milvus_call(t, method, NULL, c, CDC_OK, CDC_MILVUS_PLAIN,
                             now < end ? (unsigned) (end - now) : 1, NULL,
                             NULL, err);

        if (rc == CDC_ERROR && err->transport
            && err->class != CDC_TARGET_DENIED)
        {
            return CDC_ERROR;
        }

        if (rc == CDC_OK
            || err->code != (err->transport ? CDC_MILVUS_GRPC_DENIED
                                            : CDC_MILVUS_MERR_DENIED))
        {
            continue;
        }

        ++*n;

        if (len < size) {
            len += (size_t) snprintf(lacks + len, size - len, "%s%s",
                                     len ? ", " : "", right->call);
        }
    }

    return CDC_OK;
}
