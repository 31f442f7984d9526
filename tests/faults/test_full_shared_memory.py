"""No room where session directories lie: at the start, and later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.filesystem import may_mount, mounted
from tests.support.tally import Tallied

SMALL_FILES, SMALL_FOLDER = "files", "folder"
ROOMS = [SMALL_FILES, *([SMALL_FOLDER] if may_mount() else [])]


@contextmanager
def little_room(kind: str, folder: Path, size_kib: int) -> Iterator[tuple[Collector, list[str]]]:
    """A collector, and limits for a program: its session directory, or each file in it, has so much room."""
    with ExitStack() as stack:
        if kind == SMALL_FOLDER:
            stack.enter_context(mounted(folder, f"{size_kib}k"))
        folder.mkdir(exist_ok=True)
        collector = stack.enter_context(Collector(sessions=folder))
        yield collector, [f"--fsize={size_kib << 10}"] if kind == SMALL_FILES else []


@pytest.mark.parametrize("kind", ROOMS)
@pytest.mark.parametrize("size_kib", [0, 100, 4050])
def test_without_room_a_program_says_so_and_runs_untraced(
    tally: Path, tmp_path: Path, kind: str, size_kib: int
) -> None:
    """Not even the session file fits; the outbox does not; not all of it does."""
    folder = tmp_path / "shm"
    with little_room(kind, folder, max(size_kib, 8 if kind == SMALL_FOLDER else 0)) as (collector, limits):
        program = Tallied(collector, tally, tmp_path / "tally", 20_000, 2, limits=limits)
        assert program.wait() == 0
        assert re.fullmatch(
            r"calltrace: [^\n]*/shm/[^\n]*: this program runs untraced; make room there, or choose another "
            r"place with CALLTRACE_SHM_DIR\n",
            program.errors,
        ), program.errors
        assert program.stored() == {}
        assert not list(folder.glob("calltrace-*/*")), "it leaves nothing behind"


@pytest.mark.parametrize("kind", ROOMS)
def test_nothing_is_lost_when_there_is_no_room_later(tally: Path, tmp_path: Path, kind: str) -> None:
    """Neither for a second segment of the outbox nor, in a small folder, for the rings of all threads."""
    with little_room(kind, tmp_path / "shm", 6 << 10) as (collector, limits):
        program = Tallied(collector, tally, tmp_path / "tally", 1_000_000, 3, limits=limits)
        assert (program.wait(), program.errors) == (0, ""), collector.log()
        program.wait_for_end()
        program.check_complete()
        program.check_calls()
