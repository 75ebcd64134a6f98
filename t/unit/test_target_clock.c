/*
 * The target's clock, as its greeting tells it, is compared with ours at the
 * moment that it was asked for: what else the greeting asks may take seconds
 * on a busy target, and a clock that is right is not called slow for that.
 */

#include "grpc_server.h"

#include "cdc_grpc.h"
#include "cdc_runtime.h"
#include "cdc_target.h"
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
greet(cdc_target_t *target, const char *method, int64_t most)
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
    char               err[CDC_REASON_MAX], json[128];
    server_t          *s;
    cdc_loop_t        *loop;
    cdc_target_t      *target;
    cdc_target_conf_t  conf;

    cdc_log_init("", NULL, CDC_LOG_NOTICE);
    loop = cdc_loop_create();
    cdc_grpc_init(loop);

    s = server_start(NULL, 0);
    s->answer = answer;

    (void) snprintf(json, sizeof(json), "{\"uri\":\"http://127.0.0.1:%d\"}",
                    s->port);
    (void) cdc_target_conf_parse(&conf, json, strlen(json), err);
    target = cdc_milvus_target.open(&conf, err);
    cdc_target_conf_free(&conf);

    greet(target, "none", NEAR_MS);
    greet(target, "GetVersion", NEAR_MS);
    greet(target, "ReplicateMessage", NEAR_MS);

    /* nobody can know when within that call; half of it is the most */

    greet(target, "AllocTimestamp", SLOW_MS / 2 + NEAR_MS);

    cdc_milvus_target.close(target);
    server_stop(s);
    cdc_grpc_shutdown();
    cdc_loop_destroy(loop);

    return done_testing();
}
