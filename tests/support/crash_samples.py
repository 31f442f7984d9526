"""Crashes made by hand: the agent's message, the record, and what an analyzer might make of it."""

from __future__ import annotations

from typing import Any

from calltrace_collector import wire
from calltrace_collector.model.crash import CrashAnalysis, CrashFrame, CrashRecord
from calltrace_collector.model.process import ClockReading

CLOCK = ClockReading(ticks=5_000_000, monotonic_ns=2_000_000, realtime_ns=1_700_000_000_001_000_000)
GENERAL = (*range(0x1000, 0x1010), 0x5555_0000_1234)


def crash_message(**changes: Any) -> wire.Crash:
    """What the agent writes when a program reads address 0x10."""
    values: dict[str, Any] = {
        "has_thread": True,
        "thread": 0,
        "tid": 4242,
        "thread_name": "worker",
        "signal": 11,
        "code": 1,
        "fault_address": 0x10,
        "clock": wire.Clock(
            ticks=CLOCK.ticks, monotonic_ns=CLOCK.monotonic_ns, realtime_ns=CLOCK.realtime_ns
        ),
        "registers": wire.Registers(
            general=GENERAL,
            flags=0x10202,
            fs_base=0x7FFF_1000,
            segments=0x2B_0000_0000_0033,
            fxsave=b"x" * 512,
        ),
        "memory": [wire.MemoryRange(address=0x1007, content=b"stack")],
        "maps": "555500000000-555500002000 r-xp 00000000 00:00 1 /usr/bin/prog\n",
        "trap_number": 14,
        "trap_error": 4,
    }
    return wire.Crash(**{**values, **changes})


def crash_record(**changes: Any) -> CrashRecord:
    """The same, read."""
    values: dict[str, Any] = {
        "thread": 0,
        "tid": 4242,
        "thread_name": "worker",
        "signal": 11,
        "code": 1,
        "error_number": 0,
        "fault_address": 0x10,
        "sender_pid": 0,
        "sender_user_id": 0,
        "clock": CLOCK,
        "registers": GENERAL,
        "flags": 0x10202,
        "fs_base": 0x7FFF_1000,
        "gs_base": 0,
        "segments": 0x2B_0000_0000_0033,
        "fxsave": b"x" * 512,
        "trap_number": 14,
        "trap_error": 4,
        "memory": (),
        "maps": "",
        "memory_cut": False,
        "handled": False,
        "exception": None,
        "abort_message": "",
        "incomplete": "",
        "encoded": crash_message().SerializeToString(),
    }
    return CrashRecord(**{**values, **changes})


def crash_frame(function: str | None = "f", **changes: Any) -> CrashFrame:
    """A frame in /opt/prog/prog."""
    values: dict[str, Any] = {
        "address": 0x5555_0000_1234,
        "function": function,
        "linkage_name": function,
        "module": "/opt/prog/prog",
        "module_offset": 0x1234,
        "function_offset": 4,
        "file": "/src/prog.c",
        "line": 7,
        "inlined": False,
        "call": None,
    }
    return CrashFrame(**{**values, **changes})


def crash_analysis(*frames: CrashFrame, **changes: Any) -> CrashAnalysis:
    """What an analyzer might say."""
    values: dict[str, Any] = {
        "reason": "SIGSEGV: read of address 0x10 in f() at prog.c:7",
        "signal_name": "SIGSEGV",
        "code_name": "SEGV_MAPERR",
        "code_meaning": "address not mapped",
        "fault_description": "NULL page",
        "frames": frames or (crash_frame(),),
        "unwound_until": "",
    }
    return CrashAnalysis(**{**values, **changes})
