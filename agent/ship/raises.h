/*
 * Raises: the exceptions that are unwinding a thread's stack, innermost last. An exception unwinds the calls
 * that were open when it was raised; what its destructors call meanwhile returns as ever, and may raise and
 * catch exceptions of its own.
 */
#ifndef CALLTRACE_SHIP_RAISES_H
#define CALLTRACE_SHIP_RAISES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAISES_REMEMBERED 16u

struct raises {
    uint32_t count;
    uint32_t unwinds[RAISES_REMEMBERED]; /* this many of the outermost open calls may still be unwound */
};

static inline uint32_t *raises_top(struct raises *raises)
{
    uint32_t top = raises->count < RAISES_REMEMBERED ? raises->count : RAISES_REMEMBERED;
    return &raises->unwinds[top - 1];
}

/* An exception is raised beneath `depth` open calls. */
static inline void raises_push(struct raises *raises, size_t depth)
{
    raises->count++;
    *raises_top(raises) = (uint32_t)depth;
}

/* The innermost exception is caught. */
static inline void raises_pop(struct raises *raises)
{
    if (raises->count != 0)
        raises->count--;
}

/* Whether the end of the call at `depth` (1: outermost) is by an exception. */
static inline bool raises_unwind(struct raises *raises, size_t depth)
{
    return raises->count != 0 && depth <= *raises_top(raises);
}

/* `depth` calls are left: those made from now on were not open when the exception was raised. */
static inline void raises_left(struct raises *raises, size_t depth)
{
    if (raises->count != 0 && *raises_top(raises) > depth)
        *raises_top(raises) = (uint32_t)depth;
}

/* The call at `depth` goes on after a jump: what was raised inside of it is forgotten. */
static inline void raises_jumped(struct raises *raises, size_t depth)
{
    while (raises->count != 0 && *raises_top(raises) >= depth)
        raises->count--;
}

#endif
