"""Writes C functions with random parameters, results and bodies, which work with any contents of registers.

A name tells what the tests have to know: `f3_i2_d1_rd` has two parameters in general registers and one in an
xmm register, and returns a double.
"""

from __future__ import annotations

import random

_PRELUDE = """
#include <stdarg.h>
struct pair { int a, b; };
struct mixed { double d; long l; };
struct chars { char c[3]; };
struct floats { float x, y, z; };
struct large { long v[4]; };
typedef unsigned char byte;
static volatile long sink;
#define PLAIN __attribute__((noinline, no_instrument_function))
PLAIN long opaque(long a, double b) { sink += a; return sink + (b > 0); }
PLAIN void touch(void *p) { sink ^= (long)p & 8; *(volatile char *)p ^= 1; }
"""

_INTEGERS = (
    "char",
    "signed char",
    "byte",
    "short",
    "unsigned short",
    "int",
    "unsigned",
    "long",
    "unsigned long",
)
_FLOATS = ("float", "double")
_RESULTS = {
    "int": "ri", "long": "ri", "byte": "ri", "short": "ri", "_Bool": "ri", "unsigned": "ri", "double": "rd",
    "float": "rf", "struct pair": "rp", "struct mixed": "rm", "struct chars": "rc", "struct floats": "rv",
    "struct large": "rh", "long double": "rl", "__int128": "rq", "void": "rn",
}  # fmt: skip


def source(seed: int, count: int) -> str:
    """Returns a C file of so many functions."""
    picks = random.Random(seed)
    return _PRELUDE + "".join(_function(picks, number) for number in range(count)) + _SPECIAL


def _function(picks: random.Random, number: int) -> str:
    integers, floats = picks.randint(0, 6), picks.randint(0, 4)
    result, tail = picks.choice(list(_RESULTS.items()))
    parameters = [(picks.choice(_INTEGERS), f"i{n}") for n in range(integers)]
    parameters += [(picks.choice(_FLOATS), f"d{n}") for n in range(floats)]
    picks.shuffle(parameters)
    if result == "struct large":
        integers += 1
    name = f"f{number}_i{min(integers, 6)}_d{floats}_{tail}"
    text = ", ".join(f"{kind} {each}" for kind, each in parameters) or "void"
    body = "\n    ".join(_statements(picks, [each for _, each in parameters]))
    value = _result(picks, result, [each for _, each in parameters])
    return f"{result} {name}({text})\n{{\n    long s = 1; double t = 2;\n    {body}\n    {value}\n}}\n"


def _term(picks: random.Random, names: list[str]) -> str:
    return picks.choice([*names, "s", "t", "3", "s"])


def _statements(picks: random.Random, names: list[str]) -> list[str]:
    count = picks.randint(0, 4)
    return [
        picks.choice(_STATEMENTS).replace("A", _term(picks, names)).replace("B", _term(picks, names))
        for _ in range(count)
    ]


_STATEMENTS = (
    "s += (long)opaque((long)A, B);",
    "t = t * 0.5 + A;",
    "if (A > B) s = opaque(s, 1);",
    "for (int n = 0; n < (5 & (int)s); n++) t += opaque(n, A);",
    "{ char all[40]; for (int n = 0; n < 40; n++) all[n] = n; touch(all); s += all[3]; }",
    "{ long v[4] __attribute__((aligned(64))) = {(long)A}; touch(v); s ^= v[0]; }",
    "{ char *p = __builtin_alloca((s & 31) + 8); *p = 1; touch(p); s += *p + (long)B; }",
    "switch ((int)A & 7) { case 0: s = 5; break; case 3: t = 4; break; case 5: touch(&s); break; }",
    "{ static int counter; counter++; s += counter; }",
    "touch(&t);",
)
"""A and B are parameters, numbers or local variables."""


def _result(picks: random.Random, result: str, names: list[str]) -> str:
    a, b = _term(picks, names), _term(picks, names)
    if result == "void":
        return "sink = s;"
    if result.startswith("struct"):
        members = {"pair": 2, "mixed": 2, "chars": 3, "floats": 3, "large": 4}[result.split()[1]]
        values = ", ".join([f"{a}", f"{b}", "s", "t"][:members])
        if result in ("struct chars", "struct large"):
            values = "{" + values + "}"
        return f"{result} r = {{{values}}}; return r;"
    return picks.choice(
        (
            f"return {a};",
            f"return {a} * 2 + {b};",
            f"return {a} > {b};",
            f"return {a} > {b} ? {a} : {b};",
            f"return s > 4 ? {a} : opaque(s, t);",
            "return s;",
            "return t;",
            "return 7;",
            f"return (long){a} >> 3;",
        )
    )


_SPECIAL = """
int g1_i1_d0_ri(int first, ...)
{
    va_list rest; va_start(rest, first);
    long s = first + va_arg(rest, int) + va_arg(rest, long);
    double d = va_arg(rest, double);
    va_end(rest);
    return s + (d > 1);
}
int g2_i6_d0_ri(int a, int b, int c, int d, int e, int f, int g, long h)
{
    return a + b - c + d * e - f + g * h;
}
long g3_i1_d0_ri(long n) { return (n & 15) == 0 ? 1 : (n & 15) + g3_i1_d0_ri((n & 15) - 1); }
long g4_i2_d0_ri(long a, long b) { char big[20000]; touch(big); return big[5] + a * b; }
unsigned long g5_i1_d0_ri(unsigned long a) { return __builtin_bswap64(a); }
double g6_i0_d2_rd(double a, double b) { touch(&a); return a < b ? -a : __builtin_fabs(b); }
struct large g7_i1_d0_rh(long double x, struct large y) { y.v[1] = (long)(x > 1); return y; }
long double g8_i1_d0_rl(int a) { return a ? 1.0L : 0.1L; }
long double g9_i0_d1_rl(double a) { touch(&a); return a; }
int *g10_i0_d0_ri(void) { static int x; return &x; }
const char *g11_i0_d0_ri(void) { return "text"; }
long (*g12_i0_d0_ri(void))(long, double) { return opaque; }
float g13_i0_d3_rf(float a, float b, float c) { touch(&b); return a * b + c; }
"""
