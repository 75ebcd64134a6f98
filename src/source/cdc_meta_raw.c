/*
 * The keys of users and roles as they are, sorted by kind and name.
 *
 * A user's hash is a secret: it is never logged, and what held it is wiped.
 */

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cdc_meta_int.h"


static int
cdc_meta_raw_cmp(const cdc_meta_raw_t *r, cdc_meta_kind_e kind,
    cdc_span_t name)
{
    if (r->kind != kind) {
        return r->kind < kind ? -1 : 1;
    }

    return cdc_meta_cmp(r->name, name);
}


size_t
cdc_meta_raw_find(const cdc_meta_rights_t *rights, cdc_meta_kind_e kind,
    cdc_span_t name)
{
    size_t  lo, hi, mid;

    lo = 0;
    hi = rights->nraw;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if (cdc_meta_raw_cmp(&rights->raw[mid], kind, name) < 0) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    return lo;
}


cdc_meta_raw_t *
cdc_meta_raw(const cdc_meta_rights_t *rights, cdc_meta_kind_e kind,
    cdc_span_t name)
{
    size_t  i;

    i = cdc_meta_raw_find(rights, kind, name);

    return i < rights->nraw
           && cdc_meta_raw_cmp(&rights->raw[i], kind, name) == 0
           ? &rights->raw[i] : NULL;
}


static void
cdc_meta_raw_free(cdc_meta_raw_t *r)
{
    if (r->value != NULL) {
        explicit_bzero(r->value, r->len);
    }

    free(r->value);
    free(r->name);
}


static void
cdc_meta_raw_del(cdc_meta_rights_t *rights, cdc_meta_raw_t *r)
{
    cdc_meta_raw_free(r);
    rights->nraw--;
    memmove(r, r + 1, (size_t) (&rights->raw[rights->nraw] - r)
                      * sizeof(cdc_meta_raw_t));
}


static int
cdc_meta_raw_put(cdc_meta_rights_t *rights, const cdc_meta_key_t *k,
    cdc_span_t value, unsigned gen)
{
    char            *copy;
    size_t           i;
    cdc_meta_raw_t  *r;

    r = cdc_meta_raw(rights, k->kind, k->name);

    if (r != NULL && r->len == value.len
        && (value.len == 0 || memcmp(r->value, value.data, value.len) == 0))
    {
        r->gen = gen;
        return CDC_OK;
    }

    copy = malloc(value.len + 1);
    if (copy == NULL) {
        return CDC_ERROR;
    }

    if (value.len != 0) {
        memcpy(copy, value.data, value.len);
    }

    copy[value.len] = '\0';
    rights->dirty = 1;

    if (r != NULL) {
        explicit_bzero(r->value, r->len);
        free(r->value);

    } else {
        r = cdc_meta_grow(rights->raw, rights->nraw, &rights->raw_cap,
                          sizeof(cdc_meta_raw_t));
        if (r == NULL) {
            free(copy);
            return CDC_ERROR;
        }

        rights->raw = r;
        i = cdc_meta_raw_find(rights, k->kind, k->name);
        r = &rights->raw[i];

        memmove(r + 1, r, (rights->nraw++ - i) * sizeof(cdc_meta_raw_t));

        r->kind = k->kind;
        r->name = strndup((const char *) k->name.data, k->name.len);
    }

    r->value = copy;
    r->len = value.len;
    r->gen = gen;

    return r->name != NULL ? CDC_OK : CDC_ERROR;
}


/* ---- what etcd says --- */

char *
cdc_meta_hash(cdc_span_t value)
{
    char        *copy;
    json_t      *root;
    const char  *hash;

    root = json_loadb((const char *) value.data, value.len, 0, NULL);
    hash = json_string_value(json_object_get(root, "encrypted_password"));
    copy = hash != NULL ? strdup(hash) : NULL;
    json_decref(root);

    return copy;
}


static int
cdc_meta_rbac_parses(const cdc_meta_key_t *k, cdc_span_t value)
{
    char                          *hash;
    Milvus__Meta__PrivilegeGroup  *group;

    switch (k->kind) {

    case CDC_META_RAW_USER:
        hash = cdc_meta_hash(value);

        if (hash == NULL) {
            return 0;
        }

        explicit_bzero(hash, strlen(hash));
        free(hash);

        return 1;

    case CDC_META_RAW_GRANTEE:
        return value.len != 0 && memchr(value.data, '\0', value.len) == NULL;

    case CDC_META_RAW_GROUP:
        group = milvus__meta__privilege_group__unpack(NULL, value.len,
                                                      value.data);
        if (group == NULL) {
            return 0;
        }

        milvus__meta__privilege_group__free_unpacked(group, NULL);

        return 1;

    default:
        return 1;
    }
}


void
cdc_meta_rbac_set(cdc_meta_t *m, const cdc_meta_key_t *k, cdc_span_t value,
    int gone)
{
    cdc_meta_raw_t  *r;

    r = cdc_meta_raw(&m->rights, k->kind, k->name);

    if (gone) {
        if (r != NULL) {
            cdc_meta_raw_del(&m->rights, r);
            m->rights.dirty = 1;
        }

        return;
    }

    if (!cdc_meta_rbac_parses(k, value)) {
        cdc_log(CDC_LOG_WARN, 0, "source: the metadata of %s \"%.*s\" does "
                "not parse", k->kind == CDC_META_RAW_USER ? "user"
                : k->kind == CDC_META_RAW_GROUP ? "privilege group" : "grant",
                (int) (k->name.len & 0xff), (const char *) k->name.data);

        if (r != NULL) {
            r->gen = m->gen;             /* stays as it was */
        }

        return;
    }

    if (cdc_meta_raw_put(&m->rights, k, value, m->gen) != CDC_OK) {
        m->oom = 1;
    }
}


void
cdc_meta_rbac_sweep(cdc_meta_t *m)
{
    size_t  i;

    for (i = m->rights.nraw; i > 0; i--) {
        if (m->rights.raw[i - 1].gen != m->gen) {
            cdc_meta_raw_del(&m->rights, &m->rights.raw[i - 1]);
            m->rights.dirty = 1;
        }
    }
}


void
cdc_meta_raw_free_all(cdc_meta_rights_t *rights)
{
    while (rights->nraw != 0) {
        cdc_meta_raw_free(&rights->raw[--rights->nraw]);
    }

    free(rights->raw);
}
