"""How sessions end: what a dead process has left is taken, its end is stored, its directory is removed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from calltrace_collector import wire
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.committer import Committer
from calltrace_collector.ingest.crash_analyst import CrashAnalyst
from calltrace_collector.ingest.registry import OpenSession, Registry
from calltrace_collector.model.commit import Commit
from calltrace_collector.model.crash import CrashAnalysis, CrashRecord, OpenCall
from calltrace_collector.model.process import ModuleInfo, ProcessEnd, ProcessInfo, ProcessState
from tests.support.crash_files import leave_crash
from tests.support.crash_samples import crash_analysis, crash_message
from tests.unit.ingest.builders import MemorySink, process_info, process_message
from tests.unit.ingest.left_files import ring, session_file

NOBODYS_PID = (1 << 22) - 1
"""The kernel's largest, which no process has, for it begins anew long before."""


class Collector:
    """A registry with all that it needs, and an analyzer that waits until it may go on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sink = MemorySink()
        self.said: list[str] = []
        self.may_analyze = threading.Event()
        self.committer = Committer(self.sink, lambda *_: None, self.said.append)
        self.analyst = CrashAnalyst(self._analyze, self.sink, self.said.append)
        self.registry = Registry(
            self.sink, self.committer, self.analyst, folder / "socket", (folder,), self.said.append
        )
        self.committer.start()
        self.analyst.start()

    def _analyze(
        self, record: CrashRecord, modules: Sequence[ModuleInfo], open_calls: Sequence[OpenCall]
    ) -> CrashAnalysis:
        del record, modules, open_calls
        assert self.may_analyze.wait(60)
        return crash_analysis()

    def open(self, info: ProcessInfo) -> OpenSession:
        return self.registry.open(info)

    def stop(self) -> None:
        self.may_analyze.set()
        self.committer.stop()
        self.analyst.stop()

    def end(self) -> Commit:
        """The commit with the end."""
        (commit,) = [commit for commit in self.sink.commits if commit.end is not None]
        return commit


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    collector = Collector(tmp_path)
    yield collector
    collector.stop()


@pytest.fixture
def info(tmp_path: Path) -> ProcessInfo:
    """A process that is gone, and its session directory."""
    folder = tmp_path / f"calltrace-{os.geteuid()}" / f"{NOBODYS_PID}-{bytes(range(8)).hex()}"
    folder.parent.mkdir(mode=0o700)
    folder.mkdir(mode=0o700)
    (folder / "session").write_bytes(session_file())
    return replace(process_info(), pid=NOBODYS_PID, session_directory=str(folder))


def test_a_crash_is_stored_with_the_end_and_analyzed_later(collector: Collector, info: ProcessInfo) -> None:
    message = crash_message()
    leave_crash(Path(info.session_directory), message)
    assert collector.registry.end_if_over(collector.open(info))
    # The analyzer is still at it.
    commit = collector.end()
    assert commit.crash is not None
    assert commit.crash.analysis is None
    assert commit.crash.record.encoded == message.SerializeToString()
    assert commit.end == ProcessEnd(ProcessState.CRASHED, None, 11, commit.crash.crashed_at_ns)
    assert not Path(info.session_directory).exists()
    assert collector.registry.open_sessions() == []
    collector.may_analyze.set()
    collector.analyst.wait()
    analyzed = replace(commit.crash, analysis=crash_analysis())
    assert collector.sink.commits[-1] == Commit(commit.process, 0, crash=analyzed)
    assert collector.said == []


@pytest.mark.parametrize(
    ("changes", "wait_status", "end"),
    [
        ({}, None, (ProcessState.CRASHED, None, 11)),
        ({"handled": True}, None, (ProcessState.KILLED, None, None)),
        ({"handled": True}, 3 << 8, (ProcessState.EXITED, 3, None)),
        ({"handled": True}, 6, (ProcessState.CRASHED, None, 6)),
        ({}, 9, (ProcessState.KILLED, None, 9)),
        ({}, 0x80 | 11, (ProcessState.CRASHED, None, 11)),
    ],
)
def test_how_a_crashed_process_ended(
    collector: Collector,
    info: ProcessInfo,
    changes: dict[str, bool],
    wait_status: int | None,
    end: tuple[ProcessState, int | None, int | None],
) -> None:
    leave_crash(Path(info.session_directory), crash_message(**changes))
    if wait_status is not None:
        collector.registry.tell_wait_status((info.pid, info.start_time_jiffies), wait_status)
    assert collector.registry.end_if_over(collector.open(info))
    found = collector.end().end
    assert found is not None
    assert (found.state, found.exit_code, found.signal) == end


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


def test_the_directory_of_a_session_that_is_stored_is_removed(
    collector: Collector, info: ProcessInfo
) -> None:
    folder = Path(info.session_directory)
    process = process_message()
    process.pid, process.session_directory = info.pid, info.session_directory
    message = wire.AgentMessage(process=process).SerializeToString()
    (folder / "session").write_bytes(session_file(message))
    collector.sink.saved = replace(collector.sink.saved, ended=True)
    collector.registry.adopt_left_behind()
    assert not folder.exists()
    assert (collector.sink.commits, collector.said) == ([], [])


def test_no_crash(collector: Collector, info: ProcessInfo) -> None:
    assert collector.registry.end_if_over(collector.open(info))
    assert collector.end().crash is None
    assert collector.said == []


def test_the_directory_of_another_session_is_left_alone(collector: Collector, info: ProcessInfo) -> None:
    folder = Path(info.session_directory)
    another = bytearray((folder / "session").read_bytes())
    another[16 + 15] ^= 1  # the session id's last byte, which is not in the directory's name
    (folder / "session").write_bytes(another)
    opened = collector.open(info)
    assert collector.registry.end_if_over(opened)
    assert [line for line in collector.said if "another session's" in line] == collector.said != []
    assert (folder / "session").read_bytes() == another


def test_a_directory_that_cannot_be_read_is_said_once(collector: Collector, info: ProcessInfo) -> None:
    (Path(info.session_directory) / "session").write_bytes(b"")
    for _ in range(10):
        collector.registry.adopt_left_behind()
    assert len(collector.said) == 1
    assert "was not written to its end" in collector.said[0]


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


@pytest.mark.parametrize("status", [0x7F, 0x137F, 0xFFFF, 1 << 16, (1 << 32) - 1])
def test_what_is_no_end_of_a_process_is_refused(collector: Collector, status: int) -> None:
    with pytest.raises(ProtocolError, match="no status"):
        collector.registry.tell_wait_status((1, 1), status)


def test_a_session_directory_of_another_name_is_refused(collector: Collector, info: ProcessInfo) -> None:
    with pytest.raises(ProtocolError, match="not its own"):
        collector.open(replace(info, session_directory="/etc"))
