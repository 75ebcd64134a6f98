/*
 * check: what of it needs no server; targets of versions that cannot be had
 * are of the test's own kind (store_process.h).
 */

#include <netinet/in.h>

#include "store_process.h"


static void
check(int fd, uint64_t id, const char *host, const char *more)
{
    char  *data;

    (void) !asprintf(&data, "{\"milvus_connect_param\":{\"uri\":"
                     "\"http://%s:1\",\"token\":\"s3cret\","
                     "\"connect_timeout\":1},\"collection_infos\":"
                     "[{\"name\":\"*\"}]%s}", host, more);
    request(fd, id, "check", data);
    free(data);
}


/* what the next answer says: "data", or NULL */

static json_t *
answer(int fd, uint64_t id, const char *name)
{
    json_t  *data;

    if (read_frame(fd, 15000) != CDC_OK || frame.type != CDC_FRAME_ANSWER
        || frame.id != id || frame.status != CDC_E_OK)
    {
        ok(0, "%s: no good answer", name);
        return NULL;
    }

    data = json_loadb((char *) payload, frame.len, 0, NULL);
    ok(strstr((char *) payload, "s3cret") == NULL, "%s: no secret", name);

    return data;
}


/* the finding of that check; an error where text is given */

static void
found(json_t *data, const char *check, const char *text, const char *cure,
    const char *name)
{
    size_t       i, n;
    json_t      *f, *list;
    const char  *said, *does;

    n = 0;
    list = json_object_get(data, "findings");

    json_array_foreach(list, i, f) {
        if (strcmp(json_string_value(json_object_get(f, "check")), check)) {
            continue;
        }

        n++;
        said = json_string_value(json_object_get(f, "text"));
        does = json_string_value(json_object_get(f, "cure"));

        if (text == NULL) {
            ok(json_is_true(json_object_get(f, "ok")), "%s: %s is fine",
               name, check);
            continue;
        }

        ok(json_is_false(json_object_get(f, "ok"))
           && strcmp(json_string_value(json_object_get(f, "level")), "error")
              == 0, "%s: %s is an error", name, check);
        ok(strstr(said, text) != NULL, "%s: \"%s\"", name, said);
        ok(does != NULL && strstr(does, cure) != NULL, "%s: \"%s\"", name,
           does != NULL ? does : "no cure");
    }

    is_int(n, 1, name);
}


/* a finding that is not well, with that in its text */

static int
has(json_t *data, const char *check, const char *text)
{
    size_t   i;
    json_t  *f;

    json_array_foreach(json_object_get(data, "findings"), i, f) {
        if (strcmp(json_string_value(json_object_get(f, "check")), check) == 0
            && json_is_false(json_object_get(f, "ok"))
            && strstr(json_string_value(json_object_get(f, "text")), text))
        {
            return 1;
        }
    }

    return 0;
}


static void
one(int fd, uint64_t id, const char *host, const char *check_name,
    const char *text, const char *cure)
{
    json_t  *data;

    check(fd, id, host, "");
    data = answer(fd, id, host);

    ok(json_is_boolean(json_object_get(data, "ok"))
       && json_is_true(json_object_get(data, "ok")) == (text == NULL),
       "%s: the verdict", host);
    found(data, check_name, text, cure, host);
    json_decref(data);
}


static void
test_targets(int fd)
{
    one(fd, 1, "good", "target.replicate", NULL, NULL);
    one(fd, 8, "later", "target.clock", NULL, NULL);
    one(fd, 2, "new", "target.version", "runs Milvus 2.6.0", "2.3, 2.4 or");
    one(fd, 3, "old", "target.version", "runs Milvus v2.2.9", "2.3, 2.4 or");
    one(fd, 4, "denies", "target.replicate", "refuses replicated",
        "common.ttMsgEnabled: false");
    one(fd, 5, "login", "target.login", "refuses the user", "token");
    one(fd, 6, "down", "target.reachable", "does not answer", "port");
    one(fd, 7, "odd", "target.reachable", "unknown method", "port");
}


/* the worker's complaints become findings, in its words */

