/*
 * What only later versions of Milvus know (2.4, 2.5), against a server in
 * this process that answers as those do: their sources say so, no such
 * server could be run here.  It keeps the requests; they are read field by
 * field.
 */

#include "target_server.h"

#include "target/cdc_milvus_int.h"

#include "milvus_service.pb-c.h"
#include "tap.h"


#define T          (&cdc_milvus_target)
#define CALLS_MAX  16
#define HASH       "$2a$10$abcdefghijklmnopqrstuv"

typedef struct {
    char      method[48];
    uint8_t   data[512];
    size_t    len;
} seen_t;


static cdc_target_error_t  e;
static seen_t              seen[CALLS_MAX];
static int                 nseen;

/* how the server behaves */

static struct {
    int          lacks;                  /* UNIMPLEMENTED from now on */
    const char  *refuse;                 /* "Method": with reason, 65535 */
    const char  *reason;
    const char  *user;                   /* that is there */
    int          added;                  /* field "f" is there */
    int64_t      added_id;
} server;


/* ---- the server ---------------------------------------------------- */

static size_t
status_of(const char *reason, int nested, uint8_t *out)
{
    Milvus__Common__Status       st = MILVUS__COMMON__STATUS__INIT;
    Milvus__Service__StatusOnly  so = MILVUS__SERVICE__STATUS_ONLY__INIT;

    so.status = &st;

    if (reason != NULL) {
        st.code = 65535;
        st.error_code = 1;
        st.reason = (char *) reason;
    }

    return nested ? milvus__service__status_only__pack(&so, out)
                  : milvus__common__status__pack(&st, out);
}


static size_t
users(uint8_t *out)
{
    char                                    *names[2];
    Milvus__Service__ListCredUsersResponse   r;

    milvus__service__list_cred_users_response__init(&r);
    names[0] = (char *) "root";
    names[1] = (char *) server.user;
    r.n_usernames = server.user ? 2 : 1;
    r.usernames = names;

    return milvus__service__list_cred_users_response__pack(&r, out);
}


/* g1: Load and Insert */

static size_t
groups(uint8_t *out)
{
    Milvus__Service__PrivilegeEntity               p[2], *ps[2];
    Milvus__Service__PrivilegeGroupInfo            g, *gs[1];
    Milvus__Service__ListPrivilegeGroupsResponse   r;

    milvus__service__list_privilege_groups_response__init(&r);
    milvus__service__privilege_group_info__init(&g);
    milvus__service__privilege_entity__init(&p[0]);
    milvus__service__privilege_entity__init(&p[1]);

    p[0].name = (char *) "Load";
    p[1].name = (char *) "Insert";
    ps[0] = &p[0];
    ps[1] = &p[1];
    g.group_name = (char *) "g1";
    g.n_privileges = 2;
    g.privileges = ps;
    gs[0] = &g;
    r.n_privilege_groups = 1;
    r.privilege_groups = gs;

    return milvus__service__list_privilege_groups_response__pack(&r, out);
}


static size_t
fields(uint8_t *out, int extra, int64_t extra_id, const char *length)
{
    Milvus__Common__KeyValuePair      kv, *kvs[1];
    Milvus__Schema__FieldSchema       f[3], *fs[3];
    Milvus__Schema__CollectionSchema  s;
    int                               i;

    static const char    *names[] = { "id", "name", "f" };
    static const int32_t  types[] = { 5, 21, 5 };

    milvus__common__key_value_pair__init(&kv);
    milvus__schema__collection_schema__init(&s);
    kv.key = (char *) "max_length";
    kv.value = (char *) length;
    kvs[0] = &kv;

    for (i = 0; i < 3; i++) {
        milvus__schema__field_schema__init(&f[i]);
        f[i].name = (char *) names[i];
        f[i].fieldid = i < 2 ? 100 + i : extra_id;
        f[i].data_type = types[i];
        fs[i] = &f[i];
    }

    f[1].n_type_params = 1;
    f[1].type_params = kvs;
    f[2].nullable = 1;
    s.name = (char *) "c";
    s.n_fields = extra ? 3 : 2;
    s.fields = fs;

    return milvus__schema__collection_schema__pack(&s, out);
}


static size_t
described(uint8_t *out)
{
    uint8_t                                      schema[512];
    Milvus__Service__DescribeCollectionResponse  d;

    milvus__service__describe_collection_response__init(&d);
    d.collectionid = 7;
    d.collection_name = (char *) "c";
    d.schema.data = schema;
    d.schema.len = fields(schema, server.added, server.added_id, "64");

    return milvus__service__describe_collection_response__pack(&d, out);
}


