/* the store: requests, their answers, what the supervisor is told */

#include "store_process.h"


static void
test_create(int c)
{
    int       gone;
    uint64_t  id, seq;

    create(c, 1, "a", "one");
    shows("a", CDC_TASK_RUNNING, "", "create sends TASK");
    is_int(record.revision, 1, "revision 1");
    ok(memmem(&record, sizeof(record), "s3cret", 6) == NULL, "no secret");
    nothing(c, "no answer before the ACK");
    ack();
    answers(c, 1, CDC_E_OK, "{\"task_id\":\"a\"}", "created");

    create(c, 2, "a", "one");
    answers(c, 2, CDC_E_OK, "{\"task_id\":\"a\"}", "the same again");
    nothing(control, "changes nothing");
    create(c, 2, "a", "two");
    answers(c, 2, CDC_E_TASK_EXISTS, "there is a task a already, which was "
            "created with another `milvus_connect_param`: delete it first, or "
            "take another `task_id`", "the same id for another target");
    nothing(control, "changes nothing, either");

    create(c, 3, "b", "one");
    answers(c, 3, CDC_E_DUPLICATE_COLLECTION, "the collection name is "
            "duplicate with existing task, [default.*]", "a duplicate");

    create(c, 4, "../b", "two");
    answers(c, 4, CDC_E_BAD_TASK_ID, "the task_id is invalid, it should be 1 "
            "to 255 characters of [A-Za-z0-9_.-], and not \".\" or "
            "\"..\"", "an id that is a path");

    /* the client goes away while the probe runs */

    gone = client();
    create(gone, 1, "b", "slow-b");
    (void) usleep(50000);
    close(gone);
    shows("b", CDC_TASK_RUNNING, "", "a create survives its client");
    ack();

    /* two at once for one target */

    create(c, 5, "c", "slow-c");
    (void) usleep(50000);                /* c comes first */
    create(c, 6, "d", "slow-c");
    create(c, 7, "c", "slow-c");
    create(c, 8, "c", "slow-e");
    answers(c, 8, CDC_E_TASK_EXISTS, "there is a task c already, which was "
            "created with another `milvus_connect_param`: delete it first, or "
            "take another `task_id`", "an id that is being created");
    shows("c", CDC_TASK_RUNNING, "", "one of two racing creates wins");
    seq = frame.id;
    answers(c, 6, CDC_E_DUPLICATE_COLLECTION, "the collection name is "
            "duplicate with existing task, [default.*]", "the other loses");
    /* in either order */

    frame.id = seq;
    ack();
    (void) read_frame(c, 5000);
    id = frame.id;
    ok(id == 5 || id == 7, "both that asked for it");
    is_str((char *) payload, "{\"task_id\":\"c\"}", "get the one id");
    answers(c, 12 - id, CDC_E_OK, "{\"task_id\":\"c\"}", "the second, too");

    create(c, 8, "e", "five");
    answers(c, 8, CDC_E_TASK_LIMIT, "the task num has reach the limit, 3",
            "the limit");
}


