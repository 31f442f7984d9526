"""Session directories that nobody serves."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest

from calltrace_collector import wire
from calltrace_collector.ingest import ending
from calltrace_collector.ingest.left_behind import EMPTY_FOR_S, LOOKS_BEFORE_COMPLAINT
from calltrace_collector.ingest.vital_signs import Life
from calltrace_collector.model.process import ProcessInfo
from tests.unit.ingest.builders import process_message
from tests.unit.ingest.collectors import Collector
from tests.unit.ingest.left_files import session_file


def test_the_directory_of_a_session_that_is_stored_is_removed(
    collector: Collector, info: ProcessInfo
) -> None:
    folder = Path(info.session_directory)
    process = process_message()
    process.pid, process.session_directory = info.pid, info.session_directory
    message = wire.AgentMessage(process=process).SerializeToString()
    (folder / "session").write_bytes(session_file(message))
    collector.sink.saved = replace(collector.sink.saved, ended=True)
    collector.left_behind.adopt()
    assert not folder.exists()
    assert (collector.sink.commits, collector.said) == ([], [])


def look_often(collector: Collector) -> None:
    for _ in range(LOOKS_BEFORE_COMPLAINT + 1):
        collector.left_behind.adopt()


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "was not written to its end"), (session_file(b"\xff\xff"), "AgentMessage")],
)
def test_a_directory_that_cannot_be_read_is_said_once_and_set_aside(
    collector: Collector, info: ProcessInfo, content: bytes, what: str
) -> None:
    folder = Path(info.session_directory)
    (folder / "session").write_bytes(content)
    for _ in range(LOOKS_BEFORE_COMPLAINT - 1):
        collector.left_behind.adopt()
    assert folder.exists()
    assert collector.said == []
    look_often(collector)
    (line,) = collector.said
    kept = folder.with_name(f"{folder.name}.damaged")
    assert what in line
    assert line.endswith(f"; it is kept in {kept}: remove it if nobody needs it")
    assert [path.name for path in folder.parent.iterdir()] == [kept.name]
    assert [path.name for path in kept.iterdir()] == ["session"]


def test_what_is_open_to_others_is_said_and_not_touched(collector: Collector, info: ProcessInfo) -> None:
    folder = Path(info.session_directory)
    (folder / "session").write_bytes(b"")
    folder.chmod(0o755)
    look_often(collector)
    (line,) = collector.said
    assert "others may look into" in line
    assert ".damaged" not in line
    assert (folder / "session").exists()


def test_what_another_version_wrote_is_left_to_it(collector: Collector, info: ProcessInfo) -> None:
    session = Path(info.session_directory) / "session"
    content = bytearray(session_file())
    struct.pack_into("<I", content, 8, 7)
    session.write_bytes(content)
    look_often(collector)
    (line,) = collector.said
    assert "written by an agent of layout 7" in line
    assert ".damaged" not in line
    assert session.exists()


def test_what_is_held_is_not_touched(collector: Collector, info: ProcessInfo) -> None:
    session = Path(info.session_directory) / "session"
    session.write_bytes(b"")
    with session.open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        look_often(collector)
        assert session.exists()
    assert collector.said == []


def test_a_directory_that_stays_empty_is_removed(collector: Collector, info: ProcessInfo) -> None:
    folder = Path(info.session_directory)
    (folder / "session").rename(folder / "ring.0")
    old = time.time() - EMPTY_FOR_S - 1
    os.utime(folder, (old, old))
    collector.left_behind.adopt()
    assert folder.exists()
    (folder / "ring.0").unlink()
    collector.left_behind.adopt()
    assert folder.exists()
    os.utime(folder, (old, old))
    collector.left_behind.adopt()
    assert not folder.exists()
    assert collector.said == []


def test_the_session_of_a_process_that_dies_ends_when_it_is_dead(
    collector: Collector, info: ProcessInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(info.session_directory)
    process = process_message()
    process.pid, process.session_directory = info.pid, info.session_directory
    message = wire.AgentMessage(process=process).SerializeToString()
    (folder / "session").write_bytes(session_file(message))
    life = Life.DIES
    monkeypatch.setattr(ending, "life_of", lambda *_: life)
    look_often(collector)
    assert folder.exists()
    assert all(commit.end is None for commit in collector.sink.commits)
    life = Life.GONE
    collector.left_behind.adopt()
    assert not folder.exists()
    assert collector.end().end is not None
    assert collector.said == []
