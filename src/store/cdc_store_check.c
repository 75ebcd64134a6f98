/*
 * What a new task asks for: positions, exclusions, mapping.
 *
 * The worker has seen to the shape of the request; these checks need the
 * parser of selections, which a worker does not have.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_log_reader.h"
#include "cdc_store.h"


typedef struct {
    const char                  *db, *name;      /* of an exclusion */
    const cdc_selection_t       *selection;
    const char                  *left_db, *left_name;
    int                          meets;
} cdc_check_t;


/* ---- positions --- */

static int
cdc_check_position(const cdc_log_reader_ops_t *ops, const char *base64,
    uint64_t *ts, char err[CDC_REASON_MAX])
{
    int         rc;
    size_t      len;
    uint8_t    *id;
    cdc_pos_t   pos;

    if (cdc_position_decode(base64, &id, &len, ts, err) != CDC_OK) {
        return CDC_ERROR;
    }

    rc = ops != NULL ? ops->parse_id(cdc_span_n(id, len), &pos) : CDC_OK;

    if (rc != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "its msgID of %zu bytes is not "
                        "one of %s, where the source has its log", len,
                        ops->name);
    }

    free(id);

    return rc;
}


static cdc_error_e
cdc_check_info(const json_t *info, const cdc_log_reader_ops_t *ops,
    char text[CDC_REASON_MAX])
{
    char         err[CDC_REASON_MAX], why[CDC_REASON_MAX + 300];
    json_t      *positions, *value;
    int64_t      id, first;
    uint64_t     ts;
    const char  *vchannel, *base64;

    first = -1;
    positions = json_object_get(info, "positions");

    json_object_foreach(positions, vchannel, value) {

        if (cdc_position_vchannel(vchannel, &id) != CDC_OK) {
            cdc_store_format(text, CDC_E_BAD_VCHANNEL, vchannel,
                             "it is not <channel>_<collection id>v<shard>");
            return CDC_E_BAD_VCHANNEL;
        }

        if (first != -1 && first != id) {
            cdc_store_format(text, CDC_E_MIXED_POSITIONS);
            return CDC_E_MIXED_POSITIONS;
        }

        first = id;
        base64 = json_string_value(value);

        if (cdc_check_position(ops, base64 != NULL ? base64 : "", &ts, err)
            != CDC_OK)
        {
            (void) snprintf(why, sizeof(why), "%.256s: %s", vchannel, err);
            cdc_store_format(text, CDC_E_BAD_POSITION, why);
            return CDC_E_BAD_POSITION;
        }
    }

    return CDC_E_OK;
}


static cdc_error_e
cdc_check_positions(const json_t *request, const cdc_log_reader_ops_t *ops,
    char text[CDC_REASON_MAX])
{
    char         err[CDC_REASON_MAX];
    size_t       i;
    json_t      *dbs, *infos, *info;
    uint64_t     ts;
    const char  *db, *base64;
    cdc_error_e  rc;

    infos = json_object_get(request, "collection_infos");

    json_array_foreach(infos, i, info) {
        rc = cdc_check_info(info, ops, text);

        if (rc != CDC_E_OK) {
            return rc;
        }
    }

    dbs = json_object_get(request, "db_collections");

    json_object_foreach(dbs, db, infos) {
        json_array_foreach(infos, i, info) {
            rc = cdc_check_info(info, ops, text);

            if (rc != CDC_E_OK) {
                return rc;
            }
        }
    }

    base64 = json_string_value(json_object_get(json_object_get(request,
                                   "rpc_channel_info"), "position"));

    if (base64 != NULL && *base64 != '\0'
        && cdc_check_position(ops, base64, &ts, err) != CDC_OK)
    {
        cdc_store_format(text, CDC_E_BAD_RPC_POSITION, err);
        return CDC_E_BAD_RPC_POSITION;
    }

    return CDC_E_OK;
}


/* ---- exclude_collections --- */

static int
cdc_check_meets(void *arg, const char *db, const char *name)
{
    cdc_check_t  *c = arg;

    c->meets |= (strcmp(db, "*") == 0 || strcmp(c->db, "*") == 0
                 || strcmp(db, c->db) == 0)
                && (strcmp(name, "*") == 0 || strcmp(c->name, "*") == 0
                    || strcmp(name, c->name) == 0);

    return c->meets ? CDC_DONE : CDC_OK;
}


static int
cdc_check_left(void *arg, const char *db, const char *name)
{
    cdc_check_t  *c = arg;

    if (!cdc_selection_excludes(c->selection, db, name)) {
        return CDC_OK;
    }

    c->left_db = db;
    c->left_name = name;

    return CDC_DONE;
}


/*
 * Each is compared with all that the task names, which is bounded because it
 * is shown; what is left out is not shown, and so has a bound of its own.
 */

