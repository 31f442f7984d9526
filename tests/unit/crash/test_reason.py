"""Why a program crashed: sentences and descriptions of made-up records."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from calltrace_collector.crash.analyze import Analyzer
from calltrace_collector.crash.fault import Fault, find_fault
from calltrace_collector.crash.reason import sentence
from calltrace_collector.crash.space import AddressSpace
from calltrace_collector.model.crash import CrashFrame, CrashRecord, MemoryRange, UncaughtException
from calltrace_collector.model.process import ClockReading
from calltrace_collector.symbols.resolver import Resolver

MAPS = """\
00400000-00401000 r-xp 00000000 00:00 0
7f0000000000-7f0000001000 ---p 00000000 00:00 0
7f0000001000-7f0000801000 rw-p 00000000 00:00 0
7f0000900000-7f0000901000 r--p 00000000 08:01 77 /usr/share/data file
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
""".replace(" 0\n", " 0 \n")  # as the kernel pads them
CODE = 0x400100


def record_of(**changes: object) -> CrashRecord:
    registers = [0] * 17
    registers[7], registers[16] = 0x7FFC00010000, CODE
    record = CrashRecord(
        thread=0,
        tid=5,
        thread_name="t",
        signal=signal.SIGSEGV,
        code=1,
        error_number=0,
        fault_address=0x10,
        sender_pid=0,
        sender_user_id=0,
        clock=ClockReading(0, 0, 0),
        registers=tuple(registers),
        flags=0,
        fs_base=0,
        gs_base=0,
        segments=0,
        fxsave=b"",
        trap_number=14,
        trap_error=4,
        memory=(),
        maps=MAPS,
        memory_cut=False,
        handled=False,
        exception=None,
        abort_message="",
        incomplete="",
        encoded=b"",
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def with_registers(record: CrashRecord, **values: int) -> CrashRecord:
    registers = list(record.registers)
    for name, value in values.items():
        registers[{"rax": 0, "rcx": 2, "rsp": 7, "rip": 16}[name]] = value
    return replace(record, registers=tuple(registers))


def frame(
    function: str, file: str | None = None, line: int | None = None, module: str = "/bin/app"
) -> CrashFrame:
    return CrashFrame(CODE, function, function, module, 0x100, 4, file, line, inlined=False, call=None)


def fault_of(record: CrashRecord) -> Fault | None:
    return find_fault(record, AddressSpace(record, (), Resolver()))


PLACE = "in list_next() at list.c:41, called from main() at list.c:60"
FRAMES = [frame("list_next", "/src/list.c", 41), frame("main", "/src/list.c", 60)]


def reason_of(record: CrashRecord, frames: list[CrashFrame]) -> str:
    space = AddressSpace(record, (), Resolver())
    return sentence(record, space, find_fault(record, space), frames)


@pytest.mark.parametrize(
    ("error", "access"), [(4, "read"), (5, "read"), (6, "write"), (7, "write"), (20, "jump"), (21, "jump")]
)
def test_the_error_code_tells_how_memory_was_accessed(error: int, access: str) -> None:
    found = fault_of(record_of(trap_error=error))
    assert found
    assert found.access == access


@pytest.mark.parametrize(
    ("address", "stack_pointer", "description", "is_overflow"),
    [
        (0, 0x7FFC00010000, "NULL page", False),
        (0xFFFF, 0x7FFC00010000, "NULL page", False),
        (0x10000, 0x7FFC00010000, "unmapped", False),
        (0x400800, 0x7FFC00010000, "anonymous memory, r-xp", False),
        (0x7F0000900010, 0x7FFC00010000, "/usr/share/data file, r--p", False),
        (0x7F0000000FF8, 0x7F0000001000, "stack guard of the thread", True),
        (0x7F0000000FF8, 0x7F0000000800, "stack guard of the thread", True),
        (0x7F0000000FF8, 0x7F0000400000, "stack guard of the thread", False),
        (0x7F0000000FF8, 0x7FFC00010000, "anonymous memory, ---p", False),
        (0x7FFBFFFFFFF8, 0x7FFC00000000, "below the stack of the main thread", True),
        (0x7FFBFFFFF000, 0x7FFBFFFFE000, "below the stack of the main thread", True),
        (0x7FFBFFFFF000, 0x7FFC00010000, "below the stack of the main thread", False),
        (0x7FFB00000000, 0x7FFB00000000, "unmapped", False),
        (0xDEADBEEFDEADBEEF, 0x7FFC00010000, "non-canonical address", False),
    ],
)
def test_what_the_address_was(
    address: int, stack_pointer: int, description: str, *, is_overflow: bool
) -> None:
    found = fault_of(with_registers(record_of(fault_address=address), rsp=stack_pointer))
    assert found
    assert (found.description, found.is_overflow) == (description, is_overflow)


def test_without_a_map_nothing_is_said_of_the_address() -> None:
    found = fault_of(record_of(fault_address=0x7F0000000FF8, maps=""))
    assert found
    assert found.description == ""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "SIGSEGV: read of address 0x10 (NULL page)"),
        (
            {"signal": 6, "code": -6, "abort_message": "app: a.c:3: main: Assertion `x > 0' failed.\n"},
            'SIGABRT: assertion "x > 0" failed',
        ),
        (
            {"signal": 6, "code": -6, "abort_message": "double free or corruption (out)"},
            'SIGABRT: "double free or corruption (out)"',
        ),
        (
            {"signal": 11, "code": 0, "sender_pid": 77, "sender_user_id": 1000},
            "SIGSEGV: sent with kill() by process 77 of user 1000",
        ),
        ({"signal": 31, "code": 1}, "SIGSYS: system call 57 refused by a seccomp filter"),
        ({"signal": 5, "code": 128}, "SIGTRAP: breakpoint instruction"),
        ({"signal": 99, "code": 5}, "signal 99: code 5"),
    ],
)
def test_sentences(changes: dict[str, object], expected: str) -> None:
    assert reason_of(with_registers(record_of(**changes), rax=57), FRAMES) == f"{expected} {PLACE}"


EXCEPTIONS = [
    (UncaughtException("St13runtime_error", "boom"), 'std::runtime_error: "boom"'),
    (UncaughtException("i", None), "int"),
    (UncaughtException("N6parser5ErrorE", ""), 'parser::Error: ""'),
    (UncaughtException("not mangled", "two\nlines"), 'not mangled: "two lines"'),
    (UncaughtException("St9exception", "x" * 500), 'std::exception: "' + "x" * 400 + '..."'),
]


@pytest.mark.parametrize(("exception", "text"), EXCEPTIONS)
def test_uncaught_exceptions(exception: UncaughtException, text: str) -> None:
    libc, runtime = "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libstdc++.so.6"
    frames = [
        frame("raise", "raise.c", 26, libc),
        frame("abort", "abort.c", 79, libc),
        frame("std::terminate()", module=runtime),
        frame("__cxa_throw", module=runtime),
        frame("std::vector<int>::at(unsigned long)", "/usr/include/c++/12/bits/stl_vector.h", 1154),
        frame("parse(char const*)", "/src/p.cpp", 12),
        frame("main", "/src/p.cpp", 20),
    ]
    record = record_of(signal=6, code=-6, exception=exception)
    expected = (
        f"SIGABRT: uncaught exception {text}, thrown in parse(char const*) at p.cpp:12, called from main() at"
    )
    assert reason_of(record, frames) == f"{expected} p.cpp:20"


def test_a_signal_handler_is_said_to_have_interrupted() -> None:
    gate = replace(frame("__restore_rt"), is_signal_frame=True)
    frames = [frame("on_signal", "h.c", 3), gate, frame("work", "h.c", 9)]
    assert reason_of(record_of(), frames).endswith(
        "in on_signal() at h.c:3, a signal handler that interrupted work() at h.c:9"
    )


def test_a_crash_without_registers_or_frames_still_has_a_reason() -> None:
    analysis = Analyzer()(record_of(registers=(), incomplete="no room"), (), ())
    assert analysis.reason == "SIGSEGV: read of address 0x10 (NULL page)"
    assert analysis.frames == ()
    assert analysis.unwound_until == "the registers were not recorded (no room)"


@pytest.mark.parametrize(
    ("code", "registers", "address"),
    [
        ("8b4010", {"rax": 0xDEADBEEFDEADBEEF}, 0xDEADBEEFDEADBEFF),
        ("488908", {"rax": 1 << 63}, 1 << 63),
        ("8b4010", {"rax": 0x7F0000900000}, None),  # an address that could be
        ("f4", {"rax": 1 << 63}, None),  # hlt, which no program may
    ],
)
def test_a_protection_fault_is_explained_where_the_instruction_does(
    code: str, registers: dict[str, int], address: int | None
) -> None:
    memory = (MemoryRange(CODE, bytes.fromhex(code) + bytes(16)),)
    record = record_of(code=0x80, fault_address=0, trap_number=13, trap_error=0, memory=memory)
    found = fault_of(with_registers(record, **registers))
    assert found
    assert found.address == address
    reason = reason_of(with_registers(record, **registers), FRAMES)
    assert ("that the processor does not tell" in reason) == (address is None)


@pytest.mark.parametrize(
    ("code", "rcx", "text"),
    [
        ("f7f9", 0, "integer division by zero in"),
        ("f7f9", 5 << 32, "integer division by zero in"),
        ("48f7f9", 5 << 32, "integer division whose result is too large in"),
        ("f7f9", 0xFFFFFFFF, "integer division whose result is too large in"),
        ("f6f9", 0, "integer division by zero, or of too large a number, in"),
        ("90", 0, "integer division by zero, or of too large a number, in"),
    ],
)
def test_divisions_by_zero_are_told_from_overflows(code: str, rcx: int, text: str) -> None:
    memory = (MemoryRange(CODE, bytes.fromhex(code) + bytes(16)),)
    record = with_registers(record_of(signal=8, code=1, trap_number=0, memory=memory), rcx=rcx)
    assert reason_of(record, FRAMES).startswith(f"SIGFPE: {text}")
