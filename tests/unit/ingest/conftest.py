"""A collector, and a process that is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from calltrace_collector.model.process import ProcessInfo
from tests.unit.ingest.builders import process_info
from tests.unit.ingest.collectors import NOBODYS_PID, Collector
from tests.unit.ingest.left_files import session_file


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
