/*
 * Fuzzes the collector's core. The first byte of an input says which part gets the rest:
 *   0  EventBatches, each behind two bytes of length, lowest first: ct_trace_feed, and then everything that
 *      reads the trace; what the core has written itself must be readable
 *   1  ct_chunk_decode: rows and late rows, two bytes each; then the columns
 *   2  ct_profile_size, ct_profile_decode, and ct_thread_restore from that profile
 *   3  ct_message_peek
 *   4  ct_values_decode: how many events, two bytes; then the values
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

enum { THREADS = 2, ROWS_MAX = CT_CHUNK_ROWS };

static const struct ct_limits limits = {
    .threads = THREADS,
    .sites = 1000,
    .functions = 500,
    .open_calls = 5000,
    .contexts = 300,
    .chunk_rows = 16,
    .keep_rows = 4,
    .chunk_values = 300,
    .keep_values = 50,
};

static struct ct_trace *new_trace(void)
{
    struct ct_trace *trace = ct_trace_new(&limits);
    REQUIRE(trace);
    for (uint32_t i = 0; i < THREADS; i++)
        REQUIRE(ct_thread_declare(trace, i, 0, 0x7fff0000) == 0);
    return trace;
}

static size_t take_length(const uint8_t **data, size_t *size)
{
    if (*size < 2)
        return 0;
    size_t length = (*data)[0] | (size_t)(*data)[1] << 8;
    *data += 2;
    *size -= 2;
    return length;
}

/* ---- chunks ---- */

/* Each array has just the size it needs, so that a sanitizer sees whatever goes beyond. */
static int decode_rows(const struct ct_chunk *chunk, const uint8_t *columns, size_t size,
                       struct ct_row_events *events)
{
    size_t rows = chunk->rows < ROWS_MAX ? chunk->rows : ROWS_MAX;
    struct ct_rows out = {
        .call = malloc(rows * sizeof(*out.call) + 1),
        .parent = malloc(rows * sizeof(*out.parent) + 1),
        .site = malloc(rows * sizeof(*out.site) + 1),
        .depth = malloc(rows * sizeof(*out.depth) + 1),
        .start_ticks = malloc(rows * sizeof(*out.start_ticks) + 1),
        .duration_ticks = malloc(rows * sizeof(*out.duration_ticks) + 1),
        .self_ticks = malloc(rows * sizeof(*out.self_ticks) + 1),
        .status = malloc(rows * sizeof(*out.status) + 1),
    };
    int status = ct_chunk_decode(chunk, columns, size, &out, events);
    for (size_t i = 0; status == 0 && i < rows; i++) {
        REQUIRE(out.parent[i] < out.call[i]);
        REQUIRE(out.self_ticks[i] <= out.duration_ticks[i]);
        REQUIRE(out.status[i] <= CT_LOST);
        REQUIRE(i == 0 || out.call[i - 1] < out.call[i]);
    }
    free(out.call);
    free(out.parent);
    free(out.site);
    free(out.depth);
    free(out.start_ticks);
    free(out.duration_ticks);
    free(out.self_ticks);
    free(out.status);
    return status;
}

static int decode_values(uint32_t events, const uint8_t *values, size_t size, uint32_t *starts,
                         uint32_t *sizes)
{
    int status = ct_values_decode(values, size, events, starts, sizes);
    for (uint32_t i = 0; status == 0 && i < events; i++)
        REQUIRE(sizes[i] <= CT_VALUE_BYTES && (!sizes[i] || starts[i] + sizes[i] <= size));
    return status;
}

static void fuzz_values(const uint8_t *data, size_t size)
{
    uint32_t events = (uint32_t)take_length(&data, &size);
    uint32_t *starts = malloc(events * sizeof(*starts) + 1);
    uint32_t *sizes = malloc(events * sizeof(*sizes) + 1);
    decode_values(events, data, size, starts, sizes);
    free(starts);
    free(sizes);
}

/* Rows, which of the chunk's events they are, and the values of these. */
static int decode(const struct ct_chunk *chunk, const uint8_t *columns, size_t size)
{
    size_t rows = chunk->rows < ROWS_MAX ? chunk->rows : ROWS_MAX;
    struct ct_row_events events = {
        .entry = malloc(rows * sizeof(*events.entry) + 1),
        .end = malloc(rows * sizeof(*events.end) + 1),
    };
    int status = decode_rows(chunk, columns, size, &events);
    for (size_t i = 0; status == 0 && i < rows; i++) {
        bool is_late = i < chunk->late_rows, has_ended = events.end[i] != CT_NO_EVENT;
        REQUIRE((events.entry[i] == CT_NO_EVENT) == is_late);
        REQUIRE(is_late || !has_ended || events.entry[i] < events.end[i]);
        REQUIRE(!has_ended || events.end[i] < 2 * rows);
    }
    free(events.entry);
    free(events.end);
    return status;
}

static void fuzz_chunk(const uint8_t *data, size_t size)
{
    struct ct_chunk chunk = {.first_call = 1000, .base_call = 0};
    chunk.rows = (uint32_t)take_length(&data, &size);
    chunk.late_rows = (uint32_t)take_length(&data, &size);
    decode(&chunk, data, size);
    chunk.base_call = 1;
    decode(&chunk, data, size);
}

/* ---- profiles ---- */

