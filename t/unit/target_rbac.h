/* test_target.c: users, roles and grants on a real Milvus */


static char  user[32], role[32];


#define RBAC(...)                                                            \
    T->rbac(target, &(cdc_meta_rbac_t) { __VA_ARGS__ }, &e)

#define GRANT(r, o, n, p, g)                                                 \
    RBAC(.kind = CDC_META_GRANT, .role = r, .object_type = o, .object = n,   \
         .db = db, .privilege = p, .grantor = "somebody", .gone = g)


/* a user as an operator would make it */

static int
by_hand(const char *name)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(1500, 0, 0);
    rc = cdc_milvus_string(c, 2, name);
    rc |= cdc_milvus_string(c, 3, "c2VzYW1lMTIz");

    return cdc_milvus_call(target, CDC_MILVUS_SERVICE "CreateCredential",
                           NULL, c, rc, CDC_MILVUS_PLAIN, 30000, NULL, NULL,
                           &e);
}


static void
test_users(void)
{
    is_int(RBAC(.kind = CDC_META_USER, .user = user,
                .password_hash = "$2a$10$secret"), CDC_DECLINED,
           "user: 2.3 takes no hash");
    ok(strstr(e.text, user) != NULL && strstr(e.text, "by hand") != NULL
       && strstr(e.text, "secret") == NULL, "user: %s", e.text);
    is_int(RBAC(.kind = CDC_META_USER, .user = user), CDC_DECLINED,
           "user: no hash to carry");
    is_int(RBAC(.kind = CDC_META_USER, .user = user, .gone = 1), CDC_OK,
           "user: gone already");
    is_int(by_hand(user), CDC_OK, "user: made by hand");
    is_int(RBAC(.kind = CDC_META_USER, .user = user,
                .password_hash = "$2a$10$secret"), CDC_OK,
           "user: is there");
}


static void
test_roles(void)
{
    is_int(RBAC(.kind = CDC_META_ROLE, .role = role), CDC_OK, "role");
    is_int(RBAC(.kind = CDC_META_ROLE, .role = role), CDC_OK,
           "role: is there");

    is_int(RBAC(.kind = CDC_META_USER_ROLE, .user = user, .role = role),
           CDC_OK, "member");
    is_int(RBAC(.kind = CDC_META_USER_ROLE, .user = user, .role = role),
           CDC_OK, "member: is one already");
    is_int(RBAC(.kind = CDC_META_USER_ROLE, .user = "nobody", .role = role),
           CDC_ERROR, "member: no such user");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "member: user not found");
    is_int(RBAC(.kind = CDC_META_USER_ROLE, .user = user, .role = "none"),
           CDC_ERROR, "member: no such role");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "member: role not found");
    is_int(RBAC(.kind = CDC_META_USER_ROLE, .user = user, .role = "none",
                .gone = 1), CDC_OK, "member: role gone already");
    is_int(RBAC(.kind = CDC_META_USER_ROLE, .user = "nobody", .role = role,
                .gone = 1), CDC_OK, "member: user gone already");
}


static void
test_grants(void)
{
    is_int(GRANT(role, "Collection", "c", "Load", 0), CDC_OK, "grant");
    is_int(GRANT(role, "Collection", "c", "Load", 0), CDC_OK,
           "grant: is there");
    is_int(GRANT(role, "Global", "*", "*", 0), CDC_OK, "grant: all");
    is_int(GRANT("none", "Collection", "c", "Load", 0), CDC_ERROR,
           "grant: no such role");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "grant: role not found");
    is_int(GRANT(role, "Global", "*", "RestoreRBAC", 0), CDC_DECLINED,
           "grant: a privilege of later versions");
    ok(strstr(e.text, "\"RestoreRBAC\"") != NULL
       && strstr(e.text, role) != NULL, "grant: %s", e.text);
    is_int(GRANT(role, "Global", "*", "RestoreRBAC", 1), CDC_OK,
           "revoke: of later versions");

    /* it looks at the grants of database default only */

    is_int(RBAC(.kind = CDC_META_GRANT, .role = role,
                .object_type = "Collection", .object = "c",
                .privilege = "Load"), CDC_OK, "grant: in default");
    is_int(RBAC(.kind = CDC_META_ROLE, .role = role, .gone = 1),
           CDC_DECLINED, "role: has grants");
    ok(strstr(e.text, role) != NULL && strstr(e.text, "revoke") != NULL,
       "role: %s", e.text);

    is_int(RBAC(.kind = CDC_META_GRANT, .role = role,
                .object_type = "Collection", .object = "c",
                .privilege = "Load", .gone = 1), CDC_OK,
           "revoke: in default");
    is_int(GRANT(role, "Collection", "c", "Load", 1), CDC_OK, "revoke");
    is_int(GRANT(role, "Collection", "c", "Load", 1), CDC_OK,
           "revoke: gone already");
    is_int(GRANT(role, "Global", "*", "*", 1), CDC_OK, "revoke: all");
    is_int(GRANT("none", "Collection", "c", "Load", 1), CDC_OK,
           "revoke: role gone already");

    is_int(RBAC(.kind = CDC_META_PRIVILEGE_GROUP, .group = "g"),
           CDC_DECLINED, "group: 2.3 has none");
    ok(strstr(e.text, "\"g\"") != NULL && strstr(e.text, "2.5") != NULL,
       "group: %s", e.text);
    is_int(RBAC(.kind = CDC_META_PRIVILEGE_GROUP, .group = "g", .gone = 1),
           CDC_OK, "group: gone already");
}


static void
test_rbac(void)
{
    (void) snprintf(user, sizeof(user), "u%d", (int) getpid());
    (void) snprintf(role, sizeof(role), "r%d", (int) getpid());

    test_users();
    test_roles();
    test_grants();

    is_int(RBAC(.kind = CDC_META_ROLE, .role = role, .gone = 1), CDC_OK,
           "role: drop, with a member");
    is_int(RBAC(.kind = CDC_META_ROLE, .role = role, .gone = 1), CDC_OK,
           "role: gone already");
    is_int(RBAC(.kind = CDC_META_USER, .user = user, .gone = 1), CDC_OK,
           "user: drop");
    is_int(RBAC(.kind = CDC_META_USER, .user = user, .gone = 1), CDC_OK,
           "user: gone already");
}
