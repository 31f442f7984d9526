/* captured CALLS [BURSTS]: a loop that calls a function of three integers and a result, once or in bursts. */
#include "burst.h"

static __attribute__((noinline)) long weigh(int first, long second, unsigned third)
{
    __asm__ volatile("" : "+r"(first), "+r"(second), "+r"(third));
    return first + second * third;
}

static volatile long last; /* or the compiler might do without the result */

static QUIET long run_captured(long calls)
{
    for (long i = 0; i < calls; i++)
        last = weigh((int)i, i << 20, 7);
    return last != 0 ? calls : 0;
}

int QUIET main(int argc, char **argv)
{
    return measure(run_captured, argument(argc, argv, 1, 1000000), argument(argc, argv, 2, 0));
}
