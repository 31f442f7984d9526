"""Arguments and return values of calls, decoded when they are asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.capture.values.decode import Value, decode
from calltrace_collector.model.capture import Layout
from calltrace_collector.query.names import Names
from calltrace_collector.query.pointers import FunctionPointers
from calltrace_collector.query.thread_calls import ThreadCalls
from calltrace_collector.store.reader import Reader

__all__ = ["NOTHING", "BlockValues", "CallValues", "Captured", "Value"]

CallValues = tuple[tuple[Value, ...], Value | None]
"""A call's arguments, () where none were captured, and what it returned, None likewise."""

NOTHING: CallValues = ((), None)

_LAYOUT_BYTES = 4
_DECODED_KEPT = 4096


class Captured:
    """How to read the values that were captured of a process's calls.

    Args:
        reader: the database.
        process: the store's id of the process.
        names: the process's functions, for pointers to them.
    """

    def __init__(self, reader: Reader, process: int, names: Names) -> None:
        self._reader = reader
        self._process = process
        self._pointers = FunctionPointers(reader, process, names)
        self._layouts: dict[int, tuple[Layout, ...]] = {}
        # Programs often pass what they passed before.
        self.decode = lru_cache(_DECODED_KEPT)(self._decode)
        self.refresh()

    def refresh(self) -> None:
        """Takes note of new plans: a process that runs may map modules whose values are captured.

        Whatever was read of its calls before this has its plans after it. Raises StoreError.
        """
        self._plans = self._reader.plans(self._process)
        self._first_layouts = [plan.first_layout for plan in self._plans]

    @property
    def has_plans(self) -> bool:
        """Whether values may have been captured at all."""
        return bool(self._plans)

    def _decode(self, captured: bytes) -> tuple[Value, ...]:
        """Decodes what was captured at one event; (): nothing, or nobody knows what it means.

        Raises:
            StoreError: the layouts cannot be read.
        """
        if len(captured) < _LAYOUT_BYTES:
            return ()
        layout = self._layout(int.from_bytes(captured[:_LAYOUT_BYTES], "little"))
        return () if layout is None else decode(layout, captured[_LAYOUT_BYTES:], self._pointers.name)

    def _layout(self, number: int) -> Layout | None:
        at = bisect_right(self._first_layouts, number) - 1
        if at < 0:
            return None
        plan = self._plans[at]
        if plan.capture_plan not in self._layouts:
            self._layouts[plan.capture_plan] = self._reader.layouts(plan.capture_plan)
        layouts = self._layouts[plan.capture_plan]
        place = number - plan.first_layout
        return layouts[place] if place < len(layouts) else None


class BlockValues:
    """The values of the calls that were entered during a chunk.

    Args:
        captured: how to read them.
        calls: the thread's calls.
        chunk: the chunk's position in `calls.heads`.
    """

    def __init__(self, captured: Captured, calls: ThreadCalls, chunk: int) -> None:
        self._captured = captured
        self._calls = calls
        self._chunk = chunk

    def of(self, calls: NDArray[np.uint64]) -> Iterator[CallValues]:
        """Yields the values of calls.

        Args:
            calls: their numbers, ascending.

        Raises:
            StoreError: the database cannot be read, or holds what it should not.
        """
        decode = self._captured.decode
        for arguments, returned in self._calls.captured(self._chunk, calls):
            yield decode(arguments), next(iter(decode(returned)), None)
