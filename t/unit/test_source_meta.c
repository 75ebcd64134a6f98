/*
 * The catalogue, fed with what a real Milvus 2.3.5 wrote (source_samples.h).
 */

#include <stdlib.h>

#include "source_feed.h"
#include "source_samples.h"
#include "milvus_schema.pb-c.h"


#define SRC_A     470618833340862973
#define SRC_PK    470618833340863024
#define SRC_PART  470618833340863042
#define SRC_X     470618833341070606
#define PP        470618833341070612


/* the events up to, not including, a revision */

static void
events_until(int revision)
{
    static int  from;

    from = revision < 0 ? 0 : from;

    feed_revisions(sample_events, N(sample_events), from, revision - 1);
    from = revision;
}


/* ---- keys --- */

static int
key(const char *s, cdc_meta_key_t *k)
{
    return cdc_meta_key(cdc_span_n(s, strlen(s)), k);
}


static void
test_keys(void)
{
    size_t          i;
    cdc_meta_key_t  k;

    static const char *none[] = {
        "", "root-coord/fields/", "root-coord/fields/1", "field-index/1/",
        "root-coord/fields/1/2/3", "root-coord/fields/x/1",
        "root-coord/fields/1/-1", "root-coord/database/db-info/",
        "root-coord/fields/99999999999999999999/1", "session/id",
        "snapshots/root-coord/fields/1/2", "snapshots/",
        "snapshots/root-coord/fields/1/2_ts", "root-coord/aliases/",
        "snapshots/root-coord/fields/1/2_tsx", "datacoord-meta/s/1/2/3"
    };

    for (i = 0; i < N(none); i++) {
        is_int(key(none[i], &k), CDC_DECLINED, none[i]);
    }

    ok(key("root-coord/database/collection-info/7/9", &k) == CDC_OK
       && k.kind == CDC_META_INFO && k.db == 7 && k.collection == 9
       && k.item == 7 && k.ts == 0, "a collection");
    ok(key("querycoord-partition-loadinfo/7/9", &k) == CDC_OK
       && k.kind == CDC_META_PARTLOAD && k.collection == 7 && k.item == 9,
       "a partition's load");
    ok(key("root-coord/aliases/a/b_c", &k) == CDC_OK
       && k.kind == CDC_META_ALIAS && k.db == 0 && k.name.len == 5,
       "an alias of an old Milvus");
    ok(key("snapshots/root-coord/database/aliases/4/a_ts1_ts77", &k)
       == CDC_OK && k.ts == 77 && k.db == 4 && k.name.len == 5,
       "an alias with a tail of its own, in the history");
}


/* ---- the list --- */

