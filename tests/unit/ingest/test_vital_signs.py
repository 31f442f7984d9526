"""Processes that live, die and are gone, as /proc shows them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calltrace_collector.ingest.vital_signs import Life, life_of, read_stat

PID = 77
START = 99

RUNNING = 0x400000
EXITING = RUNNING | 0x4
DUMPING = RUNNING | 0x200
SIGNALED = RUNNING | 0x400


def stat_line(flags: int, state: str = "S", threads: int = 2) -> str:
    """A line as in proc(5), of which field 2 is as odd as it may be."""
    fields = ["0"] * 50
    for number, value in ((3, state), (9, flags), (20, threads), (22, START), (52, 11)):
        fields[number - 3] = str(value)
    return f"{PID} (a) S 1 (b) {' '.join(fields)}\n"


def status_text(own: int = 0, shared: int = 0, dumping: int = 0) -> str:
    masks = f"SigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t{1 << 8:016x}\n"
    return f"Name:\tx\nCoreDumping:\t{dumping}\n{masks}"


def lay_out(proc: Path, stat: str, status: str, other: str) -> None:
    folder = proc / str(PID)
    for thread in (PID, PID + 1):
        (folder / "task" / str(thread)).mkdir(parents=True)
    (folder / "stat").write_text(stat)
    (folder / "status").write_text(status)
    (folder / "task" / str(PID) / "stat").write_text(stat)
    (folder / "task" / str(PID + 1) / "stat").write_text(other)


@pytest.mark.parametrize(
    ("stat", "status", "other", "life"),
    [
        (stat_line(RUNNING), status_text(), stat_line(RUNNING), Life.LIVES),
        (stat_line(RUNNING), status_text(own=1 << 10, shared=1 << 9), stat_line(RUNNING), Life.LIVES),
        (stat_line(RUNNING), status_text(), stat_line(EXITING), Life.LIVES),
        (stat_line(EXITING, "Z"), status_text(), stat_line(RUNNING), Life.LIVES),
        (stat_line(RUNNING), status_text(dumping=1), stat_line(RUNNING), Life.DIES),
        (stat_line(RUNNING), status_text(own=1 << 8), stat_line(RUNNING), Life.DIES),
        (stat_line(RUNNING), status_text(shared=1 << 8), stat_line(RUNNING), Life.DIES),
        (stat_line(DUMPING), status_text(), stat_line(RUNNING), Life.DIES),
        (stat_line(SIGNALED), status_text(), stat_line(RUNNING), Life.DIES),
        (stat_line(RUNNING), status_text(), stat_line(DUMPING), Life.DIES),
        (stat_line(EXITING), "", stat_line(EXITING), Life.DIES),
        (stat_line(EXITING, "Z"), status_text(), stat_line(EXITING), Life.DIES),
        (stat_line(EXITING, "Z", threads=1), status_text(), stat_line(EXITING), Life.GONE),
    ],
)
def test_what_proc_shows(tmp_path: Path, stat: str, status: str, other: str, life: Life) -> None:
    lay_out(tmp_path, stat, status, other)
    assert life_of(PID, START, tmp_path) is life
    assert life_of(PID, START + 1, tmp_path) is Life.GONE
    assert life_of(PID + 1, START, tmp_path) is Life.GONE


def test_this_process_lives() -> None:
    stat = read_stat(Path("/proc/self"))
    assert stat is not None
    assert not stat.is_zombie
    assert life_of(os.getpid(), stat.start_time_jiffies) is Life.LIVES
