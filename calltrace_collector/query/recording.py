"""What is stored of one process, opened for questions about its calls."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.core import Rows
from calltrace_collector.errors import NotFoundError
from calltrace_collector.model.process import CallStatus, ProcessState
from calltrace_collector.query.captured import Captured
from calltrace_collector.query.filters import CallFilter, Matcher
from calltrace_collector.query.names import Names
from calltrace_collector.query.thread_calls import OPEN
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import ProcessRecord, ThreadRecord

_TIDS_IN_MESSAGE = 8


class Recording:
    """A process's threads, names and clock.

    Attributes:
        statuses: what the numbers in the column `status` mean; calls that never ended count as crashed when
            the process crashed.
    """

    def __init__(self, reader: Reader, process: ProcessRecord) -> None:
        self.reader = reader
        self.process = process
        self.threads: list[ThreadRecord] = reader.threads(process.id)
        self.names = Names(reader, process.id)
        self.clock = reader.clock(process.id)
        self.readings = reader.clock_readings(process.id)
        self.statuses = list(CallStatus)
        if process.state == ProcessState.CRASHED:
            self.statuses[OPEN] = CallStatus.CRASHED

    @cached_property
    def captured(self) -> Captured:
        """How to read the values that were captured of the calls. Raises StoreError."""
        return Captured(self.reader, self.process.id, self.names)

    def threads_of(self, tid: int | None) -> list[ThreadRecord]:
        """Returns the threads with a thread id, which the kernel may have used again; None: all threads.

        Raises:
            NotFoundError: there is none; the message names some that are there.
        """
        found = [thread for thread in self.threads if tid is None or thread.tid == tid]
        if tid is not None and not found:
            tids = [str(thread.tid) for thread in self.threads[:_TIDS_IN_MESSAGE]]
            more = ", ..." if len(self.threads) > len(tids) else ""
            there = ", ".join(tids) + more or "none"
            raise NotFoundError(f"process {self.process.id} has no thread with tid {tid}: it has {there}")
        return found

    def creator(self, thread: ThreadRecord) -> ThreadRecord | None:
        """Returns the thread that created a thread, if it was traced.

        The kernel may have used its thread id for several, one after the other: it is the last one that
        began before the thread did, or the only one.
        """
        if not thread.creator_tid:
            return None
        found = [other for other in self._by_tid[thread.creator_tid] if other is not thread]
        before = [other for other in found if other.started_ticks <= thread.started_ticks]
        if before:
            return before[-1]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_tid(self) -> defaultdict[int, list[ThreadRecord]]:
        """The threads with each thread id, in the order of their beginnings."""
        by_tid = defaultdict(list)
        threads = [thread for thread in self.threads if thread.stack_of is None]
        for thread in sorted(threads, key=lambda each: each.started_ticks):
            by_tid[thread.tid].append(thread)
        return by_tid

    def matcher(self, wanted: CallFilter) -> Matcher:
        """Makes a filter ready for this process. Raises NotFoundError when no function matches it."""
        return Matcher(wanted, self.names, self.clock, self.readings, self.process.id)

    def end_ticks(self, thread: ThreadRecord, rows: Rows) -> NDArray[np.uint64]:
        """Returns when calls of a thread ended or, if they have not, until when they are known to be open."""
        end = rows.start_ticks + rows.duration_ticks
        is_open = rows.status == OPEN
        if is_open.any():
            end[is_open] = np.maximum(rows.start_ticks[is_open], self.open_until(thread))
        return end

    def open_until(self, thread: ThreadRecord) -> int:
        """Returns until when, in ticks, a thread's calls that have not ended are known to have been open."""
        return max(thread.last_ticks, thread.ended_ticks or self._last_ticks)

    @cached_property
    def _last_ticks(self) -> int:
        """The last moment at which the process is known to have been there; it may have ended right then."""
        ticks = [reading.ticks for reading in self.readings]
        ticks += [thread.last_ticks for thread in self.threads]
        return max(ticks, default=0)
