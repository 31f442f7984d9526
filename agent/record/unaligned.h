/*
 * Numbers at any address, little-endian, without a call: a call of memcpy may end in a program's own.
 */
#ifndef CALLTRACE_RECORD_UNALIGNED_H
#define CALLTRACE_RECORD_UNALIGNED_H

#include <stdint.h>

typedef uint16_t __attribute__((aligned(1), may_alias)) unaligned_u16;
typedef uint32_t __attribute__((aligned(1), may_alias)) unaligned_u32;
typedef uint64_t __attribute__((aligned(1), may_alias)) unaligned_u64;

static inline uint16_t get_u16(const void *at)
{
    return *(const unaligned_u16 *)at;
}

static inline uint32_t get_u32(const void *at)
{
    return *(const unaligned_u32 *)at;
}

static inline uint64_t get_u64(const void *at)
{
    return *(const unaligned_u64 *)at;
}

static inline void put_u16(void *at, uint16_t value)
{
    *(unaligned_u16 *)at = value;
}

static inline void put_u32(void *at, uint32_t value)
{
    *(unaligned_u32 *)at = value;
}

static inline void put_u64(void *at, uint64_t value)
{
    *(unaligned_u64 *)at = value;
}

#endif
