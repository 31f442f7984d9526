"""Makes C and C++ programs that call functions of all kinds of parameters and results, and print the bytes.

A line of a program's output is "A function parameter hexadecimal" or "R function hexadecimal".
"""

from __future__ import annotations

from random import Random

PRELUDE = """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <xmmintrin.h>

enum small { NONE, ONE, TWO = 200 };
enum negative { MINUS = -5, PLUS = 7 };
typedef int (*callback)(int);
struct c1 { char a; };
struct c3 { char a[3]; };
struct f1 { float a; };
struct f2 { float a, b; };
struct f3 { float a, b, c; };
struct d2 { double a, b; };
struct d3 { double a, b, c; };
struct di { double a; int b; };
struct id { int a; double b; };
struct fif { float a; int b; float c; };
struct l2 { long a, b; };
struct l3 { long a, b, c; };
struct cl { char a; long b; };
struct lc { long a; char b; };
struct ld1 { long double a; };
struct ldi { long double a; int b; };
struct c17 { char a[17]; };
struct bits { short a : 3; int b : 7; };
struct wide_bits { long a : 40; int b; unsigned c : 3; };
struct __attribute__((packed)) packed { char a; int b; };
struct __attribute__((packed)) packed_fit { int a; char b; };
struct i3 { int a[3]; };
struct fa2 { float a[2]; };
struct da2 { double a[2]; };
struct nested { struct f1 a; struct c1 b; struct { short c, d; } e; };
struct big_int { __int128 a; };
struct aligned { _Alignas(16) int a; };
struct vector { __m128 a; };
struct pointers { void *a; char b; callback c; };
struct with_enum { enum negative a; float b; };
union if_ { int a; float b; };
union ld_ { long a; double b; };
union c12 { char a[12]; };
union fd { float a; double b; };
union bigger { struct f2 a; long b[2]; };
"""
C_TYPES = [
    *("_Bool", "char", "signed char", "unsigned char", "short", "unsigned short", "int", "unsigned", "long"),
    *("unsigned long", "long long", "size_t", "__int128", "unsigned __int128", "float", "double"),
    *("long double", "_Complex float", "_Complex double", "void *", "const char *", "callback", "__m128"),
    *("enum small", "enum negative", "union if_", "union ld_", "union c12", "union fd", "union bigger"),
    *(
        f"struct {name}"
        for name in (
            *("c1", "c3", "f1", "f2", "f3", "d2", "d3", "di", "id", "fif", "l2", "l3", "cl", "lc", "ld1"),
            *("ldi", "c17", "bits", "wide_bits", "packed", "packed_fit", "i3", "fa2", "da2", "nested"),
            *("big_int", "aligned", "vector", "pointers", "with_enum"),
        )
    ),
]
CXX_PRELUDE = """
#include <string>
#include <string_view>
#include <utility>
#include <tuple>
struct empty { };
struct two_empty { empty a; empty b; };
struct empty_base : empty { int a; };
struct base { int a; };
struct derived : base { float b; };
struct copied { int a; double b; copied() {} copied(const copied &o) : a(o.a), b(o.b) {} };
struct destroyed { int a; ~destroyed() {} };
struct has_copied { char c; copied a; };
struct moved { int a; moved() {} moved(moved &&o) : a(o.a) {} moved(const moved &o) : a(o.a) {} };
struct defaulted {
    int a; float f; defaulted() {} defaulted(const defaulted &) = default; ~defaulted() = default;
};
struct assigned { int a; assigned &operator=(const assigned &o) { a = o.a; return *this; } };
struct virtual_ { int a; virtual void f() {} };
enum class scoped : unsigned char { A, B = 200 };
template <class T> struct holder { T a; int b; };
class privat { int a; int b; public: int sum() const { return a + b; } };
typedef int base::*member;
typedef int (privat::*method)() const;
typedef decltype(nullptr) null;
"""
CXX_TYPES = [
    *("empty", "two_empty", "empty_base", "derived", "copied", "destroyed", "has_copied", "moved"),
    *("defaulted", "assigned", "virtual_", "scoped", "holder<char>", "holder<double>", "holder<copied>"),
    *("privat", "member", "method", "int &", "const copied &", "double &&", "bool", "char16_t", "char32_t"),
    *("wchar_t", "std::pair<int, int>", "std::pair<long, long>", "std::tuple<>", "null"),
]


