/*
 * Errors of a Milvus target and of gRPC become classes.
 *
 * Status.code decides (merr, since 2.3); when it is 0, error_code does
 * (2.2).  2.3.5 still fills in both, and answers many refusals with 65535
 * and words only: those words are in a table of their own.
 *
 * On a lane the question is another one: may a part of the messages have been
 * produced?  Only what Milvus checks before it produces says surely no.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "milvus_service.pb-c.h"

#include "cdc_milvus_int.h"


#define CDC_MILVUS_RETRIABLE   65536     /* added to codes by early 2.3 */

#define CDC_MILVUS_SURE        1         /* checked before producing */


typedef struct {
    int32_t              code;
    cdc_target_class_e   class;
    unsigned             sure;
    const char          *cure;
} cdc_milvus_code_t;

typedef struct {
    const char          *words;          /* a part of the reason */
    cdc_target_class_e   class;
    unsigned             sure;
} cdc_milvus_words_t;


#define CDC_MILVUS_FOLLOWER                                                  \
    "set common.ttMsgEnabled to false in the target's milvus.yaml and "      \
    "restart it"

#define CDC_MILVUS_LOGIN                                                     \
    "check \"token\" (user:password) of the task"

#define CDC_MILVUS_RIGHTS                                                    \
    "the user of the task needs the rights of role admin on the target"


/*
 * Status.code.  Seen with 2.3.5: 100 (describe answers it for a database that
 * is not there, too), 200, 700 (load without an index), 1100, 1600, 1900
 * (ReplicateMessage on a normal instance), 1901 (a message without a base, or
 * of a type that it does not know).  Login and rights: see gRPC, below.
 */

