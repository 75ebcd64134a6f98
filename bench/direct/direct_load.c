/*
 *     direct-load CONNECT RECORD LIKE NAME [BYTES]
 *
 * Sends what a null-target kept in RECORD (its command "record") to the
 * Milvus that CONNECT, a milvus_connect_param, names, as fast as that takes
 * it: the rate that a replicator is held against.  The rows go to NAME, which
 * is made here like LIKE, a collection of that target.
 *
 * A record is of one collection without partitions of its own.  All messages
 * are laid out by channel before the first is sent; then each channel has one
 * request in flight, of as many messages as fit into BYTES (those of the
 * replicator, 8 MB, if not given).  More in flight would lose the order.
 *
 * Prints rows, bytes and requests, seconds from the first request to the
 * last answer, and how often the target asked to wait.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cdc_grpc.h"
#include "cdc_target.h"


#define DIRECT_LANES_MAX  64
#define DIRECT_WAIT_MS    50

/* fields of ReplicateMessageRequest, and of the messages */

#define DIRECT_CHANNEL    2
#define DIRECT_MSGS       5


typedef struct {
    cdc_target_lane_t  *conn;
    char               *source;          /* the channel in the record */
    cdc_span_t          target;
    cdc_span_t          shard;           /* the vchannel on the target */
    cdc_envelope_t     *msgs;
    size_t              n, size, at, next;
    cdc_timer_t         timer;
} direct_lane_t;


static const cdc_target_ops_t   *direct_ops = &cdc_milvus_target;
static cdc_target_collection_t  *direct_coll;
static cdc_loop_t               *direct_loop;
static direct_lane_t             direct_lanes[DIRECT_LANES_MAX];
static unsigned                  direct_nlanes, direct_busy;
static size_t                    direct_limit = 8 * 1024 * 1024;
static uint64_t                  direct_rows, direct_bytes, direct_requests;
static uint64_t                  direct_waits;


static void direct_send(direct_lane_t *lane);


static void
direct_die(const char *what, const char *why)
{
    (void) fprintf(stderr, "direct-load: %s: %s\n", what, why);
    exit(1);
}


static double
direct_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


/* ---- the record --- */

static direct_lane_t *
direct_lane_of(cdc_span_t channel)
{
    unsigned        i;
    direct_lane_t  *lane;

    for (i = 0; i < direct_nlanes; i++) {
        lane = &direct_lanes[i];

        if (strlen(lane->source) == channel.len
            && memcmp(lane->source, channel.data, channel.len) == 0)
        {
            return lane;
        }
    }

    if (direct_nlanes == DIRECT_LANES_MAX) {
        direct_die("the record", "has too many channels");
    }

    lane = &direct_lanes[direct_nlanes++];
    lane->source = strndup((const char *) channel.data, channel.len);

    if (lane->source == NULL) {
        direct_die("the record", "no memory");
    }

    return lane;
}


/* a shard's name ends with "v" and its number */

static void
direct_shard(direct_lane_t *lane, cdc_span_t shard)
{
    size_t         i;
    char           digits[8];
    unsigned long  n;

    for (i = shard.len; i && shard.data[i - 1] != 'v'; i--) {
        /* void */
    }

    (void) snprintf(digits, sizeof(digits), "%.*s", (int) (shard.len - i),
                    (const char *) shard.data + i);
    n = i ? strtoul(digits, NULL, 10) : direct_coll->nshards;

    if (n >= direct_coll->nshards) {
        direct_die("the record", "a shard that the collection has not");
    }

    lane->shard = cdc_span_n(direct_coll->vchannels[n],
                             strlen(direct_coll->vchannels[n]));
    lane->target = cdc_span_n(direct_coll->pchannels[n],
                              strlen(direct_coll->pchannels[n]));
}


static void
direct_message(direct_lane_t *lane, cdc_span_t body)
{
    cdc_envelope_t  *env;

    if (lane->n == lane->size) {
        lane->size = lane->size ? lane->size * 2 : 256;
        lane->msgs = realloc(lane->msgs, lane->size * sizeof(cdc_envelope_t));

        if (lane->msgs == NULL) {
            direct_die("the record", "no memory");
        }
    }

    env = &lane->msgs[lane->n++];

    if (cdc_wire_envelope(body, env) != CDC_OK) {
        direct_die("the record", "is malformed");
    }

    if (env->type == CDC_MSG_INSERT) {
        direct_shard(lane, env->shard_name);
        direct_rows += env->rows;

    } else if (env->type != CDC_MSG_TIME_TICK) {
        direct_die("the record", "holds more than inserts and ticks");
    }
}


