/* Capture programs: what they compute, what they read, and what they are refused for. */
#include <errno.h>
#include <fenv.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/record/capture_memory.h"
#include "agent/record/capture_run.h"
#include "tests/agent/capture_words.h"
#include "tests/agent/check.h"

#define PAGE 4096u
#define LIMIT 64u
#define ROUNDS 200000u
#define SIZE_OF_STATUS 1

static uint64_t state = 88172645463325252ull;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

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
    uint64_t random = next_random();
    return random % 3 == 0 ? odd[(random >> 8) % (sizeof odd / sizeof odd[0])] : next_random() >> random % 60;
}

struct result {
    uint8_t bytes[CAPTURE_BYTES + 64];
    size_t size;
};

static struct capture_registers registers;

/* Runs a program that must be one; what it leaves is guarded from behind. */
static struct result run(const struct words *program, uint64_t stack_end)
{
    struct result result;
    struct capture_hook hook = {
        .program = program->bytes, .size = (uint32_t)program->size, .layout = 77, .load_bias = 0x10000};
    struct capture_context context = {&registers, stack_end, LIMIT};
    uint32_t layout;
    CHECK_EQUAL(capture_check(&hook, LIMIT), 0);
    CHECK(hook.room <= sizeof result.bytes);
    memset(result.bytes, 0xa5, sizeof result.bytes);
    result.size = capture_run(&hook, &context, result.bytes);
    CHECK(result.size <= CAPTURE_BYTES && result.size <= hook.room);
    for (size_t i = hook.room; i < sizeof result.bytes; i++)
        CHECK_EQUAL(result.bytes[i], 0xa5);
    memcpy(&layout, result.bytes, sizeof layout);
    CHECK_EQUAL(layout, 77);
    return result;
}

/* ---- operations ---- */

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
    unsigned size = 1u << next_random() % 3;
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
    struct result result = run(&w, 0);
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
        struct result result = run(&w, 0);
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
    CHECK_EQUAL(run(&w, 0).size, 4);
}

static void check_pushes(void)
{
    for (unsigned i = 0; i < 16; i++) {
        registers.general[i] = next_random();
        registers.xmm[i] = next_random();
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
        struct result result = run(&w, 0);
        for (size_t n = 0; n < 3; n++)
            memcpy(&got[n], result.bytes + 5 + n * 9, 8);
        memcpy(&got[3], result.bytes + 5 + 3 * 9, 16);
        CHECK_EQUAL(got[0], registers.general[i]);
        CHECK_EQUAL(got[1], registers.xmm[i]);
        CHECK_EQUAL(got[2], -128 + (int)i);
        CHECK_EQUAL(got[3], -16 + (int)i);
        CHECK_EQUAL(got[4], 0x10000 + i);
    }
}

/* ---- memory ---- */

