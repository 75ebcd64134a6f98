/* the store: what it keeps across crashes, stops, full disks and damage */

#include "store_process.h"


/* two running tasks, one of them changed twice */

static void
test_tasks(void)
{
    int  c;

    c = client();
    create(c, 1, "a", "one");
    shows("a", CDC_TASK_RUNNING, "", "a");
    ack();
    answers(c, 1, CDC_E_OK, "{\"task_id\":\"a\"}", "is created");
    create(c, 2, "c", "two");
    shows("c", CDC_TASK_RUNNING, "", "c");
    ack();
    answers(c, 2, CDC_E_OK, "{\"task_id\":\"c\"}", "is created");
    by_id(c, 3, "pause", "a");
    shows("a", CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST, "a is paused");
    ack();
    drained();
    answers(c, 3, CDC_E_OK, "{}", "and");
    by_id(c, 4, "resume", "a");
    shows("a", CDC_TASK_RUNNING, "", "resumed");
    ack();
    answers(c, 4, CDC_E_OK, "{}", "again");
    close(c);
    make_dir("c");
}


static void
make_look(const char *id)
{
    FILE  *f;
    char   path[256];

    (void) snprintf(path, sizeof(path), "%s/look", dir);
    (void) mkdir(path, 0700);
    (void) snprintf(path, sizeof(path), "%s/look/%s", dir, id);
    (void) mkdir(path, 0700);
    (void) snprintf(path, sizeof(path), "%s/look/%s/LOG", dir, id);

    f = fopen(path, "w");
    (void) fputs("a reader was here\n", f);
    (void) fclose(f);
}


static void
test_restart(void)
{
    int       c;
    uint64_t  created;

    /* killed: what was answered is there */

    (void) kill(store, SIGKILL);
    is_int(ended(), -SIGKILL, "killed");
    make_dir("orphan");
    make_look("orphan");
    start();

    shows("a", CDC_TASK_RUNNING, "", "every task is sent at the start");
    is_int(record.revision, 3, "as it was");
    created = record.created_ms;
    ack();
    shows("c", CDC_TASK_RUNNING, "", "in order of creation");
    ok(record.created_ms > created, "by time");
    ack();
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_SYNCED, "then SYNCED");

    c = client();
    ok(exists("%s/tasks/%s", "c"), "directories of tasks stay");
    ok(!exists("%s/tasks/%s", "orphan"), "orphans are swept");
    ok(!exists("%s/look/%s", "orphan"), "and what a look has left");

    /* asked to stop with an answer on its way and a probe running */

    by_id(c, 3, "pause", "a");
    shows("a", CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST, "a is paused");
    drained();
    answers(c, 3, CDC_E_OK, "{}", "and its replicator is gone");
    by_id(c, 4, "pause", "c");
    shows("c", CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST, "c, too");
    drained();
    answers(c, 4, CDC_E_OK, "{}", "and its replicator is gone");
    by_id(c, 1, "resume", "c");
    shows("c", CDC_TASK_RUNNING, "", "a last change");
    create(c, 2, "p", "stuck");
    (void) usleep(20000);
    created = cdc_now_ms();
    (void) !write(stop_pipe, "x", 1);
    answers(c, 1, CDC_E_OK, "{}", "is answered without its ACK");
    is_int(read_frame(c, 5000), CDC_DONE, "the create is not");
    is_int(ended(), 0, "an orderly end");
    ok(cdc_now_ms() - created < 1500, "in time");
    ok(!exists("%s/%s", "api.sock"), "the socket is gone");
    close(c);
}


static void
test_stop_serves(void)
{
    int  c, late;

    start();
    shows("a", CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST, "a is paused still");
    ack();
    shows("c", CDC_TASK_RUNNING, "", "c runs");
    ack();
    (void) read_frame(control, 5000);

    c = client();
    late = client();
    by_id(c, 1, "pause", "nope");
    answers(c, 1, CDC_E_NOT_FOUND, "not found the task, task_id: nope", "up");

    (void) !write(stop_pipe, "x", 1);
    (void) usleep(5000);
    by_id(late, 1, "resume", "a");
    shows("a", CDC_TASK_RUNNING, "", "a request during the stop");
    ack();
    answers(late, 1, CDC_E_OK, "{}", "is served");
    is_int(ended(), 0, "an orderly end");
    close(c);
    close(late);
}


