/*
 * Collections and partitions as LevelDB has them: JSON, bytes in hexadecimal.
 */

#include "cdc_replicator.h"

#include <stdlib.h>
#include <string.h>


int
cdc_blob_set(cdc_blob_t *b, cdc_span_t span)
{
    uint8_t  *data;

    data = malloc(span.len + 1);
    if (data == NULL) {
        return CDC_ERROR;
    }

    if (span.len) {
        memcpy(data, span.data, span.len);
    }

    free(b->data);
    b->data = data;
    b->len = span.len;

    return CDC_OK;
}


int
cdc_blob_is(const cdc_blob_t *b, cdc_span_t span)
{
    return b->len == span.len
           && (span.len == 0 || memcmp(b->data, span.data, span.len) == 0);
}


void
cdc_blob_free(cdc_blob_t *b)
{
    free(b->data);
    b->data = NULL;
    b->len = 0;
}


json_t *
cdc_blob_json(const cdc_blob_t *b)
{
    char              *hex;
    size_t             i;
    json_t            *json;
    static const char  digits[] = "0123456789abcdef";

    hex = malloc(b->len * 2 + 1);
    if (hex == NULL) {
        return NULL;
    }

    for (i = 0; i < b->len; i++) {
        hex[i * 2] = digits[b->data[i] >> 4];
        hex[i * 2 + 1] = digits[b->data[i] & 15];
    }

    json = json_stringn(hex, b->len * 2);
    free(hex);

    return json;
}


static int
cdc_blob_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


int
cdc_blob_from_json(cdc_blob_t *b, const json_t *json)
{
    int          hi, lo;
    size_t       i, n;
    uint8_t     *data;
    const char  *hex;

    hex = json_string_value(json);
    n = json_string_length(json) / 2;

    data = malloc(n + 1);

    if (hex == NULL || data == NULL) {
        free(data);
        return CDC_ERROR;
    }

    for (i = 0; i < n; i++) {
        hi = cdc_blob_digit(hex[i * 2]);
        lo = cdc_blob_digit(hex[i * 2 + 1]);

        if (hi < 0 || lo < 0) {
            free(data);
            return CDC_ERROR;
        }

        data[i] = (uint8_t) (hi << 4 | lo);
    }

    free(b->data);
    b->data = data;
    b->len = n;

    return CDC_OK;
}


json_t *
cdc_coll_save(const cdc_coll_t *c)
{
    json_t             *json, *shards, *parts;
    unsigned            i;
    const cdc_part_t   *p;
    const cdc_shard_t  *s;

    shards = json_array();
    parts = json_array();

    for (i = 0; i < c->nshards; i++) {
        s = &c->shards[i];

        (void) json_array_append_new(shards,
            json_pack("{s:s,s:s,s:s*,s:s*,s:o,s:o,s:o,s:I,s:I,s:b}",
                      "source", s->source_vchannel,
                      "channel", s->ch->name,
                      "target", s->target_vchannel,
                      "lane", s->lane ? s->lane->name : NULL,
                      "start", cdc_pos_json(s->start),
                      "listed", cdc_pos_json(s->listed),
                      "settle", cdc_pos_json(s->settle_upto),
                      "after", (json_int_t) s->after_ts,
                      "farewell", (json_int_t) s->farewell,
                      "owed", s->owed));
    }

    for (i = 0; i < c->nparts; i++) {
        p = &c->parts[i];

        (void) json_array_append_new(parts,
            json_pack("{s:I,s:I,s:s,s:I,s:I,s:I,s:b,s:b}",
                      "id", (json_int_t) p->id,
                      "target_id", (json_int_t) p->target_id,
                      "name", p->name,
                      "created", (json_int_t) p->created_ts,
                      "gone_ts", (json_int_t) p->gone_ts,
                      "told", (json_int_t) p->told,
                      "gone", p->gone, "dropping", p->dropping));
    }

    json = json_pack("{s:I,s:I,s:s,s:s,s:s,s:s,s:i,s:I,s:I,s:I,s:I,s:b,s:b,s:o,"
                     "s:o}",
                     "id", (json_int_t) c->id,
                     "target_id", (json_int_t) c->target_id,
                     "db", c->db, "name", c->name,
                     "target_db", c->target_db,
                     "target_name", c->target_name,
                     "state", (int) c->state,
                     "created", (json_int_t) c->create_ts,
                     "from", (json_int_t) c->from_ts,
                     "pk", (json_int_t) c->pk_field_id,
                     "num_partitions", (json_int_t) c->num_partitions,
                     "initial", c->initial, "adopted", c->adopted,
                     "shards", shards, "partitions", parts);

    (void) json_object_set_new(json, "load", cdc_blob_json(&c->load));

    if (c->rename_name) {
        (void) json_object_set_new(json, "rename",
                                   json_pack("[s,s]", c->rename_db,
                                             c->rename_name));
    }

    if (c->known) {
        (void) json_object_set_new(json, "schema", cdc_blob_json(&c->schema));
        (void) json_object_set_new(json, "properties",
                                   cdc_blob_json(&c->properties));
    }

    return json;
}


