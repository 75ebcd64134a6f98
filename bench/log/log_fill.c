/*
 *     log-fill BROKERS BATCH
 *
 * Writes into channels in Kafka as a Milvus 2.3 does, but in equal batches: of
 * BATCH messages, or what is left of them at last.  Each has a timestamp of
 * its own, and every 200 ms each channel gets a time tick that covers what is
 * before it.  It knows no message: it is given them as bytes, and where those
 * of the varint FILL_STAMP are it writes the timestamp.  Commands are lines:
 *
 *     tick N                 N bytes follow: a time tick; comes first
 *     rows N                 a message's end: one of several, used in turn
 *     shard CHANNEL N        a message's beginning; the first shard is 0
 *     fill FIRST LAST TIMES  into each shard from FIRST on that is before
 *                            LAST so many messages; says "done MESSAGES"
 *                            when they and a tick behind them are there
 *
 * The end of its input is its end.
 *
 * What makes the batches equal: librdkafka sends what it has for a channel
 * when that is a whole batch or FILL_LINGER_MS old.  So a channel is given a
 * batch at once, and none behind it before all of that has arrived; ticks come
 * in between, and end up in a batch that is not a whole one.
 */

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cdc_wire.h"


#define FILL_STAMP         0x0123456789abcdefULL
#define FILL_TICK_MS       200
#define FILL_LINGER_MS     20            /* enough to be given a batch */
#define FILL_CHANNELS_MAX  1024
#define FILL_SHARDS_MAX    16384
#define FILL_ROWS_MAX      64


typedef struct {
    size_t             len;
    uint8_t           *data;
} fill_bytes_t;

typedef struct {
    rd_kafka_topic_t  *topic;
    unsigned           under_way;        /* messages */
    unsigned           shard;            /* the last that was filled */
    uint64_t           left;             /* messages to fill it with */
} fill_channel_t;

typedef struct {
    fill_channel_t    *channel;
    fill_bytes_t       head;
} fill_shard_t;


static rd_kafka_t      *fill_kafka;
static unsigned         fill_batch;
static fill_channel_t   fill_channels[FILL_CHANNELS_MAX];
static fill_shard_t     fill_shards[FILL_SHARDS_MAX];
static fill_bytes_t     fill_rows[FILL_ROWS_MAX], fill_tick;
static fill_bytes_t     fill_nothing = { 0, (uint8_t *) "" };
static unsigned         fill_nchannels, fill_nshards, fill_nrows, fill_row;
static uint64_t         fill_last;       /* timestamp */
static uint64_t         fill_due;        /* ms: the next tick */


static void __attribute__((noreturn))
fill_die(const char *what, const char *why)
{
    (void) fprintf(stderr, "log-fill: %s: %s\n", what, why);
    exit(1);
}


