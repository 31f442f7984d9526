/* Makes rows of a chunk's columns; the layout is in columns.h. Nothing of the columns is trusted. */
#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/columns.h"
#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/reader.h"

/* What is left of a sparse column of `length` positions. */
struct sparse_reader {
    struct reader *bytes;
    uint64_t left;
    uint64_t length;
    uint64_t next; /* smallest position possible */
    uint64_t position;
    uint64_t value;
};

struct replay {
    const struct ct_rows *rows;
    const struct ct_row_events *events; /* NULL: not wanted */
    uint32_t late;                      /* rows 0 ... late - 1 are late */
    uint32_t entered;                   /* the rows behind them */
    uint32_t ended;                     /* number of tails */
    uint32_t min_depth;
    uint64_t base_call;
    uint64_t now;
    uint64_t *tails;
    uint32_t tail;   /* the next one */
    uint32_t event;  /* entries and ends so far */
    uint32_t *stack; /* open rows */
    uint32_t depth;  /* how many */
    struct call_graph graph;
    uint32_t *groups; /* of the open rows' callees; [0] is that of the calls from outside */
    struct reader status_bytes;
    struct sparse_reader statuses;
    bool failed;
};

static struct sparse_reader sparse_open(struct reader *bytes, uint64_t length)
{
    return (struct sparse_reader){.bytes = bytes, .left = read_at_most(bytes, length), .length = length};
}

/* Position and value of the next item. False: there is none, or the bytes are malformed. */
static bool sparse_next(struct sparse_reader *sparse)
{
    if (!sparse->left)
        return false;
    sparse->left--;
    uint64_t skipped = read_at_most(sparse->bytes, sparse->length - sparse->next);
    sparse->value = read_varint(sparse->bytes);
    sparse->position = sparse->next + skipped;
    if (sparse->bytes->failed || sparse->position >= sparse->length) {
        sparse->bytes->failed = true;
        return false;
    }
    sparse->next = sparse->position + 1;
    return true;
}

static void read_ticks(struct reader *bytes, uint64_t *ticks, uint32_t count)
{
    uint64_t planes = read_at_most(bytes, 2);
    const uint8_t *low = planes > 0 ? read_bytes(bytes, count) : NULL;
    const uint8_t *high = planes > 1 ? read_bytes(bytes, count) : NULL;
    if (bytes->failed)
        return;
    if (high)
        for (uint32_t i = 0; i < count; i++)
            ticks[i] = low[i] | (uint64_t)high[i] << 8;
    else if (low)
        for (uint32_t i = 0; i < count; i++)
            ticks[i] = low[i];
    else if (count)
        memset(ticks, 0, count * sizeof(*ticks));
    for (struct sparse_reader wide = sparse_open(bytes, count); sparse_next(&wide);) {
        if (wide.value >> 48)
            bytes->failed = true;
        ticks[wide.position] |= wide.value << 16;
    }
}

/* Small numbers: a plane, and what is more. */
static void read_numbers(struct reader *bytes, uint32_t *numbers, uint32_t count)
{
    const uint8_t *plane = read_bytes(bytes, count);
    if (!plane)
        return;
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = plane[i];
    for (struct sparse_reader wide = sparse_open(bytes, count); sparse_next(&wide);) {
        if (wide.value > CT_CHUNK_ROWS)
            bytes->failed = true;
        numbers[wide.position] += (uint32_t)wide.value;
    }
}

/* Call number, start and site of the late rows; what they say of their self time stays in `bytes`. */
static void read_late(struct reader *bytes, const struct replay *replay, uint64_t first_call,
                      struct reader *selfs)
{
    const struct ct_rows *rows = replay->rows;
    uint64_t call = 0, start = replay->now;
    for (uint32_t i = 0; i < replay->late; i++) {
        uint64_t step = read_at_most(bytes, UINT64_MAX - call);
        call += step;
        if (!step || call <= replay->base_call || (replay->entered && call >= first_call))
            bytes->failed = true;
        rows->call[i] = call;
    }
    for (uint32_t i = 0; i < replay->late; i++) {
        start = i ? start + read_at_most(bytes, replay->now - start) : start - read_at_most(bytes, start);
        rows->start_ticks[i] = start;
    }
    *selfs = *bytes;
    for (uint32_t i = 0; i < replay->late; i++)
        read_varint(bytes);
    for (uint32_t i = 0; i < replay->late; i++)
        rows->site[i] = (uint32_t)read_at_most(bytes, UINT32_MAX);
    for (uint32_t i = 0; i < replay->late; i++) {
        rows->depth[i] = replay->min_depth + i;
        rows->parent[i] = i ? rows->call[i - 1] : replay->base_call;
        replay->stack[i] = i;
    }
}

