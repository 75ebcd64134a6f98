/*
 * A Milvus cluster as the target: names, aliases and properties.
 *
 * Each function makes something so and may be called again: after a crash
 * nobody knows whether the first call arrived.  Milvus answers a rename that
 * is done already as it answers a name that is taken, so that case is looked
 * at; setting an alias or a property again is no error to it.
 *
 * A rename, an alias or a property gets the target's own time whatever the
 * request says (2.3.5: only a create takes msgTimestamp).
 */

#include <string.h>

#include "cdc_milvus_int.h"


#define CDC_MILVUS_ALIAS_ELSEWHERE  1602
#define CDC_MILVUS_OLD_NAME         3
#define CDC_MILVUS_NEW_NAME         4
#define CDC_MILVUS_NEW_DB           5


typedef struct {
    cdc_span_t  key, value;
    cdc_span_t  body;                    /* both */
} cdc_milvus_kv_t;


/* ---- rename -------------------------------------------------------- */

/*
 * CDC_OK: db.name is a collection and no alias of one; CDC_DECLINED: it is
 * not.
 */

static int
cdc_milvus_is_collection(cdc_target_t *t, const char *db, const char *name,
    cdc_target_error_t *err)
{
    int                       rc;
    cdc_target_collection_t  *c;

    rc = cdc_milvus_describe(t, db, name, 0, &c, err);

    if (rc != CDC_OK) {
        return rc;
    }

    if (strcmp(c->name, name) != 0) {
        rc = CDC_DECLINED;
    }

    cdc_target_collection_free(c);

    return rc;
}


/* the target refused: is it that the old name has gone to the new one? */

static int
cdc_milvus_renamed(cdc_target_t *t, const char *db, const char *name,
    const char *new_db, const char *new_name, cdc_target_error_t *err)
{
    int                 rc;
    cdc_target_error_t  look;

    rc = cdc_milvus_is_collection(t, db, name, &look);

    if (rc == CDC_DECLINED) {
        rc = cdc_milvus_is_collection(t, new_db, new_name, &look);

        if (rc != CDC_ERROR) {
            return rc == CDC_OK ? CDC_OK : CDC_ERROR;
        }
    }

    if (rc == CDC_ERROR) {
        *err = look;
    }

    return CDC_ERROR;
}


int
cdc_milvus_rename_collection(cdc_target_t *t, const char *db,
    const char *name, const char *new_db, const char *new_name, uint64_t ts,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    db = cdc_milvus_db(db);
    new_db = cdc_milvus_db(new_db);

    c = cdc_milvus_request(CDC_MSG_RENAME_COLLECTION, 1, ts);
    rc = cdc_milvus_string(c, 2, db);
    rc |= cdc_milvus_string(c, CDC_MILVUS_OLD_NAME, name);
    rc |= cdc_milvus_string(c, CDC_MILVUS_NEW_NAME, new_name);
    rc |= cdc_milvus_string(c, CDC_MILVUS_NEW_DB, new_db);

    rc = cdc_milvus_call(t, CDC_MILVUS_SERVICE "RenameCollection", db, c, rc,
                         CDC_MILVUS_PLAIN, CDC_MILVUS_TIMEOUT, NULL, NULL,
                         err);

    if (rc == CDC_ERROR
        && (err->class == CDC_TARGET_EXISTS
            || err->class == CDC_TARGET_NOT_FOUND))
    {
        return cdc_milvus_renamed(t, db, name, new_db, new_name, err);
    }

    return rc;
}


/* ---- alias --------------------------------------------------------- */

static int
cdc_milvus_alias_call(cdc_target_t *t, int32_t type, const char *method,
    const char *db, const char *alias, const char *name, uint64_t ts,
    cdc_target_error_t *err)
{
    int           rc;
    cdc_chain_t  *c;

    c = cdc_milvus_request(type, 1, ts);
    rc = cdc_milvus_string(c, 2, db);

    if (type == CDC_MSG_DROP_ALIAS) {
        rc |= cdc_milvus_string(c, 3, alias);

    } else {
        rc |= cdc_milvus_string(c, 3, name);
        rc |= cdc_milvus_string(c, 4, alias);
    }

    return cdc_milvus_call(t, method, db, c, rc, CDC_MILVUS_PLAIN,
                           CDC_MILVUS_TIMEOUT, NULL, NULL, err);
}


