/*
 * milvus_connect_param: what it becomes, and that an error never has a secret.
 *
 * Input: the object's text.  An address that was taken is taken again as it is
 * shown, and is allowed where it is the pattern.
 */

#include <jansson.h>

#include "cdc_store.h"
#include "cdc_target.h"
#include "fuzz.h"


/* another secret of the same kind makes the same error */

static void
fuzz_hidden(const uint8_t *data, size_t size, const char *name,
    const char *err)
{
    char                other[CDC_REASON_MAX], *text;
    json_t             *root;
    cdc_target_conf_t   conf;

    root = json_loadb((const char *) data, size, 0, NULL);

    if (json_string_length(json_object_get(root, name)) != 0) {
        (void) json_object_set_new(root, name, json_string("hush"));
        text = json_dumps(root, 0);

        fuzz_check(cdc_target_conf_parse(&conf, text, strlen(text), other)
                   == CDC_ERROR);
        fuzz_check(strcmp(err, other) == 0);
        free(text);
    }

    json_decref(root);
}


static void
fuzz_again(const cdc_target_conf_t *conf)
{
    char                err[CDC_REASON_MAX], *text;
    json_t             *json, *allow;
    cdc_target_conf_t   again;

    json = json_pack("{s:s+}", "uri", conf->tls ? "https://" : "http://",
                     conf->address);
    fuzz_check(json != NULL);
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);

    fuzz_check(cdc_target_conf_parse(&again, text, strlen(text), err)
               == CDC_OK);
    fuzz_check(strcmp(again.address, conf->address) == 0);
    fuzz_check(again.tls == conf->tls && again.authorization == NULL);
    cdc_target_conf_free(&again);
    free(text);

    allow = json_pack("[s]", conf->address);
    fuzz_check(cdc_probe_allowed(allow, conf->address));
    json_decref(allow);

    allow = json_pack("[s]", "*.nowhere.example:1");
    (void) cdc_probe_allowed(allow, conf->address);
    json_decref(allow);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                 major, minor;
    char               *err, *text;
    cdc_target_conf_t   conf;

    cdc_log_init("", NULL, CDC_LOG_EMERG);

    err = malloc(CDC_REASON_MAX);
    fuzz_check(err != NULL);

    if (cdc_target_conf_parse(&conf, (const char *) data, size, err)
        == CDC_OK)
    {
        fuzz_check(conf.address != NULL && conf.identity != NULL);
        fuzz_check(conf.connect_timeout_ms != 0);
        fuzz_check((conf.cert_path == NULL) == (conf.key_path == NULL));
        fuzz_again(&conf);

    } else {
        fuzz_check(fuzz_is_text(err));
        fuzz_check(conf.address == NULL && conf.authorization == NULL);

        fuzz_hidden(data, size, "token", err);
        fuzz_hidden(data, size, "password", err);
    }

    cdc_target_conf_free(&conf);
    free(err);

    /* the same text as a server's version */

    text = (char *) fuzz_copy(cdc_span_n(data, size), 1);
    (void) cdc_probe_version(text, &major, &minor);
    free(text);

    return 0;
}
