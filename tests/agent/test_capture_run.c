/* What the operations of capture programs compute, against what C does. */
#include <fenv.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/agent/capture_trial.h"
#include "tests/agent/check.h"

#define ROUNDS 200000u
#define SIZE_OF_STATUS 1

/* A number that is often one at which something changes. */
static uint64_t number(void)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   2,
                                   63,
                                   64,
                                   0x7f,
                                   0x80,
                                   0xff,
                                   0x7fff,
                                   0x8000,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   INT64_MAX,
                                   1ull << 63,
                                   UINT64_MAX,
                                   UINT64_MAX - 1,
                                   0x3ff0000000000000,
                                   0x7ff0000000000000,
                                   0x7ff8000000000000,
                                   0x7ff0000000000001,
                                   0x3f800000,
                                   0x7f800000,
                                   0x7f800001,
                                   0x43e0000000000000};
    uint64_t random = trial_random();
    return random % 3 == 0 ? odd[(random >> 8) % (sizeof odd / sizeof odd[0])]
                           : trial_random() >> random % 60;
}

static uint64_t of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double as_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float as_float(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

/* What the C language says of an operation on a, b and c, of which c is the topmost. */
static uint64_t in_c(enum capture_op op, unsigned size, uint64_t a, uint64_t b, uint64_t c)
{
    switch (op) {
    case OP_ZERO:
        return size == 1 ? (uint8_t)c : size == 2 ? (uint16_t)c : (uint32_t)c;
    case OP_SIGN:
        return (uint64_t)(int64_t)(size == 1 ? (int8_t)c : size == 2 ? (int16_t)c : (int32_t)c);
    case OP_NOT:
        return ~c;
    case OP_NEGATE:
        return 0 - c;
    case OP_ADD:
        return b + c;
    case OP_SUBTRACT:
        return b - c;
    case OP_MULTIPLY:
        return b * c;
    case OP_AND:
        return b & c;
    case OP_OR:
        return b | c;
    case OP_XOR:
        return b ^ c;
    case OP_SHIFT_LEFT:
        return b << c % 64;
    case OP_SHIFT_RIGHT:
        return b >> c % 64;
    case OP_SHIFT_SIGNED:
        return (uint64_t)((int64_t)b >> c % 64);
    case OP_EQUAL:
        return b == c;
    case OP_NOT_EQUAL:
        return b != c;
    case OP_LESS:
        return (int64_t)b < (int64_t)c;
    case OP_LESS_EQUAL:
        return (int64_t)b <= (int64_t)c;
    case OP_BELOW:
        return b < c;
    case OP_BELOW_EQUAL:
        return b <= c;
    case OP_SELECT:
        return a ? b : c;
    case OP_INSERT:
        memcpy(&b, &c, size);
        return b;
    case OP_ADD_D:
        return of_double(as_double(b) + as_double(c));
    case OP_SUBTRACT_D:
        return of_double(as_double(b) - as_double(c));
    case OP_MULTIPLY_D:
        return of_double(as_double(b) * as_double(c));
    case OP_DIVIDE_D:
        return of_double(as_double(b) / as_double(c));
    case OP_ADD_F:
        return of_float(as_float(b) + as_float(c));
    case OP_SUBTRACT_F:
        return of_float(as_float(b) - as_float(c));
    case OP_MULTIPLY_F:
        return of_float(as_float(b) * as_float(c));
    case OP_DIVIDE_F:
        return of_float(as_float(b) / as_float(c));
    case OP_F_TO_D:
        return of_double((double)as_float(c));
    case OP_D_TO_F:
        return of_float((float)as_double(c));
    case OP_I64_TO_D:
        return of_double((double)(int64_t)c);
    case OP_I64_TO_F:
        return of_float((float)(int64_t)c);
    case OP_I32_TO_D:
        return of_double((double)(int32_t)c);
    case OP_I32_TO_F:
        return of_float((float)(int32_t)c);
    /* Beyond the range C says nothing; the processor gives the lowest number. */
    case OP_D_TO_I64:
        return fabs(as_double(c)) < 0x1p63 ? (uint64_t)(int64_t)as_double(c) : 1ull << 63;
    case OP_F_TO_I64:
        return fabsf(as_float(c)) < 0x1p63f ? (uint64_t)(int64_t)as_float(c) : 1ull << 63;
    case OP_D_TO_I32:
        return as_double(c) > -0x1p31 - 1 && as_double(c) < 0x1p31 ? (uint32_t)(int32_t)as_double(c)
                                                                   : 1u << 31;
    case OP_F_TO_I32:
        return as_float(c) >= -0x1p31f && as_float(c) < 0x1p31f ? (uint32_t)(int32_t)as_float(c) : 1u << 31;
    default:
        CHECK(false);
        return 0;
    }
}

static bool is_nan(enum capture_op op, uint64_t value)
{
    bool is_float = (op >= OP_ADD_F && op <= OP_DIVIDE_F) || op == OP_D_TO_F;
    return is_float ? isnan(as_float(value)) : isnan(as_double(value));
}

static size_t operands(enum capture_op op)
{
    if (op == OP_SELECT)
        return 3;
    return (op >= OP_ADD && op <= OP_BELOW_EQUAL) || op == OP_INSERT || (op >= OP_ADD_D && op <= OP_DIVIDE_F)
               ? 2
               : 1;
}

static void check_operation(enum capture_op op)
{
    bool has_size = op == OP_ZERO || op == OP_SIGN || op == OP_INSERT;
    unsigned size = 1u << trial_random() % 3;
    uint64_t of[3] = {number(), number(), number()}, got;
    struct words w = {.size = 0};
    put(&w, ITEM_VALUE, 1);
    put(&w, sizeof got, 1);
    for (size_t i = 3 - operands(op); i < 3; i++)
        put_constant(&w, of[i]);
    put(&w, op, 1);
    if (has_size)
        put(&w, size, 1);
    put(&w, OP_END, 1);
    struct trial result = trial_run(&w, 0);
    uint64_t expected = in_c(op, size, of[0], of[1], of[2]);
    CHECK_EQUAL(result.size, 4 + SIZE_OF_STATUS + sizeof got);
    CHECK_EQUAL(result.bytes[4], CAPTURE_OK);
    memcpy(&got, result.bytes + 5, sizeof got);
    /* Which of two NaN a sum of them is, a compiler may choose by changing their order. */
    bool floating = op >= OP_ADD_D && op <= OP_D_TO_F;
    if (floating && is_nan(op, expected) && is_nan(op, got))
        return;
    if (got != expected)
        fprintf(stderr, "operation %d of size %u: %#llx %#llx %#llx\n", op, size, (unsigned long long)of[0],
                (unsigned long long)of[1], (unsigned long long)of[2]);
    CHECK_EQUAL(got, expected);
}

static void check_operations(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        enum capture_op op = (enum capture_op)(OP_ZERO + i % (OP_COUNT - OP_ZERO));
        check_operation(op);
    }
}

