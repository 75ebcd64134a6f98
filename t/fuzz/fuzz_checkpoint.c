/*
 * What a task's LevelDB holds (src/replicator/cdc_checkpoint.c).
 *
 * Input: keys and values in turn, each ended by a zero byte.  They are read as
 * at the start of a replicator, and written as at its end.  What it has written
 * it reads, and from then on it writes the same.
 */

#include "bare_replicator.h"
#include "cdc_parked.h"
#include "fuzz_db.h"


void _exit(int status);
int  LLVMFuzzerInitialize(int *argc, char ***argv);


static cdc_db_t  fuzz_given, fuzz_first, fuzz_then, fuzz_again;


/* instead of libc's: "no memory" is what a replicator says then */

void
_exit(int status)
{
    abort();
}


/* ---- instead of cdc_life.c, which looks at files --- */

int
cdc_life_begin(cdc_repl_t *r, char *err)
{
    return CDC_OK;
}


int
cdc_life_load(cdc_repl_t *r, const json_t *json)
{
    return json_is_string(json) ? CDC_OK : CDC_ERROR;
}


int
cdc_life_check(cdc_repl_t *r, char *err)
{
    return CDC_OK;
}


void
cdc_life_next(cdc_repl_t *r)
{
    r->life_next[0] = '\0';
}


void
cdc_life_moved(cdc_repl_t *r)
{
}


void
cdc_life_started(cdc_repl_t *r)
{
}


/* ---- lives of a task --- */

static void
fuzz_free(cdc_repl_t *r)
{
    void           *next;
    cdc_coll_t     *c;
    cdc_lane_t     *lane;
    cdc_alias_t    *a;
    cdc_dbase_t    *d;
    cdc_channel_t  *ch;

    for (lane = r->lanes; lane; lane = next) {
        next = lane->next;
        cdc_lane_free(lane);
    }

    for (ch = r->channels; ch; ch = next) {
        next = ch->next;
        cdc_channel_free(ch);
    }

    for (c = r->colls; c; c = next) {
        next = c->next;
        cdc_coll_free(c);
    }

    for (d = r->databases; d; d = next) {
        next = d->next;
        free(d->name);
        cdc_blob_free(&d->properties);
        free(d);
    }

    for (a = r->aliases; a; a = next) {
        next = a->next;
        free(a->db);
        free(a->name);
        free(a);
    }

    while (r->parking) {                 /* "next" is its first member */
        next = *(void **) r->parking;
        free(r->parking);
        r->parking = next;
    }

    cdc_rbac_free(r);
    cdc_track_free(&r->rtrack);
    cdc_timer_del(r->loop, &r->checkpoint_timer);
    bare_end(r);
}


/* reads "from", writes "to" */

static int
fuzz_life(cdc_db_t *from, cdc_db_t *to)
{
    int                 rc;
    char                err[CDC_REASON_MAX];
    cdc_coll_t         *c;

    static char         dir[] = "/dev/null";     /* nothing is in there */
    static cdc_repl_t   r;

    bare_begin(&r);
    r.dir = dir;
    err[0] = '\0';
    fuzz_db = from;

    rc = cdc_checkpoint_open(&r, err);
    fuzz_check(rc == CDC_OK || fuzz_is_text(err));

    if (rc == CDC_OK) {
        for (c = r.colls; c; c = c->next) {
            fuzz_check(cdc_coll_by_id(&r, c->id) != NULL);
            fuzz_check((unsigned) c->state <= CDC_COLL_DROPPING);
            c->counted = 1;
        }

        r.measure.clock = 0;             /* differs by what time it is */
        r.db = to;
        fuzz_check(cdc_checkpoint_last(&r) == CDC_OK);
    }

    cdc_checkpoint_close(&r);
    fuzz_free(&r);

    return rc;
}


/* ---- parked messages, which the store reads as well --- */

static int
fuzz_parked(void *arg, cdc_span_t key, cdc_span_t value)
{
    char             name[CDC_PARKED_KEY_MAX];
    json_t          *json, *shown;
    cdc_parked_t     p, again;
    cdc_db_batch_t  *b;

    json = json_loadb((const char *) value.data, value.len, 0, NULL);

    if (cdc_parked_parse(&p, json) == CDC_OK) {
        shown = cdc_parked_show(&p);
        fuzz_check(shown != NULL);
        json_decref(shown);

        b = cdc_db_batch_create();
        fuzz_check(cdc_parked_write(b, &p) == CDC_OK && b->puts.n == 1);
        fuzz_check(cdc_parked_key(name, CDC_PARKED_KEY, p.id)
                   == b->puts.kvs[0].key.len);

        json_decref(json);
        value = b->puts.kvs[0].value;
        json = json_loadb((const char *) value.data, value.len, 0, NULL);
        fuzz_check(cdc_parked_parse(&again, json) == CDC_OK);
        cdc_db_batch_destroy(b);

        fuzz_check(again.id == p.id && again.state == p.state
                   && cdc_pos_cmp(again.pos, p.pos) == 0
                   && again.at_ms == p.at_ms && again.bytes == p.bytes
                   && again.kept == p.kept && again.channel == p.channel
                   && strlen(again.topic) == strlen(p.topic)
                   && strlen(again.reason) == strlen(p.reason));
    }

    json_decref(json);

    return CDC_OK;
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    cdc_log_init("", NULL, CDC_LOG_EMERG);

    return 0;
}


static cdc_span_t
fuzz_part(cdc_span_t *in)
{
    cdc_span_t      s;
    const uint8_t  *end;

    end = in->len != 0 ? memchr(in->data, '\0', in->len) : NULL;
    s = fuzz_take(in, end != NULL ? (size_t) (end - in->data) : in->len);
    (void) fuzz_byte(in);

    return s;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t      i;
    cdc_span_t  in, key;

    in = cdc_span_n(data, size);

    while (in.len != 0) {
        key = fuzz_part(&in);
        fuzz_db_put(&fuzz_given, key, fuzz_part(&in));
    }

    (void) cdc_db_each(&fuzz_given, cdc_span(CDC_PARKED_KEY), fuzz_parked,
                       NULL);

    if (fuzz_life(&fuzz_given, &fuzz_first) == CDC_OK) {
        fuzz_check(fuzz_life(&fuzz_first, &fuzz_then) == CDC_OK);
        fuzz_check(fuzz_life(&fuzz_then, &fuzz_again) == CDC_OK);
        fuzz_check(fuzz_then.n == fuzz_again.n);

        for (i = 0; i < fuzz_then.n; i++) {
            fuzz_check(fuzz_equal(fuzz_then.kvs[i].key,
                                  fuzz_again.kvs[i].key));
            fuzz_check(fuzz_equal(fuzz_then.kvs[i].value,
                                  fuzz_again.kvs[i].value));
        }
    }

    fuzz_db_clear(&fuzz_given);
    fuzz_db_clear(&fuzz_first);
    fuzz_db_clear(&fuzz_then);
    fuzz_db_clear(&fuzz_again);

    return 0;
}