/* a disk that takes nothing any more: a file-size limit of the store */

static void
disk(int full)
{
    struct rlimit  rl = { full ? 0 : RLIM_INFINITY, RLIM_INFINITY };

    (void) prlimit(store, RLIMIT_FSIZE, &rl, NULL);
}


static void
refused(int c, const char *id, const char *what)
{
    char  want[512];

    create(c, 9, id, "one-more");
    (void) read_frame(c, 5000);
    is_int(frame.status, CDC_E_STORE_FAILED, "a create without a directory");
    (void) snprintf(want, sizeof(want), "fail to write the task store: "
                    "\"%s/tasks/%s\" %s", dir, id, what);
    is_str((char *) payload, want, "says which one, and why");
}


/* the tasks' directories are where none can be */

static void
test_no_directory(int c)
{
    char  tasks[256], kept[256];

    (void) snprintf(tasks, sizeof(tasks), "%s/tasks", dir);
    (void) snprintf(kept, sizeof(kept), "%s/kept", dir);
    (void) rename(tasks, kept);

    is_int(symlink("nowhere", tasks), 0, "a place that is not there");
    refused(c, "none", "cannot be made: No such file or directory");
    (void) unlink(tasks);

    (void) close(open(tasks, O_WRONLY|O_CREAT, 0600));
    refused(c, "file", "cannot be removed: Not a directory");
    (void) unlink(tasks);

    (void) rename(kept, tasks);
    nothing(control, "no task came of it");
}


static void
test_disk(void)
{
    int   c, i;
    char  text[64];

    start();
    shows("a", CDC_TASK_RUNNING, "", "a runs");
    ack();
    shows("c", CDC_TASK_RUNNING, "", "c runs");
    ack();
    (void) read_frame(control, 5000);

    c = client();
    test_no_directory(c);
    disk(1);

    for (i = 1; i <= 2; i++) {
        by_id(c, i, "pause", "a");
        (void) read_frame(c, 5000);
        is_int(frame.status, CDC_E_STORE_FAILED, "a full disk: refused");
    }

    (void) snprintf(text, sizeof(text), "%.36s", (char *) payload);
    is_str(text, "fail to write the task store: LevelD", "with the cause");
    nothing(control, "and nothing has changed");

    create(c, 3, "full", "one-more");
    (void) read_frame(c, 5000);
    is_int(frame.status, CDC_E_STORE_FAILED, "a create, too");

    write_frame(control, CDC_FRAME_FAILED, 0, "c\0it broke", 10);
    shows("c", CDC_TASK_PAUSED, "it broke", "FAILED is shown all the same");
    ack();

    disk(0);
    by_id(c, 4, "pause", "a");
    shows("a", CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST, "room again");
    ack();
    drained();
    answers(c, 4, CDC_E_OK, "{}", "it works by itself");
    (void) usleep(2300000);
    close(c);

    (void) kill(store, SIGKILL);
    (void) ended();

    start();
    shows("a", CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST, "a was written");
    ack();
    shows("c", CDC_TASK_PAUSED, "it broke", "and so was c's failure");
    ack();
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_SYNCED, "no task came of the refused create");

    c = client();
    by_id(c, 1, "resume", "a");
    (void) read_frame(control, 5000);
    ack();
    answers(c, 1, CDC_E_OK, "{}", "a again");
    by_id(c, 2, "resume", "c");
    (void) read_frame(control, 5000);
    ack();
    answers(c, 2, CDC_E_OK, "{}", "c again");
    close(c);

    (void) !write(stop_pipe, "x", 1);
    is_int(ended(), 0, "an orderly end");
}


/* in a process of its own: LevelDB's thread would not survive the fork that
 * makes the next store */

static void
put_raw(const char *key, const char *value)
{
    pid_t            pid;
    char             path[256];
    cdc_db_t        *db;
    cdc_db_batch_t  *b;

    (void) fflush(stdout);
    pid = fork();

    if (pid != 0) {
        (void) waitpid(pid, NULL, 0);
        return;
    }

    (void) snprintf(path, sizeof(path), "%s/meta", dir);
    db = cdc_db_open(path, NULL);
    b = cdc_db_batch_create();
    cdc_db_batch_put(b, cdc_span_n(key, strlen(key)),
                     cdc_span_n(value, strlen(value)));
    (void) cdc_db_write(db, b, NULL);
    cdc_db_batch_destroy(b);
    cdc_db_close(db);
    _exit(0);
}


