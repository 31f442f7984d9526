"""Arguments and return values of calls, decoded when they are asked for."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

from calltrace_collector.capture.values import Value, decode
from calltrace_collector.model.capture import Layout
from calltrace_collector.query.names import Names
from calltrace_collector.query.thread_calls import ThreadCalls
from calltrace_collector.store.reader import Reader

__all__ = ["BlockValues", "Captured", "Value"]

_LAYOUT_BYTES = 4


class Captured:
    """How to read the values that were captured of a process's calls.

    Args:
        reader: the database.
        process: the store's id of the process.
        names: the process's functions, for pointers to them.
    """

    def __init__(self, reader: Reader, process: int, names: Names) -> None:
        self._reader = reader
        self._names = names
        self._plans = reader.plans(process)
        self._first_layouts = [plan.first_layout for plan in self._plans]
        self._layouts: dict[int, tuple[Layout, ...]] = {}

    @property
    def has_plans(self) -> bool:
        """Whether values may have been captured at all."""
        return bool(self._plans)

    def decode(self, captured: bytes) -> tuple[Value, ...]:
        """Decodes what was captured at one event; (): nothing, or nobody knows any more what it means.

        Raises:
            StoreError: the layouts cannot be read.
        """
        if len(captured) < _LAYOUT_BYTES:
            return ()
        layout = self._layout(int.from_bytes(captured[:_LAYOUT_BYTES], "little"))
        return () if layout is None else decode(layout, captured[_LAYOUT_BYTES:], self._symbol)

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

    def _symbol(self, address: int) -> str | None:
        return self._functions.get(address)

    @cached_property
    def _functions(self) -> dict[int, str]:
        """The functions that the process entered, by address."""
        return {record.address: record.name for record in self._names.functions.values() if record.is_named}


class BlockValues:
    """The values of the calls that were entered during a chunk, by the calls' numbers.

    Args:
        captured: how to read them.
        calls: the thread's calls.
        chunk: the chunk's position in `calls.heads`.
    """

    def __init__(self, captured: Captured, calls: ThreadCalls, chunk: int) -> None:
        self._captured = captured
        self._calls = calls
        self._chunk = chunk

    def arguments(self, call: int) -> tuple[Value, ...]:
        """Returns the arguments of a call; () where none were captured.

        Raises:
            StoreError: the database cannot be read, or holds what it should not.
        """
        return self._captured.decode(self._calls.arguments(self._chunk, call))

    def returned(self, call: int) -> Value | None:
        """Returns what a call returned; None where nothing was captured of it. Raises as arguments."""
        values = self._captured.decode(self._calls.returned(self._chunk, call))
        return values[0] if values else None