static uint64_t
fill_ms(clockid_t clock)
{
    struct timespec  ts;

    (void) clock_gettime(clock, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


/* greater than all before, and of now unless the clock is set back */

static uint64_t
fill_timestamp(void)
{
    uint64_t  ts;

    ts = fill_ms(CLOCK_REALTIME) << 18;
    fill_last = ts > fill_last ? ts : fill_last + 1;

    return fill_last;
}


static void
fill_stamp(uint8_t *data, size_t len, uint64_t ts)
{
    size_t    n;
    uint8_t   old[10], new[10], *end;

    n = cdc_wire_varint(old, FILL_STAMP);

    if (cdc_wire_varint(new, ts) != n) {
        fill_die("timestamp", "not of this time");
    }

    end = data + len;

    while ((data = memmem(data, (size_t) (end - data), old, n)) != NULL) {
        memcpy(data, new, n);
        data += n;
    }
}


/* ---- what is under way --- */

static void
fill_delivered(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
    fill_channel_t  *c;

    c = msg->_private;

    if (msg->err) {
        fill_die(rd_kafka_topic_name(c->topic), rd_kafka_err2str(msg->err));
    }

    c->under_way--;
}


static void
fill_send(fill_channel_t *c, fill_bytes_t head, fill_bytes_t rows)
{
    uint8_t  *data;

    data = malloc(head.len + rows.len);
    if (data == NULL) {
        fill_die("memory", "there is none");
    }

    memcpy(data, head.data, head.len);
    memcpy(data + head.len, rows.data, rows.len);
    fill_stamp(data, head.len, fill_timestamp());

    if (rd_kafka_produce(c->topic, 0, RD_KAFKA_MSG_F_FREE, data,
                         head.len + rows.len, NULL, 0, c)
        != 0)
    {
        fill_die(rd_kafka_topic_name(c->topic),
                 rd_kafka_err2str(rd_kafka_last_error()));
    }

    c->under_way++;
}


/* ticks where they are due; ms until they are next */

static int
fill_ticks(void)
{
    unsigned  i;
    uint64_t  now;

    now = fill_ms(CLOCK_MONOTONIC);

    if (now >= fill_due) {
        fill_due = now + FILL_TICK_MS;

        for (i = 0; i < fill_nchannels; i++) {
            fill_send(&fill_channels[i], fill_tick, fill_nothing);
        }
    }

    return (int) (fill_due - now);
}


static void
fill_wait(const fill_channel_t *c)
{
    while (c->under_way) {
        (void) rd_kafka_poll(fill_kafka, fill_ticks());
    }
}


/* ---- commands --- */

static fill_bytes_t
fill_read(size_t n)
{
    fill_bytes_t  b;

    b.data = malloc(n);
    b.len = b.data ? fread(b.data, 1, n, stdin) : 0;

    if (b.len != n) {
        fill_die("input", "it ends within a message");
    }

    return b;
}


static fill_channel_t *
fill_channel(const char *name)
{
    unsigned         i;
    fill_channel_t  *c;

    for (i = 0; i < fill_nchannels; i++) {
        c = &fill_channels[i];

        if (strcmp(rd_kafka_topic_name(c->topic), name) == 0) {
            return c;
        }
    }

    if (i == FILL_CHANNELS_MAX) {
        fill_die(name, "a channel too many");
    }

    c = &fill_channels[fill_nchannels++];
    c->topic = rd_kafka_topic_new(fill_kafka, name, NULL);

    if (c->topic == NULL) {
        fill_die(name, rd_kafka_err2str(rd_kafka_last_error()));
    }

    return c;
}


static void
fill_add_shard(const char *channel, size_t len)
{
    fill_shard_t  *s;

    if (fill_nshards == FILL_SHARDS_MAX) {
        fill_die(channel, "a shard too many");
    }

    s = &fill_shards[fill_nshards++];
    s->channel = fill_channel(channel);
    s->head = fill_read(len);
}


/* one message, into the channel's shard whose turn it is */

static void
fill_next(fill_channel_t *c, unsigned first, unsigned last)
{
    do {
        c->shard = c->shard + 1 < last ? c->shard + 1 : first;
    } while (fill_shards[c->shard].channel != c);

    fill_send(c, fill_shards[c->shard].head,
              fill_rows[fill_row++ % fill_nrows]);
    c->left--;
}


static void
fill_fill(unsigned first, unsigned last, uint64_t times)
{
    int              done;
    unsigned         i, n;
    fill_channel_t  *c;

    if (last > fill_nshards || fill_nrows == 0) {
        fill_die("fill", "with what it was not given");
    }

    for (i = first; i < last; i++) {
        c = fill_shards[i].channel;
        c->left += times;
        c->shard = last - 1;
    }

    do {
        done = 1;

        for (i = 0; i < fill_nchannels; i++) {
            c = &fill_channels[i];

            if (c->left == 0) {
                continue;
            }

            done = 0;
            fill_wait(c);

            for (n = 0; n < fill_batch && c->left; n++) {
                fill_next(c, first, last);
            }
        }
    } while (!done);

    fill_due = 0;
    (void) fill_ticks();

    for (i = 0; i < fill_nchannels; i++) {
        fill_wait(&fill_channels[i]);
    }

    (void) printf("done %llu\n", (unsigned long long) (last - first) * times);
}


static void
fill_command(const char *line)
{
    char                name[256];
    size_t              len;
    unsigned            first, last;
    unsigned long long  times;

    if (sscanf(line, "tick %zu", &len) == 1) {
        fill_tick = fill_read(len);

    } else if (sscanf(line, "rows %zu", &len) == 1
               && fill_nrows < FILL_ROWS_MAX)
    {
        fill_rows[fill_nrows++] = fill_read(len);

    } else if (sscanf(line, "shard %255s %zu", name, &len) == 2) {
        fill_add_shard(name, len);

    } else if (sscanf(line, "fill %u %u %llu", &first, &last, &times) == 3) {
        fill_fill(first, last, times);

    } else {
        fill_die("what is this", line);
    }
}


/* zstd and the size of a message, as Milvus has them; a message that would be
 * sent again might come twice, or late: the first error is the end */

static rd_kafka_conf_t *
fill_conf(const char *brokers, const char *batch)
{
    char              err[512], linger[16];
    size_t            i;
    rd_kafka_conf_t  *conf;

    const char *const  options[][2] = {
        { "bootstrap.servers", brokers },
        { "batch.num.messages", batch },
        { "linger.ms", linger },
        { "compression.codec", "zstd" },
        { "message.max.bytes", "10485760" },
        { "message.send.max.retries", "0" }
    };

    (void) snprintf(linger, sizeof(linger), "%d", FILL_LINGER_MS);
    conf = rd_kafka_conf_new();

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (rd_kafka_conf_set(conf, options[i][0], options[i][1], err,
                              sizeof(err))
            != RD_KAFKA_CONF_OK)
        {
            fill_die(options[i][0], err);
        }
    }

    rd_kafka_conf_set_dr_msg_cb(conf, fill_delivered);

    return conf;
}


int
main(int argc, char **argv)
{
    char           err[512], line[512];
    struct pollfd  input;

    fill_batch = argc == 3 ? (unsigned) atoi(argv[2]) : 0;

    if (fill_batch == 0) {
        fill_die("arguments", "brokers and messages of a batch are wanted");
    }

    fill_kafka = rd_kafka_new(RD_KAFKA_PRODUCER, fill_conf(argv[1], argv[2]),
                              err, sizeof(err));
    if (fill_kafka == NULL) {
        fill_die(argv[1], err);
    }

    /* or poll() would not know of what stdio has read ahead */
    (void) setvbuf(stdin, NULL, _IONBF, 0);
    (void) setvbuf(stdout, NULL, _IOLBF, 0);

    input = (struct pollfd) { .fd = 0, .events = POLLIN };

    for ( ;; ) {
        if (poll(&input, 1, fill_ticks()) > 0) {
            if (fgets(line, sizeof(line), stdin) == NULL) {
                _exit(0);
            }

            fill_command(line);
        }

        (void) rd_kafka_poll(fill_kafka, 0);
    }
}
