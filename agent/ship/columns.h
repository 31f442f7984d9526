/*
 * Columns: an EventBatch (proto/calltrace/v1/events.proto) in the making.
 */
#ifndef CALLTRACE_SHIP_COLUMNS_H
#define CALLTRACE_SHIP_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ship/proto.h"
#include "agent/ship/sites.h"

/* Mark.Kind */
enum mark {
    ABANDONED = 1,
    ORPHAN_EXIT,
    FRAME_DELTA,
    DROPPED,
    CUT,
    LOST_EXIT,
    ELAPSED,
    UNWOUND,
    SWITCHED,
};

struct columns {
    uint8_t *memory;
    uint8_t *dt, *dt_end;
    uint8_t *op, *op_end;
    struct proto marks;
    struct proto new_sites;
    struct proto new_stacks;
    uint8_t *value_sizes, *value_sizes_end; /* of the events up to the last that has values */
    uint8_t *values, *values_end;
    uint32_t sized_events;   /* that value_sizes has */
    uint64_t *new_addresses; /* functions and call sites of the batch's new sites */
    uint32_t new_address_count;
    uint32_t events;
    uint32_t first_site;
    uint32_t stack; /* Thread.number of the stack that the events are on */
    uint64_t base_ticks;
    uint64_t ring_begin;
};

int columns_open(struct columns *columns);
void columns_close(struct columns *columns);

/* Starts a batch, on the thread's own stack. */
void columns_begin(struct columns *columns, uint32_t thread, uint32_t first_site, uint64_t base_ticks,
                   uint64_t ring_begin);

/* Whether what one more record adds may find no room. */
bool columns_are_full(const struct columns *columns);

void columns_put_mark(struct columns *columns, enum mark kind, uint64_t value);
void columns_put_site(struct columns *columns, const struct site *site);
void columns_put_stack(struct columns *columns, uint32_t thread, uint64_t base, uint64_t bytes);

static inline void columns_put_event(struct columns *columns, uint64_t dt, uint64_t op)
{
    columns->dt_end = put_varint(columns->dt_end, dt);
    columns->op_end = put_varint(columns->op_end, op);
    columns->events++;
}

/* Whether the values of one more event have room. In an empty batch they do. */
bool columns_have_room_for_values(const struct columns *columns);

/* Makes room for the values of the event put last, where they are to be written. */
uint8_t *columns_put_values(struct columns *columns, size_t bytes);

/* Size of the EventBatch, given what it is of. */
size_t columns_batch_size(const struct columns *columns, uint32_t thread, uint64_t ring_end);

/* Writes it; returns what comes behind. */
uint8_t *columns_write_batch(const struct columns *columns, uint32_t thread, uint64_t ring_end, uint8_t *at);

#endif
