/* which collections a task follows, where they go, which tasks meet */

#include <stdlib.h>
#include <string.h>

#include "cdc_replicator.h"
#include "cdc_selection.h"
#include "tap.h"


static json_t  *requests[64];
static size_t   nrequests;


static cdc_selection_t *
try(const char *request, char *err)
{
    json_t        *json;
    json_error_t   je;

    json = json_loads(request, 0, &je);

    if (json == NULL) {
        printf("# %s: %s\n", request, je.text);
        abort();
    }

    requests[nrequests++] = json;        /* which stays borrowed */

    return cdc_selection_create(json, err);
}


static cdc_selection_t *
selection(const char *request)
{
    char              err[CDC_REASON_MAX];
    cdc_selection_t  *s;

    err[0] = '\0';
    s = try(request, err);

    if (s == NULL) {
        printf("# %s: %s\n", request, err);
        abort();
    }

    return s;
}


static void
drop(cdc_selection_t *s)
{
    cdc_selection_free(s);

    while (nrequests > 0) {
        json_decref(requests[--nrequests]);
    }
}


#define ALL     "\"collection_infos\":[{\"name\":\"*\"}]"
#define EVERY   "\"db_collections\":{\"*\":[{\"name\":\"*\"}]}"


static void
test_selected(void)
{
    char              err[CDC_REASON_MAX];
    cdc_selection_t  *s;

    s = selection("{" ALL "}");
    ok(cdc_selected(s, "d", "a") && cdc_selected(s, "", "a"), "all: any");
    ok(cdc_selected_db(s, "d") && cdc_selected_whole_db(s, "d")
       && cdc_selected_all(s), "all: databases, too");
    drop(s);

    s = selection("{" EVERY "}");
    ok(cdc_selected_all(s) && cdc_selected(s, "d", "a"),
       "* of *: the same");
    drop(s);

    s = selection("{\"collection_infos\":[{\"name\":\"a\"},"
                  "{\"name\":\"b\"}]}");
    ok(cdc_selected(s, "default", "a") && cdc_selected(s, "", "b"),
       "two names: both, however the database is spelled");
    ok(!cdc_selected(s, "default", "c"), "no other");
    ok(!cdc_selected(s, "d", "a"), "not in another database");
    ok(cdc_selected_db(s, "") && !cdc_selected_db(s, "d")
       && !cdc_selected_whole_db(s, "default") && !cdc_selected_all(s),
       "no whole database");
    drop(s);

    s = selection("{\"db_collections\":{\"d\":[{\"name\":\"*\"}],"
                  "\"\":[{\"name\":\"a\"}],\"e\":[{\"name\":\"b\"},"
                  "{\"name\":\"c\"}]}}");
    ok(cdc_selected(s, "d", "x") && cdc_selected(s, "default", "a")
       && cdc_selected(s, "e", "c"), "three databases");
    ok(!cdc_selected(s, "default", "b") && !cdc_selected(s, "e", "a")
       && !cdc_selected(s, "f", "x"), "each with its own names");
    ok(cdc_selected_whole_db(s, "d") && !cdc_selected_whole_db(s, "e")
       && cdc_selected_db(s, "e") && !cdc_selected_all(s), "one of them whole");
    drop(s);

    s = selection("{\"db_collections\":{\"*\":[{\"name\":\"a\"}]}}");
    ok(cdc_selected(s, "d", "a") && cdc_selected(s, "", "a")
       && !cdc_selected(s, "d", "b"), "one name in all databases");
    ok(cdc_selected_db(s, "d") && !cdc_selected_whole_db(s, "d")
       && !cdc_selected_all(s), "none of which is whole");
    drop(s);

    ok(try("{}", err) == NULL && strstr(err, "create it again") != NULL,
       "a record without names is an error");
    drop(NULL);
}


