"""A database that cannot grow, or may not be written: programs wait, one line says so, nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.collector import Collector, wait_until
from tests.support.filesystem import limit_files, may_mount, mounted, remount
from tests.support.tally import Tallied

SMALL = {"CALLTRACE_OUTBOX_LIMIT": "8M"}


@dataclass(frozen=True)
class Disk:
    """A disk on which a collector's database lies, and that can be filled and freed."""

    collector: Collector
    fill: Callable[[], None]
    free: Callable[[], None]


@contextmanager
def full_file_system(folder: Path) -> Iterator[Disk]:
    with mounted(folder, "3m"):
        collector = Collector(folder / "calls.db")
        with collector:
            yield Disk(collector, lambda: None, lambda: remount(folder, "size=512m"))


@contextmanager
def limited_files(folder: Path) -> Iterator[Disk]:
    """Needs no root: to the collector, it looks the same."""
    folder.mkdir()
    collector = Collector(folder / "calls.db")
    with collector:
        yield Disk(
            collector,
            lambda: limit_files(collector.pid, 1 << 20),
            lambda: limit_files(collector.pid, -1),
        )


DISKS = [
    limited_files,
    *([full_file_system] if may_mount() else []),
]


@contextmanager
def read_only(folder: Path) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """A folder, and what forbids and what allows to write there."""
    if may_mount():
        with mounted(folder, "512m"):
            yield lambda: remount(folder, "ro"), lambda: remount(folder, "rw")
        return
    folder.mkdir()

    def allow(mode: int) -> None:
        for file in [*folder.iterdir(), folder]:
            file.chmod(mode)

    yield lambda: allow(0o500), lambda: allow(0o700)


def test_a_database_that_may_not_be_written_is_said_and_nothing_is_lost(tally: Path, tmp_path: Path) -> None:
    """The collector is started on it: the kernel lets nobody take away what is open for writing."""
    folder = tmp_path / "disk"
    with read_only(folder) as (forbid, allow), Collector(folder / "calls.db") as collector:
        program = Tallied(collector, tally, tmp_path / "tally", 0, 2, "stop", **SMALL)
        program.wait_for(10_000)
        collector.kill()
        forbid()
        with pytest.raises(RuntimeError, match="the collector ended"):
            collector.start()
        said = collector.log()
        assert re.fullmatch(r"calltrace-collector: cannot [^\n]*calls\.db[^\n]*\n", said), said
        wait_until(stands_still(program), "the program to wait")
        allow()
        collector.start()
        program.wait_for(program.calls() + 1_000_000)
        program.process.terminate()
        assert (program.wait(), program.errors) == (0, "")
        program.wait_for_end()
        program.check_complete()


@pytest.mark.parametrize("disk", DISKS)
def test_a_full_disk_makes_programs_wait(
    tally: Path, tmp_path: Path, disk: Callable[[Path], AbstractContextManager[Disk]]
) -> None:
    with disk(tmp_path / "disk") as here:
        collector = here.collector
        program = Tallied(collector, tally, tmp_path / "tally", 0, 2, "stop", **SMALL)
        here.fill()
        wait_until(lambda: "trying again" in collector.log(), "the collector to say so")
        wait_until(stands_still(program), "the program to wait")
        said = collector.log()
        assert said.count("\n") == 1, said
        assert "free some space" in said or "disk" in said
        assert program.process.poll() is None
        other = Tallied(collector, tally, tmp_path / "other", 0, 1, "stop", **SMALL)
        wait_until(stands_still(other), "the other program to wait")
        here.free()
        program.wait_for(program.calls() + 1_000_000)
        for each in (program, other):
            each.process.terminate()
            assert (each.wait(), each.errors) == (0, "")
            each.wait_for_end()
            each.check_complete()
            each.check_calls()
        assert collector.log()[len(said) :].splitlines() == ["calltrace-collector: the database works again"]


def stands_still(program: Tallied) -> Callable[[], bool]:
    """Whether the program has made no call since it was asked last."""
    last = [-1]

    def is_still() -> bool:
        before, last[0] = last[0], program.calls()
        tasks = list(Path(f"/proc/{program.pid}/task").iterdir())
        waits = [
            (task / "wchan").read_text() for task in tasks if "calltrace" not in (task / "comm").read_text()
        ]
        return before == last[0] > 0 and all("futex" in where for where in waits)

    return is_still
