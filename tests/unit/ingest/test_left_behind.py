"""Session directories that nobody serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from calltrace_collector import wire
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


def test_a_directory_that_cannot_be_read_is_said_once(collector: Collector, info: ProcessInfo) -> None:
    (Path(info.session_directory) / "session").write_bytes(b"")
    for _ in range(10):
        collector.left_behind.adopt()
    assert len(collector.said) == 1
    assert "was not written to its end" in collector.said[0]
