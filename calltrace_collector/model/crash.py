"""A crash: what the agent recorded, and what the collector makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from calltrace_collector.model.process import ClockReading, ModuleInfo

__all__ = [
    "CrashAnalysis",
    "CrashAnalyzer",
    "CrashFrame",
    "CrashRecord",
    "MemoryRange",
    "OpenCall",
    "UncaughtException",
]


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
        thread: number of the crashing thread; None if it made no instrumented call.
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
