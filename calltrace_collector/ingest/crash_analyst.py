"""The analyst: one thread that finds out what crashes mean after they are stored.

Unwinding and names take time that nobody's end shall wait for. What is stored first has the agent's message,
so a crash whose analysis is never made can still be analyzed by whoever looks at it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from calltrace_collector.errors import StoreError
from calltrace_collector.ingest.worker import Worker
from calltrace_collector.model.commit import Commit, CrashRow, Sink
from calltrace_collector.model.crash import CrashAnalysis, CrashAnalyzer, OpenCall
from calltrace_collector.model.process import ModuleInfo

__all__ = ["CrashAnalyst", "CrashCase", "ToldCrash"]

MAX_WAITING = 64
"""Each holds the stack's memory: megabytes."""
REMEMBERED = 4096
"""Crashes whose reasons are remembered, for those who ask how a process ended."""


@dataclass(frozen=True, slots=True)
class CrashCase:
    """A crash and what the analyzer needs to know besides; `process` is the store's id."""

    process: int
    pid: int
    crash: CrashRow
    modules: tuple[ModuleInfo, ...]
    open_calls: tuple[OpenCall, ...]


@dataclass(frozen=True, slots=True)
class ToldCrash:
    """A crash in one sentence, or the name of its signal; handled: the program had a handler of its own."""

    reason: str
    handled: bool


class CrashAnalyst(Worker):
    """Analyzes crashes, one after the other.

    Args:
        analyzer: does the work.
        sink: where the analyses go.
        on_message: called with one line for the user when something goes wrong.
    """

    def __init__(self, analyzer: CrashAnalyzer, sink: Sink, on_message: Callable[[str], None]) -> None:
        super().__init__("crash-analyst")
        self._analyzer = analyzer
        self._sink = sink
        self._on_message = on_message
        self._cases: deque[CrashCase] = deque()
        self._told: dict[int, ToldCrash] = {}
        self._wanted = 0
        self._done = 0

    def take(self, case: CrashCase) -> None:
        """Takes a crash that is stored; when too many wait already, it is left to whoever looks at it."""
        record = case.crash.record
        with self._wake:
            self._tell(case.process, ToldCrash(record.signal_name, record.handled))
            if len(self._cases) >= MAX_WAITING:
                return
            self._cases.append(case)
            self._wanted += 1
            self._wake.notify_all()

    def told(self, process: int) -> ToldCrash | None:
        """What is known, of late, of the crash of a process (the store's id); None: nothing."""
        with self._wake:
            return self._told.get(process)

    def wait(self) -> None:
        """Returns when every crash taken before the call has been analyzed."""
        with self._wake:
            target = self._wanted
            self._wake.wait_for(lambda: self._done >= target or self._has_ended)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: bool(self._cases) or self._stopping)
                if not self._cases:
                    return
                case = self._cases.popleft()
            self._close(case)
            with self._wake:
                self._done += 1
                self._wake.notify_all()

    def _close(self, case: CrashCase) -> None:
        analysis = self._analyze(case)
        if analysis is None:
            return
        with self._wake:
            self._tell(case.process, ToldCrash(analysis.reason, case.crash.record.handled))
        try:
            # Sequence 0: nothing of the stream is in it.
            self._sink.commit([Commit(case.process, 0, crash=replace(case.crash, analysis=analysis))])
        except StoreError as error:
            self._on_message(f"{error.message}; calltrace crash will analyze the crash of process {case.pid}")

    def _tell(self, process: int, crash: ToldCrash) -> None:
        self._told[process] = crash
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]

    def _analyze(self, case: CrashCase) -> CrashAnalysis | None:
        try:
            return self._analyzer(case.crash.record, case.modules, case.open_calls)
        except Exception as error:  # noqa: BLE001 whatever a crashed process left must not end the thread
            self._on_message(f"the crash of process {case.pid} cannot be analyzed: {error!r}")
            return None
