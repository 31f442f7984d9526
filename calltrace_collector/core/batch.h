/* A decoded EventBatch (proto/calltrace/v1/events.proto). */
#ifndef CALLTRACE_CORE_BATCH_H
#define CALLTRACE_CORE_BATCH_H

#include <stdbool.h>

#include "calltrace_collector/core/core.h"

/* Mark.Kind */
enum mark_kind {
    MARK_ABANDONED = 1,
    MARK_ORPHAN_EXIT = 2,
    MARK_FRAME_DELTA = 3,
    MARK_DROPPED = 4,
    MARK_CUT = 5,
    MARK_LOST_EXIT = 6,
    MARK_ELAPSED = 7,
    MARK_UNWOUND = 8,
    MARK_SWITCHED = 9,
};

struct mark {
    uint32_t index;
    uint32_t kind;
    uint64_t value;
};

/* Whether the mark is one of those that end calls. */
static inline bool mark_ends_calls(const struct mark *mark)
{
    return mark->kind == MARK_ABANDONED || mark->kind == MARK_UNWOUND || mark->kind == MARK_LOST_EXIT;
}

/* A stack that the batch is the first to use. */
struct new_stack {
    uint32_t thread;
    uint64_t stack_base;
    uint64_t size_bytes;
};

/* The arrays are reused from batch to batch. */
struct batch {
    uint32_t thread;
    uint32_t first_site;
    uint64_t ring_begin;
    uint64_t ring_end;
    uint64_t base_ticks;
    uint32_t events;
    uint32_t site_count;
    uint32_t mark_count;
    uint32_t stack_count;
    uint64_t *dt; /* `events` elements, as op */
    uint32_t *op;
    struct ct_site *sites;
    struct mark *marks;
    struct new_stack *stacks;
    /* The values captured at event i are the bytes value_starts[i] to value_starts[i + 1] of `values`, which
     * lies in the message. NULL: no event has any. */
    const uint8_t *values;
    uint32_t *value_starts;
    size_t dt_capacity;
    size_t op_capacity;
    size_t site_capacity;
    size_t mark_capacity;
    size_t stack_capacity;
    size_t value_capacity;
};

void batch_free(struct batch *batch);

/* Decodes; `bytes` are needed as long as the batch's values are. All arrays are complete and equally long,
 * but no value has been checked. */
int batch_decode(struct batch *batch, const uint8_t *bytes, size_t size);

#endif
