/* Applies the events and marks of a batch to its thread's stack of open calls. */
#ifndef CALLTRACE_CORE_TREE_H
#define CALLTRACE_CORE_TREE_H

#include "calltrace_collector/core/trace.h"

/* Applies a batch that has been checked (forecast.h) and for which everything has room. */
void tree_apply(struct ct_trace *trace, struct thread *thread, const struct batch *batch);

#endif
