/*
 * CRC-32C, of what is read here and of what RocksDB reads.
 *
 * RocksDB checks each block of a table, and those that Milvus writes by this
 * sum.  As distributions build it for x86-64 it does so by a table, half a
 * gigabyte a second, which was half of what a backlog cost.  The check is what
 * finds a damaged table, so it stays; but RocksDB's own function for it is
 * taken from here: a name that the program defines comes before that of the
 * library.  A RocksDB that no longer calls it by this name goes on with its
 * own, and so does one that is linked in, for which ours is weak.  On other
 * CPUs it knows the instruction by itself.
 *
 * The instruction takes three cycles and can be begun in each of them, so long
 * data is read as three pieces side by side.  A sum is moved over the piece
 * behind it, as over so many zeros, by a table for just that length.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <string.h>

#include "cdc_rocksmq_wal.h"


#define CDC_ROCKSMQ_POLYNOMIAL  0x82f63b78
#define CDC_ROCKSMQ_PIECE       1024


static uint32_t  cdc_rocksmq_table[8][256];


/* ---- by a table --- */

static uint32_t
cdc_rocksmq_by_table(uint32_t c, const uint8_t *p, size_t len)
{
    int       i;
    uint32_t  n;

    for (; len >= 8; p += 8, len -= 8) {
        n = c ^ ((uint32_t) p[0] | (uint32_t) p[1] << 8
                 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24);
        c = 0;

        for (i = 0; i < 4; i++) {
            c ^= cdc_rocksmq_table[7 - i][n >> 8 * i & 0xff]
                 ^ cdc_rocksmq_table[3 - i][p[4 + i]];
        }
    }

    while (len-- > 0) {
        c = c >> 8 ^ cdc_rocksmq_table[0][(c ^ *p++) & 0xff];
    }

    return c;
}


uint32_t
cdc_rocksmq_crc_table(const uint8_t *p, size_t len)
{
    return ~cdc_rocksmq_by_table(0xffffffff, p, len);
}


/* ---- by the instruction --- */

#if defined(__x86_64__)

static uint32_t  cdc_rocksmq_zeros[4][256];      /* a piece of them */


static uint32_t
cdc_rocksmq_moved(uint64_t crc)
{
    return cdc_rocksmq_zeros[0][crc & 0xff]
           ^ cdc_rocksmq_zeros[1][crc >> 8 & 0xff]
           ^ cdc_rocksmq_zeros[2][crc >> 16 & 0xff]
           ^ cdc_rocksmq_zeros[3][crc >> 24 & 0xff];
}


__attribute__((target("sse4.2")))
static uint32_t
cdc_rocksmq_by_cpu(uint32_t crc, const uint8_t *p, size_t len)
{
    size_t          i;
    uint64_t        c, c1, c2, n[3];
    const uint8_t  *p1, *p2;

    c = crc;

    for (; len >= 3 * CDC_ROCKSMQ_PIECE; len -= 3 * CDC_ROCKSMQ_PIECE) {
        p1 = p + CDC_ROCKSMQ_PIECE;
        p2 = p1 + CDC_ROCKSMQ_PIECE;
        c1 = 0;
        c2 = 0;

        for (i = 0; i < CDC_ROCKSMQ_PIECE; i += 8) {
            memcpy(&n[0], p + i, 8);
            memcpy(&n[1], p1 + i, 8);
            memcpy(&n[2], p2 + i, 8);

            c = __builtin_ia32_crc32di(c, n[0]);
            c1 = __builtin_ia32_crc32di(c1, n[1]);
            c2 = __builtin_ia32_crc32di(c2, n[2]);
        }

        c = cdc_rocksmq_moved(c) ^ c1;
        c = cdc_rocksmq_moved(c) ^ c2;
        p = p2 + CDC_ROCKSMQ_PIECE;
    }

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&n[0], p, 8);
        c = __builtin_ia32_crc32di(c, n[0]);
    }

    while (len-- > 0) {
        c = __builtin_ia32_crc32qi((uint32_t) c, *p++);
    }

    return (uint32_t) c;
}


uint32_t
cdc_rocksmq_crc_extend(uint32_t crc, const char *p, size_t len)
{
    if (__builtin_cpu_supports("sse4.2")) {
        return ~cdc_rocksmq_by_cpu(~crc, (const uint8_t *) p, len);
    }

    return ~cdc_rocksmq_by_table(~crc, (const uint8_t *) p, len);
}


static void
cdc_rocksmq_zeros_init(void)
{
    int       i, k;
    uint32_t  c;

    static const uint8_t  zeros[CDC_ROCKSMQ_PIECE];

    for (k = 0; k < 4; k++) {
        for (i = 1; i < 256; i++) {

            /* linear, so the lowest bit and the others of which it is known */

            c = (uint32_t) (i & -i);

            cdc_rocksmq_zeros[k][i] =
                c != (uint32_t) i
                ? cdc_rocksmq_zeros[k][c] ^ cdc_rocksmq_zeros[k][i & (i - 1)]
                : cdc_rocksmq_by_table(c << 8 * k, zeros, sizeof(zeros));
        }
    }
}

#endif


uint32_t
cdc_rocksmq_crc(const uint8_t *p, size_t len)
{
#if defined(__x86_64__)
    return cdc_rocksmq_crc_extend(0, (const char *) p, len);
#else
    return cdc_rocksmq_crc_table(p, len);
#endif
}


__attribute__((constructor))
static void
cdc_rocksmq_crc_init(void)
{
    int       i, k;
    uint32_t  c;

    for (i = 0; i < 256; i++) {
        c = (uint32_t) i;

        for (k = 0; k < 8; k++) {
            c = (c & 1) ? c >> 1 ^ CDC_ROCKSMQ_POLYNOMIAL : c >> 1;
        }

        cdc_rocksmq_table[0][i] = c;
    }

    for (i = 0; i < 256; i++) {
        for (k = 1; k < 8; k++) {
            c = cdc_rocksmq_table[k - 1][i];
            cdc_rocksmq_table[k][i] = c >> 8 ^ cdc_rocksmq_table[0][c & 0xff];
        }
    }

#if defined(__x86_64__)
    cdc_rocksmq_zeros_init();
#endif
}
