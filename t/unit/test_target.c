/*
 * The Milvus target: connection parameters, classes of errors; and, with
 * TEST_CDC_TARGET (a follower's address; TEST_CDC_TARGET_TOKEN and _CA where
 * it needs them) and TEST_CDC_SOURCE (a normal instance), the real thing.
 */

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "milvus_service.pb-c.h"
#include "tap.h"
#include "target/cdc_milvus_int.h"


static cdc_loop_t  *loop;


/* ---- parameters ---------------------------------------------------- */

static const char *
parsed(const char *json)
{
    static char        text[2 * CDC_REASON_MAX];
    char               err[CDC_REASON_MAX];
    cdc_target_conf_t  c;

    if (cdc_target_conf_parse(&c, json, strlen(json), err) != CDC_OK) {
        (void) snprintf(text, sizeof(text), "! %s", err);
        return text;
    }

#define S(s)  ((s) != NULL ? (s) : "-")

    (void) snprintf(text, sizeof(text), "%s %s %s tls=%d %u ca=%s cert=%s "
                    "key=%s name=%s", S(c.address), S(c.identity),
                    S(c.authorization), c.tls, c.connect_timeout_ms,
                    S(c.ca_path), S(c.cert_path), S(c.key_path),
                    S(c.server_name));
#undef S

    cdc_target_conf_free(&c);

    return text;
}


static void
test_conf_good(void)
{
    is_str(parsed("{\"uri\":\"http://localhost:19530\","
                  "\"token\":\"root:Milvus\",\"connect_timeout\":10}"),
           "localhost:19530 http://localhost:19530 cm9vdDpNaWx2dXM= tls=0 "
           "10000 ca=- cert=- key=- name=-", "conf: current generation");
    is_str(parsed("{\"host\":\"localhost\",\"port\":19530,"
                  "\"username\":\"root\",\"password\":\"Milvus\","
                  "\"enable_tls\":false,\"connect_timeout\":10}"),
           "localhost:19530 http://localhost:19530 cm9vdDpNaWx2dXM= tls=0 "
           "10000 ca=- cert=- key=- name=-", "conf: earlier generation");
    is_str(parsed("{\"uri\":\"HTTPS://a.b/\",\"token\":\"k\"}"),
           "a.b:443 HTTPS://a.b/ aw== tls=1 5000 ca=- cert=- key=- name=-",
           "conf: https, default port, API key");
    is_str(parsed("{\"uri\":\"http://h\"}"),
           "h:19530 http://h - tls=0 5000 ca=- cert=- key=- name=-",
           "conf: http, default port, no login");
    is_str(parsed("{\"uri\":\"h:1\"}"),
           "h:1 h:1 - tls=0 5000 ca=- cert=- key=- name=-",
           "conf: without a scheme");
    is_str(parsed("{\"uri\":\"http://[::1]:7\",\"token\":\"ab\"}"),
           "[::1]:7 http://[::1]:7 YWI= tls=0 5000 ca=- cert=- key=- name=-",
           "conf: IPv6");
    is_str(parsed("{\"host\":\"::1\",\"enable_tls\":true,"
                  "\"connect_timeout\":0,\"uri\":\"\"}"),
           "[::1]:19530 https://[::1]:19530 - tls=1 5000 ca=- cert=- key=- "
           "name=-", "conf: IPv6 host, TLS, timeout 0");
    is_str(parsed("{\"uri\":\"https://h:2\",\"dial_config\":{"
                  "\"server_name\":\"n\",\"server_pem_path\":\"/s\"}}"),
           "h:2 https://h:2 - tls=1 5000 ca=/s cert=- key=- name=n",
           "conf: the server's certificate");
    is_str(parsed("{\"uri\":\"http://h:2\",\"dial_config\":{"
                  "\"ca_pem_path\":\"/c\",\"server_pem_path\":\"/s\","
                  "\"client_pem_path\":\"/p\",\"client_key_path\":\"/k\"}}"),
           "h:2 http://h:2 - tls=1 5000 ca=/c cert=/p key=/k name=-",
           "conf: mutual TLS");
    is_str(parsed("{\"uri\":\"http://h:2\",\"dial_config\":{}}"),
           "h:2 http://h:2 - tls=0 5000 ca=- cert=- key=- name=-",
           "conf: an empty dial_config");
}


