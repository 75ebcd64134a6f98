/*
 * A Milvus cluster as the target: users, roles, grants, privilege groups.
 *
 * All can be called again: what is so already, or gone already, is no error.
 * Users and groups are looked up first, since the answers of the versions
 * differ; the other calls say clearly enough what they met.
 *
 * A password is carried as its hash or not at all: CreateCredential hashes
 * what it is given, so only RestoreRBAC (2.4 and later) can take a hash.  It
 * refuses a user that exists, with the password that it has; that user is
 * left alone.  The hash goes into no text: an answer that quotes it is
 * replaced.
 *
 * OperatePrivilege names the task's own user as the grantor, whatever the
 * request says (seen, 2.3.5), and needs a user to name.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milvus_service.pb-c.h"

#include "cdc_milvus_int.h"


#define CDC_MILVUS_ADD     0             /* OperateXxxType */
#define CDC_MILVUS_REMOVE  1

#define CDC_MILVUS_HASH    16            /* of a hash: its kind, some salt */


typedef Milvus__Service__ListCredUsersResponse        cdc_milvus_users_t;
typedef Milvus__Service__ListPrivilegeGroupsResponse  cdc_milvus_groups_t;
typedef Milvus__Service__PrivilegeGroupInfo           cdc_milvus_group_t;


static int
cdc_milvus_rbac_call(cdc_target_t *t, const char *method, cdc_chain_t *c,
    int rc, cdc_target_error_t *err)
{
    return cdc_milvus_call(t, method, NULL, c, rc, CDC_MILVUS_PLAIN,
                           CDC_MILVUS_TIMEOUT, NULL, NULL, err);
}


/* a message of one string: an entity and its name */

static int
cdc_milvus_entity(cdc_chain_t *c, uint32_t number, const char *name)
{
    int     rc;
    size_t  mark;

    if (c == NULL || cdc_chain_open(c, number, &mark) != CDC_OK) {
        return CDC_ERROR;
    }

    rc = cdc_milvus_string(c, 1, name);

    if (rc == CDC_OK) {
        cdc_chain_close(c, mark);
    }

    return rc;
}


static int
cdc_milvus_operation(cdc_chain_t *c, uint32_t number, uint64_t type)
{
    if (c == NULL) {
        return CDC_ERROR;
    }

    return type ? cdc_chain_varint_field(c, number, type) : CDC_OK;
}


/* gone already, or there already */

static int
cdc_milvus_settled(int rc, const cdc_meta_rbac_t *e,
    const cdc_target_error_t *err)
{
    if (rc == CDC_ERROR
        && err->class == (e->gone ? CDC_TARGET_NOT_FOUND
                                  : CDC_TARGET_EXISTS))
    {
        return CDC_OK;
    }

    return rc;
}


/* ---- users --------------------------------------------------------- */

int
cdc_milvus_has_user(cdc_target_t *t, const char *user,
    cdc_target_error_t *err)
{
    int                  rc;
    size_t               i, len;
    uint8_t             *answer;
    cdc_chain_t         *c;
    cdc_milvus_users_t  *r;

    c = cdc_milvus_request(CDC_MILVUS_LIST_CRED_USERS, 0, 0);

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "ListCredUsers", NULL, c,
                         CDC_OK, CDC_MILVUS_NESTED, CDC_MILVUS_TIMEOUT,
                         &answer, &len, err);
    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    r = milvus__service__list_cred_users_response__unpack(NULL, len, answer);
    free(answer);

    if (r == NULL) {
        return cdc_milvus_damaged(err, "ListCredUsers");
    }

    rc = CDC_DECLINED;

    for (i = 0; i < r->n_usernames; i++) {
        if (strcmp(r->usernames[i], user) == 0) {
            rc = CDC_OK;
            break;
        }
    }

    milvus__service__list_cred_users_response__free_unpacked(r, NULL);

    return rc;
}


/* a meta of this user alone: roles come as memberships of their own */

