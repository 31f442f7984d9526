"""What a dead process left in its rings, encoded as its agent would have; and the outbox's checksum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calltrace_collector.core.native import Bytes, check, ffi, lib
from calltrace_collector.core.trace import Trace

__all__ = ["RingWords", "crc32c", "recover_ring"]


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


def recover_ring(trace: Trace, thread: int, ring: RingWords, max_depth: int) -> Iterator[bytes]:
    """Yields a ring's records as EventBatch messages that go on where the thread stands.

    Each must be fed to the trace before the next one is asked for.

    Args:
        trace: knows the thread's open calls and the sites.
        thread: its number.
        ring: the records.
        max_depth: the process's limit; 0: none.

    Raises:
        ProtocolError: the ring cannot be one.
    """
    state = trace.thread(thread)
    handle = lib.ct_recovery_new(trace.site_count, max_depth)
    if not handle:
        raise MemoryError("recovery")
    recovery = ffi.gc(handle, lib.ct_recovery_free)
    frames = trace.frames(thread)
    sites = trace.sites()[frames["site"]] if len(frames) else trace.sites()[:0]
    open_calls = np.zeros(len(frames), _OPEN_CALL)
    open_calls["function_address"] = sites["function_address"]
    open_calls["call_site_address"] = sites["call_site_address"]
    open_calls["stack_pointer"] = frames["stack_pointer"]

    memory = ffi.from_buffer(ring.words)
    given = ffi.new("struct ct_ring *")
    given.words = ffi.cast("const uint64_t *", memory)
    given.size_words = memoryview(ring.words).nbytes // 8
    given.begin, given.end = ring.begin, ring.end
    given.dropped_before, given.dropped = state.dropped, ring.dropped
    calls = ffi.cast("struct ct_open_call *", ffi.from_buffer(open_calls))
    what = f"ring of thread {thread}"
    status = lib.ct_recovery_begin(
        recovery, thread, state.last_ticks, state.stack_base, calls, len(open_calls), given
    )
    check(status, what)
    batch = bytearray(lib.CT_RECOVERY_BYTES)
    into = ffi.from_buffer(batch)
    while size := check(lib.ct_recovery_next(recovery, into), what):
        yield bytes(batch[:size])


def crc32c(data: Bytes) -> int:
    """Returns the CRC-32C (Castagnoli) of the data."""
    return int(lib.ct_crc32c(ffi.from_buffer(data), memoryview(data).nbytes))
