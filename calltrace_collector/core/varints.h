/* Arrays of varints, read without a branch for each byte. */
#ifndef CALLTRACE_CORE_VARINTS_H
#define CALLTRACE_CORE_VARINTS_H

#include <stdbool.h>

#include "calltrace_collector/core/varint.h"

struct varints {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct varints varints_of(const uint8_t *bytes, size_t size)
{
    return (struct varints){bytes, size ? bytes + size : bytes};
}

/* How many varints these bytes hold, given that the last byte ends one. */
uint64_t varints_count(struct varints varints);

/* Reads two arrays that hold `count` varints each. False: one of them is larger than 64 bits. As any parser
 * of protobuf does, what is more than 32 bits of the second is cut off. */
bool varints_read_pairs(struct varints first, struct varints second, uint64_t *out_first,
                        uint32_t *out_second, uint32_t count);

#endif
