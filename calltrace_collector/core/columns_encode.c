/* Writes a chunk's columns; the layout is in columns.h. */
#include "calltrace_collector/core/columns.h"
#include "calltrace_collector/core/varint.h"

#include <string.h>

static uint8_t *put_sparse(uint8_t *at, const struct sparse *sparse)
{
    at = varint_write(at, sparse->count);
    for (uint32_t i = 0, next = 0; i < sparse->count; next = sparse->items[i++].position + 1) {
        at = varint_write(at, sparse->items[i].position - next);
        at = varint_write(at, sparse->items[i].value);
    }
    return at;
}

static uint8_t *put_ticks(uint8_t *at, const struct ticks_column *column)
{
    uint32_t count = column->count;
    uint16_t any = 0;
    for (uint32_t i = 0; i < count; i++)
        any |= column->low[i];
    unsigned planes = (any != 0) + (any > 0xff);
    at = varint_write(at, planes);
    for (unsigned plane = 0; plane < planes; plane++, at += count)
        for (uint32_t i = 0; i < count; i++)
            at[i] = (uint8_t)(column->low[i] >> (8 * plane));
    return put_sparse(at, &column->high);
}

static uint8_t *put_pops(uint8_t *at, const struct chunk *chunk)
{
    if (chunk->leads.count)
        memcpy(at, chunk->pops, chunk->leads.count);
    return put_sparse(at + chunk->leads.count, &chunk->wide_pops);
}

/* The late rows were added deepest first: their call numbers descend. */
static uint8_t *put_late(uint8_t *at, const struct chunk *chunk)
{
    uint64_t call = 0, start = 0;
    for (uint32_t i = chunk->late_count; i-- > 0; call = chunk->late[i].call)
        at = varint_write(at, chunk->late[i].call - call);
    for (uint32_t i = chunk->late_count; i-- > 0; start = chunk->late[i].start_ticks) {
        bool is_first = i + 1 == chunk->late_count;
        at = varint_write(at, is_first ? chunk->start_ticks - chunk->late[i].start_ticks
                                       : chunk->late[i].start_ticks - start);
    }
    for (uint32_t i = chunk->late_count; i-- > 0;)
        at = varint_write(at, chunk->late[i].self_ticks);
    for (uint32_t i = chunk->late_count; i-- > 0;)
        at = varint_write(at, chunk->late[i].site);
    return at;
}

size_t columns_encode(const struct chunk *chunk, struct edge_finder *finder, uint8_t *out)
{
    uint8_t *at = varint_write(out, COLUMNS_FORMAT);
    at = varint_write(at, chunk->start_depth - chunk->late_count);
    at = varint_write(at, chunk->start_ticks);
    at = varint_write(at, chunk->tails.count);
    at = put_ticks(at, &chunk->leads);
    at = put_ticks(at, &chunk->tails);
    at = put_pops(at, chunk);
    at = put_sparse(at, &chunk->statuses);
    at = put_late(at, chunk);
    at = edges_encode(finder, chunk, at);
    return (size_t)(at - out);
}
