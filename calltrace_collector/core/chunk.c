/* The growing chunk of a thread. */
#include "calltrace_collector/core/chunk.h"

#include <stdlib.h>

static void free_arrays(struct chunk *chunk)
{
    free(chunk->leads.low);
    free(chunk->leads.high.items);
    free(chunk->sites);
    free(chunk->pops);
    free(chunk->wide_pops.items);
    free(chunk->tails.low);
    free(chunk->tails.high.items);
    free(chunk->statuses.items);
    free(chunk->late);
    free(chunk->values.bytes);
}

void chunk_free(struct chunk *chunk)
{
    free_arrays(chunk);
    *chunk = (struct chunk){0};
}

void chunk_begin(struct chunk *chunk, uint32_t number, uint32_t depth, uint64_t ticks, uint64_t first_call)
{
    chunk->number = number;
    chunk->start_depth = depth;
    chunk->start_ticks = ticks;
    chunk->first_call = first_call;
    chunk->max_depth = 0;
    chunk->pops_since_entry = 0;
    chunk->is_changed = false;
    chunk->leads.count = chunk->leads.high.count = 0;
    chunk->tails.count = chunk->tails.high.count = 0;
    chunk->wide_pops.count = chunk->statuses.count = chunk->late_count = 0;
    values_begin(&chunk->values);
}

void chunk_shrink(struct chunk *chunk)
{
    struct chunk empty = {
        .number = chunk->number,
        .start_depth = chunk->start_depth,
        .start_ticks = chunk->start_ticks,
        .first_call = chunk->first_call,
    };
    free_arrays(chunk);
    *chunk = empty;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

static int reserve_ticks(struct ticks_column *column, uint64_t count, uint64_t wide)
{
    int status = array_reserve(&column->low, &column->capacity, count, sizeof(*column->low));
    return status ? status : sparse_reserve(&column->high, at_most(wide, CT_CHUNK_ROWS));
}

int chunk_reserve(struct chunk *chunk, const struct chunk_need *need)
{
    /* A chunk ends when it has CT_CHUNK_ROWS rows, and no call of it ends twice. */
    uint64_t entered = at_most(chunk->leads.count + need->entries, CT_CHUNK_ROWS);
    uint64_t ended = at_most(chunk->tails.count + need->ends, CT_CHUNK_ROWS);
    uint64_t late = at_most(chunk->late_count + need->late, CT_CHUNK_ROWS);
    uint64_t wide_pops = at_most((chunk->pops_since_entry + need->ends) / POPS_WIDE, CT_CHUNK_ROWS);

    int status = reserve_ticks(&chunk->leads, entered, need->wide_ticks);
    if (!status)
        status = reserve_ticks(&chunk->tails, ended, need->wide_ticks);
    if (!status)
        status = array_reserve(&chunk->sites, &chunk->sites_capacity, entered, sizeof(*chunk->sites));
    if (!status)
        status = array_reserve(&chunk->pops, &chunk->pops_capacity, entered, sizeof(*chunk->pops));
    if (!status)
        status = sparse_reserve(&chunk->wide_pops, wide_pops);
    if (!status)
        status = sparse_reserve(&chunk->statuses, at_most(need->statuses, CT_CHUNK_ROWS));
    if (!status)
        status = array_reserve(&chunk->late, &chunk->late_capacity, late, sizeof(*chunk->late));
    if (!status)
        status = values_reserve(&chunk->values, need->value_bytes);
    return status;
}