/*
 * A drop never touches a collection of that name.  "Elsewhere" may be a
 * collection that is being dropped: its aliases stay until it is cleared
 * away, and moving one is how to get it back.
 */

int
cdc_milvus_alias(cdc_target_t *t, const char *db, const char *alias,
    const char *name, uint64_t ts, cdc_target_error_t *err)
{
    int  rc;

    db = cdc_milvus_db(db);

    if (name == NULL) {
        rc = cdc_milvus_alias_call(t, CDC_MSG_DROP_ALIAS,
                                   CDC_MILVUS_SERVICE "DropAlias", db, alias,
                                   NULL, ts, err);

        return rc == CDC_ERROR && err->class == CDC_TARGET_NOT_FOUND
               ? CDC_OK : rc;
    }

    rc = cdc_milvus_alias_call(t, CDC_MSG_CREATE_ALIAS,
                               CDC_MILVUS_SERVICE "CreateAlias", db, alias,
                               name, ts, err);

    if (rc == CDC_ERROR && err->code == CDC_MILVUS_ALIAS_ELSEWHERE) {
        rc = cdc_milvus_alias_call(t, CDC_MSG_ALTER_ALIAS,
                                   CDC_MILVUS_SERVICE "AlterAlias", db,
                                   alias, name, ts, err);
    }

    return rc;
}


/* ---- properties ---------------------------------------------------- */

/* of a list of KeyValuePair, fields of one number */

