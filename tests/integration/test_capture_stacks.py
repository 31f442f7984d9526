"""Captured values belong to their calls, however many are open, and whatever stack they are on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.captured_calls import arguments_of
from tests.support.collector import Collector

DEEP = 70_000
"""More calls than a chunk holds, so that most end in another one than they begin in."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """One that looks for plans where no other test does."""
    with Collector() as running:
        yield running


@pytest.fixture
def program(build: Callable[..., Path]) -> Path:
    # Without optimization all values are known.
    return build("values_on_stacks.c", "-O0", "-g", "-finstrument-functions")


def traced(
    collector: Collector, program: Path, what: str, number: int, function: str
) -> list[dict[str, Any]]:
    pid, _ = collector.run(program, what, str(number), CALLTRACE_CAPTURE_ARGS="1")
    return collector.calls(pid, "--function", function)


def test_deep_recursion(collector: Collector, program: Path) -> None:
    calls = traced(collector, program, "deep", DEEP, "down")
    assert len(calls) == DEEP + 1
    seeds = [1]
    for _ in range(DEEP):
        seeds.append((seeds[-1] * 3 + 1) % 2**32)
    total = seeds[-1]
    for depth in range(DEEP, -1, -1):
        number = DEEP - depth
        total += number
        assert arguments_of(calls[depth]) == {"number": number, "seed": seeds[depth]}
        assert calls[depth]["return_value"] == {"type": "long int", "value": total}


def test_coroutines(collector: Collector, program: Path) -> None:
    calls = traced(collector, program, "switch", 500, "step")
    found = [(call["status"], arguments_of(call), call["return_value"]["value"]) for call in calls]
    assert found == [
        ("returned", {"coroutine": coroutine, "i": i}, 1000 * coroutine + i)
        for coroutine in range(2)
        for i in range(500)
    ]


def test_calls_that_do_not_return(collector: Collector, program: Path) -> None:
    calls = traced(collector, program, "jump", 200, "leave")
    assert [arguments_of(call) for call in calls] == [{"number": number} for number in range(5, -1, -1)] * 200
    assert {(call["status"], call["return_value"]) for call in calls} == {("abandoned", None)}
