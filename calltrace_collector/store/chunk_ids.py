"""Ids of chunks: the hour in which a chunk is first stored, then a number that counts up.

So chunks are stored in the order of their ids, several collectors can write at once, and a range of ids is a
range of time, by which PostgreSQL partitions the tables that grow.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, select

from calltrace_collector.store.engine import is_sqlite
from calltrace_collector.store.models import Chunk
from calltrace_collector.store.models.chunk import CHUNK_SEQUENCE

_NUMBER_BITS = 28
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1


def first_id_of_hour(unix_seconds: float) -> int:
    """The smallest id of a chunk stored in the hour of this time."""
    return int(unix_seconds) // 3600 << _NUMBER_BITS


def new_chunk_ids(connection: Connection, count: int) -> list[int]:
    """Returns `count` ids that no chunk has, in rising order; call it within the writing transaction."""
    first = first_id_of_hour(time.time())
    if is_sqlite(connection):
        # This transaction is the only one that writes.
        highest = connection.scalar(select(func.max(Chunk.id))) or 0
        first = max(first, highest + 1)
        return list(range(first, first + count))
    statement = select(CHUNK_SEQUENCE.next_value()).select_from(func.generate_series(1, count).alias())
    return sorted(first | number & _NUMBER_MASK for number in connection.scalars(statement))
