#include "agent/ship/frames.h"

#include <errno.h>

#include "agent/life/memory.h"

#define FIRST_CAPACITY 1024u

int frames_open(struct frames *frames, uint64_t stack_base)
{
    frames->open = memory_get(FIRST_CAPACITY * sizeof *frames->open);
    if (frames->open == NULL)
        return -ENOMEM;
    frames->capacity = FIRST_CAPACITY;
    frames->depth = 0;
    frames->open[0].stack_pointer = stack_base;
    return 0;
}

void frames_close(struct frames *frames)
{
    memory_put(frames->open, frames->capacity * sizeof *frames->open);
    frames->open = NULL;
}

int frames_grow(struct frames *frames)
{
    size_t bytes = frames->capacity * sizeof *frames->open;
    struct frame *moved = memory_grow(frames->open, bytes, bytes * 2);
    if (moved == NULL)
        return -ENOMEM;
    frames->open = moved;
    frames->capacity *= 2;
    return 0;
}

size_t frames_gone_at_entry(const struct frames *frames, uint64_t stack_pointer, uint64_t call_site)
{
    if (stack_pointer > frames->open[0].stack_pointer)
        return 0;
    size_t depth = frames->depth;
    while (depth > 0 && frames->open[depth].stack_pointer < stack_pointer)
        depth--;
    /* At the same place: inlined into the innermost call, or called after it. */
    while (depth > 0 && frames->open[depth].stack_pointer == stack_pointer &&
           frames->open[depth].call_site != call_site)
        depth--;
    return frames->depth - depth;
}

size_t frames_inside_exit(const struct frames *frames, uint64_t function, uint64_t sp_low)
{
    size_t nearest = 0;
    for (size_t depth = frames->depth; depth > 0; depth--) {
        const struct frame *frame = &frames->open[depth];
        if (frame->function != function)
            continue;
        if (frames_sp_low(frame->stack_pointer) == sp_low)
            return frames->depth - depth;
        if (nearest == 0)
            nearest = depth;
    }
    /* No call of this function at this very stack pointer: one whose frame has grown since (alloca). */
    return nearest == 0 ? SIZE_MAX : frames->depth - nearest;
}

size_t frames_gone_below(const struct frames *frames, uint64_t stack_pointer)
{
    uint64_t base = frames->open[0].stack_pointer;
    bool to_own_stack = stack_pointer <= base;
    size_t depth = frames->depth;
    for (; depth > 0; depth--) {
        uint64_t own = frames->open[depth].stack_pointer;
        bool on_own_stack = own <= base;
        /* Calls on a signal handler's stack were made after all those on the thread's own. */
        if (on_own_stack == to_own_stack ? own >= stack_pointer : on_own_stack)
            break;
    }
    return frames->depth - depth;
}
