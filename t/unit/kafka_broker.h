/*
 * librdkafka's own broker, in the test's process, and who writes to it.
 */

#ifndef KAFKA_BROKER_H_INCLUDED
#define KAFKA_BROKER_H_INCLUDED

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>


/* of "brokers", which may be NULL */

static inline rd_kafka_t *
kafka_producer(const char *brokers)
{
    char              err[256];
    rd_kafka_conf_t  *kc;

    kc = rd_kafka_conf_new();
    (void) rd_kafka_conf_set(kc, "log_level", "0", err, sizeof(err));
    (void) rd_kafka_conf_set(kc, "linger.ms", "0", err, sizeof(err));

    if (brokers != NULL) {
        (void) rd_kafka_conf_set(kc, "bootstrap.servers", brokers, err,
                                 sizeof(err));
    }

    return rd_kafka_new(RD_KAFKA_PRODUCER, kc, err, sizeof(err));
}


/* it runs in *client: destroy both, that last */

static inline rd_kafka_mock_cluster_t *
kafka_broker(rd_kafka_t **client)
{
    *client = kafka_producer(NULL);

    return rd_kafka_mock_cluster_new(*client, 1);
}


#endif /* KAFKA_BROKER_H_INCLUDED */
