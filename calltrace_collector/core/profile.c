/* A thread's profile as bytes: its calling-context tree and the sums of its functions.
 *
 * All numbers are varints:
 *     PROFILE_FORMAT, number of contexts, number of functions
 *     each context: its own number less its parent's (0: the root, which is the first), function, calls,
 *         total ticks, self ticks
 *     each function: number, calls, completed, total ticks, self ticks, min ticks, max ticks, number of
 *         buckets; for each bucket that has calls, ascending: how many buckets were skipped, calls */
#include <stdlib.h>

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/profile.h"
#include "calltrace_collector/core/reader.h"
#include "calltrace_collector/core/varint.h"

enum { PROFILE_FORMAT = 1 };
enum { HEADER_NUMBERS = 3, CONTEXT_NUMBERS = 5, FUNCTION_NUMBERS = 8, BUCKET_NUMBERS = 2 };
enum { BUCKETS = HISTOGRAM_OCTAVES * OCTAVE_BUCKETS };

/* ---- writing ---- */

static uint8_t *put_context(uint8_t *at, const struct context *context, uint32_t number)
{
    at = varint_write(at, number - context->parent);
    at = varint_write(at, context->function);
    at = varint_write(at, context->completed);
    at = varint_write(at, context->total_ticks);
    return varint_write(at, context->self_ticks);
}

/* Number of calls in a bucket, counted over all octaves. */
static uint64_t bucket_calls(const struct octave_pool *pool, const struct histogram *histogram,
                             uint32_t bucket)
{
    uint32_t octave_plus_1 = histogram->octave_plus_1[bucket / OCTAVE_BUCKETS];
    return octave_plus_1 ? pool->octaves[octave_plus_1 - 1].calls[bucket % OCTAVE_BUCKETS] : 0;
}

static uint8_t *put_histogram(uint8_t *at, const struct octave_pool *pool, const struct histogram *histogram)
{
    uint32_t used = 0, next = 0;
    for (uint32_t i = 0; i < BUCKETS; i++)
        used += bucket_calls(pool, histogram, i) != 0;
    at = varint_write(at, used);
    for (uint32_t i = 0; i < BUCKETS; i++) {
        uint64_t calls = bucket_calls(pool, histogram, i);
        if (!calls)
            continue;
        at = varint_write(at, i - next);
        at = varint_write(at, calls);
        next = i + 1;
    }
    return at;
}

static uint8_t *put_function(uint8_t *at, const struct functions *functions, uint32_t number)
{
    const struct function_sums *slot = &functions->slots[number];
    at = varint_write(at, slot->function);
    at = varint_write(at, slot->ended + slot->active);
    at = varint_write(at, slot->ended - slot->lost);
    at = varint_write(at, slot->total_ticks);
    at = varint_write(at, slot->self_ticks);
    at = varint_write(at, slot->ended > slot->lost ? slot->min_ticks : 0);
    at = varint_write(at, slot->max_ticks);
    return put_histogram(at, &functions->octaves, &functions->histograms[number]);
}

static size_t largest_size(const struct thread *thread)
{
    const struct functions *functions = &thread->functions;
    size_t numbers = HEADER_NUMBERS + (size_t)thread->contexts.count * CONTEXT_NUMBERS +
                     (size_t)functions->count * FUNCTION_NUMBERS +
                     (size_t)functions->octaves.count * OCTAVE_BUCKETS * BUCKET_NUMBERS;
    return numbers * VARINT_MAX_BYTES;
}

static bool is_used(const struct function_sums *slot)
{
    return slot->ended || slot->active;
}

static uint8_t *put_profile(uint8_t *at, const struct thread *thread)
{
    const struct functions *functions = &thread->functions;
    uint32_t used = 0;
    for (uint32_t i = 0; i < functions->count; i++)
        used += is_used(&functions->slots[i]);
    at = varint_write(at, PROFILE_FORMAT);
    at = varint_write(at, thread->contexts.count);
    at = varint_write(at, used);
    for (uint32_t i = 0; i < thread->contexts.count; i++)
        at = put_context(at, &thread->contexts.nodes[i], i);
    for (uint32_t i = 0; i < functions->count; i++)
        if (is_used(&functions->slots[i]))
            at = put_function(at, functions, i);
    return at;
}

