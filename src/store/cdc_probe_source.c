/*
 * Is the target the source itself?
 *
 * Milvus tells nobody which cluster it is.  But the source's etcd names
 * collections with their ids, channels and creation stamps, and a server
 * that describes one of these ids with the same channels and the same stamp
 * (to the source's clock tick) is that cluster.  A source without a
 * collection cannot be told this way; it refuses ReplicateMessage unless
 * somebody turned ttMsgEnabled off there, and that refusal says so.
 *
 * No answer of etcd within 2 s, however many its endpoints, no verdict, and no
 * look at what it holds: the replicator needs etcd later and will say what is
 * wrong with it.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <string.h>

#include "cdc_etcd.h"
#include "cdc_store.h"
#include "cdc_wire.h"


#define CDC_SOURCE_TIMEOUT_MS  2000      /* all servers of etcd */
#define CDC_SOURCE_KEYS        64        /* tombstones count, too */
#define CDC_SOURCE_DESCRIBES   4         /* collections that are compared */


/* of CollectionInfo: proto/milvus_meta.proto */

#define CDC_INFO_ID            1
#define CDC_INFO_SCHEMA        2         /* its field 1 is the name */
#define CDC_INFO_CREATE_TIME   3
#define CDC_INFO_VCHANNELS     7
#define CDC_INFO_STATE         13

#define CDC_INFO_CHANNELS_MAX  64


typedef struct {
    cdc_probe_t  *probe;
    const char   *default_db;            /* keys of that database */
    unsigned      described;
    unsigned      same;
} cdc_source_check_t;


typedef struct {
    int64_t       id;
    uint64_t      created;
    uint64_t      state;
    cdc_span_t    name;
    unsigned      nchannels;
    cdc_span_t    channels[CDC_INFO_CHANNELS_MAX];
} cdc_source_info_t;


static cdc_span_t
cdc_source_name(cdc_span_t schema)
{
    cdc_field_t  f;

    while (cdc_wire_next(&schema, &f) == CDC_OK) {
        if (f.number == 1 && f.wire_type == 2) {
            return f.body;
        }
    }

    return cdc_span("");
}


static int
cdc_source_parse(cdc_span_t in, cdc_source_info_t *info)
{
    int          rc;
    cdc_field_t  f;

    memset(info, 0, sizeof(cdc_source_info_t));

    while ((rc = cdc_wire_next(&in, &f)) == CDC_OK) {

        if (f.wire_type == 0) {

            switch (f.number) {

            case CDC_INFO_ID:
                info->id = (int64_t) f.value;
                break;

            case CDC_INFO_CREATE_TIME:
                info->created = f.value;
                break;

            case CDC_INFO_STATE:
                info->state = f.value;
                break;
            }

        } else if (f.wire_type == 2 && f.number == CDC_INFO_SCHEMA) {
            info->name = cdc_source_name(f.body);

        } else if (f.wire_type == 2 && f.number == CDC_INFO_VCHANNELS
                   && info->nchannels < CDC_INFO_CHANNELS_MAX)
        {
            info->channels[info->nchannels++] = f.body;
        }
    }

    /* a tombstone, or a collection that is not there yet or any more */

    return rc == CDC_DONE && info->id != 0 && info->state == 0
           && info->nchannels != 0 ? CDC_OK : CDC_DECLINED;
}


static int
cdc_source_has(const cdc_source_info_t *info, const char *channel)
{
    size_t    len;
    unsigned  i;

    len = strlen(channel);

    for (i = 0; i < info->nchannels; i++) {
        if (info->channels[i].len == len
            && memcmp(info->channels[i].data, channel, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
cdc_source_same(const cdc_source_info_t *info,
    const cdc_target_collection_t *c)
{
    unsigned  i;

    if (c->id != info->id || c->nshards != info->nchannels
        || c->created_ts != info->created)
    {
        return 0;
    }

    for (i = 0; i < c->nshards; i++) {
        if (!cdc_source_has(info, c->vchannels[i])) {
            return 0;
        }
    }

    return 1;
}


/*
 * By name where the database is known to have the same name everywhere,
 * else by id alone, which is as good but for servers that answer it badly.
 */

static int
cdc_source_describe(cdc_source_check_t *check, const cdc_etcd_kv_t *kv,
    const cdc_source_info_t *info, cdc_target_collection_t **c,
    cdc_target_error_t *err)
{
    char    name[CDC_MAX_NAME_LEN + 1];
    size_t  len;

    len = strlen(check->default_db);

    if (kv->key.len > len
        && memcmp(kv->key.data, check->default_db, len) == 0
        && info->name.len > 0 && info->name.len <= CDC_MAX_NAME_LEN)
    {
        memcpy(name, info->name.data, info->name.len);
        name[info->name.len] = '\0';

        return cdc_probe_ops->describe(check->probe->target, CDC_DEFAULT_DB,
                                       name, 0, c, err);
    }

    return cdc_probe_ops->describe(check->probe->target, CDC_DEFAULT_DB, NULL,
                                   info->id, c, err);
}


static int
cdc_source_collection(void *arg, const cdc_etcd_kv_t *kv)
{
    int                       rc;
    cdc_source_info_t         info;
    cdc_target_error_t        err;
    cdc_source_check_t       *check;
    cdc_target_collection_t  *c;

    check = arg;

    if (cdc_source_parse(kv->value, &info) != CDC_OK) {
        return CDC_OK;
    }

    c = NULL;
    memset(&err, 0, sizeof(cdc_target_error_t));

    rc = cdc_source_describe(check, kv, &info, &c, &err);

    cdc_log(CDC_LOG_DEBUG, 0, "collection %lld of the source on %s: %s",
            (long long) info.id, check->probe->name,
            rc == CDC_OK ? "there" : err.text);

    if (rc == CDC_OK) {
        check->same = cdc_source_same(&info, c);
        cdc_target_collection_free(c);
    }

    /* one that is there settles it; a few, in case one was just dropped */

    return check->same || ++check->described == CDC_SOURCE_DESCRIBES
           ? CDC_DONE : CDC_OK;
}


int
cdc_probe_is_source(cdc_probe_t *p)
{
    int                  rc;
    size_t               n;
    char                 prefix[1024], db[1040], err[CDC_REASON_MAX];
    json_t              *etcd;
    const char          *root, *meta;
    cdc_source_check_t   check;

    etcd = json_object_get(p->source, "etcd");
    root = json_string_value(json_object_get(p->source, "root_path"));
    meta = json_string_value(json_object_get(p->source, "meta_path"));

    if (etcd == NULL || root == NULL || meta == NULL) {
        return 0;
    }

    (void) snprintf(prefix, sizeof(prefix),
                    "%s/%s/root-coord/database/collection-info/", root, meta);

    (void) snprintf(db, sizeof(db), "%s1/", prefix);

    memset(&check, 0, sizeof(cdc_source_check_t));
    check.probe = p;
    check.default_db = db;
    err[0] = '\0';

    n = json_array_size(json_object_get(etcd, "endpoints"));

    rc = cdc_etcd_range(etcd, prefix, CDC_SOURCE_KEYS,
                        CDC_SOURCE_TIMEOUT_MS / (n != 0 ? n : 1),
                        cdc_source_collection, &check, err);

    if (rc == CDC_ERROR) {
        p->silent = 1;

        cdc_log(CDC_LOG_WARN, 0, "the source's etcd does not answer, so "
                "whether %s is the source itself, and what it holds, was not "
                "checked: %s",
                p->name, err);
    }

    return check.same != 0;
}
