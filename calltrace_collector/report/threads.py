"""Threads, as `calltrace threads` shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np

from calltrace_collector.query.recording import Recording
from calltrace_collector.report.table import Column, print_table
from calltrace_collector.report.units import count, duration, printable, rfc3339
from calltrace_collector.store.records import ThreadRecord

_COLUMNS = (
    Column("THREAD", right=True, style="bold"),
    Column("TID", right=True),
    Column("NAME", is_elastic=True),
    Column("CREATED BY", is_elastic=True),
    Column("FIRST CALL", right=True),
    Column("ENDED", right=True),
    Column("CALLS", right=True),
    Column("LOST", right=True),
)


def threads_fields(recording: Recording) -> list[dict[str, Any]]:
    """Returns what is known of each thread of a process as JSON has it."""
    return [_fields(recording, *each) for each in _with_times(recording)]


def print_threads(recording: Recording, out: TextIO) -> None:
    """Prints the threads of a process as a table."""
    print_table(_COLUMNS, [_row(recording, *each) for each in _with_times(recording)], out)


def creator_name(recording: Recording, thread: ThreadRecord) -> str:
    """Returns who created a thread, in words: "0 main", "tid 4711", or nothing where nobody knows."""
    creator = recording.creator(thread)
    if creator is not None:
        return f"{creator.number} {printable(creator.name)}".rstrip()
    return f"tid {thread.creator_tid}" if thread.creator_tid else ""


def _with_times(recording: Recording) -> Iterator[tuple[ThreadRecord, int, int | None]]:
    """The threads, and their first call and end in nanoseconds since the epoch."""
    threads = recording.threads
    moments = np.array([[each.started_ticks, each.ended_ticks] for each in threads], np.uint64).reshape(-1, 2)
    started = recording.clock.unix_ns(moments[:, 0]).tolist()
    ended = recording.clock.unix_ns(moments[:, 1]).tolist()
    for thread, start_ns, end_ns in zip(threads, started, ended, strict=True):
        yield thread, start_ns, end_ns if thread.ended_ticks else None


def _fields(
    recording: Recording, thread: ThreadRecord, started_ns: int, ended_ns: int | None
) -> dict[str, Any]:
    creator = recording.creator(thread)
    return {
        "process": thread.process,
        "thread": thread.number,
        "tid": thread.tid,
        "name": thread.name,
        "created_by": None if creator is None else creator.number,
        "creator_tid": thread.creator_tid or None,
        "stack_of": thread.stack_of,
        "first_call_at": rfc3339(started_ns),
        "ended_at": None if ended_ns is None else rfc3339(ended_ns),
        "calls": thread.calls,
        "lost_events": thread.dropped,
    }


def _row(
    recording: Recording, thread: ThreadRecord, started_ns: int, ended_ns: int | None
) -> tuple[str, ...]:
    begin_ns = recording.process.started_at_ns
    return (
        str(thread.number),
        str(thread.tid),
        printable(thread.name),
        f"(a stack of thread {thread.stack_of})"
        if thread.stack_of is not None
        else creator_name(recording, thread),
        duration(max(0, started_ns - begin_ns)),
        "" if ended_ns is None else duration(max(0, ended_ns - begin_ns)),
        count(thread.calls),
        count(thread.dropped),
    )
