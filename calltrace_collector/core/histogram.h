/* Histograms of durations: 16 buckets an octave, so that a bucket is less than 1/16 of its durations wide.
 *
 * Octave 0 holds 0 ... 15, octave n holds 2^(n+3) ... 2^(n+4) - 1. Octaves with counts lie in a pool that all
 * histograms of a thread share. The scheme is HdrHistogram's (https://hdrhistogram.org). */
#ifndef CALLTRACE_CORE_HISTOGRAM_H
#define CALLTRACE_CORE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_OCTAVES = 61, OCTAVE_BUCKETS = 16 };

struct octave {
    uint64_t calls[OCTAVE_BUCKETS];
};

struct octave_pool {
    struct octave *octaves;
    size_t capacity;
    uint32_t count;
};

struct histogram {
    uint32_t octave_plus_1[HISTOGRAM_OCTAVES]; /* in the pool; 0: it has no calls */
};

/* Octave and bucket within it of a duration. */
static inline unsigned histogram_octave(uint64_t duration)
{
    return 60u - (unsigned)__builtin_clzll(duration | 15);
}

static inline unsigned histogram_bucket(uint64_t duration, unsigned octave)
{
    return (unsigned)(duration >> (octave - (octave != 0))) & (OCTAVE_BUCKETS - 1);
}

/* The smallest duration of a bucket. */
static inline uint64_t histogram_low(unsigned octave, unsigned bucket)
{
    return octave ? (uint64_t)(OCTAVE_BUCKETS + bucket) << (octave - 1) : bucket;
}

/* Takes an octave from the pool; room has been reserved. */
void histogram_open_octave(struct histogram *histogram, struct octave_pool *pool, unsigned octave);

static inline void histogram_add(struct histogram *histogram, struct octave_pool *pool, uint64_t duration,
                                 uint64_t calls)
{
    unsigned octave = histogram_octave(duration);
    if (!histogram->octave_plus_1[octave])
        histogram_open_octave(histogram, pool, octave);
    pool->octaves[histogram->octave_plus_1[octave] - 1].calls[histogram_bucket(duration, octave)] += calls;
}

#endif
