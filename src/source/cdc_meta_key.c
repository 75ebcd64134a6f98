/*
 * The keys of a Milvus's metadata.
 */

#include <string.h>

#include "cdc_meta_int.h"


typedef struct {
    cdc_span_t       path;
    cdc_meta_kind_e  kind;
    const char      *parts;              /* d, c, i: numbers; n: a name, which
                                          * is all the rest */
} cdc_meta_path_t;


#define cdc_meta_path(s, kind, parts)  { cdc_meta_bytes(s), kind, parts }
#define cdc_meta_bytes(s)  { (const uint8_t *) (s), sizeof(s) - 1 }


static const cdc_meta_path_t  cdc_meta_paths[] = {

    cdc_meta_path("root-coord/database/collection-info/", CDC_META_INFO,
                  "dc"),
    cdc_meta_path("root-coord/database/db-info/", CDC_META_DB, "d"),
    cdc_meta_path("root-coord/database/aliases/", CDC_META_ALIAS, "dn"),
    cdc_meta_path("root-coord/fields/", CDC_META_FIELD, "ci"),
    cdc_meta_path("root-coord/functions/", CDC_META_FUNCTION, "ci"),
    cdc_meta_path("root-coord/struct-array-fields/", CDC_META_STRUCT, "ci"),
    cdc_meta_path("root-coord/partitions/", CDC_META_PARTITION, "ci"),
    cdc_meta_path("field-index/", CDC_META_INDEX, "ci"),
    cdc_meta_path("querycoord-collection-loadinfo/", CDC_META_LOAD, "c"),
    cdc_meta_path("querycoord-partition-loadinfo/", CDC_META_PARTLOAD,
                  "ci"),
    cdc_meta_path("querycoord-replica/", CDC_META_REPLICA, "ci"),

    cdc_meta_path("root-coord/credential/users/", CDC_META_RAW_USER, "n"),
    cdc_meta_path("root-coord/credential/roles/", CDC_META_RAW_ROLE, "n"),
    cdc_meta_path("root-coord/credential/user-role-mapping/",
                  CDC_META_RAW_MEMBER, "n"),
    cdc_meta_path("root-coord/credential/grantee-privileges/",
                  CDC_META_RAW_GRANTEE, "n"),
    cdc_meta_path("root-coord/credential/grantee-id/",
                  CDC_META_RAW_PRIVILEGE, "n"),
    cdc_meta_path("root-coord/privilege-group/", CDC_META_RAW_GROUP, "n"),

    /* what a Milvus before databases wrote, and later ones still read */

    cdc_meta_path("root-coord/collection/", CDC_META_INFO, "c"),
    cdc_meta_path("root-coord/aliases/", CDC_META_ALIAS, "n")
};


static int
cdc_meta_starts(cdc_span_t s, cdc_span_t prefix)
{
    return s.len >= prefix.len
           && memcmp(s.data, prefix.data, prefix.len) == 0;
}


/* a decimal number that ends at a slash or at the end */

static int
cdc_meta_number(cdc_span_t *in, uint64_t *value)
{
    size_t    i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < in->len && in->data[i] != '/'; i++) {
        if (in->data[i] < '0' || in->data[i] > '9'
            || n > ((uint64_t) INT64_MAX - 9) / 10)
        {
            return CDC_ERROR;
        }

        n = n * 10 + (in->data[i] - '0');
    }

    if (i == 0) {
        return CDC_ERROR;
    }

    if (i < in->len) {
        i++;                             /* the slash */
    }

    *in = cdc_span_n(in->data + i, in->len - i);
    *value = n;

    return CDC_OK;
}


/* cuts "_ts<TSO>" off the end of a key of snapshots/ */

static int
cdc_meta_snapshot(cdc_span_t *key, uint64_t *ts)
{
    size_t      i;
    cdc_span_t  digits;

    for (i = key->len; i > 0 && key->data[i - 1] != 's'; i--) {
        /* back to "_ts" */
    }

    if (i < 3 || key->data[i - 2] != 't' || key->data[i - 3] != '_') {
        return CDC_DECLINED;
    }

    digits = cdc_span_n(key->data + i, key->len - i);

    if (cdc_meta_number(&digits, ts) != CDC_OK || digits.len != 0
        || *ts == 0)
    {
        return CDC_DECLINED;
    }

    key->len = i - 3;

    return CDC_OK;
}


static int
cdc_meta_parts(cdc_span_t in, const char *parts, cdc_meta_key_t *k)
{
    uint64_t  value;

    for ( /* void */ ; *parts != '\0'; parts++) {

        if (*parts == 'n') {
            k->name = in;
            return in.len != 0 && memchr(in.data, '\0', in.len) == NULL
                   ? CDC_OK : CDC_DECLINED;
        }

        if (cdc_meta_number(&in, &value) != CDC_OK) {
            return CDC_DECLINED;
        }

        switch (*parts) {

        case 'd':
            k->db = (int64_t) value;
            break;

        case 'c':
            k->collection = (int64_t) value;
            break;

        default:
            k->item = (int64_t) value;
        }
    }

    return in.len == 0 ? CDC_OK : CDC_DECLINED;
}


int
cdc_meta_key(cdc_span_t key, cdc_meta_key_t *k)
{
    int                     rc;
    size_t                  i;
    const cdc_meta_path_t  *path;

    memset(k, 0, sizeof(cdc_meta_key_t));

    if (cdc_meta_starts(key, cdc_span("snapshots/"))) {
        key = cdc_span_n(key.data + 10, key.len - 10);

        rc = cdc_meta_snapshot(&key, &k->ts);
        if (rc != CDC_OK) {
            return rc;
        }
    }

    for (i = 0; i < sizeof(cdc_meta_paths) / sizeof(cdc_meta_paths[0]); i++) {
        path = &cdc_meta_paths[i];

        if (!cdc_meta_starts(key, path->path)) {
            continue;
        }

        k->kind = path->kind;
        key = cdc_span_n(key.data + path->path.len,
                         key.len - path->path.len);

        rc = cdc_meta_parts(key, path->parts, k);

        if (rc == CDC_OK && k->kind == CDC_META_INFO) {
            k->item = k->db;
        }

        return rc;
    }

    return CDC_DECLINED;
}


int
cdc_meta_cmp(const char *a, cdc_span_t b)
{
    int     rc;
    size_t  len;

    len = strlen(a);

    rc = memcmp(a, b.data, len < b.len ? len : b.len);

    return rc != 0 ? rc : (len > b.len) - (len < b.len);
}


/* Milvus up to 2.5 puts this where an object was */

int
cdc_meta_tombstone(cdc_span_t value)
{
    return value.len == 3 && memcmp(value.data, "\xe2\x9b\xbc", 3) == 0;
}
