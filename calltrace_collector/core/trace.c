/* One traced process. */
#include "calltrace_collector/core/trace.h"

#include <stdlib.h>
#include <unistd.h>

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/tree.h"

struct ct_trace *ct_trace_new(const struct ct_limits *limits)
{
    struct ct_trace *trace = calloc(1, sizeof(*trace));
    if (!trace)
        return NULL;
    trace->limits = *limits;
    if (!limits->chunk_rows || limits->chunk_rows > CT_CHUNK_ROWS)
        trace->limits.chunk_rows = CT_CHUNK_ROWS;
    if (!limits->keep_rows)
        trace->limits.keep_rows = CT_CHUNK_KEEP_ROWS;
    if (!limits->chunk_values)
        trace->limits.chunk_values = CT_CHUNK_VALUES;
    if (!limits->keep_values)
        trace->limits.keep_values = CT_CHUNK_KEEP_VALUES;
    if (limits->sites > SITES_MAX)
        trace->limits.sites = SITES_MAX;
    trace->exports.chunk_rows = trace->limits.chunk_rows;
    if (getentropy(&trace->seed, sizeof(trace->seed)))
        trace->seed = (uintptr_t)trace; /* better than nothing */
    trace->exports.seed = trace->seed;
    site_table_init(&trace->sites, trace->seed);
    return trace;
}

void ct_trace_free(struct ct_trace *trace)
{
    if (!trace)
        return;
    for (uint32_t i = 0; i < trace->thread_count; i++)
        thread_free(trace->threads[i]);
    free(trace->threads);
    site_table_free(&trace->sites);
    batch_free(&trace->batch);
    parts_free(&trace->parts);
    free(trace->stacks.stacks);
    exports_free(&trace->exports);
    losses_free(&trace->losses);
    free(trace->profile);
    free(trace);
}

int ct_thread_declare(struct ct_trace *trace, uint32_t number, uint64_t started_ticks, uint64_t stack_base)
{
    if (trace_thread(trace, number))
        return 0;
    if (number >= trace->limits.threads)
        return CT_ELIMIT;
    int status =
        array_reserve(&trace->threads, &trace->thread_capacity, (size_t)number + 1, sizeof(*trace->threads));
    if (status)
        return status;
    struct thread *thread = thread_new(number, started_ticks, stack_base, trace->seed);
    if (!thread)
        return CT_ENOMEM;
    while (trace->thread_count <= number)
        trace->threads[trace->thread_count++] = NULL;
    trace->threads[number] = thread;
    return 0;
}

static int check_new_sites(const struct ct_trace *trace, const struct batch *batch)
{
    if (!batch->site_count)
        return 0;
    if (batch->first_site != trace->sites.count)
        return CT_EORDER;
    for (uint32_t i = 0; i < batch->site_count; i++)
        if (!batch->sites[i].function_address)
            return CT_ERANGE;
    return batch->site_count > trace->limits.sites - trace->sites.count ? CT_ELIMIT : 0;
}

/* Room for all that the batch can add to a stack. */
static int reserve_part(const struct part *part)
{
    struct thread *thread = part->thread;
    const struct forecast *forecast = &part->forecast;
    const struct chunk_need need = {
        .entries = forecast->entries,
        .ends = forecast->ends,
        .wide_ticks = forecast->wide_ticks,
        /* Marks end calls with a status of their own, and so does the return of a cut call. */
        .statuses = forecast->forced + forecast->cuts + thread->cut_frames,
        .late = (uint64_t)(part->level.peak - part->level.lowest),
        .value_bytes = forecast->value_bytes,
    };
    int status = thread_reserve_stack(thread, (uint32_t)part->level.peak);
    return status ? status : chunk_reserve(&thread->chunk, &need);
}

static int reserve(struct ct_trace *trace)
{
    uint32_t functions = trace->sites.functions + trace->batch.site_count;
    uint32_t losses = 0;
    uint64_t chunks = 0, values = 0;
    for (uint32_t i = 0; i < trace->parts.part_count; i++) {
        const struct part *part = &trace->parts.parts[i];
        int status = reserve_part(part);
        if (status)
            return status;
        losses += part->forecast.losses;
        uint64_t its_values = part->thread->chunk.values.size + part->forecast.value_bytes;
        chunks += (chunk_rows(&part->thread->chunk) + part->forecast.entries + part->forecast.ends) /
                  trace->limits.chunk_rows;
        chunks += its_values / trace->limits.chunk_values;
        values = its_values > values ? its_values : values;
    }
    int status = exports_reserve(&trace->exports, chunks, functions, values);
    return status ? status : losses_reserve(&trace->losses, losses);
}

/* Gives the functions that the batch enters their slots. */
static int open_functions(const struct ct_trace *trace, struct thread *thread, const struct segment *segment)
{
    const struct batch *batch = &trace->batch;
    uint32_t function_count = trace->sites.functions;
    for (uint32_t i = segment->from; thread->functions.count < function_count && i < segment->to; i++) {
        if (!batch->op[i])
            continue;
        int status =
            functions_open(&thread->functions, trace->sites.sites[batch->op[i] - 1].function, function_count);
        if (status)
            return status;
    }
    return 0;
}

