"""The kinds of values that generated functions take and return: how C spells, makes and logs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

__all__ = [
    "ENUM",
    "FLAGS",
    "FLOAT",
    "INTEGER",
    "POINTER",
    "Kind",
    "Material",
    "scalars",
    "text_kinds",
]

INTEGER, FLOAT, ENUM, FLAGS, POINTER = "integer", "float", "enum", "flags", "pointer"

LIMITS = {
    1: ("-128", "127", "0", "-1", "5"),
    2: ("-32768", "32767", "-300", "12", "0"),
    4: ("(-2147483647 - 1)", "2147483647", "-7", "123456", "0", "65536", "3"),
    8: ("(-9223372036854775807L - 1)", "9223372036854775807L", "-5000000000L", "77L", "0", "4294967296L"),
}
UNSIGNED_LIMITS = {
    1: ("255", "128", "3", "0"),
    2: ("65535", "32768", "12", "0"),
    4: ("4294967295u", "2147483648u", "7u", "0"),
    8: ("18446744073709551615UL", "9223372036854775808UL", "5UL", "4294967295UL", "0"),
}
FLOATS = {
    "float": ("1.5f", "-2.25f", "3e10f", "0.1f", "-0.0f", "1e-40f", "__builtin_inff()"),
    "double": ("1.25", "-3.5e100", "0.1", "-0.0", "5e-324", '__builtin_nan("")', "4294967296.5"),
    "long double": ("1.5L", "-2.75L", "0.1L", "1e4000L", "3.14159265358979323846L"),
}
TEXTS = (
    '"hello"',
    '"a longer text, of more than sixteen bytes"',
    '""',
    '"12,3"',
    '"quote \\" backslash \\\\ newline \\n tab \\t bell \\a"',
    '"\\xc3\\xa4\\xe2\\x82\\xac"',
    '"not utf-8: \\xff\\xfe."',
    '"0123456789012345678901234567890123456789012345678901234567890123"',
    '"01234567890123456789012345678901234567890123456789012345678901234"',
    '"a text that is longer than the limit of sixty-four bytes, so that it is shown only in part, not whole"',
)


@dataclass
class Material:
    """Expressions that a function can make values of, by what they are.

    Attributes:
        numbers: of type long.
        reals: of type double.
        variables: names of variables, by the kind's spelling.
    """

    numbers: list[str] = field(default_factory=list)
    reals: list[str] = field(default_factory=list)
    variables: dict[str, list[str]] = field(default_factory=dict)

    def number(self, random: Random) -> str:
        """A number that the compiler knows, or doesn't."""
        return random.choice([*self.numbers * 2, str(random.randint(-9, 99)) + "L"])

    def real(self, random: Random) -> str:
        """The same of reals."""
        return random.choice([*self.reals * 2, "2.5", "-0.75"])


@dataclass(frozen=True)
class Kind:
    """A type as a parameter may have it.

    Attributes:
        label: its row in the scoreboard.
        spelling: of the type, without a name.
        shape: how its values are compared (tests/capture/compare.py).
        log: C statements that log `{0}`.
        values: expressions of its values that can be used anywhere.
        numbers: templates of numbers read from `{0}`.
        reals: templates of reals read from `{0}`.
        made_of: templates of a value made from `{n}`, `{m}` (long) and `{r}`, `{s}` (double).
        change: statements that change the variable `{0}`.
        members: of a struct or class: names and kinds.
        enumerators: of an enum: names and values.
        element: of an array, the kind of its elements.
        is_return: functions may return it.
        plain: may be a struct's member.
    """

    label: str
    spelling: str
    shape: str
    log: str
    values: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    reals: tuple[str, ...] = ()
    made_of: tuple[str, ...] = ()
    change: tuple[str, ...] = ()
    members: tuple[tuple[str, Kind], ...] = ()
    enumerators: tuple[tuple[str, int], ...] = ()
    element: Kind | None = None
    is_return: bool = True
    plain: bool = True

    def declare(self, name: str) -> str:
        """The declaration of a variable; a spelling with (*) has the name in it."""
        if "(*)" in self.spelling:
            return self.spelling.replace("(*)", f"(*{name})")
        return self.spelling + ("" if self.spelling[-1] in "*&" else " ") + name

    def value(self, random: Random) -> str:
        """One of the values."""
        return random.choice(self.values)

    def expression(self, random: Random, material: Material) -> str:
        """A value made from what there is."""
        same = material.variables.get(self.spelling, [])
        if same and random.random() < 0.4:
            return random.choice(same)
        if not self.made_of or random.random() < 0.1:
            return self.value(random)
        return random.choice(self.made_of).format(
            n=material.number(random),
            m=material.number(random),
            r=material.real(random),
            s=material.real(random),
        )