/* Two pages, of which the second cannot be read. */
static uint8_t *make_pages(void)
{
    uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    memset(pages, 'x', PAGE);
    CHECK_EQUAL(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
    return pages;
}

static struct result run_text(const void *at)
{
    struct words w = {.size = 0};
    put_text_item(&w, (uint64_t)(uintptr_t)at);
    return run(&w, 0);
}

static void check_text(const void *at, enum capture_status status, size_t length)
{
    struct result result = run_text(at);
    CHECK_EQUAL(result.bytes[4], status);
    if (status != CAPTURE_OK && status != CAPTURE_CUT) {
        CHECK_EQUAL(result.size, 5);
        return;
    }
    CHECK_EQUAL(result.size, 7 + length);
    CHECK_EQUAL(result.bytes[5] | result.bytes[6] << 8, length);
    CHECK(memcmp(result.bytes + 7, at, length) == 0);
}

/* Wherever strings lie at the end of what can be read, and whatever way they are read. */
static void check_texts(void)
{
    uint8_t *pages = make_pages();
    for (int direct = 0; direct < 2; direct++) {
        if (direct)
            capture_memory_lasts((uint64_t)(uintptr_t)pages, (uint64_t)(uintptr_t)pages + PAGE);
        for (size_t length = 0; length <= LIMIT + 2; length++) {
            uint8_t *at = pages + PAGE - length - 1;
            memset(at, 'y', length);
            at[length] = 0;
            check_text(at, length <= LIMIT ? CAPTURE_OK : CAPTURE_CUT, length <= LIMIT ? length : LIMIT);
            at[length] = 'y'; /* now it has no end before what cannot be read */
            if (length + 1 <= LIMIT)
                check_text(at, CAPTURE_UNREADABLE, 0);
            else
                check_text(at, CAPTURE_CUT, LIMIT);
        }
    }
    capture_memory_forget();
    check_text(NULL, CAPTURE_NULL, 0);
    check_text((const void *)8, CAPTURE_UNREADABLE, 0);
    check_text(pages + PAGE, CAPTURE_UNREADABLE, 0);
    check_text((const void *)(UINTPTR_MAX - 3), CAPTURE_UNREADABLE, 0);
    check_text((const void *)(1ull << 63), CAPTURE_UNREADABLE, 0);
    munmap(pages, 2 * PAGE);
}

static void check_string(uint64_t address, uint64_t length, enum capture_status status, size_t got)
{
    struct words w = {.size = 0};
    put(&w, ITEM_STRING, 1);
    put_constant(&w, address);
    put(&w, OP_END, 1);
    put_constant(&w, length);
    put(&w, OP_END, 1);
    struct result result = run(&w, 0);
    CHECK_EQUAL(result.bytes[4], status);
    if (status != CAPTURE_OK && status != CAPTURE_CUT)
        return;
    CHECK_EQUAL(result.bytes[5] | result.bytes[6] << 8, got);
    CHECK_EQUAL(result.size, 7 + got);
    CHECK(got == 0 || memcmp(result.bytes + 7, (const void *)(uintptr_t)address, got) == 0);
}

static void check_strings(void)
{
    uint8_t *pages = make_pages();
    uint64_t end = (uint64_t)(uintptr_t)pages + PAGE;
    pages[PAGE - 10] = 0; /* of no account */
    check_string(end - 20, 20, CAPTURE_OK, 20);
    check_string(end - 20, 21, CAPTURE_UNREADABLE, 0);
    check_string(end - 100, LIMIT, CAPTURE_OK, LIMIT);
    check_string(end - 100, LIMIT + 1, CAPTURE_CUT, LIMIT);
    check_string(end - 100, UINT64_MAX, CAPTURE_CUT, LIMIT);
    check_string(end - 100, UINT64_MAX - 1, CAPTURE_CUT, LIMIT);
    check_string(end - 100, 0, CAPTURE_OK, 0);
    check_string(end, 0, CAPTURE_OK, 0);
    check_string(0, 0, CAPTURE_OK, 0);
    check_string(0, 1, CAPTURE_NULL, 0);
    munmap(pages, 2 * PAGE);
}

static void check_memory(void)
{
    uint8_t *pages = make_pages();
    uint64_t end = (uint64_t)(uintptr_t)pages + PAGE;
    struct words w = {.size = 0};
    for (size_t i = 0; i < PAGE; i++)
        pages[i] = (uint8_t)next_random();
    put_memory_item(&w, end - 24, 24);
    put_memory_item(&w, end - 24, 25);
    put_memory_item(&w, 0, 1);
    put_memory_item(&w, end, 1);
    struct result result = run(&w, 0);
    CHECK_EQUAL(result.size, 4 + 1 + 24 + 3);
    CHECK(result.bytes[4] == CAPTURE_OK && memcmp(result.bytes + 5, pages + PAGE - 24, 24) == 0);
    CHECK_EQUAL(result.bytes[29], CAPTURE_UNREADABLE);
    CHECK_EQUAL(result.bytes[30], CAPTURE_NULL);
    CHECK_EQUAL(result.bytes[31], CAPTURE_UNREADABLE);
    munmap(pages, 2 * PAGE);
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
    struct result result = run(&w, stack_end);
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
    uint8_t *pages = make_pages();
    uint64_t end = (uint64_t)(uintptr_t)pages + PAGE;
    for (size_t i = 0; i < PAGE; i++)
        pages[i] = (uint8_t)next_random();
    registers.general[CAPTURE_STACK_POINTER] = end - 64;
    for (int is_stack = 0; is_stack < 2; is_stack++)
        for (uint64_t before = 0; before < 80; before++)
            for (unsigned size = 1; size <= 8; size *= 2)
                check_load(end - before, size, is_stack ? end : 0, before >= size);
    check_load(0, 8, end, false);
    check_load(UINT64_MAX - 3, 8, end, false);
    munmap(pages, 2 * PAGE);
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
    struct result result = run(&w, 0);
    CHECK_EQUAL(result.size, 4 + 1 + 3);
    CHECK_EQUAL(result.bytes[4], CAPTURE_UNREADABLE);
    CHECK_EQUAL(result.bytes[5], CAPTURE_OK);
    CHECK(memcmp(result.bytes + 6, &registers.general[3], 2) == 0);
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
    struct result result = run(&w, 0);
    CHECK_EQUAL(result.size, 4 + 3 * 1025 + 1 + 9 + 3 + 5);
    CHECK_EQUAL(result.bytes[4 + 3 * 1025], CAPTURE_NO_ROOM);
    CHECK_EQUAL(result.bytes[4 + 3 * 1025 + 1], CAPTURE_OK);
    CHECK_EQUAL(result.bytes[4 + 3 * 1025 + 10], CAPTURE_OK);

    w.size = 0; /* statuses alone, as many as there may be, and more than fits of all else */
    for (int i = 0; i < CAPTURE_MOST_ITEMS; i++)
        put_register_item(&w, OP_REGISTER, 0, 8);
    result = run(&w, 0);
    CHECK(result.size > CAPTURE_BYTES - 9 && result.size <= CAPTURE_BYTES);
    CHECK_EQUAL(result.bytes[result.size - 1], CAPTURE_NO_ROOM);
}

/* ---- what is no program ---- */

static bool is_program(const uint8_t *bytes, size_t size)
{
    struct capture_hook hook = {.program = bytes, .size = (uint32_t)size};
    int status = capture_check(&hook, LIMIT);
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
    REFUSED(5);
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
    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        struct words w = {.size = next_random() % 40};
        for (size_t n = 0; n < w.size; n++)
            w.bytes[n] = (uint8_t)(next_random() % 5 == 0 ? next_random() : next_random() % OP_COUNT);
        if (next_random() % 2 == 0) { /* so that some are programs */
            w.bytes[0] = ITEM_VALUE;
            w.bytes[1] = 8;
            w.bytes[2] = OP_REGISTER;
            w.bytes[3] &= 15;
            w.size = w.size < 6 ? 6 : w.size;
            w.bytes[w.size - 1] = OP_END;
        }
        if (!is_program(w.bytes, w.size))
            continue;
        run(&w, 0);
        programs++;
    }
    CHECK(programs > 100);
}

int main(void)
{
    check_operations();
    check_floating_point_modes();
    check_no_items();
    check_pushes();
    check_texts();
    check_strings();
    check_memory();
    check_loads();
    check_unreadable_item();
    check_no_room();
    check_refusals();
    check_cuts();
    check_any_bytes();
    return 0;
}
