/*
 * Aliases, renames and changes, as a real Milvus 2.3.5 wrote them
 * (source_rbac_samples.h), and what a list makes of them.
 */

#include "source_feed.h"
#include "source_rbac_samples.h"


#define C1  470621674258563315
#define C2  470621674258563320
#define R1  470621674258564966
#define R2  470621674258565006
#define D1  "470621674258563284"

#define V(s)  sizeof(s) - 1, s


static const sample_t  default_db = {
    0, 0, "root-coord/database/db-info/1", V("\022\007default\030\001 \001")
};


static const char *
life(int from, int to)
{
    log_[0] = '\0';
    feed_revisions(life_events, N(life_events), from, to);

    return told();
}


static void
test_life(void)
{
    const cdc_meta_collection_t  *c1, *c2;

    start();
    feed(CDC_ETCD_LIST, &default_db, 1, 1, 1);
    is_str(told(), "+db:default listed ", "an empty Milvus");

    is_str(life(54, 54), "+db:d1 ", "a database");
    is_int((int64_t) cdc_meta_db_by_name(&m, cdc_span("d1"))->changed_ts,
           470621685188919298, "since when");
    is_str(life(72, 81), "+default.c1 +default.c2 ", "two collections");

    c1 = cdc_meta_by_id(&m, C1);
    c2 = cdc_meta_by_id(&m, C2);
    ok(c1->name_ts == 470621686565437448 && c1->changed_ts == c1->name_ts
       && c1->create_ts == c1->name_ts, "the name is as old as it is");

    is_str(life(84, 84), "default.al=315@470621686656925698 ", "an alias");
    is_str(life(87, 87), "default.al=320@470621686814212098 ",
           "it means another");
    is_str(each_alias(), "default.al=320@470621686814212098 ", "in the list");

    is_str(life(89, 89), "", "properties that 2.3.5 has not written yet");
    ok(c1->changed_ts == 470621686893117442
       && c1->name_ts == 470621686565437448, "but something has changed");
    is_str(life(90, 90), "+default.c1 ", "and now it has");
    is_int((int64_t) c1->properties.len, 30, "the first ones");
    is_str(life(91, 91), "+default.c1b ", "renamed, with the second ones");
    is_int((int64_t) c1->properties.len, 53, "both");
    is_int((int64_t) c1->name_ts, 470621687063248897, "since when");
    is_str(life(92, 92), "+d1.c1c ", "moved and renamed at once");
    is_int((int64_t) c1->name_ts, 470621687142154242, "since when");

    is_str(life(93, 93), "+default.c2b ", "renamed under its alias");
    ok(named("default", "al", 0) == c2
       && named("default", "al", 470621686814212097) == c1
       && named("default", "al", 470621686656925697) == NULL,
       "the alias, and what it was");

    is_str(life(94, 94), "-default.al@470621687299440644 ",
           "dropped: the alias ends with it");
    is_str(each_alias(), "", "not in the list");
    ok(named("default", "al", 0) == NULL
       && named("default", "al", 470621687299440644) == NULL
       && named("default", "al", 470621687299440643) == c2
       && named("default", "c2b", 470621687299440643) == c2
       && named("default", "c2b", 470621687299440644) == NULL, "nor by name");
    is_str(life(95, 95), "", "the alias's own end is no news");

    is_str(life(101, 101), "d1.al2=315@470621687535108101 ",
           "an alias in the other database");
    is_str(life(102, 104), "-d1.al2@470621687626858499 ", "dropped with it");
    is_str(life(110, 110), "-db:d1 ", "and the database");

    ok(named("default", "c1", 470621687063248896) == c1
       && named("default", "c1", 470621687063248897) == NULL
       && named("default", "c1b", 470621687063248897) == c1
       && named("d1", "c1c", 470621687142154241) == NULL
       && named("d1", "c1c", 470621687142154242) == c1
       && named("d1", "al2", 470621687535108101) == c1, "c1's names");

    cdc_meta_destroy(&m);
}


