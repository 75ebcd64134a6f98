/*
 * RocksDB's log format against arbitrary files.
 *
 * Input: a first byte, and the file.  With bit 0 the bytes are records whose
 * checksums are made right ({length (2 bytes), type, data}); else they are the
 * file as it is.  It is read as a log, its messages are kept, read and told
 * again.
 */

#include "fuzz_rocksmq.h"


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
    int                fd;
    char               err[CDC_REASON_MAX];
    size_t             len;
    cdc_rocksmq_wal_t  wal;

    if (size < 1 || size > FUZZ_MAX / 4) {
        return 0;
    }

    len = fuzz_log(data, size);
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

    cdc_rocksmq_wal_free(&wal);

    return 0;
}
