/*
 * What the parts of the encoder share: a record taken apart, and the ways to put something into the columns.
 *
 *  - encode.c: records, entries and exits.
 *  - endings.c: calls that end without an exit.
 *  - notes.c: what explains why the stack changes.
 *  - captured.c: what has been captured of events.
 */
#ifndef CALLTRACE_SHIP_ENCODE_STEPS_H
#define CALLTRACE_SHIP_ENCODE_STEPS_H

#include "agent/record/compiler.h"
#include "agent/record/layout.h"
#include "agent/ship/encode.h"

/* How much of its stack pointer an entry has. */
#define SP_BITS (RECORD_SP_UNIT_SHIFT + 30)

struct record {
    uint64_t ticks;
    uint64_t address;
    uint64_t sp_low;
    uint64_t third;    /* of an entry, the call site; of a note, what it is */
    uint64_t sp_known; /* of an entry or a note: the lowest SP_BITS of the stack pointer */
};

static inline void be_on_stack(struct encoder *e, const struct encode_thread *t)
{
    uint32_t number = t->stacks.now->number;
    if (UNLIKELY(e->columns.stack != number)) {
        columns_put_mark(&e->columns, SWITCHED, number);
        e->columns.stack = number;
    }
}

static inline void put_mark(struct encoder *e, const struct encode_thread *t, enum mark kind, uint64_t value)
{
    be_on_stack(e, t);
    columns_put_mark(&e->columns, kind, value);
}

/* Time does not run backwards within a thread; the counters of two cores may differ by a little. */
static inline uint64_t elapse(struct encode_thread *t, uint64_t ticks)
{
    uint64_t dt = (int64_t)(ticks - t->last_ticks) > 0 ? ticks - t->last_ticks : 0;
    t->last_ticks += dt;
    return dt;
}

static inline void put_event(struct encoder *e, struct encode_thread *t, uint64_t ticks, uint64_t op)
{
    be_on_stack(e, t);
    columns_put_event(&e->columns, elapse(t, ticks), op);
}

static inline void put_elapsed(struct encoder *e, struct encode_thread *t, uint64_t ticks)
{
    uint64_t dt = elapse(t, ticks);
    if (dt != 0)
        put_mark(e, t, ELAPSED, dt);
}

/* Says how many calls were left out since the last event sent. */
static inline void put_cut_calls(struct encoder *e, struct encode_thread *t)
{
    struct stack *stack = t->stacks.now;
    if (UNLIKELY(stack->cut_calls != 0)) {
        put_mark(e, t, CUT, stack->cut_calls);
        stack->cut_calls = 0;
    }
}

static inline void leave(struct stack *stack, size_t calls)
{
    stack->frames.depth -= calls;
    if (UNLIKELY(stack->gap_depth > stack->frames.depth))
        stack->gap_depth = stack->frames.depth;
    raises_left(&stack->raises, stack->frames.depth);
}

/* A stack pointer, given its SP_BITS and one near it. */
static inline uint64_t full_stack_pointer(uint64_t near, uint64_t known)
{
    const unsigned unknown = 64 - SP_BITS;
    int64_t distance = (int64_t)((known - near) << unknown) >> unknown;
    return near + (uint64_t)distance;
}

/* Of the innermost open calls, those that are too deep to be sent end; returns how many of `count` are left.
 */
size_t leave_unsent(struct stack *stack, size_t count);

/* Ends the `count` innermost open calls of the present stack, at `ticks`. */
void end_at(struct encoder *e, struct encode_thread *t, size_t count, enum mark how, uint64_t ticks);

/* Ends the `count` innermost open calls, which have left no exit: those open across a gap may have
 * returned in it, the others have not. `ticks` is when they ended; the last event's: nobody knows. */
void end_gone(struct encoder *e, struct encode_thread *t, size_t count, enum mark how, uint64_t ticks);

/* The same, given that a later event shows that they are gone. */
void end_seen_gone(struct encoder *e, struct encode_thread *t, size_t count);

/* All that is open on a stack. */
void end_stack(struct encoder *e, struct encode_thread *t, struct stack *stack, uint64_t ticks);

/* Takes what is captured from behind an entry or an exit of so many words, to be put with its event. Returns
 * the words of both; 0: the batch has no room; or -EBADMSG. */
int64_t captured_take(struct encoder *e, struct record *r, uint64_t position, uint64_t words, uint64_t end);

/* Whether an exit's values are of the innermost open call and no other: neither of one on a stack that nobody
 * has told of, nor of one that began among dropped events. */
bool captured_is_of_innermost(const struct encoder *e, const struct stack *stack, const struct record *r);

/* Copies them to the event that was put last. */
void captured_put(struct encoder *e);

void encode_note(struct encoder *e, struct encode_thread *t, const struct record *r);

#endif