def is_reference(name: str) -> bool:
    return name.endswith("&")


def plain(name: str) -> str:
    """The type that a reference refers to, without const."""
    return name.rstrip("& ").removeprefix("const ") if is_reference(name) else name


class Program:
    """The source of a program, and what its functions are."""

    def __init__(self, seed: int, *, is_cxx: bool, uses_all: bool, count: int = 40) -> None:
        self.random = Random(seed)
        self.is_cxx = is_cxx
        self.uses_all = uses_all
        self.types = [kind for kind in C_TYPES if kind != "_Bool"] + CXX_TYPES if is_cxx else C_TYPES
        self.functions = [f"traced{number}" for number in range(count)]
        self.source = self._source()

    def _source(self) -> str:
        prelude = PRELUDE
        if self.is_cxx:
            prelude = prelude.replace("_Alignas", "alignas").replace("_Complex", "__complex__")
            prelude += CXX_PRELUDE
        bodies = "".join(self._function(name) for name in self.functions)
        calls = "".join(f"    call_{name}();\n" for name in self.functions)
        return f"{prelude}{HELPERS}{bodies}\nint main(void)\n{{\n{calls}    return 0;\n}}\n"

    def _function(self, name: str) -> str:
        random = self.random
        parameters = [random.choice(self.types) for _ in range(random.randint(0, 9))]
        result = random.choice(["void", *self.types])
        if result == "__m128" or is_reference(result):
            result = "long"
        spelled = [kind.replace("_Complex", "__complex__") if self.is_cxx else kind for kind in parameters]
        result = result.replace("_Complex", "__complex__") if self.is_cxx else result
        used = [number for number in range(len(spelled)) if self.uses_all or random.random() < 0.6]
        declared = ", ".join(f"{kind} p{number}" for number, kind in enumerate(spelled)) or "void"
        static = "static " if random.random() < 0.4 else ""
        uses = "".join(f"    sink((const void *)&p{number});\n" for number in used)
        keep = "" if result == "void" else f"static {result} *result_{name};\n"
        body = f"    sink(0);\n{uses}" + ("" if result == "void" else f"    return *result_{name};\n")
        source = f"{keep}{static}__attribute__((noinline)) {result} {name}({declared})\n{{\n{body}}}\n"
        return source + self._caller(name, spelled, result)

    def _caller(self, name: str, parameters: list[str], result: str) -> str:
        lines = []
        for number, kind in enumerate(parameters):
            lines.append(
                f"    static storage s{number}; {plain(kind)} *a{number} = ({plain(kind)} *)&s{number};"
            )
            fill = (
                "s{0}.bytes[0] = next() & 1"
                if kind in ("bool", "_Bool")
                else "fill(s{0}.bytes, sizeof *a{0})"
            )
            if kind == "null":
                fill = "memset(s{0}.bytes, 0, 8)"
            lines.append("    " + fill.format(number) + ";")
            lines.append(f'    show("A {name} {number}", a{number}, sizeof *a{number});')
        if result != "void":
            lines.append(f"    static storage r; result_{name} = ({result} *)&r;")
            lines.append(
                "    r.bytes[0] = next() & 1;"
                if result in ("bool", "_Bool")
                else "    fill(r.bytes, sizeof(r));"
            )
            lines.append(f'    show("R {name} 0", result_{name}, sizeof *result_{name});')
        given = ", ".join(
            f"static_cast<{kind}>(*a{number})" if kind.endswith("&&") else f"*a{number}"
            for number, kind in enumerate(parameters)
        )
        if result == "void":
            lines.append(f"    {name}({given});")
        else:
            lines.append(f"    {result} got = {name}({given}); sink(&got);")
        return f"static __attribute__((noinline)) void call_{name}(void)\n{{\n" + "\n".join(lines) + "\n}\n\n"


HELPERS = """
typedef struct { __attribute__((aligned(64))) unsigned char bytes[128]; } storage;
static unsigned state = 12345;
static unsigned next(void) { state = state * 1103515245u + 12345u; return state >> 16; }
static void fill(unsigned char *to, size_t size) { while (size--) *to++ = (unsigned char)next(); }
static __attribute__((noinline)) void sink(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }
static void show(const char *what, const void *p, size_t size)
{
    printf("%s ", what);
    for (size_t i = 0; i < size; i++) printf("%02x", ((const unsigned char *)p)[i]);
    printf("\\n");
}
"""
