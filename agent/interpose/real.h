/*
 * Standing in front of a function: the few that libcalltrace.so exports besides the hooks do what they must,
 * and call the function that the program would have called without us.
 */
#ifndef CALLTRACE_INTERPOSE_REAL_H
#define CALLTRACE_INTERPOSE_REAL_H

#include <stddef.h>

#include "agent/record/compiler.h"

/* The function of this name that comes after ours, as dlsym() finds it, or NULL. */
void *real_function(const char *name);

/* The same, remembered in `*place`. */
static inline void *real_once(void **place, const char *name)
{
    void *function = __atomic_load_n(place, __ATOMIC_RELAXED);
    if (function == NULL) {
        function = real_function(name);
        __atomic_store_n(place, function, __ATOMIC_RELAXED);
    }
    return function;
}

#endif
