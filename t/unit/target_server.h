/*
 * A Milvus in this process (grpc_server.h), what it answers is the test's, and
 * a target that is connected to it.
 */

#ifndef TARGET_SERVER_H_INCLUDED
#define TARGET_SERVER_H_INCLUDED

#include "grpc_server.h"

#include "cdc_grpc.h"
#include "cdc_runtime.h"
#include "cdc_target.h"


static server_t      *target_server;
static cdc_loop_t    *target_loop;
static cdc_target_t  *target;


static void
target_begin(int (*answer)(const char *method, const uint8_t *request,
    size_t len, uint8_t *out, size_t *n))
{
    char               err[CDC_REASON_MAX], json[128];
    cdc_target_conf_t  conf;

    cdc_log_init("", NULL, CDC_LOG_NOTICE);
    target_loop = cdc_loop_create();
    cdc_grpc_init(target_loop);

    target_server = server_start(NULL, 0);
    target_server->answer = answer;

    (void) snprintf(json, sizeof(json), "{\"uri\":\"http://127.0.0.1:%d\"}",
                    target_server->port);
    (void) cdc_target_conf_parse(&conf, json, strlen(json), err);
    target = cdc_milvus_target.open(&conf, err);
    cdc_target_conf_free(&conf);
}


static void
target_end(void)
{
    cdc_milvus_target.close(target);
    server_stop(target_server);
    cdc_grpc_shutdown();
    cdc_loop_destroy(target_loop);
}


#endif /* TARGET_SERVER_H_INCLUDED */
