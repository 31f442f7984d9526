"""Collectors that are killed and started anew, at any moment: every call is stored exactly once."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from calltrace_collector.ingest.directory import session_directories
from tests.support.collector import Collector, wait_until
from tests.support.tally import Tallied

SMALL = {"CALLTRACE_OUTBOX_LIMIT": "16M"}
"""So that it does not take long to store what is left."""


def test_a_killed_collector_stores_every_call_once(
    tally: Path,
    tmp_path: Path,
    chance: random.Random,
    amount: Callable[[int, int], int],
    note: Callable[[str, object], None],
) -> None:
    kills = amount(3, 100)
    with Collector() as collector:
        programs = [
            Tallied(
                collector,
                tally,
                tmp_path / f"tally-{i}",
                0,
                i + 1,
                "handle",
                CALLTRACE_MAX_DEPTH=depth,
                **SMALL,
            )
            for i, depth in enumerate(["0", "5"])
        ]
        for _ in range(kills):
            for program in programs:
                program.wait_for(program.calls() + chance.randrange(1, 150_000))
            collector.kill()
            collector.start()
        for program in programs:
            program.process.terminate()
        for program in programs:
            assert (program.wait(), program.errors) == (5, ""), collector.log()
            assert program.wait_for_end().state == "exited"
            program.check_interrupted()
        note("kills", kills)
        note("calls", sum(program.calls() for program in programs))


def test_each_call_is_there_once_after_a_restart(tally: Path, tmp_path: Path, chance: random.Random) -> None:
    with Collector() as collector:
        program = Tallied(collector, tally, tmp_path / "tally", 60_000, 2, "return")
        for _ in range(2):
            program.wait_for(chance.randrange(1, 60_000))
            collector.kill()
            collector.start()
        assert (program.wait(), program.errors) == (0, "")
        program.wait_for_end()
        program.check_complete()
        program.check_calls()


def leave_sessions(collector: Collector, tally: Path, folder: Path) -> list[Tallied]:
    """Kills a collector, and then the programs that it served."""
    programs = [Tallied(collector, tally, folder / f"tally-{i}", 0, 2, **SMALL) for i in range(3)]
    for program in programs:
        program.wait_for(50_000)
    collector.kill()
    for program in programs:
        program.kill()
    return programs


def test_the_next_collector_recovers_what_both_left(tally: Path, tmp_path: Path) -> None:
    with Collector() as collector:
        programs = leave_sessions(collector, tally, tmp_path)
        collector.start()
        for program in programs:
            end = program.wait_for_end()
            assert (end.state, end.signal) == ("killed", None)
            program.check_interrupted()
        wait_until(lambda: not session_directories(collector.sessions), "nothing to be left behind")
        parent = collector.sessions / f"calltrace-{os.geteuid()}"
        assert list(parent.iterdir()) == [], "kept as damaged"


def test_a_collector_killed_while_it_recovers_is_followed_by_one_that_does(
    tally: Path, tmp_path: Path, chance: random.Random, amount: Callable[[int, int], int]
) -> None:
    with Collector() as collector:
        for attempt in range(amount(1, 20)):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            programs = leave_sessions(collector, tally, folder)
            for _ in range(3):
                collector.start()
                # Some bytes of the sessions have been read, some committed, one or two may have ended.
                ended = [program.stored_end() for program in programs]
                wait_until(
                    lambda ended=ended, programs=programs: (
                        chance.random() < 0.02 or [program.stored_end() for program in programs] != ended
                    ),
                    "recovery to go on",
                )
                collector.kill()
            collector.start()
            for program in programs:
                program.wait_for_end()
                program.check_interrupted()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_ends_though_its_collector_dies_while_it_says_goodbye(
    tally: Path, tmp_path: Path, how: signal.Signals
) -> None:
    with Collector() as collector:
        collector.pause()
        program = Tallied(collector, tally, tmp_path / "tally", 50_000, 1, "return")
        wait_until(lambda: program.calls() >= 50_000, "the program to make its calls")
        if how == signal.SIGKILL:
            collector.kill()
        else:
            collector.resume()
            assert collector.stop() == 0
        assert program.wait() == 0
        collector.start()
        assert program.wait_for_end().state == "exited"
        program.check_complete()
