/* tasks: stored form, public form, which exclude each other */

#include <stdlib.h>
#include <string.h>

#include "cdc_store.h"
#include "tap.h"


static cdc_task_record_t  record;


static cdc_stored_t *
task(const char *id, const char *source, const char *request)
{
    char           err[CDC_REASON_MAX];
    json_t        *json;
    json_error_t   je;
    cdc_stored_t  *t;

    err[0] = '\0';
    json = json_loads(request, 0, &je);
    t = cdc_stored_create(id, source, json, err);
    json_decref(json);

    if (t == NULL) {
        printf("# no task: %s\n", json == NULL ? je.text : err);
    }

    return t;
}


#define STAR  "\"collection_infos\":[{\"name\":\"*\"}]"

#define URI(host)  "{\"milvus_connect_param\":{\"uri\":\"" host "\","         \
    "\"token\":\"root:s3cret\",\"connect_timeout\":10},"


static void
test_ids(void)
{
    char    id[CDC_TASK_ID_MAX + 2];
    size_t  i;

    static const char  *good[] = { "a", "...", "A-b_c.9", ".a" };
    static const char  *bad[] = { "", ".", "..", "a/b", "a b", "\xc3\xa4",
                                  "a\n" };

    for (i = 0; i < 4; i++) {
        ok(cdc_stored_id_valid(good[i]), "id \"%s\" is taken", good[i]);
    }

    for (i = 0; i < 7; i++) {
        ok(!cdc_stored_id_valid(bad[i]), "bad id %d is refused", (int) i);
    }

    memset(id, 'x', sizeof(id));
    id[CDC_TASK_ID_MAX + 1] = '\0';
    ok(!cdc_stored_id_valid(id), "256 characters are too many");
    id[CDC_TASK_ID_MAX] = '\0';
    ok(cdc_stored_id_valid(id), "255 are not");
}


static void
shows(const char *request, const char *list, const char *get,
    const char *name)
{
    char           text[128];
    size_t         need;
    cdc_stored_t  *t;

    t = task("t1", "main", request);

    if (t == NULL) {
        ok(0, "%s", name);
        return;
    }

    is_int(cdc_stored_record(t, &record, &need), CDC_OK, name);

    (void) snprintf(text, sizeof(text), "list: %s", name);
    is_str(record.list_doc, list, text);
    (void) snprintf(text, sizeof(text), "get: %s", name);
    is_str(record.get_doc, get, text);

    ok(record.list_len == strlen(record.list_doc)
       && record.get_len == strlen(record.get_doc), "lengths");
    ok(memmem(&record, sizeof(record), "s3cret", 6) == NULL,
       "no secret in the record");

    cdc_stored_free(t);
}


