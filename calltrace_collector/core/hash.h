/* A 64-bit mixer for hash tables. */
#ifndef CALLTRACE_CORE_HASH_H
#define CALLTRACE_CORE_HASH_H

#include <stdint.h>

/* The finalizer of MurmurHash3 (https://github.com/aappleby/smhasher), around a secret seed. */
static inline uint64_t hash_mix(uint64_t value, uint64_t seed)
{
    value ^= seed;
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdull;
    value ^= value >> 33;
    value *= seed | 1;
    value ^= value >> 33;
    return value;
}

#endif
