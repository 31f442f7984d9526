"""What the collector knows of one traced process while it runs: the typed face of the C core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calltrace_collector.core.chunk import Chunk, chunk_of
from calltrace_collector.core.native import Bytes, check, ffi, lib, pointer
from calltrace_collector.core.records import FRAME, LOSS, SITE, STACK
from calltrace_collector.core.rows import CHUNK_ROWS

__all__ = ["Limits", "ThreadState", "Trace"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one process may make the collector remember; beyond, batches are refused.

    Attributes:
        threads: thread numbers.
        sites: pairs of function and call site.
        functions: functions.
        open_calls: depth of a thread's stack.
        contexts: nodes of a thread's calling-context tree. Beyond, nothing is refused: a call whose context
            is new is counted in its caller's.
        chunk_rows: rows at which a chunk ends.
        keep_rows: rows from which Trace.flush ends a chunk.
        chunk_values: bytes of captured values at which a chunk ends,
        keep_values: and from which Trace.flush ends it.
    """

    threads: int = 1 << 20
    sites: int = 1 << 22
    functions: int = 1 << 20
    open_calls: int = 1 << 24
    contexts: int = 1 << 18
    chunk_rows: int = CHUNK_ROWS
    keep_rows: int = 8192
    chunk_values: int = 4 << 20
    keep_values: int = 512 << 10


@dataclass(frozen=True, slots=True)
class ThreadState:
    """Where a thread stands.

    Attributes:
        calls: entries so far; the calls are numbered 1 to `calls`.
        last_ticks: clock ticks of the thread's last event.
        ring_end: ring position behind its last batch.
        stack_base: stack pointer that the outermost calls' frames are measured from.
        dropped: events dropped.
        orphan_exits: exits without an entry.
        cut: calls left out by the depth limit.
        folded: calls counted in their caller's context.
        depth: number of open calls.
        changed_from: the open calls below this depth have not changed since Trace.clean.
        next_chunk: number of the next new chunk.
        is_dirty: something has changed since Trace.clean.
    """

    calls: int
    last_ticks: int
    ring_end: int
    stack_base: int
    dropped: int
    orphan_exits: int
    cut: int
    folded: int
    depth: int
    changed_from: int
    next_chunk: int
    is_dirty: bool


