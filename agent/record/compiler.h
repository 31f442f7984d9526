/*
 * What the agent tells the compiler, and asks it.
 */
#ifndef CALLTRACE_RECORD_COMPILER_H
#define CALLTRACE_RECORD_COMPILER_H

#include <stdint.h>

#define COLD __attribute__((noinline, cold))
#define EXPORT __attribute__((visibility("default")))
#define FORCE_INLINE inline __attribute__((always_inline))
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* The stack pointer of the caller, where it called the function that this stands in. */
#define STACK_POINTER() ((uint64_t)(uintptr_t)__builtin_dwarf_cfa())

#endif
