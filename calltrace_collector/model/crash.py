"""A crash: what the agent recorded, and what the collector makes of it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from calltrace_collector.model.process import ClockReading, ModuleInfo

__all__ = [
    "REGISTER_NAMES",
    "CrashAnalysis",
    "CrashAnalyzer",
    "CrashFrame",
    "CrashRecord",
    "MemoryRange",
    "OpenCall",
    "UncaughtException",
    "signal_name",
]


REGISTER_NAMES = (
    *("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"),
)
"""In the order of their DWARF numbers (System V ABI for x86-64, figure 3.36)."""
_SHOWN_ORDER = (
    *("rip", "rsp", "rbp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
_STACK_POINTER = REGISTER_NAMES.index("rsp")
_SEGMENTS = ("cs", "gs", "fs", "ss")

_SIGNALS_WITH_ADDRESS = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS}
)
# Of siginfo.h: what the kernel sends for reasons of its own, and what kill, sigqueue and tgkill send.
_SI_KERNEL = 0x80
_CODES_WITH_SENDER = frozenset({0, -1, -6})


def signal_name(number: int) -> str:
    """Returns the name of a signal, or "signal 99" for one that has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True, slots=True)
class MemoryRange:
    """Bytes of the process's memory as they were."""

    address: int
    content: bytes


@dataclass(frozen=True, slots=True)
class UncaughtException:
    """An exception that nobody caught; `type_name` is mangled, `what` None where it has none."""

    type_name: str
    what: str | None


@dataclass(frozen=True, slots=True)
class CrashRecord:
    """What the agent recorded of a crash (Crash in proto/calltrace/v1/crash.proto), checked.

    Attributes:
        thread: number of the crashing thread, or of that stack of it that it was on (ThreadInfo.stack_of);
            None if it made no instrumented call.
        registers: by DWARF number: 0 to 15 general ones, 16 the instruction pointer; () if there are none.
        maps: text of /proc/PID/maps.
        incomplete: why memory and maps are missing; "" when they are not.
        encoded: the message itself, so that it can be looked at again with better debug information.
    """

    thread: int | None
    tid: int
    thread_name: str
    signal: int
    code: int
    error_number: int
    fault_address: int
    sender_pid: int
    sender_user_id: int
    clock: ClockReading
    registers: tuple[int, ...]
    flags: int
    fs_base: int
    gs_base: int
    segments: int
    fxsave: bytes
    trap_number: int
    trap_error: int
    memory: tuple[MemoryRange, ...]
    maps: str
    memory_cut: bool
    handled: bool
    exception: UncaughtException | None
    abort_message: str
    incomplete: str
    encoded: bytes = field(repr=False)

    @property
    def signal_name(self) -> str:
        """The signal's name; "signal 99" for a number that has none."""
        return signal_name(self.signal)

    @property
    def its_fault_address(self) -> int | None:
        """The fault address; None where the signal has none: a process sent it, or the kernel knew none."""
        has_address = self.signal in _SIGNALS_WITH_ADDRESS and 0 < self.code < _SI_KERNEL
        return self.fault_address if has_address else None

    @property
    def stack_pointer(self) -> int | None:
        """The stack pointer where the signal struck; None: the registers were not recorded."""
        return self.registers[_STACK_POINTER] if self.registers else None

    @property
    def sender(self) -> int | None:
        """The pid of the process that sent the signal; None: none did."""
        return self.sender_pid if self.code in _CODES_WITH_SENDER else None

    def registers_by_name(self) -> dict[str, int]:
        """The registers by name, in the order in which they are shown; empty where there are none."""
        if not self.registers:
            return {}
        general = dict(zip(REGISTER_NAMES, self.registers, strict=True))
        special = {"eflags": self.flags, "fs_base": self.fs_base, "gs_base": self.gs_base}
        segments = {name: self.segments >> 16 * at & 0xFFFF for at, name in enumerate(_SEGMENTS)}
        return {name: general[name] for name in _SHOWN_ORDER} | special | segments


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A traced call of the crashing thread that was open; outermost first in any list of them.

    `stack_pointer` is that of the function where it called its entry hook: inside the function's frame.
    """

    call: int
    function_address: int
    call_site_address: int
    stack_pointer: int


@dataclass(frozen=True, slots=True)
class CrashFrame:
    """A frame of the crashing thread's stack trace, innermost first in any list of them.

    Attributes:
        address: of the instruction: where the signal struck, else the return address.
        function: demangled; None where unknown. linkage_name: mangled.
        module: path of the file; None where the address is in none.
        module_offset: address less the module's load bias; function_offset: less the function's start.
        file, line: of the instruction; of a return address, of the call before it.
        inlined: the function was inlined in that of the frame after it, with which it shares the address.
        call: number of the traced call that this frame is of; None if its function is not instrumented.
        is_signal_frame: the kernel's frame between a signal's handler and what it interrupted.
    """

    address: int
    function: str | None
    linkage_name: str | None
    module: str | None
    module_offset: int | None
    function_offset: int | None
    file: str | None
    line: int | None
    inlined: bool
    call: int | None
    is_signal_frame: bool = False


@dataclass(frozen=True, slots=True)
class CrashAnalysis:
    """What a crash record means.

    Attributes:
        reason: one sentence ("SIGSEGV: read of address 0x10 in list_next() at list.c:41, called from ...").
        signal_name: "SIGSEGV"; code_name: "SEGV_MAPERR", "" for numbers without a name.
        code_meaning: in words.
        fault_description: what the fault address was ("NULL page", "stack guard of the thread",
            "/lib/libc.so.6, r--p"); "" where the signal has no address.
        unwound_until: why the trace ends where it does; "" at the thread's outermost frame.
    """

    reason: str
    signal_name: str
    code_name: str
    code_meaning: str
    fault_description: str
    frames: tuple[CrashFrame, ...]
    unwound_until: str


class CrashAnalyzer(Protocol):
    """Makes sense of a crash; never raises for what is in the record."""

    def __call__(
        self, record: CrashRecord, modules: Sequence[ModuleInfo], open_calls: Sequence[OpenCall]
    ) -> CrashAnalysis:
        """Unwinds the stack and names what it finds.

        Args:
            record: the crash.
            modules: of the process, at the time of the crash.
            open_calls: of the crashing thread, outermost first.
        """
        ...
