/*
 * How far back has a channel to be read, for all that is not older than a
 * time?
 *
 * A log cannot be asked for a time.  So the first message at a place a little
 * before its end is read, and as long as that one is too young the way back
 * is doubled, down to where nobody needs more, or the log begins.  Of each
 * place one message is looked at; all channels at once.
 *
 * Messages lie in the log nearly in the order of their times: what a place is
 * too young by has to be more than they are ever out of order.
 */

#include "cdc_survey_int.h"

#include <stdio.h>


#define CDC_SURVEY_WAIT_MS  15000        /* for the first message of a place */


static void cdc_survey_look(cdc_survey_log_t *log);


static void
cdc_survey_left(cdc_survey_back_t *b)
{
    if (--b->left == 0) {
        cdc_timer_del(b->repl->loop, &b->timer);
        b->done(b->arg);
    }
}


static void
cdc_survey_leave(cdc_survey_log_t *log)
{
    if (log->stream) {
        log->back->repl->reader_ops->stop(log->stream);
        log->stream = NULL;
    }
}


static void
cdc_survey_found(cdc_survey_log_t *log)
{
    cdc_survey_leave(log);
    log->busy = 0;
    cdc_survey_left(log->back);
}


/* what ends() has said is not so any more, perhaps: all begins again */

static void
cdc_survey_failed(cdc_survey_back_t *b)
{
    size_t  i;

    b->rc = CDC_ERROR;
    b->left++;

    for (i = 0; i < b->n; i++) {
        if (b->logs[i].busy) {
            cdc_survey_found(&b->logs[i]);
        }
    }

    cdc_survey_left(b);
}


static void
cdc_survey_timeout(cdc_timer_t *tm)
{
    cdc_survey_back_t  *b = tm->data;

    if (b->repl->stopping || b->repl->failed) {
        return;
    }

    snprintf(b->err, CDC_REASON_MAX, "the source's log (%s) does not give a "
             "message that it has", b->repl->reader_ops->name);
    cdc_survey_failed(b);
}


/* CDC_OK: the place is known to be of that time.  CDC_DECLINED: the message
 * says nothing, the next one may. */

static int
cdc_survey_time(cdc_survey_log_t *log, cdc_log_msg_t *msg)
{
    int             rc;
    cdc_pos_t       next;
    cdc_repl_t     *r;
    cdc_envelope_t  env;

    r = log->back->repl;
    next = cdc_pos_next(msg->pos, 1);
    rc = CDC_DECLINED;

    if (msg->streaming) {
        cdc_repl_streaming(r, log->name);

    } else if (cdc_wire_envelope(msg->body, &env) == CDC_OK && env.ts) {
        log->ts = env.ts;
        rc = CDC_OK;
    }

    r->reader_ops->release(msg);

    return cdc_pos_cmp(next, log->end) < 0 ? rc : CDC_OK;
}


void
cdc_survey_read(void *data)
{
    int                 rc;
    cdc_repl_t         *r;
    cdc_log_msg_t       msg;
    cdc_survey_log_t   *log = data;
    cdc_survey_back_t  *b;

    b = log->back;
    r = b->repl;

    do {
        if (r->stopping || r->failed) {
            return;
        }

        rc = r->reader_ops->next(log->stream, &msg, b->err);

        if (rc == CDC_AGAIN) {
            return;
        }

        if (rc != CDC_OK) {
            cdc_survey_failed(b);
            return;
        }

    } while (cdc_survey_time(log, &msg) != CDC_OK);

    if (r->failed) {
        return;
    }

    cdc_timer_add(r->loop, &b->timer, CDC_SURVEY_WAIT_MS);

    if ((log->ts && log->ts <= b->upto)
        || cdc_pos_cmp(log->at, log->floor) <= 0)
    {
        cdc_survey_found(log);
        return;
    }

    cdc_survey_leave(log);
    cdc_survey_look(log);
}


/* a step back, and what is there? */

static void
cdc_survey_look(cdc_survey_log_t *log)
{
    cdc_repl_t         *r;
    cdc_survey_back_t  *b;

    b = log->back;
    r = b->repl;

    log->ts = 0;
    log->at = log->end.lo > log->step ? cdc_pos_next(log->end, -log->step)
                                      : log->floor;

    if (cdc_pos_cmp(log->at, log->floor) < 0) {
        log->at = log->floor;
    }

    if (cdc_pos_cmp(log->at, log->end) >= 0) {
        cdc_survey_found(log);           /* there is nothing */
        return;
    }

    log->step *= 2;
    log->stream = r->reader_ops->start(r->reader, log->name, log->at, log,
                                       b->err);

    if (log->stream == NULL) {
        cdc_survey_failed(b);
        return;
    }

    cdc_survey_read(log);
}


void
cdc_survey_back(cdc_survey_back_t *b)
{
    size_t             i;
    cdc_survey_log_t  *log;

    b->rc = CDC_OK;
    b->left = 1;
    b->timer.handler = cdc_survey_timeout;
    b->timer.data = b;
    cdc_timer_add(b->repl->loop, &b->timer, CDC_SURVEY_WAIT_MS);

    for (i = 0; i < b->n && b->rc == CDC_OK; i++) {
        log = &b->logs[i];

        if (log->wanted) {
            log->back = b;
            log->step = b->step;
            log->busy = 1;
            b->left++;
            cdc_survey_look(log);
        }
    }

    cdc_survey_left(b);
}