static void
test_docs(void)
{
    shows(URI("http://localhost:19530") STAR "}",
          "{\"task_id\":\"t1\",\"milvus_connect_param\":{\"uri\":"
          "\"http://localhost:19530\",\"connect_timeout\":10}," STAR "}",
          "{" STAR ",\"milvus_connect_param\":{\"connect_timeout\":10,"
          "\"uri\":\"http://localhost:19530\"},\"task_id\":\"t1\"}",
          "current form");

    shows("{\"milvus_connect_param\":{\"host\":\"localhost\",\"port\":19530,"
          "\"username\":\"s3cret\",\"password\":\"s3cret\","
          "\"enable_tls\":false,\"connect_timeout\":10}," STAR ","
          "\"rpc_channel_info\":{\"name\":\"by-dev-replicate-msg\"}}",
          "{\"task_id\":\"t1\",\"milvus_connect_param\":{\"host\":"
          "\"localhost\",\"port\":19530,\"connect_timeout\":10}," STAR "}",
          "{" STAR ",\"milvus_connect_param\":{\"connect_timeout\":10,"
          "\"enable_tls\":false,\"host\":\"localhost\",\"port\":19530},"
          "\"task_id\":\"t1\"}", "earlier form");

    shows("{\"milvus_connect_param\":{\"uri\":\"http://h:1\"},"
          "\"db_collections\":{\"db1\":[{\"name\":\"c1\",\"x\":1}]}}",
          "{\"task_id\":\"t1\",\"milvus_connect_param\":{\"uri\":"
          "\"http://h:1\",\"connect_timeout\":0},"
          "\"db_collections\":{\"db1\":[{\"name\":\"c1\"}]}}",
          "{\"db_collections\":{\"db1\":[{\"name\":\"c1\"}]},"
          "\"milvus_connect_param\":{\"connect_timeout\":0,"
          "\"uri\":\"http://h:1\"},\"task_id\":\"t1\"}",
          "db_collections");

    shows("{\"milvus_connect_param\":{\"uri\":\"http://h:1\","
          "\"ignore_partition\":true},\"log_gap\":\"earliest\","
          "\"collection_infos\":[{\"name\":\"a\"},{\"name\":\"b\","
          "\"use_start_position\":true}],\"name_mapping\":[{}],"
          "\"rpc_channel_info\":{\"name\":\"x\"},\"exclude_collections\":"
          "[\"x.x\"],\"disable_auto_start\":true,\"extra_info\":"
          "{\"enable_user_role\":true}}",
          "{\"task_id\":\"t1\",\"milvus_connect_param\":{\"uri\":"
          "\"http://h:1\",\"connect_timeout\":0,\"ignore_partition\":true},"
          "\"collection_infos\":[{\"name\":\"a\"},{\"name\":\"b\","
          "\"use_start_position\":true}],\"log_gap\":\"earliest\"}",
          "{\"collection_infos\":[{\"name\":\"a\"},{\"name\":\"b\","
          "\"use_start_position\":true}],\"log_gap\":\"earliest\","
          "\"milvus_connect_param\":{\"connect_timeout\":0,"
          "\"ignore_partition\":true,\"uri\":\"http://h:1\"},"
          "\"task_id\":\"t1\"}",
          "what was given beyond the documentation");
}


static void
test_doc_size(void)
{
    char          *request, *name;
    size_t         need;
    cdc_stored_t  *t;

    name = malloc(CDC_DOC_MAX + 1);
    memset(name, 'n', CDC_DOC_MAX);
    name[CDC_DOC_MAX] = '\0';

    if (asprintf(&request, URI("http://h:1") "\"collection_infos\":"
                 "[{\"name\":\"%s\"}]}", name) == -1)
    {
        abort();
    }

    t = task("t1", "main", request);

    is_int(cdc_stored_record(t, &record, &need), CDC_DECLINED,
           "a document above the limit");
    ok(need > CDC_DOC_MAX, "says how large it is");
    is_int(record.list_len, 0, "and is not cut");

    cdc_stored_free(t);
    free(request);
    free(name);
}


static void
conflict(const char *a, const char *b, int same_address, cdc_error_e want,
    const char *text, const char *name)
{
    char           got[CDC_REASON_MAX];
    cdc_error_e    rc;
    cdc_stored_t  *t, *other;

    got[0] = '\0';
    t = task("new", "main", a);
    other = task("old", "main", b);

    rc = cdc_stored_conflict(t, other, same_address, got);

    is_int(rc, want, name);
    is_str(got, text, name);

    cdc_stored_free(t);
    cdc_stored_free(other);
}


/* what a new task leaves out beside an older one, as JSON */

static void
leaves(const char *a, const char *b, const char *want, const char *name)
{
    char           text[CDC_REASON_MAX], *got;
    json_t        *before;
    cdc_stored_t  *t, *other;

    t = task("new", "main", a);
    other = task("old", "main", b);
    before = json_deep_copy(t->request);

    text[0] = '\0';
    is_int(cdc_stored_check(t, NULL, text), CDC_E_OK, name);
    is_int(cdc_stored_conflict(t, other, 0, text), CDC_E_OK, name);
    is_str(text, "", name);

    got = json_dumps(json_object_get(t->request, "exclude_collections"),
                     JSON_COMPACT|JSON_ENCODE_ANY);
    is_str(got != NULL ? got : "", want, name);
    free(got);

    /* again, as before the record is written */

    cdc_stored_unclaim(t);
    ok(json_equal(before, t->request), "undone: %s", name);
    is_int(cdc_stored_conflict(t, other, 0, text), CDC_E_OK, name);
    got = json_dumps(json_object_get(t->request, "exclude_collections"),
                     JSON_COMPACT|JSON_ENCODE_ANY);
    is_str(got != NULL ? got : "", want, name);
    free(got);

    json_decref(before);
    cdc_stored_free(t);
    cdc_stored_free(other);
}


