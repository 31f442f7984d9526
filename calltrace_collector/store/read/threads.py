"""Threads and their losses."""

from __future__ import annotations

from sqlalchemy import Connection, literal, select, tuple_

from calltrace_collector.model.commit import Loss
from calltrace_collector.store import models
from calltrace_collector.store.records import ThreadRecord


def threads(connection: Connection, process: int) -> list[ThreadRecord]:
    """The threads of a process, in the order of their numbers."""
    thread = models.Thread.__table__
    rows = connection.execute(select(thread).where(thread.c.process_id == process).order_by(thread.c.number))
    return [ThreadRecord(*row) for row in rows]


LossKey = tuple[int, int, int, int, int]
"""Thread, ticks, call, kind and count of a loss: where in their order it stands."""

FIRST_LOSS: LossKey = (-1, 0, 0, 0, 0)


def losses(
    connection: Connection, process: int, thread: int | None, after: LossKey, limit: int
) -> list[tuple[Loss, int]]:
    """Gaps of a process, or of one of its threads, behind a place in their order, each with its number."""
    loss = models.Loss
    order = (loss.thread, loss.ticks, loss.call, loss.kind, loss.count)
    place = (literal(value, column.type) for value, column in zip(after, order, strict=True))
    statement = (
        select(loss.thread, loss.ticks, loss.call, loss.kind, loss.count, loss.times)
        .where(loss.process_id == process, tuple_(*order) > tuple_(*place))
        .order_by(*order)
        .limit(limit)
    )
    if thread is not None:
        statement = statement.where(loss.thread == thread)
    return [
        (Loss(thread=thread, kind=kind, call=call, ticks=ticks, count=count), times)
        for thread, ticks, call, kind, count, times in connection.execute(statement)
    ]
