"""The threads of a process: who created them, and when they were there."""

import io

import pytest

from calltrace_collector.model.commit import Commit
from calltrace_collector.model.process import ClockReading, ThreadInfo
from calltrace_collector.query.recording import Recording
from calltrace_collector.report.threads import print_threads, threads_fields
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic

START_TICKS = 5_000_000_000


@pytest.fixture
def recording(writer: Writer, reader: Reader) -> Recording:
    """Thread id 101 is used twice; thread 3's creator made no calls; thread 4's made its first one later."""
    process = Synthetic(writer, []).process
    threads = [
        ThreadInfo(0, 100, "main", START_TICKS, 0, 0, 0),
        ThreadInfo(1, 101, "first\n", START_TICKS + 3_000, START_TICKS + 9_000, 0, 100),
        ThreadInfo(2, 101, "again", START_TICKS + 10_000, 0, 0, 100),
        ThreadInfo(3, 103, "orphan", START_TICKS + 11_000, 0, 0, 999),
        ThreadInfo(4, 104, "early", START_TICKS + 12_000, 0, 0, 105),
        ThreadInfo(5, 105, "late", START_TICKS + 13_000, 0, 0, 101),
        ThreadInfo(6, 106, "child", START_TICKS + 6_000, 0, 0, 101),
    ]
    clock = ClockReading(START_TICKS + 3_000_000_000, 2_000_000_000, 0)
    writer.commit([Commit(process, 2, threads=threads, clocks=[clock])])
    return Recording(reader, reader.processes()[0])


def test_who_created_a_thread(recording: Recording) -> None:
    creators = [recording.creator(thread) for thread in recording.threads]
    numbers = [creator.number if creator else None for creator in creators]
    assert numbers == [None, 0, 0, None, 5, 2, 1]


def test_fields(recording: Recording) -> None:
    assert threads_fields(recording)[1] == {
        "process": 1,
        "thread": 1,
        "tid": 101,
        "name": "first\n",
        "created_by": 0,
        "creator_tid": 100,
        "stack_of": None,
        "first_call_at": "2023-11-14T22:13:20.000001000Z",
        "ended_at": "2023-11-14T22:13:20.000003000Z",
        "calls": 0,
        "lost_events": 0,
    }
    assert [each["creator_tid"] for each in threads_fields(recording)[2:4]] == [100, 999]


def test_a_table(recording: Recording) -> None:
    out = io.StringIO()
    print_threads(recording, out)
    lines = out.getvalue().splitlines()
    assert lines[0].split()[:5] == ["THREAD", "TID", "NAME", "CREATED", "BY"]
    assert lines[2].split() == ["1", "101", "first?", "0", "main", "1.000", "s", "1.000", "s", "0", "0"]
    assert "tid 999" in lines[4]
    assert len(lines) == 8
