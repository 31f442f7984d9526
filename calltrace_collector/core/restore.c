/* Puts a thread into the state that an earlier collector stored. Nothing of that is trusted. */
#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/profile.h"
#include "calltrace_collector/core/trace.h"

static int check_frame(const struct ct_trace *trace, const struct ct_thread_state *state,
                       const struct ct_frame *frame, const struct ct_frame *caller)
{
    uint64_t least_call = caller ? caller->call + 1 : 1, least_start = caller ? caller->start_ticks : 0;
    if (frame->site >= trace->sites.count || frame->call < least_call || frame->call > state->calls)
        return CT_ERANGE;
    if (frame->start_ticks < least_start || frame->start_ticks > state->last_ticks)
        return CT_ERANGE;
    return frame->child_ticks > state->last_ticks - frame->start_ticks ? CT_ERANGE : 0;
}

static int restore_stack(struct thread *thread, const struct ct_trace *trace, const struct ct_frame *frames)
{
    for (uint32_t i = 0; i < thread->depth; i++) {
        uint32_t function = trace->sites.sites[frames[i].site].function;
        int status = functions_open(&thread->functions, function, trace->sites.functions);
        if (status)
            return status;
        struct open_call *open = &thread->stack[i + 1];
        *open = (struct open_call){
            .call = frames[i].call,
            .start_ticks = frames[i].start_ticks,
            .child_ticks = frames[i].child_ticks,
            .stack_pointer = frames[i].stack_pointer,
            .site = frames[i].site,
            .flags = frames[i].flags & FRAME_CUT,
            .context = contexts_child(&thread->contexts, open[-1].context, function),
            .slot = functions_slot(&thread->functions, function),
        };
        if (!open->context) {
            open->context = open[-1].context;
            open->flags |= FRAME_FOLDED;
        }
        thread->contexts.nodes[open->context].completed--;
        functions_restore_open(&thread->functions, open->slot);
        thread->cut_frames += (open->flags & FRAME_CUT) != 0;
    }
    return 0;
}

static int restore(struct thread *thread, const struct ct_trace *trace, const struct ct_thread_state *state,
                   const struct ct_frame *frames)
{
    int status = thread_reserve_stack(thread, state->depth);
    if (status)
        return status;
    thread->depth = thread->changed_from = state->depth;
    thread->calls = state->calls;
    thread->ring_end = state->ring_end;
    thread->dropped = state->dropped;
    thread->orphan_exits = state->orphan_exits;
    thread->cut = state->cut;
    thread->folded = state->folded;
    status = restore_stack(thread, trace, frames);
    functions_begin_chunk(&thread->functions);
    chunk_begin(&thread->chunk, state->next_chunk, thread->depth, thread->last_ticks, thread->calls + 1);
    return status;
}

int ct_thread_restore(struct ct_trace *trace, uint32_t number, const struct ct_thread_state *state,
                      const struct ct_frame *frames, const uint8_t *profile, size_t profile_size)
{
    struct thread *old = trace_thread(trace, number);
    if (!old || old->is_dirty || old->calls || old->ring_end)
        return CT_ERANGE;
    if (state->depth > trace->limits.open_calls)
        return CT_ELIMIT;
    for (uint32_t i = 0; i < state->depth; i++) {
        int status = check_frame(trace, state, &frames[i], i ? &frames[i - 1] : NULL);
        if (status)
            return status;
    }

    struct thread *thread = thread_new(number, state->last_ticks, state->stack_base, trace->seed);
    if (!thread)
        return CT_ENOMEM;
    int status = profile_restore(thread, profile, profile_size, trace->sites.functions);
    if (!status)
        status = restore(thread, trace, state, frames);
    if (status) {
        thread_free(thread);
        return status;
    }
    thread->owner = old->owner;
    trace->threads[number] = thread;
    thread_free(old);
    return 0;
}
