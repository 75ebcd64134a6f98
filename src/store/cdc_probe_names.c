/*
 * The names of a request: what is not there may come yet, or is a slip of the
 * pen, and then nothing would ever be followed.  A create warns of them, a
 * check says of those that are there as well how many.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <string.h>

#include "cdc_look.h"


typedef struct {
    cdc_look_t   *look;
    const char   *db;                    /* of the names that are gathered */
    unsigned      asked, found, matched;
    unsigned      n;
    size_t        len;
    char          names[CDC_REASON_MAX / 2];
} cdc_look_names_t;


static void
cdc_look_names_add(cdc_look_names_t *n, const char *name)
{
    if (n->n++ >= CDC_LOOK_SHOWN || n->len >= sizeof(n->names)) {
        return;
    }

    n->len += (size_t) snprintf(n->names + n->len, sizeof(n->names) - n->len,
                                "%s\"%.200s\"", n->len ? ", " : "", name);
}


static int
cdc_look_names_in(void *arg, const cdc_meta_collection_t *m)
{
    cdc_look_names_t  *n = arg;

    if (!m->gone && !m->dropping && strcmp(m->db, n->db) == 0) {
        cdc_look_names_add(n, m->name);
    }

    return CDC_OK;
}


static int
cdc_look_names_db(void *arg, const cdc_meta_db_t *db)
{
    cdc_look_names_add(arg, db->name);

    return CDC_OK;
}


static void
cdc_look_no_db(cdc_look_names_t *n, const char *db)
{
    char  cure[CDC_REASON_MAX], text[CDC_REASON_MAX];

    n->n = 0;
    n->len = 0;

    (void) cdc_meta_each_database(n->look->meta, cdc_look_names_db, n);
    (void) snprintf(cure, sizeof(cure), "see the name; the databases are %s%s",
                    n->len ? n->names : "none",
                    n->n > CDC_LOOK_SHOWN ? " .." : "");

    (void) snprintf(text, sizeof(text), "the source has no database "
                    "\"%.256s\" (yet): it is followed once there is one", db);

    cdc_look_warn(n->look, "collections.names", cure, text);
}


static void
cdc_look_no_collection(cdc_look_names_t *n, const char *db, const char *name)
{
    char  cure[CDC_REASON_MAX], text[CDC_REASON_MAX];

    n->db = db;
    n->n = 0;
    n->len = 0;

    (void) cdc_meta_each_collection(n->look->meta, cdc_look_names_in, n);
    (void) snprintf(cure, sizeof(cure), "see the name; the collections there "
                    "are %s%s", n->len ? n->names : "none",
                    n->n > CDC_LOOK_SHOWN ? " .." : "");

    (void) snprintf(text, sizeof(text), "the source has no collection "
                    "\"%.256s.%.256s\" (yet): it is followed once there is "
                    "one", db, name);

    cdc_look_warn(n->look, "collections.names", cure, text);
}


static void
cdc_look_alias(cdc_look_names_t *n, const char *db, const char *name,
    const char *of)
{
    char  cure[CDC_REASON_MAX], text[CDC_REASON_MAX];

    (void) snprintf(cure, sizeof(cure), "give the name \"%.200s\": its aliases "
                    "go with it", of);
    (void) snprintf(text, sizeof(text), "\"%.256s.%.256s\" is an alias of "
                    "\"%.200s\": nothing is followed by that name", db, name,
                    of);

    cdc_look_warn(n->look, "collections.names", cure, text);
}


static int
cdc_look_pattern(void *arg, const char *db, const char *name)
{
    cdc_look_names_t             *n = arg;
    const cdc_meta_collection_t  *m;

    if (strcmp(db, "*") == 0) {
        return CDC_OK;
    }

    if (cdc_look_left(n->look) == 0) {
        return CDC_DONE;
    }

    if (cdc_meta_db_by_name(n->look->meta, cdc_span_n(db, strlen(db)))
        == NULL)
    {
        n->asked++;
        cdc_look_no_db(n, db);
        return CDC_OK;
    }

    if (strcmp(name, "*") == 0) {
        return CDC_OK;
    }

    n->asked++;
    m = cdc_meta_by_name(n->look->meta, cdc_span_n(db, strlen(db)),
                         cdc_span_n(name, strlen(name)), 0);

    if (m == NULL || m->gone || m->dropping) {
        cdc_look_no_collection(n, db, name);

    } else if (strcmp(m->name, name) != 0) {
        cdc_look_alias(n, db, name, m->name);

    } else {
        n->found++;
    }

    return CDC_OK;
}


static int
cdc_look_match(void *arg, const cdc_meta_collection_t *m)
{
    cdc_look_names_t  *n = arg;

    if (!m->gone && !m->dropping
        && cdc_selected(n->look->probe->selection, m->db, m->name))
    {
        n->matched++;
    }

    return CDC_OK;
}


void
cdc_look_names(cdc_look_t *l)
{
    json_t            *findings;
    cdc_look_names_t   n;

    memset(&n, 0, sizeof(cdc_look_names_t));

    n.look = l;
    findings = l->probe->findings;

    (void) cdc_selection_each(l->probe->selection, cdc_look_pattern, &n);

    if (findings == NULL) {
        return;
    }

    (void) cdc_meta_each_collection(l->meta, cdc_look_match, &n);

    if (n.asked != 0 && n.asked == n.found) {
        cdc_finding(findings, "collections.names", CDC_FINE, NULL, "the "
                    "source has all collections that are named: %u", n.found);
    }

    if (n.matched == 0 && n.asked == 0) {
        cdc_finding(findings, "collections.matched", CDC_NOTE, NULL,
                    "the source holds nothing of that so far: what comes is "
                    "followed");

    } else if (n.matched == 0) {
        cdc_finding(findings, "collections.matched", CDC_WARNING, "see the "
                    "names, and what \"exclude_collections\" leaves out",
                    "nothing that the source holds now is followed");

    } else {
        cdc_finding(findings, "collections.matched", CDC_FINE, NULL,
                    "collections of the source that are followed: %u",
                    n.matched);
    }
}
