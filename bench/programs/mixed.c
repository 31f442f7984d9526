/*
 * mixed CALLS: 200 functions that call each other from call sites of their own, in trees of random shape.
 *
 * Each function calls up to three times one of three others, the first more often than the others, as in
 * programs where most calls take the usual way. Trees end at the ninth level.
 */
#include "burst.h"

#define FUNCTIONS 200
#define LEVELS 8
#define ROOTS 8

typedef void function(int level);

static function *const functions[FUNCTIONS];
static long calls_made;

static inline QUIET unsigned random_bits(void)
{
    /* xorshift64: Marsaglia, Xorshift RNGs, 2003 */
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 32);
}

static inline QUIET __attribute__((always_inline)) void call_others(int self, int level)
{
    static const unsigned char usual[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2};
    calls_made++;
    if (level >= LEVELS)
        return;
    unsigned bits = random_bits();
    for (unsigned times = bits & 3; times > 0; times--) {
        bits = bits >> 4 | bits << 28;
        functions[(self * 11 + 17 * usual[bits & 15] + 3) % FUNCTIONS](level + 1);
    }
}

#define DEFINE(n)                                                                                            \
    static __attribute__((noinline)) void function_##n(int level)                                            \
    {                                                                                                        \
        call_others(n, level);                                                                               \
    }
#define NAME(n) function_##n,

/* clang-format off */
#define TEN(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define ALL(X)                                                                                               \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)                                                        \
    TEN(X, 1) TEN(X, 2) TEN(X, 3) TEN(X, 4) TEN(X, 5) TEN(X, 6) TEN(X, 7) TEN(X, 8) TEN(X, 9)                \
    TEN(X, 10) TEN(X, 11) TEN(X, 12) TEN(X, 13) TEN(X, 14) TEN(X, 15) TEN(X, 16) TEN(X, 17) TEN(X, 18) TEN(X, 19)
ALL(DEFINE)
static function *const functions[FUNCTIONS] = {ALL(NAME)};
/* clang-format on */

static QUIET long run_mixed(long calls)
{
    while (calls_made < calls)
        functions[random_bits() % ROOTS](0);
    return calls_made;
}

int QUIET main(int argc, char **argv)
{
    return measure(run_mixed, argument(argc, argv, 1, 1000000), 0);
}