static void
test_excluded(void)
{
    cdc_selection_t  *s;

    s = selection("{" ALL ",\"exclude_collections\":[\"default.a\",\"d.*\","
                  "\"*.tmp\",\".b\"]}");
    ok(!cdc_selected(s, "", "a") && !cdc_selected(s, "default", "a"),
       "a name that is left out");
    ok(!cdc_selected(s, "", "b"), "the default database by its other name");
    ok(cdc_selected(s, "e", "a") && cdc_selected(s, "", "c"), "not others");
    ok(!cdc_selected(s, "d", "x") && !cdc_selected_db(s, "d")
       && !cdc_selected_whole_db(s, "d"), "a database that is left out");
    ok(!cdc_selected(s, "e", "tmp"), "a name that is left out everywhere");
    ok(cdc_selected_whole_db(s, "default") && cdc_selected_all(s),
       "single names make no database less whole");
    drop(s);
}


static void
goes(const cdc_selection_t *s, const char *db, const char *name,
    const char *target_db, const char *target, const char *what)
{
    is_str(cdc_selection_target_db(s, db), target_db, what);
    is_str(cdc_selection_target_name(s, db, name), target, what);
}


static void
test_mapping(void)
{
    cdc_selection_t  *s;

    s = selection("{" ALL "}");
    goes(s, "d", "a", "d", "a", "without a mapping");
    drop(s);

    s = selection("{" ALL ",\"name_mapping\":[{\"source_db\":\"d\","
                  "\"target_db\":\"e\",\"collection_mapping\":{\"a\":\"b\"}},"
                  "{\"source_db\":\"\",\"target_db\":\"copy\"},"
                  "{\"source_db\":\"d\",\"target_db\":\"e\","
                  "\"collection_mapping\":{\"c\":\"x\",\"*\":\"*\"}}]}");
    goes(s, "d", "a", "e", "b", "a name that is mapped, under \"*\"");
    goes(s, "d", "c", "e", "x", "one of a second entry");
    goes(s, "d", "b", "e", "b", "others keep their name there");
    goes(s, "default", "a", "copy", "a", "the default database");
    goes(s, "", "a", "copy", "a", "by its other name");
    goes(s, "f", "a", "f", "a", "an unmapped database");
    drop(s);

    s = selection("{" ALL ",\"name_mapping\":[{\"source_db\":\"d\","
                  "\"target_db\":\"\",\"collection_mapping\":{}}]}");
    goes(s, "d", "a", "default", "a", "to the default database");
    drop(s);
}


static void
mapping(const char *request, int want, const char *text, const char *name)
{
    int               rc;
    char              err[CDC_REASON_MAX];
    cdc_selection_t  *s;

    err[0] = '\0';
    s = try(request, err);
    rc = s != NULL ? cdc_selection_mapping(s, err) : CDC_ERROR;

    is_int(rc, want, name);

    if (rc == CDC_ERROR) {
        is_str(err, text, name);
    }

    drop(s);
}


#define MAP(source, target, names)                                            \
    "{\"source_db\":\"" source "\",\"target_db\":\"" target "\","             \
    "\"collection_mapping\":{" names "}}"

#define NO_NAME(what)                                                         \
    "\"" what "\" cannot be a name on the target: it should begin with a "    \
    "letter or an underscore, and have at most 255 letters, digits, "         \
    "underscores and dollar signs"


