"""Reading what a crashed process left in its session directory: the slot in the session file, and `crash`.

The layout is agent/record/layout.h's. The handler fills the slot, which needs nothing but stores; then the
agent's thread writes the file `crash`, which has the memory besides. It may not have come to that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from calltrace_collector import wire
from calltrace_collector.core.recovery import crc32c
from calltrace_collector.errors import ProtocolError
from calltrace_collector.ingest.crash_message import read_crash
from calltrace_collector.ingest.directory import SessionDirectory
from calltrace_collector.model.crash import REGISTER_NAMES, CrashRecord

__all__ = ["read_left_crash"]

_SLOT_OFFSET = (64 << 10) - 2 * 4096
# struct crash_slot in three parts: the signal, the processor, texts.
_SIGNAL = struct.Struct("<IIIIIiiiQIIQQQ")
_PROCESSOR = struct.Struct("<17Q6Q8x")
_TEXTS = struct.Struct("<16s40x512s256s1024s")
_SLOT_BYTES = _SIGNAL.size + _PROCESSOR.size + _TEXTS.size
_FILLED = (2, 3)
_HAS_THREAD, _HAS_FXSAVE, _HANDLED, _HAS_TYPE, _HAS_WHAT = (1 << bit for bit in range(5))

_FILE = struct.Struct("<QIIQII")
_FILE_MAGIC = 0x3148534152435254
_FILE_VERSION = 1
_FILE_LIMIT = 16 << 20
_CHECKED_FROM, _CHECKED_TO = 8, 24

NO_FILE = "the process was gone before its memory was written down"


@dataclass(frozen=True, slots=True)
class CrashSlot:
    """What the slot says; `number` is also in the file of the same crash."""

    number: int
    message: wire.Crash

    def record(self, incomplete: str) -> CrashRecord:
        """Makes a record of the slot alone.

        Args:
            incomplete: why there is nothing better.

        Raises:
            ProtocolError: the slot has values that no agent writes.
        """
        message = wire.Crash()
        message.CopyFrom(self.message)
        message.incomplete = incomplete
        return read_crash(message.SerializeToString())


def read_slot(directory: SessionDirectory) -> CrashSlot | None:
    """Reads the slot; None: the process has not crashed."""
    data = directory.session_bytes(_SLOT_OFFSET, _SLOT_BYTES)
    if len(data) < _SLOT_BYTES:
        return None
    state, number, flags, thread, tid, signal, code, error, address, *rest = _SIGNAL.unpack_from(data)
    if state not in _FILLED:
        return None
    sender_pid, sender_user_id, ticks, monotonic_ns, realtime_ns = rest
    name, fxsave, *exception = _TEXTS.unpack_from(data, _SIGNAL.size + _PROCESSOR.size)
    message = wire.Crash(
        has_thread=bool(flags & _HAS_THREAD),
        thread=thread,
        tid=tid,
        thread_name=_text(name),
        signal=signal,
        code=code,
        error_number=error,
        fault_address=address,
        sender_pid=sender_pid,
        sender_user_id=sender_user_id,
        clock=wire.Clock(ticks=ticks, monotonic_ns=monotonic_ns, realtime_ns=realtime_ns),
        handled=bool(flags & _HANDLED),
        exception=_exception(flags, *exception),
    )
    _put_registers(message, data, fxsave if flags & _HAS_FXSAVE else b"")
    return CrashSlot(number, message)


def _put_registers(message: wire.Crash, data: bytes, fxsave: bytes) -> None:
    values = _PROCESSOR.unpack_from(data, _SIGNAL.size)
    count = len(REGISTER_NAMES)
    flags, fs_base, gs_base, segments, message.trap_number, message.trap_error = values[count:]
    message.registers.CopyFrom(
        wire.Registers(
            general=values[:count],
            flags=flags,
            fs_base=fs_base,
            gs_base=gs_base,
            segments=segments,
            fxsave=fxsave,
        )
    )


def _exception(flags: int, type_name: bytes, what: bytes) -> wire.UncaughtException | None:
    if not flags & _HAS_TYPE:
        return None
    has_what = bool(flags & _HAS_WHAT)
    return wire.UncaughtException(
        type_name=_text(type_name), has_what=has_what, what=_text(what) if has_what else ""
    )


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode(errors="replace")


def read_crash_file(directory: SessionDirectory, number: int) -> CrashRecord | None:
    """Reads the file of the crash with a slot's number; None: there is none.

    Raises:
        ProtocolError: it is damaged, or should not be there.
    """
    data = directory.file_bytes("crash", _FILE_LIMIT)
    if data is None:
        return None
    if len(data) < _FILE.size:
        raise ProtocolError("the crash file is cut off")
    magic, version, its_number, size, crc, _ = _FILE.unpack_from(data)
    if magic != _FILE_MAGIC:
        raise ProtocolError("the crash file is none, or was not written to its end")
    if version != _FILE_VERSION:
        raise ProtocolError(f"the crash file has version {version}, this collector reads {_FILE_VERSION}")
    message = data[_FILE.size :]
    if len(message) != size:
        raise ProtocolError(f"the crash file has {len(message)} bytes where it says {size}")
    if crc32c(data[_CHECKED_FROM:_CHECKED_TO] + message) != crc:
        raise ProtocolError("the crash file is damaged")
    return read_crash(message) if its_number == number else None


def read_left_crash(directory: SessionDirectory, on_damage: Callable[[str], None]) -> CrashRecord | None:
    """Reads what is left of a crash: the file or, where there is none that can be read, the slot.

    Args:
        directory: of a process that has ended.
        on_damage: called with what cannot be read, and why.

    Returns:
        None when the process has not crashed, or nothing of it can be read.
    """
    slot = read_slot(directory)
    if slot is None:
        return None
    incomplete = NO_FILE
    try:
        record = read_crash_file(directory, slot.number)
        if record is not None:
            return record
    except (OSError, ProtocolError) as error:
        incomplete = error.message if isinstance(error, ProtocolError) else str(error)
        on_damage(incomplete)
    try:
        return slot.record(incomplete)
    except ProtocolError as error:
        on_damage(error.message)
    return None
