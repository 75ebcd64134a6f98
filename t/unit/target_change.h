/* test_target.c: names, aliases and properties on a real Milvus */


static char  db2[40];


static int
make(const char *in, const char *coll)
{
    uint8_t              buf[512];
    cdc_target_create_t  c;

    static const uint8_t  ttl[] = "\x3a\x1d\x0a\x16" "collection.ttl.seconds"
                                  "\x12\x03" "100";

    memset(&c, 0, sizeof(c));
    c.db = in;
    c.name = coll;
    c.schema = cdc_span_n(buf, schema_of(coll, buf));
    c.properties = cdc_span_n(ttl, sizeof(ttl) - 1);
    c.shards = 1;
    c.consistency_level = 3;
    c.ts = now();

    return T->create_collection(target, &c, &e);
}


/* 0: there is none */

static int64_t
id_of(const char *in, const char *coll)
{
    int64_t                   id;
    cdc_target_collection_t  *d;

    if (T->describe(target, in, coll, 0, &d, &e) != CDC_OK) {
        return 0;
    }

    id = d->id;
    cdc_target_collection_free(d);

    return id;
}


#define REN(d1, n1, d2, n2)                                                  \
    T->rename_collection(target, d1, n1, d2, n2, now(), &e)


static void
test_rename(void)
{
    int64_t                   id;
    cdc_target_collection_t  *d;

    is_int(make(db, "a"), CDC_OK, "rename: a");
    is_int(make(db, "b"), CDC_OK, "rename: b");
    is_int(make(db2, "c"), CDC_OK, "rename: c in another database");
    id = id_of(db, "a");

    is_int(REN(db, "a", db, "a1"), CDC_OK, "rename");
    is_int(id_of(db, "a1"), id, "rename: the same collection");
    is_int(REN(db, "a", db, "a1"), CDC_OK, "rename: is so already");
    is_int(REN(db, "a1", db, "b"), CDC_ERROR, "rename onto another");
    is_int(e.class, CDC_TARGET_EXISTS, "rename onto another: exists");
    is_int(id_of(db, "a1"), id, "rename onto another: nothing happened");

    is_int(REN(db, "a1", db2, "a1"), CDC_OK, "rename to another database");
    is_int(REN(db, "a1", db2, "a1"), CDC_OK, "rename to it: is so already");
    is_int(id_of(db2, "a1"), id, "rename to another database: the same");
    is_int(REN(db2, "a1", db2, "c"), CDC_ERROR, "rename onto another there");
    is_int(e.class, CDC_TARGET_EXISTS, "rename onto another there: exists");

    is_int(T->describe(target, db2, NULL, id, &d, &e), CDC_OK,
           "describe by id");
    is_str(d->name, "a1", "describe by id: the name");
    is_int(d->num_partitions, 1, "describe: the number of partitions");
    is_int(d->npartitions, 1, "describe: the partitions");
    cdc_target_collection_free(d);

    is_int(T->describe(target, db, NULL, id, &d, &e), CDC_OK,
           "describe by id, of another database");
    is_int(d->id, id, "describe by id: it is that one");
    is_int(d->npartitions, 0, "describe by id: without its partitions");
    cdc_target_collection_free(d);

    is_int(REN(db2, "a1", db, "a"), CDC_OK, "rename: back");
    is_int(REN(db, "none", db, "none2"), CDC_ERROR, "rename: no such");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "rename: no such: not found");
    is_int(REN(db, "a", "no_such_db", "a"), CDC_ERROR,
           "rename to no database");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "rename to no database: not found");

    /* the server's own time counts: one that is ahead is no obstacle */

    is_int(T->rename_collection(target, db, "a", db, "a2",
                                now() + ((uint64_t) 3600000 << 18), &e),
           CDC_OK, "rename an hour ahead");
    is_int(T->rename_collection(target, db, "a2", db, "a",
                                now() - ((uint64_t) 3600000 << 18), &e),
           CDC_OK, "rename an hour ago");
    is_int(id_of(db, "a"), id, "rename: still the same");
}


#define ALIAS(al, n)  T->alias(target, db, al, n, now(), &e)


