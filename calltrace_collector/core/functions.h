/* Sums over the calls of each function of a thread that have ended, and a histogram of their durations. */
#ifndef CALLTRACE_CORE_FUNCTIONS_H
#define CALLTRACE_CORE_FUNCTIONS_H

#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/histogram.h"

/* A cache line. */
struct function_sums {
    uint64_t ended;       /* calls, the lost ones included */
    uint64_t total_ticks; /* of outermost activations */
    uint64_t self_ticks;
    uint64_t min_ticks; /* UINT64_MAX: none ended */
    uint64_t max_ticks;
    uint64_t chunk_max_ticks; /* longest duration since the growing chunk began */
    uint32_t chunk_start;     /* `ended` when it began, modulo 2^32 */
    uint32_t lost;            /* of those ended, how many have no duration */
    uint32_t active;          /* open calls */
    uint32_t function;
};

struct functions {
    struct function_sums *slots;
    struct histogram *histograms; /* by slot */
    size_t capacity;
    size_t histogram_capacity;
    uint32_t count;
    uint32_t *slot_plus_1; /* by function number; 0: the function has none */
    size_t map_capacity;
    struct octave_pool octaves;
};

void functions_free(struct functions *functions);

/* Gives a function a slot, if it has none; `function_count` functions are known. CT_ENOMEM. */
int functions_open(struct functions *functions, uint32_t function, uint32_t function_count);

/* Makes room for what `ends` ends of calls can need. CT_ENOMEM. */
int functions_reserve(struct functions *functions, uint64_t ends);

/* Gives back the room that is not used. */
void functions_trim(struct functions *functions);

/* A chunk begins. */
void functions_begin_chunk(struct functions *functions);

/* The slot of a function that has been given one. */
static inline uint32_t functions_slot(const struct functions *functions, uint32_t function)
{
    return functions->slot_plus_1[function] - 1;
}

static inline void functions_enter(struct functions *functions, uint32_t slot)
{
    functions->slots[slot].active++;
}

/* An end of which it is known only that it was no earlier than after `at_least` ticks: enough to find the
 * call's chunk by. */
static inline void functions_end_lost(struct functions *functions, uint32_t number, uint64_t at_least)
{
    struct function_sums *slot = &functions->slots[number];
    slot->ended++;
    slot->lost++;
    slot->active--;
    if (at_least > slot->chunk_max_ticks)
        slot->chunk_max_ticks = at_least;
}

/* A restored slot counts its open calls as lost ones: here is one of them. */
static inline void functions_restore_open(struct functions *functions, uint32_t slot)
{
    if (functions->slots[slot].lost) {
        functions->slots[slot].ended--;
        functions->slots[slot].lost--;
    }
    functions->slots[slot].active++;
}

/* How many calls have ended since the growing chunk began. */
static inline uint32_t functions_chunk_calls(const struct function_sums *slot)
{
    return (uint32_t)slot->ended - slot->chunk_start;
}

static inline void functions_end(struct functions *functions, uint32_t number, uint64_t duration,
                                 uint64_t self)
{
    struct function_sums *slot = &functions->slots[number];
    slot->ended++;
    slot->self_ticks += self;
    if (--slot->active == 0)
        slot->total_ticks += duration;
    if (duration < slot->min_ticks)
        slot->min_ticks = duration;
    if (duration > slot->chunk_max_ticks)
        slot->chunk_max_ticks = duration;
    if (duration > slot->max_ticks)
        slot->max_ticks = duration;
    histogram_add(&functions->histograms[number], &functions->octaves, duration, 1);
}

#endif
