/*
 * The table of hooks that capture: what to run where a hook returns to an address.
 *
 * Threads look things up without a lock, wherever they are interrupted; only the flusher changes it. What a
 * thread may have found stays where it is for ever.
 */
#ifndef CALLTRACE_RECORD_CAPTURE_TABLE_H
#define CALLTRACE_RECORD_CAPTURE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/record/capture_run.h"

/* ---- for threads ---- */

/* NULL: nothing is captured there. */
const struct capture_hook *capture_table_find(uint64_t return_address);

/* Whether all that is to be captured at an address is known: what is not found after that never will be. */
bool capture_table_is_settled(uint64_t address);

/* ---- for the flusher ---- */

/* Adds a hook, whose `items` and `room` need not be set; the program is copied. -EINVAL: it is no program.
 * -ENOMEM: there is no memory, or CAPTURE_TABLE_BYTES are used. */
int capture_table_add(const struct capture_hook *hook, uint32_t text_limit);

/* All of a module that is mapped at [begin, end) is known. -ENOMEM as above. */
int capture_table_settle(uint64_t begin, uint64_t end);

/* A module is gone. */
void capture_table_remove(uint64_t begin, uint64_t end);

/* Forgets everything, in a forked child before it has threads: what it was belongs to the parent. */
void capture_table_forget(void);

#endif
