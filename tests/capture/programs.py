"""Writes a random program: functions in several translation units, and a driver that calls them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.capture.functions import (
    ATTRIBUTES,
    PARAMETERS,
    Function,
    Writer,
    callable_from,
    identifier,
    is_number,
)
from tests.capture.kinds import (
    ENUM_DECLARATIONS,
    ENUM_DECLARATIONS_CXX,
    TEXTS,
    TYPEDEFS,
    Kind,
    Material,
    scalars,
    text_kinds,
)
from tests.capture.records import OBJECTS, Record, leading_kinds, make_records

__all__ = ["Program", "write_program"]

UNITS = 3
FUEL = 12
"""How many calls of other functions a call from the driver may lead to."""
CALLS = 3
"""How often the driver calls each function."""


@dataclass(frozen=True)
class Program:
    """A program that was written.

    Attributes:
        cxx: it is C++.
        units: the sources to instrument.
        driver: the source that is never instrumented, beside truth.c.
        functions: by path ("ns::fn3").
    """

    cxx: bool
    units: tuple[Path, ...]
    driver: Path
    functions: dict[str, Function]


def _choose_functions(
    random: Random, kinds: list[Kind], count: int, *, cxx: bool, is_plain: bool
) -> list[Function]:
    returned = [kind for kind in kinds if kind.is_return]
    by_label: dict[str, list[Kind]] = {}
    for kind in kinds:
        by_label.setdefault(kind.label, []).append(kind)
    labels = list(by_label)
    weights = [
        8 if label == "integer" else 3 if label in ("double", "pointer", "char *") else 1 for label in labels
    ]

    def choose() -> Kind:
        return random.choice(by_label[random.choices(labels, weights)[0]])

    made = []
    for number in range(count):
        parameters = tuple(choose() for _ in range(random.choice(PARAMETERS)))
        result = None if random.random() < 0.12 else random.choice([choose(), random.choice(returned)])
        if result is not None and not result.is_return:
            result = random.choice(returned)
        scope = random.choice(["", "", "", "ns", "Widget"]) if cxx else ""
        function = Function(
            name=f"fn{number}",
            parameters=parameters,
            returns=result,
            unit=number % UNITS,
            is_static=scope == "" and not is_plain and random.random() < 0.25,
            scope=scope,
            is_method=scope == "Widget",
            throws=cxx and random.random() < 0.1,
            attributes=random.choice(ATTRIBUTES),
        )
        if parameters and is_number(parameters[-1]) and random.random() < 0.2:
            function.is_variadic = True
        made.append(function)
    if is_plain:
        return made
    for index, function in enumerate(made):
        visible = [later for later in made[index + 1 :] if callable_from(function, later)]
        static = [later for later in visible if later.is_static]
        function.calls = random.sample(visible, min(3, len(visible))) + random.sample(
            static, min(4, len(static))
        )
    return made


def _header(kinds: list[Kind], records: list[Record], functions: list[Function], *, cxx: bool) -> str:
    parts = ["#pragma once\n"]
    if cxx:
        parts.append("#include <string>\n#include <string_view>\n")
    parts += ['#include <stddef.h>\n#include "truth.h"\n', ENUM_DECLARATIONS]
    parts += [ENUM_DECLARATIONS_CXX] if cxx else []
    parts += [TYPEDEFS, *(record.declaration for record in records)]
    parts.append(
        "extern int o_int[3]; extern double o_double[3]; extern long o_long[3];\n"
        "extern char *o_text[2]; extern char buffer[64];\n"
        "int callback_0(int number, double real); int callback_1(int number, double real);\n"
        "void callback_2(void);\n"
    )
    if cxx:
        names = ", ".join(f"text_{number}" for number in range(len(TEXTS) + 1))
        parts.append(f"extern std::string {names};\nextern std::string_view view_0, view_1;\n")
        parts.append("struct Widget {\n    long count;\n    double ratio;\n    virtual ~Widget();\n")
        for function in functions:
            if function.is_method:
                virtual = "virtual " if function.unit == 0 else ""
                parts.append(f"    {virtual}{function.attributes}{function.head(function.name, cxx=True)};\n")
        parts.append("};\nextern Widget object_0, object_1;\n")
    parts += [
        _in_scope(function, f"{function.attributes}{function.head(function.name, cxx=cxx)};\n")
        for function in functions
        if not function.is_static and not function.is_method
    ]
    parts += [f"#define LOG_{identifier(kind)}(v) {kind.log.replace('{0}', '(v)')}\n" for kind in kinds]
    return "".join(parts)


def _in_scope(function: Function, text: str) -> str:
    return f"namespace {function.scope} {{\n{text}}}\n" if function.scope and not function.is_method else text


def _unit(random: Random, functions: list[Function], *, cxx: bool, is_plain: bool) -> str:
    """One translation unit: first what is static is declared, so that the order doesn't matter."""
    writer = Writer(random, cxx=cxx, is_plain=is_plain)
    parts = ['#include "program.h"\n']
    parts += [
        f"static {function.attributes}{function.head(function.name, cxx=cxx)};\n"
        for function in functions
        if function.is_static
    ]
    for function in functions:
        name = f"Widget::{function.name}" if function.is_method else function.name
        static = "static " if function.is_static else ""
        parts.append(
            "\n" + _in_scope(function, static + function.head(name, cxx=cxx) + "\n" + writer.body(function))
        )
    # Static functions are reached from the driver too, by their unit, or nobody might call them.
    for function in functions:
        if function.is_static:
            parts.append(
                f"\n__attribute__((no_instrument_function)) void from_outside_{function.name}(void)\n{{\n"
            )
            parts.append("".join(f"    {line}\n" for line in _calls(random, function, 2)) + "}\n")
    return "".join(parts)


