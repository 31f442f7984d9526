/*
 * Hooks that capture: arguments at a function's entry, its return value at its exit. hook_stubs.S calls them,
 * with the registers as they were where the program called the hook.
 */
#ifndef CALLTRACE_RECORD_CAPTURE_H
#define CALLTRACE_RECORD_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/record/capture_run.h"

/* Whether hooks are to look for something to capture. Not false until the environment says that they are not.
 */
extern bool capture_is_on __attribute__((visibility("hidden")));

/* Called by a hook at an address of which it is not known what to capture there. Returns when that is settled
 * (capture_table_settle), or else will be asked again at the next call. Defined in life/thread.c. */
void thread_await_plans(uint64_t address);

void capture_enter(const void *function, const void *call_site, const struct capture_registers *registers,
                   uint64_t return_address);
void capture_exit(const void *function, const void *call_site, const struct capture_registers *registers,
                  uint64_t return_address);

#endif
