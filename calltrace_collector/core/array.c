/* Arrays that grow by doubling. */
#include "calltrace_collector/core/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/core.h"

enum { SMALLEST_CAPACITY = 16 };

int array_grow(void *items, size_t *capacity, size_t count, size_t item_bytes)
{
    size_t larger = *capacity > SIZE_MAX / 2 ? SIZE_MAX : *capacity * 2;
    if (larger < SMALLEST_CAPACITY)
        larger = SMALLEST_CAPACITY;
    if (larger < count)
        larger = count;
    if (larger > SIZE_MAX / item_bytes)
        return CT_ENOMEM;

    void *old, *grown;
    memcpy(&old, items, sizeof(old)); /* `items` points to a pointer of another type */
    grown = realloc(old, larger * item_bytes);
    if (!grown)
        return CT_ENOMEM;
    memcpy(items, &grown, sizeof(grown));
    *capacity = larger;
    return 0;
}