#define NAMED(name)  "\"collection_infos\":[{\"name\":\"" name "\"}]}"
#define DB(db, name)                                                          \
    "\"db_collections\":{\"" db "\":[{\"name\":\"" name "\"}]}}"
#define NOT(what)    "\"exclude_collections\":[\"" what "\"],"
#define MAP(a, b)                                                             \
    "\"name_mapping\":[{\"source_db\":\"\",\"target_db\":\"\","             \
    "\"collection_mapping\":{\"" a "\":\"" b "\"}}],"
#define ROLES        "\"extra_info\":{\"enable_user_role\":true},"
#define DUP(what)                                                             \
    "the collection name is duplicate with existing task, [" what "]"
#define IN_USE(uri, what)                                                     \
    "the target " uri " is already fed by the task old with " what ": leave " \
    "that out by `exclude_collections`, give it another name by "             \
    "`name_mapping`, or delete that task first"


static void
test_duplicates(void)
{
    conflict(URI("http://a:1") STAR "}", URI("http://b:1") STAR "}", 0,
             CDC_E_OK, "", "another target");
    conflict(URI("http://a:1") STAR "}", URI("http://a:1") STAR "}", 0,
             CDC_E_DUPLICATE_COLLECTION, DUP("default.*"), "the same twice");
    conflict(URI("http://a:1") DB("*", "*"), URI("http://a:1") STAR "}", 0,
             CDC_E_DUPLICATE_COLLECTION, DUP("*.*"), "in the other form");
    conflict(URI("http://a:1") NAMED("c"), URI("http://a:1") STAR "}", 0,
             CDC_E_DUPLICATE_COLLECTION, DUP("default.c"), "one of all");
    conflict(URI("http://a:1") DB("d", "c"), URI("http://a:1") STAR "}", 0,
             CDC_E_DUPLICATE_COLLECTION, DUP("d.c"),
             "one of another database, of all");
    conflict(URI("http://a:1") DB("d", "c"), URI("http://a:1") DB("d", "*"),
             0, CDC_E_DUPLICATE_COLLECTION, DUP("d.c"), "one of a database");
    conflict(URI("http://a:1") DB("d", "*"), URI("http://a:1") NOT("d.c")
             STAR "}", 0, CDC_E_DUPLICATE_COLLECTION, DUP("d.*"),
             "a database of which a part is left out");
    conflict(URI("http://a:1") "\"collection_infos\":[{\"name\":\"a\"},"
             "{\"name\":\"b\"},{\"name\":\"c\"}]}",
             URI("http://a:1") "\"collection_infos\":[{\"name\":\"c\"},"
             "{\"name\":\"a\"}]}", 0, CDC_E_DUPLICATE_COLLECTION,
             DUP("default.a default.c"), "two of three");
    conflict(URI("http://a:1") STAR "}",
             "{\"milvus_connect_param\":{\"host\":\"a\",\"port\":1}," STAR
             "}", 0, CDC_E_DUPLICATE_COLLECTION, DUP("default.*"),
             "the same target in the other form");
    conflict(URI("http://a:1") MAP("c", "d") NAMED("c"),
             URI("http://a:1") NAMED("c"), 0, CDC_E_DUPLICATE_COLLECTION,
             DUP("default.c"), "the same, to another name");
    conflict(URI("http://a:1") ROLES NAMED("d"),
             URI("http://a:1") ROLES NAMED("c"), 0, CDC_E_DUPLICATE_ROLE,
             "the enable user role param is duplicate", "roles twice");
    conflict(URI("http://a:1") ROLES NAMED("d"),
             URI("http://b:1") ROLES NAMED("c"), 0, CDC_E_OK, "",
             "roles to two targets");
}