static void
test_damage(void)
{
    int  c;

    put_raw("task/broken", "{\"state\":");
    put_raw("task/no/id", "{}");
    start();

    (void) read_frame(control, 5000);
    is_str(record.task_id, "broken", "a damaged record is shown");
    is_int(record.state, CDC_TASK_PAUSED, "as paused");
    ack();
    shows("a", CDC_TASK_RUNNING, "", "the others are there");
    ack();
    shows("c", CDC_TASK_RUNNING, "", "all of them");
    ack();
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_SYNCED, "and no more");

    c = client();
    by_id(c, 1, "resume", "broken");
    (void) read_frame(c, 5000);
    is_int(frame.status, CDC_E_START_FAILED, "it cannot be resumed");
    by_id(c, 2, "delete", "broken");
    (void) read_frame(control, 5000);
    ack();
    answers(c, 2, CDC_E_OK, "{}", "but deleted");
    close(c);

    (void) !write(stop_pipe, "x", 1);
    is_int(ended(), 0, "an orderly end");

    put_raw("format", "2");
    start();
    is_int(read_frame(control, 5000), CDC_DONE, "a newer format is refused");
    is_int(ended(), 1, "by an error");

    put_raw("format", "1");
    start();
    shows("a", CDC_TASK_RUNNING, "", "and nothing was lost");
    close(control);
    control = dup(stop_pipe);
    is_int(ended(), 0, "without a supervisor it ends");
}


/* a start of the store in that run of nginx: in which state is the task? */

static void
restarts(const char *members, cdc_task_state_e state, const char *reason,
    const char *name)
{
    run = members;
    start();
    shows("lazy", state, reason, name);
    ack();
    shows("other", CDC_TASK_RUNNING, "", "another task runs");
    ack();
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_SYNCED, name);
    (void) kill(store, SIGKILL);
    (void) ended();
}


static void
resumed(const char *members, const char *name)
{
    int  c;

    run = members;
    start();
    (void) read_frame(control, 5000);
    ack();
    (void) read_frame(control, 5000);
    ack();
    (void) read_frame(control, 5000);

    c = client();
    by_id(c, 1, "resume", "lazy");
    shows("lazy", CDC_TASK_RUNNING, "", name);
    ack();
    answers(c, 1, CDC_E_OK, "{}", name);
    close(c);
    (void) kill(store, SIGKILL);
    (void) ended();
}


static void
test_auto_start(void)
{
    int  c;

    run = "\"start\":\"a:1:1\",\"upgraded\":false,";
    start();
    (void) read_frame(control, 5000);
    is_int(frame.type, CDC_FRAME_SYNCED, "an empty store");

    c = client();
    request(c, 1, "create", "{\"task_id\":\"lazy\",\"milvus_connect_param\":"
            "{\"uri\":\"http://one:1\"},\"collection_infos\":"
            "[{\"name\":\"a\"}],\"disable_auto_start\":true}");
    shows("lazy", CDC_TASK_RUNNING, "", "a task with disable_auto_start runs");
    ack();
    answers(c, 1, CDC_E_OK, "{\"task_id\":\"lazy\"}", "when it is created");
    create(c, 2, "other", "two");
    shows("other", CDC_TASK_RUNNING, "", "another without");
    ack();
    answers(c, 2, CDC_E_OK, "{\"task_id\":\"other\"}", "is created");
    close(c);
    (void) kill(store, SIGKILL);
    (void) ended();

    restarts("\"start\":\"a:1:1\",\"upgraded\":false,", CDC_TASK_RUNNING, "",
             "the store is started again in the same run");
    restarts("", CDC_TASK_RUNNING, "", "a run without a name");
    restarts("\"start\":\"a:2:9\",\"upgraded\":true,", CDC_TASK_RUNNING, "",
             "an upgrade");
    restarts("\"start\":\"a:1:1\",\"upgraded\":false,", CDC_TASK_RUNNING, "",
             "which is taken back");
    restarts("\"start\":\"a:1:11\",\"upgraded\":false,", CDC_TASK_PAUSED,
             CDC_REASON_NO_START, "a start of nginx pauses");
    is_int(record.revision, 1, "the other one was not touched");
    restarts("\"start\":\"a:1:11\",\"upgraded\":false,", CDC_TASK_PAUSED,
             CDC_REASON_NO_START, "and is durable");
    resumed("\"start\":\"a:1:11\",\"upgraded\":false,", "resume");
    restarts("\"start\":\"a:1:11\",\"upgraded\":false,", CDC_TASK_RUNNING, "",
             "holds for this run");
    restarts("\"start\":\"b:1:11\",\"upgraded\":false,", CDC_TASK_PAUSED,
             CDC_REASON_NO_START, "not for the next");
    resumed("\"start\":\"b:1:11\",\"upgraded\":false,", "resume");
    restarts("\"start\":\"b:1:1\",\"upgraded\":false,", CDC_TASK_PAUSED,
             CDC_REASON_NO_START, "a name that begins like another");
    resumed("\"start\":\"b:1:1\",\"upgraded\":false,", "resume");
    restarts("\"start\":\"1:1\",\"upgraded\":false,", CDC_TASK_PAUSED,
             CDC_REASON_NO_START, "one that ends like another");
    resumed("\"start\":\"1:1\",\"upgraded\":false,", "resume");
    restarts("\"start\":\"a:2:9\",\"upgraded\":false,", CDC_TASK_PAUSED,
             CDC_REASON_NO_START, "names of former runs are forgotten");
}


