#include "agent/record/capture.h"

#include <stddef.h>

#include "agent/life/agent.h"
#include "agent/life/thread.h"
#include "agent/record/capture_memory.h"
#include "agent/record/capture_table.h"
#include "agent/record/clock.h"
#include "agent/record/hooks.h"
#include "agent/record/layout.h"
#include "agent/record/record.h"

#define WORDS_OF(bytes) (((bytes) + sizeof(uint64_t) - 1) / sizeof(uint64_t))
#define HOOKS_BEFORE_LOOKING 256u

bool capture_is_on = true;

_Static_assert(sizeof(struct capture_registers) == 256 && offsetof(struct capture_registers, xmm) == 128,
               "as hook_stubs.S makes it");

/* The call that a hook is run for. */
struct event {
    const void *function;
    const void *call_site; /* of an entry */
    uint64_t kind;
    uint64_t stack_pointer;
};

/* The stack is learned as it grows. On another stack than the thread's own that fails, and is not tried again
 * for a while. */
static COLD uint64_t learn_stack(struct producer *p, uint64_t stack_pointer)
{
    uint64_t base = p->ring->stack_base;
    if (p->stack_end == 0) {
        p->stack_end = base;
        p->stack_low = base;
    }
    if (p->stack_patience != 0) {
        p->stack_patience--;
    } else {
        uint64_t low = capture_stack_low(stack_pointer, p->stack_low, base);
        if (low == p->stack_low)
            p->stack_patience = HOOKS_BEFORE_LOOKING;
        p->stack_low = low;
    }
    if (stack_pointer >= p->stack_low && stack_pointer < base)
        return base;
    /* The hook's frame lies right below, so that page at least is there. */
    return ((stack_pointer - 1) | (CALLTRACE_PAGE - 1)) + 1;
}

static FORCE_INLINE uint64_t stack_end(struct producer *p, uint64_t stack_pointer)
{
    if (stack_pointer >= p->stack_low && stack_pointer < p->stack_end)
        return p->stack_end;
    return learn_stack(p, stack_pointer);
}

/* A record that is being made: the most words that it may take are reserved. */
struct draft {
    uint64_t position;
    uint64_t words;
    uint64_t *at;
    bool nested; /* in a handler that has interrupted another hook */
};

/* Returns false when the event is not to be recorded. */
static FORCE_INLINE bool reserve(struct producer *p, uint64_t words, uint64_t stack_pointer,
                                 struct draft *draft)
{
    *draft = (struct draft){.words = words};
    if (UNLIKELY(p->reserved + words > p->limit || p->reserved != p->published)) {
        if (!ring_make_room(words, stack_pointer))
            return false;
        draft->nested = record_is_nested(p);
    }
    if (!draft->nested)
        p->hook = stack_pointer;
    draft->position = arch_take(&p->reserved, words);
    if (UNLIKELY(draft->nested))
        record_nested(p, draft->position);
    else /* hooks of a handler in between have set it, and this one takes long enough for another handler */
        p->hook = stack_pointer;
    draft->at = &p->words[draft->position & (RING_WORDS - 1)];
    draft->at[1] = record_void_word(p->said_drops, words); /* until it is filled, should it never be */
    return true;
}

/* Gives back what a filled record has not taken, and publishes it. `header` is what is before its values. */
static FORCE_INLINE void finish(struct producer *p, const struct draft *draft, uint64_t header, size_t size,
                                uint64_t frame)
{
    uint64_t next = draft->position + header + RECORD_VALUES_WORDS + WORDS_OF(size);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (UNLIKELY(!arch_replace(&p->reserved, draft->position + draft->words, next))) {
        /* A handler has recorded something behind. */
        draft->at[header] = record_values_word(size, draft->words - header - RECORD_VALUES_WORDS, frame);
        next = draft->position + draft->words;
    }
    if (!draft->nested) /* else the interrupted hook publishes it with its own */
        record_publish(p, draft->position, next);
}

/* Records an event with its values, which are written into the ring at once. */
static void record(struct producer *p, const struct event *event, const struct capture_hook *hook,
                   const struct capture_registers *registers)
{
    const bool is_entry = event->kind == RECORD_ENTRY;
    const uint64_t header = is_entry ? RECORD_ENTRY_WORDS : RECORD_EXIT_WORDS;
    struct draft draft;
    if (!reserve(p, header + RECORD_VALUES_WORDS + WORDS_OF(hook->room), event->stack_pointer, &draft))
        return;
    uint64_t *at = draft.at;
    uint64_t ticks = is_entry ? 0 : clock_ticks(); /* the call is over */
    const struct capture_context context = {registers, stack_end(p, event->stack_pointer),
                                            agent.config.string_limit};
    uint64_t frame;
    size_t size = capture_run(hook, &context, (uint8_t *)(at + header + RECORD_VALUES_WORDS), &frame);
    /* Taken for abandoned by another stack of this thread: nobody reads this any more. */
    if (UNLIKELY(__atomic_load_n(&p->published, __ATOMIC_RELAXED) > draft.position))
        return;
    at[header] = record_values_word(size, WORDS_OF(size), frame);
    if (is_entry) {
        at[2] = record_call_site_word(event->call_site, event->stack_pointer);
        ticks = clock_ticks(); /* the call begins now */
    }
    at[0] = ticks;
    at[1] = record_event_word(event->function, frame, event->kind) | RECORD_HAS_VALUES;
    finish(p, &draft, header, size, frame);
}

/* Records an event with its values; returns false when it has none. */
static FORCE_INLINE bool capture(const struct event *event, const struct capture_registers *registers,
                                 uint64_t return_address)
{
    if (UNLIKELY(ring_producer->ring == NULL))
        ring_attach(event->stack_pointer);
    struct producer *p = ring_producer;
    if (UNLIKELY(p->ring == NULL || !capture_is_on))
        return false;
    /* While libraries are unloaded, other code may come to be where a plan is for; not in the executable. */
    if (UNLIKELY(__atomic_load_n(&agent.code_changes, __ATOMIC_RELAXED) != 0) &&
        !capture_memory_is_lasting(return_address))
        return false;
    const struct capture_hook *hook = capture_table_find(return_address);
    if (UNLIKELY(hook == NULL)) {
        if (!capture_table_is_settled(return_address))
            thread_await_plans(return_address);
        hook = capture_table_find(return_address); /* it may have been added just before that was settled */
    }
    if (hook == NULL || hook->function != (uint64_t)(uintptr_t)event->function)
        return false;
    record(p, event, hook, registers);
    return true;
}

void capture_enter(const void *function, const void *call_site, const struct capture_registers *registers,
                   uint64_t return_address)
{
    struct event event = {function, call_site, RECORD_ENTRY, registers->general[CAPTURE_STACK_POINTER]};
    if (!capture(&event, registers, return_address))
        hooks_record_entry(function, call_site, event.stack_pointer);
}

void capture_exit(const void *function, const void *call_site, const struct capture_registers *registers,
                  uint64_t return_address)
{
    (void)call_site;
    struct event event = {function, NULL, RECORD_EXIT, registers->general[CAPTURE_STACK_POINTER]};
    if (!capture(&event, registers, return_address))
        hooks_record_exit(function, event.stack_pointer);
}
