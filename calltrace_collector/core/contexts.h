/* The calling-context tree of a thread: one node for each distinct path of functions from the root.
 *
 * Trees are larger than the processor's caches, so what counts is how many cache lines a call waits for. A
 * node is one line and holds three callees: most nodes have no more, and then the step from a caller to its
 * callee reads the caller's node only. The callee's is asked for then (contexts_prefetch) and needed later. A
 * node with more callees is wide: all of them are in a hash table that the wide nodes share, and the node
 * holds the three that were looked for last. */
#ifndef CALLTRACE_CORE_CONTEXTS_H
#define CALLTRACE_CORE_CONTEXTS_H

#include "calltrace_collector/core/core.h"

enum { CONTEXT_CALLEES = 3 };
#define NO_FUNCTION UINT32_MAX

struct context {
    uint64_t completed; /* calls */
    uint64_t total_ticks;
    uint64_t self_ticks;
    uint32_t parent;
    uint32_t function;
    uint32_t callee_function[CONTEXT_CALLEES]; /* NO_FUNCTION: none */
    uint32_t callee[CONTEXT_CALLEES];
    uint32_t callees; /* how many there are */
    uint32_t reserved;
};

struct context_entry {
    uint32_t check;   /* more bits of the hash: entries of others are nearly always passed by unseen */
    uint32_t context; /* 0: free (the root is nobody's callee) */
};

struct contexts {
    struct context *nodes; /* [0] is the root */
    size_t capacity;
    uint32_t count;
    uint32_t hashed;             /* entries in use */
    struct context_entry *table; /* callees of wide nodes, by caller and function; linear probing */
    size_t table_capacity;       /* a power of two, or 0 */
    uint64_t seed;
};

int contexts_init(struct contexts *contexts, uint64_t seed);
void contexts_free(struct contexts *contexts);

/* What contexts_child does when the caller's node does not hold the callee. */
uint32_t contexts_find(struct contexts *contexts, uint32_t parent, uint32_t function);

/* The node of `function` called in context `parent`; 0: there is none. */
static inline uint32_t contexts_child(struct contexts *contexts, uint32_t parent, uint32_t function)
{
    const struct context *caller = &contexts->nodes[parent];
    /* Which of them it is cannot be foretold, so there is no branch for it. */
    unsigned i = (caller->callee_function[1] == function) + 2 * (caller->callee_function[2] == function);
    if (caller->callee_function[i] == function)
        return caller->callee[i];
    return contexts_find(contexts, parent, function);
}

/* A call in this context has begun. */
static inline void contexts_prefetch(const struct contexts *contexts, uint32_t context)
{
    __builtin_prefetch(&contexts->nodes[context], 1);
}

/* Adds a node, which must not be there yet. 0: out of memory, or `limit` nodes are there already. */
uint32_t contexts_add(struct contexts *contexts, uint32_t parent, uint32_t function, uint32_t limit);

#endif
