/*
 * Two schemas of one input: the first byte says where to cut.
 *
 * A schema is the same as itself; what differs is said, and within its room.
 */

#include "fuzz_wire.h"


static const cdc_span_t  seeds[] = {
#define SEED(s)  { (const uint8_t *) s, sizeof(s) - 1 }
    SEED("\x0e" "\x22\x0b\x08\x64\x12\x02id\x18\x01\x28\x05"
         "\x0a\x01" "a" "\x22\x0a\x08\x64\x12\x02v0\x28\x65"
         "\x32\x08\x0a\x03" "dim" "\x12\x01" "4"),
    SEED("\x01" "\x3a\x0a\x0a\x02" "fn" "\x20\x01\x2a\x02" "in" "\x28\x01"),
};


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_seeds(*argc, *argv, seeds, sizeof(seeds) / sizeof(seeds[0]));

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int          rc;
    char        *diff;
    size_t       cut;
    cdc_span_t   a, b;

    if (size == 0) {
        return 0;
    }

    cut = data[0] < size ? data[0] : size - 1;
    a = cdc_span_n(data + 1, cut);
    b = cdc_span_n(data + 1 + cut, size - 1 - cut);

    diff = malloc(CDC_REASON_MAX);

    rc = cdc_schema_compare(a, b, diff);
    fuzz_check(memchr(diff, '\0', CDC_REASON_MAX) != NULL);
    fuzz_check((rc == CDC_DECLINED) == (diff[0] != '\0'));
    fuzz_check(rc == CDC_OK || rc == CDC_DECLINED || rc == CDC_ERROR);

    free(diff);

    return 0;
}
