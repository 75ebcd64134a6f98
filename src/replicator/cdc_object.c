/*
 * Collections and partitions that the task follows: source id -> target id.
 *
 * A collection is NEW when the catalogue shows it, CREATING once the intent
 * is durable, LIVE when the target's ids are known, GONE when the target has
 * dropped it.  A crash while CREATING finds either nothing on the target, or
 * a collection that is ours because the intent was written first; without
 * the intent, what is found there is somebody else's (adopted).  GONE ones
 * are kept for a while: the log may still hold rows of theirs, which are
 * skipped.  How long, and why no longer: cdc_forget.c.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static void cdc_coll_ignore_partitions(cdc_coll_t *c);


/* ids are timestamps: neighbours in time must not share a chain */

static cdc_coll_t **
cdc_coll_chain(cdc_repl_t *r, int64_t id)
{
    return &r->coll_ids[((uint64_t) id * 0x9e3779b97f4a7c15ULL)
                        >> (64 - CDC_COLL_ID_BITS)];
}


/* asked for each message */

cdc_coll_t *
cdc_coll_by_id(cdc_repl_t *r, int64_t id)
{
    cdc_coll_t  *c;

    for (c = *cdc_coll_chain(r, id); c; c = c->next_id) {
        if (c->id == id) {
            return c;
        }
    }

    return NULL;
}


int
cdc_coll_bound(const cdc_coll_t *c)
{
    return c->state == CDC_COLL_LIVE || c->state == CDC_COLL_DROPPING;
}


cdc_coll_t *
cdc_coll_alloc(cdc_repl_t *r, const char *db, const char *name,
    const char *target_db, const char *target_name, unsigned nshards)
{
    unsigned     i;
    cdc_coll_t  *c;

    c = calloc(1, sizeof(cdc_coll_t));
    if (c == NULL) {
        return NULL;
    }

    c->repl = r;
    c->db = strdup(db);
    c->name = strdup(name);
    c->target_db = strdup(target_db);
    c->target_name = strdup(target_name);
    c->shards = calloc(nshards ? nshards : 1, sizeof(cdc_shard_t));

    if (c->db == NULL || c->name == NULL || c->target_db == NULL
        || c->target_name == NULL || c->shards == NULL)
    {
        cdc_coll_free(c);
        return NULL;
    }

    for (i = 0; i < nshards; i++) {
        c->shards[i].coll = c;
    }

    c->nshards = nshards;
    c->dirty = 1;

    return c;
}


/* a tick is for the shards of its channel, and looks at those that share a
 * lane with them: neither looks through all collections */

static void
cdc_coll_feed(cdc_shard_t *shard)
{
    shard->next_feeder = shard->lane->feeders;
    shard->lane->feeders = shard;
}


void
cdc_coll_link(cdc_coll_t *c)
{
    unsigned       i;
    cdc_coll_t   **chain;
    cdc_shard_t   *shard;

    c->next = c->repl->colls;
    c->repl->colls = c;

    chain = cdc_coll_chain(c->repl, c->id);
    c->next_id = *chain;
    *chain = c;

    for (i = 0; i < c->nshards; i++) {
        shard = &c->shards[i];
        shard->next = shard->ch->shards;
        shard->ch->shards = shard;

        if (shard->lane) {
            cdc_coll_feed(shard);
        }
    }
}


static void
cdc_coll_unfeed(cdc_shard_t *shard)
{
    cdc_shard_t  **link;

    for (link = &shard->ch->shards; *link != shard; link = &(*link)->next) {
        /* void */
    }

    *link = shard->next;

    if (shard->lane == NULL) {
        return;
    }

    for (link = &shard->lane->feeders; *link != shard;
         link = &(*link)->next_feeder)
    {
        /* void */
    }

    *link = shard->next_feeder;
}


void
cdc_coll_unchain(cdc_coll_t *c)
{
    unsigned      i;
    cdc_coll_t  **chain;

    for (chain = cdc_coll_chain(c->repl, c->id); *chain != c;
         chain = &(*chain)->next_id)
    {
        /* void */
    }

    *chain = c->next_id;

    for (i = 0; i < c->nshards; i++) {
        cdc_coll_unfeed(&c->shards[i]);
    }
}


cdc_part_t *
cdc_coll_part_add(cdc_coll_t *c, int64_t id, const char *name, uint64_t ts)
{
    cdc_part_t  *parts;

    parts = realloc(c->parts, (c->nparts + 1) * sizeof(cdc_part_t));
    if (parts == NULL) {
        return NULL;
    }

    c->parts = parts;
    parts += c->nparts;

    memset(parts, 0, sizeof(cdc_part_t));
    parts->name = strdup(name);

    if (parts->name == NULL) {
        return NULL;
    }

    parts->id = id;
    parts->created_ts = ts;
    c->nparts++;
    c->dirty = 1;

    return parts;
}


