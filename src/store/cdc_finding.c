/*
 * The findings of a check.
 *
 * A create's refusals are errors of a table (cdc_error_table.h); here is what
 * each of them is called in a check, and what one does about it.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cdc_check.h"
#include "cdc_text.h"


typedef struct {
    cdc_error_e  error;
    const char  *check;
    const char  *cure;
} cdc_finding_row_t;


#define CDC_CURE_ADDRESS                                                      \
    "give the target as \"milvus_connect_param\":{\"uri\":"                   \
    "\"http://host:port\",\"token\":\"user:password\"}"

#define CDC_CURE_NAMES                                                        \
    "give \"collection_infos\":[{\"name\":\"*\"}], or names of collections, " \
    "each once; those of other databases in \"db_collections\":"              \
    "{\"db\":[{\"name\":..}]}"

#define CDC_CURE_POSITION                                                     \
    "take the position from a backup's meta or from the existing service, "   \
    "as it is; or leave \"positions\" out"


static const cdc_finding_row_t  cdc_finding_rows[] = {

    { CDC_E_EMPTY_ADDRESS, "request.target", CDC_CURE_ADDRESS },
    { CDC_E_MILVUS_AND_KAFKA, "request.target",
      "leave \"kafka_connect_param\" out" },
    { CDC_E_EMPTY_HOST, "request.target", CDC_CURE_ADDRESS },
    { CDC_E_BAD_PORT, "request.target", CDC_CURE_ADDRESS },
    { CDC_E_BAD_URI, "request.target", CDC_CURE_ADDRESS },
    { CDC_E_EMPTY_TOPIC, "request.target",
      "leave \"kafka_connect_param\" out" },
    { CDC_E_NOT_SUPPORTED, "request.target", CDC_CURE_ADDRESS },
    { CDC_E_ONE_CREDENTIAL, "request.target",
      "give both \"username\" and \"password\", or \"token\":"
      "\"user:password\"" },
    { CDC_E_CONNECT_TIMEOUT, "request.target",
      "give \"connect_timeout\" in seconds, or leave it out (5)" },
    { CDC_E_BUFFER_PERIOD, "request.buffer_config",
      "leave \"buffer_config\" out: it has no effect" },
    { CDC_E_BUFFER_SIZE, "request.buffer_config",
      "leave \"buffer_config\" out: it has no effect" },

    { CDC_E_NO_COLLECTION, "request.collections", CDC_CURE_NAMES },
    { CDC_E_ONE_SELECTION, "request.collections",
      "give either \"collection_infos\" or \"db_collections\"" },
    { CDC_E_DB_NAME_LENGTH, "request.collections", CDC_CURE_NAMES },
    { CDC_E_EMPTY_COLLECTIONS, "request.collections", CDC_CURE_NAMES },
    { CDC_E_STAR_COLLECTION, "request.collections",
      "give the name \"*\" alone, or the names without it" },
    { CDC_E_STAR_DATABASE, "request.collections",
      "give the database \"*\" alone, or the databases without it" },
    { CDC_E_GIVEN_TWICE, "request.collections", "give it once" },
    { CDC_E_COLLECTION_NAMES, "request.collections", CDC_CURE_NAMES },
    { CDC_E_STAR_POSITIONS, "request.positions",
      "give positions with the names of their collections" },
    { CDC_E_NOT_VCHANNEL, "request.positions",
      "name the channel as describe_collection does, "
      "by-dev-rootcoord-dml_0_4440v0" },
    { CDC_E_BAD_VCHANNEL, "request.positions",
      "name the channel as describe_collection does, "
      "by-dev-rootcoord-dml_0_4440v0" },
    { CDC_E_MIXED_POSITIONS, "request.positions",
      "give each collection the positions of its own channels" },
    { CDC_E_BAD_POSITION, "request.positions", CDC_CURE_POSITION },
    { CDC_E_BAD_RPC_POSITION, "request.positions", CDC_CURE_POSITION },
    { CDC_E_RPC_CHANNEL, "request.replicate_channel",
      "leave \"rpc_channel_info\" out, or name what `replicate_channel` of "
      "milvus_cdc_source says" },
    { CDC_E_LOG_GAP_POLICY, "request.log_gap",
      "leave \"log_gap\" out, or say \"refuse\" or \"earliest\"" },
    { CDC_E_POISON_POLICY, "request.on_poison",
      "leave \"on_poison\" out, or say \"stop\" or \"skip\"" },
    { CDC_E_BAD_EXCLUDE, "request.exclude_collections",
      "give names as \"database.collection\", of what the task follows" },
    { CDC_E_BAD_MAPPING, "request.name_mapping",
      "give each collection a name of its own there" },
    { CDC_E_MAPPING_OUTSIDE, "request.name_mapping",
      "map what the task follows, or add to what it follows" },
    { CDC_E_BAD_TASK_ID, "request.task_id",
      "leave \"task_id\" out, or take letters, digits, \"_\", \".\", \"-\"" },
    { CDC_E_DOC_TOO_LARGE, "request.size",
      "make several tasks of it, or take \"*\" and \"exclude_collections\"" },

    { CDC_E_UNKNOWN_SOURCE, "source.declared",
      "add a milvus_cdc_source of that name to nginx.conf and reload" },

    { CDC_E_TARGET_NOT_ALLOWED, "target.allowed",
      "add it to milvus_cdc_allow_target in nginx.conf and reload" },
    { CDC_E_CONNECT_FAILED, "target.reachable",
      "see that the target runs, that host and port are those of its proxy "
      "(19530), and that a firewall lets this host in" },
    { CDC_E_TARGET_AUTH, "target.login",
      "give \"token\":\"user:password\" of a user of the target (or "
      "\"username\" and \"password\")" },
    { CDC_E_TARGET_VERSION, "target.version",
      "take a target of Milvus 2.3, 2.4 or 2.5" },
    { CDC_E_TARGET_IS_SOURCE, "target.other",
      "give the address of the other cluster" },
    { CDC_E_TARGET_DENIES, "target.replicate",
      "set common.ttMsgEnabled: false in the target's milvus.yaml and "
      "restart it" },

    { CDC_E_DUPLICATE_ROLE, "tasks.overlap",
      "leave \"enable_user_role\" out: one task of a target carries users "
      "and roles" },
    { CDC_E_DUPLICATE_COLLECTION, "tasks.overlap",
      "leave out what the other task follows, by \"exclude_collections\", "
      "or delete that task" },
    { CDC_E_TARGET_IN_USE, "tasks.overlap",
      "leave it out by \"exclude_collections\", give it another name by "
      "\"name_mapping\", or delete the other task" },
    { CDC_E_TASK_EXISTS, "tasks.id",
      "leave \"task_id\" out, take another, or delete that task" },
    { CDC_E_TASK_LIMIT, "tasks.limit",
      "delete a task, or raise milvus_cdc_max_tasks in nginx.conf and "
      "reload" },

    { CDC_E_SCHEMA_DIFFERS, "collections.schema",
      "drop or rename it on the target, leave it out by "
      "\"exclude_collections\", or give it another name by "
      "\"name_mapping\"" },
    { CDC_E_LOG_GAP, "collections.retention",
      "restore these collections to the target from a backup, then create; "
      "or create with \"log_gap\":\"earliest\" and do without what is "
      "older" },

    { CDC_E_OK, NULL, NULL }
};


static const char  *cdc_finding_levels[] = {
    "info", "info", "warning", "error"
};


static void
cdc_finding_add(json_t *findings, const char *check, cdc_finding_e level,
    const char *text, const char *cure)
{
    size_t   i;
    json_t  *f, *other;

    if (findings == NULL || json_array_size(findings) >= CDC_CHECK_FINDINGS) {
        return;
    }

    f = json_pack("{s:s, s:b, s:s, s:o}", "check", check,
                  "ok", level <= CDC_NOTE, "level", cdc_finding_levels[level],
                  "text", cdc_text_json(text));

    if (f == NULL) {
        return;
    }

    if (cure != NULL) {
        (void) json_object_set_new(f, "cure", cdc_text_json(cure));
    }

    /* the worker and the store may find the same */

    json_array_foreach(findings, i, other) {
        if (json_equal(f, other)) {
            json_decref(f);
            return;
        }
    }

    (void) json_array_append_new(findings, f);
}