static void
test_swap(void)
{
    const cdc_meta_collection_t  *r1, *r2;

    start();
    feed(CDC_ETCD_LIST, &default_db, 1, 1, 1);
    (void) told();
    feed_revisions(swap_events, N(swap_events), 227, 261);
    is_str(told(), "+default.r1 default.ra=966@470621771250794499 "
           "+default.r2 ", "two collections and an alias");
    feed_revisions(swap_events, N(swap_events), 262, 265);
    is_str(told(), "+default.tmp +default.r1 +default.r2 ", "swapped");

    r1 = cdc_meta_by_id(&m, R1);
    r2 = cdc_meta_by_id(&m, R2);

    ok(named("default", "r1", 470621773361053697) == r1
       && named("default", "r1", 470621773361053698) == NULL
       && named("default", "tmp", 470621773361053698) == r1
       && named("default", "r2", 470621773361053698) == r2
       && named("default", "r1", 470621773439696900) == r2
       && named("default", "r2", 470621773439696900) == NULL
       && named("default", "r2", 470621773518340098) == r1
       && named("default", "tmp", 0) == NULL
       && named("default", "r1", 0) == r2
       && named("default", "r2", 0) == r1, "who was called what, and when");

    /* r1 is called r2 by now; it was loaded into a group of its own */

    is_str(requests_of(R1),
           "300 default.r2 v v index_type=FLAT metric_type=L2 params={}\n"
           "106 default.r2 0a02086a120764656661756c741a02723220012a03726731"
           "\n", "a load into a resource group");

    cdc_meta_destroy(&m);
}


/* what is there after a revision, as a list */

static size_t
listed(const sample_t *events, size_t n, int until, sample_t *out)
{
    size_t  i, k, count;

    out[0] = default_db;
    count = 1;

    for (i = 0; i < n && events[i].revision <= until; i++) {
        for (k = 1; k < count && strcmp(out[k].key, events[i].key) != 0; k++) {
            /* the same key */
        }

        out[k] = events[i];
        count += (k == count);
    }

    return count;
}


static void
test_relist(void)
{
    size_t    n;
    sample_t  list[N(life_events) + 1];

    /* each list is what a compaction made us miss */

    start();
    n = listed(life_events, N(life_events), 84, list);
    feed(CDC_ETCD_LIST, list, n, 1, 1);
    is_str(told(), "+db:default +db:d1 +default.c2 +default.c1 "
           "default.al=315@470621686656925698 listed ", "the first list");

    n = listed(life_events, N(life_events), 92, list);
    feed(CDC_ETCD_LIST, list, n, 1, 1);
    is_str(told(), "+d1.c1c default.al=320@470621686814212098 listed ",
           "moved twice, properties, the alias: each once");
    feed(CDC_ETCD_LIST, list, n, 1, 1);
    is_str(told(), "listed ", "the same list tells nothing");
    ok(cdc_meta_by_id(&m, C1)->name_ts == 470621687142154242
       && named("default", "c1b", 470621687063248897)
          == cdc_meta_by_id(&m, C1)
       && named("default", "al", 470621686656925698)
          == cdc_meta_by_id(&m, C1), "with all their times");

    n = listed(life_events, N(life_events), 94, list);
    feed(CDC_ETCD_LIST, list, n, 1, 1);
    is_str(told(), "-default.al@470621687299440644 listed ",
           "renamed and dropped: its alias ends");

    n = listed(life_events, N(life_events), 110, list);
    feed(CDC_ETCD_LIST, list, n, 1, 1);
    is_str(told(), "-db:d1 listed ", "and so on");

    cdc_meta_destroy(&m);
}


/* no history: a Milvus that writes none, or an alias without a database */

