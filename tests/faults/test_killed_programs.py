"""Programs that are killed, or leave by themselves from deep inside: all their calls are stored."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector, wait_until
from tests.support.tally import Tallied

TOGETHER = 4
MOST_CALLS = 150_000


def killed(collector: Collector, tally: Path, folder: Path, chance: random.Random) -> Tallied:
    """Starts a program that will be killed at a random moment."""
    depth = chance.choice(["0", "0", "3", "7"])
    threads = chance.randrange(1, 5)
    return Tallied(collector, tally, folder / "tally", 0, threads, CALLTRACE_MAX_DEPTH=depth)


def test_a_killed_program_has_all_its_calls(
    collector: Collector,
    tally: Path,
    tmp_path: Path,
    chance: random.Random,
    amount: Callable[[int, int], int],
    note: Callable[[str, object], None],
) -> None:
    differences: Counter[int] = Counter()
    early = 0
    kills = amount(20, 1000)
    for wave in range(kills // TOGETHER):
        running = []
        for i in range(TOGETHER):
            folder = tmp_path / f"{wave}-{i}"
            folder.mkdir()
            running.append(killed(collector, tally, folder, chance))
        for program in running:
            # Some before their first call is stored, some after many.
            program.wait_for(chance.choice([0, 1, chance.randrange(1000), chance.randrange(MOST_CALLS)]))
            program.kill()
        for program in running:
            if program.calls() == 0:
                early += 1  # it may have been killed before anybody could know of it
                continue
            end = program.wait_for_end()
            assert (end.state, end.exit_code) == ("killed", None)
            # Which signal it was nobody can say of a process that was gone before its collector heard of it.
            assert end.signal in {signal.SIGKILL, None}
            differences.update(program.check_interrupted())
        if wave % 25 == 0:
            running[-1].check_calls()
    note("kills", kills)
    note("of these before the first call", early)
    note("threads by calls stored beyond those counted", dict(sorted(differences.items())))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("end", "ended"),
    [
        ("return", ("exited", 0, None)),
        ("exit", ("exited", 4, None)),
        ("_exit", ("exited", 3, None)),
        ("abort", ("crashed", None, signal.SIGABRT)),
    ],
)
def test_a_program_that_leaves_has_all_its_calls(
    collector: Collector,
    tally: Path,
    tmp_path: Path,
    threads: int,
    end: str,
    ended: tuple[str, int | None, int | None],
) -> None:
    program = Tallied(collector, tally, tmp_path / "tally", 20_000, threads, end)
    # It is reaped afterwards: of a process that is gone nobody could say how it ended.
    stored = program.wait_for_end()
    assert (stored.state, stored.exit_code, stored.signal) == ended
    _, exit_code, number = ended
    assert program.wait() == (exit_code if number is None else -number)
    assert program.errors == ""
    program.check_interrupted()
    if end == "return":
        program.check_complete()
    program.check_calls()


@pytest.mark.parametrize(("end", "status"), [("return", -signal.SIGTERM), ("handle", 5)])
def test_a_program_that_is_asked_to_end_has_all_its_calls(
    collector: Collector, tally: Path, tmp_path: Path, end: str, status: int
) -> None:
    program = Tallied(collector, tally, tmp_path / "tally", 0, 2, end)
    program.wait_for(30_000)
    program.process.terminate()
    stored = program.wait_for_end()
    assert program.wait() == status
    if status < 0:
        assert (stored.state, stored.exit_code, stored.signal) == ("killed", None, signal.SIGTERM)
    else:
        assert (stored.state, stored.exit_code, stored.signal) == ("exited", status, None)
    program.check_interrupted()
    program.check_calls()


def test_once_a_killed_process_is_shown_as_ended_its_count_is_final(
    collector: Collector,
    tally: Path,
    tmp_path: Path,
    amount: Callable[[int, int], int],
    note: Callable[[str, object], None],
) -> None:
    waited_ms: Counter[str] = Counter()
    for attempt in range(amount(2, 100)):
        program = Tallied(collector, tally, tmp_path / f"tally-{attempt}", 0, 2)
        program.wait_for(200_000)
        program.kill()
        killed_at = time.monotonic()

        def shown(program: Tallied = program) -> dict[str, Any] | None:
            process = collector.process(program.pid)
            return None if process["state"] == "running" else process

        end = wait_until(shown, "calltrace ps to show the end")
        waited_ms[f"{int((time.monotonic() - killed_at) * 10) * 100} ms"] += 1
        assert 0 <= end["calls"] - program.calls() <= program.threads
    note("times from the kill to the answer of calltrace ps that shows it", dict(waited_ms))
