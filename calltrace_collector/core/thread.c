/* A thread of a traced process. */
#include "calltrace_collector/core/thread.h"

#include <stdlib.h>

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/trace.h"

struct thread *thread_new(uint32_t number, uint64_t started_ticks, uint64_t stack_base, uint64_t seed)
{
    struct thread *thread = calloc(1, sizeof(*thread));
    if (!thread)
        return NULL;
    thread->number = thread->owner = number;
    thread->last_ticks = thread->stream_ticks = started_ticks;
    if (contexts_init(&thread->contexts, seed) || thread_reserve_stack(thread, 0)) {
        thread_free(thread);
        return NULL;
    }
    thread->stack[0] = (struct open_call){.stack_pointer = stack_base};
    chunk_begin(&thread->chunk, 0, 0, started_ticks, 1);
    return thread;
}

void thread_free(struct thread *thread)
{
    if (!thread)
        return;
    free(thread->stack);
    contexts_free(&thread->contexts);
    functions_free(&thread->functions);
    chunk_free(&thread->chunk);
    free(thread);
}

int thread_reserve_stack(struct thread *thread, uint32_t depth)
{
    return array_reserve(&thread->stack, &thread->stack_capacity, (size_t)depth + 1, sizeof(*thread->stack));
}

uint32_t ct_trace_thread_count(const struct ct_trace *trace)
{
    return trace->thread_count;
}

int ct_thread_state(const struct ct_trace *trace, uint32_t number, struct ct_thread_state *out)
{
    const struct thread *thread = trace_thread(trace, number);
    if (!thread)
        return CT_ERANGE;
    *out = (struct ct_thread_state){
        .calls = thread->calls,
        .last_ticks = thread->stream_ticks,
        .ring_end = thread->ring_end,
        .stack_base = thread->stack[0].stack_pointer,
        .dropped = thread->dropped,
        .orphan_exits = thread->orphan_exits,
        .cut = thread->cut,
        .folded = thread->folded,
        .depth = thread->depth,
        .changed_from = thread->changed_from,
        .next_chunk = thread->chunk.number + (chunk_rows(&thread->chunk) != 0),
        .is_dirty = thread->is_dirty,
    };
    return 0;
}

int ct_thread_frames(const struct ct_trace *trace, uint32_t number, uint32_t first, uint32_t count,
                     struct ct_frame *out)
{
    const struct thread *thread = trace_thread(trace, number);
    if (!thread || first > thread->depth || count > thread->depth - first)
        return CT_ERANGE;
    for (uint32_t i = 0; i < count; i++) {
        const struct open_call *open = &thread->stack[first + i + 1];
        out[i] = (struct ct_frame){
            .call = open->call,
            .start_ticks = open->start_ticks,
            .child_ticks = open->child_ticks,
            .stack_pointer = open->stack_pointer,
            .site = open->site,
            .flags = open->flags & FRAME_CUT,
        };
    }
    return 0;
}

int ct_thread_clean(struct ct_trace *trace, uint32_t number)
{
    struct thread *thread = trace_thread(trace, number);
    if (!thread)
        return CT_ERANGE;
    thread->is_dirty = false;
    thread->changed_from = thread->depth;
    return 0;
}

int ct_thread_forget(struct ct_trace *trace, uint32_t number)
{
    struct thread *thread = trace_thread(trace, number);
    if (!thread)
        return CT_ERANGE;
    if (thread->is_dirty)
        return CT_EORDER;
    thread_free(thread);
    trace->threads[number] = NULL;
    return 0;
}
