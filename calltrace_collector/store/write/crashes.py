"""Crashes, as they are recorded and as they are understood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zstandard
from sqlalchemy import Connection, delete

from calltrace_collector.model.commit import Commit, CrashRow
from calltrace_collector.model.crash import CrashFrame
from calltrace_collector.store import models
from calltrace_collector.store.write.upsert import upsert


def store_crashes(connection: Connection, commits: Sequence[Commit]) -> None:
    """Stores crashes with their stack traces, in place of what was known of them before."""
    crashes = [(commit.process, commit.crash) for commit in commits if commit.crash is not None]
    if not crashes:
        return
    upsert(connection, models.Crash, [_row(process, crash) for process, crash in crashes])
    frame = models.CrashFrame
    connection.execute(delete(frame).where(frame.process_id.in_([process for process, _ in crashes])))
    frames = [
        _frame_row(process, number, frame)
        for process, crash in crashes
        if crash.analysis is not None
        for number, frame in enumerate(crash.analysis.frames)
    ]
    upsert(connection, models.CrashFrame, frames)


def _row(process: int, crash: CrashRow) -> dict[str, Any]:
    record, analysis = crash.record, crash.analysis
    exception = record.exception
    registers = {name: f"{value:#x}" for name, value in record.registers_by_name().items()}
    return {
        "process_id": process,
        "thread": record.thread,
        "tid": record.tid,
        "thread_name": record.thread_name,
        "signal": record.signal,
        "signal_name": record.signal_name,
        "code": record.code,
        "fault_address": record.its_fault_address,
        "sender_pid": record.sender,
        "ticks": record.clock.ticks,
        "crashed_at_ns": crash.crashed_at_ns,
        "registers": registers,
        "exception_type": exception.type_name if exception else None,
        "exception_what": exception.what if exception else None,
        "abort_message": record.abort_message,
        "handled": record.handled,
        "incomplete": record.incomplete,
        "is_analyzed": analysis is not None,
        "code_name": analysis.code_name if analysis else "",
        "code_meaning": analysis.code_meaning if analysis else "",
        "fault_description": analysis.fault_description if analysis else "",
        "reason": analysis.reason if analysis else "",
        "unwound_until": analysis.unwound_until if analysis else "",
        "record": zstandard.ZstdCompressor().compress(record.encoded),
    }


def _frame_row(process: int, number: int, frame: CrashFrame) -> dict[str, Any]:
    return {
        "process_id": process,
        "number": number,
        "address": frame.address,
        "function": frame.function,
        "linkage_name": frame.linkage_name,
        "module": frame.module,
        "module_offset": frame.module_offset,
        "function_offset": frame.function_offset,
        "file": frame.file,
        "line": frame.line,
        "inlined": frame.inlined,
        "call": frame.call,
        "is_signal_frame": frame.is_signal_frame,
    }