def _integer(spelling: str, size: int, *, signed: bool, label: str = "") -> Kind:
    return Kind(
        label=label or ("integer" if size < 16 else "int128"),
        spelling=spelling,
        shape=INTEGER,
        log="truth_integer({0});" if signed else "truth_unsigned({0});",
        values=tuple(
            f"(({spelling}){value})" for value in (LIMITS if signed else UNSIGNED_LIMITS)[min(size, 8)]
        ),
        numbers=("(long){0}",),
        made_of=(
            f"({spelling})({{n}})",
            f"({spelling})({{n}} + {{m}})",
            f"({spelling})({{n}} * 3 - {{m}})",
            f"({spelling})({{n}} > {{m}})",
            f"({spelling})({{n}} ? {{n}} : {{m}})",
            f"({spelling})(({{n}} << 3) ^ {{m}})",
            f"({spelling})({{r}} < {{s}} ? {{n}} : {{m}})",
            f"({spelling})src()",
        ),
        change=(
            f"{{0}} = ({spelling})({{0}} + 1);",
            f"{{0}} = ({spelling})({{0}} ^ 0x5a);",
            "fill(&{0}, sizeof {0});",
        ),
    )


def _float(spelling: str) -> Kind:
    return Kind(
        label=spelling,
        spelling=spelling,
        shape=FLOAT + ("" if spelling == "double" else f" {spelling}"),
        log="truth_long_real({0});" if spelling == "long double" else "truth_real({0});",
        values=FLOATS[spelling],
        numbers=("(long)({0} > 1.0)", "({0} > -1e9 && {0} < 1e9 ? (long){0} : 7L)"),
        reals=("(double){0}",),
        made_of=(
            f"({spelling})({{r}})",
            f"({spelling})({{r}} * {{s}})",
            f"({spelling})({{r}} - {{s}})",
            f"({spelling})({{n}})",
            f"({spelling})({{r}} < {{s}} ? {{s}} : {{r}})",
        ),
        change=(f"{{0}} = ({spelling})({{0}} * 2);", f"{{0}} += ({spelling})1;"),
    )


def _enums(*, cxx: bool) -> list[Kind]:
    """An enum with gaps and negative values, one of flags, and in C++ scoped ones of two sizes."""
    prefix = "" if cxx else "enum "

    def enum(name: str, names: Sequence[tuple[str, int]], shape: str = ENUM, scope: str = "") -> Kind:
        first, second = names[0][0], names[1][0]
        return Kind(
            label="enum class" if scope else shape,
            spelling=prefix + name,
            shape=shape,
            log="truth_integer((__int128){0});",
            values=tuple(scope + value for value, _ in names)
            + ((f"(({prefix}{name})5)", f"(({prefix}{name})0)") if shape == FLAGS else ()),
            numbers=("(long){0}",),
            made_of=(f"({{n}} > {{m}} ? {scope}{first} : {scope}{second})",)
            + ((f"(({prefix}{name})({{n}} & 7))",) if shape == FLAGS else ()),
            enumerators=tuple(names),
        )

    kinds = [
        enum("color", [("RED", 1), ("GREEN", 5), ("BLUE", -3)]),
        enum("access", [("READ", 1), ("WRITE", 2), ("APPEND", 4)], FLAGS),
    ]
    if cxx:
        kinds += [
            enum("Level", [("low", -1), ("high", 100)], scope="Level::"),
            enum("Wide", [("none", 0), ("huge", 1 << 40)], scope="Wide::"),
        ]
    return kinds


ENUM_DECLARATIONS = """enum color { RED = 1, GREEN = 5, BLUE = -3 };
enum access { READ = 1, WRITE = 2, APPEND = 4 };
"""
ENUM_DECLARATIONS_CXX = """enum class Level : signed char { low = -1, high = 100 };
enum class Wide : long { none = 0, huge = 1L << 40 };
"""


