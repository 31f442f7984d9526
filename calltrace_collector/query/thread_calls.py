"""The calls of one thread in order of entry, chunk by chunk or by number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.core import FRAME, Rows, Values, decode_chunk, decode_values
from calltrace_collector.errors import ProtocolError, StoreError
from calltrace_collector.model.process import CallStatus
from calltrace_collector.query.cache import Cache
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import ChunkHead

OPEN = list(CallStatus).index(CallStatus.OPEN)
LOST = list(CallStatus).index(CallStatus.LOST)

# A row is about 45 bytes.
_OWN_ROWS_KEPT = 1 << 18
_LATE_ROWS_KEPT = 1 << 20
_VALUES_KEPT_BYTES = 64 << 20
_VALUES_ROW_BYTES = 16
_NEVER = np.iinfo(np.uint64).max


@dataclass(slots=True)
class _Own:
    """A chunk's own rows; is_complete: the open ones are filled in.

    `ends` says which calls ended later, and the position of the chunk with their late rows.
    """

    rows: Rows
    is_complete: bool = False
    ends: list[tuple[NDArray[np.uint64], int]] = field(default_factory=list)


class ThreadCalls:
    """The calls of a thread.

    Every call has a row in the chunk during which it was entered: the chunk's own rows. Where the call ended
    later, that row is open, and a late row of a later chunk says how it ended; here the two are one.

    Attributes:
        heads: of the chunks, in the order of their calls, as they were when this was made.
    """

    def __init__(self, reader: Reader, process: int, thread: int) -> None:
        self._reader = reader
        self._process = process
        self._thread = thread
        self.heads: list[ChunkHead] = reader.chunk_heads(process, thread)
        self._late_first = np.array(
            [head.late_first_call if head.late_rows else _NEVER for head in self.heads], np.uint64
        )
        self._with_own = np.array([at for at, head in enumerate(self.heads) if head.first_call], np.intp)
        self._first_calls = np.array([head.first_call for head in self.heads if head.first_call], np.uint64)
        self._own: Cache[int, _Own] = Cache(_OWN_ROWS_KEPT)
        self._late: Cache[int, Rows] = Cache(_LATE_ROWS_KEPT)
        self._values: Cache[int, Values] = Cache(_VALUES_KEPT_BYTES)

    def own_rows(self, at: int) -> Rows:
        """Returns the calls entered during a chunk, ended or still open.

        Args:
            at: the chunk's position in `heads`.

        Raises:
            StoreError: the chunk is damaged.
        """
        return self._completed(at).rows

    def _completed(self, at: int) -> _Own:
        own = self._own.get(at) or self._load(at)[1]
        if not own.is_complete:
            self._complete(at, own)
            own.is_complete = True
        return own

    def captured(self, at: int, calls: NDArray[np.uint64]) -> Iterator[tuple[bytes, bytes]]:
        """Yields what was captured of calls: arguments, and what they returned. b"" is nothing.

        Args:
            at: the position in `heads` of the chunk during which they were entered.
            calls: their numbers, ascending.

        Raises:
            StoreError: the chunk, or one in which they ended, is damaged.
        """
        own = self._completed(at)
        values = self._values_of(at)
        arguments, returned = values.arguments(calls), values.returned(calls)
        for ended, late_at in own.ends:
            places = np.flatnonzero(np.isin(calls, ended, assume_unique=True))
            if len(places):
                late = self._values_of(late_at).returned(calls[places])
                for place, captured in zip(places.tolist(), late, strict=True):
                    returned[place] = captured
        # A call may have returned since its row was read.
        for place in np.flatnonzero(own.rows.status[calls - own.rows.call[0]] == OPEN).tolist():
            returned[place] = b""
        return zip(arguments, returned, strict=True)

    def _values_of(self, at: int) -> Values:
        """The values of a chunk, late rows first."""
        values = self._values.get(at)
        if values is not None:
            return values
        chunk = self._reader.chunk_with_values(self.heads[at])
        if chunk is None:
            raise self._deleted()
        with _decoding():
            values = decode_values(chunk.values(), chunk.columns(), **_numbers(chunk.head))
        return self._values.put(at, values, len(values.captured) + chunk.head.rows * _VALUES_ROW_BYTES)

    def _deleted(self) -> StoreError:
        return StoreError(f"calls of process {self._process} were deleted meanwhile: ask again")

    def late_rows(self, at: int) -> Rows:
        """Returns the calls that were entered before a chunk, and ended during it. Raises as own_rows."""
        late = self._late.get(at)
        return self._load(at)[0] if late is None else late

    def chunks_of(self, calls: NDArray[np.uint64]) -> set[int]:
        """Returns the positions of the chunks during which calls were entered."""
        after = np.unique(np.searchsorted(self._first_calls, calls, side="right"))
        return set(self._with_own[after[after > 0] - 1].tolist())

    def find(self, call: int) -> tuple[Rows, int]:
        """Returns a call by its number: some rows, and which of them it is.

        Raises:
            StoreError: it is not there.
        """
        for at in self.chunks_of(np.array([call], np.uint64)):
            rows = self.own_rows(at)
            if len(rows) and 0 <= (row := call - int(rows.call[0])) < len(rows):
                return rows, row
        raise StoreError(
            f"the database is damaged: no call {call} of thread {self._thread} of process {self._process}"
        )

    def open_calls(self) -> NDArray[np.uint64]:
        """Returns the numbers of the calls that have not ended, outermost first."""
        frames = np.frombuffer(self._reader.stack(self._process, self._thread), FRAME)
        calls: NDArray[np.uint64] = frames["call"].copy()
        return calls

    def _load(self, at: int) -> tuple[Rows, _Own]:
        """The late and the own rows of a chunk; the own ones as they are stored."""
        chunk = next(self._reader.chunks([self.heads[at]]), None)
        if chunk is None:
            raise self._deleted()
        with _decoding():
            rows = decode_chunk(chunk.columns(), **_numbers(chunk.head))
        late_rows = chunk.head.late_rows
        late = Rows(*(getattr(rows, each.name)[:late_rows].copy() for each in fields(Rows)))
        own = _Own(Rows(*(getattr(rows, each.name)[late_rows:] for each in fields(Rows))))
        # Both, for what calls of one chunk are asked next is how those of the next one ended.
        return self._late.put(at, late, late_rows), self._own.put(at, own, len(rows))

    def _complete(self, at: int, own: _Own) -> None:
        """Fills in, in place, how open rows ended.

        Calls are nested: when a call ends, so have all that were entered after it. Hence the first chunk with
        a late row of a call or of one before it has that of the call.
        """
        left = np.flatnonzero(own.rows.status == OPEN)
        after = at + 1
        while len(left):
            candidates = self._late_first[after:] <= own.rows.call[left[-1]]
            step = int(np.argmax(candidates)) if len(candidates) else 0
            if not len(candidates) or not candidates[step]:
                return
            left = _fill(own, left, after + step, self.late_rows(after + step))
            after += step + 1


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except ProtocolError as error:
        raise StoreError(f"the database is damaged: {error.message}") from error


def _numbers(head: ChunkHead) -> dict[str, int]:
    """What else than its bytes it takes to decode a chunk."""
    return {
        "rows": head.rows,
        "late_rows": head.late_rows,
        "first_call": head.first_call,
        "base_call": head.base_call,
    }


def _fill(own: _Own, open_rows: NDArray[np.intp], late_at: int, late: Rows) -> NDArray[np.intp]:
    """Fills in what a chunk's late rows say of open ones; returns those of which they say nothing."""
    if not len(late):
        return open_rows
    rows = own.rows
    calls = rows.call[open_rows]
    at = np.minimum(np.searchsorted(late.call, calls), len(late) - 1)
    found = late.call[at] == calls
    to, source = open_rows[found], at[found]
    rows.duration_ticks[to] = late.duration_ticks[source]
    rows.self_ticks[to] = late.self_ticks[source]
    rows.status[to] = late.status[source]
    own.ends.append((rows.call[to], late_at))
    left: NDArray[np.intp] = open_rows[~found]
    return left
