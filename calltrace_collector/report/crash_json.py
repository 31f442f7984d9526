"""Crashes as JSON has them."""

from __future__ import annotations

from typing import Any

from calltrace_collector.model.crash import CrashFrame
from calltrace_collector.query.crashes import CrashReport, ThreadAtCrash
from calltrace_collector.query.moment import PastCall
from calltrace_collector.query.recording import Recording
from calltrace_collector.report.jsonl import THREAD_SHIFT
from calltrace_collector.report.processes import process_fields
from calltrace_collector.report.units import rfc3339
from calltrace_collector.store.records import StoredCrash, ThreadRecord


def crash_fields(crash: StoredCrash) -> dict[str, Any]:
    """Returns what the list of crashes says of one."""
    return {
        "process": crash.process,
        "pid": crash.pid,
        "host": crash.host,
        "exe": crash.executable,
        "crash_time": rfc3339(crash.crashed_at_ns),
        "crash_timestamp": crash.crashed_at_ns,
        "reason": crash.reason or None,
        "signal": crash.signal,
        "signal_name": crash.signal_name,
        "code": crash.code,
        "code_name": crash.code_name,
        "fault_address": _hex(crash.fault_address),
        "thread_id": crash.tid,
        "thread_name": crash.thread_name,
        "handled": crash.handled,
    }


def report_fields(report: CrashReport) -> dict[str, Any]:
    """Returns all that is known of a crash."""
    crash, recording = report.crash, report.recording
    process = process_fields(recording.process)
    return {
        **crash_fields(crash),
        "thread": crash.thread,
        "code_meaning": crash.code_meaning,
        "fault_description": crash.fault_description,
        "sender_pid": crash.sender_pid,
        "exception": None
        if report.exception_type is None
        else {"type": report.exception_type, "what": crash.exception_what},
        "abort_message": crash.abort_message or None,
        "argv": process["argv"],
        "state": process["state"],
        "exit_code": process["exit_code"],
        "end_signal": process["signal"],
        "register_context": crash.registers,
        "backtrace": [_frame(frame, crash) for frame in report.frames],
        "unwound_until": crash.unwound_until or None,
        "incomplete": crash.incomplete or None,
        "open_calls": [_thread(recording, each) for each in report.threads],
        "last_calls": [_call(recording, crash.thread or 0, call) for call in report.last_calls],
    }


def _hex(address: int | None) -> str | None:
    return None if address is None else f"{address:#x}"


def _frame(frame: CrashFrame, crash: StoredCrash) -> dict[str, Any]:
    is_traced = frame.call is not None and crash.thread is not None
    return {
        "address": _hex(frame.address),
        "function_name": frame.function,
        "linkage_name": frame.linkage_name,
        "function_offset": _hex(frame.function_offset),
        "library_name": frame.module,
        "offset": _hex(frame.module_offset),
        "file": frame.file,
        "line": frame.line,
        "inlined": frame.inlined,
        "signal_frame": frame.is_signal_frame,
        "call": _number(crash.thread or 0, frame.call or 0) if is_traced else None,
    }


def _thread(recording: Recording, at_crash: ThreadAtCrash) -> dict[str, Any]:
    thread: ThreadRecord = at_crash.thread
    return {
        "thread": thread.number,
        "thread_id": thread.tid,
        "thread_name": thread.name,
        "stack_of": thread.stack_of,
        "crashed": at_crash.crashed,
        "calls": [_call(recording, thread.number, call) for call in at_crash.calls],
    }


def _call(recording: Recording, thread: int, call: PastCall) -> dict[str, Any]:
    function = recording.names.function(call.site)
    site = recording.names.sites[call.site]
    return {
        "call": _number(thread, call.call),
        "depth": call.depth,
        "function": function.name,
        "module": function.module,
        "file": function.file,
        "line": function.line,
        "call_site": {"function": site.caller, "file": site.file, "line": site.line},
        "start_ns": call.start_ns,
        "before_crash_ns": call.since_ns,
        "duration_ns": call.duration_ns,
    }


def _number(thread: int, call: int) -> int:
    return (thread << THREAD_SHIFT) + call
