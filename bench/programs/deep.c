/* deep DEPTH TIMES: recursion that deep, that many times, in a thread with stack enough. */
#include <pthread.h>

#include "burst.h"

#define STACK_BYTES_PER_CALL 128ul
#define SPARE_STACK_BYTES (1ul << 20)

struct descent {
    long depth;
    long times;
};

static __attribute__((noinline)) long descend(long levels)
{
    long below = levels > 1 ? descend(levels - 1) : 0;
    __asm__ volatile("" : "+r"(below)); /* no tail call */
    return below + 1;
}

static QUIET void *run(void *argument)
{
    const struct descent *d = argument;
    for (long i = 0; i < d->times; i++)
        descend(d->depth);
    return NULL;
}

int QUIET main(int argc, char **argv)
{
    struct descent d = {argument(argc, argv, 1, 100000), argument(argc, argv, 2, 10)};
    pthread_attr_t large;
    pthread_t thread;
    if (d.depth < 1 || pthread_attr_init(&large) != 0 ||
        pthread_attr_setstacksize(&large, (size_t)d.depth * STACK_BYTES_PER_CALL + SPARE_STACK_BYTES) != 0 ||
        pthread_create(&thread, &large, run, &d) != 0)
        return 1;
    pthread_join(thread, NULL);
    printf("calls %ld\n", d.depth * d.times);
    return 0;
}
