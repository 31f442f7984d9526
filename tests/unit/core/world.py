"""A traced process that lives in the core and in its twin at once, and the comparison of the two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from calltrace_collector.core import (
    Chunk,
    Limits,
    ThreadState,
    Trace,
    decode_profile,
)
from calltrace_collector.core.twin import OPEN, Twin, TwinThread
from calltrace_collector.wire._pb.calltrace.v1 import events_pb2
from tests.unit.core.comparison import (
    check_chunk,
    check_contexts,
    check_functions,
    decode,
    expected_row,
    table,
    values_of,
)

ELAPSED, SWITCHED = 7, 9  # Mark.Kind
STARTED, STACK_BASE = 1_000, 0x7FFF_0000
THREADS = 3

Action = tuple[str, int, int]
"""What happens, a small number whose meaning depends on that, and the ticks since the event before."""


@dataclass(slots=True)
class Pending:
    """Events of a thread that have not been sent."""

    dt: list[int] = field(default_factory=list)
    calls: list[tuple[int, int] | None] = field(default_factory=list)  # function, call site; None: exit
    values: dict[int, bytes] = field(default_factory=dict)  # captured at some of them
    marks: list[tuple[int, int, int]] = field(default_factory=list)
    stacks: list[int] = field(default_factory=list)
    now: int = 0
    depths: dict[int, int] = field(default_factory=dict)
    words: int = 0

    @property
    def depth(self) -> int:
        """Open calls on the stack that events are on."""
        return self.depths.get(self.now, 0)

    @depth.setter
    def depth(self, depth: int) -> None:
        self.depths[self.now] = depth


class World:
    """Makes batches of actions, feeds them to core and twin, and compares what these make of them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.core = Trace(limits)
        self.twin = Twin(limits)
        self.chunks: dict[tuple[int, int], Chunk] = {}
        self.pending = [Pending(now=thread, depths={thread: 0}) for thread in range(THREADS)]
        self.next_thread = THREADS
        self.site_of: dict[tuple[int, int], int] = {}
        self.cleaned: dict[int, npt.NDArray[np.void]] = {}
        self.losses: list[tuple[int, ...]] = []
        self.stacks: list[tuple[int, ...]] = []
        self.has_forgotten = False
        for thread in range(THREADS):
            self.core.declare_thread(thread, STARTED, STACK_BASE)
            self.twin.declare_thread(thread, STARTED, STACK_BASE)

    # ---- actions ----

    def act(self, actions: Iterable[Action]) -> None:
        """Does what can be done of the actions, all on one thread until the next ("thread", n, 0)."""
        thread = 0
        for kind, number, dt in actions:
            if kind == "thread":
                thread = number % THREADS
            elif kind == "send":
                self.send(thread)
            elif kind == "flush":
                self.core.flush()
                self.drain()
            elif kind == "clean":
                self.clean(thread)
            elif kind == "restart":
                self.restart()
            elif kind == "forget":
                self.forget()
            elif kind == "stack" and self.next_thread < self.limits.threads:
                self.pending[thread].stacks.append(self.next_thread)
                self.pending[thread].depths[self.next_thread] = 0
                self.next_thread += 1
            else:
                _add_event(self.pending[thread], kind, number, dt)

    def batch(self, thread: int) -> events_pb2.EventBatch:
        """The thread's pending events as a batch, to be applied at once; they are not pending any more."""
        pending, twin = self.pending[thread], self.twin.threads[thread]
        first_site = len(self.twin.sites)
        sites: list[events_pb2.Site] = []
        op: list[int] = []
        for call in pending.calls:
            if call and call not in self.site_of:
                self.site_of[call] = first_site + len(sites)
                delta = (call[0] * 40503 + call[1]) % 4096 - 1024
                sites.append(
                    events_pb2.Site(
                        function_address=call[0], call_site_address=call[1], frame_delta_bytes=delta
                    )
                )
            op.append(self.site_of[call] + 1 if call else 0)
        batch = events_pb2.EventBatch(
            thread=thread,
            ring_begin=twin.ring_end,
            ring_end=twin.ring_end + 3 * len(op),
            base_ticks=twin.stream_ticks,
            first_site=first_site,
            sites=sites,
            dt=pending.dt,
            op=op,
            marks=[
                events_pb2.Mark(index=index, kind=kind, value=value)  # type: ignore[arg-type]
                for index, kind, value in pending.marks
            ],
            stacks=[
                events_pb2.Stack(thread=number, stack_base=STACK_BASE, size_bytes=0x1000)
                for number in pending.stacks
            ],
            value_sizes=[len(pending.values.get(index, b"")) for index in range(len(op))]
            if pending.values
            else [],
            values=b"".join(value for _, value in sorted(pending.values.items())),
        )
        self.pending[thread] = Pending(now=thread, depths=pending.depths)
        return batch

    def send(self, thread: int) -> None:
        """Applies the thread's pending events."""
        batch = self.batch(thread)
        assert self.core.feed(batch.SerializeToString()) == self.twin.feed(batch) == len(batch.dt)
        self.drain()

    def drain(self) -> None:
        """Takes what the core has exported."""
        for chunk in self.core.take_chunks():
            before = self.chunks.get((chunk.thread, chunk.number))
            assert before is None or not before.is_final
            self.chunks[chunk.thread, chunk.number] = chunk
        assert self.core.pending_bytes == 0
        self.losses += [tuple(loss) for loss in self.core.take_losses().tolist()]

    def clean(self, thread: int) -> None:
        """The state is stored."""
        self.core.clean(thread)
        assert not self.core.thread(thread).is_dirty
        self.cleaned[thread] = self.core.frames(thread)

    def forget(self) -> None:
        """A module was unloaded."""
        self.core.forget_addresses()
        self.twin.forget_addresses()
        self.site_of.clear()
        self.has_forgotten = True

    def restart(self) -> None:
        """Stores everything, and carries on with a new core that has been given what was stored."""
        for thread in range(THREADS):
            self.send(thread)
        self.core.flush()
        self.drain()
        self.stacks += [tuple(stack) for stack in self.core.take_stacks().tolist()]
        old, self.core = self.core, Trace(self.limits)
        self.core.restore_sites(old.sites())
        for thread, state in old.threads():
            self.core.declare_thread(thread, 5, 5)
            self.core.set_owner(thread, self.twin.threads[thread].owner)
            self.core.restore_thread(thread, state, old.frames(thread), old.profile(thread))
            self.clean(thread)
        if self.has_forgotten:
            # What was forgotten is not stored: a restored core remembers all addresses.
            self.forget()

    # ---- comparison ----

    def check(self) -> None:
        """Sends what is pending, and compares everything."""
        for thread in range(THREADS):
            self.send(thread)
        self.core.flush()
        self.drain()
        assert self.core.site_count == len(self.twin.sites)
        assert self.core.function_count == self.twin.function_count
        assert [site[:4] for site in self.core.sites().tolist()] == self.twin.sites
        assert self.losses == self.twin.losses
        self.stacks += [tuple(stack) for stack in self.core.take_stacks().tolist()]
        assert self.stacks == self.twin.stacks
        for thread, twin in self.twin.threads.items():
            self._check_state(thread, twin)
            self._check_calls(thread, twin)
            profile = decode_profile(self.core.profile(thread))
            check_contexts(profile, twin, self.limits.contexts)
            check_functions(profile, twin.functions())

    def _check_state(self, thread: int, twin: TwinThread) -> None:
        state = self.core.thread(thread)
        assert state == ThreadState(
            calls=len(twin.calls),
            last_ticks=twin.stream_ticks if twin.owner == thread else twin.last_ticks,
            ring_end=twin.ring_end,
            stack_base=STACK_BASE,
            dropped=twin.dropped,
            orphan_exits=twin.orphan_exits,
            cut=twin.cut,
            folded=twin.contexts(self.limits.contexts)[1],
            depth=len(twin.stack),
            changed_from=state.changed_from,
            next_chunk=1 + max((number for owner, number in self.chunks if owner == thread), default=-1),
            is_dirty=state.is_dirty,
        )
        frames = self.core.frames(thread)
        assert frames.tolist() == [
            (call.call, call.start_ticks, call.child_ticks, call.stack_pointer, call.site, call.callees_cut)
            for call in twin.stack
        ]
        assert (
            self.core.frames(thread, len(frames) // 2, 1 if len(frames) else 0).tolist()
            == frames[len(frames) // 2 : len(frames) // 2 + 1].tolist()
        )
        if thread in self.cleaned:
            unchanged = state.changed_from
            assert frames[:unchanged].tolist() == self.cleaned[thread][:unchanged].tolist()
        else:
            assert state.changed_from == 0

    def _check_calls(self, thread: int, twin: TwinThread) -> None:
        found: dict[int, tuple[int, ...]] = {}
        arguments: dict[int, bytes] = {}
        returned: dict[int, bytes] = {}
        for (owner, _), chunk in sorted(self.chunks.items()):
            if owner != thread:
                continue
            rows = decode(chunk)
            check_chunk(chunk, rows, twin)
            for row in table(rows):
                # An open row is replaced by a late one, nothing else is said twice.
                assert row[0] not in found or (found[row[0]][-1] == OPEN and row[-1] != OPEN)
                found[row[0]] = row
            values = values_of(chunk)
            assert not any(values.arguments(rows.call[: chunk.late_rows]))
            for all_of_them, its in ((arguments, values.arguments), (returned, values.returned)):
                for call, captured in zip(rows.call.tolist(), its(rows.call), strict=True):
                    all_of_them[call] = all_of_them.get(call, b"") + captured
        assert {call: each for call, each in arguments.items() if each} == {
            call.call: call.arguments for call in twin.calls if call.arguments
        }
        assert {call: each for call, each in returned.items() if each} == {
            call.call: call.returned for call in twin.calls if call.returned
        }
        assert [found[call] for call in sorted(found)] == [expected_row(call) for call in twin.calls]


def _add_event(pending: Pending, kind: str, number: int, dt: int) -> None:
    """Adds an event or mark, when it is possible."""
    index = len(pending.dt)
    if kind == "enter":
        pending.calls.append((0x1000 + number // 2, number))
        pending.dt.append(dt)
        pending.depth += 1
    elif kind == "dive":
        for step in range(8 * number):
            _add_event(pending, "enter", step % (number + 1), dt >> 8)
    elif kind == "rise":
        for _ in range(8 * number):
            _add_event(pending, "exit", 0, dt >> 8)
    elif kind == "exit" and pending.depth:
        pending.calls.append(None)
        pending.dt.append(dt)
        pending.depth -= 1
    elif kind == "move":
        pending.marks.append((index, 3, dt * 16 - number & 2**64 - 1))
        _add_event(pending, "enter", number, dt)
    elif kind == "capture" and pending.dt:
        # Of the event before: what it is has no meaning here, but that each is another.
        size = 4096 if number == 9 else 4 + number * number
        pending.values[index - 1] = b"%d %d %d" % (number, dt, index) + bytes(4096)
        pending.values[index - 1] = pending.values[index - 1][:size]
    elif kind in _MARKS:
        _add_mark(pending, kind, number, dt)


_MARKS = {"orphan": 2, "drop": 4, "cut": 5, "abandon": 1, "lose": 6, "unwind": 8, "switch": SWITCHED}


def _add_mark(pending: Pending, kind: str, number: int, dt: int) -> None:
    """Adds what is no event, when it is possible."""
    index, ends_calls = len(pending.dt), kind in {"abandon", "lose", "unwind"}
    value = number + 1
    if ends_calls:
        if not pending.depth:
            return
        value = 1 + number * 3 % pending.depth
        pending.depth -= value
    elif kind == "switch":
        value = pending.now = sorted(pending.depths)[number % len(pending.depths)]
    if dt % 3 and (ends_calls or kind == "orphan"):
        pending.marks.append((index, ELAPSED, dt))
    pending.marks.append((index, _MARKS[kind], value))


def snapshot(core: Trace) -> Any:
    """All that a core says of itself, without changing it."""
    threads = dict(core.threads())
    return (
        core.site_count,
        core.function_count,
        core.sites().tobytes(),
        threads,
        [core.frames(thread).tobytes() for thread in threads],
        [core.profile(thread) for thread in threads],
        core.pending_bytes,
    )