static void
test_no_history(void)
{
    size_t    i, n;
    sample_t  list[N(life_events) + 1];

    start();
    feed(CDC_ETCD_LIST, &default_db, 1, 1, 1);

    for (i = 0, n = 0; i < N(life_events); i++) {
        if (memcmp(life_events[i].key, "snap", 4) != 0) {
            list[n++] = life_events[i];
        }
    }

    (void) told();
    feed_revisions(list, n, 54, 81);
    (void) told();
    feed_revisions(list, n, 84, 87);
    is_str(told(), "default.al=315@470621686656925698 "
           "default.al=320@470621686814212098 ",
           "an alias tells since when itself");
    ok(named("default", "al", 470621686814212097)
       == cdc_meta_by_id(&m, C1), "and what it was before");

    feed_revisions(list, n, 89, 91);
    ok(cdc_meta_by_id(&m, C1)->name_ts == 0
       && cdc_meta_by_id(&m, C1)->changed_ts == 0,
       "nobody knows since when it is called so");
    (void) told();
    feed_revisions(list, n, 94, 94);
    is_str(told(), "-default.al@0 ", "nor when it was dropped");

    is_str(one(0, "root-coord/aliases/old",
               V("\012\003old\020\363\201\240\256\265\375\376\303\006\030"
                 "\202\200\240\306\343\375\376\303\006")),
           "default.old=315@470621686656925698 ",
           "an alias of the time before databases");
    is_str(one(0, "snapshots/root-coord/database/collection-info/1/"
                  "470621674258563320_ts470621687299440644", TOMBSTONE), "",
           "what was seen before it was told");
    ok(cdc_meta_names_since(&cdc_meta_coll(&m, C2, 0)->names)
       == 470621687299440644, "is no guess any more");

    {
        static const sample_t  moved[] = {
            { 0, 0, "root-coord/database/aliases/1/old",
              V("\012\003old\020\363\201\240\256\265\375\376\303\006\030"
                "\202\200\240\306\343\375\376\303\006\050\001") },
            { 0, 0, "root-coord/aliases/old", TOMBSTONE }
        };

        log_[0] = '\0';
        feed(CDC_ETCD_EVENTS, moved, 2, 0, 0);
        is_str(told(), "", "written anew, with its database: the same");
    }

    is_str(one(1, "root-coord/database/aliases/1/old", V("")),
           "-default.old@0 ", "a DELETE is as good as a tombstone");
    is_str(one(0, "root-coord/database/aliases/1/lost",
               V("\012\004lost\020\377\001")), "",
           "an alias of a collection that is not there");

    cdc_meta_destroy(&m);
}


/* an alias whose collection shows up later */

static void
test_alias_first(void)
{
    start();
    feed(CDC_ETCD_LIST, &default_db, 1, 1, 1);
    (void) life(54, 54);
    is_str(life(84, 84), "", "an alias of what is not there yet");
    is_str(life(72, 81), "+default.c1 default.al=315@470621686656925698 "
           "+default.c2 ", "comes with it");

    is_str(life(92, 92), "+d1.c1c ", "its collection moves");
    ok(named("default", "al", 0) == cdc_meta_by_id(&m, C1)
       && named("d1", "al", 0) == NULL, "the alias does not");
    cdc_meta_destroy(&m);
}


/* the key of a collection that was made before there were databases */

static void
test_old_key(void)
{
    char      key[128];
    size_t    i, n;
    sample_t  list[N(life_events) + 3];

    start();

    (void) snprintf(key, sizeof(key), "root-coord/collection/%lld",
                    (long long) C2);

    list[0] = default_db;

    for (i = 0, n = 1; i < N(life_events); i++) {
        if (life_events[i].revision < 77 || life_events[i].revision > 81
            || memcmp(life_events[i].key, "snap", 4) == 0)
        {
            continue;
        }

        list[n] = life_events[i];

        if (strstr(list[n].key, "collection-info") != NULL) {
            list[n].key = key;
        }

        n++;
    }

    feed(CDC_ETCD_LIST, list, n, 1, 1);
    is_str(told(), "+db:default +default.c2 listed ", "it is there");

    /* what a later Milvus does to it, in either order */

    for (i = 0; i < 2; i++) {
        list[0] = list[n - 1];
        list[0].key = "root-coord/database/collection-info/1/"
                      "470621674258563320";
        list[1] = list[n - 1];
        list[i] = (sample_t) { 0, 0, key, TOMBSTONE };
        list[!i].key = "root-coord/database/collection-info/1/"
                       "470621674258563320";

        feed(CDC_ETCD_EVENTS, list, 2, 0, 0);
        is_str(told(), "", "its key gets a database: the same");
        ok(cdc_meta_by_id(&m, C2)->db_id == 1
           && !cdc_meta_by_id(&m, C2)->gone, "and stays");
    }

    cdc_meta_destroy(&m);
}