static void
direct_request(cdc_span_t request)
{
    cdc_field_t     f;
    direct_lane_t  *lane;

    lane = NULL;

    while (cdc_wire_next(&request, &f) == CDC_OK) {
        if (f.number == DIRECT_CHANNEL) {
            lane = direct_lane_of(f.body);

        } else if (f.number == DIRECT_MSGS && lane) {
            direct_message(lane, f.body);
        }
    }
}


static void
direct_read(const char *path)
{
    int             fd;
    uint64_t        len;
    const uint8_t  *p, *end;
    struct stat     st;

    fd = open(path, O_RDONLY);

    if (fd == -1 || fstat(fd, &st) != 0 || st.st_size == 0) {
        direct_die(path, "no such record");
    }

    /* all of it in memory before the clock runs */

    p = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE,
             fd, 0);
    if (p == MAP_FAILED) {
        direct_die(path, "cannot be mapped");
    }

    for (end = p + st.st_size; p != end; p += len) {
        if ((size_t) (end - p) < sizeof(len)) {
            direct_die(path, "is cut");
        }

        memcpy(&len, p, sizeof(len));
        p += sizeof(len);

        if (len > (uint64_t) (end - p)) {
            direct_die(path, "is cut");
        }

        direct_request(cdc_span_n(p, (size_t) len));
    }
}


/* ---- sending --- */

static void
direct_again(cdc_timer_t *tm)
{
    direct_send(tm->data);
}


static void
direct_done(void *arg, int rc, const cdc_target_error_t *err)
{
    direct_lane_t  *lane;

    lane = arg;

    if (rc != CDC_OK) {
        if (err->class != CDC_TARGET_RETRY) {
            direct_die("the target refuses", err->text);
        }

        direct_waits++;
        cdc_timer_add(direct_loop, &lane->timer, DIRECT_WAIT_MS);
        return;
    }

    lane->at = lane->next;

    if (lane->at < lane->n) {
        direct_send(lane);
        return;
    }

    if (--direct_busy == 0) {
        cdc_loop_stop(direct_loop);
    }
}


static void
direct_add(direct_lane_t *lane, cdc_chain_t *chain, const cdc_envelope_t *env)
{
    int            rc;
    size_t         mark;
    cdc_rewrite_t  rw;

    memset(&rw, 0, sizeof(cdc_rewrite_t));
    rw.collection_name = cdc_span_n(direct_coll->name,
                                    strlen(direct_coll->name));
    rw.shard_name = lane->shard;
    rw.collection_id = direct_coll->id;
    rw.partition_id = direct_coll->partitions[0].id;

    rc = cdc_wire_msg_open(chain, &mark);

    if (rc == CDC_OK) {
        rc = env->type == CDC_MSG_TIME_TICK
             ? cdc_wire_tick(chain, env->ts)
             : cdc_wire_rewrite(chain, env, &rw);
    }

    if (rc != CDC_OK) {
        direct_die("a message", "cannot be rewritten");
    }

    cdc_wire_msg_close(chain, mark);
}


static void
direct_send(direct_lane_t *lane)
{
    uint64_t      end;
    cdc_chain_t  *chain;

    /* EndTs is held against the target's clock: see cdc_lane_build() */

    end = cdc_ms_tso(cdc_wall_ms());
    chain = cdc_chain_create();

    if (chain == NULL
        || cdc_wire_replicate_begin(chain, lane->target,
                                    lane->msgs[lane->at].ts, end) != CDC_OK)
    {
        direct_die("a request", "no memory");
    }

    lane->next = lane->at;

    do {
        direct_add(lane, chain, &lane->msgs[lane->next++]);

    } while (lane->next < lane->n
             && cdc_chain_bytes(chain) + lane->msgs[lane->next].raw.len
                <= direct_limit);

    direct_requests++;
    direct_bytes += cdc_chain_bytes(chain);

    if (direct_ops->send(lane->conn, chain, direct_done, lane) != CDC_OK) {
        direct_die("a request", "cannot be sent");
    }

    cdc_chain_unref(chain);
}


