/*
 * Feeds the batches of a file to the core again and again, and each time another allocation fails: first the
 * first, then the second, and so on until none is left to fail. What fails must have changed nothing; said
 * again it must succeed, and in the end everything must be as it is when nothing fails.
 *
 * The file holds batches for threads 0, 1 and 2, each behind two bytes of length, lowest first. Linked with
 * --wrap for malloc, calloc, realloc, aligned_alloc and free. Prints how many allocations failed.
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/core.h"
#include "tests/agent/check.h"

enum { THREADS = 3, STARTED = 1000, RECORD_MAX = 1 << 22 };

static const struct ct_limits limits = {
    .threads = THREADS,
    .sites = 10000,
    .functions = 10000,
    .open_calls = 100000,
    .contexts = 10000,
    .chunk_rows = 100,
    .keep_rows = 50,
    .chunk_values = 1000,
    .keep_values = 500,
};

/* ---- allocations ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *memory);

static long until_failure; /* the allocation that fails is this many away; 0: none does */
static size_t bytes_held;

static bool fails(void)
{
    return until_failure && --until_failure == 0;
}

static void *taken(void *memory)
{
    bytes_held += malloc_usable_size(memory);
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : taken(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : taken(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails())
        return NULL;
    bytes_held -= malloc_usable_size(old);
    return taken(__real_realloc(old, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : taken(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *memory)
{
    bytes_held -= malloc_usable_size(memory);
    __real_free(memory);
}

/* ---- what a trace says of itself ---- */

struct record {
    size_t size;
    uint8_t bytes[RECORD_MAX];
};

static void record(struct record *record, const void *bytes, size_t size)
{
    CHECK(size <= RECORD_MAX - record->size);
    if (size)
        memcpy(record->bytes + record->size, bytes, size);
    record->size += size;
}

static void record_state(struct record *out, struct ct_trace *trace, uint32_t thread)
{
    struct ct_thread_state state;
    struct ct_frame frame;
    CHECK(ct_thread_state(trace, thread, &state) == 0);
    record(out, &state, sizeof(state));
    for (uint32_t i = 0; i < state.depth; i++) {
        CHECK(ct_thread_frames(trace, thread, i, 1, &frame) == 0);
        record(out, &frame, sizeof(frame));
    }
}

/* All that can be seen without allocating. */
static void record_trace(struct record *out, struct ct_trace *trace)
{
    uint32_t sites = ct_trace_site_count(trace), functions = ct_trace_function_count(trace);
    uint64_t pending = ct_trace_pending_bytes(trace);
    out->size = 0;
    record(out, &sites, sizeof(sites));
    record(out, &functions, sizeof(functions));
    record(out, &pending, sizeof(pending));
    for (uint32_t i = 0; i < THREADS; i++)
        record_state(out, trace, i);
}

static void record_profile(struct record *out, struct ct_trace *trace, uint32_t thread)
{
    const uint8_t *profile;
    int64_t size = ct_thread_profile(trace, thread, &profile);
    if (size == CT_ENOMEM)
        size = ct_thread_profile(trace, thread, &profile);
    CHECK(size > 0);
    record(out, profile, (size_t)size);
}

static void record_chunks(struct record *out, struct ct_trace *trace)
{
    struct ct_chunk chunk;
    while (ct_trace_first_chunk(trace, &chunk)) {
        record(out, chunk.columns, chunk.columns_size);
        record(out, chunk.values, chunk.values_size);
        record(out, chunk.function, chunk.functions * sizeof(*chunk.function));
        record(out, chunk.function_calls, chunk.functions * sizeof(*chunk.function_calls));
        record(out, chunk.function_max_ticks, chunk.functions * sizeof(*chunk.function_max_ticks));
        ct_trace_drop_chunk(trace);
    }
}

/* ---- the run ---- */

static struct record before, after, chunks, expected, found;

static struct ct_trace *open_trace(void)
{
    struct ct_trace *trace = ct_trace_new(&limits);
    if (!trace)
        trace = ct_trace_new(&limits);
    CHECK(trace);
    for (uint32_t i = 0; i < THREADS; i++) {
        int status = ct_thread_declare(trace, i, STARTED, 0x7fff0000);
        if (status == CT_ENOMEM)
            status = ct_thread_declare(trace, i, STARTED, 0x7fff0000);
        CHECK_EQUAL(status, 0);
    }
    return trace;
}

static void feed(struct ct_trace *trace, const uint8_t *batch, size_t size)
{
    record_trace(&before, trace);
    int64_t events = ct_trace_feed(trace, batch, size);
    if (events == CT_ENOMEM) {
        record_trace(&after, trace);
        CHECK(before.size == after.size && memcmp(before.bytes, after.bytes, before.size) == 0);
        events = ct_trace_feed(trace, batch, size);
    }
    CHECK(events >= 0);
}

static void flush(struct ct_trace *trace)
{
    int status = ct_trace_flush(trace);
    if (status == CT_ENOMEM)
        status = ct_trace_flush(trace);
    CHECK_EQUAL(status, 0);
}

/* Restores a thread from what another trace says of it; both must then say the same. */
static void restore(struct ct_trace *trace, struct ct_trace *old, uint32_t thread)
{
    struct ct_thread_state state;
    static struct ct_frame frames[10000];
    static struct record profile, same;
    CHECK(ct_thread_state(old, thread, &state) == 0);
    CHECK(ct_thread_frames(old, thread, 0, state.depth, frames) == 0);
    profile.size = same.size = 0;
    record_profile(&profile, old, thread);

    record_trace(&before, trace);
    int status = ct_thread_restore(trace, thread, &state, frames, profile.bytes, profile.size);
    if (status == CT_ENOMEM) {
        record_trace(&after, trace);
        CHECK(before.size == after.size && memcmp(before.bytes, after.bytes, before.size) == 0);
        status = ct_thread_restore(trace, thread, &state, frames, profile.bytes, profile.size);
    }
    CHECK_EQUAL(status, 0);
    record_profile(&same, trace, thread);
    CHECK(profile.size == same.size && memcmp(profile.bytes, same.bytes, same.size) == 0);
}

static void restart(struct ct_trace *old)
{
    static struct ct_site sites[10000];
    uint32_t count = ct_trace_site_count(old);
    CHECK(ct_trace_sites(old, 0, count, sites) == 0);
    struct ct_trace *trace = open_trace();
    int status = ct_trace_restore_sites(trace, sites, count);
    if (status == CT_ENOMEM) {
        CHECK_EQUAL(ct_trace_site_count(trace), 0);
        status = ct_trace_restore_sites(trace, sites, count);
    }
    CHECK_EQUAL(status, 0);
    for (uint32_t i = 0; i < THREADS; i++)
        restore(trace, old, i);
    ct_trace_free(trace);
}

/* A process that has nothing to say gives back the memory for what it may say. */
static void check_idle(struct ct_trace *trace)
{
    size_t busy = bytes_held;
    flush(trace);
    flush(trace);
    CHECK(bytes_held < busy - busy / 4);
    CHECK(ct_trace_pending_bytes(trace) == 0);
}

/* Returns how many calls were counted in their caller's context. */
static uint64_t run(const uint8_t *data, size_t size, struct record *out)
{
    struct ct_trace *trace = open_trace();
    struct ct_thread_state state;
    uint64_t folded = 0;
    chunks.size = 0;
    for (size_t at = 0; at < size;) {
        size_t length = data[at] | (size_t)data[at + 1] << 8;
        feed(trace, data + at + 2, length);
        at += 2 + length;
        if (at % 3 == 0)
            flush(trace);
        record_chunks(&chunks, trace);
    }
    flush(trace);
    record_chunks(&chunks, trace);
    record_trace(out, trace);
    record(out, chunks.bytes, chunks.size);
    for (uint32_t i = 0; i < THREADS; i++) {
        record_profile(out, trace, i);
        CHECK(ct_thread_state(trace, i, &state) == 0);
        folded += state.folded;
    }
    restart(trace);
    if (out == &expected)
        check_idle(trace);
    ct_trace_free(trace);
    CHECK_EQUAL(bytes_held, 0);
    return folded;
}

int main(int argc, char **argv)
{
    static uint8_t data[1 << 20];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    CHECK(file);
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);

    CHECK_EQUAL(run(data, size, &expected), 0);
    long failed = 0, folded_runs = 0;
    for (long position = 1;; position++) {
        until_failure = position;
        uint64_t folded = run(data, size, &found);
        if (until_failure)
            break;
        failed++;
        /* Without memory for a context, calls are counted in their caller's: nothing fails, and it is said.
         */
        if (folded)
            folded_runs++;
        else
            CHECK(expected.size == found.size && memcmp(expected.bytes, found.bytes, found.size) == 0);
    }
    printf("%ld %ld\n", failed, folded_runs);
    return 0;
}
