/*
 * Users, roles, privileges: when the request has extra_info.enable_user_role.
 *
 * They have no timestamps: etcd's order among themselves, beside the data.
 * Each user, role, membership or grant is an entry; "applied" (durable) says
 * what the target has because of us, "wanted" what the source has.  What
 * differs is asked of the target, one entry after the other in the order in
 * which they came, on the ops thread; each call makes something so and may
 * be repeated.  Only what was applied is ever taken away: users and roles of
 * the target's own stay.  An entry that neither side has is forgotten.
 *
 * An entry that cannot be applied does not hold up the others: a user whose
 * password cannot be carried (Milvus 2.3) is named in the task's status, and
 * tried again every few seconds with all that depends on it, so that it
 * follows by itself once an operator has made it.
 *
 * A password's hash is kept in memory until the user has been applied, and
 * nowhere else.
 */

#include "cdc_replicator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CDC_RBAC_RETRY_MS  5000          /* what was refused */


typedef struct cdc_rbac_entry_s  cdc_rbac_entry_t;

struct cdc_rbac_entry_s {
    cdc_rbac_entry_t   *next;            /* in order of the last change */
    char               *key;             /* what it is, as one string */
    cdc_meta_rbac_t     what;            /* strings are our own */
    char                why[CDC_REASON_MAX];     /* not applied */
    unsigned            wanted:1;
    unsigned            applied:1;
    unsigned            tried:1;         /* in this round */
    unsigned            again:1;         /* changed: ask even if applied */
    unsigned            asked:1;         /* maybe applied; durable before it
                                          * is asked for */
    unsigned            dirty:1;
};

struct cdc_rbac_s {
    cdc_repl_t         *repl;
    cdc_rbac_entry_t   *entries, **last;
    cdc_rbac_entry_t   *current;         /* with the ops thread */
    unsigned            current_gone:1;
    unsigned            looking:1;       /* not all of the source's seen */
    cdc_job_t           job;
    cdc_timer_t         timer;
    cdc_post_t          post;
    int                 rc;
    cdc_target_error_t  error;
};


static void cdc_rbac_next(cdc_rbac_t *rb);


/* ---- entries ---- */

static char *
cdc_rbac_copy(const char *s)
{
    return s ? strdup(s) : NULL;
}


static void
cdc_rbac_entry_free(cdc_rbac_entry_t *e)
{
    unsigned  i;

    if (e->what.password_hash) {
        explicit_bzero((char *) e->what.password_hash,
                       strlen(e->what.password_hash));
    }

    for (i = 0; i < e->what.nprivileges; i++) {
        free((char *) e->what.privileges[i]);
    }

    free((char *) e->what.password_hash);
    free((char **) e->what.privileges);
    free((char *) e->what.user);
    free((char *) e->what.role);
    free((char *) e->what.group);
    free((char *) e->what.object_type);
    free((char *) e->what.db);
    free((char *) e->what.object);
    free((char *) e->what.privilege);
    free((char *) e->what.grantor);
    free(e->key);
    free(e);
}


static int
cdc_rbac_entry_copy(cdc_meta_rbac_t *to, const cdc_meta_rbac_t *from)
{
    unsigned      i;
    const char  **list;

    memset(to, 0, sizeof(cdc_meta_rbac_t));

    to->kind = from->kind;
    to->user = cdc_rbac_copy(from->user);
    to->role = cdc_rbac_copy(from->role);
    to->group = cdc_rbac_copy(from->group);
    to->object_type = cdc_rbac_copy(from->object_type);
    to->db = cdc_rbac_copy(from->db);
    to->object = cdc_rbac_copy(from->object);
    to->privilege = cdc_rbac_copy(from->privilege);
    to->grantor = cdc_rbac_copy(from->grantor);
    to->password_hash = cdc_rbac_copy(from->password_hash);

    list = calloc(from->nprivileges + 1, sizeof(char *));
    if (list == NULL) {
        return CDC_ERROR;
    }

    for (i = 0; i < from->nprivileges; i++) {
        list[i] = cdc_rbac_copy(from->privileges[i]);
    }

    to->privileges = list;
    to->nprivileges = from->nprivileges;

    return CDC_OK;
}


/* lengths make it unique, whatever characters the names have */