/* a schema has the name of its collection in it, as field 1 */

static cdc_span_t
direct_schema(const cdc_target_collection_t *c, const char *name)
{
    int           rc;
    size_t        len;
    uint8_t      *flat;
    cdc_span_t    in;
    cdc_chain_t  *out;
    cdc_field_t   f;

    in = cdc_span_n(c->schema, c->schema_len);
    out = cdc_chain_create();

    if (out == NULL) {
        direct_die(name, "no memory");
    }

    rc = cdc_chain_bytes_field(out, 1, cdc_span_n(name, strlen(name)));

    while (rc == CDC_OK && cdc_wire_next(&in, &f) == CDC_OK) {
        rc = f.number == 1 ? CDC_OK : cdc_chain_add(out, f.raw);
    }

    flat = rc == CDC_OK ? cdc_chain_flatten(out, &len) : NULL;

    if (flat == NULL) {
        direct_die(name, "no memory");
    }

    cdc_chain_unref(out);

    return cdc_span_n(flat, len);
}


static void
direct_make(cdc_target_t *target, const char *like, const char *name)
{
    cdc_target_error_t        err;
    cdc_target_create_t       make;
    cdc_target_collection_t  *c;

    if (direct_ops->describe(target, "default", like, 0, &c, &err)
        != CDC_OK)
    {
        direct_die(like, "is not on the target");
    }

    memset(&make, 0, sizeof(cdc_target_create_t));
    make.db = "default";
    make.name = name;
    make.schema = direct_schema(c, name);
    make.shards = (int32_t) c->nshards;
    make.ts = c->created_ts;

    if (direct_ops->create_collection(target, &make, &err) != CDC_OK
        || direct_ops->describe(target, "default", name, 0, &direct_coll,
                                &err)
           != CDC_OK)
    {
        direct_die(name, err.text);
    }

    if (direct_coll->npartitions != 1) {
        direct_die(name, "has partitions");
    }

    cdc_target_collection_free(c);
}


int
main(int argc, char **argv)
{
    char                err[CDC_REASON_MAX];
    double              took;
    unsigned            i;
    cdc_target_t       *target;
    cdc_target_conf_t   conf;

    if (argc < 5) {
        direct_die("usage", "direct-load CONNECT RECORD LIKE NAME [BYTES]");
    }

    if (argc > 5) {
        direct_limit = strtoul(argv[5], NULL, 10);
    }

    cdc_log_init("direct-load", NULL, CDC_LOG_WARN);
    memset(&conf, 0, sizeof(cdc_target_conf_t));

    if (cdc_target_conf_parse(&conf, argv[1], strlen(argv[1]), err)
        != CDC_OK)
    {
        direct_die("CONNECT", err);
    }

    direct_loop = cdc_loop_create();
    cdc_grpc_init(direct_loop);
    target = direct_ops->open(&conf, err);

    if (target == NULL) {
        direct_die(argv[1], err);
    }

    direct_make(target, argv[3], argv[4]);
    direct_read(argv[2]);

    for (i = 0; i < direct_nlanes; i++) {
        direct_lanes[i].timer.handler = direct_again;
        direct_lanes[i].timer.data = &direct_lanes[i];
        direct_lanes[i].conn = direct_ops->lane_open(target, err);

        if (direct_lanes[i].conn == NULL || direct_lanes[i].shard.len == 0) {
            direct_die("a channel", "has no rows or no connection");
        }
    }

    took = direct_now();

    for (i = 0; i < direct_nlanes; i++) {
        direct_busy++;
        direct_send(&direct_lanes[i]);
    }

    (void) cdc_loop_run(direct_loop);
    took = direct_now() - took;

    (void) printf("{\"rows\": %llu, \"bytes\": %llu, \"requests\": %llu, "
                  "\"waits\": %llu, \"seconds\": %.6f}\n",
                  (unsigned long long) direct_rows,
                  (unsigned long long) direct_bytes,
                  (unsigned long long) direct_requests,
                  (unsigned long long) direct_waits, took);
    (void) fflush(stdout);

    _exit(0);                            /* no more is wanted of gRPC */
}
