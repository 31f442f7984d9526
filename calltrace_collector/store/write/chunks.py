"""Chunks of calls, and which functions they hold."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, tuple_

from calltrace_collector.model.commit import ChunkRow, Commit
from calltrace_collector.store import models
from calltrace_collector.store.batches import batches
from calltrace_collector.store.chunk_ids import new_chunk_ids
from calltrace_collector.store.types import signed
from calltrace_collector.store.write.upsert import upsert, upsert_tuples

_Key = tuple[int, int, int]


def store_chunks(connection: Connection, commits: Sequence[Commit]) -> None:
    """Stores chunks; one with the process, thread and number of an earlier one replaces it.

    A function that the earlier one held stays in the index, which only points to chunks to look into.
    """
    chunks = {
        (commit.process, chunk.thread, chunk.number): chunk for commit in commits for chunk in commit.chunks
    }
    if not chunks:
        return
    ids = _ids(connection, list(chunks))
    rows = [_chunk_row(ids[key], key[0], chunk) for key, chunk in chunks.items()]
    upsert(connection, models.Chunk, rows)
    columns = [{"chunk_id": ids[key], "columns": chunk.columns} for key, chunk in chunks.items()]
    upsert(connection, models.ChunkColumns, columns)
    values = [
        {"chunk_id": ids[key], "captured": chunk.values} for key, chunk in chunks.items() if chunk.values
    ]
    upsert(connection, models.ChunkValues, values)
    functions = [
        (key[0], function, ids[key], calls, signed(max_ticks))
        for key, chunk in chunks.items()
        for function, calls, max_ticks in chunk.functions
    ]
    names = ("process_id", "function", "chunk_id", "calls", "max_ticks")
    upsert_tuples(connection, models.ChunkFunction, names, functions)


def _ids(connection: Connection, keys: Sequence[_Key]) -> dict[_Key, int]:
    """The chunks' ids: those they are stored under, or new ones in the order given."""
    chunk = models.Chunk
    key = (chunk.process_id, chunk.thread, chunk.number)
    ids: dict[_Key, int] = {}
    for some in batches(keys):
        statement = select(chunk.id, *key).where(tuple_(*key).in_(some))
        for stored, *its_key in connection.execute(statement):
            process, thread, number = its_key
            ids[process, thread, number] = stored
    new = [key for key in keys if key not in ids]
    ids.update(zip(new, new_chunk_ids(connection, len(new)), strict=True))
    return ids


def _chunk_row(chunk_id: int, process: int, chunk: ChunkRow) -> dict[str, int]:
    return {
        "id": chunk_id,
        "process_id": process,
        "thread": chunk.thread,
        "number": chunk.number,
        "rows": chunk.rows,
        "late_rows": chunk.late_rows,
        "open_rows": chunk.open_rows,
        "min_depth": chunk.min_depth,
        "max_depth": chunk.max_depth,
        "first_call": chunk.first_call,
        "late_first_call": chunk.late_first_call,
        "late_last_call": chunk.late_last_call,
        "base_call": chunk.base_call,
        "start_ticks": chunk.start_ticks,
        "end_ticks": chunk.end_ticks,
        "max_ticks": max((longest for _, _, longest in chunk.functions), default=0),
    }
