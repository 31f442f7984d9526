/* Sites: numbers for pairs of function and call site. */
#include "agent/ship/sites.h"

#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/agent/check.h"
#include "tests/agent/faults.h"

#define MANY 200000u

/* The pair that is added as number n; a function has five call sites. */
static uint64_t function_of(uint32_t n)
{
    return 0x400000 + (n / 5) * 16;
}

static uint64_t call_site_of(uint32_t n)
{
    return n % 5 == 0 ? 0 : 0x500000 + n % 5;
}

static void check_pairs(const struct sites *sites, uint32_t count, uint32_t first)
{
    for (uint32_t n = 0; n < count; n++) {
        const struct site *site = sites_find(sites, function_of(n), call_site_of(n));
        CHECK(site != NULL);
        CHECK_EQUAL(site->number, first + n);
        CHECK_EQUAL(site->frame_delta, -(int64_t)n);
        CHECK(site->function == function_of(n) && site->call_site == call_site_of(n));
    }
}

static void add_pairs(struct sites *sites, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        CHECK(sites_find(sites, function_of(n), call_site_of(n)) == NULL);
        struct site *site = sites_add(sites, function_of(n), call_site_of(n), -(int64_t)n);
        CHECK(site != NULL && site == sites_find(sites, function_of(n), call_site_of(n)));
    }
}

static void test_many(void)
{
    struct sites sites;
    CHECK_EQUAL(sites_open(&sites, 70), 0);
    add_pairs(&sites, MANY);
    check_pairs(&sites, MANY, 70);
    CHECK_EQUAL(sites.number, 70 + MANY);
    /* Half full at most, so that looking for a new pair ends, and soon. */
    CHECK(sites.used * 2 <= 1u << sites.size_log2);
    CHECK(sites_find(&sites, 0x400000 + 1, 0) == NULL);
    CHECK(sites_find(&sites, 0x500001, 0x400000) == NULL);
    sites_close(&sites);
}

static void test_forget(void)
{
    struct sites sites;
    CHECK_EQUAL(sites_open(&sites, 0), 0);
    add_pairs(&sites, 3000);
    sites_forget(&sites, 0, UINT64_MAX);
    add_pairs(&sites, 100);
    check_pairs(&sites, 100, 3000); /* numbers are never used again */
    sites_close(&sites);
}

static void test_forget_a_part(void)
{
    struct sites sites;
    CHECK_EQUAL(sites_open(&sites, 0), 0);
    add_pairs(&sites, 3000);
    sites_forget(&sites, function_of(1000), function_of(2000));
    CHECK_EQUAL(sites.used, 2000);
    for (uint32_t n = 0; n < 3000; n++) {
        const struct site *site = sites_find(&sites, function_of(n), call_site_of(n));
        CHECK((site != NULL) == (n < 1000 || n >= 2000));
        CHECK(site == NULL || site->number == n);
    }
    sites_forget(&sites, call_site_of(1), call_site_of(3)); /* two of five call sites */
    CHECK_EQUAL(sites.used, 1200);
    CHECK(sites_find(&sites, function_of(1), call_site_of(1)) == NULL);
    CHECK(sites_find(&sites, function_of(1), call_site_of(3)) != NULL);
    CHECK_EQUAL(sites.number, 3000);
    sites_close(&sites);
}

/* Pairs that all belong at the same place of the table. */
static void test_collisions(void)
{
    struct sites sites;
    uint64_t functions[300];
    uint32_t count = 0;
    CHECK_EQUAL(sites_open(&sites, 0), 0);
    size_t place = ((size_t)1 << sites.size_log2) - 1; /* the last one, so that the search wraps around */
    for (uint64_t function = 1; count < 300; function++)
        if (sites_hash(&sites, function, 7) == place)
            functions[count++] = function;
    for (uint32_t i = 0; i < count; i++)
        CHECK(sites_add(&sites, functions[i], 7, 0) != NULL);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQUAL(sites_find(&sites, functions[i], 7)->number, i);
    for (uint32_t i = 0; i < count; i += 3)
        sites_forget(&sites, functions[i], functions[i] + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct site *site = sites_find(&sites, functions[i], 7);
        CHECK((site == NULL) == (i % 3 == 0));
        CHECK(site == NULL || site->number == i);
    }
    sites_close(&sites);
}

static void test_no_memory(void)
{
    struct sites sites;
    faults_set(SYS_mmap, 0, -12, true);
    CHECK_EQUAL(sites_open(&sites, 0), -12);
    CHECK(faults_clear());

    /* When the table cannot grow, what is in it stays; and it grows when there is memory again. */
    CHECK_EQUAL(sites_open(&sites, 0), 0);
    faults_set(SYS_mmap, 0, -12, true);
    uint32_t added = 0;
    while (sites_add(&sites, function_of(added), call_site_of(added), -(int64_t)added) != NULL)
        added++;
    CHECK(faults_clear());
    CHECK_EQUAL(added, 1u << (sites.size_log2 - 1));
    check_pairs(&sites, added, 0);
    CHECK_EQUAL(sites.number, added);
    CHECK(sites_add(&sites, function_of(added), call_site_of(added), -(int64_t)added) != NULL);
    check_pairs(&sites, added + 1, 0);
    sites_close(&sites);
}

int main(void)
{
    test_many();
    test_forget();
    test_forget_a_part();
    test_collisions();
    test_no_memory();
    return 0;
}