static void
test_conf_bad(void)
{
    size_t       i;
    const char  *got;

    static const char  *bad[][2] = {
        { "x", "JSON" },
        { "[]", "must be an object" },
        { "{}", "\"uri\" is missing" },
        { "{\"uri\":1}", "\"uri\" must be a string" },
        { "{\"uri\":\"ftp://h\"}", "http://" },
        { "{\"uri\":\"http://\"}", "host" },
        { "{\"uri\":\"http://:1\"}", "host" },
        { "{\"uri\":\"http://a b\"}", "host" },
        { "{\"uri\":\"http://h:0\"}", "port" },
        { "{\"uri\":\"http://h:65536\"}", "port" },
        { "{\"uri\":\"http://h:\"}", "port" },
        { "{\"uri\":\"http://h:1x\"}", "port" },
        { "{\"uri\":\"http://[::1\"}", "]" },
        { "{\"uri\":\"http://[::1]x\"}", "port" },
        { "{\"uri\":\"http://[h]:1\"}", "host" },
        { "{\"uri\":\"http://h:1/db\"}", "after the port" },
        { "{\"uri\":\"http://u:sesame@h:1\"}", "token" },
        { "{\"host\":\"h\",\"port\":\"1\"}", "\"port\"" },
        { "{\"host\":\"h\",\"port\":0}", "\"port\"" },
        { "{\"host\":\"h/x\"}", "\"host\"" },
        { "{\"host\":\"h\",\"username\":\"sesame\"}", "\"password\"" },
        { "{\"host\":\"h\",\"password\":\"sesame\"}", "\"username\"" },
        { "{\"host\":\"h\",\"enable_tls\":1}", "\"enable_tls\"" },
        { "{\"uri\":\"h\",\"connect_timeout\":-1}", "\"connect_timeout\"" },
        { "{\"uri\":\"h\",\"connect_timeout\":1.5}", "\"connect_timeout\"" },
        { "{\"uri\":\"h\",\"token\":{\"x\":\"sesame\"}}", "\"token\"" },
        { "{\"uri\":\"h\",\"dial_config\":1}", "\"dial_config\"" },
        { "{\"uri\":\"h\",\"dial_config\":{\"client_pem_path\":\"/p\"}}",
          "\"client_key_path\"" },
        { "{\"uri\":\"h\",\"dial_config\":{\"ca_pem_path\":1}}",
          "\"ca_pem_path\"" }
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        got = parsed(bad[i][0]);
        ok(got[0] == '!' && strstr(got, bad[i][1]) != NULL
           && strstr(got, "sesame") == NULL, "conf: %s: %s", bad[i][0], got);
    }
}


/* ---- classes ------------------------------------------------------- */

static int
class_of(int32_t code, int32_t legacy, const char *reason,
    cdc_milvus_answer_e kind, cdc_target_error_t *err)
{
    int                          rc;
    size_t                       len;
    uint8_t                      buf[512];
    Milvus__Common__Status       st = MILVUS__COMMON__STATUS__INIT;
    Milvus__Service__StatusOnly  so = MILVUS__SERVICE__STATUS_ONLY__INIT;

    st.code = code;
    st.error_code = legacy;
    st.reason = (char *) reason;
    so.status = &st;

    len = kind == CDC_MILVUS_PLAIN ? milvus__common__status__pack(&st, buf)
                          : milvus__service__status_only__pack(&so, buf);

    rc = cdc_milvus_status(buf, len, kind, err);

    return rc == CDC_OK ? 0 : (int) err->class;
}


/*
 * What an answer means, to an operation and on a lane (t/FAULTS.md): only
 * REFUSED may ever pause a task.  A code that nobody knows is tried again.
 */

typedef struct {
    int32_t              code, legacy;
    cdc_target_class_e   plain, lane;
    const char          *cure;
    const char          *name;
} row_t;

