/*
 * A check's look at the source's etcd: is it there, are its keys where the
 * configuration says, which Milvus registers there, and are certificates good.
 * A create that could ask no channel of the log asks for the version, too.
 *
 * The servers of a Milvus keep a key each under session/, with a lease and
 * their version: a source that is down has none after a minute.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc_etcd.h"
#include "cdc_store.h"


#define CDC_SESSIONS_MAX     256         /* that are read */
#define CDC_ROOTS_MS         1000        /* to look for other paths */
#define CDC_ROOTS_MAX        5           /* paths in a cure */
#define CDC_TLS_SERVERS      4           /* of etcd, and of Kafka */
#define CDC_ETCD_CURE        512
#define CDC_ETCD_LEAST_MS    1000        /* even when the target has taken
                                          * the time of all */


typedef struct {
    char          version[64];
    unsigned      sessions;
    unsigned      roots;
    char          cure[CDC_ETCD_CURE];
} cdc_probe_etcd_t;


static const char *
cdc_probe_path(cdc_probe_t *p, const char *name, const char *value)
{
    const char  *s;

    s = json_string_value(json_object_get(p->source, name));

    return s != NULL ? s : value;
}


/* of ms, what a check still has */

static unsigned
cdc_probe_left(const cdc_probe_t *p, unsigned ms)
{
    uint64_t  now;

    now = cdc_now_ms();

    if (now >= p->end) {
        return 0;
    }

    return p->end - now < ms ? (unsigned) (p->end - now) : ms;
}


/* ---- certificates --- */

static const char *
cdc_probe_option(const json_t *conf, const char *name)
{
    const char  *s;

    s = json_string_value(json_object_get(conf, name));

    return s != NULL && *s != '\0' ? s : NULL;
}


/*
 * 1: the others are not looked at.  A server that says nothing takes all of
 * its time, and its neighbours are likely to do so, too.
 */

static int
cdc_probe_server_tls(cdc_probe_t *p, const cdc_tls_look_t *look,
    const json_t *conf, const char *server, size_t len)
{
    int             rc;
    char            address[512];
    unsigned        ms;
    cdc_tls_look_t  l;

    (void) snprintf(address, sizeof(address), "%.*s", (int) len, server);

    l = *look;
    l.address = address;
    l.ca = cdc_probe_option(conf, "ca");
    l.cert = cdc_probe_option(conf, "cert");
    l.key = cdc_probe_option(conf, "key");

    rc = CDC_AGAIN;
    ms = cdc_probe_left(p, CDC_CHECK_TLS_MS);

    if (ms != 0) {
        rc = cdc_probe_tls(&l, ms, p->findings);
    }

    if (rc != CDC_AGAIN) {
        return 0;
    }

    cdc_finding(p->findings, look->check, CDC_WARNING, "check again when all "
                "servers answer", "the certificates of %s %s and of those "
                "named after it were not looked at: it takes too long",
                look->who, address);

    return 1;
}


static void
cdc_probe_etcd_tls(cdc_probe_t *p, const json_t *etcd)
{
    size_t       i;
    json_t      *endpoints, *v;
    const char  *s;

    static const cdc_tls_look_t  look = {
        .check = "source.etcd.tls", .who = "etcd", .ca_option = "etcd_ca",
        .cert_option = "etcd_certificate and etcd_certificate_key",
        .name_option = "etcd"
    };

    endpoints = json_object_get(etcd, "endpoints");

    json_array_foreach(endpoints, i, v) {
        s = json_string_value(v);

        if (i == CDC_TLS_SERVERS) {
            break;
        }

        if (s == NULL || strncmp(s, "https://", 8) != 0) {
            continue;
        }

        s += 8;

        if (cdc_probe_server_tls(p, &look, etcd, s, strcspn(s, "/"))) {
            break;
        }
    }
}


static void
cdc_probe_kafka_tls(cdc_probe_t *p, const json_t *kafka)
{
    size_t       n, i;
    const char  *s;

    static const cdc_tls_look_t  look = {
        .check = "source.kafka.tls", .who = "Kafka", .ca_option = "kafka_ca",
        .cert_option = "kafka_certificate and kafka_certificate_key",
        .name_option = "kafka"
    };

    if (!json_is_true(json_object_get(kafka, "tls"))) {
        return;
    }

    s = cdc_probe_option(kafka, "brokers");

    for (i = 0; s != NULL && *s != '\0' && i < CDC_TLS_SERVERS; i++) {
        n = strcspn(s, ", ");

        if (cdc_probe_server_tls(p, &look, kafka, s, n)) {
            break;
        }

        s += n;
        s += strspn(s, ", ");
    }
}


