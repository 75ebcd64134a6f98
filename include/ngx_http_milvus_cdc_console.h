/*
 * The console's files, as the build puts them into the module: each file of
 * src/http/console/ that a browser asks for is one row, made by "embed" there.
 */

#ifndef NGX_HTTP_MILVUS_CDC_CONSOLE_H_INCLUDED
#define NGX_HTTP_MILVUS_CDC_CONSOLE_H_INCLUDED


typedef struct {
    const char                      *name;       /* NULL: end of the table */
    const char                      *type;
    const unsigned char             *data;
    size_t                           len;
    const char                      *hash;       /* of the data */
} ngx_http_milvus_cdc_asset_t;


/* the page is the first row */

extern const ngx_http_milvus_cdc_asset_t  ngx_http_milvus_cdc_assets[];


#endif /* NGX_HTTP_MILVUS_CDC_CONSOLE_H_INCLUDED */