static void
test_overlaps(void)
{
    char           text[CDC_REASON_MAX];
    cdc_stored_t  *t, *other;

    conflict(URI("http://a:1") STAR "}", URI("http://b:1") STAR "}", 1,
             CDC_E_TARGET_IN_USE, IN_USE("http://a:1", "*.*"),
             "the same address by another name");
    conflict(URI("http://a:1") NAMED("a"), URI("http://b:1") NAMED("b"), 1,
             CDC_E_OK, "", "which may be shared");
    conflict(URI("http://a:1") MAP("c", "d") NAMED("c"),
             URI("http://a:1") NAMED("d"), 0, CDC_E_TARGET_IN_USE,
             IN_USE("http://a:1", "default.d"), "mapped onto the other's");
    conflict(URI("http://a:1") STAR "}",
             URI("http://a:1") MAP("c", "d") NAMED("c"), 0,
             CDC_E_TARGET_IN_USE, IN_USE("http://a:1", "default.d"),
             "all, where one was mapped");

    t = task("new", "main", URI("http://a:1") STAR "}");
    other = task("old", "second", URI("http://a:1") STAR "}");
    is_int(cdc_stored_conflict(t, other, 0, text), CDC_E_TARGET_IN_USE,
           "two sources, one target");
    is_str(text, IN_USE("http://a:1", "*.*"), "two sources, one target");
    cdc_stored_free(t);
    cdc_stored_free(other);

    t = task("new", "main", URI("http://a:1") DB("d", "*"));
    other = task("old", "second", URI("http://a:1") DB("e", "*"));
    is_int(cdc_stored_conflict(t, other, 0, text), CDC_E_OK,
           "two sources, two databases");
    cdc_stored_free(t);
    cdc_stored_free(other);
}


static void
test_claims(void)
{
    leaves(URI("http://a:1") DB("d", "c"), URI("http://a:1") NAMED("c"), "",
           "one name in two databases");
    leaves(URI("http://a:1") NAMED("d"), URI("http://a:1") NAMED("c"), "",
           "one, after one");
    leaves(URI("http://a:1") STAR "}", URI("http://a:1") NAMED("c"),
           "[\"default.c\"]", "all, after one");
    leaves(URI("http://a:1") DB("d", "*"), URI("http://a:1")
           "\"db_collections\":{\"d\":[{\"name\":\"a\"},{\"name\":\"b\"}],"
           "\"e\":[{\"name\":\"c\"}]}}", "[\"d.a\",\"d.b\"]",
           "a database, after two of it and one beside");
    leaves(URI("http://a:1") STAR "}", URI("http://a:1") DB("d", "*"),
           "[\"d.*\"]", "all, after a database");
    leaves(URI("http://a:1") NOT("default.x") STAR "}",
           URI("http://a:1") NAMED("c"), "[\"default.x\",\"default.c\"]",
           "beside what was left out by the request");
    leaves(URI("http://a:1") NOT("default.c") STAR "}",
           URI("http://a:1") NAMED("c"), "[\"default.c\"]",
           "which may be the same");
    leaves(URI("http://a:1") NAMED("c"),
           URI("http://a:1") NOT("default.c") STAR "}", "",
           "one that all leaves out");
    leaves(URI("http://a:1") DB("d", "*"),
           URI("http://a:1") NOT("d.*") STAR "}", "",
           "a database that all leaves out");
}


static void
differs(const cdc_stored_t *t, const char *request, const char *source,
    const char *want, const char *name)
{
    json_t      *json;
    const char  *field;

    json = json_loads(request, 0, NULL);
    field = cdc_stored_differs(t, json, source);
    is_str(field != NULL ? field : "", want, name);
    json_decref(json);
}


/* a create of an id that there is: the same, or another */

