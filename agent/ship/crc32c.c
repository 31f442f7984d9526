#include "agent/ship/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82F63B78u /* reflected */

/* One bit at a time: for processors without the instruction, of which x86-64 has few left. */
static uint32_t crc_bits(uint32_t crc, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (POLYNOMIAL & -(crc & 1));
    }
    return crc;
}

#if defined(__x86_64__)

static __attribute__((target("sse4.2"))) uint32_t crc_instruction(uint32_t crc, const uint8_t *bytes,
                                                                  size_t size)
{
    uint64_t wide = crc;
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size > 0; size--, bytes++)
        crc = __builtin_ia32_crc32qi(crc, *bytes);
    return crc;
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_instruction(~crc, bytes, size);
    return ~crc_bits(~crc, bytes, size);
}

#else

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
    return ~crc_bits(~crc, bytes, size);
}

#endif
