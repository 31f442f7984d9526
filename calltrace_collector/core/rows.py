"""The calls of a chunk as columns, and what was captured of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calltrace_collector.core.native import Bytes, check, ffi, lib

__all__ = ["CHUNK_ROWS", "Rows", "Values", "decode_chunk", "decode_values"]

CHUNK_ROWS: int = lib.CT_CHUNK_ROWS
"""The most rows that a chunk has."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Calls of one thread, ascending by call number; all arrays are equally long.

    Attributes:
        call: number within the thread, counted from 1 in order of entry.
        parent: number of the calling call; 0 for an outermost call.
        site: number of the function and call site within the process.
        depth: number of open calls around it; 0 for an outermost call.
        start_ticks: when it was entered, in the process's clock ticks.
        duration_ticks: from entry to end; 0 for an open call.
        self_ticks: the duration less that of its callees; 0 for an open call.
        status: how it ended, CT_RETURNED and so on.
    """

    call: npt.NDArray[np.uint64]
    parent: npt.NDArray[np.uint64]
    site: npt.NDArray[np.uint32]
    depth: npt.NDArray[np.uint32]
    start_ticks: npt.NDArray[np.uint64]
    duration_ticks: npt.NDArray[np.uint64]
    self_ticks: npt.NDArray[np.uint64]
    status: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.call)


def decode_chunk(columns: Bytes, *, rows: int, late_rows: int, first_call: int, base_call: int) -> Rows:
    """Decodes a chunk's columns.

    Args:
        columns: the bytes of Chunk.columns, uncompressed. They are not trusted.
        rows: these and the others are the chunk's attributes of the same names.
        late_rows: see `rows`.
        first_call: see `rows`.
        base_call: see `rows`.

    Raises:
        ProtocolError: the columns are malformed, or not those of such a chunk.
    """
    return _decode(columns, rows, late_rows, first_call, base_call, ffi.NULL)


@dataclass(frozen=True, slots=True)
class Values:
    """What was captured of the calls of a chunk; all arrays are as long as its rows.

    Attributes:
        call: the rows' calls, ascending.
        captured: the bytes in which all values lie.
        arguments_start: where in them the values captured at a row's entry begin.
        arguments_size: how many bytes they are; 0: none, or it was entered during an earlier chunk.
        returned_start: where those captured at its end begin.
        returned_size: how many bytes they are; 0: none, or it has not ended during this chunk.
    """

    call: npt.NDArray[np.uint64]
    captured: bytes
    arguments_start: npt.NDArray[np.uint32]
    arguments_size: npt.NDArray[np.uint32]
    returned_start: npt.NDArray[np.uint32]
    returned_size: npt.NDArray[np.uint32]

    def arguments(self, calls: npt.NDArray[np.uint64]) -> list[bytes]:
        """Returns what was captured when calls were entered: EventBatch.values of these events."""
        return self._of(calls, self.arguments_start, self.arguments_size)

    def returned(self, calls: npt.NDArray[np.uint64]) -> list[bytes]:
        """Returns what was captured when calls returned, in the same way."""
        return self._of(calls, self.returned_start, self.returned_size)

    def _of(
        self, calls: npt.NDArray[np.uint64], starts: npt.NDArray[np.uint32], sizes: npt.NDArray[np.uint32]
    ) -> list[bytes]:
        rows = np.minimum(np.searchsorted(self.call, calls), len(self.call) - 1)
        is_there = self.call[rows] == calls
        its_starts, its_sizes = starts[rows], np.where(is_there, sizes[rows], 0)
        places = zip(its_starts.tolist(), (its_starts + its_sizes).tolist(), strict=True)
        return [self.captured[start:end] for start, end in places]


def decode_values(
    captured: bytes, columns: Bytes, *, rows: int, late_rows: int, first_call: int, base_call: int
) -> Values:
    """Decodes a chunk's values.

    Args:
        captured: the bytes of Chunk.values, uncompressed. They are not trusted.
        columns: this and the others are those of decode_chunk.
        rows: see `columns`.
        late_rows: see `columns`.
        first_call: see `columns`.
        base_call: see `columns`.

    Raises:
        ProtocolError: the columns or values are malformed, or not those of such a chunk.
    """
    size = min(rows, CHUNK_ROWS)
    entry, end = np.empty(size, np.uint32), np.empty(size, np.uint32)
    events = ffi.new("struct ct_row_events *")
    events.entry, events.end = _pointer("uint32_t *", entry), _pointer("uint32_t *", end)
    call = _decode(columns, rows, late_rows, first_call, base_call, events).call

    # The last place is that of CT_NO_EVENT: without values.
    starts, sizes = np.zeros(2 * size + 1, np.uint32), np.zeros(2 * size + 1, np.uint32)
    outs = (_pointer("uint32_t *", starts), _pointer("uint32_t *", sizes))
    status = lib.ct_values_decode(ffi.from_buffer(captured), len(captured), 2 * size, *outs)
    check(status, f"values of a chunk of {rows} calls")
    entry[entry == lib.CT_NO_EVENT] = end[end == lib.CT_NO_EVENT] = 2 * size
    return Values(call, captured, starts[entry], sizes[entry], starts[end], sizes[end])


def _decode(columns: Bytes, rows: int, late_rows: int, first_call: int, base_call: int, events: Any) -> Rows:
    chunk = ffi.new("struct ct_chunk *")
    chunk.rows, chunk.late_rows = rows, late_rows
    chunk.first_call, chunk.base_call = first_call, base_call
    size = min(rows, CHUNK_ROWS)
    decoded = Rows(
        call=np.empty(size, np.uint64),
        parent=np.empty(size, np.uint64),
        site=np.empty(size, np.uint32),
        depth=np.empty(size, np.uint32),
        start_ticks=np.empty(size, np.uint64),
        duration_ticks=np.empty(size, np.uint64),
        self_ticks=np.empty(size, np.uint64),
        status=np.empty(size, np.uint8),
    )
    out = ffi.new("struct ct_rows *")
    for name, kind in _COLUMNS:
        setattr(out, name, _pointer(kind, getattr(decoded, name)))
    check(
        lib.ct_chunk_decode(chunk, ffi.from_buffer(columns), len(columns), out, events),
        f"chunk of {rows} calls",
    )
    return decoded


_COLUMNS = (
    ("call", "uint64_t *"),
    ("parent", "uint64_t *"),
    ("site", "uint32_t *"),
    ("depth", "uint32_t *"),
    ("start_ticks", "uint64_t *"),
    ("duration_ticks", "uint64_t *"),
    ("self_ticks", "uint64_t *"),
    ("status", "uint8_t *"),
)


def _pointer(kind: str, array: npt.NDArray[Any]) -> Any:
    # Valid for as long as the array is.
    return ffi.cast(kind, ffi.from_buffer(array))
