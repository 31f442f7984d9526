"""Which calls are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.core import Rows
from calltrace_collector.errors import NotFoundError
from calltrace_collector.model.clock import Clock
from calltrace_collector.model.process import ClockReading
from calltrace_collector.query.names import Names
from calltrace_collector.store.chunk_filter import ChunkFilter
from calltrace_collector.symbols.globs import glob_matcher

_Mask = NDArray[np.bool_]
_LATEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What a call has to be; None: whatever.

    Attributes:
        function: a glob that a name of its function matches.
        min_duration_ns: it took at least this long. A call that has not ended counts with the time it has
            been open.
        since_ns, until_ns: it was running at some time between these, both included.
        max_depth: at most so many calls are around it.
    """

    function: str | None = None
    min_duration_ns: int | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    max_depth: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether every call passes."""
        return self == CallFilter()


class Matcher:
    """A filter made ready for the calls of one process.

    Attributes:
        functions: numbers of the functions that match; None: all.
    """

    def __init__(
        self, wanted: CallFilter, names: Names, clock: Clock, readings: list[ClockReading], process: int
    ) -> None:
        """Raises NotFoundError when no function matches, UsageError when the glob makes no sense."""
        self.wanted = wanted
        self._names = names
        self._clock = clock
        self.functions: frozenset[int] | None = None
        if wanted.function is not None:
            self.functions = names.matching(glob_matcher(wanted.function))
            if not self.functions:
                raise NotFoundError(
                    f"{wanted.function} matches none of the {len(names.functions)} functions of process "
                    f"{process}: calltrace report --process {process} lists them"
                )
        self._wanted_sites = np.zeros(0, np.bool_)
        self._min_ticks = min(fewest_ticks(clock, readings, wanted.min_duration_ns or 0), _LATEST)
        self._since_ticks = self._until_ticks = None
        if wanted.since_ns is not None:
            self._since_ticks = min(clock.ticks_at(wanted.since_ns), _LATEST)
        if wanted.until_ns is not None:
            self._until_ticks = min(clock.ticks_at(wanted.until_ns + 1) - 1, _LATEST)

    def chunk_filter(self) -> ChunkFilter:
        """Returns which chunks may hold a completed call that passes."""
        return ChunkFilter(
            functions=self.functions,
            min_ticks=self._min_ticks,
            since_ticks=self._since_ticks,
            until_ticks=self._until_ticks,
        )

    def mask(self, rows: Rows, end_ticks: NDArray[np.uint64]) -> _Mask:
        """Tells which calls pass.

        Args:
            rows: calls.
            end_ticks: when each of them ended or, if it has not, until when it is known to have been open.
        """
        passed = np.ones(len(rows), np.bool_)
        if self.functions is not None:
            passed &= self._site_mask(rows.site)
        if self.wanted.max_depth is not None:
            passed &= rows.depth <= self.wanted.max_depth
        if self._since_ticks is not None:
            passed &= end_ticks >= self._since_ticks
        if self._until_ticks is not None:
            passed &= rows.start_ticks.view(np.int64) <= self._until_ticks
        if self.wanted.min_duration_ns:
            passed &= end_ticks - rows.start_ticks >= self._min_ticks
            self._refine(passed, rows, end_ticks)
        return passed

    def _site_mask(self, sites: NDArray[np.uint32]) -> _Mask:
        self._names.cover(sites)
        if len(self._wanted_sites) < len(self._names.sites):
            functions = np.fromiter(self.functions or (), np.int64)
            self._wanted_sites = np.isin(self._names.function_of_site, functions)
        return self._wanted_sites[sites]

    def _refine(self, passed: _Mask, rows: Rows, end_ticks: NDArray[np.uint64]) -> None:
        """The same in nanoseconds, for ticks are not all equally long."""
        some = np.flatnonzero(passed)
        lasted = self._clock.unix_ns(end_ticks[some]) - self._clock.unix_ns(rows.start_ticks[some])
        passed[some[lasted < (self.wanted.min_duration_ns or 0)]] = False


def fewest_ticks(clock: Clock, readings: list[ClockReading], duration_ns: int) -> int:
    """Returns a number of ticks that every call of at least this duration lasted.

    Ticks are not all equally long: a laptop's counter may go on while CLOCK_MONOTONIC sleeps.
    """
    ticks = sorted(reading.ticks for reading in readings)
    fewest = clock.ticks_in(duration_ns)
    for start, end in pairwise(ticks):
        if end > start:
            length_ns = clock.unix_ns(end) - clock.unix_ns(start)
            # One tick and one nanosecond off either way, for both are rounded down.
            fewest = min(fewest, (duration_ns - 1) * (end - start) // (length_ns + 1) - 1)
    return max(0, fewest)