/* a create that is sent again has the answer that the first one had, whatever
 * became of the store between */

static void
create_odd(int fd)
{
    const char  *text;

    text = "{\"request_type\":\"create\",\"source\":\"main\","
           "\"request_data\":{\"task_id\":\"w\",\"milvus_connect_param\":"
           "{\"uri\":\"http://one:1\"},\"collection_infos\":"
           "[{\"name\":\"a\"}]},\"ignored\":[[\"odd\",\"some\"]]}";
    write_frame(fd, CDC_FRAME_REQUEST, 1, text, strlen(text));
}


static void
test_warnings(void)
{
    int  c;

    static const char  first[] =
        "{\"task_id\":\"w\",\"warnings\":[\"the field \\\"odd\\\" is not "
        "known and was ignored: see its name; known there are some\"";
    char  want[sizeof(first) + 32];

    (void) snprintf(want, sizeof(want), "%s]}", first);
    start();
    (void) read_frame(control, 5000);
    c = client();
    create_odd(c);
    shows("w", CDC_TASK_RUNNING, "", "a task, and the store dies");
    (void) kill(store, SIGKILL);
    (void) ended();
    close(c);

    start();
    shows("w", CDC_TASK_RUNNING, "", "the task is there");
    ack();
    c = client();
    create_odd(c);
    answers(c, 1, CDC_E_OK, want, "the create again: its field is not known");
    (void) kill(store, SIGKILL);
    (void) ended();
    close(c);

    /* what the look at source and target has said is in the record */

    put_raw("task/w", "{\"state\":\"Running\",\"reason\":\"\",\"revision\":"
            "1,\"created_ms\":1,\"source\":\"main\",\"request_data\":"
            "{\"task_id\":\"w\",\"milvus_connect_param\":{\"uri\":"
            "\"http://one:1\"},\"collection_infos\":[{\"name\":\"a\"}]},"
            "\"warnings\":[\"ann\"]}");
    (void) snprintf(want, sizeof(want), "%s,\"ann\"]}", first);
    start();
    shows("w", CDC_TASK_RUNNING, "", "a task with a warning");
    ack();
    (void) read_frame(control, 5000);
    c = client();
    by_id(c, 2, "pause", "w");
    shows("w", CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST, "is written anew");
    ack();
    drained();
    answers(c, 2, CDC_E_OK, "{}", "and");
    (void) kill(store, SIGKILL);
    (void) ended();
    close(c);

    start();
    (void) read_frame(control, 5000);
    ack();
    c = client();
    create_odd(c);
    answers(c, 1, CDC_E_OK, want, "the create again: all its warnings");
    close(c);
    (void) kill(store, SIGKILL);
    (void) ended();
}


/* of what its replicator is told */

