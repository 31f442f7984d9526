/* A batch, taken apart by the stacks that its events are on. */
#include "calltrace_collector/core/parts.h"

#include <stdlib.h>

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/trace.h"

void parts_free(struct parts *parts)
{
    free(parts->segments);
    free(parts->parts);
}

void parts_end(struct parts *parts)
{
    for (uint32_t i = 0; i < parts->part_count; i++)
        parts->parts[i].thread->part = 0;
    parts->part_count = parts->segment_count = 0;
}

/* The part of a stack; made when it has none. */
static int find_part(struct parts *parts, struct thread *thread, uint32_t *part)
{
    if (!thread->part) {
        int status = array_reserve(&parts->parts, &parts->part_capacity, (size_t)parts->part_count + 1,
                                   sizeof(*parts->parts));
        if (status)
            return status;
        parts->parts[parts->part_count] = (struct part){
            .thread = thread,
            .level = {thread->depth, thread->depth, thread->depth},
        };
        thread->part = ++parts->part_count;
    }
    *part = thread->part - 1;
    return 0;
}

static int begin_segment(struct parts *parts, struct thread *thread, uint32_t event, uint32_t mark)
{
    struct segment segment = {.from = event, .to = event, .marks = mark, .marks_end = mark};
    int status = array_reserve(&parts->segments, &parts->segment_capacity, (size_t)parts->segment_count + 1,
                               sizeof(segment));
    if (!status)
        status = find_part(parts, thread, &segment.part);
    if (!status)
        parts->segments[parts->segment_count++] = segment;
    return status;
}

static void end_segment(struct parts *parts, uint32_t event, uint32_t mark)
{
    parts->segments[parts->segment_count - 1].to = event;
    parts->segments[parts->segment_count - 1].marks_end = mark;
}

int parts_split(struct ct_trace *trace, struct thread *owner)
{
    const struct batch *batch = &trace->batch;
    struct parts *parts = &trace->parts;
    uint32_t index = 0;
    int status = begin_segment(parts, owner, 0, 0);
    for (uint32_t i = 0; !status && i < batch->mark_count; i++) {
        const struct mark *mark = &batch->marks[i];
        if (mark->index < index || mark->index > batch->events)
            return CT_ERANGE;
        index = mark->index;
        if (mark->kind != MARK_SWITCHED)
            continue;
        struct thread *to = mark->value <= UINT32_MAX ? trace_thread(trace, (uint32_t)mark->value) : NULL;
        if (!to || to->owner != owner->number)
            return CT_ERANGE;
        end_segment(parts, index, i);
        status = begin_segment(parts, to, index, i + 1);
    }
    if (!status)
        end_segment(parts, batch->events, batch->mark_count);
    return status;
}

/* ---- new stacks ---- */

static int declare(struct ct_trace *trace, const struct thread *owner, const struct new_stack *stack)
{
    if (trace_thread(trace, stack->thread))
        return CT_ERANGE;
    int status = array_reserve(&trace->stacks.stacks, &trace->stacks.capacity,
                               (size_t)trace->stacks.count + 1, sizeof(*trace->stacks.stacks));
    if (!status)
        status = ct_thread_declare(trace, stack->thread, trace->batch.base_ticks, stack->stack_base);
    if (status)
        return status;
    trace_thread(trace, stack->thread)->owner = owner->number;
    trace->stacks.stacks[trace->stacks.count++] = (struct ct_stack){
        .thread = stack->thread,
        .owner = owner->number,
        .started_ticks = trace->batch.base_ticks,
        .stack_base = stack->stack_base,
        .size_bytes = stack->size_bytes,
    };
    return 0;
}

static void undeclare(struct ct_trace *trace, uint32_t count)
{
    while (count--) {
        uint32_t number = trace->stacks.stacks[--trace->stacks.count].thread;
        thread_free(trace->threads[number]);
        trace->threads[number] = NULL;
    }
}

int stacks_declare(struct ct_trace *trace, const struct thread *owner)
{
    for (uint32_t i = 0; i < trace->batch.stack_count; i++) {
        int status = declare(trace, owner, &trace->batch.stacks[i]);
        if (!status)
            continue;
        undeclare(trace, i);
        return status;
    }
    return 0;
}

void stacks_undeclare(struct ct_trace *trace)
{
    undeclare(trace, trace->batch.stack_count);
}

uint32_t ct_trace_stack_count(const struct ct_trace *trace)
{
    return trace->stacks.count;
}

uint32_t ct_trace_take_stacks(struct ct_trace *trace, uint32_t count, struct ct_stack *out)
{
    if (count > trace->stacks.count)
        count = trace->stacks.count;
    for (uint32_t i = 0; i < count; i++)
        out[i] = trace->stacks.stacks[i];
    for (uint32_t i = count; i < trace->stacks.count; i++)
        trace->stacks.stacks[i - count] = trace->stacks.stacks[i];
    trace->stacks.count -= count;
    return count;
}

int ct_thread_set_owner(struct ct_trace *trace, uint32_t number, uint32_t owner)
{
    struct thread *thread = trace_thread(trace, number);
    if (!thread || thread->depth || thread->calls)
        return CT_ERANGE;
    thread->owner = owner;
    return 0;
}
