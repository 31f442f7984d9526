#include "agent/ship/encode_steps.h"

size_t leave_unsent(struct stack *stack, size_t count)
{
    size_t unsent = count < stack->cut_depth ? count : (size_t)stack->cut_depth;
    stack->cut_depth -= unsent;
    leave(stack, unsent);
    return count - unsent;
}

void end_at(struct encoder *e, struct encode_thread *t, size_t count, enum mark how, uint64_t ticks)
{
    struct stack *stack = t->stacks.now;
    count = leave_unsent(stack, count);
    if (count == 0)
        return;
    put_cut_calls(e, t);
    put_elapsed(e, t, ticks);
    put_mark(e, t, how, count);
    leave(stack, count);
}

void end_gone(struct encoder *e, struct encode_thread *t, size_t count, enum mark how, uint64_t ticks)
{
    const struct stack *stack = t->stacks.now;
    size_t after_gap = stack->frames.depth > stack->gap_depth ? stack->frames.depth - stack->gap_depth : 0;
    size_t ended = count < after_gap ? count : after_gap;
    end_at(e, t, ended, how, ticks);
    end_at(e, t, count - ended, LOST_EXIT, t->last_ticks);
}

/* What becomes of the calls of the present stack that leave no exit. */
static enum mark how_gone(const struct encode_thread *t)
{
    struct stack *stack = t->stacks.now;
    return raises_unwind(&stack->raises, stack->frames.depth) ? UNWOUND : ABANDONED;
}

void end_seen_gone(struct encoder *e, struct encode_thread *t, size_t count)
{
    end_gone(e, t, count, how_gone(t), t->last_ticks);
}

void end_stack(struct encoder *e, struct encode_thread *t, struct stack *stack, uint64_t ticks)
{
    struct stack *now = t->stacks.now;
    t->stacks.now = stack;
    end_gone(e, t, stack->frames.depth, how_gone(t), ticks);
    t->stacks.now = now;
}
