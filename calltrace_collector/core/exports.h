/* Chunks on their way out: encoded, waiting to be stored. */
#ifndef CALLTRACE_CORE_EXPORTS_H
#define CALLTRACE_CORE_EXPORTS_H

#include "calltrace_collector/core/columns.h"
#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/thread.h"

/* Followed in memory by the longest durations, functions and calls of `info`, then its columns, then its
 * values. */
struct exported {
    struct exported *next;
    struct ct_chunk info;
};

struct exports {
    struct exported *first;
    struct exported *last;
    uint64_t bytes;
    /* Room for any chunk, allocated ahead, so that events can be applied without failing. */
    struct exported *spare;
    uint32_t spare_count;
    uint32_t spare_functions; /* how many functions each has room for, */
    uint64_t spare_values;    /* and bytes of values, */
    uint32_t chunk_rows;      /* and rows */
    uint64_t seed;
    struct edge_finder finder;
};

void exports_free(struct exports *exports);

/* Makes room for `chunks` chunks of a thread with `functions` functions, each with `values` bytes of values.
 */
int exports_reserve(struct exports *exports, uint64_t chunks, uint32_t functions, uint64_t values);

/* Gives back the room that was not needed, but for `keep` chunks. */
void exports_release(struct exports *exports, uint32_t keep);

/* Encodes the thread's growing chunk, which is not empty; there is room. A final one is begun anew. */
void exports_add(struct exports *exports, struct thread *thread, bool is_final);

#endif
