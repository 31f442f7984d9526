/* The sites of a chunk's calls as edges of its call graph.
 *
 * A caller has few callees, so which of its callees a call is says the same as its site, in a number that is
 * small and mostly 0. The call graph stands before the numbers:
 *
 *     varint number of callers; for each, by site: varint site + 1 less that of the caller before (0:
 * outside, for the chunk's shallowest calls); varint number of callees; for each, in the order of their first
 *         calls: its site less that of the callee before, zigzag as protobuf's sint64
 *     plane of min(callee, 255), an element for each call entered; sparse: callee - 255 */
#ifndef CALLTRACE_CORE_EDGES_H
#define CALLTRACE_CORE_EDGES_H

#include "calltrace_collector/core/chunk.h"
#include "calltrace_collector/core/reader.h"

/* ---- writing ---- */

struct edge {
    uint32_t caller; /* in `callers` */
    uint32_t site;
    uint32_t rank; /* among its caller's callees */
    uint32_t next; /* edge of the same caller */
};

struct caller {
    uint32_t site_plus_1; /* 0: outside */
    uint32_t callees;
    uint32_t first; /* edge */
    uint32_t last;
};

/* Room to find the edges of a chunk of at most `rows` rows. */
struct edge_finder {
    uint32_t rows;
    uint64_t seed;
    uint32_t *stack; /* site + 1 of the open calls */
    uint32_t *edge_of_row;
    struct edge *edges;
    struct caller *callers;
    uint32_t edge_count;
    uint32_t caller_count;
    uint64_t *keys;     /* of edges and callers; 0: free. Linear probing. */
    uint32_t *values;   /* their numbers */
    unsigned bits;      /* 2^bits places are used, */
    unsigned most_bits; /* and 2^most_bits are there */
};

/* The most that the sites of a chunk can need for each call entered. */
enum { EDGES_ROW_BYTES = 21 };

int edge_finder_init(struct edge_finder *finder, uint32_t rows, uint64_t seed);
void edge_finder_free(struct edge_finder *finder);

/* Writes the sites of the calls entered in the chunk. Returns what follows. */
uint8_t *edges_encode(struct edge_finder *finder, const struct chunk *chunk, uint8_t *at);

/* ---- reading ---- */

struct callee {
    uint32_t site;
    uint32_t group; /* of its own callees; the number of groups: none */
};

/* The callees of one caller. */
struct callee_group {
    uint32_t site_plus_1;
    uint32_t first; /* in `callees` */
    uint32_t count;
};

struct call_graph {
    struct callee_group *groups; /* and behind them one without callees, */
    struct callee *callees;      /* and behind them one that is none */
    uint32_t group_count;
    uint32_t callee_count;
};

/* Reads the call graph of a chunk in which `entered` calls were entered. The caller frees it, also after an
 * error: CT_ENOMEM, CT_EMALFORMED. */
int call_graph_read(struct call_graph *graph, struct reader *bytes, uint32_t entered);
void call_graph_free(struct call_graph *graph);

/* The group of a caller, by site + 1; group_count: it has no callees. */
uint32_t call_graph_group(const struct call_graph *graph, uint64_t site_plus_1);

#endif
