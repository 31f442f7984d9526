"""What the C core does, said again in Python: the oracle of its tests.

It keeps every call in a list and works out everything else from that list when asked, so that it shares no
method with the core. It is slow, and meant for small traces.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from calltrace_collector.core.trace import Limits

__all__ = ["Call", "FunctionSums", "Refused", "Twin", "TwinThread"]

RETURNED, UNWOUND, ABANDONED, OPEN, CUT, LOST = 0, 1, 2, 3, 5, 6
MARK_ABANDONED, MARK_ORPHAN_EXIT, MARK_FRAME_DELTA, MARK_DROPPED = range(1, 5)
MARK_CUT, MARK_LOST_EXIT, MARK_ELAPSED, MARK_UNWOUND, MARK_SWITCHED = range(5, 10)
ENDINGS = {MARK_ABANDONED: ABANDONED, MARK_LOST_EXIT: LOST, MARK_UNWOUND: UNWOUND}
WORD = 2**64


class Site(Protocol):
    """Site of events.proto."""

    @property
    def function_address(self) -> int: ...
    @property
    def call_site_address(self) -> int: ...
    @property
    def frame_delta_bytes(self) -> int: ...


class Mark(Protocol):
    """Mark of events.proto."""

    @property
    def index(self) -> int: ...
    @property
    def kind(self) -> int: ...
    @property
    def value(self) -> int: ...


class Stack(Protocol):
    """Stack of events.proto."""

    @property
    def thread(self) -> int: ...
    @property
    def stack_base(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...


class Batch(Protocol):
    """EventBatch of events.proto."""

    @property
    def thread(self) -> int: ...
    @property
    def ring_begin(self) -> int: ...
    @property
    def ring_end(self) -> int: ...
    @property
    def base_ticks(self) -> int: ...
    @property
    def first_site(self) -> int: ...
    @property
    def sites(self) -> Sequence[Site]: ...
    @property
    def dt(self) -> Sequence[int]: ...
    @property
    def op(self) -> Sequence[int]: ...
    @property
    def marks(self) -> Sequence[Mark]: ...
    @property
    def stacks(self) -> Sequence[Stack]: ...
    @property
    def value_sizes(self) -> Sequence[int]: ...
    @property
    def values(self) -> bytes: ...


class Refused(Exception):  # noqa: N818 - an answer, not an error of the twin's
    """The batch must not be applied."""


@dataclass(slots=True, eq=False)
class Call:
    """A call; the attributes are those of the core's rows and frames."""

    call: int
    parent: Call | None
    site: int
    function: int
    depth: int
    start_ticks: int
    stack_pointer: int
    end_ticks: int = 0
    status: int = OPEN
    callees_cut: bool = False
    arguments: bytes = b""  # what was captured at its entry,
    returned: bytes = b""  # and at its exit
    callees: list[Call] = field(default_factory=list)

    @property
    def duration_ticks(self) -> int:
        """From entry to end; 0 while open."""
        return 0 if self.status == OPEN else self.end_ticks - self.start_ticks

    @property
    def child_ticks(self) -> int:
        """Time in completed callees."""
        return sum(callee.duration_ticks for callee in self.callees)

    @property
    def self_ticks(self) -> int:
        """The duration less that of the callees; 0 while open."""
        return 0 if self.status == OPEN else self.duration_ticks - self.child_ticks


@dataclass(slots=True)
class FunctionSums:
    """The sums of a function on a thread, and the durations of its calls that have one."""

    calls: int = 0
    total_ticks: int = 0
    self_ticks: int = 0
    durations: list[int] = field(default_factory=list)