static void
test_complaints(int fd)
{
    int      n;
    char    *text;
    json_t  *data;

    n = asprintf(&text, "{\"request_type\":\"check\",\"source\":\"main\","
                 "\"request_data\":{\"milvus_connect_param\":{\"uri\":"
                 "\"http://good:1\"}},\"complaints\":[[%d,\"none\"],"
                 "[%d,\"gap?\"],[99999,\"x\"],[0,\"x\"]]}",
                 CDC_E_NO_COLLECTION, CDC_E_LOG_GAP_POLICY);
    write_frame(fd, CDC_FRAME_REQUEST, 20, text, n);
    free(text);

    data = answer(fd, 20, "complaints");
    found(data, "request.collections", "none", "collection_infos",
          "a complaint");
    found(data, "request.log_gap", "gap?", "earliest", "another");
    found(data, "target.reachable", NULL, NULL, "and the target is looked at");
    json_decref(data);

    request(fd, 21, "check", "{\"milvus_connect_param\":{}}");
    data = answer(fd, 21, "no address");
    found(data, "request.target", "uri", "http://host:port", "no address");
    json_decref(data);
}


static void
test_tasks(int fd)
{
    char     id[8];
    int      i;
    json_t  *data;

    create(fd, 30, "t0", "good");
    shows("t0", CDC_TASK_RUNNING, "", "a task");
    ack();
    answers(fd, 30, CDC_E_OK, "{\"task_id\":\"t0\"}", "a task");

    check(fd, 31, "good", "");
    data = answer(fd, 31, "overlap");
    found(data, "tasks.overlap", "duplicate", "exclude_collections",
          "what a task follows");
    found(data, "tasks.limit", NULL, NULL, "there is room");
    json_decref(data);

    for (i = 1; i < max_tasks; i++) {
        (void) snprintf(id, sizeof(id), "t%d", i);
        create(fd, 40 + (uint64_t) i, id, i == 1 ? "other" : "third");
        shows(id, CDC_TASK_RUNNING, "", "one more");
        ack();
        (void) read_frame(fd, 5000);
    }

    check(fd, 50, "fourth", "");
    data = answer(fd, 50, "max_tasks");
    found(data, "tasks.limit", "reach the limit, 3", "milvus_cdc_max_tasks",
          "no room");
    json_decref(data);

    nothing(control, "no check made a task");
}


/* more at once than may run: each gets its answer */

static void
test_queue(int fd)
{
    int      i, good;
    json_t  *data;

    for (i = 0; i < 3 * CDC_STORE_PROBES; i++) {
        check(fd, 100 + (uint64_t) i, "slow", "");
    }

    good = 0;

    for (i = 0; i < 3 * CDC_STORE_PROBES; i++) {
        if (read_frame(fd, 15000) == CDC_OK && frame.status == CDC_E_OK) {
            data = json_loadb((char *) payload, frame.len, 0, NULL);
            good += json_is_array(json_object_get(data, "findings"));
            json_decref(data);
        }
    }

    is_int(good, 3 * CDC_STORE_PROBES, "each of many gets its answer");

    /* one that nobody waits for any more harms nobody */

    i = client();
    check(i, 1, "slow", "");
    (void) usleep(50000);
    close(i);
    one(fd, 200, "new", "target.version", "2.6.0", "2.3, 2.4 or");
}


/*
 * Servers that take connections and say nothing: four of etcd and four of
 * Kafka take no longer together than a check may.
 */

static char *
deaf(void)
{
    int                  fd, port;
    char                *text;
    socklen_t            len;
    struct sockaddr_in   sin = { .sin_family = AF_INET };

    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    len = sizeof(sin);
    sin.sin_addr.s_addr = htonl(INADDR_ANY);

    if (bind(fd, (struct sockaddr *) &sin, len) == -1
        || listen(fd, 128) == -1
        || getsockname(fd, (struct sockaddr *) &sin, &len) == -1)
    {
        abort();
    }

    port = ntohs(sin.sin_port);

    if (asprintf(&text, "{\"main\":{},\"deaf\":{\"root_path\":\"r\","
                 "\"meta_path\":\"m\",\"etcd\":{\"endpoints\":["
                 "\"https://127.0.0.1:%d\",\"https://127.0.0.2:%d\","
                 "\"https://127.0.0.3:%d\",\"https://127.0.0.4:%d\"]},"
                 "\"kafka\":{\"tls\":true,\"brokers\":\"127.0.0.1:%d,"
                 "127.0.0.2:%d,127.0.0.3:%d,127.0.0.4:%d\"}}}", port, port,
                 port, port, port, port, port, port) == -1)
    {
        abort();
    }

    return text;
}


