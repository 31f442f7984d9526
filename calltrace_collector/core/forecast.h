/* What a batch is going to do to its thread: whether it may, and how much room that takes. */
#ifndef CALLTRACE_CORE_FORECAST_H
#define CALLTRACE_CORE_FORECAST_H

#include "calltrace_collector/core/batch.h"
#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/thread.h"

struct forecast {
    uint64_t entries;
    uint64_t ends;       /* of calls */
    uint64_t forced;     /* of those, ended by a mark */
    uint64_t cuts;       /* marks of kind CUT */
    uint64_t wide_ticks; /* events with 65,536 ticks or more before them */
    uint32_t peak;       /* most and least open calls, at the start included */
    uint32_t lowest;
    uint32_t losses;
};

/* Checks all of the batch but its addresses. `site_count` sites are known, those of the batch included.
 * Returns 0, or why it must not be applied. */
int forecast_batch(struct forecast *forecast, const struct batch *batch, const struct thread *thread,
                   uint32_t site_count, uint32_t max_open_calls);

#endif
