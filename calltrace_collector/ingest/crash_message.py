"""An agent's Crash message becomes a record; what cannot be is refused with ProtocolError."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from calltrace_collector import wire
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.messages import MAX_PID, read_clock
from calltrace_collector.model.crash import REGISTER_NAMES, CrashRecord, MemoryRange, UncaughtException

__all__ = ["read_crash"]

FXSAVE_BYTES = 512
MAX_SIGNAL = 64
MAX_MEMORY_RANGES = 1 << 12
_ADDRESS_SPACE = 1 << 64


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ProtocolError(f"the record of the crash has {what}")


def read_crash(encoded: bytes) -> CrashRecord:
    """Reads a Crash message.

    Raises:
        ProtocolError: it is none, or has values that no agent writes.
    """
    try:
        crash = wire.Crash.FromString(encoded)
    except DecodeError:
        raise ProtocolError("the record of the crash is no Crash message") from None
    _require(1 <= crash.signal <= MAX_SIGNAL, f"the signal {crash.signal}")
    _require(crash.tid <= MAX_PID, f"the thread id {crash.tid}")
    registers = crash.registers
    _require(len(registers.general) in (0, len(REGISTER_NAMES)), f"{len(registers.general)} registers")
    _require(len(registers.fxsave) in (0, FXSAVE_BYTES), f"{len(registers.fxsave)} bytes of FXSAVE")
    return CrashRecord(
        thread=crash.thread if crash.has_thread else None,
        tid=crash.tid,
        thread_name=crash.thread_name,
        signal=crash.signal,
        code=crash.code,
        error_number=crash.error_number,
        fault_address=crash.fault_address,
        sender_pid=crash.sender_pid,
        sender_user_id=crash.sender_user_id,
        clock=read_clock(crash.clock),
        registers=tuple(registers.general),
        flags=registers.flags,
        fs_base=registers.fs_base,
        gs_base=registers.gs_base,
        segments=registers.segments,
        fxsave=registers.fxsave,
        trap_number=crash.trap_number,
        trap_error=crash.trap_error,
        memory=_read_memory(crash),
        maps=crash.maps,
        memory_cut=crash.memory_cut,
        handled=crash.handled,
        exception=_read_exception(crash),
        abort_message=crash.abort_message,
        incomplete=crash.incomplete,
        encoded=encoded,
    )


def _read_memory(crash: wire.Crash) -> tuple[MemoryRange, ...]:
    _require(len(crash.memory) <= MAX_MEMORY_RANGES, f"{len(crash.memory)} parts of memory")
    end = 0
    for part in crash.memory:
        _require(part.address >= end, "parts of memory that overlap, or are out of order")
        end = part.address + len(part.content)
        _require(end <= _ADDRESS_SPACE, "memory beyond the end of the address space")
    return tuple(MemoryRange(part.address, part.content) for part in crash.memory)


def _read_exception(crash: wire.Crash) -> UncaughtException | None:
    if not crash.HasField("exception"):
        return None
    exception = crash.exception
    return UncaughtException(exception.type_name, exception.what if exception.has_what else None)
