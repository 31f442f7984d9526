"""Processes, their hosts and clocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import (
    BigInteger,
    Connection,
    ScalarSelect,
    Update,
    bindparam,
    case,
    cast,
    func,
    select,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute

from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import Commit
from calltrace_collector.model.process import ClockReading, Host, ProcessInfo, ProcessState
from calltrace_collector.store import models
from calltrace_collector.store.types import U64
from calltrace_collector.store.write.upsert import insert_missing, upsert


def find_process(connection: Connection, session_id: bytes) -> int | None:
    """The id of the process with this session id, if it is stored."""
    return connection.scalar(select(models.Process.id).where(models.Process.session_id == session_id))


def store_process(connection: Connection, info: ProcessInfo) -> int:
    """Stores a process that begins, unless it is there already; returns its id."""
    row = {
        "session_id": info.session_id,
        "parent_session_id": info.parent_session_id,
        "session_directory": info.session_directory,
        "host_id": _store_host(connection, info.host),
        "boot_id": info.host.boot_id,
        "kernel": info.host.kernel,
        "pid": info.pid,
        "parent_pid": info.parent_pid,
        "user_id": info.user_id,
        "start_time_jiffies": info.start_time_jiffies,
        "executable": info.executable,
        "arguments": list(info.arguments),
        "working_directory": info.working_directory,
        "architecture": info.architecture,
        "agent_version": info.agent_version,
        "ticks_are_ns": info.ticks_are_ns,
        "max_depth": info.max_depth,
        "drops": info.drops,
        "parent_thread": info.parent_thread,
        "fork_ticks": info.fork_ticks,
        "started_at_ns": info.clock.realtime_ns,
        "state": ProcessState.RUNNING.value,
        "sequence": 0,
        "threads": 0,
        "calls": 0,
        "lost_events": 0,
    }
    insert_missing(connection, models.Process, [row], keys=("session_id",))
    process = find_process(connection, info.session_id)
    if process is None:
        raise StoreError(f"process {info.pid} was deleted from the database while it was stored")
    store_clocks(connection, [(process, info.clock)])
    return process


def _store_host(connection: Connection, host: Host) -> int:
    identity = host.machine_id or f"name:{host.name}"
    row = {"identity": identity, "name": host.name, "machine_id": host.machine_id}
    upsert(connection, models.Host, [row], keys=("identity",))
    found: int = connection.execute(
        select(models.Host.id).where(models.Host.identity == identity)
    ).scalar_one()
    return found


def store_clocks(connection: Connection, readings: Sequence[tuple[int, ClockReading]]) -> None:
    """Stores (process, reading) pairs."""
    rows = [
        {
            "process_id": process,
            "ticks": reading.ticks,
            "monotonic_ns": reading.monotonic_ns,
            "realtime_ns": reading.realtime_ns,
        }
        for process, reading in readings
    ]
    upsert(connection, models.Clock, rows)


def lock_processes(connection: Connection, processes: Sequence[int]) -> None:
    """Keeps other collectors from writing to the same processes; StoreError where one isn't stored."""
    statement = select(models.Process.id).where(models.Process.id.in_(processes))
    found = set(connection.scalars(statement.order_by(models.Process.id).with_for_update()))
    missing = sorted(set(processes) - found)
    if missing:
        raise StoreError(f"process {missing[0]} is not in the database: was it deleted?")


def finish_commits(connection: Connection, commits: Sequence[Commit]) -> None:
    """Brings the rows of processes up to date, after all else of their commits is stored."""
    rows = [{"its_id": commit.process, "its_sequence": commit.sequence} for commit in commits]
    if rows:
        connection.execute(_progress(), rows)
    ends = [
        {
            "its_id": commit.process,
            "state": commit.end.state.value,
            "exit_code": commit.end.exit_code,
            "signal": commit.end.signal,
            "ended_at_ns": commit.end.ended_at_ns,
        }
        for commit in commits
        if commit.end is not None
    ]
    if ends:
        connection.execute(update(models.Process).where(models.Process.id == bindparam("its_id")), ends)


@cache
def _progress() -> Update:
    new = bindparam("its_sequence", type_=U64())
    return (
        update(models.Process)
        .where(models.Process.id == bindparam("its_id"))
        .values(
            sequence=case((models.Process.sequence < new, new), else_=models.Process.sequence),
            threads=select(func.count())
            .where(models.Thread.process_id == models.Process.id, models.Thread.stack_of.is_(None))
            .scalar_subquery(),
            calls=_sum_over_threads(models.Thread.calls),
            lost_events=_sum_over_threads(models.Thread.dropped),
        )
    )


def _sum_over_threads(column: InstrumentedAttribute[int]) -> ScalarSelect[int]:
    total = cast(func.coalesce(func.sum(column), 0), BigInteger)
    return select(total).where(models.Thread.process_id == models.Process.id).scalar_subquery()
