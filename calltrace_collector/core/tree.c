/* Applies the events and marks of a batch to its thread's stacks of open calls. Nothing here can fail. */
#include "calltrace_collector/core/tree.h"

static void end_full_chunk(struct ct_trace *trace, struct thread *thread)
{
    if (chunk_rows(&thread->chunk) == trace->limits.chunk_rows)
        exports_add(&trace->exports, thread, true);
}

static void end_chunk_full_of_values(struct ct_trace *trace, struct thread *thread)
{
    if (thread->chunk.values.size >= trace->limits.chunk_values)
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

/* Of a call whose end is not known there is no duration to add to any sum. */
static void __attribute__((noinline)) count_lost(struct thread *thread, const struct open_call *open,
                                                 uint64_t at_least)
{
    thread->contexts.nodes[open->context].completed++;
    functions_end_lost(&thread->functions, open->slot, at_least);
}

static inline void count_call(struct thread *thread, const struct open_call *open, uint64_t duration,
                              uint64_t self)
{
    struct context *context = &thread->contexts.nodes[open->context];
    context->completed++;
    context->self_ticks += self;
    /* Of a folded call, the caller's duration will be counted, which includes this. */
    if (!__builtin_expect(open->flags & FRAME_FOLDED, 0))
        context->total_ticks += duration;
    functions_end(&thread->functions, open->slot, duration, self);
}

static inline void end_call(struct ct_trace *trace, struct thread *thread, uint64_t tail, uint8_t status)
{
    struct open_call *open = &thread->stack[thread->depth--];

    thread->last_ticks += tail;
    uint64_t duration = thread->last_ticks - open->start_ticks;
    uint64_t self = duration - open->child_ticks;
    open[-1].child_ticks += duration;
    if (__builtin_expect(open->flags, 0))
        status = flagged_status(thread, open, status);
    if (__builtin_expect(status == CT_LOST, 0))
        count_lost(thread, open, duration);
    else
        count_call(thread, open, duration, self);
    if (__builtin_expect(open->call < thread->chunk.first_call, 0)) {
        add_late_row(thread, open, self);
        chunk_end(&thread->chunk, tail, status);
        end_full_chunk(trace, thread);
        return;
    }
    chunk_end(&thread->chunk, tail, status);
}

/* `extra` ticks passed on other stacks before the event. */
static inline void apply_event(struct ct_trace *trace, struct thread *thread, const struct batch *batch,
                               uint32_t i, uint64_t extra)
{
    uint32_t op = batch->op[i];
    if (op)
        enter_call(trace, thread, op - 1, batch->dt[i] + extra,
                   (uint64_t)trace->sites.sites[op - 1].frame_delta_bytes);
    else
        end_call(trace, thread, batch->dt[i] + extra, CT_RETURNED);
}

/* The values captured at the event, which is the next one that the chunk is told of. */
static void keep_values(struct thread *thread, const struct batch *batch, uint32_t i)
{
    uint32_t start = batch->value_starts[i], size = batch->value_starts[i + 1] - start;
    if (size)
        chunk_add_values(&thread->chunk, batch->values + start, size);
}

/* `*extra` ticks passed on other stacks before the first of them. */
static void __attribute__((noinline)) apply_events(struct ct_trace *trace, struct thread *thread,
                                                   const struct batch *batch, uint32_t from, uint32_t to,
                                                   uint64_t *extra)
{
    if (from == to)
        return;
    if (*extra) {
        apply_event(trace, thread, batch, from++, *extra);
        *extra = 0;
    }
    for (uint32_t i = from; i < to; i++)
        apply_event(trace, thread, batch, i, 0);
}

/* Some of the events have values. */
static void __attribute__((noinline)) apply_with_values(struct ct_trace *trace, struct thread *thread,
                                                        const struct batch *batch, uint32_t from, uint32_t to,
                                                        uint64_t *extra)
{
    for (uint32_t i = from; i < to; i++) {
        keep_values(thread, batch, i);
        apply_events(trace, thread, batch, i, i + 1, extra);
        end_chunk_full_of_values(trace, thread);
    }
}

static void apply_range(struct ct_trace *trace, struct thread *thread, const struct batch *batch,
                        uint32_t from, uint32_t to, uint64_t *extra)
{
    if (batch->values)
        apply_with_values(trace, thread, batch, from, to, extra);
    else
        apply_events(trace, thread, batch, from, to, extra);
}

static void add_loss(struct ct_trace *trace, const struct thread *thread, const struct mark *mark,
                     uint64_t elapsed)
{
    losses_add(&trace->losses, &(struct ct_loss){
                                   .thread = thread->number,
                                   .kind = mark->kind,
                                   .call = thread->stack[thread->depth].call,
                                   .ticks = thread->last_ticks + elapsed,
                                   .count = mark->value,
                               });
}

/* The innermost of them `tail` ticks after the event before. */
static void end_calls(struct ct_trace *trace, struct thread *thread, uint64_t count, uint64_t tail,
                      uint8_t status)
{
    for (; count; count--, tail = 0)
        end_call(trace, thread, tail, status);
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

/* All but FRAME_DELTA and ELAPSED; `elapsed` is the time since the stack's last event. */
static void apply_mark(struct ct_trace *trace, struct thread *thread, const struct mark *mark,
                       uint64_t elapsed)
{
    switch (mark->kind) {
    case MARK_ABANDONED:
        end_calls(trace, thread, mark->value, elapsed, CT_ABANDONED);
        break;
    case MARK_UNWOUND:
        end_calls(trace, thread, mark->value, elapsed, CT_UNWOUND);
        break;
    case MARK_LOST_EXIT:
        end_calls(trace, thread, mark->value, elapsed, CT_LOST);
        break;
    case MARK_ORPHAN_EXIT:
        thread->orphan_exits++;
        add_loss(trace, thread, mark, elapsed);
        break;
    case MARK_DROPPED:
        thread->dropped += mark->value;
        add_loss(trace, thread, mark, elapsed);
        break;
    case MARK_CUT:
        cut(thread, mark->value);
        break;
    default:
        break;
    }
}

/* Returns the time at its end. */
static uint64_t apply_segment(struct ct_trace *trace, struct thread *thread, const struct batch *batch,
                              const struct segment *segment, uint64_t extra)
{
    uint32_t done = segment->from;
    for (uint32_t i = segment->marks; i < segment->marks_end;) {
        uint32_t index = batch->marks[i].index;
        const struct mark *delta = NULL;
        apply_range(trace, thread, batch, done, index, &extra);
        done = index;
        for (; i < segment->marks_end && batch->marks[i].index == index; i++) {
            const struct mark *mark = &batch->marks[i];
            if (mark->kind == MARK_FRAME_DELTA)
                delta = mark;
            else if (mark->kind == MARK_ELAPSED)
                extra += mark->value;
            else
                apply_mark(trace, thread, mark, extra);
            if (mark_ends_calls(mark)) /* the first of them after the ticks that have elapsed */
                extra = 0;
        }
        if (delta && index < segment->to) {
            if (batch->values)
                keep_values(thread, batch, index);
            enter_call(trace, thread, batch->op[index] - 1, batch->dt[index] + extra, delta->value);
            end_chunk_full_of_values(trace, thread);
            extra = 0;
            done++;
        }
    }
    apply_range(trace, thread, batch, done, segment->to, &extra);
    return thread->last_ticks + extra;
}

void tree_apply(struct ct_trace *trace, struct thread *owner, const struct batch *batch)
{
    const struct parts *parts = &trace->parts;
    uint64_t now = batch->base_ticks;
    for (uint32_t i = 0; i < parts->segment_count; i++) {
        const struct segment *segment = &parts->segments[i];
        struct thread *thread = parts->parts[segment->part].thread;
        now = apply_segment(trace, thread, batch, segment, now - thread->last_ticks);
        thread->stream_ticks = thread->last_ticks;
    }
    owner->stream_ticks = now;
    owner->ring_end = batch->ring_end;
}
