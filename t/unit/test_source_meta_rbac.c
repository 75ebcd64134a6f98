/*
 * Users and roles, as a real Milvus 2.3.5 wrote them (source_rbac_samples.h)
 * and as later versions do.
 */

#include "source_feed.h"
#include "source_rbac_samples.h"


#define ROLE(name)    "root-coord/credential/roles/" name
#define USER(name)    "root-coord/credential/users/" name
#define MEMBER(name)  "root-coord/credential/user-role-mapping/" name
#define GRANTEE(name) "root-coord/credential/grantee-privileges/" name
#define ID(name)      "root-coord/credential/grantee-id/" name
#define GROUP(name)   "root-coord/privilege-group/" name
#define V(s)          sizeof(s) - 1, s
#define HASH(s)       V("{\"encrypted_password\":\"" s "\"}")


/* what each Milvus has after its first start */

static const sample_t  built_in[] = {
    { 0, 0, "root-coord/database/db-info/1",
      V("\022\007default\030\001 \001") },
    { 0, 0, ID("250dd41b686083b0/PrivilegeDescribeCollection"), V("root") },
    { 0, 0, ID("250dd41b686083b0/PrivilegeShowCollections"), V("root") },
    { 0, 0, ID("e03326696e8a3b16/PrivilegeIndexDetail"), V("root") },
    { 0, 0, GRANTEE("public/Collection/*.*"), V("e03326696e8a3b16") },
    { 0, 0, GRANTEE("public/Global/*.*"), V("250dd41b686083b0") },
    { 0, 0, ROLE("admin"), V("") },
    { 0, 0, ROLE("public"), V("") },
    { 0, 0, MEMBER("root/admin"), V("") },
    { 0, 0, USER("root"), HASH("$2a$04$root") }
};


static const char *
events(int from, int to)
{
    log_[0] = '\0';
    feed_revisions(rbac_events, N(rbac_events), from, to);

    return told();
}


static void
test_real(void)
{
    start();
    feed(CDC_ETCD_LIST, built_in, N(built_in), 1, 1);
    is_str(told(), "+db:default listed ", "the built-in ones are not told");
    is_str(each_rbac(), "", "nor listed");

    is_str(events(37, 39), "+user:alice:$2a$04$Jk +user:bob:$2a$04$o5 "
           "+user:alice:$2a$04$kk ", "users, and another password");
    is_str(events(40, 44), "+role:reader +role:other +alice/reader "
           "+alice/other ", "roles and members");
    is_str(events(45, 45), "", "half a grant");
    is_str(events(46, 46), "+reader:Collection:default.*:Search:root ",
           "and the other half");
    is_str(events(47, 53),
           "+reader:Collection:default.books:Insert:root "
           "+reader:Global:default.*:*:root "
           "+reader:Global:default.*:CreateCollection:root "
           "+reader:User:default.*:UpdateUser:root ", "grants");
    is_str(events(55, 58), "+reader:Collection:d1.books:Query:root "
           "+reader:Collection:*.*:Delete:root ",
           "in one database, and in all");

    is_str(each_rbac(), "+user:alice:$2a$04$kk +user:bob:$2a$04$o5 "
           "+role:other +role:reader +alice/other +alice/reader "
           "+reader:Collection:*.*:Delete:root "
           "+reader:Collection:d1.books:Query:root "
           "+reader:Collection:default.*:Search:root "
           "+reader:Collection:default.books:Insert:root "
           "+reader:Global:default.*:*:root "
           "+reader:Global:default.*:CreateCollection:root "
           "+reader:User:default.*:UpdateUser:root ",
           "all of it, in an order that can be applied");

    is_str(events(60, 61), "-reader:Collection:default.*:Search:root "
           "-reader:Collection:default.books:Insert:root ", "revoked");
    is_str(events(62, 68), "-alice/reader -reader:Global:default.*:*:root "
           "-reader:Global:default.*:CreateCollection:root "
           "-reader:User:default.*:UpdateUser:root "
           "-reader:Collection:d1.books:Query:root "
           "-reader:Collection:*.*:Delete:root ", "all of them");
    is_str(events(69, 70), "-role:reader -user:bob:$2a$04$o5 ",
           "a role, and a user");
    is_str(events(71, 71), "-alice/other -user:alice:$2a$04$kk ",
           "a user's memberships go before it, in one revision");
    is_str(each_rbac(), "+role:other ", "what is left");

    is_str(events(111, 120), "+user:carol:$2a$04$Fg +role:writer "
           "+carol/writer +writer:Collection:default.books:Insert:root "
           "+writer:Collection:*.*:Search:root +writer:Global:default.*:*:root "
           "+carol/admin ", "another one; a built-in role has members");
    is_str(events(266, 269), "+public:Collection:default.books:Load:root "
           "-public:Global:*.*:ShowCollections:root +root/writer ",
           "public's grants are told when they change, and root's roles");
}


