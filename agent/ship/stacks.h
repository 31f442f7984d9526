/*
 * Stacks: what a thread runs on. Its own, and those that makecontext() has made and that it switches to and
 * from (coroutines); each has open calls of its own, and a Thread.number.
 */
#ifndef CALLTRACE_SHIP_STACKS_H
#define CALLTRACE_SHIP_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ship/frames.h"
#include "agent/ship/raises.h"

#define STACKS_MOST 65536u

struct stack {
    uint32_t number;
    uint64_t low; /* its lowest address; it ends at frames.open[0].stack_pointer */
    struct frames frames;
    uint64_t cut_depth; /* how many of the innermost open calls are deeper than the limit, and not sent */
    uint64_t cut_calls; /* calls left out since the last event sent */
    size_t gap_depth;   /* this many of the outermost open calls were open when events were dropped */
    struct raises raises;
};

struct stacks {
    struct stack *own;
    struct stack *now;     /* where the thread is */
    struct stack **others; /* by address; they do not overlap */
    size_t count;
    size_t capacity;
    bool unsure; /* whether the thread is still on `now`: the next event tells */
};

int stacks_open(struct stacks *stacks, uint32_t number, uint64_t base);
void stacks_close(struct stacks *stacks);

/* Adds a stack that overlaps no other. NULL: there is no memory. */
struct stack *stacks_add(struct stacks *stacks, uint32_t number, uint64_t low, uint64_t bytes);

/* Takes away one of the others. */
void stacks_remove(struct stacks *stacks, struct stack *stack);

/* The one of the others that ends above an address and starts lowest; NULL: none. */
struct stack *stacks_from(const struct stacks *stacks, uint64_t address);

/* The stack that an address is in; the thread's own when it is in none of the others. */
struct stack *stacks_at(struct stacks *stacks, uint64_t address);

/* Where an entry or an exit happened, given that the thread may have left `now` without a word: its stack
 * pointer's low bits, `bits` of them, are known. */
struct stack *stacks_of_entry(struct stacks *stacks, uint64_t stack_pointer_bits, unsigned bits);
struct stack *stacks_of_exit(struct stacks *stacks, uint64_t function, uint64_t sp_low);

static inline uint64_t stack_base(const struct stack *stack)
{
    return stack->frames.open[0].stack_pointer;
}

#endif
