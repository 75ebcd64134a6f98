/*
 * What a Milvus answers to everything but ReplicateMessage: enough to be
 * taken for an empty 2.3 cluster whose collections are created and kept in
 * memory.  What is not known here is answered by an empty message, which is
 * a Status of 0, or an answer that has one.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "null_target.h"


#define NULL_PARTITIONS_MAX  1024
#define NULL_NOT_FOUND       100         /* Status.code of Milvus */


typedef struct null_partition_s  null_partition_t;
typedef struct null_coll_s  null_coll_t;

struct null_partition_s {
    int64_t           id;
    char             *name;
};

struct null_coll_s {
    null_coll_t      *next;
    int64_t           id;
    char             *db, *name;
    uint8_t          *schema;
    size_t            schema_len;
    unsigned          nshards, channel, npartitions, loaded;
    uint64_t          created, num_partitions;
    null_partition_t  partitions[NULL_PARTITIONS_MAX];
};

/* the fields of a request that any of these calls looks at */

typedef struct {
    cdc_span_t        fields[16];
    uint64_t          values[16];
} null_request_t;

typedef void (*null_call_pt)(const null_request_t *in, cdc_chain_t *out);

typedef struct {
    const char       *method;
    null_call_pt      call;
} null_call_t;


static pthread_mutex_t   null_calls_mutex = PTHREAD_MUTEX_INITIALIZER;
static null_coll_t      *null_colls;
static int64_t           null_id = 446000000000000000;
static unsigned          null_channels, null_channel;
static int               null_distributed;