cdc_part_t *
cdc_coll_part(cdc_coll_t *c, int64_t id)
{
    unsigned  i;

    for (i = 0; i < c->nparts; i++) {
        if (c->parts[i].id == id) {
            return &c->parts[i];
        }
    }

    return NULL;
}


cdc_coll_t *
cdc_coll_add(cdc_repl_t *r, const cdc_meta_collection_t *m)
{
    unsigned     i;
    cdc_coll_t  *c;

    c = cdc_coll_alloc(r, m->db, m->name,
                       cdc_selection_target_db(r->selection, m->db),
                       cdc_selection_target_name(r->selection, m->db,
                                                 m->name), m->nshards);
    if (c == NULL) {
        return NULL;
    }

    c->id = m->id;
    c->create_ts = m->create_ts;
    c->pk_field_id = m->pk_field_id;
    c->num_partitions = m->num_partitions;

    for (i = 0; i < m->nshards; i++) {
        c->shards[i].source_vchannel = strdup(m->shards[i].vchannel);
        c->shards[i].ch = cdc_channel_get(r, m->shards[i].pchannel);

        if (c->shards[i].source_vchannel == NULL || c->shards[i].ch == NULL) {
            cdc_coll_free(c);
            return NULL;
        }

        if (m->shards[i].start_id.len == 0) {
            cdc_repl_fail(r, "the source's metadata do not say where the "
                          "collection \"%s.%s\" begins in the channel \"%s\": "
                          "create the task without it "
                          "(\"exclude_collections\")", m->db, m->name,
                          m->shards[i].pchannel);
            cdc_coll_free(c);
            return NULL;
        }

        if (r->reader_ops->parse_id(m->shards[i].start_id,
                                    &c->shards[i].start) != CDC_OK)
        {
            cdc_repl_fail(r, "the collection \"%s.%s\" begins in the channel "
                          "\"%s\" at a place that is not one of %s: see "
                          "mq.type of the source's milvus.yaml; a source on "
                          "Pulsar, or on Woodpecker (Milvus 2.6), cannot be "
                          "followed", m->db, m->name, m->shards[i].pchannel,
                          r->reader_ops->name);
            cdc_coll_free(c);
            return NULL;
        }
    }

    cdc_coll_refresh(c, m);
    cdc_coll_link(c);

    return c;
}


/*
 * Partitions that the catalogue has and we do not.  One that we have is made
 * on the target even if the source has dropped it since: it may be there
 * already, and its drop lies ahead in the log.
 */

void
cdc_coll_refresh(cdc_coll_t *c, const cdc_meta_collection_t *m)
{
    unsigned                     i;
    const cdc_meta_partition_t  *p;

    for (i = 0; i < m->npartitions; i++) {
        p = &m->partitions[i];

        /* without its partition a row would be taken for one of nobody's */

        if (!p->gone && !p->dropping && cdc_coll_part(c, p->id) == NULL
            && cdc_coll_part_add(c, p->id, p->name, p->created_ts) == NULL)
        {
            cdc_repl_no_memory();
        }
    }

    if (c->state == CDC_COLL_LIVE) {
        cdc_coll_ignore_partitions(c);
    }
}


void
cdc_coll_part_forget(cdc_coll_t *c, unsigned i)
{
    free(c->parts[i].name);
    c->nparts--;
    memmove(&c->parts[i], &c->parts[i + 1],
            (c->nparts - i) * sizeof(cdc_part_t));
    c->dirty = 1;
}


/* with "ignore_partition", what the target has no partition for goes to the
 * default one */

static void
cdc_coll_ignore_partitions(cdc_coll_t *c)
{
    int64_t   id;
    unsigned  i;

    if (!cdc_selection_ignore_partition(c->repl->selection)) {
        return;
    }

    for (i = 0, id = 0; i < c->nparts; i++) {
        if (strcmp(c->parts[i].name, "_default") == 0) {
            id = c->parts[i].target_id;
        }
    }

    for (i = 0; i < c->nparts; i++) {
        if (c->parts[i].target_id == 0) {
            c->parts[i].target_id = id;
        }
    }
}


/*
 * A create refuses a target that is its own source, as far as etcd answers it;
 * here nobody can go round that.  What would be followed then is its own
 * echo, for ever.
 */

static int
cdc_coll_itself(const cdc_coll_t *c, const cdc_target_collection_t *t)
{
    unsigned                      i, n;
    const cdc_meta_collection_t  *m;

    m = c->repl->meta ? cdc_meta_by_id(c->repl->meta, c->id) : NULL;

    if (m == NULL || t->id != c->id || t->created_ts != m->create_ts
        || t->nshards != c->nshards)
    {
        return 0;
    }

    for (i = 0; i < c->nshards; i++) {
        for (n = 0; n < t->nshards; n++) {
            if (strcmp(c->shards[i].source_vchannel, t->vchannels[n]) == 0) {
                break;
            }
        }

        if (n == t->nshards) {
            return 0;
        }
    }

    return 1;
}


