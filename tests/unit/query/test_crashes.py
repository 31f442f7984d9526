"""Which crash is meant, and all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from calltrace_collector.errors import NotFoundError, StoreError, UsageError
from calltrace_collector.model.commit import Commit, CrashRow
from calltrace_collector.model.crash import CrashAnalysis, CrashRecord, OpenCall
from calltrace_collector.model.process import ClockReading, ModuleInfo, ProcessState
from calltrace_collector.query.crashes import choose_crash, crash_report, type_name
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import StoredCrash
from calltrace_collector.store.writer import Writer
from tests.support.crash_samples import crash_analysis, crash_frame, crash_message, crash_record
from tests.support.synthetic import Synthetic, function
from tests.unit.store.samples import process_info

FUNCTIONS = [function("main"), function("f"), function("g")]


class Analyst:
    """An analyzer that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[CrashRecord, Sequence[ModuleInfo], Sequence[OpenCall]]] = []

    def __call__(
        self, record: CrashRecord, modules: Sequence[ModuleInfo], open_calls: Sequence[OpenCall]
    ) -> CrashAnalysis:
        self.asked.append((record, modules, open_calls))
        return crash_analysis(crash_frame("anew"), reason="analyzed anew", code_name="NEW")


def crashed(
    writer: Writer, *, analysis: CrashAnalysis | None = None, thread: int | None = 0, **changes: Any
) -> Synthetic:
    """A process whose first thread crashes in f, called by main, after g has returned."""
    synthetic = Synthetic(writer, FUNCTIONS, threads=3)
    synthetic.enter("main", thread=1)
    synthetic.enter("main", 100)
    synthetic.enter("g", 100)
    synthetic.leave(50)
    synthetic.enter("f", 100)
    ticks = synthetic.twin.threads[0].last_ticks + 30
    synthetic.enter("g", 1000, thread=0)  # by the program's handler
    synthetic.end(ProcessState.CRASHED, signal=11)
    message = crash_message(thread=0).SerializeToString()
    record = crash_record(thread=thread, clock=ClockReading(ticks, 1, 1), encoded=message)
    row = CrashRow(replace(record, **changes), synthetic.unix_ns(ticks), analysis)
    writer.commit([Commit(synthetic.process, 1, crash=row)])
    return synthetic


def the_crash(reader: Reader) -> StoredCrash:
    return choose_crash(reader)


def test_what_is_known(writer: Writer, reader: Reader) -> None:
    synthetic = crashed(
        writer, analysis=crash_analysis(crash_frame("f", call=3), crash_frame("main", call=1))
    )
    analyst = Analyst()
    report = crash_report(reader, the_crash(reader), analyst, last_calls=2)
    assert analyst.asked == []
    assert report.crash == the_crash(reader)
    assert [frame.function for frame in report.frames] == ["f", "main"]
    assert [(each.thread.number, each.crashed) for each in report.threads] == [
        (0, True),
        (1, False),
        (2, False),
    ]
    names = [
        [report.recording.names.function(call.site).name for call in each.calls] for each in report.threads
    ]
    assert names == [["main", "f"], ["main"], []]
    assert [call.call for call in report.last_calls] == [2, 3]
    assert [call.since_ns for call in report.last_calls] == [160, 10]
    assert report.recording.process.id == synthetic.process


def test_a_crash_that_nobody_analyzed(writer: Writer, reader: Reader) -> None:
    synthetic = crashed(writer)
    analyst = Analyst()
    report = crash_report(reader, the_crash(reader), analyst, last_calls=2)
    assert (report.crash.reason, report.crash.code_name) == ("analyzed anew", "NEW")
    assert report.crash.is_analyzed
    assert [frame.function for frame in report.frames] == ["anew"]
    ((record, modules, open_calls),) = analyst.asked
    assert record == crash_record(
        clock=record.clock, memory=record.memory, maps=record.maps, encoded=record.encoded
    )
    assert [module.path for module in modules] == ["/opt/prog/prog"]
    stack = synthetic.twin.threads[0].stack
    wanted = [
        OpenCall(call.call, *synthetic.twin.sites[call.site][:2], call.stack_pointer) for call in stack[:2]
    ]
    assert list(open_calls) == wanted
    assert the_crash(reader).reason == ""  # a reader writes nothing


def test_a_crash_is_analyzed_anew_when_asked(writer: Writer, reader: Reader) -> None:
    crashed(writer, analysis=crash_analysis())
    report = crash_report(reader, the_crash(reader), Analyst(), last_calls=2, anew=True)
    assert report.crash.reason == "analyzed anew"


def test_a_thread_without_traced_calls(writer: Writer, reader: Reader) -> None:
    crashed(writer, thread=None)
    analyst = Analyst()
    report = crash_report(reader, the_crash(reader), analyst, last_calls=2)
    ((record, _, open_calls),) = analyst.asked
    assert record.thread is None
    assert open_calls == []
    assert report.last_calls == ()
    assert not any(each.crashed for each in report.threads)


def test_a_damaged_message(writer: Writer, reader: Reader) -> None:
    crashed(writer, encoded=b"\xff")
    with pytest.raises(StoreError, match="the database is damaged: the record of the crash is no Crash"):
        crash_report(reader, the_crash(reader), Analyst(), last_calls=2)


def test_which_crash_is_meant(writer: Writer, reader: Reader) -> None:
    with pytest.raises(NotFoundError, match="no crash is stored in /"):
        choose_crash(reader)
    for number in range(3):
        process = writer.open_process(process_info(str(number), pid=100 + number % 2)).process
        row = CrashRow(crash_record(), [20, 30, 10][number], None)
        writer.commit([Commit(process, 1, crash=row)])
    writer.open_process(process_info("whole", pid=7))
    assert choose_crash(reader).process == 2
    assert choose_crash(reader, pid=100).process == 1
    assert choose_crash(reader, process=3).process == 3
    with pytest.raises(UsageError, match="not both"):
        choose_crash(reader, process=3, pid=100)
    with pytest.raises(NotFoundError, match=r"process 4 \(pid 7\) has left no record of a crash"):
        choose_crash(reader, pid=7)
    with pytest.raises(NotFoundError, match="no process with pid 8"):
        choose_crash(reader, pid=8)


@pytest.mark.parametrize(
    ("mangled", "name"),
    [
        ("St13runtime_error", "std::runtime_error"),
        ("N3app5ErrorE", "app::Error"),
        ("i", "int"),
        ("PKc", "char const*"),
        ("", ""),
        ("not a type", "not a type"),
        ("\N{SNOWMAN}", "\N{SNOWMAN}"),
    ],
)
def test_names_of_types(mangled: str, name: str) -> None:
    assert type_name(mangled) == name
