"""Chunks: which of them a query needs, and their columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, ScalarResult, Select, select

from calltrace_collector.store import models
from calltrace_collector.store.batches import batches
from calltrace_collector.store.chunk_filter import ChunkFilter
from calltrace_collector.store.records import Chunk, ChunkHead, FunctionInChunk


def chunk_heads(connection: Connection, process: int, thread: int, wanted: ChunkFilter) -> list[ChunkHead]:
    """The chunks of a thread that pass the filter, in the order of their numbers, which is that of calls."""
    chunk = models.Chunk
    if (
        wanted.first_call is not None
        and wanted.last_call is not None
        and wanted.first_call > wanted.last_call
    ):
        return []
    statement = _heads(process, thread)
    if wanted.min_ticks:
        statement = statement.where(chunk.max_ticks >= wanted.min_ticks)
    if wanted.since_ticks is not None:
        statement = statement.where(chunk.end_ticks >= wanted.since_ticks)
    if wanted.until_ticks is not None:
        statement = statement.where(chunk.start_ticks <= wanted.until_ticks)
    if wanted.first_call is not None:
        after_last = chunk.first_call + (chunk.rows - chunk.late_rows)
        statement = statement.where(after_last > wanted.first_call)
    if wanted.last_call is not None:
        statement = statement.where(chunk.first_call <= wanted.last_call, chunk.first_call > 0)
    heads = [ChunkHead(*row) for row in connection.execute(statement)]
    if wanted.functions is None or not heads:
        return heads
    holding = _chunks_holding(connection, process, wanted, {head.id for head in heads})
    return [head for head in heads if head.id in holding]


def _heads(process: int, thread: int) -> Select[Any]:
    chunk = models.Chunk.__table__
    return (
        select(chunk)
        .where(chunk.c.process_id == process, chunk.c.thread == thread)
        .order_by(chunk.c.number)
        .execution_options(yield_per=1000)
    )


def _chunks_holding(
    connection: Connection, process: int, wanted: ChunkFilter, candidates: set[int]
) -> set[int]:
    """Those of the candidates (a few others may be among them) that hold functions of the filter."""
    entry = models.ChunkFunction
    statement = select(entry.chunk_id).where(
        entry.process_id == process, entry.chunk_id.between(min(candidates), max(candidates))
    )
    if wanted.min_ticks:
        statement = statement.where(entry.max_ticks >= wanted.min_ticks)
    found: set[int] = set()
    # A few functions at a time, for common ones may soon be seen to be everywhere.
    for some in batches(sorted(wanted.functions or ()), 16):
        of_these = statement.where(entry.function.in_(some)).execution_options(yield_per=1000)
        rows: ScalarResult[int] = connection.execute(of_these).scalars()
        found.update(rows)
        if found >= candidates:
            break
    return found


def late_heads(
    connection: Connection, process: int, thread: int, first_call: int, last_call: int, after: int
) -> list[ChunkHead]:
    """The chunks of a thread with numbers above `after` whose late rows may be of calls in a range."""
    chunk = models.Chunk
    statement = _heads(process, thread).where(
        chunk.number > after,
        chunk.late_rows > 0,
        chunk.late_first_call <= last_call,
        chunk.late_last_call >= first_call,
    )
    return [ChunkHead(*row) for row in connection.execute(statement)]


def chunks(connection: Connection, ids: Sequence[int]) -> list[Chunk]:
    """The chunks with these ids, in the order given; those that are gone by now are left out.

    Head and columns are of the same moment, unlike with a head that was read before: a chunk may grow.
    """
    chunk, stored = models.Chunk, models.ChunkColumns
    statement = (
        select(chunk.__table__, stored.columns)
        .join(stored, stored.chunk_id == chunk.id)
        .where(chunk.id.in_(ids))
    )
    found = {row.id: Chunk(ChunkHead(*row[:-1]), row.columns) for row in connection.execute(statement)}
    return [found[chunk_id] for chunk_id in ids if chunk_id in found]


def chunk_with_values(connection: Connection, chunk_id: int) -> Chunk | None:
    """The chunk with this id, columns and values of the same moment; None where it is gone by now."""
    chunk, stored, values = models.Chunk, models.ChunkColumns, models.ChunkValues
    statement = (
        select(chunk.__table__, stored.columns, values.captured)
        .join(stored, stored.chunk_id == chunk.id)
        .join(values, values.chunk_id == chunk.id, isouter=True)
        .where(chunk.id == chunk_id)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else Chunk(ChunkHead(*row[:-2]), row.columns, row.captured)


def functions_in_chunks(
    connection: Connection, process: int, functions: Collection[int]
) -> list[FunctionInChunk]:
    """What chunks of a process hold of the functions, in the order of function and chunk."""
    entry = models.ChunkFunction
    found: list[FunctionInChunk] = []
    for some in batches(sorted(functions)):
        statement = (
            select(entry.function, entry.chunk_id, entry.calls, entry.max_ticks)
            .where(entry.process_id == process, entry.function.in_(some))
            .order_by(entry.function, entry.chunk_id)
            .execution_options(yield_per=1000)
        )
        found.extend(FunctionInChunk(*row) for row in connection.execute(statement))
    return found
