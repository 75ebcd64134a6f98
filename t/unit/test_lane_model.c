/*
 * A lane against a model: two source channels with inserts and deletes of a
 * few keys, read out of order within a tick, and a target that takes a
 * request, refuses it for now, or leaves it in doubt.  What the target must
 * hold in the end is what the source holds, and no row may be at or below a
 * tick before it.
 *
 * Timestamps lie one to three units apart, so that a stamp that is raised
 * meets those of rows still to come, which a real clock makes rare.
 *
 *     test_lane_model [runs [seed [step]]]
 */

#include "order_bench.h"


#define KEYS     6
#define WINDOWS  25
#define ROWS     12

typedef struct {
    int32_t    type;
    uint64_t   ts;
    uint8_t    key;
} change_t;

static struct {
    sent_t     sent[100000];
    size_t     n;
    uint64_t   tick;
    unsigned   passed;               /* rows at or below a tick before */
} applied;

static uint64_t  state;
static unsigned  faults, resets, step = 1;
static int       present[2][KEYS];


static unsigned
rnd(unsigned n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;

    return (unsigned) ((state >> 33) % n);
}


/* one side reads all there is, and lets deferred work run, without a wait */

static void
step_on(void)
{
    cdc_timer_t  tm;

    memset(&tm, 0, sizeof(tm));
    tm.handler = stop_loop;
    tm.data = repl.loop;

    cdc_channel_read(side->channels[0]);
    cdc_channel_read(side->channels[1]);

    cdc_timer_add(repl.loop, &tm, 0);
    (void) cdc_loop_run(repl.loop);
    use(0, 0);
}


static void
wake(void)
{
    lane->retry_at = 0;
    lane->backoff = 0;
    lane->wanting = 1;
    cdc_lane_wake(lane);
}


/* what the target makes of the request that is under way */

static void
apply(int taken)
{
    size_t  i;

    for (i = 0; taken && i < nsent; i++) {
        if (sent[i].type == CDC_MSG_TIME_TICK) {
            applied.tick = sent[i].ts > applied.tick ? sent[i].ts
                                                     : applied.tick;
            continue;
        }

        applied.passed += sent[i].ts <= applied.tick;
        applied.sent[applied.n++] = sent[i];
    }

    nsent = 0;
}


static void
reset_all(void)
{
    unsigned  n;

    resets++;
    cdc_lane_reset(lane);

    for (n = 0; n < 2; n++) {
        cdc_channel_reset(side->channels[n]);
    }

    repl.resetting = 0;

    for (n = 0; n < 2; n++) {
        cdc_channel_open(side->channels[n]);
    }
}


static void
reply(int well)
{
    unsigned             chance;
    void               (*done)(void *, int, const cdc_target_error_t *);
    cdc_target_error_t   err;

    done = pending_done;

    if (done == NULL) {
        return;
    }

    pending_done = NULL;
    chance = well ? 0 : rnd(10);
    memset(&err, 0, sizeof(err));

    if (chance < 7) {
        apply(1);
        done(pending_arg, CDC_OK, &err);

    } else if (chance == 7) {
        apply(0);
        err.class = CDC_TARGET_RETRY;
        done(pending_arg, CDC_ERROR, &err);
        wake();

    } else {
        apply((int) rnd(2));
        err.class = CDC_TARGET_DOUBT;
        done(pending_arg, CDC_ERROR, &err);
        reset_all();
    }
}


/* what a source does until its next tick, which is returned */

static uint64_t
window(unsigned c, uint64_t ts)
{
    unsigned  i, j, n;
    change_t  changes[ROWS], t;

    n = rnd(ROWS);

    for (i = 0; i < n; i++) {
        ts += 1 + rnd(step);
        t.ts = ts;
        t.key = (uint8_t) rnd(KEYS);
        t.type = present[c][t.key] ? CDC_MSG_DELETE : CDC_MSG_INSERT;
        present[c][t.key] = !present[c][t.key];

        j = rnd(i + 1);                  /* in which order they are read */
        changes[i] = changes[j];
        changes[j] = t;
    }

    for (i = 0; i < n; i++) {
        use(0, c);

        if (changes[i].type == CDC_MSG_INSERT) {
            put_insert(c + 1, changes[i].ts, changes[i].key);
        } else {
            put_delete(c + 1, changes[i].ts, changes[i].key);
        }

        if (rnd(3) == 0) {
            step_on();

            if (rnd(2)) {
                reply(0);
            }
        }
    }

    use(0, c);
    ts += rnd(3);
    put_tick(ts);
    use(0, 0);

    if (rnd(2)) {
        step_on();
    }

    if (rnd(2)) {
        reply(0);
    }

    return ts;
}


static void
check_key(unsigned run, unsigned c, uint8_t key)
{
    int           rows;
    size_t        i, j;
    const sent_t  *a, *b;

    rows = 0;

    for (i = 0; i < applied.n; i++) {
        a = &applied.sent[i];

        if (a->type != CDC_MSG_INSERT || a->key != key
            || a->collection != (int64_t) (1001 + c))
        {
            continue;
        }

        for (j = 0; j < applied.n; j++) {
            b = &applied.sent[j];

            if (b->type == CDC_MSG_DELETE && b->key == key
                && b->collection == a->collection && b->ts > a->ts)
            {
                break;
            }
        }

        rows += j == applied.n;
    }

    if (rows != present[c][key]) {
        faults++;
        printf("# run %u: collection %u key %u: %d rows instead of %d\n", run,
               c + 1, key, rows, present[c][key]);
    }
}


static void
one_run(unsigned run, unsigned seed)
{
    unsigned  c, i, k, w;
    uint64_t  clock, newest, ts;

    state = seed * 1000003ULL + run * 7919ULL;
    (void) rnd(2);
    (void) rnd(2);

    memset(present, 0, sizeof(present));
    applied.n = applied.passed = 0;
    applied.tick = 0;
    set_up();
    (void) add_second(2);
    use(0, 0);
    clock = MS(1000);

    for (w = 0; w < WINDOWS; w++) {
        newest = clock;

        for (c = 0; c < 2; c++) {
            if (rnd(4)) {
                ts = window(c, clock);
                newest = ts > newest ? ts : newest;
            }
        }

        clock = newest + rnd(16 * step);
    }

    for (c = 0; c < 2; c++) {
        use(0, c);
        put_tick(clock + 10000 * step);
    }

    use(0, 0);

    for (i = 0; i < 400 && (pending_done || i < 6); i++) {
        wake();
        step_on();
        reply(1);
    }

    for (c = 0; c < 2; c++) {
        for (k = 0; k < KEYS; k++) {
            check_key(run, c, (uint8_t) k);
        }
    }

    if (applied.passed || failure[0]) {
        faults++;
        printf("# run %u: %u rows at or below a tick before them. %s\n", run,
               applied.passed, failure);
    }

    tear_down_side(0);
}


int
main(int argc, char **argv)
{
    unsigned  run, runs, seed;

    runs = argc > 1 ? (unsigned) atoi(argv[1]) : 1000;
    seed = argc > 2 ? (unsigned) atoi(argv[2]) : 1;
    step = argc > 3 ? (unsigned) atoi(argv[3]) : 1;

    for (run = 0; run < runs; run++) {
        one_run(run, seed);
    }

    printf("# seed %u: %u runs, %u resets, %u faults\n", seed, runs, resets,
           faults);
    is_int(faults, 0, "the target holds what the source holds");
    ok(resets > runs, "although many requests were in doubt");

    return done_testing();
}
