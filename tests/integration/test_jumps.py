"""Handlers that jump out of whatever they interrupted, the agent's own hooks included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.collector import Collector

JUMPS = 2000


@pytest.mark.parametrize("stack", [(), ("alternate",)], ids=["same stack", "alternate stack"])
def test_jumping_out_of_anywhere_loses_no_call(
    collector: Collector, build: Callable[..., Path], stack: tuple[str, ...]
) -> None:
    pid, output = collector.run(build("jumps.c"), str(JUMPS), *stack)
    process = collector.process(pid)
    begun = int(output)
    # A call whose entry was recorded may have been left before its body began.
    assert begun <= process["calls"] <= begun + JUMPS
    assert process["lost_events"] == 0

    calls = collector.calls(pid, "--function", "in_handler")
    # Each handler made four calls, one inside the other; the timer interrupted none of them.
    assert len(calls) == 4 * JUMPS
    assert {call["status"] for call in calls} <= {"returned"}