static cdc_error_e
cdc_check_excluded_size(const json_t *list, char text[CDC_REASON_MAX])
{
    char    why[CDC_REASON_MAX];
    size_t  need;

    need = list != NULL ? json_dumpb(list, NULL, 0, JSON_COMPACT) : 0;

    if (need < CDC_DOC_MAX) {
        return CDC_E_OK;
    }

    (void) snprintf(why, sizeof(why), "it has %zu bytes of at most %d", need,
                    CDC_DOC_MAX - 1);
    cdc_store_format(text, CDC_E_BAD_EXCLUDE, why);

    return CDC_E_BAD_EXCLUDE;
}


static cdc_error_e
cdc_check_excluded(const cdc_selection_t *s, const json_t *list,
    char text[CDC_REASON_MAX])
{
    char          db[CDC_MAX_NAME_LEN + 1], name[CDC_MAX_NAME_LEN + 1];
    char          why[CDC_REASON_MAX];
    size_t        i;
    json_t       *value;
    const char   *given;
    cdc_check_t   c;

    memset(&c, 0, sizeof(cdc_check_t));
    c.selection = s;

    json_array_foreach(list, i, value) {
        given = json_string_value(value);

        if (given == NULL || cdc_selection_split(given, db, name) != CDC_OK) {
            (void) snprintf(why, sizeof(why), "\"%.512s\" should be a "
                            "database, a dot and a collection, either of "
                            "which may be *", given != NULL ? given : "");
            cdc_store_format(text, CDC_E_BAD_EXCLUDE, why);
            return CDC_E_BAD_EXCLUDE;
        }

        c.db = *db != '\0' ? db : CDC_DEFAULT_DB;
        c.name = name;
        c.meets = 0;

        if (cdc_selection_each(s, cdc_check_meets, &c) == CDC_OK) {
            (void) snprintf(why, sizeof(why), "\"%.512s\" is not among what "
                            "the task follows", given);
            cdc_store_format(text, CDC_E_BAD_EXCLUDE, why);
            return CDC_E_BAD_EXCLUDE;
        }
    }

    if (cdc_selection_each(s, cdc_check_left, &c) == CDC_DONE) {
        (void) snprintf(why, sizeof(why), "it leaves nothing of "
                        "\"%.256s.%.256s\"", c.left_db, c.left_name);
        cdc_store_format(text, CDC_E_BAD_EXCLUDE, why);
        return CDC_E_BAD_EXCLUDE;
    }

    return CDC_E_OK;
}


/* ---- name_mapping --- */

/* "" is "default" on both sides: who has left "target_db" out means, rather,
 * that the database stays, and would have all of it moved */

static cdc_error_e
cdc_check_target_db(const json_t *list, char text[CDC_REASON_MAX])
{
    char         why[CDC_REASON_MAX];
    size_t       i;
    json_t      *entry;
    const char  *source, *target;

    json_array_foreach(list, i, entry) {
        source = json_string_value(json_object_get(entry, "source_db"));
        target = json_string_value(json_object_get(entry, "target_db"));

        if (source == NULL || *source == '\0'
            || strcmp(source, CDC_DEFAULT_DB) == 0
            || (target != NULL && *target != '\0'))
        {
            continue;
        }

        (void) snprintf(why, sizeof(why), "the database \"%.256s\" has no "
                        "\"target_db\": give it, also where the database keeps "
                        "its name", source);
        cdc_store_format(text, CDC_E_BAD_MAPPING, why);
        return CDC_E_BAD_MAPPING;
    }

    return CDC_E_OK;
}


/* ---- all of it --- */

cdc_error_e
cdc_stored_check(cdc_stored_t *t, const json_t *source,
    char text[CDC_REASON_MAX])
{
    char                    err[CDC_REASON_MAX];
    cdc_error_e             rc;
    const cdc_selection_t  *s;

    rc = cdc_check_positions(t->request, cdc_log_reader_of(source), text);

    if (rc != CDC_E_OK) {
        return rc;
    }

    rc = cdc_check_target_db(json_object_get(t->request, "name_mapping"),
                             text);

    if (rc != CDC_E_OK) {
        return rc;
    }

    /* positions have been read, so what is wrong now is the mapping */

    s = cdc_stored_selection(t, err);

    if (s == NULL) {
        cdc_store_format(text, CDC_E_BAD_MAPPING, err);
        return CDC_E_BAD_MAPPING;
    }

    t->given = json_incref(json_object_get(t->request,
                                           "exclude_collections"));

    rc = cdc_check_excluded_size(t->given, text);

    if (rc != CDC_E_OK) {
        return rc;
    }

    rc = cdc_check_excluded(s, t->given, text);

    if (rc != CDC_E_OK) {
        return rc;
    }

    switch (cdc_selection_mapping(s, err)) {

    case CDC_OK:
        return CDC_E_OK;

    case CDC_DECLINED:
        cdc_store_format(text, CDC_E_MAPPING_OUTSIDE);
        return CDC_E_MAPPING_OUTSIDE;

    default:
        cdc_store_format(text, CDC_E_BAD_MAPPING, err);
        return CDC_E_BAD_MAPPING;
    }
}
