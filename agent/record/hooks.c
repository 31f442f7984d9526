/*
 * The two hooks without values: reserve, fill, publish, nothing else.
 *
 * No system call, no allocation, no floating point, no errno; only the slow path leaves this file. The
 * program calls hook_stubs.S, which goes on here while nothing is captured; else capture.c does for what has
 * no values.
 */
#include "agent/record/hooks.h"

#include "agent/record/clock.h"
#include "agent/record/record.h"
#include "agent/record/ring.h"

static FORCE_INLINE uint64_t fill_entry(struct producer *p, const void *function, const void *call_site,
                                        uint64_t stack_pointer, uint64_t ticks_of(void))
{
    uint64_t position = arch_take(&p->reserved, RECORD_ENTRY_WORDS);
    uint64_t *record = &p->words[position & (RING_WORDS - 1)];
    record[0] = ticks_of();
    record[1] = record_event_word(function, stack_pointer, RECORD_ENTRY);
    record[2] = record_call_site_word(call_site, stack_pointer);
    return position;
}

static FORCE_INLINE uint64_t fill_exit(struct producer *p, const void *function, uint64_t stack_pointer,
                                       uint64_t ticks_of(void))
{
    uint64_t position = arch_take(&p->reserved, RECORD_EXIT_WORDS);
    uint64_t *record = &p->words[position & (RING_WORDS - 1)];
    record[0] = ticks_of();
    record[1] = record_event_word(function, stack_pointer, RECORD_EXIT);
    return position;
}

/* The hooks when the ring has no room, the clock needs a call, or another hook is interrupted: that one
 * publishes this record with its own. */
static COLD void slow_entry(const void *function, const void *call_site, uint64_t stack_pointer)
{
    if (!ring_make_room(RECORD_ENTRY_WORDS, stack_pointer))
        return;
    struct producer *p = ring_producer;
    bool nested = record_is_nested(p);
    if (!nested)
        p->hook = stack_pointer;
    uint64_t position = fill_entry(p, function, call_site, stack_pointer, clock_ticks);
    if (nested)
        record_nested(p, position);
    else
        record_publish(p, position, position + RECORD_ENTRY_WORDS);
}

static COLD void slow_exit(const void *function, uint64_t stack_pointer)
{
    if (!ring_make_room(RECORD_EXIT_WORDS, stack_pointer))
        return;
    struct producer *p = ring_producer;
    bool nested = record_is_nested(p);
    if (!nested)
        p->hook = stack_pointer;
    uint64_t position = fill_exit(p, function, stack_pointer, clock_ticks);
    if (nested)
        record_nested(p, position);
    else
        record_publish(p, position, position + RECORD_EXIT_WORDS);
}

static FORCE_INLINE bool is_slow(const struct producer *p, uint64_t words)
{
    return p->reserved + words > p->limit || p->reserved != p->published || clock_is_monotonic;
}

static FORCE_INLINE void record_entry(const void *function, const void *call_site, uint64_t stack_pointer)
{
    struct producer *p = ring_producer;
    if (UNLIKELY(is_slow(p, RECORD_ENTRY_WORDS)))
        return slow_entry(function, call_site, stack_pointer);
    p->hook = stack_pointer;
    uint64_t position = fill_entry(p, function, call_site, stack_pointer, arch_counter);
    record_publish(p, position, position + RECORD_ENTRY_WORDS);
}

static FORCE_INLINE void record_exit(const void *function, uint64_t stack_pointer)
{
    struct producer *p = ring_producer;
    if (UNLIKELY(is_slow(p, RECORD_EXIT_WORDS)))
        return slow_exit(function, stack_pointer);
    p->hook = stack_pointer;
    uint64_t position = fill_exit(p, function, stack_pointer, arch_counter);
    record_publish(p, position, position + RECORD_EXIT_WORDS);
}

void hooks_enter(const void *function, const void *call_site)
{
    record_entry(function, call_site, STACK_POINTER());
}

void hooks_exit(const void *function, const void *call_site)
{
    (void)call_site;
    record_exit(function, STACK_POINTER());
}

void hooks_record_entry(const void *function, const void *call_site, uint64_t stack_pointer)
{
    record_entry(function, call_site, stack_pointer);
}

void hooks_record_exit(const void *function, uint64_t stack_pointer)
{
    record_exit(function, stack_pointer);
}
