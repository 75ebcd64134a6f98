/*
 * What the keys of users and roles make together.
 *
 * A grant is two keys, written one after the other: role, object type and
 * object -> an id, and id and privilege -> who granted it.  A revoke deletes
 * the second only, and dropping a role leaves its first ones behind for ever
 * (seen on 2.3.5); so a grant needs both and its role, and a membership its
 * user and its role.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


/* what a right is made of; data NULL: none */

typedef struct {
    cdc_meta_rbac_e    kind;
    cdc_span_t         user, role, group, hash;
    cdc_span_t         object_type, db, object, privilege, grantor;
    cdc_span_t        *privileges;
    size_t             nprivileges;
} cdc_meta_parts_t;


void
cdc_meta_right_free(cdc_meta_right_t *r)
{
    explicit_bzero(r, r->size);
    free(r);
}


static const char *
cdc_meta_right_string(char **p, cdc_span_t s)
{
    char  *at;

    if (s.data == NULL) {
        return NULL;
    }

    at = *p;

    memcpy(at, s.data, s.len);
    *p += s.len + 1;                     /* the zero is there */

    return at;
}


static size_t
cdc_meta_right_size(const cdc_meta_parts_t *parts)
{
    size_t  i, size;

    size = sizeof(cdc_meta_right_t) + parts->user.len + parts->role.len
           + parts->group.len + parts->hash.len + parts->object_type.len
           + parts->db.len + parts->object.len + parts->privilege.len
           + parts->grantor.len + 9;

    for (i = 0; i < parts->nprivileges; i++) {
        size += sizeof(char *) + parts->privileges[i].len + 1;
    }

    return size;
}


static cdc_meta_right_t *
cdc_meta_right_add(cdc_meta_right_list_t *list,
    const cdc_meta_parts_t *parts)
{
    char              *p;
    void              *a;
    size_t             i, size;
    const char       **names;
    cdc_meta_right_t  *r;

    size = cdc_meta_right_size(parts);
    r = calloc(1, size);
    a = cdc_meta_grow(list->a, list->n, &list->cap,
                      sizeof(cdc_meta_right_t *));

    if (a != NULL) {
        list->a = a;
    }

    if (a == NULL || r == NULL) {
        free(r);
        list->failed = 1;
        return NULL;
    }

    list->a[list->n++] = r;

    names = (const char **) (r + 1);
    p = (char *) &names[parts->nprivileges];

    r->size = size;
    r->pub.kind = parts->kind;
    r->pub.user = cdc_meta_right_string(&p, parts->user);
    r->pub.role = cdc_meta_right_string(&p, parts->role);
    r->pub.group = cdc_meta_right_string(&p, parts->group);
    r->pub.password_hash = cdc_meta_right_string(&p, parts->hash);
    r->pub.object_type = cdc_meta_right_string(&p, parts->object_type);
    r->pub.db = cdc_meta_right_string(&p, parts->db);
    r->pub.object = cdc_meta_right_string(&p, parts->object);
    r->pub.privilege = cdc_meta_right_string(&p, parts->privilege);
    r->pub.grantor = cdc_meta_right_string(&p, parts->grantor);

    for (i = 0; i < parts->nprivileges; i++) {
        names[i] = cdc_meta_right_string(&p, parts->privileges[i]);
    }

    r->pub.privileges = parts->nprivileges != 0 ? names : NULL;
    r->pub.nprivileges = parts->nprivileges;

    return r;
}


static cdc_span_t
cdc_meta_string(const char *s)
{
    return cdc_span_n(s, strlen(s));
}


/* cuts off what is before the first "sep"; not found: all, and 0 */

static int
cdc_meta_cut(cdc_span_t *in, char sep, cdc_span_t *head)
{
    const uint8_t  *p;

    p = memchr(in->data, sep, in->len);

    if (p == NULL) {
        *head = *in;
        return 0;
    }

    *head = cdc_span_n(in->data, (size_t) (p - in->data));
    *in = cdc_span_n(p + 1, in->len - head->len - 1);

    return 1;
}


static int
cdc_meta_role_is_built_in(cdc_span_t role)
{
    return cdc_span_is(role, "admin") || cdc_span_is(role, "public");
}


static int
cdc_meta_role_lives(const cdc_meta_rights_t *rights, cdc_span_t role)
{
    return cdc_meta_role_is_built_in(role)
           || cdc_meta_raw(rights, CDC_META_RAW_ROLE, role) != NULL;
}


static void
cdc_meta_right_user(const cdc_meta_raw_t *raw, cdc_meta_right_list_t *list)
{
    char              *hash;
    cdc_meta_parts_t   parts;

    memset(&parts, 0, sizeof(parts));
    parts.kind = CDC_META_USER;
    parts.user = cdc_meta_string(raw->name);

    if (cdc_span_is(parts.user, "root")) {
        return;
    }

    hash = cdc_meta_hash(cdc_span_n(raw->value, raw->len));

    if (hash == NULL) {
        list->failed = 1;                /* it parsed when it came */
        return;
    }

    parts.hash = cdc_meta_string(hash);
    (void) cdc_meta_right_add(list, &parts);

    explicit_bzero(hash, strlen(hash));
    free(hash);
}


