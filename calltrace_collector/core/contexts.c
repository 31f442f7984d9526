/* The calling-context tree of a thread. */
#include "calltrace_collector/core/contexts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/hash.h"

enum { CACHE_LINE = 64, SMALLEST_CAPACITY = 16, SMALLEST_TABLE = 256 };

_Static_assert(sizeof(struct context) == CACHE_LINE, "a node is a cache line");

static int reserve_nodes(struct contexts *contexts, size_t count)
{
    if (count <= contexts->capacity)
        return 0;
    size_t capacity = contexts->capacity ? contexts->capacity * 2 : SMALLEST_CAPACITY;
    struct context *nodes = aligned_alloc(CACHE_LINE, capacity * sizeof(*nodes));
    if (!nodes)
        return CT_ENOMEM;
    if (contexts->count)
        memcpy(nodes, contexts->nodes, contexts->count * sizeof(*nodes));
    free(contexts->nodes);
    contexts->nodes = nodes;
    contexts->capacity = capacity;
    return 0;
}

static uint32_t append(struct contexts *contexts, uint32_t parent, uint32_t function)
{
    struct context *node = &contexts->nodes[contexts->count];
    *node = (struct context){.parent = parent, .function = function};
    for (unsigned i = 0; i < CONTEXT_CALLEES; i++)
        node->callee_function[i] = NO_FUNCTION;
    return contexts->count++;
}

int contexts_init(struct contexts *contexts, uint64_t seed)
{
    *contexts = (struct contexts){.seed = seed};
    int status = reserve_nodes(contexts, 1);
    if (!status)
        append(contexts, 0, 0);
    return status;
}

void contexts_free(struct contexts *contexts)
{
    free(contexts->nodes);
    free(contexts->table);
}

static uint64_t hash(const struct contexts *contexts, uint32_t parent, uint32_t function)
{
    return hash_mix((uint64_t)parent << 32 | function, contexts->seed);
}

/* The entry of the callee, or the free one where it belongs. The table is never full. */
static struct context_entry *find_entry(const struct contexts *contexts, uint32_t parent, uint32_t function)
{
    uint64_t hashed = hash(contexts, parent, function);
    size_t mask = contexts->table_capacity - 1, at = hashed & mask;
    for (;; at = (at + 1) & mask) {
        struct context_entry *entry = &contexts->table[at];
        if (!entry->context)
            return entry;
        const struct context *node = &contexts->nodes[entry->context];
        if (entry->check == hashed >> 32 && node->parent == parent && node->function == function)
            return entry;
    }
}

static void add_entry(struct contexts *contexts, uint32_t context)
{
    const struct context *node = &contexts->nodes[context];
    *find_entry(contexts, node->parent, node->function) =
        (struct context_entry){(uint32_t)(hash(contexts, node->parent, node->function) >> 32), context};
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
    for (size_t i = 0; i < contexts->table_capacity; i++)
        if (contexts->table[i].context)
            add_entry(&larger, contexts->table[i].context);
    free(contexts->table);
    *contexts = larger;
    return 0;
}

/* Puts a callee among those that its caller's node holds; the one put there first leaves. */
static void hold(struct context *caller, uint32_t function, uint32_t callee)
{
    for (unsigned i = CONTEXT_CALLEES - 1; i > 0; i--) {
        caller->callee_function[i] = caller->callee_function[i - 1];
        caller->callee[i] = caller->callee[i - 1];
    }
    caller->callee_function[0] = function;
    caller->callee[0] = callee;
}

uint32_t contexts_find(struct contexts *contexts, uint32_t parent, uint32_t function)
{
    struct context *caller = &contexts->nodes[parent];
    if (caller->callees <= CONTEXT_CALLEES)
        return 0;
    uint32_t context = find_entry(contexts, parent, function)->context;
    if (context)
        hold(caller, function, context);
    return context;
}

uint32_t contexts_add(struct contexts *contexts, uint32_t parent, uint32_t function, uint32_t limit)
{
    if (contexts->count >= limit || reserve_nodes(contexts, (size_t)contexts->count + 1))
        return 0;
    struct context *caller = &contexts->nodes[parent];
    bool is_wide = caller->callees >= CONTEXT_CALLEES;
    if (is_wide && reserve_table(contexts, CONTEXT_CALLEES + 1))
        return 0;

    uint32_t context = append(contexts, parent, function);
    if (caller->callees == CONTEXT_CALLEES) {
        for (unsigned i = 0; i < CONTEXT_CALLEES; i++)
            add_entry(contexts, caller->callee[i]);
        contexts->hashed += CONTEXT_CALLEES;
    }
    if (is_wide) {
        add_entry(contexts, context);
        contexts->hashed++;
    }
    caller->callees++;
    hold(caller, function, context);
    return context;
}
