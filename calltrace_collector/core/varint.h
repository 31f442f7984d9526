/* Base-128 varints, as protobuf defines them (https://protobuf.dev/programming-guides/encoding/). */
#ifndef CALLTRACE_CORE_VARINT_H
#define CALLTRACE_CORE_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum { VARINT_MAX_BYTES = 10 };

/* Reads one varint. Returns what follows it; NULL: cut off, or more than VARINT_MAX_BYTES. As protobuf has
 * it, what is more than 64 bits is cut off. */
static inline const uint8_t *varint_read(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t sum = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = sum;
            return at;
        }
    }
    return NULL;
}

/* Writes one varint, VARINT_MAX_BYTES at most. Returns what follows it. */
static inline uint8_t *varint_write(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline uint64_t zigzag_encode(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value < 0 ? -1 : 0);
}

static inline int64_t zigzag_decode(uint64_t value)
{
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

#endif
