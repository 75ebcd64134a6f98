/*
 * A collection's public form, made of what etcd holds for it.
 *
 * The schema for a create is put together of bytes: CollectionInfo's schema
 * without its fields and functions, then each field and function as its own
 * key has it.  Nothing is decoded and packed again, so what a newer Milvus
 * adds to a field reaches the target.  System fields (ids below 100) and the
 * dynamic field are left out: the target makes its own.
 */

#include <stdlib.h>
#include <string.h>

#include "cdc_meta_int.h"


typedef struct {
    int64_t      id;
    cdc_span_t   name;
    uint64_t     state;
    unsigned     pk:1;
    unsigned     dynamic:1;
    unsigned     partition_key:1;
} cdc_meta_field_t;


static int
cdc_meta_field(cdc_span_t value, cdc_meta_field_t *field)
{
    int          rc;
    cdc_field_t  f;

    memset(field, 0, sizeof(cdc_meta_field_t));

    while ((rc = cdc_wire_next(&value, &f)) == CDC_OK) {

        if (f.wire_type == 2) {
            if (f.number == 2) {
                field->name = f.body;
            }

            continue;
        }

        if (f.wire_type != 0) {
            continue;
        }

        switch (f.number) {

        case 1:
            field->id = (int64_t) f.value;
            break;

        case 3:
            field->pk = (f.value != 0);
            break;

        case 9:
            field->state = f.value;
            break;

        case 12:
            field->dynamic = (f.value != 0);
            break;

        case 13:
            field->partition_key = (f.value != 0);
            break;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


int
cdc_meta_field_name(const cdc_meta_coll_t *c, int64_t id, cdc_span_t *name,
    int *dynamic)
{
    cdc_meta_item_t   *item;
    cdc_meta_field_t   field;

    item = cdc_meta_item(&c->items[CDC_META_FIELD], id);

    if (item == NULL
        || cdc_meta_field(cdc_span_n(item->value, item->len), &field)
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    *name = field.name;

    if (dynamic != NULL) {
        *dynamic = field.dynamic;
    }

    return CDC_OK;
}


int
cdc_meta_schema_name(cdc_span_t schema, cdc_span_t *name)
{
    int          rc;
    cdc_field_t  f;

    *name = cdc_span_n(NULL, 0);

    while ((rc = cdc_wire_next(&schema, &f)) == CDC_OK) {
        if (f.number == 1 && f.wire_type == 2) {
            *name = f.body;
        }
    }

    return rc == CDC_DONE && name->len != 0
           && memchr(name->data, '\0', name->len) == NULL ? CDC_OK : CDC_ERROR;
}


/* the flattened chain as an owned span; the chain is gone */

static int
cdc_meta_finish(cdc_chain_t *chain, int rc, cdc_span_t *out)
{
    size_t    len;
    uint8_t  *data;

    if (rc == CDC_OK) {
        data = cdc_chain_flatten(chain, &len);

        if (data == NULL) {
            rc = CDC_ERROR;

        } else {
            *out = cdc_span_n(data, len);
        }
    }

    cdc_chain_unref(chain);

    return rc;
}


/* the fields "from" of a message as fields "to" of another */

int
cdc_meta_retag(cdc_span_t msg, uint32_t from, uint32_t to, cdc_span_t *out)
{
    int           rc;
    cdc_field_t   f;
    cdc_chain_t  *chain;

    chain = cdc_chain_create();
    if (chain == NULL) {
        return CDC_ERROR;
    }

    while ((rc = cdc_wire_next(&msg, &f)) == CDC_OK) {
        if (f.number == from && f.wire_type == 2
            && cdc_chain_bytes_field(chain, to, f.body) != CDC_OK)
        {
            rc = CDC_ERROR;
            break;
        }
    }

    return cdc_meta_finish(chain, rc == CDC_DONE ? CDC_OK : CDC_ERROR, out);
}


static int
cdc_meta_schema_head(cdc_chain_t *chain, cdc_span_t schema,
    unsigned *dynamic)
{
    int          rc;
    cdc_field_t  f;

    while ((rc = cdc_wire_next(&schema, &f)) == CDC_OK) {
        switch (f.number) {

        case 4:                          /* fields */
        case 7:                          /* functions */
        case 8:                          /* dbName: the request tells */
        case 9:                          /* struct_array_fields */
            break;

        case 5:
            *dynamic |= (f.value != 0);
            break;

        default:
            rc = cdc_chain_add(chain, f.raw);
        }

        if (rc != CDC_OK) {
            return rc;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


static int
cdc_meta_schema_fields(cdc_chain_t *chain, cdc_meta_coll_t *c,
    unsigned *dynamic, unsigned *partition_key, int64_t *pk)
{
    size_t                   i;
    cdc_span_t               value;
    cdc_meta_field_t         field;
    const cdc_meta_items_t  *items;

    items = &c->items[CDC_META_FIELD];

    for (i = 0; i < items->n; i++) {
        if (items->a[i].id < CDC_META_USER_FIELD) {
            continue;
        }

        value = cdc_span_n(items->a[i].value, items->a[i].len);

        if (cdc_meta_field(value, &field) != CDC_OK) {
            return CDC_ERROR;
        }

        if (field.dynamic) {
            *dynamic = 1;
            continue;
        }

        if (field.state != CDC_META_CREATED) {
            continue;
        }

        *partition_key |= field.partition_key;

        if (field.pk) {
            *pk = items->a[i].id;
        }

        if (cdc_chain_bytes_field(chain, 4, value) != CDC_OK) {
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


static int
cdc_meta_schema(cdc_meta_coll_t *c, cdc_span_t head,
    cdc_meta_collection_t *pub, unsigned *partition_key)
{
    int                      rc;
    size_t                   i, k;
    unsigned                 dynamic;
    cdc_chain_t             *chain;
    const cdc_meta_items_t  *items;

    static const struct {
        cdc_meta_kind_e  kind;
        uint32_t         number;
    } more[] = {
        { CDC_META_FUNCTION, 7 },
        { CDC_META_STRUCT, 9 }
    };

    chain = cdc_chain_create();
    if (chain == NULL) {
        return CDC_ERROR;
    }

    dynamic = 0;

    rc = cdc_meta_schema_head(chain, head, &dynamic);

    if (rc == CDC_OK) {
        rc = cdc_meta_schema_fields(chain, c, &dynamic, partition_key,
                                    &pub->pk_field_id);
    }

    for (k = 0; k < sizeof(more) / sizeof(more[0]); k++) {
        items = &c->items[more[k].kind];

        for (i = 0; rc == CDC_OK && i < items->n; i++) {
            rc = cdc_chain_bytes_field(chain, more[k].number,
                                       cdc_span_n(items->a[i].value,
                                                  items->a[i].len));
        }
    }

    if (rc == CDC_OK && dynamic) {
        rc = cdc_chain_varint_field(chain, 5, 1);
    }

    return cdc_meta_finish(chain, rc, &pub->schema);
}


/* ---- partitions --- */

const cdc_meta_partition_t *
cdc_meta_partition(const cdc_meta_collection_t *c, int64_t id)
{
    size_t  i;

    for (i = 0; i < c->npartitions; i++) {
        if (c->partitions[i].id == id) {
            return &c->partitions[i];
        }
    }

    return NULL;
}


static int
cdc_meta_partition_add(cdc_meta_collection_t *pub, int64_t id,
    const char *name, uint64_t ts, unsigned dropping, unsigned gone)
{
    cdc_meta_partition_t  *p;

    p = &pub->partitions[pub->npartitions];

    p->id = id;
    p->created_ts = ts;
    p->dropping = dropping;
    p->gone = gone;
    p->name = strdup(name);

    if (p->name == NULL) {
        return CDC_ERROR;
    }

    pub->npartitions++;

    return CDC_OK;
}


/* those that were dropped stay at the end, the newest of them only */

static int
cdc_meta_partitions_gone(cdc_meta_coll_t *c, cdc_meta_collection_t *pub)
{
    size_t                 i, skip, gone;
    cdc_meta_partition_t  *p;

    gone = 0;

    for (i = 0; i < c->pub.npartitions; i++) {
        p = &c->pub.partitions[i];
        gone += (cdc_meta_item(&c->items[CDC_META_PARTITION], p->id) == NULL);
    }

    skip = gone > CDC_META_PARTS_MAX ? gone - CDC_META_PARTS_MAX : 0;

    for (i = c->pub.npartitions; i > 0; i--) {
        p = &c->pub.partitions[i - 1];

        if (cdc_meta_item(&c->items[CDC_META_PARTITION], p->id) != NULL) {
            continue;
        }

        if (gone-- <= skip) {
            break;
        }

        if (cdc_meta_partition_add(pub, p->id, p->name, p->created_ts, 1, 1)
            != CDC_OK)
        {
            return CDC_ERROR;
        }
    }

    return CDC_OK;
}


static int
cdc_meta_partitions(cdc_meta_coll_t *c, cdc_meta_collection_t *pub)
{
    int                            rc;
    size_t                         i;
    cdc_meta_items_t              *items;
    Milvus__Meta__PartitionInfo   *info;

    items = &c->items[CDC_META_PARTITION];

    pub->partitions = calloc(items->n + c->pub.npartitions + 1,
                             sizeof(cdc_meta_partition_t));
    if (pub->partitions == NULL) {
        return CDC_ERROR;
    }

    for (i = 0; i < items->n; i++) {
        info = milvus__meta__partition_info__unpack(NULL, items->a[i].len,
                                                    items->a[i].value);
        if (info == NULL) {
            return CDC_ERROR;
        }

        rc = CDC_OK;

        /* one that is being dropped is gone when its key is, and was never
         * there when it is not known yet */

        if (info->state == CDC_META_CREATED
            || (info->state > CDC_META_CREATING
                && cdc_meta_partition(&c->pub, items->a[i].id) != NULL))
        {
            rc = cdc_meta_partition_add(pub, items->a[i].id,
                                        info->partitionname,
                                        info->partition_created_timestamp,
                                        info->state != CDC_META_CREATED, 0);
        }

        milvus__meta__partition_info__free_unpacked(info, NULL);

        if (rc != CDC_OK) {
            return rc;
        }
    }

    return cdc_meta_partitions_gone(c, pub);
}


/* ---- shards --- */

static int
cdc_meta_shards(Milvus__Meta__CollectionInfo *info,
    cdc_meta_collection_t *pub)
{
    size_t                        i, k;
    cdc_meta_shard_t             *shard;
    Milvus__Common__KeyDataPair  *pos;

    if (info->n_virtual_channel_names == 0
        || info->n_virtual_channel_names != info->n_physical_channel_names)
    {
        return CDC_ERROR;
    }

    pub->shards = calloc(info->n_virtual_channel_names,
                         sizeof(cdc_meta_shard_t));
    if (pub->shards == NULL) {
        return CDC_ERROR;
    }

    pub->nshards = info->n_virtual_channel_names;

    for (i = 0; i < pub->nshards; i++) {
        shard = &pub->shards[i];
        shard->vchannel = info->virtual_channel_names[i];
        shard->pchannel = info->physical_channel_names[i];

        for (k = 0; k < info->n_start_positions; k++) {
            pos = info->start_positions[k];

            if (strcmp(pos->key, shard->pchannel) == 0) {
                shard->start_id = cdc_span_n(pos->data.data, pos->data.len);
            }
        }
    }

    return CDC_OK;
}


/* ---- the whole --- */

static int
cdc_meta_build_parts(cdc_meta_t *m, cdc_meta_coll_t *c,
    const cdc_meta_item_t *item, Milvus__Meta__CollectionInfo *info,
    cdc_meta_collection_t *pub)
{
    size_t                i;
    unsigned              key;
    cdc_span_t            head, name;
    cdc_meta_database_t  *db;

    head = cdc_span_n(info->schema.data, info->schema.len);
    db = cdc_meta_database(m, cdc_meta_db_id(item->id), 0);

    if (db == NULL || db->pub.gone) {
        return CDC_DECLINED;
    }

    if (cdc_meta_schema_name(head, &name) != CDC_OK
        || cdc_meta_shards(info, pub) != CDC_OK)
    {
        return CDC_ERROR;
    }

    pub->id = c->id;
    pub->db_id = db->pub.id;
    pub->create_ts = info->create_time;
    pub->consistency_level = info->consistency_level;
    pub->db = strdup(db->pub.name);
    pub->name = strndup((const char *) name.data, name.len);

    if (pub->db == NULL || pub->name == NULL) {
        return CDC_ERROR;
    }

    key = 0;

    if (cdc_meta_schema(c, head, pub, &key) != CDC_OK
        || cdc_meta_partitions(c, pub) != CDC_OK
        || cdc_meta_retag(cdc_span_n(item->value, item->len), 14, 7,
                          &pub->properties) != CDC_OK)
    {
        return CDC_ERROR;
    }

    for (i = 0; key && i < pub->npartitions; i++) {
        pub->num_partitions += !pub->partitions[i].gone;
    }

    return pub->pk_field_id != 0 && pub->npartitions != 0
           && !pub->partitions[0].gone ? CDC_OK : CDC_DECLINED;
}


int
cdc_meta_build(cdc_meta_t *m, cdc_meta_coll_t *c,
    const cdc_meta_item_t *item, Milvus__Meta__CollectionInfo *info,
    cdc_meta_collection_t *pub)
{
    int  rc;

    memset(pub, 0, sizeof(cdc_meta_collection_t));

    rc = cdc_meta_build_parts(m, c, item, info, pub);

    if (rc != CDC_OK) {
        cdc_meta_pub_free(pub);
    }

    return rc;
}


void
cdc_meta_pub_free(cdc_meta_collection_t *pub)
{
    size_t  i;

    for (i = 0; i < pub->npartitions; i++) {
        free(pub->partitions[i].name);
    }

    free(pub->partitions);
    free(pub->shards);
    free(pub->db);
    free(pub->name);
    free((void *) pub->schema.data);
    free((void *) pub->properties.data);

    memset(pub, 0, sizeof(cdc_meta_collection_t));
}
