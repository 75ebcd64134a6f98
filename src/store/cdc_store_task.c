/*
 * A task and its stored form.
 *
 * The record is JSON: {"state", "reason", "revision", "created_ms",
 * "source", "request_data"}, the last one as the client sent it, secrets
 * inside, "target_group" where the server has another name as well,
 * "claimed", how many at the end of its "exclude_collections" were put there
 * for the sake of other tasks (cdc_store_select.c), "target_ms", what the
 * target's clock said at "created_ms", "source_ms", of when the newest message
 * of the source's log was then, "source_ends", {"channel": [hi, lo]}, where the
 * log's channels ended, and "warnings", what its create had to say, for one
 * that asks again.  A record that cannot be read must neither stop the store
 * nor vanish: its task shows as Paused with the cause, its bytes stay as they
 * are in LevelDB, and all that can be done with it is to delete it.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_replicator.h"
#include "cdc_store.h"
#include "cdc_text.h"


static const char  *cdc_stored_states[] = { "Initial", "Running", "Paused" };


int
cdc_stored_id_valid(const char *id)
{
    size_t  i;

    for (i = 0; id[i] != '\0'; i++) {

        if (i == CDC_TASK_ID_MAX) {
            return 0;
        }

        if ((id[i] >= 'a' && id[i] <= 'z')
            || (id[i] >= 'A' && id[i] <= 'Z')
            || (id[i] >= '0' && id[i] <= '9')
            || id[i] == '_' || id[i] == '.' || id[i] == '-')
        {
            continue;
        }

        return 0;
    }

    /* it names a directory */

    return i > 0 && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}


/* a uri may carry a login: what comes out is shown and logged */

static char *
cdc_stored_no_login(const char *uri)
{
    char        *out;
    const char  *host, *at, *end;

    host = strstr(uri, "://");
    host = host != NULL ? host + 3 : uri;
    end = host + strcspn(host, "/?#");
    at = memrchr(host, '@', (size_t) (end - host));

    if (at == NULL) {
        return strdup(uri);
    }

    if (asprintf(&out, "%.*s%s", (int) (host - uri), uri, at + 1) == -1) {
        return NULL;
    }

    return out;
}


static void
cdc_stored_reason(cdc_stored_t *t, const char *reason)
{
    size_t  n;

    n = strnlen(reason, CDC_REASON_MAX - 1);

    /* do not cut a character in two */

    if (reason[n] != '\0') {
        while (n > 0 && ((unsigned char) reason[n] & 0xc0) == 0x80) {
            n--;
        }
    }

    memmove(t->reason, reason, n);
    t->reason[n] = '\0';

    cdc_text_clean(t->reason);
}


void
cdc_stored_set(cdc_stored_t *t, cdc_task_state_e state, const char *reason)
{
    t->state = state;
    t->revision++;
    cdc_stored_reason(t, reason);
}


static int
cdc_stored_connect(cdc_stored_t *t, char *err)
{
    int                rc;
    char              *text;
    cdc_target_conf_t  conf;

    text = json_dumps(json_object_get(t->request, "milvus_connect_param"),
                      JSON_COMPACT);

    if (text == NULL) {
        (void) snprintf(err, CDC_REASON_MAX,
                        "`milvus_connect_param` is missing");
        return CDC_ERROR;
    }

    memset(&conf, 0, sizeof(cdc_target_conf_t));

    rc = cdc_target_conf_parse(&conf, text, strlen(text), err);

    explicit_bzero(text, strlen(text));
    free(text);

    if (rc == CDC_OK) {
        t->target = cdc_stored_no_login(conf.identity);
        t->address = strdup(conf.address);
        cdc_target_conf_free(&conf);
    }

    if (rc == CDC_OK && (t->target == NULL || t->address == NULL)) {
        (void) snprintf(err, CDC_REASON_MAX, "no memory");
        rc = CDC_ERROR;
    }

    return rc;
}


cdc_stored_t *
cdc_stored_create(const char *id, const char *source, json_t *request,
    char *err)
{
    cdc_stored_t  *t;

    t = calloc(1, sizeof(cdc_stored_t));

    if (t == NULL) {
        (void) snprintf(err, CDC_REASON_MAX, "no memory");
        return NULL;
    }

    (void) snprintf(t->id, sizeof(t->id), "%s", id);

    t->source = strdup(source);
    t->request = json_incref(request);
    t->state = CDC_TASK_RUNNING;
    t->revision = 1;

    if (t->source == NULL || cdc_stored_connect(t, err) != CDC_OK) {
        cdc_stored_free(t);
        return NULL;
    }

    return t;
}