/* as after 4096 others */

static void
forget_gone(void)
{
    cdc_meta_coll_t  *c;

    while (m.gone != NULL) {
        c = m.gone;
        m.gone = c->next_gone;
        cdc_meta_coll_remove(&m, c);
    }

    m.gone_last = &m.gone;
}


/* 1: how many names and aliases are kept after 5000 moves of an alias */

static void
test_bounded(void)
{
    int       i;
    char      key[128];
    size_t    n;
    sample_t  list[N(life_events) + 1], s[2];

    /* AliasInfo{"al", the id of c1 or c2} */

    char      value[] = "\012\002al\020\363\201\240\256\265\375\376\303"
                        "\006";

    start();
    n = listed(life_events, N(life_events), 84, list);
    feed(CDC_ETCD_LIST, list, n, 1, 1);

    for (i = 0; i < 5000; i++) {
        (void) snprintf(key, sizeof(key), "snapshots/root-coord/database/"
                        "aliases/1/al_ts%llu", 470621686656925700ULL + i);

        value[5] = i & 1 ? '\363' : '\370';
        s[0] = (sample_t) { 0, 0, key, sizeof(value) - 1, value };
        s[1] = s[0];
        s[1].key = "root-coord/database/aliases/1/al";
        feed(CDC_ETCD_EVENTS, s, 2, 0, 0);
        log_[0] = '\0';
    }

    ok(m.naliases == 1 && m.aliases[0]->names.n == CDC_META_NAMES_MAX,
       "%zu aliases, %zu names", m.naliases, m.aliases[0]->names.n);
    ok(named("default", "al", 0) == cdc_meta_by_id(&m, C1)
       && named("default", "al", 470621686656925700ULL + 4998)
          == cdc_meta_by_id(&m, C2), "the newest ones");

    /* its collections are gone and forgotten: so is an alias */

    feed(CDC_ETCD_LIST, &default_db, 1, 1, 1);
    ok(m.naliases == 1, "an alias is kept as long as its collections");

    forget_gone();
    feed(CDC_ETCD_LIST, &default_db, 1, 1, 1);
    ok(m.naliases == 0, "and not longer");

    cdc_meta_destroy(&m);
}


/* etcd keeps the history of aliases whose database has gone, and a list has all
 * of it */

static void
test_history(void)
{
    sample_t  list[2];

    start();
    list[0] = default_db;
    list[1] = (sample_t) {
        0, 0, "snapshots/root-coord/database/aliases/77/a_ts470621686656925698",
        V("\012\001a\020\005")
    };
    feed(CDC_ETCD_LIST, list, 2, 1, 1);
    is_int((int64_t) m.naliases, 0, "an alias of a database that is not there "
           "is not kept");

    cdc_meta_destroy(&m);
}


/* what cannot be read is as it was: it is there */

static void
test_unread(void)
{
    size_t       i, n;
    sample_t     list[N(life_events) + 1];
    const char  *key;

    start();
    n = listed(life_events, N(life_events), 84, list);
    feed(CDC_ETCD_LIST, list, n, 1, 1);
    is_str(each_alias(), "default.al=315@470621686656925698 ", "an alias");

    for (i = 1; i < n; i++) {
        key = list[i].key;

        if (strstr(key, "database/aliases/") || strstr(key, "db-info/")) {
            list[i].value = "\012\377";
            list[i].len = 2;
        }
    }

    feed(CDC_ETCD_LIST, list, n, 1, 1);
    is_str(told(), "listed ", "it and a database do not parse any more: "
           "they do not go");

    cdc_meta_destroy(&m);
}


/* a source that makes and drops databases */