def _calls(random: Random, function: Function, times: int) -> list[str]:
    lines = []
    for _ in range(times):
        arguments = [kind.value(random) for kind in function.parameters]
        call = function.call(arguments, random, Material())
        if function.throws:
            call = f"try {{ {call}; }} catch (int) {{ }}"
        lines.append(f"fuel_left = {FUEL}; {call};")
    return lines


def _fuel(*, cxx: bool) -> str:
    """The declaration of what truth.c defines."""
    return 'extern "C" { extern int fuel_left; }\n' if cxx else "extern int fuel_left;\n"


def _driver(random: Random, records: list[Record], functions: list[Function], *, cxx: bool) -> str:
    parts = ['#include "program.h"\n', *(record.definition for record in records)]
    parts.append(
        "int o_int[3] = {5, -6, 70000}; double o_double[3] = {0.5, -1e300, 3};\n"
        "long o_long[3] = {1, -2, 1L << 40};\n"
        'char *o_text[2] = {(char *)"first", (char *)"second"}; char buffer[64] = "in a buffer";\n'
        "int callback_0(int number, double real) { return number + (int)real; }\n"
        "int callback_1(int number, double real) { return number - (int)real; }\n"
        "void callback_2(void) { }\n"
    )
    objects = ["o_int", "o_double", "o_long", "o_text"]
    objects += [f"o_{record.kind.spelling.split()[-1]}" for record in records]
    if cxx:
        parts += [f"std::string text_{number}({text});\n" for number, text in enumerate(TEXTS)]
        parts.append(f'std::string text_{len(TEXTS)}("with a \\0 in it", 13);\n')
        parts.append('std::string_view view_0("a view"), view_1;\nWidget::~Widget() { }\n')
        parts.append("Widget object_0, object_1;\n")
        objects += ["object_0", "object_1"]
    parts.append(_fuel(cxx=cxx))
    parts += [f"void from_outside_{function.name}(void);\n" for function in functions if function.is_static]
    parts.append("int main(void)\n{\n")
    parts += [f'    truth_object("{name}", &{name}, sizeof {name});\n' for name in objects]
    parts += [
        f'    truth_object("callback_{number}", (const void *)callback_{number}, 1);\n' for number in range(3)
    ]
    if cxx:
        parts.append("    object_0.count = 3; object_1.count = 9; object_0.ratio = object_1.ratio = 0.5;\n")
    for function in functions:
        lines = (
            [f"from_outside_{function.name}();"] if function.is_static else _calls(random, function, CALLS)
        )
        parts += [f"    {line}\n" for line in lines]
    parts.append("    return 0;\n}\n")
    return "".join(parts)


def write_program(folder: Path, seed: int, count: int, *, cxx: bool, is_plain: bool = False) -> Program:
    """Writes the program of a seed.

    Args:
        folder: where to; it must exist.
        seed: the same seed makes the same program.
        count: of functions.
        cxx: C++, not C.
        is_plain: no function is static or called by another of its own unit. What the compiler changes where
            it sees all callers, clones, inlines and never passes, is not known to debug information.
    """
    random = Random(f"{seed} {cxx}")
    simple = [*scalars(cxx=cxx), *text_kinds(cxx=cxx)]
    plain = {kind.spelling: kind for kind in simple if kind.plain}
    if cxx:
        plain["enum color"] = plain["color"]
    records = make_records(random, plain, cxx=cxx)
    kinds = [*simple, *(record.kind for record in records), *leading_kinds(plain, records, cxx=cxx)]
    functions = _choose_functions(random, kinds, count, cxx=cxx, is_plain=is_plain)
    suffix = ".cpp" if cxx else ".c"
    (folder / "program.h").write_text(_header(kinds, records, functions, cxx=cxx))
    units = []
    for number in range(UNITS):
        unit = folder / f"unit_{number}{suffix}"
        own = [function for function in functions if function.unit == number]
        unit.write_text(_fuel(cxx=cxx) + _unit(random, own, cxx=cxx, is_plain=is_plain))
        units.append(unit)
    driver = folder / f"driver{suffix}"
    driver.write_text(_driver(random, records, functions, cxx=cxx))
    assert OBJECTS == 3  # the expressions of pointers name the first and the last
    return Program(cxx, tuple(units), driver, {function.path: function for function in functions})