static void advance(struct replay *replay, uint64_t ticks)
{
    replay->failed |= ticks > UINT64_MAX - replay->now;
    replay->now += ticks;
}

/* Ends the innermost open row; there is one, and a tail for it. */
static void end_row(struct replay *replay)
{
    const struct ct_rows *rows = replay->rows;
    uint32_t row = replay->stack[--replay->depth];
    advance(replay, replay->tails[replay->tail]);
    uint64_t duration = replay->now - rows->start_ticks[row];
    rows->duration_ticks[row] = duration;
    rows->self_ticks[row] += duration;
    if (replay->depth)
        rows->self_ticks[replay->stack[replay->depth - 1]] -= duration;
    rows->status[row] = CT_RETURNED;
    if (replay->events)
        replay->events->end[row] = replay->event;
    replay->event++;
    if (replay->statuses.position == replay->tail) {
        rows->status[row] = (uint8_t)replay->statuses.value;
        replay->failed |= replay->statuses.value > CT_LOST || replay->statuses.value == CT_OPEN;
        if (!sparse_next(&replay->statuses))
            replay->statuses.position = UINT64_MAX;
    }
    replay->tail++;
}

/* The callee with this rank in the innermost open row, which becomes the innermost. */
static uint32_t enter_callee(struct replay *replay, uint32_t rank)
{
    const struct callee_group *group = &replay->graph.groups[replay->groups[replay->depth]];
    bool is_there = rank < group->count;
    replay->failed |= !is_there;
    const struct callee *callee =
        &replay->graph.callees[is_there ? group->first + rank : replay->graph.callee_count];
    replay->groups[replay->depth + 1] = callee->group;
    return callee->site;
}

static void enter_row(struct replay *replay, uint32_t row, uint64_t call)
{
    const struct ct_rows *rows = replay->rows;
    rows->site[row] = enter_callee(replay, rows->site[row]); /* its rank is still there */
    advance(replay, rows->start_ticks[row]);                 /* its lead is still there */
    rows->start_ticks[row] = replay->now;
    if (replay->events)
        replay->events->entry[row] = replay->event;
    replay->event++;
    rows->call[row] = call;
    rows->depth[row] = replay->min_depth + replay->depth;
    rows->parent[row] = replay->depth ? rows->call[replay->stack[replay->depth - 1]] : replay->base_call;
    replay->stack[replay->depth++] = row;
}

/* Replays the events; see columns.h. */
static int run(struct replay *replay, uint64_t first_call)
{
    const struct ct_rows *rows = replay->rows;
    for (uint32_t i = 0; i < replay->entered; i++) {
        uint32_t pops = rows->depth[replay->late + i];
        if (pops > replay->depth || pops > replay->ended - replay->tail)
            return CT_EMALFORMED;
        while (pops--)
            end_row(replay);
        enter_row(replay, replay->late + i, first_call + i);
    }
    if (replay->ended - replay->tail > replay->depth)
        return CT_EMALFORMED;
    while (replay->tail < replay->ended)
        end_row(replay);
    /* A late row has ended, by definition. */
    if (replay->depth && replay->stack[0] < replay->late)
        return CT_EMALFORMED;
    for (uint32_t i = 0; i < replay->depth; i++)
        rows->self_ticks[replay->stack[i]] = 0;
    return replay->failed ? CT_EMALFORMED : 0;
}