static int
cdc_milvus_restore_user(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err)
{
    int           rc;
    char          hash[CDC_MILVUS_HASH + 1];
    size_t        meta, user;
    cdc_chain_t  *c;

    c = cdc_milvus_request(0, 1, 0);

    if (c == NULL
        || cdc_chain_open(c, 2, &meta) != CDC_OK
        || cdc_chain_open(c, 1, &user) != CDC_OK
        || cdc_milvus_string(c, 1, e->user) != CDC_OK
        || cdc_milvus_string(c, 2, e->password_hash) != CDC_OK)
    {
        rc = CDC_ERROR;

    } else {
        cdc_chain_close(c, user);
        cdc_chain_close(c, meta);
        rc = CDC_OK;
    }

    rc = cdc_milvus_rbac_call(t, CDC_MILVUS_SERVICE "RestoreRBAC", c, rc,
                              err);

    /* a long text may have been cut in the middle of it */

    (void) snprintf(hash, sizeof(hash), "%s", e->password_hash);

    if (rc != CDC_OK && strstr(err->text, hash) != NULL) {
        (void) snprintf(err->text, sizeof(err->text),
                        "user \"%s\" cannot be restored", e->user);
    }

    return rc;
}


static int
cdc_milvus_user(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    rc = cdc_milvus_has_user(t, e->user, err);

    if (rc == CDC_ERROR) {
        return CDC_ERROR;
    }

    if (e->gone) {
        if (rc == CDC_DECLINED) {
            return CDC_OK;
        }

        c = cdc_milvus_request(CDC_MILVUS_DELETE_CREDENTIAL, 1, 0);
        rc = cdc_milvus_string(c, 2, e->user);

        rc = cdc_milvus_rbac_call(t, CDC_MILVUS_SERVICE "DeleteCredential",
                                  c, rc, err);

        return cdc_milvus_settled(rc, e, err);
    }

    if (rc == CDC_OK) {
        return CDC_OK;
    }

    if (e->password_hash != NULL && e->password_hash[0] != '\0') {
        rc = cdc_milvus_restore_user(t, e, err);

        if (rc == CDC_OK || !cdc_milvus_lacks(err)) {
            return cdc_milvus_settled(rc, e, err);
        }
    }

    return cdc_milvus_decline(err, "the password of user \"%s\" cannot be "
                              "carried, which needs Milvus 2.4 on the "
                              "target: make the user on the target by hand",
                              e->user);
}


/* ---- roles --------------------------------------------------------- */

static int
cdc_milvus_role(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    if (!e->gone) {
        c = cdc_milvus_request(CDC_MILVUS_CREATE_ROLE, 1, 0);
        rc = cdc_milvus_entity(c, 2, e->role);

        rc = cdc_milvus_rbac_call(t, CDC_MILVUS_SERVICE "CreateRole", c, rc,
                                  err);

        return cdc_milvus_settled(rc, e, err);
    }

    /* force_drop, 2.5: takes grants along that only the target has */

    c = cdc_milvus_request(CDC_MILVUS_DROP_ROLE, 1, 0);
    rc = cdc_milvus_string(c, 2, e->role);
    rc |= cdc_milvus_operation(c, 3, 1);

    rc = cdc_milvus_rbac_call(t, CDC_MILVUS_SERVICE "DropRole", c, rc, err);

    if (rc == CDC_ERROR && strstr(err->text, "has privileges") != NULL) {
        return cdc_milvus_decline(err, "role \"%s\" is dropped on the source "
                                  "and has grants of its own on the target: "
                                  "revoke those and drop it there", e->role);
    }

    return cdc_milvus_settled(rc, e, err);
}


static int
cdc_milvus_user_role(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MILVUS_OPERATE_USER_ROLE, 1, 0);
    rc = cdc_milvus_string(c, 2, e->user);
    rc |= cdc_milvus_string(c, 3, e->role);
    rc |= cdc_milvus_operation(c, 4, e->gone ? CDC_MILVUS_REMOVE
                                             : CDC_MILVUS_ADD);

    rc = cdc_milvus_rbac_call(t, CDC_MILVUS_SERVICE "OperateUserRole", c, rc,
                              err);

    return cdc_milvus_settled(rc, e, err);
}


/* ---- grants -------------------------------------------------------- */

static int
cdc_milvus_grantor(cdc_chain_t *c, uint32_t number, const cdc_meta_rbac_t *e)
{
    int     rc;
    size_t  mark;

    if (c == NULL || cdc_chain_open(c, number, &mark) != CDC_OK) {
        return CDC_ERROR;
    }

    rc = CDC_OK;

    if (e->grantor != NULL) {
        rc = cdc_milvus_entity(c, 1, e->grantor);
    }

    rc |= cdc_milvus_entity(c, 2, e->privilege);

    if (rc == CDC_OK) {
        cdc_chain_close(c, mark);
    }

    return rc;
}