int64_t ct_thread_profile(struct ct_trace *trace, uint32_t number, const uint8_t **bytes)
{
    struct thread *thread = trace_thread(trace, number);
    if (!thread)
        return CT_ERANGE;
    int status = array_reserve(&trace->profile, &trace->profile_capacity, largest_size(thread), 1);
    if (status)
        return status;
    /* A profile counts calls when they are entered, the tree when they end. */
    for (uint32_t i = 1; i <= thread->depth; i++)
        thread->contexts.nodes[thread->stack[i].context].completed++;
    *bytes = trace->profile;
    int64_t size = put_profile(trace->profile, thread) - trace->profile;
    for (uint32_t i = 1; i <= thread->depth; i++)
        thread->contexts.nodes[thread->stack[i].context].completed--;
    return size;
}

/* ---- reading ---- */

struct profile_reader {
    struct reader bytes;
    uint32_t contexts;
    uint32_t functions;
};

static struct profile_reader open_profile(const uint8_t *bytes, size_t size)
{
    struct profile_reader profile = {.bytes = reader_of(bytes, size)};
    profile.bytes.failed = read_varint(&profile.bytes) != PROFILE_FORMAT;
    /* Each of them takes several bytes. */
    profile.contexts = (uint32_t)read_at_most(&profile.bytes, size < UINT32_MAX ? size : UINT32_MAX);
    profile.functions = (uint32_t)read_at_most(&profile.bytes, size < UINT32_MAX ? size : UINT32_MAX);
    if (!profile.contexts)
        profile.bytes.failed = true;
    return profile;
}

static struct ct_context read_context(struct reader *bytes, uint32_t number)
{
    struct ct_context context;
    uint32_t below = (uint32_t)read_at_most(bytes, number);
    if (number && !below)
        bytes->failed = true;
    context.parent = number - below;
    context.function = (uint32_t)read_at_most(bytes, UINT32_MAX);
    context.calls = read_varint(bytes);
    context.total_ticks = read_varint(bytes);
    context.self_ticks = read_varint(bytes);
    return context;
}

static struct ct_function read_function(struct reader *bytes)
{
    struct ct_function function;
    function.function = (uint32_t)read_at_most(bytes, UINT32_MAX);
    function.calls = read_varint(bytes);
    function.completed = read_varint(bytes);
    function.total_ticks = read_varint(bytes);
    function.self_ticks = read_varint(bytes);
    function.min_ticks = read_varint(bytes);
    function.max_ticks = read_varint(bytes);
    function.buckets = (uint32_t)read_at_most(bytes, BUCKETS);
    return function;
}

/* Reads the next bucket; returns its number, given the smallest it can have. */
static uint32_t read_bucket(struct reader *bytes, uint32_t next, uint64_t *calls)
{
    uint32_t bucket = next + (uint32_t)read_at_most(bytes, BUCKETS);
    *calls = read_varint(bytes);
    if (bucket < BUCKETS)
        return bucket;
    bytes->failed = true;
    return 0;
}

int ct_profile_size(const uint8_t *bytes, size_t size, struct ct_profile_size *out)
{
    struct profile_reader profile = open_profile(bytes, size);
    uint64_t buckets = 0, calls;

    for (uint32_t i = 0; i < profile.contexts && !profile.bytes.failed; i++)
        read_context(&profile.bytes, i);
    for (uint32_t i = 0; i < profile.functions && !profile.bytes.failed; i++) {
        struct ct_function function = read_function(&profile.bytes);
        buckets += function.buckets;
        for (uint32_t j = 0, next = 0; j < function.buckets && !profile.bytes.failed; j++)
            next = read_bucket(&profile.bytes, next, &calls) + 1;
    }
    if (profile.bytes.failed || profile.bytes.at != profile.bytes.end || buckets > UINT32_MAX)
        return CT_EMALFORMED;
    *out = (struct ct_profile_size){
        .contexts = profile.contexts, .functions = profile.functions, .buckets = (uint32_t)buckets};
    return 0;
}

