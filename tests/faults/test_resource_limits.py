"""Programs that may use little: they end as they would untraced, and what is traced is whole."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.tally import Tallied

MIB = 1 << 20


@pytest.mark.parametrize(
    "limits",
    [["--nofile=16"], ["--nproc=1:1"], ["--stack=262144"], ["--memlock=0"], ["--data=4194304"]],
    ids=lambda limits: limits[0].strip("-"),
)
def test_a_program_that_may_use_little_is_traced_all_the_same(
    collector: Collector, tally: Path, tmp_path: Path, limits: Sequence[str]
) -> None:
    program = Tallied(collector, tally, tmp_path / "tally", 20_000, 1, limits=limits)
    assert (program.wait(), program.errors) == (0, "")
    assert program.wait_for_end().state == "exited"
    program.check_complete()


@pytest.mark.parametrize(("end", "hard"), [("return", 9), ("handle", 9), ("return", 1)])
def test_a_program_that_has_used_up_its_time_has_all_its_calls(
    collector: Collector, tally: Path, tmp_path: Path, end: str, hard: int
) -> None:
    """SIGXCPU kills it; at the hard limit the kernel does by SIGKILL, as it does when memory is out."""
    program = Tallied(collector, tally, tmp_path / "tally", 0, 2, end, limits=[f"--cpu=1:{hard}"])
    ended = program.wait_for_end()
    status = program.wait()
    if end == "handle":
        assert (status, ended.state, ended.exit_code) == (5, "exited", 5)
    else:
        assert (-status, ended.state, ended.signal) == (ended.signal, "killed", -status)
        assert -status == (signal.SIGKILL if hard == 1 else signal.SIGXCPU)
    program.check_interrupted()


def test_a_program_that_runs_out_of_memory_has_all_its_calls(
    collector: Collector, tally: Path, tmp_path: Path
) -> None:
    limits = [f"--as={400 * MIB}"]
    program = Tallied(collector, tally, tmp_path / "tally", 20_000, 2, "hoard", limits=limits)
    ended = program.wait_for_end()
    assert program.wait() == -signal.SIGABRT
    assert (ended.state, ended.signal) == ("crashed", signal.SIGABRT)
    program.check_interrupted()


def test_a_program_without_memory_for_the_agent_ends_as_untraced(
    collector: Collector, tally: Path, tmp_path: Path
) -> None:
    """For the outbox, for the rings of some of its threads, or for no more than that."""
    said = set()
    for size in [16, *range(66, 96, 3)]:
        limits = ["--stack=262144", f"--as={size * MIB}"]
        program = Tallied(collector, tally, tmp_path / "tally", 20_000, 6, limits=limits)
        status = program.wait()
        # The agent's memory counts as the program's: pthread_create may fail, as it may untraced.
        assert status in {0, 2}, (size, program.errors)
        assert program.errors.count("\n") <= 1, program.errors
        said.add(program.errors.strip())
        if not program.errors and status == 0:
            program.wait_for_end()
            program.check_complete()
    assert "" in said
    assert any("untraced" in line for line in said), said