static void
test_differs(void)
{
    int            i;
    char           err[CDC_REASON_MAX], *text;
    json_t        *source;
    cdc_stored_t  *t, *other, *was;

    source = json_loads("{\"kafka\":{}}", 0, NULL);
    other = task("other", "main", URI("http://a:1") NAMED("c"));
    t = task("t1", "main", URI("http://a:1") NOT("default.x") STAR "}");
    is_int(cdc_stored_check(t, source, err), CDC_E_OK, "a task");
    is_int(cdc_stored_conflict(t, other, 0, err), CDC_E_OK, "beside another");

    /* as it was made, and as the next store reads it */

    for (i = 0; i < 2; i++) {
        is_int(json_array_size(json_object_get(t->request,
                                               "exclude_collections")), 2,
               "which has claimed a name");

        differs(t, URI("http://a:1") NOT("default.x") STAR "}", "main", "",
                "the same");
        differs(t, URI("http://a:1") NOT("default.x") STAR
                ",\"extra_info\":{},\"log_gap\":\"\",\"position\":null,"
                "\"db_collections\":[],\"disable_auto_start\":false}", "main",
                "", "what says nothing");
        differs(t, URI("http://a:1") NOT("default.x") STAR "}", "second",
                "milvus_cdc_source", "another source");
        differs(t, URI("http://b:1") NOT("default.x") STAR "}", "main",
                "milvus_connect_param", "another target");
        differs(t, URI("http://a:1") STAR "}", "main", "exclude_collections",
                "nothing left out");
        differs(t, URI("http://a:1") "\"exclude_collections\":"
                "[\"default.x\",\"default.c\"]," STAR "}", "main",
                "exclude_collections", "more left out");
        differs(t, URI("http://a:1") NOT("default.x") NAMED("c"), "main",
                "collection_infos", "other collections");
        differs(t, URI("http://a:1") NOT("default.x") STAR
                ",\"log_gap\":\"earliest\"}", "main", "log_gap",
                "something more");
        differs(t, "{}", "main", "milvus_connect_param", "nothing at all");

        text = cdc_stored_dump(t);
        was = t;
        t = cdc_stored_load(cdc_span("t1"), cdc_span_n(text, strlen(text)));
        cdc_stored_free(was);
        free(text);
    }

    cdc_stored_free(t);

    t = cdc_stored_load(cdc_span("t1"), cdc_span("{\"state\":\"Running\"}"));
    differs(t, "{}", "main", "request_data", "a record that is damaged");
    cdc_stored_free(t);

    t = cdc_stored_load(cdc_span("t1"), cdc_span("{\"state\":\"Running\","
            "\"reason\":\"\",\"revision\":1,\"created_ms\":1,\"source\":"
            "\"main\",\"claimed\":1,\"request_data\":" URI("http://a:1")
            STAR "}}"));
    ok(t->request == NULL && strstr(t->reason, "claimed") != NULL,
       "more claims than names");
    cdc_stored_free(t);

    cdc_stored_free(other);
    json_decref(source);
}


static void
refused(const char *request, cdc_error_e want, const char *text,
    const char *name)
{
    char           got[CDC_REASON_MAX];
    cdc_stored_t  *t;
    json_t        *source;

    got[0] = '\0';
    source = json_loads("{\"kafka\":{}}", 0, NULL);
    t = task("new", "main", request);

    is_int(cdc_stored_check(t, source, got), want, name);
    is_str(got, text, name);

    cdc_stored_free(t);
    json_decref(source);
}


#define POSITIONS(list)                                                       \
    "\"collection_infos\":[{\"name\":\"c\",\"positions\":{" list "}}]}"
#define GOOD_POSITION                                                         \
    "ChZieS1kZXYtcm9vdGNvb3JkLWRtbF8wEghWJwAAAAAAAA=="


