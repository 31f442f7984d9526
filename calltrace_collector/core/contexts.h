/* The calling-context tree of a thread: one node for each distinct path of functions from the root.
 *
 * A node's callees are a list with the latest used in front: a real call path has few, and mostly the same
 * again. A node with more than CONTEXT_LIST_MAX callees is wide: its callees are found by a hash table that
 * all wide nodes share. */
#ifndef CALLTRACE_CORE_CONTEXTS_H
#define CALLTRACE_CORE_CONTEXTS_H

#include "calltrace_collector/core/core.h"

enum { CONTEXT_LIST_MAX = 64 };

struct context {
    uint64_t calls; /* entered */
    uint64_t total_ticks;
    uint64_t self_ticks;
    uint32_t parent;
    uint32_t function;
    uint32_t slot;     /* of the function in the thread's function sums */
    uint32_t child;    /* the latest used; 0: none (the root is nobody's child) */
    uint32_t sibling;  /* next in the parent's list */
    uint32_t children; /* how many */
};

struct contexts {
    struct context *nodes; /* [0] is the root */
    size_t capacity;
    uint32_t count;
    uint32_t hashed;       /* entries in the table */
    uint32_t *table;       /* callees of wide nodes; 0: free. Linear probing. */
    size_t table_capacity; /* a power of two, or 0 */
    uint64_t seed;
};

int contexts_init(struct contexts *contexts, uint64_t seed);
void contexts_free(struct contexts *contexts);

/* What contexts_child does when the callee is not in front. */
uint32_t contexts_find(struct contexts *contexts, uint32_t parent, uint32_t function);

/* The node of `function` called in context `parent`; 0: there is none. */
static inline uint32_t contexts_child(struct contexts *contexts, uint32_t parent, uint32_t function)
{
    uint32_t child = contexts->nodes[parent].child;
    if (child && contexts->nodes[child].function == function)
        return child;
    return contexts_find(contexts, parent, function);
}

/* Adds a node, which must not be there yet. 0: out of memory, or `limit` nodes are there already. */
uint32_t contexts_add(struct contexts *contexts, uint32_t parent, uint32_t function, uint32_t slot,
                      uint32_t limit);

#endif
