/* The calling-context tree of a thread. */
#include "calltrace_collector/core/contexts.h"

#include <stdlib.h>

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/hash.h"

enum { SMALLEST_TABLE = 256 };

int contexts_init(struct contexts *contexts, uint64_t seed)
{
    *contexts = (struct contexts){.seed = seed};
    int status = array_reserve(&contexts->nodes, &contexts->capacity, 1, sizeof(*contexts->nodes));
    if (status)
        return status;
    contexts->nodes[0] = (struct context){0};
    contexts->count = 1;
    return 0;
}

void contexts_free(struct contexts *contexts)
{
    free(contexts->nodes);
    free(contexts->table);
}

/* The place in the table of the callee, or the free one where it belongs. The table is never full. */
static uint32_t *place(const struct contexts *contexts, uint32_t parent, uint32_t function)
{
    size_t mask = contexts->table_capacity - 1;
    size_t at = hash_mix((uint64_t)parent << 32 | function, contexts->seed) & mask;
    for (;; at = (at + 1) & mask) {
        const struct context *node = &contexts->nodes[contexts->table[at]];
        if (!contexts->table[at] || (node->parent == parent && node->function == function))
            return &contexts->table[at];
    }
}

/* Makes the table large enough for `more` entries, at most half full. */
static int reserve_table(struct contexts *contexts, uint32_t more)
{
    size_t needed = ((size_t)contexts->hashed + more) * 2;
    if (needed <= contexts->table_capacity)
        return 0;
    struct contexts larger = *contexts;
    if (!larger.table_capacity)
        larger.table_capacity = SMALLEST_TABLE;
    while (larger.table_capacity < needed)
        larger.table_capacity *= 2;
    larger.table = calloc(larger.table_capacity, sizeof(*larger.table));
    if (!larger.table)
        return CT_ENOMEM;
    for (size_t i = 0; i < contexts->table_capacity; i++) {
        const struct context *node = &contexts->nodes[contexts->table[i]];
        if (contexts->table[i])
            *place(&larger, node->parent, node->function) = contexts->table[i];
    }
    free(contexts->table);
    *contexts = larger;
    return 0;
}

uint32_t contexts_find(struct contexts *contexts, uint32_t parent, uint32_t function)
{
    struct context *nodes = contexts->nodes;
    if (nodes[parent].children > CONTEXT_LIST_MAX) {
        uint32_t child = *place(contexts, parent, function);
        if (child)
            nodes[parent].child = child;
        return child;
    }
    uint32_t *link = &nodes[parent].child;
    for (uint32_t child = *link; child; link = &nodes[child].sibling, child = *link) {
        if (nodes[child].function != function)
            continue;
        *link = nodes[child].sibling;
        nodes[child].sibling = nodes[parent].child;
        nodes[parent].child = child;
        return child;
    }
    return 0;
}

/* Enters the callees of a node whose list is full into the table; from then on the list is not used. */
static void widen(struct contexts *contexts, uint32_t parent)
{
    for (uint32_t child = contexts->nodes[parent].child; child; child = contexts->nodes[child].sibling) {
        *place(contexts, parent, contexts->nodes[child].function) = child;
        contexts->hashed++;
    }
}

uint32_t contexts_add(struct contexts *contexts, uint32_t parent, uint32_t function, uint32_t slot,
                      uint32_t limit)
{
    if (contexts->count >= limit)
        return 0;
    if (array_reserve(&contexts->nodes, &contexts->capacity, (size_t)contexts->count + 1,
                      sizeof(*contexts->nodes)))
        return 0;
    uint32_t children = contexts->nodes[parent].children;
    if (children >= CONTEXT_LIST_MAX && reserve_table(contexts, CONTEXT_LIST_MAX + 1))
        return 0;
    if (children == CONTEXT_LIST_MAX)
        widen(contexts, parent);

    uint32_t child = contexts->count++;
    struct context *node = &contexts->nodes[child];
    *node = (struct context){.parent = parent, .function = function, .slot = slot};
    if (children >= CONTEXT_LIST_MAX) {
        *place(contexts, parent, function) = child;
        contexts->hashed++;
    } else {
        node->sibling = contexts->nodes[parent].child;
    }
    contexts->nodes[parent].child = child;
    contexts->nodes[parent].children++;
    return child;
}
