/* A chunk's columns as bytes: what is stored (after compression) and read back.
 *
 * The columns are those of struct chunk, that is, the events of the thread taken apart by kind; all times are
 * differences between neighbouring events, small numbers that compress well. The rows are made from them by
 * replaying the events on a stack that begins with the late rows:
 *
 *     for each call entered: end `pops` calls, each `tail` ticks after the event before;
 *                            then enter it, `lead` ticks after the event before
 *     end the calls for which tails are left
 *
 * Whoever is still on the stack then is an open row. Parent, depth, duration and self time follow.
 *
 * Layout; varint is protobuf's, a plane is an array of bytes:
 *
 *     varint    COLUMNS_FORMAT
 *     varint    number of open calls below the shallowest row: the depth of the first late row, or, without
 *               late rows, of the first call entered
 *     varint    start: ticks of the event before the first
 *     varint    number of calls that ended
 *     leads     ticks, one for each call entered
 *     tails     ticks, one for each call that ended
 *     pops      numbers, one for each call entered
 *     statuses  sparse, by order of ending; what is not listed is CT_RETURNED
 *     late      by call number; four columns of varints: call numbers (first as it is, then differences),
 *               starts (first: ticks before `start`; then differences), self ticks, sites
 *     sites     the call graph, and each call's place in it: see edges.h
 *
 * and within these:
 *
 *     numbers   plane of min(number, 255); sparse: number - 255
 *     ticks     varint number of planes (0, 1 or 2) for the low 16 bits; planes, lowest byte first; sparse:
 *               bits 16 to 63
 *     sparse    varint count; for each: varint number of positions skipped, varint value */
#ifndef CALLTRACE_CORE_COLUMNS_H
#define CALLTRACE_CORE_COLUMNS_H

#include "calltrace_collector/core/chunk.h"
#include "calltrace_collector/core/core.h"
#include "calltrace_collector/core/edges.h"

enum { COLUMNS_FORMAT = 1 };

/* The most that the columns of a chunk of so many rows can need. A call that was entered needs most: 12 bytes
 * for its lead, 7 for its pops, EDGES_ROW_BYTES, 12 for its tail, 4 for its status. */
static inline size_t columns_max_bytes(uint32_t rows)
{
    return (size_t)rows * (35 + EDGES_ROW_BYTES) + 128;
}

/* Writes the columns to `out`, which has room for columns_max_bytes(). Returns their size. */
size_t columns_encode(const struct chunk *chunk, struct edge_finder *finder, uint8_t *out);

#endif