static void
cdc_meta_right_group(const cdc_meta_raw_t *raw, cdc_meta_right_list_t *list)
{
    size_t                         i;
    cdc_meta_parts_t               parts;
    Milvus__Meta__PrivilegeGroup  *group;

    memset(&parts, 0, sizeof(parts));
    parts.kind = CDC_META_PRIVILEGE_GROUP;
    parts.group = cdc_meta_string(raw->name);

    group = milvus__meta__privilege_group__unpack(NULL, raw->len,
                                                 (uint8_t *) raw->value);
    if (group == NULL) {
        list->failed = 1;
        return;
    }

    parts.privileges = calloc(group->n_privileges + 1, sizeof(cdc_span_t));

    if (parts.privileges == NULL) {
        list->failed = 1;

    } else {
        for (i = 0; i < group->n_privileges; i++) {
            parts.privileges[i] = cdc_meta_string(group->privileges[i]->name);
        }

        parts.nprivileges = group->n_privileges;
        (void) cdc_meta_right_add(list, &parts);
        free(parts.privileges);
    }

    milvus__meta__privilege_group__free_unpacked(group, NULL);
}


static void
cdc_meta_right_member(const cdc_meta_rights_t *rights,
    const cdc_meta_raw_t *raw, cdc_meta_right_list_t *list)
{
    unsigned          root;
    cdc_meta_parts_t  parts;

    memset(&parts, 0, sizeof(parts));
    parts.kind = CDC_META_USER_ROLE;
    parts.role = cdc_meta_string(raw->name);

    if (!cdc_meta_cut(&parts.role, '/', &parts.user)) {
        return;
    }

    root = cdc_span_is(parts.user, "root");

    if ((root && cdc_span_is(parts.role, "admin"))
        || (!root
            && cdc_meta_raw(rights, CDC_META_RAW_USER, parts.user) == NULL)
        || !cdc_meta_role_lives(rights, parts.role))
    {
        return;
    }

    (void) cdc_meta_right_add(list, &parts);
}


/* as the API calls it: without the word that etcd has in front */

static cdc_span_t
cdc_meta_privilege(cdc_span_t name)
{
    size_t  i;

    static const char  *words[] = { "PrivilegeGroup", "Privilege" };

    for (i = 0; i < 2; i++) {
        if (name.len > strlen(words[i])
            && memcmp(name.data, words[i], strlen(words[i])) == 0)
        {
            return cdc_span_n(name.data + strlen(words[i]),
                              name.len - strlen(words[i]));
        }
    }

    return name;
}


/* what every Milvus grants to public at its first start */

static unsigned
cdc_meta_grant_is_own(const cdc_meta_parts_t *parts)
{
    if (!cdc_span_is(parts->role, "public")
        || !cdc_span_is(parts->object, "*"))
    {
        return 0;
    }

    if (cdc_span_is(parts->object_type, "Collection")) {
        return cdc_span_is(parts->privilege, "IndexDetail");
    }

    return cdc_span_is(parts->object_type, "Global")
           && (cdc_span_is(parts->privilege, "DescribeCollection")
               || cdc_span_is(parts->privilege, "ShowCollections"));
}


/* role/type/object -> id, and then id/privilege -> grantor */

static void
cdc_meta_right_grants(const cdc_meta_rights_t *rights,
    const cdc_meta_raw_t *raw, cdc_meta_right_list_t *list)
{
    size_t             i;
    cdc_span_t         rest, id, name;
    cdc_meta_parts_t   parts;
    cdc_meta_right_t  *r;

    memset(&parts, 0, sizeof(parts));
    parts.kind = CDC_META_GRANT;
    rest = cdc_meta_string(raw->name);
    id = cdc_span_n(raw->value, raw->len);

    if (!cdc_meta_cut(&rest, '/', &parts.role)
        || !cdc_meta_cut(&rest, '/', &parts.object_type)
        || !cdc_meta_role_lives(rights, parts.role))
    {
        return;
    }

    parts.object = rest;

    if (!cdc_meta_cut(&parts.object, '.', &parts.db)) {
        parts.db = cdc_span(CDC_DEFAULT_DB);     /* of before databases */
    }

    for (i = cdc_meta_raw_find(rights, CDC_META_RAW_PRIVILEGE, id);
         i < rights->nraw; i++)
    {
        raw = &rights->raw[i];
        name = cdc_meta_string(raw->name);

        if (raw->kind != CDC_META_RAW_PRIVILEGE || name.len < id.len
            || memcmp(name.data, id.data, id.len) != 0)
        {
            break;
        }

        if (name.data[id.len] != '/' || name.len == id.len + 1) {
            continue;
        }

        name = cdc_span_n(name.data + id.len + 1, name.len - id.len - 1);
        parts.privilege = cdc_meta_privilege(name);
        parts.grantor = cdc_span_n(raw->value, strlen(raw->value));

        r = cdc_meta_right_add(list, &parts);

        if (r != NULL) {
            r->own = cdc_meta_grant_is_own(&parts);
        }
    }
}


void
cdc_meta_rights_build(const cdc_meta_rights_t *rights,
    cdc_meta_right_list_t *list)
{
    size_t            i;
    cdc_meta_raw_t   *raw;
    cdc_meta_parts_t  parts;

    memset(list, 0, sizeof(cdc_meta_right_list_t));

    for (i = 0; i < rights->nraw; i++) {
        raw = &rights->raw[i];

        switch (raw->kind) {

        case CDC_META_RAW_USER:
            cdc_meta_right_user(raw, list);
            break;

        case CDC_META_RAW_ROLE:
            memset(&parts, 0, sizeof(parts));
            parts.kind = CDC_META_ROLE;
            parts.role = cdc_meta_string(raw->name);

            if (!cdc_meta_role_is_built_in(parts.role)) {
                (void) cdc_meta_right_add(list, &parts);
            }

            break;

        case CDC_META_RAW_MEMBER:
            cdc_meta_right_member(rights, raw, list);
            break;

        case CDC_META_RAW_GRANTEE:
            cdc_meta_right_grants(rights, raw, list);
            break;

        case CDC_META_RAW_GROUP:
            cdc_meta_right_group(raw, list);
            break;

        default:
            break;
        }
    }
}
