"""Frames and traced calls: calls are made up of what gdb says of each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from calltrace_collector.crash.analyze import Analyzer
from calltrace_collector.model.crash import CrashFrame, MemoryRange, OpenCall
from calltrace_collector.symbols.resolver import Resolver
from tests.support.gdb_crash import GdbCrash
from tests.unit.crash.conftest import Crashed
from tests.unit.symbols.oracles import nm


def traced(seen: GdbCrash, frames: Sequence[CrashFrame], functions: set[str]) -> list[OpenCall]:
    """The open calls that a tracer of these functions would have, outermost first, numbered from 1.

    The stack pointer is that of gdb; the frames serve for where functions start.
    """
    real = [other for other in seen.frames if other.type != "other"]
    jumped = {other.address for other in seen.frames if other.type == "other"}  # these left no frame
    frames = [frame for frame in frames if frame.address not in jumped]
    calls = [
        OpenCall(0, frame.address - frame.function_offset, site.address, other.stack_pointer)
        for (frame, site), other in zip(pairwise(frames), real, strict=False)
        if frame.function in functions and frame.function_offset is not None
    ]
    return [replace(call, call=number) for number, call in enumerate(reversed(calls), start=1)]


def calls_of(frames: Sequence[CrashFrame]) -> list[tuple[str | None, int]]:
    """Function and call of each frame that has one, outermost first."""
    return [(frame.function, frame.call) for frame in reversed(frames) if frame.call is not None]


CASES = [
    ("null", "gcc-O2", ["main", "list_sum", "list_next"]),
    ("callback", "gcc-O0", ["main", "compare"]),
    ("handler", "clang-O2", ["main", "work", "on_signal", "note"]),
    ("handler-alternate", "gcc-O0", ["main", "work", "on_signal", "note"]),
    ("overflow", "gcc-O0", ["main", *["descend"] * 10]),
]


@pytest.mark.parametrize(("name", "build", "functions"), CASES)
def test_each_call_finds_its_frame(
    crashed: Crashed, resolver: Resolver, name: str, build: str, functions: list[str]
) -> None:
    seen = crashed(name, build)
    frames = Analyzer(resolver)(seen.record, seen.modules, ()).frames
    calls = traced(seen, frames, set(functions))
    analysis = Analyzer(resolver)(seen.record, seen.modules, calls)
    found = calls_of(analysis.frames)
    assert [call for _, call in found] == [call.call for call in calls]
    assert [function for function, _ in found][: len(functions)] == functions
    assert len(analysis.frames) == len(frames)


def test_calls_of_other_stacks_are_found_by_what_is_known_of_their_stack_pointers(
    crashed: Crashed, resolver: Resolver
) -> None:
    seen = crashed("handler-alternate", "gcc-O0")
    frames = Analyzer(resolver)(seen.record, seen.modules, ()).frames
    calls = traced(seen, frames, {"main", "work", "on_signal", "note"})
    known = [replace(call, stack_pointer=call.stack_pointer % (1 << 34) + (5 << 34)) for call in calls]
    analysis = Analyzer(resolver)(seen.record, seen.modules, known)
    assert [call for _, call in calls_of(analysis.frames)] == [1, 2, 3, 4]


def test_calls_that_are_no_more_on_the_stack_are_of_no_frame(crashed: Crashed, resolver: Resolver) -> None:
    seen = crashed("null", "gcc-O0")
    frames = Analyzer(resolver)(seen.record, seen.modules, ()).frames
    calls = traced(seen, frames, {"main", "list_sum", "list_next"})
    left = replace(calls[1], call=9, stack_pointer=calls[2].stack_pointer - 64)
    analysis = Analyzer(resolver)(seen.record, seen.modules, [*calls, left])
    assert calls_of(analysis.frames) == [("main", 1), ("list_sum", 2), ("list_next", 3)]


def test_inlined_calls_share_a_frame(crashed: Crashed, resolver: Resolver) -> None:
    seen = crashed("inlined", "gcc-O2", "-fno-omit-frame-pointer", "-finstrument-functions")
    frames = Analyzer(resolver)(seen.record, seen.modules, ()).frames
    inner, middle, outer = frames[:3]
    assert [frame.function for frame in frames[:3]] == ["read_y", "height", "area"]
    assert [inner.inlined, middle.inlined, outer.inlined] == [True, True, False]
    # What is inlined is known by the address of the function's copy that stands alone.
    assert outer.module
    assert outer.module_offset is not None
    bias = outer.address - outer.module_offset
    symbols = nm(Path(outer.module))
    pointer, site = seen.frames[2].stack_pointer, frames[3].address
    calls = [
        OpenCall(number, bias + symbols[name], site, pointer)
        for number, name in enumerate(("area", "height", "read_y"), start=1)
    ]
    analysis = Analyzer(resolver)(seen.record, seen.modules, calls)
    assert calls_of(analysis.frames) == [("area", 1), ("height", 2), ("read_y", 3)]


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        ({"main", "descend"}, ["main"]),
        ({"main"}, ["main"]),
    ],
)
def test_beyond_the_recorded_memory_the_traced_calls_go_on(
    crashed: Crashed, resolver: Resolver, functions: set[str], expected: list[str]
) -> None:
    seen = crashed("overflow", "gcc-O0")
    frames = Analyzer(resolver)(seen.record, seen.modules, ()).frames
    calls = traced(seen, frames, functions)
    part = min(seen.record.memory, key=lambda part: abs(part.address - seen.record.registers[7]))
    record = replace(seen.record, memory=(MemoryRange(part.address, part.content[:4096]),), memory_cut=True)
    analysis = Analyzer(resolver)(record, seen.modules, calls)
    assert "was not recorded" in analysis.unwound_until
    assert [call for _, call in calls_of(analysis.frames)] == [call.call for call in calls]
    if "descend" in functions:  # then nothing is missing up to main's caller
        names = [frame.function for frame in frames]
        assert [frame.function for frame in analysis.frames] == names[: names.index("main") + 2]
        assert [frame.address for frame in analysis.frames] == [
            frame.address for frame in frames[: names.index("main") + 2]
        ]
        assert analysis.unwound_until.endswith("on are those of traced calls")
    assert [name for name, _ in calls_of(analysis.frames)][:1] == expected