static void
test_checks(void)
{
    refused(URI("http://a:1") POSITIONS("\"p_1v0\":\"" GOOD_POSITION
            "\",\"p_1v1\":\"" GOOD_POSITION "\""), CDC_E_OK, "",
            "positions");
    refused(URI("http://a:1") POSITIONS("\"p_1v0\":\"" GOOD_POSITION
            "\",\"p_2v1\":\"" GOOD_POSITION "\""), CDC_E_MIXED_POSITIONS,
            "the channel position info should be in the same collection",
            "positions of two collections");
    refused(URI("http://a:1") POSITIONS("\"p_99999999999999999999v0\":\"\""),
            CDC_E_BAD_VCHANNEL, "the vchannel is invalid, "
            "p_99999999999999999999v0, err: it is not <channel>_<collection "
            "id>v<shard>", "an id that is none");
    refused(URI("http://a:1") POSITIONS("\"p_1v0\":\"abc\""),
            CDC_E_BAD_POSITION, "fail to decode the position data: p_1v0: it "
            "is not base64", "a position that is none");
    refused(URI("http://a:1") POSITIONS("\"p_1v0\":\"EgIBAiAH\""),
            CDC_E_BAD_POSITION, "fail to decode the position data: p_1v0: "
            "its msgID of 2 bytes is not one of kafka, where the source has "
            "its log", "one of another log");
    refused(URI("http://a:1") "\"rpc_channel_info\":{\"position\":\"abc\"},"
            STAR "}", CDC_E_BAD_RPC_POSITION, "fail to decode the rpc "
            "position data: it is not base64", "rpc position");

    refused(URI("http://a:1") NOT("a") STAR "}", CDC_E_BAD_EXCLUDE,
            "`exclude_collections` is invalid, \"a\" should be a database, a "
            "dot and a collection, either of which may be *", "no dot");
    refused(URI("http://a:1") NOT("a.b.c") STAR "}", CDC_E_BAD_EXCLUDE,
            "`exclude_collections` is invalid, \"a.b.c\" should be a "
            "database, a dot and a collection, either of which may be *",
            "two dots");
    refused(URI("http://a:1") NOT("default.d") NAMED("c"), CDC_E_BAD_EXCLUDE,
            "`exclude_collections` is invalid, \"default.d\" is not among "
            "what the task follows", "what is not followed");
    refused(URI("http://a:1") NOT("default.*") NAMED("c"), CDC_E_BAD_EXCLUDE,
            "`exclude_collections` is invalid, it leaves nothing of "
            "\"default.c\"", "all that is followed");

    refused(URI("http://a:1") MAP("d", "e") NAMED("c"),
            CDC_E_MAPPING_OUTSIDE, "the collection name in the name mapping "
            "is not in the collection info, checkout it",
            "a mapping of something else");
    refused(URI("http://a:1") MAP("c", "1") NAMED("c"), CDC_E_BAD_MAPPING,
            "`name_mapping` is invalid, \"1\" cannot be a name on the "
            "target: it should begin with a letter or an underscore, and "
            "have at most 255 letters, digits, underscores and dollar signs",
            "a mapping to no name");
    refused(URI("http://a:1") "\"name_mapping\":[{\"source_db\":\"d\","
            "\"target_db\":\"e\"},{\"source_db\":\"d\",\"target_db\":"
            "\"f\"}]," STAR "}", CDC_E_BAD_MAPPING, "`name_mapping` is "
            "invalid, the database \"d\" is mapped to \"e\" and to \"f\": a "
            "database goes to one other", "a mapping to two");
}


static void
test_stored(void)
{
    char          *text, *again;
    json_t        *json;
    cdc_stored_t  *t, *u;

    t = task("t1", "main", URI("http://a:1") STAR "}");
    t->created_ms = 1700000000123;

    cdc_stored_set(t, CDC_TASK_PAUSED, "broken \xff\xfe text");
    is_int(t->revision, 2, "a change grows the revision");
    is_str(t->reason, "broken ?? text", "a reason is made valid UTF-8");

    text = cdc_stored_dump(t);
    ok(strstr(text, "s3cret") != NULL, "the record holds the secrets");

    u = cdc_stored_load(cdc_span("t1"), cdc_span_n(text, strlen(text)));
    again = cdc_stored_dump(u);
    is_str(again, text, "a record is read as it was written");
    is_str(u->target, "http://a:1", "with its target");
    is_str(u->address, "a:1", "and address");
    free(again);

    again = cdc_stored_config(u);
    json = json_loads(again, 0, NULL);
    is_str(json_string_value(json_object_get(json, "task_id")), "t1",
           "CONFIG has the task's id");
    is_int(json_equal(json_object_get(json, "request_data"), t->request), 1,
           "and the request");
    json_decref(json);
    free(again);
    cdc_stored_free(u);

    /* one byte less: no JSON any more */

    u = cdc_stored_load(cdc_span("t1"), cdc_span_n(text, strlen(text) - 1));
    is_int(u->state, CDC_TASK_PAUSED, "a damaged record is a paused task");
    ok(strstr(u->reason, "cannot be read") != NULL, "that says why");
    ok(u->request == NULL, "and has no request");
    {
        size_t  need;

        is_int(cdc_stored_record(u, &record, &need), CDC_OK, "it is shown");
        is_str(record.list_doc, "{\"task_id\":\"t1\","
               "\"milvus_connect_param\":{},\"collection_infos\":[]}",
               "as far as it is known");
    }
    cdc_stored_free(u);

    u = cdc_stored_load(cdc_span("t1"), cdc_span("{\"state\":\"Running\"}"));
    is_int(u->state, CDC_TASK_PAUSED, "one that lacks fields, too");
    cdc_stored_free(u);

    ok(cdc_stored_load(cdc_span("a/b"), cdc_span_n(text, strlen(text)))
           == NULL, "a record under a bad id is left aside");

    cdc_stored_free(t);
    free(text);
}


