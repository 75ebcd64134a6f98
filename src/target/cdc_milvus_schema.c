/*
 * A Milvus cluster as the target: fields that a collection gets later.
 *
 * The target gives a new field an id of its own, and rows name their fields
 * by id: both sides count on from the highest, so the ids agree unless
 * somebody added a field on the target.  That is looked at, because rows
 * that land in another field are worse than a task that stops.
 */

#include <stdio.h>
#include <string.h>

#include "milvus_service.pb-c.h"

#include "cdc_milvus_int.h"


#define CDC_MILVUS_FIELDS        4      /* of CollectionSchema */
#define CDC_MILVUS_TYPE_PARAMS   6      /* of FieldSchema */
#define CDC_MILVUS_ADD_SCHEMA    5
#define CDC_MILVUS_ALTER_NAME    4
#define CDC_MILVUS_ALTER_SET     5
#define CDC_MILVUS_ALTER_DELETE  6

#define CDC_MILVUS_USER_FIELD    100    /* smaller ids are Milvus's own */


typedef Milvus__Schema__FieldSchema  cdc_milvus_field_t;

typedef struct {
    cdc_target_t        *target;
    const char          *db, *name;
    cdc_span_t           before, after, theirs;
    uint64_t             ts;
    cdc_target_error_t  *err;
} cdc_milvus_fields_t;


static int
cdc_milvus_bad_schema(cdc_target_error_t *err, const char *db,
    const char *name)
{
    memset(err, 0, sizeof(cdc_target_error_t));

    err->class = CDC_TARGET_REFUSED;
    (void) snprintf(err->text, sizeof(err->text),
                    "the schema of \"%s.%s\" cannot be read", db, name);

    return CDC_ERROR;
}


/* the next field that users have made: free *fs */

static int
cdc_milvus_field_next(cdc_span_t *schema, cdc_span_t *raw,
    cdc_milvus_field_t **fs)
{
    int          rc;
    cdc_field_t  f;

    while ((rc = cdc_wire_next(schema, &f)) == CDC_OK) {

        if (f.number != CDC_MILVUS_FIELDS || f.wire_type != 2) {
            continue;
        }

        *fs = milvus__schema__field_schema__unpack(NULL, f.body.len,
                                                   f.body.data);
        if (*fs == NULL) {
            return CDC_ERROR;
        }

        if ((*fs)->fieldid >= CDC_MILVUS_USER_FIELD && !(*fs)->is_dynamic) {
            *raw = f.body;
            return CDC_OK;
        }

        milvus__schema__field_schema__free_unpacked(*fs, NULL);
    }

    return rc;
}


static int
cdc_milvus_field_find(cdc_span_t schema, const char *name, cdc_span_t *raw,
    int64_t *id)
{
    int                  rc, found;
    cdc_milvus_field_t  *fs;

    while ((rc = cdc_milvus_field_next(&schema, raw, &fs)) == CDC_OK) {

        found = (strcmp(fs->name, name) == 0);
        *id = fs->fieldid;

        milvus__schema__field_schema__free_unpacked(fs, NULL);

        if (found) {
            return CDC_OK;
        }
    }

    return rc == CDC_DONE ? CDC_DECLINED : CDC_ERROR;
}


static int
cdc_milvus_field_add(cdc_milvus_fields_t *c, const char *field,
    cdc_span_t raw)
{
    int           rc;
    cdc_chain_t  *request;

    request = cdc_milvus_request(CDC_MILVUS_ADD_COLLECTION_FIELD, 1, c->ts);
    rc = cdc_milvus_string(request, 2, c->db);
    rc |= cdc_milvus_string(request, 3, c->name);

    if (request != NULL) {
        rc |= cdc_chain_bytes_field(request, CDC_MILVUS_ADD_SCHEMA, raw);
    }

    rc = cdc_milvus_call(c->target, CDC_MILVUS_SERVICE "AddCollectionField",
                         c->db, request, rc, CDC_MILVUS_PLAIN,
                         CDC_MILVUS_TIMEOUT, NULL, NULL, c->err);

    if (rc == CDC_ERROR && cdc_milvus_lacks(c->err)) {
        return cdc_milvus_decline(c->err, "field \"%s\" is new in \"%s.%s\", "
                                  "and the target's Milvus cannot add a "
                                  "field: upgrade the target", field, c->db,
                                  c->name);
    }

    return rc;
}


/* CDC_DONE: nothing to do */