static int
answer(const char *method, const uint8_t *request, size_t len, uint8_t *out,
    size_t *n)
{
    seen_t  *s;

    if (strcmp(method, "ListCredUsers") == 0) {
        *n = users(out);
        return 0;
    }

    if (strcmp(method, "DescribeCollection") == 0) {
        *n = described(out);
        return 0;
    }

    if (strcmp(method, "ShowPartitions") == 0) {
        *n = status_of(NULL, 1, out);
        return 0;
    }

    if (server.lacks) {
        return 12;
    }

    if (strcmp(method, "ListPrivilegeGroups") == 0) {
        *n = groups(out);
        return 0;
    }

    s = &seen[nseen++ % CALLS_MAX];
    (void) snprintf(s->method, sizeof(s->method), "%s", method);
    s->len = len < sizeof(s->data) ? len : sizeof(s->data);
    memcpy(s->data, request, s->len);

    if (server.refuse != NULL && strcmp(server.refuse, method) == 0) {
        *n = status_of(server.reason, 0, out);
        return 0;
    }

    if (strcmp(method, "AddCollectionField") == 0) {
        server.added = 1;
    }

    *n = status_of(NULL, 0, out);

    return 0;
}


/* ---- what it saw --------------------------------------------------- */

static void
reset(void)
{
    memset(&server, 0, sizeof(server));
    memset(&e, 0, sizeof(e));
    nseen = 0;
}


/* "2.1=name": field 1 within field 2; the nth of that number */

static const char *
field(int call, const char *path, int nth)
{
    long          number;
    char         *end;
    uint64_t      value;
    cdc_span_t    in, body;
    cdc_field_t   f;

    static char  text[128];

    body = cdc_span_n(seen[call].data, seen[call].len);
    value = 0;

    for (end = (char *) path; *end != '\0'; end += *end == '.') {
        number = strtol(end, &end, 10);
        in = body;
        body = cdc_span_n(NULL, 0);

        while (cdc_wire_next(&in, &f) == CDC_OK) {
            if (f.number == (uint32_t) number
                && (*end != '\0' || nth-- == 0))
            {
                body = f.body;
                value = f.value;
                break;
            }
        }

        if (body.data == NULL && value == 0) {
            return "-";
        }
    }

    if (body.data == NULL) {
        (void) snprintf(text, sizeof(text), "%llu",
                        (unsigned long long) value);
    } else {
        (void) snprintf(text, sizeof(text), "%.*s", (int) body.len,
                        (const char *) body.data);
    }

    return text;
}


static void
called(int call, const char *method)
{
    is_str(call < nseen ? seen[call].method : "none", method, method);
    is_str(field(call, "1.7.1", 0), "1", "as replication");
}


#define RBAC(...)                                                            \
    T->rbac(target, &(cdc_meta_rbac_t) { __VA_ARGS__ }, &e)


/* ---- users and groups ---------------------------------------------- */

static void
test_users(void)
{
    char  cut[800];

    reset();
    is_int(RBAC(.kind = CDC_META_USER, .user = "u", .password_hash = HASH),
           CDC_OK, "user: restored with its hash");
    is_int(nseen, 1, "in one call");
    called(0, "RestoreRBAC");
    is_str(field(0, "2.1.1", 0), "u", "the user");
    is_str(field(0, "2.1.2", 0), HASH, "its hash");
    is_str(field(0, "2.1.3", 0), "-", "and no roles");
    is_str(field(0, "2.2", 0), "-", "none at all");

    reset();
    server.user = "u";
    is_int(RBAC(.kind = CDC_META_USER, .user = "u", .password_hash = HASH),
           CDC_OK, "user: is there");
    is_int(nseen, 0, "and left alone");

    reset();
    server.refuse = "RestoreRBAC";
    server.reason = "user [u] already exists";
    is_int(RBAC(.kind = CDC_META_USER, .user = "u", .password_hash = HASH),
           CDC_OK, "user: somebody else was faster");

    server.reason = "bad credential " HASH;
    is_int(RBAC(.kind = CDC_META_USER, .user = "u", .password_hash = HASH),
           CDC_ERROR, "user: refused");
    ok(strstr(e.text, "$2a") == NULL && strstr(e.text, "\"u\"") != NULL,
       "without its hash: %s", e.text);

    (void) snprintf(cut, sizeof(cut), "%0745d: " HASH, 0);
    server.reason = cut;
    is_int(RBAC(.kind = CDC_META_USER, .user = "u", .password_hash = HASH),
           CDC_ERROR, "user: refused at length");
    ok(strstr(e.text, "$2a") == NULL, "without a part of its hash: %s",
       e.text);

    reset();
    server.lacks = 1;
    is_int(RBAC(.kind = CDC_META_USER, .user = "u", .password_hash = HASH),
           CDC_DECLINED, "user: 2.3");

    reset();
    server.user = "u";
    is_int(RBAC(.kind = CDC_META_USER, .user = "u", .gone = 1), CDC_OK,
           "user: gone");
    called(0, "DeleteCredential");
    is_str(field(0, "2", 0), "u", "the user");

    reset();
    is_int(RBAC(.kind = CDC_META_ROLE, .role = "r", .gone = 1), CDC_OK,
           "role: gone");
    called(0, "DropRole");
    is_str(field(0, "3", 0), "1", "with all that it has");
}


