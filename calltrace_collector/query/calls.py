"""The calls of a thread that pass a filter, in order of entry, a chunk at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.core import Rows
from calltrace_collector.model.process import ProcessState
from calltrace_collector.query.captured import NOTHING, BlockValues, CallValues
from calltrace_collector.query.filters import Matcher
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.thread_calls import ThreadCalls
from calltrace_collector.store.records import ThreadRecord


@dataclass(frozen=True, slots=True)
class Block:
    """Calls of a thread with consecutive numbers.

    Attributes:
        thread: the thread.
        rows: the calls.
        end_ticks: when each of them ended or, if it has not, until when it is known to have been open.
        hits: positions in `rows` of the calls that pass the filter, ascending.
        values: what was captured of `rows`; None: nothing was of this process.
    """

    thread: ThreadRecord
    rows: Rows
    end_ticks: NDArray[np.uint64]
    hits: NDArray[np.intp]
    values: BlockValues | None

    def values_of(self, rows: NDArray[np.intp]) -> Iterator[CallValues]:
        """Yields the values of some of the calls, ascending positions in `rows`. Raises StoreError."""
        if self.values is None:
            return repeat(NOTHING, len(rows))
        return self.values.of(self.rows.call[rows])


class Search:
    """A search for calls of one thread.

    Attributes:
        recording: the process.
        thread: the thread.
        calls: all of its calls.
        matcher: tells hits from other calls.
    """

    def __init__(self, recording: Recording, thread: ThreadRecord, matcher: Matcher) -> None:
        self.recording = recording
        self.thread = thread
        self.calls = ThreadCalls(recording.reader, recording.process.id, thread.number)
        self.matcher = matcher

    def blocks(self, *, max_depth: int | None = None) -> Iterator[Block]:
        """Yields the thread's calls in order of entry, leaving out chunks without hits.

        Args:
            max_depth: chunks without a call so shallow may be left out as well.

        Raises:
            StoreError: the database cannot be read, or holds what it should not.
        """
        for at in self._chunks():
            if max_depth is not None and self.calls.heads[at].min_depth > max_depth:
                continue
            rows = self.calls.own_rows(at)
            end_ticks = self.recording.end_ticks(self.thread, rows)
            hits = np.flatnonzero(self.matcher.mask(rows, end_ticks))
            if len(hits):
                self.recording.names.cover(rows.site)
                yield Block(self.thread, rows, end_ticks, hits, self._values(at))

    def values_of(self, call: int) -> CallValues:
        """Returns the values of a call by its number. Raises as blocks."""
        if self.recording.captured.has_plans:
            calls = np.array([call], np.uint64)
            for at in self.calls.chunks_of(calls):
                return next(BlockValues(self.recording.captured, self.calls, at).of(calls))
        return NOTHING

    def _values(self, at: int) -> BlockValues | None:
        """The values of a chunk whose rows have been read."""
        captured = self.recording.captured
        if not captured.has_plans:
            return None
        if self.recording.process.state == ProcessState.RUNNING:
            captured.refresh()
        return BlockValues(captured, self.calls, at)

    def _chunks(self) -> list[int]:
        """The chunks to look into for hits among the calls that were entered during them.

        The database knows which chunks have completed rows that may be hits. Those among them that are late
        rows lead to the chunks with the same calls' own, open rows. So does the stack of the calls that never
        ended.
        """
        heads = self.calls.heads
        wanted = self.matcher.wanted
        if wanted.is_everything:
            return [at for at, head in enumerate(heads) if head.rows > head.late_rows]
        found = self._chunks_with_completed_hits()
        others = {at for at, head in enumerate(heads) if head.open_rows and at not in found}
        if others:
            late = self._chunks_of_late_hits(found, others)
            found |= (late | self.calls.chunks_of(self.calls.open_calls())) & others
        return [
            at
            for at in sorted(found)
            if heads[at].rows > heads[at].late_rows
            and (wanted.max_depth is None or heads[at].min_depth <= wanted.max_depth)
        ]

    def _chunks_with_completed_hits(self) -> set[int]:
        process = self.recording.process.id
        heads = self.recording.reader.chunk_heads(process, self.thread.number, self.matcher.chunk_filter())
        ids = {head.id for head in heads}
        return {at for at, head in enumerate(self.calls.heads) if head.id in ids}

    def _chunks_of_late_hits(self, found: Collection[int], others: Collection[int]) -> set[int]:
        """The chunks during which calls were entered that are hits among the late rows of those found."""
        telling = [at for at in sorted(found) if self.calls.heads[at].late_rows]
        if len(others) <= len(telling):
            # Looking into all of them is less work than finding out which ones.
            return set(others)
        chunks: set[int] = set()
        for at in telling:
            late = self.calls.late_rows(at)
            hits = self.matcher.mask(late, self.recording.end_ticks(self.thread, late))
            chunks |= self.calls.chunks_of(late.call[hits])
        return chunks
