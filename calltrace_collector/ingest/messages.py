"""Protobuf messages become domain records; what cannot be is refused with ProtocolError."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from calltrace_collector import wire
from calltrace_collector.errors import ProtocolError
from calltrace_collector.model.process import ClockReading, Host, ModuleInfo, ProcessInfo, Segment, ThreadInfo
from calltrace_collector.symbols.globs import MAX_GLOBS_BYTES

__all__ = ["read_clock", "read_message", "read_module", "read_process", "read_thread"]

SESSION_ID_BYTES = 16
MAX_BUILD_ID_BYTES = 64
MAX_PID = 1 << 22
"""The kernel's own limit (PID_MAX_LIMIT)."""
MAX_SIGNED = (1 << 63) - 1


def read_message(encoded: bytes) -> wire.AgentMessage:
    """Decodes a message that is not a batch of events."""
    try:
        return wire.AgentMessage.FromString(encoded)
    except DecodeError:
        raise ProtocolError("the agent sent what is no AgentMessage") from None


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ProtocolError(f"the agent sent {what}")


def read_clock(clock: wire.Clock) -> ClockReading:
    """Reads a Clock message; all three values must fit a signed 64-bit number."""
    _require(
        max(clock.ticks, clock.monotonic_ns, clock.realtime_ns) <= MAX_SIGNED, "a clock beyond its range"
    )
    return ClockReading(clock.ticks, clock.monotonic_ns, clock.realtime_ns)


def read_process(process: wire.Process) -> ProcessInfo:
    """Reads a Process message."""
    _require(len(process.session_id) == SESSION_ID_BYTES, "a session id that is not 16 bytes long")
    _require(
        len(process.parent_session_id) in (0, SESSION_ID_BYTES),
        "a parent's session id that is not 16 bytes long",
    )
    _require(1 <= process.pid <= MAX_PID, f"the process id {process.pid}")
    _require(process.start_time_jiffies <= MAX_SIGNED, "a start time beyond its range")
    _require(process.fork_ticks <= MAX_SIGNED, "a fork beyond its clock's range")
    _require(
        len(process.capture.encode()) <= MAX_GLOBS_BYTES,
        f"more than {MAX_GLOBS_BYTES} bytes of patterns of functions to capture",
    )
    host = process.host
    return ProcessInfo(
        session_id=process.session_id,
        session_directory=process.session_directory,
        parent_session_id=process.parent_session_id,
        host=Host(host.name, host.machine_id, host.boot_id, host.kernel),
        pid=process.pid,
        parent_pid=process.parent_pid,
        executable=process.executable,
        arguments=tuple(process.arguments),
        working_directory=process.working_directory,
        user_id=process.user_id,
        start_time_jiffies=process.start_time_jiffies,
        clock=read_clock(process.clock),
        ticks_are_ns=process.clock_source == wire.CLOCK_SOURCE_MONOTONIC,
        agent_version=process.agent_version,
        architecture=process.architecture,
        max_depth=process.max_depth,
        drops=process.overflow == wire.OVERFLOW_DROP,
        parent_thread=process.parent_thread if process.has_fork_point else None,
        fork_ticks=process.fork_ticks,
        capture=process.capture,
    )


def read_thread(thread: wire.Thread) -> ThreadInfo:
    """Reads a Thread message."""
    _require(max(thread.started_ticks, thread.ended_ticks) <= MAX_SIGNED, "a thread's time beyond its range")
    return ThreadInfo(
        number=thread.number,
        tid=thread.tid,
        name=thread.name,
        started_ticks=thread.started_ticks,
        ended_ticks=thread.ended_ticks,
        stack_base=thread.stack_base,
        creator_tid=thread.creator_tid,
    )


def read_module(module: wire.Module) -> ModuleInfo:
    """Reads a Module message."""
    _require(len(module.build_id) <= MAX_BUILD_ID_BYTES, "a build-id of more than 64 bytes")
    _require(
        max(module.loaded_ticks, module.unloaded_ticks) <= MAX_SIGNED, "a module's time beyond its range"
    )
    return ModuleInfo(
        number=module.number,
        path=module.path,
        build_id=module.build_id,
        load_bias=module.load_bias,
        segments=tuple(Segment(s.address, s.size_bytes, s.file_offset, s.flags) for s in module.segments),
        loaded_ticks=module.loaded_ticks,
        unloaded_ticks=module.unloaded_ticks,
    )