/* where the source's channels ended at the create */

static void
test_ends(void)
{
    int            i, n;
    char           name[256], *text;
    json_t        *ends;
    cdc_stored_t  *t, *u;

    for (n = 256; n <= 8192; n *= 32) {
        ends = json_object();
        memset(name, 'c', sizeof(name));

        for (i = 0; i < n; i++) {
            (void) snprintf(name + 240, sizeof(name) - 240, "_%d", i);
            (void) json_object_set_new(ends, name,
                                       json_pack("[i, I]", 0,
                                                 (json_int_t) INT64_MAX));
        }

        t = task("t1", "main", URI("http://a:1") STAR "}");
        cdc_create_ends(t, ends);
        text = cdc_stored_dump(t);
        ok(strlen(text) <= CDC_STORE_RECORD_MAX, "a record fits into a frame");
        u = cdc_stored_load(cdc_span("t1"), cdc_span_n(text, strlen(text)));

        if (n == 256) {
            ok(json_equal(u->source_ends, ends), "ends of many channels are "
               "in it");

        } else {
            ok(u->request != NULL && u->source_ends == NULL,
               "too many are left out");
        }

        cdc_stored_free(u);
        cdc_stored_free(t);
        free(text);
        json_decref(ends);
    }

    t = task("t1", "main", URI("http://a:1") STAR "}");
    cdc_create_ends(t, NULL);
    ok(t->source_ends == NULL, "none are none");
    cdc_stored_free(t);
}


static void
test_reason(void)
{
    char           long_text[CDC_REASON_MAX + 16];
    size_t         i;
    cdc_stored_t  *t;

    t = task("t1", "main", URI("http://a:1") STAR "}");

    for (i = 0; i + 2 < sizeof(long_text); i += 2) {
        memcpy(long_text + i, "\xc3\xa4", 2);
    }

    long_text[i] = '\0';
    memcpy(long_text, "xx", 1);
    memmove(long_text + 1, long_text + 2, i - 1);

    cdc_stored_set(t, CDC_TASK_PAUSED, long_text);
    ok(strlen(t->reason) < CDC_REASON_MAX && strchr(t->reason, '?') == NULL,
       "a long reason is cut between characters");

    cdc_stored_free(t);
}


static int
allowed(const char *list, const char *address)
{
    int      rc;
    json_t  *json;

    json = json_loads(list, 0, NULL);
    rc = cdc_probe_allowed(json, address);
    json_decref(json);

    return rc;
}


