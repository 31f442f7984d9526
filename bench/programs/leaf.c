/* leaf CALLS [BURSTS]: a loop that calls a function that does nothing, once or in bursts. */
#include "burst.h"

static __attribute__((noinline)) long leaf(long x)
{
    __asm__ volatile("" : "+r"(x));
    return x;
}

static QUIET long run_leaf(long calls)
{
    for (long i = 0; i < calls; i++)
        leaf(i);
    return calls;
}

int QUIET main(int argc, char **argv)
{
    return measure(run_leaf, argument(argc, argv, 1, 1000000), argument(argc, argv, 2, 0));
}
