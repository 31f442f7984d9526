"""Processes that beget processes: each is stored with its calls, its end and where it came from.

What is compared with is the log that the processes write themselves (tests/fixtures/family.c).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector, wait_until

CALLS = 15


@dataclass(frozen=True)
class Logged:
    """A line of the log: an image of a process."""

    pid: int
    parent_pid: int
    calls: int
    end: str


def read_log(log: Path) -> list[Logged]:
    """Reads the log, in the order in which the images ended."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return [Logged(int(pid), int(parent), int(calls), end) for pid, parent, calls, end in lines]


def run(collector: Collector, program: Path, log: Path, *arguments: str) -> int:
    """Runs the program to its end; returns its pid. What its children do may still be on its way."""
    process = collector.spawn(program, *arguments, FAMILY_LOG=str(log))
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    return process.pid


def stored_images(collector: Collector, log: list[Logged], first: int) -> list[dict[str, Any]]:
    """Waits until all images that the log tells of have ended in the database; returns them, oldest first.

    `first` is the number of processes stored before.
    """
    pids = {image.pid for image in log}

    def ended() -> int:
        with closing(sqlite3.connect(collector.database)) as database:
            query = "select pid from process where id > ? and state <> 'running'"
            return sum(pid in pids for (pid,) in database.execute(query, (first,)))

    wait_until(lambda: ended() >= len(log), "all of the family to end in the database")
    newer = [each for each in collector.processes() if each["process"] > first and each["pid"] in pids]
    return sorted(newer, key=lambda each: each["started_at"])


def newest(collector: Collector) -> int:
    """The number of the newest process; 0: there is none."""
    with closing(sqlite3.connect(collector.database)) as database:
        return int(database.execute("select coalesce(max(id), 0) from process").fetchone()[0])


def expected_end(end: str) -> tuple[str, int | None]:
    """The state and the exit code that an image is stored with, for each way to end."""
    return ("execed", None) if end == "exec" else ("exited", 0)


@pytest.mark.parametrize(
    ("arguments", "images"),
    [
        (("nest", "4"), 5),
        (("crowd", "200"), 201),
        (("vfork",), 2),
        (("spawn",), 2),
        (("shell",), 3),
        (("exec",), 2),
        (("fork-exec",), 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_every_image_has_its_calls_and_its_end(
    collector: Collector, build: Callable[..., Path], tmp_path: Path, arguments: tuple[str, ...], images: int
) -> None:
    before = newest(collector)
    run(collector, build("family.c"), tmp_path / "log", *arguments)
    log = read_log(tmp_path / "log")
    assert len(log) == images
    stored = stored_images(collector, log, before)
    assert len(stored) == images
    for each in stored:
        ends = [image for image in log if image.pid == each["pid"] and image.calls == each["calls"]]
        assert ends, each
        assert (each["state"], each["exit_code"]) in {expected_end(image.end) for image in ends}
        assert each["lost_events"] == 0
    assert sorted((each["pid"], each["calls"]) for each in stored) == sorted(
        (image.pid, image.calls) for image in log
    )


@pytest.mark.parametrize("arguments", [("nest", "4"), ("crowd", "20")], ids=" ".join)
def test_a_forked_child_names_its_parent(
    collector: Collector, build: Callable[..., Path], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    before = newest(collector)
    pid = run(collector, build("family.c"), tmp_path / "log", *arguments)
    log = read_log(tmp_path / "log")
    stored = {each["pid"]: each for each in stored_images(collector, log, before)}
    for image in log:
        each = stored[image.pid]
        assert each["ppid"] == image.parent_pid
        if image.pid == pid:
            assert (each["parent"], each["began_by"]) == (None, None)
        else:
            assert (each["parent"], each["began_by"]) == (stored[image.parent_pid]["process"], "fork")


def test_images_of_a_process_follow_each_other(
    collector: Collector, build: Callable[..., Path], tmp_path: Path
) -> None:
    before = newest(collector)
    pid = run(collector, build("family.c"), tmp_path / "log", "fork-exec")
    first, forked, executed = stored_images(collector, read_log(tmp_path / "log"), before)
    assert (first["pid"], first["parent"], first["began_by"]) == (pid, None, None)
    assert (forked["parent"], forked["began_by"], forked["state"]) == (first["process"], "fork", "execed")
    assert (executed["parent"], executed["began_by"]) == (forked["process"], "exec")
    assert executed["pid"] == forked["pid"] != pid
    assert executed["argv"][1:] == ["leaf"]


def test_a_daemon_goes_on_being_traced(
    collector: Collector, build: Callable[..., Path], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    pid = run(collector, build("family.c"), log, "daemon")
    wait_until(lambda: len(read_log(log)) == 2, "the daemon to begin")
    daemon = read_log(log)[1].pid
    assert collector.wait_for_end(pid)["calls"] == CALLS

    def calls() -> int:
        found = [each for each in collector.processes() if each["pid"] == daemon]
        return sum(each["calls"] for each in found)

    # While it runs, what it has done is there to be seen; nobody waits for its end.
    wait_until(lambda: calls() == CALLS, "the daemon's calls to be stored")
    assert collector.process(daemon)["state"] == "running"
    (tmp_path / "log.end").touch()
    end = collector.wait_for_end(daemon)
    assert (end["state"], end["exit_code"], end["calls"]) == ("exited", 0, 2 * CALLS)
    assert read_log(log)[-1].calls == end["calls"]