@dataclass(slots=True)
class TwinThread:
    """All calls of a thread on one stack, and the stack of the open ones.

    Attributes:
        owner: the thread's number.
        last_ticks: of the last event on this stack; stream_ticks: on any of the thread's.
    """

    last_ticks: int
    stack_base: int
    owner: int
    stream_ticks: int = 0
    ring_end: int = 0
    dropped: int = 0
    orphan_exits: int = 0
    cut: int = 0
    calls: list[Call] = field(default_factory=list)
    stack: list[Call] = field(default_factory=list)

    def enter(self, ticks: int, site: int, function: int, frame_delta: int, captured: bytes) -> None:
        """A call begins."""
        self.last_ticks = ticks
        caller = self.stack[-1] if self.stack else None
        above = caller.stack_pointer if caller else self.stack_base
        call = Call(
            call=len(self.calls) + 1,
            parent=caller,
            site=site,
            function=function,
            depth=len(self.stack),
            start_ticks=self.last_ticks,
            stack_pointer=(above - frame_delta) % WORD,
            arguments=captured,
        )
        if caller:
            caller.callees.append(call)
        self.calls.append(call)
        self.stack.append(call)

    def end(self, ticks: int, status: int, captured: bytes = b"") -> None:
        """The innermost call ends."""
        self.last_ticks = ticks
        call = self.stack.pop()
        call.end_ticks = self.last_ticks
        call.returned = captured
        call.status = CUT if status == RETURNED and call.callees_cut else status

    def contexts(self, limit: int) -> tuple[dict[tuple[int, ...], list[int]], int]:
        """Sums by calling context.

        Returns:
            For each path of functions from the root: calls, total ticks, self ticks; and how many calls were
            counted in their caller's because there were `limit` contexts already, the root included.
        """
        sums: dict[tuple[int, ...], list[int]] = {(): [0, 0, 0]}
        path_of: dict[int, tuple[int, ...]] = {}
        folded = 0
        for call in self.calls:
            above = path_of[call.parent.call] if call.parent else ()
            path = (*above, call.function)
            is_folded = path not in sums and len(sums) >= limit
            if is_folded:
                folded += 1
                path = above
            path_of[call.call] = path
            context = sums.setdefault(path, [0, 0, 0])
            context[0] += 1
            if call.status != LOST:
                context[1] += 0 if is_folded else call.duration_ticks
                context[2] += call.self_ticks
        return sums, folded

    def functions(self) -> dict[int, FunctionSums]:
        """Sums by function."""
        sums: dict[int, FunctionSums] = {}
        for call in self.calls:
            function = sums.setdefault(call.function, FunctionSums())
            function.calls += 1
            if call.status in {OPEN, LOST}:
                continue
            function.self_ticks += call.self_ticks
            function.durations.append(call.duration_ticks)
            if not _is_recursive(call):
                function.total_ticks += call.duration_ticks
        return sums


def _is_recursive(call: Call) -> bool:
    above = call.parent
    while above and above.function != call.function:
        above = above.parent
    return above is not None


