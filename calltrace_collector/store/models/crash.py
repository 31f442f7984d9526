"""Crashes and the stack traces that were made of them."""

from __future__ import annotations

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from calltrace_collector.store.models.base import Base, number_key, process_key, u64


class Crash(Base):
    """How a process crashed; CrashRecord and CrashAnalysis in model/ say what is what.

    `thread` is null where the crashing thread made no traced call, `fault_address` where the signal has no
    address. `registers` maps names to hexadecimal numbers; empty: there are none. What the analysis says
    (code_name to unwound_until) is empty while `is_analyzed` is false. `record` is the agent's message,
    zstd-compressed, so that it can be analyzed again.
    """

    __tablename__ = "crash"
    __table_args__ = (Index(None, "crashed_at_ns"),)

    process_id: Mapped[process_key]
    thread: Mapped[int | None]
    tid: Mapped[int]
    thread_name: Mapped[str]
    signal: Mapped[int]
    signal_name: Mapped[str]
    code: Mapped[int]
    fault_address: Mapped[u64 | None]
    sender_pid: Mapped[int | None]
    ticks: Mapped[u64]
    crashed_at_ns: Mapped[u64]
    registers: Mapped[dict[str, str]] = mapped_column(JSON)
    exception_type: Mapped[str | None]
    exception_what: Mapped[str | None]
    abort_message: Mapped[str]
    handled: Mapped[bool]
    incomplete: Mapped[str]
    is_analyzed: Mapped[bool]
    code_name: Mapped[str]
    code_meaning: Mapped[str]
    fault_description: Mapped[str]
    reason: Mapped[str]
    unwound_until: Mapped[str]
    record: Mapped[bytes]


class CrashFrame(Base):
    """A frame of a crash's stack trace, 0 is the innermost one; CrashFrame in model/ says what is what."""

    __tablename__ = "crash_frame"
    __table_args__ = ({"sqlite_with_rowid": False},)

    process_id: Mapped[process_key]
    number: Mapped[number_key]
    address: Mapped[u64]
    function: Mapped[str | None]
    linkage_name: Mapped[str | None]
    module: Mapped[str | None]
    module_offset: Mapped[u64 | None]
    function_offset: Mapped[u64 | None]
    file: Mapped[str | None]
    line: Mapped[int | None]
    inlined: Mapped[bool]
    call: Mapped[u64 | None]
    is_signal_frame: Mapped[bool]
