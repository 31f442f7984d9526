"""All of a collector that takes what dead processes left, but no server."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from calltrace_collector.ingest.committer import Committer
from calltrace_collector.ingest.crash_analyst import CrashAnalyst
from calltrace_collector.ingest.left_behind import LeftBehind
from calltrace_collector.ingest.registry import OpenSession, Registry
from calltrace_collector.model.commit import Commit
from calltrace_collector.model.crash import CrashAnalysis, CrashRecord, OpenCall
from calltrace_collector.model.process import ModuleInfo, ProcessInfo
from tests.support.crash_samples import crash_analysis
from tests.unit.ingest.builders import MemorySink

NOBODYS_PID = (1 << 22) - 1
"""The kernel's largest, which no process has, for it begins anew long before."""


class Collector:
    """A registry with all that belongs to it, and an analyzer that waits until it may go on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sink = MemorySink()
        self.said: list[str] = []
        self.may_analyze = threading.Event()
        self.committer = Committer(self.sink, lambda *_: None, self.said.append)
        self.analyst = CrashAnalyst(self._analyze, self.sink, self.said.append)
        self.registry = Registry(self.sink, self.committer, self.analyst, self.said.append)
        self.left_behind = LeftBehind(self.registry, folder / "socket", (folder,), self.said.append)
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