class Twin:
    """The counterpart of Trace.

    Args:
        limits: how much the process may make us remember.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.threads: dict[int, TwinThread] = {}
        self.stacks: list[tuple[int, int, int, int, int]] = []  # as in the core's struct ct_stack
        self.sites: list[tuple[int, int, int, int]] = []  # as in the core's struct ct_site
        self.function_count = 0
        self.losses: list[tuple[int, int, int, int, int]] = []  # as in the core's struct ct_loss
        self._function_of: dict[int, int] = {}

    def declare_thread(self, thread: int, started_ticks: int, stack_base: int) -> None:
        """Makes a thread known."""
        self.threads.setdefault(thread, TwinThread(started_ticks, stack_base, thread, started_ticks))

    def forget_addresses(self) -> None:
        """Addresses seen from now on are other functions."""
        self._function_of.clear()

    def feed(self, batch: Batch) -> int:
        """Applies a batch, all of it or nothing; returns the number of its events.

        Raises:
            Refused: it must not be applied.
        """
        self._check(batch)
        for site in batch.sites:
            function = self._function_of.get(site.function_address)
            if function is None:
                function = self._function_of[site.function_address] = self.function_count
                self.function_count += 1
            self.sites.append(
                (site.function_address, site.call_site_address, site.frame_delta_bytes, function)
            )
        for stack in batch.stacks:
            self.threads[stack.thread] = TwinThread(batch.base_ticks, stack.stack_base, batch.thread)
            self.stacks.append(
                (stack.thread, batch.thread, batch.base_ticks, stack.stack_base, stack.size_bytes)
            )
        number, now = batch.thread, batch.base_ticks
        values = _values(batch)
        for index in range(len(batch.dt) + 1):
            delta = None
            for mark in batch.marks:
                if mark.index != index:
                    continue
                if mark.kind == MARK_FRAME_DELTA:
                    delta = mark.value
                elif mark.kind == MARK_SWITCHED:
                    number = mark.value
                elif mark.kind == MARK_ELAPSED:
                    now += mark.value
                else:
                    self._apply_mark(number, mark, now)
            if index < len(batch.dt):
                now += batch.dt[index]
                self._apply_event(self.threads[number], now, batch.op[index], delta, values[index])
        owner = self.threads[batch.thread]
        owner.ring_end, owner.stream_ticks = batch.ring_end, now
        return len(batch.dt)

    def _apply_event(
        self, thread: TwinThread, ticks: int, op: int, frame_delta: int | None, captured: bytes
    ) -> None:
        if not op:
            thread.end(ticks, RETURNED, captured)
            return
        _, _, usual_delta, function = self.sites[op - 1]
        thread.enter(ticks, op - 1, function, usual_delta if frame_delta is None else frame_delta, captured)

    def _apply_mark(self, number: int, mark: Mark, ticks: int) -> None:
        thread = self.threads[number]
        innermost = thread.stack[-1] if thread.stack else None
        if mark.kind in ENDINGS:
            for _ in range(mark.value):
                thread.end(ticks, ENDINGS[mark.kind])
        elif mark.kind == MARK_CUT:
            thread.cut += mark.value
            if innermost:
                innermost.callees_cut = True
        else:
            if mark.kind == MARK_DROPPED:
                thread.dropped += mark.value
            else:
                thread.orphan_exits += 1
            call = innermost.call if innermost else 0
            self.losses.append((number, mark.kind, call, ticks, mark.value))

    def _check(self, batch: Batch) -> None:
        thread = self.threads.get(batch.thread)
        if thread is None or thread.owner != batch.thread:
            raise Refused("thread")
        if batch.ring_begin != thread.ring_end or batch.base_ticks != thread.stream_ticks:
            raise Refused("order")
        elapsed = sum(mark.value for mark in batch.marks if mark.kind == MARK_ELAPSED)
        if batch.ring_end < batch.ring_begin or batch.base_ticks + sum(batch.dt) + elapsed >= WORD:
            raise Refused("range")
        if len(batch.dt) != len(batch.op):
            raise Refused("columns")
        if len(batch.value_sizes) not in {0, len(batch.dt)} or sum(batch.value_sizes) != len(batch.values):
            raise Refused("values")
        if any(size not in {0, *range(4, 4097)} for size in batch.value_sizes):
            raise Refused("size")
        self._check_sites(batch)
        indices = [mark.index for mark in batch.marks]
        if indices != sorted(indices) or any(index > len(batch.dt) for index in indices):
            raise Refused("marks")
        for mark, after in itertools.zip_longest(batch.marks, batch.marks[1:]):
            if mark.kind == MARK_ELAPSED and not (
                after and after.index == mark.index and after.kind in {*ENDINGS, MARK_ORPHAN_EXIT}
            ):
                raise Refused("mark")
        self._check_stacks(batch)
        self._check_depth(batch)

    def _check_sites(self, batch: Batch) -> None:
        if batch.sites and batch.first_site != len(self.sites):
            raise Refused("order")
        if any(site.function_address == 0 for site in batch.sites):
            raise Refused("address")
        count = len(self.sites) + len(batch.sites)
        if any(op > count for op in batch.op):
            raise Refused("site")
        new = {site.function_address for site in batch.sites} - self._function_of.keys()
        if batch.sites and (
            count > self.limits.sites or self.function_count + len(new) > self.limits.functions
        ):
            raise Refused("limit")

    def _check_stacks(self, batch: Batch) -> None:
        new = [stack.thread for stack in batch.stacks]
        if len(set(new)) != len(new) or any(number in self.threads for number in new):
            raise Refused("stack twice")
        if any(number >= self.limits.threads for number in new):
            raise Refused("limit")

    def _check_depth(self, batch: Batch) -> None:
        depths = {
            number: len(thread.stack)
            for number, thread in self.threads.items()
            if thread.owner == batch.thread
        } | {stack.thread: 0 for stack in batch.stacks}
        now = batch.thread
        for index in range(len(batch.dt) + 1):
            has_delta = False
            for mark in batch.marks:
                if mark.index != index:
                    continue
                if mark.kind == MARK_SWITCHED:
                    if has_delta or mark.value not in depths:
                        raise Refused("switch")
                    now = mark.value
                    continue
                has_delta = has_delta or mark.kind == MARK_FRAME_DELTA
                depths[now] -= _calls_ended(mark, depths[now], batch)
            if index < len(batch.dt):
                depths[now] += 1 if batch.op[index] else -1
            if depths[now] < 0:
                raise Refused("stack")
            if depths[now] > self.limits.open_calls:
                raise Refused("limit")


def _values(batch: Batch) -> list[bytes]:
    """What was captured at each event."""
    ends = list(itertools.accumulate(batch.value_sizes, initial=0))
    return [batch.values[start:end] for start, end in itertools.pairwise(ends)] or [b""] * len(batch.dt)


def _calls_ended(mark: Mark, depth: int, batch: Batch) -> int:
    """How many calls a mark ends, after checking it."""
    if not MARK_ABANDONED <= mark.kind <= MARK_UNWOUND:
        raise Refused("mark")
    if mark.kind == MARK_FRAME_DELTA and (mark.index == len(batch.dt) or not batch.op[mark.index]):
        raise Refused("mark")
    if mark.kind not in {MARK_ORPHAN_EXIT, MARK_FRAME_DELTA} and not mark.value:
        raise Refused("mark")
    if mark.kind not in ENDINGS:
        return 0
    if mark.value > depth:
        raise Refused("stack")
    return mark.value
