/* The recursion that fib and threads measure: two calls a call, one caller, next to no work. */
#ifndef BENCH_PROGRAMS_FIB_H
#define BENCH_PROGRAMS_FIB_H

#include "burst.h"

static __attribute__((noinline)) long fib(long n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static QUIET long run_fib(long n)
{
    long calls = 1;
    long calls_before = 1;
    for (long i = 2; i <= n; i++) {
        long next = calls + calls_before + 1;
        calls_before = calls;
        calls = next;
    }
    volatile long result = fib(n);
    (void)result;
    return calls;
}

#endif
