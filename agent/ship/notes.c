#include "agent/ship/encode_steps.h"

/* makecontext() begins anew on memory where other stacks may have been: these are gone. Returns the one that
 * had the very same place, for that to be used again. Where there is no room to say of so many what has
 * become of their calls, these stay open. */
static struct stack *clear_place(struct encoder *e, struct encode_thread *t, uint64_t low, uint64_t base,
                                 uint64_t ticks)
{
    struct stack *stack;
    while ((stack = stacks_from(&t->stacks, low)) != NULL && stack->low < base) {
        if (!columns_are_full(&e->columns))
            end_stack(e, t, stack, ticks);
        if (stack->low == low && stack_base(stack) == base)
            return stack;
        stacks_remove(&t->stacks, stack);
    }
    return NULL;
}

static void make_stack(struct encoder *e, struct encode_thread *t, uint64_t low, uint64_t bytes,
                       uint64_t ticks)
{
    if (bytes == 0 || clear_place(e, t, low, low + bytes, ticks) != NULL)
        return;
    if (stacks_add(&t->stacks, *e->next_thread, low, bytes) != NULL)
        columns_put_stack(&e->columns, (*e->next_thread)++, low + bytes, bytes);
}

/* The thread goes on where an address is. */
static void switch_stack(struct encoder *e, struct encode_thread *t, uint64_t address)
{
    put_cut_calls(e, t);
    t->stacks.now = stacks_at(&t->stacks, address);
    t->stacks.unsure = false;
}

static void land(struct encoder *e, struct encode_thread *t, uint64_t stack_pointer, enum mark how,
                 uint64_t ticks)
{
    end_gone(e, t, frames_gone_below(&t->stacks.now->frames, stack_pointer), how, ticks);
}

void encode_note(struct encoder *e, struct encode_thread *t, const struct record *r)
{
    struct stack *stack = t->stacks.now;
    uint64_t stack_pointer = full_stack_pointer(frames_innermost(&stack->frames)->stack_pointer, r->sp_known);
    switch (r->third & NOTE_KIND_MASK) {
    case NOTE_RAISE:
        raises_push(&stack->raises, stack->frames.depth);
        break;
    case NOTE_FORCED: /* said again for each call that is unwound */
        if (!raises_unwind(&stack->raises, stack->frames.depth))
            raises_push(&stack->raises, stack->frames.depth);
        break;
    case NOTE_LAND:
        land(e, t, stack_pointer, UNWOUND, r->ticks);
        break;
    case NOTE_CATCH:
        land(e, t, stack_pointer, UNWOUND, r->ticks);
        raises_pop(&stack->raises);
        break;
    case NOTE_JUMP:
        switch_stack(e, t, r->address);
        land(e, t, r->address, ABANDONED, r->ticks);
        raises_jumped(&t->stacks.now->raises, t->stacks.now->frames.depth);
        break;
    case NOTE_STACK:
        make_stack(e, t, r->address, r->third >> NOTE_SIZE_SHIFT << NOTE_SIZE_UNIT_SHIFT, r->ticks);
        break;
    case NOTE_SWITCH:
        switch_stack(e, t, r->address);
        break;
    default: /* of a later agent */
        break;
    }
}
