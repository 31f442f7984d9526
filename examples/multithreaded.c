/*
 * Three workers count primes, each in a range of its own: nested calls, recursion and threads to look at.
 *
 *     gcc -O1 -g -finstrument-functions -pthread -o multithreaded multithreaded.c
 *     calltrace record -- ./multithreaded
 *     calltrace query
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

enum { WORKERS = 3, RANGE = 12 };

struct worker {
    pthread_t thread;
    unsigned first;
    unsigned primes;
};

static unsigned remainder_of(unsigned number, unsigned divisor)
{
    return number % divisor;
}

/* Recursive, so that the tree shows how far the search went. */
static bool has_divisor_from(unsigned number, unsigned divisor)
{
    if (divisor * divisor > number)
        return false;
    if (remainder_of(number, divisor) == 0)
        return true;
    return has_divisor_from(number, divisor + 1);
}

static bool is_prime(unsigned number)
{
    return number >= 2 && !has_divisor_from(number, 2);
}

static unsigned count_primes(unsigned first, unsigned end)
{
    unsigned count = 0;
    for (unsigned number = first; number < end; number++)
        count += is_prime(number);
    return count;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    worker->primes = count_primes(worker->first, worker->first + RANGE);
    return NULL;
}

static bool start(struct worker *worker, unsigned first)
{
    worker->first = first;
    return pthread_create(&worker->thread, NULL, work, worker) == 0;
}

static unsigned finish(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    return worker->primes;
}

int main(void)
{
    struct worker workers[WORKERS];
    unsigned started = 0;
    while (started < WORKERS && start(&workers[started], 100 * (started + 1)))
        started++;

    unsigned primes = 0;
    for (unsigned i = 0; i < started; i++)
        primes += finish(&workers[i]);
    printf("%u workers found %u primes\n", started, primes);
    return started == WORKERS ? 0 : 1;
}
