/*
 * What a dead process may have left in a thread's ring, read as a collector reads it: whatever the words are,
 * reading ends, and the core takes the batches that come of it, or refuses one, as it may where words make no
 * sense; then the collector reads no further.
 *
 * Input: a byte of options (depth limit, where in the ring it begins), a byte that says how many calls are
 * open, then the ring's words.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/core.h"

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

enum { WORDS = 1024, OPEN_CALLS = 16, STACK_BASE = 1 << 30 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a ring and gives the core what comes of it. Returns whether it took all. */
static int recover(struct ct_trace *trace, uint32_t max_depth, const struct ct_ring *ring,
                   const struct ct_open_call *calls, uint32_t open_calls)
{
    static uint8_t batch[CT_RECOVERY_BYTES];
    struct ct_recovery *recovery = ct_recovery_new(ct_trace_site_count(trace), 1, max_depth);
    REQUIRE(recovery != NULL);
    REQUIRE(ct_recovery_begin(recovery, 0, 0, STACK_BASE, calls, open_calls, ring) == 0);
    int64_t written, taken = 0;
    for (uint64_t batches = 0; taken >= 0 && (written = ct_recovery_next(recovery, batch)) > 0; batches++) {
        REQUIRE(written <= CT_RECOVERY_BYTES && batches <= ring->end - ring->begin + 1);
        taken = ct_trace_feed(trace, batch, (size_t)written);
    }
    REQUIRE(taken < 0 || written == 0);
    ct_recovery_free(recovery);
    return taken >= 0;
}

/* A trace in which a thread has made so many calls, each in the one before, 64 bytes apart. */
static struct ct_trace *trace_with(uint32_t open_calls, struct ct_open_call calls[OPEN_CALLS])
{
    uint64_t words[4 * OPEN_CALLS] = {0};
    struct ct_limits limits = {
        .threads = 64, .sites = 4096, .functions = 4096, .open_calls = 4096, .contexts = 512};
    struct ct_trace *trace = ct_trace_new(&limits);
    REQUIRE(trace != NULL && ct_thread_declare(trace, 0, 0, STACK_BASE) == 0);
    for (uint32_t i = 0; i < open_calls; i++) {
        uint64_t stack_pointer = STACK_BASE - 64 * (uint64_t)(i + 1);
        calls[i] = (struct ct_open_call){0x1000 + i, 0x2000, stack_pointer};
        words[3 * i + 1] = calls[i].function_address | (stack_pointer >> 4 & 0x3fff) << 48;
        words[3 * i + 2] = calls[i].call_site_address | (stack_pointer >> 18 & 0xffff) << 48;
    }
    struct ct_ring ring = {.words = words, .size_words = 4 * OPEN_CALLS, .end = 3 * open_calls};
    REQUIRE(recover(trace, 0, &ring, NULL, 0));
    return trace;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t words[WORDS];
    struct ct_open_call calls[OPEN_CALLS];
    if (size < 2)
        return 0;
    uint32_t max_depth = data[0] & 3;
    uint32_t open_calls = data[1] % OPEN_CALLS;
    if (max_depth != 0 && open_calls > max_depth)
        open_calls = max_depth;
    size_t count = (size - 2) / sizeof words[0];
    if (count > WORDS)
        count = WORDS;
    uint64_t begin = 3 * (uint64_t)open_calls;
    memset(words, 0, sizeof words);
    for (size_t i = 0; i < count; i++)
        memcpy(&words[(begin + i) % WORDS], data + 2 + i * sizeof words[0], sizeof words[0]);

    struct ct_trace *trace = trace_with(open_calls, calls);
    recover(trace, max_depth,
            &(struct ct_ring){.words = words,
                              .size_words = WORDS,
                              .begin = begin,
                              .end = begin + count,
                              .dropped = data[1] >> 4},
            calls, open_calls);
    ct_trace_free(trace);
    return 0;
}