int ct_profile_decode(const uint8_t *bytes, size_t size, struct ct_context *contexts,
                      struct ct_function *functions, uint64_t *bucket_low, uint64_t *bucket_calls)
{
    struct ct_profile_size checked;
    int status = ct_profile_size(bytes, size, &checked);
    if (status)
        return status;
    struct profile_reader profile = open_profile(bytes, size);
    for (uint32_t i = 0; i < profile.contexts; i++)
        contexts[i] = read_context(&profile.bytes, i);
    for (uint32_t i = 0; i < profile.functions; i++) {
        functions[i] = read_function(&profile.bytes);
        for (uint32_t j = 0, next = 0; j < functions[i].buckets; j++) {
            uint32_t bucket = read_bucket(&profile.bytes, next, bucket_calls++);
            *bucket_low++ = histogram_low(bucket / OCTAVE_BUCKETS, bucket % OCTAVE_BUCKETS);
            next = bucket + 1;
        }
    }
    return 0;
}

/* ---- restoring ---- */

static int restore_function(struct functions *functions, struct reader *bytes, uint32_t function_count)
{
    struct ct_function stored = read_function(bytes);
    if (stored.function >= function_count)
        return CT_ERANGE;
    uint32_t slots = functions->count;
    int status = functions_open(functions, stored.function, function_count);
    if (!status)
        status = functions_reserve(functions, stored.buckets);
    if (status)
        return status;
    if (functions->count == slots)
        return CT_EMALFORMED; /* the same function twice */

    struct function_sums *slot = &functions->slots[slots];
    if (stored.calls - stored.completed > UINT32_MAX)
        return CT_EMALFORMED;
    /* Its open calls are put right with the stack. */
    slot->ended = stored.calls;
    slot->lost = (uint32_t)(stored.calls - stored.completed);
    slot->total_ticks = stored.total_ticks;
    slot->self_ticks = stored.self_ticks;
    slot->min_ticks = stored.completed ? stored.min_ticks : UINT64_MAX;
    slot->max_ticks = stored.max_ticks;
    for (uint32_t i = 0, next = 0; i < stored.buckets; i++) {
        uint64_t calls;
        uint32_t bucket = read_bucket(bytes, next, &calls);
        uint64_t duration = histogram_low(bucket / OCTAVE_BUCKETS, bucket % OCTAVE_BUCKETS);
        histogram_add(&functions->histograms[slots], &functions->octaves, duration, calls);
        next = bucket + 1;
    }
    return 0;
}

static int restore_context(struct contexts *contexts, const struct ct_context *stored, uint32_t number,
                           uint32_t function_count)
{
    if (number) {
        if (stored->function >= function_count)
            return CT_ERANGE;
        if (contexts_child(contexts, stored->parent, stored->function))
            return CT_EMALFORMED; /* the same context twice */
        if (!contexts_add(contexts, stored->parent, stored->function, UINT32_MAX))
            return CT_ENOMEM;
    }
    contexts->nodes[number].completed = stored->calls; /* its open calls are taken off with the stack */
    contexts->nodes[number].total_ticks = stored->total_ticks;
    contexts->nodes[number].self_ticks = stored->self_ticks;
    return 0;
}

int profile_restore(struct thread *thread, const uint8_t *bytes, size_t size, uint32_t function_count)
{
    struct ct_profile_size checked;
    int status = ct_profile_size(bytes, size, &checked);
    if (status)
        return status;
    struct profile_reader profile = open_profile(bytes, size);
    for (uint32_t i = 0; !status && i < checked.contexts; i++) {
        struct ct_context stored = read_context(&profile.bytes, i);
        status = restore_context(&thread->contexts, &stored, i, function_count);
    }
    for (uint32_t i = 0; !status && i < checked.functions; i++)
        status = restore_function(&thread->functions, &profile.bytes, function_count);
    return status;
}
