/* One traced process: what struct ct_trace holds. */
#ifndef CALLTRACE_CORE_TRACE_H
#define CALLTRACE_CORE_TRACE_H

#include "calltrace_collector/core/batch.h"
#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/exports.h"
#include "calltrace_collector/core/losses.h"
#include "calltrace_collector/core/parts.h"
#include "calltrace_collector/core/sites.h"
#include "calltrace_collector/core/thread.h"

struct ct_trace {
    struct ct_limits limits;
    uint64_t seed;
    struct site_table sites;
    struct thread **threads; /* by number; NULL: not declared */
    size_t thread_capacity;
    uint32_t thread_count;
    struct batch batch; /* the one being applied, */
    struct parts parts; /* taken apart by stacks */
    struct stacks_seen stacks;
    struct exports exports;
    struct losses losses;
    uint8_t *profile; /* the last one encoded */
    size_t profile_capacity;
    bool is_busy; /* fed since the last flush */
};

/* NULL: not declared. */
static inline struct thread *trace_thread(const struct ct_trace *trace, uint32_t number)
{
    return number < trace->thread_count ? trace->threads[number] : NULL;
}

#endif
