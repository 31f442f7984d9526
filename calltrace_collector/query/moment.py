"""The calls of a thread as they stood at a moment: which were open, and which were made last."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from calltrace_collector.core import Rows
from calltrace_collector.errors import StoreError
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.thread_calls import OPEN, ThreadCalls
from calltrace_collector.store.records import ThreadRecord


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call as it stood at a moment.

    Attributes:
        call: its number within the thread.
        site: what it entered, and from where.
        depth: how many calls were around it.
        start_ns: when it was entered, in nanoseconds since the epoch.
        since_ns: how long before the moment that was.
        duration_ns: how long it took; None: it was open at the moment.
    """

    call: int
    site: int
    depth: int
    start_ns: int
    since_ns: int
    duration_ns: int | None


class Moment:
    """A thread at a moment.

    Args:
        recording: the process.
        thread: the thread.
        ticks: the moment, in ticks of the process's clock.
    """

    def __init__(self, recording: Recording, thread: ThreadRecord, ticks: int) -> None:
        self._calls = ThreadCalls(recording.reader, recording.process.id, thread.number)
        self._clock = recording.clock
        self._ticks = ticks
        self._now_ns = self._clock.unix_ns(ticks)
        self._chunks = [at for at, head in enumerate(self._calls.heads) if head.first_call]

    def last_calls(self, limit: int) -> list[PastCall]:
        """Returns the calls entered last, in order of entry. Raises StoreError."""
        found: list[PastCall] = []
        call = self._last_call()
        while call > 0 and len(found) < limit:
            rows, row = self._calls.find(call)
            first = max(0, row + 1 - (limit - len(found)))
            found = [self._past(rows, each) for each in range(first, row + 1)] + found
            call = int(rows.call[0]) - 1 if first == 0 else 0
        return found

    def open_calls(self) -> list[PastCall]:
        """Returns the calls that were open, outermost first. Raises StoreError.

        Calls are nested: those that were open are the last one entered and its callers, but for those that
        had ended.
        """
        chain: list[PastCall] = []
        call = self._last_call()
        while call:
            rows, row = self._calls.find(call)
            first, parents = int(rows.call[0]), rows.parent.tolist()
            is_open = self._is_open(rows)
            while row >= 0:
                if is_open[row]:
                    chain.append(self._past(rows, row))
                if parents[row] >= call:
                    raise StoreError(f"the database is damaged: call {call} is made by call {parents[row]}")
                call = parents[row]
                row = call - first
        return chain[::-1]

    def _last_call(self) -> int:
        """The number of the call entered last; 0: none was yet."""
        chunks = self._chunks
        at = bisect_right(chunks, self._ticks, key=lambda at: int(self._calls.own_rows(at).start_ticks[0]))
        if at == 0:
            return 0
        rows = self._calls.own_rows(chunks[at - 1])
        return int(rows.call[np.searchsorted(rows.start_ticks, np.uint64(self._ticks), side="right") - 1])

    def _is_open(self, rows: Rows) -> list[bool]:
        open_rows: list[bool] = (
            (rows.status == OPEN) | (rows.start_ticks + rows.duration_ticks > np.uint64(self._ticks))
        ).tolist()
        return open_rows

    def _past(self, rows: Rows, row: int) -> PastCall:
        start = int(rows.start_ticks[row])
        end = start + int(rows.duration_ticks[row])
        start_ns = self._clock.unix_ns(start)
        has_ended = rows.status[row] != OPEN and end <= self._ticks
        return PastCall(
            call=int(rows.call[row]),
            site=int(rows.site[row]),
            depth=int(rows.depth[row]),
            start_ns=start_ns,
            since_ns=self._now_ns - start_ns,
            duration_ns=self._clock.unix_ns(end) - start_ns if has_ended else None,
        )
