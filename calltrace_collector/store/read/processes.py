"""Processes, and what their clocks showed."""

from __future__ import annotations

from sqlalchemy import Connection, ScalarSelect, func, or_, select
from sqlalchemy.orm import aliased

from calltrace_collector.model.process import ClockReading, ProcessState
from calltrace_collector.store import models
from calltrace_collector.store.records import ProcessRecord


def processes(
    connection: Connection, *, process: int | None, pid: int | None, host: str | None, limit: int | None
) -> list[ProcessRecord]:
    """The processes that match all that is given, newest first."""
    forked_from = aliased(models.Process)
    statement = (
        select(
            models.Process.__table__,
            models.Host.name.label("host"),
            models.Host.machine_id,
            func.coalesce(forked_from.id, _image_before()).label("parent"),
        )
        .join(models.Host, models.Host.id == models.Process.host_id)
        .join(forked_from, forked_from.session_id == models.Process.parent_session_id, isouter=True)
        .order_by(models.Process.started_at_ns.desc(), models.Process.id.desc())
        .limit(limit)
    )
    if process is not None:
        statement = statement.where(models.Process.id == process)
    if pid is not None:
        statement = statement.where(models.Process.pid == pid)
    if host is not None:
        statement = statement.where(or_(models.Host.name == host, models.Host.machine_id == host))
    found = []
    for row in connection.execute(statement):
        values = dict(row._mapping)
        del values["host_id"]
        values["arguments"] = tuple(values["arguments"])
        values["state"] = ProcessState(values["state"])
        found.append(ProcessRecord(**values))
    return found


def _image_before() -> ScalarSelect[int]:
    """The image that a process was before it called exec: it has the same pid and the same start."""
    this, before = models.Process, aliased(models.Process)
    return (
        select(before.id)
        .where(
            before.pid == this.pid,
            before.host_id == this.host_id,
            before.boot_id == this.boot_id,
            before.start_time_jiffies == this.start_time_jiffies,
            this.start_time_jiffies != 0,
            before.started_at_ns < this.started_at_ns,
        )
        .order_by(before.started_at_ns.desc())
        .limit(1)
        .correlate(this)
        .scalar_subquery()
    )


def clock_readings(connection: Connection, process: int) -> list[ClockReading]:
    """What a process's clocks showed, in the order of ticks."""
    clock = models.Clock
    statement = select(clock.ticks, clock.monotonic_ns, clock.realtime_ns)
    rows = connection.execute(statement.where(clock.process_id == process).order_by(clock.ticks))
    return [ClockReading(*row) for row in rows]


def boot_readings(connection: Connection, process: int) -> list[ClockReading]:
    """The first and the last reading by any process of the same boot of the same machine.

    All processes of a boot read the same time stamp counter, so these tell its rate. Empty when it isn't
    known which boot that was, or the process's ticks are nanoseconds.
    """
    mine, other, clock = models.Process, aliased(models.Process), models.Clock
    readings = (
        select(clock.ticks, clock.monotonic_ns, clock.realtime_ns)
        .join(other, other.id == clock.process_id)
        .join(mine, (mine.host_id == other.host_id) & (mine.boot_id == other.boot_id))
        .where(mine.id == process, mine.boot_id != "", ~mine.ticks_are_ns, ~other.ticks_are_ns)
    )
    ends = (clock.ticks.asc(), clock.ticks.desc())
    found = [connection.execute(readings.order_by(end).limit(1)).one_or_none() for end in ends]
    return [ClockReading(*row) for row in found if row is not None]