int
cdc_coll_bind(cdc_coll_t *c, const cdc_target_collection_t *t, char *err)
{
    unsigned      i, n;
    cdc_shard_t  *shard;

    if (cdc_coll_itself(c, t)) {
        snprintf(err, CDC_REASON_MAX, "the target %.512s is the source "
                 "cluster itself: delete the task, and create it with "
                 "another target, or at the location of the other source",
                 c->repl->target_conf.identity);
        return CDC_ERROR;
    }

    if (t->nshards != c->nshards) {
        snprintf(err, CDC_REASON_MAX, "the target's collection \"%s.%s\" has "
                 "%u shards, the source's has %u: drop it on the target, or "
                 "create it there with the same schema", c->target_db,
                 c->target_name, t->nshards, c->nshards);
        return CDC_ERROR;
    }

    if (c->target_id && c->target_id != t->id) {
        snprintf(err, CDC_REASON_MAX, "the target's collection \"%s.%s\" was "
                 "dropped and made again by somebody else: drop it there, "
                 "delete the task and create it again", c->target_db,
                 c->target_name);
        return CDC_ERROR;
    }

    c->target_id = t->id;

    for (i = 0; i < c->nshards; i++) {
        shard = &c->shards[i];

        if (shard->target_vchannel == NULL) {
            shard->target_vchannel = strdup(t->vchannels[i]);
            shard->lane = cdc_lane_get(c->repl, t->pchannels[i]);

            if (shard->target_vchannel == NULL || shard->lane == NULL) {
                snprintf(err, CDC_REASON_MAX, "out of memory");
                return CDC_ERROR;
            }

            cdc_coll_feed(shard);
        }
    }

    for (i = 0; i < c->nparts; i++) {
        if (c->parts[i].target_id || c->parts[i].gone
            || cdc_part_name_taken(c, &c->parts[i]))
        {
            continue;
        }

        for (n = 0; n < t->npartitions; n++) {
            if (strcmp(t->partitions[n].name, c->parts[i].name) == 0) {
                c->parts[i].target_id = t->partitions[n].id;
            }
        }
    }

    cdc_coll_ignore_partitions(c);
    c->dirty = 1;

    return CDC_OK;
}


int
cdc_coll_start(cdc_coll_t *c)
{
    unsigned      i;
    cdc_shard_t  *shard;

    for (i = 0; i < c->nshards; i++) {
        shard = &c->shards[i];

        if (!shard->started && (c->state != CDC_COLL_GONE || shard->owed)) {
            shard->started = 1;

            if (cdc_pos_cmp(shard->listed, shard->ch->listed) > 0) {
                shard->ch->listed = shard->listed;
            }

            cdc_channel_start(shard->ch, shard->start);
        }
    }

    return CDC_OK;
}


/* a shard that the target's drop message is owed to still needs its channel:
 * a crash may come between the drop and its message */

static void
cdc_coll_leave(cdc_coll_t *c)
{
    unsigned      i;
    cdc_shard_t  *shard;

    for (i = 0; i < c->nshards; i++) {
        shard = &c->shards[i];

        if (shard->started && !shard->owed) {
            shard->started = 0;
            shard->ch->users--;
        }

        if (shard->lane) {
            cdc_lane_tick(shard->lane);
        }
    }
}


void
cdc_coll_gone(cdc_coll_t *c)
{
    c->state = CDC_COLL_GONE;
    c->dirty = 1;

    cdc_coll_leave(c);
    cdc_alias_coll_gone(c);
    cdc_drift_gone(c);
}


void
cdc_coll_last_ticks(cdc_repl_t *r)
{
    unsigned     i;
    cdc_coll_t  *c;

    for (c = r->colls; c; c = c->next) {
        for (i = 0; i < c->nshards; i++) {
            if (c->state == CDC_COLL_GONE && c->shards[i].farewell
                && c->shards[i].lane)
            {
                cdc_lane_tick(c->shards[i].lane);
            }
        }
    }
}


void
cdc_coll_parted(cdc_coll_t *c, const cdc_channel_t *ch)
{
    unsigned  i;

    for (i = 0; i < c->nshards; i++) {
        if (c->shards[i].ch == ch && c->shards[i].owed) {
            c->shards[i].owed = 0;
            c->dirty = 1;
        }
    }

    if (c->state == CDC_COLL_GONE) {
        cdc_coll_leave(c);
    }
}


