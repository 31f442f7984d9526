"""What grows with the calls of a process.

The four tables chunk, chunk_columns, chunk_values and chunk_function can be partitioned by time: their keys
hold the chunk's id, whose upper bits are the hour in which it was first stored (chunk_ids.py), so that a
partition is a range of ids and dropping one drops all that was stored in those hours. For the same reason
nothing refers to them, and they refer to nothing: what deletes a process deletes its rows here as well.
"""

from __future__ import annotations

from sqlalchemy import Index, Sequence
from sqlalchemy.orm import Mapped

from calltrace_collector.store.models.base import Base, given_id, number_key, u64


class Chunk(Base):
    """Calls of a thread; ChunkRow in model/ describes the columns.

    Only the chunk that a thread is filling is ever replaced. `max_ticks` is the longest duration among
    its completed calls.
    """

    __tablename__ = "chunk"
    # Not unique, for a partitioned table's unique keys hold what it is partitioned by; the writer sees to it.
    __table_args__ = (Index(None, "process_id", "thread", "number"),)

    id: Mapped[given_id]
    process_id: Mapped[int]
    thread: Mapped[int]
    number: Mapped[int]
    rows: Mapped[int]
    late_rows: Mapped[int]
    open_rows: Mapped[int]
    min_depth: Mapped[int]
    max_depth: Mapped[int]
    first_call: Mapped[u64]
    late_first_call: Mapped[u64]
    late_last_call: Mapped[u64]
    base_call: Mapped[u64]
    start_ticks: Mapped[u64]
    end_ticks: Mapped[u64]
    max_ticks: Mapped[u64]


CHUNK_SEQUENCE = Sequence("chunk_sequence", metadata=Base.metadata)
"""Counts chunks on PostgreSQL, where several collectors write at once; SQLite has no sequences."""


class ChunkColumns(Base):
    """A chunk's columns, zstd-compressed; apart from the chunk, so that scans over chunks read few pages."""

    __tablename__ = "chunk_columns"

    chunk_id: Mapped[given_id]
    columns: Mapped[bytes]


class ChunkValues(Base):
    """What was captured of a chunk's calls, zstd-compressed; a chunk of which nothing was has no row."""

    __tablename__ = "chunk_values"

    chunk_id: Mapped[given_id]
    captured: Mapped[bytes]


class ChunkFunction(Base):
    """Completed calls of a function in a chunk. Ordered so that a function's chunks are one range."""

    __tablename__ = "chunk_function"
    __table_args__ = ({"sqlite_with_rowid": False},)

    process_id: Mapped[number_key]
    function: Mapped[number_key]
    chunk_id: Mapped[number_key]
    calls: Mapped[int]
    max_ticks: Mapped[u64]
