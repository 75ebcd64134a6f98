/*
 * A parked message's forms: keys, JSON in LevelDB, JSON in answers.
 *
 * Both the replicator and the store use these (cdc_parked.h).
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc_parked.h"
#include "cdc_runtime.h"
#include "cdc_text.h"


static const char  *cdc_parked_states[] = {
    "held", "drop", "parked", "retry"
};


size_t
cdc_parked_key(char key[CDC_PARKED_KEY_MAX], const char *prefix, uint64_t id)
{
    return (size_t) snprintf(key, CDC_PARKED_KEY_MAX, "%s%020llu", prefix,
                             (unsigned long long) id);
}


int
cdc_parked_skips(const json_t *request)
{
    const char  *policy;

    policy = json_string_value(json_object_get(request, "on_poison"));

    return policy != NULL && strcmp(policy, "skip") == 0;
}


static json_t *
cdc_parked_json(const cdc_parked_t *p)
{
    return json_pack("{s:I, s:s, s:[I,I], s:I, s:I, s:b, s:b, s:o, s:o, s:o,"
                     " s:o}",
                     "id", (json_int_t) p->id,
                     "state", cdc_parked_states[p->state],
                     "position", (json_int_t) p->pos.hi,
                     (json_int_t) p->pos.lo,
                     "at_ms", (json_int_t) p->at_ms,
                     "bytes", (json_int_t) p->bytes,
                     "kept", p->kept, "channel", p->channel,
                     "topic", cdc_text_json(p->topic),
                     "operation", cdc_text_json(p->operation),
                     "collection", cdc_text_json(p->collection),
                     "reason", cdc_text_json(p->reason));
}


int
cdc_parked_write(cdc_db_batch_t *b, const cdc_parked_t *p)
{
    char     key[CDC_PARKED_KEY_MAX], *text;
    size_t   len;
    json_t  *json;

    json = cdc_parked_json(p);
    text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);

    if (text == NULL) {
        return CDC_ERROR;
    }

    len = cdc_parked_key(key, CDC_PARKED_KEY, p->id);
    cdc_db_batch_put(b, cdc_span_n(key, len), cdc_span_n(text, strlen(text)));
    free(text);

    return CDC_OK;
}


void
cdc_parked_delete(cdc_db_batch_t *b, uint64_t id)
{
    char    key[CDC_PARKED_KEY_MAX];
    size_t  len;

    len = cdc_parked_key(key, CDC_PARKED_KEY, id);
    cdc_db_batch_delete(b, cdc_span_n(key, len));

    len = cdc_parked_key(key, CDC_PARKED_DATA, id);
    cdc_db_batch_delete(b, cdc_span_n(key, len));
}


int
cdc_parked_parse(cdc_parked_t *p, const json_t *json)
{
    int          i, kept, channel;
    json_int_t   id, hi, lo, at, bytes;
    const char  *state, *topic, *operation, *collection, *reason;

    memset(p, 0, sizeof(cdc_parked_t));

    if (json_unpack((json_t *) json, "{s:I, s:s, s:[I,I], s:I, s:I, s:b, s:b,"
                    " s:s, s:s, s:s, s:s}",
                    "id", &id, "state", &state, "position", &hi, &lo,
                    "at_ms", &at, "bytes", &bytes, "kept", &kept,
                    "channel", &channel, "topic", &topic,
                    "operation", &operation, "collection", &collection,
                    "reason", &reason) != 0)
    {
        return CDC_ERROR;
    }

    for (i = 0; i < CDC_PARKED_STATES; i++) {
        if (strcmp(state, cdc_parked_states[i]) == 0) {
            break;
        }
    }

    if (i == CDC_PARKED_STATES) {
        return CDC_ERROR;
    }

    p->id = (uint64_t) id;
    p->state = (cdc_parked_state_e) i;
    p->pos.hi = (uint64_t) hi;
    p->pos.lo = (uint64_t) lo;
    p->at_ms = (uint64_t) at;
    p->bytes = (uint64_t) bytes;
    p->kept = kept != 0;
    p->channel = channel != 0;

    (void) snprintf(p->topic, sizeof(p->topic), "%s", topic);
    (void) snprintf(p->operation, sizeof(p->operation), "%s", operation);
    (void) snprintf(p->collection, sizeof(p->collection), "%s", collection);
    (void) snprintf(p->reason, sizeof(p->reason), "%s", reason);

    return CDC_OK;
}


json_t *
cdc_parked_show(const cdc_parked_t *p)
{
    char     position[48];
    json_t  *json;

    (void) snprintf(position, sizeof(position), "%llu:%llu",
                    (unsigned long long) p->pos.hi,
                    (unsigned long long) p->pos.lo);

    json = json_pack("{s:I, s:s, s:o, s:s, s:I, s:I, s:o}",
                     "id", (json_int_t) p->id,
                     "state", cdc_parked_states[p->state],
                     "topic", cdc_text_json(p->topic),
                     "position", position,
                     "bytes", (json_int_t) p->bytes,
                     "at_ms", (json_int_t) p->at_ms,
                     "reason", cdc_text_json(p->reason));

    if (json != NULL && p->operation[0] != '\0') {
        (void) json_object_set_new(json, "operation",
                                   cdc_text_json(p->operation));
    }

    if (json != NULL && p->collection[0] != '\0') {
        (void) json_object_set_new(json, "collection",
                                   cdc_text_json(p->collection));
    }

    return json;
}


int
cdc_parked_publish(const char *dir, const char *text)
{
    int    rc;
    FILE  *f;
    char   path[PATH_MAX], temporary[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/" CDC_PARKED_FILE, dir)
        >= (int) sizeof(path)
        || snprintf(temporary, sizeof(temporary), "%s/" CDC_PARKED_FILE
                    ".new", dir) >= (int) sizeof(temporary))
    {
        return CDC_ERROR;
    }

    if (text == NULL) {
        return unlink(path) == 0 || errno == ENOENT ? CDC_OK : CDC_ERROR;
    }

    f = fopen(temporary, "we");

    if (f == NULL) {
        return CDC_ERROR;
    }

    rc = fputs(text, f) == EOF ? CDC_ERROR : CDC_OK;

    if (fclose(f) != 0) {
        rc = CDC_ERROR;
    }

    if (rc == CDC_OK && rename(temporary, path) == -1) {
        rc = CDC_ERROR;
    }

    return rc;
}
