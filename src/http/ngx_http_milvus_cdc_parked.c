/*
 * Messages that cannot be applied: the policy of a create, and the requests
 * that show, retry and drop what has been set aside (by the store).
 */

#include "ngx_http_milvus_cdc_http.h"


const ngx_http_milvus_cdc_field_t  ngx_http_milvus_cdc_parked_fields[] = {
    { "task_id", NGX_HTTP_MILVUS_CDC_STRING, NULL },
    { "id", NGX_HTTP_MILVUS_CDC_INT, NULL },
    { NULL, 0, NULL }
};


ngx_int_t
ngx_http_milvus_cdc_check_on_poison(ngx_http_milvus_cdc_ctx_t *c)
{
    const char  *policy;

    policy = ngx_http_milvus_cdc_str(c->data, "on_poison");

    if (policy[0] != '\0' && ngx_strcmp(policy, "stop") != 0
        && ngx_strcmp(policy, "skip") != 0)
    {
        return ngx_http_milvus_cdc_error(c, CDC_E_POISON_POLICY, policy);
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_milvus_cdc_parked(ngx_http_milvus_cdc_ctx_t *c)
{
    const char  *id;

    id = ngx_http_milvus_cdc_str(c->data, "task_id");

    if (id[0] == '\0' || ngx_strlen(id) > CDC_TASK_ID_MAX) {
        return ngx_http_milvus_cdc_error(c, CDC_E_NOT_FOUND, id);
    }

    return ngx_http_milvus_cdc_store(c, 0);
}
