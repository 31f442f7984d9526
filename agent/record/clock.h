/*
 * The clock of all records: the time stamp counter where the kernel itself keeps time by it, else
 * CLOCK_MONOTONIC in nanoseconds. Readings of both and of the wall clock together go to the collector,
 * which converts; the hooks never do.
 */
#ifndef CALLTRACE_RECORD_CLOCK_H
#define CALLTRACE_RECORD_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/record/arch.h"

/* Three clocks at the same moment. */
struct clock_reading {
    uint64_t ticks;
    uint64_t monotonic_ns;
    uint64_t realtime_ns;
};

/* True when ticks are CLOCK_MONOTONIC nanoseconds. Set once by clock_choose(). */
extern bool clock_is_monotonic __attribute__((visibility("hidden")));

/* Chooses the source. Call before any ticks are taken. */
void clock_choose(void);

uint64_t clock_monotonic_ns(void);

struct clock_reading clock_read(void);

static inline uint64_t clock_ticks(void)
{
    if (__builtin_expect(clock_is_monotonic, 0))
        return clock_monotonic_ns();
    return arch_counter();
}

#endif
