/* fib N [BURSTS]: the Fibonacci number N, recursively, once or in bursts. */
#include "fib.h"

int QUIET main(int argc, char **argv)
{
    return measure(run_fib, argument(argc, argv, 1, 32), argument(argc, argv, 2, 0));
}
