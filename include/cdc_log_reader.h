/*
 * A reader of the source's operation log: Kafka, RocksMQ; each is one
 * cdc_log_reader_ops_t.
 *
 * A stream is one channel (topic) read in order from a position.  All on the
 * main thread except the two functions marked [blocks].  A reader keeps a
 * bounded amount of bytes ahead (conf: prefetch, per stream; and one for all
 * of its streams); it stops fetching by itself while next() is not called:
 * that is the back-pressure.
 * Every message must be released before close().
 */

#ifndef CDC_LOG_READER_H_INCLUDED
#define CDC_LOG_READER_H_INCLUDED

#include "cdc_base.h"
#include "cdc_runtime.h"


typedef struct cdc_log_reader_s  cdc_log_reader_t;
typedef struct cdc_log_stream_s  cdc_log_stream_t;

typedef struct {
    cdc_span_t         body;             /* bare protobuf message */
    cdc_pos_t          pos;
    unsigned           streaming:1;      /* has the property "_v": the format
                                          * of Milvus 2.6 and later */
    unsigned           copied:1;         /* for release(), as is */
    void              *owner;
} cdc_log_msg_t;

typedef struct {
    const char        *channel;
    cdc_pos_t          first, end;
    unsigned           known:1;          /* they have been told */
} cdc_log_ends_t;

typedef struct {
    /* main thread: messages or an error are waiting after CDC_AGAIN, or
     * next() is to be asked again by who still wants one */
    void (*readable)(void *arg, cdc_log_stream_t *s);
    /* the log is out of reach (text) or back (NULL); next() goes on */
    void (*degraded)(void *arg, const char *text);
    void  *arg;
} cdc_log_handler_t;

typedef struct {
    const char  *name;                   /* "kafka" */
    unsigned     numbered:1;             /* positions count from 0 in each
                                          * channel: one that was deleted and
                                          * made anew has them again */

    /* conf: the source's object of INIT (cdc_frame.h), already parsed by
     * jansson (json_t *) and borrowed until close */
    cdc_log_reader_t *(*open)(cdc_loop_t *loop, const void *conf,
        const cdc_log_handler_t *h, char *err);
    void (*close)(cdc_log_reader_t *r);

    /* [blocks] any thread: first position kept, and the position behind the
     * newest message, of a channel; {0,0} both for a channel that does not
     * exist yet */
    int  (*ends)(cdc_log_reader_t *r, const char *channel, unsigned ms,
        cdc_pos_t *first, cdc_pos_t *end, char *err);

    /* MsgPosition.msgID or KeyDataPair.data, as Milvus writes it */
    int  (*parse_id)(cdc_span_t id, cdc_pos_t *pos);

    /* reads from the first message at or behind "from" */
    cdc_log_stream_t *(*start)(cdc_log_reader_t *r, const char *channel,
        cdc_pos_t from, void *data, char *err);
    void (*stop)(cdc_log_stream_t *s);   /* messages already taken stay valid */
    void *(*data)(cdc_log_stream_t *s);

    /*
     * CDC_OK: *msg is the caller's until release().  CDC_AGAIN: none now,
     * readable() will be called.  CDC_DECLINED: the log no longer holds
     * "from", or ends before it (err names topic, wanted and first or last
     * position): a gap, fatal.
     * CDC_ERROR: other, final error of this stream (err).
     */
    int  (*next)(cdc_log_stream_t *s, cdc_log_msg_t *msg, char *err);
    void (*release)(cdc_log_msg_t *msg);         /* any thread */

    /* 1 when the newest message known to the broker has been taken */
    int  (*at_end)(cdc_log_stream_t *s);

    /* while it is degraded: when it looks again, cdc_now_ms(); 0: now */
    uint64_t (*next_try)(cdc_log_reader_t *r);

    /*
     * All may be NULL, and ask nobody: what is known, to be shown.  The
     * position behind the newest message; for how many ms the log keeps
     * one; the bytes that next() has not given.  CDC_DECLINED: not known
     * (yet), or for ever.
     */
    int  (*end)(cdc_log_stream_t *s, cdc_pos_t *pos);
    int  (*retention)(cdc_log_stream_t *s, uint64_t *ms);
    int  (*left)(cdc_log_stream_t *s, uint64_t *bytes);

    /* [blocks, ms] any thread: ends() of many channels in one question, for
     * readers that it saves time; NULL: it does not.  What is not known then
     * is for ends() to say why. */
    void (*all_ends)(cdc_log_reader_t *r, cdc_log_ends_t *all, size_t n,
        unsigned ms);
} cdc_log_reader_ops_t;

extern const cdc_log_reader_ops_t  cdc_kafka_reader;
extern const cdc_log_reader_ops_t  cdc_rocksmq_reader;

/* the reader that a source's object of INIT names; NULL: none of them */
const cdc_log_reader_ops_t *cdc_log_reader_of(const void *conf);

/* parse_id() of an offset and of RocksMQ's id, which Milvus writes alike: 8
 * bytes, the lowest first; -1 is before the first message */
int  cdc_log_parse_id(cdc_span_t id, cdc_pos_t *pos);


#endif /* CDC_LOG_READER_H_INCLUDED */
