/*
 * Frames (cdc_frame.h) on an nginx connection: the module's end of api.sock
 * and of the helpers' control sockets.
 *
 * Event-driven, in any nginx process.  Memory is taken per frame and wiped
 * before it is given back, because frames carry secrets.
 */

#ifndef NGX_HTTP_MILVUS_CDC_FRAMES_H_INCLUDED
#define NGX_HTTP_MILVUS_CDC_FRAMES_H_INCLUDED

#include "ngx_http_milvus_cdc.h"


typedef struct ngx_http_milvus_cdc_frames_s  ngx_http_milvus_cdc_frames_t;
typedef struct ngx_http_milvus_cdc_out_s     ngx_http_milvus_cdc_out_t;


struct ngx_http_milvus_cdc_frames_s {
    ngx_connection_t           *connection;     /* NULL: closed */

    /* a whole frame; the payload ends with a zero byte that "len" does not
     * count.  NGX_OK: go on; NGX_DONE: the frames_t is gone or closed */
    ngx_int_t                 (*handler)(ngx_http_milvus_cdc_frames_t *fr,
                                         cdc_frame_t *f, u_char *payload);

    /* end of file or error, once; the connection is closed already */
    void                      (*closed)(ngx_http_milvus_cdc_frames_t *fr);
    void                       *data;

    /* private */
    cdc_frame_t                 in;
    size_t                      got;
    u_char                     *payload;
    ngx_http_milvus_cdc_out_t  *out;
    ngx_http_milvus_cdc_out_t **last;
};


/* takes over a connected non-blocking socket, also when it fails */
ngx_int_t ngx_http_milvus_cdc_frames_open(ngx_http_milvus_cdc_frames_t *fr,
    ngx_socket_t fd, ngx_log_t *log);

/* queues a copy and sends what the socket takes; an error of the socket is
 * reported by closed() from the event loop, never from here */
ngx_int_t ngx_http_milvus_cdc_frames_send(ngx_http_milvus_cdc_frames_t *fr,
    ngx_uint_t type, uint64_t id, const void *payload, size_t len);

/* the event handler, for a caller that polls by itself */
void ngx_http_milvus_cdc_frames_read(ngx_event_t *rev);
void ngx_http_milvus_cdc_frames_write(ngx_event_t *wev);

void ngx_http_milvus_cdc_frames_close(ngx_http_milvus_cdc_frames_t *fr);


#endif /* NGX_HTTP_MILVUS_CDC_FRAMES_H_INCLUDED */