/* ---- what it holds --- */

static int
cdc_probe_any(void *arg, const cdc_etcd_kv_t *kv)
{
    unsigned  *n = arg;

    (void) kv;
    ++*n;

    return CDC_OK;
}


/* a proxy's or a coordinator's; the older one, while they are upgraded */

static int
cdc_probe_session(void *arg, const cdc_etcd_kv_t *kv)
{
    int                a[2], b[2];
    json_t            *root;
    const char        *version;
    cdc_probe_etcd_t  *e = arg;

    root = json_loadb((const char *) kv->value.data, kv->value.len, 0, NULL);

    if (json_object_get(root, "ServerName") == NULL) {
        json_decref(root);
        return CDC_OK;
    }

    e->sessions++;
    version = json_string_value(json_object_get(root, "Version"));

    if (version != NULL
        && cdc_probe_version(version, &a[0], &a[1]) == CDC_OK
        && (e->version[0] == '\0'
            || (cdc_probe_version(e->version, &b[0], &b[1]) == CDC_OK
                && (a[0] < b[0] || (a[0] == b[0] && a[1] < b[1])))))
    {
        (void) snprintf(e->version, sizeof(e->version), "%s", version);
    }

    json_decref(root);

    return CDC_OK;
}


static int
cdc_probe_root(void *arg, const char *root, const char *meta)
{
    size_t             len;
    cdc_probe_etcd_t  *e = arg;

    len = strlen(e->cure);

    if (len < sizeof(e->cure)) {
        (void) snprintf(e->cure + len, sizeof(e->cure) - len,
                        "%s`root_path %s; meta_path %s;`",
                        e->roots ? " or " : "", root, meta);
    }

    return ++e->roots < CDC_ROOTS_MAX ? CDC_OK : CDC_DONE;
}


static void
cdc_probe_no_keys(cdc_probe_t *p, const json_t *etcd, const char *prefix,
    cdc_probe_etcd_t *e)
{
    (void) snprintf(e->cure, sizeof(e->cure), "in milvus_cdc_source, say what "
                    "is there: ");

    cdc_etcd_roots(etcd, CDC_ROOTS_MS, cdc_probe_root, e);

    if (e->roots == 0) {
        (void) snprintf(e->cure, sizeof(e->cure), "set root_path and "
                        "meta_path in milvus_cdc_source to etcd.rootPath and "
                        "etcd.metaSubPath of the source's milvus.yaml, and "
                        "see that this is the source's etcd");
    }

    cdc_finding(p->findings, "source.meta", CDC_FAULT, e->cure, "etcd has no "
                "Milvus under \"%s\"", prefix);
}


static void
cdc_probe_etcd_down(cdc_probe_t *p, const char *err)
{
    const char  *cure;

    cure = "see that etcd runs, and that `etcd` of milvus_cdc_source is "
           "etcd.endpoints of the source's milvus.yaml, as this host reaches "
           "it; http:// or https://";

    if (strstr(err, "authentication") != NULL
        || strstr(err, "user name is empty") != NULL
        || strstr(err, "permission denied") != NULL)
    {
        cure = "set etcd_user and etcd_password in milvus_cdc_source to a "
               "user that may read the keys under root_path";

    } else if (strstr(err, "ertificate") != NULL
               || strstr(err, "SSL") != NULL)
    {
        cure = "see source.etcd.tls";
    }

    cdc_finding(p->findings, "source.etcd", CDC_FAULT, cure,
                "the source's etcd does not answer: %s", err);
}


/* NULL: one that is followed, or nobody knows */

static const char *
cdc_probe_version_cure(const char *version, char text[CDC_REASON_MAX])
{
    int  major, minor;

    if (cdc_probe_version(version, &major, &minor) != CDC_OK
        || (major == 2 && minor >= 3 && minor <= 5))
    {
        return NULL;
    }

    if (major < 2 || (major == 2 && minor < 3)) {
        (void) snprintf(text, CDC_REASON_MAX, "the source runs Milvus %s, "
                        "which does not log its operations", version);
        return "upgrade the source to Milvus 2.3, 2.4 or 2.5";
    }

    (void) snprintf(text, CDC_REASON_MAX, "the source runs Milvus %s, which "
                    "writes its log in another form", version);

    return "use the replication that Milvus 2.6 brings, or keep the source at "
           "2.5";
}


