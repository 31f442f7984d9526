/* What capture programs read: memory and texts, wherever they end. */
#include <string.h>
#include <sys/mman.h>

#include "agent/record/capture_memory.h"
#include "tests/agent/capture_trial.h"
#include "tests/agent/check.h"

static struct trial run_text(const void *at)
{
    struct words w = {.size = 0};
    put_text_item(&w, (uint64_t)(uintptr_t)at);
    return trial_run(&w, 0);
}

static void check_text(const void *at, enum capture_status status, size_t length)
{
    struct trial result = run_text(at);
    CHECK_EQUAL(result.bytes[4], status);
    if (status != CAPTURE_OK && status != CAPTURE_CUT) {
        CHECK_EQUAL(result.size, 5);
        return;
    }
    CHECK_EQUAL(result.size, 7 + length);
    CHECK_EQUAL(result.bytes[5] | result.bytes[6] << 8, length);
    CHECK(memcmp(result.bytes + 7, at, length) == 0);
}

/* What names the call: the hook's own stack pointer, or what a program says, if it can be read. */
static void check_frames(void)
{
    uint64_t place = 0x7ffe0040;
    struct words w = {.size = 0};
    trial_registers.general[CAPTURE_STACK_POINTER] = 0x7ffe0000;
    put_register_item(&w, OP_REGISTER, 0, 8);
    CHECK_EQUAL(trial_run(&w, 0).frame, 0x7ffe0000);

    for (int is_readable = 0; is_readable < 2; is_readable++) {
        w.size = 0;
        put(&w, ITEM_FRAME, 1);
        put_constant(&w, is_readable ? (uint64_t)(uintptr_t)&place : 8);
        put(&w, OP_LOAD | 8 << 8 | OP_END << 16, 3);
        put_register_item(&w, OP_REGISTER, 0, 8);
        struct trial result = trial_run(&w, 0);
        CHECK_EQUAL(result.frame, is_readable ? place : 0x7ffe0000);
        CHECK_EQUAL(result.size, 4 + 1 + 8); /* it leaves nothing itself */
    }
    trial_registers.general[CAPTURE_STACK_POINTER] = 0;
}

/* Wherever strings lie at the end of what can be read, and whatever way they are read. */
static void check_texts(void)
{
    uint8_t *pages = trial_pages();
    for (int direct = 0; direct < 2; direct++) {
        if (direct)
            capture_memory_lasts((uint64_t)(uintptr_t)pages, (uint64_t)(uintptr_t)pages + TRIAL_PAGE);
        for (size_t length = 0; length <= TRIAL_LIMIT + 2; length++) {
            uint8_t *at = pages + TRIAL_PAGE - length - 1;
            memset(at, 'y', length);
            at[length] = 0;
            check_text(at, length <= TRIAL_LIMIT ? CAPTURE_OK : CAPTURE_CUT,
                       length <= TRIAL_LIMIT ? length : TRIAL_LIMIT);
            at[length] = 'y'; /* now it has no end before what cannot be read */
            if (length + 1 <= TRIAL_LIMIT)
                check_text(at, CAPTURE_UNREADABLE, 0);
            else
                check_text(at, CAPTURE_CUT, TRIAL_LIMIT);
        }
    }
    capture_memory_forget();
    check_text(NULL, CAPTURE_NULL, 0);
    check_text((const void *)8, CAPTURE_UNREADABLE, 0);
    check_text(pages + TRIAL_PAGE, CAPTURE_UNREADABLE, 0);
    check_text((const void *)(UINTPTR_MAX - 3), CAPTURE_UNREADABLE, 0);
    check_text((const void *)(1ull << 63), CAPTURE_UNREADABLE, 0);
    munmap(pages, 2 * TRIAL_PAGE);
}

static void check_string(uint64_t address, uint64_t length, enum capture_status status, size_t got)
{
    struct words w = {.size = 0};
    put(&w, ITEM_STRING, 1);
    put_constant(&w, address);
    put(&w, OP_END, 1);
    put_constant(&w, length);
    put(&w, OP_END, 1);
    struct trial result = trial_run(&w, 0);
    CHECK_EQUAL(result.bytes[4], status);
    if (status != CAPTURE_OK && status != CAPTURE_CUT)
        return;
    CHECK_EQUAL(result.bytes[5] | result.bytes[6] << 8, got);
    CHECK_EQUAL(result.size, 7 + got);
    CHECK(got == 0 || memcmp(result.bytes + 7, (const void *)(uintptr_t)address, got) == 0);
}