/* The rounding is the program's; its status flags and what it has trapped are left alone. */
static void check_floating_point_modes(void)
{
    struct words w = {.size = 0};
    put(&w, ITEM_VALUE, 1);
    put(&w, 16, 1);
    put_constant(&w, of_double(1));
    put_constant(&w, of_double(3));
    put(&w, OP_DIVIDE_D, 1);
    put(&w, OP_END, 1);
    put_constant(&w, of_double(1));
    put_constant(&w, of_double(0));
    put(&w, OP_DIVIDE_D, 1);
    put(&w, OP_END, 1);
    static const int roundings[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t i = 0; i < 4; i++) {
        volatile double one = 1, three = 3;
        fesetround(roundings[i]);
        volatile double third = one / three;
        double got[2];
        feclearexcept(FE_ALL_EXCEPT);
        feenableexcept(FE_ALL_EXCEPT);
        struct trial result = trial_run(&w, 0);
        CHECK_EQUAL(fetestexcept(FE_ALL_EXCEPT), 0);
        CHECK_EQUAL(fegetexcept(), FE_ALL_EXCEPT);
        fedisableexcept(FE_ALL_EXCEPT);
        memcpy(got, result.bytes + 5, sizeof got);
        CHECK(got[0] == third && isinf(got[1]));
    }
    fesetround(FE_TONEAREST);
}