static void
test_groups(void)
{
    static const char  *more[] = { "Insert", "Query" };

    reset();
    is_int(RBAC(.kind = CDC_META_PRIVILEGE_GROUP, .group = "g1",
                .privileges = more, .nprivileges = 2), CDC_OK,
           "group: changed");
    is_int(nseen, 2, "in two calls");
    called(0, "OperatePrivilegeGroup");
    is_str(field(0, "2", 0), "g1", "the group");
    is_str(field(0, "3.1", 0), "Query", "gets what it lacks");
    is_str(field(0, "3", 1), "-", "only");
    is_str(field(0, "4", 0), "-", "added");
    is_str(field(1, "3.1", 0), "Load", "loses what it has too much");
    is_str(field(1, "4", 0), "1", "removed");

    reset();
    is_int(RBAC(.kind = CDC_META_PRIVILEGE_GROUP, .group = "g2",
                .privileges = more, .nprivileges = 2), CDC_OK,
           "group: a new one");
    is_int(nseen, 2, "in two calls");
    called(0, "CreatePrivilegeGroup");
    called(1, "OperatePrivilegeGroup");
    is_str(field(1, "3", 1) + 2, "Query", "both privileges");

    reset();
    is_int(RBAC(.kind = CDC_META_PRIVILEGE_GROUP, .group = "g2", .gone = 1),
           CDC_OK, "group: gone already");
    is_int(nseen, 0, "no call");
    is_int(RBAC(.kind = CDC_META_PRIVILEGE_GROUP, .group = "g1", .gone = 1),
           CDC_OK, "group: gone");
    called(0, "DropPrivilegeGroup");
}


static void
test_grants(void)
{
    reset();
    is_int(RBAC(.kind = CDC_META_GRANT, .role = "r", .db = "d",
                .object_type = "Collection", .object = "c",
                .privilege = "Load", .grantor = "root"), CDC_OK, "grant");
    called(0, "OperatePrivilege");
    is_str(field(0, "2.1.1", 0), "r", "its role");
    is_str(field(0, "2.2.1", 0), "Collection", "its type");
    is_str(field(0, "2.3", 0), "c", "its object");
    is_str(field(0, "2.4.1.1", 0), "root", "its grantor");
    is_str(field(0, "2.4.2.1", 0), "Load", "its privilege");
    is_str(field(0, "2.5", 0), "d", "its database");
    is_str(field(0, "3", 0), "-", "granted");

    reset();
    server.refuse = "OperatePrivilege";
    server.reason = "can not operate the custom privilege group [g1]";
    is_int(RBAC(.kind = CDC_META_GRANT, .role = "r", .db = "d",
                .object_type = "Global", .object = "*", .privilege = "g1",
                .gone = 1), CDC_OK, "revoke of a group");
    called(1, "OperatePrivilegeV2");
    is_str(field(1, "2.1", 0), "r", "its role");
    is_str(field(1, "3.2.1", 0), "g1", "the group");
    is_str(field(1, "4", 0), "1", "revoked");
    is_str(field(1, "5", 0), "d", "its database");
    is_str(field(1, "6", 0), "*", "its collections");

    server.reason = "fail to get authorization from the md";
    is_int(RBAC(.kind = CDC_META_GRANT, .role = "r", .object_type = "Global",
                .object = "*", .privilege = "Load"), CDC_DECLINED,
           "grant without a login");
    ok(strstr(e.text, "token") != NULL, "says: %s", e.text);
}


/* ---- properties and fields ----------------------------------------- */

/* {7 or 3: {"a": "1"}} and so on */

