/* Arrays that grow by doubling. */
#ifndef CALLTRACE_CORE_ARRAY_H
#define CALLTRACE_CORE_ARRAY_H

#include <stddef.h>

/* Makes room for `count` items of `item_bytes` each: *items and *capacity change, what is in them does not.
 * Returns 0, or CT_ENOMEM with nothing changed. */
int array_grow(void *items, size_t *capacity, size_t count, size_t item_bytes);

static inline int array_reserve(void *items, size_t *capacity, size_t count, size_t item_bytes)
{
    return count <= *capacity ? 0 : array_grow(items, capacity, count, item_bytes);
}

#endif
