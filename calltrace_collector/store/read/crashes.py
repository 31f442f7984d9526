"""Crashes, newest first, and their stack traces."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, or_, select

from calltrace_collector.model.crash import CrashFrame
from calltrace_collector.store import models
from calltrace_collector.store.compression import decompress
from calltrace_collector.store.records import StoredCrash

RECORD_LIMIT_BYTES = 1 << 28


def crashes(
    connection: Connection,
    *,
    process: int | None,
    pid: int | None,
    host: str | None,
    since_ns: int | None,
    until_ns: int | None,
    limit: int | None,
) -> list[StoredCrash]:
    """The crashes that match all that is given, newest first."""
    crash, its, machine = models.Crash, models.Process, models.Host
    columns = [column for column in crash.__table__.c if column.name != "record"]
    statement: Select[Any] = (
        select(*columns, its.pid, machine.name, its.executable)
        .join(its, its.id == crash.process_id)
        .join(machine, machine.id == its.host_id)
        .order_by(crash.crashed_at_ns.desc(), crash.process_id.desc())
        .limit(limit)
    )
    if process is not None:
        statement = statement.where(crash.process_id == process)
    if pid is not None:
        statement = statement.where(its.pid == pid)
    if host is not None:
        statement = statement.where(or_(machine.name == host, machine.machine_id == host))
    if since_ns is not None:
        statement = statement.where(crash.crashed_at_ns >= since_ns)
    if until_ns is not None:
        statement = statement.where(crash.crashed_at_ns <= until_ns)
    return [StoredCrash(*row) for row in connection.execute(statement)]


def frames(connection: Connection, process: int) -> list[CrashFrame]:
    """The stack trace of a process's crash, innermost frame first."""
    frame = models.CrashFrame.__table__.c
    columns = [column for column in frame if column.name not in ("process_id", "number")]
    statement = select(*columns).where(frame.process_id == process).order_by(frame.number)
    return [CrashFrame(*row) for row in connection.execute(statement)]


def encoded(connection: Connection, process: int) -> bytes | None:
    """The agent's message about a process's crash; None: there is none."""
    crash = models.Crash
    packed = connection.scalar(select(crash.record).where(crash.process_id == process))
    return None if packed is None else decompress(packed, RECORD_LIMIT_BYTES)
