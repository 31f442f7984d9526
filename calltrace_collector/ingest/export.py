"""From the core's state to the records that a commit is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import zstandard

from calltrace_collector.core.records import FRAME, SITE
from calltrace_collector.core.trace import ThreadState, Trace
from calltrace_collector.ingest.address_map import AddressMap
from calltrace_collector.model.commit import (
    ChunkRow,
    Loss,
    SavedProcess,
    SiteRow,
    StackPart,
    ThreadProgress,
)
from calltrace_collector.model.crash import OpenCall

__all__ = [
    "ThreadExport",
    "export_chunks",
    "export_losses",
    "export_sites",
    "open_calls_at",
    "restore_sites",
    "restore_thread",
]

STACK_PART_FRAMES = 4096
"""Open calls in one StackPart."""
COMPRESSION_LEVEL = 1
"""Of zstd. Higher levels save 1 to 3 % of a chunk and take several times as long."""


def _compress(data: bytes | memoryview) -> bytes:
    # A compressor is not safe to share between threads, and making one costs microseconds.
    return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(data)


def export_chunks(trace: Trace) -> Iterator[ChunkRow]:
    """Takes the chunks that the core has finished."""
    for chunk in trace.take_chunks():
        yield ChunkRow(
            thread=chunk.thread,
            number=chunk.number,
            rows=chunk.rows,
            late_rows=chunk.late_rows,
            open_rows=chunk.open_rows,
            min_depth=chunk.min_depth,
            max_depth=chunk.max_depth,
            first_call=chunk.first_call,
            late_first_call=chunk.late_first_call,
            late_last_call=chunk.late_last_call,
            base_call=chunk.base_call,
            start_ticks=chunk.start_ticks,
            end_ticks=chunk.end_ticks,
            columns=_compress(chunk.columns),
            functions=tuple(
                zip(
                    chunk.function.tolist(),
                    chunk.function_calls.tolist(),
                    chunk.function_max_ticks.tolist(),
                    strict=True,
                )
            ),
            values=_compress(chunk.values) if chunk.values else b"",
        )


def export_sites(trace: Trace, first: int, addresses: AddressMap) -> Iterator[SiteRow]:
    """Yields the sites from number `first` on, placed in the modules that are there now."""
    for number, site in enumerate(trace.sites(first).tolist(), start=first):
        function_address, call_site_address, frame_delta_bytes, function, _ = site
        yield SiteRow(
            number=number,
            function=function,
            function_address=function_address,
            call_site_address=call_site_address,
            frame_delta_bytes=frame_delta_bytes,
            function_place=addresses.place(function_address),
            call_site_place=addresses.place(call_site_address),
        )


def export_losses(trace: Trace) -> list[Loss]:
    """Takes the losses that the core has noted."""
    return [Loss(*loss) for loss in trace.take_losses().tolist()]


def open_calls_at(trace: Trace, thread: int | None, ticks: int) -> tuple[OpenCall, ...]:
    """Returns the calls of a thread that were open at a moment and still are, outermost first."""
    if thread is None:
        return ()
    frames = trace.frames(thread)
    frames = frames[frames["start_ticks"] <= ticks]
    sites = trace.sites()[frames["site"]]
    columns = (frames["call"], sites["function_address"], sites["call_site_address"], frames["stack_pointer"])
    return tuple(OpenCall(*values) for values in zip(*(column.tolist() for column in columns), strict=True))


def restore_sites(trace: Trace, sites: Sequence[SiteRow]) -> None:
    """Gives the core the sites that an earlier collector stored."""
    records = [(s.function_address, s.call_site_address, s.frame_delta_bytes, s.function, 0) for s in sites]
    trace.restore_sites(np.array(records, SITE))


def restore_thread(trace: Trace, progress: ThreadProgress, stack_base: int, saved: SavedProcess) -> None:
    """Gives the core a thread's state as an earlier collector stored it."""
    state = ThreadState(
        calls=progress.calls,
        last_ticks=progress.last_ticks,
        ring_end=progress.ring_end,
        stack_base=stack_base,
        dropped=progress.dropped,
        orphan_exits=progress.orphan_exits,
        cut=progress.cut,
        folded=progress.folded,
        depth=progress.depth,
        changed_from=progress.depth,
        next_chunk=progress.next_chunk,
        is_dirty=False,
    )
    frames = np.frombuffer(saved.stacks.get(progress.thread, b""), FRAME)
    trace.restore_thread(progress.thread, state, frames, saved.profiles.get(progress.thread, b""))


class ThreadExport:
    """What has been stored of a thread's stack and profile, to store only what changed."""

    def __init__(self, thread: int) -> None:
        self._thread = thread

    def take(self, trace: Trace) -> ThreadProgress | None:
        """Returns what changed since the last time; None when nothing has."""
        state = trace.thread(self._thread)
        if not state.is_dirty:
            return None
        first_part = state.changed_from // STACK_PART_FRAMES
        end_part = -(-state.depth // STACK_PART_FRAMES)
        parts = tuple(
            StackPart(part, _compress(trace.frames(self._thread, *_part_range(part, state.depth)).tobytes()))
            for part in range(first_part, end_part)
        )
        progress = ThreadProgress(
            thread=self._thread,
            calls=state.calls,
            last_ticks=state.last_ticks,
            ring_end=state.ring_end,
            dropped=state.dropped,
            orphan_exits=state.orphan_exits,
            cut=state.cut,
            folded=state.folded,
            depth=state.depth,
            next_chunk=state.next_chunk,
            stack_parts=parts,
            profile=_compress(trace.profile(self._thread)),
        )
        trace.clean(self._thread)
        return progress


def _part_range(part: int, depth: int) -> tuple[int, int]:
    """Returns first depth and number of the open calls in a part."""
    first = part * STACK_PART_FRAMES
    return first, min(depth - first, STACK_PART_FRAMES)