static void
test_alias(void)
{
    int64_t                   a, b;
    cdc_target_collection_t  *d;

    a = id_of(db, "a");
    b = id_of(db, "b");

    is_int(ALIAS("x", "a"), CDC_OK, "alias");
    is_int(ALIAS("x", "a"), CDC_OK, "alias: is so already");
    is_int(id_of(db, "x"), a, "alias: means a");

    is_int(T->describe(target, db, "x", 0, &d, &e), CDC_OK,
           "alias: describe");
    is_str(d->name, "a", "alias: describe names the collection");
    is_int(d->naliases, 1, "alias: describe lists it");
    is_str(d->naliases ? d->aliases[0] : NULL, "x", "alias: its name");
    cdc_target_collection_free(d);

    is_int(ALIAS("x", "b"), CDC_OK, "alias: moved");
    is_int(ALIAS("x", "b"), CDC_OK, "alias: moved already");
    is_int(id_of(db, "x"), b, "alias: means b");

    is_int(ALIAS("b", "a"), CDC_ERROR, "alias called like a collection");
    is_int(e.class, CDC_TARGET_EXISTS, "alias like a collection: exists");
    is_int(ALIAS("b", NULL), CDC_OK, "alias: drop of what is a collection");
    is_int(id_of(db, "b"), b, "alias: the collection is untouched");
    is_int(ALIAS("y", "none"), CDC_ERROR, "alias of nothing");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "alias of nothing: not found");

    is_int(REN(db, "a", db, "x"), CDC_ERROR, "rename onto an alias");
    is_int(e.class, CDC_TARGET_EXISTS, "rename onto an alias: exists");
    is_int(REN(db, "b", db2, "b"), CDC_ERROR, "rename away from an alias");
    is_int(e.class, CDC_TARGET_REFUSED, "rename away from an alias: refused");
    is_int(REN(db, "x", db, "z"), CDC_ERROR, "rename by an alias");

    is_int(ALIAS("x", NULL), CDC_OK, "alias: drop");
    is_int(ALIAS("x", NULL), CDC_OK, "alias: gone already");
    is_int(id_of(db, "x"), 0, "alias: is gone");
    is_int(T->alias(target, "no_such_db", "x", NULL, now(), &e), CDC_OK,
           "alias: gone with its database");

    /* the drop of a collection leaves its aliases with it for hours */

    is_int(ALIAS("x", "b"), CDC_OK, "alias of what will be dropped");
    is_int(T->drop_collection(target, db, "b", now(), &e), CDC_OK,
           "alias: its collection is dropped");
    is_int(id_of(db, "x"), 0, "alias of a dropped collection: no answer");
    is_int(ALIAS("x", "a"), CDC_OK, "alias: got back");
    is_int(id_of(db, "x"), a, "alias: means the other one");
    is_int(ALIAS("x", NULL), CDC_OK, "alias: drop at last");
}


/* ---- properties ---------------------------------------------------- */

static char *
property(const char *coll, const char *key)
{
    int                                           rc;
    size_t                                        i, len;
    uint8_t                                      *answer;
    cdc_chain_t                                  *c;
    Milvus__Service__DescribeCollectionResponse  *d;

    static char  value[64];

    c = cdc_milvus_request(CDC_MILVUS_DESCRIBE_COLLECTION, 0, 0);
    rc = cdc_milvus_string(c, 2, db);
    rc |= cdc_milvus_string(c, 3, coll);

    if (cdc_milvus_call(target, CDC_MILVUS_SERVICE "DescribeCollection", db,
                        c, rc, CDC_MILVUS_NESTED, 30000, &answer, &len, &e)
        != CDC_OK)
    {
        return NULL;
    }

    d = milvus__service__describe_collection_response__unpack(NULL, len,
                                                              answer);
    free(answer);
    value[0] = '\0';

    for (i = 0; i < d->n_properties; i++) {
        if (strcmp(d->properties[i]->key, key) == 0) {
            (void) snprintf(value, sizeof(value), "%s",
                            d->properties[i]->value);
        }
    }

    milvus__service__describe_collection_response__free_unpacked(d, NULL);

    return value;
}


static cdc_span_t
pairs(uint8_t *buf, uint32_t number, const char *const *kv)
{
    size_t        len, mark;
    uint8_t      *bytes;
    cdc_chain_t  *c;

    c = cdc_chain_create();

    for ( /* void */ ; *kv != NULL; kv += 2) {
        (void) cdc_chain_open(c, number, &mark);
        (void) cdc_milvus_string(c, 1, kv[0]);
        (void) cdc_milvus_string(c, 2, kv[1]);
        cdc_chain_close(c, mark);
    }

    bytes = cdc_chain_flatten(c, &len);
    memcpy(buf, bytes, len);
    free(bytes);
    cdc_chain_unref(c);

    return cdc_span_n(buf, len);
}


#define ALTER(coll, b, a)                                                    \
    T->alter_collection(target, db, coll, pairs(b1, 7, b), pairs(b2, 7, a),  \
                        now(), &e)


