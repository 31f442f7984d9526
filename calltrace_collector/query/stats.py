"""What each function of a process cost: exact sums over all calls, from the profiles of its threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.core import FUNCTION, Profile, decode_profile
from calltrace_collector.errors import ProtocolError, StoreError
from calltrace_collector.model.clock import Clock
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import FunctionRecord

_U64 = NDArray[np.uint64]
_NEVER = np.iinfo(np.uint64).max
# Of the histograms (core/histogram.h): below 32 ticks a bucket is one tick, then 1/16 of an octave.
_BUCKET_BITS = 5


@dataclass(frozen=True, slots=True)
class FunctionStats:
    """Sums over the calls of a function on all threads.

    Attributes:
        function: one of the records that stand for it; several do when its module was loaded again.
        calls: entered.
        completed: of these, ended.
        total_ns: time in completed calls, callees included; a call beneath another of the same function is
            not counted again.
        self_ns: the same without the time in callees.
        min_ns, max_ns: shortest and longest completed call, recursive ones included; None: none has ended.
        p50_ns, p99_ns: half, and 99 of 100, of the completed calls took at most this long; within 4%.
    """

    function: FunctionRecord
    calls: int
    completed: int
    total_ns: int
    self_ns: int
    min_ns: int | None
    max_ns: int | None
    p50_ns: int | None
    p99_ns: int | None


def function_stats(reader: Reader, process: int) -> list[FunctionStats]:
    """Returns the sums of every function that a process entered, in the order of their numbers.

    Raises:
        StoreError: the database cannot be read, or holds what it should not.
    """
    # Profiles first: whatever they count then has its function.
    profiles = [_decode(profile) for profile in reader.profiles(process).values()]
    records = reader.functions(process)
    clock = reader.clock(process)
    groups, members = _groups(records)
    sums = _Sums(len(members))
    for profile in profiles:
        numbers = profile.functions["function"]
        if len(numbers) and int(numbers.max()) >= len(groups):
            raise StoreError(f"the database is damaged: process {process} has calls of a function unknown")
        sums.add(profile, groups[numbers])
    return _stats([records[first] for first in members], sums, clock)


def _decode(profile: bytes) -> Profile:
    try:
        return decode_profile(profile)
    except ProtocolError as error:
        raise StoreError(f"the database is damaged: {error.message}") from error


def _groups(records: Sequence[FunctionRecord]) -> tuple[NDArray[np.intp], list[int]]:
    """Which numbers are the same function: the group of each number, and each group's first record.

    A module that is unloaded and loaded again has its functions under new numbers. If it was built anew in
    between, another one may be at the same place of the same file.
    """
    groups = np.zeros(max((record.number for record in records), default=-1) + 1, np.intp)
    members: list[int] = []
    group_of: dict[tuple[object, ...], int] = {}
    for position, record in enumerate(records):
        key = (record.module, record.offset, record.name) if record.module is not None else (record.number,)
        group = group_of.setdefault(key, len(members))
        if group == len(members):
            members.append(position)
        groups[record.number] = group
    return groups, members


class _Sums:
    """Sums by group, in ticks, and the histograms' buckets with the group of each."""

    def __init__(self, groups: int) -> None:
        self.calls = np.zeros(groups, np.uint64)
        self.completed = np.zeros(groups, np.uint64)
        self.total = np.zeros(groups, np.uint64)
        self.self = np.zeros(groups, np.uint64)
        self.min = np.full(groups, _NEVER)
        self.max = np.zeros(groups, np.uint64)
        self._buckets: list[tuple[NDArray[np.intp], _U64, _U64]] = []

    def add(self, profile: Profile, groups: NDArray[np.intp]) -> None:
        """Adds a thread's sums; `groups` has the group of each of its functions."""
        functions = profile.functions
        assert functions.dtype == FUNCTION  # noqa: S101 decode_profile's promise
        np.add.at(self.calls, groups, functions["calls"])
        np.add.at(self.completed, groups, functions["completed"])
        np.add.at(self.total, groups, functions["total_ticks"])
        np.add.at(self.self, groups, functions["self_ticks"])
        ended = functions["completed"] > 0
        np.minimum.at(self.min, groups[ended], functions["min_ticks"][ended])
        np.maximum.at(self.max, groups[ended], functions["max_ticks"][ended])
        of_bucket = np.repeat(groups, functions["buckets"])
        self._buckets.append((of_bucket, profile.bucket_low_ticks, profile.bucket_calls))

    def percentile(self, share: float) -> _U64:
        """The duration that `share` of a group's completed calls do not exceed; 0 where there are none.

        It is the middle of the bucket in which that call is (nearest rank), or the shortest or longest
        duration where the bucket reaches beyond these.
        """
        found = np.zeros(len(self.calls), np.uint64)
        if not self._buckets:
            return found
        group, low, calls = (np.concatenate(arrays) for arrays in zip(*self._buckets, strict=True))
        order = np.lexsort((low, group))
        group, low, calls = group[order], low[order], calls[order]
        upto = np.cumsum(calls)
        in_group = np.zeros(len(self.calls) + 1, np.uint64)
        np.add.at(in_group, group + 1, calls)
        before = np.cumsum(in_group)
        counted = in_group[1:]
        some = counted > 0
        rank = np.clip(np.ceil(share * counted).astype(np.uint64), 1, np.maximum(counted, 1))
        at = np.searchsorted(upto, before[:-1][some] + rank[some])
        found[some] = np.clip(_middle(low[at]), self.min[some], self.max[some])
        return found


def _middle(low: _U64) -> _U64:
    """The middle of the histogram bucket that begins here."""
    # frexp: low < 2**exponent; it rounds large numbers up, but those that begin a bucket have few bits.
    _, exponent = np.frexp(low.astype(np.float64))
    shift = np.maximum(exponent - _BUCKET_BITS, 0).astype(np.uint64)
    middle: _U64 = low + ((np.uint64(1) << shift) - np.uint64(1)) // np.uint64(2)
    return middle


def _stats(records: Sequence[FunctionRecord], sums: _Sums, clock: Clock) -> list[FunctionStats]:
    columns = (sums.total, sums.self, sums.min, sums.max, sums.percentile(0.5), sums.percentile(0.99))
    ended = sums.completed > 0
    in_ns = [clock.duration_ns(np.where(ended, column, np.uint64(0))).tolist() for column in columns]
    found = []
    rows = zip(records, sums.calls.tolist(), sums.completed.tolist(), *in_ns, strict=True)
    for record, calls, completed, total_ns, self_ns, *spread_ns in rows:
        if calls:
            spread = spread_ns if completed else [None] * len(spread_ns)
            found.append(FunctionStats(record, calls, completed, total_ns, self_ns, *spread))
    return found