static const row_t  rows[] = {
    { 1, 0, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL, "not ready" },
    { 2, 0, CDC_TARGET_DOUBT, CDC_TARGET_DOUBT, NULL, "unavailable" },
    { 3, 0, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL, "memory limit" },
    { 4, 0, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL, "too many requests" },
    { 7, 0, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL, "disk quota" },
    { 8, 0, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL, "rate limit" },
    { 9, 0, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL, "denies writing" },
    { 65544, 49, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL,
      "rate limit, early 2.3" },
    { 0, 48, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL, "2.2: quota" },
    { 0, 53, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL, "2.2: memory" },
    { 0, 54, CDC_TARGET_RETRY, CDC_TARGET_RETRY, NULL, "2.2: disk" },
    { 102, 0, CDC_TARGET_RETRY, CDC_TARGET_DOUBT, NULL,
      "too many collections" },
    { 801, 0, CDC_TARGET_RETRY, CDC_TARGET_DOUBT, NULL,
      "too many databases" },
    { 905, 0, CDC_TARGET_RETRY, CDC_TARGET_DOUBT, NULL, "no node" },
    { 1000, 0, CDC_TARGET_RETRY, CDC_TARGET_DOUBT, NULL,
      "the storage fails, is full" },
    { 1302, 0, CDC_TARGET_DOUBT, CDC_TARGET_DOUBT, NULL, "its queue" },
    { 1400, 0, CDC_TARGET_DENIED, CDC_TARGET_DENIED, "token", "login" },
    { 1401, 0, CDC_TARGET_DENIED, CDC_TARGET_DENIED, "rights", "rights" },
    { 1800, 0, CDC_TARGET_DENIED, CDC_TARGET_DENIED, "token", "password" },
    { 0, 3, CDC_TARGET_DENIED, CDC_TARGET_DENIED, "rights", "2.2: rights" },
    { 1900, 0, CDC_TARGET_DENIED, CDC_TARGET_DENIED, "ttMsgEnabled",
      "no follower" },
    { 10, 0, CDC_TARGET_DENIED, CDC_TARGET_DENIED, "2.3 to 2.5",
      "too old" },
    { 100, 0, CDC_TARGET_NOT_FOUND, CDC_TARGET_NOT_FOUND, NULL,
      "no collection" },
    { 1100, 0, CDC_TARGET_REFUSED, CDC_TARGET_REFUSED, NULL, "parameter" },
    { 1901, 0, CDC_TARGET_REFUSED, CDC_TARGET_REFUSED, NULL, "message" },
    { 10000, 0, CDC_TARGET_DOUBT, CDC_TARGET_DOUBT, NULL, "cancelled" },
    { 10001, 0, CDC_TARGET_DOUBT, CDC_TARGET_DOUBT, NULL, "timed out" },
    { 64999, 0, CDC_TARGET_RETRY, CDC_TARGET_DOUBT, NULL,
      "a code of a later version" }
};


static void
test_table(void)
{
    size_t               i;
    const row_t         *row;
    cdc_target_error_t   e;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        row = &rows[i];

        ok(class_of(row->code, row->legacy, "x", CDC_MILVUS_LANE, &e)
           == (int) row->lane, "class on a lane: %s", row->name);
        ok(class_of(row->code, row->legacy, "x", CDC_MILVUS_PLAIN, &e)
           == (int) row->plain
           && (row->cure ? strstr(e.text, row->cure) != NULL
                         : strstr(e.text, "cure") == NULL),
           "class: %s: %s", row->name, e.text);
    }
}


