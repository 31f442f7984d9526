"""What a dead process left in its rings, encoded as its agent would have; and the outbox's checksum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.core.native import Bytes, check, ffi, lib, pointer
from calltrace_collector.core.trace import Trace

__all__ = ["RingWords", "ThreadStack", "crc32c", "recover_ring"]


@dataclass(frozen=True, slots=True)
class RingWords:
    """A ring's memory, and which part of it is records that nobody has encoded.

    Attributes:
        words: all of it, little-endian 8-byte words; the word at a position is number position % size.
        begin: position of the first record.
        end: position behind the last one.
        dropped: events dropped since the ring got its thread.
    """

    words: Bytes
    begin: int
    end: int
    dropped: int


_OPEN_CALL = np.dtype([("function_address", "<u8"), ("call_site_address", "<u8"), ("stack_pointer", "<u8")])
_OPEN_CALLS = "struct ct_open_call *"


@dataclass(frozen=True, slots=True)
class ThreadStack:
    """A stack that makecontext() gave a thread: its Thread.number, where it ends above, its size."""

    number: int
    stack_base: int
    size_bytes: int


def recover_ring(
    trace: Trace,
    thread: int,
    ring: RingWords,
    max_depth: int,
    stacks: Sequence[ThreadStack] = (),
    next_thread: int | None = None,
) -> Iterator[bytes]:
    """Yields a ring's records as EventBatch messages that go on where the thread stands.

    Each must be fed to the trace before the next one is asked for.

    Args:
        trace: knows the thread's open calls and the sites.
        thread: its number.
        ring: the records.
        max_depth: the process's limit; 0: none.
        stacks: the thread's other stacks, in the order of their numbers.
        next_thread: the number that a stack gets of which only the ring tells; None: behind all that the
            trace knows.

    Raises:
        ProtocolError: the ring cannot be one.
    """
    state = trace.thread(thread)
    first_thread = trace.thread_count if next_thread is None else next_thread
    handle = lib.ct_recovery_new(trace.site_count, first_thread, max_depth)
    if not handle:
        raise MemoryError("recovery")
    recovery = ffi.gc(handle, lib.ct_recovery_free)
    memory = ffi.from_buffer(ring.words)
    given = ffi.new("struct ct_ring *")
    given.words = ffi.cast("const uint64_t *", memory)
    given.size_words = memoryview(ring.words).nbytes // 8
    given.begin, given.end = ring.begin, ring.end
    given.dropped_before, given.dropped = state.dropped, ring.dropped
    what = f"ring of thread {thread}"
    own = _open_calls(trace, thread)
    check(
        lib.ct_recovery_begin(
            recovery, thread, state.last_ticks, state.stack_base, pointer(_OPEN_CALLS, own), len(own), given
        ),
        what,
    )
    for stack in stacks:
        calls = _open_calls(trace, stack.number)
        status = lib.ct_recovery_add_stack(
            recovery,
            stack.number,
            stack.stack_base,
            stack.size_bytes,
            pointer(_OPEN_CALLS, calls),
            len(calls),
        )
        check(status, what)
    batch = bytearray(lib.CT_RECOVERY_BYTES)
    into = ffi.from_buffer(batch)
    while size := check(lib.ct_recovery_next(recovery, into), what):
        yield bytes(batch[:size])


def _open_calls(trace: Trace, thread: int) -> NDArray[np.void]:
    frames = trace.frames(thread)
    sites = trace.sites()[frames["site"]] if len(frames) else trace.sites()[:0]
    open_calls = np.zeros(len(frames), _OPEN_CALL)
    open_calls["function_address"] = sites["function_address"]
    open_calls["call_site_address"] = sites["call_site_address"]
    open_calls["stack_pointer"] = frames["stack_pointer"]
    return open_calls


def crc32c(data: Bytes) -> int:
    """Returns the CRC-32C (Castagnoli) of the data."""
    return int(lib.ct_crc32c(ffi.from_buffer(data), memoryview(data).nbytes))