static char *
cdc_rbac_key(const cdc_meta_rbac_t *w)
{
    char        *key;
    size_t       i, n, len;
    const char  *part[7];

    part[0] = w->user;
    part[1] = w->role;
    part[2] = w->group;
    part[3] = w->object_type;
    part[4] = w->db;
    part[5] = w->object;
    part[6] = w->privilege;

    for (i = 0, len = 16; i < 7; i++) {
        len += 16 + (part[i] ? strlen(part[i]) : 0);
    }

    key = malloc(len);
    if (key == NULL) {
        return NULL;
    }

    n = (size_t) snprintf(key, len, "%d", (int) w->kind);

    for (i = 0; i < 7; i++) {
        if (part[i]) {
            n += (size_t) snprintf(key + n, len - n, "/%zu:%s",
                                   strlen(part[i]), part[i]);
        } else {
            n += (size_t) snprintf(key + n, len - n, "/");
        }
    }

    return key;
}


static void
cdc_rbac_link(cdc_rbac_t *rb, cdc_rbac_entry_t *e)
{
    e->next = NULL;
    *rb->last = e;
    rb->last = &e->next;
}


static void
cdc_rbac_unlink(cdc_rbac_t *rb, cdc_rbac_entry_t *e)
{
    cdc_rbac_entry_t  **p;

    for (p = &rb->entries; *p != e; p = &(*p)->next) { /* void */ }

    *p = e->next;

    if (rb->last == &e->next) {
        rb->last = p;
    }
}


static cdc_rbac_entry_t *
cdc_rbac_find(cdc_rbac_t *rb, const char *key)
{
    cdc_rbac_entry_t  *e;

    for (e = rb->entries; e; e = e->next) {
        if (strcmp(e->key, key) == 0) {
            return e;
        }
    }

    return NULL;
}


static cdc_rbac_entry_t *
cdc_rbac_add(cdc_rbac_t *rb, const cdc_meta_rbac_t *what)
{
    char              *key;
    cdc_rbac_entry_t  *e;

    key = cdc_rbac_key(what);
    if (key == NULL) {
        return NULL;
    }

    e = cdc_rbac_find(rb, key);

    if (e) {
        free(key);
        return e;
    }

    e = calloc(1, sizeof(cdc_rbac_entry_t));

    if (e == NULL || cdc_rbac_entry_copy(&e->what, what) != CDC_OK) {
        free(key);
        free(e);
        return NULL;
    }

    e->key = key;
    cdc_rbac_link(rb, e);

    return e;
}


static cdc_rbac_t *
cdc_rbac_get(cdc_repl_t *r)
{
    cdc_rbac_t  *rb;

    if (r->rbac) {
        return r->rbac;
    }

    rb = calloc(1, sizeof(cdc_rbac_t));

    if (rb) {
        rb->repl = r;
        rb->last = &rb->entries;
        r->rbac = rb;
    }

    return rb;
}


/* ---- on the target ---- */

/* names as they are there */

static int
cdc_rbac_mapped(const cdc_rbac_t *rb, cdc_meta_rbac_t *w)
{
    const char             *db;
    const cdc_selection_t  *s;

    s = rb->repl->selection;
    *w = rb->current->what;
    w->gone = rb->current_gone;

    if (w->kind != CDC_META_GRANT || w->db == NULL
        || strcmp(w->db, "*") == 0)
    {
        return CDC_OK;
    }

    db = w->db;
    w->db = cdc_selection_target_db(s, db);

    if (w->object_type && strcmp(w->object_type, "Collection") == 0
        && w->object && strcmp(w->object, "*") != 0)
    {
        w->object = cdc_selection_target_name(s, db, w->object);
    }

    return CDC_OK;
}


/* [ops thread]; the entry is left alone while it is "current" */

static void
cdc_rbac_run(cdc_job_t *job)
{
    cdc_rbac_t       *rb = job->data;
    cdc_meta_rbac_t   what;

    memset(&rb->error, 0, sizeof(cdc_target_error_t));

    (void) cdc_rbac_mapped(rb, &what);

    rb->rc = rb->repl->target_ops->rbac(rb->repl->target, &what, &rb->error);
}


/* names of users as far as there is room, the last ones as a number */