static void
test_states(int c)
{
    by_id(c, 1, "pause", "nope");
    answers(c, 1, CDC_E_NOT_FOUND, "not found the task, task_id: nope",
            "pause an unknown task");
    by_id(c, 2, "resume", "a");
    answers(c, 2, CDC_E_HAS_RUNNING, "the task has running, task_id: a",
            "resume a running task");

    by_id(c, 3, "pause", "a");
    shows("a", CDC_TASK_PAUSED, "manually pause through http interface",
          "pause");
    is_int(record.revision, 2, "grows the revision");
    nothing(c, "the answer waits for the ACK");
    ack();
    nothing(c, "and for the end of the replicator");
    is_int(acks, 1, "which the worker is told");
    by_id(c, 4, "pause", "a");
    nothing(c, "which a second pause waits for as well");
    record.revision = 1;
    drained();
    nothing(c, "that of a former life is none");
    record.revision = 2;
    drained();

    /* in either order */

    (void) read_frame(c, 5000);
    is_int(frame.id, 4, "the second is told");
    is_int(frame.status, CDC_E_HAS_PAUSED, "that it was paused already");
    answers(c, 3, CDC_E_OK, "{}", "paused");

    by_id(c, 4, "pause", "a");
    answers(c, 4, CDC_E_HAS_PAUSED, "the task has paused, task_id: a",
            "pause a paused task");

    by_id(c, 5, "resume", "a");
    shows("a", CDC_TASK_RUNNING, "", "resume clears the reason");
    ack();
    answers(c, 5, CDC_E_OK, "{}", "resumed");

    by_id(c, 7, "pause", "a");
    shows("a", CDC_TASK_PAUSED, "manually pause through http interface",
          "pause once more");
    ack();
    by_id(c, 8, "resume", "a");
    shows("a", CDC_TASK_RUNNING, "", "resume does not wait for the end");
    answers(c, 7, CDC_E_OK, "{}", "and ends the waiting of the pause");
    ack();
    answers(c, 8, CDC_E_OK, "{}", "resumed again");

    write_frame(control, CDC_FRAME_FAILED, 0, "b\0topic x: gone", 15);
    shows("b", CDC_TASK_PAUSED, "topic x: gone", "FAILED pauses");
    ack();
    write_frame(control, CDC_FRAME_FAILED, 0, "b\0again", 7);
    nothing(control, "once");

    write_frame(control, CDC_FRAME_ASK, 4711, "a", 1);
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_CONFIG, "ASK is answered by CONFIG");
    is_int(frame.id, 4711, "with its id");
    is_str((char *) payload, "a", "the task's id first");
    ok(strstr((char *) payload + 2, "s3cret") != NULL, "and its secrets");

    by_id(c, 6, "frob", "a");
    answers(c, 6, CDC_E_REQUEST_TYPE,
            cdc_error_row(CDC_E_REQUEST_TYPE)->text, "an unknown request");
}


static void
test_delete(int c)
{
    ok(exists("%s/tasks/%s/new", "c"), "a new task has a directory");
    touch("c", "former");

    request(c, 1, "delete", "{\"task_id\":\"zz\"}");
    answers(c, 1, CDC_E_NOT_FOUND, "not found the task, task_id: zz",
            "delete an unknown task");
    request(c, 2, "delete",
            "{\"task_id\":\"zz\",\"ignore_not_found\":true}");
    answers(c, 2, CDC_E_OK, "{}", "which may be ignored");

    by_id(c, 3, "delete", "c");
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_GONE, "delete sends GONE");
    is_str((char *) payload, "c", "with the id");
    nothing(c, "the answer waits for the ACK");
    ack();
    answers(c, 3, CDC_E_OK, "{}", "deleted");
    ok(exists("%s/tasks/%s", "c"), "its directory waits for the replicator");

    /* the same id again, before the former one has ended */

    create(c, 4, "c", "three");
    nothing(control, "and so does a create of that id");
    stopped("c");
    shows("c", CDC_TASK_RUNNING, "", "until STOPPED");
    ack();
    answers(c, 4, CDC_E_OK, "{\"task_id\":\"c\"}", "then it is made");
    ok(!exists("%s/tasks/%s/former", "c"), "without the former directory");
    ok(exists("%s/tasks/%s/new", "c"), "with one of its own");

    stopped("c");
    (void) usleep(50000);
    ok(exists("%s/tasks/%s/new", "c"),
       "STOPPED of a living task removes nothing");
}


/*
 * Names are compared with each other, which takes a time that grows with
 * their square: so what is too large is refused before anything else is said
 * of it.  The name that would be is the last.
 */

static void
test_too_large(int c)
{
    int          i, n;
    char        *text;
    FILE        *f;
    size_t       len;
    json_t      *data, *one;
    const char  *check;

    f = open_memstream(&text, &len);
    (void) fputs("{\"task_id\":\"l\",\"milvus_connect_param\":{\"uri\":"
                 "\"http://large:1\"},\"collection_infos\":[", f);

    for (i = 0; i < 2000; i++) {
        (void) fprintf(f, "%s{\"name\":\"n%d\"}", i ? "," : "", i);
    }

    (void) fputs("],\"exclude_collections\":[\"default.nobody\"]}", f);
    (void) fclose(f);

    request(c, 1, "create", text);
    (void) read_frame(c, 20000);
    is_int(frame.status, CDC_E_DOC_TOO_LARGE, "too large a create");

    request(c, 2, "check", text);
    (void) read_frame(c, 20000);
    data = json_loads((char *) payload, 0, NULL);
    n = 0;

    json_array_foreach(json_object_get(data, "findings"), len, one) {
        check = json_string_value(json_object_get(one, "check"));

        if (strncmp(check, "request", 7) == 0) {
            is_str(check, "request.size", "is all that a check says of it");
            n++;
        }
    }

    is_int(n, 1, "once");

    ok(len > 1, "beside what is not about names");
    json_decref(data);
    free(text);
}


