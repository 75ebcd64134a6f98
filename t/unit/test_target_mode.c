/*
 * Standalone or distributed?  A target that tells is believed, one that does
 * not is taken for a standalone one, and greeted all the same.  It is asked
 * once, and again when a lane's connection has broken.
 */

#include "target_server.h"

#include "milvus_service.pb-c.h"
#include "tap.h"


#define SLOW_MS      2000
#define UNAVAILABLE  14


/* how the server behaves */

static struct {
    const char  *mode;                   /* NULL: no ServerInfo */
    int          status;                 /* gRPC's, of Connect */
    int          refuses;                /* Status.code of it */
    int          damaged, slow;
    int          broken;                 /* gRPC's status of a lane's request */
    int          asked;                  /* Connect; atomic */
} server;

static const char  *name;                /* of who called last */


static size_t
connect_answer(const uint8_t *request, size_t len, uint8_t *out)
{
    size_t                            n;
    Milvus__Common__Status            st;
    Milvus__Common__ServerInfo        info;
    Milvus__Service__ConnectRequest  *in;
    Milvus__Service__ConnectResponse  r;

    in = milvus__service__connect_request__unpack(NULL, len, request);
    name = in && in->client_info && in->client_info->sdk_type[0] ? "named"
                                                                 : "nobody";
    milvus__service__connect_request__free_unpacked(in, NULL);

    if (server.damaged) {
        memcpy(out, "\x12\x02\x2a\x05", 4);
        return 4;
    }

    milvus__common__status__init(&st);
    milvus__common__server_info__init(&info);
    milvus__service__connect_response__init(&r);

    st.code = server.refuses;
    info.deploy_mode = (char *) server.mode;
    r.status = &st;
    r.server_info = server.mode ? &info : NULL;
    n = milvus__service__connect_response__pack(&r, out);

    return n;
}


static int
answer(const char *method, const uint8_t *request, size_t len, uint8_t *out,
    size_t *n)
{
    Milvus__Service__StatusOnly              st;
    Milvus__Service__AllocTimestampResponse  now;

    if (strcmp(method, "Connect") == 0) {
        (void) __atomic_add_fetch(&server.asked, 1, __ATOMIC_SEQ_CST);

        if (server.slow) {
            (void) usleep(SLOW_MS * 1000);
        }

        *n = server.status ? 0 : connect_answer(request, len, out);

        return server.status;
    }

    if (strcmp(method, "AllocTimestamp") == 0) {
        milvus__service__alloc_timestamp_response__init(&now);
        now.timestamp = cdc_ms_tso(cdc_wall_ms());
        *n = milvus__service__alloc_timestamp_response__pack(&now, out);
        return 0;
    }

    milvus__service__status_only__init(&st);
    *n = milvus__service__status_only__pack(&st, out);

    return strcmp(method, "ReplicateMessage") == 0 ? server.broken : 0;
}


static int
hello(void)
{
    int                 rc;
    cdc_target_info_t   info;
    cdc_target_error_t  e;

    memset(&info, 0xff, sizeof(info));
    rc = cdc_milvus_target.hello(target, &info, &e);

    return rc == CDC_OK && info.replicate ? info.distributed : -1;
}


/* ---- a request of a lane --- */

static void
on_sent(void *arg, int rc, const cdc_target_error_t *err)
{
    *(int *) arg = rc == CDC_OK || !err->transport;
    cdc_loop_stop(target_loop);
}


static int
send_one(int status)
{
    int                 whole;
    char                err[CDC_REASON_MAX];
    cdc_chain_t        *c;
    cdc_target_lane_t  *lane;

    whole = -1;
    server.broken = status;
    lane = cdc_milvus_target.lane_open(target, err);
    c = cdc_chain_create();

    if (cdc_milvus_target.send(lane, c, on_sent, &whole) == CDC_OK) {
        (void) cdc_loop_run(target_loop);
    }

    cdc_chain_unref(c);
    cdc_milvus_target.lane_close(lane);
    server.broken = 0;

    return whole;
}


/* what the target becomes, as after an outage */

static void
becomes(const char *mode)
{
    memset(&server, 0, sizeof(server));
    (void) send_one(UNAVAILABLE);
    server.mode = mode;
}


static void
test_words(void)
{
    unsigned  i;

    static const char  *others[] = {
        "STANDALONE", "", "CLUSTER", "distributed", "DISTRIBUTED-STANDALONE"
    };

    becomes("DISTRIBUTED");
    is_int(hello(), 1, "it tells that it is distributed");
    is_str(name, "named", "and is told who asks");

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        becomes(others[i]);
        ok(hello() == 0, "\"%s\" is not that word", others[i]);
    }

    becomes(NULL);
    is_int(hello(), 0, "nor when it says nothing");
}


static void
test_errors(void)
{
    uint64_t  begin;

    becomes("DISTRIBUTED");
    server.status = 12;
    is_int(hello(), 0, "a target without that call is greeted");
    server.status = 7;
    is_int(hello(), 0, "and one that denies it");
    server.status = UNAVAILABLE;
    is_int(hello(), 0, "and one that just then went away");
    server.status = 0;
    server.refuses = 800;
    is_int(hello(), 0, "and one that refuses it");
    server.refuses = 0;
    is_int(hello(), 1, "it is asked again with the next greeting");
    is_int(server.asked, 5, "each time");

    becomes("DISTRIBUTED");
    server.damaged = 1;
    is_int(hello(), 0, "an answer that cannot be read says nothing");

    becomes("DISTRIBUTED");
    server.slow = 1;
    begin = cdc_now_ms();
    is_int(hello(), 0, "nor does one that does not come");
    ok(cdc_now_ms() - begin < SLOW_MS, "which is not waited for");
}


static void
test_once(void)
{
    becomes("DISTRIBUTED");
    is_int(hello(), 1, "greeted");
    is_int(hello(), 1, "greeted once more: it is the same");
    is_int(send_one(0), 1, "a lane sends");
    server.mode = "STANDALONE";
    is_int(hello(), 1, "nothing broke");
    is_int(server.asked, 1, "so it was asked once");

    is_int(send_one(UNAVAILABLE), 0, "a connection breaks");
    is_int(hello(), 0, "another target is there");
    is_int(server.asked, 2, "it was asked");

    is_int(send_one(UNAVAILABLE), 0, "a connection breaks");
    server.mode = "DISTRIBUTED";
    is_int(hello(), 1, "and back");
}


int
main(void)
{
    target_begin(answer);

    test_words();
    test_errors();
    test_once();

    target_end();

    return done_testing();
}