/* what the client itself wanted to leave out */

static int
cdc_stored_given(cdc_stored_t *t, json_int_t claimed)
{
    size_t   i;
    json_t  *all, *name;

    all = json_object_get(t->request, "exclude_collections");

    if (claimed < 0 || claimed > (json_int_t) json_array_size(all)) {
        return CDC_ERROR;
    }

    if (claimed == 0) {
        t->given = json_incref(all);
        return CDC_OK;
    }

    t->given = json_array();

    json_array_foreach(all, i, name) {
        if (i == json_array_size(all) - (size_t) claimed) {
            break;
        }

        (void) json_array_append(t->given, name);
    }

    return CDC_OK;
}


static int
cdc_stored_parse(cdc_stored_t *t, json_t *root, char *err)
{
    int           i;
    json_t       *request, *warnings, *ends;
    json_int_t    revision, created, claimed, target_ms, source_ms;
    const char   *state, *reason, *source, *group;
    json_error_t  je;

    claimed = target_ms = source_ms = 0;
    group = NULL;
    warnings = ends = NULL;

    if (json_unpack_ex(root, &je, 0,
                       "{s:s, s:s, s:s, s:I, s:I, s:o,"
                       " s?s, s?I, s?I, s?I, s?o, s?o}",
                       "state", &state, "reason", &reason,
                       "source", &source, "revision", &revision,
                       "created_ms", &created, "request_data", &request,
                       "target_group", &group, "claimed", &claimed,
                       "target_ms", &target_ms, "source_ms", &source_ms,
                       "source_ends", &ends, "warnings", &warnings)
        != 0)
    {
        (void) snprintf(err, CDC_REASON_MAX, "%s", je.text);
        return CDC_ERROR;
    }

    t->revision = (uint64_t) revision;
    t->created_ms = (uint64_t) created;
    t->target_ms = (uint64_t) target_ms;
    t->source_ms = (uint64_t) source_ms;

    for (i = CDC_TASK_INITIAL; i <= CDC_TASK_PAUSED; i++) {
        if (strcmp(state, cdc_stored_states[i]) == 0) {
            break;
        }
    }

    if (i > CDC_TASK_PAUSED || !json_is_object(request)) {
        (void) snprintf(err, CDC_REASON_MAX, "its state or request is wrong");
        return CDC_ERROR;
    }

    t->state = (cdc_task_state_e) i;
    t->source = strdup(source);
    t->group = group != NULL ? strdup(group) : NULL;
    t->request = json_incref(request);
    t->source_ends = json_is_object(ends) ? json_incref(ends) : NULL;
    t->warnings = json_is_array(warnings) ? json_incref(warnings) : NULL;

    if (t->source == NULL || (group != NULL && t->group == NULL)) {
        (void) snprintf(err, CDC_REASON_MAX, "no memory");
        return CDC_ERROR;
    }

    cdc_stored_reason(t, reason);

    if (cdc_stored_given(t, claimed) != CDC_OK) {
        (void) snprintf(err, CDC_REASON_MAX, "its \"claimed\" is wrong");
        return CDC_ERROR;
    }

    if (cdc_stored_connect(t, err) != CDC_OK) {
        return CDC_ERROR;
    }

    return cdc_stored_selection(t, err) != NULL ? CDC_OK : CDC_ERROR;
}


static void
cdc_stored_damaged(cdc_stored_t *t, const char *err)
{
    char  reason[2 * CDC_REASON_MAX];

    cdc_log(CDC_LOG_ERR, 0, "the stored record of task \"%s\" cannot be read: "
            "%s", t->id, err);

    cdc_selection_free(t->selection);
    json_decref(t->request);
    t->selection = NULL;
    t->request = NULL;
    t->state = CDC_TASK_PAUSED;

    (void) snprintf(reason, sizeof(reason), "the stored record of this task "
                    "cannot be read (%s): delete the task and create it "
                    "again", err);
    cdc_stored_reason(t, reason);
}


