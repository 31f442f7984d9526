/*
 * The hooks without captured values.
 */
#ifndef CALLTRACE_RECORD_HOOKS_H
#define CALLTRACE_RECORD_HOOKS_H

#include <stdint.h>

/* Where the program's calls of the hooks go on while nothing is captured: as if they had called these. */
void hooks_enter(const void *function, const void *call_site);
void hooks_exit(const void *function, const void *call_site);

/* The same for a hook with that canonical frame address. */
void hooks_record_entry(const void *function, const void *call_site, uint64_t stack_pointer);
void hooks_record_exit(const void *function, uint64_t stack_pointer);

#endif