static void
test_properties(void)
{
    uint8_t  b1[256], b2[256];

    static const char *const  none[] = { NULL };
    static const char *const  t100[] = { "collection.ttl.seconds", "100",
                                         NULL };
    static const char *const  t200[] = { "collection.ttl.seconds", "200",
                                         "k", "v", NULL };

    is_str(property("a", "collection.ttl.seconds"), "100", "properties: 100");
    is_int(ALTER("a", t100, t100), CDC_OK, "properties: nothing to do");
    is_int(ALTER("a", t100, t200), CDC_OK, "properties: alter");
    is_str(property("a", "collection.ttl.seconds"), "200", "properties: 200");
    is_str(property("a", "k"), "v", "properties: a new one");
    is_int(ALTER("a", t100, t200), CDC_OK, "properties: are so already");
    is_int(ALTER("none", t100, t200), CDC_ERROR, "properties of nothing");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "properties: not found");

    if (strncmp(version, "v2.3", 4) == 0 || version[0] == '2') {
        is_int(ALTER("a", t200, none), CDC_DECLINED,
               "properties: 2.3 cannot remove one");
        ok(strstr(e.text, "\"a\"") == NULL && strstr(e.text, ".a\"") != NULL
           && strstr(e.text, "2.5") != NULL, "properties: %s", e.text);

        is_int(T->alter_database(target, db, pairs(b1, 3, none),
                                 pairs(b2, 3, t100), now(), &e),
               CDC_DECLINED, "properties: 2.3 has none of a database");
        ok(strstr(e.text, db) != NULL && strstr(e.text, "2.4") != NULL,
           "properties: %s", e.text);
    }

    is_int(T->alter_database(target, db, pairs(b1, 3, t100),
                             pairs(b2, 3, t100), now(), &e), CDC_OK,
           "properties of a database: nothing to do");
}


/* ---- fields -------------------------------------------------------- */

static cdc_span_t
wider(uint8_t *buf, int64_t id, const char *dim, const char *extra)
{
    Milvus__Common__KeyValuePair       p, *params[1];
    Milvus__Schema__CollectionSchema   s;
    Milvus__Schema__FieldSchema        f[3], *fields[3];

    milvus__common__key_value_pair__init(&p);
    milvus__schema__collection_schema__init(&s);
    milvus__schema__field_schema__init(&f[0]);
    milvus__schema__field_schema__init(&f[1]);
    milvus__schema__field_schema__init(&f[2]);

    p.key = (char *) "dim";
    p.value = (char *) dim;
    params[0] = &p;

    f[0].fieldid = 100;
    f[0].name = (char *) "id";
    f[0].data_type = 5;
    f[0].is_primary_key = 1;
    f[1].fieldid = id;
    f[1].name = (char *) "v";
    f[1].data_type = 101;
    f[1].n_type_params = 1;
    f[1].type_params = params;
    f[2].fieldid = id + 1;
    f[2].name = (char *) extra;
    f[2].data_type = 5;
    fields[0] = &f[0];
    fields[1] = &f[1];
    fields[2] = &f[2];

    s.name = (char *) "a";
    s.n_fields = extra ? 3 : 2;
    s.fields = fields;

    return cdc_span_n(buf, milvus__schema__collection_schema__pack(&s, buf));
}


#define SCHEMA(coll, b, a)                                                   \
    T->alter_schema(target, db, coll, b, a, now(), &e)


static void
test_fields(void)
{
    uint8_t  b1[256], b2[256];

    is_int(SCHEMA("a", wider(b1, 101, "4", NULL), wider(b2, 101, "4", NULL)),
           CDC_OK, "fields: nothing to do");
    is_int(SCHEMA("a", wider(b1, 102, "4", NULL), wider(b2, 102, "4", NULL)),
           CDC_ERROR, "fields: another id on the target");
    is_int(e.class, CDC_TARGET_REFUSED, "fields: another id is refused");
    ok(strstr(e.text, "\"v\"") != NULL && strstr(e.text, "101") != NULL,
       "fields: %s", e.text);
    is_int(SCHEMA("none", wider(b1, 101, "4", NULL),
                  wider(b2, 101, "4", "f")), CDC_ERROR, "fields of nothing");
    is_int(e.class, CDC_TARGET_NOT_FOUND, "fields of nothing: not found");

    if (strncmp(version, "v2.3", 4) == 0 || version[0] == '2') {
        is_int(SCHEMA("a", wider(b1, 101, "4", NULL),
                      wider(b2, 101, "4", "f")), CDC_DECLINED,
               "fields: 2.3 cannot add one");
        ok(strstr(e.text, "\"f\"") != NULL && strstr(e.text, "upgrade"),
           "fields: %s", e.text);
        is_int(SCHEMA("a", wider(b1, 101, "4", NULL),
                      wider(b2, 101, "8", NULL)), CDC_DECLINED,
               "fields: 2.3 cannot alter one");
        ok(strstr(e.text, "\"v\"") != NULL && strstr(e.text, "upgrade"),
           "fields: %s", e.text);
    }
}


static void
test_changes(void)
{
    (void) snprintf(db2, sizeof(db2), "%s_2", db);
    is_int(T->create_database(target, db2, cdc_span(""), now(), &e), CDC_OK,
           "another database");

    test_rename();
    test_alias();
    test_properties();
    test_fields();

    (void) T->drop_collection(target, db, "a", now(), &e);
    (void) T->drop_collection(target, db2, "c", now(), &e);
    is_int(T->drop_database(target, db2, now(), &e), CDC_OK,
           "drop the other database");
}
