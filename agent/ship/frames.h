/*
 * Frames: the open calls of one thread, as its records tell them, with their stack pointers.
 *
 * The stack pointer shows what the hooks alone do not: calls that ended without an exit hook (longjmp,
 * exceptions through code whose compiler emits none, dropped events).
 *
 *  - The stack grows down: when an event's stack pointer lies above an open call's, on the same stack, that
 *    call's frame is gone.
 *  - An event above the thread's stack base comes from another stack (a signal handler's, say): it says
 *    nothing about the frames on this one.
 *  - An entry at the very stack pointer of the innermost call is either the entry of a function inlined in
 *    it (then the call sites are the same) or the next call in its place.
 */
#ifndef CALLTRACE_SHIP_FRAMES_H
#define CALLTRACE_SHIP_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/record/layout.h"

struct frame {
    uint64_t function;
    uint64_t call_site;
    uint64_t stack_pointer;
};

struct frames {
    struct frame *open; /* open[0] stands for the thread: its stack pointer is the stack base */
    size_t capacity;
    size_t depth; /* number of open calls; the innermost is open[depth] */
};

int frames_open(struct frames *frames, uint64_t stack_base);
void frames_close(struct frames *frames);

/* Makes room for one more. Returns 0 or -ENOMEM. */
int frames_grow(struct frames *frames);

/* How many of the innermost calls are gone, seeing an entry at this stack pointer. */
size_t frames_gone_at_entry(const struct frames *frames, uint64_t stack_pointer, uint64_t call_site);

/* Which open call an exit ends: the number of calls inside of it, which are gone. SIZE_MAX: none.
 * `sp_low` are the bits of the stack pointer that an exit record has. */
size_t frames_inside_exit(const struct frames *frames, uint64_t function, uint64_t sp_low);

/* How many of the innermost calls are gone when the function with this stack pointer goes on after a jump or
 * a catch. */
size_t frames_gone_below(const struct frames *frames, uint64_t stack_pointer);

static inline uint64_t frames_sp_low(uint64_t stack_pointer)
{
    return (stack_pointer >> RECORD_SP_UNIT_SHIFT) & RECORD_SP_LOW_MASK;
}

static inline const struct frame *frames_innermost(const struct frames *frames)
{
    return &frames->open[frames->depth];
}

#endif
