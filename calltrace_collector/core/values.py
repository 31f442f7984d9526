"""What was captured of the calls of a chunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calltrace_collector.core.native import Bytes, check, ffi, lib, pointer
from calltrace_collector.core.rows import CHUNK_ROWS, decode_rows

__all__ = ["Values", "decode_values"]


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
    events.entry, events.end = pointer("uint32_t *", entry), pointer("uint32_t *", end)
    call = decode_rows(columns, rows, late_rows, first_call, base_call, events).call

    # The last place is that of CT_NO_EVENT: without values.
    starts, sizes = np.zeros(2 * size + 1, np.uint32), np.zeros(2 * size + 1, np.uint32)
    outs = (pointer("uint32_t *", starts), pointer("uint32_t *", sizes))
    status = lib.ct_values_decode(ffi.from_buffer(captured), len(captured), 2 * size, *outs)
    check(status, f"values of a chunk of {rows} calls")
    entry[entry == lib.CT_NO_EVENT] = end[end == lib.CT_NO_EVENT] = 2 * size
    return Values(call, captured, starts[entry], sizes[entry], starts[end], sizes[end])
