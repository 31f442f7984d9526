/* The few values of a column that its fixed width cannot hold: pairs of position and value, ascending. */
#ifndef CALLTRACE_CORE_SPARSE_H
#define CALLTRACE_CORE_SPARSE_H

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/core.h"

struct sparse_item {
    uint64_t value;
    uint32_t position;
};

struct sparse {
    struct sparse_item *items;
    size_t capacity;
    uint32_t count;
};

static inline int sparse_reserve(struct sparse *sparse, uint64_t more)
{
    return array_reserve(&sparse->items, &sparse->capacity, sparse->count + more, sizeof(*sparse->items));
}

/* Room has been reserved. */
static inline void sparse_add(struct sparse *sparse, uint32_t position, uint64_t value)
{
    sparse->items[sparse->count++] = (struct sparse_item){value, position};
}

#endif
