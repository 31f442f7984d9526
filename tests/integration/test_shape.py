"""Parent and order of every call are those that the program itself logged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector

Call = tuple[str, int]
"""Function and position of the caller among the thread's calls, -1 for none."""


def logged(prefix: Path) -> dict[int, list[Call]]:
    """Reads what shape.h wrote: the calls of each thread, by thread id."""
    threads = {}
    for file in prefix.parent.glob(f"{prefix.name}.*"):
        lines = [line.split() for line in file.read_text().splitlines()]
        threads[int(file.suffix[1:])] = [(function, int(parent)) for function, parent in lines]
    return threads


def traced(calls: list[dict[str, Any]]) -> dict[int, list[Call]]:
    """Brings the output of `calltrace query` into the same form."""
    threads: dict[int, list[Call]] = {}
    positions: dict[int, int] = {}
    for call in calls:
        thread = threads.setdefault(call["tid"], [])
        positions[call["call"]] = len(thread)
        parent = -1 if call["parent"] is None else positions[call["parent"]]
        thread.append((call["function"], parent))
    return threads


@pytest.mark.parametrize(
    ("source", "arguments", "optimisation"),
    [
        ("recursion.c", (), "-O0"),
        ("recursion.c", (), "-O2"),
        ("deep.c", ("100000",), "-O0"),
        ("threads.c", ("50",), "-O0"),
        ("threads.c", ("50",), "-O2"),
    ],
)
def test_calls_are_those_that_the_program_logged(
    collector: Collector,
    build: Callable[..., Path],
    tmp_path: Path,
    source: str,
    arguments: tuple[str, ...],
    optimisation: str,
) -> None:
    program = build(source, optimisation, "-finstrument-functions", "-pthread")
    log = tmp_path / "log"
    pid, _ = collector.run(program, *arguments, SHAPE_LOG=str(log))

    calls = collector.calls(pid)
    expected = logged(log)
    assert expected
    assert traced(calls) == expected
    depths = {call["call"]: call["depth"] for call in calls}
    for call in calls:
        assert call["status"] == "returned"
        assert call["depth"] == (0 if call["parent"] is None else depths[call["parent"]] + 1)


def test_times_nest(collector: Collector, build: Callable[..., Path], tmp_path: Path) -> None:
    pid, _ = collector.run(build("recursion.c"), SHAPE_LOG=str(tmp_path / "log"))
    calls = {call["call"]: call for call in collector.calls(pid)}
    in_callees = dict.fromkeys(calls, 0)
    for call in calls.values():
        if call["parent"] is not None:
            parent = calls[call["parent"]]
            assert parent["start_ns"] <= call["start_ns"]
            end_ns = call["start_ns"] + call["duration_ns"]
            assert end_ns <= parent["start_ns"] + parent["duration_ns"] + 1  # each rounded to a nanosecond
            in_callees[call["parent"]] += call["duration_ns"]
    for number, call in calls.items():
        rounding = 1 + sum(1 for other in calls.values() if other["parent"] == number)
        assert abs(call["duration_ns"] - in_callees[number] - call["self_ns"]) <= rounding
