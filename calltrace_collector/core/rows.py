"""The calls of a chunk, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calltrace_collector.core.native import Bytes, check, ffi, lib, pointer

__all__ = ["CHUNK_ROWS", "Rows", "decode_chunk", "decode_rows"]

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
    return decode_rows(columns, rows, late_rows, first_call, base_call, ffi.NULL)


def decode_rows(
    columns: Bytes, rows: int, late_rows: int, first_call: int, base_call: int, events: Any
) -> Rows:
    """Does what decode_chunk does; `events` is a struct ct_row_events * to fill, or NULL."""
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
        setattr(out, name, pointer(kind, getattr(decoded, name)))
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
