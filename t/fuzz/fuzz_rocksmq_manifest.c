/*
 * RocksDB's MANIFEST, whole and as it grows.
 *
 * Input: a first byte, and the file (fuzz_log()).  A part of it is read before
 * the rest is there; then what is known must be what the whole file says when
 * it is read at once.
 */

#include "fuzz_rocksmq.h"


static int
fuzz_read(cdc_rocksmq_manifest_t *m, int fd)
{
    int                          rc;
    char                         name[32], err[CDC_REASON_MAX];

    static cdc_rocksmq_window_t  w;

    if (w.data == NULL) {
        fuzz_check(cdc_rocksmq_window_init(&w) == CDC_OK);
    }

    (void) snprintf(name, sizeof(name), "%d", fd);
    err[0] = '\0';

    w.len = 0;
    rc = cdc_rocksmq_manifest_read(m, "/proc/self/fd", name, &w, err);

    fuzz_check(rc == CDC_OK || rc == CDC_ERROR);
    fuzz_check(rc == CDC_OK || fuzz_is_text(err));
    fuzz_check(rc == CDC_OK || m->file.fd == -1);
    fuzz_check(m->len <= m->size && m->log <= m->next);

    return rc;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                     fd, rc;
    size_t                  len, cut;
    cdc_rocksmq_manifest_t  grown, whole;

    if (size < 1 || size > FUZZ_MAX / 4) {
        return 0;
    }

    len = fuzz_log(data, size);
    cut = len * (data[0] >> 1) / 128;

    cdc_log_init("", NULL, CDC_LOG_EMERG);
    fd = memfd_create("fuzz", MFD_CLOEXEC);
    fuzz_check(fd != -1 && write(fd, fuzz_file, cut) == (ssize_t) cut);

    cdc_rocksmq_manifest_init(&grown);
    cdc_rocksmq_manifest_init(&whole);

    rc = fuzz_read(&grown, fd);
    fuzz_check(write(fd, fuzz_file + cut, len - cut)
               == (ssize_t) (len - cut));

    if (rc == CDC_OK) {
        rc = fuzz_read(&grown, fd);
        fuzz_check(fuzz_read(&whole, fd) == rc);

        fuzz_check(grown.log == whole.log && grown.next == whole.next
                   && grown.sequence == whole.sequence
                   && grown.within == whole.within
                   && grown.len == whole.len
                   && grown.file.off == whole.file.off);

    } else {
        fuzz_check(fuzz_read(&whole, fd) == rc);
    }

    cdc_rocksmq_manifest_close(&grown);
    cdc_rocksmq_manifest_close(&whole);

    /* an edit of its own, and none that reads on behind its end */

    (void) cdc_rocksmq_edit(&grown, data + 1, size - 1);
    fuzz_check(grown.log <= grown.next);
    cdc_rocksmq_manifest_close(&grown);

    (void) close(fd);

    return 0;
}