static int
cdc_milvus_grant_v1(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err)
{
    int           rc;
    size_t        mark;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MILVUS_OPERATE_PRIVILEGE, 1, 0);
    rc = CDC_ERROR;

    if (c != NULL && cdc_chain_open(c, 2, &mark) == CDC_OK) {
        rc = cdc_milvus_entity(c, 1, e->role);
        rc |= cdc_milvus_entity(c, 2, e->object_type);
        rc |= cdc_milvus_string(c, 3, e->object);
        rc |= cdc_milvus_grantor(c, 4, e);
        rc |= cdc_milvus_string(c, 5, cdc_milvus_db(e->db));

        if (rc == CDC_OK) {
            cdc_chain_close(c, mark);
        }

        rc |= cdc_milvus_operation(c, 3, e->gone ? CDC_MILVUS_REMOVE
                                                 : CDC_MILVUS_ADD);
    }

    return cdc_milvus_rbac_call(t, CDC_MILVUS_SERVICE "OperatePrivilege", c,
                                rc, err);
}


/* 2.5: a group of privileges can only be granted this way */

static int
cdc_milvus_grant_v2(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MILVUS_OPERATE_PRIVILEGE_V2, 1, 0);
    rc = cdc_milvus_entity(c, 2, e->role);
    rc |= cdc_milvus_grantor(c, 3, e);
    rc |= cdc_milvus_operation(c, 4, e->gone ? CDC_MILVUS_REMOVE
                                             : CDC_MILVUS_ADD);
    rc |= cdc_milvus_string(c, 5, cdc_milvus_db(e->db));
    rc |= cdc_milvus_string(c, 6, e->object);

    return cdc_milvus_rbac_call(t, CDC_MILVUS_SERVICE "OperatePrivilegeV2", c,
                                rc, err);
}


static int
cdc_milvus_grant(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err)
{
    int  rc;

    rc = cdc_milvus_grant_v1(t, e, err);

    if (rc == CDC_ERROR && strstr(err->text, "privilege group [") != NULL) {
        rc = cdc_milvus_grant_v2(t, e, err);
    }

    if (rc == CDC_OK) {
        return CDC_OK;
    }

    if (strstr(err->text, "get authorization from the md") != NULL) {
        return cdc_milvus_decline(err, "role \"%s\" is not granted \"%s\": "
                                  "grants need \"token\" (user:password) in "
                                  "the task, also while the target asks for "
                                  "no login", e->role, e->privilege);
    }

    if (!e->gone
        && (cdc_milvus_lacks(err)
            || strstr(err->text, "not found the privilege") != NULL
            || strstr(err->text, "not found the object type") != NULL))
    {
        return cdc_milvus_decline(err, "role \"%s\" is not granted \"%s\", "
                                  "which the target's Milvus does not know: "
                                  "upgrade the target", e->role,
                                  e->privilege);
    }

    return cdc_milvus_settled(rc, e, err);
}


/* ---- privilege groups ---------------------------------------------- */

static int
cdc_milvus_groups(cdc_target_t *t, cdc_milvus_groups_t **r,
    cdc_target_error_t *err)
{
    int           rc;
    size_t        len;
    uint8_t      *answer;
    cdc_chain_t  *c;

    c = cdc_milvus_request(CDC_MILVUS_LIST_PRIVILEGE_GROUPS, 0, 0);

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "ListPrivilegeGroups", NULL,
                         c, CDC_OK, CDC_MILVUS_NESTED, CDC_MILVUS_TIMEOUT,
                         &answer, &len, err);
    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    *r = milvus__service__list_privilege_groups_response__unpack(NULL, len,
                                                                 answer);
    free(answer);

    return *r != NULL ? CDC_OK
                      : cdc_milvus_damaged(err, "ListPrivilegeGroups");
}


static int
cdc_milvus_group_named(cdc_target_t *t, int32_t type, const char *method,
    const char *group, cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(type, 1, 0);
    rc = cdc_milvus_string(c, 2, group);

    return cdc_milvus_rbac_call(t, method, c, rc, err);
}


