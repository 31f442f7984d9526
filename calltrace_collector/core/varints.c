/* Arrays of varints, read without a branch for each byte. */
#include "calltrace_collector/core/varints.h"

#include <string.h>

#define CONTINUATION_BITS 0x8080808080808080ull

uint64_t varints_count(struct varints varints)
{
    uint64_t count = 0;
    for (const uint8_t *at = varints.at; at < varints.end; at++)
        count += *at < 0x80;
    return count;
}

static inline uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Joins the low 7 bits of each byte: 8 groups of 7, then 4 of 14, then 2 of 28. */
static inline uint64_t join_groups(uint64_t word)
{
    word = (word & 0x007f007f007f007full) | (word & 0x7f007f007f007f00ull) >> 1;
    word = (word & 0x00003fff00003fffull) | (word & 0x3fff00003fff0000ull) >> 2;
    return (word & 0x000000000fffffffull) | (word & 0x0fffffff00000000ull) >> 4;
}

/* Reads one varint at `at`, where 8 bytes can be loaded and `end` is beyond them. NULL: too long. */
static inline const uint8_t *read_one(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t word = load_word(at);
    uint64_t ends = ~word & CONTINUATION_BITS;
    if (__builtin_expect(!ends, 0))
        return varint_read(at, end, value);
    *value = join_groups(word & (ends ^ (ends - 1)));
    return at + (__builtin_ctzll(ends) >> 3) + 1;
}

bool varints_read_pairs(struct varints first, struct varints second, uint64_t *out_first,
                        uint32_t *out_second, uint32_t count)
{
    uint32_t i = 0;
    uint64_t value;
    /* Two independent chains of loads: the processor runs them side by side. */
    for (; i < count && first.end - first.at >= 8 && second.end - second.at >= 8; i++) {
        first.at = read_one(first.at, first.end, &out_first[i]);
        second.at = read_one(second.at, second.end, &value);
        if (!first.at || !second.at)
            return false;
        out_second[i] = (uint32_t)value;
    }
    for (uint32_t j = i; j < count; j++) {
        first.at = varint_read(first.at, first.end, &out_first[j]);
        if (!first.at)
            return false;
    }
    for (; i < count; i++) {
        second.at = varint_read(second.at, second.end, &value);
        if (!second.at)
            return false;
        out_second[i] = (uint32_t)value;
    }
    return true;
}
