"""Where values have been got wrong before: what compilers do, and what their debug information says of it.

Each trap is a source in tests/fixtures/capture_traps, compiled in all the ways that matter. Whatever is shown
must be true; that something is unavailable is no error, except at gcc's -O0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from calltrace_collector.capture.plan.kept_plan import KeptPlans
from calltrace_collector.capture.plan.make import make_plan
from calltrace_collector.capture.plan.program import Instruction, ItemKind
from calltrace_collector.symbols.elf import ElfFile
from tests.capture.compare import missing_part
from tests.support.collector import Collector
from tests.support.compile import compile_c, compile_cxx

FOLDER = Path("tests/fixtures/capture_traps")
ANY = object()
"""A value that differs from run to run."""
VOID = object()
"""The result of a function that returns nothing."""

BUILDS = [
    ("gcc", "-O0"),
    ("gcc", "-O2"),
    ("gcc", "-O3"),
    ("clang", "-O0"),
    ("clang", "-O2"),
    ("clang", "-O3"),
    ("gcc", "-O2", "-fstack-protector-strong", "-fno-plt"),
    ("clang", "-O2", "-fstack-protector-strong", "-fno-plt"),
    ("gcc", "-O2", "-flto"),
    ("gcc", "-O3", "-fcf-protection", "-march=haswell"),
    ("clang", "-O3", "-fcf-protection", "-march=haswell"),
]


@dataclass(frozen=True)
class Expected:
    """A call as it must be shown, or not be shown."""

    function: str
    arguments: dict[str, Any]
    result: Any


LONG_TEXT = "a text that is too long to be inside its object"

TRAPS = {
    "narrow.c": [
        Expected("narrow", {"wide": 0x100000005, "other": -0x123456789}, 5 + 0x77),
        Expected("bytes", {"wide": 0x1234567890}, 0x90 - 0x100),
    ],
    "variadic.c": [
        Expected("sum", {"first": 2, "name": "two"}, 72),
        Expected("mean", {"count": 2, "offset": 0.5}, 2.0),
    ],
    "cold.c": [
        Expected("parts", {"value": 7, "why": "likely"}, 8),
        Expected("parts", {"value": -7, "why": "unlikely"}, -15),
    ],
    "inlined.c": [
        Expected("outer", {"b": 3, "a": 4}, 1418),
        Expected("inner", {"a": 104, "b": 3}, 211),
        Expected("inner", {"a": 211, "b": 1000}, 1422),
        Expected("inner", {"a": 5, "b": 6}, 16),
    ],
    "tail.c": [
        Expected("relay", {"value": 4}, VOID),
        Expected("before", {"value": 40}, 43),
        Expected("last", {"value": 41}, VOID),
        Expected("last", {"value": 42}, VOID),
        Expected("before", {"value": 5}, 8),
        Expected("last", {"value": 6}, VOID),
        Expected("last", {"value": 7}, VOID),
    ],
    "clones.c": [
        Expected("both", {"value": 500}, 1024),
        Expected("member", {"pair": ANY, "unused": 77, "added": 20}, 521),
        Expected("constant", {"value": 500, "mode": 3}, 503),
    ],
    "guarded.c": [
        Expected("guarded", {"text": "guard", "count": 9, "weight": 2.5}, ord("g") + 9),
        Expected("returns_real", {"a": 1.5, "b": 4.0, "c": 0.25}, 2.5),
    ],
    "moved.c": [
        Expected("shifted", {"given": {"values": [1, -2, 3, 4]}, "by": 10}, {"values": [11, 8, 13, 14]}),
        Expected("scaled", {"given": {"x": 1.5, "y": -8.0}, "by": 0.5}, {"x": 0.75, "y": -8.5}),
    ],
    "frames.c": [
        Expected("grown", {"bytes": 500, "by": 7}, 14),
        Expected("recursive", {"depth": 2}, 1.5),
        Expected("recursive", {"depth": 1}, 0.5),
        Expected("recursive", {"depth": 0}, 0.0),
    ],
    "dropped.cpp": [
        Expected("after", {"used": 41}, 42),
        Expected("between", {"first": 50, "unused": {"values": [1, 2, 3, 4, 5, 6, 7, 8]}, "last": 8}, 42),
        Expected("dropped_value", {"used": 600}, 1200),
    ],
    "invisible.cpp": [
        Expected("copied", {"value": {"low": 3, "high": 30}, "next": 4}, 34),
        Expected("destroyed", {"value": {"low": 5}, "next": 6}, 11),
        Expected("trivial", {"value": {"low": 7, "high": 70}, "next": 8}, 78),
        Expected("made", {"value": 9}, {"low": 9, "high": 90}),
    ],
    "text.cpp": [
        Expected("by_value", {"text": "short", "next": 4}, 5),
        Expected("by_reference", {"text": "short", "other": LONG_TEXT}, 5),
        Expected("viewed", {"text": "text", "letter": "x"}, 4),
        Expected("returned", {"text": "this"}, "this and more"),
    ],
}
Recorded = Callable[[tuple[str, ...], bool], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def recorded(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Gives the calls of all traps of a language, compiled one way; each program is run once."""
    folder = tmp_path_factory.mktemp("traps")
    runs: dict[tuple[tuple[str, ...], bool], list[dict[str, Any]]] = {}

    def calls_of(build: tuple[str, ...], is_cxx: bool) -> list[dict[str, Any]]:
        if (build, is_cxx) not in runs:
            program = compiled(folder / f"program{len(runs)}", build, is_cxx=is_cxx)
            pid, _ = collector.run(program, CALLTRACE_CAPTURE_ARGS="1")
            runs[build, is_cxx] = collector.calls(pid)
        return runs[build, is_cxx]

    return calls_of