static uint64_t
null_tso(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return ((uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000)
           << 18;
}


static void
null_must(int ok)
{
    if (!ok) {
        (void) fprintf(stderr, "null-target: out of memory\n");
        abort();
    }
}


static char *
null_copy(cdc_span_t s, const char *otherwise)
{
    char  *copy;

    copy = s.len ? strndup((const char *) s.data, s.len) : strdup(otherwise);
    null_must(copy != NULL);

    return copy;
}


static int
null_is(cdc_span_t s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}


static void
null_put(cdc_chain_t *out, uint32_t number, const char *text)
{
    null_must(cdc_chain_bytes_field(out, number,
                                    cdc_span_n(text, strlen(text)))
              == CDC_OK);
}


static void
null_put_number(cdc_chain_t *out, uint32_t number, uint64_t value)
{
    null_must(cdc_chain_varint_field(out, number, value) == CDC_OK);
}


/* a Status that is a field of the answer */

static void
null_refuse(cdc_chain_t *out, unsigned code, const char *reason)
{
    size_t  mark;

    null_must(cdc_chain_open(out, 1, &mark) == CDC_OK);
    null_put_number(out, 1, 4);
    null_put(out, 2, reason);
    null_put_number(out, 3, code);
    cdc_chain_close(out, mark);
}


/* by field 4 if there is one, an id, else by db and name */

static null_coll_t *
null_find(const null_request_t *in, unsigned by_id)
{
    null_coll_t  *c;

    for (c = null_colls; c; c = c->next) {
        if (null_is(in->fields[3], c->name)
            && null_is(in->fields[2].len ? in->fields[2]
                                         : cdc_span("default"), c->db))
        {
            return c;
        }

        if (by_id && in->fields[3].len == 0
            && c->id == (int64_t) in->values[4])
        {
            return c;
        }
    }

    return NULL;
}


static void
null_add_partition(null_coll_t *c, char *name)
{
    if (c->npartitions == NULL_PARTITIONS_MAX) {
        free(name);
        return;
    }

    c->partitions[c->npartitions].id = ++null_id;
    c->partitions[c->npartitions].name = name;
    c->npartitions++;
}


static void
null_free(null_coll_t *c)
{
    while (c->npartitions) {
        free(c->partitions[--c->npartitions].name);
    }

    free(c->db);
    free(c->name);
    free(c->schema);
    free(c);
}


/* ---- the calls --- */

static void
null_connect(const null_request_t *in, cdc_chain_t *out)
{
    size_t  mark;

    null_must(cdc_chain_open(out, 2, &mark) == CDC_OK);
    null_put(out, 1, "2.3.5");
    null_put(out, 5, null_distributed ? "DISTRIBUTED" : "STANDALONE");
    cdc_chain_close(out, mark);
    null_put_number(out, 3, 1);
}


static void
null_version(const null_request_t *in, cdc_chain_t *out)
{
    null_put(out, 2, "v2.3.5-null");
}


static void
null_health(const null_request_t *in, cdc_chain_t *out)
{
    null_put_number(out, 2, 1);
}


static void
null_timestamp(const null_request_t *in, cdc_chain_t *out)
{
    null_put_number(out, 2, null_tso());
}


static void
null_databases(const null_request_t *in, cdc_chain_t *out)
{
    null_put(out, 2, "default");
}


static void
null_create(const null_request_t *in, cdc_chain_t *out)
{
    char          name[64];
    uint64_t      i;
    null_coll_t  *c;

    if (null_find(in, 0)) {
        return;
    }

    c = calloc(1, sizeof(null_coll_t));
    null_must(c != NULL);

    c->id = ++null_id;
    c->db = null_copy(in->fields[2], "default");
    c->name = null_copy(in->fields[3], "");
    c->schema_len = in->fields[4].len;
    c->schema = malloc(c->schema_len + 1);
    null_must(c->schema != NULL);

    if (c->schema_len) {
        memcpy(c->schema, in->fields[4].data, c->schema_len);
    }

    c->nshards = in->values[5] ? (unsigned) in->values[5] : 1;
    c->channel = null_channel;
    c->num_partitions = in->values[8];
    c->created = null_tso();
    null_channel += c->nshards;

    if (c->num_partitions == 0) {
        null_add_partition(c, strdup("_default"));
    }

    for (i = 0; i < c->num_partitions; i++) {
        (void) snprintf(name, sizeof(name), "_default_%llu",
                        (unsigned long long) i);
        null_add_partition(c, strdup(name));
    }

    c->next = null_colls;
    null_colls = c;
}


static void
null_describe(const null_request_t *in, cdc_chain_t *out)
{
    char          name[128];
    unsigned      i;
    null_coll_t  *c;

    c = null_find(in, 1);

    if (c == NULL) {
        null_refuse(out, NULL_NOT_FOUND, "collection not found");
        return;
    }

    null_must(cdc_chain_bytes_field(out, 2, cdc_span_n(c->schema,
                                                       c->schema_len))
              == CDC_OK);
    null_put_number(out, 3, (uint64_t) c->id);

    for (i = 0; i < c->nshards; i++) {
        (void) snprintf(name, sizeof(name), "null-dml_%u_%lldv%u",
                        (c->channel + i) % null_channels, (long long) c->id,
                        i);
        null_put(out, 4, name);
    }

    for (i = 0; i < c->nshards; i++) {
        (void) snprintf(name, sizeof(name), "null-dml_%u",
                        (c->channel + i) % null_channels);
        null_put(out, 5, name);
    }

    null_put_number(out, 6, c->created);
    null_put_number(out, 8, c->nshards);
    null_put(out, 12, c->name);
    null_put(out, 14, c->db);
    null_put_number(out, 15, c->num_partitions);
}


static void
null_has(const null_request_t *in, cdc_chain_t *out)
{
    null_put_number(out, 2, null_find(in, 0) != NULL);
}


static void
null_collections(const null_request_t *in, cdc_chain_t *out)
{
    null_coll_t  *c;

    for (c = null_colls; c; c = c->next) {
        null_put(out, 2, c->name);
        null_put_number(out, 3, (uint64_t) c->id);
        null_put_number(out, 4, c->created);
    }
}


static void
null_partitions(const null_request_t *in, cdc_chain_t *out)
{
    unsigned      i;
    null_coll_t  *c;

    c = null_find(in, 1);

    if (c == NULL) {
        null_refuse(out, NULL_NOT_FOUND, "collection not found");
        return;
    }

    for (i = 0; i < c->npartitions; i++) {
        null_put(out, 2, c->partitions[i].name);
        null_put_number(out, 3, (uint64_t) c->partitions[i].id);
        null_put_number(out, 4, c->created);
    }
}


static void
null_create_partition(const null_request_t *in, cdc_chain_t *out)
{
    null_coll_t  *c;

    c = null_find(in, 0);

    if (c) {
        null_add_partition(c, null_copy(in->fields[4], ""));
    }
}


static void
null_drop(const null_request_t *in, cdc_chain_t *out)
{
    null_coll_t  *c, **link;

    c = null_find(in, 0);

    for (link = &null_colls; c && *link; link = &(*link)->next) {
        if (*link == c) {
            *link = c->next;
            null_free(c);
            return;
        }
    }
}


static void
null_load(const null_request_t *in, cdc_chain_t *out)
{
    null_coll_t  *c;

    c = null_find(in, 0);

    if (c) {
        c->loaded = 1;
    }
}


static void
null_release(const null_request_t *in, cdc_chain_t *out)
{
    null_coll_t  *c;

    c = null_find(in, 0);

    if (c) {
        c->loaded = 0;
    }
}


/* the name is in field 2, the database in field 4 */

static void
null_load_state(const null_request_t *in, cdc_chain_t *out)
{
    null_coll_t     *c;
    null_request_t   as;

    memset(&as, 0, sizeof(null_request_t));
    as.fields[2] = in->fields[4];
    as.fields[3] = in->fields[2];

    c = null_find(&as, 0);
    null_put_number(out, 2, c == NULL ? 0 : c->loaded ? 3 : 1);
}


static void
null_progress(const null_request_t *in, cdc_chain_t *out)
{
    null_put_number(out, 2, 100);
}


static const null_call_t  null_calls[] = {
    { "Connect", null_connect },
    { "GetVersion", null_version },
    { "CheckHealth", null_health },
    { "AllocTimestamp", null_timestamp },
    { "ListDatabases", null_databases },
    { "CreateCollection", null_create },
    { "DropCollection", null_drop },
    { "DescribeCollection", null_describe },
    { "HasCollection", null_has },
    { "ShowCollections", null_collections },
    { "ShowPartitions", null_partitions },
    { "CreatePartition", null_create_partition },
    { "LoadCollection", null_load },
    { "LoadPartitions", null_load },
    { "ReleaseCollection", null_release },
    { "GetLoadState", null_load_state },
    { "GetLoadingProgress", null_progress },
    { NULL, NULL }
};


void
null_calls_init(unsigned channels)
{
    null_channels = channels;
}


void
null_calls_distributed(int distributed)
{
    (void) pthread_mutex_lock(&null_calls_mutex);
    null_distributed = distributed;
    (void) pthread_mutex_unlock(&null_calls_mutex);
}


cdc_chain_t *
null_calls_answer(const char *method, cdc_span_t request)
{
    cdc_field_t         f;
    cdc_chain_t        *out;
    null_request_t      in;
    const null_call_t  *call;

    memset(&in, 0, sizeof(null_request_t));

    while (cdc_wire_next(&request, &f) == CDC_OK) {
        if (f.number < 16 && f.wire_type == 2) {
            in.fields[f.number] = f.body;

        } else if (f.number < 16 && f.wire_type == 0) {
            in.values[f.number] = f.value;
        }
    }

    out = cdc_chain_create();
    null_must(out != NULL);

    (void) pthread_mutex_lock(&null_calls_mutex);

    for (call = null_calls; call->method; call++) {
        if (strcmp(call->method, method) == 0) {
            call->call(&in, out);
            break;
        }
    }

    (void) pthread_mutex_unlock(&null_calls_mutex);

    return out;
}


void
null_calls_reset(void)
{
    null_coll_t  *c;

    (void) pthread_mutex_lock(&null_calls_mutex);

    while (null_colls) {
        c = null_colls;
        null_colls = c->next;
        null_free(c);
    }

    null_channel = 0;
    (void) pthread_mutex_unlock(&null_calls_mutex);
}