void
cdc_finding(json_t *findings, const char *check, cdc_finding_e level,
    const char *cure, const char *fmt, ...)
{
    char     text[2 * CDC_REASON_MAX];
    va_list  args;

    if (findings == NULL) {
        return;
    }

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    cdc_finding_add(findings, check, level, text, cure);
}


void
cdc_finding_refusal(json_t *findings, cdc_error_e err, const char *text)
{
    const cdc_finding_row_t  *row;

    for (row = cdc_finding_rows; row->check != NULL; row++) {
        if (row->error == err) {
            cdc_finding_add(findings, row->check, CDC_FAULT, text, row->cure);
            return;
        }
    }

    cdc_finding_add(findings, "request", CDC_FAULT, text, NULL);
}


static int
cdc_finding_is(const json_t *finding, const char *check)
{
    const char  *name;

    name = json_string_value(json_object_get(finding, "check"));

    return check == NULL || (name != NULL && strcmp(name, check) == 0);
}


int
cdc_finding_ok(const json_t *findings, const char *check)
{
    size_t       i;
    json_t      *f;
    const char  *level;

    json_array_foreach(findings, i, f) {
        level = json_string_value(json_object_get(f, "level"));

        if (cdc_finding_is(f, check) && level != NULL
            && strcmp(level, "error") == 0)
        {
            return 0;
        }
    }

    return 1;
}


int
cdc_finding_has(const json_t *findings, const char *check)
{
    size_t   i;
    json_t  *f;

    json_array_foreach(findings, i, f) {
        if (cdc_finding_is(f, check)) {
            return 1;
        }
    }

    return 0;
}