static void
test_deaf(int fd)
{
    char      *text;
    json_t    *data;
    uint64_t   start_ms;

    text = "{\"request_type\":\"check\",\"source\":\"deaf\","
           "\"request_data\":{\"milvus_connect_param\":{\"uri\":"
           "\"http://good:1\"},\"collection_infos\":[{\"name\":\"*\"}]}}";

    start_ms = cdc_now_ms();
    write_frame(fd, CDC_FRAME_REQUEST, 60, text, strlen(text));
    (void) read_frame(fd, 60000);
    ok(cdc_now_ms() - start_ms < 14000, "deaf servers: %d ms",
       (int) (cdc_now_ms() - start_ms));

    data = json_loadb((char *) payload, frame.len, 0, NULL);
    ok(has(data, "source.etcd.tls", "127.0.0.1")
       && has(data, "source.kafka.tls", "127.0.0.1"),
       "the first of each is named");
    ok(!has(data, "source.etcd.tls", "127.0.0.2")
       && !has(data, "source.kafka.tls", "127.0.0.2"), "no other is asked");
    ok(has(data, "source.etcd", "does not answer"), "etcd itself is");
    json_decref(data);
}


static void
test_findings(void)
{
    int      i;
    json_t  *list, *f;

    list = json_array();

    cdc_finding(NULL, "a", CDC_FAULT, NULL, "nobody wants it");
    cdc_finding(list, "a", CDC_NOTE, NULL, "n %d", 1);
    cdc_finding(list, "a", CDC_NOTE, NULL, "n %d", 1);
    is_int(json_array_size(list), 1, "the same is kept once");
    ok(cdc_finding_ok(list, NULL) && cdc_finding_has(list, "a")
       && !cdc_finding_has(list, "b"), "a note is no error");

    cdc_finding(list, "b", CDC_FAULT, "c\xc3", "cut \xc3");
    f = json_array_get(list, 1);
    is_str(json_string_value(json_object_get(f, "text")), "cut ?",
           "what is no UTF-8");
    is_str(json_string_value(json_object_get(f, "cure")), "c?",
           "nor in a cure");
    ok(!cdc_finding_ok(list, NULL) && cdc_finding_ok(list, "a")
       && !cdc_finding_ok(list, "b"), "an error is one, of its name");

    for (i = 0; i < 2 * CDC_CHECK_FINDINGS; i++) {
        cdc_finding(list, "c", CDC_WARNING, NULL, "%d", i);
    }

    is_int(json_array_size(list), CDC_CHECK_FINDINGS, "there is an end");
    json_decref(list);
}


/* each refusal of a handler has a name, and a cure but where none is known */

static void
test_refusals(void)
{
    int          i, n;
    json_t      *list, *f;
    const char  *name;

    static const cdc_error_e  none[] = {
        CDC_E_EMPTY_TASK_ID, CDC_E_NOT_FOUND, CDC_E_GET_NOT_FOUND,
        CDC_E_HAS_PAUSED, CDC_E_HAS_RUNNING, CDC_E_PARKED_RUNNING,
        CDC_E_PARKED_NOT_FOUND, CDC_E_PARKED_FAILED, CDC_E_STORE_FAILED,
        CDC_E_START_FAILED, CDC_E_INTERNAL
    };

    n = 0;

    for (i = CDC_E_EMPTY_ADDRESS; i < CDC_E_MAX; i++) {
        list = json_array();
        cdc_finding_refusal(list, (cdc_error_e) i, "text");

        f = json_array_get(list, 0);
        name = json_string_value(json_object_get(f, "check"));

        if (strcmp(name, "request") == 0) {
            n++;

        } else if (json_object_get(f, "cure") == NULL) {
            ok(0, "%s has no cure", name);
        }

        json_decref(list);
    }

    is_int(n, sizeof(none) / sizeof(none[0]), "refusals that are no create's");
}


int
main(void)
{
    int    fd;
    char  *text;

    test_findings();
    test_refusals();

    text = deaf();
    sources = text;
    begin();
    fd = client();

    test_targets(fd);
    test_complaints(fd);
    test_queue(fd);
    test_tasks(fd);
    test_deaf(fd);

    close(fd);
    (void) !write(stop_pipe, "x", 1);
    is_int(ended(), 0, "the store ends");
    finish();
    free(text);

    return done_testing();
}