static void
drop_databases(int n)
{
    int        i;
    char       key[64], value[64];
    sample_t   s;
    static int id = 100;

    for (i = 0; i < n; i++) {
        (void) snprintf(key, sizeof(key), "root-coord/database/db-info/%d",
                        ++id);
        (void) snprintf(value, sizeof(value), "\022\004b%03d\030\001 \001",
                        id % 1000);
        s = (sample_t) { 0, 0, key, strlen(value), value };
        feed(CDC_ETCD_EVENTS, &s, 1, 0, 0);
        s.deleted = 1;
        feed(CDC_ETCD_EVENTS, &s, 1, 0, 0);
        log_[0] = '\0';
    }
}


static int
on_each_database(void *arg, const cdc_meta_db_t *db)
{
    (void) arg;

    say("%s ", db->name);

    return CDC_OK;
}


/* etcd lists them by their keys, 12 before 9; found they are by their ids */

static void
test_order(void)
{
    static const sample_t  list[] = {
        { 0, 0, "root-coord/database/db-info/1", V("\022\007default\030\001") },
        { 0, 0, "root-coord/database/db-info/12", V("\022\003d12\030\014") },
        { 0, 0, "root-coord/database/db-info/200", V("\022\004d200") },
        { 0, 0, "root-coord/database/db-info/9", V("\022\002d9\030\011") }
    };

    start();
    feed(CDC_ETCD_LIST, list, 4, 1, 1);
    (void) told();
    (void) cdc_meta_each_database(&m, on_each_database, NULL);
    is_str(told(), "default d9 d12 d200 ", "databases, by age");
    ok(cdc_meta_database(&m, 9, 0) == m.dbs[1]
       && cdc_meta_database(&m, 200, 0) == m.dbs[3]
       && cdc_meta_database(&m, 1, 0) == m.dbs[0]
       && cdc_meta_database(&m, 12, 0) == m.dbs[2], "each is found");
    ok(cdc_meta_database(&m, 0, 0) == NULL
       && cdc_meta_database(&m, 10, 0) == NULL
       && cdc_meta_database(&m, 201, 0) == NULL, "and no other");

    cdc_meta_destroy(&m);
}


static void
test_databases(void)
{
    static const sample_t  list[] = {
        { 0, 0, "root-coord/database/db-info/1", V("\022\007default\030\001") },
        { 0, 0, "root-coord/database/db-info/5", V("\022\002d5\030\005 \003") }
    };

    start();
    feed(CDC_ETCD_LIST, &default_db, 1, 1, 1);
    drop_databases(1000);
    is_int((int64_t) m.ndbs, 1, "of 1000 databases none is left");

    (void) life(54, 91);
    drop_databases(1);
    is_int((int64_t) m.ndbs, 2, "nor another, but those that are there");
    (void) life(92, 104);
    is_str(life(110, 110), "-db:d1 ", "a collection's database goes");
    drop_databases(10);
    is_int((int64_t) m.ndbs, 2, "and is remembered for its name");
    ok(named("d1", "c1c", 470621687142154242) == cdc_meta_by_id(&m, C1)
       && named("d1", "al2", 470621687535108101) == cdc_meta_by_id(&m, C1),
       "by which it is found, and its alias");

    feed(CDC_ETCD_LIST, &default_db, 1, 1, 1);
    forget_gone();
    feed(CDC_ETCD_LIST, &default_db, 1, 1, 1);
    drop_databases(1);
    is_int((int64_t) m.ndbs, 1, "as long as that is");

    /* a later Milvus's, which has its key while it is being dropped */

    feed(CDC_ETCD_LIST, list, 2, 1, 1);
    drop_databases(1);
    is_int((int64_t) m.ndbs, 2, "one that is being dropped is kept");
    (void) one(1, "root-coord/database/db-info/5", V(""));
    drop_databases(1);
    is_int((int64_t) m.ndbs, 1, "until its key goes");

    cdc_meta_destroy(&m);
}


int
main(void)
{
    cdc_log_init("", NULL, CDC_LOG_ERR);

    test_life();
    test_swap();
    test_relist();
    test_no_history();
    test_alias_first();
    test_old_key();
    test_bounded();
    test_history();
    test_unread();
    test_order();
    test_databases();

    return done_testing();
}