static void
test_relist(void)
{
    size_t    i, n;
    sample_t  now[N(rbac_events) + N(built_in)];

    /* what is there by now, but for writer's right to insert; "other" has
     * gone, "more" has come, carol has another password */

    n = 0;

    for (i = 0; i < N(built_in); i++) {
        if (strstr(built_in[i].key, "ShowCollections") == NULL) {
            now[n++] = built_in[i];
        }
    }

    for (i = 0; i < N(rbac_events); i++) {
        if (rbac_events[i].revision >= 111 && !rbac_events[i].deleted
            && strstr(rbac_events[i].key, "Insert") == NULL
            && strstr(rbac_events[i].key, "users/carol") == NULL)
        {
            now[n++] = rbac_events[i];
        }
    }

    now[n++] = (sample_t) { 0, 0, USER("carol"), HASH("$2a$04$Zz") };
    now[n++] = (sample_t) { 0, 0, ROLE("more"), V("") };

    log_[0] = '\0';
    feed(CDC_ETCD_LIST, now, n / 2, 1, 0);
    is_str(told(), "", "half a list tells nothing");
    feed(CDC_ETCD_LIST, now + n / 2, n - n / 2, 0, 1);
    is_str(told(), "-writer:Collection:default.books:Insert:root -role:other "
           "+user:carol:$2a$04$Zz +role:more listed ",
           "a list tells each change once");

    feed(CDC_ETCD_LIST, now, n, 1, 1);
    is_str(told(), "listed ", "and the same list tells nothing");

    cdc_meta_destroy(&m);
}


/* keys of other versions, and of none */

static void
test_versions(void)
{
    static const sample_t  old[] = {
        { 0, 0, ROLE("r"), V("") },
        { 0, 0, GRANTEE("r/Collection/books"), V("11") },
        { 0, 0, GRANTEE("r/Collection/default.books"), V("22") },
        { 0, 0, ID("11/PrivilegeLoad"), V("root") },
        { 0, 0, ID("11/PrivilegeInsert"), V("root") },
        { 0, 0, ID("111/PrivilegeDelete"), V("root") },
        { 0, 0, ID("22/PrivilegeInsert"), V("root") },
        { 0, 0, GRANTEE("lost/Collection/books"), V("11") },
        { 0, 0, MEMBER("nobody/r"), V("") },
        { 0, 0, USER("u"), V("{\"username\":\"u\",\"encrypted_password\":"
                             "\"$2a$10$x\",\"tenant\":\"t\"}") },
        { 0, 0, MEMBER("u/lost"), V("") }
    };
    static const sample_t  end[] = {
        { 0, 1, ROLE("r"), V("") },
        { 0, 1, GRANTEE("r/Collection/books"), V("") },
        { 0, 0, ID("11/PrivilegeLoad"), TOMBSTONE },
        { 0, 0, GROUP("g"), TOMBSTONE },
        { 0, 1, USER("u"), V("") }
    };

    start();
    feed(CDC_ETCD_LIST, old, N(old), 1, 1);
    is_str(told(), "+user:u:$2a$10$x +role:r "
           "+r:Collection:default.books:Insert:root "
           "+r:Collection:default.books:Load:root listed ",
           "grants of the time before databases; what lacks its role or its "
           "user is not there");

    /* 2.5: PrivilegeGroupInfo{group_name, privileges{name}} */

    is_str(one(0, GROUP("g"), V("\012\001g\022\010\012\006Search\022\007"
                                "\012\005Query")), "+group:g:Search,Query ",
           "a privilege group");
    is_str(one(0, GROUP("g"), V("\012\001g\022\010\012\006Search")),
           "+group:g:Search ", "with other privileges");
    is_str(one(0, GROUP("g"), V("\012\001g\022\010\012\006Search")), "",
           "the same again");
    is_str(one(0, ID("11/PrivilegeGroupg"), V("root")),
           "+r:Collection:default.books:g:root ", "granted");
    is_str(one(0, ID("11/PrivilegeGroupCollectionReadOnly"), V("root")),
           "+r:Collection:default.books:CollectionReadOnly:root ",
           "and a group of Milvus's own");

    is_str(one(0, USER("u"), V("{\"encrypted_password\":")), "",
           "a user that does not parse stays as it was");
    is_str(one(0, USER("w"), V("[]")), "", "and a new one is none");
    is_str(one(0, GROUP("g"), V("\012\001g\022\010\012")), "", "a group, too");
    is_str(one(0, MEMBER("u/r"), V("")), "+u/r ", "a member");

    log_[0] = '\0';
    feed(CDC_ETCD_EVENTS, end, N(end), 0, 0);
    is_str(told(), "-r:Collection:default.books:g:root "
           "-r:Collection:default.books:Load:root "
           "-r:Collection:default.books:Insert:root "
           "-r:Collection:default.books:CollectionReadOnly:root "
           "-u/r -group:g:Search -role:r -user:u:$2a$10$x ",
           "the end of all in one revision: what depends goes first");
    is_str(each_rbac(), "", "nothing is left");
    is_str(one(0, ROLE("r"), V("")),
           "+role:r +r:Collection:default.books:Insert:root ",
           "a role made again takes up the grants that it left behind");

    cdc_meta_destroy(&m);
}


static void
test_no_handler(void)
{
    cdc_meta_handler_t  none;

    memset(&none, 0, sizeof(none));

    (void) cdc_meta_create(&m, &none, "by-dev/meta/");
    feed(CDC_ETCD_LIST, built_in, N(built_in), 1, 1);
    feed(CDC_ETCD_EVENTS, rbac_events, N(rbac_events), 0, 0);
    feed(CDC_ETCD_EVENTS, life_events, N(life_events), 0, 0);
    is_str(each_rbac(), "+user:carol:$2a$04$Fg +role:other +role:writer "
           "+carol/admin +carol/writer +root/writer "
           "+public:Collection:default.books:Load:root "
           "+writer:Collection:*.*:Search:root "
           "+writer:Collection:default.books:Insert:root "
           "+writer:Global:default.*:*:root ", "without a handler");
    cdc_meta_destroy(&m);
}


int
main(void)
{
    cdc_log_init("", NULL, CDC_LOG_ERR);

    test_real();
    test_relist();
    test_versions();
    test_no_handler();

    return done_testing();
}
