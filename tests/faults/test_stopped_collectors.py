"""A collector that stands still: nothing is lost, or what is dropped is counted and shown."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from calltrace_collector.model.process import CallStatus
from tests.support.collector import Collector, wait_until
from tests.support.tally import Tallied


def stand_still(collector: Collector, seconds: float, while_waiting: Callable[[], object]) -> None:
    """Stops the collector for so long."""
    collector.pause()
    began = time.monotonic()

    def is_over() -> bool:
        while_waiting()
        return time.monotonic() >= began + seconds

    wait_until(is_over, "the time to pass")
    collector.resume()


def test_a_program_waits_for_a_collector_that_stands_still(
    tally: Path, tmp_path: Path, amount: Callable[[int, int], int], note: Callable[[str, object], None]
) -> None:
    with Collector() as collector:
        program = Tallied(collector, tally, tmp_path / "tally", 0, 2, "handle", CALLTRACE_OUTBOX_LIMIT="8M")
        program.wait_for(10_000)
        seen = [0, 0]

        def look() -> None:
            seen[:] = [seen[1], program.calls()]

        stand_still(collector, amount(2, 30), look)
        assert seen[0] == seen[1] > 0, "it goes on although there is no room"
        program.wait_for(program.calls() + 1_000_000)
        program.process.terminate()
        assert (program.wait(), program.errors) == (5, "")
        program.wait_for_end()
        program.check_interrupted()
        note("calls", program.calls())


def test_what_is_dropped_is_counted_and_shown(
    tally: Path, tmp_path: Path, amount: Callable[[int, int], int], note: Callable[[str, object], None]
) -> None:
    with Collector() as collector:
        settings = {"CALLTRACE_OVERFLOW": "drop", "CALLTRACE_OUTBOX_LIMIT": "8M"}
        program = Tallied(collector, tally, tmp_path / "tally", 0, 2, "stop", **settings)
        program.wait_for(10_000)
        before = program.calls()
        stand_still(collector, amount(2, 30), lambda: None)
        assert program.calls() > before, "it does not wait"
        program.wait_for(program.calls() + 1_000_000)
        program.process.terminate()
        assert (program.wait(), program.errors) == (0, "")
        program.wait_for_end()
        # All calls have returned: each has made two events. An event is stored, or dropped, or it is an exit
        # whose entry was dropped.
        calls = program.read_calls().values()
        entries = sum(sum(thread.made) for thread in calls)
        ended = [CallStatus.RETURNED, CallStatus.CUT]
        exits = sum(thread.statuses[status] for thread in calls for status in ended)
        stored = program.stored().values()
        orphans = sum(thread.orphan_exits for thread in stored)
        dropped = sum(thread.dropped for thread in stored)
        assert dropped > 0
        assert entries + exits + orphans + dropped == 2 * program.calls()
        check_gaps(collector, program, dropped)
        note("events dropped", dropped)
        note("calls stored", entries)


def check_gaps(collector: Collector, program: Tallied, dropped: int) -> None:
    """The answers say what was dropped, and the tree where."""
    pid = str(program.pid)
    assert collector.process(program.pid)["lost_events"] == dropped
    tree = collector.ask("query", "--pid", pid, "--depth", "0", "--limit", "0")
    gaps = [
        (number, int(match[1].replace(",", "")))
        for number, line in enumerate(tree.stdout.splitlines())
        if (match := re.search(r"! ([\d,]+) events? dropped here", line))
    ]
    assert sum(count for _, count in gaps) == dropped
    assert gaps[0][0] > 2, "the first calls were stored"
    assert f"{dropped:,} events of this process were dropped" in tree.stderr
    lost = collector.ask("query", "--pid", pid, "--format", "jsonl", "--max-depth", "0").stdout
    # Of a call whose exit was dropped it is known that it ended, if something came after it.
    assert '"status":"lost"' in lost or '"status":"open"' in lost
