/* Sums over the calls of each function of a thread that have ended, and a histogram of their durations. */
#include "calltrace_collector/core/functions.h"

#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/array.h"

void functions_free(struct functions *functions)
{
    free(functions->slots);
    free(functions->histograms);
    free(functions->slot_plus_1);
    free(functions->octaves.octaves);
}

int functions_open(struct functions *functions, uint32_t function, uint32_t function_count)
{
    size_t old = functions->map_capacity;
    int status =
        array_reserve(&functions->slot_plus_1, &functions->map_capacity, function_count, sizeof(uint32_t));
    if (status)
        return status;
    if (functions->map_capacity > old)
        memset(functions->slot_plus_1 + old, 0, (functions->map_capacity - old) * sizeof(uint32_t));
    if (functions->slot_plus_1[function])
        return 0;
    status = array_reserve(&functions->slots, &functions->capacity, (size_t)functions->count + 1,
                           sizeof(*functions->slots));
    if (!status)
        status = array_reserve(&functions->histograms, &functions->histogram_capacity,
                               (size_t)functions->count + 1, sizeof(*functions->histograms));
    if (status)
        return status;
    functions->histograms[functions->count] = (struct histogram){{0}};
    functions->slots[functions->count] =
        (struct function_sums){.function = function, .min_ticks = UINT64_MAX};
    functions->slot_plus_1[function] = ++functions->count;
    return 0;
}

int functions_reserve(struct functions *functions, uint64_t ends)
{
    struct octave_pool *pool = &functions->octaves;
    uint64_t unused = (uint64_t)functions->count * HISTOGRAM_OCTAVES - pool->count;
    uint64_t needed = pool->count + (ends < unused ? ends : unused);
    if (needed <= pool->capacity)
        return 0;
    /* Most of it is never used, so it should not even be copied: that would make it resident. */
    size_t capacity = needed > pool->capacity * 2 ? needed : pool->capacity * 2;
    struct octave *octaves = malloc(capacity * sizeof(*octaves));
    if (!octaves)
        return CT_ENOMEM;
    if (pool->count)
        memcpy(octaves, pool->octaves, pool->count * sizeof(*octaves));
    free(pool->octaves);
    pool->octaves = octaves;
    pool->capacity = capacity;
    return 0;
}

void functions_trim(struct functions *functions)
{
    struct octave_pool *pool = &functions->octaves;
    if (pool->capacity == pool->count || !pool->count)
        return;
    struct octave *octaves = realloc(pool->octaves, pool->count * sizeof(*octaves));
    if (!octaves)
        return;
    pool->octaves = octaves;
    pool->capacity = pool->count;
}

void functions_begin_chunk(struct functions *functions)
{
    for (uint32_t i = 0; i < functions->count; i++) {
        functions->slots[i].chunk_start = (uint32_t)functions->slots[i].ended;
        functions->slots[i].chunk_max_ticks = 0;
    }
}

void histogram_open_octave(struct histogram *histogram, struct octave_pool *pool, unsigned octave)
{
    pool->octaves[pool->count] = (struct octave){{0}};
    histogram->octave_plus_1[octave] = ++pool->count;
}