static void
test_list(void)
{
    size_t                            half;
    const cdc_meta_db_t              *db;
    Milvus__Schema__CollectionSchema *schema;
    const cdc_meta_collection_t      *c;

    half = N(sample_list) / 2;

    start();
    feed(CDC_ETCD_LIST, sample_list, half, 1, 0);
    is_str(log_, "", "nothing is told before the list is complete");
    feed(CDC_ETCD_LIST, sample_list + half, N(sample_list) - half, 0, 1);
    ok(strstr(log_, "+db:default +db:src_db ") != NULL, "databases: %s",
       log_);
    ok(strstr(log_, "+default.src_a ") != NULL
       && strstr(log_, "+default.src_pk ") != NULL
       && strstr(log_, "+default.src_part ") != NULL
       && strcmp(log_ + strlen(log_) - 7, "listed ") == 0, "collections");

    c = cdc_meta_by_id(&m, SRC_A);
    ok(c != NULL, "by id");

    if (c == NULL) {
        return;
    }

    is_str(c->name, "src_a", "name");
    is_str(c->db, "default", "db");
    is_int((int64_t) c->create_ts, 470619073523482631, "created");
    is_int(c->consistency_level, 2, "consistency level");
    is_int(c->pk_field_id, 100, "primary key");
    is_int(c->num_partitions, 0, "no partition key");
    is_int(c->npartitions, 3, "partitions");
    is_int(c->nshards, 2, "shards");
    is_str(c->shards[1].vchannel,
           "by-dev-rootcoord-dml_1_470618833340862973v1", "vchannel");
    is_str(c->shards[1].pchannel, "by-dev-rootcoord-dml_1", "pchannel");
    ok(c->shards[1].start_id.len == 8 && c->shards[1].start_id.data[0] == 1,
       "start position");
    ok(c->properties.len == 32
       && memcmp(c->properties.data, "\x3a\x1e\x0a\x16" "collection.ttl.",
                 19) == 0, "properties are fields 7");

    schema = milvus__schema__collection_schema__unpack(NULL, c->schema.len,
                                                       c->schema.data);
    ok(schema != NULL && schema->n_fields == 4
       && strcmp(schema->name, "src_a") == 0
       && strcmp(schema->description, "a desc") == 0
       && schema->enable_dynamic_field, "schema: user fields only, dynamic");
    ok(schema != NULL && schema->fields[0]->is_primary_key
       && strcmp(schema->fields[3]->name, "vec") == 0
       && strcmp(schema->fields[3]->type_params[0]->value, "8") == 0,
       "fields in order");
    milvus__schema__collection_schema__free_unpacked(schema, NULL);

    c = cdc_meta_by_id(&m, SRC_PK);
    is_int(c ? c->num_partitions : -1, 5, "partition key: 5 partitions");

    ok(named("default", "src_a", 0) == cdc_meta_by_id(&m, SRC_A)
       && named("", "src_a", 0) == cdc_meta_by_id(&m, SRC_A), "by name");
    ok(named("default", "src_alias_default", 0)
       == cdc_meta_by_id(&m, SRC_A), "by alias");
    ok(named("default", "src_a", 470619073523482630) == NULL,
       "not before it was created");
    ok(named("src_db", "src_a", 0) == NULL, "not in another database");

    db = cdc_meta_db_by_name(&m, cdc_span("src_db"));
    ok(db != NULL && db->id == 470618833340862965
       && db->created_ts >> 18 == 1795269292239, "a database's time is a TSO");
}


/* ---- requests --- */

static void
test_requests(void)
{
    is_str(requests_of(SRC_A),
           "300 default.src_a vec vi index_type=HNSW metric_type=L2 "
           "params={\"M\":8,\"efConstruction\":64}\n"
           "300 default.src_a cat ci\n"
           "106 default.src_a 0a02086a120764656661756c741a057372635f612001\n",
           "indexes and a load, as they were asked for");
    is_str(requests_of(SRC_PK),
           "300 default.src_pk vec vec index_type=AUTOINDEX "
           "metric_type=IP\n", "an automatic index stays one");
    is_str(requests_of(SRC_PART),
           "300 default.src_part vec vec index_type=IVF_FLAT "
           "metric_type=COSINE params={\"nlist\":16}\n"
           "205 default.src_part 0a0308cd01120764656661756c741a087372635f"
           "70617274220270312801\n", "one partition is loaded");

    is_int(cdc_meta_loaded(&m, SRC_A, 0), 1, "loaded");
    is_int(cdc_meta_loaded(&m, SRC_PK, 0), 0, "not loaded");
    is_int(cdc_meta_loaded(&m, SRC_PART, 0), 1, "loaded in part");
    is_int(cdc_meta_loaded(&m, SRC_PART, 470618833340863050), 1, "this part");
    is_int(cdc_meta_loaded(&m, SRC_PART, 470618833340863055), 0,
           "but not this");
}


/* ---- a life --- */

