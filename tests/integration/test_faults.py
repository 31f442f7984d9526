"""Whatever dies, every call is stored exactly once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.collector import Collector, wait_until

MAX_THREADS = 64


def counted(file: Path) -> list[int]:
    """The program's own count of calls, for each thread."""
    return list(struct.unpack(f"{MAX_THREADS}Q", file.read_bytes()))


def progress(file: Path, calls: int) -> Callable[[], bool]:
    """Whether the program has made so many calls."""
    return lambda: file.exists() and file.stat().st_size > 0 and sum(counted(file)) >= calls


@pytest.mark.parametrize("threads", [1, 4])
def test_a_killed_program_has_all_its_calls(
    collector: Collector, build: Callable[..., Path], tmp_path: Path, threads: int
) -> None:
    chance = random.Random(threads)
    for attempt in range(8):
        file = tmp_path / f"count-{attempt}"
        program = collector.spawn(build("counted.c"), file, "0", str(threads))
        wait_until(progress(file, chance.randrange(1, 300_000)), "the program to call")
        program.kill()
        program.communicate()
        end = collector.wait_for_end(program.pid)
        # Which signal it was nobody can say of a process that was gone before its collector heard of it.
        assert (end["state"], end["exit_code"]) == ("killed", None)
        assert end["signal"] in {signal.SIGKILL, None}
        assert end["threads"] <= threads
        assert 0 <= end["calls"] - sum(counted(file)) <= threads, collector.log()


def test_a_program_that_leaves_by_exit_group_has_all_its_calls(
    collector: Collector, build: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "count"
    pid, _ = collector.run(build("counted.c"), file, "100000", "3")
    end = collector.process(pid)
    assert (end["state"], end["exit_code"]) == ("exited", 0)
    assert end["calls"] == sum(counted(file))
    assert end["lost_events"] == 0


def test_a_killed_collector_stores_every_call_once(build: Callable[..., Path], tmp_path: Path) -> None:
    chance = random.Random(5)
    with Collector() as collector:
        file = tmp_path / "count"
        calls = 8_000_000
        program = collector.spawn(build("counted.c"), file, str(calls), "2")
        wait_until(progress(file, 1), "the program to call")
        for _ in range(5):
            target = min(sum(counted(file)) + chance.randrange(300_000), calls)
            wait_until(progress(file, target), "more calls")
            collector.kill()
            collector.start()
        output, errors = program.communicate()
        assert (program.returncode, output, errors) == (0, "", "")
        end = collector.wait_for_end(program.pid)
        assert end["calls"] == sum(counted(file)), collector.log()
        assert sum(row["calls"] for row in collector.report(program.pid)) == sum(counted(file))


def test_a_collector_finds_what_was_left_while_it_was_away(
    build: Callable[..., Path], tmp_path: Path
) -> None:
    with Collector() as collector:
        file = tmp_path / "count"
        program = collector.spawn(build("counted.c"), file, "0", "2")
        wait_until(progress(file, 50_000), "the program to call")
        collector.kill()
        wait_until(progress(file, sum(counted(file)) + 50_000), "more calls")
        os.kill(program.pid, signal.SIGKILL)
        program.communicate()
        collector.start()
        end = collector.wait_for_end(program.pid)
        assert 0 <= end["calls"] - sum(counted(file)) <= 2, collector.log()


def test_a_stopped_collector_commits_what_it_received(build: Callable[..., Path], tmp_path: Path) -> None:
    with Collector() as collector:
        file = tmp_path / "count"
        program = collector.spawn(build("counted.c"), file, "500000", "2")
        wait_until(progress(file, 100_000), "the program to call")
        assert collector.stop() == 0
        collector.start()
        program.communicate()
        assert program.returncode == 0
        assert collector.wait_for_end(program.pid)["calls"] == sum(counted(file))


def test_what_is_dropped_is_counted_to_the_last_event(build: Callable[..., Path], tmp_path: Path) -> None:
    with Collector() as collector:
        file = tmp_path / "count"
        program = build("counted.c")
        settings = {"CALLTRACE_OVERFLOW": "drop", "CALLTRACE_OUTBOX_LIMIT": "8M"}
        collector.pause()
        running = collector.spawn(program, file, "6000000", "2", **settings)
        wait_until(progress(file, 12_000_000), "the program to make all its calls")
        collector.resume()
        running.communicate()
        assert running.returncode == 0
        end = collector.wait_for_end(running.pid)
        events = 2 * sum(counted(file))
        # An event is an entry, an exit of a call whose entry is there, an exit without one, or dropped.
        with closing(sqlite3.connect(collector.database)) as database:
            query = "select sum(orphan_exits), sum(dropped) from thread"
            orphans, dropped = database.execute(query).fetchone()
        assert end["lost_events"] == dropped > 0
        returned = collector.count_lines(running.pid, '"status":"returned"')
        assert end["calls"] + returned + orphans + dropped == events
