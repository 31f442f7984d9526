"""What dead processes left, whole and damaged, and what is taken of it."""

from __future__ import annotations

from pathlib import Path

from calltrace_collector import wire
from calltrace_collector.model.process import ProcessInfo, ProcessState
from tests.support.crash_files import leave_crash
from tests.support.crash_samples import crash_message
from tests.unit.ingest.collectors import NOBODYS_PID, Collector
from tests.unit.ingest.left_files import ring


def test_no_crash(collector: Collector, info: ProcessInfo) -> None:
    assert collector.registry.end_if_over(collector.open(info))
    assert collector.end().crash is None
    assert collector.said == []


def test_a_damaged_crash_is_one_message(collector: Collector, info: ProcessInfo) -> None:
    leave_crash(Path(info.session_directory), crash_message())
    (Path(info.session_directory) / "crash").write_bytes(b"damaged")
    assert collector.registry.end_if_over(collector.open(info))
    assert collector.said == [
        f"process {NOBODYS_PID}: not all of its crash could be read: the crash file is cut off"
    ]
    crash = collector.end().crash
    assert crash is not None
    assert (crash.record.signal, crash.record.incomplete) == (11, "the crash file is cut off")
    assert not Path(info.session_directory).exists()


def test_a_crash_that_makes_no_sense_leaves_the_rest(collector: Collector, info: ProcessInfo) -> None:
    leave_crash(Path(info.session_directory), crash_message(clock=wire.Clock(ticks=1)))
    assert collector.registry.end_if_over(collector.open(info))
    (line,) = collector.said
    assert "recorded a crash of before it began" in line
    commit = collector.end()
    assert commit.crash is None
    assert commit.end is not None
    assert commit.end.state == ProcessState.KILLED


def test_a_damaged_ring_does_not_keep_the_others_from_being_read(
    collector: Collector, info: ProcessInfo
) -> None:
    folder = Path(info.session_directory)
    (folder / "ring.0").write_bytes(ring(thread=0, head=100, tail=0))
    (folder / "ring.1").write_bytes(ring(thread=1, head=0, tail=0))
    (folder / "ring.2").symlink_to(folder / "ring.1")
    assert collector.registry.end_if_over(collector.open(info))
    assert [thread.number for thread in collector.end().threads] == [1]
    assert len(collector.said) == 1
    assert "ring.0 is damaged" in collector.said[0]
    assert not folder.exists()