static void
test_events(void)
{
    const cdc_meta_collection_t  *c;

    events_until(-1);
    log_[0] = '\0';

    events_until(1942);
    is_str(log_, "", "Creating is not visible");
    events_until(1943);
    is_str(log_, "+default.src_x ", "Created is");
    events_until(1944);
    is_str(log_, "+default.src_x ", "a partition, Creating");
    events_until(1945);
    is_str(log_, "+default.src_x +src_x/pp ", "and Created");

    events_until(1958);
    is_int(cdc_meta_loaded(&m, SRC_X, PP), 1, "loaded");
    log_[0] = '\0';
    events_until(1964);
    is_str(log_, "r606 r606p r606p ", "released, all of it");
    events_until(1972);
    is_int(cdc_meta_loaded(&m, SRC_X, PP), 1, "one partition loaded");
    log_[0] = '\0';
    events_until(1976);
    is_str(log_, "r606 r606p ", "released again");

    log_[0] = '\0';
    events_until(1977);
    c = cdc_meta_by_id(&m, SRC_X);
    ok(c != NULL && c->npartitions == 2 && c->partitions[1].dropping
       && !c->partitions[1].gone && log_[0] == '\0',
       "a partition that is being dropped is not gone yet");

    events_until(1978);
    is_str(log_, "", "a change that changes nothing");
    events_until(1979);
    is_str(log_, "+default.src_y ", "renamed");
    c = cdc_meta_by_id(&m, SRC_X);
    is_int(c ? (int64_t) c->properties.len : 0, 30, "with new properties");
    events_until(1980);
    ok(named("default", "src_al", 0) == c, "an alias");

    log_[0] = '\0';
    events_until(1981);
    is_str(log_, "-default.src_al@470619422292705285 ", "dropped");
    log_[0] = '\0';
    events_until(1982);
    is_str(log_, "+src_db.src_z ", "moved: no drop");
    log_[0] = '\0';
    events_until(9999);
    c = cdc_meta_by_id(&m, SRC_X);
    ok(c != NULL && c->dropping && !c->gone && log_[0] == '\0',
       "being dropped");

    ok(named("default", "src_x", 470619420116910084) == NULL
       && named("default", "src_x", 470619420116910085) == c
       && named("default", "src_x", 470619422292705280) == c
       && named("default", "src_x", 470619422292705281) == NULL
       && named("default", "src_y", 470619422292705281) == c
       && named("default", "src_y", 470619422292705286) == NULL
       && named("src_db", "src_z", 470619422292705286) == c
       && named("src_db", "src_z", 470619422292705290) == c
       && named("src_db", "src_z", 470619422292705291) == NULL
       && named("src_db", "src_z", 0) == NULL, "its names and their times");
    ok(named("default", "src_al", 470619422292705282) == NULL
       && named("default", "src_al", 470619422292705284) == c
       && named("default", "src_al", 470619422292705285) == NULL,
       "and the alias's");
    is_str(requests_of(SRC_X), "", "nothing to make of it any more");
}


static void
test_gone(void)
{
    const cdc_meta_collection_t  *c;

    static const sample_t  field = {
        1, 0, "root-coord/fields/470618833341070606/101", 3, "\342\233\274"
    };
    static const sample_t  tombstone = {
        1, 0, "root-coord/database/collection-info/470618833340862965/"
              "470618833341070606", 3, "\342\233\274"
    };
    static const sample_t  partition = {
        1, 1, "root-coord/partitions/470618833340862973/470618833340862984",
        0, ""
    };
    static const sample_t  db = {
        1, 0, "root-coord/database/db-info/470618833340862965", 3,
        "\342\233\274"
    };

    log_[0] = '\0';
    feed(CDC_ETCD_EVENTS, &field, 1, 0, 0);
    is_str(log_, "", "its fields go first");
    feed(CDC_ETCD_EVENTS, &tombstone, 1, 0, 0);
    is_str(log_, "-src_db.src_z ", "a tombstone: gone");
    feed(CDC_ETCD_EVENTS, &tombstone, 1, 0, 0);
    is_str(log_, "-src_db.src_z ", "told once");

    c = cdc_meta_by_id(&m, SRC_X);
    ok(c != NULL && c->gone && c->nshards == 1, "it is remembered");
    ok(named("src_db", "src_z", 470619422292705290) == c, "by name, too");
    is_str(requests_of(SRC_X), "", "without operations");

    log_[0] = '\0';
    feed(CDC_ETCD_EVENTS, &partition, 1, 0, 0);
    is_str(log_, "-src_a/p1 ", "a DELETE is as good as a tombstone");
    c = cdc_meta_by_id(&m, SRC_A);
    ok(c != NULL && c->npartitions == 3 && c->partitions[2].gone,
       "the partition is remembered");

    feed(CDC_ETCD_EVENTS, &db, 1, 0, 0);
    is_str(log_, "-src_a/p1 -db:src_db ", "a database");
}


