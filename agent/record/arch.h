/*
 * What the hooks need of the processor. Another processor means another branch here, and in sys.h and
 * spawn.c.
 */
#ifndef CALLTRACE_RECORD_ARCH_H
#define CALLTRACE_RECORD_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#if !defined(__x86_64__)
#error "the agent runs on x86-64"
#endif

/* The time stamp counter. Not serializing: the program's own instructions may move across it by some
 * tens of cycles, which costs less than the fence that would stop them. */
static inline uint64_t arch_counter(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* Adds to a counter that only this thread and its signal handlers write, and returns what it was before.
 * One instruction, so no signal handler can come between the reading and the writing; without a lock
 * prefix, for no other thread writes it. */
static inline uint64_t arch_take(uint64_t *counter, uint64_t amount)
{
    __asm__ volatile("xaddq %0, %1" : "+r"(amount), "+m"(*counter) : : "memory");
    return amount;
}

/* Changes such a counter if it is what it is thought to be; returns whether it was. */
static inline bool arch_replace(uint64_t *counter, uint64_t thought, uint64_t next)
{
    bool was;
    __asm__ volatile("cmpxchgq %3, %1" : "=@ccz"(was), "+m"(*counter), "+a"(thought) : "r"(next) : "memory");
    return was;
}

static inline void arch_relax(void)
{
    __asm__ volatile("pause");
}

/* The address that ends this thread's stack region from above, where libc put the thread's own block
 * there; else just some address. */
static inline uint64_t arch_thread_pointer(void)
{
    uint64_t pointer;
    __asm__("movq %%fs:0, %0" : "=r"(pointer));
    return pointer;
}

#endif
