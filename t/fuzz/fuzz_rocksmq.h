/*
 * What the fuzz targets of RocksDB's log format share.
 */

#ifndef FUZZ_ROCKSMQ_H_INCLUDED
#define FUZZ_ROCKSMQ_H_INCLUDED

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cdc_runtime.h"
#include "fuzz.h"
#include "source/cdc_rocksmq_wal.h"


#define FUZZ_MAX  (1 << 20)


static uint8_t  fuzz_file[FUZZ_MAX];


/*
 * {length (2 bytes), type, data} become parts whose checksums are right; the
 * length of the file
 */

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


/* with bit 0 of the first byte such parts, else the bytes as they are */

static size_t __attribute__((unused))
fuzz_log(const uint8_t *data, size_t size)
{
    if (data[0] & 1) {
        return fuzz_parts(data + 1, size - 1);
    }

    memcpy(fuzz_file, data + 1, size - 1);

    return size - 1;
}


#endif /* FUZZ_ROCKSMQ_H_INCLUDED */