static int
cdc_milvus_field_alter(cdc_milvus_fields_t *c, const char *field,
    cdc_span_t before, cdc_span_t after, unsigned delete)
{
    int           rc;
    unsigned      n;
    cdc_chain_t  *request;

    request = cdc_milvus_request(CDC_MSG_ALTER_COLLECTION_FIELD, 1, c->ts);
    rc = cdc_milvus_string(request, 2, c->db);
    rc |= cdc_milvus_string(request, 3, c->name);
    rc |= cdc_milvus_string(request, CDC_MILVUS_ALTER_NAME, field);

    if (delete) {
        rc |= cdc_milvus_kv_removed(request, CDC_MILVUS_ALTER_DELETE, before,
                                    after, CDC_MILVUS_TYPE_PARAMS, &n);
    } else {
        rc |= cdc_milvus_kv_changed(request, CDC_MILVUS_ALTER_SET, before,
                                    after, CDC_MILVUS_TYPE_PARAMS, &n);
    }

    if (rc == CDC_OK && n == 0) {
        cdc_chain_unref(request);
        return CDC_DONE;
    }

    rc = cdc_milvus_call(c->target,
                         CDC_MILVUS_SERVICE "AlterCollectionField", c->db,
                         request, rc, CDC_MILVUS_PLAIN, CDC_MILVUS_TIMEOUT,
                         NULL, NULL, c->err);

    if (rc == CDC_ERROR && cdc_milvus_lacks(c->err)) {
        return cdc_milvus_decline(c->err, "changing field \"%s\" of "
                                  "\"%s.%s\" needs Milvus 2.5 on the target: "
                                  "upgrade the target", field, c->db,
                                  c->name);
    }

    return rc;
}


static int
cdc_milvus_field(cdc_milvus_fields_t *c, const cdc_milvus_field_t *fs,
    cdc_span_t raw)
{
    int         rc;
    int64_t     id;
    cdc_span_t  old;

    rc = cdc_milvus_field_find(c->before, fs->name, &old, &id);

    if (rc == CDC_OK) {
        rc = cdc_milvus_field_alter(c, fs->name, old, raw, 0);

        if (rc == CDC_OK || rc == CDC_DONE) {
            rc = cdc_milvus_field_alter(c, fs->name, old, raw, 1);
        }

        return rc == CDC_DONE ? CDC_OK : rc;
    }

    if (rc == CDC_DECLINED) {
        rc = cdc_milvus_field_find(c->theirs, fs->name, &old, &id);

        if (rc != CDC_ERROR) {
            return rc == CDC_OK ? CDC_OK
                                : cdc_milvus_field_add(c, fs->name, raw);
        }
    }

    return cdc_milvus_bad_schema(c->err, c->db, c->name);
}


/* what is in both schemas has the same ids */

static int
cdc_milvus_field_ids(cdc_milvus_fields_t *c)
{
    int                  rc;
    int64_t              id;
    cdc_span_t           in, raw;
    cdc_milvus_field_t  *fs;

    in = c->after;

    while ((rc = cdc_milvus_field_next(&in, &raw, &fs)) == CDC_OK) {

        rc = cdc_milvus_field_find(c->theirs, fs->name, &raw, &id);

        if (rc == CDC_OK && id != fs->fieldid) {
            memset(c->err, 0, sizeof(cdc_target_error_t));
            c->err->class = CDC_TARGET_REFUSED;
            (void) snprintf(c->err->text, sizeof(c->err->text),
                            "field \"%s\" of \"%s.%s\" has id %lld on the "
                            "source and %lld on the target: drop the "
                            "collection on the target and make a new task",
                            fs->name, c->db, c->name,
                            (long long) fs->fieldid, (long long) id);
            milvus__schema__field_schema__free_unpacked(fs, NULL);
            return CDC_ERROR;
        }

        milvus__schema__field_schema__free_unpacked(fs, NULL);

        if (rc == CDC_ERROR) {
            return cdc_milvus_bad_schema(c->err, c->db, c->name);
        }
    }

    return rc == CDC_DONE ? CDC_OK
                          : cdc_milvus_bad_schema(c->err, c->db, c->name);
}


static int
cdc_milvus_field_look(cdc_milvus_fields_t *c, cdc_target_collection_t **d)
{
    int  rc;

    rc = cdc_milvus_describe(c->target, c->db, c->name, 0, d, c->err);

    if (rc == CDC_OK) {
        c->theirs = cdc_span_n((*d)->schema, (*d)->schema_len);
        return CDC_OK;
    }

    return CDC_ERROR;
}


int
cdc_milvus_alter_schema(cdc_target_t *t, const char *db, const char *name,
    cdc_span_t before, cdc_span_t after, uint64_t ts,
    cdc_target_error_t *err)
{
    int                       rc;
    cdc_span_t                in, raw;
    cdc_milvus_field_t       *fs;
    cdc_milvus_fields_t       c;
    cdc_target_collection_t  *d;

    memset(&c, 0, sizeof(cdc_milvus_fields_t));

    c.target = t;
    c.db = cdc_milvus_db(db);
    c.name = name;
    c.before = before;
    c.after = after;
    c.ts = ts;
    c.err = err;

    rc = cdc_milvus_field_look(&c, &d);
    if (rc != CDC_OK) {
        return rc;
    }

    in = after;

    while ((rc = cdc_milvus_field_next(&in, &raw, &fs)) == CDC_OK) {

        rc = cdc_milvus_field(&c, fs, raw);
        milvus__schema__field_schema__free_unpacked(fs, NULL);

        if (rc != CDC_OK) {
            cdc_target_collection_free(d);
            return rc;
        }
    }

    cdc_target_collection_free(d);

    if (rc != CDC_DONE) {
        return cdc_milvus_bad_schema(err, c.db, name);
    }

    rc = cdc_milvus_field_look(&c, &d);

    if (rc == CDC_OK) {
        rc = cdc_milvus_field_ids(&c);
        cdc_target_collection_free(d);
    }

    return rc;
}
