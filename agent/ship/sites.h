/*
 * Sites: each pair of function and call site gets a number the first time it is seen.
 */
#ifndef CALLTRACE_SHIP_SITES_H
#define CALLTRACE_SHIP_SITES_H

#include <stddef.h>
#include <stdint.h>

struct site {
    uint64_t function; /* 0: an empty place of the table */
    uint64_t call_site;
    int64_t frame_delta; /* of the first call through it */
    uint32_t number;
};

/* A hash table with open addressing, at most half full. */
struct sites {
    struct site *table;
    uint32_t size_log2;
    uint32_t used;   /* places taken */
    uint32_t number; /* that the next new site gets */
};

/* Starts with an empty table whose first site gets the number `first`. Returns 0 or -ENOMEM. */
int sites_open(struct sites *sites, uint32_t first);
void sites_close(struct sites *sites);

/* Forgets all pairs with an address from `start` up to `end`, not their numbers: these addresses mean other
 * code from now on. */
void sites_forget(struct sites *sites, uint64_t start, uint64_t end);

/* Adds a pair that is not in the table. Returns its place, or NULL when there is no memory. */
struct site *sites_add(struct sites *sites, uint64_t function, uint64_t call_site, int64_t frame_delta);

static inline size_t sites_hash(const struct sites *sites, uint64_t function, uint64_t call_site)
{
    /* Multiplicative (Knuth); the odd constants are from the golden ratio and sqrt(3). */
    uint64_t mixed = function * 0x9E3779B97F4A7C15ull ^ call_site * 0xBB67AE8584CAA73Bull;
    return (size_t)(mixed >> (64 - sites->size_log2));
}

/* The pair's place, or NULL when it is new. */
static inline struct site *sites_find(const struct sites *sites, uint64_t function, uint64_t call_site)
{
    size_t mask = ((size_t)1 << sites->size_log2) - 1;
    for (size_t i = sites_hash(sites, function, call_site);; i = (i + 1) & mask) {
        struct site *site = &sites->table[i];
        if (site->function == function && site->call_site == call_site)
            return site;
        if (site->function == 0)
            return NULL;
    }
}

#endif
