/*
 * The two hooks: reserve, fill, publish, nothing else.
 *
 * No system call, no allocation, no floating point, no errno; only the slow path leaves this file.
 */
#include "agent/record/clock.h"
#include "agent/record/record.h"
#include "agent/record/ring.h"

#define EXPORT __attribute__((visibility("default")))
/* The stack pointer of the instrumented function where it called the hook. */
#define STACK_POINTER() ((uint64_t)(uintptr_t)__builtin_dwarf_cfa())

static FORCE_INLINE void record_entry(struct producer *p, const void *function, const void *call_site,
                                      uint64_t stack_pointer, bool monotonic)
{
    uint64_t position = arch_take(&p->reserved, RECORD_ENTRY_WORDS);
    uint64_t *record = &p->words[position & (RING_WORDS - 1)];
    record[0] = monotonic ? clock_monotonic_ns() : arch_counter();
    record[1] = record_event_word(function, stack_pointer, RECORD_ENTRY);
    record[2] = record_call_site_word(call_site, stack_pointer);
    record_publish(p, position, position + RECORD_ENTRY_WORDS);
}

static FORCE_INLINE void record_exit(struct producer *p, const void *function, uint64_t stack_pointer,
                                     bool monotonic)
{
    uint64_t position = arch_take(&p->reserved, RECORD_EXIT_WORDS);
    uint64_t *record = &p->words[position & (RING_WORDS - 1)];
    record[0] = monotonic ? clock_monotonic_ns() : arch_counter();
    record[1] = record_event_word(function, stack_pointer, RECORD_EXIT);
    record_publish(p, position, position + RECORD_EXIT_WORDS);
}

/* The hooks when the ring has no room, or the clock needs a call. */
static COLD void slow_entry(const void *function, const void *call_site, uint64_t stack_pointer)
{
    if (ring_make_room(RECORD_ENTRY_WORDS, stack_pointer))
        record_entry(ring_producer, function, call_site, stack_pointer, clock_is_monotonic);
}

static COLD void slow_exit(const void *function, uint64_t stack_pointer)
{
    if (ring_make_room(RECORD_EXIT_WORDS, stack_pointer))
        record_exit(ring_producer, function, stack_pointer, clock_is_monotonic);
}

EXPORT void __cyg_profile_func_enter(void *function, void *call_site)
{
    struct producer *p = ring_producer;
    if (UNLIKELY(p->reserved + RECORD_ENTRY_WORDS > p->limit || clock_is_monotonic))
        return slow_entry(function, call_site, STACK_POINTER());
    record_entry(p, function, call_site, STACK_POINTER(), false);
}

EXPORT void __cyg_profile_func_exit(void *function, void *call_site)
{
    (void)call_site;
    struct producer *p = ring_producer;
    if (UNLIKELY(p->reserved + RECORD_EXIT_WORDS > p->limit || clock_is_monotonic))
        return slow_exit(function, STACK_POINTER());
    record_exit(p, function, STACK_POINTER(), false);
}
