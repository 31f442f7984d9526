"""What a crashed process leaves in its session directory, written as agent/record/layout.h says."""

from __future__ import annotations

import struct
from pathlib import Path

from calltrace_collector import wire
from calltrace_collector.core.recovery import crc32c

SLOT_OFFSET = (64 << 10) - 2 * 4096
SLOT_BYTES = 2112
FILLING, FILLED, WRITTEN = 1, 2, 3


def slot_bytes(message: wire.Crash, *, state: int = WRITTEN, number: int = 1) -> bytes:
    """The slot that says the same as a message, as far as it can, at the offsets given there."""
    slot = bytearray(SLOT_BYTES)
    registers, exception = message.registers, message.exception
    flags = message.has_thread | bool(registers.fxsave) << 1 | message.handled << 2
    flags |= message.HasField("exception") << 3 | exception.has_what << 4
    for offset, form, value in (
        (0, "<I", state),
        (4, "<I", number),
        (8, "<I", flags),
        (12, "<I", message.thread),
        (16, "<I", message.tid),
        (20, "<i", message.signal),
        (24, "<i", message.code),
        (28, "<i", message.error_number),
        (32, "<Q", message.fault_address),
        (40, "<I", message.sender_pid),
        (44, "<I", message.sender_user_id),
        (48, "<Q", message.clock.ticks),
        (56, "<Q", message.clock.monotonic_ns),
        (64, "<Q", message.clock.realtime_ns),
        (208, "<Q", registers.flags),
        (216, "<Q", registers.fs_base),
        (224, "<Q", registers.gs_base),
        (232, "<Q", registers.segments),
        (240, "<Q", message.trap_number),
        (248, "<Q", message.trap_error),
        (264, "<16s", message.thread_name.encode()),
        (320, "<512s", registers.fxsave),
        (832, "<256s", exception.type_name.encode()),
        (1088, "<1024s", exception.what.encode()),
    ):
        struct.pack_into(form, slot, offset, value)
    struct.pack_into(f"<{len(registers.general)}Q", slot, 72, *registers.general)
    return bytes(slot)


def file_bytes(message: bytes, *, number: int = 1) -> bytes:
    """The file `crash`."""
    checked = struct.pack("<IIQ", 1, number, len(message))
    return struct.pack("<Q16sII", 0x3148534152435254, checked, crc32c(checked + message), 0) + message


def leave_crash(folder: Path, message: wire.Crash, *, state: int = WRITTEN, with_file: bool = True) -> None:
    """Puts a crash into a session directory."""
    session = (folder / "session").read_bytes()[:SLOT_OFFSET].ljust(SLOT_OFFSET, b"\0")
    (folder / "session").write_bytes((session + slot_bytes(message, state=state)).ljust(64 << 10, b"\0"))
    if with_file:
        (folder / "crash").write_bytes(file_bytes(message.SerializeToString()))
