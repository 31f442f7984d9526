/* What is refused as no capture program, whatever it is made of; and what is not, runs. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/agent/capture_trial.h"
#include "tests/agent/check.h"

#define PROGRAMS 400000u

static bool is_program(const uint8_t *bytes, size_t size)
{
    struct capture_hook hook = {.program = bytes, .size = (uint32_t)size};
    int status = capture_check(&hook, TRIAL_LIMIT);
    CHECK(status == 0 || status == -EINVAL);
    return status == 0;
}

#define REFUSED(...)                                                                                         \
    do {                                                                                                     \
        static const uint8_t bytes[] = {__VA_ARGS__};                                                        \
        CHECK(!is_program(bytes, sizeof bytes));                                                             \
    } while (0)

static void check_refusals(void)
{
    REFUSED(0);
    REFUSED(ITEM_FRAME);
    REFUSED(ITEM_FRAME + 1, OP_CONST8, 1, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_CONST8, 1, OP_END, ITEM_FRAME, OP_CONST8, 1, OP_END);
    REFUSED(ITEM_VALUE, 0, OP_CONST8, 1, OP_END);
    REFUSED(ITEM_VALUE, 17, OP_CONST8, 1, OP_END, OP_CONST8, 1, OP_END, OP_CONST8, 1, OP_END);
    REFUSED(ITEM_VALUE, 9, OP_CONST8, 1, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_CONST8, 1, OP_CONST8, 1, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_CONST8, 1, OP_ADD, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_CONST8, 1, OP_CONST8, 1, OP_SELECT, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_NOT, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_REGISTER, 16, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_XMM, 16, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_CONST8, 1, OP_LOAD, 3, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_CONST8, 1, OP_LOAD, 16, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_CONST8, 1, OP_ZERO, 8, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_CONST8, 1, OP_SIGN, 0, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_CONST8, 1, OP_CONST8, 1, OP_INSERT, 8, OP_END);
    REFUSED(ITEM_VALUE, 8, OP_COUNT, OP_END);
    REFUSED(ITEM_VALUE, 8, 0xff, OP_END);
    REFUSED(ITEM_MEMORY, 0, 0, OP_CONST8, 1, OP_END);
    REFUSED(ITEM_MEMORY, 1, 4, OP_CONST8, 1, OP_END);
    REFUSED(ITEM_STRING, OP_CONST8, 1, OP_END);

    static struct words w;
    put(&w, ITEM_VALUE, 1);
    put(&w, 8, 1);
    for (int i = 0; i < CAPTURE_DEPTH + 1; i++)
        put(&w, OP_CONST8 | 1 << 8, 2);
    for (int i = 0; i < CAPTURE_DEPTH; i++)
        put(&w, OP_ADD, 1);
    put(&w, OP_END, 1);
    CHECK(!is_program(w.bytes, w.size)); /* a number deeper than is allowed */
    w.size = 0;
    for (int i = 0; i < CAPTURE_MOST_ITEMS + 1; i++)
        put_register_item(&w, OP_REGISTER, 0, 1);
    CHECK(!is_program(w.bytes, w.size));
}

/* A program that is cut anywhere is none. */
static void check_cuts(void)
{
    struct words w = {.size = 0};
    put_register_item(&w, OP_REGISTER, 1, 8);
    size_t whole = w.size;
    put_memory_item(&w, 0, 5);
    put_text_item(&w, 0);
    for (size_t size = 1; size < w.size; size++) {
        uint8_t *exact = malloc(size);
        memcpy(exact, w.bytes, size);
        bool is_whole = size == whole || size == whole + 13;
        CHECK_EQUAL(is_program(exact, size), is_whole);
        free(exact);
    }
}

/* Any bytes at all are refused, or run and leave no more than they may. */
static void check_any_bytes(void)
{
    unsigned programs = 0;
    for (unsigned i = 0; i < PROGRAMS; i++) {
        struct words w = {.size = trial_random() % 40};
        for (size_t n = 0; n < w.size; n++)
            w.bytes[n] = (uint8_t)(trial_random() % 5 == 0 ? trial_random() : trial_random() % OP_COUNT);
        if (trial_random() % 2 == 0) { /* so that some are programs */
            w.bytes[0] = ITEM_VALUE;
            w.bytes[1] = 8;
            w.bytes[2] = OP_REGISTER;
            w.bytes[3] &= 15;
            w.size = w.size < 6 ? 6 : w.size;
            w.bytes[w.size - 1] = OP_END;
        }
        if (!is_program(w.bytes, w.size))
            continue;
        trial_run(&w, 0);
        programs++;
    }
    CHECK(programs > 100);
}

int main(void)
{
    check_refusals();
    check_cuts();
    check_any_bytes();
    return 0;
}