static void
test_mapping_rules(void)
{
    mapping("{" ALL "}", CDC_OK, "", "no mapping");
    mapping("{" ALL ",\"name_mapping\":[" MAP("d", "e", "\"a\":\"b\"") "]}",
            CDC_OK, "", "a name under \"*\"");
    mapping("{" ALL ",\"name_mapping\":[" MAP("", "", "\"a\":\"b\","
            "\"b\":\"a\"") "]}", CDC_OK, "", "names that change places");

    mapping("{\"collection_infos\":[{\"name\":\"a\"}],\"name_mapping\":["
            MAP("default", "default", "\"b\":\"c\"") "]}", CDC_DECLINED, "",
            "a name that is not selected");
    mapping("{\"collection_infos\":[{\"name\":\"a\"}],\"name_mapping\":["
            MAP("d", "e", "") "]}", CDC_DECLINED, "",
            "a database that is not selected");
    mapping("{" ALL ",\"exclude_collections\":[\"default.a\"],"
            "\"name_mapping\":[" MAP("default", "default", "\"a\":\"c\"")
            "]}", CDC_DECLINED, "", "a name that is left out");

    mapping("{" ALL ",\"name_mapping\":[" MAP("", "", "\"a\":\"x\","
            "\"b\":\"x\"") "]}", CDC_ERROR, "\"default.a\" and "
            "\"default.b\" would both be \"default.x\" on the target",
            "two names to one");
    mapping("{" ALL ",\"name_mapping\":[" MAP("", "", "\"b\":\"x\","
            "\"a\":\"x\"") "]}", CDC_ERROR, "\"default.a\" and "
            "\"default.b\" would both be \"default.x\" on the target",
            "the same words the other way round");
    mapping("{\"collection_infos\":[{\"name\":\"a\"},{\"name\":\"b\"}],"
            "\"name_mapping\":[" MAP("", "", "\"a\":\"b\"") "]}", CDC_ERROR,
            "\"default.a\" and \"default.b\" would both be \"default.b\" on "
            "the target", "onto one that is followed, too");
    mapping("{" ALL ",\"name_mapping\":[" MAP("", "", "\"a\":\"b\"") "]}",
            CDC_OK, "", "onto one that may not be there");
    mapping("{" ALL ",\"name_mapping\":[" MAP("d", "x", "") ","
            MAP("e", "x", "") "]}", CDC_ERROR, "\"d\" and \"e\" would both "
            "be \"x\" on the target", "two databases to one");
    mapping("{\"db_collections\":{\"d\":[{\"name\":\"*\"}],\"e\":"
            "[{\"name\":\"*\"}]},\"name_mapping\":[" MAP("d", "e", "") "]}",
            CDC_ERROR, "\"d\" and \"e\" would both be \"e\" on the target",
            "onto one that is followed, too");
    mapping("{\"db_collections\":{\"d\":[{\"name\":\"a\"}],\"e\":"
            "[{\"name\":\"b\"}]},\"name_mapping\":[" MAP("d", "e", "") "]}",
            CDC_OK, "", "other names may meet in one database");
    mapping("{\"db_collections\":{\"d\":[{\"name\":\"a\"}],\"e\":"
            "[{\"name\":\"a\"}]},\"name_mapping\":[" MAP("d", "e", "") "]}",
            CDC_ERROR, "\"d.a\" and \"e.a\" would both be \"e.a\" on the "
            "target", "equal ones not");

    mapping("{" ALL ",\"name_mapping\":[" MAP("d", "x", "") ","
            MAP("d", "y", "") "]}", CDC_ERROR, "the database \"d\" is mapped "
            "to \"x\" and to \"y\": a database goes to one other",
            "one database to two");
    mapping("{" ALL ",\"name_mapping\":[" MAP("d", "x", "\"a\":\"b\"") ","
            MAP("d", "x", "\"a\":\"c\"") "]}", CDC_ERROR, "the collection "
            "\"d.a\" is mapped to \"b\" and to \"c\"", "one name to two");

    mapping("{" ALL ",\"name_mapping\":[" MAP("d", "1x", "") "]}", CDC_ERROR,
            NO_NAME("1x"), "a database's name");
    mapping("{" ALL ",\"name_mapping\":[" MAP("d", "e", "\"a\":\"\"") "]}",
            CDC_ERROR, NO_NAME(""), "an empty name");
    mapping("{" ALL ",\"name_mapping\":[" MAP("d", "e", "\"a\":\"b.c\"")
            "]}", CDC_ERROR, NO_NAME("b.c"), "a name with a dot");
    mapping("{" ALL ",\"name_mapping\":[" MAP("d", "e", "\"a\":\"*\"") "]}",
            CDC_ERROR, NO_NAME("*"), "a name to all");
}


static void
meet(const char *a, const char *b, const char *where, const char *name)
{
    char              got[CDC_REASON_MAX];
    cdc_selection_t  *s, *t;

    got[0] = '\0';
    s = selection(a);
    t = selection(b);

    is_int(cdc_selection_overlap(s, t, got), where[0] != '\0', name);
    is_str(got, where, name);

    got[0] = '\0';
    is_int(cdc_selection_overlap(t, s, got), where[0] != '\0', name);

    cdc_selection_free(s);
    drop(t);
}


