/*
 *     log-times '{"kafka": {"brokers": HOST:PORT}}' CHANNEL...
 *     log-times '{"rocksmq": DIR, "secondary_dir": OWN}' CHANNEL...
 *
 * Reads the channels of a source from now on, as a replicator does, and
 * prints when each message was read: "time channel type timestamp rows",
 * seconds of CLOCK_MONOTONIC.  What a target received can so be held against
 * the moment at which it could be known.  Says "ready", and ends when its
 * input does.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "cdc_log_reader.h"
#include "cdc_wire.h"


static const cdc_log_reader_ops_t  *log_ops;


static double
log_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static void
log_die(const char *text)
{
    (void) fprintf(stderr, "log-times: %s\n", text);
    exit(1);
}


static void
log_readable(void *arg, cdc_log_stream_t *s)
{
    int             rc;
    char            err[CDC_REASON_MAX];
    double          now;
    cdc_log_msg_t   msg;
    cdc_envelope_t  env;

    now = log_now();

    while ((rc = log_ops->next(s, &msg, err)) == CDC_OK) {
        if (cdc_wire_envelope(msg.body, &env) == CDC_OK) {
            (void) printf("%.6f %s %d %llu %llu\n", now,
                          (const char *) log_ops->data(s), (int) env.type,
                          (unsigned long long) env.ts,
                          (unsigned long long) env.rows);
        }

        log_ops->release(&msg);
    }

    if (rc != CDC_AGAIN) {
        log_die(err);
    }
}


static void
log_degraded(void *arg, const char *text)
{
    if (text) {
        log_die(text);
    }
}


static void
log_input(cdc_event_t *ev, unsigned events)
{
    char  buf[64];

    if (read(ev->fd, buf, sizeof(buf)) <= 0) {
        (void) fflush(stdout);
        _exit(0);
    }
}


int
main(int argc, char **argv)
{
    int                i;
    char               err[CDC_REASON_MAX];
    json_t            *conf;
    cdc_pos_t          first, end;
    cdc_loop_t        *loop;
    cdc_event_t        input;
    cdc_log_reader_t  *reader;

    static const cdc_log_handler_t  handler = {
        log_readable, log_degraded, NULL
    };

    conf = argc > 2 ? json_loads(argv[1], 0, NULL) : NULL;
    log_ops = conf ? cdc_log_reader_of(conf) : NULL;

    if (log_ops == NULL) {
        log_die("a source and its channels are wanted");
        return 1;
    }

    cdc_log_init("log-times", NULL, CDC_LOG_WARN);

    loop = cdc_loop_create();
    reader = loop ? log_ops->open(loop, conf, &handler, err) : NULL;
    if (reader == NULL) {
        log_die(err);
        return 1;
    }

    for (i = 2; i < argc; i++) {
        if (log_ops->ends(reader, argv[i], 10000, &first, &end, err) != CDC_OK
            || log_ops->start(reader, argv[i], end, argv[i], err) == NULL)
        {
            log_die(err);
        }
    }

    input = (cdc_event_t) { .fd = 0, .handler = log_input };

    if (cdc_event_add(loop, &input, EPOLLIN) != CDC_OK) {
        log_die("its input is nothing that can be waited for");
    }

    (void) printf("ready\n");
    (void) fflush(stdout);

    return cdc_loop_run(loop) == CDC_OK ? 0 : 1;
}