def compiled(output: Path, build: tuple[str, ...], *, is_cxx: bool) -> Path:
    """Compiles all traps of a language into one program."""
    compiler, *flags = build
    traps = [name for name in TRAPS if name.endswith(".cpp") == is_cxx]
    sources = [FOLDER / name for name in [*traps, "main.cpp" if is_cxx else "main.c"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", compiler)
        patch.setenv("CXX", {"gcc": "g++", "clang": "clang++"}[compiler])
        compile_program = compile_cxx if is_cxx else compile_c
        return compile_program(sources, output, (*flags, "-finstrument-functions"))


def differences(expected: Expected, call: dict[str, Any]) -> tuple[int, list[str]]:
    """Compares a call; returns how many values are right, and a line for each that is not true."""
    right, wrong = 0, []
    for row in call["arguments"] or ():
        if row.get("name") not in expected.arguments or missing_part([row]):
            continue
        true = expected.arguments[row["name"]]
        if true is not ANY and (row["value"] != true or type(row["value"]) is not type(true)):
            wrong.append(f"{expected.function}: {row['name']} is shown as {row['value']}, is {true}")
        else:
            right += 1
    row = call["return_value"]
    if row is not None and not missing_part([row]):
        if expected.result is VOID or row["value"] != expected.result:
            wrong.append(f"{expected.function}: returned {row['value']}, not {expected.result}")
        else:
            right += 1
    return right, wrong


def pairs(trap: str, calls: list[dict[str, Any]]) -> list[tuple[Expected, dict[str, Any]]]:
    """Each expected call with the one that was recorded."""
    expected = TRAPS[trap]
    names = {call.function for call in expected}
    named = [(re.sub(r"[\[(].*", "", call["function"]), call) for call in calls]
    found = [(name, call) for name, call in named if name in names]
    assert [name for name, _ in found] == [call.function for call in expected]
    return [(call, row) for call, (_, row) in zip(expected, found, strict=True)]


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
@pytest.mark.parametrize("trap", TRAPS)
def test_what_is_shown_is_true(recorded: Recorded, trap: str, build: tuple[str, ...]) -> None:
    calls = recorded(build, trap.endswith(".cpp"))
    compared = [differences(expected, call) for expected, call in pairs(trap, calls)]
    assert [line for _, wrong in compared for line in wrong] == []
    assert sum(right for right, _ in compared) > 0


@pytest.mark.parametrize("trap", TRAPS)
def test_all_is_shown_without_optimization(recorded: Recorded, trap: str) -> None:
    for expected, call in pairs(trap, recorded(("gcc", "-O0"), trap.endswith(".cpp"))):
        shown = {row.get("name") for row in call["arguments"] if "value" in row}
        assert shown >= set(expected.arguments)
        assert (call["return_value"] is None) == (expected.result is VOID)
        assert expected.result is VOID or "value" in call["return_value"]


# --- a wrong plan is noticed ---

OPERANDS = {
    Instruction.REGISTER: 1,
    Instruction.XMM: 1,
    Instruction.CONST8: 1,
    Instruction.CONST32: 4,
    Instruction.CONST64: 8,
    Instruction.IMAGE: 8,
    Instruction.LOAD: 1,
    Instruction.ZERO: 1,
    Instruction.SIGN: 1,
    Instruction.INSERT: 1,
}
"""Bytes that follow an instruction."""
ONE_MORE = bytes((Instruction.CONST8, 1, Instruction.ADD))


def off_by_one(program: bytes) -> bytes:
    """A capture program whose values, addresses and lengths are all one more than they should be."""
    wrong, at = b"", 0
    while at < len(program):
        kind = ItemKind(program[at])
        head = {ItemKind.VALUE: 2, ItemKind.MEMORY: 3}.get(kind, 1)
        expressions = {ItemKind.VALUE: (program[at + 1] + 7) // 8, ItemKind.STRING: 2}.get(kind, 1)
        wrong += program[at : at + head]
        at += head
        for _ in range(expressions):
            start = at
            while program[at] != Instruction.END:
                at += 1 + OPERANDS.get(Instruction(program[at]), 0)
            wrong += program[start:at] + ONE_MORE + bytes((Instruction.END,))
            at += 1
    return wrong


@pytest.mark.parametrize("is_cxx", [False, True], ids=["C", "C++"])
def test_values_by_a_wrong_plan_are_noticed(collector: Collector, tmp_path: Path, is_cxx: bool) -> None:
    program = compiled(tmp_path / "program", ("gcc", "-O0"), is_cxx=is_cxx)
    with ElfFile(program) as elf:
        assert elf.build_id
        name = elf.build_id.hex()
        plan = make_plan([elf])
    wrong = replace(plan, hooks=tuple(replace(hook, program=off_by_one(hook.program)) for hook in plan.hooks))
    KeptPlans(collector.environment).write(name, name, wrong)
    pid, _ = collector.run(program, CALLTRACE_CAPTURE_ARGS="1")
    calls = collector.calls(pid)
    for trap in TRAPS:
        if trap.endswith(".cpp") == is_cxx:
            for expected, call in pairs(trap, calls):
                right, noticed = differences(expected, call)
                anything = sum(value is ANY for value in expected.arguments.values())
                assert noticed, (trap, call)
                assert right == anything, (trap, call)