#define NAMED(name)  "\"collection_infos\":[{\"name\":\"" name "\"}]"
#define DB(db, name)                                                          \
    "\"db_collections\":{\"" db "\":[{\"name\":\"" name "\"}]}"
#define MAPPED(source, target, names)                                         \
    ",\"name_mapping\":[" MAP(source, target, names) "]"
#define NOT(what)    ",\"exclude_collections\":[\"" what "\"]"


static void
test_overlap(void)
{
    meet("{" ALL "}", "{" ALL "}", "*.*", "all and all");
    meet("{" ALL "}", "{" NAMED("a") "}", "default.a", "all and one");
    meet("{" ALL NOT("default.a") "}", "{" NAMED("a") "}", "",
         "all but the one");
    meet("{" NAMED("a") "}", "{" NAMED("b") "}", "", "two names");
    meet("{" NAMED("a") "}", "{" DB("", "a") "}", "default.a",
         "one name, spelled in two ways");
    meet("{" NAMED("a") "}", "{" DB("d", "a") "}", "",
         "one name in two databases");
    meet("{" DB("d", "*") "}", "{" DB("*", "a") "}", "d.a",
         "a database, and a name in all of them");
    meet("{" DB("d", "*") NOT("*.a") "}", "{" DB("*", "a") "}", "",
         "but for that name");
    meet("{" DB("d", "*") "}", "{" DB("*", "a") NOT("d.*") "}", "",
         "but for that database");
    meet("{" DB("*", "a") "}", "{" DB("*", "b") "}", "",
         "two names in all databases");
    meet("{" DB("*", "a") "}", "{" DB("*", "a") "}", "*.a",
         "one name in all databases, twice");

    meet("{" NAMED("a") MAPPED("", "", "\"a\":\"b\"") "}", "{" NAMED("b") "}",
         "default.b", "a name that became the other's");
    meet("{" NAMED("a") MAPPED("", "", "\"a\":\"b\"") "}", "{" NAMED("a") "}",
         "", "a name that was freed");
    meet("{" DB("d", "*") MAPPED("d", "e", "") "}", "{" DB("d", "*") "}", "",
         "a database that was freed");
    meet("{" DB("d", "*") MAPPED("d", "e", "") "}", "{" DB("e", "x") "}",
         "e.x", "a database that became the other's");
    meet("{" ALL MAPPED("d", "e", "") "}", "{" DB("d", "*") "}", "",
         "all, with a database that was freed");
    meet("{" ALL MAPPED("d", "e", "") NOT("e.*") "}",
         "{" DB("f", "x") MAPPED("f", "e", "") "}", "e.x",
         "two databases that became one");
    meet("{" DB("d", "*") MAPPED("d", "e", "\"a\":\"x\"") NOT("d.x") "}",
         "{" DB("e", "a") "}", "", "a name that was freed in a database");
    meet("{" DB("d", "*") MAPPED("d", "e", "\"a\":\"x\"") NOT("d.x") "}",
         "{" DB("e", "x") "}", "e.x", "and the one that it took");
    meet("{" DB("d", "*") MAPPED("d", "e", "") "}", "{" DB("*", "a") "}",
         "e.a", "a mapped database, and a name in all of them");
    meet("{" DB("*", "a") MAPPED("d", "e", "\"a\":\"b\"") "}",
         "{" DB("e", "b") "}", "e.b", "a name in all of them that is mapped");
}


#define POSITION  "ChZieS1kZXYtcm9vdGNvb3JkLWRtbF8wEghWJwAAAAAAAA=="


