/*
 * A replicator of a task that follows all, without a supervisor: what it has to
 * say goes nowhere.
 */

#ifndef BARE_REPLICATOR_H_INCLUDED
#define BARE_REPLICATOR_H_INCLUDED

#include "cdc_replicator.h"


static void
bare_begin(cdc_repl_t *r)
{
    char     err[CDC_REASON_MAX];
    json_t  *request;

    static char        id[] = "task";
    static cdc_conn_t  nowhere = { .event.fd = -1 };
    static cdc_role_t  role = { .control = &nowhere };

    memset(r, 0, sizeof(cdc_repl_t));

    request = json_pack("{s:[{s:s}]}", "collection_infos", "name", "*");
    r->role = &role;
    r->loop = cdc_loop_create();
    r->task_id = id;
    r->config = json_pack("{s:s}", "source", "main");
    r->selection = cdc_selection_create(request, err);
    json_decref(request);
}


static void __attribute__((unused))
bare_end(cdc_repl_t *r)
{
    cdc_selection_free(r->selection);
    cdc_loop_destroy(r->loop);
    json_decref(r->config);
}


#endif /* BARE_REPLICATOR_H_INCLUDED */