static void
test_allow(void)
{
    ok(allowed("[]", "h:1"), "no list allows all");
    ok(allowed("[\"h\"]", "h:1"), "a host, any port");
    ok(allowed("[\"x\",\"H:1\"]", "h:1"), "host and port, any case");
    ok(!allowed("[\"h:2\"]", "h:1"), "another port");
    ok(!allowed("[\"h:19\"]", "h:1"), "nor one that begins alike");
    ok(allowed("[\"h:01\"]", "h:1"), "a port is a number");
    ok(!allowed("[\"h\"]", "hh:1"), "another host");
    ok(!allowed("[\"h\"]", "h.evil:1"), "a longer name");
    ok(allowed("[\"*.d.org\"]", "a.d.org:1"), "a domain");
    ok(allowed("[\"*.d.org:1\"]", "A.D.org:1"), "a domain and port");
    ok(!allowed("[\"*.d.org:2\"]", "a.d.org:1"), "another port there");
    ok(!allowed("[\"*.d.org\"]", "d.org:1"), "not the domain's own name");
    ok(!allowed("[\"*.d.org\"]", "ad.org:1"), "nor what ends alike");
    ok(allowed("[\"[::1]\"]", "[::1]:1"), "IPv6, any port");
    ok(allowed("[\"[::1]:1\"]", "[::1]:1"), "IPv6 and port");
    ok(!allowed("[\"[::1]:2\"]", "[::1]:1"), "IPv6, another port");
    ok(!allowed("[\"[::2]\"]", "[::1]:1"), "another IPv6");
}


static void
test_addrs(void)
{
    cdc_addrs_t  a, b;

    cdc_addrs_resolve(&a, "127.0.0.1:1");
    cdc_addrs_resolve(&b, "localhost:1");
    ok(cdc_addrs_meet(&a, &b), "127.0.0.1 is localhost");
    cdc_addrs_resolve(&b, "[::1]:1");
    ok(cdc_addrs_meet(&a, &b), "and [::1]");
    cdc_addrs_resolve(&b, "[::ffff:127.0.0.1]:1");
    ok(cdc_addrs_meet(&a, &b), "and its mapped form");
    cdc_addrs_resolve(&b, "127.0.0.1:2");
    ok(!cdc_addrs_meet(&a, &b), "the port counts");
    cdc_addrs_resolve(&b, "192.0.2.1:1");
    ok(!cdc_addrs_meet(&a, &b), "another address");
    cdc_addrs_resolve(&b, "");
    is_int(b.n, 0, "nothing resolves to nothing");
    ok(!cdc_addrs_meet(&b, &b), "and meets nobody");
}


/* one server by three names, one of them twice */

static void
test_groups(void)
{
    char          *text;
    json_t        *json;
    cdc_stored_t  *a, *b, *c, *d, *e, *f;

    a = task("a", "main", URI("http://a:1") STAR "}");
    b = task("b", "main", URI("http://b:1") STAR "}");
    c = task("c", "main", URI("http://c:1") STAR "}");
    d = task("d", "main", URI("http://b:1") STAR "}");
    e = task("e", "main", URI("http://a:1") STAR "}");

    (void) cdc_stored_join(b, a, 0);
    ok(b->group == NULL, "two servers: no group");
    (void) cdc_stored_join(b, a, 1);
    is_str(b->group ? b->group : "", "a:1", "one server: the first name");
    (void) cdc_stored_join(c, b, 1);
    is_str(c->group ? c->group : "", "a:1", "a third name joins the first");
    (void) cdc_stored_join(d, b, 0);
    is_str(d->group ? d->group : "", "a:1", "the same name needs no address");
    (void) cdc_stored_join(e, b, 1);
    ok(e->group == NULL, "the first name is its own group");

    text = cdc_stored_dump(b);
    f = cdc_stored_load(cdc_span("b"), cdc_span_n(text, strlen(text)));
    is_str(f->group ? f->group : "", "a:1", "a record keeps it");
    free(text);

    text = cdc_stored_config(f);
    json = json_loads(text, 0, NULL);
    is_str(json_string_value(json_object_get(json, "target_group")), "a:1",
           "and the replicator is told");
    json_decref(json);
    free(text);

    cdc_stored_free(a);
    cdc_stored_free(b);
    cdc_stored_free(c);
    cdc_stored_free(d);
    cdc_stored_free(e);
    cdc_stored_free(f);
}


int
main(void)
{
    cdc_log_init("", NULL, CDC_LOG_EMERG);

    test_ids();
    test_docs();
    test_doc_size();
    test_duplicates();
    test_overlaps();
    test_claims();
    test_differs();
    test_checks();
    test_stored();
    test_ends();
    test_groups();
    test_reason();
    test_allow();
    test_addrs();

    return done_testing();
}
