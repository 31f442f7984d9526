/* The sites of a traced process, and the numbers of their functions. */
#include "calltrace_collector/core/sites.h"

#include <stdlib.h>
#include <string.h>

#include "calltrace_collector/core/array.h"
#include "calltrace_collector/core/hash.h"

enum { SMALLEST_TABLE = 64 };

void site_table_init(struct site_table *table, uint64_t seed)
{
    *table = (struct site_table){.seed = seed};
}

void site_table_free(struct site_table *table)
{
    free(table->sites);
    free(table->entries);
}

/* The entry of the address, or the free one where it belongs. The table is never full. */
static struct function_entry *find(const struct site_table *table, uint64_t address)
{
    size_t mask = table->entry_capacity - 1;
    size_t at = hash_mix(address, table->seed) & mask;
    while (table->entries[at].number_plus_1 && table->entries[at].address != address)
        at = (at + 1) & mask;
    return &table->entries[at];
}

/* Makes the hash table large enough for `more` new functions, at most half full. */
static int reserve_entries(struct site_table *table, uint32_t more)
{
    size_t needed = (table->entry_count + more) * 2;
    if (needed <= table->entry_capacity)
        return 0;
    size_t capacity = table->entry_capacity ? table->entry_capacity : SMALLEST_TABLE;
    while (capacity < needed)
        capacity *= 2;

    struct site_table larger = *table;
    larger.entry_capacity = capacity;
    larger.entries = calloc(capacity, sizeof(*larger.entries));
    if (!larger.entries)
        return CT_ENOMEM;
    for (size_t i = 0; i < table->entry_capacity; i++)
        if (table->entries[i].number_plus_1)
            *find(&larger, table->entries[i].address) = table->entries[i];
    free(table->entries);
    *table = larger;
    return 0;
}

static int reserve(struct site_table *table, uint32_t count, const struct ct_limits *limits)
{
    if (count > limits->sites || table->count > limits->sites - count)
        return CT_ELIMIT;
    int status =
        array_reserve(&table->sites, &table->capacity, (size_t)table->count + count, sizeof(*table->sites));
    return status ? status : reserve_entries(table, count);
}

/* Newest first, so that no chain of entries is interrupted. */
void site_table_undo(struct site_table *table, uint32_t count, uint32_t functions)
{
    while (table->count > count) {
        const struct ct_site *site = &table->sites[--table->count];
        if (site->function >= functions && site->function == table->functions - 1) {
            *find(table, site->function_address) = (struct function_entry){0};
            table->entry_count--;
            table->functions--;
        }
    }
}

int site_table_append(struct site_table *table, const struct ct_site *sites, uint32_t count,
                      const struct ct_limits *limits)
{
    uint32_t old_count = table->count, old_functions = table->functions;
    int status = reserve(table, count, limits);
    if (status)
        return status;
    for (uint32_t i = 0; i < count; i++) {
        struct function_entry *entry = find(table, sites[i].function_address);
        if (!entry->number_plus_1) {
            if (table->functions >= limits->functions) {
                site_table_undo(table, old_count, old_functions);
                return CT_ELIMIT;
            }
            *entry = (struct function_entry){sites[i].function_address, ++table->functions};
            table->entry_count++;
        }
        struct ct_site *site = &table->sites[table->count++];
        *site = sites[i];
        site->function = entry->number_plus_1 - 1;
        site->reserved = 0;
    }
    return 0;
}

int site_table_restore(struct site_table *table, const struct ct_site *sites, uint32_t count,
                       const struct ct_limits *limits)
{
    uint32_t functions = table->functions;
    for (uint32_t i = 0; i < count; i++) {
        if (sites[i].function > functions)
            return CT_ERANGE;
        functions += sites[i].function == functions;
    }
    if (functions > limits->functions)
        return CT_ELIMIT;
    int status = reserve(table, count, limits);
    if (status)
        return status;
    for (uint32_t i = 0; i < count; i++) {
        struct function_entry *entry = find(table, sites[i].function_address);
        table->entry_count += entry->number_plus_1 == 0;
        *entry = (struct function_entry){sites[i].function_address, sites[i].function + 1};
        table->sites[table->count] = sites[i];
        table->sites[table->count++].reserved = 0;
    }
    table->functions = functions;
    return 0;
}

void site_table_forget(struct site_table *table)
{
    if (table->entry_count)
        memset(table->entries, 0, table->entry_capacity * sizeof(*table->entries));
    table->entry_count = 0;
}
