"""Call trees as a stream of what there is to show, in order of entry; nothing is held but one path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from calltrace_collector.core import Rows
from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import Loss
from calltrace_collector.query.calls import Block, Search
from calltrace_collector.query.captured import CallValues, Value
from calltrace_collector.query.filters import Matcher
from calltrace_collector.query.inherited import inheritance
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.tree_lines import (
    Ancestor,
    AncestorsLeftOut,
    Call,
    Deeper,
    Gap,
    Inherited,
    Rest,
    ThreadStart,
    TreeLine,
)
from calltrace_collector.store.records import ThreadRecord

DROPPED = 4
"""Kind of a loss: Mark.DROPPED of proto/calltrace/v1/events.proto."""

_NEVER = 1 << 64

ANCESTORS_AT_ENDS = 4
"""Of a long chain of callers that lead to a hit, so many are shown at either end."""


def tree(
    recording: Recording,
    threads: list[ThreadRecord],
    matcher: Matcher,
    *,
    limit: int | None = None,
    max_depth: int | None = None,
) -> Iterator[TreeLine]:
    """Yields the trees of threads, one after the other.

    With a filter, the tree is that of the calls that pass it and of their ancestors; threads without any are
    left out.

    Args:
        recording: the process.
        threads: of this process.
        matcher: the filter, made ready for this process.
        limit: how many calls to show, ancestors not counted; None: all. Threads that have few calls leave
            what they do not need to the others.
        max_depth: how many calls may be around a call that is shown; None: any number.

    Raises:
        StoreError: the database cannot be read, or holds what it should not.
    """
    left = limit
    for at, thread in enumerate(threads):
        share = None if left is None else fair_share(left, [other.calls for other in threads[at:]])
        shown = 0
        for line in _ThreadTree(Search(recording, thread, matcher), share, max_depth).lines():
            shown += isinstance(line, Call)
            yield line
        if left is not None:
            left -= shown


def fair_share(limit: int, needs: list[int]) -> int:
    """Returns what the first of several gets when all get the same, but none more than it needs."""
    left, sharing = limit, len(needs)
    for need in sorted(needs):
        if need * sharing > left:
            # The first takes what does not divide evenly.
            return min(needs[0], -(-left // sharing))
        left -= need
        sharing -= 1
    return needs[0]


class _ThreadTree:
    """The tree of one thread.

    Hits are numbered from 0 in order of entry: when the next one shown is not the one after the last one
    shown, those between are too deep. Without a filter the numbers are the calls' own, and chunks that are
    too deep altogether need not be read to be counted.
    """

    def __init__(self, search: Search, limit: int | None, max_depth: int | None) -> None:
        self._search = search
        self._limit = limit
        self._max_depth = max_depth
        self._is_whole = search.matcher.wanted.is_everything
        self._has_begun = False
        self._inherited = inheritance(search.recording, search.thread)
        self._base = len(self._inherited.calls)
        self._all_losses = self._losses()
        self._loss = next(self._all_losses, None)
        self._path: list[int] = []
        self._shown = 0
        self._seen = 0
        self._next = 0
        self._next_depth = 0

    def lines(self) -> Iterator[TreeLine]:
        """Yields what there is to show."""
        blocks = self._search.blocks(max_depth=self._max_depth if self._is_whole else None)
        if self._is_whole:
            yield from self._begin()
        for block in blocks:
            for hit, number, duration_ns, values in self._chosen(block):
                yield from self._begin()
                start_ticks = int(block.rows.start_ticks[hit])
                yield from self._between(number, start_ticks)
                self._base = self._inherited.depth_at(start_ticks)
                yield from self._call(block.rows, hit, duration_ns, *values)
                self._next = number + 1
            if self._shown == self._limit:
                break
        if self._is_whole:
            hits = max(self._search.thread.calls, self._next)
        else:
            hits = self._seen + sum(len(block.hits) for block in blocks)
        yield from self._end(hits - self._next)

    def _begin(self) -> Iterator[TreeLine]:
        if not self._has_begun:
            self._has_begun = True
            yield ThreadStart(self._search.thread)
            for depth, call in enumerate(self._inherited.calls):
                yield Inherited(call, depth)

    def _chosen(self, block: Block) -> Iterator[tuple[int, int, int, CallValues]]:
        """The hits of a block that are shown: positions in it, numbers among all hits, durations, values."""
        rows, hits = block.rows, block.hits
        which = np.arange(len(hits))
        if self._max_depth is not None:
            which = np.flatnonzero(rows.depth[hits] <= self._max_depth)
        if self._limit is not None:
            which = which[: self._limit - self._shown]
        numbers = rows.call[hits[which]].astype(np.int64) - 1 if self._is_whole else which + self._seen
        self._seen += len(hits)
        self._shown += len(which)
        chosen = hits[which]
        clock = self._search.recording.clock
        duration_ns = clock.unix_ns(block.end_ticks[chosen]) - clock.unix_ns(rows.start_ticks[chosen])
        values = block.values_of(chosen)
        return zip(chosen.tolist(), numbers.tolist(), duration_ns.tolist(), values, strict=True)

    def _between(self, number: int, start_ticks: int) -> Iterator[TreeLine]:
        """What stands between the last call shown and the next one, of this number and start."""
        if number > self._next:
            yield Deeper(self._base + self._next_depth, number - self._next)
        yield from self._gaps_before(start_ticks)

    def _call(
        self, rows: Rows, hit: int, duration_ns: int, arguments: tuple[Value, ...], returned: Value | None
    ) -> Iterator[TreeLine]:
        depth = int(rows.depth[hit])
        if not self._is_whole:
            yield from self._ancestors(rows, hit)
        yield Call(
            site=int(rows.site[hit]),
            depth=self._base + depth,
            status=int(rows.status[hit]),
            duration_ns=duration_ns,
            arguments=arguments,
            returned=returned,
        )
        self._next_depth = depth + 1

    def _ancestors(self, rows: Rows, hit: int) -> Iterator[TreeLine]:
        """The callers of a hit that the last one did not have."""
        call, caller = int(rows.call[hit]), int(rows.parent[hit])
        new: list[_Caller] = []
        path, below = self._path, call
        while True:
            # Calls are numbered by entry: whoever is no caller of this hit came after its callers.
            while path and path[-1] > caller:
                path.pop()
            if not caller or (path and path[-1] == caller):
                break
            if caller >= below:
                raise StoreError(f"the database is damaged: call {below} is made by call {caller}")
            rows, at = self._search.calls.find(caller)
            new.append(_Caller(caller, int(rows.site[at]), self._base + int(rows.depth[at])))
            below, caller = caller, int(rows.parent[at])
        new.reverse()
        path.extend(one.call for one in new)
        path.append(call)
        for shown in _shortened(new):
            if isinstance(shown, _Caller):
                yield Ancestor(shown.site, shown.depth, *self._search.values_of(shown.call))
            else:
                yield shown

    def _losses(self) -> Iterator[Loss]:
        if self._is_whole:
            search = self._search
            losses = search.recording.reader.losses(search.recording.process.id, search.thread.number)
            yield from (loss for loss in losses if not self._inherited.has_end(loss))

    def _gaps_before(self, ticks: int) -> Iterator[TreeLine]:
        """The gaps that come next, as one line, if they are of before a moment."""
        first = self._loss
        dropped_events = orphan_exits = 0
        while self._loss is not None and self._loss.ticks < ticks:
            if self._loss.kind == DROPPED:
                dropped_events += self._loss.count
            else:
                orphan_exits += 1
            self._loss = next(self._all_losses, None)
        if first is None or first is self._loss:
            return
        depth = 0
        if first.call:
            rows, at = self._search.calls.find(first.call)
            depth = min(int(rows.depth[at]) + 1, self._next_depth)
        yield Gap(self._base + depth, dropped_events, orphan_exits)

    def _end(self, left: int) -> Iterator[TreeLine]:
        is_full = self._shown == self._limit
        if left and (is_full or self._max_depth is None):
            yield from self._begin()
            yield Rest(left)
            return
        if left:
            yield from self._begin()
            yield Deeper(self._base + self._next_depth, left)
        yield from self._gaps_before(_NEVER)


class _Caller(NamedTuple):
    """An ancestor that may be shown: its number, and as a line has it."""

    call: int
    site: int
    depth: int


def _shortened(ancestors: list[_Caller]) -> Iterator[_Caller | AncestorsLeftOut]:
    """The ancestors, but of a long chain only both ends."""
    left_out = len(ancestors) - 2 * ANCESTORS_AT_ENDS
    if left_out <= 1:
        yield from ancestors
        return
    yield from ancestors[:ANCESTORS_AT_ENDS]
    yield AncestorsLeftOut(ancestors[ANCESTORS_AT_ENDS].depth, left_out)
    yield from ancestors[-ANCESTORS_AT_ENDS:]
