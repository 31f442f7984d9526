/* A thread's profile as bytes. */
#ifndef CALLTRACE_CORE_PROFILE_H
#define CALLTRACE_CORE_PROFILE_H

#include "calltrace_collector/core/trace.h"

/* Gives a new thread the contexts and function sums of an encoded profile, which is not trusted. On an error
 * the thread can only be freed. `function_count` functions are known. */
int profile_restore(struct thread *thread, const uint8_t *bytes, size_t size, uint32_t function_count);

#endif
