"""What the agent leaves of a crash, read as docs/reference/session-directory.md lays it out."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calltrace_collector.wire import Crash

SLOT_OFFSET = 56 << 10
FILLED, WRITTEN = 2, 3
HAS_THREAD, HAS_FXSAVE, HANDLED, HAS_TYPE, HAS_WHAT = 1, 2, 4, 8, 16
FILE_MAGIC = b"TRCRASH1"
REGISTERS = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)), "rip")


def _polynomial_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, RFC 3720), a table and a byte at a time."""
    table = _polynomial_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@dataclass(frozen=True)
class Slot:
    """The crash slot of the file `session`."""

    state: int
    number: int
    flags: int
    thread: int
    tid: int
    signal: int
    code: int
    fault_address: int
    sender_pid: int
    registers: Mapping[str, int]
    thread_name: str
    exception_type: str
    exception_what: str

    @property
    def crashed(self) -> bool:
        return self.state in {FILLED, WRITTEN}


def _string(data: bytes, offset: int, size: int) -> str:
    return data[offset : offset + size].split(b"\0")[0].decode(errors="replace")


def read_slot(session: Path) -> Slot:
    """Reads the slot in a session directory."""
    data = (session / "session").read_bytes()[SLOT_OFFSET:]
    state, number, flags, thread, tid, signal, code, _, address, sender, _ = struct.unpack_from(
        "<5I3iQ2I", data
    )
    registers = struct.unpack_from("<17Q", data, 72)
    return Slot(
        state=state,
        number=number,
        flags=flags,
        thread=thread,
        tid=tid,
        signal=signal,
        code=code,
        fault_address=address,
        sender_pid=sender,
        registers=dict(zip(REGISTERS, registers, strict=True)),
        thread_name=_string(data, 264, 16),
        exception_type=_string(data, 832, 256),
        exception_what=_string(data, 1088, 1024),
    )


def read_crash(session: Path) -> tuple[Slot, Crash] | None:
    """Reads slot and file, which must tell the same; None: the process has not crashed."""
    slot = read_slot(session)
    if not slot.crashed:
        return None
    data = (session / "crash").read_bytes()
    magic, version, number, size, checksum, zero = struct.unpack_from("<8sIIQII", data)
    assert (magic, version, number, size, zero) == (FILE_MAGIC, 1, slot.number, len(data) - 32, 0)
    assert checksum == crc32c(data[8:24] + data[32:])
    crash = Crash.FromString(data[32:])
    assert crash.has_thread == bool(slot.flags & HAS_THREAD)
    assert (crash.thread, crash.tid, crash.thread_name) == (slot.thread, slot.tid, slot.thread_name)
    assert (crash.signal, crash.code) == (slot.signal, slot.code)
    assert (crash.fault_address, crash.sender_pid) == (slot.fault_address, slot.sender_pid)
    assert crash.handled == bool(slot.flags & HANDLED)
    assert dict(zip(REGISTERS, crash.registers.general, strict=True)) == slot.registers
    assert crash.HasField("exception") == bool(slot.flags & HAS_TYPE)
    return slot, crash


@dataclass(frozen=True)
class Ended:
    """How a program ended. `status` is the kernel's, with the flag that says whether it dumped core."""

    pid: int
    status: int
    output: bytes
    errors: bytes


def run_to_death(program: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Runs a program that may dump core, in a folder that is gone when it has ended."""
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        running = subprocess.Popen(
            ["/bin/sh", "-c", 'ulimit -S -c $(ulimit -H -c); exec "$0" "$@"', program, *arguments],
            cwd=folder,
            stdout=output,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        _, status = os.waitpid(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        return Ended(running.pid, status, output.read(), errors.read())
