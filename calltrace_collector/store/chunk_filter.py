"""Which chunks a query needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChunkFilter:
    """Which chunks to look into: those that may hold a completed call that fits all that is given.

    A call that is still open is not found this way but on its thread's stack.

    Attributes:
        functions: numbers of functions that the call may be of.
        min_ticks: its shortest duration.
        since_ticks, until_ticks: it was running at some time between these, both included.
        first_call, last_call: it was entered with a number between these, both included. Such calls may also
            be late rows of later chunks: see Reader.late_chunks.
    """

    functions: Collection[int] | None = None
    min_ticks: int = 0
    since_ticks: int | None = None
    until_ticks: int | None = None
    first_call: int | None = None
    last_call: int | None = None
