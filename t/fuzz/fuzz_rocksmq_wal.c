/*
 * RocksDB's log format against arbitrary files.
 *
 * Input: a first byte, and the file.  With bit 0 the bytes are records whose
 * checksums are made right ({length (2 bytes), type, data}); else they are the
 * file as it is.  It is read as a log, its messages are kept, read and told
 * again, and as a MANIFEST.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cdc_runtime.h"
#include "source/cdc_rocksmq_wal.h"


#define FUZZ_MAX  (1 << 20)


int  LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static uint8_t  fuzz_file[FUZZ_MAX];


static size_t
fuzz_parts(const uint8_t *data, size_t size)
{
    size_t    n, len, room;
    uint32_t  crc;
    uint8_t  *p;

    for (n = 0; size >= 3; /* void */) {
        room = CDC_ROCKSMQ_BLOCK - n % CDC_ROCKSMQ_BLOCK;

        if (room < CDC_ROCKSMQ_HEADER) {
            memset(fuzz_file + n, 0, room);
            n += room;
            continue;
        }

        len = (size_t) data[0] | (size_t) data[1] << 8;
        len = len < size - 3 ? len : size - 3;
        len = len < room - CDC_ROCKSMQ_HEADER ? len
                                              : room - CDC_ROCKSMQ_HEADER;

        if (n + len + CDC_ROCKSMQ_HEADER > FUZZ_MAX) {
            break;
        }

        p = fuzz_file + n;
        p[4] = (uint8_t) len;
        p[5] = (uint8_t) (len >> 8);
        p[6] = data[2] & 7;
        memcpy(p + 7, data + 3, len);
        crc = cdc_rocksmq_crc(p + 6, len + 1);
        crc = (crc >> 15 | crc << 17) + 0xa282ead8;
        memcpy(p, &crc, 4);

        n += len + CDC_ROCKSMQ_HEADER;
        data += len + 3;
        size -= len + 3;
    }

    return n;
}


static void
fuzz_use(cdc_rocksmq_wal_t *wal)
{
    char                        err[CDC_REASON_MAX];
    size_t                      i, n;
    uint8_t                    *body;
    uint64_t                    first, last, from;
    cdc_rocksmq_topic_t        *t;
    const cdc_rocksmq_entry_t  *e;

    for (i = 0; i < CDC_ROCKSMQ_BUCKETS; i++) {
        for (t = wal->topics.topics[i]; t != NULL; t = t->next) {
            cdc_rocksmq_topic_want(t, 0);
        }
    }

    if (cdc_rocksmq_wal_again(wal, err) != CDC_OK) {
        abort();
    }

    for (i = 0; i < CDC_ROCKSMQ_BUCKETS; i++) {
        for (t = wal->topics.topics[i]; t != NULL; t = t->next) {

            if (cdc_rocksmq_wal_ends(wal, t, &first, &last, err) != CDC_OK
                || (first != 0 && first < t->purged))
            {
                abort();
            }

            from = 0;

            for (n = 0; (e = cdc_rocksmq_topic_next(t, from)) != NULL; n++) {
                body = malloc((size_t) e->len + 1);

                if (body == NULL
                    || cdc_rocksmq_wal_body(wal, e, body, err) != CDC_OK)
                {
                    abort();             /* its record was whole */
                }

                from = e->id + 1;
                free(body);
            }
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                     fd;
    char                    err[CDC_REASON_MAX];
    size_t                  len;
    cdc_rocksmq_wal_t       wal;
    cdc_rocksmq_manifest_t  m;

    if (size < 1 || size > FUZZ_MAX / 4) {
        return 0;
    }

    if (data[0] & 1) {
        len = fuzz_parts(data + 1, size - 1);

    } else {
        len = size - 1;
        memcpy(fuzz_file, data + 1, len);
    }

    cdc_log_init("", NULL, CDC_LOG_EMERG);
    fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd == -1 || write(fd, fuzz_file, len) != (ssize_t) len
        || cdc_rocksmq_wal_init(&wal, "") != CDC_OK)
    {
        abort();
    }

    wal.logs = calloc(1, sizeof(cdc_rocksmq_log_t));
    wal.logs[0].number = 1;
    wal.logs[0].file.fd = fd;
    wal.nlogs = 1;

    if (cdc_rocksmq_wal_read(&wal, err) == CDC_AGAIN) {
        wal.lists++;
        (void) cdc_rocksmq_wal_read(&wal, err);
    }

    fuzz_use(&wal);
    cdc_rocksmq_wal_drop(&wal, data[0] & 2 ? 2 : 1);

    cdc_rocksmq_manifest_init(&m);
    (void) cdc_rocksmq_edit(&m, data + 1, size - 1);
    cdc_rocksmq_manifest_close(&m);
    cdc_rocksmq_wal_free(&wal);

    return 0;
}
