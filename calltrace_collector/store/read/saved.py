"""What the database remembers of a process, for a collector that carries on with it."""

from __future__ import annotations

from sqlalchemy import Connection, select

from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import (
    FRAME_BYTES,
    STACK_PART_FRAMES,
    Place,
    SavedProcess,
    SiteRow,
    ThreadProgress,
)
from calltrace_collector.model.process import ModuleInfo, ProcessState, Segment, ThreadInfo
from calltrace_collector.store import models
from calltrace_collector.store.compression import decompress

PROFILE_LIMIT_BYTES = 1 << 30


def saved_process(connection: Connection, process: int) -> SavedProcess:
    """Returns all of a process but its calls; StoreError where it isn't stored, or is damaged."""
    row = connection.execute(
        select(models.Process.sequence, models.Process.state).where(models.Process.id == process)
    ).one_or_none()
    if row is None:
        raise StoreError(f"process {process} is not in the database: was it deleted?")
    threads, progress = _threads(connection, process)
    return SavedProcess(
        process=process,
        sequence=row.sequence,
        ended=row.state != ProcessState.RUNNING.value,
        threads=threads,
        modules=modules(connection, process),
        sites=_sites(connection, process),
        progress=progress,
        stacks={step.thread: stack(connection, process, step.thread) for step in progress},
        profiles=profiles(connection, process),
    )


def _threads(
    connection: Connection, process: int
) -> tuple[tuple[ThreadInfo, ...], tuple[ThreadProgress, ...]]:
    thread = models.Thread.__table__.c
    rows = connection.execute(
        select(*thread).where(thread.process_id == process).order_by(thread.number)
    ).all()
    infos = tuple(
        ThreadInfo(
            row.number,
            row.tid,
            row.name,
            row.started_ticks,
            row.ended_ticks,
            row.stack_base,
            row.creator_tid,
            row.stack_of,
            row.stack_bytes,
        )
        for row in rows
    )
    return infos, tuple(
        ThreadProgress(
            thread=row.number,
            calls=row.calls,
            last_ticks=row.last_ticks,
            ring_end=row.ring_end,
            dropped=row.dropped,
            orphan_exits=row.orphan_exits,
            cut=row.cut,
            folded=row.folded,
            depth=row.depth,
            next_chunk=row.next_chunk,
            stack_parts=(),
            profile=b"",
        )
        for row in rows
    )


def modules(connection: Connection, process: int) -> tuple[ModuleInfo, ...]:
    """The modules of a process, in the order of their numbers."""
    module = models.ProcessModule
    statement = (
        select(module.__table__, models.ModuleFile.build_id)
        .join(models.ModuleFile, models.ModuleFile.id == module.module_file_id)
        .where(module.process_id == process)
        .order_by(module.number)
    )
    return tuple(
        ModuleInfo(
            number=row.number,
            path=row.path,
            build_id=row.build_id,
            load_bias=row.load_bias,
            segments=tuple(Segment(*segment) for segment in row.segments),
            loaded_ticks=row.loaded_ticks,
            unloaded_ticks=row.unloaded_ticks,
        )
        for row in connection.execute(statement)
    )


def _sites(connection: Connection, process: int) -> tuple[SiteRow, ...]:
    site, function = models.Site, models.ProcessFunction
    statement = (
        select(
            site.number,
            site.function,
            function.address,
            site.call_site_address,
            site.frame_delta_bytes,
            function.module,
            function.offset,
            site.call_site_module,
            site.call_site_offset,
        )
        .join(function, (function.process_id == site.process_id) & (function.number == site.function))
        .where(site.process_id == process)
        .order_by(site.number)
    )
    return tuple(
        SiteRow(
            number=row.number,
            function=row.function,
            function_address=row.address,
            call_site_address=row.call_site_address,
            frame_delta_bytes=row.frame_delta_bytes,
            function_place=_place(row.module, row.offset),
            call_site_place=_place(row.call_site_module, row.call_site_offset),
        )
        for row in connection.execute(statement)
    )


def _place(module: int | None, offset: int | None) -> Place | None:
    return None if module is None or offset is None else Place(module, offset)


def stack(connection: Connection, process: int, thread: int) -> bytes:
    """The packed struct ct_frame records of a thread's open calls, outermost first."""
    its, part = models.Thread, models.ThreadStack
    # One statement, for the two belong together.
    statement = (
        select(its.depth, part.part, part.frames)
        .join(part, (part.process_id == its.process_id) & (part.thread == its.number), isouter=True)
        .where(its.process_id == process, its.number == thread)
        .order_by(part.part)
    )
    rows = connection.execute(statement).all()
    if not rows or rows[0].depth == 0:
        return b""
    size_bytes = rows[0].depth * FRAME_BYTES
    in_order = [row.part for row in rows] == list(range(len(rows)))
    limit_bytes = STACK_PART_FRAMES * FRAME_BYTES
    frames = b"".join(decompress(row.frames, limit_bytes) for row in rows) if in_order else b""
    # A stack that became shorter leaves the part in which it ends as it was.
    if len(frames) < size_bytes:
        raise StoreError(f"the database is damaged: not all open calls of thread {thread} are there")
    return frames[:size_bytes]


def profiles(connection: Connection, process: int) -> dict[int, bytes]:
    """The profiles of a process's threads, by the thread's number, decompressed."""
    profile = models.ThreadProfile
    statement = select(profile.thread, profile.profile).where(profile.process_id == process)
    rows = connection.execute(statement.order_by(profile.thread))
    return {thread: decompress(packed, PROFILE_LIMIT_BYTES) for thread, packed in rows}
