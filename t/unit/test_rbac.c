/*
 * Users and roles over several lives of a replicator: what could not be
 * carried stays named and is tried again, and nobody is forgotten because a
 * try failed or a process died in the middle.
 */

#include "cdc_replicator.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define ROUND_MS  6000                   /* more than one of cdc_rbac.c */


static char      reason[CDC_REASON_MAX];
static json_t   *saved;                  /* what LevelDB would have */
static unsigned  tries, gone_tries;
static unsigned  target_down, target_has, source_has;
static unsigned  source_abe, orderly;


/* ---- what the tested file calls ---- */

void
cdc_repl_degraded(cdc_repl_t *r, unsigned cause, const char *text)
{
    (void) r;

    if (cause == CDC_CAUSE_USERS) {
        (void) snprintf(reason, sizeof(reason), "%s", text ? text : "");
    }
}


void
cdc_repl_operation(cdc_repl_t *r, const char *name, const char *object)
{
    (void) name;
    (void) object;

    r->status.operations++;
}


void
cdc_repl_no_memory(void)
{
    abort();
}


void
cdc_repl_fail(cdc_repl_t *r, const char *fmt, ...)
{
    (void) fmt;

    r->failed = 1;
}


void
cdc_checkpoint_soon(cdc_repl_t *r)
{
    (void) r;
}


void
cdc_forget_key(cdc_repl_t *r, const char *kind, const char *name)
{
    (void) r;

    if (strcmp(kind, "rbac/") == 0) {
        (void) json_object_del(saved, name);
    }
}


static void
put(void *arg, const char *key, json_t *value)
{
    (void) arg;

    (void) json_object_set_new(saved, key, value);
}


int
cdc_checkpoint_barrier(cdc_repl_t *r, void (*done)(void *), void *arg)
{
    cdc_rbac_save(r, 0, put, NULL);
    done(arg);

    return CDC_OK;
}


int
cdc_selection_rbac(const cdc_selection_t *s)
{
    (void) s;

    return 1;
}


const char *
cdc_selection_target_db(const cdc_selection_t *s, const char *db)
{
    (void) s;

    return db;
}


const char *
cdc_selection_target_name(const cdc_selection_t *s, const char *db,
    const char *name)
{
    (void) s;
    (void) db;

    return name;
}


int
cdc_meta_each_rbac(cdc_meta_t *m,
    int (*fn)(void *arg, const cdc_meta_rbac_t *e), void *arg)
{
    cdc_meta_rbac_t  user;

    (void) m;

    if (!source_has) {
        return CDC_OK;
    }

    memset(&user, 0, sizeof(cdc_meta_rbac_t));
    user.kind = CDC_META_USER;
    user.password_hash = "the hash";

    if (source_abe) {
        user.user = "abe";

        if (fn(arg, &user) != CDC_OK) {
            return CDC_ERROR;
        }
    }
    user.user = "carol";
    user.password_hash = "the hash";

    return fn(arg, &user);
}


/* ---- the target ---- */

static int
rbac(cdc_target_t *t, const cdc_meta_rbac_t *e, cdc_target_error_t *err)
{
    (void) t;

    tries++;
    gone_tries += e->gone;

    if (target_down) {
        err->class = CDC_TARGET_RETRY;
        (void) snprintf(err->text, sizeof(err->text), "it is down");
        return CDC_ERROR;
    }

    if (target_has || e->gone) {
        return CDC_OK;
    }

    (void) snprintf(err->text, sizeof(err->text), "carol's password");

    return CDC_DECLINED;
}


static const cdc_target_ops_t  target = { .name = "test", .rbac = rbac };


/* ---- a process ---- */

static void
stop(cdc_timer_t *tm)
{
    cdc_loop_stop(tm->data);
}


static void
spin(cdc_repl_t *r, unsigned ms)
{
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(cdc_timer_t));
    tm.handler = stop;
    tm.data = r->loop;

    cdc_timer_add(r->loop, &tm, ms);
    (void) cdc_loop_run(r->loop);
}


/* killed in the end, unless orderly: what it did not save is lost */

static void
live(unsigned ms)
{
    json_t      *value;
    cdc_repl_t   r;
    const char  *key;

    memset(&r, 0, sizeof(cdc_repl_t));

    r.loop = cdc_loop_create();
    r.ops_worker = cdc_worker_create(r.loop, "ops");
    r.target_ops = &target;
    r.running = 1;

    json_object_foreach(saved, key, value) {
        if (cdc_rbac_load(&r, key, value) != CDC_OK) {
            abort();
        }
    }

    tries = gone_tries = 0;
    reason[0] = '\0';

    if (cdc_rbac_start(&r) != CDC_OK) {
        abort();
    }

    spin(&r, ms);

    if (orderly) {
        cdc_rbac_save(&r, 0, put, NULL);
    }

    cdc_worker_destroy(r.ops_worker);
    r.stopping = 1;
    cdc_rbac_free(&r);
    cdc_loop_destroy(r.loop);
}


int
main(void)
{
    saved = json_object();
    source_has = 1;

    live(200);
    is_str(reason, "carol's password", "a user that is not carried is named");

    live(200);
    is_str(reason, "carol's password", "and after a restart, too");

    target_has = 1;
    live(200);
    is_int(tries, 1, "made by the operator meanwhile, it is found");
    is_str(reason, "", "and no longer named");

    json_object_clear(saved);
    target_down = 1;
    live(200);
    is_int(tries, 1, "a target that is down is asked");

    live(ROUND_MS);
    ok(tries >= 2, "after a restart it is asked again and again");

    target_down = 0;
    live(200);
    is_int(tries, 1, "until it answers");

    /* asked for, nobody knows with what result; then the source drops it */

    json_object_clear(saved);
    target_down = 1;
    live(200);
    target_down = 0;
    source_has = 0;
    live(200);
    is_int(gone_tries, 1, "what may be there because of us is taken away");
    is_int((int64_t) json_object_size(saved), 0, "and forgotten");

    json_object_clear(saved);
    live(200);
    is_int(tries, 0, "what never was is not asked for");

    /* one that has come while the task was paused, and is told of first */

    json_object_clear(saved);
    source_has = 1;
    target_has = 1;
    orderly = 1;
    live(200);
    is_int(tries, 1, "carol is made");
    source_abe = 1;
    live(200);
    is_int(gone_tries, 0, "carol is not taken away because abe has come");
    is_int(tries, 1, "abe is made");

    json_decref(saved);

    return done_testing();
}