/* Of some calls the layout is all that is known: why there are no values. */
static void check_no_items(void)
{
    struct words w = {.size = 0};
    CHECK_EQUAL(trial_run(&w, 0).size, 4);
}

static void check_pushes(void)
{
    for (unsigned i = 0; i < 16; i++) {
        trial_registers.general[i] = trial_random();
        trial_registers.xmm[i] = trial_random();
    }
    for (unsigned i = 0; i < 16; i++) {
        struct words w = {.size = 0};
        uint64_t got[5];
        put_register_item(&w, OP_REGISTER, i, 8);
        put_register_item(&w, OP_XMM, i, 8);
        put(&w, ITEM_VALUE, 1);
        put(&w, 8, 1);
        put(&w, OP_CONST8, 1);
        put(&w, 0x80 + i, 1);
        put(&w, OP_END, 1);
        put(&w, ITEM_VALUE, 1);
        put(&w, 16, 1);
        put(&w, OP_CONST32, 1);
        put(&w, 0xfffffff0u + i, 4);
        put(&w, OP_END, 1);
        put(&w, OP_IMAGE, 1);
        put(&w, i, 8);
        put(&w, OP_END, 1);
        struct trial result = trial_run(&w, 0);
        for (size_t n = 0; n < 3; n++)
            memcpy(&got[n], result.bytes + 5 + n * 9, 8);
        memcpy(&got[3], result.bytes + 5 + 3 * 9, 16);
        CHECK_EQUAL(got[0], trial_registers.general[i]);
        CHECK_EQUAL(got[1], trial_registers.xmm[i]);
        CHECK_EQUAL(got[2], -128 + (int)i);
        CHECK_EQUAL(got[3], -16 + (int)i);
        CHECK_EQUAL(got[4], 0x10000 + i);
    }
}

static void check_load(uint64_t address, unsigned size, uint64_t stack_end, bool is_readable)
{
    struct words w = {.size = 0};
    uint64_t got, expected = 0;
    put(&w, ITEM_VALUE, 1);
    put(&w, 8, 1);
    put_constant(&w, address);
    put(&w, OP_LOAD, 1);
    put(&w, size, 1);
    put(&w, OP_END, 1);
    struct trial result = trial_run(&w, stack_end);
    CHECK_EQUAL(result.bytes[4], is_readable ? CAPTURE_OK : CAPTURE_UNREADABLE);
    if (!is_readable)
        return;
    memcpy(&expected, (const void *)(uintptr_t)address, size);
    memcpy(&got, result.bytes + 5, sizeof got);
    CHECK_EQUAL(got, expected);
}

/* At all places around the end of what can be read, which is a stack's end or not. */
static void check_loads(void)
{
    uint8_t *pages = trial_pages();
    uint64_t end = (uint64_t)(uintptr_t)pages + TRIAL_PAGE;
    for (size_t i = 0; i < TRIAL_PAGE; i++)
        pages[i] = (uint8_t)trial_random();
    trial_registers.general[CAPTURE_STACK_POINTER] = end - 64;
    for (int is_stack = 0; is_stack < 2; is_stack++)
        for (uint64_t before = 0; before < 80; before++)
            for (unsigned size = 1; size <= 8; size *= 2)
                check_load(end - before, size, is_stack ? end : 0, before >= size);
    check_load(0, 8, end, false);
    check_load(UINT64_MAX - 3, 8, end, false);
    munmap(pages, 2 * TRIAL_PAGE);
}

int main(void)
{
    check_operations();
    check_floating_point_modes();
    check_no_items();
    check_pushes();
    check_loads();
    return 0;
}