static void
cdc_probe_source_version(cdc_probe_t *p, const cdc_probe_etcd_t *e,
    const char *prefix)
{
    int          major, minor;
    char         text[CDC_REASON_MAX];
    const char  *cure;

    if (e->sessions == 0) {
        cdc_finding(p->findings, "source.running", CDC_WARNING, "start the "
                    "source; if it runs, see that root_path and meta_path "
                    "are its own", "no server of Milvus is registered under "
                    "\"%ssession/\": the source does not run", prefix);
        return;
    }

    cdc_finding(p->findings, "source.running", CDC_FINE, NULL,
                "servers of the source that are registered: %u", e->sessions);

    cure = cdc_probe_version_cure(e->version, text);

    if (cure != NULL) {
        cdc_finding(p->findings, "source.version", CDC_FAULT, cure, "%s",
                    text);

    } else if (cdc_probe_version(e->version, &major, &minor) != CDC_OK) {
        cdc_finding(p->findings, "source.version", CDC_NOTE, NULL, "the "
                    "source does not say which version it is");

    } else {
        cdc_finding(p->findings, "source.version", CDC_FINE, NULL, "the "
                    "source runs Milvus %s", e->version);
    }
}


static void
cdc_probe_prefix(cdc_probe_t *p, char prefix[1024])
{
    (void) snprintf(prefix, 1024, "%.500s/%.500s/",
                    cdc_probe_path(p, "root_path", "by-dev"),
                    cdc_probe_path(p, "meta_path", "meta"));
}


static int
cdc_probe_sessions(const json_t *etcd, const char *prefix, unsigned ms,
    cdc_probe_etcd_t *e, char err[CDC_REASON_MAX])
{
    char  key[1100];

    (void) snprintf(key, sizeof(key), "%ssession/", prefix);

    return cdc_etcd_range(etcd, key, CDC_SESSIONS_MAX, ms, cdc_probe_session,
                          e, err);
}


int
cdc_probe_other_version(cdc_probe_t *p, unsigned ms, char text[CDC_REASON_MAX])
{
    char               prefix[1024], what[CDC_REASON_MAX], err[CDC_REASON_MAX];
    size_t             n;
    json_t            *etcd;
    const char        *cure;
    cdc_probe_etcd_t   e;

    etcd = json_object_get(p->source, "etcd");
    n = json_array_size(json_object_get(etcd, "endpoints"));
    memset(&e, 0, sizeof(cdc_probe_etcd_t));
    cdc_probe_prefix(p, prefix);

    if (n == 0 || cdc_probe_sessions(etcd, prefix, ms / (unsigned) n, &e, err)
                  != CDC_OK)
    {
        return 0;
    }

    cure = cdc_probe_version_cure(e.version, what);

    if (cure == NULL) {
        return 0;
    }

    (void) snprintf(text, CDC_REASON_MAX, "%.500s: %s", what, cure);

    return 1;
}


void
cdc_probe_etcd(cdc_probe_t *p)
{
    char               prefix[1024], key[1100], err[CDC_REASON_MAX];
    size_t             n;
    json_t            *etcd;
    unsigned           keys, ms;
    cdc_probe_etcd_t   e;

    etcd = json_object_get(p->source, "etcd");
    n = json_array_size(json_object_get(etcd, "endpoints"));

    if (n == 0) {
        return;
    }

    cdc_probe_etcd_tls(p, etcd);
    cdc_probe_kafka_tls(p, json_object_get(p->source, "kafka"));

    memset(&e, 0, sizeof(cdc_probe_etcd_t));

    keys = 0;
    ms = cdc_probe_left(p, CDC_CHECK_ETCD_MS);
    ms = (ms > CDC_ETCD_LEAST_MS ? ms : CDC_ETCD_LEAST_MS) / (unsigned) n;

    cdc_probe_prefix(p, prefix);
    (void) snprintf(key, sizeof(key), "%sroot-coord/", prefix);

    if (cdc_etcd_range(etcd, key, 1, ms, cdc_probe_any, &keys, err)
        != CDC_OK)
    {
        p->silent = 1;
        cdc_probe_etcd_down(p, err);
        return;
    }

    cdc_finding(p->findings, "source.etcd", CDC_FINE, NULL,
                "the source's etcd answers");

    if (keys == 0) {
        p->silent = 1;                   /* there is nothing to look at */
        cdc_probe_no_keys(p, etcd, prefix, &e);
        return;
    }

    cdc_finding(p->findings, "source.meta", CDC_FINE, NULL, "the source's "
                "keys are under \"%s\"", prefix);

    if (cdc_probe_sessions(etcd, prefix, ms, &e, err) == CDC_OK) {
        cdc_probe_source_version(p, &e, prefix);
    }
}