/* a list after a compaction: what is not in it is gone */

static void
test_relist(void)
{
    size_t    i, n;
    sample_t  some[N(sample_list)];

    log_[0] = '\0';
    feed(CDC_ETCD_LIST, sample_list, N(sample_list), 1, 1);
    is_str(log_, "+db:src_db +src_a/p1 listed ", "back again");

    log_[0] = '\0';
    feed(CDC_ETCD_LIST, sample_list, N(sample_list), 1, 1);
    is_str(log_, "listed ", "the same list tells nothing");

    for (i = 0, n = 0; i < N(sample_list); i++) {
        if (strstr(sample_list[i].key, "470618833340863042") == NULL
            && strstr(sample_list[i].key, "partition-loadinfo/4706188333408"
                      "62973/470618833340862984") == NULL
            && strstr(sample_list[i].key, "src_alias_default") == NULL)
        {
            some[n++] = sample_list[i];
        }
    }

    log_[0] = '\0';
    feed(CDC_ETCD_LIST, some, n / 2, 1, 0);
    is_str(log_, "", "half a list says nothing is gone");
    feed(CDC_ETCD_LIST, some, n / 3, 1, 0);
    feed(CDC_ETCD_LIST, some + n / 3, n - n / 3, 0, 1);
    ok(strstr(log_, "r973p ") != NULL && strstr(log_, "r42 ") != NULL
       && strstr(log_, "-default.src_part ") != NULL
       && strstr(log_, "src_a ") == NULL, "what is missing is gone: %s",
       log_);
    ok(named("default", "src_alias_default", 0) == NULL, "an alias as well");
    is_str(strstr(requests_of(SRC_A), "205") ? "205" : "", "205",
           "a whole load with a partition released goes by partitions");
}


/* each sample, cut at each length: never a crash, never half an object */

static void
test_truncated(void)
{
    size_t    i, len;
    sample_t  cut;

    cdc_log_init("", NULL, CDC_LOG_EMERG);

    for (i = 0; i < N(sample_list); i++) {
        start();
        feed(CDC_ETCD_LIST, sample_list, N(sample_list), 1, 1);

        for (len = 0; len < sample_list[i].len; len++) {
            cut = sample_list[i];
            cut.len = len;
            feed(CDC_ETCD_EVENTS, &cut, 1, 0, 0);
            (void) requests_of(SRC_A);
            (void) requests_of(SRC_PART);
        }

        feed(CDC_ETCD_EVENTS, &sample_list[i], 1, 0, 0);

        if (named("default", "src_a", 0) == NULL
            || named("default", "src_part", 0) == NULL
            || strcmp(named("default", "src_a", 0)->name, "src_a") != 0)
        {
            ok(0, "cut \"%s\"", sample_list[i].key);
        }

        cdc_meta_destroy(&m);
    }

    ok(1, "values that are cut short");
}


int
main(void)
{
    cdc_log_init("", NULL, CDC_LOG_ERR);

    test_keys();
    test_list();
    test_requests();
    test_events();
    test_gone();
    test_relist();
    cdc_meta_destroy(&m);
    test_truncated();

    return done_testing();
}