static size_t
cdc_rbac_names(cdc_rbac_t *rb, char *text, size_t size)
{
    size_t             n, len, left;
    cdc_rbac_entry_t  *e;

    n = len = left = 0;

    for (e = rb->entries; e; e = e->next) {
        if (e->what.kind != CDC_META_USER || e->why[0] == '\0'
            || !e->wanted)
        {
            continue;
        }

        n++;

        if (left || len + strlen(e->what.user) + 32 > size) {
            left++;
            continue;
        }

        len += (size_t) snprintf(text + len, size - len, "%s\"%s\"",
                                 len ? ", " : "", e->what.user);
    }

    if (left) {
        snprintf(text + len, size - len, " and %zu more", left);
    }

    return n;
}


/* what the status says: the users that are not there, or else the first that
 * cannot be applied, and how many */

static void
cdc_rbac_tell(cdc_rbac_t *rb)
{
    char               text[CDC_REASON_MAX], names[CDC_REASON_MAX / 2];
    size_t             n;
    cdc_rbac_entry_t  *e, *first;

    first = NULL;

    for (e = rb->entries, n = 0; e; e = e->next) {
        if (e->why[0]) {
            n++;

            if (first == NULL || (e->what.kind == CDC_META_USER
                                  && first->what.kind != CDC_META_USER))
            {
                first = e;
            }
        }
    }

    if (first == NULL) {
        cdc_repl_degraded(rb->repl, CDC_CAUSE_USERS, NULL);
        return;
    }

    if (cdc_rbac_names(rb, names, sizeof(names)) > 1) {
        snprintf(text, sizeof(text), "the passwords of the users %s cannot be "
                 "carried to this target: create them there with their "
                 "passwords; their roles follow by themselves", names);

    } else if (n == 1) {
        snprintf(text, sizeof(text), "%s", first->why);

    } else {
        snprintf(text, sizeof(text), "%.900s (and %zu more that follow from "
                 "this or wait as well)", first->why, n - 1);
    }

    cdc_repl_degraded(rb->repl, CDC_CAUSE_USERS, text);
}


static void
cdc_rbac_timer(cdc_timer_t *tm)
{
    cdc_rbac_t        *rb = tm->data;
    cdc_rbac_entry_t  *e;

    for (e = rb->entries; e; e = e->next) {
        e->tried = 0;
    }

    cdc_rbac_next(rb);
}


/* a user's hash has done its service */

static void
cdc_rbac_forget_secret(cdc_rbac_entry_t *e)
{
    if (e->what.password_hash) {
        explicit_bzero((char *) e->what.password_hash,
                       strlen(e->what.password_hash));
        free((char *) e->what.password_hash);
        e->what.password_hash = NULL;
    }
}


/* surely not so, or nobody knows: in either case once more, later */

static void
cdc_rbac_failed(cdc_rbac_t *rb, cdc_rbac_entry_t *e)
{
    e->tried = 1;
    e->again = !rb->current_gone;
    rb->repl->status.retries++;

    snprintf(e->why, sizeof(e->why), "%s", rb->error.text);

    if (!e->applied && rb->error.class != CDC_TARGET_RETRY
        && rb->error.class != CDC_TARGET_DOUBT)
    {
        e->asked = 0;
        e->dirty = 1;
    }
}


static void
cdc_rbac_done(cdc_job_t *job)
{
    cdc_repl_t        *r;
    cdc_rbac_t        *rb = job->data;
    cdc_rbac_entry_t  *e;

    r = rb->repl;
    e = rb->current;
    rb->current = NULL;

    if (r->stopping || r->failed) {
        return;
    }

    if (rb->rc == CDC_OK) {
        e->applied = !rb->current_gone;
        e->asked = 0;
        e->dirty = 1;
        e->why[0] = '\0';
        cdc_repl_operation(r, e->what.user ? "User" : "Role",
                           e->what.user ? e->what.user
                           : e->what.role ? e->what.role : e->what.group);
        cdc_rbac_forget_secret(e);
        cdc_checkpoint_soon(r);

        cdc_log(CDC_LOG_INFO, 0, "%s \"%s\" on the target: %s",
                e->what.kind == CDC_META_USER ? "user"
                : e->what.kind == CDC_META_USER_ROLE ? "membership of"
                : e->what.kind == CDC_META_PRIVILEGE_GROUP
                  ? "privilege group" : "role",
                e->what.user ? e->what.user
                : e->what.role ? e->what.role : e->what.group,
                rb->current_gone ? "gone" : "there");

    } else {
        cdc_rbac_failed(rb, e);
    }

    cdc_rbac_next(rb);
}


/* a crash must know what the target may have because of us */