static void check_strings(void)
{
    uint8_t *pages = trial_pages();
    uint64_t end = (uint64_t)(uintptr_t)pages + TRIAL_PAGE;
    pages[TRIAL_PAGE - 10] = 0; /* of no account */
    check_string(end - 20, 20, CAPTURE_OK, 20);
    check_string(end - 20, 21, CAPTURE_UNREADABLE, 0);
    check_string(end - 100, TRIAL_LIMIT, CAPTURE_OK, TRIAL_LIMIT);
    check_string(end - 100, TRIAL_LIMIT + 1, CAPTURE_CUT, TRIAL_LIMIT);
    check_string(end - 100, UINT64_MAX, CAPTURE_CUT, TRIAL_LIMIT);
    check_string(end - 100, UINT64_MAX - 1, CAPTURE_CUT, TRIAL_LIMIT);
    check_string(end - 100, 0, CAPTURE_OK, 0);
    check_string(end, 0, CAPTURE_OK, 0);
    check_string(0, 0, CAPTURE_OK, 0);
    check_string(0, 1, CAPTURE_NULL, 0);
    munmap(pages, 2 * TRIAL_PAGE);
}

static void check_memory(void)
{
    uint8_t *pages = trial_pages();
    uint64_t end = (uint64_t)(uintptr_t)pages + TRIAL_PAGE;
    struct words w = {.size = 0};
    for (size_t i = 0; i < TRIAL_PAGE; i++)
        pages[i] = (uint8_t)trial_random();
    put_memory_item(&w, end - 24, 24);
    put_memory_item(&w, end - 24, 25);
    put_memory_item(&w, 0, 1);
    put_memory_item(&w, end, 1);
    struct trial result = trial_run(&w, 0);
    CHECK_EQUAL(result.size, 4 + 1 + 24 + 3);
    CHECK(result.bytes[4] == CAPTURE_OK && memcmp(result.bytes + 5, pages + TRIAL_PAGE - 24, 24) == 0);
    CHECK_EQUAL(result.bytes[29], CAPTURE_UNREADABLE);
    CHECK_EQUAL(result.bytes[30], CAPTURE_NULL);
    CHECK_EQUAL(result.bytes[31], CAPTURE_UNREADABLE);
    munmap(pages, 2 * TRIAL_PAGE);
}

/* A load that fails makes its own item unreadable, and no other. */
static void check_unreadable_item(void)
{
    struct words w = {.size = 0};
    put(&w, ITEM_VALUE, 1);
    put(&w, 8, 1);
    put_constant(&w, 0);
    put(&w, OP_LOAD, 1);
    put(&w, 8, 1);
    put_constant(&w, 5);
    put(&w, OP_ADD, 1);
    put(&w, OP_END, 1);
    put_register_item(&w, OP_REGISTER, 3, 2);
    struct trial result = trial_run(&w, 0);
    CHECK_EQUAL(result.size, 4 + 1 + 3);
    CHECK_EQUAL(result.bytes[4], CAPTURE_UNREADABLE);
    CHECK_EQUAL(result.bytes[5], CAPTURE_OK);
    CHECK(memcmp(result.bytes + 6, &trial_registers.general[3], 2) == 0);
}

/* What finds no room says so; what is smaller comes all the same. */
static void check_no_room(void)
{
    static uint8_t memory[CAPTURE_MEMORY_BYTES];
    struct words w = {.size = 0};
    memset(memory, 7, sizeof memory);
    for (int i = 0; i < 4; i++)
        put_memory_item(&w, (uint64_t)(uintptr_t)memory, CAPTURE_MEMORY_BYTES);
    put_register_item(&w, OP_REGISTER, 0, 16 - 8);
    put_text_item(&w, (uint64_t)(uintptr_t)"short");
    struct trial result = trial_run(&w, 0);
    CHECK_EQUAL(result.size, 4 + 3 * 1025 + 1 + 9 + 3 + 5);
    CHECK_EQUAL(result.bytes[4 + 3 * 1025], CAPTURE_NO_ROOM);
    CHECK_EQUAL(result.bytes[4 + 3 * 1025 + 1], CAPTURE_OK);
    CHECK_EQUAL(result.bytes[4 + 3 * 1025 + 10], CAPTURE_OK);

    w.size = 0; /* statuses alone, as many as there may be, and more than fits of all else */
    for (int i = 0; i < CAPTURE_MOST_ITEMS; i++)
        put_register_item(&w, OP_REGISTER, 0, 8);
    result = trial_run(&w, 0);
    CHECK(result.size > CAPTURE_BYTES - 9 && result.size <= CAPTURE_BYTES);
    CHECK_EQUAL(result.bytes[result.size - 1], CAPTURE_NO_ROOM);
}

int main(void)
{
    for (size_t i = 0; i < 16; i++)
        trial_registers.general[i] = trial_random();
    check_frames();
    check_texts();
    check_strings();
    check_memory();
    check_unreadable_item();
    check_no_room();
    return 0;
}