static const cdc_milvus_code_t  cdc_milvus_codes[] = {
    { 1,    CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* not ready */
    { 2,    CDC_TARGET_DOUBT, 0, NULL },                /* unavailable */
    { 3,    CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* memory limit */
    { 4,    CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* request limit */
    { 7,    CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* disk limit */
    { 8,    CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* rate limit */
    { 9,    CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* quota: denied */
    { 10,   CDC_TARGET_DENIED, CDC_MILVUS_SURE,
            "the target must be Milvus 2.3 to 2.5" },
    { 100,  CDC_TARGET_NOT_FOUND, CDC_MILVUS_SURE, NULL },  /* collection */
    { 103,  CDC_TARGET_RETRY, 0, NULL },                /* not fully loaded */
    { 104,  CDC_TARGET_REFUSED, 0, NULL },              /* is loaded */
    { 200,  CDC_TARGET_NOT_FOUND, CDC_MILVUS_SURE, NULL },  /* partition */
    { 202,  CDC_TARGET_RETRY, 0, NULL },                /* not fully loaded */
    { 401,  CDC_TARGET_RETRY, 0, NULL },                /* no replica now */
    { 503,  CDC_TARGET_RETRY, 0, NULL },                /* no channel now */
    { 700,  CDC_TARGET_NOT_FOUND, 0, NULL },            /* index */
    { 702,  CDC_TARGET_EXISTS, 0, NULL },               /* index */
    { 800,  CDC_TARGET_NOT_FOUND, CDC_MILVUS_SURE, NULL },  /* database */
    { 905,  CDC_TARGET_RETRY, 0, NULL },                /* no node now */
    { 1100, CDC_TARGET_REFUSED, CDC_MILVUS_SURE, NULL },    /* parameter */
    { 1302, CDC_TARGET_DOUBT, 0, NULL },                /* queue */
    { 1400, CDC_TARGET_DENIED, CDC_MILVUS_SURE, CDC_MILVUS_LOGIN },
    { 1401, CDC_TARGET_DENIED, CDC_MILVUS_SURE, CDC_MILVUS_RIGHTS },
    { 1600, CDC_TARGET_NOT_FOUND, 0, NULL },            /* alias */
    { 1601, CDC_TARGET_EXISTS, 0, NULL },               /* a collection */
    { 1602, CDC_TARGET_EXISTS, 0, NULL },               /* alias */
    { 1800, CDC_TARGET_DENIED, CDC_MILVUS_SURE, CDC_MILVUS_LOGIN },
    { 1900, CDC_TARGET_DENIED, CDC_MILVUS_SURE, CDC_MILVUS_FOLLOWER },
    { 1901, CDC_TARGET_REFUSED, CDC_MILVUS_SURE, NULL },    /* message */
    { 1902, CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* no segment given */
    { 1903, CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* no stream */
    { 10000, CDC_TARGET_DOUBT, 0, NULL },               /* cancelled */
    { 10001, CDC_TARGET_DOUBT, 0, NULL },               /* timed out */
    { 0, 0, 0, NULL }
};


/* Status.error_code, when Status.code is 0: Milvus before 2.3 */

static const cdc_milvus_code_t  cdc_milvus_legacy[] = {
    { 3,    CDC_TARGET_DENIED, CDC_MILVUS_SURE, CDC_MILVUS_RIGHTS },
    { 4,    CDC_TARGET_NOT_FOUND, 0, NULL },            /* collection */
    { 25,   CDC_TARGET_NOT_FOUND, 0, NULL },            /* index */
    { 28,   CDC_TARGET_NOT_FOUND, 0, NULL },            /* collection */
    { 48,   CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* quota: denied */
    { 49,   CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* rate limit */
    { 53,   CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* memory */
    { 54,   CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* disk */
    { 55,   CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* time tick late */
    { 56,   CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* not ready */
    { 57,   CDC_TARGET_RETRY, CDC_MILVUS_SURE, NULL },  /* not ready */
    { 100,  CDC_TARGET_RETRY, 0, NULL },                /* no data coord */
    { 0, 0, 0, NULL }
};


/*
 * Reasons of code 65535, as 2.3.5 gives them.  Others of that code are a
 * refusal: "partition cannot be dropped, partition is loaded, please release
 * it first", "index cannot be dropped, collection is loaded, ...", "cannot
 * drop the collection via alias = a1", "database:d1 not empty, must drop all
 * collections ...", "CreateIndex failed: at most one distinct index is
 * allowed per field" (the same index again is no error).
 *
 * No error at all: a drop of what is not there (collection, partition,
 * database, alias), and a create, load or release of what is so already.
 */

static const cdc_milvus_words_t  cdc_milvus_words[] = {
    /* a part of the target is away, or its own etcd or disk: "empty grpc
     * client: find no available rootcoord, check rootcoord state" (seen for
     * minutes); first, because they name all sorts of things */
    { "find no available", CDC_TARGET_RETRY, 0 },
    { "empty grpc client", CDC_TARGET_RETRY, 0 },
    { "no space left on device", CDC_TARGET_RETRY, 0 },
    { "etcdserver: ", CDC_TARGET_DOUBT, 0 },
    { "code = Unavailable", CDC_TARGET_DOUBT, 0 },
    { "code = Canceled", CDC_TARGET_DOUBT, 0 },
    { "context deadline exceeded", CDC_TARGET_DOUBT, 0 },
    { "context canceled", CDC_TARGET_DOUBT, 0 },

    /* CreateDatabase: "database already exist: d1"; CreateRole:
     * "role [name:"r1"] already exists"; RestoreRBAC: "user [u1] already
     * exists" */
    { "already exist", CDC_TARGET_EXISTS, 0 },

    /* RenameCollection, of a collection that has the name, too */
    { "duplicated new collection name", CDC_TARGET_EXISTS, 0 },

    /* CreateCollection; for an alias of that name too */
    { "create duplicate collection with different parameters",
      CDC_TARGET_EXISTS, 0 },

    /* CreateCollection: "database:d1 not found"; OperateUserRole: "not found
     * the user, maybe the user isn't existed ..." */
    { "not found", CDC_TARGET_NOT_FOUND, 0 },

    /* ReplicateMessage reads all messages and gets a segment for each insert
     * before it produces; the second is an unknown collection, too */
    { "cannot parse invalid wire-format", CDC_TARGET_REFUSED,
      CDC_MILVUS_SURE },
    { "getSegmentID failed", CDC_TARGET_RETRY, CDC_MILVUS_SURE },
    { "empty msgs", CDC_TARGET_REFUSED, CDC_MILVUS_SURE },

    { NULL, 0, 0 }
};


void
cdc_milvus_no_memory(cdc_target_error_t *err)
{
    memset(err, 0, sizeof(cdc_target_error_t));

    err->class = CDC_TARGET_RETRY;
    err->transport = 1;
    err->code = 8;
    (void) snprintf(err->text, sizeof(err->text), "no memory");
}


int
cdc_milvus_damaged(cdc_target_error_t *err, const char *call)
{
    memset(err, 0, sizeof(cdc_target_error_t));

    err->class = CDC_TARGET_REFUSED;
    (void) snprintf(err->text, sizeof(err->text),
                    "the target's answer to %s cannot be read", call);

    return CDC_ERROR;
}


int
cdc_milvus_decline(cdc_target_error_t *err, const char *fmt, ...)
{
    va_list  args;

    memset(err, 0, sizeof(cdc_target_error_t));

    err->class = CDC_TARGET_REFUSED;

    va_start(args, fmt);
    (void) vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);

    return CDC_DECLINED;
}


static void
cdc_milvus_text(cdc_target_error_t *err, const char *reason, const char *cure)
{
    (void) snprintf(err->text, sizeof(err->text), "%.*s%s%s%s",
                    (int) sizeof(err->text) - 256, reason,
                    cure ? " (cure: " : "", cure ? cure : "",
                    cure ? ")" : "");
}


/* ---- Status -------------------------------------------------------- */

#define CDC_MILVUS_UNKNOWN  65535       /* any error without a code */


static const cdc_milvus_code_t *
cdc_milvus_find(const cdc_milvus_code_t *table, int32_t code)
{
    for ( /* void */ ; table->code != 0; table++) {
        if (table->code == code) {
            return table;
        }
    }

    return NULL;
}


static void
cdc_milvus_classify(const Milvus__Common__Status *st, cdc_milvus_answer_e kind,
    cdc_target_error_t *err)
{
    int32_t                    code;
    unsigned                   sure;
    const cdc_milvus_code_t   *row;
    const cdc_milvus_words_t  *w;

    code = st->code;

    if (code > CDC_MILVUS_RETRIABLE && code < 2 * CDC_MILVUS_RETRIABLE) {
        code -= CDC_MILVUS_RETRIABLE;
    }

    row = code != 0 ? cdc_milvus_find(cdc_milvus_codes, code)
                    : cdc_milvus_find(cdc_milvus_legacy, st->error_code);

    err->class = CDC_TARGET_REFUSED;

    sure = 0;

    if (row != NULL) {
        err->class = row->class;
        sure = row->sure;

    } else if (code != 0 && code != CDC_MILVUS_UNKNOWN) {

        /* a code of its own that we have not met: the words of another error
         * ("node not found") must not be taken for an answer */

        err->class = CDC_TARGET_RETRY;

    } else {
        for (w = cdc_milvus_words; w->words != NULL; w++) {
            if (strstr(st->reason, w->words) != NULL) {
                err->class = w->class;
                sure = w->sure;
                break;
            }
        }
    }

    if (kind == CDC_MILVUS_LANE && !sure) {
        err->class = CDC_TARGET_DOUBT;
    }

    cdc_milvus_text(err, st->reason[0] ? st->reason : "no reason given",
                    row != NULL ? row->cure : NULL);
}


int
cdc_milvus_status(const uint8_t *answer, size_t len, cdc_milvus_answer_e kind,
    cdc_target_error_t *err)
{
    Milvus__Common__Status       *st;
    Milvus__Service__StatusOnly  *outer;

    memset(err, 0, sizeof(cdc_target_error_t));

    st = NULL;
    outer = NULL;

    if (kind == CDC_MILVUS_PLAIN) {
        st = milvus__common__status__unpack(NULL, len, answer);

    } else {
        outer = milvus__service__status_only__unpack(NULL, len, answer);
    }

    if (st == NULL && outer == NULL) {
        err->class = CDC_TARGET_DOUBT;
        (void) snprintf(err->text, sizeof(err->text),
                        "the target's answer cannot be read");
        return CDC_ERROR;
    }

    if (outer != NULL) {
        st = outer->status;
    }

    if (st != NULL) {
        err->code = st->code;
        err->error_code = st->error_code;

        if (st->code != 0 || st->error_code != 0) {
            cdc_milvus_classify(st, kind, err);
        }
    }

    if (outer != NULL) {
        milvus__service__status_only__free_unpacked(outer, NULL);

    } else {
        milvus__common__status__free_unpacked(st, NULL);
    }

    return err->code != 0 || err->error_code != 0 ? CDC_ERROR : CDC_OK;
}


/* ---- gRPC ---------------------------------------------------------- */

/* StatusCode numbers of gRPC */

enum {
    CDC_GRPC_RESOURCE_EXHAUSTED = 8,
    CDC_GRPC_UNIMPLEMENTED = 12,
    CDC_GRPC_PERMISSION_DENIED = 7,
    CDC_GRPC_UNAUTHENTICATED = 16
};


int
cdc_milvus_lacks(const cdc_target_error_t *err)
{
    return err->transport && err->code == CDC_GRPC_UNIMPLEMENTED;
}


void
cdc_milvus_transport(const cdc_grpc_error_t *grpc, cdc_target_error_t *err)
{
    const char  *cure;

    memset(err, 0, sizeof(cdc_target_error_t));

    err->transport = 1;
    err->code = grpc->status;
    err->class = grpc->unsent ? CDC_TARGET_RETRY : CDC_TARGET_DOUBT;
    cure = NULL;

    switch (grpc->status) {

    case CDC_GRPC_UNAUTHENTICATED:
        err->class = CDC_TARGET_DENIED;
        cure = CDC_MILVUS_LOGIN;
        break;

    case CDC_GRPC_PERMISSION_DENIED:
        err->class = CDC_TARGET_DENIED;
        cure = CDC_MILVUS_RIGHTS;
        break;

    case CDC_GRPC_UNIMPLEMENTED:
        err->class = CDC_TARGET_DENIED;
        cure = "the target must be Milvus 2.3 to 2.5";
        break;

    case CDC_GRPC_RESOURCE_EXHAUSTED:
        if (strstr(grpc->text, "larger than max") != NULL) {
            err->class = CDC_TARGET_REFUSED;
            err->large = 1;
            cure = "raise proxy.grpc.serverMaxRecvSize of the target";
        }

        break;

    default:
        if (grpc->unsent && strstr(grpc->text, "ertificate") != NULL) {
            err->class = CDC_TARGET_DENIED;
            cure = "check \"dial_config\": ca_pem_path and server_name";
        }
    }

    cdc_milvus_text(err, grpc->text[0] ? grpc->text : "gRPC failed", cure);
}