static void
cdc_rbac_durable(void *arg)
{
    cdc_rbac_t  *rb = arg;

    rb->job.run = cdc_rbac_run;
    rb->job.done = cdc_rbac_done;
    rb->job.data = rb;

    cdc_worker_submit(rb->repl->ops_worker, &rb->job);
}


static int
cdc_rbac_due(const cdc_rbac_entry_t *e)
{
    return !e->tried && (e->wanted != e->applied || (e->wanted && e->again)
                         || (!e->wanted && e->asked));
}


/* neither here nor there: what came and went must not add up */

static void
cdc_rbac_forget(cdc_rbac_t *rb)
{
    cdc_rbac_entry_t  *e, *next;

    for (e = rb->entries; e; e = next) {
        next = e->next;

        if (e->wanted || e->applied || e->asked) {
            continue;
        }

        cdc_forget_key(rb->repl, "rbac/", e->key);
        cdc_checkpoint_soon(rb->repl);
        cdc_rbac_unlink(rb, e);
        cdc_rbac_entry_free(e);
    }
}


static void
cdc_rbac_next(cdc_rbac_t *rb)
{
    cdc_rbac_entry_t  *e;

    if (rb->current || rb->looking || rb->repl->stopping || rb->repl->failed) {
        return;
    }

    for (e = rb->entries; e && !cdc_rbac_due(e); e = e->next) { /* void */ }

    if (e == NULL) {
        cdc_rbac_forget(rb);
        cdc_rbac_tell(rb);

        for (e = rb->entries; e; e = e->next) {
            if (e->tried && rb->timer.slot == 0) {
                rb->timer.handler = cdc_rbac_timer;
                rb->timer.data = rb;
                cdc_timer_add(rb->repl->loop, &rb->timer, CDC_RBAC_RETRY_MS);
            }
        }

        return;
    }

    e->again = 0;
    rb->current = e;
    rb->current_gone = !e->wanted;

    if (e->asked) {
        cdc_rbac_durable(rb);
        return;
    }

    e->asked = 1;
    e->dirty = 1;

    if (cdc_checkpoint_barrier(rb->repl, cdc_rbac_durable, rb) != CDC_OK) {
        cdc_repl_no_memory();
    }
}


/* ---- what the source says ---- */

/* a password that changes, or a group's privileges, is one entry's matter */

static int
cdc_rbac_renew(cdc_rbac_t *rb, cdc_rbac_entry_t *e, const cdc_meta_rbac_t *w)
{
    cdc_meta_rbac_t    copy;
    cdc_rbac_entry_t  *old;

    if (e == rb->current) {
        return CDC_OK;                   /* it is as new as can be */
    }

    old = calloc(1, sizeof(cdc_rbac_entry_t));

    if (old == NULL || cdc_rbac_entry_copy(&copy, w) != CDC_OK) {
        free(old);
        return CDC_ERROR;
    }

    old->what = e->what;
    e->what = copy;
    cdc_rbac_entry_free(old);

    return CDC_OK;
}


void
cdc_rbac_changed(cdc_repl_t *r, const cdc_meta_rbac_t *what)
{
    cdc_rbac_t        *rb;
    cdc_rbac_entry_t  *e;

    if (!cdc_selection_rbac(r->selection)) {
        return;
    }

    rb = cdc_rbac_get(r);
    e = rb ? cdc_rbac_add(rb, what) : NULL;

    if (e == NULL
        || (!what->gone && cdc_rbac_renew(rb, e, what) != CDC_OK))
    {
        cdc_repl_no_memory();
    }

    e->again = e->wanted && !what->gone;
    e->wanted = !what->gone;
    e->tried = 0;
    e->why[0] = '\0';

    if (e != rb->current) {
        cdc_rbac_unlink(rb, e);
        cdc_rbac_link(rb, e);
    }

    if (r->running) {
        cdc_rbac_next(rb);
    }
}


static int
cdc_rbac_each(void *arg, const cdc_meta_rbac_t *what)
{
    cdc_repl_t        *r = arg;
    char              *key;
    cdc_rbac_entry_t  *e;

    key = cdc_rbac_key(what);
    e = key && r->rbac ? cdc_rbac_find(r->rbac, key) : NULL;
    free(key);

    if (e && e->applied && !e->again
        && what->kind != CDC_META_PRIVILEGE_GROUP)
    {
        e->wanted = 1;                   /* as it was when we stopped */
        return CDC_OK;
    }

    if (e) {
        e->wanted = e->applied;          /* what is in it may have changed */
    }

    cdc_rbac_changed(r, what);

    return r->failed ? CDC_ERROR : CDC_OK;
}


