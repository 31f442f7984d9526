"""However a process lives and ends: its calls are there, and it is called what it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.collector import Collector, wait_until

CALLS = 15
"""Of work(5)."""


@pytest.mark.parametrize(
    ("arguments", "state", "exit_code", "calls"),
    [
        (("exit", "0"), "exited", 0, CALLS),
        (("exit", "7"), "exited", 7, CALLS),
        (("_exit", "9"), "exited", 9, CALLS),
        (("close",), "exited", 5, CALLS),
        (("thread",), "exited", 0, 2 * CALLS),
    ],
)
def test_how_a_process_leaves(
    collector: Collector,
    build: Callable[..., Path],
    arguments: tuple[str, ...],
    state: str,
    exit_code: int,
    calls: int,
) -> None:
    program = collector.spawn(build("lifecycle.c"), *arguments)
    program.wait()
    end = collector.wait_for_end(program.pid)
    program.communicate()
    assert program.returncode == exit_code
    assert end["calls"] == calls
    assert (end["state"], end["exit_code"]) == (state, exit_code)


def test_a_forked_child_is_a_process_of_its_own(collector: Collector, build: Callable[..., Path]) -> None:
    pid, output = collector.run(build("lifecycle.c"), "fork")
    child = collector.wait_for_end(int(output))
    assert collector.process(pid)["calls"] == CALLS
    assert child["calls"] == CALLS
    assert child["ppid"] == pid


def test_an_image_that_is_replaced_is_called_execed(collector: Collector, build: Callable[..., Path]) -> None:
    program = collector.spawn(build("lifecycle.c"), "exec")
    program.communicate()
    assert program.returncode == 4

    def images() -> list[tuple[str, int | None, int]]:
        found = [process for process in collector.processes() if process["pid"] == program.pid]
        return sorted((image["state"], image["exit_code"], image["calls"]) for image in found)

    expected = [("execed", None, CALLS), ("exited", 4, CALLS)]
    wait_until(lambda: images() == expected, "both images to end in the database")


def test_a_program_that_finds_no_collector_runs_as_ever(build: Callable[..., Path]) -> None:
    absent = Collector()
    program = absent.spawn(build("lifecycle.c"), "exit", "6")
    _, errors = program.communicate()
    assert program.returncode == 6
    assert errors.count("\n") == 1
    assert "no collector at" in errors
    assert "calltrace-collector serve" in errors
    assert not list((absent.sessions).rglob("session"))
    absent.close()


def test_a_setting_that_cannot_be_is_said_and_the_program_runs_as_ever(
    collector: Collector, build: Callable[..., Path]
) -> None:
    for name, value in [("CALLTRACE_OVERFLOW", "sometimes"), ("CALLTRACE_MAX_DEPTH", "-1")]:
        program = collector.spawn(build("lifecycle.c"), "exit", "6", **{name: value})
        _, errors = program.communicate()
        assert program.returncode == 6
        assert errors.count("\n") == 1
        assert name in errors


def test_no_room_for_the_session_is_said_and_the_program_runs_as_ever(
    collector: Collector, build: Callable[..., Path]
) -> None:
    program = collector.spawn(build("lifecycle.c"), "exit", "6", CALLTRACE_SHM_DIR="/proc")
    _, errors = program.communicate()
    assert program.returncode == 6
    assert errors.count("\n") == 1
    assert "CALLTRACE_SHM_DIR" in errors


def test_a_depth_limit_leaves_out_what_is_deeper(collector: Collector, build: Callable[..., Path]) -> None:
    pid, _ = collector.run(build("lifecycle.c"), "exit", "0", CALLTRACE_MAX_DEPTH="2")
    calls = collector.calls(pid)
    assert [(call["depth"], call["status"]) for call in calls] == [(0, "returned"), (1, "cut"), (1, "cut")]
