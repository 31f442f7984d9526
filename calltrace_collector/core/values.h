/* What was captured of the calls of a chunk: the values of its events, in their order.
 *
 * A chunk's events are the entries and ends of calls that it says of, counted from 0; many have no values.
 *
 *     varint  VALUES_FORMAT
 *     for each event that has values: varint number of events skipped, varint size, so many bytes
 *
 * The bytes are those of EventBatch.values (proto/calltrace/v1/events.proto): of an entry its arguments, of
 * an end its return value. Nothing at all when no event has any. */
#ifndef CALLTRACE_CORE_VALUES_H
#define CALLTRACE_CORE_VALUES_H

#include <stddef.h>
#include <stdint.h>

/* VALUES_EVENT_BYTES: the most that the values of an event take besides their own bytes. */
enum { VALUES_FORMAT = 1, VALUES_EVENT_BYTES = 8 };

struct values {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    uint32_t next_event;
};

static inline void values_begin(struct values *values)
{
    values->size = 0;
    values->next_event = 0;
}

/* Makes room for events whose values take `more` bytes in all; CT_ENOMEM. */
int values_reserve(struct values *values, uint64_t more);

/* Adds the values of an event after those that have some; room has been reserved. */
void values_add(struct values *values, uint32_t event, const uint8_t *bytes, uint32_t size);

#endif
