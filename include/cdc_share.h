/*
 * A target channel that the tasks of one target share (cdc_share.c).
 *
 * Every replicator of a target opens the same small file for each channel.
 * Between enter() and leave() no other process sends there; tick() is the
 * highest tick that any of them has sent.  A process that is alone never
 * waits and takes no lock for a request.
 *
 * Main thread.  Nothing blocks; a file is opened when it is made.
 */

#ifndef CDC_SHARE_H_INCLUDED
#define CDC_SHARE_H_INCLUDED

#include "cdc_base.h"
#include "cdc_runtime.h"


#define CDC_SHARE_QUIET_MS  1000    /* for a request that was left behind */
#define CDC_SHARE_LOOK_MS   1000    /* is anybody else there? */


typedef struct cdc_share_s  cdc_share_t;

/*
 * dir NULL: nobody to share with, no file.  The directories are made; target
 * and channel are any text.  ready() follows each CDC_AGAIN, and what it
 * enters and does not use is left when it returns.
 */
cdc_share_t *cdc_share_open(cdc_loop_t *loop, const char *dir,
    const char *target, const char *channel, void (*ready)(void *arg),
    void *arg, char err[CDC_REASON_MAX]);

/* only while it neither waits nor is entered; else end the process */
void cdc_share_close(cdc_share_t *s);

/*
 * No other process is there, nor asks to be: what is sent now may rely on it
 * until enter() is told that nothing does any more.  Joins when it can.
 */
int  cdc_share_alone(cdc_share_t *s);

/* others asked to join, cdc_now_ms() of when it was seen; 0: no */
uint64_t cdc_share_asked(cdc_share_t *s);

/*
 * yields: nothing that was sent relies on being alone.  floor: the caller's
 * own durable bound of all it sent; now: the target's clock; both count when
 * the file is new, or older than this boot of the machine.
 * CDC_OK: entered.  CDC_AGAIN: not yet, ready() follows.
 */
int  cdc_share_enter(cdc_share_t *s, int yields, uint64_t floor,
    uint64_t now);

/* highest tick sent; exact while alone or entered */
uint64_t cdc_share_tick(const cdc_share_t *s);
/* entered: about to be sent */
void cdc_share_put_tick(cdc_share_t *s, uint64_t tick);
void cdc_share_sending(cdc_share_t *s);
/* CDC_OK: answered.  CDC_DECLINED: surely not applied, its ticks are taken
 * back.  CDC_ERROR: in doubt, nobody sends for CDC_SHARE_QUIET_MS.  Not
 * entered: nothing */
void cdc_share_leave(cdc_share_t *s, int rc);
int  cdc_share_is_shared(const cdc_share_t *s);


#endif /* CDC_SHARE_H_INCLUDED */
