/* Writes the sites of a chunk's calls as edges of its call graph; see edges.h. */
#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/edges.h"

enum { FIRST_BITS = 8, WIDE = 255, NO_SITE = -1 };

static unsigned largest_bits(uint32_t rows)
{
    /* Every row may have an edge and a caller of its own, and half of the places must stay free. */
    unsigned bits = FIRST_BITS;
    while ((uint64_t)1 << bits < (uint64_t)rows * 4)
        bits++;
    return bits;
}

int edge_finder_init(struct edge_finder *finder, uint32_t rows, uint64_t seed)
{
    *finder = (struct edge_finder){.rows = rows, .seed = seed | 1, .most_bits = largest_bits(rows)};
    size_t places = (size_t)1 << finder->most_bits;
    finder->stack = malloc(((size_t)rows + 1) * sizeof(*finder->stack));
    finder->edge_of_row = malloc(rows * sizeof(*finder->edge_of_row));
    finder->edges = malloc(rows * sizeof(*finder->edges));
    finder->callers = malloc(rows * sizeof(*finder->callers));
    finder->keys = malloc(places * sizeof(*finder->keys));
    finder->values = malloc(places * sizeof(*finder->values));
    if (finder->stack && finder->edge_of_row && finder->edges && finder->callers && finder->keys &&
        finder->values)
        return 0;
    edge_finder_free(finder);
    return CT_ENOMEM;
}

void edge_finder_free(struct edge_finder *finder)
{
    free(finder->stack);
    free(finder->edge_of_row);
    free(finder->edges);
    free(finder->callers);
    free(finder->keys);
    free(finder->values);
    *finder = (struct edge_finder){0};
}

/* Never 0: there are less than 2^32 - 2 sites. A caller itself is its edge to site NO_SITE. */
static uint64_t key_of(uint32_t caller_plus_1, uint32_t site)
{
    return ((uint64_t)caller_plus_1 << 32 | site) + 1;
}

/* The key's place, or the free one where it belongs. */
static inline size_t find(const struct edge_finder *finder, uint64_t key)
{
    size_t mask = ((size_t)1 << finder->bits) - 1;
    size_t at = (key * finder->seed) >> (64 - finder->bits);
    while (finder->keys[at] != key && finder->keys[at])
        at = (at + 1) & mask;
    return at;
}

static void put(struct edge_finder *finder, uint64_t key, uint32_t value)
{
    size_t at = find(finder, key);
    finder->keys[at] = key;
    finder->values[at] = value;
}

static void use_places(struct edge_finder *finder, unsigned bits)
{
    finder->bits = bits;
    memset(finder->keys, 0, ((size_t)1 << bits) * sizeof(*finder->keys));
    for (uint32_t i = 0; i < finder->caller_count; i++)
        put(finder, key_of(finder->callers[i].site_plus_1, (uint32_t)NO_SITE), i);
    for (uint32_t i = 0; i < finder->edge_count; i++)
        put(finder, key_of(finder->callers[finder->edges[i].caller].site_plus_1, finder->edges[i].site), i);
}

static uint32_t caller_of(struct edge_finder *finder, uint32_t site_plus_1)
{
    uint64_t key = key_of(site_plus_1, (uint32_t)NO_SITE);
    size_t at = find(finder, key);
    if (finder->keys[at])
        return finder->values[at];
    uint32_t caller = finder->caller_count++;
    finder->callers[caller] = (struct caller){.site_plus_1 = site_plus_1};
    finder->keys[at] = key;
    finder->values[at] = caller;
    return caller;
}

static uint32_t __attribute__((noinline)) add_edge(struct edge_finder *finder, uint32_t caller_plus_1,
                                                   uint32_t site)
{
    if (((uint64_t)finder->edge_count + finder->caller_count + 2) * 2 > (uint64_t)1 << finder->bits)
        use_places(finder, finder->bits + 2 < finder->most_bits ? finder->bits + 2 : finder->most_bits);
    uint32_t number = caller_of(finder, caller_plus_1);
    struct caller *caller = &finder->callers[number];
    uint32_t edge = finder->edge_count++;
    finder->edges[edge] = (struct edge){.caller = number, .site = site, .rank = caller->callees++};
    if (caller->callees == 1)
        caller->first = edge;
    else
        finder->edges[caller->last].next = edge;
    caller->last = edge;
    put(finder, key_of(caller_plus_1, site), edge);
    return edge;
}

/* Finds the edge of each call entered. */
static void find_edges(struct edge_finder *finder, const struct chunk *chunk)
{
    uint32_t depth = chunk->late_count, wide = 0;
    finder->stack[0] = 0;
    for (uint32_t i = 0; i < depth; i++)
        finder->stack[depth - i] = chunk->late[i].site + 1;
    for (uint32_t i = 0; i < chunk->leads.count; i++) {
        depth -= chunk->pops[i];
        if (chunk->pops[i] == POPS_WIDE)
            depth -= (uint32_t)chunk->wide_pops.items[wide++].value;
        uint32_t caller_plus_1 = finder->stack[depth], site = chunk->sites[i];
        size_t at = find(finder, key_of(caller_plus_1, site));
        finder->edge_of_row[i] =
            finder->keys[at] ? finder->values[at] : add_edge(finder, caller_plus_1, site);
        finder->stack[++depth] = site + 1;
    }
}

static int compare_callers(const void *left, const void *right)
{
    uint32_t a = ((const struct caller *)left)->site_plus_1, b = ((const struct caller *)right)->site_plus_1;
    return (a > b) - (a < b);
}

static uint8_t *put_graph(struct edge_finder *finder, uint8_t *at)
{
    uint32_t before = 0;
    int64_t last_site = 0;
    qsort(finder->callers, finder->caller_count, sizeof(*finder->callers), compare_callers);
    at = varint_write(at, finder->caller_count);
    for (uint32_t i = 0; i < finder->caller_count; i++) {
        const struct caller *caller = &finder->callers[i];
        at = varint_write(at, caller->site_plus_1 - before);
        at = varint_write(at, caller->callees);
        before = caller->site_plus_1;
        for (uint32_t j = 0, edge = caller->first; j < caller->callees;
             j++, edge = finder->edges[edge].next) {
            at = varint_write(at, zigzag_encode((int64_t)finder->edges[edge].site - last_site));
            last_site = finder->edges[edge].site;
        }
    }
    return at;
}

static uint8_t *put_ranks(const struct edge_finder *finder, uint32_t count, uint8_t *at)
{
    uint32_t wide = 0, next = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rank = finder->edges[finder->edge_of_row[i]].rank;
        at[i] = (uint8_t)(rank < WIDE ? rank : WIDE);
        wide += rank >= WIDE;
    }
    const uint8_t *plane = at;
    at = varint_write(at + count, wide);
    for (uint32_t i = 0; wide && i < count; i++) {
        if (plane[i] != WIDE)
            continue;
        at = varint_write(at, i - next);
        at = varint_write(at, finder->edges[finder->edge_of_row[i]].rank - WIDE);
        next = i + 1;
    }
    return at;
}

uint8_t *edges_encode(struct edge_finder *finder, const struct chunk *chunk, uint8_t *at)
{
    finder->edge_count = finder->caller_count = 0;
    use_places(finder, FIRST_BITS);
    find_edges(finder, chunk);
    at = put_graph(finder, at);
    return put_ranks(finder, chunk->leads.count, at);
}
