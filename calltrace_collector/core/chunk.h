/* The growing chunk of a thread: the calls entered since it began, as the events that made them.
 *
 * For each call entered: the ticks between the event before and its entry (its lead), and how many calls
 * ended between the entry before and its entry (its pops). For each call ended: the ticks between the event
 * before and its end (its tail). With the calls that were open when the chunk began and have ended since
 * (the late rows), this says all of each call: see columns.h. */
#ifndef CALLTRACE_CORE_CHUNK_H
#define CALLTRACE_CORE_CHUNK_H

#include <stdbool.h>

#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/sparse.h"
#include "calltrace_collector/core/values.h"

/* A column of ticks: the low 16 bits, and apart those that have more. */
struct ticks_column {
    uint16_t *low;
    size_t capacity;
    uint32_t count;
    struct sparse high;
};

struct late_row {
    uint64_t call;
    uint64_t start_ticks;
    uint64_t self_ticks;
    uint32_t site;
};

struct chunk {
    uint32_t number;
    uint32_t start_depth; /* number of open calls when it began */
    uint64_t start_ticks; /* of the event before its first */
    uint64_t first_call;  /* that is entered in it, */
    uint64_t first_start; /* and when */
    uint32_t max_depth;
    uint32_t pops_since_entry;
    bool is_changed;           /* since it was last exported */
    struct ticks_column leads; /* one for each call entered */
    uint32_t *sites;
    uint8_t *pops; /* POPS_WIDE: the excess is in wide_pops */
    size_t sites_capacity;
    size_t pops_capacity;
    struct sparse wide_pops;
    struct ticks_column tails; /* one for each call ended */
    struct sparse statuses;    /* by position in tails: those that are not CT_RETURNED */
    struct late_row *late;     /* deepest first */
    size_t late_capacity;
    uint32_t late_count;
    struct values values;
};

enum { POPS_WIDE = 255 };

/* What a batch can add to a chunk at most. */
struct chunk_need {
    uint64_t entries;
    uint64_t ends;
    uint64_t wide_ticks; /* events with 65,536 ticks or more before them */
    uint64_t statuses;
    uint64_t late;
    uint64_t value_bytes; /* as struct values keeps them */
};

void chunk_free(struct chunk *chunk);

/* Empties it, and starts number `number`. */
void chunk_begin(struct chunk *chunk, uint32_t number, uint32_t depth, uint64_t ticks, uint64_t first_call);

/* Makes room; CT_ENOMEM. */
int chunk_reserve(struct chunk *chunk, const struct chunk_need *need);

/* Gives back the memory of an empty chunk. */
void chunk_shrink(struct chunk *chunk);

static inline uint32_t chunk_rows(const struct chunk *chunk)
{
    return chunk->leads.count + chunk->late_count;
}

/* The values captured at the event that the chunk is told of next. */
static inline void chunk_add_values(struct chunk *chunk, const uint8_t *bytes, uint32_t size)
{
    values_add(&chunk->values, chunk->leads.count + chunk->tails.count, bytes, size);
}

static inline void ticks_column_add(struct ticks_column *column, uint64_t ticks)
{
    if (__builtin_expect(ticks >> 16 != 0, 0))
        sparse_add(&column->high, column->count, ticks >> 16);
    column->low[column->count++] = (uint16_t)ticks;
}

/* A call was entered at `depth` (0: outermost), `lead` ticks after the event before, at `ticks`. */
static inline void chunk_enter(struct chunk *chunk, uint32_t depth, uint32_t site, uint64_t lead,
                               uint64_t ticks)
{
    uint32_t row = chunk->leads.count;
    uint32_t pops = chunk->pops_since_entry;
    if (__builtin_expect(pops >= POPS_WIDE, 0)) {
        sparse_add(&chunk->wide_pops, row, pops - POPS_WIDE);
        pops = POPS_WIDE;
    }
    chunk->pops[row] = (uint8_t)pops;
    chunk->pops_since_entry = 0;
    chunk->sites[row] = site;
    if (depth > chunk->max_depth)
        chunk->max_depth = depth;
    if (!row)
        chunk->first_start = ticks;
    ticks_column_add(&chunk->leads, lead);
}

/* The innermost open call ended. When it was entered in an earlier chunk, chunk_add_late comes first. */
static inline void chunk_end(struct chunk *chunk, uint64_t tail, uint8_t status)
{
    if (__builtin_expect(status != CT_RETURNED, 0))
        sparse_add(&chunk->statuses, chunk->tails.count, status);
    ticks_column_add(&chunk->tails, tail);
    chunk->pops_since_entry++;
}

static inline void chunk_add_late(struct chunk *chunk, const struct late_row *row)
{
    uint32_t depth = chunk->start_depth - 1 - chunk->late_count;
    if (depth > chunk->max_depth)
        chunk->max_depth = depth;
    chunk->late[chunk->late_count++] = *row;
}

#endif