static int decode_profile(const uint8_t *profile, size_t size)
{
    struct ct_profile_size need;
    if (ct_profile_size(profile, size, &need))
        return CT_EMALFORMED;
    struct ct_context *contexts = malloc(need.contexts * sizeof(*contexts) + 1);
    struct ct_function *functions = malloc(need.functions * sizeof(*functions) + 1);
    uint64_t *low = malloc(need.buckets * sizeof(*low) + 1);
    uint64_t *calls = malloc(need.buckets * sizeof(*calls) + 1);
    REQUIRE(ct_profile_decode(profile, size, contexts, functions, low, calls) == 0);
    for (uint32_t i = 1; i < need.contexts; i++)
        REQUIRE(contexts[i].parent < i);
    free(contexts);
    free(functions);
    free(low);
    free(calls);
    return 0;
}

static void fuzz_profile(const uint8_t *data, size_t size)
{
    struct ct_trace *trace = new_trace();
    struct ct_site sites[8] = {{0}};
    for (uint32_t i = 0; i < 8; i++)
        sites[i] = (struct ct_site){.function_address = i + 1, .function = i};
    REQUIRE(ct_trace_restore_sites(trace, sites, 8) == 0);
    struct ct_thread_state state = {.calls = 9, .last_ticks = 100, .depth = 2};
    struct ct_frame frames[2] = {{.call = 3, .start_ticks = 7, .site = 1},
                                 {.call = 5, .start_ticks = 8, .site = 2}};

    decode_profile(data, size);
    if (ct_thread_restore(trace, 0, &state, frames, data, size) == 0) {
        const uint8_t *again;
        int64_t again_size = ct_thread_profile(trace, 0, &again);
        REQUIRE(again_size > 0 && decode_profile(again, (size_t)again_size) == 0);
    }
    ct_trace_free(trace);
}

/* ---- traces ---- */

static void check_chunks(struct ct_trace *trace)
{
    struct ct_chunk chunk;
    uint32_t starts[32], sizes[32]; /* two for each of limits.chunk_rows */
    while (ct_trace_first_chunk(trace, &chunk)) {
        uint8_t *columns = malloc(chunk.columns_size);
        REQUIRE(columns);
        memcpy(columns, chunk.columns, chunk.columns_size);
        REQUIRE(decode(&chunk, columns, chunk.columns_size) == 0);
        free(columns);
        REQUIRE(decode_values(2 * chunk.rows, chunk.values, chunk.values_size, starts, sizes) == 0);
        ct_trace_drop_chunk(trace);
    }
}

/* What a thread says of itself, restored in another trace, must come out the same. */
static void check_restore(struct ct_trace *trace, uint32_t thread)
{
    struct ct_thread_state state, same;
    const uint8_t *profile, *same_profile;
    REQUIRE(ct_thread_state(trace, thread, &state) == 0);
    int64_t size = ct_thread_profile(trace, thread, &profile);
    REQUIRE(size > 0 && decode_profile(profile, (size_t)size) == 0);
    struct ct_frame *frames = calloc(state.depth + 1, sizeof(*frames));
    REQUIRE(ct_thread_frames(trace, thread, 0, state.depth, frames) == 0);
    uint32_t site_count = ct_trace_site_count(trace);
    struct ct_site *sites = calloc(site_count + 1, sizeof(*sites));
    REQUIRE(ct_trace_sites(trace, 0, site_count, sites) == 0);

    struct ct_trace *restored = new_trace();
    REQUIRE(ct_trace_restore_sites(restored, sites, site_count) == 0);
    REQUIRE(ct_thread_restore(restored, thread, &state, frames, profile, (size_t)size) == 0);
    REQUIRE(ct_thread_state(restored, thread, &same) == 0);
    REQUIRE(same.calls == state.calls && same.depth == state.depth && same.next_chunk == state.next_chunk);
    REQUIRE(ct_thread_profile(restored, thread, &same_profile) == size);
    REQUIRE(memcmp(profile, same_profile, (size_t)size) == 0);
    ct_trace_free(restored);
    free(frames);
    free(sites);
}

static void fuzz_trace(const uint8_t *data, size_t size)
{
    struct ct_trace *trace = new_trace();
    while (size >= 2) {
        size_t length = take_length(&data, &size);
        if (length > size)
            length = size;
        struct ct_thread_state before[THREADS], after;
        for (uint32_t i = 0; i < THREADS; i++)
            ct_thread_state(trace, i, &before[i]);
        uint32_t sites = ct_trace_site_count(trace), functions = ct_trace_function_count(trace);
        if (ct_trace_feed(trace, data, length) < 0) {
            for (uint32_t i = 0; i < THREADS; i++) {
                ct_thread_state(trace, i, &after);
                REQUIRE(memcmp(&before[i], &after, sizeof(after)) == 0);
            }
            REQUIRE(sites == ct_trace_site_count(trace) && functions == ct_trace_function_count(trace));
        }
        data += length;
        size -= length;
        REQUIRE(ct_trace_flush(trace) == 0);
        check_chunks(trace);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        check_restore(trace, i);
    ct_trace_free(trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ct_message message;
    if (!size)
        return 0;
    switch (data[0]) {
    case 0:
        fuzz_trace(data + 1, size - 1);
        break;
    case 1:
        fuzz_chunk(data + 1, size - 1);
        break;
    case 2:
        fuzz_profile(data + 1, size - 1);
        break;
    case 4:
        fuzz_values(data + 1, size - 1);
        break;
    default:
        if (ct_message_peek(data + 1, size - 1, &message) == 0)
            REQUIRE(message.body_offset + message.body_size <= size - 1);
        break;
    }
    return 0;
}
