/*
 * What etcd answers: lists, watches, and the catalogue that is made of them.
 *
 * Input: the answers (fuzz_grpc.h).  Revisions come whole and in their order,
 * and what is told of them can be read while it is told.
 */

#include <errno.h>
#include <jansson.h>

#include "fuzz_grpc.h"
#include "source/cdc_etcd_int.h"


static const cdc_etcd_keys_t  fuzz_keys[] = {
    { "by-dev/meta/field-index/", "by-dev/meta/field-index0", 0 },
    { "by-dev/meta/root-coord/", "by-dev/meta/root-coord0", 0 },
    { "by-dev/meta/snapshots/", "by-dev/meta/snapshots0", 1 }
};


typedef struct {
    cdc_loop_t  *loop;
    int64_t      revision;               /* that has been told */
    size_t       sum;
    int          down;
} fuzz_told_t;


static fuzz_told_t  fuzz_told;
static cdc_post_t   fuzz_stop;


static void
fuzz_end(cdc_post_t *post)
{
    cdc_loop_stop(post->data);
}


/* instead of libc's: what is waited for before the next try is over */

int
pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
    const struct timespec *when)
{
    return ETIMEDOUT;
}


static void
fuzz_batch(void *arg, const cdc_etcd_batch_t *b)
{
    size_t                i, k;
    fuzz_told_t          *told = arg;
    const cdc_etcd_kv_t  *kv;

    switch (b->kind) {

    case CDC_ETCD_DOWN:
        fuzz_check(b->text != NULL && fuzz_is_text(b->text));
        cdc_loop_stop(told->loop);
        return;

    case CDC_ETCD_EVENTS:
        fuzz_check(b->n != 0 && b->revision > told->revision);
        told->revision = b->revision;
        break;

    case CDC_ETCD_LIST:
        told->revision = b->revision;
        break;

    default:
        return;
    }

    for (i = 0; i < b->n; i++) {
        kv = &b->kvs[i];

        fuzz_check(b->kind != CDC_ETCD_EVENTS
                   || kv->mod_revision == b->revision);

        for (k = 0; k < kv->key.len; k++) {
            told->sum += kv->key.data[k];
        }

        for (k = 0; k < kv->value.len; k++) {
            told->sum += kv->value.data[k];
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                err[CDC_REASON_MAX];
    cdc_etcd_follow_t  *f;

    static json_t      *conf;

    if (conf == NULL) {
        cdc_log_init("", NULL, CDC_LOG_EMERG);
        conf = json_pack("{s:[s], s:s, s:s}", "endpoints",
                         "http://127.0.0.1:2379", "user", "u", "password",
                         "p");
    }

    fuzz_answers = cdc_span_n(data, size);

    memset(&fuzz_told, 0, sizeof(fuzz_told));
    fuzz_told.loop = cdc_loop_create();
    memset(&fuzz_stop, 0, sizeof(fuzz_stop));
    fuzz_stop.handler = fuzz_end;
    fuzz_stop.data = fuzz_told.loop;

    f = cdc_etcd_follow(fuzz_told.loop, conf, fuzz_keys, 3, fuzz_batch,
                        &fuzz_told, err);
    fuzz_check(f != NULL);
    (void) cdc_loop_run(fuzz_told.loop);
    cdc_etcd_close(f);

    /* what it has told in the end */

    cdc_loop_post(fuzz_told.loop, &fuzz_stop);
    (void) cdc_loop_run(fuzz_told.loop);
    cdc_loop_destroy(fuzz_told.loop);
    fuzz_check(fuzz_open == 0);

    return 0;
}
