/*
 * librdkafka's settings: few, and each for a reason.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cdc_kafka_int.h"


typedef struct {
    const char  *name;
    const char  *value;
} cdc_kafka_setting_t;


static const cdc_kafka_setting_t  cdc_kafka_settings[] = {

    { "client.id", "nginx-milvus-cdc" },
    { "enable.auto.commit", "false" },
    { "allow.auto.create.topics", "false" },

    /* a gap must be seen, never jumped over */
    { "auto.offset.reset", "error" },
    { "enable.partition.eof", "true" },

    /*
     * Memory.  A stream holds up to queued.max.messages.kbytes and one more
     * Fetch answer of fetch.message.max.bytes; a message larger than that
     * still comes, one in an answer.  How many streams do:
     * cdc_kafka_turn.c.  A broker cuts the last batch of an answer, and that
     * part comes again: so some batches fit.  fetch.max.bytes is more than
     * a message, for what is live beside it is to come in the same answer,
     * and little, for an answer of many streams is taken apart as a whole
     * before any of it is sent.
     * queued.min.messages bounds what the bookkeeping of small messages
     * costs.  receive.message.max.bytes only guards against nonsense: the
     * largest message is the broker's to limit.
     */
    { "queued.min.messages", "2000" },
    { "fetch.message.max.bytes", "1048576" },
    { "fetch.max.bytes", "4194304" },
    { "receive.message.max.bytes", "1000000000" },

    /*
     * Latency.  A message leaves the broker at once (fetch.min.bytes).  One
     * Fetch is under way per broker: a stream whose queue has room again
     * joins the next one, so the wait for it is bounded by fetch.wait.max.ms.
     */
    { "fetch.min.bytes", "1" },
    { "fetch.wait.max.ms", "100" },
    { "fetch.error.backoff.ms", "50" },
    { "socket.nagle.disable", "true" },

    /*
     * A broker that is gone is seen at once, and a new topic within a
     * second.  One that hangs is seen after socket.timeout.ms, which is also
     * all the time that the largest message has on a slow line.
     */
    { "socket.timeout.ms", "30000" },
    { "socket.keepalive.enable", "true" },
    { "reconnect.backoff.ms", "50" },
    { "reconnect.backoff.max.ms", "1000" },
    { "topic.metadata.refresh.interval.ms", "10000" },
    { "topic.metadata.refresh.fast.interval.ms", "100" },
    { "topic.metadata.propagation.max.ms", "1000" },

    { NULL, NULL }
};


static int
cdc_kafka_set(rd_kafka_conf_t *kc, const char *name, const char *value,
    char *err)
{
    char  text[512];

    if (rd_kafka_conf_set(kc, name, value, text, sizeof(text))
        == RD_KAFKA_CONF_OK)
    {
        return CDC_OK;
    }

    (void) snprintf(err, CDC_REASON_MAX, "kafka: %s", text);

    return CDC_ERROR;
}


/* a value of the configuration, when it is there */

static int
cdc_kafka_set_from(rd_kafka_conf_t *kc, const char *name, const json_t *conf,
    const char *member, char *err)
{
    const char  *value;

    value = json_string_value(json_object_get(conf, member));

    if (value == NULL || *value == '\0') {
        return CDC_OK;
    }

    return cdc_kafka_set(kc, name, value, err);
}


static int
cdc_kafka_conf_security(rd_kafka_conf_t *kc, const json_t *conf, char *err)
{
    int          tls;
    const char  *user, *protocol;

    tls = json_is_true(json_object_get(conf, "tls"));
    user = json_string_value(json_object_get(conf, "user"));

    if (user != NULL && *user != '\0') {
        protocol = tls ? "sasl_ssl" : "sasl_plaintext";

        if (cdc_kafka_set(kc, "sasl.mechanisms", "PLAIN", err) != CDC_OK
            || cdc_kafka_set_from(kc, "sasl.mechanisms", conf, "mechanism",
                                  err) != CDC_OK
            || cdc_kafka_set_from(kc, "sasl.username", conf, "user", err)
               != CDC_OK
            || cdc_kafka_set_from(kc, "sasl.password", conf, "password", err)
               != CDC_OK)
        {
            return CDC_ERROR;
        }

    } else {
        protocol = tls ? "ssl" : "plaintext";
    }

    if (cdc_kafka_set(kc, "security.protocol", protocol, err) != CDC_OK) {
        return CDC_ERROR;
    }

    if (!tls) {
        return CDC_OK;
    }

    if (cdc_kafka_set_from(kc, "ssl.ca.location", conf, "ca", err) != CDC_OK
        || cdc_kafka_set_from(kc, "ssl.certificate.location", conf, "cert",
                              err) != CDC_OK
        || cdc_kafka_set_from(kc, "ssl.key.location", conf, "key", err)
           != CDC_OK)
    {
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_kafka_copy(const json_t *conf, const char *member, char **s)
{
    const char  *value;

    value = json_string_value(json_object_get(conf, member));
    *s = strdup(value != NULL ? value : "");

    return *s != NULL ? CDC_OK : CDC_ERROR;
}


rd_kafka_conf_t *
cdc_kafka_conf(cdc_log_reader_t *r, const void *source, char *err)
{
    char                        kb[32];
    json_int_t                  prefetch;
    const json_t               *conf;
    rd_kafka_conf_t            *kc;
    const cdc_kafka_setting_t  *set;

    conf = json_object_get(source, "kafka");

    if (cdc_kafka_copy(conf, "brokers", &r->brokers) != CDC_OK
        || cdc_kafka_copy(conf, "user", &r->user) != CDC_OK
        || cdc_kafka_copy(conf, "password", &r->password) != CDC_OK)
    {
        (void) snprintf(err, CDC_REASON_MAX, "kafka: no memory");
        return NULL;
    }

    if (r->brokers[0] == '\0') {
        (void) snprintf(err, CDC_REASON_MAX, "kafka: no broker is given");
        return NULL;
    }

    kc = rd_kafka_conf_new();

    for (set = cdc_kafka_settings; set->name != NULL; set++) {
        if (cdc_kafka_set(kc, set->name, set->value, err) != CDC_OK) {
            goto failed;
        }
    }

    prefetch = json_integer_value(json_object_get(conf, "prefetch")) / 1024;

    (void) snprintf(kb, sizeof(kb), "%d",
                    prefetch > 0 && prefetch <= 1048576 ? (int) prefetch
                                                        : CDC_KAFKA_PREFETCH);

    if (cdc_kafka_set(kc, "queued.max.messages.kbytes", kb, err) != CDC_OK
        || cdc_kafka_set(kc, "bootstrap.servers", r->brokers, err) != CDC_OK
        || cdc_kafka_conf_security(kc, conf, err) != CDC_OK)
    {
        goto failed;
    }

    return kc;

failed:

    rd_kafka_conf_destroy(kc);

    return NULL;
}


void
cdc_kafka_conf_free(cdc_log_reader_t *r)
{
    if (r->password != NULL) {
        explicit_bzero(r->password, strlen(r->password));
    }

    free(r->brokers);
    free(r->user);
    free(r->password);
}