cdc_stored_t *
cdc_stored_load(cdc_span_t id, cdc_span_t value)
{
    char           err[CDC_REASON_MAX];
    json_t        *root;
    json_error_t   je;
    cdc_stored_t  *t;

    t = calloc(1, sizeof(cdc_stored_t));

    if (t == NULL) {
        return NULL;
    }

    if (id.len > CDC_TASK_ID_MAX
        || memchr(id.data, '\0', id.len) != NULL
        || (memcpy(t->id, id.data, id.len), !cdc_stored_id_valid(t->id)))
    {
        cdc_log(CDC_LOG_ERR, 0, "a stored record with an unreadable task id "
                "of %zu bytes is left aside", id.len);
        free(t);
        return NULL;
    }

    root = json_loadb((const char *) value.data, value.len,
                      JSON_REJECT_DUPLICATES, &je);

    if (root == NULL) {
        (void) snprintf(err, sizeof(err), "it is not JSON, byte %d",
                        je.position);
        cdc_stored_damaged(t, err);
        return t;
    }

    if (cdc_stored_parse(t, root, err) != CDC_OK) {
        cdc_stored_damaged(t, err);
    }

    json_decref(root);

    return t;
}


/* what a record and CONFIG have, when there is something */

static void
cdc_stored_more(const cdc_stored_t *t, json_t *root)
{
    if (t->group != NULL) {
        (void) json_object_set_new(root, "target_group",
                                   json_string(t->group));
    }

    if (t->target_ms != 0) {
        (void) json_object_set_new(root, "target_ms",
                                   json_integer((json_int_t) t->target_ms));
    }

    if (t->source_ms != 0) {
        (void) json_object_set_new(root, "source_ms",
                                   json_integer((json_int_t) t->source_ms));
    }

    if (t->source_ends != NULL) {
        (void) json_object_set(root, "source_ends", t->source_ends);
    }
}


char *
cdc_stored_dump(const cdc_stored_t *t)
{
    char    *text;
    size_t   claimed;
    json_t  *root;

    claimed = json_array_size(json_object_get(t->request,
                                              "exclude_collections"))
              - json_array_size(t->given);

    root = json_pack("{s:s, s:s, s:I, s:I, s:s, s:O}",
                     "state", cdc_stored_states[t->state],
                     "reason", t->reason,
                     "revision", (json_int_t) t->revision,
                     "created_ms", (json_int_t) t->created_ms,
                     "source", t->source, "request_data", t->request);

    cdc_stored_more(t, root);

    if (claimed != 0) {
        (void) json_object_set_new(root, "claimed",
                                   json_integer((json_int_t) claimed));
    }

    if (t->warnings != NULL) {
        (void) json_object_set(root, "warnings", t->warnings);
    }

    text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);

    return text;
}


char *
cdc_stored_config(const cdc_stored_t *t)
{
    char    *text;
    json_t  *root;

    root = json_pack("{s:s, s:s, s:I, s:I, s:O}",
                     "task_id", t->id, "source", t->source,
                     "revision", (json_int_t) t->revision,
                     "created_ms", (json_int_t) t->created_ms,
                     "request_data", t->request);

    cdc_stored_more(t, root);
    text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);

    return text;
}


/* a field that says nothing is as good as none */

static int
cdc_stored_unset(const json_t *v)
{
    return v == NULL || json_is_null(v) || json_is_false(v)
           || (json_is_string(v) && json_string_length(v) == 0)
           || (json_is_array(v) && json_array_size(v) == 0)
           || (json_is_object(v) && json_object_size(v) == 0);
}


static int
cdc_stored_same(const cdc_stored_t *t, const json_t *request, const char *key)
{
    json_t  *mine, *theirs;

    theirs = json_object_get(request, key);
    mine = strcmp(key, "exclude_collections") == 0
           ? t->given : json_object_get(t->request, key);

    return json_equal(mine, theirs)
           || (cdc_stored_unset(mine) && cdc_stored_unset(theirs));
}


const char *
cdc_stored_differs(const cdc_stored_t *t, json_t *request, const char *source)
{
    json_t      *value;
    const char  *key;

    if (t->request == NULL) {
        return "request_data";           /* nobody can read its own */
    }

    if (strcmp(t->source, source) != 0) {
        return "milvus_cdc_source";
    }

    json_object_foreach(request, key, value) {
        if (!cdc_stored_same(t, request, key)) {
            return key;
        }
    }

    json_object_foreach(t->request, key, value) {
        if (!cdc_stored_same(t, request, key)) {
            return key;
        }
    }

    return NULL;
}


void
cdc_stored_free(cdc_stored_t *t)
{
    if (t == NULL) {
        return;
    }

    cdc_selection_free(t->selection);
    json_decref(t->request);
    json_decref(t->given);
    json_decref(t->source_ends);
    json_decref(t->warnings);
    free(t->source);
    free(t->target);
    free(t->address);
    free(t->group);
    free(t);
}