static int
cdc_milvus_kv_next(cdc_span_t *list, uint32_t number, cdc_milvus_kv_t *kv)
{
    int          rc;
    cdc_span_t   in;
    cdc_field_t  f;

    do {
        rc = cdc_wire_next(list, &f);

        if (rc != CDC_OK) {
            return rc;
        }

    } while (f.number != number || f.wire_type != 2);

    memset(kv, 0, sizeof(cdc_milvus_kv_t));
    kv->body = in = f.body;

    while ((rc = cdc_wire_next(&in, &f)) == CDC_OK) {

        if (f.wire_type != 2) {
            continue;
        }

        if (f.number == 1) {
            kv->key = f.body;

        } else if (f.number == 2) {
            kv->value = f.body;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


static int
cdc_milvus_span_same(cdc_span_t a, cdc_span_t b)
{
    return a.len == b.len
           && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


static int
cdc_milvus_kv_find(cdc_span_t list, uint32_t number, cdc_span_t key,
    cdc_milvus_kv_t *kv)
{
    int  rc;

    while ((rc = cdc_milvus_kv_next(&list, number, kv)) == CDC_OK) {
        if (cdc_milvus_span_same(kv->key, key)) {
            return CDC_OK;
        }
    }

    return rc == CDC_DONE ? CDC_DECLINED : CDC_ERROR;
}


int
cdc_milvus_kv_changed(cdc_chain_t *c, uint32_t out, cdc_span_t before,
    cdc_span_t after, uint32_t number, unsigned *n)
{
    int              rc;
    cdc_milvus_kv_t  kv, old;

    *n = 0;

    if (c == NULL) {
        return CDC_ERROR;
    }

    while ((rc = cdc_milvus_kv_next(&after, number, &kv)) == CDC_OK) {

        rc = cdc_milvus_kv_find(before, number, kv.key, &old);

        if (rc == CDC_OK && cdc_milvus_span_same(kv.value, old.value)) {
            continue;
        }

        if (rc == CDC_ERROR
            || cdc_chain_bytes_field(c, out, kv.body) != CDC_OK)
        {
            return CDC_ERROR;
        }

        *n += 1;
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


int
cdc_milvus_kv_removed(cdc_chain_t *c, uint32_t out, cdc_span_t before,
    cdc_span_t after, uint32_t number, unsigned *n)
{
    int              rc;
    cdc_milvus_kv_t  kv, now;

    *n = 0;

    if (c == NULL) {
        return CDC_ERROR;
    }

    while ((rc = cdc_milvus_kv_next(&before, number, &kv)) == CDC_OK) {

        rc = cdc_milvus_kv_find(after, number, kv.key, &now);

        if (rc == CDC_OK) {
            continue;
        }

        if (rc == CDC_ERROR
            || cdc_chain_bytes_field(c, out, kv.key) != CDC_OK)
        {
            return CDC_ERROR;
        }

        *n += 1;
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


typedef struct {
    int32_t      type;
    const char  *method;
    uint32_t     name_field;             /* 0: none */
    uint32_t     set_field, delete_field;
    uint32_t     list_field;             /* in "before" and "after" */
} cdc_milvus_alter_t;

static const cdc_milvus_alter_t  cdc_milvus_alter_coll = {
    CDC_MSG_ALTER_COLLECTION, CDC_MILVUS_SERVICE "AlterCollection",
    3, 5, 6, 7
};

static const cdc_milvus_alter_t  cdc_milvus_alter_db = {
    CDC_MSG_ALTER_DATABASE, CDC_MILVUS_SERVICE "AlterDatabase",
    0, 4, 5, 3
};


/* one request; Milvus refuses one that both sets and deletes */

static int
cdc_milvus_alter(cdc_target_t *t, const cdc_milvus_alter_t *a,
    const char *db, const char *name, cdc_span_t before, cdc_span_t after,
    unsigned delete, uint64_t ts, cdc_target_error_t *err)
{
    int           rc;
    unsigned      n;
    cdc_chain_t  *c;

    c = cdc_milvus_request(a->type, 1, ts);
    rc = cdc_milvus_string(c, 2, db);

    if (a->name_field) {
        rc |= cdc_milvus_string(c, a->name_field, name);
    }

    if (delete) {
        rc |= cdc_milvus_kv_removed(c, a->delete_field, before, after,
                                    a->list_field, &n);
    } else {
        rc |= cdc_milvus_kv_changed(c, a->set_field, before, after,
                                    a->list_field, &n);
    }

    if (rc == CDC_OK && n == 0) {
        cdc_chain_unref(c);
        return CDC_DONE;
    }

    return cdc_milvus_call(t, a->method, db, c, rc, CDC_MILVUS_PLAIN,
                           CDC_MILVUS_TIMEOUT, NULL, NULL, err);
}


/* a Milvus that does not know "delete_keys" sees a request of nothing */

static int
cdc_milvus_cannot_delete(const cdc_target_error_t *err)
{
    return !err->transport && strstr(err->text, "properties is empty");
}


int
cdc_milvus_alter_collection(cdc_target_t *t, const char *db,
    const char *name, cdc_span_t before, cdc_span_t after, uint64_t ts,
    cdc_target_error_t *err)
{
    int                        rc;
    const cdc_milvus_alter_t  *a;

    db = cdc_milvus_db(db);
    a = &cdc_milvus_alter_coll;

    rc = cdc_milvus_alter(t, a, db, name, before, after, 0, ts, err);

    /* 2.3 changes its memory and stores what was before; the second time it
     * stores what it has in memory.  Without it a restart takes it back. */

    if (rc == CDC_OK) {
        rc = cdc_milvus_alter(t, a, db, name, before, after, 0, ts, err);
    }

    if (rc == CDC_OK || rc == CDC_DONE) {
        rc = cdc_milvus_alter(t, a, db, name, before, after, 1, ts, err);
    }

    if (rc == CDC_ERROR && cdc_milvus_cannot_delete(err)) {
        return cdc_milvus_decline(err, "a property is removed from "
                                  "collection \"%s.%s\", which needs Milvus "
                                  "2.5 on the target: set it there by hand "
                                  "or upgrade the target", db, name);
    }

    return rc == CDC_DONE ? CDC_OK : rc;
}


int
cdc_milvus_alter_database(cdc_target_t *t, const char *db, cdc_span_t before,
    cdc_span_t after, uint64_t ts, cdc_target_error_t *err)
{
    int                        rc;
    const cdc_milvus_alter_t  *a;

    db = cdc_milvus_db(db);
    a = &cdc_milvus_alter_db;

    rc = cdc_milvus_alter(t, a, db, NULL, before, after, 0, ts, err);

    if (rc == CDC_OK || rc == CDC_DONE) {
        rc = cdc_milvus_alter(t, a, db, NULL, before, after, 1, ts, err);
    }

    if (rc == CDC_ERROR && cdc_milvus_lacks(err)) {
        return cdc_milvus_decline(err, "changing the properties of database "
                                  "\"%s\" needs Milvus 2.4 on the target: "
                                  "upgrade the target", db);
    }

    if (rc == CDC_ERROR && cdc_milvus_cannot_delete(err)) {
        return cdc_milvus_decline(err, "a property is removed from database "
                                  "\"%s\", which needs Milvus 2.5 on the "
                                  "target: set it there by hand or upgrade "
                                  "the target", db);
    }

    return rc == CDC_DONE ? CDC_OK : rc;
}