static int
cdc_coll_load_shard(cdc_coll_t *c, cdc_shard_t *s, json_t *json)
{
    int          owed;
    json_int_t   after, farewell;
    const char  *source, *channel, *target, *lane;

    target = NULL;
    lane = NULL;
    after = farewell = 0;
    owed = 0;

    if (json_unpack(json, "{s:s,s:s,s?s,s?s,s?I,s?I,s?b}", "source", &source,
                    "channel", &channel, "target", &target, "lane", &lane,
                    "after", &after, "farewell", &farewell, "owed", &owed)
        != 0
        || cdc_pos_from_json(json_object_get(json, "start"), &s->start)
           != CDC_OK
        || cdc_pos_from_json(json_object_get(json, "listed"), &s->listed)
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    /* absent in what an earlier version wrote */

    (void) cdc_pos_from_json(json_object_get(json, "settle"),
                             &s->settle_upto);
    s->after_ts = after;
    s->farewell = farewell;
    s->owed = owed;
    s->source_vchannel = strdup(source);
    s->ch = cdc_channel_get(c->repl, channel);

    if (s->source_vchannel == NULL || s->ch == NULL) {
        return CDC_ERROR;
    }

    if (target == NULL || lane == NULL) {
        return CDC_OK;
    }

    s->target_vchannel = strdup(target);
    s->lane = cdc_lane_get(c->repl, lane);

    if (s->target_vchannel == NULL || s->lane == NULL) {
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_coll_load_part(cdc_coll_t *c, json_t *json)
{
    int          gone, dropping;
    json_int_t   id, target_id, created, gone_ts, told;
    cdc_part_t  *p;
    const char  *name;

    dropping = 0;
    gone_ts = told = 0;

    if (json_unpack(json, "{s:I,s:I,s:s,s:I,s?I,s?I,s:b,s?b}", "id", &id,
                    "target_id", &target_id, "name", &name,
                    "created", &created, "gone_ts", &gone_ts, "told", &told,
                    "gone", &gone, "dropping", &dropping) != 0)
    {
        return CDC_ERROR;
    }

    p = cdc_coll_part_add(c, id, name, created);
    if (p == NULL) {
        return CDC_ERROR;
    }

    p->target_id = target_id;
    p->gone = gone;
    p->gone_ts = gone_ts;
    p->told = told;
    p->dropping = dropping;

    return CDC_OK;
}


static int
cdc_coll_load_lists(cdc_coll_t *c, const json_t *shards, const json_t *parts)
{
    size_t   i;
    json_t  *row;

    json_array_foreach(shards, i, row) {
        if (cdc_coll_load_shard(c, &c->shards[i], row) != CDC_OK) {
            return CDC_ERROR;
        }

        c->shards[i].read = c->load.len != 0;
    }

    json_array_foreach(parts, i, row) {
        if (cdc_coll_load_part(c, row) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


/* what an earlier version did not write */

static int
cdc_coll_load_more(cdc_coll_t *c, const json_t *json)
{
    const char  *db, *name;

    (void) cdc_blob_from_json(&c->load, json_object_get(json, "load"));

    if (json_unpack(json_object_get(json, "rename"), "[s,s]", &db, &name)
        == 0)
    {
        c->rename_db = strdup(db);
        c->rename_name = strdup(name);

        if (c->rename_db == NULL || c->rename_name == NULL) {
            return CDC_ERROR;
        }
    }

    c->known = json_object_get(json, "schema") != NULL;

    if (!c->known) {
        return CDC_OK;
    }

    return cdc_blob_from_json(&c->schema, json_object_get(json, "schema"))
           == CDC_OK
           && cdc_blob_from_json(&c->properties,
                                 json_object_get(json, "properties"))
              == CDC_OK ? CDC_OK : CDC_ERROR;
}


int
cdc_coll_load(cdc_repl_t *r, const json_t *json)
{
    int          state, initial, adopted;
    json_t      *shards, *parts;
    json_int_t   id, target_id, created, from, pk, num;
    cdc_coll_t  *c;
    const char  *db, *name, *target_db, *target_name;

    from = 0;
    target_db = target_name = NULL;

    if (json_unpack((json_t *) json,
                    "{s:I,s:I,s:s,s:s,s?s,s?s,s:i,s:I,s?I,s:I,s:I,s:b,s:b,s:o,"
                    "s:o}",
                    "id", &id, "target_id", &target_id, "db", &db,
                    "name", &name, "target_db", &target_db,
                    "target_name", &target_name, "state", &state,
                    "created", &created,
                    "from", &from, "pk", &pk, "num_partitions", &num,
                    "initial", &initial, "adopted", &adopted,
                    "shards", &shards, "partitions", &parts) != 0
        || state < CDC_COLL_NEW || state > CDC_COLL_DROPPING)
    {
        return CDC_ERROR;
    }

    c = cdc_coll_alloc(r, db, name, target_db ? target_db : db,
                       target_name ? target_name : name,
                       json_array_size(shards));
    if (c == NULL) {
        return CDC_ERROR;
    }

    c->id = id;
    c->target_id = target_id;
    c->state = state;
    c->create_ts = created;
    c->from_ts = from;
    c->pk_field_id = pk;
    c->num_partitions = num;
    c->initial = initial;
    c->adopted = adopted;

    if (cdc_coll_load_more(c, json) != CDC_OK
        || cdc_coll_load_lists(c, shards, parts) != CDC_OK)
    {
        cdc_coll_free(c);
        return CDC_ERROR;
    }

    c->dirty = 0;
    cdc_coll_link(c);

    return CDC_OK;
}
