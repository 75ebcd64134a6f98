/*
 * The target's clock, as its greeting tells it, is compared with ours at the
 * moment that it was asked for: what else the greeting asks may take seconds
 * on a busy target, and a clock that is right is not called slow for that.
 */

#include "target_server.h"

#include "cdc_wire.h"

#include "milvus_service.pb-c.h"
#include "tap.h"


#define SLOW_MS  400
#define NEAR_MS  100


static const char  *slow;                /* the method that takes SLOW_MS */


static int
answer(const char *method, const uint8_t *request, size_t len, uint8_t *out,
    size_t *n)
{
    Milvus__Service__StatusOnly              st;
    Milvus__Service__GetVersionResponse      version;
    Milvus__Service__AllocTimestampResponse  now;

    (void) request;
    (void) len;

    if (strcmp(method, slow) == 0) {
        (void) usleep(SLOW_MS * 1000);
    }

    if (strcmp(method, "GetVersion") == 0) {
        milvus__service__get_version_response__init(&version);
        version.version = (char *) "v2.3.5";
        *n = milvus__service__get_version_response__pack(&version, out);

    } else if (strcmp(method, "AllocTimestamp") == 0) {
        milvus__service__alloc_timestamp_response__init(&now);
        now.timestamp = cdc_ms_tso(cdc_wall_ms());
        *n = milvus__service__alloc_timestamp_response__pack(&now, out);

    } else {
        milvus__service__status_only__init(&st);
        *n = milvus__service__status_only__pack(&st, out);
    }

    return 0;
}


static void
greet(const char *method, int64_t most)
{
    int64_t             off;
    cdc_target_info_t   info;
    cdc_target_error_t  e;

    slow = method;

    ok(cdc_milvus_target.hello(target, &info, &e) == CDC_OK,
       "slow is %s", method);

    off = (int64_t) (cdc_tso_ms(info.now) - cdc_wall_ms())
          - (int64_t) (info.now_at - cdc_now_ms());

    ok(off > -most && off < most, "its clock is ours (off by %lld ms)",
       (long long) off);
}


int
main(void)
{
    target_begin(answer);

    greet("none", NEAR_MS);
    greet("GetVersion", NEAR_MS);
    greet("ReplicateMessage", NEAR_MS);

    /* nobody can know when within that call; half of it is the most */

    greet("AllocTimestamp", SLOW_MS / 2 + NEAR_MS);

    target_end();

    return done_testing();
}
