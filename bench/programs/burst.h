/*
 * What the measured programs share: pinning, bursts of calls and their times.
 *
 * A burst is a number of calls small enough to fit into the agent's ring whatever happens meanwhile, followed
 * by a pause in which whoever reads the ring catches up. Its time is that of the calling thread on the
 * processor, so what else the machine does is left out as far as it can be.
 *
 * Nothing in here is instrumented.
 */
#ifndef BENCH_PROGRAMS_BURST_H
#define BENCH_PROGRAMS_BURST_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define QUIET __attribute__((no_instrument_function))
#define BURST_PAUSE_NS 8000000
#define MOST_BURSTS 4096

struct bursts {
    long (*work)(long size); /* returns how many instrumented calls it made */
    long size;               /* for work */
    int count;
    long calls;
    uint64_t ns[MOST_BURSTS];
};

static inline QUIET uint64_t thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline QUIET long argument(int argc, char **argv, int index, long otherwise)
{
    return argc > index ? atol(argv[index]) : otherwise;
}

/* Onto the last processor this process may use. In main, for then the agent has seen that it may use all. */
static inline QUIET void pin(void)
{
    cpu_set_t allowed;
    cpu_set_t last;
    CPU_ZERO(&last);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (int i = CPU_SETSIZE - 1; i >= 0; i--) {
        if (!CPU_ISSET(i, &allowed))
            continue;
        CPU_SET(i, &last);
        sched_setaffinity(0, sizeof last, &last);
        return;
    }
}

static inline QUIET void run_bursts(struct bursts *b)
{
    const struct timespec pause = {.tv_nsec = BURST_PAUSE_NS};
    for (int i = 0; i < b->count; i++) {
        uint64_t begin = thread_ns();
        b->calls += b->work(b->size);
        b->ns[i] = thread_ns() - begin;
        nanosleep(&pause, NULL);
    }
}

static inline QUIET void print_bursts(const struct bursts *b)
{
    for (int i = 0; i < b->count; i++)
        printf("burst %ld %llu\n", b->calls / b->count, (unsigned long long)b->ns[i]);
}

/* Either one go, or pinned and in bursts; says how many calls there were. */
static inline QUIET int measure(long (*work)(long), long size, long count)
{
    static struct bursts b;
    if (count < 0 || count > MOST_BURSTS)
        return 2;
    b = (struct bursts){.work = work, .size = size, .count = (int)count};
    if (count == 0) {
        b.calls = work(size);
    } else {
        pin();
        run_bursts(&b);
        print_bursts(&b);
    }
    printf("calls %ld\n", b.calls);
    return 0;
}

#endif