static int
cdc_coll_older_namesake(const cdc_coll_t *other, const cdc_coll_t *c)
{
    return other->id < c->id
           && strcmp(other->target_name, c->target_name) == 0
           && strcmp(other->target_db, c->target_db) == 0;
}


int
cdc_coll_name_taken(cdc_coll_t *c)
{
    cdc_coll_t  *other;

    for (other = c->repl->colls; other; other = other->next) {
        if (other->state != CDC_COLL_GONE
            && cdc_coll_older_namesake(other, c))
        {
            return 1;
        }
    }

    return cdc_coll_bearer(c->repl, c, c->target_db, c->target_name) != NULL;
}


cdc_coll_t *
cdc_coll_by_target(cdc_repl_t *r, int64_t target_id)
{
    cdc_coll_t  *c;

    for (c = r->colls; c; c = c->next) {
        if (c->target_id == target_id && c->state != CDC_COLL_GONE) {
            return c;
        }
    }

    return NULL;
}


/* a rename that is under way, or that a crash interrupted: either name */

static int
cdc_coll_bears(const cdc_coll_t *c, const char *target_db,
    const char *target_name)
{
    const cdc_selection_t  *s;

    if (strcmp(c->target_name, target_name) == 0
        && strcmp(c->target_db, target_db) == 0)
    {
        return 1;
    }

    s = c->repl->selection;

    return c->rename_name
           && strcmp(cdc_selection_target_name(s, c->rename_db,
                                               c->rename_name),
                     target_name) == 0
           && strcmp(cdc_selection_target_db(s, c->rename_db), target_db)
              == 0;
}


cdc_coll_t *
cdc_coll_bearer(cdc_repl_t *r, const cdc_coll_t *c, const char *target_db,
    const char *target_name)
{
    cdc_coll_t  *other;

    for (other = r->colls; other; other = other->next) {
        if (other != c && other->state != CDC_COLL_GONE
            && other->state != CDC_COLL_NEW
            && cdc_coll_bears(other, target_db, target_name))
        {
            return other;
        }
    }

    return NULL;
}


/* it has another name now; a copy of each, the old ones may be among them */

int
cdc_coll_named(cdc_coll_t *c, const char *db, const char *name,
    const char *target_db, const char *target_name)
{
    unsigned   i;
    char      *copy[4], **own[4];

    own[0] = &c->db;
    own[1] = &c->name;
    own[2] = &c->target_db;
    own[3] = &c->target_name;

    copy[0] = strdup(db);
    copy[1] = strdup(name);
    copy[2] = strdup(target_db);
    copy[3] = strdup(target_name);

    if (!copy[0] || !copy[1] || !copy[2] || !copy[3]) {
        for (i = 0; i < 4; i++) {
            free(copy[i]);
        }

        return CDC_ERROR;
    }

    for (i = 0; i < 4; i++) {
        free(*own[i]);
        *own[i] = copy[i];
    }

    free(c->rename_db);
    free(c->rename_name);
    c->rename_db = c->rename_name = NULL;
    c->dirty = 1;

    return CDC_OK;
}


int
cdc_coll_name_ends(cdc_coll_t *c)
{
    cdc_coll_t                   *other;
    const cdc_meta_collection_t  *m;

    if (c->state != CDC_COLL_NEW && c->state != CDC_COLL_CREATING) {
        return 0;
    }

    for (other = c->repl->colls; other; other = other->next) {
        if (other->state != CDC_COLL_LIVE
            || !cdc_coll_older_namesake(other, c)
            || cdc_op_pending_on(other, CDC_OP_DROP_COLLECTION))
        {
            continue;
        }

        m = cdc_meta_by_id(c->repl->meta, other->id);

        if (m == NULL || m->gone || m->dropping) {
            return 1;
        }
    }

    return 0;
}


int
cdc_part_name_taken(cdc_coll_t *c, const cdc_part_t *p)
{
    unsigned  i;

    for (i = 0; i < c->nparts; i++) {
        if (&c->parts[i] != p && c->parts[i].id < p->id
            && !c->parts[i].gone
            && strcmp(c->parts[i].name, p->name) == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
cdc_coll_free(cdc_coll_t *c)
{
    unsigned  i;

    for (i = 0; c->shards && i < c->nshards; i++) {
        free(c->shards[i].source_vchannel);
        free(c->shards[i].target_vchannel);
    }

    for (i = 0; i < c->nparts; i++) {
        free(c->parts[i].name);
    }

    free(c->shards);
    free(c->parts);
    free(c->db);
    free(c->name);
    free(c->target_db);
    free(c->target_name);
    cdc_blob_free(&c->schema);
    cdc_blob_free(&c->properties);
    cdc_blob_free(&c->load);
    free(c->drift);
    free(c->last.error);
    free(c->rename_db);
    free(c->rename_name);
    free(c);
}
