"""Processes and their threads."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from calltrace_collector.store.models.base import (
    Base,
    number_key,
    of_thread,
    process_key,
    row_id,
    u64,
    u64_key,
)


class Host(Base):
    """A machine. `identity` is its machine id or, without one, its name after a "name:"."""

    __tablename__ = "host"

    id: Mapped[row_id]
    identity: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    machine_id: Mapped[str]


class Process(Base):
    """An image of a process: exec begins another one.

    `sequence` is the last message of its stream that is stored; calls, threads and lost_events are sums
    over its threads, kept by the writer.
    """

    __tablename__ = "process"
    __table_args__ = (
        Index(None, "host_id", "started_at_ns"),
        Index(None, "pid", "started_at_ns"),
        Index(None, "started_at_ns"),
        {"sqlite_autoincrement": True},  # an id is never used again, so that a note of it stays true
    )

    id: Mapped[row_id]
    session_id: Mapped[bytes] = mapped_column(unique=True)
    parent_session_id: Mapped[bytes]
    session_directory: Mapped[str]
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    boot_id: Mapped[str]
    kernel: Mapped[str]
    pid: Mapped[int]
    parent_pid: Mapped[int]
    user_id: Mapped[int]
    start_time_jiffies: Mapped[u64]
    executable: Mapped[str]
    arguments: Mapped[list[str]] = mapped_column(JSON)
    working_directory: Mapped[str]
    architecture: Mapped[str]
    agent_version: Mapped[str]
    ticks_are_ns: Mapped[bool]
    max_depth: Mapped[int]
    drops: Mapped[bool]
    parent_thread: Mapped[int | None]
    fork_ticks: Mapped[u64] = mapped_column(default=0, server_default="0")
    started_at_ns: Mapped[u64]
    ended_at_ns: Mapped[u64 | None]
    state: Mapped[str]
    exit_code: Mapped[int | None]
    signal: Mapped[int | None]
    sequence: Mapped[u64]
    threads: Mapped[int]
    calls: Mapped[u64]
    lost_events: Mapped[u64]


class Clock(Base):
    """A reading of a process's three clocks."""

    __tablename__ = "clock"
    __table_args__ = ({"sqlite_with_rowid": False},)

    process_id: Mapped[process_key]
    ticks: Mapped[u64_key]
    monotonic_ns: Mapped[u64]
    realtime_ns: Mapped[u64]


class Thread(Base):
    """A thread: what it is, and how far its trace has come."""

    __tablename__ = "thread"
    __table_args__ = ({"sqlite_with_rowid": False},)

    process_id: Mapped[process_key]
    number: Mapped[number_key]
    tid: Mapped[int]
    name: Mapped[str]
    started_ticks: Mapped[u64]
    ended_ticks: Mapped[u64]
    stack_base: Mapped[u64]
    creator_tid: Mapped[int] = mapped_column(default=0, server_default="0")
    stack_of: Mapped[int | None] = mapped_column(default=None)
    stack_bytes: Mapped[u64] = mapped_column(default=0, server_default="0")
    calls: Mapped[u64] = mapped_column(default=0)
    last_ticks: Mapped[u64] = mapped_column(default=0)
    ring_end: Mapped[u64] = mapped_column(default=0)
    dropped: Mapped[u64] = mapped_column(default=0)
    orphan_exits: Mapped[u64] = mapped_column(default=0)
    cut: Mapped[u64] = mapped_column(default=0)
    folded: Mapped[u64] = mapped_column(default=0)
    depth: Mapped[int] = mapped_column(default=0)
    next_chunk: Mapped[int] = mapped_column(default=0)


class ThreadStack(Base):
    """A part of a thread's stack of open calls (StackPart), zstd-compressed."""

    __tablename__ = "thread_stack"
    __table_args__ = (of_thread(),)

    process_id: Mapped[number_key]
    thread: Mapped[number_key]
    part: Mapped[number_key]
    frames: Mapped[bytes]


class ThreadProfile(Base):
    """A thread's profile as the core encodes it, zstd-compressed."""

    __tablename__ = "thread_profile"
    __table_args__ = (of_thread(),)

    process_id: Mapped[number_key]
    thread: Mapped[number_key]
    profile: Mapped[bytes]


class Loss(Base):
    """A gap in a thread's trace (Loss in model/); `times` counts gaps that are equal in all columns.

    The key is the gap itself, so that what is stored again is stored once.
    """

    __tablename__ = "loss"
    __table_args__ = (of_thread(), {"sqlite_with_rowid": False})

    process_id: Mapped[number_key]
    thread: Mapped[number_key]
    ticks: Mapped[u64_key]
    call: Mapped[u64_key]
    kind: Mapped[number_key]
    count: Mapped[u64_key]
    times: Mapped[int] = mapped_column(default=1)