static int64_t
configured(const char *id, const char *key)
{
    json_t   *config, *value;
    int64_t   at;

    write_frame(control, CDC_FRAME_ASK, 1, id, strlen(id));

    while (read_frame(control, 5000) == CDC_OK
           && frame.type != CDC_FRAME_CONFIG)
    {
        /* SYNCED */
    }

    config = json_loads((char *) payload + strlen(id) + 1, 0, NULL);
    value = json_object_get(config, key);

    if (json_is_object(value)) {         /* of the channel "ch" */
        value = json_array_get(json_object_get(value, "ch"), 1);
    }

    at = json_integer_value(value);
    json_decref(config);

    return at;
}


/* what the target's clock said at a create: its replicator needs to know */

static void
test_target_ms(void)
{
    int      c, twice;
    int64_t  wall, at;

    start();
    (void) read_frame(control, 5000);
    c = client();
    wall = (int64_t) cdc_wall_ms();
    create(c, 1, "m", "later");

    for (twice = 0; twice < 2; twice++) {
        shows("m", CDC_TASK_RUNNING, "", "a task on a target with a clock");
        ack();
        at = configured("m", "target_ms");
        ok(at >= wall - 100 && at < wall + 60000, "its time is in CONFIG");

        (void) kill(store, SIGKILL);
        (void) ended();

        if (twice == 0) {
            close(c);
            start();
        }
    }
}


/* and the newest message of the source then and where its channels ended, also
 * when it is written again */

static void
test_source_ms(void)
{
    int  c;

    make_dir("s");
    put_raw("format", "1");
    put_raw("task/s", "{\"state\":\"Running\",\"reason\":\"\",\"revision\":1,"
            "\"created_ms\":5,\"source\":\"main\",\"source_ms\":77,"
            "\"source_ends\":{\"ch\":[0,9]},"
            "\"request_data\":{\"task_id\":\"s\",\"milvus_connect_param\":"
            "{\"uri\":\"http://one:1\"},\"collection_infos\":"
            "[{\"name\":\"a\"}]}}");
    start();
    shows("s", CDC_TASK_RUNNING, "", "a task whose create has seen the log");
    ack();
    is_int(configured("s", "source_ms"), 77, "that time is in CONFIG");
    is_int(configured("s", "source_ends"), 9, "and that place");

    c = client();
    by_id(c, 1, "pause", "s");
    shows("s", CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST, "its record is written");
    ack();
    drained();
    answers(c, 1, CDC_E_OK, "{}", "again");
    close(c);
    (void) kill(store, SIGKILL);
    (void) ended();

    start();
    shows("s", CDC_TASK_PAUSED, CDC_REASON_BY_REQUEST, "and read");
    ack();
    is_int(configured("s", "source_ms"), 77, "it is still there");
    is_int(configured("s", "source_ends"), 9, "both are");
    (void) kill(store, SIGKILL);
    (void) ended();
}


/* the tasks' own store is lost, their checkpoints are not */

static void
test_lost(void)
{
    char  command[64];

    touch("c", "CURRENT");
    (void) snprintf(command, sizeof(command), "mv %s/meta %s/kept", dir, dir);
    is_int(system(command), 0, "the store is lost");

    start();
    is_int(read_frame(control, 5000), CDC_DONE, "it is not begun again");
    is_int(ended(), 1, "but ends by an error");
    ok(exists("%s/tasks/%s/CURRENT", "c"), "checkpoints are not swept");

    (void) snprintf(command, sizeof(command), "cd %s && rm -r meta && "
                    "mv kept meta", dir);
    is_int(system(command), 0, "it is put back");
    start();
    shows("a", CDC_TASK_RUNNING, "", "and all is there");
    close(control);
    control = dup(stop_pipe);
    (void) ended();
}


static void
fresh_dir(void)
{
    char  command[64];

    (void) snprintf(command, sizeof(command), "cd %s && rm -r meta tasks",
                    dir);
    is_int(system(command), 0, "a fresh store");
}


int
main(void)
{
    begin();
    test_tasks();
    test_restart();
    test_stop_serves();
    test_disk();
    test_damage();
    test_lost();
    fresh_dir();
    test_warnings();
    fresh_dir();
    test_target_ms();
    fresh_dir();
    test_source_ms();
    fresh_dir();
    test_auto_start();
    finish();

    return done_testing();
}
