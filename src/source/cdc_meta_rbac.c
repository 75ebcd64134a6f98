/*
 * Users, roles and what they may do, as the handler is told.
 *
 * When a revision has changed one of their keys (cdc_meta_raw.c), the rights
 * are worked out anew (cdc_meta_right.c), put into an order that can be
 * applied, and compared with those that the handler knows: so the order of
 * keys inside a revision does not matter, a list after a compaction tells
 * each difference once, and what the keys of several revisions make together
 * shows up with the last of them.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


static int
cdc_meta_string_cmp(const char *a, const char *b)
{
    return a == NULL || b == NULL ? (a != NULL) - (b != NULL) : strcmp(a, b);
}


static int
cdc_meta_right_cmp(const cdc_meta_rbac_t *a, const cdc_meta_rbac_t *b)
{
    int  rc;

    rc = (a->kind > b->kind) - (a->kind < b->kind);

    rc = rc != 0 ? rc : cdc_meta_string_cmp(a->user, b->user);
    rc = rc != 0 ? rc : cdc_meta_string_cmp(a->role, b->role);
    rc = rc != 0 ? rc : cdc_meta_string_cmp(a->group, b->group);
    rc = rc != 0 ? rc : cdc_meta_string_cmp(a->object_type, b->object_type);
    rc = rc != 0 ? rc : cdc_meta_string_cmp(a->db, b->db);
    rc = rc != 0 ? rc : cdc_meta_string_cmp(a->object, b->object);

    return rc != 0 ? rc : cdc_meta_string_cmp(a->privilege, b->privilege);
}


static int
cdc_meta_right_sort(const void *one, const void *two)
{
    return cdc_meta_right_cmp(&(*(cdc_meta_right_t *const *) one)->pub,
                              &(*(cdc_meta_right_t *const *) two)->pub);
}


static int
cdc_meta_right_same(const cdc_meta_rbac_t *a, const cdc_meta_rbac_t *b)
{
    unsigned  i;

    if (a->nprivileges != b->nprivileges
        || cdc_meta_string_cmp(a->password_hash, b->password_hash) != 0)
    {
        return 0;
    }

    for (i = 0; i < a->nprivileges; i++) {
        if (strcmp(a->privileges[i], b->privileges[i]) != 0) {
            return 0;
        }
    }

    return 1;
}


static cdc_meta_right_t *
cdc_meta_right_in(cdc_meta_right_t **a, size_t n, cdc_meta_right_t *r)
{
    cdc_meta_right_t  **found;

    found = n != 0 ? bsearch(&r, a, n, sizeof(r), cdc_meta_right_sort) : NULL;

    return found != NULL ? *found : NULL;
}


/* ---- what is told --- */

static void
cdc_meta_rights_sort(cdc_meta_right_list_t *list)
{
    size_t  i, n;

    if (list->n == 0) {
        return;
    }

    qsort(list->a, list->n, sizeof(list->a[0]), cdc_meta_right_sort);

    /* one grant may have a key with its database and one without */

    for (i = 1, n = 1; i < list->n; i++) {
        if (cdc_meta_right_sort(&list->a[i], &list->a[n - 1]) == 0) {
            cdc_meta_right_free(list->a[i]);

        } else {
            list->a[n++] = list->a[i];
        }
    }

    list->n = n;
}


static void
cdc_meta_rights_free(cdc_meta_right_t **a, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        cdc_meta_right_free(a[i]);
    }

    free(a);
}


void
cdc_meta_rbac_tell(cdc_meta_t *m)
{
    size_t                  i, n;
    unsigned                first;
    cdc_meta_right_t       *r, **was, *old;
    cdc_meta_right_list_t   list;

    if (!m->rights.dirty) {
        return;
    }

    cdc_meta_rights_build(&m->rights, &list);
    cdc_meta_rights_sort(&list);

    if (list.failed) {
        cdc_meta_rights_free(list.a, list.n);
        m->oom = 1;
        return;
    }

    was = m->rights.told;
    n = m->rights.ntold;
    first = !m->rights.listed;

    m->rights.told = list.a;
    m->rights.ntold = list.n;
    m->rights.dirty = 0;
    m->rights.listed = 1;

    for (i = n; i > 0 && m->handler.rbac != NULL; i--) {
        r = was[i - 1];

        if (cdc_meta_right_in(list.a, list.n, r) == NULL) {
            r->pub.gone = 1;
            m->handler.rbac(m->handler.arg, &r->pub);
        }
    }

    for (i = 0; i < list.n && m->handler.rbac != NULL; i++) {
        r = list.a[i];
        old = cdc_meta_right_in(was, n, r);

        if (old != NULL ? !cdc_meta_right_same(&old->pub, &r->pub)
                        : !(first && r->own))
        {
            m->handler.rbac(m->handler.arg, &r->pub);
        }
    }

    cdc_meta_rights_free(was, n);
}


void
cdc_meta_rbac_free(cdc_meta_t *m)
{
    cdc_meta_raw_free_all(&m->rights);
    cdc_meta_rights_free(m->rights.told, m->rights.ntold);
}


int
cdc_meta_each_rbac(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_rbac_t *e), void *arg)
{
    int                rc;
    size_t             i;
    cdc_meta_right_t  *r;

    for (i = 0; i < m->rights.ntold; i++) {
        r = m->rights.told[i];
        rc = r->own ? CDC_OK : fn(arg, &r->pub);

        if (rc != CDC_OK) {
            return rc;
        }
    }

    return CDC_OK;
}
