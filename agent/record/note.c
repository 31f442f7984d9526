/*
 * Notes: records between the events that say why the stack changes without the hooks (layout.h).
 */
#include <stddef.h>

#include "agent/record/arch.h"
#include "agent/record/clock.h"
#include "agent/record/record.h"
#include "agent/record/ring.h"

/* A note that finds no room is no event dropped: without it, later stack pointers tell as well. */
static bool make_room(struct producer *p, uint64_t stack_pointer)
{
    if (ring_make_room(RECORD_NOTE_WORDS, stack_pointer))
        return true;
    arch_take(&p->ring->dropped, UINT64_MAX);
    return false;
}

void record_note(uint64_t what, uint64_t address, uint64_t stack_pointer)
{
    struct producer *p = ring_producer;
    if (p->ring == NULL || !make_room(p, stack_pointer))
        return;
    bool nested = record_is_nested(p);
    if (!nested)
        p->hook = stack_pointer;
    uint64_t position = arch_take(&p->reserved, RECORD_NOTE_WORDS);
    if (nested)
        record_nested(p, position);
    uint64_t *record = &p->words[position & (RING_WORDS - 1)];
    record[0] = clock_ticks();
    record[1] = record_event_word((const void *)(uintptr_t)address, stack_pointer, RECORD_NOTE);
    record[2] = record_call_site_word((const void *)(uintptr_t)what, stack_pointer);
    if (!nested) /* else the interrupted hook publishes it with its own */
        record_publish(p, position, position + RECORD_NOTE_WORDS);
}
