"""What dead processes left, whole and damaged, and what is taken of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from calltrace_collector import wire
from calltrace_collector.ingest.left_behind import LOOKS_BEFORE_COMPLAINT
from calltrace_collector.model.process import ProcessInfo, ProcessState
from tests.support.crash_files import leave_crash
from tests.support.crash_samples import crash_message
from tests.unit.ingest.builders import Script, process_message
from tests.unit.ingest.collectors import NOBODYS_PID, Collector
from tests.unit.ingest.left_files import ring, segment, session_file


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


def damage_outbox(folder: Path) -> None:
    script = Script()
    outbox = bytearray(segment(1, [script.thread(), script.batch(1, new_sites=1)]))
    outbox[outbox.rindex(b"\x01")] ^= 2
    (folder / "outbox").write_bytes(outbox)


def damage_ring(folder: Path) -> None:
    (folder / "ring.0").write_bytes(ring(thread=0, head=100, tail=0))


def leave_refused_batch(folder: Path) -> None:
    script = Script()
    (folder / "outbox").write_bytes(segment(1, [script.thread(), script.batch(0)]))


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("damage", "what", "threads"),
    [
        (damage_outbox, "message 2 of the outbox is damaged", 1),
        (damage_ring, "ring.0 is damaged", 0),
        (leave_refused_batch, "", 1),
    ],
)
def test_what_is_damaged_is_kept_and_never_adopted_again(
    collector: Collector, info: ProcessInfo, damage: Callable[[Path], None], what: str, threads: int
) -> None:
    folder = Path(info.session_directory)
    kept = folder.with_name(f"{folder.name}.damaged")
    process = process_message()
    process.pid, process.session_directory = info.pid, info.session_directory
    (folder / "session").write_bytes(session_file(wire.AgentMessage(process=process).SerializeToString()))
    damage(folder)
    left = content_of(folder)
    for _ in range(LOOKS_BEFORE_COMPLAINT + 1):
        collector.left_behind.adopt()
    assert len(collector.end().threads) == threads
    assert not folder.exists()
    assert content_of(kept) == left
    (line,) = collector.said
    assert line.startswith(f"process {NOBODYS_PID}: not all of its trace could be read: {what}")
    assert line.endswith(f"; what it left is kept in {kept}: remove it if nobody needs it")


def test_what_cannot_be_kept_is_said(collector: Collector, info: ProcessInfo) -> None:
    folder = Path(info.session_directory)
    damage_ring(folder)
    (folder.with_name(f"{folder.name}.damaged") / "something").mkdir(parents=True)
    assert collector.registry.end_if_over(collector.open(info))
    (line,) = collector.said
    assert "ring.0 is damaged; what it left could not be kept: " in line
    assert (folder / "ring.0").exists()


def test_what_is_not_damaged_is_taken_and_removed(collector: Collector, info: ProcessInfo) -> None:
    folder, script = Path(info.session_directory), Script()
    (folder / "outbox").write_bytes(segment(1, [script.thread(), script.batch(1, new_sites=1)]))
    assert collector.registry.end_if_over(collector.open(info))
    assert [progress.calls for progress in collector.end().progress] == [1]
    assert list(folder.parent.iterdir()) == []
    assert collector.said == []
