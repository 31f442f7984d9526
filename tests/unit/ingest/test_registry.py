"""How sessions end: what a dead process has left is taken, its end is stored, its directory is removed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from calltrace_collector.errors import ProtocolError
from calltrace_collector.model.commit import Commit
from calltrace_collector.model.process import ProcessEnd, ProcessInfo, ProcessState
from tests.support.crash_files import leave_crash
from tests.support.crash_samples import crash_analysis, crash_message
from tests.unit.ingest.collectors import Collector


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


def test_the_directory_of_another_session_is_left_alone(collector: Collector, info: ProcessInfo) -> None:
    folder = Path(info.session_directory)
    another = bytearray((folder / "session").read_bytes())
    another[16 + 15] ^= 1  # the session id's last byte, which is not in the directory's name
    (folder / "session").write_bytes(another)
    opened = collector.open(info)
    assert collector.registry.end_if_over(opened)
    assert [line for line in collector.said if "another session's" in line] == collector.said != []
    assert (folder / "session").read_bytes() == another


def test_a_session_directory_of_another_name_is_refused(collector: Collector, info: ProcessInfo) -> None:
    with pytest.raises(ProtocolError, match="not its own"):
        collector.open(replace(info, session_directory="/etc"))
