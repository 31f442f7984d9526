/* The table of hooks that capture, while one thread changes it and another looks things up. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "agent/life/sys.h"
#include "agent/record/capture_table.h"
#include "tests/agent/check.h"
#include "tests/agent/faults.h"

#define LIMIT 64u
#define HOOKS 5000u
#define BASE 0x10000000ull
#define LAST_BASE 0x20000000ull

/* A value of a register that depends on the number. */
static const uint8_t *program_of(uint64_t number)
{
    static _Thread_local uint8_t program[5];
    const uint8_t bytes[5] = {ITEM_VALUE, 8, OP_REGISTER, number & 15, OP_END};
    memcpy(program, bytes, sizeof program);
    return program;
}

static uint64_t address_of(uint64_t base, uint64_t number)
{
    return base + number * 7;
}

static int add(uint64_t base, uint64_t number)
{
    struct capture_hook hook = {
        .return_address = address_of(base, number),
        .function = number + 1,
        .load_bias = base,
        .program = program_of(number),
        .size = 5,
        .layout = (uint32_t)number,
    };
    return capture_table_add(&hook, LIMIT);
}

static void check_hook(const struct capture_hook *hook, uint64_t base, uint64_t number)
{
    CHECK(hook != NULL);
    CHECK_EQUAL(hook->return_address, address_of(base, number));
    CHECK_EQUAL(hook->function, number + 1);
    CHECK_EQUAL(hook->load_bias, base);
    CHECK_EQUAL(hook->layout, number);
    CHECK_EQUAL(hook->items, 1);
    CHECK(hook->room >= 4 + 9);
    CHECK(memcmp(hook->program, program_of(number), 5) == 0);
}

static void check_all(uint64_t base, bool are_there)
{
    for (uint64_t i = 0; i < HOOKS; i++) {
        const struct capture_hook *hook = capture_table_find(address_of(base, i));
        if (are_there)
            check_hook(hook, base, i);
        else
            CHECK(hook == NULL);
        CHECK(capture_table_find(address_of(base, i) + 1) == NULL);
    }
}

static atomic_uint added;
static atomic_bool is_done;

/* What was there before this thread began to look must be there, and right, whatever else changes. */
static void *look(void *unused)
{
    (void)unused;
    uint64_t looked = 0;
    while (!atomic_load(&is_done) || looked == 0) {
        unsigned before = atomic_load(&added);
        for (uint64_t i = looked % 3; i < before; i += 3)
            check_hook(capture_table_find(address_of(BASE, i)), BASE, i);
        looked++;
    }
    return NULL;
}

static void check_growth(void)
{
    pthread_t looker;
    CHECK_EQUAL(pthread_create(&looker, NULL, look, NULL), 0);
    for (unsigned i = 0; i < HOOKS; i++) {
        CHECK_EQUAL(add(BASE, i), 0);
        atomic_store(&added, i + 1);
        CHECK_EQUAL(add(LAST_BASE, i), 0);
    }
    capture_table_remove(LAST_BASE, LAST_BASE + HOOKS * 7);
    atomic_store(&is_done, true);
    CHECK_EQUAL(pthread_join(looker, NULL), 0);
    check_all(BASE, true);
    check_all(LAST_BASE, false);
}

static void check_settled(void)
{
    CHECK(!capture_table_is_settled(0x5000));
    CHECK_EQUAL(capture_table_settle(0x5000, 0x6000), 0);
    CHECK_EQUAL(capture_table_settle(0x8000, 0x9000), 0);
    CHECK(capture_table_is_settled(0x5000) && capture_table_is_settled(0x5fff));
    CHECK(capture_table_is_settled(0x8000) && capture_table_is_settled(0x8fff));
    CHECK(!capture_table_is_settled(0x4fff) && !capture_table_is_settled(0x6000));
    CHECK(!capture_table_is_settled(0) && !capture_table_is_settled(UINT64_MAX));
    capture_table_remove(0x5000, 0x6000);
    CHECK(!capture_table_is_settled(0x5000));
    CHECK(capture_table_is_settled(0x8000));
    CHECK_EQUAL(capture_table_settle(0x6000, 0x7000), 0);
    CHECK(capture_table_is_settled(0x6fff) && !capture_table_is_settled(0x5fff));
    unsigned places = 0;
    while (capture_table_settle(0x100000 + places * 0x1000ull, 0x101000 + places * 0x1000ull) == 0)
        places++;
    CHECK(places > 1000 && capture_table_is_settled(0x100000 + places * 0x1000ull - 1));
}

static void come_and_go(uint64_t base)
{
    for (uint64_t number = 0; number < 300; number++)
        CHECK_EQUAL(add(base, number), 0);
    for (uint64_t number = 0; number < 300; number++)
        check_hook(capture_table_find(address_of(base, number)), base, number);
    capture_table_remove(base, base + 300 * 7);
    CHECK(capture_table_find(address_of(base, 299)) == NULL);
}

/* Libraries that come and go do not use up memory for ever, even if always to other addresses. */
static void check_comings_and_goings(void)
{
    uint64_t base = LAST_BASE;
    for (unsigned i = 0; i < 1000; i++, base += 0x100000)
        come_and_go(base);
    faults_set(SYS_mmap, 0, -ENOMEM, true);
    for (unsigned i = 0; i < 300; i++, base += 0x100000)
        come_and_go(base);
    CHECK(!faults_clear());
    check_all(BASE, true);
}

static void check_refusals(void)
{
    struct capture_hook hook = {.return_address = 5, .function = 6, .program = program_of(1), .size = 4};
    CHECK_EQUAL(capture_table_add(&hook, LIMIT), -EINVAL);
    hook.size = 5;
    hook.function = 0;
    CHECK_EQUAL(capture_table_add(&hook, LIMIT), -EINVAL);
    hook.function = 6;
    hook.return_address = 0;
    CHECK_EQUAL(capture_table_add(&hook, LIMIT), -EINVAL);
    CHECK(capture_table_find(0) == NULL && capture_table_find(5) == NULL);
}

/* Without memory nothing is added, and what was there stays. */
static void check_without_memory(void)
{
    uint64_t number = HOOKS;
    faults_set(SYS_mmap, 0, -ENOMEM, true);
    while (add(BASE, number) == 0)
        number++;
    CHECK(faults_clear());
    CHECK(capture_table_find(address_of(BASE, number)) == NULL);
    check_all(BASE, true);
    CHECK_EQUAL(add(BASE, number), 0);
    check_hook(capture_table_find(address_of(BASE, number)), BASE, number);
}

int main(void)
{
    check_refusals();
    check_growth();
    check_settled();
    check_comings_and_goings();
    check_without_memory();
    capture_table_forget();
    check_all(BASE, false);
    CHECK(!capture_table_is_settled(0x8000));
    return 0;
}
