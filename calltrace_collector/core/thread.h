/* A thread of a traced process: its open calls, its growing chunk, its profile. */
#ifndef CALLTRACE_CORE_THREAD_H
#define CALLTRACE_CORE_THREAD_H

#include "calltrace_collector/core/chunk.h"
#include "calltrace_collector/core/contexts.h"
#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/functions.h"

enum { FRAME_CUT = 1, FRAME_FOLDED = 2 }; /* FRAME_FOLDED is ours; struct ct_frame does not show it */

struct open_call {
    uint64_t call;
    uint64_t start_ticks;
    uint64_t child_ticks;
    uint64_t stack_pointer;
    uint32_t site;
    uint32_t flags;
    uint32_t context; /* with FRAME_FOLDED, the caller's */
    uint32_t slot;    /* of its function */
};

/* A thread, or one of the stacks that it switches between besides its own: each has calls of its own, and an
 * `owner`, the thread whose events it shares. */
struct thread {
    uint32_t number;
    uint32_t owner; /* its own number, if it is a thread */
    uint32_t part;  /* of the batch that is being applied, plus 1; 0: none */
    uint32_t depth; /* number of open calls */
    /* [0] stands for the thread, as caller of the outermost call; the open calls are [1] ... [depth]. */
    struct open_call *stack;
    size_t stack_capacity;
    uint64_t calls;
    uint64_t last_ticks;   /* of its last event */
    uint64_t stream_ticks; /* of the last event on any of its stacks */
    uint64_t ring_end;
    uint64_t dropped;
    uint64_t orphan_exits;
    uint64_t cut;
    uint64_t folded;
    uint32_t cut_frames; /* open calls with FRAME_CUT */
    uint32_t changed_from;
    bool is_dirty;
    struct contexts contexts;
    struct functions functions;
    struct chunk chunk;
};

/* NULL: out of memory. */
struct thread *thread_new(uint32_t number, uint64_t started_ticks, uint64_t stack_base, uint64_t seed);
void thread_free(struct thread *thread);

/* Makes room for `depth` open calls. */
int thread_reserve_stack(struct thread *thread, uint32_t depth);

#endif
