"""Crashes are analyzed after they are stored, and nothing that goes wrong there stops anything."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from calltrace_collector.errors import StoreError
from calltrace_collector.ingest import crash_analyst
from calltrace_collector.ingest.crash_analyst import CrashAnalyst, CrashCase, ToldCrash
from calltrace_collector.model.commit import Commit, CrashRow
from calltrace_collector.model.crash import CrashAnalysis, CrashRecord, OpenCall
from calltrace_collector.model.process import ModuleInfo
from tests.support.crash_samples import crash_analysis, crash_record
from tests.unit.ingest.builders import MemorySink

OPEN_CALLS = (OpenCall(1, 2, 3, 4),)
MODULES = (ModuleInfo(0, "/bin/prog", b"", 0),)


class Analyzer:
    """Says how often it was asked; fails when told to, and waits until it may go on."""

    def __init__(self) -> None:
        self.asked: list[tuple[CrashRecord, Sequence[ModuleInfo], Sequence[OpenCall]]] = []
        self.failure: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(
        self, record: CrashRecord, modules: Sequence[ModuleInfo], open_calls: Sequence[OpenCall]
    ) -> CrashAnalysis:
        assert self.may_go_on.wait(60)
        self.asked.append((record, modules, open_calls))
        if self.failure is not None:
            raise self.failure
        return crash_analysis(reason=f"reason {len(self.asked)}")


class Running:
    """An analyst that runs, and what it says."""

    def __init__(self) -> None:
        self.analyzer, self.sink = Analyzer(), MemorySink()
        self.said: list[str] = []
        self.analyst = CrashAnalyst(self.analyzer, self.sink, self.said.append)
        self.analyst.start()

    def take(self, process: int = 7) -> CrashCase:
        case = CrashCase(process, 1234, CrashRow(crash_record(), 5, None), MODULES, OPEN_CALLS)
        self.analyst.take(case)
        return case


def test_an_analysis_is_committed() -> None:
    running = Running()
    case = running.take()
    running.analyst.wait()
    assert running.analyzer.asked == [(case.crash.record, MODULES, OPEN_CALLS)]
    analysis = crash_analysis(reason="reason 1")
    assert running.sink.commits == [Commit(7, 0, crash=CrashRow(case.crash.record, 5, analysis))]
    assert running.analyst.told(7) == ToldCrash("reason 1", handled=False)
    assert running.analyst.told(8) is None
    running.analyst.stop()
    assert running.said == []


def test_an_analyzer_that_fails_is_told_of_and_the_next_crash_analyzed() -> None:
    running = Running()
    running.analyzer.failure = ZeroDivisionError("by zero")
    running.take()
    running.analyst.wait()
    assert running.said == ["the crash of process 1234 cannot be analyzed: ZeroDivisionError('by zero')"]
    assert running.analyst.told(7) == ToldCrash("SIGSEGV", handled=False)
    assert running.sink.commits == []
    running.analyzer.failure = None
    running.take(8)
    running.analyst.stop()
    assert [commit.process for commit in running.sink.commits] == [8]


def test_a_store_that_refuses_is_told_of() -> None:
    running = Running()
    running.sink.refusal = StoreError("the disk is full")
    running.take()
    running.analyst.wait()
    assert running.said == ["the disk is full; calltrace crash will analyze the crash of process 1234"]
    assert running.analyst.told(7) == ToldCrash("reason 1", handled=False)
    running.analyst.stop()


def test_stopping_waits_for_what_was_taken() -> None:
    running = Running()
    running.analyzer.may_go_on.clear()
    for process in range(3):
        running.take(process)
    stopping = threading.Thread(target=running.analyst.stop)
    stopping.start()
    assert running.sink.commits == []
    running.analyzer.may_go_on.set()
    stopping.join(60)
    assert [commit.process for commit in running.sink.commits] == [0, 1, 2]
    running.analyst.wait()  # nobody waits for a thread that has ended


def test_too_many_at_once_are_left_as_they_are() -> None:
    running = Running()
    running.analyzer.may_go_on.clear()
    count = crash_analyst.MAX_WAITING + 10
    for process in range(count):
        running.take(process)
    assert running.analyst.told(count - 1) == ToldCrash("SIGSEGV", handled=False)
    running.analyzer.may_go_on.set()
    running.analyst.wait()
    # One may have been under way already when the others came.
    assert len(running.analyzer.asked) in {crash_analyst.MAX_WAITING, crash_analyst.MAX_WAITING + 1}
    running.analyst.stop()