int
cdc_rbac_start(cdc_repl_t *r)
{
    int                rc;
    cdc_rbac_t        *rb;
    cdc_rbac_entry_t  *e;

    if (!cdc_selection_rbac(r->selection)) {
        return CDC_OK;
    }

    rb = cdc_rbac_get(r);
    if (rb == NULL) {
        return CDC_ERROR;
    }

    for (e = rb->entries; e; e = e->next) {
        e->wanted = 0;
    }

    /* one that has not been met yet must not be taken for one that is gone */

    rb->looking = 1;
    rc = cdc_meta_each_rbac(r->meta, cdc_rbac_each, r);
    rb->looking = 0;

    if (rc != CDC_OK) {
        return CDC_ERROR;
    }

    cdc_rbac_next(rb);

    return CDC_OK;
}


/* ---- what is durable ---- */

static void
cdc_rbac_put_list(json_t *json, const cdc_meta_rbac_t *w)
{
    unsigned   i;
    json_t    *list;

    list = json_array();

    for (i = 0; i < w->nprivileges; i++) {
        (void) json_array_append_new(list, json_string(w->privileges[i]));
    }

    (void) json_object_set_new(json, "privileges", list);
}


void
cdc_rbac_save(cdc_repl_t *r, int all,
    void (*put)(void *arg, const char *key, json_t *value), void *arg)
{
    json_t            *json;
    cdc_rbac_entry_t  *e;

    for (e = r->rbac ? r->rbac->entries : NULL; e; e = e->next) {
        if (!e->dirty && !all) {
            continue;
        }

        e->dirty = 0;

        json = json_pack("{s:i,s:b,s:s*,s:s*,s:s*,s:s*,s:s*,s:s*,s:s*,s:s*,"
                         "s:b}",
                         "kind", (int) e->what.kind, "applied", e->applied,
                         "user", e->what.user, "role", e->what.role,
                         "group", e->what.group,
                         "object_type", e->what.object_type,
                         "db", e->what.db, "object", e->what.object,
                         "privilege", e->what.privilege,
                         "grantor", e->what.grantor, "asked", e->asked);

        cdc_rbac_put_list(json, &e->what);
        put(arg, e->key, json);
    }
}


void
cdc_rbac_dirty(cdc_repl_t *r)
{
    cdc_rbac_entry_t  *e;

    for (e = r->rbac ? r->rbac->entries : NULL; e; e = e->next) {
        e->dirty = 1;
    }
}


int
cdc_rbac_load(cdc_repl_t *r, const char *key, const json_t *json)
{
    int                kind, applied, asked;
    cdc_rbac_t        *rb;
    cdc_meta_rbac_t    w;
    cdc_rbac_entry_t  *e;

    (void) key;

    memset(&w, 0, sizeof(cdc_meta_rbac_t));

    if (json_unpack((json_t *) json,
                    "{s:i,s:b,s?s,s?s,s?s,s?s,s?s,s?s,s?s,s?s,s:b}",
                    "kind", &kind, "applied", &applied, "user", &w.user,
                    "role", &w.role, "group", &w.group,
                    "object_type", &w.object_type, "db", &w.db,
                    "object", &w.object, "privilege", &w.privilege,
                    "grantor", &w.grantor, "asked", &asked) != 0)
    {
        return CDC_ERROR;
    }

    w.kind = (cdc_meta_rbac_e) kind;
    rb = cdc_rbac_get(r);
    e = rb ? cdc_rbac_add(rb, &w) : NULL;

    if (e == NULL) {
        return CDC_ERROR;
    }

    e->applied = applied;
    e->asked = asked;
    e->again = asked;                    /* maybe: nobody has heard */

    return CDC_OK;
}


int
cdc_rbac_busy(cdc_repl_t *r)
{
    return r->rbac->current != NULL;
}


void
cdc_rbac_free(cdc_repl_t *r)
{
    cdc_rbac_entry_t  *e;

    if (r->rbac == NULL) {
        return;
    }

    cdc_timer_del(r->loop, &r->rbac->timer);

    while (r->rbac->entries) {
        e = r->rbac->entries;
        r->rbac->entries = e->next;
        cdc_rbac_entry_free(e);
    }

    free(r->rbac);
    r->rbac = NULL;
}
