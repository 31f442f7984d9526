"""Crashes, from a commit to the database and back."""

from pathlib import Path
from typing import Any

import pytest

from calltrace_collector.model.commit import Commit, CrashRow
from calltrace_collector.model.crash import UncaughtException
from calltrace_collector.model.process import Host
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import StoredCrash
from calltrace_collector.store.writer import Writer
from tests.support.crash_samples import CLOCK, crash_analysis, crash_frame, crash_message, crash_record
from tests.unit.store.samples import MAX_U64, process_info, rows_of, value_of

AT_NS = 1_700_000_000_123_456_789


def test_a_crash_comes_back(writer: Writer, reader: Reader, path: Path) -> None:
    process = writer.open_process(process_info()).process
    record = crash_record(
        exception=UncaughtException("St13runtime_error", "no luck"), abort_message="why", incomplete="odd"
    )
    frames = (
        crash_frame("strlen", call=None, file=None, line=None, function_offset=MAX_U64, address=MAX_U64),
        crash_frame("g", inlined=True),
        crash_frame("f", call=MAX_U64, is_signal_frame=True),
        crash_frame(None, module=None, module_offset=None, function_offset=None),
    )
    analysis = crash_analysis(*frames, unwound_until="no more memory")
    writer.commit([Commit(process, 1, crash=CrashRow(record, AT_NS, analysis))])
    (found,) = reader.crashes()
    assert found == StoredCrash(
        process=process,
        thread=0,
        tid=4242,
        thread_name="worker",
        signal=11,
        signal_name="SIGSEGV",
        code=1,
        fault_address=0x10,
        sender_pid=None,
        ticks=CLOCK.ticks,
        crashed_at_ns=AT_NS,
        registers=found.registers,
        exception_type="St13runtime_error",
        exception_what="no luck",
        abort_message="why",
        handled=False,
        incomplete="odd",
        is_analyzed=True,
        code_name=analysis.code_name,
        code_meaning=analysis.code_meaning,
        fault_description=analysis.fault_description,
        reason=analysis.reason,
        unwound_until="no more memory",
        pid=4242,
        host="workshop",
        executable="/usr/bin/prog",
    )
    assert list(found.registers)[:3] == ["rip", "rsp", "rbp"]
    assert (found.registers["rip"], found.registers["rdx"]) == ("0x555500001234", "0x1001")
    assert [found.registers[name] for name in ("cs", "gs", "fs", "ss")] == ["0x33", "0x0", "0x0", "0x2b"]
    assert tuple(reader.crash_frames(process)) == frames
    assert reader.crash_message(process) == crash_message().SerializeToString()
    writer.close()
    assert value_of(path, "SELECT count(*) FROM crash_frame") == 4


def test_the_analysis_comes_later_and_may_come_again(writer: Writer, reader: Reader) -> None:
    process = writer.open_process(process_info()).process
    other = writer.open_process(process_info("two")).process
    writer.commit([Commit(other, 1, crash=CrashRow(crash_record(), AT_NS, crash_analysis()))])
    writer.commit([Commit(process, 1, crash=CrashRow(crash_record(), AT_NS, None))])
    (crash,) = reader.crashes(process=process)
    assert (crash.is_analyzed, crash.reason, crash.signal_name) == (False, "", "SIGSEGV")
    assert reader.crash_frames(process) == []
    for count in (3, 1):
        frames = [crash_frame(str(number)) for number in range(count)]
        writer.commit([Commit(process, 1, crash=CrashRow(crash_record(), AT_NS, crash_analysis(*frames)))])
        assert reader.crash_frames(process) == frames
    assert reader.crashes(process=process)[0].is_analyzed
    assert len(reader.crash_frames(other)) == 1


def test_what_is_not_there_is_null(writer: Writer, reader: Reader) -> None:
    process = writer.open_process(process_info()).process
    record = crash_record(thread=None, registers=(), code=-6, sender_pid=99, signal=6)
    writer.commit([Commit(process, 1, crash=CrashRow(record, AT_NS, None))])
    (crash,) = reader.crashes()
    assert (crash.thread, crash.registers, crash.fault_address, crash.sender_pid) == (None, {}, None, 99)
    assert (crash.signal_name, crash.exception_type) == ("SIGABRT", None)
    assert reader.crash_message(process + 1) is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [3, 2, 1]),
        ({"limit": 2}, [3, 2]),
        ({"process": 2}, [2]),
        ({"pid": 101}, [2]),
        ({"host": "here"}, [3, 1]),
        ({"host": "id 1"}, [2]),
        ({"since_ns": 200}, [3, 2]),
        ({"until_ns": 200}, [2, 1]),
        ({"since_ns": 200, "until_ns": 200, "host": "there"}, [2]),
        ({"since_ns": 301}, []),
    ],
)
def test_filters(writer: Writer, reader: Reader, wanted: dict[str, Any], found: list[int]) -> None:
    for number in range(3):
        host = Host(["here", "there"][number % 2], f"id {number % 2}", "boot", "6")
        process = writer.open_process(process_info(str(number), pid=100 + number, host=host)).process
        writer.commit([Commit(process, 1, crash=CrashRow(crash_record(), 100 * (number + 1), None))])
    assert [crash.process for crash in reader.crashes(**wanted)] == found


def test_a_crash_goes_with_its_process(writer: Writer, path: Path) -> None:
    process = writer.open_process(process_info()).process
    writer.commit([Commit(process, 1, crash=CrashRow(crash_record(), AT_NS, crash_analysis()))])
    with writer._engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM process WHERE id = {process}")
    assert rows_of(path, "SELECT * FROM crash") == rows_of(path, "SELECT * FROM crash_frame") == []
