/* threads N BURSTS [THREADS]: the Fibonacci number N in each of several threads, in bursts, on one processor.
 */
#include <pthread.h>

#include "fib.h"

#define MOST_THREADS 64

static QUIET void *run(void *bursts)
{
    run_bursts(bursts);
    return NULL;
}

int QUIET main(int argc, char **argv)
{
    static struct bursts bursts[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    long size = argument(argc, argv, 1, 19);
    long count = argument(argc, argv, 2, 10);
    long number = argument(argc, argv, 3, 4);
    if (number < 1 || number > MOST_THREADS || count < 1 || count > MOST_BURSTS)
        return 2;
    pin();
    for (long i = 0; i < number; i++) {
        bursts[i] = (struct bursts){.work = run_fib, .size = size, .count = (int)count};
        if (pthread_create(&threads[i], NULL, run, &bursts[i]) != 0)
            return 1;
    }
    long calls = 0;
    for (long i = 0; i < number; i++) {
        pthread_join(threads[i], NULL);
        print_bursts(&bursts[i]);
        calls += bursts[i].calls;
    }
    printf("calls %ld\n", calls);
    return 0;
}
