"""Which of many intervals a number is in, where they may overlap."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray


class IntervalMap:
    """Half-open intervals, ranked: where several overlap, the one of the lowest rank is found.

    Args:
        starts: shape (n,).
        ends: shape (n,), exclusive; an interval that ends where it starts, or before, is empty.
        ranks: shape (n,), all different.
    """

    def __init__(
        self, starts: NDArray[np.uint64], ends: NDArray[np.uint64], ranks: NDArray[np.int64]
    ) -> None:
        owners = np.flatnonzero(ends > starts)
        # By start; of equal intervals the one of the lowest rank is first, and the others are dropped.
        owners = owners[np.lexsort((ranks[owners], ends[owners], starts[owners]))]
        if len(owners) > 1:
            same = (starts[owners[1:]] == starts[owners[:-1]]) & (ends[owners[1:]] == ends[owners[:-1]])
            owners = owners[np.concatenate(([True], ~same))]
        self._starts, self._ends, self._owners = starts[owners], ends[owners], owners
        if (self._ends[:-1] > self._starts[1:]).any():
            self._flatten(ranks[owners])

    def find(self, points: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Returns, for each point, the number of the interval it is in, or -1. Shape (len(points),)."""
        if not len(self._starts):
            return np.full(len(points), -1, dtype=np.int64)
        at = np.searchsorted(self._starts, points, side="right") - 1
        inside = (at >= 0) & (points < self._ends[at])
        return np.where(inside, self._owners[at], -1).astype(np.int64)

    def _flatten(self, ranks: NDArray[np.int64]) -> None:
        """Cuts overlapping intervals into disjoint pieces: a sweep, with a heap of what is open."""
        pieces: list[tuple[int, int, int]] = []
        open_intervals: list[tuple[int, int, int]] = []
        position = 0
        intervals = zip(
            self._starts.tolist(), self._ends.tolist(), ranks.tolist(), self._owners.tolist(), strict=True
        )
        for start, end, rank, owner in intervals:
            _close(open_intervals, pieces, position, start)
            position = start
            heapq.heappush(open_intervals, (rank, end, owner))
        _close(open_intervals, pieces, position, 1 << 64)
        self._starts = np.array([piece[0] for piece in pieces], dtype=np.uint64)
        self._ends = np.array([piece[1] for piece in pieces], dtype=np.uint64)
        self._owners = np.array([piece[2] for piece in pieces], dtype=np.int64)


def within(ranges: NDArray[np.uint64], points: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tells which points are in one of the ranges: shape (n, 2), sorted by start, disjoint."""
    if not len(ranges):
        return np.zeros(len(points), dtype=np.bool_)
    at = np.searchsorted(ranges[:, 0], points, side="right") - 1
    inside: NDArray[np.bool_] = (at >= 0) & (points < ranges[at, 1])
    return inside


def _close(
    open_intervals: list[tuple[int, int, int]],
    pieces: list[tuple[int, int, int]],
    position: int,
    limit: int,
) -> None:
    """Appends the pieces between `position` and `limit`, and drops what has ended."""
    while open_intervals and position < limit:
        _, end, owner = open_intervals[0]
        if end <= position:
            heapq.heappop(open_intervals)
            continue
        stop = min(end, limit)
        pieces.append((position, stop, owner))
        position = stop
