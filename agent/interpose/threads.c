/*
 * pthread_create(): the new thread learns which thread created it, before it runs the program's function.
 *
 * Nothing else changes for it: what the function returns or throws, and how the thread is cancelled, passes
 * through begin(), which has nothing to clean up.
 */
#include <pthread.h>

#include "agent/interpose/real.h"
#include "agent/life/agent.h"
#include "agent/life/memory.h"
#include "agent/life/sys.h"
#include "agent/life/thread.h"

typedef void *routine_type(void *);
typedef int create_type(pthread_t *, const pthread_attr_t *, routine_type *, void *);

/* From the creator to the new thread. Not from malloc(), which may be the program's own, and traced. */
struct start {
    routine_type *routine;
    void *argument;
    uint32_t creator_tid;
};

static void *begin(void *memory)
{
    struct start start = *(struct start *)memory;
    memory_put(memory, sizeof start);
    thread_creator_tid = start.creator_tid;
    return start.routine(start.argument);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, routine_type *routine,
                          void *argument)
{
    static void *place;
    create_type *create = (create_type *)(uintptr_t)real_once(&place, "pthread_create");
    struct start *start = NULL;
    if (__atomic_load_n(&agent.state, __ATOMIC_ACQUIRE) != AGENT_OFF)
        start = memory_get(sizeof *start);
    if (start == NULL)
        return create(thread, attributes, routine, argument);
    *start = (struct start){routine, argument, (uint32_t)sys_call3(SYS_gettid, 0, 0, 0)};
    int status = create(thread, attributes, begin, start);
    if (status != 0)
        memory_put(start, sizeof *start);
    return status;
}
