/*
 * Writing a record into a ring: its words (layout.h) and its publication.
 */
#ifndef CALLTRACE_RECORD_RECORD_H
#define CALLTRACE_RECORD_RECORD_H

#include <stdint.h>

#include "agent/record/compiler.h"
#include "agent/record/layout.h"
#include "agent/record/ring.h"

static inline uint64_t record_event_word(const void *function, uint64_t stack_pointer, uint64_t kind)
{
    uint64_t low = (stack_pointer >> RECORD_SP_UNIT_SHIFT) & RECORD_SP_LOW_MASK;
    return ((uint64_t)(uintptr_t)function & RECORD_ADDRESS_MASK) | low << RECORD_ADDRESS_BITS |
           kind << RECORD_KIND_SHIFT;
}

static inline uint64_t record_call_site_word(const void *call_site, uint64_t stack_pointer)
{
    uint64_t high = stack_pointer >> (RECORD_SP_UNIT_SHIFT + RECORD_SP_LOW_BITS);
    return ((uint64_t)(uintptr_t)call_site & RECORD_ADDRESS_MASK) | high << RECORD_ADDRESS_BITS;
}

/* Word 1 of a record of so many words that is no event, but tells how many events have been dropped. */
static inline uint64_t record_void_word(uint64_t dropped, uint64_t words)
{
    return (dropped & RECORD_ADDRESS_MASK) | (words - RECORD_EXIT_WORDS) << RECORD_ADDRESS_BITS |
           (uint64_t)RECORD_DROPPED << RECORD_KIND_SHIFT;
}

/* The word before captured values. */
static inline uint64_t record_values_word(uint64_t size, uint64_t words, uint64_t stack_pointer)
{
    uint64_t low = size | words << RECORD_VALUES_WORDS_SHIFT;
    return record_call_site_word((const void *)(uintptr_t)low, stack_pointer);
}

/* Whether a hook further out is running. A handler that runs hooks between the two readings moves both. */
static inline bool record_is_nested(const struct producer *p)
{
    uint64_t published, reserved;
    do {
        published = __atomic_load_n(&p->published, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        reserved = __atomic_load_n(&p->reserved, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    } while (UNLIKELY(__atomic_load_n(&p->published, __ATOMIC_RELAXED) != published));
    return reserved != published;
}

/* Where the first record of handlers lies that have interrupted a hook: there the hook's own ends. One that
 * was reserved before, in a handler that was interrupted in turn, comes to say so later. */
static inline void record_nested(struct producer *p, uint64_t position)
{
    if (p->nested <= p->published || position < p->nested)
        p->nested = position;
}

/* Words 1 and 2 of a note are those of an entry with another kind: an address, and what it is about, an
 * enum note_kind. */
void record_note(uint64_t what, uint64_t address, uint64_t stack_pointer);

/* Publishes all that is reserved. A handler may run between any two lines here: if it came before
 * `published` was set, its records are published by the next turn of this loop; if after, by itself. */
static inline void record_publish_all(struct producer *p)
{
    uint64_t reserved;
    do {
        reserved = __atomic_load_n(&p->reserved, __ATOMIC_RELAXED);
        __atomic_store_n(&p->ring->head, reserved, __ATOMIC_RELEASE);
        __atomic_store_n(&p->published, reserved, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    } while (UNLIKELY(__atomic_load_n(&p->reserved, __ATOMIC_RELAXED) != reserved));
}

/* Publishes the record in [position, next), which is filled, given that no hook further out is running. */
static FORCE_INLINE void record_publish(struct producer *p, uint64_t position, uint64_t next)
{
    if (UNLIKELY(__atomic_load_n(&p->reserved, __ATOMIC_RELAXED) != next)) {
        /* A handler interrupted this hook. If that was before it read the clock, the record behind is the
         * older one; but an event cannot be later than what happened inside of it. */
        uint64_t *ticks = &p->words[position & (RING_WORDS - 1)];
        uint64_t behind = p->words[next & (RING_WORDS - 1)];
        if ((int64_t)(behind - *ticks) < 0)
            *ticks = behind;
    }
    record_publish_all(p);
}

#endif
