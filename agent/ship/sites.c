#include "agent/ship/sites.h"

#include <errno.h>
#include <stdbool.h>

#include "agent/life/memory.h"

#define FIRST_SIZE_LOG2 10u
#define LARGEST_SIZE_LOG2 28u

static size_t table_bytes(uint32_t size_log2)
{
    return sizeof(struct site) << size_log2;
}

int sites_open(struct sites *sites, uint32_t first)
{
    *sites = (struct sites){.size_log2 = FIRST_SIZE_LOG2, .number = first};
    sites->table = memory_get(table_bytes(FIRST_SIZE_LOG2));
    return sites->table == NULL ? -ENOMEM : 0;
}

void sites_close(struct sites *sites)
{
    memory_put(sites->table, table_bytes(sites->size_log2));
    sites->table = NULL;
}

static struct site *free_place(const struct sites *sites, uint64_t function, uint64_t call_site)
{
    size_t mask = ((size_t)1 << sites->size_log2) - 1;
    size_t i = sites_hash(sites, function, call_site);
    while (sites->table[i].function != 0)
        i = (i + 1) & mask;
    return &sites->table[i];
}

static bool touches(const struct site *site, uint64_t start, uint64_t end)
{
    return site->function - start < end - start || site->call_site - start < end - start;
}

/* Takes the pair out of its place, and moves those behind it that would not be found any more (Knuth, volume
 * 3, 6.4, algorithm R). */
static void take_out(struct sites *sites, size_t hole)
{
    size_t mask = ((size_t)1 << sites->size_log2) - 1;
    for (size_t at = (hole + 1) & mask; sites->table[at].function != 0; at = (at + 1) & mask) {
        const struct site *site = &sites->table[at];
        size_t first = sites_hash(sites, site->function, site->call_site);
        if (((at - first) & mask) < ((at - hole) & mask))
            continue;
        sites->table[hole] = *site;
        hole = at;
    }
    sites->table[hole] = (struct site){0};
    sites->used--;
}

void sites_forget(struct sites *sites, uint64_t start, uint64_t end)
{
    for (size_t i = 0; i < (size_t)1 << sites->size_log2; i++)
        while (sites->table[i].function != 0 && touches(&sites->table[i], start, end))
            take_out(sites, i);
}

static int grow(struct sites *sites)
{
    struct sites larger = *sites;
    larger.size_log2++;
    if (larger.size_log2 > LARGEST_SIZE_LOG2)
        return -ENOMEM;
    larger.table = memory_get(table_bytes(larger.size_log2));
    if (larger.table == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < (size_t)1 << sites->size_log2; i++) {
        const struct site *site = &sites->table[i];
        if (site->function != 0)
            *free_place(&larger, site->function, site->call_site) = *site;
    }
    sites_close(sites);
    *sites = larger;
    return 0;
}

struct site *sites_add(struct sites *sites, uint64_t function, uint64_t call_site, int64_t frame_delta)
{
    if (sites->used >= 1u << (sites->size_log2 - 1) && grow(sites) < 0)
        return NULL;
    struct site *site = free_place(sites, function, call_site);
    *site = (struct site){function, call_site, frame_delta, sites->number++};
    sites->used++;
    return site;
}
