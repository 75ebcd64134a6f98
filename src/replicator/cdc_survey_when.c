/*
 * When was the task created, by the source's clock?
 *
 * The record has this machine's clock, or what keeps the list in order when
 * that was set back (cdc_store_create.c), and each clock may be wrong by
 * hours: a row that is taken for an older one is lost, one that is taken for a
 * newer one is settled.  So a time that has yet to come, by this machine or by
 * the target, says nothing, and all of the last hour is settled.
 *
 * A source whose clock is behind stamps rows with times before it, and says so
 * only by its newest message: that is of now, and the create was as long ago
 * there as it is here.  (Or the source has stopped: then it is settled from a
 * little further back.)  A clock that was set between tells how long that is
 * wrong: this machine's and the target's are asked, the longer time is taken.
 *
 * The same goes for a log that has lost its beginning.  Taken for one that
 * begins before the create it would be read from there, in silence; taken for
 * one that begins behind it, it is said, and the user decides.  But an hour to
 * be safe would stop a task each time that the log is short: it is the time
 * that has gone by, as far as a clock tells it, or nothing is said.
 *
 * A create that has seen the source's log needs none of that: what was the
 * newest message then is older than all that came after, by the clock that
 * stamps both, also if the source has stopped since or the target's clock was
 * set.  Only one that is younger than all there is now is not believed.  One
 * that could not look guesses as above, and takes a log that begins up to 2 s
 * behind the create, not 1 s, for one that was empty then.
 *
 * Nor do stamps tell all: they stand still when the source's own clock is set
 * back, until it has caught up.  So a create notes where the channels end as
 * well, and the log has lost something if it begins behind that, whatever a
 * clock says.  (A RocksMQ may be taken for one that has when it has lost all up
 * to that very message: its numbers have gaps.)  One that ends before it is
 * another log, made anew since; so is one that counts as Kafka does, reaches
 * back before it and yet begins with a message that came later.  Times alone
 * tell where nothing is noted: by an older version, of a channel that was
 * empty, could not be asked or was not used by what the task follows.
 */

#include "cdc_survey_int.h"


#define CDC_SURVEY_UNKNOWN_MS  3600000   /* back, without a known time */
#define CDC_SURVEY_TICK_MS     1000      /* there are five in it */
#define CDC_SURVEY_LATE_MS     60000     /* a log may be emptied in more */
#define CDC_SURVEY_ANEW_MS     10000     /* before it is believed */


void
cdc_survey_when(cdc_survey_when_t *w)
{
    int64_t   now, ago;
    unsigned  timed, known;

    now = w->wall < w->target ? w->wall : w->target;
    ago = w->wall > w->created ? w->wall - w->created : 0;

    if (w->created_target && w->target - w->created_target > ago) {
        ago = w->target - w->created_target;
    }

    timed = w->created <= now + CDC_ADOPT_MS;
    known = timed || (w->created_target && w->target >= w->created_target);

    w->late = known && ago > CDC_SURVEY_LATE_MS;
    w->since = timed ? w->created : INT64_MAX;

    /* the newest message is of the last tick: up to that much younger than
     * it says; what is behind the first one is added in cdc_survey_after() */

    if (known && w->newest && w->newest - ago + CDC_SURVEY_TICK_MS < w->since)
    {
        w->since = w->newest - ago + CDC_SURVEY_TICK_MS;
    }

    if (w->created_source && w->created_source <= w->newest) {
        w->since = w->created_source;
    }

    w->from = w->created;

    if (!timed) {
        w->from = now - CDC_SURVEY_UNKNOWN_MS;
        ago = ago > CDC_SURVEY_UNKNOWN_MS ? ago : CDC_SURVEY_UNKNOWN_MS;
    }

    if (w->newest && w->newest - ago < w->from) {
        w->from = w->newest - ago;
    }

    if (w->created_source && w->created_source < w->from) {
        w->from = w->created_source;
    }

    if (w->from < CDC_SURVEY_UNKNOWN_MS) {       /* no time at all */
        w->from = CDC_SURVEY_UNKNOWN_MS;
    }
}


/*
 * Of an empty log nobody knows; but it takes a while to be emptied.  What
 * begins with a tick right behind the create was empty then.
 */

int
cdc_survey_after(const cdc_survey_when_t *w, uint64_t ts)
{
    return ts ? (int64_t) cdc_tso_ms(ts) - CDC_SURVEY_TICK_MS > w->since
              : w->late;
}


int
cdc_survey_anew(const cdc_survey_log_t *log)
{
    return log->noted && cdc_pos_cmp(log->end, log->then) < 0;
}


int
cdc_survey_cut(const cdc_survey_when_t *w, const cdc_survey_log_t *log,
    unsigned numbered)
{
    int  rc;

    if (!log->noted) {
        return cdc_survey_after(w, log->ts);
    }

    rc = cdc_pos_cmp(log->first, log->then);

    return rc > 0 || cdc_survey_anew(log)
           || (rc < 0 && numbered && cdc_survey_after(w, log->ts));
}


/* a broker that has just started may know of less than there is */

int
cdc_survey_doubts(const cdc_survey_back_t *b, uint64_t *since, uint64_t now)
{
    size_t  i;

    for (i = 0; i < b->n; i++) {
        if (b->logs[i].wanted && cdc_survey_anew(&b->logs[i])) {
            *since = *since ? *since : now;

            return now - *since < CDC_SURVEY_ANEW_MS;
        }
    }

    *since = 0;

    return 0;
}
