/*
 * A database in memory in the place of LevelDB's (src/helper/cdc_db.c, which
 * is not linked then): a target fills it, and looks at what was written.
 */

#ifndef FUZZ_DB_H_INCLUDED
#define FUZZ_DB_H_INCLUDED

#include "cdc_runtime.h"
#include "fuzz.h"


#define FUZZ_KEYS  1024


typedef struct {
    cdc_span_t         key, value;       /* copies */
} fuzz_kv_t;

struct cdc_db_s {
    size_t             n;
    fuzz_kv_t          kvs[FUZZ_KEYS];   /* by key */
};

struct cdc_db_batch_s {
    cdc_db_t           puts;
};


static cdc_db_t  *fuzz_db;


static void
fuzz_db_clear(cdc_db_t *db)
{
    while (db->n != 0) {
        db->n--;
        free((void *) (uintptr_t) db->kvs[db->n].key.data);
        free((void *) (uintptr_t) db->kvs[db->n].value.data);
    }
}


static void
fuzz_db_put(cdc_db_t *db, cdc_span_t key, cdc_span_t value)
{
    int     rc;
    size_t  i;

    for (i = 0; i < db->n; i++) {
        rc = memcmp(db->kvs[i].key.data, key.data,
                    db->kvs[i].key.len < key.len ? db->kvs[i].key.len
                                                 : key.len);

        if (rc == 0 && db->kvs[i].key.len == key.len) {
            free((void *) (uintptr_t) db->kvs[i].value.data);
            db->kvs[i].value = cdc_span_n(fuzz_copy(value, 0), value.len);
            return;
        }

        if (rc > 0 || (rc == 0 && db->kvs[i].key.len > key.len)) {
            break;
        }
    }

    if (db->n == FUZZ_KEYS) {
        return;
    }

    memmove(&db->kvs[i + 1], &db->kvs[i], (db->n - i) * sizeof(fuzz_kv_t));
    db->kvs[i].key = cdc_span_n(fuzz_copy(key, 1), key.len);
    db->kvs[i].value = cdc_span_n(fuzz_copy(value, 0), value.len);
    db->n++;
}


/* ---- instead of cdc_db.c --- */

cdc_db_t *
cdc_db_open(const char *path, char *err)
{
    return fuzz_db;
}


void
cdc_db_close(cdc_db_t *db)
{
}


int
cdc_db_passing(const char *err)
{
    return 0;
}


int
cdc_db_remove(const char *path, char *err)
{
    return CDC_OK;
}


int
cdc_db_get(cdc_db_t *db, cdc_span_t key, uint8_t **value, size_t *len)
{
    size_t  i;

    for (i = 0; i < db->n; i++) {
        if (fuzz_equal(db->kvs[i].key, key)) {
            *value = fuzz_copy(db->kvs[i].value, 1);
            *len = db->kvs[i].value.len;

            return CDC_OK;
        }
    }

    return CDC_DECLINED;
}


int
cdc_db_each(cdc_db_t *db, cdc_span_t prefix,
    int (*fn)(void *arg, cdc_span_t key, cdc_span_t value), void *arg)
{
    int     rc;
    size_t  i;

    for (i = 0; i < db->n; i++) {
        if (db->kvs[i].key.len < prefix.len
            || !fuzz_equal(cdc_span_n(db->kvs[i].key.data, prefix.len),
                           prefix))
        {
            continue;
        }

        rc = fn(arg, db->kvs[i].key, db->kvs[i].value);

        if (rc != CDC_OK) {
            return rc;
        }
    }

    return CDC_OK;
}


cdc_db_batch_t *
cdc_db_batch_create(void)
{
    return calloc(1, sizeof(cdc_db_batch_t));
}


void
cdc_db_batch_put(cdc_db_batch_t *b, cdc_span_t key, cdc_span_t value)
{
    fuzz_db_put(&b->puts, key, value);
}


void
cdc_db_batch_delete(cdc_db_batch_t *b, cdc_span_t key)
{
}


void
cdc_db_batch_destroy(cdc_db_batch_t *b)
{
    if (b != NULL) {
        fuzz_db_clear(&b->puts);
        free(b);
    }
}


int
cdc_db_write(cdc_db_t *db, cdc_db_batch_t *b, char *err)
{
    size_t  i;

    for (i = 0; i < b->puts.n; i++) {
        fuzz_db_put(db, b->puts.kvs[i].key, b->puts.kvs[i].value);
    }

    return CDC_OK;
}


#endif /* FUZZ_DB_H_INCLUDED */
