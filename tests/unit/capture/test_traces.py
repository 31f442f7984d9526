"""Compiled functions are called with random registers: what is found at their hooks must be what was passed
and what they returned."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from calltrace_collector.capture.code.file_code import FileCode
from calltrace_collector.capture.machine.expression import Expression
from calltrace_collector.capture.trace.entry_trace import EntryTrace, trace_entry
from calltrace_collector.capture.trace.exit_trace import ExitTrace, trace_exit
from calltrace_collector.symbols.elf import ElfFile
from tests.support import random_functions
from tests.support.expressions import Evaluator
from tests.support.native_code import Registers
from tests.support.register_probe import STACK_WORDS, Call, Event, ProbedLibrary

SEED = 20
FUNCTIONS = 70
ARGUMENTS = (5, 4, 1, 2, 8, 9)  # the registers of arguments, by DWARF number
HAS_AVX = "avx2" in Path("/proc/cpuinfo").read_text().split()

PLAIN = [(compiler, f"-O{level}") for compiler in ("gcc", "clang") for level in ("0", "1", "2", "3", "s")]
SPECIAL = [
    ("gcc", "-O0 -fstack-protector-all -fcf-protection"),
    ("clang", "-O0 -fstack-protector-all -fcf-protection"),
    ("gcc", "-O2 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-plt"),
    (
        "clang",
        "-O2 -fstack-protector-strong -fno-plt -fno-omit-frame-pointer -ftrivial-auto-var-init=pattern",
    ),
    ("gcc", "-O2 -fno-omit-frame-pointer -ftrivial-auto-var-init=pattern -mno-red-zone --coverage"),
    ("gcc", "-O0 -ftrivial-auto-var-init=zero"),
]
OF_AVX = [("gcc", "-O3 -march=haswell"), ("clang", "-O3 -march=haswell")]
VARIANTS = PLAIN + SPECIAL + (OF_AVX if HAS_AVX else [])


@dataclass
class Found:
    """How many of the values that are certainly there were found."""

    arguments: int = 0
    arguments_found: int = 0
    results: int = 0
    results_found: int = 0


@pytest.fixture(params=VARIANTS, ids=" ".join)
def library(request: pytest.FixtureRequest, tmp_path: Path) -> ProbedLibrary:
    compiler, flags = request.param
    text = random_functions.source(SEED, FUNCTIONS)
    return ProbedLibrary(compiler, flags.split(), text, tmp_path)


def _registers(picks: random.Random, call_stack_result: int) -> Registers:
    general = [picks.choice((picks.getrandbits(64), picks.randrange(20))) for _ in range(16)]
    general[5] = call_stack_result or general[5]
    floats = [
        picks.choice((0x3FF8000000000000, 0x40400000, 0xC03E000000000000, 0x3F800000BF800000))
        for _ in range(32)
    ]
    return Registers(tuple(general), tuple(floats), 0)


def _evaluator(library: ProbedLibrary, event: Event) -> Evaluator:
    atoms: dict[Expression, int] = {("reg", n): value for n, value in enumerate(event.registers.general)}
    # What stubs on the way to the hook may change does not count.
    del atoms[("reg", 10)], atoms[("reg", 11)]
    atoms |= {("xmm", place // 2, place % 2): event.registers.xmm[place] for place in range(16)}
    return Evaluator(atoms, lambda address, size: library.read(event, address, size), library.load_bias)


def _check_entry(trace: EntryTrace, call: Call, event: Event, evaluate: Evaluator) -> None:
    for size in (1, 2, 3, 4, 6, 8):
        low = (1 << 8 * size) - 1
        for number in range(16):
            found = trace.register(number, size)
            if found is not None:
                expected = call.entry_stack if number == 7 else call.before.general[number]
                assert evaluate(found) & low == expected & low, (number, size, found)
        for place in range(32):
            found = trace.xmm(place // 2, place % 2, size)
            if found is not None:
                assert evaluate(found) & low == call.before.xmm[place] & low, (place, size, found)
    for offset in range(0, 8 * STACK_WORDS, 8):
        found = trace.stack(offset + 8, 8)
        if found is not None:
            assert evaluate(found) == call.entry_stack + 8 + offset
            lies = ProbedLibrary.read(event, evaluate(found), 8)
            assert lies == call.stack_arguments[offset : offset + 8], offset


def _check_exit(trace: ExitTrace, call: Call, evaluate: Evaluator) -> None:
    for size in (1, 2, 3, 4, 6, 8):
        low = (1 << 8 * size) - 1
        for index in (0, 1):
            found = trace.register(index, size)
            assert found is None or evaluate(found) & low == call.after.general[index] & low, (
                index,
                size,
                found,
            )
        for place in range(4):
            found = trace.xmm(place // 2, place % 2, size)
            assert found is None or evaluate(found) & low == call.after.xmm[place] & low, (place, size, found)
    address = trace.hidden()
    assert address is None or evaluate(address) == call.after.general[0]


def _check_x87(trace: ExitTrace, call: Call, evaluate: Evaluator, event: Event) -> bool:
    found = trace.x87()
    if found is None:
        return False
    if len(found) == 2:
        assert found[1] == call.x87
    elif found[2] == 10:
        assert ProbedLibrary.read(event, evaluate(found[1]), 10) == call.x87
    return True


def _cases(library: ProbedLibrary) -> Iterator[tuple[str, Call]]:
    picks = random.Random(SEED)
    for name in sorted(name for name in library.offsets if re.fullmatch(r"[fg]\d+_i\d_d\d_r\w", name)):
        room = library.room if name.endswith("_rh") else 0
        for _ in range(2):
            stack = [picks.getrandbits(64) for _ in range(STACK_WORDS)]
            yield name, library.call(name, _registers(picks, room), stack, x87=name.endswith("_rl"))


def _count_arguments(found: Found, name: str, trace: object) -> None:
    integers, floats = (int(part[1:]) for part in name.split("_")[1:3])
    found.arguments += integers + floats
    if isinstance(trace, EntryTrace):
        found.arguments_found += sum(trace.register(number, 1) is not None for number in ARGUMENTS[:integers])
        found.arguments_found += sum(trace.xmm(number, 0, 4) is not None for number in range(floats))


def _has_result(trace: ExitTrace, kind: str) -> bool:
    if kind in ("ri", "rp", "rc"):
        return trace.register(0, 1) is not None
    if kind == "rh":
        return trace.hidden() is not None
    return trace.xmm(0, 0, 4) is not None if kind in ("rd", "rf", "rm", "rv") else True


def test_what_traces_find_is_what_was_passed_and_returned(library: ProbedLibrary) -> None:
    found = Found()
    with ElfFile(library.path) as elf:
        code = FileCode([elf])
        for name, call in _cases(library):
            offset = library.offsets[name]
            own = [event for event in call.events if event.function == library.load_bias + offset]
            entry, *_ = own
            trace = trace_entry(code, offset, entry.return_address - library.load_bias)
            _count_arguments(found, name, trace)
            if isinstance(trace, EntryTrace):
                _check_entry(trace, call, entry, _evaluator(library, entry))
            _check_end(library, code, name, call, own[-1], found)
    # Without optimization, all arguments have been saved before the hook is called.
    least = 1 if any("-O0" in flag for flag in library.flags) else 0.7
    assert found.arguments_found >= least * found.arguments
    assert found.results_found >= 0.85 * found.results


def _check_end(
    library: ProbedLibrary, code: FileCode, name: str, call: Call, event: Event, found: Found
) -> None:
    assert not event.is_entry
    kind = name.rsplit("_", 1)[1]
    trace = trace_exit(code, event.return_address - library.load_bias, library.offsets[name])
    found.results += kind != "rn"
    if not isinstance(trace, ExitTrace):
        return
    evaluate = _evaluator(library, event)
    _check_exit(trace, call, evaluate)
    has = _check_x87(trace, call, evaluate, event) if kind == "rl" else _has_result(trace, kind)
    found.results_found += has and kind != "rn"