static void
test_positions(void)
{
    char              err[CDC_REASON_MAX];
    uint64_t          ts;
    cdc_span_t        id;
    cdc_selection_t  *s;

    s = selection("{\"collection_infos\":[{\"name\":\"a\",\"positions\":"
                  "{\"p_1v0\":\"" POSITION "\",\"p_1v1\":\"EgIBAiAH\"}},"
                  "{\"name\":\"b\",\"use_start_position\":true}],"
                  "\"rpc_channel_info\":{\"position\":\"" POSITION "\"},"
                  "\"log_gap\":\"earliest\",\"extra_info\":"
                  "{\"enable_user_role\":true},\"milvus_connect_param\":"
                  "{\"ignore_partition\":true}}");

    is_int(cdc_selection_position(s, "p_1v0", &id, &ts), CDC_OK, "position");
    ok(id.len == 8 && memcmp(id.data, "\x56\x27\0\0\0\0\0\0", 8) == 0,
       "its message id");
    ok(ts == 0, "no time");
    is_int(cdc_selection_position(s, "p_1v1", &id, &ts), CDC_OK, "another");
    ok(id.len == 2 && memcmp(id.data, "\1\2", 2) == 0 && ts == 7,
       "with a time");
    is_int(cdc_selection_position(s, "p_2v0", &id, &ts), CDC_DECLINED,
           "none for others");
    is_int(cdc_selection_rpc_position(s, &id), CDC_OK, "rpc position");
    ok(id.len == 8 && id.data[0] == 0x56, "its message id");

    ok(cdc_selection_use_start(s, "", "b")
       && !cdc_selection_use_start(s, "default", "a")
       && !cdc_selection_use_start(s, "d", "b"), "use_start_position");
    ok(cdc_selection_earliest(s), "log_gap");
    ok(cdc_selection_rbac(s), "enable_user_role");
    ok(cdc_selection_ignore_partition(s), "ignore_partition");
    drop(s);

    s = selection("{\"collection_infos\":[{\"name\":\"*\","
                  "\"use_start_position\":true}],\"log_gap\":\"refuse\"}");
    ok(cdc_selection_use_start(s, "d", "b"), "use_start_position of all");
    ok(!cdc_selection_earliest(s) && !cdc_selection_rbac(s)
       && !cdc_selection_ignore_partition(s), "nothing is set by itself");
    is_int(cdc_selection_rpc_position(s, &id), CDC_DECLINED,
           "no rpc position");
    drop(s);

    ok(try("{\"collection_infos\":[{\"name\":\"a\",\"positions\":"
           "{\"p_1v0\":\"EgI\"}}]}", err) == NULL, "a damaged position");
    is_str(err, "the position of the channel \"p_1v0\" cannot be read: it is "
           "not base64", "is named");
    drop(NULL);
}


static void
decode(const char *text, const char *want, const char *name)
{
    int       rc;
    char      err[CDC_REASON_MAX];
    size_t    len;
    uint8_t  *id;
    uint64_t  ts;

    err[0] = '\0';
    rc = cdc_position_decode(text, &id, &len, &ts, err);
    is_str(err, want, name);

    if (rc == CDC_OK) {
        free(id);
    }
}


static void
test_decode(void)
{
    int64_t  id;

    decode(POSITION, "", "a position");
    decode("", "it has no msgID", "an empty one");
    decode("CgFh", "it has no msgID", "a channel alone");
    decode("EgIB", "it is not a MsgPosition", "cut short");
    decode("EgIBA", "it is not base64", "a length that is none");
    decode("EgI=AgAA", "it is not base64", "padding in the middle");
    decode("Eg==Ag==", "it is not base64", "the same at the end of four");
    decode("Eg*B", "it is not base64", "a character that is none");

    is_int(cdc_position_vchannel("by-dev-rootcoord-dml_0_12v3", &id), CDC_OK,
           "a vchannel");
    ok(id == 12, "its collection");
    is_int(cdc_position_vchannel("by-dev-rootcoord-dml_0", &id), CDC_ERROR,
           "a physical channel");
    is_int(cdc_position_vchannel("_1v0", &id), CDC_ERROR, "no channel");
    is_int(cdc_position_vchannel("a_1v", &id), CDC_ERROR, "no shard");
    is_int(cdc_position_vchannel("a_1v0x", &id), CDC_ERROR, "too much");
    is_int(cdc_position_vchannel("a_-1v0", &id), CDC_ERROR, "a sign");
    is_int(cdc_position_vchannel("a_99999999999999999999v0", &id), CDC_ERROR,
           "a number too large");
}


int
main(void)
{
    test_selected();
    test_excluded();
    test_mapping();
    test_mapping_rules();
    test_overlap();
    test_positions();
    test_decode();

    return done_testing();
}
