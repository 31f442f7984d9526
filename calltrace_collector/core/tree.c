/* Applies the events and marks of a batch to its thread's stack of open calls. Nothing here can fail. */
#include "calltrace_collector/core/tree.h"

static void end_full_chunk(struct ct_trace *trace, struct thread *thread)
{
    if (chunk_rows(&thread->chunk) == trace->limits.chunk_rows)
        exports_add(&trace->exports, thread, true);
}

/* Gives a call whose context is new a node; without room for one it is counted in its caller's. */
static void __attribute__((noinline)) add_context(const struct ct_trace *trace, struct thread *thread,
                                                  struct open_call *open, uint32_t function)
{
    open->context = contexts_add(&thread->contexts, open[-1].context, function, trace->limits.contexts);
    if (!open->context) {
        open->context = open[-1].context;
        open->flags = FRAME_FOLDED;
        thread->folded++;
    }
}

static inline void enter_call(struct ct_trace *trace, struct thread *thread, uint32_t site_number,
                              uint64_t lead, uint64_t frame_delta)
{
    struct open_call *open = &thread->stack[thread->depth + 1];
    uint32_t function = trace->sites.sites[site_number].function;

    thread->last_ticks += lead;
    open->call = ++thread->calls;
    open->start_ticks = thread->last_ticks;
    open->child_ticks = 0;
    open->stack_pointer = open[-1].stack_pointer - frame_delta;
    open->site = site_number;
    open->flags = 0;
    open->context = contexts_child(&thread->contexts, open[-1].context, function);
    if (__builtin_expect(!open->context, 0))
        add_context(trace, thread, open, function);
    contexts_prefetch(&thread->contexts, open->context);
    open->slot = functions_slot(&thread->functions, function);
    functions_enter(&thread->functions, open->slot);
    chunk_enter(&thread->chunk, thread->depth++, site_number, lead, thread->last_ticks);
    end_full_chunk(trace, thread);
}

static void __attribute__((noinline)) add_late_row(struct thread *thread, const struct open_call *open,
                                                   uint64_t self)
{
    chunk_add_late(&thread->chunk, &(struct late_row){open->call, open->start_ticks, self, open->site});
}

static uint8_t __attribute__((noinline)) flagged_status(struct thread *thread, const struct open_call *open,
                                                        uint8_t status)
{
    if (!(open->flags & FRAME_CUT))
        return status;
    thread->cut_frames--;
    return status == CT_RETURNED ? CT_CUT : status;
}

static inline void end_call(struct ct_trace *trace, struct thread *thread, uint64_t tail, uint8_t status)
{
    struct open_call *open = &thread->stack[thread->depth--];
    struct context *context = &thread->contexts.nodes[open->context];

    thread->last_ticks += tail;
    uint64_t duration = thread->last_ticks - open->start_ticks;
    uint64_t self = duration - open->child_ticks;
    open[-1].child_ticks += duration;
    context->completed++;
    context->self_ticks += self;
    context->total_ticks += duration;
    if (__builtin_expect(open->flags, 0)) {
        if (open->flags & FRAME_FOLDED)
            context->total_ticks -= duration; /* the caller's will include it */
        status = flagged_status(thread, open, status);
    }
    functions_end(&thread->functions, open->slot, duration, self);
    if (__builtin_expect(open->call < thread->chunk.first_call, 0)) {
        add_late_row(thread, open, self);
        chunk_end(&thread->chunk, tail, status);
        end_full_chunk(trace, thread);
        return;
    }
    chunk_end(&thread->chunk, tail, status);
}

static void apply_events(struct ct_trace *trace, struct thread *thread, const struct batch *batch,
                         uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        uint32_t op = batch->op[i];
        if (op)
            enter_call(trace, thread, op - 1, batch->dt[i],
                       (uint64_t)trace->sites.sites[op - 1].frame_delta_bytes);
        else
            end_call(trace, thread, batch->dt[i], CT_RETURNED);
    }
}

static void add_loss(struct ct_trace *trace, const struct thread *thread, const struct mark *mark)
{
    losses_add(&trace->losses, &(struct ct_loss){
                                   .thread = thread->number,
                                   .kind = mark->kind,
                                   .call = thread->stack[thread->depth].call,
                                   .ticks = thread->last_ticks,
                                   .count = mark->value,
                               });
}

static void end_calls(struct ct_trace *trace, struct thread *thread, uint64_t count, uint8_t status)
{
    while (count--)
        end_call(trace, thread, 0, status);
}

static void cut(struct thread *thread, uint64_t calls)
{
    struct open_call *innermost = &thread->stack[thread->depth];
    thread->cut += calls;
    if (thread->depth && !(innermost->flags & FRAME_CUT)) {
        innermost->flags |= FRAME_CUT;
        thread->cut_frames++;
    }
}

/* All but FRAME_DELTA. */
static void apply_mark(struct ct_trace *trace, struct thread *thread, const struct mark *mark)
{
    switch (mark->kind) {
    case MARK_ABANDONED:
        end_calls(trace, thread, mark->value, CT_ABANDONED);
        break;
    case MARK_LOST_EXIT:
        end_calls(trace, thread, mark->value, CT_LOST);
        break;
    case MARK_ORPHAN_EXIT:
        thread->orphan_exits++;
        add_loss(trace, thread, mark);
        break;
    case MARK_DROPPED:
        thread->dropped += mark->value;
        add_loss(trace, thread, mark);
        break;
    case MARK_CUT:
        cut(thread, mark->value);
        break;
    default:
        break;
    }
}

void tree_apply(struct ct_trace *trace, struct thread *thread, const struct batch *batch)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < batch->mark_count;) {
        uint32_t index = batch->marks[i].index;
        const struct mark *delta = NULL;
        apply_events(trace, thread, batch, done, index);
        done = index;
        for (; i < batch->mark_count && batch->marks[i].index == index; i++) {
            if (batch->marks[i].kind == MARK_FRAME_DELTA)
                delta = &batch->marks[i];
            else
                apply_mark(trace, thread, &batch->marks[i]);
        }
        if (delta) {
            enter_call(trace, thread, batch->op[index] - 1, batch->dt[index], delta->value);
            done++;
        }
    }
    apply_events(trace, thread, batch, done, batch->events);
    thread->ring_end = batch->ring_end;
}