static void
test_probes(int c)
{
    uint64_t  start_ms;

    by_id(c, 1, "delete", "b");
    (void) read_frame(control, 5000);
    ack();
    answers(c, 1, CDC_E_OK, "{}", "room for one");
    stopped("b");

    create(c, 2, "p", "denies");
    answers(c, 2, CDC_E_TARGET_DENIES, "the target http://denies:1 refuses "
            "replicated messages: set common.ttMsgEnabled: false in its "
            "milvus.yaml and restart it (a source cluster refuses them as "
            "well: check that the target is not the source)", "ttMsgEnabled");
    create(c, 3, "p", "new");
    answers(c, 3, CDC_E_TARGET_VERSION, "the target http://new:1 runs Milvus "
            "2.6.0, which does not take replicated messages: use a target of "
            "version 2.3 to 2.5", "version");
    create(c, 4, "p", "login");
    answers(c, 4, CDC_E_TARGET_AUTH, "the target http://login:1 refuses the "
            "user, password or token", "login");
    create(c, 5, "p", "rights");
    answers(c, 5, CDC_E_TARGET_DENIES, "the target http://rights:1 refuses "
            "replicated messages: no privilege (cure: give it the role "
            "admin)", "rights");
    create(c, 5, "p", "odd");
    answers(c, 5, CDC_E_CONNECT_FAILED, "fail to connect the milvus: rpc "
            "error: code = Unimplemented desc = unknown method", "no Milvus");

    /* a target that is down holds nobody up */

    start_ms = cdc_now_ms();
    create(c, 6, "p", "down");
    by_id(c, 7, "pause", "nope");
    answers(c, 7, CDC_E_NOT_FOUND, "not found the task, task_id: nope",
            "served meanwhile");
    ok(cdc_now_ms() - start_ms < 300, "at once");
    answers(c, 6, CDC_E_CONNECT_FAILED, "fail to connect the milvus: rpc "
            "error: code = DeadlineExceeded desc = context deadline "
            "exceeded", "down");
    ok(cdc_now_ms() - start_ms >= 700, "after connect_timeout");
}


static void
test_broken_clients(int c)
{
    int          i, fd;
    cdc_frame_t  f = { CDC_FRAME_MAX + 1, CDC_FRAME_REQUEST, 0, 1 };

    fd = client();
    (void) !write(fd, &f, sizeof(f));
    is_int(read_frame(fd, 5000), CDC_DONE, "too long a frame: closed");
    close(fd);

    fd = client();
    write_frame(fd, CDC_FRAME_TASK, 1, "x", 1);
    is_int(read_frame(fd, 5000), CDC_DONE, "a wrong frame: closed");
    close(fd);

    fd = client();
    write_frame(fd, CDC_FRAME_REQUEST, 1, "{\"x", 3);
    (void) read_frame(fd, 5000);
    is_int(frame.status, CDC_E_BODY_NOT_JSON, "no JSON: an error");
    close(fd);

    /* half a frame, and nothing more */

    fd = client();
    f.len = 100;
    (void) !write(fd, &f, sizeof(f));

    for (i = 0; i < 20; i++) {
        close(client());
    }

    by_id(c, 1, "pause", "nope");
    answers(c, 1, CDC_E_NOT_FOUND, "not found the task, task_id: nope",
            "others are served");
    close(fd);
}


int
main(void)
{
    int  c;

    begin();
    c = client();

    test_create(c);
    test_states(c);
    test_delete(c);
    test_too_large(c);
    test_probes(c);
    test_broken_clients(c);

    close(c);
    (void) !write(stop_pipe, "x", 1);
    is_int(ended(), 0, "an orderly end");

    finish();

    return done_testing();
}
