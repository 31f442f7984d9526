"""Coroutines that ucontext switches between: the calls on each stack are a tree of their own.

The oracle is the program's log of the coroutine and the depth of each call.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.collector import Collector

Calls = dict[int, list[tuple[str, int]]]


def logged(log: Path) -> Calls:
    """Name and depth of the calls on each stack, by coroutine (-1: main's own stack)."""
    calls: Calls = defaultdict(list)
    for line in log.read_text().splitlines():
        coroutine, depth, name = line.split()
        calls[int(coroutine)].append((name, int(depth)))
    return calls


def traced(collector: Collector, pid: int) -> Calls:
    """The same as the collector has it, with stacks in the order in which they were made."""
    found: Calls = defaultdict(list)
    for call in collector.calls(pid):
        found[call["call"] >> 40].append((call["function"], call["depth"]))
    numbers = sorted(found)
    return {place - 1: found[number] for place, number in enumerate(numbers)}


@pytest.mark.parametrize("optimisation", ["-O0", "-O2"])
@pytest.mark.parametrize("mode", ["once", "reuse"])
def test_each_stack_has_its_calls(
    collector: Collector, build: Callable[..., Path], tmp_path: Path, optimisation: str, mode: str
) -> None:
    program = build("coroutines.c", optimisation, "-finstrument-functions")
    log = tmp_path / "log"
    pid, _ = collector.run(program, log, "9", "40", mode)
    assert traced(collector, pid) == logged(log)
    assert {call["status"] for call in collector.calls(pid)} == {"returned"}
    process = collector.process(pid)
    assert (process["threads"], process["lost_events"]) == (1, 0)
    threads = collector.threads(pid)
    assert [thread["stack_of"] for thread in threads] == [None] + 9 * [0]


def test_durations_go_on_while_other_stacks_run(
    collector: Collector, build: Callable[..., Path], tmp_path: Path
) -> None:
    pid, _ = collector.run(build("coroutines.c", "-O0", "-finstrument-functions"), tmp_path / "log", "2", "3")
    calls = collector.calls(pid)
    by_number = {call["call"]: call for call in calls}
    for call in calls:
        if call["parent"] is None:
            continue
        caller = by_number[call["parent"]]
        end_ns = call["start_ns"] + call["duration_ns"]
        assert caller["start_ns"] <= call["start_ns"] <= end_ns
        assert end_ns <= caller["start_ns"] + caller["duration_ns"]
    # A coroutine's yield() lasts until it is resumed: over some other coroutine's calls.
    yields = [call for call in calls if call["function"] == "yield"]
    others = [call for call in calls if call["function"] == "resume"]
    assert any(
        one["start_ns"] < other["start_ns"] < one["start_ns"] + one["duration_ns"]
        for one in yields
        for other in others
    )


@pytest.mark.parametrize("when", ["collector runs", "collector is away"])
def test_killed_in_the_middle(
    collector: Collector, build: Callable[..., Path], tmp_path: Path, when: str
) -> None:
    """What a dead process's ring holds of its coroutines is put on their stacks as well."""
    program = build("coroutines.c", "-O2", "-finstrument-functions")
    log = tmp_path / "log"
    if when == "collector is away":
        collector.pause()
    traced_program = collector.spawn(program, log, "9", "40", "die")
    if when == "collector is away":
        collector.resume()
    traced_program.communicate()
    assert collector.wait_for_end(traced_program.pid)["state"] == "killed"
    assert traced(collector, traced_program.pid) == logged(log)
