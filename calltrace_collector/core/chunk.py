"""Calls of a thread as the core exports them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calltrace_collector.core.native import ffi

__all__ = ["Chunk", "chunk_of"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Calls of a thread, encoded. See struct ct_chunk in core.cdef.h.

    Attributes:
        columns: the calls, encoded but not compressed; see decode_chunk.
        function: numbers of the functions among the completed rows,
        function_calls: and how many rows each has,
        function_max_ticks: and the longest duration among these.
        values: what was captured of the calls, encoded but not compressed; see decode_values. b"": nothing.
    """

    thread: int
    number: int
    rows: int
    late_rows: int
    open_rows: int
    is_final: bool
    min_depth: int
    max_depth: int
    first_call: int
    late_first_call: int
    late_last_call: int
    base_call: int
    start_ticks: int
    end_ticks: int
    columns: bytes
    function: npt.NDArray[np.uint32]
    function_calls: npt.NDArray[np.uint32]
    function_max_ticks: npt.NDArray[np.uint64]
    values: bytes


def chunk_of(chunk: Any) -> Chunk:
    """Copies a struct ct_chunk, which is valid until the chunk is dropped."""
    functions = chunk.functions
    return Chunk(
        thread=chunk.thread,
        number=chunk.number,
        rows=chunk.rows,
        late_rows=chunk.late_rows,
        open_rows=chunk.open_rows,
        is_final=bool(chunk.is_final),
        min_depth=chunk.min_depth,
        max_depth=chunk.max_depth,
        first_call=chunk.first_call,
        late_first_call=chunk.late_first_call,
        late_last_call=chunk.late_last_call,
        base_call=chunk.base_call,
        start_ticks=chunk.start_ticks,
        end_ticks=chunk.end_ticks,
        columns=bytes(ffi.buffer(chunk.columns, chunk.columns_size)),
        function=_copy(chunk.function, functions, np.uint32),
        function_calls=_copy(chunk.function_calls, functions, np.uint32),
        function_max_ticks=_copy(chunk.function_max_ticks, functions, np.uint64),
        values=bytes(ffi.buffer(chunk.values, chunk.values_size)),
    )


def _copy(start: Any, count: int, kind: Any) -> npt.NDArray[Any]:
    return np.frombuffer(ffi.buffer(start, count * np.dtype(kind).itemsize), kind).copy()
