"""The same program traced and untraced: what it prints, how it ends and what it may do are the same."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.collector import Collector

GUEST = ("-O1", "-finstrument-functions", "-frounding-math", "-pthread", "-Wl,--no-as-needed,-lm")
GUEST_CALLS = 1 + 2 * 101 + 1 + 1 + 11
"""main, deep(100) twice, set_errno, in_thread with its deep(10)."""
CALLS = 15
NOBODY = 65534


@dataclass(frozen=True)
class Run:
    """What a program did; `pid` is its process id."""

    pid: int
    output: str
    errors: str
    status: int


def run(collector: Collector, *arguments: str | Path, traced: bool) -> Run:
    """Runs a program, in the same environment but for LD_PRELOAD. A shell makes no calls of its own."""
    untraced = {} if traced else {"LD_PRELOAD": ""}
    program = collector.spawn(*arguments, **untraced)
    output, errors = program.communicate(timeout=120)
    return Run(program.pid, output, errors, program.returncode)


def both(collector: Collector, *arguments: str | Path) -> tuple[Run, Run]:
    """Runs a program untraced, then traced."""
    untraced, traced = (run(collector, *arguments, traced=each) for each in (False, True))
    assert untraced.errors == ""
    return untraced, traced


def under(limits: str, program: Path) -> tuple[str, str, str]:
    """The command that runs a program with what a shell has set before."""
    return ("sh", "-c", f"{limits} exec {program}")


@pytest.mark.parametrize(
    "limits",
    [
        *("", "umask 077; cd /;", "trap '' INT HUP;", "exec 0<&- 5</dev/null;"),
        *("ulimit -n 16;", "ulimit -s 64;", "ulimit -c 0;", "ulimit -v 1000000;"),
    ],
)
def test_it_is_the_same_program(collector: Collector, build: Callable[..., Path], limits: str) -> None:
    command = under(limits, build("guest.c", *GUEST))
    untraced, traced = both(collector, *command)
    assert traced.output.splitlines() == untraced.output.splitlines()
    assert (traced.errors, traced.status, untraced.status) == ("", 42, 42)
    assert collector.wait_for_end(traced.pid)["calls"] == GUEST_CALLS


@pytest.mark.parametrize(
    "limits", ["ulimit -v 30000;", "ulimit -v 50000;", "ulimit -v 100000;", "ulimit -f 8;", "ulimit -f 2000;"]
)
def test_where_there_is_no_room_it_runs_untraced(
    collector: Collector, build: Callable[..., Path], limits: str
) -> None:
    command = under(limits, build("guest.c", *GUEST))
    untraced, traced = both(collector, *command)
    assert traced.output.splitlines() == untraced.output.splitlines()
    assert traced.status == untraced.status
    if traced.errors:
        assert traced.errors.count("\n") == 1
        assert traced.errors.startswith("calltrace: ")
        assert "untraced" in traced.errors
    else:
        assert collector.wait_for_end(traced.pid)["calls"] == GUEST_CALLS


@pytest.mark.parametrize(
    ("way", "calls"),
    [
        ("nothing", 2 * CALLS),
        ("chroot", 3 * CALLS),
        ("closefrom", 2022 * CALLS),
    ],
)
def test_it_may_go_to_its_limits(
    collector: Collector, build: Callable[..., Path], tmp_path: Path, way: str, calls: int
) -> None:
    command = (build("corners.c"), way, tmp_path)
    untraced, traced = both(collector, *command)
    assert (traced.output, traced.errors, traced.status) == (untraced.output, "", 42)
    assert untraced.status == 42
    end = collector.wait_for_end(traced.pid)
    assert (end["state"], end["exit_code"], end["calls"]) == ("exited", 42, calls)


def test_a_thread_without_room_for_its_ring_goes_untraced(
    collector: Collector, build: Callable[..., Path]
) -> None:
    untraced, traced = both(collector, build("corners.c"), "memory")
    assert (traced.output, traced.status, untraced.status) == (untraced.output, 42, 42)
    assert traced.errors.startswith("calltrace: no memory for the calls of a thread")
    assert traced.errors.count("\n") == 1
    assert collector.wait_for_end(traced.pid)["calls"] == 2 * CALLS


@pytest.mark.parametrize(("way", "status"), [("throw", -6), ("exit", 2), ("return", 3)])
def test_threads_end_as_ever(collector: Collector, build: Callable[..., Path], way: str, status: int) -> None:
    """Neither what leaves a thread's function, nor what ends it, is caught on the way."""
    command = (build("throws.cpp", "-O1", "-finstrument-functions", "-pthread"), way)
    untraced, traced = (run(collector, *command, traced=each) for each in (False, True))
    assert (traced.output, traced.errors, traced.status) == (untraced.output, untraced.errors, status)


def test_with_three_descriptors_it_runs_untraced(collector: Collector, build: Callable[..., Path]) -> None:
    untraced, traced = both(collector, build("corners.c"), "descriptors")
    assert (traced.output, traced.status) == (untraced.output, 42)
    assert traced.errors.count("\n") == 1
    assert "ulimit -n" in traced.errors


def test_one_thread_specific_key_is_the_agents(collector: Collector, build: Callable[..., Path]) -> None:
    command = (build("corners.c"), "keys")
    untraced, traced = both(collector, *command)
    assert int(traced.output) == int(untraced.output) - 1


@pytest.mark.parametrize("way", ["ids", "raw"])
def test_no_thread_keeps_rights_that_the_program_gave_up(
    collector: Collector, build: Callable[..., Path], way: str
) -> None:
    """The program prints the rights of all its threads, as the kernel has them; they must be the same."""
    command = (build("privileges.c"), way)
    untraced, traced = both(collector, *command)
    assert (traced.output, traced.errors, traced.status) == (untraced.output, "", 0)
    assert "not the same" not in traced.output
    end = collector.wait_for_end(traced.pid)
    assert (end["state"], end["calls"]) == (
        "exited",
        (3 if "ids" in way and os.geteuid() == 0 else 2) * CALLS,
    )


@pytest.fixture
def of_others(build: Callable[..., Path]) -> Iterator[Path]:
    """A set-user-id program of another user's; without the rights to make one, of this user's."""
    with tempfile.TemporaryDirectory(prefix="ct-") as folder:
        Path(folder).chmod(0o755)
        program = Path(shutil.copy(build("corners.c"), folder))
        if os.geteuid() == 0:
            os.chown(program, NOBODY, NOBODY)
        program.chmod(0o4755)
        yield program


def test_a_program_with_rights_of_others_is_not_traced(collector: Collector, of_others: Path) -> None:
    traced = run(collector, of_others, "nothing", traced=True)
    assert (traced.output, traced.errors, traced.status) == ("", "", 42)
    stored = [each for each in collector.processes() if each["exe"] == str(of_others)]
    assert len(stored) == (0 if os.geteuid() == 0 else 1)
