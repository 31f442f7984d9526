/* What a batch is going to do to its thread, or to one of the stacks that the thread switches between:
 * whether it may, and how much room that takes. */
#ifndef CALLTRACE_CORE_FORECAST_H
#define CALLTRACE_CORE_FORECAST_H

#include "calltrace_collector/core/batch.h"
#include "calltrace_collector/core/core.h"

/* The number of open calls, as the events go by. */
struct level {
    int64_t now;
    int64_t lowest;
    int64_t peak;
};

struct forecast {
    uint64_t entries;
    uint64_t ends;        /* of calls */
    uint64_t forced;      /* of those, ended by a mark */
    uint64_t cuts;        /* marks of kind CUT */
    uint64_t wide_ticks;  /* events that may have 65,536 ticks or more before them */
    uint64_t value_bytes; /* as struct values keeps them */
    uint32_t losses;
};

struct thread;
struct ct_trace;

/* Checks all of the batch but its addresses, having taken it apart (parts_split). `site_count` sites are
 * known, those of the batch included. Returns 0, or why it must not be applied. */
int forecast_batch(struct ct_trace *trace, const struct thread *owner, uint32_t site_count);

#endif
