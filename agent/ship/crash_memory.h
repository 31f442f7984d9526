/*
 * What of a crashed process's memory is kept: the stack, and the code around the instruction.
 *
 * It is read through /proc/self/mem, so that nothing that is broken in it can hurt.
 */
#ifndef CALLTRACE_SHIP_CRASH_MEMORY_H
#define CALLTRACE_SHIP_CRASH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/record/layout.h"
#include "agent/ship/proto.h"

/* Of each stack: its innermost frames, and its outermost where there are more. */
#define CRASH_STACK_BYTES (256u << 10)
#define CRASH_STACK_END_BYTES (64u << 10)
#define CRASH_MOST_STACKS 3
#define CRASH_MOST_RANGES (2 * CRASH_MOST_STACKS + 1)
/* What all ranges take at most, and the room to read one into. */
#define CRASH_MEMORY_BYTES (CRASH_MOST_STACKS * (CRASH_STACK_BYTES + CRASH_STACK_END_BYTES + CALLTRACE_PAGE))
#define CRASH_SCRATCH_BYTES (CRASH_STACK_BYTES + CALLTRACE_PAGE)

struct crash_memory {
    int memory_fd; /* /proc/self/mem */
    int maps_fd;
    uint8_t *scratch;
};

struct crash_ranges {
    struct {
        uint64_t begin, end;
    } list[CRASH_MOST_RANGES]; /* lowest address first */
    size_t count;
    bool cut; /* a stack is longer than what is kept of it */
};

/* Chooses the ranges. `stack_base` ends the thread's own stack; 0: not known. */
void crash_memory_choose(const struct crash_memory *memory, const struct crash_slot *slot,
                         uint64_t stack_base, struct crash_ranges *ranges);

/* Writes what can be read of them, as MemoryRange messages. */
void crash_memory_put(const struct crash_memory *memory, const struct crash_ranges *ranges, struct proto *p,
                      uint32_t field);

/* Returns the bytes read, fewer than asked for at the end of what is mapped, or -errno. */
long crash_memory_read(const struct crash_memory *memory, uint64_t address, void *to, size_t size);

#endif
