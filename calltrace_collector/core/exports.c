/* Chunks on their way out: encoded, waiting to be stored. */
#include "calltrace_collector/core/exports.h"

#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/trace.h"

enum { FUNCTION_BYTES = sizeof(uint64_t) + 2 * sizeof(uint32_t) };

static void free_list(struct exported *exported)
{
    while (exported) {
        struct exported *next = exported->next;
        free(exported);
        exported = next;
    }
}

void exports_free(struct exports *exports)
{
    free_list(exports->first);
    free_list(exports->spare);
    edge_finder_free(&exports->finder);
}

static void drop_spares(struct exports *exports, uint32_t keep)
{
    while (exports->spare_count > keep) {
        struct exported *spare = exports->spare;
        exports->spare = spare->next;
        exports->spare_count--;
        free(spare);
    }
}

void exports_release(struct exports *exports, uint32_t keep)
{
    if (!keep) {
        edge_finder_free(&exports->finder);
        exports->spare_values = 0;
    }
    drop_spares(exports, keep);
}

/* Lets go of spares that are too small. */
static void make_larger(struct exports *exports, uint32_t functions, uint64_t values)
{
    if (functions <= exports->spare_functions && values <= exports->spare_values)
        return;
    drop_spares(exports, 0);
    exports->spare_functions = functions;
    if (values > exports->spare_values)
        exports->spare_values = values + values / 2; /* not a little more each time */
}

int exports_reserve(struct exports *exports, uint64_t chunks, uint32_t functions, uint64_t values)
{
    if (chunks)
        make_larger(exports, functions, values);
    if (chunks && !exports->finder.rows) {
        int status = edge_finder_init(&exports->finder, exports->chunk_rows, exports->seed);
        if (status)
            return status;
    }
    while (exports->spare_count < chunks) {
        struct exported *spare = malloc(sizeof(*spare) + (size_t)exports->spare_functions * FUNCTION_BYTES +
                                        columns_max_bytes(exports->chunk_rows) + exports->spare_values);
        if (!spare)
            return CT_ENOMEM;
        spare->next = exports->spare;
        exports->spare = spare;
        exports->spare_count++;
    }
    return 0;
}

/* Points the arrays of `info` to where they are; functions and columns_size are set (columns_size 0: not
 * yet). */
static void set_pointers(struct exported *exported)
{
    struct ct_chunk *info = &exported->info;
    uint64_t *max_ticks = (uint64_t *)(exported + 1);
    uint32_t *function = (uint32_t *)(max_ticks + info->functions);
    info->function_max_ticks = max_ticks;
    info->function = function;
    info->function_calls = function + info->functions;
    info->columns = (const uint8_t *)(info->function_calls + info->functions);
    info->values = info->columns + info->columns_size;
}

/* The functions of the completed rows. */
static void put_functions(struct exported *exported, const struct functions *functions)
{
    struct ct_chunk *info = &exported->info;
    info->functions = 0;
    for (uint32_t i = 0; i < functions->count; i++)
        info->functions += functions_chunk_calls(&functions->slots[i]) != 0;
    set_pointers(exported);

    uint64_t *max_ticks = (uint64_t *)info->function_max_ticks;
    uint32_t *function = (uint32_t *)info->function, *calls = (uint32_t *)info->function_calls;
    for (uint32_t i = 0; i < functions->count; i++) {
        const struct function_sums *slot = &functions->slots[i];
        if (!functions_chunk_calls(slot))
            continue;
        *function++ = slot->function;
        *calls++ = functions_chunk_calls(slot);
        *max_ticks++ = slot->chunk_max_ticks;
    }
}

static void describe(struct ct_chunk *info, const struct thread *thread, bool is_final)
{
    const struct chunk *chunk = &thread->chunk;
    uint32_t min_depth = chunk->start_depth - chunk->late_count;
    *info = (struct ct_chunk){
        .thread = thread->number,
        .number = chunk->number,
        .rows = chunk_rows(chunk),
        .late_rows = chunk->late_count,
        .open_rows = chunk_rows(chunk) - chunk->tails.count,
        .is_final = is_final,
        .min_depth = min_depth,
        .max_depth = chunk->max_depth,
        .first_call = chunk->leads.count ? chunk->first_call : 0,
        /* The calls below the late rows have been open all the time. */
        .base_call = thread->stack[min_depth].call,
        .start_ticks = chunk->first_start,
        .end_ticks = thread->last_ticks,
    };
    if (chunk->late_count) {
        info->late_first_call = chunk->late[chunk->late_count - 1].call;
        info->late_last_call = chunk->late[0].call;
        info->start_ticks = chunk->late[chunk->late_count - 1].start_ticks;
    }
}

/* Behind the columns, whose size is known. */
static void put_values(struct exported *exported, const struct values *values)
{
    exported->info.values_size = values->size;
    set_pointers(exported);
    if (values->size)
        memcpy((uint8_t *)exported->info.values, values->bytes, values->size);
}

/* Takes the room that is not needed away. */
static struct exported *fit(struct exported *exported)
{
    const struct ct_chunk *info = &exported->info;
    size_t size = (size_t)(info->values - (const uint8_t *)exported) + info->values_size;
    struct exported *fitting = realloc(exported, size);
    if (!fitting)
        return exported;
    set_pointers(fitting);
    return fitting;
}

static void append(struct exports *exports, struct exported *exported)
{
    exported->next = NULL;
    if (exports->last)
        exports->last->next = exported;
    else
        exports->first = exported;
    exports->last = exported;
    exports->bytes += exported->info.columns_size + exported->info.values_size;
}

void exports_add(struct exports *exports, struct thread *thread, bool is_final)
{
    struct exported *exported = exports->spare;
    exports->spare = exported->next;
    exports->spare_count--;

    describe(&exported->info, thread, is_final);
    put_functions(exported, &thread->functions);
    exported->info.columns_size =
        columns_encode(&thread->chunk, &exports->finder, (uint8_t *)exported->info.columns);
    put_values(exported, &thread->chunk.values);
    append(exports, fit(exported));
    thread->chunk.is_changed = false;
    if (is_final) {
        chunk_begin(&thread->chunk, thread->chunk.number + 1, thread->depth, thread->last_ticks,
                    thread->calls + 1);
        functions_begin_chunk(&thread->functions);
    }
}

uint64_t ct_trace_pending_bytes(const struct ct_trace *trace)
{
    return trace->exports.bytes;
}

int ct_trace_first_chunk(struct ct_trace *trace, struct ct_chunk *out)
{
    if (!trace->exports.first)
        return 0;
    *out = trace->exports.first->info;
    return 1;
}

void ct_trace_drop_chunk(struct ct_trace *trace)
{
    struct exports *exports = &trace->exports;
    struct exported *oldest = exports->first;
    if (!oldest)
        return;
    exports->first = oldest->next;
    if (!exports->first)
        exports->last = NULL;
    exports->bytes -= oldest->info.columns_size + oldest->info.values_size;
    free(oldest);
}