static int
cdc_milvus_group_has(const cdc_milvus_group_t *g, const char *privilege)
{
    size_t  i;

    for (i = 0; g != NULL && i < g->n_privileges; i++) {
        if (strcmp(g->privileges[i]->name, privilege) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
cdc_milvus_group_lists(const cdc_meta_rbac_t *e, const char *privilege)
{
    unsigned  i;

    for (i = 0; i < e->nprivileges; i++) {
        if (strcmp(e->privileges[i], privilege) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
cdc_milvus_group_change(cdc_target_t *t, const cdc_meta_rbac_t *e,
    const cdc_milvus_group_t *g, uint64_t type, cdc_target_error_t *err)
{
    int           rc;
    size_t        i, n;
    cdc_chain_t  *c;

    n = 0;
    c = cdc_milvus_request(CDC_MILVUS_OPERATE_PRIVILEGE_GROUP, 1, 0);
    rc = cdc_milvus_string(c, 2, e->group);

    for (i = 0; type == CDC_MILVUS_ADD && i < e->nprivileges; i++) {
        if (!cdc_milvus_group_has(g, e->privileges[i])) {
            rc |= cdc_milvus_entity(c, 3, e->privileges[i]);
            n++;
        }
    }

    for (i = 0; type == CDC_MILVUS_REMOVE && g && i < g->n_privileges; i++) {
        if (!cdc_milvus_group_lists(e, g->privileges[i]->name)) {
            rc |= cdc_milvus_entity(c, 3, g->privileges[i]->name);
            n++;
        }
    }

    if (n == 0 && c != NULL) {
        cdc_chain_unref(c);
        return CDC_OK;
    }

    rc |= cdc_milvus_operation(c, 4, type);

    return cdc_milvus_rbac_call(t, CDC_MILVUS_SERVICE "OperatePrivilegeGroup",
                                c, rc, err);
}


static int
cdc_milvus_group_set(cdc_target_t *t, const cdc_meta_rbac_t *e,
    const cdc_milvus_group_t *g, cdc_target_error_t *err)
{
    int  rc;

    rc = CDC_OK;

    if (g == NULL) {
        rc = cdc_milvus_group_named(t, CDC_MILVUS_CREATE_PRIVILEGE_GROUP,
                                CDC_MILVUS_SERVICE "CreatePrivilegeGroup",
                                e->group, err);
        rc = cdc_milvus_settled(rc, e, err);
    }

    if (rc == CDC_OK) {
        rc = cdc_milvus_group_change(t, e, g, CDC_MILVUS_ADD, err);
    }

    if (rc == CDC_OK) {
        rc = cdc_milvus_group_change(t, e, g, CDC_MILVUS_REMOVE, err);
    }

    return rc;
}


static int
cdc_milvus_group(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err)
{
    int                   rc;
    size_t                i;
    cdc_milvus_group_t   *g;
    cdc_milvus_groups_t  *r;

    rc = cdc_milvus_groups(t, &r, err);

    if (rc != CDC_OK) {

        if (!cdc_milvus_lacks(err)) {
            return CDC_ERROR;
        }

        return e->gone ? CDC_OK
               : cdc_milvus_decline(err, "privilege group \"%s\" needs "
                                    "Milvus 2.5 on the target: upgrade the "
                                    "target", e->group);
    }

    g = NULL;

    for (i = 0; i < r->n_privilege_groups; i++) {
        if (strcmp(r->privilege_groups[i]->group_name, e->group) == 0) {
            g = r->privilege_groups[i];
            break;
        }
    }

    if (!e->gone) {
        rc = cdc_milvus_group_set(t, e, g, err);

    } else if (g != NULL) {
        rc = cdc_milvus_group_named(t, CDC_MILVUS_DROP_PRIVILEGE_GROUP,
                                    CDC_MILVUS_SERVICE "DropPrivilegeGroup",
                                    e->group, err);
    }

    milvus__service__list_privilege_groups_response__free_unpacked(r, NULL);

    return rc;
}


int
cdc_milvus_rbac(cdc_target_t *t, const cdc_meta_rbac_t *e,
    cdc_target_error_t *err)
{
    switch (e->kind) {

    case CDC_META_USER:
        return cdc_milvus_user(t, e, err);

    case CDC_META_ROLE:
        return cdc_milvus_role(t, e, err);

    case CDC_META_USER_ROLE:
        return cdc_milvus_user_role(t, e, err);

    case CDC_META_GRANT:
        return cdc_milvus_grant(t, e, err);

    case CDC_META_PRIVILEGE_GROUP:
        return cdc_milvus_group(t, e, err);
    }

    return cdc_milvus_decline(err, "what kind %d of right this is, is not "
                              "known", (int) e->kind);
}
