/* The sites of a traced process, and the numbers of their functions. */
#ifndef CALLTRACE_CORE_SITES_H
#define CALLTRACE_CORE_SITES_H

#include "calltrace_collector/core/core.h"

/* Leaves room for a number that stands for no site, and for numbers one larger. */
#define SITES_MAX (UINT32_MAX - 2)

struct site_table {
    struct ct_site *sites;
    size_t capacity;
    uint32_t count;
    uint32_t functions; /* how many function numbers are in use */
    /* Function number + 1 by function address: open addressing, linear probing. An entry of 0 is free. */
    struct function_entry {
        uint64_t address;
        uint32_t number_plus_1;
    } *entries;
    size_t entry_capacity; /* a power of two, or 0 */
    size_t entry_count;
    uint64_t seed; /* keeps a sender from choosing addresses that collide */
};

void site_table_init(struct site_table *table, uint64_t seed);
void site_table_free(struct site_table *table);

/* Appends sites, numbering the functions not seen before; what is in their `function` does not matter. On
 * an error (CT_ENOMEM, CT_ELIMIT) nothing is appended. */
int site_table_append(struct site_table *table, const struct ct_site *sites, uint32_t count,
                      const struct ct_limits *limits);

/* Takes back what the last site_table_append appended, given how many sites and functions there were before.
 */
void site_table_undo(struct site_table *table, uint32_t count, uint32_t functions);

/* Appends sites whose functions are numbered already. CT_ERANGE: a function number leaves a gap. */
int site_table_restore(struct site_table *table, const struct ct_site *sites, uint32_t count,
                       const struct ct_limits *limits);

/* Addresses seen from now on get new function numbers. */
void site_table_forget(struct site_table *table);

#endif
