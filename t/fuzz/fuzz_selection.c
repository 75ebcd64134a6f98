/*
 * What requests say about collections, positions and names.
 *
 * Input: the request_data of two tasks, with a zero byte between them.  What
 * is asked for is covered; two tasks meet whichever is looked at first, and
 * they do where both follow one collection to one name; a task that is written
 * is read as it was.
 */

#include "cdc_replicator.h"
#include "cdc_store.h"
#include "fuzz.h"


typedef struct {
    const cdc_selection_t  *a, *b;
    int                     meet;
} fuzz_pair_t;


static int
fuzz_asked(void *arg, const char *db, const char *name)
{
    const char       *target_db, *target_name;
    fuzz_pair_t      *p = arg;

    fuzz_check(cdc_selection_covers(p->a, db, name));
    fuzz_check(cdc_selected(p->a, db, name)
               == !cdc_selection_excludes(p->a, db, name));
    fuzz_check(cdc_selected_db(p->a, db)
               || cdc_selection_excludes(p->a, db, "*"));

    target_db = cdc_selection_target_db(p->a, db);
    target_name = cdc_selection_target_name(p->a, db, name);
    fuzz_check(target_db != NULL && target_name != NULL);
    (void) cdc_selection_use_start(p->a, db, name);

    /* a name of the source, not a pattern */

    if (strcmp(db, "*") != 0 && strcmp(name, "*") != 0
        && cdc_selected(p->a, db, name) && cdc_selected(p->b, db, name)
        && strcmp(target_db, cdc_selection_target_db(p->b, db)) == 0
        && strcmp(target_name, cdc_selection_target_name(p->b, db, name))
           == 0)
    {
        p->meet = 1;
    }

    return CDC_OK;
}


static cdc_selection_t *
fuzz_selection(const json_t *request)
{
    char              err[CDC_REASON_MAX];
    uint64_t          ts;
    cdc_span_t        id;
    cdc_selection_t  *s;

    s = cdc_selection_create(request, err);

    if (s == NULL) {
        fuzz_check(fuzz_is_text(err));
        return NULL;
    }

    switch (cdc_selection_mapping(s, err)) {

    case CDC_OK:
    case CDC_DECLINED:
        break;

    default:
        fuzz_check(fuzz_is_text(err));
    }

    if (cdc_selection_rpc_position(s, &id) == CDC_OK) {
        fuzz_check(id.len != 0);
    }

    (void) cdc_selection_position(s, "by-dev-rootcoord-dml_0_1v0", &id, &ts);

    return s;
}


static void
fuzz_both(const cdc_selection_t *a, const cdc_selection_t *b)
{
    int          rc;
    char         where[CDC_REASON_MAX];
    fuzz_pair_t  p;

    memset(&p, 0, sizeof(p));
    p.a = a;
    p.b = b;
    (void) cdc_selection_each(a, fuzz_asked, &p);
    p.a = b;
    p.b = a;
    (void) cdc_selection_each(b, fuzz_asked, &p);

    rc = cdc_selection_overlap(a, b, where);
    fuzz_check(rc == 0 || fuzz_is_text(where));
    fuzz_check(cdc_selection_overlap(b, a, where) == rc);
    fuzz_check(rc || !p.meet);
}


/* ---- tasks --- */

static cdc_stored_t *
fuzz_task(const char *id, json_t *request)
{
    char           err[CDC_REASON_MAX], *text, *again;
    cdc_error_e    rc;
    cdc_stored_t  *t, *u;

    t = cdc_stored_create(id, "main", request, err);

    if (t == NULL) {
        fuzz_check(fuzz_is_text(err));
        return NULL;
    }

    rc = cdc_stored_check(t, NULL, err);
    fuzz_check(rc == CDC_E_OK || fuzz_is_text(err));

    if (rc != CDC_E_OK) {
        cdc_stored_free(t);
        return NULL;
    }

    text = cdc_stored_dump(t);
    u = cdc_stored_load(cdc_span_n(id, strlen(id)),
                        cdc_span_n(text, strlen(text)));
    fuzz_check(u != NULL && u->request != NULL);
    again = cdc_stored_dump(u);
    fuzz_check(strcmp(text, again) == 0);
    free(again);
    free(text);

    fuzz_check(cdc_stored_differs(u, request, "main") == NULL);
    cdc_stored_free(u);

    return t;
}


/* either in its place, or out of the other's way */

static void
fuzz_beside(cdc_stored_t *t, cdc_stored_t *other)
{
    char         text[CDC_REASON_MAX];
    cdc_error_e  rc;

    rc = cdc_stored_conflict(t, other, 1, text);
    fuzz_check(rc == CDC_E_OK || fuzz_is_text(text));

    if (rc == CDC_E_OK) {
        fuzz_check(cdc_stored_conflict(t, other, 1, text) == CDC_E_OK);
    }

    cdc_stored_unclaim(t);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t            i;
    json_t           *request[2];
    cdc_span_t        in, text;
    cdc_stored_t     *t[2];
    const uint8_t    *end;
    cdc_selection_t  *s[2];

    cdc_log_init("", NULL, CDC_LOG_EMERG);
    in = cdc_span_n(data, size);

    for (i = 0; i < 2; i++) {
        end = in.len != 0 ? memchr(in.data, '\0', in.len) : NULL;
        text = fuzz_take(&in, end != NULL ? (size_t) (end - in.data)
                                          : in.len);
        (void) fuzz_byte(&in);

        request[i] = json_loadb((const char *) text.data, text.len, 0, NULL);
        s[i] = fuzz_selection(request[i]);
    }

    if (s[0] != NULL && s[1] != NULL) {
        fuzz_both(s[0], s[1]);
        fuzz_both(s[0], s[0]);
    }

    for (i = 0; i < 2; i++) {
        t[i] = json_is_object(request[i])
               ? fuzz_task(i ? "other" : "task", request[i]) : NULL;
    }

    if (t[0] != NULL && t[1] != NULL) {
        fuzz_beside(t[0], t[1]);
        fuzz_beside(t[1], t[0]);
    }

    for (i = 0; i < 2; i++) {
        if (t[i] != NULL) {
            cdc_stored_free(t[i]);
        }

        cdc_selection_free(s[i]);
        json_decref(request[i]);
    }

    return 0;
}
