/*
 * An exception that nobody catches: its type and what it says, for the crash that it leads to.
 */
#ifndef CALLTRACE_INTERPOSE_UNCAUGHT_H
#define CALLTRACE_INTERPOSE_UNCAUGHT_H

#include <stdint.h>
#include <unwind.h>

#include "agent/record/layout.h"

/* Remembers it: the unwinder has found no handler, so std::terminate() follows. */
void uncaught_remember(struct _Unwind_Exception *exception, uint64_t stack_pointer);

/* In a signal handler: copies what this thread remembers, if that is why the code with this stack pointer
 * runs. Returns the enum crash_flags that say what was copied. */
uint32_t uncaught_copy(struct crash_slot *slot, uint64_t stack_pointer);

#endif
