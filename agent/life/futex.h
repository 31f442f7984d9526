/*
 * Waiting for a word in memory to change, within one process.
 */
#ifndef CALLTRACE_LIFE_FUTEX_H
#define CALLTRACE_LIFE_FUTEX_H

#include <linux/futex.h>
#include <stdint.h>
#include <time.h>

#include "agent/life/sys.h"

/* Sleeps while *word is `seen`, at most `timeout_ns` (0: without end). May wake for no reason. */
static inline void futex_wait(const uint32_t *word, uint32_t seen, uint64_t timeout_ns)
{
    struct timespec limit = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    sys_call6(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, seen, timeout_ns ? (long)&limit : 0, 0, 0);
}

static inline void futex_wake_all(uint32_t *word)
{
    sys_call3(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

#endif