static void
test_transport(void)
{
    size_t              i;
    cdc_grpc_error_t    ge;
    cdc_target_error_t  e;

    static const struct {
        int                  status;
        unsigned             unsent;
        const char          *text, *cure;
        cdc_target_class_e   class;
    } t[] = {
        { 14, 0, "Socket closed", NULL, CDC_TARGET_DOUBT },
        { 14, 1, "failed to connect", NULL, CDC_TARGET_RETRY },
        { 4, 0, "Deadline Exceeded", NULL, CDC_TARGET_DOUBT },
        { 8, 0, "too many streams", NULL, CDC_TARGET_DOUBT },
        { 8, 0, "grpc: received message larger than max (9 vs. 4)",
          "serverMaxRecvSize", CDC_TARGET_REFUSED },
        { 16, 0, "auth check failure", "token", CDC_TARGET_DENIED },
        { 7, 0, "PrivilegeInsert: permission deny", "rights",
          CDC_TARGET_DENIED },
        { 12, 0, "unknown method", "2.3 to 2.5", CDC_TARGET_DENIED },
        { 14, 1, "Ssl handshake failed: certificate verify failed",
          "ca_pem_path", CDC_TARGET_DENIED },
        { 13, 0, "internal", NULL, CDC_TARGET_DOUBT }
    };

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        memset(&ge, 0, sizeof(ge));
        ge.status = t[i].status;
        ge.unsent = t[i].unsent;
        (void) snprintf(ge.text, sizeof(ge.text), "%s", t[i].text);

        cdc_milvus_transport(&ge, &e);
        ok(e.class == t[i].class && e.transport
           && (t[i].cure == NULL || strstr(e.text, t[i].cure) != NULL),
           "class: %s", e.text);
    }
}


static void
test_classes(void)
{
    cdc_target_error_t  e;

#define PLAIN(c, l, r)  class_of(c, l, r, CDC_MILVUS_PLAIN, &e)
#define LANE(c, l, r)   class_of(c, l, r, CDC_MILVUS_LANE, &e)

    is_int(PLAIN(0, 0, ""), 0, "class: success");
    is_int(class_of(0, 0, "", CDC_MILVUS_NESTED, &e), 0, "class: nested");
    is_int(PLAIN(100, 4, "x"), CDC_TARGET_NOT_FOUND, "class: 100");
    is_int(PLAIN(0, 4, "x"), CDC_TARGET_NOT_FOUND, "class: legacy 4");
    is_int(PLAIN(0, 1, "x"), CDC_TARGET_REFUSED, "class: legacy 1");
    is_int(PLAIN(65535, 1, "partition cannot be dropped, partition is "
                 "loaded, please release it first"), CDC_TARGET_REFUSED,
           "class: partition loaded");
    is_int(PLAIN(65535, 1, "empty grpc client: find no available rootcoord, "
                 "check rootcoord state"), CDC_TARGET_RETRY,
           "class: a part of the target is away");
    is_int(PLAIN(65535, 1, "attempt #0: rpc error: code = Unavailable desc = "
                 "rootcoord not found"), CDC_TARGET_DOUBT,
           "class: a part of the target goes away");
    is_int(PLAIN(65535, 1, "etcdserver: mvcc: database space exceeded"),
           CDC_TARGET_DOUBT, "class: the target's etcd is full");
    is_int(PLAIN(65535, 1, "write /x: no space left on device"),
           CDC_TARGET_RETRY, "class: the target's disk is full");
    is_int(PLAIN(65535, 1, "database already exist: d1"), CDC_TARGET_EXISTS,
           "class: database exists");
    is_int(PLAIN(65535, 1, "database:d1 not found"), CDC_TARGET_NOT_FOUND,
           "class: no such database");
    is_int(LANE(65535, 1, "anything"), CDC_TARGET_DOUBT,
           "class: lane, anything else is in doubt");
    is_int(LANE(700, 1, "index"), CDC_TARGET_DOUBT,
           "class: lane, a code that says nothing about producing");
    is_int(LANE(65535, 1, "getSegmentID failed: x"), CDC_TARGET_RETRY,
           "class: lane, no segment");
    is_int(cdc_milvus_status((const uint8_t *) "\x0a\x7f", 2,
                             CDC_MILVUS_LANE, &e), CDC_ERROR,
           "class: damaged answer");
    is_int(e.class, CDC_TARGET_DOUBT, "class: damaged answer, in doubt");
}


#include "target_real.h"


int
main(void)
{
    cdc_log_init("", NULL, CDC_LOG_NOTICE);

    test_conf_good();
    test_conf_bad();
    test_classes();
    test_table();
    test_transport();

    loop = cdc_loop_create();
    cdc_grpc_init(loop);

    test_away();

    if (getenv("TEST_CDC_TARGET") == NULL) {
        ok(1, "skip: TEST_CDC_TARGET is not set # SKIP needs a Milvus");

    } else {
        test_real();
    }

    cdc_grpc_shutdown();
    cdc_loop_destroy(loop);

    return done_testing();
}