def _typedefs(*, cxx: bool) -> list[Kind]:
    handle = _integer("handle_t", 8, signed=False, label="typedef")
    return [handle, _integer("size_t", 8, signed=False, label="typedef")] if cxx else [handle]


TYPEDEFS = """typedef unsigned long handle_t;
typedef int (*callback_t)(int, double);
"""


def scalars(*, cxx: bool) -> list[Kind]:
    """Integers, characters, floating point and enums."""
    boolean = Kind(
        label="bool",
        spelling="bool",
        shape="bool",
        log="truth_boolean({0});",
        values=("true", "false"),
        numbers=("(long){0}",),
        made_of=("({n} > {m})", "({n} == 3)", "({r} < {s})", "(!({n}))"),
        change=("{0} = !{0};",),
    )
    characters = [
        Kind(
            label="char",
            spelling=spelling,
            shape="char",
            log="truth_integer({0});",
            values=values,
            numbers=("(long){0}",),
            made_of=(f"({spelling})({{n}} & 63)", f"({spelling})({{n}})"),
            change=(f"{{0}} = ({spelling})({{0}} + 1);",),
        )
        for spelling, values in (
            ("char", ("'A'", "'z'", "'\\n'", "'\\''", "((char)-5)", "'\\0'")),
            ("signed char", ("'A'", "((signed char)-128)")),
            ("unsigned char", ("200", "'b'", "0")),
            *((("char16_t", ("u'x'", "u'\\x20ac'")), ("wchar_t", ("L'w'", "L'\\x20ac'"))) if cxx else ()),
        )
    ]
    integers = [
        _integer(spelling, size, signed=signed)
        for spelling, size, signed in (
            ("short", 2, True),
            ("unsigned short", 2, False),
            ("int", 4, True),
            ("unsigned", 4, False),
            ("long", 8, True),
            ("unsigned long", 8, False),
            ("long long", 8, True),
            ("__int128", 16, True),
            ("unsigned __int128", 16, False),
        )
    ]
    reals = [_float(spelling) for spelling in FLOATS]
    return [boolean, *characters, *integers, *reals, *_enums(cxx=cxx), *_typedefs(cxx=cxx)]


def text_kinds(*, cxx: bool) -> list[Kind]:
    """Texts with a zero byte at their end, and in C++ those of the standard library."""
    pointers = [
        Kind(
            label="char *",
            spelling=spelling,
            shape="text",
            log="truth_text({0});",
            values=(*(f"((char *){text})" for text in TEXTS), f"(({spelling})0)", "buffer"),
            numbers=("(long)({0} ? {0}[0] : -1)",),
            made_of=(f'({spelling})({{n}} > {{m}} ? "more" : "less")',),
            change=("if ({0} && {0}[0]) {0}++;", '{0} = (char *)"changed";'),
        )
        for spelling in ("const char *", "char *")
    ]
    if not cxx:
        return pointers
    strings = [
        Kind(
            label=spelling,
            spelling=spelling,
            shape="text",
            log="truth_bytes({0}.data(), {0}.size());",
            values=tuple(f"text_{number}" for number in range(len(TEXTS) + 1))
            if is_reference
            else tuple(f"{spelling.split()[-1]}({text})" for text in TEXTS),
            numbers=("(long){0}.size()", "(long)({0}.empty() ? 0 : {0}[0])"),
            made_of=() if is_reference else made_of,
            change=change,
            is_return="view &" not in spelling,
            plain=not is_reference,
        )
        for spelling, is_reference, made_of, change in (
            (
                "std::string",
                False,
                (
                    "std::to_string({n})",
                    'std::string("made ") + std::to_string({n})',
                    "std::string({n} & 63, 'x')",
                ),
                ('{0} += " and more";', "{0}.clear();"),
            ),
            ("const std::string &", True, (), ()),
            ("std::string &", True, (), ('{0} += "!";', '{0} = "another text, of more than sixteen bytes";')),
            (
                "std::string_view",
                False,
                ('std::string_view({n} > {m} ? "yes" : "no")',),
                ("if (!{0}.empty()) {0}.remove_prefix(1);",),
            ),
        )
    ]
    view = Kind(
        label="const std::string_view &",
        spelling="const std::string_view &",
        shape="text",
        log="truth_bytes({0}.data(), {0}.size());",
        values=("view_0", "view_1"),
        numbers=("(long){0}.size()",),
        is_return=False,
        plain=False,
    )
    return [*pointers, *strings, view]
