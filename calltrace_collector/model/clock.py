"""Turns a process's clock ticks into nanoseconds.

Durations follow CLOCK_MONOTONIC: between two readings of the clocks the ticks are taken to have been of one
length (beyond the first and the last reading: as beside them), so that a clock that NTP makes a little faster
or slower is followed. Times of day are CLOCK_REALTIME at the process's first reading plus the monotonic time
since then: somebody who sets the wall clock while a process runs does not tear its trace apart.

All results are exact, rounded down: ticks of a machine that has been up for days, as float64, would lose
nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.model.process import ClockReading

Ticks = NDArray[np.uint64]
Nanoseconds = NDArray[np.int64]

# A reading may be off by the time of an interrupt between its clocks, some microseconds: over a second this
# is in the parts per million.
_SHORTEST_SEGMENT_NS = 1_000_000_000
_LIMIT = 1 << 63


class Clock:
    """The clock of one process.

    Attributes:
        rate_is_known: False when one reading is all there is, of a clock whose ticks are not nanoseconds; a
            tick then counts as one nanosecond, and who shows durations should say so.
    """

    def __init__(
        self,
        readings: Iterable[ClockReading],
        *,
        ticks_are_ns: bool,
        rate_readings: Sequence[ClockReading] = (),
    ) -> None:
        """Fits the clock.

        Args:
            readings: of this process, in any order. Those by which a clock went backwards are left out.
            ticks_are_ns: the ticks are CLOCK_MONOTONIC itself.
            rate_readings: two readings of the same counter by other processes, which give its rate where
                `readings` is only one.
        """
        knots = _knots(readings)
        start = knots[0] if knots else ClockReading(0, 0, 0)
        self._unix_ns_at_monotonic_0 = start.realtime_ns - start.monotonic_ns
        rates = _rates(knots)
        self.rate_is_known = True
        if ticks_are_ns:
            knots, rates = [ClockReading(0, 0, 0)], [(1, 1)]
        elif not rates:
            rates = _rates(_knots(rate_readings))[:1]
            self.rate_is_known = bool(rates)
            knots, rates = [start], rates or [(1, 1)]
        self._mean_rate = _mean_rate(knots) or rates[0]
        self._knots = knots[: len(rates)]
        self._rates = rates
        self._knot_ticks = np.array([knot.ticks for knot in self._knots], np.uint64)
        self._knot_ns = np.array([knot.monotonic_ns for knot in self._knots], np.int64)
        self._rate_ns = np.array([ns for ns, _ in rates], np.int64)
        self._rate_ticks = np.array([ticks for _, ticks in rates], np.int64)

    @overload
    def unix_ns(self, ticks: int) -> int: ...
    @overload
    def unix_ns(self, ticks: Ticks) -> Nanoseconds: ...
    def unix_ns(self, ticks: int | Ticks) -> int | Nanoseconds:
        """Returns nanoseconds since the epoch for a moment in ticks, or an array of them; never decreasing.

        The duration of a call is the difference of its two moments, so that callees lie within their callers.
        """
        if isinstance(ticks, int):
            at = self._segment(ticks)
            ns, per = self._rates[at]
            knot = self._knots[at]
            return self._unix_ns_at_monotonic_0 + knot.monotonic_ns + (ticks - knot.ticks) * ns // per
        # One segment is the rule, and needs no search.
        at_each: slice | NDArray[np.intp] = slice(1)
        if len(self._rates) > 1:
            at_each = np.maximum(np.searchsorted(self._knot_ticks, ticks, side="right") - 1, 0)
        since = (ticks - self._knot_ticks[at_each]).view(np.int64)
        distance = _scale(since, self._rate_ns[at_each], self._rate_ticks[at_each])
        return distance + (self._knot_ns[at_each] + self._unix_ns_at_monotonic_0)

    @overload
    def duration_ns(self, ticks: int) -> int: ...
    @overload
    def duration_ns(self, ticks: Ticks) -> Nanoseconds: ...
    def duration_ns(self, ticks: int | Ticks) -> int | Nanoseconds:
        """Returns nanoseconds for a sum of ticks from here and there, at the mean rate over all readings."""
        ns, per = self._mean_rate
        if isinstance(ticks, int):
            return ticks * ns // per
        return _scale(ticks.view(np.int64), np.array([ns]), np.array([per]))

    def ticks_at(self, unix_ns: int) -> int:
        """Returns the smallest moment in ticks, at least 0, whose unix_ns is this one or later."""
        monotonic_ns = unix_ns - self._unix_ns_at_monotonic_0
        at = max(0, sum(knot.monotonic_ns <= monotonic_ns for knot in self._knots) - 1)
        ns, per = self._rates[at]
        knot = self._knots[at]
        return max(0, knot.ticks - ((knot.monotonic_ns - monotonic_ns) * per // ns))

    def ticks_in(self, duration_ns: int) -> int:
        """Returns the smallest number of ticks that last at least this long, by duration_ns."""
        ns, per = self._mean_rate
        return -(-duration_ns * per // ns)

    def _segment(self, ticks: int) -> int:
        return max(0, sum(knot.ticks <= ticks for knot in self._knots) - 1)


def _knots(readings: Iterable[ClockReading]) -> list[ClockReading]:
    """The readings between which ticks are of one length: far enough apart, both clocks going forward."""
    usable = sorted(
        (reading for reading in readings if max(reading.ticks, reading.monotonic_ns) < _LIMIT),
        key=lambda reading: reading.ticks,
    )
    knots = usable[:1]
    last = None
    for reading in usable[1:]:
        newest = last or knots[-1]
        if reading.ticks == newest.ticks or reading.monotonic_ns <= newest.monotonic_ns:
            continue
        last = reading
        if reading.monotonic_ns - knots[-1].monotonic_ns >= _SHORTEST_SEGMENT_NS:
            knots.append(reading)
            last = None
    if last is not None:
        # The last reading ends the last segment, which so is a little longer or, if the only one, shorter.
        knots[max(1, len(knots) - 1) :] = [last]
    return knots


def _rates(knots: Sequence[ClockReading]) -> list[tuple[int, int]]:
    """Nanoseconds per ticks of each segment, as a fraction."""
    return [
        (end.monotonic_ns - start.monotonic_ns, end.ticks - start.ticks) for start, end in pairwise(knots)
    ]


def _mean_rate(knots: Sequence[ClockReading]) -> tuple[int, int] | None:
    return _rates([knots[0], knots[-1]])[0] if len(knots) > 1 else None


def _scale(ticks: NDArray[np.int64], ns: NDArray[np.int64], per: NDArray[np.int64]) -> Nanoseconds:
    """Returns ticks * ns // per, exactly, though the product has more than 64 bits.

    The estimate in float64 is off by little, and what it misses, ticks * ns - estimate * per, is a small
    number: it is right although both products wrap around.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        estimate: Nanoseconds = np.floor(ticks * (ns / per)).astype(np.int64)
        missing: Nanoseconds = ticks * ns - estimate * per
        estimate += np.floor_divide(missing, per)
        return estimate
