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
    uint32_t late;    /* rows 0 ... late - 1 are late */
    uint32_t entered; /* the rows behind them */
    uint32_t ended;   /* number of tails */
    uint32_t min_depth;
    uint64_t base_call;
    uint64_t now;
    uint64_t *tails;
    uint32_t tail;   /* the next one */
    uint32_t *stack; /* open rows */
    uint32_t depth;  /* how many */
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

/* The pops go where the depths will be. */
static void read_pops(struct reader *bytes, uint32_t *pops, uint32_t count)
{
    const uint8_t *plane = read_bytes(bytes, count);
    if (!plane)
        return;
    for (uint32_t i = 0; i < count; i++)
        pops[i] = plane[i];
    for (struct sparse_reader wide = sparse_open(bytes, count); sparse_next(&wide);) {
        if (wide.value > CT_CHUNK_ROWS)
            bytes->failed = true;
        pops[wide.position] += (uint32_t)wide.value;
    }
}

static void read_sites(struct reader *bytes, uint32_t *sites, uint32_t count)
{
    uint64_t planes = read_at_most(bytes, sizeof(*sites));
    if (count)
        memset(sites, 0, count * sizeof(*sites));
    for (unsigned i = 0; i < planes; i++) {
        const uint8_t *plane = read_bytes(bytes, count);
        if (!plane)
            return;
        for (uint32_t row = 0; row < count; row++)
            sites[row] |= (uint32_t)plane[row] << (8 * i);
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
    if (replay->statuses.position == replay->tail) {
        rows->status[row] = (uint8_t)replay->statuses.value;
        replay->failed |= replay->statuses.value > CT_LOST || replay->statuses.value == CT_OPEN;
        if (!sparse_next(&replay->statuses))
            replay->statuses.position = UINT64_MAX;
    }
    replay->tail++;
}

static void enter_row(struct replay *replay, uint32_t row, uint64_t call)
{
    const struct ct_rows *rows = replay->rows;
    advance(replay, rows->start_ticks[row]); /* its lead is still there */
    rows->start_ticks[row] = replay->now;
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
    read_pops(bytes, rows->depth + replay->late, replay->entered);
    read_sites(bytes, rows->site + replay->late, replay->entered);
    replay->status_bytes = *bytes;
    for (struct sparse_reader statuses = sparse_open(bytes, replay->ended); sparse_next(&statuses);)
        continue;
    read_late(bytes, replay, first_call, &selfs);
    if (bytes->failed || bytes->at != bytes->end)
        return CT_EMALFORMED;

    size_t count = (size_t)replay->late + replay->entered;
    memset(rows->status, CT_OPEN, count * sizeof(*rows->status));
    memset(rows->duration_ticks, 0, count * sizeof(*rows->duration_ticks));
    memset(rows->self_ticks, 0, count * sizeof(*rows->self_ticks));
    replay->statuses = sparse_open(&replay->status_bytes, replay->ended);
    if (!sparse_next(&replay->statuses))
        replay->statuses.position = UINT64_MAX;
    replay->depth = replay->late;
    int status = run(replay, first_call);
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

int ct_chunk_decode(const struct ct_chunk *chunk, const uint8_t *columns, size_t size, struct ct_rows *out)
{
    struct reader bytes = reader_of(columns, size);
    if (chunk->rows > CT_CHUNK_ROWS || chunk->late_rows > chunk->rows)
        return CT_EMALFORMED;
    if (read_varint(&bytes) != COLUMNS_FORMAT)
        return CT_EMALFORMED;
    struct replay replay = {
        .rows = out,
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
    int status = CT_ENOMEM;
    if (replay.tails && replay.stack)
        status = read_columns(&replay, &bytes, chunk->first_call);
    free(replay.tails);
    free(replay.stack);
    return status;
}