#define PAIR7(k, v)  "\x3a\x06\x0a\x01" k "\x12\x01" v
#define PAIR3(k, v)  "\x1a\x06\x0a\x01" k "\x12\x01" v


static void
test_properties(void)
{
    reset();
    is_int(T->alter_collection(target, "d", "c",
                               cdc_span(PAIR7("a", "1") PAIR7("b", "2")),
                               cdc_span(PAIR7("b", "3")), 5, &e), CDC_OK,
           "properties of a collection");
    is_int(nseen, 3, "set, set again (2.3), deleted");
    called(0, "AlterCollection");
    is_str(field(0, "5.1", 0), "b", "the one that differs");
    is_str(field(0, "5.2", 0), "3", "its value");
    is_str(field(0, "6", 0), "-", "nothing deleted with it");
    is_str(field(1, "5.2", 0), "3", "and again");
    is_str(field(2, "5", 0), "-", "nothing set");
    is_str(field(2, "6", 0), "a", "the one that is gone");
    is_str(field(2, "1.7.2", 0), "5", "at the source's time");

    reset();
    is_int(T->alter_database(target, "d",
                             cdc_span(PAIR3("a", "1") PAIR3("b", "2")),
                             cdc_span(PAIR3("b", "3")), 5, &e), CDC_OK,
           "properties of a database");
    is_int(nseen, 2, "set, deleted");
    called(0, "AlterDatabase");
    is_str(field(0, "2", 0), "d", "the database");
    is_str(field(0, "4.2", 0), "3", "the value");
    is_str(field(1, "5", 0), "a", "the key that is gone");

    reset();
    server.refuse = "AlterDatabase";
    server.reason = "only support alter database properties, but database "
                    "properties is empty";
    is_int(T->alter_database(target, "d", cdc_span(PAIR3("a", "1")),
                             cdc_span(""), 5, &e), CDC_DECLINED,
           "2.4 deletes none");
    ok(strstr(e.text, "\"d\"") && strstr(e.text, "2.5"), "says: %s", e.text);
}


static void
test_fields(void)
{
    uint8_t  b1[512], b2[512];

#define BEFORE  cdc_span_n(b1, fields(b1, 0, 102, "64"))
#define AFTER   cdc_span_n(b2, fields(b2, 1, 102, "128"))

    reset();
    server.added_id = 102;
    is_int(T->alter_schema(target, "d", "c", BEFORE, AFTER, 5, &e), CDC_OK,
           "fields: one wider, one new");
    is_int(nseen, 2, "in two calls");
    called(0, "AlterCollectionField");
    is_str(field(0, "4", 0), "name", "the field");
    is_str(field(0, "5.1", 0), "max_length", "what changes");
    is_str(field(0, "5.2", 0), "128", "and how");
    called(1, "AddCollectionField");
    is_str(field(1, "5.2", 0), "f", "the new one");
    is_str(field(1, "5.15", 0), "1", "all of it");

    nseen = 0;
    is_int(T->alter_schema(target, "d", "c", BEFORE, AFTER, 5, &e), CDC_OK,
           "fields: again");
    is_int(nseen, 1, "the new one is there");

    reset();
    server.added_id = 103;
    is_int(T->alter_schema(target, "d", "c", BEFORE, AFTER, 5, &e),
           CDC_ERROR, "fields: another id on the target");
    is_int(e.class, CDC_TARGET_REFUSED, "is refused");
    ok(strstr(e.text, "\"f\"") && strstr(e.text, "102")
       && strstr(e.text, "103"), "says: %s", e.text);

    reset();
    is_int(T->alter_schema(target, "d", "c", cdc_span("\x22\x7f"), AFTER, 5,
                           &e), CDC_ERROR, "fields: damaged");
    is_int(e.class, CDC_TARGET_REFUSED, "is refused");
}


/* an operation of the source that this target has not */

static void
test_apply(void)
{
    cdc_span_t         name;
    cdc_op_envelope_t  op;

    reset();
    server.lacks = 1;
    name = cdc_span("c");
    (void) cdc_wire_op_envelope(cdc_span("\x0a\x03\x08\xb0\x02\x1a\x01" "c"),
                                &op);
    is_int(T->apply(target, &op, 5, "d", &name, 1, &e), CDC_DECLINED,
           "apply: no such call");
    ok(strstr(e.text, "AlterIndex") && strstr(e.text, "upgrade"),
       "says: %s", e.text);
}


int
main(void)
{
    target_begin(answer);

    test_users();
    test_groups();
    test_grants();
    test_properties();
    test_fields();
    test_apply();

    target_end();

    return done_testing();
}