class Trace:
    """One traced process: its sites, and for each thread the open calls, the growing chunk, the profile.

    Used by one thread at a time; the methods that take long release the interpreter lock. All times are
    clock ticks of the traced process. Every method raises ProtocolError when the core refuses what it is
    given, and then nothing has changed.

    Args:
        limits: how much the process may make us remember.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        bounds = ffi.new("struct ct_limits *")
        for name in Limits.__slots__:
            setattr(bounds, name, getattr(limits, name))
        handle = lib.ct_trace_new(bounds)
        if not handle:
            raise MemoryError("trace")
        self._handle: Any = ffi.gc(handle, lib.ct_trace_free)

    # ---- events ----

    def declare_thread(self, thread: int, started_ticks: int, stack_base: int) -> None:
        """Makes a thread known before its first batch; again with the same number changes nothing."""
        check(lib.ct_thread_declare(self._handle, thread, started_ticks, stack_base), f"thread {thread}")

    def feed(self, batch: Bytes) -> int:
        """Applies an encoded EventBatch, all of it or nothing; returns the number of its events."""
        size = memoryview(batch).nbytes
        result = lib.ct_trace_feed(self._handle, ffi.from_buffer(batch), size)
        return check(result, f"batch of {size} bytes")

    # ---- sites and functions ----

    @property
    def site_count(self) -> int:
        """How many sites are known."""
        return int(lib.ct_trace_site_count(self._handle))

    @property
    def function_count(self) -> int:
        """How many functions are known."""
        return int(lib.ct_trace_function_count(self._handle))

    def sites(self, first: int = 0) -> npt.NDArray[np.void]:
        """Returns the sites from number `first` on, of type SITE."""
        sites = np.zeros(max(self.site_count - first, 0), SITE)
        status = lib.ct_trace_sites(self._handle, first, len(sites), pointer("struct ct_site *", sites))
        check(status, f"sites from {first} on")
        return sites

    def restore_sites(self, sites: npt.NDArray[np.void]) -> None:
        """Appends sites that an earlier collector stored, with their function numbers, in order."""
        sites = np.ascontiguousarray(sites, SITE)
        status = lib.ct_trace_restore_sites(self._handle, pointer("struct ct_site *", sites), len(sites))
        check(status, f"{len(sites)} stored sites")

    def forget_addresses(self) -> None:
        """A module was unloaded: the same address may now be another function, and gets another number."""
        lib.ct_trace_forget_addresses(self._handle)

    # ---- threads ----

    def thread(self, thread: int) -> ThreadState:
        """Returns where a thread stands."""
        state = ffi.new("struct ct_thread_state *")
        check(lib.ct_thread_state(self._handle, thread, state), f"thread {thread}")
        return _thread_state(state)

    @property
    def thread_count(self) -> int:
        """The highest number of a declared thread, plus one."""
        return int(lib.ct_trace_thread_count(self._handle))

    def threads(self) -> Iterator[tuple[int, ThreadState]]:
        """Yields number and state of every declared thread."""
        state = ffi.new("struct ct_thread_state *")
        for thread in range(lib.ct_trace_thread_count(self._handle)):
            if lib.ct_thread_state(self._handle, thread, state) == 0:
                yield thread, _thread_state(state)

    def frames(self, thread: int, first: int = 0, count: int | None = None) -> npt.NDArray[np.void]:
        """Returns the open calls of a thread, of type FRAME, outermost first.

        Args:
            thread: its number.
            first: depth of the first one returned.
            count: how many; None means all from there on.
        """
        if count is None:
            count = max(self.thread(thread).depth - first, 0)
        frames = np.zeros(count, FRAME)
        out = pointer("struct ct_frame *", frames)
        check(lib.ct_thread_frames(self._handle, thread, first, count, out), f"open calls of thread {thread}")
        return frames

    def profile(self, thread: int) -> bytes:
        """Returns a thread's encoded profile; see decode_profile."""
        start = ffi.new("const uint8_t **")
        size = check(lib.ct_thread_profile(self._handle, thread, start), f"profile of thread {thread}")
        return bytes(ffi.buffer(start[0], size))

    def clean(self, thread: int) -> None:
        """Takes note that a thread's state is stored."""
        check(lib.ct_thread_clean(self._handle, thread), f"thread {thread}")

    def forget_thread(self, thread: int) -> None:
        """Frees what is known of a thread that has ended and is stored; its number is then unknown."""
        check(lib.ct_thread_forget(self._handle, thread), f"thread {thread}")

    def restore_thread(
        self, thread: int, state: ThreadState, frames: npt.NDArray[np.void], profile: Bytes
    ) -> None:
        """Puts a declared, unused thread into the state that an earlier collector stored.

        Args:
            thread: its number.
            state: where it stood; `changed_from` and `is_dirty` do not matter.
            frames: its `state.depth` open calls, of type FRAME.
            profile: its encoded profile.
        """
        frames = np.ascontiguousarray(frames, FRAME)
        what = f"stored state of thread {thread}"
        if len(frames) != state.depth:
            raise ValueError(f"{what}: {len(frames)} open calls instead of {state.depth}")
        stored = ffi.new("struct ct_thread_state *")
        for name in _STATE_FIELDS:
            setattr(stored, name, getattr(state, name))
        status = lib.ct_thread_restore(
            self._handle,
            thread,
            stored,
            pointer("struct ct_frame *", frames),
            ffi.from_buffer(profile),
            memoryview(profile).nbytes,
        )
        check(status, what)

    # ---- results ----

    def flush(self) -> None:
        """Exports the growing chunks that have changed, to be taken with take_chunks."""
        check(lib.ct_trace_flush(self._handle), "growing chunks")

    @property
    def pending_bytes(self) -> int:
        """Size of the chunks exported and not yet taken."""
        return int(lib.ct_trace_pending_bytes(self._handle))

    def take_chunks(self) -> Iterator[Chunk]:
        """Takes and yields the exported chunks, oldest first."""
        chunk = ffi.new("struct ct_chunk *")
        while lib.ct_trace_first_chunk(self._handle, chunk):
            taken = chunk_of(chunk)
            lib.ct_trace_drop_chunk(self._handle)
            yield taken

    def take_stacks(self) -> npt.NDArray[np.void]:
        """Returns the stacks that batches have brought since the last time, of type STACK, oldest first."""
        stacks = np.zeros(lib.ct_trace_stack_count(self._handle), STACK)
        lib.ct_trace_take_stacks(self._handle, len(stacks), pointer("struct ct_stack *", stacks))
        return stacks

    def set_owner(self, thread: int, owner: int) -> None:
        """Says of a declared thread without calls that it is a stack of another one."""
        check(lib.ct_thread_set_owner(self._handle, thread, owner), f"thread {thread}")

    def take_losses(self) -> npt.NDArray[np.void]:
        """Returns the losses noted since the last time, of type LOSS, oldest first: 65,536 at most."""
        losses = np.zeros(lib.ct_trace_loss_count(self._handle), LOSS)
        lib.ct_trace_take_losses(self._handle, len(losses), pointer("struct ct_loss *", losses))
        return losses


_STATE_FIELDS = tuple(ThreadState.__slots__)


def _thread_state(state: Any) -> ThreadState:
    values = {name: getattr(state, name) for name in _STATE_FIELDS}
    values["is_dirty"] = bool(state.is_dirty)
    return ThreadState(**values)
