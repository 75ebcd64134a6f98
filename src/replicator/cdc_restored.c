/*
 * A copy of the checkpoints was put back: what has been sent since it was
 * made is not known.  So all that the log holds now is in doubt.
 *
 * Rows and deletes: each channel is read from the copy's position and
 * settled up to the end that the log has at this moment, also channels that
 * the copy does not know, of collections that came after it.  Settled
 * stamps are above all that may have been sent since: above the source's own
 * stamp of the message (cdc_lane_stamp.c), and above the clocks of the target
 * and of this machine by CDC_RESTORED_MS, which is more than a reserve goes
 * ahead of them.
 *
 * Operations look at the target before they do anything, as after a crash.
 * A collection that the copy does not know and that the target has may have
 * been made since: it counts as one whose intent was written.
 *
 * All this is durable in one batch with the new place of the checkpoints
 * (cdc_life.c), before anything is sent: a crash before that does it again.
 *
 * What is not mended: what the source has created and dropped again since
 * the copy was made, if the target has not been told of the drop; a row that
 * the log has lost.  The first stays on the target, the second pauses the
 * task.
 */

#include "cdc_replicator.h"

#include <stdlib.h>


#define CDC_RESTORED_TIMEOUT_MS  5000    /* to ask where a channel ends */
#define CDC_RESTORED_RETRY_MS    1000


typedef struct {
    cdc_job_t        job;
    cdc_repl_t      *repl;
    cdc_channel_t  **channels;
    cdc_pos_t       *ends;
    size_t           n;
    int              rc;
    char             err[CDC_REASON_MAX];
} cdc_restored_t;


static void
cdc_restored_free(cdc_restored_t *s)
{
    free(s->channels);
    free(s->ends);
    free(s);
}


/* [ops thread] */

static void
cdc_restored_run(cdc_job_t *job)
{
    size_t           i;
    cdc_pos_t        first;
    cdc_repl_t      *r;
    cdc_restored_t  *s = job->data;

    r = s->repl;
    s->rc = CDC_OK;

    for (i = 0; i < s->n && s->rc == CDC_OK; i++) {
        s->rc = r->reader_ops->ends(r->reader, s->channels[i]->name,
                                    CDC_RESTORED_TIMEOUT_MS, &first,
                                    &s->ends[i], s->err);
    }
}


static void
cdc_restored_durable(void *arg)
{
    cdc_repl_t  *r = arg;

    r->copied = 0;
    cdc_repl_go(r);
}


static void
cdc_restored_raise(cdc_repl_t *r)
{
    uint64_t     now, wall;
    cdc_lane_t  *lane;

    now = (uint64_t) ((int64_t) cdc_now_ms() + r->clock_offset);
    wall = cdc_wall_ms();
    r->raise = cdc_ms_tso((now > wall ? now : wall) + CDC_RESTORED_MS);

    for (lane = r->lanes; lane; lane = lane->next) {

        if (lane->raise < r->raise) {
            lane->raise = r->raise;
        }

        if (lane->used < lane->raise) {
            lane->used = lane->raise;
        }

        lane->dirty = 1;
    }
}


static void
cdc_restored_retry(cdc_timer_t *tm)
{
    cdc_restored_t  *s = tm->data;

    cdc_worker_submit(s->repl->ops_worker, &s->job);
}


static void
cdc_restored_done(cdc_job_t *job)
{
    size_t           i;
    cdc_repl_t      *r;
    cdc_channel_t   *ch;
    cdc_restored_t  *s = job->data;

    r = s->repl;

    if (r->stopping || r->failed) {
        return;
    }

    if (s->rc != CDC_OK) {
        cdc_repl_degraded(r, CDC_CAUSE_LOG, s->err);
        r->retry_timer.handler = cdc_restored_retry;
        r->retry_timer.data = s;
        cdc_timer_add(r->loop, &r->retry_timer, CDC_RESTORED_RETRY_MS);
        return;
    }

    cdc_repl_degraded(r, CDC_CAUSE_LOG, NULL);

    for (i = 0; i < s->n; i++) {
        ch = s->channels[i];
        ch->dirty = 1;

        if (cdc_pos_cmp(s->ends[i], ch->settle_upto) > 0) {
            ch->settle_upto = s->ends[i];
        }

        if (cdc_pos_cmp(s->ends[i], ch->reread) > 0) {
            ch->reread = s->ends[i];
        }
    }

    cdc_restored_free(s);

    cdc_restored_raise(r);
    cdc_life_next(r);

    if (cdc_checkpoint_barrier(r, cdc_restored_durable, r) != CDC_OK) {
        cdc_repl_no_memory();
    }
}


/* every channel that will be read, also for what came after the copy */

static int
cdc_restored_channels(cdc_restored_t *s)
{
    size_t          n;
    cdc_coll_t     *c;
    cdc_repl_t     *r;
    cdc_channel_t  *ch;

    r = s->repl;

    cdc_repl_unneeded(r);

    if (cdc_meta_each_collection(r->meta, cdc_catalogue_each, r) != CDC_OK) {
        return CDC_ERROR;
    }

    for (c = r->colls; c; c = c->next) {

        /* it may have been made since the copy was: as behind an intent */

        if (c->state == CDC_COLL_NEW) {
            c->state = CDC_COLL_CREATING;
            c->dirty = 1;
        }

        (void) cdc_coll_start(c);
    }

    n = 0;

    for (ch = r->channels; ch; ch = ch->next) {
        n++;
    }

    s->channels = calloc(n + 1, sizeof(cdc_channel_t *));
    s->ends = calloc(n + 1, sizeof(cdc_pos_t));

    if (s->channels == NULL || s->ends == NULL) {
        return CDC_ERROR;
    }

    for (ch = r->channels; ch; ch = ch->next) {
        s->channels[s->n++] = ch;
    }

    return CDC_OK;
}


void
cdc_restored_start(cdc_repl_t *r)
{
    cdc_restored_t  *s;

    cdc_log(CDC_LOG_WARN, 0, "the checkpoints in \"%s\" are not those that "
            "were written last: they are taken for a copy, and all that the "
            "source's log holds since is settled", r->dir);

    s = calloc(1, sizeof(cdc_restored_t));

    if (s == NULL) {
        cdc_repl_no_memory();
    }

    s->repl = r;
    s->job.run = cdc_restored_run;
    s->job.done = cdc_restored_done;
    s->job.data = s;

    if (cdc_restored_channels(s) != CDC_OK) {
        cdc_restored_free(s);
        cdc_repl_fail(r, "the source's metadata cannot be used");
        return;
    }

    cdc_worker_submit(r->ops_worker, &s->job);
}
