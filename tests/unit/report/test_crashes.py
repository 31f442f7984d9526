"""The list of crashes, and crashes as JSON."""

from __future__ import annotations

import io
import json

from calltrace_collector.crash.analyze import Analyzer
from calltrace_collector.model.commit import Commit, CrashRow
from calltrace_collector.model.crash import UncaughtException
from calltrace_collector.model.process import ClockReading, Host, ProcessState
from calltrace_collector.query.crashes import choose_crash, crash_report
from calltrace_collector.report.crash_json import crash_fields, report_fields
from calltrace_collector.report.crashes import print_crashes
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.crash_samples import crash_analysis, crash_frame, crash_record
from tests.support.synthetic import Synthetic, function
from tests.unit.store.samples import process_info

AT_NS = 1_700_000_000_000_000_001


def test_table(writer: Writer, reader: Reader) -> None:
    process = writer.open_process(process_info(executable="/bin/\x1bx")).process
    writer.commit([Commit(process, 1, crash=CrashRow(crash_record(), AT_NS, crash_analysis()))])
    process = writer.open_process(process_info("two", pid=7)).process
    writer.commit([Commit(process, 1, crash=CrashRow(crash_record(thread_name=""), AT_NS - 1, None))])
    out = io.StringIO()
    print_crashes(reader.crashes(), out)
    heading, *rows = out.getvalue().splitlines()
    assert heading.split() == ["TIME", "(UTC)", "PROCESS", "PID", "PROGRAM", "THREAD", "REASON"]
    assert [" ".join(row.split()) for row in rows] == [
        "2023-11-14 22:13:20 1 4242 ?x 4242 worker SIGSEGV: read of address 0x10 in f() at prog.c:7",
        "2023-11-14 22:13:20 2 7 prog 4242 SIGSEGV, not analyzed: see calltrace crash --process 2",
    ]


def test_hosts_are_shown_when_there_are_several(writer: Writer, reader: Reader) -> None:
    for name in ("attic", "cellar"):
        process = writer.open_process(process_info(name, host=Host(name, name, "boot", "6"))).process
        writer.commit([Commit(process, 1, crash=CrashRow(crash_record(), AT_NS, None))])
    out = io.StringIO()
    print_crashes(reader.crashes(), out)
    assert [line.split()[4] for line in out.getvalue().splitlines()[1:]] == ["cellar", "attic"]


def test_json_of_the_list(writer: Writer, reader: Reader) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([Commit(process, 1, crash=CrashRow(crash_record(), AT_NS, crash_analysis()))])
    (crash,) = reader.crashes()
    assert crash_fields(crash) == {
        "process": 1,
        "pid": 4242,
        "host": "workshop",
        "exe": "/usr/bin/prog",
        "crash_time": "2023-11-14T22:13:20.000000001Z",
        "crash_timestamp": AT_NS,
        "reason": "SIGSEGV: read of address 0x10 in f() at prog.c:7",
        "signal": 11,
        "signal_name": "SIGSEGV",
        "code": 1,
        "code_name": "SEGV_MAPERR",
        "fault_address": "0x10",
        "thread_id": 4242,
        "thread_name": "worker",
        "handled": False,
    }
    writer.commit([Commit(process, 1, crash=CrashRow(crash_record(code=-6), AT_NS, None))])
    fields = crash_fields(reader.crashes()[0])
    assert (fields["reason"], fields["fault_address"], fields["code_name"]) == (None, None, "")


def test_json_of_a_crash(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, [function("main", line=3), function("next", line=7)], threads=2)
    synthetic.enter("main", 100, thread=1, line=20)
    synthetic.enter("next", 100, thread=1, line=30)
    ticks = synthetic.twin.threads[1].last_ticks + 90
    synthetic.end(ProcessState.CRASHED, signal=11)
    record = crash_record(
        thread=1,
        clock=ClockReading(ticks, 1, 1),
        exception=UncaughtException("St9exception", "std::exception"),
    )
    frames = (crash_frame("next", call=2, inlined=True), crash_frame("main", call=None, file=None, line=None))
    row = CrashRow(record, synthetic.unix_ns(ticks), crash_analysis(*frames))
    writer.commit([Commit(synthetic.process, 1, crash=row)])
    report = crash_report(reader, choose_crash(reader), Analyzer(), last_calls=1)
    fields = json.loads(json.dumps(report_fields(report)))
    (crash,) = reader.crashes()
    assert {name: fields[name] for name in crash_fields(crash)} == crash_fields(crash)
    assert fields["register_context"]["rip"] == "0x555500001234"
    assert fields["exception"] == {"type": "std::exception", "what": "std::exception"}
    assert (fields["thread"], fields["state"], fields["exit_code"], fields["end_signal"]) == (
        1,
        "crashed",
        None,
        11,
    )
    assert (fields["abort_message"], fields["incomplete"], fields["unwound_until"]) == (None, None, None)
    first, second = fields["backtrace"]
    assert first == {
        "address": "0x555500001234",
        "function_name": "next",
        "linkage_name": "next",
        "function_offset": "0x4",
        "library_name": "/opt/prog/prog",
        "offset": "0x1234",
        "file": "/src/prog.c",
        "line": 7,
        "inlined": True,
        "signal_frame": False,
        "call": (1 << 40) + 2,
    }
    assert (second["call"], second["file"], second["line"]) == (None, None, None)
    crashed, other = fields["open_calls"]
    assert (other["thread"], other["thread_id"], other["calls"]) == (0, 100, [])
    assert (crashed["thread"], crashed["thread_name"], crashed["crashed"]) == (1, "worker 1", True)
    assert [call["call"] for call in crashed["calls"]] == [(1 << 40) + 1, (1 << 40) + 2]
    assert fields["last_calls"] == crashed["calls"][1:]
    assert crashed["calls"][1] == {
        "call": (1 << 40) + 2,
        "depth": 1,
        "function": "next",
        "module": "/opt/prog/prog",
        "file": "/src/prog.c",
        "line": 7,
        "call_site": {"function": "caller_30", "file": "/src/prog.c", "line": 30},
        "start_ns": synthetic.unix_ns(ticks - 90),
        "before_crash_ns": 30,
        "duration_ns": None,
    }