/* The same, and room for what their calls add. */
static int reserve_functions(const struct ct_trace *trace)
{
    const struct parts *parts = &trace->parts;
    int status = 0;
    for (uint32_t i = 0; !status && i < parts->segment_count; i++)
        status = open_functions(trace, parts->parts[parts->segments[i].part].thread, &parts->segments[i]);
    for (uint32_t i = 0; !status && i < parts->part_count; i++)
        status = functions_reserve(&parts->parts[i].thread->functions, parts->parts[i].forecast.ends);
    return status;
}

static int prepare(struct ct_trace *trace, struct thread *owner)
{
    const struct batch *batch = &trace->batch;
    uint32_t sites = trace->sites.count, functions = trace->sites.functions;
    int status = check_new_sites(trace, batch);
    if (!status)
        status = parts_split(trace, owner);
    if (!status)
        status = forecast_batch(trace, owner, sites + batch->site_count);
    if (!status)
        status = reserve(trace);
    if (!status)
        status = site_table_append(&trace->sites, batch->sites, batch->site_count, &trace->limits);
    if (status)
        return status;
    status = reserve_functions(trace);
    if (status)
        site_table_undo(&trace->sites, sites, functions);
    return status;
}

static void note_changes(const struct part *part)
{
    struct thread *thread = part->thread;
    thread->is_dirty = true;
    thread->chunk.is_changed |= part->forecast.entries || part->forecast.ends;
    /* The innermost call left has changed too: its callees' time. */
    uint32_t unchanged = part->level.lowest ? (uint32_t)part->level.lowest - 1 : 0;
    if (unchanged < thread->changed_from)
        thread->changed_from = unchanged;
}

/* Applies the batch that has been decoded. */
static int apply(struct ct_trace *trace, struct thread *owner)
{
    int status = stacks_declare(trace, owner);
    if (status)
        return status;
    status = prepare(trace, owner);
    if (status) {
        parts_end(&trace->parts);
        stacks_undeclare(trace);
        return status;
    }
    tree_apply(trace, owner, &trace->batch);
    exports_release(&trace->exports, 1);
    for (uint32_t i = 0; i < trace->parts.part_count; i++)
        note_changes(&trace->parts.parts[i]);
    parts_end(&trace->parts);
    trace->is_busy = true;
    return 0;
}

int64_t ct_trace_feed(struct ct_trace *trace, const uint8_t *bytes, size_t size)
{
    struct batch *batch = &trace->batch;
    int status = batch_decode(batch, bytes, size);
    if (status)
        return status;
    struct thread *owner = trace_thread(trace, batch->thread);
    if (!owner || owner->owner != owner->number)
        return CT_ERANGE;
    status = apply(trace, owner);
    return status ? status : (int64_t)batch->events;
}

static int flush_thread(struct ct_trace *trace, struct thread *thread)
{
    struct chunk *chunk = &thread->chunk;
    uint32_t rows = chunk_rows(chunk);
    if (!chunk->is_changed)
        functions_trim(&thread->functions);
    if (rows && chunk->is_changed) {
        int status = exports_reserve(&trace->exports, 1, trace->sites.functions, chunk->values.size);
        if (status)
            return status;
        bool is_final = rows >= trace->limits.keep_rows || chunk->values.size >= trace->limits.keep_values;
        exports_add(&trace->exports, thread, is_final);
    }
    if (!chunk_rows(chunk) && chunk->leads.capacity)
        chunk_shrink(chunk);
    return 0;
}

/* A process that has nothing to say keeps no room for what it may say. */
static void release_room(struct ct_trace *trace)
{
    batch_free(&trace->batch);
    trace->batch = (struct batch){0};
    parts_free(&trace->parts);
    trace->parts = (struct parts){0};
    exports_release(&trace->exports, 0);
    free(trace->profile);
    trace->profile = NULL;
    trace->profile_capacity = 0;
}

int ct_trace_flush(struct ct_trace *trace)
{
    for (uint32_t i = 0; i < trace->thread_count; i++) {
        if (!trace->threads[i])
            continue;
        int status = flush_thread(trace, trace->threads[i]);
        if (status)
            return status;
    }
    if (!trace->is_busy)
        release_room(trace);
    trace->is_busy = false;
    return 0;
}

uint32_t ct_trace_site_count(const struct ct_trace *trace)
{
    return trace->sites.count;
}

uint32_t ct_trace_function_count(const struct ct_trace *trace)
{
    return trace->sites.functions;
}

int ct_trace_sites(const struct ct_trace *trace, uint32_t first, uint32_t count, struct ct_site *out)
{
    if (first > trace->sites.count || count > trace->sites.count - first)
        return CT_ERANGE;
    for (uint32_t i = 0; i < count; i++)
        out[i] = trace->sites.sites[first + i];
    return 0;
}

int ct_trace_restore_sites(struct ct_trace *trace, const struct ct_site *sites, uint32_t count)
{
    return site_table_restore(&trace->sites, sites, count, &trace->limits);
}

void ct_trace_forget_addresses(struct ct_trace *trace)
{
    site_table_forget(&trace->sites);
}