/* A late row's callees may be in other chunks, so its self time is stored. */
static int put_late_selfs(const struct replay *replay, struct reader *selfs)
{
    for (uint32_t i = 0; i < replay->late; i++)
        replay->rows->self_ticks[i] = read_at_most(selfs, replay->rows->duration_ticks[i]);
    return selfs->failed ? CT_EMALFORMED : 0;
}

static int read_columns(struct replay *replay, struct reader *bytes, uint64_t first_call)
{
    const struct ct_rows *rows = replay->rows;
    struct reader selfs;

    read_ticks(bytes, rows->start_ticks + replay->late, replay->entered);
    read_ticks(bytes, replay->tails, replay->ended);
    /* The pops and the ranks go where the depths and the sites will be. */
    read_numbers(bytes, rows->depth + replay->late, replay->entered);
    replay->status_bytes = *bytes;
    for (struct sparse_reader statuses = sparse_open(bytes, replay->ended); sparse_next(&statuses);)
        continue;
    read_late(bytes, replay, first_call, &selfs);
    int status = call_graph_read(&replay->graph, bytes, replay->entered);
    if (status)
        return status;
    read_numbers(bytes, rows->site + replay->late, replay->entered);
    if (bytes->failed || bytes->at != bytes->end)
        return CT_EMALFORMED;
    replay->groups[0] = call_graph_group(&replay->graph, 0);
    for (uint32_t i = 0; i < replay->late; i++)
        replay->groups[i + 1] = call_graph_group(&replay->graph, (uint64_t)rows->site[i] + 1);

    size_t count = (size_t)replay->late + replay->entered;
    memset(rows->status, CT_OPEN, count * sizeof(*rows->status));
    for (size_t i = 0; replay->events && i < count; i++)
        replay->events->entry[i] = replay->events->end[i] = CT_NO_EVENT;
    memset(rows->duration_ticks, 0, count * sizeof(*rows->duration_ticks));
    memset(rows->self_ticks, 0, count * sizeof(*rows->self_ticks));
    replay->statuses = sparse_open(&replay->status_bytes, replay->ended);
    if (!sparse_next(&replay->statuses))
        replay->statuses.position = UINT64_MAX;
    replay->depth = replay->late;
    status = run(replay, first_call);
    return status ? status : put_late_selfs(replay, &selfs);
}

/* Whether what the chunk says of itself is possible. */
static bool is_plausible(const struct ct_chunk *chunk, const struct replay *replay)
{
    if (!chunk->rows)
        return false;
    if (replay->entered &&
        (chunk->first_call <= chunk->base_call || chunk->first_call > UINT64_MAX - replay->entered))
        return false;
    return (chunk->base_call == 0) == (replay->min_depth == 0);
}

int ct_chunk_decode(const struct ct_chunk *chunk, const uint8_t *columns, size_t size, struct ct_rows *out,
                    struct ct_row_events *events)
{
    struct reader bytes = reader_of(columns, size);
    if (chunk->rows > CT_CHUNK_ROWS || chunk->late_rows > chunk->rows)
        return CT_EMALFORMED;
    if (read_varint(&bytes) != COLUMNS_FORMAT)
        return CT_EMALFORMED;
    struct replay replay = {
        .rows = out,
        .events = events,
        .late = chunk->late_rows,
        .entered = chunk->rows - chunk->late_rows,
        .base_call = chunk->base_call,
    };
    replay.min_depth = (uint32_t)read_at_most(&bytes, UINT32_MAX - CT_CHUNK_ROWS);
    replay.now = read_varint(&bytes);
    replay.ended = (uint32_t)read_at_most(&bytes, chunk->rows);
    if (bytes.failed || !is_plausible(chunk, &replay))
        return CT_EMALFORMED;

    replay.tails = malloc(chunk->rows * sizeof(*replay.tails));
    replay.stack = malloc(chunk->rows * sizeof(*replay.stack));
    replay.groups = malloc(((size_t)chunk->rows + 1) * sizeof(*replay.groups));
    int status = CT_ENOMEM;
    if (replay.tails && replay.stack && replay.groups)
        status = read_columns(&replay, &bytes, chunk->first_call);
    free(replay.tails);
    free(replay.stack);
    free(replay.groups);
    call_graph_free(&replay.graph);
    return status;
}
