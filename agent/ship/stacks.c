#include "agent/ship/stacks.h"

#include <errno.h>
#include <string.h>

#include "agent/life/memory.h"

#define FIRST_CAPACITY 512u

static struct stack *new_stack(uint32_t number, uint64_t low, uint64_t base)
{
    struct stack *stack = memory_get(sizeof *stack);
    if (stack == NULL)
        return NULL;
    *stack = (struct stack){.number = number, .low = low};
    if (frames_open(&stack->frames, base) == 0)
        return stack;
    memory_put(stack, sizeof *stack);
    return NULL;
}

static void free_stack(struct stack *stack)
{
    if (stack == NULL)
        return;
    frames_close(&stack->frames);
    memory_put(stack, sizeof *stack);
}

int stacks_open(struct stacks *stacks, uint32_t number, uint64_t base)
{
    *stacks = (struct stacks){.own = new_stack(number, 0, base)};
    stacks->now = stacks->own;
    return stacks->own == NULL ? -ENOMEM : 0;
}

void stacks_close(struct stacks *stacks)
{
    free_stack(stacks->own);
    for (size_t i = 0; i < stacks->count; i++)
        free_stack(stacks->others[i]);
    if (stacks->others != NULL)
        memory_put(stacks->others, stacks->capacity * sizeof *stacks->others);
    *stacks = (struct stacks){0};
}

static bool make_room(struct stacks *stacks)
{
    if (stacks->count < stacks->capacity)
        return true;
    size_t capacity = stacks->capacity == 0 ? FIRST_CAPACITY : stacks->capacity * 2;
    if (capacity > STACKS_MOST)
        return false;
    size_t bytes = capacity * sizeof *stacks->others;
    struct stack **others =
        stacks->others == NULL ? memory_get(bytes) : memory_grow(stacks->others, bytes / 2, bytes);
    if (others == NULL)
        return false;
    stacks->others = others;
    stacks->capacity = capacity;
    return true;
}

/* The place of the first of the others that ends above an address. */
static size_t place_above(const struct stacks *stacks, uint64_t address)
{
    size_t low = 0, high = stacks->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (stack_base(stacks->others[middle]) > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct stack *stacks_add(struct stacks *stacks, uint32_t number, uint64_t low, uint64_t bytes)
{
    struct stack *stack = make_room(stacks) ? new_stack(number, low, low + bytes) : NULL;
    if (stack == NULL)
        return NULL;
    size_t place = place_above(stacks, low);
    memmove(&stacks->others[place + 1], &stacks->others[place], (stacks->count - place) * sizeof(stack));
    stacks->others[place] = stack;
    stacks->count++;
    return stack;
}

void stacks_remove(struct stacks *stacks, struct stack *stack)
{
    size_t place = place_above(stacks, stack->low);
    stacks->count--;
    memmove(&stacks->others[place], &stacks->others[place + 1], (stacks->count - place) * sizeof(stack));
    if (stacks->now == stack)
        stacks->now = stacks->own;
    free_stack(stack);
}

struct stack *stacks_from(const struct stacks *stacks, uint64_t address)
{
    size_t place = place_above(stacks, address);
    return place < stacks->count ? stacks->others[place] : NULL;
}

struct stack *stacks_at(struct stacks *stacks, uint64_t address)
{
    struct stack *stack = stacks_from(stacks, address);
    return stack != NULL && stack->low <= address ? stack : stacks->own;
}

static bool may_hold(const struct stack *stack, uint64_t stack_pointer_bits, unsigned bits)
{
    uint64_t below_base = (stack_base(stack) - stack_pointer_bits) & ((1ull << bits) - 1);
    return below_base <= stack_base(stack) - stack->low;
}

struct stack *stacks_of_entry(struct stacks *stacks, uint64_t stack_pointer_bits, unsigned bits)
{
    if (stacks->now != stacks->own && may_hold(stacks->now, stack_pointer_bits, bits))
        return stacks->now;
    for (size_t i = 0; i < stacks->count; i++)
        if (may_hold(stacks->others[i], stack_pointer_bits, bits))
            return stacks->others[i];
    return stacks->own;
}

static bool ends_innermost(const struct stack *stack, uint64_t function, uint64_t sp_low)
{
    const struct frame *innermost = frames_innermost(&stack->frames);
    return stack->frames.depth != 0 && innermost->function == function &&
           frames_sp_low(innermost->stack_pointer) == sp_low;
}

struct stack *stacks_of_exit(struct stacks *stacks, uint64_t function, uint64_t sp_low)
{
    if (ends_innermost(stacks->now, function, sp_low))
        return stacks->now;
    if (ends_innermost(stacks->own, function, sp_low))
        return stacks->own;
    for (size_t i = 0; i < stacks->count; i++)
        if (ends_innermost(stacks->others[i], function, sp_low))
            return stacks->others[i];
    return stacks->now;
}
